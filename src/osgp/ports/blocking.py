"""Lines without an event loop: the same ``async def``s, which block instead of suspending (see `osgp.ports.lines`)."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

from osgp.ports.edge import closed, edge, foreign_errors, opening_error
from osgp.ports.lines import READ_CHUNK, Line, LineSpec
from osgp.ports.serialport import is_pty, load_serialx, pin, serialx_settings, serialx_url
from osgp.ports.streams import keep_alive
from osgp.wire.errors import Error

__all__ = ["BlockingSerialLine", "BlockingTcpLine", "open_blocking"]

# A port that takes no bytes for so long is gone (flow control is off).
_SEND_S = 10.0


class BlockingTcpLine:
    """Raw TCP over a connected socket."""

    def __init__(self, name: str, sock: socket.socket) -> None:
        self._name = name
        self._socket = sock

    @property
    def name(self) -> str:
        return self._name

    @property
    def can_set_baud(self) -> bool:
        return False

    async def send(self, data: bytes) -> None:
        with edge(self._name, "sending"):
            self._socket.settimeout(_SEND_S)
            self._socket.sendall(data)

    async def receive(self, timeout_s: float | None) -> bytes:
        with edge(self._name, "receiving"):
            self._socket.settimeout(None if timeout_s is None else max(0.0, timeout_s))
            try:
                data = self._socket.recv(READ_CHUNK)
            except BlockingIOError:
                return b""
            except TimeoutError as error:
                if error.errno is not None:  # the network's own ETIMEDOUT, not our limit
                    raise
                return b""
        if not data:
            raise closed(self._name, "receiving")
        return data

    async def set_baud(self, baud: int) -> None:
        """Nothing: raw TCP has no way to say it."""

    async def close(self) -> None:
        self._socket.close()


class BlockingSerialLine:
    """A port of the serial library: local, pty or RFC 2217."""

    def __init__(self, name: str, port: Any, *, pty: bool = False) -> None:
        self._name = name
        self._port = port
        self._pty = pty
        self._buffer = bytearray(READ_CHUNK)

    @property
    def name(self) -> str:
        return self._name

    @property
    def can_set_baud(self) -> bool:
        return True

    def _check_open(self, doing: str) -> None:
        if not self._port.is_open:
            raise closed(self._name, doing)

    async def send(self, data: bytes) -> None:
        self._check_open("sending")
        with edge(self._name, "sending"):
            self._port.write(data, timeout=_SEND_S)

    async def receive(self, timeout_s: float | None) -> bytes:
        self._check_open("receiving")
        with edge(self._name, "receiving"):
            if timeout_s is not None:
                count = self._port.readinto(self._buffer, timeout=max(0.0, timeout_s))
            else:
                count = 0
                while not count:  # the library's own None means its default, which is not "for ever" here
                    count = self._port.readinto(self._buffer, timeout=60.0)
        return bytes(self._buffer[:count])

    async def set_baud(self, baud: int) -> None:
        self._check_open("changing the baud rate")
        with edge(self._name, "changing the baud rate"):
            self._port.flush()
            if baud != self._port.baudrate:
                with suppress(*(foreign_errors() if self._pty else ())):
                    self._port.reconfigure_port(baudrate=baud)

    async def close(self) -> None:
        with suppress(*foreign_errors()):
            self._port.close()


def open_blocking(spec: LineSpec) -> Line:
    """Open a line that blocks; errors as `osgp.ports.lines.open_line`."""
    try:
        return _open_tcp(spec) if spec.kind == "tcp" else _open_serialx(spec)
    except foreign_errors() as error:
        raise _opening(spec, error) from error


def _opening(spec: LineSpec, error: Exception) -> Error:
    return opening_error(spec.name, spec.address, error, serial=spec.kind == "serial")


def _open_tcp(spec: LineSpec) -> Line:
    sock = socket.create_connection(spec.host_port, timeout=spec.options.connect_timeout_s)
    keep_alive(sock)
    return BlockingTcpLine(spec.name, sock)


def _open_serialx(spec: LineSpec) -> Line:
    serialx = load_serialx()
    settings = serialx_settings(serialx, spec)
    if spec.kind == "rfc2217":
        # These bound the library's waits for the server's confirmations; our reads bring their own limit.
        settings |= {"read_timeout": spec.options.connect_timeout_s, "write_timeout": spec.options.connect_timeout_s}
    port = serialx.serial_for_url(serialx_url(spec), **settings)
    port.open()
    if spec.kind == "rfc2217" and (spec.options.rts is not None or spec.options.dtr is not None):
        try:
            port.set_modem_pins(rts=pin(serialx, spec.options.rts), dtr=pin(serialx, spec.options.dtr))
        except foreign_errors():
            port.close()
            raise
    return BlockingSerialLine(spec.name, port, pty=spec.kind == "serial" and is_pty(spec.address))
