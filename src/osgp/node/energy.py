"""What a meter measures, as it asks for it: energy between two instants and the state at one (project choice).

Amounts are whole numbers of micro-units times seconds (µWs, µvar·s, µVA·s) and exactly additive: what flows from a to b and
from b to c is what flows from a to c. A register is such a sum divided by ``PER_WH``, rounded down; so a register and a load
profile that look at the same moment always agree. Instants are true UTC seconds since 1970; what the meter's own clock shows
is its own affair.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ["FLOWS", "PER_WH", "EnergySource", "Instant", "NoEnergy", "PhaseInstant"]

PER_WH = 3_600_000_000
"""µWs in a watt-hour, µvar·s in a varh, µVA·s in a VAh."""

FLOWS = ("imported", "exported", "q1", "q2", "q3", "q4", "s1", "s2", "s3", "s4")
"""The ten amounts of the three phases together: active import and export, reactive and apparent energy by quadrant."""


@dataclass(frozen=True, slots=True)
class PhaseInstant:
    """One phase at one moment, in W, var and V; above zero is import, inductive."""

    power_w: float = 0.0
    reactive_var: float = 0.0
    voltage_v: float = 230.0


@dataclass(frozen=True, slots=True)
class Instant:
    """All phases at one moment, and the frequency."""

    phases: tuple[PhaseInstant, ...] = (PhaseInstant(),)
    frequency_hz: float = 50.0


class EnergySource(Protocol):
    """What hangs on the meter's terminals."""

    def energy(self, start: float, end: float) -> tuple[int, ...]:
        """The ten amounts of ``FLOWS`` from ``start`` to ``end`` (never negative for a span that runs forward)."""
        ...

    def instant(self, at: float) -> Instant:
        """What the meter sees at a moment."""
        ...


class NoEnergy:
    """Terminals with voltage and no load."""

    def __init__(self, phases: int = 1) -> None:
        self._instant = Instant((PhaseInstant(),) * phases)

    def energy(self, start: float, end: float) -> tuple[int, ...]:
        """Nothing."""
        return (0,) * len(FLOWS)

    def instant(self, at: float) -> Instant:
        """Rated voltage."""
        return self._instant
