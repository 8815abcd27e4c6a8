"""LON/IP on a UDP socket: see ``udp`` for ports and ``lon.lonip`` for the datagrams. Project choice where they are silent."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self

from osgp.lon.interests import Interests
from osgp.lon.lonip import LonIp, announcement
from osgp.lon.lonip_map import (
    PORT,
    AddressMap,
    Endpoint,
    Place,
    derived_address,
    group_address,
    ipv4_octets,
    subnet_address,
)
from osgp.lon.managed import Managed
from osgp.lon.management import Management
from osgp.ports.udp import DatagramPort, DatagramTap, PacketMachine, bound_socket, on_socket
from osgp.wire.errors import ConfigError, PortClosed

__all__ = ["LonIpPort"]

_TTL = 32
"""Routers that a multicast may pass: the same site (open stack EX)."""
_FOLLOW_S = 1.0
"""How often a node is asked whom it listens to, seconds: management may change that at any time."""


class LonIpPort(DatagramPort):
    """A machine on LON/IP."""

    def __init__(
        self,
        machine: PacketMachine,
        carrier: LonIp,
        *,
        on_event: Callable[[Any], None] | None = None,
        tap: DatagramTap | None = None,
    ) -> None:
        super().__init__(machine, carrier.write, on_event=on_event, tap=tap)
        self.carrier = carrier
        letters = getattr(machine, "letters", None)
        if letters is not None:
            self._outgoing = letters
        self._read = carrier.read if letters is None else carrier.take
        self._joined: set[str] = set()
        self._hearing: asyncio.DatagramTransport | None = None
        self._following: asyncio.TimerHandle | None = None
        self._announcing: asyncio.TimerHandle | None = None
        self._managed: Managed | None = None
        self._announce_s = 0

    @classmethod
    async def open(
        cls,
        machine: PacketMachine,
        host: str = "0.0.0.0",
        port: int = PORT,
        *,
        own: str = "",
        peers: Mapping[Place, Endpoint] | None = None,
        listeners: Sequence[Endpoint] = (),
        multicast: bool = False,
        announce_s: float = 0.0,
        addresses: AddressMap | None = None,
        on_event: Callable[[Any], None] | None = None,
        tap: DatagramTap | None = None,
    ) -> Self:
        """Open a port in the running event loop.

        ``host``, ``port``: where to listen. ``own``: the IP address that peers see, where ``host`` is not that. ``peers``: nodes whose
        endpoints are known beforehand (else ``addresses``, a map of the caller's). ``multicast``: packets for many go to IP
        multicast addresses, and those of the machine's own domain, subnets and groups are joined (``machine.interests()``, where it
        has that), and all nodes listen at the same port, whatever port they send from; without it packets for many go to the
        peers and ``listeners`` one by one. ``announce_s``: seconds between announcements of an IP address that does not follow
        from the node's place; 0 none. Raises ConfigError, PortClosed.
        """
        if peers is not None and addresses is not None:
            raise ConfigError("peers belong into the map of addresses, where one is given")
        made = bound_socket(host, port, shared=multicast)
        if not own and host not in ("", "0.0.0.0", "::"):
            own = host
        carrier = LonIp(
            addresses if addresses is not None else AddressMap(peers, port=port or PORT),
            own=own,
            home=lambda: _places(machine),
            multicast=multicast,
            listeners=listeners,
        )
        found = cls(machine, carrier, on_event=on_event, tap=tap)
        found.name = f"lonip://{host}:{made.getsockname()[1]}"
        if multicast:
            found._prepare_multicast(made, own)
        await on_socket(found, made)
        if multicast:
            if made.getsockname()[0] != "0.0.0.0":
                await found._hear_multicasts(made.getsockname()[1])
            found._follow()
        management = getattr(machine, "management", None)
        if isinstance(management, Management):
            management.on_carrier(carrier.addresses, ipv4_octets(own), round(announce_s))
            found._managed = management.node
            found._announce_s = management.node.announce_period_s
        if announce_s > 0:
            found._announce(announce_s)
        return found

    def _received(self, datagram: bytes, source: Endpoint, now: float) -> None:
        read = self._read  # a call of what is no method is slower without a name
        packet: Any = read(datagram, source, now)
        if packet is None:
            return
        self.machine.receive(packet, now)
        managed = self._managed
        if managed is not None and managed.announce_period_s != self._announce_s:
            self._announce_s = managed.announce_period_s
            self._announce_every(self._announce_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed."""
        for timer in (self._following, self._announcing):
            if timer is not None:
                timer.cancel()
        if self._hearing is not None:
            self._hearing.close()
        super().connection_lost(exc)

    def join(self, subnets: Iterable[int] = (), groups: Iterable[int] = ()) -> None:
        """Hear multicasts to these subnets and groups, besides those to the domain; earlier ones that are not named are left.

        Raises ConfigError where the operating system refuses (it limits their number; Linux: ``net.ipv4.igmp_max_memberships``).
        """
        wanted = {subnet_address(0), *map(subnet_address, subnets), *map(group_address, groups)}
        for address in self._joined - wanted:
            self._membership(address, socket.IP_DROP_MEMBERSHIP)
        for address in wanted - self._joined:
            self._membership(address, socket.IP_ADD_MEMBERSHIP)

    def _membership(self, address: str, option: int) -> None:
        transport = self._hearing or self._transport
        made = None if transport is None else transport.get_extra_info("socket")
        if made is None:
            return
        interface = socket.inet_aton(self.carrier.own or "0.0.0.0")
        try:
            made.setsockopt(socket.IPPROTO_IP, option, socket.inet_aton(address) + interface)
        except OSError as error:
            raise ConfigError(f"{self.name} cannot hear {address}: {error.strerror}") from error
        (self._joined.add if option == socket.IP_ADD_MEMBERSHIP else self._joined.discard)(address)

    async def _hear_multicasts(self, port: int) -> None:
        """Open a second socket: an operating system hands multicasts to none that is bound to one of its own addresses."""
        try:
            made = bound_socket("", port, shared=True)
            self._hearing, _ = await self._loop.create_datagram_endpoint(lambda: _Hearing(self), sock=made)
        except ConfigError:
            self.close()
            raise
        except OSError as error:
            made.close()
            self.close()
            raise PortClosed(f"{self.name} cannot hear multicasts: {error.strerror}") from error

    @staticmethod
    def _prepare_multicast(made: socket.socket, own: str) -> None:
        try:
            made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, _TTL)
            if own:
                made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(own))
        except OSError as error:
            made.close()
            raise ConfigError(
                f"no IP multicast from {own or 'this socket'}: {error.strerror or error}", hint="IPv4 only"
            ) from error

    def _follow(self) -> None:
        """Join what the machine listens to, now and from time to time."""
        interests = _interests(self.machine)
        try:
            self.join({subnet for _, subnet, _ in interests.memberships}, {group for _, group in interests.groups})
        except ConfigError as error:
            self.report(error)
        self._following = self._loop.call_later(_FOLLOW_S, self._follow)

    def _announce_every(self, period_s: float) -> None:
        """Network management wants our IP address announced every so many seconds; 0 not at all."""
        if self._announcing is not None:
            self._announcing.cancel()
            self._announcing = None
        if period_s > 0:
            self._announcing = self._loop.call_later(period_s, self._announce, period_s)

    def _announce(self, period_s: float) -> None:
        """Tell each domain our IP address, where it does not follow from our place; now and from time to time."""
        now = self._clock()
        for place in _places(self.machine):
            if derived_address(*place) != self.carrier.own:
                self._send(announcement(place), now)
        self._announcing = self._loop.call_later(period_s, self._announce, period_s)


class _Hearing(asyncio.DatagramProtocol):
    """The socket of a port on which multicasts arrive."""

    def __init__(self, port: LonIpPort) -> None:
        self._port = port

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """A datagram came in."""
        self._port.datagram_received(data, addr)


def _interests(machine: PacketMachine) -> Interests:
    """Whom a machine says it listens to; nobody, if it cannot say."""
    ask: Callable[[], Interests] | None = getattr(machine, "interests", None)
    return Interests() if ask is None else ask()


def _places(machine: PacketMachine) -> tuple[Place, ...]:
    return _interests(machine).memberships
