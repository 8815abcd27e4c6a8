"""Mutations of known input, and a plain fuzzer on them for interpreters without atheris."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

__all__ = ["mutated", "run"]

_LIMIT = 4096
_EDGES = (0x00, 0x01, 0x7F, 0x80, 0xFF, 0x20, 0x5B, 0x22)


def mutated(data: bytes, rng: random.Random, others: Sequence[bytes]) -> bytes:
    """The data with one to five things done to them: cut, flipped bits, edges, doubled, inserted, glued to others, stretched."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 5)):
        place = rng.randrange(len(out) + 1)
        match rng.randrange(9):
            case 0:
                del out[place:]
            case 1:
                del out[:place]
            case 2 if out:
                out[place % len(out)] ^= 1 << rng.randrange(8)
            case 3 if out:
                out[place % len(out)] = rng.choice(_EDGES)
            case 4:
                out[place:place] = rng.randbytes(rng.randint(1, 8))
            case 5:
                end = place + rng.randint(1, 40)
                out[place:place] = out[place:end]
            case 6:
                other = rng.choice(others)
                start = rng.randrange(len(other) + 1)
                out[place:] = other[start:]
            case 7:
                out[place : place + rng.randint(1, 4)] = b""
            case _:
                out[place:place] = bytes([rng.choice(_EDGES)]) * rng.choice((2, 16, 300))
    return bytes(out[:_LIMIT])


def run(target: Callable[[bytes], None], seeds: Sequence[bytes], seconds: float, seed: int = 1) -> int:
    """Mutate and call for so many seconds; the number of calls. A finding is printed with its bytes and raised."""
    rng = random.Random(seed)
    end = time.monotonic() + seconds
    calls = 0
    while time.monotonic() < end:
        data = mutated(rng.choice(seeds), rng, seeds)
        try:
            target(data)
        except Exception:
            print(f"finding: {data.hex()}")
            raise
        calls += 1
    return calls
