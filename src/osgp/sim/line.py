"""Lines in memory, for tests and simulations, and the faults that real lines have.

`line_pair` joins two tasks of one event loop, on real or virtual time. `LoopbackLine` needs no loop at all: while the
client waits in ``receive``, the server machine is stepped in place on a `StepClock`, so that a conversation of a minute
takes microseconds. Both keep the pace of a UART (ten bits per byte, 8N1) and send each direction through a
`FaultyWire`, which any real line can also be given (`FaultyLine`).

Everything random comes from the ``random.Random`` handed in: the same seed gives the same faults. Project choice
throughout.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from osgp.ports.driver import Machine, baud_of
from osgp.ports.lines import Line
from osgp.wire.errors import ConfigError, LocalProtocolError, PortClosed

__all__ = ["FaultyLine", "FaultyWire", "Faults", "LoopbackLine", "SimLine", "StepClock", "line_pair"]

# What a receiver keeps when nobody reads; older bytes stay, newer are lost, as in a UART driver.
_RECEIVE_BUFFER = 65536
_FRUITLESS_WAKES = 1000


@dataclass(frozen=True, slots=True)
class Faults:
    """What a wire does wrong. Chances are per byte, 0 to 1.

    ``drop``: the byte is lost. ``double``: it comes twice. ``damage``: one bit of it flips. ``noise``: a random byte
    comes before it. ``delay``: it and what follows come ``delay_s`` seconds later. ``echo``: what an end sends also
    comes back to itself (one-wire heads). ``cut_after``: bytes in this direction after which the line is gone (None:
    never).
    """

    drop: float = 0.0
    double: float = 0.0
    damage: float = 0.0
    noise: float = 0.0
    delay: float = 0.0
    delay_s: float = 1.0
    echo: bool = False
    cut_after: int | None = None

    def __post_init__(self) -> None:
        for name in ("drop", "double", "damage", "noise", "delay"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name}={getattr(self, name)!r} is not a chance", hint="Give a number from 0 to 1.")
        if self.delay_s < 0:
            raise ConfigError(f"delay_s={self.delay_s!r} is below zero", hint="Give seconds.")


class FaultyWire:
    """One direction of a wire. ``carried`` counts the bytes that were sent into it."""

    def __init__(self, faults: Faults, rng: random.Random) -> None:
        self.faults = faults
        self.carried = 0
        self._rng = rng
        self._clean = not (faults.drop or faults.double or faults.damage or faults.noise or faults.delay)

    @property
    def is_cut(self) -> bool:
        return self.faults.cut_after is not None and self.carried >= self.faults.cut_after

    def carry(self, data: bytes) -> list[tuple[float, bytes]]:
        """What comes out at the far end, as (seconds later than usual, bytes), in order. After the cut: nothing."""
        if self.faults.cut_after is not None:
            data = data[: max(0, self.faults.cut_after - self.carried)]
        self.carried += len(data)
        if self._clean:
            return [(0.0, data)] if data else []
        faults, chance = self.faults, self._rng.random
        late_s = 0.0
        pieces: list[tuple[float, bytearray]] = [(late_s, bytearray())]
        for byte in data:
            if faults.delay and chance() < faults.delay:
                late_s += faults.delay_s
                pieces.append((late_s, bytearray()))
            out = pieces[-1][1]
            if faults.noise and chance() < faults.noise:
                out.append(self._rng.randrange(256))
            if faults.drop and chance() < faults.drop:
                continue
            if faults.damage and chance() < faults.damage:
                byte ^= 1 << self._rng.randrange(8)
            out.append(byte)
            if faults.double and chance() < faults.double:
                out.append(byte)
        return [(late, bytes(piece)) for late, piece in pieces if piece]


def _garbled(data: bytes, rng: random.Random) -> bytes:
    """What a UART at another rate makes of it: as many bytes, none of them right."""
    return bytes(byte ^ rng.randrange(1, 256) for byte in data)


class SimLine:
    """One end of an in-memory line; made by `line_pair`. Fulfils the line protocol on asyncio time.

    Once an end was closed or the wire cut, both ends raise `PortClosed`, after what had arrived before was received.
    """

    def __init__(self, name: str, baud: int, wire: FaultyWire, rng: random.Random) -> None:
        self._name = name
        self.baud = baud
        self._wire = wire
        self._rng = rng
        self._peer: SimLine = self
        self._free_at = 0.0
        self._arrived = bytearray()
        self._news = asyncio.Event()
        self._gone = False
        self._closed = False

    @property
    def name(self) -> str:
        return self._name

    @property
    def can_set_baud(self) -> bool:
        return True

    async def send(self, data: bytes) -> None:
        """Returns at once; the bytes arrive together when the last of them has passed."""
        if self._gone:
            raise PortClosed(f"{self._name} went away while sending: the line is cut")
        loop = asyncio.get_running_loop()
        now = loop.time()
        base = self._free_at = max(self._free_at, now) + len(data) * 10 / self.baud
        for late_s, piece in self._wire.carry(data):
            at = self._free_at = base + late_s  # order is kept: what follows a delayed byte is late, too
            loop.call_at(at, self._peer._take, piece, self.baud)
            if self._wire.faults.echo:
                loop.call_at(at, self._take, piece, self.baud)
        if self._wire.is_cut:
            loop.call_at(self._free_at, self._cut)

    def _take(self, data: bytes, baud: int) -> None:
        if self._gone:
            return
        if baud != self.baud:
            data = _garbled(data, self._rng)
        self._arrived += data[: _RECEIVE_BUFFER - len(self._arrived)]
        self._news.set()

    def _cut(self) -> None:
        for end in (self, self._peer):
            end._gone = True
            end._news.set()

    async def receive(self, timeout_s: float | None) -> bytes:
        if not self._arrived and not self._gone:
            self._news.clear()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._news.wait()
            except TimeoutError:
                return b""
        if not self._arrived or self._closed:
            raise PortClosed(f"{self._name} went away while receiving: the line is cut")
        data = bytes(self._arrived)
        self._arrived.clear()
        return data

    async def set_baud(self, baud: int) -> None:
        """Waits until all that was sent has left, as a UART must."""
        wait_s = self._free_at - asyncio.get_running_loop().time()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        self.baud = baud

    async def close(self) -> None:
        """What was sent before still arrives; then the other end hears that the line is gone."""
        self._closed = self._gone = True
        self._news.set()
        loop = asyncio.get_running_loop()
        loop.call_at(max(self._free_at, loop.time()), self._cut)


def line_pair(
    baud: int = 9600,
    *,
    rng: random.Random | None = None,
    there: Faults | None = None,
    back: Faults | None = None,
    names: tuple[str, str] = ("near end", "far end"),
) -> tuple[SimLine, SimLine]:
    """Two ends of a line in memory. ``there``: faults from the first end to the second; ``back``: the other way.

    ``rng`` is needed only with faults (or with ends at different rates); without it, seed 0.
    """
    rng = rng or random.Random(0)
    near = SimLine(names[0], baud, FaultyWire(there or Faults(), rng), rng)
    far = SimLine(names[1], baud, FaultyWire(back or Faults(), rng), rng)
    near._peer, far._peer = far, near
    return near, far


class FaultyLine:
    """Faults around any line of the event loop, for `osgp meter --faults`: ``out`` on what is sent, ``into`` on the
    rest.
    """

    def __init__(self, line: Line, out: Faults, into: Faults, rng: random.Random) -> None:
        self._line = line
        self._out = FaultyWire(out, rng)
        self._into = FaultyWire(into, rng)

    @property
    def name(self) -> str:
        return self._line.name

    @property
    def can_set_baud(self) -> bool:
        return self._line.can_set_baud

    async def send(self, data: bytes) -> None:
        passed_s = 0.0
        for late_s, piece in self._out.carry(data):
            await asyncio.sleep(late_s - passed_s)
            passed_s = late_s
            await self._line.send(piece)
        await self._end_if_cut(self._out)

    async def receive(self, timeout_s: float | None) -> bytes:
        loop = asyncio.get_running_loop()
        until = None if timeout_s is None else loop.time() + timeout_s
        while True:
            data = await self._line.receive(None if until is None else max(0.0, until - loop.time()))
            pieces = self._into.carry(data)
            if pieces and pieces[-1][0]:
                await asyncio.sleep(pieces[-1][0])
            arrived = b"".join(piece for _, piece in pieces)
            if arrived and self._into.faults.echo:
                await self._line.send(arrived)
            if arrived or not data:
                return arrived
            await self._end_if_cut(self._into)

    async def set_baud(self, baud: int) -> None:
        await self._line.set_baud(baud)

    async def close(self) -> None:
        await self._line.close()

    async def _end_if_cut(self, wire: FaultyWire) -> None:
        if wire.is_cut:
            await self._line.close()
            raise PortClosed(f"{self.name} went away: the simulated wire is cut")


class StepClock:
    """Monotonic seconds that pass only when told to; call it for the time."""

    def __init__(self, start: float = 0.0) -> None:
        self.now = start

    def __call__(self) -> float:
        return self.now

    def advance_to(self, moment: float) -> None:
        """Never goes backwards."""
        self.now = max(self.now, moment)


class LoopbackLine:
    """A client's line whose far end is ``server``, a machine stepped in place. Never suspends: made for ``run_sync``.

    Time is ``clock``: it advances while the client waits in `receive`, to the next thing that happens (bytes arrive,
    the server wants to wake) and at most to the time-out. ``there`` are the faults from client to server, ``back``
    the other way; ``on_event`` sees the server's events. Bytes that left the client earlier than a fault cut the wire
    still arrive. The server's ``BaudChanged`` changes the rate of its end.
    """

    def __init__(
        self,
        server: Machine,
        clock: StepClock,
        *,
        baud: int = 9600,
        there: Faults | None = None,
        back: Faults | None = None,
        rng: random.Random | None = None,
        on_event: Callable[[Any], None] | None = None,
        name: str = "loopback",
    ) -> None:
        self.server = server
        self.clock = clock
        self.baud = baud
        self.server_baud = baud
        self._rng = rng or random.Random(0)
        self._there = FaultyWire(there or Faults(), self._rng)
        self._back = FaultyWire(back or Faults(), self._rng)
        self._on_event = on_event
        self._name = name
        self._flying: list[tuple[float, int, bool, bytes, int]] = []
        self._count = 0
        self._there_free_at = -math.inf
        self._back_free_at = -math.inf
        self._arrived = bytearray()
        self._closed = False

    @property
    def name(self) -> str:
        return self._name

    @property
    def can_set_baud(self) -> bool:
        return True

    async def send(self, data: bytes) -> None:
        self._check("sending")
        self._there_free_at = self._fly(data, self._there, self._there_free_at, self.baud, to_server=True)

    async def receive(self, timeout_s: float | None) -> bytes:
        until = math.inf if timeout_s is None else self.clock.now + max(0.0, timeout_s)
        fruitless = 0
        while True:
            self._server_speaks()
            if self._arrived:
                data = bytes(self._arrived)
                self._arrived.clear()
                return data
            self._check("receiving")
            due = self.server.deadline()
            landing = self._flying[0][0] if self._flying else math.inf
            following = min(landing, math.inf if due is None else due)
            if following == until == math.inf:
                raise LocalProtocolError(
                    f"{self._name}: the client waits for ever and the server has nothing to say",
                    hint="Give the wait a time-out.",
                )
            if following > until:
                self.clock.advance_to(until)
                return b""
            fruitless = fruitless + 1 if following <= self.clock.now else 0
            if fruitless > _FRUITLESS_WAKES:
                raise LocalProtocolError(f"{type(self.server).__name__} asks to be woken for ever")
            self.clock.advance_to(following)
            if landing <= following:
                self._land()
            else:
                self.server.wake(self.clock.now)

    async def set_baud(self, baud: int) -> None:
        self.clock.advance_to(self._there_free_at)
        self.baud = baud

    async def close(self) -> None:
        self._closed = True

    def _check(self, doing: str) -> None:
        if self._closed or ((self._there.is_cut or self._back.is_cut) and not self._flying):
            raise PortClosed(f"{self._name} went away while {doing}: the line is cut")

    def _fly(self, data: bytes, wire: FaultyWire, free_at: float, baud: int, *, to_server: bool) -> float:
        free_at = max(free_at, self.clock.now) + len(data) * 10 / baud
        base = free_at
        for late_s, piece in wire.carry(data):
            free_at = base + late_s
            for target in (to_server, not to_server) if wire.faults.echo else (to_server,):
                self._count += 1
                heapq.heappush(self._flying, (free_at, self._count, target, piece, baud))
        return free_at

    def _land(self) -> None:
        _, _, to_server, data, baud = heapq.heappop(self._flying)
        if baud != (self.server_baud if to_server else self.baud):
            data = _garbled(data, self._rng)
        if to_server:
            self.server.receive(data, self.clock.now)
        else:
            self._arrived += data[: _RECEIVE_BUFFER - len(self._arrived)]

    def _server_speaks(self) -> None:
        while True:
            data = self.server.outgoing(self.clock.now)
            if data:
                self._back_free_at = self._fly(data, self._back, self._back_free_at, self.server_baud, to_server=False)
            events = self.server.events()
            for event in events:
                if self._on_event is not None:
                    self._on_event(event)
                self.server_baud = baud_of(event) or self.server_baud
            if not data and not events:
                return
