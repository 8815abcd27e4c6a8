"""The rules of the link, one by one: ACK, NAK, toggle, duplicates, time-outs, echo, noise."""

from __future__ import annotations

from typing import Any

import pytest

from osgp.c1218.events import (
    ChannelTimedOut,
    Dropped,
    EchoSeen,
    MessageReceived,
    MessageSent,
    MessageSpoiled,
    TransactionFailed,
)
from osgp.c1218.link import Link, LinkTimers, Phase
from osgp.c1218.packet import build, split
from osgp.wire.errors import LocalProtocolError

ACK, NAK = b"\x06", b"\x15"
FAST = LinkTimers(turn_round_s=0.0, gap_s=0.0)
OK0, OK1 = build(b"\x00", toggle=0), build(b"\x00", toggle=1)
ASK0, ASK1 = build(b"\x20", toggle=0), build(b"\x21", toggle=1)


def client(message: bytes = b"\x20", *, timers: LinkTimers = FAST) -> Link:
    """A client whose request has just left."""
    link = Link(client=True, timers=timers)
    link.send(message, 0.0)
    assert link.outgoing(0.0)
    return link


def kinds(link: Link) -> list[type]:
    return [type(event) for event in link.events()]


def messages(link: Link) -> list[bytes]:
    return [event.data for event in link.events() if isinstance(event, MessageReceived)]


def pass_time(link: Link, until: float) -> list[tuple[float, bytes]]:
    """What the link says on its own until a moment."""
    said = []
    while (due := link.deadline()) is not None and due <= until:
        link.wake(due)
        data = link.outgoing(due)
        if data:
            said.append((round(due, 3), data))
    return said


def test_ack_and_answer_in_one_segment() -> None:
    link = client()
    link.receive(ACK + OK0, 0.1)
    assert kinds(link) == [MessageSent, MessageReceived]
    assert link.outgoing(0.1) == ACK
    assert link.phase is Phase.IDLE


def test_the_toggle_changes_with_each_new_packet() -> None:
    link = client(b"\x20")
    link.receive(ACK + OK0, 0.1)
    link.outgoing(0.1)
    link.send(b"\x21", 0.1)
    assert link.outgoing(0.1) == build(b"\x21", toggle=1)


@pytest.mark.parametrize("spoiler", [NAK, b""])
def test_nak_or_silence_brings_the_identical_packet_three_more_times(spoiler: bytes) -> None:
    link = client()
    for number in range(3):
        if spoiler:
            link.receive(spoiler, 0.1 * number)
            assert link.outgoing(0.1 * number) == ASK0
        else:
            assert pass_time(link, 2.0 * (number + 1)) == [(2.0 * (number + 1), ASK0)]
    if spoiler:
        link.receive(spoiler, 1.0)
    else:
        pass_time(link, 8.0)
    (failed,) = [event for event in link.events() if isinstance(event, TransactionFailed)]
    assert failed.attempts == 4
    assert link.phase is Phase.IDLE


def test_zero_passes_for_an_ack_with_the_client_only() -> None:
    link = client()
    link.receive(b"\x00" + OK0, 0.1)
    assert kinds(link) == [MessageSent, MessageReceived]
    server = Link(client=False, timers=FAST)
    server.receive(ASK0, 0.0)
    server.send(b"\x00", 0.0)
    server.outgoing(0.0)
    server.receive(b"\x00", 0.1)
    assert server.phase is Phase.AWAIT_ACK


def test_a_false_zero_before_a_nak_does_no_harm() -> None:
    """MEP talk on the shared UART holds zeros; the NAK of the lost first packet follows."""
    link = client()
    link.receive(b"\x00\x10\x20\x00" + NAK, 0.1)
    assert link.outgoing(0.1) == ASK0
    link.receive(ACK + OK0, 0.2)
    assert messages(link) == [b"\x00"]


