"""The client's session: opening, asking, keeping, leaving, and getting up again."""

from __future__ import annotations

from typing import Any

import pytest

from osgp.c1218.events import (
    AnswerReceived,
    BaudChanged,
    EchoSeen,
    OpenFailed,
    RequestFailed,
    SessionClosed,
    SessionOpened,
)
from osgp.c1218.packet import build
from osgp.c1218.server import ServerOptions, ServerState
from osgp.c1218.session import TRANSITIONS, ClientState, OpticalClient, Outcome, PossiblyExecuted
from osgp.tables.services import FullRead, FullWrite, PartialRead, decode_response, encode_request
from osgp.wire.errors import ConfigError, Error, LocalProtocolError, NoAnswer, NoKey, ResponseError
from tests.c1218.pair import MK, RK, Pair, clean

READ_BT00 = encode_request(FullRead(0), checksum=True)
READ_BT28 = encode_request(PartialRead(28, 0, 8), checksum=True)
WRITE_BT28 = encode_request(FullWrite(28, bytes(range(40))), checksum=True)


def answer(event: Any) -> bytes:
    assert isinstance(event, AnswerReceived), event
    return decode_response(event.data, checksum=True, read=True)[1]


def silent(_to: str, _data: bytes) -> list[tuple[float, bytes]]:
    return []


def test_the_usual_course() -> None:
    pair = Pair()
    assert pair.open() == SessionOpened(64, 2, 9600, 2, 0)
    assert pair.server.access == "MK"
    assert answer(pair.ask(READ_BT00)) == bytes(range(79))
    assert isinstance(pair.ask(WRITE_BT28, read=False), AnswerReceived)
    assert answer(pair.ask(READ_BT28)) == bytes(range(8))
    assert pair.close() == SessionClosed("closed", False)
    assert pair.server.state is ServerState.BASE
    assert pair.open(RK) == SessionOpened(64, 2, 9600, 2, 0)
    assert pair.server.access == "RK"


def test_the_meter_may_grant_less() -> None:
    pair = Pair(options=ServerOptions(max_packet_size=48, max_packets=3))
    assert pair.open(packet_size=1024, packets=255) == SessionOpened(48, 3, 9600, 2, 0)
    assert answer(pair.ask(READ_BT00)) == bytes(range(79))
    assert max(len(data) for _, to, data in pair.sent if to == "client") <= 49


def test_without_a_key_only_open_tables_answer() -> None:
    pair = Pair()
    assert isinstance(pair.open(None), SessionOpened)
    assert answer(pair.ask(READ_BT00))
    refused = pair.ask(READ_BT28)
    assert refused.data == b"\x03"


def test_a_wrong_key_is_told_as_such_and_the_meter_is_left_in_order() -> None:
    pair = Pair()
    failed = pair.open(b"not the right one")
    assert isinstance(failed, OpenFailed)
    assert isinstance(failed.error, NoKey)
    assert "40 hexadecimal" in failed.error.hint
    assert "right one" not in repr(pair.client.__dict__)
    assert pair.server.state is ServerState.BASE
    assert isinstance(pair.open(), SessionOpened)


def test_silence_speaks_of_the_likely_causes() -> None:
    pair = Pair(fault=silent)
    failed = pair.open()
    assert isinstance(failed.error, NoAnswer)
    assert failed.error.attempts == 4
    for word in ("180°", "RTS on, DTR off", "MEP", "switched off", "9600"):
        assert word in failed.error.hint


def test_only_noise_and_only_echo_are_told_apart_from_silence() -> None:
    noisy = Pair(fault=lambda to, data: [(0.0, b"\x7f\x80")] if to == "server" else clean(to, data))
    noisy.client.open(now=0.0)
    noisy.client.receive(b"\x7f", 0.0)
    assert "stray light" in noisy.run(OpenFailed).error.hint
    echoing = Pair(fault=silent, echo=True)
    assert "echoes" in echoing.open().error.hint
    assert echoing.of("client", EchoSeen)


@pytest.mark.parametrize("baud", [300, 1200, 9600, 38400, 256000])
def test_the_rate_changes_after_negotiate_and_back_after_terminate(baud: int) -> None:
    pair = Pair()
    assert pair.open(baud=baud).baud == baud
    assert answer(pair.ask(READ_BT00)) == bytes(range(79))
    pair.close()
    pair.run(limit_s=1.0)
    expected = [] if baud == 9600 else [BaudChanged(baud), BaudChanged(9600)]
    assert pair.of("client", BaudChanged) == expected
    assert pair.of("server", BaudChanged) == expected


