"""What one key set is, and its ciphers: nonces, additional data, sealing and opening (``spec/osgp-application.md`` 3.2 to 3.6).

A **project choice**. A cipher is made once for a key, its generation and an address; per message there remain one call of AES-CCM
and a few joined bytes. The layouts are declared in ``messages``; what is cut here by position is held against them by tests.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from osgp.app.aes import TAG_SIZE, check_unique_node_id
from osgp.app.profile import OsgpProfile
from osgp.crypto.keys import Key
from osgp.wire.errors import ConfigError

__all__ = [
    "FRAME",
    "FRAME_PIECES",
    "NONCE",
    "REQUEST_AAD",
    "SEALED_PIECES",
    "Address",
    "BroadcastCipher",
    "KeySet",
    "UnicastCipher",
    "belongs",
    "slot_of",
]

MAX_GENERATION = 0xFFFF
_TAIL = 4 + TAG_SIZE
_LONGEST = 256


# A call of a struct that was made once costs less than the slices, conversions and sums that it stands for.
FRAME_PIECES: list[Callable[[bytes], tuple[bytes, int, bytes]]] = [
    struct.Struct(f">x{max(0, size - 1 - _TAIL)}sI{TAG_SIZE}s").unpack for size in range(_LONGEST)
]
"""By length: ciphertext, counter and tag of a frame with a counter."""
NONCE = struct.Struct(">9sI").pack
"""The nonce: what is fixed for a key, the counter."""
REQUEST_AAD = struct.Struct(">10sI").pack
"""The additional data of a request: what is fixed for a key, the counter."""
SEALED_PIECES: list[Callable[[bytes], tuple[bytes, bytes]]] = [
    struct.Struct(f"{max(0, size - TAG_SIZE)}s{TAG_SIZE}s").unpack for size in range(_LONGEST)
]
"""By length: ciphertext and tag, as AES-CCM gives them."""
FRAME: list[Callable[[bytes, bytes, int, bytes], bytes]] = [
    struct.Struct(f">c{max(0, size - TAG_SIZE)}sI{TAG_SIZE}s").pack for size in range(_LONGEST)
]
"""By the length of what AES-CCM gives: a frame of code, ciphertext, counter and tag."""
DOMAIN_SIZES = (0, 1, 3, 6)


def slot_of(generation: int) -> int:
    """The key slot of a generation, 0 or 1; generations start at 1 (3.2)."""
    return (generation - 1) & 1


@dataclass(frozen=True, slots=True)
class Address:
    """Where a device is: domain (0, 1, 3 or 6 bytes), subnet 1–255, node 1–127. Raises ConfigError for anything else."""

    domain: bytes
    subnet: int
    node: int

    def __post_init__(self) -> None:
        if len(self.domain) not in DOMAIN_SIZES:
            raise ConfigError(f"a domain id has 0, 1, 3 or 6 bytes, not {len(self.domain)}")
        if not 1 <= self.subnet <= 255 or not 1 <= self.node <= 127:
            raise ConfigError(
                f"no device has the address subnet {self.subnet}, node {self.node}",
                hint="subnets are 1 to 255, nodes 1 to 127",
            )

    @property
    def dom(self) -> bytes:
        """DOM of the additional data: the domain id padded to 6 bytes, and its length (3.2)."""
        return dom_of(self.domain)


def dom_of(domain: bytes) -> bytes:
    """DOM: domain id zero-padded to 6 | domain length."""
    return domain.ljust(6, b"\0") + bytes([len(domain)])


@dataclass(frozen=True, slots=True)
class KeySet:
    """All that a commissioning handshake gives a device: one set, committed as a whole or not at all (3.7)."""

    epoch: int
    concentrator_id: bytes
    address: Address
    ku: Key
    ku_generation: int
    first_seq: int
    kb: Key
    kb_generation: int
    b: int
    d: int

    def __post_init__(self) -> None:
        check_unique_node_id(self.concentrator_id)
        if not 0 <= self.epoch <= 0xFFFF:
            raise ConfigError(f"an epoch is 0 to 65535, not {self.epoch}")
        for generation in (self.ku_generation, self.kb_generation):
            if not 1 <= generation <= MAX_GENERATION:
                raise ConfigError(f"a key generation is 1 to 65535, not {generation}")
        if not 1 <= self.first_seq <= 0xFFFFFFFF:
            raise ConfigError(f"the first sequence number is 1 or more, not {self.first_seq}")
        if not 0 <= self.b <= 0xFFFFFFFF or not 0 <= self.d <= 0xFFFF:
            raise ConfigError("B has 4 bytes, D has 2")
        self.ku.for_aes()
        self.kb.for_aes()


class UnicastCipher:
    """KU at one address: everything between one device and its concentrator. Holds the key; shows nothing of it."""

    __slots__ = (
        "_alert_aad",
        "_alert_nonce",
        "_error_aad",
        "_error_nonce",
        "_response_nonce",
        "alert_code",
        "decrypt",
        "encrypt",
        "error_code",
        "generation",
        "request_aad",
        "request_code",
        "request_nonce",
        "slot",
    )

    def __init__(self, ku: Key, generation: int, unique_node_id: bytes, address: Address, profile: OsgpProfile) -> None:
        codes, nonces = profile.codes, profile.nonces
        ccm = AESCCM(ku.for_aes(), tag_length=TAG_SIZE)
        self.encrypt, self.decrypt = ccm.encrypt, ccm.decrypt
        self.generation = generation
        self.slot = slot = slot_of(generation)
        self.request_code = bytes([codes.request + slot])
        self.error_code = bytes([codes.sequence_error + slot])
        self.alert_code = bytes([codes.alert + slot])
        tail = check_unique_node_id(unique_node_id) + generation.to_bytes(2, "big")
        self.request_nonce = bytes([nonces.request]) + tail
        self._response_nonce = bytes([nonces.response]) + tail
        self._error_nonce = bytes([nonces.sequence_error]) + tail
        self._alert_nonce = bytes([nonces.alert]) + tail
        place = address.dom + bytes([address.subnet, address.node])
        self.request_aad = place + self.request_code
        self._error_aad = place + self.error_code
        self._alert_aad = place + self.alert_code

    def __repr__(self) -> str:
        return f"UnicastCipher(generation {self.generation}, key hidden)"

    def seal_request(self, plaintext: bytes, seq: int) -> bytes:
        """The secured request (3.3). The caller answers for using each number once."""
        sealed = self.encrypt(NONCE(self.request_nonce, seq), plaintext, REQUEST_AAD(self.request_aad, seq))
        size = len(sealed)
        ciphertext, tag = SEALED_PIECES[size](sealed)
        return FRAME[size](self.request_code, ciphertext, seq, tag)

    def open_request(self, frame: bytes) -> bytes | None:
        """The plaintext of a secured request of at least 13 bytes, or None if its tag is bad."""
        ciphertext, seq, tag = FRAME_PIECES[len(frame)](frame)
        try:
            return self.decrypt(NONCE(self.request_nonce, seq), ciphertext + tag, REQUEST_AAD(self.request_aad, seq))
        except InvalidTag:
            return None

    def seal_response(self, plaintext: bytes, request: bytes) -> bytes:
        """The secured response to a request, whose tag it covers (3.4)."""
        tail = request[-_TAIL:]
        sealed = self.encrypt(self._response_nonce + tail[:4], plaintext, self.request_aad + tail)
        return self.request_code + sealed

    def open_response(self, frame: bytes, request: bytes) -> bytes | None:
        """The plaintext of a response of at least 9 bytes to exactly this request, or None."""
        tail = request[-_TAIL:]
        try:
            return self.decrypt(self._response_nonce + tail[:4], frame[1:], self.request_aad + tail)
        except InvalidTag:
            return None

    def seal_error(self, plaintext: bytes, ectr: int, request: bytes) -> bytes:
        """The sequence error to a request (3.4)."""
        counter = ectr.to_bytes(4, "big")
        aad = self._error_aad + counter + request[-TAG_SIZE:]
        sealed = self.encrypt(self._error_nonce + counter, plaintext, aad)
        return self.error_code + sealed[:-TAG_SIZE] + counter + sealed[-TAG_SIZE:]

    def open_error(self, frame: bytes, request: bytes) -> bytes | None:
        """The plaintext of a sequence error to exactly this request, or None."""
        counter = frame[-_TAIL:-TAG_SIZE]
        aad = self._error_aad + counter + request[-TAG_SIZE:]
        try:
            return self.decrypt(self._error_nonce + counter, frame[1:-_TAIL] + frame[-TAG_SIZE:], aad)
        except InvalidTag:
            return None

    def seal_alert(self, plaintext: bytes, actr: int) -> bytes:
        """The unsolicited alert (3.5)."""
        counter = actr.to_bytes(4, "big")
        sealed = self.encrypt(self._alert_nonce + counter, plaintext, self._alert_aad + counter)
        return self.alert_code + sealed[:-TAG_SIZE] + counter + sealed[-TAG_SIZE:]

    def open_alert(self, frame: bytes) -> bytes | None:
        """The plaintext of an alert, or None."""
        counter = frame[-_TAIL:-TAG_SIZE]
        try:
            return self.decrypt(
                self._alert_nonce + counter, frame[1:-_TAIL] + frame[-TAG_SIZE:], self._alert_aad + counter
            )
        except InvalidTag:
            return None


class BroadcastCipher:
    """KB of one concentrator in one domain (3.6). Holds the key; shows nothing of it."""

    __slots__ = ("_aad", "_ccm", "_nonce", "code", "generation", "slot")

    def __init__(self, kb: Key, generation: int, concentrator_id: bytes, domain: bytes, profile: OsgpProfile) -> None:
        self._ccm = AESCCM(kb.for_aes(), tag_length=TAG_SIZE)
        self.generation = generation
        self.slot = slot_of(generation)
        self.code = bytes([profile.codes.broadcast + self.slot])
        check_unique_node_id(concentrator_id)
        self._nonce = bytes([profile.nonces.broadcast]) + concentrator_id + generation.to_bytes(2, "big")
        self._aad = dom_of(domain) + concentrator_id

    def __repr__(self) -> str:
        return f"BroadcastCipher(generation {self.generation}, key hidden)"

    def seal(self, plaintext: bytes, groups: Sequence[int], bctr: int) -> bytes:
        """The secured broadcast to ``groups``, all devices if there are none."""
        head = self.code + bytes([len(groups)]) + b"".join(group.to_bytes(2, "little") for group in groups)
        counter = bctr.to_bytes(4, "big")
        sealed = self._ccm.encrypt(self._nonce + counter, plaintext, self._aad + head + counter)
        return head + sealed[:-TAG_SIZE] + counter + sealed[-TAG_SIZE:]

    def open(self, frame: bytes, head_size: int) -> bytes | None:
        """The plaintext behind code, count and group ids of ``head_size`` bytes, or None if the tag is bad."""
        counter = frame[-_TAIL:-TAG_SIZE]
        sealed = frame[head_size:-_TAIL] + frame[-TAG_SIZE:]
        try:
            return self._ccm.decrypt(self._nonce + counter, sealed, self._aad + frame[:head_size] + counter)
        except InvalidTag:
            return None


def belongs(group: int, own: Collection[int]) -> bool:
    """Whether a group id means a device with these group ids: YYFF all of YY, FFYY everyone, 0000 nobody (1.8, ET52) [V]."""
    if group == 0:
        return False
    if group >> 8 == 0xFF:
        return True
    if group & 0xFF == 0xFF:
        return any(one >> 8 == group >> 8 for one in own)
    return group in own
