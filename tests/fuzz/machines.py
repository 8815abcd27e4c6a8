"""Whole servers, table server included, under any bytes: they refuse or answer, stay small, and serve a good client next."""

from __future__ import annotations

import random
from typing import Any

from osgp.c1218.packet import build
from osgp.c1218.server import OpticalServer
from osgp.mep.client import MepClient
from osgp.mep.events import RequestFailed, ResponseReceived
from osgp.mep.server import MepServer
from osgp.node.server import Port
from osgp.ports.driver import Driver
from osgp.ports.lines import Line
from osgp.ports.sessions import OpticalSession, SessionOptions
from osgp.sim.line import LoopbackLine, StepClock
from osgp.tables.access import run_sync
from osgp.tables.services import FullRead, FullWrite, PartialRead, PartialWrite, Request, encode_request
from osgp.tables.table import PENDING
from tests.access.world import MAK, MBK, MEP_KEYS, MK, World
from tests.node.meters import make

__all__ = ["babble", "fuzz_meter", "fuzz_mep_server", "fuzz_optical_server", "serve_mep", "serve_optical"]

_READ = encode_request(FullRead(2051), checksum=False)
MEMORY = 300_000
"""Bytes that a server may hold on to, its image aside: a few buffers and events nobody has fetched."""


def held(value: object, seen: set[int] | None = None, depth: int = 0) -> int:
    """Bytes in buffers and lists behind an object, roughly: what grows if a peer can make it grow."""
    seen = set() if seen is None else seen
    if id(value) in seen or depth > 6:
        return 0
    seen.add(id(value))
    if isinstance(value, bytes | bytearray | str):
        return len(value)
    if isinstance(value, dict):
        return sum(held(one, seen, depth + 1) + held(two, seen, depth + 1) + 16 for one, two in value.items())
    if isinstance(value, list | tuple | set | frozenset) or type(value).__name__ == "deque":
        return sum(held(one, seen, depth + 1) + 8 for one in value)  # type: ignore[attr-defined]  # deques iterate too
    names = [*getattr(value, "__dict__", ()), *getattr(type(value), "__slots__", ())]
    if not type(value).__module__.startswith("osgp") or not names:
        return 0
    return sum(held(getattr(value, name, None), seen, depth + 1) for name in names)


def babble(server: Any, data: bytes, now: float = 0.0) -> float:
    """Feeds a server pieces of any size with pauses of any length, as the data themselves say; gives the time after it."""
    at = 0
    while at < len(data):
        head = data[at]
        size = 1 + head % 97
        piece = data[at + 1 : at + 1 + size]
        at += 1 + size
        server.receive(piece, now)
        server.outgoing(now)
        now += (0.0, 0.001, 0.03, 0.2, 0.7, 3.0, 7.0, 0.0)[head >> 5]
        server.wake(now)
        if head & 1:
            server.events()
    for _ in range(300):
        due = server.deadline()
        server.outgoing(now)
        if due is None or due > now + 60:
            break
        now = max(now, due)
        server.wake(now)
    return now


def serve_optical(server: OpticalServer, world: World, now: float) -> None:
    """A good client, from ident to logoff."""
    clock = StepClock(now)

    async def open_line() -> Line:
        return LoopbackLine(server, clock)

    session = OpticalSession(open_line, "good", True, SessionOptions(), MK)
    session.clock = clock
    run_sync(session.connect())
    answer = run_sync(session.exchange(encode_request(FullRead(52), checksum=True), True))
    assert answer[0] == 0
    assert answer[3:-1] == world.image.read(52)
    run_sync(session.close())


def serve_mep(server: MepServer, world: World, now: float) -> None:
    """A good client in TLS, then one in RC4 mode."""
    for legacy in (False, True):
        clock = StepClock(now)
        client = MepClient({"MAK": MAK}, legacy=legacy, random_bytes=random.Random(9).randbytes)
        driver = Driver(LoopbackLine(server, clock), client, clock)
        client.request(_READ, clock(), read=True)
        event = run_sync(driver.pump_until((ResponseReceived, RequestFailed)))
        assert isinstance(event, ResponseReceived), event
        assert event.message[3:] == world.image.read(2051)
        if client.established:
            client.close(clock())
            run_sync(driver.pump_until(lambda event: type(event).__name__ == "TlsEnded"))
        now = clock()


