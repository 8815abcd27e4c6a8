"""The receiver in compiled code: samples in, facts about packets out; every step at a fixed place of the stream.

Project choice after ``spec/phy-ts103908.md`` 3.4. Importing this module imports Numba. ``feed`` is the streaming face,
``matched_bits`` the one for a known beginning. Both carriers are worked on at once, in blocks that fit in the cache: mixed to
baseband in pieces of an eighth of a bit, impulses limited, a matched filter of one bit at every eighth, and the preamble
correlated in segments. What looks like a preamble is looked at closely; from there the packet is taken from the raw samples, at
the exact sample that the tracking loop asks for.

No step depends on how the stream was cut: whole bits are processed one by one, each only with what was before it.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from osgp.plc import kernels_packet, kernels_search, sync
from osgp.plc.kernels_packet import (
    acquire,
    binned,
    energy_at,
    finish,
    likeness,
    list_decode,
    noticed,
    received,
    report,
    start_packet,
    synchronised,
    tuned,
    word,
)
from osgp.plc.kernels_search import (
    ACTIVE,
    AMPLITUDE,
    BLOCK_BITS,
    CACHED,
    CRC_WRONG,
    DETECTED,
    DROPPED,
    ENDLESS,
    EVENTS,
    FADED,
    FIXED,
    HEIGHT,
    IS_BUSY,
    IS_IN,
    IS_PENDING,
    LOST,
    NO_CODE,
    OVERTAKEN,
    PACKET,
    PLACE,
    QUIET,
    SEEN,
    SLOTS,
    TOO_SHORT,
    TUNE,
    Memory,
    baseband,
    bit_at,
    copied,
    float32,
    int32,
    matched,
    memory_for,
    njit,
    search,
)
from osgp.plc.sync import PARTS

__all__ = [
    "BLOCK_BITS",
    "CRC_WRONG",
    "DETECTED",
    "DROPPED",
    "ENDLESS",
    "FADED",
    "IS_BUSY",
    "LOST",
    "Memory",
    "OVERTAKEN",
    "PACKET",
    "TOO_SHORT",
    "feed",
    "known_rows",
    "list_decode",
    "matched_bits",
    "memory_for",
    "search_rows",
    "word",
]

STRONGER, LEAKED = 2.0, 3.5
"""Amplitude ratios: a preamble that overtakes the packet being received; a carrier that is heard in the other's filter,
at most 0.21 of it, which is measured a sixteenth of a bit off at worst."""
UNSURE, SURE = 1, 2
"""Of a place that waits for a better one: whether word synchronisation was heard in it."""
EACH = 0x0101010101010101
"""A flag in each of a bit's places."""
LARGEST = 1e9
"""Samples beyond are no samples: their squares would not fit."""
_LARGEST_BITS = int(np.float32(LARGEST).view(np.int32))


@njit(**FIXED, forceinline=True)
def _accepted(target: Any, source: Any) -> Any:
    """Copy samples; silence for what is none. How many that were."""
    # Without the sign, a float's bits are ordered as its values are; what is no number comes last. A sum tells by its sign.
    bits, room = source.view(np.int32), int32(0x7FFFFFFF - _LARGEST_BITS)
    found, bad = int32(0), 0
    for i in range(len(source)):
        target[i] = source[i]
        found = int32(found | int32((bits[i] & 0x7FFFFFFF) + room))
    if found < 0:
        for i in range(len(source)):
            if not abs(source[i]) <= float32(LARGEST):
                target[i] = 0.0
                bad += 1
    return bad


# ---- the stream --------------------------------------------------------------------------------------------------------
@njit(**FIXED)
def _leaked(memory: Any, carrier: Any) -> Any:
    """Whether the preamble that waits is the other carrier's packet, heard where its bits change."""
    other_ints, other = memory.ints[1 - carrier], memory.floats[1 - carrier]
    loud = other[HEIGHT] if other_ints[IS_PENDING] else 0.0
    if other_ints[IS_IN]:
        loud = max(loud, other[AMPLITUDE])
    return loud > LEAKED * memory.floats[carrier, HEIGHT]


