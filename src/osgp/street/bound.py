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

from collections.abc import Iterable
from typing import TYPE_CHECKING

from osgp.concentrator.accounts import LineCosts
from osgp.concentrator.door import LIMITS
from osgp.tables.profile_geometry import geometry
from osgp.tables.registry import table
from osgp.wire import layout_of

if TYPE_CHECKING:
    from osgp.sim.pl_device import PowerLineDevice
    from osgp.street.run import StreetRun

__all__ = ["bound_s", "read_s", "reads_s"]

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


def bound_s(run: StreetRun, since_s: float = 0.0) -> dict[str, float]:
    """By kind (``profile``, ``registers``, ``log``) the least airtime of what came to the journal of a run, seconds; of intervals and
    entries that ended ``since_s`` after its beginning, and the registers read since then.

    The way of each device is the one at the end. Raises StoreError.
    """
    costs = run.concentrator.exchanges.costs
    since = run.start + since_s
    found = dict.fromkeys(("profile", "registers", "log"), 0.0)
    ways, numbers = run.ways(), run.numbers()
    for house, device in run.by_name.items():
        legs, number = len(ways.get(house, ())), numbers.get(house)
        if not legs or number is None:
            continue
        for data_set in run.plan.config.collection.profiles:
            ended = [time for time, _, _ in run.journal.intervals(number, data_set) if time > since]
            size = len(ended) * _interval_bytes(device, data_set) if ended else 0
            found["profile"] += reads_s(costs, size, legs)
        for registers in _registers(run, number, since):
            found["registers"] += reads_s(costs, _REGISTER * registers, legs)
        for log in run.plan.config.collection.logs:
            entries = [
                time for _, time, _, _ in run.journal.events_of(number, log) if time is not None and time >= since
            ]
            size = len(entries) * _entry_bytes(device, log) if entries else 0
            found["log"] += reads_s(costs, size, legs)
    return found


def _interval_bytes(device: PowerLineDevice, data_set: int) -> int:
    return geometry(device.meter.image.context, data_set).interval_size


def _entry_bytes(device: PowerLineDevice, log: str) -> int:
    layout = layout_of(table(log), device.meter.image.context)
    return layout.span("entries[0]").size


def _registers(run: StreetRun, number: int, since: float) -> Iterable[int]:
    """For each read-out how many registers it brought."""
    at: dict[int, int] = {}
    for _, time, value, unit in run.journal.readings(number):
        if time >= since and unit and isinstance(value, int | float):
            at[time] = at.get(time, 0) + 1
    return at.values()
