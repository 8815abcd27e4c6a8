"""Lines that drop, double, damage and delay, and clients that mean no good."""

from __future__ import annotations

import random
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from osgp.c1218.events import AnswerReceived, OpenFailed, RequestFailed, SessionOpened
from osgp.c1218.link import Link
from osgp.c1218.packet import PacketReader, TokenKind, build, join, parse, split
from osgp.c1218.server import OpticalServer, ServerOptions
from osgp.c1218.services import Logon, Negotiate, Security
from osgp.tables.services import FullRead, FullWrite, PartialRead, encode_request
from osgp.wire.errors import Error
from tests.c1218.pair import MK, Meter, Pair


def bad_line(rng: random.Random, rate: float) -> Callable[[str, bytes], list[tuple[float, bytes]]]:
    """Spoils a share of what passes; the order of bytes is kept, as on every serial line."""

    def fault(to: str, data: bytes) -> list[tuple[float, bytes]]:
        if rng.uniform(0, 1) > rate:
            return [(0.0, data)]
        kind = rng.randrange(7)
        if kind == 0:
            return []
        if kind == 1:
            return [(0.0, data), (0.0, data)]
        if kind == 2:
            place = rng.randrange(len(data))
            return [(0.0, data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :])]
        if kind == 3:
            return [(rng.uniform(0, 3.0), data)]
        if kind == 4:
            place = rng.randrange(len(data))
            return [(0.0, data[:place] + data[place + 1 :])]
        if kind == 5:
            return [(0.0, rng.randbytes(rng.randrange(1, 8)) + data + rng.randbytes(rng.randrange(3)))]
        place = rng.randrange(len(data) + 1)
        return [(0.0, data[:place]), (rng.uniform(0, 0.4), data[place:])]

    return fault


@settings(max_examples=60)
@given(
    st.integers(0, 2**32),
    st.sampled_from([0.05, 0.2, 0.4]),
    st.sampled_from([(64, 1), (64, 2), (24, 8), (256, 4)]),
    st.booleans(),
)
def test_a_request_is_answered_rightly_or_fails_and_a_write_happens_at_most_once(
    seed: int, rate: float, packets: tuple[int, int], echo: bool
) -> None:
    rng = random.Random(seed)
    pair = Pair(fault=bad_line(rng, rate), echo=echo)
    pair.meter.tables[28] = bytearray(40)
    for table in range(100, 140):
        pair.meter.tables[table] = bytearray(rng.randbytes(40))
    opened = pair.open(packet_size=packets[0], packets=packets[1])
    if isinstance(opened, OpenFailed):
        assert isinstance(opened.error, Error)
        pair.fault = lambda to, data: [(0.0, data)]
        pair.run(limit_s=8.0)
        assert isinstance(pair.open(), SessionOpened)
        pair.fault = bad_line(rng, rate)
    done = 0
    for number in range(12):
        before = len(pair.meter.writes)
        if number % 3:
            table = 100 + rng.randrange(40)
            request = encode_request(PartialRead(table, 0, 40), checksum=True)
            got = pair.ask(request)
            if isinstance(got, AnswerReceived) and got.data[0] == 0:
                assert got.data[3:-1] == bytes(pair.meter.tables[table])
                done += 1
        else:
            content = bytes([number]) * 40
            got = pair.ask(encode_request(FullWrite(28, content), checksum=True), read=False)
            pair.run(limit_s=rng.uniform(0, 0.5))
            assert len(pair.meter.writes) - before <= 1
            if isinstance(got, AnswerReceived) and got.data[0] == 0:
                assert bytes(pair.meter.tables[28]) == content
                assert len(pair.meter.writes) - before == 1
                done += 1
        assert isinstance(got, AnswerReceived | RequestFailed)
        if isinstance(got, RequestFailed):
            assert isinstance(got.error, Error)
    if rate == 0.05 and not echo:
        assert done >= 6


REQUESTS = [
    b"\x20",
    Negotiate(service=0x61, packet_size=64, packets=2, bauds=[6]).encode(),
    Negotiate(service=0x61, packet_size=1024, packets=128, bauds=[6]).encode(),
    Logon(user_id=1, user="x").encode(),
    Security(password=MK).encode(),
    Security(password=bytes(20)).encode(),
    encode_request(FullRead(0), checksum=True),
    encode_request(FullWrite(28, bytes(40)), checksum=True),
    b"\x52",
    b"\x21",
    b"\x70\xff",
]


