"""Five hundred meters on one line, over up to four legs, for a day: the most that a concentrator is made for."""

from __future__ import annotations

import dataclasses

import pytest

from osgp.sim.grid import Grid
from osgp.street.plan import StreetPlan, default_text, parse_plan
from osgp.street.run import StreetRun


def large_plan(hours: float = 24.0) -> StreetPlan:
    """A city block with the default collection and plan."""
    return parse_plan(default_text(500, kind="city", hours=hours, background_dbuv=76.0))


def test_all_houses_of_a_city_block_are_in_reach_over_one_to_four_legs_when_the_day_begins() -> None:
    plan = large_plan()
    grid = Grid(plan.grid)
    hops = dict(zip(grid.names, grid.hops(grid.time_of_day_h(plan.start.timestamp()))))
    assert {hops[house.node] for house in plan.houses} == {1, 2, 3, 4}


@pytest.mark.long
def test_five_hundred_meters_are_found_and_read_within_their_first_day() -> None:
    """Some eight minutes of one core; `osgp street new --houses 500 --kind city --background-dbuv 76` makes the same street."""
    run = StreetRun(dataclasses.replace(large_plan(), settle_s=4 * 3600.0))
    run.run()
    truth = run.truth()
    run.close()
    assert truth.total("held") > 500 * 90
    assert truth.share >= 0.999
    assert truth.total("wrong") == truth.total("doubled") == truth.registers_wrong == 0
    assert run.observed.all_up_s is not None
    assert run.observed.all_up_s < 6 * 3600
