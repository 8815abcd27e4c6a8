"""Multipath: echoes from branches, as a frequency response and as a short filter.

Zimmermann and Dostert, IEEE Transactions on Communications 50(4), 2002, over the paths:
H(f) = sum of g exp(-(a0 + a1 f^k) d) exp(-j 2 pi f d / v);
``spec/phy-ts103908.md`` 3.6 b. The published set was fitted from 0.5 to 20 MHz. Its delay spread, 0.45 us, is nothing against line
bits of 278 us: here the channel is one complex number for each carrier.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osgp.sim.channel_text import BadSetting, U, check_numbers, number

__all__ = ["Multipath", "causal_taps"]


@dataclass(frozen=True, slots=True)
class Multipath:
    """Paths with ``weights`` and lengths ``lengths_m``; ``a0`` in 1/m, ``a1`` in (s/Hz^(k-1))/m, ``speed_m_per_s`` of the wave.

    Defaults: the set of four paths, recalled. Raises ConfigError for lists of different length.
    """

    weights: tuple[float, ...] = number((0.64, 0.38, -0.15, 0.05), U, "3.6 b", low=-10.0, high=10.0)
    lengths_m: tuple[float, ...] = number((200.0, 222.4, 244.8, 267.5), U, "3.6 b", low=0.0, high=5000.0)
    a0_per_m: float = number(0.0, U, "3.6 b", low=-1.0, high=1.0)
    a1_s_per_m: float = number(7.8e-10, U, "3.6 b", low=-1e-3, high=1e-3)
    exponent: float = number(1.0, U, "3.6 b", low=0.1, high=2.0)
    speed_m_per_s: float = number(1.5e8, U, "3.6 b", low=1e7, high=3e8)

    def __post_init__(self) -> None:
        check_numbers(self)
        if len(self.weights) != len(self.lengths_m) or not self.weights:
            raise BadSetting(
                "weights", f"{len(self.weights)} weights for {len(self.lengths_m)} lengths", hint="one of each per path"
            )

    def response(self, frequency_hz: Any) -> NDArray[np.complex128]:
        """H at frequencies in Hz; same shape."""
        f = np.asarray(frequency_hz, dtype=np.float64)[..., None]
        lengths = np.asarray(self.lengths_m)
        loss = np.exp(-(self.a0_per_m + self.a1_s_per_m * np.abs(f) ** self.exponent) * lengths)
        turns = np.exp(-2j * np.pi * f * lengths / self.speed_m_per_s)
        return np.asarray((np.asarray(self.weights) * loss * turns).sum(axis=-1))

    @property
    def delay_spread_s(self) -> float:
        """Between the first path and the last."""
        return (max(self.lengths_m) - min(self.lengths_m)) / self.speed_m_per_s


def causal_taps(
    response: NDArray[np.complex128], frequencies_hz: NDArray[np.float64], sample_rate_hz: float, count: int = 16
) -> NDArray[np.float32]:
    """The filter of ``count`` taps, no look ahead, that comes closest to a response at the given frequencies (least squares)."""
    delays = np.arange(count)
    turns = np.exp(-2j * np.pi * frequencies_hz[:, None] / sample_rate_hz * delays)
    # A little weight on small taps: what the band does not decide shall not be amplified outside it (here at most 2.3 times).
    rows = np.vstack((turns.real, turns.imag, 0.1 * np.eye(count)))
    wanted = np.concatenate((response.real, response.imag, np.zeros(count)))
    taps: NDArray[np.float32] = np.linalg.lstsq(rows, wanted, rcond=None)[0].astype(np.float32)
    return taps
