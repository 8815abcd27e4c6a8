"""Small streets for tests: few houses on a loud line, so that some are reached through others."""

from __future__ import annotations

from osgp.street.plan import Fault, StreetPlan
from osgp.street.torture import small_street


def small_plan(houses: int = 8, *, hours: float = 2.0, faults: tuple[Fault, ...] = ()) -> StreetPlan:
    """A rural street; profiles are read every half an hour."""
    return small_street(houses, hours=hours).with_faults(*faults)
