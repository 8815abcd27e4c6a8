"""What a cold start must take at least: the exchanges that make a device ours and read it for the first time, over its own legs.

To be made ours a device needs two pairs of handshake messages and one request under its key. What its first read-out needs (alarms,
configuration, clock, registers, log) is counted on a device of its kind alone on a line without noise: so nothing that a street does
twice or in vain makes the bound longer. Each exchange counts once, with the mean silence before each frame (``LineCosts.exchange_s``),
over as many legs as the device's way has. Asking around is not in it: a list of devices would do without. One line, one frame at a
time: it is what a concentrator would need that always has the next exchange ready. Project choice.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from osgp.concentrator.exchange import Exchange, Priority
from osgp.street.plan import StreetPlan, parse_plan
from osgp.street.run import StreetRun

__all__ = ["ColdStart", "cold_start"]

_ALONE = """
[grid]
kind = "suburban"
houses = 1
background_dbuv = -60
"""
_ALONE_S, _STEP_S = 1800.0, 5.0


class ColdStart(NamedTuple):
    """``took_s``: until everybody had been read once, None if that never was; ``bound_s`` and, of it, ``commissioning_s``."""

    took_s: float | None
    bound_s: float
    commissioning_s: float

    @property
    def ratio(self) -> float | None:
        """How many times the bound it took."""
        return self.took_s / self.bound_s if self.took_s is not None and self.bound_s else None


class _Needed(NamedTuple):
    """Exchanges as bytes of the request's and the response's APDU: those that make a device ours, those that read it first."""

    ours: list[tuple[int, int]]
    read: list[tuple[int, int]]


_KNOWN: dict[tuple[str, str], _Needed] = {}
"""By kind and configuration: a count takes half a second."""


def cold_start(run: StreetRun) -> ColdStart:
    """How long a run's cold start took, and how long it must take over the ways that its devices have. Raises StoreError."""
    costs, ways = run.concentrator.exchanges.costs, run.ways()
    total = commissioning = 0.0
    for house in run.plan.houses:
        legs, found = len(ways.get(house.node, ())), _alone(house.kind, run.plan)
        if legs:
            ours = sum(costs.exchange_s(*sizes, legs) for sizes in found.ours)
            commissioning += ours
            total += ours + sum(costs.exchange_s(*sizes, legs) for sizes in found.read)
    return ColdStart(run.observed.first_billing_s, total, commissioning)


def _alone(kind: str, plan: StreetPlan) -> _Needed:
    """What one device of a kind takes until it has been read once, each exchange once."""
    key = kind, repr(plan.config)
    if key not in _KNOWN:
        _KNOWN[key] = _count(kind, plan)
    return _KNOWN[key]


def _count(kind: str, plan: StreetPlan) -> _Needed:
    alone = parse_plan(_ALONE)
    house = dataclasses.replace(alone.houses[0], kind=kind)
    run = StreetRun(dataclasses.replace(alone, houses=(house,), config=plan.config, start=plan.start))
    found = _Needed([], [])
    inner = run.concentrator.ended

    def ended(exchange: Exchange, answered: bool, now: float) -> None:
        if answered and run.observed.first_billing_s is None:
            sizes = len(exchange.apdu or b""), len(exchange.response or b"")
            if exchange.kind == "commission" or exchange.priority is Priority.ON_DEMAND:
                found.ours.append(sizes)
            elif exchange.priority in (Priority.ALARM, Priority.BILLING):
                found.read.append(sizes)
        inner(exchange, answered, now)

    run.concentrator.ended = ended
    while run.observed.first_billing_s is None and run.wire.now < _ALONE_S:
        run.run_to(run.wire.now + _STEP_S)
    return found
