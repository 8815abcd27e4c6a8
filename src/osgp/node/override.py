"""A tier by order instead of by calendar: ET47 (MEP guide p. 122), shown in BT55 as tier drive."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from osgp.tables.et.et47 import ET47

if TYPE_CHECKING:
    from osgp.node.meter import Meter

__all__ = ["TierOverride"]

_NEXT_SWITCH, _INDEFINITE, _DURATION, _AT_TIME = 0, 1, 2, 3


class TierOverride:
    """The override of one meter. ``tier`` is None while the calendar rules; ``until`` (meter UTC) when it ends by itself."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.tier: int | None = None
        self.mode = _NEXT_SWITCH
        self.until = float("inf")

    def changed(self) -> None:
        """ET47 was written or activated."""
        table = self.meter.image.decode(ET47)
        shown = self.meter.shown
        self.tier, self.mode, self.until = None, table.cancellation, float("inf")
        if self.mode == _DURATION:
            self.until = math.ceil(shown) + table.override_duration  # everything is due at whole seconds
        elif self.mode == _AT_TIME:
            moment = table.cancel_time.datetime()
            self.until = moment.timestamp() if moment is not None else shown
        if table.tariff < self.meter.tiers and self.mode <= _AT_TIME and self.until > shown:
            self.tier = table.tariff

    def settle(self, shown: float, switched: bool) -> None:
        """Time has come to ``shown``; ``switched``: the calendar has just changed its tier."""
        if shown >= self.until or (switched and self.mode == _NEXT_SWITCH):
            self.tier = None
        if self.tier is None:
            self.until = float("inf")

    @property
    def drive(self) -> int:
        """BT55 TIER_DRIVE: 0 calendar, 1 until the next switch, 2 indefinitely, 3 by time."""
        if self.tier is None:
            return 0
        return {_NEXT_SWITCH: 1, _INDEFINITE: 2}.get(self.mode, 3)

    def to_json(self) -> list[float | None]:
        """For a saved meter."""
        return [self.tier, self.mode, None if self.until == float("inf") else self.until]

    def restore(self, saved: list[float | None]) -> None:
        """The inverse of ``to_json``."""
        tier, mode, until = saved
        self.tier = None if tier is None else int(tier)
        self.mode = int(mode or 0)
        self.until = float("inf") if until is None else until
