"""The byte language, word by word."""

from __future__ import annotations

import pytest

from osgp.wire import (
    INDEX,
    MANY,
    Bits,
    Case,
    Context,
    Firmware,
    LTime,
    MissingTable,
    OpenEnum,
    Since,
    STime,
    Struct,
    Unresolved,
    all_of,
    any_of,
    at,
    bit,
    dependencies,
    env,
    layout_of,
    negate,
    outer,
    popcount,
)
from osgp.wire import fields as f
from osgp.wire.crc import crc16_x25
from osgp.wire.errors import BadValue, ConfigError, Truncated
from osgp.wire.path import format_path, parse_path


class Kind(OpenEnum):
    ONE = 1
    TWO = 2


class Flags(Bits, size=1):
    first: int = bit(0, doc="the first", values={1: "set"})
    rest: int = bit(1, 5)


class Sizes(Struct):
    flags: Flags = f.bits(Flags)
    number: int = f.u8()


class Pair(Struct):
    a: int = f.u16()
    b: int = f.u8()


class Sized(Struct):
    head: int = f.u32(scale=0.001, unit="V", doc="a voltage", default=5)
    pairs: list[Pair] = f.record(Pair, count=at(Sizes).number, stride=4)
    tail: int = f.u8(when=at(Sizes).flags.first == 1)


def sized(flags: int, number: int) -> Context:
    return Context({Sizes: bytes([flags, number])})


def test_integers_of_all_sizes_signs_and_orders() -> None:
    for size in range(1, 9):
        for order in ("little", "big"):

            class One(Struct):
                plain: int = f.uint(size, order=order)
                signed: int = f.sint(size, order=order)

            raw = bytes([0x80 + size]) + bytes(range(size - 1)) + bytes([0xFF] * size)
            value = One.decode(raw)
            assert value.plain == int.from_bytes(raw[:size], order)  # type: ignore[arg-type]
            assert value.signed == -1
            assert value.encode() == raw


def test_values_that_do_not_fit_are_refused_by_name() -> None:
    with pytest.raises(BadValue, match=r"Pair\.b"):
        Pair(a=1, b=256).encode()
    with pytest.raises(BadValue, match="no value"):
        Pair(a=1).encode()
    with pytest.raises(BadValue, match="entries needed"):
        Sized(head=1, pairs=[Pair(a=1, b=2)], tail=None).encode(sized(0, 2))


def test_unknown_codes_survive() -> None:
    class Coded(Struct):
        kind: Kind = f.code(Kind)

    value = Coded.decode(b"\x77")
    assert value.kind == 0x77
    assert value.kind.name == "UNKNOWN_77"
    assert not value.kind.known
    assert value.encode() == b"\x77"
    assert Coded.decode(b"\x02").kind is Kind.TWO


def test_reserved_bits_survive_and_bits_have_names() -> None:
    value = Sizes.decode(b"\xc3\x00")
    assert (value.flags.first, value.flags.rest) == (1, 1)
    assert value.encode() == b"\xc3\x00"
    assert value.flags.to_json() == {"FIRST": 1, "REST": 1, "_OTHER": 0xC0}
    assert Flags.from_json(value.flags.to_json()) == 0xC3
    assert Flags(first=1).with_(rest=3) == 7
    with pytest.raises(BadValue, match="fit"):
        Flags(rest=32)


def test_dates_keep_nonsense() -> None:
    class Times(Struct):
        s: STime = f.stime()
        long: LTime = f.ltime()

    raw = bytes([26, 11, 22, 13, 31, 99, 99, 99, 99, 99, 99])
    value = Times.decode(raw)
    moment = value.s.datetime()
    assert moment is not None
    assert moment.isoformat() == "2026-11-22T13:31:00+00:00"
    assert value.long.datetime() is None
    assert value.encode() == raw
    assert value.to_json()["S"] == "2026-11-22T13:31"
    assert Times.from_json(value.to_json()) == value


def test_the_guides_examples_of_types() -> None:
    class Types(Struct):
        signed: int = f.i32()
        voltage: int = f.ni_fmat1()
        date: f.Date = f.date()
        recurring: f.RDate = f.rdate()

    value = Types.decode(bytes.fromhex("18FCFFFF EB820300 9AB5 6308"))
    assert value.signed == -1000
    assert value.voltage == 230123
    day = value.date.date()
    assert day is not None
    assert day.isoformat() == "2026-11-22"
    assert (value.recurring.month, value.recurring.offset, value.recurring.weekday, value.recurring.day) == (3, 6, 0, 1)


def test_text_keeps_padding_and_foreign_bytes() -> None:
    class Named(Struct):
        name: str = f.text(6, pad=b" ", encoding="ascii")

    value = Named.decode(b"NES  \0")
    assert value.name == "NES"
    assert value.encode() == b"NES  \0"
    assert Named(name="AB").encode() == b"AB    "
    strange = Named.decode(b"\xff\xfeAB  ")
    assert strange.encode() == b"\xff\xfeAB  "
    assert Named.from_json(strange.to_json()).encode() == b"\xff\xfeAB  "
    with pytest.raises(BadValue, match="characters"):
        Named(name="too long").encode()


