"""The planner: which full and partial reads answer a set of paths with the fewest bytes on the line.

For each table the wanted byte ranges are sorted; a dynamic programme over them (O(n²) for n ranges, tens at most) finds the
cheapest grouping into partial reads, and a full read replaces them where that costs no more. Grouping neighbours in the
order of their first bytes is enough, because a longer read never costs less: if two groups interleave, the ranges of one
that begin inside the other's hull can change sides without making any hull longer. What a read costs is the door's affair
(``DoorCosts``). It never reads what was not asked unless that saves bytes. Project choice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from osgp.tables.access import DoorCosts
from osgp.tables.query import Query, locate
from osgp.tables.table import PED_SIZE, Table, table_name
from osgp.wire import Context, layout_of
from osgp.wire.errors import DecodeError
from osgp.wire.layout import Span

__all__ = ["Plan", "PlannedRead", "Wanted", "plan", "plan_ranges", "read_cost"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A query with its place: ``span`` None means that the whole table is needed."""

    query: Query
    span: Span | None


@dataclass(frozen=True, slots=True)
class PlannedRead:
    """One read: ``count`` None is a full read. ``wire_bytes`` and ``exchanges`` as the door charges them; ``why`` for people."""

    table: int
    offset: int
    count: int | None
    wire_bytes: int
    exchanges: int
    serves: tuple[str, ...] = ()
    why: str = ""

    @property
    def name(self) -> str:
        return table_name(self.table)


@dataclass(slots=True)
class Plan:
    """The reads for a set of queries, in the order they are sent."""

    reads: list[PlannedRead] = field(default_factory=list)
    costs: DoorCosts | None = None

    @property
    def wire_bytes(self) -> int:
        return sum(read.wire_bytes for read in self.reads)

    @property
    def exchanges(self) -> int:
        return sum(read.exchanges for read in self.reads)

    @property
    def airtime_s(self) -> float:
        """Estimated seconds on the line."""
        return 0.0 if self.costs is None else self.costs.airtime_s(self.wire_bytes, self.exchanges)


def read_cost(costs: DoorCosts, size: int, *, full: bool) -> tuple[int, int]:
    """(bytes on the wire, exchanges) of reading ``size`` bytes; more than ``max_read`` takes several partial reads."""
    if size <= costs.max_read:
        return costs.read_bytes(size, full=full), 1
    whole, rest = divmod(size, costs.max_read)
    total = whole * costs.read_bytes(costs.max_read, full=False)
    if rest:
        total += costs.read_bytes(rest, full=False)
    return total, whole + bool(rest)


def plan_ranges(ranges: Sequence[tuple[int, int]], costs: DoorCosts) -> list[tuple[int, int]]:
    """The cheapest partial reads (offset, count) that cover byte ranges (offset, size) of one table, by rising offset.

    Each range lies wholly inside one of the reads. Of equally cheap sets, the one with the fewest exchanges.
    """
    wanted = sorted({(offset, size) for offset, size in ranges if size > 0})
    best: list[tuple[int, int, int, int]] = [(0, 0, 0, 0)]  # bytes, exchanges, first range and size of the last read
    for last in range(1, len(wanted) + 1):
        options = []
        end = 0
        for first in reversed(range(last)):
            start, size = wanted[first]
            end = max(end, start + size)
            wire, exchanges = read_cost(costs, end - start, full=False)
            options.append((best[first][0] + wire, best[first][1] + exchanges, first, end - start))
        best.append(min(options))
    reads: list[tuple[int, int]] = []
    last = len(wanted)
    while last:
        _, _, first, size = best[last]
        reads.append((wanted[first][0], size))
        last = first
    return reads[::-1]


def plan(wanted: Iterable[Wanted], costs: DoorCosts, context: Context) -> Plan:
    """The reads that answer all queries. Sizes of whole tables come from ``context``; unknown ones are read in full.

    The cost of a full read of unknown size counts the bytes asked for only (it must be read anyway).
    """
    by_table: dict[int, list[Wanted]] = {}
    for item in wanted:
        by_table.setdefault(item.query.number, []).append(item)
    result = Plan(costs=costs)
    for number, items in by_table.items():
        pending = items[0].query.pending
        size = table_size(items[0].query.table, context)
        names = tuple(item.query.text for item in items)
        if pending or any(item.span is None for item in items):
            wire, exchanges = read_cost(costs, (size or 0) + PED_SIZE * pending, full=True)
            why = "its layout depends on its own bytes"
            if any(not i.query.path for i in items):
                why = "all of it is asked for"
            elif pending:
                why = "a pending table comes with its event description"
            result.reads.append(PlannedRead(number, 0, None, wire, exchanges, names, why))
            continue
        spans = [item.span for item in items if item.span is not None]
        parts = plan_ranges([(span.offset, span.size) for span in spans], costs)
        costed = [read_cost(costs, count, full=False) for _, count in parts]
        total = sum(wire for wire, _ in costed)
        if size is not None and size <= costs.max_read:
            wire, exchanges = read_cost(costs, size, full=True)
            if wire <= total:
                why = f"a full read ({wire} bytes) costs no more than {len(parts)} partial reads ({total} bytes)"
                result.reads.append(PlannedRead(number, 0, None, wire, exchanges, names, why))
                continue
        for (offset, count), (wire, exchanges) in zip(parts, costed):
            inside = [item for item in items if _inside(item.span, offset, count)]
            asked = len({byte for i in inside if i.span for byte in range(i.span.offset, i.span.offset + i.span.size)})
            why = "exactly what was asked"
            if asked < count:
                why = f"{count - asked} bytes between the fields cost less than another request"
            served = tuple(item.query.text for item in inside)
            result.reads.append(PlannedRead(number, offset, count, wire, exchanges, served, why))
    return result


def _inside(span: Span | None, offset: int, count: int) -> bool:
    """Whether a read brings all bytes of a span. Spans without bytes (an array of no elements) need no read."""
    return span is not None and span.size > 0 and offset <= span.offset and span.offset + span.size <= offset + count


def table_size(declared: type[Table], context: Context) -> int | None:
    """Bytes of a table if the context tells, else None."""
    try:
        return layout_of(declared, context).size
    except DecodeError:
        return None


def want(queries: Iterable[Query], context: Context) -> list[Wanted]:
    """Locate queries. Raises ConfigError and MissingTable as ``locate`` does."""
    return [Wanted(query, locate(query, context)) for query in queries]
