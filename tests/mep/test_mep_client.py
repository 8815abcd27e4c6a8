"""The client: doubt, silence, sequence numbers, sessions; and the habits of meters in the field (spec section 17)."""

from __future__ import annotations

import random
from typing import Any

import pytest
from tests.mep.mep_peer import MAK, MBK, READ, WRITE, World, at_once, client, memory, raw, request_frame, server

from osgp.crypto.keys import Key
from osgp.mep.client import MepClient, PossiblyExecuted, identity_of
from osgp.mep.events import (
    AlertReceived,
    Dropped,
    RequestFailed,
    RequestRetried,
    ResponseReceived,
    SequenceAdvanced,
    SequenceCorrected,
    TlsEnded,
    TlsEstablished,
)
from osgp.mep.frame import framed
from osgp.tables.services import AuthenticationFailed
from osgp.wire.errors import ConfigError, LocalProtocolError, NoAnswer, NoKey, RemoteProtocolError


class Hand:
    """Plays the meter's part by hand: what the client sends is looked at and answered byte by byte."""

    def __init__(self, machine: MepClient) -> None:
        self.machine = machine
        self.now = 0.0
        self.events: list[Any] = []

    def sent(self) -> bytes:
        """What the client has to say, waiting for it if need be."""
        for _ in range(20):
            self.events += self.machine.events()
            data = self.machine.outgoing(self.now)
            if data:
                return data
            due = self.machine.deadline()
            if due is None:
                return b""
            self.now = max(self.now, due)
            self.machine.wake(self.now)
        return b""

    def answer(self, data: bytes) -> list[Any]:
        self.now += 0.02
        self.machine.receive(data, self.now)
        before, self.events = len(self.events), self.events + self.machine.events()
        return self.events[before:]


def signed(frame: bytes, message: bytes, key: bytes = MAK) -> bytes:
    """The meter's answer to a plain request frame."""
    _, exchange = request_frame(frame[2:-12], int.from_bytes(frame[-12:-8], "big"), key)
    return framed(exchange.response_body(message))


def number_of(frame: bytes) -> int:
    return int.from_bytes(frame[-12:-8], "big")


def legacy(**options: Any) -> Hand:
    options.setdefault("sequence", 99)
    return Hand(client(legacy=True, **options))


# ---- what must be asked for ----
def test_tls_is_the_default() -> None:
    hand = Hand(client())
    hand.machine.request(READ, 0.0, read=True)
    assert hand.sent()[2:5] == b"\x58\x16\x03"


def test_keys_come_as_bytes_or_as_key_and_never_show() -> None:
    for key in (MAK, MAK + bytes(4), Key(MAK), Key(MAK + bytes(4))):
        hand = Hand(MepClient({"MAK": key}, legacy=True, sequence=0))
        hand.machine.request(READ, 0.0, read=True)
        assert hand.sent() == request_frame(READ, 1)[0]
    assert "0101" not in repr(hand.machine)
    assert "0101" not in repr(hand.machine._exchange)


@pytest.mark.parametrize("keys", [{}, {"MK": MAK}, {"MAK": b"short"}, {"MAK": 7}])
def test_bad_keys_are_refused(keys: Any) -> None:
    with pytest.raises(ConfigError):
        MepClient(keys)


def test_calls_that_do_not_fit_are_refused() -> None:
    machine = client(legacy=True)
    with pytest.raises(LocalProtocolError):
        machine.request(b"", 0.0, read=True)
    with pytest.raises(LocalProtocolError):
        machine.request(bytes(465), 0.0, read=False)
    with pytest.raises(ConfigError):
        MepClient({"MBK": MBK}).request(READ, 0.0, read=True, access="MAK")
    machine.request(READ, 0.0, read=True)
    with pytest.raises(LocalProtocolError):
        machine.request(READ, 0.0, read=True)
    with pytest.raises(LocalProtocolError):
        machine.close(0.0)


def test_the_identity_is_least_byte_first_and_may_hold_zeros() -> None:
    assert identity_of(100, "MAK") == bytes.fromhex("640001")
    assert identity_of(0x1234, "MBK") == bytes.fromhex("341200")


