"""Lines: where bytes travel. The protocol that all of them fulfil, the description of one, and `open_line`.

A line is five verbs (`send`, `receive`, `set_baud`, `close`, `name`) and one thing to know (`can_set_baud`). There
are two faces with the same ``async def``s: those of `osgp.ports.streams` wait in the event loop; those of
`osgp.ports.blocking` never suspend, so that `osgp.tables.access.run_sync` drives the same client code without a loop.
Lines in memory are in `osgp.sim.line`. Project choice from end to end; 8N1 and the head's supply: optical field
notes, MEP guide p. 20.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, cast, runtime_checkable

from osgp.wire.errors import ConfigError

__all__ = ["OPTICAL_HEAD", "READ_CHUNK", "Kind", "Line", "LineOptions", "LineSpec", "open_line"]

Kind = Literal["serial", "tcp", "rfc2217"]

READ_CHUNK = 4096
"""Most bytes that one `Line.receive` returns."""

OPTICAL_HEAD: Mapping[str, Any] = {"rts": True, "dtr": False}
"""Options for an optical head: many draw their power from RTS on and DTR off (field practice)."""


@runtime_checkable
class Line(Protocol):
    """Where bytes travel, both ways, one user at a time."""

    @property
    def name(self) -> str:
        """For people and traces: ``/dev/ttyUSB0``, ``tcp 127.0.0.1:7701``. Never holds a secret."""
        ...

    @property
    def can_set_baud(self) -> bool:
        """Whether `set_baud` reaches the far end's UART; False on raw TCP, where the serial server keeps its own
        rate.
        """
        ...

    async def send(self, data: bytes) -> None:
        """Hand ``data`` to the line; may return before the last bit has left. Raises `PortClosed`."""
        ...

    async def receive(self, timeout_s: float | None) -> bytes:
        """What has arrived, at least one byte; ``b""`` when ``timeout_s`` seconds (None: for ever) brought nothing.

        Raises `PortClosed` when the line is gone.
        """
        ...

    async def set_baud(self, baud: int) -> None:
        """Change the rate after all that was sent has left. Does nothing where `can_set_baud` is False."""
        ...

    async def close(self) -> None:
        """Give the line back; twice is no error."""
        ...


@dataclass(frozen=True, slots=True)
class LineOptions:
    """How to open a line; what does not concern its kind is ignored.

    ``baud``: first rate, bits per second. ``rts``, ``dtr``: True on, False off, None as the system leaves it.
    ``exclusive``: refuse if another program holds the port. ``connect_timeout_s``: for network lines.
    """

    baud: int = 9600
    rts: bool | None = None
    dtr: bool | None = None
    exclusive: bool = True
    connect_timeout_s: float = 10.0

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> LineOptions:
        """From names and values, which may be text as in an address (``baud=9600``, ``rts=on``). ConfigError if
        wrong.
        """
        readers: dict[str, Any] = {
            "baud": _whole,
            "rts": _switch,
            "dtr": _switch,
            "exclusive": _switch,
            "connect_timeout_s": _seconds,
        }
        values: dict[str, Any] = {}
        for name, value in options.items():
            if name not in readers:
                raise ConfigError(f"a line has no option {name!r}", hint=f"Options: {', '.join(readers)}.")
            values[name] = readers[name](name, value)
        return cls(**values)


def _whole(name: str, value: Any) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = 0
    if number <= 0:
        raise ConfigError(f"{name}={value!r} is not a whole number above zero", hint="For example baud=9600.")
    return number


def _seconds(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = 0.0
    if not 0 < number < 86400:
        raise ConfigError(f"{name}={value!r} is not a number of seconds above zero", hint="For example 10.")
    return number


def _switch(name: str, value: Any) -> bool | None:
    if value is None and name != "exclusive":
        return None
    word = str(value).lower()
    if word in ("1", "on", "true", "yes"):
        return True
    if word in ("0", "off", "false", "no"):
        return False
    raise ConfigError(f"{name}={value!r} is neither on nor off", hint=f"Write {name}=on or {name}=off.")


@dataclass(frozen=True, slots=True)
class LineSpec:
    """Which line: ``serial`` with a device path (a pty's too), ``tcp`` or ``rfc2217`` with ``host:port``."""

    kind: Kind
    address: str
    options: LineOptions = field(default_factory=LineOptions)

    @classmethod
    def parse(cls, text: str, options: Mapping[str, Any] | None = None) -> LineSpec:
        """``serial /dev/ttyUSB0``, ``tcp 127.0.0.1:7701``, ``rfc2217 [::1]:2217``. ConfigError if it is none of
        these.
        """
        kind, _, address = text.strip().partition(" ")
        address = address.strip()
        if kind not in ("serial", "tcp", "rfc2217") or not address:
            raise ConfigError(
                f"{text!r} is not a line", hint="Write 'serial PATH', 'tcp HOST:PORT' or 'rfc2217 HOST:PORT'."
            )
        spec = cls(cast(Kind, kind), address, LineOptions.of(options or {}))
        if kind != "serial":
            _ = spec.host_port
        return spec

    @property
    def name(self) -> str:
        """The name that the open line will have."""
        return self.address if self.kind == "serial" else f"{self.kind} {self.address}"

    @property
    def host_port(self) -> tuple[str, int]:
        """Host and port of a network line. ConfigError if the address is not ``host:port``."""
        host, colon, port = self.address.rpartition(":")
        if not (colon and host and port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise ConfigError(f"{self.address!r} is not HOST:PORT", hint="For example 192.168.1.20:7701 or [::1]:7701.")
        return host.removeprefix("[").removesuffix("]"), int(port)


async def open_line(spec: LineSpec | str, *, blocking: bool = False, options: Mapping[str, Any] | None = None) -> Line:
    """Open the line that ``spec`` names.

    With ``blocking`` nothing here suspends: ``run_sync(open_line(spec, blocking=True))``. ``options`` as in
    `LineOptions.of`, only with a text. Raises `ConfigError` (will not help to try again), `PortClosed` and `NoAnswer`
    (may help).
    """
    if isinstance(spec, str):
        spec = LineSpec.parse(spec, options)
    if blocking:
        from osgp.ports.blocking import open_blocking

        return open_blocking(spec)
    from osgp.ports.streams import open_stream

    return await open_stream(spec)
