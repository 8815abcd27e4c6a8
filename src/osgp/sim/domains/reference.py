"""The rules in plain Python, an event at a time: slow, to be read, and to hold the compiled engine against.

Project choice. Written for the eye, with lists that are searched and a heap; ``kernels`` does the same with masks of bits and
without a heap. Nothing is shared but the arrays of ``model`` and the numbers that stand for events.

At one time ends come first, then time-outs, polls, reports and begins; within these the lower node.
"""

from __future__ import annotations

import heapq
from collections import deque
from enum import Enum, IntEnum
from typing import NamedTuple

from osgp.lon.lpdu import MAX_BACKLOG
from osgp.sim.domains.model import (
    CERTAIN,
    DELTA_BACKLOG,
    FIXED_POINT,
    LN2,
    LOG_BITS,
    MAX_NODES,
    NOISE,
    NOTHING,
    QUEUE,
    SHAPES,
    Counter,
    Domains,
    Kind,
    Number,
    What,
    shape,
)

__all__ = ["DomainRun", "Row"]

_ALL_ONES = (1 << 64) - 1


class Row(NamedTuple):
    """An event of the trace; -1 for what it does not have."""

    time_us: int
    what: int
    node: int
    other: int
    kind: int
    meter: int
    number: int
    carrier: int


class _Step(IntEnum):
    """What may be due, in the order in which it happens at one time."""

    END = 0
    TIMEOUT = 1
    POLL = 2
    REPORT = 3
    BEGIN = 4


class _State(Enum):
    """Where a node's part of an exchange stands."""

    WAITING = "a request is on its way, no response yet"
    ANSWERED = "the response was sent or handed on"
    FAILED = "given up"


class _Frame(NamedTuple):
    kind: Kind
    meter: int
    number: int
    place: int  # of the sender on the way: 0 is the concentrator
    carrier: int
    born_us: int


class _Waiting(NamedTuple):
    frame: _Frame
    ready_us: int


class _Transmission(NamedTuple):
    sender: int
    receiver: int
    frame: _Frame
    start_us: int
    end_us: int

    def meets(self, other: _Transmission) -> bool:
        return self.start_us < other.end_us and other.start_us < self.end_us


class _Exchange(NamedTuple):
    """A node's part of an exchange; changed by ``_replace``."""

    number: int = 0
    meter: int = 0
    place: int = 0
    carrier: int = 0
    state: _State = _State.FAILED
    tries: int = 0


class _Node:
    def __init__(self, number: int) -> None:
        self.number = number
        self.queue: deque[_Waiting] = deque()
        self.sending = False
        self.begin_us: int | None = None  # when it will begin to send, unless it hears somebody before
        self.timeout_us: int | None = None
        self.exchange = _Exchange()
        self.backlog = 0
        self.backlog_since_us = 0
        self.draws = 0


