"""The server: window, keys, pacing, pauses, alert, baud, the shared port; and what clients in the field do (section 18)."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.mep.mep_peer import MAK, MBK, READ, WRITE, World, client, memory, raw, request_frame, server

from osgp.mep.client import MepClient
from osgp.mep.events import BaudChanged, Dropped, LeakedAsLight, RequestRefused, RequestServed, SequenceAccepted
from osgp.mep.frame import framed
from osgp.mep.rc4 import Exchange
from osgp.mep.server import MepServer

TLS_FRAMES = [raw(name) for name in ("tls-client-hello", "tls-client-finished", "tls-read-request")]


def ask(port: MepServer, message: bytes, sequence: int, now: float, key: bytes = MAK, **options: Any) -> bytes | None:
    """One request at ``now``; the opened answer, or None if it does not verify."""
    frame, exchange = request_frame(message, sequence, key, **options)
    port.receive(frame, now)
    return opened(exchange, drain(port, now))


def drain(port: MepServer, now: float, seconds: float = 3.0) -> bytes:
    """All that leaves within some seconds."""
    out = b""
    end = now + seconds
    while True:
        out += port.outgoing(now)
        due = port.deadline()
        if due is None or due > end:
            return out
        now = max(now, due)
        port.wake(now)


def opened(exchange: Exchange, frame: bytes) -> bytes | None:
    return exchange.open_response(frame[2:]) if frame else None


# ---- sequence numbers ----
@pytest.mark.parametrize(("ahead", "taken"), [(-1, False), (0, False), (1, True), (2, True), (8, True), (9, False)])
def test_the_window(ahead: int, taken: bool) -> None:
    port = server(sequence=1000)
    answer = ask(port, READ, 1000 + ahead, 0.0)
    assert answer is not None
    if taken:
        assert answer[0] == 0
        assert port.sequence == 1000 + ahead
    else:
        assert answer == b"\x0c" + (1001).to_bytes(4, "big")
        assert port.sequence == 1000


def test_the_window_wraps() -> None:
    port = server(sequence=0xFFFFFFFF)
    assert ask(port, READ, 3, 0.0)[:1] == b"\0"  # type: ignore[index]  # verified in the helper
    assert SequenceAccepted(3) in port.events()


@pytest.mark.parametrize("more", [0, 1])
def test_field_after_0c_both_the_number_and_the_number_plus_one_work(more: int) -> None:
    port = server(sequence=500)
    refusal = ask(port, READ, 5, 0.0)
    assert refusal is not None
    assert ask(port, READ, int.from_bytes(refusal[1:], "big") + more, 1.0) is not None
    assert port.served == 1


def test_field_an_identical_frame_up_to_fifty_times_after_ten_seconds_each() -> None:
    port = server(sequence=0)
    frame, exchange = request_frame(READ, 1)
    answers = set()
    for number in range(50):
        port.receive(frame, 10.0 * number)
        answers.add(opened(exchange, drain(port, 10.0 * number)))
    assert port.served == 1
    assert b"\x0c\0\0\0\x02" in answers
    assert len(answers) == 2


def test_a_change_of_the_interface_moves_the_counter_by_25() -> None:
    port = server(sequence=10)
    port.interface_changed()
    assert ask(port, READ, 11, 0.0) == b"\x0c" + (36).to_bytes(4, "big")


# ---- keys and encryption ----
@pytest.mark.parametrize("encrypt", [False, True])
@pytest.mark.parametrize(("key", "access"), [(MAK, "MAK"), (MBK, "MBK")])
def test_the_key_that_fits_is_the_access_level(key: bytes, access: str, encrypt: bool) -> None:
    port = server(sequence=0)
    assert ask(port, READ, 1, 0.0, key, encrypt=encrypt) == memory(READ, access, 0.0)
    [served] = [event for event in port.events() if isinstance(event, RequestServed)]
    assert (served.access, served.mode) == (access, "rc4-encrypted" if encrypt else "rc4")


def test_mak_is_tried_before_mbk() -> None:
    port = MepServer(memory, lambda access: MAK, rng=random.Random(1))
    ask(port, READ, 1, 0.0)
    assert [event.access for event in port.events() if isinstance(event, RequestServed)] == ["MAK"]


def test_a_missing_key_opens_nothing() -> None:
    port = MepServer(memory, lambda access: None, rng=random.Random(1))
    ask(port, READ, 1, 0.0)
    assert [event.code for event in port.events() if isinstance(event, RequestRefused)] == [0x0B]


@pytest.mark.parametrize("encrypt", [False, True])
def test_0b_is_never_encrypted_and_0c_is(encrypt: bool) -> None:
    port = server(sequence=0)
    frame, _ = request_frame(READ, 1, bytes(16), encrypt=encrypt)
    port.receive(frame, 0.0)
    assert drain(port, 0.0)[2] == 0x0B
    frame, exchange = request_frame(READ, 77, encrypt=encrypt)
    port.receive(frame, 1.0)
    answer = drain(port, 1.0)
    assert (answer[2] == 0x0C) != encrypt
    assert opened(exchange, answer) == b"\x0c\0\0\0\x01"


def test_a_table_answer_too_long_for_a_frame_is_a_refusal() -> None:
    port = server(lambda message, access, now: bytes(1000), sequence=0)
    assert ask(port, READ, 1, 0.0) == b"\x04"


# ---- the line ----
def test_pauses_after_each_117_bytes() -> None:
    port = server(sequence=0)
    frame, _ = request_frame(bytes.fromhex("3f0017000000012c"), 1)
    port.receive(frame, 0.0)
    sizes, moments, now = [], [], 0.0
    while (due := port.deadline()) is not None or not sizes:
        now = max(now, due or 0.0)
        data = port.outgoing(now)
        if data:
            sizes.append(len(data))
            moments.append(now)
    assert sizes == [117, 117, 79]
    assert moments[1] - moments[0] == pytest.approx(117 * 10 / 9600 + 0.025)


def test_pauses_can_be_switched_off() -> None:
    port = server(sequence=0, pauses=False)
    frame, _ = request_frame(bytes.fromhex("3f0017000000012c"), 1)
    port.receive(frame, 0.0)
    assert len(port.outgoing(0.0)) == 2 + 300 + 3 + 8


def test_field_the_next_request_after_three_milliseconds_is_delayed_not_refused() -> None:
    port = server(sequence=0)
    first, _ = request_frame(READ, 1)
    second, exchange = request_frame(READ, 2)
    port.receive(first, 0.0)
    assert port.outgoing(0.0)
    port.receive(second, 0.003)
    assert port.outgoing(0.003) == b""
    assert port.deadline() == pytest.approx(0.1)
    assert opened(exchange, drain(port, 0.1)) is not None


def test_requests_in_a_burst_are_bounded() -> None:
    port = server(sequence=0)
    port.receive(b"".join(request_frame(READ, number)[0] for number in range(1, 30)), 0.0)
    assert [event for event in port.events() if isinstance(event, Dropped)]
    drain(port, 0.0)
    assert port.served == 8 + 1 - 1


def test_field_two_zero_bytes_between_frames() -> None:
    port = server(sequence=0)
    frame, exchange = request_frame(READ, 1)
    port.receive(b"\0\0" + frame + b"\0\0", 0.0)
    assert opened(exchange, drain(port, 0.0)) is not None
    assert port.dropped == 0


@pytest.mark.parametrize("message", [bytes.fromhex("300034"), bytes.fromhex("3000340200")])
def test_field_full_reads_with_and_without_length(message: bytes) -> None:
    seen: list[bytes] = []
    port = server(lambda message, access, now: seen.append(message) or b"\0\0\x01\x05", sequence=0)
    assert ask(port, message, 1, 0.0) == b"\0\0\x01\x05"
    assert seen == [message]


def test_field_a_read_of_et58_in_place_of_et59_reaches_the_tables() -> None:
    seen: list[bytes] = []
    port = server(lambda message, access, now: seen.append(message) or b"\x05", sequence=0)
    assert ask(port, bytes.fromhex("30083a0200"), 1, 0.0) == b"\x05"
    assert seen == [bytes.fromhex("30083a0200")]


def test_the_very_first_answer_is_never_0b_because_of_noise() -> None:
    """Field clients stop for good if their first answer is 0B: noise must not draw one."""
    port = server(sequence=0)
    frame, exchange = request_frame(READ, 1)
    port.receive(b"\x01" + frame, 0.0)
    assert opened(exchange, drain(port, 0.0)) is not None
    assert port.refused == 0


@pytest.mark.parametrize("noise", [b"", b"\xff", b"\x00", b"\x01\x44"])
def test_noise_before_in_and_after(noise: bytes) -> None:
    port = server(sequence=0)
    frame, exchange = request_frame(READ, 1)
    port.receive(frame[:9] + noise, 0.0)  # broken off
    port.wake(0.06)
    port.receive(noise + frame, 1.0)
    assert opened(exchange, drain(port, 1.0)) is not None
    port.receive(noise, 4.0)
    assert drain(port, 4.0) == b""


def test_the_rate_changes_when_the_response_has_left() -> None:
    port = server(sequence=0)

    def handle(message: bytes, access: str, now: float) -> bytes:
        port.change_baud(19200)
        return b"\0"

    port._handle = handle
    frame, _ = request_frame(WRITE, 1)
    port.receive(frame, 0.0)
    answer = port.outgoing(0.0)
    port.wake(0.001)
    assert port.baud == 9600
    due = port.deadline()
    assert due == pytest.approx(len(answer) * 10 / 9600)
    port.wake(due or 0.0)
    assert BaudChanged(19200) in port.events()
    assert port.baud == 19200


def test_the_rate_waits_for_a_response_that_had_to_wait_itself() -> None:
    port = server(sequence=0)
    port._handle = lambda message, access, now: (port.change_baud(300), b"\0")[1]  # type: ignore[func-returns-value]
    port.receive(request_frame(READ, 1)[0], 0.0)
    port.receive(request_frame(WRITE, 2)[0], 0.01)
    assert port.outgoing(0.01)
    port.wake(0.1)
    sent = port.outgoing(0.1)
    assert len(sent) == 11
    assert port.deadline() == pytest.approx(0.1 + 110 / 300)
    port.wake(0.5)
    assert port.baud == 300


def test_a_rate_changed_by_another_door_holds_at_once() -> None:
    port = server()
    port.change_baud(1200)
    port.wake(1.0)
    assert BaudChanged(1200) in port.events()


# ---- alert ----
def test_the_alert_rings_each_second_and_holds_off_after_a_frame() -> None:
    on = [True]
    port = server(sequence=0, alert=lambda: on[0])
    rung: list[float] = []
    now = 0.0
    asked = False
    while now < 6.0:
        due = port.deadline()
        assert due is not None
        now = max(now, due)
        if now >= 2.5 and not asked:
            asked = True
            now = 2.5
            frame, _ = request_frame(READ, 1)
            port.receive(frame, now)
        on[0] = now < 5.0
        port.wake(now)
        data = port.outgoing(now)
        if data == b"\0\0":
            rung.append(now)
    assert rung == pytest.approx([0, 1, 2, 3.5, 4.5, 5.5][: len(rung)])
    assert len(rung) == 5


def test_the_alert_by_command_needs_no_polling() -> None:
    port = server()
    assert port.deadline() is None
    port.set_alert(True, 5.0)
    port.wake(5.0)
    assert port.outgoing(5.0) == b"\0\0"
    port.set_alert(False, 5.5)
    port.wake(6.0)
    assert port.outgoing(6.0) == b""
    assert port.deadline() is None
    port.receive(request_frame(READ, 1)[0], 10.0)
    port.outgoing(10.0)
    port.set_alert(True, 10.2)
    assert port.deadline() == pytest.approx(11.0)


# ---- the shared port of generations 2 and 3 ----
def test_during_an_optical_session_nothing_is_heard() -> None:
    port = server(sequence=0)
    port.set_muted(True)
    frame, _ = request_frame(READ, 1)
    port.receive(frame, 0.0)
    assert drain(port, 0.0) == b""
    assert port.sequence == 0
    port.set_muted(False)
    assert ask(port, READ, 1, 5.0) is not None


@pytest.mark.parametrize("seed", range(12))
def test_answers_that_an_optical_session_meets_are_lost_late_or_garbled_and_the_client_recovers(seed: int) -> None:
    port = server(sequence=0, rng=random.Random(seed))
    world = World(client(legacy=True, sequence=0), port)

    def handle(message: bytes, access: str, now: float) -> bytes:
        port.set_muted(not world.server_events and port.served == 0)
        return memory(message, access, now)

    port._handle = handle
    world.client.request(READ, 0.0, read=True)
    world.run(lambda: port.served > 0)
    world.idle(0.3)
    port.set_muted(False)
    world.run(lambda: not world.client.busy)
    assert world.ask(READ, read=True) is not None
    assert port.served >= 1


def test_answers_show_up_as_light() -> None:
    leaked = b""
    for seed in range(6):
        port = server(sequence=0, rng=random.Random(seed))
        frame, _ = request_frame(READ, 1)
        port.receive(frame, 0.0)
        port.set_muted(True)
        drain(port, 0.0)
        leaked += b"".join(event.data for event in port.events() if isinstance(event, LeakedAsLight))
    assert b"\0\x37\0\0\x2c" in leaked


# ---- TLS ----
def test_rc4_is_refused_while_a_session_is_up_and_taken_after_it() -> None:
    world = World(client(), server(sequence=0))
    world.ask(READ, read=True)
    frame, exchange = request_frame(READ, 1)
    world.now += 1
    world.server.receive(frame, world.now)
    assert drain(world.server, world.now) == b"\0\x01\x0a"
    world.server.receive(framed(b"\x57\0"), world.now + 1)
    assert drain(world.server, world.now + 1) == b"\0\x01\0"
    world.server.receive(frame, world.now + 2)
    assert opened(exchange, drain(world.server, world.now + 2)) is not None


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"\x80" + bytes.fromhex("1703030003010203"), 0x0A),
        (b"\x59" + bytes.fromhex("1603030003010203"), 0x0A),
        (b"\x58" + bytes.fromhex("1603030003010203"), 0x01),
        (b"\x58\x55", 0x01),
    ],
)
def test_tls_frames_out_of_order(body: bytes, code: int) -> None:
    port = server()
    port.receive(framed(body), 0.0)
    assert drain(port, 0.0) == b"\0\x01" + bytes([code])


def test_an_unknown_identity_and_a_wrong_key_draw_03() -> None:
    for keys in ({"MBK": MAK}, {"MAK": bytes(16)}):
        port = server()
        if "MBK" in keys:
            port._keys = {"MAK": MAK}.get
        world = World(MepClient(keys, random_bytes=random.Random(1).randbytes), port)
        world.ask(READ, read=True)
        assert 0x03 in [event.code for event in world.server_events if isinstance(event, RequestRefused)]


def test_58_resets_a_session() -> None:
    world = World(client(), server())
    world.ask(READ, read=True)
    world.server.receive(raw("tls-client-hello"), world.now + 1)
    assert not world.server.tls_up


@given(st.lists(st.one_of(st.binary(max_size=80), st.binary(max_size=60).map(framed)), max_size=12))
def test_whatever_comes_the_server_lives_and_serves(pieces: list[bytes]) -> None:
    port = server(sequence=0)
    now = 0.0
    for piece in pieces:
        port.receive(piece, now)
        now += 0.03
    drain(port, now)
    now += 5.0
    answer = ask(port, READ, 1, now)
    assert answer == memory(READ, "MAK", now)
    assert len(port.events()) <= 1200


@given(st.lists(st.tuples(st.sampled_from(TLS_FRAMES), st.integers(0, 400), st.integers(0, 255)), max_size=8))
def test_damaged_tls_frames_end_sessions_and_nothing_else(frames: list[tuple[bytes, int, int]]) -> None:
    port = server(sequence=0, gap_s=0.05)
    now = 0.0
    for frame, place, change in frames:
        damaged = bytearray(frame)
        damaged[place % len(damaged)] ^= change
        port.receive(bytes(damaged), now)
        drain(port, now, 0.3)
        now += 1.0
    port.receive(framed(b"\x57\0"), now)
    drain(port, now)
    now += 5.0
    assert ask(port, READ, port.sequence + 1, now) == memory(READ, "MAK", now)
