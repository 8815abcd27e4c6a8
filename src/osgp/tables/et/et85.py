"""ET85 MEP Procedure Response (MEP2) (MEP guide p. 186)."""

from __future__ import annotations

from osgp.tables.et.et59 import ET59
from osgp.tables.table import Access, Table
from osgp.wire import fields as f

__all__ = ["ET85"]


class ET85(
    Table,
    number=2133,
    title="MEP Procedure Response (MEP2)",
    role="status",
    source="MEP guide p. 186",
    status="verified",
    access=Access(
        read=("MBK", "MAK"),
        write=(),
        optical_read=("MK", "PK", "RK"),
        nvm_write=False,
        nvm_read=False,
        clients=("meter",),
    ),
    notes=("Fw 4.0+ meters only; response table of MEP client 2.",),
):
    """MEP Procedure Response (MEP2)."""

    response: ET59 = f.record(ET59, doc="structure of ET59")
