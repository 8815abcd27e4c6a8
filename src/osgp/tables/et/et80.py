"""ET80 Average Power Settings (MEP guide p. 183)."""

from __future__ import annotations

from osgp.tables.table import Access, Table
from osgp.wire import fields as f

__all__ = ["ET80"]


class ET80(
    Table,
    number=2128,
    title="Average Power Settings",
    role="control",
    source="MEP guide p. 183",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=("MAK",), optical_read=("MK", "PK", "RK"), nvm_write=True, nvm_read=False),
    notes=(
        (
            "Fw 3.70+, modules 1.20+. Main interval = sub-interval * multiplier; multiplier 1 = "
            "block, more = rolling average."
        ),
    ),
):
    """Average Power Settings."""

    enabled: int = f.u8(vci="H", default=0, values={0: "disabled", 1: "enabled"}, doc="average power calculation")
    sub_interval: int = f.u16(
        unit="s", vci="H", default=1, doc="divisor of 60 s, of 60 min or of 24 h (text also says 1..60 minutes)"
    )
    multiplier: int = f.u8(vci="H", default=15, doc="1..15")
    disconnect_threshold: int = f.u32(unit="W", vci="H", default=0, doc="average power that opens the disconnect")
