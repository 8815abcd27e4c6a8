"""BT27 Present Register Selection (MEP guide p. 214)."""

from __future__ import annotations

from osgp.tables.bt.bt21 import BT21
from osgp.tables.table import Access, Table
from osgp.wire import at
from osgp.wire import fields as f

__all__ = ["BT27"]


class BT27(
    Table,
    number=27,
    title="Present Register Selection",
    role="data",
    source="MEP guide p. 214",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), optical_read=("MK", "PK", "RK"), nvm_write=True, nvm_read=True),
):
    """Present Register Selection."""

    present_demand_select: list[int] = f.u8(
        count=at(BT21).nbr_present_demands, vci="F", doc="source IDs of the present demands"
    )
    present_value_select: list[int] = f.u8(
        count=at(BT21).nbr_present_values, vci="F", doc="source IDs of the instantaneous values"
    )
