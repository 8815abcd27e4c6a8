"""Packets as line bits: preamble, word synchronisation, words, CRC, end of packet.

ETSI TS 103 908, power-line packet timing; ``spec/phy-ts103908.md`` 1.6, 3.2. There is no length: the end is a pair of words that no
data can make. The alternate-path bit of the LPDU's first byte chooses the carrier of the whole packet (1.3).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from osgp.lon.crc import with_crc
from osgp.lon.lpdu import LinkHeader
from osgp.plc import fec
from osgp.plc.params import OSGP, PhyProfile
from osgp.wire.errors import BadValue

__all__ = ["bits_of", "is_secondary", "line_bits", "text_of"]

_ALTERNATE = LinkHeader.fields["alternate_path"].mask


def is_secondary(lpdu: bytes) -> bool:
    """Whether a packet goes out on the secondary carrier."""
    return bool(lpdu and lpdu[0] & _ALTERNATE)


def bits_of(text: str) -> NDArray[np.uint8]:
    """A text of 0 and 1 as an array."""
    return np.frombuffer(text.encode("ascii"), dtype=np.uint8) - ord("0")


def text_of(bits: NDArray[Any]) -> str:
    """Bits as a text of 0 and 1."""
    return "".join("1" if bit else "0" for bit in bits)


def line_bits(lpdu: bytes, profile: PhyProfile = OSGP) -> NDArray[np.uint8]:
    """An LPDU (link header and NPDU, without CRC) as line bits, from bit synchronisation to end of packet.

    A start-up of unmodulated carrier is the modulator's. Raises BadValue for a length that no packet has.
    """
    if not profile.min_lpdu <= len(lpdu) <= profile.max_lpdu:
        raise BadValue(
            f"a packet carries {profile.min_lpdu} to {profile.max_lpdu} bytes, not {len(lpdu)}",
            floor="plc",
            struct="packet",
            field="lpdu",
            data=lpdu,
        )
    return np.concatenate(
        (bits_of(profile.preamble), fec.encode(with_crc(bytes(lpdu)), profile), bits_of(profile.end_of_packet))
    )