def test_bcd_is_digits_even_when_it_is_none() -> None:
    class Serial(Struct):
        high: str = f.bcd(4)
        low: str = f.bcd(4, low_first=True)

    value = Serial.decode(bytes.fromhex("12345678 78563A12"))
    assert value.high == "12345678"
    assert value.low == "123A5678"
    assert value.encode() == bytes.fromhex("12345678 78563A12")
    assert Serial(high=42, low="7").encode() == bytes.fromhex("00000042 07000000")


def test_counts_and_conditions_come_from_other_tables() -> None:
    raw = bytes(range(4 + 2 * 4 + 1))
    value = Sized.decode(raw, sized(1, 2))
    assert len(value.pairs) == 2
    assert value.tail == 12
    assert value.pairs[1]._rest == b"\x0b"
    assert value.encode(sized(1, 2)) == raw
    assert layout_of(Sized, sized(0, 3)).size == 16
    assert dependencies(Sized) == frozenset((Sizes,))
    with pytest.raises(MissingTable, match="Sizes"):
        Sized.decode(raw)


def test_overrides_stand_in_for_tables() -> None:
    context = Context(overrides={"Sizes.NUMBER": 3})
    assert layout_of(Sized, context).size == 16


def test_layouts_are_compiled_once_per_dimensions() -> None:
    assert layout_of(Sized, sized(1, 2)) is layout_of(Sized, sized(1, 2))
    assert layout_of(Sized, sized(1, 2)) is not layout_of(Sized, sized(1, 3))


def test_spans_of_paths() -> None:
    layout = layout_of(Sized, sized(1, 3))
    assert (layout.span("pairs[1].b").offset, layout.span("pairs[1].b").size) == (10, 1)
    assert (layout.span("pairs[-1]").offset, layout.span("pairs[-1]").size) == (12, 4)
    assert (layout.span("pairs[1:]").offset, layout.span("pairs[1:]").size) == (8, 8)
    assert layout.span("TAIL").offset == 16
    flag = layout_of(Sizes).span("flags.rest")
    assert (flag.offset, flag.bit, flag.width) == (0, 1, 5)
    assert layout_of(Sizes).decode_span(flag, b"\xff") == 31
    with pytest.raises(ConfigError, match="3 entries"):
        layout.span("pairs[3]")
    with pytest.raises(ConfigError, match="nothing named"):
        layout.span("pears")
    with pytest.raises(ConfigError, match="absent"):
        layout_of(Sized, sized(0, 3)).span("tail")


def test_own_fields_decide() -> None:
    class Message(Struct, byte_order="big"):
        length: int = f.u16()
        data: bytes = f.binary(length - 1)
        check: int = f.u8()

    value = Message.decode(b"\x00\x03ab\x07rest")
    assert (value.data, value.check, value._rest) == (b"ab", 7, b"rest")
    assert value.encode() == b"\x00\x03ab\x07rest"
    with pytest.raises(Unresolved):
        layout_of(Message).span("check")
    with pytest.raises(Truncated) as caught:
        Message.decode(b"\x00\x09ab")
    assert caught.value.field == "data"
    assert caught.value.bit_offset == 16
    assert Message.decode(b"\x00\x00\x05").data == b""


def test_arrays_that_end_by_themselves() -> None:
    class Listed(Struct):
        total: int = f.u8()
        items: list[int] = f.u16(count=MANY, until=total - 1)
        end: int = f.u8()

    value = Listed.decode(b"\x08\x01\x00\x02\x00\x00\x00\x09")
    assert list(value.items) == [1, 2]
    assert value.items.gap == b"\x00\x00"  # type: ignore[attr-defined]
    assert value.end == 9
    assert value.encode() == b"\x08\x01\x00\x02\x00\x00\x00\x09"


def test_unions_take_the_first_true_case() -> None:
    class Small(Struct):
        x: int = f.u8()

    class Big(Struct):
        y: int = f.u32()

    class Either(Struct):
        kind: int = f.u8()
        content: Small | Big | None = f.union([Case(kind == 1, Small), Case(any_of(kind == 1, kind == 2), Big)])

    assert Either.decode(b"\x01\x05").content == Small(x=5)
    assert Either.decode(b"\x02\x05\x00\x00\x00").content == Big(y=5)
    assert Either.decode(b"\x03").content is None
    assert Either.from_json({"KIND": 2, "CONTENT": {"Y": 5}}).encode() == b"\x02\x05\x00\x00\x00"
    with pytest.raises(BadValue, match="no case"):
        Either(kind=3, content=Small(x=1)).encode()


