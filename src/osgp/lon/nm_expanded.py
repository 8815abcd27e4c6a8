"""Expanded network management: code 60 and a subcommand; a response repeats the subcommand.

Open stacks; ``spec/iso14908-1.md`` 5.7. Entries of variables are longer here: a fourth byte widens the address index.
"""

from __future__ import annotations

from osgp.lon.entries import DomainFlags, DomainNode, NvEntryFlags, NvEntrySelector
from osgp.lon.nm import Management
from osgp.wire import Bits, bit
from osgp.wire import fields as f

__all__ = [
    "AnnounceDevice",
    "AnnounceSubnets",
    "AnnounceTimesResponse",
    "CapabilitiesHigh",
    "CapabilitiesLow",
    "DomainPlace",
    "Expanded",
    "ExpandedAlias",
    "ExpandedAliasResponse",
    "ExpandedDone",
    "ExpandedNvEntry",
    "ExpandedVariableResponse",
    "InitialiseConfiguration",
    "IpAddressResponse",
    "KeyResponse",
    "PlaceResponse",
    "QueryAlias",
    "QueryAnnounceTimes",
    "QueryExpandedVariable",
    "QueryIpAddress",
    "QueryVersion",
    "ReportDomainPlace",
    "ReportKey",
    "SetAnnounceTimes",
    "UpdateAlias",
    "UpdateDomainPlace",
    "UpdateExpandedVariable",
    "UpdateOpenMediaKey",
    "UpdateVariableByIndex",
    "VersionResponse",
]

_SUBCOMMANDS = {
    0x01: "query version",
    0x02: "update NV by index",
    0x07: "update domain without key",
    0x08: "report domain without key",
    0x09: "report key",
    0x0A: "update key",
    0x0B: "update proxy route table",
    0x0C: "query proxy route table",
    0x0D: "update proxy route index table",
    0x0E: "query proxy route index table",
    0x0F: "initialise configuration",
    0x11: "update NV configuration",
    0x12: "query NV configuration",
    0x13: "update alias",
    0x14: "query alias",
    0x15: "announce device address",
    0x16: "announce subnets",
    0x17: "set announcement times",
    0x18: "query announcement times",
    0x19: "query IP address",
}


class _Expanded(Management, source="open stack; spec/iso14908-1.md 5.7"):
    """What the layouts of this module share."""


class Expanded(_Expanded):
    """Any expanded command; those of the proxy route tables (0B..0E) are known by name only."""

    code: int = f.u8(default=0x60, values={0x60: "expanded"})
    subcommand: int = f.u8(default=0, values=_SUBCOMMANDS)
    data: bytes = f.binary(default=b"")


class ExpandedDone(_Expanded):
    """The response of an expanded command that was carried out and has nothing to tell."""

    code: int = f.u8(default=0x20, values={0x20: "expanded"})
    subcommand: int = f.u8(default=0, values=_SUBCOMMANDS)


class QueryVersion(_Expanded):
    """Ask which expanded commands a node knows."""

    code: int = f.u8(default=0x60, values={0x60: "expanded"})
    subcommand: int = f.u8(default=0x01, values=_SUBCOMMANDS)


class CapabilitiesHigh(Bits, size=1):
    """First byte of a node's capabilities."""

    mode: int = bit(0, 2, orig="LS_MODE", values={0: "compatible only", 1: "enhanced only", 2: "both"})
    announcements: int = bit(2, orig="LON_UDP_ADDR_MAPPING_ANNOUNCEMENTS", doc="announces its IP address")


class CapabilitiesLow(Bits, size=1):
    """Second byte of a node's capabilities."""

    open_media: int = bit(0, orig="OMA", doc="open media authentication")
    proxy: int = bit(1, orig="PROXY", doc="enhanced proxy")
    phase: int = bit(2, orig="PHASE", doc="detects the phase of the mains")
    signal_strength: int = bit(3, orig="SSI", doc="signal strength both ways")
    initialise: int = bit(4, orig="INITCONFIG", doc="initialise configuration")
    memory_map: int = bit(5, orig="READ_MEMORY_MAP")
    variables_by_index: int = bit(6, orig="UPDATE_NV_BY_INDEX")
    second_security: int = bit(7, orig="SECURITY_II", doc="second generation of security")


class VersionResponse(_Expanded):
    """What a node can do."""

    code: int = f.u8(default=0x20, values={0x20: "expanded"})
    subcommand: int = f.u8(default=0x01, values=_SUBCOMMANDS)
    version: int = f.u8(default=2, doc="of the expanded command set")
    high: CapabilitiesHigh = f.bits(CapabilitiesHigh, default=0, orig="CAPABILITIES_HI")
    low: CapabilitiesLow = f.bits(CapabilitiesLow, default=0, orig="CAPABILITIES_LO")


