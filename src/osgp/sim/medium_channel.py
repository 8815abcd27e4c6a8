"""A shared channel on which every receiver hears something else: the times of ``wire_channel`` over the ways of a ``Medium``.

Project choice. A transmission reaches the nodes that its way names and nobody else is touched: what a frame costs does not grow
with nodes out of earshot. Where two transmissions meet is noted for each receiver (``Transmission.met``), so that the medium can
weigh them there. Nodes with nothing to send do not follow the channel: what they heard is kept for them, and read when they want
to send.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from osgp.lon.csma import Activity, ChannelHistory, ChannelTiming
from osgp.sim.wire_channel import Channel, LineSpeed, Transmission
from osgp.sim.wire_links import Fate
from osgp.wire.errors import ConfigError

if TYPE_CHECKING:
    from osgp.sim.medium import Medium
    from osgp.sim.wire import Wire
    from osgp.sim.wire_port import Port

__all__ = ["MediumChannel"]

_LOG = 512
"""Transmissions kept for a node that does not send; then it reads them, so that memory stays bounded."""


class _Heard(ChannelHistory):
    """What one node heard, to be read once: a history without blocks, because nobody else reads it."""

    def __init__(self, timing: ChannelTiming, activities: list[Activity]) -> None:
        self.timing = timing
        self.capacity = len(activities)
        self._entries = activities
        self._first = 0
        self._levels = ()


class MediumChannel(Channel):
    """The transmissions of a wire whose ways a medium knows."""

    def __init__(
        self,
        wire: Wire,
        timing: ChannelTiming,
        speed: LineSpeed,
        detect_s: float | None,
        collision_detection: bool,
        collisions_heard: bool,
        medium: Medium,
    ) -> None:
        super().__init__(wire, timing, speed, detect_s, collision_detection, collisions_heard)
        self.medium = medium
        self._contending: set[int] = set()
        self._arriving: list[
            list[Transmission]
        ] = []  # by port: transmissions under way that reach it, its own among them
        self._logs: list[list[Transmission]] = []  # by port: what it heard and has not read, in the order of the ends
        self._order = 0

    # ---- taking part ------------------------------------------------------------------------------------------------
    def joined(self, port: Port) -> None:
        """A node without a past. Raises ConfigError when the medium has no place for it."""
        if port.number >= self.medium.size:
            raise ConfigError(
                f"the medium has {self.medium.size} places, and this is node {port.number}",
                hint="join the machines in the order of the medium's nodes",
            )
        self._arriving.append([])
        self._logs.append([])

    def submit(self, port: Port, lpdu: bytes, now: float) -> None:
        """A node wants to send."""
        if port.number not in self._contending:
            self.settle(port)
            self._contending.add(port.number)
            under_way = [each for each in self._arriving[port.number] if self._is_heard(each, port.number)]
            port.hearing = len(under_way)
            # What has ended since the present activity began only says when that was.
            present = under_way + self._logs[port.number]
            self._logs[port.number] = []
            if present:
                self._link(port).activity(min(each.start_s for each in present) + self.detect_s)
        self._submit(port, lpdu, now)

    def change(self, receiver: Port | None, apply: Callable[[], None]) -> None:
        """Raises ConfigError: faults of single links are the medium's."""
        raise ConfigError("a wire over a medium has no links of its own", hint="give the medium other levels")

    def settle(self, port: Port) -> None:
        """Bring the link of a node that only listened up to date."""
        number = port.number
        log = self._logs[number]
        if not log or number in self._contending:
            return
        self._logs[number] = []
        # From the last to the first: what began before the earliest of those behind it had ended belongs to one activity.
        pending = [each.noticed for each in self._arriving[number] if self._is_heard(each, number)]
        earliest: float = min(pending, default=math.inf)
        place = len(log)
        while place and log[place - 1].ended > earliest:
            place -= 1
            earliest = min(earliest, log[place].noticed)
        open_ones, log = log[place:], log[:place]
        activities: list[Activity] = []
        end = len(log)
        while end:
            begin = end - 1
            earliest = log[begin].noticed
            while begin and log[begin - 1].ended > earliest:
                begin -= 1
                earliest = min(earliest, log[begin].noticed)
            last = log[end - 1]
            first_s = last.start_s if begin == end - 1 else min(each.start_s for each in log[begin:end])
            whole = self.medium.whole(last, number)
            brought = self._brought(last, whole, self._met_own(last, number))
            activities.append(Activity(first_s + self.detect_s, last.end_s, brought))
            end = begin
        activities.reverse()
        # What is still going on is read when it is over.
        self._logs[number] = open_ones
        if activities:
            link = self._link(port)
            link.cursor = 0
            link.catch_up(_Heard(self.timing, activities))

    # ---- what a node hears ------------------------------------------------------------------------------------------
    @staticmethod
    def _is_heard(transmission: Transmission, receiver: int) -> bool:
        return transmission.noticed > 0 and receiver in transmission.way.heard_by

    @staticmethod
    def _met_own(transmission: Transmission, receiver: int) -> bool:
        met = transmission.met.get(receiver)  # nobody, as a rule: no generator for it
        return met is not None and any(other.sender.number == receiver for other in met)

    def fate(self, transmission: Transmission, port: Port) -> Fate:
        """What becomes of a transmission at a port."""
        if port.number not in transmission.way.heard_by:
            return Fate.UNHEARD
        return Fate.WHOLE if self.medium.whole(transmission, port.number) else Fate.LOST

    def within(self, transmission: Transmission, listeners: tuple[Port, ...]) -> tuple[Port, ...]:
        """Those of the listeners who hear it at all."""
        heard_by = transmission.way.heard_by
        return tuple(port for port in listeners if port.number in heard_by)

    def _happens(self, transmission: Transmission, over: bool, now: float) -> None:
        """Tell those who want to send, in an order that does not depend on who began to contend when."""
        ports = self._wire.ports
        for number in sorted(self._contending & transmission.way.heard_by):
            port = ports[number]
            link = self._link(port)
            if not over:
                port.hearing += 1
                if port.hearing == 1:
                    link.activity(now)
            elif transmission.noticed:
                port.hearing -= 1
                if port.hearing == 0:
                    whole = self.medium.whole(transmission, number)
                    link.quiet(now, self._brought(transmission, whole, self._met_own(transmission, number)))
                    if not link.waiting:
                        self._contending.discard(number)
            self._arm(port)

    # ---- transmissions ----------------------------------------------------------------------------------------------
    def _enter(self, begun: Transmission) -> None:
        sender = begun.sender.number
        begun.secondary = bool(begun.lpdu and begun.lpdu[0] & 0x40)
        begun.way = self.medium.way(sender, begun.secondary)
        arriving = self._arriving
        for receiver in begun.way.reach:
            here = arriving[receiver]
            for other in here:
                own = other.sender.number == receiver
                if own or receiver == sender or other.secondary == begun.secondary:
                    begun.met.setdefault(receiver, []).append(other)
                    other.met.setdefault(receiver, []).append(begun)
                if other.secondary == begun.secondary:
                    if receiver == sender and sender in other.way.heard_by:
                        self._heard_another(begun, begun.start_s)
                    if own and receiver in begun.way.heard_by:
                        self._heard_another(other, begun.start_s)
            here.append(begun)
        self._active.append(begun)

    def _notice(self, transmission: Transmission, now: float) -> None:
        if not transmission.over:
            self._order += 1
            transmission.noticed = self._order
            self._happens(transmission, False, now)

    def _leave(self, transmission: Transmission, now: float) -> None:
        self._order += 1
        transmission.ended = self._order
        transmission.end_s = now
        way, contending = transmission.way, self._contending
        for receiver in way.reach:
            self._arriving[receiver].remove(transmission)
        self._active.remove(transmission)
        sender = transmission.sender
        if not sender.hearing and not self._link(sender).waiting:
            contending.discard(sender.number)
        following = contending & way.heard_by
        self._happens(transmission, True, now)
        if transmission.noticed:
            for receiver in way.heard_by:
                if receiver not in following:
                    log = self._logs[receiver]
                    log.append(transmission)
                    if len(log) >= _LOG:
                        self.settle(self._wire.ports[receiver])
