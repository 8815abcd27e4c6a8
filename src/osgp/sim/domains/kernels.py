"""The same rules as in ``reference``, in the part of Python that Numba compiles.

Import this module only through ``engine``: importing it imports Numba. What makes it quick (project choice): sets of nodes are two
words of bits, so that who hears a frame and has something to send is an AND; there is no heap, because the next begin, end and
time-out are each the least of a handful and are kept; whoever has nothing to send costs nothing; a domain's state stays in the
nearest cache, because a core runs one domain to the end before the next.

All memory is reached through a ``World`` of pointers. Arrays in their place would be counted at each call, which costs more than the
work itself, and most on several cores, because they count in the same place.

Numbers here are int64 unless they are bits or draws (uint64); mixing the two would make floats of them. Everything stands in one
file because Numba's cache asks this file alone whether it has changed; a change of constants in ``model`` wants a change here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numba
import numpy as np
from numba.extending import intrinsic as _intrinsic

from osgp.lon.lpdu import MAX_BACKLOG
from osgp.sim.domains import model
from osgp.sim.domains.model import Counter, Number, What

__all__ = ["run"]

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Decorator = Callable[..., Callable[[_Function], _Function]]

# Numba's types are only partly declared: taken through Any, so that strict checks do not depend on its version.
_numba: Any = numba
njit: Callable[[Any], Any] = _numba.njit(error_model="numpy", forceinline=True)  # all in one: a call costs a World
compiled: _Decorator[Any] = _numba.njit
intrinsic: Callable[[Any], Any] = _intrinsic
types: Any = _numba.types
u64 = _numba.uint64
i64 = _numba.int64

# Compiled code takes plain constants only.
NEVER = 1 << 62
NODES, LEGS, NOTHING, NOISE = model.MAX_NODES, model.MAX_LEGS, model.NOTHING, model.NOISE
QUEUE = model.QUEUE
LN2, LOG_BITS, FIXED_POINT = model.LN2, model.LOG_BITS, model.FIXED_POINT
LEVELS = model.LEVELS
SHAPES = model.SHAPES
BACKLOG_MOST = MAX_BACKLOG
DELTA_REQUEST, DELTA_RESPONSE, DELTA_REPORT = model.DELTA_BACKLOG
REQUEST, RESPONSE, REPORT = (int(kind) for kind in model.Kind)
WAITING, ANSWERED, FAILED = 1, 2, 0

# Of a node: columns of ``nodes``. TIMER to CARRIER are its part of an exchange.
NODE = 16
DRAWS, BEGIN, ENDED, ENDED_ON, BACKLOG, SINCE, HEAD, LENGTH, TIMER, NUMBER, STATE, TRIES, METER, PLACE, CARRIER = range(
    15
)
# Of a frame: columns of ``queues``, and the first of a transmission.
FRAME = 8
F_KIND, F_METER, F_NUMBER, F_PLACE, F_CARRIER, F_BORN, F_READY = range(7)
# Of a transmission: columns of ``air``; its last row is the one that ends.
AIR = 16
A_SENDER, A_RECEIVER, A_START, A_END, A_POWER, A_WORST, A_DEAF, A_SHAPE = range(6, 14)
ENDING = NODES * AIR
# Sets of nodes, two words each: places in ``sets``.
BLOCKED, ARMED, SENDING, BUSY, RECENT, TIMED = 0, 2, 4, 6, 8, 10
SETS = 12
# Of the domain: places in ``now``.
TIME, NEXT_BEGIN, BEGINNER, NEXT_END, NEXT_TIMER, NEXT_POLL, NEXT_REPORT, ON_AIR, EXCHANGE, BEGUN, REPORTS, ROWS = (
    range(12)
)
STATES = 16
COLUMNS = 8

GOLDEN, MIX_1, MIX_2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB

N_BETA1_RECEIVE, N_BETA1_TRANSMIT, N_BETA2 = int(Number.BETA1_RECEIVE), int(Number.BETA1_TRANSMIT), int(Number.BETA2)
N_DETECT, N_CYCLE, N_WINDOW = int(Number.DETECT), int(Number.PACKET_CYCLE), int(Number.WINDOW)
N_TURNAROUND, N_LEG_WAIT, N_RETRIES = int(Number.TURNAROUND), int(Number.LEG_WAIT), int(Number.RETRIES)
N_POLL_EVERY, N_REPORT_MEAN, N_REPORTERS = int(Number.POLL_EVERY), int(Number.REPORT_MEAN), int(Number.REPORTERS)

C_RECEIVED, C_DROPPED, C_POLLS, C_READS = map(int, (Counter.RECEIVED, Counter.DROPPED, Counter.POLLS, Counter.READS))
C_FAILURES, C_RETRIES, C_GAVE_UP = int(Counter.FAILURES), int(Counter.RETRIES), int(Counter.GAVE_UP)
C_DUPLICATES, C_MADE, C_DELIVERED = int(Counter.DUPLICATES), int(Counter.REPORTS_MADE), int(Counter.REPORTS_DELIVERED)
C_AIRTIME, C_READ_LATENCY = int(Counter.AIRTIME_US), int(Counter.READ_LATENCY_US)
C_REPORT_LATENCY, C_EVENTS = int(Counter.REPORT_LATENCY_US), int(Counter.EVENTS)
(
    W_SENT, W_RECEIVED, W_CAPTURED, W_LOST, W_COLLIDED, W_DEAF, W_DROPPED,
    W_POLLED, W_READ, W_FAILED, W_RETRIED, W_GAVE_UP, W_REPORTED, W_DELIVERED,
) = (int(what) for what in What)  # fmt: skip


class World(NamedTuple):
    """A domain while it runs: pointers to what ``model.Domains`` says of it, to its state, and to where results go."""

    seed: Any
    size: Any  # nodes in the tables
    capacity: Any  # rows of the trace
    p: Any  # by Number
    level: Any
    sense: Any
    way: Any
    way_carrier: Any
    legs: Any
    reporters: Any
    curve: Any
    chance: Any
    power: Any
    rise: Any
    logarithm: Any
    nodes: Any
    queues: Any
    air: Any
    sets: Any
    now: Any
    counters: Any
    polls: Any
    reads: Any
    trace: Any


@intrinsic
def _pointer(typing_context: Any, array: Any) -> Any:
    """Where an array begins. Whoever uses it keeps the array."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.make_array(signature.args[0])(context, builder, arguments[0]).data

    return types.CPointer(array.dtype)(array), code


