"""The C12.18 table services, as bytes: one codec for every door.

A door puts its own header, check value and security around these messages; what stands between is the same everywhere.
Numbers in service messages are most significant byte first, whatever BT00 says about table contents.

Sources: ANSI C12.18 as used by OSGP meters (optical guide; ``spec/optical.md`` section 6, marks there), MEP guide p. 12–13.
The optical door adds a checksum to table data (two's complement of the byte sum); the MEP door has none, and its full read
may carry a length. Both are parameters here, so that no door needs a codec of its own.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from osgp.wire.errors import BadCrc, BadValue, ResponseError, Truncated, UnknownCode

__all__ = [
    "FullRead",
    "FullWrite",
    "PartialRead",
    "PartialWrite",
    "Request",
    "ResponseCode",
    "decode_request",
    "decode_response",
    "encode_request",
    "encode_response",
    "response_error",
    "table_checksum",
]


class ResponseCode(IntEnum):
    """First byte of every answer. Codes 0–0A: C12.18 (spec/optical.md 6); 0B and 0C: MEP guide p. 13."""

    OK = 0x00
    ERR = 0x01
    SNS = 0x02
    ISC = 0x03
    ONP = 0x04
    IAR = 0x05
    BSY = 0x06
    DNR = 0x07
    DLK = 0x08
    RNO = 0x09
    ISSS = 0x0A
    AUTHENTICATION_FAILURE = 0x0B
    INVALID_SEQUENCE = 0x0C


_TEXT: dict[int, tuple[str, str]] = {
    0x01: ("the device rejected the request without a reason", "check the service and its length"),
    0x02: ("service not supported", "this device does not offer that service; try a full instead of a partial read"),
    0x03: (
        "insufficient security clearance",
        "the key in use does not permit this table or procedure, or a hardware lock forbids it; try MAK, MK or PK",
    ),
    0x04: ("operation not possible", "a repeated procedure sequence number, or the device cannot do this now"),
    0x05: (
        "inappropriate action requested",
        "most often: this table is not in the device's configuration or firmware (an old meter without BT21 has BT20)",
    ),
    0x06: ("device busy", "try again in a few seconds"),
    0x07: ("data not ready", "try again in a few seconds"),
    0x08: ("data locked", "another client holds this table; try again in ten seconds"),
    0x09: ("renegotiate", "start a new session with smaller packets"),
    0x0A: ("service not allowed in this state", "the session ended on the device's side; log on again"),
    0x0B: ("authentication failure", "wrong key: check that it belongs to this meter and this port, and its form"),
    0x0C: (
        "invalid sequence number",
        "the session resynchronises by itself; if it repeats, another client uses this port",
    ),
}


class NotPermitted(ResponseError):
    """03: the key in use does not permit this."""


class NotPossible(ResponseError):
    """04: operation not possible."""


class NotInConfiguration(ResponseError):
    """05: inappropriate action, as a rule a table that this device does not have."""


class NotSupported(ResponseError):
    """02: service not supported."""


class Busy(ResponseError):
    """06, 07, 08: try later."""


class Rejected(ResponseError):
    """01: rejected without a reason."""


class WrongState(ResponseError):
    """09, 0A: the session must be opened anew."""


class AuthenticationFailed(ResponseError):
    """0B: the device does not accept our key."""


class InvalidSequence(ResponseError):
    """0C: the sequence number is outside the device's window."""


_CLASS: dict[int, type[ResponseError]] = {
    0x01: Rejected,
    0x02: NotSupported,
    0x03: NotPermitted,
    0x04: NotPossible,
    0x05: NotInConfiguration,
    0x06: Busy,
    0x07: Busy,
    0x08: Busy,
    0x09: WrongState,
    0x0A: WrongState,
    0x0B: AuthenticationFailed,
    0x0C: InvalidSequence,
}


def response_error(code: int, doing: str = "") -> ResponseError:
    """The error for a response code; ``doing`` says what was asked ("read BT23"). Unknown codes give ResponseError itself."""
    text, hint = _TEXT.get(code, ("unknown response code", "not a C12.18 or MEP response code"))
    what = f"{doing}: " if doing else ""
    return _CLASS.get(code, ResponseError)(f"{what}{text} (code {code:02X})", code=code, hint=hint)


@dataclass(frozen=True, slots=True)
class FullRead:
    """30: all of a table. ``length`` is the count that MEP's full read carries and C12.18's does not (None: left out)."""

    table: int
    length: int | None = None


@dataclass(frozen=True, slots=True)
class PartialRead:
    """3F: ``count`` bytes from ``offset``."""

    table: int
    offset: int
    count: int


@dataclass(frozen=True, slots=True)
class FullWrite:
    """40: all of a table. ``count`` is the count field as sent; None stands for ``len(data)``."""

    table: int
    data: bytes
    count: int | None = None


@dataclass(frozen=True, slots=True)
class PartialWrite:
    """4F: ``data`` from ``offset``."""

    table: int
    offset: int
    data: bytes
    count: int | None = None


_FULL_READ = struct.Struct(">BHH")
_PART_READ = struct.Struct(">BHBHH")

Request = FullRead | PartialRead | FullWrite | PartialWrite


def table_checksum(data: bytes) -> int:
    """Two's complement of the byte sum: data plus checksum is 0 mod 256. Cost O(n)."""
    return -sum(data) & 0xFF


