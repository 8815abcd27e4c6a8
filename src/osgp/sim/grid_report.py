"""What there is to say of a grid at a time of day: each node's reach, the weakest links that matter, islands. Project choice."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from osgp.sim.grid import READABLE_DB, Grid

__all__ = ["GridReport", "NodeRow", "WeakLink", "report"]


@dataclass(frozen=True, slots=True)
class NodeRow:
    """One node. ``down_db``, ``up_db``: Ec/(N0 + I0) from and to the nearest concentrator on the better carrier; None where no
    cable leads. ``hops``: from a concentrator, None for who cannot be reached. ``hears``, ``heard_by``: how many nodes readably.
    """

    name: str
    device: str
    phase: str
    at: str
    unique_node_id: str
    loads: tuple[str, ...]
    cable_m: float | None
    noise_dbuv: float
    scenario: str
    down_db: float | None
    up_db: float | None
    hops: int | None
    via: str
    hears: int
    heard_by: int


@dataclass(frozen=True, slots=True)
class WeakLink:
    """The hop that brings ``receiver`` into the tree, in its worse direction, on the better carrier."""

    sender: str
    receiver: str
    sinr_db: float
    other_way_db: float
    cable_m: float


@dataclass(frozen=True, slots=True)
class GridReport:
    """A grid at a local time of day, hours."""

    name: str
    time_of_day_h: float
    readable_db: float
    nodes: list[NodeRow]
    weakest: list[WeakLink]
    islands: list[list[str]]
    open_branches: list[str]

    @property
    def unreached(self) -> list[str]:
        """Nodes with a device that no chain of readable links reaches."""
        return [row.name for row in self.nodes if row.hops is None and row.device != "none"]


def report(grid: Grid, time_of_day_h: float = 20.0, *, weakest: int = 10) -> GridReport:
    """Look at a grid. ``weakest``: how many of the weakest hops are named."""
    sinr = grid.links(time_of_day_h).sinr_db.max(axis=0)
    noise = grid.noise_at(time_of_day_h)
    hops = grid.hops(time_of_day_h)
    readable = sinr >= READABLE_DB
    both = np.minimum(sinr, sinr.T)
    rows, weak = [], []
    for place, node in enumerate(grid.description.nodes):
        near = min(grid.concentrators, key=lambda one: (grid.distance_m(one, place), one))
        distance = grid.distance_m(near, place)
        own = place in grid.concentrators
        via = ""
        count = hops[place]
        if count:
            parents = [one for one, other in enumerate(hops) if other == count - 1 and both[one, place] >= READABLE_DB]
            parent = max(parents, key=lambda one: float(both[one, place]))
            via = grid.names[parent]
            down, up = float(sinr[parent, place]), float(sinr[place, parent])
            sender, receiver = (parent, place) if down <= up else (place, parent)
            weak.append(
                WeakLink(
                    grid.names[sender], grid.names[receiver], min(down, up), max(down, up),
                    grid.distance_m(parent, place),
                )
            )  # fmt: skip
        rows.append(
            NodeRow(
                node.name,
                node.device,
                node.phase,
                node.at,
                node.unique_node_id,
                node.loads,
                distance if math.isfinite(distance) else None,
                float(noise.noise_dbuv[0, place]),
                noise.scenario[place],
                None if own else _finite(float(sinr[near, place])),
                None if own else _finite(float(sinr[place, near])),
                count,
                via,
                int(readable[:, place].sum()),
                int(readable[place].sum()),
            )
        )
    weak.sort(key=lambda link: link.sinr_db)
    settings = grid.description.settings
    return GridReport(
        settings.name, time_of_day_h, READABLE_DB, rows, weak[:weakest], grid.islands(), grid.open_branches
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
