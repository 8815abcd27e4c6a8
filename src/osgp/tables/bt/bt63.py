"""BT63 Load Profile Status (MEP guide p. 236; optical guide p. 34)."""

from __future__ import annotations

from osgp.tables.table import Access, Table
from osgp.wire import Bits, Struct, bit, env
from osgp.wire import fields as f

__all__ = ["BT63"]


class BT63(
    Table,
    number=63,
    title="Load Profile Status",
    role="status",
    source="MEP guide p. 236; optical guide p. 34",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), optical_read=("MK", "PK", "RK"), nvm_write=False, nvm_read=False),
):
    """Load Profile Status."""

    class Sets(Struct, floor="tables"):
        """Per data set, 13 bytes."""

        class SetStatus(Bits, size=1):
            """List flags."""

            block_order: int = bit(
                0, 1, vci="F", default=0, values={0: "ascending, N older than N+1"}, doc="block order"
            )
            overflow: int = bit(1, 1, vci="M", doc="unread exceeded capacity; cleared by EP11, BP04, BP05")
            list_type: int = bit(2, 1, vci="F", default=1, values={0: "FIFO", 1: "circular queue"}, doc="list kind")
            block_inhibit_ovf: int = bit(3, 1, vci="F", default=0, doc="never inhibits")
            interval_order: int = bit(4, 1, vci="F", default=0, values={0: "ascending"}, doc="interval order")
            active_mode: int = bit(5, 1, vci="M", doc="collecting data")
            test_mode: int = bit(6, 1, vci="P", default=0, doc="not supported")
            unlisted_7: int = bit(7, 1, doc="not listed")

        set_status: SetStatus = f.bits(SetStatus, doc="list flags")
        nbr_valid_blocks: int = f.u16(vci="M", doc="valid blocks, 0..BT61 blocks")
        last_block_element: int = f.u16(vci="M", doc="array index of newest block")
        last_block_seq_nbr: int = f.u32(vci="M", doc="sequence number of newest block")
        nbr_unread_blocks: int = f.u16(vci="H", doc="unread blocks, decremented by host procedure")
        nbr_valid_int: int = f.u16(vci="M", doc="valid intervals in the newest block")

    sets: list[Sets] = f.record(Sets, count=env.lp_sets, doc="per data set, 13 bytes")
