"""Named measurements: what people ask for, and where it stands in the tables.

``fwd_active_energy``, ``voltage_l1``, ``fwd_active_energy_t2``, ``mbus[1].volume``, ``serial_number``. The names follow from
the declarations of BT23 (summations) and BT28 (present values), see ``naming``; units are V, A, Hz, W, Wh and so on. Device
and state classes use Home Assistant's words. Directions: ``import`` is out of the grid into the premises (forward active),
``export`` is back (reverse active); see ``docs/guide/measurements.md``. Names and classes are a project choice.
"""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import Any

from osgp.tables.alarms import active_alarms
from osgp.tables.bt.bt01 import BT01
from osgp.tables.bt.bt03 import BT03
from osgp.tables.bt.bt15 import BT15
from osgp.tables.bt.bt21 import BT21
from osgp.tables.bt.bt22 import BT22
from osgp.tables.bt.bt23 import BT23
from osgp.tables.bt.bt27 import BT27
from osgp.tables.bt.bt28 import BT28
from osgp.tables.bt.bt52 import BT52
from osgp.tables.bt.bt55 import BT55
from osgp.tables.energyunit import energy_unit_in
from osgp.tables.et.et03 import ET03
from osgp.tables.et.et11 import ET11
from osgp.tables.et.et16 import ET16
from osgp.tables.et.et23 import ET23
from osgp.tables.naming import CUMULATIVE_UNITS, is_cumulative, short_name
from osgp.tables.sources import source
from osgp.tables.table import Table
from osgp.wire import Context, Element
from osgp.wire.errors import ConfigError

