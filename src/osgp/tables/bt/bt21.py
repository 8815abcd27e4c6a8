"""BT21 Actual Register (MEP guide p. 200; optical guide p. 21)."""

from __future__ import annotations

from osgp.tables.table import Access, Table
from osgp.wire import Bits, bit
from osgp.wire import fields as f

__all__ = ["BT21"]


class BT21(
    Table,
    number=21,
    title="Actual Register",
    role="actual",
    source="MEP guide p. 200; optical guide p. 21",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), optical_read=("MK", "PK", "RK"), nvm_write=True, nvm_read=False),
    notes=(("Absent on fw 2.01/2.10: read BT20 instead when the meter answers 'Inappropriate Action Requested'."),),
):
    """Actual Register."""

    class Flags0(Bits, size=1):
        """Active options."""

        season_info: int = bit(0, 1, vci="F", default=1, doc="season fields used in the B20s")
        date_time: int = bit(1, 1, vci="F", default=1, doc="date/time fields used in the B20s")
        demand_reset_ctr: int = bit(
            2, 1, vci="M", doc="demand reset count in billing data (set when demand is configured)"
        )
        demand_reset_lock: int = bit(3, 1, vci="M", doc="demand reset lock-out supported")
        cum_demand: int = bit(4, 1, vci="M", doc="cumulative demand configured")
        cont_cum_demand: int = bit(5, 1, vci="M", doc="continuous cumulative demand configured")
        time_remaining: int = bit(6, 1, vci="P", default=0, doc="time remaining reported in BT28")
        filler: int = bit(7, 1, default=0, doc="zero")

    flags0: Flags0 = f.bits(Flags0, doc="active options")

    class Flags1(Bits, size=1):
        """Self-read options."""

        self_read_inhibit_overflow: int = bit(0, 1, vci="F", default=0, doc="self reads never inhibited")
        self_read_seq_nbr: int = bit(
            1, 1, vci="P", doc="2-byte BIDN in BT26 when demand is configured (no 4-byte sequence number)"
        )
        daily_self_read: int = bit(2, 1, vci="F", default=1, doc="supported")
        weekly_self_read: int = bit(3, 1, vci="F", default=1, doc="supported")
        self_read_demand_reset: int = bit(
            4, 2, vci="P", values={0: "neither triggers the other"}, doc="coupling of self read and demand reset"
        )
        filler: int = bit(6, 2, vci="F", default=0, doc="zero")

    flags1: Flags1 = f.bits(Flags1, doc="self-read options")
    nbr_self_reads: int = f.u8(vci="M", doc="self-read entries configured, 0..BT20.NBR_SELF_READS")
    nbr_summations: int = f.u8(
        vci="M", default="11, 19 or BT20.NBR_SUMMATIONS", doc="accumulations in BT23 (11 without demand, 19 on fw 4.0+)"
    )
    nbr_demands: int = f.u8(vci="M", doc="demand registers configured")
    nbr_coincident: int = f.u8(vci="M", doc="coincident values configured, two per demand source")
    nbr_occur: int = f.u8(vci="M", doc="maximum demands per register, 1 with demand")
    nbr_tiers: int = f.u8(vci="P/M", default="4 or 8", doc="TOU tiers")
    nbr_present_demands: int = f.u8(vci="M", doc="present demands configured")
    nbr_present_values: int = f.u8(vci="M", doc="instantaneous values recorded")
