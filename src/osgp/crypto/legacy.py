"""The old digest and encryption of OSGP: one 64-bit shift machine with four uses, and RC4.

Published as broken (Jovanovic and Neves 2015; Kursawe and Peters 2015; Feiten and Sauer 2016): whoever can ask a dozen
chosen messages has the key. It is here to talk with old devices and must never be a default. Two weaknesses that
callers meet: zero bytes added to a message do not change its digest while the number of blocks stays (so an
acknowledgement of a write has the digest of its request), and equal messages give equal key streams.

One *step* changes the byte at one position with one key bit and one message byte; one key byte drives eight steps
(positions 7 … 0, key bits 0 … 7); one *block* is ``rounds`` key bytes, hence ``8 * rounds`` message bytes, and blocks
repeat with the key from its start until the message is used up. Only key length, rounds, start value and order differ:

=====================================  ===  ======  =====  ===========  ================
Use                                    Key  Rounds  Block  Start        Message order
=====================================  ===  ======  =====  ===========  ================
EN 14908-1 authentication              6    6       48     challenge    last byte first
EN 14908-1 open media authentication   12   18      144    challenge    last byte first
OMA digest of the power line           12   18      144    zeros        first byte first
MEP digest                             16   24      192    zeros        first byte first
=====================================  ===  ======  =====  ===========  ================

Speed. Plain Python needs no extra and is always right. After ``prefer_fast()`` every digest goes through a compiled
kernel when Numba is installed (extra ``fast``). That call is explicit because the first compilation on a machine takes
seconds (later processes load it from Numba's disk cache in a fraction of one): a command that checks three frames must
not pay for it unasked, a collector or a simulation calls it at start. ``digest_batch`` uses NumPy lanes by itself, and
the kernel when it is ready or the batch is large enough to pay for loading it.

Source: MEP Client Developer's Guide v1.1, appendices A and B (p. 249–257), whose printed digests it reproduces; the
power line's digest by a public known answer; the power line's encryption key from public work only (unverified).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

from osgp.wire.errors import ConfigError, LocalProtocolError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "DIGEST_SIZE",
    "Rc4",
    "digest",
    "digest_batch",
    "en14908_digest",
    "fast_ready",
    "mep_base_key",
    "mep_digest",
    "mep_message_key",
    "oma_base_key",
    "oma_digest",
    "oma_encrypt",
    "oma_message_key",
    "open_media_digest",
    "prefer_fast",
    "prefer_plain",
    "rc4",
    "same",
]

DIGEST_SIZE = 8
"""Bytes of every digest of this module."""

ROUNDS = {6: 6, 12: 18, 16: 24, 20: 30}
"""Key bytes driven per block, by key length: length and a half, but six for six (guide p. 251–253)."""

KERNEL_PAYS_FROM = 1_000_000
"""Messages from which ``digest_batch`` loads the kernel unasked (project choice: NumPy takes 0.2 s for these)."""

_ZEROS = bytes(8)
_MEP_CONSTANT = bytes.fromhex("388b8fbc36a8558587afc90fb23a3b99")
_BEK_START_1 = bytes.fromhex("813f529a7be389ba")
_BEK_START_2 = bytes.fromhex("72b0918d4405aa57")


def _turned(position: int, bit: int) -> bytes:
    """The step's view of a state byte: complement of (byte + position), turned left, or minus turned right."""
    out = bytearray(256)
    for value in range(256):
        t = ~(value + position) & 0xFF
        out[value] = (t << 1 | t >> 7) & 0xFF if bit else -(t >> 1 | t << 7) & 0xFF
    return bytes(out)


def _tables() -> list[tuple[bytes, ...]]:
    """For each value of a key byte the eight look-up tables of its steps, in the order of the steps."""
    pair = [(_turned(7 - step, 0), _turned(7 - step, 1)) for step in range(8)]
    return [tuple(pair[step][key_byte >> step & 1] for step in range(8)) for key_byte in range(256)]


