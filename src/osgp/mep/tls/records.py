"""The record layer: header layout, cutting a stream into records, and AES-256-GCM protection.

Sources: RFC 5246, 6.2 (records) and 6.2.3.3 (AEAD); RFC 5288, 3 (GCM nonce: 4 bytes from the key block, 8 explicit).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from osgp.mep.tls.alerts import Alert, Refusal
from osgp.mep.tls.keyschedule import WriteKeys
from osgp.wire.errors import BadDigest, LocalProtocolError

__all__ = [
    "HEADER_LENGTH",
    "MAX_PLAINTEXT",
    "OVERHEAD",
    "TLS_1_2",
    "ContentType",
    "Record",
    "RecordBuffer",
    "RecordCipher",
    "encode_record",
]

TLS_1_2 = 0x0303
HEADER_LENGTH = 5
MAX_PLAINTEXT = 1 << 14
MAX_CIPHERTEXT = MAX_PLAINTEXT + 2048

_EXPLICIT_NONCE = 8
_TAG = 16
_LAST_SEQUENCE = (1 << 64) - 1

OVERHEAD = HEADER_LENGTH + _EXPLICIT_NONCE + _TAG
"""Bytes that a sealed record is longer than its content; matters in MEP, whose frames end at 476 bytes."""


class ContentType(IntEnum):
    """First byte of a record."""

    CHANGE_CIPHER_SPEC = 20
    ALERT = 21
    HANDSHAKE = 22
    APPLICATION_DATA = 23


@dataclass(frozen=True, slots=True)
class Record:
    """One record as it travels: content type, version, and the fragment (sealed or not)."""

    content_type: ContentType
    version: int
    fragment: bytes


def encode_record(content_type: ContentType, fragment: bytes) -> bytes:
    """A TLS 1.2 record: type (1), version (2), length (2), fragment."""
    return bytes((content_type,)) + TLS_1_2.to_bytes(2, "big") + len(fragment).to_bytes(2, "big") + fragment


class RecordBuffer:
    """Bytes in as they come, whole records out. Holds at most one unfinished record between calls of ``next``."""

    def __init__(self) -> None:
        self._data = bytearray()

    def __len__(self) -> int:
        return len(self._data)

    def feed(self, data: bytes) -> None:
        """Adds bytes from the peer."""
        self._data += data

    def clear(self) -> None:
        """Forgets everything."""
        self._data.clear()

    def next(self) -> Record | None:
        """The next whole record, or None while it is not complete; a bad header is refused before its body comes."""
        data = self._data
        if len(data) < HEADER_LENGTH:
            return None
        try:
            content_type = ContentType(data[0])
        except ValueError:
            raise Refusal(Alert.UNEXPECTED_MESSAGE, "no TLS record begins with this byte") from None
        if data[1] != TLS_1_2 >> 8:
            raise Refusal(Alert.PROTOCOL_VERSION, "a record of an unknown TLS version")
        length = int.from_bytes(data[3:5], "big")
        if length > MAX_CIPHERTEXT:
            raise Refusal(Alert.RECORD_OVERFLOW, "a record longer than TLS allows")
        end = HEADER_LENGTH + length
        if len(data) < end:
            return None
        record = Record(content_type, int.from_bytes(data[1:3], "big"), bytes(data[HEADER_LENGTH:end]))
        del data[:end]
        return record


class RecordCipher:
    """One direction of a session: seals or opens records and counts them.

    Two objects made from the same keys must never both seal: a nonce would be used twice. The explicit nonce of what we
    seal is the record's number; of what we open it may be anything, since the number is under the tag all the same.
    """

    def __init__(self, keys: WriteKeys, sequence: int = 0) -> None:
        self._aead = AESGCM(keys.key)
        self._iv = keys.iv
        self._sequence = sequence

    def __repr__(self) -> str:
        return f"<RecordCipher sequence={self._sequence}>"

    def seal(self, content_type: ContentType, plain: bytes) -> bytes:
        """One whole sealed record. Raises LocalProtocolError when the numbers are used up."""
        if self._sequence > _LAST_SEQUENCE:
            raise LocalProtocolError("all record numbers are used up", hint="Open a new session.")
        number = self._sequence.to_bytes(_EXPLICIT_NONCE, "big")
        self._sequence += 1
        sealed = self._aead.encrypt(self._iv + number, plain, _additional_data(number, content_type, len(plain)))
        return encode_record(content_type, number + sealed)

    def open(self, content_type: ContentType, fragment: bytes) -> bytes:
        """The content of a sealed fragment; a damaged, repeated or moved record is refused by its tag."""
        if self._sequence > _LAST_SEQUENCE:
            raise Refusal(Alert.UNEXPECTED_MESSAGE, "the peer has used up all record numbers")
        size = len(fragment) - _EXPLICIT_NONCE - _TAG
        if size < 0:
            raise _bad_record()
        number = self._sequence.to_bytes(8, "big")
        explicit, sealed = fragment[:_EXPLICIT_NONCE], fragment[_EXPLICIT_NONCE:]
        try:
            plain = self._aead.decrypt(self._iv + explicit, sealed, _additional_data(number, content_type, size))
        except InvalidTag:
            raise _bad_record() from None
        self._sequence += 1
        if size > MAX_PLAINTEXT:
            raise Refusal(Alert.RECORD_OVERFLOW, "a record with more content than TLS allows")
        return plain


def _additional_data(number: bytes, content_type: ContentType, length: int) -> bytes:
    return number + bytes((content_type,)) + TLS_1_2.to_bytes(2, "big") + length.to_bytes(2, "big")


def _bad_record() -> Refusal:
    return Refusal(Alert.BAD_RECORD_MAC, BadDigest("a TLS record does not verify"))
