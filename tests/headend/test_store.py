"""The store: nothing twice, nothing lost, one transaction per step, old files brought up to date."""

from __future__ import annotations

import dataclasses
import datetime as dt
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import inspect

from osgp.headend.store import RawPart, Step, StepReading, Store, ingest, models
from osgp.headend.store.migrate import APPLICATION_ID, migrate, schema_steps
from osgp.tables.logs import LogEntry
from osgp.tables.profile import Profile, channel_of
from osgp.wire.errors import ConfigError, StoreError

START = 1_770_000_300


def profile_of(count: int, *, first: int = 0, channels: int = 3, data_set: int = 1, seed: int = 1) -> Profile:
    """Growing registers, a quarter of an hour apart."""
    rng = np.random.default_rng(seed)
    values = np.cumsum(rng.integers(0, 500, (first + count, channels)), axis=0)[first:].astype("<i4")
    time = (START + 900 * np.arange(first, first + count)).astype("i8").view("M8[s]")
    zeros = np.zeros((count, channels), "u1")
    return Profile(
        data_set,
        900,
        tuple(channel_of(number, number) for number in range(channels)),
        time,
        np.zeros(count, "u1"),
        zeros,
        values,
        np.ones(count, bool),
    )


def entry(number: int, raw: bytes = b"", when: int = START) -> LogEntry:
    moment = dt.datetime.fromtimestamp(when, dt.UTC)
    return LogEntry(number, moment, "BT74", None, f"event {number}", raw or number.to_bytes(4, "little"))


