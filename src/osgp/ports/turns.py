"""Turns: what arrives at the datagram ports of an event loop at one time is looked at together. Project choice."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol
from weakref import WeakValueDictionary

from osgp.lon.lonip_map import Endpoint
from osgp.ports.readiness import readiness_of

__all__ = ["MOST", "Turn", "Turning", "turn_of"]

MOST = 32
"""Datagrams of one turn, at most."""


class Turning(Protocol):
    """What a turn asks of a port."""

    def take(self, datagram: bytes, source: Any, now: float) -> None: ...
    def speak(self, now: float) -> None: ...
    def sendto(self, datagram: bytes, endpoint: Endpoint) -> None: ...
    def unsent(self) -> None: ...
    def report(self, error: Exception) -> None: ...


class Turn:
    """What has arrived at the ports of an event loop and is looked at together.

    Reading, thinking and sending in three strides, each for many datagrams, costs much less than one after the other for each:
    the processor keeps what it needs at hand, and a machine is asked once for what all of them gave it to say. A turn is short
    all the same, so that the other side need not wait for the last of it.
    """

    __slots__ = ("__weakref__", "_loop", "_readiness", "arrived", "leaving")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._readiness = readiness_of(loop)
        self.arrived: list[tuple[Turning, bytes, Any]] = []
        self.leaving: list[tuple[Turning, bytes, Endpoint]] | None = None

    def begin(self, first: tuple[Turning, bytes, Any]) -> None:
        """Begin a turn with its first datagram; the others are put behind it (``arrived``), and the last calls ``run``."""
        self.arrived.append(first)
        self._readiness.then(self.run)

    def run(self) -> None:
        """Look at what has arrived."""
        arrived = self.arrived
        if not arrived:
            return  # it was full, and has been looked at
        self.arrived = []
        now = self._loop.time()
        ports: dict[Turning, None] = {}
        for port, datagram, source in arrived:
            port.take(datagram, source, now)
            ports[port] = None
        leaving: list[tuple[Turning, bytes, Endpoint]] = []
        self.leaving = leaving
        try:
            for port in ports:
                try:
                    port.speak(now)
                except Exception as error:
                    port.report(error)
        finally:  # also after an interrupt: else nothing would ever be sent again
            self.leaving = None
        for port, datagram, endpoint in leaving:
            try:
                port.sendto(datagram, endpoint)
            except (OSError, ValueError):  # an address that this socket cannot send to, or closed meanwhile
                port.unsent()


_turns: WeakValueDictionary[int, Turn] = WeakValueDictionary()
"""By the identity of the event loop; an entry lasts as long as a port of that loop."""


def turn_of(loop: asyncio.AbstractEventLoop) -> Turn:
    """The turn that all datagram ports of an event loop share."""
    found = _turns.get(id(loop))
    if found is None:
        found = _turns[id(loop)] = Turn(loop)
    return found
