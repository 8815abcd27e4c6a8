"""Levels of a medium from a grid: who of a transformer area's devices hears whom, at a time of day. Project choice.

Narrow-band interference that passes the receiver's matched filter counts as noise: the level is the grid's ``sinr_db``, and a receiver
whose line condition is a tone (T) loses packets as one on a quiet line does at that level. (The curve of T holds for a tone as
strong as the signal, which a receiver of a grid hears from one sender at most.)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from osgp.sim.grid import Grid
from osgp.sim.medium import Levels

__all__ = ["devices_of", "grid_levels"]


def devices_of(grid: Grid) -> list[int]:
    """Numbers of the grid's nodes with a device that talks, the first concentrator first."""
    nodes = grid.description.nodes
    first = grid.concentrators[0]
    return [first, *(number for number, node in enumerate(nodes) if number != first and node.device != "none")]


def grid_levels(grid: Grid, devices: Sequence[int], time_of_day_h: float) -> Levels:
    """How the devices hear each other, in their order. ``time_of_day_h``: local, 0 … 24."""
    links = grid.links(time_of_day_h)
    some = np.asarray(devices, dtype=np.intp)
    primary, secondary = (links.sinr_db[carrier][np.ix_(some, some)].tolist() for carrier in (0, 1))
    return Levels((primary, secondary), tuple("Q" if (name := links.scenario[n]) == "T" else name for n in devices))
