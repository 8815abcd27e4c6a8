"""``Journal``: what a concentrator must not forget, in one SQLite file: counters, readings, jobs, topology, notices.

A step of a visit is one transaction, with the raw bytes that its readings came from; rows are unique by device, table, meter time and
content, so that a step that is done again after a kill adds nothing. Counters are durable when ``save`` returns (WAL,
``synchronous=FULL``). Several steps may be joined in a ``batch``.

A damaged file is noticed when it is opened (``integrity_check``) or read. It is then copied aside, what is sound in it is put into a
new one, and a notice tells what was lost. Marks of how far meters were read are not taken over: all that meters still hold is read
again, and what is there already adds nothing. Counters of a rebuilt journal are in doubt (``spec/osgp-application.md`` 3.3): every
device needs a new handshake before anything is sealed for it. Project choice.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

from osgp.app.memory import StorageError
from osgp.concentrator.salvage import Salvage, salvage
from osgp.tables.logs import LogEntry
from osgp.tables.profile import Profile
from osgp.tables.recording import RawPart
from osgp.wire.errors import StoreError

__all__ = ["DeviceRow", "Journal", "Kept", "Notice", "RawPart", "Step", "StepReading"]

APPLICATION_ID = 0x4F534A4C
"""``OSJL`` in ASCII."""
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_FAILURES = (sqlite3.DatabaseError, UnicodeDecodeError)
"""The second: SQLite quotes what is damaged, and that need not be text."""
_DOUBT = "counters in doubt"
_MOST_PARAMETERS = 500


@dataclass(frozen=True, slots=True)
class StepReading:
    """One value with its name and unit."""

    name: str
    value: int | float | str
    unit: str = ""


@dataclass(slots=True)
class Step:
    """What one step of a visit brought. ``time``: the meter's clock, ``wall``: ours, UTC seconds. ``marks``: how far things are read
    once this is kept; ``facts``: of the device, merged with those known."""

    device: int
    time: int
    wall: float
    raws: list[RawPart] = field(default_factory=list)
    readings: list[StepReading] = field(default_factory=list)
    profiles: list[Profile] = field(default_factory=list)
    events: list[tuple[str, LogEntry]] = field(default_factory=list)
    marks: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    dimensions: dict[int, bytes] | None = None


@dataclass(slots=True)
class Kept:
    """New rows of a step."""

    raws: int = 0
    readings: int = 0
    intervals: int = 0
    events: int = 0

    def add(self, other: Kept) -> None:
        """Sum up."""
        self.raws += other.raws
        self.readings += other.readings
        self.intervals += other.intervals
        self.events += other.events

    @property
    def total(self) -> int:
        """All of them."""
        return self.raws + self.readings + self.intervals + self.events


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """A device as the journal knows it. ``key``: where its key is, never the key."""

    number: int
    unique_node_id: bytes
    name: str
    key: str
    subnet: int
    node: int
    dimensions: dict[int, bytes]
    facts: dict[str, Any]
    added: float


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the concentrator has to tell. ``severity``: critical, warning or info."""

    number: int
    wall: float
    device: int | None
    severity: str
    kind: str
    text: str
    detail: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """A plain object."""
        return {
            "number": self.number,
            "wall": self.wall,
            "device": self.device,
            "severity": self.severity,
            "kind": self.kind,
            "text": self.text,
            "detail": self.detail,
        }


