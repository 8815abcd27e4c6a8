"""The planner against everything else one could do, and its costs against the bytes that really pass the line."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from osgp.c1218.access import optical_costs
from osgp.mep.access import MepTables
from osgp.tables.access import DoorCosts
from osgp.tables.planner import Plan, plan, plan_ranges, read_cost, table_size, want
from osgp.tables.query import parse_query
from osgp.tables.registry import table
from osgp.wire import layout_of
from tests.access.doors import LOOPBACK, Room, full_key
from tests.access.world import World, complete_image

Range = tuple[int, int]

COSTS = st.builds(
    DoorCosts,
    st.just("any"),
    st.integers(0, 60),
    st.integers(0, 60),
    st.just(0),
    st.just(0),
    st.integers(1, 200),
    st.just(100),
    packet_data=st.integers(0, 60),
    packet_overhead=st.integers(0, 40),
    packet_head=st.integers(0, 5),
)
RANGES = st.lists(st.tuples(st.integers(0, 120), st.integers(1, 60)), min_size=1, max_size=7)


def _partitions(items: list[Range]) -> Iterator[list[list[Range]]]:
    """All ways to put the items into groups."""
    if not items:
        yield []
        return
    first, rest = items[0], items[1:]
    for partition in _partitions(rest):
        yield [[first], *partition]
        for place in range(len(partition)):
            yield [*partition[:place], [first, *partition[place]], *partition[place + 1 :]]


def _hull(group: list[Range]) -> Range:
    start = min(offset for offset, _ in group)
    return start, max(offset + size for offset, size in group) - start


def _cost(reads: list[Range], costs: DoorCosts) -> int:
    return sum(read_cost(costs, size, full=False)[0] for _, size in reads)


def best_of_all(ranges: list[Range], costs: DoorCosts) -> int:
    return min(_cost([_hull(group) for group in partition], costs) for partition in _partitions(ranges))


@given(ranges=RANGES, costs=COSTS)
@settings(max_examples=200)
def test_grouping_is_as_cheap_as_the_best_of_all_groupings(ranges: list[Range], costs: DoorCosts) -> None:
    reads = plan_ranges(ranges, costs)
    assert _cost(reads, costs) == best_of_all(ranges, costs)
    for offset, size in ranges:
        assert any(start <= offset and offset + size <= start + count for start, count in reads)
    assert reads == sorted(reads)


@given(ranges=st.lists(st.tuples(st.integers(0, 500), st.integers(0, 90)), min_size=8, max_size=8), costs=COSTS)
@settings(max_examples=6)
def test_grouping_of_eight(ranges: list[Range], costs: DoorCosts) -> None:
    asked = [(offset, size) for offset, size in ranges if size]
    assert _cost(plan_ranges(ranges, costs), costs) == (best_of_all(asked, costs) if asked else 0)


def test_ranges_that_overlap_stay_apart_where_packets_make_that_cheaper() -> None:
    costs = DoorCosts("short packets", 5, 5, 0, 0, 1000, 100, packet_data=10, packet_overhead=30)
    assert plan_ranges([(0, 10), (9, 10)], costs) == [(0, 10), (9, 10)]


@given(ranges=RANGES, costs=COSTS)
def test_a_longer_read_never_costs_less(ranges: list[Range], costs: DoorCosts) -> None:
    """What grouping neighbours rests on."""
    sizes = sorted(size for _, size in ranges)
    cost = [read_cost(costs, size, full=False)[0] for size in sizes]
    assert cost == sorted(cost)


# ---- a mixed query on the doors
MIXED = (
    "BT23.tot_data_block.summations[0]",
    "BT23.tot_data_block.summations[1]",
    "BT23.tot_data_block.summations[4]",
    "BT23.tot_data_block.demands[0]",
    "BT23.tier_data_block[1].summations[0]",
    "BT23.tier_data_block[2].summations[0]",
    "BT28.present_values[0]",
    "BT28.present_values[4]",
    "BT28.present_values[7:10]",
    "BT28.present_values[33]",
    "BT52.clock_calendar",
    "BT64.blocks[2].intervals[5]",
    "BT64.blocks[2].intervals[6]",
    "BT64.blocks[3].blk_end_time",
    "BT26.entries[1].bidn",
    "BT26.last_entry_seq_nbr",
    "BT26.nbr_valid_entries",
    "ET03.util_serial_nbr",
    "ET03.image_crc",
    "BT22.summation_select[1]",
)


async def _nobody(message: bytes, read: bool) -> bytes:
    raise AssertionError("costs need no line")


async def _nowhere(seconds: float) -> None:
    raise AssertionError("costs need no time")


DOORS = {
    "optical 64x2": optical_costs(64, 2),
    "optical 64x1": optical_costs(64, 1),
    "optical 1024x128": optical_costs(1024, 128),
    "mep rc4": MepTables(_nobody, _nowhere, tls=False).costs,
    "mep tls": MepTables(_nobody, _nowhere, tls=True).costs,
}
IMAGE = complete_image()


def _plan(texts: tuple[str, ...], costs: DoorCosts) -> Plan:
    return plan(want((parse_query(text) for text in texts), IMAGE.context), costs, IMAGE.context)


def full_reads(texts: tuple[str, ...], costs: DoorCosts) -> int:
    tables = {parse_query(text).table for text in texts}
    return sum(read_cost(costs, table_size(each, IMAGE.context) or 0, full=True)[0] for each in tables)


def single_reads(texts: tuple[str, ...], costs: DoorCosts) -> int:
    spans = [item.span for item in want((parse_query(text) for text in texts), IMAGE.context)]
    return sum(read_cost(costs, span.size, full=False)[0] for span in spans if span is not None)


def brute_force(texts: tuple[str, ...], costs: DoorCosts) -> int:
    """The best set partition of each table's fields, or its full read."""
    total = 0
    items = want((parse_query(text) for text in texts), IMAGE.context)
    for each in {item.query.table for item in items}:
        spans = [(i.span.offset, i.span.size) for i in items if i.query.table is each and i.span is not None]
        whole = read_cost(costs, table_size(each, IMAGE.context) or 0, full=True)[0]
        total += min(whole, best_of_all(spans, costs))
    return total


