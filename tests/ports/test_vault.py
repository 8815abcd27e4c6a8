"""The vault refuses what it cannot trust, loses nothing, and shows nothing."""

from __future__ import annotations

import json
import logging
import pickle
import traceback
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osgp.crypto.keys import Key
from osgp.ports import vault as module
from osgp.ports.vault import Vault, default_vault_path, read_passphrase, resolve_key
from osgp.wire.errors import BadDigest, ConfigError, Error, NoKey, StoreError

CHEAP = {"memory_kib": 64, "iterations": 1, "lanes": 1}
SECRET = b"A1B2C3D4E5F60718293A"
WORD = "correct horse"


@pytest.fixture
def made(tmp_path: Path) -> Path:
    path = tmp_path / "vault.json"
    vault = Vault.create(path, WORD, costs=CHEAP)
    vault.put("meter-1", "mbk", Key(SECRET))
    vault.put("meter-1", "RK", Key(bytes(range(20))))
    vault.put("dc 7", "OMAK", Key(bytes(range(12))))
    vault.save()
    return path


def test_what_was_put_comes_back(made: Path) -> None:
    vault = Vault.open(made, WORD)
    assert vault.names() == ["dc 7", "meter-1"]
    assert vault.kinds("meter-1") == ["MBK", "RK"]
    assert vault.get("meter-1", "MBK").secret() == SECRET
    assert vault.get("dc 7", "omak") == Key(bytes(range(12)))
    vault.remove("meter-1", "RK")
    vault.remove("dc 7")
    vault.save()
    again = Vault.open(made, WORD)
    assert [(name, again.kinds(name)) for name in again.names()] == [("meter-1", ["MBK"])]
    again.remove("meter-1", "MBK")
    assert again.names() == []


def test_the_file_is_for_its_owner_only_and_nothing_else_is_left(made: Path) -> None:
    assert made.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in made.parent.iterdir()] == ["vault.json"]


def test_neither_names_nor_keys_are_readable_in_the_file(made: Path) -> None:
    raw = made.read_bytes()
    for secret in (b"meter-1", SECRET, SECRET.hex().encode(), WORD.encode()):
        assert secret not in raw


def test_a_wrong_passphrase_is_refused_without_showing_it(made: Path) -> None:
    wrong = "-".join(["staple", "battery"])  # not as one literal: tracebacks show source lines
    with pytest.raises(BadDigest) as caught:
        Vault.open(made, wrong)
    assert wrong not in "".join(traceback.format_exception(caught.value))
    assert caught.value.hint


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_cut_or_changed_file_is_refused(data: st.DataObject, made: Path, tmp_path: Path) -> None:
    raw = made.read_bytes().rstrip()
    other = tmp_path / "other.json"
    if data.draw(st.booleans()):
        changed = raw[: data.draw(st.integers(0, len(raw) - 1))]
    else:
        place = data.draw(st.integers(0, len(raw) - 1))
        changed = raw[:place] + bytes([raw[place] ^ 1 << data.draw(st.integers(0, 6))]) + raw[place + 1 :]
    other.write_bytes(changed)
    other.chmod(0o600)
    try:
        vault = Vault.open(other, WORD)
    except (StoreError, BadDigest) as error:
        shown = "".join(traceback.format_exception(error)) + error.hint
        assert SECRET.decode() not in shown
        assert WORD not in shown
    else:
        # Blanks between the parts of the envelope carry nothing, and base64 ignores some bits of its last character.
        assert vault.get("meter-1", "MBK").secret() == SECRET