@intrinsic
def _trailing(typing_context: Any, bits: Any) -> Any:
    """Zeros below the lowest bit that is set."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], context.get_constant(types.boolean, True))

    return types.uint64(types.uint64), code


@intrinsic
def _leading(typing_context: Any, bits: Any) -> Any:
    """Zeros above the highest bit that is set."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctlz(arguments[0], context.get_constant(types.boolean, True))

    return types.uint64(types.uint64), code


# ---- chance ----------------------------------------------------------------------------------------------------------
@njit
def _draw(w: Any, node: Any) -> Any:
    drawn = w.nodes[node * NODE + DRAWS] + 1
    w.nodes[node * NODE + DRAWS] = drawn
    z = w.seed + u64(GOLDEN) * u64((node << 40) + drawn)
    z = (z ^ (z >> u64(30))) * u64(MIX_1)
    z = (z ^ (z >> u64(27))) * u64(MIX_2)
    return z ^ (z >> u64(31))


@njit
def _below(w: Any, node: Any, count: Any) -> Any:
    """A whole number from 0 to ``count`` - 1."""
    return (i64(_draw(w, node) >> u64(32)) * count) >> 32


@njit
def _gap(w: Any) -> Any:
    drawn = max(u64(1), _draw(w, NODES))
    halvings = i64(_leading(drawn)) + 1
    rest = u64(0)
    if halvings < 64:
        rest = (drawn << u64(halvings)) >> u64(64 - LOG_BITS)
    return max(1, ((halvings * LN2 - w.logarithm[i64(rest)]) * w.p[N_REPORT_MEAN]) >> FIXED_POINT)


# ---- sets and lists --------------------------------------------------------------------------------------------------
@njit
def _has(sets: Any, at: Any, node: Any) -> Any:
    return (sets[at + (node >> 6)] >> u64(node & 63)) & u64(1) != u64(0)


@njit
def _put(sets: Any, at: Any, node: Any) -> None:
    sets[at + (node >> 6)] |= u64(1) << u64(node & 63)


@njit
def _drop(sets: Any, at: Any, node: Any) -> None:
    sets[at + (node >> 6)] &= ~(u64(1) << u64(node & 63))


@njit
def _hearing(w: Any, carrier: Any, sender: Any) -> Any:
    """Place in ``sense`` of those who hear a sender."""
    return (carrier * w.size + sender) * 2


