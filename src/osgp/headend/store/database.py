"""``Store``: opening the file, transactions, visits, and what the rest of the package asks of a store.

One process may use a store from many threads, and several processes may use one file: writers queue for SQLite's lock
(``BEGIN IMMEDIATE``), readers never wait. A store on another back end would keep these methods and replace ``_engine``,
``schema/`` and ``ingest`` (PostgreSQL: COPY). Project choice.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Engine, create_engine, event, exc, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from osgp.headend.store import ingest, models, queries
from osgp.headend.store.ingest import Kept, Step
from osgp.headend.store.migrate import migrate
from osgp.wire.errors import ConfigError, StoreError

__all__ = ["Store"]

_BUSY_S = 30.0
"""How long a writer waits for another one. A step is written in milliseconds, so this is a lock that nobody will release."""

_SWITCH_S = 0.005
"""How long to pause before WAL is tried again while another process switches."""


class Store(queries.Queries):
    """Raw bytes, readings, load profiles and events of many devices. Every method raises StoreError, with a hint.

    Use as a context manager, or ``close`` it. Safe to use from several threads; the methods block, so that a program with an
    event loop calls them in a thread.
    """

    def __init__(self, engine: Engine, place: str) -> None:
        self.engine = engine
        self.place = place

    @classmethod
    def open(cls, place: str | Path, *, create: bool = True, busy_s: float = _BUSY_S) -> Self:
        """The store in a file (made if it is not there and ``create``), brought up to date. ``place``: a path, or a URL
        ``sqlite:///path``. Raises StoreError, ConfigError (a back end that is not built yet)."""
        text = os.fspath(place)
        if "://" in text:
            scheme, _, rest = text.partition("://")
            if scheme != "sqlite":
                raise ConfigError(
                    f"a store on {scheme} is not built yet",
                    hint="use a file: store.sqlite or sqlite:///path/to/store.sqlite",
                )
            text = rest.removeprefix("/")
        path = Path(text).expanduser()
        if not create and not path.exists():
            raise StoreError(f"there is no store at {path}", hint="`osgp collect` makes one; check the path")
        with mapped(str(path)):
            path.parent.mkdir(parents=True, exist_ok=True)
            _prepare(path, busy_s)
            return cls(_engine(path, busy_s), str(path))

    def close(self) -> None:
        """Give the file back."""
        with mapped(self.place):
            self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- transactions

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A write transaction: all of the block or nothing."""
        with mapped(self.place), self.engine.connect().execution_options(writes=True) as connection, connection.begin():
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A consistent view for several queries."""
        with mapped(self.place), Session(self.engine) as session:
            yield session

    # --- devices

    def add_device(self, name: str, address: str, *, door: str = "", wall: float = 0.0) -> int:
        """The number of a device; it is added if new, and its address is brought up to date. The address never holds a key."""
        with self.writing() as connection:
            _driver(connection).execute(
                "INSERT INTO device (name, address, door, added) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (name) DO UPDATE SET address = excluded.address, door = excluded.door"
                " WHERE address <> excluded.address OR door <> excluded.door",
                (name, address, door, wall),
            )
            return int(connection.execute(select(models.Device.id).where(models.Device.name == name)).scalar_one())

    # --- visits

    def begin_visit(self, device: int, wall: float, *, collector: str = "") -> int:
        """Note that a visit begins. Earlier visits by the same ``collector`` that never ended were interrupted: it died."""
        visit = models.Visit
        with self.writing() as connection:
            connection.execute(
                update(visit)
                .where(visit.device_id == device, visit.outcome == "running", visit.collector == collector)
                .values(outcome="interrupted", error="the collector ended during this visit")
            )
            made = connection.execute(
                visit.__table__.insert().values(  # type: ignore[attr-defined]  # __table__ is a Table
                    device_id=device,
                    start=wall,
                    outcome="running",
                    error="",
                    hint="",
                    raws=0,
                    readings=0,
                    intervals=0,
                    events=0,
                    flagged=0,
                    conflicts=0,
                    collector=collector,
                )
            )
            key = made.inserted_primary_key
            assert key is not None
            return int(key[0])

    def end_visit(
        self,
        visit: int,
        wall: float,
        outcome: str,
        *,
        error: str = "",
        hint: str = "",
        clock_deviation: float | None = None,
    ) -> None:
        """Note how a visit ended: ok, partial (something could not be read), failed, interrupted."""
        with self.writing() as connection:
            connection.execute(
                update(models.Visit)
                .where(models.Visit.id == visit)
                .values(end=wall, outcome=outcome, error=error, hint=hint, clock_deviation=clock_deviation)
            )

    def keep(self, device: int, step: Step, *, visit: int | None = None) -> Kept:
        """Store a step: bytes, readings, intervals, events and what they tell of the device, in one transaction.

        What is there already changes nothing. The counts of ``visit`` grow in the same transaction. When this returns, the
        step is on the disk. Raises StoreError (nothing of the step is stored then).
        """
        with self.writing() as connection:
            kept = ingest.keep_step(_driver(connection), device, step)
            if step.facts:
                self._facts(connection, device, step.facts)
            if visit is not None:
                row = models.Visit
                connection.execute(
                    update(row)
                    .where(row.id == visit)
                    .values(
                        raws=row.raws + kept.raws,
                        readings=row.readings + kept.readings,
                        intervals=row.intervals + kept.intervals,
                        events=row.events + kept.events,
                        flagged=row.flagged + kept.flagged,
                        conflicts=row.conflicts + kept.conflicts,
                    )
                )
        return kept

    def _facts(self, connection: Connection, device: int, facts: Mapping[str, Any]) -> None:
        known = {"serial", "model", "firmware", "dimensions", "configuration"}
        unknown = set(facts) - known
        if unknown:
            raise StoreError(f"a device has no {', '.join(sorted(unknown))}")
        values = dict(facts)
        if "dimensions" in values:
            tables: Mapping[int, bytes] = values["dimensions"]
            values["dimensions"] = json.dumps({str(number): raw.hex() for number, raw in sorted(tables.items())})
        row = models.Device
        old = connection.execute(select(row.configuration).where(row.id == device)).scalar_one_or_none()
        if values.get("configuration", old) != old:
            values["configuration_version"] = row.configuration_version + 1
        connection.execute(update(row).where(row.id == device).values(**values))


