"""ET53 MEP Transaction Response Table (MEP guide p. 132)."""

from __future__ import annotations

from osgp.tables.et.et52 import ET52
from osgp.tables.table import Access, Table
from osgp.wire import fields as f

__all__ = ["ET53"]


class ET53(
    Table,
    number=2101,
    title="MEP Transaction Response Table",
    role="status",
    source="MEP guide p. 132",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), optical_read=("MK", "PK", "RK"), nvm_write=True, nvm_read=True),
    notes=(
        ("Same structure as ET52; 1785 bytes (ET11.TRANS_RESPONSE_LEN). Shared by both MEP ports, lock with EP61."),
    ),
):
    """MEP Transaction Response Table."""

    response: ET52 = f.record(ET52, doc="structure of ET52")
