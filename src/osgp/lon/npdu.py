"""The NPDU: who sends, to whom, in which domain, and what is enclosed.

ISO/IEC 14908-1, network layer; ``spec/iso14908-1.md`` 2.1, 2.2. Four address formats; the source's bit 7 tells the two kinds of
the third apart (2a subnet/node; 2b the answer of a group's member).
"""

from __future__ import annotations

from osgp.wire import Bits, OpenEnum, Struct, all_of, any_of, bit
from osgp.wire import fields as f

__all__ = [
    "DOMAIN_LENGTHS",
    "ENHANCED",
    "LEGACY",
    "AddressFormat",
    "NetworkControl",
    "NodeByte",
    "Npdu",
    "PduType",
    "domain_code",
]

DOMAIN_LENGTHS = (0, 1, 3, 6)
"""Bytes of a domain, by its length code."""
LEGACY = 0
"""Version: transaction numbers of four bits."""
ENHANCED = 2
"""Version: enhanced mode, transaction numbers of twelve bits."""


class AddressFormat(OpenEnum):
    """How the destination is said."""

    BROADCAST = 0
    MULTICAST = 1
    SUBNET_NODE = 2
    UNIQUE_NODE_ID = 3


class PduType(OpenEnum):
    """What is enclosed."""

    TPDU = 0
    SPDU = 1
    AUTHPDU = 2
    APDU = 3


class NetworkControl(Bits, size=1):
    """First byte of the NPDU."""

    domain_length: int = bit(
        0,
        2,
        orig="DOMAIN_LENGTH",
        doc="code of the domain's length",
        values={0: "0 bytes", 1: "1 byte", 2: "3 bytes", 3: "6 bytes"},
    )
    address_format: int = bit(
        2,
        2,
        orig="ADDR_FMT",
        doc="how the destination is said",
        values={0: "broadcast", 1: "multicast", 2: "subnet/node or group answer", 3: "unique node ID"},
    )
    pdu_type: int = bit(
        4, 2, orig="PDU_TYPE", doc="what is enclosed", values={0: "TPDU", 1: "SPDU", 2: "AuthPDU", 3: "APDU"}
    )
    version: int = bit(
        6, 2, orig="VERSION", doc="protocol version", values={0: "legacy", 1: "encapsulated IP", 2: "enhanced mode"}
    )


class NodeByte(Bits, size=1):
    """A node number with its bit 7."""

    node: int = bit(0, 7, orig="NODE", doc="1..127; 0 none")
    selector: int = bit(7, orig="SELECTOR", doc="source: 0 only in answers of a group's member (format 2b)")


class Npdu(
    Struct, byte_order="big", floor="lon", source="ISO/IEC 14908-1; spec/iso14908-1.md 2.1, 2.2", status="verified"
):
    """The network layer's header and what it encloses."""

    control: NetworkControl = f.bits(NetworkControl, default=0)
    source_subnet: int = f.u8(default=0, doc="1..255; 0 the sender has none")
    source_node: NodeByte = f.bits(NodeByte, default=0x80)
    destination_subnet: int | None = f.u8(
        default=None,
        when=control.address_format != 1,
        doc="0: the whole domain (broadcast) or everywhere (unique node ID)",
    )
    destination_node: NodeByte | None = f.bits(NodeByte, default=None, when=control.address_format == 2)
    group: int | None = f.u8(
        default=None,
        when=any_of(control.address_format == 1, all_of(control.address_format == 2, source_node.selector == 0)),
        doc="destination group, or the group whose message is answered",
    )
    member: int | None = f.u8(
        default=None,
        when=all_of(control.address_format == 2, source_node.selector == 0),
        doc="the answering member, 0..63",
    )
    unique_node_id: bytes | None = f.binary(6, default=None, when=control.address_format == 3)
    domain: bytes = f.binary(
        control.domain_length * (control.domain_length + 1) // 2, default=b"", doc="the domain's identifier"
    )
    pdu: bytes = f.binary(default=b"", doc="TPDU, SPDU, AuthPDU or APDU")


def domain_code(domain: bytes) -> int:
    """The length code of a domain's identifier. Raises ValueError for a length that no domain has."""
    return DOMAIN_LENGTHS.index(len(domain))