def _driver(connection: Connection) -> sqlite3.Connection:
    driver: Any = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


def _prepare(path: Path, busy_s: float) -> None:
    """WAL and the schema."""
    connection = sqlite3.connect(path, timeout=busy_s, isolation_level=None)
    try:
        connection.execute(f"PRAGMA busy_timeout = {int(busy_s * 1000)}")
        migrate(connection, str(path))
        _switch_to_wal(connection, busy_s)
    finally:
        connection.close()


def _switch_to_wal(connection: sqlite3.Connection, busy_s: float) -> None:
    """Readers beside a writer. It stays with the file, so that all but the first find it done."""
    deadline = time.monotonic() + busy_s
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            # SQLite asks for this lock while it holds another, and then does not wait as it does for a transaction: another
            # process that switches or writes at this moment is an error at once. We wait in its place.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(_SWITCH_S)


def _engine(path: Path, busy_s: float) -> Engine:
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": busy_s, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def connected(driver: sqlite3.Connection, _record: object) -> None:
        driver.isolation_level = None  # we say BEGIN ourselves, below
        # FULL: a commit is on the disk when it returns, also if the power fails then. NORMAL would be consistent too, but
        # could forget the newest commits, and what a meter has overwritten meanwhile cannot be read again.
        driver.execute("PRAGMA synchronous = FULL")
        driver.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        # A writer takes the lock at once: upgrading a read transaction later could fail without any waiting.
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


@contextmanager
def mapped(place: str) -> Iterator[None]:
    """Errors of the database and the file system as StoreError, with the likely cause."""
    try:
        yield
    except exc.DBAPIError as error:
        raise _store_error(place, error.orig or error) from error
    except exc.SQLAlchemyError as error:
        raise StoreError(f"{place}: {error}") from error
    except sqlite3.Error as error:
        raise _store_error(place, error) from error
    except OSError as error:
        raise StoreError(f"{place} cannot be used: {error.strerror or error}") from error


_CAUSES = (
    (
        "locked",
        "is locked by another program",
        "is another collector or a database tool holding it? End it, then try again",
    ),
    (
        "disk is full",
        "cannot grow: the disk is full",
        "make room; nothing of this step was stored, and it is read again next time",
    ),
    ("readonly", "is read-only", "check the rights of the file and of its folder"),
    ("unable to open", "cannot be opened", "check that the folder exists and may be written"),
    ("not a database", "is no database", "name another file; this one is untouched"),
    ("malformed", "is damaged", "bring it back from a copy; `sqlite3 FILE .recover` saves what can be saved"),
    (
        "disk i/o",
        "cannot be written or read: the disk reports an error",
        "check the disk, its quota and its free space",
    ),
)


def _store_error(place: str, error: BaseException) -> StoreError:
    text = str(error)
    for mark, says, hint in _CAUSES:
        if mark in text.lower():
            return StoreError(f"{place} {says}", hint=hint)
    return StoreError(f"{place}: {text}")