class DomainRun:
    """One domain from the beginning: ``run`` to a time, then read ``counters``, ``polls``, ``reads`` and ``trace``."""

    def __init__(self, domains: Domains, index: int, seed: int, *, trace: bool = False) -> None:
        place = int(domains.which[index])
        numbers = domains.numbers[place].tolist()
        self.airtimes = numbers[:SHAPES]
        (
            self.beta1_receive_us,
            self.beta1_transmit_us,
            self.beta2_us,
            self.detect_us,
            self.packet_cycle_us,
            self.window,
            self.turnaround_us,
            self.leg_wait_us,
            self.retries,
            self.poll_every_us,
            self.report_mean_us,
            size,
            reporters,
        ) = numbers[Number.BETA1_RECEIVE :]
        self.level = domains.level[place].tolist()
        words = domains.sense[place].tolist()
        self.sense = [
            [{n for n in range(size) if words[carrier][sender][n // 64] >> (n % 64) & 1} for sender in range(size)]
            for carrier in range(2)
        ]
        self.way = domains.way[place].tolist()
        self.way_carrier = domains.way_carrier[place].tolist()
        self.legs = domains.legs[place].tolist()
        self.reporters = domains.reporters[place].tolist()[:reporters]
        self.curve = domains.curve[place].tolist()
        self.chance = domains.chance
        self.power = domains.power.tolist()
        self.rise = domains.rise.tolist()
        self.logarithm = domains.logarithm.tolist()
        self.seed = seed
        self.nodes = [_Node(number) for number in range(size)]
        self.chance_draws = 0
        self.on_air: list[_Transmission] = []
        self.over: list[_Transmission] = []
        self.due: list[tuple[int, _Step, int]] = []
        self.exchange_number = 0
        self.exchange_begun_us = 0
        self.report_number = 0
        self.now_us = 0
        self.counters = [0] * len(Counter)
        self.polls = [0] * size
        self.reads = [0] * size
        self.trace: list[Row] | None = [] if trace else None

    def run(self, until_us: int) -> None:
        """Let happen what is due before a time."""
        if self.poll_every_us != NOTHING:
            self._plan(0, _Step.POLL)
        if self.report_mean_us != NOTHING:
            self._plan(self._gap_us(), _Step.REPORT)
        while self.due and self.due[0][0] < until_us:
            self.now_us, step, number = heapq.heappop(self.due)
            node = self.nodes[number]
            if step is _Step.BEGIN:
                if node.begin_us == self.now_us:
                    self._count(Counter.EVENTS)
                    self._begin(node)
                continue
            if step is _Step.TIMEOUT:
                if node.timeout_us == self.now_us:
                    self._count(Counter.EVENTS)
                    self._time_out(node)
                continue
            self._count(Counter.EVENTS)
            if step is _Step.END:
                self._end(node)
            elif step is _Step.POLL:
                self._poll()
            else:
                self._report()

    # ---- chance ------------------------------------------------------------------------------------------------------
    def _draw(self, who: int, count: int) -> int:
        """64 random bits that depend on seed, node, and how often it has drawn, and on nothing else (splitmix64)."""
        z = (self.seed + 0x9E3779B97F4A7C15 * ((who << 40) + count + 1)) & _ALL_ONES
        z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & _ALL_ONES
        z = ((z ^ z >> 27) * 0x94D049BB133111EB) & _ALL_ONES
        return z ^ z >> 31

    def _node_draw(self, node: _Node) -> int:
        """The upper half of a node's next draw."""
        node.draws += 1
        return self._draw(node.number, node.draws - 1) >> 32

    def _domain_draw(self) -> int:
        self.chance_draws += 1
        return self._draw(MAX_NODES, self.chance_draws - 1)

    def _gap_us(self) -> int:
        """Exponentially distributed: minus the logarithm of a draw, taken apart into power of two and rest."""
        bits = f"{self._domain_draw() or 1:064b}"
        halvings = bits.index("1") + 1
        rest = int((bits[halvings:] + "0" * LOG_BITS)[:LOG_BITS], 2)
        gap_us: int = (halvings * LN2 - self.logarithm[rest]) * self.report_mean_us >> FIXED_POINT
        return max(1, gap_us)

    # ---- book-keeping ------------------------------------------------------------------------------------------------
    def _plan(self, time_us: int, step: _Step, node: int = 0) -> None:
        heapq.heappush(self.due, (time_us, step, node))

    def _count(self, counter: Counter, by: int = 1) -> None:
        self.counters[counter] += by

    def _note(
        self, what: What, node: int, other: int, frame: _Frame | None = None, about: tuple[int, int] = (-1, -1)
    ) -> None:
        if self.trace is None:
            return
        if frame is None:
            self.trace.append(Row(self.now_us, what, node, other, -1, *about, -1))
        else:
            self.trace.append(Row(self.now_us, what, node, other, frame.kind, frame.meter, frame.number, frame.carrier))

    # ---- access ------------------------------------------------------------------------------------------------------
    def _senses(self, node: _Node, transmission: _Transmission) -> bool:
        return node.number in self.sense[transmission.frame.carrier][transmission.sender]

    def _contend(self, node: _Node) -> None:
        """Choose a slot for the frame at the head of the queue, unless somebody is heard until then."""
        from_us = max(self.now_us, node.queue[0].ready_us)
        for gone in self.over:
            if gone.sender == node.number:
                from_us = max(from_us, gone.end_us + self.beta1_transmit_us)
            elif self._senses(node, gone):
                from_us = max(from_us, gone.end_us + self.beta1_receive_us)
        node.begin_us = None
        noticed_us = min(
            (each.start_us + self.detect_us for each in self.on_air if self._senses(node, each)), default=None
        )
        if noticed_us is not None and noticed_us <= from_us:
            return
        slots = self.window * (1 + node.backlog)
        begin_us = from_us + self.beta2_us * (self._node_draw(node) * slots >> 32)
        if noticed_us is None or begin_us < noticed_us:
            node.begin_us = begin_us
            self._plan(begin_us, _Step.BEGIN, node.number)

    def _follow(self, node: _Node, kind: Kind) -> None:
        """The estimate of the backlog after a packet."""
        delta = DELTA_BACKLOG[kind]
        node.backlog = min(MAX_BACKLOG, node.backlog + delta) if delta else max(0, node.backlog - 1)
        node.backlog_since_us = self.now_us

    def _submit(self, node: _Node, frame: _Frame, delay_us: int) -> bool:
        """Put a frame into a node's queue, to be sent after a delay at the earliest; False if there was no room."""
        if len(node.queue) == QUEUE:
            self._count(Counter.DROPPED)
            self._note(What.DROPPED, node.number, -1, frame)
            return False
        node.queue.append(_Waiting(frame, self.now_us + delay_us))
        if len(node.queue) == 1 and not node.sending:
            idle_us = self.now_us - node.backlog_since_us
            node.backlog = max(0, node.backlog - idle_us // self.packet_cycle_us)
            node.backlog_since_us = self.now_us
            self._contend(node)
        return True

    def _shape(self, frame: _Frame) -> int:
        """Which of the lengths a frame has: by its kind and the legs behind the one that it goes next."""
        legs = self.legs[frame.meter] - frame.place if frame.kind is Kind.REQUEST else frame.place
        return shape(frame.kind, legs - 1)

    def _begin(self, node: _Node) -> None:
        node.begin_us = None
        node.sending = True
        frame = node.queue.popleft().frame
        step = 1 if frame.kind is Kind.REQUEST else -1
        receiver = self.way[frame.meter][frame.place + step]
        airtime_us = self.airtimes[self._shape(frame)]
        sent = _Transmission(node.number, receiver, frame, self.now_us, self.now_us + airtime_us)
        self.on_air.append(sent)
        self._plan(sent.end_us, _Step.END, node.number)
        self._count(Counter(frame.kind))
        self._count(Counter.AIRTIME_US, airtime_us)
        self._note(What.SENT, node.number, receiver, frame)
        for other in self.nodes:
            if (
                other.begin_us is not None
                and other.begin_us >= self.now_us + self.detect_us
                and self._senses(other, sent)
            ):
                other.begin_us = None

    # ---- reception ---------------------------------------------------------------------------------------------------
    def _end(self, node: _Node) -> None:
        sent = next(each for each in self.on_air if each.sender == node.number)
        self.on_air.remove(sent)
        earliest_us = min([each.start_us for each in self.on_air], default=self.now_us)
        needed_us = min(earliest_us, sent.start_us, self.now_us - max(self.beta1_receive_us, self.beta1_transmit_us))
        self.over = [each for each in self.over if each.end_us > needed_us]
        self.over.append(sent)
        node.sending = False
        for other in self.nodes:
            if other.queue and not other.sending and other.begin_us is None and self._senses(other, sent):
                self._follow(other, sent.frame.kind)
                self._contend(other)
        outcome = self._outcome(sent)
        self._count(Counter(Counter.RECEIVED + outcome - What.RECEIVED))
        self._note(outcome, sent.receiver, node.number, sent.frame)
        exchange = node.exchange
        if (
            sent.frame.kind is Kind.REQUEST
            and exchange.number == sent.frame.number
            and exchange.state is _State.WAITING
        ):
            self._set_timer(node)
        self._follow(node, sent.frame.kind)
        if outcome in (What.RECEIVED, What.CAPTURED):
            self._receive(self.nodes[sent.receiver], sent.frame)
        if node.queue:
            self._contend(node)

    def _outcome(self, sent: _Transmission) -> What:
        """Noise and the worst of what disturbed against the level decide; who sends hears nothing."""
        carrier, receiver = sent.frame.carrier, sent.receiver
        met = [each for each in (*self.over, *self.on_air) if each is not sent and each.meets(sent)]
        table = self.level[carrier]
        worst = 0
        for instant in {sent.start_us, *(each.start_us for each in met if each.start_us > sent.start_us)}:
            levels = [
                table[each.sender][receiver]
                for each in met
                if each.frame.carrier == carrier and each.start_us <= instant < each.end_us
            ]
            worst = max(worst, sum(self.power[level] for level in levels if level != NOTHING))
        level = table[sent.sender][receiver]
        if worst:
            level -= max(at for at, least in enumerate(self.rise) if least <= NOISE + worst)
        drawn = self._node_draw(self.nodes[sent.sender])
        if any(each.sender == receiver for each in met):
            return What.DEAF
        row = self.curve[receiver][carrier][self._shape(sent.frame)]
        if level >= 0 and drawn < min(CERTAIN, int(self.chance[row, level])):
            return What.CAPTURED if worst else What.RECEIVED
        return What.COLLIDED if worst else What.LOST

    def _receive(self, node: _Node, frame: _Frame) -> None:
        if frame.kind is Kind.REQUEST:
            self._receive_request(node, frame)
        elif frame.kind is Kind.RESPONSE:
            self._receive_response(node, frame)
        elif node.number == 0:
            self._count(Counter.REPORTS_DELIVERED)
            self._count(Counter.REPORT_LATENCY_US, self.now_us - frame.born_us)
            self._note(What.DELIVERED, 0, frame.meter, frame)
        else:
            place = frame.place - 1
            carrier = self.way_carrier[frame.meter][place - 1]
            self._submit(node, frame._replace(place=place, carrier=carrier), self.turnaround_us)

    # ---- exchanges ---------------------------------------------------------------------------------------------------
    def _receive_request(self, node: _Node, frame: _Frame) -> None:
        known = node.exchange
        new = frame.number > known.number
        if not new and (frame.number < known.number or known.state is not _State.FAILED):
            self._count(Counter.DUPLICATES)
            if frame.number == known.number:
                node.exchange = known._replace(carrier=frame.carrier)
                if known.state is _State.ANSWERED:
                    self._respond(node)
            return
        place = frame.place + 1
        last = place == self.legs[frame.meter]
        state = _State.ANSWERED if last else _State.WAITING
        node.exchange = _Exchange(frame.number, frame.meter, place, frame.carrier, state)
        node.timeout_us = None
        if last:
            self._respond(node)
        else:
            self._request(node, self.turnaround_us)

    def _receive_response(self, node: _Node, frame: _Frame) -> None:
        known = node.exchange
        if frame.number != known.number or known.state is not _State.WAITING:
            self._count(Counter.DUPLICATES)
            return
        node.exchange = known._replace(state=_State.ANSWERED)
        node.timeout_us = None
        if node.number:
            self._respond(node)
            return
        self._count(Counter.READS)
        self._count(Counter.READ_LATENCY_US, self.now_us - self.exchange_begun_us)
        self.reads[frame.meter] += 1
        self._note(What.READ, 0, frame.meter, None, (frame.meter, frame.number))
        self._next_poll()

    def _respond(self, node: _Node) -> None:
        known = node.exchange
        answer = _Frame(Kind.RESPONSE, known.meter, known.number, known.place, known.carrier, 0)
        self._submit(node, answer, self.turnaround_us)

    def _request(self, node: _Node, delay_us: int) -> None:
        """Send a request on; the last two retries take the other carrier."""
        known = node.exchange
        carrier = self.way_carrier[known.meter][known.place]
        if known.tries > max(0, self.retries - 2):
            carrier = 1 - carrier
        frame = _Frame(Kind.REQUEST, known.meter, known.number, known.place, carrier, 0)
        if not self._submit(node, frame, delay_us):
            self._set_timer(node)

    def _set_timer(self, node: _Node) -> None:
        known = node.exchange
        legs = self.legs[known.meter] - known.place
        node.timeout_us = self.now_us + 2 * legs * self.leg_wait_us
        self._plan(node.timeout_us, _Step.TIMEOUT, node.number)

    def _time_out(self, node: _Node) -> None:
        node.timeout_us = None
        known = node.exchange
        about = known.meter, known.number
        if known.tries < self.retries:
            node.exchange = known._replace(tries=known.tries + 1)
            self._count(Counter.RETRIES)
            self._note(What.RETRIED, node.number, self.way[known.meter][known.place + 1], None, about)
            self._request(node, 0)
            return
        node.exchange = known._replace(state=_State.FAILED)
        if node.number:
            self._count(Counter.GAVE_UP)
            self._note(What.GAVE_UP, node.number, self.way[known.meter][known.place + 1], None, about)
            return
        self._count(Counter.FAILURES)
        self._note(What.FAILED, 0, known.meter, None, about)
        self._next_poll()

    # ---- load --------------------------------------------------------------------------------------------------------
    def _poll(self) -> None:
        meter = self.reporters[self.exchange_number % len(self.reporters)]
        self.exchange_number += 1
        self.exchange_begun_us = self.now_us
        node = self.nodes[0]
        node.exchange = _Exchange(self.exchange_number, meter, 0, 0, _State.WAITING)
        self._count(Counter.POLLS)
        self.polls[meter] += 1
        self._note(What.POLLED, 0, meter, None, (meter, self.exchange_number))
        self._request(node, 0)

    def _next_poll(self) -> None:
        self._plan(max(self.exchange_begun_us + self.poll_every_us, self.now_us + self.turnaround_us), _Step.POLL)

    def _report(self) -> None:
        meter = self.reporters[(self._domain_draw() >> 32) * len(self.reporters) >> 32]
        self.report_number += 1
        place = self.legs[meter]
        carrier = self.way_carrier[meter][place - 1]
        frame = _Frame(Kind.REPORT, meter, self.report_number, place, carrier, self.now_us)
        self._count(Counter.REPORTS_MADE)
        self._note(What.REPORTED, meter, 0, frame)
        self._submit(self.nodes[meter], frame, 0)
        self._plan(self.now_us + self._gap_us(), _Step.REPORT)
