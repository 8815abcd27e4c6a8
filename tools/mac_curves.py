"""Measure the access to the channel over the load and draw it: ``docs/_data/mac-curves.json`` and ``docs/_static/mac-*.svg``.

``python tools/mac_curves.py [--seconds 60]``; takes some minutes. Needs the extra ``plot``.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import osgp
from osgp.lon.csma import PL20_C
from osgp.plc.params import C_BAND
from osgp.sim.mac import measure

ROOT = Path(__file__).resolve().parent.parent
NODES = (2, 10, 50, 200)
LOADS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.5, 2.0, 4.0)
FIGURES = (
    ("throughput", "throughput (airtime of whole frames)"),
    ("goodput", "goodput (what came through, each once)"),
    ("collision_ratio", "transmissions that collide"),
    ("latency_median_s", "median latency, s"),
)
PICTURES = (
    ("acknowledged", False, "acknowledged"),
    ("unacknowledged", False, "unacknowledged"),
    ("unacknowledged", True, "collisions-heard"),
)
"""Traffic, whether all who hear a collision count it, and the picture's name."""
SERIES = ("#2a6f97", "#e07a1f", "#3a8f4d", "#8c3b7a")


def measured(seconds: float) -> dict[str, Any]:
    """All points, and the published one."""
    points = []
    for traffic, heard, _ in PICTURES:
        for nodes in NODES:
            for load in LOADS:
                point = measure(nodes, load, traffic=traffic, seconds=seconds, collisions_heard=heard)  # type: ignore[arg-type]  # both are kinds
                row = {key: _rounded(value) for key, value in dataclasses.asdict(point).items()}
                points.append({"collisions_heard": heard, **row})
                sys.stderr.write(f"{traffic} {nodes} nodes, load {load}: {point.throughput:.3f}\n")
    # Digest 1.5: PL-20C, 10 packets of 11 bytes a second, 4 % collisions. How many nodes, it does not say; ours have 12 bytes.
    published = [
        {key: _rounded(value) for key, value in dataclasses.asdict(point).items()}
        for point in (
            measure(nodes, 0.345, traffic="unacknowledged", seconds=seconds, timing=PL20_C, profile=C_BAND)
            for nodes in (2, 10, 50)
        )
    ]
    return {
        "made_by": "tools/mac_curves.py",
        "version": osgp.__version__,
        "seconds_per_point": seconds,
        "seed": 1,
        "points": points,
        "c_band": published,
    }


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value


def draw(content: dict[str, Any], folder: Path) -> None:
    """One picture for each kind of traffic: throughput, collisions, latency."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "osgp", "svg.fonttype": "path", "font.size": 9})
    from matplotlib import pyplot

    for traffic, heard, name in PICTURES:
        figure, axes = pyplot.subplots(1, 4, figsize=(13, 3.4), layout="constrained")
        for axis, (key, label) in zip(axes, FIGURES):
            for nodes, colour in zip(NODES, SERIES):
                rows = [
                    row
                    for row in content["points"]
                    if (row["traffic"], row["collisions_heard"], row["nodes"]) == (traffic, heard, nodes)
                    and row[key] is not None
                ]
                axis.plot(
                    [row["offered"] for row in rows],
                    [row[key] for row in rows],
                    marker="o",
                    markersize=3,
                    linewidth=1.4,
                    color=colour,
                    label=f"{nodes} nodes",
                )
            axis.set_xscale("log")
            axis.set_xticks([0.05, 0.1, 0.2, 0.5, 1, 4], ["0.05", "0.1", "0.2", "0.5", "1", "4"])
            axis.set_xlabel("offered load (airtime by time)")
            axis.set_title(label, fontsize=9)
            axis.grid(alpha=0.3)
            if key == "latency_median_s":
                axis.set_yscale("log")
            else:
                axis.set_ylim(0, 1)
        axes[0].legend(frameon=False, fontsize=8)
        counted = ", collisions of others counted" if heard else ""
        figure.suptitle(f"{traffic} traffic, all nodes in earshot, A band{counted}", fontsize=10)
        figure.savefig(folder / f"mac-{name}.svg", metadata={"Date": None})
        pyplot.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=60.0, help="simulated seconds of each point")
    parser.add_argument("--draw-only", action="store_true", help="from the data that are there")
    arguments = parser.parse_args()
    path = ROOT / "docs" / "_data" / "mac-curves.json"
    if not arguments.draw_only:
        path.write_text(json.dumps(measured(arguments.seconds), indent=1) + "\n")
    draw(json.loads(path.read_text()), ROOT / "docs" / "_static")


if __name__ == "__main__":
    main()
