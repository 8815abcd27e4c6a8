"""Transactions we begin: acknowledged, request/response, repeated; retries, answers, members of a group, challenges.

ISO/IEC 14908-1, transport and session layers; ``spec/iso14908-1.md`` 3.1–3.3, 4.1. One machine for both layers: what a TPDU calls ACKD
and ACK an SPDU calls REQUEST and RESPONSE, the rules are the same. ``reception`` holds the other direction.

The machine hands packets to ``out``, what happened to ``events`` and, for a transaction that somebody else in this node began (the
proxy), to its ``Listener``. Time is ``now`` in seconds. One packet in gives at most two out (REMINDER and message).
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from osgp.lon import auth
from osgp.lon.address import Broadcast, Destination, Group, SubnetNode, UniqueNodeId, subnet_node
from osgp.lon.authpdu import AuthHeader, AuthPdu, AuthType
from osgp.lon.configuration import Configuration, Membership
from osgp.lon.events import Event, ResponseReceived, TransactionCompleted, TransactionFailed
from osgp.lon.headers import MESSAGE, REMINDER, REMINDER_MESSAGE, REPEATED, write_pdu
from osgp.lon.lpdu import MAX_APDU, MAX_BACKLOG, LinkHeader
from osgp.lon.ltep import Service
from osgp.lon.network import Note, send_packet
from osgp.lon.npdu import ENHANCED, LEGACY, AddressFormat, PduType
from osgp.lon.numbers import Remembered, TransactionNumbers
from osgp.lon.packet import Envelope, Letter, Packet
from osgp.lon.tpdu import VERSIONS, member_list
from osgp.wire.errors import LocalProtocolError

__all__ = ["DEFAULTS", "Listener", "Nested", "Options", "Transaction", "Transport"]

QUIET_S = 2.0
"""Seconds of silence after a power-up, so that peers forget old transaction numbers (open stack)."""
_FEW = 64
"""Timers among which those of transactions that are over may lie about."""
QUEUE = 64
"""Transactions of one class that may wait for their turn (project choice)."""
BROADCAST_BACKLOG = 15
"""Delta backlog of a broadcast that names none."""
MAX_MEMBER = 63
PATIENCE = 16
"""Transmit timers, at most, for which a copy of a message may wait for its turn on a shared line (project choice)."""
ANSWER_WAITS = 2
"""Times as long as the message for its turn is waited for the answer's: that may have to wait behind a message of the peer's own
(project choice)."""

_PRIORITY = LinkHeader.fields["priority"].mask
_ALTERNATE = LinkHeader.fields["alternate_path"].mask
_ACKD, _REPEATED, _UNACKD, _REQUEST = (
    int(each) for each in (Service.ACKD, Service.UNACKD_RPT, Service.UNACKD, Service.REQUEST)
)
_TPDU, _SPDU, _AUTHPDU, _APDU = (int(each) for each in (PduType.TPDU, PduType.SPDU, PduType.AUTHPDU, PduType.APDU))
_FIRST = tuple(write_pdu(True, MESSAGE, number) for number in range(16))
"""The first byte of a plain message, by its transaction number; TPDU and SPDU have one shape."""
_new = object.__new__
_tuple = tuple.__new__
_push = heapq.heappush
_FORMATS = {
    SubnetNode: AddressFormat.SUBNET_NODE,
    Group: AddressFormat.MULTICAST,
    Broadcast: AddressFormat.BROADCAST,
    UniqueNodeId: AddressFormat.UNIQUE_NODE_ID,
}


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


class Transaction:
    """One message of ours until all its answers are in, or nobody waits for them any more."""

    __slots__ = (
        "answered",
        "apdu",
        "attempts",
        "deadline",
        "destination",
        "domain",
        "expected",
        "granted",
        "handle",
        "lane",
        "last",
        "left",
        "membership",
        "nested",
        "number",
        "options",
        "peer",
        "put_off",
        "remembered",
        "restarts",
        "service",
        "version",
    )

    # Set when it begins.
    deadline: float | None
    lane: _Lane
    last: Packet | Letter | None
    number: int
    peer: tuple[object, ...]
    remembered: Remembered

    def __init__(
        self,
        handle: int,
        service: int,
        destination: Destination,
        apdu: bytes,
        options: Options,
        membership: Membership | None,
        domain: bytes,
        nested: Nested | None,
    ) -> None:
        self.handle = handle
        self.service = service
        self.destination = destination
        self.apdu = apdu
        self.options = options
        self.membership = membership
        self.domain = domain
        self.nested = nested
        self.left = options.retry
        self.version = ENHANCED if options.enhanced else LEGACY
        self.answered: set[object] | None = None
        self.expected = 1
        self.attempts = self.restarts = self.put_off = self.granted = 0

    @property
    def session(self) -> bool:
        """Whether it is an SPDU."""
        return self.service == _REQUEST


class _Lane:
    """One priority class: what waits for its turn, in order, and how many transactions are in progress."""

    __slots__ = ("active", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[Transaction] = deque()
        self.active = 0


class _Cover(Envelope):
    """The envelope of plain messages to one node. ``link``: its link header, as a number."""

    __slots__ = ("link", "membership", "service")

    def __init__(self, transaction: Transaction, link: int) -> None:
        self.link = link
        self.service = transaction.service
        self.membership = transaction.membership
        pdu_type = _SPDU if self.service == _REQUEST else _TPDU
        packet = send_packet(self.membership, transaction.domain, transaction.destination, pdu_type, b"", link)
        super().__init__(packet.header, packet.npdu)


class Transport:
    """The sending half of transport and session of one node.

    ``concurrent``: transactions of one priority class in progress; the standard's nodes have one. ``quiet_until``: before that
    moment nothing is sent that has a transaction number. ``waits``: for a node on a shared line, whether a frame of ours (without
    CRC) has not had its turn yet. Then it is neither sent again nor given up, and the answer is given time in proportion; otherwise
    copies of what is not even sent would fill a line that has more to carry than it can (project choice: an open stack puts no copy
    into a full queue, but counts it).
    """

    def __init__(
        self,
        configuration: Configuration,
        out: list[Packet | Letter],
        events: list[Event],
        *,
        numbers: TransactionNumbers | None = None,
        concurrent: int = 1,
        queue: int = QUEUE,
        quiet_until: float = 0.0,
    ) -> None:
        self.configuration = configuration
        self.out = out
        self.events = events
        self.numbers = TransactionNumbers() if numbers is None else numbers  # an empty one counts as false
        self.concurrent = concurrent
        self.queue = queue
        self.quiet_until = quiet_until
        self._handle = 0
        self._lanes = (_Lane(), _Lane())
        self._exact: dict[tuple[object, ...], Transaction] = {}
        self._general: dict[tuple[object, ...], Transaction] = {}
        self._busy: set[tuple[object, ...]] = set()
        self._timers: list[tuple[float, int, Transaction]] = []
        self._retry_at: float | None = None
        self._study(DEFAULTS)
        self._places: dict[bytes, Membership] | None = None
        self._placed: Options | None = None
        self._home: tuple[Membership | None, bytes] = (None, b"")
        self.waits: Callable[[bytes], bool] | None = None

    # ---- commands --------------------------------------------------------------------------------------------------
    def start(
        self,
        service: int,
        destination: Destination,
        apdu: bytes,
        options: Options,
        now: float,
        nested: Nested | None = None,
    ) -> int:
        """Send a message; its end comes as an event with the handle returned.

        Raises LocalProtocolError for a message that cannot be sent: none of our domains, nothing or too much to send, too many
        waiting, a request to nobody.
        """
        if not apdu or len(apdu) > MAX_APDU:
            raise LocalProtocolError(f"an APDU has 1 to {MAX_APDU} bytes, not {len(apdu)}")
        membership, domain = self._place(options)
        if options.authenticated and (isinstance(destination, Broadcast) or service == _UNACKD):
            raise LocalProtocolError(
                "broadcasts and unacknowledged messages cannot be authenticated",
                hint="a reply does not name the subnet, and without transaction there is nothing to challenge",
            )
        if type(destination) is Group and not destination.size and service in (_ACKD, _REQUEST):
            raise LocalProtocolError(
                f"{destination} has no size: nobody knows how many answers to expect",
                hint="give the number of members (one more if this node is no member), such as group 5 size 4",
            )
        self._handle = handle = self._handle + 1
        if service == _UNACKD:
            link = (_PRIORITY if options.priority else 0) | (_ALTERNATE if options.alternate_path else 0)
            version = ENHANCED if options.enhanced or (membership is not None and membership.enhanced) else LEGACY
            packet = send_packet(membership, domain, destination, _APDU, apdu, link, version)
            self.out.append(packet._replace(mode=options.mode) if options.mode else packet)
            self._tell_end(
                Transaction(handle, service, destination, apdu, options, membership, domain, nested), True, now
            )
            return handle
        lane = self._lanes[1 if options.priority else 0]
        waiting = lane.waiting
        if len(waiting) >= self.queue:
            raise LocalProtocolError(f"{len(waiting)} messages wait already", hint="wait for some of them to end")
        transaction = Transaction(handle, service, destination, apdu, options, membership, domain, nested)
        transaction.lane = lane
        if lane.active < self.concurrent:
            if not waiting and nested is None and now >= self.quiet_until and self._begun(transaction, now):
                return handle
            waiting.append(transaction)
            self._pump(lane, now)
        else:
            waiting.append(transaction)
        return handle

    def cancel(self, handle: int, now: float) -> bool:
        """Give up a transaction: it ends as failed. False if it is over already."""
        for lane in self._lanes:
            for transaction in lane.waiting:
                if transaction.handle == handle:
                    lane.waiting.remove(transaction)
                    self._tell_end(transaction, False, now, "cancelled")
                    return True
        for table in (self._exact, self._general):
            for transaction in table.values():
                if transaction.handle == handle:
                    self._end(transaction, False, now, "cancelled")
                    return True
        return False

    def _place(self, options: Options) -> tuple[Membership | None, bytes]:
        """Who we are for messages with these options, and their domain; looked up anew when our places or the options are others."""
        places = self.configuration.places()
        if places is self._places and options is self._placed:
            return self._home
        self._home = self._found_place(options, places)
        self._places, self._placed = places, options
        return self._home

    @staticmethod
    def _found_place(options: Options, places: dict[bytes, Membership]) -> tuple[Membership | None, bytes]:
        if options.flex_domain is not None:
            return None, options.flex_domain
        for domain, membership in places.items():
            if membership.domain_index == options.domain_index:
                return membership, domain
        raise LocalProtocolError(
            f"this node is in no domain {options.domain_index}: it cannot send there",
            hint="commission it first (update domain), or send on a flex domain",
        )

    @property
    def busy(self) -> int:
        """Transactions in progress or waiting."""
        return len(self._exact) + len(self._general) + sum(len(lane.waiting) for lane in self._lanes)

    def room(self, priority: bool) -> bool:
        """Whether a further transaction of that class would be taken."""
        return len(self._lanes[1 if priority else 0].waiting) < self.queue

    # ---- beginning -------------------------------------------------------------------------------------------------
    def _pump(self, lane: _Lane, now: float) -> None:
        """Begin what may begin, in order; what must wait for its peer or a number lets others pass."""
        waiting = lane.waiting
        if now < self.quiet_until:
            return
        place = 0
        while place < len(waiting) and lane.active < self.concurrent:
            transaction = waiting[place]
            nested = transaction.nested
            if nested is not None and nested.begin_by is not None and nested.begin_by <= now:
                del waiting[place]
                self._tell_end(transaction, False, now)
                continue
            if self._begun(transaction, now):
                del waiting[place]
            else:
                place += 1

    def _begun(self, transaction: Transaction, now: float) -> bool:
        """Begin a transaction, unless it must wait for its peer or a number."""
        destination, priority, lane = transaction.destination, transaction.options.priority, transaction.lane
        single = type(destination) is SubnetNode
        peer: tuple[object, ...]
        if single:
            peer = (priority, transaction.domain, destination.subnet, destination.node)  # type: ignore[union-attr]  # see single
            if peer in self._exact:
                return False
        else:
            peer = (priority, self._who(transaction))
            if peer in self._busy:
                return False
        nested = transaction.nested
        remembered = None
        if nested is not None and nested.transaction is not None:
            if self._is_taken(transaction, priority, nested.transaction):
                return False
            remembered = self.numbers.inherit(peer, nested.transaction, now)
        if remembered is None:
            most = 15 if transaction.version == LEGACY else 4095
            taken = partial(self._is_taken, transaction, priority) if lane.active else None
            remembered = self.numbers.allocate(priority, peer, taken, now, most)
            if remembered is None:
                self._retry_at = max(self.numbers.free_at(), now + 0.01)
                return False
        transaction.peer = peer
        transaction.remembered = remembered
        transaction.number = remembered.number
        if single:
            self._exact[peer] = transaction
        else:
            if isinstance(destination, Group):
                transaction.expected = max(1, destination.size - 1)
            elif isinstance(destination, Broadcast):
                transaction.expected = transaction.options.max_responses
            self._general[priority, transaction.number] = transaction
            self._busy.add(peer)
        lane.active += 1
        self._transmit(transaction, now)
        return True

    @staticmethod
    def _who(transaction: Transaction) -> object:
        """Whom a message is for, where that is not one node of a subnet."""
        destination = transaction.destination
        if isinstance(destination, Group):
            return (transaction.domain, "group", destination.group)
        if isinstance(destination, UniqueNodeId):
            # Without the subnet: it is a hint for routers, and the receiver's record does not know it.
            return (transaction.domain, destination.unique_node_id)
        return (transaction.domain, "subnet", destination.subnet)

    def _is_taken(self, transaction: Transaction, priority: bool, number: int) -> bool:
        """Whether an answer with this number could be taken for that of another transaction in progress."""
        if (priority, number) in self._general:
            return True
        if type(transaction.destination) is SubnetNode:
            return False
        return any(each.number == number and each.options.priority == priority for each in self._exact.values())

    def _transmit(self, transaction: Transaction, now: float) -> None:
        """Send (again), and wait."""
        options, service, left = transaction.options, transaction.service, transaction.left
        first = not transaction.attempts
        if options is not self._options:
            self._study(options)
        if not self._plain or service == _REPEATED or type(transaction.destination) is not SubnetNode:
            self._compose(transaction, left, first)
        else:  # a plain message to one node goes in the envelope of the one before, if that was alike
            link = self._last_link if left <= (1 if first else 2) else self._link
            remembered, membership = transaction.remembered, transaction.membership
            cover: _Cover | None = remembered.cover
            if cover is None or cover.link != link or cover.service != service or cover.membership is not membership:
                remembered.cover = cover = _Cover(transaction, link)
            transaction.last = letter = _new(Letter)  # as packet.letter_of
            letter.envelope = cover
            letter.pdu = _FIRST[transaction.number] + transaction.apdu
            self.out.append(letter)
        if first:
            transaction.attempts = 1
        else:
            transaction.left = left - 1
            self.configuration.statistics.count("retries")
            transaction.attempts += 1
            transaction.put_off = transaction.granted = 0
        timers = self._timers
        if len(timers) < _FEW and transaction.nested is None:
            transaction.deadline = deadline = now + options.timer_s
            _push(timers, (deadline, transaction.handle, transaction))
        else:
            self._arm(transaction, now)

    def _study(self, options: Options) -> None:
        """What follows from options, which are mostly the same again and again."""
        self._options = options
        self._plain = not (options.authenticated or options.mode or options.enhanced)
        link = 1 if options.backlog is None else min(options.backlog, MAX_BACKLOG)
        if options.priority:
            link |= _PRIORITY
        alternate = options.alternate_path
        self._link = link | _ALTERNATE if alternate else link
        self._last_link = link if alternate is not None and not alternate else link | _ALTERNATE

    def _compose(self, transaction: Transaction, left: int, first: bool) -> None:
        """Send a message as its service, its destination and its options want it, anew each time."""
        options = transaction.options
        repeated = transaction.service == _REPEATED
        destination = transaction.destination
        kind, members, backlog = MESSAGE, None, 1
        if repeated:
            kind, backlog = REPEATED, left if first else 0
        elif type(destination) is SubnetNode:
            if options.backlog is not None:
                backlog = options.backlog
        elif isinstance(destination, Group):
            answered = transaction.answered or set()
            backlog = transaction.expected - len(answered)
            if not first:
                members = member_list({each for each in answered if isinstance(each, int)})
                if len(members) <= 2:
                    kind = REMINDER_MESSAGE
                else:
                    reminder = write_pdu(
                        transaction.session,
                        REMINDER,
                        transaction.number,
                        authenticated=options.authenticated,
                        version=transaction.version,
                        members=members,
                    )
                    self._send(transaction, reminder, 0, left, first)
                    members = None
        elif isinstance(destination, Broadcast):
            backlog = destination.backlog or BROADCAST_BACKLOG
        pdu = write_pdu(
            transaction.service == _REQUEST,
            kind,
            transaction.number,
            transaction.apdu,
            authenticated=options.authenticated,
            version=transaction.version,
            members=members,
        )
        self._send(transaction, pdu, min(backlog, MAX_BACKLOG), left, first)

    def _send(self, transaction: Transaction, pdu: bytes, backlog: int, left: int, first: bool) -> None:
        options = transaction.options
        alternate = options.alternate_path
        if alternate is None:
            alternate = transaction.service != _REPEATED and left <= (1 if first else 2)
        packet = send_packet(
            transaction.membership,
            transaction.domain,
            transaction.destination,
            _SPDU if transaction.service == _REQUEST else _TPDU,
            pdu,
            (_PRIORITY if options.priority else 0) | (_ALTERNATE if alternate else 0) | backlog,
            transaction.version,
        )
        transaction.last = packet
        self.out.append(packet._replace(mode=options.mode) if options.mode else packet)

    def _arm(self, transaction: Transaction, now: float) -> None:
        wait = transaction.options.timer_s
        if transaction.nested is not None and transaction.left == 0 and transaction.options.retry:
            wait += transaction.nested.extra_wait_s
        transaction.deadline = deadline = now + wait
        timers = self._timers
        _push(timers, (deadline, transaction.handle, transaction))
        if len(timers) > _FEW and len(timers) > 4 * (len(self._exact) + len(self._general)):
            self._timers = [entry for entry in timers if entry[2].deadline == entry[0]]
            heapq.heapify(self._timers)

    # ---- answers ---------------------------------------------------------------------------------------------------
    def _find(self, packet: Packet | Letter, number: int) -> Transaction | None:
        """The transaction in progress that a packet answers or challenges, by who sent it."""
        header, npdu = packet.header, packet.npdu
        priority = header >= _PRIORITY
        version = npdu.control >> 6  # both have numbers of their own, which may be the same
        found = self._exact.get((priority, npdu.domain, npdu.source_subnet, npdu.source_node & 0x7F))
        if found is not None and found.number == number:
            return found if npdu.group is None and found.version == version else None
        found = self._general.get((priority, number))
        if found is None or found.version != version:
            return None
        if found.domain != npdu.domain and not isinstance(found.destination, UniqueNodeId):
            return None
        destination = found.destination
        if isinstance(destination, Group):
            return found if npdu.group == destination.group and (npdu.member or 0) <= MAX_MEMBER else None
        if npdu.group is not None:
            return None
        if (
            isinstance(destination, Broadcast)
            and destination.subnet not in (0, npdu.source_subnet)
            and npdu.source_subnet
        ):
            return None
        return found

    def answer(
        self, packet: Packet | Letter, session: bool, number: int, apdu: bytes, now: float, note: Note | None = None
    ) -> bool:
        """Take an ACK or a RESPONSE. False if nobody waits for it (counted as late). ``note``: on the packet's envelope, if it is a
        letter."""
        if note is not None:
            transaction = self._exact.get(note.peer)
            if (
                transaction is not None
                and transaction.number == number
                and transaction.nested is None
                and transaction.version == LEGACY
                and transaction.service == (_REQUEST if session else _ACKD)
            ):
                if session:
                    self.events.append(_tuple(ResponseReceived, (transaction.handle, note.source, apdu)))
                self._end(transaction, True, now)
                return True
        transaction = self._find(packet, number)
        if transaction is None or (transaction.service == _REQUEST) != session or transaction.service == _REPEATED:
            self.configuration.statistics.count("late_acknowledgements")
            return False
        npdu = packet.npdu
        grouped = isinstance(transaction.destination, Group)
        if grouped or transaction.expected > 1:
            who: object = npdu.member
            if not grouped:
                who = (npdu.source_subnet, npdu.source_node & 0x7F, apdu if not npdu.source_subnet else b"")
            if transaction.answered is None:
                transaction.answered = set()
            if who in transaction.answered:
                return True
            transaction.answered.add(who)
        if session:
            source = subnet_node(npdu.source_subnet, npdu.source_node & 0x7F)
            if transaction.nested is None:
                self.events.append(ResponseReceived(transaction.handle, source, apdu))
            else:
                transaction.nested.listener.answered(transaction, source, apdu, now)
        if transaction.answered is None or len(transaction.answered) >= transaction.expected:
            self._end(transaction, True, now)
        elif grouped:
            self._arm(transaction, now)
        return True

    def challenged(self, packet: Packet, challenge: AuthPdu, number: int, now: float) -> bool:
        """Answer a challenge to a message of ours. False if there is none that fits, or no key."""
        transaction = self._find(packet, number)
        if transaction is None or not transaction.options.authenticated or transaction.last is None:
            return False
        header, npdu, _ = packet
        group = transaction.destination.group if isinstance(transaction.destination, Group) else None
        if challenge.header.address_format != _FORMATS[type(transaction.destination)] or challenge.group != group:
            return False
        # A peer may ask again for each of our transmissions; more would keep the transaction alive for ever.
        if transaction.restarts > (transaction.options.retry + 1) * transaction.expected:
            return False
        kind = challenge.header.type
        value = auth.answer(
            self.configuration,
            transaction.membership,
            int(kind == AuthType.OMA_CHALLENGE),
            challenge.value,
            transaction.last.npdu,
            transaction.apdu,
            transaction.nested.key_delta if transaction.nested is not None else None,
        )
        if value is None:
            return False
        reply = AuthPdu(
            header=AuthHeader(
                int(challenge.header), type=AuthType.OMA_REPLY if kind == AuthType.OMA_CHALLENGE else AuthType.REPLY
            ),
            transaction_low=challenge.transaction_low,
            value=value,
            group=challenge.group,
        )
        destination: Destination = subnet_node(npdu.source_subnet, npdu.source_node & 0x7F)
        if not npdu.source_node & 0x7F and isinstance(transaction.destination, UniqueNodeId):
            destination = transaction.destination
        version = npdu.control.version
        self.out.append(
            send_packet(
                transaction.membership,
                transaction.domain,
                destination,
                _AUTHPDU,
                reply.encode(VERSIONS[version]),
                int(header) & (_PRIORITY | _ALTERNATE),
                version,
            )
        )
        transaction.restarts += 1
        self._arm(transaction, now)
        return True

    # ---- ends ------------------------------------------------------------------------------------------------------
    def _end(self, transaction: Transaction, complete: bool, now: float, reason: str = "no answer") -> None:
        lane, peer = transaction.lane, transaction.peer
        if type(transaction.destination) is SubnetNode:
            del self._exact[peer]
        else:
            del self._general[transaction.options.priority, transaction.number]
            self._busy.discard(peer)
        lane.active -= 1
        transaction.deadline = None
        timers = self._timers
        if timers and timers[-1][2] is transaction:
            timers.pop()  # the last entry of a heap may go
        transaction.remembered.used_at = now
        if complete and transaction.nested is None:
            self.events.append(_tuple(TransactionCompleted, (transaction.handle, transaction.attempts or 1)))
        else:
            if not complete:
                self.configuration.statistics.count("transaction_timeouts")
            self._tell_end(transaction, complete, now, reason)
        if lane.waiting:
            self._pump(lane, now)

    def _tell_end(self, transaction: Transaction, complete: bool, now: float, reason: str = "no answer") -> None:
        if transaction.nested is not None:
            transaction.nested.listener.ended(transaction, complete, now)
        elif complete:
            self.events.append(_tuple(TransactionCompleted, (transaction.handle, transaction.attempts or 1)))
        else:
            missing = self._missing(transaction)
            self.events.append(TransactionFailed(transaction.handle, reason, transaction.attempts, missing))

    def _missing(self, transaction: Transaction) -> tuple[int, ...]:
        """Members of the group whose answer is not in, if members are numbered from 0 on."""
        destination, membership = transaction.destination, transaction.membership
        if not isinstance(destination, Group) or membership is None:
            return ()
        own = self.configuration.groups().get((membership.domain_index, destination.group))
        members = range(destination.size if own is not None else transaction.expected)
        answered = transaction.answered or set()
        return tuple(each for each in members if each not in answered and (own is None or each != own.member))

    def deadline(self) -> float | None:
        """When ``wake`` has something to do."""
        timers = self._timers
        due = None
        while timers:
            due, _, transaction = timers[0]
            if transaction.deadline == due:
                break
            heapq.heappop(timers)
            due = None
        plain, urgent = self._lanes
        if plain.waiting or urgent.waiting:
            other = None
            if self.quiet_until > 0 and self._retry_at is None and not plain.active and not urgent.active:
                other = self.quiet_until
            elif self._retry_at is not None:
                other = self._retry_at
            if other is not None and (due is None or other < due):
                due = other
        return due

    def wake(self, now: float) -> None:
        """Retransmit or give up what is due, begin what may begin."""
        timers = self._timers
        while timers and timers[0][0] <= now:
            deadline, _, transaction = heapq.heappop(timers)
            if transaction.deadline != deadline:
                continue
            if self._must_wait(transaction):
                self._arm(transaction, now)
            elif transaction.left > 0:
                self._transmit(transaction, now)
            else:
                complete = transaction.service == _REPEATED or (
                    isinstance(transaction.destination, Broadcast) and bool(transaction.answered)
                )
                self._end(transaction, complete, now)
            timers = self._timers
        self._retry_at = None
        for lane in reversed(self._lanes):
            self._pump(lane, now)

    def _must_wait(self, transaction: Transaction) -> bool:
        """Whether our copy has not had its turn on a shared line, or the answer can hardly have had its own."""
        last = transaction.last
        if self.waits is None or last is None:
            return False
        if self.waits(last.lpdu()):
            if transaction.put_off >= PATIENCE:
                return False
            transaction.put_off += 1
            return True
        if transaction.granted >= ANSWER_WAITS * transaction.put_off:
            return False
        transaction.granted += 1
        return True

    def forget(self, now: float, reason: str = "reset") -> None:
        """End everything: the node is reset."""
        for lane in self._lanes:
            while lane.waiting:
                self._tell_end(lane.waiting.popleft(), False, now, reason)
        for table in (self._exact, self._general):
            for transaction in list(table.values()):
                self._end(transaction, False, now, reason)
        self._timers.clear()
        self._retry_at = None
