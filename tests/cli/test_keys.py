"""``osgp keys`` as people use it: no key is shown, none leaves in clear, and who did what can be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from osgp.app.aes import device_keys, psk_of, unwrap_key
from osgp.app.image import image_mac
from osgp.app.profile import OsgpProfile
from osgp.cli import app
from osgp.concentrator.commission import Grant, NotGranted
from osgp.concentrator.commission_vault import ServiceKeys
from osgp.crypto.keys import Key
from osgp.ports import vault as vault_file
from osgp.ports.vault import Vault
from osgp.ports.vault_service import VaultKeys

NODE = bytes.fromhex("050102030405")
CONCENTRATOR = bytes.fromhex("0a0b0c0d0e0f")
UMK = bytes.fromhex("8f3a19c4d2075be6617f90a8bb43ce12")
MAK = "K7Q2M9X4T1Z8B3N6W5R0"
WORD = "correct horse"
CHEAP = {"memory_kib": 64, "iterations": 1, "lanes": 1}
"""Vaults are opened many times here; what a real one costs is shown once, below."""


def run(words: list[str]) -> int:
    """The exit status of a command."""
    with pytest.raises(SystemExit) as caught:
        app.run(words)
    return int(caught.value.code or 0)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "vault.json"
    monkeypatch.setattr(vault_file, "_COSTS", CHEAP)
    monkeypatch.setenv("OSGP_VAULT", str(place))
    monkeypatch.setenv("OSGP_VAULT_PASSPHRASE", WORD)
    monkeypatch.setenv("OSGP_EXPORT_PASSPHRASE", "for the neighbour")
    monkeypatch.setenv("UMK", UMK.hex())
    monkeypatch.setenv("MAK", MAK)
    assert run(["keys", "init"]) == 0
    return place


def test_a_new_vault_costs_what_rfc_9106_recommends_in_second_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "vault.json"
    monkeypatch.setenv("OSGP_VAULT_PASSPHRASE", WORD)
    assert run(["keys", "init", "--vault", str(place)]) == 0
    kdf = json.loads(place.read_text())["kdf"]
    assert (kdf["name"], kdf["memory_kib"], kdf["iterations"], kdf["lanes"]) == ("argon2id", 1 << 16, 3, 4)
    assert Vault.open(place, WORD).names() == []


def _json(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    capsys.readouterr()
    assert run(["keys", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def _said(capsys: pytest.CaptureFixture[str], *words: str, status: int) -> str:
    capsys.readouterr()
    assert run(["keys", *words]) == status
    shown = capsys.readouterr()
    return " ".join((shown.out + shown.err).split())


def test_a_umk_is_rotated_with_both_kept_until_the_device_commits(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["keys", "put", NODE.hex(), "UMK", "--key", "env:UMK"]) == 0
    made = _json(capsys, "rotate", "05:01:02:03:04:05")
    assert made["first_epoch"] == 2
    assert _json(capsys, "wrapped", NODE.hex())["wrapped"] == made["wrapped"]
    assert "has not committed" in _said(capsys, "rotate", NODE.hex(), status=2)
    profile = OsgpProfile()
    new = unwrap_key(device_keys(Key(UMK), NODE, profile).kek, bytes.fromhex(made["wrapped"]))
    assert new is not None
    service = VaultKeys(Vault.open(place, WORD), place)
    assert service.psk(NODE, CONCENTRATOR, 1) == psk_of(Key(UMK), NODE, CONCENTRATOR, 1, profile)
    assert service.psk(NODE, CONCENTRATOR, 2) == psk_of(new, NODE, CONCENTRATOR, 2, profile)
    assert _json(capsys, "committed", NODE.hex(), "1") == {"erased": False}
    assert _json(capsys, "committed", NODE.hex(), "2") == {"erased": True}
    assert Vault.open(place, WORD).get(NODE.hex(), "UMK") == new
    assert _json(capsys, "list") == [{"name": NODE.hex(), "kinds": ["UMK"]}]


def test_a_concentrator_is_granted_the_psk_alone(place: Path) -> None:
    assert run(["keys", "put", NODE.hex(), "UMK", "--key", "env:UMK", "--epoch", "3"]) == 0
    source = ServiceKeys(VaultKeys(Vault.open(place, WORD), place), foreign=frozenset((b"abcdef",)))
    given = source.grant(NODE, CONCENTRATOR)
    assert isinstance(given, Grant)
    assert (given.epoch, given.psk) == (3, psk_of(Key(UMK), NODE, CONCENTRATOR, 3, OsgpProfile()))
    assert source.grant(b"abcdef", CONCENTRATOR) is NotGranted.FOREIGN
    assert source.grant(b"ghijkl", CONCENTRATOR) is NotGranted.NO_KEY


def test_an_image_has_a_mac_for_each_device(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["keys", "put", NODE.hex(), "UMK", "--key", "env:UMK"]) == 0
    image = tmp_path / "image.bin"
    image.write_bytes(bytes(1000))
    expected = image_mac(device_keys(Key(UMK), NODE, OsgpProfile()).kfw, bytes(1000)).hex()
    assert _json(capsys, "image-mac", NODE.hex(), str(image))["mac"] == expected


def test_labels_of_another_network_are_those_of_its_profile(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = '[labels]\nkfw = "ANOTHER/FW"\n'
    (tmp_path / "other.toml").write_text(other)
    image = tmp_path / "image.bin"
    image.write_bytes(bytes(1000))
    assert run(["keys", "put", NODE.hex(), "UMK", "--key", "env:UMK"]) == 0
    ours = _json(capsys, "image-mac", NODE.hex(), str(image))["mac"]
    monkeypatch.setenv("OSGP_PROFILE", str(tmp_path / "other.toml"))
    theirs = image_mac(device_keys(Key(UMK), NODE, OsgpProfile.from_toml(other)).kfw, bytes(1000)).hex()
    assert ours != theirs == _json(capsys, "image-mac", NODE.hex(), str(image))["mac"]
    monkeypatch.setenv("OSGP_PROFILE", str(tmp_path / "none.toml"))
    assert "none.toml" in _said(capsys, "image-mac", NODE.hex(), str(image), status=1).replace(" ", "")  # wrapped


def test_a_list_is_taken_over_and_given_away_encrypted_or_wrapped(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = tmp_path / "utility.csv"
    listed.write_text(f"Serial;MAK;RK\nkitchen;{MAK};\ncellar;{MAK};hex:{'a1b2c3d4e5' * 4}\n")
    assert _json(capsys, "import", str(listed)) == {"imported": 3}
    more = tmp_path / "more.json"
    more.write_text(json.dumps([{"device": NODE.hex(), "kind": "umk", "key": UMK.hex(), "epoch": 7}]))
    assert _json(capsys, "import", str(more)) == {"imported": 1}
    key = tmp_path / "wrapping"
    key.write_text("5d0c9e2b71a84f36c8e07d1592ba6f43")
    assert run(["keys", "export", str(tmp_path / "w.csv"), "--wrap", f"file:{key}"]) == 0
    assert run(["keys", "export", str(tmp_path / "e.json")]) == 0
    for path in (tmp_path / "w.csv", tmp_path / "e.json"):
        assert MAK.encode() not in path.read_bytes()
        assert UMK.hex().encode() not in path.read_bytes()
    for number, source in enumerate(
        (["w.csv", "--unwrap", f"file:{key}"], ["e.json", "--encrypted"]),
    ):
        other = tmp_path / f"other{number}.json"
        assert run(["keys", "init", "--vault", str(other)]) == 0
        assert run(["keys", "import", str(tmp_path / source[0]), *source[1:], "--vault", str(other)]) == 0
        found = VaultKeys(Vault.open(other, WORD), other)
        assert found.vault.get("kitchen", "MAK").secret() == MAK.encode()
        assert [each.first_epoch for each in found.umks(NODE)] == [7]
    key.write_text("5d0c9e2b71a84f36c8e07d1592ba6f44")
    third = ["--vault", str(tmp_path / "other0.json")]
    assert "another key" in _said(
        capsys, "import", str(tmp_path / "w.csv"), "--unwrap", f"file:{key}", *third, status=1
    )


def test_no_key_leaves_in_clear_but_in_a_laboratory(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["keys", "put", "kitchen", "MAK", "--key", "env:MAK"]) == 0
    out = tmp_path / "plain.csv"
    assert "--insecure-lab" in _said(capsys, "export", str(out), "--plain", status=2)
    assert not out.exists()
    assert MAK not in _said(capsys, "export", str(out), "--plain", "--insecure-lab", status=0)
    assert MAK.encode().hex() in out.read_text()
    assert out.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("text", ["00112233445566778899aabbccddeeff0", "", "x"])
def test_a_list_with_a_mistake_is_refused_whole(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    listed = tmp_path / "list.csv"
    listed.write_text(f"device,kind,key\nkitchen,MAK,{MAK}\n050102030405,UMK,{text}\n")
    said = _said(capsys, "import", str(listed), status=2)
    assert "row 2" in said
    assert MAK not in said
    assert _json(capsys, "list") == []


def test_known_keys_are_refused_but_in_a_laboratory(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KNOWN", "000102030405060708090a0b0c0d0e0f")
    words = ["put", NODE.hex(), "UMK", "--key", "env:KNOWN"]
    assert "plain counting" in _said(capsys, *words, status=2)
    listed = tmp_path / "list.csv"
    listed.write_text(f"device,kind,key\nkitchen,MAK,hex:{'01' * 16}\n")
    assert "nothing was imported" in _said(capsys, "import", str(listed), status=2)
    assert _json(capsys, "list") == []
    assert run(["keys", *words, "--insecure-lab"]) == 0


def test_keys_are_due_by_a_schedule(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["keys", "put", NODE.hex(), "UMK", "--key", "env:UMK"]) == 0
    assert run(["keys", "rotate", CONCENTRATOR.hex(), "KB"]) == 0
    assert _json(capsys, "due") == []
    assert [each["kind"] for each in _json(capsys, "due", "--within", "91")] == ["KB"]
    assert run(["keys", "schedule", "umk", "30"]) == 0
    assert [each["kind"] for each in _json(capsys, "due", "--within", "91")] == ["UMK", "KB"]


def test_a_key_from_before_the_notes_is_due_at_once(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "old.json"
    vault = Vault.create(old, WORD)
    vault.put("kitchen", "MAK", Key(MAK.encode()))
    vault.save()
    assert json.loads(old.read_text())["version"] == 1
    assert [each["due"] for each in _json(capsys, "due", "--vault", str(old))] == [0]


def test_the_trail_says_who_and_what_and_never_a_key(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["keys", "put", "kitchen", "MAK", "--key", "env:MAK"]) == 0
    assert run(["keys", "remove", "kitchen"]) == 0
    entries = _json(capsys, "audit")
    assert [each["what"] for each in entries] == ["init", "put kitchen/MAK", "remove kitchen"]
    assert all(each["who"] and each["when"] and each["saved"] for each in entries)
    assert MAK not in place.with_name("vault.json.audit").read_text()


@pytest.mark.parametrize("harm", ["change", "cut", "drop", "swap", "gone", "forge"])
def test_harm_to_the_trail_is_found(place: Path, capsys: pytest.CaptureFixture[str], harm: str) -> None:
    assert run(["keys", "put", "kitchen", "MAK", "--key", "env:MAK"]) == 0
    trail = place.with_name("vault.json.audit")
    first, second = trail.read_text().splitlines(keepends=True)
    harmed = {
        "change": first + second.replace("kitchen", "cellars"),
        "cut": first,
        "drop": second,
        "swap": second + first,
        "gone": "",
        "forge": first + second + second.replace('"number": 2', '"number": 3'),
    }
    trail.write_text(harmed[harm])
    assert "audit trail" in _said(capsys, "audit", status=1)
    assert "audit trail" in _said(capsys, "remove", "kitchen", status=1), "nothing is done without a trail"
    assert _json(capsys, "list") == [{"name": "kitchen", "kinds": ["MAK"]}]


def test_power_that_fails_between_trail_and_vault_leaves_both_usable(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service = VaultKeys(Vault.open(place, WORD), place)
    service.record("put kitchen/MAK", 1e9)  # and the power goes before the vault is saved
    with place.with_name("vault.json.audit").open("a") as file:
        file.write('{"number": 3, "wh')
    assert [each["saved"] for each in _json(capsys, "audit")] == [True, False]
    assert run(["keys", "put", "cellar", "MAK", "--key", "env:MAK"]) == 0
    assert [each["what"] for each in _json(capsys, "audit")] == ["init", "put kitchen/MAK", "put cellar/MAK"]


def test_a_wrong_passphrase_speaks_to_people(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OSGP_VAULT_PASSPHRASE", "wrong")
    assert "passphrase is wrong" in _said(capsys, "list", status=1)


def test_a_strange_node_is_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "12 hex digits" in _said(capsys, "put", "kitchen", "UMK", "--key", "env:UMK", status=2)
    assert "no UMK" in _said(capsys, "rotate", NODE.hex(), status=1)
