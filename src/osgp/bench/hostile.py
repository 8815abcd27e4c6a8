"""Group ``hostile``: what a bad frame costs a device and a concentrator, beside a good one.

The rule (project choice): no bad frame takes more than three times the processor time of a good one, so that whoever fills the
line with garbage gains nothing over who fills it with requests. Good is, for a device, a secured read of 60 bytes: taken, opened,
carried out and answered; for a concentrator a secured answer: taken, opened, handed on. Each frame is timed alone, by the
processor's clock, from its bytes with CRC to the packets that it gave, in turns, a good one and a bad one of each kind; no two bad
ones are the same, so that what is only learned once counts, too. Both sides of a row are ours.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from random import Random

from osgp.app.aes import psk_of
from osgp.app.handshake import Terms
from osgp.app.memory import RamMemory
from osgp.app.peer import PeerSecurity
from osgp.app.profile import OsgpProfile
from osgp.app.suite import Address
from osgp.app.verdict import Accepted, Answered, How
from osgp.bench.frame import Bench, Row, group
from osgp.concentrator.core import Concentrator
from osgp.concentrator.exchange import Peer, Priority
from osgp.concentrator.journal import Journal
from osgp.crypto.keys import Key
from osgp.lon.address import SubnetNode
from osgp.lon.configuration import Configuration, domain_entry
from osgp.lon.crc import has_crc, with_crc
from osgp.lon.headers import write_pdu
from osgp.lon.network import send_packet
from osgp.lon.npdu import PduType
from osgp.lon.packet import Packet
from osgp.node.stack import Stack
from osgp.sim.pl_device import PowerLineDevice

__all__ = ["DEVICE_KINDS", "CONCENTRATOR_KINDS", "HostileLine", "hostile"]

NC = bytes.fromhex("0a0b0c0d0e0f")
DOMAIN = b"OSG"
START = 1_736_899_200.0
READ = bytes.fromhex("3f0017000000003c")
ROUNDS, QUICK_ROUNDS = 3000, 600
_FLOOR = 1 / 3
_APART_S = 1.0
_HERE, _THERE = SubnetNode(1, 1), SubnetNode(1, 2)
_SESSION_AT = 9
"""Bytes of a frame before its session header: link and network header, addresses, domain."""


class HostileLine:
    """A device and a concentrator with keys for each other and no line between them: every frame passes through ``hear``."""

    def __init__(self) -> None:
        self.dice = dice = Random(1)
        self.now = 10.0
        self.device = PowerLineDevice("1ph", start=START)
        profile, name = OsgpProfile(), self.device.unique_node_id
        psk = psk_of(self.device.umk, name, NC, 1, profile)
        self.peer = PeerSecurity(name, psk, 1, NC, RamMemory(), randomness=dice.randbytes)
        configuration = Configuration(NC)
        configuration.join(0, domain_entry(DOMAIN, 1, 1))
        self.journal = Journal(":memory:", wall=START)
        self.concentrator = Concentrator(
            Stack(configuration, token=dice.randbytes, quiet_s=0.0),
            self.journal,
            random=dice,
            wall=lambda now: START + now,
            now=self.now,
        )
        self._commission(profile)
        self._route = Peer(1, _THERE, self.peer, unique_node_id=name)
        self.concentrator.peers[1] = self._route
        self._own = configuration.memberships()[0]
        self._device_own = self.device.stack.configuration.memberships()[0]
        self._number = 0
        self.recorded = self.request()
        self.device_hears(self.recorded)
        self.recorded_answer = b""

    def _commission(self, profile: OsgpProfile) -> None:
        security = self.device.node.security
        terms = Terms(Address(DOMAIN, 1, 2), self._key(), 1, 0, 0)
        apdu = self.peer.challenge(terms, self.now)
        for _ in range(2):
            answer = security.receive(apdu, How.REQUEST_BY_ID, self.now)
            assert isinstance(answer, Answered), answer
            verdict = self.peer.handshake(answer.apdu, self.now)
            apdu = verdict.apdu if isinstance(verdict, Answered) else b""
        first = security.receive(self.peer.seal(READ, self.now), How.REQUEST_BY_ID, self.now)
        assert isinstance(first, Accepted), first
        self.peer.open(security.seal_response(first.ticket, b"\0"), self.now)
        self.device.node.settle_place()

    def _key(self) -> Key:
        return Key(self.dice.randbytes(16))

    # ---- frames -----------------------------------------------------------------------------------------------------
    def to_device(self, apdu: bytes) -> bytes:
        """A request of a new transaction, as a frame with CRC."""
        self._number = self._number % 15 + 1
        pdu = write_pdu(True, 0, self._number, apdu)
        return with_crc(send_packet(self._own, DOMAIN, _THERE, int(PduType.SPDU), pdu, 0).lpdu())

    def to_concentrator(self, apdu: bytes) -> bytes:
        """A request or message in the device's name."""
        self._number = self._number % 15 + 1
        pdu = write_pdu(True, 0, self._number, apdu)
        return with_crc(send_packet(self._device_own, DOMAIN, _HERE, int(PduType.SPDU), pdu, 0).lpdu())

    def alert(self) -> bytes:
        """A forged alert, unacknowledged, in the device's name."""
        apdu = b"\x14" + self.dice.randbytes(40)
        return with_crc(send_packet(self._device_own, DOMAIN, _HERE, int(PduType.APDU), apdu, 0).lpdu())

    def request(self) -> bytes:
        """A good request that nobody waits for."""
        frame = self.to_device(self.peer.seal(READ, self.now))
        self.peer.give_up()
        return frame

    def answer(self) -> bytes:
        """A good answer that the concentrator waits for."""
        self.concentrator.exchanges.ask(self._route, READ, Priority.ON_DEMAND, self.now, reads=True, answer_bytes=60)
        self.concentrator.begin(self.now)
        for packet in self.concentrator.outgoing(self.now):
            self.device.node.receive(packet, self.now)
        (found,) = self.device.node.outgoing(self.now)
        return with_crc(found.lpdu())

    # ---- hearing ----------------------------------------------------------------------------------------------------
    def device_hears(self, frame: bytes) -> list[Packet]:
        """As a link hands it on: what has no CRC ends here. What it sends upon it."""
        if not has_crc(frame):
            return []
        self.device.node.receive_frame(frame[:-2], self.now)
        return list(self.device.node.outgoing(self.now))

    def concentrator_hears(self, frame: bytes) -> list[Packet]:
        """The same at the other end."""
        if not has_crc(frame):
            return []
        self.concentrator.receive_frame(frame[:-2], self.now)
        return list(self.concentrator.outgoing(self.now))

    def end(self, packets: list[Packet], good: bytes) -> None:
        """What a frame has begun goes on to its end, and is part of nothing that is timed: a question asked again is answered."""
        self.concentrator_hears(good)
        for packet in packets:
            self.device.node.receive(packet, self.now)
        for packet in self.device.node.outgoing(self.now):
            self.concentrator.receive(packet, self.now)
        self.recorded_answer = good
        self.now += _APART_S
        self.device.node.events()
        self.concentrator.events()
        for machine in (self.device.node, self.concentrator):
            due = machine.deadline()
            while due is not None and due <= self.now:
                machine.wake(self.now)
                machine.outgoing(self.now)
                following = machine.deadline()
                due = None if following == due else following


