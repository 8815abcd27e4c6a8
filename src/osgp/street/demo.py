"""The street of ``osgp demo``: a bit of everything on a loud suburban grid, read often enough that one sees it. Project choice."""

from __future__ import annotations

import dataclasses
from datetime import datetime

from osgp.street.plan import START, Fault, Order, StreetPlan, Upgrade, default_text, parse_plan

__all__ = ["demo_plan", "with_daily_troubles"]

_MEASUREMENTS = (
    "fwd_active_power",
    "rev_active_power",
    "voltage_l1",
    "voltage_l2",
    "voltage_l3",
    "mbus[1].volume",
    "mbus[2].volume",
    "mbus[3].energy",
)
"""Beside those that a concentrator reads anyway."""
_DAYS_OF_FAULTS = 30
_LOADS = "load"
_OFF = {"procedure": "EP02", "parameters": {"target": 1, "action": 0, "random": 120, "hold": 90}, "idempotent": True}
"""Control relay 1 opens for an hour and a half, everywhere within two minutes; told twice it is open a little longer."""
_FIRMWARE_KIB = 4.0


def demo_plan(
    houses: int = 60, *, seed: int = 1, hours: float = 3.0, start: datetime = START, kind: str = "suburban"
) -> StreetPlan:
    """The street for so many hours, at half of which the busiest repeater dies for twenty minutes; a little later loads are switched
    and their modules get new firmware. Raises ConfigError."""
    plan = parse_plan(default_text(houses, seed=seed, hours=hours, kind=kind))
    config = plan.config
    collection = dataclasses.replace(config.collection, measurements=(*config.collection.measurements, *_MEASUREMENTS))
    has_loads = any(house.kind == _LOADS for house in plan.houses)
    times = dataclasses.replace(config.plan, scan_s=900.0, alerting_scan_s=900.0, profile_s=3600.0, billing_s=7200.0)
    return dataclasses.replace(
        plan,
        start=start,
        config=dataclasses.replace(config, collection=collection, plan=times),
        faults=(Fault("dead", at_h=hours / 2, minutes=min(20.0, hours * 10.0)),),
        orders=(Order("procedure", hours * 0.6, _LOADS, _OFF),) if has_loads else (),
        upgrades=(Upgrade(_LOADS, hours * 0.6, _FIRMWARE_KIB),) if has_loads else (),
    )


def with_daily_troubles(plan: StreetPlan, begin_h: float) -> StreetPlan:
    """The same street with something to see soon after ``begin_h``, and something twice a day from then on, for a month: a fault, and
    loads that are switched an hour before it."""
    branches = [branch.name for branch in plan.grid.branches]
    cut = branches[len(branches) // 2] if branches else ""
    kinds = [Fault("dead", minutes=90.0), Fault("noise", minutes=60.0, db=12.0)]
    if cut:
        kinds.insert(1, Fault("cut", minutes=90.0, target=cut))
    moments = [begin_h + 12.0 * turn for turn in range(2 * _DAYS_OF_FAULTS)]
    faults = [dataclasses.replace(kinds[turn % len(kinds)], at_h=at) for turn, at in enumerate(moments)]
    orders = [dataclasses.replace(each, at_h=at - 1.0) for at in moments[1:] for each in plan.orders]
    return dataclasses.replace(plan, faults=tuple(faults), orders=(*plan.orders, *orders))
