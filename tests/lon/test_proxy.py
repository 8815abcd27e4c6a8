"""Repeating: the worked chains of the digest frame by frame, every form of address, and chains that break."""

from __future__ import annotations

import pytest

from osgp.lon.address import Broadcast, Destination, Group, SubnetNode, UniqueNodeId
from osgp.lon.entries import LastByte
from osgp.lon.events import Dropped, MessageReceived, ResponseReceived, TransactionCompleted, TransactionFailed
from osgp.lon.ltep import AlternateKey, AlternateKeyKind, Ltep, Mode, Service
from osgp.lon.numbers import TransactionNumbers
from osgp.lon.packet import Packet, packet_of
from osgp.lon.proxy import Hop, ProxyFailure, chain_message, extra_wait_s, failure_in, safe_timer_s
from osgp.lon.transport import Options
from osgp.node.stack import ChainOptions, Stack
from osgp.wire.errors import ConfigError
from tests.lon.talk import BY_NAME, KEY, Talk, fresh, group_entry, node

CHAIN = (Hop(1, 20), Hop(1, 30), Hop(2, 40))
TARGET = SubnetNode(2, 50)
WORKED = ChainOptions(compact=False, timer=9)
"""What the worked chains of the digest use: explicit addresses, hop control 39."""


def golden(name: str) -> str:
    return str(BY_NAME[name]["hex"])


def street() -> tuple[Stack, Stack, Stack, Stack, Stack]:
    """Source, two repeaters, agent and target of the worked chains, one behind the other."""
    return node(1, 10), node(1, 20), node(1, 30), node(2, 40), node(2, 50)


def without(missing: Stack, *nodes: Stack) -> Talk:
    return Talk(*(each for each in nodes if each is not missing))


def test_the_worked_chain() -> None:
    source, *others = street()
    talk = Talk(source, *others)
    talk.answers[others[-1]] = lambda _: b"\x3b\x01"
    handle = source.request_via(CHAIN, TARGET, b"\x3a", 0.0, WORKED)
    talk.until(1.0)
    asked = [golden(f"ltep-{step}") for step in ("1-source", "2-repeater", "3-to-agent", "4-agent-to-target")]
    assert talk.spoken[:4] == [frame.removesuffix("51") + "3a" for frame in asked]
    answered = [golden("ltep-5-target-response"), golden("ltep-6-relayed-response")]
    assert talk.spoken[4:6] == [frame[: frame.index("31")] + "3b01" for frame in answered]
    assert talk.tell(source, ResponseReceived) == [ResponseReceived(handle, SubnetNode(1, 20), b"\x3b\x01")]
    assert talk.tell(source, TransactionCompleted) == [TransactionCompleted(handle)]
    assert len(talk.spoken) == 8


def test_status_of_a_target_that_knows_nothing_of_proxies() -> None:
    source, *others = street()
    talk = Talk(source, *others)
    source.request_via(CHAIN, TARGET, b"\x51", 0.0, WORKED)
    talk.until(1.0)
    assert talk.spoken[:4] == [
        golden(f"ltep-{s}") for s in ("1-source", "2-repeater", "3-to-agent", "4-agent-to-target")
    ]
    assert [event.apdu[0] for event in talk.tell(source, ResponseReceived)] == [0x31]


@pytest.mark.parametrize(
    ("dead", "hop", "told"),
    [(4, 3, "4c00"), (3, 2, "4c01"), (2, 1, "4c02"), (1, 0, "")],
    ids=["target", "agent", "second", "first"],
)
def test_a_chain_that_breaks_says_where(dead: int, hop: int, told: str) -> None:
    nodes = street()
    source = nodes[0]
    talk = without(nodes[dead], *nodes)
    handle = source.request_via(CHAIN, TARGET, b"\x51", 0.0)
    talk.until(60.0)
    (failure,) = talk.tell(source, TransactionFailed)
    assert (failure.handle, failure.hop) == (handle, hop)
    names = ["1/20", "1/30", "2/40", "2/50"]
    assert names[dead - 1] in failure.reason
    if told:
        assert talk.spoken[-1].endswith(told)
    assert all(each.deadline() is None for each in talk.nodes)
    assert all(each.transport.busy == 0 for each in talk.nodes)


