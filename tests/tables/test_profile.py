"""Load profiles: both decoders agree, only the bytes needed are read, and nothing is invented."""

from __future__ import annotations

import datetime as dt
import random
import struct
import sys
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osgp.tables.access import run_sync
from osgp.tables.bt.bt63 import BT63
from osgp.tables.bt.bt64 import BT64
from osgp.tables.et.et11 import ET11
from osgp.tables.image import Image
from osgp.tables.profile import (
    Profile,
    Ring,
    channel_of,
    decode_blocks,
    decode_table,
    encode_blocks,
    encode_table,
    geometry,
    read_profile,
    read_profile_pieces,
)
from osgp.tables.profile_geometry import Geometry
from osgp.wire import layout_of
from osgp.wire.errors import BadValue, ConfigError

from .profiles import ET21, ET66, START, Counted, Tables, profile_image, put_ring, put_sizes


def shape_of(blocks: int, intervals: int, channels: int, code: int = 15, end_readings: bool = False) -> Geometry:
    flags = 16 if end_readings else 0
    raw = struct.pack("<IHB", 0, flags, 32) + struct.pack("<HHBB", blocks, intervals, channels, code)
    return geometry(Image({61: raw}).context)


def same(left: Profile, right: Profile) -> None:
    assert left.to_json() == right.to_json()


def test_sizes_follow_the_guide() -> None:
    shape = shape_of(30, 96, 8)
    assert (shape.header_size, shape.interval_size, shape.block_size) == (5 + 12, 5 + 32, 17 + 96 * 37)
    assert shape.size == 30 * 3569
    with_ends = shape_of(30, 96, 8, end_readings=True)
    assert with_ends.simple_offset == 5 + 32
    assert shape_of(3, 1, 1, code=84).interval_s == 86400
    with pytest.raises(BadValue, match="61"):
        shape_of(3, 1, 1, code=61)
    with pytest.raises(ConfigError, match="data set 2"):
        geometry(Image({61: struct.pack("<IHBHHBB", 0, 0, 32, 1, 1, 1, 15)}).context, 2)


def test_what_is_no_bt61_is_refused() -> None:
    with pytest.raises(BadValue, match="a table ends"):
        geometry(Image({61: b"\xff" * 12 + b"\x0f"}).context)


@pytest.mark.parametrize("end_readings", [False, True])
@pytest.mark.parametrize("channels", [1, 2, 8, 15])
def test_the_arithmetic_agrees_with_the_declaration(channels: int, end_readings: bool) -> None:
    """BT64 is declared once, in the byte language; the vectorised reader must mean the same bytes."""
    raw61 = struct.pack("<IHB", 0, 16 * end_readings, 32) + struct.pack("<HHBB", 3, 13, channels, 30)
    context = Image({61: raw61}).context
    shape = geometry(context)
    layout = layout_of(BT64, context)
    assert layout.size == shape.size
    assert layout.span("blocks[1]").offset == shape.block_size
    assert layout.span("blocks[0].simple_int_status").offset == shape.simple_offset
    assert layout.span("blocks[0].intervals").offset == shape.header_size
    assert layout.span("blocks[0].intervals[1].ext_int_status").offset == shape.header_size + shape.interval_size
    rng = random.Random(channels)
    values = [[rng.randrange(-(2**31), 2**31) for _ in range(channels)] for _ in range(39)]
    raw, ring = encode_table(shape, START, values, status=[[3] * channels] * 39)
    table = layout.decode(raw)
    assert [each.int_data for block in table.blocks for each in block.intervals] == values
    assert table.blocks[0].blk_end_time.datetime() == START + dt.timedelta(minutes=13 * 30)
    assert table.blocks[2].simple_int_status == bytes((0xFF, 0x1F))
    assert decode_table(raw, shape, ring).to_json()["values"] == values


