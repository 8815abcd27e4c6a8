"""The layouts of ``messages`` and ``state``: nothing is lost, keys are not shown, what is too short is our error."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osgp.app import messages, state
from osgp.wire import Struct, layout_of
from osgp.wire.errors import DecodeError

STRUCTS: list[type[Struct]] = [
    one
    for module in (messages, state)
    for one in vars(module).values()
    if isinstance(one, type) and issubclass(one, Struct) and one.__module__ == module.__name__
]


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda one: one.__name__)
@settings(max_examples=60, deadline=None)
@given(raw=st.one_of(st.binary(max_size=100), st.binary(min_size=96, max_size=96)))
def test_layouts_lose_nothing(struct: type[Struct], raw: bytes) -> None:
    layout = layout_of(struct)
    sized = (raw * (1 + (layout.size or 0) // max(1, len(raw))))[: layout.size] if layout.size and raw else raw
    for one in (raw, sized):
        json.dumps(layout.explain(one).to_json())
        try:
            value = struct.decode(one)
        except DecodeError:
            continue
        rest = getattr(value, "_rest", b"")
        assert value.encode() in (one, one[: len(one) - len(rest)])


@pytest.mark.parametrize(
    ("struct", "raw"),
    [
        (messages.CommissionContents, bytes(15) + b"\xab" * 16 + bytes(6)),
        (messages.KeyUpdate, b"\x01\x01\x02\x00\x00" + b"\xab" * 16),
        (state.KeySetRecord, b"\x01" + bytes(9) + b"\x02\x02" + b"\xab" * 16 + bytes(6) + b"\xab" * 16 + bytes(8)),
        (state.BroadcastKeys, bytes(6) + b"\xab" * 32 + bytes(6)),
        (state.UmkRecord, b"\xab" * 16 + bytes(2) + b"\xab" * 16),
        (state.SenderKeys, bytes(2) + b"\xab" * 16 + bytes(2) + b"\xab" * 16),
    ],
    ids=lambda one: one.__name__ if isinstance(one, type) else "",
)
def test_what_holds_a_key_does_not_show_it(struct: type[Struct], raw: bytes) -> None:
    value = struct.decode(raw)
    assert value.encode() == raw
    assert "hidden" in repr(value)
    assert "xab" not in repr(value)
