"""Region noise: each half cycle of the mains falls into stretches, each with stationary noise of its own colour and level.

Nassar, Dabak, Kim, Pande, Evans, ICASSP 2012, the basis of the noise annex of IEEE 1901.2, with three regions;
``spec/phy-ts103908.md`` 3.6 f. The numbers are a project choice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from osgp.plc.params import PhyProfile
from osgp.sim.channel_background import NORMAL_DBUV, white_rms_v
from osgp.sim.channel_noise import HALF_CYCLE_BINS, Block, Coloured, Floats, power_response
from osgp.sim.channel_text import BadSetting, P, check_numbers, number

__all__ = ["RegionNoise", "Regions"]

_TAPS = 48


@dataclass(frozen=True, slots=True)
class Regions:
    """Regions in the order of the half cycle. ``level_dbuv``: mean power in one line bit rate at the primary carrier.

    ``shares`` of the half cycle, sum one; ``levels_db``: power against the first; ``centres_hz``, ``quality`` of the resonators.
    """

    level_dbuv: float = number(NORMAL_DBUV, P, "3.6 d", low=-60.0, high=160.0)
    shares: tuple[float, ...] = number((0.70, 0.25, 0.05), P, "3.6 f", low=0.0, high=1.0)
    levels_db: tuple[float, ...] = number((0.0, 8.0, 22.0), P, "3.6 f", low=-60.0, high=80.0)
    centres_hz: tuple[float, ...] = number((60e3, 75e3, 86e3), P, "3.6 f", low=1e3, high=250e3)
    quality: float = number(3.0, P, "3.6 f", low=0.5, high=6.0)

    def __post_init__(self) -> None:
        check_numbers(self)
        if not 1 <= len(self.shares) == len(self.levels_db) == len(self.centres_hz):
            raise BadSetting("shares", "a region needs a share, a level and a centre", hint="lists of one length")
        if abs(sum(self.shares) - 1.0) > 1e-6:
            raise BadSetting(
                "shares", f"the shares sum to {sum(self.shares):g}", hint="they share the half cycle: sum 1"
            )

    def taps(self, profile: PhyProfile) -> list[Floats]:
        """One filter per region: a second-order resonator, scaled to the region's relative power."""
        found = []
        for centre, level in zip(self.centres_hz, self.levels_db):
            if centre >= profile.sample_rate_hz / 2:
                raise BadSetting("centres_hz", f"{centre:g} Hz is above half the sample rate", hint="below 172 kHz")
            angle = 2 * math.pi * centre / profile.sample_rate_hz
            alpha = math.sin(angle) / (2 * self.quality)
            pole, damp = 2 * math.cos(angle) / (1 + alpha), (1 - alpha) / (1 + alpha)
            state = [0.0, 0.0]
            taps = []
            for n in range(_TAPS):
                driven = alpha if n == 0 else (-alpha if n == 2 else 0.0)
                out = driven / (1 + alpha) + pole * state[0] - damp * state[1]
                state = [out, state[0]]
                taps.append(out)
            shape = np.asarray(taps)
            found.append((shape / np.linalg.norm(shape) * 10 ** (level / 20)).astype(np.float32))
        return found

    def _share(self, frequency_hz: float, profile: PhyProfile) -> float:
        """Mean density at a frequency against that of white noise of unit variance."""
        return sum(
            share * power_response(taps, frequency_hz, profile.sample_rate_hz)
            for share, taps in zip(self.shares, self.taps(profile))
        )

    def noise_dbuv(self, frequency_hz: float, profile: PhyProfile) -> float:
        """Mean power in one line bit rate of bandwidth at a frequency."""
        ratio = self._share(frequency_hz, profile) / self._share(profile.carrier_hz(False), profile)
        return self.level_dbuv + 10.0 * math.log10(ratio)

    def rms_v(self, profile: PhyProfile) -> float:
        """Volts rms of the samples over the whole band, on average over the cycle."""
        power = sum(share * 10 ** (level / 10) for share, level in zip(self.shares, self.levels_db))
        at_carrier = self._share(profile.carrier_hz(False), profile)
        return white_rms_v(self.level_dbuv, profile) * math.sqrt(power / at_carrier)

    def source(self, seed: int, profile: PhyProfile) -> RegionNoise:
        """What renders it."""
        return RegionNoise(seed, self, profile)


class RegionNoise:
    """Renders ``Regions``: one white noise, in each region through that region's filter."""

    def __init__(self, seed: int, settings: Regions, profile: PhyProfile) -> None:
        at_carrier = settings._share(profile.carrier_hz(False), profile)
        scale = np.float32(white_rms_v(settings.level_dbuv, profile) / math.sqrt(at_carrier))
        self._taps = [taps * scale for taps in settings.taps(profile)]
        edges = np.cumsum(settings.shares)[:-1]
        self._region = np.searchsorted(edges, (np.arange(HALF_CYCLE_BINS) + 0.5) / HALF_CYCLE_BINS)
        self._white = Coloured(seed, np.ones(_TAPS, np.float32))

    def render(self, block: Block) -> Floats:
        """Volts in a block."""
        white = self._white.with_history(block)
        regions = self._region[block.bins]
        cuts = [0, *(np.flatnonzero(np.diff(regions)) + 1).tolist(), block.size]
        out = np.empty(block.size, np.float32)
        for begin, end in pairwise(cuts):
            out[begin:end] = np.convolve(white[begin : end + _TAPS - 1], self._taps[regions[begin]], "valid")
        return out
