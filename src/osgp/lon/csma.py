"""Predictive p-persistent CSMA: the channel's timing, the states of a node's access to it, and what a silent node has missed.

ISO/IEC 14908-1, MAC sublayer; ``spec/iso14908-1.md`` 1.4, 1.5. The machine is ``lon.link.Link``; this module is what it computes
with. The estimate of the backlog follows from what was on the channel and from nothing else as long as a node only listens. So a
thousand listeners need not follow every packet: a ``ChannelHistory`` is kept once, and a node that wants to send after a long
silence reads up on it, with the very same result (project choice).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple, TypeGuard

from osgp.lon.entries import ConfigurationBlock
from osgp.lon.lpdu import MAX_BACKLOG
from osgp.wire.errors import ConfigError, LocalProtocolError

__all__ = [
    "A_BAND",
    "COLLISION",
    "PL20_A",
    "PL20_C",
    "TRANSITIONS",
    "W_BASE",
    "Activity",
    "ChannelHistory",
    "ChannelTiming",
    "LinkState",
    "Step",
    "decays",
    "is_packet",
    "whole",
]

COLLISION: Final = -1
"""In place of a delta backlog: others collided, and broke off. A node of the standard counts its own collisions only
(``spec/iso14908-1.md`` 1.4); one that counts those it hears as well keeps a crowd apart that announces nothing, and is no
different on the line but for its patience (project choice; see ``sim.wire.Wire``)."""
W_BASE = 16
"""Slots of the randomising window for each unit of backlog."""
CYCLES_PER_INSTRUCTION = 6
"""Input clock cycles of one instruction cycle: 0.6 µs at 10 MHz."""


def _pad(control: int) -> int:
    """Instruction cycles that an interpacket byte stands for."""
    return 41 * control if control < 128 else 145 * (control - 128)


@dataclass(frozen=True, slots=True)
class ChannelTiming:
    """The times of one channel, equal for all of its nodes.

    ``beta1_rx_s``, ``beta1_tx_s``: silence after a packet heard, or sent, before anybody may begin. ``beta2_s``: one slot.
    ``packet_cycle_s``: idle time after which the estimate falls by one. ``channel_priorities``: priority slots, 0..127. Raises
    ConfigError for times that are not above zero. Source: ``spec/iso14908-1.md`` 1.5.
    """

    beta1_rx_s: float
    beta1_tx_s: float
    beta2_s: float
    packet_cycle_s: float
    channel_priorities: int = 0

    def __post_init__(self) -> None:
        for name in ("beta1_rx_s", "beta1_tx_s", "beta2_s", "packet_cycle_s"):
            value = getattr(self, name)
            if not (value > 0 and math.isfinite(value)):
                raise ConfigError(f"{name}={value} is no time of a channel", hint="seconds, above zero")
        if not 0 <= self.channel_priorities <= 127:
            raise ConfigError(f"{self.channel_priorities} priority slots are not within 0 to 127")

    @classmethod
    def of_block(cls, block: ConfigurationBlock, clock_hz: float = 10e6) -> ChannelTiming:
        """The times that a node's configuration block means at its input clock. Raises ConfigError (packet cycle 0)."""
        cycle_s = CYCLES_PER_INSTRUCTION / clock_hz
        beta2 = 40 + 20 * block.beta2_control
        return cls(
            (285 + beta2 + _pad(block.receive_interpacket) + 317) * cycle_s,
            (307 + beta2 + _pad(block.transmit_interpacket) + 317) * cycle_s,
            beta2 * cycle_s,
            1794 * block.packet_cycle * cycle_s,
            block.channel_priorities & 0x7F,
        )

    def priority_s(self, sent: bool) -> float:
        """Length of the priority slots, after a packet of our own with W_BASE slots more (if the channel has any at all)."""
        slots = self.channel_priorities
        return (slots + W_BASE if sent and slots else slots) * self.beta2_s


def _preset(cycle: int, beta2: int, transmit: int, receive: int, priorities: int, clock_hz: float) -> ChannelTiming:
    block = ConfigurationBlock(
        packet_cycle=cycle,
        beta2_control=beta2,
        transmit_interpacket=transmit,
        receive_interpacket=receive,
        channel_priorities=priorities,
    )
    return ChannelTiming.of_block(block, clock_hz)


PL20_C: Final = _preset(0x3F, 0xA6, 0x77, 0x67, 8, 10e6)
"""PL-20C/N, the default of an open stack: slots of 2.016 ms (``spec/iso14908-1.md`` 1.5, verified)."""
PL20_A: Final = _preset(0x5A, 0xE6, 0xA9, 0x78, 8, 10e6)
"""PL-20A: slots of 2.784 ms (``spec/phy-ts103908.md`` 1.7; registers verified)."""
A_BAND: Final = _preset(0x3B, 0x96, 0x5A, 0x4A, 0, 6.5536e6)
"""A band as OSGP meters use it: slots of 10 line bits, 2.783 ms, no priority slots (``spec/phy-ts103908.md`` 1.7; registers verified,
the clock of 6.5536 MHz inferred)."""


