"""Which IP address a node has: derived from its place, learnt from its packets, announced, or told.

LON/IP over UDP as one open stack speaks it (DX ``lon_udp``); ``spec/iso14908-1.md`` 7.1. How many mappings are kept and for how long
is a project choice (that stack keeps 50 and forgets all when they are full). Nothing in LON/IP proves where a datagram comes from:
what was told beforehand is never overwritten by what is learnt.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import AddressValueError, IPv4Address
from math import inf
from typing import TypeAlias

from osgp.wire.errors import BadValue, ConfigError

__all__ = [
    "BROADCASTS",
    "PORT",
    "AddressMap",
    "Endpoint",
    "Peer",
    "Place",
    "derived_address",
    "domain_of",
    "group_address",
    "ipv4_octets",
    "place_of",
    "subnet_address",
]

PORT = 2541
"""UDP port of LON/IP."""
BROADCASTS = "239.192.0.0"
"""Where broadcasts to a whole domain go."""

Endpoint: TypeAlias = tuple[str, int] | tuple[str, int, int, int]
"""A UDP endpoint as socket interfaces have it: IP address and port; for IPv6 flow and scope besides."""
Place: TypeAlias = tuple[bytes, int, int]
"""A node's place: its domain's identifier, subnet, node."""

_ENTRIES = 16384
_AGE_S = 3600.0
_SECOND_CHANCES = 16
_DOMAINS = 16
_ZERO_LENGTH = bytes((192, 168))
_ONE_BYTE = 10
_MULTICASTS = bytes((239, 192))
_OF_SUBNET, _OF_GROUP = 0, 1


def _dotted(address: bytes) -> str:
    return ".".join(map(str, address))


def ipv4_octets(ip: str) -> bytes | None:
    """The four bytes of an IPv4 address (also of one inside an IPv6 address), else None."""
    try:
        return IPv4Address(ip.removeprefix("::ffff:")).packed
    except AddressValueError:
        return None


def derived_address(domain: bytes, subnet: int, node: int) -> str | None:
    """The IPv4 address that follows from a place; None where none does.

    That is so for domains of 6 bytes, for those of 3 bytes whose last is not 0, and for the few of 3 bytes whose addresses would
    say a shorter domain.
    """
    prefix = _ZERO_LENGTH if not domain else bytes((_ONE_BYTE, domain[0])) if len(domain) == 1 else domain[:2]
    address = _dotted(prefix + bytes((subnet, node)))
    return address if domain_of(address) == domain else None


def domain_of(ip: str) -> bytes | None:
    """The domain that an IPv4 address says, always one: 192.168 the zero-length one, 10.d, else d1.d2 and 0. None for IPv6."""
    octets = ipv4_octets(ip)
    if octets is None:
        return None
    if octets[:2] == _ZERO_LENGTH:
        return b""
    return octets[1:2] if octets[0] == _ONE_BYTE else octets[:2] + b"\0"


def place_of(ip: str) -> Place | None:
    """The place that an IPv4 address says; None for IPv6, and for addresses whose last byte is no node (0, 128 and more)."""
    domain, octets = domain_of(ip), ipv4_octets(ip)
    if domain is None or octets is None or not 0 < octets[3] < 128:
        return None
    return domain, octets[2], octets[3]


def subnet_address(subnet: int) -> str:
    """The multicast address of a subnet, 0 of the whole domain."""
    return _dotted(_MULTICASTS + bytes((_OF_SUBNET, subnet)))


def group_address(group: int) -> str:
    """The multicast address of a group."""
    return _dotted(_MULTICASTS + bytes((_OF_GROUP, group)))


class Peer:
    """Where a node is reached.

    ``derived``: its IP address follows from its place, and so says it. ``fixed``: told beforehand, never learnt, never too old.
    ``heard``: when its last packet came, seconds; the future, if that does not matter. ``gone``: the map no longer knows it; who
    kept it asks the map again.
    """

    __slots__ = ("derived", "endpoint", "fixed", "gone", "heard", "mark")

    def __init__(self, endpoint: Endpoint, derived: bool, heard: float, *, fixed: bool = False) -> None:
        self.endpoint = endpoint
        self.derived = derived
        self.fixed = fixed
        self.heard = heard
        self.mark = heard
        self.gone = False

    def __repr__(self) -> str:
        kind = "fixed" if self.fixed else "derived" if self.derived else "learnt"
        return f"Peer({self.endpoint[0]}:{self.endpoint[1]}, {kind})"


class AddressMap:
    """Places to IP addresses, within bounds.

    ``fixed``: places whose endpoints are told beforehand. ``entries``: most learnt places (the ones not heard for longest make
    room). ``age_s``: seconds after which a node that was not heard counts as unknown again; 0 never. Announcements of whole subnets
    are kept for 16 domains. ``port``: where nodes listen whose port nothing else says, and multicasts go.
    """

    def __init__(
        self,
        fixed: Mapping[Place, Endpoint] | None = None,
        *,
        entries: int = _ENTRIES,
        age_s: float = _AGE_S,
        port: int = PORT,
    ) -> None:
        if entries < 1:
            raise ConfigError(f"a map of {entries} addresses holds none")
        self.entries = entries
        self.oldest_s = age_s or inf
        self.port = port
        self._fixed = {place: Peer(endpoint, False, inf, fixed=True) for place, endpoint in (fixed or {}).items()}
        self._learnt: OrderedDict[Place, Peer] = OrderedDict()
        self._derived: dict[bytes, set[int]] = {}

    @property
    def age_s(self) -> float:
        """Seconds after which a node that was not heard counts as unknown again; 0 never."""
        return 0.0 if self.oldest_s == inf else self.oldest_s

    @age_s.setter
    def age_s(self, seconds: float) -> None:
        self.oldest_s = seconds or inf

    def __len__(self) -> int:
        return len(self._fixed) + len(self._learnt)

    def find(self, place: Place, now: float) -> Peer | None:
        """Where a node is reached, or None when that is not known."""
        peer = self._fixed.get(place) or self._learnt.get(place)
        if peer is not None and not self.is_old(peer, now):
            return peer
        if peer is not None:
            self._forget(place)
        domain, subnet, node = place
        address = derived_address(domain, subnet, node) if subnet in self._derived.get(domain, ()) else None
        return None if address is None else self._keep(place, Peer((address, self.port), True, now))

    def is_old(self, peer: Peer, now: float) -> bool:
        """Whether a node was not heard for so long that its address is in doubt."""
        return now - peer.heard > self.oldest_s

    def learn(self, place: Place, endpoint: Endpoint, derived: bool, now: float) -> Peer:
        """A packet of that node came from there. What was told beforehand stays as it is."""
        fixed = self._fixed.get(place)
        if fixed is not None:
            return fixed
        known = self._learnt.get(place)
        if known is not None and known.endpoint == endpoint and known.derived == derived:
            known.heard = now
            return known
        if known is not None:
            self._forget(place)
        return self._keep(place, Peer(endpoint, derived, now))

    def announce_subnets(self, domain: bytes, subnets: Iterable[int], derived: bool) -> None:
        """All nodes of these subnets have derived addresses, or no longer; what was learnt of single nodes there is forgotten.

        Raises BadValue for a domain from which no address can be derived.
        """
        if derived_address(domain, 1, 1) is None:
            raise BadValue("no IP address can be derived from this domain", floor="lon", field="subnets", data=domain)
        numbers = set(subnets)
        for place, peer in list(self._learnt.items()):
            if place[0] == domain and place[1] in numbers and (derived or peer.derived):
                self._forget(place)
        known = self._derived.pop(domain, set())
        known = known | numbers if derived else known - numbers
        if known:
            if len(self._derived) >= _DOMAINS:
                del self._derived[next(iter(self._derived))]
            self._derived[domain] = known

    def fixed_endpoints(self, domain: bytes, subnet: int = 0) -> Iterator[Endpoint]:
        """The endpoints told beforehand for places of a domain, or of one of its subnets; those of several nodes come once."""
        seen: set[Endpoint] = set()
        for place, peer in self._fixed.items():
            if place[0] == domain and (not subnet or place[1] == subnet) and peer.endpoint not in seen:
                seen.add(peer.endpoint)
                yield peer.endpoint

    def _keep(self, place: Place, peer: Peer) -> Peer:
        if len(self._learnt) >= self.entries:
            self._make_room()
        self._learnt[place] = peer
        return peer

    def _make_room(self) -> None:
        """Forget a node that was long not heard: the first of the queue that was silent since it was queued."""
        for _ in range(_SECOND_CHANCES):
            place, peer = next(iter(self._learnt.items()))
            if peer.heard <= peer.mark:
                break
            peer.mark = peer.heard
            self._learnt.move_to_end(place)
        self._forget(next(iter(self._learnt)))

    def _forget(self, place: Place) -> None:
        self._learnt.pop(place).gone = True
