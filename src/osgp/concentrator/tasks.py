"""Coroutines without an event loop: a task parks on what it waits for, and the machine resumes it with the answer. Project choice.

Visits and jobs are coroutines, so that ``node.Device`` is used as it is; the concentrator is a machine with ``now`` as an argument.
This module joins both. Whatever a task waits for is a ``Wait``: it is given one answer or one error, once. ``Tasks.run`` resumes
who is ready, in the order in which their waits ended, until nobody is; nothing here reads a clock or draws a number::

    tasks = Tasks()

    async def visit():
        answer = await exchange  # any Wait
        await tasks.sleep(5)
        return answer

    task = tasks.start(visit(), now, name="visit 12")
    exchange.succeed(b"...")  # later, by the machine
    tasks.run(now)
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

from osgp.wire.errors import LocalProtocolError

__all__ = ["Cancelled", "Task", "Tasks", "Wait"]

T = TypeVar("T")


class Cancelled(BaseException):
    """Thrown into a task that is given up. No ``Exception``, so that no handler of errors keeps the task alive by mistake."""


class Wait(Generic[T]):
    """Something that tasks can wait for. Ends once: with ``succeed``, ``fail`` or ``drop``; what comes later is ignored."""

    __slots__ = ("_error", "_value", "_waiting", "is_done")

    def __init__(self) -> None:
        self.is_done = False
        self._value: T | None = None
        self._error: BaseException | None = None
        self._waiting: list[Callable[[Wait[T]], None]] | None = None

    def __await__(self) -> Generator[Wait[Any], None, T]:
        if not self.is_done:
            yield self
        return self.result()

    def succeed(self, value: T) -> None:
        """End with an answer."""
        self._end(value, None)

    def fail(self, error: BaseException) -> None:
        """End with an error, which is raised in whoever waits."""
        self._end(None, error)

    def drop(self) -> None:
        """Nobody waits any more: the owner of a wait may give up the work behind it. Does nothing here."""

    @property
    def error(self) -> BaseException | None:
        """The error it ended with, or None."""
        return self._error

    def result(self) -> T:
        """The answer. Raises the error it ended with, or LocalProtocolError while there is neither."""
        if self._error is not None:
            raise self._error
        if not self.is_done:
            raise LocalProtocolError("this wait has not ended yet", hint="await it, or look at is_done first")
        return self._value  # type: ignore[return-value]  # of type T once it is done

    @property
    def is_awaited(self) -> bool:
        """Whether somebody wants to be told of the end."""
        return bool(self._waiting)

    def when_done(self, callback: Callable[[Wait[T]], None]) -> None:
        """Have ``callback(self)`` called at the end; at once if that has come."""
        if self.is_done:
            callback(self)
        elif self._waiting is None:
            self._waiting = [callback]
        else:
            self._waiting.append(callback)

    def forget(self, callback: Callable[[Wait[T]], None]) -> None:
        """Take back ``when_done``. When nobody is left the wait is dropped."""
        waiting = self._waiting
        if waiting is not None and callback in waiting:
            waiting.remove(callback)
            if not waiting and not self.is_done:
                self.drop()

    def _end(self, value: T | None, error: BaseException | None) -> None:
        if self.is_done:
            return
        self.is_done = True
        self._value = value
        self._error = error
        waiting, self._waiting = self._waiting, None
        if waiting:
            for callback in waiting:
                callback(self)


class Task(Wait[T]):
    """A coroutine under way. Can be awaited as any ``Wait``; ``cancel`` ends it at the place where it is parked."""

    __slots__ = ("_parked", "_resume", "_tasks", "coroutine", "name")

    def __init__(self, tasks: Tasks, coroutine: Coroutine[Any, Any, T], name: str) -> None:
        super().__init__()
        self.name = name
        self.coroutine = coroutine
        self._tasks = tasks
        self._parked: Wait[Any] | None = None
        self._resume = self._ready  # one bound method, so that ``forget`` finds it

    def __repr__(self) -> str:
        return f"Task({self.name}, {'done' if self.is_done else 'under way'})"

    def _ready(self, wait: Wait[Any]) -> None:
        self._parked = None
        self._tasks.ready.append(self)

    def step(self, thrown: BaseException | None = None) -> None:
        """Go on until the next wait. Only ``Tasks`` calls this."""
        try:
            if thrown is None:
                wait = self.coroutine.send(None)
            else:
                wait = self.coroutine.throw(thrown)
        except StopIteration as end:
            self._tasks.over(self)
            self.succeed(end.value)
        except (Cancelled, Exception) as error:
            self._tasks.over(self)
            self.fail(error)
        except BaseException:
            self._tasks.over(self)
            raise
        else:
            if not isinstance(wait, Wait):
                self.step(
                    LocalProtocolError(
                        f"{self.name} waits for {wait!r:.60}, which is nothing of the machine's",
                        hint="await waits and tasks of osgp.concentrator.tasks; asyncio has no loop here",
                    )
                )
                return
            self._parked = wait
            wait.when_done(self._resume)

    def cancel(self) -> bool:
        """Throw ``Cancelled`` into it, at once; False if it is over. A task cannot cancel itself: it returns instead."""
        if self.is_done:
            return False
        parked, self._parked = self._parked, None
        if parked is not None:
            parked.forget(self._resume)
        elif self in self._tasks.ready:
            self._tasks.ready.remove(self)
        else:
            raise LocalProtocolError(f"{self.name} cannot cancel itself", hint="return from the coroutine instead")
        self.step(Cancelled())
        return True

    def drop(self) -> None:
        """Who waited for a task has gone: the task goes on, others may look at it."""


class Timer(Wait[None]):
    """Ends when its time has come."""

    __slots__ = ("due",)

    def __init__(self, due: float) -> None:
        super().__init__()
        self.due = due

    def drop(self) -> None:
        """Nobody waits for that moment any more."""
        self.succeed(None)


class _First(Wait[Wait[Any]]):
    """Ends with the first of others."""

    __slots__ = ("_found", "_others")

    def __init__(self, waits: tuple[Wait[Any], ...]) -> None:
        super().__init__()
        self._others = waits
        self._found = self._ended  # one bound method, so that ``forget`` finds it
        for wait in waits:
            if not self.is_done:
                wait.when_done(self._found)

    def _ended(self, wait: Wait[Any]) -> None:
        if not self.is_done:
            self.succeed(wait)
            self.drop()

    def drop(self) -> None:
        """Nobody waits for the others on our behalf any more."""
        for wait in self._others:
            wait.forget(self._found)


class Tasks:
    """All tasks of one machine. ``now`` is what ``run`` and ``start`` were last given; sleeps count from there.

    ``failed``: is told of a task that ended with an error while nobody waited for it (``Cancelled`` is no error).
    """

    def __init__(self, failed: Callable[[Task[Any], BaseException], None] | None = None) -> None:
        self.now = 0.0
        self.ready: deque[Task[Any]] = deque()
        self._failed = failed
        self._alive: dict[int, Task[Any]] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._sequence = 0
        self._running = False

    def __len__(self) -> int:
        return len(self._alive)

    def start(self, coroutine: Coroutine[Any, Any, T], now: float, *, name: str = "task") -> Task[T]:
        """Make a task. It begins with the next ``run``."""
        self.now = max(self.now, now)
        task = Task(self, coroutine, name)
        self._alive[id(task)] = task
        self.ready.append(task)
        return task

    def over(self, task: Task[Any]) -> None:
        """A task has ended. Only tasks call this."""
        self._alive.pop(id(task), None)
        if self._failed is not None and not task.is_awaited:
            task.when_done(self._look_at)

    def _look_at(self, task: Wait[Any]) -> None:
        error = task.error
        if self._failed is not None and error is not None and not isinstance(error, Cancelled):
            self._failed(task, error)  # type: ignore[arg-type]  # only tasks come here

    def sleep(self, seconds: float) -> Wait[None]:
        """A wait that ends so many seconds from now."""
        timer = Timer(self.now + max(0.0, seconds))
        heapq.heappush(self._timers, (timer.due, self._sequence, timer))
        self._sequence += 1
        return timer

    @staticmethod
    def first_of(*waits: Wait[Any]) -> Wait[Wait[Any]]:
        """A wait that ends with the first of these (the earlier named if several have ended); its answer is that wait.

        The others go on; a sleep or an exchange among them that nobody else waits for is dropped.
        """
        return _First(waits)

    def deadline(self) -> float | None:
        """When ``run`` has something to do; in the past if a task is ready."""
        if self.ready:
            return self.now
        timers = self._timers
        while timers and timers[0][2].is_done:
            heapq.heappop(timers)
        return timers[0][0] if timers else None

    def run(self, now: float) -> int:
        """Wake sleepers, resume who is ready, until nobody is. The number of resumptions. Does nothing inside itself."""
        self.now = max(self.now, now)
        if self._running:
            return 0
        self._running = True
        count = 0
        try:
            timers, ready = self._timers, self.ready
            while True:
                while timers and timers[0][0] <= self.now:
                    heapq.heappop(timers)[2].succeed(None)
                if not ready:
                    return count
                while ready:
                    ready.popleft().step()
                    count += 1
        finally:
            self._running = False

    def cancel_all(self) -> int:
        """Give up all tasks, the newest first; how many there were."""
        found = list(self._alive.values())[::-1]
        return sum(task.cancel() for task in found)
