"""Every decoder and both servers under bytes of any kind: our error or a refusal, never anything else. The short form."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osgp.tables.image import Image
from osgp.tables.registry import all_tables
from osgp.wire import layout_of
from osgp.wire.errors import ConfigError, DecodeError
from osgp.wire.jsonform import from_json, to_json
from tests.access.world import complete_image
from tests.fuzz.mutate import mutated
from tests.fuzz.targets import SEEDS, TARGETS

SLOW = (
    *("meter", "optical server", "mep server", "tables", "from_json", "tls", "mep explain"),
    *("lon node", "lon node under lies", "lon columns"),
    *("app security", "app orders"),
    *("osgp device", "osgp concentrator", "journal salvage", "street plan"),
)


@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes(name: str) -> None:
    @given(st.binary(max_size=300))
    @settings(max_examples=15 if name in SLOW else 40)
    def any_bytes(data: bytes) -> None:
        TARGETS[name](data)

    any_bytes()


@pytest.mark.parametrize("name", TARGETS)
def test_good_bytes_and_what_becomes_of_them(name: str) -> None:
    """Known good input, then truncated, flipped, doubled, glued and stretched."""
    seeds = SEEDS[name]()
    for seed in seeds[:60]:
        TARGETS[name](seed)

    @given(st.sampled_from(seeds), st.integers(0, 2**32))
    @settings(max_examples=20 if name in SLOW else 60)
    def damaged(seed: bytes, number: int) -> None:
        TARGETS[name](mutated(seed, random.Random(number), seeds))

    damaged()


SCALAR = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["00", "zz", "2025-01-01"])
)
JSON = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
)


@given(number=st.integers(0, 200), value=JSON, spots=st.lists(st.integers(0, 400), min_size=1, max_size=3))
@settings(max_examples=150)
def test_json_of_any_shape(number: int, value: Any, spots: list[int]) -> None:
    """Anything, and a table's own JSON with anything in place of one of its values."""
    declared = list(all_tables())[number % len(list(all_tables()))]
    image = complete_image()
    layout = layout_of(declared, image.context)
    shown: Any = to_json(layout.decode(image.read(declared.number))) if declared.number in image else {}
    here, inside = shown, shown
    for spot in spots:
        if isinstance(inside, dict | list) and inside:
            here = inside
            key: Any = list(inside)[spot % len(inside)] if isinstance(inside, dict) else spot % len(inside)
            inside = here[key]
    if isinstance(here, dict | list) and here:
        here[key] = value
    for given_ in (shown, value):
        with suppress(DecodeError, ConfigError):
            layout.encode(from_json(declared, given_))
    with suppress(DecodeError, ConfigError):
        Image.from_json(value)


def test_a_journal_whose_schema_is_no_text_is_repaired() -> None:
    # SQLite quotes it when it complains, and Python cannot decode the complaint.
    TARGETS["journal salvage"](b'\x00"\xeb\n\x00\x80')