@njit
def _arriving(w: Any, carrier: Any, sender: Any, receiver: Any) -> Any:
    return i64(w.level[(carrier * w.size + sender) * w.size + receiver])


@njit
def _note(w: Any, what: Any, node: Any, other: Any, kind: Any, meter: Any, number: Any, carrier: Any) -> None:
    row = w.now[ROWS]
    w.now[ROWS] = row + 1
    if row < w.capacity:
        at = row * COLUMNS
        w.trace[at] = w.now[TIME]
        w.trace[at + 1] = what
        w.trace[at + 2] = node
        w.trace[at + 3] = other
        w.trace[at + 4] = kind
        w.trace[at + 5] = meter
        w.trace[at + 6] = number
        w.trace[at + 7] = carrier


@njit
def _find_beginner(w: Any) -> None:
    first, who = NEVER, 0
    for word in range(2):
        bits = w.sets[ARMED + word]
        while bits != u64(0):
            node = i64(_trailing(bits)) + 64 * word
            bits &= bits - u64(1)
            begin = w.nodes[node * NODE + BEGIN]
            if begin < first:
                first, who = begin, node
    w.now[NEXT_BEGIN] = first
    w.now[BEGINNER] = who


@njit
def _find_timer(w: Any) -> None:
    first = NEVER
    for word in range(2):
        bits = w.sets[TIMED + word]
        while bits != u64(0):
            node = i64(_trailing(bits)) + 64 * word
            bits &= bits - u64(1)
            first = min(first, w.nodes[node * NODE + TIMER])
    w.now[NEXT_TIMER] = first


# ---- access ----------------------------------------------------------------------------------------------------------
@njit
def _quiet_since(w: Any, node: Any, since: Any) -> Any:
    """The latest of ``since`` and the ends of the silences after what the node has heard, or sent."""
    time = w.now[TIME]
    longest = max(w.p[N_BETA1_RECEIVE], w.p[N_BETA1_TRANSMIT])
    for word in range(2):
        bits = w.sets[RECENT + word]
        while bits != u64(0):
            other = i64(_trailing(bits)) + 64 * word
            bits &= bits - u64(1)
            ended = w.nodes[other * NODE + ENDED]
            if ended + longest <= time:
                _drop(w.sets, RECENT, other)
            elif other == node:
                since = max(since, ended + w.p[N_BETA1_TRANSMIT])
            elif _has(w.sense, _hearing(w, w.nodes[other * NODE + ENDED_ON], other), node):
                since = max(since, ended + w.p[N_BETA1_RECEIVE])
    return since


@njit
def _contend(w: Any, node: Any) -> None:
    """The node has a frame, does not send, and has no slot: it gets one, or stays blocked."""
    mine = node * NODE
    since = max(w.now[TIME], w.queues[(node * QUEUE + w.nodes[mine + HEAD]) * FRAME + F_READY])
    since = _quiet_since(w, node, since)
    noticed = NEVER
    if _has(w.sets, BUSY, node):
        for at in range(0, w.now[ON_AIR] * AIR, AIR):
            if _has(w.sense, _hearing(w, w.air[at + F_CARRIER], w.air[at + A_SENDER]), node):
                noticed = min(noticed, w.air[at + A_START] + w.p[N_DETECT])
    if noticed > since:
        begin = since + w.p[N_BETA2] * _below(w, node, w.p[N_WINDOW] * (1 + w.nodes[mine + BACKLOG]))
        if begin < noticed:
            w.nodes[mine + BEGIN] = begin
            _put(w.sets, ARMED, node)
            _drop(w.sets, BLOCKED, node)
            if begin < w.now[NEXT_BEGIN] or (begin == w.now[NEXT_BEGIN] and node < w.now[BEGINNER]):
                w.now[NEXT_BEGIN] = begin
                w.now[BEGINNER] = node
            return
    _put(w.sets, BLOCKED, node)


@njit
def _follow(w: Any, node: Any, kind: Any) -> None:
    delta = DELTA_REQUEST if kind == REQUEST else DELTA_RESPONSE if kind == RESPONSE else DELTA_REPORT
    at = node * NODE + BACKLOG
    if delta:
        w.nodes[at] = min(BACKLOG_MOST, w.nodes[at] + delta)
    else:
        w.nodes[at] = max(0, w.nodes[at] - 1)
    w.nodes[node * NODE + SINCE] = w.now[TIME]


