"""The two forms of capture files, pcap and pcapng, as layouts, and their records one by one.

Sources: IETF drafts draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng; what is written here is read by Wireshark, and the
reverse (tests). Use ``osgp.ports.capture``, which opens files and gives the frames a meaning.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from osgp.wire import Bits, Context, Struct, bit, layout_of
from osgp.wire import fields as f
from osgp.wire.errors import BadValue, ConfigError, DecodeError, Truncated, UnknownCode

__all__ = [
    "BLOCK_TAIL",
    "MAX_BLOCK",
    "MAX_RECORD",
    "ORDERS",
    "CaptureFrame",
    "Interface",
    "PcapForm",
    "PcapHeader",
    "PcapReader",
    "PcapRecord",
    "PcapngForm",
    "PcapngReader",
    "Source",
    "frames_of",
    "reader_of",
]

MAX_RECORD = 0x40000
"""Most bytes of a frame: what the tools that write captures allow. A record that claims more is no record."""
MAX_BLOCK = 0x1000000
"""Most bytes of a pcapng block that is read (project choice)."""
ORDERS = {order: Context(order=order) for order in ("little", "big")}
"""The contexts for the structures of this module, whose byte order is the writer's."""
LATEST_NS = 2**63 - 1
"""The last moment that 64 bits hold, in the year 2262; later ones become this one, and earlier ones than its opposite that."""

PCAP_US, PCAP_NS = 0xA1B2C3D4, 0xA1B23C4D
"""Magic numbers of a pcap file in its own byte order: fractions are microseconds, or nanoseconds."""
BYTE_ORDER_MAGIC = 0x1A2B3C4D
SECTION, INTERFACE, OBSOLETE, SIMPLE, ENHANCED = 0x0A0D0D0A, 1, 2, 3, 6
"""Types of pcapng blocks that are read; others are passed over."""
BLOCK_TAIL = 4
"""Bytes behind every block: its length once more."""
END_OF_OPTIONS, RESOLUTION, OFFSET = 0, 9, 14
"""Codes of options of an interface that are read: if_tsresol, if_tsoffset."""

_PCAP = "draft-ietf-opsawg-pcap"
_PCAPNG = "draft-ietf-opsawg-pcapng"


class LinkWord(Bits, size=4):
    """Last word of a pcap header; its upper bits, about check sequences at the end of frames, are kept and not used."""

    link_type: int = bit(0, 16, orig="LinkType", doc="what the frames are; numbers of the LINKTYPE registry")


class PcapHeader(Struct, floor="ports", source=_PCAP, status="verified"):
    """The first 24 bytes of a pcap file."""

    magic: int = f.u32(default=PCAP_NS, doc="tells byte order and the unit of fractions")
    version_major: int = f.u16(default=2)
    version_minor: int = f.u16(default=4)
    zone: int = f.i32(default=0, unit="s", doc="not used")
    accuracy: int = f.u32(default=0, doc="not used")
    snap_length: int = f.u32(default=MAX_RECORD, unit="byte", doc="longer frames are cut")
    link: LinkWord = f.bits(LinkWord, default=0)


class PcapRecord(Struct, floor="ports", source=_PCAP, status="verified"):
    """The header of each frame in a pcap file."""

    seconds: int = f.u32(unit="s", doc="since 1970, UTC")
    fraction: int = f.u32(doc="microseconds or nanoseconds, by the magic")
    captured: int = f.u32(unit="byte", doc="bytes that follow")
    original: int = f.u32(unit="byte", doc="bytes that the frame had")


class Block(Struct, floor="ports", source=_PCAPNG, status="verified"):
    """The head of every pcapng block; ``BLOCK_TAIL`` bytes behind it say the length once more."""

    type: int = f.u32(values={SECTION: "section", 1: "interface", 2: "packet (old)", 3: "simple packet", 6: "packet"})
    length: int = f.u32(unit="byte", doc="the whole block, head and tail included; a multiple of four")


