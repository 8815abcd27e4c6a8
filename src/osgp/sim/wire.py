"""An in-memory line for stacks in virtual time: who hears whom, what is lost on the way, how long it takes, who collides.

Project choice, joined to ISO/IEC 14908-1 by ``lon.link``. Two ways of access: direct (a frame takes its airtime, nobody collides)
and a shared channel (``wire_channel``). Frames travel as bytes and are decoded once for all; an index finds who could take
them, so that a thousand nodes that ignore a frame cost nothing. Everything is drawn from one seed: the same run again is the
same, byte for byte.

::

    wire = Wire(random=Random(1))
    a, b = wire.join(stack_a), wire.join(stack_b)
    wire.links[a, b] = Quality(loss=0.2)
    stack_a.request(SubnetNode(1, 20), apdu, wire.now)
    wire.touch(a)  # a command was given from outside: look what it wants to send
    wire.run(10.0)
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any

from osgp.lon.crc import has_crc, with_crc
from osgp.lon.csma import A_BAND, ChannelTiming
from osgp.lon.entries import Statistics
from osgp.lon.link import MAX_FRAME, Link
from osgp.lon.lpdu import MIN_FRAME
from osgp.lon.packet import Packet, packet_of
from osgp.sim.medium_channel import MediumChannel
from osgp.sim.wire_channel import A_BAND_SPEED, Channel, LineSpeed, Transmission
from osgp.sim.wire_index import ListenerIndex
from osgp.sim.wire_links import CLEAR, Dice, Fate, Links, Quality
from osgp.sim.wire_port import OnEvents, PacketMachine, Port, SharesLine
from osgp.wire.errors import DecodeError, LocalProtocolError

if TYPE_CHECKING:
    from osgp.sim.medium import Medium

__all__ = ["LineSpeed", "PacketMachine", "Port", "Quality", "Tap", "Wire"]

Tap = Callable[[float, Port, bytes], None]
_MOST_AT_ONCE = 1_000_000


class Wire:
    """A line and its time; machines are joined to it.

    ``random``: seeds all chance. ``access``: None for direct access, or the times of a shared channel. ``speed``: airtime of
    frames; None is no time at all on a direct wire, and the A band's on a shared channel. ``quality``: of all ways that get no
    other. ``detect_s``: when a carrier is noticed (half a slot). ``collision_detection``: whether senders notice collisions during
    the preamble; without, frames that met are lost and their senders do not know. ``collisions_heard``: whether those who hear
    others collide raise their estimate by one, too, and not the colliding only, as in the standard (``lon.csma.COLLISION``).
    ``medium``: who hears whom and how well (``sim.medium``), in place of ``quality`` and ``links``; the access is then a shared
    channel's, of the A band unless given. Seconds everywhere.
    """

    def __init__(
        self,
        *,
        random: Random,
        access: ChannelTiming | None = None,
        speed: LineSpeed | None = None,
        quality: Quality = CLEAR,
        detect_s: float | None = None,
        collision_detection: bool = True,
        collisions_heard: bool = False,
        medium: Medium | None = None,
    ) -> None:
        self.now = 0.0
        self.ports: list[Port] = []
        self.speed = speed
        self.links = Links(random.getrandbits(64), quality, self._change)
        self.channel: Channel | None = None
        self.changed: Callable[[], None] | None = (
            None  # called when somebody from outside gave the wire something to do
        )
        self.medium = medium
        if medium is not None:
            self.speed = speed or medium.speed
            self.channel = MediumChannel(
                self, access or A_BAND, self.speed, detect_s, collision_detection, collisions_heard, medium
            )
        elif access is not None:
            self.speed = speed or A_BAND_SPEED
            self.channel = Channel(self, access, self.speed, detect_s, collision_detection, collisions_heard)
        self._slot_seed = random.getrandbits(64)
        self._index = ListenerIndex()
        self._taps: list[Tap] = []
        self._heap: list[tuple[float, int, Callable[[Any, float], None], Any]] = []
        self._sequence = 0
        self._frames = 0
        self._steps_at_once = 0

    # ---- who is there -----------------------------------------------------------------------------------------------
    def join(
        self,
        machine: PacketMachine,
        *,
        on_events: OnEvents | None = None,
        statistics: Statistics | None = None,
        node_priority: int = 0,
        name: str = "",
    ) -> Port:
        """Put a machine on the wire.

        ``on_events``: is given its events after each thing that happens to it, and may give it commands; without, they stay in the
        machine. ``statistics``: where transmission errors, collisions and backlog overflows are counted, such as
        ``stack.configuration.statistics``. ``node_priority``: own priority slot on a shared channel, from 1; 0 none.
        """
        link = None
        if self.channel is not None:
            dice = Dice(self._slot_seed, len(self.ports))
            link = Link(self.channel.timing, dice, node_priority=node_priority, statistics=statistics)
            if isinstance(machine, SharesLine):
                machine.share_line(link.holds)
        port = Port(len(self.ports), machine, on_events, statistics, link, name)
        self.ports.append(port)
        if self.channel is not None:
            self.channel.joined(port)
        self._index.update(port, machine.interests())
        self._pump(port, self.now)
        return port

    def tap(self, callback: Tap) -> None:
        """Call ``callback(time, sender, lpdu)`` for every frame that was sent whole, at its end."""
        self._taps.append(callback)

    def touch(self, port: Port) -> None:
        """The machine was given a command, or another configuration, from outside: look what it wants."""
        self._pump(port, self.now)
        if self.changed is not None:
            self.changed()

    def send(self, port: Port, lpdu: bytes) -> None:
        """Put any bytes on the line in a node's name, as a frame with a right CRC."""
        self._send(port, lpdu, self.now)
        if self.changed is not None:
            self.changed()

    def cut(self, a: Port, b: Port, *, both: bool = True) -> None:
        """b hears a no more, nor (``both``) a b; ``wire.links.mend`` takes it back."""
        self.links.cut(a, b, both=both)

    def _change(self, receiver: Port | None, apply: Callable[[], None]) -> None:
        if self.channel is None:
            apply()
        else:
            self.channel.change(receiver, apply)

    # ---- time -------------------------------------------------------------------------------------------------------
    def at(self, when: float, action: Callable[[Any, float], None], argument: Any) -> None:
        """Have ``action(argument, when)`` called; what is due at the same time goes in the order of these calls."""
        heapq.heappush(self._heap, (when, self._sequence, action, argument))
        self._sequence += 1

    def deadline(self) -> float | None:
        """When the next step is due."""
        return self._heap[0][0] if self._heap else None

    def step(self) -> bool:
        """Do the next thing, whenever it is due; False if nothing will ever happen again.

        Raises LocalProtocolError when time stands still: machines that answer each other for ever in no time.
        """
        if not self._heap:
            return False
        when, _, action, argument = heapq.heappop(self._heap)
        if when > self.now:
            self.now = when
            self._steps_at_once = 0
        else:
            self._steps_at_once += 1
            if self._steps_at_once > _MOST_AT_ONCE:
                raise LocalProtocolError(
                    f"{_MOST_AT_ONCE} steps at {self.now:g} s and no end",
                    hint="Two machines that answer each other at once? Give the wire a speed.",
                )
        action(argument, self.now)
        return True

    def run(self, until_s: float) -> int:
        """Do all that is due up to and at ``until_s``, which is the time afterwards; the number of steps. Raises as ``step``."""
        heap, steps = self._heap, 0
        while heap and heap[0][0] <= until_s:
            self.step()
            steps += 1
        self.now = max(self.now, until_s)
        return steps

    # ---- machines ---------------------------------------------------------------------------------------------------
    def _pump(self, port: Port, now: float) -> None:
        """Take from a machine what it wants to send and to tell; note when it wants to be woken and what it listens to."""
        machine = port.machine
        while True:
            for packet in machine.outgoing(now):
                self._send(port, packet.lpdu(), now)
            if port.on_events is None:
                break
            events = machine.events()
            if not events:
                break
            port.on_events(port, events, now)
        due = machine.deadline()
        if due is not None and due < port.due_s:
            port.due_s = due
            self.at(due, self._due, port)
        interests = machine.interests()
        if interests.revision != port.interests.revision:
            self._index.update(port, interests)

    def _due(self, port: Port, now: float) -> None:
        """A machine's time, unless it has changed its mind: then the entry is stale, or too early."""
        if port.due_s > now:
            return
        port.due_s = math.inf
        due = port.machine.deadline()
        if due is None:
            return
        if due > now:
            port.due_s = due
            self.at(due, self._due, port)
            return
        port.machine.wake(now)
        self._pump(port, now)

    def _send(self, port: Port, lpdu: bytes, now: float) -> None:
        if self.channel is not None:
            self.channel.submit(port, lpdu, now)
            return
        if not MIN_FRAME <= len(lpdu) + 2 <= MAX_FRAME:
            port.dropped += 1
            return
        airtime_s = 0.0 if self.speed is None else self.speed.airtime_s(len(lpdu) + 2)
        start_s = max(now, port.free_s)
        port.free_s = start_s + airtime_s
        port.airtime_s += airtime_s
        port.sent += 1
        self.at(port.free_s, self.arrive, Transmission(self.next_frame(), port, lpdu, start_s, port.free_s))

    def next_frame(self) -> int:
        """A number for a frame."""
        self._frames += 1
        return self._frames

    # ---- delivery ---------------------------------------------------------------------------------------------------
    def arrive(self, transmission: Transmission, now: float) -> None:
        """A frame is whole on the line: hand it to those who could take it."""
        sender, lpdu = transmission.sender, transmission.lpdu
        for tap in self._taps:
            tap(now, sender, lpdu)
        packet: Packet | None
        try:
            packet = packet_of(lpdu)
            listeners = self._index.listeners(packet)
        except DecodeError:
            packet = None
            listeners = self._index.monitors()
        if self.channel is not None:
            listeners = self.channel.within(transmission, listeners)
        if self.medium is None and self.links.all_clear and not transmission.overlaps:
            for port in listeners:
                if port is not sender:
                    self._hand(port, lpdu, packet, now)
            return
        for port in listeners:
            if port is not sender:
                self._carry(transmission, port, packet, now)

    def _carry(self, transmission: Transmission, port: Port, packet: Packet | None, now: float) -> None:
        """One way of a frame, with its faults."""
        links, number, sender = self.links, transmission.number, transmission.sender.number
        channel = self.channel
        fate = links.fate(number, sender, port.number) if channel is None else channel.fate(transmission, port)
        if fate == Fate.UNHEARD:
            return
        if fate == Fate.COLLIDED:
            port.damaged += 1
            return
        if fate == Fate.LOST:
            port.lost += 1
            return
        lpdu = transmission.lpdu
        if fate == Fate.DAMAGED:
            port.damaged += 1
            frame = links.damaged(number, port.number, with_crc(lpdu))
            if not has_crc(frame):
                if self.channel is None and port.statistics is not None:  # else the link counts it
                    port.statistics.count("transmission_errors")
                return
            lpdu, packet = frame[:-2], None  # the one in 65,536 that no CRC notices
        if self.medium is not None:
            port.heard = transmission
        later = links.arrivals(number, sender, port.number, transmission.end_s - transmission.start_s)
        port.duplicated += len(later) - 1
        for delay_s in later:
            if delay_s:
                self.at(now + delay_s, self._hand_late, (port, lpdu, packet))
            else:
                self._hand(port, lpdu, packet, now)

    def _hand_late(self, what: tuple[Port, bytes, Packet | None], now: float) -> None:
        self._hand(*what, now)

    def _hand(self, port: Port, lpdu: bytes, packet: Packet | None, now: float) -> None:
        port.received += 1
        if packet is None:
            port.machine.receive_frame(lpdu, now)
        else:
            port.machine.receive(packet, now)
        self._pump(port, now)
