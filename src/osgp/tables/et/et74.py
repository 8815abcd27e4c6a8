"""ET74 MEP Recurring Read Extended Log (MEP guide p. 176)."""

from __future__ import annotations

from osgp.tables.et.et16 import ET16
from osgp.tables.et.et36 import ET36
from osgp.tables.et.et54 import ET54
from osgp.tables.table import Access, Table
from osgp.wire import Bits, Struct, at, bit
from osgp.wire import fields as f

__all__ = ["ET74"]


class ET74(
    Table,
    number=2122,
    title="MEP Recurring Read Extended Log",
    role="log",
    source="MEP guide p. 176",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), optical_read=("MK", "PK", "RK"), nvm_write=False, nvm_read=False),
    notes=("FIFO overflow store that feeds ET45; entry size as ET45. Fw 3.60+.",),
):
    """MEP Recurring Read Extended Log."""

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
    nbr_valid_entries: int = f.u16(vci="M", doc="valid records")
    last_entry_element: int = f.u16(vci="F", default=0, doc="array element of newest entry")
    last_entry_seq_nbr: int = f.u16(vci="M", doc="never reset")
    nbr_unread_entries: int = f.u16(vci="M,H", doc="records not yet moved to ET45")

    class Entries(Struct, floor="tables"):
        """Scheduled reads."""

        length: int = f.u16(
            unit="byte", vci="M", doc="billing read bytes incl. handle and 0 terminator (M-Bus), excl. this field"
        )
        filler: int = f.u16(vci="M", doc="reserved")
        handle: int = f.u16(vci="M", doc="device handle")
        exec_status: int = f.u8(vci="M", values={0: "normal", 2: "delayed, power-up backfill"}, doc="execution status")
        result: int = f.u8(vci="M", values={4: "success"}, doc="result")
        data: ET16.DeviceData = f.record(ET16.DeviceData, index=4 * (handle >= 1000), vci="M", doc="MBR, see ET16")

    entries: list[Entries] = f.record(
        Entries, count=at(ET54).et74_entry_count, stride=at(ET36).logs[4].entry_size, doc="scheduled reads"
    )