class SectionBlock(Struct, floor="ports", source=_PCAPNG, status="verified"):
    """Body of the block that begins a section; interfaces count anew behind it."""

    magic: int = f.u32(default=BYTE_ORDER_MAGIC, doc="tells the byte order of the section")
    version_major: int = f.u16(default=1)
    version_minor: int = f.u16(default=0)
    section_length: int = f.i64(default=-1, unit="byte", doc="-1: not said")
    options: bytes = f.binary(default=b"")


class InterfaceBlock(Struct, floor="ports", source=_PCAPNG, status="verified"):
    """Body of the block that describes an interface."""

    link_type: int = f.u16(doc="numbers of the LINKTYPE registry")
    reserved: int = f.u16(default=0)
    snap_length: int = f.u32(default=0, unit="byte", doc="longer frames are cut; 0 none")
    options: bytes = f.binary(default=b"")


class EnhancedBlock(Struct, floor="ports", source=_PCAPNG, status="verified"):
    """Body of the block that holds a frame."""

    interface: int = f.u32(doc="number of the interface in its section")
    time_high: int = f.u32(doc="bits 63..32 of the time in units of the interface")
    time_low: int = f.u32()
    captured: int = f.u32(unit="byte")
    original: int = f.u32(unit="byte")
    data: bytes = f.binary(captured)


class ObsoleteBlock(Struct, floor="ports", source=_PCAPNG, status="verified"):
    """Body of the older block that holds a frame."""

    interface: int = f.u16()
    drops: int = f.u16(default=0xFFFF, doc="frames lost before this one; FFFF unknown")
    time_high: int = f.u32()
    time_low: int = f.u32()
    captured: int = f.u32(unit="byte")
    original: int = f.u32(unit="byte")
    data: bytes = f.binary(captured)


class SimpleBlock(Struct, floor="ports", source=_PCAPNG, status="verified"):
    """Body of the block that holds a frame of interface 0 and no time."""

    original: int = f.u32(unit="byte", doc="bytes that the frame had; the interface's snap length cuts it")
    data: bytes = f.binary()


class Resolution(Bits, size=1):
    """Unit of an interface's time."""

    exponent: int = bit(0, 7, doc="the unit is 10, or 2, to the power of minus this, in seconds")
    binary: int = bit(7, doc="1: powers of 2")


