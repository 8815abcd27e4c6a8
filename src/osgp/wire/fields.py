"""The words of the declaration language: one function per kind of field.

Used as ``from osgp.wire import fields as f`` and ``class X(Struct): length: int = f.u16(doc="…")``. All of them take

``count``  repeat the field (an array); ``MANY`` repeats it to ``until`` (offset from the start of the table) or the end
``when``   present only if true                       ``stride``  size of one array entry: padded or cut to it
``unit``, ``scale``, ``doc``, ``values`` (code or (first, last) → text), ``default``, ``vci`` (who maintains the value)
``orig``   the standard's spelling (default: the name in capitals)
``since``  first firmware that has the field (``Since``)    ``elements``  names and units of array elements
``source`` where the field is described, if not where its structure is; ``status`` verified / unverified / project choice
``optional``  the bytes may end before this field
``prefix``  bytes of a number in front that says how many bytes the field takes; with ``count=MANY`` the entries fill them
``least``, ``most``  what that number may be. Only reading judges it: a test may write what no peer should

Counts, conditions, sizes and strides may be integers or expressions (``osgp.wire.expr``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from osgp.wire.bits import Bits, bits_class
from osgp.wire.expr import Ref
from osgp.wire.firmware import Since
from osgp.wire.kinds import BcdKind, BinaryKind, BitsKind, EnumKind, IntKind, Kind, StampKind, TextKind
from osgp.wire.values import LTime, OpenEnum, STime, TimeOfDay

__all__ = [
    "MANY",
    "Case",
    "Date",
    "Element",
    "Field",
    "RDate",
    "Spec",
    "bcd",
    "binary",
    "bits",
    "code",
    "date",
    "i8",
    "i16",
    "i32",
    "i64",
    "ltime",
    "ni_fmat1",
    "ni_fmat2",
    "rdate",
    "record",
    "sint",
    "stime",
    "text",
    "time",
    "u8",
    "u16",
    "u24",
    "u32",
    "u64",
    "uint",
    "union",
]

B = TypeVar("B", bound=Bits)
E = TypeVar("E", bound=OpenEnum)

MANY = "*"
"""A count that the bytes decide: entries until one would begin with a zero first field or pass the end."""


@dataclass(frozen=True, slots=True)
class Element:
    """What one element of an array means: its name, source ID (BT22), unit, scale and first firmware."""

    name: str
    source_id: int | None = None
    unit: str = ""
    scale: float = 1
    since: Since | None = None
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """One branch of a union: taken if ``when`` is true and no earlier case was."""

    when: Any
    struct: Any


@dataclass(slots=True)
class Spec:
    """Everything declared about one field."""

    kind: Kind | None = None
    struct: Any = None
    cases: tuple[Case, ...] = ()
    size: Any = None
    count: Any = None
    when: Any = None
    stride: Any = None
    until: Any = None
    index: Any = None
    at_most: bool = False
    optional: bool = False
    prefix: int = 0
    least: int = 0
    most: int | None = None
    leave: int = 0
    name: str = ""
    orig: str = ""
    doc: str = ""
    unit: str = ""
    scale: float = 1
    vci: str = ""
    default: Any = None
    values: Mapping[Any, str] = field(default_factory=dict)
    elements: Mapping[int, Element] = field(default_factory=dict)
    since: Since | None = None
    source: str = ""
    status: str = ""
    charset: str = ""
    root: str = ""

    def label(self, value: int) -> str:
        """The declared meaning of a code, or ""."""
        found = self.values.get(value)
        if found is not None:
            return found
        for key, text in self.values.items():
            if isinstance(key, tuple) and key[0] <= value <= key[1]:
                return text
        return ""

    @property
    def type_name(self) -> str:
        """The kind in the catalogue's words: ``uint16``, ``bitfield8``, ``record``, ``union`` …"""
        if self.kind is not None:
            return self.kind.name
        return "union" if self.cases else "record"


class Field(Ref):
    """A declared field; in the class body it also stands for its own value (see ``expr``)."""

    __slots__ = ("_spec",)

    def __init__(self, spec: Spec) -> None:
        super().__init__(self)
        self._spec = spec

    def __repr__(self) -> str:
        return self._spec.name or "field"


def _field(kind: Kind | None, options: dict[str, Any], **more: Any) -> Any:
    return Field(Spec(kind=kind, **more, **options))


def uint(size: int, *, order: str | None = None, **options: Any) -> Any:
    """Unsigned integer of 1–8 bytes."""
    return _field(IntKind(size, order, False), options)


def sint(size: int, *, order: str | None = None, **options: Any) -> Any:
    """Two's complement integer of 1–8 bytes."""
    return _field(IntKind(size, order, True), options)


def u8(**options: Any) -> Any:
    """UINT8."""
    return uint(1, **options)


