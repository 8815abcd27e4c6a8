"""Images: raw bytes with views on them, and the rules of partial access."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp.tables.access import ProcedureResult, run_sync
from osgp.tables.bt.bt21 import BT21
from osgp.tables.bt.bt23 import BT23
from osgp.tables.image import Image, ImageTables, context_of
from osgp.tables.services import NotInConfiguration, NotSupported
from osgp.wire import Firmware
from osgp.wire.errors import BadValue, ConfigError
from tests.access.world import complete_image


@given(content=st.binary(max_size=60), offset=st.integers(0, 80), count=st.integers(0, 80))
def test_reading_never_fails_and_gives_what_was_asked(content: bytes, offset: int, count: int) -> None:
    image = Image({23: content})
    got = image.read_part(23, offset, count)
    assert len(got) == count
    assert got == (content + bytes(200))[offset : offset + count]


@given(content=st.binary(max_size=60), offset=st.integers(0, 80), data=st.binary(max_size=80))
def test_writing_never_changes_the_size(content: bytes, offset: int, data: bytes) -> None:
    image = Image({23: content})
    image.write_part(23, offset, data)
    assert image.size(23) == len(content)
    expected = bytearray(content)
    for place, byte in enumerate(data, offset):
        if place < len(expected):
            expected[place] = byte
    assert image.read(23) == bytes(expected)


def test_a_table_that_is_not_there() -> None:
    image = Image({23: b"abc"})
    for use in (
        lambda: image.read(24),
        lambda: image.read_part(24, 0, 1),
        lambda: image.write(24, b""),
        lambda: image.size(24),
    ):
        with pytest.raises(NotInConfiguration, match="BT24"):
            use()
    assert 24 not in image
    assert list(image) == [23]
    image.remove(24)
    image.remove(23)
    assert list(image) == []


def test_views_follow_the_dimensions() -> None:
    image = complete_image()
    before = image.decode(BT23)
    assert len(before.tier_data_block) == 4
    image.set(BT21, "nbr_tiers", 2)
    image.set(BT21, "nbr_summations", 3)
    after = image.decode(BT23)
    assert len(after.tier_data_block) == 2
    assert len(after.tot_data_block.summations) == 3


def test_one_value_in_and_out() -> None:
    image = complete_image()
    image.set(BT23, "tot_data_block.summations[3]", 123456)
    assert image.get(BT23, "tot_data_block.summations[3]") == 123456
    assert image.decode(BT23).tot_data_block.summations[3] == 123456


def test_a_bit_keeps_its_neighbours() -> None:
    image = complete_image()
    word = image.read_part(21, 0, 1)[0]
    image.set(BT21, "flags0.season_info", 1)
    assert image.read_part(21, 0, 1)[0] == word | 1
    image.set(BT21, "flags0.season_info", 0)
    assert image.read_part(21, 0, 1)[0] == word & ~1
    with pytest.raises(BadValue):
        image.set(BT21, "flags0.season_info", 2)


def test_objects_go_in_and_come_out() -> None:
    image = complete_image()
    value = image.decode(BT23)
    value.tot_data_block.summations[0] = 42
    image.encode(value)
    assert image.decode(BT23).tot_data_block.summations[0] == 42


def test_the_context_of_raw_tables() -> None:
    image = complete_image()
    context = context_of({number: image.read(number) for number in image})
    assert context.firmware == Firmware(4, 10)
    assert context.env["lp_sets"] == 1
    assert context_of({}).firmware is None
    assert context_of({1: b"short"}).firmware is None
    assert context_of({1: bytes(24)}).firmware is None
    assert context_of({61: bytes(31)}).env["lp_sets"] == 4
    assert context_of({1: bytes(24), 60000: b"?"}, context).firmware == Firmware(4, 10)


def test_saved_and_loaded() -> None:
    image = complete_image()
    again = Image.from_json(json.loads(json.dumps(image.to_json())))
    assert {number: again.read(number) for number in again} == {number: image.read(number) for number in image}


@pytest.mark.parametrize("saved", [[], None, "text", {"BT23": 5}, {"BT23": "xy"}, {"what": "00"}, {"BT23": None}])
def test_what_is_no_saved_image(saved: object) -> None:
    with pytest.raises(ConfigError):
        Image.from_json(saved)  # type: ignore[arg-type]  # that is the point


def test_an_image_as_tables() -> None:
    async def runner(procedure: int, parameters: bytes) -> ProcedureResult:
        return ProcedureResult(procedure, 1, 0, parameters)

    tables = ImageTables(Image({54: bytes(4)}))
    run_sync(tables.write_part(54, 1, b"ab"))
    assert run_sync(tables.read(54)) == b"\0ab\0"
    assert tables.costs.read_bytes(100, full=True) == 100
    with pytest.raises(NotSupported):
        run_sync(tables.run(10))
    assert run_sync(ImageTables(Image(), runner).run(10, b"x")).data == b"x"