def test_the_declared_case_of_a_union_is_read_from_json_though_another_has_its_names() -> None:
    class Word(Struct):
        x: int = f.u16()
        y: int = f.u16(optional=True)

    class Octet(Struct):
        x: int = f.u8()

    class Either(Struct):
        kind: int = f.u8()
        content: Word | Octet | None = f.union([Case(kind == 1, Word), Case(kind == 2, Octet)])

    for raw in (b"\x01\x05\x00\x06\x00", b"\x02\x05", b"\x03"):
        value = Either.decode(raw)
        again = Either.from_json(value.to_json())
        assert again == value
        assert again.encode() == raw
    assert type(Either.from_json({"KIND": 2, "CONTENT": {"X": 5}}).content) is Octet
    assert type(Either.from_json({"CONTENT": {"X": 5}}).content) is Word, "nothing decides: the first that has the name"
    with pytest.raises(BadValue, match="no such field"):
        Either.from_json({"KIND": 2, "CONTENT": {"X": 5, "Y": 6}})


def test_entries_and_fields_around_a_union_decide_its_case_in_json_too() -> None:
    class Word(Struct):
        x: int = f.u16()

    class Octet(Struct):
        x: int = f.u8()

    class Entry(Struct):
        content: Word | Octet | None = f.union(
            [Case(INDEX == 1, Octet), Case(outer.mask == 7, Word), Case(env.odd == 0, Octet)]
        )

    class Outer(Struct):
        mask: int = f.u8()
        entries: list[Entry] = f.record(Entry, count=2)

    value = Outer.decode(b"\x07\x01\x00\x02")
    again = Outer.from_json(value.to_json())
    assert again == value
    assert [type(entry.content) for entry in again.entries] == [Word, Octet]
    unknown = Outer.from_json({"MASK": 8, "ENTRIES": [{"CONTENT": {"X": 1}}]})
    assert type(unknown.entries[0].content) is Octet, "the outside decides: the first that has the name"


def test_indexes_names_from_outside_and_logic() -> None:
    class Inner(Struct):
        values: list[int] = f.u8(count=INDEX + 1)
        more: int = f.u8(when=all_of(INDEX == 1, negate(env.off), popcount(outer.mask) == 2))

    class Outer(Struct):
        mask: int = f.u8()
        inner: list[Inner] = f.record(Inner, count=2)

    value = Outer.decode(b"\x05\x01\x02\x03\x09")
    assert [one.values for one in value.inner] == [[1], [2, 3]]
    assert value.inner[1].more == 9
    assert Outer.decode(b"\x05\x01\x02\x03", Context(env={"off": 1})).inner[1].more is None


def test_newer_fields_are_absent_on_older_firmware() -> None:
    class Grown(Struct):
        old: int = f.u8()
        middle: int = f.u8(since=Since("3.50"))
        late: int = f.u8(since=Since("2.12", "4.00"))

    old = Context(firmware=Firmware.parse("3.10"))
    assert layout_of(Grown, old).size == 1
    assert Grown.decode(b"\x01", old).middle is None
    assert layout_of(Grown, Context(firmware=Firmware.parse("3.50"))).size == 2
    assert layout_of(Grown, Context(firmware=Firmware.parse("2.12"))).size == 3, (
        "a newer field in the middle is a place"
    )
    assert layout_of(Grown).size == 3
    assert Grown.decode(b"\x01\x02").late is None, "an unknown firmware may end early"
    with pytest.raises(ConfigError):
        Firmware.parse("new")


def test_since_counts_branches() -> None:
    since = Since("2.12", "3.01")
    assert [since.covers(Firmware.parse(v)) for v in ("2.11", "2.12", "2.19", "2.20", "3.00", "3.01")] == [
        False,
        True,
        True,
        False,
        False,
        True,
    ]


def test_explaining_says_where_what_and_how_much() -> None:
    tree = layout_of(Sized, sized(1, 1)).explain(bytes.fromhex("a0860100 01000200 07"))
    head = tree.children[0]
    assert (head.orig, head.offset, head.size, head.text, head.doc) == ("HEAD", 0, 4, "100.000 V", "a voltage")
    pair = tree.children[1]
    assert [child.orig for child in pair.children] == ["A", "B", ""]
    flags = layout_of(Sizes).explain(b"\x01\x00").children[0]
    assert [(bit.orig, bit.bit_offset, bit.width, bit.text) for bit in flags.children] == [
        ("FIRST", 0, 1, "1: set"),
        ("REST", 1, 5, "0"),
    ]
    broken = layout_of(Sized, sized(1, 1)).explain(b"\x00\x00\x00\x00\x01")
    assert "needed" in broken.error
    assert broken.children[0].orig == "HEAD"


def test_hostile_counts_cost_nothing() -> None:
    class Empty(Struct):
        nothing: bytes = f.binary(0)

    class Bomb(Struct):
        count: int = f.u32()
        items: list[Empty] = f.record(Empty, count=count)

    with pytest.raises(BadValue, match="no size"):
        Bomb.decode(b"\xff\xff\xff\xff")


def test_paths_read_and_write() -> None:
    for text in ("a.b[0].c", "[2:4]", "x[-96:]", "x[:3]"):
        assert format_path(parse_path(text)) == text
    for text in ("a..b", "a[", "a[]", "a b", "[1:2:3]", "a[x]"):
        with pytest.raises(ConfigError):
            parse_path(text)


def test_crc_of_the_catalogue() -> None:
    assert crc16_x25(b"123456789") == 0x906E
