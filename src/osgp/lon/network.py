"""The network layer of a node: is this packet for us, in which of our domains, and where does its answer go?

ISO/IEC 14908-1, network layer; ``spec/iso14908-1.md`` 2.3, 2.4. Functions over a ``Configuration``: the layer keeps nothing in mind.
Differences from the open stack, all where the digest calls it wrong: domains of six bytes are received; versions 1 and 3 are
dropped; a node's own packets are known in both of its domains, by subnet and node number. An answer of a group's member (2b) is taken
by everybody it is addressed to, since also who is no member may have asked the group (project choice; transport knows whom we asked).
"""

from __future__ import annotations

from typing import NamedTuple

from osgp.lon.address import Broadcast, Destination, Group, SubnetNode, UniqueNodeId, subnet_node
from osgp.lon.configuration import Configuration, Membership
from osgp.lon.lpdu import LinkHeader
from osgp.lon.npdu import LEGACY, AddressFormat, NetworkControl, NodeByte, Npdu
from osgp.lon.packet import Packet

__all__ = [
    "FLEX",
    "Arrival",
    "Route",
    "accept",
    "answer_packet",
    "answer_route",
    "destination_of",
    "send_packet",
]

FLEX = -1
"""Index of a domain that is none of ours."""

_BROADCAST = int(AddressFormat.BROADCAST)
_MULTICAST = int(AddressFormat.MULTICAST)
_SUBNET_NODE = int(AddressFormat.SUBNET_NODE)
_UNIQUE = int(AddressFormat.UNIQUE_NODE_ID)
_CODES = {0: 0, 1: 1, 3: 2, 6: 3}
_NO_NODE = NodeByte(0x80)
_NODES = tuple(NodeByte(0x80 | node) for node in range(128))
_MEMBERS = tuple(NodeByte(node) for node in range(128))
_HEADERS = tuple(LinkHeader(value) for value in range(256))
_CONTROLS = tuple(NetworkControl(value) for value in range(256))


class Arrival(NamedTuple):
    """A packet that is for us. ``domain_index``: entry of the domain table, FLEX for a domain that is none of ours."""

    domain_index: int
    membership: Membership | None
    packet: Packet


class Route(NamedTuple):
    """How the answer to a packet is addressed; made when the packet came, so that later changes of ours do not matter."""

    control: int
    source_subnet: int
    source_node: NodeByte
    destination_subnet: int
    destination_node: NodeByte
    group: int | None
    member: int | None
    domain: bytes
    link: int


def accept(configuration: Configuration, packet: Packet) -> Arrival | str:
    """The packet with our place in its domain, or why it is not for us (a reason for people, empty where it is another's)."""
    npdu = packet.npdu
    control = npdu.control
    version = control >> 6
    if version & 1:
        return f"version {version}"
    if not npdu.pdu:
        return "nothing enclosed"
    address_format = control >> 2 & 3
    membership = configuration.places().get(npdu.domain)
    if membership is not None:
        subnet, node = membership.subnet, membership.node
        if npdu.source_subnet == subnet and npdu.source_node & 0x7F == node and not membership.clone:
            return "our own"
        if address_format == _SUBNET_NODE:
            if npdu.destination_subnet != subnet or npdu.destination_node & 0x7F != node:  # type: ignore[operator]  # there in 2a
                return ""
        elif address_format == _BROADCAST:
            if npdu.destination_subnet and npdu.destination_subnet != subnet:
                return ""
        elif address_format == _MULTICAST:
            if (membership.domain_index, npdu.group) not in configuration.groups():
                return ""
        elif npdu.unique_node_id != configuration.unique_node_id:
            return ""
        return Arrival(membership.domain_index, membership, packet)
    if address_format == _UNIQUE:
        if npdu.unique_node_id != configuration.unique_node_id:
            return ""
    elif configuration.configured or address_format != _BROADCAST:
        return ""
    return Arrival(FLEX, None, packet)


