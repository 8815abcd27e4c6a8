"""A client and a server on one line, on virtual time; the line can be told to spoil what passes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from osgp.c1218.events import AnswerReceived, OpenFailed, RequestFailed, SessionClosed, SessionOpened
from osgp.c1218.link import LinkTimers
from osgp.c1218.server import OpticalServer, ServerOptions
from osgp.c1218.session import OpticalClient
from osgp.tables.services import FullRead, FullWrite, PartialRead, PartialWrite, Request, ResponseCode

MK = b"0123456789abcdefghij"
RK = b"a key to read with  "

Fault = Callable[[str, bytes], list[tuple[float, bytes]]]
"""(to "server" or "client", bytes) → pieces with the seconds by which each comes late; order is kept."""


class Meter:
    """A table store that counts what is done to it."""

    def __init__(self) -> None:
        self.tables: dict[int, bytearray] = {0: bytearray(range(79)), 28: bytearray(40), 2048 + 50: bytearray(300)}
        self.writes: list[Request] = []
        self.reads: list[Request] = []

    def handle(self, request: Request, access: str, now: float) -> tuple[int, bytes | None]:
        if request.table not in self.tables:
            return ResponseCode.IAR, None
        if access == "open" and request.table not in (0, 1, 2051):
            return ResponseCode.ISC, None
        content = self.tables[request.table]
        match request:
            case FullRead():
                self.reads.append(request)
                return ResponseCode.OK, bytes(content)
            case PartialRead(_, offset, count):
                self.reads.append(request)
                return ResponseCode.OK, bytes(content[offset : offset + count]).ljust(count, b"\0")
            case FullWrite(_, data):
                offset = 0
            case PartialWrite(_, offset, data):
                pass
        if access != "MK":
            return ResponseCode.ISC, None
        self.writes.append(request)
        content[offset : offset + len(data)] = data
        return ResponseCode.OK, None

    @staticmethod
    def check_key(password: bytes) -> str | None:
        return {MK: "MK", RK: "RK"}.get(password)


def clean(_to: str, data: bytes) -> list[tuple[float, bytes]]:
    return [(0.0, data)]


class Pair:
    """Drives both machines. ``run`` until one of some events (or nothing more is to come before ``limit_s``)."""

    def __init__(
        self,
        *,
        fault: Fault = clean,
        options: ServerOptions | None = None,
        timers: LinkTimers | None = None,
        client: OpticalClient | None = None,
        echo: bool = False,
    ) -> None:
        self.meter = Meter()
        self.client = client or OpticalClient(timers=timers)
        self.server = OpticalServer(self.meter.handle, self.meter.check_key, options=options, timers=timers)
        self.fault = fault
        self.echo = echo
        self.now = 0.0
        self.client_events: list[Any] = []
        self.server_events: list[Any] = []
        self.sent: list[tuple[float, str, bytes]] = []
        self._flying: deque[tuple[float, str, bytes]] = deque()

    def _put(self, to: str, data: bytes) -> None:
        self.sent.append((self.now, to, data))
        if self.echo and to == "server":
            self._flying.append((self.now, "client", data))
        for late, piece in self.fault(to, data):
            last = max((moment for moment, other, _ in self._flying if other == to), default=0.0)
            self._flying.append((max(self.now + late, last), to, piece))

    def _exchange(self) -> bool:
        busy = False
        for machine, to in ((self.client, "server"), (self.server, "client")):
            data = machine.outgoing(self.now)
            if data:
                self._put(to, data)
                busy = True
        self.client_events += self.client.events()
        self.server_events += self.server.events()
        return busy

    def run(self, *until: type, limit_s: float = 600.0) -> Any:
        """The first of the events ``until`` that is new; None if ``limit_s`` passes before."""
        seen = len(self.client_events)
        end = self.now + limit_s
        for _ in range(200_000):
            busy = self._exchange()
            for event in self.client_events[seen:]:
                if isinstance(event, until):
                    return event
            seen = len(self.client_events)
            if busy:
                continue
            moments = [self.client.deadline(), self.server.deadline(), *(moment for moment, _, _ in self._flying)]
            due = min((moment for moment in moments if moment is not None), default=None)
            if due is None or due > end:
                self.now = end
                return None
            self.now = max(self.now, due)
            arrived = [item for item in self._flying if item[0] <= self.now]
            for item in arrived:
                self._flying.remove(item)
                (self.server if item[1] == "server" else self.client).receive(item[2], self.now)
            for machine in (self.client, self.server):
                deadline = machine.deadline()
                if deadline is not None and deadline <= self.now:
                    machine.wake(self.now)
        raise AssertionError("the machines never come to rest")

    def open(self, key: bytes | None = MK, packet_size: int = 64, packets: int = 2, baud: int = 9600) -> Any:
        self.client.open(1, "test", key, packet_size, packets, baud, now=self.now)
        return self.run(SessionOpened, OpenFailed)

    def ask(self, message: bytes, *, read: bool = True) -> Any:
        self.client.request(message, read, now=self.now)
        return self.run(AnswerReceived, RequestFailed)

    def close(self) -> Any:
        self.client.close(now=self.now)
        return self.run(SessionClosed)

    def of(self, side: str, kind: type) -> list[Any]:
        events = self.client_events if side == "client" else self.server_events
        return [event for event in events if isinstance(event, kind)]
