"""Samples to baseband, and where a preamble may be: the part of the receiver that every sample goes through, compiled.

Project choice after ``spec/phy-ts103908.md`` 3.4, 1 to 3. Importing this module imports Numba. Here is also what all kernels
share: the receiver's memory, and how they are compiled.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

from osgp.plc.sync import PARTS, Setup

__all__ = [
    "ACTIVE",
    "AMPLITUDE",
    "BLOCK_BITS",
    "CACHED",
    "COHERENT",
    "CRC_WRONG",
    "DETECTED",
    "DROPPED",
    "ENDLESS",
    "EVENTS",
    "FADED",
    "FIXED",
    "HEIGHT",
    "IM",
    "IS_BUSY",
    "IS_IN",
    "IS_PENDING",
    "LOST",
    "Memory",
    "NEXT",
    "OMEGA",
    "OVERTAKEN",
    "PACKET",
    "PLACE",
    "QUIET",
    "RE",
    "RESIDUE",
    "SCALE",
    "SEEN",
    "SLOTS",
    "START",
    "SYMBOL",
    "TOO_SHORT",
    "TUNE",
    "TURNED",
    "WORDS",
    "baseband",
    "bit_at",
    "copied",
    "float32",
    "matched",
    "memory_for",
    "njit",
    "search",
]

_Function = TypeVar("_Function", bound=Callable[..., Any])
# Numba's types are only partly declared: taken through Any, so that strict checks do not depend on its version.
_numba: Any = numba
njit: Callable[..., Callable[[_Function], _Function]] = _numba.njit
float32: Any = np.float32
int32: Any = np.int32
# No kernel allocates, so that none needs to count references: counting them took longer than the work.
FIXED = {"nogil": True, "error_model": "numpy", "_nrt": False}
# Only what Python calls is kept on disk: a cached kernel would go on using the old code of kernels of other files.
CACHED = {**FIXED, "cache": True}

BLOCK_BITS = 128
"""Line bits that are worked on together: all arrays then stay in the cache."""
DETECTED, LOST, PACKET, DROPPED = 1, 2, 3, 4
CRC_WRONG, TOO_SHORT, ENDLESS, FADED, OVERTAKEN = 1, 2, 3, 4, 5
EVENTS, SLOTS = 512, 16
_LEVEL_BINS = 2048
"""Powers in steps of an eighth of an octave: the eight bits of a float's exponent and three of its fraction."""
IS_IN, IS_BUSY, IS_PENDING, SEEN, PLACE, SYMBOL, WORDS, START, QUIET, ACTIVE = range(10)
HEIGHT, TUNE, NEXT, OMEGA, RE, IM, AMPLITUDE, RESIDUE, COHERENT, SCALE, TURNED = range(11)


class Memory(NamedTuple):
    """What the receiver remembers; the carrier is the first index where there is one. Bounded, whatever comes.

    ``counts``: bits done, samples of the next bit, samples that were no numbers, events, slots. ``raw``: samples, history first.
    ``pieces``, ``z``, ``seg``: baseband at eighths of a bit (last index), as (re, im), (re, im, power), (re, im, power, coherent
    power). ``level``: of the blanker, as power, by bit. ``events``: (kind, carrier, sample, start, end, bytes, list depth, CRC right,
    slot, reason, symbols); ``facts``: (signal to noise, amplitude, radians per bit). ``data``, ``symbols``: by slot.
    """

    counts: NDArray[np.int64]
    raw: NDArray[np.float32]
    pieces: NDArray[np.float32]
    z: NDArray[np.float32]
    seg: NDArray[np.float32]
    screen: NDArray[np.float32]
    interest: NDArray[np.uint8]
    mixed: NDArray[np.float32]
    powers: NDArray[np.float32]
    sums: NDArray[np.float32]
    change: NDArray[np.float64]
    work: NDArray[np.float64]
    level: NDArray[np.float32]
    loud: NDArray[np.bool_]
    recent: NDArray[np.float32]
    histogram: NDArray[np.int32]
    ring: NDArray[np.int32]
    median: NDArray[np.int64]
    noise: NDArray[np.float64]
    visits: NDArray[np.int64]
    weight: NDArray[np.float64]
    ints: NDArray[np.int64]
    floats: NDArray[np.float64]
    best: NDArray[np.uint8]
    second: NDArray[np.uint8]
    gap: NDArray[np.float32]
    top: NDArray[np.float32]
    llr: NDArray[np.float32]
    soft: NDArray[np.float32]
    coherent: NDArray[np.float32]
    metric: NDArray[np.float32]
    events: NDArray[np.int64]
    facts: NDArray[np.float64]
    data: NDArray[np.uint8]
    symbols: NDArray[np.float32]


