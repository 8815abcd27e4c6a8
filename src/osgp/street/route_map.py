"""The ways of a street on the drawing of its grid. Project choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from osgp.sim.grid import Grid
from osgp.sim.grid_picture import Box, Line, draw, svg

if TYPE_CHECKING:
    from osgp.street.run import StreetRun

__all__ = ["route_map"]

_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#999999", "#222222", "#F0E442")
"""Of the legs of a way, from the concentrator outward."""


def route_map(run: StreetRun, ways: Mapping[str, tuple[str, ...]], open_branches: Sequence[str], utc_s: float) -> str:
    """An SVG: the single-line diagram, and for each device the last leg of its way, coloured by its number of legs."""
    grid = Grid(run.plan.grid)
    for name in grid.open_branches:
        if name not in open_branches:
            grid.restore(name)
    for name in open_branches:
        grid.cut(name)
    drawing = draw(grid, grid.time_of_day_h(utc_s))
    place = {
        shape.title.split(": ", 1)[0]: (shape.x, shape.y)
        for shape in drawing.shapes
        if isinstance(shape, Box) and ": " in shape.title
    }
    legs = []
    for way in ways.values():
        begin = way[-2] if len(way) > 1 else run.plan.concentrator
        if begin in place and way[-1] in place:
            (x1, y1), (x2, y2) = place[begin], place[way[-1]]
            legs.append(Line(x1, y1, x2, y2, _COLOURS[min(len(way), len(_COLOURS)) - 1], 1.1))
    drawing.shapes = [*legs, *drawing.shapes]
    return svg(drawing)
