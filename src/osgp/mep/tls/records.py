"""The record layer: header layout, cutting a stream into records, and AES-256-GCM protection.

Sources: RFC 5246, 6.2 (records) and 6.2.3.3 (AEAD); RFC 5288, 3 (GCM nonce: 4 bytes from the key block, 8 explicit).
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from osgp.mep.tls.alerts import Alert, Refusal
from osgp.mep.tls.keyschedule import WriteKeys
from osgp.wire import OpenEnum, Struct, layout_of
from osgp.wire import fields as f
from osgp.wire.errors import BadDigest, LocalProtocolError

__all__ = [
    "HEADER_LENGTH",
    "MAX_PLAINTEXT",
    "OVERHEAD",
    "TLS_1_2",
    "AdditionalData",
    "ChangeCipherSpec",
    "ContentType",
    "Record",
    "RecordBuffer",
    "RecordCipher",
    "RecordHeader",
    "SealedFragment",
    "encode_record",
]

TLS_1_2 = 0x0303
MAX_PLAINTEXT = 1 << 14
MAX_CIPHERTEXT = MAX_PLAINTEXT + 2048

_EXPLICIT_NONCE = 8
_TAG = 16
_LAST_SEQUENCE = (1 << 64) - 1


class ContentType(OpenEnum):
    """First byte of a record."""

    CHANGE_CIPHER_SPEC = 20
    ALERT = 21
    HANDSHAKE = 22
    APPLICATION_DATA = 23


class RecordHeader(Struct, byte_order="big", floor="mep.tls", source="RFC 5246 section 6.2", status="verified"):
    """What every record begins with."""

    content_type: ContentType = f.code(ContentType, orig="TYPE", doc="what the record carries")
    version: int = f.u16(default=TLS_1_2, doc="0303 is TLS 1.2; a first ClientHello may say less")
    length: int = f.u16(unit="byte", doc="bytes that follow, at most 16384, sealed 18432")


class Record(RecordHeader):
    """One record as it travels."""

    fragment: bytes = f.binary(RecordHeader.declared["length"], doc="content, or what SealedFragment describes")


class SealedFragment(
    Struct, byte_order="big", floor="mep.tls", source="RFC 5246 section 6.2.3.3; RFC 5288 section 3", status="verified"
):
    """What a record of a protected direction carries."""

    nonce_explicit: bytes = f.binary(_EXPLICIT_NONCE, doc="second part of the GCM nonce")
    sealed: bytes = f.binary(orig="AEAD_ENCRYPTED", doc="encrypted content, and a tag of 16 bytes")


class AdditionalData(
    Struct, byte_order="big", floor="mep.tls", source="RFC 5246 section 6.2.3.3", status="verified", exact=True
):
    """What the tag of a sealed record covers beside its content; never sent."""

    sequence: int = f.u64(orig="SEQ_NUM", doc="records sent before in this direction since the change of cipher")
    header: RecordHeader = f.record(RecordHeader, doc="with the length of the content in plain")


class ChangeCipherSpec(
    Struct, byte_order="big", floor="mep.tls", source="RFC 5246 section 7.1", status="verified", exact=True
):
    """The content of a change of cipher: from the next record on the new keys hold."""

    kind: int = f.u8(default=1, orig="TYPE", doc="always 1")


HEADER_LENGTH = layout_of(RecordHeader).size or 0
OVERHEAD = HEADER_LENGTH + _EXPLICIT_NONCE + _TAG
"""Bytes that a sealed record is longer than its content; matters in MEP, whose frames end at 476 bytes."""


def encode_record(content_type: ContentType, fragment: bytes) -> bytes:
    """A TLS 1.2 record around its fragment."""
    return RecordHeader(content_type=content_type, length=len(fragment)).encode() + fragment


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
        header = RecordHeader.decode(bytes(data[:HEADER_LENGTH]))
        if not header.content_type.known:
            raise Refusal(Alert.UNEXPECTED_MESSAGE, "no TLS record begins with this byte")
        if header.version >> 8 != TLS_1_2 >> 8:
            raise Refusal(Alert.PROTOCOL_VERSION, "a record of an unknown TLS version")
        if header.length > MAX_CIPHERTEXT:
            raise Refusal(Alert.RECORD_OVERFLOW, "a record longer than TLS allows")
        end = HEADER_LENGTH + header.length
        if len(data) < end:
            return None
        record = Record.decode(bytes(data[:end]))
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
        nonce = self._sequence.to_bytes(_EXPLICIT_NONCE, "big")
        sealed = self._aead.encrypt(self._iv + nonce, plain, self._additional_data(content_type, len(plain)))
        self._sequence += 1
        return encode_record(content_type, SealedFragment(nonce_explicit=nonce, sealed=sealed).encode())

    def open(self, content_type: ContentType, fragment: bytes) -> bytes:
        """The content of a sealed fragment; a damaged, repeated or moved record is refused by its tag."""
        if self._sequence > _LAST_SEQUENCE:
            raise Refusal(Alert.UNEXPECTED_MESSAGE, "the peer has used up all record numbers")
        size = len(fragment) - _EXPLICIT_NONCE - _TAG
        if size < 0:
            raise _bad_record()
        part = SealedFragment.decode(fragment)
        nonce = self._iv + part.nonce_explicit
        try:
            plain = self._aead.decrypt(nonce, part.sealed, self._additional_data(content_type, size))
        except InvalidTag:
            raise _bad_record() from None
        self._sequence += 1
        if size > MAX_PLAINTEXT:
            raise Refusal(Alert.RECORD_OVERFLOW, "a record with more content than TLS allows")
        return plain

    def _additional_data(self, content_type: ContentType, length: int) -> bytes:
        header = RecordHeader(content_type=content_type, length=length)
        return AdditionalData(sequence=self._sequence, header=header).encode()


def _bad_record() -> Refusal:
    return Refusal(Alert.BAD_RECORD_MAC, BadDigest("a TLS record does not verify"))
