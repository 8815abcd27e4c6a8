"""Frames that nobody honest sends: built from the right parts in wrong ways, or true ones that were tampered with.

Everything is drawn from the generator handed in, so that a finding can be drawn again.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from tests.fuzz.mutate import mutated

__all__ = ["forged", "forged_apdu", "forged_ltep"]

DOMAINS = (b"\x49", b"\x49", b"\x49", b"", b"OSG", b"\x49\0\0\0\0\0")
_LENGTH_CODES = {0: 0, 1: 1, 3: 2, 6: 3}
_MOST_APDU = 240


def _node(rng: random.Random, places: Sequence[tuple[int, int]]) -> tuple[int, int]:
    return rng.choice(places) if rng.random() < 0.8 else (rng.choice((0, 1, 255)), rng.choice((0, 1, 127)))


def forged_ltep(rng: random.Random, places: Sequence[tuple[int, int]], depth: int = 0) -> bytes:
    """A proxy message: any flags, loops, lists longer or shorter than they say, and others nested in it."""
    count = rng.choice((0, 0, 1, 2, 3, 15))
    flags = rng.choice((0, 0, 0x10, 0x20, 0x40, 0x80, 0x90, 0xF0))
    out = bytearray((0x4D, flags | count))
    for _ in range(count if rng.random() < 0.8 else rng.randrange(16)):
        subnet, node = _node(rng, places)
        if not flags & 0x90:
            out.append(subnet)
        out.append(node | rng.choice((0, 0, 0x80)))
    if count:
        out.append(rng.randrange(256))
    kind, service, mode = rng.randrange(8), rng.randrange(4), rng.choice((0, 0, 0, 1, 2, 3))
    out += bytes((kind << 5 | rng.randrange(2) << 4 | service << 2 | mode, rng.randrange(256)))
    if mode == 2:
        long = rng.randrange(2)
        out += bytes((long,)) + rng.randbytes(6 + 6 * long)
    subnet, node = _node(rng, places)
    out += {
        0: bytes((rng.choice((5, 6)), rng.randrange(256))),
        1: bytes((subnet, node)),
        2: bytes((subnet, 7, 0, 0, 0, subnet, node)),
        3: bytes((rng.choice((0, subnet)), rng.randrange(256))),
        4: bytes((rng.choice((5, 6)),)),
        5: bytes((node,)),
        6: bytes((7, 0, 0, 0, subnet, node)),
        7: bytes((node,)),
    }[kind]
    return bytes(out) + forged_apdu(rng, places, depth + 1)


def forged_apdu(rng: random.Random, places: Sequence[tuple[int, int]], depth: int = 0) -> bytes:
    """An APDU of any family, or nearly one."""
    subnet, node = _node(rng, places)
    match rng.randrange(9):
        case 0:
            return bytes((rng.randrange(0x40),)) + rng.randbytes(rng.randrange(20))
        case 1:
            return bytes((rng.randrange(0x50, 0x80),)) + rng.randbytes(rng.choice((0, 1, 2, 3, 5, 16, 32)))
        case 2:
            return bytes((0x60, rng.randrange(0x1C))) + rng.randbytes(rng.choice((0, 1, 2, 5, 12, 40)))
        case 3:
            return bytes((rng.randrange(0x80, 0x100),)) + rng.randbytes(rng.randrange(5))
        case 4:
            address = bytes((rng.choice((1, 2, 3, 0x85)), node, rng.randrange(256), rng.randrange(256), subnet))
            return bytes((0x52, rng.randrange(4))) + address + (bytes(6) if address[0] == 2 else b"")
        case 5:
            return b""
        case _:
            if depth > 12:
                return b"\x51"
            return forged_ltep(rng, places, depth)[:_MOST_APDU]


def forged(rng: random.Random, places: Sequence[tuple[int, int]], heard: Sequence[bytes] = ()) -> bytes:
    """A frame without CRC. ``places``: the nodes there are; ``heard``: true frames, to be tampered with or said again."""
    if heard and rng.random() < 0.4:
        frame = rng.choice(heard)
        return frame if rng.random() < 0.3 else mutated(frame, rng, heard)[:260]
    address_format, kind = rng.randrange(4), rng.choice((0, 0, 1, 1, 1, 2, 3))
    version = rng.choice((0, 0, 0, 0, 2, 2, 1, 3))
    domain = rng.choice(DOMAINS)
    source, destination = _node(rng, places), _node(rng, places)
    selector = 0 if address_format == 2 and rng.random() < 0.2 else 0x80
    out = bytearray((rng.randrange(256), version << 6 | kind << 4 | address_format << 2 | _LENGTH_CODES[len(domain)]))
    out += bytes((source[0], source[1] | selector))
    if address_format == 1:
        out.append(rng.choice((5, 6, rng.randrange(256))))
    else:
        out.append(rng.choice((0, destination[0])) if address_format == 0 else destination[0])
    if address_format == 2:
        out.append(destination[1] | 0x80)
        if not selector:
            out += bytes((rng.choice((5, 6)), rng.randrange(70)))
    elif address_format == 3:
        out += bytes((7, 0, 0, 0, *destination))
    out += domain
    if kind == 3:
        return bytes(out) + forged_apdu(rng, places)
    low = bytes((rng.randrange(256),)) if version == 2 else b""
    if kind == 2:
        out += bytes((rng.randrange(256),)) + low + rng.randbytes(rng.choice((8, 8, 8, 7, 9)))
        return bytes(out) + (bytes((rng.choice((5, 6)),)) if rng.random() < 0.3 else b"")
    of_type = rng.choice((0, 0, 0, 0, 1, 2, 2, 4, 5, rng.randrange(8)))
    out += bytes((rng.choice((0, 0, 0x80)) | of_type << 4 | rng.randrange(16),)) + low
    if of_type in (4, 5):
        marked = rng.randbytes(rng.choice((0, 1, 2, 3, 8)))
        out += bytes((rng.choice((len(marked), rng.randrange(256))),)) + marked
    return bytes(out) + (b"" if of_type == 4 else forged_apdu(rng, places))
