"""Packets out of samples: what a receiver hears of a recording, one after the other, and what it means.

Project choice. ``Listening`` is a receiver (``osgp.plc.modem``) whose packets are read as frames of the control network.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from numpy.typing import NDArray

from osgp.analyse.lon_observer import LonObserver
from osgp.analyse.phy_symbols import Place
from osgp.lon.redact import redacted
from osgp.plc.events import CARRIERS, CarrierDetected, Dropped, PacketReceived
from osgp.plc.modem import Modem
from osgp.plc.params import OSGP, PhyProfile

__all__ = ["Heard", "Listening", "Statistics"]


class Heard(NamedTuple):
    """A packet of a recording.

    ``packet``: as the receiver gives it, keys and all: not for showing. ``lpdu``: without keys. ``text``: who says what to whom.
    ``start_s``: since the first sample, of the beginning of bit synchronisation; ``duration_s``: from there to its end.
    """

    packet: PacketReceived
    lpdu: bytes
    text: str
    start_s: float
    duration_s: float

    def place(self, profile: PhyProfile = OSGP) -> Place:
        """Where its symbols are."""
        packet = self.packet
        start_up = profile.start_up_bits * profile.samples_per_bit / (1 + packet.offset_ppm * 1e-6)
        return Place(packet.lpdu, packet.start_sample - start_up, packet.offset_ppm)


@dataclass(slots=True)
class Statistics:
    """What was heard so far.

    ``packets``, ``airtime_s``: by carrier. ``guessed``: packets that needed more than the likeliest reading. ``dropped``: what was no
    use, by reason. ``detected``: how often somebody was heard to begin, false alarms included.
    """

    samples: int = 0
    packets: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(CARRIERS, 0)))
    airtime_s: dict[str, float] = field(default_factory=lambda: dict.fromkeys(CARRIERS, 0.0))
    guessed: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    detected: int = 0


class Listening:
    """A receiver at a recording. ``statistics``: what it heard so far."""

    def __init__(self, profile: PhyProfile = OSGP) -> None:
        self.profile = profile
        self.statistics = Statistics()
        self._modem = Modem(profile)
        self._observer = LonObserver()

    def packets(self, blocks: Iterable[NDArray[Any]]) -> Iterator[Heard]:
        """The packets in samples at the profile's rate, in the order in which they end, each as soon as it is complete.

        What the blocks raise comes behind the packets before it.
        """
        found, rate = self.statistics, self.profile.sample_rate_hz
        for block in blocks:
            found.samples += len(block)
            self._modem.receive(block, found.samples / rate)
            for event in self._modem.events():
                if isinstance(event, PacketReceived):
                    yield self._heard(event)
                elif isinstance(event, Dropped):
                    found.dropped[event.reason] += 1
                elif isinstance(event, CarrierDetected):
                    found.detected += 1

    def _heard(self, packet: PacketReceived) -> Heard:
        found, rate = self.statistics, self.profile.sample_rate_hz
        start_s, duration_s = packet.start_sample / rate, (packet.end_sample - packet.start_sample) / rate
        found.packets[packet.carrier] += 1
        found.airtime_s[packet.carrier] += duration_s
        found.guessed += packet.list_depth > 0
        text = self._observer.frame(packet.lpdu, start_s, crc=False).text
        return Heard(packet, redacted(packet.lpdu), text, start_s, duration_s)
