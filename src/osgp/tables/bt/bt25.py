"""BT25 Previous Demand Reset Data (MEP guide p. 212)."""

from __future__ import annotations

from osgp.tables.bt.bt21 import BT21
from osgp.tables.bt.bt23 import BT23
from osgp.tables.table import Access, Table
from osgp.wire import STime, at
from osgp.wire import fields as f

__all__ = ["BT25"]


class BT25(
    Table,
    number=25,
    title="Previous Demand Reset Data",
    role="data",
    source="MEP guide p. 212",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), optical_read=("MK", "PK", "RK"), nvm_write=False, nvm_read=True),
):
    """Previous Demand Reset Data."""

    end_time: STime = f.stime(when=at(BT21).flags0.date_time == 1, vci="M", doc="time of capture")
    season: int = f.u8(when=at(BT21).flags0.season_info == 1, vci="M", doc="season")
    reg_data: BT23 = f.record(BT23, doc="data at the last demand reset, BT23 format")
