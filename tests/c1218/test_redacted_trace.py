"""A password packet out of our own trace, where password and CRC are stars, is no damaged packet."""

from __future__ import annotations

from osgp.c1218.explain import explain
from osgp.c1218.packet import HEADER_SIZE


def test_a_redacted_password_is_said_to_be_hidden_not_damaged() -> None:
    raw = bytes.fromhex("ee002000001551") + b"*" * 22
    row = explain(raw + b"\x06")[0]
    assert row.ok
    assert row.to_json()["fields"]["message"] == {"service": "security", "password": "(hidden)"}
    assert row.raw[HEADER_SIZE] == 0x51


def test_other_damage_is_still_told() -> None:
    raw = bytes.fromhex("ee002000001551") + b"*" * 20 + b"+*"
    assert not explain(raw)[0].ok
