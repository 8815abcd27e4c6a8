"""``Table`` and ``Procedure``: what a declaration file declares.

A table is a ``Struct`` with a number, a role and access rights; a procedure has the structures of its parameters and its
answer. Numbers: BTnn = nn, ETnn = 2048 + nn, pending copies + 4096; BPnn = nn, EPnn = 2048 + nn (``spec/tables.md``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from osgp.wire import Struct
from osgp.wire.errors import ConfigError

__all__ = [
    "PED_SIZE",
    "PENDING",
    "USER",
    "Access",
    "PendingCopy",
    "Procedure",
    "Table",
    "extended",
    "number_of",
    "procedure_name",
    "table_name",
]

EXTENDED = 2048
PENDING = 4096
USER = 0x4000
"""User-defined tables begin here (``spec/osgp-application.md`` 1.2)."""
PED_SIZE = 6
"""Bytes of the pending event description before the data of a pending table (optical guide p. 9)."""


@dataclass(frozen=True, slots=True)
class Access:
    """Which keys open a table. MEP keys: MBK, MAK; optical keys: MK, PK, RK; "open": no key needed.

    ``optical_write`` None: the guides name no write keys beyond the general rule (MK always, PK mostly; optical guide p. 13).
    ``nvm_write``/``nvm_read``: goes directly to non-volatile memory, hence the guides' rate limits. None: not listed.
    ``clients``: MEP client kinds the table is for; empty: all.
    """

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    optical_read: tuple[str, ...] | None = None
    optical_write: tuple[str, ...] | None = None
    nvm_write: bool | None = None
    nvm_read: bool | None = None
    clients: tuple[str, ...] = ()


class Table(Struct, floor="tables"):
    """Base of every table declaration."""

    __slots__ = ()
    number: ClassVar[int]
    title: ClassVar[str] = ""
    role: ClassVar[str] = ""
    access: ClassVar[Access] = Access()
    notes: ClassVar[tuple[str, ...]] = ()
    since_table: ClassVar[str] = ""
    maker: ClassVar[str] = ""

    def __init_subclass__(
        cls,
        number: int = -1,
        title: str = "",
        role: str = "",
        access: Access | None = None,
        notes: tuple[str, ...] = (),
        maker: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init_subclass__(**kwargs)
        if number >= 0:
            cls.number = number
            cls.title = title
            cls.role = role
            cls.access = access or Access()
            cls.notes = notes
            cls.maker = maker


@dataclass(frozen=True, slots=True)
class PendingCopy:
    """A whole pending table: ``ped``, the 6 bytes that say when it comes into force (optical guide p. 8), and its data."""

    ped: bytes
    table: Table

    def to_json(self) -> dict[str, Any]:
        """The table's fields, and ``PED`` in hexadecimal. The shape is a project choice."""
        return {"PED": self.ped.hex(), **self.table.to_json()}

    @classmethod
    def from_json(cls, declared: type[Table], value: Any) -> PendingCopy:
        """The inverse of ``to_json``. Raises ConfigError if the event description is missing, BadValue as the table does."""
        given = dict(value) if isinstance(value, dict) else {}
        try:
            ped = bytes.fromhex(given.pop("PED", ""))
        except (TypeError, ValueError):
            ped = b""
        if len(ped) != PED_SIZE:
            raise ConfigError(
                f"a pending {declared.__name__} needs its event description: PED, {PED_SIZE} bytes in hexadecimal",
                hint="PED 00YYMMDDhhmm: at that UTC time; 01 weeks days hours minutes seconds: after it; 02 and 5 bytes: by BP13",
            )
        return cls(ped, declared.from_json(given))


class NoData(Struct, floor="tables"):
    """Parameters or an answer without any bytes."""

    __slots__ = ()


class Procedure:
    """Base of every procedure declaration: ``Parameters`` and ``Response`` are structures, ``results`` its own result codes."""

    number: ClassVar[int]
    title: ClassVar[str] = ""
    source: ClassVar[str] = ""
    status: ClassVar[str] = ""
    defined: ClassVar[bool] = True
    mep: ClassVar[tuple[str, ...]] = ()
    optical: ClassVar[tuple[str, ...]] = ()
    results: ClassVar[dict[int, str]] = {}
    notes: ClassVar[tuple[str, ...]] = ()
    Parameters: ClassVar[type[Struct]] = NoData
    Response: ClassVar[type[Struct]] = NoData


COMMON_RESULTS: dict[int, str] = {
    0: "completed",
    1: "accepted, not fully completed",
    2: "invalid parameter, ignored",
    3: "conflict with device setup, ignored",
    4: "timing constraint, ignored",
    5: "no authorization, ignored",
    6: "unrecognized procedure, ignored",
}
"""Result codes that every procedure may answer (MEP guide p. 52)."""


def extended(number: int) -> int:
    """The number of an extended table or procedure: ``extended(52)`` is ET52 or EP52."""
    return EXTENDED + number


def table_name(number: int) -> str:
    """BT23, ET52, UT16 (user-defined); pending copies as PBT54 and PET47 (our spelling of number + 4096)."""
    prefix = "P" if number & PENDING else ""
    plain = number & ~PENDING
    if plain >= USER:
        return f"{prefix}UT{plain - USER:02d}"
    return f"{prefix}ET{plain - EXTENDED:02d}" if plain >= EXTENDED else f"{prefix}BT{plain:02d}"


def procedure_name(number: int) -> str:
    """BP10, EP17."""
    return f"EP{number - EXTENDED:02d}" if number >= EXTENDED else f"BP{number:02d}"


def number_of(name: str) -> int:
    """The number of a table or procedure by name (BT23, ET52, UT16, EP17, PBT54; also the older ST, MT, SP, MP) or by number.

    Raises ConfigError.
    """
    text = name.strip().upper()
    if text.isdigit():
        return int(text)
    if text.startswith("0X"):
        try:
            return int(text, 16)
        except ValueError:
            pass
    pending = text.startswith("P") and text[1:3] in ("BT", "ET", "ST", "MT")
    kind, digits = (text[1:3], text[3:]) if pending else (text[:2], text[2:])
    if kind in ("BT", "ST", "BP", "SP", "ET", "MT", "EP", "MP") and digits.isdecimal() and int(digits) < EXTENDED:
        base = EXTENDED if kind in ("ET", "MT", "EP", "MP") else 0
        return base + int(digits) + (PENDING if pending else 0)
    if kind == "UT" and digits.isdecimal() and int(digits) < PENDING:
        return USER + int(digits)
    raise ConfigError(f"{name!r} is no table or procedure", hint="names look like BT23, ET52, EP17 or PBT54 (pending)")
