"""What diagnostics and management work on: the node's configuration, memory, variables, and what hangs on them.

ISO/IEC 14908-1, network management; ``spec/iso14908-1.md`` 5; the form is a project choice. The rules are in
``management`` (who may do what) and in ``management_node`` and ``management_tables`` (what each command does).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from osgp.lon.configuration import Configuration
from osgp.lon.entries import AuthenticationType, NodeState
from osgp.lon.events import Event, ModeChanged, NodeReset
from osgp.lon.indication import Indication
from osgp.lon.memory import Memory
from osgp.lon.nd import PERFECT, PERFECT_ALTERNATE, FullVersionResponse, PhaseResponse
from osgp.lon.nm import Done, ProductResponse
from osgp.lon.variables import VariableTable
from osgp.wire import Struct

__all__ = [
    "DONE",
    "EXTERNAL_RESET",
    "SOFTWARE_RESET",
    "Announcements",
    "Handler",
    "Managed",
    "ManagementCounters",
    "Refused",
    "Result",
    "RouterCommands",
    "perfect_answer",
]

EXTERNAL_RESET = 0x02
SOFTWARE_RESET = 0x14
"""Reset causes as query status tells them (see ``nd.RESET_CAUSES``)."""


class Refused(NamedTuple):
    """Why a command is not carried out, for people; the peer gets the failure code alone."""

    reason: str


class RouterCommands(Protocol):
    """The router beside this node: takes commands 74 to 7C and 7E, gives the response, None for none."""

    def serve(self, apdu: bytes) -> bytes | None:
        """Carry out a command."""


class Announcements(Protocol):
    """The map of IP addresses of a LON/IP carrier (see ``lonip_map.AddressMap``).

    ``announce_subnets`` raises BadValue for a domain from which no address follows. What a single node announces of itself the
    carrier sees, since only it knows where the packet came from.
    """

    age_s: float

    def announce_subnets(self, domain: bytes, subnets: Iterable[int], derived: bool) -> None:
        """The IP addresses of these subnets follow from their places, or no longer."""


@dataclass(slots=True)
class ManagementCounters:
    """How many commands were served, refused by their content, refused as not allowed, or could not be read."""

    served: int = 0
    refused: int = 0
    forbidden: int = 0
    malformed: int = 0


def perfect_answer(indication: Indication) -> bytes:
    """The transceiver's registers where there is no transceiver: what an open stack tells of itself."""
    return PERFECT_ALTERNATE if indication.alternate_path else PERFECT


@dataclass(slots=True)
class Managed:
    """The state behind the commands.

    ``selected``: respond to query is on. ``measure``: seven transceiver registers for a message that arrived. ``phase``: the mains
    phase of such a message, None if it is not known. ``version``, ``product``: what the node tells of itself, None for what
    follows from the configuration, and for no product. ``announce_period_s``: how often the carrier says our IP address.
    """

    configuration: Configuration
    memory: Memory
    variables: VariableTable | None = None
    address_map: Announcements | None = None
    router: RouterCommands | None = None
    ip_address: bytes | None = None
    proxy: bool = True
    measure: Callable[[Indication], bytes] = perfect_answer
    measures: bool = False
    phase: Callable[[Indication], PhaseResponse | None] | None = None
    version: FullVersionResponse | None = None
    product: ProductResponse | None = None
    selected: bool = False
    announce_period_s: int = 0
    pending: list[Event] | None = None

    def happened(self, event: Event) -> None:
        """Tell those who drain the events."""
        if self.pending is None:
            self.pending = []
        self.pending.append(event)

    def reset(self, cause: int = SOFTWARE_RESET) -> None:
        """The node starts anew: online, not selected. What survives is the configuration with its state."""
        self.configuration.reset_cause = cause
        self.configuration.soft_offline = False
        self.selected = False
        self.happened(NodeReset(cause))

    def change_mode(self, state: int | None = None, soft_offline: bool | None = None) -> None:
        """Another state, or the application stopped or started; told only if something changes."""
        configuration = self.configuration
        before = (configuration.state, configuration.soft_offline)
        if state is not None:
            configuration.state = NodeState(state)
        if soft_offline is not None:
            configuration.soft_offline = soft_offline
        if before != (configuration.state, configuration.soft_offline):
            configuration.changed()
            self.happened(ModeChanged(int(configuration.state), configuration.soft_offline))

    def trusts(self, indication: Indication) -> bool:
        """Whether a message may change the configuration, and be told keys (project choice, see ``management``)."""
        configuration = self.configuration
        if not configuration.configured or configuration.allow_management_writes:
            return True
        index = indication.domain_index
        if not indication.authenticated or index is None or index >= len(configuration.domains):
            return False
        entry = configuration.domains[index]
        open_media = configuration.challenge_type == AuthenticationType.OPEN_MEDIA
        return any(configuration.open_media_key if open_media else entry.key)


Result = Struct | Refused | None
"""What a handler gives: the response, why there is none but a refusal, or None for a null response."""

DONE = Done(code=0)
"""The result of a command that has nothing to tell: the success code of its request is put in its place."""

Handler = Callable[[Managed, Indication, Any], Result]
"""Carries out one command. It gets the decoded request; its effects are done when it returns."""
