"""What the MEP machines report: frozen, named in the past tense, drained by ``events()``."""

from __future__ import annotations

from dataclasses import dataclass

from osgp.wire.errors import Error

__all__ = [
    "AlertReceived",
    "BaudChanged",
    "Dropped",
    "Event",
    "LeakedAsLight",
    "RequestFailed",
    "RequestRefused",
    "RequestRetried",
    "RequestServed",
    "ResponseReceived",
    "SequenceAccepted",
    "SequenceAdvanced",
    "SequenceCorrected",
    "TlsEnded",
    "TlsEstablished",
]


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events of this package."""


@dataclass(frozen=True, slots=True)
class Dropped(Event):
    """Bytes that were no use: noise, a damaged or unasked frame. ``data`` holds at most some hundred of them."""

    reason: str
    data: bytes


@dataclass(frozen=True, slots=True)
class AlertReceived(Event):
    """Client: the meter wants attention (two zero bytes). Not authenticated: look at ET13, believe nothing."""


# ---- client ----
@dataclass(frozen=True, slots=True)
class SequenceAdvanced(Event):
    """Client: ``number`` is about to be used. Save it before the next call of ``outgoing``, which waits for this event."""

    number: int


@dataclass(frozen=True, slots=True)
class SequenceCorrected(Event):
    """Client: the meter answered 0C and gave ``number``. If it is not news of our own making, look at ET04.116."""

    number: int
    sent: int


@dataclass(frozen=True, slots=True)
class RequestRetried(Event):
    """Client: no usable answer, attempt number ``attempt`` begins."""

    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class ResponseReceived(Event):
    """Client: the answer to the current request.

    ``message`` begins with the response code. ``proven``: only the meter can have made it. False for every bare code of
    RC4 mode: it carries the digest of its request, so that everybody on the line can make it.
    """

    request: bytes
    message: bytes
    proven: bool
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class RequestFailed(Event):
    """Client: no answer will come; ``error`` is ready to be raised.

    ``possibly_executed``: the meter may have carried the request out all the same, ``error`` is then
    ``PossiblyExecuted``
    or a refusal after an unanswered attempt. Never repeat a procedure in that case without looking first.
    """

    request: bytes
    error: Error
    possibly_executed: bool = False


@dataclass(frozen=True, slots=True)
class TlsEstablished(Event):
    """A TLS session is up. ``identity``: the three bytes of the client (client ID, key ID)."""

    identity: bytes


@dataclass(frozen=True, slots=True)
class TlsEnded(Event):
    """The TLS session, or the attempt at one, is over."""

    reason: str


# ---- server ----
@dataclass(frozen=True, slots=True)
class RequestServed(Event):
    """Server: a request was carried out. ``mode``: "rc4", "rc4-encrypted" or "tls"."""

    message: bytes
    response: bytes
    access: str
    mode: str


@dataclass(frozen=True, slots=True)
class RequestRefused(Event):
    """Server: a frame was answered by a code of the MEP layer (01, 03, 0A, 0B, 0C) without asking the tables."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class SequenceAccepted(Event):
    """Server: the port's counter is now ``number`` (the last one accepted); keep it over a restart."""

    number: int


@dataclass(frozen=True, slots=True)
class BaudChanged(Event):
    """Server: the response has left, the line runs at ``baud`` from now on."""

    baud: int


@dataclass(frozen=True, slots=True)
class LeakedAsLight(Event):
    """Server of generation 2 or 3: bytes that left through the optical port, which shares the UART."""

    data: bytes
