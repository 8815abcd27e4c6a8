"""A grid as a drawing: a single-line diagram with feeders as rows, houses in the colour of their phase, cut branches in red.

Project choice. The drawing is a list of lines, boxes, dots and texts, which is written as SVG here, or as PNG by matplotlib (extra
``plot``). Distances are not to scale; each branch says its length.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

from osgp.sim.grid import Grid
from osgp.sim.grid_description import TRANSFORMER, Node
from osgp.sim.grid_report import GridReport, report
from osgp.wire.errors import ConfigError

__all__ = ["Drawing", "draw", "save_picture", "svg"]

PHASE_COLOURS = {"L1": "#0072B2", "L2": "#C65100", "L3": "#00805A", "L123": "#444444"}
"""Told apart also by those who do not see red or green."""
_INK, _PALE, _CUT, _LOUD, _PAPER = "#222222", "#8A8F98", "#C1121F", "#E0A100", "#FFFFFF"
_MOST_PIXELS = 30_000
_COLUMN, _BOX_W, _BOX_H, _STACK, _FIRST, _MARGIN = 54.0, 46.0, 15.0, 18.0, 22.0, 28.0


@dataclass(frozen=True, slots=True)
class Line:
    """From one place to another; ``dashed`` for what is switched off."""

    x1: float
    y1: float
    x2: float
    y2: float
    colour: str = _INK
    width: float = 1.2
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle with rounded corners about its centre, and a text in it."""

    x: float
    y: float
    width: float
    height: float
    fill: str
    stroke: str
    text: str = ""
    ink: str = _PAPER
    title: str = ""


@dataclass(frozen=True, slots=True)
class Dot:
    """A filled circle."""

    x: float
    y: float
    radius: float
    fill: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Words:
    """A text; ``anchor``: start, middle or end."""

    x: float
    y: float
    text: str
    size: float = 10.0
    colour: str = _INK
    anchor: str = "start"
    bold: bool = False


@dataclass(slots=True)
class Drawing:
    """What there is to draw, in order, in units of a pixel from the top left."""

    width: float = 0.0
    height: float = 0.0
    shapes: list[Line | Box | Dot | Words] = field(default_factory=list)


@dataclass(slots=True)
class _Row:
    """Points one after the other along a cable."""

    points: list[str]
    column: int
    up: float
    down: float
    above: _Row | None  # the row that it drops from
    y: float = 0.0


def draw(grid: Grid, time_of_day_h: float = 20.0) -> Drawing:
    """The single-line diagram of a grid at a local time of day."""
    found = report(grid, time_of_day_h)
    houses: dict[str, list[Node]] = defaultdict(list)
    for node in grid.description.nodes:
        houses[node.at].append(node)
    rows, hangs = _rows(grid, houses)
    drawing = Drawing()
    place: dict[str, tuple[float, float]] = {}
    top = _MARGIN + 74.0
    for row in rows:
        for step, point in enumerate(row.points):
            place[point] = (_MARGIN + 60.0 + (row.column + step) * _COLUMN, top + row.y)
    _cables(drawing, grid, place, hangs)
    _nodes(drawing, grid, found, place, houses)
    _noises(drawing, grid, place)
    drawing.width = max(760.0, max(x for x, _ in place.values()) + _COLUMN + _MARGIN)
    drawing.height = max(row.y + row.down for row in rows) + top + _MARGIN
    _legend(drawing, found)
    return drawing


