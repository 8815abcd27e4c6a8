"""Pending tables: number + 4096, the 6-byte event description before the data, activation by time and by procedure."""

from __future__ import annotations

import datetime as dt

import pytest

from osgp.node.pending import ABSOLUTE, BY_PROCEDURE, RELATIVE
from osgp.tables.bt.bt04 import BT04
from osgp.tables.services import NotInConfiguration
from osgp.tables.table import PENDING
from osgp.wire import STime

from .doors import Room

PBT54 = PENDING + 54
IN_ONE_HOUR = bytes([RELATIVE, 0, 0, 1, 0, 0])
WHEN_TOLD = bytes([BY_PROCEDURE, 1, 2, 3, 4, 5])
NO_PED = bytes(6)


def _at(moment: dt.datetime) -> bytes:
    stime = STime.of(moment)
    return bytes([ABSOLUTE, stime.year, stime.month, stime.day, stime.hour, stime.minute])


def test_an_idle_pending_table_mirrors_the_active_one(door: Room) -> None:
    assert door.read(PBT54) == NO_PED + door.world.image.read(54)


def test_counts_include_the_description_and_offsets_do_not(door: Room) -> None:
    """Optical guide p. 9: every partial read begins with the PED, whatever its offset."""
    active = door.world.image.read(54)
    assert door.part(PBT54, 0, 10) == NO_PED + active[:4]
    assert door.part(PBT54, 7, 10) == NO_PED + active[7:11]
    assert door.part(PBT54, 7, 6) == NO_PED
    assert door.part(PBT54, 7, 3) == NO_PED[:3]
    assert door.part(PBT54, len(active) - 1, 9) == NO_PED + active[-1:] + bytes(2)


def test_a_pending_write_changes_nothing_until_its_time(door: Room) -> None:
    active = door.world.image.read(54)
    door.write(PBT54, IN_ONE_HOUR + b"new")
    assert door.world.image.read(54) == active
    assert door.read(PBT54) == IN_ONE_HOUR + b"new" + active[3:]
    door.world.later(minutes=59)
    assert door.read(54) == active
    door.world.later(minutes=1)
    assert door.read(54) == b"new" + active[3:]
    assert door.read(PBT54) == NO_PED + b"new" + active[3:]
    assert door.world.activated == [54]


def test_parts_written_one_after_the_other(door: Room) -> None:
    """Each carries the description, each goes to its own offset in the data (optical guide p. 9)."""
    active = door.world.image.read(54)
    door.write_part(PBT54, 0, WHEN_TOLD + b"ab")
    door.write_part(PBT54, 20, WHEN_TOLD + b"cd")
    assert door.read(PBT54) == WHEN_TOLD + b"ab" + active[2:20] + b"cd" + active[22:]
    assert door.world.image.read(54) == active


def test_an_absolute_moment(door: Room) -> None:
    door.read(0)
    door.write(PBT54, _at(door.world.utc(door.world.now) + dt.timedelta(days=2)) + b"\x11")
    door.world.later(days=1)
    assert door.world.activated == []
    door.world.later(days=1, minutes=1)
    assert door.world.image.read(54)[:1] == b"\x11"


def test_what_waits_is_seen_in_bt04(door: Room) -> None:
    door.write(PBT54, WHEN_TOLD + b"\x01")
    status = door.world.image.decode(BT04)
    assert door.read(4) == door.world.image.read(4)
    assert status.nbr_activations == 1
    assert (status.activations[0].table.table_id, status.activations[0].table.still_pending) == (54, 1)
    assert status.activations[0].event_storage == WHEN_TOLD[1:]
    assert status.basic_pending[54 // 8] >> 54 % 8 & 1


@pytest.mark.parametrize(("procedure", "parameters"), [(12, b""), (13, WHEN_TOLD)])
def test_activation_by_procedure(door: Room, procedure: int, parameters: bytes) -> None:
    door.write(PBT54, WHEN_TOLD + b"now")
    assert door.procedure(procedure, parameters).result == 0
    assert door.part(54, 0, 3) == b"now"
    assert door.part(PBT54, 0, 6) == NO_PED


@pytest.mark.parametrize(("procedure", "parameters"), [(14, b""), (15, WHEN_TOLD)])
def test_clearing_by_procedure(door: Room, procedure: int, parameters: bytes) -> None:
    active = door.world.image.read(54)
    door.write(PBT54, WHEN_TOLD + b"now")
    assert door.procedure(procedure, parameters).result == 0
    assert door.read(PBT54) == NO_PED + active
    assert door.read(54) == active


@pytest.mark.parametrize("procedure", [13, 15])
def test_a_procedure_for_another_event_finds_nothing(door: Room, procedure: int) -> None:
    door.write(PBT54, WHEN_TOLD + b"now")
    assert door.procedure(procedure, IN_ONE_HOUR).result == 1
    assert door.part(PBT54, 0, 6) == WHEN_TOLD


def test_a_table_without_a_pending_copy(door: Room) -> None:
    with pytest.raises(NotInConfiguration):
        door.read(PENDING + 23)
