"""The way out: what pages, commands and exports ask of a store. Read only; times are seconds since 1970 (UTC). Project choice."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import Select, and_, bindparam, func, select
from sqlalchemy.orm import Session

from osgp.headend.store.ingest import MAX_CHANNELS, channel_from, unpack_status
from osgp.headend.store.models import Device, Event, ProfileChannel, ProfileInterval, Raw, Reading, Visit
from osgp.tables.profile import Channel, Profile
from osgp.tables.table import table_name
from osgp.wire.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "PATIENCE_S",
    "DeviceRecord",
    "DeviceSummary",
    "Queries",
    "RawRecord",
    "StoredEvent",
    "StoredReading",
    "VisitRecord",
]

PATIENCE_S = 3 * 86400
"""How long a load profile is read again because of an interval with a placeholder. M-Bus devices are read once a day or so; one
that has not answered for days will not, and without an end every visit would read more than the one before."""


@dataclass(frozen=True, slots=True)
class DeviceRecord:
    """A device. ``dimensions``: raw tables by number, as ``Device`` takes them; ``configuration_version`` counts the changes."""

    id: int
    name: str
    address: str
    door: str
    serial: str | None
    model: str | None
    firmware: str | None
    dimensions: dict[int, bytes]
    configuration: str
    configuration_version: int


@dataclass(frozen=True, slots=True)
class VisitRecord:
    """One visit. ``end`` None: still running, or never ended."""

    id: int
    start: float
    end: float | None
    outcome: str
    error: str
    hint: str
    raws: int
    readings: int
    intervals: int
    events: int
    flagged: int
    conflicts: int
    clock_deviation: float | None
    collector: str


@dataclass(frozen=True, slots=True)
class DeviceSummary:
    """One line of a fleet: the device, its newest visit, the last good one, and what the store holds of it."""

    device: DeviceRecord
    last_visit: VisitRecord | None
    last_ok: float | None
    failures: int
    readings: int
    intervals: int
    events: int
    newest_interval: int | None


@dataclass(frozen=True, slots=True)
class StoredReading:
    """One value: ``time`` by the meter, ``wall`` by the collector, ``flags`` as ``plausibility.Flag``."""

    name: str
    time: int
    value: int | float | str
    unit: str
    wall: float
    flags: int


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One log entry. ``time`` None: it carries no date."""

    log: str
    sequence: int
    time: int | None
    code: int | None
    argument: int | None
    text: str
    fields: Any
    raw: bytes
    wall: float


@dataclass(frozen=True, slots=True)
class RawRecord:
    """Bytes of a table as they came through ``door``. ``whole``: the table from its start to its end."""

    id: int
    table: int
    offset: int
    time: int
    wall: float
    door: str
    whole: bool
    content: bytes

    @property
    def name(self) -> str:
        """BT23, ET52 …"""
        return table_name(self.table)


