"""What the page of one table shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from osgp.wire.explain import ExplainNode

__all__ = ["Explained", "HexByte", "HexLine", "Line", "Read"]


@dataclass(frozen=True, slots=True)
class Read:
    """Bytes of a table that were read together, under a ``number``. ``parts``: (offset, content); ``whole``: they are all of it."""

    number: int
    table: int
    time: int
    wall: float
    door: str
    whole: bool
    parts: tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, slots=True)
class HexByte:
    """One byte: its place in the table, its two digits (dots if it was not read), its character (a dot if it has none)."""

    at: int
    digits: str
    character: str


@dataclass(frozen=True, slots=True)
class HexLine:
    """Some bytes in a row."""

    offset: int
    bytes: tuple[HexByte, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One field of the explained tree. ``status``: set when the declaration is not simply verified; ``bits``: 3 or 3–5."""

    depth: int
    node: ExplainNode
    leaf: bool
    source: str
    status: str
    bits: str


@dataclass(frozen=True, slots=True)
class Explained:
    """A window of a table: ``hex`` and ``lines`` from byte ``start`` to ``end`` of ``size``, of which ``known`` were read. ``starts``:
    of all windows that have something."""

    table: int
    name: str
    title: str
    role: str
    source: str
    status: str
    size: int
    known: int
    start: int
    end: int
    time: int
    wall: float
    door: str
    read: int
    error: str
    starts: tuple[int, ...]
    hex: tuple[HexLine, ...]
    lines: tuple[Line, ...]
    tree: ExplainNode | None

    def to_json(self) -> dict[str, Any]:
        """A plain object with the whole tree."""
        return {
            "table": self.name,
            "title": self.title,
            "size": self.size,
            "known": self.known,
            "time": self.time,
            "wall": self.wall,
            "door": self.door,
            "read": self.read,
            "error": self.error,
            "tree": None if self.tree is None else self.tree.to_json(),
        }
