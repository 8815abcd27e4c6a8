"""Who could take a packet, found without asking every node: what a frame costs does not grow with those who ignore it.

Rules: ``spec/iso14908-1.md`` 2.3; form: project choice.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from osgp.lon.interests import Interests
from osgp.lon.npdu import AddressFormat
from osgp.lon.packet import Packet
from osgp.sim.wire_port import Port

__all__ = ["ListenerIndex"]

_BROADCAST, _MULTICAST, _SUBNET_NODE = (
    int(AddressFormat.BROADCAST),
    int(AddressFormat.MULTICAST),
    int(AddressFormat.SUBNET_NODE),
)
_HOMELESS = "hears broadcasts of every domain"
_ALL = "hears everything"


def _keys(interests: Interests) -> Iterator[Hashable]:
    """The places of a node in the index. Their first words keep the kinds apart."""
    for domain, subnet, node in interests.memberships:
        yield _SUBNET_NODE, domain, subnet, node
        yield _BROADCAST, domain, 0
        yield _BROADCAST, domain, subnet
    for domain, group in interests.groups:
        yield _MULTICAST, domain, group
    if interests.unique_node_id:
        yield interests.unique_node_id
    if not interests.memberships:
        yield _HOMELESS
    if interests.promiscuous:
        yield _ALL


class ListenerIndex:
    """Ports by what their machines listen to."""

    def __init__(self) -> None:
        self._places: dict[Hashable, dict[Port, None]] = {}

    def update(self, port: Port, interests: Interests) -> None:
        """Note what a port listens to from now on, in place of what it did."""
        for key in _keys(port.interests):
            if key in self._places:
                self._places[key].pop(port, None)
                if not self._places[key]:
                    del self._places[key]
        port.interests = interests
        for key in _keys(interests):
            self._places.setdefault(key, {})[port] = None

    def listeners(self, packet: Packet) -> tuple[Port, ...]:
        """The ports that could take a packet, each once, the sender perhaps among them."""
        npdu = packet.npdu
        address_format = int(npdu.control) >> 2 & 3
        key: Hashable
        if address_format == _SUBNET_NODE:
            key = (_SUBNET_NODE, npdu.domain, npdu.destination_subnet, int(npdu.destination_node or 0) & 0x7F)
        elif address_format == _MULTICAST:
            key = (_MULTICAST, npdu.domain, npdu.group)
        elif address_format == _BROADCAST:
            key = (_BROADCAST, npdu.domain, npdu.destination_subnet)
        else:
            key = npdu.unique_node_id
        places = self._places
        found = places.get(key)
        everybody = places.get(_ALL)
        homeless = places.get(_HOMELESS) if address_format == _BROADCAST else None
        if everybody is None and homeless is None:
            return tuple(found) if found else ()
        return tuple({**(found or {}), **(homeless or {}), **(everybody or {})})

    def monitors(self) -> tuple[Port, ...]:
        """The ports that hear everything."""
        return tuple(self._places.get(_ALL, ()))