@given(seed=st.integers(0, 2**32), blocks=st.integers(1, 5), intervals=st.integers(1, 20), channels=st.integers(1, 16))
@settings(max_examples=80, deadline=None)
def test_both_paths_agree_on_any_bytes(seed: int, blocks: int, intervals: int, channels: int) -> None:
    rng = random.Random(seed)
    shape = shape_of(blocks, intervals, channels, rng.choice((1, 15, 60, 84)), rng.random() < 0.3)
    raw = bytearray(rng.randbytes(shape.size))
    for block in range(blocks):
        if rng.random() < 0.8:
            raw[block * shape.block_size : block * shape.block_size + 5] = bytes(
                (rng.randrange(256), rng.randint(1, 12), rng.randint(1, 28), rng.randrange(24), rng.randrange(60))
            )
    first = None if rng.random() < 0.5 else [rng.randrange(intervals) for _ in range(blocks)]
    fast = decode_blocks(bytes(raw), shape, first=first)
    slow = decode_blocks(bytes(raw), shape, first=first, plain=True)
    same(fast, slow)
    assert fast.values.dtype == np.int32
    assert fast.status.dtype == np.uint8
    assert fast.time.dtype == np.dtype("M8[s]")
    assert fast.epochs() == sorted(fast.epochs())
    assert list(fast.rows()) == list(slow.rows())


@given(seed=st.integers(0, 2**32), blocks=st.integers(1, 4), intervals=st.integers(1, 20), channels=st.integers(1, 16))
@settings(max_examples=60, deadline=None)
def test_what_is_encoded_is_decoded(seed: int, blocks: int, intervals: int, channels: int) -> None:
    rng = random.Random(seed)
    shape = shape_of(blocks, intervals, channels, 15, rng.random() < 0.3)
    count = rng.randint(0, blocks * intervals)
    values = [[rng.randrange(-(2**31), 2**31) for _ in range(channels)] for _ in range(count)]
    status = [[rng.randrange(16) for _ in range(channels)] for _ in range(count)]
    common = [rng.randrange(16) for _ in range(count)]
    earlier = rng.randrange(100)
    raw, ring = encode_table(shape, START, values, status=status, common=common, earlier=earlier)
    assert len(raw) == shape.size
    arrays = (np.array(values, "i4").reshape(count, channels), np.array(status, "u1").reshape(count, channels))
    again, _ = encode_table(shape, START, arrays[0], status=arrays[1], common=np.array(common, "u1"), earlier=earlier)
    assert again == raw
    for plain in (False, True):
        profile = decode_table(raw, shape, ring, plain=plain)
        shown = profile.to_json()
        assert shown["values"] == values
        assert shown["status"] == status
        assert shown["common"] == common
        assert all(shown["valid"])
        assert profile.times() == [START + dt.timedelta(minutes=15 * (n + 1)) for n in range(count)]


def test_encoders_agree() -> None:
    rng = random.Random(3)
    shape = shape_of(2, 5, 3, 30, True)
    values = [[[rng.randrange(-99, 99) for _ in range(3)] for _ in range(5)] for _ in range(2)]
    status = [[[rng.randrange(16) for _ in range(3)] for _ in range(5)] for _ in range(2)]
    common = [[rng.randrange(16) for _ in range(5)] for _ in range(2)]
    done = [[rng.random() < 0.7 for _ in range(5)] for _ in range(2)]
    final = [[1, 2, 3], [4, 5, -6]]
    ends = [951782400, 4102358400 - 60]
    options = {"status": status, "common": common, "processed": done, "final": final}
    assert encode_blocks(shape, ends, values, **options) == encode_blocks(shape, ends, values, plain=True, **options)


def test_too_many_intervals_are_refused() -> None:
    with pytest.raises(BadValue, match="do not fit"):
        encode_table(shape_of(1, 2, 1), START, [[1]] * 3)


