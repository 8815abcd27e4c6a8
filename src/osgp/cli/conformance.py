"""``osgp conformance``: every declaration and every clause, with document, page, provenance and tests."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Literal

from cyclopts import Parameter

from osgp.analyse.conformance import DOCUMENTS, Row, rows
from osgp.cli.output import console, print_json, print_table
from osgp.wire.errors import ConfigError

__all__ = ["conformance"]


def conformance(
    *,
    kind: Annotated[
        str | None,
        Parameter(help="only table, procedure, struct, bits, measurement, source, event or clause"),
    ] = None,
    document: Annotated[str | None, Parameter(help="only the clauses of one document, for example mep")] = None,
    provenance: Annotated[
        Literal["verified", "unverified", "project choice"] | None,
        Parameter(help="only rows whose least sure field is this"),
    ] = None,
    json: Annotated[bool, Parameter(name="--json", help="print one JSON document")] = False,
) -> None:
    """List every declaration and clause with its document, page or clause, provenance and tests."""
    if document is not None and document not in DOCUMENTS:
        raise ConfigError(f"no document {document!r}", hint=f"documents: {', '.join(DOCUMENTS)}")
    found = rows()
    kinds = {row.kind for row in found}
    if kind is not None and kind not in kinds:
        raise ConfigError(f"no kind {kind!r}", hint=f"kinds: {', '.join(sorted(kinds))}")
    chosen = [
        row
        for row in found
        if (kind is None or row.kind == kind)
        and (document is None or (row.kind == "clause" and row.name.startswith(f"{document} ")))
        and (provenance is None or row.worst == provenance)
    ]
    if json:
        print_json([row.to_json() for row in chosen])
        return
    print_table(
        "Declarations and clauses",
        ["kind", "name", "what", "from", "fields>", "provenance", "tests>"],
        [_cells(row) for row in chosen],
    )
    console.print(_sum(chosen), markup=False)


def _cells(row: Row) -> tuple[object, ...]:
    sure = row.provenance if row.worst == row.provenance else f"{row.provenance}, in part {row.worst}"
    if row.state and row.state != "done":
        sure += f"; {row.state}: {row.reason}"
    place = row.clause if row.kind != "clause" else row.document
    return row.kind, row.name, row.title, place or row.document, row.fields or "", sure, len(row.tests)


def _sum(chosen: list[Row]) -> str:
    kinds = Counter(row.kind for row in chosen)
    sure = Counter(row.worst for row in chosen)
    return (
        f"{len(chosen)} rows ("
        + ", ".join(f"{number} {kind}" for kind, number in kinds.items())
        + "): "
        + ", ".join(f"{number} {name}" for name, number in sure.most_common())
    )
