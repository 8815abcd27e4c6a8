"""CRC-16 of the link layer: polynomial 0x1021, preset 0xFFFF, not reflected, complemented, most significant byte first.

ISO/IEC 14908-1, link layer; ``spec/iso14908-1.md`` 1.2 (equal to CRC-16/GENIBUS; two open stacks agree on all golden frames).
"""

from __future__ import annotations

from binascii import crc_hqx

from osgp.wire.errors import BadCrc, Truncated

__all__ = ["CRC_SIZE", "crc16", "crc_tables", "has_crc", "with_crc", "without_crc"]

CRC_SIZE = 2
RESIDUE = 0x1D0F
"""The register after a frame with its CRC, preset 0xFFFF, not complemented."""


def crc16(data: bytes) -> int:
    """The CRC of a link header with its NPDU, as a number of 16 bits."""
    return crc_hqx(data, 0xFFFF) ^ 0xFFFF


def crc_tables() -> list[list[int]]:
    """Eight tables for eight bytes a step: entry ``[k][b]`` is what byte b does to the register when k more bytes follow it."""
    return [[crc_hqx(bytes((octet,)) + bytes(more), 0) for octet in range(256)] for more in range(8)]


def with_crc(lpdu: bytes) -> bytes:
    """The frame as it leaves the link layer: two bytes longer."""
    return lpdu + (crc_hqx(lpdu, 0xFFFF) ^ 0xFFFF).to_bytes(2, "big")


def has_crc(frame: bytes) -> bool:
    """Whether the last two bytes are the CRC of those before."""
    return len(frame) > CRC_SIZE and crc_hqx(frame, 0xFFFF) == RESIDUE


def without_crc(frame: bytes) -> bytes:
    """The frame without its CRC, which is checked. Raises Truncated (too short to have one) and BadCrc."""
    if len(frame) <= CRC_SIZE:
        raise Truncated(
            f"{len(frame)} bytes cannot hold a CRC", floor="lon", struct="Lpdu", field="crc", bit_offset=0, data=frame
        )
    if crc_hqx(frame, 0xFFFF) != RESIDUE:
        found = int.from_bytes(frame[-2:], "big")
        raise BadCrc(
            f"CRC {found:04X} where {crc16(frame[:-2]):04X} belongs",
            floor="lon",
            struct="Lpdu",
            field="crc",
            bit_offset=8 * (len(frame) - 2),
            data=frame,
            hint="damaged on the line, or a capture without CRCs",
        )
    return frame[:-2]
