"""Group ``medium``: streets of live stacks on a simulated power line, and what a frame costs.

First how many seconds of a transformer area pass in a second of one core: 200 meters in a city block, the full stack on every node,
a round of polls every quarter of an hour over one to four legs. The peer is the goal itself, a day in five minutes. ``--quick``
measures one hour of it (a day is as busy as 24 of these: the rounds are the same), else the day is run.

Then what a frame costs among 1,000 nodes that cannot hear it, against the same twelve nodes alone (goal: at least 0.9×). Beside it,
without a goal, the same with everybody in earshot: each listener is touched then.

Seconds are those of the processor: both sides are the same code and wait for nothing.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

from osgp.bench.frame import Bench, Row, group
from osgp.lon.configuration import Configuration, domain_entry
from osgp.lon.events import MessageReceived
from osgp.lon.transport import Options
from osgp.node.stack import Stack
from osgp.sim.grid import Grid
from osgp.sim.grid_generators import new_grid
from osgp.sim.medium import FrameMedium, Levels
from osgp.sim.street import Street
from osgp.sim.street_poll import address_of
from osgp.sim.wire import Port, Wire

__all__ = ["medium", "street"]

GOAL_S = 300.0
DAY_S = 86_400.0
TALKERS = 12
CROWD = 1000
EXCHANGES = 24
_PAUSE_S = 0.6
_OPTIONS = Options(retry=2, timer_s=2.0)


def street(meters: int = 200) -> Street:
    """A city block whose meters are one to four legs away."""
    description = new_grid("city", houses=meters, seed=1)
    settings = dataclasses.replace(description.settings, background_dbuv=80.0)
    return Street(Grid(dataclasses.replace(description, settings=settings)), seed=1)


def _answer(port: Port, events: Sequence[Any], now: float) -> None:
    stack = port.machine
    assert isinstance(stack, Stack)
    for event in events:
        if isinstance(event, MessageReceived) and event.reply is not None:
            stack.respond(event.reply, b"\x20\x01\x02", now)


def _talk(nodes: int, *, in_earshot: bool) -> Callable[[], None]:
    """The first twelve of so many nodes ask each other in turn; the others hear them, or are in areas of their own."""
    size = nodes if in_earshot else TALKERS
    rows = []
    for sender in range(nodes):
        row = [-math.inf] * nodes
        first = sender - sender % size
        row[first : first + size] = [30.0] * len(row[first : first + size])
        rows.append(row)
    wire = Wire(random=Random(1), medium=FrameMedium(Levels((rows, rows), ("Q",) * nodes), seed=1))
    stacks, ports = [], []
    for node in range(nodes):
        configuration = Configuration((0x0700_0000_0000 + node).to_bytes(6, "big"))
        place = address_of(node)
        configuration.join(0, domain_entry(b"I", place.subnet, place.node))
        stacks.append(Stack(configuration, quiet_s=0.0, destinations=2 * TALKERS))
        ports.append(wire.join(stacks[-1], on_events=_answer, statistics=configuration.statistics))

    def talk() -> None:
        before = sum(port.received for port in ports[:TALKERS])
        for number in range(EXCHANGES):
            asking = number % TALKERS
            stacks[asking].request(address_of((asking + 1) % TALKERS), b"\x00\x01", wire.now, _OPTIONS)
            wire.touch(ports[asking])
            wire.run(wire.now + _PAUSE_S)
        assert sum(port.received for port in ports[:TALKERS]) == before + 2 * EXCHANGES

    return talk


@group("medium")
def medium(bench: Bench) -> Iterator[Row]:
    """A day of 200 meters, then the cost of a frame that most cannot hear."""
    simulated_s = DAY_S / 24 if bench.quick else DAY_S
    area = street()
    begun = time.process_time()
    area.run(simulated_s)
    took_s = time.process_time() - begun
    report = area.report()
    assert report.delivered > 0.9
    legs = max(row.legs for row in report.by_legs)
    yield Row(
        bench.group,
        f"200 meters, full stack, polled every 15 min over up to {legs} legs",
        simulated_s / took_s,
        DAY_S / GOAL_S,
        "simulated s/s",
        simulated_s / took_s / (DAY_S / GOAL_S),
        1.0,
        None,
        f"goal: a day in {GOAL_S:g} s; {simulated_s / 3600:g} h measured in {took_s:.1f} s, "
        f"{report.transmissions} transmissions, {report.delivered:.1%} of the polls answered",
        "",
    )
    timed = Bench(bench.group, quick=bench.quick, clock=time.process_time)
    for name, in_earshot, floor in (
        (f"frame among 12 nodes, {CROWD - TALKERS} more out of earshot", False, 0.9),
        ("frame among 12 nodes, 188 more in earshot", True, None),
    ):
        yield timed.compare(
            name,
            _talk(200 if in_earshot else CROWD, in_earshot=in_earshot),
            _talk(TALKERS, in_earshot=False),
            work=2 * EXCHANGES,
            unit="frames/s",
            floor=floor,
            peer_name="the same twelve nodes alone",
        )
