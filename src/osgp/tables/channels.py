"""Load-profile channels: what each one logs, in which unit, and how its raw values become numbers.

A channel's source ID (BT62) is a standard source, or stands for an entry of ET66: an extended ID, which may name an M-Bus or
MEP device and a data type of ET57 (MEP guide p. 32, 163, 173).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from osgp.tables.et.et57 import ET57
from osgp.tables.naming import CUMULATIVE_UNITS, is_cumulative, short_name
from osgp.tables.sources import ExtendedSource, source
from osgp.wire.errors import ConfigError

if TYPE_CHECKING:
    from osgp.tables.mbus import MBusUnit

__all__ = ["Channel", "channel_of", "headers_of"]


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel: ``source`` is its ID in BT62, ``extended`` the ET66 entry behind a mapped one. ``scale`` times the raw
    value is in ``unit``; ``bcd``: the raw value is packed BCD (M-Bus). ``cumulative``: a counter, so differences are what was
    consumed in an interval."""

    number: int
    source: int
    name: str
    key: str
    unit: str = ""
    scale: float = 1
    cumulative: bool = False
    extended: int | None = None
    bcd: bool = False

    def to_json(self) -> dict[str, Any]:
        """A plain object."""
        shown: dict[str, Any] = {
            "number": self.number,
            "source": self.source,
            "name": self.name,
            "key": self.key,
            "unit": self.unit,
            "scale": self.scale,
            "cumulative": self.cumulative,
        }
        if self.extended is not None:
            shown["extended"] = self.extended
        if self.bcd:
            shown["bcd"] = True
        return shown

    def value(self, raw: int) -> float | int | None:
        """A raw value in ``unit``; None if it should be BCD and is not."""
        if self.bcd:
            digits = f"{raw & 0xFFFFFFFF:x}"
            if not digits.isdigit():
                return None
            raw = int(digits)
        return _scaled(raw, self.scale)


def channel_of(
    number: int,
    source_id: int,
    extended: int | None = None,
    *,
    energy_unit: int = 1,
    headers: Mapping[int, bytes] | None = None,
) -> Channel:
    """The description of a channel. Energy counts in ``energy_unit`` Wh like BT23 (unverified for load profiles); ``headers``:
    data record headers of M-Bus data types by MDT number (see ``headers_of``), which tell quantity and unit."""
    if extended is not None:
        word = ExtendedSource(extended)
        if word.type == 4:
            kind = "mbus" if word.device_index < 4 else "mep"
            place = word.device_index + 1 if kind == "mbus" else word.device_index - 3
            device = f"{'M-Bus' if kind == 'mbus' else 'MEP'} device {place}"
            meaning = _meaning((headers or {}).get(word.mdt, b"")) if kind == "mbus" else None
            if meaning is None:
                name = f"{device} data type {word.mdt}"
                return Channel(number, source_id, name, f"{kind}_{place}_mdt_{word.mdt}", extended=extended)
            name, key = f"{device} {meaning.quantity.replace('_', ' ')}", f"{kind}_{place}_{meaning.quantity}"
            counts = meaning.quantity in ("volume", "energy", "mass")
            return Channel(number, source_id, name, key, meaning.unit, meaning.scale, counts, extended, meaning.bcd)
        if word.type == 0:
            known = channel_of(number, word.low, energy_unit=energy_unit)
            return Channel(
                number, source_id, known.name, known.key, known.unit, known.scale, known.cumulative, extended
            )
        return Channel(number, source_id, f"extended source {extended}", f"source_{extended}", extended=extended)
    found = source(source_id)
    unit, scale = found.si_unit or found.unit, found.scale
    if unit in CUMULATIVE_UNITS:
        scale *= energy_unit
    if unit == "1/1000":
        unit = ""
    return Channel(number, source_id, found.name, short_name(found.name), unit, scale, is_cumulative(found.name, unit))


def _meaning(header: bytes) -> MBusUnit | None:
    """What an M-Bus header says; None where it says nothing or the library is not installed."""
    from osgp.tables.mbus import unit_of_header

    try:
        return unit_of_header(header)
    except ConfigError:
        return None


def headers_of(types: ET57) -> dict[int, bytes]:
    """Data record headers by M-Bus data type number; headers longer than 3 bytes go on in the entries that follow, "special"
    ones win (MEP guide p. 163)."""
    found: dict[int, bytes] = {}
    special: set[int] = set()
    current = -1
    for entry in types.entries:
        if entry.type.entry_type == 1:
            current = entry.type.mdt
            if current in special:
                current = -1
                continue
            found[current] = entry.drh
            if entry.type.special:
                special.add(current)
        elif entry.type.entry_type == 3 and current >= 0:
            found[current] += entry.drh
        else:
            current = -1
    return found


def _scaled(value: int, scale: float) -> float | int:
    return value if scale == 1 else round(value * scale, 9) if isinstance(scale, float) else value * scale