def test_a_duplicate_answer_is_acknowledged_and_thrown_away() -> None:
    link = client()
    link.receive(ACK + OK0, 0.1)
    link.outgoing(0.1)
    link.receive(OK0, 0.2)
    assert link.outgoing(0.2) == ACK
    assert messages(link) == [b"\x00"]
    link.send(b"\x21", 0.3)
    link.outgoing(0.3)
    link.receive(ACK + OK0, 0.4)
    assert link.outgoing(0.4) == ACK
    assert messages(link) == []
    link.receive(OK1, 0.5)
    assert messages(link) == [b"\x00"]


def test_a_late_answer_where_an_ack_was_due_counts_for_nothing() -> None:
    link = client()
    link.receive(build(b"\x00late", toggle=1), 0.1)
    assert link.outgoing(0.1) == ACK
    assert link.phase is Phase.AWAIT_ACK
    link.receive(ACK + OK0, 0.2)
    assert messages(link) == [b"\x00"]


def test_a_lost_ack_is_healed_by_the_repeated_request() -> None:
    """ACK lost, answer seen: it is dropped, the request goes again, and the same answer is then good."""
    link = client()
    link.receive(OK0, 0.1)
    assert link.outgoing(0.1) == ACK
    assert pass_time(link, 2.0) == [(2.0, ASK0)]
    link.receive(ACK + OK0, 2.1)
    assert messages(link) == [b"\x00"]


def test_same_toggle_other_crc_is_out_of_step() -> None:
    link = client()
    link.receive(ACK + OK0, 0.1)
    link.outgoing(0.1)
    link.send(b"\x21", 0.2)
    link.outgoing(0.2)
    link.receive(ACK + build(b"\x05", toggle=0), 0.3)
    assert kinds(link)[-2:] == [Dropped, MessageSpoiled]
    assert link.outgoing(0.3) == ACK
    link.send(b"\x21", 0.4)
    link.outgoing(0.4)
    link.receive(ACK + build(b"\x05", toggle=0), 0.5)
    assert messages(link) == [b"\x05"]


def test_at_session_start_either_toggle_is_accepted() -> None:
    for answer in (OK0, OK1):
        link = client()
        link.receive(ACK + answer, 0.1)
        link.outgoing(0.1)
        link.reset()
        link.send(b"\x20", 0.2)
        link.outgoing(0.2)
        link.receive(ACK + answer, 0.3)
        assert messages(link).count(b"\x00") == 2


def test_a_packet_that_stops_short_is_naked_after_the_character_time() -> None:
    """Field note: the 83334-3I does this every 13 minutes; NAK brings it whole."""
    link = client()
    link.receive(ACK + OK0[:5], 0.1)
    assert pass_time(link, 1.0)[0][1] == NAK
    link.receive(OK0, 1.0)
    assert link.outgoing(1.0) == ACK
    assert messages(link) == [b"\x00"]


def test_nak_waits_for_silence() -> None:
    link = Link(client=False)
    link.receive(ASK0[:-1] + b"\x77", 0.0)
    for number in range(5):
        link.receive(b"\x06\xee\x15", 0.015 * number)
        assert link.outgoing(0.015 * number) == b""
    ((moment, said),) = pass_time(link, 0.2)
    assert said == NAK
    assert moment == pytest.approx(0.08)
    link.receive(ASK0, 0.2)
    assert messages(link) == [b"\x20"]


def test_a_length_beyond_the_packet_size_is_damage() -> None:
    link = Link(client=False, timers=FAST)
    link.receive(b"\xee\x00\x00\x00\xff\xff" + bytes(300), 0.0)
    assert pass_time(link, 0.1)[0][1] == NAK


def test_the_client_gives_up_on_an_answer_that_is_always_damaged() -> None:
    link = client()
    link.receive(ACK, 0.1)
    now = 0.1
    for _ in range(6):
        now += 0.3
        link.receive(OK0[:-1] + b"\x00", now)
        pass_time(link, now + 0.1)
    assert TransactionFailed in kinds(link)


def test_wake_up_bytes_and_noise_are_skipped_in_silence() -> None:
    link = Link(client=False, timers=FAST)
    for noise in (b"\x55" * 4, b"\xff\xff", b"\xee\xff", b"\x00\x0a\x30", ACK, NAK):
        link.receive(noise, 0.0)
    assert pass_time(link, 1.0) == []
    link.receive(b"\xff" + ASK0 + ACK, 1.0)
    assert messages(link) == [b"\x20"]
    assert link.outgoing(1.0) == ACK


