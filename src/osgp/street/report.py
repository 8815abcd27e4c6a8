"""The report of a street: one HTML page that needs nothing else, and ``report.json`` with the same figures. Project choice.

Needs matplotlib (extra ``plot``). The same run gives the same page, byte for byte.
"""

from __future__ import annotations

import json
from collections import Counter
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osgp.street.airtime import PURPOSES
from osgp.street.pictures import pictures
from osgp.street.route_map import route_map
from osgp.wire.errors import ConfigError

if TYPE_CHECKING:
    from osgp.street.run import StreetRun

__all__ = ["write_report"]

_STYLE = """
body { font: 15px/1.5 Helvetica, Arial, sans-serif; margin: 2rem auto; max-width: 68rem; padding: 0 1rem; color: #222; }
h1 { margin-bottom: 0; } h2 { margin-top: 2.5rem; border-bottom: 1px solid #ddd; }
.verdict { padding: .8rem 1rem; border-left: 6px solid; margin: 1rem 0; }
.yes { border-color: #00805A; background: #eef7f3; } .no { border-color: #C1121F; background: #fdf0f0; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .25rem .8rem; text-align: left; border-bottom: 1px solid #e5e5e5; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
figure { margin: 1.2rem 0; } figcaption { color: #666; font-size: 13px; } figure svg { max-width: 100%; height: auto; }
p.note { color: #666; font-size: 13px; }
"""


def write_report(run: StreetRun, found: dict[str, Any], folder: Path) -> None:
    """Write ``index.html`` and ``report.json``. ``found``: of ``summary``. Raises ConfigError, also when matplotlib is missing."""
    page = _page(run, found)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.json").write_text(json.dumps(found, indent=2) + "\n", "utf-8")
        (folder / "index.html").write_text(page, "utf-8")
    except OSError as error:
        raise ConfigError(
            f"the report cannot be written to {folder}: {error.strerror or error}", hint="--report takes a folder"
        ) from error


def _page(run: StreetRun, found: dict[str, Any]) -> str:
    truth, line = found["truth"], found["line"]
    parts = [
        f"<h1>{escape(found['name'])}</h1>",
        f"<p>{found['devices']} devices, {found['hours']:g} hours from {escape(found['start'])} on, seed {found['seed']}; "
        f"{escape(', '.join(f'{count} {kind}' for kind, count in found['kinds'].items()))}</p>",
        _verdict(truth),
        _table(
            ("what", "figure>", ""),
            [
                ("intervals in the journal", f"{truth['kept']} of {truth['held']}", f"{100 * truth['share']:.3f} %"),
                ("intervals twice, or with other values", f"{truth['doubled']}, {truth['wrong']}", ""),
                (
                    "log entries in the journal",
                    f"{truth['events_held'] - truth['events_missing']} of {truth['events_held']}",
                    "",
                ),
                ("energy of the meters' own registers", truth["own_count"], "growth of channel 1, register units"),
                ("the same from the journal", truth["journal_count"], ""),
                ("registers compared at once", truth["registers_checked"], f"{truth['registers_wrong']} wrong"),
                ("devices that answer", f"{found['up']} of {found['devices']}", _minutes("all", found["all_up_s"])),
                ("phases found", *_phases(found["phases"])),
                ("first billing read-out", *_cold_start(found["cold_start"])),
                (
                    "fetched after the end",
                    f"{100 * (1 - found['share_at_end']):.2f} %",
                    f"of the intervals, in {found['settled_s']:.0f} s",
                ),
                ("somebody sends", f"{100 * line['airtime']:.2f} %", "of the time"),
                ("transmissions", line["sent"], f"{line['collisions']} collisions, {line['lost']} not come through"),
                ("exchanges", line["exchanges"], f"{line['retries']} messages sent again"),
            ],
        ),
    ]
    if truth["not_expected"]:
        words = ", ".join(f"{house} ({why})" for house, why in truth["not_expected"].items())
        parts.append(f"<p class='note'>Nothing is expected of: {escape(words)}.</p>")
    if found["out_of_reach"]:
        words = ", ".join(found["out_of_reach"])
        parts.append(
            f"<p class='note'>Out of reach from the beginning, because the grid is too loud or too long: {escape(words)}.</p>"
        )
    if found["legacy"]:
        words = ", ".join(found["legacy"])
        parts.append(
            f"<p class='note'>Speak the legacy suite, which anybody on the line can forge: {escape(words)}.</p>"
        )
    if found["faults"]:
        parts += ["<h2>Faults</h2>", _faults(found["faults"])]
    if found["jobs"]:
        parts += ["<h2>Jobs</h2>", _jobs(found["jobs"])]
    if found.get("firmware"):
        parts += ["<h2>Firmware</h2>", _firmware(found["firmware"])]
    if found["reading"]:
        parts += ["<h2>Airtime by purpose</h2>", _reading(found["reading"])]
    for title, caption, svg in pictures(run, found):
        parts += [f"<h2>{escape(title)}</h2>", _figure(svg, caption)]
    parts.append("<h2>Ways</h2>")
    for title, at_s, ways, open_branches in run.observed.maps:
        legs = Counter(len(way) for way in ways.values())
        words = ", ".join(f"{count} over {number}" for number, count in sorted(legs.items()))
        caption = f"{title}, {at_s / 3600:.2f} h: devices over so many legs: {words or 'none'}"
        parts.append(_figure(route_map(run, ways, open_branches, run.start + at_s), caption))
    parts.append(_own_table(run))
    body = "\n".join(parts)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(found["name"])}</title>\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _verdict(truth: dict[str, Any]) -> str:
    if truth["exact"]:
        return "<p class='verdict yes'>Every reading that the meters hold is in the journal exactly once, and energy agrees.</p>"
    where = ", ".join(truth["not_exact"]) or "the registers"
    return f"<p class='verdict no'>Journal and meters differ: {escape(where)}.</p>"