def destination_of(npdu: Npdu) -> Destination:
    """The destination of a packet as a value; of a group member's answer the subnet/node."""
    address_format = npdu.control.address_format
    if address_format == _SUBNET_NODE:
        return subnet_node(npdu.destination_subnet or 0, (npdu.destination_node or 0) & 0x7F)
    if address_format == _MULTICAST:
        return Group(npdu.group or 0)
    if address_format == _BROADCAST:
        return Broadcast(npdu.destination_subnet or 0)
    return UniqueNodeId(npdu.unique_node_id or bytes(6), npdu.destination_subnet or 0)


def answer_route(configuration: Configuration, arrival: Arrival) -> Route:
    """How to answer a packet: to its sender, in its domain, with its priority, path and version.

    Group messages are answered in format 2b, everything else in 2a; on the flex domain, and by an unconfigured node in every domain,
    the source is 0/0.
    """
    header, npdu, _ = arrival.packet
    control = int(npdu.control)
    membership = arrival.membership
    group = member = None
    source_subnet, source_node = 0, _NO_NODE
    if membership is not None:
        source_subnet, source_node = membership.subnet, _NODES[membership.node]
        if control >> 2 & 3 == _MULTICAST and npdu.group is not None:
            group = npdu.group
            member = configuration.groups()[arrival.domain_index, group].member
            source_node = _MEMBERS[membership.node]
    return Route(
        control & 0xC3 | _SUBNET_NODE << 2,
        source_subnet,
        source_node,
        npdu.source_subnet,
        _NODES[int(npdu.source_node) & 0x7F],
        group,
        member,
        npdu.domain,
        int(header) & 0xC0,
    )


def answer_packet(route: Route, pdu_type: int, pdu: bytes) -> Packet:
    """A packet along a route: ACK, RESPONSE, challenge (delta backlog 0)."""
    return Packet(
        _HEADERS[route.link],
        Npdu(
            control=_CONTROLS[route.control | pdu_type << 4],
            source_subnet=route.source_subnet,
            source_node=route.source_node,
            destination_subnet=route.destination_subnet,
            destination_node=route.destination_node,
            group=route.group,
            member=route.member,
            domain=route.domain,
            pdu=pdu,
        ),
    )


def send_packet(
    membership: Membership | None,
    domain: bytes,
    destination: Destination,
    pdu_type: int,
    pdu: bytes,
    link: int,
    version: int = LEGACY,
) -> Packet:
    """A packet of our own. ``membership`` None: from 0/0, into a domain that is none of ours. ``link``: the link header."""
    source_subnet = membership.subnet if membership is not None else 0
    source_node = _NODES[membership.node] if membership is not None else _NO_NODE
    control = version << 6 | pdu_type << 4 | _CODES[len(domain)]
    header = _HEADERS[link]
    kind = type(destination)
    if kind is SubnetNode:
        return Packet(
            header,
            Npdu(
                control=_CONTROLS[control | _SUBNET_NODE << 2],
                source_subnet=source_subnet,
                source_node=source_node,
                destination_subnet=destination.subnet,  # type: ignore[union-attr]  # kind says which of the four it is
                destination_node=_NODES[destination.node],  # type: ignore[union-attr]
                domain=domain,
                pdu=pdu,
            ),
        )
    if isinstance(destination, Group):
        return Packet(
            header,
            Npdu(
                control=_CONTROLS[control | _MULTICAST << 2],
                source_subnet=source_subnet,
                source_node=source_node,
                group=destination.group,
                domain=domain,
                pdu=pdu,
            ),
        )
    if isinstance(destination, Broadcast):
        return Packet(
            header,
            Npdu(
                control=_CONTROLS[control],
                source_subnet=source_subnet,
                source_node=source_node,
                destination_subnet=destination.subnet,
                domain=domain,
                pdu=pdu,
            ),
        )
    assert isinstance(destination, UniqueNodeId)
    return Packet(
        header,
        Npdu(
            control=_CONTROLS[control | _UNIQUE << 2],
            source_subnet=source_subnet,
            source_node=source_node,
            destination_subnet=destination.subnet,
            unique_node_id=destination.unique_node_id,
            domain=domain,
            pdu=pdu,
        ),
    )
