"""Random declarations: structures out of every kind of field, nested, repeated, conditional, cut by strides."""

from __future__ import annotations

import itertools
import random
from typing import Any

from osgp.wire import MANY, Bits, Case, OpenEnum, Struct, all_of, any_of, bit, env, negate
from osgp.wire import fields as f
from osgp.wire.kinds import BitsKind
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


class Lead(Bits, size=1):
    kind: int = bit(0, 2)
    many: int = bit(2, 2)
    flag: int = bit(4)
    other: int = bit(6, 2)


class WideLead(Bits, size=2):
    kind: int = bit(3, 2)
    many: int = bit(9, 2)
    flag: int = bit(15)
    other: int = bit(0, 3)


def _decider(rng: random.Random) -> tuple[Any, list[Any]]:
    """A field that decides, and expressions over it."""
    if rng.random() < 0.25:
        number: Any = f.uint(rng.choice((1, 2)), order=rng.choice((None, "little", "big")))
        return number, [number, number - 3, number > rng.randint(0, 200), number == rng.randint(0, 3)]
    if rng.random() < 0.15:
        code: Any = f.code(Colour)
        return code, [code == 1, code, any_of(code == 7, code > 100)]
    if rng.random() < 0.15:
        signed: Any = f.i8()
        return signed, [signed < 0, signed, negate(signed > 5)]
    word: Any = f.bits(rng.choice((Lead, WideLead)), **({"default": 0} if rng.random() < 0.5 else {}))
    return word, [
        word.many,
        word.kind == rng.randint(0, 3),
        word.flag,
        word.many * (word.many + 1) // 2,
        word.other - 2,
    ]


def variable(rng: random.Random, depth: int = 2) -> type[Struct]:
    """A random structure of the shape of a PDU: bits that decide what follows, sizes, and an open end."""
    body: dict[str, Any] = {"__module__": __name__}
    known: list[Any] = [env.version == 2] if rng.random() < 0.3 else []
    last = rng.randint(1, 7)
    for number in range(last + 1):
        name = f"field{number}"
        options: dict[str, Any] = {}
        if known and rng.random() < 0.3:
            options["when"] = rng.choice(known)
            if rng.random() < 0.2:
                options["when"] = all_of(options["when"], negate(rng.choice(known)))
        if rng.random() < 0.1:
            options["optional"] = True
        choice = rng.random()
        if choice < 0.35:
            body[name], more = _decider(rng)
            body[name]._spec.when = options.get("when")
            body[name]._spec.optional = "optional" in options
            known += more
        elif choice < 0.55 and known:
            body[name] = f.binary(rng.choice(known), at_most=rng.random() < 0.2, **options)
        elif choice < 0.62:
            least = {"least": 1} if rng.random() < 0.3 else {}
            body[name] = f.binary(prefix=rng.choice((1, 1, 2, 3)), most=rng.choice((None, 8)), **least, **options)
        elif choice < 0.75 and depth:
            inner = variable(rng, depth - 1) if rng.random() < 0.5 else structure(rng, depth - 1, dynamic=False)
            if known and rng.random() < 0.3:
                other = structure(rng, depth - 1, dynamic=False)
                body[name] = f.union([Case(rng.choice(known), inner), Case(rng.choice(known), other)], **options)
            elif known and rng.random() < 0.4:
                body[name] = f.record(inner, count=rng.choice(known), **options)
            else:
                body[name] = f.record(inner, **options)
                deep = [key for key, spec in inner.specs.items() if isinstance(spec.kind, BitsKind)]
                if deep and rng.random() < 0.5:
                    word = getattr(body[name], deep[0])
                    known.append(getattr(word, next(iter(inner.specs[deep[0]].kind.bits.fields))))  # type: ignore[union-attr]
        elif choice < 0.82 and known:
            body[name] = leaf(rng)(count=rng.choice(known), **options)
        elif choice < 0.88:
            body[name] = f.text(rng.choice(known) if known and rng.random() < 0.5 else rng.randint(0, 3), **options)
        else:
            body[name] = leaf(rng)(**options)
    if rng.random() < 0.6:
        leave = rng.choice((0, 0, 1, 2, 3))
        body["tail"] = f.binary(leave=leave, optional=rng.random() < 0.2)
        if leave:
            body["check"] = f.uint(rng.choice((leave, leave, 1)))
    return StructMeta(
        f"Variable{next(_names)}",
        (Struct,),
        body,
        byte_order=rng.choice(("little", "big", "")),
        floor="test",
        source=rng.choice(("", 'a "quoted" \\ source')),
        exact=rng.random() < 0.2,
    )
