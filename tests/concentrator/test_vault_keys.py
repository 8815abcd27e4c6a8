"""A concentrator whose PSKs come from a vault: what is granted and noted, what others add meanwhile, what is told when it fails."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from osgp.concentrator.commission import Grant, NotGranted
from osgp.concentrator.commission_vault import ServiceKeys
from osgp.concentrator.run_config import load_run_config
from osgp.concentrator.topology import Standing
from osgp.ports.vault import Vault
from osgp.ports.vault_service import VaultKeys
from osgp.sim.pl_device import lab_umk, node_id_of
from osgp.wire.errors import BadDigest, ConfigError, Error, StoreError
from tests.concentrator.network import NC, Network, chain

CHEAP = {"memory_kib": 64, "iterations": 1, "lanes": 1}
WORD = "correct horse"
FIRST, SECOND = node_id_of(1, 0), node_id_of(1, 1)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A vault with the UMK of the first simulated device."""
    path = tmp_path / "vault.json"
    vault = Vault.create(path, WORD, costs=CHEAP)
    VaultKeys(vault, path).add(FIRST, lab_umk(1, FIRST), 1, 1e9)
    return path


def opened(path: Path) -> VaultKeys:
    return VaultKeys(Vault.open(path, WORD), path)


def add(path: Path, node: bytes) -> None:
    """As ``osgp keys put`` does in another process."""
    keys = opened(path)
    with keys.held():
        keys.add(node, lab_umk(1, node), 1, 1e9)


def told(path: Path) -> list[str]:
    return [each.what for each in opened(path).trail.verify() if each.saved]


def test_a_psk_is_noted_once_and_again_for_another_epoch(place: Path) -> None:
    source = ServiceKeys(opened(place))
    first = [source.grant(FIRST, NC) for _ in range(3)]
    assert first[0] == first[2]
    assert told(place)[-1] == f"grant PSK of {FIRST.hex()}, epoch 1, to {NC.hex()}"
    opened(place).rotate(FIRST, 1e9)
    second = source.grant(FIRST, NC)
    assert isinstance(second, Grant)
    assert second.epoch == 2
    assert [each.split()[0] for each in told(place)] == ["put", "grant", "rotate", "grant"]


def test_a_device_that_is_added_to_the_vault_comes_up_without_a_restart(place: Path) -> None:
    network = Network(chain(1), source=ServiceKeys(opened(place)), seed=1)
    network.until(network.all_up)
    later = Network(chain(2), source=ServiceKeys(opened(place)), seed=1)
    later.until(lambda: later.topology.strangers.get(SECOND, (0, None))[1] is Standing.NO_KEY)
    add(place, SECOND)
    at = later.wire.now
    later.until(later.all_up, 300.0)
    assert later.wire.now - at < 120.0
    assert not later.topology.strangers
    assert [each for each in told(place) if each.startswith("grant")] == [
        f"grant PSK of {node.hex()}, epoch 1, to {NC.hex()}" for node in (FIRST, FIRST, SECOND)
    ]


def test_a_vault_that_goes_leaves_what_was_granted_and_says_so(place: Path) -> None:
    source = ServiceKeys(opened(place))
    given = source.grant(FIRST, NC)
    away = place.rename(place.with_name("away.json"))
    assert source.grant(FIRST, NC) == given
    assert source.grant(SECOND, NC) is NotGranted.NO_KEY
    assert "gone" in source.status()["trouble"]
    away.rename(place)
    add(place, SECOND)
    assert isinstance(source.grant(SECOND, NC), Grant)
    assert source.status() == {"granted": 2, "trouble": ""}


def test_nothing_is_granted_without_a_whole_trail(place: Path) -> None:
    trail = place.with_name("vault.json.audit")
    kept = trail.read_bytes()
    trail.write_bytes(kept.replace(b"put", b"cut"))
    source = ServiceKeys(opened(place))
    assert source.grant(FIRST, NC) is NotGranted.NO_KEY
    assert "audit trail" in source.trouble
    trail.write_bytes(kept)
    assert isinstance(source.grant(FIRST, NC), Grant)
    assert source.trouble == ""


