"""A router between two simulated lines: nodes on one talk with nodes on the other, and with the halves themselves."""

from __future__ import annotations

from random import Random

import pytest

from osgp.lon.address import Broadcast, Group, SubnetNode
from osgp.lon.configuration import Configuration, domain_entry
from osgp.lon.entries import AddressEntry
from osgp.lon.events import (
    Dropped,
    MessageReceived,
    ResponseReceived,
    ServicePinReceived,
    TransactionCompleted,
    TransactionFailed,
)
from osgp.lon.ltep import Service
from osgp.lon.management import Management
from osgp.lon.nm_router import RouterKind
from osgp.lon.router import Router, RouterSide
from osgp.lon.router_half import RouterHalf, halves_of
from osgp.node.stack import Stack
from osgp.sim.wire import Port, Wire
from osgp.wire.errors import ConfigError

CONFIGURED, LEARNING, BRIDGE, REPEATER = RouterKind
QUERY_STATUS = b"\x51"


def configuration(number: int, subnet: int = 0, node: int = 0) -> Configuration:
    made = Configuration(bytes((7, 0, 0, 0, 0, number)), program_id=b"OSGPDEV1")
    if subnet:
        made.join(0, domain_entry(b"\x49", subnet, node))
        made.block.last = made.block.last.with_(non_group_timer=12)
    return made


def stack(number: int, subnet: int = 0, node: int = 0, group: int | None = None, member: int = 0) -> Stack:
    made = configuration(number, subnet, node)
    if group is not None:
        made.addresses[0] = AddressEntry.decode(bytes((0x83, member, 0x33, 0x99, group)))
    return Stack(made, quiet_s=0.0, token=Random(number).randbytes)


class Street:
    """Two lines in one time, and a router between them: subnet 1 on line 0, subnet 2 on line 1."""

    def __init__(self, kind: int) -> None:
        self.wires = [Wire(random=Random(1)), Wire(random=Random(2))]
        self.stations: list[tuple[Wire, Port, Stack]] = []
        halves = [configuration(100 + number, 1 + number, 100) for number in range(2)]
        self.router = Router(kind, [RouterSide(half) for half in halves])
        machines: list[RouterHalf] = []
        for half in halves:
            half.allow_management_writes = True
        nodes = [
            Stack(
                half,
                quiet_s=0.0,
                token=Random(number).randbytes,
                management=Management(half, router=_Later(machines, number)),
            )
            for number, half in enumerate(halves)
        ]
        machines += halves_of(self.router, nodes)
        self.machines = machines
        for wire, machine in zip(self.wires, machines, strict=True):
            port = wire.join(machine)
            machine.wanted = lambda now, wire=wire, port=port: self.look(wire, port, now)  # type: ignore[misc]  # bound here

    def look(self, wire: Wire, port: Port, now: float) -> None:
        wire.now = max(wire.now, now)
        wire.touch(port)

    def add(self, line: int, machine: Stack) -> Stack:
        wire = self.wires[line]
        self.stations.append((wire, wire.join(machine), machine))
        return machine

    def run(self, until_s: float) -> None:
        for wire, port, _ in self.stations:
            wire.touch(port)
        while True:
            due = [(when, number) for number, wire in enumerate(self.wires) if (when := wire.deadline()) is not None]
            if not due or min(due)[0] > until_s:
                break
            self.wires[min(due)[1]].step()
        for wire in self.wires:
            wire.now = until_s


class _Later:
    """The half that a management belongs to, which is made after it."""

    def __init__(self, machines: list[RouterHalf], number: int) -> None:
        self.machines = machines
        self.number = number

    def serve(self, apdu: bytes) -> bytes | None:
        return self.machines[self.number].serve(apdu)


def marked(kind: int = CONFIGURED) -> Street:
    street = Street(kind)
    for number, other in ((0, 2), (1, 1)):
        street.router.sides[number].subnets[0].mark(other, True, permanent=True)
        street.router.sides[number].groups[0].mark(5, True, permanent=True)
    return street


@pytest.mark.parametrize("kind", list(RouterKind))
def test_a_request_reaches_the_other_line_and_its_response_comes_back(kind: int) -> None:
    street = marked(kind)
    asking, asked = street.add(0, stack(1, 1, 10)), street.add(1, stack(2, 2, 20))
    handle = asking.request(SubnetNode(2, 20), QUERY_STATUS, 0.0)
    street.run(5.0)
    response, completed = asking.events()
    assert isinstance(response, ResponseReceived)
    assert (response.handle, response.source, response.apdu[0]) == (handle, SubnetNode(2, 20), 0x31)
    assert completed == TransactionCompleted(handle, 1)
    assert not asked.events()


