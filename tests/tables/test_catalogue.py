"""Every declared table, under random dimensions and random bytes: read, written and explained without loss."""

from __future__ import annotations

import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from osgp.tables.registry import all_tables, table_numbers
from osgp.wire import layout_of
from osgp.wire.errors import DecodeError
from osgp.wire.jsonform import from_json, to_json
from osgp.wire.nodes import Run

from .dimensions import random_context


@given(seed=st.integers(0, 2**32), table_number=st.sampled_from(table_numbers()))
@example(seed=1498992936, table_number=2093)  # the record in a list says its own INDEX
@settings(max_examples=150, deadline=None)
def test_bytes_survive_reading_and_writing(seed: int, table_number: int) -> None:
    rng = random.Random(seed)
    context = random_context(rng)
    declared = next(t for t in all_tables() if t.number == table_number)
    layout = layout_of(declared, context)
    size = layout.size
    raw = rng.randbytes(size if size is not None else rng.randrange(300))
    try:
        value = layout.decode(raw)
    except DecodeError as found:
        refusal = found
    else:
        refusal = None
    if refusal is not None:
        assert size is None
        assert refusal.struct
        return
    assert layout.encode(value) == raw
    walked = layout._walk(Run(context, raw))
    assert walked == value
    again = from_json(declared, to_json(value))
    assert layout.encode(again) == raw
    tree = layout.explain(raw)
    assert not tree.error
    leaves = [node for _, node in tree.walk() if not node.children and node.width is None and node.size]
    leaves += [node for _, node in tree.walk() if node.children and node.raw]
    covered = sorted({(node.offset, node.size) for node in leaves})
    place = 0
    for offset, length in covered:
        assert offset == place
        place += length
    assert place == len(raw)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_truncated_tables_give_our_error(seed: int) -> None:
    rng = random.Random(seed)
    context = random_context(rng)
    for declared in all_tables():
        layout = layout_of(declared, context)
        if not layout.size:
            continue
        raw = rng.randbytes(rng.randrange(layout.size))
        try:
            value = layout.decode(raw)
        except DecodeError as found:
            refusal = found
        else:
            assert layout.encode(value) == raw
            continue
        assert refusal.struct == declared.__name__
        assert refusal.bit_offset is not None


@pytest.mark.parametrize("number", table_numbers())
def test_every_table_says_where_it_comes_from(number: int) -> None:
    declared = next(t for t in all_tables() if t.number == number)
    assert declared.title
    assert "guide p." in declared.about.source
    assert declared.access.read
