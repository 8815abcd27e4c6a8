"""Frames of common links down to the UDP datagram inside, and back: Ethernet, Linux cooked, loopback, raw IP.

Sources: IEEE 802.3 and 802.1Q, RFC 791, RFC 8200, RFC 768, the LINKTYPE registry of tcpdump.org. Only what a capture of a control
network needs: no reassembly, and check sums are not tested (network cards write them after a capture has seen the frame).
"""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

from osgp.wire import Bits, OpenEnum, Struct, bit, layout_of
from osgp.wire import fields as f
from osgp.wire.context import EMPTY
from osgp.wire.errors import BadValue, ConfigError

__all__ = [
    "ETHERNET_VLAN",
    "FAMILY_IPV4",
    "FAMILY_IPV6",
    "IPV6_EXTENSIONS",
    "IPV6_FRAGMENT",
    "TYPE_IPV4",
    "TYPE_IPV6",
    "UDP",
    "Datagram",
    "Endpoint",
    "Ethernet",
    "Fault",
    "Ipv4",
    "Ipv6",
    "Ipv6Extension",
    "LinkType",
    "LinuxCooked",
    "LinuxCooked2",
    "Loopback",
    "Udp",
    "VlanTag",
    "datagram_in",
    "ethernet",
    "size_of",
]

TYPE_IPV4, TYPE_IPV6 = 0x0800, 0x86DD
ETHERNET_VLAN = (0x8100, 0x88A8, 0x9100)
"""Types of Ethernet that announce a tag of four bytes, and the type behind it."""
FAMILY_IPV4 = (2,)
FAMILY_IPV6 = (24, 28, 30)
"""Address families as the BSDs and Darwin number them."""
UDP = 17
IPV6_EXTENSIONS = (0, 43, 60)
"""Extension headers that are passed over: hop-by-hop, routing, destination options."""
IPV6_FRAGMENT = 44
DONT_FRAGMENT = 2
HOPS = 64


class LinkType(OpenEnum):
    """Numbers of the LINKTYPE registry that are read. What the two numbers for users mean is a project choice."""

    NULL = 0
    ETHERNET = 1
    RAW_IP = 101
    LOOPBACK = 108
    LINUX_COOKED = 113
    LPDU_WITH_CRC = 147
    LPDU = 148
    IPV4 = 228
    IPV6 = 229
    LINUX_COOKED_2 = 276


class Fault(OpenEnum):
    """Why a captured frame gives no packet of the control network, or none that can be read (project choice)."""

    OK = 0
    NOT_LON = 1
    FRAGMENT = 2
    CUT = 3
    TRUNCATED = 4
    BAD_VALUE = 5
    BAD_CRC = 6
    EMPTY_PDU = 7
    OTHER_PACKET = 8
    SECURED = 9


FAULTS = {
    Fault.OK: "",
    Fault.NOT_LON: "not of a control network",
    Fault.FRAGMENT: "a part of an IP packet that was sent in several",
    Fault.CUT: "cut by the capture's snap length",
    Fault.TRUNCATED: "ends within a field",
    Fault.BAD_VALUE: "a length or a value that cannot be",
    Fault.BAD_CRC: "the CRC does not fit",
    Fault.EMPTY_PDU: "nothing enclosed",
    Fault.OTHER_PACKET: "a CN/IP packet that holds no frame",
    Fault.SECURED: "a CN/IP packet with a digest that cannot be tested without the channel's secret",
}
"""The faults in words."""


class Ethernet(Struct, byte_order="big", floor="ports", source="IEEE 802.3", status="verified"):
    """Header of an Ethernet frame."""

    destination: bytes = f.binary(6, default=bytes(6))
    source: bytes = f.binary(6, default=bytes(6))
    type: int = f.u16(default=TYPE_IPV4)


class VlanTag(Struct, byte_order="big", floor="ports", source="IEEE 802.1Q", status="verified"):
    """What stands behind one of ``ETHERNET_VLAN``."""

    control: int = f.u16(doc="priority and number of the virtual network")
    type: int = f.u16()


