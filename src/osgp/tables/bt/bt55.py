"""BT55 Local Clock State (MEP guide p. 229)."""

from __future__ import annotations

from osgp.tables.table import Access, Table
from osgp.wire import Bits, LTime, bit
from osgp.wire import fields as f

__all__ = ["BT55"]


class BT55(
    Table,
    number=55,
    title="Local Clock State",
    role="status",
    source="MEP guide p. 229",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=(), nvm_write=False, nvm_read=False),
    notes=("Tier change locks the optical port for 8 s on modules fw 1.21+.",),
):
    """Local Clock State."""

    clock_calendar: LTime = f.ltime(
        vci="M", doc="local time with zone and DST, updated each minute and on table writes"
    )

    class TimeQual(Bits, size=1):
        """Qualifiers."""

        day_of_week: int = bit(
            0,
            3,
            vci="M",
            values={0: "Sunday", 1: "Monday", 2: "Tuesday", 3: "Wednesday", 4: "Thursday", 5: "Friday", 6: "Saturday"},
            doc="local day of week",
        )
        dst_flag: int = bit(3, 1, vci="M", doc="DST in effect")
        gmt_flag: int = bit(4, 1, vci="F", doc="not necessarily GMT")
        tz_applied: int = bit(5, 1, vci="F", doc="time zone applied")
        dst_applied: int = bit(6, 1, vci="F", doc="DST applied")
        filler: int = bit(7, 1, doc="zero")

    time_qual: TimeQual = f.bits(TimeQual, doc="qualifiers")

    class Status(Bits, size=2):
        """TOU status."""

        curr_tier: int = bit(0, 3, doc="active tier, 0-based (0..7 fw 3.70+, 0..3 earlier)")
        filler: int = bit(3, 3, doc="zero")
        tier_drive: int = bit(
            6,
            2,
            values={
                0: "calendar",
                1: "manual until next switch",
                2: "manual indefinitely",
                3: "time override, over-power or consumption tariff (see ET54)",
            },
            doc="tier control",
        )
        special_schedule: int = bit(8, 4, doc="active special schedule")
        season: int = bit(12, 4, doc="active season (range printed 0..3)")

    status: Status = f.bits(Status, vci="M", doc="TOU status")
