"""BT07 Procedure Initiate (MEP guide p. 52)."""

from __future__ import annotations

from osgp.tables.bt.bt00 import BT00
from osgp.tables.table import Access, Table
from osgp.wire import Bits, at, bit
from osgp.wire import fields as f

__all__ = ["BT07"]


class BT07(
    Table,
    number=7,
    title="Procedure Initiate",
    role="procedure",
    source="MEP guide p. 52",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=("MBK", "MAK"), nvm_write=False, nvm_read=False),
    notes=(
        (
            "No access chart of its own: write per Appendix C, read per the rule that both keys "
            "read every table (unverified)."
        ),
        (
            "Layout from 'Procedure Header Fields' (MEP guide pp. 51-53). Responses appear in "
            "BT08, ET59 or ET85 within 1 s. As a direct table write it is limited by "
            "BT00.PROC_PARAM_LEN; inside an ET52 transaction the BT07 capacity limit does not "
            "apply."
        ),
    ),
):
    """Procedure Initiate."""

    class Proc(Bits, size=2):
        """Procedure to execute."""

        proc_nbr: int = bit(0, 12, doc="BPnn = nn, EPnn = 0x800 + nn (range printed 0..2065)")
        response_handling: int = bit(
            12, 4, vci="P", default=0, values={0: "post response on completion"}, doc="response handling"
        )

    proc: Proc = f.bits(Proc, vci="H", doc="procedure to execute")
    psn: int = f.u8(
        vci="H",
        doc=(
            "sequence number returned in the response; MEP clients use 5..9, first not 255, "
            "consecutive values must differ (else response code 0x04)"
        ),
    )
    parameters: bytes = f.binary(
        at(BT00).proc_param_len, at_most=True, vci="H", doc="procedure parameters, at most this long"
    )
