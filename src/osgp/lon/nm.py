"""Network management, codes 61 to 7F: identity, domains, addresses, mode, memory, service pin.

ISO/IEC 14908-1, network management; ``spec/iso14908-1.md`` 5.5. Requests and responses begin with their code, as APDUs do.
Variables are in ``nm_variables``, expanded commands (60) in ``nm_expanded``, routers in ``nm_router``; ``commands`` pairs requests
with responses.
"""

from __future__ import annotations

from osgp.lon.entries import AddressEntry, DomainEntry, NodeStateByte
from osgp.wire import Bits, Struct, bit
from osgp.wire import fields as f

__all__ = [
    "AddressResponse",
    "ChecksumRecalculate",
    "DeviceEscape",
    "Done",
    "DomainResponse",
    "IdentityResponse",
    "LeaveDomain",
    "Management",
    "MemoryMatch",
    "MemoryRefresh",
    "MemoryResponse",
    "ProductResponse",
    "QueryAddress",
    "QueryDomain",
    "QueryId",
    "ReadMemory",
    "Refusal",
    "RespondToQuery",
    "ServicePin",
    "SetNodeMode",
    "UpdateAddress",
    "UpdateDomain",
    "UpdateGroupAddress",
    "UpdateKey",
    "WriteMemory",
]

MODES = {0: "absolute", 1: "read-only block", 2: "configuration block", 3: "statistics"}
"""Address modes of memory commands."""


class Management(
    Struct, byte_order="big", floor="lon", source="ISO/IEC 14908-1; spec/iso14908-1.md 5.5", status="verified"
):
    """What the layouts of this family share: byte order, source and standing."""


class Done(Management, source="ISO/IEC 14908-1; spec/iso14908-1.md 5.3"):
    """The response of a command that was carried out and has nothing to tell."""

    code: int = f.u8(doc="success code of the request")


class Refusal(Management, source="ISO/IEC 14908-1; spec/iso14908-1.md 5.3"):
    """The response of a command that was refused; expanded commands repeat their subcommand."""

    code: int = f.u8(doc="failure code of the request")
    data: bytes = f.binary(default=b"")


class MemoryMatch(Management):
    """What a node's memory must hold if it is to answer."""

    mode: int = f.u8(default=0, values=MODES)
    offset: int = f.u16(default=0)
    count: int = f.u8(default=0, unit="byte")
    data: bytes = f.binary(count, default=b"")


class QueryId(Management):
    """Ask those who fit for their identity; the others do not answer."""

    code: int = f.u8(default=0x61, values={0x61: "query ID"})
    selector: int = f.u8(default=0, values={0: "unconfigured", 1: "selected", 2: "selected and unconfigured"})
    match: MemoryMatch | None = f.record(MemoryMatch, optional=True, default=None)


class IdentityResponse(Management):
    """Who a node is."""

    code: int = f.u8(default=0x21, values={0x21: "identity", 0x32: "identity by proxy"})
    unique_node_id: bytes = f.binary(6, default=bytes(6))
    program_id: bytes = f.binary(8, default=bytes(8), orig="PROGRAM_ID")


class ServicePin(Management):
    """A node says who it is because somebody pressed its button; unacknowledged broadcast in the zero-length domain."""

    code: int = f.u8(default=0x7F, values={0x7F: "service pin"})
    unique_node_id: bytes = f.binary(6, default=bytes(6))
    program_id: bytes = f.binary(8, default=bytes(8), orig="PROGRAM_ID")


class RespondToQuery(Management):
    """Select a node for query ID, or no longer."""

    code: int = f.u8(default=0x62, values={0x62: "respond to query"})
    select: int = f.u8(default=0, values={0: "deselect", 1: "select"})


class UpdateDomain(Management):
    """Write a domain entry, with its key in clear."""

    code: int = f.u8(default=0x63, values={0x63: "update domain"})
    index: int = f.u8(default=0, doc="entry of the domain table")
    entry: DomainEntry = f.record(DomainEntry)


class LeaveDomain(Management):
    """Leave a domain; not answered if the request came in it, and after the last one the node is unconfigured."""

    code: int = f.u8(default=0x64, values={0x64: "leave domain"})
    index: int = f.u8(default=0, doc="entry of the domain table")


class UpdateKey(Management):
    """Change a domain's key by increments."""

    code: int = f.u8(default=0x65, values={0x65: "update key"})
    index: int = f.u8(default=0, doc="entry of the domain table")
    key: bytes = f.binary(6, default=bytes(6), doc="secret: increments, each added to its byte of the key modulo 256")

    def __repr__(self) -> str:
        return f"UpdateKey(index={self.index}, key=(hidden))"


