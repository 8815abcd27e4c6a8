"""Run domains: the compiled engine or the reference, on one core or several, with counters and, if wanted, every event.

Project choice. What happens in a domain depends on the seed, on its place in the list and on the domain itself, never on the engine,
on the number of threads or on the other domains.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from osgp.sim.domains.model import LONGEST_S, Counter, Domain, Domains
from osgp.sim.domains.reference import DomainRun, Row
from osgp.wire.errors import ConfigError

__all__ = ["TRACE_COLUMNS", "Results", "simulate"]

TRACE_COLUMNS = Row._fields
"""Columns of a trace."""
_ALL_ONES = (1 << 64) - 1
_SHARES = 8
"""Pieces per thread: the last one to finish is not waited for long."""


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """What came of M domains with at most N nodes.

    ``counters`` (M, ``Counter``). ``polls``, ``reads`` (M, N): exchanges begun and come to their end, by meter. ``trace``: for each
    domain an int64 array of rows with ``TRACE_COLUMNS``; None if none was wanted.
    """

    seconds: float
    counters: Any
    polls: Any
    reads: Any
    trace: tuple[Any, ...] | None

    def total(self, counter: Counter) -> int:
        """A counter over all domains."""
        return int(self.counters[:, counter].sum())

    @property
    def frames(self) -> int:
        """Transmissions over all domains."""
        return sum(self.total(each) for each in (Counter.REQUESTS, Counter.RESPONSES, Counter.REPORTS))

    @property
    def delivery(self) -> float:
        """Exchanges that came to their end, of those that have ended; 1 without any."""
        done, failed = self.total(Counter.READS), self.total(Counter.FAILURES)
        return done / (done + failed) if done + failed else 1.0

    @property
    def airtime(self) -> float:
        """Time on air by time, mean of the domains; above 1 where frames are on air side by side."""
        return self.total(Counter.AIRTIME_US) / (1e6 * self.seconds * len(self.counters))

    @property
    def collisions(self) -> float:
        """Share of the transmissions that were lost to another one, or to a receiver that was sending itself."""
        return (self.total(Counter.COLLIDED) + self.total(Counter.DEAF)) / max(1, self.frames)


def simulate(
    domains: Domains | Sequence[Domain],
    seconds: float,
    seed: int,
    *,
    engine: Literal["fast", "reference"] = "fast",
    threads: int = 1,
    trace: bool = False,
    first: int = 0,
    expected_events: int = 0,
) -> Results:
    """Run all domains from quiet for that many simulated seconds.

    ``threads``: cores that the compiled engine uses; 0 for all there are. ``trace``: keep every event, 64 bytes each. ``first``: the
    place of the first of these domains, if they are a part of more. ``expected_events``: of a domain; if there are no more, the
    compiled engine runs once for a trace, else twice. Raises ConfigError for an unknown engine, times that cannot be, and when Numba
    is not there for the compiled one.
    """
    if not (math.isfinite(seconds) and 0 < seconds <= LONGEST_S):
        raise ConfigError(f"{seconds} seconds cannot be simulated", hint=f"above 0, at most {LONGEST_S:g}")
    if engine not in ("fast", "reference"):
        raise ConfigError(f"there is no engine {engine!r}", hint="fast or reference")
    if threads < 0:
        raise ConfigError(f"{threads} threads are none", hint="1 or more, or 0 for all cores")
    arrays = domains if isinstance(domains, Domains) else Domains.of(domains)
    until_us = math.ceil(seconds * 1e6)
    seeds = [_mixed(_mixed(seed) + first + index) for index in range(arrays.count)]
    if engine == "reference":
        return _reference(arrays, seconds, until_us, seeds, trace)
    expected = expected_events if trace else 0
    return _compiled(arrays, seconds, until_us, seeds, threads or os.cpu_count() or 1, trace, expected)


def _mixed(number: int) -> int:
    """Neighbouring numbers, far apart."""
    z = (number + 0x9E3779B97F4A7C15) & _ALL_ONES
    z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & _ALL_ONES
    z = ((z ^ z >> 27) * 0x94D049BB133111EB) & _ALL_ONES
    return z ^ z >> 31


def _reference(domains: Domains, seconds: float, until_us: int, seeds: Sequence[int], trace: bool) -> Results:
    size = domains.level.shape[-1]
    counters = np.zeros((domains.count, len(Counter)), np.int64)
    polls = np.zeros((domains.count, size), np.int64)
    reads = np.zeros((domains.count, size), np.int64)
    traces = []
    for index, seed in enumerate(seeds):
        run = DomainRun(domains, index, seed, trace=trace)
        run.run(until_us)
        counters[index] = run.counters
        polls[index, : len(run.polls)] = run.polls
        reads[index, : len(run.reads)] = run.reads
        traces.append(np.array(run.trace or [], np.int64).reshape(-1, len(TRACE_COLUMNS)))
    return Results(seconds, counters, polls, reads, tuple(traces) if trace else None)


def _compiled(
    domains: Domains, seconds: float, until_us: int, seeds: Sequence[int], threads: int, trace: bool, expected: int
) -> Results:
    try:
        from osgp.sim.domains import kernels
    except ImportError as error:
        raise ConfigError("the compiled engine needs Numba", hint="pip install 'osgp[sim]'") from error
    count, size = domains.count, domains.level.shape[-1]
    numbers = np.array(seeds, np.uint64)
    rows = np.zeros(count, np.int64)
    step = max(1, math.ceil(count / (threads * _SHARES))) if threads > 1 else count

    def run(capacity: int) -> tuple[Any, Any, Any, Any]:
        counters = np.zeros((count, len(Counter)), np.int64)
        polls = np.zeros((count, size), np.int64)
        reads = np.zeros((count, size), np.int64)
        table = np.empty((count, capacity, len(TRACE_COLUMNS)), np.int64)

        def share(first: int) -> None:
            kernels.run(
                first, min(first + step, count), numbers, until_us, domains.which, domains.numbers, domains.level,
                domains.sense, domains.way, domains.way_carrier, domains.legs, domains.reporters, domains.curve,
                domains.chance, domains.power, domains.rise, domains.logarithm, counters, polls, reads, table, rows,
            )  # fmt: skip

        if threads == 1:
            share(0)
        else:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(share, range(0, count, step)))
        return counters, polls, reads, table

    counters, polls, reads, table = run(expected)
    if not trace:
        return Results(seconds, counters, polls, reads, None)
    if int(rows.max()) > expected:
        # The first run has told how many events there are; with room for them the second is the same once more.
        counters, polls, reads, table = run(int(rows.max()))
    return Results(seconds, counters, polls, reads, tuple(table[index, : rows[index]] for index in range(count)))
