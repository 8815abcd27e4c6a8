"""What only an enemy says, or bad luck: lists that loop and lie, nested messages, forged senders, changes at the wrong moment.

The line is without loss here: so every frame is one that somebody asked for, and they can be counted.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp.lon.address import Group, SubnetNode, UniqueNodeId
from osgp.lon.events import MessageReceived, ResponseReceived, TransactionCompleted, TransactionFailed
from osgp.lon.ltep import Ltep, Service, TargetType
from osgp.lon.proxy import Hop
from osgp.lon.timers import LONG_S, RECEIVE_S, TRANSMIT_S
from osgp.lon.transport import Options
from osgp.node.stack import Stack
from osgp.wire.errors import DecodeError
from tests.lon.forging import forged_ltep
from tests.lon.line import Line
from tests.lon.talk import configuration, group_entry, node


def street(count: int, **more: Any) -> list[Stack]:
    """Nodes 1/10, 1/20 … which are members 0, 1 … of group 5."""
    found = []
    for place in range(count):
        token = random.Random(place).randbytes
        found.append(node(1, 10 + 10 * place, group_entry(5, place, count), token=token, **more))
    return found


# ---- changes at the wrong moment -----------------------------------------------------------------------------------
def test_a_group_left_between_challenge_and_reply() -> None:
    """The message is delivered, and answered as from the group: it came to a member."""
    sender, receiver = street(2)
    line = Line(sender, receiver)
    events: list[Any] = []
    line.hear = lambda place, event: events.append((place, event))
    sender.send(Group(5, 2), b"\x3a\x01", 0.0, Options(authenticated=True))
    line.until(0.003)
    assert not events, "challenged, and not yet answered"
    receiver.configuration.addresses = [None] * 15
    receiver.configuration.changed()
    line.settle(5.0)
    assert [place for place, event in events if isinstance(event, MessageReceived) and event.authenticated] == [1]
    assert [place for place, event in events if isinstance(event, TransactionCompleted)] == [0]


def test_one_node_by_its_unique_node_id_is_one_peer_whatever_the_subnet_says() -> None:
    """Two messages in progress would push each other out of its one record, and be delivered again and again."""
    sender, receiver = street(2, concurrent=4)
    line = Line(sender, receiver)
    delivered: list[bytes] = []
    line.hear = lambda place, event: delivered.append(event.apdu) if isinstance(event, MessageReceived) else None
    identity = receiver.configuration.unique_node_id
    line.cut.add((1, 0))
    for subnet in (0, 1):
        sender.send(UniqueNodeId(identity, subnet), bytes((0x3A, subnet)), 0.0, Options(retry=3, timer_s=0.1))
    line.settle(5.0)
    assert delivered == [b"\x3a\x00", b"\x3a\x01"]


def test_a_chain_of_enhanced_mode_with_a_number_beyond_15() -> None:
    """The hops below speak the old mode and take a number of their own."""
    sender, agent, target = street(3)
    line = Line(sender, agent, target)
    sender.transport.numbers._next[2] = 300  # of messages without priority in enhanced mode
    responses: list[bytes] = []

    def hear(place: int, event: Any) -> None:
        if isinstance(event, MessageReceived) and event.reply is not None:
            line.nodes[place].respond(event.reply, b"\x3b" + event.apdu[1:], line.now)
        elif place == 0 and hasattr(event, "handle") and hasattr(event, "apdu"):
            responses.append(event.apdu)

    line.hear = hear
    chain = bytes.fromhex("4d00ec391e3a07")
    sender.request(SubnetNode(1, 20), chain, 0.0, Options(enhanced=True))
    line.settle(5.0)
    assert responses == [b"\x3b\x07"]


def test_a_late_answer_to_one_chain_is_none_to_the_next() -> None:
    """Both sources begin with number 0, which the agent takes over for the first chain, and not again for the second."""
    line = hostile_line(4)
    one, two, agent, target = line.nodes
    responses: list[tuple[int, bytes]] = []

    def hear(place: int, event: Any) -> None:
        if isinstance(event, MessageReceived) and event.reply is not None:
            line.nodes[place].respond(event.reply, b"\x3b" + event.apdu[1:], line.now)
        elif isinstance(event, ResponseReceived):
            responses.append((place, event.apdu))

    line.hear = hear
    hop, goal = [Hop(1, 30)], SubnetNode(1, 40)
    one.request_via(hop, goal, b"\x3a\x01", line.now)
    line.settle(5.0)
    late = next(each.frame for each in line.spoken if each.sender == 3)
    two.request_via(hop, goal, b"\x3a\x02", line.now)
    line.until(line.now + 0.002)
    assert agent.transport.busy == 1
    assert not target.reception._pending
    line.say(late)
    line.settle(5.0)
    assert responses == [(0, b"\x3b\x01"), (1, b"\x3b\x02")]


def test_a_late_answer_in_one_mode_is_none_in_the_other() -> None:
    """Enhanced mode has counters of its own, so that the same number may follow at once."""
    line = Line(*street(3))
    sender, one, other = line.nodes
    events: list[Any] = []
    line.hear = lambda place, event: events.append(event) if place == 0 else None
    line.cut.add((0, 2))
    sender.send(UniqueNodeId(one.configuration.unique_node_id), b"\x3a\x01", 0.0, Options(enhanced=True))
    line.settle(5.0)
    late = line.spoken[-1].frame
    assert [type(event) for event in events] == [TransactionCompleted]
    handle = sender.send(UniqueNodeId(other.configuration.unique_node_id), b"\x3a\x02", line.now, Options(retry=0))
    line.flush()
    line.say(late)
    line.settle(5.0)
    assert [event for event in events if event.handle == handle] == [TransactionFailed(handle, "no answer", 1)]


# ---- lists that would amplify --------------------------------------------------------------------------------------
SENDER = (1, 99)
"""Who attacks: a forged address, at which nobody is."""


def asked_for(apdu: bytes, hearers: int) -> int:
    """Frames that a proxy message asks for, all hops and all that is nested in it: each transmission, and its answers.

    ``retry + 1`` transmissions to each hop, as many to the target from the agent (with ``all_agents`` from every repeater too), each
    answered by one node, those to a group or all by every hearer. A message in it is carried out once by one target at most: what
    comes to many, no proxy serves.
    """
    if apdu[:1] == b"\x52" and len(apdu) > 2:
        return (1 + hearers) * 16
    if apdu[:1] != b"\x4d":
        return 0
    try:
        message = Ltep.decode(apdu)
    except DecodeError:
        return 0
    count = message.header.count
    hops = count * 2 * (message.transmit.retry + 1) if message.transmit is not None else 0
    many = message.control.target_type in (TargetType.GROUP, TargetType.GROUP_COMPACT, TargetType.BROADCAST)
    agents = count + 1 if message.header.all_agents and many else 1
    answers = hearers if many else 1
    copies = 1 if message.control.service == Service.UNACKD else message.control.retry + 1
    inner = 0 if many else asked_for(message.apdu, hearers)
    # A challenge and its reply for each transmission; none of these messages is authenticated, so none is asked for.
    return hops + agents * copies * (1 + answers) + inner


def runs(apdu: bytes) -> int:
    """How often a node may carry out the same message, if it comes again when it was forgotten and done with.

    That is the standard's own limit, for every message: a repeat later than the receive timer is a new one. But repeats stop with the
    longest leg in it, and who begins again later than a receive timer has less of that time left: so the runs add up to the time
    divided by the receive timer, however deep messages are nested, and do not multiply. Twice that, for what begins in between.
    """
    return 1 + 2 * int(longest_s(apdu) / RECEIVE_S[12])


def longest_s(apdu: bytes) -> float:
    """The longest that one leg of a message lasts."""
    try:
        message = Ltep.decode(apdu)
    except DecodeError:
        return 49.2 if apdu[:1] == b"\x52" else 0.0
    if apdu[:1] != b"\x4d":
        return 49.2 if apdu[:1] == b"\x52" else 0.0
    target = (message.control.retry + 1) * TRANSMIT_S[message.control.timer]
    hop = 0.0
    if message.transmit is not None:
        row = LONG_S if message.header.long_timer and message.transmit.timer < len(LONG_S) else TRANSMIT_S
        hop = (message.transmit.retry + 1) * row[message.transmit.timer]
    return max(target, hop, longest_s(message.apdu))


def attack(line: Line, apdu: bytes, destination: tuple[int, int], *, kind: int = 1, number: int = 3) -> int:
    """One frame with a proxy message from nobody; gives the frames that the network said until it was quiet."""
    control = kind << 4 | 2 << 2 | 1
    header = b"" if kind == 3 else bytes((number,))
    frame = bytes((0x01, control, SENDER[0], 0x80 | SENDER[1], destination[0], 0x80 | destination[1])) + b"\x49"
    line.say(frame + header + apdu)
    line.settle(DAY_S)
    return len(line.spoken) - 1


DAY_S = 86_400.0
"""Whatever is asked, the network is quiet again within a day (a full queue of the longest chains takes hours)."""


def hostile_line(count: int = 5) -> Line:
    def hear(place: int, event: Any) -> None:
        if isinstance(event, MessageReceived) and event.reply is not None:
            line.nodes[place].respond(event.reply, b"\x3b", line.now)

    line = Line(*street(count, queue=8), hear=hear)
    return line


SLOWEST = "ff"
"""Retry 15, timer code 15: 49 s for one hop, six times as long as a received message is remembered."""


@pytest.mark.parametrize("kind", [0, 1, 3], ids=["acknowledged", "request", "unacknowledged"])
@pytest.mark.parametrize(
    "hops",
    [
        "0114" * 15,
        "011e0114" * 7 + "011e",
        "011e01280132" * 5,
        "0163" * 15,
        "0114" + "0163" * 14,
    ],
    ids=["itself", "back and forth", "around", "nobody", "itself, then nobody"],
)
@pytest.mark.parametrize("control", ["00", "39", SLOWEST])
def test_lists_that_loop_end(hops: str, control: str, kind: int) -> None:
    """Each hop costs an address and runs once, however long the one before it repeats."""
    apdu = bytes.fromhex(f"4d0f{hops}{control}2c{control}013251")
    line = hostile_line()
    said = attack(line, apdu, (1, 20), kind=kind)
    assert said <= asked_for(apdu, 4) + 2


@pytest.mark.parametrize("repeated", [False, True])
def test_a_slow_chain_behind_nodes_that_forget_sooner(repeated: bool) -> None:
    """Repeats come up to 49 s long, receive timers last 8 s: what seems new is still at work and is not sent on again."""
    apdu = bytes.fromhex(f"4d04 011e 0128 0132 0163 {SLOWEST} 2c{SLOWEST} 0162 51")
    line = hostile_line()
    said = attack(line, apdu, (1, 20), number=0x13 if repeated else 3, kind=0 if repeated else 1)
    assert said <= asked_for(apdu, 4) + 2
    assert said >= 3 * 16, "it was carried out"


def test_a_long_timer_too() -> None:
    apdu = bytes.fromhex("4d43 011e 0128 0163 f7 2c39 0162 51")
    line = hostile_line()
    assert 2 * 16 <= attack(line, apdu, (1, 20), number=0x13, kind=0) <= asked_for(apdu, 4) + 2


@pytest.mark.parametrize("service", range(4))
def test_a_message_to_all_within_a_message_to_all(service: int) -> None:
    """Each hearer would be an agent, and each of its hearers again: six nodes would say 6 ** 12 frames."""
    apdu = b"\x51"
    for _ in range(12):
        apdu = bytes((0x4D, 0x00, 3 << 5 | service << 2, 0x12, 0x00, 0x05)) + apdu
    line = hostile_line(6)
    said = attack(line, apdu, (1, 20))
    assert 1 <= said <= asked_for(apdu, 5) + 2
    assert said < 20


def test_a_message_to_all_is_no_proxy_message() -> None:
    line = hostile_line(6)
    inner = bytes.fromhex("4d 00 6c12 00 05 51")
    line.say(bytes.fromhex("01 11 01 e3 00 49 03") + inner)
    line.say(bytes.fromhex("01 15 01 e3 05 49 04") + inner)
    line.say(bytes.fromhex("00 31 01 e3 00 49") + inner)
    line.say(bytes.fromhex("01 11 01 e3 00 49 05 52 01 03 00 30 02 00"))
    line.settle(60.0)
    assert len(line.spoken) == 4


def test_both_uniform_flags_mean_the_sources_subnet() -> None:
    line = hostile_line(3)
    assert attack(line, bytes.fromhex("4d 91 1e 00 2c00 011e 3a"), (1, 20)) <= 4
    assert line.spoken[1].frame[4:6] == bytes.fromhex("01 9e")


def test_messages_in_messages_cost_bytes() -> None:
    """Seventeen of them fit one in another; each has one target."""
    apdu = b"\x51"
    for turn in range(17):
        apdu = bytes((0x4D, 0x00, 7 << 5 | 3 << 2, 0x38, (20, 30, 40)[turn % 3])) + apdu
    line = hostile_line()
    assert attack(line, apdu, (1, 50)) <= asked_for(apdu, 4) + 2


@given(seed=st.integers(0, 2**32), kind=st.sampled_from((0, 1, 1, 3)))
def test_any_proxy_message_is_bounded_by_what_it_asks_for(seed: int, kind: int) -> None:
    apdu = forged_ltep(random.Random(seed), [(1, 10), (1, 20), (1, 30), (1, 40), SENDER])[:220]
    line = hostile_line(4)
    said = attack(line, apdu, (1, 20), kind=kind)
    assert said <= runs(apdu) * asked_for(apdu, 3) + 2, apdu.hex()


def test_slow_messages_around_faster_ones() -> None:
    """The worst that nesting can do: each has just ended when the one around it repeats once more."""
    apdu = b"\x51"
    for turn, timer in enumerate((0, 9, 10, 11, 12, 13, 14, 15)):
        apdu = bytes((0x4D, 0x00, 7 << 5 | 1 << 2, 0xF0 | timer, (20, 30, 40)[turn % 3])) + apdu
    line = hostile_line()
    said = attack(line, apdu, (1, 50))
    assert said <= runs(apdu) * asked_for(apdu, 4) + 2
    assert runs(apdu) == 13


# ---- forged senders and answers ------------------------------------------------------------------------------------
def frame_of(source: str, destination: str, pdu: str, kind: int = 0) -> bytes:
    """A legacy frame in domain 49 from hex parts; a source node without bit 7 makes it the answer of a group's member."""
    return bytes.fromhex(f"00{kind << 4 | 9:02x}{source}{destination}49{pdu}")


