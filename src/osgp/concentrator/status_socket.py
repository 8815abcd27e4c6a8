"""The local door of a running concentrator: a Unix socket, one JSON object a line, for its owner alone (0600). Project choice.

A question is an object with ``do`` and what belongs to it; the answer is ``{"ok": true, "result": …}`` or ``{"ok": false, "error": …,
"hint": …}``, in order. With ``{"do": "events", "follow": true}`` one line follows for each event until the other side ends. The
socket is for programs of the same user (head-end, ``osgp concentrator …``): it has no keys to give, but it can give orders.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from osgp.wire.errors import ConfigError, Error, NoAnswer, PortClosed, StoreError

__all__ = ["Feed", "StatusSocket", "ask", "follow"]

MAX_LINE = 2 * 1024 * 1024
"""Bytes of a question: an image of 512 KiB in base64 fits."""
_MOST_CLIENTS = 16
_KEPT = 1000

Handler = Callable[[Mapping[str, Any]], Any]


class Feed:
    """The last 1000 events, numbered, and who listens to new ones."""

    def __init__(self) -> None:
        self._events: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        self._listeners: set[asyncio.Queue[dict[str, Any]]] = set()
        self._number = 0

    def add(self, kind: str, wall: float, **content: Any) -> None:
        """Something has happened."""
        self._number += 1
        event = {"number": self._number, "wall": round(wall, 3), "kind": kind, **content}
        self._events.append(event)
        for queue in list(self._listeners):
            try:
                queue.put_nowait(event)
            except asyncio.QueueFull:
                self._listeners.discard(queue)  # it does not read: it misses events and sees so by their numbers

    def after(self, number: int) -> list[dict[str, Any]]:
        """Events above a number, oldest first."""
        return [event for event in self._events if event["number"] > number]

    @contextlib.contextmanager
    def listen(self) -> Iterator[asyncio.Queue[dict[str, Any]]]:
        """A queue of events from now on."""
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(_KEPT)
        self._listeners.add(queue)
        try:
            yield queue
        finally:
            self._listeners.discard(queue)


class StatusSocket:
    """Answers questions with ``handler``, which raises our errors. ``refresh`` is called before events are told."""

    def __init__(self, path: Path, handler: Handler, feed: Feed, refresh: Callable[[], None] = lambda: None) -> None:
        self.path = path
        self.handler = handler
        self.feed = feed
        self.refresh = refresh
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[Any]] = set()

    async def open(self) -> None:
        """Listen. Raises ConfigError if somebody does already, PortClosed if the operating system refuses."""
        path = self.path
        if path.is_socket() and _is_alive(path):
            raise ConfigError(f"a concentrator is listening at {path} already", hint="end it, or name another socket")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_socket():
                path.unlink()  # of one that was killed
            made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            before = os.umask(0o177)
            try:
                made.bind(str(path))
            finally:
                os.umask(before)
            path.chmod(0o600)
            self._server = await asyncio.start_unix_server(self._client, sock=made, limit=MAX_LINE)
        except OSError as error:
            raise PortClosed(
                f"no socket at {path}: {error.strerror or error}", hint="a path has at most 107 bytes"
            ) from error

    async def close(self) -> None:
        """Listen no more; whoever is connected is let go."""
        if self._server is None:
            return
        self._server.close()
        for task in list(self._clients):
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        self._server = None
        with contextlib.suppress(OSError):
            self.path.unlink()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            if len(self._clients) > _MOST_CLIENTS:
                await _write(writer, _no("too many are connected", f"at most {_MOST_CLIENTS}"))
                return
            while True:
                try:
                    line = await reader.readuntil(b"\n")
                except asyncio.IncompleteReadError:
                    return
                except asyncio.LimitOverrunError:
                    await _write(writer, _no(f"a question has at most {MAX_LINE} bytes", ""))
                    return
                if not await self._answer(line, writer):
                    return
        except (ConnectionError, asyncio.CancelledError):
            return
        finally:
            self._clients.discard(task)
            writer.close()

    async def _answer(self, line: bytes, writer: asyncio.StreamWriter) -> bool:
        """Answer one question; False when that was the last."""
        try:
            asked = json.loads(line)
        except (ValueError, RecursionError):
            asked = None
        if not isinstance(asked, dict) or not isinstance(asked.get("do"), str):
            await _write(writer, _no("that is no question", 'one JSON object a line, as {"do": "status"}'))
            return True
        try:
            if asked["do"] == "events":
                return await self._events(asked, writer)
            found = {"ok": True, "result": self.handler(asked)}
        except Error as error:
            found = _no(error.message, error.hint)
        except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
            found = _no(
                f"the question cannot be understood: {type(error).__name__}", "look at the guide: data concentrator"
            )
        await _write(writer, found)
        return True

    async def _events(self, asked: Mapping[str, Any], writer: asyncio.StreamWriter) -> bool:
        after = asked.get("after", 0)
        if not isinstance(after, int):
            raise ConfigError("after is the number of an event")
        self.refresh()
        if not asked.get("follow"):
            await _write(writer, {"ok": True, "result": self.feed.after(after)})
            return True
        with self.feed.listen() as queue:
            for event in self.feed.after(after):
                await _write(writer, event)
            while True:
                await _write(writer, await queue.get())


def _no(error: str, hint: str) -> dict[str, Any]:
    return {"ok": False, "error": error, "hint": hint}


async def _write(writer: asyncio.StreamWriter, what: Any) -> None:
    writer.write(json.dumps(what).encode() + b"\n")
    await writer.drain()


def _is_alive(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as found:
        try:
            found.connect(str(path))
        except OSError:
            return False
    return True


# ---- the other side -----------------------------------------------------------------------------------------------------
def _connect(path: Path, timeout_s: float | None) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.settimeout(timeout_s)
    try:
        made.connect(str(path))
    except OSError as error:
        made.close()
        raise NoAnswer(
            f"no concentrator answers at {path}: {error.strerror or error}",
            hint="is `osgp concentrator run` under way? name its socket with --socket",
        ) from error
    return made


def ask(path: Path, do: str, *, timeout_s: float = 10.0, **what: Any) -> Any:
    """One question to a running concentrator; its result. Raises NoAnswer if none is there, ConfigError for what it refuses."""
    with _connect(path, timeout_s) as made:
        try:
            made.sendall(json.dumps({"do": do, **what}).encode() + b"\n")
            with made.makefile("rb") as lines:
                line = lines.readline()
        except OSError as error:
            raise NoAnswer(f"the concentrator at {path} does not answer: {error}") from error
    try:
        answer = json.loads(line)
    except ValueError as error:
        raise NoAnswer(f"the concentrator at {path} ended", hint="look at what it told before") from error
    if not answer.get("ok"):
        raise ConfigError(str(answer.get("error")), hint=str(answer.get("hint") or ""))
    return answer["result"]


def follow(path: Path, *, after: int = 0) -> Iterator[dict[str, Any]]:
    """Events of a running concentrator, as they come, until it ends. Raises NoAnswer."""
    with _connect(path, None) as made:
        made.sendall(json.dumps({"do": "events", "follow": True, "after": after}).encode() + b"\n")
        with made.makefile("rb") as lines:
            for line in lines:
                event = json.loads(line)
                if not isinstance(event, dict):
                    raise StoreError(f"{path} tells no events")
                yield event
