"""A received packet bit by bit, once its content is known: where its symbols lie, how its eye opens, what power lies where.

Project choice. The receiver has to decide without knowing; this looks back with the sent bits at hand (``spec/phy-ts103908.md`` 3.1,
3.2), takes timing, clock error and phase from all of them, and so shows what the line did. For pictures and figures, not for
receiving. Arrays in, arrays out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from osgp.plc.frame import is_secondary, line_bits
from osgp.plc.params import OSGP, PhyProfile
from osgp.wire.errors import ConfigError

__all__ = ["PARTS", "Place", "Spectrum", "Symbols", "power_spectrum", "symbols_of"]

PARTS = ("preamble", "words", "end of packet")
"""What line bits belong to."""
_SMOOTH = 31
"""Line bits over which the phase is averaged; that is as fast as a receiver's loop follows."""
_SPAN = 25
"""Points of a line bit in an eye."""
_SEARCH = 48
"""Samples on each side of the given beginning among which the true one is looked for: half a line bit."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a packet is: its content without CRC, the sample it begins at (start-up included), its sender's clock error."""

    lpdu: bytes
    start: float
    offset_ppm: float = 0.0

    @property
    def secondary(self) -> bool:
        """Whether it is on the secondary carrier."""
        return is_secondary(self.lpdu)

    def end(self, profile: PhyProfile = OSGP) -> float:
        """The sample behind its last."""
        return self.start + profile.line_bits(len(self.lpdu)) * profile.samples_per_bit / (1 + self.offset_ppm * 1e-6)


class Symbols(NamedTuple):
    """What is found of a packet.

    ``values``: complex, shape (bits,), turned and scaled so that bit 0 lies at +1 and bit 1 at -1. ``bits``: as sent. ``part``: index
    into ``PARTS``. ``eye``: the matched filter about each decision, shape (traces, points); ``eye_bits``: its times in line bits.
    ``ec_n0_db``: energy of a line bit over noise density, from how far the values scatter. ``amplitude``: of the carrier, full
    scale 1. ``errors``: bits that a hard decision gets wrong. ``place``: with beginning and clock error as found.
    """

    values: NDArray[np.complex128]
    bits: NDArray[np.uint8]
    part: NDArray[np.uint8]
    eye: NDArray[np.float64]
    eye_bits: NDArray[np.float64]
    ec_n0_db: float
    amplitude: float
    errors: int
    place: Place


class _Mixed:
    """Samples times the carrier, added up: the sum over any stretch is the difference of two values."""

    def __init__(self, samples: NDArray[Any], first: int, place: Place, profile: PhyProfile) -> None:
        self.fast = 1.0 + place.offset_ppm * 1e-6
        self.first = first
        self.start = place.start
        cycles = profile.secondary_cycles if place.secondary else profile.primary_cycles
        numbers = (first + np.arange(len(samples)) - place.start) * self.fast
        turned = np.asarray(samples, np.float64) * np.exp(-2j * np.pi * cycles / profile.samples_per_bit * numbers)
        self.sums = np.concatenate(((0.0,), np.cumsum(turned)))

    def at(self, sent: NDArray[Any]) -> NDArray[np.complex128]:
        """The sum up to a sample of the sender, counted from the packet's first."""
        found = self.start - self.first + np.asarray(sent, np.float64) / self.fast
        found = np.clip(found, 0, len(self.sums) - 1)
        low = np.minimum(found.astype(np.intp), len(self.sums) - 2)
        part = found - low
        value: NDArray[np.complex128] = self.sums[low] * (1 - part) + self.sums[low + 1] * part
        return value


