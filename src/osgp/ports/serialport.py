"""What both faces of a serial line share: the library, its address form and its settings.

RFC 2217 is the library's own client. Observed with serialx 1.15: it waits for the server to confirm the masks of modem
and line state, as the RFC asks; servers made with pyserial's ``PortManager`` never do, so that opening times out there.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

from osgp.ports.lines import LineSpec
from osgp.wire.errors import ConfigError

__all__ = ["is_pty", "load_serialx", "pin", "serialx_settings", "serialx_url"]


def load_serialx() -> Any:
    """The serial library (an extra, hence not at the top of a module). ConfigError when it is not installed."""
    try:
        return importlib.import_module("serialx")
    except ImportError as error:
        raise ConfigError(
            "serial lines need the library serialx", hint="Install it: pip install 'osgp[serial]'."
        ) from error


def serialx_url(spec: LineSpec) -> str:
    """The library's address of a line."""
    if spec.kind == "serial":
        return f"device://{spec.address}"
    host, port = spec.host_port
    return f"rfc2217://[{host}]:{port}" if ":" in host else f"rfc2217://{host}:{port}"


def pin(serialx: Any, state: bool | None) -> Any:
    """The library's word for on, off, untouched."""
    return serialx.PinState.UNDEFINED if state is None else serialx.PinState.HIGH if state else serialx.PinState.LOW


def serialx_settings(serialx: Any, spec: LineSpec) -> dict[str, Any]:
    """Settings for opening: 8N1 without flow control, at the first rate, with the pins as wished."""
    options = spec.options
    settings: dict[str, Any] = {
        "baudrate": options.baud,
        "exclusive": options.exclusive,
        "rts_on_open": pin(serialx, options.rts),
        "dtr_on_open": pin(serialx, options.dtr),
    }
    if spec.kind == "rfc2217":
        settings["connect_timeout"] = options.connect_timeout_s
    return settings


def is_pty(path: str) -> bool:
    """Whether ``path`` is a pseudo-terminal: it has no UART, so a refused rate does no harm there."""
    return os.path.realpath(path).startswith("/dev/pts/")
