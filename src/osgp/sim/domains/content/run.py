"""Domains simulated with what is in their frames: a batch of columns for each domain, one after the other.

::

    contents = Contents()
    load = load_for(contents, poll_every_s=1.0)
    domains = [street(50, random.Random(number), load) for number in range(4)]
    for batch in produce(domains, 3600.0, seed=1, contents=contents):
        print(batch.count, len(batch.readings.meter))

Only one domain is in memory at a time, some 500 bytes for each of its frames. The same seed gives the same bytes, with either engine.
A project choice; see ``docs/design/fast-simulation``.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter as Tally
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from osgp.sim.domains.content.frames import Patterns, patterns_of
from osgp.sim.domains.content.messages import Contents
from osgp.sim.domains.content.meters import FIRST_NUMBER, MOST_DOMAINS, Energy, Meters, counts, steady
from osgp.sim.domains.content.receiving import Checked, Readings, Verdict, Waited, crc_tables, received
from osgp.sim.domains.content.secured import Security
from osgp.sim.domains.engine import Results, simulate
from osgp.sim.domains.model import MAX_LEGS, Counter, Domain, Domains, Kind, Load, Number, What
from osgp.wire.errors import ConfigError

__all__ = ["Batch", "Summary", "load_for", "produce"]

_TRANSACTIONS = 15
"""Transaction numbers go round from 1 (ISO/IEC 14908-1: 0 only after a reset)."""
_ROOM = 1.1
_MOST = (1 << 31) - 1
"""What a register of BT23 holds."""


def load_for(contents: Contents, **wishes: Any) -> Load:
    """A ``Load`` whose frames are as long as these contents make them; ``wishes``: everything else of it."""
    sizes = patterns_of(contents).sizes
    request, response, report = (tuple(sizes[at : at + MAX_LEGS]) for at in range(0, len(Kind) * MAX_LEGS, MAX_LEGS))
    return Load(request_bytes=request, response_bytes=response, report_bytes=report, retries=contents.retries, **wishes)


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What came through in a domain: a row for each frame that was received, in the order of time.

    ``frames``: uint8 (N, longest), CRC included, zeros behind ``size`` bytes. ``time_us``: when it was over. ``sender``, ``receiver``,
    ``meter``: nodes. ``kind``: a ``Kind``. ``number``: of the exchange, or of the report, in this domain. ``behind``: legs still to go
    behind this one. ``carrier``: 1 for the secondary. ``captured``: another was heard there meanwhile. ``checked``: what the receivers
    made of it. ``meters``: keys and identities. ``results``: counters of the engine, with the trace.
    """

    domain: int
    contents: Contents
    meters: Meters
    results: Results
    frames: Any
    size: Any
    time_us: Any
    sender: Any
    receiver: Any
    kind: Any
    meter: Any
    number: Any
    behind: Any
    carrier: Any
    captured: Any
    waited: Waited
    checked: Checked

    @property
    def count(self) -> int:
        """Frames."""
        return len(self.size)

    @property
    def readings(self) -> Readings:
        """What the concentrator has read."""
        return self.checked.readings

    def frame(self, row: int) -> bytes:
        """One frame with its CRC."""
        return bytes(self.frames[row, : self.size[row]])


@dataclass(slots=True)
class Summary:
    """Figures of any number of batches: ``add`` each."""

    domains: int = 0
    meters: int = 0
    simulated_s: float = 0.0
    sent: int = 0
    delivered: int = 0
    bytes: int = 0
    polls: int = 0
    reads: int = 0
    readings: int = 0
    alerts: int = 0
    tags: int = 0
    verdicts: Tally[str] = field(default_factory=Tally)

    def add(self, batch: Batch) -> None:
        """One domain more."""
        results = batch.results
        self.domains += 1
        self.meters += batch.meters.nodes - 1
        self.simulated_s = results.seconds
        self.sent += results.frames
        self.delivered += batch.count
        self.bytes += int(batch.size.sum())
        self.polls += results.total(Counter.POLLS)
        self.reads += results.total(Counter.READS)
        self.readings += batch.readings.values.size
        self.alerts += len(batch.checked.alerts)
        self.tags += batch.checked.tags
        for value, times in zip(*np.unique(batch.checked.verdict, return_counts=True)):
            self.verdicts[Verdict(int(value)).name.lower()] += int(times)

    @property
    def meter_seconds(self) -> float:
        """Meters times the seconds that each lived through."""
        return self.meters * self.simulated_s

    @property
    def refused(self) -> int:
        """Frames that a receiver did not take: none, unless somebody has changed them."""
        taken = ("handed_on", "accepted", "repeated", "unexpected")
        return sum(times for name, times in self.verdicts.items() if name not in taken)


