"""Values that remember every bit: OSGP's dates and times, text, binary-coded decimals, open enumerations.

All of them survive input that makes no sense (month 0, an unknown code, text that is not text): the raw content is the
value, its meaning is a view. Formats: MEP guide and optical guide, type sections; see ``spec/tables.md`` "Data types".
"""

from __future__ import annotations

import datetime as dt
from enum import IntEnum
from typing import NamedTuple, Self

__all__ = ["LTime", "OpenEnum", "STime", "Text", "TimeOfDay"]


class STime(NamedTuple):
    """STIME_DATE, 5 bytes: year-2000, month, day, hour, minute. Whether UTC or local is said by the field."""

    year: int = 0
    month: int = 0
    day: int = 0
    hour: int = 0
    minute: int = 0

    def datetime(self, tz: dt.tzinfo | None = dt.UTC) -> dt.datetime | None:
        """The moment, or None if the bytes are no valid date (all zero: never set)."""
        try:
            return dt.datetime(2000 + self.year, self.month, self.day, self.hour, self.minute, tzinfo=tz)
        except ValueError:
            return None

    @classmethod
    def of(cls, moment: dt.datetime) -> Self:
        """From a datetime, seconds dropped. Years 2000–2255."""
        return cls(moment.year - 2000, moment.month, moment.day, moment.hour, moment.minute)

    def __str__(self) -> str:
        return f"{2000 + self.year:04d}-{self.month:02d}-{self.day:02d}T{self.hour:02d}:{self.minute:02d}"


class LTime(NamedTuple):
    """LTIME_DATE, 6 bytes: year-2000, month, day, hour, minute, second."""

    year: int = 0
    month: int = 0
    day: int = 0
    hour: int = 0
    minute: int = 0
    second: int = 0

    def datetime(self, tz: dt.tzinfo | None = dt.UTC) -> dt.datetime | None:
        """The moment, or None if the bytes are no valid date."""
        try:
            return dt.datetime(2000 + self.year, self.month, self.day, self.hour, self.minute, self.second, tzinfo=tz)
        except ValueError:
            return None

    @classmethod
    def of(cls, moment: dt.datetime) -> Self:
        """From a datetime, fractions dropped. Years 2000–2255."""
        return cls(moment.year - 2000, moment.month, moment.day, moment.hour, moment.minute, moment.second)

    def __str__(self) -> str:
        day = f"{2000 + self.year:04d}-{self.month:02d}-{self.day:02d}"
        return f"{day}T{self.hour:02d}:{self.minute:02d}:{self.second:02d}"


class TimeOfDay(NamedTuple):
    """TIME, 3 bytes: hour, minute, second."""

    hour: int = 0
    minute: int = 0
    second: int = 0

    def time(self) -> dt.time | None:
        """The time of day, or None if the bytes are none."""
        try:
            return dt.time(self.hour, self.minute, self.second)
        except ValueError:
            return None

    def __str__(self) -> str:
        return f"{self.hour:02d}:{self.minute:02d}:{self.second:02d}"


class Text(str):
    """Characters of a fixed-length field without their padding; ``raw`` keeps the bytes as they came."""

    __slots__ = ("raw",)
    raw: bytes

    @classmethod
    def of(cls, raw: bytes, charset: str) -> Text:
        """From raw bytes: trailing NULs and spaces are padding; bytes outside the charset survive as surrogates."""
        text = cls(raw.rstrip(b"\0 ").decode(charset, "surrogateescape"))
        text.raw = raw
        return text


class OpenEnum(IntEnum):
    """An enumeration that survives unknown codes: ``Code(0x77)`` is a pseudo-member named ``UNKNOWN_77``."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, int) or value < 0:
            return None
        member = int.__new__(cls, value)
        member._name_ = f"UNKNOWN_{value:02X}"
        member._value_ = value
        return member

    @property
    def known(self) -> bool:
        """Whether the code is declared."""
        return self._name_ in type(self).__members__