def test_a_baud_change_comes_after_the_ack_has_left() -> None:
    client = OpticalClient()
    pair = Pair(client=client)
    client.open(1, "x", MK, 64, 2, 38400, now=0.0)
    pair.run(BaudChanged)
    assert pair.sent[-1][2] == b"\x06"
    assert client.state is ClientState.LOGGING_ON


def test_logs_off_before_the_meter_cuts_and_reopens_on_demand() -> None:
    pair = Pair(client=OpticalClient(keep_alive_s=60), options=ServerOptions(session_limit_s=600))
    pair.open()
    closed = pair.run(SessionClosed, limit_s=2000)
    assert closed == SessionClosed("session limit", True)
    assert pair.now == pytest.approx(540, abs=2)
    assert answer(pair.ask(READ_BT28)) == bytes(8)
    assert pair.client.sessions == 2
    assert [event.reason for event in pair.of("server", SessionClosed)] == ["terminated"]


def test_keep_alive_by_wait_is_sparing() -> None:
    pair = Pair(client=OpticalClient(keep_alive_s=120))
    pair.open()
    assert pair.run(SessionClosed, limit_s=500) is None
    assert sum(b"\x70" in data for _, to, data in pair.sent if to == "server") <= 7
    assert answer(pair.ask(READ_BT28)) == bytes(8)
    assert pair.client.sessions == 1


def test_without_keep_alive_the_channel_lapses_and_the_next_request_reopens() -> None:
    pair = Pair()
    pair.open()
    assert pair.run(SessionClosed, limit_s=20) == SessionClosed("channel traffic time-out", True)
    assert pair.now < 6.5
    assert answer(pair.ask(READ_BT28)) == bytes(8)
    assert pair.client.sessions == 2


def test_polling_every_five_seconds_keeps_the_session() -> None:
    pair = Pair()
    pair.open()
    for _ in range(20):
        pair.run(limit_s=5.0)
        assert answer(pair.ask(READ_BT28)) == bytes(8)
    assert pair.client.sessions == 1


@pytest.mark.parametrize("request_", [READ_BT28, WRITE_BT28])
def test_a_session_that_the_meter_forgot_is_opened_again(request_: bytes) -> None:
    pair = Pair()
    pair.open()
    pair.server.mute(0.0, pair.now, "power dip")
    got = pair.ask(request_, read=request_ is READ_BT28)
    assert isinstance(got, AnswerReceived)
    assert got.data[0] == 0
    assert len(pair.meter.writes) == (request_ is WRITE_BT28)


def test_a_read_survives_a_pause_of_the_line_and_a_write_is_never_repeated() -> None:
    for request_, read in ((READ_BT28, True), (WRITE_BT28, False)):
        pair = Pair()
        pair.open()
        start = pair.now
        pair.fault = lambda to, data, pair=pair, start=start: clean(to, data) if pair.now > start + 9 else []
        got = pair.ask(request_, read=read)
        if read:
            assert isinstance(got, AnswerReceived)
        else:
            assert isinstance(got.error, PossiblyExecuted)
            assert "read back" in got.error.hint
            assert pair.meter.writes == []


def test_a_write_whose_answers_are_lost_is_done_once() -> None:
    pair = Pair()
    pair.open()
    pair.fault = lambda to, data: clean(to, data) if to == "server" else []
    got = pair.ask(WRITE_BT28, read=False)
    assert isinstance(got, RequestFailed)
    assert isinstance(got.error, PossiblyExecuted)
    assert len(pair.meter.writes) == 1


def test_garbage_on_the_line_is_got_over() -> None:
    pair = Pair()
    pair.open()
    pair.client.receive(bytes(range(1, 256)), pair.now)
    assert answer(pair.ask(READ_BT28)) == bytes(8)
    pair.client.receive(b"\xee\x00\x00\x00\x00\x20abc", pair.now)
    assert answer(pair.ask(READ_BT28)) == bytes(8)
    assert pair.client.sessions == 1


def test_one_wire_heads_work_and_are_reported() -> None:
    pair = Pair(echo=True)
    assert isinstance(pair.open(), SessionOpened)
    for _ in range(5):
        assert answer(pair.ask(READ_BT00)) == bytes(range(79))
    assert len(pair.of("client", EchoSeen)) == 1
    assert "nak" not in pair.client.link.counters


