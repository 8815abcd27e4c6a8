"""Client and server over a line that loses, doubles and damages, on virtual time.

Held in every run: no lock-up, bounded memory, and every write is carried out at most once unless the client said that it
may have been (then the caller has to look, and must not repeat blindly).
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.mep.mep_peer import READ, World, client, memory, server

from osgp.mep.events import RequestFailed, ResponseReceived

FAULTS = st.sampled_from(["fine"] * 6 + ["lose", "double", "flip", "cut", "noise", "slow", "pieces"])


class Line:
    """Does to each piece of bytes what is next in its list of faults; fine when the list is empty."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.faults: list[str] = []

    def __call__(self, direction: str, data: bytes) -> list[tuple[float, bytes]]:
        fault = self.faults.pop(0) if self.faults else "fine"
        air = len(data) * 10 / 9600
        place = self.rng.randrange(len(data))
        match fault:
            case "lose":
                return []
            case "double":
                return [(air, data), (air + self.rng.choice([0.0, 0.06, 0.7]), data)]
            case "flip":
                return [(air, data[:place] + bytes([data[place] ^ 1 << self.rng.randrange(8)]) + data[place + 1 :])]
            case "cut":
                return [(air, data[:place] + data[place + 1 :])]
            case "noise":
                noise = self.rng.randbytes(self.rng.randrange(1, 30))
                return [(air, self.rng.choice([noise + data, data + noise]))]
            case "slow":
                return [(air + self.rng.uniform(0.3, 1.5), data)]
            case "pieces":
                return [(air + 0.01 * number, data[number : number + 1]) for number in range(len(data))]
            case _:
                return [(air, data)]


class Meter:
    """Carries out writes and remembers how often each, by its content."""

    def __init__(self) -> None:
        self.executed: Counter[bytes] = Counter()

    def handle(self, message: bytes, access: str, now: float) -> bytes:
        if message[0] in (0x40, 0x4F):
            self.executed[message] += 1
        return memory(message, access, now)


class Conversation(RuleBasedStateMachine):
    """Random requests over random faults."""

    @initialize(
        legacy=st.booleans(),
        encrypt=st.booleans(),
        known=st.booleans(),
        seed=st.integers(0, 1 << 16),
    )
    def begin(self, legacy: bool, encrypt: bool, known: bool, seed: int) -> None:
        self.meter = Meter()
        self.line = Line(seed)
        start = 1000 if known else None
        machine = client(legacy=legacy, encrypt=encrypt, sequence=start, random_bytes=random.Random(seed).randbytes)
        self.world = World(machine, server(self.meter.handle, sequence=1000), self.line)
        self.count = 0
        self.flagged: set[bytes] = set()
        self.confirmed: set[bytes] = set()

    @rule(faults=st.lists(FAULTS, max_size=8), read=st.booleans())
    def ask(self, faults: list[str], read: bool) -> None:
        self.line.faults = list(faults)
        self.count += 1
        message = READ if read else bytes.fromhex("4f0832000000") + b"\0\2" + self.count.to_bytes(2, "big")
        outcome = self.world.ask(message, read=read)
        if isinstance(outcome, RequestFailed):
            if outcome.possibly_executed:
                assert not read
                self.flagged.add(message)
        else:
            assert outcome.message == memory(message, "MAK", 0.0)
            self.confirmed |= set() if read else {message}

    @rule(seconds=st.floats(0.0, 12.0))
    def wait(self, seconds: float) -> None:
        self.world.idle(seconds)

    @rule()
    def noise_on_an_idle_line(self) -> None:
        self.world.client.receive(self.line.rng.randbytes(40), self.world.now)
        self.world.server.receive(self.line.rng.randbytes(40), self.world.now)
        self.world.idle(1.0)

    @rule()
    def interface_changes(self) -> None:
        self.world.idle(3.0)
        self.world.server.interface_changed()

    @rule()
    def on_a_good_line_a_read_works_at_once(self) -> None:
        self.line.faults = []
        self.world.idle(3.0)
        assert isinstance(self.world.ask(READ, read=True), ResponseReceived)

    @invariant()
    def writes_happen_at_most_once_unless_flagged(self) -> None:
        if hasattr(self, "meter"):
            for message, times in self.meter.executed.items():
                assert times <= 1, f"carried out {times} times: {message.hex()}"
            assert all(self.meter.executed[message] for message in self.confirmed)

    @invariant()
    def memory_is_bounded(self) -> None:
        if hasattr(self, "world"):
            for machine in (self.world.client, self.world.server):
                held: Any = machine
                assert len(held._reader._data) < 2000
                assert len(held._events) < 1500
            assert len(self.world.server._chunks) < 100
            assert len(self.world.server._waiting) <= 8


Conversation.TestCase.settings = settings(max_examples=100, stateful_step_count=15, deadline=None)
TestConversation = Conversation.TestCase


@pytest.mark.parametrize("mode", ["rc4", "rc4-encrypted", "tls"])
@pytest.mark.parametrize("seed", range(4))
def test_a_long_conversation_on_a_bad_line(mode: str, seed: int) -> None:
    """Two hundred requests with a fault on every eighth piece: most work, none twice, the end is clean."""
    rng = random.Random(seed)
    meter = Meter()
    line = Line(seed)
    machine = client(legacy=mode != "tls", encrypt=mode == "rc4-encrypted", random_bytes=rng.randbytes)
    world = World(machine, server(meter.handle, sequence=7, pauses=False), line)
    worked = 0
    for number in range(200):
        faults = ["fine"] * 42 + ["lose", "double", "flip", "cut", "noise", "slow"]
        line.faults = [rng.choice(faults) for _ in range(6)]
        read = bool(number % 2)
        message = READ if read else bytes.fromhex("4f08320000000002") + number.to_bytes(2, "big")
        worked += isinstance(world.ask(message, read=read), ResponseReceived)
    assert max(meter.executed.values()) == 1
    assert worked > (120 if mode == "tls" else 150)  # in TLS every damage ends the session, and writes then fail
    line.faults = []
    world.idle(3.0)
    assert isinstance(world.ask(READ, read=True), ResponseReceived)
