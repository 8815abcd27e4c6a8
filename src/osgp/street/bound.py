"""The least airtime that a day's readings can take: the bytes that must cross each hop, and what carries them.

What must cross: the intervals of the load profiles, the registers of each read-out, the log entries. They come in the largest reads
that the door allows (84 bytes), the rest of a kind in one smaller read; each read is a request and a response over every leg of the
device's way, sealed, with the headers of repeating. Nothing else is in it: no block headers, no alarms, no clocks, no marks, no orders
to forget what was read, no loss. So whatever a concentrator needs beside the data shows as the distance to this bound.

Airtime is frames alone, as in the column of that name in ``spec/perf-anchors.md`` section 8: who waits does not take the line. So it
does not matter how many slots pass before a response (a mean of 7.5 there, of 15.5 where the announced backlog doubles the window).
Bits per frame and byte are of that section, the length of the domain is the street's. Project choice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from osgp.concentrator.accounts import LineCosts
from osgp.concentrator.door import LIMITS
from osgp.tables.profile_geometry import geometry
from osgp.tables.registry import table
from osgp.wire import layout_of

if TYPE_CHECKING:
    from osgp.street.run import StreetRun

__all__ = ["Arrived", "arrived", "bound_s", "read_s", "reads_s"]

_REQUEST = 21
"""APDU of a partial read: code, sequence number and tag (13), service, table, offset, count (8)."""
_ANSWER = 12
"""APDU of its response without the data: code, tag (9), response code, count (3)."""
_REGISTER = 4


def read_s(costs: LineCosts, count: int, legs: int) -> float:
    """Airtime of one read of ``count`` bytes over ``legs`` legs, seconds."""
    return costs.request_s(_REQUEST, legs) + legs * costs.frame_s(_ANSWER + count)


def reads_s(costs: LineCosts, size: int, legs: int, longest: int = LIMITS.max_read) -> float:
    """Airtime of ``size`` bytes of one kind in the largest reads, seconds."""
    whole, rest = divmod(size, longest)
    return whole * read_s(costs, longest, legs) + (read_s(costs, rest, legs) if rest else 0.0)


@dataclass(frozen=True, slots=True)
class Arrived:
    """What of a device is in the journal: intervals by data set, entries by log, registers by the meter time of their read-out."""

    intervals: Mapping[int, int]
    entries: Mapping[str, int]
    registers: Mapping[int, int]


NOTHING = Arrived({}, {}, {})


def arrived(run: StreetRun) -> dict[str, Arrived]:
    """The same by house, as it is now. Raises StoreError."""
    collection, journal = run.plan.config.collection, run.journal
    return {
        house: Arrived(
            {data_set: len(journal.intervals(number, data_set)) for data_set in collection.profiles},
            {log: len(journal.events_of(number, log)) for log in collection.logs},
            Counter(
                time for _, time, value, unit in journal.readings(number) if unit and isinstance(value, int | float)
            ),
        )
        for house, number in run.numbers().items()
    }


def bound_s(run: StreetRun, earlier: Mapping[str, Arrived] | None = None) -> dict[str, float]:
    """By kind (``profile``, ``registers``, ``log``) the least airtime of what is in the journal of a run, or has come to it since
    ``earlier``, seconds.

    The way of each device is the one that it has now. Raises StoreError.
    """
    costs = run.concentrator.exchanges.costs
    found = dict.fromkeys(("profile", "registers", "log"), 0.0)
    ways = run.ways()
    for house, now in arrived(run).items():
        before = (earlier or {}).get(house, NOTHING)
        legs, context = len(ways.get(house, ())), run.by_name[house].meter.image.context
        if not legs:
            continue
        for data_set, count in now.intervals.items():
            new = count - before.intervals.get(data_set, 0)
            size = geometry(context, data_set).interval_size if new else 0
            found["profile"] += reads_s(costs, new * size, legs)
        for time, registers in now.registers.items():
            if time not in before.registers:
                found["registers"] += reads_s(costs, _REGISTER * registers, legs)
        for log, count in now.entries.items():
            new = count - before.entries.get(log, 0)
            size = layout_of(table(log), context).span("entries[0]").size if new else 0
            found["log"] += reads_s(costs, new * size, legs)
    return found
