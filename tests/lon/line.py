"""A small bad line for tests: stacks that hear each other late, twice, damaged or not at all, in virtual time.

Frames travel with CRC. Those from one node to another keep their order, as on any line without stores in it: what comes late makes
what follows late too. Every delivery is watched: one frame in gives at most one answer and one frame onward (``Line.deliver``).
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from osgp.lon.apdu import CLASSIC_PROXY, PROXY
from osgp.lon.crc import with_crc, without_crc
from osgp.lon.events import Event
from osgp.lon.headers import read_pdu
from osgp.lon.ltep import Ltep
from osgp.lon.npdu import PduType
from osgp.lon.packet import packet_of
from osgp.node.stack import Stack
from osgp.wire.errors import DecodeError

__all__ = ["CALM", "Line", "Spoken", "Weather", "begun", "idle", "onward", "waiting"]

TRAVEL_S = 0.002


@dataclass(frozen=True, slots=True)
class Weather:
    """What becomes of a frame on its way to each hearer: chances 0 to 1, and how late it is at most."""

    drop: float = 0.0
    double: float = 0.0
    damage: float = 0.0
    late_s: float = 0.0


CALM = Weather()


class Spoken(NamedTuple):
    """One frame on the line. ``sender``: place of the node, -1 for what a test has put there itself."""

    time: float
    sender: int
    frame: bytes


def waiting(stack: Stack) -> int:
    """Transactions of a node that have not begun."""
    return sum(len(lane.waiting) for lane in stack.transport._lanes)


def begun(stack: Stack) -> int:
    """Transactions of a node in progress."""
    return len(stack.transport._exact) + len(stack.transport._general)


def idle(stack: Stack) -> bool:
    """Whether nothing of a node is in progress and nothing is armed."""
    transport = stack.transport
    active = any(lane.active for lane in transport._lanes)
    return stack.deadline() is None and transport.busy == 0 and not transport._busy and not active


def onward(frame: bytes) -> int:
    """How many frames besides its answer a frame asks a node for: none, one of a proxy, with ``all_agents`` a copy too.

    The reply to a challenge asks for what the message that waits for it asked.
    """
    try:
        npdu = packet_of(frame).npdu
        kind, version = npdu.control.pdu_type, npdu.control.version
        if kind == PduType.AUTHPDU:
            return 2
        apdu = npdu.pdu if kind == PduType.APDU else read_pdu(npdu.pdu, kind == PduType.SPDU, version).apdu
        if apdu[:1] == bytes((PROXY,)):
            return 1 + bool(Ltep.decode(apdu).header.all_agents)
        return int(apdu[:1] == bytes((CLASSIC_PROXY,)))
    except DecodeError:
        return 0


class Line:
    """``hear(place, event)`` is called for every event of every node, and may give commands to it."""

    def __init__(
        self,
        *nodes: Stack,
        rng: random.Random | None = None,
        weather: Weather = CALM,
        hear: Callable[[int, Event], None] | None = None,
        now: float = 0.0,
    ) -> None:
        self.nodes = list(nodes)
        self.rng = rng or random.Random(1)
        self.weather = weather
        self.hear = hear
        self.now = now
        self.spoken: list[Spoken] = []
        self.cut: set[tuple[int, int]] = set()
        self.bad_crc = 0
        self.later: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._last: dict[tuple[int, int], float] = {}

    def at(self, moment: float, act: Callable[[], None]) -> None:
        """Do something at a later moment."""
        self._count += 1
        heapq.heappush(self.later, (max(moment, self.now), self._count, act))

    def say(self, frame: bytes, sender: int = -1) -> None:
        """Put a frame (without CRC) on the line; all but its sender hear it."""
        self.spoken.append(Spoken(self.now, sender, frame))
        for place in range(len(self.nodes)):
            if place != sender and (sender, place) not in self.cut:
                self._carry(frame, sender, place)

    def _carry(self, frame: bytes, sender: int, place: int) -> None:
        rng, weather = self.rng, self.weather
        link = (sender, place)
        for _ in range(2 if weather.double and rng.random() < weather.double else 1):
            if weather.drop and rng.random() < weather.drop:
                continue
            raw = with_crc(frame)
            if weather.damage and rng.random() < weather.damage:
                spot = rng.randrange(8 * len(raw))
                raw = raw[: spot // 8] + bytes((raw[spot // 8] ^ 1 << spot % 8,)) + raw[spot // 8 + 1 :]
            arrives = max(self.now + TRAVEL_S + rng.random() * weather.late_s, self._last.get(link, 0.0))
            self._last[link] = arrives
            self.at(arrives, lambda raw=raw: self.deliver(place, raw))

    def deliver(self, place: int, raw: bytes) -> None:
        """Hand a frame with CRC to a node. At once it says at most one answer, and what ``onward`` allows.

        An answer may end a transaction and let one begin that waited: that frame was asked for by whoever made it wait.
        """
        node = self.nodes[place]
        try:
            frame = without_crc(raw)
        except DecodeError:
            self.bad_crc += 1
            return
        self.flush(place)
        before = waiting(node)
        node.receive_frame(frame, self.now)
        said = node.outgoing(self.now)
        let_go = max(0, before - waiting(node))
        assert len(said) <= 1 + let_go + onward(frame), f"{len(said)} frames for one: {frame.hex()}"
        for packet in said:
            self.say(packet.lpdu(), place)
        self._tell(place)

    def _tell(self, place: int) -> None:
        for event in self.nodes[place].events():
            if self.hear is not None:
                self.hear(place, event)

    def flush(self, place: int | None = None) -> None:
        """Let the nodes (or one) say what they want to say."""
        for each in range(len(self.nodes)) if place is None else (place,):
            self._tell(each)
            for packet in self.nodes[each].outgoing(self.now):
                self.say(packet.lpdu(), each)

    def _due(self) -> float | None:
        moments = [moment for node in self.nodes if (moment := node.deadline()) is not None]
        if self.later:
            moments.append(self.later[0][0])
        return min(moments) if moments else None

    def until(self, end: float) -> None:
        """Go on to ``end``."""
        self.flush()
        while (due := self._due()) is not None and due <= end:
            self.now = max(self.now, due)
            while self.later and self.later[0][0] <= self.now:
                heapq.heappop(self.later)[2]()
            for node in self.nodes:
                moment = node.deadline()
                if moment is not None and moment <= self.now:
                    node.wake(self.now)
            self.flush()
        self.now = max(self.now, end)

    def settle(self, limit_s: float) -> float:
        """Go on until nothing is in flight and nobody waits for anything; seconds that took. It must be over within the limit."""
        begin = self.now
        self.flush()
        while (due := self._due()) is not None:
            assert due <= begin + limit_s, (
                f"still busy after {limit_s} s: {[each.transport.busy for each in self.nodes]}"
            )
            self.until(due)
        assert all(map(idle, self.nodes))
        return self.now - begin
