"""``osgp sim domains``: many domains of meters at once, with real bytes in every frame."""

from __future__ import annotations

import csv
import itertools
import random
import time
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Self

from cyclopts import Parameter
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from osgp.cli.output import EXIT_NO, print_json, print_table, stderr
from osgp.wire.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from osgp.ports.capture import CaptureWriter
    from osgp.sim.domains.content.messages import Contents
    from osgp.sim.domains.content.run import Batch, Summary

__all__ = ["domains"]

_DAY_S = 86400.0


def domains(
    *,
    domains: Annotated[int, Parameter(help="how many domains, a transformer each")] = 10,
    meters: Annotated[int, Parameter(help="meters of a domain, 1 to 127")] = 100,
    streets: Annotated[int, Parameter(help="different streets; the domains are these again and again")] = 8,
    length: Annotated[float, Parameter(help="of a street, in metres")] = 3000.0,
    hours: Annotated[float, Parameter(help="simulated hours, a week at most")] = 1.0,
    every: Annotated[float, Parameter(help="seconds from one poll of a domain to the next; 0: without a pause")] = 0.0,
    reports: Annotated[float, Parameter(help="alerts a day of each meter, at random times; 0: none")] = 24.0,
    first: Annotated[int, Parameter(help="first register that is read, a place in BT23's summations")] = 0,
    registers: Annotated[int, Parameter(help="how many registers are read")] = 15,
    seed: Annotated[int, Parameter(help="decides streets, slots, losses, keys and loads")] = 1,
    start: Annotated[datetime | None, Parameter(help="when it begins, UTC; a winter evening without it")] = None,
    capture: Annotated[Path | None, Parameter(help="write received frames to a .pcap or .pcapng file")] = None,
    frames: Annotated[int, Parameter(help="how many frames the capture holds at most")] = 10_000,
    readings: Annotated[Path | None, Parameter(help="write what was read to a .csv or .parquet file")] = None,
    json: Annotated[bool, Parameter(name="--json", help="print one JSON document")] = False,
) -> None:
    """Poll the meters of many domains over repeaters, with real frames, AES-128 tags and tables behind every frame.

    Access, collisions, losses and repeating are those of the fast simulation; every frame that comes through somewhere has the bytes
    that ordinary nodes would send, and is checked and read there. The same seed gives the same figures, readings and capture.
    """
    if not (domains >= 1 and streets >= 1 and frames >= 0):
        raise ConfigError("--domains and --streets are 1 or more, --frames 0 or more")
    if not (0 < hours <= 168 and every >= 0 and 0 <= reports <= _DAY_S and length > 0):
        raise ConfigError(
            "--hours and --length are above 0, --hours at most a week, --every 0 or more, --reports 0 to 86400"
        )
    begun = time.monotonic()
    try:
        from osgp.sim.domains.content.messages import START, Contents
        from osgp.sim.domains.content.run import Summary, load_for, produce
        from osgp.sim.domains.model import Domains, street
    except ImportError as error:
        raise ConfigError(f"this needs {error.name}", hint="pip install 'osgp[sim]'") from error
    moment = START if start is None else start.replace(tzinfo=start.tzinfo or UTC)
    contents = Contents(first=first, count=registers, start=moment)
    load = load_for(contents, poll_every_s=every, report_every_s=_DAY_S / reports if reports else None)
    summary = Summary()
    with ExitStack() as stack:
        outputs: list[_Frames | _Readings] = []
        if capture is not None:
            outputs.append(_Frames(stack.enter_context(_capture(capture)), frames, moment))
        if readings is not None:
            outputs.append(stack.enter_context(_Readings(readings, contents, moment)))
        progress = stack.enter_context(
            Progress(
                TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), console=stderr, transient=True
            )
        )
        task = progress.add_task("planning", total=min(streets, domains) + domains)
        made = []
        for number in range(min(streets, domains)):
            made.append(street(meters, random.Random(f"{seed} {number}"), load, length_m=length))
            progress.advance(task)
        progress.update(task, description="simulating")
        arrays = Domains.of(list(itertools.islice(itertools.cycle(made), domains)))
        for batch in produce(arrays, hours * 3600, seed, contents=contents):
            summary.add(batch)
            for output in outputs:
                output.take(batch)
            progress.advance(task)
    took_s = time.monotonic() - begun
    if json:
        print_json({**_figures(summary, contents, seed), "wall_s": round(took_s, 3), **_speed(summary, took_s)})
    else:
        _show(summary, contents, seed, took_s)
    if summary.refused or (summary.polls and not summary.reads):
        raise SystemExit(EXIT_NO)


# ---- files -------------------------------------------------------------------------------------------------------------
def _capture(path: Path) -> CaptureWriter:
    from osgp.ports.capture import CaptureWriter

    return CaptureWriter(path, carrier="lpdu")


class _Frames:
    """The first received frames into a capture, domain after domain."""

    def __init__(self, writer: CaptureWriter, most: int, start: datetime) -> None:
        self.writer = writer
        self.left = most
        self.start_ns = round(start.timestamp()) * 10**9

    def take(self, batch: Batch) -> None:
        """As many as there is room for."""
        for row in range(min(self.left, batch.count)):
            when = self.start_ns + int(batch.time_us[row]) * 1000
            self.writer.write_lpdu(batch.frame(row)[:-2], time_ns=when)
            self.left -= 1


