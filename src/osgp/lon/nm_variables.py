"""Network management of variables: their configuration, their description, their values.

ISO/IEC 14908-1, network management; ``spec/iso14908-1.md`` 5.5, 5.8. An index of one byte may be FF: then two bytes follow
that say it. Indexes behind the last variable are those of aliases.
"""

from __future__ import annotations

from osgp.lon.entries import NvEntry
from osgp.lon.nm import Management
from osgp.wire import Bits, Case, bit
from osgp.wire import fields as f

__all__ = [
    "CapabilityInfo",
    "CapabilityQuery",
    "FetchVariable",
    "Install",
    "NameResponse",
    "NodeInfoQuery",
    "QuerySelfIdentification",
    "QueryVariableConfig",
    "RateResponse",
    "SendId",
    "SendIdResponse",
    "TextResponse",
    "TypeResponse",
    "UpdateVariableConfig",
    "VariableConfigResponse",
    "VariableDescriptor",
    "VariableInfoQuery",
    "VariableValueResponse",
]


class QueryVariableConfig(Management):
    """Ask for the configuration of a variable or alias."""

    code: int = f.u8(default=0x68, values={0x68: "query NV configuration"})
    index: int = f.u8(default=0, doc="of the variable; FF: two bytes follow")
    wide_index: int | None = f.u16(when=index == 0xFF, doc="of the variable", default=None)


class VariableConfigResponse(Management):
    """Configuration of a variable, or of an alias: then with the index of its variable."""

    code: int = f.u8(default=0x28, values={0x28: "NV configuration"})
    entry: NvEntry = f.record(NvEntry)
    primary: int | None = f.u8(
        optional=True, doc="alias: index of its variable; FF: two bytes follow, or it is unused", default=None
    )
    primary_wide: int | None = f.u16(optional=True, doc="alias: index of its variable, FFFF none", default=None)


class UpdateVariableConfig(Management):
    """Write the configuration of a variable or alias."""

    code: int = f.u8(default=0x6B, values={0x6B: "update NV configuration"})
    index: int = f.u8(default=0, doc="of the variable; FF: two bytes follow")
    wide_index: int | None = f.u16(when=index == 0xFF, doc="of the variable", default=None)
    entry: NvEntry = f.record(NvEntry)
    primary: int | None = f.u8(
        optional=True, doc="alias: index of its variable; FF: two bytes follow, or it is unused", default=None
    )
    primary_wide: int | None = f.u16(optional=True, doc="alias: index of its variable, FFFF none", default=None)


class QuerySelfIdentification(Management):
    """Ask for bytes of the self-identification data."""

    code: int = f.u8(default=0x72, orig="CODE", values={0x72: "query self-identification"})
    offset: int = f.u16(default=0)
    count: int = f.u8(default=1, unit="byte")


class FetchVariable(Management):
    """Ask for the value of a variable by its index."""

    code: int = f.u8(default=0x73, values={0x73: "NV fetch"})
    index: int = f.u8(default=0, doc="of the variable; FF: two bytes follow")
    wide_index: int | None = f.u16(when=index == 0xFF, doc="of the variable", default=None)


class VariableValueResponse(Management):
    """The value of a variable."""

    code: int = f.u8(default=0x33, values={0x33: "NV value"})
    index: int = f.u8(default=0, doc="of the variable; FF: two bytes follow")
    wide_index: int | None = f.u16(when=index == 0xFF, doc="of the variable", default=None)
    value: bytes = f.binary(default=b"")


class SendId(Management):
    """Which of its interfaces a node with several is asked about."""

    interface: int | None = f.u8(optional=True, orig="NI_INDEX", doc="0 or absent: the first", default=None)


_INFORMATION = {0: "descriptor", 1: "rate estimates", 2: "name", 3: "self-documentation", 4: "type index"}


