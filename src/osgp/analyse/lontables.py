"""Where the fields of the control network's headers lie, as tables for ``lonkernels``: taken from the declarations, none written here.

A header whose fields depend on its own bits has one layout for each value of these bits. The declared structure is asked for each
of them (``Layout.explain``), so that a kernel finds every place by one look into a table, and every field stays declared once.
Layouts from ``osgp.lon`` (ISO/IEC 14908-1; LON/IP as its module says); the form of the tables is a project choice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from osgp.analyse.loncolumns import ABSENT
from osgp.lon import crc
from osgp.lon.authpdu import AuthHeader, AuthPdu
from osgp.lon.lonip import DomainLength, ExplicitNode, LonIpControl, LonIpHeader, LonIpVersion, SourceNode
from osgp.lon.npdu import DOMAIN_LENGTHS, NetworkControl, NodeByte, Npdu, PduType
from osgp.lon.tpdu import VERSIONS, Spdu, Tpdu, TpduHeader
from osgp.wire import Context, Struct, layout_of
from osgp.wire.bits import BitField, Bits
from osgp.wire.context import EMPTY

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "LONIP_FIELDS",
    "NIBBLE",
    "NPDU_FIELDS",
    "PDU_FIELDS",
    "crc_tables",
    "field",
    "lonip_index",
    "lonip_table",
    "npdu_index",
    "npdu_table",
    "offset_of",
    "pdu_index",
    "pdu_table",
]

NPDU_FIELDS = ("destination_subnet", "destination_node", "group", "member", "unique_node_id", "domain", "pdu")
PDU_FIELDS = ("transaction_low", "member_list", "apdu", "end")
"""Places in a TPDU, SPDU, AuthPDU or APDU; ``apdu`` and ``end``: with a member list of no bytes."""
LONIP_FIELDS = (
    "backlog",
    "source_subnet",
    "source_node",
    "domain_length",
    "domain",
    "destination_subnet",
    "destination_node",
    "group",
    "member",
    "unique_node_id",
    "pdu",
)
_LONGEST = 64
"""More bytes than any header has."""


def field(word: type[Bits], name: str) -> BitField:
    """The declaration of a bit field."""
    return word.fields[name]


NIBBLE = field(TpduHeader, "transaction").width
"""How far the bits of a TPDU's, SPDU's or AuthPDU's first byte lie that decide about the rest."""
assert field(AuthHeader, "transaction").mask == field(TpduHeader, "transaction").mask


def offset_of(struct: type[Struct], name: str) -> int:
    """Where a field lies that is always at one place."""
    return layout_of(struct, EMPTY).span(name).offset


def _places(struct: type[Struct], raw: bytes, context: Context = EMPTY) -> dict[str, int]:
    """Offsets of the fields that these bytes have, and of the ``end`` of those that are declared."""
    root = layout_of(struct, context).explain(raw.ljust(_LONGEST, b"\0"))
    found = {node.name: node.offset for node in root.children if node.name in struct.specs}
    found["end"] = max(node.offset + node.size for node in root.children if node.name in struct.specs)
    return found


def _rows(count: int, names: tuple[str, ...], places: dict[int, dict[str, int]]) -> NDArray[np.int8]:
    table = np.full((count, len(names)), ABSENT, np.int8)
    for index, found in places.items():
        for column, name in enumerate(names):
            table[index, column] = found.get(name, ABSENT)
    return table


def npdu_index(domain_length: int, address_format: int, selector: int) -> int:
    """The row of ``npdu_table`` for codes of the control byte and the bit 7 of the source node."""
    return domain_length | address_format << 2 | selector << 4


def npdu_table() -> NDArray[np.int8]:
    """Places in an NPDU, 32 rows of ``NPDU_FIELDS``."""
    places = {}
    for code in range(len(DOMAIN_LENGTHS)):
        for form in range(4):
            for selector in range(2):
                raw = bytes((NetworkControl(domain_length=code, address_format=form), 0, NodeByte(selector=selector)))
                places[npdu_index(code, form, selector)] = _places(Npdu, raw)
    return _rows(32, NPDU_FIELDS, places)


def pdu_index(version: int, pdu_type: int, first: int) -> int:
    """The row of ``pdu_table`` for an NPDU's version and type and the first byte of what it encloses."""
    return version << 6 | pdu_type << 4 | first >> NIBBLE


def pdu_table() -> NDArray[np.int8]:
    """Places in what an NPDU encloses, 256 rows of ``PDU_FIELDS``."""
    structs: dict[int, type[Struct]] = {PduType.TPDU: Tpdu, PduType.SPDU: Spdu, PduType.AUTHPDU: AuthPdu}
    places: dict[int, dict[str, int]] = {}
    for version, context in enumerate(VERSIONS):
        for nibble in range(16):
            first = nibble << NIBBLE
            for kind, struct in structs.items():
                places[pdu_index(version, kind, first)] = _places(struct, bytes((first,)), context)
            places[pdu_index(version, PduType.APDU, first)] = {"apdu": 0, "end": 0}
    for found in places.values():
        found["end"] = found.get("apdu", found["end"])
    return _rows(256, PDU_FIELDS, places)


def lonip_index(carried: int, counted: int, address_format: int, follows: int, domain_length: int, answer: int) -> int:
    """The row of ``lonip_table`` for the bits that decide: source carried, backlog follows, address format, domain follows and its
    length code, group answer."""
    return carried | counted << 1 | follows << 2 | domain_length << 3 | answer << 5 | address_format << 6


def lonip_table() -> NDArray[np.int8]:
    """Places in a LON/IP datagram, 1024 rows of ``LONIP_FIELDS``."""
    places: dict[int, dict[str, int]] = {}
    for form in range(1 << field(LonIpControl, "address_format").width):
        for counted in range(2):
            for carried, follows, code in [(0, 0, 0), (1, 0, 0), *((1, 1, code) for code in range(4))]:
                raw = bytearray(_LONGEST)
                raw[0] = LonIpVersion(source_carried=carried)
                raw[1] = LonIpControl(backlog_follows=counted, address_format=form)
                found = _places(LonIpHeader, bytes(raw))
                if follows:
                    raw[found["source_node"]] = SourceNode(domain_follows=1)
                    found = _places(LonIpHeader, bytes(raw))
                    raw[found["domain_length"]] = DomainLength(code=code)
                    found = _places(LonIpHeader, bytes(raw))
                for answer in range(2):
                    if answer and "destination_node" in found:
                        raw[found["destination_node"]] = ExplicitNode(group_answer=1)
                        found = _places(LonIpHeader, bytes(raw))
                    places[lonip_index(carried, counted, form, follows, code, answer)] = found
    return _rows(1024, LONIP_FIELDS, places)


def crc_tables() -> NDArray[Any]:
    """``osgp.lon.crc.crc_tables`` as compiled code takes it: (8, 256)."""
    return np.array(crc.crc_tables(), np.uint16)
