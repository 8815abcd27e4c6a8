"""CN/IP: frames of the control network in UDP datagrams, 20 bytes of header before each.

ISO/IEC 14908-4 (EIA-852), whose text was not at hand: header and types from Wireshark's dissector and one open stack (EX), as in
``spec/iso14908-1.md`` 7.2; several packets in one datagram, the digest behind a packet and version 0 were read in EX alone.
A packet's length counts its own header, extension and data; the digest follows uncounted.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence

from osgp.crypto.keys import Key
from osgp.lon.crc import has_crc, with_crc, without_crc
from osgp.lon.lonip_map import AddressMap, Endpoint, Place
from osgp.lon.npdu import AddressFormat
from osgp.lon.packet import Packet, packet_of
from osgp.wire import Bits, OpenEnum, Struct, bit
from osgp.wire import fields as f
from osgp.wire.errors import BadDigest, BadValue, ConfigError, DecodeError, NoKey, SecurityError, Truncated, UnknownCode

__all__ = [
    "DIGEST_SIZE",
    "HEADER_SIZE",
    "MAX_DATA",
    "PORT",
    "URGENT_PORT",
    "CnIp",
    "CnIpFlags",
    "CnIpHeader",
    "CnIpPacket",
    "CnIpVersion",
    "PacketType",
    "data_packet",
    "lpdu_in",
    "packet_in",
    "packets_in",
]

PORT = 1628
"""UDP port of CN/IP."""
URGENT_PORT = 1629
"""UDP port of urgent CN/IP packets."""
HEADER_SIZE = 20
"""Bytes of the header without extension."""
DIGEST_SIZE = 16
"""Bytes of the MD5 digest behind a packet whose security flag is set."""
MAX_DATA = 0xFFFF - HEADER_SIZE
"""Most bytes that the length can say behind a header without extension."""


class PacketType(OpenEnum):
    """What a packet carries. Only DATA holds a frame; the others manage the channel, which is configured statically here."""

    DATA = 0x01
    DEVICE_REGISTRATION = 0x03
    CHANNEL_MEMBERSHIP = 0x04
    SEND_LIST = 0x06
    ACKNOWLEDGE = 0x07
    CHANNEL_ROUTING = 0x08
    STATISTICS_REQUEST = 0x60
    DEVICE_CONFIGURATION_REQUEST = 0x63
    CHANNEL_MEMBERSHIP_REQUEST = 0x64
    SEND_LIST_REQUEST = 0x66
    CHANNEL_ROUTING_REQUEST = 0x68
    STATISTICS = 0x70
    DEVICE_CONFIGURATION = 0x71
    SEGMENT = 0x7F


class CnIpVersion(Bits, size=1):
    """Version byte."""

    version: int = bit(0, 5, orig="VERSION", doc="1; one old router wrote 0 in data packets")
    vendor_specific: int = bit(7, orig="VENDOR_SPECIFIC", doc="what follows is a maker's own")


class CnIpFlags(Bits, size=1):
    """Flag byte."""

    protocol: int = bit(0, 5, orig="PROTOCOL", doc="what the data are", values={0: "ISO/IEC 14908-1 (EIA-709.1)"})
    security: int = bit(5, orig="SECURITY", doc="an MD5 digest follows the packet")


class CnIpHeader(
    Struct, byte_order="big", floor="lon", source="ISO/IEC 14908-4; spec/iso14908-1.md 7.2", status="verified"
):
    """The first 20 bytes of every packet."""

    length: int = f.u16(default=HEADER_SIZE, unit="byte", doc="header, extension and data; the digest is not counted")
    version: CnIpVersion = f.bits(CnIpVersion, default=1)
    type: PacketType = f.code(PacketType, default=PacketType.DATA, doc="what the packet carries")
    extension_words: int = f.u8(default=0, orig="EXT_HEADER_SIZE", doc="extension header in words of 4 bytes")
    flags: CnIpFlags = f.bits(CnIpFlags, default=0)
    vendor: int = f.u16(default=0, doc="0: as the standard says")
    session: int = f.u32(default=0, doc="changes when the sender restarts")
    sequence: int = f.u32(default=0, doc="number of the packet in its session")
    timestamp_ms: int = f.u32(default=0, orig="TIMESTAMP", unit="ms", doc="when it was sent; 0 not said")


class CnIpPacket(
    Struct, byte_order="big", floor="lon", source="ISO/IEC 14908-4; spec/iso14908-1.md 7.2", status="verified"
):
    """One packet; a datagram may hold several, the bytes of the others are left over."""

    header: CnIpHeader = f.record(CnIpHeader)
    extension: bytes = f.binary(4 * header.extension_words, default=b"", doc="extension header, a maker's matter")
    data: bytes = f.binary(header.length - 4 * header.extension_words - HEADER_SIZE, default=b"")
    digest: bytes | None = f.binary(
        DIGEST_SIZE, when=header.flags.security == 1, source="open stack EX, read, not run", status="unverified"
    )


def packets_in(datagram: bytes, secret: Key | None = None) -> Iterator[CnIpPacket]:
    """Read the packets of a datagram one by one; those before a damaged one are good.

    ``secret``: the 16 bytes that the members of an authenticated channel share; every packet must then carry a true digest.
    Raises Truncated (the datagram is shorter than its packets say, or empty), BadValue (a length that does not hold the
    header), NoKey (a digest, but no secret to test it with), BadDigest (false or missing digest), ConfigError (a secret that has not
    16 bytes).
    """
    place = 0
    while True:
        header = CnIpHeader.decode(datagram[place : place + HEADER_SIZE])
        least = HEADER_SIZE + 4 * header.extension_words
        if header.length < least:
            raise _misfit(BadValue, f"a length of {header.length} bytes, the header alone has {least}", place, datagram)
        counted = place + header.length
        end = counted + (DIGEST_SIZE if header.flags.security else 0)
        if end > len(datagram):
            raise _misfit(Truncated, f"{end - place} bytes needed, {len(datagram) - place} left", place, datagram)
        packet = CnIpPacket.decode(datagram[place:end])
        if packet.digest is not None and secret is None:
            raise NoKey("an authenticated CN/IP packet, and no secret of the channel")
        if secret is not None and (
            packet.digest is None or not hmac.compare_digest(packet.digest, _digest(datagram[place:counted], secret))
        ):
            raise BadDigest("a CN/IP packet is not authenticated")
        yield packet
        place = end
        if place == len(datagram):
            return


def lpdu_in(packet: CnIpPacket, *, crc: bool | None = None) -> bytes:
    """The frame in a data packet, without CRC.

    ``crc``: whether the sender appends one (True: it must be right; False: there is none; None: it is taken off if the last two
    bytes are one, since both kinds of sender are met). Raises UnknownCode for what is no data packet of this protocol (type,
    protocol, version), Truncated for no frame at all, BadCrc.
    """
    header = packet.header
    if header.type != PacketType.DATA:
        raise _unknown(f"packet type {header.type:02X} carries no frame", "type", packet)
    if header.flags.protocol:
        raise _unknown(f"protocol {header.flags.protocol} is not ISO/IEC 14908-1", "flags.protocol", packet)
    if header.version.version > 1 or header.version.vendor_specific:
        raise _unknown(f"version {int(header.version):02X} is not known", "version", packet)
    data = packet.data
    if crc or (crc is None and has_crc(data)):
        return without_crc(data)
    if not data:
        raise Truncated("no frame in a data packet", floor="lon", struct="CnIpPacket", field="data")
    return data


def packet_in(packet: CnIpPacket, *, crc: bool | None = None) -> Packet:
    """The frame in a data packet, decoded. Raises as ``lpdu_in``, and Truncated for a frame that ends too early."""
    return packet_of(lpdu_in(packet, crc=crc))


def data_packet(
    lpdu: bytes,
    *,
    session: int = 0,
    sequence: int = 0,
    timestamp_ms: int = 0,
    crc: bool = False,
    secret: Key | None = None,
) -> bytes:
    """Wrap a frame without CRC for a datagram.

    ``session``, ``sequence``, ``timestamp_ms`` are cut to 32 bits; ``crc`` appends the frame's CRC; ``secret``: see
    ``packets_in``. Raises BadValue for a frame that is too long, ConfigError for a secret that has not 16 bytes.
    """
    data = with_crc(lpdu) if crc else lpdu
    if len(data) > MAX_DATA:
        raise BadValue(f"{len(data)} bytes are too long for CN/IP", floor="lon", struct="CnIpPacket", field="data")
    header = CnIpHeader(
        length=HEADER_SIZE + len(data),
        flags=CnIpFlags(security=int(secret is not None)),
        session=session & 0xFFFFFFFF,
        sequence=sequence & 0xFFFFFFFF,
        timestamp_ms=timestamp_ms & 0xFFFFFFFF,
    )
    raw = header.encode() + data
    return raw if secret is None else raw + _digest(raw, secret)


class CnIp:
    """A channel whose members are told beforehand: packets into datagrams and back.

    ``members``: the other members' endpoints; what others send is refused (``strangers`` lets it pass). A packet for one node goes
    to the member behind which that node was last heard or, by ``routes``, is known to be; every other packet goes to all members.
    ``session``: a number that changes with every start. ``crc``, ``secret``: see ``data_packet``, ``packets_in``. Packets that arrive
    out of order are passed on as they come; transaction numbers tell repeats apart.

    Raises ConfigError for a secret that has not 16 bytes.
    """

    def __init__(
        self,
        members: Sequence[Endpoint],
        *,
        routes: Mapping[Place, Endpoint] | None = None,
        session: int = 0,
        crc: bool = False,
        secret: Key | None = None,
        strangers: bool = False,
    ) -> None:
        if secret is not None:
            _digest(b"", secret)
        self.members = tuple(members)
        self.addresses = AddressMap(routes)
        self.session = session
        self.sequence = 0
        self._hosts = None if strangers else {endpoint[0] for endpoint in self.members}
        self._crc = crc
        self._secret = secret

    def read(self, datagram: bytes, source: Endpoint, now: float) -> Iterator[Packet]:
        """The packets of a datagram one by one; packets that carry no frame are passed over.

        Raises SecurityError for a sender that is no member, and as ``packets_in``, ``lpdu_in``, ``packet_of``.
        """
        if self._hosts is not None and source[0] not in self._hosts:
            raise SecurityError(f"{source[0]} is no member of the channel")
        for each in packets_in(datagram, self._secret):
            if each.header.type != PacketType.DATA:
                continue
            packet = packet_in(each)
            npdu = packet.npdu
            if npdu.source_subnet and npdu.source_node.node:
                self.addresses.learn((npdu.domain, npdu.source_subnet, npdu.source_node.node), source, False, now)
            yield packet

    def write(self, packet: Packet, now: float) -> tuple[bytes, tuple[Endpoint, ...]]:
        """The datagram for a packet and where to send it. Raises BadValue for fields that do not fit."""
        self.sequence += 1
        raw = data_packet(
            packet.lpdu(), session=self.session, sequence=self.sequence, crc=self._crc, secret=self._secret
        )
        npdu = packet.npdu
        if npdu.control.address_format == AddressFormat.SUBNET_NODE and npdu.destination_node is not None:
            peer = self.addresses.find((npdu.domain, npdu.destination_subnet or 0, npdu.destination_node.node), now)
            if peer is not None:
                return raw, (peer.endpoint,)
        return raw, self.members


def _digest(counted: bytes, secret: Key) -> bytes:
    """MD5 over the packet, an empty place for the digest and the secret. Broken as a function; kept for interworking."""
    octets = secret.secret()
    if len(octets) != DIGEST_SIZE:
        raise ConfigError(f"the secret of a CN/IP channel has 16 bytes, not {len(octets)}")
    return hashlib.md5(counted + bytes(DIGEST_SIZE) + octets, usedforsecurity=False).digest()


def _misfit(error: type[DecodeError], message: str, place: int, datagram: bytes) -> DecodeError:
    return error(message, floor="lon", struct="CnIpHeader", field="length", bit_offset=8 * place, data=datagram)


def _unknown(message: str, field: str, packet: CnIpPacket) -> UnknownCode:
    return UnknownCode(message, floor="lon", struct="CnIpHeader", field=field, data=packet.data[:64])
