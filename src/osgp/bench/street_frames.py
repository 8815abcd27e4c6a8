"""Real frames, tags and tables, beside a skeleton of a channel in simpy.

The skeleton is that of the group ``domains``: a process per meter that waits, counts slots down from a quiet line and sends; one
channel that all hear, no loss, no collision, nothing in the frames. Both sides are counted in frames that somebody received, by the
processor's clock.

Two rows of ours. The first is ``osgp.sim.domains`` with ``content``: collisions, hops, retries, and behind every frame that came
through its bytes, sealed and opened by AES-CCM under the key of its meter, table bytes from registers that count, CRC, tag and
counter checked at the other end, readings in columns. All of that is timed, the derivation of each meter's keys included; planning
the ways and asking ordinary nodes for the patterns of frames is not. The goal of ``spec/perf-anchors.md`` section 5 is three times
the skeleton. Real frames take 120 to 270 ms, so that a domain of 100 meters carries four in a second and not the ten of the
skeleton: counted in meter-seconds ours would look better by that.

The second is ``street.run``, the whole stack in Python: every node an object that lives, devices with all their tables and logs, a
concentrator with its journal, while it finds its devices, commissions and reads them for the first time. It has no goal; it says what
a frame costs there.
"""

from __future__ import annotations

import importlib.metadata
import random
import time
from collections.abc import Callable, Iterator

from osgp.bench.domains import METERS, simpy_frames
from osgp.bench.frame import Bench, PeerMissing, Row
from osgp.street.plan import default_text, parse_plan
from osgp.street.run import StreetRun

__all__ = ["frame_rows"]

_GOAL = 3.0
_HOUSES = 60
_DOMAINS, _SKELETON_S = 50, 10.0
_PEER = "simpy, a process per meter, empty frames"
_STREETS, _HOUR_S = 8, 3600.0
_REPORT_EVERY_S = 3600.0
"""Mean time between two alerts of a meter: the limit of ``spec/osgp-application.md`` 3.5 is 24 in a day."""


def contents(streets: int = _STREETS) -> Callable[[], int]:
    """A call that lives through an hour of so many domains with contents and tells how many frames came through.

    Raises PeerMissing without NumPy and Numba.
    """
    try:
        from osgp.sim.domains.content.messages import Contents
        from osgp.sim.domains.content.run import load_for, produce
        from osgp.sim.domains.model import Domains, street
    except ImportError as error:
        raise PeerMissing(f"{error.name} is not installed") from error
    what = Contents()
    load = load_for(what, poll_every_s=0.0, report_every_s=_REPORT_EVERY_S)
    domains = Domains.of([street(METERS, random.Random(number), load, length_m=3000.0) for number in range(streets)])

    def hour() -> int:
        delivered = 0
        for batch in produce(domains, _HOUR_S, 1, contents=what):
            if not len(batch.readings.meter):
                raise AssertionError("a domain was not read")
            delivered += batch.count
        return delivered

    return hour


def _street(seconds: float) -> tuple[int, float]:
    """Frames that came through somewhere, processor seconds."""
    run = StreetRun(parse_plan(default_text(_HOUSES)))
    begun = time.process_time()
    run.run_to(seconds)
    took_s = time.process_time() - begun
    delivered = sum(port.received for port in run.wire.ports)
    run.close()
    return delivered, took_s


def content_rows(bench: Bench, streets: int = _STREETS) -> Iterator[Row]:
    """The row with a goal; none without NumPy and Numba."""
    try:
        hour = contents(streets)
    except PeerMissing:
        return
    delivered = hour()  # compiles, or loads what was compiled before; the next hour is the same
    carried, peer, version = 0, None, ""
    try:
        carried, version = simpy_frames(_DOMAINS, _SKELETON_S), importlib.metadata.version("simpy")
    except PeerMissing as error:
        peer = error
    timed = Bench(bench.group, quick=bench.quick, clock=time.process_time)
    timed.sample_s = bench.sample_s
    yield timed.compare(
        f"Domains of {METERS} meters with real frames, tags and tables behind every delivered frame",
        hour,
        peer or (lambda: simpy_frames(_DOMAINS, _SKELETON_S)),
        work=delivered,
        peer_work=carried,
        unit="frames/s",
        floor=_GOAL,
        peer_name=_PEER,
        peer_version=version,
    )


def frame_rows(bench: Bench) -> Iterator[Row]:
    """Domains with contents, then the street of whole nodes; without the peer when simpy is not there."""
    yield from content_rows(bench)
    try:
        begun = time.process_time()
        peer: float | None = simpy_frames(_DOMAINS, _SKELETON_S) / (time.process_time() - begun)
        name, version = _PEER, importlib.metadata.version("simpy")
    except PeerMissing as error:
        peer, name, version = None, f"not installed: {error}", ""
    delivered, took_s = _street(600.0 if bench.quick else 1800.0)
    ours = delivered / took_s
    yield Row(
        bench.group,
        f"For information: street of {_HOUSES} whole nodes, every frame through all floors in Python",
        ours,
        peer,
        "frames/s",
        None if peer is None else ours / peer,
        None,
        None,
        name,
        version,
    )
