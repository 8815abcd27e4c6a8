"""ET36 Manufacturer (Extended) Table Actual Dimensions (MEP guide p. 107)."""

from __future__ import annotations

from osgp.tables.table import Access, Table
from osgp.wire import Bits, Struct, bit
from osgp.wire import fields as f

__all__ = ["ET36"]


class ET36(
    Table,
    number=2084,
    title="Manufacturer (Extended) Table Actual Dimensions",
    role="dimension",
    source="MEP guide p. 107",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), optical_read=("MK", "PK", "RK"), nvm_write=True, nvm_read=False),
    notes=(
        (
            "Changed only by EP06 or EP37 (ET41 size also EP32). Order of LOGS: 0 ET31, 1 ET32, 2"
            " ET38, 3 ET41, 4 ET45, 5 ET75, 6 ET81 (from the root-table offsets in ET42)."
        ),
        (
            "Bitmap offset is printed (Count*10)+1; with 17-byte records it must be Count*17+1. "
            "ET42 cites ET36.90 and ET36.107/103 for records 5 and 6; 17-byte records give 92 and"
            " 109/105."
        ),
    ),
):
    """Manufacturer (Extended) Table Actual Dimensions."""

    count: int = f.u8(vci="P", default=7, doc="tables described")

    class Logs(Struct, floor="tables"):
        """Actual dimensions per log."""

        class TableId(Bits, size=2):
            """Table identifier (TABLE_IDC)."""

            tbl_nbr: int = bit(0, 11, doc="table number of the log")
            extended: int = bit(11, 1, values={0: "basic", 1: "extended"}, doc="standard versus manufacturer flag")
            procedure_flag: int = bit(12, 1, doc="n/a")
            flags: int = bit(13, 3, doc="reserved")

        table_id: TableId = f.bits(TableId, vci="F", doc="table identifier (TABLE_IDC)")
        entry_size: int = f.u16(
            unit="byte",
            vci="M/P",
            default="ET31 232, ET32 525, ET38 35, ET45 525, ET75 143, ET81 12",
            doc=(
                "entry size without the list header; ET41 variable; 143 of ET75 is its layout with 4-character IDs, generation 4 gives 159 (unverified)"
            ),
        )
        max_entries: int = f.u16(
            vci="M/P", default="255; ET45, ET75 and ET81 253", doc="most entries that can be configured"
        )
        current_entries: int = f.u16(vci="M", default="ET31 2, ET32 8, ET38 10, others 0", doc="configured entries")

        class Flags(Bits, size=1):
            """Entry flags."""

            length_included: int = bit(0, 1, vci="P", doc="1 = each entry starts with a 2-byte length")
            unused: int = bit(1, 7, vci="M", doc="reserved")

        flags: Flags = f.bits(Flags, doc="entry flags")
        spare: bytes = f.binary(8, doc="reserved")

    logs: list[Logs] = f.record(Logs, count=count, stride=17, doc="actual dimensions per log")
    unread_bitmap: bytes = f.binary((count - 1) // 8 + 1, doc="one bit per log, LSB first, 1 = unread entries")
