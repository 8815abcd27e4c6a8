"""The journal: nothing twice, nothing lost at any kill, damage found and told."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from osgp.app.memory import Memory, StorageError
from osgp.concentrator.journal import Journal, RawPart, Step, StepReading
from osgp.tables.channels import Channel
from osgp.tables.profile import Profile
from osgp.wire.errors import StoreError

UID = bytes.fromhex("070000000001")
CHANNEL = Channel(0, 1, "energy", "energy")


def profile(first: int, count: int) -> Profile:
    times = [900 * (first + place) for place in range(count)]
    return Profile(
        1,
        900,
        (CHANNEL,),
        times,
        [0] * count,
        [[0]] * count,
        [[7 * (first + place)] for place in range(count)],
        [True] * count,
    )


def step(device: int, time: int = 100, *, value: int = 5, intervals: int = 3) -> Step:
    return Step(
        device,
        time,
        float(time),
        raws=[RawPart(23, 0, bytes([value] * 40))],
        readings=[StepReading("fwd_active_energy", value, "Wh")],
        profiles=[profile(time, intervals)],
        marks={"profile 1": str(900 * (time + intervals - 1))},
    )


def test_it_is_a_memory_for_counters_that_outlives_its_object(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.sqlite") as journal:
        memory: Memory = journal
        assert memory.load("device 1 seq") is None
        memory.save({"device 1 seq": b"\0\0\1\0", "kb": b"\1"})
        memory.save({"device 1 seq": b"\0\0\2\0"})
    with Journal(tmp_path / "j.sqlite") as journal:
        assert journal.load("device 1 seq") == b"\0\0\2\0"
        assert journal.load("kb") == b"\1"
        assert not journal.counters_in_doubt


def test_counters_are_durable_before_save_returns(tmp_path: Path) -> None:
    with Journal(tmp_path / "j.sqlite") as journal:
        assert journal._rows("PRAGMA synchronous") == [(2,)]
        assert journal._rows("PRAGMA journal_mode") == [("wal",)]
        with journal.batch(), pytest.raises(StorageError):
            journal.save({"x": b"1"})


def test_a_step_kept_twice_adds_nothing() -> None:
    journal = Journal()
    device = journal.add_device(UID, 0.0, name="kitchen", key="vault:kitchen/UMK")
    first = journal.keep(step(device))
    assert (first.raws, first.readings, first.intervals) == (1, 1, 3)
    assert journal.keep(step(device)).total == 0
    assert journal.keep(step(device, value=6)).readings == 1, "another value is another reading"
    overlapping = step(device, 102)
    assert journal.keep(overlapping).intervals == 2
    assert [row[0] for row in journal.intervals(device)] == [900 * place for place in range(100, 105)]


def test_a_device_is_brought_up_to_date_and_never_doubled() -> None:
    journal = Journal()
    number = journal.add_device(UID, 0.0, name="kitchen", subnet=1, node=5)
    assert journal.add_device(UID, 1.0, key="vault:kitchen/UMK") == number
    [row] = journal.devices()
    assert (row.name, row.key, row.subnet, row.node) == ("kitchen", "vault:kitchen/UMK", 1, 5)
    journal.place_device(number, 2, 7)
    assert journal.devices()[0].node == 7


def test_a_batch_is_all_or_nothing() -> None:
    journal = Journal()
    device = journal.add_device(UID, 0.0)

    def break_off() -> None:
        with journal.batch():
            journal.keep(step(device))
            journal.note("test", "inside", 0.0)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    assert journal.counts()["raw"] == journal.counts()["notice"] == 0
    with journal.batch():
        journal.keep(step(device))
        journal.put("link 1", {"margin": 12})
    assert journal.get("link 1") == {"margin": 12}


def test_small_values_notices_and_quota_uses_come_back() -> None:
    journal = Journal()
    journal.put_all({"link a": [1, 2], "link b": 3, "state": None})
    assert journal.get_all("link ") == {"link a": [1, 2], "link b": 3}
    journal.put("link b", None)
    assert journal.get("link b", "gone") == "gone"
    numbers = [journal.note("alarm", f"number {place}", float(place), device=1) for place in range(5)]
    assert [each.text for each in journal.notices(after=numbers[1], last=2)] == ["number 3", "number 4"]
    for wall in (1.0, 2.0, 3.0):
        journal.use("contactor-open", int(wall), wall)
    assert journal.uses("contactor-open", 1.0) == [2.0, 3.0]
    assert journal.uses("contactor-open", 0.0, device=3) == [3.0]
    journal.forget_uses(3.0)
    assert journal.uses("contactor-open", 0.0) == [3.0]


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    with pytest.raises(StoreError, match="something else"):
        Journal(path)
    newer = tmp_path / "newer.sqlite"
    Journal(newer).close()
    with sqlite3.connect(newer) as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(StoreError, match="newer"):
        Journal(newer)


def filled(path: Path, count: int = 200) -> int:
    """A journal with many rows; the number of its device."""
    with Journal(path) as journal:
        device = journal.add_device(UID, 0.0, name="kitchen")
        with journal.batch():
            for number in range(count):
                journal.keep(step(device, 1000 + 10 * number, value=number % 200, intervals=5))
        journal.save({"device 1 seq": b"\0\0\2\0"})
        journal.add_job("read", 1, {"names": ["x"]}, [device], 0.0)
        journal._execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return device


def damage(path: Path, page: int, random: Random) -> None:
    content = bytearray(path.read_bytes())
    content[4096 * page : 4096 * (page + 1)] = random.randbytes(4096)
    path.write_bytes(content)


def test_a_damaged_page_is_found_told_and_what_is_sound_is_saved(tmp_path: Path) -> None:
    whole = tmp_path / "whole.sqlite"
    device = filled(whole)
    pages = whole.stat().st_size // 4096
    assert pages > 30
    with Journal(whole) as journal:
        sound = {row[0] for row in journal.intervals(device)}
    whole_file = whole.read_bytes()
    repaired = 0
    for page in range(0, pages, 3):
        path = tmp_path / f"page-{page}" / "j.sqlite"
        path.parent.mkdir()
        shutil.copy(whole, path)
        damage(path, page, Random(page))
        hurt = path.read_bytes()
        with Journal(path, wall=77.0) as journal:
            notices = journal.notices(kind="journal")
            if not notices:
                assert journal.counts()["profile_interval"] == 1000, "a page that nobody uses"
                continue
            repaired += 1
            [notice] = notices
            assert notice.severity == "critical"
            kept = path.with_name(notice.detail["file"])
            assert kept.read_bytes()[:1024] == hurt[:1024] or kept.exists()
            assert kept.stat().st_size == len(whole_file)
            assert journal.counters_in_doubt
            assert journal.mark(device, "profile 1") is None, "all that the meter holds is read again"
            assert {row[0] for row in journal.intervals(device)} <= sound
            again = journal.add_device(UID, 0.0)
            for number in range(200):
                journal.keep(step(again, 1000 + 10 * number, value=number % 200, intervals=5))
            assert {row[0] for row in journal.intervals(again)} == sound
            assert len(journal.intervals(again)) == len(sound)
            journal.trust_counters()
        with Journal(path) as journal:
            assert not journal.counters_in_doubt
            assert len(journal.notices(kind="journal")) == 1, "repaired once"
    assert repaired > pages // 6


def leaves(content: bytes, page_size: int, number: int) -> list[int]:
    """Numbers of the leaf pages below a page, after SQLite's file format (1.6, b-tree pages). Not for page 1, which has a head."""
    page = content[(number - 1) * page_size : number * page_size]
    if page[0] not in (0x02, 0x05):
        return [number]
    cells = [int.from_bytes(page[12 + 2 * n : 14 + 2 * n], "big") for n in range(int.from_bytes(page[3:5], "big"))]
    children = [int.from_bytes(page[cell : cell + 4], "big") for cell in (*cells, 8)]
    return [leaf for child in children for leaf in leaves(content, page_size, child)]


