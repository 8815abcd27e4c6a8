"""``osgp demo --meters``: simulated meters, a collector that reads them through their doors, a store, pages."""

from __future__ import annotations

import asyncio
import signal
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from osgp.cli.output import EXIT_NO, print_json, print_table, stderr
from osgp.wire.errors import ConfigError

if TYPE_CHECKING:
    from osgp.headend.collect import Summary
    from osgp.headend.demo import DemoStreet
    from osgp.headend.demo_collection import DemoCollection
    from osgp.headend.store import Store

__all__ = ["MetersDemo", "demo_meters"]


@dataclass(frozen=True, slots=True)
class MetersDemo:
    """What ``osgp demo --meters`` was told; see there."""

    meters: int
    speed: float
    every: float
    history: float
    seed: int
    real_pace: bool

    def __post_init__(self) -> None:
        if not 1 <= self.meters <= 500:
            raise ConfigError("--meters is 1 to 500")
        if not (self.speed > 0 and self.every > 0 and 0 <= self.history <= 60):
            raise ConfigError("--speed and --every must be above 0, --history 0 to 60 days")


def demo_meters(told: MetersDemo, *, once: bool, json: bool, port: int, data: Path | None) -> None:
    """A collector reads meters through their own doors, keeps everything in SQLite, and shows it in the browser."""
    started = time.monotonic()
    with ExitStack() as stack:
        folder = data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="osgp-demo-")))
        from osgp.headend.demo import DemoStreet
        from osgp.headend.store import Store

        store = stack.enter_context(Store.open(folder / "demo.sqlite"))
        street = DemoStreet(
            told.meters, seed=told.seed, speed=told.speed, history=told.history, fast=not told.real_pace
        )
        errors = asyncio.run(_demo(store, street, started, once, json, port, told.every))
        if data is not None and not json:
            stderr.print(f"the store stays at {folder / 'demo.sqlite'}; osgp serve shows it again", style="dim")
    if once and errors:
        raise SystemExit(EXIT_NO)


async def _demo(
    store: Store, street: DemoStreet, started: float, once: bool, json: bool, port: int, every: float
) -> int:
    from osgp.headend.demo_collection import DemoCollection

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=stderr) as progress:
        building = progress.add_task("building meters", total=street.count)
        street.progress = lambda built: progress.update(building, completed=built)
        async with street:
            reading = progress.add_task("reading meters", total=street.count)
            collection = DemoCollection(store, street, every)
            first = asyncio.create_task(collection.collect(lambda done: progress.update(reading, completed=done)))
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait((first, stopping), return_when=asyncio.FIRST_COMPLETED)
            if not first.done():
                first.cancel()
                await asyncio.wait([first])
                raise KeyboardInterrupt
            summary = first.result()
            progress.stop()
            seconds = time.monotonic() - started
            _report(store, street, summary, seconds, json)
            if not once:
                await _stay(store, collection, port, stop)
            stopping.cancel()
    return summary.errors


async def _stay(store: Store, collection: DemoCollection, port: int, stop: asyncio.Event) -> None:
    """The pages, and the collection going on beside them."""
    from osgp.cli.serve import serve_pages

    going = asyncio.create_task(collection.go_on(stop))
    try:
        await serve_pages(store, collection, "127.0.0.1", port, (), stop)
    finally:
        stop.set()
        await going
    stderr.print("stopped", style="dim")


def _report(store: Store, street: DemoStreet, summary: Summary, seconds: float, json: bool) -> None:
    """What the first collection brought."""
    document = {
        "devices": summary.devices,
        "readings": summary.readings + summary.intervals,
        "errors": summary.errors,
        "seconds": round(seconds, 2),
    }
    if json:
        print_json(document)
        return
    from osgp.web.fleet.service import FleetService
    from osgp.web.live import Resting
    from osgp.web.rendering import quantity

    kinds = {meter.name: device.meter.model.name for meter, device in zip(street.meters, street.devices)}
    rows = []
    for row, held in zip(FleetService(store, Resting()).rows(), store.fleet()):
        rows.append(
            (
                row.name,
                kinds.get(row.name, row.model),
                row.serial,
                row.door,
                row.state,
                quantity(row.energy_import, "Wh"),
                quantity(row.power, "W"),
                held.intervals,
                held.events,
                ", ".join((*(text for severity, text in row.alarms if severity != "info"), *row.flags)),
            )
        )
    print_table(
        "",
        [
            "device",
            "model",
            "serial",
            "door",
            "state",
            "import>",
            "power>",
            "intervals>",
            "events>",
            "alarms and doubts",
        ],
        rows,
    )
    print_table("", ["devices>", "readings>", "errors>", "seconds>"], [tuple(document.values())])