Make = Callable[[HostileLine, bytes], bytes]
"""A bad frame, given a good one with CRC of this moment."""


def _wrong_crc(line: HostileLine, good: bytes) -> bytes:
    return good[:-1] + bytes((good[-1] ^ 1 + line.dice.randrange(255),))


def _wrong_tag(line: HostileLine, good: bytes) -> bytes:
    bent = bytearray(good[:-2])
    bent[-1 - line.dice.randrange(8)] ^= 1 + line.dice.randrange(255)
    return with_crc(bytes(bent))


def _random_behind(line: HostileLine, good: bytes) -> bytes:
    return with_crc(good[:_SESSION_AT] + line.dice.randbytes(line.dice.randrange(1, 100)))


def _truncated(line: HostileLine, good: bytes) -> bytes:
    return with_crc(good[: line.dice.randrange(1, len(good) - 2)])


def _oversized(line: HostileLine, good: bytes) -> bytes:
    return with_crc(good[:-2] + _some(line, 60, 130))


def _some(line: HostileLine, least: int, most: int) -> bytes:
    return line.dice.randbytes(line.dice.randrange(least, most))


_EVERYWHERE: dict[str, Make] = {
    "wrong CRC": _wrong_crc,
    "wrong tag": _wrong_tag,
    "random behind the header": _random_behind,
    "truncated": _truncated,
    "oversized": _oversized,
}
DEVICE_KINDS: dict[str, Make] = {
    **_EVERYWHERE,
    "random list of repeaters": lambda line, good: line.to_device(b"\x4d" + _some(line, 1, 60)),
    "replayed": lambda line, good: line.to_device(line.recorded[_SESSION_AT + 1 : -2]),
    "forged challenge": lambda line, good: line.to_device(b"\x18\x01\x04" + line.dice.randbytes(40)),
    "random management": lambda line, good: line.to_device(
        bytes((0x50 + line.dice.randrange(48),)) + _some(line, 0, 20)
    ),
}
CONCENTRATOR_KINDS: dict[str, Make] = {
    **_EVERYWHERE,
    "random list of repeaters": lambda line, good: line.to_concentrator(b"\x4d" + _some(line, 1, 60)),
    "replayed": lambda line, good: line.recorded_answer or good[:-1],
    "forged alert": lambda line, good: line.alert(),
    "random topology message": lambda line, good: line.to_concentrator(b"\x1a\x81" + _some(line, 0, 40)),
}
"""Kinds of bad frames by name."""


def _timed(
    line: HostileLine,
    kinds: dict[str, Make],
    good_of: Callable[[], bytes],
    hear: Callable[[bytes], list[Packet]],
    rounds: int,
) -> dict[str, float]:
    """Seconds for one frame of each kind, and of a good one (""), as a mean: rare costs count."""
    spent = dict.fromkeys(("", *kinds), 0.0)
    was_collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for name in spent:
                good = good_of()
                frame = kinds[name](line, good) if name else good
                began = time.process_time()
                packets = hear(frame)
                spent[name] += time.process_time() - began
                line.end(packets, good)
    finally:
        if was_collecting:
            gc.enable()
    return {name: each / rounds for name, each in spent.items()}


@group("hostile")
def hostile(bench: Bench) -> Iterator[Row]:
    """The rows: each kind of bad frame at a device, then at a concentrator."""
    rounds = 20 if not bench.sample_s else QUICK_ROUNDS if bench.quick else ROUNDS
    line = HostileLine()
    for where, kinds, good_of, hear, good in (
        ("device", DEVICE_KINDS, line.request, line.device_hears, "a secured read of 60 bytes, carried out"),
        ("concentrator", CONCENTRATOR_KINDS, line.answer, line.concentrator_hears, "a secured answer of 60 bytes"),
    ):
        spent = _timed(line, kinds, good_of, hear, rounds)
        theirs = 1 / spent.pop("")
        for name, each in spent.items():
            ours = 1 / each
            yield Row(
                bench.group, f"{name}, at a {where}", ours, theirs, "frames/s", ours / theirs, _FLOOR, None, good, ""
            )
    line.journal.close()
