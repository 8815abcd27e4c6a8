"""Load-profile blocks to columns and back without NumPy: the same rules and results as ``kernels``, one interval at a time.

About 3 µs per interval and channel; enough for one meter, and the second opinion in the tests.
"""

from __future__ import annotations

import datetime as dt
import struct
from calendar import monthrange
from collections.abc import Sequence
from typing import Any

from osgp.tables.profile_geometry import Geometry

__all__ = ["block_time", "decode_blocks", "encode_blocks"]

Columns = tuple[list[int], list[int], list[list[int]], list[list[int]], list[bool]]
_EPOCH = dt.datetime(1970, 1, 1)


def block_time(head: bytes) -> int | None:
    """Seconds since 1970 of an STIME_DATE, None if it is no date."""
    year, month, day, hour, minute = head[:5]
    if not 1 <= month <= 12 or not 1 <= day <= monthrange(2000 + year, month)[1] or hour > 23 or minute > 59:
        return None
    return int((dt.datetime(2000 + year, month, day, hour, minute) - _EPOCH).total_seconds())


def decode_blocks(data: bytes, g: Geometry, first: Sequence[int] | None = None) -> Columns:
    """Columns of whole blocks in any order, sorted by time: see ``kernels.decode_blocks``; time in seconds since 1970."""
    unpack = struct.Struct(f"<{g.channels}i").unpack_from
    blocks: list[tuple[int, int, bytes]] = []
    for number in range(len(data) // g.block_size):
        block = data[number * g.block_size : (number + 1) * g.block_size]
        end = block_time(block)
        if end is not None:
            blocks.append((end, 0 if first is None else first[number], block))
    blocks.sort(key=lambda each: each[0])
    rows: list[tuple[int, int, list[int], list[int], bool]] = []
    for end, begin, block in blocks:
        simple = int.from_bytes(block[g.simple_offset : g.simple_offset + g.simple_size], "little")
        simple &= (1 << g.intervals) - 1
        newest = simple.bit_length() - 1
        for place in range(begin, newest + 1):
            at = g.header_size + place * g.interval_size
            time = end - (newest - place) * g.interval_s
            if not simple >> place & 1:
                rows.append((time, 0, [0] * g.channels, [0] * g.channels, False))
                continue
            nibbles = [part for byte in block[at : at + g.status_size] for part in (byte >> 4, byte & 15)]
            values = list(unpack(block, at + g.status_size))
            rows.append((time, nibbles[0], nibbles[1 : 1 + g.channels], values, True))
    rows.sort(key=lambda row: row[0])
    return (
        [row[0] for row in rows],
        [row[1] for row in rows],
        [row[2] for row in rows],
        [row[3] for row in rows],
        [row[4] for row in rows],
    )


def encode_blocks(
    g: Geometry,
    ends: Any,
    values: Any,
    status: Any = None,
    common: Any = None,
    processed: Any = None,
    final: Any = None,
) -> bytes:
    """Blocks as BT64 holds them: see ``kernels.encode_blocks``; ``ends`` in seconds since 1970, nested sequences elsewhere."""
    out = bytearray()
    pack = struct.Struct(f"<{g.channels}i").pack
    for number, end in enumerate(ends):
        moment = _EPOCH + dt.timedelta(seconds=int(end))
        block = bytearray(g.block_size)
        block[:5] = bytes((moment.year - 2000, moment.month, moment.day, moment.hour, moment.minute))
        if g.end_readings and final is not None:
            block[5 : 5 + 4 * g.channels] = pack(*final[number])
        bits = 0
        for place in range(g.intervals):
            if processed is None or processed[number][place]:
                bits |= 1 << place
            at = g.header_size + place * g.interval_size
            nibbles = [0] * (2 * g.status_size)
            if common is not None:
                nibbles[0] = common[number][place] & 15
            if status is not None:
                nibbles[1 : 1 + g.channels] = [each & 15 for each in status[number][place]]
            for byte in range(g.status_size):
                block[at + byte] = nibbles[2 * byte] << 4 | nibbles[2 * byte + 1]
            block[at + g.status_size : at + g.status_size + 4 * g.channels] = pack(*values[number][place])
        block[g.simple_offset : g.simple_offset + g.simple_size] = bits.to_bytes(g.simple_size, "little")
        out += block
    return bytes(out)
