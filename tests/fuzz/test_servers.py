"""Both servers, whole: out of order, endless, oversized; they answer or refuse, stay small, and serve a good client next."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osgp.c1218.packet import build
from osgp.c1218.server import OpticalServer
from osgp.mep.frame import MAX_BODY, framed
from osgp.mep.rc4 import seal_request
from osgp.mep.server import MepServer
from osgp.node.server import Port
from osgp.tables.services import FullRead, FullWrite, PartialRead, PartialWrite, encode_request
from osgp.tables.table import extended
from tests.access.world import MAK, MEP_KEYS, MK, World
from tests.fuzz.machines import MEMORY, babble, held, serve_mep, serve_optical

ENDLESS = 1_000_000


def _optical() -> tuple[World, OpticalServer]:
    world = World()
    return world, OpticalServer(world.optical_handle(Port("optical")), world.check_key)


def _mep(**options: Any) -> tuple[World, MepServer]:
    world = World()
    return world, MepServer(world.mep_handle(Port("mep1")), MEP_KEYS.get, rng=random.Random(3), **options)


STEPS = [
    b"\x20",
    b"\x21",
    b"\x52",
    b"\x50\x00\x01fuzz      ",
    b"\x51" + MK,
    b"\x51" + bytes(20),
    b"\x60\x02\x00\x08",
    b"\x61\x00\x40\x01\x06",
    b"\x61\x00\x05\x00\x06",
    b"\x6b" + bytes(3),
    b"\x70\xff",
    b"\x71\x01\x01\x01\x01",
    b"\x30\x00\x17",
    b"\x30\x00\x40",
    b"\x3f\x00\x40\xff\xff\xff\xff\xff",
    b"\x40\x00\x07\x00\x03\x0a\x00\x05\xf1",
    b"\x40\x00\x07\xff\xff\x00",
    b"\x4f\x10\x36\x00\x00\x00\x00\x06\x01\x00\x00\x01\x00\x00\xfe",
    b"\x3e",
    b"\x31\x00\x17\x00\x01\x00\x01",
    b"",
    b"\xff" * 56,
]
PIECE = st.tuples(st.sampled_from(STEPS), st.integers(0, 1), st.integers(0, 3), st.booleans(), st.integers(0, 6))


@given(st.lists(PIECE, max_size=25))
@settings(max_examples=40)
def test_optical_services_in_any_order(pieces: list[tuple[bytes, int, int, bool, int]]) -> None:
    """With any toggle, sequence number and multi bits; acknowledged or not; with pauses up to a channel time-out."""
    world, server = _optical()
    now = 0.0
    for message, toggle, sequence, multi, pause in pieces:
        server.receive(build(message, toggle=toggle, sequence=sequence, first=bool(sequence & 1), multi=multi), now)
        for _ in range(3):
            now += 0.05
            server.wake(now)
            if server.outgoing(now) and toggle:
                server.receive(b"\x06", now)
        now += pause
        server.wake(now)
        assert held(server.link) < MEMORY
    serve_optical(server, world, now + 8.0)


@pytest.mark.parametrize(
    "pattern", [b"\xee", b"\xee\x00\x80\xff\xff\xff", b"\x06", b"\x15", b"\x55", b"\xee\x00\x00\x00\x00\x01"]
)
def test_an_endless_stream_at_the_optical_port(pattern: bytes) -> None:
    world, server = _optical()
    now, chunk = 0.0, pattern * (4096 // len(pattern))
    for _ in range(ENDLESS // len(chunk)):
        server.receive(chunk, now)
        server.outgoing(now)
        now += 0.01
        server.wake(now)
    assert held([server.link, server._events]) < MEMORY
    server.events()
    serve_optical(server, world, now + 8.0)


def test_endless_parts_of_one_message() -> None:
    """A multi-packet message that never ends: the size negotiated is the limit."""
    world, server = _optical()
    now = 0.0
    for number in range(2000):
        server.receive(
            build(bytes(56), toggle=number & 1, sequence=255 - number % 250, first=number == 0, multi=True), now
        )
        now += 0.05
        server.wake(now)
        server.outgoing(now)
    assert held([server.link, server._events]) < MEMORY
    serve_optical(server, world, now + 8.0)


@pytest.mark.parametrize(
    "pattern", [b"\x00", b"\x01\xdc", b"\xff", b"\x00\x01\x30", b"\x00\x02\x58\x16", b"\x00\x01\x57"]
)
def test_an_endless_stream_at_the_mep(pattern: bytes) -> None:
    world, server = _mep()
    now, chunk = 0.0, pattern * (4096 // len(pattern))
    for _ in range(ENDLESS // len(chunk) // 4):
        server.receive(chunk, now)
        server.outgoing(now)
        now += 0.3
        server.wake(now)
    assert held([server._reader, server._waiting, server._chunks, server._events]) < MEMORY
    server.events()
    now = babble(server, b"", now)
    serve_mep(server, world, now + 5.0)


def test_a_flood_of_good_requests() -> None:
    """More than one per 100 ms: a few wait, the rest is dropped; nothing grows."""
    world, server = _mep()
    for number in range(3000):
        frame = framed(seal_request(MAK, b"\x30\x00\x17", number + 1, encrypt=False).request_body())
        server.receive(frame, 0.0)
    assert held([server._reader, server._waiting, server._chunks, server._events]) < MEMORY
    server.events()
    now = babble(server, b"", 0.0)
    serve_mep(server, world, now + 5.0)


REQUEST = st.one_of(
    st.builds(FullRead, st.integers(0, 0xFFFF), st.none() | st.integers(0, 0xFFFF)),
    st.builds(PartialRead, st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFF), st.integers(0, 0xFFFF)),
    st.builds(
        FullWrite,
        st.sampled_from([7, 54, 4150, *map(extended, (50, 52, 53))]),
        st.binary(max_size=400),
        st.none() | st.integers(0, 0xFFFF),
    ),
    st.builds(
        PartialWrite,
        st.sampled_from([7, 54, 4150, *map(extended, (50, 52, 53))]),
        st.integers(0, 0xFFFFFF) | st.integers(0, 800),
        st.binary(max_size=400),
        st.none() | st.integers(0, 0xFFFF),
    ),
)


@given(requests=st.lists(REQUEST, max_size=12), numbers=st.lists(st.integers(-20, 20), min_size=12, max_size=12))
@settings(max_examples=40)
def test_good_keys_and_strange_requests(requests: list[Any], numbers: list[int]) -> None:
    """Sealed with the right key, in and out of the window: every one is answered, and no table changes its size."""
    world, server = _mep()
    sizes = {number: world.image.size(number) for number in world.image}
    now = 0.0
    for request, ahead in zip(requests, numbers):
        sequence = (server.sequence + ahead) & 0xFFFFFFFF
        message = encode_request(request, checksum=False)
        frame = framed(seal_request(MAK, message[: MAX_BODY - 12], sequence, encrypt=bool(ahead & 1)).request_body())
        server.receive(frame, now)
        answered = b""
        for _ in range(20):
            now += 0.05
            server.wake(now)
            answered += server.outgoing(now)
        assert answered
    assert {number: world.image.size(number) for number in sizes} == sizes
    serve_mep(server, world, now + 5.0)
