"""ET79 History Log Data (Alternate Event Log) (MEP guide p. 181)."""

from __future__ import annotations

from osgp.tables.bt.bt71 import BT71
from osgp.tables.et.et54 import ET54
from osgp.tables.table import Access, Table
from osgp.wire import Bits, LTime, Struct, at, bit
from osgp.wire import fields as f

__all__ = ["ET79"]


class ET79(
    Table,
    number=2127,
    title="History Log Data (Alternate Event Log)",
    role="log",
    source="MEP guide p. 181",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), optical_read=("MK", "PK", "RK"), nvm_write=True, nvm_read=True),
    notes=(
        (
            "Heading prints 0x0849; the ID 2127 is 0x084F. Enabled in manufacturing: "
            "ET54.ET79_ENTRY_COUNT non-zero. The structure names BT71.5 as dimension, the text "
            "ET54.80; the latter is used (unverified)."
        ),
    ),
):
    """History Log Data (Alternate Event Log)."""

    class ListFlags(Bits, size=1):
        """List header."""

        order: int = bit(0, 1, vci="F", default=0, values={0: "ascending, N older than N+1"}, doc="entry order")
        overflow: int = bit(1, 1, vci="M", doc="unread exceeded capacity, cleared by BP04 and BP05")
        list_type: int = bit(2, 1, vci="F", default=1, values={0: "FIFO", 1: "circular queue"}, doc="list kind")
        inhibit_overflow: int = bit(3, 1, vci="F", default=0, doc="never inhibits")
        filler: int = bit(4, 4, doc="zero")

    list_flags: ListFlags = f.bits(ListFlags, doc="list header")
    nbr_valid_entries: int = f.u16(vci="M", doc="valid entries")
    last_entry_element: int = f.u16(vci="M", doc="array index of newest entry")
    last_entry_seq_nbr: int = f.u32(vci="M", doc="4-byte sequence number, shared with BT74, never reset")
    nbr_unread_entries: int = f.u16(vci="M,H", doc="unread entries")

    class Entries(Struct, floor="tables"):
        """History records of 12+BT71.HIST_DATA_LENGTH bytes."""

        time: LTime = f.ltime(vci="M", doc="UTC")
        seq_nbr: int = f.u16(vci="M", doc="low 2 bytes of the sequence number")
        user_id: int = f.u16(
            vci="M",
            values={65535: "no user logged in", 65534: "PLC message", 65533: "MEP client"},
            doc="user of the event, else C12.18 logon user ID",
        )

        class Event(Bits, size=2):
            """Event."""

            event_id: int = bit(0, 12, doc="event code (list not in the guides)")
            filler: int = bit(12, 4, doc="zero")

        event: Event = f.bits(Event, vci="M", doc="event")
        argument: bytes = f.binary(at(BT71).hist_data_length, vci="M", doc="event argument")

    entries: list[Entries] = f.record(
        Entries, count=at(ET54).et79_entry_count, doc="history records of 12+BT71.HIST_DATA_LENGTH bytes"
    )
