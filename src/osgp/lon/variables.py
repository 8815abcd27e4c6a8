"""Network variables: a node's values that other nodes hear of because an installer bound them together.

ISO/IEC 14908-1, application layer; ``spec/iso14908-1.md`` 5.1, 5.8. ``VariableTable`` holds what is declared (size, direction, type),
what network management writes (selectors, addresses, aliases) and the values. It sends nothing: it says what is to be sent,
and is told what came in.

Where the two open stacks differ: an update goes to every input with its selector (one stack: to the first alone), a poll is answered
with the first variable that may be told (the other: not at all if there are two), and authentication is wanted if the variable
or the alias that matched wants it. The direction is the declaration's; the bit that network management writes is not taken over
(project choice).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from osgp.lon.address import Destination, SubnetNode, destination_of_entry
from osgp.lon.apdu import NvHeader
from osgp.lon.configuration import Configuration
from osgp.lon.entries import AliasEntry, NvEntry, NvEntryFlags, NvEntrySelector
from osgp.lon.events import VariableUpdated
from osgp.lon.lpdu import MAX_APDU
from osgp.lon.ltep import Service
from osgp.lon.self_identification import MAX_LENGTH, Described, described_length, self_identification
from osgp.lon.timers import TRANSMIT_S
from osgp.wire.errors import ConfigError

__all__ = [
    "FIRST_UNBOUND",
    "LAST_SELECTOR",
    "MAX_SIZE",
    "MAX_VARIABLES",
    "NO_ADDRESS",
    "NetworkVariable",
    "OutgoingVariable",
    "VariableCounters",
    "VariableTable",
]

LAST_SELECTOR = 0x3FFF
"""Selector of variable 0 while it is not bound; those of the others count down from it."""
FIRST_UNBOUND = 0x3000
"""The lowest selector that is not for bound variables."""
MAX_VARIABLES = LAST_SELECTOR - FIRST_UNBOUND + 1
"""Most variables of a node: each has a selector of its own while it is not bound."""
NO_ADDRESS = 15
"""Address index of a variable that is not sent anywhere."""
MAX_SIZE = MAX_APDU - NvHeader.size
"""Most bytes of a variable (buffers of two open stacks; older nodes have variables of at most 31)."""

_UNUSED = 0xFF
_UNUSED_WIDE = 0xFFFF


@dataclass(frozen=True, slots=True)
class NetworkVariable(Described):
    """A variable as the application declares it.

    ``size``: bytes, 1 to ``MAX_SIZE``. ``output``: this node sends it; else it receives it. ``initial``: the value at the start, zeros
    if empty. ``service``, ``priority``, ``authenticated``: what its configuration says until network management writes it.
    The rest is told in the self-identification: see ``Described``. Raises ConfigError.
    """

    size: int = 1
    output: bool = False
    initial: bytes = b""
    service: int = Service.ACKD
    priority: bool = False
    authenticated: bool = False

    def __post_init__(self) -> None:
        self.check()
        if not 1 <= self.size <= MAX_SIZE:
            raise ConfigError(f"variable {self.name} has {self.size} bytes", hint=f"1 to {MAX_SIZE}")
        if self.initial and len(self.initial) != self.size:
            raise ConfigError(f"variable {self.name} has {self.size} bytes, its initial value {len(self.initial)}")
        if self.service not in (Service.ACKD, Service.UNACKD_RPT, Service.UNACKD):
            raise ConfigError(f"variable {self.name} cannot be sent with service {self.service}", hint="0, 1 or 2")


class OutgoingVariable(NamedTuple):
    """A message that the table wants sent. Timers in seconds; ``retry``: transmissions after the first.

    ``variable``: its index. ``domain_index``: entry of the domain table. ``service``: REQUEST for a poll. ``destination``: a
    group's size is that of the address table.
    """

    variable: int
    destination: Destination
    domain_index: int
    service: int
    priority: bool
    authenticated: bool
    apdu: bytes
    retry: int
    transmit_timer_s: float
    repeat_timer_s: float


@dataclass(slots=True)
class VariableCounters:
    """What came in for variables and was no use, by reason."""

    malformed: int = 0
    unknown_selectors: int = 0
    for_outputs: int = 0
    wrong_sizes: int = 0
    not_authenticated: int = 0


class VariableTable:
    """The network variables of one node.

    ``aliases``: entries of the alias table. ``self_documentation``: what the node says of itself in its self-identification.
    ``message_tags``: addresses that the application binds to messages of its own, as told there. Raises ConfigError.
    """

    __slots__ = (
        "_aliases",
        "_configs",
        "_length",
        "_matches",
        "_names",
        "_outgoing",
        "_values",
        "_variables",
        "counters",
        "message_tags",
        "self_documentation",
    )

    def __init__(
        self,
        variables: Iterable[NetworkVariable] = (),
        *,
        aliases: int = 0,
        self_documentation: str = "",
        message_tags: int = 0,
    ) -> None:
        self.self_documentation = self_documentation
        self.message_tags = message_tags
        self.counters = VariableCounters()
        self._variables: list[NetworkVariable] = []
        self._names: dict[str, int] = {}
        self._configs: list[NvEntry] = []
        self._values: list[bytes] = []
        self._aliases = [AliasEntry(primary_wide=None) for _ in range(aliases)]
        self._matches: dict[tuple[int, bool], list[tuple[int, bool]]] | None = None
        self._outgoing: dict[int, list[NvEntry | AliasEntry]] = {}
        self._length = len(self.self_identification())
        for variable in variables:
            self.declare(variable)

    def declare(self, variable: NetworkVariable) -> int:
        """Add a variable, not bound to anything; its index. Raises ConfigError if there is no room, or one of that name."""
        index = len(self._variables)
        if index >= MAX_VARIABLES:
            raise ConfigError(f"a node has at most {MAX_VARIABLES} network variables")
        if variable.name in self._names:
            raise ConfigError(f"there are two network variables {variable.name}")
        length = self._length + described_length(variable)
        if length > MAX_LENGTH:
            raise ConfigError(f"no room in the self-identification for {variable.name}", hint="shorter texts")
        self._length = length
        self._names[variable.name] = index
        self._variables.append(variable)
        self._configs.append(
            NvEntry(
                selector=NvEntrySelector(
                    selector=LAST_SELECTOR - index, output=int(variable.output), priority=int(variable.priority)
                ),
                flags=NvEntryFlags(
                    address_index=NO_ADDRESS, authenticated=int(variable.authenticated), service=int(variable.service)
                ),
            )
        )
        self._values.append(variable.initial or bytes(variable.size))
        self._changed()
        return index

    # What network management reads and writes

    @property
    def count(self) -> int:
        """Number of variables."""
        return len(self._variables)

    @property
    def alias_count(self) -> int:
        """Number of entries of the alias table."""
        return len(self._aliases)

    def index_of(self, name: str) -> int | None:
        """The index of a variable by its name, None if there is none."""
        return self._names.get(name)

    def info(self, index: int) -> NetworkVariable | None:
        """The declaration of a variable, None for an index that is none."""
        return self._variables[index] if 0 <= index < len(self._variables) else None

    def config(self, index: int) -> NvEntry | None:
        """The configuration of a variable, a copy; None for an index that is none."""
        if not 0 <= index < len(self._configs):
            return None
        entry = self._configs[index]
        return NvEntry(selector=entry.selector, flags=entry.flags)

    def set_config(self, index: int, entry: NvEntry) -> bool:
        """Write the configuration of a variable, but for its direction. False for an index that is none."""
        if not 0 <= index < len(self._configs):
            return False
        self._configs[index] = NvEntry(selector=self._directed(index, entry.selector), flags=entry.flags)
        self._changed()
        return True

    def alias(self, index: int) -> AliasEntry | None:
        """An entry of the alias table, a copy; None for an index that is none."""
        if not 0 <= index < len(self._aliases):
            return None
        entry = self._aliases[index]
        return _copied(entry, entry.selector)

    def set_alias(self, index: int, entry: AliasEntry) -> bool:
        """Write an entry of the alias table. False for an index that is none, or an alias of a variable that does not exist."""
        primary = _primary(entry)
        if not 0 <= index < len(self._aliases) or (primary is not None and primary >= len(self._variables)):
            return False
        selector = entry.selector if primary is None else self._directed(primary, entry.selector)
        self._aliases[index] = _copied(entry, selector)
        self._changed()
        return True

    def value(self, index: int) -> bytes | None:
        """The value of a variable, None for an index that is none."""
        return self._values[index] if 0 <= index < len(self._values) else None

    def set_value(self, index: int, value: bytes) -> bool:
        """Give a variable a value, without telling anybody. False for an index that is none or a value of another size."""
        if not 0 <= index < len(self._values) or len(value) != self._variables[index].size:
            return False
        self._values[index] = bytes(value)
        return True

    def self_identification(self) -> bytes:
        """What generic tools read of the node's variables with command 72 (*unverified* layout)."""
        return self_identification(self._variables, self.self_documentation, self.message_tags, len(self._aliases))

    # What comes in

    def updated(self, apdu: bytes, source: SubnetNode | None, authenticated: bool) -> list[VariableUpdated]:
        """Take in an update (``80|selector value``, any service but a request). Returns the inputs that have a value now."""
        return self._take(apdu, source, authenticated, response=False)

    def polled(self, apdu: bytes, source: SubnetNode | None) -> list[VariableUpdated]:
        """Take in the response to a poll of ours. Returns the inputs that have a value now: none if it brings no value.

        A response cannot be authenticated; it is taken because it answers a transaction of ours, whose peer was asked
        to prove nothing (as both open stacks do, or mean to).
        """
        return self._take(apdu, source, authenticated=True, response=True)

    def poll_response(self, apdu: bytes, authenticated: bool, online: bool) -> bytes | None:
        """The answer to a poll (a request ``C0|selector``; ``80|selector`` polls an input).

        Without a value if nobody has that selector, the node is offline, or only those have it who want authentication. None if the
        message is no poll: it is longer or shorter than one.
        """
        header = NvHeader(int.from_bytes(apdu[: NvHeader.size], "big"))
        if len(apdu) != NvHeader.size or not header.variable:
            self.counters.malformed += 1
            return None
        answer = header.with_(direction=1 - header.direction).to_bytes(NvHeader.size, "big")
        if not online:
            return answer
        found = self._found().get((header.selector, bool(header.direction)))
        if not found:
            self.counters.unknown_selectors += 1
            return answer
        for index, wants_authentication in found:
            if authenticated or not wants_authentication:
                return answer + self._values[index]
        self.counters.not_authenticated += 1
        return answer

    # What goes out

    def messages_for(self, index: int, configuration: Configuration) -> list[OutgoingVariable]:
        """The updates that tell the others an output's value: one for the variable and one for each alias that is bound.

        None for an input, for a variable that is bound to nobody, and from a node that is not configured. What is bound within
        the node is ``turnaround``'s.
        """
        if not 0 <= index < len(self._variables) or not self._variables[index].output:
            return []
        return self._messages(index, configuration, poll=False)

    def poll_messages(self, index: int, configuration: Configuration) -> list[OutgoingVariable]:
        """The requests that ask the others for an input's value, as ``messages_for``; the responses go to ``polled``."""
        if not 0 <= index < len(self._variables) or self._variables[index].output:
            return []
        return self._messages(index, configuration, poll=True)

    def turnaround(self, index: int) -> list[VariableUpdated]:
        """Carry values within the node, where turnaround is on: an output's to all its inputs, to an input from its output.

        Returns the inputs that have a value now. Their sizes must be equal; authentication is not asked for.
        """
        if not 0 <= index < len(self._variables):
            return []
        output = self._variables[index].output
        changed: dict[int, bytes] = {}
        for entry in self._entries_of(index):
            if not entry.flags.turnaround:
                continue
            for other, _ in self._found().get((entry.selector.selector, not output), ()):
                source, target = (index, other) if output else (other, index)
                if self._variables[source].size == self._variables[target].size:
                    changed.setdefault(target, self._values[source])
        for target, value in changed.items():
            self._values[target] = value
        return [VariableUpdated(target, value) for target, value in changed.items()]

    def _take(
        self, apdu: bytes, source: SubnetNode | None, authenticated: bool, response: bool
    ) -> list[VariableUpdated]:
        header = NvHeader(int.from_bytes(apdu[: NvHeader.size], "big"))
        value = apdu[NvHeader.size :]
        if len(apdu) < NvHeader.size or not header.variable or not (value or response):
            self.counters.malformed += 1
            return []
        if not value:
            return []
        if header.direction:
            self.counters.for_outputs += 1
            return []
        found = self._found().get((header.selector, False))
        if not found:
            self.counters.unknown_selectors += 1
            return []
        events: dict[int, VariableUpdated] = {}
        for index, wants_authentication in found:
            if len(value) != self._variables[index].size:
                self.counters.wrong_sizes += 1
            elif wants_authentication and not authenticated:
                self.counters.not_authenticated += 1
            else:
                self._values[index] = value
                events[index] = VariableUpdated(index, value, source)
        return list(events.values())

    def _messages(self, index: int, configuration: Configuration, poll: bool) -> list[OutgoingVariable]:
        if not configuration.configured:
            return []
        members = {membership.domain_index for membership in configuration.memberships()}
        messages = []
        for entry in self._entries_of(index):
            place = entry.flags.address_index
            address = (
                configuration.addresses[place] if place != NO_ADDRESS and place < len(configuration.addresses) else None
            )
            destination = destination_of_entry(address) if address is not None else None
            if address is None or destination is None or address.place.domain_index not in members:
                continue
            header = NvHeader(selector=entry.selector.selector, direction=int(poll), variable=1)
            service = entry.flags.service if entry.flags.service != Service.REQUEST else int(Service.ACKD)
            messages.append(
                OutgoingVariable(
                    variable=index,
                    destination=destination,
                    domain_index=address.place.domain_index,
                    service=int(Service.REQUEST) if poll else service,
                    priority=bool(entry.selector.priority),
                    authenticated=bool(entry.flags.authenticated),
                    apdu=header.to_bytes(NvHeader.size, "big") + (b"" if poll else self._values[index]),
                    retry=address.retry.retry,
                    transmit_timer_s=TRANSMIT_S[address.timers.transmit_timer],
                    repeat_timer_s=TRANSMIT_S[address.retry.repeat_timer],
                )
            )
        return messages

    def _directed(self, index: int, selector: NvEntrySelector) -> NvEntrySelector:
        return selector.with_(output=int(self._variables[index].output))

    def _changed(self) -> None:
        self._matches = None

    def _entries_of(self, index: int) -> list[NvEntry | AliasEntry]:
        """A variable's own configuration, then its aliases."""
        self._found()
        return self._outgoing[index]

    def _found(self) -> dict[tuple[int, bool], list[tuple[int, bool]]]:
        """(selector, output) → variables with it, in the order of the tables: index, and whether it wants authentication."""
        if self._matches is None:
            self._matches = {}
            self._outgoing = {index: [entry] for index, entry in enumerate(self._configs)}
            slots: list[tuple[int, NvEntry | AliasEntry]] = list(enumerate(self._configs))
            for alias in self._aliases:
                primary = _primary(alias)
                if primary is not None:
                    self._outgoing[primary].append(alias)
                    slots.append((primary, alias))
            for index, entry in slots:
                wants = bool(entry.flags.authenticated or self._configs[index].flags.authenticated)
                place = (entry.selector.selector, self._variables[index].output)
                self._matches.setdefault(place, []).append((index, wants))
        return self._matches


def _primary(entry: AliasEntry) -> int | None:
    """The variable that an alias stands for, None for an entry that is not in use."""
    if entry.primary != _UNUSED:
        return entry.primary
    wide = entry.primary_wide
    return None if wide is None or wide == _UNUSED_WIDE else wide


def _copied(entry: AliasEntry, selector: NvEntrySelector) -> AliasEntry:
    return AliasEntry(selector=selector, flags=entry.flags, primary=entry.primary, primary_wide=entry.primary_wide)
