"""What the map of a street looked like before: only what changed, in a bounded number of steps that grow coarser toward the past.

A step is kept when a device changed its state or its way, or a link its grade. When there are more than ``most``, two of the older
half become one, so that the newest are as fine as they came, the beginning stays, and between them steps grow longer with their age.
Cost: for each step what changed in it, and once the whole street. ``KeptHistory`` has them in a concentrator's journal as well.
Project choice.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from osgp.concentrator.journal import Journal
from osgp.concentrator.link_metric import grade
from osgp.wire.errors import StoreError

__all__ = ["History", "KeptHistory", "LinkRow", "NodeThen", "Step", "Then", "links_of", "nodes_of", "step_from_json"]

K = TypeVar("K")
V = TypeVar("V")
LinkKey = tuple[str, str, bool]
_KEPT = "map "
_LEAST_S = 60.0
_FORM = (KeyError, TypeError, ValueError, AttributeError, IndexError)


class NodeThen(NamedTuple):
    """What is kept of a device."""

    state: str
    standing: str
    way: tuple[str, ...]
    backup: tuple[str, ...]
    way_alternate: tuple[bool, ...]
    backup_alternate: tuple[bool, ...]


class LinkRow(NamedTuple):
    """A link between two nodes on a carrier: how well ``b`` hears ``a`` and ``a`` hears ``b``, dB above what reception needs."""

    a: str
    b: str
    alternate: bool
    ab_db: float
    ba_db: float

    @property
    def key(self) -> LinkKey:
        """Which link this is."""
        return self.a, self.b, self.alternate


@dataclass(slots=True)
class Step:
    """What changed, at a moment of UTC seconds; None: it was not there any more. ``number``: rises from step to step."""

    wall: float
    nodes: dict[str, NodeThen | None]
    links: dict[LinkKey, LinkRow | None]
    number: int = 0

    def to_json(self) -> dict[str, Any]:
        """A plain object."""
        links = [list(key) if link is None else list(link) for key, link in self.links.items()]
        return {
            "wall": self.wall,
            "nodes": {name: each and list(each) for name, each in self.nodes.items()},
            "links": links,
        }


def step_from_json(given: Mapping[str, Any]) -> Step:
    """A step as ``Step.to_json`` says it. Raises ValueError for what is none."""
    try:
        nodes: dict[str, NodeThen | None] = {}
        for name, each in given["nodes"].items():
            if each is None:
                nodes[str(name)] = None
                continue
            state, standing, *rest = each
            way, backup, way_alternate, backup_alternate = rest
            nodes[str(name)] = NodeThen(
                str(state),
                str(standing),
                tuple(map(str, way)),
                tuple(map(str, backup)),
                tuple(map(bool, way_alternate)),
                tuple(map(bool, backup_alternate)),
            )
        links: dict[LinkKey, LinkRow | None] = {}
        for a, b, alternate, *margins in given["links"]:
            key = str(a), str(b), bool(alternate)
            links[key] = LinkRow(*key, float(margins[0]), float(margins[1])) if margins else None
        return Step(float(given["wall"]), nodes, links)
    except _FORM as error:
        raise ValueError(f"that is no step of a map: {error!r:.80}") from error


class Then(NamedTuple):
    """The map at a moment, UTC seconds."""

    wall: float
    nodes: dict[str, NodeThen]
    links: dict[LinkKey, LinkRow]


class History:
    """Steps of a map. ``note`` what it looks like now, ask ``at`` what it looked like."""

    def __init__(self, most: int = 600) -> None:
        self.most = most
        self._steps: list[Step] = []
        self._nodes: dict[str, NodeThen] = {}
        self._links: dict[LinkKey, LinkRow] = {}

    def load(self, steps: Iterable[Step]) -> None:
        """Begin with steps that others have kept, oldest first."""
        for step in steps:
            self._add(step)

    def note(self, wall: float, nodes: Mapping[str, NodeThen], links: Iterable[LinkRow]) -> bool:
        """Keep what has changed; whether anything has."""
        there = {each.key: each for each in links}
        changed: dict[str, NodeThen | None] = {
            name: each for name, each in nodes.items() if self._nodes.get(name) != each
        }
        changed.update((name, None) for name in self._nodes if name not in nodes)
        other: dict[LinkKey, LinkRow | None] = {
            key: each for key, each in there.items() if not _is_alike(self._links.get(key), each)
        }
        other.update((key, None) for key in self._links if key not in there)
        if not changed and not other:
            return False
        self._add(Step(wall, changed, other))
        return True

    def _add(self, step: Step) -> None:
        if self._steps:
            last = self._steps[-1]
            step.number = last.number + 1
            if step.wall <= last.wall:  # a clock that was set back, or another concentrator
                step.wall = last.wall + 0.001
        self._steps.append(step)
        _apply(self._nodes, step.nodes)
        _apply(self._links, step.links)
        self._written(step)
        if len(self._steps) > self.most:
            self._thin()

    def _thin(self) -> None:
        """Join a step of the older half with the next: the one that is least missed, by its span against its age."""
        steps = self._steps
        now = steps[-1].wall
        place = min(
            range(1, len(steps) - self.most // 2),
            key=lambda at: (steps[at + 1].wall - steps[at - 1].wall) / (now - steps[at].wall),
        )
        before, after = steps[place : place + 2]
        joined = Step(after.wall, before.nodes | after.nodes, before.links | after.links, after.number)
        steps[place : place + 2] = [joined]
        self._written(joined, before.number)

    def _written(self, step: Step, gone: int | None = None) -> None:
        """A step is new or another one, and one is ``gone``: for whoever keeps them elsewhere."""

    def steps(self) -> list[Step]:
        """All of them, oldest first."""
        return list(self._steps)

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


class KeptHistory(History):
    """A history in a journal: it is there again after a restart, whether anybody looks at a page or not.

    ``look`` asks for the topology (as ``Topology.status`` tells it) when it is worth it: something was told, and the last look is a
    minute ago. A journal that cannot be written costs a step, and nothing else.
    """

    def __init__(self, journal: Journal, most: int = 600) -> None:
        super().__init__(most)
        self._journal = journal
        self._changes: dict[str, Any] = {}
        self._looked = float("-inf")
        kept = []
        with suppress(StoreError):
            for name, given in sorted(journal.get_all(_KEPT).items()):
                with suppress(ValueError):  # what a damaged page left of it
                    step = step_from_json(given)
                    step.number = int(name.removeprefix(_KEPT))
                    kept.append(step)
        for step in kept:
            self._steps.append(step)
            _apply(self._nodes, step.nodes)
            _apply(self._links, step.links)

    def look(self, wall: float, topology: Callable[[], Mapping[str, Any]], *, at_once: bool = False) -> None:
        """What the map looks like now, if the last look is long enough ago, or the clock was set back."""
        if at_once or not self._looked <= wall < self._looked + _LEAST_S:
            self._looked = wall
            given = topology()
            self.note(wall, nodes_of(given), links_of(given))
            changes, self._changes = self._changes, {}
            with suppress(StoreError):
                if changes:
                    self._journal.put_all(changes)

    def _written(self, step: Step, gone: int | None = None) -> None:
        self._changes[f"{_KEPT}{step.number:09d}"] = step.to_json()
        if gone is not None:
            self._changes[f"{_KEPT}{gone:09d}"] = None


def links_of(topology: Mapping[str, Any]) -> list[LinkRow]:
    """The links of a topology as ``Topology.status`` tells it."""
    return [
        LinkRow(
            str(each["a"]),
            str(each["b"]),
            bool(each["alternate"]),
            float(each["margin_ab_db"]),
            float(each["margin_ba_db"]),
        )
        for each in topology["links"]
    ]


def nodes_of(topology: Mapping[str, Any]) -> dict[str, NodeThen]:
    """The devices of a topology as ``Topology.status`` tells it, by unique node ID."""
    return {
        str(each["unique_node_id"]): NodeThen(
            str(each["state"]),
            str(each["standing"]),
            tuple(map(str, each["way"] or ())),
            tuple(map(str, each["backup"] or ())),
            tuple(map(bool, each.get("way_alternate", ()))),
            tuple(map(bool, each.get("backup_alternate", ()))),
        )
        for each in topology["nodes"]
    }


def _is_alike(before: LinkRow | None, now: LinkRow) -> bool:
    return before is not None and (grade(before.ab_db), grade(before.ba_db)) == (grade(now.ab_db), grade(now.ba_db))


def _apply(whole: dict[K, V], changes: Mapping[K, V | None]) -> None:
    for key, value in changes.items():
        if value is None:
            whole.pop(key, None)
        else:
            whole[key] = value
