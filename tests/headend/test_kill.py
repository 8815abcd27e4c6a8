"""``kill -9`` of the collector at random moments: the store is consistent, nothing stored is lost, nothing is there twice.

The meters are saved images of simulated ones, so that every round reads the same and the end can be compared with that of a
collector that nobody disturbed.
"""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import pytest

from osgp.headend.store import Store
from osgp.sim.device import SimulatedDevice

KINDS = ("1ph", "3ph", "mbus")

CONTENT = {
    # What a row is, without the moment of its collection and without numbers that count rows.
    "device": "name, address, door, serial, model, firmware, dimensions, configuration",
    "raw": 'device_id, table_number, "offset", time, digest, content',
    "reading": "device_id, name, time, value, unit",
    "profile_channel": "*",
    "profile_interval": "*",
    "event": "device_id, log, sequence, time, digest, code, argument, text, fields, raw",
}


Content = dict[str, set[tuple[object, ...]]]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three meters with some days behind them."""
    folder = tmp_path_factory.mktemp("images")
    made = []
    for index, kind in enumerate(KINDS):
        device = SimulatedDevice(kind, seed=5, index=index, start=datetime(2026, 3, 10, 12, 7, tzinfo=UTC), history=4)
        device.advance(1.0)
        for number in list(device.meter.image):
            device.meter.views.refresh(number)
        path = folder / f"{kind}.json"
        path.write_text(json.dumps({"tables": device.meter.image.to_json()}))
        made.append(path)
    return made


def configuration(folder: Path, images: list[Path]) -> Path:
    folder.mkdir(exist_ok=True)
    text = 'store = "store.sqlite"\nretries = 0\n[collection]\nprofiles = [1, 2]\nlogs = ["BT74", "BT26"]\n'
    for path in images:
        text += f'[[device]]\nname = "{path.stem}"\naddress = "image:{path}"\n'
    config = folder / "collect.toml"
    config.write_text(text)
    return config


@contextmanager
def victim(config: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.headend.victim", str(config)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent.parent,
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(60) == 0


def round_of(process: subprocess.Popen[str], how: str) -> int:
    """One round: killed after that many seconds, or ``whole``. Returns its exit status (-9: it was killed)."""
    line_in: IO[str] | None = process.stdin
    line_out: IO[str] | None = process.stdout
    assert line_in is not None
    assert line_out is not None
    line_in.write(how + "\n")
    line_in.flush()
    return int(line_out.readline())


def content(folder: Path) -> Content:
    """All rows as sets, after the file was found to be in order and no row to be there twice."""
    with Store.open(folder / "store.sqlite") as store:
        assert store.check() == []
    found = {}
    with sqlite3.connect(folder / "store.sqlite") as connection:
        names = dict(connection.execute("SELECT id, name FROM device"))
        for table, columns in CONTENT.items():
            rows = connection.execute(f"SELECT {columns} FROM {table}").fetchall()
            if table != "device":
                # Devices are numbered in the order in which they came to the store first.
                rows = [(names[row[0]], *row[1:]) for row in rows]
            assert len(set(rows)) == len(rows), f"{table} holds a row twice"
            found[table] = set(rows)
        visits = connection.execute("SELECT outcome, raws, readings, intervals, events FROM visit").fetchall()
        for place, table in enumerate(("raw", "reading", "profile_interval", "event"), 1):
            # What a visit says that it stored is there: both are one transaction.
            assert sum(visit[place] for visit in visits) == len(found[table]), table
    return found


def covered(rows: set[tuple[object, ...]]) -> set[tuple[object, object, int, int]]:
    """(device, table, place, byte) of raw rows. Which reads there were depends on what was known before, the bytes do not."""
    found: set[tuple[object, object, int, int]] = set()
    for device, table, offset, *_, raw in rows:
        assert isinstance(offset, int)
        assert isinstance(raw, bytes)
        found.update((device, table, place, byte) for place, byte in enumerate(raw, offset))
    return found


def assert_same(found: Content, expected: Content) -> None:
    """The same rows; of raw bytes, all that the other has and none that differs."""
    for table in ("device", "reading", "profile_channel", "profile_interval", "event"):
        assert found[table] == expected[table], table
    mine, theirs = covered(found["raw"]), covered(expected["raw"])
    assert theirs <= mine
    places = {each[:3] for each in mine}
    assert len(places) == len(mine), "two different bytes at one place of a device that stands still"


def kill_many_times(tmp_path: Path, images: list[Path], times: int, seed: int) -> None:
    rng = random.Random(seed)
    calm, stormy = tmp_path / "calm", tmp_path / "stormy"
    with victim(configuration(calm, images)) as process:
        began = time.monotonic()
        assert round_of(process, "whole") == 0
        took = time.monotonic() - began
    undisturbed = content(calm)
    assert all(undisturbed.values()), "nothing to lose"
    killed = 0
    before: Content = {table: set() for table in CONTENT if table != "device"}
    with victim(configuration(stormy, images)) as process:
        for number in range(10 * times):
            # Many rounds begin on an empty store: else most would only find that all is there, and be quick about it.
            if number % 3 == 0:
                for path in stormy.glob("store.sqlite*"):
                    path.unlink()
                before = {table: set() for table in before}
            killed += round_of(process, f"{rng.uniform(0.01, took if number % 3 == 0 else took / 3):.6f}") == -9
            after = content(stormy)
            for table, rows in before.items():
                assert rows <= after[table], f"{table} lost rows"
                before[table] = after[table]
            for table in before.keys() - {"raw"}:
                assert after[table] <= undisturbed[table], f"{table} holds what no collector reads"
            if killed == times:
                break
        assert round_of(process, "whole") == 0
    assert_same(content(stormy), undisturbed)
    assert killed == times, "the collector was too quick to be killed"


def test_kill_9_now_and_then(tmp_path: Path, images: list[Path]) -> None:
    kill_many_times(tmp_path, images, 5, seed=9)


@pytest.mark.long
def test_kill_9_fifty_times(tmp_path: Path, images: list[Path]) -> None:
    kill_many_times(tmp_path, images, 50, seed=50)


def test_two_collectors_on_one_store(tmp_path: Path, images: list[Path]) -> None:
    """At once, in two processes: the store ends as if one of them had been alone."""
    calm, shared = tmp_path / "calm", tmp_path / "shared"
    with victim(configuration(calm, images)) as process:
        assert round_of(process, "whole") == 0
    config = configuration(shared, images)
    with victim(config) as first, victim(config) as second:
        for process in (first, second):
            assert process.stdin is not None
            process.stdin.write("whole\n")
            process.stdin.flush()
        for process in (first, second):
            assert process.stdout is not None
            assert int(process.stdout.readline()) == 0
    assert_same(content(shared), content(calm))
