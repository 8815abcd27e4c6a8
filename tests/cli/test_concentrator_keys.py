"""Keys and tokens from a vault, from the terminal to a simulated meter on its line and back."""

from __future__ import annotations

import json
import os
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
from osgp.concentrator.status_socket import ask
from osgp.node.firmware_banks import version_of
from osgp.ports.vault import Vault
from osgp.ports.vault_service import VaultKeys
from osgp.sim.device_kinds import KINDS
from osgp.sim.pl_device import LAB_IMAGE_KEY_ID, lab_image_key, lab_umk, node_id_of
from osgp.wire.errors import NoAnswer
from tests.cli.test_contract import status

OSGP = [sys.executable, "-c", "from osgp.cli.main import main; main()"]
LIMIT_S = 90.0
NODE = node_id_of(1, 0)
CHEAP = {"memory_kib": 64, "iterations": 1, "lanes": 1}

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="Unix sockets")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a vault, and a concentrator that takes its keys from there; one meter, which is up."""
    folder = tmp_path_factory.mktemp("site")
    vault = folder / "vault.json"
    VaultKeys(Vault.create(vault, "correct horse", costs=CHEAP), vault).add(NODE, lab_umk(1, NODE), 1, time.time())
    (folder / "c.toml").write_text(
        """
[place]
unique_node_id = "0A0B0C0D0E0F"
[line]
kind = "simulated"
devices = ["1ph"]
[keys]
vault = "vault.json"
passphrase = "env:OSGP_VAULT_PASSPHRASE"
[concentrator]
collection = {measurements = [], profiles = [], logs = []}
"""
    )
    environ = {**os.environ, "OSGP_VAULT_PASSPHRASE": "correct horse"}
    running = subprocess.Popen(
        [*OSGP, "concentrator", "run", str(folder / "c.toml")], stderr=subprocess.DEVNULL, env=environ
    )
    try:
        end = time.monotonic() + LIMIT_S
        while not is_up(folder / "concentrator.sock"):
            assert running.poll() is None, "it ended"
            assert time.monotonic() < end, "the meter never came up"
            time.sleep(0.2)
        yield folder
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


@pytest.fixture(autouse=True)
def at_the_terminal(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSGP_VAULT", str(site / "vault.json"))
    monkeypatch.setenv("OSGP_VAULT_PASSPHRASE", "correct horse")
    monkeypatch.setenv("OSGP_CONCENTRATOR_SOCKET", str(site / "concentrator.sock"))


def said(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    capsys.readouterr()
    assert status(*words, "--json") == 0
    return json.loads(capsys.readouterr().out)


def result(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """Order a job, and what became of it at the only device."""
    number = said(capsys, "concentrator", "job", *words)["number"]
    end = time.monotonic() + LIMIT_S
    while (job := ask(Path(os.environ["OSGP_CONCENTRATOR_SOCKET"]), "job", number=number))["state"] != "done":
        assert time.monotonic() < end
        time.sleep(0.1)
    (found,) = job["results"]
    return dict(found)


def is_closed(capsys: pytest.CaptureFixture[str]) -> bool:
    found = result(capsys, "read", "ET23.disconnect_state")
    return bool(found["detail"]["readings"]["ET23.disconnect_state"] == 0)


def test_a_meter_is_disconnected_with_a_token_and_not_without(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = result(capsys, "procedure", "EP02", "target=0", "action=0")
    assert (bare["state"], bare["detail"]["code"]) == ("refused", 5)
    assert is_closed(capsys)

    file = tmp_path / "open.json"
    words = ["keys", "token", "procedure", "EP02", "target=0", "action=0", "--devices", NODE.hex(), "--out", str(file)]
    assert status(*words) == 0
    assert file.stat().st_mode & 0o077 == 0
    assert result(capsys, "procedure", "--token", str(file))["state"] == "done"
    assert not is_closed(capsys)

    again = result(capsys, "procedure", "--token", str(file))
    assert (again["state"], again["detail"]["code"]) == ("refused", 5), "a token is good for one order"
    trail = [each["what"] for each in said(capsys, "keys", "audit")]
    assert trail[1] == f"grant PSK of {NODE.hex()}, epoch 1, to 0a0b0c0d0e0f"
    assert trail[2].endswith(f"for {NODE.hex()}: EP02 with parameters 0000")


def test_a_critical_table_is_written_with_a_token_and_not_without(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    threshold = bytes((0x10, 0x27, 0, 0)).hex()
    bare = result(capsys, "write", "ET80", threshold, "--offset", "1")
    assert (bare["state"], bare["detail"]["code"]) == ("refused", 3)
    file = tmp_path / "write.json"
    words = ["keys", "token", "write", "ET80", threshold, "--offset", "1", "--devices", NODE.hex(), "--out", str(file)]
    assert status(*words) == 0
    assert result(capsys, "write", "--token", str(file))["state"] == "done"


def test_orders_to_switch_name_devices_as_the_head_end_knows_them(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = build(bytes(300), KINDS["1ph"].hardware_id, version_of(4, 61), LAB_IMAGE_KEY_ID, lab_image_key())
    (tmp_path / "image.bin").write_bytes(image)
    words = ["keys", "token", "switch", str(tmp_path / "image.bin"), "--devices", NODE.hex()]
    assert status(*words, "--at", "2030-01-01T02:00", "--out", str(tmp_path / "orders.json")) == 0
    orders = ["--orders", str(tmp_path / "orders.json")]
    number = said(capsys, "concentrator", "job", "firmware", str(tmp_path / "image.bin"), *orders)["number"]
    job = said(capsys, "concentrator", "job", "show", str(number))
    assert [each["device"] for each in job["results"]] == [1]
    assert status("concentrator", "job", "cancel", str(number)) == 0


def test_a_new_umk_is_brought_to_the_device_and_taken(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("keys", "token", "umk", "--devices", NODE.hex(), "--out", str(tmp_path / "early.json")) == 2
    assert status("keys", "rotate", NODE.hex()) == 0
    assert status("keys", "token", "umk", "--devices", NODE.hex(), "--out", str(tmp_path / "umk.json")) == 0
    assert result(capsys, "procedure", "--token", str(tmp_path / "umk.json"))["state"] == "done"


def test_wrong_use_of_tokens_is_said_and_leaves_no_file(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--devices", NODE.hex(), "--out", str(tmp_path / "t.json")]
    for words, text in (
        (("keys", "token", "procedure", "EP27", "00", *out), "needs no token"),
        (("keys", "token", "write", "ET04", "00", *out), "needs no token"),
        (("keys", "token", "procedure", "EP02", "0000", "--devices", "050102030405", *out[2:]), "no UMK"),
        (("keys", "token", "procedure", "EP02", "0000", "--devices", "kitchen", *out[2:]), "12 hex digits"),
        (("concentrator", "job", "procedure", "--token", str(tmp_path / "none.json")), "cannot be read"),
        (("concentrator", "job", "procedure", "EP02", "--token", str(tmp_path / "t.json")), "says what is ordered"),
        (("concentrator", "job", "procedure"), "which procedure"),
        (("concentrator", "job", "write"), "what is to be written"),
    ):
        capsys.readouterr()
        assert status(*words) in (1, 2), words
        assert text in " ".join(capsys.readouterr().err.split()), words
    assert not (tmp_path / "t.json").exists()
    (tmp_path / "t.json").write_text('{"kind": "write"}')
    assert status("concentrator", "job", "procedure", "--token", str(tmp_path / "t.json")) == 2
    assert "no order of a procedure" in " ".join(capsys.readouterr().err.split())
