"""Security of RC4 mode: digests of requests and responses, and the optional encryption of an exchange.

Published as broken; see ``osgp.crypto.legacy``. Layout: guide p. 11 and 13, appendix A and B; ``spec/mep.md`` 5.
"""

from __future__ import annotations

from dataclasses import dataclass

from osgp.crypto.keys import Key
from osgp.crypto.legacy import Rc4, mep_base_key, mep_digest, mep_message_key, same
from osgp.mep.frame import DIGEST_SIZE, SEQUENCE_SIZE
from osgp.wire.errors import ConfigError

__all__ = ["Exchange", "Opened", "key16", "open_request", "seal_request"]


def key16(key: object) -> bytes:
    """The 16 bytes that count of a MAK or MBK, given as ``Key`` or as 16 or 20 bytes. Raises ConfigError."""
    if isinstance(key, Key):
        return key.for_mep()
    if not isinstance(key, bytes) or len(key) not in (16, 20):
        raise ConfigError("a MEP key has 16 or 20 bytes", hint="20 characters, 40 hexadecimal digits or 16 bytes")
    return key[:16]


@dataclass(slots=True, repr=False)
class Exchange:
    """One request and what is needed for its responses. ``span``: message and sequence number, in plain.

    ``encrypted``: the key stream goes on from the request over the response, so every opening begins anew behind it.
    """

    key: bytes
    span: bytes
    digest: bytes
    encrypted: bool

    def __repr__(self) -> str:
        return f"Exchange({self.message.hex()}, encrypted={self.encrypted})"

    @property
    def message(self) -> bytes:
        """The C12.18 message of the request."""
        return self.span[:-SEQUENCE_SIZE]

    @property
    def sequence(self) -> int:
        """The request's sequence number."""
        return int.from_bytes(self.span[-SEQUENCE_SIZE:], "big")

    def _stream(self, skip: int) -> Rc4:
        stream = Rc4(mep_message_key(mep_base_key(self.key), self.digest))
        stream.keystream(skip)
        return stream

    def request_body(self) -> bytes:
        """The request as it travels, without its length."""
        return (self._stream(0).update(self.span) if self.encrypted else self.span) + self.digest

    def response_body(self, message: bytes) -> bytes:
        """The body of a response: encrypted if the request was, signed over request and response."""
        digest = mep_digest(self.key, self.span + message)
        return (self._stream(len(self.span)).update(message) if self.encrypted else message) + digest

    def open_response(self, body: bytes) -> bytes | None:
        """The response message, or None if its digest does not fit this request."""
        if len(body) <= DIGEST_SIZE:
            return None
        message, digest = body[:-DIGEST_SIZE], body[-DIGEST_SIZE:]
        if self.encrypted:
            message = self._stream(len(self.span)).update(message)
        return message if same(mep_digest(self.key, self.span + message), digest) else None


def seal_request(key: bytes, message: bytes, sequence: int, *, encrypt: bool) -> Exchange:
    """The exchange that a client begins. ``key``: 16 bytes."""
    span = message + sequence.to_bytes(SEQUENCE_SIZE, "big")
    return Exchange(key, span, mep_digest(key, span), encrypt)


@dataclass(frozen=True, slots=True)
class Opened:
    """A request that authenticated: which key fitted, and the exchange to answer it with."""

    access: str
    exchange: Exchange


def open_request(body: bytes, keys: dict[str, bytes]) -> Opened | None:
    """Who sent a request: the keys are tried in their order on the bytes as they are, then decrypted (guide p. 11, 13).

    ``keys``: access level → 16 bytes, MAK before MBK. None if none fits. The order of the four trials is a project
    choice;
    it cannot be seen from outside (``spec/mep.md`` 5.4).
    """
    span, digest = body[:-DIGEST_SIZE], body[-DIGEST_SIZE:]
    if len(span) <= SEQUENCE_SIZE:
        return None
    for access, key in keys.items():
        if same(mep_digest(key, span), digest):
            return Opened(access, Exchange(key, span, digest, False))
    for access, key in keys.items():
        plain = Rc4(mep_message_key(mep_base_key(key), digest)).update(span)
        if same(mep_digest(key, plain), digest):
            return Opened(access, Exchange(key, plain, digest, True))
    return None