class VariableInfoQuery(Management, source="open stack's headers; spec/iso14908-1.md 5.5", status="unverified"):
    """What is asked about a variable."""

    information: int = f.u8(default=0, values=_INFORMATION)
    index: int = f.u16(default=0, doc="of the variable")
    offset: int | None = f.u16(when=information == 3, doc="in the self-documentation text", default=None)
    length: int | None = f.u8(when=information == 3, unit="byte", doc="at most", default=None)


class NodeInfoQuery(Management, source="open stack's headers; spec/iso14908-1.md 5.5", status="unverified"):
    """What is asked about the node."""

    information: int = f.u8(default=3, values={3: "self-documentation"})
    offset: int = f.u16(default=0, doc="in the self-documentation text")
    length: int = f.u8(default=31, unit="byte", doc="at most")


class CapabilityQuery(Management):
    """Which part of the capability data is asked for."""

    offset: int = f.u16(default=0)
    count: int = f.u8(default=1, unit="byte")


class Install(Management):
    """Wink, and what installation tools ask."""

    code: int = f.u8(default=0x70, values={0x70: "wink / install"})
    subcommand: int | None = f.u8(
        optional=True,
        values={0: "wink", 1: "send ID", 4: "query NV info", 5: "query node info", 7: "query capability"},
        default=None,
    )
    query: SendId | VariableInfoQuery | NodeInfoQuery | CapabilityQuery | None = f.union(
        [
            Case(subcommand == 1, SendId),
            Case(subcommand == 4, VariableInfoQuery),
            Case(subcommand == 5, NodeInfoQuery),
            Case(subcommand == 7, CapabilityQuery),
        ],
        optional=True,
        default=None,
    )


class SendIdResponse(Management):
    """Who answers at an interface."""

    code: int = f.u8(default=0x30, values={0x30: "send ID"})
    down: int = f.u8(default=0, values={0: "interface works", 1: "interface is down"})
    unique_node_id: bytes = f.binary(6, default=bytes(6))
    program_id: bytes = f.binary(8, default=bytes(8))


class LengthAndOrigin(Bits, size=1):
    """First byte of a variable's descriptor."""

    origin: int = bit(0, 3, orig="ORIGIN", values={0: "undefined", 1: "static", 2: "dynamic"})
    length: int = bit(3, 5, orig="LENGTH", unit="byte", doc="of the value")


class DescriptorDefaults(Bits, size=1):
    """Second byte of a variable's descriptor: what its program gave it."""

    service: int = bit(0, 2, orig="DFLT_SERVICE", values={0: "acknowledged", 1: "repeated", 2: "unacknowledged"})
    priority: int = bit(2, orig="DFLT_PRIORITY")
    authenticated: int = bit(3, orig="DFLT_AUTH")
    output: int = bit(4, orig="IS_OUTPUT", values={0: "input", 1: "output"})


class DescriptorAttributes(Bits, size=1):
    """Third byte of a variable's descriptor."""

    configuration_class: int = bit(0, orig="CONFIG_CLASS", doc="a configuration variable")
    authentication_changeable: int = bit(1, orig="AUTH_CONFIG")
    priority_changeable: int = bit(2, orig="PRIORITY_CONFIG")
    service_changeable: int = bit(3, orig="SRVC_TYPE_CONFIG")
    offline: int = bit(4, orig="OFFLINE", doc="take the node offline before updating it")
    polled: int = bit(5, orig="POLLED")
    synchronised: int = bit(6, orig="SYNC")


class DescriptorExtended(Bits, size=1):
    """Fifth byte of a variable's descriptor: what else can be asked."""

    name_supplied: int = bit(3, orig="NAME_SUPPLIED", doc="the name follows")
    documentation_available: int = bit(4, orig="SD_AVAIL")
    name_available: int = bit(5, orig="NAME_AVAIL")
    rate_available: int = bit(6, orig="RE_AVAIL")
    most_rate_available: int = bit(7, orig="MRE_AVAIL")


