"""BT08 Procedure Response (MEP guide p. 52)."""

from __future__ import annotations

from osgp.tables.et.et59 import ET59
from osgp.tables.table import Access, Table
from osgp.wire import fields as f

__all__ = ["BT08"]


class BT08(
    Table,
    number=8,
    title="Procedure Response",
    role="procedure",
    source="MEP guide p. 52",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), nvm_write=False, nvm_read=False),
    notes=(("Same header as ET59; used by optical/PLC users and by MEP client 1 when ET50 ET59_RESPONSE is 0."),),
):
    """Procedure Response."""

    response: ET59 = f.record(ET59, doc="structure of ET59")