@pytest.mark.parametrize("dead", [4, 3, 2])
def test_eight_hops(dead: int) -> None:
    hops = [Hop(1, 20 + place) for place in range(8)]
    nodes = [node(1, 10), *(node(hop.subnet, hop.node) for hop in hops), node(1, 50)]

    def hears(sender: Stack, receiver: Stack, _frame: bytes) -> bool:
        return abs(nodes.index(sender) - nodes.index(receiver)) == 1

    talk = Talk(*nodes, hears=hears)
    talk.answers[nodes[-1]] = lambda _: b"\x3b" + bytes(102)
    source = nodes[0]
    handle = source.request_via(hops, SubnetNode(1, 50), b"\x3a" + bytes(102), 0.0)
    talk.until(5.0)
    assert talk.tell(source, TransactionCompleted) == [TransactionCompleted(handle)]
    assert talk.tell(source, ResponseReceived)[0].apdu == b"\x3b" + bytes(102)
    assert len(talk.spoken) == 18, "nobody said anything twice"
    broken = Talk(*(each for place, each in enumerate(nodes) if place != 9 - dead), hears=hears)
    broken.now = 50.0
    source.request_via(hops, SubnetNode(1, 50), b"\x3a", 50.0)
    broken.until(120.0)
    assert [event.hop for event in broken.tell(source, TransactionFailed)] == [8 - dead]


@pytest.mark.parametrize(("compact", "length"), [(True, 9), (False, 12)])
def test_uniform_addresses_shorten_the_message(compact: bool, length: int) -> None:
    hops = [Hop(1, 20), Hop(1, 30), Hop(1, 40)]
    nodes = [node(1, 10), *(node(1, hop.node) for hop in hops), node(1, 50)]
    talk = Talk(*nodes)
    handle = nodes[0].request_via(hops, SubnetNode(1, 50), b"\x51", 0.0, ChainOptions(compact=compact))
    talk.until(1.0)
    assert talk.tell(nodes[0], TransactionCompleted) == [TransactionCompleted(handle)]
    assert len(bytes.fromhex(talk.spoken[0])) - 8 == length


@pytest.mark.parametrize(
    ("apdu", "frame"),
    [
        ("4d00cc3907000000013251", "011d019400070000000132490051"),
        ("4d004c390507000000013251", "011d019405070000000132490051"),
        ("4d00203901323a01", "0109019401b249003a01"),
        ("4d00003905043a01", "030501940549003a01"),
        ("4d008839053a01", "0035019405493a01"),
        ("4d00603901063a01", "0601019401" + "49003a01"),
        ("4d00603901003a01", "0f01019401" + "49003a01"),
        ("4d00643900003a01", "0301019400" + "49103a01"),
        ("4d00683900003a01", "0031019400" + "493a01"),
        ("4d00ec393251", "0119019401b2490051"),
        ("4d00ac393251", "0119019401b2490051"),
        ("4d003c39013251", "4119019401b2490051"),
        ("4d002c3901b251", "0119019401b2490051"),
        ("4d821e2828ec393251", "01190194019e49004d812828ec393251"),
        ("4d121e2828ac393251", "01190194019e49004d112828ac393251"),
        ("4d921e2828ac393251", "01190194019e49004d912828ac393251"),
        ("4d02019e0228393c39023251", "41190194019e49004d010228393c39023251"),
    ],
)
def test_what_one_node_makes_of_a_message(apdu: str, frame: str) -> None:
    """Node 1/20 as agent or repeater of a request from 1/10."""
    proxy = node(1, 20)
    proxy.receive_frame(bytes.fromhex("0119018a01944900" + apdu), 0.0)
    first, *done = [packet.lpdu().hex() for packet in proxy.outgoing(0.0)]
    assert first == frame
    assert done == (["00190194018a49204d"] if frame[3] in "15" and frame[2] == "3" else []), (
        "nobody answers the last leg"
    )


