"""What a link costs: the metric of ``spec/osgp-application.md`` 3.10 (project choice over the grades of ET04.90). No I/O, no state.

A link is as good as its worse direction: a request must get there and its response back. Margins are decibels above what reception
needs at the receiver. Costs are small whole numbers, so that a way over two good links beats one over a poor one.
"""

from __future__ import annotations

import math

__all__ = ["FAILURE_COST", "FAILURE_S", "HOP_COST", "UNUSABLE", "grade", "is_enough_better", "link_cost", "margin_of"]

HOP_COST = 1.0
"""Added for each leg of a way."""
FAILURE_COST = 8.0
"""Added to a link that was blamed for a failure ..."""
FAILURE_S = 3600.0
"""... for so long."""
UNUSABLE = math.inf
_COSTS = ((18.0, 1.0), (12.0, 2.0), (9.0, 4.0), (6.0, 8.0))
_GAIN = 0.25


def margin_of(there_db: float, back_db: float) -> float:
    """The margin of a link, dB: of its worse direction."""
    return min(there_db, back_db)


def link_cost(margin_db: float) -> float:
    """1 from 18 dB, 2 from 12, 4 from 9, 8 from 6; below that a link is ``UNUSABLE``."""
    return next((cost for least, cost in _COSTS if margin_db >= least), UNUSABLE)


def grade(margin_db: float | None) -> int:
    """The quality grade that a meter tells of itself (ET04.90): 1 not heard, 2 up to 9 dB, 3 up to 15, 4 from 18 on.

    The register has steps of 3 dB; what lies between 9 and 12 or 15 and 18 counts as the lower step.
    """
    if margin_db is None:
        return 1
    return 4 if margin_db >= 18 else 3 if margin_db >= 12 else 2


def is_enough_better(new: float, old: float) -> bool:
    """Whether it is worth leaving a way that works: at least a quarter cheaper."""
    return new <= (1.0 - _GAIN) * old
