"""Load profiles: reading only the blocks that are needed, and what came as columns with names, units and gaps.

Start at ``read_profile`` (any door) or ``decode_blocks`` (bytes at hand). Where the bytes lie: ``profile_geometry``; how they
become columns: ``kernels`` (NumPy) and ``profile_plain`` (without). Values are register snapshots at the end of each
interval, times are UTC (MEP guide p. 238–241; optical guide p. 30–39).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from osgp.tables.bt.bt61 import BT61
from osgp.tables.bt.bt62 import BT62
from osgp.tables.bt.bt63 import BT63
from osgp.tables.channels import Channel, channel_of, headers_of
from osgp.tables.energyunit import KnowsTables, read_energy_unit
from osgp.tables.et.et21 import ET21
from osgp.tables.et.et57 import ET57
from osgp.tables.et.et66 import ET66
from osgp.tables.naming import CUMULATIVE_UNITS
from osgp.tables.profile_geometry import COMMON_BITS, NO_VALUE, STATUS_TEXT, Geometry, Ring, geometry, ring_of
from osgp.tables.sources import MAPPED, source
from osgp.tables.table import Table
from osgp.wire import Context, layout_of
from osgp.wire.errors import BadValue, DecodeError, ResponseError

__all__ = [
    "Channel",
    "Geometry",
    "Place",
    "Profile",
    "Ring",
    "block_head",
    "channel_of",
    "decode_blocks",
    "decode_table",
    "encode_blocks",
    "encode_table",
    "geometry",
    "headers_of",
    "read_profile",
    "read_profile_pieces",
    "ring_of",
]

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_ATTEMPTS = 3


def _codec(plain: bool) -> Any:
    """The module that turns blocks to columns: with NumPy where it is installed."""
    from osgp.tables import profile_plain

    if plain:
        return profile_plain
    try:
        from osgp.tables import kernels
    except ImportError:
        return profile_plain
    return kernels


@dataclass(frozen=True, slots=True)
class Place:
    """Where an interval stands: in which block, at which place in it (both from 0), when it ended (UTC seconds); and what the bytes
    around it mean."""

    shape: Geometry
    channels: tuple[Channel, ...]
    block: int
    interval: int
    end: int


@dataclass(slots=True)
class Profile:
    """Intervals, oldest first, as columns (NumPy arrays; lists without NumPy).

    ``time`` (n): end of the interval, UTC: datetime64[s], or seconds since 1970; ``common`` (n): bits of COMMON_BITS;
    ``status`` (n, channels): codes of STATUS_TEXT; ``values`` (n, channels): raw int32 snapshots; ``valid`` (n): False for an
    interval that the device never processed (its values are zero and mean nothing). ``place``: of the newest interval, where known
    (see ``profile_following``).
    """

    data_set: int
    interval_s: int
    channels: tuple[Channel, ...]
    time: Any = field(default_factory=list)
    common: Any = field(default_factory=list)
    status: Any = field(default_factory=list)
    values: Any = field(default_factory=list)
    valid: Any = field(default_factory=list)
    place: Place | None = None

    def __len__(self) -> int:
        return len(self.time)

    def epochs(self) -> list[int]:
        """The times as seconds since 1970."""
        return [int(each) for each in (self.time.astype("i8") if hasattr(self.time, "astype") else self.time)]

    def times(self) -> list[dt.datetime]:
        """The times as aware datetimes."""
        return [_EPOCH + dt.timedelta(seconds=each) for each in self.epochs()]

    def _plain(self, column: Any) -> list[Any]:
        return column.tolist() if hasattr(column, "tolist") else list(column)

    def rows(self, *, differences: bool = False, invalid: bool = False) -> Iterator[dict[str, Any]]:
        """One dict per interval: ``time`` (aware datetime), ``flags`` (common status in words), ``status`` (channel key →
        words, only where not ok), and each channel's value, scaled, by its key; None where the status says that the value is
        no reading. ``differences``: counters as the growth since the interval before, None where that one is missing.
        ``invalid``: also intervals that were never processed.
        """
        shown = [each.value for each in self.channels]
        keys = _unique([each.key for each in self.channels])
        before: list[float | int | None] = [None] * len(keys)
        before_time: int | None = None
        columns = (self.epochs(), *(self._plain(each) for each in (self.common, self.status, self.values, self.valid)))
        for time, common, status, values, valid in zip(*columns):
            if not valid and not invalid:
                continue
            row: dict[str, Any] = {
                "time": _EPOCH + dt.timedelta(seconds=time),
                "flags": [text for bit, text in COMMON_BITS.items() if common & bit],
                "status": {key: STATUS_TEXT.get(code, f"status {code}") for key, code in zip(keys, status) if code},
            }
            scaled = [
                show(value) if valid and code not in NO_VALUE else None
                for value, show, code in zip(values, shown, status)
            ]
            follows = before_time is not None and time - before_time == self.interval_s
            for place, (key, value) in enumerate(zip(keys, scaled)):
                last = before[place]
                if differences and self.channels[place].cumulative:
                    row[key] = round(value - last, 9) if follows and value is not None and last is not None else None
                else:
                    row[key] = value
            before, before_time = scaled, time
            yield row

    def gaps(self) -> list[tuple[dt.datetime, dt.datetime, int]]:
        """Runs of missing or unprocessed intervals: (end of the last interval before, end of the first after, how many)."""
        good = [time for time, valid in zip(self.epochs(), self._plain(self.valid)) if valid]
        found: list[tuple[dt.datetime, dt.datetime, int]] = []
        for earlier, later in pairwise(good):
            missing = (later - earlier) // self.interval_s - 1 if self.interval_s else 0
            if missing > 0:
                found.append((_EPOCH + dt.timedelta(seconds=earlier), _EPOCH + dt.timedelta(seconds=later), missing))
        return found

    def to_json(self) -> dict[str, Any]:
        """A plain object: columns of raw values with their channels."""
        return {
            "data_set": self.data_set,
            "interval_s": self.interval_s,
            "channels": [each.to_json() for each in self.channels],
            "time": [each.strftime("%Y-%m-%dT%H:%M:%SZ") for each in self.times()],
            "common": self._plain(self.common),
            "status": self._plain(self.status),
            "values": self._plain(self.values),
            "valid": [bool(each) for each in self._plain(self.valid)],
        }

    def select(self, keep: Any) -> Profile:
        """The rows from one index on (an int) or those of a slice."""
        part = slice(keep, None) if isinstance(keep, int) else keep
        return Profile(
            self.data_set,
            self.interval_s,
            self.channels,
            self.time[part],
            self.common[part],
            self.status[part],
            self.values[part],
            self.valid[part],
        )


def _unique(keys: Sequence[str]) -> list[str]:
    """Two channels may log the same source: later ones get their number."""
    seen: set[str] = {"time", "flags", "status"}
    out: list[str] = []
    for number, key in enumerate(keys):
        name = key
        while name in seen:
            name = f"{key}_ch{number}" if name == key else name + "_"
        seen.add(name)
        out.append(name)
    return out


def decode_blocks(
    data: bytes,
    shape: Geometry,
    *,
    channels: Sequence[Channel] = (),
    first: Sequence[int] | None = None,
    plain: bool = False,
) -> Profile:
    """Whole blocks, in any order, as a profile. O(bytes). ``first``: per block the first interval that was read.

    ``plain``: without NumPy, even if it is there.
    """
    if not shape.configured:
        return Profile(shape.data_set, shape.interval_s, tuple(channels))
    return Profile(shape.data_set, shape.interval_s, tuple(channels), *_codec(plain).decode_blocks(data, shape, first))


def decode_table(
    raw: bytes, shape: Geometry, ring: Ring, *, channels: Sequence[Channel] = (), plain: bool = False
) -> Profile:
    """A whole BT64–BT67 with its BT63: only the blocks that hold data."""
    size = shape.block_size
    if ring.valid_blocks >= shape.blocks:
        data = raw
    else:
        data = b"".join(raw[block * size : (block + 1) * size] for block in ring.newest_first(shape.blocks))
    return decode_blocks(data, shape, channels=channels, plain=plain)


def encode_blocks(
    shape: Geometry,
    ends: Any,
    values: Any,
    *,
    status: Any = None,
    common: Any = None,
    processed: Any = None,
    final: Any = None,
    plain: bool = False,
) -> bytes:
    """Blocks from arrays (simulator side): ``ends`` (b) block times, datetime64 or seconds since 1970; ``values``
    (b, intervals, channels); ``status`` of the same shape; ``common``, ``processed`` (b, intervals); ``final`` (b, channels)
    end readings. Without ``processed`` all intervals count. Lists of lists where NumPy is absent."""
    encoded: bytes = _codec(plain).encode_blocks(shape, ends, values, status, common, processed, final)
    return encoded


def encode_table(
    shape: Geometry,
    start: dt.datetime,
    values: Sequence[Sequence[int]],
    *,
    status: Sequence[Sequence[int]] | None = None,
    common: Sequence[int] | None = None,
    processed: Sequence[bool] | None = None,
    earlier: int = 0,
) -> tuple[bytes, Ring]:
    """A whole table from consecutive intervals, and the BT63 state that goes with it.

    ``start``: UTC start of the first interval, which opens a block; ``values`` (n, channels): as many as the table can hold,
    at most; ``earlier``: blocks written before these (decides where in the ring the first one stands). Arrays are accepted.
    The block time is that of the newest processed interval. Raises BadValue.
    """
    count = len(values)
    if count > shape.blocks * shape.intervals:
        raise BadValue(
            f"{count} intervals do not fit {shape.blocks} blocks of {shape.intervals}", floor="tables", struct="BT64"
        )
    used = -(-count // shape.intervals)
    if start.tzinfo is not None:
        start = start.astimezone(dt.UTC).replace(tzinfo=None)
    origin = int((start - dt.datetime(1970, 1, 1)).total_seconds())
    empty = [0] * shape.channels
    table: list[Any] = []
    ends: list[int] = []
    flags: list[list[bool]] = []
    for block in range(used):
        first = block * shape.intervals
        last = min(first + shape.intervals, count)
        padding = shape.intervals - (last - first)
        bits = [True] * (last - first) if processed is None else [bool(each) for each in processed[first:last]]
        newest = max((place for place, done in enumerate(bits) if done), default=0)
        flags.append(bits + [False] * padding)
        ends.append(origin + (first + newest + 1) * shape.interval_s)
        rows = (
            _listed(values[first:last]) + [empty] * padding,
            [empty] * shape.intervals if status is None else _listed(status[first:last]) + [empty] * padding,
            [0] * shape.intervals if common is None else _listed(common[first:last]) + [0] * padding,
        )
        table.append(rows)
    blocks = b""
    if used:
        blocks = encode_blocks(
            shape,
            ends,
            [each[0] for each in table],
            status=[each[1] for each in table],
            common=[each[2] for each in table],
            processed=flags,
        )
    raw = bytearray(shape.size)
    for number in range(used):
        place = (earlier + number) % shape.blocks
        raw[place * shape.block_size : (place + 1) * shape.block_size] = blocks[
            number * shape.block_size : (number + 1) * shape.block_size
        ]
    newest = (earlier + used - 1) % shape.blocks if used else 0
    valid = count - (used - 1) * shape.intervals if used else 0
    return bytes(raw), Ring(min(earlier + used, shape.blocks), newest, earlier + used, valid)


def _listed(rows: Any) -> list[Any]:
    return rows.tolist() if hasattr(rows, "tolist") else list(rows)


async def read_profile(
    device: KnowsTables, *, data_set: int = 1, since: dt.datetime | None = None, last: int | None = None
) -> Profile:
    """The profile of a data set (1–4): all that the device holds, the intervals that ended after ``since`` (UTC; a naive time
    counts as UTC), or the newest ``last`` processed ones.

    BT63 and ET21 are read anew each time; of the data only the headers and intervals needed. Where ET21 may not be read (RK
    on the optical port) the sizes follow from BT61. Blocks that the device began to overwrite meanwhile are left out.
    Raises ConfigError (no such data set) and what the door raises.
    """
    access = device.access
    context, shape, channels = await _shape(device, data_set)
    if not shape.configured:
        return Profile(data_set, 0, ())
    return await _newest(access, context, shape, channels, since, last)


async def _newest(
    access: Any,
    context: Context,
    shape: Geometry,
    channels: tuple[Channel, ...],
    since: dt.datetime | None,
    last: int | None = None,
    ring: Ring | None = None,
) -> Profile:
    """``read_profile`` of a data set whose shape has just been read, and perhaps its ``ring``."""
    limit, data_set = _limit(since), shape.data_set
    for attempt in range(_ATTEMPTS):
        if ring is None or attempt:
            ring = await _ring(access, context, data_set)
        blocks, first, places = await _blocks(access, shape, ring, limit, last)
        if not blocks:
            return decode_blocks(b"", shape, channels=channels, first=[])
        after = await _ring(access, context, data_set)
        lost = after.overwritten_since(ring, shape.blocks)
        # Losing the block that was newest means that the log was cleared: start again, as often as is sensible.
        if ring.last_block not in lost or attempt == _ATTEMPTS - 1:
            break
    kept = [number for number, place in enumerate(places) if place not in lost]
    profile = decode_blocks(
        b"".join(blocks[number] for number in kept), shape, channels=channels, first=[first[number] for number in kept]
    )
    profile = _trim(profile, limit, last)
    if kept and len(profile):
        end, bits = block_head(blocks[kept[0]], shape)
        if end == int(profile.epochs()[-1]):
            profile.place = Place(shape, channels, places[kept[0]], bits.bit_length() - 1, end)
    return profile


async def read_profile_pieces(
    device: KnowsTables,
    *,
    data_set: int = 1,
    since: dt.datetime | None = None,
    now: dt.datetime | None = None,
    size: int = 16_384,
) -> AsyncGenerator[Profile, None]:
    """As ``read_profile``, in pieces of about ``size`` bytes of blocks, oldest first: whoever stores each piece may be
    interrupted and go on after the newest interval that is stored, and what the device overwrites next comes first.

    ``now``: the device's clock; where little can have come since ``since``, it saves looking for the place to begin.
    At least one piece comes; it may be empty. Raises as ``read_profile``.
    """
    access = device.access
    context, shape, channels = await _shape(device, data_set)
    if not shape.configured:
        yield Profile(data_set, 0, ())
        return
    limit = _limit(since)
    ring, places = None, []
    if not _fits(shape, limit, now, size):
        ring = await _ring(access, context, data_set)
        step = max(1, size // shape.block_size)
        places = await _older_blocks(access, shape, ring, limit) if ring.valid_blocks > step else []
        for start in range(0, len(places), step):
            some = places[start : start + step]
            blocks = [await access.read_part(shape.table, p * shape.block_size, shape.block_size) for p in some]
            lost = (await _ring(access, context, data_set)).overwritten_since(ring, shape.blocks)
            data = b"".join(block for place, block in zip(some, blocks) if place not in lost)
            piece = _trim(decode_blocks(data, shape, channels=channels), limit, None)
            if len(piece):
                yield piece
                since = max([*piece.times(), *([_aware(since)] if since is not None else [])])
    if places:  # which took a while
        yield await read_profile(device, data_set=data_set, since=since)
    else:
        yield await _newest(access, context, shape, channels, since, ring=ring)


def _fits(shape: Geometry, limit: float | None, now: dt.datetime | None, size: int) -> bool:
    """Whether what there can be is one piece."""
    blocks = shape.blocks
    if limit is not None and now is not None:
        blocks = min(
            blocks, int((_aware(now) - _EPOCH).total_seconds() - limit) // (shape.intervals * shape.interval_s) + 2
        )
    return blocks * shape.block_size <= max(size, shape.block_size)


async def _older_blocks(access: Any, shape: Geometry, ring: Ring, limit: float | None) -> list[int]:
    """Places of the blocks that hold intervals after ``limit``, oldest first, without the newest block, which still grows. The
    first of them is found by halving: O(log blocks) reads of a header."""
    places = list(ring.newest_first(shape.blocks))[:0:-1]
    if limit is None:
        return places
    low, high = 0, len(places)
    while low < high:
        middle = (low + high) // 2
        offset, count = shape.header(places[middle])
        end, _ = block_head(await access.read_part(shape.table, offset, count), shape)
        if end is not None and end <= limit:
            low = middle + 1
        else:
            high = middle
    return places[low:]


def _aware(moment: dt.datetime) -> dt.datetime:
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)


def _limit(since: dt.datetime | None) -> float | None:
    return None if since is None else (_aware(since) - _EPOCH).total_seconds()


async def _shape(device: KnowsTables, data_set: int) -> tuple[Context, Geometry, tuple[Channel, ...]]:
    """What the bytes of a data set mean now; no channels if it is not configured."""
    access = device.access
    context = await device.knows(BT61)
    shape = geometry(context, data_set)
    if not shape.configured:
        return context, shape, ()
    sizes = await _sizes(access, context, data_set)
    fresh = sizes is not None and bool(sizes.nbr_chns) and (sizes.nbr_chns, sizes.interval_time) != shape.marks
    if fresh:
        # The load profile was configured anew since BT61 was read.
        context = context.with_table(BT61, await access.read(BT61.number))
        shape = geometry(context, data_set)
    if sizes is not None:
        shape = shape.with_sizes(sizes)
    return context, shape, await _channels(device, context, shape, fresh=fresh)


async def _ring(access: Any, context: Context, data_set: int) -> Ring:
    layout = layout_of(BT63, context)
    span = layout.span(f"sets[{data_set - 1}]")
    return ring_of(layout.decode_span(span, await access.read_part(BT63.number, span.offset, span.size)))


async def _sizes(access: Any, context: Context, data_set: int) -> Any:
    """The first fields of the ET21 record, or None where the device or the key has none."""
    layout = layout_of(ET21, context)
    span = layout.span(f"sets[{data_set - 1}]")
    end = layout.span(f"sets[{data_set - 1}].interval_time").offset + 1
    try:
        raw = await access.read_part(ET21.number, span.offset, end - span.offset)
    except ResponseError:
        return None
    return layout.decode_span(span, raw.ljust(span.size, b"\0"))


async def _channels(device: KnowsTables, context: Context, shape: Geometry, *, fresh: bool) -> tuple[Channel, ...]:
    """Descriptions of the channels; by number alone where BT62 may not be read."""
    try:
        if fresh:
            raw = await device.access.read(BT62.number)
            known = (await device.knows(*_sizing(BT62))).with_table(BT61, context.raw[BT61]).with_table(BT62, raw)
        else:
            known = await device.knows(BT62)
        sources = [each.lp_source_sel for each in known.table(BT62).sets[shape.data_set - 1].channels]
    except (ResponseError, DecodeError, IndexError):
        return tuple(Channel(number, -1, f"channel {number}", f"channel_{number}") for number in range(shape.channels))
    described: list[Channel] = []
    unit: int | None = None
    headers: dict[int, bytes] | None = None
    for number, source_id in enumerate(sources):
        extended: int | None = None
        if source_id in MAPPED:
            try:
                entry = await device.access.read_part(ET66.number, 2 * (source_id - MAPPED.start), 2)
                extended = int.from_bytes(entry, "little")
                if headers is None and extended >> 12 == 4:
                    headers = await _headers(device)
            except ResponseError:
                extended = None
        elif source(source_id).unit in CUMULATIVE_UNITS and unit is None:
            unit = await read_energy_unit(device)
        described.append(channel_of(number, source_id, extended, energy_unit=unit or 1, headers=headers))
    return tuple(described)


async def _headers(device: KnowsTables) -> dict[int, bytes]:
    """What the M-Bus data types of a device mean; nothing where ET57 may not be read."""
    try:
        return headers_of((await device.knows(ET57)).table(ET57))
    except (ResponseError, DecodeError):
        return {}


def _sizing(declared: type[Table]) -> list[type[Table]]:
    from osgp.wire import dependencies

    return [each for each in dependencies(declared) if each is not BT61 and issubclass(each, Table)]


async def _blocks(
    access: Any, shape: Geometry, ring: Ring, limit: float | None, last: int | None
) -> tuple[list[bytes], list[int], list[int]]:
    """Blocks newest first (bytes not read are zero), the first interval read of each, and their places in the ring."""
    blocks: list[bytes] = []
    firsts: list[int] = []
    places: list[int] = []
    remaining = last
    expected: int | None = None
    for number, place in enumerate(ring.newest_first(shape.blocks)):
        if remaining is not None and remaining <= 0:
            break
        whole = number > 0 and (
            (limit is None and remaining is None)
            or (remaining is not None and remaining >= shape.intervals)
            or (limit is not None and expected is not None and expected - shape.intervals * shape.interval_s >= limit)
        )
        if whole:
            block = await access.read_part(shape.table, place * shape.block_size, shape.block_size)
            end, bits = block_head(block, shape)
            begin = 0
        else:
            offset, count = shape.header(place)
            head = await access.read_part(shape.table, offset, count)
            end, bits = block_head(head, shape)
            newest = bits.bit_length() - 1
            begin = 0
            if end is not None and limit is not None:
                # Interval j ended at end - (newest - j) * interval; the first of them after the limit.
                begin = max(0, newest - int((end - limit - 1e-9) // shape.interval_s))
            if remaining is not None:
                begin = max(begin, _from_last(bits, remaining))
            if end is None or newest < 0 or begin > newest:
                if end is not None and limit is not None and end <= limit:
                    break
                continue
            offset, count = shape.span(place, begin, newest)
            body = await access.read_part(shape.table, offset, count)
            block = (head + bytes(begin * shape.interval_size) + body).ljust(shape.block_size, b"\0")
        if end is None:
            continue
        newest = bits.bit_length() - 1
        blocks.append(block)
        firsts.append(begin)
        places.append(place)
        if remaining is not None:
            remaining -= (bits >> begin).bit_count()
        expected = end - (newest + 1) * shape.interval_s
        if limit is not None and expected <= limit:
            break
    return blocks, firsts, places


def block_head(head: bytes, shape: Geometry) -> tuple[int | None, int]:
    """(end time, simple status bits) of a block."""
    from osgp.tables.profile_plain import block_time

    simple = int.from_bytes(head[shape.simple_offset : shape.simple_offset + shape.simple_size], "little")
    return block_time(head), simple & ((1 << shape.intervals) - 1)


def _from_last(bits: int, count: int) -> int:
    """The place of the ``count``-th newest set bit (0 if there are fewer)."""
    while bits:
        top = bits.bit_length() - 1
        count -= 1
        if count <= 0:
            return top
        bits &= ~(1 << top)
    return 0


def _trim(profile: Profile, limit: float | None, last: int | None) -> Profile:
    """Only what was asked for: whole blocks may bring a little more."""
    if limit is not None:
        times = profile.epochs()
        start = next((place for place, time in enumerate(times) if time > limit), len(times))
        if start:
            profile = profile.select(start)
    if last is not None:
        seen = 0
        valid = profile._plain(profile.valid)
        for place in range(len(valid) - 1, -1, -1):
            seen += bool(valid[place])
            if seen >= last:
                return profile.select(place)
    return profile