@njit
def _submit(
    w: Any, node: Any, kind: Any, meter: Any, number: Any, place: Any, carrier: Any, born: Any, delay: Any
) -> Any:
    mine, time = node * NODE, w.now[TIME]
    length = w.nodes[mine + LENGTH]
    if length == QUEUE:
        w.counters[C_DROPPED] += 1
        _note(w, W_DROPPED, node, -1, kind, meter, number, carrier)
        return False
    at = (node * QUEUE + (w.nodes[mine + HEAD] + length) % QUEUE) * FRAME
    w.queues[at + F_KIND] = kind
    w.queues[at + F_METER] = meter
    w.queues[at + F_NUMBER] = number
    w.queues[at + F_PLACE] = place
    w.queues[at + F_CARRIER] = carrier
    w.queues[at + F_BORN] = born
    w.queues[at + F_READY] = time + delay
    w.nodes[mine + LENGTH] = length + 1
    if length == 0 and not _has(w.sets, SENDING, node):
        backlog = w.nodes[mine + BACKLOG]
        if backlog:
            w.nodes[mine + BACKLOG] = max(0, backlog - (time - w.nodes[mine + SINCE]) // w.p[N_CYCLE])
        w.nodes[mine + SINCE] = time
        _contend(w, node)
    return True


@njit
def _begin(w: Any) -> None:
    node, time = w.now[BEGINNER], w.now[TIME]
    mine = node * NODE
    frame = (node * QUEUE + w.nodes[mine + HEAD]) * FRAME
    w.nodes[mine + HEAD] = (w.nodes[mine + HEAD] + 1) % QUEUE
    w.nodes[mine + LENGTH] -= 1
    _drop(w.sets, ARMED, node)
    _put(w.sets, SENDING, node)
    kind, meter, carrier = w.queues[frame + F_KIND], w.queues[frame + F_METER], w.queues[frame + F_CARRIER]
    step = 1 if kind == REQUEST else -1
    place = w.queues[frame + F_PLACE]
    receiver = i64(w.way[meter * (LEGS + 1) + place + step])
    legs = i64(w.legs[meter]) - place if kind == REQUEST else place
    shape = kind * LEGS + legs - 1
    sent = w.now[ON_AIR] * AIR
    disturbance = 0
    for other in range(0, sent, AIR):
        if w.air[other + A_RECEIVER] == node:
            w.air[other + A_DEAF] = 1
        if w.air[other + F_CARRIER] != carrier:
            continue
        level = _arriving(w, carrier, w.air[other + A_SENDER], receiver)
        if level >= 0:
            disturbance += w.power[level]
        level = _arriving(w, carrier, node, w.air[other + A_RECEIVER])
        if level >= 0:
            w.air[other + A_POWER] += w.power[level]
            w.air[other + A_WORST] = max(w.air[other + A_WORST], w.air[other + A_POWER])
    for column in range(F_READY):
        w.air[sent + column] = w.queues[frame + column]
    w.air[sent + A_SENDER] = node
    w.air[sent + A_RECEIVER] = receiver
    w.air[sent + A_START] = time
    w.air[sent + A_END] = time + w.p[shape]
    w.air[sent + A_POWER] = disturbance
    w.air[sent + A_WORST] = disturbance
    w.air[sent + A_DEAF] = 1 if _has(w.sets, SENDING, receiver) else 0
    w.air[sent + A_SHAPE] = shape
    w.now[ON_AIR] += 1
    w.now[NEXT_END] = min(w.now[NEXT_END], time + w.p[shape])
    w.counters[kind] += 1
    w.counters[C_AIRTIME] += w.p[shape]
    _note(w, W_SENT, node, receiver, kind, meter, w.queues[frame + F_NUMBER], carrier)
    hearing, noticed = _hearing(w, carrier, node), time + w.p[N_DETECT]
    for word in range(2):
        w.sets[BUSY + word] |= w.sense[hearing + word]
        bits = w.sets[ARMED + word] & w.sense[hearing + word]
        while bits != u64(0):
            low = bits & (~bits + u64(1))
            bits ^= low
            if w.nodes[(i64(_trailing(low)) + 64 * word) * NODE + BEGIN] >= noticed:
                w.sets[ARMED + word] ^= low
                w.sets[BLOCKED + word] |= low
    _find_beginner(w)


# ---- exchanges -------------------------------------------------------------------------------------------------------
@njit
def _set_timer(w: Any, node: Any) -> None:
    mine = node * NODE
    legs = i64(w.legs[w.nodes[mine + METER]]) - w.nodes[mine + PLACE]
    w.nodes[mine + TIMER] = w.now[TIME] + 2 * legs * w.p[N_LEG_WAIT]
    _put(w.sets, TIMED, node)
    _find_timer(w)


@njit
def _clear_timer(w: Any, node: Any) -> None:
    if _has(w.sets, TIMED, node):
        _drop(w.sets, TIMED, node)
        _find_timer(w)


@njit
def _request(w: Any, node: Any, delay: Any) -> None:
    mine = node * NODE
    meter, place = w.nodes[mine + METER], w.nodes[mine + PLACE]
    carrier = i64(w.way_carrier[meter * LEGS + place])
    if w.nodes[mine + TRIES] > max(0, w.p[N_RETRIES] - 2):
        carrier ^= 1
    if not _submit(w, node, REQUEST, meter, w.nodes[mine + NUMBER], place, carrier, 0, delay):
        _set_timer(w, node)


@njit
def _respond(w: Any, node: Any) -> None:
    mine = node * NODE
    meter, number = w.nodes[mine + METER], w.nodes[mine + NUMBER]
    place, carrier = w.nodes[mine + PLACE], w.nodes[mine + CARRIER]
    _submit(w, node, RESPONSE, meter, number, place, carrier, 0, w.p[N_TURNAROUND])


@njit
def _next_poll(w: Any) -> None:
    w.now[NEXT_POLL] = max(w.now[BEGUN] + w.p[N_POLL_EVERY], w.now[TIME] + w.p[N_TURNAROUND])


@njit
def _outcome(w: Any) -> Any:
    """What has become of the transmission that ends."""
    carrier, sender, receiver = w.air[ENDING + F_CARRIER], w.air[ENDING + A_SENDER], w.air[ENDING + A_RECEIVER]
    worst = w.air[ENDING + A_WORST]
    drawn = i64(_draw(w, sender) >> u64(32))
    if w.air[ENDING + A_DEAF]:
        return W_DEAF
    level = _arriving(w, carrier, sender, receiver)
    if worst:
        low, high = 0, LEVELS + 1
        while high - low > 1:
            middle = (low + high) >> 1
            if w.rise[middle] <= NOISE + worst:
                low = middle
            else:
                high = middle
        level -= low
    row = i64(w.curve[(receiver * 2 + carrier) * SHAPES + w.air[ENDING + A_SHAPE]])
    if level >= 0 and drawn < w.chance[row * LEVELS + level]:
        return W_CAPTURED if worst else W_RECEIVED
    return W_COLLIDED if worst else W_LOST


@njit
def _receive(w: Any) -> None:
    """The transmission that ends has come through."""
    node, kind, carrier = w.air[ENDING + A_RECEIVER], w.air[ENDING + F_KIND], w.air[ENDING + F_CARRIER]
    meter, number, place = w.air[ENDING + F_METER], w.air[ENDING + F_NUMBER], w.air[ENDING + F_PLACE]
    mine = node * NODE
    known, state = w.nodes[mine + NUMBER], w.nodes[mine + STATE]
    if kind == REPORT:
        place -= 1
        if place > 0:
            onward = i64(w.way_carrier[meter * LEGS + place - 1])
            _submit(w, node, REPORT, meter, number, place, onward, w.air[ENDING + F_BORN], w.p[N_TURNAROUND])
        else:
            w.counters[C_DELIVERED] += 1
            w.counters[C_REPORT_LATENCY] += w.now[TIME] - w.air[ENDING + F_BORN]
            _note(w, W_DELIVERED, node, meter, REPORT, meter, number, carrier)
        return
    if kind == REQUEST and (number > known or (number == known and state == FAILED)):
        _clear_timer(w, node)
        w.nodes[mine + NUMBER] = number
        w.nodes[mine + METER] = meter
        w.nodes[mine + PLACE] = place + 1
        w.nodes[mine + CARRIER] = carrier
        w.nodes[mine + TRIES] = 0
        if node != meter:
            w.nodes[mine + STATE] = WAITING
            _request(w, node, w.p[N_TURNAROUND])
            return
        w.nodes[mine + STATE] = ANSWERED
    elif kind == RESPONSE and number == known and state == WAITING:
        _clear_timer(w, node)
        w.nodes[mine + STATE] = ANSWERED
        if node == 0:
            w.counters[C_READS] += 1
            w.counters[C_READ_LATENCY] += w.now[TIME] - w.now[BEGUN]
            w.reads[meter] += 1
            _note(w, W_READ, 0, meter, -1, meter, number, -1)
            _next_poll(w)
            return
    else:
        w.counters[C_DUPLICATES] += 1
        if kind == RESPONSE or number < known:
            return
        w.nodes[mine + CARRIER] = carrier
        if state != ANSWERED:
            return
    _respond(w, node)


@njit
def _take_off(w: Any) -> None:
    """Take the transmission that ends now, the lowest node's if there are several, out of ``air`` into its last row."""
    time, last = w.now[TIME], (w.now[ON_AIR] - 1) * AIR
    which = -1
    for at in range(0, last + AIR, AIR):
        if w.air[at + A_END] == time and (which < 0 or w.air[at + A_SENDER] < w.air[which + A_SENDER]):
            which = at
    for column in range(A_SHAPE + 1):
        w.air[ENDING + column] = w.air[which + column]
        w.air[which + column] = w.air[last + column]
    w.now[ON_AIR] -= 1
    carrier, sender = w.air[ENDING + F_CARRIER], w.air[ENDING + A_SENDER]
    first, busy_low, busy_high = NEVER, u64(0), u64(0)
    for at in range(0, last, AIR):
        first = min(first, w.air[at + A_END])
        hearing = _hearing(w, w.air[at + F_CARRIER], w.air[at + A_SENDER])
        busy_low |= w.sense[hearing]
        busy_high |= w.sense[hearing + 1]
        if w.air[at + F_CARRIER] == carrier:
            level = _arriving(w, carrier, sender, w.air[at + A_RECEIVER])
            if level >= 0:
                w.air[at + A_POWER] -= w.power[level]
    w.now[NEXT_END] = first
    w.sets[BUSY] = busy_low
    w.sets[BUSY + 1] = busy_high


@njit
def _end(w: Any) -> None:
    _take_off(w)
    carrier, sender, kind = w.air[ENDING + F_CARRIER], w.air[ENDING + A_SENDER], w.air[ENDING + F_KIND]
    number = w.air[ENDING + F_NUMBER]
    mine = sender * NODE
    w.nodes[mine + ENDED] = w.now[TIME]
    w.nodes[mine + ENDED_ON] = carrier
    _put(w.sets, RECENT, sender)
    _drop(w.sets, SENDING, sender)
    hearing = _hearing(w, carrier, sender)
    for word in range(2):
        bits = w.sets[BLOCKED + word] & w.sense[hearing + word]
        while bits != u64(0):
            node = i64(_trailing(bits)) + 64 * word
            bits &= bits - u64(1)
            _follow(w, node, kind)
            _contend(w, node)
    outcome = _outcome(w)
    w.counters[C_RECEIVED + outcome - W_RECEIVED] += 1
    _note(w, outcome, w.air[ENDING + A_RECEIVER], sender, kind, w.air[ENDING + F_METER], number, carrier)
    if kind == REQUEST and w.nodes[mine + NUMBER] == number and w.nodes[mine + STATE] == WAITING:
        _set_timer(w, sender)
    _follow(w, sender, kind)
    if outcome in (W_RECEIVED, W_CAPTURED):
        _receive(w)
    if w.nodes[mine + LENGTH]:
        _contend(w, sender)


@njit
def _time_out(w: Any) -> None:
    node = 0
    while not (_has(w.sets, TIMED, node) and w.nodes[node * NODE + TIMER] == w.now[TIME]):
        node += 1
    _clear_timer(w, node)
    mine = node * NODE
    meter, number = w.nodes[mine + METER], w.nodes[mine + NUMBER]
    following = i64(w.way[meter * (LEGS + 1) + w.nodes[mine + PLACE] + 1])
    if w.nodes[mine + TRIES] < w.p[N_RETRIES]:
        w.nodes[mine + TRIES] += 1
        w.counters[C_RETRIES] += 1
        _note(w, W_RETRIED, node, following, -1, meter, number, -1)
        _request(w, node, 0)
        return
    w.nodes[mine + STATE] = FAILED
    if node:
        w.counters[C_GAVE_UP] += 1
        _note(w, W_GAVE_UP, node, following, -1, meter, number, -1)
    else:
        w.counters[C_FAILURES] += 1
        _note(w, W_FAILED, 0, meter, -1, meter, number, -1)
        _next_poll(w)


# ---- load ------------------------------------------------------------------------------------------------------------
@njit
def _poll(w: Any) -> None:
    w.now[NEXT_POLL] = NEVER
    meter = i64(w.reporters[w.now[EXCHANGE] % w.p[N_REPORTERS]])
    w.now[EXCHANGE] += 1
    w.now[BEGUN] = w.now[TIME]
    w.nodes[NUMBER] = w.now[EXCHANGE]
    w.nodes[METER] = meter
    w.nodes[STATE] = WAITING
    w.nodes[TRIES] = 0
    w.counters[C_POLLS] += 1
    w.polls[meter] += 1
    _note(w, W_POLLED, 0, meter, -1, meter, w.now[EXCHANGE], -1)
    _request(w, 0, 0)


@njit
def _report(w: Any) -> None:
    meter = i64(w.reporters[_below(w, NODES, w.p[N_REPORTERS])])
    w.now[REPORTS] += 1
    w.counters[C_MADE] += 1
    place = i64(w.legs[meter])
    carrier = i64(w.way_carrier[meter * LEGS + place - 1])
    _note(w, W_REPORTED, meter, 0, REPORT, meter, w.now[REPORTS], carrier)
    _submit(w, meter, REPORT, meter, w.now[REPORTS], place, carrier, w.now[TIME], 0)
    w.now[NEXT_REPORT] = w.now[TIME] + _gap(w)


@njit
def _domain(w: Any, until: Any) -> None:
    """A domain from its begin to a time; its state is all zeros before."""
    for at in range(NEXT_BEGIN, ON_AIR):
        if at != BEGINNER:
            w.now[at] = NEVER
    if w.p[N_POLL_EVERY] != NOTHING:
        w.now[NEXT_POLL] = 0
    if w.p[N_REPORT_MEAN] != NOTHING:
        w.now[NEXT_REPORT] = _gap(w)
    while True:
        event = min(w.now[NEXT_END], w.now[NEXT_TIMER], w.now[NEXT_POLL], w.now[NEXT_REPORT], w.now[NEXT_BEGIN])
        if event >= until:
            break
        w.now[TIME] = event
        w.counters[C_EVENTS] += 1
        if event == w.now[NEXT_END]:
            _end(w)
        elif event == w.now[NEXT_TIMER]:
            _time_out(w)
        elif event == w.now[NEXT_POLL]:
            _poll(w)
        elif event == w.now[NEXT_REPORT]:
            _report(w)
        else:
            _begin(w)


@compiled(cache=True, nogil=True)
def run(
    first: Any, last: Any, seeds: Any, until: Any, which: Any, numbers: Any, level: Any, sense: Any, way: Any,
    way_carrier: Any, legs: Any, reporters: Any, curve: Any, chance: Any, power: Any, rise: Any, logarithm: Any,
    counters: Any, polls: Any, reads: Any, trace: Any, rows: Any,
) -> None:  # fmt: skip
    """Domains ``first`` to ``last`` - 1. ``trace`` (M, capacity, 8) may be of capacity 0; ``rows`` (M) says how many there were."""
    nodes = np.empty((NODES + 1) * NODE, np.int64)
    queues = np.zeros(NODES * QUEUE * FRAME, np.int64)
    air = np.zeros((NODES + 1) * AIR, np.int64)
    sets = np.empty(SETS, np.uint64)
    now = np.empty(STATES, np.int64)
    for index in range(first, last):
        place = which[index]
        nodes[:] = 0
        sets[:] = 0
        now[:] = 0
        w = World(
            seeds[index],
            level.shape[3],
            trace.shape[1],
            _pointer(numbers[place]),
            _pointer(level[place]),
            _pointer(sense[place]),
            _pointer(way[place]),
            _pointer(way_carrier[place]),
            _pointer(legs[place]),
            _pointer(reporters[place]),
            _pointer(curve[place]),
            _pointer(chance),
            _pointer(power),
            _pointer(rise),
            _pointer(logarithm),
            _pointer(nodes),
            _pointer(queues),
            _pointer(air),
            _pointer(sets),
            _pointer(now),
            _pointer(counters[index]),
            _pointer(polls[index]),
            _pointer(reads[index]),
            _pointer(trace[index]),
        )
        _domain(w, until)
        rows[index] = now[ROWS]
