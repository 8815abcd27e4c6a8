"""Random declarations: structures out of every kind of field, nested, repeated, conditional, cut by strides."""

from __future__ import annotations

import itertools
import random
from typing import Any

from osgp.wire import MANY, Bits, Case, OpenEnum, Struct, bit
from osgp.wire import fields as f
from osgp.wire.struct import StructMeta

_names = itertools.count()


class Colour(OpenEnum):
    RED = 1
    BLUE = 7


class Word(Bits, size=2):
    low: int = bit(0, 3)
    middle: int = bit(3, 10)
    top: int = bit(15)


class Odd(Bits, size=3):
    first: int = bit(0, 11)
    last: int = bit(20, 4)


def leaf(rng: random.Random) -> Any:
    """One random leaf field, of fixed size."""
    return rng.choice(
        (
            lambda **o: f.uint(rng.randint(1, 8), order=rng.choice((None, "little", "big")), **o),
            lambda **o: f.sint(rng.randint(1, 8), order=rng.choice((None, "little", "big")), **o),
            lambda **o: f.bits(rng.choice((Word, Odd)), **o),
            lambda **o: f.code(Colour, rng.randint(1, 3), **o),
            lambda **o: f.binary(rng.randint(0, 5), **o),
            lambda **o: f.text(rng.randint(1, 5), **o),
            lambda **o: f.bcd(rng.randint(1, 4), low_first=rng.random() < 0.5, **o),
            lambda **o: f.stime(**o),
            lambda **o: f.ltime(**o),
            lambda **o: f.time(**o),
            lambda **o: f.date(**o),
            lambda **o: f.rdate(**o),
        )
    )


def structure(rng: random.Random, depth: int = 2, *, dynamic: bool = True) -> type[Struct]:
    """A random structure. ``dynamic``: sizes may depend on the bytes."""
    body: dict[str, Any] = {"__module__": __name__}
    length: Any = None
    for number in range(rng.randint(1, 6)):
        name = f"field{number}"
        options: dict[str, Any] = {}
        if rng.random() < 0.3:
            options["count"] = rng.randint(0, 4)
        if dynamic and length is not None and rng.random() < 0.3:
            options["count"] = length % 4 if hasattr(length, "__mod__") else length
        if rng.random() < 0.15:
            options["when"] = rng.randint(0, 1)
        if dynamic and length is not None and rng.random() < 0.2:
            options["when"] = length > rng.randint(0, 255)
        if depth and rng.random() < 0.35:
            inner = structure(rng, depth - 1, dynamic=dynamic)
            if "count" in options and rng.random() < 0.5:
                options["stride"] = rng.randint(0, 24)
            if dynamic and length is not None and rng.random() < 0.3:
                other = structure(rng, depth - 1, dynamic=dynamic)
                options.pop("stride", None)
                options.pop("count", None)
                body[name] = f.union([Case(length < rng.randint(0, 255), inner), Case(length > 200, other)], **options)
            else:
                body[name] = f.record(inner, **options)
        elif rng.random() < 0.15:
            field = f.u8(doc="a length")
            body[name] = field
            length = field - (field // 5) * 5
        else:
            body[name] = leaf(rng)(**options)
    if dynamic and rng.random() < 0.2:
        body["many"] = f.u16(count=MANY)
    return StructMeta(
        f"Random{next(_names)}", (Struct,), body, byte_order=rng.choice(("little", "big", "")), floor="wire"
    )