@njit(**FIXED)
def _looked(setup: Any, memory: Any, carrier: Any, bit: Any, base_bit: Any) -> None:
    """Is there a preamble in this bit? The best place is kept until no better one has come for some bits."""
    ints, floats = memory.ints[carrier], memory.floats[carrier]
    history = memory.z.shape[2] - PARTS * BLOCK_BITS
    size = len(setup.symbols)
    for part in range(PARTS):
        if memory.screen[carrier, 0, PARTS * bit + part] <= 0.0:
            continue
        place = history + PARTS * bit + part
        absolute = PARTS * base_bit + place
        if (absolute + 1) * setup.step - size * setup.samples_per_bit < ints[QUIET]:
            continue
        if ints[IS_IN] and energy_at(setup, memory.z[carrier], place) < size * (STRONGER * floats[AMPLITUDE]) ** 2:
            continue
        rho, power, omega = likeness(setup, memory, carrier, place)
        height = math.sqrt(power) / size
        if rho < setup.threshold or (ints[IS_PENDING] and height <= floats[HEIGHT]):
            continue
        if ints[IS_IN] and height < STRONGER * floats[AMPLITUDE]:
            continue
        ints[IS_PENDING] = SURE if synchronised(setup, memory, carrier, place, omega) else UNSURE
        ints[PLACE] = absolute
        floats[HEIGHT], floats[TUNE] = height, omega


@njit(**FIXED)
def _found(setup: Any, memory: Any, carrier: Any, base_bit: Any, end: Any) -> None:
    """No better place came: begin to receive there, unless it is no preamble, or the other carrier's that is heard here."""
    ints = memory.ints[carrier]
    if ints[IS_PENDING] != SURE or _leaked(memory, carrier):
        ints[IS_PENDING] = 0
        return
    if ints[IS_IN]:
        at = (ints[PLACE] + 1) * setup.step - len(setup.symbols) * setup.samples_per_bit
        finish(setup, memory, carrier, at, 0, OVERTAKEN)
    acquire(setup, memory, carrier, base_bit)
    if not ints[IS_BUSY]:
        ints[IS_BUSY] = 1
        report(memory, DETECTED, carrier, end, 0)


@njit(**FIXED)
def _sensed(setup: Any, memory: Any, carrier: Any, bit: Any, base_bit: Any) -> Any:
    """Whether bit synchronisation was heard in this bit, and was not an edge of the other carrier's signal."""
    history = len(memory.level[0]) - BLOCK_BITS
    for part in range(PARTS):
        if memory.screen[carrier, 1, PARTS * bit + part] > 0.0:
            place = PARTS * (history + bit) + part
            begin = (PARTS * base_bit + place + 1) * setup.step - len(setup.detect_signs) * setup.samples_per_bit
            if begin < memory.ints[carrier, QUIET]:
                continue
            theirs = float32(0.0)
            for back in range(PARTS):
                theirs = max(theirs, memory.first[1 - carrier, 2, place - back])
            if LEAKED * LEAKED * memory.first[carrier, 2, place] > theirs:
                return True
    return False


@njit(**FIXED, forceinline=True)
def _control(setup: Any, memory: Any, bits: Any, base_bit: Any) -> None:
    """Bit by bit on both carriers: search, reception, carrier detect, noise."""
    history = len(memory.level[0]) - BLOCK_BITS
    per_bit, half_cycle, noise_bins = setup.samples_per_bit, setup.half_cycle, setup.noise_bins
    delay, drop_bits = len(setup.symbols) + setup.wait_bits, setup.drop_bits
    wait_bits = setup.wait_bits
    heard_first = memory.z.shape[2] - PARTS * BLOCK_BITS - PARTS * delay + PARTS - 1
    states, flags, power = memory.ints, memory.flags.view(np.int64), memory.z[:, 2]
    noise, visits = memory.noise, memory.visits
    for bit in range(bits):
        now_bit = base_bit + history + bit
        end = (now_bit + 1) * per_bit
        for carrier in range(2):
            if flags[carrier, bit] & EACH:
                _looked(setup, memory, carrier, bit, base_bit)
        for carrier in range(2):
            ints = states[carrier]
            if ints[IS_PENDING] and now_bit - ints[PLACE] // PARTS >= wait_bits:
                _found(setup, memory, carrier, base_bit, end)
            if ints[IS_IN]:
                if now_bit & 1:
                    received(setup, memory, carrier, base_bit, end)
                ints[SEEN] = ints[ACTIVE] = now_bit
                continue
            if ints[IS_PENDING]:
                ints[ACTIVE] = now_bit
            # A bit later it is known whether the other carrier has a stronger one.
            sure = ints[IS_PENDING] == SURE and now_bit > ints[PLACE] // PARTS and not _leaked(memory, carrier)
            if sure or (flags[carrier, bit] & 2 * EACH and _sensed(setup, memory, carrier, bit, base_bit)):
                ints[SEEN] = ints[ACTIVE] = now_bit
                if not ints[IS_BUSY]:
                    ints[IS_BUSY] = 1
                    report(memory, DETECTED, carrier, end, 0)
            elif ints[IS_BUSY]:
                if now_bit - ints[SEEN] >= drop_bits:
                    ints[IS_BUSY] = 0
                    report(memory, LOST, carrier, end, 0)
            elif now_bit - delay > ints[ACTIVE] and not memory.loud[carrier, history + bit - delay]:
                # Noise is what was heard so long ago that no packet can have been in it unnoticed.
                cycle = (end - delay * per_bit - 0.5 * per_bit) / half_cycle
                theta = min(noise_bins - 1, int(noise_bins * (cycle - math.floor(cycle))))
                noticed(noise[carrier], visits[carrier], theta, float(power[carrier, heard_first + PARTS * bit]))


