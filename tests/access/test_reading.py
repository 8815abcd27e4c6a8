"""Reading and writing tables: the same at every door."""

from __future__ import annotations

import pytest

from osgp.tables.services import NotInConfiguration
from osgp.tables.table import extended
from osgp.wire.errors import ResponseError

from .doors import Room

ET03, ET50, ET52 = extended(3), extended(50), extended(52)


@pytest.mark.parametrize("number", [0, 1, 21, 52, ET03])
def test_whole_tables(room: Room, number: int) -> None:
    assert room.read(number) == room.world.image.read(number)


def test_a_table_of_several_exchanges(room: Room) -> None:
    for number in (23, 26, 64):
        assert room.read(number) == room.world.image.read(number)


def test_parts(room: Room) -> None:
    whole = room.world.image.read(64)
    for offset, count in ((0, 1), (5, 44), (100, 700), (len(whole) - 1, 1)):
        assert room.part(64, offset, count) == whole[offset : offset + count]


def test_beyond_the_end_stand_zeros(room: Room) -> None:
    whole = room.world.image.read(23)
    size = len(whole)
    assert room.part(23, size - 2, 6) == whole[-2:] + bytes(4)
    assert room.part(23, size, 5) == bytes(5)
    assert room.part(23, size + 1000, 3) == bytes(3)
    assert room.part(23, size - 3, 600) == whole[-3:] + bytes(597)
    assert room.part(23, 0xFFFFFE, 1) == bytes(1)


def test_nothing_is_read_as_nothing(room: Room) -> None:
    assert room.part(23, 3, 0) == b""


def test_writing_a_part(room: Room) -> None:
    before = room.world.image.read(54)
    room.write_part(54, 3, b"abc")
    assert room.world.image.read(54) == before[:3] + b"abc" + before[6:]
    assert room.part(54, 2, 5) == before[2:3] + b"abc" + before[6:7]


def test_writing_a_whole_table_in_several_exchanges(room: Room) -> None:
    new = bytes(range(144))
    room.write(54, new)
    assert room.read(54) == new
    assert room.world.image.read(54) == new


def test_writing_the_last_byte(room: Room) -> None:
    size = room.world.image.size(54)
    room.write_part(54, size - 1, b"\xa5")
    assert room.world.image.read(54)[-1] == 0xA5
    assert room.world.image.size(54) == size


def test_a_short_write_leaves_the_rest(room: Room) -> None:
    before = room.world.image.read(54)
    room.write(54, b"xy")
    assert room.world.image.read(54) == b"xy" + before[2:]


@pytest.mark.parametrize("number", [2, 99, extended(200), 4096 + 23, 0xFFFF])
def test_an_unknown_table(room: Room, number: int) -> None:
    for work in (room.tables.read(number), room.tables.read_part(number, 0, 4), room.tables.write(number, b"ab")):
        with pytest.raises(NotInConfiguration) as caught:
            room.run(work)
        assert caught.value.code == 5
        assert "configuration" in caught.value.hint
    assert room.read(21) == room.world.image.read(21)


def test_the_device_is_told_of_what_was_written(door: Room) -> None:
    door.write_part(54, 8, b"new")
    assert door.world.writes == [(54, 8, b"new", door.port.name)]


def test_a_hardware_lock_stands_above_all_keys(door: Room) -> None:
    door.world.locked_tables.add(54)
    for work in (door.tables.read(54), door.tables.write_part(54, 0, b"a")):
        with pytest.raises(ResponseError) as caught:
            door.run(work)
        assert caught.value.code == 3
    assert door.world.writes == []
