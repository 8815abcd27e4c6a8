"""``osgp demo``: a street on a simulated power line, its data concentrator, and the page that shows them at work."""

from __future__ import annotations

import asyncio
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from osgp.cli.output import EXIT_NO, print_json, print_table, stderr
from osgp.wire.errors import ConfigError

if TYPE_CHECKING:
    from osgp.street.live import LiveStreet
    from osgp.street.run import StreetRun
    from osgp.web.street.service import StreetWatch

__all__ = ["StreetDemo", "demo_street"]

_JOURNAL = "street.sqlite"
_LOOK_S = 0.5
_TROUBLE_AFTER_H = 1.0


@dataclass(frozen=True, slots=True)
class StreetDemo:
    """What ``osgp demo`` was told; see there."""

    houses: int
    hours: float
    speed: float
    seed: int

    def __post_init__(self) -> None:
        from osgp.street.plan import MOST_DEVICES

        if not 1 <= self.houses <= MOST_DEVICES:
            raise ConfigError(f"--houses is 1 to {MOST_DEVICES}")
        if not (0 < self.speed < 1e5 and 0.5 <= self.hours <= 24 * 366):
            raise ConfigError("--speed is above 0, --hours is 0.5 to a year")
        if not 0 <= self.seed <= 0xFFFF:
            raise ConfigError("--seed is 0 to 65535")


def demo_street(told: StreetDemo, *, once: bool, json: bool, port: int, data: Path | None) -> None:
    """A bounded run with a summary, or a street that goes on and its page until Ctrl-C."""
    with ExitStack() as stack:
        folder = data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="osgp-demo-")))
        journal = folder / _JOURNAL
        if journal.exists():
            raise ConfigError(
                f"{journal} is there already", hint="a street begins with a new journal: give another directory"
            )
        if once:
            lost = _once(told, journal, json)
        else:
            lost = False
            _live(told, journal, port)
        if data is not None and not json:
            stderr.print(f"the journal stays at {journal}", style="dim", markup=False)
    if lost:
        raise SystemExit(EXIT_NO)


# ---- a bounded run ----------------------------------------------------------------------------------------------------
def _once(told: StreetDemo, journal: Path, json: bool) -> bool:
    """Run, print, and say whether anything was lost."""
    from osgp.street.demo import demo_plan
    from osgp.street.run import StreetRun
    from osgp.street.summary import summary

    begun = time.monotonic()
    plan = demo_plan(told.houses, seed=told.seed, hours=told.hours)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with ExitStack() as stack:
        progress = stack.enter_context(Progress(*columns, console=stderr, transient=True))
        task = progress.add_task(f"building {told.houses} devices", total=plan.hours * 3600)
        street = StreetRun(plan, journal=journal)
        stack.callback(street.close)
        progress.update(task, description=f"{plan.hours:g} hours of a street")
        street.run(progress=lambda now: progress.update(task, completed=now))
        progress.stop()
        found = summary(street)
        truth = street.truth()
        figures = _figures(street, found, time.monotonic() - begun)
        if json:
            print_json(figures)
        else:
            _print(street, found, figures)
    return not truth.exact


def _figures(street: StreetRun, found: dict[str, Any], seconds: float) -> dict[str, Any]:
    """One document: what was done, what came, what did not."""
    truth = found["truth"]
    errors = truth["held"] - truth["kept"] + truth["doubled"] + truth["events_missing"] + truth["registers_wrong"]
    states = Counter(node.state.value for node in street.topology.nodes.values())
    return {
        "devices": found["devices"],
        "readings": found["journal"]["reading"] + found["journal"]["profile_interval"],
        "errors": errors,
        "seconds": round(seconds, 2),
        "exact": truth["exact"],
        "hours": found["hours"],
        "states": dict(states),
        "legs": {str(row["legs"]): row["exchanges"] for row in found["by_legs"]},
        "airtime": round(found["line"]["airtime"], 4),
    }


@dataclass(slots=True)
class _Row:
    """Devices that have something in common."""

    devices: int = 0
    up: int = 0
    held: int = 0
    kept: int = 0
    airtime_s: float = 0.0

    def cells(self) -> tuple[str | int, ...]:
        """For a table."""
        complete = f"{100 * self.kept / self.held:.1f} %" if self.held else "–"
        return self.devices, self.up, f"{self.kept} of {self.held}", complete, f"{self.airtime_s:.0f} s"


_HEADS = ["devices>", "up>", "intervals in the journal>", "complete>", "airtime>"]