class Journal:
    """One concentrator's journal, for one thread. Every method raises StoreError, ``save`` StorageError. Use as a context manager.

    ``saved``: is called with ``"before"`` and ``"after"`` around each commit, and once with ``"aside"`` and ``"rebuilt"`` in a repair
    (tests kill the process there). ``place`` ``":memory:"`` keeps everything in memory and repairs nothing.
    """

    def __init__(
        self, place: str | Path = ":memory:", *, wall: float = 0.0, saved: Callable[[str], None] | None = None
    ) -> None:
        self.place = str(place)
        self.saved = saved
        self.latest_notice = 0
        """Number of the newest notice of this life."""
        self._depth = 0
        self._connection: sqlite3.Connection
        self._open(wall)

    # ---- the file ---------------------------------------------------------------------------------------------------
    def _open(self, wall: float) -> None:
        """Open, repair if need be, and bring up to date."""
        if self.place != ":memory:":
            try:
                Path(self.place).parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreError(f"no folder for the journal {self.place}: {error}", hint="check the path") from error
        damage = self._connect()
        if damage:
            self._repair(damage, wall)

    def _connect(self) -> str:
        """Open the file; what is damaged about it, or nothing."""
        try:
            self._connection = sqlite3.connect(self.place, isolation_level=None)
            self._connection.execute("PRAGMA foreign_keys=OFF")
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            found = [row[0] for row in self._connection.execute("PRAGMA integrity_check(10)")]
            if found != ["ok"]:
                return str(found[0])
            self._migrate()
            return self._bad_counter()
        except _FAILURES as error:
            if _is_damage(error):
                return str(error)
            raise self._error(error) from error

    def _bad_counter(self) -> str:
        for name, value, digest in self._connection.execute("SELECT name, value, digest FROM counter"):
            if _digest(value) != digest:
                return f"the counter {name!r:.60} is not what was written"
        return ""

    def _migrate(self) -> None:
        """Apply the numbered steps that are missing."""
        connection = self._connection
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        owner = connection.execute("PRAGMA application_id").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if owner not in (0, APPLICATION_ID) or (owner == 0 and tables):
            raise StoreError(f"{self.place} is a database of something else", hint="give the journal another path")
        steps = sorted(
            (file.name, file.read_text("utf-8"))
            for file in files("osgp.concentrator").joinpath("schema").iterdir()
            if file.name.endswith(".sql")
        )
        if version > len(steps):
            raise StoreError(f"{self.place} was written by a newer version of osgp", hint="update osgp")
        if version == len(steps):
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            for _, sql in steps[version:]:
                for statement in _statements(sql):
                    connection.execute(statement)
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={len(steps)}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Give the file back."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- repair -----------------------------------------------------------------------------------------------------
    def _repair(self, damage: str, wall: float) -> None:
        """Copy the damaged file aside and build a new one of what can be read. Killed in between, the next start repairs."""
        if self.place == ":memory:":
            raise StoreError(f"the journal in memory is damaged: {damage}")
        with suppress(sqlite3.Error):
            self._connection.close()
        path = Path(self.place)
        try:
            aside = _copy_aside(path)
            self._told("aside")
            rebuilt = path.with_name(path.name + ".rebuilt")
            for leftover in (rebuilt, *_companions(rebuilt)):
                leftover.unlink(missing_ok=True)
            found = self._rebuild(path, rebuilt, aside, damage, wall)
            for companion in _companions(path):
                companion.unlink(missing_ok=True)
            os.replace(rebuilt, path)
        except OSError as error:
            raise StoreError(
                f"the damaged journal {path} cannot be repaired: {error}", hint="is the disk full?"
            ) from error
        self._told("rebuilt")
        again = self._connect()
        if again:
            raise StoreError(f"the journal {path} is damaged again: {again}", hint="check the disk")
        del found

    def _rebuild(self, path: Path, rebuilt: Path, aside: Path, damage: str, wall: float) -> Salvage:
        fresh = Journal(rebuilt, wall=wall)
        try:
            fresh._connection.execute("PRAGMA synchronous=OFF")
            with fresh.batch():
                found = salvage(path, fresh._connection, leave=("mark",), sound=_is_sound)
                fresh.put(_DOUBT, True)
                fresh.note(
                    "journal",
                    f"the journal was damaged ({damage}); {found.summary()}; the damaged file is kept as {aside.name}",
                    wall,
                    severity="critical",
                    detail={"damage": damage, "kept": found.kept, "lost": found.lost, "file": aside.name},
                )
            fresh._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            fresh._connection.execute("PRAGMA journal_mode=DELETE")
        finally:
            fresh.close()
        with rebuilt.open("rb") as file:
            os.fsync(file.fileno())
        return found

    @property
    def counters_in_doubt(self) -> bool:
        """Whether the journal was rebuilt since ``trust_counters``: every device then needs a new handshake and KB."""
        return bool(self.get(_DOUBT, False))

    def trust_counters(self) -> None:
        """Every device has new keys: the doubt is over."""
        self.put(_DOUBT, False)

    # ---- transactions -----------------------------------------------------------------------------------------------
    @contextmanager
    def batch(self) -> Iterator[None]:
        """One transaction around everything inside; all of it or nothing. May be nested: the outermost counts."""
        if self._depth:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
            return
        self._execute("BEGIN IMMEDIATE")
        self._depth = 1
        try:
            yield
        except BaseException:
            self._depth = 0
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise
        self._depth = 0
        self._told("before")
        try:
            self._execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise
        self._told("after")

    def _told(self, point: str) -> None:
        if self.saved is not None:
            self.saved(point)

    def _execute(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> sqlite3.Cursor:
        """One statement. A damaged page met outside a batch is repaired, and the statement done again; inside, the batch fails."""
        try:
            return self._connection.execute(sql, values)
        except _FAILURES as error:
            if not _is_damage(error) or self.place == ":memory:":
                raise self._error(error) from error
            was_inside = self._depth > 0
            self._depth = 0
            self._repair(str(error), self._last_wall())
            if was_inside:
                raise StoreError(
                    "the journal was damaged and has been rebuilt; what was being written is not in it",
                    hint="do the step again: nothing is kept twice",
                ) from error
            return self._connection.execute(sql, values)

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows of a query; a page may turn out damaged only while they are fetched."""
        try:
            return self._execute(sql, values).fetchall()
        except _FAILURES as error:
            if not _is_damage(error) or self._depth or self.place == ":memory:":
                raise self._error(error) from error
            self._repair(str(error), self._last_wall())
            return self._execute(sql, values).fetchall()

    def _last_wall(self) -> float:
        """When something was last noted: good enough for the notice of a repair."""
        with suppress(sqlite3.Error):
            row = self._connection.execute("SELECT max(wall) FROM notice").fetchone()
            return float(row[0] or 0.0)
        return 0.0

    def _error(self, error: Exception) -> StoreError:
        return StoreError(f"the journal {self.place}: {error}", hint="is the disk full, or another process using it?")

    # ---- Memory: counters -------------------------------------------------------------------------------------------
    def load(self, name: str) -> bytes | None:
        """See ``app.memory.Memory``."""
        try:
            rows = self._rows("SELECT value, digest FROM counter WHERE name = ?", (name,))
        except StoreError as error:
            raise StorageError(error.message, hint=error.hint) from error
        if not rows:
            return None
        value, digest = rows[0]
        if _digest(value) != digest:
            raise StorageError(
                f"the counter {name!r:.60} is damaged", hint="start the concentrator again: it repairs the journal"
            )
        return bytes(value)

    def save(self, values: Mapping[str, bytes]) -> None:
        """See ``app.memory.Memory``. Never inside a batch: that would not be durable yet."""
        if self._depth:
            raise StorageError("counters cannot be kept inside a batch", hint="they must be durable at once")
        try:
            with self.batch():
                for name, value in values.items():
                    self._execute(
                        "INSERT INTO counter (name, value, digest) VALUES (?, ?, ?)"
                        " ON CONFLICT (name) DO UPDATE SET value = excluded.value, digest = excluded.digest",
                        (name, value, _digest(value)),
                    )
        except StoreError as error:
            raise StorageError(error.message, hint=error.hint) from error

    # ---- devices ----------------------------------------------------------------------------------------------------
    def add_device(
        self, unique_node_id: bytes, wall: float, *, name: str = "", key: str = "", subnet: int = 0, node: int = 0
    ) -> int:
        """The number of a device; made if it is new, else brought up to date with what is given."""
        with self.batch():
            self._execute(
                'INSERT INTO device (unique_node_id, name, "key", subnet, node, added) VALUES (?, ?, ?, ?, ?, ?)'
                " ON CONFLICT (unique_node_id) DO UPDATE SET"
                " name = CASE WHEN excluded.name = '' THEN name ELSE excluded.name END,"
                ' "key" = CASE WHEN excluded."key" = \'\' THEN "key" ELSE excluded."key" END,'
                " subnet = CASE WHEN excluded.node = 0 THEN subnet ELSE excluded.subnet END,"
                " node = CASE WHEN excluded.node = 0 THEN node ELSE excluded.node END",
                (unique_node_id, name, key, subnet, node, wall),
            )
            rows = self._rows("SELECT id FROM device WHERE unique_node_id = ?", (unique_node_id,))
        return int(rows[0][0])

    def devices(self) -> list[DeviceRow]:
        """All devices, by number."""
        rows = self._rows(
            'SELECT id, unique_node_id, name, "key", subnet, node, dimensions, facts, added FROM device ORDER BY id'
        )
        return [
            DeviceRow(
                number,
                unique_node_id,
                name,
                key,
                subnet,
                node,
                {int(table): bytes.fromhex(raw) for table, raw in json.loads(dimensions).items()},
                json.loads(facts),
                added,
            )
            for number, unique_node_id, name, key, subnet, node, dimensions, facts, added in rows
        ]

    def place_device(self, device: int, subnet: int, node: int) -> None:
        """Note the address of a device."""
        with self.batch():
            self._execute("UPDATE device SET subnet = ?, node = ? WHERE id = ?", (subnet, node, device))

    # ---- readings ---------------------------------------------------------------------------------------------------
    def keep(self, step: Step) -> Kept:
        """A step, in one transaction. What is there already adds nothing."""
        kept = Kept()
        with self.batch():
            device, wall = step.device, step.wall
            for part in step.raws:
                kept.raws += self._added(
                    'INSERT INTO raw (device_id, table_number, "offset", time, digest, wall, content) VALUES (?, ?, ?, ?, ?, ?, ?)'
                    " ON CONFLICT DO NOTHING",
                    (device, part.table, part.offset, step.time, _digest(part.content), wall, part.content),
                )
            for reading in step.readings:
                kept.readings += self._added(
                    "INSERT INTO reading (device_id, name, time, value, unit, wall) VALUES (?, ?, ?, ?, ?, ?)"
                    " ON CONFLICT DO NOTHING",
                    (device, reading.name, step.time, reading.value, reading.unit, wall),
                )
            for profile in step.profiles:
                kept.intervals += self._keep_profile(device, profile)
            for log, entry in step.events:
                time = None if entry.time is None else int(entry.time.timestamp()) if entry.time.tzinfo else None
                kept.events += self._added(
                    "INSERT INTO event (device_id, log, sequence, time, digest, text, raw, wall) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
                    " ON CONFLICT DO NOTHING",
                    (device, log, entry.number, time, _digest(entry.raw), entry.text, entry.raw, wall),
                )
            for what, value in step.marks.items():
                self._execute(
                    "INSERT INTO mark (device_id, what, value) VALUES (?, ?, ?)"
                    " ON CONFLICT (device_id, what) DO UPDATE SET value = excluded.value",
                    (device, what, value),
                )
            if step.dimensions is not None:
                text = json.dumps({number: raw.hex() for number, raw in step.dimensions.items()})
                self._execute("UPDATE device SET dimensions = ? WHERE id = ?", (text, device))
            if step.facts:
                rows = self._rows("SELECT facts FROM device WHERE id = ?", (device,))
                facts = {**json.loads(rows[0][0]), **step.facts} if rows else step.facts
                self._execute("UPDATE device SET facts = ? WHERE id = ?", (json.dumps(facts), device))
        return kept

    def _added(self, sql: str, values: Sequence[Any]) -> int:
        return max(0, self._execute(sql, values).rowcount)

    def _keep_profile(self, device: int, profile: Profile) -> int:
        if not len(profile):
            return 0
        channels = json.dumps([each.to_json() for each in profile.channels])
        digest = _digest(f"{profile.interval_s} {channels}".encode())
        key = (device, profile.data_set, digest)
        self._execute(
            "INSERT INTO profile_channels (device_id, data_set, digest, interval_s, channels) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            (*key, profile.interval_s, channels),
        )
        rows = self._rows("SELECT id FROM profile_channels WHERE device_id = ? AND data_set = ? AND digest = ?", key)
        channels_id = rows[0][0]
        plain = profile._plain
        added = 0
        for time, common, status, values, valid in zip(
            profile.epochs(), *(plain(each) for each in (profile.common, profile.status, profile.values, profile.valid))
        ):
            if not valid:
                continue
            content = json.dumps([common, list(status), list(values)], separators=(",", ":"))
            added += self._added(
                "INSERT INTO profile_interval (device_id, data_set, time, digest, channels_id, content) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT DO NOTHING",
                (device, profile.data_set, time, _digest(content.encode()), channels_id, content),
            )
        return added

    def mark(self, device: int, what: str) -> str | None:
        """How far something has been read, as ``Step.marks`` said."""
        rows = self._rows("SELECT value FROM mark WHERE device_id = ? AND what = ?", (device, what))
        return None if not rows else str(rows[0][0])

    def intervals(self, device: int, data_set: int = 1) -> list[tuple[int, list[int], list[int]]]:
        """(end, statuses, raw values) of a load profile, oldest first."""
        rows = self._rows(
            "SELECT time, content FROM profile_interval WHERE device_id = ? AND data_set = ? ORDER BY time",
            (device, data_set),
        )
        return [(time, *json.loads(content)[1:]) for time, content in rows]

    def readings(self, device: int, name: str | None = None) -> list[tuple[str, int, Any, str]]:
        """(name, meter time, value, unit), oldest first."""
        return self._rows(
            "SELECT name, time, value, unit FROM reading WHERE device_id = ? AND (? IS NULL OR name = ?) ORDER BY time, id",
            (device, name, name),
        )

    def latest(self, device: int) -> list[tuple[str, int, Any, str, float]]:
        """(name, meter time, value, unit, our time) of the newest reading of each name."""
        return self._rows(
            "SELECT name, max(time), value, unit, wall FROM reading WHERE device_id = ? GROUP BY name ORDER BY name",
            (device,),
        )

    def profiles(self, device: int, *, since: int = 0) -> list[dict[str, Any]]:
        """Load profiles as plain data, one for each set of channels: ``intervals`` are [end, common, statuses, raw values] after
        UTC second ``since``, oldest first."""
        sets = self._rows(
            "SELECT id, data_set, interval_s, channels FROM profile_channels WHERE device_id = ? ORDER BY id", (device,)
        )
        found = []
        for number, data_set, interval_s, channels in sets:
            rows = self._rows(
                "SELECT time, content FROM profile_interval WHERE device_id = ? AND data_set = ? AND channels_id = ?"
                " AND time > ? ORDER BY time",
                (device, data_set, number, since),
            )
            intervals = [[time, *json.loads(content)] for time, content in rows]
            found.append(
                {
                    "data_set": data_set,
                    "interval_s": interval_s,
                    "channels": json.loads(channels),
                    "intervals": intervals,
                }
            )
        return found

    def newest_interval(self, device: int) -> int | None:
        """When the newest interval of any load profile ended, by the meter's clock."""
        rows = self._rows("SELECT max(time) FROM profile_interval WHERE device_id = ?", (device,))
        return None if rows[0][0] is None else int(rows[0][0])

    def forget(self, before: float) -> None:
        """Let go of readings, intervals, entries and raw bytes of before a moment, UTC seconds. Marks stay: nothing is read again."""
        with self.batch():
            for table in ("raw", "reading", "event", "notice"):
                self._execute(f"DELETE FROM {table} WHERE wall < ?", (before,))
            self._execute("DELETE FROM profile_interval WHERE time < ?", (before,))

    def events_of(self, device: int, log: str, last: int | None = None) -> list[tuple[int, int | None, str, bytes]]:
        """(sequence, time, text, raw) of log entries, newest first."""
        return self._rows(
            "SELECT sequence, time, text, raw FROM event WHERE device_id = ? AND log = ? ORDER BY id DESC LIMIT ?",
            (device, log, -1 if last is None else last),
        )

    def raws(self, device: int, table: int) -> list[tuple[int, int, bytes]]:
        """(offset, meter time, content) of what was read of a table, oldest first."""
        return self._rows(
            'SELECT "offset", time, content FROM raw WHERE device_id = ? AND table_number = ? ORDER BY id',
            (device, table),
        )

    def raw_tables(self, device: int) -> list[tuple[int, int, int, float]]:
        """(table, how often it was read, newest meter time, newest time of ours) of each table of which bytes are kept."""
        return self._rows(
            "SELECT table_number, count(DISTINCT wall), max(time), max(wall) FROM raw WHERE device_id = ?"
            " GROUP BY table_number ORDER BY table_number",
            (device,),
        )

    def raw_reads(self, device: int, table: int, last: int = 30) -> list[tuple[int, int, float, int]]:
        """(number, meter time, our time, bytes) of what was read of a table together, newest first."""
        return self._rows(
            "SELECT max(id), time, wall, sum(length(content)) FROM raw WHERE device_id = ? AND table_number = ?"
            " GROUP BY wall, time ORDER BY max(id) DESC LIMIT ?",
            (device, table, last),
        )

    def raw_parts(self, number: int) -> list[tuple[int, bytes]]:
        """(offset, content) of what was read together, as ``raw_reads`` numbers it, in the order in which it came."""
        return self._rows(
            'SELECT other."offset", other.content FROM raw one JOIN raw other USING (device_id, table_number, wall, time)'
            " WHERE one.id = ? ORDER BY other.id",
            (number,),
        )

    def counts(self) -> dict[str, int]:
        """Rows by table, for reports."""
        tables = ("device", "raw", "reading", "profile_interval", "event", "job", "notice")
        return {each: int(self._rows(f"SELECT count(*) FROM {each}")[0][0]) for each in tables}

    # ---- topology and other small things, as plain values --------------------------------------------------------------
    def get(self, name: str, default: Any = None) -> Any:
        """A value by name, or ``default``."""
        rows = self._rows("SELECT value FROM topology WHERE name = ?", (name,))
        return json.loads(rows[0][0]) if rows else default

    def get_all(self, prefix: str) -> dict[str, Any]:
        """All values whose names begin so."""
        rows = self._rows(
            "SELECT name, value FROM topology WHERE substr(name, 1, ?) = ? ORDER BY name", (len(prefix), prefix)
        )
        return {name: json.loads(value) for name, value in rows}

    def put(self, name: str, value: Any) -> None:
        """Keep a value (anything JSON can say) under a name; None forgets it."""
        self.put_all({name: value})

    def put_all(self, values: Mapping[str, Any]) -> None:
        """Several at once, in one transaction."""
        with self.batch():
            for name, value in values.items():
                if value is None:
                    self._execute("DELETE FROM topology WHERE name = ?", (name,))
                else:
                    self._execute(
                        "INSERT INTO topology (name, value) VALUES (?, ?)"
                        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                        (name, json.dumps(value)),
                    )

    # ---- notices ----------------------------------------------------------------------------------------------------
    def note(
        self,
        kind: str,
        text: str,
        wall: float,
        *,
        device: int | None = None,
        severity: str = "info",
        detail: Mapping[str, Any] | None = None,
    ) -> int:
        """Something to tell; its number."""
        with self.batch():
            cursor = self._execute(
                "INSERT INTO notice (wall, device_id, severity, kind, text, detail) VALUES (?, ?, ?, ?, ?, ?)",
                (wall, device, severity, kind, text, json.dumps(dict(detail or {}))),
            )
        self.latest_notice = int(cursor.lastrowid or 0)
        return self.latest_notice

    def notices(self, *, after: int = 0, last: int = 100, kind: str | None = None) -> list[Notice]:
        """The newest ``last`` with a number above ``after``, oldest first."""
        rows = self._rows(
            "SELECT id, wall, device_id, severity, kind, text, detail FROM notice"
            " WHERE id > ? AND (? IS NULL OR kind = ?) ORDER BY id DESC LIMIT ?",
            (after, kind, kind, last),
        )
        return [
            Notice(number, wall, device, severity, which, text, json.loads(detail))
            for number, wall, device, severity, which, text, detail in rows[::-1]
        ]

    # ---- quotas -----------------------------------------------------------------------------------------------------
    def use(self, kind: str, device: int | None, wall: float) -> None:
        """Note that one of a quota was used."""
        with self.batch():
            self._execute("INSERT INTO quota_use (class, device_id, wall) VALUES (?, ?, ?)", (kind, device, wall))

    def uses(self, kind: str, since: float, *, device: int | None = None) -> list[float]:
        """When a quota was used after ``since``, by all or by one device; oldest first."""
        rows = self._rows(
            "SELECT wall FROM quota_use WHERE class = ? AND wall > ? AND (? IS NULL OR device_id = ?) ORDER BY wall",
            (kind, since, device, device),
        )
        return [row[0] for row in rows]

    def forget_uses(self, before: float) -> None:
        """Uses that no quota looks back at any more."""
        with self.batch():
            self._execute("DELETE FROM quota_use WHERE wall < ?", (before,))

    # ---- jobs -------------------------------------------------------------------------------------------------------
    def add_job(
        self,
        kind: str,
        priority: int,
        parameters: Mapping[str, Any],
        devices: Iterable[int],
        wall: float,
        *,
        expires: float | None = None,
        label: str = "",
    ) -> int:
        """A new job, waiting, with a result to come for each device; its number."""
        with self.batch():
            cursor = self._execute(
                "INSERT INTO job (kind, priority, state, created, expires, parameters, label) VALUES (?, ?, 'waiting', ?, ?, ?, ?)",
                (kind, priority, wall, expires, json.dumps(dict(parameters)), label),
            )
            number = int(cursor.lastrowid or 0)
            for device in devices:
                self._execute(
                    "INSERT INTO job_result (job_id, device_id, state) VALUES (?, ?, 'waiting') ON CONFLICT DO NOTHING",
                    (number, device),
                )
        return number

    def set_job(self, number: int, state: str) -> None:
        """The state of a job."""
        with self.batch():
            self._execute("UPDATE job SET state = ? WHERE id = ?", (state, number))

    def set_result(
        self,
        number: int,
        device: int,
        state: str,
        wall: float,
        *,
        attempts: int = 0,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """The state of a job at one device."""
        with self.batch():
            self._execute(
                "UPDATE job_result SET state = ?, wall = ?, attempts = ?, detail = ? WHERE job_id = ? AND device_id = ?",
                (state, wall, attempts, json.dumps(dict(detail or {})), number, device),
            )

    def jobs(
        self, *, states: Sequence[str] | None = None
    ) -> list[tuple[int, str, int, str, float, float | None, Any, str]]:
        """(number, kind, priority, state, created, expires, parameters, label), oldest first."""
        rows = self._rows("SELECT id, kind, priority, state, created, expires, parameters, label FROM job ORDER BY id")
        return [(*row[:6], json.loads(row[6]), row[7]) for row in rows if states is None or row[3] in states]

    def results(self, number: int) -> list[tuple[int, str, int, float | None, Any]]:
        """(device, state, attempts, wall, detail) of a job."""
        rows = self._rows(
            "SELECT device_id, state, attempts, wall, detail FROM job_result WHERE job_id = ? ORDER BY id", (number,)
        )
        return [(*row[:4], json.loads(row[4])) for row in rows]


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=12).digest()


def _is_damage(error: Exception) -> bool:
    return isinstance(error, UnicodeDecodeError) or (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _DAMAGE


def _is_sound(table: str, row: Mapping[str, Any]) -> bool:
    """Whether a row with a digest is what was written. Keys and times of others cannot be checked."""
    content = {"raw": "content", "counter": "value", "event": "raw", "profile_interval": "content"}.get(table)
    if content is None:
        return True
    value = row[content]
    if isinstance(value, str):
        value = value.encode()
    return isinstance(value, bytes) and _digest(value) == row["digest"]


def _companions(path: Path) -> list[Path]:
    return [path.with_name(path.name + suffix) for suffix in ("-wal", "-shm")]


def _copy_aside(path: Path) -> Path:
    """A copy of a damaged database, with its log, under a name of its own."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    for source, target in zip((path, *_companions(path)), (aside, *_companions(aside))):
        if source.exists():
            shutil.copyfile(source, target)
    return aside


def _statements(sql: str) -> Iterator[str]:
    pending = ""
    for line in sql.splitlines():
        pending += line + "\n"
        if sqlite3.complete_statement(pending):
            yield pending.strip()
            pending = ""
