"""Finding frames: garbage before, in and after them, alerts, gaps, and bounded memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp.mep.frame import (
    MAX_BODY,
    MAX_MESSAGE_RC4,
    MAX_MESSAGE_TLS,
    MAX_RESPONSE_RC4,
    Alert,
    Body,
    Code,
    FrameReader,
    FullRead,
    Item,
    Noise,
    framed,
)

BODY = bytes(range(1, 21))
FRAME = framed(BODY)


def read(*pieces: bytes, apart_s: float = 0.001, end_s: float = 1.0) -> list[Item]:
    reader = FrameReader()
    items = [item for number, piece in enumerate(pieces) for item in reader.receive(piece, number * apart_s)]
    return items + reader.wake(len(pieces) * apart_s + end_s)


def bodies(items: list[Item]) -> list[bytes]:
    return [item.data for item in items if isinstance(item, Body)]


def test_sizes_are_those_of_the_guide() -> None:
    assert (MAX_BODY, MAX_MESSAGE_RC4 - 8, MAX_RESPONSE_RC4 - 3) == (476, 456, 465)
    assert (MAX_MESSAGE_TLS - 3, MAX_MESSAGE_TLS - 8) == (443, 438)


def test_unknown_codes_survive() -> None:
    assert Code(0x77).name == "UNKNOWN_77"


def test_a_full_read_with_and_without_length() -> None:
    assert FullRead.decode(bytes.fromhex("3000170200")).count == 0x200
    short = FullRead.decode(bytes.fromhex("300017"))
    assert short.count is None
    assert short.encode() == bytes.fromhex("300017")


def test_several_frames_and_alerts_in_one_piece() -> None:
    items = read(b"\0\0" + FRAME + b"\0\0\0\0" + FRAME)
    assert items == [Alert(), Body(BODY), Alert(), Alert(), Body(BODY)]


@pytest.mark.parametrize(
    "noise", [b"\0", b"\x01", b"\x7f", b"\xff\xff\xff", b"\x00\x00\x00", b"\x01\xdc\x05", bytes(501)]
)
def test_noise_right_in_front_costs_the_gap_and_no_frame(noise: bytes) -> None:
    assert BODY in bodies(read(noise + FRAME))


@pytest.mark.parametrize("noise", [b"\x01", b"\xff", b"\x01\x20", b"\x7f" * 2000])
def test_noise_before_the_gap_does_not_touch_what_follows(noise: bytes) -> None:
    items = read(noise, FRAME, apart_s=0.06)
    assert items[-1] == Body(BODY)
    assert b"".join(item.data for item in items if isinstance(item, Noise)) == noise


def test_noise_behind_a_frame_is_dropped() -> None:
    assert read(FRAME + b"\x55\xaa\x11") == [Body(BODY), Noise("no frame begins here", b"\x55\xaa\x11")]


def test_a_byte_too_few_ends_with_the_gap() -> None:
    items = read(FRAME[:-1], FRAME, apart_s=0.05)
    assert items == [Noise("a frame that did not end in time", FRAME[:-1]), Body(BODY)]


def test_a_short_pause_inside_a_frame_is_borne() -> None:
    assert read(FRAME[:5], FRAME[5:], apart_s=0.049) == [Body(BODY)]


def test_a_guess_is_marked() -> None:
    [noise, guess] = read(b"\x01" + FRAME)
    assert isinstance(noise, Noise)
    assert guess == Body(BODY, guessed=True)


def test_the_deadline_is_the_gap() -> None:
    reader = FrameReader(0.05)
    assert reader.deadline() is None
    reader.receive(FRAME[:3], 1.0)
    assert reader.deadline() == pytest.approx(1.05)
    assert reader.wake(1.049) == []
    assert reader.wake(1.05) != []
    assert reader.deadline() is None


def test_endless_noise_takes_no_memory() -> None:
    reader = FrameReader()
    for number in range(500):
        reader.receive(b"\x7f" * 100, number * 0.001)
        assert len(reader._data) <= 2 * (2 + MAX_BODY) + 100


@given(st.lists(st.binary(min_size=1, max_size=MAX_BODY), max_size=4), st.data())
def test_frames_come_out_whatever_the_pieces(wanted: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(framed(body) for body in wanted)
    reader = FrameReader()
    items: list[Item] = []
    at = 0
    while at < len(stream):
        size = data.draw(st.integers(1, 200))
        items += reader.receive(stream[at : at + size], 0.0)
        at += size
    assert items == [Body(body) for body in wanted]


@given(st.lists(st.binary(max_size=60), max_size=10), st.floats(0.0, 0.1))
def test_noise_never_raises_and_is_accounted_for(pieces: list[bytes], apart_s: float) -> None:
    items = read(*pieces, apart_s=apart_s)
    guessed = any(isinstance(item, Body) and item.guessed for item in items)
    size = sum(2 if isinstance(i, Alert) else len(i.data) + 2 * isinstance(i, Body) for i in items)
    assert guessed or size == sum(map(len, pieces))


@given(st.binary(max_size=30), st.binary(min_size=1, max_size=40))
def test_after_any_noise_and_a_gap_the_next_frame_is_found(noise: bytes, body: bytes) -> None:
    assert bodies(read(noise, framed(body), apart_s=0.06))[-1] == body
