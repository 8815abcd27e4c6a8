"""ET59 MEP Procedure Response (MEP guide p. 165)."""

from __future__ import annotations

from osgp.tables.bt.bt00 import BT00
from osgp.tables.table import Access, Table
from osgp.wire import Bits, at, bit
from osgp.wire import fields as f

__all__ = ["ET59"]


class ET59(
    Table,
    number=2107,
    title="MEP Procedure Response",
    role="status",
    source="MEP guide p. 165",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), optical_read=("MK", "PK", "RK"), nvm_write=False, nvm_read=False),
    notes=("Response table of MEP client 1 when ET50 ET59_RESPONSE is set.",),
):
    """MEP Procedure Response."""

    class Proc(Bits, size=2):
        """Procedure of this response."""

        proc_nbr: int = bit(0, 12, vci="M", doc="procedure last executed (bit 11 set = extended procedure)")
        filler: int = bit(12, 4, doc="zero")

    proc: Proc = f.bits(Proc, doc="procedure of this response")
    psn: int = f.u8(vci="M", doc="procedure sequence number copied from BT07")
    result_code: int = f.u8(
        vci="M",
        values={
            0: "completed",
            1: "accepted, not fully completed",
            2: "invalid parameter, ignored",
            3: "conflict with device setup, ignored",
            4: "timing constraint, ignored",
            5: "no authorization, ignored",
            6: "unrecognized procedure, ignored",
        },
        doc="ANSI result code; procedures may define others",
    )
    response_data: bytes = f.binary(
        at(BT00).resp_data_len,
        at_most=True,
        vci="M",
        doc=("procedure-specific data, at most this long (not in the table chart; offset 4 from EP19)"),
    )
