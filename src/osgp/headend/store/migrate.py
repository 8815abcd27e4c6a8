"""The steps that make a store and bring an older one up to date: numbered SQL files, each applied once, in order.

The number of the last step applied is SQLite's ``user_version``; ``application_id`` says that the file is a store of ours.
All missing steps are one transaction, so that a process killed in between leaves the old store. Project choice.
"""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from importlib.resources import files

from osgp.wire.errors import StoreError

__all__ = ["APPLICATION_ID", "SchemaStep", "migrate", "schema_steps"]

APPLICATION_ID = 0x4F534750
"""``OSGP`` in ASCII."""


@dataclass(frozen=True, slots=True)
class SchemaStep:
    """One file: its number, its name, its SQL."""

    number: int
    name: str
    sql: str


def schema_steps() -> list[SchemaStep]:
    """All steps, in order. Raises StoreError if their numbers have a hole (a broken installation)."""
    found: list[SchemaStep] = []
    for file in files("osgp.headend.store").joinpath("schema").iterdir():
        match = re.fullmatch(r"(\d{4})_\w+\.sql", file.name)
        if match:
            found.append(SchemaStep(int(match[1]), file.name, file.read_text("utf-8")))
    found.sort(key=lambda step: step.number)
    if [step.number for step in found] != list(range(1, len(found) + 1)):
        raise StoreError("the schema files are not complete", hint="install the package again")
    return found


def statements(sql: str) -> list[str]:
    """The single statements of a script (``executescript`` would commit before it starts)."""
    found: list[str] = []
    pending = ""
    for line in sql.splitlines():
        pending += line + "\n"
        if sqlite3.complete_statement(pending):
            found.append(pending.strip())
            pending = ""
    return found


def migrate(connection: sqlite3.Connection, place: str, *, upto: int | None = None) -> int:
    """Apply what is missing, up to step ``upto`` (default: all). Returns the number of steps applied.

    The connection must be in autocommit (``isolation_level=None``). Raises StoreError for a file that is no store or is newer.
    """
    steps = schema_steps()
    newest = len(steps)
    # One transaction, as its questions are only answered alike inside one: a process that makes the store meanwhile is
    # seen either before or after it has done so, and not as a stranger that has tables and no mark.
    connection.execute("BEGIN")
    try:
        version = _version(connection, place, newest)
    finally:
        _roll_back(connection)
    if version >= (newest if upto is None else upto):
        return 0
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have done it while we waited for the lock.
        before = _version(connection, place, newest)
        todo = [step for step in steps if step.number > before and (upto is None or step.number <= upto)]
        for step in todo:
            for statement in statements(step.sql):
                connection.execute(statement)
        if todo:
            connection.execute(f"PRAGMA user_version = {todo[-1].number}")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    except BaseException:
        _roll_back(connection)
        raise
    connection.execute("COMMIT")
    return len(todo)


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:  # after some errors (a full disk) SQLite has rolled back by itself
        connection.execute("ROLLBACK")


def _version(connection: sqlite3.Connection, place: str, newest: int) -> int:
    """The last step applied. Call it in a transaction. Raises StoreError for a file that is no store or is newer."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and (application or version or tables):
        raise StoreError(
            f"{place} is a database, but not a store of osgp", hint="name another file; this one is untouched"
        )
    if version > newest:
        raise StoreError(
            f"{place} was written by a newer osgp (schema {version}, this one knows {newest})",
            hint="update osgp; the file is untouched",
        )
    return int(version)
