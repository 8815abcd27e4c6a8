"""What the nodes of a simulated street do: meters that answer and now and then report, a poller that asks each of them in rounds.

Project choice. Requests and responses are application messages of the size of a table read; a meter beyond the poller's earshot is
asked through repeaters (LTEP, ISO/IEC 14908-1). All of it runs on ``node.stack.Stack`` as it is, driven by the wire's events.
"""

from __future__ import annotations

import contextlib
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from osgp.lon.address import SubnetNode
from osgp.lon.csma import W_BASE, ChannelTiming
from osgp.lon.events import MessageReceived, ResponseReceived, TransactionCompleted, TransactionFailed
from osgp.lon.ltep import MAX_TARGET_DATA, Service
from osgp.lon.proxy import Hop
from osgp.lon.timers import TRANSMIT_S
from osgp.lon.transport import Options
from osgp.node.stack import ChainOptions, Stack
from osgp.sim.street_routes import Leg
from osgp.sim.wire import Port, Wire
from osgp.sim.wire_channel import LineSpeed
from osgp.wire.errors import ConfigError, LocalProtocolError

__all__ = ["Habits", "Meter", "Poll", "Poller", "address_of"]

_OVERHEAD = 14
"""Bytes of link and network headers, transport header and CRC in front of and behind an APDU, rounded up."""
_PER_HOP = 2
_READ, _ANSWER, _REPORT = 0x05, 0x25, 0x06


