"""The circular logs: newest entries first, reading only their bytes.

BT26 self reads, BT74 and ET79 events, ET31 one-time reads, ET41 demand resets, ET45 recurring M-Bus and MEP reads, ET75
channel changes, ET81 outages. All begin with a header of the same five fields and are walked back from LAST_ENTRY_ELEMENT
modulo their capacity (MEP guide p. 105, 241; optical guide p. 28, 51). The header is read again afterwards: a log may grow
while it is read (``spec/tables.md`` "Partial access").
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from osgp.tables.energyunit import KnowsTables
from osgp.tables.events import describe
from osgp.tables.table import Table, table_name
from osgp.wire import Context, LTime, STime, dependencies, layout_of
from osgp.wire.errors import ConfigError
from osgp.wire.nodes import ArrayNode

__all__ = [
    "LOGS",
    "Header",
    "LogEntry",
    "LogKind",
    "entries_of",
    "entry_ranges",
    "header_of",
    "log_reader",
    "log_since",
]

_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One entry. ``number``: its sequence number (BT74 and ET79 share one sequence); ``time``: aware where the log keeps UTC,
    naive where it keeps the device's local time, None where the bytes are no date; ``fields``: the decoded entry; ``text``:
    for people; ``raw``: its bytes."""

    number: int
    time: dt.datetime | None
    table: str
    fields: Any
    text: str
    raw: bytes

    def to_json(self) -> dict[str, Any]:
        """A plain object."""
        return {
            "number": self.number,
            "time": None if self.time is None else self.time.isoformat(),
            "table": self.table,
            "text": self.text,
            "fields": self.fields.to_json(),
            "raw": self.raw.hex(),
        }


@dataclass(frozen=True, slots=True)
class LogKind:
    """What the generic reader must know of a log: where an entry keeps its time, whether that is UTC, its own low sequence
    bits, and how to put it in words."""

    time: str
    utc: bool
    text: Callable[[Any], str]
    sequence: str = ""


def _event(code: str, argument: str) -> Callable[[Any], str]:
    def text(entry: Any) -> str:
        return describe(
            getattr(entry, code).event_id, int.from_bytes(getattr(entry, argument), "little"), entry.user_id
        )

    return text


def _label(entry: Any, name: str) -> str:
    value = getattr(entry, name)
    return str(type(entry).specs[name].values.get(value, f"{name} {value}"))


def _outage(entry: Any) -> str:
    start, end = entry.start.datetime(None), entry.end.datetime(None)
    return "power outage" + (f" of {end - start}" if start and end and end >= start else "")


LOGS: dict[int, LogKind] = {
    26: LogKind("end_time", False, lambda entry: "self read"),
    74: LogKind("history_time", True, _event("history_code", "history_argument"), "history_seq_nbr"),
    2048 + 31: LogKind("end_time", False, lambda entry: "one-time read"),
    2048 + 41: LogKind("timestamp", False, lambda entry: f"demand reset, {_label(entry, 'reset_reason')}"),
    2048 + 45: LogKind(
        "data.timestamp", False, lambda entry: f"read of device {entry.handle}: {_label(entry, 'result')}"
    ),
    2048 + 75: LogKind("timestamp", True, lambda entry: "load profile channels changed"),
    2048 + 79: LogKind("time", True, _event("event", "argument"), "seq_nbr"),
    2048 + 81: LogKind("start", False, _outage),
}
"""The logs by table number."""


@dataclass(frozen=True, slots=True)
class Header:
    """State of a log: how many entries are valid, which is the newest, its sequence number and that number's width; how many nobody
    has marked as read."""

    valid: int
    last: int
    sequence: int
    modulus: int
    unread: int = 0

    def moved(self, earlier: Header) -> bool:
        """Whether entries came or went since ``earlier``."""
        return (self.valid, self.last, self.sequence) != (earlier.valid, earlier.last, earlier.sequence)


def kind_of(declared: type[Table]) -> LogKind:
    """What is known of a log. Raises ConfigError for a table that is none."""
    found = LOGS.get(declared.number)
    if found is None:
        known = ", ".join(table_name(number) for number in LOGS)
        raise ConfigError(
            f"{declared.__name__} is no log that can be read entry by entry",
            hint=f"logs are {known}; load profiles (BT64–BT67) have their own reader",
        )
    return found


def _shape(declared: type[Table], context: Context) -> tuple[int, int]:
    """(bytes of the header, capacity in entries)."""
    span = layout_of(declared, context).span("entries")
    node = span.node
    count = node.count if isinstance(node, ArrayNode) else 0
    return span.offset, max(0, count) if isinstance(count, int) else 0


def header_of(declared: type[Table], context: Context, raw: bytes) -> Header:
    """The header of a log from the first bytes of its table. Raises Truncated."""
    layout = layout_of(declared, context)

    def field(name: str) -> tuple[int, int]:
        span = layout.span(name)
        value: int = layout.decode_span(span, raw[span.offset : span.offset + span.size])
        return value, span.size

    sequence, width = field("last_entry_seq_nbr")
    valid, last, unread = (field(name)[0] for name in ("nbr_valid_entries", "last_entry_element", "nbr_unread_entries"))
    return Header(valid, last, sequence, 1 << 8 * width, unread)


