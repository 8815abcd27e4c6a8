"""Where a load profile lies inside BT64–BT67, and which bytes answer a question: plain arithmetic, no I/O.

The layout follows from BT61 alone (blocks, intervals, channels, interval time; MEP guide p. 233, 238); ET21 states the same
sizes and wins where it can be read (optical guide p. 38), since a device may pad its blocks. A block is: UTC time of its
newest interval (5 bytes), end readings if BT61 says so, one simple-status bit per interval, then the intervals; an interval
is its status nibbles and one 32-bit value per channel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from osgp.tables.bt.bt61 import BT61
from osgp.tables.bt.bt63 import BT63
from osgp.wire import Context
from osgp.wire.errors import BadValue, ConfigError

__all__ = ["COMMON_BITS", "DAY_CODE", "STATUS_TEXT", "Geometry", "Ring", "geometry", "ring_of"]

TIME_SIZE = 5
MAX_TABLE = 1 << 24
"""Offsets of partial reads have three bytes (optical guide p. 9)."""
DAY_CODE = 84
"""Interval time code of 24 hours (BT61.MAX_INT_TIME); 1–60 are minutes."""

COMMON_BITS = {1: "dst", 2: "power fail", 4: "clock forward", 8: "clock backward"}
"""Bits of the common status nibble (MEP guide p. 240). DST is information: times are UTC whatever it says."""

STATUS_TEXT = {
    0: "",
    1: "overflow",
    2: "partial interval",
    3: "long interval",
    4: "skipped",
    5: "test mode",
    8: "decryption failure",
    9: "clock error",
    10: "device missing",
    11: "not current",
    12: "skipped by opt-out",
    15: "placeholder, not yet read",
}
"""Channel status nibbles (MEP guide p. 240). With ANSI compliance 8, 11 and 15 are reported as 4, 9 and 10 as 0."""

NO_VALUE = frozenset({4, 8, 10, 11, 12, 15})
"""Channel statuses whose value is no register reading of that interval (project choice after MEP guide p. 240)."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """Sizes of one data set, in bytes unless named otherwise. ``interval_s`` 0: the data set is not configured."""

    data_set: int
    blocks: int
    intervals: int
    channels: int
    interval_s: int
    end_readings: bool
    simple_offset: int
    simple_size: int
    header_size: int
    status_size: int
    interval_size: int
    block_size: int

    @property
    def table(self) -> int:
        """The number of the table that holds the blocks: BT64 for data set 1."""
        return 63 + self.data_set

    @property
    def configured(self) -> bool:
        return bool(self.blocks and self.intervals and self.channels)

    @property
    def marks(self) -> tuple[int, int]:
        """(channels, interval time code), as ET21 states them."""
        return self.channels, DAY_CODE if self.interval_s == 86400 else self.interval_s // 60

    @property
    def size(self) -> int:
        """Bytes of the whole table."""
        return self.blocks * self.block_size

    def header(self, block: int) -> tuple[int, int]:
        """(offset, count) of a block's header."""
        return block * self.block_size, self.header_size

    def span(self, block: int, first: int, last: int) -> tuple[int, int]:
        """(offset, count) of the intervals ``first`` … ``last`` (inclusive) of a block."""
        return (
            block * self.block_size + self.header_size + first * self.interval_size,
            (last - first + 1) * self.interval_size,
        )

    def with_sizes(self, sizes: Any) -> Geometry:
        """The sizes of an ET21 record, where they can hold the layout of BT61; else this geometry unchanged."""
        natural_interval = self.status_size + 4 * self.channels
        fits = (
            sizes.interval_size >= natural_interval
            and sizes.block_header_size >= sizes.simple_status_offset + self.simple_size
            and sizes.simple_status_offset >= TIME_SIZE
            and sizes.block_size >= sizes.block_header_size + self.intervals * sizes.interval_size
        )
        if not fits:
            return self
        return replace(
            self,
            simple_offset=sizes.simple_status_offset,
            header_size=sizes.block_header_size,
            interval_size=sizes.interval_size,
            block_size=sizes.block_size,
        )


def geometry(context: Context, data_set: int = 1) -> Geometry:
    """The geometry of a data set (1–4) from BT61. Raises ConfigError (no such data set), BadValue (unknown interval time, or
    more than a table can hold), MissingTable (BT61 not at hand)."""
    actual = context.table(BT61)
    if not 1 <= data_set <= len(actual.sets):
        raise ConfigError(
            f"there is no load profile data set {data_set} on this device",
            hint=f"it has {len(actual.sets)} (counted from 1); several sets need firmware 3.50",
        )
    one = actual.sets[data_set - 1]
    end_readings = bool(actual.lp_flags.blk_end_read)
    simple_offset = TIME_SIZE + 4 * one.nbr_chns * end_readings
    simple_size = (one.nbr_blk_ints + 7) // 8
    status_size = one.nbr_chns // 2 + 1
    header_size = simple_offset + simple_size
    interval_size = status_size + 4 * one.nbr_chns
    configured = one.nbr_blks and one.nbr_blk_ints and one.nbr_chns
    block_size = header_size + one.nbr_blk_ints * interval_size
    if one.nbr_blks * block_size > MAX_TABLE:
        raise BadValue(
            f"BT61 describes a load profile of {one.nbr_blks * block_size} bytes; a table ends at {MAX_TABLE}",
            floor="tables",
            struct="BT61",
            field=f"sets[{data_set - 1}]",
            hint="offsets have three bytes; these are probably not the bytes of BT61",
        )
    return Geometry(
        data_set=data_set,
        blocks=one.nbr_blks,
        intervals=one.nbr_blk_ints,
        channels=one.nbr_chns,
        interval_s=interval_seconds(one.max_int_time) if configured else 0,
        end_readings=end_readings,
        simple_offset=simple_offset,
        simple_size=simple_size,
        header_size=header_size,
        status_size=status_size,
        interval_size=interval_size,
        block_size=block_size,
    )


def interval_seconds(code: int) -> int:
    """Seconds of an interval time code: 1–60 minutes, 84 a day (MEP guide p. 234). Raises BadValue."""
    if 1 <= code <= 60:
        return code * 60
    if code == DAY_CODE:
        return 86400
    raise BadValue(f"interval time code {code} is not known", floor="tables", struct="BT61", field="max_int_time")


@dataclass(frozen=True, slots=True)
class Ring:
    """What BT63 says of a data set: how many blocks hold data, which is the newest, and its running number."""

    valid_blocks: int
    last_block: int
    sequence: int
    valid_intervals: int

    def newest_first(self, blocks: int) -> Iterator[int]:
        """Array indexes of the valid blocks of a ring of ``blocks``, newest first."""
        for back in range(min(self.valid_blocks, blocks)):
            yield (self.last_block - back) % blocks

    def overwritten_since(self, earlier: Ring, blocks: int) -> set[int]:
        """Array indexes of blocks that were begun after ``earlier`` was read."""
        moved = (self.sequence - earlier.sequence) & 0xFFFFFFFF
        if moved == 0 and self.last_block != earlier.last_block:
            moved = blocks
        return {(earlier.last_block + step) % blocks for step in range(1, min(moved, blocks) + 1)}


def ring_of(one: BT63.Sets) -> Ring:
    """The ring state of one BT63 record."""
    return Ring(one.nbr_valid_blocks, one.last_block_element, one.last_block_seq_nbr, one.nbr_valid_int)
