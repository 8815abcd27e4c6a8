"""BT50 Dimension Time and TOU (MEP guide p. 222)."""

from __future__ import annotations

from osgp.tables.table import Access, Table
from osgp.wire import Bits, Since, bit
from osgp.wire import fields as f

__all__ = ["BT50"]


class BT50(
    Table,
    number=50,
    title="Dimension Time and TOU",
    role="dimension",
    source="MEP guide p. 222",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), nvm_write=False, nvm_read=False),
):
    """Dimension Time and TOU."""

    class Flags0(Bits, size=1):
        """TOU options."""

        tou_self_read: int = bit(0, 1, vci="F", default=1, doc="self reads schedulable in the calendar")
        season_self_read: int = bit(1, 1, vci="F", default=1, doc="self reads with season change")
        season_demand_reset: int = bit(2, 1, vci="P", default=0, doc="no demand reset with season change")
        season_change_armed: int = bit(3, 1, vci="F", default=0, doc="season change not tied to demand reset")
        sort_dates: int = bit(4, 1, vci="F", default=0, doc="non-recurring dates need no sorting")
        anchor_date: int = bit(5, 1, vci="F", default=0, doc="anchor RDATE not supported")
        filler: int = bit(6, 2, doc="zero")

    flags0: Flags0 = f.bits(Flags0, doc="TOU options")

    class Flags1(Bits, size=1):
        """TOU options."""

        dst_auto: int = bit(0, 1, vci="F", default=0, doc="no DST outside BT54")
        separate_weekdays: int = bit(
            1,
            1,
            vci="P",
            default=0,
            values={0: "one weekday schedule", 1: "schedule per weekday"},
            doc="weekday schedules",
        )
        separate_sum_demands: int = bit(2, 1, vci="F", default=0, doc="no independent switching")
        sort_tier_switches: int = bit(3, 1, vci="F", default=1, doc="tier switches must be pre-sorted")
        time_zone_offset: int = bit(4, 1, vci="F", default=1, doc="time zone offset supported")
        filler: int = bit(5, 3, doc="zero")

    flags1: Flags1 = f.bits(Flags1, doc="TOU options")

    class Seasons(Bits, size=1):
        """Season dimensions."""

        nbr_seasons: int = bit(0, 4, vci="P", default=12, doc="seasons (12 on fw 3.50+, 4 earlier)")
        nbr_special_sched: int = bit(4, 4, vci="P", default=2, doc="special schedules per season")

    seasons: Seasons = f.bits(Seasons, doc="season dimensions")
    nbr_non_recurr_dates: int = f.u8(vci="P", default=25, since=Since("3.50"), doc="non-recurring dates")
    nbr_recurr_dates: int = f.u8(vci="P", default=23, doc="recurring dates")
    nbr_tier_switches: int = f.u16(vci="P", default=200, doc="tier switches (20 day schedules of 10)")
    calendar_tbl_size: int = f.u16(unit="byte", vci="P", default=808, doc="size of BT54")
