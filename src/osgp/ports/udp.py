"""UDP: a machine of the control network on a datagram socket, in the event loop that runs, without a task per message.

A datagram goes through the carrier (``lon.lonip``, ``lon.cnip``) into the machine; what the machine then has to say goes out at once;
its events go to whoever awaits them or to a callback; one timer stands for its deadline. ``lonip_port`` and ``cnip_port`` hold the
two kinds. Project choice throughout.
"""

from __future__ import annotations

import asyncio
import errno
import importlib
import ipaddress
import os
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, NamedTuple, Protocol, Self, cast

from osgp.lon.address import Destination
from osgp.lon.events import Dropped, ResponseReceived, TransactionCompleted, TransactionFailed
from osgp.lon.lonip_map import Endpoint
from osgp.lon.packet import Packet
from osgp.lon.proxy import Hop
from osgp.ports.datagram_socket import DatagramSocket, SocketProtocol
from osgp.ports.turns import MOST, turn_of
from osgp.wire.errors import ConfigError, Error, NoAnswer, PortClosed

__all__ = ["Answer", "DatagramPort", "DatagramTap", "PacketMachine", "PortStatistics", "bound_socket", "new_event_loop"]

DatagramTap = Callable[[float, Literal["in", "out"], bytes, Endpoint], None]
"""Sees every datagram: the loop's seconds, direction as our side sees it, its bytes, the other side's endpoint."""

_SHORTEST_WAIT_S = 0.001
"""A machine that wants to be woken again and again, at once, does not keep others from their turn."""
_SHOWN = 64
_ROUNDS = 32
"""Rounds of events and packets before others get their turn."""

Write = Callable[[Packet, float], tuple[bytes, tuple[Endpoint, ...]]]
"""Makes a packet's datagram and says where it goes. Raises our errors."""


class PacketMachine(Protocol):
    """The five verbs of a node, with packets in place of bytes (``osgp.node.stack.Stack``)."""

    def receive(self, packet: Packet, now: float) -> None: ...
    def events(self) -> Sequence[Any]: ...
    def outgoing(self, now: float) -> Sequence[Packet]: ...
    def deadline(self) -> float | None: ...
    def wake(self, now: float) -> None: ...


class Alarm(Protocol):
    """What a machine may have as ``alarm``: while ``news`` is the same number, nothing is due before what ``deadline`` said."""

    news: int


class Asking(PacketMachine, Protocol):
    """A machine with the commands that a port passes on."""

    def request(self, destination: Destination, apdu: bytes, now: float, *args: Any) -> int: ...
    def request_via(self, hops: Sequence[Hop], target: Destination, apdu: bytes, now: float, *args: Any) -> int: ...
    def respond(self, reply: int, apdu: bytes | None, now: float) -> bool: ...
    def cancel(self, handle: int, now: float) -> bool: ...


class Answer(NamedTuple):
    """How a request ended: the responses (several from a group), and how often it was sent."""

    responses: tuple[ResponseReceived, ...]
    attempts: int

    @property
    def apdu(self) -> bytes:
        """The first response; no bytes when the request was closed without one."""
        return self.responses[0].apdu if self.responses else b""


@dataclass(slots=True)
class PortStatistics:
    """Counters of a port, in datagrams.

    ``dropped``: received and of no use. ``unsent``: could not be said, or the socket had no room. ``unrouted``: packets for which
    nobody is known to listen. ``refused``: errors that the network sent back for earlier ones (nobody listens there, no way there).
    """

    received: int = 0
    sent: int = 0
    dropped: int = 0
    unsent: int = 0
    unrouted: int = 0
    refused: int = 0


class _Waiting:
    """Somebody who awaits the end of a transaction."""

    __slots__ = ("future", "responses")

    def __init__(self, future: asyncio.Future[Answer]) -> None:
        self.future = future
        self.responses: list[ResponseReceived] = []


