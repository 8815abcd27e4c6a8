"""The frame of ``osgp bench``: groups of rows, each ours against a peer, measured side by side.

Method (project choice): same process tree, same input, same minute; both sides warmed up; then A, B, A, B … with
garbage collection off, the median of at least five rounds per side. Only the ratio is a goal, because machines differ
and the same machine differs from minute to minute. A peer that is not there gives a row without peer and ratio, which
says so.

A group is a module of this package with a function marked ``@group("name")`` that takes a ``Bench`` and yields rows::

    @group("crypto")
    def crypto(bench: Bench) -> Iterator[Row]:
        yield bench.compare("digest", ours, peer, work=1000, unit="digests/s", floor=0.8, peer_name="…",
        peer_version="…")
"""

from __future__ import annotations

import gc
import importlib
import pkgutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from osgp.wire.errors import ConfigError

__all__ = ["Bench", "PeerMissing", "Row", "group", "known_groups", "run"]

Clock = Callable[[], float]


class PeerMissing(Exception):
    """A peer cannot be installed, built or run here; its text is why, and ends in the row's ``peer_name``."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the result.

    ``ours`` and ``peer`` are rates in ``unit`` (higher is better); ``ratio`` is ours by peer. ``floor`` is the ratio
    below which a build fails, ``stretch`` the one to hope for; None where there is none. ``peer`` and ``ratio`` are
    None when the peer is not there, and ``peer_name`` then says why.
    """

    group: str
    name: str
    ours: float
    peer: float | None
    unit: str
    ratio: float | None
    floor: float | None
    stretch: float | None
    peer_name: str
    peer_version: str

    @property
    def verdict(self) -> str:
        """``below floor``, ``ok``, ``stretch``, or ``no peer``."""
        if self.ratio is None:
            return "no peer"
        if self.floor is not None and self.ratio < self.floor:
            return "below floor"
        return "stretch" if self.stretch is not None and self.ratio >= self.stretch else "ok"

    def as_json(self) -> dict[str, Any]:
        """The row as the command prints it with ``--json``; the keys are a contract."""
        return asdict(self)


class Bench:
    """What a group measures with: knows its group's name and how much time there is.

    ``quick``: shorter samples and fewer rounds (never fewer than five), so that a group stays under 45 s.
    """

    def __init__(self, group: str, *, quick: bool = False, clock: Clock = time.perf_counter) -> None:
        self.group = group
        self.quick = quick
        self.rounds = 5 if quick else 11
        self.sample_s = 0.05 if quick else 0.2
        self._clock = clock

    def compare(
        self,
        name: str,
        ours: Callable[[], object],
        peer: Callable[[], object] | PeerMissing,
        *,
        work: float,
        unit: str,
        floor: float | None = None,
        stretch: float | None = None,
        peer_name: str,
        peer_version: str = "",
        peer_work: float | None = None,
    ) -> Row:
        """Measure ours against the peer, interleaved. Each callable does ``work`` units of ``unit`` per call.

        ``peer_work``: units per call of the peer, when they differ. ``peer`` may be the PeerMissing that building it
        raised; ours is then measured alone.
        """
        if isinstance(peer, PeerMissing):
            (took,) = self.measure(ours)
            return self._row(name, work / took, None, unit, floor, stretch, f"not installed: {peer}", "")
        ours_took, peer_took = self.measure(ours, peer)
        theirs = (work if peer_work is None else peer_work) / peer_took
        return self._row(name, work / ours_took, theirs, unit, floor, stretch, peer_name, peer_version)

    def _row(
        self,
        name: str,
        ours: float,
        peer: float | None,
        unit: str,
        floor: float | None,
        stretch: float | None,
        peer_name: str,
        peer_version: str,
    ) -> Row:
        ratio = None if peer is None else ours / peer
        return Row(self.group, name, ours, peer, unit, ratio, floor, stretch, peer_name, peer_version)

    def measure(self, *sides: Callable[[], object]) -> tuple[float, ...]:
        """Median seconds per call of each side, taken in turns after a warm-up that also sets the calls per sample."""
        calls = [self._calls_per_sample(side) for side in sides]
        taken: list[list[float]] = [[] for _ in sides]
        was_collecting = gc.isenabled()
        gc.collect()
        gc.disable()
        try:
            for _ in range(self.rounds):
                for side, count, times in zip(sides, calls, taken):
                    times.append(self._time(side, count) / count)
        finally:
            if was_collecting:
                gc.enable()
        return tuple(median(times) for times in taken)

    def _time(self, side: Callable[[], object], count: int) -> float:
        repeat = range(count)
        started = self._clock()
        for _ in repeat:
            side()
        return self._clock() - started

    def _calls_per_sample(self, side: Callable[[], object]) -> int:
        side()  # whatever happens once (imports, caches, first touch of memory) happens here
        count = 1
        while True:
            took = self._time(side, count)
            if took >= self.sample_s / 4:
                return max(1, round(count * self.sample_s / took))
            count *= 4


Group = Callable[[Bench], Iterable[Row]]
_GROUPS: dict[str, Group] = {}


def group(name: str) -> Callable[[Group], Group]:
    """Register a function as the group ``name`` (a name is given once)."""

    def register(function: Group) -> Group:
        if _GROUPS.setdefault(name, function) is not function:
            raise ConfigError(f"there are two groups named {name!r}")
        return function

    return register


def known_groups() -> dict[str, Group]:
    """All groups by name: imports every module of this package, which must stay cheap (peers load when they run)."""
    package = importlib.import_module("osgp.bench")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"osgp.bench.{module.name}")
    return dict(sorted(_GROUPS.items()))


def run(groups: Iterable[str] = (), quick: bool = False) -> list[Row]:
    """Rows of the named groups, or of all. Raises ConfigError for an unknown name before anything is measured."""
    return list(each_row(groups, quick))


def each_row(groups: Iterable[str] = (), quick: bool = False) -> Iterator[Row]:
    """As ``run``, but a row at a time, for a display that grows."""
    known = known_groups()
    wanted = list(groups) or list(known)
    for name in wanted:
        if name not in known:
            raise ConfigError(f"there is no group {name!r}", hint=f"groups: {', '.join(known)}")
    for name in wanted:
        yield from known[name](Bench(name, quick=quick))
