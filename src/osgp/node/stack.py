"""A node of the control network: network layer, transactions, repeating, variables and management joined, without I/O.

ISO/IEC 14908-1; see ``docs/design/control-network.md``. Packets go in and come out; below it is a link (``lon.link``) on a shared
line, or a carrier (LON/IP, CN/IP), above it whoever drains ``events()``. The same stack serves a simulated meter, a
concentrator and a command at a terminal.

::

    entry = domain_entry(b"I", 1, 10)
    configuration = Configuration(unique_node_id, domains=[entry, DomainEntry()], state=NodeState.CONFIGURED)
    stack = Stack(configuration, now=now)
    handle = stack.request(SubnetNode(1, 20), QueryStatus().encode(), now)
    packets = stack.outgoing(now)  # for the line
    stack.receive(packet, now)  # from the line
    stack.events()  # ResponseReceived(handle, …), TransactionCompleted(handle)
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from osgp.lon.address import Broadcast, Destination, SubnetNode, subnet_node
from osgp.lon.apdu import OFFLINE, PROXY, Family, family
from osgp.lon.authpdu import AuthPdu, AuthType
from osgp.lon.configuration import Configuration, Membership
from osgp.lon.events import (
    Dropped,
    Event,
    MessageReceived,
    NodeReset,
    ResponseReceived,
    TransactionCompleted,
    TransactionFailed,
)
from osgp.lon.headers import ANSWER, MESSAGE, REMINDER, REMINDER_MESSAGE, REPEATED, split_pdu
from osgp.lon.indication import Indication
from osgp.lon.interests import Interests
from osgp.lon.lpdu import LinkHeader
from osgp.lon.ltep import Mode, Service
from osgp.lon.management import Management
from osgp.lon.network import Note, accept, destination_of
from osgp.lon.nm import ServicePin
from osgp.lon.npdu import ENHANCED, PduType
from osgp.lon.numbers import DESTINATIONS, TransactionNumbers
from osgp.lon.packet import Letter, Packet, packet_of
from osgp.lon.proxy import Hop, Proxy, chain_message, failure_in, safe_timer_s
from osgp.lon.reception import Reception, indication_of
from osgp.lon.tpdu import VERSIONS, SpduHeader
from osgp.lon.transport import DEFAULTS, QUIET_S, Nested, Options, Transaction, Transport
from osgp.lon.variables import OutgoingVariable, VariableTable
from osgp.wire.errors import ConfigError, DecodeError, LocalProtocolError

__all__ = ["ChainOptions", "Stack"]

_SPDU, _AUTHPDU = int(PduType.SPDU), int(PduType.AUTHPDU)
_PRIORITY = LinkHeader.fields["priority"].mask
_UNACKD, _REQUEST = int(Service.UNACKD), int(Service.REQUEST)
_MESSAGES = (MESSAGE, REMINDER_MESSAGE)
_KIND = SpduHeader.fields["type"].mask
_NUMBER = SpduHeader.fields["transaction"].mask
_ANSWER = ANSWER << SpduHeader.fields["type"].lsb
_KINDS = tuple(
    first & _NUMBER if first & _KIND == _ANSWER else -1 if first <= _NUMBER else None for first in range(256)
)
"""What a PDU with that first byte is: an answer (its transaction number), a plain message (-1), or something else."""
_PLAIN = tuple(code != PROXY and family(code) in (Family.APPLICATION, Family.FOREIGN) for code in range(256))
"""Whether an APDU with that first byte is for the application alone."""
_tuple = tuple.__new__
_NO_VARIABLES = VariableTable()
"""Answers polls of nodes without variables; it has no state but its counters."""


@dataclass(frozen=True, slots=True)
class ChainOptions:
    """How a message goes through repeaters. ``source``: our own leg (its path is that of the first hop).

    ``timer``, ``retry``: of the hops behind the first, as codes of ``lon.timers``; the failing hop is told right from timer 8 and
    retry 1 on, if the last leg, whose wait is ``target_timer`` times its transmissions, is over before.
    ``target_…``: of the last leg; ``service`` there. ``travel_s``: time allowed for a packet on each leg; from it and the others'
    waits our own timer is computed (project choice); None takes ``source.timer_s`` as it is.
    """

    source: Options = field(default_factory=lambda: Options(retry=1))
    service: Service = Service.REQUEST
    timer: int = 10
    retry: int = 3
    target_timer: int = 9
    target_retry: int = 3
    target_alternate_path: bool = False
    mode: Mode = Mode.NORMAL
    all_agents: bool = False
    long_timer: bool = False
    compact: bool = True
    travel_s: float | None = 0.1


class Stack:
    """One node.

    ``configuration``: who it is; network management changes it. ``variables``: its network variables, if it has any. ``management``:
    another server for diagnostics and management than the plain one. ``token``: random bytes for challenges. ``now``: the moment of
    power-up; for ``quiet_s`` seconds from then nothing with a transaction number is sent, so that peers forget the old ones.
    ``concurrent``: transactions of one class in progress; 1 is the standard's, more are for IP (project choice), with
    ``destinations`` remembered. ``allow_alternate_key``: serve proxy messages that bring a key. ``commissionable``: deliver
    application messages also while the node has no place, so that one can be given to it by them (project choice).
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        variables: VariableTable | None = None,
        management: Management | None = None,
        token: Callable[[int], bytes] = secrets.token_bytes,
        now: float = 0.0,
        quiet_s: float = QUIET_S,
        concurrent: int = 1,
        destinations: int = DESTINATIONS,
        first_transaction: int = 0,
        queue: int = 64,
        allow_alternate_key: bool = False,
        promiscuous: bool = False,
        commissionable: bool = False,
    ) -> None:
        self.configuration = configuration
        self.commissionable = commissionable
        self.variables = variables
        self.management = management or Management(configuration, variables=variables)
        self.quiet_s = quiet_s
        self.promiscuous = promiscuous
        self._out: list[Packet | Letter] = []
        self._events: list[Event] = []
        self._interests: Interests | None = None
        self._interests_of = (-1, -1)
        self.transport = Transport(
            configuration,
            self._out,
            self._events,
            numbers=TransactionNumbers(destinations=destinations, first=first_transaction),
            concurrent=concurrent,
            queue=queue,
            quiet_until=now + quiet_s if quiet_s > 0 else 0.0,
        )
        self.reception = Reception(configuration, self._out, self._events, token=token)
        own = type(self).deadline is not Stack.deadline
        self.alarm = None if own else self.transport.timers
        """Its ``news`` change when something may be due before what ``deadline`` said last. None in a kind of node that has deadlines
        of its own, which must be asked each time."""
        self.proxy = Proxy(
            configuration, self.transport, self.reception.respond, self._events, allow_alternate_key=allow_alternate_key
        )

    # ---- the five verbs --------------------------------------------------------------------------------------------
    def receive_frame(self, lpdu: bytes, now: float) -> None:
        """Take a frame without CRC (the link or the carrier has checked it)."""
        try:
            packet = packet_of(lpdu)
        except DecodeError as error:
            self._events.append(Dropped(error.message, lpdu[:64]))
            return
        self.receive(packet, now)

    def receive(self, packet: Packet | Letter, now: float) -> None:
        """Take a packet, for us or not."""
        configuration = self.configuration
        statistics = configuration.statistics
        if statistics.layer_2_received < 0xFFFF:
            statistics.layer_2_received += 1
        if type(packet) is Letter:
            envelope = packet.envelope
            note: Note | None = envelope.note
            if (
                note is None
                or note.reader is not self
                or note.revision != configuration.revision
                or note.state != configuration.state
            ):
                note = envelope.note = Note(self, configuration, packet)
            pdu = packet.pdu
            if note.place is not None and pdu:
                kind = _KINDS[pdu[0]]
                if kind is not None:
                    if statistics.layer_3_received < 0xFFFF:
                        statistics.layer_3_received += 1
                    if kind < 0:
                        self._message(packet, note, now)
                    else:
                        self.transport.answer(packet, note.session, kind, pdu[1:], now, note)
                    return
            packet = packet.packet()
        place = accept(configuration, packet)
        if type(place) is str:
            if place:
                self._events.append(Dropped(place, packet.npdu.pdu[:64]))
            return
        if statistics.layer_3_received < 0xFFFF:
            statistics.layer_3_received += 1
        npdu = packet.npdu
        control = npdu.control
        pdu_type = control >> 4 & 3
        try:
            if pdu_type <= _SPDU:
                self._transaction(packet, place, npdu.pdu, pdu_type == _SPDU, control >> 6, now)  # type: ignore[arg-type]  # no str
            elif pdu_type == _AUTHPDU:
                self._authentication(packet, npdu.pdu, control >> 6, now)
            else:
                self._serve(packet, place, _UNACKD, npdu.pdu, False, None, 0, now)  # type: ignore[arg-type]  # as above
        except DecodeError as error:
            self._events.append(Dropped(error.message, npdu.pdu[:64]))

    def events(self) -> Sequence[Event]:
        """What has happened since the last call."""
        events = self._events
        if not events:
            return ()
        found = events[:]
        events.clear()
        return found

    def outgoing(self, now: float) -> list[Packet]:
        """Packets for the line, in order."""
        return [each.packet() if isinstance(each, Letter) else each for each in self.letters(now)]

    def letters(self, now: float) -> list[Packet | Letter]:
        """As ``outgoing``, for carriers that know letters; what they read may then come in as such, too."""
        out = self._out
        if not out:
            return []
        found = out[:]
        out.clear()
        statistics = self.configuration.statistics
        sent = statistics.layer_3_sent + len(found)
        statistics.layer_3_sent = sent if sent < 0xFFFF else 0xFFFF
        return found

    def deadline(self) -> float | None:
        """When ``wake`` has something to do."""
        return self.transport.deadline()

    def wake(self, now: float) -> None:
        """Retransmit, give up, begin what waited."""
        self.transport.wake(now)

    def share_line(self, waits: Callable[[bytes], bool]) -> None:
        """The line is shared: ``waits`` says whether a frame of ours, without CRC, still waits there. See ``Transport``."""
        self.transport.waits = self.reception.waits = waits

    # ---- commands --------------------------------------------------------------------------------------------------
    def request(self, destination: Destination, apdu: bytes, now: float, options: Options = DEFAULTS) -> int:
        """Ask; the answers come as ``ResponseReceived``, the end as ``TransactionCompleted`` or ``TransactionFailed``.

        Raises LocalProtocolError for a message that cannot be sent (not commissioned, no such domain, too long, too many waiting).
        """
        return self.transport.start(_REQUEST, destination, apdu, options, now)

    def send(
        self,
        destination: Destination,
        apdu: bytes,
        now: float,
        options: Options = DEFAULTS,
        *,
        service: Service = Service.ACKD,
    ) -> int:
        """Send a message that wants no response: acknowledged, repeated or unacknowledged. Raises as ``request``."""
        if service == Service.REQUEST:
            raise LocalProtocolError("a request is made with request()")
        return self.transport.start(int(service), destination, apdu, options, now)

    def respond(self, reply: int, apdu: bytes | None, now: float) -> bool:
        """Answer a request (``MessageReceived.reply``); None closes it in silence. False if it came too late."""
        return self.reception.respond(reply, apdu, now)

    def cancel(self, handle: int, now: float) -> bool:
        """Give up a transaction of ours; it ends as failed. False if it is over."""
        return self.transport.cancel(handle, now)

    def request_via(
        self,
        hops: Sequence[Hop],
        target: Destination,
        apdu: bytes,
        now: float,
        options: ChainOptions | None = None,
    ) -> int:
        """Ask ``target`` through ``hops``, the last of which is the agent. Ends as ``request`` does.

        The end of a chain that broke names the hop that gave up, as far as the timers let it be known (see
        ``lon.proxy.extra_wait_s``). A target whose own response begins with 4C or 4D cannot be told from a proxy's.
        Raises ConfigError for a chain that cannot be said, LocalProtocolError as ``request``.
        """
        options = options or ChainOptions()
        membership = next(
            (each for each in self.configuration.memberships() if each.domain_index == options.source.domain_index),
            None,
        )
        message = chain_message(
            list(hops),
            target,
            apdu,
            service=options.service,
            timer=options.timer,
            retry=options.retry,
            target_timer=options.target_timer,
            target_retry=options.target_retry,
            target_alternate_path=options.target_alternate_path,
            mode=options.mode,
            all_agents=options.all_agents,
            long_timer=options.long_timer,
            compact=options.compact,
            source_subnet=membership.subnet if membership is not None else None,
        )
        first = hops[0]
        source = replace(options.source, alternate_path=first.alternate_path)
        if options.travel_s is not None:
            wait = safe_timer_s(
                len(hops), options.timer, options.retry, options.target_timer, options.target_retry, options.long_timer
            )
            source = replace(source, timer_s=wait + options.travel_s * 2 * (len(hops) + 1))
        listener = _ChainSource(self._events, tuple(hops), target)
        return self.transport.start(
            _REQUEST, SubnetNode(first.subnet, first.node), message, source, now, Nested(listener)
        )

    def update_variable(self, index: int, value: bytes, now: float) -> list[int]:
        """Give an output a new value and tell whom it is bound to; a handle for each message.

        Raises ConfigError for no such variable, or another size.
        """
        variables = self._table()
        if not variables.set_value(index, value):
            raise ConfigError(
                f"variable {index} does not take a value of {len(value)} bytes", hint="see VariableTable.info(index)"
            )
        self._events.extend(variables.turnaround(index))
        return [self._send_variable(each, None, now) for each in variables.messages_for(index, self.configuration)]

    def poll_variable(self, index: int, now: float) -> list[int]:
        """Ask those whom an input is bound to for its value, which comes as ``VariableUpdated``; a handle for each request."""
        variables = self._table()
        self._events.extend(variables.turnaround(index))
        listener = _Poll(self._events, variables)
        return [self._send_variable(each, listener, now) for each in variables.poll_messages(index, self.configuration)]

    def _table(self) -> VariableTable:
        if self.variables is None:
            raise ConfigError("this node has no network variables")
        return self.variables

    def _send_variable(self, message: OutgoingVariable, listener: _Poll | None, now: float) -> int:
        repeated = message.service == Service.UNACKD_RPT
        options = Options(
            domain_index=message.domain_index,
            priority=message.priority,
            authenticated=message.authenticated and message.service != Service.UNACKD,
            retry=message.retry,
            timer_s=message.repeat_timer_s if repeated else message.transmit_timer_s,
        )
        nested = Nested(listener) if listener is not None else None
        return self.transport.start(message.service, message.destination, message.apdu, options, now, nested)

    def send_service_pin(self, now: float) -> int:
        """Tell everybody who we are: unique node ID and program ID, in the zero-length domain, from 0/0."""
        message = ServicePin(unique_node_id=self.configuration.unique_node_id, program_id=self.configuration.program_id)
        return self.transport.start(_UNACKD, Broadcast(), message.encode(), Options(flex_domain=b""), now)

    def reset(self, now: float, *, forget_senders: bool = True) -> None:
        """Power-up: all transactions end, all senders are forgotten, and the quiet time begins.

        ``forget_senders`` False: their last messages are kept, so that a repeated order to reset does not reset again.
        """
        self.transport.forget(now)
        if forget_senders:
            self.reception.forget()
        self.transport.numbers = TransactionNumbers(destinations=self.transport.numbers.destinations)
        self.transport.quiet_until = now + self.quiet_s if self.quiet_s > 0 else 0.0

    def interests(self) -> Interests:
        """Whom this node listens to, for carriers that serve many nodes; made anew when the configuration has changed."""
        configuration = self.configuration
        state = (configuration.revision, configuration.state)
        if self._interests is None or self._interests_of != state:
            self._interests_of = state
            places = configuration.places()
            domains = {each.domain_index: each.domain for each in places.values()}
            groups = configuration.groups() if places else {}
            self._interests = Interests(
                tuple((each.domain, each.subnet, each.node) for each in places.values()),
                tuple((domains[index], group) for index, group in groups if index in domains),
                configuration.unique_node_id,
                self.promiscuous,
                configuration.revision,
            )
        return self._interests

    # ---- inside ----------------------------------------------------------------------------------------------------
    def _message(self, letter: Letter, note: Note, now: float) -> None:
        """Take a plain message of one node to this one alone."""
        pdu = letter.pdu
        apdu = pdu[1:]
        record = self.reception.letter(letter, note, pdu[0], apdu, now)
        if record is None:
            return
        if _PLAIN[apdu[0]] and self.configuration.online:
            told = (
                note.source,
                note.domain,
                note.destination,
                record.service,
                note.priority,
                False,
                apdu,
                record.reply,
            )
            self._events.append(_tuple(MessageReceived, told))
        else:
            try:
                self._serve(
                    letter.packet(), record.place, record.service, apdu, False, record.reply, record.number, now
                )
            except DecodeError as error:
                self._events.append(Dropped(error.message, pdu[:64]))

    def _transaction(
        self, packet: Packet, place: Membership, raw: bytes, session: bool, version: int, now: float
    ) -> None:
        pdu = split_pdu(raw, session, version)
        kind = pdu[1]
        if kind == ANSWER:
            self.transport.answer(packet, session, pdu[2], pdu[4], now)
        elif kind in _MESSAGES or (kind == REPEATED and not session):
            record = self.reception.message(packet, place, session, pdu, now)
            if record is not None:
                self._serve(packet, place, record.service, record.apdu, False, record.reply, record.number, now)
        elif kind == REMINDER:
            self.reception.reminder(packet, place, session, pdu, now)
        else:
            self._events.append(Dropped(f"{'SPDU' if session else 'TPDU'} of type {kind}", raw[:64]))

    def _authentication(self, packet: Packet, raw: bytes, version: int, now: float) -> None:
        pdu = AuthPdu.decode(raw, VERSIONS[version])
        number = pdu.header.transaction
        if version == ENHANCED and pdu.transaction_low is not None:
            number = number << 8 | pdu.transaction_low
        if pdu.header.type in (AuthType.CHALLENGE, AuthType.OMA_CHALLENGE):
            if not self.transport.challenged(packet, pdu, number, now):
                self._events.append(Dropped("a challenge to no message of ours", raw[:64]))
            return
        record = self.reception.replied(packet, pdu, number, now)
        if record is None:
            self._events.append(Dropped("a reply to no challenge of ours", raw[:64]))
            return
        self._serve(
            record.packet.packet() if isinstance(record.packet, Letter) else record.packet,
            record.place,
            record.service,
            record.apdu,
            record.authenticated,
            record.reply,
            record.number,
            now,
        )

    def _serve(
        self,
        packet: Packet,
        place: Membership,
        service: int,
        apdu: bytes,
        authenticated: bool,
        reply: int | None,
        number: int,
        now: float,
    ) -> None:
        """Hand a message to whom it is for."""
        code = apdu[0]
        kind = family(code)
        if kind == Family.VARIABLE:
            self._variable(indication_of(packet, place, service, apdu, authenticated, reply, number), now)
        elif kind in (Family.MANAGEMENT, Family.DIAGNOSTIC):
            self._manage(indication_of(packet, place, service, apdu, authenticated, reply, number), now)
        elif code == PROXY:
            self.proxy.receive(indication_of(packet, place, service, apdu, authenticated, reply, number), now)
        elif self.configuration.online or (self.commissionable and not self.configuration.configured):
            header, npdu, _ = packet
            self._events.append(
                MessageReceived(
                    subnet_node(npdu.source_subnet, npdu.source_node & 0x7F),
                    npdu.domain,
                    destination_of(npdu),
                    service,
                    header >= _PRIORITY,
                    authenticated,
                    apdu,
                    reply,
                )
            )
        elif reply is not None:
            offline = OFFLINE if kind == Family.APPLICATION else OFFLINE + 0x10
            self.reception.respond(reply, bytes((offline,)), now)

    def _manage(self, indication: Indication, now: float) -> None:
        outcome = self.management.serve(indication, now)
        if outcome.forward:
            self.proxy.relay(indication, now)
            return
        if indication.reply is not None:
            self.reception.respond(indication.reply, outcome.response, now, flex=outcome.flex)
        for event in self.management.events():
            self._events.append(event)
            if isinstance(event, NodeReset):
                self.reset(now, forget_senders=False)

    def _variable(self, indication: Indication, now: float) -> None:
        """Updates are taken in; polls are answered, without value where there is no such variable."""
        variables = self.variables or _NO_VARIABLES
        if indication.reply is None:
            self._events.extend(variables.updated(indication.apdu, indication.source, indication.authenticated))
            return
        response = variables.poll_response(indication.apdu, indication.authenticated, self.configuration.online)
        self.reception.respond(indication.reply, response, now)