def produce(
    domains: Domains | Sequence[Domain],
    seconds: float,
    seed: int,
    *,
    contents: Contents | None = None,
    energy: Energy = steady,
    engine: Literal["fast", "reference"] = "fast",
    first: int = 0,
) -> Iterator[Batch]:
    """Run all domains from quiet for that many simulated seconds, and give for each what its frames had in them.

    The lengths of frames must be those of ``load_for(contents)``. ``energy``: what hangs on the meters. ``first``: the place of the
    first of these domains, if they are a part of more. Raises ConfigError for other lengths, for what ``simulate`` refuses, and when
    Numba is not there: the loops over frames want it, whatever the engine; while it runs for registers that overflow.
    """
    contents = contents or Contents()
    try:
        from osgp.sim.domains.content import kernels
    except ImportError as error:
        raise ConfigError("the contents of frames need Numba", hint="pip install 'osgp[sim]'") from error
    del kernels
    arrays = domains if isinstance(domains, Domains) else Domains.of(domains)
    patterns = patterns_of(contents)
    if first + arrays.count > MOST_DOMAINS:
        raise ConfigError(f"there are identifiers for {MOST_DOMAINS} domains, not for {first + arrays.count}")
    _check_lengths(arrays, patterns)
    expected = 0
    for index in range(arrays.count):
        one = replace(arrays, which=arrays.which[index : index + 1])
        results = simulate(one, seconds, seed, engine=engine, trace=True, first=first + index, expected_events=expected)
        assert results.trace is not None
        expected = max(expected, int(_ROOM * len(results.trace[0])))
        yield _batch(
            one, results, Meters(first + index, _nodes(one), seed, contents.profile), contents, patterns, energy
        )


def _nodes(one: Domains) -> int:
    return int(one.numbers[one.which[0], Number.NODES])


def _check_lengths(arrays: Domains, patterns: Patterns) -> None:
    if (arrays.sizes != np.array(patterns.sizes)).any():
        raise ConfigError(
            "the frames of a domain are not as long as their contents make them",
            hint="describe the load by load_for(contents, …)",
        )


# ---- one domain ------------------------------------------------------------------------------------------------------
def _batch(
    one: Domains, results: Results, meters: Meters, contents: Contents, patterns: Patterns, energy: Energy
) -> Batch:
    from osgp.sim.domains.content import kernels

    assert results.trace is not None
    place, trace = int(one.which[0]), results.trace[0]
    way, way_carrier, legs = one.way[place], one.way_carrier[place], one.legs[place]
    reporters = one.reporters[place, : one.numbers[place, Number.REPORTERS]].astype(np.int64)
    turn = np.zeros(len(way), np.int64)
    turn[reporters] = np.arange(len(reporters))
    exchanges = _Exchanges(int(results.total(Counter.POLLS)), reporters)
    owners, report_slot, numbers, born_us = _reports(trace)

    columns: tuple[Any, ...] = tuple(np.empty(_delivered(results), dtype) for dtype in _COLUMNS)
    executed_us = np.full(len(exchanges.meter), -1, np.int64)
    time_us, sender, receiver, kind, meter, message, behind, carrier, number, captured, asked = columns
    count = kernels.deliveries(
        trace,
        _WHATS,
        _KINDS,
        way,
        legs,
        turn,
        exchanges.first,
        report_slot,
        time_us,
        sender,
        receiver,
        kind,
        meter,
        message,
        behind,
        carrier,
        number,
        captured,
        asked,
        executed_us,
    )
    assert count == len(time_us)

    security = Security(meters, contents)
    bodies = _bodies(security, exchanges, executed_us, owners, numbers, born_us, energy)
    requests = len(exchanges.meter)
    message += np.array([0, requests, 2 * requests], np.int64)[kind]
    frames = np.empty((count, patterns.frames.shape[1]), np.uint8)
    size = np.empty(count, np.int16)
    kernels.write(
        kind, meter, message, behind, sender, receiver, carrier, number, bodies,
        np.array(contents.apdu_sizes, np.int64), way, way_carrier, legs, meters.addresses,
        np.frombuffer(meters.domain, np.uint8), patterns.frames, patterns.places,
        np.array([patterns.path_in_link, patterns.path_in_hop, patterns.path_in_target], np.int64), _TRANSACTIONS,
        crc_tables(), int(Kind.REQUEST), frames, size,
    )  # fmt: skip
    waited = Waited(
        exchanges.meter,
        exchanges.transaction,
        bodies[:requests, : contents.apdu_sizes[Kind.REQUEST]],
        asked,
        way[:, 1].astype(np.int64),
    )
    checked = received(meters, contents, frames, size, receiver, time_us, waited)
    return Batch(
        meters.number, contents, meters, results, frames, size, time_us, sender, receiver, kind, meter, number, behind,
        carrier, captured, waited, checked,
    )  # fmt: skip


