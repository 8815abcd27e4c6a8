"""``osgp street``: a whole street in virtual time: devices, data concentrator, faults, and whether no reading was lost."""

from __future__ import annotations

import dataclasses
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from osgp.cli.output import EXIT_NO, console, print_json, print_table, stderr
from osgp.sim.clock import parse_speed
from osgp.wire.errors import ConfigError

if TYPE_CHECKING:
    from osgp.street.plan import StreetPlan

__all__ = ["app"]

app = App(name="street", help="Run a street: real devices and a data concentrator on a simulated power line.")

Json = Annotated[bool, Parameter(name="--json", help="print one JSON document")]


@app.command
def new(
    *,
    houses: Annotated[int, Parameter(help="how many; each has one device")] = 60,
    kind: Annotated[str, Parameter(help="of the grid: suburban, rural, city, high-rise")] = "suburban",
    seed: Annotated[int, Parameter(help="the same seed gives the same street")] = 1,
    hours: Annotated[float, Parameter(help="how long it runs")] = 24.0,
    background_dbuv: Annotated[
        float | None, Parameter(help="noise everywhere, dB(µV): more of it, more hops; 90 without it")
    ] = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"], help="file to write; else it is printed")] = None,
) -> None:
    """Make the file of a street: grid, devices by house, what is collected, faults."""
    from osgp.street.plan import default_text, parse_plan

    text = default_text(houses, seed=seed, hours=hours, kind=kind, background_dbuv=background_dbuv)
    parse_plan(text)
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
def run(
    file: Path | None = None,
    /,
    *,
    hours: Annotated[float | None, Parameter(help="simulated hours; as the file says without it")] = None,
    speed: Annotated[str, Parameter(help="max, or how many times faster than real time")] = "max",
    seed: Annotated[int | None, Parameter(help="of devices, losses, houses; as the file says without it")] = None,
    report: Annotated[Path | None, Parameter(help="folder for index.html and report.json")] = None,
    journal: Annotated[Path | None, Parameter(help="keep the concentrator's journal (SQLite) in a new file")] = None,
    static: Annotated[bool, Parameter(help="ways are written down beforehand, nothing is looked for")] = False,
    capture: Annotated[Path | None, Parameter(help="write every frame to a .pcap or .pcapng file")] = None,
    json: Json = False,
) -> None:
    """Run a street and compare the journal with what the meters hold: every reading exactly once. Exit status 1 if not.

    Parameters
    ----------
    file
        a street's file (osgp street new); without it, a street of 60 devices
    """
    pace = parse_speed(speed)
    plan = _plan(file, hours, seed)
    if plan.doors is not None and pace == "max":
        raise ConfigError(
            "local doors are open only while time has a speed", hint="--speed 1: a reader's patience is real time"
        )
    if journal is not None and journal.exists():
        raise ConfigError(f"{journal} is there already", hint="a street begins with a new journal: give another path")
    from osgp.ports.capture import CaptureWriter
    from osgp.street.run import StreetRun
    from osgp.street.summary import summary

    begun, cpu = time.monotonic(), time.process_time()
    with ExitStack() as stack:
        writer = None if capture is None else stack.enter_context(CaptureWriter(capture, carrier="lpdu"))
        street = StreetRun(plan, journal=journal or ":memory:", static=static, capture=writer)
        stack.callback(street.close)
        street.doors_open = _tell_doors
        progress = stack.enter_context(
            Progress(
                TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), console=stderr, transient=True
            )
        )
        task = progress.add_task("simulating", total=plan.hours * 3600)
        street.run(speed=pace, progress=lambda now: progress.update(task, completed=now))
        progress.stop()
        found = summary(street)
        exact = street.truth().exact
        times = {"wall_s": round(time.monotonic() - begun, 2), "processor_s": round(time.process_time() - cpu, 2)}
        if report is not None:
            from osgp.street.report import write_report

            write_report(street, found, report)
    if json:
        print_json({**found, **times})
    else:
        show(found, times["processor_s"])
        if report is not None:
            stderr.print(f"the report is {report / 'index.html'}", markup=False)
    if not exact:
        raise SystemExit(EXIT_NO)


@app.command
def torture(
    file: Path | None = None,
    /,
    *,
    houses: Annotated[int, Parameter(help="of the street that is made without a file")] = 12,
    hours: Annotated[float | None, Parameter(help="simulated hours of each run")] = None,
    seed: Annotated[int | None, Parameter(help="of devices, losses, houses, moments")] = None,
    only: Annotated[tuple[str, ...], Parameter(help="some of the faults, by name")] = (),
    json: Json = False,
) -> None:
    """Run a street once under each fault: does every reading come exactly once, and when is everybody back? Exit status 1 if not.

    Parameters
    ----------
    file
        a street's file, its own faults left out; without it, a short rural street, some of it reached through others
    """
    from osgp.street.torture import FAULTS, small_street
    from osgp.street.torture import torture as tortured

    plan = _changed(small_street(houses) if file is None else _plan(file, None, None), hours, seed)
    rows = []
    with Progress(TextColumn("{task.description}"), BarColumn(), console=stderr, transient=True) as progress:
        task = progress.add_task("torturing", total=len(only or FAULTS))
        for row in tortured(plan, only=only):
            rows.append(row)
            progress.advance(task)
    if json:
        print_json([row.to_json() for row in rows])
    else:
        print_table(
            f"{plan.name}, {plan.hours:g} h for each fault, seed {plan.seed}",
            ["fault", "what", "exactly once", "intervals>", "twice, wrong>", "everybody back after>", "not expected"],
            [
                (
                    row.name,
                    row.words,
                    "yes" if row.exact else "NO",
                    f"{row.kept} of {row.held}",
                    f"{row.doubled}, {row.wrong}",
                    "" if not row.recovers else "never" if row.recovery_s is None else f"{row.recovery_s / 60:.0f} min",
                    ", ".join(f"{house} ({why})" for house, why in row.not_expected.items()),
                )
                for row in rows
            ],
        )
    if not all(row.held_up for row in rows):
        raise SystemExit(EXIT_NO)


