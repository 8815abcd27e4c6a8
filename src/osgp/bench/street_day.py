"""What a day of readings takes of the line, beside the least that the bytes which must cross each hop could take.

Nothing is timed: the figures are the airtime of frames on a simulated street of 60 devices in four rings, each frame counted where
it was sent, repeats included (``osgp.street.airtime``). The day is the second one, with the default plan of a concentrator: by then
every device has been read once, as on all days that follow. The bound has the intervals of the load profiles, the registers and the
log entries that came in that day, in the largest reads, and nothing else (``osgp.street.bound``): what alarms, clocks and marks take
counts against it. Goal: at most 1.25 times the bound, that is a ratio of 0.8 here, where more is better. The second row adds what
keeps the network together (probes, link registers, keys); it has no goal.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from osgp.bench.frame import Bench, Row
from osgp.concentrator.config import ConcentratorConfig
from osgp.street.airtime import Day
from osgp.street.plan import StreetPlan, default_text, parse_plan
from osgp.street.run import StreetRun
from osgp.wire.errors import ProtocolError

__all__ = ["a_day", "day_plan", "day_rows"]

_HOUR = 3600.0
_FIRST_H, _DAY_H = 26.0, 24.0
"""The day begins two hours after midnight: what was due at midnight is done, however long it took."""


def day_plan(houses: int = 60, *, seed: int = 1, kind: str = "suburban") -> StreetPlan:
    """Such a street. Raises ConfigError."""
    plan = parse_plan(default_text(houses, seed=seed, hours=_FIRST_H + _DAY_H, kind=kind))
    return dataclasses.replace(plan, config=ConcentratorConfig())


def a_day(plan: StreetPlan) -> Day:
    """The airtime of its second day. Raises ProtocolError if a reading was lost, doubled or wrong: such airtime is worth nothing."""
    run = StreetRun(plan)
    try:
        run.run_to(_FIRST_H * _HOUR)
        run.airtime.begin(run.wire.now)
        run.run()
        truth, day = run.truth(), run.airtime.day
        if not truth.exact or truth.share < 0.999 or day is None:
            raise ProtocolError(
                f"the journal of {plan.name} is not what its meters hold", hint="osgp street run names the houses"
            )
        return day
    finally:
        run.close()


def day_rows(bench: Bench) -> Iterator[Row]:
    """The rows: reading alone, and all that was sent. ``quick``: a street of 8."""
    houses = 8 if bench.quick else 60
    day = a_day(day_plan(houses))
    least = sum(day.bound.values())
    for name, spent, floor in (
        (f"A day of {houses} devices: profiles, registers, events, with alarms and clocks", day.reading_s, 1 / 1.25),
        (f"The same with the network's upkeep: all of {houses} devices", sum(day.spent.values()), None),
    ):
        yield Row(
            bench.group,
            name,
            86400 / spent,
            86400 / least,
            "days/day of airtime",
            least / spent,
            floor,
            None,
            f"the bytes that must cross each hop, in the largest reads: {least:.0f} s against {spent:.0f} s",
            "calculated",
        )
