"""What the receiver's kernels need to know, worked out once from a profile: mixers, segments of the preamble, words, loop gains.

Project choice after ``spec/phy-ts103908.md`` 3.4. The search for a preamble correlates it in short segments, each coherent by itself,
which are then joined at every frequency bin. Equal segments (bit synchronisation repeats itself) are computed once.
"""

from __future__ import annotations

import itertools
import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from osgp.plc.fec import WORD_BITS, codebook
from osgp.plc.frame import bits_of
from osgp.plc.params import PhyProfile

__all__ = ["PARTS", "SEGMENT_BITS", "WAIT_BITS", "Setup", "setup_for"]

PARTS = 8
"""Steps of the search for each line bit; also the pieces of a bit that the blanker judges."""
SEGMENT_BITS = 8
"""Longest coherent segment: at the largest clock error the phase turns by 28 degrees within."""
WAIT_BITS = 10
"""A preamble shifted by up to nine bits, with noise before it, resembles itself: rho squared 0.34 to 0.46 without noise. So
long the search waits for a better place before it takes one."""
_MARGIN = 0.06
"""Places below the threshold by this are looked at once more between the steps."""


class Setup(NamedTuple):
    """Constants of the kernels; numbers of samples, positions (an eighth of a bit) and line bits are whole.

    ``mix``: carriers as (sample, cosine and minus sine of primary and secondary, piece of a bit); ``waves``: the same as (carrier,
    cosine or minus sine, sample of two bits). ``symbols``: the preamble; ``going_on``: bit synchronisation in the place of word
    synchronisation. ``segments``, ``masks``, ``lengths``: distinct segments as symbols, filled up with zeros in front. ``pairs``,
    ``weights``: both of them by two bits, which are a value (0), a sum (1) or a difference (2), times a weight. ``parts``,
    ``signs``, ``lags``, ``middles``: the preamble as segments; which one, its sign, how many bits before the preamble's end it
    ends, its middle in bits. ``reach``: how many bits back a segment is asked for; ``reach_first``: the same of the first one's sums.
    ``bins``: radians per bit. ``nibbles``: halves of a byte (first or second, class, number)
    by the three bits that they leave behind the data, which are ``checks`` (first or second, class).
    """

    samples_per_bit: int
    step: int
    mix: NDArray[np.float32]
    waves: NDArray[np.float32]
    symbols: NDArray[np.float32]
    going_on: NDArray[np.float32]
    segments: NDArray[np.float32]
    masks: NDArray[np.float32]
    pairs: NDArray[np.int64]
    weights: NDArray[np.float32]
    lengths: NDArray[np.int64]
    parts: NDArray[np.int64]
    signs: NDArray[np.float32]
    lags: NDArray[np.int64]
    reach: NDArray[np.int64]
    reach_first: int
    middles: NDArray[np.float64]
    bins: NDArray[np.float64]
    cycles: NDArray[np.float64]
    nibbles: NDArray[np.int64]
    checks: NDArray[np.int64]
    end: NDArray[np.float32]
    pilots: NDArray[np.float32]
    crc: NDArray[np.int64]
    threshold: float
    candidate: float
    detect: float
    detect_signs: NDArray[np.float32]
    drop_bits: int
    wait_bits: int
    blank: float
    window: int
    pilot_weight: float
    alpha: NDArray[np.float64]
    beta: NDArray[np.float64]
    residual: NDArray[np.float64]
    noise_bins: int
    half_cycle: float
    weighting: bool
    min_words: int
    max_words: int
    list_size: int
    list_words: int

    @property
    def history_bits(self) -> int:
        """Line bits of samples that the receiver must be able to look back on."""
        return len(self.symbols) + self.wait_bits + 14


def _segments(
    symbols: NDArray[Any], sync_bits: int, first: int
) -> tuple[list[NDArray[Any]], list[tuple[int, float, int]]]:
    """Distinct segments, and the preamble as (segment, sign, first bit). No segment reaches over the word sync's beginning."""
    distinct: list[NDArray[Any]] = []
    parts: list[tuple[int, float, int]] = []
    bounds = [0]
    for end, longest in ((sync_bits, first), (len(symbols), 6)):
        while bounds[-1] < end:
            bounds.append(min(end, bounds[-1] + longest))
    for begin, end in itertools.pairwise(bounds):
        piece = symbols[begin:end]
        sign = float(piece[0])
        index = next((i for i, known in enumerate(distinct) if np.array_equal(known, piece * sign)), len(distinct))
        if index == len(distinct):
            distinct.append(piece * sign)
        parts.append((index, sign, begin))
    return distinct, parts