def test_uniform_by_source_takes_the_subnet_of_the_packet() -> None:
    proxy = node(3, 20)
    proxy.receive_frame(bytes.fromhex("0119018a03944900" + "4d111e28ac393251"), 0.0)
    assert proxy.outgoing(0.0)[0].lpdu().hex().startswith("01190394019e")
    proxy = node(3, 20)
    proxy.receive_frame(bytes.fromhex("0119018a03944900" + "4d811e28ac393251"), 0.0)
    assert proxy.outgoing(0.0)[0].lpdu().hex().startswith("01190394039e")


def test_the_number_and_the_priority_run_along_the_chain() -> None:
    source, *others = street()
    source.transport.numbers = TransactionNumbers(first=5)
    talk = Talk(source, *others)
    source.request_via(CHAIN, TARGET, b"\x51", 0.0, ChainOptions(source=Options(retry=1, priority=True)))
    talk.until(1.0)
    assert len(talk.spoken) == 8
    for frame in talk.spoken:
        packet = packet_of(bytes.fromhex(frame))
        assert packet.header.priority
        assert packet.npdu.pdu[0] & 15 == 5


@pytest.mark.parametrize(
    ("service", "target", "spoken"),
    [
        (Service.ACKD, TARGET, True),
        (Service.UNACKD, TARGET, True),
        (Service.UNACKD_RPT, TARGET, True),
        (Service.ACKD, UniqueNodeId(bytes((7, 0, 0, 0, 2, 50))), True),
        (Service.ACKD, Group(5, 2), True),
        (Service.UNACKD, Group(5), True),
        (Service.UNACKD_RPT, Broadcast(2), True),
    ],
)
def test_services_on_the_last_leg_end_with_done(service: Service, target: Destination, spoken: bool) -> None:
    source, first, second, agent, _ = street()
    goal = node(2, 50, group_entry(5, 1, 2))
    talk = Talk(source, first, second, agent, goal)
    handle = source.request_via(
        CHAIN, target, b"\x3a\x01", 0.0, ChainOptions(service=service, target_timer=5, target_retry=2)
    )
    talk.until(20.0)
    assert [event.apdu for event in talk.tell(goal, MessageReceived)] == [b"\x3a\x01"]
    assert talk.tell(source, TransactionCompleted) == [TransactionCompleted(handle)]
    assert talk.tell(source, ResponseReceived) == []
    assert talk.spoken[-1].endswith("204d")


def test_an_upstream_retry_does_not_run_the_chain_again() -> None:
    source, *others = street()
    talk = Talk(source, *others)
    source.request_via(CHAIN, TARGET, b"\x3a", 0.0, ChainOptions(source=Options(retry=3, timer_s=0.1), travel_s=None))
    talk.until(0.35)
    to_target = [frame for frame in talk.spoken if frame.startswith("011902a802b2")]
    assert len(to_target) == 1
    assert len([frame for frame in talk.spoken if frame[6:8] == "8a"]) == 4
    (message,) = talk.tell(others[-1], MessageReceived)
    others[-1].respond(message.reply or 0, b"\x3b", 0.35)
    talk.until(0.36)
    assert len(talk.tell(source, TransactionCompleted)) == 1


def test_authentication_runs_hop_by_hop() -> None:
    source, *others = street()
    talk = Talk(source, *others)
    talk.answers[others[-1]] = lambda message: b"\x01" if message.authenticated else b"\x00"
    source.request_via(CHAIN, TARGET, b"\x3a", 0.0, ChainOptions(source=Options(retry=1, authenticated=True)))
    talk.until(2.0)
    assert [event.apdu for event in talk.tell(source, ResponseReceived)] == [b"\x01"]
    assert sum(packet_of(bytes.fromhex(frame)).npdu.control.pdu_type == 2 for frame in talk.spoken) == 8


