"""Impulsive noise: damped rings at fixed places of the mains cycle, and bursts at no place in particular.

Mains-synchronous impulses: ``spec/phy-ts103908.md`` 3.6 g; published ranges of shape: 2–300 us, 1–10 per cycle (Cortés et al. 2010,
Celebi 2010, broadband data). Aperiodic: Bernoulli-Gaussian per line bit, 3.6 h (model class as Fernandes et al., SBrT 2017).
All numbers are a project choice.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osgp.plc.params import PhyProfile
from osgp.sim.channel_noise import BLOCK_BITS, Block, Clock, Floats, generator
from osgp.sim.channel_text import BadSetting, P, check_numbers, number

__all__ = ["Aperiodic", "AperiodicNoise", "ImpulseNoise", "Impulses"]

_GROUP = 64


@dataclass(frozen=True, slots=True)
class Impulses:
    """Damped sines locked to the mains. Pairs are (least, most), drawn evenly: the peak for each impulse, ring and place once.

    ``per_half_cycle``: so many places. ``peak_db``: over the rms of the background. ``jitter_s``: rms about the place.
    """

    per_half_cycle: int = number(2, P, "3.6 g", low=1, high=20)
    peak_db: tuple[float, float] = number((20.0, 40.0), P, "3.6 g", low=-20.0, high=100.0)
    duration_s: float = number(100e-6, P, "3.6 g", low=5e-6, high=5e-3)
    decay_s: float = number(30e-6, P, "3.6 g", low=1e-6, high=5e-3)
    ring_hz: tuple[float, float] = number((60e3, 120e3), P, "3.6 g", low=1e3, high=172e3)
    jitter_s: float = number(20e-6, P, "not in 3.6 g: no converter repeats to the sample", low=0.0, high=1e-3)

    def __post_init__(self) -> None:
        check_numbers(self)
        for name in ("peak_db", "ring_hz"):
            low, high = getattr(self, name)
            if low > high:
                raise BadSetting(name, f"{name} cannot be [{low:g}, {high:g}]", hint="the smaller first")

    def source(self, seed: int, background_v: float, clock: Clock) -> ImpulseNoise:
        """What renders it; ``background_v``: rms volts that the peaks stand over."""
        return ImpulseNoise(seed, self, background_v, clock)


class ImpulseNoise:
    """Renders ``Impulses``; ``times`` tells where they are."""

    def __init__(self, seed: int, settings: Impulses, background_v: float, clock: Clock) -> None:
        self.settings = settings
        self._clock = clock
        self._seed = seed
        self._background_v = background_v
        # The places are drawn from a stream that no group of impulses uses.
        rng = np.random.Generator(np.random.SFC64(np.random.SeedSequence((seed, 0, 1))))
        count = settings.per_half_cycle
        self.places = np.sort(rng.random(count))
        self.ring_hz = rng.uniform(*settings.ring_hz, count)
        self._length = math.ceil(settings.duration_s * clock.sample_rate_hz) + 1
        omega = 2 * np.pi * self.ring_hz
        crest = np.arctan(omega * settings.decay_s) / omega
        self._unit = 1.0 / (np.exp(-crest / settings.decay_s) * np.sin(omega * crest))
        self._groups: OrderedDict[int, tuple[NDArray[np.float64], NDArray[np.float64]]] = OrderedDict()

    def _group(self, index: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(jitter in seconds, peak in volts with its sign) of 64 half cycles; shapes (64, per_half_cycle)."""
        found = self._groups.get(index)
        if found is None:
            rng = generator(self._seed, index)
            shape = (_GROUP, self.settings.per_half_cycle)
            # Never more than three times its rms, so that an impulse is not looked for where it is not.
            jitter = np.clip(rng.standard_normal(shape), -3.0, 3.0) * self.settings.jitter_s
            peaks = self._background_v * 10 ** (rng.uniform(*self.settings.peak_db, shape) / 20)
            found = self._groups[index] = (jitter, peaks * rng.choice((-1.0, 1.0), shape))
            if len(self._groups) > 4:
                self._groups.popitem(last=False)
        return found

    def times(self, start: int, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]]:
        """Impulses that touch the samples from ``start``: (beginning in samples, peak in volts, place), in order of half cycles."""
        clock = self._clock
        reach = self._length + 3 * self.settings.jitter_s * clock.sample_rate_hz
        first = math.floor(clock.half_cycles(start) - reach * clock.half_cycles_per_sample)
        last = math.floor(clock.half_cycles(start + count) + reach * clock.half_cycles_per_sample)
        half_cycles = np.arange(max(first, 0), last + 1)
        parts = [self._group(index) for index in range(half_cycles[0] // _GROUP, last // _GROUP + 1)]
        skip = int(half_cycles[0] % _GROUP)
        jitter = np.concatenate([part[0] for part in parts])[skip : skip + len(half_cycles)]
        peaks = np.concatenate([part[1] for part in parts])[skip : skip + len(half_cycles)]
        at = (half_cycles[:, None] + self.places - clock.half_cycle_offset) / clock.half_cycles_per_sample
        at = at + jitter * clock.sample_rate_hz
        place = np.broadcast_to(np.arange(self.settings.per_half_cycle), at.shape)
        touch = (at > start - self._length) & (at < start + count)
        return at[touch], peaks[touch], place[touch]

    def render(self, block: Block) -> Floats:
        """Volts in a block."""
        out = np.zeros(block.size, np.float32)
        begins, peaks, place = self.times(block.start, block.size)
        if not len(begins):
            return out
        samples = np.ceil(begins).astype(np.int64)[:, None] + np.arange(self._length)
        since_s = (samples - begins[:, None]) / self._clock.sample_rate_hz
        ring = np.exp(-since_s / self.settings.decay_s) * np.sin(2 * np.pi * self.ring_hz[place][:, None] * since_s)
        ring *= (peaks * self._unit[place])[:, None]
        places = samples - block.start
        inside = (places >= 0) & (places < block.size) & (since_s <= self.settings.duration_s)
        np.add.at(out, places[inside], ring[inside].astype(np.float32))
        return out


@dataclass(frozen=True, slots=True)
class Aperiodic:
    """Bernoulli-Gaussian bursts. ``chance``: that one begins in a line bit; ``level_db``: over the rms of the background."""

    chance: float = number(0.005, P, "3.6 h", low=0.0, high=1.0)
    level_db: float = number(30.0, P, "3.6 h", low=-20.0, high=100.0)
    burst_bits: tuple[float, float] = number((1.0, 3.0), P, "3.6 h", low=1.0, high=64.0)

    def __post_init__(self) -> None:
        check_numbers(self)
        if self.burst_bits[0] > self.burst_bits[1] or any(bits % 1 for bits in self.burst_bits):
            raise BadSetting(
                "burst_bits", f"burst_bits cannot be {list(self.burst_bits)}", hint="whole, the smaller first"
            )

    def source(self, seed: int, background_v: float, profile: PhyProfile) -> AperiodicNoise:
        """What renders it; ``background_v``: rms volts that the bursts stand over."""
        return AperiodicNoise(seed, self, background_v, profile)


class AperiodicNoise:
    """Renders ``Aperiodic``; ``hit`` tells which line bits are struck."""

    def __init__(self, seed: int, settings: Aperiodic, background_v: float, profile: PhyProfile) -> None:
        self.settings = settings
        self._seed = seed
        self._volts = np.float32(background_v * 10 ** (settings.level_db / 20))
        self._samples_per_bit = profile.samples_per_bit

    def _begin(self, index: int) -> tuple[np.random.Generator, NDArray[np.int64]]:
        """The block's generator, and the length in bits of the burst that begins in each of its bits (0: none)."""
        rng = generator(self._seed, index)
        begins = rng.random(BLOCK_BITS) < self.settings.chance
        low, high = self.settings.burst_bits
        return rng, np.where(begins, rng.integers(int(low), int(high) + 1, BLOCK_BITS), 0)

    def _struck(self, index: int, lengths: NDArray[np.int64]) -> NDArray[np.bool_]:
        before = self._begin(index - 1)[1] if index else np.zeros(BLOCK_BITS, np.int64)
        both = np.concatenate((before, lengths))
        ends = np.maximum.accumulate(np.arange(2 * BLOCK_BITS) + both)
        return (ends > np.arange(2 * BLOCK_BITS))[BLOCK_BITS:]

    def hit(self, index: int) -> NDArray[np.bool_]:
        """Which line bits of a block are struck; shape (256,)."""
        return self._struck(index, self._begin(index)[1])

    def render(self, block: Block) -> Floats:
        """Volts in a block."""
        rng, lengths = self._begin(block.index)
        out = np.zeros((BLOCK_BITS, self._samples_per_bit), np.float32)
        struck = self._struck(block.index, lengths)
        count = int(struck.sum())
        if count:
            out[struck] = self._volts * rng.standard_normal((count, self._samples_per_bit), dtype=np.float32)
        return out.reshape(-1)
