"""What each key opens, at each door: the answer is the same whichever line brings the question."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from osgp.node.rights import may_read, may_run, may_write
from osgp.tables.services import NotPermitted
from osgp.tables.table import extended

from .doors import MEP, OPTICAL, Room

CASES = [
    *((name, key) for name in OPTICAL for key in ("open", "RK", "PK", "MK")),
    *((name, key) for name in ("direct", *MEP) for key in ("MBK", "MAK")),
]
ET50, ET52, ET55 = extended(50), extended(52), extended(55)


@pytest.mark.parametrize(("name", "key"), CASES)
def test_the_rights_of_a_key(rooms: Callable[..., Room], name: str, key: str) -> None:
    room = rooms(name, key)
    for number in (0, 1, 23, 64, 52, extended(3), ET50, ET55):
        if may_read(number, key):
            assert room.part(number, 1, 4) == room.world.image.read_part(number, 1, 4)
        else:
            with pytest.raises(NotPermitted) as caught:
                room.part(number, 1, 4)
            assert caught.value.code == 3
            assert caught.value.hint
    for number, offset in ((23, 0), (54, 4), (ET50, 0), (ET55, 2)):
        before = room.world.image.read(number)
        if may_write(number, key):
            room.write_part(number, offset, b"\x01\x02")
            assert room.part(number, offset, 2) == b"\x01\x02"
        else:
            with pytest.raises(NotPermitted):
                room.write_part(number, offset, b"\x01\x02")
            assert room.world.image.read(number) == before


@pytest.mark.parametrize(("name", "key"), [case for case in CASES if case[1] != "open"])
def test_what_a_key_may_run(rooms: Callable[..., Room], name: str, key: str) -> None:
    room = rooms(name, key)
    for number in (10, extended(16), extended(39), extended(20)):
        answer = room.procedure(number, b"\x01\x02")
        if may_run(number, key):
            assert (answer.result, answer.data[:2]) == (0, b"\x02\x01")
        else:
            assert answer.result == 5
    assert {number for number, *_ in room.world.ran} == {
        n for n in (10, extended(16), extended(39), extended(20)) if may_run(n, key)
    }


@pytest.mark.parametrize("name", OPTICAL)
def test_without_a_key_nothing_runs(rooms: Callable[..., Room], name: str) -> None:
    room = rooms(name, "open")
    with pytest.raises(NotPermitted):
        room.procedure(10, b"\x01")
    assert room.world.ran == []


def test_the_keys_differ_where_the_guides_say_so() -> None:
    """MBK writes its own tables only, MAK most; RK reads only and sets the clock; PK does not write keys (guides)."""
    assert [may_write(ET50, key) for key in ("MBK", "MAK", "RK")] == [True, True, False]
    assert [may_write(54, key) for key in ("MBK", "MAK", "RK", "PK", "MK")] == [False, True, False, True, True]
    assert [may_run(10, key) for key in ("RK", "PK", "MK", "MAK", "MBK")] == [True, True, True, True, False]
    assert not may_run(10, "RK", rk_sets_clock=False)
    assert [may_read(0, key) for key in ("open", "RK")] == [True, True]
    assert not may_read(23, "open")