class LinkState(Enum):
    """Where a node's access to the channel stands."""

    IDLE = "idle"
    BUSY = "busy"
    BETA1 = "beta1"
    PRIORITY_WAIT = "priority wait"
    PRIORITY = "priority slots"
    RANDOM = "random"
    SENDING = "sending"


class Step(Enum):
    """What moves it on."""

    ACTIVITY = "channel active"
    QUIET = "channel quiet"
    BETA1_OVER = "beta1 over"
    PRIORITY_GRANTED = "beta1 over, priority access"
    SLOTS_OVER = "slots over, nothing to send"
    SLOTS_OVER_WAITING = "slots over, frame waits"
    SUBMITTED = "frame submitted"
    OWN_SLOT = "own slot"


_S, _D = LinkState, Step

TRANSITIONS: Final[Mapping[tuple[LinkState, Step], LinkState]] = {
    (_S.IDLE, _D.ACTIVITY): _S.BUSY,
    (_S.IDLE, _D.SUBMITTED): _S.RANDOM,
    (_S.BUSY, _D.QUIET): _S.BETA1,
    (_S.BETA1, _D.ACTIVITY): _S.BUSY,
    (_S.BETA1, _D.BETA1_OVER): _S.PRIORITY,
    (_S.BETA1, _D.PRIORITY_GRANTED): _S.PRIORITY_WAIT,
    (_S.PRIORITY_WAIT, _D.ACTIVITY): _S.BUSY,
    (_S.PRIORITY_WAIT, _D.OWN_SLOT): _S.SENDING,
    (_S.PRIORITY, _D.ACTIVITY): _S.BUSY,
    (_S.PRIORITY, _D.SLOTS_OVER): _S.IDLE,
    (_S.PRIORITY, _D.SLOTS_OVER_WAITING): _S.RANDOM,
    (_S.RANDOM, _D.ACTIVITY): _S.BUSY,
    (_S.RANDOM, _D.OWN_SLOT): _S.SENDING,
    (_S.SENDING, _D.QUIET): _S.BETA1,
}
"""(state, step) → state. A pair that is not here does not move the machine: half duplex hears nothing while it sends."""


def whole(elapsed_s: float, period_s: float) -> int:
    """Whole periods in a time; a millionth short counts as whole, because sums of slots are not exact."""
    return int(elapsed_s / period_s + 1e-6)


def decays(idle_from_s: float, carried_s: float, now: float, cycle_s: float) -> tuple[int, float]:
    """Packet cycles that end while idle from ``idle_from_s`` to ``now``, and the part of a cycle that is carried on.

    ``carried_s``: what an earlier idle time had left; the cycle's timer stands still while the node is not idle.
    """
    if now < idle_from_s:
        return 0, carried_s
    elapsed_s = now - (idle_from_s - carried_s)
    count = whole(elapsed_s, cycle_s)
    return count, elapsed_s - count * cycle_s


def is_packet(delta_backlog: int | None) -> TypeGuard[int]:
    """Whether activity brought a valid packet."""
    return delta_backlog is not None and delta_backlog >= 0


class Activity(NamedTuple):
    """One time of activity on a channel as its listeners noticed it, seconds.

    ``delta_backlog`` None: no valid packet came of it, or ``COLLISION``: nor will any, and it counts.
    """

    start_s: float
    end_s: float
    delta_backlog: int | None


class Block:
    """Consecutive activities as one function of the estimate before them.

    For a node that enters with ``idle_from_s`` and ``carried_s`` (when it would have become idle, and the part of a packet cycle it
    has carried) and an estimate of at most ``safe`` the estimate afterwards is ``max(low, estimate + shift)``; above, it
    overflows on the way, and the activities have to be gone through. ``invalid``: how many brought no valid packet.
    """

    __slots__ = ("carried_s", "idle_from_s", "invalid", "low", "safe", "shift")

    def __init__(self, idle_from_s: float, carried_s: float) -> None:
        self.idle_from_s = idle_from_s
        self.carried_s = carried_s
        self.shift = self.low = self.invalid = 0
        self.safe = MAX_BACKLOG

    def _fall(self, by: int) -> None:
        self.shift -= by
        self.low = max(0, self.low - by)

    def add(self, cycles: int, delta_backlog: int | None) -> None:
        """One more activity, before which ``cycles`` packet cycles ended in idle time."""
        self._fall(cycles)
        if delta_backlog is None:
            self.invalid += 1
            return
        if delta_backlog == 0:
            self._fall(1)
            return
        if delta_backlog == COLLISION:
            self.invalid += 1
            delta_backlog = 1
        self.shift += delta_backlog
        self.low += delta_backlog
        self.safe = min(self.safe, MAX_BACKLOG - self.shift) if self.low <= MAX_BACKLOG else -1


class Replayed(NamedTuple):
    """Where a listener stands after the last activity of a history; ``invalid``, ``overflows``: how many it met on the way."""

    carried_s: float
    backlog: int
    invalid: int
    overflows: int