class UpdateVariableByIndex(_Expanded):
    """Write the value of an input variable."""

    code: int = f.u8(default=0x60, values={0x60: "expanded"})
    subcommand: int = f.u8(default=0x02, values=_SUBCOMMANDS)
    index: int = f.u16(default=0, doc="of the variable")
    value: bytes = f.binary(default=b"")


class DomainPlace(_Expanded):
    """A domain entry without its key."""

    id: bytes = f.binary(6, default=bytes(6), doc="identifier, left justified")
    subnet: int = f.u8(default=0, doc="1..255")
    node: DomainNode = f.bits(DomainNode, default=0x80)
    flags: DomainFlags = f.bits(DomainFlags, default=0x80)


class UpdateDomainPlace(_Expanded):
    """Write a domain entry and leave its key as it is."""

    code: int = f.u8(default=0x60, values={0x60: "expanded"})
    subcommand: int = f.u8(default=0x07, values=_SUBCOMMANDS)
    index: int = f.u8(default=0, doc="entry of the domain table")
    entry: DomainPlace = f.record(DomainPlace)


class ReportDomainPlace(_Expanded):
    """Ask for a domain entry without its key."""

    code: int = f.u8(default=0x60, values={0x60: "expanded"})
    subcommand: int = f.u8(default=0x08, values=_SUBCOMMANDS)
    index: int = f.u8(default=0, doc="entry of the domain table")


class PlaceResponse(_Expanded):
    """A domain entry without its key."""

    code: int = f.u8(default=0x20, values={0x20: "expanded"})
    subcommand: int = f.u8(default=0x08, values=_SUBCOMMANDS)
    entry: DomainPlace = f.record(DomainPlace)


class ReportKey(_Expanded):
    """Ask for the key of open media authentication."""

    code: int = f.u8(default=0x60, values={0x60: "expanded"})
    subcommand: int = f.u8(default=0x09, values=_SUBCOMMANDS)


class KeyResponse(_Expanded):
    """The key of open media authentication: those of both domain entries, in clear."""

    code: int = f.u8(default=0x20, values={0x20: "expanded"})
    subcommand: int = f.u8(default=0x09, values=_SUBCOMMANDS)
    key: bytes = f.binary(12, default=bytes(12), doc="secret: authentication keys of both domains")

    def __repr__(self) -> str:
        return "KeyResponse(key=(hidden))"


class UpdateOpenMediaKey(_Expanded):
    """Write or change the key of open media authentication."""

    code: int = f.u8(default=0x60, values={0x60: "expanded"})
    subcommand: int = f.u8(default=0x0A, values=_SUBCOMMANDS)
    how: int = f.u8(default=0, orig="INCREMENT", values={0: "set", 1: "add, byte by byte modulo 256"})
    key: bytes = f.binary(12, default=bytes(12), doc="secret: authentication keys of both domains, or increments")

    def __repr__(self) -> str:
        return f"UpdateOpenMediaKey(how={self.how}, key=(hidden))"


class InitialiseConfiguration(_Expanded):
    """Unbind everything: addresses, aliases, variables; say which variables are authenticated."""

    code: int = f.u8(default=0x60, values={0x60: "expanded"})
    subcommand: int = f.u8(default=0x0F, values=_SUBCOMMANDS)
    length: int = f.u8(default=0, unit="byte")
    authentication: bytes = f.binary(
        length,
        default=b"",
        doc="variable n: bit n % 8, least significant first, of byte n // 8; beyond: the last one's",
    )


class ExpandedAttributes(Bits, size=1):
    """Fourth byte of an expanded variable entry."""

    aes: int = bit(3, orig="AES", doc="second generation of security")
    address_high: int = bit(4, 4, orig="ADDRESS_HIGH", doc="bits 7..4 of the address index")


class ExpandedNvEntry(_Expanded, source="open stack's headers; spec/iso14908-1.md 5.7"):
    """Configuration of a variable with an address index of eight bits."""

    selector: NvEntrySelector = f.bits(NvEntrySelector, default=0x3FFF)
    flags: NvEntryFlags = f.bits(NvEntryFlags, default=0x0F)
    more: ExpandedAttributes = f.bits(ExpandedAttributes, default=0, orig="ATTRIBUTE2")


class ExpandedAlias(_Expanded, source="open stack's headers; spec/iso14908-1.md 5.7"):
    """Configuration of an alias: as that of a variable, and which variable it stands for."""

    selector: NvEntrySelector = f.bits(NvEntrySelector, default=0x3FFF)
    flags: NvEntryFlags = f.bits(NvEntryFlags, default=0x0F)
    more: ExpandedAttributes = f.bits(ExpandedAttributes, default=0, orig="ATTRIBUTE2")
    primary: int = f.u8(default=0xFF, doc="index of its variable; FF unused")


