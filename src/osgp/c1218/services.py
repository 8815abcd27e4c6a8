"""The services of the optical port around the table services: ident, negotiate, logon, security, wait and the rest.

Codes, fields and marks: ``spec/optical.md`` section 6. Table services (30, 3F, 40, 4F) live in ``osgp.tables.services`` and
are used with ``checksum=True`` here. Numbers are most significant byte first.
"""

from __future__ import annotations

from typing import Final

from osgp.wire import OpenEnum, Struct
from osgp.wire import fields as f
from osgp.wire.errors import ConfigError, UnknownCode

__all__ = [
    "BAUD_RATES",
    "KEY_SIZE",
    "USER_SIZE",
    "Answer",
    "Baud",
    "Ident",
    "IdentAnswer",
    "IndexRead",
    "IndexWrite",
    "Logoff",
    "Logon",
    "Negotiate",
    "NegotiateAnswer",
    "Plain",
    "Security",
    "Service",
    "Terminate",
    "Timing",
    "TimingAnswer",
    "Wait",
    "baud_code",
    "decode_service",
    "pad_key",
    "service_name",
]

KEY_SIZE: Final = 20
USER_SIZE: Final = 10


class Service(OpenEnum):
    """First byte of a request."""

    IDENT = 0x20
    TERMINATE = 0x21
    FULL_READ = 0x30
    DEFAULT_READ = 0x3E
    PARTIAL_READ = 0x3F
    FULL_WRITE = 0x40
    PARTIAL_WRITE = 0x4F
    LOGON = 0x50
    SECURITY = 0x51
    LOGOFF = 0x52
    NEGOTIATE = 0x60
    WAIT = 0x70
    TIMING = 0x71


class Baud(OpenEnum):
    """Baud codes of negotiate; above 0A from one library and one reader."""

    EXTERNAL = 0x00
    B300 = 0x01
    B600 = 0x02
    B1200 = 0x03
    B2400 = 0x04
    B4800 = 0x05
    B9600 = 0x06
    B14400 = 0x07
    B19200 = 0x08
    B28800 = 0x09
    B57600 = 0x0A
    B38400 = 0x0B
    B115200 = 0x0C
    B128000 = 0x0D
    B256000 = 0x0E


BAUD_RATES: Final[dict[int, int]] = {int(code): int(code.name[1:]) for code in Baud if code is not Baud.EXTERNAL}
"""Baud code → bits per second."""


def baud_code(baud: int) -> Baud:
    """The code of a rate. ConfigError if C12.18 has none for it."""
    for code, rate in BAUD_RATES.items():
        if rate == baud:
            return Baud(code)
    raise ConfigError(
        f"{baud} baud cannot be negotiated",
        hint="rates: " + ", ".join(str(rate) for rate in sorted(BAUD_RATES.values())),
    )


def pad_key(key: bytes) -> bytes:
    """A password of 20 bytes; shorter ones are padded with 00 as all known readers do. ConfigError if it is longer."""
    if len(key) > KEY_SIZE:
        raise ConfigError(
            f"an optical key has at most {KEY_SIZE} bytes, this one has {len(key)}",
            hint="MK, PK and RK are 20 bytes: 20 characters or 40 hexadecimal digits",
        )
    return key.ljust(KEY_SIZE, b"\0")


class Plain(Struct, byte_order="big", floor="c1218", source="spec/optical.md 6", status="verified"):
    """A request of its code alone."""

    service: Service = f.code(Service, doc="service code")


class Ident(Plain):
    """20: who are you? Begins every session, at 9600 baud, 64 bytes, one packet."""

    service: Service = f.code(Service, default=Service.IDENT, doc="20")


class Terminate(Plain):
    """21: end at once, back to the base state."""

    service: Service = f.code(Service, default=Service.TERMINATE, doc="21")


class Logoff(Plain):
    """52: end of the logged-on session; the parameters negotiated stay."""

    service: Service = f.code(Service, default=Service.LOGOFF, doc="52")


class Logon(Struct, byte_order="big", floor="c1218", source="spec/optical.md 6, 8", status="verified"):
    """50: user ID and name, needed but not checked (optical guide p. 13); the ID is written into event log entries."""

    service: Service = f.code(Service, default=Service.LOGON, doc="50")
    user_id: int = f.u16(doc="user ID")
    user: str = f.text(USER_SIZE, pad=b" ", doc="user name, padded with spaces")


class Security(Struct, byte_order="big", floor="c1218", source="spec/optical.md 6, 8", status="verified"):
    """51: the password, one of up to three keys. Its ``repr`` and JSON must not be shown: use ``explain``, which redacts."""

    service: Service = f.code(Service, default=Service.SECURITY, doc="51")
    password: bytes = f.binary(KEY_SIZE, doc="MK, PK or RK")

    def __repr__(self) -> str:
        return "Security(password=…)"


class Negotiate(Struct, byte_order="big", floor="c1218", source="spec/optical.md 6", status="verified"):
    """60–6B: packet size, number of packets and as many baud codes as the low half of the service code says."""

    service: int = f.u8(default=0x60, doc="60 + number of baud codes")
    packet_size: int = f.u16(unit="byte", doc="largest packet, header and CRC included")
    packets: int = f.u8(doc="largest number of packets of one message")
    bauds: list[Baud] = f.code(Baud, count=service - 0x60, doc="rates offered")