def test_simple_status_decides_what_counts() -> None:
    """Bits 0, 1 and 3 of five intervals: the block's time is that of interval 3, interval 2 is a gap, 4 is not yet written."""
    shape = shape_of(1, 5, 1)
    raw = bytearray(
        encode_blocks(shape, [1_800_000_000], [[[1], [2], [3], [4], [5]]], processed=[[True, True, False, True, False]])
    )
    assert raw[5] == 0b01011
    for plain in (False, True):
        profile = decode_blocks(bytes(raw), shape, plain=plain)
        assert profile.epochs() == [1_800_000_000 - 900 * back for back in (3, 2, 1, 0)]
        assert profile.to_json()["values"] == [[1], [2], [0], [4]]
        assert profile.to_json()["valid"] == [True, True, False, True]
        end = dt.datetime.fromtimestamp(1_800_000_000, dt.UTC)
        assert profile.gaps() == [(end - dt.timedelta(minutes=30), end, 1)]
        assert len(list(profile.rows())) == 3
        assert len(list(profile.rows(invalid=True))) == 4


def test_dst_is_information_only() -> None:
    """The meter logs in standard time: the DST bit changes no time stamp (MEP guide p. 240)."""
    shape = shape_of(1, 4, 1)
    start = dt.datetime(2026, 3, 29, 0, 0, tzinfo=dt.UTC)
    raw, ring = encode_table(shape, start, [[1], [2], [3], [4]], common=[0, 0, 1, 1])
    rows = list(decode_table(raw, shape, ring).rows())
    assert [row["time"] for row in rows] == [start + dt.timedelta(minutes=15 * n) for n in (1, 2, 3, 4)]
    assert [row["flags"] for row in rows] == [[], [], ["dst"], ["dst"]]


def test_status_nibbles_are_where_the_guide_puts_them() -> None:
    shape = shape_of(1, 1, 3)
    raw, _ = encode_table(shape, START, [[0, 0, 0]], status=[[1, 2, 3]], common=[2])
    start = shape.header_size
    assert raw[start : start + 2] == bytes((0x21, 0x23))


def test_rows_scale_differ_and_leave_out_what_is_no_reading() -> None:
    shape = shape_of(1, 4, 2)
    raw, ring = encode_table(
        shape, START, [[100, 230_000], [110, 231_000], [0, 0], [135, 229_500]], status=[[0, 0], [0, 0], [4, 0], [0, 0]]
    )
    channels = [channel_of(0, 0, energy_unit=10), channel_of(1, 15)]
    profile = decode_table(raw, shape, ring, channels=channels)
    rows = list(profile.rows())
    assert [row["fwd_active_energy"] for row in rows] == [1000, 1100, None, 1350]
    assert [row["voltage_l1"] for row in rows] == [230.0, 231.0, 0.0, 229.5]
    assert rows[2]["status"] == {"fwd_active_energy": "skipped"}
    assert [row["fwd_active_energy"] for row in profile.rows(differences=True)] == [None, 100, None, None]
    assert [row["voltage_l1"] for row in profile.rows(differences=True)] == [230.0, 231.0, 0.0, 229.5]


def test_the_same_source_twice_keeps_both_columns() -> None:
    shape = shape_of(1, 1, 2)
    raw, ring = encode_table(shape, START, [[1, 2]])
    row = next(decode_table(raw, shape, ring, channels=[channel_of(0, 0), channel_of(1, 0)]).rows())
    assert (row["fwd_active_energy"], row["fwd_active_energy_ch1"]) == (1, 2)


# --- reading


def read(access: Counted, **asked: object) -> Profile:
    return run_sync(read_profile(Tables(access), **asked))  # type: ignore[arg-type]  # keyword arguments of several types


