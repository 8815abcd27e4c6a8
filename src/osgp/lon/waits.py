"""When the transactions of a node are due: most of them in the order in which they began, so that a row is enough. Project choice.

Timers are mostly of one length: whoever begins later is due later. Those go into a row, all others into a heap. A transaction that is
over, or has another deadline meanwhile, leaves its entry behind; it is dropped when its turn comes, or when such entries are
many. Cost of each: constant in the row, the logarithm of their number in the heap.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from typing import Generic, Protocol, TypeVar

__all__ = ["FEW", "Due", "Waits"]

FEW = 64
"""Entries among which those of transactions that are over may lie about."""


class Due(Protocol):
    """What waits. ``deadline``: seconds, None when it waits no longer. ``handle``: of those due together the lowest is first."""

    deadline: float | None

    @property
    def handle(self) -> int: ...


D = TypeVar("D", bound=Due)


class Waits(Generic[D]):
    """Who waits for what moment, the earliest first. ``row``: in order of deadline and handle;
    may be added to by whoever keeps to that.

    ``told``: the moment that somebody outside stands by for, in seconds. ``news``: another number when something may be due before
    that, or so many have been left behind that it is time to look; who sees the same number as the last time need not ask for the
    first again. ``most``: entries from which on those left behind are dropped when the first is asked for.
    """

    __slots__ = ("_heap", "most", "news", "row", "told")

    def __init__(self) -> None:
        self.row: deque[tuple[float, D]] = deque()
        self._heap: list[tuple[float, int, D]] = []
        self.most = FEW
        self.told = math.inf
        self.news = 0

    def __len__(self) -> int:
        """Entries, with those left behind."""
        return len(self.row) + len(self._heap)

    def add(self, due: D, deadline: float) -> None:
        """Let it wait until then, in seconds."""
        due.deadline = deadline
        if deadline < self.told or len(self) > self.most:
            self.news += 1
        row = self.row
        if not row or (row[-1][0], row[-1][1].handle) <= (deadline, due.handle):
            row.append((deadline, due))
        else:
            heapq.heappush(self._heap, (deadline, due.handle, due))

    def first(self) -> tuple[float, D] | None:
        """Who is due first, and when; None if nobody waits."""
        row, heap = self.row, self._heap
        first = None
        while row:
            first = row[0]
            if first[1].deadline == first[0]:
                break
            row.popleft()
            first = None
        if not heap and len(row) <= self.most:
            return first
        while heap and heap[0][2].deadline != heap[0][0]:
            heapq.heappop(heap)
        if len(row) + len(heap) > self.most:
            self._tidy()
        if heap:
            deadline, handle, due = heap[0]
            if first is None or (deadline, handle) < (first[0], first[1].handle):
                return deadline, due
        return first

    def clear(self) -> None:
        """Nobody waits any more."""
        self.row.clear()
        self._heap.clear()

    def _tidy(self) -> None:
        """Drop what was left behind; again when there are twice as many as now."""
        kept = [entry for entry in self.row if entry[1].deadline == entry[0]]
        self.row.clear()
        self.row.extend(kept)
        self._heap[:] = [entry for entry in self._heap if entry[2].deadline == entry[0]]
        heapq.heapify(self._heap)
        self.most = max(FEW, 2 * len(self))
