"""Transaction numbers: which one a new transaction takes, so that no peer mistakes it for an old one.

ISO/IEC 14908-1, transaction control; ``spec/iso14908-1.md`` 3.2. One counter for each priority class: 0 once after a reset, then
1..15 for ever (1..4095 in enhanced mode, which has counters of its own, project choice). A table remembers the last number used
towards each destination for 24 s; a new transaction towards it never takes that number again.

The standard has one transaction per class in progress. Where a node may have several (on IP, project choice), numbers are told apart
by who answers: two transactions may share a number if both have one destination, and not the same.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

__all__ = ["DESTINATIONS", "MEMORY_S", "TransactionNumbers"]

DESTINATIONS = 10
"""Destinations remembered (open stack)."""
MEMORY_S = 24.0
"""Seconds that a destination is remembered after its last use (open stack)."""


class TransactionNumbers:
    """The counters and the destination table of one node. ``first``: what the first transaction after the reset takes."""

    __slots__ = ("_last", "_next", "destinations")

    def __init__(self, *, destinations: int = DESTINATIONS, first: int = 0) -> None:
        self.destinations = destinations
        self._next = {(priority, most): first for priority in (False, True) for most in (15, 4095)}
        # (class, destination) -> (number, last use), oldest use first
        self._last: dict[Hashable, tuple[int, float]] = {}

    def allocate(
        self, priority: bool, destination: Hashable, taken: Callable[[int], bool] | None, now: float, most: int = 15
    ) -> int | None:
        """The number of a new transaction, or None if there is none now: the table is full, or all numbers are taken."""
        key = (priority, destination)
        last = self._last
        known = last.pop(key, None)
        if known is None and len(last) >= self.destinations:
            oldest = next(iter(last))
            if last[oldest][1] + MEMORY_S > now:
                return None
            del last[oldest]
        forbidden = known[0] if known is not None and known[1] + MEMORY_S > now else -1
        number = self._next[priority, most]
        for _ in range(most + 1):
            following = number + 1 if number < most else 1
            if number != forbidden and (taken is None or not taken(number)):
                last[key] = (number, now)
                self._next[priority, most] = following
                return number
            number = following
        if known is not None:
            last[key] = known
        return None

    def used(self, priority: bool, destination: Hashable, now: float) -> None:
        """The transaction towards ``destination`` is over: its number is remembered from now on."""
        key = (priority, destination)
        known = self._last.pop(key, None)
        if known is not None:
            self._last[key] = (known[0], now)

    def free_at(self) -> float:
        """When the destination table has room again if it has none now, seconds."""
        if len(self._last) < self.destinations:
            return 0.0
        return next(iter(self._last.values()))[1] + MEMORY_S

    def __len__(self) -> int:
        return len(self._last)