# ---- sequence numbers ----
def test_a_number_is_announced_before_it_is_used() -> None:
    machine = client(legacy=True, sequence=41)
    machine.request(READ, 0.0, read=True)
    assert machine.outgoing(0.0) == b""
    assert machine.deadline() is not None
    assert machine.events() == [SequenceAdvanced(42)]
    assert number_of(machine.outgoing(0.0)) == 42
    assert machine.sequence == 42


def test_an_unknown_number_begins_anywhere_and_is_corrected() -> None:
    hand = Hand(client(legacy=True))
    hand.machine.request(WRITE, 0.0, read=False)
    first = hand.sent()
    events = hand.answer(signed(first, b"\x0c\x00\x00\x10\x00"))
    assert events[0] == SequenceCorrected(0x1000, number_of(first))
    second = hand.sent()
    assert number_of(second) == 0x1000
    assert hand.answer(signed(second, b"\0")) == [ResponseReceived(WRITE, b"\0", False, 2)]


def test_numbers_wrap() -> None:
    hand = legacy(sequence=0xFFFFFFFF)
    hand.machine.request(READ, 0.0, read=True)
    assert number_of(hand.sent()) == 0


def test_a_server_that_gives_the_last_number_instead_of_the_next_is_understood() -> None:
    hand = legacy()
    hand.machine.request(READ, 0.0, read=True)
    hand.answer(signed(hand.sent(), b"\x0c\x00\x00\x20\x00"))
    second = hand.sent()
    assert number_of(second) == 0x2000
    hand.answer(signed(second, b"\x0c\x00\x00\x20\x00"))
    assert number_of(hand.sent()) == 0x2001


def test_0c_for_ever_ends() -> None:
    hand = legacy()
    hand.machine.request(READ, 0.0, read=True)
    for value in range(0x5000, 0x9000, 0x1000):
        hand.answer(signed(hand.sent(), b"\x0c" + value.to_bytes(4, "big")))
    [_, failure] = hand.answer(signed(hand.sent(), b"\x0c\x00\x00\x01\x00"))
    assert isinstance(failure, RequestFailed)


def test_field_0c_by_itself_in_normal_running_is_no_doubt_about_a_write() -> None:
    """Meter traffic with the head end moves the counter on by 25 (the field: "0C by itself")."""
    port = server(sequence=99)
    world = World(client(legacy=True, sequence=99), port)
    world.ask(READ, read=True)
    port.interface_changed()
    outcome = world.ask(WRITE, read=False)
    assert isinstance(outcome, ResponseReceived)
    assert [event for event in world.client_events if isinstance(event, SequenceCorrected)]


def test_field_a_repeated_number_draws_0c_with_number_plus_one_for_a_read() -> None:
    hand = legacy()
    hand.machine.request(READ, 0.0, read=True)
    first = hand.sent()
    assert hand.sent() == first, "a retry repeats the same bytes"
    hand.answer(signed(first, b"\x0c" + (number_of(first) + 1).to_bytes(4, "big")))
    third = hand.sent()
    assert number_of(third) == number_of(first) + 1
    assert isinstance(hand.answer(signed(third, b"\0\0\x01\x05"))[-1], ResponseReceived)


def test_0c_after_silence_stops_a_write_as_possibly_executed() -> None:
    hand = legacy()
    hand.machine.request(WRITE, 0.0, read=False)
    first = hand.sent()
    hand.sent()
    [_, failure] = hand.answer(signed(first, b"\x0c" + (number_of(first) + 1).to_bytes(4, "big")))
    assert isinstance(failure, RequestFailed)
    assert failure.possibly_executed
    assert isinstance(failure.error, PossiblyExecuted)
    assert failure.error.certain


def test_0c_that_shows_that_a_write_was_never_taken_lets_it_go_on() -> None:
    hand = legacy()
    hand.machine.request(WRITE, 0.0, read=False)
    first = hand.sent()
    hand.sent()
    hand.answer(signed(first, b"\x0c" + (number_of(first) - 5).to_bytes(4, "big")))
    assert number_of(hand.sent()) == number_of(first) - 5