@njit(**FIXED)
def _shifted(memory: Any, setup: Any, bits: Any, carry: Any) -> None:
    """Let the newest become history."""
    history = len(memory.level[0]) - BLOCK_BITS
    per_bit = setup.samples_per_bit
    copied(memory.raw, memory.raw[bits * per_bit : bits * per_bit + history * per_bit + carry])
    count, old = PARTS * bits, PARTS * history
    for carrier in range(2):
        copied(memory.level[carrier], memory.level[carrier, bits : bits + history])
        copied(memory.loud[carrier], memory.loud[carrier, bits : bits + history])
        for row in range(2):
            pieces = memory.pieces[carrier, row, old - PARTS :]
            copied(pieces, pieces[count : count + PARTS])
        for row in range(3):
            copied(memory.z[carrier, row], memory.z[carrier, row, count : count + old])
            first = memory.first[carrier, row, old - PARTS * setup.reach_first :]
            copied(first, first[count : count + PARTS * setup.reach_first])
        for index in range(len(setup.reach)):
            excess = memory.excess[carrier, index, old - PARTS * setup.reach[index] :]
            copied(excess, excess[count : count + PARTS * setup.reach[index]])


# ---- many packets ------------------------------------------------------------------------------------------------------
@njit(**FIXED)
def _cleared(memory: Any) -> None:
    """As if nothing had been heard."""
    memory.counts[:] = 0
    memory.raw[:] = 0.0
    memory.pieces[:] = 0.0
    memory.z[:] = 0.0
    memory.first[:] = 0.0
    memory.excess[:] = 0.0
    memory.level[:] = np.inf
    memory.loud[:] = False
    memory.recent[:] = 0.0
    memory.codes[:] = NO_CODE
    memory.median[:] = 0
    memory.noise[:] = 0.0
    memory.visits[:] = 0
    memory.ints[:] = 0
    memory.floats[:] = 0.0


@njit(**FIXED)
def _taken(memory: Any, row: Any, facts: Any, numbers: Any, data: Any, symbols: Any) -> None:
    """Keep of a row the first packet that is right, else the first that came to an end at all."""
    for index in range(memory.counts[3]):
        event = memory.events[index]
        better = event[0] == PACKET and facts[row, 0] != PACKET
        if not better and (event[0] != DROPPED or facts[row, 0] != 0):
            continue
        facts[row, 0], facts[row, 1], facts[row, 2], facts[row, 3] = event[0], event[3], event[5], event[6]
        facts[row, 4] = event[9]
        for place in range(3):
            numbers[row, place] = memory.facts[index, place]
        if event[8] >= 0:
            for place in range(event[5]):
                data[row, place] = memory.data[event[8], place]
            for place in range(min(event[10], symbols.shape[2])):
                symbols[row, 0, place] = memory.symbols[event[8], 0, place]
                symbols[row, 1, place] = memory.symbols[event[8], 1, place]


# ---- the entries -------------------------------------------------------------------------------------------------------
def _fingerprint(*modules: ModuleType) -> int:
    """A number that changes with the code of other modules' kernels: Numba's cache looks at a kernel's own file only."""
    found = 0
    for module in modules:
        for name, value in sorted(vars(module).items()):
            if hasattr(value, "py_func") or name == "emitted":
                code = getattr(value, "py_func", value).__code__
                found = zlib.crc32(code.co_code + repr((name, code.co_consts)).encode(), found)
            elif isinstance(value, (int, float, tuple)):
                found = zlib.crc32(repr((name, value)).encode(), found)
    return found


