"""The way in: what one step of a visit brought, as rows. Project choice.

Load profiles come as columns and go to the driver some intervals at a time: no Python code runs per interval. Everything
here works on one open transaction of the driver and neither begins nor ends it.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any

import numpy as np

from osgp.tables.logs import LogEntry
from osgp.tables.profile import Channel, Profile
from osgp.tables.recording import RawPart
from osgp.wire.errors import StoreError

__all__ = ["MAX_CHANNELS", "Kept", "RawPart", "Step", "StepReading", "digest_of", "keep_profile", "keep_step"]

MAX_CHANNELS = 16
"""Value columns of a profile row: the most that an OSGP device logs (MEP guide p. 233)."""

_PLACEHOLDER = 15


@dataclass(frozen=True, slots=True)
class StepReading:
    """One value on its way into the store. ``value``: int, float or str; ``flags``: bits of ``plausibility.Flag``."""

    name: str
    value: int | float | str
    unit: str = ""
    flags: int = 0


@dataclass(slots=True)
class Step:
    """What one step of a visit brought; it is stored wholly or not at all.

    ``wall``: when it was read (seconds since 1970, UTC); ``time``: the meter's clock then (the same scale); ``facts``: columns
    of the device to update (serial, model, firmware, dimensions, configuration …).
    """

    wall: float
    time: int
    door: str = ""
    raws: list[RawPart] = field(default_factory=list)
    readings: list[StepReading] = field(default_factory=list)
    profiles: list[Profile] = field(default_factory=list)
    events: list[LogEntry] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Kept:
    """Rows that are new. ``completed``: rows whose placeholders were filled; ``conflicts``: intervals that came again with
    other contents (the first stays; the bytes of both are in ``raw``); ``flagged``: new readings with a flag."""

    raws: int = 0
    readings: int = 0
    intervals: int = 0
    events: int = 0
    flagged: int = 0
    completed: int = 0
    conflicts: int = 0

    def add(self, other: Kept) -> None:
        """Sum in place."""
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))


def digest_of(content: bytes) -> bytes:
    """The part of a key that stands for contents: 16 bytes of BLAKE2b."""
    return hashlib.blake2b(content, digest_size=16).digest()


# Bytes that are the same as those read before them say nothing new: a row stands until the next one of its place in time. What
# is compared with is the row at or before the same meter time, so that a repeated delivery finds what the first one found.
_RAW = (
    'INSERT INTO raw (device_id, table_number, "offset", time, digest, wall, door, whole, content)'
    " SELECT :device, :table, :offset, :time, :digest, :wall, :door, :whole, :content"
    " WHERE NOT coalesce((SELECT digest = :digest AND whole >= :whole FROM raw WHERE device_id = :device"
    ' AND table_number = :table AND "offset" = :offset AND time <= :time ORDER BY time DESC, id DESC LIMIT 1), 0)'
    ' ON CONFLICT (device_id, table_number, "offset", time, digest)'
    " DO UPDATE SET whole = 1 WHERE excluded.whole > raw.whole"
)
_READING = (
    "INSERT INTO reading (device_id, name, time, value, unit, wall, flags)"
    " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_EVENT = (
    "INSERT INTO event (device_id, log, sequence, time, digest, code, argument, text, fields, raw, wall)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)


def _many(connection: sqlite3.Connection, sql: str, rows: Iterable[Sequence[Any] | dict[str, Any]]) -> int:
    """Rows that the statement really wrote."""
    count = connection.executemany(sql, rows).rowcount
    return max(0, count)


def keep_step(connection: sqlite3.Connection, device: int, step: Step) -> Kept:
    """Write the rows of a step. O(rows)."""
    kept = Kept()
    if step.raws or step.readings or step.events:
        _keep_single(connection, device, step, kept)
    for profile in step.profiles:
        kept.add(keep_profile(connection, device, profile))
    return kept


def _keep_single(connection: sqlite3.Connection, device: int, step: Step, kept: Kept) -> None:
    """What comes in ones and tens: bytes, readings, log entries."""
    kept.raws = _many(
        connection,
        _RAW,
        (
            {
                "device": device,
                "table": each.table,
                "offset": each.offset,
                "time": step.time,
                "digest": digest_of(each.content),
                "wall": step.wall,
                "door": step.door,
                "whole": int(each.whole),
                "content": each.content,
            }
            for each in step.raws
        ),
    )
    for flagged in (False, True):
        new = _many(
            connection,
            _READING,
            (
                (device, each.name, step.time, each.value, each.unit, step.wall, each.flags)
                for each in step.readings
                if bool(each.flags) is flagged
            ),
        )
        kept.readings += new
        kept.flagged += new if flagged else 0
    kept.events = _many(connection, _EVENT, (_event_row(device, each, step.wall) for each in step.events))


def _event_row(device: int, entry: LogEntry, wall: float) -> tuple[Any, ...]:
    code, argument = _code_of(entry.fields)
    # A log in the device's local time is kept as it stands, as if it were UTC: the zone is not in the entry.
    time = 0 if entry.time is None else int(_as_utc(entry.time).timestamp())
    shown = entry.fields.to_json() if hasattr(entry.fields, "to_json") else {}
    return (
        device,
        entry.table,
        entry.number,
        time,
        digest_of(entry.raw),
        code,
        argument,
        entry.text,
        json.dumps(shown, default=str),
        entry.raw,
        wall,
    )


def _as_utc(moment: Any) -> Any:
    import datetime as dt

    return moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)


def _code_of(entry: Any) -> tuple[int | None, int | None]:
    """The event number and its argument, where the log has such."""
    for code, argument in (("history_code", "history_argument"), ("event", "argument")):
        word, extra = getattr(entry, code, None), getattr(entry, argument, None)
        if word is not None and hasattr(word, "event_id"):
            return int(word.event_id), int.from_bytes(extra, "little") if isinstance(extra, bytes) else None
    return None, None


_AT_ONCE = 32
"""Intervals in one statement. A statement per interval spends a third of its time on beginning and ending."""


@cache
def _insert(channels: int, rows: int) -> str:
    """The statement for ``rows`` rows of ``profile_table``: device and data set first, then the rows."""
    names = "".join(f"v{number}, " for number in range(channels))
    row = f"({', '.join('?' * (channels + 4))})"
    return (
        f"INSERT INTO profile_interval (device_id, data_set, time, {names}common, status, pending)"
        f" SELECT ?, ?, * FROM (VALUES {', '.join([row] * rows)}) WHERE true ON CONFLICT DO NOTHING"
    )


def pack_status(status: Any) -> Any:
    """(n, channels) codes to one signed 64-bit word each, channel 0 in the lowest four bits."""
    packed = np.zeros(len(status), np.uint64)
    for channel in range(status.shape[1]):
        packed |= status[:, channel].astype(np.uint64) << np.uint64(4 * channel)
    return packed.view(np.int64)


def unpack_status(packed: Any, channels: int) -> Any:
    """The inverse of ``pack_status``: (n, channels) bytes."""
    words = np.ascontiguousarray(packed, "<i8").view(np.uint8).reshape(-1, 8)
    pairs = np.stack((words & 15, words >> 4), axis=2).reshape(len(words), MAX_CHANNELS)
    return np.ascontiguousarray(pairs[:, :channels])


def profile_table(profile: Profile) -> Any:
    """One row per processed interval: time, values, common status, status word, pending (int64)."""
    count = len(profile)
    values = np.asarray(profile.values).reshape(count, -1)
    codes = np.asarray(profile.status, np.uint8).reshape(count, -1)
    table = np.empty((count, values.shape[1] + 4), np.int64)
    table[:, 0] = np.asarray(profile.time).astype(np.int64)
    table[:, 1:-3] = values
    table[:, -3] = profile.common
    table[:, -2] = pack_status(codes)
    table[:, -1] = (codes == _PLACEHOLDER).any(axis=1) if codes.any() else 0
    valid = np.asarray(profile.valid, bool)
    return table if valid.all() else table[valid]


def keep_profile(connection: sqlite3.Connection, device: int, profile: Profile) -> Kept:
    """Write the processed intervals of a profile, and its channels if they are new. Repeated delivery changes nothing, except
    that placeholders are completed. Raises StoreError for more than 16 channels."""
    kept = Kept()
    if len(profile.channels) > MAX_CHANNELS:
        raise StoreError(f"a load profile with {len(profile.channels)} channels does not fit the store")
    if not len(profile):
        return kept
    table = profile_table(profile)
    if not len(table):
        return kept
    keep_channels(connection, device, profile, table[:, 0])
    count, channels = len(table), table.shape[1] - 4
    for first in range(0, count, _AT_ONCE):
        part = table[first : first + _AT_ONCE]
        values = [device, profile.data_set, *part.ravel().tolist()]
        kept.intervals += max(0, connection.execute(_insert(channels, len(part)), values).rowcount)
    if kept.intervals < count:
        _compare(connection, device, profile.data_set, table.tolist(), kept)
    return kept


def _compare(connection: sqlite3.Connection, device: int, data_set: int, rows: list[list[int]], kept: Kept) -> None:
    """Look at intervals that were there before: complete placeholders, count those with other contents."""
    names = [*(f"v{number}" for number in range(len(rows[0]) - 4)), "common", "status", "pending"]
    stored = {
        row[0]: list(row[1:])
        for row in connection.execute(
            f"SELECT time, {', '.join(names)} FROM profile_interval"
            " WHERE device_id = ? AND data_set = ? AND time BETWEEN ? AND ?",
            (device, data_set, min(row[0] for row in rows), max(row[0] for row in rows)),
        )
    }
    fresh: list[tuple[int, ...]] = []
    for row in rows:
        old = stored[row[0]]
        if old == row[1:]:
            continue
        if old[-1]:
            fresh.append((*row[1:], device, data_set, row[0]))
        else:
            kept.conflicts += 1
    kept.completed = _many(
        connection,
        f"UPDATE profile_interval SET {', '.join(f'{name} = ?' for name in names)}"
        " WHERE device_id = ? AND data_set = ? AND time = ?",
        fresh,
    )


def keep_channels(connection: sqlite3.Connection, device: int, profile: Profile, times: Any) -> None:
    """Note what the channels mean from the first interval on that is not stored yet, if that is not what is noted there.

    Intervals that are stored already (a delivery may overlap) keep the meaning that they came with. ``times``: array of seconds.
    """
    meaning = (profile.interval_s, profile.channels)
    first, last = int(times.min()), int(times.max())
    known = channels_at(connection, device, profile.data_set, first)
    if known is not None and known[1:] == meaning:
        return
    stored = connection.execute(
        "SELECT time FROM profile_interval WHERE device_id = ? AND data_set = ? AND time BETWEEN ? AND ?",
        (device, profile.data_set, first, last),
    )
    new = set(times.tolist()).difference(time for (time,) in stored)
    if not new:
        return
    first = min(new)
    known = channels_at(connection, device, profile.data_set, first)
    if known is not None and known[1:] == meaning:
        return
    _many(
        connection,
        "INSERT INTO profile_channel (device_id, data_set, since, number, interval_s, source, extended, key, name, unit,"
        " scale, cumulative) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (
            (
                device,
                profile.data_set,
                first,
                each.number,
                profile.interval_s,
                each.source,
                each.extended,
                each.key,
                each.name,
                each.unit,
                each.scale,
                int(each.cumulative),
            )
            for each in profile.channels
        ),
    )


def channels_at(
    connection: sqlite3.Connection, device: int, data_set: int, time: int
) -> tuple[int, int, tuple[Channel, ...]] | None:
    """(since, interval in seconds, channels) that hold at a meter time; None before the first."""
    rows = connection.execute(
        "SELECT since, interval_s, number, source, name, key, unit, scale, cumulative, extended FROM profile_channel"
        " WHERE device_id = :device AND data_set = :data_set AND since = (SELECT max(since) FROM profile_channel"
        " WHERE device_id = :device AND data_set = :data_set AND since <= :time) ORDER BY number",
        {"device": device, "data_set": data_set, "time": time},
    ).fetchall()
    if not rows:
        return None
    return rows[0][0], rows[0][1], tuple(channel_from(row[2:]) for row in rows)


def channel_from(row: tuple[Any, ...]) -> Channel:
    """A channel from its columns: number, source, name, key, unit, scale, cumulative, extended."""
    number, source, name, key, unit, scale, cumulative, extended = row
    return Channel(number, source, name, key, unit, _tidy(scale), bool(cumulative), extended)


def _tidy(scale: float) -> float:
    return int(scale) if float(scale).is_integer() else scale
