"""ET46 Control Output Read-Only Data (MEP guide p. 121)."""

from __future__ import annotations

from osgp.tables.table import Access, Table
from osgp.wire import LTime, Since
from osgp.wire import fields as f

__all__ = ["ET46"]


class ET46(
    Table,
    number=2094,
    title="Control Output Read-Only Data",
    role="status",
    source="MEP guide p. 121",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), optical_read=("MK", "PK", "RK"), nvm_write=False, nvm_read=False),
    notes=("Heading prints 2046/0x07FE; by the ET rule the ID is 2094 (0x082E).",),
):
    """Control Output Read-Only Data."""

    reserved_0: bytes = f.binary(11, doc="reserved, 0..10")
    disconnect_control_type: int = f.u8(
        vci="M/H",
        values={0: "power measurements", 1: "current measurements"},
        doc="basis of the maximum level disconnect (needs ET05.25 bit 0)",
    )
    reserved_12: int = f.u8(doc="reserved")
    prepay_neg_credit: int = f.i32(
        unit="Wh", vci="M/H", since=Since("3.70"), doc="overflow credit after prepay credit reaches 0"
    )
    max_pwr_disconnect_time: LTime = f.ltime(
        vci="M", since=Since("3.70"), doc="last opening caused by maximum power/current/average power"
    )
