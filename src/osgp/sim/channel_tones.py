"""Narrow-band interference: steady tones, and the wandering line of a switching converter.

Project choice; ``spec/phy-ts103908.md`` 3.6 i. The secondary carrier, three line bit rates away, is what helps against a tone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from osgp.plc.params import PhyProfile
from osgp.sim.channel_noise import HALF_CYCLE_BINS, Block, Clock, Floats, volts
from osgp.sim.channel_text import BadSetting, P, check_numbers, number

__all__ = ["Converter", "Line", "Tones"]

_STRETCH = 256
"""Samples of a tone that are computed one by one; the rest are these, turned on."""


@dataclass(frozen=True, slots=True)
class Tones:
    """Steady tones. ``level_db``: each against the wanted signal. ``band_hz``: where ``count`` frequencies are drawn from.

    ``on_primary``: the first is drawn within ``offset_hz`` of the primary carrier. ``frequencies_hz``: these, and none is drawn.
    """

    count: int = number(2, P, "3.6 i", low=1, high=64)
    level_db: float = number(-10.0, P, "3.6 i: -20 to +20", low=-80.0, high=80.0)
    band_hz: tuple[float, float] = number((70e3, 95e3), P, "3.6 i", low=1e3, high=250e3)
    on_primary: bool = False
    offset_hz: float = number(1000.0, P, "3.6 i", low=0.0, high=20e3)
    frequencies_hz: tuple[float, ...] = number((), P, "the user's", low=1e3, high=250e3)

    def __post_init__(self) -> None:
        check_numbers(self)
        if self.band_hz[0] > self.band_hz[1]:
            raise BadSetting("band_hz", f"band_hz cannot be {list(self.band_hz)}", hint="the smaller first")

    def sources(self, rng: np.random.Generator, signal_dbuv: float, clock: Clock) -> list[Line]:
        """What renders them; frequencies and phases are drawn here. ``signal_dbuv``: of the wanted signal, at this receiver."""
        found = list(self.frequencies_hz)
        if not found:
            found = rng.uniform(*self.band_hz, self.count).tolist()
            if self.on_primary:
                found[0] = clock.profile.carrier_hz(False) + float(rng.uniform(-self.offset_hz, self.offset_hz))
        return [Line(clock, each, signal_dbuv + self.level_db, float(rng.random())) for each in found]


@dataclass(frozen=True, slots=True)
class Converter:
    """The line of a converter whose frequency wanders with the mains by ``width_hz`` in all. ``level_db``: against the signal."""

    centre_hz: float = number(68e3, P, "3.6 i", low=1e3, high=250e3)
    width_hz: float = number(2e3, P, "3.6 i", low=0.0, high=50e3)
    level_db: float = number(10.0, P, "3.6 i", low=-80.0, high=80.0)

    def __post_init__(self) -> None:
        check_numbers(self)

    def sources(self, rng: np.random.Generator, signal_dbuv: float, clock: Clock) -> list[Line]:
        """What renders it; its phase is drawn here."""
        return [Line(clock, self.centre_hz, signal_dbuv + self.level_db, float(rng.random()), self.width_hz)]


class Line:
    """A tone, or with ``width_hz`` one whose frequency swings about its centre once in each half cycle of the mains.

    ``level_dbuv``: rms. ``turns``: phase at sample 0. Raises ConfigError above half the sample rate.
    """

    def __init__(
        self, clock: Clock, frequency_hz: float, level_dbuv: float, turns: float = 0.0, width_hz: float = 0.0
    ) -> None:
        if frequency_hz + width_hz / 2 >= clock.sample_rate_hz / 2:
            raise BadSetting(
                "frequencies_hz", f"{frequency_hz:g} Hz is above half the sample rate", hint="below 172 kHz"
            )
        self.frequency_hz = frequency_hz
        self.level_dbuv = level_dbuv
        self._turns = turns
        self._per_sample = frequency_hz / clock.sample_rate_hz
        self._cos, self._sin = _turning(self._per_sample, clock.block_size)
        self._swing: tuple[Floats, Floats] | None = None
        if width_hz:
            rate = clock.half_cycles_per_sample * clock.sample_rate_hz
            phase = width_hz / 2 / rate * np.sin(2 * np.pi * np.arange(HALF_CYCLE_BINS) / HALF_CYCLE_BINS)
            self._swing = np.cos(phase).astype(np.float32), np.sin(phase).astype(np.float32)

    def render(self, block: Block) -> Floats:
        """Volts in a block."""
        angle = 2 * math.pi * ((block.start * self._per_sample + self._turns) % 1.0)
        peak = math.sqrt(2.0) * volts(self.level_dbuv)
        real, imag = np.float32(peak * math.cos(angle)), np.float32(peak * math.sin(angle))
        if self._swing is None:
            return np.asarray(real * self._cos - imag * self._sin, dtype=np.float32)
        swing_cos, swing_sin = (table.take(block.bins) for table in self._swing)
        cos, sin = real * self._cos - imag * self._sin, imag * self._cos + real * self._sin
        return np.asarray(cos * swing_cos - sin * swing_sin, dtype=np.float32)


def _turning(turns_per_sample: float, count: int) -> tuple[Floats, Floats]:
    """Cosine and sine of so many samples: a short stretch of them, turned on again and again, which costs a tenth of the functions."""
    stretch = 2j * np.pi * turns_per_sample * np.arange(_STRETCH)
    leaps = 2j * np.pi * ((turns_per_sample * _STRETCH * np.arange(-(-count // _STRETCH))) % 1.0)
    turning = np.multiply.outer(np.exp(leaps), np.exp(stretch)).ravel()[:count]
    return turning.real.astype(np.float32), turning.imag.astype(np.float32)


def interference_share(offset_hz: float, profile: PhyProfile) -> float:
    """Share of a tone's power that a receiver matched to a rectangular line bit lets pass, at an offset from its carrier."""
    return float(np.sinc(offset_hz / profile.bit_rate) ** 2)
