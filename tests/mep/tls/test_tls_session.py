"""The two sides against the recorded session, against each other, and in all the ways that TLS allows."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.mep.tls.tls_peer import (
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

from osgp.mep.tls import OVERHEAD, Alert, TlsClient, TlsServer, keyschedule
from osgp.mep.tls.messages import SUITE, ClientHello, HandshakeType, ServerKeyExchange, encode_message
from osgp.mep.tls.records import ContentType, RecordCipher
from osgp.mep.tls.session import MAX_IGNORED, TlsSide
from osgp.wire.errors import BadDigest, ConfigError, Error, LocalProtocolError, NoKey

VECTORS = {
    vector["name"]: vector
    for vector in json.loads((Path(__file__).parents[2] / "vectors" / "mep" / "tls.json").read_text())["vectors"]
}
PSK = bytes([1]) * 16


def frame(name: str) -> bytes:
    """The TLS records of a recorded MEP frame: without length and code."""
    data = bytes.fromhex(VECTORS[name]["hex"])
    assert int.from_bytes(data[:2], "big") == len(data) - 2
    return data[3:]


def replay(*parts: str) -> Callable[[int], bytes]:
    """A random source that gives what was given in the recording."""
    values = iter(bytes.fromhex(part) for part in parts)

    def random_bytes(size: int) -> bytes:
        value = next(values)
        assert len(value) == size
        return value

    return random_bytes


def recorded_client() -> TlsClient:
    return TlsClient(b"\x64\x00\x01", PSK, replay(VECTORS["tls-keys"]["inputs"]["client_random"]))


def recorded_server() -> TlsServer:
    hello = VECTORS["tls-server-hello"]["decoded"]["records"][0]["server_hello"]
    return TlsServer({b"\x64\x00\x01": PSK}.get, replay(hello["random"], hello["session_id"]))


def pair(seed: int = 1, psk: bytes = KEY, identity: bytes = IDENTITY) -> tuple[TlsClient, TlsServer]:
    source = random.Random(seed)
    return TlsClient(identity, psk, source.randbytes), TlsServer({identity: psk}.get, source.randbytes)


def shake(client: TlsClient, server: TlsServer) -> None:
    client.receive(server.receive(client.receive(server.receive(client.start()))))
    assert client.established
    assert server.established


def joined(seed: int = 1) -> tuple[TlsClient, TlsServer]:
    client, server = pair(seed)
    shake(client, server)
    return client, server


# The recorded session


def test_the_key_schedule_gives_the_recorded_keys() -> None:
    inputs, outputs = VECTORS["tls-keys"]["inputs"], VECTORS["tls-keys"]["outputs"]
    psk, ours, theirs = (bytes.fromhex(inputs[name]) for name in ("psk", "client_random", "server_random"))
    assert keyschedule.premaster_secret(psk).hex() == outputs["premaster"]
    master = keyschedule.master_secret(psk, ours, theirs)
    assert master.hex() == outputs["master_secret"]
    client, server = keyschedule.write_keys(master, ours, theirs)
    assert (client.key.hex(), client.iv.hex()) == (outputs["client_write_key"], outputs["client_write_iv"])
    assert (server.key.hex(), server.iv.hex()) == (outputs["server_write_key"], outputs["server_write_iv"])


def test_both_sides_regenerate_the_recorded_session_byte_by_byte() -> None:
    client, server = recorded_client(), recorded_server()
    assert client.start() == frame("tls-client-hello")
    assert server.receive(frame("tls-client-hello")) == frame("tls-server-hello")
    assert client.receive(frame("tls-server-hello")) == frame("tls-client-finished")
    assert server.receive(frame("tls-client-finished")) == frame("tls-server-finished")
    assert client.receive(frame("tls-server-finished")) == b""
    assert client.established
    assert server.established
    assert server.identity == b"\x64\x00\x01"
    for name, sender, taker in (("tls-read-request", client, server), ("tls-read-response", server, client)):
        plain = bytes.fromhex(VECTORS[name]["plaintext"] if "plaintext" in VECTORS[name] else decoded(name))
        assert sender.seal(plain) == frame(name)
        assert len(frame(name)) == len(plain) + OVERHEAD
        assert taker.open(frame(name)) == plain


def decoded(name: str) -> str:
    return str(VECTORS[name]["decoded"]["plaintext"])


def test_the_recorded_hello_reads_as_noted() -> None:
    hello = ClientHello.decode(cut(frame("tls-client-hello"))[0].fragment[4:])
    assert hello.suites == (SUITE, 0x00FF)
    assert hello.extensions == {}


# Each against the other


@pytest.mark.parametrize("identity", [b"\x00\x00\x00", b"\x64\x00\x01", b"\xff\xfe\x00", b"", b"\x00" * 300])
def test_any_identity_passes_unchanged(identity: bytes) -> None:
    client, server = pair(identity=identity)
    assert server.identity is None
    shake(client, server)
    assert server.identity == identity


@pytest.mark.parametrize("size", [1, 16, 20, 200, 65535])
def test_any_length_of_key_works(size: int) -> None:
    client, server = pair(psk=bytes(range(1, 256)) * (size // 255) + bytes(range(1, size % 255 + 1)))
    shake(client, server)


def test_data_flows_both_ways_and_no_two_records_are_alike() -> None:
    client, server = joined()
    records = set()
    for count in range(50):
        for sender, taker in ((client, server), (server, client)):
            record = sender.seal(b"same words")
            records.add(record)
            assert taker.open(record) == b"same words", count
    assert len(records) == 100


def test_the_default_random_source_never_repeats_a_hello() -> None:
    assert TlsClient(IDENTITY, KEY).start() != TlsClient(IDENTITY, KEY).start()


@pytest.mark.parametrize("step", [1, 2, 3, 5, 7, 64])
def test_a_stream_may_be_cut_anywhere(step: int) -> None:
    client, server = pair()

    def drip(side: TlsSide, flight: bytes) -> bytes:
        return b"".join(side.receive(flight[at : at + step]) for at in range(0, len(flight), step))

    drip(client, drip(server, drip(client, drip(server, client.start()))))
    record = client.seal(b"hello")
    assert b"".join(server.open(record[at : at + step]) for at in range(0, len(record), step)) == b"hello"
    assert server.unfinished == 0


def test_a_truncated_flight_waits_for_the_rest_and_says_so() -> None:
    for number, take in itertools.product(range(4), (0.1, 0.5, 0.9)):
        client, server = pair()
        flight, taker, other = client.start(), server, client
        for _ in range(number):
            flight = taker.receive(flight)
            taker, other = other, taker
        size = int(len(flight) * take)
        assert taker.receive(flight[:size]) == b""
        assert taker.unfinished > 0
        assert not taker.established
        taker.receive(flight[size:])
        assert taker.unfinished == 0


def test_data_right_behind_the_handshake_waits_for_open() -> None:
    server, peer = TlsServer(lookup), PeerClient()
    peer.take_server_flight(server.receive(handshake(peer.client_hello())))
    server.receive(peer.flight() + peer.data(b"early"))
    assert server.established
    assert server.unfinished > 0
    assert server.open(b"") == b"early"
    assert server.unfinished == 0


def test_a_whole_stream_of_records_opens_at_once() -> None:
    client, server = joined()
    assert server.open(client.seal(b"a") + client.seal(b"") + client.seal(b"b" * 16384)) == b"a" + b"b" * 16384


# What TLS allows and others do


@pytest.mark.parametrize(
    "changes",
    [
        {"extensions": {0x0017: b"", 0x0016: b"", 0x0023: b"", 0xFFFE: b"whatever"}},
        {"extensions": RENEGOTIATION, "suites": (SUITE,)},
        {"extensions": RENEGOTIATION},
        {"session_id": bytes(32)},
        {"suites": (0x1301, 0xC02C, SUITE, 0x00FF)},
        {"version": 0x0304},
        {"compressions": b"\x01\x00"},
    ],
    ids=str,
)
def test_the_server_takes_other_legal_hellos(changes: dict[str, object]) -> None:
    server, peer = TlsServer(lookup), PeerClient()
    peer.take_server_flight(server.receive(handshake(peer.client_hello(**changes))))
    server.receive(peer.flight())
    assert server.established


def test_the_first_record_may_name_an_older_version() -> None:
    server, peer = TlsServer(lookup), PeerClient()
    record = bytearray(handshake(peer.client_hello()))
    record[2] = 1
    peer.take_server_flight(server.receive(bytes(record)))
    server.receive(peer.flight())
    assert server.established


def server_variants() -> Iterator[tuple[str, Callable[[PeerServer], bytes]]]:
    yield "one record", lambda peer: handshake(peer.server_hello() + peer.done())
    yield (
        "records of one byte",
        lambda peer: b"".join(handshake(bytes((byte,))) for byte in peer.server_hello() + peer.done()),
    )
    yield "no session ID", lambda peer: handshake(peer.server_hello(session_id=b"")) + handshake(peer.done())
    hint = encode_message(HandshakeType.SERVER_KEY_EXCHANGE, ServerKeyExchange(b"use me").encode())
    yield "hint", lambda peer: handshake(peer.server_hello() + peer.note(hint) + peer.done())
    request = encode_message(HandshakeType.HELLO_REQUEST)
    yield "early HelloRequest", lambda peer: handshake(request + peer.server_hello() + request + peer.done())
    yield "warning", lambda peer: alert(1, 112) + handshake(peer.server_hello()) + handshake(peer.done())


@pytest.mark.parametrize(
    ("name", "flight"), list(server_variants()), ids=lambda value: value if type(value) is str else ""
)
def test_the_client_takes_other_legal_flights(name: str, flight: Callable[[PeerServer], bytes]) -> None:
    client, peer = TlsClient(IDENTITY, KEY), PeerServer()
    peer.take_client_hello(client.start())
    peer.take_client_flight(client.receive(flight(peer)))
    assert client.receive(peer.flight()) == b""
    assert client.established
    assert client.identity_hint == (b"use me" if name == "hint" else None)


def test_explicit_nonces_of_the_peer_need_not_count() -> None:
    """Others may choose them at random: only what is under the tag decides."""
    server, peer = TlsServer(lookup), PeerClient()
    peer.take_server_flight(server.receive(handshake(peer.client_hello())))
    server.receive(peer.flight())
    keys = keyschedule.write_keys(peer.master, peer.client_random, peer.server_random)[0]
    own = RecordCipher(keys, sequence=1)
    nonce = b"\xa5" * 8
    sealed = own._aead.encrypt(keys.iv + nonce, b"odd", (1).to_bytes(8, "big") + bytes.fromhex("1703030003"))
    record = bytes.fromhex("170303") + (8 + len(sealed)).to_bytes(2, "big") + nonce + sealed
    assert server.open(record) == b"odd"


def test_a_few_warnings_are_borne_in_a_session() -> None:
    client, server = joined()
    for _ in range(MAX_IGNORED):
        assert server.open(client._protect(ContentType.ALERT, bytes((1, 100)))) == b""
    assert server.open(client.seal(b"still here")) == b"still here"


# The end


@pytest.mark.parametrize("by_client", [True, False])
def test_close_notify_ends_both_sides(by_client: bool) -> None:
    client, server = joined()
    closer, other = (client, server) if by_client else (server, client)
    last = closer.seal(b"last words") + closer.close()
    assert other.open(last) == b"last words"
    assert other.closed
    assert not other.established
    assert other.alert is Alert.CLOSE_NOTIFY
    assert len(other.outgoing()) == len(closer.close()) + 5 + 8 + 2 + 16
    assert closer.close() == b""
    for side in (closer, other):
        for call in (lambda s=side: s.open(b""), lambda s=side: s.seal(b""), lambda s=side: s.receive(b"")):
            with pytest.raises(LocalProtocolError):
                call()


def test_calls_out_of_order_are_our_own_fault_and_harm_nothing() -> None:
    client, server = pair()
    with pytest.raises(LocalProtocolError):
        client.receive(b"")
    hello = client.start()
    for call in (client.start, lambda: client.seal(b""), lambda: server.open(b"")):
        with pytest.raises(LocalProtocolError):
            call()
    client.receive(server.receive(client.receive(server.receive(hello))))
    with pytest.raises(LocalProtocolError):
        client.receive(b"")
    with pytest.raises(LocalProtocolError):
        client.seal(bytes(16385))
    assert server.open(client.seal(bytes(16384))) == bytes(16384)


def test_a_session_given_up_before_it_began_says_goodbye_in_clear() -> None:
    client, _ = pair()
    client.start()
    assert client.close() == alert(1, 0)


def test_record_numbers_never_wrap() -> None:
    client, server = joined()
    assert client._write is not None
    assert server._read is not None
    client._write._sequence = server._read._sequence = (1 << 64) - 1
    assert server.open(client.seal(b"the very last")) == b"the very last"
    with pytest.raises(LocalProtocolError):
        client.seal(b"one more")
    assert client.close() == b""
    with pytest.raises(Error):
        server.open(bytes.fromhex("1703030018") + bytes(24))
    assert server.closed


# Settings and secrets


@pytest.mark.parametrize(("identity", "psk"), [(b"a", b""), (b"a", bytes(65536)), (bytes(65536), b"k")])
def test_what_tls_cannot_carry_is_refused(identity: bytes, psk: bytes) -> None:
    with pytest.raises(ConfigError):
        TlsClient(identity, psk)


def test_a_short_random_source_is_noticed() -> None:
    with pytest.raises(ConfigError):
        TlsClient(IDENTITY, KEY, lambda size: b"\x01").start()
    server = TlsServer(lookup, lambda size: b"\x01")
    with pytest.raises(ConfigError):
        server.receive(TlsClient(IDENTITY, KEY).start())
    assert server.closed
    assert server.alert is Alert.INTERNAL_ERROR


def test_a_failing_key_store_kills_the_session_and_keeps_its_own_error() -> None:
    def broken(identity: bytes) -> bytes | None:
        raise OSError("disk")

    client, server = TlsClient(IDENTITY, KEY), TlsServer(broken)
    flight = client.receive(server.receive(client.start()))
    with pytest.raises(OSError, match="disk"):
        server.receive(flight)
    assert server.closed
    with pytest.raises(Error):
        client.receive(server.outgoing())


def test_a_wrong_key_is_named_as_such_on_both_sides() -> None:
    client, server = TlsClient(IDENTITY, OTHER_KEY), TlsServer(lookup)
    flight = client.receive(server.receive(client.start()))
    with pytest.raises(BadDigest):
        server.receive(flight)
    with pytest.raises(NoKey) as caught:
        client.receive(server.outgoing())
    assert caught.value.hint
    assert client.alert is None
    assert client.outgoing() == b""


def test_keys_are_in_no_repr_and_gone_after_the_end() -> None:
    client, server = joined()
    keys = keyschedule.WriteKeys(KEY * 2, KEY[:4])
    for thing in (client, server, client._write, keys):
        text = repr(thing)
        assert KEY.hex() not in text
        assert str(KEY)[2:-1] not in text
    assert repr(client) == "<TlsClient established>"
    client.close()
    for side in (client, server):
        side.close()
        assert side._read is side._write is None
        assert side._psk == side._master == b""
