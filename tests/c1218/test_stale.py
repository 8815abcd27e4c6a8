"""No answer is taken for the answer to a later request, however late or often it comes."""

from __future__ import annotations

from typing import Any

import pytest

from osgp.c1218.events import AnswerReceived, Dropped, OpenFailed, RequestFailed, SessionOpened
from osgp.c1218.link import Phase
from osgp.c1218.packet import build
from osgp.c1218.session import ClientState, OpticalClient, PossiblyExecuted
from osgp.c1218.stale import KNOWN, UNKNOWN, Step, like_table_answer
from osgp.tables.services import (
    PartialRead,
    PartialWrite,
    Request,
    ResponseCode,
    decode_response,
    encode_request,
    encode_response,
)
from osgp.wire.errors import NoAnswer, RemoteProtocolError
from tests.c1218.pair import MK, Pair

LONG = 2048 + 50
BT28 = encode_request(PartialRead(28, 0, 8), checksum=True)
WRITE = encode_request(PartialWrite(28, 0, b"written"), checksum=True)


def piece(number: int) -> bytes:
    """The request for a piece of the long table; its answer takes two packets."""
    return encode_request(PartialRead(LONG, 100 * number, 100), checksum=True)


def opened(**options: Any) -> Pair:
    """A session in which nothing has gone wrong; every byte of the long table is another one."""
    pair = Pair(**options)
    pair.meter.tables[LONG] = bytearray(number % 251 for number in range(300))
    assert isinstance(pair.open(), SessionOpened)
    return pair


def answered_twice(pair: Pair) -> None:
    """The answer to the next request is late, so the client asks again; the answer to that comes after the request after next.

    The copies are delivered behind the acknowledgement of that request, where an answer is due.
    """
    started, copies = pair.now, []
    asked = 0

    def fault(to: str, data: bytes) -> list[tuple[float, bytes]]:
        nonlocal asked
        if to == "server" and data[0] == 0xEE:
            asked += 1
            return [(0.0, data)] if asked != 2 else []  # the meter would answer; it does so below
        if to == "server":
            return [(0.0, data)]
        if asked <= 2:
            copies.append(data)
            return [(max(0.0, started + 2.3 - pair.now), data)]
        late, copies[:] = copies[:], []
        return [(0.0, data), *((0.1 * (number + 1), copy) for number, copy in enumerate(late[1:]))]

    pair.fault = fault


def data_of(event: Any) -> bytes:
    assert isinstance(event, AnswerReceived), event
    code, data = decode_response(event.data, checksum=True, read=True)
    assert code == ResponseCode.OK
    return data


def asked_of_bt00(pair: Pair) -> int:
    return sum(request.table == 0 for request in pair.meter.reads)


def held(pair: Pair, seconds: float) -> None:
    """All that the meter says in the next seconds arrives when they are over."""
    until = pair.now + seconds
    pair.fault = lambda to, data: [(max(0.0, until - pair.now) if to == "client" else 0.0, data)]


def test_a_late_copy_of_an_answer_in_several_packets_is_not_the_next_piece() -> None:
    pair = opened()
    answered_twice(pair)
    got = [data_of(pair.ask(piece(number))) for number in range(3)]
    assert b"".join(got) == pair.meter.tables[LONG]
    assert pair.of("client", Dropped)
    assert asked_of_bt00(pair) == KNOWN


def test_a_late_copy_of_a_read_is_not_the_ok_of_a_write() -> None:
    pair = opened()
    answered_twice(pair)
    assert data_of(pair.ask(piece(0)))
    answer = pair.ask(WRITE, read=False)
    assert isinstance(answer, AnswerReceived)
    assert answer.data == bytes([ResponseCode.OK])
    assert pair.meter.tables[28][:7] == b"written"


def test_pieces_that_are_all_alike_are_told_apart_by_a_question_between() -> None:
    pair = opened()
    pair.meter.tables[LONG] = bytearray(300)
    answered_twice(pair)
    assert data_of(pair.ask(piece(0))) == bytes(100)
    pair.meter.tables[LONG][:] = b"\x01" * 300
    assert data_of(pair.ask(piece(0))) == b"\x01" * 100


def test_on_a_clean_line_nothing_is_asked_besides() -> None:
    """Pieces that are all alike, pauses in which the session lapses, sessions that end."""
    pair = opened()
    pair.meter.tables[LONG] = bytearray(300)
    for _ in range(4):
        for number in range(3):
            assert data_of(pair.ask(piece(number))) == bytes(100)
        pair.run(limit_s=20)
        assert data_of(pair.ask(BT28)) == bytes(8)
        pair.close()
        assert isinstance(pair.open(), SessionOpened)
    assert asked_of_bt00(pair) == 0
    assert len(pair.meter.reads) == 16
    assert not pair.of("client", Dropped)


