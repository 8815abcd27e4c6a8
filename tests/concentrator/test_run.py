"""A concentrator as a real process: LON/IP on loopback with simulated devices, its socket, a clean stop, a kill, a restart."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from osgp.concentrator.status_socket import ask
from osgp.sim.pl_device import node_id_of
from osgp.wire.errors import ConfigError, NoAnswer

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 90.0
OSGP = [sys.executable, "-c", "from osgp.cli.main import main; main()"]

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="Unix sockets")


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def until(done: Callable[[], Any]) -> Any:
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        try:
            found = done()
        except NoAnswer:
            found = None
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError("it never came")


class Site:
    """Two devices in one process; a concentrator in another, begun by ``start``. ``more``: of its configuration."""

    def __init__(self, folder: Path, more: str = "") -> None:
        self.folder = folder
        self.socket = folder / "c.sock"
        port = free_port()
        self.devices = subprocess.Popen(
            [sys.executable, "-m", "tests.concentrator.device_process", str(port), "2"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.devices.stdout is not None
        places = json.loads(self.devices.stdout.readline())
        listeners = ", ".join(f'"127.0.0.1:{each}"' for each in places)
        self.config = folder / "c.toml"
        self.config.write_text(
            f"""
journal = "c.sqlite"
socket = "c.sock"
[place]
unique_node_id = "0A0B0C0D0E0F"
[line]
kind = "lonip"
listen = "127.0.0.1:{port}"
listeners = [{listeners}]
[keys]
laboratory = 1
[concentrator]
name = "loopback"
collection = {{measurements = ["fwd_active_energy"], profiles = [], logs = []}}
{more}
"""
        )
        self.running: subprocess.Popen[str] | None = None

    def start(self) -> None:
        command = [*OSGP, "concentrator", "run", str(self.config)]
        self.running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    def ask(self, do: str, **what: Any) -> Any:
        return ask(self.socket, do, **what)

    def up(self) -> bool:
        nodes = self.ask("status")["topology"]["nodes"]
        return [node["state"] for node in nodes] == ["up", "up"]

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        assert self.running is not None
        self.running.send_signal(number)
        _, told = self.running.communicate(timeout=LIMIT_S)
        return self.running.returncode, told

    def close(self) -> None:
        for process in (self.running, self.devices):
            if process is not None:
                if process.poll() is None:
                    process.kill()
                process.communicate()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    found = Site(tmp_path)
    try:
        yield found
    finally:
        found.close()


def test_it_commissions_devices_reads_them_and_goes_on_after_stop_and_kill(site: Site) -> None:
    site.start()
    until(site.up)
    assert stat.S_IMODE(os.stat(site.socket).st_mode) == 0o600
    number = site.ask("submit", kind="read", parameters={"names": ["fwd_active_energy"]})["number"]
    until(lambda: site.ask("job", number=number)["state"] == "done")
    results = site.ask("job", number=number)["results"]
    assert [each["state"] for each in results] == ["done", "done"]
    assert all(each["detail"]["readings"]["fwd_active_energy"] > 0 for each in results)
    generations = site.ask("status")["broadcasts"]["generation"]

    code, told = site.end()
    assert (code, "ended" in told) == (0, True), told
    assert not site.socket.exists()

    begun = time.time()
    site.start()
    until(site.up)
    assert site.ask("status")["broadcasts"]["generation"] == generations
    kinds = site.ask("status")["airtime"]["by_class"]
    assert "commission" not in kinds, "keys and addresses were in the journal"
    assert site.ask("job", number=number)["state"] == "done"
    past = site.ask("history")
    assert past[0]["wall"] < begun, "what the map looked like before is in the journal"
    assert {node[0] for step in past for node in step["nodes"].values()} >= {"up"}

    site.end(signal.SIGKILL)
    assert site.socket.exists()
    site.start()
    until(site.up)
    paused = site.ask("pause")
    assert paused == {}
    number = site.ask("submit", kind="read", devices=[1], parameters={"names": ["fwd_active_energy"]})["number"]
    assert site.ask("status")["paused"] is True
    assert site.ask("job", number=number)["state"] == "waiting"
    site.ask("resume")
    until(lambda: site.ask("job", number=number)["state"] == "done")
    assert site.end(signal.SIGINT)[0] == 0


def test_a_second_concentrator_at_the_same_socket_is_refused(site: Site) -> None:
    site.start()
    until(lambda: site.ask("status"))
    command = [*OSGP, "concentrator", "run", str(site.config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode == 2
    assert "already" in done.stderr
    assert site.ask("status")["name"] == "loopback"


def test_questions_that_cannot_be_answered_are_told_in_words(site: Site) -> None:
    site.start()
    until(lambda: site.ask("status"))
    for do, what in (
        ("dance", {}),
        ("job", {"number": 77}),
        ("job", {"number": "x"}),
        ("submit", {"kind": "read", "devices": [9]}),
        ("submit", {"kind": "read", "devices": "all"}),
        ("submit", {"kind": "read", "priority": "urgent"}),
        ("submit", {"kind": "read", "expires_in_s": [1]}),
        ("firmware", {"image": "@@"}),
        ("cancel", {"job": 5}),
    ):
        with pytest.raises(ConfigError):
            site.ask(do, **what)
    assert site.ask("jobs") == []


def test_with_ways_that_were_written_down_nothing_is_looked_for(tmp_path: Path) -> None:
    near, far = node_id_of(1, 0).hex(), node_id_of(1, 1).hex()
    site = Site(
        tmp_path,
        f"""
[[topology.ways]]
device = "{near}"
[[topology.ways]]
device = "{far}"
via = ["{near}"]
backup = []
""",
    )
    try:
        site.start()
        until(site.up)
        found = site.ask("devices")
        assert found["topology"]["mode"] == "static"
        nodes = {node["unique_node_id"]: node for node in found["topology"]["nodes"]}
        assert {name: node["way"] for name, node in nodes.items()} == {near: [near], far: [near, far]}
        assert nodes[far]["backup"] == [far]
        assert "probe" not in site.ask("status")["airtime"]["by_class"]
        code, _ = site.end()
        assert code == 0
    finally:
        site.close()
