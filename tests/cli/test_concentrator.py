"""``osgp concentrator``: a real one on a simulated line, looked at and commanded from the terminal."""

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

from osgp.app.image import build
from osgp.concentrator.run_config import EXAMPLE
from osgp.concentrator.status_socket import ask
from osgp.node.firmware_banks import version_of
from osgp.sim.device_kinds import KINDS
from osgp.sim.pl_device import LAB_IMAGE_KEY_ID, lab_image_key, node_id_of
from osgp.wire.errors import NoAnswer
from tests.cli.test_contract import status

OSGP = [sys.executable, "-c", "from osgp.cli.main import main; main()"]
LIMIT_S = 90.0

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="Unix sockets")


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The socket of a concentrator with one meter, which is up."""
    folder = tmp_path_factory.mktemp("concentrator")
    config = folder / "c.toml"
    config.write_text(EXAMPLE.replace('"3ph", "1ph", "load"', '"1ph"'))
    path = folder / "concentrator.sock"
    running = subprocess.Popen([*OSGP, "concentrator", "run", str(config)], stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + LIMIT_S
        while not is_up(path):
            assert running.poll() is None, "it ended"
            assert time.monotonic() < end, "the meter never came up"
            time.sleep(0.2)
        yield path
        running.send_signal(signal.SIGTERM)
        assert running.wait(LIMIT_S) == 0
    finally:
        if running.poll() is None:
            running.kill()
            running.wait()


def is_up(path: Path, count: int = 1) -> bool:
    try:
        nodes = ask(path, "status")["topology"]["nodes"]
    except NoAnswer:
        return False
    return [node["state"] for node in nodes] == ["up"] * count


def told(door: Path, capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert status("concentrator", *words, "--socket", str(door), "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_status_devices_jobs_and_events_are_shown(door: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, shown in (
        ("status", "1 up of 1 known"),
        ("devices", "direct"),
        ("jobs", "priority"),
        ("events", "is commissioned"),
    ):
        assert status("concentrator", words, "--socket", str(door)) == 0
        assert shown in capsys.readouterr().out
    assert told(door, capsys, "status")["name"] == "street"
    assert told(door, capsys, "devices")["topology"]["nodes"][0]["state"] == "up"
    assert {event["kind"] for event in told(door, capsys, "events")} >= {"topology"}


def test_a_reading_is_ordered_and_its_result_shown(door: Path, capsys: pytest.CaptureFixture[str]) -> None:
    number = told(door, capsys, "job", "read", "fwd_active_energy", "--devices", "1")["number"]
    end = time.monotonic() + LIMIT_S
    while (job := told(door, capsys, "job", "show", str(number)))["state"] != "done":
        assert time.monotonic() < end
        time.sleep(0.2)
    (result,) = job["results"]
    assert result["detail"]["readings"]["fwd_active_energy"] > 0
    assert status("concentrator", "job", "show", str(number), "--socket", str(door)) == 0
    assert "fwd_active_energy" in capsys.readouterr().out


def test_jobs_are_paused_resumed_and_cancelled(door: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = "--socket", str(door)
    assert status("concentrator", "pause", *place) == 0
    capsys.readouterr()
    number = told(door, capsys, "job", "submit", "visit", '{"what": ["scan"]}', "--label", "look")["number"]
    for words, state in (
        (("job", "pause"), "paused"),
        (("job", "resume"), "waiting"),
        (("job", "cancel"), "cancelled"),
    ):
        assert status("concentrator", *words, str(number), *place) == 0
        capsys.readouterr()
        assert told(door, capsys, "job", "show", str(number))["state"] == state
    assert status("concentrator", "resume", *place) == 0
    assert "at work" in capsys.readouterr().out


def test_firmware_is_ordered_with_its_image(door: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = build(bytes(300), KINDS["1ph"].hardware_id, version_of(4, 61), LAB_IMAGE_KEY_ID, lab_image_key())
    (tmp_path / "image.bin").write_bytes(image)
    number = told(door, capsys, "job", "firmware", str(tmp_path / "image.bin"), "--label", "new")["number"]
    job = told(door, capsys, "job", "show", str(number))
    assert (job["kind"], job["label"], job["parameters"]["length"]) == ("firmware", "new", len(image))
    assert status("concentrator", "job", "cancel", str(number), "--socket", str(door)) == 0


def test_a_group_command_is_ordered_by_name(door: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = "job", "group", "EP02", "target=1", "action=0", "random=30", "--groups", "0x0101"
    number = told(door, capsys, *words)["number"]
    end = time.monotonic() + LIMIT_S
    while (job := told(door, capsys, "job", "show", str(number)))["state"] != "done":
        assert time.monotonic() < end
        time.sleep(0.2)
    assert (job["parameters"]["groups"], job["results"][0]["state"]) == ([0x0101], "done")
    assert status("concentrator", "job", "group", "EP02", "--groups", "all", "--socket", str(door)) == 2
    assert "group id" in capsys.readouterr().err


def test_orders_about_a_device_are_given_and_noted(door: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = "--socket", str(door)
    assert told(door, capsys, "device", "accept", "1")["unique_node_id"] == node_id_of(1, 0).hex()
    assert told(door, capsys, "notices", "--kind", "order")[-1]["text"].endswith("by order")
    assert status("concentrator", "notices", *place) == 0
    assert "is taken on again" in capsys.readouterr().out
    assert "notice" in {event["kind"] for event in told(door, capsys, "events")}
    for what in ("accept", "remove", "revoke", "release"):
        assert status("concentrator", "device", what, "99", *place) == 2
        assert "no device" in capsys.readouterr().err
    assert status("concentrator", "device", "release", "1", *place) == 2
    assert "not in quarantine" in capsys.readouterr().err
    assert status("concentrator", "confirm-clock", *place) == 0
    assert "trusted" in capsys.readouterr().out


def test_wrong_use_is_told_in_words(door: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = "--socket", str(door)
    (tmp_path / "bad").write_bytes(b"no image")
    for words in (
        ("job", "show", "999", *place),
        ("job", "submit", "dance", *place),
        ("job", "submit", "read", "{", *place),
        ("job", "firmware", str(tmp_path / "bad"), *place),
        ("run",),
        ("run", str(tmp_path / "none.toml")),
    ):
        assert status("concentrator", *words) in (1, 2)
        assert "error:" in capsys.readouterr().err


def test_nobody_there_ends_with_silence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status("concentrator", "status", "--socket", str(tmp_path / "none")) == 3
    assert "concentrator run" in capsys.readouterr().err


def test_the_example_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert status("concentrator", "run", "--example") == 0
    assert capsys.readouterr().out == EXAMPLE


def test_ways_that_were_written_down_are_used_and_shown_on_a_simulated_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    near, far = node_id_of(1, 0).hex(), node_id_of(1, 1).hex()
    ways = f'[[topology.ways]]\ndevice = "{near}"\n[[topology.ways]]\ndevice = "{far}"\nvia = ["{near}"]\nbackup = []\n'
    (tmp_path / "c.toml").write_text(EXAMPLE.replace('"3ph", "1ph", "load"', '"1ph", "load"') + ways)
    path = tmp_path / "concentrator.sock"
    running = subprocess.Popen([*OSGP, "concentrator", "run", str(tmp_path / "c.toml")], stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + LIMIT_S
        while not is_up(path, 2):
            assert running.poll() is None, "it ended"
            assert time.monotonic() < end, "they never came up"
            time.sleep(0.2)
        assert status("concentrator", "devices", "--socket", str(path)) == 0
        shown = capsys.readouterr().out
        assert "written down" in shown
        assert "direct" in shown
        assert "probe" not in told(path, capsys, "status")["airtime"]["by_class"]
    finally:
        running.kill()
        running.wait()
