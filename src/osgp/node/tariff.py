"""Time of use: which tier, season, special day and DST offset hold at a moment, by BT50, BT53 and BT54 (MEP guide p. 222–229).

Everything here is a function of the tables and the meter's clock; nothing is stepped. Not said in the guides and chosen
here: a season lasts until the next season date, over the turn of the year; a day schedule's unused switches are those whose
time is not after the one before; a periodic date counts its days from 2000-01-01; when two dates fall together, the
non-recurring one wins, else the later entry.
"""

from __future__ import annotations

import bisect
import datetime as dt
from calendar import monthrange
from dataclasses import dataclass
from typing import Any

from osgp.tables.bt.bt50 import BT50
from osgp.tables.bt.bt53 import BT53
from osgp.tables.bt.bt54 import BT54
from osgp.wire.fields import RDate

__all__ = ["Calendar", "TariffState", "dates_of"]

_DAY = 86400
_EPOCH = dt.date(1970, 1, 1)
_FIRST = dt.date(2000, 1, 1)
_DST_ON, _DST_OFF = 1, 2
_SEASONS = range(3, 15)
_SPECIALS = range(19, 31)


@dataclass(frozen=True, slots=True)
class TariffState:
    """What holds at a moment. ``special`` is None on an ordinary day; ``offset_s`` leads from UTC to local time."""

    tier: int
    season: int
    special: int | None
    dst: bool
    offset_s: int
    day: int
    """The local day, counted from 1970-01-01."""


def _weekday(date: dt.date) -> int:
    """0 Sunday … 6 Saturday."""
    return (date.weekday() + 1) % 7


def _shifted(date: dt.date, rule: int) -> list[dt.date]:
    """RDATE offsets 7 to 15: what falls on a weekend moves."""
    weekday = _weekday(date)
    step = dt.timedelta(days=1)
    back_to_friday = date - step * {0: 2, 6: 1}.get(weekday, 0)
    on_to_monday = date + step * {0: 1, 6: 2}.get(weekday, 0)
    match rule:
        case 7:
            return [date, date + step]
        case 8:
            return [on_to_monday if weekday == 0 else date]
        case 9:
            return [back_to_friday if weekday == 0 else date]
        case 10:
            return [on_to_monday if weekday == 6 else date]
        case 11:
            return [back_to_friday if weekday == 6 else date]
        case 12:
            return [on_to_monday]
        case 13:
            return [back_to_friday]
        case 14:
            return [on_to_monday if weekday == 0 else back_to_friday]
        case 15:
            return [date + step]
        case _:
            return [date]


def _in_month(rule: RDate, year: int, month: int) -> list[dt.date]:
    days = monthrange(year, month)[1]
    if not 1 <= rule.day <= days:
        return []
    date = dt.date(year, month, rule.day)
    ahead = dt.timedelta(days=(rule.weekday - _weekday(date)) % 7)
    if 1 <= rule.offset <= 6 and rule.weekday > 6:
        return []
    if 1 <= rule.offset <= 5:
        return [date + ahead + dt.timedelta(weeks=max(0, rule.offset - 2))]
    if rule.offset == 6:
        last = dt.date(year, month, days)
        return [last - dt.timedelta(days=(_weekday(last) - rule.weekday) % 7)]
    return _shifted(date, rule.offset)


def dates_of(rule: RDate, year: int) -> list[dt.date]:
    """The dates that a recurring date means in a year (``spec/tables.md``, RDATE)."""
    if 1 <= rule.month <= 12:
        return _in_month(rule, year, rule.month)
    if rule.month == 13:
        return [date for month in range(1, 13) for date in _in_month(rule, year, month)]
    first, days = dt.date(year, 1, 1), 366 if monthrange(year, 2)[1] == 29 else 365
    if rule.month == 14 and rule.weekday <= 6:
        return [day for n in range(days) if _weekday(day := first + dt.timedelta(days=n)) == rule.weekday]
    if rule.month == 15:
        period, delta = int(rule) >> 4 & 0x3F, int(rule) >> 10 & 0x3F
        start = (first - _FIRST).days - delta
        return [first + dt.timedelta(days=n) for n in range(days) if period and (start + n) % period == 0]
    return []


@dataclass(frozen=True, slots=True)
class _Day:
    """All that the calendar says of one date."""

    season: int | None = None
    special: int | None = None
    dst: int = 0
    self_read: bool = False
    demand_reset: bool = False


