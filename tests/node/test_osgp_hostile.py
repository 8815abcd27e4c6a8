"""Whatever comes over the line: no crash, nothing changed without a good tag, nothing that grows, nobody else shut out."""

from __future__ import annotations

import random
from typing import Any

import pytest

from osgp.app.messages import Probe, ProbeFlags
from osgp.lon.address import Broadcast, SubnetNode, UniqueNodeId
from osgp.lon.headers import write_pdu
from osgp.lon.ltep import Service
from osgp.lon.network import send_packet
from osgp.lon.npdu import PduType
from osgp.lon.packet import Packet
from osgp.lon.transport import Options
from osgp.sim.pl_device import PowerLineDevice
from osgp.tables.services import FullRead, encode_request
from tests.sim.pl_line import NC, Line

_COUNTED = ("uses.unicast", "uses.broadcast", "fcm")
"""What counts bad messages too, as it must (ET54.82, 86; ET04.128)."""


def state(device: PowerLineDevice) -> Any:
    """All that a message without a good tag must not change."""
    configuration, security = device.stack.configuration, device.node.security
    meter = device.meter
    return (
        {name: value for name, value in device.memory.values().items() if name not in _COUNTED},
        configuration.memberships(),
        configuration.state,
        configuration.soft_offline,
        configuration.addresses,
        security.address,
        security.ku_generation,
        security.kb_generation,
        security.window,
        security.last_broadcast,
        security.epoch,
        security.token_counter,
        device.node.groups,
        device.node.mode,
        device.node.alerts.legs,
        meter.relays.to_json(),
        [part.to_json() for part in meter.parts],
        meter.image.to_json(),
    )


def same(after: Any, before: Any) -> bool:
    """The same but for the counter of sequence errors: one whose tag is good is answered under a number of its own."""
    kept = [{name: value for name, value in each[0].items() if name != "ectr"} for each in (after, before)]
    return kept[0] == kept[1] and after[1:] == before[1:]


def commissioned(kind: str = "1ph") -> Line:
    """A line on which everything has happened that a listener could have recorded."""
    line = Line(kind)
    asker = line.askers[0]
    asker.commission()
    asker.read("BT23")
    asker.run("EP02", b"\1\0")
    asker.run("EP02", b"\0\0", token=True)
    asker.run("EP23", b"\0")
    asker.run("EP27", b"\0\5\1")
    data = (2050).to_bytes(2, "little") + b"\x09\2\1"
    line.broadcast(bytes.fromhex("400007") + len(data).to_bytes(2, "big") + data)
    asker.write("UT19", bytes.fromhex("3c00010101"))
    line.wire.run(line.wire.now + 30)
    return line


def addressed(line: Line, apdu: bytes, chance: random.Random) -> list[bytes]:
    """An APDU in frames of every service and address form."""
    destination = chance.choice(
        (SubnetNode(1, 2), UniqueNodeId(line.devices[0].unique_node_id), Broadcast(), Broadcast(1))
    )
    service = chance.choice((Service.ACKD, Service.UNACKD, Service.UNACKD_RPT, Service.REQUEST))
    options = Options(retry=0, timer_s=0.016)
    stack = line.stack
    stack.reset(0.0)
    stack.transport.quiet_until = 0.0
    stack.outgoing(0.0)
    if service == Service.REQUEST:
        stack.request(destination, apdu, 0.0, options)
    else:
        stack.send(destination, apdu, 0.0, options, service=service)
    return [packet.lpdu() for packet in stack.outgoing(0.0)]


def drain(device: PowerLineDevice, now: float) -> int:
    """What the device wants to say goes nowhere; how much it was."""
    count = len(device.node.outgoing(now))
    device.node.events()
    due = device.node.deadline()
    while due is not None and due <= now:
        device.node.wake(now)
        count += len(device.node.outgoing(now))
        following = device.node.deadline()
        if following == due:
            break
        due = following
    return count


@pytest.mark.parametrize("new", [False, True], ids=["commissioned", "new"])
def test_random_frames_change_nothing(new: bool) -> None:
    line = Line("1ph") if new else commissioned()
    (device,) = line.devices
    before = state(device)
    chance = random.Random(int(new))
    now = line.wire.now
    for _ in range(6000):
        now += chance.random()
        device.node.receive_frame(chance.randbytes(chance.randrange(0, 140)), now)
        drain(device, now)
    assert state(device) == before


@pytest.mark.parametrize("new", [False, True], ids=["commissioned", "new"])
def test_random_messages_of_every_code_change_nothing(new: bool) -> None:
    line = Line("1ph") if new else commissioned()
    (device,) = line.devices
    before = state(device)
    chance = random.Random(20 + int(new))
    now = line.wire.now
    codes = (*range(0x10, 0x1B), 0x00, 0x4D, 0x57, *range(0x50, 0x80), 0x80, 0xC1)
    for _ in range(4000):
        now += chance.random()
        code = chance.choice(codes)
        apdu = bytes((code,)) + chance.randbytes(chance.randrange(0, 110))
        for lpdu in addressed(line, apdu, chance):
            device.node.receive_frame(lpdu, now)
            drain(device, now)
    assert state(device) == before
    assert device.node.received > 400, "they did arrive"
    assert len(device.node.refused) >= 3