def _tell_doors(rows: list[dict[str, str]]) -> None:
    for row in rows:
        places = " ".join(row[name] for name in ("optical", "mep") if row[name])
        stderr.print(
            f"house {row['house']}, {row['kind']} {row['serial']}: {places}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def _plan(file: Path | None, hours: float | None, seed: int | None) -> StreetPlan:
    from osgp.street.plan import default_text, load_plan, parse_plan

    return _changed(parse_plan(default_text()) if file is None else load_plan(file), hours, seed)


def _changed(plan: StreetPlan, hours: float | None, seed: int | None) -> StreetPlan:
    if hours is not None:
        if not 0 < hours <= 24 * 366:
            raise ConfigError("--hours is above 0 and at most a year")
        plan = dataclasses.replace(plan, hours=hours)
    if seed is not None:
        if not 0 <= seed <= 0xFFFF:
            raise ConfigError("--seed is 0 to 65535")
        plan = dataclasses.replace(plan, seed=seed)
    return plan


def show(found: dict[str, Any], processor_s: float) -> None:
    """The figures of a run, for people."""
    truth, line = found["truth"], found["line"]
    print_table(
        f"{found['name']}: {found['devices']} devices, {found['hours']:g} h, seed {found['seed']}"
        f"  ({processor_s:.1f} s of processor time)",
        ["what", "figure>", ""],
        [
            ("readings exactly once", "yes" if truth["exact"] else "NO", ""),
            ("intervals in the journal", f"{truth['kept']} of {truth['held']}", f"{100 * truth['share']:.3f} %"),
            ("intervals twice, wrong", f"{truth['doubled']}, {truth['wrong']}", ""),
            (
                "events in the journal",
                f"{truth['events_held'] - truth['events_missing']} of {truth['events_held']}",
                "",
            ),
            ("energy, meters' own", f"{truth['own_count']}", "register units, growth of channel 1"),
            ("energy, journal", f"{truth['journal_count']}", ""),
            ("registers compared", truth["registers_checked"], f"{truth['registers_wrong']} wrong"),
            ("devices up", f"{found['up']} of {found['devices']}", _when("all after", found["all_up_s"])),
            ("first billing read-out", "", _when("all after", found["first_billing_s"])),
            (
                "fetched after the end",
                _percent(1 - found["share_at_end"]),
                f"of the intervals, in {found['settled_s']:.0f} s",
            ),
            ("somebody sends", f"{100 * line['airtime']:.2f} %", "of the time"),
            ("transmissions", line["sent"], f"{line['collisions']} collisions, {line['lost']} not come through"),
            ("exchanges", line["exchanges"], f"{line['retries']} messages sent again"),
        ],
    )
    if found["out_of_reach"]:
        console.print(
            f"out of reach from the beginning: {', '.join(found['out_of_reach'])}; the grid is too loud or too long",
            markup=False,
        )
    if found["legacy"]:
        console.print(
            f"speak the legacy suite, which anybody on the line can forge: {', '.join(found['legacy'])}", markup=False
        )
    print_table(
        "exchanges by distance",
        ["legs>", "exchanges>", "answered>", "sent again>", "median>", "95 % below>"],
        [
            (row["legs"], row["exchanges"], row["answered"], row["retries"], _s(row["median_s"]), _s(row["p95_s"]))
            for row in found["by_legs"]
        ],
    )
    reading = found["reading"]
    if reading and reading["ratio"] is not None:
        print_table(
            f"airtime since everybody was read once: reading took {reading['ratio']:.3f} times its bound",
            ["purpose", "spent>", "bound>"],
            [
                (name, _s(spent), _s(reading["bound_s"].get(name)))
                for name, spent in reading["spent_s"].items()
                if spent
            ],
        )
    if found["faults"]:
        print_table(
            "faults",
            ["fault", "target", "begins>", "over>", "everybody back after>"],
            [
                (row["kind"], row["target"], _h(row["begun_s"]), _h(row["over_s"]), _s(row["recovery_s"]))
                for row in found["faults"]
            ],
        )
    if found["jobs"]:
        print_table(
            "jobs",
            ["kind", "for", "begins>", "ends"],
            [
                (
                    row["kind"],
                    row["devices"] or "all",
                    _h(row["begun_s"]),
                    ", ".join(f"{count} {state}" for state, count in row["results"].items()),
                )
                for row in found["jobs"]
            ],
        )
    if found["firmware"]:
        _show_firmware(found["firmware"])


def _show_firmware(courses: list[dict[str, Any]]) -> None:
    print_table(
        "firmware",
        ["for", "to", "blocks>", "switched>", "took>", "airtime>", "each alone>", "share>", "blocks sent, alone>"],
        [
            (
                row["devices"],
                row["version"],
                row["blocks"],
                f"{row['switched']} of {row['count']}",
                "" if row["over_s"] is None else f"{(row['over_s'] - row['begun_s']) / 60:.0f} min",
                f"{row['airtime_s']:.0f} s",
                f"{row['alone_s']:.0f} s",
                "" if row["by_unicast"] is None else _percent(row["by_unicast"]),
                f"{row['broadcasts']}, {row['unicast_blocks']}",
            )
            for row in courses
        ],
    )


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _when(words: str, seconds: float | None) -> str:
    return "" if seconds is None else f"{words} {seconds / 60:.0f} min"


def _h(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds / 3600:.2f} h"


def _s(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.2f} s"
