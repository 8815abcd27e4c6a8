"""Access of one node to a channel that many share: predictive p-persistent CSMA, priority slots, collisions, the CRC.

ISO/IEC 14908-1, link layer and MAC sublayer; ``spec/iso14908-1.md`` 1.2 to 1.5. Who drives the machine says when the channel becomes
active and quiet, asks ``outgoing`` at ``deadline``, and says how a transmission ended. Frames are handed in without CRC and handed
out checked. The channel's times and states are in ``lon.csma``.

How long a node waits: after a packet beta1, then the channel's priority slots, then a slot drawn from a window of 16 slots for each
packet that is thought to be waiting somewhere (the backlog, and its own). The estimate is the whole art: packets announce how
many they will cause (delta backlog), and silence where packets were expected lowers it.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from osgp.lon.crc import has_crc, with_crc
from osgp.lon.csma import (
    COLLISION,
    TRANSITIONS,
    W_BASE,
    ChannelHistory,
    ChannelTiming,
    LinkState,
    Step,
    decays,
    is_packet,
    whole,
)
from osgp.lon.entries import Statistics
from osgp.lon.events import Dropped
from osgp.lon.lpdu import MAX_BACKLOG, MIN_FRAME
from osgp.wire.errors import LocalProtocolError

__all__ = ["MAX_COLLISIONS", "MAX_FRAME", "FrameReceived", "Link", "SlotSource"]

MAX_COLLISIONS = 255
"""Collisions after which a frame is given up."""
MAX_FRAME = 254
"""Most bytes of a frame on the line, CRC included (the larger of the buffers of two open stacks)."""
_SHOWN = 64
_DELTA = 0x3F
_S = LinkState


class SlotSource(Protocol):
    """What draws the slots: ``random.Random``, or anything else with its ``randrange``."""

    def randrange(self, stop: int, /) -> int:
        """A number from 0 to below ``stop``."""


class FrameReceived(NamedTuple):
    """A frame came whole; ``lpdu`` is without its CRC."""

    lpdu: bytes


class _Waiting:
    """A frame in the queue."""

    __slots__ = ("collisions", "lpdu")

    def __init__(self, lpdu: bytes) -> None:
        self.lpdu = lpdu
        self.collisions = 0


class Link:
    """The access of one node: give it frames and what the channel does, and it says when to send.

    ``timing``: of the channel. ``random``: draws the slots. ``node_priority``: own priority slot from 1; 0 none. ``capacity``: frames
    that may wait in each of the two classes. ``statistics``: counts transmission errors, backlog overflows and collisions
    (frames received are counted by who takes them). Seconds everywhere; ``now`` never goes back.
    """

    __slots__ = (
        "_backlog",
        "_carried_s",
        "_current",
        "_events",
        "_normal",
        "_priority_s",
        "_random",
        "_since",
        "_slot",
        "_urgent",
        "_wait_s",
        "capacity",
        "cursor",
        "dropped",
        "last_valid",
        "node_priority",
        "state",
        "statistics",
        "timing",
    )

    def __init__(
        self,
        timing: ChannelTiming,
        random: SlotSource,
        *,
        node_priority: int = 0,
        capacity: int = 8,
        statistics: Statistics | None = None,
    ) -> None:
        self.timing = timing
        self.node_priority = node_priority
        self.capacity = capacity
        self.statistics = Statistics() if statistics is None else statistics
        self.state = _S.IDLE
        self.cursor = 0
        self.dropped = 0
        self.last_valid = False  # whether the last packet was received, and whole: only then priority slots count
        self._random = random
        self._urgent: list[_Waiting] = []
        self._normal: list[_Waiting] = []
        self._current: _Waiting | None = None
        self._events: list[FrameReceived | Dropped] = []
        self._backlog = 0
        self._since = 0.0  # when the state began; IDLE: with what was carried of a packet cycle on top
        self._carried_s = 0.0
        self._slot = 0
        self._wait_s = timing.beta1_rx_s
        self._priority_s = timing.priority_s(sent=False)

    # ---- the table --------------------------------------------------------------------------------------------------
    def _go(self, step: Step, at: float) -> bool:
        """Take a step of the table; False if it is no step from here."""
        following = TRANSITIONS.get((self.state, step))
        if following is None:
            return False
        self.state = following
        self._since = at
        return True

    def _advance(self, now: float) -> None:
        """Take all steps that time alone brings."""
        if self.state is _S.BETA1:
            over = self._since + self._wait_s
            if now < over:
                return
            if self._has_priority_access():
                self._go(Step.PRIORITY_GRANTED, over)
                return
            self._go(Step.BETA1_OVER, over)
        if self.state is _S.PRIORITY:
            over = self._since + self._priority_s
            if now < over:
                return
            if self.waiting:
                self._go(Step.SLOTS_OVER_WAITING, over)
                self._draw()
            else:
                self._go(Step.SLOTS_OVER, over)

    def _has_priority_access(self) -> bool:
        return (
            bool(self._urgent)
            and self.node_priority > 0
            and self.last_valid
            and self._urgent[0].collisions <= 1  # a frame that collides in its own slot shares it with somebody
        )

    def _draw(self) -> None:
        self._slot = self._random.randrange((self._backlog + 1) * W_BASE)

    # ---- the estimate -----------------------------------------------------------------------------------------------
    def _fall(self, by: int) -> None:
        self._backlog = max(0, self._backlog - by)

    def _rise(self, by: int) -> None:
        raised = self._backlog + by
        if raised > MAX_BACKLOG:
            self.statistics.count("backlog_overflows")
        self._backlog = min(MAX_BACKLOG, raised)

    def _account(self, delta_backlog: int) -> None:
        """A valid packet was on the channel, from others or from us."""
        if delta_backlog:
            self._rise(delta_backlog)
        else:
            self._fall(1)
        self._carried_s = 0.0

    def _settle(self, now: float) -> None:
        """What the time in the present state does to the estimate, at its end."""
        if self.state is _S.IDLE:
            cycles, self._carried_s = decays(self._since, self._carried_s, now, self.timing.packet_cycle_s)
            self._fall(cycles)
        elif self.state is _S.RANDOM:
            self._fall(whole(now - self._since, W_BASE * self.timing.beta2_s))

    def backlog(self, now: float) -> int:
        """The estimate of packets waiting on the channel, 0..63, at this moment."""
        self._advance(now)
        if self.state is _S.IDLE:
            return max(0, self._backlog - decays(self._since, self._carried_s, now, self.timing.packet_cycle_s)[0])
        if self.state is _S.RANDOM:
            return max(0, self._backlog - whole(now - self._since, W_BASE * self.timing.beta2_s))
        return self._backlog

    # ---- frames to send ---------------------------------------------------------------------------------------------
    @property
    def waiting(self) -> int:
        """Frames that are not sent yet, the one on its way included."""
        return len(self._urgent) + len(self._normal)

    def holds(self, lpdu: bytes) -> bool:
        """Whether a frame (without CRC) is not sent yet, or is on its way."""
        return any(each.lpdu == lpdu for queue in (self._urgent, self._normal) for each in queue)

    def submit(self, lpdu: bytes, now: float, *, priority: bool = False) -> bool:
        """Queue a frame (without CRC) behind those of its class; the priority class goes first.

        False, with a ``Dropped`` event, for a frame of a wrong size and when the class's queue is full.
        """
        queue = self._urgent if priority else self._normal
        if not MIN_FRAME <= len(lpdu) + 2 <= MAX_FRAME:
            return self._drop(f"a frame of {len(lpdu)} bytes cannot be sent", lpdu)
        if len(queue) >= self.capacity:
            return self._drop("the queue of the link is full", lpdu)
        self._advance(now)
        queue.append(_Waiting(lpdu))
        if self.state is _S.IDLE:
            self._settle(now)
            self._go(Step.SUBMITTED, now)
            self._draw()
        return True

    def _drop(self, reason: str, data: bytes) -> bool:
        self.dropped += 1
        self._events.append(Dropped(reason, data[:_SHOWN]))
        return False

    def _own_slot_s(self) -> float | None:
        if self.state is _S.RANDOM:
            return self._since + self._slot * self.timing.beta2_s
        if self.state is _S.PRIORITY_WAIT:
            return self._since + (self.node_priority - 1) * self.timing.beta2_s
        return None

    def outgoing(self, now: float) -> bytes | None:
        """The frame, with CRC, whose transmission begins now, if our slot has come; then ``sent`` or ``collided`` is due."""
        self._advance(now)
        due = self._own_slot_s()
        if due is None or now < due:
            return None
        if self.state is _S.RANDOM:
            self._fall(self._slot // W_BASE)
        self._current = (self._urgent or self._normal)[0]
        self._go(Step.OWN_SLOT, now)
        return with_crc(self._current.lpdu)

    def sent(self, now: float) -> None:
        """Our transmission is over and nobody disturbed it. Raises LocalProtocolError when there is none."""
        frame = self._ended_own(now)
        self._forget(frame)
        self._account(frame.lpdu[0] & _DELTA)

    def collided(self, now: float) -> None:
        """Our transmission met another and was broken off; the frame stays. Raises LocalProtocolError when there is none."""
        frame = self._ended_own(now)
        frame.collisions += 1
        self.statistics.count("collisions")
        self._rise(1)
        if frame.collisions >= MAX_COLLISIONS:
            self._forget(frame)
            self._drop(f"given up after {MAX_COLLISIONS} collisions", frame.lpdu)

    def _ended_own(self, now: float) -> _Waiting:
        frame = self._current
        if frame is None:
            raise LocalProtocolError("no transmission is under way")
        self._current = None
        self._go(Step.QUIET, now)
        self.last_valid = False
        self._wait_s = self.timing.beta1_tx_s
        self._priority_s = self.timing.priority_s(sent=True)
        return frame

    def _forget(self, frame: _Waiting) -> None:
        (self._urgent if self._urgent and self._urgent[0] is frame else self._normal).pop(0)

    # ---- what the channel does --------------------------------------------------------------------------------------
    def activity(self, now: float) -> None:
        """The channel became active; whoever waits for his slot waits on. Nothing to a node that sends: it is half duplex."""
        self._advance(now)
        if (self.state, Step.ACTIVITY) in TRANSITIONS:
            self._settle(now)
            self._go(Step.ACTIVITY, now)

    def quiet(self, now: float, delta_backlog: int | None) -> None:
        """The activity is over. ``delta_backlog``: of the valid packet that it was, None if it was none, or ``csma.COLLISION``.

        A carrier that reports whole packets only need not call ``activity``.
        """
        self.activity(now)
        if self.state is not _S.BUSY:
            return
        self.last_valid = is_packet(delta_backlog)
        if is_packet(delta_backlog):
            self._account(delta_backlog)
        else:
            self.statistics.count("transmission_errors")
            if delta_backlog == COLLISION:
                self._rise(1)
        self._wait_s = self.timing.beta1_rx_s
        self._priority_s = self.timing.priority_s(sent=False)
        self._go(Step.QUIET, now)

    def receive(self, frame: bytes, now: float) -> None:
        """The activity is over and this, with its CRC, is what it brought: as ``quiet``, and an event with the frame."""
        if self.state is _S.SENDING:
            self._drop("a frame while sending", frame)
        elif not MIN_FRAME <= len(frame) <= MAX_FRAME:
            self._drop(f"a frame of {len(frame)} bytes", frame)
            self.quiet(now, None)
        elif not has_crc(frame):
            self._drop("wrong CRC", frame)
            self.quiet(now, None)
        else:
            self._events.append(FrameReceived(frame[:-2]))
            self.quiet(now, frame[0] & _DELTA)

    # ---- verbs without arguments of their own -----------------------------------------------------------------------
    def deadline(self) -> float | None:
        """When the next step is due; None while nothing waits to be sent, or the channel is active."""
        if not self.waiting:
            return None
        if self.state is _S.BETA1:
            return self._since + self._wait_s
        if self.state is _S.PRIORITY:
            return self._since + self._priority_s
        return self._own_slot_s()

    def wake(self, now: float) -> None:
        """Time has come; ``outgoing`` says whether to send."""
        self._advance(now)

    def events(self) -> list[FrameReceived | Dropped]:
        """Frames received and frames dropped since the last call."""
        if not self._events:
            return []
        taken, self._events = self._events, []
        return taken

    # ---- reading up on what was missed ------------------------------------------------------------------------------
    def catch_up(self, history: ChannelHistory) -> None:
        """Bring the machine to where it would be had it followed the channel from activity number ``cursor`` on.

        Only for a node with nothing to send, which heard all of it. Whole blocks of activities count as one step. Raises
        LocalProtocolError when frames wait, and when the history no longer goes back so far.
        """
        if self.cursor >= history.end:
            return
        if self.waiting or self.state in (_S.BUSY, _S.SENDING):
            raise LocalProtocolError("a node that takes part in the access to the channel has missed nothing")
        idle_from_s = self._since
        if self.state is _S.BETA1:
            idle_from_s += self._wait_s
        if self.state is not _S.IDLE:
            idle_from_s += self._priority_s
        self._carried_s, self._backlog, invalid, overflows = history.replay(
            self.cursor, idle_from_s, self._carried_s, self._backlog
        )
        if invalid:
            self.statistics.count("transmission_errors", invalid)
        if overflows:
            self.statistics.count("backlog_overflows", overflows)
        self.cursor = history.end
        last = history.at(self.cursor - 1)
        self.last_valid = is_packet(last.delta_backlog)
        self._wait_s = self.timing.beta1_rx_s
        self._priority_s = self.timing.priority_s(sent=False)
        self.state = _S.BETA1  # as after the QUIET of the last activity
        self._since = last.end_s
