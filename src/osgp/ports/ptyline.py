"""The device's end of a new pseudo-terminal, as a line for the event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

from osgp.ports.edge import closed, edge
from osgp.ports.lines import READ_CHUNK
from osgp.wire.errors import PortClosed

__all__ = ["PtyLine"]

# A client that does not read for so long loses bytes, as it would on a UART.
_PATIENCE_S = 1.0


class PtyLine:
    """Makes a pty; `name` is the path that clients open as a serial port.

    The client's end is also kept open here, so that clients may come and go: like a real head, it does not notice.
    Raises `PortClosed` where the system gives no pty.
    """

    def __init__(self) -> None:
        try:
            import tty  # not on Windows

            self._master, self._slave = os.openpty()
        except (ImportError, AttributeError, OSError) as error:
            raise PortClosed("no pty can be had", hint="Use a TCP port: this system offers no (more) ptys.") from error
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._name = os.ttyname(self._slave)
        self._open = True

    @property
    def name(self) -> str:
        return self._name

    @property
    def can_set_baud(self) -> bool:
        """False: a pty carries bytes at any rate."""
        return False

    async def send(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            self._check_open("sending")
            with edge(self._name, "sending"):
                try:
                    rest = rest[os.write(self._master, rest) :]
                except BlockingIOError:
                    if not await self._ready("add_writer", "remove_writer", _PATIENCE_S):
                        return

    async def receive(self, timeout_s: float | None) -> bytes:
        while True:
            self._check_open("receiving")
            with edge(self._name, "receiving"):
                try:
                    data = os.read(self._master, READ_CHUNK)
                except BlockingIOError:
                    if not await self._ready("add_reader", "remove_reader", timeout_s):
                        return b""
                else:
                    if not data:
                        raise closed(self._name, "receiving")
                    return data

    async def set_baud(self, baud: int) -> None:
        """Nothing: a pty has no rate."""

    async def close(self) -> None:
        if self._open:
            self._open = False
            os.close(self._slave)
            os.close(self._master)

    def _check_open(self, doing: str) -> None:
        if not self._open:
            raise closed(self._name, doing)

    async def _ready(self, add: str, remove: str, timeout_s: float | None) -> bool:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        watch: Callable[..., Any] = getattr(loop, add)

        def happened() -> None:
            if not ready.done():
                ready.set_result(None)

        watch(self._master, happened)
        try:
            done, _ = await asyncio.wait([ready], timeout=timeout_s)
            return bool(done)
        finally:
            getattr(loop, remove)(self._master)
