"""Two to five nodes on a line that drops, doubles, delays and damages, whatever is asked of them, in any order."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from osgp.lon.address import Broadcast, Destination, Group, SubnetNode, UniqueNodeId
from osgp.lon.apdu import OFFLINE
from osgp.lon.configuration import Configuration, domain_entry
from osgp.lon.entries import AuthenticationType, DomainEntry
from osgp.lon.events import (
    Event,
    MessageReceived,
    ModeChanged,
    NodeReset,
    ResponseReceived,
    TransactionCompleted,
    TransactionFailed,
)
from osgp.lon.ltep import Service
from osgp.lon.proxy import Hop
from osgp.lon.transport import QUIET_S, Options
from osgp.lon.waits import Waits
from osgp.node.stack import ChainOptions, Stack
from osgp.wire.errors import ConfigError, LocalProtocolError
from tests.lon.forging import forged
from tests.lon.line import Line, Weather, begun, idle, waiting
from tests.lon.talk import KEY, configuration, group_entry

SOME, ALL = 5, 6
"""The groups: every second node is in the first, all configured nodes are in the second."""
RECEIVE_TIMER = 14
"""16.384 s: longer than any transaction below, restarts by challenges and members included (digest 3.4)."""
QUIET_LIMIT_S = 900.0
"""By then everything is over: full queues of the slowest transactions, one after the other."""
DAY_S = 86_400.0
"""By then what liars asked for is over, whose chains may wait for minutes at each hop."""
ONE = st.integers(0, 4)
PAUSE_S = st.sampled_from((0.0, 0.0, 0.003, 0.02, 0.3, 0.3, 3.0))
"""How long nothing else happens: from nothing at all to the end of most transactions."""
MANNERS = ("at once", "late", "too late", "never", "twice", "in silence")
MISHAPS = (
    "a link is cut",
    "links are mended",
    "power fails",
    "second thoughts",
    "offline",
    "another key",
    "out of all groups",
    "another domain",
)
MANAGEMENT = (
    b"\x51",
    b"\x53",
    b"\x61\x00",
    b"\x60\x01",
    b"\x6a\x00",
    b"\x6c\x00",
    b"\x6c\x01",
    b"\x6c\x02",
    b"\x64\x00",
    b"\x66\x00\x85\x03\x33\xe9\x05",
    b"\x66\x00\x00\x00\x00\x00\x00",
    b"\x66\x01\x00\x00\x00\x00\x00",
    b"\x65\x00\x01\x00\x00\x00\x00\x00",
    b"\x6c\x03\x02",
    b"\x6c\x03\x04",
)


@dataclass(slots=True)
class Message:
    """What was asked for. ``targets``: the places it is meant for; ``all_of_them``: completion says that every one has it.
    ``copies``: how often a node may get it; with ``all_agents`` once from each of them."""

    sender: int
    service: int
    began: float
    targets: frozenset[int]
    all_of_them: bool
    authenticated: bool
    application: bool = True
    copies: int = 1


class BadLine(RuleBasedStateMachine):
    """See the module. ``forging``: somebody sends well-formed lies; then only what no lie may break is asserted."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: dict[bytes, Message] = {}
        self.open: dict[tuple[int, int], bytes] = {}
        self.ends: Counter[tuple[int, int]] = Counter()
        self.stood_by: dict[Waits[Any], tuple[int, float]] = {}
        self.received: dict[tuple[bytes, int], list[float]] = {}
        self.manners: dict[int, str] = {}
        self.shaken: set[int] = set()
        self.last_reset = -1.0
        self.serial = 0

    # ---- the street
    @initialize(
        count=st.integers(2, 5),
        seed=st.integers(0, 2**16),
        weather=st.builds(
            Weather,
            drop=st.sampled_from((0.0, 0.05, 0.3)),
            double=st.sampled_from((0.0, 0.1, 0.5)),
            damage=st.sampled_from((0.0, 0.05, 0.2)),
            late_s=st.sampled_from((0.0, 0.005, 0.02)),
        ),
        forging=st.sampled_from((False, False, False, True)),
        started=st.booleans(),
        open_media=st.booleans(),
        stranger=st.booleans(),
        concurrent=st.sampled_from((1, 1, 1, 4)),
    )
    def build(
        self,
        count: int,
        seed: int,
        weather: Weather,
        forging: bool,
        started: bool,
        open_media: bool,
        stranger: bool,
        concurrent: int,
    ) -> None:
        rng = random.Random(seed)
        self.forging = forging
        self.rng = rng
        self.members = {ALL: tuple(range(count)), SOME: tuple(range(0, count, 2))}
        self.other_key = count - 1 if rng.random() < 0.3 else -1
        self.fresh = count - 1 if stranger and count > 2 else -1
        nodes = []
        for place in range(count):
            if place == self.fresh:
                found = Configuration(bytes((7, 0, 0, 0, *self.address(place))))
                self.members = {group: tuple(m for m in each if m != place) for group, each in self.members.items()}
            else:
                found = self.configuration(place, open_media, rng)
            nodes.append(
                Stack(
                    found,
                    token=random.Random(seed + place).randbytes,
                    concurrent=concurrent,
                    first_transaction=rng.choice((0, 1, 14)),
                    queue=8,
                )
            )
        self.line = Line(*nodes, rng=rng, weather=weather, hear=self.hear)
        if started:
            self.line.until(QUIET_S)

    @staticmethod
    def address(place: int) -> tuple[int, int]:
        return (1 if place < 3 else 2, 10 + 10 * place)

    def configuration(self, place: int, open_media: bool, rng: random.Random) -> Configuration:
        groups = [group_entry(ALL, place, len(self.members[ALL]), receive_timer=RECEIVE_TIMER)]
        if place % 2 == 0:
            groups.append(group_entry(SOME, place, len(self.members[SOME]), receive_timer=RECEIVE_TIMER))
        found = configuration(
            *self.address(place),
            *groups,
            key=bytes(range(6)) if place == self.other_key else KEY,
            authentication=int(AuthenticationType.OPEN_MEDIA if open_media else AuthenticationType.CLASSIC),
        )
        found.block.last = type(found.block.last)(non_group_timer=RECEIVE_TIMER)
        found.allow_management_writes = rng.random() < 0.5
        found.receive_transactions = rng.choice((2, 16))
        return found

    def place(self, number: int) -> int:
        return number % len(self.line.nodes)

    # ---- what is asked for
    def ask(
        self,
        sender: int,
        destination: Destination,
        service: Service,
        options: Options,
        targets: frozenset[int],
        *,
        all_of_them: bool = True,
        apdu: bytes | None = None,
    ) -> None:
        stack = self.line.nodes[sender]
        self.serial += 1
        tag = b"\x20" + self.serial.to_bytes(3, "big")
        try:
            if service == Service.REQUEST:
                handle = stack.request(destination, apdu or tag, self.line.now, options)
            else:
                handle = stack.send(destination, apdu or tag, self.line.now, options, service=service)
        except LocalProtocolError:
            return
        self.keep(sender, handle, tag, service, targets, all_of_them, options.authenticated, apdu is None)

    def keep(
        self,
        sender: int,
        handle: int,
        tag: bytes,
        service: int,
        targets: frozenset[int],
        all_of_them: bool,
        authenticated: bool,
        application: bool = True,
    ) -> None:
        assert (sender, handle) not in self.open
        self.messages[tag] = Message(
            sender, int(service), self.line.now, targets - {sender}, all_of_them, authenticated, application
        )
        self.open[sender, handle] = tag
        self.line.flush(sender)

    OPTIONS = st.builds(
        Options,
        priority=st.booleans(),
        authenticated=st.booleans(),
        retry=st.integers(0, 3),
        timer_s=st.sampled_from((0.128, 0.192, 0.384)),
        enhanced=st.sampled_from((False, False, True)),
        max_responses=st.integers(1, 3),
        alternate_path=st.none() | st.booleans(),
    )
    SERVICES = st.sampled_from((Service.ACKD, Service.REQUEST, Service.UNACKD_RPT, Service.UNACKD))

    @rule(sender=ONE, receiver=ONE, service=SERVICES, options=OPTIONS, pause=PAUSE_S)
    def to_one(self, sender: int, receiver: int, service: Service, options: Options, pause: float) -> None:
        sender, receiver = self.place(sender), self.place(receiver)
        self.ask(sender, SubnetNode(*self.address(receiver)), service, options, frozenset((receiver,)))
        self.line.until(self.line.now + pause)

    @rule(
        sender=ONE, receiver=ONE, service=SERVICES, options=OPTIONS, subnet=st.sampled_from((0, 0, 1, 9)), pause=PAUSE_S
    )
    def by_unique_node_id(
        self, sender: int, receiver: int, service: Service, options: Options, subnet: int, pause: float
    ) -> None:
        sender, receiver = self.place(sender), self.place(receiver)
        identity = bytes((7, 0, 0, 0, *self.address(receiver)))
        self.ask(sender, UniqueNodeId(identity, subnet), service, options, frozenset((receiver,)))
        self.line.until(self.line.now + pause)

    @rule(sender=ONE, group=st.sampled_from((SOME, ALL)), service=SERVICES, options=OPTIONS, pause=PAUSE_S)
    def to_a_group(self, sender: int, group: int, service: Service, options: Options, pause: float) -> None:
        sender = self.place(sender)
        members = frozenset(self.members[group])
        size = len(members - {sender}) + 1
        self.ask(sender, Group(group, size), service, options, members, all_of_them=size > 1)
        self.line.until(self.line.now + pause)

    @rule(
        sender=ONE,
        subnet=st.integers(0, 2),
        service=SERVICES,
        options=OPTIONS,
        backlog=st.integers(0, 63),
        pause=PAUSE_S,
    )
    def to_all(self, sender: int, subnet: int, service: Service, options: Options, backlog: int, pause: float) -> None:
        heard = frozenset(p for p in range(len(self.line.nodes)) if subnet in (0, self.address(p)[0]))
        self.ask(self.place(sender), Broadcast(subnet, backlog), service, options, heard, all_of_them=False)
        self.line.until(self.line.now + pause)

    @rule(
        sender=ONE,
        hops=st.lists(ONE, min_size=1, max_size=4),
        receiver=ONE,
        options=OPTIONS,
        chain=st.builds(
            ChainOptions,
            service=SERVICES,
            timer=st.sampled_from((7, 8, 9, 10)),
            retry=st.integers(0, 2),
            target_timer=st.sampled_from((6, 7)),
            target_retry=st.integers(0, 2),
            all_agents=st.booleans(),
            compact=st.booleans(),
        ),
        many=st.sampled_from((0, 0, 0, SOME, ALL, 1)),
        pause=PAUSE_S,
    )
    def by_a_chain(
        self,
        sender: int,
        hops: list[int],
        receiver: int,
        options: Options,
        chain: ChainOptions,
        many: int,
        pause: float,
    ) -> None:
        sender, receiver = self.place(sender), self.place(receiver)
        destination: Destination = SubnetNode(*self.address(receiver))
        targets = frozenset((receiver,))
        if many == 1:
            destination, targets = Broadcast(), frozenset(range(len(self.line.nodes)))
        elif many:
            destination, targets = Group(many, len(self.members[many])), frozenset(self.members[many])
        source = Options(priority=options.priority, authenticated=options.authenticated, retry=1)
        chain = ChainOptions(**{name: getattr(chain, name) for name in chain.__slots__} | {"source": source})
        self.serial += 1
        tag = b"\x20" + self.serial.to_bytes(3, "big")
        places = [Hop(*self.address(self.place(hop))) for hop in hops]
        try:
            handle = self.line.nodes[sender].request_via(places, destination, tag, self.line.now, chain)
        except (ConfigError, LocalProtocolError):
            return
        sure = chain.service in (Service.ACKD, Service.REQUEST) and not many and receiver != sender
        self.keep(sender, handle, tag, chain.service, targets if sure else frozenset(), sure, options.authenticated)
        if chain.all_agents:
            self.messages[tag].copies = len(hops)
        self.line.until(self.line.now + pause)

    @rule(sender=ONE, receiver=ONE, command=st.sampled_from(MANAGEMENT), options=OPTIONS, pause=PAUSE_S)
    def manage(self, sender: int, receiver: int, command: bytes, options: Options, pause: float) -> None:
        sender, receiver = self.place(sender), self.place(receiver)
        self.shaken.add(receiver)
        destination = UniqueNodeId(bytes((7, 0, 0, 0, *self.address(receiver))))
        self.ask(sender, destination, Service.REQUEST, options, frozenset(), apdu=command)
        self.line.until(self.line.now + pause)

    # ---- what happens besides
    @rule(seconds=st.sampled_from((0.0, 0.001, 0.05, 0.2, 1.0, 9.0, 30.0)))
    def time_goes_on(self, seconds: float) -> None:
        self.line.until(self.line.now + seconds)

    @rule(place=ONE, manner=st.sampled_from(MANNERS))
    def answer_otherwise(self, place: int, manner: str) -> None:
        self.manners[self.place(place)] = manner

    @rule(place=ONE, other=ONE, what=st.sampled_from(MISHAPS))
    def a_mishap(self, place: int, other: int, what: str) -> None:
        place, other = self.place(place), self.place(other)
        if what == "a link is cut":
            self.line.cut.add((place, other))
        elif what == "links are mended":
            self.line.cut.clear()
        elif what == "power fails":
            self.line.nodes[place].reset(self.line.now)
            self.last_reset = self.line.now
            self.line.flush()
            assert place not in {sender for sender, _ in self.open}, "a transaction outlived its node's reset"
        elif what == "second thoughts":
            self.give_up(other)
        else:
            self.reconfigure(place, what)
        self.line.flush()

    def give_up(self, number: int) -> None:
        if self.open:
            place, handle = sorted(self.open)[number % len(self.open)]
            assert self.line.nodes[place].cancel(handle, self.line.now)
            self.line.flush()
            assert (place, handle) not in self.open

    def reconfigure(self, place: int, what: str) -> None:
        found = self.line.nodes[place].configuration
        self.shaken.add(place)
        if what == "offline":
            found.soft_offline = not found.soft_offline
        elif what == "out of all groups":
            found.addresses = [None] * len(found.addresses)
        elif what == "another key":
            found.domains[0].key = bytes((found.domains[0].key[0] ^ 1,)) + found.domains[0].key[1:]
        else:
            found.join(1, domain_entry(b"OSG", 3, 10 + place) if self.rng.random() < 0.5 else DomainEntry())
        found.changed()

    @precondition(lambda self: self.forging)
    @rule(seed=st.integers(0, 2**32))
    def lie(self, seed: int) -> None:
        places = [self.address(each) for each in range(len(self.line.nodes))]
        self.line.say(forged(random.Random(seed), places, [each.frame for each in self.line.spoken[-40:]]))

    # ---- what the nodes tell
    def hear(self, place: int, event: Event) -> None:
        match event:
            case MessageReceived():
                self.message(place, event)
            case ResponseReceived():
                self.response(place, event)
            case TransactionCompleted() | TransactionFailed():
                self.end(place, event)
            case NodeReset():
                self.last_reset = self.line.now
            case ModeChanged():
                self.shaken.add(place)

    def message(self, place: int, event: MessageReceived) -> None:
        now, stack = self.line.now, self.line.nodes[place]
        asked = self.messages.get(event.apdu)
        if asked is None:
            assert self.forging, "a message that nobody sent"
        else:
            if event.authenticated:
                assert asked.authenticated, "authenticated, though nobody asked for it"
                assert self.other_key not in (place, asked.sender) or self.shaken, "authenticated with another key"
            before = self.received.setdefault((event.apdu, place), [])
            before.append(now)
            if len(before) > asked.copies and asked.service != Service.UNACKD and not self.forging:
                assert self.last_reset >= asked.began, f"delivered at {before}"
        if event.reply is None:
            return
        reply, answer = event.reply, b"\x21" + event.apdu[1:]
        manner = self.manners.get(place, "at once")
        if manner in ("late", "too late"):
            delay = 0.15 if manner == "late" else 20.0
            self.line.at(now + delay, lambda: self.respond(place, reply, answer, manner))
        elif manner != "never":
            assert stack.respond(reply, None if manner == "in silence" else answer, now)
            if manner == "twice":
                assert not stack.respond(reply, answer, now)

    def respond(self, place: int, reply: int, answer: bytes, manner: str) -> None:
        taken = self.line.nodes[place].respond(reply, answer, self.line.now)
        assert not (taken and manner == "too late"), "longer ago than any receive timer"

    def response(self, place: int, event: ResponseReceived) -> None:
        tag = self.open.get((place, event.handle))
        assert tag is not None, "a response to no request of ours, or after its end"
        if self.messages[tag].application and not self.forging:
            assert event.apdu in (b"\x21" + tag[1:], bytes((OFFLINE,))), (
                f"the answer of another request: {event}, {tag.hex()}"
            )

    def end(self, place: int, event: TransactionCompleted | TransactionFailed) -> None:
        self.ends[place, event.handle] += 1
        assert self.ends[place, event.handle] == 1
        tag = self.open.pop((place, event.handle))
        asked = self.messages[tag]
        if isinstance(event, TransactionFailed) or self.forging or not asked.application:
            return
        if asked.service not in (Service.ACKD, Service.REQUEST) or not asked.targets:
            return
        sure = asked.targets - self.shaken - {self.fresh}
        have = {target for target in sure if (tag, target) in self.received}
        if asked.all_of_them:
            assert have == sure or self.shaken & asked.targets, "completed, but not delivered"
        else:
            # Who has no place in a network answers every broadcast, and delivers it to nobody.
            assert have or self.fresh >= 0 or self.shaken, "completed, but delivered nowhere"

    # ---- what always holds
    @invariant()
    def numbers_do_not_collide(self) -> None:
        for node in self.line.nodes:
            transport = node.transport
            general = set(transport._general)
            assert not [peer for peer, each in transport._exact.items() if (peer[0], each.number) in general]
            assert all(each.way.peer == peer and each.deadline is not None for peer, each in transport._exact.items())
            for key, each in transport._general.items():
                assert (each.way.options.priority, each.number) == key
                assert each.deadline is not None
            assert {each.way.peer for each in transport._general.values()} == transport._busy
            assert begun(node) == sum(lane.active for lane in transport._lanes)
            assert len(
                {each.handle for each in transport._exact.values()}
                | {each.handle for each in transport._general.values()}
            ) == begun(node)
            assert all(lane.active <= transport.concurrent for lane in transport._lanes)

    @invariant()
    def nothing_grows(self) -> None:
        for node in self.line.nodes:
            transport, reception = node.transport, node.reception
            assert len(reception) <= node.configuration.receive_transactions
            assert len(reception._pending) <= len(reception)
            assert len(transport.numbers) <= transport.numbers.destinations
            assert waiting(node) <= 2 * transport.queue
            node.deadline()  # what is left behind is dropped when it is asked for
            assert len(transport.timers) <= 2 * 64

    @invariant()
    def who_waits_is_woken(self) -> None:
        for node in self.line.nodes:
            news, due = node.transport.timers.news, node.deadline()
            assert node.transport.busy == 0 or due is not None
            before, promised = self.stood_by.get(node.transport.timers, (-1, 0.0))
            assert news != before or due is None or due >= promised, "due before its time, and nobody was told"
            self.stood_by[node.transport.timers] = (node.transport.timers.news, math.inf if due is None else due)

    def teardown(self) -> None:
        if not hasattr(self, "line"):
            return
        self.line.settle(DAY_S if self.forging else QUIET_LIMIT_S)
        assert not self.open, "transactions without an end"
        for node in self.line.nodes:
            assert idle(node)
            assert not node._out
        self.nothing_grows()


def _run(examples: int, steps: int) -> None:
    run: Any = run_state_machine_as_test
    run(BadLine, settings=settings(max_examples=examples, stateful_step_count=steps))


def test_whatever_is_asked_on_a_bad_line() -> None:
    _run(150, 40)


@pytest.mark.long
def test_whatever_is_asked_on_a_bad_line_for_long() -> None:
    _run(settings().max_examples, 60)