def test_what_was_recorded_and_played_again_or_bent_changes_nothing() -> None:
    line = commissioned()
    (device,) = line.devices
    frames = [lpdu for _, port, lpdu in line.log if port is line.port]
    assert len(frames) >= 20
    chance = random.Random(7)
    now = line.wire.now + 60
    before = state(device)
    for lpdu in (*frames, *reversed(frames)):
        now += 1.0
        device.node.receive_frame(lpdu, now)
        drain(device, now)
    for _ in range(4000):
        now += chance.random()
        bent = bytearray(chance.choice(frames))
        for _ in range(chance.randrange(1, 4)):
            bent[chance.randrange(len(bent))] ^= 1 << chance.randrange(8)
        device.node.receive_frame(bytes(bent), now)
        drain(device, now)
    assert same(state(device), before)


def test_what_was_recorded_is_worth_nothing_after_an_outage() -> None:
    line = commissioned()
    (device,) = line.devices
    frames = [lpdu for _, port, lpdu in line.log if port is line.port]
    device.power_off(line.wire.now)
    device.power_on(line.wire.now + 60)
    device.node.wake(line.wire.now + 300)
    drain(device, line.wire.now + 300)
    before = state(device)
    for number, lpdu in enumerate(frames):
        device.node.receive_frame(lpdu, line.wire.now + 300 + number)
        drain(device, line.wire.now + 300 + number)
    assert same(state(device), before)


def test_no_management_command_takes_a_device_off_the_line() -> None:
    line = commissioned()
    (device,) = line.devices
    before = state(device)
    chance = random.Random(1)
    orders = (
        b"\x6c\0", b"\x6c\2", b"\x6c\3\2", b"\x6c\3\4", b"\x63\0" + bytes(15), b"\x64\0", b"\x62\1", b"\x53",
        b"\x6e\0\0\0\1\1\1", b"\x60\x0f", b"\x66\0" + bytes(5), b"\x7d\1\2", b"\x52\0", b"\x52\1\1\1\1\1\1",
    )  # fmt: skip
    now = line.wire.now
    for apdu in orders * 4:
        for lpdu in addressed(line, apdu, chance):
            now += 1.0
            device.node.receive_frame(lpdu, now)
            drain(device, now)
    assert state(device) == before
    assert device.stack.configuration.online


def test_a_flood_is_answered_no_more_than_a_little() -> None:
    line = commissioned()
    (device,) = line.devices
    chance = random.Random(2)
    now = line.wire.now
    said = 0
    for number in range(1500):
        now += 0.01
        probe = Probe(
            round=number, lo=0, hi=0xFFFF, flags=ProbeFlags(all_devices=1), slots=1, slot_time=1, sender=NC
        ).encode()
        for apdu in (probe, b"\x57", b"\x51", b"\x10" + chance.randbytes(40)):
            for lpdu in addressed(line, apdu, chance):
                device.node.receive_frame(lpdu, now)
                said += drain(device, now)
    assert said < 3500, "acknowledgements of acknowledged messages, and a few answers"
    assert device.node.agent.answers <= 60
    assert len(device.node.links) <= 16


def test_who_shouts_does_not_keep_others_out() -> None:
    line = commissioned()
    asker = line.askers[0]
    chance = random.Random(3)
    attacker = line.wire
    for _ in range(60):
        for lpdu in addressed(line, b"\x10" + chance.randbytes(50), chance):
            line.devices[0].node.receive_frame(lpdu, attacker.now)
    line.stack.events()
    line.wire.run(line.wire.now + 20)
    assert asker.send(encode_request(FullRead(3), checksum=False))[0] == 0


def from_everywhere(line: Line, apdu: bytes, number: int) -> Packet:
    """A request in the name of another node each time."""
    own = line.stack.configuration.memberships()[0]._replace(subnet=9 + number // 100, node=1 + number % 100)
    return send_packet(own, own.domain, SubnetNode(1, 2), int(PduType.SPDU), write_pdu(True, 0, 3, apdu), 0)


@pytest.mark.parametrize(
    "apdu", [b"\x10" + bytes(30), b"\x4d" + bytes.fromhex("00 2c 34 01 05 57")], ids=["bad tags", "chains"]
)
def test_who_sends_from_many_addresses_does_not_keep_others_out(apdu: bytes) -> None:
    line = commissioned()
    (device,) = line.devices
    for number in range(200):
        device.node.receive(from_everywhere(line, apdu, number), line.wire.now)
        device.node.outgoing(line.wire.now)
    assert len(device.stack.reception) <= 16
    line.stack.events()
    line.wire.touch(line.ports[0])
    assert line.askers[0].send(encode_request(FullRead(3), checksum=False))[0] == 0


def test_a_challenge_flood_leaves_the_old_key_at_work() -> None:
    line = commissioned()
    (device,) = line.devices
    asker = line.askers[0]
    chance = random.Random(4)
    for _ in range(150):
        challenge = b"\x18\x01\x04" + chance.randbytes(32) + NC + b"\0\1"
        for lpdu in addressed(line, challenge, chance):
            device.node.receive_frame(lpdu, line.wire.now)
            drain(device, line.wire.now)
    line.wire.run(line.wire.now + 20)
    assert device.node.security.fcm_count(line.wire.now) <= 100
    assert asker.send(encode_request(FullRead(3), checksum=False))[0] == 0
