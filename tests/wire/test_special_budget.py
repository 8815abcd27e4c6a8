"""Forms are made into code for messages that come often, and not for each that a stranger invents."""

from __future__ import annotations

from contextlib import suppress
from random import Random

from osgp.lon.ltep import Ltep
from osgp.wire.context import EMPTY
from osgp.wire.errors import DecodeError
from osgp.wire.layout import Layout
from osgp.wire.special import _AT_ONCE, _OFTEN, Special


def fresh() -> Layout[Ltep]:
    """A layout that has not seen anything yet."""
    return Layout(Ltep, EMPTY)


def forms(layout: Layout[Ltep]) -> int:
    special: Special = layout.special
    return special.forms


def test_messages_of_ever_other_shapes_are_read_without_making_code_for_each() -> None:
    layout, chance = fresh(), Random(1)
    read = 0
    for _ in range(400):
        raw = b"\x4d" + chance.randbytes(chance.randrange(4, 60))
        try:
            value = layout.decode(raw)
        except DecodeError:
            continue
        read += 1
        assert layout.encode(value) == raw
    assert read > 200
    assert forms(layout) <= _AT_ONCE


def test_a_shape_that_comes_often_is_made_into_code_all_the_same() -> None:
    layout, chance = fresh(), Random(2)
    for _ in range(400):
        with suppress(DecodeError):
            layout.decode(b"\x4d" + chance.randbytes(40))
    walks = [0]
    walk = layout.special.pieces.names["_walk_read"]

    def counted(data: bytes) -> Ltep:
        walks[0] += 1
        found: Ltep = walk(data)
        return found

    layout.read.__globals__["_walk_read"] = counted
    raw = bytes.fromhex("4d 02 0201 0301 5a 2c34 0105 57")
    for _ in range(100):
        assert layout.encode(layout.decode(raw)) == raw
    assert walks[0] < 2 * _OFTEN
