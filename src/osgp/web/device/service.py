"""Answers about one device, from the store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from osgp.headend.plausibility import flag_names
from osgp.headend.store import DeviceRecord, Store, StoredEvent, StoredReading, VisitRecord
from osgp.tables.measurements import find_measurement
from osgp.tables.registry import find_table
from osgp.tables.table import table_name
from osgp.web.device.models import RANGES, Group, SeriesSet, TableLine, Value
from osgp.web.device.series import series_of
from osgp.web.doubts import telling
from osgp.web.errors import Problem
from osgp.wire.errors import ConfigError

__all__ = ["DeviceService", "grouped", "value_of"]

_ENERGY = {"Wh", "varh", "VAh", "kWh", "kvarh", "kVAh"}
_FIRST = (
    ("Energy", ("fwd_active_energy", "rev_active_energy", "import_reactive_energy", "export_reactive_energy")),
    (
        "Now",
        (
            "fwd_active_power",
            "rev_active_power",
            *(f"{quantity}_l{phase}" for quantity in ("voltage", "current", "power_factor") for phase in (1, 2, 3)),
            "frequency",
            "active_tariff",
        ),
    ),
)
"""What one looks for first, in this order."""
_MANY = 6
"""A group with more than this is folded, if it may be."""


class DeviceService:
    """Answers about one device. Raises Problem (404) for what is not there."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def device(self, number: int) -> DeviceRecord:
        """A device by its number in the store: names may hold anything, numbers are safe in addresses."""
        for each in self.store.devices():
            if each.id == number:
                return each
        raise Problem(404, "no_such_device", f"the store has no device {number}", hint="the fleet page lists them all")

    def values(self, device: DeviceRecord) -> list[Value]:
        """The newest reading of each measurement."""
        return [value_of(each) for each in self.store.latest(device.name)]

    def groups(self, device: DeviceRecord) -> list[Group]:
        """The newest readings in the groups of the page."""
        return grouped(self.values(device))

    def events(self, device: DeviceRecord, limit: int = 200) -> list[StoredEvent]:
        """The newest log entries."""
        return self.store.events(device.name, last=limit)

    def visits(self, device: DeviceRecord, limit: int = 50) -> list[VisitRecord]:
        """The newest visits."""
        return self.store.visits(device.name, limit)

    def tables(self, device: DeviceRecord) -> list[TableLine]:
        """The tables of which there is a whole read."""
        lines = []
        for each in self.store.raw_tables(device.name):
            declared = find_table(each.table)
            title = declared.title if declared is not None else ""
            lines.append(
                TableLine(each.table, table_name(each.table), title, len(each.content), each.time, each.wall, each.door)
            )
        return lines

    def data_sets(self, device: DeviceRecord) -> list[int]:
        """The load profiles that the store has."""
        return self.store.data_sets(device.name)

    def series(self, device: DeviceRecord, data_set: int, span: str, *, differences: bool) -> SeriesSet:
        """A load profile as lines over ``span`` (1d, 7d, all) back from its newest interval."""
        if span not in RANGES:
            raise Problem(422, "wrong_parameter", f"range: {span!r} is none", hint=f"one of {', '.join(RANGES)}")
        seconds = RANGES[span]
        since = None
        if seconds is not None:
            newest = self._newest(device, data_set)
            # One interval more, so that the first difference has something to start from.
            since = None if newest is None else newest - seconds - 1
        return series_of(self.store.profiles(device.name, data_set, since=since), data_set, differences=differences)

    def _newest(self, device: DeviceRecord, data_set: int) -> int | None:
        if data_set == 1:
            for each in self.store.fleet():
                if each.device.id == device.id:
                    return each.newest_interval
        last = self.store.profile(device.name, data_set).epochs()
        return last[-1] if last else None


def grouped(values: Sequence[Value]) -> list[Group]:
    """Readings in the groups of a page: what one looks for first, M-Bus devices, facts, doubtful ones, the rest."""
    by_name = {each.reading.name: each for each in values}
    made: list[Group] = []

    def add(title: str, chosen: Iterable[Value], *, folded: bool = False) -> None:
        mine = [by_name.pop(each.reading.name) for each in chosen if each.reading.name in by_name]
        if mine:
            made.append(Group(title, tuple(mine), folded and len(mine) > _MANY))

    for title, names in _FIRST:
        add(title, [by_name[name] for name in names if name in by_name])
    for slot in sorted({name.partition(".")[0] for name in by_name if "[" in name}):
        add(_slot_title(slot), [each for name, each in by_name.items() if name.startswith(f"{slot}.")])
    add(
        "Facts",
        [each for each in by_name.values() if not each.reading.unit and isinstance(each.reading.value, str)],
    )
    doubtful = [each for each in by_name.values() if each.flags]
    add("Doubtful", doubtful)
    add("More energy registers", [each for each in by_name.values() if each.reading.unit in _ENERGY], folded=True)
    add("More values", list(by_name.values()), folded=True)
    return made


def value_of(reading: StoredReading) -> Value:
    """A reading with its title and its doubts."""
    return Value(_title(reading), reading, tuple(flag_names(telling(reading.name, reading.flags))))


def _title(reading: StoredReading) -> str:
    try:
        return find_measurement(reading.name).title
    except ConfigError:
        return reading.name


def _slot_title(slot: str) -> str:
    return slot.replace("mbus[", "M-Bus device ").rstrip("]")
