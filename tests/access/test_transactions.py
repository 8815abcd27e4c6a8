"""ET52 and ET53: several reads, writes and procedures in one exchange, at every MEP door."""

from __future__ import annotations

import math

import pytest

from osgp.mep.access import IncompleteTransaction, MepTables
from osgp.mep.registration import find_port
from osgp.tables.services import FullRead, FullWrite, PartialRead, PartialWrite, encode_request
from osgp.tables.table import extended
from osgp.wire.errors import ConfigError, ResponseError

from .doors import Room

EP39, ET50, ET52, ET53 = extended(39), extended(50), extended(52), extended(53)


def _messages(*requests: FullRead | PartialRead | FullWrite | PartialWrite) -> list[bytes]:
    return [encode_request(request, checksum=False) for request in requests]


def _tables(room: Room) -> MepTables:
    assert isinstance(room.tables, MepTables)
    return room.tables


def test_reads_writes_and_a_procedure_in_one_go(mep: Room) -> None:
    before = mep.world.image.read(54)
    answers = mep.run(
        _tables(mep).transaction(
            _messages(
                PartialRead(23, 5, 44),
                PartialWrite(54, 2, b"xyz"),
                PartialRead(54, 0, 6),
                FullWrite(7, EP39.to_bytes(2, "little") + b"\x63\x01\x02"),
                PartialRead(8, 0, 6),
                PartialRead(99, 0, 1),
            )
        )
    )
    assert answers == [
        (0, mep.world.image.read_part(23, 5, 44)),
        (0, b""),
        (0, before[:2] + b"xyz" + before[5:6]),
        (0, b""),
        (0, EP39.to_bytes(2, "little") + b"\x63\x00\x02\x01"),
        (5, b""),
    ]
    assert len(mep.world.ran) == 1


def test_many_transactions_follow_each_other(mep: Room) -> None:
    for number in range(5):
        assert mep.run(_tables(mep).transaction(_messages(PartialWrite(54, number, bytes([number]))))) == [(0, b"")]
    assert mep.world.image.read(54)[:5] == bytes(range(5))


def test_the_longest_transaction(mep: Room) -> None:
    requests = [PartialRead(64, 60 * n, 60) for n in range(26)]
    answers = mep.run(_tables(mep).transaction(_messages(*requests)))
    assert b"".join(data for _, data in answers) == mep.world.image.read(64)[: 60 * 26]


def test_too_much_is_refused_before_anything_is_sent(mep: Room) -> None:
    for requests in ([PartialRead(64, 0, 1000), PartialRead(64, 0, 1000)], [FullWrite(54, bytes(780))]):
        with pytest.raises(ConfigError):
            mep.run(_tables(mep).transaction(_messages(*requests)))
    with pytest.raises(ConfigError):
        mep.run(_tables(mep).transaction([]))
    assert mep.world.transactions.last is None


def test_full_reads_that_do_not_fit_end_it_in_part(mep: Room) -> None:
    """A full read's size is not known before: the records that did not fit are missing, and the client says so."""
    with pytest.raises(IncompleteTransaction) as caught:
        mep.run(_tables(mep).transaction(_messages(FullRead(21), FullRead(64), PartialWrite(54, 0, b"no"))))
    assert caught.value.answers == [(0, mep.world.image.read(21))]
    assert mep.world.image.read(54)[:2] != b"no"


def _content(number: int, order: bytes) -> bytes:
    message = _messages(FullWrite(7, order))[0]
    mark = number.to_bytes(2, "little")
    return b"".join(
        (
            (9 + len(message)).to_bytes(2, "little"),
            b"\0",
            mark,
            len(message).to_bytes(2, "little"),
            message,
            mark,
        )
    )


def test_the_same_number_with_the_same_content_runs_once(mep: Room) -> None:
    order = EP39.to_bytes(2, "little")
    for _ in range(3):
        mep.write_part(ET52, 0, _content(7, order + b"\x09\x01"))
    assert [parameters for _, parameters, _, _ in mep.world.ran] == [b"\x01"]
    mep.write_part(ET52, 0, _content(7, order + b"\x0a\x05"))
    assert [parameters for _, parameters, _, _ in mep.world.ran] == [b"\x01", b"\x05"]


def test_a_transaction_inside_a_transaction_is_refused(mep: Room) -> None:
    answers = mep.run(_tables(mep).transaction(_messages(PartialWrite(ET52, 0, b"\1"), PartialRead(ET53, 0, 4))))
    assert [code for code, _ in answers] == [4, 4]


def _two_ports(mep: Room) -> None:
    """ET70 says that this is port 1, ET54 that port 2 is in use, too (MEP guide p. 22)."""
    mep.world.image.write_part(extended(70), 142, b"\x01")
    mep.world.image.write_part(extended(54), 1, b"\x01")
    assert mep.run(find_port(_tables(mep))).two


def _other_client_locks(mep: Room) -> None:
    mep.world.transactions.holder, mep.world.transactions.locked_until = "mep2", math.inf


def test_another_client_holds_the_tables(mep: Room) -> None:
    """EP61 locks for ten seconds; whoever writes meanwhile is refused (MEP guide p. 247)."""
    _other_client_locks(mep)
    with pytest.raises(ResponseError):
        mep.run(_tables(mep).transaction(_messages(PartialRead(23, 0, 1))))
    assert mep.world.transactions.unlock("mep2")
    assert mep.run(_tables(mep).transaction(_messages(PartialRead(23, 0, 1))))[0][0] == 0


def test_with_two_ports_a_transaction_is_locked_and_unlocked(mep: Room) -> None:
    _two_ports(mep)
    tables = _tables(mep)
    assert mep.run(tables.transaction(_messages(PartialRead(23, 0, 2)))) == [(0, mep.world.image.read_part(23, 0, 2))]
    assert mep.world.transactions.locked_until > 0
    assert mep.world.transactions.holder == ""
    _other_client_locks(mep)
    with pytest.raises(ResponseError) as caught:
        mep.run(tables.transaction(_messages(PartialRead(23, 0, 2))))
    assert caught.value.code == 8
