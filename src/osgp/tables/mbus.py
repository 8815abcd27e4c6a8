"""M-Bus device data (ET16, ET45) as readings: volume, energy, temperatures and the rest, by way of ``pymbusparser``.

The record format is EN 13757-3's; ET16 carries the application layer of a billing read without its link layer, one or more
telegrams, the last of which may be cut off (MEP guide p. 92). What can be read is read; the rest stays as bytes with the
reason. ``pip install osgp[mbus]`` brings the library; it is imported when the first variable telegram is decoded.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from osgp.tables.et.et16 import ET16
from osgp.wire.errors import ConfigError

__all__ = [
    "MBusReading",
    "MBusRecord",
    "MBusUnit",
    "decode_device",
    "decode_records",
    "manufacturer_code",
    "pick",
    "unit_of_header",
]

MEDIA = {
    0: "other",
    1: "oil",
    2: "electricity",
    3: "gas",
    4: "heat",
    5: "steam",
    6: "hot water",
    7: "water",
    8: "heat cost allocator",
    10: "cooling (outlet)",
    11: "cooling (inlet)",
    12: "heat (inlet)",
    13: "heat and cooling",
    21: "hot water (90 °C)",
    22: "cold water",
}
"""Device media of EN 13757-3, as far as ET16 and common devices use them."""

_UNITS = {"W.h": "Wh", "Cel": "°C", "m3": "m³", "m3/h": "m³/h", "J": "J", "K": "K"}
_OFFSET = re.compile(r"byte offset (\d+)")


@dataclass(frozen=True, slots=True)
class MBusRecord:
    """One data record: ``quantity`` as a short name (``volume``, ``flow_temperature``), ``value`` in ``unit``; ``storage``,
    ``tariff`` and ``function`` tell current from stored values and tariffs apart."""

    quantity: str
    value: Any
    unit: str = ""
    storage: int = 0
    tariff: int = 0
    subunit: int = 0
    function: str = "instantaneous"
    raw: bytes = b""


@dataclass(slots=True)
class MBusReading:
    """What one device slot holds. ``time``: local time of the read, naive; ``unread``: bytes that could not be read, ``error``
    says why; ``data``: what a MEP client posted (opaque)."""

    time: dt.datetime | None = None
    serial_number: str = ""
    manufacturer: str = ""
    version: int = 0
    medium: str = ""
    access_number: int = 0
    status: list[str] = field(default_factory=list)
    records: list[MBusRecord] = field(default_factory=list)
    unread: bytes = b""
    error: str = ""
    data: bytes = b""

    def to_json(self) -> dict[str, Any]:
        """A plain object."""
        return {
            "time": None if self.time is None else self.time.isoformat(),
            "serial_number": self.serial_number,
            "manufacturer": self.manufacturer,
            "version": self.version,
            "medium": self.medium,
            "access_number": self.access_number,
            "status": self.status,
            "records": [
                {
                    "quantity": each.quantity,
                    "value": each.value,
                    "unit": each.unit,
                    "storage": each.storage,
                    "tariff": each.tariff,
                    "subunit": each.subunit,
                    "function": each.function,
                    "raw": each.raw.hex(),
                }
                for each in self.records
            ],
            "unread": self.unread.hex(),
            "error": self.error,
            "data": self.data.hex(),
        }


def manufacturer_code(number: int) -> str:
    """The three letters of an M-Bus manufacturer number (EN 13757-3): (c1-64)*1024 + (c2-64)*32 + (c3-64)."""
    return "".join(chr((number >> shift & 31) + 64) for shift in (10, 5, 0))


def decode_records(data: bytes) -> tuple[list[MBusRecord], bytes, str]:
    """(records, bytes that could not be read, why) of the data records of one telegram.

    Records before a damaged or cut one are kept. Raises ConfigError where the library is not installed.
    """
    try:
        import pymbusparser
    except ImportError as missing:
        raise ConfigError(
            "M-Bus data need the pymbusparser library", hint="install it with: pip install 'osgp[mbus]'"
        ) from missing
    good, error = bytes(data), ""
    while good:
        try:
            found = pymbusparser.parse_records(good)
        except ValueError as problem:
            error = error or str(problem)
            place = _OFFSET.search(str(problem))
            cut = int(place[1]) if place else 0
            good = good[: cut if cut < len(good) else len(good) - 1]
            continue
        return [record for each in found for record in _record(each)], data[len(good) :], error
    return [], bytes(data), error


_WIDTH = {1: 1, 2: 2, 3: 3, 4: 4, 6: 6, 7: 8, 9: 1, 10: 2, 11: 3, 12: 4, 14: 6}
"""Bytes of a value by the data field of its DIF (EN 13757-3): integers, then BCD."""


@dataclass(frozen=True, slots=True)
class MBusUnit:
    """What a data record header says of the number behind it: ``scale`` times the number is in ``unit``; ``bcd``: the number is
    packed BCD."""

    quantity: str
    unit: str
    scale: float
    bcd: bool


def unit_of_header(header: bytes) -> MBusUnit | None:
    """The meaning of a data record header (DIF, DIFEs, VIF, VIFEs; bytes beyond it are ignored), None where it has no number.

    Raises ConfigError where the library is not installed.
    """
    length = _header_length(header)
    width = _WIDTH.get(header[0] & 15) if header else None
    if not length or not width:
        return None
    # The number 1 looks the same in binary and BCD, and its value is the scale.
    records, _, _ = decode_records(header[:length] + b"\x01".ljust(width, b"\0"))
    if not records or isinstance(records[0].value, str | None):
        return None
    return MBusUnit(records[0].quantity, records[0].unit, records[0].value, header[0] & 15 >= 9)


def _header_length(header: bytes) -> int:
    """Bytes of DIF, DIFEs, VIF and VIFEs; 0 if they do not end."""
    place = 0
    for _ in range(2):
        while place < len(header) and header[place] & 0x80:
            place += 1
        place += 1
    return place if place <= len(header) else 0


def _record(found: dict[str, Any]) -> Iterator[MBusRecord]:
    value: Any = (found.get("value") or {}).get("value")
    if isinstance(value, str) and (found.get("value") or {}).get("kind") in ("decimal", "integer"):
        value = float(value) if "." in value or "e" in value.lower() else int(value)
    unit = found.get("unit") or ""
    function = (found.get("function") or "instantaneous value").lower().removesuffix(" value")
    for quantity in found.get("quantities") or ["unknown"]:
        name = re.sub(r"[^a-z0-9]+", "_", re.sub(r"\(.*?\)", "", quantity.lower())).strip("_")
        yield MBusRecord(
            name or "unknown",
            value,
            _UNITS.get(unit, unit),
            int(found.get("storage_number") or 0),
            int(found.get("tariff") or 0),
            int(found.get("subunit") or 0),
            function,
            bytes.fromhex((found.get("header_hex") or "") + (found.get("data_hex") or "")),
        )


def decode_device(entry: ET16.DeviceData) -> MBusReading:
    """The reading of one device slot (ET16.DEVICE_DATA[i] or the DATA of an ET45 entry). Never raises for damaged data."""
    reading = MBusReading(time=entry.timestamp.datetime(None))
    data = entry.data
    if entry.response_info.security_status:
        reading.error = "the device could not decrypt or authenticate this telegram"
    if isinstance(data, ET16.DeviceData.Data0):
        telegrams = list(data.telegrams)
        for telegram in telegrams:
            _identify(reading, telegram)
            if entry.response_info.data_order:
                reading.unread += telegram.data_records
                reading.error = reading.error or "mode 2 (most significant byte first) records are kept as bytes"
                continue
            _add(reading, telegram.data_records)
        _cut(reading, bytes(data._rest) + bytes(entry._rest), entry.response_info.data_order == 0)
    elif isinstance(data, ET16.DeviceData.Data1):
        if data.length:
            _fixed(reading, data)
    elif isinstance(data, ET16.DeviceData.Data2):
        reading.data = data.data
    return reading


def _identify(reading: MBusReading, telegram: Any) -> None:
    reading.serial_number = str(telegram.serial_nbr)
    reading.manufacturer = manufacturer_code(telegram.mfg_id)
    reading.version, reading.access_number = telegram.version, telegram.access_nbr
    reading.medium = MEDIA.get(telegram.medium, f"medium {telegram.medium}")
    reading.status = _status(telegram.status)


def _status(status: Any) -> list[str]:
    words = ["", "busy", "application error", "reserved"]
    found = [words[getattr(status, "application", 0)]] if getattr(status, "application", 0) else []
    for name in ("power_low", "permanent_error", "temporary_error"):
        if getattr(status, name):
            found.append(name.replace("_", " "))
    return found


def _add(reading: MBusReading, data: bytes) -> None:
    records, unread, error = decode_records(data)
    reading.records += records
    reading.unread += unread
    reading.error = reading.error or error


def _cut(reading: MBusReading, rest: bytes, readable: bool) -> None:
    """A telegram that runs past the end of its slot: its header, and the records that are whole."""
    rest = rest if rest and rest[0] else b""
    if len(rest) < 14:
        reading.unread += rest
        return
    body = rest[1:]
    if not reading.serial_number:
        reading.serial_number = body[3::-1].hex()
        reading.manufacturer = manufacturer_code(int.from_bytes(body[4:6], "little"))
        reading.version, reading.access_number = body[6], body[8]
        reading.medium = MEDIA.get(body[7], f"medium {body[7]}")
    if readable:
        _add(reading, body[12:])
    else:
        reading.unread += body[12:]
    reading.error = reading.error or "the last telegram is cut off"


def _fixed_units() -> dict[int, tuple[str, float, str]]:
    """Units of the fixed structure (EN 1434-3): code → (quantity, factor, unit), in Wh, J, W, J/h, m³, m³/h and °C."""
    table: dict[int, tuple[str, float, str]] = {}
    groups = (
        (0x02, "energy", 1.0, "Wh", 9),
        (0x0B, "energy", 1e3, "J", 9),
        (0x14, "power", 1.0, "W", 9),
        (0x1D, "power", 1e3, "J/h", 9),
        (0x26, "volume", 1e-6, "m³", 9),
        (0x2F, "volume_flow", 1e-6, "m³/h", 9),
    )
    for first, quantity, factor, unit, count in groups:
        for step in range(count):
            table[first + step] = (quantity, factor * 10**step, unit)
    table[0x38] = ("temperature", 1e-3, "°C")
    table[0x39] = ("heat_cost_allocation", 1.0, "")
    return table


_FIXED = _fixed_units()


def _fixed(reading: MBusReading, data: Any) -> None:
    reading.serial_number = str(data.serial_nbr)
    reading.access_number = data.access_nbr
    reading.status = _status(data.status)
    word = data.medium_unit
    medium = word >> 6 & 3 | word >> 12 & 12
    reading.medium = MEDIA.get(medium, f"medium {medium}")
    for raw, own in ((data.counter1, word & 63), (data.counter2, word >> 8 & 63)):
        same = own == 0x3E  # the same unit as counter 1, but a stored value
        code = word & 63 if same else own
        quantity, factor, unit = _FIXED.get(code, ("unknown", 1.0, ""))
        if data.status.signed_binary:
            number = raw - (1 << 32) if raw >> 31 else raw
        else:
            digits = f"{raw:08x}"
            if not digits.isdigit():
                reading.error = reading.error or "a counter is not in BCD"
                continue
            number = int(digits)
        value = round(number * factor, 9)
        stored = int(same or bool(data.status.fixed_date))
        reading.records.append(MBusRecord(quantity, value, unit, stored, raw=raw.to_bytes(4, "little")))


def pick(reading: MBusReading, quantity: str) -> Any:
    """The current value of a quantity: the first instantaneous record of storage 0, tariff 0; None if there is none."""
    for each in reading.records:
        if each.quantity == quantity and not each.storage and not each.tariff and each.function == "instantaneous":
            return each.value
    return None
