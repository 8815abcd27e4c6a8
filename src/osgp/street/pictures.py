"""Plots of a street's report, as SVG by matplotlib (extra ``plot``). Project choice."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any

from osgp.wire.errors import ConfigError

if TYPE_CHECKING:
    from osgp.street.run import StreetRun

__all__ = ["pictures"]

_SIZE = (9.6, 3.4)
_INK = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#999999", "#7A5C2E", "#8C2D5A")


def pictures(run: StreetRun, found: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(title, caption, SVG) of each plot. Raises ConfigError when matplotlib is missing."""
    made = [
        ("Readings by time", "Intervals in the journal against those that the meters have ended, over the run.", _complete),
        (
            "Readings complete by time of day",
            "By the hour in which an interval ended: how many are in the journal, and how long they took to get there.",
            _by_hour,
        ),
        ("Hops", "Devices by the number of legs of their ways, and what became of exchanges over so many legs.", _hops),
        ("Airtime", "By class, as the concentrator estimates it; the black line: really taken.", _airtime),
        ("Collisions and losses", "In each quarter of an hour.", _collisions),
        ("Read-out times", "From question to answer, by legs; from the end of an interval to the journal.", _times),
    ]  # fmt: skip
    if any(course["moments"] for course in found["firmware"]):
        words = "Devices by where they are, and the airtime of all that belongs to the image."
        made.append(("Firmware over time", words, _firmware))
    return [(title, caption, _svg(draw, run, found)) for title, caption, draw in made]


def _svg(draw: Callable[[Any, Any, dict[str, Any]], None], run: StreetRun, found: dict[str, Any]) -> str:
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError("the report's plots need matplotlib", hint="pip install 'osgp[plot]'") from error
    out = io.StringIO()
    settings: Any = {"svg.hashsalt": "osgp", "svg.fonttype": "none", "font.size": 9, "axes.spines.top": False,
                "axes.spines.right": False}  # fmt: skip
    with rc_context(settings):
        figure: Any = Figure(figsize=_SIZE, layout="constrained")
        draw(figure, run, found)
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    return text[text.index("<svg") :]


def _complete(figure: Any, run: StreetRun, found: dict[str, Any]) -> None:
    axes = figure.add_subplot()
    ended = sorted(
        time - run.start for own in run.own.values() for held in own.profiles.values() for time in held
    )  # fmt: skip
    arrived = sorted(run.observed.arrived)
    moments = [each.at_s for each in run.observed.samples]
    counts, total, place = [], 0, 0
    for moment in moments:
        while place < len(arrived) and arrived[place][0] <= moment:
            total += arrived[place][1]
            place += 1
        counts.append(total)
    hours = [moment / 3600 for moment in moments]
    axes.plot(hours, [bisect_right(ended, moment) for moment in moments], color=_INK[6], label="ended in the meters")
    axes.step(hours, counts, where="post", color=_INK[0], label="in the journal")
    _faults(axes, found)
    axes.set(xlabel="hours", ylabel="intervals", ylim=(0, None))
    axes.legend(frameon=False)


_PHASES = ("new", "announced", "loaded", "ordered", "done", "refused", "failed", "unknown", "expired", "cancelled")


def _firmware(figure: Any, run: StreetRun, found: dict[str, Any]) -> None:
    courses = [course for course in found["firmware"] if course["moments"]]
    places = figure.subplots(1, len(courses), squeeze=False)[0]
    for axes, course in zip(places, courses):
        moments = course["moments"]
        hours = [each["at_s"] / 3600 for each in moments]
        phases = [name for name in _PHASES if any(name in each["phases"] for each in moments)]
        counts = [[each["phases"].get(name, 0) for each in moments] for name in phases]
        axes.stackplot(hours, counts, labels=phases, colors=_INK, step="post")
        axes.set(xlabel="hours", ylabel="devices", title=f"{course['devices']} to {course['version']}")
        axes.legend(frameon=False, loc="upper left")
        line = axes.twinx()
        line.plot(hours, [each["airtime_s"] for each in moments], color="black", linewidth=1)
        line.set(ylabel="airtime, s", ylim=(0, None))


