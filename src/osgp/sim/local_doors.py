"""Optical port and MEP of devices that are on a simulated power line as well: one meter, several doors. Project choice.

Each device's tables, registers, clock and contactor are the same whoever asks, so a reading over the power line can be held
against one at a local door. Keys of the doors are those of ``sim.device.lab_keys`` for seed and serial number, laboratory only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osgp.ports.serve import Server
from osgp.sim.device import SimulatedDevice, write_keys
from osgp.sim.fleet import listen
from osgp.sim.pl_device import PowerLineDevice
from osgp.wire.errors import StoreError

__all__ = ["DoorOptions", "LocalDoors"]

_STEP_S = 1.0


@dataclass(frozen=True, slots=True)
class DoorOptions:
    """``optical`` and ``mep``: ``tcp://host:port`` (each device takes the next port; 0: any), ``pty``, or empty for no such door.
    ``keys_dir``: where the keys of the doors are written, readable by you alone."""

    optical: str = ""
    mep: str = ""
    keys_dir: Path | None = None


class LocalDoors:
    """The doors of ``devices``. ``now``: the wire's second, by the running loop's clock."""

    def __init__(self, devices: Sequence[PowerLineDevice], options: DoorOptions, now: Callable[[float], float]) -> None:
        self.devices = list(devices)
        self.options = options
        self.rows: list[dict[str, str]] = []
        """For each device its serial number, kind, and the addresses for ``osgp.open``."""
        self._now = now
        self._servers = AsyncExitStack()
        self._living: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin to serve. Raises ConfigError, PortClosed, StoreError."""
        try:
            for index, device in enumerate(self.devices):
                self.rows.append(await self._open(index, device))
        except BaseException:
            await self._servers.aclose()
            raise
        self._living = asyncio.create_task(self._live())

    async def close(self) -> None:
        """The doors are shut."""
        if self._living is not None:
            self._living.cancel()
            with suppress(asyncio.CancelledError):
                await self._living
        await self._servers.aclose()

    async def _open(self, index: int, device: PowerLineDevice) -> dict[str, str]:
        shared = SimulatedDevice(
            serial=device.serial,
            seed=device.seed,
            index=device.index,
            meter=device.meter,
            utc_of=lambda at: device.start + self._now(at),
        )

        def on_event(machine: Any, event: Any) -> None:
            shared.on_event(machine, event)
            self._look(device)  # what was ordered here may be due on the line

        row = {"serial": device.serial, "kind": device.kind.name, "optical": "", "mep": ""}
        doors = ("optical", self.options.optical, shared.optical_server), ("mep", self.options.mep, shared.mep_server)
        for name, wanted, machine in doors:
            if wanted:
                server = Server(machine, on_event=on_event)
                await self._servers.enter_async_context(server)
                row[name] = f"{'mep+tls' if name == 'mep' else name}{await listen(server, wanted, index)}"
        if self.options.keys_dir is not None:
            try:
                write_keys(self.options.keys_dir, [shared])
            except OSError as error:
                raise StoreError(
                    f"the keys of the doors cannot be written: {error}", hint="doors.keys_dir is a folder"
                ) from error
        return row

    def _look(self, device: PowerLineDevice) -> None:
        if device.wire is not None:
            device.advance(device.wire.now)

    async def _live(self) -> None:
        """Whatever was ordered at a door is done in time, although nobody asks on the line."""
        while True:
            await asyncio.sleep(_STEP_S)
            for device in self.devices:
                self._look(device)
