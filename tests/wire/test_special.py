"""The compiled forms of layouts say what the walk says: the same values, bytes and errors, for any bytes and any values."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osgp.lon.apdu import Apdu, NvMessage
from osgp.lon.authpdu import AuthPdu
from osgp.lon.lpdu import Lpdu, LpduWithCrc
from osgp.lon.ltep import Ltep, LtepFailure
from osgp.lon.npdu import NetworkControl, NodeByte, Npdu
from osgp.lon.tpdu import VERSIONS, Spdu, Tpdu
from osgp.wire import EMPTY, Bits, Context, Layout, Struct, bit, layout_of, outer
from osgp.wire import fields as f
from osgp.wire import special as special_module
from osgp.wire.errors import BadValue, DecodeError, Error, Truncated
from osgp.wire.nodes import Items, Run
from osgp.wire.special import Special
from tests.wire.declarations import structure, variable

LON: list[type[Struct]] = [Lpdu, LpduWithCrc, Npdu, Tpdu, Spdu, AuthPdu, Apdu, NvMessage, Ltep, LtepFailure]
CONTEXTS = [EMPTY, VERSIONS[2]]


def outcome(action: Callable[[], Any]) -> Any:
    """The value, or everything an error says."""
    try:
        return action()
    except Error as error:
        where = vars(error) if isinstance(error, DecodeError) else {}
        return type(error), str(error), where, error.__cause__.__class__
    except Exception as error:
        return type(error), str(error)


def typed(value: Any) -> Any:
    """A value with the types of all that is in it."""
    if isinstance(value, Struct):
        inner = {name: typed(getattr(value, name)) for name in value.specs}
        return type(value), inner, value._rest, type(value._rest)
    if isinstance(value, list):
        return type(value), [typed(item) for item in value]
    return type(value), value


def agree_on_bytes(layout: Layout[Any], raw: bytes) -> Any:
    walked, read = outcome(lambda: layout._walk_read(raw)), outcome(lambda: layout.decode(raw))
    assert typed(read) == typed(walked)
    assert typed(outcome(lambda: layout.decode(bytearray(raw)))) == typed(walked)
    return read


def agree_on_value(layout: Layout[Any], value: Any) -> Any:
    walked, written = outcome(lambda: layout._walk_write(value)), outcome(lambda: layout.encode(value))
    assert (written, type(written)) == (walked, type(walked)), (written, walked, value)
    return written


STRANGE: list[Any] = [
    None, -1, 0, 1, 3, 7, 200, 255, 256, 70000, 1 << 70, True, 2.0, 2.5, "", "5", "text", b"", b"\1", b"abcdef", bytearray(b"ab"),
    memoryview(b"xyz"), [], [1], [1, 2, 3], (1, 2), Items([1], b"z"), NetworkControl(0x2B), NodeByte(1), object,
]  # fmt: skip


def spoil(rng: random.Random, value: Any) -> None:
    """Put something else into a field, mostly something that does not belong there."""
    names = [*value.specs, "_rest"]
    name = rng.choice(names)
    held = getattr(value, name)
    inner = held[0] if isinstance(held, list) and held and isinstance(held[0], Struct) else held
    if isinstance(inner, Struct) and rng.random() < 0.7:
        spoil(rng, inner)
    elif name == "_rest":
        value._rest = rng.choice((b"", b"more"))
    elif isinstance(held, Bits) and rng.random() < 0.5:
        setattr(value, name, type(held)(rng.getrandbits(8 * held.size)))
    elif isinstance(held, list) and rng.random() < 0.5:
        setattr(value, name, held[1:] if rng.random() < 0.5 else [*held, *held[:1]])
    elif isinstance(held, bytes) and rng.random() < 0.5:
        setattr(value, name, rng.randbytes(rng.randint(0, 9)))
    else:
        setattr(value, name, rng.choice(STRANGE))


def some_bytes(rng: random.Random, most: int = 60) -> bytes:
    """Random bytes, small numbers being likely."""
    small = rng.random()
    return bytes(rng.randint(0, 4) if rng.random() < small else rng.getrandbits(8) for _ in range(rng.randint(0, most)))


@given(seed=st.integers(0, 2**40))
@settings(max_examples=600, deadline=None)
def test_forms_read_and_write_as_the_walk_does(seed: int) -> None:
    rng = random.Random(seed)
    layout = layout_of(rng.choice((variable, variable, structure))(rng), rng.choice(CONTEXTS))
    for _ in range(12):
        raw = some_bytes(rng)
        value = agree_on_bytes(layout, raw)
        if isinstance(value, Struct):
            assert agree_on_value(layout, value) == raw
            for _ in range(3):
                spoil(rng, value)
                agree_on_value(layout, value)


@pytest.mark.parametrize("struct", LON)
@given(raw=st.binary(max_size=24), version=st.sampled_from(VERSIONS), seed=st.integers(0, 2**40))
@settings(max_examples=150, deadline=None)
def test_the_control_network_reads_and_writes_as_the_walk_does(
    struct: type[Struct], raw: bytes, version: Context, seed: int
) -> None:
    rng = random.Random(seed)
    layout = layout_of(struct, version)
    value = agree_on_bytes(layout, raw)
    if isinstance(value, Struct):
        assert agree_on_value(layout, value) == raw
        for _ in range(4):
            spoil(rng, value)
            agree_on_value(layout, value)


def refuse(_: Any) -> Any:
    raise AssertionError("walked")


def only_compiled(layout: Layout[Any]) -> Special:
    """The compiled form of a layout, without a walk to fall back to."""
    return Special(layout.root, Run(layout.context), layout.struct.about.exact, refuse, refuse)


@pytest.mark.parametrize(
    ("struct", "raw"),
    [
        (Lpdu, "19018a0194490151"),
        (LpduWithCrc, "0119018a0194490151deb6"),
        (Npdu, "19018a0194490151"),
        (Npdu, "00010a01"),
        (Npdu, "04010a0500"),
        (Npdu, "0b010a01940203010203aabbcc55"),
        (Npdu, "0c018a01010203040506"),
        (Tpdu, "20"),
        (Tpdu, "0f810d00ca"),
        (Tpdu, "c0026aff0180"),
        (Spdu, "5500ff"),
        (AuthPdu, "000102030405060708"),
        (AuthPdu, "50010203040506070899"),
        (Ltep, "4d003521018133"),
        (Ltep, "4d020a011401153621000102030405060188ff"),
        (Ltep, "4d120a0b1100220177010203040506ff44"),
        (Apdu, "51"),
    ],
)
def test_the_control_network_needs_no_walk(struct: type[Struct], raw: str) -> None:
    data = bytes.fromhex(raw)
    layout = layout_of(struct)
    special = only_compiled(layout)
    value = special.read(data)
    assert value == layout._walk_read(data)
    assert special.write(value) == data
    assert only_compiled(layout).write(value) == data


def test_bits_that_decide_nothing_make_no_forms() -> None:
    special = only_compiled(layout_of(Spdu))
    for header in range(256):
        if header >> 4 & 7 in (4, 5):
            special.read(bytes([header, 1, 0x55]))
        else:
            special.read(bytes([header, 1]))
    assert special.forms == 2
    special = only_compiled(layout_of(AuthPdu))
    for header in range(256):
        special.read(bytes([header]) + bytes(9))
    assert special.forms == 2


def test_forms_and_keys_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    class Counted(Struct):
        number: int = f.u8()
        values: list[int] = f.u8(count=number)
        tail: bytes = f.binary()

    monkeypatch.setattr(special_module, "_MAX_FORMS", 5)
    monkeypatch.setattr(special_module, "_MAX_KEYS", 7)
    layout: Layout[Counted] = Layout(Counted, EMPTY)
    for number in range(20):
        raw = bytes([number]) + bytes(30)
        value = layout.decode(raw)
        assert len(value.values) == number
        assert layout.encode(value) == raw
    assert layout.special.forms == 5
    assert len(layout.special.top.readers) == 7  # type: ignore[union-attr]


def test_a_long_length_is_arithmetic_not_a_form() -> None:
    class Message(Struct, byte_order="big", exact=True):
        length: int = f.u16()
        data: bytes = f.binary(length - 1)
        check: int = f.u16()

    special = only_compiled(layout_of(Message))
    for size in (0, 1, 2, 300):
        raw = (size + 1).to_bytes(2, "big") + bytes(size) + b"\1\2"
        assert special.write(special.read(raw)) == raw
    assert special.forms == 1
    with pytest.raises(AssertionError, match="walked"):
        special.read(b"\0\3ab")


def test_what_does_not_fit_is_named_as_ever() -> None:
    npdu = Npdu(control=NetworkControl(address_format=2), destination_subnet=1, destination_node=None)
    with pytest.raises(BadValue, match=r"no value \(lon: Npdu.destination_node\)"):
        npdu.encode()
    with pytest.raises(BadValue, match=r"Npdu.domain"):
        Npdu(control=NetworkControl(domain_length=1), destination_subnet=1, domain=b"12").encode()
    with pytest.raises(BadValue, match=r"Npdu.source_subnet"):
        Npdu(source_subnet=256, destination_subnet=1).encode()
    with pytest.raises(Truncated) as caught:
        Npdu.decode(bytes.fromhex("0b010a01"))
    assert (caught.value.struct, caught.value.field, caught.value.bit_offset) == ("Npdu", "destination_node", 32)
    assert caught.value.__context__ is None


def test_a_field_that_should_be_absent_decides_as_the_walk_decides() -> None:
    class Odd(Struct):
        head: bool = f.u8()
        number: int | None = f.u8(when=head == 1)
        data: bytes | None = f.binary(2, when=number == 7)
        tail: bytes = f.binary(default=b"")

    layout = layout_of(Odd)
    assert agree_on_value(layout, Odd(head=0, number=7, data=b"ab")) == b"\0ab"
    assert agree_on_value(layout, Odd(head=0, number=None, data=b"ab")) == b"\0"


def test_references_reach_into_records_and_out_of_them() -> None:
    class Head(Bits, size=1):
        more: int = bit(0)
        amount: int = bit(1, 2)

    class Inner(Struct):
        head: Head = f.bits(Head)
        long: int | None = f.u32(when=outer.kind == 2)

    class Whole(Struct):
        kind: int = f.u8()
        inner: Inner = f.record(Inner)
        data: bytes = f.binary(inner.head.amount, when=inner.head.more)
        tail: bytes = f.binary()

    special = only_compiled(layout_of(Whole))
    for raw in (b"\2\5\1\2\3\4abtail", b"\1\4tail", b"\0\7abc"):
        value = special.read(raw)
        assert value == layout_of(Whole)._walk_read(raw)
        assert special.write(value) == raw


def test_words_of_one_byte_are_shared_and_do_not_change() -> None:
    word = Lpdu.decode(b"\x41\0").header
    assert word is Lpdu.decode(b"\x41\1").header
    with pytest.raises(AttributeError, match="does not change"):
        word.priority = 1
    with pytest.raises(AttributeError):
        word.something = 1  # type: ignore[attr-defined]
    assert word.with_(priority=1) == 0xC1


def test_constructors_know_their_fields() -> None:
    class Base(Struct):
        number: int = f.u8(default=3)
        values: list[int] = f.u8(count=2)

    assert Base().values is not Base().values
    assert (Base().number, Base(values=None).values) == (3, None)  # type: ignore[arg-type]

    class Derived(Base):
        more: int = f.u8()

    assert Derived(number=1, more=2, values=[4, 5]).encode() == b"\1\4\5\2"
    assert Base(number=1, _rest=b"x")._rest == b"x"  # type: ignore[call-arg]
    for _ in range(2):
        with pytest.raises(TypeError, match="wrong"):
            Base(wrong=1)  # type: ignore[call-arg]
        with pytest.raises(TypeError):
            Base(1)  # type: ignore[call-arg]

    class Own(Base):
        def __init__(self, *, twice: int) -> None:
            super().__init__(number=2 * twice, values=[0, 0])

    class Heir(Own):
        last: int = f.u8(default=9)

    assert Own(twice=4).number == 8
    assert (Heir(twice=4).number, Heir(twice=4).last) == (8, 9)
