"""Group ``street``: how long a street that nobody knows takes until each device is commissioned and has been read once.

Ours is virtual time of a whole simulated street with its losses; beside it stands the least that the exchanges of commissioning and of
the first read-out take on one line (``street.cold_start``). Goal: at most twice that. Project choice.
"""

from __future__ import annotations

from collections.abc import Iterator

from osgp.bench.frame import Bench, Row
from osgp.street.cold_start import cold_start
from osgp.street.plan import default_text, parse_plan
from osgp.street.run import StreetRun

__all__ = ["cold_rows"]

_HOUSES, _QUICK_HOUSES = 60, 8
_MOST_S, _STEP_S = 4 * 3600.0, 20.0


def cold_rows(bench: Bench) -> Iterator[Row]:
    """One row: cold starts an hour, and as many as the bound allows."""
    houses = _QUICK_HOUSES if bench.quick else _HOUSES
    run = StreetRun(parse_plan(default_text(houses)))
    while run.observed.first_billing_s is None and run.wire.now < _MOST_S:
        run.run_to(run.wire.now + _STEP_S)
    found = cold_start(run)
    took = found.took_s if found.took_s is not None else _MOST_S
    yield Row(
        bench.group,
        f"Cold start of {houses} devices to the first whole billing read-out",
        3600 / took,
        3600 / found.bound_s,
        "cold starts/h of the line",
        found.bound_s / took,
        0.5,
        None,
        f"the exchanges alone, one after the other: {found.bound_s:.0f} s against {took:.0f} s",
        "calculated",
    )
