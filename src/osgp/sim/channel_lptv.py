"""Linear periodic time variation: appliances whose impedance follows the mains change the line twice in each cycle.

After Cañete et al. and Barmada, Musolino, Raugi, IEEE JSAC 2006; the numbers are a project choice; ``spec/phy-ts103908.md`` 3.6 c.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osgp.sim.channel_noise import HALF_CYCLE_BINS
from osgp.sim.channel_text import BadSetting, P, check_numbers, number

__all__ = ["Lptv"]


@dataclass(frozen=True, slots=True)
class Lptv:
    """A complex gain with the period of half a mains cycle, on average of power one.

    ``kind``: ``sinusoid``: 1 + depth cos, the phase swings by ``swing_deg`` each way; ``step``: for ``step_s`` of each half cycle the
    gain is ``step_gain`` times what it is else, turned by ``step_deg``.
    """

    kind: str = "sinusoid"
    depth: float = number(0.2, P, "3.6 c", low=0.0, high=0.95)
    swing_deg: float = number(10.0, P, "3.6 c", low=0.0, high=90.0)
    step_gain: float = number(0.6, P, "3.6 c", low=0.01, high=10.0)
    step_deg: float = number(-20.0, P, "3.6 c", low=-180.0, high=180.0)
    step_s: float = number(1.5e-3, P, "3.6 c", low=0.0, high=1e-2)

    def __post_init__(self) -> None:
        check_numbers(self)
        if self.kind not in ("sinusoid", "step"):
            raise BadSetting("kind", f"kind cannot be {self.kind!r}", hint='"sinusoid" or "step"')

    def gain(self, half_cycle_turns: float = 0.0, mains_hz: float = 50.0) -> NDArray[np.complex128]:
        """The gain over half a cycle, begun at ``half_cycle_turns`` (0 … 1); shape (4096,)."""
        turns = (np.arange(HALF_CYCLE_BINS) / HALF_CYCLE_BINS + half_cycle_turns) % 1.0
        if self.kind == "sinusoid":
            wave = np.cos(2 * np.pi * turns)
            gain = (1.0 + self.depth * wave) * np.exp(1j * np.deg2rad(self.swing_deg) * wave)
        else:
            inside = turns < self.step_s * 2.0 * mains_hz
            gain = np.where(inside, self.step_gain * np.exp(1j * np.deg2rad(self.step_deg)), 1.0 + 0j)
        return np.asarray(gain / np.sqrt(np.mean(np.abs(gain) ** 2)))
