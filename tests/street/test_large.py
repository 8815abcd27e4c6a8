"""Five hundred meters on one line, over up to four legs: a street that can be made, and whose houses are all in reach."""

from __future__ import annotations

from osgp.sim.grid import Grid
from osgp.street.plan import StreetPlan, default_text, parse_plan


def large_plan(hours: float = 24.0) -> StreetPlan:
    """A city block with the default collection and plan."""
    return parse_plan(default_text(500, kind="city", hours=hours, background_dbuv=76.0))


def test_all_houses_of_a_city_block_are_in_reach_over_one_to_four_legs_when_the_day_begins() -> None:
    plan = large_plan()
    grid = Grid(plan.grid)
    hops = dict(zip(grid.names, grid.hops(grid.time_of_day_h(plan.start.timestamp()))))
    assert {hops[house.node] for house in plan.houses} == {1, 2, 3, 4}
