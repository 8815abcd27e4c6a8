"""CN/IP on a UDP socket: see ``udp`` for ports and ``lon.cnip`` for the packets. Project choice where they are silent."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from osgp.crypto.keys import Key
from osgp.lon.cnip import PORT, CnIp
from osgp.lon.lonip_map import Endpoint, Place
from osgp.ports.udp import DatagramPort, DatagramTap, PacketMachine, bound_socket, on_socket

__all__ = ["CnIpPort"]


class CnIpPort(DatagramPort):
    """A machine on a CN/IP channel."""

    def __init__(
        self,
        machine: PacketMachine,
        carrier: CnIp,
        *,
        on_event: Callable[[Any], None] | None = None,
        tap: DatagramTap | None = None,
    ) -> None:
        super().__init__(machine, carrier.write, on_event=on_event, tap=tap)
        self.carrier = carrier

    @classmethod
    async def open(
        cls,
        machine: PacketMachine,
        members: Sequence[Endpoint],
        host: str = "0.0.0.0",
        port: int = PORT,
        *,
        routes: Mapping[Place, Endpoint] | None = None,
        crc: bool = False,
        secret: Key | None = None,
        strangers: bool = False,
        on_event: Callable[[Any], None] | None = None,
        tap: DatagramTap | None = None,
    ) -> Self:
        """Open a port in the running event loop.

        ``members``: endpoints of the channel's other members, who are not asked (static routing). ``host``, ``port``: where to listen.
        The others: see ``lon.cnip.CnIp``; every opening is a new session. Raises ConfigError, PortClosed.
        """
        carrier = CnIp(
            members,
            routes=routes,
            session=secrets.randbits(32),
            crc=crc,
            secret=secret,
            strangers=strangers,
        )
        made = bound_socket(host, port)
        found = cls(machine, carrier, on_event=on_event, tap=tap)
        found.name = f"cnip://{host}:{made.getsockname()[1]}"
        await on_socket(found, made)
        return found

    def _received(self, datagram: bytes, source: Endpoint, now: float) -> None:
        for packet in self.carrier.read(datagram, source, now):
            self.machine.receive(packet, now)
