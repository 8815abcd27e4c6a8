"""The table server bears everything: any bytes, any key, any time; it answers and lives on."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osgp.node.server import Port
from osgp.tables.services import FullRead, PartialRead, encode_request
from osgp.tables.table import number_of

from .meters import Client, make

METER = make("mbus", days=0.5)
PORTS = [Port("optical"), Port("mep1"), Port("mep2")]

_messages = st.one_of(
    st.binary(max_size=80),
    st.builds(
        lambda code, table, rest: bytes([code]) + table.to_bytes(2, "big") + rest,
        st.sampled_from([0x30, 0x3F, 0x40, 0x4F]),
        st.sampled_from([n for n in METER.image if n not in (0, 1, 11)] + [7, 4150, 6143]),
        st.binary(max_size=60),
    ),
    st.builds(
        lambda number, psn, data: (
            b"\x40\0\7" + (3 + len(data)).to_bytes(2, "big") + number.to_bytes(2, "little") + bytes([psn]) + data
        ),
        st.sampled_from([*METER.handlers, 99]),
        st.integers(0, 255),
        st.binary(max_size=30),
    ),
)  # fmt: skip


@given(
    st.lists(st.tuples(_messages, st.sampled_from(["MK", "MAK", "MBK", "RK", "open"]), st.integers(0, 2)), max_size=12),
    st.integers(0, 5000),
)
@settings(max_examples=60, deadline=None)
def test_any_message_gets_an_answer(requests: list[tuple[bytes, str, int]], seconds: int) -> None:
    meter = METER
    now = meter.at + seconds
    for message, key, port in requests:
        now += 0.1
        answer = meter.server.handle_message(message, key, now, PORTS[port])
        assert len(answer) >= 1
        assert answer[0] <= 0x0C
    probe = meter.server.handle_message(encode_request(FullRead(1), checksum=False), "MAK", now, Port("mep1"))
    assert probe[:3] == b"\0\0\x18"


def test_partial_reads_beyond_the_end_give_zeros() -> None:
    client = Client(make())
    assert client.part("BT52", 5, 6)[2:] == bytes(4)
    assert client.ask(PartialRead(999, 0, 1))[0] == 5


def test_a_repeated_procedure_number_is_refused() -> None:
    client = Client(make())
    order = number_of("EP03").to_bytes(2, "little") + b"\7"
    assert client.write("BT07", order) == 0
    assert client.write("BT07", order) == 4
    client.port.fresh = True
    assert client.write("BT07", order[:2] + b"\xff") == 4
    assert client.write("BT07", b"\1") == 1


@pytest.mark.parametrize(("key", "code"), [("MAK", 0), ("MBK", 3), ("RK", 3), ("open", 3), ("MK", 0)])
def test_keys_decide_about_writes(key: str, code: int) -> None:
    client = Client(make(), key, "mep1" if key.startswith("MA") else "optical")
    assert client.write_part("BT15", 0, b"\1") == code


def test_writes_longer_than_the_table_lose_their_surplus() -> None:
    client = Client(make(), "MAK", "mep1")
    before = client.read("ET80")
    assert client.write("ET80", before + b"more") == 0
    assert client.read("ET80") == before


def transaction(number: int, *messages: bytes) -> bytes:
    body = b"".join(len(each).to_bytes(2, "little") + each for each in messages)
    mark = number.to_bytes(2, "little")
    return (7 + len(body)).to_bytes(2, "little") + b"\0" + mark + body + mark


def test_a_transaction_runs_when_its_closing_number_comes_and_only_once() -> None:
    client = Client(make(), "MAK", "mep1")
    order = b"\x40\0\7\0\7" + number_of("EP16").to_bytes(2, "little") + b"\5" + (60).to_bytes(4, "little")
    content = transaction(1, order, encode_request(FullRead(number_of("ET53")), checksum=False))
    offset = client.meter.clock.offset_s
    assert client.write_part("ET52", 0, content[:9]) == 0
    assert client.meter.clock.offset_s == offset
    assert client.write_part("ET52", 9, content[9:]) == 0
    assert client.meter.clock.offset_s == offset + 60
    answer = client.read("ET53")
    assert answer[:13] == b"\x0d\0\1\1\0\1\0\0\1\0\4\1\0"
    assert client.write("ET52", content) == 0  # the same again
    assert client.meter.clock.offset_s == offset + 60


def test_a_transaction_whose_answers_do_not_fit_is_partial() -> None:
    client = Client(make("mbus"), "MAK", "mep1")
    read = encode_request(FullRead(number_of("ET16")), checksum=False)
    assert client.write("ET52", transaction(9, read, read)) == 0
    assert client.read("ET53")[2] == 2
    assert client.write("ET52", b"\x0b\0\0\7\0\0\0\0\0\7\0") == 0  # a record of length 0
    assert client.read("ET53")[2:5] == b"\2\7\0"