class LinuxCooked(Struct, byte_order="big", floor="ports", source="tcpdump.org LINKTYPE_LINUX_SLL", status="verified"):
    """Header of a frame captured on all interfaces of a Linux machine."""

    direction: int = f.u16()
    hardware: int = f.u16()
    address_length: int = f.u16()
    address: bytes = f.binary(8)
    type: int = f.u16(doc="as in Ethernet")


class LinuxCooked2(
    Struct, byte_order="big", floor="ports", source="tcpdump.org LINKTYPE_LINUX_SLL2", status="verified"
):
    """The newer form of ``LinuxCooked``."""

    type: int = f.u16(doc="as in Ethernet")
    reserved: int = f.u16()
    interface: int = f.u32()
    hardware: int = f.u16()
    direction: int = f.u8()
    address_length: int = f.u8()
    address: bytes = f.binary(8)


class Loopback(
    Struct, byte_order="big", floor="ports", source="tcpdump.org LINKTYPE_NULL, LINKTYPE_LOOP", status="verified"
):
    """Header of a frame captured on a loopback interface; the order of bytes is that of the machine."""

    family: int = f.u32(doc="address family")


class Ipv4First(Bits, size=1):
    """First byte of an IPv4 header."""

    words: int = bit(0, 4, orig="IHL", doc="length of the header in words of four bytes")
    version: int = bit(4, 4)


class Ipv4Fragment(Bits, size=2):
    """Flags and place of a fragment."""

    place: int = bit(0, 13, doc="in units of eight bytes")
    more: int = bit(13, orig="MF")
    whole: int = bit(14, orig="DF", doc="must not be cut")


class Ipv4(Struct, byte_order="big", floor="ports", source="RFC 791", status="verified"):
    """Header of an IPv4 packet without options."""

    first: Ipv4First = f.bits(Ipv4First, default=0x45)
    service: int = f.u8(default=0)
    length: int = f.u16(unit="byte", doc="header and payload")
    identification: int = f.u16(default=0)
    fragment: Ipv4Fragment = f.bits(Ipv4Fragment, default=DONT_FRAGMENT << 13)
    hops: int = f.u8(default=HOPS, orig="TTL")
    protocol: int = f.u8(default=UDP)
    checksum: int = f.u16(default=0)
    source: bytes = f.binary(4)
    destination: bytes = f.binary(4)


class Ipv6First(Bits, size=4):
    """First word of an IPv6 header."""

    flow: int = bit(0, 20)
    traffic_class: int = bit(20, 8)
    version: int = bit(28, 4)


class Ipv6(Struct, byte_order="big", floor="ports", source="RFC 8200", status="verified"):
    """Header of an IPv6 packet."""

    first: Ipv6First = f.bits(Ipv6First, default=6 << 28)
    length: int = f.u16(unit="byte", doc="what follows this header")
    next: int = f.u8(default=UDP, doc="what follows: UDP, or an extension header")
    hops: int = f.u8(default=HOPS)
    source: bytes = f.binary(16)
    destination: bytes = f.binary(16)


class Ipv6Extension(Struct, byte_order="big", floor="ports", source="RFC 8200", status="verified"):
    """First bytes of an extension header."""

    next: int = f.u8()
    length: int = f.u8(doc="in units of eight bytes, the first not counted")


class Udp(Struct, byte_order="big", floor="ports", source="RFC 768", status="verified"):
    """Header of a UDP datagram."""

    source: int = f.u16(doc="port")
    destination: int = f.u16(doc="port")
    length: int = f.u16(unit="byte", doc="header and payload")
    checksum: int = f.u16(default=0, doc="0: none")


class PseudoHeader(Struct, byte_order="big", floor="ports", source="RFC 768, RFC 8200", status="verified"):
    """What the check sum of a UDP datagram covers beside it; for the sum the wider fields of IPv6 make no difference."""

    source: bytes = f.binary()
    destination: bytes = f.binary()
    protocol: int = f.u16(default=UDP)
    length: int = f.u16()