def _paired(rows: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Signs by two bits: which of (later value, sum, difference earlier minus later), and times what."""
    earlier, later = rows[:, 0::2], rows[:, 1::2]
    kinds = np.where(earlier == 0, 0, np.where(earlier == later, 1, 2))
    return kinds, np.where(earlier == 0, later, earlier).astype(np.float32)


def _classed(book: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The halves of a byte by what they add to a word's last three bits; both codes are linear (a fixed part is in the first half)."""
    last = book[:, 8:] @ np.array([4, 2, 1])
    halves = (last[::16], last[:16] ^ last[0])
    checks = np.array([np.unique(half) for half in halves])
    return np.array([[np.flatnonzero(half == each) for each in known] for half, known in zip(halves, checks)]), checks


def _residual(alpha: NDArray[Any], beta: NDArray[Any], heard: int) -> NDArray[np.float64]:
    """What the square of a symbol's quadrature is multiplied by for its noise (both parts): the loop's own jitter taken off.

    Covariance of phase and frequency, in variances of one symbol's quadrature, from a straight line through ``heard`` symbols on.
    """
    n = float(heard)
    phase, both, frequency = (4 * n + 2) / (n * (n - 1)), 6 / (n * (n - 1)), 12 / (n * (n * n - 1))
    found = np.empty(len(alpha))
    for index, (a, b) in enumerate(zip(alpha, beta)):
        found[index] = 2 / (1 + phase)
        step = np.array([[1 - a - b, 1.0], [-b, 1.0]])
        noise = np.array([a + b, b])
        known = step @ np.array([[phase, both], [both, frequency]]) @ step.T + np.outer(noise, noise)
        phase, both, frequency = known[0, 0], known[0, 1], known[1, 1]
    return found


def _crc_table() -> NDArray[np.int64]:
    """Polynomial 0x1021, most significant bit first, for each byte (``osgp.lon.crc``)."""
    table = np.zeros(256, dtype=np.int64)
    for byte in range(256):
        register = byte << 8
        for _ in range(8):
            register = (register << 1 ^ 0x1021 if register & 0x8000 else register << 1) & 0xFFFF
        table[byte] = register
    return table


@lru_cache(maxsize=32)
def setup_for(profile: PhyProfile, blanker: bool = True, weighting: bool = True) -> Setup:
    """The constants for a profile. ``blanker``, ``weighting``: whether impulses are blanked and noise is weighed by mains phase."""
    per_bit = profile.samples_per_bit
    turns = 2 * np.pi * np.arange(per_bit) / per_bit
    cycles = (profile.primary_cycles, profile.secondary_cycles)
    mix = np.column_stack([shape for count in cycles for shape in (np.cos(count * turns), -np.sin(count * turns))])
    symbols = (1.0 - 2.0 * bits_of(profile.preamble)).astype(np.float32)
    sync = len(profile.bit_sync)
    period = next(n for n in range(1, sync + 1) if profile.bit_sync[n:] == profile.bit_sync[: sync - n])
    heard = min(profile.detect_bits - 1, len(profile.bit_sync))
    first = min(SEGMENT_BITS, heard)
    distinct, parts = _segments(symbols, len(profile.bit_sync), first)
    segments = np.zeros((len(distinct), SEGMENT_BITS), dtype=np.float32)
    for row, piece in zip(segments, distinct):
        row[SEGMENT_BITS - len(piece) :] = piece
    lengths = [len(piece) for piece in distinct]
    paired = (_paired(segments), _paired(np.abs(segments)))
    nibbles, checks = _classed(codebook(profile))
    # A critically damped loop of this noise bandwidth; it begins with the gains of a fit through the preamble.
    natural = profile.loop_bandwidth / (0.5 * (math.sqrt(0.5) + 1 / (4 * math.sqrt(0.5))))
    heard_bits = len(symbols) + np.arange(512.0)
    alpha = np.maximum(2 * math.sqrt(0.5) * natural, (4 * heard_bits - 2) / (heard_bits * (heard_bits + 1)))
    beta = np.maximum(natural**2, 6 / (heard_bits * (heard_bits + 1)))
    pilots = np.zeros(WORD_BITS, dtype=np.float32)
    if profile.code == "parity01":
        pilots[9:] = 1.0 - 2.0 * bits_of(profile.coding_bits)
    return Setup(
        samples_per_bit=per_bit,
        step=per_bit // PARTS,
        mix=np.ascontiguousarray(mix.T.reshape(4, PARTS, -1).transpose(2, 0, 1), dtype=np.float32),
        waves=np.ascontiguousarray(np.tile(mix.T.reshape(2, 2, per_bit), (1, 1, 2)), dtype=np.float32),
        symbols=symbols,
        going_on=np.resize(symbols[sync - period : sync], WORD_BITS),
        segments=segments,
        masks=np.abs(segments),
        pairs=np.stack([kinds for kinds, _ in paired]),
        weights=np.stack([weights for _, weights in paired]),
        lengths=np.array(lengths, dtype=np.int64),
        parts=np.array([index for index, _, _ in parts], dtype=np.int64),
        signs=np.array([sign for _, sign, _ in parts], dtype=np.float32),
        lags=np.array([len(symbols) - begin - lengths[index] for index, _, begin in parts], dtype=np.int64),
        reach=np.array(
            [max(len(symbols) - begin - lengths[k] for k, _, begin in parts if k == n) for n in range(len(lengths))]
        ),
        reach_first=heard - lengths[0] + 1,
        middles=np.array([begin + (lengths[index] - 1) / 2 for index, _, begin in parts]),
        bins=np.array(profile.bins_hz) * 2 * np.pi / profile.bit_rate,
        cycles=np.array(cycles, dtype=np.float64),
        nibbles=nibbles,
        checks=checks,
        end=(1.0 - 2.0 * bits_of(profile.end_of_packet)).astype(np.float32),
        pilots=pilots,
        crc=_crc_table(),
        threshold=profile.threshold,
        candidate=max(0.05, profile.threshold - _MARGIN),
        detect=profile.detect_threshold,
        detect_signs=symbols[:heard] * symbols[0],
        drop_bits=profile.drop_bits,
        wait_bits=WAIT_BITS,
        blank=profile.blanker**2 if blanker else math.inf,
        window=4 * profile.blanker_bits,
        pilot_weight=profile.pilot_weight,
        alpha=alpha,
        beta=beta,
        residual=_residual(alpha, beta, len(symbols)),
        noise_bins=profile.noise_bins,
        half_cycle=profile.sample_rate_hz / (2 * profile.mains_hz),
        weighting=weighting,
        min_words=profile.min_lpdu + 2,
        max_words=profile.max_lpdu + 2,
        list_size=profile.list_size,
        list_words=profile.list_words,
    )