def entry_ranges(header: Header, capacity: int, last: int | None) -> list[tuple[int, int]]:
    """Runs of entries (first index, how many) that hold the newest ``last`` entries, in the order newest run first."""
    count = min(header.valid, capacity)
    if last is not None:
        count = min(count, max(0, last))
    if not count:
        return []
    newest = header.last % capacity
    upper = min(count, newest + 1)
    runs = [(newest - upper + 1, upper)]
    if count > upper:
        runs.append((capacity - (count - upper), count - upper))
    return runs


def entries_of(
    declared: type[Table], context: Context, header: Header, chunks: list[tuple[int, bytes]]
) -> list[LogEntry]:
    """Entries, newest first, from ``chunks``: (index of the first entry, bytes of a run), newest run first. Pure."""
    kind = kind_of(declared)
    layout = layout_of(declared, context)
    found: list[LogEntry] = []
    number = header.sequence
    for first, data in chunks:
        base = layout.span(f"entries[{first}]")
        for place in range(len(data) // base.size - 1 if base.size else -1, -1, -1):
            span = layout.span(f"entries[{first + place}]")
            raw = data[span.offset - base.offset : span.offset - base.offset + span.size]
            fields = layout.decode_span(span, raw)
            if kind.sequence:
                # Two logs may share the sequence, so the numbers of one have holes: its own low bits tell.
                number -= (number - getattr(fields, kind.sequence)) & 0xFFFF
            found.append(
                LogEntry(
                    number % header.modulus, _time(fields, kind), declared.__name__, fields, kind.text(fields), raw
                )
            )
            if not kind.sequence:
                number -= 1
    return found


def _time(fields: Any, kind: LogKind) -> dt.datetime | None:
    value = fields
    for part in kind.time.split("."):
        value = getattr(value, part, None)
    if not isinstance(value, (STime, LTime)):
        return None
    return value.datetime(dt.UTC if kind.utc else None)


async def log_reader(device: KnowsTables, declared: type[Table], last: int | None = None) -> list[LogEntry]:
    """The newest ``last`` entries of a log (all if None), newest first. Entries that the device wrote over while they were read
    are read again. Raises ConfigError (no log) and what the door raises."""
    context, size, capacity = await _known(device, declared)
    if not capacity:
        return []
    header = await _header(device, declared, context, size)
    return await _all(device, declared, context, header, last)


async def _all(
    device: KnowsTables, declared: type[Table], context: Context, header: Header, last: int | None = None
) -> list[LogEntry]:
    """The same, where a header has just been read."""
    size, capacity = _shape(declared, context)
    chunks: list[tuple[int, bytes]] = []
    for attempt in range(_ATTEMPTS):
        chunks = await _chunks(device, declared, context, entry_ranges(header, capacity, last))
        after = await _header(device, declared, context, size)
        if attempt == _ATTEMPTS - 1 or not after.moved(header):
            break
        header = after
    return entries_of(declared, context, header, chunks)


async def log_since(device: KnowsTables, declared: type[Table], newest: bytes | None) -> tuple[list[LogEntry], int]:
    """The entries behind one that is known by its bytes, newest first, and how many the device holds as unread. All of them if that
    one is not there any more, or ``newest`` is None.

    Where entries carry numbers of their own (BT74, ET79), these say how many to read, and that none was written over meanwhile: so
    the header is read once. Raises as ``log_reader``.
    """
    context, size, capacity = await _known(device, declared)
    if not capacity:
        return [], 0
    header = await _header(device, declared, context, size)
    if newest is None:
        return await _all(device, declared, context, header), header.unread
    own = kind_of(declared).sequence
    if own:
        layout = layout_of(declared, context)
        known = getattr(layout.decode_span(layout.span("entries[0]"), newest), own)
        count = (header.sequence - known) & 0xFFFF
        if count <= min(header.valid, capacity):
            chunks = await _chunks(device, declared, context, entry_ranges(header, capacity, count))
            found = _before(entries_of(declared, context, header, chunks), newest)
            ages = [(header.sequence - getattr(entry.fields, own)) & 0xFFFF for entry in found]
            if all(young < old for young, old in zip([-1, *ages], [*ages, count])):
                return found, header.unread
    return _before(await log_reader(device, declared), newest), header.unread


def _before(entries: list[LogEntry], known: bytes | None) -> list[LogEntry]:
    """Those that came after the known one; all if it is not among them."""
    return entries[: next((place for place, entry in enumerate(entries) if entry.raw == known), len(entries))]


async def _known(device: KnowsTables, declared: type[Table]) -> tuple[Context, int, int]:
    """What the layout of a log depends on, the bytes of its header, and its capacity."""
    kind_of(declared)
    sizing = [each for each in sorted(dependencies(declared), key=lambda one: one.__name__) if issubclass(each, Table)]
    context = await device.knows(*sizing)
    return context, *_shape(declared, context)


async def _header(device: KnowsTables, declared: type[Table], context: Context, size: int) -> Header:
    return header_of(declared, context, await device.access.read_part(declared.number, 0, size))


async def _chunks(
    device: KnowsTables, declared: type[Table], context: Context, runs: list[tuple[int, int]]
) -> list[tuple[int, bytes]]:
    """Runs of entries: (index of the first, bytes)."""
    layout = layout_of(declared, context)
    chunks = []
    for first, count in runs:
        start, end = layout.span(f"entries[{first}]"), layout.span(f"entries[{first + count - 1}]")
        wanted = end.offset + end.size - start.offset
        chunks.append((first, await device.access.read_part(declared.number, start.offset, wanted)))
    return chunks
