"""Many independent packets at once, for counting errors: arrays in, arrays out.

Project choice. Each row of samples is a line of its own, received as if nothing had been heard before. ``receive_rows``
searches as the modem does; with ``starts`` it is told where packets begin, and does neither search nor blank.
``matched_filter`` is the least of all: beginning and phase are known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osgp.plc import kernels
from osgp.plc.params import OSGP, PhyProfile
from osgp.plc.sync import setup_for
from osgp.wire.errors import BadValue

__all__ = ["Rows", "matched_filter", "receive_rows"]

_TAIL_BITS = 4


@dataclass(frozen=True, slots=True)
class Rows:
    """Of each row the first packet with a right CRC, else the first that was found and ended: arrays of one length.

    ``ok``: the CRC is right. ``start``: first sample, -1 if nothing was found. ``data``: bytes with the CRC, as many as
    ``size`` (0: it did not come to its end); ``depth``: number of the reading, -1 when none was right. ``snr``: Ec/N0 as
    measured, a ratio; ``amplitude``; ``offset_ppm``. ``symbols``: soft line bits after the preamble, (row, re and im, bit).
    """

    ok: NDArray[np.bool_]
    start: NDArray[np.int64]
    size: NDArray[np.int64]
    depth: NDArray[np.int64]
    data: NDArray[np.uint8]
    snr: NDArray[np.float64]
    amplitude: NDArray[np.float64]
    offset_ppm: NDArray[np.float64]
    symbols: NDArray[np.float32]

    def lpdu(self, row: int) -> bytes:
        """The LPDU of a row, without CRC."""
        return self.data[row, : max(0, self.size[row] - 2)].tobytes()


def receive_rows(
    samples: Any,
    *,
    starts: Any = None,
    secondary: bool = False,
    profile: PhyProfile = OSGP,
    blanker: bool = True,
    weighting: bool = True,
    keep_symbols: int = 0,
) -> Rows:
    """Receive a packet from each row of ``samples``, shape (rows, samples), any real type.

    ``starts``: first sample of each row's packet, within an eighth of a bit, on the carrier that ``secondary`` says; without it both
    carriers are searched. ``keep_symbols``: soft line bits to keep for each row. Raises BadValue for arrays that do not fit.
    """
    rows = np.ascontiguousarray(samples, dtype=np.float32)
    if rows.ndim != 2:
        raise BadValue("rows of samples are two dimensions of numbers", floor="plc", struct="samples")
    setup = setup_for(profile, blanker, weighting)
    facts = np.zeros((len(rows), 5), np.int64)
    numbers = np.zeros((len(rows), 3))
    data = np.zeros((len(rows), setup.max_words + 4), np.uint8)
    symbols = np.zeros((len(rows), 2, keep_symbols), np.float32)
    carrier = int(secondary)
    if starts is None:
        quiet = np.zeros(_TAIL_BITS * profile.samples_per_bit, np.float32)
        bad = kernels.search_rows(setup, kernels.memory_for(setup), rows, quiet, facts, numbers, data, symbols)
    else:
        places = np.ascontiguousarray(starts, dtype=np.int64)
        preamble = len(setup.symbols) * profile.samples_per_bit
        if places.shape != (len(rows),) or (places < 0).any() or (places + preamble > rows.shape[1]).any():
            raise BadValue("each row has one start, with room for a preamble behind it", floor="plc", struct="starts")
        memory = kernels.memory_for(setup, rows.shape[1] // profile.samples_per_bit + 2)
        bad = kernels.known_rows(setup, memory, rows, places, carrier, facts, numbers, data, symbols)
    if bad:
        raise BadValue(f"{bad} of the samples are no numbers, or larger than any", floor="plc", struct="samples")
    found = facts[:, 0] != 0
    cycles = np.where(found, setup.cycles[carrier], 1.0)
    return Rows(
        ok=facts[:, 0] == kernels.PACKET,
        start=np.where(found, facts[:, 1], -1),
        size=facts[:, 2],
        depth=facts[:, 3],
        data=data,
        snr=numbers[:, 0],
        amplitude=numbers[:, 1],
        offset_ppm=numbers[:, 2] / (2 * np.pi * cycles) * 1e6,
        symbols=symbols,
    )


def matched_filter(
    samples: Any, bits: int, *, start: int = 0, secondary: bool = False, profile: PhyProfile = OSGP
) -> NDArray[np.complex64]:
    """Line bits that begin at a known sample, as a carrier of amplitude 1 gives +1 and -1; its phase is the packet's own.

    Raises BadValue when there are not so many samples.
    """
    given = np.ascontiguousarray(samples, dtype=np.float32)
    if given.ndim != 1 or start < 0 or len(given) < start + bits * profile.samples_per_bit:
        raise BadValue(f"{given.shape} samples hold no {bits} bits from {start}", floor="plc", struct="samples")
    setup = setup_for(profile)
    found = np.empty((bits, 2), np.float32)
    # The carrier is counted from the packet's first sample.
    kernels.matched_bits(given, start, bits, setup.waves[int(secondary)], found)
    found *= 2.0 / profile.samples_per_bit
    complex_: NDArray[np.complex64] = found.view(np.complex64)[:, 0]
    return complex_
