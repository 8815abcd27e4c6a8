"""Frames of the MEP: their layouts, their sizes, and how they are found in a stream of bytes.

A frame is a length of two bytes and as many bytes of body, at most 476. There is no preamble and no check value: a
digest (RC4 mode) or a GCM tag (TLS) shows damage, and after damage only silence shows where the next frame begins.
Two zero bytes where a length is expected are the server's alert, and are borne between frames in either direction.

Sources: MEP Client Developer's Guide v1.1, p. 10–14, 17–21; ``spec/mep.md`` 3–6, 9, 10.
"""

from __future__ import annotations

from dataclasses import dataclass

from osgp.wire import OpenEnum, Struct
from osgp.wire import fields as f

__all__ = [
    "ALERT",
    "BAUD_CODES",
    "DIGEST_SIZE",
    "MAX_BODY",
    "MAX_MESSAGE_RC4",
    "MAX_MESSAGE_TLS",
    "MAX_RESPONSE_RC4",
    "MAX_RESPONSE_TLS",
    "SEQUENCE_SIZE",
    "Alert",
    "Body",
    "Code",
    "Frame",
    "FrameReader",
    "FullRead",
    "FullWrite",
    "InvalidSequenceResponse",
    "Noise",
    "PartialRead",
    "PartialWrite",
    "ReadResponse",
    "Rc4Request",
    "Rc4Response",
    "Response",
    "TlsFrame",
    "framed",
]

MAX_BODY = 476
"""Most bytes after the length (guide p. 10)."""
SEQUENCE_SIZE = 4
DIGEST_SIZE = 8
TLS_OVERHEAD = 1 + 5 + 8 + 16
MAX_MESSAGE_RC4 = MAX_BODY - SEQUENCE_SIZE - DIGEST_SIZE
"""Longest request message in RC4 mode: 464, hence 456 table bytes in a partial write (guide p. 44)."""
MAX_RESPONSE_RC4 = MAX_BODY - DIGEST_SIZE
"""Longest response message in RC4 mode: 468, hence 465 table bytes (computed)."""
MAX_MESSAGE_TLS = MAX_BODY - TLS_OVERHEAD
"""Longest message in a TLS frame in either direction: 446 (computed)."""
MAX_RESPONSE_TLS = MAX_MESSAGE_TLS
ALERT = b"\x00\x00"

BAUD_CODES: dict[int, int] = {
    0: 9600,
    1: 300,
    2: 600,
    3: 1200,
    4: 2400,
    5: 4800,
    6: 9600,
    7: 14400,
    8: 19200,
    9: 28800,
    10: 38400,
    11: 57600,
    12: 115200,
}
"""Baud by its code in ET13 and ET14 (guide p. 81–82); not the codes of C12.18's negotiate service."""


class Code(OpenEnum):
    """First byte of a body: what a client asks, or what a server answers (guide p. 12–13)."""

    OK = 0x00
    ERROR = 0x01
    NOT_SUPPORTED = 0x02
    NOT_PERMITTED = 0x03
    NOT_POSSIBLE = 0x04
    TABLE_NOT_POSSIBLE = 0x05
    TLS_NO_SESSION = 0x0A
    AUTHENTICATION_FAILED = 0x0B
    INVALID_SEQUENCE = 0x0C
    FULL_READ = 0x30
    PARTIAL_READ = 0x3F
    FULL_WRITE = 0x40
    PARTIAL_WRITE = 0x4F
    TLS_END = 0x57
    TLS_HANDSHAKE = 0x58
    TLS_HANDSHAKE_CONTINUED = 0x59
    TLS_TABLE = 0x80


class Frame(Struct, byte_order="big", floor="mep", source="MEP guide p. 10", status="verified"):
    """A frame as it travels."""

    length: int = f.u16(unit="byte", doc="bytes that follow; 0 is the alert")
    body: bytes = f.binary(length, doc="code, and what it brings")