def size_of(struct: type[Struct]) -> int:
    """Bytes of a structure of this module; all have a fixed size."""
    size = layout_of(struct, EMPTY).size
    assert size is not None
    return size


class Endpoint(NamedTuple):
    """An IP address as text, and a UDP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Datagram(NamedTuple):
    """A UDP datagram in a captured frame; ``offset``: of the payload in the frame."""

    source: Endpoint
    destination: Endpoint
    payload: bytes
    offset: int


def datagram_in(link_type: int, data: bytes, original_length: int, ports: frozenset[int]) -> Datagram | Fault:
    """The datagram from or to one of ``ports`` in a captured frame, or why there is none.

    NOT_LON: another protocol or other ports. FRAGMENT: of UDP, whatever the ports. CUT and TRUNCATED: the bytes end before the
    datagram does, for the capture was limited or the frame is damaged. BAD_VALUE: lengths that contradict each other.
    """
    short = Fault.CUT if len(data) < original_length else Fault.TRUNCATED
    network = _network(link_type, data, short)
    if isinstance(network, Fault):
        return network
    found = (_ipv6 if Ipv4First(data[network]).version == 6 else _ipv4)(data, network, short)
    if isinstance(found, Fault):
        return found
    place, end, source, destination = found
    if len(data) < place + _UDP:
        return short
    udp = Udp.decode(data[place : place + _UDP])
    if udp.source not in ports and udp.destination not in ports:
        return Fault.NOT_LON
    if udp.length < _UDP or place + udp.length > end:
        return Fault.BAD_VALUE
    if place + udp.length > len(data):
        return short
    return Datagram(
        Endpoint(str(ipaddress.ip_address(source)), udp.source),
        Endpoint(str(ipaddress.ip_address(destination)), udp.destination),
        data[place + _UDP : place + udp.length],
        place + _UDP,
    )


_ETHERNET, _VLAN, _UDP = size_of(Ethernet), size_of(VlanTag), size_of(Udp)
_COOKED, _COOKED_2, _LOOPBACK = size_of(LinuxCooked), size_of(LinuxCooked2), size_of(Loopback)
_IPV4, _IPV6, _EXTENSION = size_of(Ipv4), size_of(Ipv6), size_of(Ipv6Extension)


def _network(link_type: int, data: bytes, short: Fault) -> int | Fault:
    """Where the IP packet begins, its first byte being there and saying the version that the link promised."""
    size = _LINKS.get(link_type)
    if size is None:
        return Fault.NOT_LON
    if len(data) < size:
        return short
    place, version, kind = size, 0, -1  # no promise, and no type to look at
    if link_type == LinkType.ETHERNET:
        kind = Ethernet.decode(data[:size]).type
    elif link_type == LinkType.LINUX_COOKED:
        kind = LinuxCooked.decode(data[:size]).type
    elif link_type == LinkType.LINUX_COOKED_2:
        kind = LinuxCooked2.decode(data[:size]).type
    elif link_type in (LinkType.NULL, LinkType.LOOPBACK):
        families = (Loopback.decode(data[:size]).family, Loopback.decode(data[:size][::-1]).family)
        version = 4 if set(families) & set(FAMILY_IPV4) else 6 if set(families) & set(FAMILY_IPV6) else -1
    elif link_type == LinkType.IPV4:
        version = 4
    elif link_type == LinkType.IPV6:
        version = 6
    while kind in ETHERNET_VLAN:
        if len(data) < place + _VLAN:
            return short
        kind = VlanTag.decode(data[place : place + _VLAN]).type
        place += _VLAN
    if kind >= 0:
        version = 4 if kind == TYPE_IPV4 else 6 if kind == TYPE_IPV6 else -1
    if version < 0:
        return Fault.NOT_LON
    if len(data) <= place:
        return short
    said = Ipv4First(data[place]).version
    return place if said in (4, 6) and version in (0, said) else Fault.NOT_LON


_LINKS: dict[int, int] = {
    LinkType.ETHERNET: _ETHERNET,
    LinkType.LINUX_COOKED: _COOKED,
    LinkType.LINUX_COOKED_2: _COOKED_2,
    LinkType.NULL: _LOOPBACK,
    LinkType.LOOPBACK: _LOOPBACK,
    LinkType.RAW_IP: 0,
    LinkType.IPV4: 0,
    LinkType.IPV6: 0,
}

_Found = tuple[int, int, bytes, bytes]
"""Where the UDP header begins, where the packet ends, and the two addresses."""


def _ipv4(data: bytes, place: int, short: Fault) -> _Found | Fault:
    if len(data) < place + _IPV4:
        return short
    ip = Ipv4.decode(data[place : place + _IPV4])
    if ip.protocol != UDP:
        return Fault.NOT_LON
    if ip.fragment.more or ip.fragment.place:
        return Fault.FRAGMENT
    if 4 * ip.first.words < _IPV4 or ip.length < 4 * ip.first.words:
        return Fault.BAD_VALUE
    return place + 4 * ip.first.words, place + ip.length, ip.source, ip.destination


def _ipv6(data: bytes, place: int, short: Fault) -> _Found | Fault:
    if len(data) < place + _IPV6:
        return short
    ip = Ipv6.decode(data[place : place + _IPV6])
    end = place + _IPV6 + ip.length
    place, following = place + _IPV6, ip.next
    while following in IPV6_EXTENSIONS:
        if len(data) < place + _EXTENSION:
            return short
        extension = Ipv6Extension.decode(data[place : place + _EXTENSION])
        place, following = place + 8 + 8 * extension.length, extension.next
    if following == IPV6_FRAGMENT:
        return Fault.FRAGMENT
    return (place, end, ip.source, ip.destination) if following == UDP else Fault.NOT_LON


def ethernet(source: Endpoint, destination: Endpoint, payload: bytes) -> bytes:
    """An Ethernet frame with this datagram, check sums right, MAC addresses made up from the IP addresses.

    Raises ConfigError for addresses that are no numeric IP addresses of one version, BadValue for a payload that is too long.
    """
    try:
        ends = ipaddress.ip_address(source.host), ipaddress.ip_address(destination.host)
    except ValueError as error:
        raise ConfigError(f"no IP address: {error}", hint="write 192.0.2.1 or 2001:db8::1") from error
    sender, receiver = ends[0].packed, ends[1].packed
    if len(sender) != len(receiver):
        raise ConfigError(f"{source.host} and {destination.host} are of two versions of IP")
    length = _UDP + len(payload)
    if length > 0xFFFF - _IPV4:
        raise BadValue(f"{len(payload)} bytes are too long for a datagram", floor="ports", struct="Udp", field="length")
    udp = Udp(source=source.port, destination=destination.port, length=length)
    pseudo = PseudoHeader(source=sender, destination=receiver, length=length)
    udp.checksum = _checksum(pseudo.encode() + udp.encode() + payload)
    link = Ethernet(destination=_mac(ends[1]), source=_mac(ends[0]))
    network: Ipv4 | Ipv6
    if len(sender) == 4:
        network = Ipv4(length=_IPV4 + length, source=sender, destination=receiver)
        network.checksum = _checksum(network.encode())
    else:
        network = Ipv6(length=length, source=sender, destination=receiver)
        link.type = TYPE_IPV6
    return link.encode() + network.encode() + udp.encode() + payload


def _checksum(data: bytes) -> int:
    """The one's complement of the one's complement sum of 16-bit words (RFC 1071), never 0, which means none in UDP."""
    return 0xFFFF - int.from_bytes(data + bytes(len(data) % 2), "big") % 0xFFFF


def _mac(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bytes:
    """A locally administered MAC address; for a group of receivers the one that belongs to it (RFC 1112, RFC 2464)."""
    if address.is_multicast:
        if address.version == 4:
            return b"\x01\x00\x5e" + (int(address) & 0x7FFFFF).to_bytes(3, "big")
        return b"\x33\x33" + address.packed[-4:]
    return b"\x02\x00" + address.packed[-4:]
