"""A load profile to read: an image with BT61, BT62, BT63, ET21 and BT64, and a device over it that counts what it is asked."""

from __future__ import annotations

import datetime as dt
import random
import struct
from dataclasses import dataclass, field

from osgp.tables.access import DoorCosts, ProcedureResult
from osgp.tables.image import Image, ImageTables
from osgp.tables.profile import encode_table, geometry
from osgp.tables.services import ResponseCode, response_error
from osgp.tables.table import Table
from osgp.wire import Context

START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
ET21 = 2069
ET66 = 2114
FIRMWARE_4_10 = struct.pack(">H", 4 << 12 | 10 << 5 | 3)
BT01 = b"NES " + b"84331-3I" + bytes((1, 0)) + FIRMWARE_4_10 + bytes.fromhex("0000000012345678")


@dataclass
class Counted:
    """``TableAccess`` over an image that keeps account, refuses what it should, and lets time pass between reads."""

    image: Image
    refused: set[int] = field(default_factory=set)
    reads: list[tuple[int, int, int]] = field(default_factory=list)
    costs: DoorCosts = ImageTables.costs
    before_read: object = None

    async def read(self, table: int) -> bytes:
        return await self.read_part(table, 0, self.image.size(table))

    async def read_part(self, table: int, offset: int, count: int) -> bytes:
        if table in self.refused:
            raise response_error(ResponseCode.ISC, "not with this key")
        if callable(self.before_read):
            self.before_read(table, offset, count)
        self.reads.append((table, offset, count))
        return self.image.read_part(table, offset, count)

    async def write(self, table: int, data: bytes) -> None:
        self.image.write(table, data)

    async def write_part(self, table: int, offset: int, data: bytes) -> None:
        self.image.write_part(table, offset, data)

    async def run(self, procedure: int, parameters: bytes = b"") -> ProcedureResult:
        raise response_error(ResponseCode.SNS, "none here")

    def bytes_of(self, table: int) -> int:
        return sum(count for number, _, count in self.reads if number == table)


@dataclass
class Tables:
    """The least a reader needs of a device: an access and its context."""

    access: Counted

    async def knows(self, *declared: type[Table]) -> Context:
        for one in declared:
            if one.number in self.access.refused:
                raise response_error(ResponseCode.ISC, "not with this key")
        context = self.access.image.context
        for one in declared:
            context = context.with_table(one, self.access.image.read(one.number))
        return context


def profile_image(
    count: int,
    *,
    blocks: int = 6,
    intervals: int = 12,
    channels: int = 3,
    minutes: int = 15,
    earlier: int = 0,
    sources: tuple[int, ...] = (0, 15, 114),
    seed: int = 1,
    padding: int = 0,
) -> tuple[Image, list[list[int]]]:
    """An image whose BT64 holds ``count`` intervals from START on; ``padding`` bytes after each block (only ET21 tells)."""
    rng = random.Random(seed)
    bt61 = struct.pack("<IHB", 0, 0, 32) + struct.pack("<HHBB", blocks, intervals, channels, minutes)
    image = Image({1: BT01, 61: bt61, 60: bytes(31), 20: bytes(10)})
    shape = geometry(image.context)
    values = [[rng.randrange(-(2**31), 2**31) for _ in range(channels)] for _ in range(count)]
    raw, ring = encode_table(shape, START, values, earlier=earlier)
    size = shape.block_size
    padded = b"".join(raw[n * size : (n + 1) * size] + bytes(padding) for n in range(blocks))
    image.put(64, padded)
    image.put(62, b"".join(bytes((0, source, 0)) for source in sources[:channels]) + bytes((32,)))
    image.put(ET66, bytes(4) + struct.pack("<H", 4 << 12 | 1 << 8 | 5) + bytes(122))
    put_ring(image, ring.valid_blocks, ring.last_block, ring.sequence, ring.valid_intervals)
    put_sizes(image, padding)
    return image, values


def put_ring(image: Image, valid: int, last: int, sequence: int, intervals: int) -> None:
    image.put(63, struct.pack("<BHHIHH", 0x24, valid, last, sequence, 0, intervals))


def put_sizes(image: Image, padding: int = 0) -> None:
    shape = geometry(image.context)
    record = struct.pack(
        "<IIIHHHHHBBBBBBBB",
        0,
        0,
        shape.block_size + padding,
        shape.header_size,
        0,
        0,
        0,
        0,
        shape.simple_offset,
        shape.simple_size,
        shape.header_size,
        shape.interval_size,
        shape.status_size,
        0,
        *shape.marks,
    )
    image.put(ET21, record.ljust(131, b"\0"))
