"""A small device on TCP ports of its own, for the tests of ``osgp.open``; its clients' lines can be cut."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import osgp
from osgp.node.server import Port
from osgp.ports.lines import Line
from osgp.ports.serve import Server
from osgp.sim.clock import VirtualLoop
from osgp.wire.errors import PortClosed
from tests.access.doors import mep_server, optical_server
from tests.access.world import MAK, MK, World

OPTIONS: dict[str, dict[str, Any]] = {
    "optical+tcp": {"key": MK},
    "mep+tls+tcp": {"key": MAK, "insecure_lab": True},
    "mep+rc4+tcp": {"key": MAK, "insecure_lab": True, "legacy": True},
}


class Cutter:
    """Cuts the line of the next client that says something, once ``armed`` so many times."""

    def __init__(self) -> None:
        self.armed = 0
        self.cut = 0

    def wrap(self, line: Line) -> Line:
        return _CutLine(line, self)


class _CutLine:
    def __init__(self, line: Line, cutter: Cutter) -> None:
        self._line = line
        self._cutter = cutter
        self.name = line.name
        self.can_set_baud = False
        self.send, self.set_baud, self.close = line.send, line.set_baud, line.close

    async def receive(self, timeout_s: float | None) -> bytes:
        data = await self._line.receive(timeout_s)
        if data and self._cutter.armed:
            self._cutter.armed -= 1
            self._cutter.cut += 1
            await self._line.close()
            raise PortClosed("cut by the test")
        return data


class Site:
    """A world served over TCP on one loop; ``machines`` are those made so far, ``address(scheme)`` leads to them."""

    def __init__(self) -> None:
        self.world = World()
        self.machines: list[Any] = []
        self.cutter = Cutter()
        self.ports: dict[str, int] = {}
        self.servers: list[Server] = []
        self.events: list[Any] = []

    def _make(self, door: str) -> Any:
        port = Port("optical" if door == "optical" else "mep1")
        made = optical_server(self.world, port) if door == "optical" else mep_server(self.world, port)
        self.machines.append(made)
        return made

    async def start(self) -> Site:
        for door in ("optical", "mep"):
            server = Server(lambda door=door: self._make(door), wrap=self.cutter.wrap)  # type: ignore[misc]  # binds the loop's value
            self.servers.append(server)
            _, self.ports[door] = await server.tcp()
        return self

    async def stop(self) -> None:
        for server in self.servers:
            await server.close()

    def address(self, scheme: str) -> str:
        return f"{scheme}://127.0.0.1:{self.ports[scheme.partition('+')[0]]}"

    def open(self, scheme: str, **options: Any) -> Any:
        return osgp.open(self.address(scheme), **{**OPTIONS[scheme], "on_event": self.events.append, **options})


def on_site(test: Callable[[Site], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine beside a server, in time that jumps."""

    async def whole() -> None:
        site = await Site().start()
        try:
            await test(site)
        finally:
            await site.stop()

    loop = VirtualLoop("max")
    try:
        loop.run_until_complete(whole())
    finally:
        loop.close()


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never happened")
