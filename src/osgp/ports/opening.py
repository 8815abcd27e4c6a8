"""``osgp.open``: from an address to a ``Device``.

::

    with osgp.open_sync("optical:///dev/ttyUSB0", key="file:rk.txt") as meter:
        print(meter.get("fwd_active_energy"))

    async with osgp.open("mep+tls+tcp://192.168.1.20:7701", key="vault:kitchen/MAK") as meter:
        print(await meter.get("fwd_active_energy", "voltage_l1"))

A line that goes away is opened again with growing pauses; a read is then asked once more, a write never (nobody knows
whether it was done). What happens on the way is reported to ``on_event``. Project choice throughout.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from osgp.c1218 import events as optical_events
from osgp.c1218.access import OpticalTables
from osgp.c1218.session import OpticalClient
from osgp.crypto.keys import Key, default_key, parse_key
from osgp.mep import events as mep_events
from osgp.mep.access import MepTables
from osgp.mep.client import MepClient
from osgp.mep.registration import find_port
from osgp.node.device import Device, SyncDevice
from osgp.ports.address import DeviceAddress, parse_address
from osgp.ports.driver import Driver, Tap
from osgp.ports.lines import Line, LineOptions, LineSpec, open_line
from osgp.ports.vault import resolve_key
from osgp.tables.access import ProcedureResult, TableAccess, run_sync
from osgp.tables.image import Image, ImageTables
from osgp.wire.errors import ConfigError, Error, LinkError, PortClosed, SecurityError

__all__ = ["OpenOptions", "connect", "open", "open_sync"]

log = logging.getLogger("osgp.ports")

_DEFAULT_USER = "osgp"
_REOPEN_PAUSES_S = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Pauses before each attempt to open a lost line again (project choice)."""


@dataclass(slots=True)
class OpenOptions:
    """How to open a device, beyond its address. ``key``: a ``Key``, bytes, or a source (vault:, file:, env:, prompt:, text).

    ``key_kind``: MAK or MBK (MEP); MK, PK or RK need not be said (optical). ``legacy``: allow RC4 mode at the MEP.
    ``insecure_lab``: accept known default keys. ``sequence_file``: where the MEP sequence number is kept between runs.
    ``tap`` sees all bytes; ``on_event`` sees every protocol event and reconnects.
    """

    key: Key | bytes | str | None = None
    key_kind: str = ""
    legacy: bool = False
    insecure_lab: bool = False
    reconnect: bool = True
    sequence_file: Path | None = None
    tap: Tap | None = None
    on_event: Callable[[Any], None] | None = None
    dimensions: dict[int, bytes] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    def setting(self, name: str, default: Any) -> Any:
        return self.settings.get(name, default)


@dataclass(frozen=True, slots=True)
class LineReopened:
    """The line had gone away and is back; ``attempts`` it took."""

    name: str
    attempts: int


class Session(Protocol):
    """What a door needs of its conversation: messages in and out, over whatever line."""

    async def exchange(self, message: bytes, read: bool) -> bytes: ...
    async def close(self) -> None: ...


