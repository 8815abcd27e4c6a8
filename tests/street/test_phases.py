"""Phases of the mains, found from what devices report of each other, held against the grid that was drawn."""

from __future__ import annotations

import dataclasses
from collections import Counter

import pytest

from osgp.street.run import StreetRun
from osgp.street.summary import summary
from tests.street.small import small_plan

PHASES = ("L1", "L2", "L3", "L123")


@pytest.mark.parametrize("own", ["L123", "L2"])
def test_the_phases_of_a_street_are_those_of_its_grid(own: str) -> None:
    plan = small_plan(9, hours=2.0)
    houses = [house.node for house in plan.houses]
    nodes = tuple(
        dataclasses.replace(node, phase=PHASES[houses.index(node.name) % 4] if node.name in houses else own)
        for node in plan.grid.nodes
    )
    run = StreetRun(dataclasses.replace(plan, grid=dataclasses.replace(plan.grid, nodes=nodes)))
    run.run_to(2 * 3600.0)
    found = run.phases()
    assert len(found) == 9
    assert len(Counter(grid for grid, _ in found.values())) == 3
    assert all(seen == grid for grid, seen in found.values()), found
    assert any(len(way) > 1 for way in run.ways().values()), "some are behind repeaters"
    assert summary(run)["phases"][houses[0]] == {"grid": found[houses[0]][0], "found": found[houses[0]][1]}