class _Readings(AbstractContextManager["_Readings"]):
    """Readings into a CSV or Parquet file, a row for each answer: domain, meter, time of arrival, registers."""

    def __init__(self, path: Path, contents: Contents, start: datetime) -> None:
        self.path = path
        self.names = ["domain", "meter", "time_utc", *contents.names]
        self.start = start
        self._stack = ExitStack()
        kind = path.suffix.lower()
        if kind not in (".csv", ".parquet"):
            raise ConfigError(f"{path}: readings are written as .csv or .parquet")
        try:
            self._write = self._csv() if kind == ".csv" else self._parquet()
        except OSError as error:
            raise ConfigError(f"cannot write {path}: {error.strerror or error}") from error

    def _csv(self) -> Any:
        stream = self._stack.enter_context(self.path.open("w", newline="", encoding="utf-8"))
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(self.names)

        def write(domain: Any, meter: Any, moments: Any, values: Any) -> None:
            import numpy as np

            times = [f"{text}Z" for text in np.datetime_as_string(moments, "ms").tolist()]
            writer.writerows(
                [one, node, when, *row]
                for one, node, when, row in zip(domain.tolist(), meter.tolist(), times, values.tolist(), strict=True)
            )

        return write

    def _parquet(self) -> Any:
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError as error:
            raise ConfigError("Parquet needs pyarrow", hint="pip install 'osgp[store]'") from error
        kinds = [pa.uint32(), pa.uint8(), pa.timestamp("us", "UTC"), *[pa.int64()] * (len(self.names) - 3)]
        schema = pa.schema(list(zip(self.names, kinds, strict=True)))
        writer = self._stack.enter_context(pq.ParquetWriter(self.path, schema))

        def write(domain: Any, meter: Any, moments: Any, values: Any) -> None:
            columns = [domain, meter, moments, *values.T]
            writer.write_table(
                pa.table([pa.array(each).cast(kind) for each, kind in zip(columns, kinds, strict=True)], schema=schema)
            )

        return write

    def take(self, batch: Batch) -> None:
        """One domain more. Raises StoreError where nothing can be written any further."""
        import numpy as np

        read = batch.readings
        begun = np.datetime64(self.start.astimezone(UTC).replace(tzinfo=None), "us")
        moments = begun + read.time_us.astype("timedelta64[us]")
        try:
            self._write(np.full(len(moments), batch.domain + 1), read.meter, moments, read.values)
        except OSError as error:
            raise StoreError(f"cannot write {self.path} any further: {error.strerror or error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


# ---- figures -----------------------------------------------------------------------------------------------------------
def _figures(summary: Summary, contents: Contents, seed: int) -> dict[str, Any]:
    crc_bad = summary.verdicts["bad_crc"]
    return {
        "domains": summary.domains,
        "meters": summary.meters,
        "simulated_s": summary.simulated_s,
        "seed": seed,
        "frames_sent": summary.sent,
        "frames_delivered": summary.delivered,
        "bytes": summary.bytes,
        "polls": summary.polls,
        "reads": summary.reads,
        "readings": summary.readings,
        "registers": contents.names,
        "alerts": summary.alerts,
        "crc_checked": summary.delivered,
        "crc_bad": crc_bad,
        "tags_checked": summary.tags,
        "tags_bad": summary.verdicts["bad_tag"],
        "verdicts": dict(sorted(summary.verdicts.items())),
        "refused": summary.refused,
    }


def _speed(summary: Summary, took_s: float) -> dict[str, float]:
    return {
        "times_real_time": round(summary.simulated_s / took_s, 1),
        "meter_seconds_per_s": round(summary.meter_seconds / took_s),
        "frames_per_s": round(summary.delivered / took_s),
    }


def _show(summary: Summary, contents: Contents, seed: int, took_s: float) -> None:
    speed = _speed(summary, took_s)
    verdicts = summary.verdicts
    print_table(
        f"{summary.domains} domains, {summary.meters} meters, {summary.simulated_s / 3600:g} h, seed {seed}"
        f"  ({took_s:.1f} s, {speed['times_real_time']:,.0f} times real time)",
        ["what", "figure>", ""],
        [
            ("frames sent", summary.sent, ""),
            ("frames received", summary.delivered, f"{summary.bytes:,} bytes, {speed['frames_per_s']:,.0f} a second"),
            ("CRC wrong", verdicts["bad_crc"], f"of {summary.delivered}"),
            ("handed on", verdicts["handed_on"], "by repeaters, who look at the list of those to come"),
            ("accepted", verdicts["accepted"], "CRC, tag, counter and contents are right"),
            ("repeated", verdicts["repeated"], "the stored response went out again"),
            ("too late", verdicts["unexpected"], "answers that nobody waited for any more"),
            ("tags computed", summary.tags, f"{verdicts['bad_tag']} frames had a wrong one"),
            ("polls answered", f"{summary.reads} of {summary.polls}", contents.path),
            ("registers read", summary.readings, ", ".join(contents.names[:3]) + " …" * (contents.count > 3)),
            ("alerts", summary.alerts, ""),
            ("refused", summary.refused, ""),
        ],
    )
