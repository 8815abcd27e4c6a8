"""One packet out of samples: what calibration and the waveform medium ask of a receiver. Project choice.

``ModemReceiver`` is the default: the receiver of a real node. ``KnownTiming`` is the reference beside it: it is told where the packet
begins and how long it is, takes the phase from the preamble, and decodes as the profile says (soft words, CRC-aided list;
``spec/phy-ts103908.md`` 3.3). It does not search, track or blank: on a quiet line the modem comes close to it and does not get
better; among impulses it does.
"""

from __future__ import annotations

import itertools
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from osgp.lon.crc import has_crc
from osgp.plc.fec import WORD_BITS, decode_soft
from osgp.plc.frame import bits_of
from osgp.plc.params import OSGP, PhyProfile
from osgp.wire.errors import ConfigError

__all__ = ["RECEIVERS", "KnownTiming", "ModemReceiver", "Receiver", "receiver_named"]

_CRC_BYTES = 2


class Receiver(Protocol):
    """Reads one packet. ``lead_bits``: of the line, in front of the packet and behind it, that it wants to hear; 0: it must be told
    where the packet begins."""

    name: str
    lead_bits: int

    def receive(self, samples: NDArray[Any], lpdu_bytes: int, secondary: bool) -> bytes | None:
        """The LPDU in samples, None if it is lost.

        Without lead the samples are the packet's, first to last; else the packet begins within the bit after the lead.
        """


@lru_cache(maxsize=8)
def _mixer(cycles: int, samples: int) -> NDArray[np.complex64]:
    """Matched filter of one line bit; shape (samples,)."""
    found: NDArray[np.complex64] = np.exp(-2j * np.pi * cycles * np.arange(samples) / samples).astype(np.complex64)
    return found


@lru_cache(maxsize=8)
def _preamble(text: str) -> NDArray[np.float32]:
    return (1.0 - 2.0 * bits_of(text)).astype(np.float32)


class KnownTiming:
    """The reference receiver. ``profile``: of the packets."""

    def __init__(self, profile: PhyProfile = OSGP) -> None:
        self.profile = profile
        self.lead_bits = 0
        self.name = "known timing, phase from the preamble, soft words, CRC-aided list"

    def receive(self, samples: NDArray[Any], lpdu_bytes: int, secondary: bool) -> bytes | None:
        """See ``Receiver``. Samples in any unit, shape (line bits times samples per bit,), a start-up of the profile included."""
        profile = self.profile
        per_bit = profile.samples_per_bit
        mixer = _mixer(profile.secondary_cycles if secondary else profile.primary_cycles, per_bit)
        bits = len(samples) // per_bit
        filtered = np.asarray(samples[: bits * per_bit], np.float32).reshape(bits, per_bit) @ mixer
        filtered = filtered[profile.start_up_bits :]
        known = _preamble(profile.preamble)
        words = lpdu_bytes + _CRC_BYTES
        if len(filtered) < len(known) + words * WORD_BITS:
            return None
        phase = np.vdot(known, filtered[: len(known)])
        body = filtered[len(known) : len(known) + words * WORD_BITS]
        soft = (body * np.conj(phase)).real.reshape(words, WORD_BITS)
        return self._decoded(soft)

    def _decoded(self, soft: NDArray[Any]) -> bytes | None:
        found = decode_soft(soft, self.profile)
        frame = bytearray(found.best.tobytes())
        if has_crc(bytes(frame)):
            return bytes(frame[:-_CRC_BYTES])
        doubtful = np.argsort(found.gap, kind="stable")[: self.profile.list_words].tolist()
        gaps = [float(found.gap[place]) for place in doubtful]
        guesses = sorted(
            itertools.product((False, True), repeat=len(doubtful)),
            key=lambda chosen: sum(gap for gap, flip in zip(gaps, chosen) if flip),
        )
        for chosen in guesses[1 : self.profile.list_size]:
            guess = bytearray(frame)
            for place, flip in zip(doubtful, chosen):
                if flip:
                    guess[place] = found.second[place]
            if has_crc(bytes(guess)):
                return bytes(guess[:-_CRC_BYTES])
        return None


class ModemReceiver:
    """The receiver of ``osgp.plc.modem``, as a node has it: it searches both carriers, follows clocks, limits impulses.

    ``profile``: of the packets. It begins anew with each packet; hearing a whole mains cycle before made no difference that 200
    packets of a scenario show, while following the phase costs up to half a decibel where the line itself turns it. Needs Numba.
    """

    def __init__(self, profile: PhyProfile = OSGP) -> None:
        from osgp.plc.modem import Modem

        self.profile = profile
        self.lead_bits = profile.blanker_bits + 4
        self.name = "modem: both carriers searched, phase and clock followed, impulses limited, CRC-aided list"
        self._modem = Modem

    def receive(self, samples: NDArray[Any], lpdu_bytes: int, secondary: bool) -> bytes | None:
        """See ``Receiver``. Of several packets in the samples that which begins where the wanted one can."""
        from osgp.plc.events import CARRIERS, PacketReceived

        modem = self._modem(self.profile)
        modem.receive(np.asarray(samples, np.float32))
        per_bit = self.profile.samples_per_bit
        first = (self.lead_bits + self.profile.start_up_bits) * per_bit
        for event in modem.events():
            if (
                isinstance(event, PacketReceived)
                and event.carrier == CARRIERS[secondary]
                and first - per_bit < event.start_sample < first + 2 * per_bit
            ):
                return event.lpdu
        return None


RECEIVERS: dict[str, type[KnownTiming | ModemReceiver]] = {"reference": KnownTiming, "modem": ModemReceiver}
"""Receivers by the names that a command takes."""


def receiver_named(name: str, profile: PhyProfile = OSGP) -> Receiver:
    """One of ``RECEIVERS``. Raises ConfigError for other names."""
    if name not in RECEIVERS:
        raise ConfigError(f"there is no receiver {name!r}", hint=f"one of {', '.join(RECEIVERS)}")
    return RECEIVERS[name](profile)
