"""BT24 Previous Season Data (MEP guide p. 211)."""

from __future__ import annotations

from osgp.tables.bt.bt21 import BT21
from osgp.tables.bt.bt23 import BT23
from osgp.tables.table import Access, Table
from osgp.wire import STime, at
from osgp.wire import fields as f

__all__ = ["BT24"]


class BT24(
    Table,
    number=24,
    title="Previous Season Data",
    role="data",
    source="MEP guide p. 211",
    status="verified",
    access=Access(
        read=("MBK", "MAK"),
        write=("MAK",),
        optical_read=("MK", "PK", "RK"),
        optical_write=("MK", "PK"),
        nvm_write=False,
        nvm_read=True,
    ),
    notes=(
        (
            "The text names only the total and tier blocks of BT23, not the demand reset count; "
            "C12.19 and BT23 layout used here (unverified)."
        ),
        ("Read-only on fw 3.7x, 4.10+ and modules 1.2x; can be reset with EP64 on fw 4.10+."),
    ),
):
    """Previous Season Data."""

    end_time: STime = f.stime(when=at(BT21).flags0.date_time == 1, vci="M", doc="local time (BT55) of capture")
    season: int = f.u8(when=at(BT21).flags0.season_info == 1, vci="M", doc="season")
    reg_data: BT23 = f.record(BT23, doc="snapshot in BT23 format")
