"""A line with devices and somebody who asks them as a concentrator does, for tests: virtual time, one request at a time."""

from __future__ import annotations

from random import Random
from typing import Any

from osgp.app.aes import device_keys, psk_of
from osgp.app.broadcast import BroadcastSender
from osgp.app.memory import RamMemory
from osgp.app.peer import PeerSecurity, Terms
from osgp.app.profile import OsgpProfile
from osgp.app.suite import Address
from osgp.app.token import procedure_with_token
from osgp.app.verdict import Accepted, Answered, Verdict
from osgp.lon.address import Broadcast, Destination, SubnetNode, UniqueNodeId
from osgp.lon.configuration import Configuration, domain_entry
from osgp.lon.events import Event, MessageReceived, ResponseReceived
from osgp.lon.ltep import Service
from osgp.lon.proxy import Hop
from osgp.lon.transport import Options
from osgp.node.stack import ChainOptions, Stack
from osgp.sim.medium import FrameMedium, Levels
from osgp.sim.pl_device import PowerLineDevice
from osgp.sim.wire import Port, Wire
from osgp.tables.services import (
    FullRead,
    FullWrite,
    PartialRead,
    PartialWrite,
    Request,
    decode_response,
    encode_request,
)
from osgp.tables.table import number_of

START = 1_800_000_000.0
NC = bytes.fromhex("0A0B0C0D0E0F")
DOMAIN = b"OSG"
PROFILE = OsgpProfile()


class Asker:
    """The other side of one device."""

    def __init__(self, line: Line, device: PowerLineDevice, node: int) -> None:
        self.line = line
        self.device = device
        self.place = SubnetNode(1, node)
        self.hops: list[Hop] = []
        self.psn = 5
        self.token = 0
        self.peer = PeerSecurity(
            device.unique_node_id,
            psk_of(device.umk, device.unique_node_id, NC, 1, PROFILE),
            1,
            NC,
            RamMemory(),
            randomness=Random(node).randbytes,
            profile=PROFILE,
        )

    @property
    def by_id(self) -> UniqueNodeId:
        return UniqueNodeId(self.device.unique_node_id)

    def commission(self, *, b: int | None = None, d: int = 1000) -> None:
        """The whole handshake, and the request that commits it."""
        line = self.line
        sender = line.sender
        terms = Terms(
            Address(DOMAIN, 1, self.place.node), sender.kb, sender.generation, sender.counter if b is None else b, d
        )
        answer = line.ask(self.by_id, self.peer.challenge(terms, line.wire.now), self.hops)
        assert answer is not None
        verdict = self.peer.handshake(answer, line.wire.now)
        assert isinstance(verdict, Answered)
        answer = line.ask(self.by_id, verdict.apdu, self.hops)
        assert answer is not None
        assert isinstance(self.peer.handshake(answer, line.wire.now), Accepted)
        assert self.send(bytes.fromhex("3F00000000000001"))[0] == 0

    def frame(self, plaintext: bytes) -> bytes:
        return self.peer.seal(plaintext, self.line.wire.now)

    def verdict(self, plaintext: bytes) -> Verdict | None:
        by_id = self.peer.pending
        answer = self.line.ask(self.by_id if by_id else self.place, self.frame(plaintext), self.hops)
        if answer is None:
            self.peer.give_up()
            return None
        return self.peer.open(answer, self.line.wire.now)

    def send(self, plaintext: bytes) -> bytes:
        """A plaintext there, the plaintext of its answer back."""
        verdict = self.verdict(plaintext)
        assert isinstance(verdict, Accepted), verdict
        return verdict.plaintext

    def service(self, request: Request) -> tuple[int, bytes]:
        read = isinstance(request, FullRead | PartialRead)
        return decode_response(self.send(encode_request(request, checksum=False)), checksum=False, read=read)

    def read(self, name: str) -> bytes:
        """A whole table, in parts if it must."""
        code, data = self.service(FullRead(number_of(name)))
        assert code in (0, 4)
        if code == 0:
            return data
        size = self.device.meter.image.size(number_of(name))
        return b"".join(
            self.service(PartialRead(number_of(name), at, min(84, size - at)))[1] for at in range(0, size, 84)
        )

    def write(self, name: str, data: bytes, offset: int | None = None) -> int:
        number = number_of(name)
        return self.service(FullWrite(number, data) if offset is None else PartialWrite(number, offset, data))[0]

    def order(self, name: str, parameters: bytes = b"") -> bytes:
        """The plaintext of a procedure's order."""
        self.psn = self.psn + 1 if self.psn < 250 else 5
        data = number_of(name).to_bytes(2, "little") + bytes((self.psn,)) + parameters
        return encode_request(FullWrite(7, data), checksum=False)

    def run(self, name: str, parameters: bytes = b"", *, token: bool = False) -> int:
        """A procedure's result, out of BT08. ``token``: with one of the head-end."""
        if token:
            self.psn = self.psn + 1 if self.psn < 250 else 5
            self.token += 1
            kcrit = device_keys(self.device.umk, self.device.unique_node_id, PROFILE).kcrit
            plaintext = procedure_with_token(
                kcrit, self.device.unique_node_id, number_of(name), self.psn, parameters, self.token, PROFILE
            )
        else:
            plaintext = self.order(name, parameters)
        assert self.send(plaintext) == b"\0"
        response = self.read("BT08")
        assert response[2] == self.psn
        return response[3]


