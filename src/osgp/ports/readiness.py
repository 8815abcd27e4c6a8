"""Which sockets of an event loop have something to read: asked for many of them at once. Project choice.

An event loop calls back for each socket by itself, with a handle and a context each time. With many ports in a process that is a good
part of the work for a datagram. Where the operating system lets one descriptor stand for many (epoll), the loop watches that one.
"""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Callable
from typing import Any
from weakref import WeakValueDictionary

__all__ = ["Readiness", "readiness_of"]

_MOST = 32
"""Sockets that are read before others get their turn."""


class Readiness:
    """Calls back while a socket has something to read, as ``loop.add_reader`` does; for any number of sockets of one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._callbacks: dict[int, Callable[[], object]] = {}
        self._epoll: Any = None
        self._then: list[Callable[[], object]] | None = None

    def add(self, made: socket.socket, callback: Callable[[], object]) -> None:
        """Watch a socket. Raises NotImplementedError where the loop watches no sockets (Windows, its default), OSError."""
        number = made.fileno()
        if not hasattr(select, "epoll"):
            self._loop.add_reader(number, callback)
            return
        if self._epoll is None:
            self._epoll = select.epoll()
            self._loop.add_reader(self._epoll.fileno(), self._ready)
        try:
            self._epoll.register(number, select.EPOLLIN)
        except OSError:
            self._rest()
            raise
        self._callbacks[number] = callback

    def remove(self, made: socket.socket) -> None:
        """Watch it no longer; before it is closed."""
        number = made.fileno()
        if not hasattr(select, "epoll"):
            self._loop.remove_reader(number)
            return
        if self._callbacks.pop(number, None) is None:
            return
        self._epoll.unregister(number)
        self._rest()

    def _rest(self) -> None:
        """Keep no descriptor for nobody."""
        if not self._callbacks:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()
            self._epoll = None

    def _ready(self) -> None:
        """Some sockets have something; those that are not read now are told again, behind the others."""
        if self._epoll is None:
            return
        callbacks = self._callbacks
        then: list[Callable[[], object]] = []
        self._then = then
        try:
            for number, _ in self._epoll.poll(0, _MOST):
                callback = callbacks.get(number)
                if callback is None:
                    continue  # closed by one before it
                try:
                    callback()
                except Exception as error:
                    self._loop.call_exception_handler({"message": "reading a socket failed", "exception": error})
        except BaseException:  # an interrupt: what was to be done then is done all the same, if the loop goes on
            for callback in then:
                self._loop.call_soon(callback)
            raise
        finally:
            self._then = None
        for callback in then:
            try:
                callback()
            except Exception as error:
                self._loop.call_exception_handler({"message": "a turn failed", "exception": error})

    def then(self, callback: Callable[[], object]) -> None:
        """Call back when the sockets that have something are read; soon, if none is being read."""
        if self._then is None:
            self._loop.call_soon(callback)
        else:
            self._then.append(callback)


_known: WeakValueDictionary[int, Readiness] = WeakValueDictionary()
"""By the identity of the event loop; an entry lasts as long as a socket of that loop."""


def readiness_of(loop: asyncio.AbstractEventLoop) -> Readiness:
    """The readiness that all datagram sockets of an event loop share."""
    found = _known.get(id(loop))
    if found is None:
        found = _known[id(loop)] = Readiness(loop)
    return found