def _cold_start(found: dict[str, float | None]) -> tuple[str, str]:
    ratio = found["ratio"]
    return "" if ratio is None else f"{ratio:.2f} times the least", _minutes("all", found["took_s"])


def _phases(found: dict[str, dict[str, Any]]) -> tuple[str, str]:
    known = [each for each in found.values() if each["found"] is not None]
    wrong = sum(each["found"] != each["grid"] for each in known)
    return f"{len(known)} of {len(found)}", f"{wrong} not as in the grid; counted from the concentrator's"


def _minutes(words: str, seconds: float | None) -> str:
    return "" if seconds is None else f"{words} after {seconds / 60:.0f} min"


def _jobs(jobs: list[dict[str, Any]]) -> str:
    return _table(
        ("job", "kind", "for", "begins>", "ends"),
        [
            (
                "" if each["job"] is None else each["job"],
                each["kind"],
                each["devices"] or "all",
                "" if each["begun_s"] is None else f"{each['begun_s'] / 3600:.2f} h",
                ", ".join(f"{count} {state}" for state, count in each["results"].items()),
            )
            for each in jobs
        ],
    )


def _firmware(courses: list[dict[str, Any]]) -> str:
    """What each upgrade came to and took of the line, against the image to each device alone."""
    return _table(
        ("for", "to", "blocks>", "devices>", "took>", "airtime, s>", "of them broadcast>", "repair by broadcast>",
         "unicast>", "repair by unicast>", "each alone, s>", "share>", "ends"),
        [
            (
                each["devices"],
                each["version"],
                each["blocks"],
                each["count"],
                "" if each["over_s"] is None else f"{(each['over_s'] - each['begun_s']) / 60:.0f} min",
                round(each["airtime_s"]),
                round(each["broadcast_s"] - each["repair_broadcast_s"]),
                round(each["repair_broadcast_s"]),
                round(each["unicast_s"] - each["repair_unicast_s"]),
                round(each["repair_unicast_s"]),
                round(each["alone_s"]),
                "" if each["by_unicast"] is None else f"{100 * each['by_unicast']:.1f} %",
                ", ".join(f"{count} {state}" for state, count in each["results"].items()),
            )
            for each in courses
        ],
    )  # fmt: skip


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    right = [each.endswith(">") for each in head]
    cells = "".join(
        f"<th{' class=n' if side else ''}>{escape(each.rstrip('>'))}</th>" for each, side in zip(head, right)
    )
    body = "".join(
        "<tr>" + "".join(f"<td{' class=n' if side else ''}>{escape(str(each))}</td>" for each, side in zip(row, right))
        + "</tr>"
        for row in rows
    )  # fmt: skip
    return f"<table><tr>{cells}</tr>{body}</table>"


def _figure(svg: str, caption: str) -> str:
    return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>"


def _faults(faults: list[dict[str, Any]]) -> str:
    def hours(value: float | None) -> str:
        return "" if value is None else f"{value / 3600:.2f} h"

    return _table(
        ("fault", "target", "begins>", "over>", "times>", "everybody back after>"),
        [
            (
                each["kind"],
                each["target"],
                hours(each["begun_s"]),
                hours(each["over_s"]),
                each["times"],
                "" if each["recovery_s"] is None else f"{each['recovery_s'] / 60:.0f} min",
            )
            for each in faults
        ],
    )


def _reading(found: dict[str, Any]) -> str:
    rows: list[tuple[Any, ...]] = [
        (name, f"{spent:.1f} s", f"{found['bound_s'][name]:.1f} s" if name in found["bound_s"] else "", PURPOSES[name])
        for name, spent in found["spent_s"].items()
    ]
    ratio = found["ratio"]
    words = "" if ratio is None else f", {ratio:.3f} times the least that what came could take"
    note = (
        f"From {found['since_s'] / 3600:.2f} h on, when everybody had been read once: reading took {found['reading_s']:.0f} s of "
        f"frames{words}. The bound has the bytes that must cross each hop, in the largest reads, and nothing else."
    )
    return _table(("purpose", "spent>", "bound>", ""), rows) + f"<p class='note'>{escape(note)}</p>"


def _own_table(run: StreetRun) -> str:
    rows: list[tuple[Any, ...]] = [
        (each.house, each.kind, each.held, each.kept, each.own_count, each.journal_count, each.gone or ("" if each.exact else "no"))
        for each in run.truth().houses
    ]  # fmt: skip
    head = ("house", "kind", "intervals held>", "in the journal>", "own energy>", "in the journal>", "")
    return "<h2>House by house</h2>" + _table(head, rows)
