"""A whole device on the power line under any frames: stack, security, tables, agent. Nothing changes without a good tag."""

from __future__ import annotations

import functools
import random
from typing import Any

from osgp.tables.services import FullRead, encode_request
from tests.fuzz.machines import MEMORY, held
from tests.fuzz.registry import hexes, target
from tests.node.test_osgp_hostile import addressed, commissioned, drain, same, state
from tests.sim.pl_line import Line

_LOOK = 64
"""After so many inputs the state is compared, and the concentrator asks something."""


class _Street:
    """One device that hears everything of a run: what does harm only in the long run shows, too."""

    def __init__(self) -> None:
        self.line: Line = commissioned()
        (self.device,) = self.line.devices
        self.before: Any = state(self.device)
        self.chance = random.Random(1)
        self.calls = 0

    def hear(self, data: bytes) -> None:
        """The first byte says whether the rest is a frame, or a message in all its addresses and services."""
        now = self.line.wire.now
        frames = [data[1:]] if not data or data[0] & 1 else addressed(self.line, data[1:] or b"\x10", self.chance)
        for lpdu in frames:
            self.device.node.receive_frame(lpdu, now)
            drain(self.device, now)
        self.line.wire.run(now + 0.25)
        self.calls += 1
        if self.calls % _LOOK == 0:
            self.look()

    def look(self) -> None:
        node = self.device.node
        assert same(state(self.device), self.before)
        kept = [node.agent, node.alerts, node.links, node.stack.reception, node.stack.transport, node.stack.proxy]
        assert held(kept) < MEMORY
        self.line.stack.events()
        self.line.wire.run(self.line.wire.now + 30.0)
        asker = self.line.askers[0]
        assert asker.send(encode_request(FullRead(3), checksum=False))[0] == 0
        self.before = state(self.device)


@functools.cache
def _street() -> _Street:
    return _Street()


def _seeds() -> list[bytes]:
    line = commissioned()
    heard = [b"\1" + lpdu for _, port, lpdu in line.log if port is line.port]
    messages = [raw for raw in hexes("osgp_aes/osgp_aes.json") if 9 < len(raw) < 110 and raw[0] in range(0x10, 0x1B)]
    return [*heard, *(b"\0" + raw[:114] for raw in messages), b"\0\x57", b"\0\x4d\0", b"\0\x6c\0"]


@target("osgp device", _seeds)
def osgp_device(data: bytes) -> None:
    """Any frame, any message."""
    if len(data) <= 115:
        _street().hear(data)
