"""``osgp grid``: make, look at and draw the low-voltage grids that simulated power lines run on."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from osgp.cli.output import console, print_json, print_table
from osgp.wire.errors import ConfigError

if TYPE_CHECKING:
    from osgp.sim.grid import Grid
    from osgp.sim.grid_report import GridReport

app = App(name="grid", help="Make, look at and draw low-voltage grids for simulated power lines.")

At = Annotated[str, Parameter(name="--at", help="local time of day, as HH:MM: noise follows the day")]
Cut = Annotated[list[str] | None, Parameter(name="--cut", help="switch this branch off, or this node's service")]
Json = Annotated[bool, Parameter(name="--json", help="print one JSON document")]


@app.command
def new(
    kind: str,
    /,
    *,
    houses: Annotated[int, Parameter(help="how many metered houses or flats")] = 40,
    seed: Annotated[int, Parameter(help="the same seed gives the same grid")] = 1,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"], help="file to write; else it is printed")] = None,
) -> None:
    """Make a grid file.

    Parameters
    ----------
    kind
        rural, suburban, city or high-rise
    """
    # Here, so that the list of commands needs nothing but the extra cli.
    from osgp.sim.grid_generators import new_grid
    from osgp.sim.grid_text import write_grid

    description = new_grid(kind, houses=houses, seed=seed)
    text = write_grid(description, f"osgp grid new {kind} --houses {houses} --seed {seed}\nosgp grid show FILE")
    if output is None:
        sys.stdout.write(text)
        return
    try:
        output.write_text(text, "utf-8")
    except OSError as error:
        raise ConfigError(
            f"{output} cannot be written: {error.strerror or error}", hint="is there such a folder?"
        ) from error


@app.command
def show(file: Path, /, *, at: At = "20:00", cut: Cut = None, json: Json = False) -> None:
    """Who hears whom: nodes and their reach, the weakest links, islands.

    Parameters
    ----------
    file
        a grid file
    """
    from osgp.sim.grid_report import report

    found = report(_grid(file, cut), time_of_day(at))
    if json:
        print_json(
            {
                "name": found.name,
                "time_of_day_h": found.time_of_day_h,
                "readable_db": found.readable_db,
                "nodes": found.nodes,
                "weakest": found.weakest,
                "islands": found.islands,
                "open_branches": found.open_branches,
                "unreached": found.unreached,
            }
        )
        return
    _say(found, at)


def _say(found: GridReport, at: str) -> None:
    print_table(
        f"{found.name} at {at}: Ec/N0 from and to the concentrator, in dB ({found.readable_db:g} and more is readable)",
        [
            "node",
            "device",
            "phase",
            "at",
            "cable m>",
            "noise dBuV>",
            "",
            "from>",
            "to>",
            "hops>",
            "via",
            "hears>",
            "loads",
        ],
        [
            (
                row.name,
                row.device,
                row.phase,
                row.at,
                "" if row.cable_m is None else f"{row.cable_m:.0f}",
                f"{row.noise_dbuv:.1f}",
                row.scenario,
                "" if row.down_db is None else f"{row.down_db:.1f}",
                "" if row.up_db is None else f"{row.up_db:.1f}",
                "-" if row.hops is None else row.hops,
                row.via,
                row.hears,
                ", ".join(row.loads),
            )
            for row in found.nodes
        ],
    )
    print_table(
        "weakest hops",
        ["sender", "receiver", "dB>", "other way dB>", "cable m>"],
        [
            (link.sender, link.receiver, f"{link.sinr_db:.1f}", f"{link.other_way_db:.1f}", f"{link.cable_m:.0f}")
            for link in found.weakest
        ],
    )
    if found.open_branches:
        console.print(f"switched off: {', '.join(found.open_branches)}", markup=False)
    for number, island in enumerate(found.islands[1:], 2):
        console.print(f"island {number}, joined to nothing else: {', '.join(island)}", markup=False)
    missing = found.unreached
    devices = sum(row.device != "none" for row in found.nodes)
    console.print(
        f"{devices - len(missing)} of {devices} devices are reached"
        + (f"; not: {', '.join(missing)}" if missing else ""),
        markup=False,
    )


@app.command
def plot(
    file: Path,
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"], help="picture to write, .svg or .png")],
    at: At = "20:00",
    cut: Cut = None,
) -> None:
    """Draw a grid as a single-line diagram.

    Parameters
    ----------
    file
        a grid file
    """
    from osgp.sim.grid_picture import draw, save_picture

    save_picture(draw(_grid(file, cut), time_of_day(at)), output)


def _grid(file: Path, cut: list[str] | None) -> Grid:
    from osgp.sim.grid import Grid

    grid = Grid.load(file)
    for name in cut or []:
        grid.cut(name)
    return grid


def time_of_day(text: str) -> float:
    """Hours from HH:MM. Raises ConfigError."""
    if not re.fullmatch(r"([01]?\d|2[0-3]):[0-5]\d", text):
        raise ConfigError(f"{text!r} is no time of day", hint="for example 19:30")
    hours, minutes = text.split(":")
    return int(hours) + int(minutes) / 60
