"""Trace files: what passes a line, as JSON lines on disk, keys and passwords removed (``osgp.node.trace``)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Literal, TextIO

from osgp.node.trace import TraceRecord, TraceWriter
from osgp.wire.errors import ConfigError

__all__ = ["TraceFile"]


class TraceFile:
    """A file that takes the bytes of one line; ``tap`` goes to a driver. Times are UTC seconds since 1970."""

    def __init__(self, path: Path, node: str, floor: str = "line") -> None:
        try:
            self._stream: TextIO = path.open("a", encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"cannot write {path}: {error.strerror}") from error
        self._writer = TraceWriter(self._stream)
        self._node = node.partition("?")[0]
        self._floor = floor

    def tap(self, now: float, direction: Literal["in", "out"], data: bytes) -> None:
        """Record one piece of bytes, stamped with wall time."""
        del now
        self._writer.record(TraceRecord(time.time(), self._node, self._floor, direction, data))

    def close(self) -> None:
        """Finish the file."""
        self._stream.close()
