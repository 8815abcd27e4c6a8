"""Group ``planner``: bytes on the wire of a planned query against what one would send without a planner.

Nothing is timed here: the figures are queries per megabyte on the wire, of one mixed query (20 fields, 7 tables) on each
door, headers, security and acknowledgements included. The alternatives: every table in full; one partial read per field;
and the cheapest of all ways to group the fields of each table (brute force), which cannot be beaten, only reached. Goal
(project choice): never more bytes than any of them. That the costs are those of the real wire is a test
(``tests/tables/test_planner.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from osgp.bench.frame import Bench, Row, group
from osgp.c1218.access import optical_costs
from osgp.mep.access import MepTables
from osgp.tables.access import DoorCosts
from osgp.tables.bt.bt21 import BT21
from osgp.tables.bt.bt61 import BT61
from osgp.tables.planner import Wanted, plan, read_cost, table_size, want
from osgp.tables.query import parse_query
from osgp.wire import Context, Firmware

__all__ = ["CONTEXT", "QUERY", "best_bytes", "full_bytes", "planner"]

QUERY = (
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
"""Registers, instantaneous values, clock, load profile, self reads and identification."""

CONTEXT = Context(
    {BT21: bytes.fromhex("1600030c040201040228"), BT61: bytes.fromhex("0000000000042006001800043c")},
    firmware=Firmware(4, 10),
    env={"lp_sets": 1},
)
"""A three-phase meter's dimensions: 12 summations, 4 demands, 4 tariffs; 6 blocks of 24 intervals with 4 channels."""


async def _silent(message: bytes, read: bool) -> bytes:
    raise ConnectionError


async def _still(seconds: float) -> None:
    raise ConnectionError


def _doors() -> dict[str, DoorCosts]:
    return {
        "optical 64×2": optical_costs(64, 2),
        "MEP RC4": MepTables(_silent, _still, tls=False).costs,
        "MEP TLS": MepTables(_silent, _still, tls=True).costs,
    }


Range = tuple[int, int]


def _partitions(items: list[Range]) -> Iterator[list[list[Range]]]:
    if not items:
        yield []
        return
    for partition in _partitions(items[1:]):
        yield [[items[0]], *partition]
        for place, members in enumerate(partition):
            yield [*partition[:place], [items[0], *members], *partition[place + 1 :]]


def _hull_cost(members: list[Range], costs: DoorCosts) -> int:
    start = min(offset for offset, _ in members)
    return read_cost(costs, max(offset + size for offset, size in members) - start, full=False)[0]


def full_bytes(items: list[Wanted], costs: DoorCosts) -> int:
    """Every table in full."""
    return sum(
        read_cost(costs, table_size(each, CONTEXT) or 0, full=True)[0] for each in {i.query.table for i in items}
    )


def _single(items: list[Wanted], costs: DoorCosts) -> int:
    """One partial read per field."""
    return sum(read_cost(costs, item.span.size, full=False)[0] for item in items if item.span is not None)


def best_bytes(items: list[Wanted], costs: DoorCosts) -> int:
    """For each table the cheapest grouping of all, or its full read."""
    total = 0
    for each in {item.query.table for item in items}:
        ranges = [(i.span.offset, i.span.size) for i in items if i.query.table is each and i.span is not None]
        whole = read_cost(costs, table_size(each, CONTEXT) or 0, full=True)[0]
        if any(i.span is None for i in items if i.query.table is each):
            total += whole
            continue
        total += min(whole, *(sum(_hull_cost(m, costs) for m in partition) for partition in _partitions(ranges)))
    return total


_ALTERNATIVES: tuple[tuple[str, Callable[[list[Wanted], DoorCosts], int]], ...] = (
    ("full reads of all tables", full_bytes),
    ("one partial read per field", _single),
    ("the best of all groupings (brute force)", best_bytes),
)


@group("planner")
def planner(bench: Bench) -> Iterator[Row]:
    """The rows: each door against each alternative."""
    items = want((parse_query(text) for text in QUERY), CONTEXT)
    for door, costs in _doors().items():
        ours = plan(items, costs, CONTEXT).wire_bytes
        for name, alternative in _ALTERNATIVES:
            theirs = alternative(items, costs)
            yield Row(
                bench.group,
                f"20 fields of 7 tables, {door}",
                1_000_000 / ours,
                1_000_000 / theirs,
                "queries/MB",
                theirs / ours,
                1.0,
                None,
                f"{name}: {theirs} bytes against {ours}",
                "",
            )