def test_one_damaged_page_of_readings_costs_few_rows(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    filled(path, 1000)
    with sqlite3.connect(path) as connection:
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'profile_interval'").fetchone()
    connection.close()
    pages = leaves(path.read_bytes(), size, root)
    damage(path, pages[len(pages) // 2] - 1, Random(3))
    with Journal(path) as journal:
        [notice] = journal.notices(kind="journal")
        assert 0 < notice.detail["lost"]["profile_interval"] < 200
        assert journal.counts()["profile_interval"] > 4700
        assert journal.load("device 1 seq") == b"\0\0\2\0"
        assert journal.counts()["job"] == 1


def test_a_page_damaged_while_the_journal_is_open_is_repaired_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    device = filled(path)
    journal = Journal(path)
    journal._connection.execute("PRAGMA cache_size=1")
    for page in range(5, path.stat().st_size // 4096, 2):
        damage(path, page, Random(page))
    journal._connection.close()
    journal._connection = sqlite3.connect(path, isolation_level=None)  # nothing in memory, and nobody checked
    found = journal.intervals(device)
    assert len(found) < 1000
    [notice] = journal.notices(kind="journal")
    assert notice.detail["lost"]
    assert journal.keep(step(journal.add_device(UID, 0.0), 1)).total
    journal.close()


def test_a_counter_that_is_not_what_was_written_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    filled(path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE counter SET value = x'00000000'")
    connection.close()
    with Journal(path) as journal:
        assert journal.counters_in_doubt
        assert journal.load("device 1 seq") is None
        assert journal.notices(kind="journal")[0].detail["lost"]["counter"] == 1


def test_a_file_of_which_nothing_can_be_read_is_kept_and_a_new_one_begun(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    path.write_bytes(Random(1).randbytes(40_000))
    with Journal(path) as journal:
        assert journal.counts()["raw"] == 0
        assert journal.counters_in_doubt
    assert (tmp_path / "j.sqlite.damaged-1").stat().st_size == 40_000


class Killed(BaseException):
    """The process ends here."""


def test_a_repair_that_is_killed_is_done_at_the_next_start(tmp_path: Path) -> None:
    whole = tmp_path / "whole.sqlite"
    device = filled(whole)
    for point in ("aside", "before", "after", "rebuilt"):
        path = tmp_path / point / "j.sqlite"
        path.parent.mkdir()
        shutil.copy(whole, path)
        damage(path, 8, Random(8))

        def kill(now: str, point: str = point) -> None:
            if now == point:
                raise Killed

        with suppress(Killed):
            Journal(path, saved=kill).close()
        with Journal(path) as journal:
            assert len(journal.notices(kind="journal")) == 1
            assert journal.counters_in_doubt
            assert len(journal.intervals(device)) > 800


def test_what_is_saved_when_the_process_is_killed_at_any_point_is_whole_steps(tmp_path: Path) -> None:
    """A copy of the files at every save point is what a kill there would leave."""
    path = tmp_path / "j.sqlite"
    copies: list[tuple[str, Path]] = []

    def copy(point: str) -> None:
        folder = tmp_path / f"copy-{len(copies)}"
        folder.mkdir()
        for each in tmp_path.glob("j.sqlite*"):
            shutil.copy(each, folder / each.name)
        copies.append((point, folder / "j.sqlite"))

    with Journal(path, saved=copy) as journal:
        device = journal.add_device(UID, 0.0)
        for number in range(6):
            journal.keep(step(device, 1000 + 10 * number))
            journal.save({"counter": bytes([number])})
    before = -1
    for point, place in copies[2:]:
        with Journal(place) as journal:
            intervals, readings = len(journal.intervals(device)), len(journal.readings(device))
            assert intervals == 3 * readings, "a step is kept whole or not at all"
            counter = journal.load("counter")
            done = 2 * readings + (counter[0] + 1 if counter else 0) - readings
            assert done >= before
            if point == "after":
                before = done
    assert before == 12
