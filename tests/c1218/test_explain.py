"""Captures in words."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp.c1218.explain import TO_CLIENT, TO_SERVER, explain, explain_message
from osgp.c1218.packet import build, split
from osgp.tables.services import FullRead, FullWrite, encode_request
from tests.c1218.pair import MK, Pair


def capture() -> tuple[bytes, bytes, bytes]:
    """(everything, only to the meter, only to the reader) of a whole session."""
    pair = Pair()
    pair.open()
    for request in (FullRead(0), FullRead(28), FullWrite(28, bytes(40)), FullWrite(28, bytes(80))):
        pair.ask(encode_request(request, checksum=True))
    pair.close()
    both = b"".join(data for _, _, data in pair.sent)
    return both, *(b"".join(data for _, to, data in pair.sent if to == side) for side in ("server", "client"))


def test_a_whole_session() -> None:
    both, _, _ = capture()
    rows = explain(both)
    assert all(row.ok for row in rows)
    assert MK not in b"".join(row.raw for row in rows)
    assert MK.hex() not in json.dumps([row.to_json(tree=True) for row in rows])
    assert MK.decode() not in json.dumps([row.to_json(tree=True) for row in rows])
    said = [row.fields["message"] for row in rows if "message" in row.fields]
    assert [message.get("service") for message in said if "service" in message] == [
        "ident",
        "negotiate",
        "logon",
        "security",
        "full read",
        "full read",
        "full write",
        "full write",
        "logoff",
        "terminate",
    ]
    assert said[1]["version"] == 2
    assert said[3] == {
        "response": "ok",
        "code": 0,
        "answers": "negotiate",
        "packet_size": 64,
        "packets": 2,
        "baud": 9600,
    }
    assert said[6]["password"] == "(hidden)"
    assert (said[9]["table"], said[9]["count"]) == (0, 79)
    assert said[14]["data"] == "00" * 80
    assert {row.direction for row in rows} == {TO_SERVER, TO_CLIENT}
    acks = [row for row in rows if "meaning" in row.fields]
    assert len(acks) == sum("ctrl" in row.fields for row in rows)
    assert set(rows[0].to_json()) == {"door", "direction", "fields", "ok", "error", "offset", "raw"}
    assert rows[0].to_json(tree=True)["explain"]["children"]


def test_one_direction_alone() -> None:
    _, to_server, to_client = capture()
    for data, direction in ((to_server, TO_SERVER), (to_client, TO_CLIENT)):
        for given_direction in ("", direction):
            rows = explain(data, direction=given_direction)
            assert all(row.ok for row in rows)
            assert all(row.direction == direction for row in rows if "message" in row.fields)
    answers = [row.fields["message"] for row in explain(to_client) if "message" in row.fields]
    assert (answers[0]["version"], answers[1]["packet_size"], answers[4]["count"]) == (2, 64, 79)


def test_damage_and_noise_are_shown_and_got_over() -> None:
    good = build(b"\x20")
    damaged = good[:-1] + b"\x00"
    rows = explain(b"\xff\x55\x55" + good + b"\xff" + damaged + good + b"\xee\x00\x00\x00\x00\x40" + good + b"\xee\x00")
    assert [row.fields.get("noise") for row in rows] == [3, None, 1, None, None, None, None, None]
    assert [row.ok for row in rows] == [True, True, True, False, True, False, True, False]
    assert b"".join(row.raw for row in rows)[:3] == b"\xff\x55\x55"
    assert [row.offset for row in rows][:2] == [0, 3]


def test_a_missing_part_is_told() -> None:
    first, second, third = split(bytes([0x40]) + bytes(150))
    assert [row.ok for row in explain(first + third)] == [True, False]
    assert [row.ok for row in explain(second)] == [False]


@pytest.mark.parametrize("packet_size", [16, 24, 64])
def test_passwords_stay_hidden_in_parts_and_in_damage(packet_size: int) -> None:
    key = b"SECRETSECRETSECRET!!"
    packets = split(b"\x51" + key, packet_size=packet_size)
    for data in (b"".join(packets), b"".join(packets)[:-4], b"\xff" + packets[0][:-1] + b"\x00"):
        text = json.dumps([row.to_json(tree=True) for row in explain(data)])
        for piece in (key[4:10], key[12:18]):
            assert piece.hex() not in text
            assert piece.decode() not in text


def test_messages_that_cannot_be_read_say_so() -> None:
    assert explain_message(b"") == ({}, "an empty message")
    assert explain_message(b"\x30")[1]
    assert explain_message(b"\x99")[1]
    assert explain_message(b"\x00\x00\x09\x01", answers=b"\x30\x00\x17")[1]
    assert explain_message(b"\x77", answers=b"\x20")[0]["response"] == "unknown"


@given(st.lists(st.one_of(st.binary(max_size=40), st.just(build(b"\x20")), st.just(build(b"\x51" + MK)[:20]))))
def test_any_bytes_are_explained_and_none_is_lost(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    rows = explain(data)
    assert sum(len(row.raw) for row in rows) == len(data)
    json.dumps([row.to_json(tree=True) for row in rows])
