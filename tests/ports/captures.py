"""Captures made by hand, for the tests of those who read them."""

from __future__ import annotations

from osgp.lon.cnip import data_packet
from osgp.ports.datagram import (
    Endpoint,
    Ethernet,
    LinkType,
    LinuxCooked,
    LinuxCooked2,
    Loopback,
    VlanTag,
    ethernet,
    size_of,
)
from osgp.ports.pcap import (
    BLOCK_TAIL,
    ORDERS,
    PCAP_NS,
    PCAP_US,
    RESOLUTION,
    Block,
    InterfaceBlock,
    LinkWord,
    Option,
    PcapHeader,
    PcapRecord,
    SectionBlock,
)

__all__ = [
    "A",
    "A6",
    "B",
    "B6",
    "QUERY_STATUS",
    "block",
    "interface",
    "link_frames",
    "pcap_file",
    "section",
]

A, B = Endpoint("192.0.2.1", 1628), Endpoint("192.0.2.2", 1629)
A6, B6 = Endpoint("2001:db8::1", 1628), Endpoint("2001:db8::2", 50000)
QUERY_STATUS = bytes.fromhex("0119018a0194490151")


def pcap_file(
    frames: list[bytes],
    link_type: int,
    *,
    order: str = "little",
    magic: int = PCAP_NS,
    originals: list[int] | None = None,
) -> bytes:
    """A pcap file; frame n at second n, fraction 10 + n."""
    context = ORDERS[order]
    assert magic in (PCAP_US, PCAP_NS)
    out = PcapHeader(magic=magic, link=LinkWord(link_type=link_type)).encode(context)
    for number, frame in enumerate(frames):
        original = len(frame) if originals is None else originals[number]
        record = PcapRecord(seconds=number, fraction=10 + number, captured=len(frame), original=original)
        out += record.encode(context) + frame
    return out


def block(kind: int, body: bytes, order: str = "little") -> bytes:
    """A pcapng block."""
    body += bytes(-len(body) % 4)
    head = Block(type=kind, length=len(body) + 12).encode(ORDERS[order])
    return head + body + head[-BLOCK_TAIL:]


def section(order: str = "little") -> bytes:
    """The block that begins a pcapng file."""
    return block(0x0A0D0D0A, SectionBlock().encode(ORDERS[order]), order)


def interface(
    link_type: int, order: str = "little", *, resolution: int | None = None, offset_s: int = 0, snap: int = 0
) -> bytes:
    """The block of an interface. ``resolution``: the byte of if_tsresol."""
    context = ORDERS[order]
    options = b""
    if resolution is not None:
        options += Option(code=RESOLUTION, length=1, value=bytes((resolution,)), padding=bytes(3)).encode(context)
    if offset_s:
        value = offset_s.to_bytes(8, "little" if order == "little" else "big", signed=True)
        options += Option(code=14, length=8, value=value).encode(context)
    if options:
        options += Option(code=0, length=0).encode(context)
    return block(1, InterfaceBlock(link_type=link_type, snap_length=snap, options=options).encode(context), order)


def link_frames(payload: bytes | None = None) -> dict[str, tuple[int, bytes]]:
    """One datagram behind every link layer that is read: name to (link type, frame)."""
    payload = data_packet(QUERY_STATUS) if payload is None else payload
    whole = ethernet(A, B, payload)
    packet = whole[size_of(Ethernet) :]
    six = ethernet(A6, B6, payload)[size_of(Ethernet) :]
    addresses = whole[: size_of(Ethernet) - 2]
    tag = VlanTag(control=5, type=0x0800).encode()
    cooked = LinuxCooked(direction=0, hardware=1, address_length=6, address=bytes(8), type=0x0800).encode()
    cooked_2 = LinuxCooked2(
        type=0x86DD, reserved=0, interface=2, hardware=1, direction=0, address_length=6, address=bytes(8)
    ).encode()
    options = bytes((60, 0)) + bytes(6) + bytes((17, 1)) + bytes(14)
    extended = six[:4] + (len(six) - 40 + len(options)).to_bytes(2, "big") + b"\0" + six[7:40] + options + six[40:]
    return {
        "Ethernet": (LinkType.ETHERNET, whole),
        "Ethernet, IPv6": (LinkType.ETHERNET, ethernet(A6, B6, payload)),
        "Ethernet, padded": (LinkType.ETHERNET, whole + bytes(9)),
        "one tag": (LinkType.ETHERNET, addresses + b"\x81\x00" + tag + packet),
        "two tags": (
            LinkType.ETHERNET,
            addresses + b"\x88\xa8" + VlanTag(control=1, type=0x8100).encode() + tag + packet,
        ),
        "raw IPv4": (LinkType.RAW_IP, packet),
        "raw IPv6": (LinkType.RAW_IP, six),
        "IPv4": (LinkType.IPV4, packet),
        "IPv6": (LinkType.IPV6, six),
        "IPv6, extension headers": (LinkType.IPV6, extended),
        "cooked": (LinkType.LINUX_COOKED, cooked + packet),
        "cooked 2, IPv6": (LinkType.LINUX_COOKED_2, cooked_2 + six),
        "loopback, little-endian": (LinkType.NULL, Loopback(family=2).encode()[::-1] + packet),
        "loopback, big-endian": (LinkType.NULL, Loopback(family=2).encode() + packet),
        "loopback of Darwin, IPv6": (LinkType.NULL, Loopback(family=30).encode()[::-1] + six),
        "loopback of OpenBSD": (LinkType.LOOPBACK, Loopback(family=24).encode() + six),
    }
