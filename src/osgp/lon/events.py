"""What the machines of the control network report: immutable, named in the past tense, drained by ``events()``.

Project choice. Named tuples rather than frozen dataclasses: some of them are made for every message, and cost half as much so.
"""

from __future__ import annotations

from typing import NamedTuple

from osgp.lon.address import Destination, SubnetNode

__all__ = [
    "Dropped",
    "Event",
    "MessageReceived",
    "ModeChanged",
    "NodeReset",
    "ResponseReceived",
    "ServicePinReceived",
    "TransactionCompleted",
    "TransactionFailed",
    "VariableUpdated",
    "Winked",
]


class Dropped(NamedTuple):
    """A packet or frame that was no use; ``data`` holds its first bytes (at most 64)."""

    reason: str
    data: bytes = b""


class MessageReceived(NamedTuple):
    """An application message, or a foreign frame that nobody here knows.

    ``source``: the sender's subnet/node in ``domain``. ``service``: see ``ltep.Service``. ``reply``: for ``Stack.respond`` when
    the service is REQUEST, else None. ``authenticated``: it passed authentication.
    """

    source: SubnetNode
    domain: bytes
    destination: Destination
    service: int
    priority: bool
    authenticated: bool
    apdu: bytes
    reply: int | None = None


class ResponseReceived(NamedTuple):
    """A response to our request ``handle``; several of them when the destination was a group."""

    handle: int
    source: SubnetNode
    apdu: bytes


class TransactionCompleted(NamedTuple):
    """All answers of transaction ``handle`` are in, or all its repeats are sent."""

    handle: int
    attempts: int = 1


class TransactionFailed(NamedTuple):
    """Transaction ``handle`` ended without all its answers.

    ``missing``: members of the group that did not answer. ``hop``: of a chain, the node that gave up: 1 the first hop, 0 unknown
    (the first hop did not answer itself, or the count it told fits no such chain).
    """

    handle: int
    reason: str
    attempts: int = 1
    missing: tuple[int, ...] = ()
    hop: int = 0


class ServicePinReceived(NamedTuple):
    """Somebody pressed a service pin."""

    unique_node_id: bytes
    program_id: bytes


class Winked(NamedTuple):
    """Network management asked this node to show where it is."""


class ModeChanged(NamedTuple):
    """Network management changed the node's mode or state; see ``entries.NodeState``."""

    state: int
    soft_offline: bool


class NodeReset(NamedTuple):
    """Network management reset the node; ``cause`` as in query status."""

    cause: int


class VariableUpdated(NamedTuple):
    """A network variable took a new value from the network."""

    variable: int
    value: bytes
    source: SubnetNode | None = None


Event = (
    Dropped
    | MessageReceived
    | ResponseReceived
    | TransactionCompleted
    | TransactionFailed
    | ServicePinReceived
    | Winked
    | ModeChanged
    | NodeReset
    | VariableUpdated
)