def address_of(device: int) -> SubnetNode:
    """Where a device sits in the domain: 120 in each subnet."""
    return SubnetNode(1 + device // 120, 1 + device % 120)


@dataclass(frozen=True, slots=True)
class Habits:
    """How busy a street is. ``interval_s``: between the beginnings of rounds. ``attempts``: transactions per meter and round at most.

    ``request_bytes``, ``response_bytes``: APDUs. ``reports_per_day``: acknowledged messages of each meter in the poller's earshot.
    ``max_legs``: of a way. Raises ConfigError for habits that nobody can have, as a hundred reports in a second.
    """

    interval_s: float = 900.0
    attempts: int = 2
    request_bytes: int = 16
    response_bytes: int = 40
    reports_per_day: float = 4.0
    max_legs: int = 4

    def __post_init__(self) -> None:
        if not 1.0 <= self.interval_s < math.inf:
            raise ConfigError(f"rounds cannot begin every {self.interval_s:g} s", hint="a second or more")
        if not 0.0 <= self.reports_per_day <= 86400.0:
            raise ConfigError(
                f"no meter reports {self.reports_per_day:g} times a day", hint="0 to 86400, one in a second"
            )
        sizes = self.request_bytes, self.response_bytes
        if not (self.attempts >= 1 and 1 <= self.max_legs <= 4 and 2 <= min(*sizes) <= max(*sizes) <= MAX_TARGET_DATA):
            raise ConfigError(
                "nobody polls like that",
                hint=f"an attempt or more, up to 4 legs, APDUs of 2 to {MAX_TARGET_DATA} bytes",
            )


@dataclass(slots=True)
class Poll:
    """One question to one meter and what came of it. ``latency_s``: from the first attempt to the answer."""

    device: int
    round: int
    way: tuple[Leg, ...]
    asked_s: float = math.nan
    attempts: int = 0
    answered: bool = False
    latency_s: float = math.nan
    reason: str = ""


class Meter:
    """Answers requests; reports on its own if it is told how often. Its events are the wire's."""

    def __init__(self, wire: Wire, stack: Stack, device: int, habits: Habits, random: Random) -> None:
        self.stack = stack
        self.device = device
        self.reports = 0
        self.reported = 0
        self._wire = wire
        self._random = random
        self._answer = bytes((_ANSWER, device & 0xFF)) + random.randbytes(habits.response_bytes - 2)

    def on_events(self, port: Port, events: Sequence[Any], now: float) -> None:
        """Answer what asks for it."""
        for event in events:
            if isinstance(event, MessageReceived):
                if event.reply is not None and event.apdu[:1] == bytes((_READ,)):
                    self.stack.respond(event.reply, self._answer, now)
            elif isinstance(event, TransactionCompleted):
                self.reported += 1

    def begin_reports(self, port: Port, mean_s: float, options: Options, to: SubnetNode) -> None:
        """Report to somebody every ``mean_s`` on average, at moments of chance."""

        def report(_: Any, now: float) -> None:
            self.reports += 1
            # With no room for one more the report is lost: on a line that carries no more, most are.
            with contextlib.suppress(LocalProtocolError):
                self.stack.send(to, bytes((_REPORT, self.device & 0xFF)), now, options, service=Service.ACKD)
                self._wire.touch(port)
            self._wire.at(now + self._random.expovariate(1 / mean_s), report, None)

        self._wire.at(self._wire.now + self._random.expovariate(1 / mean_s), report, None)


class Poller:
    """Asks one meter after the other, in rounds; who does not answer is asked again at the end of the round."""

    def __init__(
        self, wire: Wire, stack: Stack, habits: Habits, speed: LineSpeed, timing: ChannelTiming, count: int
    ) -> None:
        self.stack = stack
        self.habits = habits
        self.polls: list[Poll] = []
        self.ways: list[tuple[Leg, ...] | None] = [None] * count
        self.unreachable = 0
        self.rounds = 0
        self.before_round: Callable[[float], None] | None = None
        self.port: Port | None = None
        self._wire = wire
        self._waiting: deque[Poll] = deque()
        self._asked: dict[int, Poll] = {}
        wait_s = 2 * (timing.beta1_rx_s + W_BASE * timing.beta2_s)
        request, response = habits.request_bytes + _OVERHEAD, habits.response_bytes + _OVERHEAD
        self.leg_s = wait_s + speed.airtime_s(request + _PER_HOP * habits.max_legs) + speed.airtime_s(response)
        """Time to allow for a request and its response over one leg."""

    # ---- rounds -----------------------------------------------------------------------------------------------------
    def begin(self, at_s: float) -> None:
        """The first round begins at ``at_s``."""
        self._wire.at(at_s, self._round, None)

    def _round(self, _: Any, now: float) -> None:
        if self.before_round is not None:
            self.before_round(now)
        for late in self._waiting:
            late.reason = late.reason or "no time left in its round"
        self._waiting.clear()
        for device, way in enumerate(self.ways):
            if way:
                poll = Poll(device, self.rounds, way)
                self._waiting.append(poll)
                self.polls.append(poll)
            elif way is None:
                self.unreachable += 1
        self.rounds += 1
        self._next(now)
        self._wire.at(now + self.habits.interval_s, self._round, None)

    def _next(self, now: float) -> None:
        if self._asked or not self._waiting:
            return
        poll = self._waiting.popleft()
        if not poll.attempts:
            poll.asked_s = now
        poll.attempts += 1
        self._asked[self._ask(poll, now)] = poll
        assert self.port is not None, "the poller is on the wire"
        self._wire.touch(self.port)

    def options(self, legs: int = 1, *, secondary: bool = False) -> Options:
        """How to send to somebody so many legs away. The first attempts stay on the better carrier."""
        return Options(retry=3, timer_s=_timer(self.leg_s * legs), alternate_path=True if secondary else None)

    def _ask(self, poll: Poll, now: float) -> int:
        device, way = poll.device, poll.way
        apdu = bytes((_READ, poll.round & 0xFF)).ljust(self.habits.request_bytes, b"\x17")
        last = way[-1]
        if len(way) == 1:
            return self.stack.request(address_of(device), apdu, now, self.options(secondary=last.secondary))
        hops = []
        for leg in way[:-1]:
            place = address_of(leg.node)
            hops.append(Hop(place.subnet, place.node, leg.secondary))
        chain = ChainOptions(
            source=Options(retry=1),
            timer=_code(self.leg_s * len(hops)),
            retry=2,
            target_timer=_code(self.leg_s),
            target_retry=3,
            target_alternate_path=last.secondary,
            travel_s=self.leg_s / 2,
        )
        return self.stack.request_via(hops, address_of(device), apdu, now, chain)

    def on_events(self, port: Port, events: Sequence[Any], now: float) -> None:
        """Note answers; when a question is over, ask the next."""
        for event in events:
            if isinstance(event, ResponseReceived):
                poll = self._asked.get(event.handle)
                if poll is not None and event.apdu[:2] == bytes((_ANSWER, poll.device & 0xFF)):
                    poll.answered = True
                    poll.latency_s = now - poll.asked_s
            elif isinstance(event, TransactionCompleted | TransactionFailed):
                ended = self._asked.pop(event.handle, None)
                if ended is None:
                    continue
                if isinstance(event, TransactionFailed):
                    ended.reason = event.reason
                    if ended.attempts < self.habits.attempts:
                        self._waiting.append(ended)
                self._next(now)


def _code(seconds: float) -> int:
    """The timer code that waits so long, or the longest."""
    return next((code for code, value in enumerate(TRANSMIT_S) if value >= seconds), len(TRANSMIT_S) - 1)


def _timer(seconds: float) -> float:
    return TRANSMIT_S[_code(seconds)]
