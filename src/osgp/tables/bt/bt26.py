"""BT26 Self-Read Data (MEP guide p. 212; optical guide p. 28)."""

from __future__ import annotations

from osgp.tables.bt.bt21 import BT21
from osgp.tables.bt.bt23 import BT23
from osgp.tables.table import Access, Table
from osgp.wire import Bits, STime, Struct, at, bit
from osgp.wire import fields as f

__all__ = ["BT26"]


class BT26(
    Table,
    number=26,
    title="Self-Read Data",
    role="log",
    source="MEP guide p. 212; optical guide p. 28",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), optical_read=("MK", "PK", "RK"), nvm_write=True, nvm_read=True),
    notes=(
        (
            "Guide offsets of the entry (6, 8, 13, 14) assume BIDN is present. The array heading "
            "is only in the optical guide."
        ),
    ),
):
    """Self-Read Data."""

    class ListStatus(Bits, size=1):
        """List header."""

        order: int = bit(0, 1, vci="F", default=0, values={0: "ascending, N older than N+1"}, doc="entry order")
        overflow: int = bit(1, 1, vci="M", doc="old data was overwritten")
        list_type: int = bit(
            2, 1, vci="F", default=1, values={0: "max entries is 0", 1: "circular queue"}, doc="list kind"
        )
        inhibit_overflow: int = bit(3, 1, vci="F", default=0, doc="never inhibits")
        filler: int = bit(4, 4, doc="zero")

    list_status: ListStatus = f.bits(ListStatus, doc="list header")
    nbr_valid_entries: int = f.u8(vci="M", doc="valid records, 0..BT21.NBR_SELF_READS")
    last_entry_element: int = f.u8(vci="M", doc="array element of newest record")
    last_entry_seq_nbr: int = f.u16(vci="M", doc="never reset")
    nbr_unread_entries: int = f.u8(vci="M,H", doc="unread records, maintained for the head-end")

    class Entries(Struct, floor="tables"):
        """Self-read records."""

        bidn: int = f.u16(when=at(BT21).nbr_demands != 0, vci="M", doc="billing interface definition number")
        end_time: STime = f.stime(when=at(BT21).flags0.date_time == 1, vci="M", doc="local time (BT55) of capture")
        season: int = f.u8(when=at(BT21).flags0.season_info == 1, vci="M", doc="season")
        reg_data: BT23 = f.record(BT23, doc="snapshot in BT23 format")

    entries: list[Entries] = f.record(Entries, count=at(BT21).nbr_self_reads, doc="self-read records")