def _by_hour(figure: Any, run: StreetRun, found: dict[str, Any]) -> None:
    left, right = figure.subplots(1, 2)
    held: Counter[int] = Counter()
    kept: Counter[int] = Counter()
    numbers = run.numbers()
    for house, own in run.own.items():
        if house in run.gone:
            continue
        for data_set, intervals in own.profiles.items():
            there = {time for time, _, _ in run.journal.intervals(numbers.get(house, -1), data_set)}
            for time in intervals:
                hour = (time - 1) // 3600 % 24
                held[hour] += 1
                kept[hour] += time in there
    hours = sorted(held)
    left.bar(hours, [100 * kept[hour] / held[hour] for hour in hours], color=_INK[2])
    left.set(xlabel="hour of the day, UTC", ylabel="in the journal, %", ylim=(0, 105), xlim=(-0.6, 23.6))
    waits: dict[int, list[float]] = defaultdict(list)
    for end, delay in run.observed.delays:
        waits[(end - 1) // 3600 % 24].append(delay / 3600)
    found_hours = sorted(waits)
    right.bar(found_hours, [max(waits[hour]) for hour in found_hours], color=_INK[5], label="longest")
    right.bar(found_hours, [median(waits[hour]) for hour in found_hours], color=_INK[0], label="median")
    right.set(xlabel="hour of the day, UTC", ylabel="hours to the journal", xlim=(-0.6, 23.6))
    right.legend(frameon=False)


def _hops(figure: Any, run: StreetRun, found: dict[str, Any]) -> None:
    left, right = figure.subplots(1, 2)
    legs = Counter(len(way) for way in run.ways().values())
    left.bar(sorted(legs), [legs[each] for each in sorted(legs)], color=_INK[0])
    left.set(xlabel="legs", ylabel="devices", xticks=sorted(legs))
    rows = found["by_legs"]
    places = [row["legs"] for row in rows]
    right.bar(places, [100 * row["retries"] / max(1, row["exchanges"]) for row in rows], color=_INK[1])
    right.set(xlabel="legs", ylabel="messages sent again per 100 exchanges", xticks=places)


def _rates(run: StreetRun, value: Callable[[Any], float]) -> tuple[list[float], list[float]]:
    """Middles of the spans between samples, hours; what came in each."""
    pairs = [(a, b) for a, b in pairwise(run.observed.samples) if b.at_s > a.at_s]
    return [(a.at_s + b.at_s) / 7200 for a, b in pairs], [value(b) - value(a) for a, b in pairs]


def _airtime(figure: Any, run: StreetRun, found: dict[str, Any]) -> None:
    axes = figure.add_subplot()
    samples = run.observed.samples
    classes = sorted({name for each in samples for name in each.by_class})
    hours, busy = _rates(run, lambda each: each.busy_s)
    spans = [b.at_s - a.at_s for a, b in pairwise(samples) if b.at_s > a.at_s]

    def share(values: list[float]) -> list[float]:
        return [100 * max(0.0, value) / span for value, span in zip(values, spans)]

    stacks = [share(_rates(run, lambda each, name=name: each.by_class.get(name, 0.0))[1]) for name in classes]  # type: ignore[misc]  # default binds
    if hours and stacks:
        axes.stackplot(hours, *stacks, labels=classes, colors=[_INK[n % len(_INK)] for n in range(len(classes))])
    axes.plot(hours, share(busy), color="#222222", lw=1.0, label="line taken")
    _faults(axes, found)
    axes.set(xlabel="hours", ylabel="% of the time", ylim=(0, None))
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _collisions(figure: Any, run: StreetRun, found: dict[str, Any]) -> None:
    axes = figure.add_subplot()
    hours, collided = _rates(run, lambda each: each.collisions)
    axes.step(hours, collided, where="mid", color=_INK[4], label="transmissions that met another")
    axes.step(
        hours, _rates(run, lambda each: each.lost)[1], where="mid", color=_INK[0], label="frames not come through"
    )
    _faults(axes, found)
    axes.set(xlabel="hours", ylabel="each quarter of an hour", ylim=(0, None))
    axes.legend(frameon=False)


def _times(figure: Any, run: StreetRun, found: dict[str, Any]) -> None:
    left, right = figure.subplots(1, 2)
    rows = run.observed.legs
    values = [rows[legs].seconds for legs in sorted(rows) if rows[legs].seconds]
    if values:
        names = [str(legs) for legs in sorted(rows) if rows[legs].seconds]
        most = sorted(second for row in values for second in row)
        edge = 1.2 * most[int(0.99 * (len(most) - 1))]
        left.hist(values, bins=40, range=(0, edge), stacked=True, label=names, color=_INK[: len(values)])
        left.legend(frameon=False, title="legs")
    left.set(xlabel="seconds from question to answer", ylabel="exchanges")
    delays = sorted(delay / 3600 for _, delay in run.observed.delays)
    if delays:
        right.plot(delays, [100 * (n + 1) / len(delays) for n in range(len(delays))], color=_INK[0])
    right.set(xlabel="hours from interval to journal", ylabel="% of the intervals", ylim=(0, 103))


def _faults(axes: Any, found: dict[str, Any]) -> None:
    for each in found["faults"]:
        if each["begun_s"]:
            over = each["over_s"] if each["over_s"] is not None else each["begun_s"]
            axes.axvspan(each["begun_s"] / 3600, max(over, each["begun_s"] + 60) / 3600, color="#C1121F", alpha=0.15)
