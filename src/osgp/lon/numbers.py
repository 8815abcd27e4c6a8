"""Transaction numbers: which one a new transaction takes, so that no peer mistakes it for an old one.

ISO/IEC 14908-1, transaction control; ``spec/iso14908-1.md`` 3.2. One counter for each priority class: 0 once after a reset, then
1..15 for ever (1..4095 in enhanced mode, which has counters of its own, project choice). A table remembers the last number used
towards each destination for 24 s; a new transaction towards it never takes that number again.

The standard has one transaction per class in progress. Where a node may have several (on IP, project choice), numbers are told apart
by who answers: two transactions may share a number if both have one destination, and not the same.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

__all__ = ["DESTINATIONS", "MEMORY_S", "Remembered", "TransactionNumbers"]

DESTINATIONS = 10
"""Destinations remembered (open stack)."""
MEMORY_S = 24.0
"""Seconds that a destination is remembered after its last use (open stack)."""


class Remembered:
    """A destination of the table: the last number towards it, and when that was last in use (seconds).

    ``gone``: another has its place in the table. ``cover``: what the transport keeps of the last message towards it.
    """

    __slots__ = ("cover", "gone", "number", "used_at")

    def __init__(self, number: int, used_at: float) -> None:
        self.number = number
        self.used_at = used_at
        self.gone = False
        self.cover: Any = None


class TransactionNumbers:
    """The counters and the destination table of one node. ``first``: what the first transaction after the reset takes."""

    __slots__ = ("_inherited", "_next", "_table", "destinations")

    def __init__(self, *, destinations: int = DESTINATIONS, first: int = 0) -> None:
        self.destinations = destinations
        self._next = [first] * 4
        self._table: dict[Hashable, Remembered] = {}
        self._inherited: dict[Hashable, Remembered] = {}

    def allocate(
        self, priority: bool, peer: Hashable, taken: Callable[[int], bool] | None, now: float, most: int = 15
    ) -> Remembered | None:
        """The number of a new transaction, or None if there is none now: the table is full, or all numbers are taken.

        ``peer``: the destination together with the priority class, which has destinations of its own. Whoever gets the number sets
        ``used_at`` when the transaction is over.
        """
        table = self._table
        counter = 1 if priority else 0
        if most != 15:
            counter += 2
        number = self._next[counter]
        known = table.get(peer)
        if known is None:
            if len(table) >= self.destinations:
                oldest = min(table, key=lambda each: table[each].used_at)
                if table[oldest].used_at + MEMORY_S > now:
                    return None
                table.pop(oldest).gone = True
        elif number != known.number and taken is None and not self._inherited:
            self._next[counter] = number + 1 if number < most else 1
            known.number = number
            known.used_at = now
            return known
        forbidden = known.number if known is not None and known.used_at + MEMORY_S > now else -1
        other = -1
        if self._inherited:
            inherited = self._inherited.get(peer)
            other = inherited.number if inherited is not None and inherited.used_at + MEMORY_S > now else -1
        for _ in range(most + 1):
            following = number + 1 if number < most else 1
            if number != forbidden and number != other and (taken is None or not taken(number)):
                self._next[counter] = following
                if known is None:
                    known = table[peer] = Remembered(number, now)
                else:
                    known.number = number
                    known.used_at = now
                return known
            number = following
        return None

    def following(self, known: Remembered, counter: int) -> int:
        """The next number towards a destination of the table, as ``allocate`` gives it in the legacy version where none is taken.

        0, and nothing is done, where that must be looked into. ``counter``: 1 of the priority class, else 0. Whoever takes the number
        notes it in ``known``.
        """
        following = self._next
        number = following[counter]
        if number == known.number or known.gone or self._inherited:
            return 0
        following[counter] = number + 1 if number < 15 else 1
        return number

    def inherit(self, peer: Hashable, number: int, now: float) -> Remembered | None:
        """Take the number of another node's transaction for one nested in it; None if the last one towards ``peer`` had it too.

        A late answer to that one would be taken for an answer to this. Numbers taken over are remembered apart from our own, at most
        as many: whoever sends through this node does not make it wait.
        """
        for table in (self._table, self._inherited):
            known = table.get(peer)
            if known is not None and known.number == number and known.used_at + MEMORY_S > now:
                return None
        self._inherited.pop(peer, None)
        if len(self._inherited) >= self.destinations:
            del self._inherited[next(iter(self._inherited))]
        found = self._inherited[peer] = Remembered(number, now)
        return found

    def free_at(self) -> float:
        """When the destination table has room again if it has none now, seconds."""
        if len(self._table) < self.destinations:
            return 0.0
        return min(each.used_at for each in self._table.values()) + MEMORY_S

    def __len__(self) -> int:
        return len(self._table)