def test_the_server_answers_a_duplicate_again_but_hands_it_up_once() -> None:
    link = Link(client=False, timers=FAST)
    link.receive(ASK0, 0.0)
    link.send(b"\x00", 0.0)
    assert link.outgoing(0.0) == ACK + OK0
    link.receive(ASK0, 1.0)  # while our answer is not acknowledged
    assert link.outgoing(1.0) == ACK + OK0
    link.receive(ACK, 1.1)
    link.receive(ASK0, 1.2)  # and after it was
    assert link.outgoing(1.2) == ACK + OK0
    assert messages(link) == [b"\x20"]


def test_a_doubled_request_gets_one_answer() -> None:
    link = Link(client=False, timers=FAST)
    link.receive(ASK0 + ASK0, 0.0)
    (message,) = messages(link)
    link.send(message, 0.0)
    link.receive(ASK0, 0.0)
    assert link.outgoing(0.0) == ACK + build(b"\x20")


def test_a_duplicate_that_began_before_the_answer_had_left_is_not_answered_again() -> None:
    link = Link(client=False)
    link.receive(ASK0, 0.0)
    link.send(bytes(50), 0.0)
    ((acked, said), (answered, packet)) = pass_time(link, 0.1)
    assert (said, packet[0]) == (ACK, 0xEE)
    gone = answered + 10 * len(packet) / 9600
    link.receive(ASK0, gone)
    assert pass_time(link, gone + 1.0) == []
    link.receive(ASK0, gone + 1.0)
    assert [data for _, data in pass_time(link, gone + 1.2)] == [ACK, packet]
    assert acked < answered
    assert messages(link) == [b"\x20"]


def test_a_new_request_stands_for_the_ack_of_the_last_answer() -> None:
    link = Link(client=False, timers=FAST)
    link.receive(ASK0, 0.0)
    link.send(b"\x00", 0.0)
    link.outgoing(0.0)
    link.receive(ASK1, 0.1)
    assert kinds(link) == [MessageReceived, MessageSent, MessageReceived]
    link.send(b"\x00", 0.1)
    assert link.outgoing(0.1) == ACK + OK1


def test_the_duplicate_memory_ends_with_the_traffic_time() -> None:
    link = Link(client=False, timers=FAST)
    link.receive(ASK0, 0.0)
    link.send(b"\x00", 0.0)
    link.outgoing(0.0)
    link.receive(ACK, 0.0)
    pass_time(link, 7.0)
    assert ChannelTimedOut in kinds(link)
    link.receive(ASK0, 8.0)
    assert messages(link) == [b"\x20"]


def test_a_repeated_part_of_a_message_is_acknowledged_once_more() -> None:
    link = Link(client=False, timers=FAST)
    link.packets = 3
    message = bytes(range(0x20, 0x20 + 150))
    parts = split(message)
    assert len(parts) == 3
    for part in (parts[0], parts[0], parts[1], parts[1], parts[2]):
        link.receive(part, 0.0)
        assert link.outgoing(0.0) == ACK
    assert messages(link) == [message]


def test_parts_out_of_order_and_too_many_parts_spoil_the_message() -> None:
    parts = split(bytes(range(0x20, 0x20 + 150)))
    for packets, order in ((3, (0, 2)), (3, (1, 2)), (2, (0, 1, 2))):
        link = Link(client=False, timers=FAST)
        link.packets = packets
        for number in order:
            link.receive(parts[number], 0.0)
        assert MessageSpoiled in kinds(link)
        link.receive(build(b"\x20", toggle=len(order) & 1), 0.0)
        assert messages(link) == [b"\x20"]


def test_wait_extends_the_traffic_time_until_the_next_message() -> None:
    link = Link(client=False, timers=FAST)
    link.receive(ASK0, 0.0)
    link.extend(60)
    link.outgoing(0.0)
    assert pass_time(link, 59.0) == []
    assert ChannelTimedOut not in kinds(link)
    link.receive(ASK1, 59.0)
    pass_time(link, 65.5)
    assert ChannelTimedOut in kinds(link)


