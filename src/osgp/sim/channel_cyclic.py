"""Cyclostationary noise: Gaussian noise whose variance follows the mains.

Katayama, Yamazato, Okada, IEEE JSAC 24(7), 2006: variance sum of A |sin(2 pi t / T + theta)|^n, density exp(-a f);
``spec/phy-ts103908.md`` 3.6 e. Set 1 was verified in public simulation code (Purkayastha and Kiah, 2013), set 2 is recalled from
Shlezinger and Dabora, arXiv 1505.02934.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from osgp.plc.params import PhyProfile
from osgp.sim.channel_background import NORMAL_DBUV, exponential_taps, white_rms_v
from osgp.sim.channel_noise import HALF_CYCLE_BINS, Block, Coloured, Floats, power_response
from osgp.sim.channel_text import BadSetting, P, V, check_numbers, number

__all__ = ["SET_1", "SET_2", "Cyclic", "CyclicNoise"]


@dataclass(frozen=True, slots=True)
class Cyclic:
    """Periodic noise; defaults are set 1. ``level_dbuv``: mean power in one line bit rate of bandwidth at the primary carrier.

    ``amplitudes``, ``angles_deg``, ``exponents``: of the terms of the variance. ``slope_s``: of the density.
    """

    level_dbuv: float = number(NORMAL_DBUV, P, "3.6 d", low=-60.0, high=160.0)
    amplitudes: tuple[float, ...] = number((0.23, 1.38, 7.17), V, "3.6 e", low=0.0, high=1e6)
    angles_deg: tuple[float, ...] = number((0.0, -6.0, -35.0), V, "3.6 e", low=-360.0, high=360.0)
    exponents: tuple[float, ...] = number((0.0, 1.91, 1.57e5), V, "3.6 e", low=0.0, high=1e7)
    slope_s: float = number(1.2e-5, V, "3.6 e", low=0.0, high=1e-4)

    def __post_init__(self) -> None:
        check_numbers(self)
        if not len(self.amplitudes) == len(self.angles_deg) == len(self.exponents) or not sum(self.amplitudes):
            raise BadSetting(
                "amplitudes", "a term needs an amplitude, an angle and an exponent", hint="lists of one length"
            )

    def variance(self, cycle_turns: NDArray[np.float64]) -> NDArray[np.float64]:
        """As published: relative variance at places in the mains cycle (0 … 1); same shape."""
        total = np.zeros_like(cycle_turns)
        for amplitude, angle, exponent in zip(self.amplitudes, self.angles_deg, self.exponents):
            total += amplitude * np.abs(np.sin(2 * np.pi * cycle_turns + math.radians(angle))) ** exponent
        return total

    def profile_table(self) -> NDArray[np.float64]:
        """Variance over half a cycle, mean one; shape (4096,)."""
        table = self.variance((np.arange(HALF_CYCLE_BINS) + 0.5) / (2 * HALF_CYCLE_BINS))
        return np.asarray(table / table.mean())

    def noise_dbuv(self, frequency_hz: float, profile: PhyProfile) -> float:
        """Mean power in one line bit rate of bandwidth at a frequency."""
        taps = exponential_taps(self.slope_s, profile)
        return self.level_dbuv + 10.0 * math.log10(power_response(taps, frequency_hz, profile.sample_rate_hz))

    def rms_v(self, profile: PhyProfile) -> float:
        """Volts rms of the samples over the whole band, on average over the cycle."""
        return white_rms_v(self.level_dbuv, profile) * float(np.linalg.norm(exponential_taps(self.slope_s, profile)))

    def source(self, seed: int, profile: PhyProfile) -> CyclicNoise:
        """What renders it."""
        return CyclicNoise(seed, self, profile)


@lru_cache(maxsize=16)
def _scale_of(settings: Cyclic) -> Floats:
    """Root of the variance over half a cycle, the same for every channel of such noise."""
    scale: Floats = np.sqrt(settings.profile_table()).astype(np.float32)
    scale.setflags(write=False)
    return scale


class CyclicNoise:
    """Renders ``Cyclic``: stationary coloured noise times the root of the variance at each sample."""

    def __init__(self, seed: int, settings: Cyclic, profile: PhyProfile) -> None:
        self._scale = _scale_of(settings)
        taps = exponential_taps(settings.slope_s, profile) * np.float32(white_rms_v(settings.level_dbuv, profile))
        self._noise = Coloured(seed, taps)

    def render(self, block: Block) -> Floats:
        """Volts in a block."""
        return self._noise.render(block) * self._scale.take(block.bins)


SET_1 = Cyclic()
SET_2 = Cyclic(
    amplitudes=(0.13, 2.8, 16.0), angles_deg=(0.0, 128.0, 161.0), exponents=(0.0, 9.3, 5.3e3), slope_s=8.9e-6
)
"""Recalled (unverified, 85 %)."""
