"""BT33 Primary Display List (MEP guide p. 221)."""

from __future__ import annotations

from osgp.tables.bt.bt30 import BT30
from osgp.tables.table import Access, Table
from osgp.wire import Bits, Struct, at, bit
from osgp.wire import fields as f

__all__ = ["BT33"]


class BT33(
    Table,
    number=33,
    title="Primary Display List",
    role="control",
    source="MEP guide p. 221",
    status="verified",
    access=Access(
        read=("MBK", "MAK"), write=("MAK",), optical_read=("MK", "PK", "RK"), nvm_write=False, nvm_read=False
    ),
):
    """Primary Display List."""

    class Lists(Struct, floor="tables"):
        """DispListDescRcd."""

        class Times0(Bits, size=1):
            """On/off time."""

            on_time: int = bit(0, 4, vci="H", default=6, doc="seconds per item 6..15; 0 = no automatic scrolling")
            off_time: int = bit(4, 4, vci="F", default=0, doc="reserved")

        times_0: Times0 = f.bits(Times0, doc="on/off time")

        class Times1(Bits, size=1):
            """Hold time and list type."""

            hold_time: int = bit(0, 4, vci="P", default=0, doc="reserved")
            default_list: int = bit(4, 4, vci="F", default=1, values={1: "normal display"}, doc="list selector")

        times_1: Times1 = f.bits(Times1, doc="hold time and list type")
        nbr_list_items: int = f.u8(vci="H", default=3, doc="items to display")

    lists: list[Lists] = f.record(Lists, count=at(BT30).nbr_pri_disp_lists, doc="DispListDescRcd")
    display_sources: list[int] = f.u16(
        count=at(BT30).nbr_pri_disp_items,
        vci="H",
        default="0x2000, 0x2001, 0x0000",
        doc="display source IDs in order (codes not in the guides)",
    )
