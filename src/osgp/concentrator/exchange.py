"""One request and its response with one device: sealed, sent direct or through repeaters, repeated, accounted, opened.

``Exchanges`` sits on one ``Stack``. Exchanges wait in classes; of a device one is open at a time (``spec/osgp-application.md`` 3.3),
of the line as many as it bears, one as a rule, because all share the medium. The next is handed to the stack in the very moment in
which a response comes in, so that no slot is lost.

A retry sends the same bytes; a changed message takes a new sequence number. When a write or a procedure is given up its outcome is
unknown: the device gets a read answered before anything else is written to it, so that a frame that somebody held back is worth
nothing any more (3.3). Timers follow from airtime (``accounts``): a wait just long enough costs least after a loss.

Source: ETSI TS 104 001 clause 9 as in ``spec/osgp-application.md`` 1.2, 1.9, 3.3; scheduling and timers are a project choice.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

from osgp.app.verdict import REASONS, Accepted, OutOfStep, Refused, Verdict
from osgp.concentrator.accounts import AirtimeAccount, LineCosts
from osgp.concentrator.tasks import Cancelled, Wait
from osgp.lon.address import Destination, UniqueNodeId
from osgp.lon.events import Event, ResponseReceived, TransactionCompleted, TransactionFailed
from osgp.lon.ltep import Mode, Service
from osgp.lon.proxy import Hop, safe_timer_s
from osgp.lon.timers import TRANSMIT_S
from osgp.lon.transport import Options
from osgp.node.stack import ChainOptions, Stack
from osgp.wire.errors import (
    BadDigest,
    Error,
    LinkError,
    NoAnswer,
    NoKey,
    NoRoute,
    Replayed,
    SecurityError,
)

__all__ = [
    "DIRECT",
    "Exchange",
    "Exchanges",
    "FixedRoutes",
    "OutcomeUnknown",
    "Peer",
    "Policy",
    "Priority",
    "Route",
    "Routes",
    "Sealer",
]

_PROBE = bytes.fromhex("3f0000000000 0001")
"""Read one byte of BT00: what a device in doubt is asked first."""
_RESEALS = 2
_RESPONSE_HEAD = 13
"""Bytes of a response to a read beside its data: code, response code, count, tag, and one to spare."""
_WRITTEN = 10


class Priority(IntEnum):
    """Classes of work, the most urgent first."""

    ALARM = 0
    ON_DEMAND = 1
    BILLING = 2
    PROFILE = 3
    HOUSEKEEPING = 4


URGENT = Priority.ON_DEMAND
"""Up to this class nothing waits for the airtime budget."""
_ASSURED = (Priority.BILLING, Priority.PROFILE, Priority.HOUSEKEEPING)
"""Classes that get a turn now and then however much more urgent work there is (``Policy.assured_after``)."""


class OutcomeUnknown(NoAnswer):
    """A write or a procedure may have been carried out, and the answer was lost. Look before you repeat it."""


class Sealer(Protocol):
    """The security of one device as an exchange sees it (``app.peer.PeerSecurity``, ``app.legacy.LegacyPeer``). With ``by_id`` the
    open request must go to the unique node ID; with ``probe_first`` a read must be answered before anything else is sealed."""

    def seal(self, plaintext: bytes, now: float) -> bytes:
        """The APDU of a request, under a new sequence number. Raises SecurityError (no key yet), StorageError."""

    def open(self, apdu: bytes, now: float) -> Verdict:
        """What a response to the open request is: Accepted, OutOfStep (the next ``seal`` goes on above it), or Refused."""

    def give_up(self) -> None:
        """The open request is over without an answer."""


@dataclass(frozen=True, slots=True)
class Route:
    """How a device is reached: through ``hops`` (the last is the agent), or direct. ``alternate_path``: of the last leg; None as the
    standard has it, the last two transmissions."""

    hops: tuple[Hop, ...] = ()
    alternate_path: bool | None = None

    @property
    def legs(self) -> int:
        """Links of the way."""
        return len(self.hops) + 1

    def __str__(self) -> str:
        path = "*" if self.alternate_path else ""
        return " → ".join([*map(str, self.hops), f"target{path}"]) if self.hops else f"direct{path}"


DIRECT = Route()


class Routes(Protocol):
    """Who knows the ways, and is told what came of them (``concentrator.topology``). ``leg``: 0 is our own, the last the target's."""

    def route(self, device: int, attempt: int, now: float) -> Route | None:
        """The way for an attempt of an exchange, 0 the first; None if there is none."""

    def answered(self, device: int, route: Route, attempts: int, now: float) -> None:
        """An answer came; ``attempts``: our own transmissions."""

    def failed(self, device: int, route: Route, leg: int, attempts: int, now: float) -> None:
        """No answer: the node before ``leg`` could not reach the one behind it."""