def _print(street: StreetRun, found: dict[str, Any], figures: dict[str, Any]) -> None:
    """Devices by kind and by distance, then the whole."""
    by_kind: dict[str, _Row] = {}
    by_legs: dict[int, _Row] = {}
    ways, numbers = street.ways(), street.numbers()
    for house in street.truth().houses:
        node = street.topology.nodes.get(street.by_name[house.house].unique_node_id)
        usage = street.concentrator.account.by_device.get(numbers.get(house.house, -1))
        for row in (
            by_kind.setdefault(house.kind, _Row()),
            by_legs.setdefault(len(ways.get(house.house, ())), _Row()),
        ):
            row.devices += 1
            row.up += node is not None and node.state.value == "up"
            row.held += house.held
            row.kept += house.kept
            row.airtime_s += usage.airtime_s if usage is not None else 0.0
    print_table("by kind", ["kind", *_HEADS], [(kind, *by_kind[kind].cells()) for kind in sorted(by_kind)])
    print_table(
        "by legs of the way", ["legs>", *_HEADS], [(legs or "none", *by_legs[legs].cells()) for legs in sorted(by_legs)]
    )
    truth, line = found["truth"], found["line"]
    fault = found["faults"][0]
    healed = "" if fault["recovery_s"] is None else f", everybody back after {fault['recovery_s'] / 60:.0f} min"
    print_table(
        f"{found['name']}, {found['hours']:g} h in {figures['seconds']:.0f} s",
        ["what", "figure>", ""],
        [
            (
                "every reading exactly once",
                "yes" if truth["exact"] else "NO",
                f"{figures['errors']} lost, doubled or wrong",
            ),
            ("devices by state", ", ".join(f"{count} {state}" for state, count in figures["states"].items()), ""),
            ("all found and commissioned", _minutes(found["all_up_s"]), "AES-128, ring by ring"),
            ("all registers read", _minutes(found["first_billing_s"]), f"{found['journal']['reading']} readings"),
            ("fetched after the end", f"{100 * (1 - found['share_at_end']):.1f} %", "of the intervals"),
            ("a repeater died", fault["target"] or "–", f"for {street.plan.faults[0].minutes:.0f} min{healed}"),
            *_ordered(found),
            ("line taken", f"{100 * line['airtime']:.1f} %", "of the time"),
            ("exchanges", line["exchanges"], f"{line['retries']} messages sent again, {line['collisions']} collisions"),
        ],
    )


def _ordered(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    """What became of loads and of firmware, if there are any."""
    rows = []
    for job in found["jobs"]:
        results = ", ".join(f"{count} {state}" for state, count in job["results"].items())
        rows.append(("loads switched off", results or "not yet", "for 90 min, at moments of their own"))
    for course in found["firmware"]:
        took = "" if course["over_s"] is None else f"in {(course['over_s'] - course['begun_s']) / 60:.0f} min"
        figure = f"{course['switched']} of {course['count']}" if course["count"] else "not yet"
        rows.append((f"firmware {course['version']} by broadcast", figure, took))
    return rows


def _minutes(seconds: float | None) -> str:
    return "not yet" if seconds is None else f"{seconds / 60:.0f} min"


# ---- a street that goes on --------------------------------------------------------------------------------------------
def _live(told: StreetDemo, journal: Path, port: int) -> None:
    """The street in its thread, the pages on the loop, until Ctrl-C. Raises what ended the street."""
    from osgp.street.demo import demo_plan, with_daily_troubles
    from osgp.street.live import LiveStreet

    try:
        from osgp.web.street.service import StreetWatch
    except ModuleNotFoundError as error:
        raise ConfigError(f"the pages need the package {error.name}", hint="pip install 'osgp[web]'") from error
    # The street's clock is right when its fast hours are over.
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=told.hours)
    plan = demo_plan(told.houses, seed=told.seed, hours=told.hours, start=start)
    plan = with_daily_troubles(plan, told.hours + _TROUBLE_AFTER_H)
    street = LiveStreet(plan, journal=journal, fast_hours=told.hours, speed=told.speed)
    with street, StreetWatch(street) as watch:
        asyncio.run(_serve(street, watch, port))
    if street.failure is not None:
        raise street.failure
    stderr.print("stopped", style="dim")


async def _serve(street: LiveStreet, watch: StreetWatch, port: int) -> None:
    from osgp.cli.serve import serve_pages

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    stderr.print(f"building a street of {len(street.plan.houses)} devices", style="dim")
    telling = asyncio.create_task(_tell(street, watch, stop))
    try:
        await serve_pages(None, None, "127.0.0.1", port, (), stop, street=watch)
    finally:
        stop.set()
        await telling


async def _tell(street: LiveStreet, watch: StreetWatch, stop: asyncio.Event) -> None:
    """A few lines in the terminal as the street comes to life; the end if it ends by itself."""
    wanted: list[tuple[str, Callable[[], bool]]] = [
        ("the first devices are commissioned", lambda: watch.overview()["states"].get("up", 0) > 0),
        ("all devices are commissioned", lambda: watch.overview()["states"].get("up", 0) == len(street.plan.houses)),
        (f"from here on at {street.speed:g}× real time", lambda: street.is_paced),
    ]
    while not stop.is_set():
        if street.ended.is_set():
            stop.set()
            return
        while wanted and wanted[0][1]():
            stderr.print(f"{wanted.pop(0)[0]}, {watch.hours():.1f} hours in", style="dim", highlight=False)
        try:
            await asyncio.wait_for(stop.wait(), _LOOK_S)
        except TimeoutError:
            continue