def memory_for(setup: Setup, block_bits: int = BLOCK_BITS) -> Memory:
    """A receiver that has heard nothing yet. ``block_bits``: room for new samples; ``feed`` needs the usual."""
    history, block = PARTS * setup.history_bits, PARTS * BLOCK_BITS
    bits = setup.history_bits + block_bits
    words = setup.max_words + 4
    distinct = len(setup.lengths)
    return Memory(
        counts=np.zeros(5, np.int64),
        raw=np.zeros(bits * setup.samples_per_bit, np.float32),
        pieces=np.zeros((2, 2, history + block), np.float32),
        z=np.zeros((2, 3, history + block), np.float32),
        seg=np.zeros((2, distinct, 4, history + block), np.float32),
        screen=np.zeros((2, 2, block), np.float32),
        interest=np.zeros((2, BLOCK_BITS), np.uint8),
        mixed=np.zeros((4, BLOCK_BITS, PARTS), np.float32),
        powers=np.zeros((BLOCK_BITS, PARTS), np.float32),
        change=np.zeros((2, 2 * setup.step)),
        work=np.zeros((3, 256)),
        sums=np.zeros((2, block), np.float32),
        level=np.full((2, bits), np.inf, np.float32),
        loud=np.zeros((2, bits), np.bool_),
        recent=np.zeros((2, 4), np.float32),
        histogram=np.zeros((2, _LEVEL_BINS), np.int32),
        ring=np.zeros((2, setup.window), np.int32),
        median=np.zeros((2, 4), np.int64),
        noise=np.zeros((2, setup.noise_bins), np.float64),
        visits=np.zeros((2, setup.noise_bins), np.int64),
        weight=np.ones((2, setup.noise_bins), np.float64),
        ints=np.zeros((2, 10), np.int64),
        floats=np.zeros((2, 11), np.float64),
        best=np.zeros((2, words), np.uint8),
        second=np.zeros((2, words), np.uint8),
        gap=np.zeros((2, words), np.float32),
        top=np.zeros((2, words), np.float32),
        llr=np.zeros((2, 22), np.float32),
        soft=np.zeros((2, 2, 11 * words), np.float32),
        coherent=np.zeros((2, setup.drop_bits), np.float32),
        metric=np.zeros(256, np.float32),
        events=np.zeros((EVENTS, 11), np.int64),
        facts=np.zeros((EVENTS, 3), np.float64),
        data=np.zeros((SLOTS, words), np.uint8),
        symbols=np.zeros((SLOTS, 2, 11 * words), np.float32),
    )


# ---- samples to baseband -----------------------------------------------------------------------------------------------
@njit(**FIXED)
def copied(target: Any, source: Any) -> None:
    """To the beginning of ``target``; upwards, so that what lies further on may be moved to the front."""
    for i in range(len(source)):
        target[i] = source[i]


@njit(**FIXED, fastmath=True)
def _mixed(samples: Any, mix: Any, out: Any) -> None:
    """Samples (bit, piece, sample) on both carriers as ``out`` (re and im of primary and secondary, bit, piece)."""
    bits, parts, step = samples.shape
    for bit in range(bits):
        for part in range(parts):
            a = b = c = d = float32(0.0)
            for i in range(step):
                x = samples[bit, part, i]
                a += x * mix[0, part, i]
                b += x * mix[1, part, i]
                c += x * mix[2, part, i]
                d += x * mix[3, part, i]
            out[0, bit, part], out[1, bit, part], out[2, bit, part], out[3, bit, part] = a, b, c, d


@njit(**FIXED, fastmath=True)
def matched(samples: Any, cosine: Any, sine: Any) -> Any:
    """Matched filter of one bit: samples against a carrier of that phase."""
    re = im = float32(0.0)
    for i in range(len(samples)):
        x = samples[i]
        re += x * cosine[i]
        im += x * sine[i]
    return re, im


