"""ET81 Power Outage Log (MEP guide p. 185)."""

from __future__ import annotations

from osgp.tables.et.et36 import ET36
from osgp.tables.table import Access, Table
from osgp.wire import Bits, LTime, Struct, at, bit
from osgp.wire import fields as f

__all__ = ["ET81"]


class ET81(
    Table,
    number=2129,
    title="Power Outage Log",
    role="log",
    source="MEP guide p. 185",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), optical_read=("MK", "PK", "RK"), nvm_write=False, nvm_read=True),
    notes=("Fw 3.70+, modules 1.20+.",),
):
    """Power Outage Log."""

    class ListFlags(Bits, size=1):
        """List header."""

        order: int = bit(0, 1, vci="F", default=0, values={0: "ascending, N older than N+1"}, doc="entry order")
        overflow: int = bit(1, 1, vci="M", doc="old data was overwritten")
        list_type: int = bit(
            2, 1, vci="F", default=1, values={0: "max entries is 0", 1: "circular queue"}, doc="list kind"
        )
        inhibit_overflow: int = bit(3, 1, vci="F", default=0, doc="never inhibits")
        filler: int = bit(4, 4, doc="zero")

    list_flags: ListFlags = f.bits(ListFlags, doc="list header")
    nbr_valid_entries: int = f.u8(vci="M", doc="valid records")
    last_entry_element: int = f.u8(vci="F", default=0, doc="array element of newest entry")
    last_entry_seq_nbr: int = f.u16(vci="M", doc="never reset")
    nbr_unread_entries: int = f.u8(vci="M,H", doc="unread records")

    class Entries(Struct, floor="tables"):
        """Outages (12 bytes)."""

        start: LTime = f.ltime(vci="M", doc="local start of the outage")
        end: LTime = f.ltime(vci="M", doc="local end of the outage")

    entries: list[Entries] = f.record(
        Entries, count=at(ET36).logs[6].current_entries, stride=at(ET36).logs[6].entry_size, doc="outages (12 bytes)"
    )
