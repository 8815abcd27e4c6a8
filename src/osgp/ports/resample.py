"""Samples of one rate as samples of another, block by block: a windowed sinc in many phases.

Project choice. The recorder of a line runs at whatever rate its maker chose, the modem at 96 samples per line bit. Every output
sample is the product of the input around its moment with the phase of the filter that is nearest to it, so that any ratio is
kept exactly over hours; choosing among 8192 phases leaves errors 80 dB under the signal. Far higher input rates are first divided by a
whole number. Memory and delay are a filter's length.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osgp.wire.errors import ConfigError, DecodeError

__all__ = ["SAME_HZ", "Resampler", "resampled"]

SAME_HZ = 0.5
"""Rates as close as this are the same: WAV files hold whole numbers, and a receiver follows 200 ppm."""
_PHASES = 8192
_LOBES = 32
"""Input samples on each side of a moment (of the lower of the two rates): passes 94 % of half that rate."""
_BETA = 6.2
"""Of the Kaiser window: 65 dB."""
_ROWS = 4096
"""Output samples computed at once, so that the arrays stay in the cache."""
_MOST_RATIO = 4.0
"""Input rates more than this times the output's are divided by a whole number first."""


@lru_cache(maxsize=2)
def _filters(step: float, half: int, phases: int) -> NDArray[np.float32]:
    """Row p: the filter for a moment p / phases behind an input sample; column k: input sample k - half + 1 from it."""
    found = np.empty((phases + 1, 2 * half), np.float32)
    places = np.arange(1 - half, half + 1)
    for begin in range(0, phases + 1, 256):  # in parts, for the sake of memory
        away = places - np.arange(begin, min(begin + 256, phases + 1))[:, None] / phases
        window = np.i0(_BETA * np.sqrt(np.clip(1.0 - (away / half) ** 2, 0.0, None)))
        taps = np.sinc(away / max(1.0, step)) * window
        found[begin : begin + 256] = taps / taps.sum(axis=1, keepdims=True)
    found.setflags(write=False)
    return found


class _Stage:
    """One filter. ``step``: input samples for each output sample."""

    def __init__(self, step: float) -> None:
        self.step = step
        self.half = math.ceil(_LOBES * max(1.0, step))
        self.phases = 1 if step.is_integer() else _PHASES
        self.taps = _filters(step, self.half, self.phases)
        self._kept = np.zeros(self.half - 1, np.float32)
        self._first = 1 - self.half  # number of the first input sample that is kept
        self._made = 0

    def push(self, samples: NDArray[np.float32], until: float = math.inf) -> NDArray[np.float32]:
        """The output samples that these complete, none at or behind input sample ``until``."""
        whole = np.concatenate((self._kept, samples))
        reach = min(self._first + len(whole) - self.half, until)
        # A moment may lie up to a phase behind the last input sample that has all it needs in front of it.
        last = max(self._made, math.ceil(reach / self.step))
        while last > self._made and (last - 1) * self.step >= reach:  # the quotient was rounded up
            last -= 1
        out = np.empty(last - self._made, np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(whole, 2 * self.half) if len(out) else whole[:, None]
        for begin in range(0, len(out), _ROWS):
            end = min(begin + _ROWS, len(out))
            moments = np.arange(self._made + begin, self._made + end) * self.step
            nearest = np.floor(moments)
            phase = np.rint((moments - nearest) * self.phases).astype(np.intp)
            rows = nearest.astype(np.intp) - self.half + 1 - self._first
            out[begin:end] = np.einsum("nk,nk->n", windows[rows], self.taps[phase])
        self._made = last
        needed = math.floor(last * self.step) - self.half + 1
        drop = max(0, min(needed - self._first, len(whole)))
        self._kept, self._first = whole[drop:].copy(), self._first + drop
        return out


class Resampler:
    """Makes samples at ``to_hz`` of samples at ``from_hz``; the first of both is the same moment.

    ``push`` gives what is complete so far, ``flush`` the rest at the end; how samples are cut into blocks makes no difference. Within
    ``SAME_HZ`` samples pass unchanged. Signals up to 94 % of half the lower rate are kept. Raises ConfigError for rates that are no
    positive numbers.
    """

    def __init__(self, from_hz: float, to_hz: float) -> None:
        for rate in (from_hz, to_hz):
            if not (math.isfinite(rate) and rate > 0):
                raise ConfigError(f"a sample rate cannot be {rate!r}", hint="samples per second, above zero")
        self.from_hz = from_hz
        self.to_hz = to_hz
        self._stages: list[_Stage] = []
        self._taken = 0
        step = from_hz / to_hz
        if abs(from_hz - to_hz) > SAME_HZ:
            if step > _MOST_RATIO:
                whole = math.floor(step / 2)
                self._stages.append(_Stage(float(whole)))
                step /= whole
            self._stages.append(_Stage(step))

    @property
    def changes(self) -> bool:
        """Whether the rates differ at all."""
        return bool(self._stages)

    def push(self, samples: NDArray[Any]) -> NDArray[np.float32]:
        """What these samples complete, float32."""
        block = np.asarray(samples, dtype=np.float32)
        self._taken += len(block)
        for stage in self._stages:
            block = stage.push(block)
        return block

    def flush(self) -> NDArray[np.float32]:
        """The rest, as if silence followed."""
        rest: NDArray[np.float32] = np.zeros(0, np.float32)
        length = float(self._taken)
        for stage in self._stages:
            silence = np.zeros(2 * stage.half, np.float32)
            rest = stage.push(np.concatenate((rest, silence)), until=length)
            length /= stage.step
        return rest


def resampled(blocks: Iterable[NDArray[Any]], from_hz: float, to_hz: float) -> Iterator[NDArray[np.float32]]:
    """Blocks of samples at another rate, to the last sample; a DecodeError of the blocks comes behind what was good before it."""
    resampler = Resampler(from_hz, to_hz)
    try:
        for block in blocks:
            yield resampler.push(block)
    except DecodeError:
        yield resampler.flush()
        raise
    yield resampler.flush()
