"""BT15 Constants (MEP guide p. 199)."""

from __future__ import annotations

from osgp.tables.table import Access, Table
from osgp.wire import Bits, bit
from osgp.wire import fields as f

__all__ = ["BT15"]


class BT15(
    Table,
    number=15,
    title="Constants",
    role="data",
    source="MEP guide p. 199",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=("MAK",), optical_read=("MK", "PK", "RK"), nvm_write=True, nvm_read=False),
    notes=(
        ("CT/VT ratios concern CT meters only. BT23 values already include them; BT28 values do not unless stated."),
    ),
):
    """Constants."""

    multiplier: int = f.ni_fmat1(vci="H", doc="multiplier applied to meter data")
    offset: int = f.ni_fmat1(vci="H", doc="offset applied to meter data")

    class Applied(Bits, size=1):
        """Application flag."""

        ratios_applied: int = bit(0, 1, default=0, doc="CT and VT ratios are applied to meter data")
        filler: int = bit(1, 7, doc="zero")

    applied: Applied = f.bits(Applied, vci="H", doc="application flag")
    ct_ratio: int = f.ni_fmat1(vci="H", doc="current transformer ratio")
    vt_ratio: int = f.ni_fmat1(vci="H", doc="voltage transformer ratio")
