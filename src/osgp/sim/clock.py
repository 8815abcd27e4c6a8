"""Virtual time: an asyncio event loop whose clock need not be the wall clock.

Everything above the machines asks one loop what time it is and when to wake. Exchange the loop, and a week of meter
life runs in the time that its callbacks need, in the same order, every time. Three speeds:

``"max"``
    When nothing is ready, the clock jumps to the next timer. For simulations that live in memory. Sockets and pipes are
    polled before every jump, so they work, but how much virtual time passes while a peer outside thinks is undefined.
a factor such as ``60``
    The clock runs that many times faster than the wall clock; sockets, pipes and signals are served as usual.
``1``
    The wall clock's pace.

The idea is trio's ``MockClock`` with ``autojump``; the way in is the one that asyncio leaves open: `loop.time` and the
selector's time-out. Nothing else of the loop is touched, so that the order of callbacks is asyncio's own.

Time inside is monotonic and begins at 0; `Clock` joins it with a calendar. Source of all of it: project choice.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import selectors
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from osgp.wire.errors import ConfigError, LocalProtocolError

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

__all__ = ["Clock", "Speed", "VirtualLoop", "parse_speed", "run_virtual"]

Speed = Literal["max"] | float

T = TypeVar("T")

# How long a worker thread may hold up a jump. Without a limit a thread that waits for the loop, which waits for a
# timer, would wait for ever; without any waiting, timers would overtake the thread in every run in another place.
_THREAD_PATIENCE_S = 1.0


def parse_speed(text: str) -> Speed:
    """Read a speed as people type it: ``max``, ``1``, ``60``, ``60x``, ``0.5``.

    Raises `ConfigError` for anything else, and for factors that are not above zero.
    """
    word = text.strip().lower()
    if word == "max":
        return "max"
    try:
        factor = float(word.removesuffix("x"))
    except ValueError:
        factor = math.nan
    return _checked(factor, text)


def _checked(factor: float, shown: object) -> float:
    if not (factor > 0 and math.isfinite(factor)):
        raise ConfigError(f"{shown!r} is not a speed", hint="Use 'max', or a factor above zero such as 1 or 60.")
    return float(factor)


class _TimeSelector(selectors.BaseSelector):
    """A real selector with another idea of how long a second is."""

    def __init__(self, speed: Speed) -> None:
        self._real = selectors.DefaultSelector()
        self._factor = math.inf if speed == "max" else _checked(speed, speed)
        self._virtual_s = 0.0
        self._started = time.monotonic()
        self.busy_threads = 0
        self.idle: Callable[[], None] | None = None

    def now(self) -> float:
        if self._factor == math.inf:
            return self._virtual_s
        return (time.monotonic() - self._started) * self._factor

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self._factor != math.inf:
            return self._real.select(None if timeout is None else timeout / self._factor)
        ready = self._real.select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self.busy_threads:
            ready = self._real.select(None if timeout is None else _THREAD_PATIENCE_S)
            if ready:
                return ready
        if timeout is None:
            if self.idle is not None and not self.busy_threads:
                self.idle()
            return self._real.select(None)
        # After long runs `now + timeout` may round back to `now`; a clock that stands still would spin for ever.
        self._virtual_s = max(self._virtual_s + timeout, math.nextafter(self._virtual_s, math.inf))
        return []

    def register(self, fileobj: FileDescriptorLike, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: FileDescriptorLike, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def close(self) -> None:
        self._real.close()

    def get_key(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        return self._real.get_key(fileobj)

    def get_map(self) -> Mapping[FileDescriptorLike, selectors.SelectorKey]:
        return self._real.get_map()


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio loop that runs at `speed`; see the module's text.

    With ``raise_when_idle`` (only at speed ``max``) a loop in which nothing can ever happen again (no timer, no socket,
    no thread) raises `LocalProtocolError` instead of sleeping for ever: in a simulation that is always a mistake.
    Work in `run_in_executor` holds the clock, for up to one real second at a time.

    Raises `ConfigError` for a speed that is not one.
    """

    # Until the base class has set up an instance: a loop refused for its speed has nothing to close.
    _closed = True

    def __init__(self, speed: Speed = "max", *, raise_when_idle: bool = False) -> None:
        self.speed = speed
        self._times = _TimeSelector(speed)
        super().__init__(self._times)
        # asyncio runs timers up to one clock tick early, and takes the tick from the wall clock: 1 ns. After 97 days a
        # float of seconds is coarser than that, and a timer for this very moment would never be due while time stands.
        self._clock_resolution = 1e-6
        self._own_files = len(self._times.get_map())
        if raise_when_idle:
            self._times.idle = self._refuse_to_wait

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._times.now()

    def _refuse_to_wait(self) -> None:
        if len(self._times.get_map()) > self._own_files:
            return
        raise LocalProtocolError(
            "every task waits, and no timer, socket or thread is left that could wake one",
            hint="Something awaits a message or an event that nobody will send; give the wait a time-out to see which.",
        )

    @contextlib.contextmanager
    def _holding_clock(self) -> Iterator[None]:
        self._times.busy_threads += 1
        try:
            yield
        finally:
            self._times.busy_threads -= 1

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]  # the stub's TypeVarTuple says nothing more
        future: asyncio.Future[T] = super().run_in_executor(executor, func, *args)
        self._times.busy_threads += 1
        future.add_done_callback(self._thread_done)
        return future

    def _thread_done(self, _future: asyncio.Future[Any]) -> None:
        self._times.busy_threads -= 1

    async def shutdown_default_executor(self, *args: Any, **kwargs: Any) -> None:
        with self._holding_clock():
            await super().shutdown_default_executor(*args, **kwargs)


