"""The access to the channel measured: throughput, collisions and latency against the load that is offered.

Project choice. So many nodes on one line, all in earshot of each other, offer packets at moments of chance (Poisson).
``unacknowledged``: frames that announce no answer. ``acknowledged``: live stacks with one transaction at a time, whose messages
announce their acknowledgement (delta backlog 1): then the predictive part of the access has something to predict.

What is published: "10 packets a second at 80 % load, 4 % collisions, 11-byte packets" for a C-band power line (digest 1.5), and that
throughput saturates and does not collapse, however many nodes offer however much (ISO/IEC 14908-1, MAC sublayer).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from statistics import median
from typing import Any, Literal

from osgp.lon.configuration import Configuration, domain_entry
from osgp.lon.csma import A_BAND, ChannelTiming
from osgp.lon.events import TransactionCompleted, TransactionFailed
from osgp.lon.ltep import Service
from osgp.lon.transport import Options
from osgp.node.stack import Stack
from osgp.plc.params import OSGP, PhyProfile
from osgp.sim.medium import FrameMedium, Levels
from osgp.sim.per import CARRIERS, Curve, Curves, Point
from osgp.sim.street_poll import address_of
from osgp.sim.wire import Port, Wire
from osgp.wire.errors import ConfigError, LocalProtocolError

__all__ = ["MacPoint", "Traffic", "measure"]

Traffic = Literal["unacknowledged", "acknowledged"]

LEVEL_DB = 40.0
"""Everybody hears everybody without loss: what is measured is the access alone."""
DOMAIN = b"I"
_APDU = b"\x05\x00\x00"
_MOST_NODES = 1000  # what hangs at a transformer; the levels of more would fill the memory
_OPTIONS = Options(retry=3, timer_s=3.072)
_LOSSLESS = Curves([Curve("Q", carrier, 18, (Point(0.0, 1, 0),)) for carrier in CARRIERS])


@dataclass(frozen=True, slots=True)
class MacPoint:
    """What so many nodes achieved at one load.

    ``offered``: airtime of the packets offered, by the time (1 is a line without a pause); of acknowledged ones that of the answer is
    included. ``throughput``: the same of all frames that were sent undisturbed, repetitions included; ``goodput``: of the packets
    that came through, each once. ``packets_per_s``: of these. ``collision_ratio``: of the transmissions begun, how many met another.
    ``latency_median_s``: from the offer to the end of the frame, or of its acknowledgement; None if nothing came through. ``lost``:
    packets refused or failed, by those offered. ``failed``: of the messages that ended, how many ended without an answer.
    ``fairness``: Jain's index of what came through from each node.
    """

    nodes: int
    traffic: Traffic
    offered: float
    throughput: float
    goodput: float
    packets_per_s: float
    collision_ratio: float
    latency_median_s: float | None
    lost: float
    failed: float
    fairness: float


class _Book:
    """What was offered and what came of it, from ``since_s`` on."""

    def __init__(self, nodes: int) -> None:
        self.since_s = math.inf
        self.offered = 0
        self.lost = 0
        self.failed = 0
        self.done = [0] * nodes
        self.latencies: list[float] = []
        self.sent_s = 0.0

    def came_through(self, node: int, begun_s: float, now: float) -> None:
        """A packet that was offered at ``begun_s`` is through."""
        if now >= self.since_s:
            self.done[node] += 1
            self.latencies.append(now - begun_s)

    def refused(self, now: float) -> None:
        """A packet found no room in its node."""
        self.lost += now >= self.since_s

    def gave_up(self, now: float) -> None:
        """A message has had all its retries."""
        if now >= self.since_s:
            self.lost += 1
            self.failed += 1


class _Frames:
    """Unacknowledged frames, put on the line in the nodes' names."""

    def __init__(self, wire: Wire, nodes: int, book: _Book) -> None:
        self._wire = wire
        self._book = book
        self._begun: dict[bytes, float] = {}
        self._count = 0
        self.ports = [wire.join(_stack(node)) for node in range(nodes)]
        wire.tap(self._sent)

    def _frame(self, source: int, to: int) -> bytes:
        self._count += 1
        a, b = address_of(source), address_of(to)
        npdu = bytes((0x39, a.subnet, 0x80 | a.node, b.subnet, 0x80 | b.node)) + DOMAIN
        return b"\0" + npdu + self._count.to_bytes(3, "big")

    def offer(self, source: int, to: int, now: float) -> None:
        port = self.ports[source]
        dropped = port.dropped
        frame = self._frame(source, to)
        self._wire.send(port, frame)
        if port.dropped > dropped:
            self._book.refused(now)
        else:
            self._begun[frame] = now

    def _sent(self, now: float, sender: Port, lpdu: bytes) -> None:
        self._book.came_through(sender.number, self._begun.pop(lpdu), now)