def test_an_alternate_key_is_refused_unless_allowed() -> None:
    delta = bytes.fromhex("010203040506")
    target_key = bytes((octet + more) & 255 for octet, more in zip(KEY, delta, strict=True))
    assert target_key.hex() == "0225486b8eb1"
    for allowed in (False, True):
        source, agent = node(1, 10), node(1, 40, allow_alternate_key=allowed)
        target = node(1, 50, key=target_key)
        talk = Talk(source, agent, target)
        talk.answers[target] = lambda message: b"\x01" if message.authenticated else b"\x00"
        message = chain_message(
            [Hop(1, 40)],
            SubnetNode(1, 50),
            b"\x3a\x99",
            mode=Mode.ALTERNATE_KEY,
            alternate_key=AlternateKey(kind=AlternateKeyKind(0), delta=delta),
        )
        assert delta.hex() not in repr(Ltep.decode(message))
        source.request(SubnetNode(1, 40), message, 0.0, Options(authenticated=True, retry=0, timer_s=3.0))
        talk.until(9.0)
        assert [event.apdu for event in talk.tell(source, ResponseReceived)] == [b"\x01" if allowed else b"\x4c\x00"]
        if not allowed:
            assert "refused" in talk.tell(agent, Dropped)[0].reason


@pytest.mark.parametrize(("mode", "hint"), [(Mode.NORMAL, 0), (Mode.ZERO_SYNC, 1), (Mode.ATTENUATE, 3)])
def test_modes_are_handed_to_the_line(mode: Mode, hint: int) -> None:
    agent = node(1, 20)
    message = chain_message([Hop(1, 20)], SubnetNode(1, 50), b"\x51", mode=mode)
    agent.receive_frame(bytes.fromhex("0119018a01944900") + message, 0.0)
    assert [packet.mode for packet in agent.outgoing(0.0)] == [hint]


def test_all_agents_spreads_a_message_to_all_neighbours() -> None:
    source, *others = street()
    talk = Talk(source, *others)
    options = ChainOptions(service=Service.UNACKD, all_agents=True)
    handle = source.request_via(CHAIN, Broadcast(), b"\x3a\x01", 0.0, options)
    talk.until(5.0)
    said = [frame for frame in talk.spoken if frame.endswith("493a01")]
    assert [frame[4:8] for frame in said] == ["0194", "019e", "02a8"], (
        "both repeaters and the agent, without an extra byte"
    )
    assert talk.tell(source, TransactionCompleted) == [TransactionCompleted(handle)]
    assert len([frame for frame in talk.spoken if frame.endswith("204d")]) == 3, (
        "nobody answers before the chain is through"
    )


def test_all_agents_is_ignored_where_somebody_would_answer() -> None:
    repeater = node(1, 20)
    repeater.receive_frame(bytes.fromhex("0119018a01944900" + "4d210128392c39013251"), 0.0)
    assert len(repeater.outgoing(0.0)) == 1


@pytest.mark.parametrize(
    "apdu", ["4d", "4d00", "4d002c39", "4d002c390232", "4d0f0101", "4d412801" + "0c2c2c39013251", "4d012801"]
)
def test_what_cannot_be_read_is_dropped_in_silence(apdu: str) -> None:
    proxy = node(1, 20)
    proxy.receive_frame(bytes.fromhex("0119018a01944900" + apdu), 0.0)
    assert proxy.outgoing(0.0) == []
    assert [type(event) for event in proxy.events()] == [Dropped]
    assert proxy.deadline() is None


