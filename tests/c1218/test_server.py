"""The meter's side: states, limits, and everything that readers in the field do to it (spec section 14)."""

from __future__ import annotations

from typing import Any

import pytest

from osgp.c1218.events import AccessRefused, BaudChanged, LockedOut, LoggedOn, SessionClosed, SessionOpened
from osgp.c1218.link import LinkTimers
from osgp.c1218.packet import build, join, parse, split
from osgp.c1218.server import TRANSITIONS, OpticalServer, ServerOptions, ServerState
from osgp.c1218.services import Logon, Negotiate, Security
from osgp.tables.services import FullRead, FullWrite, PartialWrite, encode_request
from tests.c1218.pair import MK, RK, Meter

FAST = LinkTimers(turn_round_s=0.0, gap_s=0.0)
IDENT, TERMINATE, LOGOFF, WAIT = b"\x20", b"\x21", b"\x52", b"\x70\x3c"
NEGOTIATE = Negotiate(service=0x61, packet_size=64, packets=2, bauds=[6]).encode()
LOGON = Logon(user_id=1, user="esphome").encode()
READ = encode_request(FullRead(0), checksum=True)
WRITE = encode_request(FullWrite(28, b"\x01\x02"), checksum=True)
TIMING = b"\x71\x06\x01\x02\x03"


def security(key: bytes = MK) -> bytes:
    return Security(password=key).encode()


class Reader:
    """A plain reader without mercy: toggles and repeats as it is told, keeps its own clock."""

    def __init__(self, options: ServerOptions | None = None) -> None:
        self.meter = Meter()
        self.server = OpticalServer(self.meter.handle, self.meter.check_key, options=options, timers=FAST)
        self.now = 0.0
        self.toggle = 0
        self.seen: list[Any] = []

    def raw(self, data: bytes) -> bytes:
        """Send bytes, get what comes at once."""
        self.server.receive(data, self.now)
        out = self.server.outgoing(self.now)
        self.seen += self.server.events()
        return out

    def say(self, message: bytes) -> bytes:
        """One request; the message of the answer, its packets acknowledged."""
        out = self.raw(build(message, toggle=self.toggle))
        self.toggle ^= 1
        assert out[:1] == b"\x06"
        packets = [parse(out[1:])]
        while packets[-1].sequence:
            packets.append(parse(self.raw(b"\x06")))
        self.raw(b"\x06")
        return join(packets)

    def pass_time(self, seconds: float) -> None:
        end = self.now + seconds
        while (due := self.server.deadline()) is not None and due <= end:
            self.now = max(self.now, due)
            self.server.wake(self.now)
            self.server.outgoing(self.now)
            self.seen += self.server.events()
        self.now = end

    def to(self, state: ServerState, key: bytes = MK) -> Reader:
        if state is not ServerState.BASE:
            assert self.say(IDENT) == bytes.fromhex("0000020000")
        if state is ServerState.SESSION:
            assert self.say(NEGOTIATE) == bytes.fromhex("0000400206")
            assert self.say(LOGON) == b"\x00"
            assert self.say(security(key)) == b"\x00"
        assert self.server.state is state
        return self

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.seen if isinstance(event, kind)]


SERVICES = {
    "ident": IDENT,
    "negotiate": NEGOTIATE,
    "timing": TIMING,
    "logon": LOGON,
    "security": security(),
    "read, write": READ,
    "wait": WAIT,
    "logoff": LOGOFF,
    "terminate": TERMINATE,
}


@pytest.mark.parametrize("state", list(ServerState))
@pytest.mark.parametrize("name", list(SERVICES))
def test_every_service_in_every_state(state: ServerState, name: str) -> None:
    reader = Reader(ServerOptions(timing=True)).to(state)
    expected = {do.value: following for (before, do), following in TRANSITIONS.items() if before is state}.get(name)
    answer = reader.say(SERVICES[name])
    assert answer[0] == (0x0A if expected is None else 0x00)
    assert reader.server.state is (expected or state)


@pytest.mark.parametrize("state", list(ServerState))
@pytest.mark.parametrize(
    "message", [b"\x00", b"\x32\x00\x17", b"\x3e", b"\x41", b"\x99", b"\xff", b"\x71\x01\x01\x01\x01"]
)
def test_what_is_no_service_here_is_answered_so(state: ServerState, message: bytes) -> None:
    assert Reader().to(state).say(message) == b"\x02"


@pytest.mark.parametrize(
    "message",
    [
        b"\x30",
        b"\x3f\x00",
        b"\x40\x00\x1c\x00\x02\x01\x02\x00",
        b"\x40\x00\x1c\xff\xff\x01",
        b"\x51short",
        b"\x70",
        b"\x4f\x00",
    ],
)
def test_mutilated_requests_are_refused(message: bytes) -> None:
    reader = Reader().to(ServerState.SESSION)
    assert reader.say(message) == b"\x01"
    assert reader.meter.writes == []
    assert reader.server.state is ServerState.SESSION
    assert Reader().to(ServerState.IDENTIFIED).say(b"\x61\x00\x40") == b"\x01"
    assert Reader().to(ServerState.IDENTIFIED).say(b"\x60\x00\x01\x01") == b"\x01"


