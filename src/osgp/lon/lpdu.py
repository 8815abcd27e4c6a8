"""The LPDU: link header, NPDU, and on a power line or twisted pair the CRC.

ISO/IEC 14908-1, link layer; ``spec/iso14908-1.md`` 1.1, 1.3. Transceivers with a packet interface keep the CRC to themselves: the
two forms are two structures.
"""

from __future__ import annotations

from osgp.wire import Bits, Struct, bit
from osgp.wire import fields as f

__all__ = ["MAX_APDU", "MAX_BACKLOG", "MIN_FRAME", "LinkHeader", "Lpdu", "LpduWithCrc"]

MIN_FRAME = 8
"""Fewest bytes of a frame on the line, header and CRC included (two open stacks)."""
MAX_APDU = 228
"""Most bytes of an APDU (buffers of two open stacks)."""
MAX_BACKLOG = 63
"""Largest delta backlog and largest backlog estimate."""


class LinkHeader(Bits, size=1):
    """First byte of every frame."""

    delta_backlog: int = bit(0, 6, orig="DELTA_BACKLOG", doc="packets that this one is expected to cause")
    alternate_path: int = bit(6, orig="ALT_PATH", doc="sent on the secondary carrier")
    priority: int = bit(7, orig="PRIORITY", doc="priority packet")


class Lpdu(Struct, byte_order="big", floor="lon", source="ISO/IEC 14908-1; spec/iso14908-1.md 1.1", status="verified"):
    """A frame without its CRC, as packet interfaces and captures hold it."""

    header: LinkHeader = f.bits(LinkHeader, default=0)
    npdu: bytes = f.binary(doc="network layer")


class LpduWithCrc(
    Struct, byte_order="big", floor="lon", source="ISO/IEC 14908-1; spec/iso14908-1.md 1.1, 1.2", status="verified"
):
    """A frame as it travels on the line."""

    header: LinkHeader = f.bits(LinkHeader, default=0)
    npdu: bytes = f.binary(leave=2, doc="network layer")
    crc: int = f.u16(doc="CRC-16 over header and NPDU, complemented")