class Option(Struct, floor="ports", source=_PCAPNG, status="verified"):
    """One option; the list ends with code 0 or with the block."""

    code: int = f.u16()
    length: int = f.u16(unit="byte", doc="of the value, without what fills it up to a multiple of four")
    value: bytes = f.binary(length, default=b"")
    padding: bytes = f.binary((length + 3) // 4 * 4 - length, at_most=True, default=b"")


@dataclass(frozen=True, slots=True)
class Interface:
    """Where frames came from. ``ticks``: units of time in a second; ``offset_s`` is added to every time."""

    link_type: int
    snap_length: int = 0
    ticks: int = 10**6
    offset_s: int = 0

    def time_ns(self, stamp: int) -> int:
        """A time of this interface in nanoseconds since 1970, rounded down; not later than 64 bits can say."""
        time_ns = stamp * 10**9 // self.ticks + self.offset_s * 10**9
        return max(-LATEST_NS, min(time_ns, LATEST_NS))


class CaptureFrame(NamedTuple):
    """One frame of a capture.

    ``number`` counts from 1; ``time_ns``: nanoseconds since 1970 (0 where the capture does not say); ``original_length``: what
    the frame had before it was cut to ``data``; ``link_type``: LINKTYPE number; ``interface``: number in the whole file;
    ``offset``: of the data in the file.
    """

    number: int
    time_ns: int
    data: bytes
    link_type: int
    original_length: int
    interface: int = 0
    offset: int = 0

    @property
    def time_s(self) -> float:
        """Seconds since 1970, UTC, as exact as a float is (about a quarter of a microsecond)."""
        return self.time_ns / 1e9

    @property
    def cut(self) -> bool:
        """Whether the capture holds less than the frame had."""
        return len(self.data) < self.original_length


@dataclass(slots=True)
class Source:
    """Bytes in order, with their place: a file, a pipe, or bytes at hand behind ``io.BytesIO``."""

    stream: BinaryIO
    offset: int = 0

    def read(self, size: int) -> bytes:
        """The next bytes; fewer at the end. A pipe that gives them in pieces is waited for."""
        parts = []
        missing = size
        while missing and (part := self.stream.read(missing)):
            parts.append(part)
            missing -= len(part)
        data = b"".join(parts)
        self.offset += len(data)
        return data

    def seek(self, offset: int) -> None:
        """Go on elsewhere; for streams that can."""
        self.stream.seek(offset)
        self.offset = offset

    def need(self, size: int, struct: str, field: str = "") -> bytes:
        """As ``read``, but Truncated if the bytes end before."""
        start = self.offset
        data = self.read(size)
        if len(data) < size:
            raise unfinished(start, size, len(data), struct, field)
        return data


def unfinished(start: int, size: int, left: int, struct: str, field: str = "") -> Truncated:
    """The error for a capture that ends inside a record."""
    return Truncated(
        f"{size} bytes needed, {left} left",
        floor="ports",
        struct=struct,
        field=field,
        bit_offset=8 * start,
        hint="the capture is still being written, or its copy is not complete; what is before this is good",
    )


def damaged(message: str, offset: int, struct: str, field: str = "") -> BadValue:
    """The error for a capture whose records cannot be followed any further."""
    return BadValue(message, floor="ports", struct=struct, field=field, bit_offset=8 * offset)


def frames_of(source: Source) -> Iterator[CaptureFrame]:
    """All frames of a capture, pcap or pcapng, of either byte order.

    Raises Truncated after the last whole record if the bytes end within one, UnknownCode for what is no capture, BadValue
    where records cannot be followed any further.
    """
    yield from reader_of(source)


def reader_of(source: Source) -> PcapReader | PcapngReader:
    """The reader for a capture, chosen by its first bytes. Raises Truncated, UnknownCode."""
    head = source.need(4, "PcapHeader", "magic")
    return PcapngReader(source, head) if int.from_bytes(head, "big") == SECTION else PcapReader(source, head)


def pcap_form(magic: bytes) -> tuple[str, int]:
    """Byte order and fractions in a second, by the first four bytes. Raises UnknownCode."""
    for order in ("little", "big"):
        number = int.from_bytes(magic[:4], order)
        if number in (PCAP_US, PCAP_NS):
            return order, 10**6 if number == PCAP_US else 10**9
    raise UnknownCode(
        f"a file that begins with {magic[:4].hex(' ').upper()} is no capture",
        floor="ports",
        struct="PcapHeader",
        field="magic",
        bit_offset=0,
        data=magic[:4],
        hint="pcap and pcapng files can be read; is it compressed?",
    )


class PcapReader:
    """Walks the records of a pcap file behind its header."""

    def __init__(self, source: Source, head: bytes) -> None:
        self.source = source
        self.order, per_second = pcap_form(head)
        self.unit_ns = 10**9 // per_second
        """Nanoseconds of a unit of a record's fraction."""
        context = ORDERS[self.order]
        header = PcapHeader.decode(
            head + source.need((layout_of(PcapHeader, context).size or 0) - len(head), "PcapHeader"), context
        )
        self.link_type = int(header.link.link_type)
        self._layout = layout_of(PcapRecord, context)

    def __iter__(self) -> Iterator[CaptureFrame]:
        number = 0
        while True:
            try:
                frame = self.record()
            except EOFError:
                return
            number += 1
            yield frame._replace(number=number)

    def seek(self, offset: int) -> None:
        """Go on at a record elsewhere; for streams that can."""
        self.source.seek(offset)

    def record(self) -> CaptureFrame:
        """Read one frame (number 0). EOFError where the file ends between records. Raises Truncated, BadValue."""
        source, size = self.source, self._layout.size or 0
        start = source.offset
        head = source.read(size)
        if not head:
            raise EOFError
        if len(head) < size:
            raise unfinished(start, size, len(head), "PcapRecord")
        record = self._layout.decode(head)
        if record.captured > MAX_RECORD:
            raise damaged(f"a frame of {record.captured} bytes is none", start, "PcapRecord", "captured")
        offset = source.offset
        data = source.need(record.captured, "PcapRecord", "data")
        time_ns = record.seconds * 10**9 + record.fraction * self.unit_ns
        return CaptureFrame(0, time_ns, data, self.link_type, record.original, 0, offset)


class PcapngReader:
    """Walks the blocks of a pcapng file; ``interfaces`` and ``order`` are those of the section it is in.

    ``earlier``: interfaces of the sections before.
    """

    def __init__(self, source: Source, head: bytes = b"") -> None:
        self.source = source
        self.order = "little"
        self.interfaces: list[Interface] = []
        self.earlier = 0
        self._head = head

    def __iter__(self) -> Iterator[CaptureFrame]:
        number = 0
        while True:
            try:
                frame = self.block()
            except EOFError:
                return
            if frame is not None:
                number += 1
                yield frame._replace(number=number)

    def seek(self, offset: int) -> None:
        """Go on at a block elsewhere in the same section; for streams that can."""
        self.source.seek(offset)
        self._head = b""

    def block(self) -> CaptureFrame | None:
        """Read one block; the frame in it (number 0), if it holds one. EOFError where the file ends between blocks.

        Raises Truncated, BadValue, UnknownCode.
        """
        source, head = self.source, self._head
        self._head = b""
        start = source.offset - len(head)
        head += source.read(_BLOCK_START - len(head))
        if not head:
            raise EOFError
        if len(head) < _BLOCK_START:
            raise unfinished(start, _BLOCK_START, len(head), "Block")
        if int.from_bytes(head[:4], "big") == SECTION:
            self.order = section_order(head[-4:], start)
            self.earlier += len(self.interfaces)
            self.interfaces = []
        context = ORDERS[self.order]
        block = Block.decode(head, context)
        if block.length < _BLOCK_START or block.length % 4 or block.length > MAX_BLOCK:
            raise damaged(f"a block of {block.length} bytes is none", start, "Block", "length")
        raw = head + source.need(block.length - _BLOCK_START, "Block")
        if raw[-BLOCK_TAIL:] != raw[_LENGTH : _LENGTH + BLOCK_TAIL]:
            raise damaged("the length behind the block is not the one in front", source.offset - 4, "Block", "length")
        try:
            return self._read(block.type, raw[_BLOCK:-BLOCK_TAIL], context, start + _BLOCK)
        except DecodeError as error:
            error.bit_offset = (error.bit_offset or 0) + 8 * (start + _BLOCK)
            raise

    def _read(self, kind: int, body: bytes, context: Context, start: int) -> CaptureFrame | None:
        if kind == INTERFACE:
            self.interfaces.append(interface_of(body, context))
        if kind not in (ENHANCED, OBSOLETE, SIMPLE):
            return None
        frame = _frame(kind, body, context, self.interfaces)
        return frame._replace(interface=frame.interface + self.earlier, offset=frame.offset + start)


_BLOCK = layout_of(Block, ORDERS["little"]).size or 0
_LENGTH = layout_of(Block, ORDERS["little"]).span("length").offset
_BLOCK_START = _BLOCK + 4
"""Bytes of the shortest block, and enough of a section's to know its byte order."""


def section_order(magic: bytes, start: int) -> str:
    """The byte order of a section by its magic. Raises UnknownCode."""
    for order in ("little", "big"):
        if int.from_bytes(magic, order) == BYTE_ORDER_MAGIC:
            return order
    raise UnknownCode(
        f"{magic.hex(' ').upper()} is no byte order",
        floor="ports",
        struct="SectionBlock",
        field="magic",
        bit_offset=8 * (start + 8),
        data=magic,
    )


def interface_of(body: bytes, context: Context) -> Interface:
    """The interface that a block's body describes. Raises Truncated, BadValue."""
    block = InterfaceBlock.decode(body, context)
    ticks, offset_s = 10**6, 0
    rest = block.options
    while len(rest) >= 4:
        option = Option.decode(rest, context)
        rest = option._rest
        if option.code == END_OF_OPTIONS:
            break
        if option.code == RESOLUTION and option.length:
            resolution = Resolution(option.value[0])
            ticks = (2 if resolution.binary else 10) ** resolution.exponent
        elif option.code == OFFSET and option.length == 8:
            offset_s = int.from_bytes(option.value, context.order, signed=True)  # type: ignore[arg-type]  # the two words that it takes
    return Interface(block.link_type, block.snap_length, ticks, offset_s)


def _frame(kind: int, body: bytes, context: Context, interfaces: list[Interface]) -> CaptureFrame:
    """The frame in a block's body; its offset counts from the body."""
    if kind == SIMPLE:
        simple = SimpleBlock.decode(body, context)
        interface = _interface(interfaces, 0)
        limit = interface.snap_length or len(simple.data)
        data = simple.data[: min(simple.original, limit)]
        return CaptureFrame(0, 0, data, interface.link_type, simple.original, 0, len(body) - len(simple.data))
    held: EnhancedBlock | ObsoleteBlock = (EnhancedBlock if kind == ENHANCED else ObsoleteBlock).decode(body, context)
    interface = _interface(interfaces, held.interface)
    stamp = held.time_high << 32 | held.time_low
    offset = len(body) - len(held._rest) - len(held.data)
    return CaptureFrame(
        0, interface.time_ns(stamp), held.data, interface.link_type, held.original, held.interface, offset
    )


def _interface(interfaces: list[Interface], number: int) -> Interface:
    if number >= len(interfaces):
        raise damaged(f"interface {number} was not described", 0, "EnhancedBlock", "interface")
    return interfaces[number]


class PcapForm:
    """Writes a pcap file of one link type, times in nanoseconds."""

    def __init__(self, stream: BinaryIO, order: str, link_type: int) -> None:
        self._stream = stream
        self._context = ORDERS[order]
        self._link_type = link_type
        stream.write(PcapHeader(link=LinkWord(link_type=link_type)).encode(self._context))

    def write(self, time_ns: int, data: bytes, link_type: int) -> None:
        """Append a frame. ConfigError for another link type, BadValue for a time before 1970 or after 2106."""
        if link_type != self._link_type:
            raise ConfigError("a pcap file holds frames of one kind", hint="write pcapng, or one file for each kind")
        seconds, fraction = divmod(time_ns, 10**9)
        record = PcapRecord(seconds=seconds, fraction=fraction, captured=len(data), original=len(data))
        self._stream.write(record.encode(self._context) + data)


class PcapngForm:
    """Writes a pcapng file of one section; an interface is described when its link type is first met."""

    def __init__(self, stream: BinaryIO, order: str, link_type: int) -> None:
        self._stream = stream
        self._context = ORDERS[order]
        self._interfaces: dict[int, int] = {}
        self._block(SECTION, SectionBlock().encode(self._context))
        self._interface(link_type)

    def write(self, time_ns: int, data: bytes, link_type: int) -> None:
        """Append a frame. BadValue for a time before 1970."""
        number = self._interface(link_type)
        block = EnhancedBlock(
            interface=number,
            time_high=time_ns >> 32,
            time_low=time_ns & 0xFFFFFFFF,
            captured=len(data),
            original=len(data),
            data=data,
        )
        self._block(ENHANCED, block.encode(self._context))

    def _interface(self, link_type: int) -> int:
        if link_type not in self._interfaces:
            self._interfaces[link_type] = len(self._interfaces)
            unit = bytes((Resolution(exponent=9),))
            options = Option(code=RESOLUTION, length=len(unit), value=unit, padding=bytes(3)), Option(code=0, length=0)
            body = InterfaceBlock(link_type=link_type, options=b"".join(o.encode(self._context) for o in options))
            self._block(INTERFACE, body.encode(self._context))
        return self._interfaces[link_type]

    def _block(self, kind: int, body: bytes) -> None:
        body += bytes(-len(body) % 4)
        head = Block(type=kind, length=len(body) + 12).encode(self._context)
        self._stream.write(head + body + head[-BLOCK_TAIL:])
