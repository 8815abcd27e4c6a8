"""Layouts of the handshake messages that a pre-shared-key handshake has (RFC 5246, 7.4; RFC 4279, 2; RFC 5746).

Bytes only: what a value means, and whether it is welcome, is decided in ``client`` and ``server``. Every decoder takes
the body without the four bytes of message header, and raises Truncated or BadValue unless it is exactly one message.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from osgp.mep.tls.keyschedule import VERIFY_DATA_LENGTH
from osgp.wire.errors import BadValue, Truncated

__all__ = [
    "FALLBACK_SCSV",
    "MESSAGE_HEADER_LENGTH",
    "NULL_COMPRESSION",
    "RANDOM_LENGTH",
    "RENEGOTIATION_INFO",
    "RENEGOTIATION_SCSV",
    "SESSION_ID_LENGTH",
    "SUITE",
    "ClientHello",
    "ClientKeyExchange",
    "HandshakeType",
    "ServerHello",
    "ServerKeyExchange",
    "decode_empty",
    "decode_finished",
    "encode_message",
]

SUITE = 0x00A9
"""TLS_PSK_WITH_AES_256_GCM_SHA384, the only suite of MEP."""
RENEGOTIATION_SCSV = 0x00FF
FALLBACK_SCSV = 0x5600
RENEGOTIATION_INFO = 0xFF01
NULL_COMPRESSION = 0
RANDOM_LENGTH = 32
SESSION_ID_LENGTH = 32
MESSAGE_HEADER_LENGTH = 4


class HandshakeType(IntEnum):
    """First byte of a handshake message, as far as one may arrive here."""

    HELLO_REQUEST = 0
    CLIENT_HELLO = 1
    SERVER_HELLO = 2
    NEW_SESSION_TICKET = 4
    CERTIFICATE = 11
    SERVER_KEY_EXCHANGE = 12
    CERTIFICATE_REQUEST = 13
    SERVER_HELLO_DONE = 14
    CERTIFICATE_VERIFY = 15
    CLIENT_KEY_EXCHANGE = 16
    FINISHED = 20


def encode_message(kind: HandshakeType, body: bytes = b"") -> bytes:
    """A handshake message: type (1), length (3), body."""
    return bytes((kind,)) + len(body).to_bytes(3, "big") + body


class _Cursor:
    """Walks over one message body and names the field where it breaks."""

    def __init__(self, struct: str, data: bytes) -> None:
        self.struct = struct
        self.data = data
        self.at = 0

    def take(self, size: int, field: str) -> bytes:
        if size > len(self.data) - self.at:
            raise Truncated(
                "the message ends too early",
                floor="mep",
                struct=self.struct,
                field=field,
                bit_offset=self.at * 8,
                data=self.data,
            )
        part = self.data[self.at : self.at + size]
        self.at += size
        return part

    def number(self, size: int, field: str) -> int:
        return int.from_bytes(self.take(size, field), "big")

    def vector(self, size: int, field: str, *, least: int = 0, most: int = 0xFFFF, step: int = 1) -> bytes:
        length = self.number(size, field)
        if not least <= length <= most or length % step:
            raise self.bad(f"{length} is no length that this may have", field)
        return self.take(length, field)

    def end(self) -> None:
        if self.at != len(self.data):
            raise self.bad("bytes are left over", "")

    def bad(self, message: str, field: str) -> BadValue:
        return BadValue(message, floor="mep", struct=self.struct, field=field, bit_offset=self.at * 8, data=self.data)


def _vector(size: int, data: bytes) -> bytes:
    return len(data).to_bytes(size, "big") + data


def _encode_extensions(extensions: dict[int, bytes]) -> bytes:
    # Without any extension the whole block is left out, as the guide's client does.
    if not extensions:
        return b""
    return _vector(2, b"".join(kind.to_bytes(2, "big") + _vector(2, data) for kind, data in extensions.items()))


def _decode_extensions(cursor: _Cursor) -> dict[int, bytes]:
    if cursor.at == len(cursor.data):
        return {}
    block = _Cursor(cursor.struct, cursor.vector(2, "extensions"))
    cursor.end()
    extensions: dict[int, bytes] = {}
    while block.at < len(block.data):
        kind = block.number(2, "extension_type")
        if kind in extensions:
            raise block.bad("an extension is given twice", "extension_type")
        extensions[kind] = block.vector(2, "extension_data")
    return extensions


@dataclass(frozen=True, slots=True)
class ClientHello:
    """The client's offer. ``extensions`` maps type to data, in the order sent."""

    version: int
    random: bytes
    session_id: bytes
    suites: tuple[int, ...]
    compressions: bytes
    extensions: dict[int, bytes]

    def encode(self) -> bytes:
        """The message body."""
        return (
            self.version.to_bytes(2, "big")
            + self.random
            + _vector(1, self.session_id)
            + _vector(2, b"".join(suite.to_bytes(2, "big") for suite in self.suites))
            + _vector(1, self.compressions)
            + _encode_extensions(self.extensions)
        )

    @classmethod
    def decode(cls, body: bytes) -> ClientHello:
        """Reads a message body."""
        cursor = _Cursor("ClientHello", body)
        version = cursor.number(2, "client_version")
        random = cursor.take(RANDOM_LENGTH, "random")
        session_id = cursor.vector(1, "session_id", most=SESSION_ID_LENGTH)
        suites = cursor.vector(2, "cipher_suites", least=2, step=2)
        compressions = cursor.vector(1, "compression_methods", least=1)
        extensions = _decode_extensions(cursor)
        numbers = tuple(int.from_bytes(suites[i : i + 2], "big") for i in range(0, len(suites), 2))
        return cls(version, random, session_id, numbers, compressions, extensions)


