"""Intervals behind a place that is known: read with their own bytes and one header, and never one that was not whole."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osgp.tables.access import run_sync
from osgp.tables.image import ImageTables
from osgp.tables.profile import Place, Profile, geometry, read_profile
from osgp.tables.profile_following import read_following

from .profiles import START, Counted, Tables, profile_image

STEP = 900
INTERVALS, BLOCKS = 12, 6
LINE = replace(ImageTables.costs, max_read=84)


def known(count: int, **made: int) -> Place:
    """The place of the newest interval after ``count`` of them were read."""
    image, _ = profile_image(count, **made)
    place = run_sync(read_profile(Tables(Counted(image)))).place
    assert place is not None
    return place


def follow(access: Counted, place: Place, count: int) -> Profile | None:
    """What follows when the device's clock shows that ``count`` intervals have ended."""
    return run_sync(read_following(access, place, START.timestamp() + count * STEP + 5))


def test_the_place_of_the_newest_interval_is_known_after_a_reading() -> None:
    place = known(20)
    assert (place.block, place.interval) == (1, 7)
    assert place.end == (START + dt.timedelta(minutes=15 * 20)).timestamp()
    image, _ = profile_image(20)
    nothing = run_sync(read_profile(Tables(Counted(image)), since=START + dt.timedelta(days=1)))
    assert nothing.place is None


@given(before=st.integers(1, 70), new=st.integers(0, 30), padding=st.integers(0, 9), earlier=st.integers(0, 6))
@settings(max_examples=150, deadline=None)
def test_what_follows_is_what_a_reading_of_everything_gives(before: int, new: int, padding: int, earlier: int) -> None:
    made = {"earlier": earlier, "padding": padding}
    total = min(before + new, BLOCKS * INTERVALS)
    before = min(before, total)
    place = known(before, **made)
    image, values = profile_image(total, **made)
    found = follow(Counted(image, costs=LINE), place, total)
    if found is None:
        assert place.interval + total - before >= 2 * INTERVALS, "more than two blocks are the other reader's"
        return
    assert found.to_json()["values"] == values[before:]
    assert found.place == replace(known(total, **made), channels=place.channels)


def test_little_more_than_the_intervals_is_read() -> None:
    shape = geometry(profile_image(1)[0].context)
    for before, total, headers in ((13, 20, 1), (20, 30, 2), (12, 20, 1)):
        access = Counted(profile_image(total)[0], costs=LINE)
        assert follow(access, known(before), total) is not None
        assert access.bytes_of(64) == (total - before) * shape.interval_size + headers * shape.header_size
        assert access.bytes_of(63) == access.bytes_of(2069) == 0


def test_a_block_that_begins_with_its_header_is_proved_by_the_last_read() -> None:
    """The header stands at the beginning of what is read: the rest comes before it."""
    access = Counted(profile_image(24)[0], costs=LINE)
    assert follow(access, known(12), 24) is not None
    shape = geometry(access.image.context)
    assert access.reads[-1] == (64, shape.block_size, 84)


def test_an_interval_that_ends_while_it_is_read_waits() -> None:
    image, values = profile_image(15)
    later, _ = profile_image(16)
    access = Counted(image, costs=LINE)

    def goes_on(table: int, offset: int, count: int) -> None:
        if access.reads:
            image.put(64, later.read(64))

    access.before_read = goes_on
    found = follow(access, known(13), 15)
    assert found is not None
    assert found.to_json()["values"] == values[13:15]


def test_an_interval_that_came_only_after_its_bytes_were_read_is_not_taken_for_zeros() -> None:
    """The clock says that two have ended, but the device writes them when the third does."""
    image, _ = profile_image(13)
    later, _ = profile_image(16)
    access = Counted(image, costs=LINE)

    def fills_up(table: int, offset: int, count: int) -> None:
        if access.reads:
            image.put(64, later.read(64))

    access.before_read = fills_up
    assert follow(access, known(13), 15) is None


def test_a_log_that_was_cleared_or_laid_out_anew_is_not_followed() -> None:
    place = known(20)
    cleared, _ = profile_image(0)
    assert follow(Counted(cleared, costs=LINE), place, 26) is None
    fresh, _ = profile_image(5, seed=3)
    assert follow(Counted(fresh, costs=LINE), place, 26) is None
    other, _ = profile_image(26, channels=2)
    assert follow(Counted(other, costs=LINE), place, 26) is None


def test_a_block_that_did_not_begin_when_it_should_is_the_other_readers() -> None:
    image, _ = profile_image(12)
    assert follow(Counted(image, costs=LINE), known(10), 15) is None


def test_a_clock_that_went_back_brings_nothing() -> None:
    image, _ = profile_image(20)
    access = Counted(image, costs=LINE)
    place = known(20)
    found = follow(access, place, 17)
    assert found is not None
    assert (len(found), found.place, access.reads) == (0, place, [])


@pytest.mark.parametrize("shape", [{"blocks": 2}, {"blocks": 1}])
def test_a_ring_that_may_turn_meanwhile_is_not_followed(shape: dict[str, int]) -> None:
    image, _ = profile_image(8, **shape)
    assert follow(Counted(image, costs=LINE), known(6, **shape), 8) is None
