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
from numba import extending
from numba.core import cgutils
from numpy.typing import NDArray

from osgp.plc.sync import PARTS, SEGMENT_BITS, Setup

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
    "NO_CODE",
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
    "int32",
    "matched",
    "memory_for",
    "njit",
    "search",
]

_Function = TypeVar("_Function", bound=Callable[..., Any])
# Numba's types are only partly declared: taken through Any, so that strict checks do not depend on its version.
_numba: Any = numba
_extending: Any = extending
_intrinsic: Callable[[Callable[..., Any]], Callable[..., Any]] = _extending.intrinsic
_cgutils: Any = cgutils
_ir: Any = _cgutils.ir
njit: Callable[..., Callable[[_Function], _Function]] = _numba.njit
float32: Any = np.float32
int16: Any = np.int16
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
NO_CODE = 32767
"""In the place of a power that was not yet there. Powers are sorted in steps of an eighth of an octave: the eight bits of a float's
exponent and three of its fraction."""
_ONES, _SIGNS = 0x0001000100010001, -0x7FFF7FFF7FFF8000
"""1 and the sign in each of four numbers of 16 bits."""
_EARLIER = PARTS * (SEGMENT_BITS - 2)
"""So many places back is the last pair of bits of a segment."""
IS_IN, IS_BUSY, IS_PENDING, SEEN, PLACE, SYMBOL, WORDS, START, QUIET, ACTIVE = range(10)
HEIGHT, TUNE, NEXT, OMEGA, RE, IM, AMPLITUDE, RESIDUE, COHERENT, SCALE, TURNED = range(11)