@dataclass(slots=True)
class FixedRoutes:
    """Ways that somebody wrote down; who is not named is in earshot."""

    by_device: dict[int, Route] = field(default_factory=dict)

    def route(self, device: int, attempt: int, now: float) -> Route | None:
        """See ``Routes``."""
        return self.by_device.get(device, DIRECT)

    def answered(self, device: int, route: Route, attempts: int, now: float) -> None:
        """Nothing to learn."""

    def failed(self, device: int, route: Route, leg: int, attempts: int, now: float) -> None:
        """Nothing to learn."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How stubborn exchanges are. ``in_flight``: open at a time on the line. ``tries``: transactions of an exchange, on whatever
    route. ``retry``: repeats of our own in one transaction; ``hop_retry``, ``target_retry``: of repeaters and of the agent.
    ``backlog``: what our requests announce; 0 is right as long as nobody else has much to say, None is what the standard says.
    ``assured_after``: a patient class has the turn after so many exchanges of classes before it, so that these leave it one exchange
    in ``assured_after + 1``; if they are alarms and orders that overfill the line, beyond the airtime budget if need be."""

    in_flight: int = 1
    tries: int = 2
    retry: int = 3
    hop_retry: int = 2
    target_retry: int = 3
    backlog: int | None = 0
    assured_after: int = 8


class Peer:
    """One device as exchanges know it. ``destination`` may change with commissioning. ``doubt``: a write was given up, and no read has
    been answered since. ``psn``: the sequence number of its last procedure, if known; ``ordering``: ends when the procedure that is
    under way has its response, because the device has one response table."""

    __slots__ = ("destination", "device", "doubt", "open", "ordering", "psn", "sealer", "unique_node_id")

    def __init__(
        self, device: int, destination: Destination, sealer: Sealer | None, *, unique_node_id: bytes = b""
    ) -> None:
        self.device = device
        self.destination = destination
        self.unique_node_id = unique_node_id
        self.sealer = sealer
        self.open: Exchange | None = None
        self.doubt = False
        self.psn: int | None = None
        self.ordering: Wait[None] | None = None

    def __repr__(self) -> str:
        return f"Peer({self.device} at {self.destination}{', in doubt' if self.doubt else ''})"


class Exchange(Wait[bytes]):
    """One question to a device. Its answer is the message of the response, without any security around it.

    Ends with NoAnswer, OutcomeUnknown, NoRoute, SecurityError or LocalProtocolError otherwise.
    """

    __slots__ = (
        "all_agents",
        "answer_bytes",
        "apdu",
        "asked_at",
        "attempts",
        "before",
        "by_id",
        "handle",
        "is_sealed",
        "kind",
        "message",
        "mode",
        "owner",
        "peer",
        "priority",
        "queued_at",
        "reads",
        "reseals",
        "response",
        "route",
        "service",
        "tries",
        "wanted_route",
    )

    def __init__(
        self,
        owner: Exchanges,
        peer: Peer,
        message: bytes,
        priority: Priority,
        *,
        reads: bool,
        answer_bytes: int,
        sealed: bool,
        kind: str,
        service: Service = Service.REQUEST,
        route: Route | None = None,
    ) -> None:
        super().__init__()
        self.owner = owner
        self.peer = peer
        self.message = message
        self.is_sealed = sealed
        self.apdu: bytes | None = None if sealed else message
        self.priority = priority
        self.reads = reads
        self.answer_bytes = answer_bytes
        self.kind = kind
        self.service = service
        self.wanted_route = route
        self.route = route or DIRECT
        self.by_id = False
        self.mode = Mode.NORMAL
        self.all_agents = service != Service.REQUEST
        self.before: Exchange | None = None
        self.handle = 0
        self.tries = 0
        self.attempts = 0
        self.reseals = 0
        self.response: bytes | None = None
        self.queued_at = 0.0
        self.asked_at = 0.0

    def drop(self) -> None:
        """Nobody waits any more: what was not sent yet is not sent. What is on its way ends by itself."""
        if self.handle:
            return
        if self.tries and self.is_sealed and self.peer.sealer is not None:
            self.peer.sealer.give_up()
            self.peer.doubt |= not self.reads
        self.fail(Cancelled())


