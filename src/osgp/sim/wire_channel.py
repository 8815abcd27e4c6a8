"""A shared channel on the simulated wire: each node waits for its slot, those who begin in the same one collide.

``spec/iso14908-1.md`` 1.4 says how nodes behave (``lon.link``), ``spec/phy-ts103908.md`` 1.2, 1.5, 1.7 and 3.4 how long things
take. What lies between is a project choice: a transmission is noticed ``detect_s`` after its beginning; who has begun before
that collides with it; a sender hears others during its preamble only, and breaks off at its end if it did. A node that only
listens is not visited at all: when it wants to send, its link reads up on the channel's history. Where a node hears less than
the others (see ``Links``), it reads the bursts of transmissions themselves.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from osgp.lon.csma import COLLISION, Activity, ChannelHistory, ChannelTiming
from osgp.lon.link import Link
from osgp.sim.wire_links import Fate
from osgp.wire.errors import ConfigError

if TYPE_CHECKING:
    from osgp.sim.wire import Wire
    from osgp.sim.wire_port import Port

__all__ = ["A_BAND_SPEED", "Channel", "LineSpeed", "Transmission", "Way"]


@dataclass(frozen=True, slots=True)
class LineSpeed:
    """How long a frame is on the line: ``preamble_bits``, ``bits_per_byte`` for each byte, CRC included, and ``end_bits``.

    Raises ConfigError for a rate that is none.
    """

    bits_per_s: float
    bits_per_byte: float = 8
    preamble_bits: float = 0
    end_bits: float = 0

    def __post_init__(self) -> None:
        if not (self.bits_per_s > 0 and math.isfinite(self.bits_per_s)):
            raise ConfigError(f"{self.bits_per_s} is no rate", hint="bits per second, above zero")

    def airtime_s(self, size: int) -> float:
        """Seconds for a frame of ``size`` bytes."""
        return (self.preamble_bits + self.bits_per_byte * size + self.end_bits) / self.bits_per_s

    @property
    def preamble_s(self) -> float:
        """Seconds before the first byte."""
        return self.preamble_bits / self.bits_per_s


A_BAND_SPEED = LineSpeed(6.5536e6 / 1824, 11, 46, 11)
"""The power line of OSGP: 3593 line bit/s, 11 of them a byte (``spec/phy-ts103908.md`` 1.2, 1.4, 1.5); the end word is
(unverified)."""


class Transmission:
    """One frame on the line, from its beginning to its end."""

    __slots__ = (
        "broken",
        "end_s",
        "ended",
        "lpdu",
        "met",
        "noticed",
        "number",
        "over",
        "overlaps",
        "secondary",
        "sender",
        "start_s",
        "way",
    )

    def __init__(self, number: int, sender: Port, lpdu: bytes, start_s: float, end_s: float) -> None:
        self.number = number
        self.sender = sender
        self.lpdu = lpdu
        self.start_s = start_s
        self.end_s = end_s
        self.overlaps: tuple[Transmission, ...] = ()
        self.noticed = 0  # its carrier was detected by those who hear it: when, in the order of what happens
        self.over = False
        self.broken = False  # off, because the sender heard another
        # Over a medium only:
        self.ended = 0  # when, in the order of what happens
        self.secondary = False
        self.way: Way = NOWHERE
        self.met: dict[int, list[Transmission]] = {}  # by receiver: what it met there

    @property
    def delta_backlog(self) -> int:
        """What its header announces."""
        return self.lpdu[0] & 0x3F


class Way:
    """Whom a transmission reaches, by the numbers of the ports.

    ``reach``: where it is strong enough to matter, the sender among them. ``heard_by``: those who notice its carrier.
    """

    __slots__ = ("heard_by", "reach")

    def __init__(self, reach: Sequence[int] = (), heard_by: Iterable[int] = ()) -> None:
        self.reach = tuple(reach)
        self.heard_by = frozenset(heard_by)


NOWHERE = Way()


class _Moment(NamedTuple):
    """The carrier of a transmission is noticed, or (``over``) ends."""

    at_s: float
    over: bool
    transmission: Transmission


class _Burst(NamedTuple):
    """Transmissions that overlap, from silence to silence; ``first``: number of its first activity in the history."""

    first: int
    moments: list[_Moment]


class Channel:
    """The transmissions of a wire with access by ``lon.link``; the wire owns it and the time."""

    def __init__(
        self,
        wire: Wire,
        timing: ChannelTiming,
        speed: LineSpeed,
        detect_s: float | None,
        collision_detection: bool,
        collisions_heard: bool = False,
    ) -> None:
        self.timing = timing
        self.speed = speed
        self.detect_s = timing.beta2_s / 2 if detect_s is None else detect_s
        if not 0 < self.detect_s <= timing.beta2_s:
            raise ConfigError(f"carrier detection in {detect_s} s makes no slots", hint="at most one beta2")
        self.collision_detection = collision_detection
        self.collisions_heard = collisions_heard
        self.busy_s = 0.0
        self.history = ChannelHistory(timing)
        self._wire = wire
        self._contenders: dict[int, Port] = {}  # ports that have something to send: they follow what happens
        self._active: list[Transmission] = []
        self._moments: list[_Moment] = []  # of the present burst
        self._bursts: list[_Burst] = []
        self._first_burst = 0
        self._busy_from_s = 0.0
        self._changes: list[tuple[Port | None, Callable[[], None]]] = []

    # ---- taking part ------------------------------------------------------------------------------------------------
    def joined(self, port: Port) -> None:
        """A node without a past: what was before the present burst is nothing to it."""
        link = self._link(port)
        link.cursor = self.history.end
        port.burst = self._first_burst + len(self._bursts)

    @staticmethod
    def _link(port: Port) -> Link:
        assert port.link is not None, "a port of a shared channel has a link"
        return port.link

    def submit(self, port: Port, lpdu: bytes, now: float) -> None:
        """A node wants to send."""
        self.settle(port)
        if port.number not in self._contenders:
            self._contenders[port.number] = port
            for moment in self._moments:
                self._pass_on(port, moment)
        self._submit(port, lpdu, now)

    def _submit(self, port: Port, lpdu: bytes, now: float) -> None:
        link = self._link(port)
        link.submit(lpdu, now, priority=lpdu[:1] >= b"\x80")
        port.dropped += len(link.events())
        self._arm(port)

    def settle(self, port: Port) -> None:
        """Bring the link of a node that only listened up to the last burst."""
        link = self._link(port)
        if port.number in self._contenders:
            return
        end = self._first_burst + len(self._bursts)
        if port.burst < end:
            if self._wire.links.are_clear_for(port.number):
                link.catch_up(self.history)
            else:
                for burst in self._bursts[port.burst - self._first_burst :]:
                    for moment in burst.moments:
                        self._pass_on(port, moment)
                link.cursor = self.history.end
            port.burst = end

    def change(self, receiver: Port | None, apply: Callable[[], None]) -> None:
        """Change how a receiver (None: everybody) hears, once the channel is quiet, after reading up on how it heard so far."""
        if self._moments or self._active or self._changes:
            self._changes.append((receiver, apply))
            return
        self._change(receiver, apply)

    def _change(self, receiver: Port | None, apply: Callable[[], None]) -> None:
        for port in self._wire.ports if receiver is None else (receiver,):
            self.settle(port)
        apply()

    # ---- what a node hears ------------------------------------------------------------------------------------------
    def _hears(self, port: Port, sender: Port) -> bool:
        return not self._wire.links.quality(sender.number, port.number).cut

    def _undisturbed(self, transmission: Transmission, port: Port) -> bool:
        """Whether no other transmission, of its own or one that it hears, met this one at a port."""
        return not transmission.broken and not any(
            other.sender is port or self._hears(port, other.sender) for other in transmission.overlaps
        )

    def fate(self, transmission: Transmission, port: Port) -> Fate:
        """What becomes of a transmission at a port."""
        fate = self._wire.links.fate(transmission.number, transmission.sender.number, port.number)
        if fate != Fate.UNHEARD and transmission.overlaps and not self._undisturbed(transmission, port):
            return Fate.COLLIDED
        return fate

    def within(self, transmission: Transmission, listeners: tuple[Port, ...]) -> tuple[Port, ...]:
        """Those of the listeners who may hear it."""
        return listeners

    def _pass_on(self, port: Port, moment: _Moment) -> None:
        """Let a port that listens hear a moment."""
        at_s, over, transmission = moment
        sender = transmission.sender
        if sender is port or not self._hears(port, sender):
            return
        link = self._link(port)
        if not over:
            port.hearing += 1
            if port.hearing == 1:
                link.activity(at_s)
        elif transmission.noticed:
            port.hearing -= 1
            if port.hearing == 0:
                whole = not transmission.broken and self.fate(transmission, port) == Fate.WHOLE
                own = any(other.sender is port for other in transmission.overlaps)
                link.quiet(at_s, self._brought(transmission, whole, own))

    def _brought(self, transmission: Transmission, whole: bool, own: bool) -> int | None:
        """What the end of a transmission tells the estimate; ``own``: it met one of the listener's, who has counted that already."""
        if whole:
            return transmission.delta_backlog
        return COLLISION if self.collisions_heard and transmission.broken and not own else None

    def _happened(self, moment: _Moment) -> None:
        self._moments.append(moment)
        for number in sorted(self._contenders):  # in an order that does not depend on who began to contend when
            port = self._contenders[number]
            self._pass_on(port, moment)
            self._arm(port)

    # ---- transmissions ----------------------------------------------------------------------------------------------
    def _arm(self, port: Port) -> None:
        due = self._link(port).deadline()
        if due is not None and due != port.link_due_s:
            port.link_due_s = due
            self._wire.at(due, self._due, port)

    def _due(self, port: Port, now: float) -> None:
        """The time that a link asked for has come, unless it has thought better of it."""
        if now < port.link_due_s:
            return
        port.link_due_s = math.inf
        link = self._link(port)
        due = link.deadline()
        if due is not None and due <= now:
            link.wake(now)
            frame = link.outgoing(now)
            if frame is not None:
                self._begin(port, frame[:-2], now)
        self._arm(port)

    def _begin(self, port: Port, lpdu: bytes, now: float) -> None:
        wire = self._wire
        begun = Transmission(wire.next_frame(), port, lpdu, now, now + self.speed.airtime_s(len(lpdu) + 2))
        if not self._active:
            self._busy_from_s = now
        self._enter(begun)
        wire.at(now + self.detect_s, self._notice, begun)
        wire.at(begun.end_s, self._end, begun)

    def _enter(self, begun: Transmission) -> None:
        """A transmission meets those that are under way."""
        port = begun.sender
        for other in self._active:
            other.overlaps += (begun,)
            begun.overlaps += (other,)
            if self._hears(port, other.sender):
                self._heard_another(begun, begun.start_s)
            if self._hears(other.sender, port):
                self._heard_another(other, begun.start_s)
        self._active.append(begun)

    def _heard_another(self, transmission: Transmission, now: float) -> None:
        """A sender hears others during its preamble, and breaks off at its end."""
        over_s = transmission.start_s + max(self.speed.preamble_s, self.detect_s)
        if self.collision_detection and now < over_s:
            self._wire.at(over_s, self._break_off, transmission)

    def _notice(self, transmission: Transmission, now: float) -> None:
        if not transmission.over:
            transmission.noticed = 1
            self._happened(_Moment(now, False, transmission))

    def _break_off(self, transmission: Transmission, now: float) -> None:
        if not transmission.over:
            transmission.broken = True
            self._end(transmission, now)

    def _end(self, transmission: Transmission, now: float) -> None:
        if transmission.over:
            return
        transmission.over = True
        sender = transmission.sender
        link = self._link(sender)
        sender.airtime_s += now - transmission.start_s
        if transmission.broken:
            sender.collisions += 1
            link.collided(now)
        else:
            sender.sent += 1
            link.sent(now)
        sender.dropped += len(link.events())
        if sender.hearing:
            link.activity(now)  # what began while it could not hear
        self._arm(sender)
        self._leave(transmission, now)
        if not self._active:
            self.busy_s += now - self._busy_from_s
        if not transmission.broken:
            self._wire.arrive(transmission, now)
        if not self._active and self._changes:
            changes, self._changes = self._changes, []
            for receiver, apply in changes:
                self._change(receiver, apply)

    def _leave(self, transmission: Transmission, now: float) -> None:
        """A transmission is over."""
        self._active.remove(transmission)
        self._happened(_Moment(now, True, transmission))
        if not self._active:
            self._close_burst()

    def _close_burst(self) -> None:
        """Silence: note what was, and let go of who has nothing more to send."""
        self._bursts.append(_Burst(self.history.end, self._moments))
        for activity in self._activities():
            if self.history.full:
                self._forget()
            self.history.append(activity)
        self._moments = []
        end = self._first_burst + len(self._bursts)
        for port in tuple(self._contenders.values()):
            link = self._link(port)
            if not link.waiting:
                link.cursor = self.history.end
                port.burst = end
                del self._contenders[port.number]

    def _activities(self) -> Iterator[Activity]:
        """The present burst as somebody hears it who hears all."""
        hearing, start_s = 0, 0.0
        for at_s, over, transmission in self._moments:
            if not over:
                hearing += 1
                start_s = at_s if hearing == 1 else start_s
            elif transmission.noticed:
                hearing -= 1
                if hearing == 0:
                    alone = not transmission.broken and not transmission.overlaps
                    yield Activity(start_s, at_s, self._brought(transmission, alone, own=False))

    def _forget(self) -> None:
        """Make room in the history: who is far behind reads up now."""
        middle = self.history.middle
        place = bisect_left(self._bursts, middle, key=lambda burst: burst.first)
        for port in self._wire.ports:
            if port.burst < self._first_burst + place:
                self.settle(port)
        del self._bursts[:place]
        self._first_burst += place