def test_turn_round_is_kept_before_every_transmission() -> None:
    link = Link(client=True)
    link.send(b"\x20", 0.0)
    link.outgoing(0.0)
    link.receive(ACK, 0.1)
    link.receive(OK0, 0.11)
    assert link.outgoing(0.12) == b""
    assert link.deadline() == pytest.approx(0.13)
    assert link.outgoing(0.13) == ACK
    link.send(b"\x21", 0.13)
    assert link.outgoing(0.14) == b""
    assert pass_time(link, 0.2) == [(pytest.approx(0.151, abs=0.001), build(b"\x21", toggle=1))]


def test_times_count_from_the_end_of_a_slow_packet() -> None:
    link = Link(client=True, baud=300)
    link.send(bytes([0x40]) + bytes(50), 0.0)
    raw = link.outgoing(0.0)
    deadline = link.deadline()
    assert deadline == pytest.approx(len(raw) * 10 / 300 + 2.0)


def test_own_bytes_that_come_back_are_seen_and_skipped() -> None:
    link = client()
    link.receive(ASK0, 0.0)
    assert kinds(link) == [EchoSeen]
    link.receive(ACK + OK0, 0.1)
    assert link.outgoing(0.1) == ACK
    link.receive(ACK, 0.11)  # the echo of our ACK is not the ACK of the next packet
    link.send(b"\x21", 0.2)
    second = link.outgoing(0.2)
    link.receive(second[:4], 0.2)
    link.receive(second[4:] + ACK + OK1, 0.3)
    assert messages(link) == [b"\x00", b"\x00"]
    assert link.counters["echo"] == 1
    assert "stray acknowledgement" not in link.counters


def test_an_echo_that_stops_does_not_swallow_answers() -> None:
    link = client()
    link.receive(ASK0, 0.0)
    link.receive(ACK + OK0, 0.1)
    link.outgoing(0.1)
    link.send(b"\x21", 0.2)
    link.outgoing(0.2)
    link.receive(NAK, 0.3)
    assert not link.echo
    assert link.outgoing(0.3) == ASK1


def test_one_message_at_a_time() -> None:
    link = client()
    with pytest.raises(LocalProtocolError):
        link.send(b"\x21", 0.0)


@pytest.mark.parametrize("phase", [Phase.IDLE, Phase.AWAIT_ACK, Phase.AWAIT_ANSWER])
@pytest.mark.parametrize("side", ["client", "server"])
@pytest.mark.parametrize(
    "data",
    [
        ACK,
        NAK,
        b"\x00",
        b"\xff",
        b"\x55" * 9,
        ASK0,
        ASK1,
        OK0,
        OK1,
        OK0[:-1] + b"\x00",
        OK0[:3],
        b"\xee" * 20,
        split(bytes(100))[0],
        split(bytes(100))[1],
        b"\xee\x00\x00\x00\xff\xff",
    ],
    ids=lambda data: data[:8].hex(),
)
def test_every_input_in_every_phase_comes_to_rest(phase: Phase, side: str, data: bytes) -> None:
    """No input raises, and whatever it starts ends: afterwards an ordinary exchange works."""
    link: Any = Link(client=side == "client", timers=FAST)
    if side == "server" and phase is Phase.AWAIT_ANSWER:
        link.receive(ASK0[:7], 0.0)  # a server waits for no answer; let it be in the middle of a request instead
    elif phase is not Phase.IDLE:
        link.send(b"\x20", 0.0)
        link.outgoing(0.0)
        if phase is Phase.AWAIT_ANSWER:
            link.receive(ACK, 0.0)
    link.receive(data, 0.1)
    link.outgoing(0.1)
    pass_time(link, 60.0)
    assert link.phase is Phase.IDLE
    link.events()
    if side == "client":
        link.reset()
        link.send(b"\x20", 100.0)
        assert pass_time(link, 100.0) == [(100.0, ASK0)]
        link.receive(ACK + OK0, 100.1)
        assert messages(link) == [b"\x00"]
    else:
        link.receive(build(b"\x52", toggle=1), 100.0)
        assert messages(link) == [b"\x52"]
