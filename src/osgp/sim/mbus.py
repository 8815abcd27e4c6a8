"""M-Bus telegrams as a simulated child of a gateway sends them: an encoder for the variable data structure.

Sources: EN 13757-3 (application: fixed header of 12 bytes after CI 0x72, data records of DIF, DIFE, VIF, VIFE and data;
types A (BCD), B (integer), F (date and time), G (date)) and EN 13757-2 (link: long and short frames). Only encoding: what
a meter's M-Bus data mean to a reader is for the library ``pymbusparser`` to say, which also judges the tests of this module.
Multi-byte values are little endian throughout.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum, IntEnum

from osgp.wire.errors import BadValue

__all__ = [
    "Coding",
    "Function",
    "Header",
    "Medium",
    "Quantity",
    "Record",
    "long_frame",
    "manufacturer_code",
    "record",
    "rsp_ud",
    "short_frame",
    "user_data",
]

_CI_VARIABLE_LONG = 0x72
_C_RSP_UD = 0x08
_MAX_USER_DATA = 252


class Medium(IntEnum):
    """Device type in the header."""

    OTHER = 0x00
    ELECTRICITY = 0x02
    GAS = 0x03
    HEAT_OUTLET = 0x04
    WARM_WATER = 0x06
    WATER = 0x07
    HEAT_INLET = 0x0C


class Function(IntEnum):
    """Function field of the DIF."""

    INSTANTANEOUS = 0
    MAXIMUM = 1
    MINIMUM = 2
    DURING_ERROR = 3


class Coding(IntEnum):
    """Data field of the DIF."""

    INT8 = 0x1
    INT16 = 0x2
    INT24 = 0x3
    INT32 = 0x4
    INT48 = 0x6
    INT64 = 0x7
    BCD2 = 0x9
    BCD4 = 0xA
    BCD6 = 0xB
    BCD8 = 0xC
    TEXT = 0xD
    BCD12 = 0xE


_SIZES = {
    Coding.INT8: 1,
    Coding.INT16: 2,
    Coding.INT24: 3,
    Coding.INT32: 4,
    Coding.INT48: 6,
    Coding.INT64: 8,
    Coding.BCD2: 1,
    Coding.BCD4: 2,
    Coding.BCD6: 3,
    Coding.BCD8: 4,
    Coding.BCD12: 6,
}
_BCD = frozenset({Coding.BCD2, Coding.BCD4, Coding.BCD6, Coding.BCD8, Coding.BCD12})


class Quantity(Enum):
    """What a record tells, in its base unit: (extension byte or None, first VIF code, lowest exponent, number of exponents).

    A code that counts no decimal place has one exponent, 0.
    """

    ENERGY_WH = (None, 0x00, -3, 8)
    VOLUME_M3 = (None, 0x10, -6, 8)
    POWER_W = (None, 0x28, -3, 8)
    FLOW_M3_H = (None, 0x38, -6, 8)
    FLOW_TEMPERATURE_C = (None, 0x58, -3, 4)
    RETURN_TEMPERATURE_C = (None, 0x5C, -3, 4)
    TEMPERATURE_DIFFERENCE_K = (None, 0x60, -3, 4)
    EXTERNAL_TEMPERATURE_C = (None, 0x64, -3, 4)
    ON_TIME_DAYS = (None, 0x23, 0, 1)
    OPERATING_TIME_DAYS = (None, 0x27, 0, 1)
    DATE = (None, 0x6C, 0, 1)
    DATE_TIME = (None, 0x6D, 0, 1)
    FABRICATION_NUMBER = (None, 0x78, 0, 1)
    MODEL_VERSION = (0xFD, 0x0C, 0, 1)
    ERROR_FLAGS = (0xFD, 0x17, 0, 1)
    VOLTAGE_V = (0xFD, 0x40, -9, 16)
    CURRENT_A = (0xFD, 0x50, -12, 16)

    def vif(self, exponent: int) -> bytes:
        """The value information field for values counted in 10**exponent base units; `BadValue` when there is none."""
        extension, code, lowest, count = self.value
        step = exponent - lowest
        if not 0 <= step < count:
            raise BadValue(f"no code for 10**{exponent}", floor="mbus", struct="VIF", field=self.name)
        return bytes([code + step]) if extension is None else bytes([extension, code + step])


@dataclass(frozen=True, slots=True)
class Record:
    """One data record, encoded up to its header. ``storage`` 0 is now, higher numbers are set dates and histories."""

    coding: Coding
    vif: bytes
    data: bytes
    function: Function = Function.INSTANTANEOUS
    storage: int = 0
    tariff: int = 0
    subunit: int = 0

    def encode(self) -> bytes:
        """DIF, as many DIFE as storage, tariff and subunit need, VIF, data. `BadValue` when they need more than ten DIFE."""
        storage, tariff, subunit = self.storage, self.tariff, self.subunit
        if min(storage, tariff, subunit) < 0:
            raise BadValue("counts from 0", floor="mbus", struct="DIF", field="storage, tariff, subunit")
        head = [self.coding | self.function << 4 | (storage & 1) << 6]
        storage >>= 1
        while storage or tariff or subunit:
            head[-1] |= 0x80
            head.append(storage & 0xF | (tariff & 3) << 4 | (subunit & 1) << 6)
            storage, tariff, subunit = storage >> 4, tariff >> 2, subunit >> 1
        if len(head) > 11:
            raise BadValue("needs more than ten DIFE", floor="mbus", struct="DIF", field="storage, tariff, subunit")
        return bytes(head) + self.vif + self.data


def _integer(value: int, coding: Coding) -> bytes:
    size = _SIZES[coding]
    try:
        if coding not in _BCD:
            return value.to_bytes(size, "little", signed=True)
        # Type A: a minus sign takes the place of the highest digit, as the nibble F.
        digits = f"{value:0{2 * size}d}" if value >= 0 else f"F{-value:0{2 * size - 1}d}"
        if len(digits) > 2 * size:
            raise OverflowError
        return bytes.fromhex(digits)[::-1]
    except OverflowError:
        raise BadValue(f"{value} does not fit", floor="mbus", struct="record", field=coding.name) from None


def _date_bytes(day: date) -> bytes:
    """Type G: day and month with the year of the century spread over their upper bits.

    Years 0 to 80 mean 2000 to 2080 (the hundreds of type F stay 0, as most meters send them).
    """
    if not 2000 <= day.year <= 2080:
        raise BadValue(f"year {day.year} is not in 2000 to 2080", floor="mbus", struct="record", field="DATE")
    year = day.year - 2000
    return bytes([day.day | (year & 7) << 5, day.month | (year >> 3) << 4])


def _date_time_bytes(moment: datetime, summer: bool) -> bytes:
    """Type F: minute, hour with the summer-time bit, then the date as in type G. Seconds are dropped."""
    return bytes([moment.minute, moment.hour | summer << 7]) + _date_bytes(moment.date())


def record(
    quantity: Quantity,
    value: int | Decimal | str | date | datetime,
    *,
    coding: Coding = Coding.BCD8,
    exponent: int = 0,
    function: Function = Function.INSTANTANEOUS,
    storage: int = 0,
    tariff: int = 0,
    subunit: int = 0,
) -> Record:
    """Encode one value.

    Numbers are in the quantity's base unit and are sent in steps of ``10**exponent``; one that is not a whole number of
    steps is refused, never rounded. A date goes out as type G; a datetime as type F in its own wall time, with the
    summer-time bit when its zone says so. A text is sent as it is, for quantities without a unit. Raises `BadValue`.
    """
    if isinstance(value, datetime):
        vif, data = Quantity.DATE_TIME.vif(0), _date_time_bytes(value, bool(value.dst()))
        coding = Coding.INT32
    elif isinstance(value, date):
        vif, data = Quantity.DATE.vif(0), _date_bytes(value)
        coding = Coding.INT16
    elif isinstance(value, str):
        text = value.encode("latin-1", "replace")
        if len(text) > 0xBF:
            raise BadValue("text is longer than 191 bytes", floor="mbus", struct="record", field=quantity.name)
        vif, data, coding = quantity.vif(0), bytes([len(text)]) + text[::-1], Coding.TEXT
    else:
        steps = Decimal(value).scaleb(-exponent)
        if steps != int(steps):
            raise BadValue(
                f"{value} is not a whole number of 10**{exponent}", floor="mbus", struct="record", field=quantity.name
            )
        if coding is Coding.TEXT:
            raise BadValue("a number is not a text", floor="mbus", struct="record", field=quantity.name)
        vif, data = quantity.vif(exponent), _integer(int(steps), coding)
    return Record(coding, vif, data, function, storage, tariff, subunit)


def manufacturer_code(letters: str) -> int:
    """The 15-bit form of a three-letter maker's code (as administered by the FLAG Association); `BadValue` otherwise."""
    if len(letters) != 3 or not all("A" <= letter <= "Z" for letter in letters):
        raise BadValue(f"{letters!r} is not three capital letters", floor="mbus", struct="header", field="manufacturer")
    first, second, third = (ord(letter) - 64 for letter in letters)
    return first << 10 | second << 5 | third


