"""Group ``lon-wire``: what 1,000 control-network nodes on one in-memory domain cost, in time per frame and in memory.

Every node is a live stack. A request and its response go back and forth between ten nodes, once with nobody else on the wire (the
peer) and once among 990 that ignore them: the cost of a delivered frame must not grow (goal: at least 0.9×), neither on a
direct wire nor on a shared channel, where all those who listen estimate the backlog. Beside it, without a goal, the same with
everybody talking: then the memory that a frame touches grows with the nodes. Memory is what a node holds after it has asked and
answered once, its share of the channel's history included, against a bound of 20 KiB (goal: at least 1×).

Seconds are those of the processor, not of the wall: both sides are the same code and wait for nothing, and what else the machine
does would say more than the tenth that is looked for.
"""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

from osgp.bench.frame import Bench, Row, group
from osgp.lon.address import SubnetNode
from osgp.lon.configuration import Configuration, domain_entry
from osgp.lon.csma import A_BAND, ChannelTiming
from osgp.lon.events import MessageReceived
from osgp.lon.transport import Options
from osgp.node.stack import Stack
from osgp.sim.wire import Port, Wire

__all__ = ["Town", "lon_wire", "memory_kib"]

NODES = 1000
TALKERS = 10
EXCHANGES = 50
"""Requests of one call; each brings a response: two frames."""
BOUND_KIB = 20.0
_OPTIONS = Options(retry=2, timer_s=2.0)
_PAUSE_S = 0.5


def _place(node: int) -> SubnetNode:
    return SubnetNode(1 + node // 100, 1 + node % 100)


def _answer(port: Port, events: Sequence[Any], now: float) -> None:
    stack = port.machine
    assert isinstance(stack, Stack)
    for event in events:
        if isinstance(event, MessageReceived) and event.reply is not None:
            stack.respond(event.reply, b"\x20\x01\x02", now)


class Town:
    """So many nodes in one domain, of which the first ``talkers`` ask each other in turn."""

    def __init__(self, nodes: int, talkers: int, access: ChannelTiming | None) -> None:
        self.wire = Wire(random=Random(1), access=access)
        self.stacks = [self._stack(node) for node in range(nodes)]
        self.ports = [
            self.wire.join(stack, on_events=_answer, statistics=stack.configuration.statistics) for stack in self.stacks
        ]
        self.talkers = talkers
        self._turn = 0
        self.wire.run(3.0)  # the quiet time after power-up

    @staticmethod
    def _stack(node: int) -> Stack:
        configuration = Configuration((0x0700_0000_0000 + node).to_bytes(6, "big"))
        place = _place(node)
        configuration.join(0, domain_entry(b"I", place.subnet, place.node))
        return Stack(configuration)

    def talk(self, exchanges: int = EXCHANGES) -> None:
        """So many requests, each with its response."""
        wire = self.wire
        for _ in range(exchanges):
            asking = self._turn % self.talkers
            self._turn += 1
            self.stacks[asking].request(_place((asking + 1) % self.talkers), b"\x00\x01", wire.now, _OPTIONS)
            wire.touch(self.ports[asking])
            wire.run(wire.now + _PAUSE_S)

    @property
    def delivered(self) -> int:
        """Frames that reached a machine."""
        return sum(port.received for port in self.ports)


def memory_kib(nodes: int = NODES) -> float:
    """KiB that a node holds on a shared channel after it has asked and answered once."""
    Town(2, 2, A_BAND).talk(2)  # what is made once for all is not a node's
    gc.collect()
    tracemalloc.start()
    try:
        town = Town(nodes, nodes, A_BAND)
        town.talk(nodes)
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert town.delivered == 2 * nodes
    return held / nodes / 1024


def _talking(nodes: int, talkers: int, access: ChannelTiming | None) -> Callable[[], None]:
    town = Town(nodes, talkers, access)

    town.talk(talkers)
    assert town.delivered == 2 * talkers
    return town.talk


@group("lon-wire")
def lon_wire(bench: Bench) -> Iterator[Row]:
    """A thousand nodes against ten, direct and on a shared channel; then memory."""
    timed = Bench(bench.group, quick=bench.quick, clock=time.process_time)
    for name, access in (("direct wire", None), ("shared channel", A_BAND)):
        for what, talkers, floor in (("10 talk, 990 ignore them", TALKERS, 0.9), ("all 1,000 talk", NODES, None)):
            yield timed.compare(
                f"frame delivered, {name}, {what}",
                _talking(NODES, talkers, access),
                _talking(TALKERS, TALKERS, access),
                work=2 * EXCHANGES,
                unit="frames/s",
                floor=floor,
                peer_name="the same wire with 10 nodes",
            )
    measured = memory_kib()
    yield Row(
        bench.group,
        "memory of an idle node (stack, link, its share of the wire)",
        1024 / measured,
        1024 / BOUND_KIB,
        "nodes/MiB",
        BOUND_KIB / measured,
        1.0,
        None,
        f"bound of {BOUND_KIB:g} KiB a node; measured {measured:.1f}",
        "",
    )
