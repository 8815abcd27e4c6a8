"""Letters: whatever a node is told by packets whose envelope it knows, it does as if each were read anew."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp.lon.address import Broadcast, Destination, Group, SubnetNode
from osgp.lon.configuration import domain_entry
from osgp.lon.entries import NodeState
from osgp.lon.events import MessageReceived
from osgp.lon.lonip import LonIp
from osgp.lon.lonip_map import PORT, AddressMap
from osgp.lon.lpdu import LinkHeader
from osgp.lon.ltep import Service
from osgp.lon.network import send_packet
from osgp.lon.packet import Envelope, Letter, Packet, letter_of
from osgp.lon.transport import Options
from osgp.node.stack import Stack
from tests.lon import talk

FIRST_BYTES = [0x00, 0x01, 0x0F, 0x10, 0x11, 0x20, 0x21, 0x2F, 0x30, 0x40, 0x51, 0x80, 0x81, 0xA1]
APDUS = [
    b"",
    b"\x01",
    b"\x01more",
    b"\x3f",
    b"\x41foreign",
    b"\x4c",
    b"\x4d",
    b"\x51",
    b"\x61\x00",
    b"\x80\x01",
    b"\xc0\x01",
]
PLACES = [(1, 20), (1, 21), (2, 20), (0, 0), (1, 10)]

STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("packet"),
            st.sampled_from(PLACES),
            st.sampled_from([0, 1, 2, 3]),
            st.sampled_from([0, 2]),
            st.sampled_from([0x00, 0x01, 0x40, 0x80, 0x81]),
            st.sampled_from(FIRST_BYTES),
            st.sampled_from(APDUS),
        ),
        st.tuples(st.just("ask"), st.sampled_from(PLACES[:3]), st.booleans(), st.booleans()),
        st.tuples(st.just("wait"), st.sampled_from([0.01, 0.2, 1.0, 30.0])),
        st.tuples(st.just("move"), st.sampled_from([10, 11])),
        st.tuples(st.just("state"), st.sampled_from([NodeState.CONFIGURED, NodeState.UNCONFIGURED])),
        st.tuples(st.just("offline"), st.booleans()),
    ),
    max_size=40,
)


def node() -> Stack:
    """The node 1/10, which answers requests with their own APDU."""
    return Stack(talk.configuration(1, 10, talk.group_entry(5, 3)), quiet_s=0, token=bytes, concurrent=2)


def given_packet(place: tuple[int, int], pdu_type: int, version: int, link: int, pdu: bytes) -> Packet:
    """A packet of another node to 1/10."""
    other = talk.configuration(place[0] or 1, place[1] or 1)
    membership = other.memberships()[0] if place != (0, 0) else None
    return send_packet(membership, talk.DOMAIN, SubnetNode(1, 10), pdu_type, pdu, link, version)


def done(stack: Stack, now: float) -> tuple[list[Any], list[Packet], float | None, Any]:
    """What a stack tells, says and waits for; requests are answered."""
    events = list(stack.events())
    for event in events:
        if type(event) is MessageReceived and event.reply is not None:
            assert stack.respond(event.reply, event.apdu, now)
    events += stack.events()
    return events, stack.outgoing(now), stack.deadline(), stack.configuration.statistics


@given(STEPS)
def test_letters_and_packets_have_the_same_effect(steps: list[tuple[Any, ...]]) -> None:
    plain, quick = node(), node()
    envelopes: dict[Any, Envelope] = {}
    now = 0.0
    for step in steps:
        if step[0] == "packet":
            _, place, pdu_type, version, link, first, apdu = step
            packet = given_packet(place, pdu_type, version, link, bytes((first,)) + apdu)
            key = (place, pdu_type, version, link)
            if key not in envelopes:
                envelopes[key] = Envelope(packet.header, given_packet(place, pdu_type, version, link, b"").npdu)
            letter = letter_of(envelopes[key], packet.npdu.pdu)
            assert letter.packet() == packet
            plain.receive(packet, now)
            quick.receive(letter, now)
        elif step[0] == "ask":
            _, place, priority, session = step
            for each in (plain, quick):
                if each.configuration.configured:
                    service = Service.REQUEST if session else Service.ACKD
                    options = Options(priority=priority)
                    if session:
                        each.request(SubnetNode(*place), b"\x02", now, options)
                    else:
                        each.send(SubnetNode(*place), b"\x02", now, options, service=service)
        elif step[0] == "wait":
            now += step[1]
            for each in (plain, quick):
                each.wake(now)
        else:
            for each in (plain, quick):
                if step[0] == "move":
                    each.configuration.join(0, domain_entry(talk.DOMAIN, 1, step[1]))
                elif step[0] == "state":
                    each.configuration.state = step[1]
                else:
                    each.configuration.soft_offline = step[1]
        assert done(plain, now) == done(quick, now)


@pytest.mark.parametrize("backlog", [None, 0, 5, 63, 200])
@pytest.mark.parametrize("alternate", [None, False, True])
@pytest.mark.parametrize("priority", [False, True])
@pytest.mark.parametrize("service", [Service.REQUEST, Service.ACKD])
def test_a_message_in_the_envelope_of_the_one_before_says_what_it_would_have_said_alone(
    service: Service, priority: bool, alternate: bool | None, backlog: int | None
) -> None:
    options = Options(priority=priority, alternate_path=alternate, backlog=backlog, retry=3, timer_s=0.1)

    def said(first: Destination | None) -> list[bytes]:
        stack = Stack(talk.configuration(1, 10), quiet_s=0, first_transaction=4 if first is None else 3)
        now = 0.0
        if first is not None:
            handle = stack.request(first, b"\x07", now, Options(priority=priority))
            stack.cancel(handle, now)
            stack.outgoing(now)
        begin = stack.request if service == Service.REQUEST else stack.send
        begin(SubnetNode(1, 20), b"\x02", now, options)
        heard = []
        while (due := stack.deadline()) is not None:
            heard += [packet.lpdu() for packet in stack.outgoing(now)]
            now = due
            stack.wake(now)
        return heard + [packet.lpdu() for packet in stack.outgoing(now)]

    alone, after = said(None), said(SubnetNode(1, 20))
    assert alone == after
    assert len(alone) == 4
    header = LinkHeader(alone[0][0])
    assert header.delta_backlog == (1 if backlog is None else min(backlog, 63))
    assert [LinkHeader(each[0]).alternate_path for each in alone] == (
        [0, 0, 1, 1] if alternate is None else [int(alternate)] * 4
    )
    assert all(LinkHeader(each[0]).priority == priority for each in alone)


def test_a_carrier_reads_and_writes_letters_as_packets() -> None:
    home, away = ("10.73.1.10", PORT), ("10.73.1.20", PORT)
    reader, writer = LonIp(own=home[0]), LonIp(AddressMap({(b"\x49", 1, 10): home}), own=away[0])
    envelopes = []
    for number in range(3):
        pdu = bytes((number,)) + b"\x51"
        written = given_packet((1, 20), 1, 0, 1, pdu)
        datagram = writer.write(written, 0.0)
        letter = letter_of(Envelope(written.header, given_packet((1, 20), 1, 0, 1, b"").npdu), pdu)
        assert writer.write(letter, 0.0) == writer.write(letter, 0.0) == datagram
        read = reader.take(datagram[0], away, 0.0)
        assert isinstance(read, Letter)
        assert read == reader.read(datagram[0], away, 0.0) == written
        assert read.lpdu() == written.lpdu()
        envelopes.append(read.envelope)
    assert envelopes[0] is envelopes[1] is envelopes[2]
    assert read != given_packet((1, 20), 1, 0, 1, b"\x03\x51")
    assert read != 5


def test_senders_that_are_heard_with_several_headers_are_told_apart() -> None:
    reader, writer = LonIp(own="10.73.1.10"), LonIp(own="10.73.1.20")
    packets = [
        given_packet((1, 20), 1, 0, 1, b"\x01\x51"),
        given_packet((1, 20), 0, 0, 1, b"\x01\x51"),
        given_packet((1, 21), 1, 0, 0x81, b"\x01\x51"),
        send_packet(talk.configuration(1, 20).memberships()[0], b"\x49", Broadcast(1), 1, b"\x01\x51", 15),
        send_packet(talk.configuration(1, 20).memberships()[0], b"\x49", Group(5), 0, b"\x21", 0),
    ]
    datagrams = [writer.write(packet, 0.0)[0] for packet in packets]
    for _ in range(3):
        for packet, datagram in zip(packets, datagrams, strict=True):
            letter = reader.take(datagram, ("10.73.1.20", PORT), 0.0)
            assert letter is not None
            assert letter.npdu == packet.npdu
