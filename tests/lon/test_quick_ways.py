"""Nodes on UDP that remember envelopes, covers and headers say and tell what nodes say and tell that remember nothing.

Three nodes, twice: the quick ones as they are, the plain ones with every memory wiped before every step. Network management,
a new endpoint, old age and old datagrams come in between; whatever is remembered then must be given up just as quickly.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from osgp.lon.address import Broadcast, Destination, Group, SubnetNode, UniqueNodeId
from osgp.lon.configuration import domain_entry
from osgp.lon.entries import AddressEntry, DomainEntry, DomainFlags, DomainNode, NodeState
from osgp.lon.events import MessageReceived
from osgp.lon.lonip import LonIp
from osgp.lon.lonip_map import PORT, AddressMap, Endpoint
from osgp.lon.ltep import Service
from osgp.lon.nm import LeaveDomain, UpdateAddress, UpdateDomain, UpdateKey
from osgp.lon.proxy import Hop
from osgp.lon.transport import Options, Transport, Way
from osgp.node.stack import ChainOptions, Stack
from osgp.wire.errors import ConfigError, Error, LocalProtocolError
from tests.lon import talk

NODES = 3
OTHER_DOMAIN = b"OSG"
AGE_S = 20.0
_MOST_DATAGRAMS = 200
"""Datagrams in one step: nodes that make each other speak for ever would be found by that."""
SERVICES = (Service.ACKD, Service.REQUEST, Service.REQUEST, Service.UNACKD_RPT, Service.UNACKD)


def node(number: int) -> Stack:
    """1/10, 1/20, 1/30; they may all be managed."""
    found = talk.configuration(1, 10 * (number + 1), talk.group_entry(5, number, NODES))
    found.allow_management_writes = True
    found.receive_transactions = 6
    return Stack(found, quiet_s=0, token=bytes, concurrent=2, destinations=4)


def entry_of(domain: bytes, subnet: int, number: int, key: int) -> DomainEntry:
    """A domain entry; without use if the node is 0."""
    if not number:
        return DomainEntry(flags=DomainFlags(invalid=1), node=DomainNode(not_clone=1))
    return domain_entry(domain, subnet, number, bytes((key,)) * 6)


class Forgetful(LonIp):
    """A carrier that reads and writes each header anew."""

    def wipe(self) -> None:
        """Forget all but the addresses."""
        self._opened.clear()
        self._latest.clear()
        self._sizes.clear()
        self._sized.clear()
        self._prepared.clear()


def forgetful(stack: Stack) -> Stack:
    """A node that composes each message anew, and asks for its place each time."""
    transport = stack.transport

    def way(service: int, destination: Destination, options: Options) -> Way:
        found = Transport._way(transport, service, destination, options)
        transport._ways.clear()
        found.plain = False
        return found

    transport._way = way  # type: ignore[method-assign]  # the slow way, always
    return stack


class World:
    """``said``: sender, datagram and where it goes, of everything on the network."""

    def __init__(self, quick: bool, multicast: bool) -> None:
        self.quick = quick
        self.multicast = multicast
        self.now = 0.0
        self.endpoints: list[Endpoint] = [(f"10.73.1.{10 * (each + 1)}", PORT) for each in range(NODES)]
        self.nodes = [node(each) if quick else forgetful(node(each)) for each in range(NODES)]
        carrier = LonIp if quick else Forgetful
        self.carriers = [
            carrier(
                AddressMap(age_s=AGE_S),
                own=self.endpoints[each][0] if multicast else "",
                home=self.home(self.nodes[each]),
                multicast=multicast,
                listeners=() if multicast else [where for where in self.endpoints if where != self.endpoints[each]],
            )
            for each in range(NODES)
        ]
        self.under_way: deque[tuple[int, bytes, Endpoint]] = deque()
        self.said: list[tuple[int, bytes, tuple[Endpoint, ...]]] = []
        self.told: list[tuple[int, Any]] = []

    @staticmethod
    def home(stack: Stack) -> Callable[[], list[tuple[bytes, int, int]]]:
        return lambda: [(each.domain, each.subnet, each.node) for each in stack.configuration.places().values()]

    def hear(self, number: int, datagram: bytes, source: Endpoint) -> None:
        """A node gets a datagram."""
        carrier, stack = self.carriers[number], self.nodes[number]
        try:
            if self.quick:
                letter = carrier.take(datagram, source, self.now)
                if letter is not None:
                    stack.receive(letter, self.now)
            else:
                assert isinstance(carrier, Forgetful)
                carrier.wipe()
                packet = carrier.read(datagram, source, self.now)
                if packet is not None:
                    stack.receive(packet, self.now)
        except Error as error:
            self.told.append((number, error.message))

    def speak(self) -> None:
        """What all of them have to say goes on its way; requests are answered with what was asked."""
        for number, stack in enumerate(self.nodes):
            for event in stack.events():
                self.told.append((number, event))
                if type(event) is MessageReceived and event.reply is not None:
                    stack.respond(event.reply, event.apdu, self.now)
            self.told += [(number, event) for event in stack.events()]
            for packet in stack.letters(self.now) if self.quick else stack.outgoing(self.now):
                carrier = self.carriers[number]
                if isinstance(carrier, Forgetful):
                    carrier.wipe()
                datagram, where = carrier.write(packet, self.now)
                self.said.append((number, datagram, where))
                self.under_way += [(number, datagram, endpoint) for endpoint in where]

    def deliver(self, most: int = _MOST_DATAGRAMS) -> None:
        """Datagrams arrive one after the other."""
        self.speak()
        for _ in range(most):
            if not self.under_way:
                return
            sender, datagram, where = self.under_way.popleft()
            for number in range(NODES):
                if number != sender and (where == self.endpoints[number] or where[0].startswith("239.")):
                    self.hear(number, datagram, self.endpoints[sender])
            self.speak()
        assert most < _MOST_DATAGRAMS, "they make each other speak for ever"

    def do(self, step: tuple[Any, ...]) -> None:
        """One step of a story."""
        match step:
            case ("ask", sender, destination, service, options, apdu):
                self.ask(self.nodes[sender], destination, service, options, apdu)
            case ("chain", sender, hops, target):
                try:
                    self.nodes[sender].request_via(
                        [Hop(1, 10 * (each + 1)) for each in hops],
                        SubnetNode(1, 10 * (target + 1)),
                        b"\x02",
                        self.now,
                        ChainOptions(timer=0, retry=0, target_timer=0, target_retry=0),
                    )
                except (ConfigError, LocalProtocolError) as error:
                    self.told.append((sender, error.message))
            case ("wait", seconds):
                self.wait(seconds)
            case ("again", place):
                if self.said:
                    sender, datagram, where = self.said[-1 - place % len(self.said)]
                    self.under_way += [(sender, datagram, endpoint) for endpoint in where]
            case ("moved", number, port):
                self.endpoints[number] = (self.endpoints[number][0], PORT + port)
            case ("lost",):
                self.under_way.clear()
            case ("state", number, state):
                self.nodes[number].configuration.state = state
            case ("offline", number, offline):
                self.nodes[number].configuration.soft_offline = offline
            case ("domain", number, index, entry):
                self.nodes[number].configuration.join(index, entry)
            case ("announce", number, derived):
                self.carriers[number].addresses.announce_subnets(talk.DOMAIN, (1,), derived)
            case ("reset", number):
                self.nodes[number].reset(self.now)

    def ask(self, stack: Stack, destination: Destination, service: Service, options: Options, apdu: bytes) -> None:
        try:
            if service == Service.REQUEST:
                stack.request(destination, apdu, self.now, options)
            else:
                stack.send(destination, apdu, self.now, options, service=service)
        except LocalProtocolError as error:
            self.told.append((-1, error.message))

    def wait(self, seconds: float) -> None:
        """Time goes by, with everything that falls due in it."""
        end = self.now + seconds
        for _ in range(_MOST_DATAGRAMS):
            dues = [due for stack in self.nodes if (due := stack.deadline()) is not None and due <= end]
            if not dues:
                break
            self.now = max(self.now, min(dues))
            for stack in self.nodes:
                due = stack.deadline()
                if due is not None and due <= self.now:
                    stack.wake(self.now)
            self.deliver()
        self.now = end


PLACE = st.integers(0, NODES - 1)
DESTINATIONS = st.one_of(
    st.builds(SubnetNode, st.just(1), st.sampled_from([10, 20, 20, 30])),
    st.builds(SubnetNode, st.just(2), st.sampled_from([20])),
    st.builds(UniqueNodeId, st.sampled_from([bytes((7, 0, 0, 0, 1, each)) for each in (10, 20, 30)])),
    st.sampled_from([Broadcast(), Broadcast(1), Group(5, NODES)]),
)
OPTIONS = st.sampled_from(
    [Options(), Options(), Options()]
    + [
        Options(domain_index=index, priority=priority, authenticated=authenticated, retry=1, timer_s=0.1)
        for index in (0, 1)
        for priority in (False, True)
        for authenticated in (False, True)
    ]
    + [Options(flex_domain=talk.DOMAIN), Options(flex_domain=b""), Options(enhanced=True), Options(alternate_path=True)]
)
ENTRIES = st.builds(
    entry_of,
    st.sampled_from([talk.DOMAIN, talk.DOMAIN, OTHER_DOMAIN]),
    st.sampled_from([1, 1, 2]),
    st.sampled_from([0, 10, 20, 30]),
    st.integers(1, 2),
)
APDUS = st.one_of(
    st.sampled_from(
        [b"\x01", b"\x02more", b"\x41foreign", b"\x51", b"\x6c\x00", b"\x6c\x01", b"\x6c\x03\x02", b"\x6c\x03\x04"]
    ),
    st.builds(lambda index, entry: UpdateDomain(index=index, entry=entry).encode(), st.integers(0, 1), ENTRIES),
    st.builds(lambda index: LeaveDomain(index=index).encode(), st.integers(0, 1)),
    st.builds(lambda index: UpdateKey(index=index, key=b"\x01" * 6).encode(), st.integers(0, 1)),
    st.builds(
        lambda entry: UpdateAddress(index=0, entry=entry).encode(),
        st.sampled_from([AddressEntry(), talk.group_entry(5, 1, NODES), talk.group_entry(6, 1, NODES)]),
    ),
)
STEP = st.one_of(
    st.tuples(st.just("ask"), PLACE, DESTINATIONS, st.sampled_from(SERVICES), OPTIONS, APDUS),
    st.tuples(
        st.just("ask"),
        PLACE,
        st.builds(SubnetNode, st.just(1), st.sampled_from([10, 20])),
        st.sampled_from([Service.ACKD, Service.REQUEST]),
        st.just(Options()),
        st.just(b"\x01"),
    ),
    st.tuples(st.just("chain"), PLACE, st.lists(PLACE, min_size=1, max_size=2), PLACE),
    st.tuples(st.just("wait"), st.sampled_from([0.01, 0.2, 3.0, AGE_S + 10])),
    st.tuples(st.just("again"), st.integers(0, 12)),
    st.tuples(st.just("moved"), PLACE, st.integers(0, 2)),
    st.tuples(st.just("lost")),
    st.tuples(
        st.just("state"), PLACE, st.sampled_from([NodeState.CONFIGURED, NodeState.UNCONFIGURED, NodeState.HARD_OFFLINE])
    ),
    st.tuples(st.just("offline"), PLACE, st.booleans()),
    st.tuples(st.just("domain"), PLACE, st.integers(0, 1), ENTRIES),
    st.tuples(st.just("announce"), PLACE, st.booleans()),
    st.tuples(st.just("reset"), PLACE),
)

PLAIN = Options()
FEW_STEPS = st.one_of(
    st.tuples(
        st.just("ask"),
        st.integers(0, 1),
        st.sampled_from([SubnetNode(1, 10), SubnetNode(1, 20)]),
        st.sampled_from([Service.ACKD, Service.REQUEST]),
        st.just(PLAIN),
        st.just(b"\x01"),
    ),
    st.tuples(
        st.just("domain"),
        st.integers(0, 1),
        st.just(0),
        st.builds(entry_of, st.just(talk.DOMAIN), st.integers(1, 2), st.sampled_from([10, 20]), st.just(1)),
    ),
    st.tuples(st.just("state"), PLACE, st.sampled_from([NodeState.CONFIGURED, NodeState.UNCONFIGURED])),
    st.tuples(st.just("moved"), PLACE, st.integers(0, 1)),
    st.tuples(st.just("wait"), st.sampled_from([0.2, 3.0, AGE_S + 10])),
)
"""Of what it takes to forget in time there is little in a long story of everything."""


def asked_again_after(*steps: tuple[Any, ...]) -> list[tuple[tuple[Any, ...], int]]:
    """The first node asks the second, something happens, and it asks again."""
    ask = ("ask", 0, SubnetNode(1, 20), Service.REQUEST, PLAIN, b"\x01")
    return [(step, 0) for step in (ask, ask, *steps, ask, ask)]


@given(
    st.booleans(),
    st.lists(st.tuples(STEP, st.integers(0, 3)), max_size=40)
    | st.lists(st.tuples(FEW_STEPS, st.just(0)), min_size=3, max_size=12),
)
@example(False, asked_again_after(("domain", 0, 0, entry_of(talk.DOMAIN, 2, 10, 1))))
@example(False, asked_again_after(("domain", 1, 0, entry_of(talk.DOMAIN, 2, 20, 1))))
@example(False, asked_again_after(("state", 0, NodeState.UNCONFIGURED)))
@example(False, asked_again_after(("state", 1, NodeState.UNCONFIGURED)))
@example(False, asked_again_after(("offline", 1, True)))
@example(False, asked_again_after(("moved", 1, 1)))
@example(False, asked_again_after(("moved", 1, 1), ("wait", AGE_S + 10)))
@example(True, asked_again_after(("announce", 0, True), ("announce", 0, False)))
@settings(deadline=None)
def test_nodes_that_remember_do_what_nodes_do_that_remember_nothing(
    multicast: bool, story: list[tuple[tuple[Any, ...], int]]
) -> None:
    quick, plain = World(True, multicast), World(False, multicast)
    for step, manner in story:
        for world in (quick, plain):
            world.do(step)
            world.deliver(manner - 1 if manner in (1, 2) else _MOST_DATAGRAMS)  # some stay under way
        assert quick.said == plain.said
        assert quick.told == plain.told
        for one, other in zip(quick.nodes, plain.nodes):
            assert one.deadline() == other.deadline()
            assert one.configuration.statistics == other.configuration.statistics
            assert len(one.reception) == len(other.reception)