class ChannelHistory:
    """What was on a channel, kept once for all who only listened; see ``Link.catch_up``.

    Bounded: ``capacity`` activities, a multiple of twice the longest span. Before an ``append`` to a history that is ``full``, whoever
    is still behind its middle must catch up; the older half is then forgotten. Raises ConfigError (capacity).
    """

    SPANS = (512, 64, 8)
    """Activities of a block, the longest first."""

    __slots__ = ("_carried_s", "_entries", "_first", "_idle_from_s", "_levels", "capacity", "timing")

    def __init__(self, timing: ChannelTiming, capacity: int = 4096) -> None:
        if capacity < 1 or capacity % (2 * self.SPANS[0]):
            raise ConfigError(f"a history of {capacity} activities cannot be halved into blocks of {self.SPANS[0]}")
        self.timing = timing
        self.capacity = capacity
        self._entries: list[Activity] = []
        self._first = 0
        self._idle_from_s = 0.0
        self._carried_s = 0.0
        self._levels = tuple((span, [Block(0.0, 0.0)]) for span in self.SPANS)

    @property
    def first(self) -> int:
        """Number of the oldest activity still known."""
        return self._first

    @property
    def end(self) -> int:
        """Number that the next activity will have."""
        return self._first + len(self._entries)

    @property
    def full(self) -> bool:
        """Whether the next ``append`` forgets the older half."""
        return len(self._entries) == self.capacity

    @property
    def middle(self) -> int:
        """Number up to which a full history forgets."""
        return self._first + self.capacity // 2

    def append(self, activity: Activity) -> None:
        """Note an activity that is over. They come in the order of their ends and do not overlap. Raises LocalProtocolError."""
        if self._entries and not self._entries[-1].end_s <= activity.start_s <= activity.end_s:
            raise LocalProtocolError("activities of a channel's history are in order and do not overlap")
        if self.full:
            half = self.capacity // 2
            del self._entries[:half]
            for span, blocks in self._levels:
                del blocks[: half // span]
            self._first += half
        timing = self.timing
        cycles, self._carried_s = decays(self._idle_from_s, self._carried_s, activity.start_s, timing.packet_cycle_s)
        if is_packet(activity.delta_backlog):
            self._carried_s = 0.0
        self._idle_from_s = activity.end_s + timing.beta1_rx_s + timing.priority_s(sent=False)
        self._entries.append(activity)
        count = len(self._entries)
        for span, blocks in self._levels:
            blocks[-1].add(cycles, activity.delta_backlog)
            if count % span == 0:
                blocks.append(Block(self._idle_from_s, self._carried_s))

    def replay(self, cursor: int, idle_from_s: float, carried_s: float, backlog: int) -> Replayed:
        """What became of a listener's estimate from activity number ``cursor`` to the last; as long a block as possible at a step.

        The listener enters with the time at which it would have become idle, the part of a packet cycle that it has carried, and
        its estimate. Raises LocalProtocolError for a cursor that is forgotten.
        """
        if cursor < self._first:
            raise LocalProtocolError(
                f"activity {cursor} of the channel is forgotten; the oldest known is {self._first}"
            )
        cycle_s, beta1_s = self.timing.packet_cycle_s, self.timing.beta1_rx_s
        priority_s = self.timing.priority_s(sent=False)
        place, end = cursor - self._first, len(self._entries)
        invalid = overflows = 0
        while place < end:
            for span, blocks in self._levels:
                number, rest = divmod(place, span)
                if rest or number + 1 >= len(blocks):
                    continue
                block = blocks[number]
                if backlog <= block.safe and idle_from_s == block.idle_from_s and carried_s == block.carried_s:
                    backlog = max(block.low, backlog + block.shift)
                    invalid += block.invalid
                    idle_from_s, carried_s = blocks[number + 1].idle_from_s, blocks[number + 1].carried_s
                    place += span
                    break
            else:
                start_s, end_s, delta_backlog = self._entries[place]
                cycles, carried_s = decays(idle_from_s, carried_s, start_s, cycle_s)
                backlog = max(0, backlog - cycles)
                if delta_backlog is None:
                    invalid += 1
                else:
                    if delta_backlog == COLLISION:
                        invalid += 1
                        delta_backlog = 1
                    else:
                        carried_s = 0.0
                    if delta_backlog == 0:
                        backlog = max(0, backlog - 1)
                    else:
                        overflows += backlog + delta_backlog > MAX_BACKLOG
                        backlog = min(MAX_BACKLOG, backlog + delta_backlog)
                idle_from_s = end_s + beta1_s + priority_s
                place += 1
        return Replayed(carried_s, backlog, invalid, overflows)

    def at(self, number: int) -> Activity:
        """One activity by its number. Raises LocalProtocolError for one that is forgotten, or not yet noted."""
        if not self._first <= number < self.end:
            raise LocalProtocolError(f"the history holds activities {self._first} to {self.end - 1}, not {number}")
        return self._entries[number - self._first]
