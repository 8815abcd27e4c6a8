"""Power failures and failing memories: wherever a save is cut, no nonce comes twice and no request is carried out twice.

Every save of a long story is cut in turn, before it and after it; the side that loses power starts again from its memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from osgp.app import handshake, suite
from osgp.app.broadcast import BroadcastSender
from osgp.app.device import DeviceSecurity
from osgp.app.memory import StorageError
from osgp.app.messages import Alert
from osgp.app.peer import PeerSecurity
from osgp.app.verdict import Accepted, Answered, How
from osgp.wire import LTime
from osgp.wire.errors import LocalProtocolError, NoKey
from tests.app.making import BT03, DONE, NC, WRITE, BrittleMemory, Crashed, a_device, a_peer, dice, terms, unhex

CODE = unhex("4000070000")[:3] + (59).to_bytes(2, "big") + unhex("090801") + bytes(56)
ALERT = Alert(alert_class=3, event_id=5, time=LTime(26, 11, 28, 1, 2, 3), log_sequence=9)


@pytest.fixture
def sealed(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[bytes, bytes], tuple[bytes, bytes]]:
    """Every encryption of both sides: key and nonce lead to what was said, and a second thing said is the failure."""
    said: dict[tuple[bytes, bytes], tuple[bytes, bytes]] = {}
    real = AESCCM

    class Watched:
        def __init__(self, key: bytes, tag_length: int) -> None:
            self.key, self.machine = key, real(key, tag_length=tag_length)

        def encrypt(self, nonce: bytes, data: bytes, aad: bytes) -> bytes:
            what = (data, aad)
            assert said.setdefault((self.key, nonce), what) == what, "one nonce for two plaintexts"
            return self.machine.encrypt(nonce, data, aad)

        def decrypt(self, nonce: bytes, data: bytes, aad: bytes) -> bytes:
            return self.machine.decrypt(nonce, data, aad)

    monkeypatch.setattr(suite, "AESCCM", Watched)
    monkeypatch.setattr(handshake, "AESCCM", Watched)
    return said


@dataclass
class Street:
    """A device, its concentrator and their memories; each can be started again at any moment."""

    device_memory: BrittleMemory = field(default_factory=BrittleMemory)
    peer_memory: BrittleMemory = field(default_factory=BrittleMemory)
    starts: int = 0
    now: float = 0.0
    executed: list[bytes] = field(default_factory=list)
    heard: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.device: DeviceSecurity
        self.peer: PeerSecurity
        self.sender: BroadcastSender
        self.start()

    def start(self) -> None:
        while True:
            self.starts += 1
            try:
                self.device = a_device(self.device_memory, seed=1000 + self.starts)
                self.peer = a_peer(self.peer_memory, seed=2000 + self.starts)
                self.sender = BroadcastSender(NC, b"OSG", self.peer_memory, randomness=dice(3000 + self.starts))
                return
            except (Crashed, StorageError):
                continue

    def to_device(self, frame: bytes, how: How) -> bytes | None:
        """What comes back; a request that is accepted is carried out."""
        verdict = self.device.receive(frame, how, self.now)
        if isinstance(verdict, Answered):
            return verdict.apdu
        if not isinstance(verdict, Accepted):
            return None
        if verdict.ticket is None:
            self.heard.append(int.from_bytes(frame[-12:-8], "big"))
            return None
        self.executed.append(frame)
        return self.device.seal_response(verdict.ticket, DONE)

    def commission(self) -> None:
        offer = terms(kb=self.sender.kb, kb_generation=self.sender.generation, b=self.sender.counter)
        second = self.to_device(self.peer.challenge(offer, self.now), How.REQUEST_BY_ID)
        third = self.peer.handshake(second, self.now) if second else None
        if isinstance(third, Answered):
            fourth = self.to_device(third.apdu, How.REQUEST_BY_ID)
            if fourth:
                self.peer.handshake(fourth, self.now)
        self.ask(BT03)

    def ask(self, plaintext: bytes) -> None:
        """A request, said three times as a line does that loses answers."""
        frame = self.peer.seal(plaintext, self.now)
        how = How.REQUEST_BY_ID if self.peer.by_id else How.REQUEST
        for turn in range(3):
            answer = self.to_device(frame, how)
            if answer and turn == 2:
                self.peer.open(answer, self.now)
        if self.peer.open_request is not None:
            self.peer.give_up()

    def tell_all(self) -> None:
        frame = self.sender.seal(CODE)
        for _ in range(2):
            self.to_device(frame, How.UNANSWERED)

    def alert(self) -> None:
        self.now += 60
        frame = self.device.seal_alert(ALERT, self.now)
        if frame:
            self.peer.open_alert(frame)

    def steps(self) -> list[Callable[[], Any]]:
        ask: list[Callable[[], Any]] = [lambda: self.ask(BT03), lambda: self.ask(WRITE)]
        first = [self.commission, *ask * 20, *[self.tell_all] * 40, self.alert]
        return [*first, self.commission, *ask * 3, self.alert, self.start, *ask * 3, self.tell_all]

    def story(self) -> None:
        for step in self.steps():
            self.now += 2
            try:
                step()
            except Crashed:
                self.start()
            except (StorageError, LocalProtocolError, NoKey):
                pass

    def holds(self) -> None:
        assert len(self.executed) == len(set(self.executed)), "a request was carried out twice"
        assert len(self.heard) == len(set(self.heard)), "a broadcast was carried out twice"
        assert self.heard == sorted(self.heard)

    def goes_on(self) -> None:
        """Whatever was cut, a handshake makes it good."""
        for memory in (self.device_memory, self.peer_memory):
            memory.crash_after = memory.crash_before = memory.fail_at = None
        self.start()
        self.peer.accept_generation(0)
        for _ in range(3):
            self.now += 40
            try:
                self.commission()
            except (LocalProtocolError, NoKey):
                continue
        before = len(self.executed)
        self.ask(BT03)
        assert len(self.executed) == before + 1
        self.holds()


def _saves(side: str) -> int:
    street = Street()
    street.story()
    street.holds()
    memory: BrittleMemory = getattr(street, f"{side}_memory")
    return memory.saves


@pytest.mark.parametrize("side", ["device", "peer"])
@pytest.mark.parametrize("cut", ["crash_before", "crash_after", "fail_at"])
def test_nothing_comes_twice_wherever_a_save_is_cut(side: str, cut: str, sealed: dict[Any, Any]) -> None:
    count = _saves(side)
    assert count > 12
    for place in range(count):
        sealed.clear()
        street = Street.__new__(Street)
        memories = {"device": BrittleMemory(), "peer": BrittleMemory()}
        setattr(memories[side], cut, place)
        street.__init__(memories["device"], memories["peer"])  # type: ignore[misc]  # the cut comes first
        street.story()
        street.holds()
        street.goes_on()
    assert sealed


def test_the_watch_would_see_a_nonce_that_comes_twice(sealed: dict[Any, Any]) -> None:
    street = Street()
    street.commission()
    street.peer.seal(BT03, 0.0)
    street.peer.give_up()
    street.peer._seq[0].next -= 1
    with pytest.raises(AssertionError, match="one nonce"):
        street.peer.seal(unhex("300004"), 0.0)
