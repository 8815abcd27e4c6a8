"""Check values of the OSGP family.

``crc16_x25``: CRC-16/X-25 (HDLC) of the optical port, polynomial x16+x12+x5+1 reflected, start FFFF, result inverted;
check value of "123456789" is 906E (``spec/optical.md`` section 2, verified against captured packets).
"""

from __future__ import annotations

import binascii

__all__ = ["crc16_x25"]

_REVERSED = bytes(int(f"{n:08b}"[::-1], 2) for n in range(256))


def crc16_x25(data: bytes) -> int:
    """CRC-16/X-25 of ``data``. O(n), most of it in C: the reflected CRC is the plain one (``crc_hqx``) over mirrored bits."""
    plain = binascii.crc_hqx(bytes(data).translate(_REVERSED), 0xFFFF) ^ 0xFFFF
    return _REVERSED[plain & 0xFF] << 8 | _REVERSED[plain >> 8]
