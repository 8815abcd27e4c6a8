"""Out of the store into files that other programs read: CSV and Parquet. Project choice.

Readings are long (one row per value), load profiles wide (one row per interval, one column per channel, scaled, with its unit
in the column's name). Times are UTC. Parquet needs ``pyarrow``, which the extra ``store`` brings.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Literal

from osgp.headend.plausibility import flag_names
from osgp.headend.store.database import Store
from osgp.tables.profile import Profile
from osgp.wire.errors import ConfigError, StoreError

__all__ = ["What", "columns_of", "export"]

What = Literal["profile", "readings", "events"]


def _moment(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def columns_of(profile: Profile) -> list[str]:
    """Names of the value columns: ``fwd_active_energy_wh`` …; a key that occurs twice gets its channel number."""
    seen: set[str] = set()
    names: list[str] = []
    for channel in profile.channels:
        name = channel.key + (f"_{channel.unit.lower()}" if channel.unit else "")
        names.append(f"{name}_{channel.number}" if name in seen else name)
        seen.add(name)
    return names


def _profile_rows(
    store: Store, device: str, data_set: int, since: float | None, until: float | None
) -> tuple[list[str], Iterator[list[Any]]]:
    parts = store.profiles(device, data_set, since=since, until=until)
    columns: list[str] = []
    for part in parts:
        columns += [name for name in columns_of(part) if name not in columns]

    def rows() -> Iterator[list[Any]]:
        for part in parts:
            names = columns_of(part)
            places = [names.index(name) if name in names else None for name in columns]
            for epoch, row in zip(part.epochs(), part.rows()):
                values = [row[key] for key in list(row)[3:]]
                trouble = [f"{key}: {text}" for key, text in row["status"].items()]
                yield [
                    epoch,
                    "; ".join([*row["flags"], *trouble]),
                    *(None if place is None else values[place] for place in places),
                ]

    return ["time", "status", *columns], rows()


def _reading_rows(
    store: Store, device: str, since: float | None, until: float | None
) -> tuple[list[str], Iterator[list[Any]]]:
    found = store.readings(device, since=since, until=until)
    return ["time", "name", "value", "unit", "flags", "collected"], (
        [each.time, each.name, each.value, each.unit, " ".join(flag_names(each.flags)), each.wall] for each in found
    )


def _event_rows(
    store: Store, device: str, since: float | None, until: float | None
) -> tuple[list[str], Iterator[list[Any]]]:
    found = store.events(device, since=since, until=until)[::-1]
    return ["time", "log", "sequence", "code", "argument", "text", "raw"], (
        [each.time, each.log, each.sequence, each.code, each.argument, each.text, each.raw.hex()] for each in found
    )


def export(
    store: Store,
    device: str,
    target: Path | IO[str],
    *,
    format: Literal["csv", "parquet"] = "csv",
    what: What = "profile",
    data_set: int = 1,
    since: float | None = None,
    until: float | None = None,
) -> int:
    """Write what the store has of a device; returns the number of rows. ``target``: a file, or an open text stream (CSV).

    Raises StoreError (no such device, the file cannot be written), ConfigError (Parquet without its library or to a stream).
    """
    store.device(device)
    if what == "profile":
        names, rows = _profile_rows(store, device, data_set, since, until)
    elif what == "readings":
        names, rows = _reading_rows(store, device, since, until)
    else:
        names, rows = _event_rows(store, device, since, until)
    try:
        if format == "parquet":
            if not isinstance(target, Path):
                raise ConfigError("Parquet is no text: it needs a file", hint="add --output FILE.parquet")
            return _parquet(names, list(rows), target)
        if isinstance(target, Path):
            with target.open("w", newline="", encoding="utf-8") as file:
                return _csv(names, rows, file)
        return _csv(names, rows, target)
    except OSError as error:
        raise StoreError(f"the export cannot be written: {error.strerror or error}") from error


_TIMES = ("time", "collected")


def _csv(names: Sequence[str], rows: Iterator[list[Any]], file: IO[str] | io.TextIOBase) -> int:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(names)
    count = 0
    when = [place for place, name in enumerate(names) if name in _TIMES]
    for row in rows:
        for place in when:
            row[place] = "" if row[place] is None else _moment(row[place])
        writer.writerow(row)
        count += 1
    return count


def _parquet(names: Sequence[str], rows: list[list[Any]], path: Path) -> int:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise ConfigError("Parquet needs pyarrow", hint="pip install 'osgp[store]', or use --format csv") from error
    columns: dict[str, Any] = {}
    for place, name in enumerate(names):
        cells = [row[place] for row in rows]
        if name in _TIMES:
            whole = [None if cell is None else round(cell * 1000) for cell in cells]
            columns[name] = pa.array(whole, pa.timestamp("ms", tz="UTC"))
        elif name == "value":
            # Numbers and texts do not share a column there.
            numbers = [cell if isinstance(cell, int | float) else None for cell in cells]
            columns["value"] = pa.array(numbers, pa.float64())
            columns["text"] = pa.array([cell if isinstance(cell, str) else None for cell in cells], pa.string())
        else:
            columns[name] = pa.array(cells)
    parquet.write_table(pa.table(columns), path)
    return len(rows)