# 16 tables of 256 bytes, shared by all 256 rows: choosing the branches of a key costs one list look-up per key byte.
_STEPS = _tables()


def _absorb(key: bytes, rounds: int, start: bytes, message: bytes) -> bytes:
    """Run the machine over a message that already has whole blocks; no block at all for an empty one."""
    d0, d1, d2, d3, d4, d5, d6, d7 = start
    size = len(key)
    schedule = [_STEPS[key[index % size]] for index in range(rounds)]
    stream = iter(message)
    # zip takes eight message bytes per key byte from the one iterator, in order, and ends with the message.
    for m7, m6, m5, m4, m3, m2, m1, m0, (t7, t6, t5, t4, t3, t2, t1, t0) in zip(
        stream, stream, stream, stream, stream, stream, stream, stream, cycle(schedule)
    ):
        d7 = (d0 + m7 + t7[d7]) & 255
        d6 = (d7 + m6 + t6[d6]) & 255
        d5 = (d6 + m5 + t5[d5]) & 255
        d4 = (d5 + m4 + t4[d4]) & 255
        d3 = (d4 + m3 + t3[d3]) & 255
        d2 = (d3 + m2 + t2[d2]) & 255
        d1 = (d2 + m1 + t1[d1]) & 255
        d0 = (d1 + m0 + t0[d0]) & 255
    return bytes((d0, d1, d2, d3, d4, d5, d6, d7))


def _rounds(key: bytes, size: int | None = None) -> int:
    """The rounds that a key's length implies; ConfigError when the length does not fit."""
    rounds = ROUNDS.get(len(key))
    if rounds is None or (size is not None and len(key) != size):
        wanted = str(size) if size is not None else "6, 12, 16 or 20"
        raise ConfigError(
            f"a key of {len(key)} bytes does not fit this digest: it takes {wanted}",
            hint="OMAK has 12 bytes; of MBK and MAK the first 16 are used; EN 14908-1 has 6",
        )
    return rounds


def digest(key: bytes, message: bytes, *, start: bytes = _ZEROS, block_for_nothing: bool = True) -> bytes:
    """The digest for any allowed key length, first byte first, in plain Python.

    ``key``: 6, 12, 16 or 20 bytes; ``start``: 8 bytes. ``block_for_nothing``: whether an empty message still runs one
    block of zeros (the guide's reference code does, called once). Returns 8 bytes. Raises ConfigError for another
    length.
    """
    rounds = _rounds(key)
    block = 8 * rounds
    missing = -len(message) % block
    if missing or (block_for_nothing and not message):
        message = bytes(message) + bytes(missing or block)
    return _absorb(key, rounds, start, message)


# ---- the fast path -------------------------------------------------------------------------------------------------
# Compiled functions (key, message, length) -> digest as an integer, or None while plain Python is used.
_oma_kernel: Callable[[bytes, bytes, int], int] | None = None
_mep_kernel: Callable[[bytes, bytes, int], int] | None = None


def prefer_fast() -> bool:
    """Use the compiled kernels from now on; returns whether that worked.

    Needs Numba (extra ``fast``); without it nothing changes and the answer is False. The first call on a machine
    compiles, which takes seconds; later processes load the result from Numba's cache. Project choice, see the module.
    """
    global _oma_kernel, _mep_kernel
    if _oma_kernel is None:
        try:
            from osgp.crypto import lanes

            _oma_kernel, _mep_kernel = lanes.message_kernels()
        except ImportError:
            return False
    return True


def prefer_plain() -> None:
    """Go back to plain Python for single digests (tests, measurements, doubts)."""
    global _oma_kernel, _mep_kernel
    _oma_kernel = _mep_kernel = None


def fast_ready() -> bool:
    """Whether single digests go through the compiled kernel at present."""
    return _oma_kernel is not None


