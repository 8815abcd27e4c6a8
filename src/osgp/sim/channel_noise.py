"""Noise in blocks that can be made in any order: what every noise model of the power-line channel stands on. Project choice.

A channel's time is cut into blocks of 256 line bits, counted from sample 0. Each source renders whole blocks, from a generator
seeded by (its own seed, number of the block). So the noise at a sample depends on nothing but the seed: not on how the samples are
asked for, nor on what was skipped. Volts throughout; a level of 120 dBuV is 1 V.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from osgp.plc.params import PhyProfile

__all__ = [
    "BLOCK_BITS",
    "HALF_CYCLE_BINS",
    "Block",
    "Clock",
    "Coloured",
    "Floats",
    "Source",
    "generator",
    "taps_of",
    "volts",
]

Floats = NDArray[np.float32]
BLOCK_BITS = 256
HALF_CYCLE_BINS = 4096
"""Steps of half a mains cycle in the tables of periodic models: 2.4 us at 50 Hz, under one sample."""
_BIN_SHIFT = 32 - 12


def volts(level_dbuv: float) -> float:
    """dBuV → volts rms; 120 dBuV is 1 V."""
    return float(10.0 ** ((level_dbuv - 120.0) / 20.0))


def generator(seed: int, index: int) -> np.random.Generator:
    """The generator of one block of one source."""
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence((seed, index))))


class Clock:
    """Samples, blocks and mains: which sample lies where in the half cycle.

    ``mains_turns``: where in the mains cycle sample 0 lies, in cycles; phase L2 lags L1 by a third.
    """

    def __init__(self, profile: PhyProfile, mains_hz: float = 50.0, mains_turns: float = 0.0) -> None:
        self.profile = profile
        self.sample_rate_hz = profile.sample_rate_hz
        self.block_size = BLOCK_BITS * profile.samples_per_bit
        self.half_cycles_per_sample = 2.0 * mains_hz / self.sample_rate_hz
        self.half_cycle_offset = 2.0 * (mains_turns % 1.0)
        # Fixed point that wraps once per half cycle; 2**-33 of a half cycle of error per sample, started anew in each block.
        steps = np.arange(self.block_size, dtype=np.uint64) * np.uint64(round(self.half_cycles_per_sample * 2**32))
        self._steps = steps.astype(np.uint32)

    def half_cycles(self, sample: int) -> float:
        """Half cycles of the mains since a zero crossing at or before sample 0."""
        return sample * self.half_cycles_per_sample + self.half_cycle_offset

    def bins(self, start: int, count: int) -> NDArray[np.uint32]:
        """Bin of the half cycle (0 … 4095) of each sample from ``start``; shape (count,)."""
        # In pieces that begin where blocks begin: a sample's bin must not depend on where somebody began to ask.
        first = start // self.block_size
        last = (start + max(count, 1) - 1) // self.block_size
        pieces = []
        for index in range(first, last + 1):
            base = np.uint32(int((self.half_cycles(index * self.block_size) % 1.0) * 2**32) & 0xFFFFFFFF)
            pieces.append((self._steps + base) >> np.uint32(_BIN_SHIFT))
        whole = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        skip = start - first * self.block_size
        return whole[skip : skip + count]


class Block:
    """One block of a channel's time. ``index`` from 0; ``start``, ``size`` in samples."""

    def __init__(self, clock: Clock, index: int) -> None:
        self.clock = clock
        self.index = index
        self.size = clock.block_size
        self.start = index * clock.block_size
        self._bins: NDArray[np.intp] | None = None

    @property
    def bins(self) -> NDArray[np.intp]:
        """Bin of the half cycle of each sample, computed once for all sources."""
        if self._bins is None:
            self._bins = self.clock.bins(self.start, self.size).astype(np.intp)
        return self._bins


class Source(Protocol):
    """Something that makes noise."""

    def render(self, block: Block) -> Floats:
        """Its volts in a block; shape (block.size,)."""
        ...


class Coloured:
    """White Gaussian noise of unit variance through a short filter, without a seam between blocks."""

    def __init__(self, seed: int, taps: Floats) -> None:
        self.seed = seed
        self.taps = taps
        self._kept: OrderedDict[int, Floats] = OrderedDict()

    def _white(self, index: int, size: int) -> Floats:
        white = self._kept.get(index)
        if white is None:
            white = generator(self.seed, index).standard_normal(size, dtype=np.float32)
            self._kept[index] = white
            if len(self._kept) > 2:
                self._kept.popitem(last=False)
        return white

    def with_history(self, block: Block) -> Floats:
        """The block's white noise behind the last ``len(taps) - 1`` samples of the block before."""
        history = len(self.taps) - 1
        if history == 0:
            return self._white(block.index, block.size)
        before = self._white(block.index - 1, block.size) if block.index else np.zeros(history, np.float32)
        return np.concatenate((before[-history:], self._white(block.index, block.size)))

    def render(self, block: Block) -> Floats:
        """Filtered noise of the block; shape (block.size,)."""
        if len(self.taps) == 1:
            return np.asarray(self.with_history(block) * self.taps[0], dtype=np.float32)
        return np.convolve(self.with_history(block), self.taps, "valid")


def taps_of(
    amplitude: NDArray[np.float64], frequencies_hz: NDArray[np.float64], sample_rate_hz: float, count: int = 11
) -> Floats:
    """Symmetric filter of ``count`` (odd) taps that comes closest to an amplitude response in relative terms.

    Eleven taps are the most for which NumPy convolves by its short and fast way.
    """
    half = np.arange(count // 2 + 1)
    waves = np.cos(2 * np.pi * frequencies_hz[:, None] / sample_rate_hz * half) / amplitude[:, None]
    right = np.linalg.lstsq(waves, np.ones(len(frequencies_hz)), rcond=None)[0]
    taps: Floats = np.concatenate((right[:0:-1] / 2, right[:1], right[1:] / 2)).astype(np.float32)
    return taps


def power_response(taps: NDArray[np.floating], frequency_hz: float, sample_rate_hz: float) -> float:
    """|H|^2 of a filter at a frequency."""
    turns = np.exp(-2j * np.pi * frequency_hz / sample_rate_hz * np.arange(len(taps)))
    return float(abs(np.dot(taps.astype(np.float64), turns)) ** 2)
