"""Every maker of ``TableAccess``, each in front of a ``World`` of its own, opened with the key that a test asks for.

A maker is a context manager from (world, key) to a ``Room``: the tables, and how to run a coroutine that uses them. In
memory the machines stand on a ``StepClock``; over sockets the event loop's time jumps (``VirtualLoop``), so that nobody
waits; over ptys, whose bytes pass through the kernel's worker threads, it runs four times faster than the wall clock.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from osgp.c1218.access import OpticalTables
from osgp.c1218.link import LinkTimers
from osgp.c1218.server import OpticalServer
from osgp.mep.access import MepTables
from osgp.mep.server import MepServer
from osgp.node.server import Port
from osgp.ports.lines import Line
from osgp.ports.opening import OpenOptions, connect
from osgp.ports.serve import Server
from osgp.ports.sessions import MepSession, OpticalSession, SessionOptions
from osgp.sim.clock import VirtualLoop
from osgp.sim.line import LoopbackLine, StepClock
from osgp.tables.access import ProcedureResult, TableAccess, run_sync
from osgp.tables.image import ImageTables
from osgp.wire.errors import NoAnswer

from .world import MEP_KEYS, OPTICAL_KEYS, World

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@dataclass(slots=True)
class Room:
    """Tables in front of a world. ``wire`` counts the bytes that passed the line, both ways."""

    tables: TableAccess
    world: World
    run: Run
    port: Port
    wire: list[int] = field(default_factory=lambda: [0])

    def read(self, table: int) -> bytes:
        return self.run(self.tables.read(table))  # type: ignore[no-any-return]  # run is untyped

    def part(self, table: int, offset: int, count: int) -> bytes:
        return self.run(self.tables.read_part(table, offset, count))  # type: ignore[no-any-return]  # run is untyped

    def write(self, table: int, data: bytes) -> None:
        self.run(self.tables.write(table, data))

    def write_part(self, table: int, offset: int, data: bytes) -> None:
        self.run(self.tables.write_part(table, offset, data))

    def procedure(self, number: int, parameters: bytes = b"") -> ProcedureResult:
        return self.run(self.tables.run(number, parameters))  # type: ignore[no-any-return]  # run is untyped


Maker = Callable[[World, str], AbstractContextManager[Room]]


def optical_server(world: World, port: Port) -> OpticalServer:
    return OpticalServer(world.optical_handle(port), world.check_key)


def mep_server(world: World, port: Port, **options: Any) -> MepServer:
    return MepServer(world.mep_handle(port), MEP_KEYS.get, rng=random.Random(3), **options)


def sizes(world: World) -> Callable[[int], int | None]:
    """What a client knows of table sizes, as far as the device has the table."""

    def size_of(number: int) -> int | None:
        if number in world.pending:
            return len(world.pending.read(number)) if number & 4096 else world.image.size(number)
        return world.image.size(number) if number in world.image else None

    return size_of


# ---- without a line
@contextmanager
def image(world: World, key: str) -> Iterator[Room]:
    port = Port("optical")

    async def runner(procedure: int, parameters: bytes) -> ProcedureResult:
        code, data = world.server._run(procedure, parameters, key, world.now, port)
        return ProcedureResult(procedure, 0, code, data)

    yield Room(ImageTables(world.image, runner), world, run_sync, port)


@contextmanager
def direct(world: World, key: str) -> Iterator[Room]:
    """The table server, asked without any door."""
    port = Port("mep1")

    async def exchange(message: bytes, read: bool) -> bytes:
        return world.server.handle_message(message, key, world.now, port)

    async def sleep(seconds: float) -> None:
        world.now += seconds

    yield Room(MepTables(exchange, sleep, tls=True, size_of=sizes(world)), world, run_sync, port)


# ---- in memory
def _loopback(session: OpticalSession | MepSession, clock: StepClock) -> None:
    async def sleep(seconds: float) -> None:
        if session.driver is None:
            clock.advance_to(clock() + seconds)
            return
        with suppress(NoAnswer):
            await session.driver.pump_until(lambda event: False, timeout_s=seconds)

    session.clock = clock
    session.sleep = sleep  # type: ignore[method-assign]  # time passes in memory only


def _counted(wire: list[int]) -> Callable[[float, Literal["in", "out"], bytes], None]:
    def tap(now: float, direction: Literal["in", "out"], data: bytes) -> None:
        wire[0] += len(data)

    return tap


def loopback_optical(packet_size: int, packets: int) -> Maker:
    @contextmanager
    def make(world: World, key: str) -> Iterator[Room]:
        clock, port, wire = StepClock(), Port("optical"), [0]
        options = SessionOptions(
            tap=_counted(wire), settings={"packet_size": packet_size, "packets": packets, "user_id": 77}
        )

        async def open_line() -> Line:
            return LoopbackLine(optical_server(world, port), clock)

        session = OpticalSession(open_line, "loopback", True, options, OPTICAL_KEYS.get(key))
        tables = OpticalTables(session.exchange, session.sleep, size_of=sizes(world))
        session.opened = lambda event: tables.negotiated(event.packet_size, event.packets, event.baud)
        _loopback(session, clock)
        tables.sleep = session.sleep
        run_sync(session.connect())
        assert tables.costs.packet_data == packet_size - 8
        yield Room(tables, world, run_sync, port, wire)
        run_sync(session.close())

    return make


def loopback_mep(*, tls: bool, encrypt: bool = False) -> Maker:
    @contextmanager
    def make(world: World, key: str) -> Iterator[Room]:
        clock, port, wire = StepClock(), Port("mep1"), [0]
        options = SessionOptions(tap=_counted(wire), settings={"encrypt": encrypt})

        async def open_line() -> Line:
            return LoopbackLine(mep_server(world, port), clock)

        session = MepSession(open_line, "loopback", True, options, {key: MEP_KEYS[key]}, not tls)
        _loopback(session, clock)
        run_sync(session.connect())
        tables = MepTables(session.exchange, session.sleep, tls=tls, size_of=sizes(world))
        yield Room(tables, world, run_sync, port, wire)
        run_sync(session.close())

    return make


# ---- over sockets and ptys, through osgp.open
def _address(door: str, place: str) -> str:
    return f"{door}+tcp://{place}" if ":" in place else f"{door.replace('mep+tls', 'mep')}://{place}"


QUICK = {"talk_baud": 256000, "packet_size": 512, "packets": 4, "turn_round_s": 0.002}


def _options(door: str, key: str) -> OpenOptions:
    if door == "optical":
        return OpenOptions(key=OPTICAL_KEYS.get(key), settings=QUICK)
    legacy = door == "mep"
    return OpenOptions(key=MEP_KEYS[key], key_kind=key, legacy=legacy, insecure_lab=True, settings={"interval_s": 0})


def _machine(door: str, world: World, port: Port) -> Any:
    if door == "optical":
        return OpticalServer(
            world.optical_handle(port), world.check_key, timers=LinkTimers(turn_round_s=0.002, gap_s=0.002)
        )
    return mep_server(world, port, interval_s=0.0, pauses=False)


async def _served(door: str, on: str, world: World, port: Port) -> tuple[Server, str]:
    server = Server(lambda: _machine(door, world, port))
    if on == "pty":
        return server, await server.pty()
    host, number = await server.tcp()
    return server, f"{host}:{number}"


def opened(door: str, on: str) -> Maker:
    """``connect`` with an event loop; server and client share it."""

    @contextmanager
    def make(world: World, key: str) -> Iterator[Room]:
        port = Port("optical" if door == "optical" else "mep1")
        loop = VirtualLoop("max" if on == "tcp" else 4)
        try:
            server, place = loop.run_until_complete(_served(door, on, world, port))
            device = loop.run_until_complete(connect(_address(door, place), _options(door, key), blocking=False))
            device.access.size_of = sizes(world)  # type: ignore[attr-defined]  # what the device learns is tested elsewhere
            yield Room(device.access, world, loop.run_until_complete, port)
            loop.run_until_complete(device.close())
            loop.run_until_complete(server.close())
        finally:
            loop.close()

    return make


def opened_sync(door: str, on: str) -> Maker:
    """``connect`` without an event loop, as ``open_sync`` does; the server has a loop and a thread of its own."""

    @contextmanager
    def make(world: World, key: str) -> Iterator[Room]:
        port = Port("optical" if door == "optical" else "mep1")
        with own_loop() as beside:
            server, place = beside(_served(door, on, world, port))
            device = run_sync(connect(_address(door, place), _options(door, key), blocking=True))
            device.access.size_of = sizes(world)  # type: ignore[attr-defined]  # as above
            yield Room(device.access, world, run_sync, port)
            run_sync(device.close())
            beside(server.close())

    return make


@contextmanager
def own_loop() -> Iterator[Run]:
    """An event loop in a thread of its own; runs coroutines there and gives their results."""
    import threading

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield lambda work: asyncio.run_coroutine_threadsafe(work, loop).result(timeout=30)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


OPTICAL: dict[str, Maker] = {
    "optical 64x1": loopback_optical(64, 1),
    "optical 64x2": loopback_optical(64, 2),
    "optical 1024x128": loopback_optical(1024, 128),
    "optical tcp async": opened("optical", "tcp"),
    "optical pty async": opened("optical", "pty"),
    "optical tcp sync": opened_sync("optical", "tcp"),
}
MEP: dict[str, Maker] = {
    "mep rc4": loopback_mep(tls=False),
    "mep rc4 encrypted": loopback_mep(tls=False, encrypt=True),
    "mep tls": loopback_mep(tls=True),
    "mep rc4 tcp async": opened("mep", "tcp"),
    "mep tls tcp async": opened("mep+tls", "tcp"),
    "mep tls tcp sync": opened_sync("mep+tls", "tcp"),
    "mep rc4 pty sync": opened_sync("mep", "pty"),
}
WITH_KEYS: dict[str, Maker] = {"direct": direct, **MEP, **OPTICAL}
ALL: dict[str, Maker] = {"image": image, **WITH_KEYS}
LOOPBACK = {name: maker for name, maker in {**OPTICAL, **MEP}.items() if "tcp" not in name and "pty" not in name}


def full_key(name: str) -> str:
    """The key that may do most at a door."""
    return "MK" if name in OPTICAL else "MAK"
