"""A device and its concentrator on a line with loss, copies, delays and an attacker who keeps everything: drawn by hypothesis.

Whatever happens, a request is carried out at most once and only if the concentrator sealed it, an answer that the concentrator takes
is the one that the device gave to that very request, broadcasts come in rising order, and nothing raises.
"""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from osgp.app.broadcast import BroadcastSender
from osgp.app.device import DeviceSecurity
from osgp.app.memory import RamMemory
from osgp.app.peer import PeerSecurity
from osgp.app.verdict import Accepted, Answered, How, OutOfStep, Refused
from osgp.wire.errors import LocalProtocolError, NoKey
from tests.app.making import NC, a_device, a_peer, dice, terms, unhex

PLAINTEXTS = [unhex("300003"), unhex("3f0017000000000c"), unhex("4f401300000000015a"), unhex("40000700041008ff05")]
COMMANDS = [unhex("400007003b090801") + bytes(56), unhex("400007000a0d0001") + bytes(7), unhex("400007000410083305")]
HOW = st.sampled_from(How)


class Line(RuleBasedStateMachine):
    """What stands on the line stays there: it may be delivered never, late, twice, changed, or to the other side."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.seed = 1
        self.down: list[tuple[bytes, How]] = []
        self.up: list[bytes] = []
        self.requests: dict[bytes, bytes] = {}
        self.broadcasts: dict[bytes, bytes] = {}
        self.executed: dict[bytes, bytes] = {}
        self.heard: list[bytes] = []
        self.taken = 0

    @initialize()
    def begin(self) -> None:
        self.device_memory, self.peer_memory, self.sender_memory = RamMemory(), RamMemory(), RamMemory()
        self.device_resets()
        self.peer_resets()

    @rule()
    def device_resets(self) -> None:
        self.seed += 1
        self.device: DeviceSecurity = a_device(self.device_memory, seed=self.seed)

    @rule()
    def peer_resets(self) -> None:
        self.seed += 1
        self.peer: PeerSecurity = a_peer(self.peer_memory, seed=self.seed)
        self.sender = BroadcastSender(NC, b"OSG", self.sender_memory, randomness=dice(self.seed))

    @rule(seconds=st.sampled_from([0.1, 1.0, 31.0, 90000.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    # --- the concentrator speaks

    @rule()
    def challenge(self) -> None:
        offer = terms(kb=self.sender.kb, kb_generation=self.sender.generation, b=self.sender.counter)
        self.down.append((self.peer.challenge(offer, self.now), How.REQUEST_BY_ID))

    @rule(plaintext=st.sampled_from(PLAINTEXTS))
    def ask(self, plaintext: bytes) -> None:
        try:
            frame = self.peer.seal(plaintext, self.now)
        except (LocalProtocolError, NoKey):
            return
        assert frame not in self.requests
        self.requests[frame] = plaintext
        self.down.append((frame, How.REQUEST_BY_ID if self.peer.by_id else How.REQUEST))

    @rule()
    def give_up(self) -> None:
        self.peer.give_up()

    @rule(command=st.sampled_from(COMMANDS))
    def tell_all(self, command: bytes) -> None:
        frame = self.sender.seal(command)
        self.broadcasts[frame] = command
        self.down.append((frame, How.UNANSWERED))

    @rule()
    def another_broadcast_key(self) -> None:
        self.sender.new_key()

    # --- the line delivers

    @precondition(lambda self: self.down)
    @rule(data=st.data())
    def deliver_down(self, data: Any) -> None:
        """The newest most often, but any that ever was, as often as it likes."""
        place = data.draw(st.one_of(st.just(len(self.down) - 1), st.integers(0, len(self.down) - 1)))
        self.at_device(*self.down[place])

    @precondition(lambda self: self.up)
    @rule(data=st.data())
    def deliver_up(self, data: Any) -> None:
        place = data.draw(st.one_of(st.just(len(self.up) - 1), st.integers(0, len(self.up) - 1)))
        self.at_peer(self.up[place])

    @rule()
    def a_good_moment(self) -> None:
        """Everything arrives for a while, so that stories get somewhere."""
        self.peer.give_up()
        self.now += 31
        self.challenge()
        for _ in range(2):
            self.at_device(*self.down[-1])
            if self.up:
                self.at_peer(self.up[-1])
        self.ask(PLAINTEXTS[0])
        self.at_device(*self.down[-1])
        if self.up:
            self.at_peer(self.up[-1])

    # --- the attacker

    @precondition(lambda self: self.down or self.up)
    @rule(data=st.data(), how=HOW, seed=st.integers(0, 2**32))
    def forge(self, data: Any, how: How, seed: int) -> None:
        """A frame that was on the line, with some bytes changed, cut or put elsewhere, to whom the attacker likes."""
        dice = random.Random(seed)
        frames = [frame for frame, _ in self.down] + self.up
        frame = bytearray(frames[data.draw(st.integers(0, len(frames) - 1))])
        for _ in range(dice.randrange(4)):
            kind = dice.randrange(4)
            if kind == 0 and frame:
                frame[dice.randrange(len(frame))] ^= 1 << dice.randrange(8)
            elif kind == 1:
                del frame[dice.randrange(len(frame) + 1) :]
            elif kind == 2:
                frame += dice.randbytes(dice.randrange(9))
            elif frame:
                frame[0] = dice.choice([0x10, 0x11, 0x12, 0x13, 0x14, 0x16, 0x17, 0x18])
        self.at_device(bytes(frame), how)
        self.at_peer(bytes(frame))

    @rule(raw=st.binary(max_size=110), how=HOW)
    def babble(self, raw: bytes, how: How) -> None:
        self.at_device(raw, how)
        self.at_peer(raw)

    # --- both ends

    def at_device(self, frame: bytes, how: How) -> None:
        verdict = self.device.receive(frame, how, self.now)
        if isinstance(verdict, Answered):
            assert how is not How.UNANSWERED
            self.up.append(verdict.apdu)
        elif isinstance(verdict, Accepted) and verdict.ticket is None:
            assert self.broadcasts[frame] == verdict.plaintext
            assert how is How.UNANSWERED
            self.heard.append(frame)
        elif isinstance(verdict, Accepted):
            assert self.requests[frame] == verdict.plaintext
            assert frame not in self.executed, "carried out twice"
            answer = b"\0\0\4" + len(self.executed).to_bytes(4, "big")
            self.executed[frame] = answer
            self.up.append(self.device.seal_response(verdict.ticket, answer))
        else:
            assert isinstance(verdict, Refused)

    def at_peer(self, frame: bytes) -> None:
        asked = self.peer.open_request
        verdict = self.peer.open(frame, self.now)
        if isinstance(verdict, Accepted):
            assert asked is not None
            assert self.executed[asked] == verdict.plaintext
            self.taken += 1
        elif not isinstance(verdict, OutOfStep):
            verdict = self.peer.handshake(frame, self.now)
            if isinstance(verdict, Answered):
                self.down.append((verdict.apdu, How.REQUEST_BY_ID))
        assert isinstance(self.peer.open_alert(frame), Refused)

    @invariant()
    def broadcasts_are_heard_once_and_in_order(self) -> None:
        counters = [int.from_bytes(frame[-12:-8], "big") for frame in self.heard]
        assert all(one < other for one, other in pairwise(counters))

    @invariant()
    def the_device_is_where_somebody_put_it(self) -> None:
        address = self.device.address
        assert address is None or address == terms().address

    def teardown(self) -> None:
        """Nothing locks anybody out: after all that, a handshake and a read go through."""
        if not hasattr(self, "peer"):
            return
        self.now += 90000.0
        before = self.taken
        self.peer.accept_generation(0)
        self.a_good_moment()
        assert self.taken == before + 1


TestLine = Line.TestCase
TestLine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
