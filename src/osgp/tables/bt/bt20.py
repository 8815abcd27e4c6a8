"""BT20 Dimension Register (optical guide p. 20)."""

from __future__ import annotations

from osgp.tables.table import Access, Table
from osgp.wire import Bits, Since, bit
from osgp.wire import fields as f

__all__ = ["BT20"]


class BT20(
    Table,
    number=20,
    title="Dimension Register",
    role="dimension",
    source="optical guide p. 20",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), optical_read=("MK", "PK", "RK"), nvm_write=False, nvm_read=False),
    notes=("Structure only in the optical guide; maxima for the B20 decade.",),
):
    """Dimension Register."""

    class Flags0(Bits, size=1):
        """Capabilities."""

        season_info: int = bit(0, 1, vci="F", default=1, doc="season fields present in the B20s")
        date_time: int = bit(1, 1, vci="F", default=1, doc="date/time fields present in the B20s")
        demand_reset_ctr: int = bit(
            2, 1, vci="P", default=1, since=Since("3.10"), doc="demand reset count supported (wraps after 255)"
        )
        demand_reset_lock: int = bit(
            3, 1, vci="P", default=1, since=Since("3.10"), doc="demand reset lock-out supported"
        )
        cum_demand: int = bit(4, 1, vci="P", default=1, since=Since("3.10"), doc="cumulative demand supported")
        cont_cum_demand: int = bit(
            5, 1, vci="P", default=1, since=Since("3.10"), doc="continuous cumulative demand supported"
        )
        time_remaining: int = bit(6, 1, vci="P", default=0, doc="not applicable")
        filler: int = bit(7, 1, default=0, doc="zero")

    flags0: Flags0 = f.bits(Flags0, doc="capabilities")

    class Flags1(Bits, size=1):
        """Self-read capabilities."""

        self_read_inhibit_overflow: int = bit(0, 1, vci="F", default=0, doc="self reads never inhibited")
        self_read_seq_nbr: int = bit(1, 1, vci="P", default=1, doc="2-byte identification field in BT26")
        daily_self_read: int = bit(2, 1, vci="F", default=1, doc="via BT54")
        weekly_self_read: int = bit(3, 1, vci="F", default=1, doc="via BT54")
        self_read_demand_reset: int = bit(
            4,
            2,
            vci="P",
            default=0,
            values={0: "neither triggers the other"},
            doc="coupling of self read and demand reset",
        )
        filler: int = bit(6, 2, vci="F", default=0, doc="zero")

    flags1: Flags1 = f.bits(Flags1, doc="self-read capabilities")
    nbr_self_reads: int = f.u8(
        vci="P", default="12 fw 2.0, 24 fw 2.10, 214 fw 3.0, 253 fw 3.10+", doc="self-read entries"
    )
    nbr_summations: int = f.u8(vci="P", default="15 (19 on fw 4.0+)", doc="accumulations in BT23")
    nbr_demands: int = f.u8(vci="P", default=8, doc="demand registers")
    nbr_coincident: int = f.u8(vci="P", default=16, doc="coincident values")
    nbr_occur: int = f.u8(vci="P", default=1, doc="maximum demands per register")
    nbr_tiers: int = f.u8(vci="P", default="4 (8 optional on fw 3.70+)", doc="TOU tiers")
    nbr_present_demands: int = f.u8(vci="P", default=8, doc="present demands")
    nbr_present_values: int = f.u8(vci="P", default="41 (72 on fw 4.0+)", doc="instantaneous values")
