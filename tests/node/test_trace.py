"""The trace: the form on disk, the ring, and that no password gets in, however the bytes are cut."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp.node.trace import Direction, Redactor, TraceRecord, TraceRing, TraceWriter, read_trace, tap
from osgp.wire.crc import crc16_x25
from osgp.wire.errors import BadValue

PASSWORD = b"0123456789abcdefghij"


def packet(data: bytes, ctrl: int = 0, sequence: int = 0) -> bytes:
    """A C12.18 packet (optical guide; layout EE, identity, ctrl, seq-nbr, length, data, CRC low byte first)."""
    body = bytes([0xEE, 0, ctrl, sequence]) + len(data).to_bytes(2, "big") + data
    return body + crc16_x25(body).to_bytes(2, "little")


def record(data: bytes, direction: Direction = "out", explained: object = None) -> TraceRecord:
    return TraceRecord(1.5, "reader", "line", direction, data, explained)


def passed(*pieces: bytes) -> bytes:
    redactor = Redactor()
    return b"".join(redactor.redact(record(piece)).data for piece in pieces)


def test_records_go_to_disk_and_back() -> None:
    stream = io.StringIO()
    writer = TraceWriter(stream)
    records = [
        TraceRecord(0.25, "meter 7", "mep", "in", b"\x00\x00", {"kind": "alert"}),
        TraceRecord(1.0, "reader", "line", "out", b"\x06"),
    ]
    for one in records:
        writer.record(one)
    lines = stream.getvalue().splitlines()
    assert json.loads(lines[0]) == {
        "time": 0.25,
        "node": "meter 7",
        "floor": "mep",
        "direction": "in",
        "bytes": "0000",
        "explained": {"kind": "alert"},
    }
    assert list(read_trace([*lines, ""])) == records


@pytest.mark.parametrize(
    "line", ["{", "[]", "7", "{}", '{"time":1,"node":"a","floor":"b","direction":"up","bytes":"00"}', '"x"']
)
def test_a_line_that_is_no_record_is_named_by_its_number(line: str) -> None:
    with pytest.raises(BadValue, match="line 2"):
        list(read_trace(["", line]))


def test_the_ring_keeps_the_newest_and_hides_too() -> None:
    ring = TraceRing(2)
    taken = tap(ring, "reader")
    taken(1.0, "out", b"old")
    taken(2.0, "out", packet(b"\x51" + PASSWORD))
    taken(3.0, "in", b"\x06")
    assert len(ring) == 2
    kept = list(ring)
    assert [one.time for one in kept] == [2.0, 3.0]
    assert PASSWORD not in kept[0].data
    assert kept[1] == TraceRecord(3.0, "reader", "line", "in", b"\x06")


def test_what_holds_no_secret_is_left_as_it_is() -> None:
    one = record(packet(b"\x30\x00\x17"), explained={"service": "full read", "key_length": 16, "monkey": "no"})
    assert Redactor().redact(one) is one


@given(st.lists(st.integers(1, 30)), st.binary(max_size=20), st.booleans())
def test_a_password_is_hidden_wherever_the_stream_is_cut(cuts: list[int], before: bytes, marked: bool) -> None:
    stream = before + (b"\xee" if marked else b"") + packet(b"\x51" + PASSWORD) + packet(b"\x20")
    pieces, rest = [], stream
    for cut in cuts:
        pieces.append(rest[:cut])
        rest = rest[cut:]
    out = passed(*pieces, rest)
    assert len(out) == len(stream)
    assert not any(PASSWORD[start : start + 3] in out for start in range(18))
    assert packet(b"\x51" + PASSWORD)[-2:] not in out[len(before) :]


def test_noise_that_looks_like_a_packet_does_not_hide_the_header_of_the_real_one() -> None:
    for length in range(1, 30):
        noise = b"\xee\x00\x00\x00" + length.to_bytes(2, "big") + b"\x51"
        out = passed(noise + packet(b"\x51" + PASSWORD))
        assert not any(PASSWORD[start : start + 2] in out for start in range(19))


def test_after_the_password_everything_is_seen_again() -> None:
    secret, after = packet(b"\x51" + PASSWORD), packet(b"\x30\x00\x00")
    assert passed(secret + after) == secret[:7] + b"*" * 22 + after
    assert passed(b"\x51" + PASSWORD) == b"\x51" + b"*" * 20


def test_a_password_over_several_packets_is_hidden() -> None:
    parts = [packet(b"\x51" + PASSWORD[:5], 0xC0, 2), packet(PASSWORD[5:12], 0x80, 1), packet(PASSWORD[12:], 0xA0, 0)]
    after = packet(b"\x30\x00\x00", 0x20)
    out = passed(*parts, after)
    assert not any(PASSWORD[start : start + 2] in out for start in range(19))
    assert out.endswith(after)


@pytest.mark.parametrize("table", [42, 45, 2061])
def test_writes_to_tables_with_keys_are_hidden_at_both_doors(table: int) -> None:
    number = table.to_bytes(2, "big")
    optical = packet(b"\x40" + number + b"\x00\x14" + PASSWORD + b"\x00")
    message = b"\x4f" + number + b"\x00\x00\x1e" + b"\x00\x14" + PASSWORD + bytes(12)
    mep = len(message).to_bytes(2, "big") + message
    for stream in (optical, mep):
        for step in (1, 7, len(stream)):
            out = passed(*(stream[start : start + step] for start in range(0, len(stream), step)))
            assert not any(PASSWORD[start : start + 3] in out for start in range(18))
    tiny = [packet(b"\x40" + number[:1], 0xC0, 1), packet(number[1:] + PASSWORD, 0x80, 0)]
    assert PASSWORD not in passed(*tiny)


def test_other_writes_are_not_hidden() -> None:
    stream = packet(b"\x40\x00\x07\x00\x03abc\x00") + b"\x00\x08\x40\x00\x07\x00\x03abc"
    assert passed(stream) == stream


def test_the_explanation_hides_what_is_called_a_key() -> None:
    explained = {
        "password": "0123",
        "mbk": None,
        "user_id": 2,
        "fields": [
            {"name": "DEVICES[0].KEY", "value": "secret", "raw": "00", "offset": 30},
            {"name": "KEY_LENGTH", "value": 16},
        ],
        "nested": ({"Key": [1, 2]},),
    }
    assert Redactor().redact(record(b"", explained=explained)).explained == {
        "password": "(hidden)",
        "mbk": None,
        "user_id": 2,
        "fields": [
            {"name": "DEVICES[0].KEY", "value": "(hidden)", "raw": "(hidden)", "offset": 30},
            {"name": "KEY_LENGTH", "value": 16},
        ],
        "nested": [{"Key": "(hidden)"}],
    }


def test_directions_and_nodes_do_not_disturb_each_other() -> None:
    redactor = Redactor()
    secret = packet(b"\x51" + PASSWORD)
    assert redactor.redact(record(secret[:10])).data == secret[:7] + b"***"
    assert redactor.redact(record(b"\x06", "in")).data == b"\x06"
    assert redactor.redact(record(secret[10:])).data == b"*" * (len(secret) - 10)
