"""Where a street's pages get their answers: a concentrator in this process, or another one's socket. They only ask, never order."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from osgp.concentrator import status_socket

__all__ = ["SocketSource", "Source"]

_PATIENCE_S = 10.0


class Source(Protocol):
    """Something that answers as a concentrator does: ``concentrator.status_socket``, ``street.live.LiveStreet``."""

    def ask(self, do: str, **what: Any) -> Any:
        """The result of a question. Raises NoAnswer if nobody is there, ConfigError for what is refused."""

    def note(self) -> str:
        """One line above the pages."""


class SocketSource:
    """A concentrator of another process, through its status socket."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def ask(self, do: str, **what: Any) -> Any:
        """See ``Source``."""
        return status_socket.ask(self.path, do, timeout_s=_PATIENCE_S, **what)

    def note(self) -> str:
        """See ``Source``."""
        return f"Concentrator at {self.path}"
