"""Copies of the registers: self reads (BT26), one-time reads (ET31), the previous season (BT24), the previous demand reset
(BT25, ET41). All are bytes of BT23 with a local time and a season before them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from osgp.node.ring_log import RingLog
from osgp.tables.bt.bt21 import BT21
from osgp.tables.bt.bt26 import BT26
from osgp.tables.et.et31 import ET31
from osgp.tables.et.et36 import ET36
from osgp.tables.et.et41 import ET41
from osgp.tables.et.et42 import ET42
from osgp.wire import STime

if TYPE_CHECKING:
    from osgp.node.meter import Meter

__all__ = ["SelfReads"]


class SelfReads:
    """Takes them for a meter."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        image = meter.image
        actual = image.context.table(BT21)
        self.daily = RingLog(image, BT26, actual.nbr_self_reads)
        self.one_time = RingLog(image, ET31, actual.nbr_self_reads)
        resets = image.decode(ET36).logs[3].current_entries if ET36.number in image else 0
        self.resets = RingLog(image, ET41, resets)
        self._with_bidn = actual.nbr_demands != 0

    def _bidn(self) -> bytes:
        if ET42.number not in self.meter.image:
            return b"\1\0"
        return int(self.meter.image.get(ET42, "bidn")).to_bytes(2, "little")

    def _stamp(self, season: int | None = None) -> bytes:
        moment = STime.of(self.meter.local)
        return bytes(moment) + bytes([self.meter.tariff.season if season is None else season])

    def _entry(self) -> bytes:
        return (self._bidn() if self._with_bidn else b"") + self._stamp() + self.meter.views.registers()

    def self_read(self) -> None:
        """A scheduled or asked-for self read."""
        self.daily.append(self._entry())
        self.meter.log("self_read")
        self.meter.alarm("mfg_status_0", "self_read")

    def one_time_read(self) -> None:
        """A one-time read."""
        self.one_time.append(self._entry())

    def previous_season(self, season: int) -> None:
        """The season ``season`` ends: BT24 keeps its registers, and a self read is taken (BT50 SEASON_SELF_READ)."""
        self.meter.image.put(24, self._stamp(season) + self.meter.views.registers())
        self.self_read()

    def previous_demand_reset(self, reason: int) -> None:
        """BT25, and an entry of ET41 with its reason."""
        copy = self._stamp() + self.meter.views.registers()
        self.meter.image.put(25, copy)
        body = bytes([reason]) + self._bidn() + copy
        self.resets.append((len(body)).to_bytes(2, "little") + body)
