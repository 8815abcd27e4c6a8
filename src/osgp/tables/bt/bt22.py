"""BT22 Data Selection (MEP guide p. 202; optical guide p. 23)."""

from __future__ import annotations

from osgp.tables.bt.bt21 import BT21
from osgp.tables.table import Access, Table
from osgp.wire import at
from osgp.wire import fields as f

__all__ = ["BT22"]


class BT22(
    Table,
    number=22,
    title="Data Selection",
    role="data",
    source="MEP guide p. 202; optical guide p. 23",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), optical_read=("MK", "PK", "RK"), nvm_write=True, nvm_read=True),
):
    """Data Selection."""

    summation_select: list[int] = f.u8(count=at(BT21).nbr_summations, vci="M", doc="source IDs of the summations")
    demand_select: list[int] = f.u8(count=at(BT21).nbr_demands, vci="M", doc="source IDs of the demands")
    min_max_flags: bytes = f.binary(
        (at(BT21).nbr_demands + 7) // 8, vci="M", doc="bit per demand, LSB first: 0 minimum, 1 maximum"
    )
    coincident_select: list[int] = f.u8(
        count=at(BT21).nbr_coincident, vci="M", doc="source IDs of the coincident values"
    )
    coin_demand_assoc: list[int] = f.u8(
        count=at(BT21).nbr_coincident, vci="M", doc="index into DEMAND_SELECT of each coincident value"
    )
