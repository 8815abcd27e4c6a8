"""Firmware images: trailer, MAC, signature, blocks and the hashes over runs of blocks (``spec/osgp-application.md`` 3.9).

A **project choice** but for the 56-byte packet and the result codes of ET89.114–122 [V]. Nothing here keeps an image: bytes in,
bytes out.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from enum import IntEnum
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from osgp.app.aes import cmac
from osgp.app.messages import Announcement, ImageTrailer
from osgp.crypto.keys import Key
from osgp.wire import layout_of
from osgp.wire.errors import LocalProtocolError

__all__ = [
    "CODE_BYTES",
    "Checked",
    "ImageResult",
    "announce",
    "block",
    "build",
    "check",
    "count_blocks",
    "image_mac",
    "run_hashes",
    "trailer_of",
]

CODE_BYTES = 54
"""Code bytes of a packet: with the number 56 [V]."""
BLOCKS_PER_RUN = 64
RUN_HASH_SIZE = 8
TRAILER_SIZE = layout_of(ImageTrailer).size or 0
_SIGNATURE_SIZE = 64
MAX_BLOCKS = 0xFFFF


class ImageResult(IntEnum):
    """Last result of an image check, ET89.114 ff. [V]; which of 16 to 18 and 32, 33 is which is a project choice."""

    OK = 0
    UNSIGNED = 1
    UNKNOWN_KEY = 2
    INVALIDATED_KEY = 3
    BAD_SIGNATURE = 16
    BAD_HASH = 17
    BAD_MAC = 18
    BAD_KEY = 32
    WRONG_HARDWARE = 64
    """Project choice, as the next one: not among the verified codes."""
    VERSION_BELOW_FLOOR = 65


class Checked(NamedTuple):
    """``trailer`` is None when the image is too short to have one."""

    result: ImageResult
    trailer: ImageTrailer | None = None


def build(code: bytes, hardware_id: int, version: int, key_id: int, signing_key: Ed25519PrivateKey) -> bytes:
    """The image: code, trailer, signature over everything before it. LocalProtocolError if it has too many blocks."""
    bare = ImageTrailer(
        hardware_id=hardware_id, version=version, key_id=key_id, signature=bytes(_SIGNATURE_SIZE)
    ).encode()[:-_SIGNATURE_SIZE]
    image = code + bare
    image += signing_key.sign(image)
    if count_blocks(len(image)) > MAX_BLOCKS:
        raise LocalProtocolError(f"an image of {len(image)} bytes has more than {MAX_BLOCKS} blocks")
    return image


def count_blocks(length: int) -> int:
    """Blocks of an image of so many bytes."""
    return -(-length // CODE_BYTES)


def block(image: bytes, number: int) -> bytes:
    """Block ``number``, from 0, padded with zeros. LocalProtocolError behind the end."""
    if not 0 <= number < count_blocks(len(image)):
        raise LocalProtocolError(f"the image has no block {number}")
    return image[number * CODE_BYTES : (number + 1) * CODE_BYTES].ljust(CODE_BYTES, b"\0")


def announce(image: bytes, image_id: int) -> Announcement:
    """The parameters of EP08 for an image."""
    return Announcement(
        image_id=image_id,
        length=len(image),
        blocks=count_blocks(len(image)),
        sha256=hashlib.sha256(image).digest(),
    )


def image_mac(kfw: Key, image: bytes) -> bytes:
    """CMAC(KFW, image): each device has its own."""
    return cmac(kfw, image)


def run_hashes(image: bytes) -> list[bytes]:
    """User table 4000+20: first 8 bytes of SHA-256 over each run of 64 blocks; the last block without its padding.

    Whether the padding belongs to a run is not said; the image alone is what both sides surely have alike (project choice).
    """
    size = BLOCKS_PER_RUN * CODE_BYTES
    return [
        hashlib.sha256(image[start : start + size]).digest()[:RUN_HASH_SIZE] for start in range(0, len(image), size)
    ]


def trailer_of(image: bytes) -> ImageTrailer | None:
    """The trailer, None if the image is too short."""
    return ImageTrailer.decode(image[-TRAILER_SIZE:]) if len(image) > TRAILER_SIZE else None


def check(
    image: bytes,
    announced: Announcement,
    kfw: Key,
    mac: bytes,
    public_keys: Mapping[int, Ed25519PublicKey | None],
    hardware_id: int,
    floor: int,
) -> Checked:
    """Whether a device may switch to an image: hash, MAC, signature, hardware and version, in this order.

    ``public_keys``: by key id; None: known, but invalidated. ``floor``: the lowest version that is taken.
    """
    trailer = trailer_of(image)
    if trailer is None or len(image) != announced.length or hashlib.sha256(image).digest() != announced.sha256:
        return Checked(ImageResult.BAD_HASH, trailer)
    if not hmac.compare_digest(image_mac(kfw, image), mac):
        return Checked(ImageResult.BAD_MAC, trailer)
    if not any(trailer.signature):
        return Checked(ImageResult.UNSIGNED, trailer)
    if trailer.key_id not in public_keys:
        return Checked(ImageResult.UNKNOWN_KEY, trailer)
    key = public_keys[trailer.key_id]
    if key is None:
        return Checked(ImageResult.INVALIDATED_KEY, trailer)
    try:
        key.verify(trailer.signature, image[:-_SIGNATURE_SIZE])
    except InvalidSignature:
        return Checked(ImageResult.BAD_SIGNATURE, trailer)
    if trailer.hardware_id != hardware_id:
        return Checked(ImageResult.WRONG_HARDWARE, trailer)
    if trailer.version < floor:
        return Checked(ImageResult.VERSION_BELOW_FLOOR, trailer)
    return Checked(ImageResult.OK, trailer)