class Exchanges:
    """All exchanges over one stack. ``routes``: the ways; ``account``: airtime and its budget; ``costs``: of the line.

    The machine above hands in the stack's events (``take``) and calls ``pump`` whenever something may be sent. ``ended``: is told of
    each exchange with a device that is over (statistics, adaptive polling).
    """

    def __init__(
        self,
        stack: Stack,
        *,
        routes: Routes | None = None,
        costs: LineCosts | None = None,
        account: AirtimeAccount | None = None,
        policy: Policy | None = None,
        ended: Callable[[Exchange, bool, float], None] | None = None,
    ) -> None:
        self.stack = stack
        self.routes: Routes = routes or FixedRoutes()
        self.costs = costs or LineCosts()
        self.account = account or AirtimeAccount()
        self.policy = policy or Policy()
        self.ended = ended
        self.paused = False
        self._waiting: tuple[deque[Exchange], ...] = tuple(deque() for _ in Priority)
        self._open: dict[int, Exchange] = {}
        self._blocked_until: float | None = None
        self._passed = dict.fromkeys(_ASSURED, 0)
        self._urgent_run = 0

    def __len__(self) -> int:
        """Exchanges open or waiting."""
        return len(self._open) + sum(map(len, self._waiting))

    @property
    def in_flight(self) -> int:
        """Exchanges that the stack has."""
        return len(self._open)

    @property
    def open(self) -> Iterable[Exchange]:
        """Those exchanges, the oldest first."""
        return self._open.values()

    def waiting(self) -> dict[str, int]:
        """How many wait, by class."""
        return {each.name.lower(): len(self._waiting[each]) for each in Priority}

    # ---- commands ---------------------------------------------------------------------------------------------------
    def ask(
        self, peer: Peer, message: bytes, priority: Priority, now: float, *, reads: bool, answer_bytes: int = 0
    ) -> Exchange:
        """A sealed table service. ``reads``: it changes nothing; ``answer_bytes``: table bytes expected in the answer."""
        size = _RESPONSE_HEAD + answer_bytes if reads else _WRITTEN
        kind = priority.name.lower()
        exchange = Exchange(self, peer, message, priority, reads=reads, answer_bytes=size, sealed=True, kind=kind)
        return self._queue(exchange, now)

    def ask_plain(
        self,
        peer: Peer,
        apdu: bytes,
        priority: Priority,
        now: float,
        *,
        answer_bytes: int = 60,
        route: Route | None = None,
        kind: str = "plain",
        by_id: bool = False,
        mode: Mode = Mode.NORMAL,
    ) -> Exchange:
        """An APDU as it is (handshakes, diagnostics); the answer is the response's APDU. ``route``: not the one that is known;
        ``by_id``: to the unique node ID, whatever the address; ``mode``: how the agent sends it."""
        exchange = Exchange(
            self,
            peer,
            apdu,
            priority,
            reads=True,
            answer_bytes=answer_bytes,
            sealed=False,
            kind=kind,
            route=route,
        )
        exchange.by_id, exchange.mode = by_id, mode
        return self._queue(exchange, now)

    def tell(
        self,
        destination: Destination,
        apdu: bytes,
        priority: Priority,
        now: float,
        *,
        hops: tuple[Hop, ...] = (),
        repeated: bool = False,
        kind: str = "broadcast",
        alternate_path: bool | None = None,
        all_agents: bool = True,
    ) -> Exchange:
        """A message that wants no answer: unacknowledged, or several times with the repeated service. ``hops``: the last of them sends
        it, with ``all_agents`` the others on the way as well; ``alternate_path``: of that last leg. Ends with empty bytes."""
        exchange = Exchange(
            self,
            Peer(-1, destination, None),
            apdu,
            priority,
            reads=True,
            answer_bytes=0,
            sealed=False,
            kind=kind,
            service=Service.UNACKD_RPT if repeated else Service.UNACKD,
            route=Route(hops, alternate_path),
        )
        exchange.all_agents = all_agents
        return self._queue(exchange, now)

    def _queue(self, exchange: Exchange, now: float) -> Exchange:
        exchange.queued_at = now
        self._waiting[exchange.priority].append(exchange)
        return exchange

    # ---- the machine ------------------------------------------------------------------------------------------------
    def deadline(self) -> float | None:
        """When a patient exchange may begin that waits for the airtime budget."""
        return self._blocked_until

    def pump(self, now: float) -> int:
        """Hand to the stack what may be sent now; how many exchanges began (or could not)."""
        self._blocked_until = None
        begun = 0
        if self.paused:
            return begun
        most, opened = self.policy.in_flight, self._open
        if len(opened) >= most:
            return begun
        while len(opened) < most and (assured := self._assured(now)) is not None:
            self._started(assured)
            self._begin(assured, now)
            begun += 1
        for priority, queue in enumerate(self._waiting):
            if len(opened) >= most:
                break
            if not queue:
                continue
            if priority > URGENT:
                free_at = self.account.free_at(now)
                if free_at > now:
                    self._blocked_until = free_at
                    return begun
            place = 0
            while place < len(queue) and len(opened) < most:
                exchange = queue[place]
                if exchange.is_done:
                    del queue[place]
                elif exchange.peer.open is not None:
                    place += 1
                else:
                    del queue[place]
                    self._started(exchange)
                    self._begin(exchange, now)
                    begun += 1
                    assured = self._assured(now) if len(opened) < most else None
                    if assured is not None:
                        self._started(assured)
                        self._begin(assured, now)
                        begun += 1
        return begun

    def _assured(self, now: float) -> Exchange | None:
        """The exchange, taken from its queue, of a class that has been passed over long enough; None if there is none."""
        after = self.policy.assured_after
        for each in sorted(_ASSURED, key=lambda each: -self._passed[each]):
            if self._passed[each] < after or not self._waiting[each]:
                continue
            if self._urgent_run < after and self.account.free_at(now) > now:
                continue
            for place, exchange in enumerate(self._waiting[each]):
                if not exchange.is_done and exchange.peer.open is None:
                    del self._waiting[each][place]
                    return exchange
        return None

    def _started(self, exchange: Exchange) -> None:
        """Count whom this one passes."""
        priority = exchange.priority
        self._urgent_run = self._urgent_run + 1 if priority <= URGENT else 0
        for each in _ASSURED:
            if priority == each or not self._waiting[each]:
                self._passed[each] = 0
            elif priority < each:
                self._passed[each] += 1

    def take(self, event: Event, now: float) -> bool:
        """An event of the stack; False if it is none of an exchange."""
        if isinstance(event, ResponseReceived):
            found = self._open.get(event.handle)
            if found is None:
                return False
            if found.response is None:
                found.response = event.apdu
            return True
        if isinstance(event, TransactionCompleted):
            found = self._open.pop(event.handle, None)
            if found is None:
                return False
            self._completed(found, event.attempts, now)
            return True
        if isinstance(event, TransactionFailed):
            found = self._open.pop(event.handle, None)
            if found is None:
                return False
            self._failed(found, event, now)
            return True
        return False

    def reset(self, now: float) -> None:
        """The stack was reset, or the line has gone: whatever is open fails with the stack's own event; what waits stays."""
        for exchange in list(self._open.values()):
            self.stack.cancel(exchange.handle, now)

    # ---- beginning --------------------------------------------------------------------------------------------------
    def _begin(self, exchange: Exchange, now: float) -> None:
        peer = exchange.peer
        if not exchange.reads and (peer.doubt or (exchange.is_sealed and getattr(peer.sealer, "probe_first", False))):
            probe = Exchange(
                self,
                peer,
                _PROBE,
                exchange.priority,
                reads=True,
                answer_bytes=_RESPONSE_HEAD + 1,
                sealed=True,
                kind="doubt",
            )
            probe.queued_at = now
            probe.before = exchange
            exchange = probe
        route = exchange.wanted_route or self.routes.route(peer.device, exchange.tries, now)
        if route is None:
            self._give_up(
                exchange,
                NoRoute(f"no way to device {peer.device} is known", hint="wait until it has been discovered again"),
                now,
            )
            return
        exchange.route = route
        exchange.response = None
        try:
            if exchange.apdu is None:
                assert peer.sealer is not None, "sealed exchanges are with devices that have a security"
                exchange.apdu = self._sealed(peer.sealer, exchange.message, now)
            exchange.handle = self._send(exchange, exchange.apdu, now)
        except Error as error:
            self._give_up(exchange, error, now)
            return
        exchange.asked_at = now
        exchange.tries += 1
        peer.open = exchange
        self._open[exchange.handle] = exchange

    @staticmethod
    def _sealed(sealer: Sealer, message: bytes, now: float) -> bytes:
        """The secured message. A key without numbers left is none: that is an affair of this device, and of nobody else here."""
        if getattr(sealer, "spent", False):
            raise NoKey("all numbers under the key of this device are used", hint="a handshake gives it another one")
        return sealer.seal(message, now)

    def _send(self, exchange: Exchange, apdu: bytes, now: float) -> int:
        route, policy, costs = exchange.route, self.policy, self.costs
        size, answer = len(apdu), exchange.answer_bytes
        peer = exchange.peer
        destination = peer.destination
        if peer.unique_node_id and (exchange.by_id or (exchange.is_sealed and getattr(peer.sealer, "by_id", False))):
            destination = UniqueNodeId(peer.unique_node_id)
        if not route.hops:
            alternate = route.alternate_path
            if exchange.service == Service.REQUEST:
                timer = costs.answer_by_s(size, answer, 1)
                direct = Options(retry=policy.retry, timer_s=timer, alternate_path=alternate, backlog=policy.backlog)
                return self.stack.request(destination, apdu, now, direct)
            options = Options(retry=policy.retry, timer_s=costs.frame_s(size) + costs.wait_s, alternate_path=alternate)
            return self.stack.send(destination, apdu, now, options, service=exchange.service)
        return self.stack.request_via(route.hops, destination, apdu, now, self._chain(size, answer, exchange))

    def _chain(self, size: int, answer: int, exchange: Exchange) -> ChainOptions:
        """Timers of a chain: each as long as the way below it takes if nothing is lost; our own repeats last until its end."""
        policy, costs, route, legs = self.policy, self.costs, exchange.route, exchange.route.legs
        timer = _code(costs.answer_by_s(size, answer, legs - 1))
        target_timer = _code(costs.answer_by_s(size, answer, 1))
        whole = costs.answer_by_s(size, answer, legs)
        longest = safe_timer_s(len(route.hops), timer, policy.hop_retry, target_timer, policy.target_retry)
        if exchange.service == Service.UNACKD_RPT:
            # Agents repeat what they send before the end of it is told.
            speakers = len(route.hops) if exchange.all_agents else 1
            copies_s = speakers * policy.target_retry * TRANSMIT_S[target_timer]
            whole += copies_s
            timer = _code(TRANSMIT_S[timer] + copies_s)
        retry = min(15, max(1, math.ceil((longest + costs.exchange_s(size, answer, 1)) / whole) - 1))
        return ChainOptions(
            source=Options(retry=retry, timer_s=whole, backlog=policy.backlog),
            service=exchange.service,
            timer=timer,
            retry=policy.hop_retry,
            target_timer=target_timer,
            target_retry=policy.target_retry,
            target_alternate_path=bool(route.alternate_path),
            mode=exchange.mode,
            all_agents=exchange.all_agents,
            travel_s=None,
        )

    # ---- ends -------------------------------------------------------------------------------------------------------
    def _completed(self, exchange: Exchange, attempts: int, now: float) -> None:
        peer = exchange.peer
        peer.open = None
        exchange.handle = 0
        exchange.attempts += attempts
        self._book(exchange, attempts, exchange.route.legs, True, now)
        if exchange.service != Service.REQUEST:
            exchange.succeed(b"")
            return
        self.routes.answered(peer.device, exchange.route, attempts, now)
        response = exchange.response if exchange.response is not None else b""
        if not exchange.is_sealed:
            self._answered(exchange, response, now)
            return
        assert peer.sealer is not None
        verdict = peer.sealer.open(response, now)
        if isinstance(verdict, Accepted):
            if exchange.reads:
                peer.doubt = False
            self._answered(exchange, verdict.plaintext, now)
        elif isinstance(verdict, OutOfStep):
            if not exchange.reads and exchange.attempts > 1:
                self._in_doubt(exchange, "was answered with another sequence number after a repeat", now)
            elif exchange.reseals < _RESEALS:
                exchange.reseals += 1
                exchange.apdu = None
                exchange.tries -= 1
                self._again(exchange)
            else:
                self._give_up(exchange, Replayed(f"device {peer.device} agrees on no sequence number"), now)
        elif exchange.tries < self.policy.tries:
            # Not from the device, or damaged: the same bytes again bring its stored response.
            self._again(exchange)
        elif exchange.reads:
            reason = verdict.reason if isinstance(verdict, Refused) else "handshake"
            self._give_up(
                exchange,
                BadDigest(
                    f"the answers of device {peer.device} cannot be trusted: {REASONS.get(reason, reason)}",
                    hint="somebody else answers in its name, or its key has changed: commission it again",
                ),
                now,
            )
        else:
            self._in_doubt(exchange, "got no answer that can be trusted", now)

    def _answered(self, exchange: Exchange, message: bytes, now: float) -> None:
        if exchange.before is not None:
            self._waiting[exchange.priority].appendleft(exchange.before)
        exchange.succeed(message)
        if self.ended is not None and exchange.peer.device >= 0:
            self.ended(exchange, True, now)

    def _failed(self, exchange: Exchange, event: TransactionFailed, now: float) -> None:
        peer = exchange.peer
        peer.open = None
        exchange.handle = 0
        exchange.attempts += event.attempts
        self._book(exchange, event.attempts, min(event.hop + 1, exchange.route.legs), False, now)
        if peer.device >= 0:
            self.routes.failed(peer.device, exchange.route, event.hop, event.attempts, now)
        if exchange.tries < self.policy.tries and not exchange.is_done:
            self._again(exchange)
        elif exchange.reads or not event.attempts:
            self._give_up(
                exchange,
                NoAnswer(
                    f"device {peer.device} at {peer.destination} did not answer: {event.reason}",
                    attempts=exchange.attempts,
                    hint=f"the way was {exchange.route}; is it powered, and is the repeater before it?",
                ),
                now,
            )
        else:
            self._in_doubt(exchange, "was not answered", now)

    def _again(self, exchange: Exchange) -> None:
        self._waiting[exchange.priority].appendleft(exchange)

    def _in_doubt(self, exchange: Exchange, why: str, now: float) -> None:
        exchange.peer.doubt = True
        self._give_up(
            exchange,
            OutcomeUnknown(
                f"a write to device {exchange.peer.device} {why}: it may have been carried out",
                attempts=exchange.attempts,
                hint="read back what was written before it is repeated",
            ),
            now,
        )

    def _give_up(self, exchange: Exchange, error: Error, now: float) -> None:
        before = exchange.before
        if exchange.is_sealed and exchange.tries and exchange.peer.sealer is not None:
            exchange.peer.sealer.give_up()
        exchange.fail(error)
        if before is not None:
            why = error if isinstance(error, LinkError | SecurityError) else NoAnswer(error.message, hint=error.hint)
            before.fail(why)
        if self.ended is not None and exchange.peer.device >= 0:
            self.ended(exchange, False, now)

    def _book(self, exchange: Exchange, attempts: int, legs: int, answered: bool, now: float) -> None:
        costs = self.costs
        size = len(exchange.apdu or b"")
        # Our own repeats cross the first leg, the chain's the others: those nobody here sees.
        taken = costs.request_s(size, legs) + legs * costs.wait_s
        taken += max(0, attempts - 1) * (costs.frame_s(size + costs.chain_bytes(2) * (legs > 1)) + costs.wait_s)
        if answered and exchange.service == Service.REQUEST:
            taken += legs * (costs.frame_s(len(exchange.response or b"")) + costs.wait_s)
        device = exchange.peer.device
        self.account.book(
            exchange.kind, device if device >= 0 else None, taken, now, attempts=attempts, answered=answered
        )


def _code(seconds: float) -> int:
    """The timer code that waits so long, or the longest."""
    return next((code for code, value in enumerate(TRANSMIT_S) if value >= seconds - 1e-9), len(TRANSMIT_S) - 1)