@dataclass(frozen=True, slots=True)
class Header:
    """The fixed header: ``identification`` is the serial number of up to eight digits, ``status`` the byte of common errors.

    Status bits: 0 and 1 application (busy, error), 2 power low, 3 permanent error, 4 temporary error, 5 to 7 the maker's.
    """

    identification: int
    manufacturer: str
    version: int
    medium: Medium
    access_number: int = 0
    status: int = 0

    def encode(self) -> bytes:
        for name in ("version", "access_number", "status"):
            if not 0 <= getattr(self, name) <= 0xFF:
                raise BadValue("does not fit a byte", floor="mbus", struct="header", field=name)
        if self.identification < 0:
            raise BadValue("is negative", floor="mbus", struct="header", field="identification")
        return (
            _integer(self.identification, Coding.BCD8)
            + manufacturer_code(self.manufacturer).to_bytes(2, "little")
            + bytes([self.version, self.medium, self.access_number, self.status, 0, 0])
        )


def user_data(header: Header, records: Iterable[Record]) -> bytes:
    """CI field, fixed header and records: the part of an answer that a gateway keeps. `BadValue` when it is too long."""
    data = bytes([_CI_VARIABLE_LONG]) + header.encode() + b"".join(each.encode() for each in records)
    if len(data) > _MAX_USER_DATA + 1:
        raise BadValue(f"{len(data)} bytes do not fit one telegram", floor="mbus", struct="RSP_UD", field="records")
    return data


def long_frame(control: int, address: int, data: bytes) -> bytes:
    """A link frame with data: 68 L L 68 C A data checksum 16. ``data`` begins with the CI field."""
    body = bytes([control, address]) + data
    if len(body) > 255:
        raise BadValue(f"{len(data)} bytes do not fit one frame", floor="mbus", struct="long frame", field="data")
    return bytes([0x68, len(body), len(body), 0x68]) + body + bytes([sum(body) & 0xFF, 0x16])


def short_frame(control: int, address: int) -> bytes:
    """A link frame without data, such as SND_NKE (0x40) or REQ_UD2 (0x5B): 10 C A checksum 16."""
    return bytes([0x10, control, address, control + address & 0xFF, 0x16])


def rsp_ud(address: int, header: Header, records: Iterable[Record]) -> bytes:
    """The whole answer to REQ_UD2 on the bus."""
    return long_frame(_C_RSP_UD, address, user_data(header, records))
