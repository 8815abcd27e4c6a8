"""Coloured background noise: Gaussian, its density falling exponentially with frequency; ``spec/phy-ts103908.md`` 3.6 d.

The slope is Katayama's (IEEE JSAC 24(7), 2006); the alternative after Hooijen falls as 10^(-3.95e-5 f). ``white`` is for measuring
receivers, where a density must be the same everywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from osgp.plc.params import PhyProfile
from osgp.sim.channel_noise import Coloured, Floats, power_response, taps_of, volts
from osgp.sim.channel_text import BadSetting, P, U, V, check_numbers, number

__all__ = ["BAD_DBUV", "NORMAL_DBUV", "QUIET_DBUV", "Background", "exponential_taps"]

QUIET_DBUV, NORMAL_DBUV, BAD_DBUV = 35.0, 60.0, 75.0
"""Noise in one line bit rate of bandwidth at the primary carrier (project choice, 3.6 d)."""
_BAND = np.linspace(0.06, 1.0, 189)
"""Where the colour must be right, in halves of the sample rate: 10 kHz up."""


@dataclass(frozen=True, slots=True)
class Background:
    """Stationary noise. ``level_dbuv``: power in one line bit rate of bandwidth at the primary carrier.

    ``colour``: ``exponential`` (``slope_s``), ``hooijen`` (``hooijen_per_hz``) or ``white``.
    """

    level_dbuv: float = number(NORMAL_DBUV, P, "3.6 d", low=-60.0, high=160.0)
    colour: str = "exponential"
    slope_s: float = number(1.2e-5, V, "3.6 d, e", low=0.0, high=1e-4)
    hooijen_per_hz: float = number(3.95e-5, U, "3.6 d", low=0.0, high=1e-4)

    def __post_init__(self) -> None:
        check_numbers(self)
        if self.colour not in ("exponential", "hooijen", "white"):
            raise BadSetting("colour", f"colour cannot be {self.colour!r}", hint='"exponential", "hooijen" or "white"')

    def taps(self, profile: PhyProfile) -> Floats:
        """The filter that colours white noise; its gain is one at the primary carrier."""
        slope = {"exponential": self.slope_s, "hooijen": self.hooijen_per_hz * math.log(10.0), "white": 0.0}
        return exponential_taps(slope[self.colour], profile)

    def noise_dbuv(self, frequency_hz: float, profile: PhyProfile) -> float:
        """Power in one line bit rate of bandwidth at a frequency."""
        response = power_response(self.taps(profile), frequency_hz, profile.sample_rate_hz)
        return self.level_dbuv + 10.0 * math.log10(response)

    def rms_v(self, profile: PhyProfile) -> float:
        """Volts rms of the samples, over the whole band up to half the sample rate."""
        return white_rms_v(self.level_dbuv, profile) * float(np.linalg.norm(self.taps(profile)))

    def source(self, seed: int, profile: PhyProfile) -> Coloured:
        """What renders it."""
        return Coloured(seed, self.taps(profile) * np.float32(white_rms_v(self.level_dbuv, profile)))


def white_rms_v(level_dbuv: float, profile: PhyProfile) -> float:
    """Volts rms of white samples that have so much power in one line bit rate of bandwidth (a share of 2 / samples per bit)."""
    return volts(level_dbuv) * math.sqrt(profile.samples_per_bit / 2.0)


@lru_cache(maxsize=64)
def exponential_taps(slope_s: float, profile: PhyProfile) -> Floats:
    """Filter with |H|^2 = exp(-slope f), scaled to gain one at the primary carrier. Read-only: it is kept for the next channel."""
    taps = np.ones(1, np.float32) if slope_s == 0.0 else _exponential_taps(slope_s, profile)
    taps.setflags(write=False)
    return taps


def _exponential_taps(slope_s: float, profile: PhyProfile) -> Floats:
    band = _BAND * profile.sample_rate_hz / 2.0
    # Eleven taps follow Katayama's slopes to 0.05 dB between 20 and 140 kHz; seven times as steep they would miss by 1 dB.
    count = 11 if slope_s < 2.5e-5 else 41
    taps = taps_of(np.exp(-slope_s * band / 2.0), band, profile.sample_rate_hz, count)
    return taps / np.float32(math.sqrt(power_response(taps, profile.carrier_hz(False), profile.sample_rate_hz)))