class _Base:
    """A conversation over a line that may be lost and found again."""

    def __init__(self, spec: LineSpec, blocking: bool, options: OpenOptions) -> None:
        self.spec = spec
        self.blocking = blocking
        self.options = options
        self.driver: Driver | None = None
        self.clock: Callable[[], float] = time.monotonic if blocking else asyncio.get_running_loop().time
        self._lock = None if blocking else asyncio.Lock()

    async def sleep(self, seconds: float) -> None:
        """Wait without blocking an event loop; without a loop, block."""
        if self.blocking:
            time.sleep(seconds)
        else:
            await asyncio.sleep(seconds)

    def _machine(self) -> Any:
        raise TypeError

    async def _connect(self) -> None:
        line: Line = await open_line(self.spec, blocking=self.blocking)
        self.driver = Driver(line, self._machine(), self.clock, tap=self.options.tap, on_event=self._seen)

    def _seen(self, event: Any) -> None:
        if self.options.on_event is not None:
            self.options.on_event(event)

    async def _drop_line(self) -> None:
        if self.driver is not None:
            line, self.driver = self.driver.line, None
            await line.close()

    async def _reopen(self) -> None:
        """Open the line again, with growing pauses. Raises the last PortClosed or NoAnswer."""
        await self._drop_line()
        for attempt, pause in enumerate(_REOPEN_PAUSES_S, 1):
            await self.sleep(pause)
            try:
                await self._connect()
            except LinkError:
                if attempt == len(_REOPEN_PAUSES_S):
                    raise
            else:
                log.info("line %s is open again after %d attempts", self.spec.name, attempt)
                self._seen(LineReopened(self.spec.name, attempt))
                return

    async def exchange(self, message: bytes, read: bool) -> bytes:
        """One request and its answer, one at a time; a read survives a lost line."""
        if self._lock is None:
            return await self._exchange_safely(message, read)
        async with self._lock:
            return await self._exchange_safely(message, read)

    async def _exchange_safely(self, message: bytes, read: bool) -> bytes:
        try:
            if self.driver is None:
                await self._connect()
            return await self._exchange(message, read)
        except PortClosed:
            self._abandon()
            if not self.options.reconnect:
                raise
            await self._reopen()
            if not read:
                raise
            return await self._exchange(message, read)

    def _abandon(self) -> None:
        raise TypeError

    async def _exchange(self, message: bytes, read: bool) -> bytes:
        raise TypeError


class OpticalSession(_Base):
    """A session at the optical port."""

    def __init__(self, spec: LineSpec, blocking: bool, options: OpenOptions, key: Key | None) -> None:
        super().__init__(spec, blocking, options)
        self._key = key
        self.client = self._new_client()

    def _new_client(self) -> OpticalClient:
        get = self.options.setting
        return OpticalClient(wake_bytes=int(get("wake_up", 0)), keep_alive_s=int(get("keep_alive_s", 0)))

    def _machine(self) -> OpticalClient:
        return self.client

    def _abandon(self) -> None:
        self.client.abort(now=self.clock())
        self.client.events()

    async def open(self) -> None:
        """Identify, negotiate, log on, give the key. Raises NoAnswer, NoKey, ResponseError, PortClosed."""
        if self.driver is None:
            await self._connect()
        assert self.driver is not None
        get = self.options.setting
        self.client.open(
            int(get("user_id", 1)),
            str(get("user", _DEFAULT_USER)),
            self._key.for_optical() if self._key is not None else None,
            int(get("packet_size", 64)),
            int(get("packets", 2)),
            int(get("talk_baud", 9600)),
            now=self.clock(),
        )
        event = await self.driver.pump_until((optical_events.SessionOpened, optical_events.OpenFailed))
        if isinstance(event, optical_events.OpenFailed):
            raise event.error

    async def _reopen(self) -> None:
        await super()._reopen()
        self.client = self._new_client()
        assert self.driver is not None
        self.driver.machine = self.client
        await self.open()

    async def _exchange(self, message: bytes, read: bool) -> bytes:
        assert self.driver is not None
        self.client.request(message, read, now=self.clock())
        event = await self.driver.pump_until((optical_events.AnswerReceived, optical_events.RequestFailed))
        if isinstance(event, optical_events.RequestFailed):
            raise event.error
        data: bytes = event.data
        return data

    async def close(self) -> None:
        """Log off, terminate, give the line back. Never raises."""
        if self.driver is None:
            return
        try:
            self.client.close(now=self.clock())
            await self.driver.pump_until(optical_events.SessionClosed, timeout_s=10.0)
        except Error as error:
            log.debug("closing %s: %s", self.spec.name, error)
        await self._drop_line()


