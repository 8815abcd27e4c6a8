"""Keys of TLS_PSK_WITH_AES_256_GCM_SHA384: from the pre-shared key and two randoms to write keys and Finished values.

Sources: RFC 5246, 5 (pseudo-random function), 6.3 (key block), 7.4.9 (Finished), 8.1 (master secret); RFC 4279, 2
(premaster secret of a plain PSK); RFC 5487, 2 (this suite, hence SHA-384). Proven by the session printed in the MEP
guide, pages 14–15.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

__all__ = [
    "CLIENT_FINISHED",
    "SERVER_FINISHED",
    "VERIFY_DATA_LENGTH",
    "WriteKeys",
    "master_secret",
    "premaster_secret",
    "prf",
    "verify_data",
    "write_keys",
]

VERIFY_DATA_LENGTH = 12
CLIENT_FINISHED = b"client finished"
SERVER_FINISHED = b"server finished"

_HASH = "sha384"
_MASTER_LENGTH = 48
_KEY_LENGTH = 32
_IV_LENGTH = 4


@dataclass(frozen=True, slots=True)
class WriteKeys:
    """What one direction is sealed with: 32 bytes of AES key and the 4 implicit bytes of each nonce; never shown."""

    key: bytes = field(repr=False)
    iv: bytes = field(repr=False)


def prf(secret: bytes, label: bytes, seed: bytes, length: int) -> bytes:
    """``length`` pseudo-random bytes by P_SHA384 over label and seed (RFC 5246, 5)."""
    seed = label + seed
    output = bytearray()
    link = seed
    while len(output) < length:
        link = hmac.digest(secret, link, _HASH)
        output += hmac.digest(secret, link + seed, _HASH)
    return bytes(output[:length])


def premaster_secret(psk: bytes) -> bytes:
    """The pre-shared key behind as many zeros, each with a 16-bit length (RFC 4279, 2)."""
    size = len(psk).to_bytes(2, "big")
    return size + bytes(len(psk)) + size + psk


def master_secret(psk: bytes, client_random: bytes, server_random: bytes) -> bytes:
    """The 48 bytes from which all else follows (RFC 5246, 8.1)."""
    return prf(premaster_secret(psk), b"master secret", client_random + server_random, _MASTER_LENGTH)


def write_keys(master: bytes, client_random: bytes, server_random: bytes) -> tuple[WriteKeys, WriteKeys]:
    """The keys of the client's and of the server's direction (RFC 5246, 6.3: no MAC keys with an AEAD cipher)."""
    block = prf(master, b"key expansion", server_random + client_random, 2 * (_KEY_LENGTH + _IV_LENGTH))
    ivs = block[2 * _KEY_LENGTH :]
    return (
        WriteKeys(block[:_KEY_LENGTH], ivs[:_IV_LENGTH]),
        WriteKeys(block[_KEY_LENGTH : 2 * _KEY_LENGTH], ivs[_IV_LENGTH:]),
    )


def verify_data(master: bytes, label: bytes, transcript_hash: bytes) -> bytes:
    """The 12 bytes of a Finished message; ``label`` says whose (RFC 5246, 7.4.9)."""
    return prf(master, label, transcript_hash, VERIFY_DATA_LENGTH)
