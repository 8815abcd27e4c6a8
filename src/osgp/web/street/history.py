"""What the map looked like before: only what changed, in a bounded number of steps that grow coarser toward the past.

A step is kept when a device changed its state or its way, or a link its grade. When there are more than ``most``, two of the older
half become one, so that the newest are as fine as they came, the beginning stays, and between them steps grow longer with their age.
Cost: for each step what changed in it, and once the whole street.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from osgp.concentrator.link_metric import grade
from osgp.web.street.models import LinkRow, NodeRow

__all__ = ["History", "NodeThen", "Then", "node_then"]

K = TypeVar("K")
V = TypeVar("V")
LinkKey = tuple[str, str, bool]


class NodeThen(NamedTuple):
    """What is kept of a device."""

    state: str
    standing: str
    way: tuple[str, ...]
    backup: tuple[str, ...]
    way_alternate: tuple[bool, ...]
    backup_alternate: tuple[bool, ...]


def node_then(node: NodeRow) -> NodeThen:
    """What is kept of a device as it is now."""
    return NodeThen(node.state, node.standing, node.way, node.backup, node.way_alternate, node.backup_alternate)


@dataclass(slots=True)
class _Step:
    """None: it was not there any more."""

    wall: float
    nodes: dict[str, NodeThen | None]
    links: dict[LinkKey, LinkRow | None]


class Then(NamedTuple):
    """The map at a moment, UTC seconds."""

    wall: float
    nodes: dict[str, NodeThen]
    links: dict[LinkKey, LinkRow]


class History:
    """Steps of a map. ``note`` what it looks like now, ask ``at`` what it looked like."""

    def __init__(self, most: int = 600) -> None:
        self.most = most
        self._steps: list[_Step] = []
        self._nodes: dict[str, NodeThen] = {}
        self._links: dict[LinkKey, LinkRow] = {}

    def note(self, wall: float, nodes: Mapping[str, NodeRow], links: list[LinkRow]) -> bool:
        """Keep what has changed; whether anything has."""
        now = {name: node_then(each) for name, each in nodes.items()}
        there = {each.key: each for each in links}
        changed: dict[str, NodeThen | None] = {
            name: each for name, each in now.items() if self._nodes.get(name) != each
        }
        changed.update((name, None) for name in self._nodes if name not in now)
        other: dict[LinkKey, LinkRow | None] = {
            key: each for key, each in there.items() if not _is_alike(self._links.get(key), each)
        }
        other.update((key, None) for key in self._links if key not in there)
        if not changed and not other:
            return False
        if self._steps and wall <= self._steps[-1].wall:  # a clock that was set back, or another concentrator
            wall = self._steps[-1].wall + 0.001
        self._steps.append(_Step(wall, changed, other))
        _apply(self._nodes, changed)
        _apply(self._links, other)
        if len(self._steps) > self.most:
            self._thin()
        return True

    def _thin(self) -> None:
        """Join a step of the older half with the next: the one that is least missed, by its span against its age."""
        steps = self._steps
        now = steps[-1].wall
        place = min(
            range(1, len(steps) - self.most // 2),
            key=lambda at: (steps[at + 1].wall - steps[at - 1].wall) / (now - steps[at].wall),
        )
        before, after = steps[place : place + 2]
        steps[place : place + 2] = [_Step(after.wall, before.nodes | after.nodes, before.links | after.links)]

    def moments(self) -> list[float]:
        """When something changed, oldest first; the newest is how it is now."""
        return [each.wall for each in self._steps]

    def at(self, wall: float) -> Then | None:
        """The map as it was at a moment: the last step before or at it, the first if there is none; None without any."""
        if not self._steps:
            return None
        count = max(1, bisect_right(self._steps, wall, key=lambda step: step.wall))
        nodes: dict[str, NodeThen] = {}
        links: dict[LinkKey, LinkRow] = {}
        for step in self._steps[:count]:
            _apply(nodes, step.nodes)
            _apply(links, step.links)
        return Then(self._steps[count - 1].wall, nodes, links)


def _is_alike(before: LinkRow | None, now: LinkRow) -> bool:
    return before is not None and (grade(before.ab_db), grade(before.ba_db)) == (grade(now.ab_db), grade(now.ba_db))


def _apply(whole: dict[K, V], changes: Mapping[K, V | None]) -> None:
    for key, value in changes.items():
        if value is None:
            whole.pop(key, None)
        else:
            whole[key] = value
