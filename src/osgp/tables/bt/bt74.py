"""BT74 History Log Data (Primary Event Log) (MEP guide p. 241; optical guide p. 51)."""

from __future__ import annotations

from osgp.tables.bt.bt71 import BT71
from osgp.tables.table import Access, Table
from osgp.wire import Bits, LTime, Struct, at, bit
from osgp.wire import fields as f

__all__ = ["BT74"]


class BT74(
    Table,
    number=74,
    title="History Log Data (Primary Event Log)",
    role="log",
    source="MEP guide p. 241; optical guide p. 51",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), optical_read=("MK", "PK", "RK"), nvm_write=True, nvm_read=True),
):
    """History Log Data (Primary Event Log)."""

    class HistFlags(Bits, size=1):
        """List header."""

        order: int = bit(0, 1, vci="F", default=0, values={0: "ascending, N older than N+1"}, doc="entry order")
        overflow: int = bit(1, 1, vci="M", doc="unread exceeded capacity, cleared by BP04 and BP05")
        list_type: int = bit(2, 1, vci="F", default=1, values={0: "FIFO", 1: "circular queue"}, doc="list kind")
        inhibit_overflow: int = bit(3, 1, vci="F", default=0, doc="never inhibits")
        filler: int = bit(4, 4, doc="zero")

    hist_flags: HistFlags = f.bits(HistFlags, doc="list header")
    nbr_valid_entries: int = f.u16(vci="M", doc="valid entries, 0..BT71.NBR_HISTORY_ENTRIES")
    last_entry_element: int = f.u16(vci="M", doc="array index of newest entry")
    last_entry_seq_nbr: int = f.u32(
        vci="M", doc=("4-byte sequence number; never reset on fw 3.70+ (shared with ET79), earlier reset with the log")
    )
    nbr_unread_entries: int = f.u16(vci="M,H", doc="unread entries, decremented by host procedure")

    class Entries(Struct, floor="tables"):
        """Records of 12+BT71.HIST_DATA_LENGTH bytes."""

        history_time: LTime = f.ltime(vci="M", doc="UTC")
        history_seq_nbr: int = f.u16(vci="M", doc="low 2 bytes of the sequence number")
        user_id: int = f.u16(
            vci="M",
            values={65535: "no user logged in", 65534: "PLC, P2P or G3 message", 65533: "MEP client"},
            doc="user of the event, else C12.18 logon user ID",
        )

        class HistoryCode(Bits, size=2):
            """Event."""

            event_id: int = bit(0, 12, doc="event code (list not in the guides)")
            filler: int = bit(12, 4, doc="zero")

        history_code: HistoryCode = f.bits(HistoryCode, vci="M", doc="event")
        history_argument: bytes = f.binary(at(BT71).hist_data_length, vci="M", doc="event argument")

    entries: list[Entries] = f.record(
        Entries, count=at(BT71).nbr_history_entries, doc="records of 12+BT71.HIST_DATA_LENGTH bytes"
    )
