"""A few meters on one line in virtual time and what asks them, with a security that hides nothing but counts as the real one does.

For measurements and tests of exchanges: everything but keys and topology is what runs live. How much of the line exchanges use is
``use_of_line``. Project choice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine, Sequence
from random import Random
from typing import Any

from osgp.app.verdict import Accepted, OutOfStep, Refused, Verdict
from osgp.concentrator.accounts import AirtimeAccount, LineCosts
from osgp.concentrator.door import PowerLineAccess
from osgp.concentrator.exchange import Exchanges, FixedRoutes, Peer, Policy, Priority, Route
from osgp.concentrator.tasks import Tasks
from osgp.lon.address import SubnetNode
from osgp.lon.configuration import Configuration, domain_entry
from osgp.lon.csma import A_BAND, ChannelTiming
from osgp.lon.events import MessageReceived
from osgp.lon.interests import Interests
from osgp.lon.packet import Packet
from osgp.lon.proxy import Hop
from osgp.node.meter import Meter
from osgp.node.server import Port as TablePort
from osgp.node.stack import Stack
from osgp.sim.wire import Port, Quality, Wire
from osgp.wire.errors import NoAnswer

__all__ = ["Asker", "Few", "PlainDevice", "PlainSealer", "stack_at", "use_of_line"]

REQUEST, SEQUENCE_ERROR = 0x10, 0x16
SECURITY = bytes(8)
_ASKER, _REPEATERS = 100, 101
_LARGEST, _REQUEST_BYTES, _ANSWER_BYTES = 84, 21, 96
"""Data of the largest read, and the APDUs that carry it."""


def stack_at(node: int, subnet: int = 1, *, destinations: int = 300) -> Stack:
    """A commissioned node that remembers messages as long as the standard allows."""
    configuration = Configuration(bytes.fromhex("070000000000")[:5] + bytes([node]))
    configuration.join(0, domain_entry(b"I", subnet, node))
    configuration.block.last = configuration.block.last.with_(non_group_timer=15)
    return Stack(configuration, token=Random(node).randbytes, quiet_s=0.0, destinations=destinations)


class PlainSealer:
    """Sequence numbers and lengths of the real suite, nothing secret. ``spoil``: the next answers that it takes for forged."""

    def __init__(self) -> None:
        self.sequence = 0x1000
        self.sealed: list[bytes] = []
        self.spoil = 0
        self.given_up = 0

    def seal(self, message: bytes, now: float) -> bytes:
        """See ``exchange.Sealer``."""
        self.sequence += 1
        self.sealed.append(message)
        return bytes([REQUEST]) + message + self.sequence.to_bytes(4, "big") + SECURITY

    def open(self, apdu: bytes, now: float) -> Verdict:
        """See ``exchange.Sealer``."""
        if self.spoil:
            self.spoil -= 1
            return Refused("bad-tag")
        if apdu[:1] == bytes([SEQUENCE_ERROR]):
            following = int.from_bytes(apdu[1:5], "big")
            self.sequence = max(self.sequence, following - 1)
            return OutOfStep(following)
        if apdu[:1] != bytes([REQUEST]):
            return Refused("code")
        return Accepted(apdu[1:-8])

    def give_up(self) -> None:
        """See ``exchange.Sealer``."""
        self.given_up += 1


class PlainDevice:
    """A meter's tables behind a stack: what is sealed plainly is answered, an exact repeat from memory, an old number refused.

    ``start``: UTC seconds of the line's second 0. ``busy``: codes that it answers with first; ``silent``: it hears and says nothing.
    """

    def __init__(self, node: int, meter: Meter, start: float) -> None:
        self.stack = stack_at(node)
        self.node = node
        self.meter = meter
        self.port = TablePort("pl")
        self.last = 0x0FFF
        self.stored: tuple[bytes, bytes] = (b"", b"")
        self.executed: list[bytes] = []
        self.silent = False
        self.busy: list[int] = []
        self.start = start

    def on_events(self, port: Port, events: Sequence[Any], now: float) -> None:
        """What its stack tells."""
        for event in events:
            if isinstance(event, MessageReceived) and event.reply is not None and event.apdu[0] == REQUEST:
                if self.silent:
                    continue
                self.stack.respond(event.reply, self.answer(event.apdu, now), now)

    def answer(self, apdu: bytes, now: float) -> bytes:
        """The response to a request."""
        if apdu == self.stored[0]:
            return self.stored[1]
        sequence = int.from_bytes(apdu[-12:-8], "big")
        if sequence <= self.last:
            return bytes([SEQUENCE_ERROR]) + (self.last + 1).to_bytes(4, "big") + SECURITY
        self.last = sequence
        message = apdu[1:-12]
        self.executed.append(message)
        if self.busy:
            reply = bytes([self.busy.pop(0)])
        else:
            self.meter.advance(self.start + now)
            reply = self.meter.server.handle_message(message, "MK", self.start + now, self.port)
        if len(reply) > 87:
            reply = b"\x04"
        self.stored = (apdu, bytes([REQUEST]) + reply + SECURITY)
        return self.stored[1]


class Asker:
    """Exchanges and tasks over one stack, as the concentrator's core joins them, for a wire."""

    def __init__(
        self,
        stack: Stack,
        *,
        routes: FixedRoutes | None = None,
        policy: Policy | None = None,
        account: AirtimeAccount | None = None,
    ) -> None:
        self.stack = stack
        self.tasks = Tasks()
        self.exchanges = Exchanges(
            stack,
            routes=routes,
            policy=policy,
            costs=LineCosts(),
            account=account or AirtimeAccount(share=1.0),
        )

    def receive(self, packet: Packet, now: float) -> None:
        """Take a packet."""
        self.stack.receive(packet, now)
        self.work(now)

    def receive_frame(self, lpdu: bytes, now: float) -> None:
        """Take a frame without CRC."""
        self.stack.receive_frame(lpdu, now)
        self.work(now)

    def outgoing(self, now: float) -> list[Packet]:
        """Packets for the line, in order."""
        return self.stack.outgoing(now)

    def events(self) -> Sequence[Any]:
        """Nothing: tasks have the answers."""
        return ()

    def deadline(self) -> float | None:
        """When ``wake`` has something to do."""
        due = [self.stack.deadline(), self.tasks.deadline(), self.exchanges.deadline()]
        return min((each for each in due if each is not None), default=None)

    def wake(self, now: float) -> None:
        """Time has come."""
        self.stack.wake(now)
        self.work(now)

    def interests(self) -> Interests:
        """Whom the stack listens to."""
        return self.stack.interests()

    def work(self, now: float) -> None:
        """Go on until nobody has anything to do."""
        while True:
            for event in self.stack.events():
                self.exchanges.take(event, now)
            self.tasks.run(now)
            self.exchanges.pump(now)
            if not self.stack._events and not self.tasks.ready:
                return


