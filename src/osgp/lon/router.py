"""A router: what comes in on one side and is for the others goes out there.

ISO/IEC 14908-1, routers; ``spec/iso14908-1.md`` 2.4, 5.5, after an open stack and a maker's manual of routers (read, not run). Each
side is a node of its own, with its domains and addresses. What a side's tables mark is forwarded *from* that side; an unmarked
subnet lives on it. A table is kept twice: what survives a reset, and what holds now.

For one packet in, at most (sides - 1) * (domains of the side it came from) go out, and none where it came from. Two routers side by
side make a loop all the same: nothing in a packet says how often it was forwarded. That is why a packet whose source lives on the
other side, and not on the one it came from, is not forwarded there.

Beyond two sides (project choice): where one of the other sides has the destination's subnet, the packet goes only there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from osgp.lon.apdu import ROUTER_ESCAPE, failure_code, success_code
from osgp.lon.configuration import DOMAINS, Configuration, Membership
from osgp.lon.nm import Done
from osgp.lon.nm_router import (
    ClearGroupForward,
    ClearRouterTable,
    ClearSubnetForward,
    DownloadRouterTable,
    QueryRouterStatus,
    QueryRouterTable,
    RouterKind,
    RouterMode,
    RouterStatusResponse,
    RouterTableResponse,
    SetGroupForward,
    SetRouterMode,
    SetSubnetForward,
)
from osgp.lon.npdu import AddressFormat, Npdu, domain_code
from osgp.lon.packet import Packet
from osgp.wire import EMPTY, Struct, layout_of
from osgp.wire.errors import ConfigError

__all__ = ["ForwardingTable", "Router", "RouterCounters", "RouterSide"]

_NUMBERS = 256
_BLOCK = 8


class ForwardingTable:
    """256 bits, one for each subnet or group: whether it is forwarded. Bit n is bit n % 8, least significant first, of byte n // 8.

    ``volatile``: what holds now. ``permanent``: what a reset of a configured router goes back to. Subnet 0 is no place to forward
    to, its bit is never set (the maker's manual).
    """

    __slots__ = ("_first", "permanent", "volatile")

    def __init__(self, *, subnets: bool) -> None:
        self._first = 0xFE if subnets else 0xFF
        self.permanent = bytearray(_NUMBERS // 8)
        self.volatile = bytearray(_NUMBERS // 8)

    def forwards(self, number: int) -> bool:
        """Whether what is for this subnet or group (0..255) is forwarded."""
        return bool(self.volatile[number >> 3] >> (number & 7) & 1)

    def mark(self, number: int, forward: bool, *, permanent: bool) -> None:
        """Change one bit for now or, if ``permanent``, for now and ever."""
        for memory in (self.volatile, self.permanent) if permanent else (self.volatile,):
            if forward:
                memory[number >> 3] |= 1 << (number & 7)
            else:
                memory[number >> 3] &= ~(1 << (number & 7))
            memory[0] &= self._first

    def block(self, block: int, *, permanent: bool) -> bytes:
        """Eight bytes of the table; ``block`` 0..3."""
        return bytes((self.permanent if permanent else self.volatile)[_BLOCK * block : _BLOCK * (block + 1)])

    def write_block(self, block: int, data: bytes) -> None:
        """Write eight bytes, for now and ever."""
        for memory in (self.volatile, self.permanent):
            memory[_BLOCK * block : _BLOCK * (block + 1)] = data
            memory[0] &= self._first

    def reset(self, *, flood: bool) -> None:
        """Go back to what is permanent or, if ``flood``, mark everything."""
        self.volatile[:] = b"\xff" * len(self.permanent) if flood else self.permanent
        self.volatile[0] &= self._first


class RouterSide:
    """One half of a router: a node on one side, and the tables by which it forwards what it hears.

    ``configuration``: who the half is; its domain entries are those in which it forwards. ``manage``: answers any other command that
    reaches the half through the escape (an APDU in, an APDU or None for silence out); without it they are refused. It is told
    nothing of who asked, and should trust nobody.
    ``heard``: when a learning router last heard a subnet here, by domain index and subnet, in seconds.
    """

    __slots__ = ("configuration", "groups", "heard", "manage", "subnets")

    def __init__(self, configuration: Configuration, manage: Callable[[bytes], bytes | None] | None = None) -> None:
        self.configuration = configuration
        self.manage = manage
        self.subnets = tuple(ForwardingTable(subnets=True) for _ in range(DOMAINS))
        self.groups = tuple(ForwardingTable(subnets=False) for _ in range(DOMAINS))
        self.heard: dict[tuple[int, int], float] = {}

    def membership(self, domain: bytes) -> Membership | None:
        """The half's place in a domain, None where it is no member."""
        for membership in self.configuration.memberships():
            if membership.domain == domain:
                return membership
        return None


@dataclass(slots=True)
class RouterCounters:
    """What became of the packets, by reason.

    ``forwarded``: packets sent out. ``filtered``: the tables keep them on their side. ``foreign``: of a domain that is not ours.
    ``returned``: their source lives on the other side. ``empty``: nothing enclosed. ``offline``: a half was not online.
    ``partitions``: times that a learning router found a subnet on more than one side.
    """

    forwarded: int = 0
    filtered: int = 0
    foreign: int = 0
    returned: int = 0
    empty: int = 0
    offline: int = 0
    partitions: int = 0


class Router:
    """Forwards packets between its sides (two, or more). Raises ConfigError for a kind that is none, and for fewer sides than two.

    ``kind``: ``RouterKind``; who changes it calls ``reset``.
    """

    __slots__ = ("counters", "kind", "mode", "sides")

    def __init__(self, kind: int, sides: Sequence[RouterSide]) -> None:
        if kind not in tuple(RouterKind):
            raise ConfigError(f"{kind} is no kind of router", hint="0 configured, 1 learning, 2 bridge, 3 repeater")
        if len(sides) < 2:
            raise ConfigError(f"a router has two sides or more, not {len(sides)}")
        self.kind = kind
        self.sides = tuple(sides)
        self.mode = int(RouterMode.NORMAL)
        self.counters = RouterCounters()
        self.reset()

    def reset(self) -> None:
        """As after a reset: normal mode; a learning router has forgotten what it learnt and forwards everything."""
        self.mode = int(RouterMode.NORMAL)
        self._initialise()

    @property
    def online(self) -> bool:
        """Whether it forwards: all of its halves are configured and online."""
        return all(side.configuration.online for side in self.sides)

    def forward(self, packet: Packet, from_side: int, now: float) -> list[tuple[int, Packet]]:
        """Where a packet heard on ``from_side`` goes on: (side, packet), in the order of the sides. The packet itself is not changed.

        Priority, path and delta backlog are those of the packet (*unverified*). ``now`` in seconds.
        """
        if not self.online:
            self.counters.offline += 1
            return []
        npdu = packet.npdu
        if not npdu.pdu:
            self.counters.empty += 1
            return []
        others = [number for number in range(len(self.sides)) if number != from_side]
        if self.kind == RouterKind.REPEATER:
            return self._sent([(number, packet) for number in others])
        if not npdu.domain and not npdu.source_subnet and npdu.control.address_format == AddressFormat.BROADCAST:
            return self._into_every_domain(packet, from_side, others)
        side = self.sides[from_side]
        place = side.membership(npdu.domain)
        members = [number for number in others if self.sides[number].membership(npdu.domain) is not None]
        if place is None or not members:
            self.counters.foreign += 1
            return []
        if not npdu.source_subnet:
            packet = packet._replace(npdu=_changed(npdu, source_subnet=place.subnet))
        if self.kind == RouterKind.BRIDGE or self.mode == RouterMode.TEMPORARY_BRIDGE:
            return self._sent([(number, packet) for number in members])
        targets = self._targets(packet.npdu, from_side, place, members)
        if self.kind == RouterKind.LEARNING:
            self._learn(from_side, place.domain_index, packet.npdu.source_subnet, now)
        return self._sent([(number, packet) for number in targets])

    def serve(self, apdu: bytes, side: int = 0) -> bytes | None:
        """The answer to a router's command (74 to 7C, 7E) that reached the half ``side``; None for one that is no router's.

        Who may ask was checked by who calls (``spec/iso14908-1.md`` 5.4). The answer to an escape is that of the command inside; its
        own code refuses what cannot be handed on: no command, an escape in an escape, more than two sides.
        """
        code = apdu[0] if apdu else -1
        if code == ROUTER_ESCAPE:
            return self._escape(apdu[1:], side)
        layout = _COMMANDS.get(code)
        if layout is None:
            return None
        if len(apdu) != layout_of(layout, EMPTY).size:
            return bytes((failure_code(code),))
        return self._execute(layout.decode(apdu), code, self.sides[side])

    def _targets(self, npdu: Npdu, from_side: int, place: Membership, members: list[int]) -> list[int]:
        """The sides that a configured or learning router sends a packet of its domain to."""
        tables = self.sides[from_side].subnets[place.domain_index]
        if npdu.control.address_format == AddressFormat.MULTICAST:
            wanted = self.sides[from_side].groups[place.domain_index].forwards(npdu.group or 0)
            targets = members
        else:
            subnet = npdu.destination_subnet or 0
            wanted = not subnet or tables.forwards(subnet)
            living = [number for number in members if subnet and self._lives(number, npdu.domain, subnet)]
            targets = living or members
        if not wanted:
            self.counters.filtered += 1
            return []
        source = npdu.source_subnet
        if tables.forwards(source):
            kept = [number for number in targets if not self._lives(number, npdu.domain, source)]
            self.counters.returned += len(targets) - len(kept)
            return kept
        return targets

    def _lives(self, number: int, domain: bytes, subnet: int) -> bool:
        side = self.sides[number]
        place = side.membership(domain)
        return place is not None and not side.subnets[place.domain_index].forwards(subnet)

    def _learn(self, from_side: int, index: int, subnet: int, now: float) -> None:
        if not subnet:
            return
        side = self.sides[from_side]
        side.heard[index, subnet] = now
        if side.subnets[index].forwards(subnet):
            domain = side.configuration.domains[index].domain
            side.subnets[index].mark(subnet, False, permanent=False)
            self.counters.partitions += any(
                self._lives(number, domain, subnet) for number in range(len(self.sides)) if number != from_side
            )

    def _into_every_domain(self, packet: Packet, from_side: int, others: list[int]) -> list[tuple[int, Packet]]:
        """A broadcast of a node that has neither domain nor address, such as a service pin: to all nodes of all our domains."""
        copies = []
        for place in self.sides[from_side].configuration.memberships():
            control = packet.npdu.control.with_(domain_length=domain_code(place.domain))
            npdu = _changed(
                packet.npdu,
                control=control,
                source_subnet=place.subnet,
                destination_subnet=0,
                domain=place.domain,
            )
            for number in others:
                if self.sides[number].membership(place.domain) is not None:
                    copies.append((number, packet._replace(npdu=npdu)))
        if not copies:
            self.counters.foreign += 1
        return self._sent(copies)

    def _sent(self, copies: list[tuple[int, Packet]]) -> list[tuple[int, Packet]]:
        self.counters.forwarded += len(copies)
        return copies

    def _initialise(self) -> None:
        flood = self.kind == RouterKind.LEARNING
        for side in self.sides:
            side.heard.clear()
            for table in (*side.subnets, *side.groups):
                table.reset(flood=flood)

    def _escape(self, inner: bytes, side: int) -> bytes | None:
        refusal = bytes((failure_code(ROUTER_ESCAPE),))
        if not inner or inner[0] == ROUTER_ESCAPE or len(self.sides) != 2:
            return refusal
        if inner[0] in _COMMANDS:
            return self.serve(inner, 1 - side)
        manage = self.sides[1 - side].manage
        return refusal if manage is None else manage(inner)

    def _execute(self, request: Struct, code: int, side: RouterSide) -> bytes:
        if isinstance(request, QueryRouterStatus):
            return RouterStatusResponse(kind=self.kind, mode=self.mode).encode()
        if isinstance(request, QueryRouterTable):
            select = request.select
            tables = side.groups if select.group else side.subnets
            block = tables[select.domain_index].block(select.block, permanent=bool(select.permanent))
            return RouterTableResponse(block=block).encode()
        done = True
        if isinstance(request, SetRouterMode):
            done = self._set_mode(request.mode)
        elif isinstance(request, (ClearRouterTable, DownloadRouterTable)):
            tables = side.groups if request.select.group else side.subnets
            data = request.block if isinstance(request, DownloadRouterTable) else bytes(_BLOCK)
            tables[request.select.domain_index].write_block(request.select.block, data)
        else:
            assert isinstance(request, (SetGroupForward, SetSubnetForward))  # with what is derived from them
            forward = not isinstance(request, (ClearGroupForward, ClearSubnetForward))
            subnets = isinstance(request, SetSubnetForward)
            done = not (subnets and forward and request.number == 0)
            table = (side.subnets if subnets else side.groups)[request.select.domain_index]
            table.mark(request.number, forward, permanent=bool(request.select.permanent))
        return Done(code=success_code(code) if done else failure_code(code)).encode()

    def _set_mode(self, mode: int) -> bool:
        if mode == RouterMode.INITIALISE:
            self._initialise()
        elif mode in (RouterMode.NORMAL, RouterMode.TEMPORARY_BRIDGE):
            self.mode = mode
        else:
            return False
        return True


_COMMANDS: dict[int, type[Struct]] = {
    0x74: SetRouterMode,
    0x75: ClearRouterTable,
    0x76: DownloadRouterTable,
    0x77: SetGroupForward,
    0x78: SetSubnetForward,
    0x79: ClearGroupForward,
    0x7A: ClearSubnetForward,
    0x7B: QueryRouterTable,
    0x7C: QueryRouterStatus,
}


def _changed(npdu: Npdu, **values: Any) -> Npdu:
    """A copy with other values: a packet that others may hold is never written to."""
    kept = {name: getattr(npdu, name) for name in Npdu.specs}
    return Npdu(**(kept | values))