class MepSession(_Base):
    """A conversation at the MEP: TLS, or RC4 mode if asked for."""

    def __init__(
        self, spec: LineSpec, blocking: bool, options: OpenOptions, keys: Mapping[str, Key], legacy: bool
    ) -> None:
        super().__init__(spec, blocking, options)
        get = options.setting
        self.client = MepClient(
            {kind: key.for_mep() for kind, key in keys.items()},
            access=next(iter(keys)),
            legacy=legacy,
            encrypt=_truth(get("encrypt", False)),
            sequence=_load_sequence(options.sequence_file),
            client_id=int(get("client_id", 100)),
            baud=spec.options.baud,
            timeout_s=float(get("timeout_s", 0.5)),
            retries=int(get("retries", 3)),
        )

    def _machine(self) -> MepClient:
        return self.client

    def _abandon(self) -> None:
        self.client.cancel()
        self.client.events()

    def _seen(self, event: Any) -> None:
        if isinstance(event, mep_events.SequenceAdvanced) and self.options.sequence_file is not None:
            _save_sequence(self.options.sequence_file, event.number)
        super()._seen(event)

    async def _exchange(self, message: bytes, read: bool) -> bytes:
        assert self.driver is not None
        self.client.request(message, self.clock(), read=read)
        event = await self.driver.pump_until((mep_events.ResponseReceived, mep_events.RequestFailed))
        if isinstance(event, mep_events.RequestFailed):
            raise event.error
        answer: bytes = event.message
        return answer

    async def close(self) -> None:
        """End a TLS session, give the line back. Never raises."""
        if self.driver is None:
            return
        try:
            self.client.close(self.clock())
            await self.driver.flush()
        except Error as error:
            log.debug("closing %s: %s", self.spec.name, error)
        await self._drop_line()


def _truth(value: Any) -> bool:
    return str(value).lower() in ("1", "on", "true", "yes")


