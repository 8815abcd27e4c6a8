"""The power-line receiver as a machine: samples in, in pieces of any size; packets and the state of both carriers out.

Project choice after ``spec/phy-ts103908.md`` 3.4. What it finds does not depend on how the samples were cut. Memory is bounded: a
sixth of a second of samples, and ``KEPT_EVENTS``. Sending needs no state: ``modulate.modulate``.

::

    modem = Modem()
    modem.receive(samples, now=12.5)
    for event in modem.events():
        ...
"""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osgp.plc import kernels
from osgp.plc.events import CARRIERS, CarrierDetected, CarrierLost, Dropped, ModemEvent, PacketReceived
from osgp.plc.modulate import FULL_SCALE
from osgp.plc.params import OSGP, PhyProfile
from osgp.plc.sync import setup_for
from osgp.wire.errors import BadValue

__all__ = ["KEPT_EVENTS", "REASONS", "Modem", "as_samples"]

KEPT_EVENTS = 65536
"""Events that wait to be fetched; older ones give way."""
REASONS = {
    kernels.CRC_WRONG: "the CRC is wrong",
    kernels.TOO_SHORT: "too short for a packet",
    kernels.ENDLESS: "too long for a packet",
    kernels.FADED: "the signal ended within the packet",
    kernels.OVERTAKEN: "a stronger packet began",
}
_NO_NUMBERS = "samples that are no numbers"
_PIECE = 1 << 18


def as_samples(samples: Any) -> NDArray[Any]:
    """Samples as an array that the modem takes: one dimension; float32, float64 or int16. Raises BadValue."""
    given = np.asarray(samples)
    if given.ndim != 1 or given.dtype not in (np.float32, np.float64, np.int16):
        raise BadValue(
            f"samples of shape {given.shape} and type {given.dtype}",
            floor="plc",
            struct="samples",
            hint="one dimension; float32 with full scale 1, or int16",
        )
    return given


class Modem:
    """The receiver of one node, on both carriers at once.

    ``blanker``, ``weighting``: limit impulses, weigh noise by mains phase; without them one sees what they are worth.
    ``symbols``: keep the soft values of each packet's line bits, for pictures. Counters: ``samples``, ``packets``, ``dropped``.
    """

    def __init__(
        self, profile: PhyProfile = OSGP, *, blanker: bool = True, weighting: bool = True, symbols: bool = False
    ) -> None:
        self.profile = profile
        self.samples = 0
        self.packets = 0
        self.dropped = 0
        self._symbols = symbols
        self._setup = setup_for(profile, blanker, weighting)
        self._memory = kernels.memory_for(self._setup)
        self._events: deque[ModemEvent] = deque(maxlen=KEPT_EVENTS)

    def receive(self, samples: Any, now: float = 0.0) -> None:
        """Take samples at ``profile.sample_rate_hz``; ``now``: seconds, when the last of them was taken.

        float32 or float64 with full scale 1, or int16. What is no number, or beyond 1e9, counts as silence and is reported. Raises
        BadValue for arrays of another kind and for a ``now`` that is no moment; nothing is then taken.
        """
        given = as_samples(samples)
        if not math.isfinite(now):
            raise BadValue(f"{now} s is no moment", floor="plc", struct="samples", hint="seconds of a running clock")
        # The moment of the modem's first sample.
        zero_s = now - (self.samples + len(given)) / self.profile.sample_rate_hz
        for first in range(0, len(given), _PIECE):
            piece = given[first : first + _PIECE]
            if piece.dtype == np.int16:
                ready = piece * np.float32(1 / FULL_SCALE)
            else:
                with np.errstate(over="ignore"):
                    ready = np.ascontiguousarray(piece, dtype=np.float32)
            begin = 0
            while begin < len(ready):
                begin = int(kernels.feed(self._setup, self._memory, ready, begin))
                self._drain(zero_s)
            self.samples += len(ready)
            self._damaged(zero_s)

    def events(self) -> list[ModemEvent]:
        """What happened since the last call."""
        found = list(self._events)
        self._events.clear()
        return found

    def busy(self, carrier: str) -> bool:
        """Whether somebody sends on a carrier, as far as samples have come."""
        return bool(self._memory.ints[CARRIERS.index(carrier), kernels.IS_BUSY])

    def _damaged(self, zero_s: float) -> None:
        counts = self._memory.counts
        if counts[2]:
            self.dropped += 1
            at_s = zero_s + self.samples / self.profile.sample_rate_hz
            self._events.append(Dropped(f"{counts[2]} {_NO_NUMBERS}", "", self.samples, at_s))
            counts[2] = 0

    def _drain(self, zero_s: float) -> None:
        memory = self._memory
        count = int(memory.counts[3])
        if not count:
            return
        rate = self.profile.sample_rate_hz
        for event, facts in zip(memory.events[:count].tolist(), memory.facts[:count].tolist()):
            kind, carrier, sample = event[0], CARRIERS[event[1]], event[2]
            at_s = zero_s + sample / rate
            if kind == kernels.DETECTED:
                self._events.append(CarrierDetected(carrier, sample, at_s))
            elif kind == kernels.LOST:
                self._events.append(CarrierLost(carrier, sample, at_s))
            elif kind == kernels.PACKET:
                self.packets += 1
                self._events.append(self._packet(event, facts, at_s))
            else:
                self.dropped += 1
                packet = self._packet(event, facts, at_s) if event[8] >= 0 else None
                self._events.append(Dropped(REASONS[event[9]], carrier, sample, at_s, packet))
        memory.counts[3] = memory.counts[4] = 0

    def _packet(self, event: list[int], facts: list[float], at_s: float) -> PacketReceived:
        _, carrier, _, start, end, size, depth, right, slot, _, count = event
        snr, amplitude, omega = facts
        symbols = None
        if self._symbols:
            re, im = self._memory.symbols[slot, :, :count]
            symbols = re + 1j * im
        return PacketReceived(
            self._memory.data[slot, : max(0, size - 2)].tobytes(),
            CARRIERS[carrier],
            10 * math.log10(max(snr, 1e-10)),
            amplitude,
            omega / (2 * math.pi * float(self._setup.cycles[carrier])) * 1e6,
            start,
            end,
            depth,
            bool(right),
            at_s,
            symbols,
        )
