"""The driver: one machine on one line. It knows the time and nothing of the protocol; the machine knows the rest.

One loop serves every machine (optical or MEP, client or server) on every line: in the event loop, blocking through
`osgp.tables.access.run_sync`, or in memory on virtual time. Project choice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

from osgp.ports.lines import Line
from osgp.wire.errors import LocalProtocolError, NoAnswer

__all__ = ["Driver", "Machine", "Tap", "Wanted", "baud_of"]

Tap = Callable[[float, Literal["in", "out"], bytes], None]
"""Sees every piece of bytes as it passes the line: monotonic seconds, direction as our side sees it, the bytes."""

Wanted = type | tuple[type, ...] | Callable[[Any], bool]
"""Which event ends the wait: a class, several, or a question with the answer yes or no."""

# A machine that asks to be woken at once, over and over, without doing anything, would hang the program.
_FRUITLESS_WAKES = 1000


class Machine(Protocol):
    """The five verbs of every protocol core."""

    def receive(self, data: bytes, now: float) -> None: ...
    def events(self) -> Sequence[Any]: ...
    def outgoing(self, now: float) -> bytes: ...
    def deadline(self) -> float | None: ...
    def wake(self, now: float) -> None: ...


def baud_of(event: object) -> int | None:
    """The rate (bits per second) that the line takes from now on, if that is what ``event`` says.

    Floor 1 has no common base for events, so the name decides: ``BaudChanged`` with an attribute ``baud``.
    """
    return event.baud if type(event).__name__ == "BaudChanged" and hasattr(event, "baud") else None


class Driver:
    """Drives ``machine`` over ``line``; ``clock`` gives monotonic seconds (``time.monotonic``, a loop's ``time``).

    ``tap`` sees all bytes. ``on_event`` sees every event once, in order, before anybody waits for it and before more is
    sent: the place to save a sequence number. ``BaudChanged(baud)`` changes the line's rate, after all that the machine
    said before it has left.
    """

    def __init__(
        self,
        line: Line,
        machine: Machine,
        clock: Callable[[], float],
        *,
        tap: Tap | None = None,
        on_event: Callable[[Any], None] | None = None,
    ) -> None:
        self.line = line
        self.machine = machine
        self.clock = clock
        self._tap = tap
        self._on_event = on_event
        self._waiting: deque[Any] = deque()

    async def flush(self) -> None:
        """Send all that the machine has to send now, and take its events. Raises `PortClosed`."""
        while True:
            now = self.clock()
            data = self.machine.outgoing(now)
            if data:
                if self._tap is not None:
                    self._tap(now, "out", data)
                await self.line.send(data)
            events = self.machine.events()
            for event in events:
                self._waiting.append(event)
                if self._on_event is not None:
                    self._on_event(event)
                baud = baud_of(event)
                if baud is not None:
                    await self.line.set_baud(baud)
            if not data and not events:
                return

    async def pump_until(self, wanted: Wanted, *, timeout_s: float | None = None) -> Any:
        """Run until a wanted event comes, and return it; those before it are over, those after it wait for the next.

        Raises `PortClosed` (the line went away), `NoAnswer` after ``timeout_s`` seconds (None: the machine's own
        time-outs rule), `LocalProtocolError` (the machine spins). Cancelling it loses no byte that arrived.
        """
        limit = None if timeout_s is None else self.clock() + timeout_s
        fruitless = 0
        while True:
            await self.flush()
            while self._waiting:
                event = self._waiting.popleft()
                if isinstance(event, wanted) if isinstance(wanted, type | tuple) else wanted(event):
                    return event
            now = self.clock()
            due = self.machine.deadline()
            if due is not None and due <= now:
                self.machine.wake(now)
                fruitless += 1
                if fruitless > _FRUITLESS_WAKES:
                    raise LocalProtocolError(f"{type(self.machine).__name__} asks to be woken at {due} for ever")
                continue
            if limit is not None and limit <= now:
                raise NoAnswer(f"nothing usable came from {self.line.name} within {timeout_s:g} s")
            ends = [moment for moment in (due, limit) if moment is not None]
            data = await self.line.receive(min(ends) - now if ends else None)
            fruitless = 0
            if data:
                now = self.clock()
                if self._tap is not None:
                    self._tap(now, "in", data)
                self.machine.receive(data, now)

    async def run(self) -> None:
        """Serve until the line goes away: raises `PortClosed`. For servers, and for clients that only listen."""
        await self.pump_until(_never)


def _never(_event: object) -> bool:
    return False
