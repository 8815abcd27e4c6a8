"""The handshake messages that a pre-shared-key handshake has (RFC 5246, 7.4; RFC 4279, 2; RFC 5746).

Bytes only: what a value means, and whether it is welcome, is decided in ``client`` and ``server``. Every ``decode`` takes
the body without the four bytes of message header, and raises Truncated or BadValue unless it is exactly one message;
``encode`` writes a wrong number of bytes as well, for whoever wants to see how a peer takes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self

from osgp.mep.tls.keyschedule import VERIFY_DATA_LENGTH
from osgp.wire import MANY, OpenEnum, Struct, layout_of
from osgp.wire import fields as f
from osgp.wire.context import EMPTY, Context
from osgp.wire.errors import BadValue

__all__ = [
    "BODIES",
    "FALLBACK_SCSV",
    "MESSAGE_HEADER_LENGTH",
    "NULL_COMPRESSION",
    "RANDOM_LENGTH",
    "RENEGOTIATION_INFO",
    "RENEGOTIATION_SCSV",
    "SESSION_ID_LENGTH",
    "SUITE",
    "CipherSuite",
    "ClientHello",
    "ClientKeyExchange",
    "Extension",
    "ExtensionType",
    "Finished",
    "Handshake",
    "HandshakeHeader",
    "HandshakeType",
    "Hello",
    "HelloRequest",
    "Message",
    "ServerHello",
    "ServerHelloDone",
    "ServerKeyExchange",
    "decode_finished",
    "encode_message",
]

NULL_COMPRESSION = 0
RANDOM_LENGTH = 32
SESSION_ID_LENGTH = 32


class CipherSuite(OpenEnum):
    """The only suite of MEP (RFC 5487), and the two numbers among the suites that say something else (RFC 5746, 7507)."""

    TLS_PSK_WITH_AES_256_GCM_SHA384 = 0x00A9
    TLS_EMPTY_RENEGOTIATION_INFO_SCSV = 0x00FF
    TLS_FALLBACK_SCSV = 0x5600


class ExtensionType(OpenEnum):
    """Names of some extensions, for people; only the last means anything here (RFC 6066, 7366, 7627, 5077, 5746)."""

    SERVER_NAME = 0
    MAX_FRAGMENT_LENGTH = 1
    ENCRYPT_THEN_MAC = 22
    EXTENDED_MASTER_SECRET = 23
    SESSION_TICKET = 35
    RENEGOTIATION_INFO = 0xFF01


SUITE = CipherSuite.TLS_PSK_WITH_AES_256_GCM_SHA384
RENEGOTIATION_SCSV = CipherSuite.TLS_EMPTY_RENEGOTIATION_INFO_SCSV
FALLBACK_SCSV = CipherSuite.TLS_FALLBACK_SCSV
RENEGOTIATION_INFO = ExtensionType.RENEGOTIATION_INFO


class HandshakeType(OpenEnum):
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


class HandshakeHeader(Struct, byte_order="big", floor="mep.tls", source="RFC 5246 section 7.4", status="verified"):
    """What every handshake message begins with."""

    kind: HandshakeType = f.code(HandshakeType, orig="MSG_TYPE", doc="which message it is")
    length: int = f.u24(unit="byte", doc="bytes that follow")


class Handshake(HandshakeHeader):
    """One handshake message; it may begin and end anywhere in the records that carry it."""

    body: bytes = f.binary(HandshakeHeader.declared["length"], doc="see the message of that type")


MESSAGE_HEADER_LENGTH = layout_of(HandshakeHeader).size or 0


def encode_message(kind: HandshakeType, body: bytes = b"") -> bytes:
    """A handshake message around its body."""
    return HandshakeHeader(kind=kind, length=len(body)).encode() + body


class Message(Struct, byte_order="big", floor="mep.tls", source="RFC 5246 section 7.4", status="verified", exact=True):
    """A message body: it ends where its fields do."""


class Extension(Struct, byte_order="big", floor="mep.tls", source="RFC 5246 section 7.4.1.4", status="verified"):
    """One extension of a hello."""

    kind: ExtensionType = f.code(ExtensionType, 2, orig="EXTENSION_TYPE")
    data: bytes = f.binary(prefix=2, orig="EXTENSION_DATA", doc="FF01: one byte 00 in a first handshake (RFC 5746)")


class Hello(Message):
    """What both hellos begin with. ``extensions`` maps type to data, in the order sent; no extensions, no block."""

    version: int = f.u16(doc="highest version that the client speaks, or the one that the server chose")
    # at_most: a short one can be written; a message that ends in it is found too short at the next field.
    random: bytes = f.binary(RANDOM_LENGTH, at_most=True, doc="32 bytes, never twice the same")
    session_id: bytes = f.binary(prefix=1, most=SESSION_ID_LENGTH, doc="for resumption, which nobody does here")
    extension_list: list[Extension] | None  # declared last in both

    def __init__(self, *, extensions: Mapping[int, bytes], **values: Any) -> None:
        found = [Extension(kind=ExtensionType(kind), data=data) for kind, data in extensions.items()]
        Struct.__init__(self, extension_list=found or None, **values)

    @property
    def extensions(self) -> dict[int, bytes]:
        """Type to data, in the order sent."""
        return {extension.kind: extension.data for extension in self.extension_list or ()}

    @classmethod
    def decode(cls, data: bytes, context: Context = EMPTY) -> Self:
        """Reads a message body; besides other damage an extension given twice is a BadValue."""
        hello = super().decode(data, context)
        if len(hello.extensions) != len(hello.extension_list or ()):
            raise BadValue(
                "an extension is given twice",
                floor=cls.about.floor,
                struct=cls.__name__,
                field="extension_list",
                data=data,
            )
        return hello


class ClientHello(Hello, source="RFC 5246 section 7.4.1.2"):
    """The client's offer."""

    cipher_suites: list[CipherSuite] = f.code(CipherSuite, 2, count=MANY, prefix=2, least=2, doc="best first")
    compressions: bytes = f.binary(prefix=1, least=1, orig="COMPRESSION_METHODS", doc="one byte each; 0 is none")
    extension_list: list[Extension] | None = f.record(Extension, count=MANY, prefix=2, optional=True, orig="EXTENSIONS")

    def __init__(self, *, suites: Iterable[int], **values: Any) -> None:
        super().__init__(cipher_suites=[CipherSuite(suite) for suite in suites], **values)

    @property
    def suites(self) -> tuple[int, ...]:
        """The cipher suites offered."""
        return tuple(self.cipher_suites)