def test_wake_up_bytes_go_first_with_a_pause() -> None:
    pair = Pair(client=OpticalClient(wake_bytes=4))
    assert isinstance(pair.open(), SessionOpened)
    assert pair.sent[0][2] == b"\x55" * 4
    assert pair.sent[1][2] == build(b"\x20")
    assert pair.sent[1][0] - pair.sent[0][0] >= 0.05


def test_a_lost_first_packet_on_a_shared_uart() -> None:
    pair = Pair(options=ServerOptions(first_packet_lost=True))
    for _ in range(2):
        assert isinstance(pair.open(), SessionOpened)
        assert pair.client.link.counters["nak"]
        pair.close()
    assert pair.client.link.counters["nak"] == 2


def test_a_stale_answer_is_not_taken_for_the_ident_answer() -> None:
    client = OpticalClient()
    client.open(now=0.0)
    client.outgoing(0.0)
    client.receive(b"\x06" + build(bytes.fromhex("0000080102030405060708dc")), 0.1)
    assert client.state is ClientState.IDENTIFYING
    client.outgoing(0.2)
    client.receive(build(bytes.fromhex("0000020000"), toggle=1), 0.3)
    assert client.state is ClientState.NEGOTIATING


def test_refusals_on_the_way_in() -> None:
    for code in (1, 2, 5, 6):
        client = OpticalClient()
        client.open(now=0.0)
        client.outgoing(0.0)
        client.receive(b"\x06" + build(bytes([code])), 0.1)
        assert client.state is ClientState.TERMINATING
        client.outgoing(0.2)
        client.abort(now=0.3)
        assert client.state is ClientState.CLOSED


def test_a_meter_that_cannot_negotiate_is_used_as_it_is() -> None:
    client = OpticalClient()
    client.open(1, "x", None, 64, 2, now=0.0)
    client.outgoing(0.0)
    client.receive(b"\x06" + build(bytes.fromhex("0000010000")), 0.1)
    client.outgoing(0.2)
    client.outgoing(0.3)
    client.receive(b"\x06" + build(b"\x02", toggle=1), 0.4)
    assert client.state is ClientState.LOGGING_ON
    assert (client.link.packet_size, client.link.packets) == (64, 1)


def test_wrong_calls_are_refused() -> None:
    client = OpticalClient()
    with pytest.raises(LocalProtocolError):
        client.request(READ_BT28, True, now=0.0)
    for wrong in (
        {"user_id": 70000},
        {"user": "much too long a name"},
        {"user": "ü"},
        {"key": bytes(21)},
        {"packet_size": 8},
        {"packets": 0},
        {"baud": 110},
    ):
        with pytest.raises(ConfigError):
            client.open(**wrong, now=0.0)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(ConfigError):
        OpticalClient(keep_alive_s=256)
    client.close(now=0.0)
    client.open(now=0.0)
    with pytest.raises(LocalProtocolError):
        client.open(now=0.0)
    with pytest.raises(LocalProtocolError):
        client.close(now=0.0)
    pair = Pair()
    pair.open()
    with pytest.raises(LocalProtocolError):
        pair.client.request(bytes(1000), False, now=pair.now)
    pair.client.request(READ_BT28, True, now=pair.now)
    with pytest.raises(LocalProtocolError):
        pair.client.request(READ_BT28, True, now=pair.now)


def test_abort_in_every_state_leaves_a_usable_client() -> None:
    for steps in range(40):
        pair = Pair()
        pair.client.open(1, "t", MK, now=0.0)
        pair.run(limit_s=0.02 * steps)
        pair.client.abort(now=pair.now)
        assert pair.client.state is ClientState.CLOSED
        assert isinstance(pair.open(), SessionOpened)
        assert answer(pair.ask(READ_BT28)) == bytes(8)


def test_the_table_of_transitions_is_whole() -> None:
    for (state, outcome), following in TRANSITIONS.items():
        assert isinstance(state, ClientState)
        assert isinstance(outcome, Outcome)
        assert isinstance(following, ClientState)
    reached = {ClientState.CLOSED}
    while True:
        more = {following for (state, _), following in TRANSITIONS.items() if state in reached} - reached
        if not more:
            break
        reached |= more
    assert reached == set(ClientState)
    for state in set(ClientState) - {ClientState.OPEN, ClientState.CLOSED}:
        assert (state, Outcome.OK) in TRANSITIONS
        assert TRANSITIONS[state, Outcome.FAILED] is ClientState.CLOSED


