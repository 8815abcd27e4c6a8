"""What the modem reports: immutable, named in the past tense, drained by ``events()``. Project choice.

``sample`` counts from the first sample that the modem was given; ``at_s`` is the same moment on the scale of the ``now`` that
came with the samples.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from numpy.typing import NDArray

__all__ = ["CARRIERS", "CarrierDetected", "CarrierLost", "Dropped", "ModemEvent", "PacketReceived"]

CARRIERS = ("primary", "secondary")


class CarrierDetected(NamedTuple):
    """Somebody has begun to send on a carrier: bit synchronisation was heard."""

    carrier: str
    sample: int
    at_s: float


class CarrierLost(NamedTuple):
    """A carrier has become free: the packet ended, or nothing was recognised for some bits. ``sample``: of the packet's end."""

    carrier: str
    sample: int
    at_s: float


class PacketReceived(NamedTuple):
    """A packet came through; ``lpdu`` is without its CRC.

    ``crc_ok``: always true for the event; false in ``Dropped.packet``. ``snr_db``: Ec/N0 as measured. ``strength``: amplitude of the
    carrier, 1 is full scale. ``offset_ppm``: by how much the sender's clock is fast. ``list_depth``: how many likelier readings
    of the words had a wrong CRC. ``symbols``: soft values of all line bits after the preamble, complex, mean magnitude about 1,
    +1 for 0; None unless the modem keeps them.
    """

    lpdu: bytes
    carrier: str
    snr_db: float
    strength: float
    offset_ppm: float
    start_sample: int
    end_sample: int
    list_depth: int
    crc_ok: bool
    at_s: float
    symbols: NDArray[Any] | None = None


class Dropped(NamedTuple):
    """Something that was no use.

    ``packet``: of a packet that ended, its most likely reading and measures, ``crc_ok`` false. ``carrier``: empty where it is the
    samples themselves (no numbers, or larger than any could be): they counted as silence.
    """

    reason: str
    carrier: str
    sample: int
    at_s: float
    packet: PacketReceived | None = None


ModemEvent = CarrierDetected | CarrierLost | PacketReceived | Dropped
