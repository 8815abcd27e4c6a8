"""On which phase of the mains a device sits, as far as receivers can tell. Project choice; no I/O.

A receiver that measures when zero crossings come knows by how many steps of 60 degrees the sender's mains is ahead of its own
(diagnostic 58, the answer to a probe, and the link register UT18, which tells it of each neighbour under the device's key). Such steps
are added up from the concentrator outward: each observation that a device makes of a neighbour whose phase is known is a vote. Odd
steps are a reversed pair of wires: single-phase inversion is found by the concentrator, not by the meter
(``spec/osgp-application.md`` 1.11). Phases are counted from that of the concentrator, which is 1.

What this cannot know: which conductor the utility calls L1 (phases are relative to the concentrator's own reference); of a meter of
three phases more than the conductor that it measures on; anything where no receiver measures phases, as on LON/IP.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["OWN", "PhaseFound", "PhaseVotes", "steps_after"]

_STEPS = 6
_ENOUGH = 0.75
_LEAST = 2
_MOST = 64
"""Votes remembered; then old ones count half, so that a device that was moved is found again."""
OWN = 0
"""The concentrator's own phase, in steps of 60 degrees."""


class PhaseFound(NamedTuple):
    """``phase`` 1 to 3, counted from the concentrator's; ``inverted``: the two wires are exchanged; ``share`` of the votes, 0 to 1."""

    phase: int
    inverted: bool
    share: float


def steps_after(sender_steps: int, code: int) -> int | None:
    """The phase of a receiver, given the sender's and the code with which it was seen there (1 the same … 6); None for no reading."""
    return (sender_steps - (code - 1)) % _STEPS if 1 <= code <= _STEPS else None


@dataclass(slots=True)
class PhaseVotes:
    """What was observed of one device."""

    votes: list[int] = field(default_factory=lambda: [0] * _STEPS)

    def add(self, steps: int | None) -> None:
        """One observation; None is none."""
        if steps is None:
            return
        self.votes[steps] += 1
        if sum(self.votes) > _MOST:
            self.votes = [count // 2 for count in self.votes]

    @property
    def steps(self) -> int | None:
        """The phase in steps of 60 degrees, while it is clear."""
        total = sum(self.votes)
        best = max(range(_STEPS), key=lambda step: self.votes[step])
        return best if total and self.votes[best] >= _ENOUGH * total else None

    @property
    def found(self) -> PhaseFound | None:
        """What is known: at least two votes, three of four of them the same."""
        steps, total = self.steps, sum(self.votes)
        if steps is None or total < _LEAST:
            return None
        inverted = bool(steps % 2)
        return PhaseFound(1 + (steps + 3 * inverted) % _STEPS // 2, inverted, self.votes[steps] / total)
