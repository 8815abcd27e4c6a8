"""A UDP socket that we read and write ourselves, for the datagram ports. Project choice.

An event loop's own datagram endpoint asks every socket that has something whether it has more: with many ports in a process, on each
of which one answer arrives at a time, half of its calls to the operating system find nothing.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

from osgp.ports.readiness import readiness_of

__all__ = ["DatagramSocket", "SocketProtocol"]

_BYTES = 65536
"""No datagram is longer."""
_MOST = 32
"""Datagrams read before others get their turn."""
_LONE = 8
"""Times in succession that a socket had one datagram, after which it is not asked for a second one ..."""
_PROBE = 64
"""... for so many times."""
_HIGH, _LOW = 65536, 16384
"""Bytes that wait for room in the socket, from which the protocol is told to pause, and down to which to resume (as in asyncio)."""
_EACH = 64
"""Bytes that each datagram which waits counts beside its own, so that there is a bound to the number of empty ones as well."""


class SocketProtocol(asyncio.DatagramProtocol):
    """What a protocol may want to know beyond asyncio's: which errors were its own datagrams'."""

    def send_failed(self, exc: Exception) -> None:
        """A datagram could not be sent; ``error_received`` is for what the network says of earlier ones."""
        self.error_received(exc)


class DatagramSocket(asyncio.DatagramTransport):
    """What ``loop.create_datagram_endpoint`` gives, for a bound socket that does not block.

    A ``SocketProtocol`` is told of errors in sending and in receiving apart, any other of both by ``error_received``.
    Raises NotImplementedError where the loop watches no sockets (Windows, its default), OSError.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, made: socket.socket, protocol: asyncio.DatagramProtocol
    ) -> None:
        super().__init__({"socket": made, "sockname": made.getsockname()})
        self._loop = loop
        self._socket = made
        self._protocol = protocol
        self._receive = made.recvfrom
        self._received = protocol.datagram_received
        self._send = made.sendto
        self._failed: Callable[[Exception], object] = getattr(protocol, "send_failed", protocol.error_received)
        self._lone = 0  # times in succession that there was one datagram
        self._assumed = 0  # times to come that it is assumed
        self._waiting: deque[tuple[bytes, Any]] = deque()
        self._waiting_bytes = 0
        self._paused = False
        self._closing = False
        self._ended = False
        self._readiness = readiness_of(loop)
        self._readiness.add(made, self._ready)
        try:
            protocol.connection_made(self)
        except BaseException:
            self._closing = self._ended = True
            self._readiness.remove(made)
            raise

    # ---- reading ---------------------------------------------------------------------------------------------------
    def _ready(self) -> None:
        """The socket has something."""
        if not self._assumed:
            self._read_many()
            return
        self._assumed -= 1
        receive, received = self._receive, self._received  # a call of what is no method is slower without a name
        try:
            data, source = receive(_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._protocol.error_received(error)
            return
        received(data, source)

    def _read_many(self) -> None:
        """Read until the socket is empty, or it is others' turn."""
        receive, received = self._receive, self._received
        for count in range(_MOST):
            if self._closing:
                return
            try:
                data, source = receive(_BYTES)
            except (BlockingIOError, InterruptedError):
                self._had(count)
                return
            except OSError as error:
                self._protocol.error_received(error)
                return
            received(data, source)
        self._had(_MOST)

    def _had(self, count: int) -> None:
        """So many datagrams were there; whether there is to be only one the next times is judged by that."""
        self._lone = self._lone + 1 if count < 2 else 0
        if self._lone >= _LONE:
            self._lone = _LONE - 1
            self._assumed = _PROBE

    # ---- writing ---------------------------------------------------------------------------------------------------
    def sendto(self, data: Any, addr: Any = None) -> None:
        """Send a datagram, now or when the socket has room; lost once it is closed. Raises ValueError for a wrong kind of address."""
        if not self._waiting:
            send = self._send
            try:
                send(data, addr)
                return
            except (BlockingIOError, InterruptedError):
                if self._closing:  # its end is planned, nobody would send it any more
                    return
                self._loop.add_writer(self._socket, self._writable)
            except OSError as error:
                if not self._ended:
                    self._failed(error)
                return
            except (TypeError, OverflowError) as error:
                raise ValueError(f"{addr!r} is no address for this socket: {error}") from error
        self._waiting.append((bytes(data), addr))
        self._waiting_bytes += len(data) + _EACH
        if self._waiting_bytes > _HIGH and not self._paused:
            self._paused = True
            self._protocol.pause_writing()

    def _writable(self) -> None:
        """The socket has room again."""
        waiting = self._waiting
        while waiting:
            data, addr = waiting.popleft()
            failed: Exception | None = None
            try:
                self._send(data, addr)
            except (BlockingIOError, InterruptedError):
                waiting.appendleft((data, addr))
                break
            except (OSError, TypeError, OverflowError) as error:
                failed = error
            self._waiting_bytes -= len(data) + _EACH
            if failed is not None:
                self._failed(failed)  # who is told may close this socket, or break it off
        if self._paused and self._waiting_bytes <= _LOW:
            self._paused = False
            self._protocol.resume_writing()
        if not waiting:
            self._loop.remove_writer(self._socket)
            if self._closing:
                self._loop.call_soon(self._end, None)

    # ---- closing ---------------------------------------------------------------------------------------------------
    def is_closing(self) -> bool:
        """Whether it is closed, or about to be."""
        return self._closing

    def close(self) -> None:
        """Read no more, and close when what waits is sent."""
        if self._closing:
            return
        self._closing = True
        self._readiness.remove(self._socket)
        if not self._waiting:
            self._loop.call_soon(self._end, None)

    def abort(self) -> None:
        """Close at once; what waits is lost, and nobody is asked for more."""
        self._paused = False
        if self._waiting:
            self._waiting.clear()
            self._waiting_bytes = 0
            self._loop.remove_writer(self._socket)
            if self._closing:
                self._loop.call_soon(self._end, None)
        self.close()

    def _end(self, error: Exception | None) -> None:
        if not self._ended:
            self._ended = True
            try:
                self._protocol.connection_lost(error)
            finally:
                self._loop.remove_writer(self._socket)  # left behind by a protocol that failed when told of an error
                self._socket.close()