class Queries:
    """What can be asked of a store. Raises StoreError (no such device, the file cannot be read)."""

    place: str

    def reading(self) -> AbstractContextManager[Session]:
        """A consistent view for several queries."""
        raise TypeError  # a Store has one

    # --- devices

    def devices(self) -> list[DeviceRecord]:
        """All devices by name."""
        with self.reading() as session:
            return [_device(row) for row in session.scalars(select(Device).order_by(Device.name))]

    def device(self, name: str) -> DeviceRecord:
        """One device. Raises StoreError if the store has none of that name."""
        with self.reading() as session:
            return _device(_find(session, name, self.place))

    def fleet(self) -> list[DeviceSummary]:
        """All devices with the state of their collection."""
        found: list[DeviceSummary] = []
        with self.reading() as session:
            for row in session.scalars(select(Device).order_by(Device.name)).all():
                mine = Visit.device_id == row.id
                last = session.scalars(
                    select(Visit).where(mine).order_by(Visit.start.desc(), Visit.id.desc()).limit(1)
                ).first()
                good = session.scalar(select(func.max(Visit.end)).where(mine, Visit.outcome == "ok"))
                bad = session.scalar(
                    select(func.count()).where(
                        mine, Visit.outcome == "failed", Visit.start > (good if good is not None else -1)
                    )
                )
                found.append(
                    DeviceSummary(
                        _device(row),
                        None if last is None else _visit(last),
                        good,
                        int(bad or 0),
                        _count(session, Reading, row.id),
                        _count(session, ProfileInterval, row.id),
                        _count(session, Event, row.id),
                        session.scalar(
                            select(func.max(ProfileInterval.time)).where(
                                ProfileInterval.device_id == row.id, ProfileInterval.data_set == 1
                            )
                        ),
                    )
                )
        return found

    def visits(self, name: str, limit: int = 50) -> list[VisitRecord]:
        """The newest visits, newest first."""
        with self.reading() as session:
            query = select(Visit).where(Visit.device_id == _find(session, name, self.place).id)
            return [
                _visit(row) for row in session.scalars(query.order_by(Visit.start.desc(), Visit.id.desc()).limit(limit))
            ]

    # --- readings

    def latest(self, name: str) -> list[StoredReading]:
        """The newest reading of each measurement, by name."""
        with self.reading() as session:
            device = _find(session, name, self.place).id
            newest = (
                select(Reading.name, func.max(Reading.time).label("time"))
                .where(Reading.device_id == device)
                .group_by(Reading.name)
                .subquery()
            )
            rows = session.execute(
                _reading_columns()
                .join(newest, and_(newest.c.name == Reading.name, newest.c.time == Reading.time))
                .where(Reading.device_id == device)
                .order_by(Reading.name, Reading.wall)
            )
            return list({row[0]: StoredReading(*row) for row in rows}.values())

    def readings(
        self,
        name: str,
        measurement: str | None = None,
        *,
        since: float | None = None,
        until: float | None = None,
        last: int | None = None,
    ) -> list[StoredReading]:
        """Readings by meter time, oldest first: of one measurement or all, ``since`` ≤ time < ``until``, or the ``last`` n."""
        with self.reading() as session:
            query = _reading_columns().where(Reading.device_id == _find(session, name, self.place).id)
            if measurement is not None:
                query = query.where(Reading.name == measurement)
            query = _between(query, Reading.time, since, until)
            if last is not None:
                rows = session.execute(query.order_by(Reading.time.desc(), Reading.wall.desc()).limit(last)).all()[::-1]
            else:
                rows = session.execute(query.order_by(Reading.time, Reading.name)).all()
            return [StoredReading(*row) for row in rows]

    def recent(
        self, name: str, measurements: Sequence[str], *, last: int, until: float
    ) -> dict[str, list[StoredReading]]:
        """The ``last`` readings of each of some measurements up to a meter time, oldest first. One transaction, and as many
        look-ups by key as there are measurements, so that it costs the same however long the history is."""
        found: dict[str, list[StoredReading]] = {}
        with self.reading() as session:
            device = _find(session, name, self.place).id
            newest = (
                _reading_columns()
                .where(Reading.device_id == device, Reading.name == bindparam("measurement"), Reading.time <= until)
                .order_by(Reading.time.desc(), Reading.wall.desc())
                .limit(last)
            )
            for measurement in measurements:
                rows = session.execute(newest, {"measurement": measurement}).all()
                found[measurement] = [StoredReading(*row) for row in rows[::-1]]
        return found

    def unchanged_since(self, name: str, measurement: str, value: float, *, since: float, until: float) -> int | None:
        """Meter time of the first of the readings since ``since`` after which the value was always the same as ``value``; None
        if the newest one is another."""
        with self.reading() as session:
            mine = and_(
                Reading.device_id == _find(session, name, self.place).id,
                Reading.name == measurement,
                Reading.time.between(since, until),
            )
            other = session.scalar(select(func.max(Reading.time)).where(mine, Reading.value != value))
            start = select(func.min(Reading.time)).where(mine)
            return session.scalar(start if other is None else start.where(Reading.time > other))

    # --- load profiles

    def data_sets(self, name: str) -> list[int]:
        """The load profile data sets that the store has of a device."""
        with self.reading() as session:
            device = _find(session, name, self.place).id
            query = select(ProfileChannel.data_set).where(ProfileChannel.device_id == device).distinct()
            return sorted(session.scalars(query))

    def resume_from(self, name: str, data_set: int = 1, *, until: float | None = None) -> int | None:
        """Where a load profile is to be read on: the time of the newest complete interval, or of the one before the first of
        those that still wait for a placeholder (not older than ``PATIENCE_S``). None: nothing is stored.

        ``until``: the meter's clock; intervals after it are not looked at. A meter whose clock once stood in the future has some
        there, and reading on from them would find nothing for years."""
        row = ProfileInterval
        with self.reading() as session:
            mine = and_(row.device_id == _find(session, name, self.place).id, row.data_set == data_set)
            if until is not None:
                mine = and_(mine, row.time <= until)
            last = session.scalar(select(func.max(row.time)).where(mine))
            if last is None:
                return None
            patient = and_(mine, row.pending == 1, row.time > last - PATIENCE_S)
            waiting = session.scalar(select(func.min(row.time)).where(patient))
            if waiting is None:
                return last
            before = session.scalar(select(func.max(row.time)).where(mine, row.time < waiting))
            return waiting - 1 if before is None else before

    def profile(
        self, name: str, data_set: int = 1, *, since: float | None = None, until: float | None = None
    ) -> Profile:
        """Intervals with ``since`` < end ≤ ``until`` as columns, oldest first. If the meter's channels changed in between, only
        those under the newest configuration; ``profiles`` gives all."""
        parts = self.profiles(name, data_set, since=since, until=until)
        return parts[-1] if parts else Profile(data_set, 0, ())

    def profiles(
        self, name: str, data_set: int = 1, *, since: float | None = None, until: float | None = None
    ) -> list[Profile]:
        """As ``profile``, one for each channel configuration that has intervals, oldest first."""
        with self.reading() as session:
            device = _find(session, name, self.place).id
            found: list[Profile] = []
            sets = _channel_sets(session, device, data_set)
            bounds = [start for start, _, _ in sets[1:]] + [None]
            for place, ((start, interval_s, channels), end) in enumerate(zip(sets, bounds)):
                lower = None if place == 0 else start - 1
                low = max((each for each in (lower, since) if each is not None), default=None)
                high = min(
                    (each for each in (None if end is None else end - 1, until) if each is not None), default=None
                )
                profile = _intervals(session, device, data_set, low, high, Profile(data_set, interval_s, channels))
                if len(profile):
                    found.append(profile)
            return found

    # --- logs

    def events(
        self,
        name: str,
        log: str | None = None,
        *,
        since: float | None = None,
        until: float | None = None,
        last: int | None = None,
    ) -> list[StoredEvent]:
        """Log entries, newest first: of one log (``BT74`` …) or all."""
        with self.reading() as session:
            query: Select[Any] = select(*_EVENT_COLUMNS).where(Event.device_id == _find(session, name, self.place).id)
            if log is not None:
                query = query.where(Event.log == log)
            query = _between(query, Event.time, since, until).order_by(Event.time.desc(), Event.sequence.desc())
            return [
                StoredEvent(log, sequence, time or None, code, argument, text, json.loads(fields), raw, wall)
                for log, sequence, time, code, argument, text, fields, raw, wall in session.execute(
                    query if last is None else query.limit(last)
                )
            ]

    # --- raw bytes

    def raw_tables(self, name: str) -> list[RawRecord]:
        """The newest whole read of every table, by table number."""
        with self.reading() as session:
            device = _find(session, name, self.place).id
            newest = select(func.max(Raw.id)).where(Raw.device_id == device, Raw.whole == 1).group_by(Raw.table_number)
            rows = session.scalars(select(Raw).where(Raw.id.in_(newest)).order_by(Raw.table_number))
            return [_raw(row) for row in rows]

    def raw(
        self,
        name: str,
        table: int | None = None,
        *,
        since: float | None = None,
        until: float | None = None,
        last: int = 100,
    ) -> list[RawRecord]:
        """Bytes as they came, newest first: of one table or all, whole and partial reads."""
        with self.reading() as session:
            query = select(Raw).where(Raw.device_id == _find(session, name, self.place).id)
            if table is not None:
                query = query.where(Raw.table_number == table)
            query = _between(query, Raw.time, since, until).order_by(Raw.time.desc(), Raw.id.desc()).limit(last)
            return [_raw(row) for row in session.scalars(query)]

    def counts(self) -> dict[str, int]:
        """Rows of each kind."""
        with self.reading() as session:
            kinds: dict[str, Any] = {
                "devices": Device,
                "visits": Visit,
                "raws": Raw,
                "readings": Reading,
                "intervals": ProfileInterval,
                "events": Event,
            }
            return {
                kind: int(session.scalar(select(func.count()).select_from(model)) or 0) for kind, model in kinds.items()
            }

    def check(self) -> list[str]:
        """What SQLite finds wrong with the file; empty if nothing."""
        with self.reading() as session:
            connection = session.connection()
            problems = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA integrity_check")]
            problems += [str(tuple(row)) for row in connection.exec_driver_sql("PRAGMA foreign_key_check")]
            return [problem for problem in problems if problem != "ok"]


