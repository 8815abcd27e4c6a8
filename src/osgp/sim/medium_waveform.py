"""The medium at waveform fidelity: every packet is modulated, goes through each receiver's channel, and is received from samples.

Project choice. Who reaches whom, carrier sense and access are those of the frame level (``sim.medium``); only whether a packet comes
through is decided by its samples, and by those of whatever met it there. Each packet meets a fresh draw of its receiver's line
condition (frequencies and phases of tones, places of impulses), which is what the curves of the frame level average over.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from osgp.plc.modulate import modulate
from osgp.plc.params import OSGP, PhyProfile
from osgp.sim.channel import Channel, Scenario, scenario
from osgp.sim.medium import REACH_DB, SENSE_DB, LevelMedium, Levels, LevelWay
from osgp.sim.reception import ModemReceiver, Receiver
from osgp.sim.wire_channel import Transmission

__all__ = ["WaveformMedium", "channel_for", "heard_alone"]

_KEPT = 50_000
"""Results kept: a packet is asked for when it ends, and again by listeners that read up on it later."""

Samples = NDArray[np.float32]


@lru_cache(maxsize=32)
def _sent(lpdu: bytes, profile: PhyProfile) -> Samples:
    """Samples of a packet, asked for by each of its receivers; the longest have a megabyte, so few are kept."""
    samples = modulate(lpdu, profile)
    samples.setflags(write=False)
    return samples


def channel_for(
    condition: Scenario, ec_n0_db: float, secondary: bool, rng: np.random.Generator, profile: PhyProfile
) -> Channel:
    """A receiver's ears for one packet: tones as strong, against the wanted signal, as the scenario says."""
    carrier_hz = profile.carrier_hz(secondary)
    signal_dbuv = ec_n0_db + condition.noise_dbuv(carrier_hz, profile)
    return Channel(condition, rng, profile=profile, signal_dbuv=signal_dbuv, mains_turns=float(rng.random()))


def heard_alone(
    lpdu: bytes,
    condition: Scenario,
    ec_n0_db: float,
    rng: np.random.Generator,
    *,
    secondary: bool,
    lead_bits: int = 0,
    profile: PhyProfile = OSGP,
) -> Samples:
    """What a receiver hears of one packet that nothing disturbs but the line, with so many line bits in front and behind."""
    channel = channel_for(condition, ec_n0_db, secondary, rng, profile)
    sent = modulate(lpdu, profile, secondary=secondary)
    begin, count = _window(len(sent), lead_bits, rng, profile)
    return channel.mix([(sent, begin, channel.link_at(ec_n0_db, secondary))], 0, count)


def _window(size: int, lead_bits: int, rng: np.random.Generator, profile: PhyProfile) -> tuple[int, int]:
    """First sample of a packet in its window, and the window's length. With a lead the bits do not lie on whole bits of the window."""
    if not lead_bits:
        return 0, size
    lead = lead_bits * profile.samples_per_bit
    begin = lead + int(rng.integers(profile.samples_per_bit))
    return begin, begin + size + lead


class WaveformMedium(LevelMedium):
    """Packets come through if a receiver reads them from samples. ``receiver``: which; the modem by default, as a node has it."""

    def __init__(
        self,
        levels: Levels,
        *,
        seed: int,
        receiver: Receiver | None = None,
        profile: PhyProfile = OSGP,
        sense_db: float = SENSE_DB,
        reach_db: float = REACH_DB,
    ) -> None:
        super().__init__(levels, seed=seed, profile=profile, sense_db=sense_db, reach_db=reach_db)
        self.receiver = receiver or ModemReceiver(profile)
        self._results: OrderedDict[tuple[int, int], bool] = OrderedDict()

    def whole(self, transmission: Transmission, receiver: int) -> bool:
        """Whether a transmission that is over came through."""
        if transmission.broken:
            return False
        key = transmission.number, receiver
        found = self._results.get(key)
        if found is None:
            found = self._results[key] = self._receives(transmission, receiver)
            if len(self._results) > _KEPT:
                self._results.popitem(last=False)
        return found

    def _receives(self, transmission: Transmission, receiver: int) -> bool:
        met = transmission.met.get(receiver, [])
        if any(other.sender.number == receiver for other in met):
            return False  # half duplex
        way = transmission.way
        assert isinstance(way, LevelWay), "transmissions of this medium have its ways"
        level_db, secondary = way.level_db[receiver], transmission.secondary
        rng = np.random.default_rng((self._seed, transmission.number, receiver))
        channel = channel_for(scenario(way.levels.scenario[receiver]), level_db, secondary, rng, self.profile)
        sent = _sent(transmission.lpdu, self.profile)
        begin, count = _window(len(sent), self.receiver.lead_bits, rng, self.profile)
        heard = channel.mix([(sent, begin, channel.link_at(level_db, secondary))], 0, count)
        for other in met:
            heard += self._disturbance(other, transmission, receiver, channel, begin, count)
        return self.receiver.receive(heard, len(transmission.lpdu), secondary) == transmission.lpdu

    def _disturbance(
        self, other: Transmission, wanted: Transmission, receiver: int, channel: Channel, first: int, count: int
    ) -> Samples:
        """Samples of another transmission in the window in which the wanted one begins at sample ``first``."""
        way = other.way
        assert isinstance(way, LevelWay), "transmissions of this medium have its ways"
        rate = self.profile.sample_rate_hz
        sent = _sent(other.lpdu, self.profile)[: max(0, round((other.end_s - other.start_s) * rate))]
        begin = first + round((other.start_s - wanted.start_s) * rate)
        out: Samples = np.zeros(count, np.float32)
        low, high = max(begin, 0), min(begin + len(sent), count)
        if low < high:
            link = channel.link_at(way.level_db[receiver], other.secondary)
            out[low:high] = link.apply(sent[low - begin : high - begin], low, channel.clock)
        return out
