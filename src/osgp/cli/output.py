"""What every command shares: where results go, how errors speak, and the exit status.

The contract others rely on: ``--json`` prints one JSON document on stdout and nothing else; logs and progress go to stderr;
exit status 0 success, 1 the device or the data said no, 2 wrong use, 3 nobody answered. Project choice, kept stable.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text as RichText
from rich.tree import Tree

from osgp.wire import Bits, Struct
from osgp.wire.errors import ConfigError, Error, LinkError
from osgp.wire.explain import ExplainNode

__all__ = [
    "EXIT_NO",
    "EXIT_SILENCE",
    "EXIT_USE",
    "console",
    "exit_status",
    "guarded",
    "plain",
    "print_json",
    "print_table",
    "stderr",
    "tree",
]

EXIT_NO = 1
EXIT_USE = 2
EXIT_SILENCE = 3

console = Console(highlight=False, soft_wrap=False, width=None if sys.stdout.isatty() else 160)
stderr = Console(stderr=True, highlight=False)


def plain(value: Any) -> Any:
    """Any of our values as plain JSON; a number that is none, or infinite, is null: JSON has no such numbers."""
    if isinstance(value, Struct):
        return value.to_json()
    if isinstance(value, Bits):
        return value.to_json()
    if hasattr(value, "to_json") and callable(value.to_json):
        return plain(value.to_json())
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    if isinstance(value, dt.datetime):
        return value.isoformat()
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {key.name: plain(getattr(value, key.name)) for key in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return str(value)
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(part) for part in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(plain(value), indent=2, ensure_ascii=False, default=str) + "\n")


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table for people."""
    table = RichTable(title=title or None, title_justify="left", header_style="bold")
    for column in columns:
        right = column.endswith(">")
        table.add_column(column.rstrip(">"), justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(RichText("" if cell is None else str(cell)) for cell in row))
    console.print(table)


def tree(node: ExplainNode, title: str = "") -> Tree:
    """An explained tree in colour: offset, bytes, name, meaning, document."""
    root = Tree(_line(node) if not title else RichText(title, style="bold"))
    _grow(root, node)
    if node.error:
        root.add(RichText(node.error, style="bold red"))
    return root


def _grow(branch: Tree, node: ExplainNode) -> None:
    for child in node.children:
        _grow(branch.add(_line(child)), child)


def _line(node: ExplainNode) -> RichText:
    line = RichText()
    place = f"{node.offset:04d}" if node.bit is None else f"{node.offset:04d}.{node.bit}"
    line.append(f"{place:<7} ", style="dim")
    if node.raw and len(node.raw) <= 12:
        line.append(node.raw.hex(" ").upper() + "  ", style="cyan")
    line.append(node.orig or node.name, style="bold")
    if node.text:
        line.append(f"  {node.text}", style="green")
    if node.doc:
        line.append(f"  {node.doc}", style="dim")
    if node.status and node.status != "verified":
        line.append(f"  [{node.status}]", style="yellow")
    return line


def exit_status(error: Error) -> int:
    """The exit status that an error stands for."""
    if isinstance(error, ConfigError):
        return EXIT_USE
    if isinstance(error, LinkError):
        return EXIT_SILENCE
    return EXIT_NO


def fail(error: Error) -> NoReturn:
    """Say an error to a person on stderr, hint included, and leave with its status."""
    stderr.print(RichText.assemble(("error: ", "bold red"), str(error)))
    if error.hint:
        stderr.print(RichText.assemble(("  hint: ", "bold"), error.hint))
    raise SystemExit(exit_status(error))


def guarded(run: Callable[[], Any]) -> Any:
    """Run a command; our errors become words and an exit status, a broken pipe or Ctrl-C ends quietly."""
    try:
        return run()
    except Error as error:
        fail(error)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