class _Messages:
    """Acknowledged messages of live stacks."""

    def __init__(self, wire: Wire, nodes: int, book: _Book) -> None:
        self._wire = wire
        self._book = book
        self._begun: list[dict[int, float]] = [{} for _ in range(nodes)]
        self._stacks = [_stack(node) for node in range(nodes)]
        self.ports = [wire.join(stack, on_events=self._on_events) for stack in self._stacks]

    def offer(self, source: int, to: int, now: float) -> None:
        try:
            handle = self._stacks[source].send(address_of(to), _APDU, now, _OPTIONS, service=Service.ACKD)
        except LocalProtocolError:
            self._book.refused(now)
            return
        self._begun[source][handle] = now
        self._wire.touch(self.ports[source])

    def _on_events(self, port: Port, events: Sequence[Any], now: float) -> None:
        for event in events:
            if isinstance(event, TransactionCompleted):
                self._book.came_through(port.number, self._begun[port.number].pop(event.handle), now)
            elif isinstance(event, TransactionFailed):
                del self._begun[port.number][event.handle]
                self._book.gave_up(now)


def _stack(node: int) -> Stack:
    configuration = Configuration((0x0700_0000_0000 + node).to_bytes(6, "big"))
    place = address_of(node)
    configuration.join(0, domain_entry(DOMAIN, place.subnet, place.node))
    configuration.block.last = configuration.block.last.with_(non_group_timer=15)
    # Everybody talks to everybody: with the ten destinations of a plain node the memory of transaction numbers
    # would be what is measured.
    return Stack(configuration, token=Random(node).randbytes, destinations=256, quiet_s=0.0, queue=8)


def measure(
    nodes: int,
    offered: float,
    *,
    traffic: Traffic = "unacknowledged",
    seconds: float = 120.0,
    seed: int = 1,
    timing: ChannelTiming = A_BAND,
    profile: PhyProfile = OSGP,
    detect_s: float | None = None,
    collisions_heard: bool = False,
) -> MacPoint:
    """One point. ``offered``: airtime of the packets offered by the time; may be more than 1. Raises ConfigError.

    ``detect_s``: when a carrier is noticed (half a slot). ``collisions_heard``: see ``Wire``.
    """
    if not (2 <= nodes <= _MOST_NODES and 0 < offered < 1000 and 0 < seconds < math.inf):
        raise ConfigError(
            f"a load of {offered:g} is not offered by {nodes} nodes for {seconds:g} s",
            hint=f"2 to {_MOST_NODES} nodes, for some time; 0.2 is a fifth of the airtime",
        )
    chance = Random(seed)
    row = [LEVEL_DB] * nodes
    medium = FrameMedium(Levels(([row] * nodes, [row] * nodes), ("Q",) * nodes), _LOSSLESS, seed=seed, profile=profile)
    wire = Wire(random=chance, access=timing, medium=medium, detect_s=detect_s, collisions_heard=collisions_heard)
    book = _Book(nodes)
    load = (_Messages if traffic == "acknowledged" else _Frames)(wire, nodes, book)
    # Link and network header, transport header where there is one, what is said, CRC.
    header = 1 + 5 + len(DOMAIN) + 2 + (traffic == "acknowledged")
    airtime_s = medium.speed.airtime_s(header + len(_APDU))
    if traffic == "acknowledged":
        airtime_s += medium.speed.airtime_s(header)
    rate_per_s = offered / airtime_s

    def sent_whole(now: float, sender: Port, lpdu: bytes) -> None:
        if now >= book.since_s:
            book.sent_s += medium.speed.airtime_s(len(lpdu) + 2)

    def offer(_: Any, now: float) -> None:
        source = chance.randrange(nodes)
        book.offered += now >= book.since_s
        load.offer(source, (source + 1 + chance.randrange(nodes - 1)) % nodes, now)
        wire.at(now + chance.expovariate(rate_per_s), offer, None)

    wire.tap(sent_whole)
    wire.at(0.0, offer, None)
    wire.run(seconds / 4)  # queues and estimates find their level
    book.since_s = wire.now
    sent, met = (sum(getattr(port, name) for port in load.ports) for name in ("sent", "collisions"))
    wire.run(wire.now + seconds)
    sent = sum(port.sent for port in load.ports) - sent
    met = sum(port.collisions for port in load.ports) - met
    packets = sum(book.done)
    squares = sum(count * count for count in book.done)
    return MacPoint(
        nodes=nodes,
        traffic=traffic,
        offered=offered,
        throughput=book.sent_s / seconds,
        goodput=packets * airtime_s / seconds,
        packets_per_s=packets / seconds,
        collision_ratio=met / max(1, sent + met),
        latency_median_s=median(book.latencies) if book.latencies else None,
        lost=book.lost / max(1, book.offered),
        failed=book.failed / max(1, book.failed + packets),
        fairness=packets * packets / (nodes * squares) if squares else 0.0,
    )
