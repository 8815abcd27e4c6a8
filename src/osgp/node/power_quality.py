"""Power quality in ET09 and the outage log ET81 (MEP guide p. 67, 185).

Voltage and frequency are sampled every hour, with an interval of the first data set, so that a day stays cheap: sags and surges
count when a sample lies beyond a threshold and the one before did not (project choice).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from osgp.node.clockwork import utc_datetime
from osgp.node.ring_log import RingLog
from osgp.tables.et.et04 import ET04
from osgp.tables.et.et09 import ET09
from osgp.tables.et.et36 import ET36
from osgp.tables.et.et81 import ET81
from osgp.wire import LTime

if TYPE_CHECKING:
    from osgp.node.meter import Meter

__all__ = ["PowerQuality"]

_POWER_FAILURE = 3


class PowerQuality:
    """Watches for a meter."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        image = meter.image
        logs = image.decode(ET36).logs if ET36.number in image else []
        self.log = RingLog(image, ET81, logs[6].current_entries if len(logs) > 6 else 0)
        self._rated_mv = int(image.get(ET04, "rated_voltage")) * 1000
        self._low_hz: int | None = None
        self._high_hz: int | None = None

    def sample(self) -> None:
        """Look at voltage and frequency now; the table is touched only when something is new."""
        meter = self.meter
        instant = meter.source.instant(meter.at)
        mhz = round(instant.frequency_hz * 1000)
        table: Any = None
        if self._low_hz is None or self._high_hz is None:
            table = meter.image.decode(ET09)
            self._low_hz, self._high_hz = table.min_freq, table.max_freq
            self._sag, self._surge = table.sag1_threshold, table.surge_threshold
        moment = LTime.of(utc_datetime(meter.shown))
        beyond = []
        for number, phase in enumerate(instant.phases, 1):
            millivolts = round(phase.voltage_v * 1000)
            if millivolts < self._rated_mv * (100 - self._sag) // 100:
                beyond.append((number, "sag1", "voltage_sag", millivolts))
            elif millivolts > self._rated_mv * (100 + self._surge) // 100:
                beyond.append((number, "surge", "voltage_surge", millivolts))
        if not beyond and self._low_hz <= mhz <= self._high_hz:
            return
        table = meter.image.decode(ET09) if table is None else table
        if mhz < table.min_freq:
            table.min_freq, table.min_freq_time = mhz, moment
        if mhz > table.max_freq:
            table.max_freq, table.max_freq_time = mhz, moment
        self._low_hz, self._high_hz = table.min_freq, table.max_freq
        for number, name, event, millivolts in beyond:
            setattr(table, f"l{number}_{name}_time", moment)
            setattr(table, f"l{number}_{name}_count", getattr(table, f"l{number}_{name}_count") + 1 & 0xFFFF)
            setattr(table, f"l{number}_{name}_voltage", millivolts)
            meter.log(event, number)
            meter.alarm("mfg_status_3", "pq_event")
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