@njit(**FIXED, forceinline=True)
def bit_at(raw: Any, place: Any, waves: Any, per_bit: Any, level: Any, loud: Any) -> Any:
    """Matched filter of the bit that begins at a sample; where it is ``loud``, without pieces above the blanker's level."""
    # A product instead of a division: should it fall short, the phase is a whole bit, for which the waves are long enough.
    bit = int(place * (1.0 / per_bit))
    phase = place - bit * per_bit
    if not (loud[bit] or loud[min(bit + 1, len(loud) - 1)]):
        return matched(
            raw[place : place + per_bit], waves[0, phase : phase + per_bit], waves[1, phase : phase + per_bit]
        )
    re = im = float32(0.0)
    step, middle = per_bit // PARTS, (place + per_bit // 2) // per_bit
    for part in range(PARTS):
        at, wave = place + part * step, phase + part * step
        a, b = matched(raw[at : at + step], waves[0, wave : wave + step], waves[1, wave : wave + step])
        if a * a + b * b <= level[middle]:
            re += a
            im += b
    return re, im


@njit(**FIXED)
def _levelled(powers: Any, codes: Any, level: Any, state: Any, recent: Any, window: Any, factor: Any) -> None:
    """The blanker's level after each bit: from the median power of the last half cycle, or the least of the last four bits.

    A packet far above the noise raises the least within four bits, an impulse of up to three bits does not. ``powers`` (bit, piece),
    ``codes``: the same as bit patterns. ``state``: a histogram, the places of the window's powers in it, and four numbers.
    """
    histogram, ring, numbers = state
    filled, oldest, middle, below = numbers[0], numbers[1], numbers[2], numbers[3]
    a, b, c, d = recent[0], recent[1], recent[2], recent[3]
    for bit in range(len(level)):
        total = float32(0.0)
        for part in range(PARTS):
            total += powers[bit, part]
        for half in range(PARTS // 2):
            # The sign of a power is 0: what is above bit 19 is the exponent and three bits of the fraction.
            code = codes[bit, 2 * half] >> 20
            if filled == window:
                old = ring[oldest]
                histogram[old] -= 1
                below -= 1 if old < middle else 0
            else:
                filled += 1
            ring[oldest] = code
            oldest = 0 if oldest + 1 == window else oldest + 1
            histogram[code] += 1
            below += 1 if code < middle else 0
        while below > filled // 2:
            middle -= 1
            below -= histogram[middle]
        while below + histogram[middle] <= filled // 2:
            below += histogram[middle]
            middle += 1
        a, b, c, d = b, c, d, total / PARTS
        if filled < window // 4 or math.isinf(factor):
            level[bit] = float32(np.inf)
        else:
            level[bit] = float32(factor) * max(
                int32((middle << 20) | (1 << 19)).view(float32), min(min(a, b), min(c, d))
            )
    numbers[0], numbers[1], numbers[2], numbers[3] = filled, oldest, middle, below
    recent[0], recent[1], recent[2], recent[3] = a, b, c, d


@njit(**FIXED)
def _limited(re: Any, im: Any, powers: Any, level: Any, loud: Any) -> None:
    """What is above the level is brought down to it; its phase stays. ``loud``: in which bits that was."""
    for bit in range(len(level)):
        most = float32(0.0)
        for part in range(PARTS):
            most = max(most, powers[bit, part])
        loud[bit] = most > level[bit]
        if most > level[bit]:
            for part in range(PARTS):
                if powers[bit, part] > level[bit]:
                    share = float32(math.sqrt(level[bit] / powers[bit, part]))
                    re[bit, part] *= share
                    im[bit, part] *= share


@njit(**FIXED)
def baseband(setup: Any, memory: Any, bits: Any) -> None:
    """Pieces of new bits, limited to the blanker's level."""
    per_bit = setup.samples_per_bit
    history = len(memory.level[0]) - BLOCK_BITS
    samples = memory.raw[history * per_bit : (history + bits) * per_bit].reshape(bits, PARTS, setup.step)
    mixed, powers = memory.mixed, memory.powers
    flat = powers.reshape(PARTS * BLOCK_BITS)[: PARTS * bits]
    _mixed(samples, setup.mix, mixed)
    for carrier in range(2):
        re, im = mixed[2 * carrier], mixed[2 * carrier + 1]
        flat_re = re.reshape(PARTS * BLOCK_BITS)[: PARTS * bits]
        flat_im = im.reshape(PARTS * BLOCK_BITS)[: PARTS * bits]
        _power(flat_re, flat_im, flat, float32(1.0))
        level = memory.level[carrier, history : history + bits]
        state = (memory.histogram[carrier], memory.ring[carrier], memory.median[carrier])
        _levelled(powers, powers.view(np.int32), level, state, memory.recent[carrier], setup.window, setup.blank)
        _limited(re, im, powers, level, memory.loud[carrier, history : history + bits])
        copied(memory.pieces[carrier, 0, PARTS * history :], flat_re)
        copied(memory.pieces[carrier, 1, PARTS * history :], flat_im)


@njit(**FIXED)
def _summed(source: Any, target: Any) -> None:
    """Sliding sum of one bit; ``source`` begins seven places earlier."""
    n = len(target)
    a, b, c, d = source[0:n], source[1 : n + 1], source[2 : n + 2], source[3 : n + 3]
    e, f, g, h = source[4 : n + 4], source[5 : n + 5], source[6 : n + 6], source[7 : n + 7]
    for i in range(n):
        target[i] = ((a[i] + b[i]) + (c[i] + d[i])) + ((e[i] + f[i]) + (g[i] + h[i]))


@njit(**FIXED)
def _segment(source: Any, target: Any, w: Any) -> None:
    """Sliding sum of eight bits, each with its sign; ``source`` begins seven bits earlier."""
    n = len(target)
    s, t, u, v, w_, x, y, z = w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]
    a, b, c, d = source[0:n], source[8 : n + 8], source[16 : n + 16], source[24 : n + 24]
    e, f, g, h = source[32 : n + 32], source[40 : n + 40], source[48 : n + 48], source[56 : n + 56]
    for i in range(n):
        target[i] = ((s * a[i] + t * b[i]) + (u * c[i] + v * d[i])) + ((w_ * e[i] + x * f[i]) + (y * g[i] + z * h[i]))