def symbols_of(
    samples: NDArray[Any], first: int, place: Place, profile: PhyProfile = OSGP, *, traces: int = 200
) -> Symbols:
    """Look back at a packet of known content.

    ``samples``: one axis, at the profile's rate; ``first``: the number of the first of them, in the count of ``place.start``,
    which may be half a line bit wrong. ``traces``: most traces of the eye. Raises ConfigError when the packet is not within the
    samples.
    """
    bits = line_bits(place.lpdu, profile)
    per_bit = profile.samples_per_bit
    skipped = profile.start_up_bits
    if place.start < first - per_bit or place.end(profile) > first + len(samples) + per_bit:
        raise ConfigError("the packet is not within these samples", hint="a longer stretch")
    signs = 1.0 - 2.0 * bits
    edges = (skipped + np.arange(len(bits) + 1)) * per_bit
    cycles = profile.secondary_cycles if place.secondary else profile.primary_cycles
    shift = 0.0
    for _ in range(3):  # timing and clock error help each other
        mixed = _Mixed(samples, first, place, profile)
        shift = _best_shift(mixed, edges, signs, shift)
        gains = np.diff(mixed.at(edges + shift)) * signs
        # Phase of the carrier, which turns by 2 pi * cycles * error in a line bit.
        turn = _slope(gains) / (2 * np.pi * cycles)
        place = Place(place.lpdu, place.start, place.offset_ppm + turn * 1e6 * (1.0 + place.offset_ppm * 1e-6))
    mixed = _Mixed(samples, first, place, profile)
    received = np.diff(mixed.at(edges + shift))
    phase = np.exp(-1j * np.angle(_smooth(received * signs)))
    turned = received * phase
    level = float(np.mean(turned.real * signs)) or 1.0
    values = turned / level
    scatter = float(np.mean(np.abs(values - signs) ** 2))
    part = np.ones(len(bits), np.uint8)
    part[: len(profile.preamble)] = 0
    part[len(bits) - len(profile.end_of_packet) :] = 2
    chosen = np.unique(np.linspace(0, len(bits) - 1, min(traces, len(bits))).astype(np.intp))
    times = np.linspace(-1, 1, 2 * _SPAN + 1)
    ends = edges[chosen + 1][:, None] + shift + times * per_bit
    filtered = (mixed.at(ends) - mixed.at(ends - per_bit)) * phase[chosen][:, None]
    return Symbols(
        values,
        bits,
        part,
        filtered.real / level,
        times,
        -10 * math.log10(max(scatter, 1e-12)),
        abs(2 * level / per_bit),
        int(np.count_nonzero((values.real < 0) != (bits == 1))),
        Place(place.lpdu, place.start + shift / (1 + place.offset_ppm * 1e-6), place.offset_ppm),
    )


def _smooth(gains: NDArray[np.complex128]) -> NDArray[np.complex128]:
    width = min(_SMOOTH, len(gains))
    sums = np.concatenate(((0.0,), np.cumsum(gains)))
    places = np.arange(len(gains))
    low = np.clip(places - width // 2, 0, len(gains) - width)
    found: NDArray[np.complex128] = sums[low + width] - sums[low]
    return found


def _slope(gains: NDArray[np.complex128]) -> float:
    """Radians by which the phase turns in a line bit."""
    smooth = _smooth(gains)
    phases = np.unwrap(np.angle(smooth))
    places = np.arange(len(phases)) - (len(phases) - 1) / 2
    return float(np.dot(places, phases) / np.dot(places, places))


def _best_shift(mixed: _Mixed, edges: NDArray[Any], signs: NDArray[Any], about: float) -> float:
    """The sample at which bits begin: where they add up best, in blocks that a drifting phase does not spoil."""

    def sum_at(shift: float) -> float:
        gains = np.diff(mixed.at(edges + shift)) * signs
        whole = len(gains) // 16 * 16
        return float(np.abs(gains[:whole].reshape(-1, 16).sum(axis=1)).sum())

    for step, reach in ((4.0, _SEARCH), (1.0, 4.0), (0.25, 1.0)):
        tried = about + np.arange(-reach, reach + step / 2, step)
        about = float(tried[np.argmax([sum_at(shift) for shift in tried])])
    return about


class Spectrum(NamedTuple):
    """Power over frequency: ``hz`` and ``db``, the power in one line bit rate of bandwidth against a full-scale sine."""

    hz: NDArray[Any]
    db: NDArray[Any]


def power_spectrum(samples: NDArray[Any], profile: PhyProfile = OSGP, *, bins: int = 2048) -> Spectrum:
    """Mean power spectrum of samples at the profile's rate (Hann windows that overlap by half). At least one sample is needed."""
    block = min(2 * bins, len(samples))
    window = np.hanning(block + 2)[1:-1]
    starts = range(0, len(samples) - block + 1, max(1, block // 2))
    total = np.zeros(block // 2 + 1)
    for start in starts:
        total += np.abs(np.fft.rfft(np.asarray(samples[start : start + block], np.float64) * window)) ** 2
    density = 2 * total / len(starts) / (profile.sample_rate_hz * np.sum(window**2))
    hz = np.fft.rfftfreq(block, 1 / profile.sample_rate_hz)
    return Spectrum(hz, 10 * np.log10(np.maximum(density * profile.bit_rate / 0.5, 1e-20)))