class Memory(NamedTuple):
    """What the receiver remembers; the carrier is the first index where there is one. Bounded, whatever comes.

    ``counts``: bits done, samples of the next bit, samples that were no numbers, events, slots. ``raw``: samples, history first.
    ``pieces``, ``z``, ``first``: baseband at eighths of a bit (last index), as (re, im), (re, im, power), and the same of the first
    segment; ``excess``: by how much each segment exceeds its share. ``codes``: powers as the blanker sorts them, as many as its
    window in front. ``level``: of the blanker, as power, by bit. ``events``: (kind, carrier, sample, start, end, bytes,
    list depth, CRC right, slot, reason, symbols); ``facts``: (signal to noise, amplitude, radians per bit). ``data``, ``symbols``: by
    slot.
    """

    counts: NDArray[np.int64]
    raw: NDArray[np.float32]
    pieces: NDArray[np.float32]
    z: NDArray[np.float32]
    first: NDArray[np.float32]
    excess: NDArray[np.float32]
    planes: NDArray[np.float32]
    segments: NDArray[np.float32]
    screen: NDArray[np.float32]
    flags: NDArray[np.uint8]
    mixed: NDArray[np.float32]
    powers: NDArray[np.float32]
    change: NDArray[np.float64]
    work: NDArray[np.float64]
    level: NDArray[np.float32]
    loud: NDArray[np.bool_]
    recent: NDArray[np.float32]
    codes: NDArray[np.int16]
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
    ranked: NDArray[np.float32]
    chosen: NDArray[np.int64]
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
        first=np.zeros((2, 3, history + block), np.float32),
        excess=np.zeros((2, distinct, history + block), np.float32),
        planes=np.zeros((3, block + _EARLIER), np.float32),
        segments=np.zeros((distinct, 3, block), np.float32),
        screen=np.zeros((2, 2, block), np.float32),
        flags=np.zeros((2, block), np.uint8),
        mixed=np.zeros((4, BLOCK_BITS, PARTS), np.float32),
        powers=np.zeros((BLOCK_BITS, PARTS), np.float32),
        change=np.zeros((2, 2 * setup.step)),
        work=np.zeros((3, 256)),
        level=np.full((2, bits), np.inf, np.float32),
        loud=np.zeros((2, bits), np.bool_),
        recent=np.zeros((2, 4), np.float32),
        codes=np.full((2, setup.window + PARTS // 2 * BLOCK_BITS), NO_CODE, np.int16),
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
        metric=np.zeros((3, 16), np.float32),
        ranked=np.zeros((2, 8, 2), np.float32),
        chosen=np.zeros((2, 8, 2), np.int64),
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


_ABREAST, _LOW, _HIGH = (0, 1, 2, 3, 4, 5, 6, 7), (0, 8, 1, 9, 4, 12, 5, 13), (2, 10, 3, 11, 6, 14, 7, 15)
_LEFT, _RIGHT = (0, 1, 8, 9, 4, 5, 12, 13), (2, 3, 10, 11, 6, 7, 14, 15)
_TURNS = (
    ((0, 4, _ABREAST), (1, 5, _ABREAST), (2, 6, _ABREAST), (3, 7, _ABREAST)),
    ((0, 1, _LOW), (2, 3, _LOW), (0, 1, _HIGH), (2, 3, _HIGH)),
    ((0, 1, _LEFT), (0, 1, _RIGHT), (2, 3, _LEFT), (2, 3, _RIGHT)),
)
"""Eight rows of four become four columns of eight: in each round which two rows are joined, and in what order."""


def emitted(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """The code of ``_mixed_bit``: pieces are so short that LLVM's own loops over them stay scalar; here all eight go abreast.

    Four samples of each piece are read at once and turned, so that a vector holds one sample of all pieces; the rest one by one.
    """
    many, four, small = _ir.VectorType(_ir.FloatType(), PARTS), _ir.VectorType(_ir.FloatType(), 4), _ir.IntType(32)
    word, step, place = arguments[1].type, arguments[2], arguments[5]
    arrays = {}
    for index in (0, 3, 4):
        arrays[index] = context.make_array(signature.args[index])(context, builder, arguments[index])
    samples, mix, out = arrays[0].data, arrays[3].data, arrays[4].data
    begins = []
    for part in range(PARTS):
        begins.append(builder.gep(samples, [builder.add(arguments[1], builder.mul(step, word(part)))]))
    sums = []
    for _ in range(4):
        sums.append(_cgutils.alloca_once_value(builder, _ir.Constant(many, [0.0] * PARTS)))
    whole = builder.and_(step, word(-4))
    for first, last, width in ((word(0), whole, 4), (whole, step, 1)):
        with _cgutils.for_range_slice(builder, first, last, word(width)) as (sample, _):
            columns = []
            if width == 4:
                rows = []
                for begin in begins:
                    at = builder.bitcast(builder.gep(begin, [sample]), four.as_pointer())
                    rows.append(builder.load(at, align=4))
                for pairs in _TURNS:
                    turned = []
                    for one, other, order in pairs:
                        mask = _ir.Constant(_ir.VectorType(small, PARTS), list(order))
                        turned.append(builder.shuffle_vector(rows[one], rows[other], mask))
                    rows = turned
                columns = rows
            else:
                column = _ir.Constant(many, [0.0] * PARTS)
                for part in range(PARTS):
                    value = builder.load(builder.gep(begins[part], [sample]))
                    column = builder.insert_element(column, value, small(part))
                columns = [column]
            for index, column in enumerate(columns):
                for row in range(4):
                    weight = builder.mul(
                        builder.add(builder.mul(builder.add(sample, word(index)), word(4)), word(row)), word(PARTS)
                    )
                    at = builder.bitcast(builder.gep(mix, [weight]), many.as_pointer())
                    product = builder.fmul(column, builder.load(at, align=4), flags=("contract",))
                    builder.store(builder.fadd(builder.load(sums[row]), product, flags=("contract",)), sums[row])
    length = builder.udiv(arrays[4].nitems, word(4))
    for row in range(4):
        at = builder.gep(out, [builder.add(builder.mul(length, word(row)), place)])
        builder.store(builder.load(sums[row]), builder.bitcast(at, many.as_pointer()), align=4)
    return context.get_dummy_value()


@_intrinsic
def _mixed_bit(typing: Any, samples: Any, begin: Any, step: Any, mix: Any, out: Any, place: Any) -> Any:
    """The samples of a bit, from ``begin``, on both carriers: a number for each piece, from ``place`` in each row of ``out``."""
    return _numba.types.void(samples, _numba.int64, _numba.int64, mix, out, _numba.int64), emitted


@njit(**FIXED)
def _mixed(samples: Any, begin: Any, bits: Any, mix: Any, out: Any) -> None:
    """Bits of samples on both carriers as ``out`` (re and im of primary and secondary, bit, piece)."""
    step = mix.shape[0]
    for bit in range(bits):
        _mixed_bit(samples, begin + bit * PARTS * step, step, mix, out, bit * PARTS)


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
def _alike(codes: Any, code: Any) -> Any:
    """How many are the same."""
    count, wanted = int16(0), int16(code)
    for i in range(len(codes)):
        count = int16(count + (1 if codes[i] == wanted else 0))
    return int(count)


@njit(**FIXED)
def _from(four: Any, code: Any) -> Any:
    """How many of four codes, each in 16 bits and less than half of what these can hold, are no less than a code."""
    # Taken off all four at once: the sign that was lent to each is left where nothing had to be borrowed.
    return ((((four | _SIGNS) - code * _ONES) >> 15) & _ONES) * _ONES >> 48


@njit(**FIXED)
def _levelled(powers: Any, codes: Any, level: Any, state: Any, recent: Any, window: Any, factor: Any) -> None:
    """The blanker's level after each bit: from the median power of the last half cycle, or the least of the last four bits.

    A packet far above the noise raises the least within four bits, an impulse of up to three bits does not. ``powers`` (bit, piece).
    ``codes``: of every other power, those of a window in front. ``state``: what is known of the window.
    """
    if math.isinf(factor):
        level[:] = float32(np.inf)
        return
    filled, middle, below, equal = state[0], state[1], state[2], state[3]
    a, b, c, d = recent[0], recent[1], recent[2], recent[3]
    half, fours = PARTS // 2, codes.view(np.int64)
    if filled == 0:
        middle, below, equal = int(codes[window]), 0, 0
    for bit in range(len(level)):
        new, old = fours[window // half + bit], fours[bit]
        fewer = _from(new, middle) - _from(old, middle)
        below -= fewer
        equal += fewer - _from(new, middle + 1) + _from(old, middle + 1)
        filled = min(window, filled + half)
        rank = filled // 2
        if below > rank or below + equal <= rank:
            known = codes[half * bit + half : half * bit + half + window]
            while below > rank:
                middle -= 1
                equal = _alike(known, middle)
                below -= equal
            while below + equal <= rank:
                below += equal
                middle += 1
                equal = _alike(known, middle)
        total = ((powers[bit, 0] + powers[bit, 1]) + (powers[bit, 2] + powers[bit, 3])) + (
            (powers[bit, 4] + powers[bit, 5]) + (powers[bit, 6] + powers[bit, 7])
        )
        a, b, c, d = b, c, d, total * float32(1.0 / PARTS)
        if filled < window // 4:
            level[bit] = float32(np.inf)
        else:
            level[bit] = float32(factor) * max(
                int32((middle << 20) | (1 << 19)).view(float32), min(min(a, b), min(c, d))
            )
    state[0], state[1], state[2], state[3] = filled, middle, below, equal
    recent[0], recent[1], recent[2], recent[3] = a, b, c, d


@njit(**FIXED)
def _coded(powers: Any, codes: Any) -> None:
    """Every other power, as bit patterns, as the blanker sorts them. The sign is 0: what is above bit 19 is as told."""
    for i in range(len(codes)):
        codes[i] = powers[2 * i] >> 20


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
    per_bit, window = setup.samples_per_bit, setup.window
    history = len(memory.level[0]) - BLOCK_BITS
    mixed, powers = memory.mixed, memory.powers
    flat = powers.reshape(PARTS * BLOCK_BITS)[: PARTS * bits]
    _mixed(memory.raw, history * per_bit, bits, setup.mix, mixed)
    for carrier in range(2):
        re, im = mixed[2 * carrier], mixed[2 * carrier + 1]
        flat_re = re.reshape(PARTS * BLOCK_BITS)[: PARTS * bits]
        flat_im = im.reshape(PARTS * BLOCK_BITS)[: PARTS * bits]
        _power(flat_re, flat_im, flat)
        level, codes = memory.level[carrier, history : history + bits], memory.codes[carrier]
        count = PARTS // 2 * bits
        _coded(flat.view(np.int32), codes[window : window + count])
        _levelled(powers, codes, level, memory.median[carrier], memory.recent[carrier], window, setup.blank)
        copied(codes[:window], codes[count : count + window])
        _limited(re, im, powers, level, memory.loud[carrier, history : history + bits])
        copied(memory.pieces[carrier, 0, PARTS * history :], flat_re)
        copied(memory.pieces[carrier, 1, PARTS * history :], flat_im)


# ---- what may be a preamble ----------------------------------------------------------------------------------------------
@njit(**FIXED)
def _summed(source: Any, target: Any) -> None:
    """Sliding sum of one bit; ``source`` begins seven places earlier."""
    n = len(target)
    a, b, c, d = source[0:n], source[1 : n + 1], source[2 : n + 2], source[3 : n + 3]
    e, f, g, h = source[4 : n + 4], source[5 : n + 5], source[6 : n + 6], source[7 : n + 7]
    for i in range(n):
        target[i] = ((a[i] + b[i]) + (c[i] + d[i])) + ((e[i] + f[i]) + (g[i] + h[i]))


@njit(**FIXED)
def _paired(source: Any, sums: Any, differences: Any) -> None:
    """Each value and that of the bit before it; ``source`` begins one bit earlier."""
    n = len(sums)
    before, now = source[0:n], source[PARTS : n + PARTS]
    for i in range(n):
        sums[i] = before[i] + now[i]
        differences[i] = before[i] - now[i]


@njit(**FIXED)
def _segmented(planes: Any, pairs: Any, weights: Any, target: Any) -> None:
    """Sliding sum of eight bits, each with its sign. ``planes``: values, sums and differences; ``pairs``: which for each two bits."""
    n = len(target)
    s, t, u, v = weights[0], weights[1], weights[2], weights[3]
    a, b = planes[pairs[0], 0:n], planes[pairs[1], 2 * PARTS : n + 2 * PARTS]
    c, d = planes[pairs[2], 4 * PARTS : n + 4 * PARTS], planes[pairs[3], 6 * PARTS : n + 6 * PARTS]
    for i in range(n):
        target[i] = (s * a[i] + t * b[i]) + (u * c[i] + v * d[i])


@njit(**FIXED)
def _power(re: Any, im: Any, target: Any) -> None:
    for i in range(len(target)):
        target[i] = re[i] * re[i] + im[i] * im[i]


@njit(**FIXED)
def _exceeding(rows: Any, begin: Any, target: Any, scale: Any, share: Any) -> None:
    """By how much the coherent power exceeds a share of all. ``rows``: re, im, energy."""
    n = len(target)
    re, im, energy = rows[0, begin : begin + n], rows[1, begin : begin + n], rows[2, begin : begin + n]
    for i in range(n):
        target[i] = scale * (re[i] * re[i] + im[i] * im[i]) - share * energy[i]


@njit(**FIXED)
def _added(target: Any, source: Any, scale: Any) -> None:
    for i in range(len(target)):
        target[i] += scale * source[i]


@njit(**FIXED)
def _heard(known: Any, first: Any, z: Any, begin: Any, sign: Any, limit: Any, target: Any) -> None:
    """By how much the beginning of bit synchronisation exceeds its share. ``known``: all but its last bit, which is in ``z``."""
    n = len(target)
    re, im, energy = known[0, first : first + n], known[1, first : first + n], known[2, first : first + n]
    last_re, last_im, last_energy = z[0, begin : begin + n], z[1, begin : begin + n], z[2, begin : begin + n]
    last_limit = limit * abs(sign)
    for i in range(n):
        a, b = re[i] + sign * last_re[i], im[i] + sign * last_im[i]
        target[i] = (a * a + b * b) - (limit * energy[i] + last_limit * last_energy[i])


@njit(**FIXED)
def _flagged(preamble: Any, start: Any, flags: Any) -> None:
    """1 where a preamble may end, 2 where the beginning of one may."""
    for i in range(len(flags)):
        flags[i] = (1 if preamble[i] > 0.0 else 0) | (2 if start[i] > 0.0 else 0)


@njit(**FIXED)
def search(setup: Any, memory: Any, bits: Any) -> None:
    """Of each new place, by how much preamble and beginning of bit synchronisation exceed what is worth a closer look.

    No frequency bin can give more than the segments' powers say together (Cauchy): this bound is cheap, and low nearly always.
    """
    old, count = memory.z.shape[2] - PARTS * BLOCK_BITS, PARTS * bits
    new, early = old + count, old - _EARLIER
    heard, known = len(setup.detect_signs), setup.lengths[0]
    planes, segments, ends = memory.planes, memory.segments, count + _EARLIER
    share, limit, one = float32(setup.candidate), float32(setup.detect * heard), float32(1.0)
    for carrier in range(2):
        z, first, excess = memory.z[carrier], memory.first[carrier], memory.excess[carrier]
        _summed(memory.pieces[carrier, 0, old - 7 : new], z[0, old:new])
        _summed(memory.pieces[carrier, 1, old - 7 : new], z[1, old:new])
        _power(z[0, old:new], z[1, old:new], z[2, old:new])
        for row in range(3):
            copied(planes[0], z[row, early:new])
            _paired(z[row, early - PARTS : new], planes[1, :ends], planes[2, :ends])
            for index in range(len(setup.lengths)):
                target = first[row, old:new] if index == 0 else segments[index, row, :count]
                _segmented(planes, setup.pairs[row // 2, index], setup.weights[row // 2, index], target)
        for index in range(len(setup.lengths)):
            rows, at = (first, old) if index == 0 else (segments[index], 0)
            _exceeding(rows, at, excess[index, old:new], float32(1.0 / setup.lengths[index]), share)
        preamble, start = memory.screen[carrier, 0, :count], memory.screen[carrier, 1, :count]
        preamble[:] = 0.0
        for part in range(len(setup.parts)):
            begin = old - PARTS * setup.lags[part]
            _added(preamble, excess[setup.parts[part], begin : begin + count], one)
        later = heard - known
        begin = old - PARTS * later
        if later == 0:
            _heard(first, begin, z, old, float32(0.0), limit, start)
        elif later == 1:
            _heard(first, begin, z, old, setup.detect_signs[known], limit, start)
        else:
            sums = segments[0]
            for row in range(3):
                copied(sums[row], first[row, begin : begin + count])
                for bit in range(known, heard - 1):
                    at = old - PARTS * (heard - 1 - bit)
                    _added(sums[row, :count], z[row, at : at + count], setup.detect_signs[bit] if row < 2 else one)
            _heard(sums, 0, z, old, setup.detect_signs[heard - 1], limit, start)
        _flagged(preamble, start, memory.flags[carrier, :count])
