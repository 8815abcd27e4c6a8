"""``osgp collect`` and ``osgp export``: many devices into a store by schedule, and out of it again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from osgp.cli.output import EXIT_NO, EXIT_SILENCE, console, print_json, stderr
from osgp.wire.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from osgp.headend.collect import Summary
    from osgp.headend.config import CollectConfig
    from osgp.headend.store import Store

__all__ = ["collect", "export"]

Json = Annotated[bool, Parameter(name="--json", help="print one JSON document")]


def collect(
    config: Path | None = None,
    /,
    *,
    once: Annotated[bool, Parameter(help="visit every device once, then end")] = False,
    example: Annotated[bool, Parameter(help="print a commented configuration")] = False,
    verbose: Annotated[bool, Parameter(help="tell on stderr what happens")] = False,
    json: Json = False,
) -> None:
    """Read many devices by schedule and keep everything in a store, until Ctrl-C.

    Parameters
    ----------
    config
        the configuration (TOML); --example prints one
    """
    # Here, so that the list of commands needs nothing but the extra cli.
    from osgp.headend.config import EXAMPLE, load_config
    from osgp.headend.store import Store

    if example:
        sys.stdout.write(EXAMPLE)
        return
    if config is None:
        raise ConfigError("which configuration?", hint="osgp collect FILE.toml; --example prints one")
    if verbose:
        logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    wanted = load_config(config)
    with Store.open(wanted.store) as store:
        try:
            summary = asyncio.run(_collect(wanted, store, once))
        except* StoreError as group:
            raise group.exceptions[0] from None
    if summary is None:
        return
    document = {
        "devices": summary.devices,
        "readings": summary.readings,
        "intervals": summary.intervals,
        "events": summary.events,
        "raws": summary.raws,
        "flagged": summary.flagged,
        "errors": summary.errors,
        "seconds": summary.seconds,
        "outcomes": summary.outcomes,
        "store": str(wanted.store),
    }
    if json:
        print_json(document)
    else:
        console.print(
            f"{summary.devices} devices, {summary.readings} readings, {summary.intervals} intervals, "
            f"{summary.events} events, {summary.flagged} flagged, {summary.errors} errors in {summary.seconds:.1f} s"
        )
    if summary.errors:
        raise SystemExit(EXIT_SILENCE if summary.silent == summary.devices else EXIT_NO)


async def _collect(config: CollectConfig, store: Store, once: bool) -> Summary | None:
    from osgp.headend.collect import Collector, StepStored, VisitEnded, VisitRetried, VisitStarted

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=stderr,
        transient=once,
    ) as progress:
        task = progress.add_task("devices", total=len(config.device) if once else None)

        def seen(event: Any) -> None:
            match event:
                case VisitStarted(device):
                    progress.update(task, description=f"reading {device}")
                case StepStored(device, what, _):
                    progress.update(task, description=f"{device}: {what}")
                case VisitRetried(device, attempt, pause, reason):
                    progress.console.print(f"{device}: {reason}; attempt {attempt} in {pause:.1f} s", markup=False)
                case VisitEnded(device, outcome, kept, error, hint, _):
                    progress.advance(task)
                    if outcome != "ok":
                        progress.console.print(
                            f"{device}: {outcome}: {error}" + (f" ({hint})" if hint else ""), markup=False
                        )
                    elif not once:
                        progress.console.print(
                            f"{device}: {kept.readings} readings, {kept.intervals} intervals, {kept.events} events",
                            markup=False,
                        )

        collector = Collector(config, store, progress=seen)
        if once:
            return await collector.run_once()
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        running = asyncio.ensure_future(collector.run_forever(stop))

        def asked_to_stop() -> None:
            if stop.is_set():  # the second time: at once
                running.cancel()
            else:
                progress.console.print("ending the steps under way; once more to end at once", markup=False)
                stop.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):  # no signals in this loop: Ctrl-C ends us less gently
                loop.add_signal_handler(number, asked_to_stop)
        await asyncio.wait([running])
        if not running.cancelled():
            running.result()
        return None


def export(
    store: Path,
    device: str,
    /,
    *,
    format: Annotated[Literal["csv", "parquet"], Parameter(help="csv or parquet")] = "csv",
    what: Annotated[Literal["profile", "readings", "events"], Parameter(help="what to write")] = "profile",
    data_set: Annotated[int, Parameter(help="load profile data set")] = 1,
    since: Annotated[str | None, Parameter(help="from when on: 7d, 12h, 2026-11-01 (UTC)")] = None,
    output: Annotated[Path | None, Parameter(help="the file to write (default: stdout, CSV only)")] = None,
    json: Json = False,
) -> None:
    """Write what the store has of a device as CSV or Parquet.

    Parameters
    ----------
    store
        the store's file
    device
        the device's name
    """
    from osgp.cli.device import moment
    from osgp.headend.store import Store
    from osgp.headend.store.export import export as write

    if json and output is None:
        raise ConfigError("--json needs --output", hint="CSV goes to stdout")
    start = moment(since)
    with Store.open(store, create=False) as opened:
        rows = write(
            opened,
            device,
            output if output is not None else sys.stdout,
            format=format,
            what=what,
            data_set=data_set,
            since=None if start is None else start.timestamp(),
        )
    if output is not None and json:
        print_json({"file": str(output), "rows": rows})
    elif output is not None:
        stderr.print(f"{rows} rows in {output}", markup=False)
