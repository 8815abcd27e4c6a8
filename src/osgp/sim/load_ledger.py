"""Exact sums over time of rates that stay constant for a minute.

A simulated meter may be asked for any moment and any interval, in any order. Two answers must never contradict each other:
what flowed from a to b and from b to c is what flowed from a to c, to the last digit. So rates are whole numbers, one per
minute; instants are whole milliseconds; amounts are whole numbers of rate x millisecond (milliwatts give microwatt-seconds).
Long spans are sums over aligned blocks of 1, 2, 4, 8 … days, each computed once: a register that counts since last year costs
a dozen additions. Source: project choice.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

__all__ = ["DAY_MS", "MINUTES", "DayLedger", "milliseconds"]

MINUTES = 1440
DAY_MS = 86_400_000
_MINUTE_MS = 60_000

IntArray = npt.NDArray[np.int64]


def milliseconds(t: float) -> int:
    """UTC seconds since 1970 as whole milliseconds, the finest instant that a ledger tells apart."""
    return round(t * 1000)


class DayLedger:
    """Sums over the rates that ``build(day)`` gives.

    ``day`` counts UTC days since 1970-01-01 (always 1,440 minutes long, whatever local clocks do); ``build`` returns int64 of
    shape (rows, 1440), the same for the same day whenever it is asked. Rates must stay below about 2**40 in size, so that
    the sum over centuries fits 64 bits.
    """

    def __init__(self, build: Callable[[int], IntArray], *, keep_days: int = 4) -> None:
        self._build = build
        self._keep = keep_days
        self._days: OrderedDict[int, IntArray] = OrderedDict()
        self._blocks: dict[tuple[int, int], IntArray] = {}

    def _cumulative(self, day: int) -> IntArray:
        """Shape (rows, 1441): the sum of the rates of all minutes before each minute of ``day``."""
        known = self._days.get(day)
        if known is not None:
            self._days.move_to_end(day)
            return known
        rates = self._build(day)
        sums = np.zeros((rates.shape[0], MINUTES + 1), np.int64)
        np.cumsum(rates, axis=1, out=sums[:, 1:])
        self._days[day] = sums
        self._blocks[0, day] = sums[:, -1].copy()
        if len(self._days) > self._keep:
            self._days.popitem(last=False)
        return sums

    def _block(self, level: int, index: int) -> IntArray:
        """The sum over the days ``index * 2**level`` up to ``(index + 1) * 2**level``."""
        known = self._blocks.get((level, index))
        if known is None:
            if level == 0:
                self._cumulative(index)
                return self._blocks[0, index]
            known = self._block(level - 1, 2 * index) + self._block(level - 1, 2 * index + 1)
            self._blocks[level, index] = known
        return known

    def _full_days(self, first: int, end: int) -> IntArray | int:
        """The sum over the days from ``first`` up to, not including, ``end``."""
        total: IntArray | int = 0
        level = 0
        while first < end:
            if first & 1:
                total = total + self._block(level, first)
                first += 1
            if end & 1:
                end -= 1
                total = total + self._block(level, end)
            first >>= 1
            end >>= 1
            level += 1
        return total

    def _inside(self, day: int, ms: int) -> list[int]:
        """The amount from the start of ``day`` to ``ms`` milliseconds later."""
        minute, rest = divmod(ms, _MINUTE_MS)
        sums = self._cumulative(day)
        whole = sums[:, minute]
        if not rest:
            return [int(value) * _MINUTE_MS for value in whole]
        rates = sums[:, minute + 1] - whole
        return [int(value) * _MINUTE_MS + int(rate) * rest for value, rate in zip(whole, rates)]

    def rates(self, day: int) -> IntArray:
        """The rates of one day, shape (rows, 1440)."""
        sums = self._cumulative(day)
        return sums[:, 1:] - sums[:, :-1]

    def at(self, ms: int) -> list[int]:
        """The rates at an instant (milliseconds since 1970 UTC), one per row."""
        day, rest = divmod(ms, DAY_MS)
        minute = rest // _MINUTE_MS
        sums = self._cumulative(day)
        return [int(value) for value in sums[:, minute + 1] - sums[:, minute]]

    def between(self, start_ms: int, end_ms: int) -> list[int]:
        """The amounts from ``start_ms`` to ``end_ms``, one per row, in rate x millisecond; negative when time runs back."""
        if end_ms < start_ms:
            return [-value for value in self.between(end_ms, start_ms)]
        first, before = divmod(start_ms, DAY_MS)
        last, after = divmod(end_ms, DAY_MS)
        amounts = [b - a for a, b in zip(self._inside(first, before), self._inside(last, after))]
        if first != last:
            days = np.asarray(self._full_days(first, last))
            amounts = [amount + int(value) * _MINUTE_MS for amount, value in zip(amounts, days)]
        return amounts

    def series(self, start_ms: int, step_ms: int, count: int) -> IntArray:
        """The amounts of ``count`` intervals that follow each other, shape (rows, count): `between` for each, in one go.

        No single interval may be so long that its amount leaves 64 bits (years, for a house).
        """
        edges = start_ms + step_ms * np.arange(count + 1, dtype=np.int64)
        days, inside = np.divmod(edges, DAY_MS)
        minutes, rests = np.divmod(inside, _MINUTE_MS)
        parts: list[IntArray] = []
        origin = int(days[0])
        offset: IntArray | int = 0
        previous = origin
        for day in np.unique(days):
            here = days == day
            offset = offset + self._full_days(previous, int(day))
            previous = int(day)
            sums = self._cumulative(int(day))
            at = minutes[here]
            whole = sums[:, at]
            part = whole * _MINUTE_MS + (sums[:, at + 1] - whole) * rests[here]
            parts.append(part + np.reshape(np.asarray(offset) * _MINUTE_MS, (-1, 1)))
        whole_run = np.concatenate(parts, axis=1)
        return whole_run[:, 1:] - whole_run[:, :-1]
