"""One load profile data set: writes interval after interval into the bytes of BT64–BT67 and keeps BT63 and ET21 true.

Intervals lie on a grid of UTC; blocks on a coarser one that begins at the configured hour. An interval that has passed without
supply is left unprocessed (simple status 0), or stuffed as skipped if ET04 says so. Blocks without any interval are not begun.
When the clock goes back, nothing is written until it passes the newest interval again; that one is long. When it goes back by
more than a block, the set begins anew (project choices; the guides say nothing).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from osgp.node.clockwork import utc_datetime
from osgp.tables.image import Image
from osgp.tables.profile_geometry import Geometry
from osgp.wire import LTime, STime

__all__ = ["DST", "POWER_FAIL", "SKIPPED", "ProfileLog"]

DST, POWER_FAIL, CLOCK_FORWARD, CLOCK_BACKWARD = 1, 2, 4, 8
_PARTIAL, _LONG, SKIPPED = 2, 3, 4


@dataclass(slots=True)
class _Marks:
    """What has happened in the interval that is under way."""

    common: int = 0
    partial: bool = False
    long: bool = False


class ProfileLog:
    """``sources``: channel source IDs as in BT62; ``extended_ids``: the same as extended IDs (mapping of ET66)."""

    def __init__(self, image: Image, shape: Geometry, sources: tuple[int, ...], start_s: int = 0) -> None:
        self.image = image
        self.shape = shape
        self.sources = sources
        self.start_s = start_s
        self.newest_end: int | None = None
        self.written = 0
        self.unread = 0
        self.overflow = False
        self.in_block = -1
        self.block_start: int | None = None
        self.marks = _Marks()
        self.first_valid = 0

    @property
    def index(self) -> int:
        """0 for data set 1."""
        return self.shape.data_set - 1

    # --- the grid

    def end_after(self, utc: float) -> int:
        """The end of the interval that a moment lies in (a boundary belongs to the interval that begins there)."""
        step = self.shape.interval_s
        return int(utc // step + 1) * step

    def _block_of(self, end: int) -> int:
        """The start of the block that an interval belongs to, by the interval's end."""
        length = self.shape.interval_s * self.shape.intervals
        return (end - 1 - self.start_s) // length * length + self.start_s

    # --- what happens

    def mark(self, *, common: int = 0, partial: bool = False, long: bool = False) -> None:
        """Something happened in the interval under way."""
        self.marks.common |= common
        self.marks.partial = self.marks.partial or partial
        self.marks.long = self.marks.long or long

    def close(self, end: int, values: list[int], statuses: list[int], *, dst: bool, stuff: bool = False) -> bool:
        """An interval ends. Answers False if the clock has gone back and the interval must wait (see the module)."""
        if self.newest_end is not None and end <= self.newest_end:
            return False
        if stuff:
            self._stuff(end, dst)
        marks, self.marks = self.marks, _Marks()
        code = _LONG if marks.long else _PARTIAL if marks.partial else 0
        statuses = [status or code for status in statuses]
        self._write(end, values, statuses, marks.common | (DST if dst else 0))
        return True

    def clock_changed(
        self, old: float, new: float, snapshot: Callable[[], tuple[list[int], list[int]]], dst: bool
    ) -> None:
        """The clock was set from ``old`` to ``new``; ``snapshot`` gives the registers and statuses as they are now."""
        here, there = self.end_after(old), self.end_after(new)
        if new > old:
            self.mark(common=CLOCK_FORWARD, partial=True)
            if there > here and old > here - self.shape.interval_s:
                values, statuses = snapshot()
                self.close(here, values, statuses, dst=dst)
                self.mark(common=CLOCK_FORWARD, partial=True)
            return
        if self.newest_end is not None and new < self.newest_end - self.shape.interval_s * self.shape.intervals:
            self.clear()
        self.mark(common=CLOCK_BACKWARD, long=self.newest_end is not None, partial=self.newest_end is None)

    def _stuff(self, end: int, dst: bool) -> None:
        """Fill what was passed over with skipped intervals."""
        if self.newest_end is None:
            return
        step, zeros = self.shape.interval_s, [0] * self.shape.channels
        room = self.shape.intervals * self.shape.blocks - 1
        first = max(self.newest_end + step, end - step * room)
        for each in range(first, end, step):
            self._write(each, zeros, [SKIPPED] * self.shape.channels, POWER_FAIL | (DST if dst else 0))

    def _write(self, end: int, values: list[int], statuses: list[int], common: int) -> None:
        shape = self.shape
        start = self._block_of(end)
        table, base = shape.table, self.in_block * shape.block_size
        if start != self.block_start:
            self.written += 1
            self.in_block = (self.in_block + 1) % shape.blocks
            self.block_start = start
            base = self.in_block * shape.block_size
            self.image.write_part(table, base, bytes(shape.block_size))
            self.unread += 1
            if self.unread > shape.blocks:
                self.unread, self.overflow = shape.blocks, True
        place = (end - start) // shape.interval_s - 1
        moment = STime.of(utc_datetime(end))
        self.image.write_part(table, base, bytes(moment))
        bit_at = base + shape.simple_offset + place // 8
        old = self.image.read_part(table, bit_at, 1)[0]
        self.image.write_part(table, bit_at, bytes([old | 1 << place % 8]))
        nibbles = [common & 15, *statuses, *([0] * (2 * shape.status_size))][: 2 * shape.status_size]
        content = bytes(nibbles[n] << 4 | nibbles[n + 1] for n in range(0, len(nibbles), 2))
        content += b"".join((value & 0xFFFFFFFF).to_bytes(4, "little") for value in values)
        self.image.write_part(table, base + shape.header_size + place * shape.interval_size, content)
        self.newest_end = end

    def clear(self) -> None:
        """Forget all intervals; block numbers go on."""
        self.newest_end = None
        self.block_start = None
        self.in_block = -1
        self.first_valid = self.written
        self.unread, self.overflow = 0, False

    def mark_read(self, count: int) -> None:
        """The reader has taken ``count`` blocks."""
        self.unread = max(0, self.unread - count)
        self.overflow = False

    @property
    def valid_blocks(self) -> int:
        """Blocks that hold data."""
        return min(self.written - self.first_valid, self.shape.blocks)

    @property
    def last_place(self) -> int:
        """The newest interval's place in its block; 0 without any."""
        if self.newest_end is None or self.block_start is None:
            return 0
        return (self.newest_end - self.block_start) // self.shape.interval_s - 1

    # --- BT63 and ET21

    def status(self, record: Any) -> None:
        """Fill a record of BT63."""
        record.set_status = record.set_status.with_(
            list_type=1, overflow=int(self.overflow), active_mode=int(self.shape.configured)
        )
        record.nbr_valid_blocks = self.valid_blocks
        record.last_block_element = max(self.in_block, 0)
        record.last_block_seq_nbr = self.written
        record.nbr_unread_blocks = self.unread
        record.nbr_valid_int = self.last_place + 1 if self.newest_end is not None else 0

    def internals(self, record: Any, extended_ids: list[int], offset_s: int, utc: float) -> None:
        """Fill a record of ET21."""
        shape = self.shape
        record.block_size, record.block_header_size = shape.block_size, shape.header_size
        record.nbr_valid_blocks = self.valid_blocks
        record.last_block_index = max(self.in_block, 0)
        record.last_interval_nbr = self.last_place
        record.nbr_valid_intervals = self.last_place + 1 if self.newest_end is not None else 0
        record.cur_block_addr = max(self.in_block, 0) * shape.block_size
        record.cur_interval_addr = record.cur_block_addr + shape.header_size + self.last_place * shape.interval_size
        record.simple_status_offset, record.simple_status_size = shape.simple_offset, shape.simple_size
        record.interval0_offset = shape.header_size & 0xFF
        record.interval_size, record.channel0_offset = shape.interval_size, shape.status_size
        record.ext_status_common = self.marks.common
        record.nbr_chns = shape.channels
        record.interval_time = 84 if shape.interval_s == 86400 else shape.interval_s // 60
        sources = list(self.sources) + [0] * 16
        record.sources = sources[:8]
        if record.sources_expansion is not None:
            record.sources_expansion = sources[8:16]
        mapped = [n for n, each in enumerate(self.sources) if 112 <= each <= 163]
        if record.mep_start_channel is not None:
            record.mep_start_channel = mapped[0] if mapped else shape.channels
        if record.block_start_time is not None and self.block_start is not None:
            record.block_start_time = LTime.of(utc_datetime(self.block_start))
        if record.block_start_hour is not None:
            record.block_start_hour, record.block_start_minute = divmod(self.start_s // 60, 60)
        if self.newest_end is not None and record.interval_end_utc is not None:
            record.interval_end_utc = LTime.of(utc_datetime(self.newest_end))
            record.interval_end_local = LTime.of(utc_datetime(self.newest_end + offset_s))
        if record.max_memory_len is not None:
            record.max_memory_len = shape.size

    def to_json(self) -> dict[str, Any]:
        """For a saved meter (the bytes of the intervals are in its image)."""
        return {
            "newest_end": self.newest_end,
            "written": self.written,
            "first_valid": self.first_valid,
            "unread": self.unread,
            "overflow": self.overflow,
            "in_block": self.in_block,
            "block_start": self.block_start,
            "marks": [self.marks.common, self.marks.partial, self.marks.long],
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """The inverse of ``to_json``."""
        self.newest_end, self.block_start = saved["newest_end"], saved["block_start"]
        self.written, self.first_valid = saved["written"], saved["first_valid"]
        self.unread, self.overflow, self.in_block = saved["unread"], saved["overflow"], saved["in_block"]
        self.marks = _Marks(*saved["marks"])
