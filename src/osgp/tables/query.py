"""Paths and queries: naming data as the standard does.

``BT23`` (a whole table), ``BT23.tot_data_block.summations[0]``, ``ET55.relay_config``, ``BT28[2:4]`` (a slice of the table's
last array), ``BT64[-96:]`` (the newest entries of a log), ``PBT54`` (the pending copy of BT54, with its event description). Names
may be the standard's or ours, in any case. The grammar is a project choice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from osgp.tables.registry import table
from osgp.tables.table import PENDING, Table
from osgp.wire import MANY, Context, Unresolved, layout_of
from osgp.wire.errors import ConfigError
from osgp.wire.layout import Span
from osgp.wire.path import Part, format_path, parse_path

__all__ = ["Query", "locate", "main_array", "parse_query"]

_HEAD = re.compile(r"\s*(P?(?:BT|ET|ST|MT)\d{2,3})\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Query:
    """One thing asked for: a table and a path inside it (empty: all of it); ``pending``: of the copy that waits (+ 4096)."""

    text: str
    table: type[Table]
    path: tuple[Part, ...]
    pending: bool = False

    @property
    def number(self) -> int:
        """The table's number at the door."""
        return self.table.number | (PENDING if self.pending else 0)

    @property
    def newest(self) -> int | None:
        """``BT64[-96:]`` asks for the 96 newest entries of a log; else None."""
        if len(self.path) != 1 or self.table.role != "log" or self.pending:
            return None
        part = self.path[0]
        if isinstance(part, slice) and part.stop is None and part.start is not None and part.start < 0:
            return -int(part.start)
        return None


def is_query(text: str) -> bool:
    """Whether the text begins like a table path (else it may be a catalogue name)."""
    return _HEAD.match(text) is not None


def parse_query(text: str) -> Query:
    """Read a path. Raises ConfigError: no such table, or a path that cannot be read."""
    found = _HEAD.match(text)
    if not found:
        raise ConfigError(
            f"{text!r} is no path", hint="a path begins with a table, for example BT23.tot_data_block.summations[0]"
        )
    declared = table(found[1].upper())
    tail = text[found.end() :].strip()
    if tail == ".":
        raise ConfigError(
            f"{text!r} ends before its field", hint=f"name a field after the point, or ask for {found[1]}"
        )
    return Query(text.strip(), declared, parse_path(tail), found[1][0] in "Pp")


def main_array(declared: type[Table]) -> str:
    """The array that a bare index of the table means: its last repeated field. Raises ConfigError if there is none."""
    for name, spec in reversed(declared.specs.items()):
        if spec.count is not None and spec.count is not MANY:
            return name
    raise ConfigError(f"{declared.__name__} has no array, so it cannot be indexed", hint="name a field: TABLE.field")


def locate(query: Query, context: Context) -> Span | None:
    """Offset and size of a query's bytes, or None where only the whole table can tell (all of it, or a layout that depends on
    its own bytes). Raises ConfigError (no such field) and MissingTable (a dimension table is not at hand)."""
    if not query.path:
        return None
    path = query.path
    if not isinstance(path[0], str):
        path = (main_array(query.table), *path)
    try:
        return layout_of(query.table, context).span(path)
    except Unresolved:
        return None


def show(query: Query) -> str:
    """The canonical text of a query."""
    tail = format_path(query.path)
    joint = "." if tail and not tail.startswith("[") else ""
    return f"{'P' if query.pending else ''}{query.table.__name__}{joint}{tail}"
