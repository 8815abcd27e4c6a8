"""Packets on a line as a recorder beside the receiver would keep them: in time, through a channel, with a sender's clock error.

Project choice over ``spec/phy-ts103908.md`` 3.1 and 3.6. Everything is made block by block, in the same samples however often it is
asked for, so that a recording may be hours long::

    recording = Recording([lpdu], OSGP, gap_s=0.05, ppm=100.0, scenario=scenario("D"), ec_n0_db=9.0, seed=1)
    for block in recording.blocks():
        writer.write(block / recording.peak())
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from osgp.plc.frame import is_secondary, line_bits
from osgp.plc.modulate import envelope
from osgp.plc.params import OSGP, PhyProfile
from osgp.sim.channel import Channel, Link, Scenario
from osgp.wire.errors import ConfigError

__all__ = ["Recording", "Sent", "waveform"]

MOST_PPM = 10_000.0
MOST_GAP_S = 3600.0
_BLOCK = 1 << 16


@dataclass(frozen=True, slots=True)
class Sent:
    """One packet: its first sample, how many it has, and the carrier it is on."""

    lpdu: bytes
    start: int
    count: int
    secondary: bool


@lru_cache(maxsize=2)
def waveform(lpdu: bytes, profile: PhyProfile = OSGP, ppm: float = 0.0) -> NDArray[np.float32]:
    """A packet in samples at ``profile.sample_rate_hz`` from a sender whose clock is ``ppm`` too fast; amplitude 1.

    Carrier and bits come from one clock, so both are off alike. Raises BadValue for a length that no packet has.
    """
    shape = envelope(line_bits(lpdu, profile), profile)
    start_up = np.ones(profile.start_up_bits * profile.samples_per_bit)
    shape = np.concatenate((start_up, shape))
    fast = 1.0 + ppm * 1e-6
    places = np.arange(math.ceil(len(shape) / fast)) * fast
    cycles = profile.secondary_cycles if is_secondary(lpdu) else profile.primary_cycles
    # A rounded product may point behind the last sample.
    sign = shape[np.minimum(places.astype(np.intp), len(shape) - 1)]
    turns = 2 * np.pi * cycles / profile.samples_per_bit * places
    out: NDArray[np.float32] = (sign * np.cos(turns)).astype(np.float32)
    out.setflags(write=False)
    return out


class Recording:
    """Packets one after the other, with silence before, between and behind them.

    ``lpdus``: without CRC; the alternate-path bit chooses the carrier of each. ``gap_s``: the silences. ``ppm``: by how much the
    sender's clock is too fast. ``scenario``: what the line does; None is a wire, and samples then have amplitude 1, else they are
    volts. ``ec_n0_db``: on the carrier of each packet; without it the scenario's own attenuation. ``seed``: of all chance.
    Raises BadValue for a length that no packet has, ConfigError for settings that cannot be.
    """

    def __init__(
        self,
        lpdus: Sequence[bytes],
        profile: PhyProfile = OSGP,
        *,
        gap_s: float = 0.05,
        ppm: float = 0.0,
        scenario: Scenario | None = None,
        ec_n0_db: float | None = None,
        seed: int = 1,
    ) -> None:
        if not lpdus:
            raise ConfigError("there is no packet to send", hint="at least one LPDU")
        if not 0 <= gap_s <= MOST_GAP_S:
            raise ConfigError(f"a gap cannot be {gap_s!r} s", hint=f"0 to {MOST_GAP_S:g} s")
        if not abs(ppm) <= MOST_PPM:
            raise ConfigError(f"a clock cannot be {ppm!r} ppm off", hint=f"at most {MOST_PPM:g}")
        if ec_n0_db is not None and not -100 <= ec_n0_db <= 200:
            raise ConfigError(f"Ec/N0 cannot be {ec_n0_db!r} dB", hint="-100 to 200; packets come through from about 5")
        if seed < 0:
            raise ConfigError(f"a seed cannot be {seed}", hint="0 or more")
        self.profile = profile
        self.ppm = ppm
        gap = round(gap_s * profile.sample_rate_hz)
        self.sent: list[Sent] = []
        at = gap
        for lpdu in lpdus:
            count = len(waveform(lpdu, profile, ppm))
            self.sent.append(Sent(lpdu, at, count, is_secondary(lpdu)))
            at += count + gap
        self.count = at
        self._channel: Channel | None = None
        self._links: dict[bool, Link] = {}
        self._peak: float | None = None
        if scenario is None and ec_n0_db is not None:
            raise ConfigError("Ec/N0 needs a line", hint="a scenario beside it, for example Q")
        if scenario is not None:
            self._lay(scenario, ec_n0_db, np.random.default_rng(seed))

    def _lay(self, scenario: Scenario, ec_n0_db: float | None, rng: np.random.Generator) -> None:
        """The channel, and a way for each carrier in use."""
        carriers = sorted({each.secondary for each in self.sent})
        if ec_n0_db is None:
            if scenario.attenuation is None:
                raise ConfigError(
                    f"scenario {scenario.name or 'without name'} does not say how far away the sender is",
                    hint="give Ec/N0",
                )
            self._channel = Channel(scenario, rng, profile=self.profile)
            self._links = dict.fromkeys(carriers, self._channel.link())
            return
        # Tones and converters are as loud as the scenario says against this signal.
        noise_dbuv = scenario.noise_dbuv(self.profile.carrier_hz(carriers[0]), self.profile)
        level = ec_n0_db + noise_dbuv if math.isfinite(noise_dbuv) else None
        self._channel = Channel(scenario, rng, profile=self.profile, signal_dbuv=level)
        for secondary in carriers:
            self._links[secondary] = self._channel.link_at(ec_n0_db, secondary)

    @property
    def rate_hz(self) -> float:
        """Samples per second."""
        return self.profile.sample_rate_hz

    def ec_n0_db(self, secondary: bool) -> float | None:
        """Mean Ec/N0 of packets on a carrier; None without a line."""
        if self._channel is None or secondary not in self._links:
            return None
        return self._links[secondary].level_dbuv(secondary) - self._channel.noise_dbuv(secondary)

    def peak(self) -> float:
        """The largest sample, without its sign; found by making them all once."""
        if self._peak is None:
            self._peak = 1.0 if self._channel is None else max(float(np.abs(block).max()) for block in self.blocks())
        return self._peak

    def blocks(self, size: int = _BLOCK) -> Iterator[NDArray[np.float32]]:
        """All samples from the first, float32; at most ``size`` at a time. May be asked for again."""
        for start in range(0, self.count, size):
            count = min(size, self.count - start)
            if self._channel is None:
                yield self._line(start, count, self.sent)
                continue
            heard = self._channel.noise(start, count)
            # Carriers that share one way meet on it; a way is walked once for each block, since it keeps what came last.
            for link in dict.fromkeys(self._links.values()):
                mine = [each for each in self.sent if self._links[each.secondary] is link]
                heard += link.apply(self._line(start, count, mine), start, self._channel.clock)
            yield heard

    def _line(self, start: int, count: int, sent: list[Sent]) -> NDArray[np.float32]:
        """What the sender puts on the line, amplitude 1."""
        out = np.zeros(count, np.float32)
        for each in sent:
            low, high = max(each.start, start), min(each.start + each.count, start + count)
            if low < high:
                whole = waveform(each.lpdu, self.profile, self.ppm)
                out[low - start : high - start] = whole[low - each.start : high - each.start]
        return out
