"""A small street for tests: few houses on a loud line, so that some are reached through others."""

from __future__ import annotations

import dataclasses

from osgp.street.plan import Fault, StreetPlan, default_text, parse_plan


def small_plan(
    houses: int = 8, *, hours: float = 2.0, seed: int = 3, noise_dbuv: float = 105.0, faults: tuple[Fault, ...] = ()
) -> StreetPlan:
    """A rural street; profiles are read every half an hour."""
    plan = parse_plan(default_text(houses, seed=seed, hours=hours, kind="rural"))
    times = dataclasses.replace(plan.config.plan, profile_s=1800.0, billing_s=3600.0)
    config = dataclasses.replace(plan.config, plan=times)
    grid = dataclasses.replace(plan.grid, settings=dataclasses.replace(plan.grid.settings, background_dbuv=noise_dbuv))
    return dataclasses.replace(plan, grid=grid, config=config, faults=faults)
