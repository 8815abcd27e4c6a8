"""A TLS peer that the tests lead by the hand: it says what it is told, in any order, right or wrong.

It is made of the package's layouts and key schedule (both proven by the recorded session and by OpenSSL), but has no
state machine of its own: a test decides what comes next.
"""

from __future__ import annotations

import hashlib

from osgp.mep.tls.keyschedule import CLIENT_FINISHED, SERVER_FINISHED, master_secret, verify_data, write_keys
from osgp.mep.tls.messages import (
    RENEGOTIATION_INFO,
    RENEGOTIATION_SCSV,
    SUITE,
    ClientHello,
    ClientKeyExchange,
    HandshakeType,
    ServerHello,
    encode_message,
)
from osgp.mep.tls.records import TLS_1_2, ContentType, Record, RecordBuffer, RecordCipher, encode_record

KEY = bytes(range(0x40, 0x50))
OTHER_KEY = bytes(range(0x60, 0x70))
IDENTITY = bytes.fromhex("640001")
CCS = encode_record(ContentType.CHANGE_CIPHER_SPEC, b"\x01")
RENEGOTIATION = {RENEGOTIATION_INFO: b"\x00"}


def lookup(identity: bytes) -> bytes | None:
    """The key store of all servers under test."""
    return KEY if identity == IDENTITY else None


def cut(data: bytes) -> list[Record]:
    """All records of a flight, which must be whole."""
    buffer = RecordBuffer()
    buffer.feed(data)
    records = []
    while (record := buffer.next()) is not None:
        records.append(record)
    assert not len(buffer)
    return records


def handshake(message: bytes) -> bytes:
    return encode_record(ContentType.HANDSHAKE, message)


def alert(level: int, code: int) -> bytes:
    return encode_record(ContentType.ALERT, bytes((level, code)))


class _Peer:
    def __init__(self, psk: bytes = KEY) -> None:
        self.psk = psk
        self.client_random = bytes(range(32))
        self.server_random = bytes(range(32, 64))
        self.transcript = hashlib.sha384()
        self.secrets: list[bytes] = [psk]
        self.read: RecordCipher | None = None
        self.write: RecordCipher | None = None
        self.master = b""

    def note(self, message: bytes) -> bytes:
        """Puts a message into the transcript."""
        self.transcript.update(message)
        return message

    def derive(self, *, client: bool) -> None:
        self.master = master_secret(self.psk, self.client_random, self.server_random)
        keys = write_keys(self.master, self.client_random, self.server_random)
        self.secrets += [self.master, keys[0].key, keys[1].key]
        ours, theirs = keys if client else keys[::-1]
        self.write, self.read = RecordCipher(ours), RecordCipher(theirs)

    def seal(self, content_type: ContentType, plain: bytes) -> bytes:
        assert self.write is not None
        return self.write.seal(content_type, plain)

    def data(self, plain: bytes) -> bytes:
        return self.seal(ContentType.APPLICATION_DATA, plain)

    def finished(self, label: bytes) -> bytes:
        proof = verify_data(self.master, label, self.transcript.digest())
        return self.note(encode_message(HandshakeType.FINISHED, proof))


class PeerClient(_Peer):
    """A client in the hands of a test; the side under test is a server."""

    def client_hello(self, **changes: object) -> bytes:
        """The ClientHello message, with fields changed as told."""
        fields: dict[str, object] = {
            "version": TLS_1_2,
            "random": self.client_random,
            "session_id": b"",
            "suites": (SUITE, RENEGOTIATION_SCSV),
            "compressions": b"\x00",
            "extensions": {},
        }
        return self.note(encode_message(HandshakeType.CLIENT_HELLO, ClientHello(**{**fields, **changes}).encode()))  # type: ignore[arg-type]  # fields by name

    def take_server_flight(self, flight: bytes) -> None:
        hello, done = cut(flight)
        self.server_random = ServerHello.decode(hello.fragment[4:]).random
        self.note(hello.fragment)
        self.note(done.fragment)

    def key_exchange(self, identity: bytes = IDENTITY) -> bytes:
        """The ClientKeyExchange message; the keys follow from it."""
        message = self.note(encode_message(HandshakeType.CLIENT_KEY_EXCHANGE, ClientKeyExchange(identity).encode()))
        self.derive(client=True)
        return message

    def flight(self) -> bytes:
        """ClientKeyExchange, ChangeCipherSpec and Finished, all as they should be."""
        start = handshake(self.key_exchange()) + CCS
        return start + self.seal(ContentType.HANDSHAKE, self.finished(CLIENT_FINISHED))


class PeerServer(_Peer):
    """A server in the hands of a test; the side under test is a client."""

    def take_client_hello(self, flight: bytes) -> None:
        (hello,) = cut(flight)
        self.client_random = ClientHello.decode(hello.fragment[4:]).random
        self.note(hello.fragment)

    def server_hello(self, **changes: object) -> bytes:
        """The ServerHello message, with fields changed as told."""
        fields: dict[str, object] = {
            "version": TLS_1_2,
            "random": self.server_random,
            "session_id": bytes(32),
            "suite": SUITE,
            "compression": 0,
            "extensions": RENEGOTIATION,
        }
        return self.note(encode_message(HandshakeType.SERVER_HELLO, ServerHello(**{**fields, **changes}).encode()))  # type: ignore[arg-type]  # fields by name

    def done(self) -> bytes:
        return self.note(encode_message(HandshakeType.SERVER_HELLO_DONE))

    def take_client_flight(self, flight: bytes) -> None:
        exchange, change, finished = cut(flight)
        assert change.content_type is ContentType.CHANGE_CIPHER_SPEC
        self.note(exchange.fragment)
        self.derive(client=False)
        assert self.read is not None
        proof = verify_data(self.master, CLIENT_FINISHED, self.transcript.digest())
        message = self.read.open(ContentType.HANDSHAKE, finished.fragment)
        assert message == encode_message(HandshakeType.FINISHED, proof)
        self.note(message)

    def flight(self) -> bytes:
        """ChangeCipherSpec and Finished, as they should be."""
        return CCS + self.seal(ContentType.HANDSHAKE, self.finished(SERVER_FINISHED))
