"""`osgp demo` from end to end: meters, doors, collector, store, pages, as a user starts it."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from osgp.cli.app import run
from osgp.headend.demo import STREET, DemoStreet
from osgp.headend.demo_collection import DemoCollection
from osgp.headend.store import Store
from osgp.web.fleet.service import FleetService
from osgp.web.live import Resting
from osgp.web.server import listen
from osgp.wire.errors import ConfigError


def command(*words: str) -> list[str]:
    return [sys.executable, "-c", "from osgp.cli.main import main; main()", *words]


def test_once_prints_exactly_the_contract(tmp_path: Path) -> None:
    done = subprocess.run(
        command("demo", "--once", "--json", "--meters", "3", "--history", "2", "--data", str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert set(document) == {"devices", "readings", "errors", "seconds"}
    assert (document["devices"], document["errors"]) == (3, 0)
    assert document["readings"] > 3 * 192
    with Store.open(tmp_path / "demo.sqlite", create=False) as store:
        assert store.counts()["devices"] == 3
        assert store.check() == []
        assert {each.last_visit.outcome for each in store.fleet() if each.last_visit} == {"ok"}


def test_without_json_there_is_a_summary(tmp_path: Path) -> None:
    done = subprocess.run(
        command("demo", "--once", "--meters", "1", "--history", "1"), capture_output=True, text=True, timeout=180
    )
    assert done.returncode == 0, done.stderr
    for word in ("house-01", "devices", "readings", "errors", "kWh"):
        assert word in done.stdout
    assert "reading meters" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("--meters", "0"),
        ("--json",),
        ("--once", "--speed", "0"),
        ("--once", "--history", "1000"),
        ("--once", "--meters", "1", "--history", "1000"),
        ("--once", "--meters", "1", "--houses", "2"),
        ("--once", "--houses", "0"),
        ("--once", "--hours", "0.1"),
        ("--once", "--seed", "-1"),
    ],
)
def test_wrong_use_is_told(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(["demo", *words])
    assert ended.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_the_pages_come_up_beside_a_taken_port_and_end_with_ctrl_c(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        running = subprocess.Popen(
            command("demo", "--meters", "1", "--history", "1", "--port", str(port), "--data", str(tmp_path)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert running.stderr is not None
        said = ""
        address = ""
        for line in running.stderr:
            said += line
            if "pages at " in line:
                address = line.split("pages at ")[1].split(",")[0]
                break
        assert f"port {port} is taken" in said
        assert address, said
        with urlopen(f"{address}/api/fleet", timeout=30) as answer:  # our own address
            fleet = json.load(answer)
        assert [row["name"] for row in fleet["devices"]] == ["house-01"]
        running.send_signal(signal.SIGINT)
        out, rest = running.communicate(timeout=60)
    assert running.returncode == 0, rest
    assert "stopped" in rest
    assert "house-01" in out


def test_a_street_once_reads_everything_and_tells_it(tmp_path: Path) -> None:
    done = subprocess.run(
        command("demo", "--once", "--json", "--houses", "5", "--hours", "0.5", "--data", str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert {"devices", "readings", "errors", "seconds"} <= set(document)
    assert (document["devices"], document["errors"], document["exact"]) == (5, 0, True)
    assert document["states"] == {"up": 5}
    assert document["readings"] >= 5 * 6
    again = subprocess.run(
        command("demo", "--once", "--houses", "5", "--data", str(tmp_path)), capture_output=True, text=True, timeout=60
    )
    assert again.returncode != 0
    assert "a street begins with a new journal" in again.stderr


def test_the_street_comes_up_on_its_page_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    running = subprocess.Popen(
        command("demo", "--houses", "3", "--hours", "0.5", "--port", "0", "--data", str(tmp_path)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr is not None
    address = ""
    for line in running.stderr:
        if "pages at " in line:
            address = line.split("pages at ")[1].split(",")[0]
        if "from here on at 60" in line:
            break
    with urlopen(f"{address}/api/street", timeout=30) as answer:  # our own address
        seen = json.load(answer)
    assert seen["states"] == {"up": 3}
    with urlopen(f"{address}/api/street/stream", timeout=30) as stream:
        assert stream.readline()
        running.send_signal(signal.SIGINT)
        stream.read()
    _, rest = running.communicate(timeout=60)
    assert running.returncode == 0, rest
    assert "stopped" in rest
    assert "Traceback" not in rest
    assert (tmp_path / "street.sqlite").exists()


def test_every_kind_of_meter_is_read_through_its_door(tmp_path: Path) -> None:
    async def visit(store: Store) -> list[int]:
        done: list[int] = []
        async with DemoStreet(6, history=2.1) as street:
            collection = DemoCollection(store, street, 60.0)
            summary = await collection.collect(done.append)
            assert summary.errors == 0, [each.last_visit for each in store.fleet()]
            assert dict(collection.activity()) == {}
            assert "6 simulated meters" in collection.note()
        return done

    with Store.open(tmp_path / "s.sqlite") as store:
        assert asyncio.run(visit(store)) == [1, 2, 3, 4, 5, 6]
        rows = {row.name: row for row in FleetService(store, Resting()).rows()}
        for (name, row), kind in zip(rows.items(), STREET):
            assert row.door == kind.door, name
            assert row.energy_import
            assert row.power is not None
            assert row.completeness is not None
            assert row.completeness.percent == 100
        frozen = [name for name, kind in zip(rows, STREET) if kind.frozen]
        assert [name for name, row in rows.items() if "fwd active energy: frozen" in row.flags] == frozen
        children = {reading.name for reading in store.latest("house-03")}
        assert {"mbus[1].volume", "mbus[2].volume", "mbus[3].energy"} <= children


def test_listening_steps_over_a_taken_port_and_refuses_nonsense() -> None:
    first, port = listen("127.0.0.1", 0)
    second, other = listen("127.0.0.1", port)
    assert other > port
    first.close()
    second.close()
    with pytest.raises(ConfigError):
        listen("192.0.2.1", 8080)
    with pytest.raises(ConfigError):
        listen("127.0.0.1", 70000)


def test_serve_needs_a_store_that_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(["serve", str(tmp_path / "none.sqlite")])
    assert ended.value.code == 1
    assert "there is no store" in capsys.readouterr().err
