"""The in-memory wire: who gets a frame, what faults do to it, how a crowd shares a channel; toys first, then real stacks."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp.lon.address import Broadcast, Destination, Group, SubnetNode, UniqueNodeId
from osgp.lon.configuration import Configuration, domain_entry
from osgp.lon.crc import has_crc, with_crc
from osgp.lon.csma import A_BAND, PL20_A, ChannelHistory, ChannelTiming, LinkState
from osgp.lon.entries import AddressEntry, AddressKind, AddressPlace, NodeState, Statistics
from osgp.lon.events import MessageReceived, ResponseReceived, TransactionCompleted, TransactionFailed
from osgp.lon.interests import Interests
from osgp.lon.ltep import Service
from osgp.lon.network import accept
from osgp.lon.packet import Packet, packet_of
from osgp.lon.transport import Options
from osgp.node.stack import Stack
from osgp.sim import wire as wire_module
from osgp.sim.clock import Speed, run_virtual
from osgp.sim.wire import LineSpeed, Port, Quality, Wire
from osgp.sim.wire_channel import A_BAND_SPEED
from osgp.sim.wire_links import Fate
from osgp.sim.wire_live import run_live
from osgp.wire.errors import ConfigError, LocalProtocolError

UID = bytes.fromhex("0700000000")


class Toy:
    """A machine that keeps what it hears and sends what it is given."""

    def __init__(
        self, node: int = 0, groups: tuple[int, ...] = (), *, domain: bytes = b"I", promiscuous: bool = False
    ) -> None:
        self.listens = Interests(
            ((domain, 1, node),) if node else (),
            tuple((domain, group) for group in groups),
            UID + bytes([node]),
            promiscuous,
            1,
        )
        self.heard: list[tuple[float, bytes]] = []
        self.queue: list[Packet] = []
        self.alarms: list[float] = []
        self.woken: list[float] = []
        self.answer: bytes | None = None

    def receive(self, packet: Packet, now: float) -> None:
        self.heard.append((now, packet.lpdu()))
        if self.answer is not None:
            self.queue.append(packet_of(self.answer))

    def receive_frame(self, lpdu: bytes, now: float) -> None:
        self.heard.append((now, lpdu))

    def outgoing(self, now: float) -> list[Packet]:
        taken, self.queue = self.queue, []
        return taken

    def events(self) -> Sequence[Any]:
        return ()

    def deadline(self) -> float | None:
        return min(self.alarms, default=None)

    def wake(self, now: float) -> None:
        self.woken.append(now)
        self.alarms = [alarm for alarm in self.alarms if alarm > now]

    def interests(self) -> Interests:
        return self.listens


def frame(
    source: int, to: Destination, number: int = 0, *, domain: str = "49", header: int = 0, subnet: int = 1
) -> bytes:
    """An application message of two bytes from 1/source."""
    code = {0: 0, 2: 1, 6: 2}[len(domain)]
    if isinstance(to, SubnetNode):
        form, address = 2, bytes([to.subnet, 0x80 | to.node])
    elif isinstance(to, Group):
        form, address = 1, bytes([to.group])
    elif isinstance(to, Broadcast):
        form, address = 0, bytes([to.subnet])
    else:
        form, address = 3, bytes([to.subnet]) + to.unique_node_id
    start = bytes([header, 0x30 | form << 2 | code, subnet, 0x80 | source])
    return start + address + bytes.fromhex(domain) + number.to_bytes(2, "big")


def joined(wire: Wire, *toys: Toy) -> list[Port]:
    return [wire.join(toy) for toy in toys]


def direct(**more: Any) -> Wire:
    return Wire(random=Random(7), **more)


# ---- who gets a frame -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("to", "takers"),
    [
        (SubnetNode(1, 2), "b"),
        (SubnetNode(2, 2), ""),
        (Group(5), "bc"),
        (Group(6), ""),
        (Broadcast(), "bcu"),
        (Broadcast(1), "bcu"),
        (Broadcast(9), "u"),
        (UniqueNodeId(UID + b"\x03"), "c"),
        (UniqueNodeId(UID + b"\0"), "u"),
    ],
    ids=str,
)
def test_a_frame_goes_to_those_who_could_take_it_and_to_monitors(to: Destination, takers: str) -> None:
    wire = direct()
    toys = {
        "a": Toy(1, (5,)),
        "b": Toy(2, (5,)),
        "c": Toy(3, (5, 7)),
        "u": Toy(),
        "x": Toy(2, (5,), domain=b"J"),
        "m": Toy(9, promiscuous=True),
    }
    ports = {name: wire.join(toy, name=name) for name, toy in toys.items()}
    wire.send(ports["a"], frame(1, to))
    wire.run(0.0)
    heard = {name for name, toy in toys.items() if toy.heard}
    assert heard == {*takers, "m"}
    assert {name for name, port in ports.items() if port.received} == heard
    assert all(toys[name].heard == [(0.0, frame(1, to))] for name in heard)


def test_bytes_that_are_no_packet_reach_monitors_only() -> None:
    wire = direct()
    a, b, monitor = Toy(1), Toy(2), Toy(9, promiscuous=True)
    ports = joined(wire, a, b, monitor)
    wire.send(ports[0], bytes.fromhex("003D01810001"))
    wire.run(0.0)
    assert (a.heard, b.heard, monitor.heard) == ([], [], [(0.0, bytes.fromhex("003D01810001"))])


def test_frames_of_a_wrong_size_do_not_get_on_the_line() -> None:
    for wire in (direct(), direct(access=A_BAND)):
        monitor = Toy(9, promiscuous=True)
        port, _ = joined(wire, Toy(1), monitor)
        wire.send(port, b"12345")
        wire.send(port, bytes(253))
        wire.run(10.0)
        assert (port.dropped, port.sent, monitor.heard) == (2, 0, [])


def test_the_index_follows_the_revision_of_a_machines_interests() -> None:
    wire = direct()
    toy = Toy(2, (5,))
    a, b = joined(wire, Toy(1), toy)

    def reached() -> list[bool]:
        found = []
        for to in (SubnetNode(1, 2), SubnetNode(1, 4), Group(5), Group(6)):
            before = len(toy.heard)
            wire.send(a, frame(1, to))
            wire.run(wire.now)
            found.append(len(toy.heard) > before)
        return found

    assert reached() == [True, False, True, False]
    toy.listens = Toy(4, (6,)).listens._replace(revision=2)
    assert reached() == [True, True, False, True]  # noticed when it processed the first of them
    assert reached() == [False, True, False, True]
    toy.listens = Toy(2, (5,)).listens._replace(revision=3)
    wire.touch(b)
    assert reached() == [True, False, True, False]


DOMAINS = (b"", b"I", b"OSG")


@st.composite
def nodes(draw: st.DrawFn) -> Configuration:
    found = Configuration(UID + bytes([draw(st.integers(1, 4))]))
    for index in range(2):
        if draw(st.booleans()):
            domain, subnet, node = draw(st.tuples(st.sampled_from(DOMAINS), st.integers(1, 2), st.integers(1, 3)))
            found.domains[index] = domain_entry(domain, subnet, node)
    for place in range(draw(st.integers(0, 3))):
        found.addresses[place] = AddressEntry(
            kind=AddressKind(group=1, kind=3),
            place=AddressPlace(domain_index=draw(st.integers(0, 1))),
            number=draw(st.integers(5, 6)),
        )
    found.state = draw(st.sampled_from((NodeState.UNCONFIGURED, NodeState.CONFIGURED, NodeState.HARD_OFFLINE)))
    found.changed()
    return found


DESTINATIONS = st.one_of(
    st.builds(SubnetNode, st.integers(1, 2), st.integers(1, 3)),
    st.builds(Group, st.integers(5, 6)),
    st.builds(Broadcast, st.integers(0, 2)),
    st.builds(UniqueNodeId, st.integers(1, 4).map(lambda last: UID + bytes([last]))),
)


@given(st.lists(nodes(), min_size=1, max_size=6), DESTINATIONS, st.sampled_from(DOMAINS), st.integers(1, 3))
def test_whoever_would_accept_a_packet_is_offered_it(
    configurations: list[Configuration], to: Destination, domain: bytes, source: int
) -> None:
    wire = direct()
    ports = [wire.join(Stack(each)) for each in configurations]
    sender = wire.join(Toy(100))
    lpdu = frame(source, to, domain=domain.hex())
    wire.send(sender, lpdu)
    wire.run(0.0)
    packet = packet_of(lpdu)
    for port, configuration in zip(ports, configurations):
        if not isinstance(accept(configuration, packet), str):
            assert port.received == 1
        elif isinstance(to, SubnetNode | Group) and configuration.domains[0].domain != configuration.domains[1].domain:
            assert port.received == 0 or accept(configuration, packet) == "our own"


# ---- time -----------------------------------------------------------------------------------------------------------
def test_a_frame_arrives_when_its_airtime_is_over_and_the_next_of_its_sender_after_it() -> None:
    wire = direct(speed=LineSpeed(1000, 10, 30, 10))
    taker = Toy(2)
    a, _, c = joined(wire, Toy(1), taker, Toy(3))
    for number in range(2):
        wire.send(a, frame(1, SubnetNode(1, 2), number))
    wire.run(0.05)
    wire.send(c, frame(3, SubnetNode(1, 2), 7))
    wire.run(1.0)
    airtime = (30 + 10 * 11 + 10) / 1000
    assert [when for when, _ in taker.heard] == pytest.approx([airtime, 0.05 + airtime, 2 * airtime])
    assert [lpdu[-1] for _, lpdu in taker.heard] == [0, 7, 1]
    assert (a.airtime_s, a.sent, wire.now) == (pytest.approx(2 * airtime), 2, 1.0)


def test_the_speed_of_the_power_line_is_that_of_the_digest() -> None:
    assert A_BAND_SPEED.bits_per_s == pytest.approx(3592.98, abs=0.01)
    assert A_BAND_SPEED.airtime_s(11) == pytest.approx((46 + 121 + 11) * 278.32e-6, rel=1e-4)
    with pytest.raises(ConfigError, match="no rate"):
        LineSpeed(0)


def test_machines_are_woken_at_their_deadlines_only() -> None:
    wire = direct()
    toy = Toy(1)
    toy.alarms = [3.0, 1.0]
    port = wire.join(toy)
    wire.run(2.0)
    toy.alarms.append(2.5)
    wire.touch(port)
    wire.run(2.9)
    assert toy.woken == [1.0, 2.5]
    toy.alarms = [5.0]
    wire.run(4.0)
    assert toy.woken == [1.0, 2.5]
    assert wire.deadline() == 5.0
    wire.run(10.0)
    assert toy.woken == [1.0, 2.5, 5.0]
    assert not wire.step()
    assert wire.now == 10.0


def test_idle_machines_and_deadlines_put_off_take_no_steps_and_no_room() -> None:
    wire = direct()
    restless, others = Toy(1), [Toy(node) for node in range(2, 100)]
    for other in others:
        other.alarms = [1e6]
    a, *_ = joined(wire, restless, *others)
    for number in range(1000):  # each message puts the time-out off
        restless.alarms = [number + 500.0]
        wire.send(a, frame(1, SubnetNode(1, 2)))
        wire.touch(a)
        wire.run(float(number))
    assert len(wire._heap) <= 1 + len(others) + 1
    assert wire.run(1200.0) <= 2000


def test_answers_without_end_in_no_time_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire_module, "_MOST_AT_ONCE", 100)
    wire = direct()
    a, b = Toy(1), Toy(2)
    a.answer, b.answer = frame(1, SubnetNode(1, 2)), frame(2, SubnetNode(1, 1))
    port, _ = joined(wire, a, b)
    wire.send(port, frame(1, SubnetNode(1, 2)))
    with pytest.raises(LocalProtocolError, match="no end"):
        wire.run(1.0)


# ---- faults ---------------------------------------------------------------------------------------------------------
def carried(quality: Quality, count: int = 400, **more: Any) -> tuple[Port, list[tuple[float, bytes]]]:
    wire = direct(quality=quality, **more)
    taker = Toy(2)
    a = wire.join(Toy(1))
    b = wire.join(taker, statistics=Statistics())
    for number in range(count):
        wire.send(a, frame(1, SubnetNode(1, 2), number))
        wire.run(wire.now + 1)
    wire.run(wire.now + 10)
    return b, taker.heard


def test_lost_frames_are_lost_as_often_as_asked() -> None:
    port, heard = carried(Quality(loss=0.3))
    assert len(heard) + port.lost == 400
    assert port.lost == pytest.approx(120, abs=35)


def test_doubled_frames_come_twice() -> None:
    port, heard = carried(Quality(duplication=0.25))
    times = Counter(lpdu for _, lpdu in heard)
    assert set(times.values()) == {1, 2}
    assert port.duplicated == len(heard) - 400 == pytest.approx(100, abs=35)


def test_damaged_frames_are_recognised_and_counted() -> None:
    port, heard = carried(Quality(damage=0.4))
    assert port.damaged == pytest.approx(160, abs=40)
    assert len(heard) + port.damaged == 400
    assert port.statistics is not None
    assert port.statistics.transmission_errors == port.damaged
    assert all(lpdu[:-2] == frame(1, SubnetNode(1, 2))[:-2] for _, lpdu in heard)


def test_damage_that_no_crc_notices_is_handed_on_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("osgp.sim.wire_links.Links.damaged", lambda *_: with_crc(b"\xff" * 9))
    port, heard = carried(Quality(damage=1.0), count=1)
    assert [lpdu for _, lpdu in heard] == [b"\xff" * 9]
    assert port.damaged == 1


@given(st.binary(min_size=8, max_size=60), st.integers(1, 10**6))
def test_damage_always_changes_something_and_up_to_eight_bits(data: bytes, number: int) -> None:
    damaged = direct().links.damaged(number, 3, data)
    flips = sum((a ^ b).bit_count() for a, b in zip(data, damaged))
    assert len(damaged) == len(data)
    assert 1 <= flips <= 8


def test_delayed_frames_come_later_and_may_overtake_each_other() -> None:
    _, steady = carried(Quality(delay_s=2.5), count=5)
    assert [when for when, _ in steady] == [number + 2.5 for number in range(5)]
    _, shaken = carried(Quality(delay_s=0.5, jitter_s=4.0), count=50)
    order = [int.from_bytes(lpdu[-2:], "big") for _, lpdu in shaken]
    assert sorted(order) == list(range(50))
    assert order != list(range(50))
    assert all(0.5 <= when - number <= 4.5 for (when, _), number in zip(shaken, order))


@pytest.mark.parametrize("access", [None, A_BAND], ids=["direct", "shared"])
def test_a_link_may_be_good_in_one_direction_only_and_mended_during_the_run(access: ChannelTiming | None) -> None:
    wire = direct(access=access)
    toys = [Toy(1), Toy(2)]
    a, b = joined(wire, *toys)

    def reached() -> tuple[bool, bool]:
        before = [len(toy.heard) for toy in toys]
        wire.send(a, frame(1, SubnetNode(1, 2)))
        wire.run(wire.now + 5)
        wire.send(b, frame(2, SubnetNode(1, 1)))
        wire.run(wire.now + 5)
        return len(toys[1].heard) > before[1], len(toys[0].heard) > before[0]

    assert reached() == (True, True)
    wire.cut(a, b, both=False)
    assert reached() == (False, True)
    assert wire.links[a, b].cut
    assert not wire.links[b, a].cut
    wire.cut(a, b)
    assert reached() == (False, False)
    wire.links.mend(a, b, both=False)
    assert reached() == (True, False)
    wire.links.mend(a, b)
    assert wire.links.all_clear
    wire.links.default = Quality(loss=1.0)
    wire.links[b, a] = Quality()
    assert reached() == (False, True)
    del wire.links[b, a]
    assert reached() == (False, False)


@pytest.mark.parametrize(
    "wrong",
    [{"loss": 1.1}, {"damage": -0.1}, {"duplication": float("nan")}, {"delay_s": -1.0}, {"jitter_s": float("inf")}],
)
def test_faults_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        Quality(**wrong)  # type: ignore[arg-type]  # mypy does not see that there is no `cut` among them


def test_the_fate_of_a_frame_does_not_depend_on_who_asks_when() -> None:
    wire = direct(quality=Quality(loss=0.3, damage=0.3))
    asked = [(number, receiver) for number in range(50) for receiver in range(1, 9)]
    first = {pair: wire.links.fate(pair[0], 0, pair[1]) for pair in asked}
    again = {pair: wire.links.fate(pair[0], 0, pair[1]) for pair in reversed(asked)}
    assert first == again
    shares = Counter(first.values())
    assert shares[Fate.LOST] / 400 == pytest.approx(0.3, abs=0.08)
    assert shares[Fate.DAMAGED] / 400 == pytest.approx(0.21, abs=0.08)
    assert len({tuple(first[number, receiver] for number in range(50)) for receiver in range(1, 9)}) == 8


# ---- a crowd on a channel -------------------------------------------------------------------------------------------
class Drawn:
    """Draws the slots that the test says."""

    def __init__(self, slots: Sequence[int]) -> None:
        self.slots = list(slots)

    def randrange(self, stop: int, /) -> int:
        return self.slots.pop(0)


def drawing(port: Port, *slots: int) -> None:
    assert port.link is not None
    port.link._random = Drawn(slots)


def test_a_lonely_sender_waits_for_its_slot_and_its_airtime() -> None:
    wire = direct(access=A_BAND)
    taker = Toy(2)
    a, _ = joined(wire, Toy(1), taker)
    drawing(a, 5)
    wire.send(a, frame(1, SubnetNode(1, 2)))
    wire.run(1.0)
    ((when, _),) = taker.heard
    assert when == pytest.approx(5 * A_BAND.beta2_s + A_BAND_SPEED.airtime_s(11))


@pytest.mark.parametrize("detection", [True, False])
def test_who_begins_in_the_same_slot_collides(detection: bool) -> None:
    wire = direct(access=A_BAND, collision_detection=detection)
    toys = [Toy(1), Toy(2), Toy(3)]
    a, b, c = joined(wire, *toys)
    drawing(a, 3, 7)
    drawing(b, 3, 9, 0)
    wire.send(a, frame(1, SubnetNode(1, 3), 1))
    wire.send(b, frame(2, SubnetNode(1, 3), 2))
    wire.run(5.0)
    if detection:
        assert (a.collisions, b.collisions, a.sent, b.sent) == (1, 1, 1, 1)
        assert [lpdu[-1] for _, lpdu in toys[2].heard] == [1, 2]
        assert a.airtime_s == pytest.approx(A_BAND_SPEED.preamble_s + A_BAND_SPEED.airtime_s(11))
    else:
        assert (a.collisions, b.collisions, a.sent, b.sent) == (0, 0, 1, 1)
        assert toys[2].heard == []
        assert c.damaged == 2
    wire.channel.settle(c)  # type: ignore[union-attr]  # it has one
    assert c.link is not None
    assert c.link.statistics.transmission_errors == 1


@pytest.mark.parametrize(("heard", "expected"), [(False, 0), (True, 1)])
def test_who_hears_others_collide_counts_it_if_he_is_to_and_the_colliding_count_it_once(
    heard: bool, expected: int
) -> None:
    wire = direct(access=A_BAND, collisions_heard=heard)
    a, b, c, d = joined(wire, Toy(1), Toy(2), Toy(3), Toy(4))
    for port, slot in ((a, 3), (b, 3), (d, 9)):
        drawing(port, slot, 12, 12)
        wire.send(port, frame(port.number + 1, SubnetNode(1, 3), 1))
    wire.run(3.5 * A_BAND.beta2_s + A_BAND_SPEED.preamble_s)
    wire.channel.settle(c)  # type: ignore[union-attr]  # it has one
    estimates = [port.link.backlog(wire.now) for port in (a, b, c, d) if port.link]
    assert estimates == [1, 1, expected, expected]


def test_who_begins_one_slot_later_hears_the_first_and_waits() -> None:
    wire = direct(access=A_BAND)
    toys = [Toy(1), Toy(2), Toy(3)]
    a, b, _ = joined(wire, *toys)
    drawing(a, 3)
    drawing(b, 4, 0)
    wire.send(a, frame(1, SubnetNode(1, 3), 1))
    wire.send(b, frame(2, SubnetNode(1, 3), 2))
    wire.run(5.0)
    assert (a.collisions, b.collisions) == (0, 0)
    first, second = (when for when, _ in toys[2].heard)
    assert second - first == pytest.approx(A_BAND.beta1_rx_s + A_BAND_SPEED.airtime_s(11))


def test_hidden_nodes_damage_each_other_at_whom_both_reach() -> None:
    wire = direct(access=A_BAND)
    toys = [Toy(1), Toy(2), Toy(3), Toy(4)]
    a, b, c, d = joined(wire, *toys)
    drawing(a, 0)
    drawing(b, 10)
    wire.cut(a, b)
    wire.cut(b, d)
    wire.send(a, frame(1, Broadcast(), 1))
    wire.send(b, frame(2, Broadcast(), 2))
    wire.run(5.0)
    assert (a.collisions, b.collisions, a.sent, b.sent) == (0, 0, 1, 1)
    assert toys[2].heard == []
    assert c.damaged == 2
    assert [lpdu[-1] for _, lpdu in toys[3].heard] == [1]
    assert (toys[0].heard, toys[1].heard) == ([], [])


def saturated(
    count: int, seconds: float, *, header: int = 0, priorities: dict[int, int] | None = None
) -> tuple[Wire, list[Port]]:
    """Everybody always has something to send to his neighbour."""
    timing = PL20_A if priorities else A_BAND
    wire = Wire(random=Random(count), access=timing)
    ports = [wire.join(Toy(node + 1), node_priority=(priorities or {}).get(node, 0)) for node in range(count)]
    while wire.now < seconds:
        for node, port in enumerate(ports):
            assert port.link is not None
            if not port.link.waiting:
                urgent = 0x80 if priorities and node in priorities else 0
                wire.send(port, frame(node + 1, SubnetNode(1, (node + 1) % count + 1), header=header | urgent))
        wire.step()
    return wire, ports


@pytest.mark.parametrize("header", [0, 1], ids=["unacknowledged", "acknowledged"])
def test_throughput_does_not_collapse_in_a_crowd(header: int) -> None:
    loads = {}
    for count in (2, 5, 15, 50):
        wire, ports = saturated(count, 12.0, header=header)
        loads[count] = sum(port.sent for port in ports) * A_BAND_SPEED.airtime_s(11) / wire.now
        assert wire.channel is not None
        assert wire.channel.busy_s <= wire.now
    least = (
        0.3 if header == 0 else 0.08
    )  # with answers announced and none coming everybody waits in windows of 1024 slots
    assert min(loads.values()) > least
    assert max(loads.values()) < 0.9


def test_nobody_starves_and_nobody_reigns() -> None:
    _, ports = saturated(10, 120.0)
    shares = [port.sent for port in ports]
    fairness = sum(shares) ** 2 / (len(shares) * sum(share**2 for share in shares))
    assert fairness > 0.97
    assert min(shares) > 0.6 * sum(shares) / len(shares)


def test_a_priority_slot_wins_against_a_crowd() -> None:
    _, ports = saturated(12, 60.0, priorities={4: 1})
    favoured = ports[4].sent
    others = [port.sent for port in ports if port is not ports[4]]
    assert favoured > 3 * max(others)


def test_two_nodes_in_one_priority_slot_collide_and_come_through_all_the_same() -> None:
    wire = direct(access=PL20_A)
    toys = [Toy(1), Toy(2), Toy(3)]
    a = wire.join(toys[0])
    b, c = (wire.join(toy, node_priority=2) for toy in toys[1:])
    drawing(a, 0)
    drawing(b, 5)
    drawing(c, 9)
    wire.send(a, frame(1, SubnetNode(1, 3)))
    wire.run(0.03)
    assert a.link is not None
    assert a.link.state is LinkState.SENDING
    for port, node in ((b, 2), (c, 3)):
        wire.send(port, frame(node, SubnetNode(1, 1), header=0x80))
    wire.run(3.0)
    assert (b.collisions, c.collisions, b.sent, c.sent) == (1, 1, 1, 1)
    assert len(toys[0].heard) == 2


def test_a_change_of_links_waits_until_the_channel_is_quiet() -> None:
    wire = direct(access=A_BAND)
    taker = Toy(2)
    a, b = joined(wire, Toy(1), taker)
    drawing(a, 0, 0)
    wire.send(a, frame(1, SubnetNode(1, 2)))
    wire.run(0.01)
    wire.cut(a, b)
    assert not wire.links[a, b].cut
    wire.run(1.0)
    assert wire.links[a, b].cut
    assert len(taker.heard) == 1
    wire.send(a, frame(1, SubnetNode(1, 2)))
    wire.run(2.0)
    assert len(taker.heard) == 1


def test_a_channel_without_slots_is_refused() -> None:
    with pytest.raises(ConfigError, match="no slots"):
        direct(access=A_BAND, detect_s=0.01)


class Sticky(dict[int, Port]):
    """Contenders who never leave: every node follows every transmission."""

    def __delitem__(self, key: int) -> None:
        pass


def state_of(port: Port, now: float) -> tuple[object, ...]:
    link = port.link
    assert link is not None
    link.wake(now)
    names = ("state", "_since", "_carried_s", "_backlog", "_wait_s", "_priority_s", "last_valid", "cursor")
    return (*(getattr(link, name) for name in names), link.statistics.encode(), port.received, port.sent)


@given(
    seed=st.integers(0, 2**32),
    timing=st.sampled_from((A_BAND, PL20_A)),
    quality=st.sampled_from((Quality(), Quality(), Quality(loss=0.2, damage=0.1))),
    load=st.sampled_from((0.3, 2.0)),
    detection=st.booleans(),
)
def test_who_reads_up_later_is_where_he_would_be_had_he_followed(
    seed: int, timing: ChannelTiming, quality: Quality, load: float, detection: bool
) -> None:
    """Hidden and deaf nodes, collisions, changes of links, nodes that begin to send in the middle of a burst."""

    def world(eager: bool) -> tuple[list[tuple[object, ...]], list[tuple[float, bytes]]]:
        chance = Random(seed)
        wire = Wire(random=Random(seed), access=timing, quality=quality, collision_detection=detection)
        channel = wire.channel
        assert channel is not None
        if eager:
            channel._contenders = Sticky()
        ports = [wire.join(Toy(node)) for node in range(1, 9)]
        for port in ports if eager else ():
            channel._contenders[port.number] = port
        seen: list[tuple[float, bytes]] = []
        wire.tap(lambda now, _sender, lpdu: seen.append((now, lpdu)))
        for number in range(60):
            for _ in range(chance.choice((1, 1, 3))):
                sender = chance.choice(ports[: chance.choice((3, 8))])
                wire.send(sender, frame(sender.number + 1, Broadcast(), number, header=chance.choice((0, 0, 1, 9))))
                wire.run(wire.now + chance.expovariate(20))
            if number % 20 == 7:
                a, b = chance.sample(ports, 2)
                wire.cut(a, b, both=chance.random() < 0.5)
            elif number % 20 == 17:
                wire.links.mend(*chance.sample(ports, 2))
            wire.run(wire.now + chance.expovariate(load * 10))
        wire.run(wire.now + 30)
        for port in ports:
            channel.settle(port)
        return [state_of(port, wire.now) for port in ports], seen

    assert world(eager=False) == world(eager=True)


def test_listeners_survive_that_a_long_history_is_forgotten() -> None:
    def world(eager: bool) -> list[tuple[object, ...]]:
        wire = Wire(random=Random(5), access=A_BAND)
        channel = wire.channel
        assert channel is not None
        channel.history = ChannelHistory(A_BAND, capacity=1024)
        if eager:
            channel._contenders = Sticky()
        ports = [wire.join(Toy(node)) for node in range(1, 6)]
        for port in ports if eager else ():
            channel._contenders[port.number] = port
        wire.cut(ports[0], ports[3])
        for number in range(2500):
            sender = ports[number % 2]
            wire.send(sender, frame(sender.number + 1, SubnetNode(1, 3), number, header=number % 7 == 0))
            wire.run(wire.now + 0.15)
        assert channel.history.first > 0
        assert len(channel._bursts) <= 1024
        for port in ports:
            channel.settle(port)
        return [state_of(port, wire.now) for port in ports]

    assert world(eager=False) == world(eager=True)


# ---- the same again -------------------------------------------------------------------------------------------------
def conversation(seed: int, access: ChannelTiming | None) -> list[tuple[float, int, bytes]]:
    wire = Wire(
        random=Random(seed), access=access, quality=Quality(loss=0.1, damage=0.1, duplication=0.1, jitter_s=0.3)
    )
    ports = [wire.join(stack_of(node), on_events=responding) for node in range(1, 6)]
    seen: list[tuple[float, int, bytes]] = []
    wire.tap(lambda now, sender, lpdu: seen.append((now, sender.number, lpdu)))
    wire.run(3.0)
    for _ in range(5):
        for port in ports:
            asked = SubnetNode(1, (port.number + 1) % 5 + 1)
            port.machine.request(asked, b"\x05\x01", wire.now, SLOW)  # type: ignore[attr-defined]  # a Stack
            wire.touch(port)
        wire.run(wire.now + 20)
    return seen


@pytest.mark.parametrize("access", [None, A_BAND], ids=["direct", "shared"])
def test_the_same_seed_gives_the_same_bytes_at_the_same_times(access: ChannelTiming | None) -> None:
    assert conversation(1, access) == conversation(1, access)
    assert conversation(1, access) != conversation(2, access)


# ---- real stacks ----------------------------------------------------------------------------------------------------
SLOW = Options(retry=10, timer_s=1.5)


def stack_of(node: int, subnet: int = 1) -> Stack:
    configuration = Configuration(bytes([7, 0, 0, 0, subnet, node]))
    configuration.join(0, domain_entry(b"I", subnet, node))
    configuration.block.last = configuration.block.last.with_(non_group_timer=15)
    return Stack(configuration, token=Random(node).randbytes)


def responding(port: Port, events: Sequence[Any], now: float) -> None:
    stack = port.machine
    assert isinstance(stack, Stack)
    for event in events:
        if isinstance(event, MessageReceived) and event.reply is not None:
            stack.respond(event.reply, b"\x25" + event.apdu, now)


@pytest.mark.parametrize("access", [None, A_BAND], ids=["direct", "shared"])
def test_stacks_ask_and_answer_over_a_wire_with_every_fault(access: ChannelTiming | None) -> None:
    quality = Quality(loss=0.15, damage=0.1, duplication=0.2, delay_s=0.01, jitter_s=0.05)
    wire = Wire(random=Random(11), access=access, quality=quality)
    events: dict[int, list[Any]] = {node: [] for node in range(1, 7)}
    taken: Counter[bytes] = Counter()

    def note(port: Port, happened: Sequence[Any], now: float) -> None:
        events[port.number + 1] += happened
        taken.update(event.apdu for event in happened if isinstance(event, MessageReceived))
        responding(port, happened, now)

    stacks = [stack_of(node) for node in range(1, 7)]
    ports = [wire.join(stack, on_events=note, statistics=stack.configuration.statistics) for stack in stacks]
    wire.run(3.0)  # nothing with a transaction number just after power-up
    handles: dict[tuple[int, int], bytes] = {}
    for round_, (source, port) in itertools.product(range(10), enumerate(ports, 1)):
        apdu = bytes([5, round_, source])
        handle = stacks[source - 1].request(SubnetNode(1, source % 6 + 1), apdu, wire.now, SLOW)
        handles[source, handle] = apdu
        wire.touch(port)
        wire.run(wire.now + 4)
    wire.run(wire.now + 60)
    for (source, handle), apdu in handles.items():
        mine = [event for event in events[source] if getattr(event, "handle", None) == handle]
        assert isinstance(mine[-1], TransactionCompleted)
        assert [event.apdu for event in mine[:-1] if isinstance(event, ResponseReceived)] == [b"\x25" + apdu]
    assert set(taken.values()) == {1}, "an application saw a message twice"
    assert sum(port.lost for port in ports) > 0
    assert sum(port.damaged for port in ports) > 0
    assert sum(port.duplicated for port in ports) > 0
    errors = sum(stack.configuration.statistics.transmission_errors for stack in stacks)
    assert errors > 0


def test_who_is_cut_off_fails_after_all_his_attempts() -> None:
    wire = Wire(random=Random(2), access=A_BAND)
    a, b = stack_of(1), stack_of(2)
    ports = [wire.join(a), wire.join(b)]
    wire.cut(*ports)
    wire.run(3.0)
    handle = a.request(SubnetNode(1, 2), b"\x05", wire.now, Options(retry=3, timer_s=0.5))
    wire.touch(ports[0])
    wire.run(30.0)
    (failed,) = (event for event in a.events() if isinstance(event, TransactionFailed))
    assert (failed.handle, failed.attempts) == (handle, 4)
    assert (ports[0].sent, ports[1].received) == (4, 0)


def test_a_node_that_is_commissioned_over_the_wire_is_found_at_its_new_address() -> None:
    wire = direct()
    tool, fresh = stack_of(1), Stack(Configuration(UID + b"\x77"), quiet_s=0.0)
    a, b = wire.join(tool), wire.join(fresh)
    wire.run(3.0)
    fresh.configuration.join(0, domain_entry(b"I", 4, 44))
    wire.touch(b)
    tool.send(SubnetNode(4, 44), b"\x05", wire.now, service=Service.ACKD)
    wire.touch(a)
    wire.run(5.0)
    assert [type(event) for event in fresh.events()] == [MessageReceived]
    assert any(isinstance(event, TransactionCompleted) for event in tool.events())


def test_a_frame_costs_the_same_steps_whoever_ignores_it() -> None:
    def steps(crowd: int, access: ChannelTiming | None) -> int:
        wire = Wire(random=Random(3), access=access)
        toys = [Toy(1), Toy(2), *(Toy(3 + node % 100, domain=bytes([node // 100])) for node in range(crowd))]
        a, *_ = joined(wire, *toys)
        taken = 0
        for number in range(20):
            wire.send(a, frame(1, SubnetNode(1, 2), number))
            taken += wire.run(wire.now + 1)
        assert len(toys[1].heard) == 20
        assert sum(len(toy.heard) for toy in toys[2:]) == 0
        return taken

    for access in (None, A_BAND):
        assert steps(1000, access) == steps(10, access)


def test_a_wire_lives_on_an_event_loop_among_others() -> None:
    async def main() -> tuple[list[Any], float]:
        loop = asyncio.get_running_loop()
        wire = Wire(random=Random(4), access=A_BAND)
        a, b = stack_of(1), stack_of(2)
        ports = [wire.join(a), wire.join(b, on_events=responding)]
        begun = loop.time()
        task = asyncio.create_task(run_live(wire))
        await asyncio.sleep(5.0)
        wire.run(loop.time() - begun)
        a.request(SubnetNode(1, 2), b"\x05", wire.now, SLOW)
        wire.touch(ports[0])
        await asyncio.sleep(2.0)
        answers = list(a.events())
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert wire.changed is None
        await run_live(wire, 1.5)
        return answers, wire.now

    answers, now = run_virtual(main())
    assert [type(event) for event in answers] == [ResponseReceived, TransactionCompleted]
    assert now >= 6.5


@pytest.mark.parametrize("speed", ["max", 1e3, 1e9])
def test_a_wire_on_an_event_loop_stops_at_its_end_and_not_when_the_loop_gets_there(speed: Speed) -> None:
    wire = direct(speed=A_BAND_SPEED)
    ticks: list[float] = []

    def tick(_: Any, now: float) -> None:
        ticks.append(now)
        wire.at(now + 0.5, tick, None)

    wire.at(0.5, tick, None)
    run_virtual(run_live(wire, 2.1), speed=speed)
    assert ticks == [0.5, 1.0, 1.5, 2.0]
    assert wire.now == 2.1


def test_the_taps_see_each_whole_frame_once_at_its_end() -> None:
    wire = direct(speed=A_BAND_SPEED)
    a, _ = joined(wire, Toy(1), Toy(2))
    seen: list[tuple[float, str, bytes]] = []
    wire.tap(lambda now, sender, lpdu: seen.append((now, sender.name, lpdu)))
    wire.send(a, frame(1, SubnetNode(1, 2)))
    wire.run(1.0)
    assert seen == [(A_BAND_SPEED.airtime_s(11), "0", frame(1, SubnetNode(1, 2)))]
    assert has_crc(with_crc(seen[0][2]))