@pytest.mark.parametrize("state", list(ClientState))
@pytest.mark.parametrize(
    "data",
    [b"\x06", b"\x15", b"\x00", b"\x06" + build(b"\x00"), b"\x06" + build(b"\x0a"), b"\x06" + build(b""), b"\xee" * 30],
    ids=lambda data: data[:10].hex(),
)
def test_every_input_in_every_state_ends_in_our_error_or_success(state: ClientState, data: bytes) -> None:
    """Drive a real session to a state, say something odd there, and let it go on: it always comes to an end."""
    pair = Pair(client=OpticalClient(keep_alive_s=30))
    if state is ClientState.MATCHING:
        pair.client.distrust()
    pair.client.open(1, "t", MK, now=0.0)
    if state in (
        ClientState.OPEN,
        ClientState.REQUESTING,
        ClientState.WAITING,
        ClientState.LOGGING_OFF,
        ClientState.TERMINATING,
    ):
        pair.run(SessionOpened)
        if state is ClientState.REQUESTING:
            pair.client.request(READ_BT28, True, now=pair.now)
        elif state in (ClientState.LOGGING_OFF, ClientState.TERMINATING):
            pair.client.close(now=pair.now)
    for _ in range(400):
        if pair.client.state is state:
            break
        pair.run(limit_s=0.005 if state is not ClientState.WAITING else 0.5)
    else:
        assert state is ClientState.CLOSED
        pair.close()
    pair.client.receive(data, pair.now)
    pair.run(limit_s=30.0)
    for event in pair.client_events:
        if isinstance(event, OpenFailed | RequestFailed):
            assert isinstance(event.error, Error)
    if pair.client.state is ClientState.CLOSED:
        assert isinstance(pair.open(), SessionOpened)
    got = pair.ask(READ_BT28)
    assert answer(got) == bytes(8)


def test_an_unknown_answer_code_reaches_the_caller() -> None:
    pair = Pair()
    pair.open()
    pair.server._handle = lambda request, access, now: (0x77, None)
    assert pair.ask(READ_BT28).data == b"\x77"
    assert issubclass(ResponseError, Error)


def test_an_answer_is_handed_over_when_our_ack_has_left() -> None:
    """A blocking shell stops listening at the answer; the meter must not be left waiting for its ACK."""
    pair = Pair()
    for event in (pair.open(), pair.ask(READ_BT28), pair.close()):
        assert isinstance(event, SessionOpened | AnswerReceived | SessionClosed)
        assert pair.client.link.quiet
        assert pair.sent[-1][1:] == ("server", b"\x06")


@pytest.mark.parametrize("pause", [3.0, 5.2, 6.5, 30.0, 545.0, 3600.0])
@pytest.mark.parametrize("keep_alive_s", [0, 200])
def test_a_shell_that_listens_only_when_it_asks(pause: float, keep_alive_s: int) -> None:
    pair = Pair(client=OpticalClient(keep_alive_s=keep_alive_s))
    pair.open()
    for number in range(1, 4):
        pair.now += pause
        asked_at = pair.now
        assert isinstance(pair.ask(bytes([0x40, 0, 28, 0, 1, number, 256 - number]), read=False), AnswerReceived)
        assert pair.now - asked_at < 2.0
    assert len(pair.meter.writes) == 3
    assert pair.client.sessions == (1 if pause < 5.5 else 4)


def test_a_repeated_write_that_meets_an_ended_session_stays_in_doubt() -> None:
    """Done, its answer lost, the session gone: 0A to the repetition does not mean that nothing was written."""
    pair = Pair()
    pair.open()
    start = pair.now

    def fault(to: str, data: bytes) -> list[tuple[float, bytes]]:
        if to == "client" and pair.now < start + 1.5:
            return []
        return [(0.0, data)]

    pair.fault = fault
    pair.client.request(WRITE_BT28, False, now=pair.now)
    pair.run(limit_s=1.0)
    pair.server.mute(0.0, pair.now, "power dip")
    got = pair.run(AnswerReceived, RequestFailed)
    assert isinstance(got, RequestFailed)
    assert isinstance(got.error, PossiblyExecuted)
    assert len(pair.meter.writes) == 1
    assert answer(pair.ask(READ_BT28)) == bytes(range(8))