def test_neighbours_are_left_in_peace() -> None:
    street = marked()
    asking = street.add(0, stack(1, 1, 10))
    street.add(0, stack(2, 1, 20))
    handle = asking.request(SubnetNode(1, 20), QUERY_STATUS, 0.0)
    street.run(5.0)
    assert asking.events()[-1] == TransactionCompleted(handle, 1)
    assert street.wires[1].ports[0].sent == 0


def test_what_the_tables_do_not_mark_fails() -> None:
    street = Street(CONFIGURED)
    asking = street.add(0, stack(1, 1, 10))
    street.add(1, stack(2, 2, 20))
    asking.request(SubnetNode(2, 20), QUERY_STATUS, 0.0)
    street.run(30.0)
    assert isinstance(asking.events()[-1], TransactionFailed)


def test_a_group_has_members_on_both_lines() -> None:
    street = marked()
    sender = street.add(0, stack(1, 1, 10))
    members = [street.add(line, stack(2 + line, 1 + line, 20, group=5, member=line)) for line in range(2)]
    handle = sender.send(Group(5, 3), b"\x3a\x01", 0.0, service=Service.ACKD)
    street.run(5.0)
    assert sender.events() == [TransactionCompleted(handle, 1)]
    for member in members:
        (message,) = member.events()
        assert isinstance(message, MessageReceived)
        assert message.apdu == b"\x3a\x01"


def test_the_service_pin_of_a_node_without_an_address_is_heard_on_the_other_line() -> None:
    street = marked()
    new, tool = street.add(0, stack(1)), street.add(1, stack(2, 2, 20))
    new.send_service_pin(0.0)
    street.run(1.0)
    assert tool.events() == [ServicePinReceived(bytes((7, 0, 0, 0, 0, 1)), b"OSGPDEV1")]


@pytest.mark.parametrize("half", [0, 1])
def test_the_halves_themselves_answer_from_either_line(half: int) -> None:
    street = marked()
    asking = street.add(0, stack(1, 1, 10))
    handle = asking.request(SubnetNode(1 + half, 100), QUERY_STATUS, 0.0)
    street.run(5.0)
    assert asking.events()[-1] == TransactionCompleted(handle, 1)


def test_a_tool_on_one_line_marks_the_tables_of_both_halves() -> None:
    street = Street(CONFIGURED)
    tool = street.add(0, stack(1, 1, 10))
    peer = street.add(1, stack(2, 2, 20))
    for now, apdu in enumerate((b"\x78\x01\x02", b"\x7e\x78\x01\x01", b"\x7c")):
        tool.request(SubnetNode(1, 100), apdu, float(now))
        street.run(now + 0.9)
    answers = [event.apdu for event in tool.events() if isinstance(event, ResponseReceived)]
    assert answers == [b"\x38", b"\x38", b"\x3c\x00\x00"]
    handle = tool.send(SubnetNode(2, 20), b"\x3a\x02", 5.0)
    street.run(9.0)
    assert tool.events()[-1] == TransactionCompleted(handle, 1)
    assert [event.apdu for event in peer.events() if isinstance(event, MessageReceived)] == [b"\x3a\x02"]


def test_a_learning_router_stops_flooding_when_it_knows_who_lives_where() -> None:
    street = Street(LEARNING)
    first, second = street.add(0, stack(1, 1, 10)), street.add(0, stack(2, 1, 20))
    for now, (sender, node) in enumerate(((second, 10), (first, 20))):
        sender.request(SubnetNode(1, node), QUERY_STATUS, float(now))
        street.run(now + 0.9)
    assert street.wires[1].ports[0].sent <= 1
    assert street.router.sides[0].heard[0, 1] > 0.5


def test_half_a_frame_is_dropped() -> None:
    machine = Street(CONFIGURED).machines[0]
    machine.receive_frame(b"\x01\x19", 0.0)
    assert [type(event) for event in machine.events()] == [Dropped]


def test_halves_without_nodes_only_forward() -> None:
    street = Street(BRIDGE)
    one, other = halves_of(street.router)
    packet = _broadcast()
    one.receive(packet, 0.0)
    assert (one.outgoing(0.0), other.outgoing(0.0)) == ([], [packet])
    assert (one.events(), one.deadline(), one.interests().promiscuous) == ([], None, True)
    one.wake(1.0)
    assert other.outgoing(1.0) == []


def _broadcast():  # type: ignore[no-untyped-def]  # a packet as a stack sends it
    sender = stack(1, 1, 10)
    sender.send(Broadcast(), b"\x3a\x01", 0.0, service=Service.UNACKD)
    (packet,) = sender.outgoing(0.0)
    return packet


def test_a_router_has_a_node_for_each_side_or_for_none() -> None:
    with pytest.raises(ConfigError):
        halves_of(Street(BRIDGE).router, [None])
