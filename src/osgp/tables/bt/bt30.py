"""BT30 Dimension Display (MEP guide p. 220)."""

from __future__ import annotations

from osgp.tables.table import Access, Table
from osgp.wire import Bits, bit
from osgp.wire import fields as f

__all__ = ["BT30"]


class BT30(
    Table,
    number=30,
    title="Dimension Display",
    role="dimension",
    source="MEP guide p. 220",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), optical_read=("MK", "PK", "RK"), nvm_write=False, nvm_read=False),
):
    """Dimension Display."""

    class Flags(Bits, size=1):
        """Display options."""

        on_time: int = bit(0, 1, vci="F", default=1, doc="reserved")
        off_time: int = bit(1, 1, vci="F", default=0, doc="reserved")
        hold_time: int = bit(2, 1, vci="P", default=0, doc="reserved")
        filler: int = bit(3, 5, doc="zero")

    flags: Flags = f.bits(Flags, doc="display options")
    nbr_disp_sources: int = f.u16(vci="P", default=962, doc="selectable display sources")
    width_disp_sources: int = f.u8(unit="byte", vci="F", default=2, doc="bytes per display source")
    nbr_pri_disp_items: int = f.u16(vci="P", default=30, doc="items in the primary list")
    nbr_pri_disp_lists: int = f.u8(vci="P", default=1, doc="primary lists")
    nbr_sec_disp_items: int = f.u16(vci="P", default=0, doc="reserved")
    nbr_sec_disp_lists: int = f.u8(vci="P", default=0, doc="reserved")