class DatagramPort(SocketProtocol, ABC):
    """A machine on a UDP socket; made by the ``open`` of its two kinds.

    ``on_event`` gets every event that nobody awaits, in order; it may command the machine (``respond``). ``tap`` sees all datagrams.
    ``machine`` may also be commanded directly; then ``flush`` sends what it has to say.
    """

    def __init__(
        self,
        machine: PacketMachine,
        write: Write,
        *,
        on_event: Callable[[Any], None] | None = None,
        tap: DatagramTap | None = None,
    ) -> None:
        self.machine = machine
        self._commands = cast(Asking, machine)
        self._write = write
        self._outgoing: Callable[[float], Sequence[Any]] = machine.outgoing
        self.statistics = PortStatistics()
        self.name = "udp"
        self._on_event = on_event
        self._tap = tap
        self._loop = asyncio.get_running_loop()
        self._clock = self._loop.time
        self._turn = turn_of(self._loop)
        self._transport: asyncio.DatagramTransport | None = None
        self.sendto: Callable[[bytes, Endpoint], None] = _to_nobody
        self._waiting: dict[int, _Waiting] = {}
        self._now: float | None = None  # the moment of the flush that is under way
        self._full = False
        self._timer: asyncio.TimerHandle | None = None
        self._armed = 0.0
        self._alarm: Alarm | None = getattr(machine, "alarm", None)
        self._news = -1  # of the alarm when the timer was set
        self._closed = self._loop.create_future()

    @abstractmethod
    def _received(self, datagram: bytes, source: Endpoint, now: float) -> None:
        """Hand the packets of a datagram to the machine. Raises our errors for those that are none."""

    # ---- what the event loop calls ---------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open."""
        self._transport = cast(asyncio.DatagramTransport, transport)
        self.sendto = self._transport.sendto
        self.flush()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """A datagram came in; it is looked at together with the others that came with it."""
        turn = self._turn
        arrived = turn.arrived
        if arrived:
            arrived.append((self, data, addr))
            if len(arrived) >= MOST:
                turn.run()
        else:
            turn.begin((self, data, addr))

    def take(self, data: bytes, addr: Any, now: float) -> None:
        """Take a datagram whose turn has come."""
        if self._transport is None:
            return
        self.statistics.received += 1
        if self._tap is not None:
            self._show(now, "in", data, addr)
        try:
            self._received(data, addr, now)
        except Error as error:
            self._drop(error, data)
        except Exception as error:
            self.report(error)  # some event loops close the socket when an exception gets out of here

    def error_received(self, exc: Exception) -> None:
        """The network says that an earlier datagram did not arrive: others still do.

        Where the event loop has its own endpoint (none that watches sockets), it may also be that one could not be sent.
        """
        self.statistics.refused += 1

    def send_failed(self, exc: Exception) -> None:
        """A datagram that was given to the socket could not be sent; perhaps because the network says so of an earlier one."""
        self.statistics.unsent += 1
        self.statistics.sent -= 1
        if isinstance(exc, ConnectionError):
            self.statistics.refused += 1

    def pause_writing(self) -> None:
        """The socket has no room: what cannot be sent now is lost, as datagrams may be."""
        self._full = True

    def resume_writing(self) -> None:
        """The socket has room again."""
        self._full = False

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed: whoever waits is told."""
        self._transport = None
        self.sendto = _to_nobody
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, {}
        for each in waiting.values():
            if not each.future.done():
                each.future.set_exception(PortClosed(f"{self.name} was closed"))
        if not self._closed.done():
            self._closed.set_result(None)

    # ---- commands --------------------------------------------------------------------------------------------------
    async def request(self, destination: Destination, apdu: bytes, *args: Any) -> Answer:
        """Ask, and wait for the end of the transaction; ``args`` go to the machine's ``request`` behind ``now``.

        Raises NoAnswer when it ended without all its answers (``attempts`` says how often it was sent), PortClosed,
        LocalProtocolError and ConfigError from the machine. Cancelled, it gives the transaction up.
        """
        waiting = _Waiting(self._loop.create_future())
        handle = self.ask(destination, apdu, *args, waiting=waiting)
        try:
            return await waiting.future
        except asyncio.CancelledError:
            self._give_up(handle)
            raise

    async def request_via(self, hops: Sequence[Hop], target: Destination, apdu: bytes, *args: Any) -> Answer:
        """Ask through repeaters, the last of which is the agent, and wait for the end; ``args`` as for ``request``.

        Raises as ``request``; NoAnswer says which hop gave up, where that is known.
        """
        if self._transport is None:
            raise PortClosed(f"{self.name} is closed")
        now = self._clock()
        handle = self._commands.request_via(hops, target, apdu, now, *args)
        waiting = self._waiting[handle] = _Waiting(self._loop.create_future())
        self.speak(now)
        try:
            return await waiting.future
        except asyncio.CancelledError:
            self._give_up(handle)
            raise

    def _give_up(self, handle: int) -> None:
        """Nobody awaits this transaction any more."""
        if self._waiting.pop(handle, None) is not None:
            self._commands.cancel(handle, self._clock())
            self.flush()

    def ask(self, destination: Destination, apdu: bytes, *args: Any, waiting: _Waiting | None = None) -> int:
        """Ask without waiting: the answers are events with the handle that is returned. Raises as ``request``."""
        if self._transport is None:
            raise PortClosed(f"{self.name} is closed")
        commands = self._commands
        now = (
            self._clock()
        )  # not the moment of a flush under way: the callback may have taken longer than the answer may
        handle = commands.request(destination, apdu, now, *args) if args else commands.request(destination, apdu, now)
        if waiting is not None:
            self._waiting[handle] = waiting
        if self._now is None:
            self.speak(now)
        return handle

    def respond(self, reply: int, apdu: bytes | None) -> bool:
        """Answer a request that came as an event; None closes it in silence. False if it came too late."""
        under_way = self._now
        if under_way is not None:
            return self._commands.respond(reply, apdu, under_way)
        now = self._clock()
        done = self._commands.respond(reply, apdu, now)
        self.speak(now)
        return done

    def flush(self) -> None:
        """Send what the machine has to say and hand out its events; needed only after commanding it directly."""
        self.speak(self._clock())

    def close(self) -> None:
        """Close the socket; whoever waits is told at the event loop's next turn."""
        if self._transport is not None:
            self._transport.close()

    async def wait_closed(self) -> None:
        """Wait until the socket is closed."""
        await asyncio.shield(self._closed)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        await self.wait_closed()

    @property
    def endpoint(self) -> Endpoint:
        """The socket's own IP address and port. Raises PortClosed."""
        if self._transport is None:
            raise PortClosed(f"{self.name} is closed")
        found = self._transport.get_extra_info("sockname")
        return cast(Endpoint, found)

    # ---- inside ----------------------------------------------------------------------------------------------------
    def speak(self, now: float) -> None:
        """Hand out the machine's events, send what it has to say, and stand by for its deadline."""
        if self._now is not None or self._transport is None:
            return  # the flush that is under way, or the one on opening, will see to it
        self._now = now
        machine, on_event = self.machine, self._on_event
        leaving = self._turn.leaving
        if self._tap is not None or self._full:
            leaving = None  # one by one
        write, waiting, left = self._write, self._waiting, _ROUNDS
        try:
            events = machine.events()
            while True:
                for event in events:
                    if waiting and self._is_awaited(event):
                        continue
                    if on_event is not None:
                        try:
                            on_event(event)
                        except Exception as error:
                            self.report(error)
                if not left:
                    self._loop.call_soon(self.flush)
                    break
                left -= 1
                for packet in self._outgoing(now):
                    if leaving is None:
                        self._send(packet, now)
                        continue
                    try:
                        datagram, endpoints = write(packet, now)
                    except Error:
                        self.statistics.unsent += 1
                        continue
                    for endpoint in endpoints:
                        leaving.append((self, datagram, endpoint))
                        self.statistics.sent += 1
                    if not endpoints:
                        self.statistics.unrouted += 1
                events = machine.events()
                if not events:
                    break
        finally:
            self._now = None
        alarm = self._alarm
        if alarm is not None:
            news = alarm.news
            if news == self._news:
                return
            self._news = news
        due = machine.deadline()
        if due is not None and (self._timer is None or due < self._armed):
            self._arm(due, now)

    def _is_awaited(self, event: Any) -> bool:
        """Whether somebody awaits the transaction of an event; then it is given to them."""
        kind = type(event)
        if kind is ResponseReceived:
            waiting = self._waiting.get(event.handle)
            if waiting is None:
                return False
            waiting.responses.append(event)
            return True
        if kind is not TransactionCompleted and kind is not TransactionFailed:
            return False
        waiting = self._waiting.pop(event.handle, None)
        if waiting is None:
            return False
        self._end(waiting, event)
        return True

    def _end(self, waiting: _Waiting, event: TransactionCompleted | TransactionFailed) -> None:
        if waiting.future.done():
            return
        if type(event) is TransactionCompleted:
            waiting.future.set_result(Answer(tuple(waiting.responses), event.attempts))
        elif type(event) is TransactionFailed:
            missing = f"; no answer of members {', '.join(map(str, event.missing))}" if event.missing else ""
            error = NoAnswer(f"{event.reason}{missing}", attempts=event.attempts, hop=event.hop)
            waiting.future.set_exception(error)

    def _send(self, packet: Packet, now: float) -> None:
        if self._full:
            self.statistics.unsent += 1
            return
        write = self._write  # a call of what is no method is slower without a name
        try:
            datagram, endpoints = write(packet, now)
        except Error:
            self.statistics.unsent += 1
            return
        if not endpoints:
            self.statistics.unrouted += 1
        leaving = self._turn.leaving
        for endpoint in endpoints:
            if self._tap is not None:
                self._show(now, "out", datagram, endpoint)
            self.statistics.sent += 1
            if leaving is not None:
                leaving.append((self, datagram, endpoint))
                continue
            try:
                self.sendto(datagram, endpoint)
            except (OSError, ValueError):
                self.unsent()

    def _show(self, now: float, direction: Literal["in", "out"], datagram: bytes, peer: Endpoint) -> None:
        """Let the tap see a datagram; what goes wrong there does not keep the machine from it."""
        if self._tap is not None:
            try:
                self._tap(now, direction, datagram, peer)
            except Exception as error:
                self.report(error)

    def unsent(self) -> None:
        """A datagram that was counted as sent could not be said to the socket."""
        self.statistics.sent -= 1
        self.statistics.unsent += 1

    def _drop(self, error: Error, data: bytes) -> None:
        self.statistics.dropped += 1
        if self._on_event is not None:
            try:
                self._on_event(Dropped(error.message, data[:_SHOWN]))
            except Exception as trouble:
                self.report(trouble)

    def report(self, error: Exception) -> None:
        """Tell the event loop's exception handler of a mistake in a machine or callback."""
        self._loop.call_exception_handler({"message": f"{self.name}: a handler failed", "exception": error})

    def _arm(self, due: float, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._armed = max(due, now + _SHORTEST_WAIT_S)
        self._timer = self._loop.call_at(self._armed, self._wake)

    def _wake(self) -> None:
        self._timer = None
        now = self._clock()
        due = self.machine.deadline()
        if due is not None and due <= now:
            try:
                self.machine.wake(now)
            except Exception as error:
                self.report(error)
        self._news = -1
        self.speak(now)


def _to_nobody(datagram: bytes, endpoint: Endpoint) -> None:
    """What a port without a socket does with its datagrams. Raises OSError."""
    raise OSError(errno.EBADF, "the socket is not open")


def bound_socket(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A UDP socket on an IP address ("" all of IPv4) and port (0 any). ``shared``: other programs may listen there too, as
    receivers of multicasts do. Raises ConfigError for what is no IP address, or cannot be had."""
    try:
        version = ipaddress.ip_address(host or "0.0.0.0").version
    except ValueError as error:
        raise ConfigError(
            f"{host!r} is no IP address of this machine", hint="such as 0.0.0.0, 127.0.0.1 or ::"
        ) from error
    made = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
    try:
        made.setblocking(False)
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host or "0.0.0.0", port))
    except (OSError, OverflowError) as error:
        made.close()
        raise _opening_error(host, port, error) from error
    return made


def _opening_error(host: str, port: int, error: OSError | OverflowError) -> ConfigError:
    code = error.errno if isinstance(error, OSError) else None
    place = f"UDP port {port} of {host or 'this machine'}"
    if code == errno.EADDRINUSE:
        return ConfigError(f"{place} is in use", hint="Another program listens there; give another port, or stop it.")
    if code == errno.EADDRNOTAVAIL:
        return ConfigError(
            f"{host} is no IP address of this machine", hint="Give one of its own addresses, or 0.0.0.0."
        )
    if code in (errno.EACCES, errno.EPERM):
        return ConfigError(f"{place} is not for everybody", hint="Ports below 1024 need rights; give a higher one.")
    return ConfigError(f"{place} cannot be opened: {os.strerror(code).lower() if code else error}")


async def on_socket(port: DatagramPort, made: socket.socket) -> None:
    """Connect a port to its socket in the running event loop. Raises PortClosed."""
    loop = asyncio.get_running_loop()
    try:
        try:
            DatagramSocket(loop, made, port)
        except NotImplementedError:  # a loop that watches no sockets
            await loop.create_datagram_endpoint(lambda: port, sock=made)
    except OSError as error:
        made.close()
        raise PortClosed(f"{port.name} cannot be opened: {error.strerror}") from error
    except BaseException:  # a machine's own mistake
        made.close()
        raise


def new_event_loop() -> asyncio.AbstractEventLoop:
    """An event loop: uvloop's, several times as fast with datagrams, where it is installed (extra ``udp``), else asyncio's."""
    try:
        uvloop: Any = importlib.import_module("uvloop")
    except ImportError:
        return asyncio.new_event_loop()
    return cast(asyncio.AbstractEventLoop, uvloop.new_event_loop())
