"""Ways through repeaters: for each device the chain of nodes over which a request and its response most likely come through.

Project choice: the least expected number of transmissions, both directions counted, over at most ``max_legs`` legs. Whoever plans
them here knows the levels of the medium; a concentrator in a real street has to find out.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from osgp.sim.medium import Levels
from osgp.sim.per import Curves

__all__ = ["Leg", "routes"]

_WORST_DB = 2.0
"""Links below are not even looked at."""
_WORST_CHANCE = 0.5


class Leg(NamedTuple):
    """One step of a way: to which node, on which carrier, and the transmissions it will take."""

    node: int
    secondary: bool
    cost: float


def routes(
    levels: Levels, curves: Curves, source: int, *, lpdu_bytes: int, max_legs: int = 4
) -> list[tuple[Leg, ...] | None]:
    """The way from ``source`` to each node; None where there is none, empty for the source itself.

    ``lpdu_bytes``: length of the packets to plan for.
    """
    size = levels.size
    links: list[list[Leg]] = [_links(levels, curves, node, lpdu_bytes) for node in range(size)]
    best: list[tuple[float, tuple[Leg, ...]]] = [(math.inf, ())] * size
    best[source] = (0.0, ())
    reached = {source: best[source]}
    for _ in range(max_legs):
        following: dict[int, tuple[float, tuple[Leg, ...]]] = {}
        for node, (cost, way) in reached.items():
            for leg in links[node]:
                total = cost + leg.cost
                if total < best[leg.node][0]:
                    best[leg.node] = following[leg.node] = (total, (*way, leg))
        reached = following
    return [way if cost < math.inf else None for cost, way in best]


def _links(levels: Levels, curves: Curves, node: int, lpdu_bytes: int) -> list[Leg]:
    """The usable links of a node, each on its better carrier."""
    found = []
    for other in range(levels.size):
        costs = []
        for secondary in (False, True):
            there, back = levels.ec_n0_db[secondary][node][other], levels.ec_n0_db[secondary][other][node]
            if other == node or min(there, back) < _WORST_DB:
                continue
            hazard = curves.hazard(levels.scenario[other], secondary, there, lpdu_bytes)
            hazard += curves.hazard(levels.scenario[node], secondary, back, lpdu_bytes)
            if math.exp(-hazard) >= _WORST_CHANCE**2:
                costs.append((2 * math.exp(hazard), secondary))
        if costs:
            cost, secondary = min(costs)
            found.append(Leg(other, secondary, cost))
    return found
