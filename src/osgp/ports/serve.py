"""Servers: protocol machines offered on TCP ports and on new ptys, as if each were an optical head or an MEP plug.

One client at a time on each port, as on the real thing. A second TCP connection takes the port over (``replace``, the
default) or is closed at once (``refuse``). Taking over is the default because a client that lost its power leaves a
dead connection behind, and a port that refuses would be locked until TCP notices. Project choice from end to end.

Memory is bounded: one chunk is read at a time, the sockets' buffers are small, and each machine bounds its own.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from osgp.ports.driver import Driver, Machine, Tap
from osgp.ports.lines import READ_CHUNK, Line
from osgp.ports.ptyline import PtyLine
from osgp.ports.streams import StreamLine, keep_alive
from osgp.wire.errors import Error, PortClosed

__all__ = ["PacedLine", "Server"]

log = logging.getLogger(__name__)

# After a machine failed on a pty (which has no connection that could end), before a new one takes its place.
_RESTART_S = 0.2


class PacedLine:
    """Another line at the pace of a UART: ten bits per byte (8N1) at ``baud``, both ways."""

    def __init__(self, line: Line, baud: int) -> None:
        self._line = line
        self.baud = baud

    @property
    def name(self) -> str:
        return self._line.name

    @property
    def can_set_baud(self) -> bool:
        return True

    async def send(self, data: bytes) -> None:
        step = max(1, self.baud // 200)  # pieces of some 50 ms
        for start in range(0, len(data), step):
            piece = data[start : start + step]
            await asyncio.sleep(len(piece) * 10 / self.baud)
            await self._line.send(piece)

    async def receive(self, timeout_s: float | None) -> bytes:
        data = await self._line.receive(timeout_s)
        await asyncio.sleep(len(data) * 10 / self.baud)
        return data

    async def set_baud(self, baud: int) -> None:
        self.baud = baud
        await self._line.set_baud(baud)

    async def close(self) -> None:
        await self._line.close()


class _Port:
    """What one TCP port or pty remembers: who uses it, and the machine that served last."""

    def __init__(self) -> None:
        self.user: asyncio.Task[None] | None = None
        self.machine: Machine | None = None


class Server:
    """Offers machines to clients. ``make_machine`` is called for each connection; returning the same one each time
    makes a device that remembers its state between them.

    ``clock``: monotonic seconds (default: the running loop's). ``baud``: emulate the pace of a UART (default: as fast
    as it goes). ``wrap``: put something around each line, such as faults. ``tap``, ``on_event``: see `Driver`;
    ``on_event`` gets the machine first. Use it as ``async with Server(...) as server: host, port = await
    server.tcp()``.
    """

    def __init__(
        self,
        make_machine: Callable[[], Machine],
        *,
        clock: Callable[[], float] | None = None,
        when_taken: Literal["replace", "refuse"] = "replace",
        baud: int | None = None,
        wrap: Callable[[Line], Line] | None = None,
        tap: Tap | None = None,
        on_event: Callable[[Machine, Any], None] | None = None,
    ) -> None:
        self._make_machine = make_machine
        self._clock = clock
        self._when_taken = when_taken
        self._baud = baud
        self._wrap = wrap
        self._tap = tap
        self._on_event = on_event
        self._listeners: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._links: list[Path] = []

    async def __aenter__(self) -> Server:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.close()

    async def tcp(self, host: str = "127.0.0.1", port: int = 0) -> tuple[str, int]:
        """Listen on a TCP port (0: a free one) and return its address. Raises `PortClosed` if it cannot be had."""
        place = _Port()

        def arrived(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._start(self._connected(place, reader, writer))

        try:
            listener = await asyncio.start_server(arrived, host, port, limit=READ_CHUNK)
        except OSError as error:
            raise PortClosed(
                f"cannot listen on {host}:{port}: {error.strerror or error}",
                hint="Another program may hold the port: choose another one, or 0 for any free one.",
            ) from error
        self._listeners.append(listener)
        address = listener.sockets[0].getsockname()
        return str(address[0]), int(address[1])

    async def pty(self, link: str | os.PathLike[str] | None = None) -> str:
        """Make a new pty and return the path for clients. ``link``: a symbolic link to it, a name that stays the same.

        Raises `PortClosed` if the system gives no pty, or the link cannot be made.
        """
        line = PtyLine()
        if link is not None:
            place = Path(link)
            try:
                if place.is_symlink():
                    place.unlink()
                place.symlink_to(line.name)
            except OSError as error:
                await line.close()
                raise PortClosed(f"cannot make the link {place}: {error.strerror or error}") from error
            self._links.append(place)
        self._start(self._serve_pty(line))
        return line.name

    async def close(self) -> None:
        """Stop listening, end all connections, give ptys back and remove links."""
        for listener in self._listeners:
            listener.close()
        while self._tasks:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        for listener in self._listeners:
            await listener.wait_closed()
        self._listeners.clear()
        for link in self._links:
            with suppress(OSError):
                link.unlink()
        self._links.clear()

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connected(self, port: _Port, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        keep_alive(writer.get_extra_info("socket"))
        peer = writer.get_extra_info("peername") or ("?", 0)
        line = StreamLine(f"tcp {peer[0]}:{peer[1]}", reader, writer)
        try:
            before = port.user
            if before is not None and not before.done():
                if self._when_taken == "refuse":
                    log.info("%s refused: the port is in use", line.name)
                    return
                before.cancel()
                port.user = asyncio.current_task()
                await asyncio.wait([before])
            port.user = asyncio.current_task()
            await self._serve(port, line)
        finally:
            await line.close()

    async def _serve_pty(self, line: PtyLine) -> None:
        port = _Port()
        try:
            while await self._serve(port, line):
                await asyncio.sleep(_RESTART_S)
        finally:
            await line.close()

    async def _serve(self, port: _Port, bare: Line) -> bool:
        """Serve one line to its end; False when the line went away, True when only the machine failed."""
        line: Line = bare if self._baud is None else PacedLine(bare, self._baud)
        if self._wrap is not None:
            line = self._wrap(line)
        clock = self._clock or asyncio.get_running_loop().time
        machine = self._make_machine()
        if machine is port.machine:
            # What it said while nobody listened is lost, as on a real line.
            now = clock()
            machine.wake(now)
            machine.outgoing(now)
        port.machine = machine
        on_event = self._on_event
        driver = Driver(
            line,
            machine,
            clock,
            tap=self._tap,
            on_event=None if on_event is None else lambda event: on_event(machine, event),
        )
        try:
            await driver.run()
        except PortClosed as gone:
            log.debug("%s", gone)
            return False
        except Error:
            log.warning("the machine on %s gave up", line.name, exc_info=True)
        except Exception:  # a fault of ours in one machine must not take the other ports along
            log.exception("the machine on %s failed", line.name)
        return True