@pytest.mark.parametrize("apdu", ["4d010114" + "392c39013251", "4d002c39011451", "4d00cc39070000000114" + "51"])
def test_a_message_to_ourselves_is_a_hop_that_failed(apdu: str) -> None:
    proxy = node(1, 20)
    proxy.receive_frame(bytes.fromhex("0119018a01944900" + apdu), 0.0)
    (packet,) = proxy.outgoing(0.0)
    assert packet.npdu.pdu[1:] == bytes((0x4C, int(apdu[2:4], 16) & 15))


def test_two_chains_through_one_repeater_are_served_one_after_the_other() -> None:
    one, two, repeater, target = node(1, 10), node(1, 11), node(1, 20), node(1, 50)
    talk = Talk(one, two, repeater, target)
    talk.answers[target] = lambda message: message.apdu
    handles = [
        each.request_via([Hop(1, 20)], SubnetNode(1, 50), bytes((0x3A, n)), 0.0) for n, each in enumerate((one, two))
    ]
    talk.until(5.0)
    for number, (each, handle) in enumerate(zip((one, two), handles, strict=True)):
        assert talk.tell(each, ResponseReceived) == [ResponseReceived(handle, SubnetNode(1, 20), bytes((0x3A, number)))]


def test_chains_that_nobody_waits_for_any_more_keep_no_other_waiting() -> None:
    repeater, target = node(1, 20), node(1, 50)
    many = [node(1, 60 + each) for each in range(10)]
    late = node(1, 11)
    talk = Talk(*many, late, repeater, target)
    talk.answers[target] = lambda message: message.apdu
    # 49 seconds for each target that is not there, asked for once.
    slow = ChainOptions(source=Options(retry=0), target_timer=15, target_retry=15)
    for number, each in enumerate(many):
        each.request_via([Hop(1, 20)], SubnetNode(1, 99), bytes((0x3A, number)), 0.0, slow)
    talk.until(40.0)
    assert repeater.transport.busy == len(many)
    talk.until(49.0)
    handle = late.request_via([Hop(1, 20)], SubnetNode(1, 50), b"\x3a\x77", 49.0)
    talk.until(52.0)
    assert talk.tell(late, ResponseReceived) == [ResponseReceived(handle, SubnetNode(1, 20), b"\x3a\x77")]
    assert repeater.transport.busy == 0
    targets = [frame[-4:] for _, sender, frame in talk.frames if sender == talk.nodes.index(repeater)]
    assert targets.count("3a00") == 16
    assert not {f"3a{number:02x}" for number in range(1, len(many))} & set(targets)


def test_acknowledged_chains_are_confirmed_hop_by_hop_only() -> None:
    source, *others = street()
    talk = Talk(source, *others)
    message = chain_message(list(CHAIN), TARGET, b"\x3a\x01", service=Service.ACKD)
    source.send(SubnetNode(1, 20), message, 0.0)
    talk.until(2.0)
    assert len(talk.tell(others[-1], MessageReceived)) == 1
    assert len(talk.spoken) == 8
    assert not any(frame.endswith("4d") for frame in talk.spoken)


def test_an_unconfigured_target_by_its_unique_node_id() -> None:
    source, agent, target = node(1, 10), node(1, 40), fresh("0700000000c3")
    talk = Talk(source, agent, target)
    source.request_via([Hop(1, 40)], UniqueNodeId(bytes.fromhex("0700000000c3")), b"\x61\x00", 0.0)
    talk.until(2.0)
    (response,) = talk.tell(source, ResponseReceived)
    assert response.apdu[0] == 0x21


# ---- timers --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("timer", "long", "remaining", "extra"),
    [
        (7, False, 0, 0.256),
        (7, False, 3, 0.256),
        (8, False, 1, 0.256),
        (9, False, 2, 0.512),
        (10, False, 1, 0.512),
        (0, True, 1, 0.512),
    ],
)
def test_extra_wait(timer: int, long: bool, remaining: int, extra: float) -> None:
    assert extra_wait_s(timer, long, remaining) == pytest.approx(extra)