class Wait(Struct, byte_order="big", floor="c1218", source="spec/optical.md 6", status="verified"):
    """70: do not drop the channel for so many seconds."""

    service: Service = f.code(Service, default=Service.WAIT, doc="70")
    seconds: int = f.u8(unit="s", doc="seconds to wait")


class Timing(Struct, byte_order="big", floor="c1218", source="spec/optical.md 6 (C12.21)", status="unverified"):
    """71: timing set-up, a C12.21 service."""

    service: Service = f.code(Service, default=Service.TIMING, doc="71")
    traffic_s: int = f.u8(unit="s", doc="channel traffic time-out")
    intercharacter_s: int = f.u8(unit="s", doc="inter-character time-out")
    response_s: int = f.u8(unit="s", doc="response time-out")
    retries: int = f.u8(doc="number of repetitions")


class IndexRead(Struct, byte_order="big", floor="c1218", source="spec/optical.md 6", status="unverified"):
    """31–39: partial read by index. NES meters offer offset and count only (BT00): declared for captures."""

    service: int = f.u8(doc="30 + number of indices")
    table: int = f.u16(doc="table number")
    indices: list[int] = f.u16(count=service - 0x30, doc="index of each level")
    elements: int = f.u16(doc="number of elements")


class IndexWrite(Struct, byte_order="big", floor="c1218", source="spec/optical.md 6", status="unverified"):
    """41–49: partial write by index; see IndexRead."""

    service: int = f.u8(doc="40 + number of indices")
    table: int = f.u16(doc="table number")
    indices: list[int] = f.u16(count=service - 0x40, doc="index of each level")
    count: int = f.u16(unit="byte", doc="bytes of data")
    data: bytes = f.binary(count, doc="table data")
    cksum: int = f.u8(doc="two's complement of the byte sum of data")


class Answer(Struct, byte_order="big", floor="c1218", source="spec/optical.md 6", status="verified"):
    """An answer of its response code alone."""

    code: int = f.u8(doc="response code, 00 is ok")


class IdentAnswer(Struct, byte_order="big", floor="c1218", source="spec/optical.md 6", status="verified"):
    """Answer to ident. Captured from an NES meter: 00 00 02 00 00."""

    code: int = f.u8(default=0, doc="response code")
    standard: int = f.u8(default=0, doc="0: ANSI C12.18")
    version: int = f.u8(default=2, doc="version of the standard")
    revision: int = f.u8(default=0, doc="revision of the standard")
    features: bytes = f.binary(default=b"\0", doc="feature bytes, 00 ends the list")


class NegotiateAnswer(Struct, byte_order="big", floor="c1218", source="spec/optical.md 6", status="verified"):
    """Answer to negotiate: both sides then use these values, which may be smaller than asked."""

    code: int = f.u8(default=0, doc="response code")
    packet_size: int = f.u16(unit="byte", doc="largest packet, header and CRC included")
    packets: int = f.u8(doc="largest number of packets of one message")
    baud: Baud | None = f.code(Baud, optional=True, doc="rate to use from now on; absent: unchanged")


class TimingAnswer(Struct, byte_order="big", floor="c1218", source="spec/optical.md 6 (C12.21)", status="unverified"):
    """Answer to timing set-up: the values in force."""

    code: int = f.u8(default=0, doc="response code")
    traffic_s: int = f.u8(unit="s", doc="channel traffic time-out")
    intercharacter_s: int = f.u8(unit="s", doc="inter-character time-out")
    response_s: int = f.u8(unit="s", doc="response time-out")
    retries: int = f.u8(doc="number of repetitions")


_PLAIN: dict[int, type[Struct]] = {
    Service.IDENT: Ident,
    Service.TERMINATE: Terminate,
    Service.LOGON: Logon,
    Service.SECURITY: Security,
    Service.LOGOFF: Logoff,
    Service.WAIT: Wait,
    Service.TIMING: Timing,
}


def decode_service(message: bytes) -> Struct:
    """A request that is no table service. UnknownCode for table services and unknown codes, Truncated if bytes are missing."""
    code = message[0] if message else -1
    found = _PLAIN.get(code)
    if found is None:
        if 0x60 <= code <= 0x6B:
            found = Negotiate
        elif 0x31 <= code <= 0x39:
            found = IndexRead
        elif 0x41 <= code <= 0x49:
            found = IndexWrite
        else:
            raise UnknownCode(
                f"service code {code & 0xFF:02X} is not known",
                floor="c1218",
                struct="Service",
                bit_offset=0,
                data=message,
            )
    return found.decode(message)


def service_name(code: int) -> str:
    """The name of a service code in words."""
    if 0x60 <= code <= 0x6B:
        return "negotiate"
    if 0x31 <= code <= 0x39:
        return "partial read by index"
    if 0x41 <= code <= 0x49:
        return "partial write by index"
    service = Service(code)
    return service.name.lower().replace("_", " ") if service.known else f"unknown service {code:02X}"
