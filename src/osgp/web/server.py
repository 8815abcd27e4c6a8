"""Serving the application on this machine: a port that is free, and an end that waits for nobody."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI

from osgp.wire.errors import ConfigError

__all__ = ["PageServer", "listen"]

_TRIES = 50


def listen(host: str, port: int) -> tuple[socket.socket, int]:
    """A listening socket on ``port``, or on the next free one, and which it is. 0: any. Raises ConfigError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for number in range(port, min(port + _TRIES, 65535) + 1) if port else (0,):
        place = socket.socket(family, socket.SOCK_STREAM)
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            place.bind((host, number))
            place.listen(128)
        except OSError as error:
            place.close()
            if error.errno == errno.EADDRINUSE:
                continue
            raise ConfigError(
                f"cannot serve at {host} port {number}: {error.strerror or error}",
                hint="choose another one with --port; ports below 1024 belong to the administrator",
            ) from error
        except OverflowError as error:
            place.close()
            raise ConfigError(f"{number} is no port", hint="ports are 1 to 65535") from error
        place.setblocking(False)
        return place, int(place.getsockname()[1])
    raise ConfigError(
        f"ports {port} to {min(port + _TRIES, 65535)} at {host} are all taken", hint="choose another one with --port"
    )


class PageServer(uvicorn.Server):
    """uvicorn on a socket that is open already; signals are left to the program around it."""

    def __init__(self, app: FastAPI) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_level="warning",
                server_header=False,
                proxy_headers=False,
                ws="none",
                lifespan="off",
                timeout_graceful_shutdown=2,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Catch none."""
        yield

    def stop(self) -> None:
        """End soon."""
        self.should_exit = True
