"""Meters for the collector without any line: each request goes straight to the meter's tables, and may be made to fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from osgp.headend.config import CollectConfig, Collection, DeviceConfig
from osgp.node.device import Device
from osgp.node.meter import Meter
from osgp.node.server import Port
from osgp.tables.access import DoorCosts, ProcedureResult
from osgp.tables.services import FullRead, PartialRead, ResponseCode, response_error
from osgp.wire.errors import PortClosed
from tests.node import meters

REGISTERS = ("serial_number", "fwd_active_energy", "voltage_l1")


class Door:
    """``TableAccess`` of a living meter. ``before`` is called (and awaited, if it answers so) before each request with table,
    offset and count (None: all of it), and may raise; ``asked`` are the requests. ``seconds``: how long each takes."""

    costs = DoorCosts("test", 30, 36, 30, 36, 1 << 16, 1 << 16)

    def __init__(self, meter: Meter, wall: Callable[[], float], *, key: str = "MK", seconds: float = 0.05) -> None:
        self.meter = meter
        self.wall = wall
        self.key = key
        self.seconds = seconds
        self.asked: list[tuple[int, int, int | None]] = []
        self.before: Callable[[int, int, int | None], Any] = lambda table, offset, count: None

    async def _ask(self, request: FullRead | PartialRead, offset: int, count: int | None) -> bytes:
        self.asked.append((request.table, offset, count))
        await asyncio.sleep(self.seconds)
        waits = self.before(request.table, offset, count)
        if waits is not None:
            await waits
        code, data = self.meter.server.handle(request, self.key, self.wall(), Port("optical"))
        if code != ResponseCode.OK or data is None:
            raise response_error(code, f"read {request.table}")
        return data

    async def read(self, table: int) -> bytes:
        return await self._ask(FullRead(table), 0, None)

    async def read_part(self, table: int, offset: int, count: int) -> bytes:
        return await self._ask(PartialRead(table, offset, count), offset, count)

    async def write(self, table: int, data: bytes) -> None:
        raise AssertionError("a collector writes nothing")

    async def write_part(self, table: int, offset: int, data: bytes) -> None:
        raise AssertionError("a collector writes nothing")

    async def run(self, procedure: int, parameters: bytes = b"") -> ProcedureResult:
        raise AssertionError("a collector runs nothing")

    def tables_asked(self) -> set[int]:
        """Numbers of the tables read since the last call."""
        found = {table for table, _, _ in self.asked}
        self.asked.clear()
        return found


class Street:
    """Doors by name, and the opener of a collector for them. ``unreachable``: names that nobody answers at."""

    def __init__(self, doors: dict[str, Door]) -> None:
        self.doors = doors
        self.unreachable: set[str] = set()
        self.opened: list[tuple[str, float]] = []
        self.open_now: list[str] = []
        self.most_open = 0

    @asynccontextmanager
    async def open(self, device: DeviceConfig, dimensions: dict[int, bytes]) -> AsyncIterator[Device]:
        self.opened.append((device.name, asyncio.get_running_loop().time()))
        await asyncio.sleep(0.5)
        if device.name in self.unreachable:
            raise PortClosed("nobody is there")
        self.open_now.append(device.name)
        self.most_open = max(self.most_open, len(self.open_now))
        try:
            yield Device(self.doors[device.name], dimensions=dimensions)
        finally:
            self.open_now.remove(device.name)

    def times(self, name: str) -> list[float]:
        """When a device was opened."""
        return [round(at, 1) for one, at in self.opened if one == name]


def config(names: Iterable[str], *, line: str | None = None, **options: Any) -> CollectConfig:
    """A configuration; each device has its own line, or all are on ``line``."""
    collection = {"measurements": REGISTERS, "every": 900.0, "tables": (), **options.pop("collection", {})}
    devices = tuple(
        DeviceConfig(name=name, address=line or f"optical+tcp://meter{number}:1")
        for number, name in enumerate(names, 1)
    )
    return CollectConfig(collection=Collection(**collection), device=devices, **options)


def meter(model: str = "1ph", *, days: float = 1, **options: Any) -> Meter:
    """A meter that has run for some days."""
    return meters.make(model, days=days, **options)