_COLUMNS = (
    np.int64, np.int16, np.int16, np.int8, np.int16, np.int64, np.int8, np.int8, np.int64, np.bool_, np.int64
)  # fmt: skip
_WHATS = (int(What.RECEIVED), int(What.CAPTURED), int(What.POLLED), int(What.FAILED))
_KINDS = (int(Kind.REQUEST), int(Kind.RESPONSE))


def _delivered(results: Results) -> int:
    return results.total(Counter.RECEIVED) + results.total(Counter.CAPTURED)


class _Exchanges:
    """All exchanges of a domain in the order of their meters, of one meter in time: the concentrator polls one after the other."""

    def __init__(self, count: int, reporters: Any) -> None:
        round_of = max(1, len(reporters))
        turns = np.arange(len(reporters))
        each = count // round_of + (turns < count % round_of)
        self.first = np.concatenate([[0], np.cumsum(each)]).astype(np.int64)
        self.meter = np.repeat(reporters, each)
        which = np.arange(count) - np.repeat(self.first[:-1], each)
        self.seq = FIRST_NUMBER + which
        number = np.repeat(turns, each) + which * round_of
        self.transaction = 1 + number % _TRANSACTIONS


def _reports(trace: Any) -> tuple[Any, Any, Any, Any]:
    """Reports in the order of their meters: owner; by number of the report its place in this order; ACTR; moment, µs."""
    told = trace[trace[:, 1] == What.REPORTED]
    owner = told[:, 2]
    order = np.argsort(owner, kind="stable")
    slot = np.empty(len(told), np.int64)
    slot[order] = np.arange(len(told))
    owners = owner[order]
    begins = np.flatnonzero(np.diff(owners, prepend=-1))
    which = np.arange(len(told)) - np.repeat(begins, np.diff(np.append(begins, len(told))))
    return owners, slot, 1 + which, told[order, 0]


def _bodies(
    security: Security,
    exchanges: _Exchanges,
    executed_us: Any,
    reporters: Any,
    numbers: Any,
    born_us: Any,
    energy: Energy,
) -> Any:
    """The secured messages: all requests, their responses (zeros where none was made), the reports."""
    contents, meters = security.contents, security.meters
    count, sizes = len(exchanges.meter), contents.apdu_sizes
    bodies = np.zeros((2 * count + len(reporters), max(sizes)), np.uint8)
    if count:
        requests = security.requests(exchanges.meter, exchanges.seq)
        bodies[:count, : sizes[Kind.REQUEST]] = requests
        done = np.flatnonzero(executed_us >= 0)
        if len(done):
            owners = exchanges.meter[done]
            shown = counts(energy(meters, owners, executed_us[done] // 1000), contents.sources, contents.scales)
            if int(shown.min()) < 0 or int(shown.max()) > _MOST:
                raise ConfigError(
                    f"a register counts from 0 to {_MOST}", hint="what flows at the meters is beyond that"
                )
            plaintexts = np.tile(np.frombuffer(contents.answer, np.uint8), (len(done), 1))
            plaintexts[:, contents.values_at :] = shown.astype("<i4").view(np.uint8)
            bodies[count + done, : sizes[Kind.RESPONSE]] = security.responses(owners, requests[done], plaintexts)
    if len(reporters):
        plaintexts = np.tile(np.frombuffer(contents.alert, np.uint8), (len(reporters), 1))
        offset, size = contents.alert_places["time"]
        plaintexts[:, offset : offset + size] = _calendar(contents.start, born_us)
        offset, size = contents.alert_places["log_sequence"]
        plaintexts[:, offset : offset + size] = numbers.astype("<u4")[:, None].view(np.uint8)
        bodies[2 * count :, : sizes[Kind.REPORT]] = security.alerts(reporters, numbers, plaintexts)
    return bodies


def _calendar(start: dt.datetime, at_us: Any) -> Any:
    """Moments as LTIME_DATE: year since 2000, month, day, hour, minute, second."""
    begun = np.datetime64(start.astimezone(dt.UTC).replace(tzinfo=None), "us")
    moments = begun + at_us.astype("timedelta64[us]")
    months, days = moments.astype("datetime64[M]"), moments.astype("datetime64[D]")
    seconds = (moments - days).astype("timedelta64[s]").astype(np.int64)
    year, month = np.divmod(months.astype(np.int64), 12)
    day = (days - months).astype(np.int64)
    parts = (year + 1970 - 2000, month + 1, day + 1, seconds // 3600, seconds // 60 % 60, seconds % 60)
    return np.stack(parts, 1).astype(np.uint8)
