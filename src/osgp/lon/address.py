"""Whom a message is for, in words that people can type.

ISO/IEC 14908-1, network layer; ``spec/iso14908-1.md`` 2.2, 3.3, 5.8. Text form (project choice): ``1/20`` a node, ``group 5``,
``broadcast`` or ``subnet 3`` a broadcast, twelve hex digits a unique node ID.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

from osgp.lon.entries import AddressEntry
from osgp.lon.lpdu import MAX_BACKLOG
from osgp.wire.errors import ConfigError

__all__ = [
    "Broadcast",
    "Destination",
    "Group",
    "SubnetNode",
    "UniqueNodeId",
    "destination_of_entry",
    "parse_destination",
    "parse_domain",
    "subnet_node",
]

_EXAMPLES = "write 1/20 (subnet/node), 0700000000B2 (unique node ID), group 5, subnet 3 or broadcast"


@dataclass(frozen=True, slots=True)
class SubnetNode:
    """One node: subnet 1..255 (0 none), node 1..127 (0 none)."""

    subnet: int
    node: int

    def __post_init__(self) -> None:
        if not (0 <= self.subnet <= 255 and 0 <= self.node <= 127):
            _within("subnet", self.subnet, 255)
            _within("node", self.node, 127)

    def __str__(self) -> str:
        return f"{self.subnet}/{self.node}"


@dataclass(frozen=True, slots=True)
class Group:
    """A group 0..255. ``size``: as in a send address, answers expected and one; 0 expects none (unacknowledged services)."""

    group: int
    size: int = 0

    def __post_init__(self) -> None:
        _within("group", self.group, 255)
        _within("size", self.size, 127)

    def __str__(self) -> str:
        return f"group {self.group}"


@dataclass(frozen=True, slots=True)
class Broadcast:
    """All nodes of a subnet; of the domain with subnet 0. ``backlog``: answers to expect, 0 unknown."""

    subnet: int = 0
    backlog: int = 0

    def __post_init__(self) -> None:
        _within("subnet", self.subnet, 255)
        _within("backlog", self.backlog, 63)

    def __str__(self) -> str:
        return f"subnet {self.subnet}" if self.subnet else "broadcast"


@dataclass(frozen=True, slots=True)
class UniqueNodeId:
    """One device by its six bytes, whatever its domain. ``subnet``: hint for routers, 0 everywhere."""

    unique_node_id: bytes
    subnet: int = 0

    def __post_init__(self) -> None:
        if len(self.unique_node_id) != 6:
            raise ConfigError(f"a unique node ID has 6 bytes, not {len(self.unique_node_id)}", hint=_EXAMPLES)
        _within("subnet", self.subnet, 255)

    def __str__(self) -> str:
        return self.unique_node_id.hex().upper()


@cache
def subnet_node(subnet: int, node: int) -> SubnetNode:
    """The address of a node as every packet needs it: made once, at most 32,768 in all. Raises ConfigError."""
    return SubnetNode(subnet, node)


Destination: TypeAlias = SubnetNode | Group | Broadcast | UniqueNodeId


def destination_of_entry(entry: AddressEntry) -> Destination | None:
    """Whom an address entry names, or None if it is unused or names nobody (an unknown kind)."""
    number = entry.place.number
    if entry.kind.group:
        return Group(entry.number, entry.kind.kind)
    if entry.kind.kind == 1:
        return SubnetNode(entry.number, number)
    if entry.kind.kind == 2 and entry.unique_node_id is not None:
        return UniqueNodeId(entry.unique_node_id, entry.number)
    if entry.kind.kind == 3:
        return Broadcast(entry.number, number & MAX_BACKLOG)
    return None


def _within(name: str, value: int, most: int) -> None:
    if not 0 <= value <= most:
        raise ConfigError(f"{name} {value} is not within 0 to {most}", hint=_EXAMPLES)


def parse_destination(text: str) -> Destination:
    """Read an address as people type it. Raises ConfigError with examples."""
    word = text.strip().lower()
    if word in ("broadcast", "*", "all"):
        return Broadcast()
    if found := re.fullmatch(r"(\d+)\s*/\s*(\d+)", word):
        return SubnetNode(int(found[1]), int(found[2]))
    if found := re.fullmatch(r"group\s*:?\s*(\d+)(?:\s+size\s+(\d+))?", word):
        return Group(int(found[1]), int(found[2] or 0))
    if found := re.fullmatch(r"subnet\s*:?\s*(\d+)", word):
        return Broadcast(int(found[1]))
    compact = re.sub(r"[:\-. ]", "", word.removeprefix("uid:"))
    if re.fullmatch(r"[0-9a-f]{12}", compact):
        return UniqueNodeId(bytes.fromhex(compact))
    raise ConfigError(f"{text!r} is no address in a control network", hint=_EXAMPLES)


def parse_domain(text: str) -> bytes:
    """Read a domain's identifier: hex digits of 0, 1, 3 or 6 bytes; ``empty`` for the zero-length one. Raises ConfigError."""
    word = re.sub(r"[:\-. ]", "", text.strip().lower())
    try:
        domain = b"" if word in ("", "empty", "none") else bytes.fromhex(word)
    except ValueError as error:
        raise ConfigError(f"{text!r} is no domain", hint="hex digits, such as 49 or 4F5347") from error
    if len(domain) not in (0, 1, 3, 6):
        raise ConfigError(
            f"a domain has 0, 1, 3 or 6 bytes, not {len(domain)}", hint="hex digits, such as 49 or 4F5347"
        )
    return domain
