"""Where the airtime of a street goes: every frame has a purpose, and a day of readings takes little more than it must."""

from __future__ import annotations

import dataclasses

import pytest

from osgp.bench.street_day import a_day
from osgp.concentrator.accounts import LineCosts
from osgp.concentrator.config import ConcentratorConfig
from osgp.street.airtime import PURPOSES, READING, Day
from osgp.street.bound import read_s, reads_s
from osgp.street.run import StreetRun
from osgp.street.summary import summary
from osgp.street.torture import small_street
from tests.street.small import small_plan

MOST = 1.25


@pytest.fixture(scope="module")
def day() -> Day:
    """The second day of six houses, some of them behind others, with the default plan."""
    return a_day(dataclasses.replace(small_street(6, hours=50.0), config=ConcentratorConfig()))


def test_a_read_takes_what_the_figures_of_the_line_say() -> None:
    """``spec/perf-anchors.md`` section 8: the largest read takes 482 ms over one leg, 1482 ms over three (six bytes of domain)."""
    costs = LineCosts(domain_bytes=6)
    assert read_s(costs, 84, 1) == pytest.approx(0.482, abs=0.001)
    assert read_s(costs, 84, 3) == pytest.approx(1.482, abs=0.002)
    assert reads_s(costs, 84 * 3 + 5, 2) == pytest.approx(3 * read_s(costs, 84, 2) + read_s(costs, 5, 2))
    assert reads_s(costs, 0, 2) == 0.0


def test_a_day_of_readings_takes_little_more_than_the_bytes_that_must_cross_each_hop(day: Day) -> None:
    assert day.ratio is not None
    assert 1.0 < day.ratio <= MOST, day
    assert day.bound["profile"] > 0.9 * sum(day.bound.values())


def test_intervals_come_with_their_own_bytes_and_little_else(day: Day) -> None:
    assert day.bound["profile"] <= day.spent["profile"] <= 1.05 * day.bound["profile"]
    assert day.spent["registers"] == pytest.approx(day.bound["registers"], rel=0.05)
    assert day.spent["configuration"] == 0.0, "it is known from the first day"


def test_every_frame_has_a_purpose() -> None:
    run = StreetRun(small_plan(4, hours=1.0))
    run.run()
    sent = sum(port.airtime_s for port in run.wire.ports)
    assert sum(run.airtime.by_purpose.values()) == pytest.approx(sent, rel=0.01), "broken-off frames are in neither"
    found = summary(run)["reading"]
    assert list(found["spent_s"]) == list(PURPOSES)
    assert found["reading_s"] == pytest.approx(sum(found["spent_s"][name] for name in READING), abs=0.01)
    assert 0 < found["since_s"] < 1800
    assert found["spent_s"]["network"] > 0
