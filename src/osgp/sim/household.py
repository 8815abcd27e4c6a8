"""The simulated house as a meter sees it: ``Household`` (load.py) behind the meter's ``EnergySource``.

Apparent energy is summed minute by minute from the balanced active and reactive power of all phases, rounded to milli-VA; it
is therefore as exactly additive as the rest (project choice: arithmetic over minutes, vector over phases).
"""

from __future__ import annotations

import math

import numpy as np

from osgp.node.energy import Instant, PhaseInstant
from osgp.sim.load import FloatArray, Household
from osgp.sim.load_ledger import MINUTES, DayLedger, IntArray, milliseconds

__all__ = ["HouseholdSource"]


class HouseholdSource:
    """``EnergySource`` of a house; it can tell when a voltage leaves its limits."""

    def __init__(self, house: Household) -> None:
        self.house = house
        self._apparent = DayLedger(self._apparent_rates)
        self._volts: tuple[int, FloatArray] | None = None

    def _apparent_rates(self, day: int) -> IntArray:
        active, reactive = self.house.power_day(day)
        p, q = active.sum(axis=0), reactive.sum(axis=0)
        apparent = np.rint(np.hypot(p, q)).astype(np.int64)
        taking, inductive = p >= 0, q >= 0
        quadrants = (taking & inductive, ~taking & inductive, ~taking & ~inductive, taking & ~inductive)
        return np.stack([apparent * each for each in quadrants])

    def energy(self, start: float, end: float) -> tuple[int, ...]:
        """The ten amounts of ``osgp.node.energy.FLOWS``."""
        total = self.house.energy(start, end).total
        apparent = self._apparent.between(milliseconds(start), milliseconds(end))
        return (total.imported, total.exported, total.q1, total.q2, total.q3, total.q4, *apparent)

    def instant(self, at: float) -> Instant:
        """Power, voltage and frequency at a moment."""
        state = self.house.state(at)
        phases = tuple(PhaseInstant(each.power_w, each.reactive_var, each.voltage_v) for each in state.phases)
        return Instant(phases, state.frequency_hz)

    def beyond(self, start: float, end: float, low_v: float, high_v: float) -> float | None:
        """The first beginning of a minute in ``start`` ≤ t < ``end`` at which a phase is below or above the limits."""
        minute, last = math.ceil(start / 60), math.ceil(end / 60)
        while minute < last:
            day, first = divmod(minute, MINUTES)
            if self._volts is None or self._volts[0] != day:
                self._volts = day, self.house.voltage_day(day)
            volts = self._volts[1][:, first : min(MINUTES, first + last - minute)]
            hits = np.flatnonzero(((volts < low_v) | (volts > high_v)).any(axis=0))
            if hits.size:
                return float((minute + int(hits[0])) * 60)
            minute = (day + 1) * MINUTES
        return None