def test_access_follows_the_key() -> None:
    reader = Reader().to(ServerState.SESSION, RK)
    assert reader.server.access == "RK"
    assert reader.say(WRITE) == b"\x03"
    assert reader.say(security()) == b"\x00"
    assert reader.say(WRITE) == b"\x00"
    assert reader.say(LOGOFF) == b"\x00"
    assert reader.server.access == "open"
    assert reader.of(LoggedOn) == [LoggedOn(1, "esphome")]


def test_ident_in_a_session_starts_anew_after_a_refused_password() -> None:
    reader = Reader()
    for message in (IDENT, NEGOTIATE, LOGON):
        reader.say(message)
    assert reader.say(security(bytes(20)))[0] == 3
    reader.toggle = 0  # readers begin each session with toggle 0
    for message in (IDENT, NEGOTIATE, LOGON, security()):
        assert reader.say(message)[0] == 0
    assert [type(event) for event in reader.seen if isinstance(event, SessionOpened | SessionClosed)] == [
        SessionOpened,
        SessionClosed,
        SessionOpened,
    ]


def test_every_session_may_begin_with_the_same_packet() -> None:
    """The duplicate memory must not outlive the session."""
    reader = Reader()
    for _ in range(3):
        reader.toggle = 0
        reader.to(ServerState.SESSION)
        assert reader.say(TERMINATE) == b"\x00"
        assert reader.server.state is ServerState.BASE
    for _ in range(3):
        reader.toggle = 0
        assert reader.say(IDENT)[0] == 0
        reader.pass_time(7.0)
        assert reader.server.state is ServerState.BASE
    assert len(reader.of(SessionOpened)) == len(reader.of(SessionClosed)) == 6


def test_a_repeated_ident_gets_its_answer_again() -> None:
    """ACKs that arrive as 00 keep one reader from seeing the answer; it repeats the same packet."""
    reader = Reader()
    first = reader.raw(build(IDENT))
    assert reader.raw(build(IDENT)) == first
    reader.raw(b"\x06")
    assert reader.raw(build(IDENT)) == first
    assert len(reader.of(SessionOpened)) == 1


def test_a_repeated_write_is_answered_again_and_done_once() -> None:
    reader = Reader().to(ServerState.SESSION)
    packet = build(WRITE, toggle=reader.toggle)
    first = reader.raw(packet)
    for _ in range(5):
        assert reader.raw(packet) == first
        reader.raw(b"\x06")
    assert len(reader.meter.writes) == 1


def test_nak_brings_the_response_again() -> None:
    reader = Reader()
    first = reader.raw(build(IDENT))
    assert reader.raw(b"\x15") == first[1:]
    assert reader.raw(b"\x15") == first[1:]


def test_an_unacknowledged_response_is_repeated_three_times() -> None:
    reader = Reader()
    first = reader.raw(build(IDENT))[1:]
    said = []
    while (due := reader.server.deadline()) is not None and due < 20:
        reader.server.wake(due)
        said.append(reader.server.outgoing(due))
    assert [data for data in said if data] == [first] * 3


def test_wake_up_bytes_are_met_with_silence() -> None:
    reader = Reader()
    for _ in range(4):
        assert reader.raw(b"\x55") == b""
        reader.pass_time(0.05)
    assert reader.raw(b"\xff" + build(IDENT))[:1] == b"\x06"


def test_ack_and_next_request_in_one_segment() -> None:
    reader = Reader()
    reader.raw(build(IDENT))
    out = reader.raw(b"\x06" + build(NEGOTIATE, toggle=1))
    assert parse(out[1:]).data == bytes.fromhex("0000400206")


def test_several_requests_in_one_segment_do_not_confuse_it() -> None:
    reader = Reader()
    out = reader.raw(build(IDENT) + build(NEGOTIATE, toggle=1) + build(LOGON))
    assert parse(out[-9:]).data == b"\x00"
    assert reader.server.state is ServerState.SESSION


def test_the_answer_comes_within_the_shortest_time_a_reader_waits() -> None:
    meter = Meter()
    server = OpticalServer(meter.handle, meter.check_key)
    server.receive(build(IDENT), 0.0)
    assert server.outgoing(0.019) == b""
    assert server.outgoing(0.0201) == b"\x06"
    assert server.outgoing(0.03)[:1] == b"\xee"


def test_a_response_longer_than_negotiated_is_not_sent_in_pieces_nobody_wants() -> None:
    reader = Reader().to(ServerState.SESSION)
    assert reader.say(encode_request(FullRead(2098), checksum=True)) == b"\x04"
    assert len(reader.say(READ)) == 83


