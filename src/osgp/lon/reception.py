"""Messages that others send us: duplicates, acknowledgements, responses, challenges.

ISO/IEC 14908-1, transport and session layers; ``spec/iso14908-1.md`` 3.4, 4.1. A *receive transaction record* remembers the last
message of one sender to one destination, until its timer ends: the same message again is a duplicate and gets the same answer again.
The timer runs from the first reception and is not restarted (as in both open stacks): a retry that comes later is a new message.
One sender has at most half of the records (project choice), however many kinds of destination it uses: others still get theirs.
*Strangers*, who send from no subnet or node or in a domain that is none of ours, cannot be told apart: together they have one half,
in which whoever comes last takes the oldest one, so that they do not shut each other out either.

Records expire when they are looked at, or when room is needed; nothing wakes for them. One packet in gives at most one out.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from operator import itemgetter

from osgp.lon import auth
from osgp.lon.address import subnet_node
from osgp.lon.authpdu import AuthHeader, AuthPdu, AuthType
from osgp.lon.configuration import Configuration, Membership
from osgp.lon.entries import AuthenticationType
from osgp.lon.events import Dropped, Event
from osgp.lon.headers import ANSWER, MESSAGE, REMINDER_MESSAGE, REPEATED, write_pdu
from osgp.lon.indication import Indication
from osgp.lon.lpdu import LinkHeader
from osgp.lon.ltep import Service
from osgp.lon.network import NOWHERE, Note, answer_packet, destination_of, record_key
from osgp.lon.npdu import AddressFormat, PduType
from osgp.lon.packet import Envelope, Letter, Packet
from osgp.lon.tpdu import VERSIONS, members_in

__all__ = ["Reception", "Record", "indication_of"]

UNIQUE_NODE_ID_TIMER_S = 8.192
"""How long a message to our unique node ID is remembered."""

_PRIORITY = LinkHeader.fields["priority"].mask
_ALTERNATE = LinkHeader.fields["alternate_path"].mask
_MULTICAST = int(AddressFormat.MULTICAST)
_UNIQUE = int(AddressFormat.UNIQUE_NODE_ID)
_BROADCAST = int(AddressFormat.BROADCAST)
_ACKD, _REPEATED, _REQUEST = int(Service.ACKD), int(Service.UNACKD_RPT), int(Service.REQUEST)

_TPDU, _SPDU, _AUTHPDU = int(PduType.TPDU), int(PduType.SPDU), int(PduType.AUTHPDU)

_ANSWERS = tuple(write_pdu(True, ANSWER, number) for number in range(16))
"""The first byte of an ACK or RESPONSE, by its transaction number; they have one shape."""

_new = object.__new__

_CHALLENGED, _PENDING, _ANSWERED, _SILENT = range(4)
"""What a record waits for: a reply to its challenge; the application's response; nothing, duplicates get ``answer`` again;
nothing, and duplicates get silence."""


_MOST_KEYS = 2 * (256 + 256 + 2)
"""Records that one sender can need: each priority to each group, each subnet, our address and our unique node ID."""
_sender_of = itemgetter(1, 3, 4)
"""Domain, subnet and node in the key of a record (``network.record_key``)."""


class Record:
    """What is remembered of one sender's last message. ``place``, ``member``: ours when it came; answers go out under them, whatever
    changes meanwhile."""

    __slots__ = (
        "answer",
        "apdu",
        "authenticated",
        "challenge",
        "done",
        "expires",
        "key",
        "member",
        "note",
        "number",
        "packet",
        "place",
        "reply",
        "service",
        "session",
        "state",
    )

    def __init__(
        self,
        key: tuple[object, ...],
        packet: Packet | Letter,
        place: Membership,
        member: int | None,
        apdu: bytes,
        number: int,
        session: bool,
        service: int,
        expires: float,
        note: Note | None = None,
    ) -> None:
        self.key = key
        self.packet = packet
        self.place = place
        self.member = member
        self.apdu = apdu
        self.number = number
        self.session = session
        self.service = service
        self.expires = expires
        self.note = note
        self.state = _SILENT
        self.answer: Packet | Letter | None = None
        self.challenge: bytes | None = None
        self.reply: int | None = None
        self.authenticated = self.done = False


class Reception:
    """The receiving half of transport and session of one node.

    ``token`` gives random bytes for challenges. The number of records is the configuration's ``receive_transactions``. ``waits``: for
    a node on a shared line, whether a frame of ours (without CRC) has not had its turn yet: such an answer is not queued again for
    a repetition of the message (project choice). ``evict``: whoever comes when all records are taken gets the oldest one, an answered
    one first, so that nobody shuts others out by sending from many addresses; a repeat of what was forgotten is a new message then
    (project choice, for applications that know repeats by themselves).
    """

    def __init__(
        self,
        configuration: Configuration,
        out: list[Packet | Letter],
        events: list[Event],
        *,
        token: Callable[[int], bytes],
    ) -> None:
        self.configuration = configuration
        self.out = out
        self.events = events
        self.token = token
        self._records: dict[tuple[object, ...], Record] = {}
        self._strangers: dict[tuple[object, ...], Record] = {}  # those records that are strangers'
        self._pending: dict[int, Record] = {}
        self._reply = 0
        self._room_at = 0.0
        self.waits: Callable[[bytes], bool] | None = None
        self.evict = False

    def __len__(self) -> int:
        return len(self._records)

    # ---- messages --------------------------------------------------------------------------------------------------
    def message(
        self,
        packet: Packet | Letter,
        place: Membership,
        session: bool,
        pdu: tuple[bool, int, int, bytes | None, bytes],
        now: float,
        note: Note | None = None,
    ) -> Record | None:
        """Take ACKD, REQUEST, UNACKD_RPT or REM/MSG (``headers.split_pdu``); returns what is to be delivered now, if anything.

        ``note``: on the packet's envelope, if it is a letter.
        """
        authenticated, kind, number, members, apdu = pdu
        key = record_key(packet) if note is None else note.key
        record = self._records.get(key)
        if record is not None:
            if record.expires <= now:
                self._forget(record)
                record = None
            elif record.number == number and record.session == session and record.apdu == apdu:
                self._duplicate(record, kind, members)
                return None
        if not apdu:
            self.events.append(Dropped("a message without APDU", packet.npdu.pdu[:64]))
            return None
        stranger = place is NOWHERE or not (key[3] and key[4])
        if record is not None:
            self._forget(record)
        elif not self._has_room(key, stranger, now):
            self.configuration.statistics.count("receive_transactions_full")
            self.events.append(Dropped("no receive transaction is free for this sender", packet.npdu.pdu[:64]))
            return None
        service = _REQUEST if session else _REPEATED if kind == REPEATED else _ACKD
        member = None
        timer = self.configuration.non_group_timer_s
        if note is not None:
            record = Record(key, packet, place, None, apdu, number, session, service, now + timer, note)
            self._records[key] = record
            if stranger:
                self._strangers[key] = record
            self._delivered(record)
            return record
        npdu = packet.npdu
        address_format = npdu.control >> 2 & 3
        if address_format == _MULTICAST:
            own = self.configuration.groups().get((place.domain_index, npdu.group or 0))
            if own is not None:
                member, timer = own
        elif address_format == _UNIQUE:
            timer = UNIQUE_NODE_ID_TIMER_S
        record = Record(key, packet, place, member, apdu, number, session, service, now + timer)
        if authenticated and self.configuration.configured:
            if address_format == _BROADCAST:
                self.events.append(Dropped("a broadcast cannot be authenticated", npdu.pdu[:64]))
                return None
            self._keep(record, stranger)
            record.challenge = self.token(8)
            record.state = _CHALLENGED
            self._challenge(record)
            return None
        self._keep(record, stranger)
        self._delivered(record)
        return record

    def letter(self, letter: Letter, note: Note, number: int, apdu: bytes, now: float) -> Record | None:
        """As ``message``, for a plain message of one node to this one alone: ``note`` has a place."""
        records = self._records
        record = records.get(note.key)
        if record is None or record.note is not note or record.expires <= now or note.stranger or not apdu:
            place, session = note.place or NOWHERE, note.session
            return self.message(letter, place, session, (False, MESSAGE, number, None, apdu), now, note)
        if record.number == number and record.apdu == apdu:
            self._duplicate(record, MESSAGE, None)
            return None
        # The sender's next message takes the record of the last one, which is the newest of all now.
        del records[note.key]
        records[note.key] = record
        record.packet = letter
        record.apdu = apdu
        record.number = number
        record.expires = now + self.configuration.non_group_timer_s
        record.answer = None
        record.done = False
        if not note.session:
            self._answer(record, record.place, _TPDU, b"")
            return record
        if record.reply is not None:
            self._pending.pop(record.reply, None)
        self._reply = record.reply = reply = self._reply + 1
        record.state = _PENDING
        self._pending[reply] = record
        return record

    def reminder(
        self,
        packet: Packet,
        place: Membership,
        session: bool,
        pdu: tuple[bool, int, int, bytes | None, bytes],
        now: float,
    ) -> None:
        """Take a REMINDER: it says whose answers are in, and never causes one by itself."""
        record = self._records.get(record_key(packet))
        if record is None or record.expires <= now or record.number != pdu[2] or record.session != session:
            return
        record.done = self._is_marked(record, pdu[3])

    def _duplicate(self, record: Record, kind: int, members: bytes | None) -> None:
        if kind == REMINDER_MESSAGE:
            record.done = self._is_marked(record, members)
        if record.done:
            return
        if record.state == _ANSWERED and record.answer is not None:
            if self.waits is None or not self.waits(record.answer.lpdu()):
                self.out.append(record.answer)
        elif record.state == _CHALLENGED:
            self._challenge(record)

    @staticmethod
    def _is_marked(record: Record, members: bytes | None) -> bool:
        return bool(members) and record.member is not None and record.member in members_in(members or b"")

    def _keep(self, record: Record, stranger: bool) -> None:
        self._records[record.key] = record
        if stranger:
            self._strangers[record.key] = record

    def _has_room(self, key: tuple[object, ...], stranger: bool, now: float) -> bool:
        """Whether a record may be added. What has expired goes when it is among the two oldest, or when room is needed."""
        records = self._records
        for _ in range(2):
            if not records:
                return True
            oldest = next(iter(records.values()))
            if oldest.expires > now:
                break
            self._forget(oldest)
        limit = self.configuration.receive_transactions
        if self.evict:
            if len(records) >= limit:
                self._forget(_dispensable(records))
            return True
        if stranger and self._strangers and 2 * len(self._strangers) >= limit:
            self._forget(_dispensable(self._strangers))
        if len(records) < limit:
            shared = stranger or 2 * len(records) < limit or limit > 2 * _MOST_KEYS
            return shared or self._is_fair(key, limit, now)
        if now < self._room_at:  # looked through before: nothing has expired since
            return False
        for record in [each for each in records.values() if each.expires <= now]:
            self._forget(record)
        self._room_at = min((each.expires for each in records.values()), default=0.0) if len(records) >= limit else 0.0
        return len(records) < limit and (stranger or self._is_fair(key, limit, now))

    def _is_fair(self, key: tuple[object, ...], limit: int, now: float) -> bool:
        """Whether the sender has less than half of the records; whoever has that waits until one of its own expires."""
        held = 0
        for each in self._records.values():
            if _sender_of(each.key) == _sender_of(key) and each.expires > now:
                held += 1
        return 2 * held < limit

    def _forget(self, record: Record) -> None:
        self._records.pop(record.key, None)
        self._strangers.pop(record.key, None)
        self._room_at = 0.0
        if record.reply is not None:
            self._pending.pop(record.reply, None)

    # ---- answers ---------------------------------------------------------------------------------------------------
    def _delivered(self, record: Record) -> None:
        """Acknowledge, or wait for the response."""
        record.challenge = None
        if record.service == _REQUEST:
            self._reply += 1
            record.reply = self._reply
            record.state = _PENDING
            self._pending[self._reply] = record
        elif record.service == _ACKD:
            self._answer(record, record.place, _TPDU, b"")
        else:
            record.state = _SILENT

    def _answer(self, record: Record, place: Membership, pdu_type: int, apdu: bytes) -> None:
        note = record.note
        answer: Packet | Letter
        if note is not None and place is note.place:
            envelope = note.answer
            if envelope is None:
                answer = answer_packet(record.packet, place, None, pdu_type, b"")
                note.answer = envelope = Envelope(answer.header, answer.npdu)
            answer = _new(Letter)  # as packet.letter_of
            answer.envelope = envelope
            answer.pdu = _ANSWERS[record.number] + apdu
        else:
            packet = record.packet
            pdu = write_pdu(record.session, ANSWER, record.number, apdu, version=packet.npdu.control >> 6)
            answer = answer_packet(packet, place, record.member, pdu_type, pdu)
        record.answer = answer
        record.state = _ANSWERED
        self.out.append(answer)

    def respond(self, reply: int, apdu: bytes | None, now: float, *, flex: bool = False) -> bool:
        """Answer a request; None closes it without sending. False if nobody waits for it any more.

        ``flex``: from 0/0, as if the domain were none of ours.
        """
        record = self._pending.pop(reply, None)
        if record is None:
            return False
        record.reply = None
        if record.expires <= now:
            self._forget(record)
            return False
        if apdu is None:
            record.state = _SILENT
            return True
        if flex:
            record.member = None
        self._answer(record, NOWHERE if flex else record.place, _SPDU, apdu)
        return True

    # ---- authentication --------------------------------------------------------------------------------------------
    def _challenge(self, record: Record) -> None:
        npdu = record.packet.npdu
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
        raw = challenge.encode(VERSIONS[version])
        self.out.append(answer_packet(record.packet, record.place, record.member, _AUTHPDU, raw))

    def replied(self, packet: Packet, reply: AuthPdu, number: int, now: float) -> Record | None:
        """Take a reply to a challenge of ours; returns the message that waited for it, None if none did."""
        header, npdu, _ = packet
        address_format = reply.header.address_format
        key = (
            header & _PRIORITY,
            npdu.domain,
            address_format,
            npdu.source_subnet,
            npdu.source_node & 0x7F,
            (reply.group or 0) if address_format == _MULTICAST else 0,
        )
        record = self._records.get(key)
        if record is None or record.expires <= now or record.number != number or record.challenge is None:
            return None
        open_media = self.configuration.challenge_type == AuthenticationType.OPEN_MEDIA
        if reply.header.type != (AuthType.OMA_REPLY if open_media else AuthType.REPLY):
            return None
        place = record.place if record.place is not NOWHERE else None
        wanted = auth.answer(
            self.configuration, place, int(open_media), record.challenge, record.packet.npdu, record.apdu
        )
        record.authenticated = wanted is not None and hmac.compare_digest(wanted, reply.value)
        self._delivered(record)
        return record

    def forget(self) -> None:
        """Forget all senders: the node is reset."""
        self._records.clear()
        self._strangers.clear()
        self._pending.clear()


def _dispensable(records: dict[tuple[object, ...], Record]) -> Record:
    """The oldest record, before others one that nobody waits for."""
    return next((each for each in records.values() if each.state != _PENDING), next(iter(records.values())))


def indication_of(
    packet: Packet | Letter,
    place: Membership,
    service: int,
    apdu: bytes,
    authenticated: bool = False,
    reply: int | None = None,
    number: int = 0,
) -> Indication:
    """A message as the layers above see it."""
    header, npdu = packet.header, packet.npdu
    return Indication(
        subnet_node(npdu.source_subnet, npdu.source_node & 0x7F),
        npdu.domain,
        None if place is NOWHERE else place.domain_index,
        destination_of(npdu),
        service,
        header >= _PRIORITY,
        header & _ALTERNATE != 0,
        authenticated,
        apdu,
        reply,
        number,
    )