class UpdateExpandedVariable(_Expanded):
    """Write the configuration of a variable."""

    code: int = f.u8(default=0x60, values={0x60: "expanded"})
    subcommand: int = f.u8(default=0x11, values=_SUBCOMMANDS)
    index: int = f.u16(default=0, doc="of the variable")
    entry: ExpandedNvEntry = f.record(ExpandedNvEntry)


class QueryExpandedVariable(_Expanded):
    """Ask for the configuration of a variable."""

    code: int = f.u8(default=0x60, values={0x60: "expanded"})
    subcommand: int = f.u8(default=0x12, values=_SUBCOMMANDS)
    index: int = f.u16(default=0, doc="of the variable")


class ExpandedVariableResponse(_Expanded):
    """Configuration of a variable."""

    code: int = f.u8(default=0x20, values={0x20: "expanded"})
    subcommand: int = f.u8(default=0x12, values=_SUBCOMMANDS)
    entry: ExpandedNvEntry = f.record(ExpandedNvEntry)


class UpdateAlias(_Expanded):
    """Write the configuration of an alias."""

    code: int = f.u8(default=0x60, values={0x60: "expanded"})
    subcommand: int = f.u8(default=0x13, values=_SUBCOMMANDS)
    index: int = f.u16(default=0, doc="of the alias, from 0")
    entry: ExpandedAlias = f.record(ExpandedAlias)


class QueryAlias(_Expanded):
    """Ask for the configuration of an alias."""

    code: int = f.u8(default=0x60, values={0x60: "expanded"})
    subcommand: int = f.u8(default=0x14, values=_SUBCOMMANDS)
    index: int = f.u16(default=0, doc="of the alias, from 0")


class ExpandedAliasResponse(_Expanded):
    """Configuration of an alias."""

    code: int = f.u8(default=0x20, values={0x20: "expanded"})
    subcommand: int = f.u8(default=0x14, values=_SUBCOMMANDS)
    entry: ExpandedAlias = f.record(ExpandedAlias)


class AnnounceDevice(_Expanded):
    """Says which IP address a node has: the one that this message comes from."""

    code: int = f.u8(default=0x60, values={0x60: "expanded"})
    subcommand: int = f.u8(default=0x15, values=_SUBCOMMANDS)


class AnnounceSubnets(_Expanded, status="unverified"):
    """Says whose IP addresses follow from their subnets."""

    code: int = f.u8(default=0x60, values={0x60: "expanded"})
    subcommand: int = f.u8(default=0x16, values=_SUBCOMMANDS)
    set: int = f.u8(default=1, values={0: "clear", 1: "set"})
    subnets: bytes = f.binary(
        32, default=bytes(32), doc="one bit for each subnet, subnet 0 the highest of the first byte"
    )

    def numbers(self) -> list[int]:
        """The subnets that are marked: in the order of open stack DX, as all of LON/IP here; EX begins with the lowest bit."""
        return [number for number in range(8 * len(self.subnets)) if self.subnets[number // 8] << number % 8 & 0x80]


class SetAnnounceTimes(_Expanded):
    """Sets how often nodes announce their IP addresses and how long these are remembered."""

    code: int = f.u8(default=0x60, values={0x60: "expanded"})
    subcommand: int = f.u8(default=0x17, values=_SUBCOMMANDS)
    period_s: int = f.u32(default=0, unit="s")
    throttle: int = f.u16(default=0)
    age_s: int = f.u32(default=0, unit="s")


class QueryAnnounceTimes(_Expanded):
    """Ask how often a node announces its IP address and how long it remembers those of others."""

    code: int = f.u8(default=0x60, values={0x60: "expanded"})
    subcommand: int = f.u8(default=0x18, values=_SUBCOMMANDS)


class AnnounceTimesResponse(_Expanded, status="unverified"):
    """How often a node announces its IP address and how long it remembers those of others.

    The one open stack that answers sends milliseconds in the byte order of its processor; seconds, most significant byte
    first, as in the setting, are a project choice.
    """

    code: int = f.u8(default=0x20, values={0x20: "expanded"})
    subcommand: int = f.u8(default=0x18, values=_SUBCOMMANDS)
    period_s: int = f.u32(default=0, unit="s")
    age_s: int = f.u32(default=0, unit="s")


class QueryIpAddress(_Expanded):
    """Ask for a node's IP address."""

    code: int = f.u8(default=0x60, values={0x60: "expanded"})
    subcommand: int = f.u8(default=0x19, values=_SUBCOMMANDS)


class IpAddressResponse(_Expanded):
    """A node's IP address: 4 bytes, or 16."""

    code: int = f.u8(default=0x20, values={0x20: "expanded"})
    subcommand: int = f.u8(default=0x19, values=_SUBCOMMANDS)
    address: bytes = f.binary(default=b"")
