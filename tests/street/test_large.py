"""Five hundred meters on one line, over up to four legs: a street that can be made, and whose houses are all in reach; a hundred of
them are read whole, and so are all five hundred."""

from __future__ import annotations

import pytest

from osgp.sim.grid import Grid
from osgp.street.plan import StreetPlan, default_text, parse_plan
from osgp.street.run import StreetRun


def large_plan(houses: int = 500, *, hours: float = 24.0) -> StreetPlan:
    """A city block with the default collection and plan."""
    return parse_plan(default_text(houses, kind="city", hours=hours, background_dbuv=76.0))


def test_all_houses_of_a_city_block_are_in_reach_over_one_to_four_legs_when_the_day_begins() -> None:
    plan = large_plan()
    grid = Grid(plan.grid)
    hops = dict(zip(grid.names, grid.hops(grid.time_of_day_h(plan.start.timestamp()))))
    assert {hops[house.node] for house in plan.houses} == {1, 2, 3, 4}


@pytest.mark.long
def test_a_day_of_five_hundred_meters_ends_with_all_of_them_up_and_every_reading_there_once() -> None:
    """Noise of the day breaks the links that were found in the night (``concentrator.neighbours``)."""
    run = StreetRun(large_plan())
    for hour in range(1, 25):
        run.run_to(hour * 3600.0)
        assert hour < 5 or run.up() >= 495, f"{500 - run.up()} devices are down after {hour} hours"
    run.settle()
    assert run.truth().exact
    assert run.share_at_end > 0.75, "visits for profiles are six hours apart"
    assert run.observed.broken_visits < 0.01 * run.observed.visits
    run.close()


@pytest.mark.long
def test_a_day_of_a_hundred_meters_in_a_city_block_is_read_whole_and_once() -> None:
    run = StreetRun(large_plan(100))
    run.run()
    truth = run.truth()
    assert truth.exact
    assert truth.share >= 0.999
    assert run.observed.first_billing_s is not None
    assert run.observed.first_billing_s < 6 * 3600.0
    assert run.share_at_end > 0.7, "the last visit for profiles may be six hours ago"
    run.close()