# ---- silence, noise, and answers that do not fit ----
def test_silence_is_repeated_and_then_reported() -> None:
    hand = legacy(retries=2)
    hand.machine.request(READ, 0.0, read=True)
    assert len({hand.sent() for _ in range(3)}) == 1
    assert hand.sent() == b""
    failure = hand.events[-1]
    assert isinstance(failure, RequestFailed)
    assert isinstance(failure.error, NoAnswer)
    assert not isinstance(failure.error, PossiblyExecuted)
    assert [type(event) for event in hand.events].count(RequestRetried) == 2


def test_silence_after_a_write_is_possibly_executed() -> None:
    hand = legacy(retries=1)
    hand.machine.request(WRITE, 0.0, read=False)
    while hand.sent():
        pass
    assert isinstance(hand.events[-1].error, PossiblyExecuted)
    assert hand.events[-1].possibly_executed


def test_the_wait_begins_when_the_frame_has_left() -> None:
    hand = legacy(baud=300)
    hand.machine.request(READ, 0.0, read=True)
    frame = hand.sent()
    assert hand.machine.deadline() == pytest.approx(len(frame) * 10 / 300 + 0.5)


def test_requests_keep_their_distance() -> None:
    hand = legacy()
    hand.machine.request(READ, 0.0, read=True)
    hand.answer(signed(hand.sent(), b"\0\0\x01\x05"))
    hand.machine.request(READ, hand.now, read=True)
    hand.sent()
    assert hand.now == pytest.approx(0.1)


def test_an_answer_with_a_wrong_digest_is_dropped_and_the_right_one_still_taken() -> None:
    hand = legacy()
    hand.machine.request(READ, 0.0, read=True)
    frame = hand.sent()
    good = signed(frame, b"\0\0\x01\x05")
    assert isinstance(hand.answer(good[:-1] + bytes([good[-1] ^ 1]))[0], Dropped)
    assert isinstance(hand.answer(good)[0], ResponseReceived)


def test_an_answer_to_another_request_is_dropped() -> None:
    hand = legacy()
    hand.machine.request(READ, 0.0, read=True)
    hand.sent()
    _, exchange = request_frame(READ, 7)
    assert isinstance(hand.answer(framed(exchange.response_body(b"\0\0\x01\x05")))[0], Dropped)


def test_our_own_echo_is_no_answer() -> None:
    hand = legacy()
    hand.machine.request(READ, 0.0, read=True)
    frame = hand.sent()
    events = hand.answer(frame + signed(frame, b"\0\0\x01\x05"))
    assert [type(event) for event in events] == [Dropped, ResponseReceived]


def test_alerts_before_and_between_are_events() -> None:
    hand = legacy()
    hand.answer(b"\0\0")
    hand.machine.request(READ, 0.0, read=True)
    answer = signed(hand.sent(), b"\0\0\x01\x05")
    events = hand.answer(b"\0\0" + answer + b"\0\0")
    assert [type(event) for event in events] == [AlertReceived, ResponseReceived, AlertReceived]
    assert hand.machine.alerts == 3


def test_alerts_do_not_stop_the_clock() -> None:
    hand = legacy()
    hand.machine.request(READ, 0.0, read=True)
    hand.sent()
    due = hand.machine.deadline()
    hand.answer(b"\0\0")
    assert hand.machine.deadline() == due


def test_pauses_in_a_long_answer_are_borne() -> None:
    world = World(client(legacy=True, sequence=0), server(pauses=True))
    outcome = world.ask(bytes.fromhex("3f0017000001 01d1".replace(" ", "")), read=True)
    assert isinstance(outcome, ResponseReceived)
    assert len(outcome.message) == 3 + 465
    assert not [event for event in world.client_events if isinstance(event, RequestRetried)]


