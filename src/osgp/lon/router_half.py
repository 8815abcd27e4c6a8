"""One side of a router as a machine on its line: the five verbs, with packets in place of bytes.

Project choice. A half is a node, too (its ``node``, if it has one): that hears what its line carries and what the router sends out on
it, and what it sends goes out on its line and is forwarded like anything else from there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from osgp.lon.events import Dropped, Event
from osgp.lon.interests import Interests
from osgp.lon.packet import Packet, packet_of
from osgp.lon.router import Router
from osgp.wire.errors import ConfigError, DecodeError

__all__ = ["HalfNode", "RouterHalf", "halves_of"]


class HalfNode(Protocol):
    """What a half's own node must do, as ``node.stack.Stack`` does."""

    def receive(self, packet: Packet, now: float) -> None: ...

    def outgoing(self, now: float) -> Sequence[Packet]: ...

    def events(self) -> Sequence[Event]: ...

    def deadline(self) -> float | None: ...

    def wake(self, now: float) -> None: ...


class RouterHalf:
    """One side of a router on its line; made by ``halves_of``.

    ``wanted``: called with the time when the other side has left something to send here, since nobody else asks this machine
    then. ``serve`` is what the half's management hands a router's commands to.
    """

    __slots__ = ("_dropped", "_halves", "_out", "node", "router", "side", "wanted")

    def __init__(self, router: Router, side: int, node: HalfNode | None, halves: list[RouterHalf]) -> None:
        self.router = router
        self.side = side
        self.node = node
        self.wanted: Callable[[float], None] | None = None
        self._halves = halves
        self._out: list[Packet] = []
        self._dropped: list[Event] = []

    def receive_frame(self, lpdu: bytes, now: float) -> None:
        """Take a frame without CRC from the line."""
        try:
            packet = packet_of(lpdu)
        except DecodeError as error:
            self._dropped.append(Dropped(error.message, lpdu[:64]))
            return
        self.receive(packet, now)

    def receive(self, packet: Packet, now: float) -> None:
        """Take a packet from the line."""
        if self.node is not None:
            self.node.receive(packet, now)
        self._forward(packet, now)

    def outgoing(self, now: float) -> list[Packet]:
        """Packets for the line: what the other sides left here, and what the half's own node sends."""
        if self.node is not None:
            for packet in self.node.outgoing(now):
                self._out.append(packet)
                self._forward(packet, now)
        out, self._out = self._out, []
        return out

    def events(self) -> list[Event]:
        """What has happened since the last call, the node's events included."""
        events, self._dropped = self._dropped, []
        return events if self.node is None else [*events, *self.node.events()]

    def deadline(self) -> float | None:
        """When the node wants to be woken; forwarding waits for nothing."""
        return None if self.node is None else self.node.deadline()

    def wake(self, now: float) -> None:
        """That time has come."""
        if self.node is not None:
            self.node.wake(now)

    def interests(self) -> Interests:
        """A router listens to everything."""
        return Interests(promiscuous=True)

    def serve(self, apdu: bytes) -> bytes | None:
        """See ``Router.serve``."""
        return self.router.serve(apdu, self.side)

    def _forward(self, packet: Packet, now: float) -> None:
        for number, copy in self.router.forward(packet, self.side, now):
            half = self._halves[number]
            half._out.append(copy)
            if half.node is not None:
                half.node.receive(copy, now)
            if half.wanted is not None:
                half.wanted(now)


def halves_of(router: Router, nodes: Sequence[HalfNode | None] = ()) -> list[RouterHalf]:
    """A machine for each side of a router. ``nodes``: the halves' own nodes, if they have any. Raises ConfigError."""
    if nodes and len(nodes) != len(router.sides):
        raise ConfigError(f"{len(nodes)} nodes do not fit a router with {len(router.sides)} sides")
    halves: list[RouterHalf] = []
    for side in range(len(router.sides)):
        halves.append(RouterHalf(router, side, nodes[side] if nodes else None, halves))
    return halves