def _load_sequence(path: Path | None) -> int | None:
    if path is None or not path.exists():
        return None
    try:
        return int(json.loads(path.read_text())["sequence"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # a lost number costs one 0C answer, nothing more


def _save_sequence(path: Path, number: int) -> None:
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(json.dumps({"sequence": number}))
    fresh.replace(path)


def _key_of(options: OpenOptions, use: Any) -> Key | None:
    """The key that the options name. Raises ConfigError, NoKey; a known default key needs ``insecure_lab``."""
    given = options.key
    if given is None or given == "":
        return None
    if isinstance(given, Key):
        key = given
    elif isinstance(given, str):
        key = resolve_key(given, use=use)
    else:
        key = parse_key(given, use=use)
    meaning = default_key(key)
    if meaning and not options.insecure_lab:
        raise SecurityError(
            f"this key is a known default ({meaning}): everybody has it",
            hint="give the device a key of its own, or say --insecure-lab (insecure_lab=True) in a laboratory",
        )
    return key


async def connect(text: str, options: OpenOptions, *, blocking: bool) -> Device:
    """Open an address. Nothing here suspends if ``blocking``. Raises ConfigError, LinkError, SecurityError, ResponseError."""
    address = parse_address(text)
    options.settings = {**address.options, **options.settings}
    if address.door == "image":
        return _image(address, options)
    assert address.line is not None
    if address.door == "optical":
        return await _optical(address, options, blocking)
    return await _mep(address, options, blocking)


def _image(address: DeviceAddress, options: OpenOptions) -> Device:
    try:
        content = json.loads(Path(address.path).read_text())
    except OSError as error:
        raise ConfigError(f"cannot read {address.path}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{address.path} is no saved image: {error}", hint="`osgp clone` writes one") from error
    tables = content.get("tables", content) if isinstance(content, dict) else {}
    return Device(ImageTables(Image.from_json(tables)), name=address.name, dimensions=options.dimensions)


async def _optical(address: DeviceAddress, options: OpenOptions, blocking: bool) -> Device:
    assert address.line is not None
    line = address.line
    if line.kind == "serial" and line.options.rts is None and line.options.dtr is None:
        # Many optical heads draw their supply from RTS on, DTR off (spec/optical.md 1, field practice).
        given = {"baud": line.options.baud, "exclusive": line.options.exclusive, "rts": True, "dtr": False}
        line = LineSpec(line.kind, line.address, LineOptions.of(given))
    session = OpticalSession(line, blocking, options, _key_of(options, "optical"))
    try:
        await session.open()
    except (Error, asyncio.CancelledError):
        await session.close()
        raise
    access: TableAccess = OpticalTables(session.exchange, session.sleep, **_optical_sizes(session))
    return Device(access, name=address.name, dimensions=options.dimensions, close=session.close)


def _optical_sizes(session: OpticalSession) -> dict[str, Any]:
    return {"packet_size": session.client.packet_size, "packets": session.client.packets}


async def _mep(address: DeviceAddress, options: OpenOptions, blocking: bool) -> Device:
    assert address.line is not None
    legacy = options.legacy or address.tls is False
    if address.tls is False and not options.legacy:
        raise ConfigError(
            "RC4 mode is published as broken and must be asked for",
            hint="use mep+tls+tcp:// (firmware 4.02 and later), or add --legacy (legacy=True) for an older meter",
        )
    if address.tls and options.legacy:
        raise ConfigError("the address asks for TLS, the options for legacy RC4 mode: choose one")
    key = _key_of(options, "mep")
    if key is None:
        raise ConfigError(
            "the MEP needs a key (MAK or MBK)", hint="--key vault:NAME/MAK, file:PATH, env:VAR or prompt:"
        )
    kind = (options.key_kind or str(options.setting("key_kind", "")) or _kind_in(options.key) or "MAK").upper()
    session = MepSession(address.line, blocking, options, {kind: key}, legacy)
    try:
        await session._connect()
        access = _PortedTables(
            session.exchange,
            session.sleep,
            tls=not legacy,
            chunked_reads=_truth(options.setting("chunked_reads", False)),
            baud=address.line.options.baud,
        )
    except (Error, asyncio.CancelledError):
        await session.close()
        raise
    return Device(access, name=address.name, dimensions=options.dimensions, close=session.close)


class _PortedTables(MepTables):
    """Finds out which MEP port it is plugged in before the first procedure or transaction; reading needs no port."""

    _found = False

    async def _find(self) -> None:
        if not self._found:
            await find_port(self)
            self._found = True

    async def run(self, procedure: int, parameters: bytes = b"", **more: Any) -> ProcedureResult:
        await self._find()
        return await super().run(procedure, parameters, **more)

    async def transaction(self, messages: Sequence[bytes]) -> list[tuple[int, bytes]]:
        await self._find()
        return await super().transaction(messages)


def _kind_in(source: Key | bytes | str | None) -> str:
    """MAK or MBK out of ``vault:NAME/MBK``."""
    if isinstance(source, str) and source.startswith("vault:"):
        return source.rpartition("/")[2]
    return ""


def _options(key: Key | bytes | str | None, given: dict[str, Any]) -> OpenOptions:
    known = {name: given.pop(name) for name in list(given) if name in OpenOptions.__dataclass_fields__}
    options = OpenOptions(key=key, **known)
    options.settings = {**options.settings, **given}
    return options


@asynccontextmanager
async def open(address: str, key: Key | bytes | str | None = None, **options: Any) -> AsyncIterator[Device]:
    """A device at an address, closed at the end of the block. ``options``: the fields of ``OpenOptions`` and the options that
    an address may carry (``packet_size=…``). Raises ConfigError, LinkError, SecurityError, ResponseError."""
    device = await connect(address, _options(key, options), blocking=False)
    try:
        yield device
    finally:
        await device.close()


@contextmanager
def open_sync(address: str, key: Key | bytes | str | None = None, **options: Any) -> Iterator[SyncDevice]:
    """The blocking face of ``open``: the same code on a line that waits by itself."""
    device = run_sync(connect(address, _options(key, options), blocking=True))
    try:
        yield SyncDevice(device)
    finally:
        run_sync(device.close())
