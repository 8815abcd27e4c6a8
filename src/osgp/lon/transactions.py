"""What the transport knows of a message of ours: how such messages go to its destination, and how far this one has come.

ISO/IEC 14908-1, transport and session layers; ``spec/iso14908-1.md`` 3.1, 6.3. What is remembered from message to message is a project
choice: finding it out is most of the work of a short message.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

from osgp.lon.address import Destination, Group, SubnetNode, UniqueNodeId
from osgp.lon.configuration import Configuration, Membership
from osgp.lon.lpdu import MAX_BACKLOG, LinkHeader
from osgp.lon.ltep import Service
from osgp.lon.network import send_packet
from osgp.lon.npdu import ENHANCED, LEGACY, PduType
from osgp.lon.numbers import Remembered
from osgp.lon.packet import Envelope, Letter, Packet

__all__ = ["DEFAULTS", "Cover", "Lane", "Listener", "Nested", "Options", "Transaction", "Way"]

_PRIORITY = LinkHeader.fields["priority"].mask
_ALTERNATE = LinkHeader.fields["alternate_path"].mask
_REPEATED, _REQUEST = int(Service.UNACKD_RPT), int(Service.REQUEST)
_TPDU, _SPDU = int(PduType.TPDU), int(PduType.SPDU)


@dataclass(frozen=True, slots=True)
class Options:
    """How a message is sent.

    ``domain_index``: entry of our domain table. ``flex_domain``: another domain instead, of which we are no member: the source is
    then 0/0. ``timer_s``: transmit timer, or repeat timer of the repeated service. ``alternate_path``: None as the standard has it
    (the last two transmissions), else all transmissions on that path. ``max_responses``: of a broadcast request; with more than one
    it ends when as many nodes have answered or the retries are over, and fails only without any (project choice: both open
    stacks end at the first). ``mode``: how a power line is to send it (``ltep.Mode``). ``backlog``: delta backlog of a message to one
    node; None as the standard has it, 1. With 0 the answer's window is 16 slots, not 32 (project choice, for a line with one master).
    """

    domain_index: int = 0
    flex_domain: bytes | None = None
    priority: bool = False
    authenticated: bool = False
    retry: int = 3
    timer_s: float = 0.384
    alternate_path: bool | None = None
    enhanced: bool = False
    max_responses: int = 1
    mode: int = 0
    backlog: int | None = None


DEFAULTS = Options()


class Listener(Protocol):
    """Who is told of a transaction instead of the application."""

    def answered(self, transaction: Transaction, source: SubnetNode, apdu: bytes, now: float) -> None: ...
    def ended(self, transaction: Transaction, complete: bool, now: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Nested:
    """What the proxy adds: the upstream transaction's number, a longer last wait, an alternate key (digest 6.3, 6.7).

    ``begin_by``: what has not been sent by then has failed: whoever asked has given it up (project choice).
    """

    listener: Listener
    transaction: int | None = None
    extra_wait_s: float = 0.0
    key_delta: bytes | None = field(default=None, repr=False)
    begin_by: float | None = None


class Lane:
    """One priority class: what waits for its turn, in order, and how many transactions are in progress."""

    __slots__ = ("active", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[Transaction] = deque()
        self.active = 0


class Way:
    """How messages of one service go to one destination with the same options: what does not depend on the message itself.

    ``peer``: what tells destinations apart. ``plain``: to one node, in the legacy version, with nothing to prove and no mode.
    ``link``, ``last_link``: link headers of a message to one node, and of its last two transmissions. ``remembered``, ``cover``: of
    the last plain message; both are there or neither. It holds while the configuration is what it was.
    """

    __slots__ = (
        "counter",
        "cover",
        "destination",
        "domain",
        "lane",
        "last_link",
        "link",
        "membership",
        "options",
        "peer",
        "plain",
        "remembered",
        "revision",
        "service",
        "session",
        "single",
        "state",
        "version",
    )

    def __init__(
        self,
        service: int,
        destination: Destination,
        options: Options,
        membership: Membership | None,
        domain: bytes,
        lanes: tuple[Lane, Lane],
        configuration: Configuration,
    ) -> None:
        self.service = service
        self.destination = destination
        self.options = options
        self.membership = membership
        self.domain = domain
        self.counter = 1 if options.priority else 0
        self.lane = lanes[self.counter]
        self.session = service == _REQUEST
        self.version = ENHANCED if options.enhanced else LEGACY
        self.revision = configuration.revision
        self.state = configuration.state
        link = 1 if options.backlog is None else min(options.backlog, MAX_BACKLOG)
        if options.priority:
            link |= _PRIORITY
        alternate = options.alternate_path
        self.link = link | _ALTERNATE if alternate else link
        self.last_link = link if alternate is not None and not alternate else link | _ALTERNATE
        self.peer: tuple[object, ...]
        if isinstance(destination, SubnetNode):
            self.single = True
            self.peer = (options.priority, domain, destination.subnet, destination.node)
        else:
            self.single = False
            self.peer = (options.priority, _who(domain, destination))
        special = options.authenticated or options.mode or options.enhanced or service == _REPEATED
        self.plain = self.single and not special
        self.remembered: Remembered | None = None
        self.cover: Cover | None = None


def _who(domain: bytes, destination: Destination) -> object:
    """Whom a message is for, where that is not one node of a subnet."""
    if isinstance(destination, Group):
        return (domain, "group", destination.group)
    if isinstance(destination, UniqueNodeId):
        # Without the subnet: it is a hint for routers, and the receiver's record does not know it.
        return (domain, destination.unique_node_id)
    assert not isinstance(destination, SubnetNode)
    return (domain, "subnet", destination.subnet)


class Transaction:
    """One message of ours until all its answers are in, or nobody waits for them any more. ``attempts`` 0: it has not begun."""

    # Without slots: one is made for each message, and what is mostly the same costs nothing here.
    answered: set[object] | None = None
    expected = 1
    attempts = restarts = put_off = granted = 0
    deadline: float | None = None
    last: Packet | Letter | None = None
    # Set when it begins.
    number: int
    remembered: Remembered

    def __init__(self, handle: int, way: Way, apdu: bytes, nested: Nested | None) -> None:
        self.handle = handle
        self.way = way
        self.apdu = apdu
        self.left = way.options.retry
        self.nested = nested


class Cover(Envelope):
    """The envelope of plain messages to one node. ``link``: its link header, as a number."""

    __slots__ = ("link", "membership", "service")

    def __init__(self, way: Way, link: int) -> None:
        self.link = link
        self.service = way.service
        self.membership = way.membership
        pdu_type = _SPDU if way.session else _TPDU
        packet = send_packet(way.membership, way.domain, way.destination, pdu_type, b"", link)
        super().__init__(packet.header, packet.npdu)
