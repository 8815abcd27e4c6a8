"""Load profiles as CSV, Parquet and terminal plots."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from typing import Any

from osgp.tables.profile import Profile
from osgp.wire.errors import ConfigError

__all__ = ["as_csv", "as_parquet", "draw", "status_text"]


def _columns(profile: Profile) -> tuple[list[str], list[list[Any]]]:
    """Column names and rows: end time, one column for each channel with its unit, what the status says."""
    rows = []
    keys: list[str] = []
    for row in profile.rows():
        keys = keys or [key for key in row if key not in ("time", "flags", "status")]
        rows.append([row["time"], *(row[key] for key in keys), status_text(row)])
    names = [f"{key}[{channel.unit}]" if channel.unit else key for key, channel in zip(keys, profile.channels)]
    return ["time_utc", *names, "status"], rows


def status_text(row: dict[str, Any]) -> str:
    """The flags and channel statuses of one row of ``Profile.rows`` in words."""
    return "; ".join([*row["flags"], *(f"{key}: {text}" for key, text in row["status"].items())])


def as_csv(profile: Profile) -> str:
    """One line for each interval: end time in UTC, scaled snapshots, status text."""
    names, rows = _columns(profile)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(names)
    writer.writerows([row[0].isoformat(), *row[1:]] for row in rows)
    return out.getvalue()


def as_parquet(profile: Profile, path: Path) -> None:
    """The same columns, typed, as a Parquet file. ConfigError if pyarrow is missing or the file cannot be written."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise ConfigError("Parquet needs pyarrow", hint="pip install 'osgp[store]'") from error
    names, rows = _columns(profile)
    try:
        pq.write_table(
            pa.table({name: pa.array([row[place] for row in rows]) for place, name in enumerate(names)}), path
        )
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error}") from error


def draw(profile: Profile) -> None:
    """A plot in the terminal: what each counter gained in an interval, or the value of what is no counter."""
    try:
        import plotext
    except ImportError as error:
        raise ConfigError("plots need plotext", hint="pip install 'osgp[cli]'") from error
    rows = list(profile.rows(differences=True))[1:]
    if len(rows) < 2:
        raise ConfigError(f"{len(rows)} intervals make no plot")
    keys = [key for key in rows[0] if key not in ("time", "flags", "status")]
    plotext.clear_figure()
    plotext.theme("clear")
    for key, channel in zip(keys, profile.channels):
        values = [row[key] for row in rows]
        label = f"{channel.name} [{channel.unit}]" if channel.unit else channel.name
        plotext.plot(list(range(len(rows))), [float("nan") if v is None else v for v in values], label=label)
    step = max(1, len(rows) // 6)
    marks = list(range(0, len(rows), step))
    plotext.xticks(marks, [f"{rows[place]['time']:%d.%m. %H:%M}" for place in marks])
    plotext.plotsize(min(120, plotext.terminal_width() or 100), 24)
    drawn = plotext.build()
    sys.stdout.write((drawn if sys.stdout.isatty() else plotext.uncolorize(drawn)) + "\n")
