"""Self-identification: what a node tells generic tools of its network variables, read in pieces with command 72.

An open stack's layout (its header files and its builder), not compared with a node of another maker: everything here is
*(unverified)*. Header; two bytes for each variable; the node's text; an extension record for each variable; the alias field.
Texts end with a zero byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from osgp.wire import Bits, Struct, bit
from osgp.wire import fields as f
from osgp.wire.errors import ConfigError

__all__ = [
    "MAX_DOCUMENTATION",
    "MAX_LENGTH",
    "MAX_NAME",
    "AliasField",
    "Described",
    "ExtensionFlags",
    "SelfIdentificationHeader",
    "VariableDescription",
    "described_length",
    "self_identification",
]

MAX_LENGTH = 0xFFFF
"""Most bytes of the block: what its length field can say."""
MAX_NAME = 16
"""Most characters of a variable's name (open stack)."""
MAX_DOCUMENTATION = 1023
"""Most characters of a text (project choice)."""

_SOURCE = "open stack's headers and builder"
_HOST_BASED = 0x3F
_VERSION = 1


class SelfIdentificationHeader(Struct, byte_order="big", floor="lon", source=_SOURCE, status="unverified"):
    """How much follows."""

    length: int = f.u16(default=0, unit="byte", doc="of the whole, this header included")
    count_low: int = f.u8(default=0, orig="NUM_NETVARS", doc="number of variables, low byte")
    version: int = f.u8(default=_VERSION, doc="of this layout")
    count_high: int = f.u8(default=0, orig="MSB_NUM_NETVARS", doc="number of variables, high byte")
    message_tags: int = f.u8(default=0, orig="MTAG_COUNT", doc="addresses bound to messages of the application")


class DescriptionFlags(Bits, size=1):
    """What a tool may do with a variable."""

    configuration_class: int = bit(0, orig="NV_CONFIG_CLASS", doc="it sets something up rather than telling something")
    authentication_changeable: int = bit(1, orig="NV_AUTH_CONFIG")
    priority_changeable: int = bit(2, orig="NV_PRIORITY_CONFIG")
    service_changeable: int = bit(3, orig="NV_SERVICE_CONFIG")
    offline: int = bit(4, orig="NV_OFFLINE", doc="to be changed only while the node is offline")
    polled: int = bit(5, orig="NV_POLLED", doc="an output sent only when asked, or an input that asks")
    synchronised: int = bit(6, orig="NV_SYNC", doc="every value is sent, not only the newest")
    extension: int = bit(7, orig="EXT_REC", doc="it has an extension record")


class VariableDescription(Struct, byte_order="big", floor="lon", source=_SOURCE, status="unverified"):
    """A variable's flags and type."""

    flags: DescriptionFlags = f.bits(DescriptionFlags, default=0)
    snvt: int = f.u8(default=0, orig="SNVT_TYPE_INDEX", doc="standard type; 0 none")


class ExtensionFlags(Bits, size=1):
    """What an extension record holds, in this order: rates, name, text, size of the array."""

    array_size: int = bit(3, orig="NC", doc="no array here: each of its elements is a variable")
    documentation: int = bit(4, orig="SD")
    name: int = bit(5, orig="NM")
    rate: int = bit(6, orig="RE", doc="usual rate")
    maximum_rate: int = bit(7, orig="MRE")


class BindingByte(Bits, size=1):
    """First byte of the alias field."""

    alias_count: int = bit(0, 6, orig="ALIAS_COUNT", doc="63: the number stands behind")
    query_statistics: int = bit(6, orig="QUERY_STATS", doc="counters can be read relative to the statistics block")
    binding_ii: int = bit(7, orig="BINDING_II", doc="several variables of the node may share a selector")


class AliasField(Struct, byte_order="big", floor="lon", source=_SOURCE, status="unverified"):
    """Last part: aliases."""

    binding: BindingByte = f.bits(
        BindingByte, default=BindingByte(alias_count=_HOST_BASED, query_statistics=1, binding_ii=1)
    )
    aliases: int = f.u16(default=0, orig="HOST_ALIAS", doc="entries of the alias table")


