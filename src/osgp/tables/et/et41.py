"""ET41 Historical Demand Reset Log (MEP guide p. 110)."""

from __future__ import annotations

from osgp.tables.bt.bt23 import BT23
from osgp.tables.et.et36 import ET36
from osgp.tables.table import Access, Table
from osgp.wire import Bits, STime, Struct, at, bit
from osgp.wire import fields as f

__all__ = ["ET41"]


class ET41(
    Table,
    number=2089,
    title="Historical Demand Reset Log",
    role="log",
    source="MEP guide p. 110",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), nvm_write=False, nvm_read=True),
    notes=("Newest entry is copied to BT25.",),
):
    """Historical Demand Reset Log."""

    class ListFlags(Bits, size=1):
        """List header."""

        order: int = bit(0, 1, vci="F", default=0, values={0: "ascending, N older than N+1"}, doc="entry order")
        overflow: int = bit(1, 1, vci="M", doc="old data was overwritten")
        list_type: int = bit(2, 1, vci="F", default=1, values={1: "circular queue"}, doc="list kind")
        inhibit_overflow: int = bit(3, 1, vci="F", default=0, doc="never inhibits")
        filler: int = bit(4, 4, doc="zero")

    list_flags: ListFlags = f.bits(ListFlags, doc="list header")
    nbr_valid_entries: int = f.u8(vci="M", doc="valid records")
    last_entry_element: int = f.u8(vci="F", default=0, doc="array element of newest entry")
    last_entry_seq_nbr: int = f.u16(vci="M", doc="never reset")
    nbr_unread_entries: int = f.u8(vci="M,H", doc="unread records")

    class Entries(Struct, floor="tables"):
        """Previous demand resets."""

        length: int = f.u16(unit="byte", vci="M", doc="entry length")
        reset_reason: int = f.u8(
            vci="M",
            values={0: "scheduled", 1: "procedural (EP33, EP34)", 2: "push button", 3: "pending table activation"},
            doc="reset cause",
        )
        bidn: int = f.u16(vci="M", doc="billing interface definition number")
        timestamp: STime = f.stime(vci="M", doc="local time (BT55)")
        season: int = f.u8(vci="M", doc="season")
        reg_data: BT23 = f.record(BT23, vci="M", doc="demand reset data in BT23 format")

    entries: list[Entries] = f.record(
        Entries,
        count=at(ET36).logs[3].current_entries,
        stride=at(ET36).logs[3].entry_size,
        doc="previous demand resets",
    )
