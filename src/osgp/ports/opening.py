"""``osgp.open``: from an address to a ``Device``.

::

    with osgp.open_sync("optical:///dev/ttyUSB0", key="file:rk.txt") as meter:
        print(meter.get("fwd_active_energy"))

    async with osgp.open("mep+tls+tcp://192.168.1.20:7701", key="vault:kitchen/MAK") as meter:
        print(await meter.get("fwd_active_energy", "voltage_l1"))

What happens when a line goes away is told in ``osgp.ports.sessions``. Project choice throughout.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from osgp.c1218.access import OpticalTables
from osgp.c1218.events import SessionOpened
from osgp.crypto.keys import Key, default_key, parse_key
from osgp.mep.access import MepTables
from osgp.mep.registration import find_port
from osgp.node.device import Device, SyncDevice
from osgp.ports.address import DeviceAddress, parse_address
from osgp.ports.driver import Tap
from osgp.ports.lines import OPTICAL_HEAD, Line, LineOptions, LineSpec, open_line
from osgp.ports.sessions import LineReopened, MepSession, OpticalSession, SessionOptions
from osgp.ports.vault import resolve_key
from osgp.tables.access import ProcedureResult, run_sync
from osgp.tables.image import Image, ImageTables
from osgp.wire.errors import ConfigError, SecurityError

__all__ = ["LineReopened", "OpenOptions", "connect", "open", "open_sync"]


@dataclass(slots=True)
class OpenOptions:
    """How to open a device, beyond its address. ``key``: a ``Key``, bytes, or a source (vault:, file:, env:, prompt:, text).

    ``key_kind``: MAK or MBK (MEP); MK, PK or RK need not be said (optical). ``legacy``: allow RC4 mode at the MEP.
    ``insecure_lab``: accept known default keys. ``reconnect``: open a lost line again for a read. ``sequence_file``: where
    the MEP sequence number is kept between runs. ``tap`` sees all bytes; ``on_event`` sees every protocol event and
    ``LineReopened``. ``dimensions``: tables known from an earlier visit. ``settings``: the options that an address may carry.
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

    def session(self, address: DeviceAddress) -> SessionOptions:
        """What the conversation is told; what stands here wins over the address."""
        return SessionOptions(
            self.reconnect, self.sequence_file, self.tap, self.on_event, {**address.options, **self.settings}
        )


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
    if address.door == "image":
        return _image(address, options)
    if address.door == "optical":
        return await _optical(address, options, blocking)
    return await _mep(address, options, blocking)


def _image(address: DeviceAddress, options: OpenOptions) -> Device:
    try:
        content = json.loads(Path(address.path).read_text())
    except OSError as error:
        raise ConfigError(f"cannot read {address.path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{address.path} is no saved image: {error}", hint="`osgp clone` writes one") from error
    tables: Any = content.get("tables", content) if isinstance(content, dict) else content
    return Device(ImageTables(Image.from_json(tables)), name=address.name, dimensions=options.dimensions)


def _opener(line: LineSpec, blocking: bool) -> Callable[[], Awaitable[Line]]:
    return lambda: open_line(line, blocking=blocking)


async def _optical(address: DeviceAddress, options: OpenOptions, blocking: bool) -> Device:
    line = address.line
    assert line is not None
    if line.kind == "serial" and line.options.rts is None and line.options.dtr is None:
        given = {"baud": line.options.baud, "exclusive": line.options.exclusive, **OPTICAL_HEAD}
        line = LineSpec(line.kind, line.address, LineOptions.of(given))
    key = _key_of(options, "optical")
    session = OpticalSession(
        _opener(line, blocking), line.name, blocking, options.session(address), key.for_optical() if key else None
    )
    access = OpticalTables(session.exchange, session.sleep)

    def opened(event: SessionOpened) -> None:
        access.negotiated(event.packet_size, event.packets, event.baud)

    session.opened = opened
    await session.connect()
    device = Device(access, name=address.name, dimensions=options.dimensions, close=session.close)
    access.size_of = device.size_of
    return device


async def _mep(address: DeviceAddress, options: OpenOptions, blocking: bool) -> Device:
    line = address.line
    assert line is not None
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
    told = options.session(address)
    kind = (options.key_kind or str(told.settings.get("key_kind", "")) or _kind_in(options.key) or "MAK").upper()
    baud = line.options.baud
    session = MepSession(_opener(line, blocking), line.name, blocking, told, {kind: key}, options.legacy, baud)
    access = _PortedTables(
        session.exchange, session.sleep, tls=not options.legacy, chunked_reads=told.flag("chunked_reads"), baud=baud
    )
    await session.connect()
    device = Device(access, name=address.name, dimensions=options.dimensions, close=session.close)
    access.size_of = device.size_of
    return device


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
