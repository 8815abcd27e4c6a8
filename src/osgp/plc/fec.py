"""Words: a byte as eleven line bits and back, by hard decisions or by likelihood.

ETSI TS 103 908, word encoding; ``spec/phy-ts103908.md`` 1.4, 3.3. ``parity01`` (default): eight data bits, most significant first,
a parity bit, two fixed bits. ``x1182`` (project choice): a linear code of the same length with fewer near neighbours. Both correct
nothing by hard decisions (distance 2); with soft decisions and the CRC they gain 3.5 dB.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from osgp.plc.params import OSGP, PhyProfile

__all__ = ["WORD_BITS", "Words", "codebook", "decode_hard", "decode_soft", "encode"]

WORD_BITS = 11
"""Line bits of a word."""

_X1182 = (
    "10000000111",
    "01000000110",
    "00100000101",
    "00010000011",
    "00001000111",
    "00000100110",
    "00000010101",
    "00000001011",
)
"""Generator rows of the option x1182, for data bits 7 to 0 (digest 3.3)."""


@cache
def codebook(profile: PhyProfile = OSGP) -> NDArray[np.uint8]:
    """The words of all bytes: shape (256, 11), bits 0 and 1 in the order of transmission."""
    data = np.arange(256, dtype=np.uint8)
    bits = np.unpackbits(data[:, None], axis=1)
    if profile.code == "x1182":
        generator = np.array([[int(bit) for bit in row] for row in _X1182], dtype=np.uint8)
        words = bits @ generator % 2
    else:
        parity = (bits.sum(axis=1) + int(profile.odd_parity)) % 2
        fixed = np.tile([int(bit) for bit in profile.coding_bits], (256, 1))
        words = np.column_stack((bits, parity, fixed))
    words = words.astype(np.uint8)
    words.setflags(write=False)
    return words


@cache
def _signs(profile: PhyProfile) -> NDArray[np.float32]:
    """The words as symbols: bit 0 is +1, bit 1 is -1; shape (11, 256), for products with symbol values."""
    signs = np.ascontiguousarray((1.0 - 2.0 * codebook(profile)).T, dtype=np.float32)
    signs.setflags(write=False)
    return signs


def encode(data: bytes, profile: PhyProfile = OSGP) -> NDArray[np.uint8]:
    """Bytes as line bits: eleven for each."""
    return codebook(profile)[np.frombuffer(data, dtype=np.uint8)].reshape(-1)


class Words(NamedTuple):
    """Words decided by likelihood, arrays of one length: the most likely byte, the next, and by how much the next is worse.

    ``best``, ``second``: uint8. ``gap``: float32, in the unit of the input (log-likelihood ratios: log-likelihood).
    """

    best: NDArray[np.uint8]
    second: NDArray[np.uint8]
    gap: NDArray[np.float32]


def decode_hard(bits: NDArray[Any], profile: PhyProfile = OSGP) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Words of bits, shape (n, 11), as (bytes, which of them are words of the code at all)."""
    bits = np.asarray(bits, dtype=np.uint8)
    data = np.packbits(bits[:, :8], axis=1)[:, 0]
    return data, (codebook(profile)[data] == bits).all(axis=1)


def decode_soft(values: NDArray[Any], profile: PhyProfile = OSGP) -> Words:
    """Words of soft bits, shape (n, 11), positive for 0: log-likelihood ratios, or matched-filter outputs in even noise.

    Every byte's word is weighed (256 products of 11 for each word). Values that are no numbers count as 0.
    """
    soft = np.nan_to_num(np.asarray(values, dtype=np.float32), nan=0.0, posinf=1e6, neginf=-1e6)
    metric = soft @ _signs(profile)
    rows = np.arange(len(metric))
    best = metric.argmax(axis=1)
    top = metric[rows, best]
    metric[rows, best] = -np.inf
    second = metric.argmax(axis=1)
    return Words(best.astype(np.uint8), second.astype(np.uint8), ((top - metric[rows, second]) / 2).astype(np.float32))
