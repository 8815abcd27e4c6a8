"""How well one node hears another on the simulated wire: a quality for each direction, and dice that do not depend on who asks when.

Project choice. Each chance is drawn from the number of the frame, the receiver and what is asked, mixed with a seed: the same
frame meets the same fate at the same receiver, whether it is asked now, later, or twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from osgp.wire.errors import ConfigError

if TYPE_CHECKING:
    from osgp.sim.wire_port import Port

__all__ = ["CLEAR", "Dice", "Fate", "Links", "Quality"]

_MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Quality:
    """How a receiver hears a sender. Chances are of a frame, 0 to 1.

    ``loss``: only its carrier is heard. ``damage``: bits flip, so that as a rule the CRC is wrong. ``duplication``: it comes twice.
    ``delay_s``: it comes so much later, and by up to ``jitter_s`` more (frames may overtake each other). ``cut``: nothing is heard,
    nor the carrier. Raises ConfigError.
    """

    loss: float = 0.0
    damage: float = 0.0
    duplication: float = 0.0
    delay_s: float = 0.0
    jitter_s: float = 0.0
    cut: bool = False

    def __post_init__(self) -> None:
        for name in ("loss", "damage", "duplication"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ConfigError(f"{name}={value} is not a chance", hint="a number from 0 to 1")
        for name in ("delay_s", "jitter_s"):
            value = getattr(self, name)
            if not (value >= 0 and math.isfinite(value)):
                raise ConfigError(f"{name}={value} is no delay", hint="seconds, 0 or more")


CLEAR = Quality()
"""Everything is heard, at once and as it was sent."""
_CUT = Quality(cut=True)


class Fate(IntEnum):
    """What becomes of a frame on its way to one receiver."""

    WHOLE = 0
    UNHEARD = 1
    LOST = 2
    DAMAGED = 3
    COLLIDED = 4


class Die(IntEnum):
    """What is asked of chance."""

    LOSS = 1
    DAMAGE = 2
    DUPLICATION = 3
    JITTER = 4
    SECOND_JITTER = 5
    FLIPS = 6  # the last: flips number themselves on from here


def mixed(seed: int, a: int, b: int, c: int) -> float:
    """A number from 0 up to 1 that belongs to these four alone (the mixing of SplitMix64)."""
    x = seed + a * 0x9E3779B97F4A7C15 + b * 0xD1B54A32D192ED03 + c * 0x8CB92BA72F3D8DD7 & _MASK
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    x = (x ^ x >> 27) * 0x94D049BB133111EB & _MASK
    return (x ^ x >> 31) / 2**64


class Dice:
    """The slots that one node draws: its own row of numbers, whoever else draws in between, in a few bytes."""

    __slots__ = ("_count", "_number", "_seed")

    def __init__(self, seed: int, number: int) -> None:
        self._seed = seed
        self._number = number
        self._count = 0

    def randrange(self, stop: int, /) -> int:
        """The next number from 0 to below ``stop``."""
        self._count += 1
        return int(stop * mixed(self._seed, self._count, self._number, 0))


class Links:
    """The qualities of all directions: ``links[a, b] = Quality(loss=0.1)`` is how b hears a, ``del links[a, b]`` takes it back.

    ``default``: of all that are not given. ``all_clear``: there is no fault anywhere. A change on a shared channel takes effect when
    the channel is next quiet.
    """

    def __init__(self, seed: int, default: Quality, change: Callable[[Port | None, Callable[[], None]], None]) -> None:
        self._seed = seed & _MASK
        self._default = default
        self._special: dict[int, dict[int, Quality]] = {}  # by receiver, then sender
        self._change = change
        self.all_clear = default == CLEAR

    @property
    def default(self) -> Quality:
        """How everybody hears everybody."""
        return self._default

    @default.setter
    def default(self, quality: Quality) -> None:
        def apply() -> None:
            self._default = quality
            self._look()

        self._change(None, apply)

    def __getitem__(self, pair: tuple[Port, Port]) -> Quality:
        sender, receiver = pair
        return self.quality(sender.number, receiver.number)

    def __setitem__(self, pair: tuple[Port, Port], quality: Quality) -> None:
        sender, receiver = pair

        def apply() -> None:
            self._special.setdefault(receiver.number, {})[sender.number] = quality
            self._look()

        self._change(receiver, apply)

    def __delitem__(self, pair: tuple[Port, Port]) -> None:
        sender, receiver = pair

        def apply() -> None:
            special = self._special.get(receiver.number, {})
            special.pop(sender.number, None)
            if not special:
                self._special.pop(receiver.number, None)
            self._look()

        self._change(receiver, apply)

    def quality(self, sender: int, receiver: int) -> Quality:
        """By the numbers of the ports."""
        special = self._special.get(receiver)
        return self._default if special is None else special.get(sender, self._default)

    def are_clear_for(self, receiver: int) -> bool:
        """Whether a receiver hears everybody without fault."""
        return receiver not in self._special and self._default == CLEAR

    def _look(self) -> None:
        self.all_clear = not self._special and self._default == CLEAR

    def cut(self, a: Port, b: Port, *, both: bool = True) -> None:
        """b hears a no more, nor (``both``) a b."""
        self[a, b] = _CUT
        if both:
            self[b, a] = _CUT

    def mend(self, a: Port, b: Port, *, both: bool = True) -> None:
        """b hears a as by default, and (``both``) a b."""
        del self[a, b]
        if both:
            del self[b, a]

    def chance(self, frame: int, receiver: int, die: int) -> float:
        """A number from 0 up to 1 that belongs to this frame, receiver and question alone."""
        return mixed(self._seed, frame, receiver, die)

    def fate(self, frame: int, sender: int, receiver: int) -> Fate:
        """What becomes of a frame on this way."""
        quality = self.quality(sender, receiver)
        if quality is CLEAR:
            return Fate.WHOLE
        if quality.cut:
            return Fate.UNHEARD
        if quality.loss and self.chance(frame, receiver, Die.LOSS) < quality.loss:
            return Fate.LOST
        if quality.damage and self.chance(frame, receiver, Die.DAMAGE) < quality.damage:
            return Fate.DAMAGED
        return Fate.WHOLE

    def damaged(self, frame: int, receiver: int, data: bytes) -> bytes:
        """The frame with one to eight bits flipped."""
        flipped = bytearray(data)
        count = 1 + int(8 * self.chance(frame, receiver, Die.FLIPS))
        places = {int(8 * len(data) * self.chance(frame, receiver, Die.FLIPS + n)) for n in range(1, count + 1)}
        for bit in places:
            flipped[bit // 8] ^= 0x80 >> bit % 8
        return bytes(flipped)

    def arrivals(self, frame: int, sender: int, receiver: int, airtime_s: float) -> tuple[float, ...]:
        """How much later than its end a whole frame comes: once, or twice."""
        quality = self.quality(sender, receiver)
        first = quality.delay_s
        if quality.jitter_s:
            first += quality.jitter_s * self.chance(frame, receiver, Die.JITTER)
        if not quality.duplication or self.chance(frame, receiver, Die.DUPLICATION) >= quality.duplication:
            return (first,)
        second = quality.delay_s + airtime_s
        if quality.jitter_s:
            second += quality.jitter_s * self.chance(frame, receiver, Die.SECOND_JITTER)
        return first, second