def _find(session: Session, name: str, place: str) -> Device:
    row = session.scalars(select(Device).where(Device.name == name)).first()
    if row is None:
        names = session.scalars(select(Device.name).order_by(Device.name).limit(10)).all()
        raise StoreError(
            f"the store {place} has no device {name!r}",
            hint=f"it has {', '.join(names)}" if names else "it has no devices yet",
        )
    return row


def _device(row: Device) -> DeviceRecord:
    dimensions = {int(number): bytes.fromhex(raw) for number, raw in json.loads(row.dimensions).items()}
    return DeviceRecord(
        row.id,
        row.name,
        row.address,
        row.door,
        row.serial,
        row.model,
        row.firmware,
        dimensions,
        row.configuration,
        row.configuration_version,
    )


def _visit(row: Visit) -> VisitRecord:
    return VisitRecord(**{name: getattr(row, name) for name in VisitRecord.__dataclass_fields__})


def _raw(row: Raw) -> RawRecord:
    return RawRecord(
        row.id, row.table_number, row.offset, row.time, row.wall, row.door, bool(row.whole), bytes(row.content)
    )


def _count(session: Session, model: Any, device: int) -> int:
    return int(session.scalar(select(func.count()).select_from(model).where(model.device_id == device)) or 0)


_EVENT_COLUMNS: tuple[Any, ...] = (
    Event.log,
    Event.sequence,
    Event.time,
    Event.code,
    Event.argument,
    Event.text,
    Event.fields,
    Event.raw,
    Event.wall,
)