def _rows(grid: Grid, houses: dict[str, list[Node]]) -> tuple[list[_Row], dict[str, str]]:
    """(rows with their places, the point that each point hangs at); open branches count here as if they were closed."""
    near: dict[str, list[str]] = defaultdict(list)
    for branch in grid.description.branches:
        near[branch.start].append(branch.end)
        near[branch.end].append(branch.start)
    hangs: dict[str, str] = {}
    order: list[str] = []
    roots = [TRANSFORMER, *(point for point in grid.description.points if point != TRANSFORMER)]
    for root in roots:
        if root in hangs:
            continue
        hangs[root] = ""
        queue = [root]
        for point in queue:
            order.append(point)
            for other in near[point]:
                if other not in hangs:
                    hangs[other] = point
                    queue.append(other)
    children: dict[str, list[str]] = defaultdict(list)
    depth: dict[str, int] = {}
    for point in reversed(order):
        depth[point] = 1 + max((depth[child] for child in children[point]), default=0)
        if hangs[point]:
            children[hangs[point]].append(point)
    rows: list[_Row] = []
    # Feeders in the order of the file; along each the longest way goes on, the others drop below it.
    starts: list[tuple[str, int, _Row | None]] = [(point, 0, None) for point in reversed(order) if not hangs[point]]
    while starts:
        point, column, above = starts.pop()
        chain = [point]
        aside: list[tuple[str, int]] = []
        while children[chain[-1]]:
            onward = list(reversed(children[chain[-1]]))
            goes_on = max(onward, key=lambda child: depth[child])
            at = column + len(chain)
            aside += [(child, at) for child in onward if child != goes_on]
            if chain[-1] == TRANSFORMER:
                aside.append((goes_on, at))
                aside.sort(key=lambda one: order.index(one[0]))
                break
            chain.append(goes_on)
        stacks = [(len(houses[point]) + 1) // 2 for point in chain]
        below = [len(houses[point]) // 2 for point in chain]
        rows.append(_Row(chain, column, _FIRST + _STACK * max(stacks), _FIRST + _STACK * max(below), above))
        starts += [(child, at, rows[-1]) for child, at in reversed(aside)]
    taken: list[tuple[int, int, float, float]] = []
    for row in rows:
        # The first height at which the row meets no other, one column left of it included for the cable that comes down.
        first, last = row.column - 1, row.column + len(row.points)
        y = row.up if row.above is None else row.above.y + row.above.down + row.up
        for left, right, high, low in sorted(taken, key=lambda one: one[2]):
            if left <= last and first <= right and y - row.up < low and high < y + row.down:
                y = low + row.up
        row.y = y
        taken.append((row.column, last - 1, y - row.up, y + row.down))
    return rows, hangs


def _cables(drawing: Drawing, grid: Grid, place: dict[str, tuple[float, float]], hangs: dict[str, str]) -> None:
    open_now = set(grid.open_branches)
    for branch in grid.description.branches:
        start, end = place[branch.start], place[branch.end]
        if hangs.get(branch.start) == branch.end:
            start, end = end, start
        cut = branch.name in open_now
        colour, width = (_CUT, 2.0) if cut else (_INK, 2.0)
        middle = end[0] - _COLUMN / 2
        corners = [start, end] if start[1] == end[1] else [start, (middle, start[1]), (middle, end[1]), end]
        for (x1, y1), (x2, y2) in pairwise(corners):
            drawing.shapes.append(Line(x1, y1, x2, y2, colour, width, cut))
        label = f"{branch.name} off" if cut else f"{branch.length_m:.0f} m"
        drawing.shapes.append(
            Words(middle + (0 if start[1] == end[1] else 3), end[1] - 4, label, 8.0, _CUT if cut else _PALE,
                  "middle" if start[1] == end[1] else "start")
        )  # fmt: skip
    for point, (x, y) in place.items():
        drawing.shapes.append(Dot(x, y, 3.0, _INK, point))
    x, y = place[TRANSFORMER]
    drawing.shapes += [
        Dot(x - 44, y, 11.0, _INK, "transformer"),
        Dot(x - 44, y, 9.0, _PAPER),
        Dot(x - 32, y, 11.0, _INK),
        Dot(x - 32, y, 9.0, _PAPER),
        Line(x - 21, y, x, y, _INK, 2.0),
        Line(x, y - 14, x, y + 14, _INK, 4.0),
    ]


def _nodes(
    drawing: Drawing,
    grid: Grid,
    found: GridReport,
    place: dict[str, tuple[float, float]],
    houses: dict[str, list[Node]],
) -> None:
    rows = {row.name: row for row in found.nodes}
    open_now = set(grid.open_branches)
    for point, nodes in houses.items():
        x, y = place[point]
        ups, downs = nodes[0::2], nodes[1::2]
        for side, sign in ((ups, -1), (downs, 1)):
            if side:
                reach = y + sign * (_FIRST + _STACK * (len(side) - 1))
                drawing.shapes.append(Line(x, y, x, reach, _PALE, 1.0, all(node.name in open_now for node in side)))
            for step, node in enumerate(side):
                row = rows[node.name]
                colour = PHASE_COLOURS[node.phase]
                middle = y + sign * (_FIRST + _STACK * step)
                reached = row.hops is not None
                concentrator = node.device == "concentrator"
                fill = _INK if concentrator else colour if reached and node.device != "none" else _PAPER
                stroke = _CUT if not reached and node.device != "none" else colour
                hops = "not reached" if row.hops is None else f"{row.hops} hops"
                title = (
                    f"{node.name}: {node.device}, {node.phase}, {hops}, noise {row.noise_dbuv:.0f} dBuV {row.scenario}"
                )
                if node.loads:
                    title += f", {', '.join(node.loads)}"
                shown = node.name if len(node.name) <= 7 else node.name[:6] + "…"
                ink = _PAPER if fill != _PAPER else stroke
                drawing.shapes.append(Box(x, middle, _BOX_W, _BOX_H, fill, stroke, shown, ink, title))
                if row.hops is not None and row.hops > 1:
                    drawing.shapes += [
                        Dot(x + _BOX_W / 2 - 1, middle - _BOX_H / 2 + 2, 5.0, _PAPER),
                        Words(x + _BOX_W / 2 - 1, middle - _BOX_H / 2 + 4.5, str(row.hops), 7.5, _INK, "middle", True),
                    ]
                if any(load not in ("appliances", "led_lighting") for load in node.loads):
                    drawing.shapes.append(Dot(x - _BOX_W / 2 + 1, middle - _BOX_H / 2 + 1, 3.2, _LOUD, "a loud load"))


def _noises(drawing: Drawing, grid: Grid, place: dict[str, tuple[float, float]]) -> None:
    at = {node.name: node.at for node in grid.description.nodes}
    stacked: dict[str, int] = defaultdict(int)
    for noise in grid.description.noises:
        point = at.get(noise.at, noise.at)
        x, y = place[point]
        stacked[point] += 1
        text = f"{noise.name}: {noise.kind} {noise.level_dbuv:.0f} dBuV"
        drawing.shapes.append(Dot(x, y, 5.0 + 2.5 * (stacked[point] - 1), _LOUD, text))
        drawing.shapes.append(Dot(x, y, 3.0, _INK, noise.at))


def _legend(drawing: Drawing, found: GridReport) -> None:
    hour = f"{int(found.time_of_day_h):02d}:{round(found.time_of_day_h % 1 * 60) % 60:02d}"
    devices = [row for row in found.nodes if row.device != "none"]
    reached = sum(row.hops is not None for row in devices)
    furthest = max((row.hops or 0 for row in found.nodes), default=0)
    text = f"{hour} local time · {reached} of {len(devices)} devices reached · at most {furthest} hops"
    if len(found.islands) > 1:
        text += f" · {len(found.islands)} islands"
    drawing.shapes += [
        Words(_MARGIN, _MARGIN + 4, found.name, 17.0, _INK, bold=True),
        Words(_MARGIN, _MARGIN + 22, text, 11.0, _PALE),
    ]
    x, y = _MARGIN, _MARGIN + 42
    for phase, colour in PHASE_COLOURS.items():
        drawing.shapes.append(Box(x + 17, y, 34, _BOX_H, colour, colour, phase))
        x += 44
    drawing.shapes += [
        Box(x + 43, y, 78, _BOX_H, _PAPER, _CUT, "not reached", _CUT),
        Words(x + 96, y + 4, "2", 9.0, _INK, "middle", True),
        Words(x + 104, y + 4, "hops, if not one", 10.0),
        Dot(x + 204, y, 4.0, _LOUD),
        Words(x + 212, y + 4, "makes noise", 10.0),
        Line(x + 290, y, x + 316, y, _CUT, 2.0, True),
        Words(x + 322, y + 4, "switched off", 10.0),
    ]


def svg(drawing: Drawing) -> str:
    """A drawing as an SVG document."""
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{drawing.width:.0f}" height="{drawing.height:.0f}" '
        f'viewBox="0 0 {drawing.width:.0f} {drawing.height:.0f}" font-family="Helvetica, Arial, sans-serif">',
        f'<rect width="100%" height="100%" fill="{_PAPER}"/>',
    ]
    out += [_element(shape) for shape in drawing.shapes]
    return "\n".join([*out, "</svg>"]) + "\n"


def _element(shape: Line | Box | Dot | Words) -> str:
    if isinstance(shape, Line):
        dash = ' stroke-dasharray="5 4"' if shape.dashed else ""
        return (
            f'<line x1="{shape.x1:.1f}" y1="{shape.y1:.1f}" x2="{shape.x2:.1f}" y2="{shape.y2:.1f}" '
            f'stroke="{shape.colour}" stroke-width="{shape.width}"{dash}/>'
        )
    if isinstance(shape, Words):
        weight = ' font-weight="bold"' if shape.bold else ""
        return (
            f'<text x="{shape.x:.1f}" y="{shape.y:.1f}" font-size="{shape.size}" fill="{shape.colour}" '
            f'text-anchor="{shape.anchor}"{weight}>{escape(shape.text)}</text>'
        )
    title = f"<title>{escape(shape.title)}</title>" if shape.title else ""
    if isinstance(shape, Dot):
        return f'<circle cx="{shape.x:.1f}" cy="{shape.y:.1f}" r="{shape.radius}" fill="{shape.fill}">{title}</circle>'
    rectangle = (
        f'<rect x="{shape.x - shape.width / 2:.1f}" y="{shape.y - shape.height / 2:.1f}" width="{shape.width}" '
        f'height="{shape.height}" rx="3" fill="{shape.fill}" stroke="{shape.stroke}" stroke-width="1.4"/>'
    )
    return f"<g>{title}{rectangle}{_element(_inside(shape))}</g>"


def _inside(box: Box) -> Words:
    return Words(box.x, box.y + 3.4, box.text, 9.5, box.ink, "middle")


def save_picture(drawing: Drawing, path: str | Path) -> None:
    """Write a drawing to a file, as its name ends: .svg, or .png by way of matplotlib. Raises ConfigError."""
    place = Path(path)
    kind = place.suffix.lower()
    if kind not in (".svg", ".png"):
        raise ConfigError(f"{path} is no picture", hint="a name that ends in .svg or .png")
    try:
        if kind == ".svg":
            place.write_text(svg(drawing), "utf-8")
        else:
            _png(drawing, place)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written: {error.strerror or error}", hint="is there such a folder?"
        ) from error