def u16(**options: Any) -> Any:
    """UINT16."""
    return uint(2, **options)


def u24(**options: Any) -> Any:
    """Three bytes, unsigned."""
    return uint(3, **options)


def u32(**options: Any) -> Any:
    """UINT32."""
    return uint(4, **options)


def u64(**options: Any) -> Any:
    """UINT64."""
    return uint(8, **options)


def i8(**options: Any) -> Any:
    """INT8."""
    return sint(1, **options)


def i16(**options: Any) -> Any:
    """INT16."""
    return sint(2, **options)


def i32(**options: Any) -> Any:
    """INT32."""
    return sint(4, **options)


def i64(**options: Any) -> Any:
    """INT64."""
    return sint(8, **options)


def ni_fmat1(**options: Any) -> Any:
    """NI_FMAT1: INT32 in all OSGP meters (BT00.FORMAT_2 code 8)."""
    return sint(4, **options)


def ni_fmat2(**options: Any) -> Any:
    """NI_FMAT2: INT32 in all OSGP meters (BT00.FORMAT_2 code 8)."""
    return sint(4, **options)


def code(enum: type[E], size: int = 1, *, order: str | None = None, **options: Any) -> Any:
    """A code out of an open enumeration."""
    return _field(EnumKind(size, order, False, enum), options)


def bits(word: type[B], *, order: str | None = None, **options: Any) -> Any:
    """A word of bit fields, declared as a ``Bits`` class."""
    return _field(BitsKind(word.size, order, False, word), options)


def binary(size: Any = None, *, at_most: bool = False, leave: int = 0, **options: Any) -> Any:
    """Raw bytes; without size: the rest of the record, but for ``leave`` bytes that belong to the fields behind (a check
    value). ``at_most``: fewer, if the bytes end earlier. A negative size is 0."""
    return _field(BinaryKind(None), options, size=size, at_most=at_most, leave=leave)


def text(size: Any, *, pad: bytes = b"\0", encoding: str = "latin-1", **options: Any) -> Any:
    """Characters, NUL or space padded. ``charset`` may name the field that holds the device's character code."""
    return _field(TextKind(None, None, encoding, pad), options, size=size)


def bcd(size: Any, *, low_first: bool = False, **options: Any) -> Any:
    """Packed BCD digits as a string. ``low_first``: least significant byte first (M-Bus)."""
    return _field(BcdKind(None, None, low_first), options, size=size)


def stime(**options: Any) -> Any:
    """STIME_DATE."""
    return _field(StampKind(5, None, STime), options)


def ltime(**options: Any) -> Any:
    """LTIME_DATE."""
    return _field(StampKind(6, None, LTime), options)


def time(**options: Any) -> Any:
    """TIME."""
    return _field(StampKind(3, None, TimeOfDay), options)


class Date(Bits, size=2):
    """ANSI_DATE: year bits 0–6 (from 2000), month 7–10, day 11–15."""

    year: int = bits_class.bit(0, 7, doc="years since 2000")
    month: int = bits_class.bit(7, 4, doc="month 1..12")
    day: int = bits_class.bit(11, 5, doc="day of month")

    def date(self) -> dt.date | None:
        """The date, or None if the bits are none."""
        try:
            return dt.date(2000 + self.year, self.month, self.day)
        except ValueError:
            return None


class RDate(Bits, size=2):
    """RDATE: a recurring date; the meaning of the upper bits depends on the month code (``spec/tables.md``)."""

    month: int = bits_class.bit(0, 4, doc="1..12 month, 13 monthly, 14 weekly, 15 period, 0 unassigned")
    offset: int = bits_class.bit(
        4, 4, doc="0 none, 1 to weekday, 2..5 first..fourth weekday, 6 last weekday, 7..15 shifts"
    )
    weekday: int = bits_class.bit(8, 3, doc="0 Sunday .. 6 Saturday, 7 unassigned")
    day: int = bits_class.bit(11, 5, doc="day of month")

    @property
    def period(self) -> int:
        """Period in days (month code 15)."""
        return (int(self) >> 4) & 0x3F

    @property
    def delta(self) -> int:
        """Start of the period in days (month code 15)."""
        return int(self) >> 10


def date(**options: Any) -> Any:
    """ANSI_DATE."""
    return bits(Date, **options)


def rdate(**options: Any) -> Any:
    """RDATE."""
    return bits(RDate, **options)


def record(struct: type[Any], *, index: Any = None, **options: Any) -> Any:
    """A nested record. ``index``: the value of INDEX inside it, where the record is not an array element."""
    return _field(None, options, struct=struct, index=index)


def union(cases: Sequence[Case], **options: Any) -> Any:
    """The first case that is true; None (no bytes) if none is."""
    return _field(None, options, cases=tuple(cases))
