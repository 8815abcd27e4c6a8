"""Procedures: written to BT07, answered in the response table, the same at every door."""

from __future__ import annotations

from typing import Any

import pytest

from osgp.tables.services import FullWrite, NotPossible, PartialWrite
from osgp.tables.table import extended
from osgp.wire.errors import ResponseError

from .doors import Room

EP17, EP20, EP39 = extended(17), extended(20), extended(39)


def test_a_procedure_answers_with_its_data(room: Room) -> None:
    answer = room.procedure(EP39, b"\x01\x02\x03")
    assert (answer.procedure, answer.result, answer.data.rstrip(b"\0")) == (EP39, 0, b"\x03\x02\x01")


def test_an_unknown_procedure(room: Room) -> None:
    assert room.procedure(extended(99)).result == 6
    assert room.procedure(EP39).result == 0


def test_the_same_order_again_is_a_new_order(door: Room) -> None:
    """Ten times in a row: sequence numbers never repeat within a client, so nothing is taken for a repetition."""
    for number in range(10):
        answer = door.procedure(EP39, bytes([number + 1]))
        assert answer.data[0] == number + 1
    assert [parameters for _, parameters, _, _ in door.world.ran] == [bytes([n + 1]) for n in range(10)]


def test_a_slow_procedure_is_asked_until_it_is_done(door: Room) -> None:
    answer = door.procedure(EP17, b"\0\x10\0")
    assert answer.result == 0
    assert answer.data.startswith(b"done")
    assert len(door.world.ran) == 1


def test_a_client_that_does_not_wait_gets_the_first_result(door: Room) -> None:
    answer = door.run(door.tables.run(EP17, b"\0\x10\0", unfinished=frozenset()))  # type: ignore[call-arg]  # clients' own
    assert answer.result == 1


def test_a_repeated_sequence_number_is_refused_and_not_carried_out(door: Room) -> None:
    """Code 04 (optical guide p. 10, MEP guide p. 51); another number is taken again."""
    order = EP39.to_bytes(2, "little") + b"\x07\x01"
    door.run(_raw(door, order))
    with pytest.raises(NotPossible) as caught:
        door.run(_raw(door, order))
    assert caught.value.code == 4
    door.run(_raw(door, EP39.to_bytes(2, "little") + b"\x08\x02"))
    assert [parameters for _, parameters, _, _ in door.world.ran] == [b"\x01", b"\x02"]


def test_a_client_steps_over_a_number_that_somebody_else_used_last(door: Room) -> None:
    """The first number of a client follows the one in the response table; that one may be the last of its own door."""
    first = 10 if door.port.name == "optical" else 5
    door.port.last_psn = first
    assert door.procedure(EP39, b"\x05").data[0] == 5
    assert len(door.world.ran) == 1


def test_the_handling_bits_come_back_with_the_number(door: Room) -> None:
    """BT07 bits 12–15 (response handling) are no part of the number, and stand in the response (MEP guide p. 52)."""
    door.run(_raw(door, (EP39 | 2 << 12).to_bytes(2, "little") + b"\x08\x04"))
    answer = door.part(8, 0, 5)
    assert int.from_bytes(answer[:2], "little") & 0x0FFF == EP39
    assert answer[2:] == b"\x08\x00\x04"


def test_an_order_that_is_cut_short_is_refused(door: Room) -> None:
    with pytest.raises(ResponseError) as caught:
        door.run(_raw(door, b"\x0a\x00"))
    assert caught.value.code == 1
    assert door.world.ran == []


def test_long_answers_are_cut_to_what_the_response_table_holds(door: Room) -> None:
    answer = door.procedure(EP39, bytes(range(30)))
    assert answer.data == bytes(range(29, 17, -1))
    assert door.world.image.size(8) == 16


def test_the_longest_parameters(door: Room) -> None:
    longest = min(door.tables.costs.max_write, 255)
    assert door.procedure(EP39, bytes(range(longest))[-longest + 3 :]).result == 0
    assert len(door.world.ran[0][1]) == longest - 3


def test_an_order_never_changes_an_image(door: Room) -> None:
    before = {number: door.world.image.read(number) for number in door.world.image if number != 8}
    door.procedure(EP39, b"\x01")
    assert {number: door.world.image.read(number) for number in before} == before


def test_an_order_may_come_as_a_partial_write_from_the_start_only(door: Room) -> None:
    order = EP39.to_bytes(2, "little") + b"\x07\x01"
    door.run(_raw(door, order, at=0))
    with pytest.raises(NotPossible):
        door.run(_raw(door, EP39.to_bytes(2, "little") + b"\x08\x02", at=3))
    assert [parameters for _, parameters, _, _ in door.world.ran] == [b"\x01"]


def _raw(door: Room, order: bytes, *, at: int | None = None) -> Any:
    """An order as it is, past the client's own numbering; as a partial write if ``at`` is given."""
    request = FullWrite(7, order) if at is None else PartialWrite(7, at, order)
    return door.tables.ask(request, "run")  # type: ignore[attr-defined]  # all remote tables have it