def whole_step(wall: float = 5.0) -> Step:
    """A step with something of every kind."""
    return Step(
        wall,
        START,
        "optical",
        raws=[RawPart(23, 0, b"abc", True), RawPart(28, 4, b"\x00\x01")],
        readings=[
            StepReading("fwd_active_energy", 1234567890123, "Wh"),
            StepReading("voltage_l1", 231.4, "V", 16),
            StepReading("serial_number", "00012345"),
        ],
        profiles=[profile_of(10)],
        events=[entry(7), entry(8)],
        facts={"serial": "00012345", "dimensions": {21: b"\x01\x02"}, "configuration": "0a"},
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store.sqlite") as opened:
        yield opened


@pytest.fixture
def house(store: Store) -> int:
    return store.add_device("house", "optical:///dev/ttyUSB0", door="optical", wall=1.0)


def content(path: Path | str, *tables: str) -> dict[str, list[Any]]:
    """All rows, for comparison."""
    with sqlite3.connect(path) as connection:
        return {name: sorted(map(repr, connection.execute(f"SELECT * FROM {name}"))) for name in tables}


ALL = ("device", "raw", "reading", "profile_channel", "profile_interval", "event")


# --- nothing twice


def test_a_step_comes_back_as_it_went_in(store: Store, house: int) -> None:
    kept = store.keep(house, whole_step())
    assert (kept.raws, kept.readings, kept.intervals, kept.events, kept.flagged) == (2, 3, 10, 2, 1)
    values = {each.name: (each.value, each.unit, each.flags) for each in store.latest("house")}
    assert values["fwd_active_energy"] == (1234567890123, "Wh", 0)
    assert values["voltage_l1"] == (231.4, "V", 16)
    assert values["serial_number"] == ("00012345", "", 0)
    found = store.profile("house")
    given = profile_of(10)
    assert found.channels == given.channels
    assert found.interval_s == 900
    assert (found.values == given.values).all()
    assert (found.time == given.time).all()
    assert [each.sequence for each in store.events("house", "BT74")] == [8, 7]
    assert [(each.name, each.content) for each in store.raw_tables("house")] == [("BT23", b"abc")]
    assert store.device("house").dimensions == {21: b"\x01\x02"}
    assert store.check() == []


def test_repeated_delivery_changes_nothing(store: Store, house: int) -> None:
    store.keep(house, whole_step())
    before = content(store.place, *ALL)
    again = store.keep(house, whole_step())
    assert dataclasses.astuple(again) == (0,) * len(dataclasses.fields(again))
    assert content(store.place, *ALL) == before


def test_the_same_register_at_another_time_is_another_reading(store: Store, house: int) -> None:
    store.keep(house, Step(1.0, START, readings=[StepReading("fwd_active_energy", 5, "Wh")]))
    store.keep(house, Step(2.0, START + 60, readings=[StepReading("fwd_active_energy", 5, "Wh")]))
    assert [each.time for each in store.readings("house", "fwd_active_energy")] == [START, START + 60]


def test_two_values_at_one_meter_time_are_both_kept(store: Store, house: int) -> None:
    """A meter clock that is set back lives a moment twice."""
    store.keep(house, Step(1.0, START, readings=[StepReading("fwd_active_energy", 5, "Wh")]))
    store.keep(house, Step(9.0, START, readings=[StepReading("fwd_active_energy", 6, "Wh")]))
    assert [each.value for each in store.readings("house")] == [5, 6]
    assert [each.value for each in store.latest("house")] == [6]


@given(pieces=st.lists(st.tuples(st.integers(0, 50), st.integers(1, 40)), min_size=1, max_size=5))
def test_overlapping_pieces_make_one_profile(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[tuple[int, int]]
) -> None:
    whole = profile_of(100)
    with Store.open(tmp_path_factory.mktemp("pieces") / "store.sqlite") as store:
        device = store.add_device("house", "image:x")
        expected: set[int] = set()
        for first, count in pieces:
            kept = store.keep(device, Step(0.0, 0, profiles=[whole.select(slice(first, first + count))]))
            fresh = set(range(first, first + count))
            assert kept.intervals == len(fresh - expected)
            assert kept.conflicts == 0
            expected |= fresh
        places = sorted(expected)
        found = store.profile("house")
        assert found.epochs() == [START + 900 * place for place in places]
        assert (found.values == whole.values[places]).all()


@pytest.mark.parametrize("channels", [1, 2, 8, 15, 16])
@pytest.mark.parametrize("count", [1, 31, 32, 33, 96])
def test_every_width_and_length_round_trips(store: Store, house: int, channels: int, count: int) -> None:
    given = profile_of(count, channels=channels)
    rng = np.random.default_rng(channels)
    given.status[:] = rng.integers(0, 15, given.status.shape)
    given.common[:] = rng.integers(0, 16, count)
    given.values[:] = rng.integers(-(2**31), 2**31, given.values.shape)
    store.keep(house, Step(0.0, 0, profiles=[given]))
    found = store.profile("house")
    assert (found.values == given.values).all()
    assert (found.status == given.status).all()
    assert (found.common == given.common).all()


def test_seventeen_channels_are_refused_whole(store: Store, house: int) -> None:
    with pytest.raises(StoreError, match="17 channels"):
        store.keep(house, Step(0.0, 0, raws=[RawPart(64, 0, b"x")], profiles=[profile_of(2, channels=17)]))
    assert store.raw("house") == []


def test_intervals_that_were_never_processed_are_not_stored(store: Store, house: int) -> None:
    given = profile_of(5)
    given.valid[2] = False
    assert store.keep(house, Step(0.0, 0, profiles=[given])).intervals == 4
    assert len(store.profile("house").gaps()) == 1


def test_placeholders_are_completed_and_not_passed_over(store: Store, house: int) -> None:
    given = profile_of(6)
    given.status[3:5, 1] = 15
    store.keep(house, Step(0.0, 0, profiles=[given]))
    assert store.resume_from("house") == START + 2 * 900
    given.status[3:5, 1] = 0
    given.values[3:5, 1] = 4711
    kept = store.keep(house, Step(0.0, 0, profiles=[given]))
    assert (kept.intervals, kept.completed, kept.conflicts) == (0, 2, 0)
    assert store.profile("house").values[3, 1] == 4711
    assert store.resume_from("house") == START + 5 * 900


def test_an_m_bus_device_that_never_answers_does_not_hold_up_the_rest(store: Store, house: int) -> None:
    given = profile_of(8 * 96)
    given.status[10, 1] = 15
    store.keep(house, Step(0.0, 0, profiles=[given]))
    assert store.resume_from("house") == given.epochs()[-1]


def test_a_first_interval_that_waits_is_read_again(store: Store, house: int) -> None:
    given = profile_of(3)
    given.status[0, 0] = 15
    store.keep(house, Step(0.0, 0, profiles=[given]))
    resumed = store.resume_from("house")
    assert resumed is not None
    assert resumed < START


def test_a_wild_date_does_not_end_the_collection(store: Store, house: int) -> None:
    """A clock that once stood in the far future leaves intervals there; reading goes on from the last sensible one."""
    store.keep(house, Step(0.0, 0, profiles=[profile_of(4)]))
    store.keep(house, Step(0.0, 0, profiles=[profile_of(1, first=1_000_000)]))
    assert store.resume_from("house", until=START + 5 * 900) == START + 3 * 900


def test_other_contents_for_a_stored_interval_are_counted_and_the_first_stays(store: Store, house: int) -> None:
    visit = store.begin_visit(house, 1.0)
    first = profile_of(4)
    store.keep(house, Step(0.0, 0, profiles=[first]), visit=visit)
    other = profile_of(4, seed=2)
    kept = store.keep(house, Step(0.0, 0, profiles=[other]), visit=visit)
    assert (kept.intervals, kept.conflicts) == (0, 4)
    assert (store.profile("house").values == first.values).all()
    assert store.visits("house")[0].conflicts == 4


def test_a_change_of_channels_makes_two_profiles(store: Store, house: int) -> None:
    store.keep(house, Step(0.0, 0, profiles=[profile_of(5)]))
    store.keep(house, Step(0.0, 0, profiles=[profile_of(5, first=5, channels=2)]))
    early, late = store.profiles("house")
    assert (len(early.channels), len(early), len(late.channels), len(late)) == (3, 5, 2, 5)
    assert len(store.profile("house")) == 5
    assert store.data_sets("house") == [1]


def test_since_and_until_are_half_open_like_the_reader_of_the_device(store: Store, house: int) -> None:
    store.keep(house, Step(0.0, 0, profiles=[profile_of(10)]))
    part = store.profile("house", since=START + 900, until=START + 4 * 900)
    assert part.epochs() == [START + 900 * place for place in (2, 3, 4)]


def test_log_entries_are_known_by_number_time_and_bytes(store: Store, house: int) -> None:
    store.keep(house, Step(0.0, 0, events=[entry(1), entry(2)]))
    kept = store.keep(house, Step(0.0, 0, events=[entry(2), entry(3), entry(1, b"after the log was cleared")]))
    assert kept.events == 2
    assert len(store.events("house")) == 4
    assert [each.sequence for each in store.events("house", last=1)] == [3]


# --- nothing lost, nothing half


def test_a_step_is_stored_wholly_or_not_at_all(store: Store, house: int, monkeypatch: pytest.MonkeyPatch) -> None:
    visit = store.begin_visit(house, 1.0)
    before = content(store.place, *ALL, "visit")

    def broken(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(ingest, "keep_channels", broken)
    with pytest.raises(StoreError, match="disk"):
        store.keep(house, whole_step(), visit=visit)
    assert content(store.place, *ALL, "visit") == before
    monkeypatch.undo()
    assert store.keep(house, whole_step(), visit=visit).intervals == 10
    assert store.visits("house")[0].intervals == 10


def test_what_keep_returned_for_is_on_the_disk(store: Store, house: int) -> None:
    with store.reading() as session:
        connection = session.connection()
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_a_full_disk_is_told_and_leaves_the_store_as_it_was(store: Store, house: int) -> None:
    store.keep(house, whole_step())
    before = content(store.place, *ALL)
    with store.reading() as session:
        driver = session.connection().connection.driver_connection
        assert driver is not None
        pages = driver.execute("PRAGMA page_count").fetchone()[0]
        driver.execute(f"PRAGMA max_page_count = {pages + 2}")
        session.rollback()
        session.close()
    with pytest.raises(StoreError, match="full") as caught:
        store.keep(house, Step(9.0, START + 9, raws=[RawPart(64, 0, bytes(200_000))]))
    assert "make room" in caught.value.hint
    assert content(store.place, *ALL) == before
    assert store.check() == []


def test_a_locked_store_is_told(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with Store.open(path, busy_s=0.05) as store:
        house = store.add_device("house", "image:x")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked") as caught:
            store.keep(house, whole_step())
        assert "another" in caught.value.hint
        assert store.latest("house") == []  # readers go on
        other.execute("ROLLBACK")
        other.close()
        assert store.keep(house, whole_step()).readings == 3


def test_two_writers_on_one_file_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    failures: list[BaseException] = []

    def work(name: str) -> None:
        try:
            with Store.open(path) as store:
                shared, own = store.add_device("shared", "image:x"), store.add_device(name, "image:x")
                for number in range(30):
                    step = Step(float(number), START + number, readings=[StepReading("n", number)])
                    step.profiles = [profile_of(20, first=number)]
                    store.keep(shared, step)
                    store.keep(own, step)
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    with Store.open(path) as store:
        assert store.check() == []
        for name in ("shared", "a", "b"):
            assert [each.value for each in store.readings(name)] == list(range(30))
            assert (store.profile(name).values == profile_of(49).values).all()


# --- opened by several at once


def _open_and_call_before(path: Path, statement: int, other: Callable[[], None]) -> int:
    """Open the store and call ``other`` before a statement of the opening; returns how many statements there were."""
    connect, count = sqlite3.connect, 0

    def started(_sql: str) -> None:
        nonlocal count
        count += 1
        if count == statement + 1:
            other()

    def watched(*args: Any, **named: Any) -> sqlite3.Connection:
        patch.undo()  # the opening only, not what ``other`` opens
        connection: sqlite3.Connection = connect(*args, **named)
        connection.set_trace_callback(started)
        return connection

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", watched)
        with Store.open(path) as store:
            assert store.check() == []
            store.add_device("house", "image:x")
    return count


def test_a_store_that_another_makes_meanwhile_is_no_strange_database(tmp_path: Path) -> None:
    """Whichever statement of the opening the other comes before, it has made the store then or has waited in vain."""
    statements = _open_and_call_before(tmp_path / "alone.sqlite", -1, lambda: None)
    assert statements > 20
    outcomes: list[str] = []

    def other() -> None:
        try:
            with Store.open(path, busy_s=0.01) as store:
                store.add_device("barn", "image:y")
            outcomes.append("made")
        except BaseException as error:  # a trace callback swallows it
            outcomes.append(str(error).removeprefix(f"{path} "))

    for statement in range(statements):
        path = tmp_path / f"{statement}.sqlite"
        _open_and_call_before(path, statement, other)
    assert len(outcomes) == statements
    assert set(outcomes) == {"made", "is locked by another program"}


def test_the_switch_to_wal_waits_for_a_writer(tmp_path: Path) -> None:
    """Between the schema and WAL, another process may write: SQLite alone would not wait for it here."""
    path = tmp_path / "store.sqlite"
    writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    migrate(writer, "s")
    writer.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked"):
        Store.open(path, busy_s=0.05)
    ends = threading.Timer(0.2, writer.execute, ("COMMIT",))
    ends.start()
    with Store.open(path) as store, store.reading() as session:
        assert session.connection().exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    ends.join()
    writer.close()


def test_many_open_one_new_file_at_once(tmp_path: Path) -> None:
    together = threading.Barrier(8)

    def work(name: str) -> int:
        together.wait()
        with Store.open(path) as store:
            return store.add_device(name, "image:x")

    with ThreadPoolExecutor(together.parties) as pool:
        for number in range(20):
            path = tmp_path / f"{number}.sqlite"
            assert sorted(pool.map(work, "abcdefgh")) == list(range(1, 9))


# --- visits and the fleet


def test_a_fleet_tells_how_the_collection_goes(store: Store, house: int) -> None:
    other = store.add_device("barn", "mep+tls+tcp://h:1", door="mep")
    visit = store.begin_visit(house, 100.0, collector="c")
    store.keep(house, whole_step(), visit=visit)
    store.end_visit(visit, 110.0, "ok", clock_deviation=-3.5)
    for start in (200.0, 300.0):
        store.end_visit(store.begin_visit(house, start, collector="c"), start + 1, "failed", error="silence", hint="h")
    barn, first = store.fleet()
    assert (barn.device.id, barn.last_visit, barn.readings) == (other, None, 0)
    assert first.last_visit is not None
    assert (first.last_visit.outcome, first.failures, first.last_ok) == ("failed", 2, 110.0)
    assert (first.readings, first.intervals, first.events) == (3, 10, 2)
    assert first.newest_interval == START + 9 * 900
    assert store.visits("house")[-1].clock_deviation == -3.5
    assert store.counts()["devices"] == 2


def test_a_visit_that_never_ended_is_seen_at_the_next(store: Store, house: int) -> None:
    store.begin_visit(house, 1.0, collector="mine")
    store.begin_visit(house, 2.0, collector="theirs")
    store.begin_visit(house, 3.0, collector="mine")
    assert [each.outcome for each in store.visits("house")] == ["running", "running", "interrupted"]


def test_the_configuration_version_counts_changes(store: Store, house: int) -> None:
    for marks in ("0a", "0a", "0b", "0a"):
        store.keep(house, Step(0.0, 0, facts={"configuration": marks}))
    assert store.device("house").configuration_version == 3


def test_an_unknown_device_is_told_with_those_that_exist(store: Store, house: int) -> None:
    with pytest.raises(StoreError, match="no device 'hose'") as caught:
        store.latest("hose")
    assert "house" in caught.value.hint


# --- files


def test_models_and_schema_say_the_same(store: Store) -> None:
    found = inspect(store.engine)
    assert set(found.get_table_names()) == set(models.Base.metadata.tables)
    for name, table in models.Base.metadata.tables.items():
        columns = {column["name"]: column for column in found.get_columns(name)}
        assert set(columns) == set(table.columns.keys()), name
        for column in table.columns:
            if not column.primary_key:
                assert columns[column.name]["nullable"] == column.nullable, f"{name}.{column.name}"
        assert set(found.get_pk_constraint(name)["constrained_columns"]) == {each.name for each in table.primary_key}


def test_an_old_store_is_brought_up_to_date_with_all_it_holds(tmp_path: Path, repository: Path) -> None:
    path = tmp_path / "old.sqlite"
    with sqlite3.connect(path) as connection:
        connection.executescript((repository / "tests" / "databases" / "store-0001.sql").read_text("utf-8"))
    with Store.open(path) as store:
        assert store.check() == []
        assert store.counts() == {
            "devices": 1,
            "visits": 1,
            "raws": 1,
            "readings": 2,
            "intervals": 3,
            "events": 1,
        }
        assert store.device("house 7").dimensions == {21: b"\x0a"}
        visit = store.visits("house 7")[0]
        assert (visit.outcome, visit.conflicts, visit.clock_deviation) == ("ok", 0, None)
        assert store.profile("house 7").values[:, 0].tolist() == [123400, 123401, 123402]
        assert store.resume_from("house 7") == 1769999100 + 900
        store.keep(1, whole_step())


def test_every_kept_old_store_can_be_opened(tmp_path: Path, repository: Path) -> None:
    """Each schema step but the last has a store that was written by it."""
    kept = sorted((repository / "tests" / "databases").glob("store-*.sql"))
    assert [path.name for path in kept] == [f"store-{step.number:04d}.sql" for step in schema_steps()[:-1]]


def test_migration_is_done_once(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "s.sqlite", isolation_level=None)
    assert migrate(connection, "s", upto=1) == 1
    assert migrate(connection, "s") == len(schema_steps()) - 1
    assert migrate(connection, "s") == 0
    connection.close()


def test_a_failed_migration_leaves_the_old_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from osgp.headend.store import migrate as module

    connection = sqlite3.connect(tmp_path / "s.sqlite", isolation_level=None)
    migrate(connection, "s", upto=1)
    broken = [*schema_steps()]
    broken[1] = dataclasses.replace(broken[1], sql=broken[1].sql + "\nINSERT INTO nowhere VALUES (1);\n")
    monkeypatch.setattr(module, "schema_steps", lambda: broken)
    with pytest.raises(sqlite3.OperationalError):
        migrate(connection, "s")
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    assert "collector" not in [row[1] for row in connection.execute("PRAGMA table_info(visit)")]
    connection.close()


def test_a_newer_store_and_a_strange_database_are_left_alone(tmp_path: Path) -> None:
    newer, strange, text = tmp_path / "newer.sqlite", tmp_path / "strange.sqlite", tmp_path / "notes.txt"
    with sqlite3.connect(newer) as connection:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 99")
    with sqlite3.connect(strange) as connection:
        connection.execute("CREATE TABLE mine (x)")
    text.write_text("no database at all, but long enough to look at\n" * 50)
    for path, says in ((newer, "newer"), (strange, "not a store"), (text, "no database")):
        before = path.read_bytes()
        with pytest.raises(StoreError, match=says) as caught:
            Store.open(path)
        assert caught.value.hint
        assert path.read_bytes() == before


def test_other_back_ends_are_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="postgresql"):
        Store.open("postgresql://host/osgp")
    with pytest.raises(StoreError, match="no store"):
        Store.open(tmp_path / "none.sqlite", create=False)
    with Store.open(f"sqlite:///{tmp_path / 'url.sqlite'}") as store:
        assert store.devices() == []


def test_no_key_has_a_place_in_the_schema() -> None:
    words = " ".join(column.name for table in models.Base.metadata.tables.values() for column in table.columns)
    assert "password" not in words
    assert not any(column.name == "key" for column in models.Device.__table__.columns)