@pytest.mark.parametrize(
    ("request_", "forgery"),
    [
        (False, frame_of("0194", "018a", "20", 1)),
        (True, frame_of("0194", "018a", "20", 0)),
        (True, frame_of("0194", "018a", "21ee", 1)),
        (True, frame_of("019e", "018a", "20ee", 1)),
        (True, frame_of("0114", "018a0501", "20ee", 1)),
        (False, frame_of("0114", "018a0501", "20", 0)),
        (False, b"\x80" + frame_of("0194", "018a", "20", 0)[1:]),
        (False, bytes.fromhex("00890194018a492000")),
    ],
    ids=[
        "response to no request",
        "acknowledgement of a request",
        "another number",
        "another node",
        "a member's response to no group",
        "a member's acknowledgement to no group",
        "another priority",
        "another mode",
    ],
)
def test_what_looks_like_an_answer_and_is_none(request_: bool, forgery: bytes) -> None:
    sender = node(1, 10)
    destination, options = SubnetNode(1, 20), Options(retry=0)
    start = sender.request if request_ else sender.send
    handle = start(destination, b"\x3a\x01", 0.0, options)
    sender.outgoing(0.0)
    sender.receive_frame(forgery, 0.1)
    assert not [event for event in sender.events() if hasattr(event, "handle")]
    assert sender.configuration.statistics.late_acknowledgements == 1
    sender.wake(1.0)
    assert list(sender.events()) == [TransactionFailed(handle, "no answer", 1)]


