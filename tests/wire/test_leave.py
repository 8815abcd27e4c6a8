"""A run of bytes to the end that leaves room for the fields behind it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp.wire import Struct, Unresolved, layout_of
from osgp.wire import fields as f
from osgp.wire.errors import BadValue, Truncated


class Frame(Struct, byte_order="big", floor="test"):
    head: int = f.u8()
    body: bytes = f.binary(leave=2, doc="what is carried")
    check: int = f.u16()


class Roomy(Struct, floor="test", exact=True):
    body: bytes = f.binary(leave=3)
    check: int = f.u8()


class Optional(Struct, floor="test"):
    body: bytes | None = f.binary(leave=1, optional=True)
    check: int | None = f.u8(optional=True)


class Holder(Struct, floor="test"):
    kind: int = f.u8()
    frame: Frame = f.record(Frame)


@given(st.binary(max_size=20), st.integers(0, 255), st.integers(0, 0xFFFF))
def test_the_last_bytes_are_the_check(body: bytes, head: int, check: int) -> None:
    raw = bytes([head]) + body + check.to_bytes(2, "big")
    value = Frame.decode(raw)
    assert value == Frame(head=head, body=body, check=check)
    assert value.encode() == raw
    assert Frame.from_json(value.to_json()).encode() == raw
    assert Holder.decode(b"\7" + raw).frame == value
    assert Holder.decode(b"\7" + raw).encode() == b"\7" + raw


def test_no_room_for_the_check_is_an_error_of_the_run_before_it() -> None:
    assert Frame.decode(b"\1\2\3").body == b""
    for raw in (b"\1\2", b"\1"):
        with pytest.raises(Truncated, match="2 bytes needed") as caught:
            Frame.decode(raw)
        assert (caught.value.struct, caught.value.field, caught.value.bit_offset) == ("Frame", "body", 8)
        assert layout_of(Frame).explain(raw).error == str(caught.value)
    with pytest.raises(Truncated) as caught:
        Frame.decode(b"")
    assert caught.value.field == "head"
    with pytest.raises(Truncated) as caught:
        Holder.decode(b"\7\1\2")
    assert caught.value.field == "Frame.body"


def test_more_room_than_fields_is_left_over() -> None:
    class Loose(Roomy, exact=False):
        pass

    value = Loose.decode(b"abcde")
    assert (value.body, value.check, value._rest) == (b"ab", ord("c"), b"de")
    assert value.encode() == b"abcde"
    with pytest.raises(BadValue, match="2 bytes are left over") as caught:
        Roomy.decode(b"abcde")
    assert caught.value.bit_offset == 24


def test_an_optional_run_is_absent_where_nothing_is_left() -> None:
    assert Optional.decode(b"") == Optional(body=None, check=None)
    assert Optional.decode(b"x") == Optional(body=b"", check=ord("x"))
    for raw in (b"", b"x", b"xyz"):
        assert Optional.decode(raw).encode() == raw


def test_only_what_is_given_is_written() -> None:
    assert Frame(head=1, body=b"abc", check=0x0203).encode() == b"\1abc\2\3"
    for value in (Frame(head=1, body=None, check=0), Frame(head=1, body=b"", check=None)):  # type: ignore[arg-type]
        with pytest.raises(BadValue, match="no value"):
            value.encode()


def test_every_byte_of_it_is_explained() -> None:
    layout = layout_of(Frame)
    tree = layout.explain(b"\1abc\2\3")
    assert [(part.name, part.offset, part.size) for part in tree.children] == [
        ("head", 0, 1),
        ("body", 1, 3),
        ("check", 4, 2),
    ]
    with pytest.raises(Unresolved):
        layout.span("check")