class _Poll:
    """Listens to the answers of a poll of ours."""

    __slots__ = ("events", "variables")

    def __init__(self, events: list[Event], variables: VariableTable) -> None:
        self.events = events
        self.variables = variables

    def answered(self, transaction: Transaction, source: SubnetNode, apdu: bytes, now: float) -> None:
        self.events.extend(self.variables.polled(apdu, source))

    def ended(self, transaction: Transaction, complete: bool, now: float) -> None:
        self.events.append(
            TransactionCompleted(transaction.handle, transaction.attempts)
            if complete
            else TransactionFailed(transaction.handle, "no answer", transaction.attempts)
        )


class _ChainSource:
    """Listens to the first hop of a chain of ours, and says how it ended."""

    __slots__ = ("events", "hop", "hops", "reason", "target")

    def __init__(self, events: list[Event], hops: tuple[Hop, ...], target: Destination) -> None:
        self.events = events
        self.hops = hops
        self.target = target
        self.reason = ""
        self.hop = 0

    def answered(self, transaction: Transaction, source: SubnetNode, apdu: bytes, now: float) -> None:
        failure = failure_in(apdu)
        if failure is not None:
            self.hop = failure.place(len(self.hops))
            nodes = [*map(str, self.hops), str(self.target)]
            self.reason = (
                f"{nodes[self.hop - 1]} could not reach {nodes[self.hop]}"
                if self.hop
                else f"a hop failed with {failure.remaining} addresses left, which fits no chain of {len(self.hops)}"
            )
        elif apdu != bytes((PROXY,)):
            self.events.append(ResponseReceived(transaction.handle, source, apdu))

    def ended(self, transaction: Transaction, complete: bool, now: float) -> None:
        if complete and not self.reason:
            self.events.append(TransactionCompleted(transaction.handle, transaction.attempts))
        else:
            reason = self.reason or f"no answer from {self.hops[0]}"
            self.events.append(TransactionFailed(transaction.handle, reason, transaction.attempts, hop=self.hop))