__all__ = ["Measurement", "Place", "all_measurements", "find_measurement"]

Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands: ``path`` inside ``table`` (empty: the whole table); raw × ``scale`` is in ``unit``; ``convert``
    makes of the (scaled) value what a person expects."""

    table: type[Table]
    path: str
    scale: float = 1
    unit: str = ""
    convert: Convert | None = None


@dataclass(frozen=True, slots=True)
class Measurement:
    """One named value. ``requires``: tables that must be in the context before ``place``; ``helpful``: tables that should be,
    if the device has them and the key may read them (without them the printed order is taken); ``energy``: counts in
    ET55.ENERGY_REG_UNIT where the device has that."""

    name: str
    title: str
    unit: str = ""
    direction: str = ""
    device_class: str = ""
    state_class: str = ""
    requires: tuple[type[Table], ...] = ()
    helpful: tuple[type[Table], ...] = ()
    energy: bool = False
    doc: str = ""
    locate: Callable[[Context], Place] | None = None

    def place(self, context: Context) -> Place:
        """Where it stands on this device. Raises ConfigError (not recorded there), MissingTable (a required table)."""
        if self.locate is None:
            raise ConfigError(f"{self.name} has no place in the tables")
        return self.locate(context)


_CLASSES = {
    "Wh": "energy",
    "varh": "reactive_energy",
    "W": "power",
    "var": "reactive_power",
    "VA": "apparent_power",
    "V": "voltage",
    "A": "current",
    "Hz": "frequency",
    "s": "duration",
    "min": "duration",
}


def _direction(title: str) -> str:
    lower = title.lower()
    if "fwd+rev" in lower or "fwd-rev" in lower:
        return ""
    if "fwd active" in lower or "import" in lower:
        return "import"
    if "rev active" in lower or "export" in lower:
        return "export"
    return ""


def _classes(title: str, unit: str) -> tuple[str, str]:
    """(device class, state class)."""
    device = "power_factor" if title.lower().startswith("power factor") else _CLASSES.get(unit, "")
    if "Fwd-Rev" in title:
        return device, "total"
    return device, "total_increasing" if is_cumulative(title, unit) else "measurement"


def _index(context: Context, chosen: type[Table], field: str, element: Element, printed: int, count: int) -> int:
    """The place of a source in a selection table, or the printed one where that table does not tell."""
    if chosen in context.raw and element.source_id is not None:
        listed = getattr(context.table(chosen), field)
        if any(listed):
            if element.source_id in listed:
                return int(listed.index(element.source_id))
            raise ConfigError(
                f"this device does not record {element.name}",
                hint=f"{chosen.__name__}.{field} lists the sources that it records",
            )
    if printed >= count:
        raise ConfigError(
            f"this device does not record {element.name}",
            hint=f"it has {count} such values (BT21), this is number {printed}",
        )
    return printed


def _summation(printed: int, element: Element, tier: int | None) -> Measurement:
    title = element.name if tier is None else f"T{tier} {element.name}"
    device, state = _classes(element.name, element.unit)
    energy = element.unit in CUMULATIVE_UNITS

    def locate(context: Context) -> Place:
        actual = context.table(BT21)
        if tier is not None and tier >= actual.nbr_tiers:
            raise ConfigError(f"this device has {actual.nbr_tiers} tariffs, not {tier + 1}")
        index = _index(context, BT22, "summation_select", element, printed, actual.nbr_summations)
        block = "tot_data_block" if tier is None else f"tier_data_block[{tier}]"
        scale = energy_unit_in(context) if energy else element.scale
        return Place(BT23, f"{block}.summations[{index}]", scale, element.unit)

    return Measurement(
        short_name(title),
        element.name if tier is None else f"{element.name}, tariff {tier + 1}",
        element.unit,
        _direction(element.name),
        device,
        state,
        (BT21,),
        (BT22,),
        energy,
        element.doc,
        locate,
    )


def _present(printed: int, element: Element) -> Measurement:
    device, state = _classes(element.name, element.unit)

    def locate(context: Context) -> Place:
        count = context.table(BT21).nbr_present_values
        index = _index(context, BT27, "present_value_select", element, printed, count)
        return Place(BT28, f"present_values[{index}]", element.scale, element.unit)

    return Measurement(
        short_name(element.name),
        element.name,
        element.unit,
        _direction(element.name),
        device,
        state,
        (BT21,),
        doc=element.doc,
        locate=locate,
    )


def _extreme(source_id: int) -> Measurement:
    """A minimum or maximum: a demand register of BT23, if BT22 says that the device keeps one of this source."""
    found = source(source_id)
    unit = found.si_unit or found.unit

    def locate(context: Context) -> Place:
        listed = context.table(BT22).demand_select
        if source_id not in listed:
            raise ConfigError(
                f"this device keeps no demand register of {found.name}", hint="BT22.demand_select lists those it keeps"
            )
        return Place(BT23, f"tot_data_block.demands[{listed.index(source_id)}].demand[0]", found.scale, unit)

    return Measurement(
        short_name(found.name),
        found.name,
        unit,
        _direction(found.name),
        _CLASSES.get(unit, ""),
        "measurement",
        (BT21, BT22),
        doc="a demand register (BT23), where configured",
        locate=locate,
    )


def _demand(number: int) -> Measurement:
    def locate(context: Context) -> Place:
        count = context.table(BT21).nbr_present_demands
        if number > count:
            raise ConfigError(f"this device has {count} present demands, not {number}")
        return Place(BT28, f"present_demands[{number - 1}].demand_value")

    return Measurement(
        f"present_demand_{number}",
        f"Present demand {number}",
        state_class="measurement",
        requires=(BT21,),
        doc="unit: that of the source in BT27.present_demand_select",
        locate=locate,
    )


def _fixed(
    name: str, title: str, table: type[Table], path: str, convert: Convert | None = None, **more: Any
) -> Measurement:
    unit = str(more.get("unit", ""))
    scale = float(more.pop("scale", 1))
    return Measurement(name, title, locate=lambda context: Place(table, path, scale, unit, convert), **more)


def _version(first: str, second: str) -> Convert:
    def convert(table: Any) -> str:
        word = getattr(table, first) << 8 | getattr(table, second)
        return f"{word >> 12 & 15}.{word >> 5 & 127:02d}.{word & 31}"

    return convert


def _utc(value: Any) -> dt.datetime | None:
    found: dt.datetime | None = value.datetime()
    return found


def _local(value: Any) -> dt.datetime | None:
    found: dt.datetime | None = value.datetime(None)
    return found


_SERIAL_DIGITS = 8
"""Digits that a serial number shows at least, as on the name plates of NES meters (project choice)."""


def _digits(value: Any) -> str:
    return str(value).lstrip("0").rjust(_SERIAL_DIGITS, "0")


def _named(table: type[Table], field: str) -> Convert:
    values = table.specs[field].values
    return lambda value: values.get(value, value)


def _open(value: Any) -> str:
    return "open" if value else "closed"


def _device() -> list[Measurement]:
    return [
        _fixed("serial_number", "Serial number", BT01, "mfg_serial_nbr", _digits),
        _fixed("utility_serial_number", "Utility serial number", ET03, "util_serial_nbr", str),
        _fixed("manufacturer", "Manufacturer", BT01, "manufacturer", str),
        _fixed("model", "Model", BT01, "ed_model", str),
        _fixed("firmware_version", "Firmware version", BT01, "", _version("fw_version_nbr", "fw_revision_nbr")),
        _fixed("hardware_version", "Hardware version", BT01, "", _version("hw_version_nbr", "hw_revision_nbr")),
        _fixed("clock", "Clock, UTC", BT52, "clock_calendar", _utc, device_class="timestamp"),
        _fixed("local_clock", "Clock, local", BT55, "clock_calendar", _local),
        _fixed("dst", "Daylight saving time", BT55, "time_qual.dst_flag", bool),
        _fixed("active_tariff", "Active tariff, from 1", BT55, "status.curr_tier", lambda tier: tier + 1),
        _fixed("season", "Season", BT55, "status.season"),
        _fixed(
            "disconnect_state",
            "Load disconnect",
            ET23,
            "disconnect_state",
            _named(ET23, "disconnect_state"),
            device_class="enum",
        ),
        _fixed("relay_state", "Control relay", BT03, "mfg_status_0.relay1_open", _open, device_class="enum"),
        _fixed("relay2_state", "Control relay 2", BT03, "mfg_status_5.relay2_open", _open, device_class="enum"),
        _fixed("alarms", "Active alarms", BT03, "", lambda status: [alarm.key for alarm in active_alarms(status)]),
        _fixed("constants", "CT and VT ratios", BT15, "", lambda table: table.to_json()),
    ]


_MBUS = {
    "volume": ("m³", "water", "total_increasing"),
    "energy": ("Wh", "energy", "total_increasing"),
    "mass": ("kg", "weight", "total_increasing"),
    "power": ("W", "power", "measurement"),
    "volume_flow": ("m³/h", "volume_flow_rate", "measurement"),
    "flow_temperature": ("°C", "temperature", "measurement"),
    "return_temperature": ("°C", "temperature", "measurement"),
    "temperature_difference": ("K", "temperature", "measurement"),
    "external_temperature": ("°C", "temperature", "measurement"),
    "pressure": ("bar", "pressure", "measurement"),
}
_MBUS_FACTS = {
    "serial_number": "serial_number",
    "manufacturer": "manufacturer",
    "medium": "medium",
    "status": "status",
    "timestamp": "time",
}
MBUS_DEVICES = 4


def _slot(context: Context, number: int, what: str) -> None:
    count = context.table(ET11).nbr_devices
    if number >= count:
        raise ConfigError(f"this device has {count} M-Bus and MEP slots; {what} would be slot {number + 1}")


def _mbus(number: int) -> list[Measurement]:
    found: list[Measurement] = []

    def add(key: str, unit: str, device: str, state: str, choose: Convert) -> None:
        name = f"mbus[{number}].{key}"

        def convert(entry: Any) -> Any:
            from osgp.tables.mbus import decode_device

            return choose(decode_device(entry))

        def locate(context: Context) -> Place:
            _slot(context, number - 1, name)
            return Place(ET16, f"device_data[{number - 1}]", 1, unit, convert)

        title = f"M-Bus device {number}: {key.replace('_', ' ')}"
        found.append(
            Measurement(name, title, unit, device_class=device, state_class=state, requires=(ET11,), locate=locate)
        )

    def quantity(key: str) -> Convert:
        from osgp.tables.mbus import pick

        return lambda reading: pick(reading, key)

    for key, (unit, device, state) in _MBUS.items():
        add(key, unit, device, state, quantity(key))
    for key, attribute in _MBUS_FACTS.items():
        add(key, "", "", "", attrgetter(attribute))
    add("readings", "", "", "", lambda reading: reading.to_json())
    return found


@cache
def _catalogue() -> dict[str, Measurement]:
    summations = BT23.TotDataBlock.specs["summations"].elements
    found = [_summation(number, element, None) for number, element in summations.items()]
    for tier in range(8):
        found += [
            _summation(number, element, tier)
            for number, element in summations.items()
            if "not populated in tier" not in element.doc
        ]
    found += [_present(number, element) for number, element in BT28.specs["present_values"].elements.items()]
    found += [_extreme(number) for number in range(164, 185) if number != 176]
    found += [_demand(number) for number in range(1, 9)]
    found += _device()
    for number in range(1, MBUS_DEVICES + 1):
        found += _mbus(number)
    return {each.name: each for each in found}


def all_measurements() -> list[Measurement]:
    """Every named measurement: energies, present values, extremes, facts, M-Bus devices 1–4."""
    return list(_catalogue().values())


_SPACES = re.compile(r"[\s-]+")


def find_measurement(name: str) -> Measurement:
    """A measurement by name, in any case. Raises ConfigError with near matches."""
    wanted = _SPACES.sub("_", name.strip().lower())
    found = _catalogue().get(wanted)
    if found is not None:
        return found
    near = difflib.get_close_matches(wanted, _catalogue(), 4, 0.6)
    near += [each for each in _catalogue() if wanted and wanted in each and each not in near][: 4 - len(near)]
    hint = f"did you mean {', '.join(near)}?" if near else "`osgp tables --search WORD` finds names and table fields"
    raise ConfigError(f"there is no measurement named {name!r}", hint=hint)