@pytest.mark.parametrize("late", [8.3, 8.7, 9.0, 11.0, 14.0])
def test_an_answer_of_the_session_before_is_not_taken_in_the_new_one(late: float) -> None:
    """The answers to all four sendings of a read come when the client has given that session up and begun another."""
    pair = opened()
    pair.meter.tables[28][:8] = b"old data"
    held(pair, late)
    pair.client.request(BT28, True, now=pair.now)
    pair.run(limit_s=8.2)
    pair.meter.tables[28][:8] = b"new data"
    read = pair.run(AnswerReceived, RequestFailed)
    assert data_of(read) == b"new data"
    pair.meter.tables[28][8:16] = b"the next"
    assert data_of(pair.ask(encode_request(PartialRead(28, 8, 8), checksum=True))) == b"the next"
    assert asked_of_bt00(pair) >= UNKNOWN


def late_ok(pair: Pair, late: float) -> Any:
    """A write in the session, whose oks come so late that the session is over by then."""
    held(pair, late)
    failed = pair.ask(WRITE, read=False)
    assert isinstance(failed, RequestFailed)
    assert isinstance(failed.error, PossiblyExecuted)
    return failed


def test_a_session_a_step_behind_takes_no_ok_for_the_ok_of_a_write() -> None:
    """Answers of an attempt to open that failed reach the next one: each is taken for the answer to what was asked next."""
    pair = opened()
    late_ok(pair, 8.3)
    client, ident, negotiated = pair.client, bytes.fromhex("0000020000"), bytes.fromhex("0000400206")
    client.request(WRITE, False, now=pair.now)
    client.events()
    heard = iter([ident, negotiated, ident, negotiated, b"\x00", b"\x00", b"\x00"])
    toggle, now = 0, pair.now
    for _ in range(200):
        if client.outgoing(now)[-2:] != b"\x06" and client.link.phase is Phase.AWAIT_ACK and client.link._sent:
            message = next(heard, None)
            if message is not None:
                client.receive(b"\x06" + build(message, toggle=toggle), now + 0.05)
                toggle ^= 1
        due = client.deadline()
        if due is None:
            break
        now = max(now, due)
        client.wake(now)
    ends = [event for event in client.events() if isinstance(event, AnswerReceived | RequestFailed)]
    assert len(ends) == 1
    assert isinstance(ends[0], RequestFailed)


@pytest.mark.parametrize("late", [8.3, 8.7, 9.0, 11.0, 14.0])
def test_an_old_ok_is_not_the_ok_of_a_new_write(late: float) -> None:
    pair = opened()
    late_ok(pair, late)
    for number in range(3):
        request = PartialWrite(28, 10 * number, bytes([0x30 + number]) * 9)
        pair.client.request(encode_request(request, checksum=True), False, now=pair.now)
        got = pair.run(AnswerReceived, RequestFailed)
        if isinstance(got, AnswerReceived):
            assert got.data == bytes([ResponseCode.OK])
            assert pair.meter.writes[-1] == request
    assert pair.meter.writes[-1] == PartialWrite(28, 20, b"222222222")


def test_an_old_refusal_is_not_a_wrong_key() -> None:
    """ "Not allowed" to a read of an older session comes where the answer to the password is due."""
    client = OpticalClient()
    client.distrust()
    client.open(1, "x", MK, now=0.0)
    now = 0.0

    def says(*packets: bytes) -> None:
        nonlocal now
        for packet in packets:
            now += 0.1
            client.outgoing(now)
            now += 0.1
            client.receive(b"\x06" + packet, now)
            now += 0.1
            client.outgoing(now)

    says(build(bytes.fromhex("0000020000")))
    says(build(bytes.fromhex("00004002"), toggle=1))
    says(build(bytes([ResponseCode.ISC])))
    assert client.state is ClientState.LOGGING_ON
    says(build(bytes([ResponseCode.OK]), toggle=1))
    assert client.state is ClientState.MATCHING
    says(build(bytes([ResponseCode.ISC])), build(encode_response(0, b"a", checksum=True), toggle=1))
    assert client.state is ClientState.MATCHING
    says(build(encode_response(0, b"ab", checksum=True)))
    assert client.state is ClientState.SECURING
    says(build(bytes([ResponseCode.OK]), toggle=1))
    assert client.state is ClientState.OPEN
    assert not [event for event in client.events() if isinstance(event, OpenFailed)]


@pytest.mark.parametrize("content", [b"\x00", b"\x00\x00", bytes(8)])
def test_a_table_s_answer_that_looks_like_ident_s_is_not_taken_for_it(content: bytes) -> None:
    """Our last acknowledgement is lost, the session lapses, and the meter says its last word once more in the new one."""
    pair = opened()
    assert data_of(pair.ask(encode_request(PartialRead(28, 0, len(content)), checksum=True))) == content
    old = pair.sent[-2][2]
    assert old[0] == 0xEE
    pair.run(limit_s=20)
    pair.client.request(BT28, True, now=pair.now)
    pair.run(limit_s=0.03)
    pair.client.receive(b"\x06" + old, pair.now)
    pair.meter.tables[28][:8] = b"new data"
    assert data_of(pair.run(AnswerReceived, RequestFailed)) == b"new data"


