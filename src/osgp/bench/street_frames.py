"""A street of real nodes, its frames, tags and tables, beside a skeleton of a channel in simpy.

The skeleton is that of the group ``domains``: a process per meter that waits, counts slots down from a quiet line and sends; one
channel that all hear, no loss, no collision, nothing in the frames. Ours is ``street.run``: levels from a grid, collisions, hops,
stacks, AES-CCM at both ends, tables, profiles and logs in devices that live, a concentrator with its journal. Both are counted in
frames that somebody received, by the processor's clock; the street while its devices are found, commissioned and read for the first
time.

The goal of ``spec/perf-anchors.md`` section 5, three times the skeleton, would leave some five to ten microseconds for a frame with
all that stands behind it; two calls of AES-CCM take as much as the half of that. It is printed as what to hope for.
"""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Iterator

from osgp.bench.domains import simpy_frames
from osgp.bench.frame import Bench, PeerMissing, Row
from osgp.street.plan import default_text, parse_plan
from osgp.street.run import StreetRun

__all__ = ["frame_rows"]

_GOAL = 3.0
_HOUSES = 60
_DOMAINS, _SKELETON_S = 50, 10.0


def _street(seconds: float) -> tuple[int, float]:
    """Frames that came through somewhere, processor seconds."""
    run = StreetRun(parse_plan(default_text(_HOUSES)))
    begun = time.process_time()
    run.run_to(seconds)
    took_s = time.process_time() - begun
    delivered = sum(port.received for port in run.wire.ports)
    run.close()
    return delivered, took_s


def frame_rows(bench: Bench) -> Iterator[Row]:
    """One row; without the peer when simpy is not there."""
    try:
        begun = time.process_time()
        peer: float | None = simpy_frames(_DOMAINS, _SKELETON_S) / (time.process_time() - begun)
        name, version = "simpy, a process per meter, empty frames", importlib.metadata.version("simpy")
    except PeerMissing as error:
        peer, name, version = None, f"not installed: {error}", ""
    delivered, took_s = _street(600.0 if bench.quick else 1800.0)
    ours = delivered / took_s
    yield Row(
        bench.group,
        f"Street of {_HOUSES} real devices: frames received with their tags and tables",
        ours,
        peer,
        "frames/s",
        None if peer is None else ours / peer,
        None,
        _GOAL,
        name,
        version,
    )