@pytest.mark.parametrize(
    "answers",
    [
        ["0114018a0501"] * 3,
        ["0114018a0501", "0115018a0546", "0116018a0547"],
        ["0114018a0601", "0115018a0602"],
        ["0194018a", "0195018a"],
    ],
    ids=["one member again and again", "members beyond 63", "of another group", "of no group"],
)
def test_a_group_is_complete_only_when_each_member_has_answered(answers: list[str]) -> None:
    sender = node(1, 10, group_entry(5, 0, 3))
    sender.send(Group(5, 3), b"\x3a\x01", 0.0, Options(retry=0))
    for raw in answers:
        sender.receive_frame(bytes.fromhex(f"0009{raw}4920"), 0.1)
    assert not sender.events()
    sender.wake(1.0)
    (event,) = sender.events()
    assert isinstance(event, TransactionFailed)


def test_a_message_in_the_form_of_a_members_answer_is_answered_once() -> None:
    """Nobody sends so; it is for this node all the same, and its answer goes to the one who says to be its sender."""
    receiver = node(1, 20)
    receiver.receive_frame(bytes.fromhex("0109010a01940501 49 03 3a01"), 0.0)
    assert [packet.lpdu().hex() for packet in receiver.outgoing(0.0)] == ["00090194018a4923"]