def test_writes_in_several_packets() -> None:
    reader = Reader().to(ServerState.SESSION)
    message = encode_request(PartialWrite(28, 0, bytes(range(90))), checksum=True)
    parts = split(message, packet_size=64, packets=2, toggle=reader.toggle)
    assert reader.raw(parts[0]) == b"\x06"
    assert reader.raw(parts[0]) == b"\x06"
    assert parse(reader.raw(parts[1])[1:]).data == b"\x00"
    assert len(reader.meter.writes) == 1


def test_negotiation_takes_the_best_of_what_both_can() -> None:
    reader = Reader(ServerOptions(max_packet_size=128, max_packets=4, bauds=(9600, 19200))).to(ServerState.IDENTIFIED)
    offered = Negotiate(service=0x63, packet_size=1024, packets=200, bauds=[6, 8, 0x0C]).encode()
    assert reader.say(offered) == bytes.fromhex("0000800408")
    assert reader.of(BaudChanged) == [BaudChanged(19200)]
    assert reader.server.link.packet_size == 128
    reader.pass_time(7.0)
    assert reader.of(BaudChanged) == [BaudChanged(19200), BaudChanged(9600)]
    assert reader.server.link.packet_size == 64


def test_negotiate_without_rates_leaves_the_rate() -> None:
    reader = Reader().to(ServerState.IDENTIFIED)
    assert reader.say(bytes.fromhex("60004001")) == bytes.fromhex("00004001")
    assert reader.say(Negotiate(service=0x61, packet_size=64, packets=1, bauds=[0x77]).encode())[-1] == 6


def test_the_session_timer_cuts_and_deafens() -> None:
    reader = Reader(ServerOptions(session_limit_s=600, deaf_s=300)).to(ServerState.SESSION)
    while reader.now < 600:
        reader.pass_time(5.0)
        if reader.server.state is ServerState.SESSION:
            reader.say(READ)
    assert reader.server.state is ServerState.BASE
    assert reader.of(SessionClosed) == [SessionClosed("session timer")]
    assert reader.raw(build(IDENT)) == b""
    reader.pass_time(299.0)
    assert reader.raw(build(IDENT)) == b""
    reader.pass_time(2.0)
    assert reader.raw(build(IDENT))[:1] == b"\x06"


def test_lock_out_after_wrong_passwords() -> None:
    reader = Reader(ServerOptions(wrong_keys_allowed=3, lock_s=120)).to(ServerState.IDENTIFIED)
    reader.say(LOGON)
    for _ in range(3):
        assert reader.say(security(bytes(20))) == b"\x03"
    assert reader.say(security()) == b"\x03"
    assert reader.of(LockedOut) == [LockedOut(120)]
    assert [event.attempts for event in reader.of(AccessRefused)] == [1, 2, 3, 0]
    reader.pass_time(121.0)
    reader.toggle = 0
    reader.to(ServerState.SESSION)


def test_a_right_password_resets_the_count() -> None:
    reader = Reader(ServerOptions(wrong_keys_allowed=3, lock_s=120)).to(ServerState.SESSION)
    for _ in range(4):
        for _ in range(2):
            reader.say(security(bytes(20)))
        assert reader.say(security()) == b"\x00"


def test_port_off_and_tier_switch_lock() -> None:
    reader = Reader().to(ServerState.SESSION)
    reader.server.options.port_on = False
    assert reader.raw(build(READ)) == b""
    assert reader.server.state is ServerState.BASE
    reader.server.options.port_on = True
    reader.to(ServerState.SESSION)
    reader.server.mute(8.0, reader.now, "tier switch")
    assert reader.raw(build(IDENT)) == b""
    reader.pass_time(8.0)
    assert reader.raw(build(IDENT))[:1] == b"\x06"


def test_the_first_packet_on_a_shared_uart_is_lost_and_naked() -> None:
    reader = Reader(ServerOptions(first_packet_lost=True))
    for _ in range(2):
        assert reader.raw(build(IDENT)) == b""
        assert not reader.of(SessionOpened)
        due = reader.server.deadline()
        assert due is not None
        reader.now = due
        reader.server.wake(due)
        assert reader.server.outgoing(due) == b"\x15"
        reader.toggle = 0
        reader.to(ServerState.SESSION)
        assert reader.say(TERMINATE) == b"\x00"
        reader.seen.clear()


def test_wait_holds_the_channel() -> None:
    reader = Reader().to(ServerState.SESSION)
    assert reader.say(WAIT) == b"\x00"
    reader.pass_time(55.0)
    assert reader.say(READ)[0] == 0
    reader.pass_time(7.0)
    assert reader.server.state is ServerState.BASE


def test_an_ident_in_place_of_the_last_ack_lives_on() -> None:
    """The ACK of the terminate answer is lost, and the reader begins anew at once."""
    reader = Reader(ServerOptions(first_packet_lost=True))
    reader.server.link.lose_next = False
    reader.to(ServerState.SESSION)
    reader.raw(build(TERMINATE, toggle=reader.toggle))
    out = reader.raw(build(IDENT, toggle=reader.toggle ^ 1))
    assert out[:1] == b"\x06"
    assert parse(out[1:]).data == bytes.fromhex("0000020000")
    assert reader.server.state is ServerState.IDENTIFIED
