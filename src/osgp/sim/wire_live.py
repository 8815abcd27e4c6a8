"""A simulated wire on an event loop: its machines among servers, clients and whatever else lives there. Project choice."""

from __future__ import annotations

import asyncio
import contextlib

from osgp.sim.wire import Wire

__all__ = ["run_live"]


async def run_live(wire: Wire, seconds: float | None = None) -> None:
    """Let the wire's time pass with the running loop's, for ``seconds`` or until cancelled.

    A command from outside is ``wire.run(moment)``, ``stack.request(…, wire.now)``, ``wire.touch(port)``, with ``moment`` the wire's
    time: its time at the beginning and what has passed on the loop since.
    """
    loop = asyncio.get_running_loop()
    begun, offset = loop.time(), loop.time() - wire.now
    woken = asyncio.Event()
    wire.changed = woken.set
    try:
        while True:
            now = loop.time()
            wire.run(now - offset)
            left = None if seconds is None else begun + seconds - now
            if left is not None and left <= 0:
                return
            due = wire.deadline()
            pause = None if due is None else max(0.0, due + offset - loop.time())
            waits = [wait for wait in (left, pause) if wait is not None]
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), min(waits) if waits else None)
            woken.clear()
    finally:
        wire.changed = None
