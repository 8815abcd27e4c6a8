"""ET45 MEP Recurring Read Log (MEP guide p. 119)."""

from __future__ import annotations

from osgp.tables.et.et16 import ET16
from osgp.tables.et.et36 import ET36
from osgp.tables.table import Access, Table
from osgp.wire import Bits, Struct, at, bit
from osgp.wire import fields as f

__all__ = ["ET45"]


class ET45(
    Table,
    number=2093,
    title="MEP Recurring Read Log",
    role="log",
    source="MEP guide p. 119",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), optical_read=("MK", "PK", "RK"), nvm_write=True, nvm_read=False),
    notes=(("Dimensions in ET36.LOGS[4]. First read of a newly commissioned device goes to ET16 instead."),),
):
    """MEP Recurring Read Log."""

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
    nbr_unread_entries: int = f.u8(vci="M,H", doc="unread records; maintained for the head-end, do not change")

    class Entries(Struct, floor="tables"):
        """Scheduled reads."""

        length: int = f.u16(
            unit="byte", vci="M", doc="billing read bytes incl. handle and 0 terminator (M-Bus), excl. this field"
        )

        class Identifier(Bits, size=2):
            """Namespace-specific identifier."""

            id: int = bit(0, 11, doc="identifier")
            namespace: int = bit(
                11, 5, values={0: "manufacturer specific", 1: "DLMS", 2: "OSGP"}, doc="others reserved"
            )

        identifier: Identifier = f.bits(Identifier, doc="namespace-specific identifier")
        handle: int = f.u16(vci="M", doc="device handle")
        exec_status: int = f.u8(vci="M", values={0: "normal", 2: "delayed, power-up backfill"}, doc="execution status")
        result: int = f.u8(vci="M", values={4: "success"}, doc="result")
        data: ET16.DeviceData = f.record(
            ET16.DeviceData, index=4 * (handle >= 1000), vci="M", doc="MBR, see ET16 (slot kind follows from HANDLE)"
        )

    entries: list[Entries] = f.record(
        Entries, count=at(ET36).logs[4].current_entries, stride=at(ET36).logs[4].entry_size, doc="scheduled reads"
    )