class ServerHello(Hello, source="RFC 5246 section 7.4.1.3"):
    """The server's choice."""

    suite: CipherSuite = f.code(CipherSuite, 2, orig="CIPHER_SUITE", doc="one of those offered")
    compression: int = f.u8(orig="COMPRESSION_METHOD", doc="0 is none")
    extension_list: list[Extension] | None = f.record(Extension, count=MANY, prefix=2, optional=True, orig="EXTENSIONS")

    def __init__(self, *, suite: int, compression: int, **values: Any) -> None:
        super().__init__(suite=CipherSuite(suite), compression=compression, **values)


class ServerKeyExchange(Message, source="RFC 4279 section 2"):
    """The server's hint which identity to use; no MEP server sends it, other PSK servers may."""

    hint: bytes = f.binary(prefix=2, orig="PSK_IDENTITY_HINT")

    def __init__(self, hint: bytes) -> None:
        Struct.__init__(self, hint=hint)


class ClientKeyExchange(Message, source="RFC 4279 section 2"):
    """Which key the client uses: any bytes, zeros too. In MEP client ID (2, least byte first) and key ID (1)."""

    identity: bytes = f.binary(prefix=2, orig="PSK_IDENTITY")

    def __init__(self, identity: bytes) -> None:
        Struct.__init__(self, identity=identity)


class HelloRequest(Message, source="RFC 5246 section 7.4.1.1"):
    """The server asks for a new handshake; nothing in it."""


class ServerHelloDone(Message, source="RFC 5246 section 7.4.5"):
    """The end of the server's first flight; nothing in it."""


class Finished(Message, source="RFC 5246 section 7.4.9"):
    """The proof of key and transcript."""

    verify_data: bytes = f.binary(VERIFY_DATA_LENGTH, doc="from master secret and all handshake messages so far")


BODIES: dict[int, type[Struct]] = {
    HandshakeType.HELLO_REQUEST: HelloRequest,
    HandshakeType.CLIENT_HELLO: ClientHello,
    HandshakeType.SERVER_HELLO: ServerHello,
    HandshakeType.SERVER_KEY_EXCHANGE: ServerKeyExchange,
    HandshakeType.SERVER_HELLO_DONE: ServerHelloDone,
    HandshakeType.CLIENT_KEY_EXCHANGE: ClientKeyExchange,
    HandshakeType.FINISHED: Finished,
}
"""What the body of a message is, as far as it is declared."""


def decode_finished(body: bytes) -> bytes:
    """The verify data of a Finished message."""
    return Finished.decode(body).verify_data
