"""The network layer of a node: is this packet for us, in which of our domains, and where does its answer go?

ISO/IEC 14908-1, network layer; ``spec/iso14908-1.md`` 2.3, 2.4. Functions over a ``Configuration``: the layer keeps nothing in mind.
Differences from the open stack, all where the digest calls it wrong: domains of six bytes are received; versions 1 and 3 are
dropped; a node's own packets are known in both of its domains, by subnet and node number. An answer of a group's member (2b) is taken
by everybody it is addressed to, since also who is no member may have asked the group (project choice; transport knows whom we asked).
"""

from __future__ import annotations

from osgp.lon.address import Broadcast, Destination, Group, SubnetNode, UniqueNodeId, subnet_node
from osgp.lon.configuration import Configuration, Membership
from osgp.lon.lpdu import LinkHeader
from osgp.lon.npdu import LEGACY, AddressFormat, NetworkControl, NodeByte, Npdu, PduType
from osgp.lon.packet import Envelope, Letter, Packet

__all__ = [
    "FLEX",
    "NOWHERE",
    "Note",
    "accept",
    "answer_packet",
    "destination_of",
    "record_key",
    "send_packet",
]

FLEX = -1
"""Index of a domain that is none of ours."""

_BROADCAST = int(AddressFormat.BROADCAST)
_MULTICAST = int(AddressFormat.MULTICAST)
_SUBNET_NODE = int(AddressFormat.SUBNET_NODE)
_UNIQUE = int(AddressFormat.UNIQUE_NODE_ID)
_SPDU = int(PduType.SPDU)
_PRIORITY = LinkHeader.fields["priority"].mask
_CODES = {0: 0, 1: 1, 3: 2, 6: 3}
_NO_NODE = NodeByte(0x80)
_NODES = tuple(NodeByte(0x80 | node) for node in range(128))
_MEMBERS = tuple(NodeByte(node) for node in range(128))
_KEPT = LinkHeader.fields["priority"].mask | LinkHeader.fields["alternate_path"].mask
_HEADERS = tuple(LinkHeader(value) for value in range(256))
_CONTROLS = tuple(NetworkControl(value) for value in range(256))


NOWHERE = Membership(FLEX, b"", 0, 0, b"", 0, enhanced=False, clone=False)
"""Our place in a domain that is none of ours: no subnet, no node, no key."""


class Note:
    """What one node notes on the envelope of letters to it: what follows from the addresses alone, and so is found out once.

    ``place``: ours, if these are TPDUs or SPDUs of one node to this one alone (2a, legacy); None for all others, which are read as any
    packet is. ``key``: of the receive transaction record. ``answer``: the envelope of answers, once there was one. The note holds
    while the configuration is what it was.
    """

    __slots__ = (
        "answer",
        "destination",
        "domain",
        "key",
        "peer",
        "place",
        "priority",
        "reader",
        "revision",
        "session",
        "source",
        "state",
        "stranger",
    )

    def __init__(self, reader: object, configuration: Configuration, letter: Letter) -> None:
        self.reader = reader
        self.revision = configuration.revision
        self.state = configuration.state
        self.place: Membership | None = None
        self.answer: Envelope | None = None
        header, npdu, _ = packet = letter.packet()
        control = npdu.control
        address_format, pdu_type = control >> 2 & 3, control >> 4 & 3
        if control >> 6 != LEGACY or address_format != _SUBNET_NODE or npdu.group is not None or pdu_type > _SPDU:
            return
        place = accept(configuration, packet)
        if type(place) is str or place is NOWHERE:
            return
        self.place = place  # type: ignore[assignment]  # no str
        self.session = pdu_type == _SPDU
        self.priority = header >= _PRIORITY
        self.domain = npdu.domain
        subnet, node = npdu.source_subnet, npdu.source_node & 0x7F
        self.source = subnet_node(subnet, node)
        self.peer = (self.priority, self.domain, subnet, node)
        self.stranger = not (subnet and node)
        self.destination = destination_of(npdu)
        self.key = record_key(packet)


def record_key(packet: Packet | Letter) -> tuple[object, ...]:
    """What tells the receive transaction records of a node apart: sender, kind of destination, priority."""
    header, npdu = packet.header, packet.npdu
    address_format = npdu.control >> 2 & 3
    number: int | None = 0
    if address_format == _MULTICAST:
        number = npdu.group
    elif address_format == _BROADCAST:
        number = npdu.destination_subnet
    return (header & _PRIORITY, npdu.domain, address_format, npdu.source_subnet, npdu.source_node & 0x7F, number)


def accept(configuration: Configuration, packet: Packet) -> Membership | str:
    """Our place in the packet's domain (NOWHERE if it is none of ours), or why the packet is not for us.

    The reason is for people, and empty where the packet is simply another's.
    """
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
        return membership
    if address_format == _UNIQUE:
        if npdu.unique_node_id != configuration.unique_node_id:
            return ""
    elif configuration.configured or address_format != _BROADCAST:
        return ""
    return NOWHERE


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


def answer_packet(packet: Packet | Letter, place: Membership, member: int | None, pdu_type: int, pdu: bytes) -> Packet:
    """The answer to a packet (ACK, RESPONSE, challenge): to its sender, in its domain, with its priority, path and version.

    ``place``, ``member``: ours, as they were when the packet came; what the packet itself changed does not matter. Group messages are
    answered in format 2b, everything else in 2a; from NOWHERE the source is 0/0. Delta backlog 0.
    """
    header, npdu = packet.header, packet.npdu
    grouped = member is not None
    return Packet(
        _HEADERS[header & _KEPT],
        Npdu(
            control=_CONTROLS[npdu.control & 0xC3 | _SUBNET_NODE << 2 | pdu_type << 4],
            source_subnet=place.subnet,
            source_node=_MEMBERS[place.node] if grouped else _NODES[place.node],
            destination_subnet=npdu.source_subnet,
            destination_node=_NODES[npdu.source_node & 0x7F],
            group=npdu.group if grouped else None,
            member=member,
            domain=npdu.domain,
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
