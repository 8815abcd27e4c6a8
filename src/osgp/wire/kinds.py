"""Kinds of leaves: how a run of bytes becomes one value and back.

Each kind knows its size (None: said by the field), its ``struct`` code where C can do the work, and four views of a value:
bytes, Python value, JSON, text. A value that JSON cannot say without loss is written ``{"raw": hex, "text": …}``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from osgp.wire.values import LTime, OpenEnum, STime, Text, TimeOfDay

__all__ = ["BcdKind", "BinaryKind", "BitsKind", "EnumKind", "IntKind", "Kind", "StampKind", "TextKind"]

_CODES = {
    (1, False): "B",
    (1, True): "b",
    (2, False): "H",
    (2, True): "h",
    (4, False): "I",
    (4, True): "i",
    (8, False): "Q",
    (8, True): "q",
}


@dataclass(frozen=True, eq=False)
class Kind:
    """Base of all kinds. ``size`` in bytes; ``order`` "little", "big" or None (the structure's)."""

    size: int | None
    order: str | None = None

    @property
    def name(self) -> str:
        return "bytes"

    def code(self, order: str) -> str | None:
        """The struct module's code, if it decodes this kind by itself in that byte order."""
        return None

    def wrap(self, order: str) -> Callable[[Any], Any] | None:
        """What to apply to the value that ``code`` (or raw bytes, without code) gives; None: nothing."""
        return None

    def unwrap(self, order: str, size: int | None) -> Callable[[Any], Any] | None:
        """The inverse of ``wrap``. Raises ValueError/TypeError/OverflowError for a value that does not fit."""
        return None

    def to_json(self, value: Any) -> Any:
        return value

    def from_json(self, value: Any) -> Any:
        return value

    def text(self, value: Any) -> str:
        return str(value)


@dataclass(frozen=True, eq=False)
class IntKind(Kind):
    """An integer of 1–8 bytes."""

    signed: bool = False

    @property
    def name(self) -> str:
        return f"{'int' if self.signed else 'uint'}{8 * (self.size or 0)}"

    def code(self, order: str) -> str | None:
        return _CODES.get((self.size or 0, self.signed))

    def wrap(self, order: str) -> Callable[[Any], Any] | None:
        if self.code(order):
            return None
        signed = self.signed
        return lambda raw: int.from_bytes(raw, order, signed=signed)  # type: ignore[arg-type]  # order is a plain str here

    def unwrap(self, order: str, size: int | None) -> Callable[[Any], Any] | None:
        if self.code(order):
            return None
        width, signed = self.size or 0, self.signed
        return lambda value: int(value).to_bytes(width, order, signed=signed)  # type: ignore[arg-type]  # as above

    def from_json(self, value: Any) -> Any:
        """Digits pass as a number. A fraction is refused: cutting it off would write another value than was asked."""
        if isinstance(value, float) and not value.is_integer():
            raise ValueError("a whole number is needed")
        return value if value is None else int(value)


@dataclass(frozen=True, eq=False)
class EnumKind(IntKind):
    """A code out of an open enumeration."""

    enum: type[OpenEnum] = OpenEnum

    def wrap(self, order: str) -> Callable[[Any], Any] | None:
        inner = super().wrap(order)
        enum = self.enum
        return enum if inner is None else lambda raw: enum(inner(raw))

    def to_json(self, value: Any) -> Any:
        return int(value)

    def from_json(self, value: Any) -> Any:
        return self.enum[value] if isinstance(value, str) else self.enum(super().from_json(value))

    def text(self, value: Any) -> str:
        return f"{value.name} ({int(value)})"


@dataclass(frozen=True, eq=False)
class BitsKind(IntKind):
    """A word of bit fields; the value is an int subclass whose attributes are the fields."""

    bits: Any = int

    @property
    def name(self) -> str:
        return f"bitfield{8 * (self.size or 0)}"

    def wrap(self, order: str) -> Callable[[Any], Any] | None:
        inner = super().wrap(order)
        bits = self.bits
        if self.size == 1 and not self.signed and hasattr(bits, "words"):
            return cast(Callable[[Any], Any], bits._instances().__getitem__)
        return bits if inner is None else lambda raw: bits(inner(raw))

    def to_json(self, value: Any) -> Any:
        return self.bits(value).to_json()

    def from_json(self, value: Any) -> Any:
        return self.bits.from_json(value)

    def text(self, value: Any) -> str:
        return f"0x{int(value):0{2 * (self.size or 1)}X}"


@dataclass(frozen=True, eq=False)
class BinaryKind(Kind):
    """Raw bytes."""

    @property
    def name(self) -> str:
        return "binary"

    def unwrap(self, order: str, size: int | None) -> Callable[[Any], Any] | None:
        def pack(value: Any) -> bytes:
            raw = bytes(value)
            if size is not None and len(raw) != size:
                raise ValueError(f"{len(raw)} bytes for {size}")
            return raw

        return pack

    def to_json(self, value: Any) -> Any:
        return bytes(value).hex()

    def from_json(self, value: Any) -> Any:
        return bytes.fromhex(value)

    def text(self, value: Any) -> str:
        return bytes(value).hex(" ").upper() or "-"


@dataclass(frozen=True, eq=False)
class TextKind(Kind):
    """Characters with NUL or space padding. Written strings are padded with ``pad``."""

    charset: str = "latin-1"
    pad: bytes = b"\0"

    @property
    def name(self) -> str:
        return "string"

    def wrap(self, order: str) -> Callable[[Any], Any] | None:
        charset = self.charset
        return lambda raw: Text.of(raw, charset)

    def unwrap(self, order: str, size: int | None) -> Callable[[Any], Any] | None:
        return lambda value: self.raw(value, size)

    def raw(self, value: str, size: int | None) -> bytes:
        """The bytes of a text for a field of ``size`` bytes. ValueError if it is too long."""
        kept = getattr(value, "raw", None)
        if isinstance(kept, bytes) and (size is None or len(kept) == size):
            return kept
        raw = value.encode(self.charset, "surrogateescape")
        if size is None:
            return raw
        if len(raw) > size:
            raise ValueError(f"{len(raw)} characters for {size} places")
        return raw.ljust(size, self.pad)

    def to_json(self, value: Any) -> Any:
        raw = getattr(value, "raw", None)
        if raw is None or (raw == self.raw(str(value), len(raw)) and not any("\ud800" <= c <= "\udfff" for c in value)):
            return str(value)
        return {"raw": raw.hex(), "text": "".join(c if c.isprintable() else "�" for c in value)}

    def from_json(self, value: Any) -> Any:
        if isinstance(value, dict):
            return Text.of(bytes.fromhex(value["raw"]), self.charset)
        return str(value)

    def text(self, value: Any) -> str:
        return repr(str(value))


@dataclass(frozen=True, eq=False)
class BcdKind(Kind):
    """Packed BCD as a string of digits, one per nibble; a nibble above 9 stays as A–F. ``low_first``: digits from the last byte on."""

    low_first: bool = False

    @property
    def name(self) -> str:
        return "bcd"

    def wrap(self, order: str) -> Callable[[Any], Any] | None:
        if self.low_first:
            return lambda raw: raw[::-1].hex().upper()
        return lambda raw: raw.hex().upper()

    def unwrap(self, order: str, size: int | None) -> Callable[[Any], Any] | None:
        return lambda value: self.digits(value, size)

    def digits(self, value: Any, size: int | None) -> bytes:
        """The bytes of digits (a str, or an int) for ``size`` bytes, zero-filled on the left. ValueError if they do not fit."""
        text = str(value)
        if size is not None:
            if len(text) > 2 * size:
                raise ValueError(f"{len(text)} digits for {2 * size} places")
            text = text.rjust(2 * size, "0")
        raw = bytes.fromhex(text)
        return raw[::-1] if self.low_first else raw


_STAMPS: dict[type, tuple[int, str]] = {
    STime: (5, "%Y-%m-%dT%H:%M"),
    LTime: (6, "%Y-%m-%dT%H:%M:%S"),
    TimeOfDay: (3, "%H:%M:%S"),
}


@dataclass(frozen=True, eq=False)
class StampKind(Kind):
    """A date or time of discrete bytes: STime, LTime, TimeOfDay."""

    stamp: Any = STime

    @property
    def name(self) -> str:
        return {STime: "stime", LTime: "ltime", TimeOfDay: "time"}[self.stamp]

    def wrap(self, order: str) -> Callable[[Any], Any] | None:
        stamp = self.stamp
        return lambda raw: stamp(*raw)

    def unwrap(self, order: str, size: int | None) -> Callable[[Any], Any] | None:
        width = self.size

        def pack(value: Any) -> bytes:
            raw = bytes(value)
            if len(raw) != width:
                raise ValueError(f"{len(raw)} parts for a {self.name}")
            return raw

        return pack

    def to_json(self, value: Any) -> Any:
        if self._valid(value):
            return str(value)
        return {"raw": bytes(value).hex(), "text": str(value)}

    def _valid(self, value: Any) -> bool:
        return (value.time() if self.stamp is TimeOfDay else value.datetime()) is not None

    def from_json(self, value: Any) -> Any:
        if isinstance(value, dict):
            return self.stamp(*bytes.fromhex(value["raw"]))
        moment = dt.datetime.strptime(str(value), _STAMPS[self.stamp][1])
        if self.stamp is TimeOfDay:
            return TimeOfDay(moment.hour, moment.minute, moment.second)
        return self.stamp.of(moment)

    def text(self, value: Any) -> str:
        return str(value) if any(value) else "not set"
