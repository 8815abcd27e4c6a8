"""The neutral form of a frame above the link: link header and decoded NPDU (see ``docs/design/control-network.md``).

Where many packets differ in nothing but what they enclose, as those between two nodes do, the rest of them is one ``Envelope``, on
which carrier and node note what follows from it; a ``Letter`` is such a packet. Project choice: on UDP it halves the work for each.
"""

from __future__ import annotations

from typing import Any, NamedTuple, final

from osgp.lon.lpdu import LinkHeader
from osgp.lon.npdu import Npdu
from osgp.lon.tpdu import SpduHeader, TpduHeader

__all__ = ["Envelope", "Letter", "Packet", "letter_of", "packet_of"]

_TYPE_MASK = TpduHeader.fields["type"].mask
assert SpduHeader.fields["type"].mask == _TYPE_MASK, (
    "one question for both: is it a message that wants answers (type 0)?"
)
_new = object.__new__


class Packet(NamedTuple):
    """A frame between the link, or a carrier, and the network layer. ``mode``: how a power line is to send it (``ltep.Mode``:
    1 synchronised to the mains, 3 attenuated); lines that cannot do so send it as any other."""

    header: LinkHeader
    npdu: Npdu
    mode: int = 0

    def lpdu(self) -> bytes:
        """The frame without CRC. Raises BadValue for fields that do not fit each other."""
        return bytes((self.header,)) + self.npdu.encode()


class Envelope:
    """All of a packet but the PDU that it encloses; one object for all packets that are alike in it.

    ``npdu``: without PDU; nobody changes it. ``asking``: the link header if the PDU wants answers (type 0), else ``header``. ``note``:
    of the node that reads it, ``way``: of the carrier that sends it; each tells by its note whether it is its own, and still true.
    """

    __slots__ = ("asking", "header", "note", "npdu", "way")

    def __init__(self, header: LinkHeader, npdu: Npdu, asking: LinkHeader | None = None) -> None:
        self.header = header
        self.npdu = npdu
        self.asking = header if asking is None else asking
        self.note: Any = None
        self.way: Any = None


@final
class Letter:
    """A packet as its envelope and the PDU. It has what a ``Packet`` has, made when asked for."""

    __slots__ = ("envelope", "pdu")

    envelope: Envelope
    pdu: bytes
    mode = 0

    @property
    def header(self) -> LinkHeader:
        """The link header."""
        envelope, pdu = self.envelope, self.pdu
        return envelope.header if not pdu or pdu[0] & _TYPE_MASK else envelope.asking

    @property
    def npdu(self) -> Npdu:
        """The network layer, an object of its own."""
        known = self.envelope.npdu
        npdu = _new(Npdu)
        npdu.control = known.control
        npdu.source_subnet = known.source_subnet
        npdu.source_node = known.source_node
        npdu.destination_subnet = known.destination_subnet
        npdu.destination_node = known.destination_node
        npdu.group = known.group
        npdu.member = known.member
        npdu.unique_node_id = known.unique_node_id
        npdu.domain = known.domain
        npdu.pdu = self.pdu
        npdu._rest = b""
        return npdu

    def packet(self) -> Packet:
        """The same as a plain packet."""
        return Packet(self.header, self.npdu)

    def lpdu(self) -> bytes:
        """As ``Packet.lpdu``."""
        return self.packet().lpdu()

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Letter | Packet):
            return (self.header, self.npdu, self.mode) == (other.header, other.npdu, other.mode)
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]  # as NPDUs, which can be changed

    def __repr__(self) -> str:
        return f"Letter(header={self.header!r}, npdu={self.npdu!r})"


def letter_of(envelope: Envelope, pdu: bytes) -> Letter:
    """A packet from its envelope and the PDU."""
    letter = _new(Letter)
    letter.envelope = envelope
    letter.pdu = pdu
    return letter


def packet_of(lpdu: bytes) -> Packet:
    """Read a frame without CRC. Raises Truncated, BadValue."""
    return Packet(LinkHeader(lpdu[0] if lpdu else 0), Npdu.decode(lpdu[1:]))