@pytest.mark.parametrize("earlier", [0, 4, 11])
@pytest.mark.parametrize("count", [0, 1, 12, 13, 40, 72])
@pytest.mark.parametrize("padding", [0, 7])
def test_all_since_and_last_agree_with_the_whole_table(count: int, earlier: int, padding: int) -> None:
    image, values = profile_image(count, earlier=earlier, padding=padding)
    if earlier + -(-count // 12) > 6 or earlier:
        put_ring(image, -(-count // 12), (earlier + -(-count // 12) - 1) % 6, 99, (count - 1) % 12 + 1)
    everything = read(Counted(image))
    assert everything.to_json()["values"] == values
    times = everything.times()
    for back in (0, 1, 5, 12, 13, 30, 100):
        newest = read(Counted(image), last=back)
        assert newest.to_json()["values"] == (values[-back:] if back else [])
        since = START + dt.timedelta(minutes=15 * count) - dt.timedelta(minutes=15 * back)
        after = read(Counted(image), since=since)
        assert after.times() == [time for time in times if time > since]
        half = read(Counted(image), since=since + dt.timedelta(minutes=7))
        assert half.times() == [time for time in times if time > since + dt.timedelta(minutes=7)]


def test_without_numpy_reading_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    image, values = profile_image(40)
    with_numpy = read(Counted(image), last=17)
    monkeypatch.setitem(sys.modules, "osgp.tables.kernels", None)
    monkeypatch.delattr("osgp.tables.kernels", raising=False)
    without = read(Counted(image), last=17)
    assert isinstance(without.values, list)
    same(with_numpy, without)
    assert list(with_numpy.rows(differences=True)) == list(without.rows(differences=True))
    assert read(Counted(image), since=START + dt.timedelta(hours=5)).to_json()["values"] == values[20:]


def test_only_the_bytes_needed_are_read() -> None:
    image, _ = profile_image(40)
    shape = geometry(image.context)
    access = Counted(image)
    read(access, last=3)
    assert access.bytes_of(64) == shape.header_size + 3 * shape.interval_size
    access = Counted(image)
    read(access, since=START + dt.timedelta(minutes=15 * 37))
    assert access.bytes_of(64) == shape.header_size + 3 * shape.interval_size
    access = Counted(image)
    read(access, last=4 + 12 + 2)
    assert access.bytes_of(64) == 2 * shape.header_size + 6 * shape.interval_size + shape.block_size
    access = Counted(image)
    read(access, since=START + dt.timedelta(days=3))
    assert access.bytes_of(64) == shape.header_size


async def pieces(access: Counted) -> list[Profile]:
    tables = cast(Any, Tables(access))  # knows is all it asks
    return [each async for each in read_profile_pieces(tables, size=1)]


@pytest.mark.parametrize(("count", "rings"), [(0, 1), (5, 2)])
def test_the_ring_is_looked_at_again_only_where_something_was_read(count: int, rings: int) -> None:
    image, values = profile_image(count)
    access = Counted(image)
    assert [each.to_json()["values"] for each in run_sync(pieces(access))] == [values]
    size = layout_of(BT63, image.context).span("sets[0]").size
    assert access.bytes_of(63) == rings * size
    assert len([table for table, *_ in access.reads if table == ET21]) == 1


def test_without_et21_the_sizes_follow_from_bt61() -> None:
    """RK on the optical port may read BT61–BT67 but not ET21."""
    image, values = profile_image(40)
    assert read(Counted(image, {ET21})).to_json()["values"] == values


def test_without_bt62_channels_are_numbered() -> None:
    image, values = profile_image(5)
    profile = read(Counted(image, {62}))
    assert profile.to_json()["values"] == values
    assert [each.key for each in profile.channels] == ["channel_0", "channel_1", "channel_2"]


def test_channels_are_described_by_source_and_mapping() -> None:
    image, _ = profile_image(5)
    channels = read(Counted(image)).channels
    assert [(each.key, each.unit, each.scale) for each in channels] == [
        ("fwd_active_energy", "Wh", 1),
        ("voltage_l1", "V", 0.001),
        ("mbus_2_mdt_5", "", 1),
    ]
    assert channels[2].extended == 4 << 12 | 1 << 8 | 5
    assert [each.key for each in read(Counted(image, {ET66})).channels][2] == "mapped_source_2"


def test_mbus_channels_take_quantity_and_unit_from_the_data_types() -> None:
    """MDT 5 is an 8-digit BCD volume in 10 l; its second, "special" entry (storage 1) is preferred."""
    image, _ = profile_image(0)
    shape = geometry(image.context)
    raw, ring = encode_table(shape, START, [[1, 2, 0x1234], [1, 2, 0x1300], [1, 2, 0xABC]])
    image.put(64, raw)
    put_ring(image, ring.valid_blocks, ring.last_block, ring.sequence, ring.valid_intervals)
    et11 = bytearray(39)
    et11[layout_of(ET11).span("nbr_et57_entries").offset] = 4
    image.put(ET11.number, bytes(et11))
    mdt5 = bytes((1 | 5 << 2,)) + bytes.fromhex("0c1300")
    special = bytes((1 | 5 << 2 | 0x80,)) + bytes.fromhex("4c1400")
    image.put(2105, mdt5 + special + mdt5 + bytes(4))
    profile = read(Counted(image))
    channel = profile.channels[2]
    assert (channel.key, channel.unit, channel.scale, channel.bcd) == ("mbus_2_volume", "m³", 0.01, True)
    assert [row["mbus_2_volume"] for row in profile.rows()] == [12.34, 13.0, None]
    assert [row["mbus_2_volume"] for row in profile.rows(differences=True)] == [None, 0.66, None]


def test_a_reconfigured_profile_is_noticed() -> None:
    """The context still has the old BT61; ET21, read anew each time, says otherwise."""
    old, _ = profile_image(20, channels=2)
    image, values = profile_image(20, channels=3)

    class Stale(Tables):
        async def knows(self, *declared: object) -> object:  # type: ignore[override]  # only what this test needs
            return old.context.with_table(type_of(62), old.read(62))

    def type_of(number: int) -> object:
        from osgp.tables.registry import table

        return table(number)

    profile = run_sync(read_profile(Stale(Counted(image))))
    assert profile.to_json()["values"] == values
    assert [each.key for each in profile.channels] == ["fwd_active_energy", "voltage_l1", "mbus_2_mdt_5"]


def test_a_block_that_is_overwritten_while_reading_is_left_out() -> None:
    image, values = profile_image(72)
    newer, _ = profile_image(1, seed=9)
    shape = geometry(image.context)
    access = Counted(image)

    def later(table: int, offset: int, count: int) -> None:
        if table == 64 and offset == 2 * shape.block_size:
            # A new block begins over the oldest one (index 0) before that is read.
            image.write_part(64, 0, newer.read(64)[: shape.block_size])
            put_ring(image, 6, 0, 7, 1)

    access.before_read = later
    assert read(access).to_json()["values"] == values[12:]


def test_a_cleared_log_is_read_again() -> None:
    image, _ = profile_image(72)
    cleared, values = profile_image(3, seed=5)
    access = Counted(image)
    done: list[int] = []

    def clear(table: int, offset: int, count: int) -> None:
        if table == 64 and not done:
            done.append(1)
            for number in (63, 64):
                image.put(number, cleared.read(number))
            put_ring(image, 1, 0, 1, 3)

    access.before_read = clear
    assert read(access).to_json()["values"] == values


def test_an_unconfigured_set_is_empty() -> None:
    image = Image({61: struct.pack("<IHBHHBB", 0, 0, 32, 0, 0, 0, 0)})
    assert len(read(Counted(image))) == 0


def test_rubbish_in_the_table_is_no_reading() -> None:
    image, _ = profile_image(40)
    image.put(64, random.Random(4).randbytes(image.size(64)))
    put_sizes(image)
    profile = read(Counted(image))
    assert len(profile) <= 72
    list(profile.rows(differences=True, invalid=True))
    profile.gaps()


def test_ring_order() -> None:
    assert list(Ring(4, 1, 9, 3).newest_first(6)) == [1, 0, 5, 4]
    assert Ring(6, 1, 9, 3).overwritten_since(Ring(6, 5, 7, 3), 6) == {0, 1}
    assert Ring(6, 1, 9, 3).overwritten_since(Ring(6, 1, 9, 2), 6) == set()
