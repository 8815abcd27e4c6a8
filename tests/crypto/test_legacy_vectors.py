"""Every vector of the old digest and encryption, on each way of computing it."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from osgp.crypto import legacy

VECTORS = Path(__file__).parent.parent / "vectors" / "legacy_crypto"


def load(file: str) -> list[dict[str, Any]]:
    return json.loads((VECTORS / f"{file}.json").read_text())["vectors"]


def where(file: str, output: str) -> list[Any]:
    return [pytest.param(v, id=v["name"]) for v in load(file) if output in v["outputs"]]


def octets(text: str) -> bytes:
    return bytes.fromhex(text)


@pytest.fixture(params=["plain", "compiled"])
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "compiled":
        importlib.import_module("numba")
        assert legacy.prefer_fast()
    yield request.param
    legacy.prefer_plain()


def test_no_vector_is_left_out() -> None:
    names = [v["name"] for file in ("power_line", "authentication", "mep", "rc4") for v in load(file)]
    assert len(names) == len(set(names)) == 65


@pytest.mark.parametrize("vector", [p for p in where("power_line", "digest") if "key" in p.values[0]["inputs"]])
def test_oma_digest(vector: dict[str, Any], way: str) -> None:
    inputs = vector["inputs"]
    assert legacy.oma_digest(octets(inputs["key"]), octets(inputs["message"])).hex() == vector["outputs"]["digest"]


@pytest.mark.parametrize("vector", where("mep", "digest"))
def test_mep_digest(vector: dict[str, Any], way: str) -> None:
    inputs = vector["inputs"]
    assert legacy.mep_digest(octets(inputs["key"]), octets(inputs["message"])).hex() == vector["outputs"]["digest"]


@pytest.mark.parametrize(
    "vector", where("power_line", "state_after_each_key_byte") + where("mep", "state_after_each_key_byte")
)
def test_every_key_byte_leaves_the_traced_state(vector: dict[str, Any]) -> None:
    key, message = octets(vector["inputs"]["key"]), octets(vector["inputs"]["message"])
    states = vector["outputs"]["state_after_each_key_byte"]
    padded = message.ljust(8 * len(states), b"\0")
    rounds = legacy.ROUNDS[len(key)]
    assert len(states) == rounds
    for count, state in enumerate(states, 1):
        # The machine stops where its message does, so a shortened message shows the state in between.
        assert legacy._absorb(key, rounds, bytes(8), padded[: 8 * count]).hex() == state


def test_zeros_at_the_end_do_not_change_a_digest_within_the_block(way: str) -> None:
    (vector,) = [v for v in load("power_line") if v["name"] == "oma-trailing-zeros"]
    key = octets(vector["inputs"]["key"])
    found = {legacy.oma_digest(key, octets(message)).hex() for message in vector["inputs"]["messages"]}
    assert found == {vector["outputs"]["digest_of_all"]}


def test_an_acknowledgement_can_be_forged_from_its_request(way: str) -> None:
    (vector,) = [v for v in load("mep") if v["name"] == "reflected-acknowledgement"]
    key, request = octets(vector["inputs"]["key"]), octets(vector["inputs"]["request_with_sequence"])
    spans = [request, *(request + octets(tail) for tail in vector["inputs"]["forged_responses"])]
    expected = vector["outputs"]["digest_of_request_and_of_both_responses"]
    assert {legacy.mep_digest(key, span).hex() for span in spans} == {expected}


@pytest.mark.parametrize("vector", where("authentication", "response"))
def test_challenge_answers(vector: dict[str, Any]) -> None:
    inputs = {name: octets(value) for name, value in vector["inputs"].items()}
    if "oma_destination_9_bytes" in inputs:
        answer = legacy.open_media_digest(
            inputs["key"], inputs["challenge"], inputs["oma_destination_9_bytes"], inputs["apdu"]
        )
    else:
        answer = legacy.en14908_digest(inputs["key"], inputs["challenge"], inputs["apdu"])
    assert answer.hex() == vector["outputs"]["response"]


@pytest.mark.parametrize("vector", where("authentication", "digest"))
def test_short_key_digest(vector: dict[str, Any]) -> None:
    inputs = vector["inputs"]
    assert legacy.digest(octets(inputs["key"]), octets(inputs["message"])).hex() == vector["outputs"]["digest"]


@pytest.mark.parametrize("vector", where("power_line", "base_encryption_key"))
def test_power_line_base_key(vector: dict[str, Any]) -> None:
    base = legacy.oma_base_key(octets(vector["inputs"]["omak"]))
    out = vector["outputs"]
    assert base.hex() == out["base_encryption_key"]
    assert (base[:8].hex(), base[8:].hex()) == (out["half_1"], out["half_2"])


def test_power_line_base_key_ignores_the_second_half_of_the_omak() -> None:
    (vector,) = [v for v in load("power_line") if v["name"] == "base-key-ignores-second-half"]
    found = {legacy.oma_base_key(octets(vector["inputs"][name])).hex() for name in ("omak_a", "omak_b")}
    assert found == {vector["outputs"]["base_encryption_key_of_both"]}


@pytest.mark.parametrize("vector", where("power_line", "ciphertext"))
def test_power_line_encryption(vector: dict[str, Any], way: str) -> None:
    omak, message = octets(vector["inputs"]["omak"]), octets(vector["inputs"]["message"])
    out = vector["outputs"]
    cipher_text, digest = legacy.oma_encrypt(omak, message)
    assert (cipher_text.hex(), digest.hex()) == (out["ciphertext"], out["digest"])
    assert (cipher_text + digest).hex() == out["ciphertext_then_digest"]
    message_key = legacy.oma_message_key(omak, digest)
    assert message_key.hex() == out["message_key"]
    assert legacy.rc4(message_key, cipher_text) == message


@pytest.mark.parametrize("vector", where("rc4", "ciphertext"))
def test_rc4(vector: dict[str, Any]) -> None:
    inputs = vector["inputs"]
    assert legacy.rc4(octets(inputs["key"]), octets(inputs["plaintext"])).hex() == vector["outputs"]["ciphertext"]


@pytest.mark.parametrize("vector", where("mep", "mep_base_key"))
def test_mep_base_key(vector: dict[str, Any]) -> None:
    assert legacy.mep_base_key(octets(vector["inputs"]["key"])).hex() == vector["outputs"]["mep_base_key"]


def test_mep_exchange_keeps_one_key_stream_over_request_and_response() -> None:
    # Computed result of example 2 of the MEP guide (p. 17), enciphered: the guide prints no cipher text itself.
    key = bytes([1] * 16)
    request = octets("4f083200001e00010177636e2f")
    digest = legacy.mep_digest(key, request)
    stream = legacy.Rc4(legacy.mep_message_key(legacy.mep_base_key(key), digest))
    assert stream.update(request).hex() == "fe8bea45b54eb56b4a320503cd"
    assert digest.hex() == "86e50e2667d1e63c"
    assert stream.update(b"\0").hex() == "8a"
