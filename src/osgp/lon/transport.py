"""Transactions we begin: acknowledged, request/response, repeated; retries, answers, members of a group, challenges.

ISO/IEC 14908-1, transport and session layers; ``spec/iso14908-1.md`` 3.1–3.3, 4.1. One machine for both layers: what a TPDU calls ACKD
and ACK an SPDU calls REQUEST and RESPONSE, the rules are the same. ``reception`` holds the other direction.

The machine hands packets to ``out``, what happened to ``events`` and, for a transaction that somebody else in this node began (the
proxy), to its ``Listener``. Time is ``now`` in seconds. One packet in gives at most two out (REMINDER and message).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

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
from osgp.lon.numbers import TransactionNumbers
from osgp.lon.packet import Letter, Packet, letter_of
from osgp.lon.tpdu import VERSIONS, member_list
from osgp.lon.transactions import DEFAULTS, Cover, Lane, Listener, Nested, Options, Transaction, Way
from osgp.lon.waits import Waits
from osgp.wire.errors import LocalProtocolError

__all__ = ["DEFAULTS", "Listener", "Nested", "Options", "Transaction", "Transport", "Way"]

QUIET_S = 2.0
"""Seconds of silence after a power-up, so that peers forget old transaction numbers (open stack)."""
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
_NOW_AND_THEN = 0xFF
"""After so many messages somebody is to ask for the deadline, even if it is no earlier: what is over is dropped then."""
_new = object.__new__
_tuple = tuple.__new__
_FORMATS = {
    SubnetNode: AddressFormat.SUBNET_NODE,
    Group: AddressFormat.MULTICAST,
    Broadcast: AddressFormat.BROADCAST,
    UniqueNodeId: AddressFormat.UNIQUE_NODE_ID,
}


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
        self._lanes = (Lane(), Lane())
        self._exact: dict[tuple[object, ...], Transaction] = {}
        self._general: dict[tuple[object, ...], Transaction] = {}
        self._busy: set[tuple[object, ...]] = set()
        self.timers: Waits[Transaction] = Waits()
        self._retry_at: float | None = None
        self._ways: dict[int, Way] = {}  # to nodes of subnets, by service and address
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
        configuration = self.configuration
        way = None
        if type(destination) is SubnetNode:
            way = self._ways.get(service << 16 | destination.subnet << 8 | destination.node)
        if (
            way is None
            or way.options is not options
            or way.revision != configuration.revision
            or way.state != configuration.state
        ):
            way = self._way(service, destination, options)
        lane = way.lane
        waiting = lane.waiting
        cover, remembered = way.cover, way.remembered
        if (
            remembered is not None
            and cover is not None
            and nested is None
            and lane.active < self.concurrent
            and not waiting
            and now >= self.quiet_until
            and way.peer not in self._exact
            and not self._general
            and (number := self.numbers.following(remembered, way.counter))
        ):  # as _begun, for a message like the last one to that node
            self._handle = handle = self._handle + 1
            transaction = _new(Transaction)
            transaction.handle = handle
            transaction.way = way
            transaction.apdu = apdu
            transaction.nested = None
            transaction.left = options.retry
            transaction.attempts = 1
            transaction.remembered = remembered
            transaction.number = remembered.number = number
            remembered.used_at = now
            transaction.last = letter = _new(Letter)  # as packet.letter_of
            letter.envelope = cover
            letter.pdu = _FIRST[number] + apdu
            self.out.append(letter)
            self._exact[way.peer] = transaction
            lane.active += 1
            deadline = now + options.timer_s
            timers = self.timers
            row = timers.row
            if not row or row[-1][0] <= deadline:  # as timers.add
                transaction.deadline = deadline
                row.append((deadline, transaction))
                if deadline < timers.told or not handle & _NOW_AND_THEN:
                    timers.news += 1
            else:
                timers.add(transaction, deadline)
            return handle
        if service == _UNACKD:
            self._handle = handle = self._handle + 1
            link = (_PRIORITY if options.priority else 0) | (_ALTERNATE if options.alternate_path else 0)
            membership = way.membership
            version = ENHANCED if options.enhanced or (membership is not None and membership.enhanced) else LEGACY
            packet = send_packet(membership, way.domain, destination, _APDU, apdu, link, version)
            self.out.append(packet._replace(mode=options.mode) if options.mode else packet)
            self._tell_end(Transaction(handle, way, apdu, nested), True, now)
            return handle
        if len(waiting) >= self.queue:
            raise LocalProtocolError(f"{len(waiting)} messages wait already", hint="wait for some of them to end")
        self._handle = handle = self._handle + 1
        transaction = Transaction(handle, way, apdu, nested)
        free = nested is None and lane.active < self.concurrent and not waiting and now >= self.quiet_until
        if free and self._begun(transaction, now):
            return handle
        waiting.append(transaction)
        self.timers.news += 1
        if lane.active < self.concurrent:
            self._pump(lane, now)
        return handle

    def _way(self, service: int, destination: Destination, options: Options) -> Way:
        """How such messages go, found out anew. Raises LocalProtocolError for those that cannot be sent."""
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
        way = Way(service, destination, options, membership, domain, self._lanes, self.configuration)
        if type(destination) is SubnetNode:
            if len(self._ways) > 4 * self.numbers.destinations:
                self._ways.clear()
            self._ways[service << 16 | destination.subnet << 8 | destination.node] = way
        return way

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
        """Who we are for messages with these options, and their domain."""
        if options.flex_domain is not None:
            return None, options.flex_domain
        for domain, membership in self.configuration.places().items():
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
    def _pump(self, lane: Lane, now: float) -> None:
        """Begin what may begin, in order; what must wait for its peer or a number lets others pass."""
        waiting = lane.waiting
        self.timers.news += 1
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
        way = transaction.way
        peer, lane, priority = way.peer, way.lane, way.options.priority
        if peer in (self._exact if way.single else self._busy):
            return False
        nested = transaction.nested
        remembered = None
        inherits = nested is not None and nested.transaction is not None
        if nested is not None and nested.transaction is not None:
            if self._is_taken(transaction, priority, nested.transaction):
                return False
            remembered = self.numbers.inherit(peer, nested.transaction, now)
        if remembered is None:
            inherits = False
            most = 15 if way.version == LEGACY else 4095
            taken = None
            if lane.active and (self._general or not way.single):
                taken = partial(self._is_taken, transaction, priority)
            remembered = self.numbers.allocate(priority, peer, taken, now, most)
            if remembered is None:
                self._retry_at = max(self.numbers.free_at(), now + 0.01)
                return False
        transaction.remembered = remembered
        transaction.number = remembered.number
        if way.single:
            self._exact[peer] = transaction
        else:
            destination = way.destination
            if isinstance(destination, Group):
                transaction.expected = max(1, destination.size - 1)
            elif isinstance(destination, Broadcast):
                transaction.expected = way.options.max_responses
            self._general[priority, transaction.number] = transaction
            self._busy.add(peer)
        lane.active += 1
        self._transmit(transaction, now)
        if way.plain and not inherits:
            way.remembered, way.cover = remembered, remembered.cover
        return True

    def _is_taken(self, transaction: Transaction, priority: bool, number: int) -> bool:
        """Whether an answer with this number could be taken for that of another transaction in progress."""
        if (priority, number) in self._general:
            return True
        if transaction.way.single:
            return False
        return any(each.number == number and each.way.options.priority == priority for each in self._exact.values())

    def _transmit(self, transaction: Transaction, now: float) -> None:
        """Send (again), and wait."""
        way, left = transaction.way, transaction.left
        first = not transaction.attempts
        if way.plain:  # in the envelope of the message before, if that was alike
            link = way.last_link if left <= (1 if first else 2) else way.link
            remembered, membership = transaction.remembered, way.membership
            cover: Cover | None = remembered.cover
            if (
                cover is None
                or cover.link != link
                or cover.service != way.service
                or cover.membership is not membership
            ):
                remembered.cover = cover = Cover(way, link)
            transaction.last = letter = letter_of(cover, _FIRST[transaction.number] + transaction.apdu)
            self.out.append(letter)
        else:
            self._compose(transaction, left, first)
        if first:
            transaction.attempts = 1
        else:
            transaction.left = left - 1
            self.configuration.statistics.count("retries")
            transaction.attempts += 1
            transaction.put_off = transaction.granted = 0
        self._arm(transaction, now)

    def _compose(self, transaction: Transaction, left: int, first: bool) -> None:
        """Send a message as its service, its destination and its options want it, anew each time."""
        options = transaction.way.options
        repeated = transaction.way.service == _REPEATED
        destination = transaction.way.destination
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
                        transaction.way.session,
                        REMINDER,
                        transaction.number,
                        authenticated=options.authenticated,
                        version=transaction.way.version,
                        members=members,
                    )
                    self._send(transaction, reminder, 0, left, first)
                    members = None
        elif isinstance(destination, Broadcast):
            backlog = destination.backlog or BROADCAST_BACKLOG
        pdu = write_pdu(
            transaction.way.service == _REQUEST,
            kind,
            transaction.number,
            transaction.apdu,
            authenticated=options.authenticated,
            version=transaction.way.version,
            members=members,
        )
        self._send(transaction, pdu, min(backlog, MAX_BACKLOG), left, first)

    def _send(self, transaction: Transaction, pdu: bytes, backlog: int, left: int, first: bool) -> None:
        options = transaction.way.options
        alternate = options.alternate_path
        if alternate is None:
            alternate = transaction.way.service != _REPEATED and left <= (1 if first else 2)
        packet = send_packet(
            transaction.way.membership,
            transaction.way.domain,
            transaction.way.destination,
            _SPDU if transaction.way.service == _REQUEST else _TPDU,
            pdu,
            (_PRIORITY if options.priority else 0) | (_ALTERNATE if alternate else 0) | backlog,
            transaction.way.version,
        )
        transaction.last = packet
        self.out.append(packet._replace(mode=options.mode) if options.mode else packet)

    def _arm(self, transaction: Transaction, now: float) -> None:
        wait = transaction.way.options.timer_s
        if transaction.nested is not None and transaction.left == 0 and transaction.way.options.retry:
            wait += transaction.nested.extra_wait_s
        self.timers.add(transaction, now + wait)

    # ---- answers ---------------------------------------------------------------------------------------------------
    def _find(self, packet: Packet | Letter, number: int) -> Transaction | None:
        """The transaction in progress that a packet answers or challenges, by who sent it."""
        header, npdu = packet.header, packet.npdu
        priority = header >= _PRIORITY
        version = npdu.control >> 6  # both have numbers of their own, which may be the same
        found = self._exact.get((priority, npdu.domain, npdu.source_subnet, npdu.source_node & 0x7F))
        if found is not None and found.number == number:
            return found if npdu.group is None and found.way.version == version else None
        found = self._general.get((priority, number))
        if found is None or found.way.version != version:
            return None
        if found.way.domain != npdu.domain and not isinstance(found.way.destination, UniqueNodeId):
            return None
        destination = found.way.destination
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
            exact = self._exact
            transaction = exact.get(note.peer)
            if transaction is not None and transaction.number == number and transaction.nested is None:
                way = transaction.way
                if way.plain and way.session == session:
                    # As _end, for what is plain.
                    events = self.events
                    if session:
                        events.append(_tuple(ResponseReceived, (transaction.handle, note.source, apdu)))
                    events.append(_tuple(TransactionCompleted, (transaction.handle, transaction.attempts)))
                    del exact[note.peer]
                    transaction.deadline = None
                    row = self.timers.row
                    if row and row[-1][1] is transaction:
                        row.pop()
                    transaction.remembered.used_at = now
                    lane = way.lane
                    lane.active -= 1
                    if lane.waiting:
                        self._pump(lane, now)
                    return True
        transaction = self._find(packet, number)
        if (
            transaction is None
            or (transaction.way.service == _REQUEST) != session
            or transaction.way.service == _REPEATED
        ):
            self.configuration.statistics.count("late_acknowledgements")
            return False
        npdu = packet.npdu
        grouped = isinstance(transaction.way.destination, Group)
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
        if transaction is None or not transaction.way.options.authenticated or transaction.last is None:
            return False
        header, npdu, _ = packet
        group = transaction.way.destination.group if isinstance(transaction.way.destination, Group) else None
        if challenge.header.address_format != _FORMATS[type(transaction.way.destination)] or challenge.group != group:
            return False
        # A peer may ask again for each of our transmissions; more would keep the transaction alive for ever.
        if transaction.restarts > (transaction.way.options.retry + 1) * transaction.expected:
            return False
        kind = challenge.header.type
        value = auth.answer(
            self.configuration,
            transaction.way.membership,
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
        if not npdu.source_node & 0x7F and isinstance(transaction.way.destination, UniqueNodeId):
            destination = transaction.way.destination
        version = npdu.control.version
        self.out.append(
            send_packet(
                transaction.way.membership,
                transaction.way.domain,
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
        way = transaction.way
        lane, peer = way.lane, way.peer
        if way.single:
            del self._exact[peer]
        else:
            del self._general[way.options.priority, transaction.number]
            self._busy.discard(peer)
        lane.active -= 1
        transaction.deadline = None
        row = self.timers.row
        if row and row[-1][1] is transaction:
            row.pop()  # the last entry may go
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
        destination, membership = transaction.way.destination, transaction.way.membership
        if not isinstance(destination, Group) or membership is None:
            return ()
        own = self.configuration.groups().get((membership.domain_index, destination.group))
        members = range(destination.size if own is not None else transaction.expected)
        answered = transaction.answered or set()
        return tuple(each for each in members if each not in answered and (own is None or each != own.member))

    def deadline(self) -> float | None:
        """When ``wake`` has something to do."""
        timers = self.timers
        first = timers.first()
        due = None if first is None else first[0]
        plain, urgent = self._lanes
        if plain.waiting or urgent.waiting:
            other = None
            if self.quiet_until > 0 and self._retry_at is None and not plain.active and not urgent.active:
                other = self.quiet_until
            elif self._retry_at is not None:
                other = self._retry_at
            if other is not None and (due is None or other < due):
                due = other
        timers.told = math.inf if due is None else due
        return due

    def wake(self, now: float) -> None:
        """Retransmit or give up what is due, begin what may begin."""
        while True:
            first = self.timers.first()
            if first is None or first[0] > now:
                break
            transaction = first[1]
            transaction.deadline = None
            if self._must_wait(transaction):
                self._arm(transaction, now)
            elif transaction.left > 0:
                self._transmit(transaction, now)
            else:
                complete = transaction.way.service == _REPEATED or (
                    isinstance(transaction.way.destination, Broadcast) and bool(transaction.answered)
                )
                self._end(transaction, complete, now)
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
        self.timers.clear()
        self._ways.clear()  # the numbers are to begin anew as well
        self._retry_at = None
