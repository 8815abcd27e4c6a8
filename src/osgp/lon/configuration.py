"""The configuration of a node: identity, domains, addresses, variables, blocks, state and counters.

ISO/IEC 14908-1, network management; ``spec/iso14908-1.md`` 2.3, 5.2, 5.8. The machines read it, network management writes it. Whoever
changes it calls ``changed()``: indexes made from it (who hears what) follow ``revision``. Sizes not given by the tables' own
indexes (15 addresses, 2 domains) are those of common nodes; the defaults of a fresh node are a project choice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from osgp.lon.entries import (
    AddressEntry,
    AuthenticationType,
    ConfigurationBlock,
    DomainEntry,
    DomainFlags,
    DomainNode,
    LastByte,
    NodeState,
    NodeStateByte,
    Statistics,
)
from osgp.lon.timers import RECEIVE_S
from osgp.wire.errors import ConfigError

__all__ = ["ADDRESSES", "DOMAINS", "Configuration", "GroupMembership", "Membership", "domain_entry"]

DOMAINS = 2
"""Entries of a domain table."""
ADDRESSES = 15
"""Entries of an address table."""
_NON_GROUP_S = tuple(RECEIVE_S[LastByte(value).non_group_timer] for value in range(256))
"""How long messages to a node alone are remembered, by the last byte of its configuration block."""


class Membership(NamedTuple):
    """A node's place in a domain: what the network layer compares."""

    domain_index: int
    domain: bytes
    subnet: int
    node: int
    key: bytes
    authentication: int
    enhanced: bool
    clone: bool

    def __repr__(self) -> str:
        return f"Membership({self.domain_index}, domain={self.domain.hex() or 'empty'}, {self.subnet}/{self.node})"


class GroupMembership(NamedTuple):
    """A node's place in a group: own member number, and how long messages to the group are remembered (seconds)."""

    member: int
    receive_timer_s: float


def domain_entry(
    domain: bytes, subnet: int, node: int, key: bytes = bytes(6), *, authentication: int = 0, clone: bool = False
) -> DomainEntry:
    """A domain entry in use. Raises ConfigError for a length that no domain has."""
    if len(domain) not in (0, 1, 3, 6):
        raise ConfigError(f"a domain has 0, 1, 3 or 6 bytes, not {len(domain)}")
    if len(key) != 6:
        raise ConfigError(f"an authentication key has 6 bytes, not {len(key)}")
    if not (1 <= subnet <= 255 and 1 <= node <= 127):
        raise ConfigError(f"{subnet}/{node} is no node's address", hint="subnet 1 to 255, node 1 to 127")
    return DomainEntry(
        id=domain.ljust(6, b"\0"),
        subnet=subnet,
        node=DomainNode(node=node, not_clone=not clone),
        flags=DomainFlags(length=len(domain), authentication=authentication),
        key=key,
    )


