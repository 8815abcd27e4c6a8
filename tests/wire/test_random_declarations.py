"""The byte language on declarations that nobody wrote: no bit is lost, both ways agree, explain covers every byte."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from osgp.wire import Unresolved, layout_of
from osgp.wire.errors import ConfigError, DecodeError, Truncated
from osgp.wire.jsonform import from_json, to_json
from osgp.wire.nodes import Run
from osgp.wire.struct import Struct
from tests.wire.declarations import structure


@given(seed=st.integers(0, 2**40))
@settings(max_examples=400, deadline=None)
def test_bytes_survive_every_fixed_declaration(seed: int) -> None:
    rng = random.Random(seed)
    layout = layout_of(structure(rng, dynamic=False))
    assert layout.size is not None
    raw = rng.randbytes(layout.size + rng.choice((0, 0, 3)))
    value = layout.decode(raw)
    assert layout.encode(value) == raw
    assert layout._walk(Run(layout.context, raw)) == value
    assert layout.encode(from_json(type(value), to_json(value))) == raw


@given(seed=st.integers(0, 2**40))
@settings(max_examples=400, deadline=None)
def test_bytes_survive_every_dynamic_declaration(seed: int) -> None:
    rng = random.Random(seed)
    layout = layout_of(structure(rng))
    raw = rng.randbytes(rng.randint(0, 200))
    try:
        value = layout.decode(raw)
    except DecodeError:
        return
    assert layout.encode(value) == raw
    assert layout.encode(from_json(type(value), to_json(value))) == raw
    tree = layout.explain(raw)
    assert not tree.error
    covered = sorted(
        {(node.offset, node.size) for _, node in tree.walk() if node.size and node.raw and node.width is None}
    )
    place = 0
    for offset, size in covered:
        assert offset == place
        place += size
    assert place == len(raw)


@given(seed=st.integers(0, 2**40))
@settings(max_examples=200, deadline=None)
def test_a_span_holds_what_the_whole_shows(seed: int) -> None:
    rng = random.Random(seed)
    declared = structure(rng, dynamic=False)
    layout = layout_of(declared)
    assert layout.size is not None
    raw = rng.randbytes(layout.size)
    value = layout.decode(raw)
    for name in declared.specs:
        whole = getattr(value, name)
        try:
            span = layout.span(name)
        except (ConfigError, Unresolved):
            assert whole is None
            continue
        piece = raw[span.offset : span.offset + span.size]
        assert layout.decode_span(span, piece) == whole
        assert layout.encode_span(span, whole) == piece
        if isinstance(whole, list) and whole:
            for index in (0, -1, rng.randrange(len(whole))):
                one = layout.span(f"{name}[{index}]")
                assert layout.decode_span(one, raw[one.offset : one.offset + one.size]) == whole[index]
            some = layout.span(f"{name}[1:]")
            assert layout.decode_span(some, raw[some.offset : some.offset + some.size]) == whole[1:]


@given(seed=st.integers(0, 2**40))
@settings(max_examples=200, deadline=None)
def test_missing_bytes_are_named(seed: int) -> None:
    rng = random.Random(seed)
    declared: type[Struct] = structure(rng, dynamic=False)
    layout = layout_of(declared)
    assert layout.size is not None
    if not layout.size:
        return
    raw = rng.randbytes(rng.randrange(layout.size))
    try:
        layout.decode(raw)
    except Truncated as found:
        error = found
    else:
        raise AssertionError("shorter than its size, yet read")
    assert error.struct == declared.__name__
    assert error.field
    assert error.bit_offset is not None
    assert error.bit_offset <= 8 * len(raw)
    assert layout.explain(raw).error
