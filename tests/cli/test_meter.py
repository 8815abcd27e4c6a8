"""``osgp meter`` serves, tells where, and stops cleanly."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import osgp
from osgp.cli.app import run

_RUN = "from osgp.cli.main import main; main()"


def _start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _RUN, "meter", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _document(process: subprocess.Popen[str]) -> dict[str, list[dict[str, str]]]:
    assert process.stdout is not None
    assert process.stderr is not None
    text = ""
    while True:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        text += line
        if line == "}\n":
            found: dict[str, list[dict[str, str]]] = json.loads(text)
            return found


def test_meters_are_served_saved_and_stopped(tmp_path: Path) -> None:
    state, keys = tmp_path / "state.json", tmp_path / "keys"
    any_port = "tcp://127.0.0.1:0"
    process = _start(
        "--model", "1ph", "--count", "2", "--optical", any_port, "--mep", any_port, "--history", "0.1",
        "--state", str(state), "--keys-dir", str(keys), "--json",
    )  # fmt: skip
    try:
        devices = _document(process)["devices"]
        assert len({each["serial"] for each in devices}) == 2
        first = devices[0]
        with osgp.open_sync(first["optical"], key=f"file:{keys}/{first['serial']}.RK") as meter:
            assert meter.get("serial_number").endswith(first["serial"])
        with osgp.open_sync(first["mep"], key=f"file:{keys}/{first['serial']}.MAK") as meter:
            assert meter.get("fwd_active_energy") > 0
        assert (keys / f"{first['serial']}.MK").stat().st_mode & 0o077 == 0
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert len(json.loads(state.read_text())["devices"]) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["--count", "0"],
        ["--faults", "gremlins"],
        ["--start", "soon"],
        ["--speed", "max"],
        ["--optical", "carrier pigeon", "--mep", "", "--history", "0"],
    ],
)
def test_wrong_use_is_told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        run(["meter", *arguments])
    assert left.value.code == 2
    assert "error" in capsys.readouterr().err
