"""Demand intervals: block or rolling (EP33). The interval is the sub-interval times the multiplier, as ET42 shows both.

With a multiplier above 1 the interval rolls: it ends with every sub-interval, and begins as many sub-intervals before (MEP guide
p. 183 tells the same of average power). An outage begins anew; a rolling interval counts when it is whole (project choices).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from osgp.node.clockwork import utc_datetime
from osgp.node.dimensions import DEMAND_MINUTES

if TYPE_CHECKING:
    from osgp.node.meter import Meter

__all__ = ["DemandClock"]


class DemandClock:
    """``minutes`` of a sub-interval, ``multiplier`` of them. ``due``: when the sub-interval ends, on the meter's clock."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.minutes = DEMAND_MINUTES
        self.multiplier = 1
        self.began = meter.at
        """True time at which the demand interval under way began."""
        self._later: list[tuple[float, list[int]]] = []
        self.due: float = 0.0

    def plan(self, shown: float) -> None:
        """When the sub-interval under way ends."""
        step = self.minutes * 60
        self.due = (int(shown // step) + 1) * step

    def begin(self) -> None:
        """A new interval begins now; what was under way does not count."""
        self.began, self._later = self.meter.at, []
        self.meter.registers.demand_flow = list(self.meter.registers.flow)
        self.plan(self.meter.shown)

    def configure(self, minutes: int, multiplier: int) -> None:
        """Other intervals from now on."""
        self.minutes, self.multiplier = minutes, multiplier
        self.begin()

    def work(self, due: int) -> None:
        """A sub-interval ends."""
        meter = self.meter
        registers = meter.registers
        local = utc_datetime(due + meter.calendar.offset_s(due))
        moment = (local.year - 2000, local.month, local.day, local.hour, local.minute)
        if len(self._later) >= self.multiplier - 1 and meter.demand_sources:
            registers.end_demand(meter.demand_sources, meter.coincident, meter.at - self.began, moment)
        self._later.append((meter.at, list(registers.flow)))
        if len(self._later) >= self.multiplier:
            self.began, registers.demand_flow = self._later.pop(0)
        self.plan(due)

    def present(self) -> list[int]:
        """Mean power since the interval under way began, by demand source."""
        return self.meter.registers.present_demand(self.meter.demand_sources, self.meter.at - self.began)

    def to_json(self) -> list[Any]:
        """For a saved meter."""
        return [self.minutes, self.multiplier, self.began, self.due, [[at, flow] for at, flow in self._later]]

    def restore(self, saved: list[Any]) -> None:
        """The inverse of ``to_json``."""
        self.minutes, self.multiplier, self.began, self.due, later = saved
        self._later = [(at, list(flow)) for at, flow in later]
