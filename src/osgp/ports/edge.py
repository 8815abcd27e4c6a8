"""Foreign errors become ours, once, here: whatever the operating system, a socket or the serial library raises.

Which of ours it becomes decides what the caller does: `PortClosed` and `NoAnswer` are worth another try later (an
adapter may be plugged in again, a serial server comes back after a power cut), `ConfigError` is not. All project
choice.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from glob import glob

from osgp.wire.errors import ConfigError, Error, NoAnswer, PortClosed

__all__ = ["candidates", "edge", "foreign_errors", "opening_error"]

_REFUSES = (errno.EACCES, errno.EPERM)
_MISSING = (errno.ENOENT, errno.ENODEV, errno.ENXIO)
_NOT_SERIAL = (errno.ENOTTY, errno.EISDIR, errno.ENOTDIR, errno.EINVAL)
_NO_WAY = (errno.EHOSTUNREACH, errno.ENETUNREACH)


def foreign_errors() -> tuple[type[Exception], ...]:
    """The exceptions that a line may raise from below. The serial library's own are in it only once it was imported."""
    serialx = sys.modules.get("serialx")
    own: tuple[type[Exception], ...] = (OSError, EOFError)
    return (*own, serialx.SerialException) if serialx is not None else own


@contextmanager
def edge(name: str, doing: str) -> Iterator[None]:
    """Map foreign errors on an open line: all of them mean that the line is gone (`PortClosed`)."""
    try:
        yield
    except foreign_errors() as error:
        raise closed(name, doing, error) from error


def closed(name: str, doing: str, error: Exception | None = None) -> PortClosed:
    """The error for a line that went away while ``doing`` ("sending", "receiving")."""
    why = _reason(error) if error is not None else "the other end closed it"
    return PortClosed(
        f"{name} went away while {doing}: {why}",
        hint="Adapter unplugged, serial server switched off, or did another client take the port? Open it again.",
    )


def candidates() -> list[str]:
    """The serial ports of this machine, as paths: the stable by-id names first. Looks into the file system."""
    by_id = sorted(glob("/dev/serial/by-id/*"))
    known = {os.path.realpath(path) for path in by_id}
    serialx = sys.modules.get("serialx")
    found = [str(port.device) for port in serialx.list_serial_ports()] if serialx is not None else []
    return [*by_id, *(path for path in found if os.path.realpath(path) not in known)]


def opening_error(name: str, address: str, error: Exception, *, serial: bool) -> Error:
    """The error for a line that could not be opened. May look at the file system: not for an event loop's own thread.

    ``serial``: ``address`` is a device path, not ``host:port``.
    """
    code = error.errno if isinstance(error, OSError) else None
    if serial:
        return _serial_error(name, address, error, code)
    if code == errno.ECONNREFUSED:
        return PortClosed(
            f"{name} refused the connection", hint=f"Nothing listens at {address}: is the serial server running there?"
        )
    if _kind(error) == "gaierror":
        return PortClosed(f"{name}: the host name is not known", hint="Check the spelling, or give the IP address.")
    if isinstance(error, TimeoutError):
        return NoAnswer(
            f"{name} did not answer in time",
            hint="Is the host up and the port right? Raw TCP servers, and RFC 2217 servers made with pyserial (which leave "
            "the state masks unconfirmed), keep an rfc2217 client waiting: use tcp with them.",
        )
    if code in _NO_WAY:
        return PortClosed(f"{name} cannot be reached: {_reason(error)}", hint="Check the network and the address.")
    if _kind(error) in ("SerialException", "UnsupportedSetting"):
        return ConfigError(
            f"{name}: {error}", hint="The serial server may speak raw TCP (use tcp), or not know this baud rate."
        )
    return PortClosed(f"{name} cannot be opened: {_reason(error)}", hint="Check the address and the network.")


def _serial_error(name: str, path: str, error: Exception, code: int | None) -> Error:
    if code in _REFUSES:
        group = _group_of(path)
        return ConfigError(
            f"{name}: permission denied",
            hint=f"Join the group that owns the port (sudo usermod -aG {group} $USER), then log in again.",
        )
    if code in _MISSING:
        ports = candidates()
        return PortClosed(
            f"{name}: no such device",
            hint=f"Ports of this machine: {', '.join(ports)}."
            if ports
            else "This machine has no serial port now; is it plugged in?",
        )
    if code == errno.EBUSY:
        return PortClosed(f"{name} is in use", hint=f"Another program holds the port (fuser {path} names it).")
    if _kind(error) == "UnsupportedSetting":
        return ConfigError(f"{name}: {error}", hint="Use a baud rate that this adapter knows, such as 9600.")
    if code in _NOT_SERIAL:
        return ConfigError(f"{name} is not a serial port", hint="Give the path of a serial device or a pty.")
    return PortClosed(f"{name} cannot be opened: {_reason(error)}", hint="Unplug the adapter and plug it in again.")


def _kind(error: Exception) -> str:
    return type(error).__name__


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno).lower()
    return str(error) or _kind(error)


def _group_of(path: str) -> str:
    try:
        import grp  # not on Windows

        return grp.getgrgid(os.stat(path).st_gid).gr_name
    except (ImportError, OSError, KeyError):
        return "dialout"