@pytest.mark.parametrize(
    ("part", "value"),
    [
        (("kdf", "memory_kib"), 1 << 30),
        (("kdf", "iterations"), 0),
        (("kdf", "iterations"), True),
        (("kdf", "lanes"), 9),
        (("kdf", "name"), "pbkdf2"),
        (("kdf", "salt"), "!"),
        (("cipher", "name"), "rc4"),
        (("cipher", "nonce"), "AAAA"),
        (("version",), 3),
        (("format",), "other"),
        (("sealed",), "AAAA"),
        (("kdf",), None),
    ],
)
def test_a_strange_envelope_is_refused_before_work_is_done(
    made: Path, part: tuple[str, ...], value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = json.loads(made.read_bytes())
    holder = document
    for name in part[:-1]:
        holder = holder[name]
    holder[part[-1]] = value
    made.write_text(json.dumps(document))
    monkeypatch.setattr(module, "_derive", lambda *_: pytest.fail("the passphrase was worked on"))
    with pytest.raises(StoreError):
        Vault.open(made, WORD)


def test_changed_costs_within_the_limits_break_the_seal(made: Path) -> None:
    document = json.loads(made.read_bytes())
    document["kdf"]["note"] = "added"
    made.write_text(json.dumps(document))
    with pytest.raises(BadDigest):
        Vault.open(made, WORD)


def test_a_passphrase_can_be_changed(made: Path) -> None:
    vault = Vault.open(made, WORD)
    vault.change_passphrase("another")
    vault.save()
    assert Vault.open(made, "another").get("meter-1", "MBK").secret() == SECRET
    with pytest.raises(BadDigest):
        Vault.open(made, WORD)


def test_two_writers_do_not_overwrite_each_other(made: Path) -> None:
    first, second = Vault.open(made, WORD), Vault.open(made, WORD)
    first.put("new", "MAK", Key(bytes(range(16))))
    first.save()
    second.put("lost", "MAK", Key(bytes(range(16))))
    with pytest.raises(StoreError, match="another process"):
        second.save()
    assert Vault.open(made, WORD).names() == ["dc 7", "meter-1", "new"]


def test_a_failed_write_leaves_the_old_vault(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vault = Vault.open(made, WORD)
    vault.remove("meter-1")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "replace", fail)
    with pytest.raises(StoreError, match="No space"):
        vault.save()
    monkeypatch.undo()
    assert "meter-1" in Vault.open(made, WORD).names()
    assert [entry.name for entry in made.parent.iterdir()] == ["vault.json"]


def test_what_is_missing_is_said(made: Path, tmp_path: Path) -> None:
    vault = Vault.open(made, WORD)
    for call in (
        lambda: vault.get("meter-1", "MAK"),
        lambda: vault.get("nobody", "MAK"),
        lambda: vault.remove("nobody"),
        lambda: vault.remove("meter-1", "PK"),
    ):
        with pytest.raises(NoKey):
            call()
    for call in (
        lambda: vault.put("a/b", "MBK", Key(SECRET)),
        lambda: vault.put("", "MBK", Key(SECRET)),
        lambda: vault.put("a", "XX", Key(SECRET)),
        lambda: vault.put("a", "OMAK", Key(SECRET)),
        lambda: vault.put("a", "MBK", Key(bytes(12))),
        lambda: Vault.create(tmp_path / "x", "", costs=CHEAP),
    ):
        with pytest.raises(ConfigError):
            call()
    with pytest.raises(StoreError):
        Vault.open(tmp_path / "none", WORD)
    with pytest.raises(StoreError, match="exists"):
        Vault.create(made, WORD)
    assert vault.names() == ["dc 7", "meter-1"]


def test_an_open_vault_shows_nothing(made: Path) -> None:
    vault = Vault.open(made, WORD)
    assert SECRET.decode() not in repr(vault)
    assert WORD not in repr(vault)
    with pytest.raises(TypeError):
        pickle.dumps(vault)


def test_a_vault_open_to_others_is_reported(made: Path, caplog: pytest.LogCaptureFixture) -> None:
    made.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        Vault.open(made, WORD)
    assert "0600" in caplog.text


# ---- where a key comes from
def test_every_source_gives_the_key(made: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "key.txt"
    file.write_bytes(SECRET + b"\n")
    environ = {"OSGP_VAULT": str(made), "OSGP_VAULT_PASSPHRASE": WORD, "METER_KEY": SECRET.decode()}
    asked: list[str] = []

    def ask(question: str) -> str:
        asked.append(question)
        return SECRET.decode()

    with caplog.at_level(logging.WARNING):
        for source in ("vault:meter-1/MBK", "prompt:", "prompt:Key of meter 1?", f"file:{file}", "env:METER_KEY"):
            assert resolve_key(source, use="mep", environ=environ, ask=ask).secret() == SECRET
    assert asked == ["Key: ", "Key of meter 1? "]
    assert caplog.text == ""


def test_the_passphrase_is_asked_for_when_the_environment_has_none(made: Path) -> None:
    key = resolve_key("vault:meter-1/MBK", vault_path=made, environ={}, ask=lambda question: WORD)
    assert key.secret() == SECRET


@pytest.mark.parametrize("literal", [SECRET.decode(), "ascii:" + SECRET.decode(), "01" * 16])
def test_a_key_on_the_command_line_works_with_a_warning(literal: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert len(resolve_key(literal, use="mep", environ={})) in (16, 20)
    assert "visible" in caplog.text
    assert literal not in caplog.text


def test_sources_that_lead_nowhere(made: Path, tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.write_bytes(b"0" * 5000)

    def nobody(question: str) -> str:
        raise EOFError

    for source in (
        "vault:meter-1",
        "vault:meter-1/XX",
        "vault:meter-1/PK",
        "env:NOT_SET",
        "file:" + str(tmp_path / "none"),
        f"file:{big}",
        "prompt:",
        "far too long to be a key of any kind",
    ):
        with pytest.raises(Error) as caught:
            resolve_key(source, vault_path=made, environ={"OSGP_VAULT_PASSPHRASE": WORD}, ask=nobody)
        assert "far too" not in str(caught.value) + caught.value.hint
    with pytest.raises(StoreError):
        resolve_key("vault:a/MBK", vault_path=tmp_path / "none", environ={}, ask=nobody)


def test_passphrases() -> None:
    answers = iter(["one", "two"])
    with pytest.raises(ConfigError, match="differ"):
        read_passphrase(new=True, environ={}, ask=lambda question: next(answers))
    assert read_passphrase(new=True, environ={}, ask=lambda question: "same") == "same"
    with pytest.raises(ConfigError, match="empty"):
        read_passphrase(environ={}, ask=lambda question: "")


def test_the_place_of_the_vault() -> None:
    assert default_vault_path({"OSGP_VAULT": "/x/y"}) == Path("/x/y")
    assert default_vault_path({"XDG_CONFIG_HOME": "/c"}) == Path("/c/osgp/vault.json")
    assert default_vault_path({}).name == "vault.json"