def _packets(data: bytes) -> bytes:
    """The same bytes as whole, valid packets: past framing and CRC, into sessions and tables."""
    out, toggle, at = bytearray(), 0, 0
    while at < len(data):
        size = 1 + data[at] % 24
        packet = build(data[at + 1 : at + 1 + size], toggle=toggle)
        for start in range(0, len(packet), 96):
            out += bytes([len(packet[start : start + 96]) - 1]) + packet[start : start + 96]
        toggle ^= 1
        at += 1 + size
    return bytes(out)


def fuzz_optical_server(data: bytes) -> None:
    """As they are, and dressed as packets in a session that has logged on with the highest key."""
    for dressed in (False, True):
        world = World()
        server = OpticalServer(world.optical_handle(Port("optical")), world.check_key)
        now = 0.0
        if dressed:
            opening = (b"\x20", b"\x60\x02\x00\x08", b"\x50\x00\x01fuzz      ", b"\x51" + MK)
            for number, message in enumerate(opening):
                server.receive(build(message, toggle=number & 1), now)
                for _ in range(3):
                    now += 0.1
                    server.wake(now)
                    server.outgoing(now)
                    server.receive(b"\x06", now)
        now = babble(server, _packets(data) if dressed else data, now)
        assert held(server.link) < MEMORY
        server.events()
        serve_optical(server, world, now + 8.0)


def fuzz_mep_server(data: bytes) -> None:
    """As they are, and as messages that a client with the right key has sealed."""
    for sealed in (False, True):
        world = World()
        server = MepServer(world.mep_handle(Port("mep1")), MEP_KEYS.get, rng=random.Random(3))
        now = 0.0
        if sealed:
            now = _sealed(server, data)
        else:
            now = babble(server, data)
        assert held([server._reader, server._waiting, server._chunks, server._events]) < MEMORY
        server.events()
        serve_mep(server, world, now + 1.0)


def _sealed(server: MepServer, data: bytes) -> float:
    from osgp.mep.frame import MAX_MESSAGE_RC4, framed
    from osgp.mep.rc4 import seal_request

    at, now = 0, 0.0
    while at < len(data):
        head = data[at]
        message = data[at + 1 : at + 2 + head][:MAX_MESSAGE_RC4]
        at += 2 + head
        if message:
            key = (MAK, MBK)[head & 1]
            frame = framed(seal_request(key, message, server.sequence + 1, encrypt=bool(head & 2)).request_body())
            server.receive(frame, now)
        for _ in range(12):
            now += 0.05
            server.wake(now)
            server.outgoing(now)
    return now


IMAGE_LIMIT = 2_000_000


def fuzz_meter(data: bytes) -> None:
    """The living meter behind its table server: any reads, writes and procedures, with any parameters, as time goes by."""
    meter = make("mbus")
    numbers, procedures = sorted(meter.image), sorted(meter.handlers)
    port = Port("mep1")
    now, psn, at = meter.at, 0, 0
    while at + 3 < len(data):
        kind, which, size = data[at : at + 3]
        body = data[at + 3 : at + 3 + size % 64]
        at += 3 + size % 64
        number = numbers[which % len(numbers)] | (PENDING if kind & 0x80 else 0)
        offset = int.from_bytes(body[:2].ljust(2, b"\0"), "little") % 700
        request: Request
        match kind & 3:
            case 0:
                request = PartialRead(number, offset, size)
            case 1:
                request = PartialWrite(number, offset, body[2:])
            case 2:
                request = FullRead(number)
            case _:
                psn = psn % 250 + 1
                number = procedures[which % len(procedures)]
                request = FullWrite(7, number.to_bytes(2, "little") + bytes([psn]) + body)
        code, _ = meter.server.handle(request, ("MAK", "MK", "MBK", "RK")[kind >> 2 & 3], now, port)
        assert 0 <= code <= 0x0A
        now += (0.1, 1.0, 61.0, 3600.0, 86400.0, 0.5, 0.2, 7.0)[kind >> 4 & 7]
    for number in meter.image:
        code, content = meter.server.handle(FullRead(number), "MAK", now, port)
        assert code == 0, number
        assert content is not None
    assert sum(meter.image.size(number) for number in meter.image) < IMAGE_LIMIT
