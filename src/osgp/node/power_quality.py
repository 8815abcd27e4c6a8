"""Power quality in ET09 and the outage log ET81 (MEP guide p. 67, 185).

Where the source of energy can tell when a voltage will leave its limits (``beyond``), the meter looks then: every second until the
sag or surge has lasted as long as ET09 wants, every ten seconds until it is over. A source that cannot tell is looked at every
hour, with the frequency. The time noted is the one at which the disturbance has lasted long enough (project choices).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from osgp.node.clockwork import utc_datetime
from osgp.node.ring_log import RingLog
from osgp.tables.et.et04 import ET04
from osgp.tables.et.et09 import ET09
from osgp.tables.et.et36 import ET36
from osgp.tables.et.et55 import ET55
from osgp.tables.et.et81 import ET81
from osgp.wire import LTime

if TYPE_CHECKING:
    from osgp.node.meter import Meter

__all__ = ["PowerQuality"]

_POWER_FAILURE = 3
_DAY = 86400
_EVENTS = {"sag1": "voltage_sag", "sag2": "voltage_sag", "surge": "voltage_surge"}
_LOSS = "phase_loss"
"""A phase below ET04.PHASE_LOSS_PCT for ET55.PHASE_LOSS_SECONDS, where there are others: an event and an alarm, no counter in ET09."""
_SLOW_S = 10


class PowerQuality:
    """Watches for a meter. ``due``: when to look at the voltages next, on the meter's clock."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.due = math.inf
        self.under_way: dict[tuple[int, str], list[float]] = {}
        """By phase and kind: true time of its beginning, furthest voltage in mV, whether it was counted."""
        self.make_log()
        self.read_settings()

    def make_log(self) -> None:
        """The outage log, sized as ET36 says now."""
        image = self.meter.image
        logs = image.decode(ET36).logs if ET36.number in image else []
        self.log = RingLog(image, ET81, logs[6].current_entries if len(logs) > 6 else 0)

    def read_settings(self) -> None:
        """The thresholds and durations of ET09 as they are now."""
        image = self.meter.image
        self.kinds: dict[str, tuple[int, int]] = {}
        """By kind: limit in mV (below it is a sag, above it a surge) and duration in s."""
        self.hold_s = 0
        if ET09.number not in image:
            return
        table: Any = image.decode(ET09)
        rated = int(image.get(ET04, "rated_voltage")) * 10
        lasting = table.sag1_surge_time * 60 + (table.sag1_surge_seconds or 0)
        self.kinds["surge"] = rated * (100 + table.surge_threshold), lasting
        for kind, percent, seconds in (
            ("sag1", table.sag1_threshold, lasting),
            ("sag2", table.sag2_threshold, table.sag2_time),
        ):
            if percent is not None and percent < 100:
                self.kinds[kind] = rated * (100 - percent), seconds
        if self.meter.model.phases > 1:
            self.kinds[_LOSS] = rated * image.get(ET04, "phase_loss_pct"), int(image.get(ET55, "phase_loss_seconds"))
        self.hold_s = int(table.pwr_up_hold_time or 0)
        self._low_hz, self._high_hz = table.min_freq, table.max_freq

    # --- when to look

    def plan(self, shown: float) -> None:
        """When to look next, seen from a moment of the meter's clock."""
        if self.under_way:
            counted = all(each[2] for each in self.under_way.values())
            self.due = math.floor(shown) + (_SLOW_S if counted else 1)
            return
        ask = getattr(self.meter.source, "beyond", None)
        self.due = math.inf
        if ask is None or not self.kinds:
            return
        clock = self.meter.clock
        start = clock.true_at(math.floor(shown) + 1)
        end = (start // _DAY + 1) * _DAY
        lows = [limit for kind, (limit, _) in self.kinds.items() if kind != "surge"]
        found = ask(start, end, max(lows, default=0) / 1000, self.kinds["surge"][0] / 1000)
        self.due = max(math.floor(shown) + 1, math.ceil(clock.shows(end if found is None else found)))

    def supplied(self, shown: float) -> None:
        """Supply is back: nothing is recorded until it has settled (ET09 PWR_UP_HOLD_TIME)."""
        self.under_way = {}
        self.plan(shown + self.hold_s)

    def work(self, due: int) -> None:
        """Time to look at the voltages."""
        self._voltages()
        self.plan(due)

    # --- looking

    def _voltages(self) -> None:
        meter, now = self.meter, self.meter.at
        changed: list[tuple[int, str, int, bool]] = []
        for number, phase in enumerate(meter.source.instant(now).phases, 1):
            millivolts = round(phase.voltage_v * 1000)
            for kind, (limit, seconds) in self.kinds.items():
                surge = kind == "surge"
                if not (millivolts > limit if surge else millivolts < limit):
                    self.under_way.pop((number, kind), None)
                    continue
                one = self.under_way.setdefault((number, kind), [now, millivolts, False])
                further = max(one[1], millivolts) if surge else min(one[1], millivolts)
                fresh = not one[2] and now - one[0] >= seconds
                if fresh or (one[2] and further != one[1]):
                    changed.append((number, kind, int(further), fresh))
                one[1], one[2] = further, bool(one[2]) or fresh
        if not changed:
            return
        table: Any = meter.image.decode(ET09)
        for number, kind, millivolts, fresh in changed:
            if kind == _LOSS:
                if fresh:
                    meter.log("phase_loss", number)
                    meter.alarm("mfg_status_0", "phase_loss")
                continue
            setattr(table, f"l{number}_{kind}_voltage", millivolts)
            if fresh:
                setattr(table, f"l{number}_{kind}_time", LTime.of(utc_datetime(meter.shown)))
                setattr(table, f"l{number}_{kind}_count", getattr(table, f"l{number}_{kind}_count") + 1 & 0xFFFF)
                meter.log(_EVENTS[kind], number)
                meter.alarm("mfg_status_3", "pq_event")
        meter.image.encode(table)

    def sample(self) -> None:
        """The hourly look at the frequency, and at the voltages of a source that does not tell when to look."""
        meter = self.meter
        if ET09.number not in meter.image:
            return
        if getattr(meter.source, "beyond", None) is None and not self.under_way:
            self._voltages()
            self.plan(meter.shown)
        mhz = round(meter.source.instant(meter.at).frequency_hz * 1000)
        if self._low_hz <= mhz <= self._high_hz:
            return
        table: Any = meter.image.decode(ET09)
        moment = LTime.of(utc_datetime(meter.shown))
        if mhz < table.min_freq:
            table.min_freq, table.min_freq_time = mhz, moment
        if mhz > table.max_freq:
            table.max_freq, table.max_freq_time = mhz, moment
        self._low_hz, self._high_hz = table.min_freq, table.max_freq
        meter.image.encode(table)

    def outage(self, down: float, up: float, seconds: int) -> None:
        """The supply was away from ``down`` to ``up`` (meter UTC)."""
        meter = self.meter
        table: Any = meter.image.decode(ET09)
        if table.outages:
            newest = table.outages.pop()
            newest.power_on_time, newest.power_off_time = LTime.of(utc_datetime(up)), LTime.of(utc_datetime(down))
            newest.reset_cause, newest.power_off_duration = _POWER_FAILURE, seconds
            table.outages.insert(0, newest)
        if seconds < table.long_outage_threshold:
            table.short_outage_count += 1
        meter.image.encode(table)
        local = [utc_datetime(each + meter.calendar.offset_s(each)) for each in (down, up)]
        self.log.append(b"".join(bytes(LTime.of(each)) for each in local))

    def to_json(self) -> dict[str, Any]:
        """For a saved meter."""
        return {
            "due": None if self.due == math.inf else self.due,
            "under_way": [[phase, kind, *each] for (phase, kind), each in self.under_way.items()],
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """The inverse of ``to_json``."""
        self.due = math.inf if saved["due"] is None else saved["due"]
        self.under_way = {(phase, kind): list(rest) for phase, kind, *rest in saved["under_way"]}
