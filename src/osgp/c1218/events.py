"""What the machines of the optical door report: frozen, named in the past."""

from __future__ import annotations

from dataclasses import dataclass, field

from osgp.wire.errors import Error

__all__ = [
    "AccessGranted",
    "AccessRefused",
    "AnswerReceived",
    "BaudChanged",
    "ChannelTimedOut",
    "Dropped",
    "EchoSeen",
    "Event",
    "LockedOut",
    "LoggedOn",
    "MessageReceived",
    "MessageSent",
    "MessageSpoiled",
    "OpenFailed",
    "RequestFailed",
    "SessionClosed",
    "SessionOpened",
    "TransactionFailed",
]


class Event:
    """Base of all events of this floor."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Dropped(Event):
    """Bytes were thrown away; ``reason`` in words, ``data`` what they were (cut to a packet's length)."""

    reason: str
    data: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class EchoSeen(Event):
    """Our own packet came straight back: a one-wire head, or light reflected by the window. Echoes are skipped from now on."""


@dataclass(frozen=True, slots=True)
class MessageReceived(Event):
    """A whole message came, its packets joined and acknowledged."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class MessageSpoiled(Event):
    """A transmission of good packets made no message: parts out of order, too many, or out of step (``reason``)."""

    reason: str


@dataclass(frozen=True, slots=True)
class MessageSent(Event):
    """The peer has acknowledged every packet of our message."""


@dataclass(frozen=True, slots=True)
class TransactionFailed(Event):
    """All repetitions of a packet were in vain."""

    reason: str
    attempts: int


@dataclass(frozen=True, slots=True)
class ChannelTimedOut(Event):
    """No valid packet for the channel traffic time: the session is over on both sides."""


@dataclass(frozen=True, slots=True)
class SessionOpened(Event):
    """Client: identified, negotiated, logged on. Server: a client has identified itself (the shared UART is now optical)."""

    packet_size: int = 64
    packets: int = 1
    baud: int = 9600
    version: int = 0
    revision: int = 0


@dataclass(frozen=True, slots=True)
class SessionClosed(Event):
    """The session has ended. ``reopen``: not by our wish; the next request opens a new one by itself."""

    reason: str
    reopen: bool = False


@dataclass(frozen=True, slots=True)
class OpenFailed(Event):
    """Opening a session failed; ``error`` is for the caller."""

    error: Error


@dataclass(frozen=True, slots=True)
class AnswerReceived(Event):
    """The answer to the client's request: a message that begins with its response code."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class RequestFailed(Event):
    """The request has no answer; ``error`` is for the caller."""

    error: Error


@dataclass(frozen=True, slots=True)
class BaudChanged(Event):
    """Everything handed out so far goes at the old rate, everything after at ``baud``."""

    baud: int


@dataclass(frozen=True, slots=True)
class LoggedOn(Event):
    """Server: a client gave its user ID and name (neither is checked, optical guide p. 13)."""

    user_id: int
    user: str


@dataclass(frozen=True, slots=True)
class AccessGranted(Event):
    """Server: the password fits; ``access`` is what the key check returned (MK, PK, RK)."""

    access: str


@dataclass(frozen=True, slots=True)
class AccessRefused(Event):
    """Server: wrong password, ``attempts`` in a row so far."""

    attempts: int


@dataclass(frozen=True, slots=True)
class LockedOut(Event):
    """Server: too many wrong passwords; no password is accepted for ``seconds``."""

    seconds: float
