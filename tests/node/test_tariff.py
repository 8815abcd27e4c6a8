"""Calendars: recurring dates, seasons, special days, tier switches and DST."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osgp.node.tariff import Calendar, dates_of
from osgp.tables.bt.bt50 import BT50
from osgp.tables.bt.bt53 import BT53
from osgp.tables.bt.bt54 import BT54
from osgp.tables.et.et04 import ET04
from osgp.wire.fields import RDate

from .meters import at, make

METER = make()


def calendar() -> Calendar:
    image = METER.image
    delta = image.get(ET04, "dst_off_delta")
    return Calendar(image.decode(BT50), image.decode(BT53), image.decode(BT54), delta, 4)


@pytest.mark.parametrize(
    ("rule", "dates"),
    [
        (RDate(0x0863), [dt.date(2026, 3, 29)]),  # the guide's own: last Sunday of March
        (RDate(month=10, offset=6, weekday=0, day=1), [dt.date(2026, 10, 25)]),
        (RDate(month=12, weekday=7, day=25), [dt.date(2026, 12, 25)]),
        (RDate(month=2, weekday=7, day=30), []),
        (RDate(month=5, offset=1, weekday=1, day=10), [dt.date(2026, 5, 11)]),
        (RDate(month=5, offset=3, weekday=1, day=1), [dt.date(2026, 5, 11)]),
        (RDate(month=5, offset=2, weekday=5, day=1), [dt.date(2026, 5, 1)]),
        (RDate(month=8, offset=7, weekday=7, day=1), [dt.date(2026, 8, 1), dt.date(2026, 8, 2)]),
        (RDate(month=8, offset=12, weekday=7, day=1), [dt.date(2026, 8, 3)]),
        (RDate(month=8, offset=13, weekday=7, day=1), [dt.date(2026, 7, 31)]),
        (RDate(month=8, offset=8, weekday=7, day=2), [dt.date(2026, 8, 3)]),
        (RDate(month=8, offset=9, weekday=7, day=2), [dt.date(2026, 7, 31)]),
        (RDate(month=8, offset=10, weekday=7, day=1), [dt.date(2026, 8, 3)]),
        (RDate(month=8, offset=11, weekday=7, day=1), [dt.date(2026, 7, 31)]),
        (RDate(month=8, offset=14, weekday=7, day=1), [dt.date(2026, 7, 31)]),
        (RDate(month=8, offset=15, weekday=7, day=1), [dt.date(2026, 8, 2)]),
        (RDate(0), []),
    ],
)
def test_recurring_dates_fall_where_they_should(rule: RDate, dates: list[dt.date]) -> None:
    assert dates_of(rule, 2026) == dates


def test_weekly_monthly_and_periodic_dates() -> None:
    mondays = dates_of(RDate(month=14, weekday=1), 2026)
    assert len(mondays) == 52
    assert all(each.weekday() == 0 for each in mondays)
    assert [each.day for each in dates_of(RDate(month=13, weekday=7, day=31), 2026)] == [31] * 7
    assert len(dates_of(RDate(15 | 1 << 4), 2024)) == 366
    every_third = dates_of(RDate(15 | 3 << 4 | 1 << 10), 2026)
    assert (every_third[1] - every_third[0]).days == 3
    assert dates_of(RDate(15), 2026) == []


@pytest.mark.parametrize(
    ("utc", "tier", "season", "special", "hours"),
    [
        ((2026, 1, 14, 4, 59), 0, 0, None, 1),
        ((2026, 1, 14, 5, 0), 1, 0, None, 1),
        ((2026, 1, 14, 21, 0), 0, 0, None, 1),
        ((2026, 1, 17, 8, 0), 2, 0, None, 1),  # Saturday
        ((2026, 1, 18, 8, 0), 0, 0, None, 1),  # Sunday
        ((2026, 7, 15, 5, 0), 1, 1, None, 2),  # summer: from 7 h local
        ((2026, 7, 15, 4, 59), 0, 1, None, 2),
        ((2026, 12, 25, 11, 0), 0, 0, 0, 1),  # Christmas is a Friday
        ((2026, 3, 29, 0, 59), 0, 0, None, 1),
        ((2026, 3, 29, 1, 0), 0, 0, None, 2),
        ((2026, 10, 25, 0, 59), 0, 0, None, 2),
        ((2026, 10, 25, 1, 0), 0, 0, None, 1),
    ],
)
def test_what_holds_at_a_moment(utc: tuple[int, ...], tier: int, season: int, special: int | None, hours: int) -> None:
    state = calendar().state(at(*utc))
    assert (state.tier, state.season, state.special, state.offset_s) == (tier, season, special, hours * 3600)


@given(st.integers(int(at(2025, 1, 1)), int(at(2027, 12, 31))))
@settings(max_examples=60, deadline=None)
def test_nothing_changes_between_two_changes(utc: int) -> None:
    one = calendar()
    change = one.next_change(utc)
    assert utc < change <= utc + 86400
    before, state = one.state(change - 1), one.state(utc)
    assert (before.tier, before.season, before.special, before.dst) == (
        state.tier,
        state.season,
        state.special,
        state.dst,
    )


def test_a_calendar_of_zeros_has_one_tier_and_no_dst() -> None:
    image = METER.image
    empty = Calendar(image.decode(BT50), BT53.decode(bytes(6)), BT54.decode(bytes(image.size(54)), image.context), 0, 4)
    state = empty.state(at(2026, 7, 1, 12))
    assert (state.tier, state.season, state.special, state.dst, state.offset_s) == (0, 0, None, False, 0)
