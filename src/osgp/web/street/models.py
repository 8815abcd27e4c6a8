"""What the pages of a street show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from osgp.concentrator.map_history import LinkRow, NodeThen

__all__ = ["CENTRE", "SEVERITIES", "STATES", "Happened", "NodeRow", "node_rows"]

CENTRE = "concentrator"
"""The concentrator, as a node."""
STATES = ("unknown", "heard", "challenged", "commissioned", "up", "down", "lost")
"""As ``concentrator.topology.NodeState`` has them, in their order."""
SEVERITIES = ("info", "warning", "critical")
"""Of events, the least first."""
_KINDS = {"1ph": "1ph", "3ph": "3ph", "load": "load", "inverter": "inverter", "gateway": "gateway"}


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A device on the map. ``id``: its unique node ID; ``number``: in the journal, None without one; ``way`` and ``backup``: IDs from
    the first repeater to the device, empty if there is none; those with ``alternate``: whether each
    of their legs is on the alternate carrier; ``worst_db``: the smallest margin on its way, either direction;
    ``silent_s``: since its last answer; ``missing``: what of the collection it does not have, and why."""

    id: str
    number: int | None
    name: str
    kind: str
    state: str
    standing: str
    reason: str
    address: str
    way: tuple[str, ...]
    backup: tuple[str, ...]
    way_alternate: tuple[bool, ...]
    backup_alternate: tuple[bool, ...]
    cost: float | None
    phase: int | None
    silent_s: float | None
    worst_db: float | None

    @property
    def legs(self) -> int:
        """Links of the way; 0 if there is none."""
        return len(self.way)

    def then(self) -> NodeThen:
        """What a history keeps of it."""
        return NodeThen(self.state, self.standing, self.way, self.backup, self.way_alternate, self.backup_alternate)

    def to_json(self) -> dict[str, Any]:
        """A plain object."""
        return {**asdict(self), "legs": self.legs}


@dataclass(frozen=True, slots=True)
class Happened:
    """An event, told in words. ``wall``: UTC seconds; ``device``: a unique node ID, or nothing."""

    number: int
    wall: float
    severity: str
    kind: str
    device: str
    name: str
    text: str

    def to_json(self) -> dict[str, Any]:
        """A plain object."""
        return asdict(self)


def node_rows(
    topology: Mapping[str, Any], links: list[LinkRow], shapes: Mapping[str, Any], now: float
) -> dict[str, NodeRow]:
    """The devices of a concentrator's topology by ID."""
    margins: dict[frozenset[str], float] = {}
    for link in links:
        pair, worse = frozenset((link.a, link.b)), min(link.ab_db, link.ba_db)
        margins[pair] = max(worse, margins.get(pair, worse))
    return {str(each["unique_node_id"]): _node_row(each, margins, shapes, now) for each in topology["nodes"]}


def _node_row(
    given: Mapping[str, Any], margins: Mapping[frozenset[str], float], shapes: Mapping[str, Any], now: float
) -> NodeRow:
    own = str(given["unique_node_id"])
    way = tuple(map(str, given["way"] or ()))
    legs = [margins.get(frozenset(pair)) for pair in zip((CENTRE, *way), way)]
    known = [each for each in legs if each is not None]
    answered, state = given["answered_at"], str(given["state"])
    return NodeRow(
        own,
        given["device"],
        str(shapes["names"].get(own) or given["name"] or own),
        _KINDS.get(str(shapes["kinds"].get(own, "")), "device"),
        state if state in STATES else "unknown",
        str(given["standing"]),
        str(given["reason"]),
        str(given["address"] or ""),
        way,
        tuple(map(str, given["backup"] or ())),
        tuple(map(bool, given.get("way_alternate", ()))),
        tuple(map(bool, given.get("backup_alternate", ()))),
        given["cost"],
        given["phase"],
        None if answered is None else max(0.0, now - float(answered)),
        min(known) if known else None,
    )
