"""Fields behind the number of their own bytes, and structures that end exactly where their fields do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp.wire import MANY, Struct, Unresolved, layout_of
from osgp.wire import fields as f
from osgp.wire.errors import BadValue, DecodeError, Truncated


class Entry(Struct):
    kind: int = f.u16()
    data: bytes = f.binary(prefix=2)


class Listed(Struct, byte_order="big", floor="test", source="none section 1", exact=True):
    name: bytes = f.binary(prefix=1, most=4)
    codes: list[int] = f.u16(count=MANY, prefix=2, least=2)
    entries: list[Entry] | None = f.record(Entry, count=MANY, prefix=2, optional=True)


class Pair(Struct, byte_order="big", exact=True):
    first: int = f.u8()
    second: int = f.u8()


class Wrapped(Struct, byte_order="little"):
    pair: Pair = f.record(Pair, prefix=2)
    last: int = f.u8()


RAW = bytes.fromhex("026162 0004 0000 0007 000a 0000 0001 ff 0001 0001 ee".replace(" ", ""))


def test_entries_fill_their_bytes_zeros_too() -> None:
    value = Listed.decode(RAW)
    assert value.name == b"ab"
    assert value.codes == [0, 7]
    assert value.entries == [Entry(kind=0, data=b"\xff"), Entry(kind=1, data=b"\xee")]
    assert value.encode() == RAW
    assert Listed.from_json(value.to_json()) == value


def test_an_optional_block_may_be_absent_which_is_not_empty() -> None:
    assert Listed.decode(RAW[:9]).entries is None
    assert Listed.decode(RAW[:9] + b"\0\0").entries == []
    for raw in (RAW[:9], RAW[:9] + b"\0\0"):
        assert Listed.decode(raw).encode() == raw


@pytest.mark.parametrize(
    ("raw", "error", "field", "byte"),
    [
        ("", Truncated, "name", 0),
        ("03 6162", Truncated, "name", 1),
        ("05 6162636465", BadValue, "name", 0),
        ("00 0000", BadValue, "codes", 1),
        ("00 0003 000100", Truncated, "codes", 5),
        ("00 0002 0001 00", Truncated, "entries", 5),
        ("00 0002 0001 0003 000000", Truncated, "entries.data", 9),
        ("00 0002 0001 0005 0000 0002 ff00", Truncated, "entries.data", 11),
        ("00 0002 0001 0000 99", BadValue, "", 7),
    ],
)
def test_what_does_not_fit_is_named(raw: str, error: type[DecodeError], field: str, byte: int) -> None:
    data = bytes.fromhex(raw)
    with pytest.raises(error) as caught:
        Listed.decode(data)
    assert (caught.value.floor, caught.value.struct, caught.value.bit_offset) == ("test", "Listed", 8 * byte)
    assert caught.value.field.removeprefix("Entry.").rsplit(".")[-1] == field.rsplit(".")[-1]
    assert layout_of(Listed).explain(data).error == str(caught.value)


def test_bounds_are_for_readers_and_the_length_for_writers() -> None:
    long = Listed(name=b"longer than four", codes=[])
    assert long.encode()[0] == 16
    with pytest.raises(BadValue):
        Listed.decode(long.encode())
    with pytest.raises(BadValue):
        Listed(name=bytes(256), codes=[1]).encode()


def test_a_record_fills_its_length_exactly() -> None:
    assert Wrapped.decode(b"\2\0\1\2\3") == Wrapped(pair=Pair(first=1, second=2), last=3)
    assert Wrapped(pair=Pair(first=1, second=2), last=3).encode() == b"\2\0\1\2\3"
    with pytest.raises(BadValue, match="1 of 3 bytes"):
        Wrapped.decode(b"\3\0\1\2\3\4")
    with pytest.raises(Truncated):
        Wrapped.decode(b"\1\0\1\2\3\4")
    with pytest.raises(Unresolved):
        layout_of(Wrapped).span("last")


def test_exact_counts_for_fixed_layouts_too() -> None:
    assert layout_of(Pair).special.top is not None
    with pytest.raises(BadValue, match="1 bytes are left over"):
        Pair.decode(b"\1\2\3")
    assert "left over" in layout_of(Pair).explain(b"\1\2\3").error


def test_every_byte_of_it_is_explained() -> None:
    tree = layout_of(Listed).explain(RAW)
    name, codes, entries = tree.children
    assert (name.offset, name.size) == (0, 3)
    assert [(part.name, part.offset, part.size) for part in name.children] == [("length", 0, 1), ("name", 1, 2)]
    assert [part.value for part in codes.children] == [4, 0, 7]
    assert [part.offset for part in entries.children] == [9, 11, 16]
    assert entries.offset + entries.size == len(RAW)
    outer = layout_of(Wrapped).explain(b"\2\0\1\2\3")
    outer.graft("last", layout_of(Pair).explain(b"\1\2"))
    assert [part.offset for part in outer.children[1].children[0].children] == [4, 5]


@given(
    st.builds(
        lambda name, codes, entries: Listed(name=name, codes=codes, entries=entries),
        st.binary(max_size=4),
        st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=5),
        st.none() | st.lists(st.builds(lambda kind, data: Entry(kind=kind, data=data), st.integers(0, 9), st.binary())),
    )
)
def test_what_is_written_is_read(value: Listed) -> None:
    assert Listed.decode(value.encode()) == value


@given(st.binary(max_size=40))
def test_no_bytes_do_harm(data: bytes) -> None:
    tree = layout_of(Listed).explain(data)
    if tree.error:
        with pytest.raises(DecodeError) as caught:
            Listed.decode(data)
        assert tree.error == str(caught.value)
    else:
        assert Listed.decode(data).encode() == data
