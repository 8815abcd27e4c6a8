"""ET52 MEP Transaction Request Table (MEP guide p. 130)."""

from __future__ import annotations

from osgp.tables.table import Access, Table
from osgp.wire import MANY, Struct
from osgp.wire import fields as f

__all__ = ["ET52"]


class ET52(
    Table,
    number=2100,
    title="MEP Transaction Request Table",
    role="control",
    source="MEP guide p. 130",
    status="verified",
    access=Access(
        read=("MBK", "MAK"), write=("MBK", "MAK"), optical_read=("MK", "PK", "RK"), nvm_write=True, nvm_read=True
    ),
    notes=(
        (
            "Total size: ET11.TRANS_REQUEST_LEN; the table text says 769 bytes, ET11 says 768 or "
            "896. Write strictly from first to last byte; execution starts when the trailing "
            "TRANS_NBR equals the leading one. At most 456 data bytes per partial write."
        ),
    ),
):
    """MEP Transaction Request Table."""

    trans_size: int = f.u16(unit="byte", vci="H", doc="total bytes incl. this field (B)")
    trans_type: int = f.u8(
        vci="H",
        values={
            0: "requests",
            1: "responses",
            2: "responses, partial",
            3: "group broadcast request",
            4: "group broadcast denied",
        },
        doc="transaction kind",
    )
    trans_nbr: int = f.u16(vci="H", doc="synchronisation number")
    group_count: int = f.u8(when=trans_type == 3, vci="H", doc="number of group IDs")
    group_ids: list[int] = f.u16(
        count=group_count,
        when=trans_type == 3,
        vci="H",
        doc="0xYYFF all sub-groups of YY, 0xFFYY or 0xFFFF all groups, 0x0000 invalid",
    )

    class Records(Struct, floor="tables"):
        """Repeated until TRANS_SIZE-2."""

        length: int = f.u16(unit="byte", vci="H", doc="message length; 0 is invalid and gives a partial response")
        message: bytes = f.binary(length, vci="H", doc="C12.18 request or response (big-endian command fields)")

    records: list[Records] = f.record(Records, count=MANY, until=trans_size - 2, doc="repeated until TRANS_SIZE-2")
    trans_nbr_end: int = f.u16(vci="H", doc="copy of TRANS_NBR")