def test_a_late_answer_to_the_first_copy_is_taken_while_the_second_waits() -> None:
    hand = legacy(interval_s=2.0)
    hand.machine.request(WRITE, 0.0, read=False)
    frame = hand.sent()
    due = hand.machine.deadline()
    assert due is not None
    hand.now = due
    hand.machine.wake(hand.now)
    assert isinstance(hand.answer(signed(frame, b"\0"))[-1], ResponseReceived)
    assert hand.sent() == b""


# ---- 0B ----
@pytest.mark.parametrize("body", [b"\x0b", b"\x0b" + bytes(8)])
def test_0b_is_not_believed_at_once(body: bytes) -> None:
    hand = legacy()
    hand.machine.request(READ, 0.0, read=True)
    frame = hand.sent()
    for _ in range(2):
        hand.answer(framed(body))
        assert hand.sent() == frame
    failure = hand.answer(framed(body))[-1]
    assert isinstance(failure.error, AuthenticationFailed)


def test_field_0b_now_and_then_on_full_reads_is_survived() -> None:
    hand = legacy()
    hand.machine.request(bytes.fromhex("3000170200"), 0.0, read=True)
    hand.answer(framed(b"\x0b" + bytes(8)))
    frame = hand.sent()
    assert isinstance(hand.answer(signed(frame, b"\0\0\x01\x05"))[-1], ResponseReceived)


def test_a_plain_0b_to_an_encrypted_request_is_understood() -> None:
    world = World(MepClient({"MAK": bytes(16)}, legacy=True, encrypt=True), server())
    outcome = world.ask(READ, read=True)
    assert isinstance(outcome, RequestFailed)
    assert isinstance(outcome.error, AuthenticationFailed)


def test_an_encrypted_request_never_looks_like_a_tls_frame() -> None:
    for start in (2501411165, 2409987298, 2318563431, 960545186):  # their cipher text begins with 57, 58, 59 or 80
        machine = MepClient(
            {"MAK": bytes(16)}, legacy=True, encrypt=True, random_bytes=lambda n, s=start: s.to_bytes(4, "big")[:n]
        )
        machine.request(READ, 0.0, read=True)
        machine.events()
        assert machine.outgoing(0.0)[2] not in (0x57, 0x58, 0x59, 0x80)


def test_tls_demanded_is_told_to_an_rc4_client() -> None:
    world = World(client(legacy=True), server(demand_tls=True))
    outcome = world.ask(READ, read=True)
    assert isinstance(outcome, RequestFailed)
    assert "TLS" in outcome.error.hint


# ---- the weakness of RC4 mode ----
def test_a_forged_acknowledgement_is_accepted_because_nobody_can_tell() -> None:
    """Known weakness (spec section 14): the digest of a bare 00 is the request's own. Hence ``proven`` is False."""
    hand = legacy()
    hand.machine.request(WRITE, 0.0, read=False)
    frame = hand.sent()
    forged = framed(b"\0" + frame[-8:])
    assert hand.answer(forged) == [ResponseReceived(WRITE, b"\0", proven=False)]


def test_a_forged_empty_read_is_not_proven_either() -> None:
    hand = legacy()
    hand.machine.request(READ, 0.0, read=True)
    frame = hand.sent()
    assert hand.answer(framed(b"\0\0\0" + frame[-8:])) == [ResponseReceived(READ, b"\0\0\0", proven=False)]


# ---- encryption, levels ----
@pytest.mark.parametrize("encrypt", [False, True])
def test_level_and_encryption_are_chosen_message_by_message(encrypt: bool) -> None:
    seen: list[str] = []

    def handle(message: bytes, access: str, now: float) -> bytes:
        seen.append(access)
        return memory(message, access, now)

    world = World(client(legacy=True, sequence=0, encrypt=not encrypt), server(handle))
    for access in ("MAK", "MBK", "MAK"):
        assert isinstance(world.ask(READ, read=True, access=access, encrypt=encrypt), ResponseReceived)
    assert seen == ["MAK", "MBK", "MAK"]
    assert (READ in bytes(world.to_server)) != encrypt