class Line:
    """A wire, a stack that asks, and devices. ``levels``: a medium, node 0 the asker; without, everybody hears everybody."""

    def __init__(self, *kinds: str, levels: Levels | None = None, seed: int = 1, **options: Any) -> None:
        medium = FrameMedium(levels, seed=seed) if levels is not None else None
        self.wire = Wire(random=Random(seed), medium=medium)
        configuration = Configuration(NC)
        configuration.join(0, domain_entry(DOMAIN, 1, 1))
        configuration.block.last = configuration.block.last.with_(non_group_timer=15)
        self.stack = Stack(configuration, token=Random(seed).randbytes)
        self.port = self.wire.join(self.stack)
        self.sender = BroadcastSender(NC, DOMAIN, RamMemory(), randomness=Random(seed + 1).randbytes, profile=PROFILE)
        self.devices = [
            PowerLineDevice(kind, seed=seed, index=index, start=START, **options) for index, kind in enumerate(kinds)
        ]
        self.ports: list[Port] = [device.join(self.wire) for device in self.devices]
        self.askers = [Asker(self, device, index + 2) for index, device in enumerate(self.devices)]
        self.log: list[tuple[float, Port, bytes]] = []
        self.wire.tap(lambda now, port, lpdu: self.log.append((now, port, lpdu)))
        self.wire.run(3.0)

    def events(self) -> list[Event]:
        return list(self.stack.events())

    def ask(
        self, destination: Destination, apdu: bytes, hops: list[Hop] | None = None, wait: float = 8.0
    ) -> bytes | None:
        """One request; the answer's APDU, or None."""
        if hops:
            chain = ChainOptions(source=Options(retry=1), timer=15, retry=1, target_timer=11, target_retry=2)
            handle = self.stack.request_via(hops, destination, apdu, self.wire.now, chain)
        else:
            handle = self.stack.request(destination, apdu, self.wire.now, Options(retry=2, timer_s=1.0))
        self.wire.touch(self.port)
        until, answer = self.wire.now + wait * (1 + len(hops or ())), None
        while self.wire.now < until:
            self.wire.run(self.wire.now + 0.25)
            found = self.events()
            answers = [each for each in found if isinstance(each, ResponseReceived) and each.handle == handle]
            if answers:
                answer = answers[0].apdu
            if any(getattr(each, "handle", None) == handle and type(each) is not ResponseReceived for each in found):
                break
        return answer

    def broadcast(self, plaintext: bytes, groups: tuple[int, ...] = ()) -> bytes:
        """A sealed broadcast to all devices; its frame."""
        frame = self.sender.seal(plaintext, groups)
        self.say(Broadcast(), frame)
        return frame

    def say(self, destination: Destination, apdu: bytes, service: Service = Service.UNACKD_RPT) -> None:
        """A message that wants no response."""
        self.stack.send(destination, apdu, self.wire.now, Options(retry=1, timer_s=0.5), service=service)
        self.wire.touch(self.port)
        self.wire.run(self.wire.now + 3.0)

    def messages(self) -> list[MessageReceived]:
        return [each for each in self.events() if isinstance(each, MessageReceived)]
