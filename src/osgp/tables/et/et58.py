"""ET58 M-Bus/MEP Status Extension (MEP guide p. 165)."""

from __future__ import annotations

from osgp.tables.et.et11 import ET11
from osgp.tables.table import Access, Table
from osgp.wire import Struct, at
from osgp.wire import fields as f

__all__ = ["ET58"]


class ET58(
    Table,
    number=2106,
    title="M-Bus/MEP Status Extension",
    role="status",
    source="MEP guide p. 165",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), optical_read=("MK", "PK", "RK"), nvm_write=False, nvm_read=False),
):
    """M-Bus/MEP Status Extension."""

    class Status(Struct, floor="tables"):
        """Per device."""

        control_status: int = f.u8(vci="M", doc="latest control status selected by ET34.CONTROL_MDT")
        reserved_1: bytes = f.binary(19, doc="reserved")

    status: list[Status] = f.record(Status, count=at(ET11).nbr_devices, doc="per device")