def oma_digest(key: bytes, message: bytes) -> bytes:
    """OMA digest of the power line: 12-byte OMAK, message of any length, 8 bytes back.

    An empty message gives zeros; real spans are never empty, and callers must refuse such a one. Raises ConfigError
    when the key has another length. Source: public known answer (key DF × 12), reproduced.
    """
    if _oma_kernel is not None and type(message) is bytes is type(key) and len(key) == 12:
        return _oma_kernel(key, message, len(message)).to_bytes(8, "little")
    _rounds(key, 12)
    return digest(key, message, block_for_nothing=False)


def mep_digest(key: bytes, message: bytes) -> bytes:
    """MEP digest: 16-byte key (the first 16 of MBK or MAK), message of any length, 8 bytes back.

    An empty message runs one block of zeros, as the guide's code does when called once. Raises ConfigError when the key
    has another length. Source: MEP guide v1.1, p. 251–253; its printed examples (p. 15–17, 45–50, 53–54) reproduce.
    """
    if _mep_kernel is not None and type(message) is bytes is type(key) and len(key) == 16:
        return _mep_kernel(key, message, len(message)).to_bytes(8, "little")
    _rounds(key, 16)
    return digest(key, message)


def en14908_digest(key: bytes, challenge: bytes, message: bytes) -> bytes:
    """Answer to a challenge as in EN 14908-1: 6-byte key, 8-byte challenge, the APDU; 8 bytes back.

    The message is taken last byte first and an empty one runs no block: the answer is then the challenge itself.
    Raises ConfigError for a wrong length. Source: equal to a public 14908-1 stack on random cases.
    """
    _rounds(key, 6)
    _check_challenge(challenge)
    return digest(key, bytes(message)[::-1], start=challenge, block_for_nothing=False)


def open_media_digest(key: bytes, challenge: bytes, destination: bytes, apdu: bytes) -> bytes:
    """Answer to a challenge in open media authentication: 12-byte key, 8-byte challenge, 9-byte destination, APDU.

    The joined destination and APDU are taken last byte first. Raises ConfigError for a wrong length. Source: EN
    14908-1, as in a public stack; vector ``en14908-oma-96-bit``.
    """
    _rounds(key, 12)
    _check_challenge(challenge)
    if len(destination) != 9:
        raise ConfigError(f"the destination of open media authentication has 9 bytes, not {len(destination)}")
    return digest(key, (bytes(destination) + bytes(apdu))[::-1], start=challenge, block_for_nothing=False)


def _check_challenge(challenge: bytes) -> None:
    if len(challenge) != 8:
        raise ConfigError(f"a challenge has 8 bytes, not {len(challenge)}")


