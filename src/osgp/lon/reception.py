"""Messages that others send us: duplicates, acknowledgements, responses, challenges.

ISO/IEC 14908-1, transport and session layers; ``spec/iso14908-1.md`` 3.4, 4.1. A *receive transaction record* remembers the last
message of one sender to one destination, until its timer ends: the same message again is a duplicate and gets the same answer again.
The timer runs from the first reception and is not restarted (as in both open stacks): a retry that comes later is a new message.

Records expire when they are looked at, or when room is needed; nothing wakes for them. One packet in gives at most one out.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable

from osgp.lon import auth
from osgp.lon.address import subnet_node
from osgp.lon.authpdu import AuthHeader, AuthPdu, AuthType
from osgp.lon.configuration import Configuration
from osgp.lon.entries import AuthenticationType
from osgp.lon.events import Dropped, Event
from osgp.lon.headers import ANSWER, REMINDER_MESSAGE, REPEATED, TransactionPdu, write_pdu
from osgp.lon.indication import Indication
from osgp.lon.lpdu import LinkHeader
from osgp.lon.ltep import Service
from osgp.lon.network import FLEX, Arrival, Route, answer_packet, answer_route, destination_of
from osgp.lon.npdu import AddressFormat, PduType
from osgp.lon.packet import Packet
from osgp.lon.tpdu import VERSIONS, members_in

__all__ = ["Reception", "indication_of"]

UNIQUE_NODE_ID_TIMER_S = 8.192
"""How long a message to our unique node ID is remembered."""

_PRIORITY = LinkHeader.fields["priority"].mask
_ALTERNATE = LinkHeader.fields["alternate_path"].mask
_MULTICAST = int(AddressFormat.MULTICAST)
_UNIQUE = int(AddressFormat.UNIQUE_NODE_ID)
_BROADCAST = int(AddressFormat.BROADCAST)
_ACKD, _REPEATED, _REQUEST = int(Service.ACKD), int(Service.UNACKD_RPT), int(Service.REQUEST)

_CHALLENGED, _PENDING, _ANSWERED, _SILENT = range(4)
"""What a record waits for: a reply to its challenge; the application's response; nothing, duplicates get ``answer`` again;
nothing, and duplicates get silence."""


class _Record:
    """What is remembered of one sender's last message."""

    __slots__ = (
        "answer",
        "apdu",
        "arrival",
        "challenge",
        "done",
        "expires",
        "key",
        "number",
        "reply",
        "route",
        "service",
        "session",
        "state",
    )

    def __init__(
        self,
        key: tuple[object, ...],
        arrival: Arrival,
        pdu: TransactionPdu,
        session: bool,
        service: int,
        expires: float,
    ) -> None:
        self.key = key
        self.arrival = arrival
        self.apdu = pdu.apdu
        self.number = pdu.transaction
        self.session = session
        self.service = service
        self.expires = expires
        self.state = _SILENT
        self.done = False
        self.challenge: bytes | None = None
        self.reply: int | None = None
        self.answer: Packet | None = None
        self.route: Route | None = None


