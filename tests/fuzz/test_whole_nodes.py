"""A whole device and a whole concentrator under raw frames of valid CRC: random, bent, recorded, and messages of every code. Some
thousands of them always, a million with ``make test-long``: no crash, nothing changes without a good tag, nothing grows, nothing is
amplified."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator

import pytest

from osgp.tables.services import FullRead, encode_request
from tests.fuzz.concentrator_targets import Office
from tests.fuzz.machines import MEMORY, held
from tests.node.test_osgp_hostile import addressed, commissioned, drain, same, state
from tests.sim.pl_line import Line

FRAMES = int(os.environ.get("OSGP_FUZZ_FRAMES") or "1000000")
FEW = 4000
LOOKS = 20
_CODES = (*range(0x10, 0x1B), 0x00, 0x4D, 0x57, *range(0x50, 0x80), 0x80, 0xC1)


def storm(
    chance: random.Random, recorded: list[bytes], framed: Callable[[bytes], list[bytes]], count: int
) -> Iterator[bytes]:
    """So many frames without CRC, as whoever is on the line could send them."""
    sent = 0
    while sent < count:
        kind = chance.random()
        if kind < 0.25:
            frames = [chance.randbytes(chance.randrange(0, 140))]
        elif kind < 0.35:
            frames = [chance.choice(recorded)]
        elif kind < 0.65:
            bent = bytearray(chance.choice(recorded))
            for _ in range(chance.randrange(1, 4)):
                bent[chance.randrange(len(bent))] ^= 1 << chance.randrange(8)
            frames = [bytes(bent)]
        elif kind < 0.75:
            frames = [chance.choice(recorded)[: chance.randrange(6, 14)] + chance.randbytes(chance.randrange(0, 100))]
        else:
            frames = framed(bytes((chance.choice(_CODES),)) + chance.randbytes(chance.randrange(0, 100)))
        for frame in frames:
            sent += 1
            yield frame


def storm_at_a_device(count: int, seed: int) -> Line:
    """All of it at one device, which is looked at now and then; afterwards it serves its concentrator as before."""
    line = commissioned()
    (device,) = line.devices
    recorded = [lpdu for _, _, lpdu in line.log]
    chance = random.Random(seed)
    line.wire.run(line.wire.now + 60.0)
    before, now, said, heard = state(device), line.wire.now, 0, 0
    for frame in storm(chance, recorded, lambda apdu: addressed(line, apdu, chance), count):
        now += 0.05 * chance.random()
        device.node.receive_frame(frame, now)
        said += drain(device, now)
        heard += 1
        if heard % (count // LOOKS) == 0:
            assert same(state(device), before), f"changed within {heard} frames of seed {seed}"
            node = device.node
            kept = [node.agent, node.alerts, node.links, node.stack.reception, node.stack.transport, node.stack.proxy]
            assert held(kept) < MEMORY
    assert said <= heard
    assert device.node.received > count // 50, "many did arrive"
    line.stack.reset(now)
    line.wire.run(now + 60.0)
    line.stack.events()
    assert line.askers[0].send(encode_request(FullRead(3), checksum=False))[0] == 0
    return line


def storm_at_a_concentrator(count: int, seed: int) -> Office:
    """The same at a concentrator with two devices in care, which it goes on with between the looks."""
    office = Office()
    chance = random.Random(seed)
    heard = 0
    for frame in storm(chance, office.recorded, office.frames, count):
        office.hear(frame, 0.05 * chance.random() if heard % 2 else 0.0)
        heard += 1
        if heard % (count // LOOKS) == 0:
            office.look()
    assert office.said <= heard
    return office


def test_thousands_of_frames_change_nothing_at_a_device() -> None:
    line = storm_at_a_device(FEW, 11)
    assert len(line.devices[0].node.refused) >= 4


def test_thousands_of_frames_change_nothing_at_a_concentrator() -> None:
    office = storm_at_a_concentrator(FEW, 12)
    assert office.network.concentrator.alerts_refused > 0
    assert office.network.up() == 2


@pytest.mark.long
def test_a_million_frames_change_nothing_at_a_device() -> None:
    storm_at_a_device(FRAMES, 13)


@pytest.mark.long
def test_a_million_frames_change_nothing_at_a_concentrator() -> None:
    storm_at_a_concentrator(FRAMES, 14)
