"""A node's place on the simulated wire, and what the wire asks of the machine that sits there. Project choice."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from osgp.lon.entries import Statistics
from osgp.lon.interests import Interests
from osgp.lon.link import Link
from osgp.lon.packet import Packet

__all__ = ["OnEvents", "PacketMachine", "Port", "SharesLine"]


class PacketMachine(Protocol):
    """A machine with the five verbs and packets in place of bytes, as ``node.stack.Stack`` is one; time is the argument ``now``."""

    def receive(self, packet: Packet, now: float) -> None:
        """Take a packet."""

    def receive_frame(self, lpdu: bytes, now: float) -> None:
        """Take a frame without CRC that need not be a packet."""

    def outgoing(self, now: float) -> Sequence[Packet]:
        """Packets to send."""

    def events(self) -> Sequence[Any]:
        """What has happened since the last call."""

    def deadline(self) -> float | None:
        """When it wants to be woken."""

    def wake(self, now: float) -> None:
        """That time has come."""

    def interests(self) -> Interests:
        """Whom it listens to."""


@runtime_checkable
class SharesLine(Protocol):
    """A machine that does not send again what still waits for its turn on a shared channel, as ``node.stack.Stack`` does not."""

    def share_line(self, waits: Callable[[bytes], bool]) -> None:
        """Told when it joins: whether a frame of its own (without CRC) waits."""


class Port:
    """Where one machine is joined to a wire; counts what passes.

    ``sent``, ``received``: frames. ``lost``, ``damaged``, ``duplicated``: frames for this node to which a fault of the wire did that
    (a collision damages). ``collisions``: own transmissions that met another. ``dropped``: frames that the link refused or gave
    up. ``airtime_s``: of own transmissions, broken off ones included. ``link``: the access to a shared channel, None on a direct
    wire. ``phase``: of the mains it is joined to, 1 to 3, 0 not known. ``heard``: over a medium, the transmission it took last.
    """

    __slots__ = (
        "airtime_s",
        "burst",
        "collisions",
        "damaged",
        "dropped",
        "due_s",
        "duplicated",
        "free_s",
        "heard",
        "hearing",
        "interests",
        "link",
        "link_due_s",
        "lost",
        "machine",
        "name",
        "number",
        "on_events",
        "phase",
        "received",
        "sent",
        "statistics",
    )

    def __init__(
        self,
        number: int,
        machine: PacketMachine,
        on_events: OnEvents | None,
        statistics: Statistics | None,
        link: Link | None,
        name: str,
    ) -> None:
        self.number = number
        self.machine = machine
        self.on_events = on_events
        self.statistics = statistics
        self.link = link
        self.name = name or str(number)
        self.interests = Interests()
        self.phase = 0
        self.heard: Any = None
        self.due_s = self.link_due_s = math.inf  # of the entries in the wire's heap that count; all others are stale
        self.free_s = 0.0  # when its transmitter is free, on a direct wire
        self.hearing = 0  # transmissions of others that are under way, as far as it hears them
        self.burst = 0  # bursts of a shared channel that its link knows of
        self.sent = self.received = self.lost = self.damaged = self.duplicated = self.collisions = self.dropped = 0
        self.airtime_s = 0.0

    def __repr__(self) -> str:
        return f"Port({self.name}, sent={self.sent}, received={self.received})"


OnEvents = Callable[[Port, Sequence[Any], float], None]
