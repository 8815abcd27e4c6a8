"""A street in virtual time: everything that the meters hold comes to the journal, and the same seed gives the same street."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from osgp.concentrator.journal import Step
from osgp.street.run import StreetRun
from osgp.street.summary import summary
from osgp.street.truth import compare
from tests.street.small import small_plan


@pytest.fixture(scope="module")
def ran() -> StreetRun:
    run = StreetRun(small_plan())
    run.run()
    return run


def test_every_reading_comes_exactly_once(ran: StreetRun) -> None:
    truth = ran.truth()
    assert truth.exact
    assert truth.share == 1.0
    assert truth.total("held") == 8 * 8, "two hours of quarters of an hour"
    assert truth.total("events_held") > 0
    assert truth.total("own_count") == truth.total("journal_count") > 0


def test_registers_are_compared_with_the_meters_own(ran: StreetRun) -> None:
    assert ran.observed.registers_checked >= 16
    assert ran.observed.registers_wrong == 0


def test_everybody_is_found_and_some_through_others(ran: StreetRun) -> None:
    assert ran.up() == 8
    ways = ran.ways()
    assert len(ways) == 8
    assert max(map(len, ways.values())) > 1
    assert all(way[-1] == house for house, way in ways.items())


def test_the_summary_tells_of_all_of_it(ran: StreetRun) -> None:
    found = summary(ran)
    assert found["truth"]["exact"] is True
    assert found["devices"] == 8
    assert found["line"]["sent"] > found["line"]["exchanges"] > 100
    assert 0 < found["line"]["airtime"] < 0.5
    assert sum(row["exchanges"] for row in found["by_legs"]) >= found["line"]["exchanges"] * 0.9
    assert found["all_up_s"] < 3600
    assert 0.5 < found["share_at_end"] < 1, "the last intervals are fetched when the hours are over"
    assert found["delay_s"]["0.5"] <= 1800 + 900


def test_the_same_seed_gives_the_same_street() -> None:
    def once() -> dict[str, object]:
        run = StreetRun(small_plan(4, hours=0.5))
        run.run()
        return summary(run)

    assert once() == once()


def test_what_is_missing_wrong_or_doubled_is_seen(ran: StreetRun) -> None:
    """The check itself: a copy of the journal's truth with a hole, another value, and a second row."""
    house = ran.plan.houses[0].node
    held = ran.own[house].profiles[1]
    first, second, *_ = sorted(held)
    changed = dict(held)
    changed[first] = (held[first][0], [value + 1 for value in held[first][1]])
    changed[second + 1] = held[second]
    own = {**ran.own, house: dataclasses.replace(ran.own[house], profiles={1: changed})}
    truth = compare(ran, own)
    one = next(each for each in truth.houses if each.house == house)
    assert (one.missing, one.wrong) == (1, 1)
    assert not truth.exact
    assert truth.share < 1
    number = ran.numbers()[house]
    ran.journal._execute(  # the journal's own ways keep a row once
        "INSERT INTO profile_interval (device_id, data_set, time, digest, channels_id, content)"
        " SELECT device_id, data_set, time, x'00', channels_id, content FROM profile_interval WHERE device_id = ? AND time = ?",
        (number, second),
    )
    assert compare(ran, ran.own).total("doubled") == 1
    ran.journal._execute("DELETE FROM profile_interval WHERE digest = x'00'")
    assert compare(ran, ran.own).exact


def test_a_reading_that_is_not_the_meters_own_is_seen() -> None:
    run = StreetRun(small_plan(2, hours=0.25))
    keep = run.journal.keep

    def forged(step: Step) -> object:
        step.readings = [
            dataclasses.replace(each, value=each.value + 50) if each.name == "fwd_active_energy" else each  # type: ignore[operator]  # a number
            for each in step.readings
        ]
        return keep(step)

    run.journal.keep = forged  # type: ignore[assignment,method-assign]  # a journal that lies
    run.run()
    assert run.observed.registers_wrong > 0
    assert not run.truth().exact


def test_static_ways_need_no_search() -> None:
    run = StreetRun(small_plan(6, hours=0.5), static=True)
    run.run()
    assert run.truth().exact
    assert run.care.discovery.probes == 0


def test_the_journal_is_a_file_if_one_is_named(tmp_path: Path) -> None:
    run = StreetRun(small_plan(2, hours=0.25), journal=tmp_path / "journal.sqlite")
    run.run()
    assert run.truth().exact
    run.close()
    assert (tmp_path / "journal.sqlite").stat().st_size > 10_000