class CapabilityInfo(Management, source="open stack's headers", status="unverified"):
    """What a node has room for, after the alias field of the self-identification (subcommand 7 reads both as one)."""

    text_length: int = f.u16(
        default=1, orig="NODE_SD_TEXT_LENGTH", unit="byte", doc="of the self-documentation, with its end"
    )
    static_variables: int = f.u16(default=0, orig="STATIC_NV_COUNT")
    length: int = f.u16(default=33, unit="byte", doc="from here on")
    version: int = f.u8(default=1, orig="VER_STRUCT", doc="of this layout")
    least_commands: int = f.u8(default=0, orig="VER_NM_MIN", doc="extended command set; 0 none")
    most_commands: int = f.u8(default=0, orig="VER_NM_MAX", doc="extended command set; 0 none")
    binding: int = f.u8(default=0, orig="VER_BINDING", doc="0, 1: as the alias field says")
    flags: bytes = f.binary(6, default=bytes(6), orig="EXT_CAP_FLAGS")
    domains: int = f.u16(default=2, orig="DOMAIN_CAPACITY")
    addresses: int = f.u16(default=15, orig="ADDRESS_CAPACITY")
    message_tags: int = f.u16(default=0, orig="STATIC_MTAG_CAPACITY")
    monitor_variables: int = f.u16(default=0, orig="MCNV_CAPACITY")
    monitor_points: int = f.u16(default=0, orig="MCP_CAPACITY")
    monitor_sets: int = f.u16(default=0, orig="MCS_CAPACITY")
    monitor_text: int = f.u16(default=0, orig="MAX_MC_DESC_LENGTH", unit="byte")
    monitor_count: int = f.u16(default=0, orig="MCNV_CURRENT_COUNT")
    monitor_last: int = f.u16(default=0, orig="MCNV_MAX_INDEX")
    function_blocks: int = f.u16(default=0, orig="DYN_FB_CAPACITY")
    wide_addresses: int = f.u8(default=15, orig="EAT_ADDRESS_CAPACITY")


class VariableDescriptor(Management, source="open stack's headers; spec/iso14908-1.md 5.5", status="unverified"):
    """What a variable is."""

    code: int = f.u8(default=0x30, values={0x30: "NV info"})
    length: LengthAndOrigin = f.bits(LengthAndOrigin, default=1)
    defaults: DescriptorDefaults = f.bits(DescriptorDefaults, default=0)
    attributes: DescriptorAttributes = f.bits(DescriptorAttributes, default=0)
    type_index: int = f.u8(default=0, orig="SNVT_INDEX", doc="standard type; 0 none")
    extended: DescriptorExtended = f.bits(DescriptorExtended, default=0)
    array_size: int = f.u16(default=1)
    array_element: int = f.u16(default=0)
    name: bytes | None = f.binary(16, when=extended.name_supplied == 1, default=None)


class RateResponse(Management, source="open stack's headers; spec/iso14908-1.md 5.5", status="unverified"):
    """How often a variable is sent."""

    code: int = f.u8(default=0x30, values={0x30: "NV rate"})
    rate: int = f.u8(default=0, orig="RATE_ESTIMATE", doc="coded")
    most_rate: int = f.u8(default=0, orig="MAX_RATE_ESTIMATE", doc="coded")


class NameResponse(Management, source="open stack's headers; spec/iso14908-1.md 5.5", status="unverified"):
    """The name of a variable."""

    code: int = f.u8(default=0x30, values={0x30: "NV name"})
    name: str = f.text(16)


class TextResponse(Management, source="open stack's headers; spec/iso14908-1.md 5.5", status="unverified"):
    """A piece of self-documentation text."""

    code: int = f.u8(default=0x30, values={0x30: "self-documentation"})
    length: int = f.u8(default=0, unit="byte")
    text: bytes = f.binary(length, default=b"")


class TypeResponse(Management, source="open stack's headers; spec/iso14908-1.md 5.5", status="unverified"):
    """The standard type of a variable."""

    code: int = f.u8(default=0x30, values={0x30: "NV type"})
    type_index: int = f.u8(default=0, orig="SNVT_INDEX", doc="0 none")
