"""The packet of the optical port, declared once, and finding packets in a stream of bytes.

Layout, CRC and multi-packet rules: ``spec/optical.md`` section 2 (field captures and two independent implementations agree;
every captured packet fits). Between packets stand single bytes: 06 acknowledges, 15 asks for the packet again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from osgp.wire import Bits, Struct, bit
from osgp.wire import fields as f
from osgp.wire.crc import crc16_x25
from osgp.wire.errors import BadCrc, BadValue, LocalProtocolError, Truncated

__all__ = [
    "ACK",
    "HEADER_SIZE",
    "NAK",
    "OVERHEAD",
    "START",
    "Control",
    "Header",
    "Packet",
    "PacketReader",
    "Token",
    "TokenKind",
    "build",
    "capacity",
    "join",
    "parse",
    "split",
]

START = 0xEE
ACK = b"\x06"
NAK = b"\x15"
HEADER_SIZE = 6
OVERHEAD = 8
"""Header and CRC: the negotiated packet size counts them too, so size 64 carries 56 bytes of message."""

_SOURCE = "spec/optical.md 2 (field captures; C12Adapter, termineter)"


class Control(Bits, size=1):
    """The ctrl byte."""

    data_format: int = bit(0, 2, doc="data format; 0 is C12.18", source=_SOURCE, status="verified")
    reserved: int = bit(2, 3, doc="zero", source=_SOURCE, status="verified")
    toggle: int = bit(5, doc="changes with each new packet of a direction", source=_SOURCE, status="verified")
    first: int = bit(6, doc="first packet of a multi-packet transmission", source=_SOURCE, status="verified")
    multi: int = bit(7, doc="part of a multi-packet transmission", source=_SOURCE, status="verified")


class Header(Struct, byte_order="big", floor="c1218", source=_SOURCE, status="verified"):
    """The first six bytes: enough to know how long the packet is."""

    start: int = f.u8(default=START, doc="start of packet, EE")
    identity: int = f.u8(default=0, doc="00")
    control: Control = f.bits(Control, orig="CTRL", default=Control(0), doc="multi-packet, toggle and format bits")
    sequence: int = f.u8(
        default=0, orig="SEQ_NBR", doc="packets still to come after this one; 0 is the last or only one"
    )
    length: int = f.u16(default=0, unit="byte", doc="bytes of data")


class Packet(Header, byte_order="big", floor="c1218", source=_SOURCE, status="verified"):
    """One packet: header, a message or a part of it, CRC-16/X-25 over all bytes before (least significant byte first)."""

    data: bytes = f.binary(Header.declared["length"], default=b"", doc="one message or a part of it")
    crc: int = f.u16(order="little", default=0, doc="CRC-16/X-25 from EE through the last data byte")


def build(data: bytes, *, toggle: int = 0, sequence: int = 0, first: bool = False, multi: bool = False) -> bytes:
    """The bytes of one packet around ``data``, CRC included. BadValue if ``data`` exceeds 65535 bytes."""
    control = Control(toggle=toggle, first=int(first), multi=int(multi))
    body = Packet(control=control, sequence=sequence, length=len(data), data=data).encode()[:-2]
    return body + crc16_x25(body).to_bytes(2, "little")


def parse(raw: bytes) -> Packet:
    """A packet from exactly its bytes.

    Raises Truncated (shorter than its length), BadValue (no EE in front, foreign header bits, bytes behind), BadCrc.
    """
    packet = Packet.decode(raw)
    strange = _strange(packet)
    if strange:
        raise BadValue(strange, floor="c1218", struct="Packet", bit_offset=0, data=raw)
    if packet._rest:
        raise BadValue(
            f"{len(packet._rest)} bytes behind the packet",
            floor="c1218",
            struct="Packet",
            bit_offset=8 * (len(raw) - len(packet._rest)),
            data=raw,
        )
    if crc16_x25(raw[:-2]) != packet.crc:
        raise BadCrc(
            f"CRC is {packet.crc:04X}, the bytes give {crc16_x25(raw[:-2]):04X}",
            floor="c1218",
            struct="Packet",
            field="crc",
            bit_offset=8 * (len(raw) - 2),
            data=raw,
            hint="damaged on the way: adjust the optical head; the meter is asked again by NAK",
        )
    return packet


def _strange(header: Header) -> str:
    """Why a header cannot be one of ours, or ""."""
    if header.start != START:
        return f"a packet begins with EE, not {header.start:02X}"
    if header.identity:
        return f"identity is {header.identity:02X}, not 00"
    if header.control.reserved or header.control.data_format:
        return f"control byte {int(header.control):02X} has foreign bits"
    return ""


def capacity(packet_size: int, packets: int) -> int:
    """Message bytes that fit ``packets`` packets of ``packet_size`` bytes each (computed; spec/optical.md 2)."""
    return max(0, packet_size - OVERHEAD) * packets


def split(message: bytes, *, packet_size: int = 64, packets: int = 255, toggle: int = 0) -> list[bytes]:
    """A message as packets ready to send; the toggle alternates from ``toggle`` on, the sequence number counts down to 0.

    Raises LocalProtocolError if it does not fit ``packets`` packets of ``packet_size`` bytes.
    """
    room = packet_size - OVERHEAD
    if room < 1 or len(message) > room * min(packets, 256):
        raise LocalProtocolError(
            f"{len(message)} bytes do not fit {packets} packets of {packet_size} bytes",
            hint="negotiate larger or more packets, or read and write in parts",
        )
    if len(message) <= room:
        return [build(message, toggle=toggle)]
    parts = [message[start : start + room] for start in range(0, len(message), room)]
    return [
        build(part, toggle=(toggle + number) & 1, sequence=len(parts) - 1 - number, first=number == 0, multi=True)
        for number, part in enumerate(parts)
    ]


def join(packets: Iterable[Packet]) -> bytes:
    """The message of the packets of one transmission. Truncated if parts are missing, BadValue if they are out of order."""
    message = b""
    left: int | None = None
    for packet in packets:
        if left is None:
            if packet.control.multi and not packet.control.first:
                raise BadValue(
                    "begins in the middle of a transmission", floor="c1218", struct="Packet", field="control.first"
                )
        elif packet.sequence != left - 1 or packet.control.first or not packet.control.multi:
            raise BadValue(
                f"part {packet.sequence} follows part {left}", floor="c1218", struct="Packet", field="sequence"
            )
        message += packet.data
        left = packet.sequence
    if left is None or left:
        raise Truncated(f"{left or 'all'} parts of the transmission are missing", floor="c1218", struct="Packet")
    return message


class TokenKind(Enum):
    """What stands in the stream."""

    PACKET = "packet"
    ACK = "ack"
    NAK = "nak"
    ZERO = "zero"
    NOISE = "noise"
    DAMAGED = "damaged"


class Token(NamedTuple):
    """One thing found in the stream; ``packet`` is set for a PACKET, whose CRC was good."""

    kind: TokenKind
    data: bytes
    packet: Packet | None = None


_NOISE = re.compile(rb"[^\xee\x06\x15\x00]+")
_SINGLE = {0x06: TokenKind.ACK, 0x15: TokenKind.NAK, 0x00: TokenKind.ZERO}


class PacketReader:
    """Finds packets in a byte stream, however it is cut, and skips what is none.

    Bytes that are neither EE nor a single-byte answer (wake-up 55s, FF before EE, talk of the shared MEP port) are NOISE,
    also an EE whose header cannot be ours. A packet that does not fit its CRC or the packet size is DAMAGED, and then
    everything is left out until ``quiet()``: nothing inside damaged bytes may pass for an ACK or a packet (project choice).

    ``limit`` is the largest packet in bytes; the memory held is at most that. Cost O(1) per chunk and O(n) for a CRC.
    """

    def __init__(self, limit: int = 64) -> None:
        self.limit = limit
        self._buffer = bytearray()
        self._deaf = False
        self._need = 0

    @property
    def pending(self) -> bool:
        """A packet has begun and is not complete."""
        return bool(self._buffer)

    @property
    def deaf(self) -> bool:
        """Damage was seen; bytes are left out until ``quiet()``."""
        return self._deaf

    def reset(self) -> None:
        """Forget everything."""
        self._buffer.clear()
        self._deaf = False

    def quiet(self) -> None:
        """The line has fallen silent after damage: listen again."""
        self.reset()

    def flush(self) -> list[Token]:
        """The pause between two bytes was too long: what has begun is damaged."""
        if not self._buffer:
            return []
        rest = bytes(self._buffer)
        self._buffer.clear()
        self._deaf = True
        return [Token(TokenKind.DAMAGED, rest)]

    def feed(self, data: bytes) -> list[Token]:
        """What the next bytes complete."""
        if self._deaf:
            return [Token(TokenKind.NOISE, data)] if data else []
        if self._buffer and len(self._buffer) + len(data) < self._need:
            self._buffer += data
            return []
        self._need = 0
        tokens: list[Token] = []
        buffer = bytes(self._buffer) + data if self._buffer else data
        self._buffer.clear()
        position, end = 0, len(buffer)
        while position < end:
            first = buffer[position]
            if first != START:
                single = _SINGLE.get(first)
                if single is not None:
                    tokens.append(Token(single, buffer[position : position + 1]))
                    position += 1
                    continue
                noise = _NOISE.match(buffer, position)
                stop = noise.end() if noise else position + 1
                tokens.append(Token(TokenKind.NOISE, buffer[position:stop]))
                position = stop
                continue
            if end - position > 1 and buffer[position + 1] != 0:
                tokens.append(Token(TokenKind.NOISE, buffer[position : position + 1]))
                position += 1
                continue
            if end - position < HEADER_SIZE:
                break
            header = Header.decode(buffer[position : position + HEADER_SIZE])
            if _strange(header):
                tokens.append(Token(TokenKind.NOISE, buffer[position : position + 1]))
                position += 1
                continue
            size = OVERHEAD + header.length
            if size <= self.limit and end - position < size:
                self._need = size
                break
            raw = buffer[position : position + size]
            if size <= self.limit:
                try:
                    tokens.append(Token(TokenKind.PACKET, raw, parse(raw)))
                    position += size
                    continue
                except BadCrc:
                    raw = buffer[position:]
            tokens.append(Token(TokenKind.DAMAGED, raw[: self.limit]))
            self._deaf = True
            return tokens
        self._buffer += buffer[position:]
        return tokens