@njit(**FIXED)
def _power(re: Any, im: Any, target: Any, scale: Any) -> None:
    for i in range(len(target)):
        target[i] = scale * (re[i] * re[i] + im[i] * im[i])


@njit(**FIXED)
def _added(target: Any, source: Any, scale: Any) -> None:
    for i in range(len(target)):
        target[i] += scale * source[i]


@njit(**FIXED)
def search(setup: Any, memory: Any, bits: Any) -> None:
    """Of each new place, by how much preamble and beginning of bit synchronisation exceed what is worth a closer look.

    No frequency bin can give more than the segments' powers say together (Cauchy): this bound is cheap, and low nearly always.
    """
    old, count = memory.z.shape[2] - PARTS * BLOCK_BITS, PARTS * bits
    new = old + count
    heard = len(setup.detect_signs)
    later = heard - setup.lengths[0]
    for carrier in range(2):
        z, seg = memory.z[carrier], memory.seg[carrier]
        _summed(memory.pieces[carrier, 0, old - 7 : new], z[0, old:new])
        _summed(memory.pieces[carrier, 1, old - 7 : new], z[1, old:new])
        _power(z[0, old:new], z[1, old:new], z[2, old:new], float32(1.0))
        early = old - 7 * PARTS
        for index in range(len(setup.lengths)):
            known = seg[index]
            _segment(z[0, early:new], known[0, old:new], setup.segments[index])
            _segment(z[1, early:new], known[1, old:new], setup.segments[index])
            _segment(z[2, early:new], known[2, old:new], setup.masks[index])
            scale = float32(1.0 / setup.lengths[index])
            _power(known[0, old:new], known[1, old:new], known[3, old:new], scale)
        preamble, sync = memory.screen[carrier, 0, :count], memory.screen[carrier, 1, :count]
        preamble[:] = 0.0
        for part in range(len(setup.parts)):
            begin = old - PARTS * setup.lags[part]
            known = seg[setup.parts[part]]
            _added(preamble, known[3, begin : begin + count], float32(1.0))
            _added(preamble, known[2, begin : begin + count], float32(-setup.candidate))
        begin = old - PARTS * later
        re, im = memory.sums[0, :count], memory.sums[1, :count]
        copied(re, seg[0, 0, begin : begin + count])
        copied(im, seg[0, 1, begin : begin + count])
        sync[:] = 0.0
        limit = float32(-setup.detect * heard)
        _added(sync, seg[0, 2, begin : begin + count], limit)
        for bit in range(setup.lengths[0], heard):
            begin = old - PARTS * (heard - 1 - bit)
            _added(re, z[0, begin : begin + count], setup.detect_signs[bit])
            _added(im, z[1, begin : begin + count], setup.detect_signs[bit])
            _added(sync, z[2, begin : begin + count], limit)
        for i in range(count):
            sync[i] += re[i] * re[i] + im[i] * im[i]
        by_bit = memory.screen[carrier].reshape(2, BLOCK_BITS, PARTS)
        for bit in range(bits):
            most = latest = float32(0.0)
            for part in range(PARTS):
                most = max(most, by_bit[0, bit, part])
                latest = max(latest, by_bit[1, bit, part])
            memory.interest[carrier, bit] = (1 if most > 0.0 else 0) | (2 if latest > 0.0 else 0)
