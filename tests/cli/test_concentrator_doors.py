"""One simulated meter, read over the power line, by its optical port and by its MEP: it is the same meter."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from osgp.concentrator.run_config import EXAMPLE, load_run_config
from osgp.concentrator.status_socket import ask
from osgp.sim.local_doors import DoorOptions
from osgp.wire.errors import ConfigError, NoAnswer
from tests.cli.test_contract import status

LIMIT_S = 90.0
DOORS = """
[line.doors]
optical = "tcp://127.0.0.1:0"
mep = "tcp://127.0.0.1:0"
keys_dir = "keys"
"""
TEXT = EXAMPLE.replace('"3ph", "1ph", "load"', '"1ph"').replace("[keys]", DOORS + "[keys]", 1)

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="Unix sockets")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "c.toml").write_text(TEXT)
    words = ["-c", "from osgp.cli.main import main; main()", "concentrator", "run", str(tmp_path / "c.toml")]
    running = subprocess.Popen([sys.executable, *words], stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + LIMIT_S
        while not is_up(tmp_path / "concentrator.sock"):
            assert running.poll() is None, "it ended"
            assert time.monotonic() < end, "the meter never came up"
            time.sleep(0.2)
        yield tmp_path
        running.send_signal(signal.SIGTERM)
        assert running.wait(LIMIT_S) == 0
    finally:
        if running.poll() is None:
            running.kill()
            running.wait()


def is_up(path: Path) -> bool:
    try:
        return [node["state"] for node in ask(path, "status")["topology"]["nodes"]] == ["up"]
    except NoAnswer:
        return False


def over_the_line(folder: Path, name: str) -> Any:
    path = folder / "concentrator.sock"
    number = ask(path, "submit", kind="read", parameters={"names": [name]})["number"]
    end = time.monotonic() + LIMIT_S
    while (job := ask(path, "job", number=number))["state"] != "done":
        assert time.monotonic() < end
        time.sleep(0.1)
    return job["results"][0]["detail"]["readings"][name]


def test_a_meter_on_the_line_is_the_same_at_its_local_doors(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = ask(folder / "concentrator.sock", "doors")
    key = f"file:{folder / 'keys' / row['serial']}"

    def at(address: str, kind: str, name: str) -> Any:
        capsys.readouterr()
        assert status("read", address, "--key", f"{key}.{kind}", name, "--json") == 0
        (found,) = json.loads(capsys.readouterr().out)["values"]
        return found["value"]

    before = over_the_line(folder, "fwd_active_energy")
    shown = [at(row["optical"], "RK", "fwd_active_energy"), at(row["mep"], "MAK", "fwd_active_energy")]
    after = over_the_line(folder, "fwd_active_energy")
    assert before <= min(shown) <= max(shown) <= after
    assert over_the_line(folder, "serial_number") == at(row["optical"], "RK", "serial_number") == row["serial"]

    assert over_the_line(folder, "ET23.disconnect_state") == 0
    assert status("run", row["mep"], "--key", f"{key}.MAK", "EP02", "target=0", "action=0") == 0
    assert over_the_line(folder, "ET23.disconnect_state") == 2, "opened at the MEP, seen from the concentrator"


def test_doors_are_configured_and_wrong_words_refused(tmp_path: Path) -> None:
    place = tmp_path / "c.toml"
    place.write_text(TEXT)
    line: Any = load_run_config(place).line
    assert line.doors == DoorOptions("tcp://127.0.0.1:0", "tcp://127.0.0.1:0", tmp_path / "keys")
    place.write_text(TEXT.replace("optical =", "window ="))
    with pytest.raises(ConfigError, match=r"line.doors.window"):
        load_run_config(place)


def test_a_street_that_goes_at_a_speed_has_its_doors_open(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "street.toml"
    assert status("street", "new", "--houses", "1", "--kind", "rural", "--hours", "20", "-o", str(file)) == 0
    file.write_text(file.read_text() + DOORS.replace("[line.doors]", "[doors]"))
    words = ["-c", "from osgp.cli.main import main; main()", "street", "run", str(file), "--speed", "2"]
    with subprocess.Popen([sys.executable, *words], stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        try:
            word, house, kind, serial, optical, mep = running.stderr.readline().split()
            assert (word, house, kind) == ("house", "1,", "1ph")
            for address, key in ((optical, "RK"), (mep, "MAK")):
                capsys.readouterr()
                place = f"file:{tmp_path / 'keys' / serial.rstrip(':')}.{key}"
                assert status("read", address, "--key", place, "serial_number", "--json") == 0
                (found,) = json.loads(capsys.readouterr().out)["values"]
                assert found["value"] == serial.rstrip(":")
        finally:
            running.kill()


def test_doors_of_a_street_need_a_speed_and_a_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "street.toml"
    place.write_text("[grid]\nhouses = 2\n[doors]\noptical = 'pty'\n")
    assert status("street", "run", str(place)) == 2
    assert "--speed" in capsys.readouterr().err
    place.write_text("[grid]\nhouses = 2\n[doors]\nkeys_dir = 'keys'\n")
    assert status("street", "run", str(place), "--speed", "1") == 2
    assert "doors are optical or mep" in capsys.readouterr().err
    place.write_text("[grid]\nhouses = 2\n[doors]\nwindow = 'pty'\n")
    assert status("street", "run", str(place), "--speed", "1") == 2
    assert "window" in capsys.readouterr().err
