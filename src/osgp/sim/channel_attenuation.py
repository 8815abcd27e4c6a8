"""Attenuation by cable, branch and phase: the level that arrives. Project choice; ``spec/phy-ts103908.md`` 3.6 a.

Measured campaigns that a user may calibrate with: Shao et al., VTC-Fall 2014 (30–500 kHz); HAL hal-02407226 (cable constants,
9–500 kHz). Nothing passes a transformer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osgp.sim.channel_text import P, U, check_numbers, number

__all__ = ["COUPLING_DB", "CROSS_PHASE_DB", "LOADED_BRANCH_DB", "SHADOWING_DB", "TRANSMIT_DBUV", "Attenuation"]

TRANSMIT_DBUV = 120.0
"""Transmit level, dBuV; the limit of EN 50065-1 at 86.2 kHz is 120.6 (unverified, 2.12)."""
COUPLING_DB = 3.0
LOADED_BRANCH_DB = 3.0
CROSS_PHASE_DB = 15.0
SHADOWING_DB = 6.0


@dataclass(frozen=True, slots=True)
class Attenuation:
    """A way through cables. Lengths in metres, losses in dB; the rest is what the names say.

    ``cable_db_per_km``: 5 for bare cable whose loaded branches are counted one by one, 50 for the mean of a dense residential feeder,
    branches included.
    """

    distance_m: float = number(100.0, P, "3.6 a", low=0.0, high=1e5)
    branches: int = number(0, P, "3.6 a", low=0, high=1000)
    cross_phase: bool = False
    cable_db_per_km: float = number(
        5.0, P, "3.6 a; 40–100 dB/km in dense feeders, Hooijen 1998 (unverified)", low=0.0, high=1e4
    )
    coupling_db: float = number(COUPLING_DB, P, "3.6 a", low=0.0, high=200.0)
    branch_db: float = number(LOADED_BRANCH_DB, P, "3.6 a", low=0.0, high=200.0)
    cross_phase_db: float = number(CROSS_PHASE_DB, P, "3.6 a", low=0.0, high=200.0)
    shadowing_db: float = number(SHADOWING_DB, P, "3.6 a", low=0.0, high=60.0)
    transmit_dbuv: float = number(TRANSMIT_DBUV, U, "2.12, 3.6 a", low=0.0, high=200.0)

    def __post_init__(self) -> None:
        check_numbers(self)

    @property
    def mean_db(self) -> float:
        """Loss without shadowing."""
        return (
            self.coupling_db
            + self.cable_db_per_km * self.distance_m / 1000.0
            + self.branch_db * self.branches
            + (self.cross_phase_db if self.cross_phase else 0.0)
        )

    def draw_db(self, rng: np.random.Generator) -> float:
        """Loss of one way, its shadowing drawn from a normal distribution."""
        return self.mean_db + self.shadowing_db * float(rng.standard_normal())
