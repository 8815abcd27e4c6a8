"""AES-CCM over many messages of equal lengths at once, each under the key of its sender.

A project choice in form alone: the algorithm is that of NIST SP 800-38C and RFC 3610 (nonce 13 bytes, tag 8 bytes, lengths of two
bytes), put together from the library's AES, a call for each key and step over all messages of that key; tests hold it against the
library's own AES-CCM. Worth it from some five messages of a key on; a single message is quicker with ``osgp.app.suite``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from osgp.app.aes import TAG_SIZE
from osgp.app.suite import NONCE
from osgp.crypto.keys import Key

__all__ = ["NONCE_SIZE", "BatchCipher", "opened", "sealed"]

BLOCK = 16
NONCE_SIZE = len(NONCE(b"", 0))
_LENGTH = BLOCK - 1 - NONCE_SIZE
"""Bytes of the message's length: "L" of RFC 3610."""
_LONGEST = 0xFEFF
"""Most bytes of additional data whose length is said in two bytes."""


class BatchCipher:
    """The block cipher under one key, in a form for many blocks. Holds the key; shows nothing of it."""

    __slots__ = ("into",)

    def __init__(self, key: Key) -> None:
        # Bare blocks are no mode of operation here: CCM is put together from them below.
        self.into = Cipher(algorithms.AES(key.for_aes()), modes.ECB()).encryptor().update_into

    def __repr__(self) -> str:
        return "BatchCipher(key hidden)"


def sealed(ciphers: Sequence[BatchCipher], bounds: Any, nonces: Any, aad: Any, plaintexts: Any) -> Any:
    """Ciphertexts with their tags (N, P + 8), of plaintexts (N, P), nonces (N, 13) and additional data (N, A), all uint8.

    Messages ``bounds[k]`` to ``bounds[k + 1] - 1`` are under cipher k. ``aad`` may not be empty.
    """
    stream = _Stream(ciphers, bounds, nonces, plaintexts.shape[1], aad.shape[1])
    return np.concatenate([stream.applied(plaintexts), stream.tags(aad, plaintexts)], 1)


def opened(ciphers: Sequence[BatchCipher], bounds: Any, nonces: Any, aad: Any, messages: Any) -> tuple[Any, Any]:
    """The plaintexts (N, P) of messages (N, P + 8), and whether each tag is the right one (N, bool); arguments as ``sealed``.

    A plaintext whose tag is wrong is zeros.
    """
    size = messages.shape[1] - TAG_SIZE
    stream = _Stream(ciphers, bounds, nonces, size, aad.shape[1])
    plaintexts = stream.applied(messages[:, :size])
    good = (stream.tags(aad, plaintexts) == messages[:, size:]).all(1)
    plaintexts[~good] = 0
    return plaintexts, good


class _Stream:
    """What the cipher makes of all counters and of the first block, and from there the tags."""

    def __init__(self, ciphers: Sequence[BatchCipher], bounds: Any, nonces: Any, size: int, aad_size: int) -> None:
        if not 0 < aad_size <= _LONGEST or size >> (8 * _LENGTH) or nonces.shape[1] != NONCE_SIZE:
            raise ValueError("messages of another size than this form of AES-CCM takes")
        count = len(nonces)
        self.size = size
        self._pieces = [
            (cipher.into, int(begin), int(end))
            for cipher, begin, end in zip(ciphers, bounds[:-1], bounds[1:], strict=True)
            if end > begin
        ]
        steps = -(-size // BLOCK) + 1
        blocks = np.zeros((count, steps + 1, BLOCK), np.uint8)
        blocks[:, :, 1 : 1 + NONCE_SIZE] = nonces[:, None, :]
        blocks[:, :steps, 0] = _LENGTH - 1
        for step in range(steps):
            blocks[:, step, BLOCK - _LENGTH :] = _number(step)
        # The first block of the tag: there is additional data, size of the tag, size of the length; the nonce; the length.
        blocks[:, steps, 0] = 0x40 | (TAG_SIZE - 2) // 2 << 3 | _LENGTH - 1
        blocks[:, steps, BLOCK - _LENGTH :] = _number(size)
        done = self._encrypted(blocks)
        self._mask = done[:, 0, :TAG_SIZE]
        self._keystream = done[:, 1:steps].reshape(count, -1)[:, :size]
        self._first = done[:, steps]

    def applied(self, data: Any) -> Any:
        """Ciphertext of plaintext, and the other way round."""
        return data ^ self._keystream

    def tags(self, aad: Any, plaintexts: Any) -> Any:
        """The tags of plaintexts with their additional data."""
        count, size = aad.shape
        head = -(-(2 + size) // BLOCK)
        steps = head + -(-self.size // BLOCK)
        blocks = np.zeros((count, steps * BLOCK), np.uint8)
        blocks[:, :2] = np.frombuffer(size.to_bytes(2, "big"), np.uint8)
        blocks[:, 2 : 2 + size] = aad
        blocks[:, head * BLOCK : head * BLOCK + self.size] = plaintexts
        chained = self._first
        for step in range(steps):
            chained = self._encrypted(blocks[:, step * BLOCK : (step + 1) * BLOCK] ^ chained)
        return chained[:, :TAG_SIZE] ^ self._mask

    def _encrypted(self, blocks: Any) -> Any:
        """Each block under the key of its message."""
        blocks = np.ascontiguousarray(blocks)
        each = blocks.nbytes // max(1, len(blocks))
        out: Any = np.empty(blocks.nbytes + BLOCK, np.uint8)  # the library wants room for a block more
        source, target = blocks.reshape(-1).data, out.data
        for into, begin, end in self._pieces:
            into(source[begin * each : end * each], target[begin * each : end * each + BLOCK - 1])
        return out[: blocks.nbytes].reshape(blocks.shape)


def _number(value: int) -> Any:
    return np.frombuffer(value.to_bytes(_LENGTH, "big"), np.uint8)
