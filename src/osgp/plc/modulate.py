"""Line bits as samples: binary phase shift keying of one of the two carriers.

ETSI TS 103 908, transmitter; ``spec/phy-ts103908.md`` 2.7, 2.9, 3.1: bit 0 keeps the phase, bit 1 turns it by half a cycle; the
carrier counts from the packet's first sample and is not reset within. The pulse is rectangular, or has raised-cosine edges.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osgp.plc.frame import is_secondary, line_bits
from osgp.plc.params import OSGP, PhyProfile
from osgp.wire.errors import ConfigError

__all__ = ["FULL_SCALE", "carrier", "envelope", "modulate", "modulate_bits", "to_int16"]

FULL_SCALE = 32767.0
"""Amplitude 1.0 in samples of 16 bits."""


@lru_cache(maxsize=64)
def _cycle(cycles: int, samples: int) -> NDArray[np.float64]:
    """One line bit of the carrier: after it the phase is where it was."""
    table = np.cos(2 * np.pi * cycles * np.arange(samples) / samples)
    table.setflags(write=False)
    return table


def carrier(bits: int, secondary: bool, profile: PhyProfile = OSGP) -> NDArray[np.float64]:
    """The unmodulated carrier over that many line bits, amplitude 1."""
    return np.tile(
        _cycle(profile.secondary_cycles if secondary else profile.primary_cycles, profile.samples_per_bit), bits
    )


def envelope(bits: NDArray[Any], profile: PhyProfile = OSGP) -> NDArray[np.float64]:
    """The sign of the carrier, sample by sample: +1 for 0, -1 for 1, with edges where the pulse has them."""
    symbols = 1.0 - 2.0 * np.asarray(bits, dtype=np.float64)
    shape = np.repeat(symbols, profile.samples_per_bit)
    width = profile.edge_samples
    if profile.pulse == "edge" and width and len(symbols) > 1:
        # Half of the edge lies before the boundary between two bits and half behind it.
        edge = -np.cos(np.pi * (np.arange(width) + 0.5) / width)
        before, after = symbols[:-1], symbols[1:]
        turns = (before + after)[:, None] / 2 + (after - before)[:, None] / 2 * edge
        places = profile.samples_per_bit * np.arange(1, len(symbols))[:, None] - width // 2 + np.arange(width)
        shape[places] = turns
    return shape


def modulate_bits(bits: NDArray[Any], secondary: bool, profile: PhyProfile = OSGP) -> NDArray[np.float64]:
    """Line bits as samples of amplitude 1, after the profile's start-up of unmodulated carrier."""
    shape = envelope(bits, profile)
    if profile.start_up_bits:
        shape = np.concatenate((np.ones(profile.start_up_bits * profile.samples_per_bit), shape))
    return shape * carrier(len(shape) // profile.samples_per_bit, secondary, profile)


def modulate(
    lpdu: bytes, profile: PhyProfile = OSGP, *, amplitude: float = 1.0, secondary: bool | None = None
) -> NDArray[np.float32]:
    """An LPDU as samples at ``profile.sample_rate_hz``, float32.

    The carrier follows the LPDU's alternate-path bit unless ``secondary`` says otherwise. Raises BadValue for a length that no
    packet has, ConfigError for an amplitude that is no positive number.
    """
    if not (amplitude > 0 and np.isfinite(amplitude)):
        raise ConfigError(f"the amplitude cannot be {amplitude!r}", hint="a number above zero; 1 is full scale")
    chosen = is_secondary(lpdu) if secondary is None else secondary
    return (amplitude * modulate_bits(line_bits(lpdu, profile), chosen, profile)).astype(np.float32)


def to_int16(samples: NDArray[Any]) -> NDArray[np.int16]:
    """Samples of amplitude 1 as 16-bit numbers; what is larger is clipped."""
    return np.clip(np.rint(np.asarray(samples) * FULL_SCALE), -32768, 32767).astype(np.int16)