def test_a_forged_source_gets_one_answer_for_one_frame() -> None:
    """Whoever is named as the source of a chain is told its end, once: nothing is gained by naming a victim."""
    line = hostile_line(4)
    line.say(bytes.fromhex("0119 01 8a 01 94 49 03 4d00ec39 28 51"))
    line.settle(60.0)
    to_victim = [each.frame for each in line.spoken if each.frame[4:6] == bytes.fromhex("018a")]
    assert len(to_victim) == 1


def test_after_a_reset_too_nothing_with_a_number_is_sent_for_a_while() -> None:
    sender = Stack(configuration(1, 10), now=0.0)
    sender.wake(2.0)
    sender.reset(10.0)
    sender.send(SubnetNode(1, 20), b"\x3a", 10.0)
    assert not sender.outgoing(10.0)
    assert sender.deadline() == 12.0
    sender.wake(12.0)
    assert len(sender.outgoing(12.0)) == 1


def test_after_a_reset_nobody_waits_for_room_among_destinations_that_were_forgotten() -> None:
    sender = Stack(configuration(1, 10), now=0.0, destinations=1)
    sender.wake(2.0)
    sender.send(SubnetNode(1, 20), b"\x3a", 2.0, Options(retry=0))
    sender.wake(3.0)
    sender.send(SubnetNode(1, 30), b"\x3a", 3.0)
    assert sender.deadline() == 27.0
    sender.reset(5.0)
    sender.send(SubnetNode(1, 30), b"\x3a", 5.0)
    assert sender.deadline() == 7.0
