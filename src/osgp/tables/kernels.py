"""Load-profile blocks to columns and back with NumPy: one vectorised step over all blocks.

The only module of this package that needs NumPy at import; ``profile_plain`` does the same without it and is tested equal.
Rules (MEP guide p. 238–241): a simple-status bit says whether an interval counts; the block's time is that of its newest
processed interval; later places are not yet written; times are UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from osgp.tables.profile_geometry import Geometry

__all__ = ["decode_blocks", "encode_blocks"]

# One status byte to two nibbles, high nibble first, as the two bytes of a little-endian word.
_NIBBLES = np.array([value >> 4 | (value & 15) << 8 for value in range(256)], "<u2")

Columns = tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]


def _block_times(head: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """(seconds since 1970, is a date) of STIME_DATE rows."""
    year, month, day, hour, minute = head.T.astype(np.int64)
    months = year * 12 + (month + (30 * 12 - 1))
    first = months.view("M8[M]").astype("M8[D]").view(np.int64)
    length = (months + 1).view("M8[M]").astype("M8[D]").view(np.int64) - first
    good = (month >= 1) & (month <= 12) & (day >= 1) & (day <= length) & (hour < 24) & (minute < 60)
    return ((first + day - 1) * 24 + hour) * 3600 + minute * 60, good


def decode_blocks(data: bytes, g: Geometry, first: Sequence[int] | None = None) -> Columns:
    """Columns of whole blocks in any order: time (M8[s], n), common (u1, n), status (u1, n × channels), values (i4,
    n × channels), valid (bool, n), sorted by time. ``first``: per block, the first interval that was read."""
    count, intervals, channels = len(data) // g.block_size, g.intervals, g.channels
    raw = np.frombuffer(data, np.uint8, count * g.block_size).reshape(count, g.block_size)
    simple = raw[:, g.simple_offset : g.simple_offset + g.simple_size]
    bits = np.unpackbits(simple, axis=1, count=intervals, bitorder="little").view(np.bool_)
    ends, good = _block_times(raw[:, :5])
    begin = None if first is None else np.asarray(first, np.int64)
    if count > 1 and (ends[1:] < ends[:-1]).any():
        order = np.argsort(ends, kind="stable")
        raw, bits, ends, good = raw[order], bits[order], ends[order], good[order]
        begin = None if begin is None else begin[order]
    newest = intervals - 1 - bits[:, ::-1].argmax(axis=1)
    place = np.arange(intervals)
    body = raw[:, g.header_size : g.header_size + intervals * g.interval_size].reshape(
        count, intervals, g.interval_size
    )
    time = ends[:, None] + (place - newest[:, None]) * g.interval_s
    if begin is None and good.all() and bits.all():
        flat = body.reshape(count * intervals, g.interval_size)
        time, valid = time.reshape(-1), bits.reshape(-1)
    else:
        keep = (place <= newest[:, None]) & (good & bits.any(axis=1))[:, None]
        if begin is not None:
            keep &= place >= begin[:, None]
        flat, time, valid = body[keep], time[keep], bits[keep]
    start = g.status_size
    values = np.ascontiguousarray(flat[:, start : start + 4 * channels]).view("<i4")
    nibbles = _NIBBLES[flat[:, :start]].view(np.uint8)
    common, status = nibbles[:, 0], nibbles[:, 1 : 1 + channels]
    if not valid.all():
        lost = ~valid
        values[lost], nibbles[lost] = 0, 0
    if len(time) > 1 and (time[1:] < time[:-1]).any():
        order = np.argsort(time, kind="stable")
        return time[order].view("M8[s]"), common[order], status[order], values[order], valid[order]
    return time.view("M8[s]"), common, status, values, valid


def encode_blocks(
    g: Geometry,
    ends: Any,
    values: Any,
    status: Any = None,
    common: Any = None,
    processed: Any = None,
    final: Any = None,
) -> bytes:
    """Blocks as BT64 holds them: ``ends`` (b; M8[s] or seconds since 1970), ``values`` (b, intervals, channels), ``status``
    (the same shape, 0–15), ``common`` (b, intervals; 0–15), ``processed`` (b, intervals), ``final`` end readings (b, channels).
    """
    table = np.ascontiguousarray(values, "<i4").reshape(-1, g.intervals, g.channels)
    count = len(table)
    out = np.zeros((count, g.block_size), np.uint8)
    moments = np.asarray(ends).astype("M8[s]")
    days = moments.astype("M8[D]")
    months = days.astype("M8[M]")
    minutes = (moments - days).astype(np.int64) // 60
    number = months.astype(np.int64)
    out[:, 0] = number // 12 - 30
    out[:, 1] = number % 12 + 1
    out[:, 2] = (days - months).astype(np.int64) + 1
    out[:, 3], out[:, 4] = minutes // 60, minutes % 60
    if g.end_readings and final is not None:
        out[:, 5 : 5 + 4 * g.channels] = np.ascontiguousarray(final, "<i4").reshape(count, g.channels).view(np.uint8)
    simple = out[:, g.simple_offset : g.simple_offset + g.simple_size]
    if processed is None:
        simple[:] = np.packbits(np.ones(g.intervals, np.bool_), bitorder="little")
    else:
        flags = np.asarray(processed, np.bool_).reshape(count, g.intervals)
        simple[:] = np.packbits(flags, axis=1, bitorder="little")
    body = out[:, g.header_size : g.header_size + g.intervals * g.interval_size].reshape(
        count, g.intervals, g.interval_size
    )
    start = g.status_size
    body[:, :, start : start + 4 * g.channels] = table.view(np.uint8).reshape(count, g.intervals, 4 * g.channels)
    if common is not None:
        body[:, :, 0] = np.asarray(common, np.uint8).reshape(count, g.intervals) << 4
    if status is not None:
        nibbles = np.asarray(status, np.uint8).reshape(count, g.intervals, g.channels)
        low = nibbles[:, :, 0::2]
        body[:, :, : low.shape[2]] |= low & 15
        high = nibbles[:, :, 1::2]
        body[:, :, 1 : 1 + high.shape[2]] |= high << 4
    return out.tobytes()
