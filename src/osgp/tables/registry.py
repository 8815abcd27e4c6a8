"""Finding declarations: by number or name, loaded when first asked for.

The declarations of the guides live in ``bt/``, ``et/`` and ``procedures/``, one file each, named after the table. Makers'
tables and quirks are further files of the same kind, found through the entry point group ``osgp.tables`` or loaded from a
directory (``load_directory``), without touching ours.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

from osgp.tables.mentioned import MENTIONED
from osgp.tables.table import PENDING, USER, Procedure, Table, number_of, procedure_name, table_name
from osgp.wire.errors import ConfigError

__all__ = [
    "all_procedures",
    "all_tables",
    "find_procedure",
    "find_table",
    "load_directory",
    "procedure",
    "table",
    "table_numbers",
]

_extra: dict[int, type[Table]] = {}
_extra_procedures: dict[int, type[Procedure]] = {}
_entry_points_read: list[bool] = []


@cache
def _modules(kind: str) -> dict[str, str]:
    package = importlib.import_module(f"osgp.tables.{kind}")
    return {
        name.upper(): f"osgp.tables.{kind}.{name}"
        for _, name, _ in pkgutil.iter_modules(package.__path__)
        if re.fullmatch(r"(bt|et|bp|ep)\d{2,3}", name)
    }


def _collect(module: ModuleType) -> None:
    for value in vars(module).values():
        if isinstance(value, type) and value.__module__ == module.__name__:
            if issubclass(value, Table) and "number" in vars(value):
                _extra[value.number] = value
            elif issubclass(value, Procedure) and "number" in vars(value):
                _extra_procedures[value.number] = value


def _entry_points() -> None:
    if _entry_points_read:
        return
    _entry_points_read.append(True)
    for point in importlib.metadata.entry_points(group="osgp.tables"):
        _collect(importlib.import_module(point.value.partition(":")[0]))


def load_directory(directory: str | Path) -> int:
    """Load every declaration file (``*.py``) of a directory; answers how many modules. Later ones win over earlier.

    The files are Python and are executed: load only what you trust. Raises ConfigError.
    """
    folder = Path(directory)
    if not folder.is_dir():
        raise ConfigError(f"{directory} is no directory of table declarations")
    files = sorted(folder.glob("*.py"))
    for file in files:
        spec = importlib.util.spec_from_file_location(f"osgp_tables_{file.stem}", file)
        if spec is None or spec.loader is None:
            raise ConfigError(f"cannot load {file.name}")
        module = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except (ImportError, SyntaxError, NameError, TypeError, ValueError) as error:
            raise ConfigError(f"{file.name} is no valid declaration: {error}") from error
        _collect(module)
    return len(files)


def find_table(number: int) -> type[Table] | None:
    """The declaration of a table, or None. A pending number gives the table it stands for."""
    number &= ~PENDING
    _entry_points()
    if number in _extra:
        return _extra[number]
    if number >= USER:
        return None
    name = table_name(number)
    module = _modules(name[:2].lower()).get(name)
    if module is None:
        return None
    found: type[Table] = getattr(importlib.import_module(module), name)
    return found


def table(which: int | str) -> type[Table]:
    """The declaration of a table by number or name (23, "BT23", "ET52"). Raises ConfigError if there is none."""
    number = which if isinstance(which, int) else number_of(which)
    found = find_table(number)
    if found is None:
        known = MENTIONED.get(number & ~PENDING)
        hint = (
            f"the guides name it ({known}) but do not lay it out" if known else "`osgp tables` lists all declarations"
        )
        raise ConfigError(f"no layout is declared for table {table_name(number)} ({number})", hint=hint)
    return found


def table_numbers() -> list[int]:
    """The numbers of all declared tables, without loading them."""
    _entry_points()
    return sorted({number_of(name) for kind in ("bt", "et") for name in _modules(kind)} | set(_extra))


def all_tables() -> Iterator[type[Table]]:
    """Every declared table, by number."""
    for number in table_numbers():
        yield table(number)


def find_procedure(number: int) -> type[Procedure] | None:
    """The declaration of a procedure, or None."""
    _entry_points()
    if number in _extra_procedures:
        return _extra_procedures[number]
    name = procedure_name(number)
    module = _modules("procedures").get(name)
    if module is None:
        return None
    found: type[Procedure] = getattr(importlib.import_module(module), name)
    return found


def procedure(which: int | str) -> type[Procedure]:
    """The declaration of a procedure by number or name (2065, "EP17"). Raises ConfigError if there is none."""
    number = which if isinstance(which, int) else number_of(which)
    found = find_procedure(number)
    if found is None:
        raise ConfigError(
            f"no procedure {procedure_name(number)} ({number}) is declared",
            hint="`osgp tables --procedures` lists them",
        )
    return found


def all_procedures() -> Iterator[type[Procedure]]:
    """Every declared procedure, by number."""
    _entry_points()
    numbers = {number_of(name) for name in _modules("procedures")} | set(_extra_procedures)
    for number in sorted(numbers):
        yield procedure(number)
