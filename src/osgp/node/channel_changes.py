"""ET75: the log of what changed in the primary load profile set, for interval billing by Welmec 11.2 (MEP guide p. 177).

It is written only by a meter that is set to comply (ET54 WELMEC_11_2, which no key writes). The first entry tells when that
began; each later one when a change applies and what held before. While the log is full nothing that it would have to
tell can be changed. Project choices: such a change is answered with 3 (procedures) or 04 (ET62).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from osgp.node.clockwork import utc_datetime
from osgp.node.ring_log import RingLog
from osgp.tables.bt.bt20 import BT20
from osgp.tables.bt.bt60 import BT60
from osgp.tables.et.et36 import ET36
from osgp.tables.et.et54 import ET54
from osgp.tables.et.et55 import ET55
from osgp.tables.et.et62 import ET62
from osgp.tables.et.et75 import ET75
from osgp.wire import STime, layout_of

if TYPE_CHECKING:
    from osgp.node.meter import Meter

__all__ = ["ChannelChanges"]


class ChannelChanges:
    """The log of one meter."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.make_log()

    def make_log(self) -> None:
        """Sized as ET36 says now."""
        image = self.meter.image
        logs = image.decode(ET36).logs if ET36.number in image else []
        self.log = RingLog(image, ET75, logs[5].current_entries if len(logs) > 5 else 0)

    @property
    def complies(self) -> bool:
        """Whether the meter complies with Welmec 11.2."""
        image = self.meter.image
        status: Any = image.decode(ET54).status_71 if ET54.number in image else None
        return status is not None and bool(status.welmec_11_2)

    @property
    def primary(self) -> int:
        """The primary data set, from 0."""
        image = self.meter.image
        return int(image.decode(ET55).primary_lp_index or 0) if ET55.number in image else 0

    def comply(self) -> None:
        """Begin to comply (a factory setting)."""
        table: Any = self.meter.image.decode(ET54)
        table.status_71 = table.status_71.with_(welmec_11_2=1)
        self.meter.image.encode(table)
        if not self.full:
            self._append(self.meter.shown)

    @property
    def full(self) -> bool:
        """Whether there is no room for another entry."""
        return self.log.get("nbr_valid_entries") >= self.log.capacity

    def allow(self) -> bool:
        """Something that the log must tell is about to change: note it. False: it must not."""
        if not self.complies:
            return True
        if self.full:
            return False
        profile = next((one for one in self.meter.profiles if one.index == self.primary), None)
        self._append(profile.end_after(self.meter.shown) if profile is not None else self.meter.shown)
        return True

    def _append(self, moment: float) -> None:
        meter, image = self.meter, self.meter.image
        channels, demands = int(image.get(BT60, "sets[0].nbr_chns")), int(image.get(BT20, "nbr_demands"))
        profile = next((one for one in meter.profiles if one.index == self.primary), None)
        sources = list(meter.extended_sources(profile)) if profile is not None else []
        entry = bytes(STime.of(utc_datetime(moment)))
        entry += b"".join(each.to_bytes(2, "little") for each in [*sources, *[0] * channels][:channels])
        entry += bytes([*meter.demand_sources, *[0] * demands][:demands])
        entry += bytes([meter.demand.minutes, meter.demand.multiplier])
        if ET62.number in image:
            layout = layout_of(ET62, image.context)
            for channel in range(channels):
                span = layout.span(f"channels[{channel}]")
                entry += image.read_part(ET62.number, span.offset, span.size)
        self.log.append(entry)