@pytest.mark.parametrize(
    ("control", "waits"),
    [("17", (0.192, 0.448)), ("18", (0.256, 0.512)), ("19", (0.384, 0.640)), ("1a", (0.512, 1.024))],
)
def test_a_repeater_waits_longer_before_it_gives_up(control: str, waits: tuple[float, float]) -> None:
    """Measured on the open stack with retry 1 and one address left."""
    repeater = node(1, 20)
    repeater.receive_frame(bytes.fromhex(f"0119018a019449004d02011e0228{control}2c39023251"), 0.0)
    assert len(repeater.outgoing(0.0)) == 1
    assert repeater.deadline() == pytest.approx(waits[0])
    repeater.wake(waits[0])
    assert len(repeater.outgoing(waits[0])) == 1
    assert repeater.deadline() == pytest.approx(sum(waits))
    repeater.wake(sum(waits))
    assert [packet.npdu.pdu[1:] for packet in repeater.outgoing(sum(waits))] == [b"\x4c\x02"]


def test_a_source_waits_for_the_whole_chain() -> None:
    assert safe_timer_s(1, 10, 3, 9, 3) == pytest.approx(4 * 0.384)
    assert safe_timer_s(3, 10, 3, 9, 3) == pytest.approx(4 * 0.512 + 0.512)
    assert safe_timer_s(2, 0, 0, 9, 0, long_timer=True) == pytest.approx(4.096)


# ---- what a source may say -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("hops", "apdu", "words"),
    [
        ([], b"\x51", "1 to 16"),
        ([Hop(1, 1)] * 17, b"\x51", "1 to 16"),
        ([Hop(1, 1)], b"", "code"),
        ([Hop(1, 1)], bytes(104), "102"),
    ],
)
def test_chains_that_cannot_be_said(hops: list[Hop], apdu: bytes, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        chain_message(hops, TARGET, apdu)


def test_failures_in_words() -> None:
    assert failure_in(b"\x4c\x02") == ProxyFailure(2)
    assert failure_in(b"\x4d") is None
    assert ProxyFailure(2).place(3) == 1
    assert ProxyFailure(7).place(3) == 0


# ---- the classic proxy ---------------------------------------------------------------------------------------------
def classic(sub: int, address: str = "0132030901") -> bytes:
    return bytes.fromhex("0119018a01a8490052") + bytes((sub,)) + bytes.fromhex(address)


def test_the_classic_proxy_asks_its_target_and_hands_on_the_answer() -> None:
    source, agent, target = node(1, 10), node(1, 40), node(1, 50)
    talk = Talk(source, agent, target)
    source.request(SubnetNode(1, 40), bytes.fromhex(golden("nd-proxy"))[8:], 0.0)
    talk.until(1.0)
    assert talk.spoken[0] == golden("nd-proxy")
    assert talk.spoken[1] == golden("nd-proxy-relayed")
    (response,) = talk.tell(source, ResponseReceived)
    assert response.apdu[0] == 0x32
    assert len(response.apdu) == 16


def test_the_classic_proxy_refuses_what_it_cannot_do() -> None:
    for frame in (classic(1)[:-1], classic(1) + b"\x00", classic(1, "0000000000")):
        agent = node(1, 40)
        agent.receive_frame(frame, 0.0)
        assert [packet.npdu.pdu[1:] for packet in agent.outgoing(0.0)] == [b"\x12"]
    source, agent = node(1, 10), node(1, 40)
    talk = Talk(source, agent)
    source.request(SubnetNode(1, 40), classic(1)[8:], 0.0, Options(retry=0, timer_s=9.0))
    talk.until(9.0)
    assert [event.apdu for event in talk.tell(source, ResponseReceived)] == [b"\x12"], "its target does not answer"


def test_timers_of_receivers_are_long_enough_by_default() -> None:
    assert node(1, 20).configuration.non_group_timer_s > safe_timer_s(8, 10, 3, 9, 3)
    assert LastByte(0xC0).non_group_timer == 12
    assert Packet._field_defaults == {"mode": 0}
