"""ET57 M-Bus Data Type Table (MEP guide p. 163)."""

from __future__ import annotations

from osgp.tables.et.et11 import ET11
from osgp.tables.table import Access, Table
from osgp.wire import Bits, Struct, at, bit
from osgp.wire import fields as f

__all__ = ["ET57"]


class ET57(
    Table,
    number=2105,
    title="M-Bus Data Type Table",
    role="control",
    source="MEP guide p. 163",
    status="verified",
    access=Access(
        read=("MBK", "MAK"), write=("MAK",), optical_read=("MK", "PK", "RK"), nvm_write=False, nvm_read=False
    ),
    notes=(
        ("DRHs longer than 3 bytes continue in following entries of type 3; lengths are implied by the DRH itself."),
    ),
):
    """M-Bus Data Type Table."""

    class Entries(Struct, floor="tables"):
        """MDT entries."""

        class Type(Bits, size=1):
            """Entry type and MDT."""

            entry_type: int = bit(
                0,
                2,
                default=0,
                values={0: "empty", 1: "M-Bus base entry", 2: "MEP base entry", 3: "extension of previous"},
                doc="kind of entry",
            )
            mdt: int = bit(2, 5, default=0, doc="M-Bus data type number (ignored for extensions)")
            special: int = bit(7, 1, default=0, doc="special meaning, e.g. temperature corrected; preferred on match")

        type: Type = f.bits(Type, doc="entry type and MDT")
        drh: bytes = f.binary(
            3,
            vci="H",
            doc=("data record header; for MEP base entries byte 0 offset, byte 1 length, byte 2 first compare byte"),
        )

    entries: list[Entries] = f.record(Entries, count=at(ET11).nbr_et57_entries, vci="H", doc="MDT entries")
