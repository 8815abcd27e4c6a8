"""Noise that can be asked for any moment: hashed lattices instead of a generator with a history.

``uniform(key, n)`` is a number in [0, 1) that depends on nothing but its arguments, so a meter started a week in the past
has the same past as one that ran all week. The mixing function is SplitMix64's finaliser (Steele, Lea, Flood: *Fast
splittable pseudorandom number generators*, OOPSLA 2014).
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

__all__ = ["key_of", "smooth", "uniform", "uniforms"]

FloatArray = npt.NDArray[np.float64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def key_of(*parts: int | str) -> int:
    """A 64-bit key for a stream of noise, named by ``parts`` (a seed and what the noise is for)."""
    text = "\x1f".join(str(part) for part in parts).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def uniforms(key: int, numbers: npt.NDArray[np.int64]) -> FloatArray:
    """One number in [0, 1) for each of ``numbers``, any shape."""
    with np.errstate(over="ignore"):
        z = numbers.astype(np.uint64) * _GOLDEN + np.uint64(key)
        z = (z ^ (z >> np.uint64(30))) * _MIX_1
        z = (z ^ (z >> np.uint64(27))) * _MIX_2
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53


def uniform(key: int, number: int) -> float:
    """`uniforms` for a single number."""
    return float(uniforms(key, np.array([number], np.int64))[0])


def smooth(key: int, x: npt.NDArray[np.int64], step: int) -> FloatArray:
    """Noise in [-1, 1] that changes smoothly with ``x``: random values every ``step``, joined by cosine-like arcs."""
    cell, rest = np.divmod(x, step)
    first = int(cell.min())
    nodes = uniforms(key, np.arange(first, int(cell.max()) + 2, dtype=np.int64)) * 2.0 - 1.0
    at = cell - first
    part = rest * (1.0 / step)
    part = part * part * (3.0 - 2.0 * part)
    left = nodes[at]
    return np.asarray(left + (nodes[at + 1] - left) * part)