class Reception:
    """The receiving half of transport and session of one node.

    ``token`` gives random bytes for challenges. The number of records is the configuration's ``receive_transactions``.
    """

    def __init__(
        self,
        configuration: Configuration,
        out: list[Packet],
        events: list[Event],
        *,
        token: Callable[[int], bytes],
    ) -> None:
        self.configuration = configuration
        self.out = out
        self.events = events
        self.token = token
        self._records: dict[tuple[object, ...], _Record] = {}
        self._pending: dict[int, _Record] = {}
        self._reply = 0

    def __len__(self) -> int:
        return len(self._records)

    # ---- messages --------------------------------------------------------------------------------------------------
    def message(self, arrival: Arrival, pdu: TransactionPdu, session: bool, now: float) -> Indication | None:
        """Take ACKD, REQUEST, UNACKD_RPT or REM/MSG; returns what is to be delivered now, if anything."""
        npdu = arrival.packet.npdu
        key = self._key(arrival)
        record = self._records.get(key)
        if record is not None:
            if record.expires <= now:
                self._forget(record)
                record = None
            elif record.number == pdu.transaction and record.session == session and record.apdu == pdu.apdu:
                self._duplicate(record, pdu)
                return None
        if not pdu.apdu:
            self.events.append(Dropped("a message without APDU", npdu.pdu[:64]))
            return None
        service = _REQUEST if session else _REPEATED if pdu.type == REPEATED else _ACKD
        if record is not None:
            self._forget(record)
        elif not self._has_room(now):
            self.configuration.statistics.count("receive_transactions_full")
            self.events.append(Dropped("no receive transaction is free", npdu.pdu[:64]))
            return None
        record = _Record(key, arrival, pdu, session, service, now + self._timer(arrival))
        if pdu.authenticated and self.configuration.configured:
            if npdu.control.address_format == _BROADCAST:
                self.events.append(Dropped("a broadcast cannot be authenticated", npdu.pdu[:64]))
                return None
            self._records[key] = record
            record.challenge = self.token(8)
            record.state = _CHALLENGED
            record.route = answer_route(self.configuration, arrival)
            self._challenge(record, record.route)
            return None
        self._records[key] = record
        return self._deliver(record, authenticated=False)

    def reminder(self, arrival: Arrival, pdu: TransactionPdu, session: bool, now: float) -> None:
        """Take a REMINDER: it says whose answers are in, and never causes one by itself."""
        record = self._records.get(self._key(arrival))
        if record is None or record.expires <= now or record.number != pdu.transaction or record.session != session:
            return
        record.done = self._is_marked(arrival, pdu.members)

    def _duplicate(self, record: _Record, pdu: TransactionPdu) -> None:
        if pdu.type == REMINDER_MESSAGE:
            record.done = self._is_marked(record.arrival, pdu.members)
        if record.done:
            return
        if record.state == _ANSWERED and record.answer is not None:
            self.out.append(record.answer)
        elif record.state == _CHALLENGED and record.route is not None:
            self._challenge(record, record.route)

    def _is_marked(self, arrival: Arrival, members: bytes | None) -> bool:
        npdu = arrival.packet.npdu
        if not members or npdu.group is None:
            return False
        own = self.configuration.groups().get((arrival.domain_index, npdu.group))
        return own is not None and own.member in members_in(members)

    @staticmethod
    def _key(arrival: Arrival) -> tuple[object, ...]:
        header, npdu, _ = arrival.packet
        address_format = npdu.control >> 2 & 3
        number = (
            npdu.group
            if address_format == _MULTICAST
            else npdu.destination_subnet
            if address_format == _BROADCAST
            else 0
        )
        return (
            header & _PRIORITY,
            npdu.domain,
            address_format,
            npdu.source_subnet,
            npdu.source_node & 0x7F,
            number,
        )

    def _timer(self, arrival: Arrival) -> float:
        npdu = arrival.packet.npdu
        address_format = npdu.control.address_format
        if address_format == _UNIQUE:
            return UNIQUE_NODE_ID_TIMER_S
        if address_format == _MULTICAST and npdu.group is not None:
            own = self.configuration.groups().get((arrival.domain_index, npdu.group))
            if own is not None:
                return own.receive_timer_s
        return self.configuration.non_group_timer_s

    def _has_room(self, now: float) -> bool:
        if len(self._records) < self.configuration.receive_transactions:
            return True
        for record in [each for each in self._records.values() if each.expires <= now]:
            self._forget(record)
        return len(self._records) < self.configuration.receive_transactions

    def _forget(self, record: _Record) -> None:
        self._records.pop(record.key, None)
        if record.reply is not None:
            self._pending.pop(record.reply, None)

    # ---- answers ---------------------------------------------------------------------------------------------------
    def _deliver(self, record: _Record, *, authenticated: bool) -> Indication:
        record.challenge = None
        # Made when the message came: we may leave its group while it waits for authentication, and the request itself may
        # change our address; answers still go out under the old one.
        route = record.route or answer_route(self.configuration, record.arrival)
        if record.service == _ACKD:
            self._answer(record, route, b"")
        elif record.service == _REQUEST:
            self._reply += 1
            record.reply = self._reply
            record.state = _PENDING
            record.route = route
            self._pending[self._reply] = record
        else:
            record.state = _SILENT
        return indication_of(record.arrival, record.service, record.apdu, authenticated, record.reply, record.number)

    def _answer(self, record: _Record, route: Route, apdu: bytes) -> None:
        pdu = write_pdu(record.session, ANSWER, record.number, apdu, version=record.arrival.packet.npdu.control.version)
        record.answer = answer_packet(route, PduType.SPDU if record.session else PduType.TPDU, pdu)
        record.state = _ANSWERED
        self.out.append(record.answer)

    def respond(self, reply: int, apdu: bytes | None, now: float, *, flex: bool = False) -> bool:
        """Answer a request; None closes it without sending. False if nobody waits for it any more.

        ``flex``: from 0/0, as if the domain were none of ours.
        """
        record = self._pending.pop(reply, None)
        if record is None:
            return False
        record.reply = None
        if record.expires <= now:
            self._records.pop(record.key, None)
            return False
        if apdu is None:
            record.state = _SILENT
            return True
        arrival = record.arrival
        route = record.route or answer_route(self.configuration, arrival)
        if flex:
            route = answer_route(self.configuration, arrival._replace(domain_index=FLEX, membership=None))
        pdu = write_pdu(record.session, ANSWER, record.number, apdu, version=record.arrival.packet.npdu.control.version)
        record.answer = answer_packet(route, PduType.SPDU, pdu)
        record.state = _ANSWERED
        self.out.append(record.answer)
        return True

    # ---- authentication --------------------------------------------------------------------------------------------
    def _challenge(self, record: _Record, route: Route) -> None:
        npdu = record.arrival.packet.npdu
        version = npdu.control.version
        open_media = self.configuration.challenge_type == AuthenticationType.OPEN_MEDIA
        number = record.number
        challenge = AuthPdu(
            header=AuthHeader(
                transaction=number >> 8 if version else number,
                type=AuthType.OMA_CHALLENGE if open_media else AuthType.CHALLENGE,
                address_format=npdu.control.address_format,
            ),
            transaction_low=number & 0xFF if version else None,
            value=record.challenge or bytes(8),
            group=npdu.group,
        )
        self.out.append(answer_packet(route, PduType.AUTHPDU, challenge.encode(VERSIONS[version])))

    def replied(self, arrival: Arrival, reply: AuthPdu, number: int, now: float) -> Indication | None:
        """Take a reply to a challenge of ours; returns the message that waited for it, None if none did."""
        header, npdu, _ = arrival.packet
        key = (
            header & _PRIORITY,
            npdu.domain,
            reply.header.address_format,
            npdu.source_subnet,
            npdu.source_node & 0x7F,
            (reply.group or 0) if reply.header.address_format == _MULTICAST else 0,
        )
        record = self._records.get(key)
        if record is None or record.expires <= now or record.number != number or record.challenge is None:
            return None
        open_media = self.configuration.challenge_type == AuthenticationType.OPEN_MEDIA
        if reply.header.type != (AuthType.OMA_REPLY if open_media else AuthType.REPLY):
            return None
        wanted = auth.answer(
            self.configuration,
            record.arrival.membership,
            int(open_media),
            record.challenge,
            record.arrival.packet.npdu,
            record.apdu,
        )
        authenticated = wanted is not None and hmac.compare_digest(wanted, reply.value)
        return self._deliver(record, authenticated=authenticated)

    def forget(self) -> None:
        """Forget all senders: the node is reset."""
        self._records.clear()
        self._pending.clear()


def indication_of(
    arrival: Arrival, service: int, apdu: bytes, authenticated: bool, reply: int | None, number: int
) -> Indication:
    """A message as the layer above sees it."""
    header, npdu, _ = arrival.packet
    return Indication(
        subnet_node(npdu.source_subnet, npdu.source_node & 0x7F),
        npdu.domain,
        None if arrival.domain_index == FLEX else arrival.domain_index,
        destination_of(npdu),
        service,
        header >= _PRIORITY,
        header & _ALTERNATE != 0,
        authenticated,
        apdu,
        reply,
        number,
    )
