"""Average power, voltage and current (BT28), and the disconnect that opens when the average is too high (ET80).

Average power belongs to the main interval of ET80, which ends with a sub-interval; it is 0 while the calculation is disabled
and until the first main interval has passed. Average voltage and current belong to the last whole interval of
ET55.AVG_V_SECONDS and ET09.AVG_CURRENT_INTERVAL. Power of all phases together is the source's energy divided by time, exactly;
what belongs to a phase is the mean (RMS for voltage and current) of moments spread over the interval, one a minute, at least
five and at most sixty. Project choices: intervals lie on the grid of the meter's UTC; the disconnect compares forward power with
ET80.DISCONNECT_THRESHOLD, 0 is none (the guide's text names ET05.0, too, a table without a layout).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from osgp.tables.et.et09 import ET09
from osgp.tables.et.et55 import ET55
from osgp.tables.et.et80 import ET80

if TYPE_CHECKING:
    from osgp.node.energy import PhaseInstant
    from osgp.node.meter import Meter

__all__ = ["AVERAGED", "Averages"]

AVERAGED = frozenset((*range(205, 216), *range(233, 236)))
"""Sources that are averages (BT22 source list, MEP guide p. 202–216)."""

_MOST_SPANS = 64


def _interval(seconds: Any) -> int:
    """A divisor of a minute, an hour or a day; anything else is taken as if it were 1 s (project choice)."""
    value = int(seconds or 0)
    if value >= 3600:
        good = value % 3600 == 0 and 86400 % value == 0
    else:
        good = value > 0 and (60 % value == 0 or (value % 60 == 0 and 3600 % value == 0))
    return value if good else 1


class Averages:
    """The averages of one meter. ``due``: the end of the next sub-interval, if it can open the disconnect."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.spans: list[list[float]] = [[meter.at, math.inf]]
        """When energy could flow, in true time; the last one is still open at infinity."""
        self.enabled_at = math.inf
        self.due = math.inf
        self._kept: dict[str, tuple[tuple[float, float], Any]] = {}
        self.read_settings()

    def read_settings(self) -> None:
        """ET80, ET55 and ET09 as they are now."""
        image = self.meter.image
        one: Any = image.decode(ET80) if ET80.number in image else None
        enabled = one is not None and one.enabled == 1
        self.sub_s = _interval(one.sub_interval) if one is not None else 1
        self.main_s = self.sub_s * min(max(one.multiplier, 1), 15) if one is not None else 1
        self.threshold_w = int(one.disconnect_threshold) if enabled else 0
        if not enabled:
            self.enabled_at = math.inf
        elif self.enabled_at == math.inf:
            self.enabled_at = self.meter.at
        self._voltage_s = _interval(image.decode(ET55).avg_v_seconds if ET55.number in image else 1)
        self._current_s = _interval(image.decode(ET09).avg_current_interval if ET09.number in image else 1)
        self._kept = {}
        self.plan(self.meter.shown)

    def plan(self, shown: float) -> None:
        """When to look next, seen from a moment of the meter's clock."""
        watched = self.threshold_w and self.meter.relays.closed
        self.due = (math.floor(shown) // self.sub_s + 1) * self.sub_s if watched else math.inf

    def flow_changed(self) -> None:
        """Supply or disconnect have changed."""
        flows = self.meter.powered and self.meter.relays.closed
        if flows and self.spans[-1][1] != math.inf:
            self.spans = [*self.spans[1 - _MOST_SPANS :], [self.meter.at, math.inf]]
        elif not flows and self.spans[-1][1] == math.inf:
            self.spans[-1][1] = self.meter.at
        self._kept = {}
        self.plan(self.meter.shown)

    def work(self, due: int) -> None:
        """A sub-interval ends."""
        if self.power(due)[0] > self.threshold_w:
            self.meter.relays.set_disconnect(False)
        self.plan(due)

    # --- windows

    def _window(self, shown: float, step: int, length: int) -> tuple[float, float]:
        """The last whole interval in true time: it ends on the grid of ``step``."""
        end = self.meter.clock.true_at(math.floor(shown) // step * step)
        return end - length, end

    def power(self, shown: float) -> tuple[float, float]:
        """Average forward and reverse power in W of the last main interval before a moment of the meter's clock."""
        start, end = self._window(shown, self.sub_s, self.main_s)
        if start < self.enabled_at - 1:
            return 0.0, 0.0
        imported = exported = 0
        for on, off in self.spans:
            first, last = max(start, on), min(end, off)
            if first < last:
                flow = self.meter.source.energy(first, last)
                imported, exported = imported + flow[0], exported + flow[1]
        return imported / (self.main_s * 1e6), exported / (self.main_s * 1e6)

    def _moments(self, window: tuple[float, float]) -> list[tuple[bool, tuple[PhaseInstant, ...]]]:
        """Moments of an interval: whether energy flowed, and the phases."""
        start, end = window
        count = min(60, max(math.ceil((end - start) / 60), min(5, int(end - start))))
        found = []
        for n in range(count):
            at = start + (n + 0.5) * (end - start) / count
            found.append((any(on <= at < off for on, off in self.spans), self.meter.source.instant(at).phases))
        return found

    def _phases(self, kind: str, window: tuple[float, float]) -> list[float]:
        """Means of ``kind`` for three phases: forward and reverse power, voltage, current. Kept for the same interval."""
        kept = self._kept.get(kind)
        if kept is not None and kept[0] == window:
            found: list[float] = kept[1]
            return found
        sums, moments = [0.0] * 6, self._moments(window)
        for flows, phases in moments:
            for n, each in enumerate(phases):
                if kind == "voltage":
                    sums[n] += each.voltage_v**2
                elif flows and kind == "current":
                    sums[n] += (each.power_w**2 + each.reactive_var**2) / each.voltage_v**2 if each.voltage_v else 0.0
                elif flows:
                    sums[n if each.power_w >= 0 else 3 + n] += abs(each.power_w)
        means = [each / len(moments) for each in sums]
        if kind != "power":
            means = [math.sqrt(each) for each in means]
        self._kept[kind] = window, means
        return means

    def value(self, source: int) -> int:
        """One of ``AVERAGED`` in its unit (W, mV, mA), rounded."""
        shown = self.meter.shown
        if source <= 207:
            window = self._window(shown, self._voltage_s, self._voltage_s)
            return round(self._phases("voltage", window)[source - 205] * 1000)
        if source >= 233:
            window = self._window(shown, self._current_s, self._current_s)
            return round(self._phases("current", window)[source - 233] * 1000)
        if source <= 209:
            return round(self.power(shown)[source - 208])
        window = self._window(shown, self.sub_s, self.main_s)
        return round(self._phases("power", window)[source - 210]) if window[0] >= self.enabled_at - 1 else 0

    def to_json(self) -> list[Any]:
        """For a saved meter."""
        ends = [[on, None if off == math.inf else off] for on, off in self.spans]
        return [ends, None if self.enabled_at == math.inf else self.enabled_at]

    def restore(self, saved: list[Any]) -> None:
        """The inverse of ``to_json``."""
        self.spans = [[on, math.inf if off is None else off] for on, off in saved[0]]
        self.enabled_at = math.inf if saved[1] is None else saved[1]
        self.plan(self.meter.shown)