def _stream(others: int) -> Callable[..., Any]:
    """The kernel that Python calls for a stream; ``others`` makes its cached code belong to that of the kernels it calls."""

    @njit(**CACHED)
    def feed(setup: Any, memory: Any, samples: Any, begin: Any) -> Any:
        """Samples from ``begin`` on, float32; gives where it stopped: at the end, or when there are events to fetch."""
        per_bit = setup.samples_per_bit
        history = len(memory.level[0]) - BLOCK_BITS if others >= 0 else 0
        counts = memory.counts
        while begin < len(samples):
            carry = counts[1]
            fits = min(BLOCK_BITS * per_bit - carry, len(samples) - begin)
            counts[2] += _accepted(memory.raw[history * per_bit + carry :], samples[begin : begin + fits])
            begin += fits
            carry += fits
            bits = carry // per_bit
            if bits > 0:
                base_bit = counts[0] - history
                baseband(setup, memory, bits)
                search(setup, memory, bits)
                _control(setup, memory, bits, base_bit)
                counts[0] += bits
                carry -= bits * per_bit
                _shifted(memory, setup, bits, carry)
            counts[1] = carry
            if counts[3] > EVENTS // 2 or counts[4] > SLOTS // 4:
                break
        return begin

    return feed


feed = _stream(_fingerprint(kernels_packet, kernels_search, sync))


def _entries(others: int) -> tuple[Callable[..., Any], ...]:
    """Those that work on rows. ``feed`` is not handed in: a kernel within a closure has another name in each process, so that
    what was compiled would never be found again."""

    @njit(**CACHED)
    def search_rows(
        setup: Any, memory: Any, rows: Any, quiet: Any, facts: Any, numbers: Any, data: Any, symbols: Any
    ) -> Any:
        """Each row is a stream of its own. ``quiet``: samples after each. Results by row, see ``_taken``; how many were no samples."""
        bad = 0
        for row in range(len(rows)):
            if others >= 0:
                _cleared(memory)
            for samples in (rows[row], quiet):
                begin = np.int64(0)  # a plain 0 would compile feed a second time, for that number
                while begin < len(samples):
                    begin = feed(setup, memory, samples, begin)
                    _taken(memory, row, facts, numbers, data, symbols)
                    memory.counts[3] = memory.counts[4] = 0
            bad += memory.counts[2]
        return bad

    @njit(**CACHED)
    def known_rows(
        setup: Any, memory: Any, rows: Any, starts: Any, carrier: Any, facts: Any, numbers: Any, data: Any, symbols: Any
    ) -> Any:
        """Each row holds a packet that begins at ``starts``; the rest is found from its preamble. No blanker, no search.

        Gives how many were no samples.
        """
        bad = 0
        per_bit, size, parts = setup.samples_per_bit, len(setup.symbols), memory.work
        for row in range(len(rows) if others >= 0 else 0):
            memory.counts[3] = memory.counts[4] = 0
            memory.ints[carrier, :] = 0
            bad += _accepted(memory.raw, rows[row])  # silence is left behind it
            parts[:2, : len(setup.parts)] = 0.0
            part = 0
            for bit in range(size):
                while bit >= size - setup.lags[part]:
                    part += 1
                at = starts[row] + bit * per_bit
                a, b = bit_at(
                    memory.raw, at, setup.waves[carrier], per_bit, memory.level[carrier], memory.loud[carrier]
                )
                parts[0, part] += setup.symbols[bit] * a
                parts[1, part] += setup.symbols[bit] * b
            omega = tuned(setup, parts, binned(setup, parts)[1])
            start_packet(setup, memory, carrier, 0, starts[row] + 0.5 * size * per_bit, omega)
            received(setup, memory, carrier, 0, rows.shape[1] + per_bit)
            _taken(memory, row, facts, numbers, data, symbols)
        return bad

    @njit(**CACHED)
    def matched_bits(samples: Any, begin: Any, count: Any, waves: Any, out: Any) -> None:
        """Matched filter of bits that begin at a known sample: ``out`` (bit, re and im)."""
        per_bit = waves.shape[1] // 2
        for bit in range(count if others >= 0 else 0):
            at = begin + bit * per_bit
            out[bit, 0], out[bit, 1] = matched(samples[at : at + per_bit], waves[0, :per_bit], waves[1, :per_bit])

    return search_rows, known_rows, matched_bits


search_rows, known_rows, matched_bits = _entries(_fingerprint(kernels_packet, kernels_search, sync))