class Rc4Request(Struct, byte_order="big", floor="mep", source="MEP guide p. 11", status="verified"):
    """A request of RC4 mode, in plain."""

    length: int = f.u16(unit="byte", doc="bytes that follow")
    message: bytes = f.binary(length - 12, doc="C12.18 message")
    sequence: int = f.u32(orig="SEQUENCE_NUMBER", doc="at most 8 beyond the number that the meter accepted last")
    digest: bytes = f.binary(8, doc="MEP digest of message and sequence number")


class Rc4Response(Struct, byte_order="big", floor="mep", source="MEP guide p. 11", status="verified"):
    """A response of RC4 mode, in plain."""

    length: int = f.u16(unit="byte", doc="bytes that follow")
    message: bytes = f.binary(length - 8, doc="response code, and what it brings")
    digest: bytes = f.binary(8, doc="MEP digest of the request's message and sequence number and this message")


class TlsFrame(Struct, byte_order="big", floor="mep", source="MEP guide p. 12–15", status="verified"):
    """A frame of TLS mode, either direction."""

    length: int = f.u16(unit="byte", doc="bytes that follow")
    code: Code = f.code(
        Code, doc="57 end, 58 first handshake message, 59 later one, 80 table service; or a response code"
    )
    records: bytes = f.binary(length - 1, doc="TLS records of one flight, unchanged (57: any byte)")


# ---- the C12.18 messages, as the MEP has them (guide p. 12; no table checksum, a length in the full read)
# --------------
class FullRead(Struct, byte_order="big", floor="mep", source="MEP guide p. 12", status="verified"):
    """30: all of a table."""

    code: Code = f.code(Code, default=Code.FULL_READ)
    table: int = f.u16(doc="BTnn = nn, ETnn = 2048 + nn")
    count: int | None = f.u16(unit="byte", optional=True, doc="wanted length; clients in the field leave it out, too")


class PartialRead(Struct, byte_order="big", floor="mep", source="MEP guide p. 12", status="verified"):
    """3F: a part of a table."""

    code: Code = f.code(Code, default=Code.PARTIAL_READ)
    table: int = f.u16(doc="BTnn = nn, ETnn = 2048 + nn")
    offset: int = f.u24(unit="byte", doc="from the start of the table")
    count: int = f.u16(unit="byte", doc="bytes wanted")


class FullWrite(Struct, byte_order="big", floor="mep", source="MEP guide p. 12", status="verified"):
    """40: all of a table."""

    code: Code = f.code(Code, default=Code.FULL_WRITE)
    table: int = f.u16(doc="BTnn = nn, ETnn = 2048 + nn")
    count: int = f.u16(unit="byte", doc="bytes that follow")
    data: bytes = f.binary(count, doc="table content")


class PartialWrite(Struct, byte_order="big", floor="mep", source="MEP guide p. 12", status="verified"):
    """4F: a part of a table."""

    code: Code = f.code(Code, default=Code.PARTIAL_WRITE)
    table: int = f.u16(doc="BTnn = nn, ETnn = 2048 + nn")
    offset: int = f.u24(unit="byte", doc="from the start of the table")
    count: int = f.u16(unit="byte", doc="bytes that follow")
    data: bytes = f.binary(count, doc="table content")


class Response(Struct, byte_order="big", floor="mep", source="MEP guide p. 13", status="verified"):
    """The answer to a write, or any refusal: the code alone."""

    code: Code = f.code(Code, doc="00 done, else why not")


class ReadResponse(Struct, byte_order="big", floor="mep", source="MEP guide p. 13", status="verified"):
    """00 after a read."""

    code: Code = f.code(Code, doc="00 done")
    count: int = f.u16(unit="byte", doc="bytes that follow")
    data: bytes = f.binary(count, doc="table content")


class InvalidSequenceResponse(Struct, byte_order="big", floor="mep", source="MEP guide p. 13, 16", status="verified"):
    """0C: the number was not the right one."""

    code: Code = f.code(Code, default=Code.INVALID_SEQUENCE)
    sequence: int = f.u32(orig="SEQUENCE_NUMBER", doc="the number to use")


