"""A simulated wire on an event loop: its machines among servers, clients and whatever else lives there. Project choice."""

from __future__ import annotations

import asyncio

from osgp.sim.wire import Wire

__all__ = ["run_live"]


async def run_live(wire: Wire, seconds: float | None = None) -> None:
    """Let the wire's time pass with the running loop's, for ``seconds`` and not a moment more, or until cancelled.

    A command from outside is ``wire.run(moment)``, ``stack.request(…, wire.now)``, ``wire.touch(port)``, with ``moment`` the wire's
    time: its time at the beginning and what has passed on the loop since.
    """
    loop = asyncio.get_running_loop()
    offset, end_s = loop.time() - wire.now, None if seconds is None else wire.now + seconds
    woken, reached = asyncio.Event(), wire.now
    wire.changed = woken.set
    try:
        while True:
            moment = max(reached, loop.time() - offset)
            wire.run(moment if end_s is None else min(moment, end_s))
            if end_s is not None and wire.now >= end_s:
                return
            dues = [due for due in (end_s, wire.deadline()) if due is not None]
            pause = max(0.0, min(dues) + offset - loop.time()) if dues else None
            try:
                await asyncio.wait_for(woken.wait(), pause)
            except TimeoutError:
                reached = min(dues)  # the loop may be a tick early, and the sum above a rounding
            woken.clear()
    finally:
        wire.changed = None
