"""A simulated device behind each of its doors, in memory: client machine, loopback line, server machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from osgp.c1218.access import OpticalTables
from osgp.mep.access import MepTables
from osgp.ports.lines import Line
from osgp.ports.sessions import MepSession, OpticalSession, SessionOptions
from osgp.sim.device import SimulatedDevice
from osgp.sim.line import Faults, LoopbackLine, StepClock
from osgp.tables.access import run_sync
from osgp.wire.errors import NoAnswer


def _in_memory(session: OpticalSession | MepSession, clock: StepClock) -> None:
    async def sleep(seconds: float) -> None:
        assert session.driver is not None
        with suppress(NoAnswer):
            await session.driver.pump_until(lambda event: False, timeout_s=seconds)

    session.clock = clock
    session.sleep = sleep  # type: ignore[method-assign]  # time passes in memory only


@contextmanager
def optical(
    device: SimulatedDevice, key: str, clock: StepClock, *, faults: Faults | None = None
) -> Iterator[OpticalTables]:
    """Tables at the optical port, logged on with ``key``."""

    async def open_line() -> Line:
        return LoopbackLine(
            device.optical_server(), clock, there=faults, back=faults, on_event=device.optical_event, rng=device._rng
        )

    options = SessionOptions(settings={"packet_size": 256, "packets": 64, "user_id": 77})
    session = OpticalSession(open_line, "loopback", True, options, device.keys[key].for_optical())
    _in_memory(session, clock)
    tables = OpticalTables(session.exchange, session.sleep)
    session.opened = lambda event: tables.negotiated(event.packet_size, event.packets, event.baud)
    run_sync(session.connect())
    yield tables
    run_sync(session.close())
    server, until = device.optical_server(), clock.now + 60.0
    while (due := server.deadline()) is not None and due < until:  # the line is gone: the meter ends what is left
        clock.advance_to(due)
        server.wake(clock.now)
        server.outgoing(clock.now)
        for event in server.events():
            device.optical_event(event)


@contextmanager
def mep(
    device: SimulatedDevice, key: str, clock: StepClock, *, tls: bool = True, client: int = 0, **options: Any
) -> Iterator[MepTables]:
    """Tables at a MEP port with ``key`` (MAK or MBK)."""

    async def open_line() -> Line:
        return LoopbackLine(device.mep_server(client), clock)

    session = MepSession(open_line, "loopback", True, SessionOptions(), {key: device.keys[key]}, not tls)
    _in_memory(session, clock)
    run_sync(session.connect())

    def size_of(number: int) -> int | None:
        return device.meter.image.size(number) if number in device.meter.image else None

    yield MepTables(session.exchange, session.sleep, tls=tls, size_of=size_of, **options)
    run_sync(session.close())