class UpdateAddress(Management):
    """Write an address entry."""

    code: int = f.u8(default=0x66, values={0x66: "update address"})
    index: int = f.u8(default=0, doc="entry of the address table")
    entry: AddressEntry = f.record(AddressEntry)


class QueryAddress(Management):
    """Ask for an address entry."""

    code: int = f.u8(default=0x67, values={0x67: "query address"})
    index: int = f.u8(default=0, doc="entry of the address table")


class AddressResponse(Management):
    """An address entry."""

    code: int = f.u8(default=0x27, values={0x27: "address"})
    entry: AddressEntry = f.record(AddressEntry)


class UpdateGroupAddress(Management):
    """Sent to a group: its members take over size, retry and timers, nothing else."""

    code: int = f.u8(default=0x69, values={0x69: "update group address"})
    entry: AddressEntry = f.record(AddressEntry)


class QueryDomain(Management):
    """Ask for a domain entry, its key included."""

    code: int = f.u8(default=0x6A, values={0x6A: "query domain"})
    index: int = f.u8(default=0, doc="entry of the domain table")


class DomainResponse(Management):
    """A domain entry, with its key in clear."""

    code: int = f.u8(default=0x2A, values={0x2A: "domain"})
    entry: DomainEntry = f.record(DomainEntry)


class SetNodeMode(Management):
    """Change mode or state; only a change of state is answered."""

    code: int = f.u8(default=0x6C, values={0x6C: "set node mode"})
    mode: int = f.u8(
        default=1,
        values={
            0: "offline",
            1: "online",
            2: "reset",
            3: "change state",
            4: "reset to default buffers",
            5: "forget transactions",
            6: "physical reset",
        },
    )
    state: NodeStateByte | None = f.bits(NodeStateByte, when=mode == 3, default=None)


class ReadMemory(Management):
    """Ask for bytes of a node's memory."""

    code: int = f.u8(default=0x6D, values={0x6D: "read memory"})
    mode: int = f.u8(default=0, values=MODES)
    offset: int = f.u16(default=0)
    count: int = f.u8(default=1, unit="byte")


class MemoryResponse(Management):
    """Bytes of a node's memory, of its self-identification data, or of what it can do."""

    code: int = f.u8(default=0x2D, values={0x2D: "memory", 0x30: "capability", 0x32: "self-identification"})
    data: bytes = f.binary(default=b"")


class WriteMemory(Management):
    """Write bytes into a node's memory."""

    code: int = f.u8(default=0x6E, values={0x6E: "write memory"})
    mode: int = f.u8(default=0, values=MODES)
    offset: int = f.u16(default=0)
    count: int = f.u8(default=0, unit="byte")
    form: int = f.u8(
        default=0,
        values={
            0: "no action",
            1: "recalculate both checksums",
            3: "recalculate delta checksum",
            4: "recalculate configuration checksum",
            8: "reset",
            9: "recalculate both checksums, reset",
            12: "recalculate configuration checksum, reset",
        },
    )
    data: bytes = f.binary(count, default=b"")


class ChecksumRecalculate(Management):
    """Make a node calculate its checksums anew."""

    code: int = f.u8(default=0x6F, values={0x6F: "checksum recalculate"})
    which: int = f.u8(default=1, orig="OPTION", values={1: "both", 4: "configuration"})


class MemoryRefresh(Management, status="unverified"):
    """Make a node write a piece of its memory anew, so that it does not fade."""

    code: int = f.u8(default=0x71, values={0x71: "memory refresh"})
    offset: int = f.u16(default=0, doc="an open stack counts pages of 16 bytes")
    count: int = f.u8(default=0)
    off_chip: int = f.u8(default=0, values={0: "on chip", 1: "off chip"})


class DeviceEscape(Management, source="open stack's headers; spec/iso14908-1.md 5.5", status="unverified"):
    """A command of a kind of device."""

    code: int = f.u8(default=0x7D, values={0x7D: "device escape"})
    device: int = f.u8(default=1, orig="DEVICE_CODE")
    command: int = f.u8(default=1, orig="DEVICE_COMMAND", doc="01 01: product query")
    data: bytes = f.binary(default=b"")


class TransceiverByte(Bits, size=1):
    """Last byte of the answer to a product query."""

    id: int = bit(0, 5, orig="TRANSCEIVER_ID", doc="kind of transceiver")


class ProductResponse(Management, source="open stack's headers; spec/iso14908-1.md 5.5", status="unverified"):
    """The answer to a product query."""

    code: int = f.u8(default=0x3D, values={0x3D: "product"})
    product: int = f.u8(default=0)
    model: int = f.u8(default=0)
    version: int = f.u8(default=0)
    specific: int = f.u8(default=0, orig="PRODUCT_SPECIFIC")
    transceiver: TransceiverByte = f.bits(TransceiverByte, default=0)
