"""Paths: what they mean, where they lie, and what is said about those that cannot be read."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp.tables.image import Image
from osgp.tables.query import is_query, locate, main_array, parse_query, show
from osgp.tables.registry import table
from osgp.wire import Context, MissingTable, layout_of
from osgp.wire.errors import ConfigError
from osgp.wire.path import format_path, parse_path
from tests.access.world import complete_image

IMAGE: Image = complete_image()


@pytest.mark.parametrize(
    ("text", "name", "path"),
    [
        ("BT23", "BT23", ()),
        (" bt23.tot_data_block.summations[0] ", "BT23", ("tot_data_block", "summations", 0)),
        ("BT28[2:4]", "BT28", (slice(2, 4),)),
        ("BT64[-96:]", "BT64", (slice(-96, None),)),
        ("ST23.TOT_DATA_BLOCK.SUMMATIONS[ -1 ]", "BT23", ("tot_data_block", "summations", -1)),
        ("ET55 . relay_config", "ET55", ("relay_config",)),
        ("BT28[:]", "BT28", (slice(None, None),)),
    ],
)
def test_paths(text: str, name: str, path: tuple[object, ...]) -> None:
    query = parse_query(text)
    assert (query.table.__name__, query.path) == (name, path)
    assert query.text == text.strip()
    assert parse_query(show(query)).path == query.path


@pytest.mark.parametrize(
    "text",
    ["", "voltage_l1", "BT23[", "BT23.", "BT23..a", "BT23[a]", "BT23[]", "BT23 x y", "BT02", "BT99999", "BT23[1:2:3]"],
)
def test_what_is_no_path(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_query(text)


def test_which_names_are_paths() -> None:
    assert is_query("BT23")
    assert is_query("et55.relay")
    assert not is_query("voltage_l1")
    assert not is_query("mbus[1].volume")


def test_the_newest_entries_of_a_log() -> None:
    assert parse_query("BT64[-96:]").newest == 96
    assert parse_query("BT74[-5:]").newest == 5
    assert parse_query("BT74[0]").newest is None
    assert parse_query("BT74.entries[-5:]").newest is None
    assert parse_query("BT28[-5:]").newest is None


def test_a_bare_index_means_the_last_array() -> None:
    assert main_array(table("BT28")) == "present_values"
    assert main_array(table("BT64")) == "blocks"
    with pytest.raises(ConfigError):
        main_array(table("BT52"))
    context = IMAGE.context
    assert locate(parse_query("BT28[3]"), context) == locate(parse_query("BT28.present_values[3]"), context)


@pytest.mark.parametrize(
    "text",
    [
        "BT23.tot_data_block.summations[2]",
        "BT28[3:7]",
        "BT64.blocks[1].intervals[2]",
        "BT21.flags0.season_info",
        "ET03.util_serial_nbr",
    ],
)
def test_a_place_holds_what_the_whole_table_holds_there(text: str) -> None:
    query = parse_query(text)
    span = locate(query, IMAGE.context)
    assert span is not None
    layout = layout_of(query.table, IMAGE.context)
    raw = IMAGE.read(query.table.number)
    value: object = layout.decode(raw)
    for part in query.path if isinstance(query.path[0], str) else (main_array(query.table), *query.path):
        value = getattr(value, part) if isinstance(part, str) else value[part]  # type: ignore[index]  # lists here
    assert layout.decode_span(span, raw[span.offset : span.offset + span.size]) == value


def test_whole_tables_and_bytes_that_decide_have_no_place() -> None:
    assert locate(parse_query("BT23"), IMAGE.context) is None
    assert locate(parse_query("ET52.records[1]"), IMAGE.context) is None


def test_places_that_are_not_there() -> None:
    for text in ("BT23.nothing", "BT28[1000]", "BT23.tot_data_block[0]", "BT52.clock_calendar.a.b", "BT28[0].what"):
        with pytest.raises(ConfigError):
            locate(parse_query(text), IMAGE.context)
    with pytest.raises(MissingTable):
        locate(parse_query("BT23.tot_data_block.summations[1]"), Context())


NAME = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
PART = st.one_of(
    NAME,
    st.integers(-99, 999),
    st.builds(slice, st.none() | st.integers(-9, 99), st.none() | st.integers(-9, 99)),
)


@given(st.lists(PART, max_size=6))
def test_parts_survive_their_text(parts: list[str | int | slice]) -> None:
    assert parse_path(format_path(parts)) == tuple(parts)


@given(st.text(alphabet="bBtTeE0123456789.[]:-_ax ", max_size=20) | st.text(max_size=12))
def test_any_text_is_a_query_or_our_error(text: str) -> None:
    with suppress(ConfigError):
        locate(parse_query(text), IMAGE.context)
