"""What came after an interval whose place is known: its bytes alone, and one header that proves them.

A reader that comes back to a load profile again and again knows where the next interval stands, and by the device's clock how many
have ended since. So it reads on from there, across the border of blocks, in reads as long as they may be, and then the header of the
block: the block is still the one that it was, and its intervals were processed. BT63 and ET21 say nothing that this header does not,
as long as the place is right; where anything differs, ``read_following`` gives None, and ``profile.read_profile`` finds out what has
happened. Project choice.
"""

from __future__ import annotations

from osgp.tables.access import TableAccess
from osgp.tables.profile import Place, Profile, block_head, decode_blocks
from osgp.tables.profile_geometry import Geometry

__all__ = ["read_following"]


async def read_following(access: TableAccess, place: Place, now: float) -> Profile | None:
    """The intervals behind ``place`` that had ended at ``now``, oldest first; None if the place cannot be the one it was, or too much
    has come since.

    ``now``: what the device's own clock has just shown, UTC seconds. An interval that had ended by then was whole when its bytes were
    read; one that ends while they are read waits for the next time. Raises what the door raises.
    """
    shape = place.shape
    step, count = shape.interval_s, shape.intervals
    last = place.interval + max(0, int(now - place.end) // step)
    if last == place.interval:
        return Profile(shape.data_set, step, place.channels, place=place)
    if last >= 2 * count or shape.blocks < 3:
        return None
    first_start = place.end - (place.interval + 1) * step
    begin = place.interval + 1
    run = await _Run(access, shape, place.block, begin, last).read()
    parts: list[tuple[bytes, int, int]] = []
    if begin < count:
        offset, size = shape.header(place.block)
        head = await access.read_part(shape.table, offset, size)
        if not _is(head, shape, first_start) or _is_doubtful(run.tail, head, shape, begin, min(last, count - 1)):
            return None
        parts.append((head + bytes(begin * shape.interval_size) + run.tail, begin, first_start))
    if last >= count:
        head = run.next_block[: shape.header_size]
        if not _is(head, shape, first_start + count * step):
            return None
        if begin >= count and _is_doubtful(run.next_block[shape.header_size :], head, shape, 0, last - count):
            return None
        parts.append((run.next_block, 0, first_start + count * step))
    return _joined(parts, place, first_start + (last + 1) * step)


class _Run:
    """The bytes from interval ``begin`` of a block to interval ``last``, counted on into the next block, whose header lies between."""

    def __init__(self, access: TableAccess, shape: Geometry, block: int, begin: int, last: int) -> None:
        self.access, self.shape = access, shape
        self.next_place = (block + 1) % shape.blocks
        self.tail = self.next_block = b""
        self._block, self._begin, self._last = block, begin, last

    async def read(self) -> _Run:
        """Read them: in one run, unless the next block is the first of the ring. Where the run begins with the header that proves it,
        what follows is read before."""
        shape, begin, last = self.shape, self._begin, self._last
        runs: list[tuple[int, int]] = []
        if begin < shape.intervals:
            runs.append(shape.span(self._block, begin, min(last, shape.intervals - 1)))
        if last >= shape.intervals:
            start = shape.header(self.next_place)[0]
            offset, size = shape.span(self.next_place, 0, last - shape.intervals)
            whole = offset + size - start
            if runs and start > runs[0][0]:
                runs[0] = runs[0][0], start + whole - runs[0][0]
            else:
                runs.append((start, whole))
        longest = self.access.costs.max_read
        if begin >= shape.intervals and runs[0][1] > longest >= shape.header_size:
            offset, size = runs[0]
            rest = await self.access.read_part(shape.table, offset + longest, size - longest)
            data = [await self.access.read_part(shape.table, offset, longest) + rest]
        else:
            data = [await self.access.read_part(shape.table, offset, size) for offset, size in runs]
        if last < shape.intervals:
            self.tail = data[0]
        elif begin >= shape.intervals:
            self.next_block = data[0]
        elif len(data) == 2:
            self.tail, self.next_block = data
        else:
            # A block may be longer than its intervals: ``start`` says where the next begins.
            size = (shape.intervals - begin) * shape.interval_size
            self.tail, self.next_block = data[0][:size], data[0][start - runs[0][0] :]
        return self


def _is(head: bytes, shape: Geometry, start: int) -> bool:
    """Whether a block is the one that began at ``start`` (UTC seconds)."""
    end, bits = block_head(head, shape)
    return end is not None and bits > 0 and end - bits.bit_length() * shape.interval_s == start


def _is_doubtful(body: bytes, head: bytes, shape: Geometry, begin: int, last: int) -> bool:
    """Whether an interval may have been processed only after its bytes were read: the newest is not the one that was expected, and
    one that counts is empty. A device may fill up what an outage left out when the next interval ends."""
    _, bits = block_head(head, shape)
    if bits.bit_length() - 1 == last:
        return False
    size = shape.interval_size
    return any(
        bits >> number & 1 and not any(body[(number - begin) * size : (number - begin + 1) * size])
        for number in range(begin, last + 1)
    )


def _joined(parts: list[tuple[bytes, int, int]], place: Place, until: int) -> Profile:
    """Blocks as one profile up to ``until``, with the place of its newest interval."""
    shape = place.shape
    blocks = b"".join(block.ljust(shape.block_size, b"\0")[: shape.block_size] for block, _, _ in parts)
    profile = decode_blocks(blocks, shape, channels=place.channels, first=[first for _, first, _ in parts])
    times = profile.epochs()
    profile = profile.select(slice(0, sum(time <= until for time in times)))
    profile.place = place
    if len(profile):
        newest = profile.epochs()[-1]
        ahead = place.interval + (newest - place.end) // shape.interval_s
        block = (place.block + ahead // shape.intervals) % shape.blocks
        profile.place = Place(shape, place.channels, block, ahead % shape.intervals, newest)
    return profile