class Few:
    """One asker, ``count`` meters, a wire. ``repeaters``: nodes from 101 on, chained to the devices by hops; ``meter``: makes one."""

    def __init__(
        self,
        count: int = 1,
        *,
        meter: Callable[[], Meter],
        start: float,
        access: ChannelTiming | None = A_BAND,
        loss: float = 0.0,
        seed: int = 1,
        repeaters: int = 0,
        policy: Policy | None = None,
        account: AirtimeAccount | None = None,
    ) -> None:
        self.wire = Wire(random=Random(seed), access=access, quality=Quality(loss=loss))
        self.routes = FixedRoutes()
        self.asker = Asker(stack_at(_ASKER), routes=self.routes, policy=policy, account=account)
        self.port = self.wire.join(self.asker)
        self.repeaters = []
        for number in range(repeaters):
            stack = stack_at(_REPEATERS + number)
            self.repeaters.append(self.wire.join(stack, on_events=lambda port, events, now: None))
        hops = tuple(Hop(1, _REPEATERS + number) for number in range(repeaters))
        self.devices: list[PlainDevice] = []
        self.ports: list[Port] = []
        self.peers: list[Peer] = []
        self.sealers: list[PlainSealer] = []
        for number in range(count):
            device = PlainDevice(1 + number, meter(), start)
            self.devices.append(device)
            self.ports.append(self.wire.join(device.stack, on_events=device.on_events))
            sealer = PlainSealer()
            self.sealers.append(sealer)
            self.peers.append(Peer(number, SubnetNode(1, 1 + number), sealer))
            if hops:
                self.routes.by_device[number] = Route(hops, alternate_path=False)

    def access(self, number: int = 0, priority: Priority = Priority.ON_DEMAND) -> PowerLineAccess:
        """The door of a device."""
        return PowerLineAccess(self.asker.exchanges, self.asker.tasks, self.peers[number], priority)

    def do(self, coroutine: Coroutine[Any, Any, Any], *, limit_s: float = 600.0) -> Any:
        """The result of a coroutine that asks devices. Raises NoAnswer when it waits longer than that."""
        task = self.asker.tasks.start(coroutine, self.wire.now)
        self.asker.work(self.wire.now)
        self.wire.touch(self.port)
        end = self.wire.now + limit_s
        while not task.is_done and self.wire.now < end and self.wire.step():
            pass
        if not task.is_done:
            raise NoAnswer(
                f"still waiting after {limit_s:g} s", hint="is somebody there, and is the line in one piece?"
            )
        return task.result()


def use_of_line(few: Few, *, exchanges: int, legs: int) -> tuple[float, float]:
    """(seconds that so many largest reads of each device take at the mean back-off, ``spec/perf-anchors.md`` section 8; seconds that
    they took). All devices are asked side by side."""

    async def visit(number: int) -> None:
        access = few.access(number)
        for _ in range(exchanges):
            await access.read_part(23, 0, _LARGEST)

    async def everybody() -> None:
        for task in [few.asker.tasks.start(visit(number), 0.0) for number in range(len(few.peers))]:
            await task

    begun = few.wire.now
    few.do(everybody(), limit_s=math.inf)
    each = LineCosts().exchange_s(_REQUEST_BYTES, _ANSWER_BYTES, legs)
    return each * exchanges * len(few.peers), few.wire.now - begun
