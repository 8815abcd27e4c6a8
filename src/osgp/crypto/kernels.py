"""The compiled kernels of ``osgp.crypto.lanes``, in the part of Python that Numba compiles.

Import this module only through ``lanes.kernels()``: importing it imports Numba and compiles, or loads what an earlier
process compiled and left in Numba's cache. The rewriting of the step is explained in ``lanes``; everything is modulo
256.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np

__all__ = ["digest_lanes", "mep_message", "oma_message"]

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Decorator = Callable[..., Callable[[_Function], _Function]]

# Numba's types are only partly declared: taken through Any, so that strict checks do not depend on its version.
_numba: Any = numba
njit: _Decorator[Any] = _numba.njit
cfunc: _Decorator[Any] = _numba.cfunc
carray, types, uint8, uint64 = _numba.carray, _numba.types, _numba.uint8, _numba.uint64

_WIDTH = 256  # lanes of one pass: state and message bytes stay in the first-level cache, loop overhead is spread thin


# The next two loops are functions of their own because the compiler then vectorises each without looking at the rest;
# written in place they ran at a fifth of the speed, depending on unrelated lines.
@njit(cache=True)
def _lanes_left(here: Any, following: Any, column: Any, constant: Any) -> None:
    """One step for key bit 1 in all lanes; rows of _WIDTH bytes, ``here`` is changed."""
    for lane in range(_WIDTH):
        t = here[lane]
        here[lane] = uint8(following[lane] - column[lane] - constant - uint8((t << 1) | (t >> 7)))


@njit(cache=True)
def _lanes_right(here: Any, following: Any, column: Any, constant: Any) -> None:
    """One step for key bit 0 in all lanes."""
    for lane in range(_WIDTH):
        t = here[lane]
        here[lane] = uint8(following[lane] - column[lane] - constant + uint8((t >> 1) | (t << 7)))


_LANES = types.void(
    types.Array(types.uint8, 1, "C", readonly=True),
    types.int64,
    types.Array(types.uint8, 2, "C", readonly=True),
    types.int64,
    types.Array(types.uint8, 2, "C"),
)


@njit(
    _LANES,
    cache=True,
    nogil=True,
)
def digest_lanes(key: Any, rounds: Any, messages: Any, blocks: Any, out: Any) -> None:
    """Digests of all rows of ``messages`` (n, length) into ``out`` (n, 8), padded with zeros to ``blocks`` blocks."""
    count, length = messages.shape
    state = np.empty((8, _WIDTH), np.uint8)
    columns = np.zeros((length + 1, _WIDTH), np.uint8)  # the last row stays zero: what follows a message
    for base in range(0, count, _WIDTH):
        width = min(_WIDTH, count - base)
        for lane in range(width):
            for place in range(length):
                columns[place, lane] = messages[base + lane, place]
        for position in range(8):
            state[position, :] = 255 - position
        place = 0
        for _ in range(blocks):
            index = 0
            for _ in range(rounds):
                key_byte = key[index]
                index += 1
                if index == key.shape[0]:
                    index = 0
                for step in range(8):
                    column = columns[min(place, length)]
                    place += 1
                    constant = uint8(7) if step == 0 else uint8(255)
                    if (key_byte >> step) & 1:
                        _lanes_left(state[7 - step], state[(8 - step) & 7], column, constant)
                    else:
                        _lanes_right(state[7 - step], state[(8 - step) & 7], column, constant)
        for lane in range(width):
            for position in range(8):
                out[base + lane, position] = uint8(255 - state[position, lane] - position)


@njit(inline="always")
def _turn(t: Any, bit: Any) -> Any:
    """What a step subtracts: t turned left for bit 1, minus t turned right for bit 0; only the low 8 bits count."""
    left = (t << uint64(1)) | (t >> uint64(7))
    right = (t >> uint64(1)) | (t << uint64(7))
    return left if bit != uint64(0) else uint64(0) - right


@njit(inline="always")
def _eight(t: Any, key_byte: Any, m: Any) -> Any:
    """Eight steps: the states t0 … t7 (low 8 bits valid) with one key byte and message bytes in order of the steps."""
    one = uint64(1)
    low = uint64(255)
    t0, t1, t2, t3, t4, t5, t6, t7 = t
    t7 = (t0 - m[0] - uint64(7) - _turn(t7, key_byte & one)) & low
    t6 = (t7 - m[1] + one - _turn(t6, key_byte & uint64(2))) & low
    t5 = (t6 - m[2] + one - _turn(t5, key_byte & uint64(4))) & low
    t4 = (t5 - m[3] + one - _turn(t4, key_byte & uint64(8))) & low
    t3 = (t4 - m[4] + one - _turn(t3, key_byte & uint64(16))) & low
    t2 = (t3 - m[5] + one - _turn(t2, key_byte & uint64(32))) & low
    t1 = (t2 - m[6] + one - _turn(t1, key_byte & uint64(64))) & low
    t0 = (t1 - m[7] + one - _turn(t0, key_byte & uint64(128))) & low
    return t0, t1, t2, t3, t4, t5, t6, t7


@njit(inline="always")
def _message(key: Any, size: Any, rounds: Any, message: Any, length: Any, least: Any) -> Any:
    """One digest from zeros as an integer whose low byte is d[0]; at least ``least`` blocks."""
    zero = uint64(0)
    t = (
        uint64(255),
        uint64(254),
        uint64(253),
        uint64(252),
        uint64(251),
        uint64(250),
        uint64(249),
        uint64(248),
    )
    nothing = (zero, zero, zero, zero, zero, zero, zero, zero)
    block = 8 * rounds
    blocks = max((length + block - 1) // block, least)
    place = 0
    for _ in range(blocks):
        index = 0
        for _ in range(rounds):
            key_byte = uint64(key[index])
            index += 1
            if index == size:
                index = 0
            if place + 8 <= length:
                t = _eight(
                    t,
                    key_byte,
                    (
                        uint64(message[place]),
                        uint64(message[place + 1]),
                        uint64(message[place + 2]),
                        uint64(message[place + 3]),
                        uint64(message[place + 4]),
                        uint64(message[place + 5]),
                        uint64(message[place + 6]),
                        uint64(message[place + 7]),
                    ),
                )
            elif place < length:
                rest = length - place
                t = _eight(
                    t,
                    key_byte,
                    (
                        uint64(message[place]),
                        uint64(message[place + 1]) if rest > 1 else zero,
                        uint64(message[place + 2]) if rest > 2 else zero,
                        uint64(message[place + 3]) if rest > 3 else zero,
                        uint64(message[place + 4]) if rest > 4 else zero,
                        uint64(message[place + 5]) if rest > 5 else zero,
                        uint64(message[place + 6]) if rest > 6 else zero,
                        zero,
                    ),
                )
            else:
                t = _eight(t, key_byte, nothing)
            place += 8
    result = zero
    for position in range(8):
        result |= ((uint64(255) - t[position] - uint64(position)) & uint64(255)) << uint64(8 * position)
    return result


_SIGNATURE = types.uint64(types.CPointer(types.uint8), types.CPointer(types.uint8), types.intp)


@cfunc(_SIGNATURE, cache=True)
def oma_message(key: Any, message: Any, length: Any) -> Any:
    """C function: OMA digest with a 12-byte key; no block for an empty message."""
    return _message(carray(key, 12), 12, 18, carray(message, length), length, 0)


@cfunc(_SIGNATURE, cache=True)
def mep_message(key: Any, message: Any, length: Any) -> Any:
    """C function: MEP digest with a 16-byte key; one block for an empty message."""
    return _message(carray(key, 16), 16, 24, carray(message, length), length, 1)
