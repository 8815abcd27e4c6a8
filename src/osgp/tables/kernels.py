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

Columns = tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]

# For each year - 2000 and month nibble: seconds since 1970 of its first midnight, and its days (0: no such month).
_MIDNIGHT = np.zeros((256, 16), np.int64)
_DAYS = np.zeros((256, 16), np.uint8)
_firsts = np.arange(30 * 12, 286 * 12 + 1).astype("M8[M]").astype("M8[D]").astype(np.int64)
_MIDNIGHT[:, 1:13] = _firsts[:-1].reshape(256, 12) * 86400
_DAYS[:, 1:13] = np.diff(_firsts).reshape(256, 12)
_SECONDS = np.array([0, 0, 86400, 3600, 60], np.int64)


def _block_times(head: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """(seconds since 1970, is a date) of STIME_DATE rows."""
    year, month, day, hour, minute = head.T
    nibble = month & 15
    good = (day - np.uint8(1) < _DAYS[year, nibble]) & (month < 16) & (hour < 24) & (minute < 60)
    return _MIDNIGHT[year, nibble] + head @ _SECONDS - 86400, good


def decode_blocks(data: bytes, g: Geometry, first: Sequence[int] | None = None) -> Columns:
    """Columns of whole blocks in any order: time (M8[s], n), common (u1, n), status (u1, n × channels), values (i4,
    n × channels), valid (bool, n), sorted by time. ``first``: per block, the first interval that was read."""
    count, intervals, channels = len(data) // g.block_size, g.intervals, g.channels
    raw = np.frombuffer(data, np.uint8, count * g.block_size).reshape(count, g.block_size)
    ends, good = _block_times(raw[:, :5])
    begin = None if first is None else np.asarray(first, np.int64)
    if (ends[1:] < ends[:-1]).any():
        order = np.argsort(ends, kind="stable")
        raw, ends, good = raw[order], ends[order], good[order]
        begin = None if begin is None else begin[order]
    simple = raw[:, g.simple_offset : g.simple_offset + g.simple_size]
    bits = np.unpackbits(simple, axis=1, count=intervals, bitorder="little").view(np.bool_)
    body = raw[:, g.header_size : g.header_size + intervals * g.interval_size].reshape(
        count, intervals, g.interval_size
    )
    place = np.arange(intervals)
    complete = bool(good.all() and bits.all())
    newest = intervals - 1 - (0 if complete else bits[:, ::-1].argmax(axis=1)) + np.zeros(count, np.int64)
    starts = ends - newest * g.interval_s
    time = starts[:, None] + place * g.interval_s
    if complete and begin is None:
        body, time, valid = body, time.reshape(-1), bits.reshape(-1)
    else:
        keep = (place <= newest[:, None]) & (good & bits.any(axis=1))[:, None]
        if begin is not None:
            keep &= place >= begin[:, None]
        body, time, valid = body[keep], time[keep], bits[keep]
    # Copied as opaque items of one interval's values: four times fewer steps than 32-bit numbers, aligned or not.
    start = g.status_size
    items = body[..., start : start + 4 * channels].view(f"V{4 * channels}")
    values = np.ascontiguousarray(items).view("<i4").reshape(-1, channels)
    # A status byte is two nibbles, high one first: the two bytes of a little-endian word.
    words = body[..., :start].astype("<u2")
    low = words << 8
    words >>= 4
    words |= low
    words &= 0x0F0F
    nibbles = words.view(np.uint8).reshape(-1, 2 * start)
    if not complete and not valid.all():
        lost = ~valid
        values[lost], nibbles[lost] = 0, 0
    common, status = nibbles[:, 0], nibbles[:, 1 : 1 + channels]
    if (starts[1:] <= ends[:-1]).any() and (time[1:] < time[:-1]).any():
        order = np.argsort(time, kind="stable")
        time, common, status, values, valid = time[order], common[order], status[order], values[order], valid[order]
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