class Clock:
    """The time of a simulation, as machines want it (monotonic seconds) and as calendars want it (UTC).

    ``start`` is the instant at which the clock is made; a naive datetime is refused with `ConfigError`, because nobody
    can tell which instant it means. Without ``start`` it is the wall clock's time, rounded down to the second.
    """

    __slots__ = ("_now", "_origin", "_start")

    def __init__(self, now: Callable[[], float], start: datetime | None = None) -> None:
        if start is None:
            start = datetime.now(UTC).replace(microsecond=0)
        if start.tzinfo is None:
            raise ConfigError("the start of a clock needs a time zone", hint="Write it like 2025-03-01T00:00:00Z.")
        self._now = now
        self._origin = now()
        self._start = start.astimezone(UTC)

    @classmethod
    def of_loop(cls, loop: asyncio.AbstractEventLoop | None = None, start: datetime | None = None) -> Clock:
        """The clock of ``loop`` (the running one when None), of any asyncio loop and at any speed."""
        return cls((loop or asyncio.get_running_loop()).time, start)

    @property
    def start(self) -> datetime:
        """The instant at which the clock was made, in UTC."""
        return self._start

    def now(self) -> float:
        """Monotonic seconds: what every ``now`` argument of a machine wants."""
        return self._now()

    def utc(self) -> datetime:
        """The present instant, aware, in UTC."""
        return self._start + timedelta(seconds=self._now() - self._origin)

    def epoch(self) -> float:
        """The present instant as UTC seconds since 1970-01-01."""
        return self._start.timestamp() + (self._now() - self._origin)

    def utc_at(self, now: float) -> datetime:
        """The instant that belongs to the monotonic second ``now``."""
        return self._start + timedelta(seconds=now - self._origin)

    def now_at(self, instant: datetime) -> float:
        """The monotonic second that belongs to ``instant`` (aware): for deadlines that are given as dates."""
        if instant.tzinfo is None:
            raise ConfigError("an instant needs a time zone", hint="Write it like 2025-03-01T00:00:00Z.")
        return self._origin + (instant - self._start).total_seconds()


def run_virtual(coro: Coroutine[Any, Any, T], *, speed: Speed = "max", debug: bool | None = None) -> T:
    """Run ``coro`` to its end in a fresh `VirtualLoop` and return its result: `asyncio.run` with another clock.

    Raises what the coroutine raises; `LocalProtocolError` when, at speed ``max``, nothing can ever happen again;
    `ConfigError` for a speed that is not one.
    """
    try:
        loop = VirtualLoop(speed, raise_when_idle=speed == "max")
    except ConfigError:
        coro.close()
        raise
    with asyncio.Runner(debug=debug, loop_factory=lambda: loop) as runner:
        return runner.run(coro)