@dataclass(frozen=True, slots=True)
class Described:
    """What the self-identification tells of a variable.

    ``name``: 1 to 16 characters of ASCII. ``snvt``: number of its standard type, 0 for none. ``rate``, ``maximum_rate``: codes 0
    (unknown) to 255 of how often it is sent. The flags are those of ``DescriptionFlags``.
    """

    name: str
    snvt: int = 0
    documentation: str = ""
    rate: int = 0
    maximum_rate: int = 0
    configuration_class: bool = False
    authentication_changeable: bool = True
    priority_changeable: bool = True
    service_changeable: bool = True
    offline: bool = False
    polled: bool = False
    synchronised: bool = False

    def check(self) -> None:
        """Raise ConfigError for what the layout cannot say."""
        if not 1 <= len(self.name) <= MAX_NAME or not _plain(self.name):
            raise ConfigError(f"{self.name!r} is no name of a variable", hint=f"1 to {MAX_NAME} characters of ASCII")
        _check_text(self.documentation, f"text of variable {self.name}")
        for word, number in (("type", self.snvt), ("rate", self.rate), ("maximum rate", self.maximum_rate)):
            if not 0 <= number <= 0xFF:
                raise ConfigError(f"variable {self.name}: {word} {number} is not within 0 to 255")


def self_identification(variables: Sequence[Described], documentation: str, message_tags: int, aliases: int) -> bytes:
    """The whole block. Raises ConfigError for texts that are not ASCII, and for more than 65535 bytes."""
    _check_text(documentation, "the node's text")
    for word, number, most in (("message tags", message_tags, 0xFF), ("aliases", aliases, 0xFFFE)):
        if not 0 <= number <= most:
            raise ConfigError(f"{number} {word} is not within 0 to {most}")
    body = b"".join(
        (
            *map(_description, variables),
            _terminated(documentation),
            *map(_extension, variables),
            AliasField(aliases=aliases).encode(),
        )
    )
    header = SelfIdentificationHeader(
        count_low=len(variables) & 0xFF, count_high=len(variables) >> 8, message_tags=message_tags
    )
    length = len(header.encode()) + len(body)
    if length > 0xFFFF:
        raise ConfigError(
            f"the self-identification has {length} bytes, at most 65535 can be told", hint="shorter texts"
        )
    header.length = length
    return header.encode() + body


def described_length(variable: Described) -> int:
    """Bytes of the block that one variable takes."""
    return len(_description(variable)) + len(_extension(variable))


def _description(variable: Described) -> bytes:
    flags = DescriptionFlags(
        configuration_class=int(variable.configuration_class),
        authentication_changeable=int(variable.authentication_changeable),
        priority_changeable=int(variable.priority_changeable),
        service_changeable=int(variable.service_changeable),
        offline=int(variable.offline),
        polled=int(variable.polled),
        synchronised=int(variable.synchronised),
        extension=1,
    )
    return VariableDescription(flags=flags, snvt=variable.snvt).encode()


def _extension(variable: Described) -> bytes:
    """The extension record; every variable has a name, so every one has a record."""
    flags = ExtensionFlags(
        documentation=int(bool(variable.documentation)),
        name=1,
        rate=int(bool(variable.rate)),
        maximum_rate=int(bool(variable.maximum_rate)),
    )
    record = bytes((flags,))
    if variable.maximum_rate:
        record += bytes((variable.maximum_rate,))
    if variable.rate:
        record += bytes((variable.rate,))
    record += _terminated(variable.name)
    if variable.documentation:
        record += _terminated(variable.documentation)
    return record


def _terminated(text: str) -> bytes:
    return text.encode("ascii") + b"\0"


def _plain(text: str) -> bool:
    return text.isascii() and "\0" not in text


def _check_text(text: str, what: str) -> None:
    if len(text) > MAX_DOCUMENTATION or not _plain(text):
        raise ConfigError(f"{what} cannot be told", hint=f"at most {MAX_DOCUMENTATION} characters of ASCII")