def _png(drawing: Drawing, place: Path) -> None:
    try:
        from matplotlib.figure import Figure
        from matplotlib.patches import Circle, FancyBboxPatch
    except ImportError as error:
        raise ConfigError("PNG pictures need matplotlib", hint='pip install "osgp[plot]", or a name in .svg') from error
    # One unit is a point of 1/72 inch; drawn at 144 dots per inch, so that small texts stay sharp, but no larger than can be.
    dots = min(144.0, 72.0 * _MOST_PIXELS / max(drawing.width, drawing.height))
    figure: Any = Figure(figsize=(drawing.width / 72, drawing.height / 72), dpi=dots, facecolor=_PAPER)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, drawing.width)
    axes.set_ylim(drawing.height, 0)
    axes.axis("off")
    sides = {"start": "left", "middle": "center", "end": "right"}
    for order, shape in enumerate(drawing.shapes):
        if isinstance(shape, Line):
            style = (0, (4, 3)) if shape.dashed else "-"
            axes.plot((shape.x1, shape.x2), (shape.y1, shape.y2), color=shape.colour, lw=shape.width, ls=style, zorder=order,
                      solid_capstyle="round")  # fmt: skip
        elif isinstance(shape, Dot):
            axes.add_patch(Circle((shape.x, shape.y), shape.radius, facecolor=shape.fill, lw=0, zorder=order))
        else:
            words = shape if isinstance(shape, Words) else _inside(shape)
            if isinstance(shape, Box):
                corner = (shape.x - shape.width / 2, shape.y - shape.height / 2)
                axes.add_patch(
                    FancyBboxPatch(corner, shape.width, shape.height, boxstyle="round,pad=0,rounding_size=3",
                                   facecolor=shape.fill, edgecolor=shape.stroke, lw=1.4, zorder=order)
                )  # fmt: skip
            axes.text(
                words.x, words.y, words.text.replace("$", r"\$"), fontsize=words.size, color=words.colour,
                ha=sides[words.anchor], va="baseline", weight="bold" if words.bold else "normal", zorder=order + 0.5,
            )  # fmt: skip
    figure.savefig(place, format="png")
