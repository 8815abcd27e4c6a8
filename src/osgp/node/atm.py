"""The topology agent of a device: answers probes, and keeps what it hears when it is the one who asks for the concentrator.

``spec/osgp-application.md`` 3.10 (project choice over published patents; ETSI TS 104 001 clause 4 was not read). A probe names a range
of hashes and slots; who is in the range and meant by the flags answers in its slot, to the node from which the probe came. Answers to
probes that this device sent on as proxy agent stand in UT17 for the concentrator. Nothing here is authenticated: answers propose,
they decide nothing, and however many come, what is kept and what is sent stays bounded.
"""

from __future__ import annotations

import heapq
from binascii import crc_hqx
from collections.abc import Callable
from typing import NamedTuple

from osgp.app.messages import Here, Probe, ProbeFlags
from osgp.lon.address import SubnetNode
from osgp.node.link_register import Heard, decibels
from osgp.node.osgp_tables import HeardAnswer, HeardAnswers, HereState
from osgp.wire.errors import DecodeError

__all__ = ["Agent", "Answer", "hash_of"]

_PROBE, _HERE = b"\x01", b"\x81"
_MOST_HEARD = 16
_MOST_WAITING = 8
_A_MINUTE = 30
"""Answers that a device gives in a minute at most (project choice): nobody can make a street talk without end."""
_SLOT_S = 0.016
_REMEMBERED = 32


def hash_of(unique_node_id: bytes, round_: int) -> int:
    """Where a device stands in a round: CRC-16 of its unique node ID and the round."""
    return crc_hqx(unique_node_id + round_.to_bytes(2, "big"), 0xFFFF)


class Answer(NamedTuple):
    """An answer to be sent: to whom, in which domain, on which carrier."""

    to: SubnetNode
    domain: bytes
    alternate_path: bool
    apdu: bytes


class Agent:
    """The topology agent of one device.

    ``state`` tells how far it has come, ``silent`` whether no concentrator has talked to it for as long as ET55.15 says, ``damaged``
    how many damaged frames its link has counted.
    """

    def __init__(
        self,
        unique_node_id: bytes,
        program_id: bytes,
        *,
        state: Callable[[], HereState],
        silent: Callable[[float], bool],
        damaged: Callable[[], int] = lambda: 0,
    ) -> None:
        self.code = 0x1A
        """Of its messages, as the profile says."""
        self.unique_node_id = unique_node_id
        self.program_id = program_id
        self._state = state
        self._silent = silent
        self._damaged = damaged
        self._waiting: list[tuple[float, int, Answer]] = []
        self._sequence = 0
        self._minute = (-1, 0)
        self._seen: dict[tuple[int, bytes, SubnetNode, bool], None] = {}
        self._round: int | None = None
        self._damaged_before = 0
        self._heard: dict[tuple[bytes, bool], HeardAnswer] = {}
        self.probes = self.answers = self.refused = 0

    def receive(
        self, apdu: bytes, source: SubnetNode, domain: bytes, heard: Heard, now: float, *, alternate_path: bool = False
    ) -> None:
        """Take a message of the agent's code. What cannot be read is dropped and counted."""
        try:
            if apdu[1:2] == _PROBE:
                self._probed(Probe.decode(apdu), source, domain, heard, now, alternate_path)
                return
            if apdu[1:2] == _HERE:
                self._answered(Here.decode(apdu), heard, alternate_path)
                return
        except DecodeError:
            pass
        self.refused += 1

    # ---- being asked -----------------------------------------------------------------------------------------------
    def _means(self, flags: ProbeFlags, now: float) -> bool:
        """Whether we are meant. Without any flag: devices that no concentrator talks to, as meters are said to do."""
        if flags.all_devices:
            return True
        new = self._state() in (HereState.NEW, HereState.CHALLENGED)
        return new or (not flags.only_uncommissioned and self._silent(now))

    def _probed(
        self, probe: Probe, source: SubnetNode, domain: bytes, heard: Heard, now: float, alternate_path: bool
    ) -> None:
        self.probes += 1
        place = hash_of(self.unique_node_id, probe.round)
        if not probe.slots or not probe.lo <= place <= probe.hi or not self._means(probe.flags, now):
            return
        mark = probe.round, probe.sender, source, alternate_path
        if mark in self._seen or not source.node or len(self._waiting) >= _MOST_WAITING or not self._allowed(now):
            return
        self._seen[mark] = None
        if len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]
        here = Here(
            code=self.code,
            round=probe.round,
            unique_node_id=self.unique_node_id,
            strength=decibels(heard.strength_db),
            margin=max(0, decibels(heard.margin_db)),
            phase=heard.phase,
            state=self._state(),
            program_id=self.program_id,
        )
        self._sequence += 1
        due = now + place % probe.slots * probe.slot_time * _SLOT_S
        answer = Answer(source, domain, alternate_path, here.encode())
        heapq.heappush(self._waiting, (due, self._sequence, answer))

    def _allowed(self, now: float) -> bool:
        minute = int(now // 60)
        count = self._minute[1] if self._minute[0] == minute else 0
        self._minute = minute, count + 1
        return count < _A_MINUTE

    def deadline(self) -> float | None:
        """When the next answer is due."""
        return self._waiting[0][0] if self._waiting else None

    def due(self, now: float) -> list[Answer]:
        """Answers whose slot has come."""
        found = []
        while self._waiting and self._waiting[0][0] <= now:
            found.append(heapq.heappop(self._waiting)[2])
            self.answers += 1
        return found

    # ---- having asked ----------------------------------------------------------------------------------------------
    def asked(self, apdu: bytes) -> None:
        """This device sends a message of the agent's code on, as proxy agent: of a probe's round answers count, and of no other."""
        if apdu[1:2] != _PROBE:
            return
        try:
            round_ = Probe.decode(apdu).round
        except DecodeError:
            return
        if round_ != self._round:
            self._round, self._heard = round_, {}
            self._damaged_before = self._damaged()

    def _answered(self, here: Here, heard: Heard, alternate_path: bool) -> None:
        if here.round != self._round:
            self.refused += 1
            return
        key = here.unique_node_id, alternate_path
        self._heard.pop(key, None)
        self._heard[key] = HeardAnswer(
            unique_node_id=here.unique_node_id,
            strength_there=here.strength,
            margin_there=here.margin,
            strength_here=decibels(heard.strength_db),
            margin_here=decibels(heard.margin_db),
            phase=here.phase,
            state=HereState(here.state),
            alternate_path=int(alternate_path),
            program_id=here.program_id,
        )
        if len(self._heard) > _MOST_HEARD:
            worst = min(self._heard, key=lambda each: _margin(self._heard[each]))
            del self._heard[worst]

    def table(self) -> bytes:
        """UT17 at this moment, the best margins first."""
        answers = sorted(self._heard.values(), key=_margin, reverse=True)
        # Also where nobody was understood: two who answered at once and were both lost are there all the same.
        lost = max(0, min(0xFF, self._damaged() - self._damaged_before)) if self._round is not None else 0
        return HeardAnswers(round=self._round or 0, lost=lost, count=len(answers), answers=answers).encode()

    def clear(self) -> None:
        """The device has lost its supply: nothing waits, nothing was heard."""
        self._waiting.clear()
        self._heard.clear()
        self._seen.clear()
        self._round = None


def _margin(answer: HeardAnswer) -> int:
    return min(answer.margin_there, answer.margin_here)
