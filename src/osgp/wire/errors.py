"""Every way in which osgp says no, as one tree.

::

    Error ─ DecodeError(ValueError)   Truncated, BadValue, BadCrc, UnknownCode    the bytes cannot be read
          ├ ProtocolError             LocalProtocolError (our call was wrong), RemoteProtocolError (the peer's message was)
          ├ SecurityError             BadDigest, Replayed, NoKey                  says as little as possible
          ├ ResponseError             one class per response code                 the peer heard us and said no
          ├ LinkError                 NoAnswer, PortClosed, NoRoute               nobody heard us
          ├ StoreError                                                            the store cannot keep or find it
          └ ConfigError                                                           a setting, address or key is wrong

Each error can carry a ``hint``: the likely cause and what to do next, in words for the person at the terminal.
Keys never appear in any of them. The tree is a project choice (see ``docs/design/errors.md``).
"""

from __future__ import annotations

__all__ = [
    "BadCrc",
    "BadDigest",
    "BadValue",
    "ConfigError",
    "DecodeError",
    "Error",
    "LinkError",
    "LocalProtocolError",
    "NoAnswer",
    "NoKey",
    "NoRoute",
    "PortClosed",
    "ProtocolError",
    "RemoteProtocolError",
    "Replayed",
    "ResponseError",
    "SecurityError",
    "StoreError",
    "Truncated",
    "UnknownCode",
]


class Error(Exception):
    """The root: ``except osgp.Error`` catches everything this package raises on purpose."""

    hint: str

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    @property
    def message(self) -> str:
        """The first sentence, without the hint."""
        return str(self.args[0]) if self.args else type(self).__name__


class DecodeError(Error, ValueError):
    """Bytes that are not what their declaration says.

    Attributes: ``floor`` (``wire``, ``tables``, ``c1218``, ``mep`` …), ``struct`` and ``field`` (names as declared; ``field``
    may be a path), ``bit_offset`` from the start of ``data`` (None when it has no place), ``data`` (the bytes looked at).
    """

    def __init__(
        self,
        message: str,
        *,
        floor: str = "wire",
        struct: str = "",
        field: str = "",
        bit_offset: int | None = None,
        data: bytes = b"",
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.floor = floor
        self.struct = struct
        self.field = field
        self.bit_offset = bit_offset
        self.data = bytes(data)

    def __str__(self) -> str:
        where = ".".join(part for part in (self.struct, self.field) if part)
        place = "" if self.bit_offset is None else f" at byte {self.bit_offset // 8}"
        if self.bit_offset is not None and self.bit_offset % 8:
            place += f" bit {self.bit_offset % 8}"
        return f"{self.message} ({self.floor}: {where or 'bytes'}{place})"


class Truncated(DecodeError):
    """The bytes end before the field does."""


class BadValue(DecodeError):
    """A value that its field cannot hold, in bytes or on the way to bytes."""


class BadCrc(DecodeError):
    """A check value does not fit its bytes: damaged on the way."""


class UnknownCode(DecodeError):
    """A code that decides the layout of what follows, and that no declaration knows."""


class ProtocolError(Error):
    """Somebody broke the order of the conversation."""


class LocalProtocolError(ProtocolError):
    """Our own call does not fit the state of the conversation; nothing was sent."""


class RemoteProtocolError(ProtocolError):
    """The peer sent something that does not fit the state of the conversation."""


class SecurityError(Error):
    """A message that may not be trusted. Never derived from DecodeError: it says as little as possible."""


class BadDigest(SecurityError):
    """A digest, tag or Finished value is not the one our key gives."""


class Replayed(SecurityError):
    """A sequence number or counter was seen before, or lies outside the window."""


class NoKey(SecurityError):
    """The key that this needs is not at hand, or the peer refuses the one we have."""


class ResponseError(Error):
    """The peer understood and said no; ``code`` is its response code (see ``osgp.tables.services.ResponseCode``)."""

    code: int

    def __init__(self, message: str = "", *, code: int = -1, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code


class LinkError(Error):
    """Nobody heard us, or the line went away; ``attempts`` says how often we tried."""

    def __init__(self, message: str = "", *, attempts: int = 0, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.attempts = attempts


class NoAnswer(LinkError):
    """The line is open but no usable answer came in time. ``hop``: of a chain of repeaters the node that gave up, 1 the first; 0
    unknown, or no chain."""

    def __init__(self, message: str = "", *, attempts: int = 0, hop: int = 0, hint: str = "") -> None:
        super().__init__(message, attempts=attempts, hint=hint)
        self.hop = hop


class PortClosed(LinkError):
    """The line itself is gone: unplugged, refused, closed by the other end."""


class NoRoute(LinkError):
    """No way to the device is known."""


class StoreError(Error):
    """The store cannot be opened, read or written."""


class ConfigError(Error):
    """A setting, address, path or key as given by the user cannot be used."""
