"""Kernels for ``osgp.crypto.legacy``: many digests side by side, and one digest in compiled code.

Import this module only from ``legacy`` and only at need: it imports NumPy, and Numba when a kernel is asked for.

One digest is a chain of additions, each waiting for the one before. Messages under one key take the same branch in
every step, so they can lie in *lanes*: a state of shape (8, lanes) uint8, the branch decided once per step, and a
plain loop over lanes that the compiler turns into vector instructions.

Two rewritings save work in each step. The state kept is not the byte d but t = not (d + position), the value that the
step turns; then ``t' = t_next - (m + c) - turn(t)`` with c = 7 at position 7 and -1 elsewhere (all modulo 256), and the
complement and the position vanish from the loop. Both follow from ``not (not x + y) = x - y``.
"""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Callable, Sequence
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["digest_batch", "kernels", "message_kernels"]

NUMPY_LANES = 4096
"""Lanes of one NumPy pass: large enough to hide the cost of a call, small enough to stay in the first caches."""


def digest_batch(
    key: bytes,
    rounds: int,
    messages: Sequence[bytes] | NDArray[np.uint8],
    *,
    block_for_nothing: bool,
    kernel: bool,
) -> NDArray[np.uint8]:
    """Digests (n, 8) uint8 of ``messages`` under one key; see ``legacy.digest_batch``.

    Messages are grouped by their number of blocks, because another block of zeros changes the digest while zeros within
    the last block do not. ``kernel``: use Numba when it can be imported, NumPy otherwise.
    """
    run = _numpy_lanes
    if kernel:
        try:
            run = kernels().digest_lanes
        except ImportError:
            run = _numpy_lanes
    order = np.frombuffer(key, np.uint8)
    block = 8 * rounds
    if isinstance(messages, np.ndarray):
        if messages.ndim != 2 or messages.dtype != np.uint8:
            raise TypeError("messages as an array have shape (n, length) and type uint8")
        out = np.empty((messages.shape[0], 8), np.uint8)
        blocks = _blocks(messages.shape[1], block, block_for_nothing)
        run(order, rounds, np.ascontiguousarray(messages), blocks, out)
        return out
    count = len(messages)
    out = np.empty((count, 8), np.uint8)
    lengths = np.fromiter(map(len, messages), np.int64, count)
    if count and int(lengths.min()) == int(lengths.max()):
        length = int(lengths[0])
        table = np.frombuffer(b"".join(messages), np.uint8).reshape(count, length)
        run(order, rounds, table, _blocks(length, block, block_for_nothing), out)
        return out
    whole = -(-lengths // block)
    if block_for_nothing:
        whole = np.maximum(whole, 1)
    for blocks in np.unique(whole).tolist():
        members = np.flatnonzero(whole == blocks)
        width = blocks * block
        padded = b"".join([bytes(messages[i]).ljust(width, b"\0") for i in members.tolist()])
        part = np.empty((len(members), 8), np.uint8)
        run(order, rounds, np.frombuffer(padded, np.uint8).reshape(len(members), width), blocks, part)
        out[members] = part
    return out


def _blocks(length: int, block: int, block_for_nothing: bool) -> int:
    return max(-(-length // block), int(block_for_nothing))


def _numpy_lanes(
    key: NDArray[np.uint8], rounds: int, messages: NDArray[np.uint8], blocks: int, out: NDArray[np.uint8]
) -> None:
    """The lanes in NumPy alone: no compilation, half a dozen array operations per step."""
    for base in range(0, messages.shape[0], NUMPY_LANES):
        piece = messages[base : base + NUMPY_LANES]
        columns = np.ascontiguousarray(piece.T)
        width = piece.shape[0]
        state = np.empty((8, width), np.uint8)
        state[:] = (255 - np.arange(8, dtype=np.uint8))[:, None]
        turned = np.empty(width, np.uint8)
        other = np.empty(width, np.uint8)
        place = 0
        for _ in range(blocks):
            for index in range(rounds):
                key_byte = int(key[index % len(key)])
                for step in range(8):
                    position = 7 - step
                    here = state[position]
                    if key_byte >> step & 1:
                        np.left_shift(here, 1, out=turned)
                        np.right_shift(here, 7, out=other)
                    else:
                        np.right_shift(here, 1, out=turned)
                        np.left_shift(here, 7, out=other)
                    np.bitwise_or(turned, other, out=turned)
                    following = state[(position + 1) & 7]
                    if key_byte >> step & 1:
                        np.subtract(following, turned, out=here)
                    else:
                        np.add(following, turned, out=here)
                    if place < columns.shape[0]:
                        here -= columns[place]
                    here -= np.uint8(7 if step == 0 else 255)
                    place += 1
        np.subtract((255 - np.arange(8, dtype=np.uint8))[:, None], state, out=state)
        out[base : base + width] = state.T


@cache
def kernels() -> ModuleType:
    """The module of compiled kernels: compiles them, or loads them from Numba's cache; ImportError without Numba."""
    return importlib.import_module("osgp.crypto.kernels")


Message = Callable[[bytes, bytes, int], int]
"""``f(key, message, length)``: one digest from zeros, as an integer whose low byte is the digest's first."""


@cache
def message_kernels() -> tuple[Message, Message]:
    """The compiled functions for one message: OMA (12-byte keys) and MEP (16-byte keys); ImportError without Numba.

    They are called as C functions: Numba's own inspection of arguments would cost more than the digest does. Arguments
    are not checked, so callers must hand in ``bytes`` of the right key length and the message's true length.
    """
    compiled = kernels()
    prototype = ctypes.PYFUNCTYPE(ctypes.c_uint64, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ssize_t)
    # The module keeps the compiled code, and the cache above keeps the module, for the life of the process.
    return prototype(compiled.oma_message.address), prototype(compiled.mep_message.address)
