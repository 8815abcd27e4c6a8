"""``osgp sim``: streets of control-network nodes on a simulated power line, on virtual time."""

from __future__ import annotations

import dataclasses
import math
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from osgp.cli.output import EXIT_NO, print_json, print_table, stderr
from osgp.cli.sim_domains import domains
from osgp.sim.clock import parse_speed
from osgp.wire.errors import ConfigError

if TYPE_CHECKING:
    from osgp.sim.grid import Grid
    from osgp.sim.street import StreetReport

__all__ = ["app"]

app = App(name="sim", help="Simulate power lines: streets of control-network nodes on virtual time.")

app.command(domains)

Json = Annotated[bool, Parameter(name="--json", help="print one JSON document")]


@app.command
def street(
    *,
    hours: Annotated[float, Parameter(help="simulated hours")] = 1.0,
    grid: Annotated[Path | None, Parameter(help="a grid file (osgp grid new); without it a grid is generated")] = None,
    kind: Annotated[str, Parameter(help="of the generated grid: suburban, rural, city, high-rise")] = "suburban",
    houses: Annotated[int, Parameter(help="of the generated grid")] = 150,
    noise: Annotated[float, Parameter(help="background of the generated grid, dBuV in one line bit rate")] = 90.0,
    fidelity: Annotated[
        Literal["frame", "waveform"], Parameter(help="draw losses from curves, or send real samples")
    ] = "frame",
    speed: Annotated[str, Parameter(help="max, or how many times faster than real time")] = "max",
    seed: Annotated[int, Parameter(help="decides grid, slots, losses and reports")] = 1,
    every: Annotated[float, Parameter(help="minutes between rounds of polling")] = 15.0,
    reports: Annotated[float, Parameter(help="reports a day of each meter that the poller hears")] = 24.0,
    start: Annotated[datetime | None, Parameter(help="when it begins, UTC; a winter evening without it")] = None,
    capture: Annotated[Path | None, Parameter(help="write every frame to a .pcap or .pcapng file")] = None,
    json: Json = False,
) -> None:
    """Poll every meter of a street through repeaters and show delivery, airtime, collisions, hops and latency.

    Everything is drawn from one seed: the same command gives the same figures, and the same capture byte for byte.
    """
    if not (0 < hours <= 24 * 366 and 1 / 60 <= every < math.inf and 0 <= reports <= 86400):
        raise ConfigError(
            "--hours is above 0 and at most a year, --every a second (0.02) or more, --reports 0 to 86400",
            hint="osgp sim street --hours 24 --every 15 --reports 24",
        )
    pace = parse_speed(speed)
    from osgp.ports.capture import CaptureWriter
    from osgp.sim.street import START, Habits, Street

    chosen = _grid(grid, kind, houses, noise, seed)
    moment = START if start is None else start.replace(tzinfo=start.tzinfo or UTC)
    begun = time.monotonic()
    with ExitStack() as stack:
        writer = None if capture is None else stack.enter_context(CaptureWriter(capture, carrier="lpdu"))
        habits = Habits(interval_s=every * 60, reports_per_day=reports)
        simulated = Street(chosen, seed=seed, habits=habits, fidelity=fidelity, start=moment, capture=writer)
        progress = stack.enter_context(
            Progress(
                TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), console=stderr, transient=True
            )
        )
        task = progress.add_task("simulating", total=hours * 3600)
        simulated.run(hours * 3600, speed=pace, progress=lambda now: progress.update(task, completed=now))
        report = simulated.report()
    took_s = time.monotonic() - begun
    if json:
        print_json({**dataclasses.asdict(report), "wall_s": round(took_s, 3)})
    else:
        _show(report, took_s)
    if report.answered == 0:
        raise SystemExit(EXIT_NO)


@app.command
def mac(
    *,
    nodes: Annotated[tuple[int, ...], Parameter(help="how many, one or more numbers")] = (2, 10, 50),
    loads: Annotated[tuple[float, ...], Parameter(help="offered airtime by time, one or more numbers")] = (
        0.2,
        0.5,
        1.0,
    ),
    traffic: Annotated[
        Literal["unacknowledged", "acknowledged"], Parameter(help="bare frames, or messages of live stacks")
    ] = "acknowledged",
    seconds: Annotated[float, Parameter(help="simulated seconds of each point")] = 60.0,
    collisions_heard: Annotated[
        bool, Parameter(help="nodes count the collisions of others, too (not in the standard)")
    ] = False,
    seed: Annotated[int, Parameter(help="decides offers and slots")] = 1,
    json: Json = False,
) -> None:
    """Measure the access to the channel: throughput, collisions and latency against the load that is offered."""
    from osgp.sim.mac import measure

    points = []
    with Progress(TextColumn("{task.description}"), BarColumn(), console=stderr, transient=True) as progress:
        task = progress.add_task("measuring", total=len(nodes) * len(loads))
        for count in nodes:
            for load in loads:
                points.append(
                    measure(count, load, traffic=traffic, seconds=seconds, seed=seed, collisions_heard=collisions_heard)
                )
                progress.advance(task)
    if json:
        print_json([dataclasses.asdict(point) for point in points])
        return
    print_table(
        f"{traffic} traffic, everybody in earshot, A band",
        [
            "nodes>",
            "offered>",
            "throughput>",
            "goodput>",
            "packets/s>",
            "collisions>",
            "latency>",
            "lost>",
            "failed>",
            "fairness>",
        ],
        [
            (
                point.nodes,
                f"{point.offered:g}",
                f"{point.throughput:.2f}",
                f"{point.goodput:.2f}",
                f"{point.packets_per_s:.1f}",
                _percent(point.collision_ratio),
                _seconds(point.latency_median_s),
                _percent(point.lost),
                _percent(point.failed),
                f"{point.fairness:.2f}",
            )
            for point in points
        ],
    )


def _grid(path: Path | None, kind: str, houses: int, noise: float, seed: int) -> Grid:
    from osgp.sim.grid import Grid
    from osgp.sim.grid_generators import new_grid

    if path is not None:
        return Grid.load(path)
    description = new_grid(kind, houses=houses, seed=seed)
    settings = dataclasses.replace(description.settings, background_dbuv=noise)
    return Grid(dataclasses.replace(description, settings=settings))


def _show(report: StreetReport, took_s: float) -> None:
    print_table(
        f"{report.nodes} nodes, {report.hours:g} h, {report.fidelity} fidelity, seed {report.seed}"
        f"  ({took_s:.1f} s, {report.hours * 3600 / took_s:,.0f} times real time)",
        ["what", "figure>", ""],
        [
            ("polls answered", f"{report.answered} of {report.polls}", _percent(report.delivered)),
            ("polls without a way", report.unreachable, ""),
            ("reports acknowledged", f"{report.reports_acknowledged} of {report.reports}", ""),
            ("transmissions", report.transmissions, f"{report.transmissions_secondary} on the secondary carrier"),
            ("somebody sends", _percent(report.airtime), "of the time"),
            ("collisions noticed", report.collisions, f"{_percent(report.collision_ratio)} of the transmissions"),
            ("frames not come through", report.undelivered, f"of {report.frames_received + report.undelivered}"),
        ],
    )
    print_table(
        "polls by distance",
        ["legs>", "polls>", "answered>", "transactions>", "median>", "95 % below>"],
        [
            (
                row.legs,
                row.polls,
                row.answered,
                row.attempts,
                _seconds(row.latency_median_s),
                _seconds(row.latency_p95_s),
            )
            for row in report.by_legs
        ],
    )


def _percent(share: Any) -> str:
    return "" if math.isnan(share) else f"{100 * share:.2f} %"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} s"
