"""Conversations that survive their line: an optical session or an MEP client, its driver, and what to do when the line goes.

One request at a time, whoever asks. A line that went away is opened again with growing pauses; a read is then asked once
more, a write never (nobody knows whether it was done). A cancelled request leaves no trace in the next one. Closing gives
the line back, whatever happens on the way. Project choice throughout.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from osgp.c1218 import events as optical_events
from osgp.c1218.link import LinkTimers
from osgp.c1218.session import ClientState, OpticalClient
from osgp.crypto.keys import Key
from osgp.mep import events as mep_events
from osgp.mep.client import MepClient
from osgp.ports.driver import Driver, Tap
from osgp.ports.lines import Line
from osgp.wire.errors import ConfigError, Error, LinkError, LocalProtocolError, PortClosed

__all__ = ["LineReopened", "MepSession", "OpenLine", "OpticalSession", "SessionOptions"]

log = logging.getLogger("osgp.ports")

OpenLine = Callable[[], Awaitable[Line]]
"""Opens the line, for the first time or again. Raises PortClosed, NoAnswer, ConfigError."""

_DEFAULT_USER = "osgp"
_GOODBYE_S = 10.0
_REOPEN_PAUSES_S = (0.2, 0.5, 1.0, 2.0, 4.0)


@dataclass(slots=True)
class SessionOptions:
    """What a conversation is told besides its line: see ``OpenOptions``. ``settings`` are the options of an address."""

    reconnect: bool = True
    sequence_file: Path | None = None
    tap: Tap | None = None
    on_event: Callable[[Any], None] | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    def number(self, name: str, default: float) -> float:
        """A setting as a number. ConfigError."""
        given = self.settings.get(name, default)
        try:
            return float(given)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{name}={given!r} is not a number") from error

    def whole(self, name: str, default: int) -> int:
        """A setting as a whole number. ConfigError."""
        value = self.number(name, default)
        if value != int(value):
            raise ConfigError(f"{name}={value:g} is not a whole number")
        return int(value)

    def flag(self, name: str, default: bool = False) -> bool:
        """A setting as yes or no: 1, on, true and yes are yes."""
        return str(self.settings.get(name, default)).lower() in ("1", "on", "true", "yes")


@dataclass(frozen=True, slots=True)
class LineReopened:
    """The line had gone away and is back; ``attempts`` it took."""

    name: str
    attempts: int


class _Session:
    """A conversation over a line that may be lost and found again. ``blocking``: no event loop is there."""

    def __init__(self, open_line: OpenLine, name: str, blocking: bool, options: SessionOptions) -> None:
        self._open_line = open_line
        self.name = name
        self.blocking = blocking
        self.options = options
        self.driver: Driver | None = None
        self.clock: Callable[[], float] = time.monotonic if blocking else asyncio.get_running_loop().time
        self.reopen_pauses_s: tuple[float, ...] = _REOPEN_PAUSES_S
        self._lock = None if blocking else asyncio.Lock()
        self._closed = False

    # ---- what a door says
    def _machine(self) -> Any:
        raise TypeError

    def _busy(self) -> bool:
        """Whether the machine waits for something that nobody will hear of any more."""
        raise TypeError

    def _forget(self) -> None:
        """Drop what is under way in the machine, without a word on the line."""
        raise TypeError

    async def _ask(self, driver: Driver, message: bytes, read: bool) -> bytes:
        raise TypeError

    async def _say_goodbye(self, driver: Driver) -> None:
        raise TypeError

    async def _begin(self) -> None:
        """What must be said on a new line before the first request."""

    # ---- for the tables
    async def sleep(self, seconds: float) -> None:
        """Wait without blocking an event loop; without a loop, block."""
        if self.blocking:
            time.sleep(seconds)
        else:
            await asyncio.sleep(seconds)

    async def exchange(self, message: bytes, read: bool) -> bytes:
        """One request and its answer, one at a time; a read survives a lost line, a write raises PortClosed."""
        if self._lock is None:
            return await self._exchange(message, read)
        async with self._lock:
            return await self._exchange(message, read)

    async def connect(self) -> None:
        """Open the line and say what comes first. Raises LinkError, NoKey, ResponseError, ConfigError; the line is then closed."""
        try:
            await self._new_line()
            await self._begin()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """End the session, give the line back. Raises nothing of its own; a cancelled close still closes the line."""
        self._closed = True
        if self.driver is None:
            return
        try:
            await self._say_goodbye(self.driver)
        except Error as error:
            log.debug("closing %s: %s", self.name, error)
        finally:
            await self._drop_line()

    # ---- lines that come and go
    def _seen(self, event: Any) -> None:
        if self.options.on_event is not None:
            self.options.on_event(event)

    def _drive(self, line: Line) -> None:
        self.driver = Driver(line, self._machine(), self.clock, tap=self.options.tap, on_event=self._seen)

    async def _new_line(self) -> None:
        self._drive(await self._open_line())

    async def _drop_line(self) -> None:
        if self.driver is not None:
            line, self.driver = self.driver.line, None
            await line.close()

    async def _reopen(self) -> None:
        """Open the line again, with growing pauses. Raises the last LinkError."""
        for attempt, pause in enumerate(self.reopen_pauses_s, 1):
            await self.sleep(pause)
            self._check_open()
            try:
                await self._new_line()
                break
            except LinkError:
                if attempt == len(self.reopen_pauses_s):
                    raise
        log.info("line %s is open again after %d attempts", self.name, attempt)
        self._seen(LineReopened(self.name, attempt))
        await self._begin()

    def _check_open(self) -> None:
        if self._closed:
            raise LocalProtocolError(f"{self.name} was closed", hint="open the device again")

    async def _exchange(self, message: bytes, read: bool) -> bytes:
        self._check_open()
        if self.driver is None:
            if not self.options.reconnect:
                raise PortClosed(f"{self.name} went away", hint="open the device again")
            await self._reopen()
        assert self.driver is not None
        try:
            return await self._ask(self.driver, message, read)
        except PortClosed:
            self._forget()
            await self._drop_line()
            if not read or not self.options.reconnect:
                raise
        finally:
            self._clear()
        await self._reopen()
        try:
            return await self._ask(self.driver, message, read)
        except PortClosed:
            self._forget()
            await self._drop_line()
            raise
        finally:
            self._clear()

    def _clear(self) -> None:
        """After a cancelled request, or one that broke off on our side: nothing of it may reach the next one."""
        if self._busy():
            self._forget()
            if self.driver is not None:
                self._drive(self.driver.line)


class OpticalSession(_Session):
    """A session at the optical port. ``opened`` is told of every session that was opened, with what was negotiated."""

    def __init__(
        self, open_line: OpenLine, name: str, blocking: bool, options: SessionOptions, key: bytes | None
    ) -> None:
        super().__init__(open_line, name, blocking, options)
        self._key = key
        self.opened: Callable[[optical_events.SessionOpened], None] = lambda event: None
        self.client = self._new_client()

    def _new_client(self) -> OpticalClient:
        whole = self.options.whole
        pause_s = self.options.number("turn_round_s", LinkTimers().turn_round_s)
        return OpticalClient(
            timers=LinkTimers(turn_round_s=pause_s, gap_s=pause_s),
            wake_bytes=whole("wake_up", 0),
            keep_alive_s=whole("keep_alive_s", 0),
        )

    def _machine(self) -> OpticalClient:
        return self.client

    def _busy(self) -> bool:
        return self.client.state not in (ClientState.OPEN, ClientState.CLOSED)

    def _forget(self) -> None:
        self.client.abort(now=self.clock())
        self.client.events()

    def _seen(self, event: Any) -> None:
        if isinstance(event, optical_events.SessionOpened):
            self.opened(event)
        super()._seen(event)

    async def _begin(self) -> None:
        """Identify, negotiate, log on, give the key. Raises NoAnswer, NoKey, ResponseError, PortClosed."""
        assert self.driver is not None
        if self.client.sessions:
            self.client = self._new_client()
            self.client.distrust()  # the meter may still answer what was asked before the line went
            self._drive(self.driver.line)
        whole = self.options.whole
        try:
            self.client.open(
                whole("user_id", 1),
                str(self.options.settings.get("user", _DEFAULT_USER)),
                self._key,
                whole("packet_size", 64),
                whole("packets", 2),
                whole("talk_baud", 9600),
                now=self.clock(),
            )
            event = await self.driver.pump_until((optical_events.SessionOpened, optical_events.OpenFailed))
        finally:
            self._clear()
        if isinstance(event, optical_events.OpenFailed):
            raise event.error

    async def _ask(self, driver: Driver, message: bytes, read: bool) -> bytes:
        self.client.request(message, read, now=self.clock())
        event = await driver.pump_until((optical_events.AnswerReceived, optical_events.RequestFailed))
        if isinstance(event, optical_events.RequestFailed):
            raise event.error
        data: bytes = event.data
        return data

    async def _say_goodbye(self, driver: Driver) -> None:
        if self._busy():
            self._forget()
        elif self.client.state is ClientState.OPEN:
            self.client.close(now=self.clock())
            await driver.pump_until(optical_events.SessionClosed, timeout_s=_GOODBYE_S)
            await driver.flush()


class MepSession(_Session):
    """A conversation at the MEP: TLS, or RC4 mode if ``legacy``. ``keys``: "MAK" and/or "MBK"; the first one is used."""

    def __init__(
        self,
        open_line: OpenLine,
        name: str,
        blocking: bool,
        options: SessionOptions,
        keys: Mapping[str, Key | bytes],
        legacy: bool,
        baud: int = 9600,
    ) -> None:
        super().__init__(open_line, name, blocking, options)
        self.client = MepClient(
            {kind: key.for_mep() if isinstance(key, Key) else key for kind, key in keys.items()},
            legacy=legacy,
            encrypt=options.flag("encrypt"),
            sequence=_load_sequence(options.sequence_file),
            client_id=options.whole("client_id", 100),
            baud=baud,
            timeout_s=options.number("timeout_s", 0.5),
            interval_s=options.number("interval_s", 0.1),
            retries=options.whole("retries", 3),
        )

    def _machine(self) -> MepClient:
        return self.client

    def _busy(self) -> bool:
        return self.client.busy

    def _forget(self) -> None:
        self.client.cancel()
        self.client.events()

    def _seen(self, event: Any) -> None:
        if isinstance(event, mep_events.SequenceAdvanced) and self.options.sequence_file is not None:
            _save_sequence(self.options.sequence_file, event.number)
        super()._seen(event)

    async def _ask(self, driver: Driver, message: bytes, read: bool) -> bytes:
        self.client.request(message, self.clock(), read=read)
        event = await driver.pump_until((mep_events.ResponseReceived, mep_events.RequestFailed))
        if isinstance(event, mep_events.RequestFailed):
            raise event.error
        answer: bytes = event.message
        return answer

    async def _say_goodbye(self, driver: Driver) -> None:
        if self.client.established and not self.client.busy:
            self.client.close(self.clock())
            await driver.pump_until(mep_events.TlsEnded, timeout_s=_GOODBYE_S)


def _load_sequence(path: Path | None) -> int | None:
    if path is None or not path.exists():
        return None
    try:
        number = int(json.loads(path.read_text())["sequence"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # a lost number costs one 0C answer, nothing more
    return number if 0 <= number < 1 << 32 else None


def _save_sequence(path: Path, number: int) -> None:
    """The number is on the disk before it is used on the line, whatever happens to the power."""
    fresh = path.with_name(path.name + ".new")
    try:
        with fresh.open("w") as file:
            file.write(json.dumps({"sequence": number}))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        raise ConfigError(
            f"the sequence number cannot be kept in {path}: {error.strerror}", hint="nothing was sent with it"
        ) from error
