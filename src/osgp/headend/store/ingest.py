"""The way in: what one step of a visit brought, as rows. Project choice.

Load profiles come as columns and stay columns until the driver asks for a row: no Python code runs per interval. Everything
here works on one open transaction of the driver and neither begins nor ends it.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from itertools import repeat
from typing import Any

import numpy as np

from osgp.tables.logs import LogEntry
from osgp.tables.profile import Channel, Profile
from osgp.wire.errors import StoreError

__all__ = ["MAX_CHANNELS", "Kept", "RawPart", "Step", "StepReading", "digest_of", "keep_profile", "keep_step"]

MAX_CHANNELS = 16
"""Value columns of a profile row: the most that an OSGP device logs (MEP guide p. 233)."""

_PLACEHOLDER = 15


@dataclass(frozen=True, slots=True)
class RawPart:
    """Bytes of a table, as read. ``whole``: a full read."""

    table: int
    offset: int
    content: bytes
    whole: bool = False


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


_RAW = (
    'INSERT INTO raw (device_id, table_number, "offset", time, digest, wall, door, whole, content)'
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_READING = (
    "INSERT INTO reading (device_id, name, time, value, unit, wall, flags)"
    " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_EVENT = (
    "INSERT INTO event (device_id, log, sequence, time, digest, code, argument, text, fields, raw, wall)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)


def _many(connection: sqlite3.Connection, sql: str, rows: Iterable[tuple[Any, ...]]) -> int:
    """Rows that the statement really wrote."""
    count = connection.executemany(sql, rows).rowcount
    return max(0, count)


def keep_step(connection: sqlite3.Connection, device: int, step: Step) -> Kept:
    """Write the rows of a step. O(rows)."""
    kept = Kept()
    kept.raws = _many(
        connection,
        _RAW,
        (
            (
                device,
                each.table,
                each.offset,
                step.time,
                digest_of(each.content),
                step.wall,
                step.door,
                int(each.whole),
                each.content,
            )
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
    for profile in step.profiles:
        kept.add(keep_profile(connection, device, profile))
    return kept


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


def _columns(count: int) -> str:
    return ", ".join(f"v{number}" for number in range(count))


_INSERTS = [
    f"INSERT INTO profile_interval (device_id, data_set, time, common, status, pending{', ' * bool(n)}{_columns(n)})"
    f" VALUES (?, ?, ?, ?, ?, ?{', ?' * n}) ON CONFLICT DO NOTHING"
    for n in range(MAX_CHANNELS + 1)
]


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


def profile_rows(device: int, profile: Profile) -> Iterator[tuple[Any, ...]]:
    """One tuple per processed interval, as the insert wants it. The tuples are made by ``zip``, not by Python code."""
    time = np.asarray(profile.time).astype(np.int64)
    common, status = np.asarray(profile.common), np.asarray(profile.status, np.uint8)
    values, valid = np.asarray(profile.values), np.asarray(profile.valid, bool)
    status, values = status.reshape(len(time), -1), values.reshape(len(time), -1)
    if not valid.all():
        time, common, status, values = time[valid], common[valid], status[valid], values[valid]
    words: Iterable[int]
    pending: Iterable[int]
    if status.any():
        words = pack_status(status).tolist()
        pending = (status == _PLACEHOLDER).any(axis=1).astype(np.uint8).tolist()
    else:
        words = pending = repeat(0)
    columns = [column.tolist() for column in values.T]
    return zip(repeat(device), repeat(profile.data_set), time.tolist(), common.tolist(), words, pending, *columns)


def keep_profile(connection: sqlite3.Connection, device: int, profile: Profile) -> Kept:
    """Write the processed intervals of a profile, and its channels if they are new. Repeated delivery changes nothing, except
    that placeholders are completed. Raises StoreError for more than 16 channels."""
    kept = Kept()
    if len(profile.channels) > MAX_CHANNELS:
        raise StoreError(f"a load profile with {len(profile.channels)} channels does not fit the store")
    offered = int(np.count_nonzero(np.asarray(profile.valid, bool)))
    if not offered:
        return kept
    count = np.asarray(profile.values).reshape(len(profile), -1).shape[1]
    kept.intervals = _many(connection, _INSERTS[count], profile_rows(device, profile))
    if kept.intervals:
        keep_channels(connection, device, profile)
    if kept.intervals < offered:
        _compare(connection, device, profile, count, kept)
    return kept


def _compare(connection: sqlite3.Connection, device: int, profile: Profile, count: int, kept: Kept) -> None:
    """Look at intervals that were there before: complete placeholders, count those with other contents."""
    epochs = profile.epochs()
    names = f"common, status, pending{', ' * bool(count)}{_columns(count)}"
    stored = {
        row[0]: tuple(row[1:])
        for row in connection.execute(
            f"SELECT time, {names} FROM profile_interval WHERE device_id = ? AND data_set = ? AND time BETWEEN ? AND ?",
            (device, profile.data_set, min(epochs), max(epochs)),
        )
    }
    fresh: list[tuple[Any, ...]] = []
    for row in profile_rows(device, profile):
        old = stored[row[2]]
        if old == row[3:]:
            continue
        if old[2]:
            fresh.append((*row[3:], *row[:3]))
        else:
            kept.conflicts += 1
    sets = ", ".join(f"{name.strip()} = ?" for name in names.split(","))
    kept.completed = _many(
        connection,
        f"UPDATE profile_interval SET {sets} WHERE device_id = ? AND data_set = ? AND time = ?",
        fresh,
    )


def keep_channels(connection: sqlite3.Connection, device: int, profile: Profile) -> None:
    """Note what the channels mean, if that is not what is noted for the time of the first interval."""
    epochs, valid = profile.epochs(), profile.valid
    first = next(time for time, good in zip(epochs, valid) if good)
    known = channels_at(connection, device, profile.data_set, first)
    if known is not None and (known[1], known[2]) == (profile.interval_s, profile.channels):
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
