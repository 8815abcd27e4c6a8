"""Help for the tests of the MEP door: the vectors, and a client and a server joined by a line on virtual time."""

from __future__ import annotations

import heapq
import itertools
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from osgp.mep.client import MepClient
from osgp.mep.events import RequestFailed, ResponseReceived
from osgp.mep.frame import framed
from osgp.mep.rc4 import Exchange, seal_request
from osgp.mep.server import MepServer

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent / "vectors" / "mep" / "mep.json").read_text(encoding="utf-8")
)
BY_NAME = {vector["name"]: vector for vector in VECTORS}
MAK = bytes([1] * 16)
MBK = bytes(range(16))
READ = bytes.fromhex("3f0017000000002c")
WRITE = bytes.fromhex("4f083200001e000101")

Pipe = Callable[[str, bytes], list[tuple[float, bytes]]]
"""(direction, bytes sent) → what arrives of them, each with its delay in seconds."""


def raw(name: str) -> bytes:
    return bytes.fromhex(BY_NAME[name]["hex"])


def memory(message: bytes, access: str, now: float) -> bytes:
    """A device without tables: reads give their offset's low byte again and again, writes succeed."""
    if message[0] == 0x3F:
        count = int.from_bytes(message[6:8], "big")
        return b"\0" + message[6:8] + bytes([message[5] or 7]) * count
    return b"\0\0\x02\xab\xcd" if message[0] == 0x30 else b"\0"


def request_frame(message: bytes, sequence: int, key: bytes = MAK, *, encrypt: bool = False) -> tuple[bytes, Exchange]:
    exchange = seal_request(key, message, sequence, encrypt=encrypt)
    return framed(exchange.request_body()), exchange


def client(**options: Any) -> MepClient:
    options.setdefault("random_bytes", random.Random(1).randbytes)
    return MepClient({"MAK": MAK, "MBK": MBK}, **options)


def server(handle: Callable[[bytes, str, float], bytes] = memory, **options: Any) -> MepServer:
    options.setdefault("rng", random.Random(2))
    keys = {"MAK": MAK, "MBK": MBK}
    return MepServer(handle, keys.get, **options)


def at_once(direction: str, data: bytes) -> list[tuple[float, bytes]]:
    return [(0.0, data)]


def byte_by_byte(direction: str, data: bytes) -> list[tuple[float, bytes]]:
    return [(0.001 * (number + 1), data[number : number + 1]) for number in range(len(data))]


class World:
    """Client, server and the line between them; ``pipe`` decides what arrives."""

    def __init__(self, client: MepClient, server: MepServer, pipe: Pipe = at_once) -> None:
        self.client, self.server, self.pipe = client, server, pipe
        self.now = 0.0
        self.client_events: list[Any] = []
        self.server_events: list[Any] = []
        self.to_server = bytearray()
        self.to_client = bytearray()
        self._arrivals: list[tuple[float, int, str, bytes]] = []
        self._count = itertools.count()

    def step(self) -> None:
        self.client_events += self.client.events()
        self.server_events += self.server.events()
        for direction, machine, log in (("up", self.client, self.to_server), ("down", self.server, self.to_client)):
            data = machine.outgoing(self.now)
            if data:
                log += data
                for delay, part in self.pipe(direction, data):
                    heapq.heappush(self._arrivals, (self.now + delay, next(self._count), direction, part))
        times = [time for time in (self.client.deadline(), self.server.deadline()) if time is not None]
        if self._arrivals:
            times.append(self._arrivals[0][0])
        if times:
            self.now = max(self.now, min(times))
        while self._arrivals and self._arrivals[0][0] <= self.now:
            _, _, direction, data = heapq.heappop(self._arrivals)
            (self.server if direction == "up" else self.client).receive(data, self.now)
        self.client.wake(self.now)
        self.server.wake(self.now)

    def run(self, until: Callable[[], bool], limit_s: float = 120.0) -> None:
        end = self.now + limit_s
        for _ in range(20_000):
            if until() or self.now > end:
                break
            self.step()
        self.client_events += self.client.events()
        self.server_events += self.server.events()
        assert until(), "the machines are stuck"

    def idle(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while True:
            times = [time for time in (self.client.deadline(), self.server.deadline()) if time is not None]
            times += [self._arrivals[0][0]] if self._arrivals else []
            if not times or min(times) > end:
                break
            before = self.now
            self.step()
            if self.now == before and not self.client.deadline():
                self.step()
        self.now = max(self.now, end)

    def ask(self, message: bytes, *, read: bool, **options: Any) -> ResponseReceived | RequestFailed:
        before = len(self.client_events)
        self.client.request(message, self.now, read=read, **options)
        self.run(lambda: not self.client.busy)
        [outcome] = [e for e in self.client_events[before:] if isinstance(e, ResponseReceived | RequestFailed)]
        return outcome