def test_another_passphrase_is_told_while_it_runs(place: Path) -> None:
    source = ServiceKeys(opened(place))
    vault = Vault.open(place, WORD)
    vault.change_passphrase("another")
    vault.save()
    assert source.grant(FIRST, NC) is NotGranted.NO_KEY
    assert "another passphrase" in source.trouble


def test_two_who_write_at_once_leave_one_whole_trail(place: Path) -> None:
    def write(number: int) -> None:
        keys = opened(place)
        for each in range(10):
            keys.note(f"note {number}.{each}", 1e9)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(2)]
    for each in writers:
        each.start()
    for each in writers:
        each.join()
    assert sorted(told(place)[1:]) == sorted(f"note {a}.{b}" for a in range(2) for b in range(10))


def test_who_holds_the_keys_too_long_is_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = opened(place)
    monkeypatch.setattr("osgp.ports.vault_audit._PATIENCE_S", 0.0)
    with other.held(), pytest.raises(StoreError, match="keeps hold"):
        opened(place).note("x", 1e9)


# ---- the configuration ----------------------------------------------------------------------------------------------
def configured(folder: Path, keys: str) -> Path:
    path = folder / "c.toml"
    path.write_text(
        f'[place]\nunique_node_id = "0A0B0C0D0E0F"\n[line]\nkind = "simulated"\ndevices = ["1ph"]\n[keys]\n{keys}\n'
    )
    return path


def test_a_vault_is_opened_by_a_passphrase_from_file_or_environment(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "word").write_text(WORD + "\n")
    monkeypatch.setenv("STREET_WORD", WORD)
    for source in ("file:word", "env:STREET_WORD"):
        found = load_run_config(configured(tmp_path, f'vault = "vault.json"\npassphrase = "{source}"')).keys
        assert isinstance(found.grant(FIRST, NC), Grant)
        assert found.grant(SECOND, NC) is NotGranted.NO_KEY
        assert WORD not in repr(found)


@pytest.mark.parametrize(
    ("keys", "kind", "said"),
    [
        ('vault = "vault.json"\npassphrase = "correct horse"', ConfigError, "stands in the configuration"),
        ('vault = "vault.json"\npassphrase = "file:wrong"', BadDigest, "passphrase is wrong"),
        ('vault = "vault.json"\npassphrase = "file:none"', ConfigError, "cannot be read"),
        ('vault = "vault.json"\npassphrase = "env:NOBODY_SET_IT"', ConfigError, "empty or not there"),
        ('vault = "none.json"\npassphrase = "file:wrong"', StoreError, "no vault"),
        ('hsm = "none.so"\npin = "file:wrong"', ConfigError, "no PKCS#11 module"),
    ],
)
def test_what_keeps_the_keys_shut_is_said(place: Path, tmp_path: Path, keys: str, kind: type[Error], said: str) -> None:
    (tmp_path / "wrong").write_text("wrong")
    with pytest.raises(kind) as found:
        load_run_config(configured(tmp_path, keys))
    assert said in str(found.value)
    assert "correct" not in str(found.value)


def test_without_a_terminal_a_locked_vault_says_what_to_do(place: Path, tmp_path: Path) -> None:
    config = configured(tmp_path, 'vault = "vault.json"')
    done = subprocess.run(
        [sys.executable, "-c", "from osgp.cli.main import main; main()", "concentrator", "run", str(config)],
        env={name: value for name, value in os.environ.items() if name != "OSGP_VAULT_PASSPHRASE"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,
    )
    assert done.returncode == 2
    assert "nobody is there" in done.stderr
    assert "OSGP_VAULT_PASSPHRASE" in done.stderr
