"""The neutral form of a frame above the link: link header and decoded NPDU (see ``docs/design/control-network.md``)."""

from __future__ import annotations

from typing import NamedTuple

from osgp.lon.lpdu import LinkHeader
from osgp.lon.npdu import Npdu

__all__ = ["Packet", "packet_of"]


class Packet(NamedTuple):
    """A frame between the link, or a carrier, and the network layer. ``mode``: how a power line is to send it (``ltep.Mode``:
    1 synchronised to the mains, 3 attenuated); lines that cannot do so send it as any other."""

    header: LinkHeader
    npdu: Npdu
    mode: int = 0

    def lpdu(self) -> bytes:
        """The frame without CRC. Raises BadValue for fields that do not fit each other."""
        return bytes((self.header,)) + self.npdu.encode()


def packet_of(lpdu: bytes) -> Packet:
    """Read a frame without CRC. Raises Truncated, BadValue."""
    return Packet(LinkHeader(lpdu[0] if lpdu else 0), Npdu.decode(lpdu[1:]))
