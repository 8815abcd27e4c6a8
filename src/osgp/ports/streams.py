"""Lines for the event loop: serial, raw TCP and RFC 2217, all as one class over a reader and a writer."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

from osgp.ports.edge import closed, edge, foreign_errors, opening_error
from osgp.ports.lines import READ_CHUNK, Line, LineSpec
from osgp.ports.serialport import is_pty, load_serialx, pin, serialx_settings, serialx_url
from osgp.wire.errors import NoAnswer

__all__ = ["StreamLine", "keep_alive", "open_stream"]

_CLOSE_S = 2.0
# Two chunks may wait in the reader before it stops the sender: enough for the largest answer, and memory stays bounded.
_READER_LIMIT = 2 * READ_CHUNK


class StreamLine:
    """A line over asyncio streams. ``retune`` changes the rate of the far end's UART, where there is a way to."""

    def __init__(
        self,
        name: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        retune: Callable[[int], Awaitable[None]] | None = None,
        *,
        command_timeout_s: float = 10.0,
    ) -> None:
        self._name = name
        self._reader = reader
        self._writer = writer
        self._retune = retune
        self._command_timeout_s = command_timeout_s

    @property
    def name(self) -> str:
        return self._name

    @property
    def can_set_baud(self) -> bool:
        return self._retune is not None

    async def send(self, data: bytes) -> None:
        if self._reader.at_eof() or self._writer.is_closing():
            raise closed(self._name, "sending")
        with edge(self._name, "sending"):
            self._writer.write(data)
            await self._writer.drain()

    async def receive(self, timeout_s: float | None) -> bytes:
        limit = asyncio.timeout(timeout_s)
        with edge(self._name, "receiving"):
            try:
                async with limit:
                    data = await self._reader.read(READ_CHUNK)
            except TimeoutError:
                if not limit.expired():  # the network's own ETIMEDOUT has the same class
                    raise
                return b""
        if not data:
            raise closed(self._name, "receiving")
        return data

    async def set_baud(self, baud: int) -> None:
        if self._retune is None:
            return
        limit = asyncio.timeout(self._command_timeout_s)
        with edge(self._name, "changing the baud rate"):
            try:
                async with limit:
                    await self._retune(baud)
            except TimeoutError as error:
                if not limit.expired():
                    raise
                raise NoAnswer(f"{self._name} does not confirm {baud} baud", hint="Stay at the first rate.") from error

    async def close(self) -> None:
        self._writer.close()
        try:
            async with asyncio.timeout(_CLOSE_S):
                with suppress(*foreign_errors()):
                    await self._writer.wait_closed()
        except TimeoutError:  # the far end takes nothing more; what is unsent is lost
            self._writer.transport.abort()


async def open_stream(spec: LineSpec) -> Line:
    """Open a line for the running event loop; errors as `osgp.ports.lines.open_line`."""
    try:
        return await (_open_tcp(spec) if spec.kind == "tcp" else _open_serialx(spec))
    except foreign_errors() as error:
        serial = spec.kind == "serial"
        raise await asyncio.to_thread(opening_error, spec.name, spec.address, error, serial=serial) from error


async def _open_tcp(spec: LineSpec) -> Line:
    host, port = spec.host_port
    async with asyncio.timeout(spec.options.connect_timeout_s):
        reader, writer = await asyncio.open_connection(host, port, limit=_READER_LIMIT)
    keep_alive(writer.get_extra_info("socket"))
    return StreamLine(spec.name, reader, writer)


async def _open_serialx(spec: LineSpec) -> Line:
    serialx = await asyncio.to_thread(load_serialx)
    settings = serialx_settings(serialx, spec)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_READER_LIMIT)
    protocol = asyncio.StreamReaderProtocol(reader)
    async with asyncio.timeout(spec.options.connect_timeout_s):
        transport, _ = await serialx.create_serial_connection(loop, lambda: protocol, serialx_url(spec), **settings)
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        if spec.kind == "rfc2217" and (spec.options.rts is not None or spec.options.dtr is not None):
            # Over the network the library sets the pins only when told to.
            try:
                await transport.set_modem_pins(rts=pin(serialx, spec.options.rts), dtr=pin(serialx, spec.options.dtr))
            except BaseException:
                transport.abort()
                raise
    harmless = foreign_errors() if spec.kind == "serial" and is_pty(spec.address) else ()

    async def retune(baud: int) -> None:
        # A change throws away what is still in the port's buffers, so all must have left before.
        await transport.flush()
        if baud != transport.baudrate:
            with suppress(*harmless):
                await transport.reconfigure_port(baudrate=baud)

    return StreamLine(spec.name, reader, writer, retune, command_timeout_s=spec.options.connect_timeout_s)


def keep_alive(sock: socket.socket | None) -> None:
    """Let a TCP connection notice within about a minute that the far end lost its power; small messages leave at
    once.
    """
    if sock is None:
        return
    wishes = [
        (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
        (socket.IPPROTO_TCP, "TCP_NODELAY", 1),
        (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 30),
        (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 10),
        (socket.IPPROTO_TCP, "TCP_KEEPCNT", 3),
        (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", 60_000),
    ]
    for level, option, value in wishes:
        if hasattr(socket, option):  # not every system has every one
            with suppress(OSError):
                sock.setsockopt(level, getattr(socket, option), value)