class Calendar:
    """The tables, made ready for questions. ``dst_off_delta``: ET04, minutes from the DST-on to the DST-off time of day."""

    def __init__(self, bt50: BT50, bt53: BT53, bt54: BT54, dst_off_delta: int = 0, tiers: int = 4) -> None:
        self.zone_s = bt53.time_zone_offset * 60
        self.dst_s = bt53.dst_time_amt * 60
        self.tiers = tiers
        effective = bt53.dst_time_eff
        self._on_s = effective.hour * 3600 + effective.minute * 60 + effective.second
        self._off_s = self._on_s + dst_off_delta * 60
        self._separate = bool(bt50.flags1.separate_weekdays)
        self._recurring = [(each.date, each.action) for each in bt54.recurr_dates if each.date.month]
        self._single = [(date, each.action) for each in bt54.non_recurr_dates if (date := each.date.date()) is not None]
        self._seasons: list[Any] = [each.sched for each in bt54.season_schedules]
        self._schedules = self._day_schedules(bt54)
        self._years: dict[int, dict[dt.date, _Day]] = {}
        self._changes: dict[int, list[tuple[dt.date, int]]] = {}
        self._dst: dict[int, list[tuple[int, bool]]] = {}

    @staticmethod
    def _day_schedules(bt54: BT54) -> list[list[tuple[int, int]]]:
        found = []
        for start in range(0, len(bt54.tier_switches), 10):
            day: list[tuple[int, int]] = []
            for record in bt54.tier_switches[start : start + 10]:
                at = record.switch.hour * 3600 + record.switch.minute * 60
                if day and at <= day[-1][0]:
                    break
                day.append((at, record.switch.tier))
            found.append(day)
        return found

    # --- dates

    def _year(self, year: int) -> dict[dt.date, _Day]:
        known = self._years.get(year)
        if known is not None:
            return known
        known = self._years[year] = {}
        dated: list[tuple[dt.date, Any]] = [
            (date, action) for rule, action in self._recurring for date in dates_of(rule, year)
        ]
        dated += [(date, action) for date, action in self._single if date.year == year]
        for date, action in dated:
            old = known.get(date, _Day())
            code = action.action
            known[date] = _Day(
                season=code - 3 if code in _SEASONS else old.season,
                special=code - 19 if code in _SPECIALS else old.special,
                dst=code if code in (_DST_ON, _DST_OFF) else old.dst,
                self_read=old.self_read or bool(action.self_read),
                demand_reset=old.demand_reset or bool(action.demand_reset),
            )
        self._changes[year] = sorted((date, day.season) for date, day in known.items() if day.season is not None)
        return known

    def day(self, number: int) -> _Day:
        """What the calendar says of a local day (counted from 1970-01-01)."""
        date = _EPOCH + dt.timedelta(days=number)
        return self._year(date.year).get(date, _Day())

    def season(self, number: int) -> int:
        """The season of a local day; 0 without any season date."""
        date = _EPOCH + dt.timedelta(days=number)
        for year in (date.year, date.year - 1):
            self._year(year)
            changes = self._changes[year]
            at = bisect.bisect_right(changes, date, key=lambda each: each[0])
            if at:
                return changes[at - 1][1]
        return 0

    def switches(self, number: int) -> list[tuple[int, int]]:
        """The (second of day, tier) switches of a local day."""
        season = self.season(number)
        if season >= len(self._seasons):
            return []
        plan = self._seasons[season]
        weekday = (number + 4) % 7
        special = self.day(number).special
        if self._separate:
            index = plan.special[special] if special is not None and special < 2 else plan.days[weekday]
        elif special in (0, 1):
            index = plan.special_1 if special else plan.special_0
        else:
            index = {0: plan.sunday, 6: plan.saturday}.get(weekday, plan.weekday)
        return self._schedules[index] if index < len(self._schedules) else []

    # --- DST

    def _transitions(self, year: int) -> list[tuple[int, bool]]:
        known = self._dst.get(year)
        if known is None:
            known = []
            for date, day in self._year(year).items():
                start = (date - _EPOCH).days * _DAY
                if day.dst == _DST_ON and self.dst_s:
                    known.append((start + self._on_s - self.zone_s, True))
                elif day.dst == _DST_OFF and self.dst_s:
                    known.append((start + self._off_s - self.zone_s - self.dst_s, False))
            known.sort()
            self._dst[year] = known
        return known

    def _around(self, utc: float) -> list[tuple[int, bool]]:
        year = (_EPOCH + dt.timedelta(days=int(utc // _DAY))).year
        return [each for one in (year - 1, year, year + 1) for each in self._transitions(one)]

    def dst(self, utc: float) -> bool:
        """Whether daylight saving time is in effect."""
        found = False
        for at, on in self._around(utc):
            if at > utc:
                break
            found = on
        return found

    def offset_s(self, utc: float) -> int:
        """Seconds from UTC to local time (BT55)."""
        return self.zone_s + (self.dst_s if self.dst(utc) else 0)

    # --- now

    def _tier_before(self, number: int) -> int:
        for back in range(1, 15):
            switches = self.switches(number - back)
            if switches:
                return switches[-1][1]
        return 0

    def state(self, utc: float) -> TariffState:
        """What holds at a moment of the meter's clock (UTC seconds)."""
        dst = self.dst(utc)
        offset = self.zone_s + (self.dst_s if dst else 0)
        number, second = divmod(int(utc // 1) + offset, _DAY)
        tier = None
        for at, switched in self.switches(number):
            if at > second:
                break
            tier = switched
        if tier is None:
            tier = self._tier_before(number)
        tier = min(tier, self.tiers - 1)
        return TariffState(tier, self.season(number), self.day(number).special, dst, offset, number)

    def next_change(self, utc: float, *extra: int) -> int:
        """The next moment (UTC) at which something may change: switch, midnight, DST, or a second of day in ``extra``."""
        offset = self.offset_s(utc)
        number, second = divmod(int(utc // 1) + offset, _DAY)
        start = number * _DAY - offset
        wanted = [at for at, _ in self.switches(number)] + list(extra) + [_DAY]
        found = min(start + at for at in wanted if at > second)
        return min([found] + [at for at, _ in self._around(utc) if at > utc])