def test_a_meter_that_refuses_the_question_is_believed_when_the_line_has_been_quiet() -> None:
    pair = opened()
    handle = pair.server._handle

    def no_bt00(request: Request, access: str, now: float) -> tuple[int, bytes | None]:
        return (ResponseCode.IAR, None) if request.table == 0 else handle(request, access, now)

    pair.server._handle = no_bt00
    late_ok(pair, 8.3)
    got = pair.ask(BT28)
    assert isinstance(got, RequestFailed)
    assert isinstance(got.error, RemoteProtocolError)
    assert "BT00 (05)" in str(got.error)
    heard_at = pair.client.link.heard_at
    pair.meter.tables[28][:8] = b"new data"
    assert data_of(pair.ask(BT28)) == b"new data"
    sent = [moment for moment, to, data in pair.sent if to == "server" and data == build(b"\x20")]
    assert sent[-1] - heard_at >= 12.0
    assert data_of(pair.ask(piece(2)))


def test_a_session_that_ended_while_the_step_was_looked_for_is_opened_again() -> None:
    pair = opened()
    answered_twice(pair)
    assert data_of(pair.ask(piece(0)))
    pair.run(limit_s=1.0)
    pair.server.mute(0.0, pair.now, "power dip")
    started = pair.now
    assert data_of(pair.ask(BT28)) == bytes(8)
    assert pair.now - started < 4.0
    assert pair.client.sessions == 2


def test_a_meter_that_talks_of_something_else_for_ever_ends_in_an_error() -> None:
    client = OpticalClient()
    client.open(1, "x", MK, now=0.0)
    now = 0.0
    for number in range(100):
        client.outgoing(now)
        now += 0.5
        client.receive(b"\x06" + build(encode_response(0, bytes([7, number]), checksum=True), toggle=number & 1), now)
    failed = [event for event in client.events() if isinstance(event, OpenFailed)]
    assert len(failed) == 1
    assert isinstance(failed[0].error, RemoteProtocolError)


def test_a_write_whose_answer_is_out_of_step_is_in_doubt() -> None:
    pair = opened()
    pair.ask(BT28)
    pair.client.request(WRITE, False, now=pair.now)
    pair.client.outgoing(pair.now + 0.1)
    toggle = pair.client.link._accepted
    assert toggle is not None
    pair.client.receive(b"\x06" + build(b"\x05", toggle=toggle[0]), pair.now + 0.2)
    (failed,) = [event for event in pair.client.events() if isinstance(event, RequestFailed)]
    assert isinstance(failed.error, PossiblyExecuted)


def test_an_abandoned_request_is_not_heard_of_in_the_next_session() -> None:
    pair = opened()
    pair.meter.tables[28][:8] = b"old data"
    pair.client.request(BT28, True, now=pair.now)
    pair.run(limit_s=0.1)
    pair.client.abort(now=pair.now)
    pair.meter.tables[28][:8] = b"new data"
    assert isinstance(pair.open(), SessionOpened)
    assert data_of(pair.ask(BT28)) == b"new data"
    assert asked_of_bt00(pair) == UNKNOWN


def test_every_question_differs_from_the_ones_before() -> None:
    step = Step()
    asked = [step.question(64) for _ in range(40)]
    assert len(set(asked)) == 40
    assert step.question(64) == asked[0]
    for size in (16, 21, 48, 64, 1024):
        for _ in range(50):
            count = int.from_bytes(step.question(size)[-2:], "big")
            assert count >= 1
            assert count + 4 + 8 <= size


def test_only_the_last_question_is_answered_and_each_answer_counts_once() -> None:
    step = Step()
    step.doubt(KNOWN)
    step.doubt(UNKNOWN)
    step.doubt(KNOWN)
    assert step.wanted == UNKNOWN
    answers = []
    for _ in range(UNKNOWN):
        count = int.from_bytes(step.question(64)[-2:], "big")
        answers.append(encode_response(0, bytes(count), checksum=True))
        for other in (b"", b"\x00", b"\x05", answers[-1][:-1] + b"\x01", *answers[:-1]):
            assert not step.answered(other)
        assert step.answered(answers[-1])
    assert step.wanted == 0
    assert like_table_answer(answers[0])
    assert not like_table_answer(answers[0] + b"\x00")


def test_errors_speak_of_what_was_heard() -> None:
    """A refusal that may be old is told only when nothing better comes."""
    client = OpticalClient()
    client.distrust()
    client.open(1, "x", MK, now=0.0)
    now = 0.0
    while client.state is ClientState.IDENTIFYING:
        if client.outgoing(now)[:1] == b"\xee":
            client.receive(b"\x06" + build(bytes([ResponseCode.BSY])), now + 0.1)
        due = client.deadline()
        assert due is not None
        now = max(now, due)
        client.wake(now)
    (failed,) = [event for event in client.events() if isinstance(event, OpenFailed)]
    assert not isinstance(failed.error, NoAnswer)
    assert "busy" in str(failed.error)
