"""Ways through a grid: the loss between each two nodes, which of them are joined at all, what lies between. Project choice.

Low-voltage grids are run as trees. If a file closes a ring, signals go the way of the tree with the least loss, and the branch
that is left over damps at both its ends.

The loss of a way is the loss of its cables, and at each point passed that of everything else that is joined there: ``branch_db``
for a cable that leads on to nodes, for a house its own damping. Each point's sum is split over the two ends of cable
by which a way goes through, so that a way is a sum over its edges, and all ways are found one row after the other.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osgp.sim.grid_description import LOADS, GridDescription

__all__ = ["Ways", "ways_of"]

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Edge:
    name: str
    a: int
    b: int
    loss_db: float
    length_m: float
    damping_db: float | None  # of a house as seen from its point; None for a branch


@dataclass(slots=True)
class Ways:
    """The result. Places are points (``description.points``), then nodes.

    ``loss_db``, ``length_m``: between each two places, infinite where nothing joins them; shape (places, places). ``island``: the
    number of each place's island. ``before``: place and edge one step nearer the root of its island, or None.
    """

    names: list[str]
    loss_db: Matrix
    length_m: Matrix
    island: NDArray[np.intp]
    before: list[tuple[int, str] | None]

    def between(self, a: int, b: int) -> list[str] | None:
        """Names of the branches from one place to another; None when nothing joins them."""
        if self.island[a] != self.island[b]:
            return None
        left, right = self._up(a), self._up(b)
        while left and right and left[-1] == right[-1]:
            left.pop()
            right.pop()
        return [name for _, name in left] + [name for _, name in reversed(right)]

    def _up(self, place: int) -> list[tuple[int, str]]:
        steps = []
        while (step := self.before[place]) is not None:
            steps.append((place, step[1]))
            place = step[0]
        return steps


def ways_of(description: GridDescription, cut: set[str]) -> Ways:
    """All ways, with the branches and services named in ``cut`` switched off."""
    names = [*description.points, *(node.name for node in description.nodes)]
    at = {name: place for place, name in enumerate(names)}
    points = len(description.points)
    tree, spare = _spanning(_edges(description, at, cut), len(names))
    order, before = _order(tree, len(names))
    weights, half = _weights(description, tree, spare, order, before, points)
    count = len(names)
    rank = np.empty(count, np.intp)
    rank[order] = np.arange(count)
    loss, length = (np.full((count, count), np.inf) for _ in range(2))
    island = np.zeros(count, np.intp)
    # Rows and columns in the order in which islands grow: each row is its parent's row plus one edge.
    for row, place in enumerate(order):
        step = before[place]
        loss[row, row] = length[row, row] = 0.0
        if step is None:
            island[place] = island[order[row - 1]] + 1 if row else 0
            continue
        parent, edge = rank[step[0]], step[1]
        island[place] = island[step[0]]
        for matrix, value in ((loss, weights[edge.name]), (length, edge.length_m)):
            matrix[row, :row] = matrix[parent, :row] + value
            matrix[:row, row] = matrix[row, :row]
    loss, length = loss[np.ix_(rank, rank)], length[np.ix_(rank, rank)]
    # A way that ends at a point (where a noise source may be) meets all that is joined there, not half of it.
    loss += half[:, None] + half
    np.fill_diagonal(loss, 0.0)
    plain = [None if step is None else (step[0], step[1].name) for step in before]
    return Ways(names, loss, length, island, plain)


def _edges(description: GridDescription, at: dict[str, int], cut: set[str]) -> list[_Edge]:
    cable = {name: description.cable(name).loss_db_per_km for name in {row.cable for row in description.branches}}
    cable |= {name: description.cable(name).loss_db_per_km for name in {row.cable for row in description.nodes}}
    found = [
        _Edge(row.name, at[row.start], at[row.end], cable[row.cable] * row.length_m / 1000, row.length_m, None)
        for row in description.branches
        if row.name not in cut
    ]
    for node in description.nodes:
        if node.name not in cut:
            damping = sum(LOADS[load].damping_db for load in node.loads)
            # A house's own loads damp what its device sends and hears; those who pass it meet the same, and the service.
            loss = cable[node.cable] * node.length_m / 1000 + damping
            passing = description.settings.service_db + damping
            found.append(_Edge(node.name, at[node.at], at[node.name], loss, node.length_m, passing))
    return found


def _spanning(edges: list[_Edge], count: int) -> tuple[list[_Edge], list[_Edge]]:
    """(edges of a forest of least loss, what is left over and closes rings)."""
    root = list(range(count))

    def find(place: int) -> int:
        while root[place] != place:
            root[place] = root[root[place]]
            place = root[place]
        return place

    tree, spare = [], []
    for edge in sorted(edges, key=lambda edge: edge.loss_db):
        a, b = find(edge.a), find(edge.b)
        if a == b:
            spare.append(edge)
        else:
            root[a] = b
            tree.append(edge)
    return tree, spare


def _order(tree: list[_Edge], count: int) -> tuple[list[int], list[tuple[int, _Edge] | None]]:
    """(places, each after the one it hangs at; what each hangs at and by which edge)."""
    near: dict[int, list[tuple[int, _Edge]]] = defaultdict(list)
    for edge in tree:
        near[edge.a].append((edge.b, edge))
        near[edge.b].append((edge.a, edge))
    before: list[tuple[int, _Edge] | None] = [None] * count
    seen = [False] * count
    order: list[int] = []
    for start in range(count):
        if seen[start]:
            continue
        seen[start] = True
        queue = [start]
        for place in queue:
            order.append(place)
            for other, edge in near[place]:
                if not seen[other]:
                    seen[other] = True
                    before[other] = (place, edge)
                    queue.append(other)
    return order, before


def _weights(
    description: GridDescription,
    tree: list[_Edge],
    spare: list[_Edge],
    order: list[int],
    before: list[tuple[int, _Edge] | None],
    points: int,
) -> tuple[dict[str, float], Matrix]:
    """(loss of each edge of the forest with its share of what is joined at its ends, the other share of a way that ends there)."""
    count = len(order)
    below = [1 if place >= points else 0 for place in range(count)]
    root = list(range(count))
    for place in reversed(order):
        if (step := before[place]) is not None:
            below[step[0]] += below[place]
    for place in order:
        if (step := before[place]) is not None:
            root[place] = root[step[0]]
    branch_db = description.settings.branch_db

    def damping(edge: _Edge, seen_from: int) -> float:
        """What an edge costs those who pass the point it is joined to."""
        if edge.damping_db is not None:
            return edge.damping_db if seen_from < points else 0.0
        other = edge.b if edge.a == seen_from else edge.a
        step = before[other]
        down = step is not None and step[1] is edge
        beyond = below[other] if down else below[root[other]] - below[seen_from]
        return branch_db if beyond else 0.0

    total = [0.0] * count
    for edge in tree:
        for end in (edge.a, edge.b):
            total[end] += damping(edge, end)
    for edge in spare:
        for end in (edge.a, edge.b):
            total[end] += branch_db if below[root[end]] else 0.0
    found = {}
    for edge in tree:
        found[edge.name] = edge.loss_db + sum(
            total[end] / 2 - damping(edge, end) for end in (edge.a, edge.b) if end < points
        )
    half = np.asarray(total) / 2
    half[points:] = 0.0
    return found, half
