"""Repeating: what a node does with a message that carries its own list of repeaters (LTEP), as repeater or as agent.

``spec/iso14908-1.md`` 6, from two open stacks (run); annex G of ETSI TS 104 001 was not read. Each hop is an ordinary
transaction, nested in the one that brought the message: same service, same priority, same transaction number, own timer and
retries. The response runs back through the open transactions; ``4C`` and the number of addresses that the failing node had
received says where a chain broke, ``4D`` that the last leg is done and had no response.

Choices of ours, where the sources leave one: an alternate key is refused unless allowed (``allow_alternate_key``); a message that
names this node itself as the next is a hop that failed (other loops cannot be seen by one node, but each hop costs an
address, so that every list ends); ``all_agents`` is honoured for what it is meant for, group and broadcast targets that do not
answer; a malformed message is dropped, as in both stacks, and so is one that came to a group or to all: each hearer would be an agent,
and messages nested in each other would multiply with every level. A message whose chain is still at work is not sent on again, even if
it comes after the end of the receive timer (6.7): its answer goes to the newest repeat. A chain whose turn has not come by then is a
hop that failed, so that what nobody waits for any more keeps no other waiting. One message in gives at most one out, two with
``all_agents``, beside its acknowledgement.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from osgp.lon.address import Broadcast, Destination, Group, SubnetNode, UniqueNodeId, destination_of_entry
from osgp.lon.apdu import CLASSIC_PROXY, PROXY, PROXY_FAILED, failure_code, success_code
from osgp.lon.configuration import Configuration, Membership
from osgp.lon.entries import AddressEntry
from osgp.lon.events import Dropped, Event
from osgp.lon.indication import Indication
from osgp.lon.lpdu import MAX_APDU
from osgp.lon.ltep import (
    MAX_LIST,
    MAX_TARGET_DATA,
    AlternateKey,
    LongHop,
    Ltep,
    LtepFailure,
    LtepHeader,
    Mode,
    Service,
    ShortHop,
    TargetControl,
    TargetType,
    TransmitControl,
)
from osgp.lon.reception import UNIQUE_NODE_ID_TIMER_S
from osgp.lon.timers import LONG_S, TRANSMIT_S
from osgp.lon.tpdu import TpduHeader
from osgp.lon.transport import Nested, Options, Transaction, Transport
from osgp.wire.errors import ConfigError, DecodeError, LocalProtocolError

__all__ = [
    "Hop",
    "Proxy",
    "ProxyFailure",
    "Responder",
    "chain_message",
    "extra_wait_s",
    "failure_in",
    "safe_timer_s",
]

"""Network diagnostics: ask a node beyond this one for its identity, status or transceiver."""

_LEAST_WAIT_S = 1.0
"""How long a chain waits for room in any case (digest 6.5)."""
_MAX_NUMBER = TpduHeader.fields["transaction"].mask
"""The largest transaction number of four bits."""


class Hop(NamedTuple):
    """A node that handles proxy messages, and which carrier leads to it (True: the alternate path)."""

    subnet: int
    node: int
    alternate_path: bool = False

    def __str__(self) -> str:
        return f"{self.subnet}/{self.node}{'*' if self.alternate_path else ''}"


class ProxyFailure(NamedTuple):
    """Where a chain broke: ``remaining`` addresses were left to the node that gave up (0: the agent could not reach the target)."""

    remaining: int

    def place(self, hops: int) -> int:
        """The place of the node that gave up in a chain of ``hops`` nodes, 1 the first; 0 if the count fits no such chain."""
        place = hops - self.remaining
        return place if 1 <= place <= hops else 0


def failure_in(apdu: bytes) -> ProxyFailure | None:
    """The failure that a response to a proxy message tells, or None."""
    if len(apdu) == 2 and apdu[0] == PROXY_FAILED:
        return ProxyFailure(LtepFailure.decode(apdu).remaining)
    return None


def extra_wait_s(timer: int, long_timer: bool, remaining: int) -> float:
    """What a repeater adds to its last wait, so that the nodes behind it report first (``spec/iso14908-1.md`` 6.7).

    ``timer``: the hops' timer code. ``remaining``: addresses left after its own pop. Kept as the open stack has it: for codes up to 7
    all repeaters time out together, so that the failing hop is told right from code 8 on only.
    """
    if long_timer or timer >= 10:
        return 0.512 * remaining
    if timer >= 8:
        return 0.256 * remaining
    return 0.256


def safe_timer_s(
    hops: int, timer: int, retry: int, target_timer: int, target_retry: int, long_timer: bool = False
) -> float:
    """How long a source must wait before a retry, so that no chain of ``hops`` nodes is still at work: seconds.

    The waits of agent and repeaters (``spec/iso14908-1.md`` 6.7), without travel times.
    """
    longest = (target_retry + 1) * TRANSMIT_S[target_timer]
    if hops > 1:
        row = LONG_S if long_timer else TRANSMIT_S
        own = (retry + 1) * row[timer] + (extra_wait_s(timer, long_timer, hops - 2) if retry else 0.0)
        longest = max(longest, own)
    return longest


def chain_message(
    hops: list[Hop],
    target: Destination,
    apdu: bytes,
    *,
    service: Service = Service.REQUEST,
    timer: int = 10,
    retry: int = 3,
    target_timer: int = 9,
    target_retry: int = 3,
    target_alternate_path: bool = False,
    mode: Mode = Mode.NORMAL,
    all_agents: bool = False,
    long_timer: bool = False,
    alternate_key: AlternateKey | None = None,
    compact: bool = True,
    source_subnet: int | None = None,
) -> bytes:
    """The APDU that travels through ``hops`` (the first is the packet's own destination) and reaches ``target`` from the last.

    ``compact``: use the shorter forms of addresses where all subnets are the same; ``source_subnet`` is then our own. Raises
    ConfigError for a chain that cannot be said: none or too many hops, too long a message.
    """
    if not 1 <= len(hops) <= MAX_LIST + 1:
        raise ConfigError(f"a chain has 1 to {MAX_LIST + 1} nodes that forward, not {len(hops)}")
    if not apdu or len(apdu) - 1 > MAX_TARGET_DATA:
        raise ConfigError(f"a target's message has a code and at most {MAX_TARGET_DATA} bytes, not {len(apdu)} bytes")
    if (mode == Mode.ALTERNATE_KEY) != (alternate_key is not None):
        raise ConfigError("mode 2 and an alternate key go together")
    listed = hops[1:]
    subnets = {hop.subnet for hop in hops}
    uniform = compact and bool(listed) and len(subnets) == 1
    by_source = uniform and source_subnet in subnets
    message = Ltep(
        header=LtepHeader(
            count=len(listed),
            uniform_by_source=int(by_source),
            uniform_by_destination=int(uniform and not by_source),
            all_agents=int(all_agents),
            long_timer=int(long_timer),
        ),
        long_hops=None
        if uniform
        else [LongHop(subnet=hop.subnet, node=hop.node, alternate_path=int(hop.alternate_path)) for hop in listed],
        short_hops=[ShortHop(node=hop.node, alternate_path=int(hop.alternate_path)) for hop in listed]
        if uniform
        else None,
        transmit=TransmitControl(timer=timer, retry=retry) if listed else None,
        alternate_key=alternate_key,
        apdu=apdu,
    )
    kind = _target(message, target, hops[-1].subnet, compact)
    message.control = TargetControl(
        timer=target_timer,
        retry=target_retry,
        mode=int(mode),
        service=int(service),
        alternate_path=int(target_alternate_path),
        target_type=int(kind),
    )
    raw = message.encode()
    if len(raw) > MAX_APDU:
        raise ConfigError(
            f"the chain's message has {len(raw)} bytes; {MAX_APDU} is the most", hint="fewer hops, or less data"
        )
    return raw


def _target(message: Ltep, target: Destination, agent_subnet: int, compact: bool) -> TargetType:
    if isinstance(target, SubnetNode):
        message.target_node = target.node
        if compact and target.subnet == agent_subnet:
            return TargetType.SUBNET_NODE_OF_AGENT
        message.target_subnet = target.subnet
        return TargetType.SUBNET_NODE
    if isinstance(target, UniqueNodeId):
        message.target_unique_node_id = target.unique_node_id
        if compact and not target.subnet:
            return TargetType.UNIQUE_NODE_ID_COMPACT
        message.target_subnet = target.subnet
        return TargetType.UNIQUE_NODE_ID
    if isinstance(target, Group):
        message.target_group = target.group
        if compact and not target.size:
            return TargetType.GROUP_COMPACT
        message.target_size = target.size
        return TargetType.GROUP
    message.target_subnet = target.subnet
    message.target_backlog = target.backlog
    return TargetType.BROADCAST


Responder = Callable[[int, bytes | None, float], bool]
"""How a chain answers upstream: ``Reception.respond``."""


class _Chain:
    """Listens to the hop below one upstream message, and tells upstream how it went."""

    __slots__ = ("count", "is_over", "reply", "respond", "told")

    def __init__(self, respond: Responder, reply: int | None, count: int) -> None:
        self.respond = respond
        self.reply = reply
        self.count = count
        self.told: bytes | None = None
        self.is_over = False

    def again(self, reply: int | None, now: float) -> None:
        """The message came again as a new one: its record has expired. Its answer goes to the newest."""
        self.reply = reply
        if self.told is not None and reply is not None:
            self.respond(reply, self.told, now)

    def answered(self, transaction: Transaction, source: SubnetNode, apdu: bytes, now: float) -> None:
        """The first response from below goes up as it is."""
        self._tell(apdu, now)

    def ended(self, transaction: Transaction, complete: bool, now: float) -> None:
        """Done without response, or failed here."""
        self.is_over = True
        self._tell(bytes((PROXY,)) if complete else _failure(self.count), now)

    def _tell(self, apdu: bytes, now: float) -> None:
        if self.told is None:
            self.told = apdu
            if self.reply is not None:
                self.respond(self.reply, apdu, now)


class _Relay(_Chain):
    """Listens to the target of the classic proxy (0x52)."""

    __slots__ = ()

    def answered(self, transaction: Transaction, source: SubnetNode, apdu: bytes, now: float) -> None:
        """The target's data go up under the classic proxy's response code; its refusal as a refusal."""
        good = apdu[:1] == bytes((success_code(CLASSIC_PROXY),))
        self._tell(apdu if good else bytes((failure_code(CLASSIC_PROXY),)), now)

    def ended(self, transaction: Transaction, complete: bool, now: float) -> None:
        """Only no answer is left to tell."""
        self.is_over = True
        self._tell(bytes((failure_code(CLASSIC_PROXY),)), now)


def _key(indication: Indication) -> tuple[object, ...]:
    """What makes a message the same again."""
    return (
        indication.source,
        indication.domain,
        indication.destination,
        indication.priority,
        indication.service,
        indication.transaction,
        indication.apdu,
    )


def _failure(count: int) -> bytes:
    return LtepFailure(remaining=count).encode()


class Proxy:
    """Repeater and agent of one node. ``respond`` answers upstream (``Reception.respond``)."""

    def __init__(
        self,
        configuration: Configuration,
        transport: Transport,
        respond: Responder,
        events: list[Event],
        *,
        allow_alternate_key: bool = False,
    ) -> None:
        self.configuration = configuration
        self.transport = transport
        self.respond = respond
        self.events = events
        self.allow_alternate_key = allow_alternate_key
        self.is_closed = False
        """Pass nothing on: for a node whose own requests must not wait behind those of strangers."""
        self._open: dict[tuple[object, ...], _Chain] = {}

    def _is_served(self, indication: Indication, now: float) -> bool:
        """Whether nothing is to be done for a message: its chain is at work, or it came to many.

        A record of a received message may end before the chain that the message began; its next repeat then looks new. Were it
        sent on, each hop would multiply the repeats of the one before.
        """
        if self.is_closed:
            self._drop(indication, "proxy message: nothing is passed on here", now)
            return True
        for key in [key for key, chain in self._open.items() if chain.is_over]:
            del self._open[key]
        chain = self._open.get(_key(indication))
        if chain is not None:
            chain.again(indication.reply, now)
            return True
        if isinstance(indication.destination, Broadcast | Group):
            self._drop(indication, "proxy message to many", now)
            return True
        return False

    # ---- enhanced proxy --------------------------------------------------------------------------------------------
    def receive(self, indication: Indication, now: float) -> None:
        """Take a message with code 4D: forward it, or reach the target. What cannot be read is dropped without an answer."""
        if self._is_served(indication, now):
            return
        try:
            message = Ltep.decode(indication.apdu)
        except DecodeError as error:
            self._drop(indication, f"proxy message: {error.message}", now)
            return
        header = message.header
        if not message.apdu or len(message.apdu) - 1 > MAX_TARGET_DATA:
            self._drop(indication, "proxy message: no target APDU, or too long a one", now)
            return
        if header.long_timer and message.transmit is not None and message.transmit.timer >= len(LONG_S):
            self._drop(indication, f"proxy message: long timer {message.transmit.timer}", now)
            return
        if header.count == 0:
            self._reach(message, indication, indication.reply, indication.service, now)
            return
        if header.all_agents and self._is_spread(message) and indication.domain_index is not None:
            self._reach(message, indication, None, int(Service.UNACKD), now)
        self._forward(message, indication, now)

    def _drop(self, indication: Indication, reason: str, now: float) -> None:
        self.events.append(Dropped(reason, indication.apdu[:64]))
        if indication.reply is not None:
            self.respond(indication.reply, None, now)

    @staticmethod
    def _is_spread(message: Ltep) -> bool:
        """Whether the target is many and nobody answers: what ``all_agents`` is for."""
        control = message.control
        return control.target_type in _MANY and control.service in (Service.UNACKD, Service.UNACKD_RPT)

    def _forward(self, message: Ltep, indication: Indication, now: float) -> None:
        """As repeater: pop the first address off the message and send what is left there."""
        header, transmit = message.header, message.transmit
        hops: list[LongHop] | list[ShortHop] = (message.short_hops or message.long_hops) or []
        assert transmit is not None, "there is a transmit control wherever there are addresses"
        count, remaining = header.count, header.count - 1
        index = indication.domain_index or 0
        own = self._own(index)
        if own is None:
            self._fail(indication, count, now)
            return
        first = hops[0]
        if isinstance(first, LongHop):
            subnet = first.subnet
        else:
            subnet = indication.source.subnet if header.uniform_by_source else own.subnet
        message.header = header.with_(count=remaining)
        if message.short_hops is not None:
            message.short_hops = message.short_hops[1:]
        elif message.long_hops is not None:
            message.long_hops = message.long_hops[1:]
        if remaining == 0:
            message.transmit = None
        timer_s = (LONG_S if header.long_timer else TRANSMIT_S)[transmit.timer]
        options = Options(
            domain_index=index,
            priority=indication.priority,
            authenticated=indication.authenticated,
            retry=transmit.retry,
            timer_s=timer_s,
            alternate_path=bool(first.alternate_path),
        )
        extra = extra_wait_s(transmit.timer, bool(header.long_timer), remaining)
        self._send(
            indication,
            _Chain(self.respond, indication.reply, count),
            indication.service,
            SubnetNode(subnet, first.node),
            message.encode(),
            options,
            extra,
            None,
            now,
        )

    def _reach(self, message: Ltep, indication: Indication, reply: int | None, service: int, now: float) -> None:
        """As agent: send the target's APDU as a plain message."""
        control = message.control
        indication = indication._replace(service=service)
        index = indication.domain_index or 0
        chain = _Chain(self.respond, reply, 0)
        own = self._own(index)
        delta = None
        if control.mode == Mode.ALTERNATE_KEY:
            if not self.allow_alternate_key or message.alternate_key is None:
                self.events.append(Dropped("proxy message: alternate keys are refused here", indication.apdu[:2]))
                own = None
            else:
                delta = message.alternate_key.delta
        if own is None:
            if reply is not None:
                self.respond(reply, _failure(0), now)
            return
        options = Options(
            domain_index=index,
            priority=indication.priority,
            authenticated=indication.authenticated and control.service != Service.UNACKD,
            retry=control.retry,
            timer_s=TRANSMIT_S[control.timer],
            alternate_path=bool(control.alternate_path),
            mode=control.mode if control.mode in (Mode.ZERO_SYNC, Mode.ATTENUATE) else 0,
        )
        target = self._target(message, indication.source.subnet, own.subnet)
        if isinstance(target, Broadcast):
            options = replace(options, authenticated=False)
        self._send(indication, chain, control.service, target, message.apdu, options, 0.0, delta, now)

    @staticmethod
    def _target(message: Ltep, source_subnet: int, own_subnet: int) -> Destination:
        kind = message.control.target_type
        subnet, node = message.target_subnet or 0, (message.target_node or 0) & 0x7F
        if kind == TargetType.SUBNET_NODE_OF_SOURCE:
            return SubnetNode(source_subnet, node)
        if kind == TargetType.SUBNET_NODE_OF_AGENT:
            return SubnetNode(own_subnet, node)
        if kind == TargetType.SUBNET_NODE:
            return SubnetNode(subnet, node)
        if kind in (TargetType.UNIQUE_NODE_ID, TargetType.UNIQUE_NODE_ID_COMPACT):
            return UniqueNodeId(message.target_unique_node_id or bytes(6), subnet)
        if kind in (TargetType.GROUP, TargetType.GROUP_COMPACT):
            return Group(message.target_group or 0, (message.target_size or 0) & 0x7F)
        return Broadcast(subnet, (message.target_backlog or 0) & 0x3F)

    def _own(self, index: int) -> Membership | None:
        if not self.configuration.configured:
            return None
        return next((each for each in self.configuration.memberships() if each.domain_index == index), None)

    def _fail(self, indication: Indication, count: int, now: float) -> None:
        if indication.reply is not None:
            self.respond(indication.reply, _failure(count), now)

    def _send(
        self,
        indication: Indication,
        chain: _Chain,
        service: int,
        destination: Destination,
        apdu: bytes,
        options: Options,
        extra_wait: float,
        delta: bytes | None,
        now: float,
    ) -> None:
        """Begin the nested transaction; what cannot even be sent (to ourselves, no room) is a hop that failed."""
        own = self._own(options.domain_index)
        itself = own is not None and destination == SubnetNode(own.subnet, own.node)
        if isinstance(destination, UniqueNodeId) and destination.unique_node_id == self.configuration.unique_node_id:
            itself = True
        number = indication.transaction if indication.service != Service.UNACKD else None
        if number is not None and number > _MAX_NUMBER:
            number = None  # of enhanced mode, which the hops below do not speak: they take one of our own
        if not itself and self.transport.room(options.priority):
            nested = Nested(chain, number, extra_wait, delta, self._begin_by(indication, now))
            try:
                self.transport.start(service, destination, apdu, options, now, nested)
                self._keep(indication, chain)
                return
            except LocalProtocolError as error:
                self.events.append(Dropped(f"proxy message: {error.message}", indication.apdu[:64]))
        else:
            self.events.append(
                Dropped("proxy message: names this node itself, or too many are waiting", indication.apdu[:64])
            )
        if chain.reply is not None:
            self.respond(chain.reply, _failure(chain.count), now)

    def _begin_by(self, indication: Indication, now: float) -> float:
        """Until when a chain may wait for its turn: as long as the message that began it is remembered, a second at least."""
        by_id = isinstance(indication.destination, UniqueNodeId)
        return now + max(_LEAST_WAIT_S, UNIQUE_NODE_ID_TIMER_S if by_id else self.configuration.non_group_timer_s)

    def _keep(self, indication: Indication, chain: _Chain) -> None:
        """Remember a chain until it is over. Without transaction number two equal messages are two messages."""
        if indication.service != Service.UNACKD and not chain.is_over:
            self._open[_key(indication)] = chain

    # ---- classic proxy ---------------------------------------------------------------------------------------------
    def relay(self, indication: Indication, now: float) -> None:
        """Take a classic proxy message (0x52) with a send address: ask its target, and hand its answer on."""
        if self._is_served(indication, now):
            return
        refusal = bytes((failure_code(CLASSIC_PROXY),))
        raw = indication.apdu
        try:
            address = AddressEntry.decode(raw[2:])
        except DecodeError:
            address = None
        if (
            address is None
            or address._rest
            or indication.domain_index is None
            or self._own(indication.domain_index) is None
        ):
            if indication.reply is not None:
                self.respond(indication.reply, refusal, now)
            return
        destination = destination_of_entry(address)
        options = Options(
            domain_index=indication.domain_index,
            priority=indication.priority,
            retry=address.retry.retry,
            timer_s=TRANSMIT_S[address.timers.transmit_timer],
            alternate_path=indication.alternate_path,
        )
        chain = _Relay(self.respond, indication.reply, 0)
        if destination is not None:
            try:
                nested = Nested(chain, begin_by=self._begin_by(indication, now))
                self.transport.start(int(Service.REQUEST), destination, raw[:2], options, now, nested)
                self._keep(indication, chain)
                return
            except LocalProtocolError as error:
                self.events.append(Dropped(f"classic proxy: {error.message}", raw[:64]))
        if indication.reply is not None:
            self.respond(indication.reply, refusal, now)


_MANY = (TargetType.GROUP, TargetType.GROUP_COMPACT, TargetType.BROADCAST)
