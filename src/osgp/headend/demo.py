"""A street of simulated meters for `osgp demo`: living meters of every kind behind their doors, served on 127.0.0.1.

They are the meters of ``osgp.sim``, each with a house of its own and days of history. Their keys follow from the seed: they
are for the laboratory only. Which meters there are is a project choice: every model, every door, and a few troubles.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from osgp.crypto.keys import Key
from osgp.ports.serve import Server

if TYPE_CHECKING:
    from osgp.sim.device import SimulatedDevice

__all__ = ["STREET", "DemoMeter", "DemoStreet", "ServedMeter"]

_STEP_S = 1.0
_FROZEN_S = 9 * 3600.0
_FAST_BAUD = 115200


@dataclass(frozen=True, slots=True)
class DemoMeter:
    """One meter of the street. ``door``: optical, mep+tls, or mep+rc4 (the legacy mode); ``frozen``: its registers have stood
    still for some hours; ``drift_ppm``: how fast its clock runs."""

    model: str
    door: str
    firmware: str = "4.10"
    frozen: bool = False
    drift_ppm: float = 0.0


STREET = (
    DemoMeter("1ph", "optical"),
    DemoMeter("3ph", "mep+tls"),
    DemoMeter("mbus", "optical"),
    DemoMeter("3ph", "mep+rc4", firmware="3.50"),
    DemoMeter("3ph", "optical", frozen=True),
    DemoMeter("mbus", "mep+tls"),
    DemoMeter("1ph", "mep+tls"),
    DemoMeter("3ph", "optical"),
    DemoMeter("mbus", "mep+tls"),
    DemoMeter("3ph", "mep+tls"),
    DemoMeter("1ph", "optical", drift_ppm=15.0),
    DemoMeter("mbus", "optical"),
)
"""The meters in turn; a longer street begins again from the start."""


@dataclass(frozen=True, slots=True)
class ServedMeter:
    """Where a meter is and which key opens it. ``legacy``: it speaks the old RC4 mode only."""

    name: str
    address: str
    key: Key
    key_kind: str
    legacy: bool


class DemoStreet:
    """The meters, alive: ``async with DemoStreet(12) as street``. ``progress`` is called with the number of meters built.

    ``speed``: how many times faster than the wall clock the meters' world goes; ``history``: days they have run already;
    ``fast``: 115200 baud and large packets instead of 9600 baud; the machines keep the pace of their rate themselves. Raises
    PortClosed.
    """

    def __init__(
        self,
        count: int = len(STREET),
        *,
        seed: int = 7,
        speed: float = 1.0,
        history: float = 7.0,
        fast: bool = True,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self.count = count
        self.seed = seed
        self.speed = speed
        self.history = history
        self.fast = fast
        self.progress = progress or (lambda built: None)
        self.start = datetime.now(UTC).replace(microsecond=0).timestamp()
        self.origin = time.monotonic()
        self.meters: list[ServedMeter] = []
        self.devices: list[SimulatedDevice] = []
        self._servers = AsyncExitStack()
        self._life: asyncio.Task[None] | None = None

    def utc(self, now: float | None = None) -> float:
        """Seconds since 1970 in the meters' world; ``now``: monotonic seconds."""
        return self.start + ((time.monotonic() if now is None else now) - self.origin) * self.speed

    async def __aenter__(self) -> DemoStreet:
        try:
            for index in range(self.count):
                kind = STREET[index % len(STREET)]
                # In a thread: the days of history are computed, and the loop has other things to do.
                device = await asyncio.to_thread(self._build, index, kind)
                self.devices.append(device)
                self.meters.append(await self._serve(index, kind, device))
                self.progress(index + 1)
        except BaseException:
            await self._servers.aclose()
            raise
        self._life = asyncio.create_task(self._live())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._life is not None:
            self._life.cancel()
            await asyncio.wait([self._life])
        await self._servers.aclose()

    def _build(self, index: int, kind: DemoMeter) -> SimulatedDevice:
        from osgp.sim.device import SimulatedDevice
        from osgp.sim.faults import DeviceFaults, FrozenSource

        def made(source: FrozenSource | None) -> SimulatedDevice:
            return SimulatedDevice(
                kind.model,
                seed=self.seed,
                index=index,
                firmware=kind.firmware,
                start=datetime.fromtimestamp(self.start, UTC),
                utc_of=self.utc,
                history=0.0 if kind.frozen and source is None else self.history,
                tls={"mep+tls": True, "mep+rc4": False}.get(kind.door),
                faults=DeviceFaults(drift_ppm=kind.drift_ppm),
                source=source,
            )

        source = None
        if kind.frozen:  # before the story begins, so that the load profile shows it at once
            source = FrozenSource(made(None).source, self.start - _FROZEN_S)
        return made(source)

    async def _serve(self, index: int, kind: DemoMeter, device: SimulatedDevice) -> ServedMeter:
        optical = kind.door == "optical"
        if optical:
            port = device.optical_server()
            options = f"?talk_baud={_FAST_BAUD}&packet_size=1024&packets=16" if self.fast else ""
            if self.fast:
                port.link.timers = replace(port.link.timers, turn_round_s=0.002, gap_s=0.002)
            server = Server(lambda: port, on_event=device.on_event)
        else:
            plug = device.mep_server()
            options = f"?baud={_FAST_BAUD}" if self.fast else ""
            if self.fast:
                plug.baud, plug.interval_s = _FAST_BAUD, 0.01
            server = Server(lambda: plug, on_event=device.on_event)
        await self._servers.enter_async_context(server)
        host, number = await server.tcp()
        name = "RK" if optical else "MAK"
        scheme = f"{kind.door}+tcp"
        address = f"{scheme}://{host}:{number}{options}"
        return ServedMeter(f"house-{index + 1:02d}", address, device.keys[name], name, kind.door == "mep+rc4")

    async def _live(self) -> None:
        """Time passes for every meter, asked or not."""
        while True:
            for device in self.devices:
                device.advance(time.monotonic())
                await asyncio.sleep(0)
            await asyncio.sleep(_STEP_S)
