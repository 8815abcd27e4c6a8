"""What is sound in a damaged SQLite file: rows read around the pages that cannot be read. Project choice.

Rows are fetched by ranges of their row numbers; a range that fails is halved, until what fails is one row. So one bad page costs the
rows on it and a few dozen questions. Indexes are not looked at, they are made anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Salvage", "salvage"]

_BEYOND = 4096
"""Row numbers looked at behind the last row found, where the last row cannot be asked for."""


@dataclass(slots=True)
class Salvage:
    """Rows taken over, row numbers that could not be read or held what was never written, by table."""

    kept: dict[str, int] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)

    def summary(self) -> str:
        """In words."""
        kept, lost = sum(self.kept.values()), sum(self.lost.values())
        where = ", ".join(f"{number} of {table}" for table, number in self.lost.items() if number)
        return f"{kept} rows were saved, {lost} rows lost" + (f" ({where})" if where else "")


def salvage(
    source: Path,
    target: sqlite3.Connection,
    *,
    leave: tuple[str, ...] = (),
    sound: Callable[[str, Mapping[str, Any]], bool] = lambda table, row: True,
) -> Salvage:
    """Put what can be read of ``source`` into the tables of ``target`` that have the same names, but for those to ``leave``.

    ``sound``: whether a row is what was written. Raises nothing for damage: the worst file gives nothing.
    """
    found = Salvage()
    names = [
        row[0]
        for row in target.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    ]
    connection = sqlite3.connect(source, isolation_level=None)
    connection.row_factory = sqlite3.Row
    try:
        for name in names:
            if name not in leave:
                columns = [row[1] for row in target.execute(f'PRAGMA table_info("{name}")')]
                found.kept[name], found.lost[name] = _table(connection, target, name, columns, sound)
    finally:
        connection.close()
    return found


def _table(
    source: sqlite3.Connection,
    target: sqlite3.Connection,
    name: str,
    columns: list[str],
    sound: Callable[[str, Mapping[str, Any]], bool],
) -> tuple[int, int]:
    places = ", ".join("?" for _ in columns)
    named = ", ".join(f'"{each}"' for each in columns)
    insert = f'INSERT OR IGNORE INTO "{name}" ({named}) VALUES ({places})'
    select = f'SELECT {named} FROM "{name}" WHERE rowid BETWEEN ? AND ?'
    kept = lost = 0
    last = _last(source, name)
    if last is None:
        return 0, 0
    ranges = [(0, last)]
    while ranges:
        first, end = ranges.pop()
        try:
            rows = source.execute(select, (first, end)).fetchall()
        except (sqlite3.Error, UnicodeDecodeError):
            if first == end:
                lost += 1
            else:
                middle = (first + end) // 2
                ranges += [(middle + 1, end), (first, middle)]
            continue
        for row in rows:
            if sound(name, dict(row)):
                kept += max(0, target.execute(insert, tuple(row)).rowcount)
            else:
                lost += 1
    return kept, lost


def _last(source: sqlite3.Connection, name: str) -> int | None:
    """The largest row number; where it cannot be read, one behind the rows that can. None if nothing of the table can."""
    try:
        found = source.execute(f'SELECT max(rowid) FROM "{name}"').fetchone()[0]
        return int(found or 0)
    except (sqlite3.Error, UnicodeDecodeError):
        pass
    last = None
    try:
        for row in source.execute(f'SELECT rowid FROM "{name}" ORDER BY rowid'):
            last = row[0]
    except (sqlite3.Error, UnicodeDecodeError):
        pass
    return None if last is None else int(last) + _BEYOND
