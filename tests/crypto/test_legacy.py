"""Properties of the old digest: all ways of computing it agree, wrong lengths are refused, streams continue."""

from __future__ import annotations

import copy
import importlib
import pickle
import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osgp.crypto import legacy
from osgp.wire.errors import ConfigError, LocalProtocolError

few = settings(max_examples=40, deadline=None)
messages = st.one_of(
    st.binary(max_size=40), st.binary(min_size=140, max_size=150), st.binary(min_size=185, max_size=400)
)


def one_step(state: list[int], position: int, bit: int, octet: int) -> None:
    """The step as the documents word it: the slow second opinion of these tests."""
    turned = ~(state[position] + position) & 0xFF
    if bit:
        turned = (turned << 1 | turned >> 7) & 0xFF
    else:
        turned = -(turned >> 1 | turned << 7) & 0xFF
    state[position] = (state[(position + 1) % 8] + octet + turned) & 0xFF


def by_the_book(key: bytes, rounds: int, message: bytes) -> bytes:
    state, place = [0] * 8, 0
    while place < len(message):
        for index in range(rounds):
            for step in range(8):
                octet = message[place] if place < len(message) else 0
                one_step(state, 7 - step, key[index % len(key)] >> step & 1, octet)
                place += 1
    return bytes(state)


@few
@given(key=st.binary(min_size=12, max_size=12), message=messages)
def test_plain_oma_digest_is_the_one_of_the_documents(key: bytes, message: bytes) -> None:
    assert legacy.oma_digest(key, message) == by_the_book(key, 18, message)


@few
@given(key=st.binary(min_size=16, max_size=16), message=messages)
def test_plain_mep_digest_is_the_one_of_the_documents(key: bytes, message: bytes) -> None:
    assert legacy.mep_digest(key, message) == by_the_book(key, 24, message or bytes(192))


@few
@given(data=st.data(), size=st.sampled_from([12, 16]))
def test_compiled_and_plain_digests_agree(data: st.DataObject, size: int) -> None:
    importlib.import_module("numba")
    key, message = data.draw(st.binary(min_size=size, max_size=size)), data.draw(messages)
    function = legacy.oma_digest if size == 12 else legacy.mep_digest
    expected = legacy.digest(key, message, block_for_nothing=size == 16)
    assert legacy.prefer_fast()
    try:
        assert legacy.fast_ready()
        assert function(key, message) == expected
        # Other kinds of bytes take the plain way, with the same result.
        assert function(key, bytearray(message)) == expected
    finally:
        legacy.prefer_plain()


@few
@given(data=st.data(), size=st.sampled_from([12, 16]), fast=st.booleans())
def test_batches_and_single_digests_agree(data: st.DataObject, size: int, fast: bool) -> None:
    importlib.import_module("numba" if fast else "numpy")
    key = data.draw(st.binary(min_size=size, max_size=size))
    lot = data.draw(st.lists(messages, max_size=12))
    expected = [legacy.digest(key, message, block_for_nothing=size == 16) for message in lot]
    if fast:
        assert legacy.prefer_fast()
    try:
        found = legacy.digest_batch(key, lot)
    finally:
        legacy.prefer_plain()
    assert found.shape == (len(lot), 8)
    assert [bytes(row) for row in found] == expected


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("size", [12, 16])
@pytest.mark.parametrize(("count", "length"), [(0, 5), (1, 0), (300, 0), (257, 28), (5000, 9), (3, 400)])
def test_batches_from_an_array(fast: bool, size: int, count: int, length: int) -> None:
    np = importlib.import_module("numpy")
    importlib.import_module("numba")
    rng = np.random.default_rng(1)
    key = bytes(range(size))
    lot = rng.integers(0, 256, (count, length), np.uint8)
    if fast:
        assert legacy.prefer_fast()
    try:
        found = legacy.digest_batch(key, lot)
    finally:
        legacy.prefer_plain()
    for place in {0, count // 2, count - 1} if count else set():
        expected = legacy.digest(key, lot[place].tobytes(), block_for_nothing=size == 16)
        assert bytes(found[place]) == expected


def test_batches_refuse_what_is_not_a_message_array() -> None:
    np = importlib.import_module("numpy")
    with pytest.raises(TypeError, match="uint8"):
        legacy.digest_batch(bytes(12), np.zeros((3, 4), np.int64))
    with pytest.raises(ConfigError):
        legacy.digest_batch(bytes(6), [b"a"])


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("size", [0, 1, 6, 11, 13, 15, 17, 20, 24])
def test_wrong_key_lengths_are_refused(size: int, fast: bool) -> None:
    if fast:
        importlib.import_module("numba")
        legacy.prefer_fast()
    try:
        with pytest.raises(ConfigError):
            legacy.oma_digest(bytes(size), b"x")
        with pytest.raises(ConfigError):
            legacy.mep_digest(bytes(size), b"x")
    finally:
        legacy.prefer_plain()


def test_other_wrong_lengths_are_refused() -> None:
    for call in (
        lambda: legacy.en14908_digest(bytes(12), bytes(8), b""),
        lambda: legacy.en14908_digest(bytes(6), bytes(7), b""),
        lambda: legacy.open_media_digest(bytes(12), bytes(8), bytes(8), b""),
        lambda: legacy.mep_base_key(bytes(12)),
        lambda: legacy.mep_message_key(bytes(16), bytes(7)),
        lambda: legacy.rc4(b"", b"x"),
        lambda: legacy.Rc4(bytes(257)),
    ):
        with pytest.raises(ConfigError):
            call()


def test_a_challenge_answer_over_nothing_is_the_challenge() -> None:
    assert legacy.en14908_digest(bytes(6), b"12345678", b"") == b"12345678"


@few
@given(
    key=st.binary(min_size=1, max_size=20), data=st.binary(max_size=300), cuts=st.lists(st.integers(0, 300), max_size=4)
)
def test_a_key_stream_in_pieces_is_the_whole_stream(key: bytes, data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    stream = legacy.Rc4(key)
    pieces = b"".join(stream.update(data[a:b]) for a, b in pairwise(edges))
    assert pieces == legacy.rc4(key, data)
    assert legacy.rc4(key, pieces) == data


def test_rc4_agrees_with_another_implementation() -> None:
    from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4
    from cryptography.hazmat.primitives.ciphers import Cipher

    key, data = bytes(range(1, 17)), bytes(range(256)) * 3
    assert legacy.rc4(key, data) == Cipher(ARC4(key), None).encryptor().update(data)


def test_a_key_stream_shows_nothing_and_is_not_written_out() -> None:
    stream = legacy.Rc4(b"secret")
    assert repr(stream) == "Rc4(hidden)"
    for write in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError):
            write(stream)
    with pytest.raises(LocalProtocolError):
        stream.keystream(-1)


def test_comparison_in_constant_time() -> None:
    assert legacy.same(b"12345678", b"12345678")
    assert not legacy.same(b"12345678", b"12345679")
    assert not legacy.same(b"12345678", b"1234567")


def test_importing_the_primitives_stays_light() -> None:
    code = (
        "import sys, osgp, osgp.crypto, osgp.crypto.legacy, osgp.crypto.keys as _;"
        "osgp.crypto.legacy.oma_digest(bytes(12), b'x');"
        "print(sorted({'numpy', 'numba', 'cryptography'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
