"""Curtailment: an inverter's meter tells the inverter how much of its rated power it may feed in, for a time. Project choice.

The order is EP02 with target 3 (``osgp.node.osgp_orders``). What is left undone shows in the exported energy like everything else,
because the source itself obeys; UT23 tells the state.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

from osgp.node.clockwork import utc_datetime
from osgp.node.osgp_parts import Part
from osgp.node.osgp_tables import GENERATION, GenerationState
from osgp.tables.et.et04 import ET04
from osgp.tables.events import NO_USER
from osgp.wire import LTime

if TYPE_CHECKING:
    from osgp.node.meter import Meter

__all__ = ["Curtailable", "Inverter"]


class Curtailable(Protocol):
    """A source of energy that can be told to feed in less."""

    rated_w: float
    """Most that it gives, W."""

    def limit(self, at: float, watts: float | None) -> None:
        """From true UTC second ``at`` on give at most so many watts; None: as many as there are."""


class Inverter(Part):
    """The limit of one inverter."""

    name = "inverter"

    def __init__(self, meter: Meter) -> None:
        super().__init__(meter)
        self.level = 100
        self.ends = math.inf
        self._since = meter.at
        self._seconds = 0.0
        meter.image.put(GENERATION, self._table())
        meter.image.set(ET04, "premise_power_gen", 1)

    @property
    def rated_w(self) -> float:
        """Of the generator, 0 if the source does not tell."""
        return float(getattr(self.meter.source, "rated_w", 0.0))

    def order(self, level: int, hold_s: float, user: int = NO_USER) -> None:
        """Give at most ``level`` percent for ``hold_s`` seconds, 0 until the next order."""
        self.ends = self.meter.shown + hold_s if hold_s and level < 100 else math.inf
        self._set(level, user)
        self.plan(self.meter.shown)

    def _set(self, level: int, user: int = NO_USER) -> None:
        meter = self.meter
        if self.level < 100:
            self._seconds += meter.at - self._since
        self._since = meter.at
        if level != self.level:
            self.level = level
            curtailed = level < 100
            meter.log(
                "generation_curtailed" if curtailed else "generation_released", level if curtailed else 0, user=user
            )
        self._tell()

    def _tell(self) -> None:
        limit = getattr(self.meter.source, "limit", None)
        if limit is not None:
            limit(self.meter.at, None if self.level >= 100 else self.rated_w * self.level / 100)

    def plan(self, shown: float) -> None:
        """When the order ends."""
        self.due = math.ceil(self.ends) if self.ends < math.inf else math.inf

    def work(self, due: int) -> None:
        """The order ends."""
        self.ends = math.inf
        self._set(100)
        self.plan(due)

    def refresh(self, number: int) -> None:
        """UT23."""
        if number == GENERATION:
            self.meter.image.put(GENERATION, self._table())

    def _table(self) -> bytes:
        seconds = self._seconds + (self.meter.at - self._since if self.level < 100 else 0.0)
        return GenerationState(
            rated_w=round(self.rated_w),
            level=self.level,
            ends=LTime.of(utc_datetime(self.ends)) if self.ends < math.inf else LTime(),
            seconds=int(seconds),
        ).encode()

    def to_json(self) -> Any:
        """For a saved meter."""
        return [self.level, None if self.ends == math.inf else self.ends, self._since, self._seconds]

    def restore(self, saved: Any) -> None:
        """The inverse of ``to_json``."""
        self.level, ends, self._since, self._seconds = saved
        self.ends = math.inf if ends is None else ends
        self._tell()
        self.plan(self.meter.shown)
