"""Ways through a street: who hears whom, the cheapest way to each node, a backup beside it, and when to change. No I/O.

``spec/osgp-application.md`` 3.10 (project choice). ``Graph`` keeps margins by direction and carrier; the same two nodes on the
alternate carrier are another link. ``Ways`` keeps the way that is in use for each node and changes it only for a gain of a quarter,
when it has failed three times, or when it is gone. ``FixedWays`` is a table that somebody wrote down.

A node is known by its unique node ID, the concentrator is ``ROOT``. A *leg* is one link of a way; a way has at most eight.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from osgp.concentrator.link_metric import (
    FAILURE_COST,
    FAILURE_S,
    HOP_COST,
    UNUSABLE,
    is_enough_better,
    link_cost,
    margin_of,
)

__all__ = [
    "FAILURES",
    "MAX_LEGS",
    "MOST_BEHIND",
    "ROOT",
    "FixedWays",
    "Graph",
    "Half",
    "Path",
    "Step",
    "Way",
    "WayBook",
    "Ways",
]

ROOT = b""
"""The concentrator, as a node."""
MAX_LEGS = 8
MOST_BEHIND = 32
"""Devices behind one repeater before others are preferred."""
FAILURES = 3
"""Failures in a row after which a way is left."""
_CROWDED_COST = 4.0
"""What a way around a crowded repeater may cost more."""
_SHARED_COST = 64.0
"""A backup shares a node with the way only where there is no other."""
_WORKS_DB = 9.0
"""What is assumed of a link that works and was never measured."""
_MOST_HALVES = 256
"""Measurements kept for one listener. Where there are more, those of links that carry nothing go first, then what is not
proven (anybody can claim that), then the oldest."""
_FORGET_S = 86400.0
_MOST_BLAMES = 4
"""So often the time for which a link is blamed is doubled."""


class Step(NamedTuple):
    """One leg of a way: to which node, and whether on the alternate carrier."""

    node: bytes
    alternate: bool = False


Path = tuple[Step, ...]
"""A way from the concentrator; its last step is the target."""
LinkKey = tuple[bytes, bytes, bool]


class Half(NamedTuple):
    """How a listener heard a speaker: margin in dB, when (monotonic s), and whether it is ``proven``: told under a key, or used."""

    margin_db: float
    at: float
    proven: bool


class _Edge(NamedTuple):
    node: bytes
    alternate: bool
    cost: float
    proven: bool


@dataclass(slots=True)
class _Blame:
    """``until`` when a link costs more; it was blamed in ``times`` spells since it last carried an answer."""

    until: float
    times: int = 1
    over: bool = False


class Found(NamedTuple):
    """A way and what it costs."""

    cost: float
    path: Path


def key_of(a: bytes, b: bytes, alternate: bool) -> LinkKey:
    """The link between two nodes on a carrier, whoever is named first."""
    return (a, b, alternate) if a <= b else (b, a, alternate)


def links_of(path: Path) -> list[LinkKey]:
    """The links of a way, in order."""
    nodes = [ROOT, *(step.node for step in path)]
    return [key_of(a, step.node, step.alternate) for a, step in zip(nodes, path)]


class Graph:
    """Who hears whom, and who passes messages on: that is kept up to date by ``set_repeaters``."""

    def __init__(self) -> None:
        self.version = 0
        self._heard: dict[bytes, dict[tuple[bytes, bool], Half]] = {}
        self._blames: dict[LinkKey, _Blame] = {}
        self._repeaters: frozenset[bytes] = frozenset()
        self._edges: dict[bytes, list[_Edge]] | None = None

    # ---- what is known ----------------------------------------------------------------------------------------------
    @property
    def repeaters(self) -> frozenset[bytes]:
        """Nodes that pass messages on."""
        return self._repeaters

    def set_repeaters(self, nodes: Iterable[bytes]) -> None:
        """Say who passes messages on now."""
        found = frozenset(nodes)
        if found != self._repeaters:
            self._repeaters = found
            self._changed()

    def hear(
        self, listener: bytes, speaker: bytes, margin_db: float, now: float, *, alternate: bool = False, proven: bool
    ) -> None:
        """A measurement. What was proven stays so, and what is not proven does not replace it."""
        if listener == speaker:
            return
        halves = self._heard.setdefault(listener, {})
        known = halves.pop((speaker, alternate), None)
        if known is not None and known.proven and not proven:
            halves[speaker, alternate] = known
            return
        halves[speaker, alternate] = Half(margin_db, now, proven)
        if len(halves) > _MOST_HALVES:
            poor = (key for key, half in halves.items() if link_cost(half.margin_db) == UNUSABLE)
            claims = (key for key, half in halves.items() if not half.proven)
            del halves[next(poor, next(claims, next(iter(halves))))]
        if known is None or link_cost(known.margin_db) != link_cost(margin_db) or known.proven != proven:
            self._changed()

    def prove(self, path: Path, now: float) -> None:
        """A message came over that way and back under a key: its links are what they seemed to be, and those of which nothing is known
        any more (a way out of the journal) are at least poor ones."""
        nodes = [ROOT, *(step.node for step in path)]
        for a, step in zip(nodes, path):
            blame = self._blames.get(key_of(a, step.node, step.alternate)) if self._blames else None
            if blame is not None:
                blame.times = 1
            for listener, speaker in ((a, step.node), (step.node, a)):
                half = self.half(listener, speaker, step.alternate)
                if half is None:
                    self.hear(listener, speaker, _WORKS_DB, now, alternate=step.alternate, proven=True)
                elif not half.proven:
                    self.hear(listener, speaker, half.margin_db, half.at, alternate=step.alternate, proven=True)

    def half(self, listener: bytes, speaker: bytes, alternate: bool = False) -> Half | None:
        """How one heard the other last."""
        return self._heard.get(listener, {}).get((speaker, alternate))

    def listeners(self, speaker: bytes) -> list[tuple[bytes, Half]]:
        """Who has heard a node, and how, each on the carrier on which it is heard better."""
        found = []
        for listener, halves in self._heard.items():
            heard = [half for each in (False, True) if (half := halves.get((speaker, each))) is not None]
            if heard:
                found.append((listener, max(heard)))
        return found

    def forget(self, node: bytes) -> None:
        """Nothing is known of a node any more."""
        self._heard.pop(node, None)
        for halves in self._heard.values():
            for alternate in (False, True):
                halves.pop((node, alternate), None)
        self._changed()

    def blame(self, link: LinkKey, now: float) -> None:
        """A link failed: it costs more for an hour; for two hours, then four … if it fails again after that without having carried an
        answer. What was measured of it while the line was quiet is not what it is now."""
        known = self._blames.setdefault(link, _Blame(now))
        if known.over:
            known.times, known.over = min(known.times + 1, _MOST_BLAMES), False
        known.until = now + FAILURE_S * 2.0 ** (known.times - 1)
        self._changed()

    def is_blamed(self, link: LinkKey) -> bool:
        """Whether a link costs more now."""
        known = self._blames.get(link)
        return known is not None and not known.over

    def settle(self, now: float) -> None:
        """Forgive what was long ago; what was forgiven is forgotten a day later."""
        changed = False
        for link, blame in list(self._blames.items()):
            if blame.over:
                if blame.until + _FORGET_S <= now:
                    del self._blames[link]
            elif blame.until <= now:
                blame.over = changed = True
        if changed:
            self._changed()

    def links(self) -> list[tuple[bytes, bytes, bool, float, float]]:
        """(a, b, alternate carrier, margin a to b, margin b to a) of all links that are known both ways."""
        return [
            (speaker, listener, alternate, half.margin_db, back.margin_db)
            for listener, halves in self._heard.items()
            for (speaker, alternate), half in halves.items()
            if speaker <= listener and (back := self.half(speaker, listener, alternate)) is not None
        ]

    def halves(self) -> list[tuple[bytes, bytes, bool, Half]]:
        """(listener, speaker, alternate carrier, measurement) of everything."""
        return [
            (listener, speaker, alternate, half)
            for listener, halves in self._heard.items()
            for (speaker, alternate), half in halves.items()
        ]

    def one_sided(self, node: bytes) -> list[Step]:
        """Whom a node hears, while nothing is known of the other direction."""
        return [
            Step(speaker, alternate)
            for (speaker, alternate) in self._heard.get(node, {})
            if self.half(speaker, node, alternate) is None
        ]

    def neighbours(self, node: bytes) -> list[_Edge]:
        """The usable links of a node."""
        return self._table().get(node, [])

    def touch(self) -> None:
        """Something beside links has changed: ways are to be looked at again."""
        self._changed()

    def _changed(self) -> None:
        self.version += 1
        self._edges = None

    def _table(self) -> dict[bytes, list[_Edge]]:
        if self._edges is not None:
            return self._edges
        edges: dict[bytes, list[_Edge]] = {}
        for speaker, listener, alternate, there, back in self.links():
            cost = link_cost(margin_of(there, back))
            if cost == UNUSABLE:
                continue
            if self._blames and self.is_blamed(key_of(speaker, listener, alternate)):
                cost += FAILURE_COST
            first, second = self._heard[listener][speaker, alternate], self._heard[speaker][listener, alternate]
            proven = first.proven and second.proven
            edges.setdefault(speaker, []).append(_Edge(listener, alternate, cost, proven))
            edges.setdefault(listener, []).append(_Edge(speaker, alternate, cost, proven))
        self._edges = edges
        return edges

    # ---- ways -------------------------------------------------------------------------------------------------------
    def _edges_of(self, path: Path) -> list[_Edge] | None:
        """The links of a way; None if one is gone or a node before the target passes nothing on."""
        found, node = [], ROOT
        for place, step in enumerate(path):
            if place and node not in self._repeaters:
                return None
            edge = next(
                (e for e in self.neighbours(node) if e.node == step.node and e.alternate == step.alternate), None
            )
            if edge is None:
                return None
            found.append(edge)
            node = step.node
        return found

    def cost_of(self, path: Path) -> float:
        """What a way costs now; ``UNUSABLE`` if a link is gone or a node before the target passes nothing on."""
        edges = self._edges_of(path)
        return UNUSABLE if edges is None else sum(edge.cost + HOP_COST for edge in edges)

    def dearest_of(self, path: Path) -> float:
        """What the dearest link of a way costs; ``UNUSABLE`` as in ``cost_of``."""
        edges = self._edges_of(path)
        return UNUSABLE if edges is None else max((edge.cost for edge in edges), default=0.0)

    def is_proven(self, path: Path) -> bool:
        """Whether all links of a way are proven."""
        edges = self._edges_of(path)
        return edges is not None and all(edge.proven for edge in edges)

    def search(
        self,
        *,
        avoid: Collection[bytes] = (),
        without: Collection[LinkKey] = (),
        avoid_cost: float = UNUSABLE,
        unproven: bool = False,
        dearest: float = UNUSABLE,
    ) -> dict[bytes, Found]:
        """The cheapest way of at most eight legs to every node that has one.

        ``avoid``: nodes that cost ``avoid_cost`` more as repeaters; ``without``: links that do not count; ``dearest``: what a link may
        cost at most. Links that are not proven are the last leg to a node that nothing proven leads to; with ``unproven`` they count
        as if they were.
        """
        table, repeaters = self._table(), self._repeaters
        best: dict[bytes, Found] = {}
        last: dict[bytes, Found] = {}
        reached = {ROOT: Found(0.0, ())}
        for _ in range(MAX_LEGS):
            following: dict[bytes, Found] = {}
            for node, (cost, path) in reached.items():
                if node in avoid:
                    cost += avoid_cost
                if cost == UNUSABLE or (node != ROOT and node not in repeaters):
                    continue
                for edge in table.get(node, ()):
                    other = edge.node
                    if other == ROOT or edge.cost > dearest:
                        continue
                    if without and key_of(node, other, edge.alternate) in without:
                        continue
                    total = cost + edge.cost + HOP_COST
                    proven = edge.proven or unproven
                    into = best if proven else last
                    known = into.get(other)
                    if known is None or total < known.cost:
                        found = into[other] = Found(total, (*path, Step(other, edge.alternate)))
                        if proven:
                            following[other] = found
            reached = following
        for node, found in last.items():
            best.setdefault(node, found)
        return best


@dataclass(slots=True)
class Way:
    """The way to one node that is in use; ``failures`` of it in a row; ``backup``: shares as little with it as possible."""

    path: Path
    cost: float
    since: float
    failures: int = 0
    changes: int = 0
    backup: Path | None = None
    backup_of: tuple[int, Path] = (-1, ())


class WayBook(Protocol):
    """Who chooses ways: ``Ways`` or ``FixedWays``."""

    def path(self, node: bytes, attempt: int, now: float) -> Path | None:
        """The way for an attempt, 0 the first; None if there is none."""

    def answered(self, node: bytes, path: Path, now: float) -> None:
        """An answer came over a way."""

    def failed(self, node: bytes, path: Path, leg: int, now: float) -> None:
        """No answer: ``leg`` (0: our own) is to blame."""

    def backup(self, node: bytes, now: float) -> Path | None:
        """Another way, if there is one."""

    def in_use(self) -> Mapping[bytes, Path]:
        """All ways at this moment."""

    def known(self, node: bytes) -> Path | None:
        """The way to a node that is in use, as it was last looked at."""


class Ways:
    """The ways in use over a graph, for the nodes that ``add`` named. ``settle_s``: how long a way that can be used may be out
    of date, because all of them are looked at together."""

    def __init__(self, graph: Graph, *, settle_s: float = 0.0) -> None:
        self.graph = graph
        self.settle_s = settle_s
        self._looked_at = -settle_s
        self._ways: dict[bytes, Way] = {}
        self._wanted: set[bytes] = set()
        self._version = -1

    def add(self, node: bytes, path: Path | None = None, now: float = 0.0) -> None:
        """A node that is to be reached; ``path``: the way that was in use before a restart."""
        self._wanted.add(node)
        self._version = -1
        if path and node not in self._ways:
            self._ways[node] = Way(path, UNUSABLE, now)

    def remove(self, node: bytes) -> None:
        """Nobody wants to reach it any more."""
        self._wanted.discard(node)
        self._ways.pop(node, None)

    # ---- WayBook ----------------------------------------------------------------------------------------------------
    def path(self, node: bytes, attempt: int, now: float) -> Path | None:
        """See ``WayBook``: the way in use, its backup for every other attempt."""
        way = self.way(node, now)
        if way is None:
            return None
        if attempt % 2:
            return self.backup(node, now) or way.path
        return way.path

    def way(self, node: bytes, now: float) -> Way | None:
        """The way in use to a node."""
        known = self._ways.get(node)
        if (
            known is None
            or now >= self._looked_at + self.settle_s
            or (self._version != self.graph.version and self.graph.cost_of(known.path) == UNUSABLE)
        ):
            self._update(now)
        return self._ways.get(node)

    def backup(self, node: bytes, now: float) -> Path | None:
        """See ``WayBook``. No link of the way in use, and no node of it if that can be helped."""
        way = self.way(node, now)
        if way is None:
            return None
        mark = self.graph.version, way.path
        if way.backup_of != mark:
            nodes = {step.node for step in way.path[:-1]}
            found = self.graph.search(avoid=nodes, without=set(links_of(way.path)), avoid_cost=_SHARED_COST).get(node)
            way.backup, way.backup_of = (None if found is None else found.path), mark
        return way.backup

    def answered(self, node: bytes, path: Path, now: float) -> None:
        """See ``WayBook``."""
        way = self._ways.get(node)
        if way is not None and way.path == path:
            way.failures = 0

    def failed(self, node: bytes, path: Path, leg: int, now: float) -> None:
        """See ``WayBook``. After three failures of the way in use the best other one is taken, if there is one."""
        links = links_of(path)
        if 0 <= leg < len(links):
            self.graph.blame(links[leg], now)
        way = self._ways.get(node)
        if way is None or way.path != path:
            return
        way.failures += 1
        self._update(now)
        if way.failures < FAILURES or self._ways[node] is not way:
            return
        other = self.backup(node, now)
        if other is not None and self.graph.cost_of(other) < UNUSABLE:
            self._change(node, other, self.graph.cost_of(other), now)

    def in_use(self) -> Mapping[bytes, Path]:
        """See ``WayBook``."""
        return {node: way.path for node, way in self._ways.items()}

    def known(self, node: bytes) -> Path | None:
        """See ``WayBook``."""
        way = self._ways.get(node)
        return None if way is None else way.path

    def behind(self, repeater: bytes) -> int:
        """Devices whose way goes through a repeater."""
        return sum(any(step.node == repeater for step in way.path[:-1]) for way in self._ways.values())

    def failures(self, node: bytes) -> int:
        """Failures in a row of the way in use."""
        way = self._ways.get(node)
        return 0 if way is None else way.failures

    def since(self, node: bytes) -> float:
        """Since when the way in use has been in use; minus infinity where there is none."""
        way = self._ways.get(node)
        return float("-inf") if way is None else way.since

    def adopt(self, node: bytes, path: Path, now: float) -> None:
        """An answer came over another way than the one in use, which does not work any more."""
        way = self._ways.get(node)
        if node in self._wanted and (way is None or way.path != path):
            self._change(node, path, self.graph.cost_of(path), now)

    # ---- choosing ---------------------------------------------------------------------------------------------------
    def _change(self, node: bytes, path: Path, cost: float, now: float) -> None:
        known = self._ways.get(node)
        self._ways[node] = Way(path, cost, now, changes=0 if known is None else known.changes + 1)

    def _update(self, now: float) -> None:
        """Look again at all ways, if anything has changed."""
        graph = self.graph
        graph.settle(now)
        if self._version == graph.version:
            return
        found = graph.search()
        behind: dict[bytes, int] = {}
        # Who has a way keeps his place behind a crowded repeater; newcomers go around it if that is not much farther.
        order = sorted(
            self._wanted, key=lambda node: (node not in self._ways, found[node].cost if node in found else 0)
        )
        for node in order:
            self._choose(node, found.get(node), behind, now)
            way = self._ways.get(node)
            for step in way.path[:-1] if way is not None else ():
                behind[step.node] = behind.get(step.node, 0) + 1
        self._version, self._looked_at = graph.version, now

    def _choose(self, node: bytes, best: Found | None, behind: Mapping[bytes, int], now: float) -> None:
        way = self._ways.get(node)
        if way is not None:
            way.cost = self.graph.cost_of(way.path)
            if way.cost < UNUSABLE and not (best is not None and is_enough_better(best.cost, way.cost)):
                return
        if best is None:
            # Nothing is known to lead there: what was in use may still do, and costs one attempt.
            return
        crowded = {step.node for step in best.path[:-1] if behind.get(step.node, 0) >= MOST_BEHIND}
        if crowded:
            around = self.graph.search(avoid=crowded).get(node)
            if around is not None and around.cost <= best.cost + _CROWDED_COST:
                best = around
                if way is not None and way.cost < UNUSABLE and not is_enough_better(best.cost, way.cost):
                    return
        if way is None or way.path != best.path:
            self._change(node, best.path, best.cost, now)


@dataclass(slots=True)
class FixedWays:
    """Ways that somebody wrote down; they never change. ``second``: backups, where there are any."""

    first: Mapping[bytes, Path]
    second: Mapping[bytes, Path] = field(default_factory=dict)

    def path(self, node: bytes, attempt: int, now: float) -> Path | None:
        """See ``WayBook``."""
        return self.second.get(node, self.first.get(node)) if attempt % 2 else self.first.get(node)

    def answered(self, node: bytes, path: Path, now: float) -> None:
        """Nothing to learn."""

    def failed(self, node: bytes, path: Path, leg: int, now: float) -> None:
        """Nothing to learn."""

    def backup(self, node: bytes, now: float) -> Path | None:
        """See ``WayBook``."""
        return self.second.get(node)

    def in_use(self) -> Mapping[bytes, Path]:
        """See ``WayBook``."""
        return self.first

    def known(self, node: bytes) -> Path | None:
        """See ``WayBook``."""
        return self.first.get(node)
