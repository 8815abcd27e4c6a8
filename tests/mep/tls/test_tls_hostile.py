"""Hostile handshakes: each row is refused with our error and the right alert, ends the session, tells no secret."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest
from tests.mep.tls.tls_peer import (
    CCS,
    IDENTITY,
    KEY,
    OTHER_KEY,
    RENEGOTIATION,
    PeerClient,
    PeerServer,
    alert,
    cut,
    handshake,
    lookup,
)

from osgp.mep.tls import Alert, TlsClient, TlsServer
from osgp.mep.tls.keyschedule import CLIENT_FINISHED, SERVER_FINISHED, WriteKeys
from osgp.mep.tls.messages import HandshakeType as Kind
from osgp.mep.tls.messages import encode_message
from osgp.mep.tls.records import ContentType, RecordCipher, encode_record
from osgp.mep.tls.session import MAX_IGNORED, TlsSide
from osgp.wire.errors import BadDigest, DecodeError, Error, LocalProtocolError, NoKey, RemoteProtocolError

PROTOCOL, DAMAGED, DIGEST, NO_KEY = RemoteProtocolError, DecodeError, BadDigest, NoKey
UNEXPECTED, UNREADABLE = Alert.UNEXPECTED_MESSAGE, Alert.DECODE_ERROR


class Row(NamedTuple):
    """What the peer sends, the error that comes of it, and our alert (None: the peer ended it, we say nothing)."""

    name: str
    attack: Callable[..., bytes]
    error: type[Error]
    alert: Alert | None


def flip(data: bytes, at: int, bits: int = 1) -> bytes:
    changed = bytearray(data)
    changed[at] ^= bits
    return bytes(changed)


def lying(message: bytes, more: int) -> bytes:
    """A handshake message whose length says ``more`` than is there."""
    return message[:1] + (len(message) - 4 + more).to_bytes(3, "big") + message[4:]


def hello(**changes: object) -> Callable[[PeerClient], bytes]:
    return lambda peer: handshake(peer.client_hello(**changes))


def in_hello(edit: Callable[[bytes], bytes]) -> Callable[[PeerClient], bytes]:
    """A ClientHello whose body went through ``edit``; the message length is right."""
    return lambda peer: handshake(encode_message(Kind.CLIENT_HELLO, edit(peer.client_hello()[4:])))


def plain(data: bytes) -> Callable[[object], bytes]:
    return lambda peer: data


# Body of the plain ClientHello: version 2, random 32, session ID length at 34, suites length 35–36, two suites, 01 00.
FRESH_SERVER = [
    Row("TLS 1.1", hello(version=0x0302), PROTOCOL, Alert.PROTOCOL_VERSION),
    Row("SSL 2", hello(version=0x0002), PROTOCOL, Alert.PROTOCOL_VERSION),
    Row(
        "downgrade: fallback to 1.1",
        hello(version=0x0302, suites=(0x00A9, 0x00FF, 0x5600)),
        PROTOCOL,
        Alert.INAPPROPRIATE_FALLBACK,
    ),
    Row("only other suites", hello(suites=(0x00A8, 0x008D, 0x00FF)), PROTOCOL, Alert.HANDSHAKE_FAILURE),
    Row("only TLS 1.3 suites", hello(suites=(0x1301, 0x1302, 0x00FF)), PROTOCOL, Alert.HANDSHAKE_FAILURE),
    Row("no SCSV", hello(suites=(0x00A9,)), PROTOCOL, Alert.HANDSHAKE_FAILURE),
    Row("claims renegotiation", hello(extensions={0xFF01: b"\x0c" + bytes(12)}), PROTOCOL, Alert.HANDSHAKE_FAILURE),
    Row("renegotiation_info of no bytes", hello(extensions={0xFF01: b""}), PROTOCOL, Alert.HANDSHAKE_FAILURE),
    Row("compression demanded", hello(compressions=b"\x01"), PROTOCOL, Alert.ILLEGAL_PARAMETER),
    Row("no compression methods", hello(compressions=b""), DAMAGED, UNREADABLE),
    Row("no suites", hello(suites=()), DAMAGED, UNREADABLE),
    Row("session ID of 33 bytes", hello(session_id=bytes(33)), DAMAGED, UNREADABLE),
    Row("short random", hello(random=bytes(31)), DAMAGED, UNREADABLE),
    Row("odd suites length", in_hello(lambda body: flip(body, 36)), DAMAGED, UNREADABLE),
    Row("suites length beyond the end", in_hello(lambda body: flip(body, 35)), DAMAGED, UNREADABLE),
    Row("one byte left over", in_hello(lambda body: body + b"\x00"), DAMAGED, UNREADABLE),
    Row("bytes after the extensions", in_hello(lambda body: body + bytes(3)), DAMAGED, UNREADABLE),
    Row(
        "extension twice",
        in_hello(lambda body: body + bytes.fromhex("000a" + "ff01000100" * 2)),
        DAMAGED,
        UNREADABLE,
    ),
    Row(
        "extension longer than the block",
        in_hello(lambda body: body + bytes.fromhex("0005ff01000200")),
        DAMAGED,
        UNREADABLE,
    ),
    Row("empty body", plain(handshake(encode_message(Kind.CLIENT_HELLO))), DAMAGED, UNREADABLE),
    Row("length says one less", lambda p: handshake(lying(p.client_hello(), -1)), DAMAGED, UNREADABLE),
    Row("length says 16 MB", plain(handshake(b"\x01\xff\xff\xff")), DAMAGED, UNREADABLE),
    Row("hello twice in one record", lambda p: handshake(p.client_hello() * 2), PROTOCOL, UNEXPECTED),
    Row(
        "hello and key exchange in one flight",
        lambda p: handshake(p.client_hello() + p.key_exchange()),
        PROTOCOL,
        UNEXPECTED,
    ),
    Row("hello twice", lambda p: handshake(p.client_hello()) * 2, PROTOCOL, UNEXPECTED),
    Row("ServerHello", lambda p: handshake(PeerServer().server_hello()), PROTOCOL, UNEXPECTED),
    Row("HelloRequest", plain(handshake(encode_message(Kind.HELLO_REQUEST))), PROTOCOL, UNEXPECTED),
    Row("unknown handshake message", plain(handshake(b"\xee\x00\x00\x00")), PROTOCOL, UNEXPECTED),
    Row("key exchange first", lambda p: handshake(p.key_exchange()), PROTOCOL, UNEXPECTED),
    Row("data first", plain(encode_record(ContentType.APPLICATION_DATA, b"hi")), PROTOCOL, UNEXPECTED),
    Row("change of cipher first", plain(CCS), PROTOCOL, UNEXPECTED),
    Row("empty handshake record", plain(handshake(b"")), PROTOCOL, UNEXPECTED),
    Row(
        "change of cipher inside a fragmented hello",
        lambda p: handshake(p.client_hello()[:9]) + CCS,
        PROTOCOL,
        UNEXPECTED,
    ),
    Row("a web browser", plain(b"GET / HTTP/1.1\r\n\r\n"), PROTOCOL, UNEXPECTED),
    Row("an SSL 2 hello", plain(bytes.fromhex("802e0100020015000000100100")), PROTOCOL, UNEXPECTED),
    Row("heartbeat record", plain(bytes.fromhex("1803030003010001")), PROTOCOL, UNEXPECTED),
    Row("record of version 2", plain(bytes.fromhex("1602030001")), PROTOCOL, Alert.PROTOCOL_VERSION),
    Row("record header too long", plain(bytes.fromhex("160303ffff")), PROTOCOL, Alert.RECORD_OVERFLOW),
    Row("clear record too long", plain(handshake(bytes(16385))), PROTOCOL, Alert.RECORD_OVERFLOW),
    Row("fatal alert", plain(alert(2, 40)), PROTOCOL, None),
    Row("fatal alert without a name", plain(alert(2, 200)), PROTOCOL, None),
    Row("close-notify", plain(alert(1, 0)), PROTOCOL, None),
    Row("warnings without end", plain(alert(1, 90) * (MAX_IGNORED + 1)), PROTOCOL, UNEXPECTED),
    Row("alert of no level", plain(alert(3, 40)), DAMAGED, UNREADABLE),
    Row("alert of one byte", plain(encode_record(ContentType.ALERT, b"\x02")), DAMAGED, UNREADABLE),
    Row("empty alert", plain(encode_record(ContentType.ALERT, b"")), DAMAGED, UNREADABLE),
]


def wrong_key(peer: PeerClient) -> bytes:
    peer.psk = OTHER_KEY
    return peer.flight()


def other_identity(identity: bytes) -> Callable[[PeerClient], bytes]:
    return lambda peer: handshake(peer.key_exchange(identity)) + CCS


def after_ccs(build: Callable[[PeerClient], bytes]) -> Callable[[PeerClient], bytes]:
    """Key exchange and change of cipher as they should be, then something else."""

    def attack(peer: PeerClient) -> bytes:
        return handshake(peer.key_exchange()) + CCS + build(peer)

    return attack


def sealed(build: Callable[[PeerClient], bytes]) -> Callable[[PeerClient], bytes]:
    """A handshake record after the change of cipher, properly sealed."""
    return after_ccs(lambda peer: peer.seal(ContentType.HANDSHAKE, build(peer)))


def finished_with(body: bytes) -> Callable[[PeerClient], bytes]:
    return sealed(lambda peer: encode_message(Kind.FINISHED, body))


def finished_bit(at: int) -> Callable[[PeerClient], bytes]:
    return sealed(lambda peer: flip(peer.finished(CLIENT_FINISHED), 4 + at))


def instead_of_ccs(content: bytes) -> Callable[[PeerClient], bytes]:
    def attack(peer: PeerClient) -> bytes:
        return handshake(peer.key_exchange()) + encode_record(ContentType.CHANGE_CIPHER_SPEC, content)

    return attack


def tampered_transcript(peer: PeerClient) -> bytes:
    """The client saw another ServerHello than the server sent: all else is right."""
    peer.note(b"something that the server never said")
    return peer.flight()


KEYS_SERVER = [
    Row("unknown identity", other_identity(bytes.fromhex("640000")), NO_KEY, Alert.UNKNOWN_PSK_IDENTITY),
    Row("identity cut at its zero", other_identity(IDENTITY[:1]), NO_KEY, Alert.UNKNOWN_PSK_IDENTITY),
    Row("empty identity", other_identity(b""), NO_KEY, Alert.UNKNOWN_PSK_IDENTITY),
    Row("wrong key", wrong_key, DIGEST, Alert.BAD_RECORD_MAC),
    Row("bad Finished, first bit", finished_bit(0), DIGEST, Alert.DECRYPT_ERROR),
    Row("bad Finished, last byte", finished_bit(11), DIGEST, Alert.DECRYPT_ERROR),
    Row("another transcript", tampered_transcript, DIGEST, Alert.DECRYPT_ERROR),
    Row(
        "Finished of the other side",
        sealed(lambda p: p.finished(SERVER_FINISHED)),
        DIGEST,
        Alert.DECRYPT_ERROR,
    ),
    Row("Finished of 11 bytes", finished_with(bytes(11)), DAMAGED, UNREADABLE),
    Row("Finished of 13 bytes", finished_with(bytes(13)), DAMAGED, UNREADABLE),
    Row("empty Finished", finished_with(b""), DAMAGED, UNREADABLE),
    Row(
        "bytes behind Finished in its record",
        sealed(lambda p: p.finished(CLIENT_FINISHED) + b"\x00"),
        PROTOCOL,
        UNEXPECTED,
    ),
    Row("bad tag of Finished", lambda p: flip(p.flight(), -1), DIGEST, Alert.BAD_RECORD_MAC),
    Row("bad nonce of Finished", lambda p: flip(p.flight(), -29), DIGEST, Alert.BAD_RECORD_MAC),
    Row("Finished in clear", lambda p: handshake(p.key_exchange() + p.finished(CLIENT_FINISHED)), PROTOCOL, UNEXPECTED),
    Row(
        "Finished in clear after the change",
        after_ccs(lambda p: handshake(p.finished(CLIENT_FINISHED))),
        DIGEST,
        Alert.BAD_RECORD_MAC,
    ),
    Row("Finished sealed without a change", lambda p: p.flight().replace(CCS, b""), PROTOCOL, UNEXPECTED),
    Row("record too short to be sealed", after_ccs(plain(handshake(bytes(23)))), DIGEST, Alert.BAD_RECORD_MAC),
    Row("empty record where sealed ones are due", after_ccs(plain(handshake(b""))), DIGEST, Alert.BAD_RECORD_MAC),
    Row("empty sealed handshake record", sealed(plain(b"")), PROTOCOL, UNEXPECTED),
    Row("change before key exchange", plain(CCS), PROTOCOL, UNEXPECTED),
    Row("second change", after_ccs(plain(CCS)), PROTOCOL, UNEXPECTED),
    Row("change by 02", instead_of_ccs(b"\x02"), DAMAGED, UNREADABLE),
    Row("change of two bytes", instead_of_ccs(b"\x01\x01"), DAMAGED, UNREADABLE),
    Row("change of no bytes", instead_of_ccs(b""), DAMAGED, UNREADABLE),
    Row("data before Finished, sealed", after_ccs(lambda p: p.data(b"30")), PROTOCOL, UNEXPECTED),
    Row("data before Finished, clear", plain(bytes.fromhex("170303000130")), PROTOCOL, UNEXPECTED),
    Row("second ClientHello", lambda p: handshake(p.client_hello()), PROTOCOL, UNEXPECTED),
    Row("Certificate", plain(handshake(encode_message(Kind.CERTIFICATE, bytes(3)))), PROTOCOL, UNEXPECTED),
    Row("CertificateVerify", plain(handshake(encode_message(Kind.CERTIFICATE_VERIFY, bytes(4)))), PROTOCOL, UNEXPECTED),
    Row("key exchange twice", lambda p: handshake(p.key_exchange()) * 2, PROTOCOL, UNEXPECTED),
    Row("key exchange too short", plain(handshake(encode_message(Kind.CLIENT_KEY_EXCHANGE))), DAMAGED, UNREADABLE),
    Row(
        "identity length lies",
        plain(handshake(encode_message(Kind.CLIENT_KEY_EXCHANGE, b"\x00\x04" + IDENTITY))),
        DAMAGED,
        UNREADABLE,
    ),
    Row(
        "bytes behind the identity",
        plain(handshake(encode_message(Kind.CLIENT_KEY_EXCHANGE, b"\x00\x03" + IDENTITY + b"\x00"))),
        DAMAGED,
        UNREADABLE,
    ),
    Row(
        "key exchange across the change",
        lambda p: handshake(p.key_exchange()[:-1]) + CCS,
        PROTOCOL,
        UNEXPECTED,
    ),
    Row(
        "record of another version",
        lambda p: flip(handshake(p.key_exchange()), 2),
        PROTOCOL,
        Alert.PROTOCOL_VERSION,
    ),
    Row("the client does not trust our key", plain(alert(2, 51)), NO_KEY, None),
]


def as_data(peer: PeerClient | PeerServer) -> bytes:
    return peer.data(b"3f0017")


def replayed(peer: PeerClient | PeerServer) -> bytes:
    return as_data(peer) * 2


def skipped(peer: PeerClient | PeerServer) -> bytes:
    as_data(peer)
    return as_data(peer)


def relabelled(peer: PeerClient | PeerServer) -> bytes:
    """A data record that pretends to be an alert."""
    return bytes((ContentType.ALERT,)) + peer.data(b"\x02\x28")[1:]


def in_session(kind: ContentType, content: bytes) -> Callable[[PeerClient | PeerServer], bytes]:
    return lambda peer: peer.seal(kind, content)


ESTABLISHED_BOTH = [
    Row("bad tag", lambda p: flip(as_data(p), -1), DIGEST, Alert.BAD_RECORD_MAC),
    Row("bad content", lambda p: flip(as_data(p), 13), DIGEST, Alert.BAD_RECORD_MAC),
    Row("bad nonce", lambda p: flip(as_data(p), 12), DIGEST, Alert.BAD_RECORD_MAC),
    Row("replayed record", replayed, DIGEST, Alert.BAD_RECORD_MAC),
    Row("lost record", skipped, DIGEST, Alert.BAD_RECORD_MAC),
    Row("data as alert", relabelled, DIGEST, Alert.BAD_RECORD_MAC),
    Row("record of another version", lambda p: flip(as_data(p), 2), PROTOCOL, Alert.PROTOCOL_VERSION),
    Row("clear data", plain(bytes.fromhex("170303000130")), DIGEST, Alert.BAD_RECORD_MAC),
    Row("clear close-notify", plain(alert(1, 0)), DIGEST, Alert.BAD_RECORD_MAC),
    Row("clear fatal alert", plain(alert(2, 40)), DIGEST, Alert.BAD_RECORD_MAC),
    Row("content too long", lambda p: p.data(bytes(16385)), PROTOCOL, Alert.RECORD_OVERFLOW),
    Row("header too long", plain(bytes.fromhex("1703034801")), PROTOCOL, Alert.RECORD_OVERFLOW),
    Row("garbage", plain(b"\x00" * 40), PROTOCOL, UNEXPECTED),
    Row("change of cipher", plain(CCS), PROTOCOL, UNEXPECTED),
    Row("fatal alert", in_session(ContentType.ALERT, b"\x02\x28"), PROTOCOL, None),
    Row("late bad_record_mac alert", in_session(ContentType.ALERT, b"\x02\x14"), PROTOCOL, None),
    Row(
        "Finished again", in_session(ContentType.HANDSHAKE, bytes.fromhex("1400000c") + bytes(12)), PROTOCOL, UNEXPECTED
    ),
    Row("empty handshake record", in_session(ContentType.HANDSHAKE, b""), PROTOCOL, UNEXPECTED),
    Row("HelloRequest", in_session(ContentType.HANDSHAKE, bytes(4)), PROTOCOL, Alert.HANDSHAKE_FAILURE),
    Row(
        "renegotiation",
        lambda p: p.seal(ContentType.HANDSHAKE, PeerClient().client_hello()),
        PROTOCOL,
        Alert.HANDSHAKE_FAILURE,
    ),
    Row("renegotiation in clear", lambda p: handshake(PeerClient().client_hello()), DIGEST, Alert.BAD_RECORD_MAC),
    Row(
        "warnings without end",
        lambda p: b"".join(p.seal(ContentType.ALERT, b"\x01\x64") for _ in range(MAX_IGNORED + 1)),
        PROTOCOL,
        UNEXPECTED,
    ),
]


def answer(**changes: object) -> Callable[[PeerServer], bytes]:
    return lambda peer: handshake(peer.server_hello(**changes)) + handshake(peer.done())


def then(*messages: bytes) -> Callable[[PeerServer], bytes]:
    """A good ServerHello and something else."""
    return lambda peer: handshake(peer.server_hello()) + b"".join(handshake(message) for message in messages)


DONE = encode_message(Kind.SERVER_HELLO_DONE)
HINT = encode_message(Kind.SERVER_KEY_EXCHANGE, b"\x00\x02hi")
REQUEST = encode_message(Kind.HELLO_REQUEST)

FRESH_CLIENT = [
    Row("TLS 1.1", answer(version=0x0302), PROTOCOL, Alert.PROTOCOL_VERSION),
    Row("TLS 1.3", answer(version=0x0304), PROTOCOL, Alert.PROTOCOL_VERSION),
    Row("weaker suite", answer(suite=0x008C), PROTOCOL, Alert.ILLEGAL_PARAMETER),
    Row("no encryption", answer(suite=0x002C), PROTOCOL, Alert.ILLEGAL_PARAMETER),
    Row("the SCSV as suite", answer(suite=0x00FF), PROTOCOL, Alert.ILLEGAL_PARAMETER),
    Row("compression", answer(compression=1), PROTOCOL, Alert.ILLEGAL_PARAMETER),
    Row("no renegotiation_info", answer(extensions={}), PROTOCOL, Alert.HANDSHAKE_FAILURE),
    Row(
        "answers a renegotiation",
        answer(extensions={0xFF01: b"\x18" + bytes(24)}),
        PROTOCOL,
        Alert.HANDSHAKE_FAILURE,
    ),
    Row(
        "extended master secret, not offered",
        answer(extensions={**RENEGOTIATION, 0x0017: b""}),
        PROTOCOL,
        Alert.UNSUPPORTED_EXTENSION,
    ),
    Row("session ID of 33 bytes", answer(session_id=bytes(33)), DAMAGED, UNREADABLE),
    Row("short random", answer(random=bytes(31)), DAMAGED, UNREADABLE),
    Row("length says one less", lambda p: handshake(lying(p.server_hello(), -1)), DAMAGED, UNREADABLE),
    Row(
        "length says one more",
        lambda p: handshake(lying(p.server_hello(), 1)) + handshake(p.done()),
        DAMAGED,
        UNREADABLE,
    ),
    Row("length says 16 MB", plain(handshake(b"\x02\xff\xff\xff")), DAMAGED, UNREADABLE),
    Row("done first", plain(handshake(DONE)), PROTOCOL, UNEXPECTED),
    Row("hello twice", lambda p: handshake(p.server_hello() * 2), PROTOCOL, UNEXPECTED),
    Row("ClientHello", lambda p: handshake(PeerClient().client_hello()), PROTOCOL, UNEXPECTED),
    Row("Certificate", then(encode_message(Kind.CERTIFICATE, bytes(3)), DONE), PROTOCOL, UNEXPECTED),
    Row("CertificateRequest", then(encode_message(Kind.CERTIFICATE_REQUEST, bytes(5))), PROTOCOL, UNEXPECTED),
    Row("session ticket", then(encode_message(Kind.NEW_SESSION_TICKET, bytes(6))), PROTOCOL, UNEXPECTED),
    Row("two hints", then(HINT, HINT, DONE), PROTOCOL, UNEXPECTED),
    Row("hint length lies", then(encode_message(Kind.SERVER_KEY_EXCHANGE, b"\x00\x03hi")), DAMAGED, UNREADABLE),
    Row("bytes behind the hint", then(encode_message(Kind.SERVER_KEY_EXCHANGE, b"\x00\x01hi")), DAMAGED, UNREADABLE),
    Row("done with a body", then(encode_message(Kind.SERVER_HELLO_DONE, b"\x00")), DAMAGED, UNREADABLE),
    Row("HelloRequest with a body", plain(handshake(encode_message(Kind.HELLO_REQUEST, b"\x00"))), DAMAGED, UNREADABLE),
    Row("HelloRequests without end", plain(handshake(REQUEST) * (MAX_IGNORED + 1)), PROTOCOL, UNEXPECTED),
    Row("bytes behind done", then(DONE + b"\x14"), PROTOCOL, UNEXPECTED),
    Row("change of cipher before done", lambda p: handshake(p.server_hello()) + CCS, PROTOCOL, UNEXPECTED),
    Row("Finished at once", then(encode_message(Kind.FINISHED, bytes(12))), PROTOCOL, UNEXPECTED),
    Row("record of version 0301", lambda p: flip(handshake(p.server_hello()), 2, 2), PROTOCOL, Alert.PROTOCOL_VERSION),
    Row("garbage", plain(b"HTTP/1.1 400 Bad Request\r\n"), PROTOCOL, UNEXPECTED),
    Row("refusal", plain(alert(2, 40)), PROTOCOL, None),
    Row("refusal of an old server", plain(bytes.fromhex("15030100020246")), PROTOCOL, None),
    Row("close-notify", plain(alert(1, 0)), PROTOCOL, None),
]


def server_bad_finished(peer: PeerServer) -> bytes:
    return CCS + peer.seal(ContentType.HANDSHAKE, flip(peer.finished(SERVER_FINISHED), 4))


def reflected(peer: PeerServer) -> bytes:
    """The client's own kind of Finished, sealed with the client's own keys: as if a mirror were the server."""
    assert peer.read is not None
    mirror = peer.read
    mirror._sequence = 0
    return CCS + mirror.seal(ContentType.HANDSHAKE, peer.finished(CLIENT_FINISHED))


FINISH_CLIENT = [
    Row("bad Finished", server_bad_finished, DIGEST, Alert.DECRYPT_ERROR),
    Row("bad tag", lambda p: flip(p.flight(), -1), DIGEST, Alert.BAD_RECORD_MAC),
    Row("reflected Finished", reflected, DIGEST, Alert.BAD_RECORD_MAC),
    Row("Finished without a change", lambda p: p.flight().replace(CCS, b""), PROTOCOL, UNEXPECTED),
    Row("second change", plain(CCS * 2), PROTOCOL, UNEXPECTED),
    Row("change by 00", plain(flip(CCS, 5)), DAMAGED, UNREADABLE),
    Row("data in clear", plain(bytes.fromhex("170303000130")), PROTOCOL, UNEXPECTED),
    Row("data before Finished", lambda p: CCS + p.data(b"\x00"), PROTOCOL, UNEXPECTED),
    Row("session ticket", plain(handshake(encode_message(Kind.NEW_SESSION_TICKET, bytes(6)))), PROTOCOL, UNEXPECTED),
    Row("late hint", plain(handshake(HINT)), PROTOCOL, UNEXPECTED),
    Row("late HelloRequest", plain(handshake(REQUEST)), PROTOCOL, UNEXPECTED),
    Row("unknown identity", plain(alert(2, 115)), NO_KEY, None),
    Row("wrong key, says the server", plain(alert(2, 20)), NO_KEY, None),
    Row("sealed refusal", lambda p: CCS + p.seal(ContentType.ALERT, b"\x02\x33"), NO_KEY, None),
    Row("close-notify", plain(alert(1, 0)), PROTOCOL, None),
]


def fresh_server() -> tuple[TlsSide, PeerClient]:
    return TlsServer(lookup), PeerClient()


def greeted_server() -> tuple[TlsSide, PeerClient]:
    side, peer = fresh_server()
    peer.take_server_flight(side.receive(handshake(peer.client_hello())))
    return side, peer


def ready_server() -> tuple[TlsSide, PeerClient]:
    side, peer = greeted_server()
    flight = side.receive(peer.flight())
    assert peer.read is not None
    peer.read.open(ContentType.HANDSHAKE, cut(flight)[1].fragment)
    return side, peer


def fresh_client() -> tuple[TlsSide, PeerServer]:
    side, peer = TlsClient(IDENTITY, KEY), PeerServer()
    peer.take_client_hello(side.start())
    return side, peer


def proving_client() -> tuple[TlsSide, PeerServer]:
    side, peer = fresh_client()
    peer.take_client_flight(side.receive(handshake(peer.server_hello()) + handshake(peer.done())))
    return side, peer


def ready_client() -> tuple[TlsSide, PeerServer]:
    side, peer = proving_client()
    side.receive(peer.flight())
    return side, peer


STAGES: list[tuple[str, Callable[[], tuple[TlsSide, PeerClient | PeerServer]], list[Row]]] = [
    ("server, no hello yet", fresh_server, FRESH_SERVER),
    ("server, after its hello", greeted_server, KEYS_SERVER),
    ("server, established", ready_server, ESTABLISHED_BOTH),
    ("client, after its hello", fresh_client, FRESH_CLIENT),
    ("client, after its Finished", proving_client, FINISH_CLIENT),
    ("client, established", ready_client, ESTABLISHED_BOTH),
]
CASES = [pytest.param(stage, row, id=f"{name}: {row.name}") for name, stage, rows in STAGES for row in rows]


def feed(side: TlsSide, data: bytes, step: int) -> bytes:
    """Gives ``data`` in pieces; what a piece brings to send is kept."""
    out = b""
    for at in range(0, len(data), step):
        piece = data[at : at + step]
        if side.established:
            side.open(piece)
        else:
            out += side.receive(piece)
    return out


def own_alert(sent: bytes, reader: RecordCipher | None) -> tuple[int, int]:
    """The alert at the end of what a side has sent, opened where it is sealed."""
    record = cut(sent)[-1]
    assert record.content_type is ContentType.ALERT
    content = record.fragment
    if len(content) > 2:
        assert reader is not None
        content = reader.open(ContentType.ALERT, content)
    return content[0], content[1]


@pytest.mark.parametrize("step", [100_000, 1], ids=["whole", "dripping"])
@pytest.mark.parametrize(("stage", "row"), CASES)
def test_every_attack_is_refused(
    stage: Callable[[], tuple[TlsSide, PeerClient | PeerServer]], row: Row, step: int
) -> None:
    side, peer = stage()
    attack = row.attack(peer)
    with pytest.raises(row.error) as caught:
        feed(side, attack, step)
    error = caught.value

    assert side.alert == row.alert
    sent = side.outgoing()
    if row.alert is None:
        assert sent == b""
    else:
        assert own_alert(sent, peer.read) == (2, row.alert)

    assert side.closed
    assert not side.established
    assert side.unfinished == 0
    for call in (lambda: side.receive(attack), lambda: side.open(attack), lambda: side.seal(b"x")):
        with pytest.raises(LocalProtocolError):
            call()
    assert side.close() == side.outgoing() == b""

    told = " ".join((str(error), repr(error), error.hint, repr(side), repr(getattr(error, "data", b""))))
    for secret in peer.secrets:
        assert secret.hex() not in told
        assert repr(secret)[2:-1] not in told
    assert side._psk == side._master == b""
    assert side._read is side._write is side._next_read is side._next_write is None


def test_the_table_is_long_enough_to_mean_something() -> None:
    assert sum(len(rows) for _, _, rows in STAGES) > 150
    assert {row.error for _, _, rows in STAGES for row in rows} == {PROTOCOL, DAMAGED, DIGEST, NO_KEY}


def test_the_server_is_not_identified_with_a_key_before_its_proof() -> None:
    side, peer = greeted_server()
    assert isinstance(side, TlsServer)
    side.receive(handshake(peer.key_exchange()) + CCS)
    assert side.identity is None


def test_a_sequence_number_at_its_end_opens_nothing_more() -> None:
    cipher = RecordCipher(WriteKeys(bytes(32), bytes(4)), sequence=1 << 64)
    with pytest.raises(LocalProtocolError):
        cipher.seal(ContentType.APPLICATION_DATA, b"")