@st.composite
def hostile(draw: st.DrawFn) -> bytes:
    """A piece of input: sound, cut, flipped, oversized, or anything at all."""
    message = draw(st.sampled_from(REQUESTS) | st.binary(max_size=120))
    size = draw(st.sampled_from([16, 64, 128]))
    raw = b"".join(split(message, packet_size=size, toggle=draw(st.integers(0, 1))))
    match draw(st.integers(0, 6)):
        case 0:
            return raw[: draw(st.integers(0, len(raw)))]
        case 1 if raw:
            place = draw(st.integers(0, len(raw) - 1))
            return raw[:place] + bytes([raw[place] ^ 1 << draw(st.integers(0, 7))]) + raw[place + 1 :]
        case 2:
            return b"\xee\x00\x00\x00" + draw(st.binary(min_size=2, max_size=300))
        case 3:
            return draw(st.binary(max_size=100))
        case 4:
            return build(bytes(draw(st.integers(0, 3000))), sequence=draw(st.integers(0, 255)), multi=True)
    return raw


@settings(max_examples=150)
@given(st.lists(st.tuples(hostile(), st.floats(0, 8)), max_size=25))
def test_the_server_lives_through_anything(inputs: list[tuple[bytes, float]]) -> None:
    meter = Meter()
    server = OpticalServer(
        meter.handle,
        meter.check_key,
        options=ServerOptions(wrong_keys_allowed=2, lock_s=5, session_limit_s=60, deaf_s=5),
    )
    now = 0.0

    def settle(until: float) -> bytes:
        nonlocal now
        said = bytearray()
        for _ in range(1000):
            said += server.outgoing(now)
            server.events()
            due = server.deadline()
            if due is None or due > until:
                break
            now = max(now, due)
            server.wake(now)
        else:
            raise AssertionError("never at rest")
        now = until
        return bytes(said)

    for data, pause in inputs:
        server.receive(data, now)
        settle(now + pause)
        link = server.link
        assert len(link._reader._buffer) <= link.packet_size
        assert len(link._parts) <= link.capacity
        assert sum(map(len, link._current)) <= link.packet_size * link.packets
        assert len(link._out) <= link.packets + 4
        assert len(link._events) == 0
    settle(now + 30.0)  # whatever it was, silence heals
    server.receive(b"\x55" + build(b"\x20", toggle=1), now)
    assert b"\x06" + build(bytes.fromhex("0000020000")) == settle(now + 0.1)


def test_the_events_of_a_server_that_nobody_asks_are_bounded() -> None:
    meter = Meter()
    server = OpticalServer(meter.handle, meter.check_key)
    for number in range(5000):
        server.receive(b"\xff\x06", number * 0.001)
    assert len(server._events) <= 256
    assert server.link.counters["noise"] == 5000


@given(st.binary(max_size=300), st.lists(st.integers(1, 20), max_size=300))
def test_the_reader_loses_no_byte_and_finds_the_same_however_cut(data: bytes, cuts: list[int]) -> None:
    whole, piecewise = PacketReader(), PacketReader()
    expected = whole.feed(data)
    found, at = [], 0
    for cut in [*cuts, len(data)]:
        found += piecewise.feed(data[at : at + cut])
        at += cut

    def packets(tokens: list[object]) -> list[bytes]:
        return [token.data for token in tokens if token.kind is TokenKind.PACKET]  # type: ignore[attr-defined]  # Token

    assert packets(list(found)) == packets(list(expected))


@given(st.binary(min_size=1, max_size=700), st.integers(9, 128), st.integers(0, 1))
def test_split_and_join_are_inverse(message: bytes, packet_size: int, toggle: int) -> None:
    if len(message) > (packet_size - 8) * 255:
        message = message[: (packet_size - 8) * 255]
    packets = [parse(raw) for raw in split(message, packet_size=packet_size, toggle=toggle)]
    assert join(packets) == message
    assert all(len(packet.encode()) <= packet_size for packet in packets)
    assert [packet.control.toggle for packet in packets] == [(toggle + n) & 1 for n in range(len(packets))]


@settings(max_examples=100)
@given(st.lists(st.tuples(hostile() | st.sampled_from([b"\x06", b"\x15", b"\x00"]), st.floats(0, 4)), max_size=20))
def test_the_client_link_lives_through_anything(inputs: list[tuple[bytes, float]]) -> None:
    link = Link(client=True)
    link.send(b"\x20", 0.0)
    now = 0.0
    for data, pause in inputs:
        link.receive(data, now)
        until = now + pause
        for _ in range(500):
            link.outgoing(now)
            link.events()
            due = link.deadline()
            if due is None or due > until:
                break
            now = max(now, due)
            link.wake(now)
        else:
            raise AssertionError("never at rest")
        now = until
    assert len(link._out) <= 4
