"""Captures in words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.mep.mep_peer import BY_NAME, MAK, READ, VECTORS, WRITE, World, byte_by_byte, client, raw, server

from osgp.mep.explain import TO_CLIENT, TO_SERVER, Explainer, explain

KEYS = {"MAK": MAK, "other": bytes(range(16))}
FRAMES = [vector for vector in VECTORS if "hex" in vector]
SAME = (
    "length",
    "message",
    "request_code",
    "table",
    "offset",
    "count",
    "data",
    "sequence_number",
    "response_code",
    "digest",
)


def walk(node: Any) -> Any:
    yield node
    for child in node.children:
        yield from walk(child)


def test_all_vectors_in_order_with_keys() -> None:
    """Every frame decodes, its direction is guessed, and every digest whose key is known is verified."""
    explainer = Explainer(KEYS)
    for vector in FRAMES:
        row = explainer.frame(bytes.fromhex(vector["hex"]))
        assert row.direction == vector["direction"], vector["name"]
        if vector["name"] != "appendix-a-request":  # its key is not public
            assert row.ok, (vector["name"], row.error)
        document = row.to_json(tree=True)
        json.dumps(document)
        assert {"door", "direction", "fields", "ok", "error"} <= document.keys()
        assert document["door"] == "mep"


@pytest.mark.parametrize("vector", FRAMES, ids=lambda v: v["name"])
def test_fields_are_those_of_the_vectors(vector: dict[str, Any]) -> None:
    decoded = vector["decoded"]
    if "encrypted_span" in decoded or vector["name"].startswith(("full-read-with-length", "tls-read")):
        return  # the vectors call other things by these names there; tests of their own are below
    partner = FRAMES[FRAMES.index(vector) - 1]
    explainer = Explainer(KEYS)
    if vector["direction"] == TO_CLIENT:
        explainer.frame(bytes.fromhex(partner["hex"]))
    fields = explainer.frame(bytes.fromhex(vector["hex"]), direction=vector["direction"]).fields
    for name in SAME:
        told_otherwise = name == "table" and vector["direction"] == TO_CLIENT
        if name in decoded and not told_otherwise and not str(decoded[name]).startswith("left out"):
            assert fields[name] == decoded[name], name
    if "table_data" in decoded and vector["direction"] == TO_CLIENT and "tls" not in vector["name"]:
        assert fields["table_data"] == decoded["table_data"]


def test_a_capture_without_keys() -> None:
    rows = explain(raw("rc4-example-1-first-read") + b"\0\0" + raw("rc4-example-1-invalid-sequence"))
    assert [row.direction for row in rows] == [TO_SERVER, TO_CLIENT, TO_CLIENT]
    assert [row.offset for row in rows] == [0, 22, 24]
    assert all(row.ok for row in rows)
    assert rows[0].fields["table_name"] == "BT23"
    assert "alert" in rows[1].fields["meaning"]


def test_a_response_is_proven_by_its_request() -> None:
    good, bad = raw("rc4-example-1-read-response"), bytearray(raw("rc4-example-1-read-response"))
    bad[20] ^= 1
    request = raw("rc4-example-1-second-read")
    assert explain(request + good, keys=KEYS)[1].fields["digest_ok"] is True
    row = explain(request + bytes(bad), keys=KEYS)[1]
    assert not row.ok
    assert row.fields["table_name"] == "BT23", "still read"


def test_the_forgeable_acknowledgement_is_pointed_out() -> None:
    row = explain(raw("rc4-example-2-register-device") + raw("rc4-example-2-write-response"), keys=KEYS)[1]
    assert "everybody" in row.fields["note"]


def test_encrypted_frames_without_a_key_say_so_and_with_it_open() -> None:
    capture = raw("example-1-read-encrypted-request") + raw("example-1-read-encrypted-response")
    opened = explain(capture, keys=KEYS)
    assert [row.ok for row in opened] == [True, True]
    assert opened[0].fields["table"] == 23
    assert opened[1].fields["count"] == 44
    closed = explain(capture)
    assert "message" not in closed[0].fields


def test_the_guides_tls_session_opens() -> None:
    names = [vector["name"] for vector in FRAMES if vector["name"].startswith("tls-")]
    rows = explain(b"".join(raw(name) for name in names), keys={"MAK": MAK, "MBK": bytes(16)})
    assert [row.ok for row in rows] == [True] * 6
    assert rows[2].fields["records"][0]["messages"][0]["psk_identity"] == "640001"
    assert rows[2].fields["records"][2]["plaintext"] == "1400000c37701629490c1207b1e55976"
    assert rows[4].fields["message"] == BY_NAME["tls-read-request"]["decoded"]["plaintext"]
    assert rows[5].fields["table_data"] == "02"
    assert rows[5].fields["table_name"] == "ET70"
    assert rows[5].fields["access"] == "MAK"


def test_tls_without_key_or_handshake() -> None:
    rows = explain(raw("tls-client-hello") + raw("tls-server-hello"))
    assert all(row.ok for row in rows)
    assert rows[0].fields["records"][0]["messages"][0]["cipher_suites"] == ["00a9", "00ff"]
    [late] = explain(raw("tls-read-request"), keys=KEYS)
    assert late.fields["records"][0]["type"] == "application_data"
    assert "handshake" in late.error
    assert "message" not in late.fields


@pytest.mark.parametrize("mode", ["rc4", "rc4-encrypted", "tls"])
def test_what_our_own_machines_say_is_explained(mode: str) -> None:
    log: list[bytes] = []

    def pipe(direction: str, data: bytes) -> list[tuple[float, bytes]]:
        log.append(data)
        return byte_by_byte(direction, data)

    machine = client(legacy=mode != "tls", encrypt=mode == "rc4-encrypted")
    world = World(machine, server(pauses=False), pipe)
    world.ask(READ, read=True)
    world.ask(WRITE, read=False)
    rows = explain(b"".join(log), keys=KEYS)
    assert all(row.ok for row in rows), [row.error for row in rows]
    assert [row.fields.get("table_name") for row in rows if row.fields.get("request_code")][-2:] == ["BT23", "ET50"]


def test_bit_offsets_count_from_the_start_of_the_frame() -> None:
    [row] = explain(raw("rc4-example-2-register-device"), keys=KEYS)
    assert row.tree is not None
    places = {node.orig or node.name: (node.bit_offset, 8 * node.size) for node in walk(row.tree)}
    assert places["LENGTH"] == (0, 16)
    assert places["TABLE"] == (24, 16)
    assert places["OFFSET"] == (40, 24)
    assert places["SEQUENCE_NUMBER"] == (88, 32)
    assert places["DIGEST"] == (120, 64)


def test_transactions_and_procedures_are_taken_apart() -> None:
    [row] = explain(raw("transaction-multiple-request"), keys=KEYS)
    assert [record["table_name"] for record in row.fields["transaction"]["records"]] == [
        "ET11",
        "BT20",
        "BT21",
        "ET04",
        "ET14",
        "ET15",
    ]
    [row] = explain(raw("procedure-ep17-remove-device"), keys=KEYS)
    assert row.fields["procedure"] == {"name": "EP17", "sequence": 7, "parameters": "00f803"}


def test_garbage_between_frames_is_a_row_of_its_own() -> None:
    rows = explain(b"\x7f\x7f\x7f" + raw("rc4-example-1-first-read") + b"\xff", keys=KEYS)
    assert [row.ok for row in rows] == [False, True, False]
    assert b"".join(row.raw for row in rows) == b"\x7f\x7f\x7f" + raw("rc4-example-1-first-read") + b"\xff"


@given(st.binary(max_size=200), st.booleans())
def test_anything_is_explained_somehow(data: bytes, keyed: bool) -> None:
    rows = explain(data, keys=KEYS if keyed else None)
    assert b"".join(row.raw for row in rows) == data
    json.dumps([row.to_json(tree=True) for row in rows])


@given(st.sampled_from(FRAMES), st.data())
def test_damaged_frames_are_explained_somehow(vector: dict[str, Any], data: st.DataObject) -> None:
    frame = bytearray.fromhex(vector["hex"])
    frame[data.draw(st.integers(0, len(frame) - 1))] ^= data.draw(st.integers(1, 255))
    explainer = Explainer(KEYS)
    for start in ("tls-client-hello", "tls-server-hello", "tls-client-finished"):
        explainer.frame(raw(start))
    json.dumps(explainer.frame(bytes(frame)).to_json(tree=True))
    for row in explain(bytes(frame), keys=KEYS):
        json.dumps(row.to_json(tree=True))
