"""What the planner asks of the line for the registers of the default collection, and what other ways of reading them would take.

Nothing is timed: the figures are airtime as ``power_line_costs`` counts it (``spec/perf-anchors.md`` section 8, mean back-off), of a
three-phase meter one and three legs away whose dimensions are known. The minimum is that of all ways to group the fields of each
table, or its full read; one table at a time is every table in full, in several reads if it is longer than an answer. That these costs
are those of the line is a test (``tests/concentrator/test_door.py``). Goals: at most 1.02 times the minimum, at least 30 % less than
one table at a time.
"""

from __future__ import annotations

from collections.abc import Iterator

from osgp.bench.frame import Bench, Row
from osgp.bench.planner import CONTEXT, best_bytes, full_bytes
from osgp.concentrator.accounts import LineCosts
from osgp.concentrator.config import Collection
from osgp.concentrator.door import power_line_costs
from osgp.tables.measurements import find_measurement
from osgp.tables.planner import Wanted, plan, want
from osgp.tables.query import parse_query

__all__ = ["planner_rows"]

_ALTERNATIVES = (
    ("the best of all groupings (exhaustive search)", best_bytes, 1 / 1.02),
    ("one table at a time", full_bytes, 1 / 0.7),
)


def _collection() -> list[Wanted]:
    """The fields of the default collection on that meter."""
    places = [find_measurement(name).place(CONTEXT) for name in Collection().measurements]
    paths = (f"{each.table.__name__}.{each.path}".removesuffix(".") for each in places)
    return want((parse_query(path) for path in paths), CONTEXT)


def planner_rows(bench: Bench) -> Iterator[Row]:
    """A row for each distance and alternative: registers of how many meters an hour of airtime reads."""
    items = _collection()
    for legs in (1, 3):
        costs = power_line_costs(LineCosts(), legs)
        ours = costs.airtime_s(plan(items, costs, CONTEXT).wire_bytes, 0)
        for name, alternative, floor in _ALTERNATIVES:
            theirs = costs.airtime_s(alternative(items, costs), 0)
            yield Row(
                bench.group,
                f"Planner: registers of the default collection, {legs} {'leg' if legs == 1 else 'legs'}",
                3600 / ours,
                3600 / theirs,
                "meters/h of airtime",
                theirs / ours,
                floor,
                None,
                f"{name}: {theirs:.2f} s against {ours:.2f} s",
                "calculated",
            )