@dataclass(slots=True)
class Configuration:
    """All that network management can see and change of a node.

    ``addresses`` holds None for unused entries. ``state``: see ``NodeState``. ``firmware``, ``model``: as in query status.
    ``capabilities_high``, ``capabilities_low``: as in expanded query version.
    """

    unique_node_id: bytes
    program_id: bytes = bytes(8)
    domains: list[DomainEntry] = field(default_factory=lambda: [DomainEntry(), DomainEntry()])
    addresses: list[AddressEntry | None] = field(default_factory=lambda: [None] * ADDRESSES)
    block: ConfigurationBlock = field(default_factory=ConfigurationBlock)
    state: int = NodeState.UNCONFIGURED
    soft_offline: bool = False
    statistics: Statistics = field(default_factory=Statistics)
    reset_cause: int = 0x01
    error_log: int = 0
    firmware: int = 4
    model: int = 0xA8
    receive_transactions: int = 16
    allow_management_writes: bool = False
    revision: int = 0
    _memberships: tuple[Membership, ...] | None = None
    _groups: dict[tuple[int, int], GroupMembership] | None = None
    _places: dict[bytes, Membership] | None = None
    _places_state: int = 0

    def __post_init__(self) -> None:
        if len(self.unique_node_id) != 6:
            raise ConfigError(f"a unique node ID has 6 bytes, not {len(self.unique_node_id)}")
        if len(self.program_id) != 8:
            raise ConfigError(f"a program ID has 8 bytes, not {len(self.program_id)}")

    def changed(self) -> None:
        """Domains, addresses or state were changed: forget what was made from them."""
        self._memberships = self._groups = self._places = None
        self.revision += 1

    @property
    def configured(self) -> bool:
        """Whether the node has its place in a network (configured, or hard offline)."""
        return self.state in (NodeState.CONFIGURED, NodeState.HARD_OFFLINE)

    @property
    def online(self) -> bool:
        """Whether the application answers."""
        return self.state == NodeState.CONFIGURED and not self.soft_offline

    @property
    def state_byte(self) -> NodeStateByte:
        """The state as query status tells it."""
        return NodeStateByte(state=self.state & 7, soft_offline=int(self.soft_offline))

    def memberships(self) -> tuple[Membership, ...]:
        """The domains this node is a member of, in the order of the table."""
        if self._memberships is None:
            self._memberships = tuple(
                Membership(
                    index,
                    entry.domain,
                    entry.subnet,
                    entry.node.node,
                    entry.key,
                    entry.flags.authentication,
                    bool(entry.flags.enhanced),
                    not entry.node.not_clone,
                )
                for index, entry in enumerate(self.domains)
                if entry.in_use
            )
        return self._memberships

    def places(self) -> dict[bytes, Membership]:
        """Domain → membership, of a configured node; of two entries for one domain the first counts. Nothing for others."""
        if self._places is None or self._places_state != self.state:
            found = self.memberships() if self.configured else ()
            self._places = {each.domain: each for each in reversed(found)}
            self._places_state = self.state
        return self._places

    def groups(self) -> dict[tuple[int, int], GroupMembership]:
        """(domain index, group) → membership; of several entries for one group the longest receive timer counts."""
        if self._groups is None:
            found: dict[tuple[int, int], GroupMembership] = {}
            for entry in self.addresses:
                if entry is None or not entry.kind.group:
                    continue
                place = (entry.place.domain_index, entry.number)
                timer = RECEIVE_S[entry.timers.receive_timer]
                known = found.get(place)
                if known is None:
                    found[place] = GroupMembership(entry.place.number, timer)
                elif timer > known.receive_timer_s:
                    found[place] = GroupMembership(known.member, timer)
            self._groups = found
        return self._groups

    @property
    def non_group_timer_s(self) -> float:
        """How long messages to this node alone are remembered, seconds."""
        return _NON_GROUP_S[self.block.last]

    @property
    def open_media_key(self) -> bytes:
        """The 12-byte key of open media authentication: the keys of both domain entries."""
        return self.domains[0].key + self.domains[1].key

    @property
    def challenge_type(self) -> int:
        """How this node challenges: the authentication type of domain entry 0."""
        return AuthenticationType(self.domains[0].flags.authentication)

    def join(self, index: int, entry: DomainEntry) -> None:
        """Write a domain entry and, if it is in use, become configured. Raises ConfigError for an index that is none."""
        if not 0 <= index < len(self.domains):
            raise ConfigError(f"there is no domain entry {index}", hint=f"0 to {len(self.domains) - 1}")
        self.domains[index] = entry
        if entry.in_use and self.state == NodeState.UNCONFIGURED:
            self.state = NodeState.CONFIGURED
        self.changed()

    def __repr__(self) -> str:
        places = ", ".join(map(repr, self.memberships()))
        return f"Configuration({self.unique_node_id.hex().upper()}, {places or 'no domain'})"