@dataclass(frozen=True, slots=True)
class ServerHello:
    """The server's choice. ``extensions`` maps type to data, in the order sent."""

    version: int
    random: bytes
    session_id: bytes
    suite: int
    compression: int
    extensions: dict[int, bytes]

    def encode(self) -> bytes:
        """The message body."""
        return (
            self.version.to_bytes(2, "big")
            + self.random
            + _vector(1, self.session_id)
            + self.suite.to_bytes(2, "big")
            + bytes((self.compression,))
            + _encode_extensions(self.extensions)
        )

    @classmethod
    def decode(cls, body: bytes) -> ServerHello:
        """Reads a message body."""
        cursor = _Cursor("ServerHello", body)
        return cls(
            cursor.number(2, "server_version"),
            cursor.take(RANDOM_LENGTH, "random"),
            cursor.vector(1, "session_id", most=SESSION_ID_LENGTH),
            cursor.number(2, "cipher_suite"),
            cursor.number(1, "compression_method"),
            _decode_extensions(cursor),
        )


@dataclass(frozen=True, slots=True)
class ServerKeyExchange:
    """The server's hint which identity to use; no MEP server sends it, other PSK servers may (RFC 4279, 2)."""

    hint: bytes

    def encode(self) -> bytes:
        """The message body."""
        return _vector(2, self.hint)

    @classmethod
    def decode(cls, body: bytes) -> ServerKeyExchange:
        """Reads a message body."""
        cursor = _Cursor("ServerKeyExchange", body)
        hint = cursor.vector(2, "psk_identity_hint")
        cursor.end()
        return cls(hint)


@dataclass(frozen=True, slots=True)
class ClientKeyExchange:
    """Which key the client uses: any bytes, zeros too. In MEP client ID (2, least byte first) and key ID (1)."""

    identity: bytes

    def encode(self) -> bytes:
        """The message body."""
        return _vector(2, self.identity)

    @classmethod
    def decode(cls, body: bytes) -> ClientKeyExchange:
        """Reads a message body."""
        cursor = _Cursor("ClientKeyExchange", body)
        identity = cursor.vector(2, "psk_identity")
        cursor.end()
        return cls(identity)


def decode_empty(kind: HandshakeType, body: bytes) -> None:
    """Reads a message that has no body (HelloRequest, ServerHelloDone)."""
    _Cursor(kind.name.title().replace("_", ""), body).end()


def decode_finished(body: bytes) -> bytes:
    """The verify data of a Finished message."""
    cursor = _Cursor("Finished", body)
    data = cursor.take(VERIFY_DATA_LENGTH, "verify_data")
    cursor.end()
    return data
