"""The algorithms of the AES-128 suite: key derivation, CMAC, key wrap. Bytes in, keys out, no state.

A **project choice** throughout (``spec/osgp-application.md`` 3.1): SP 800-108r1 in counter mode with AES-CMAC, RFC 3394 for wrapped
keys. Sealing and opening of messages stands in ``suite``, where a key is set up once for many messages.
"""

from __future__ import annotations

from typing import NamedTuple

from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from osgp.app.profile import OsgpProfile
from osgp.crypto.keys import Key
from osgp.wire.errors import ConfigError

__all__ = [
    "MAC_SIZE",
    "UNIQUE_NODE_ID_SIZE",
    "TAG_SIZE",
    "DeviceKeys",
    "SessionKeys",
    "check_unique_node_id",
    "cmac",
    "device_keys",
    "kdf",
    "psk_of",
    "session_keys",
    "unwrap_key",
    "wrap_key",
]

TAG_SIZE = 8
MAC_SIZE = 16
UNIQUE_NODE_ID_SIZE = 6


class DeviceKeys(NamedTuple):
    """What the head-end and the device alone hold beside the UMK: wraps keys, proves orders, proves images."""

    kek: Key
    kcrit: Key
    kfw: Key


class SessionKeys(NamedTuple):
    """The keys of one handshake, in the order in which they are derived."""

    kmac: Key
    kpd: Key
    ku: Key


def cmac(key: Key, *pieces: bytes) -> bytes:
    """AES-CMAC (SP 800-38B) over the joined pieces, 16 bytes. ConfigError if the key has not 16 bytes."""
    machine = CMAC(AES(key.for_aes()))
    for piece in pieces:
        machine.update(piece)
    return machine.finalize()


def kdf(key: Key, label: str, context: bytes, size: int = 16) -> bytes:
    """``size`` bytes out of a key: blocks of CMAC([i]32 ‖ label ‖ 00 ‖ context ‖ [bits]32), i from 1, MSB first (3.1)."""
    bits = (8 * size).to_bytes(4, "big")
    fixed = label.encode("ascii") + b"\0" + context + bits
    out = b"".join(cmac(key, number.to_bytes(4, "big"), fixed) for number in range(1, -(-size // MAC_SIZE) + 1))
    return out[:size]


def check_unique_node_id(unique_node_id: bytes) -> bytes:
    """The six bytes, or ConfigError."""
    if len(unique_node_id) != UNIQUE_NODE_ID_SIZE:
        raise ConfigError(f"a unique_node_id has 6 bytes, not {len(unique_node_id)}")
    return bytes(unique_node_id)


def psk_of(umk: Key, unique_node_id: bytes, concentrator_id: bytes, epoch: int, profile: OsgpProfile) -> Key:
    """PSK of a device for one concentrator and epoch: all that a concentrator is ever given (3.1)."""
    context = check_unique_node_id(unique_node_id) + check_unique_node_id(concentrator_id) + epoch.to_bytes(2, "big")
    return Key(kdf(umk, profile.labels.psk, context))


def device_keys(umk: Key, unique_node_id: bytes, profile: OsgpProfile) -> DeviceKeys:
    """KEK, KCRIT and KFW of a device (3.1)."""
    labels, context = profile.labels, check_unique_node_id(unique_node_id)
    return DeviceKeys(*(Key(kdf(umk, label, context)) for label in (labels.kek, labels.kcrit, labels.kfw)))


def session_keys(
    psk: Key, rc: bytes, concentrator_id: bytes, rd: bytes, unique_node_id: bytes, suite: int, profile: OsgpProfile
) -> SessionKeys:
    """KMAC, KPD and KU of a handshake, from both randoms (3.1)."""
    context = rc + check_unique_node_id(concentrator_id) + rd + check_unique_node_id(unique_node_id) + bytes([suite])
    out = kdf(psk, profile.labels.session, context, 48)
    return SessionKeys(Key(out[:16]), Key(out[16:32]), Key(out[32:]))


def wrap_key(kek: Key, key: Key) -> bytes:
    """A key in 24 bytes that only the holder of the KEK can open: AES-KW, RFC 3394 (3.8)."""
    return aes_key_wrap(kek.for_aes(), key.for_aes())


def unwrap_key(kek: Key, wrapped: bytes) -> Key | None:
    """The key, or None if the bytes were not wrapped under this KEK."""
    if len(wrapped) != 24:
        return None
    try:
        return Key(aes_key_unwrap(kek.for_aes(), wrapped))
    except InvalidUnwrap:
        return None
