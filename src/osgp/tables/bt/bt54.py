"""BT54 Calendar (MEP guide p. 225)."""

from __future__ import annotations

from osgp.tables.bt.bt50 import BT50
from osgp.tables.table import Access, Table
from osgp.wire import Bits, Case, Struct, at, bit
from osgp.wire import fields as f

__all__ = ["BT54"]


class BT54(
    Table,
    number=54,
    title="Calendar",
    role="control",
    source="MEP guide p. 225",
    status="verified",
    access=Access(read=("MBK", "MAK"), write=("MAK",), nvm_write=True, nvm_read=False),
    notes=(
        (
            "With the defaults 25*3+23*3+200*3+12*5+4 = 808 bytes = BT50.CALENDAR_TBL_SIZE. With "
            "separate weekdays each season schedule has 9 bytes in the order Sunday..Saturday, "
            "special 0, special 1. Events follow the local clock BT55."
        ),
        ("Symbols N, T, S = start of the recurring dates, tier switches and season schedules (3-byte records each)."),
    ),
):
    """Calendar."""

    class NonRecurrDates(Struct, floor="tables"):
        """NonRecurrDateRcd."""

        date: f.Date = f.date(doc="date of event")

        class Action(Bits, size=1):
            """Calendar action, as RECURR_DATES.ACTION."""

            action: int = bit(
                0,
                5,
                values={
                    0: "none",
                    1: "DST on",
                    2: "DST off",
                    (3, 14): "select season 0..11 (3..6 before fw 3.50)",
                    19: "special schedule 0",
                    20: "special schedule 1",
                },
                doc="action code",
            )
            demand_reset: int = bit(5, 1, doc="demand reset")
            self_read: int = bit(6, 1, doc="self read")
            filler: int = bit(7, 1, doc="unused")

        action: Action = f.bits(Action, doc="calendar action, as RECURR_DATES.ACTION")

    non_recurr_dates: list[NonRecurrDates] = f.record(
        NonRecurrDates, count=at(BT50).nbr_non_recurr_dates, doc="NonRecurrDateRcd"
    )

    class RecurrDates(Struct, floor="tables"):
        """RecurrDateRcd."""

        date: f.RDate = f.rdate(vci="H", doc="recurring date, active from 00:00:00")

        class Action(Bits, size=1):
            """Calendar action."""

            action: int = bit(
                0,
                5,
                values={
                    0: "none",
                    1: "DST on",
                    2: "DST off",
                    (3, 14): "select season 0..11 (3..6 before fw 3.50)",
                    19: "special schedule 0",
                    20: "special schedule 1",
                },
                doc="action code",
            )
            demand_reset: int = bit(5, 1, doc="1 = demand reset on this date")
            self_read: int = bit(6, 1, doc="1 = self read on this date")
            tou_format: int = bit(
                7,
                1,
                values={0: "old format, 4 seasons, no non-recurring dates", 1: "format of fw 3.50+, up to 12 seasons"},
                doc="meaningful in the first entry only",
            )

        action: Action = f.bits(Action, vci="H", doc="calendar action")

    recurr_dates: list[RecurrDates] = f.record(RecurrDates, count=at(BT50).nbr_recurr_dates, doc="RecurrDateRcd")

    class TierSwitches(Struct, floor="tables"):
        """TierSwitchRcd."""

        class Switch(Bits, size=2):
            """Tier and time."""

            tier: int = bit(0, 3, doc="rate that begins")
            filler: int = bit(3, 2, doc="zero")
            minute: int = bit(5, 6, doc="start minute")
            hour: int = bit(11, 5, doc="start hour")

        switch: Switch = f.bits(Switch, vci="H", doc="tier and time")
        schedule: int = f.u8(
            vci="H", doc=("day schedule number, 0 for the first 10 switches ... 19 for the last 10; informative")
        )

    tier_switches: list[TierSwitches] = f.record(TierSwitches, count=at(BT50).nbr_tier_switches, doc="TierSwitchRcd")

    class SeasonSchedules(Struct, floor="tables"):
        """SeaSchedRcd."""

        class Sched0(Struct, floor="tables"):
            """Weekday layout. (case 0)."""

            saturday: int = f.u8(vci="H", doc="day schedule on Saturday")
            sunday: int = f.u8(vci="H", doc="day schedule on Sunday")
            weekday: int = f.u8(vci="H", doc="day schedule Monday..Friday")
            special_0: int = f.u8(vci="H", doc="first holiday schedule")
            special_1: int = f.u8(vci="H", doc="second holiday schedule")

        class Sched1(Struct, floor="tables"):
            """Weekday layout. (case 1)."""

            days: list[int] = f.u8(count=7, vci="H", doc="day schedules Sunday..Saturday")
            special: list[int] = f.u8(count=2, vci="H", doc="special schedules 0 and 1")

        sched: Sched0 | Sched1 | None = f.union(
            [
                Case(at(BT50).flags1.separate_weekdays == 0, Sched0),
                Case(at(BT50).flags1.separate_weekdays == 1, Sched1),
            ],
            doc="weekday layout",
        )

    season_schedules: list[SeasonSchedules] = f.record(
        SeasonSchedules, count=at(BT50).seasons.nbr_seasons, doc="SeaSchedRcd"
    )
    calendar_id: int = f.u32(vci="H", doc="identifier of the calendar")