def encode_request(request: Request, *, checksum: bool) -> bytes:
    """The message of a request. ``checksum``: True at the optical door, False at MEP. BadValue if a number does not fit."""
    try:
        if isinstance(request, PartialRead):
            return _PART_READ.pack(0x3F, request.table, request.offset >> 16, request.offset & 0xFFFF, request.count)
        if isinstance(request, FullRead):
            if request.length is None:
                return b"\x30" + request.table.to_bytes(2, "big")
            return _FULL_READ.pack(0x30, request.table, request.length)
        data = request.data
        if isinstance(request, FullWrite):
            head = b"\x40" + request.table.to_bytes(2, "big")
        else:
            head = b"\x4f" + request.table.to_bytes(2, "big") + request.offset.to_bytes(3, "big")
        head += (len(data) if request.count is None else request.count).to_bytes(2, "big") + data
        return head + bytes([table_checksum(data)]) if checksum else head
    except (OverflowError, struct.error) as error:
        raise BadValue(
            f"a table number, offset or count does not fit: {request!r:.80}", floor="tables", struct="Request"
        ) from error


def decode_request(message: bytes, *, checksum: bool) -> Request:
    """A request from its message.

    Raises UnknownCode (another service: its caller may still know it), Truncated, BadCrc (checksum of written data wrong).
    Without a checksum (MEP), a full read with and without length are both taken, and a write's missing or short data is the
    client's affair as the guide says (p. 12): the count field is kept in ``count`` beside the data that came.
    """
    if not message:
        raise Truncated("an empty request", floor="tables", struct="Request", field="code", bit_offset=0)
    code = message[0]
    if code not in (0x30, 0x3F, 0x40, 0x4F):
        raise UnknownCode(
            f"service code {code:02X} is not a table service",
            floor="tables",
            struct="Request",
            field="code",
            bit_offset=0,
            data=message,
        )
    need = {0x30: 3, 0x3F: 8, 0x40: 5, 0x4F: 8}[code]
    if len(message) < need:
        raise Truncated(
            f"service {code:02X} needs {need} bytes, {len(message)} came",
            floor="tables",
            struct="Request",
            bit_offset=8 * len(message),
            data=message,
        )
    table = int.from_bytes(message[1:3], "big")
    if code == 0x30:
        return FullRead(table, int.from_bytes(message[3:5], "big") if len(message) >= 5 else None)
    if code == 0x3F:
        return PartialRead(table, int.from_bytes(message[3:6], "big"), int.from_bytes(message[6:8], "big"))
    count = int.from_bytes(message[need - 2 : need], "big")
    data = message[need:]
    if checksum:
        if len(data) < count + 1:
            raise Truncated(
                f"{count} bytes of data and a checksum announced, {len(data)} came",
                floor="tables",
                struct="Request",
                field="data",
                bit_offset=8 * len(message),
                data=message,
            )
        data, check = data[:count], data[count]
        if check != table_checksum(data):
            raise BadCrc(
                "table checksum of written data is wrong",
                floor="tables",
                struct="Request",
                field="cksum",
                bit_offset=8 * (need + count),
                data=message,
            )
    data = data[:count]
    sent = None if count == len(data) else count
    if code == 0x40:
        return FullWrite(table, data, sent)
    return PartialWrite(table, int.from_bytes(message[3:6], "big"), data, sent)


def encode_response(code: int, data: bytes | None = None, *, checksum: bool) -> bytes:
    """The message of an answer: the code, and for a read its count, data and (optical) checksum."""
    if data is None:
        return bytes([code])
    if len(data) > 0xFFFF:
        raise BadValue(f"{len(data)} bytes do not fit one answer", floor="tables", struct="Response", field="count")
    head = bytes([code]) + len(data).to_bytes(2, "big") + data
    return head + bytes([table_checksum(data)]) if checksum else head


def decode_response(message: bytes, *, checksum: bool, read: bool) -> tuple[int, bytes]:
    """(response code, table data) from an answer's message; data is empty for a write or a refusal.

    Raises Truncated (shorter than its count), BadCrc (checksum wrong). A code other than OK is returned, not raised: the
    caller knows what was asked (``response_error``). Bytes after the data (MEP 0C's sequence number) are the door's affair.
    """
    if not message:
        raise Truncated("an empty answer", floor="tables", struct="Response", field="code", bit_offset=0)
    code = message[0]
    if code != ResponseCode.OK or not read:
        return code, b""
    if len(message) < 3:
        raise Truncated(
            "an answer to a read without a count",
            floor="tables",
            struct="Response",
            field="count",
            bit_offset=8,
            data=message,
        )
    count = message[1] << 8 | message[2]
    data = message[3 : 3 + count]
    if len(data) < count or (checksum and len(message) < 4 + count):
        raise Truncated(
            f"{count} bytes announced, {len(message) - 3} came",
            floor="tables",
            struct="Response",
            field="data",
            bit_offset=8 * len(message),
            data=message,
        )
    if checksum and message[3 + count] != table_checksum(data):
        raise BadCrc(
            "table checksum is wrong",
            floor="tables",
            struct="Response",
            field="cksum",
            bit_offset=8 * (3 + count),
            data=message,
        )
    return code, data
