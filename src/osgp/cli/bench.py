"""``osgp bench``: our speed against peers, measured side by side."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter
from rich.progress import Progress, SpinnerColumn, TextColumn

from osgp.bench.frame import Row, each_row, known_groups
from osgp.cli.output import EXIT_NO, print_json, print_table, stderr
from osgp.wire.errors import ConfigError

__all__ = ["bench"]


def bench(
    *groups: str,
    quick: Annotated[bool, Parameter(help="at most 45 seconds for each group")] = False,
    check: Annotated[bool, Parameter(help="exit with 1 if a ratio is below its floor")] = False,
    json: Annotated[bool, Parameter(name="--json", help="print one JSON document")] = False,
) -> None:
    """Measure ours against a peer, interleaved in one run. Only ratios mean something.

    Parameters
    ----------
    groups
        which groups; all without any
    """
    known = known_groups()
    for name in groups:
        if name not in known:
            raise ConfigError(f"no bench group {name!r}", hint=f"groups: {', '.join(sorted(known))}")
    rows: list[Row] = []
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), console=stderr, transient=True) as progress:
        task = progress.add_task("warming up", total=None)
        for row in each_row(groups, quick):
            rows.append(row)
            progress.update(task, description=f"{row.group}: {row.name}")
    if json:
        print_json([row.as_json() for row in rows])
    else:
        print_table(
            "ours against a peer (rates, higher is better)",
            ["group", "what", "ours>", "peer>", "unit", "ratio>", "goal>", "verdict", "peer"],
            [
                (
                    row.group,
                    row.name,
                    f"{row.ours:,.0f}",
                    "" if row.peer is None else f"{row.peer:,.0f}",
                    row.unit,
                    "" if row.ratio is None else f"{row.ratio:.2f}",
                    " ".join(f"{goal:g}" for goal in (row.floor, row.stretch) if goal is not None),
                    row.verdict,
                    f"{row.peer_name} {row.peer_version}".strip(),
                )
                for row in rows
            ],
        )
    if check and any(row.verdict == "below floor" for row in rows):
        raise SystemExit(EXIT_NO)