@pytest.mark.parametrize("costs", DOORS.values(), ids=DOORS)
def test_a_mixed_query_costs_no_more_than_the_alternatives(costs: DoorCosts) -> None:
    assert len(MIXED) == 20
    assert len({parse_query(text).table for text in MIXED}) >= 6
    found = _plan(MIXED, costs)
    assert found.wire_bytes <= full_reads(MIXED, costs)
    assert found.wire_bytes <= single_reads(MIXED, costs)
    assert found.wire_bytes == brute_force(MIXED, costs)
    assert found.airtime_s > 0


@given(picks=st.lists(st.sampled_from(MIXED), min_size=1, max_size=8, unique=True), costs=COSTS)
def test_any_choice_of_fields_is_planned_as_well_as_can_be(picks: list[str], costs: DoorCosts) -> None:
    assert _plan(tuple(picks), costs).wire_bytes == brute_force(tuple(picks), costs)


def test_reads_say_what_they_serve_and_why() -> None:
    found = _plan((*MIXED, "BT50"), DOORS["mep rc4"])
    assert {text for read in found.reads for text in read.serves} == {*MIXED, "BT50"}
    assert all(read.why for read in found.reads)
    whole = next(read for read in found.reads if read.table == 50)
    assert (whole.count, whole.why, whole.name) == (None, "all of it is asked for", "BT50")


def test_fields_without_bytes_need_no_read() -> None:
    assert _plan(("BT65.blocks",), DOORS["mep rc4"]).reads == []


def test_a_whole_table_serves_its_fields_too() -> None:
    found = _plan(("BT23", "BT23.tot_data_block.summations[0]"), DOORS["mep tls"])
    assert [(read.table, read.count, read.exchanges) for read in found.reads] == [(23, None, 2)]


# ---- the costs are true
@pytest.fixture(params=LOOPBACK)
def line(request: pytest.FixtureRequest) -> Iterator[Room]:
    with LOOPBACK[request.param](World(), full_key(request.param)) as room:
        room.read(0)  # the handshake and the first sequence number are no part of a read
        yield room


def _measured(room: Room, work: Callable[[], object]) -> int:
    before = room.wire[0]
    work()
    return room.wire[0] - before


def test_a_plan_costs_what_it_says(line: Room) -> None:
    found = _plan(MIXED, line.tables.costs)
    for read in found.reads:
        if read.count is None:
            passed = _measured(line, lambda read=read: line.read(read.table))  # type: ignore[misc]  # binds the loop's value
        else:
            passed = _measured(line, lambda read=read: line.part(read.table, read.offset, read.count))  # type: ignore[misc]  # ditto
        assert passed == read.wire_bytes, read


@pytest.mark.parametrize("number", [0, 1, 21, 23, 26, 28, 52, 64])
def test_whole_tables_cost_what_they_should(line: Room, number: int) -> None:
    size = line.world.image.size(number)
    wire, exchanges = read_cost(line.tables.costs, size, full=True)
    assert _measured(line, lambda: line.read(number)) == wire
    assert exchanges == 1 or size > line.tables.costs.max_read


def test_parts_of_every_size_cost_what_they_should(line: Room) -> None:
    costs = line.tables.costs
    edges = {1, 2, 50, 51, 52, 53, 107, 108, 109, 440, 441, 442, 443, 444, 464, 465, 466, 930, 931, 1500}
    for size in sorted(edges | {costs.max_read, costs.max_read + 1} - set(range(2000, 1 << 20))):
        wire, _ = read_cost(costs, size, full=False)
        assert _measured(line, lambda size=size: line.part(64, 3, size)) == wire  # type: ignore[misc]  # binds the loop's value


@given(offset=st.integers(0, 2700), size=st.integers(1, 600), name=st.sampled_from(sorted(LOOPBACK)))
@settings(max_examples=40)
def test_any_part_costs_what_it_should(offset: int, size: int, name: str) -> None:
    with LOOPBACK[name](World(), full_key(name)) as room:
        room.read(0)
        assume(offset + size < 1 << 24)
        assert _measured(room, lambda: room.part(64, offset, size)) == read_cost(room.tables.costs, size, full=False)[0]


def test_writes_cost_what_they_should(line: Room) -> None:
    """RC4 mode reads back what it wrote, because its answers prove nothing; that is counted apart."""
    costs = line.tables.costs
    data = bytes(range(40))
    back = costs.read_bytes(40, full=False) if getattr(line.tables, "confirm_writes", False) else 0
    assert _measured(line, lambda: line.write_part(54, 0, data)) == costs.part_write_overhead + 40 + back
    assert _measured(line, lambda: line.write(54, data)) == costs.full_write_overhead + 40 + back


def test_the_catalogue_of_the_mixed_query() -> None:
    """Its tables are the catalogue's, and its places lie in them."""
    for item in want((parse_query(text) for text in MIXED), IMAGE.context):
        assert item.span is not None
        size = layout_of(table(item.query.table.__name__), IMAGE.context).size
        assert size is not None
        assert item.span.offset + item.span.size <= size
