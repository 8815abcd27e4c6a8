"""Any bytes at any time: an error of ours or a flight, never another exception; no damage that both sides overlook."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.mep.tls.tls_peer import IDENTITY, KEY, lookup

from osgp.mep.tls import TlsClient, TlsServer
from osgp.mep.tls.records import encode_record
from osgp.mep.tls.session import TlsSide
from osgp.wire.errors import Error

FLIGHTS = 4
Change = Callable[[int, bytes], bytes]


def sides(seed: int = 5) -> tuple[TlsClient, TlsServer]:
    source = random.Random(seed)
    return TlsClient(IDENTITY, KEY, source.randbytes), TlsServer(lookup, source.randbytes)


def advanced(flights: int, *, client: bool) -> TlsSide:
    """One of the sides after so many flights have been delivered."""
    ours, theirs = sides()
    flight, taker, other = ours.start(), theirs, ours
    for _ in range(flights):
        flight = taker.receive(flight)
        taker, other = other, taker
    return ours if client else theirs


def run(change: Change) -> tuple[TlsClient, TlsServer]:
    """A handshake through a wire that changes flights, to its end or to its failure."""
    client, server = sides()
    flight = client.start()
    takers: list[TlsSide] = [server, client]
    try:
        for number in range(FLIGHTS):
            taker = takers[number % 2]
            if taker.established:
                taker.open(change(number, flight))
                break
            flight = taker.receive(change(number, flight))
    except Error:
        pass
    return client, server


def agree(client: TlsClient, server: TlsServer) -> None:
    if client.established and server.established:
        assert client._transcript.digest() == server._transcript.digest()
        assert server.identity == IDENTITY
        if client.unfinished or server.unfinished:
            return  # Something was put behind a Finished: it waits for open(), which refuses it.
        assert server.open(client.seal(b"same keys")) == b"same keys"


def lengths() -> list[int]:
    sizes = [0] * FLIGHTS

    def note(number: int, flight: bytes) -> bytes:
        sizes[number] = len(flight)
        return flight

    client, server = run(note)
    assert client.established
    assert server.established
    return sizes


def test_no_flipped_bit_survives_but_in_the_version_of_the_first_record() -> None:
    """That version is outside the transcript, and a server must not mind it (RFC 5246, E.1)."""
    survivors = set()
    for number, size in enumerate(lengths()):
        for bit in range(size * 8):

            def change(count: int, flight: bytes, number: int = number, bit: int = bit) -> bytes:
                if count != number:
                    return flight
                damaged = bytearray(flight)
                damaged[bit // 8] ^= 1 << bit % 8
                return bytes(damaged)

            client, server = run(change)
            agree(client, server)
            if client.established and server.established:
                survivors.add((number, bit // 8))
            assert not client.established or server.established
    assert survivors == {(0, 2)}


def test_no_flight_survives_being_cut_or_doubled() -> None:
    for number, size in enumerate(lengths()):
        for keep in range(size):
            client, server = run(lambda count, flight, n=number, k=keep: flight[:k] if count == n else flight)
            assert not client.established
        client, server = run(lambda count, flight, n=number: flight * 2 if count == n else flight)
        if number < 2:
            assert not client.established
            assert not server.established
        else:
            # What follows a finished handshake is looked at by open(), and is no record of this session.
            for side in (client, server):
                if side.unfinished:
                    with pytest.raises(Error):
                        side.open(b"")
                    assert side.closed


@st.composite
def changes(draw: st.DrawFn) -> Change:
    """A few edits of the flights: bytes replaced, removed, put in, parts doubled or swapped."""
    edits = draw(
        st.lists(
            st.tuples(
                st.integers(0, FLIGHTS - 1),
                st.sampled_from(["set", "drop", "insert", "double", "swap"]),
                st.integers(0, 120),
                st.integers(1, 40),
                st.binary(min_size=1, max_size=8),
            ),
            min_size=1,
            max_size=4,
        )
    )

    def change(number: int, flight: bytes) -> bytes:
        for count, kind, at, size, data in edits:
            if count != number:
                continue
            part = flight[at : at + size]
            if kind == "set":
                flight = flight[:at] + data + flight[at + len(data) :]
            elif kind == "drop":
                flight = flight[:at] + flight[at + size :]
            elif kind == "insert":
                flight = flight[:at] + data + flight[at:]
            elif kind == "double":
                flight = flight[:at] + part + flight[at:]
            else:
                flight = part + flight[:at] + flight[at + size :]
        return flight

    return change


@settings(max_examples=300, deadline=None)
@given(changes())
def test_no_edit_makes_the_sides_believe_different_things(change: Change) -> None:
    agree(*run(change))


records = st.builds(
    lambda kind, version, body: bytes((kind,)) + version.to_bytes(2, "big") + len(body).to_bytes(2, "big") + body,
    st.sampled_from([20, 21, 22, 23, 24]),
    st.sampled_from([0x0303, 0x0301, 0x0304, 0x0200]),
    st.one_of(
        st.binary(max_size=60),
        st.builds(
            lambda kind, body, lie: bytes((kind,)) + max(0, len(body) + lie).to_bytes(3, "big") + body,
            st.sampled_from([0, 1, 2, 4, 11, 12, 13, 14, 15, 16, 20, 99]),
            st.binary(max_size=60),
            st.sampled_from([0, 0, 0, 1, -1, 70000]),
        ),
    ),
)


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0, FLIGHTS), st.booleans(), st.lists(st.one_of(st.binary(max_size=80), records), min_size=1, max_size=5)
)
def test_any_bytes_at_any_stage_give_our_error_or_a_flight(flights: int, client: bool, pieces: list[bytes]) -> None:
    side = advanced(flights, client=client)
    for piece in pieces:
        was_established = side.established
        try:
            if was_established:
                assert side.open(piece) == b""
            elif not (client and flights == 0 and side.closed):
                side.receive(piece)
        except Error:
            assert side.closed
            side.outgoing()
            break
        assert side.established == was_established
        assert side.unfinished <= 5 + (1 << 14) + 2048 + 4 + (1 << 14)


def test_memory_stays_bounded_while_the_peer_never_finishes() -> None:
    side = advanced(0, client=False)
    side.receive(encode_record(22, b"\x01\x00\x3f\xf0"))
    try:
        for _ in range(100):
            side.receive(encode_record(22, bytes(1000)))
            assert side.unfinished < 1 << 14
    except Error:
        assert side.closed