def digest_batch(key: bytes, messages: Sequence[bytes] | NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Digests of many messages under one key: array of shape (n, 8), uint8.

    ``messages``: a sequence of byte strings of any lengths, or a uint8 array of shape (n, length). ``key``: 12 bytes
    (OMA) or 16 (MEP), with their rules for empty messages. The messages lie in parallel lanes, because one digest is
    a chain of dependent additions and many digests are not. Needs NumPy (ImportError without; ``oma_digest`` never
    does); uses Numba's kernel when ``prefer_fast()`` was called or from KERNEL_PAYS_FROM messages on. Raises
    ConfigError for the key.
    """
    from osgp.crypto import lanes

    rounds = _rounds(key)
    if len(key) not in (12, 16):
        raise ConfigError("batches are made with a key of 12 bytes (OMA) or 16 bytes (MEP)")
    use_kernel = _oma_kernel is not None or len(messages) >= KERNEL_PAYS_FROM
    return lanes.digest_batch(bytes(key), rounds, messages, block_for_nothing=len(key) == 16, kernel=use_kernel)


# ---- RC4 -----------------------------------------------------------------------------------------------------------
class Rc4:
    """An RC4 key stream that goes on from call to call, as the MEP needs over a request and its response.

    ``key``: 1 to 256 bytes. Nothing of the stream is skipped at its start, as OSGP uses it. Plain Python: messages are
    short, and the library for AES that we already have keeps RC4 among what it will remove.
    """

    __slots__ = ("_i", "_j", "_state")

    def __init__(self, key: bytes) -> None:
        size = len(key)
        if not 1 <= size <= 256:
            raise ConfigError(f"an RC4 key has 1 to 256 bytes, not {size}")
        state = list(range(256))
        j = 0
        for i, octet in zip(range(256), cycle(key)):
            held = state[i]
            j = (j + held + octet) & 255
            state[i] = state[j]
            state[j] = held
        self._state = state
        self._i = 0
        self._j = 0

    def __repr__(self) -> str:
        return "Rc4(hidden)"

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("a key stream is not written out")

    def keystream(self, count: int) -> bytes:
        """The next ``count`` bytes of the stream."""
        if count < 0:
            raise LocalProtocolError("a key stream does not run backwards")
        state, i, j = self._state, self._i, self._j
        out = bytearray(count)
        for place in range(count):
            i = (i + 1) & 255
            held = state[i]
            j = (j + held) & 255
            other = state[j]
            state[i] = other
            state[j] = held
            out[place] = state[(held + other) & 255]
        self._i, self._j = i, j
        return bytes(out)

    def update(self, data: bytes) -> bytes:
        """``data`` XOR the next bytes of the stream: encrypts and decrypts alike."""
        return _xor(data, self.keystream(len(data)))


def _xor(left: bytes, right: bytes) -> bytes:
    return (int.from_bytes(left, "big") ^ int.from_bytes(right, "big")).to_bytes(len(left), "big")


def rc4(key: bytes, data: bytes) -> bytes:
    """RC4 of ``data`` from the first byte of the stream; the same call decrypts. ConfigError for an empty key."""
    return Rc4(key).update(data)


# ---- keys of messages ----------------------------------------------------------------------------------------------
def oma_base_key(omak: bytes) -> bytes:
    """Base encryption key (16 bytes) of the power line from the 12-byte OMAK.

    Two 48-bit EN 14908-1 runs of one empty block each, from two constants. Only OMAK bytes 0 to 5 take part, so that 48
    bits protect secrecy; which six bytes the second half takes is not checked against the ETSI text (unverified).
    """
    _rounds(omak, 12)
    short = bytes(omak[:6])
    return digest(short, b"", start=_BEK_START_1) + digest(short, b"", start=_BEK_START_2)


def oma_message_key(omak: bytes, message_digest: bytes) -> bytes:
    """RC4 key (16 bytes) of one power-line message: the base key with its first half XOR the message's digest."""
    return _with_digest(oma_base_key(omak), message_digest)


def oma_encrypt(omak: bytes, message: bytes) -> tuple[bytes, bytes]:
    """A power-line message as (cipher text, digest); the digest is over the plain text and travels in clear."""
    mark = oma_digest(omak, message)
    return rc4(oma_message_key(omak, mark), message), mark


def mep_base_key(key: bytes) -> bytes:
    """Base encryption key (16 bytes) of the MEP from a MAK or MBK of 16 or 20 bytes; the first 16 count.

    RC4 of a 16-byte constant. Source: MEP guide v1.1, appendix B (p. 255–257); computed, no printed result to compare.
    """
    if len(key) not in (16, 20):
        raise ConfigError(f"a MEP key has 16 or 20 bytes, not {len(key)}")
    return rc4(bytes(key[:16]), _MEP_CONSTANT)


def mep_message_key(base_key: bytes, request_digest: bytes) -> bytes:
    """RC4 key (16 bytes) of one MEP exchange: ``mep_base_key`` with its first half XOR the request's digest.

    ``Rc4(mep_message_key(…))`` then covers the request's span and goes on over the response's.
    """
    return _with_digest(base_key, request_digest)


def _with_digest(base_key: bytes, message_digest: bytes) -> bytes:
    if len(base_key) != 16 or len(message_digest) != DIGEST_SIZE:
        raise ConfigError("a message key is made of a 16-byte base key and an 8-byte digest")
    return _xor(base_key[:8], message_digest) + bytes(base_key[8:])


def same(left: bytes, right: bytes) -> bool:
    """Whether two digests are equal, in a time that does not tell where they differ."""
    return hmac.compare_digest(left, right)