def framed(body: bytes) -> bytes:
    """A body with its length in front. BadValue cannot happen below 64 KiB; callers keep to ``MAX_BODY``."""
    return len(body).to_bytes(2, "big") + body


@dataclass(frozen=True, slots=True)
class Body:
    """A whole frame was found; ``data`` is what follows its length.

    ``guessed``: it was found behind noise, by its end. Such a one counts only if it authenticates itself, and
    deserves no
    answer otherwise: it may be the inside of a damaged frame.
    """

    data: bytes
    guessed: bool = False


@dataclass(frozen=True, slots=True)
class Alert:
    """Two zero bytes where a length was expected."""


@dataclass(frozen=True, slots=True)
class Noise:
    """Bytes that belong to no frame, and why we think so."""

    reason: str
    data: bytes


Item = Body | Alert | Noise
_MAX_GUESSES = 4


class FrameReader:
    """Finds frames in what comes from the line, whatever the pieces; without I/O.

    A burst ends when nothing came for ``gap_s``. A burst that does not read as frames from its start (a byte of
    noise in
    front, a byte lost) is searched for frames that end exactly where it ends: the sender of a request falls silent
    after
    it. These are guesses (see ``Body``); the rest is ``Noise``. Memory: at most two frames' worth.
    """

    def __init__(self, gap_s: float = 0.05) -> None:
        self.gap_s = gap_s
        self._data = bytearray()
        self._zeros = 0
        self._lost = False
        self._last = 0.0

    @property
    def partial(self) -> bool:
        """Whether a frame has begun and waits for its end or for the gap."""
        return bool(self._data)

    def receive(self, data: bytes, now: float) -> list[Item]:
        """Takes bytes that came at ``now`` (s, monotonic); gives what they complete."""
        items = self.wake(now)
        if not data:
            return items
        if now - self._last >= self.gap_s:
            self._zeros = 0
        self._last = now
        self._data += data
        self._cut(items)
        return items

    def deadline(self) -> float | None:
        """When a begun frame is given up."""
        return self._last + self.gap_s if self._data else None

    def wake(self, now: float) -> list[Item]:
        """Ends the burst if the gap is over."""
        if not self._data or now < self._last + self.gap_s:
            return []
        return self._end_burst()

    def clear(self) -> None:
        """Forgets a begun frame."""
        self._data.clear()
        self._zeros = 0
        self._lost = False

    def _cut(self, items: list[Item]) -> None:
        data = self._data
        while len(data) >= 2:
            if not self._lost:
                length = data[0] << 8 | data[1]
                if not length:
                    items.append(Alert())
                    self._zeros = 2
                    del data[:2]
                    continue
                if length <= MAX_BODY:
                    if len(data) < 2 + length:
                        return
                    items.append(Body(bytes(data[2 : 2 + length])))
                    self._zeros = 0
                    del data[: 2 + length]
                    continue
                self._lost = True
            # No frame begins here: keep what the last frame of this burst may need, until silence tells where it ends.
            if len(data) > 2 * (2 + MAX_BODY):
                surplus = len(data) - (2 + MAX_BODY)
                items.append(Noise("no frame begins here", bytes(data[:surplus])))
                del data[:surplus]
            return

    def _end_burst(self) -> list[Item]:
        reason = "no frame begins here" if self._lost else "a frame that did not end in time"
        burst = bytes(self._zeros) + bytes(self._data)
        taken = self._zeros
        self.clear()
        guesses: list[Item] = []
        first = len(burst)
        for start in range(1, len(burst) - 2):
            length = burst[start] << 8 | burst[start + 1]
            if length and start + 2 + length == len(burst):
                first = min(first, start)
                guesses.append(Body(burst[start + 2 :], guessed=True))
        return [Noise(reason, burst[taken:first]), *guesses[:_MAX_GUESSES]]
