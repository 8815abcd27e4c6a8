"""Many simulated devices in one event loop: ports, clocks, state file. What ``osgp meter`` runs."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from osgp.ports.lines import Line
from osgp.ports.serve import Server
from osgp.sim.clock import parse_speed
from osgp.sim.device import SimulatedDevice, load_state, save_state
from osgp.sim.faults import DeviceFaults
from osgp.sim.line import FaultyLine
from osgp.wire.errors import ConfigError

__all__ = ["Fleet", "FleetOptions", "listen"]

_STEP_S = 1.0


@dataclass(slots=True)
class FleetOptions:
    """``optical`` and ``mep``: ``tcp://host:port`` (each device takes the next port; 0: any), ``pty``, or None for no door.

    ``model``: one for all, or several parted by commas that take turns. ``speed``: how fast the meters' world goes; sessions
    keep real time. ``uart``: 9600 baud also on TCP. ``start``: the instant to begin at (default: now).
    """

    model: str = "3ph"
    count: int = 1
    seed: int = 1
    optical: str | None = "tcp://127.0.0.1:0"
    mep: str | None = "tcp://127.0.0.1:0"
    tls: bool | None = None
    speed: str = "1"
    state: Path | None = None
    faults: DeviceFaults = field(default_factory=DeviceFaults)
    history: float = 7.0
    firmware: str = "4.10"
    start: datetime | None = None
    uart: bool = False


class Fleet:
    """Use it as ``async with Fleet(options) as fleet``; ``fleet.addresses()`` tells where the devices are.

    Raises ConfigError, and PortClosed for a port that cannot be had.
    """

    def __init__(self, options: FleetOptions) -> None:
        self.options = options
        speed = parse_speed(options.speed)
        if speed == "max":
            raise ConfigError("meters that are served live at some pace", hint="give --speed as a factor such as 60")
        self._speed = float(speed)
        self._start = (options.start or datetime.now(UTC).replace(microsecond=0)).astimezone(UTC)
        self._origin = 0.0
        self.devices: list[SimulatedDevice] = []
        self._places: list[dict[str, str]] = []
        self._servers = AsyncExitStack()

    def _utc_of(self, now: float) -> float:
        return self._start.timestamp() + (now - self._origin) * self._speed

    @property
    def utc(self) -> datetime:
        """What time it is in the meters' world."""
        return datetime.fromtimestamp(self._utc_of(asyncio.get_running_loop().time()), UTC)

    async def __aenter__(self) -> Fleet:
        options = self.options
        loop = asyncio.get_running_loop()
        self._origin = loop.time()
        models = options.model.split(",")
        known = options.state is not None and options.state.exists()  # its history is in the file
        for index in range(options.count):
            self.devices.append(
                SimulatedDevice(
                    models[index % len(models)],
                    seed=options.seed,
                    index=index,
                    firmware=options.firmware,
                    start=self._start,
                    utc_of=self._utc_of,
                    history=0.0 if known else options.history,
                    tls=options.tls,
                    faults=options.faults,
                )
            )
            await asyncio.sleep(0)
        if options.state is not None and load_state(options.state, self.devices) and options.start is None:
            # The world may have run faster than ours: it goes on where it was, never backwards.
            latest = max(device.meter.at for device in self.devices)
            self._start = max(self._start, datetime.fromtimestamp(latest, UTC) + timedelta(milliseconds=1))
        for device in self.devices:
            device.meter.server.transactions.lock_s *= (
                self._speed
            )  # people lock for seconds of theirs, not of the meters'
        self._origin = loop.time()
        try:
            for index, device in enumerate(self.devices):
                self._places.append(await self._open(index, device))
        except BaseException:
            await self._servers.aclose()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._servers.aclose()
        self.save()

    async def _open(self, index: int, device: SimulatedDevice) -> dict[str, str]:
        places = {"optical": "", "mep": ""}
        doors = (("optical", self.options.optical, device.optical_server), ("mep", self.options.mep, device.mep_server))
        for name, wanted, machine in doors:
            if wanted:
                server = Server(
                    machine,
                    baud=9600 if self.options.uart else None,
                    wrap=self._wrap(index, name) if device.faults.on_line else None,
                    on_event=device.on_event,
                )
                await self._servers.enter_async_context(server)
                places[name] = await listen(server, wanted, index)
        return places

    def _wrap(self, index: int, name: str) -> Any:
        rng = random.Random(f"line {self.options.seed} {index} {name}")
        faults = self.options.faults.line

        def wrap(line: Line) -> Line:
            return FaultyLine(line, faults, faults, rng)

        return wrap

    def addresses(self) -> list[dict[str, Any]]:
        """One row for each device: serial, model, and the addresses for ``osgp.open``."""
        rows = []
        for device, place in zip(self.devices, self._places):
            rows.append(
                {
                    "serial": device.serial,
                    "model": device.meter.model.name,
                    "optical": f"optical{place['optical']}" if place["optical"] else "",
                    "mep": f"mep{'' if self.options.tls is False else '+tls'}{place['mep']}" if place["mep"] else "",
                }
            )
        return rows

    async def live(self, stop: asyncio.Event, *, save_every_s: float = 30.0) -> None:
        """Let all meters live until ``stop`` is set, and save them now and then."""
        loop = asyncio.get_running_loop()
        saved = time.monotonic()
        while not stop.is_set():
            for device in self.devices:
                device.advance(loop.time())
                await asyncio.sleep(0)
            if self.options.state is not None and time.monotonic() - saved >= save_every_s:
                self.save()
                saved = time.monotonic()
            try:
                await asyncio.wait_for(stop.wait(), _STEP_S)
            except TimeoutError:
                continue

    def save(self) -> None:
        """Write the state file, if one is wanted."""
        if self.options.state is not None and self.devices:
            save_state(self.options.state, self.devices)


async def listen(server: Server, wanted: str, index: int) -> str:
    """Open one door; answers the rest of its address, from the line on."""
    if wanted == "pty":
        return f"://{await server.pty()}"
    parts = urlsplit(wanted)
    if parts.scheme != "tcp" or not parts.hostname:
        raise ConfigError(f"{wanted} is no place to serve at", hint="tcp://127.0.0.1:7701, or pty")
    try:
        port = parts.port or 0
    except ValueError as error:
        raise ConfigError(f"{wanted}: {error}") from error
    host, bound = await server.tcp(parts.hostname, port + index if port else 0)
    return f"+tcp://{host}:{bound}"