def _reading_columns() -> Select[Any]:
    return select(Reading.name, Reading.time, Reading.value, Reading.unit, Reading.wall, Reading.flags)


def _between(query: Select[Any], column: Any, since: float | None, until: float | None) -> Select[Any]:
    if since is not None:
        query = query.where(column >= since)
    if until is not None:
        query = query.where(column < until)
    return query


def _channel_sets(session: Session, device: int, data_set: int) -> list[tuple[int, int, tuple[Channel, ...]]]:
    """(since, interval in seconds, channels), oldest first; neighbours that say the same are one."""
    row = ProfileChannel
    rows = session.execute(
        select(
            row.since,
            row.interval_s,
            row.number,
            row.source,
            row.name,
            row.key,
            row.unit,
            row.scale,
            row.cumulative,
            row.extended,
        )
        .where(row.device_id == device, row.data_set == data_set)
        .order_by(row.since, row.number)
    )
    grouped: dict[tuple[int, int], list[Channel]] = {}
    for one in rows:
        grouped.setdefault((one[0], one[1]), []).append(channel_from(tuple(one[2:])))
    sets = [(since, interval_s, tuple(channels)) for (since, interval_s), channels in grouped.items()]
    return sets[:1] + [later for earlier, later in pairwise(sets) if later[1:] != earlier[1:]]


def _intervals(
    session: Session, device: int, data_set: int, after: float | None, until: float | None, shape: Profile
) -> Profile:
    """Rows as columns, through the driver: these may be many."""
    names = ", ".join(["time", "common", "status", *(f"v{number}" for number in range(len(shape.channels)))])
    where, values = "device_id = ? AND data_set = ?", [device, data_set]
    if after is not None:
        where, values = where + " AND time > ?", [*values, after]  # type: ignore[list-item]  # whole or broken seconds
    if until is not None:
        where, values = where + " AND time <= ?", [*values, until]  # type: ignore[list-item]  # as above
    connection = session.connection().connection.driver_connection
    assert connection is not None
    rows: Sequence[tuple[Any, ...]] = connection.execute(
        f"SELECT {names} FROM profile_interval WHERE {where} ORDER BY time", values
    ).fetchall()
    channels = min(len(shape.channels), MAX_CHANNELS)
    columns = list(zip(*rows)) if rows else [()] * (3 + channels)
    values_of = [np.array([0 if one is None else one for one in column], "<i4") for column in columns[3:]]
    return replace(
        shape,
        time=np.array(columns[0], np.int64).view("M8[s]"),
        common=np.array(columns[1], np.uint8),
        status=unpack_status(np.array(columns[2], np.int64), channels),
        values=np.stack(values_of, axis=1) if values_of else np.zeros((len(rows), 0), "<i4"),
        valid=np.ones(len(rows), bool),
    )


def as_json(record: Any) -> Any:
    """A record as a plain object, bytes as hex."""
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in asdict(record).items()}