# ---- TLS ----
def test_one_handshake_serves_many_requests_and_close_ends_it() -> None:
    world = World(client(), server())
    for message, read in ((READ, True), (WRITE, False), (READ, True)):
        outcome = world.ask(message, read=read)
        assert isinstance(outcome, ResponseReceived)
        assert outcome.proven
    assert world.client.established
    world.client.close(world.now)
    world.run(lambda: not world.client.busy)
    kinds = [type(event) for event in world.client_events]
    assert (kinds.count(TlsEstablished), kinds.count(TlsEnded)) == (1, 1)
    assert not world.server.tls_up
    assert bytes(world.to_server).endswith(b"\0\x02\x57\0")


def test_another_level_opens_another_session() -> None:
    world = World(client(), server())
    world.ask(READ, read=True)
    world.ask(READ, read=True, access="MBK")
    identities = [event.identity for event in world.client_events if isinstance(event, TlsEstablished)]
    assert identities == [bytes.fromhex("640001"), bytes.fromhex("640000")]


def test_a_lost_session_is_opened_again_for_a_read() -> None:
    world = World(client(), server())
    world.ask(READ, read=True)
    world.server._session = None  # the meter restarted: it answers 0A
    outcome = world.ask(READ, read=True)
    assert isinstance(outcome, ResponseReceived)
    assert [type(event) for event in world.client_events].count(TlsEstablished) == 2


def test_a_session_lost_under_a_write_is_a_doubt_because_0a_is_not_authenticated() -> None:
    world = World(client(), server())
    world.ask(READ, read=True)
    world.server._session = None
    outcome = world.ask(WRITE, read=False)
    assert isinstance(outcome, RequestFailed)
    assert outcome.possibly_executed
    assert isinstance(world.ask(WRITE, read=False), ResponseReceived)


def test_a_wrong_key_is_said_to_be_one() -> None:
    world = World(MepClient({"MAK": bytes(16)}, random_bytes=random.Random(3).randbytes), server())
    outcome = world.ask(READ, read=True)
    assert isinstance(outcome, RequestFailed)
    assert isinstance(outcome.error, NoKey)


def test_an_old_meter_without_tls_is_told_apart() -> None:
    world = World(client(), server(tls=False))
    outcome = world.ask(READ, read=True)
    assert isinstance(outcome, RequestFailed)
    assert isinstance(outcome.error, RemoteProtocolError)
    assert "legacy" in outcome.error.hint


@pytest.mark.parametrize("lost", range(6))
@pytest.mark.parametrize("read", [True, False])
def test_any_single_lost_frame_in_tls_is_survived_or_flagged(lost: int, read: bool) -> None:
    executed: list[bytes] = []

    def handle(message: bytes, access: str, now: float) -> bytes:
        executed.append(message)
        return memory(message, access, now)

    count = iter(range(10_000))

    def pipe(direction: str, data: bytes) -> list[tuple[float, bytes]]:
        return [] if next(count) == lost else at_once(direction, data)

    world = World(client(), server(handle, pauses=False), pipe)
    outcome = world.ask(READ if read else WRITE, read=read)
    if read or lost != 5:
        assert isinstance(outcome, ResponseReceived)
    else:
        assert isinstance(outcome, RequestFailed)
        assert outcome.possibly_executed
    assert read or len(executed) == 1
    assert isinstance(world.ask(READ, read=True), ResponseReceived)


def test_cancel_forgets_the_request() -> None:
    hand = legacy()
    hand.machine.request(READ, 0.0, read=True)
    frame = hand.sent()
    hand.machine.cancel()
    assert not hand.machine.busy
    assert isinstance(hand.answer(signed(frame, b"\0\0\x01\x05"))[0], Dropped)
    hand.machine.request(READ, hand.now, read=True)
    assert number_of(hand.sent()) == number_of(frame) + 1


def test_an_alert_sequence_never_looks_like_an_answer() -> None:
    hand = legacy()
    hand.machine.request(READ, 0.0, read=True)
    hand.sent()
    assert {type(event) for event in hand.answer(raw("alert-sequence") * 50)} == {AlertReceived}
