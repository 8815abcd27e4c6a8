"""``osgp decode --door lon``: frames of a control network, one line each, with ``--explain`` every field."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Iterator
from typing import Any

from rich.text import Text

from osgp.analyse.lon_observer import LonRow
from osgp.cli.lon.rows import Carrier, Crc, lon_rows
from osgp.cli.output import EXIT_NO, console, plain, stderr, tree

__all__ = ["decode_lon", "row_document"]


def decode_lon(
    data: str, *, carrier: Carrier | None, crc: Crc, from_ip: str, to_ip: str, explain: bool, json: bool
) -> None:
    """Print the frames of ``data``; exit status 1 if none of them is sound. Raises ConfigError."""

    def tell(text: str) -> None:
        stderr.print(Text.assemble(("note: ", "bold yellow"), text))

    rows = lon_rows(data, carrier=carrier, crc=crc, from_ip=from_ip, to_ip=to_ip, tell=tell)
    sound = _print_json(rows, explain) if json else _print(rows, explain)
    if not sound:
        raise SystemExit(EXIT_NO)


def row_document(row: LonRow, *, explain: bool = False) -> dict[str, Any]:
    """A row as the command prints it: the contract of ``osgp decode``, and the line for people among the fields."""
    document = row.to_json(tree=explain)
    document["fields"] = {"text": row.text, **document["fields"]}
    return document


def _print_json(rows: Iterator[LonRow], explain: bool) -> int:
    """One JSON list, written as it grows: captures are long."""
    sound = 0
    joint = "["
    for row in rows:
        sound += row.ok
        document = jsonlib.dumps(plain(row_document(row, explain=explain)), ensure_ascii=False, default=str)
        sys.stdout.write(f"{joint}\n{document}")
        joint = ","
    sys.stdout.write("[]\n" if joint == "[" else "\n]\n")
    return sound


def _print(rows: Iterator[LonRow], explain: bool) -> int:
    sound = 0
    first: float | None = None
    for row in rows:
        sound += row.ok
        line = Text("✓ " if row.ok else "✗ ", style="green" if row.ok else "bold red")
        time_s = row.fields.get("time_s")
        if time_s is not None:
            first = time_s if first is None else first
            line.append(f"{row.fields['frame']:>6} {time_s - first:>11.6f}  ", style="dim")
        line.append(row.text, style="" if row.ok else "red")
        console.print(line, soft_wrap=True)
        if explain and row.tree is not None:
            console.print(tree(row.tree, "  every field"))
    return sound
