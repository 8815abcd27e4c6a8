"""Firmware images: what a device switches to and what not, blocks, and the hashes that find spoiled runs."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from osgp.app import image
from osgp.app.image import ImageResult
from osgp.crypto.keys import Key
from osgp.wire.errors import LocalProtocolError
from tests.app.making import dice, unhex

SIGNING = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KFW = Key(unhex("3557c65d2e7fce1bbb4b552e49dc8099"))
CODE = dice(4)(54 * 200)
BUILT = image.build(CODE, 7, 3, 9, SIGNING)
ANNOUNCED = image.announce(BUILT, 1)
KEYS = {9: SIGNING.public_key(), 10: None, 11: Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()}


def test_an_image_in_order_is_taken() -> None:
    found = image.check(BUILT, ANNOUNCED, KFW, image.image_mac(KFW, BUILT), KEYS, 7, 3)
    assert found.result is ImageResult.OK
    assert found.trailer is not None
    assert (found.trailer.hardware_id, found.trailer.version, found.trailer.key_id) == (7, 3, 9)


@pytest.mark.parametrize(
    ("one", "hardware_id", "floor", "result"),
    [
        (BUILT, 8, 3, ImageResult.WRONG_HARDWARE),
        (BUILT, 7, 4, ImageResult.VERSION_BELOW_FLOOR),
        (BUILT[:-64] + bytes(64), 7, 3, ImageResult.UNSIGNED),
        (BUILT[:-1] + bytes([BUILT[-1] ^ 1]), 7, 3, ImageResult.BAD_SIGNATURE),
        (bytes([BUILT[0] ^ 1]) + BUILT[1:], 7, 3, ImageResult.BAD_SIGNATURE),
        (image.build(CODE, 7, 3, 12, SIGNING), 7, 3, ImageResult.UNKNOWN_KEY),
        (image.build(CODE, 7, 3, 10, SIGNING), 7, 3, ImageResult.INVALIDATED_KEY),
        (image.build(CODE, 7, 3, 11, SIGNING), 7, 3, ImageResult.BAD_SIGNATURE),
        (b"short", 7, 3, ImageResult.BAD_HASH),
    ],
)
def test_what_a_device_does_not_switch_to(one: bytes, hardware_id: int, floor: int, result: ImageResult) -> None:
    announced, mac = image.announce(one, 1), image.image_mac(KFW, one)
    assert image.check(one, announced, KFW, mac, KEYS, hardware_id, floor).result is result


def test_hash_and_mac_come_first() -> None:
    mac = image.image_mac(KFW, BUILT)
    assert image.check(BUILT + b"\0", ANNOUNCED, KFW, mac, KEYS, 7, 3).result is ImageResult.BAD_HASH
    assert image.check(BUILT, image.announce(CODE, 1), KFW, mac, KEYS, 7, 3).result is ImageResult.BAD_HASH
    assert image.check(BUILT, ANNOUNCED, KFW, bytes(16), KEYS, 7, 3).result is ImageResult.BAD_MAC


def test_blocks_joined_are_the_image() -> None:
    joined = b"".join(image.block(BUILT, number) for number in range(ANNOUNCED.blocks))
    assert joined[: len(BUILT)] == BUILT
    assert not any(joined[len(BUILT) :])
    for number in (-1, ANNOUNCED.blocks):
        with pytest.raises(LocalProtocolError):
            image.block(BUILT, number)


def test_runs_that_differ_are_found() -> None:
    spoiled = bytearray(BUILT)
    spoiled[54 * 64 * 2 + 5] ^= 1
    ours, theirs = image.run_hashes(BUILT), image.run_hashes(bytes(spoiled))
    assert len(ours) == 4
    assert {len(one) for one in ours} == {8}
    assert [number for number, (one, other) in enumerate(zip(ours, theirs)) if one != other] == [2]


def test_an_image_of_too_many_blocks_is_not_built() -> None:
    with pytest.raises(LocalProtocolError, match="65535 blocks"):
        image.build(bytes(54 * 65535), 7, 3, 9, SIGNING)
