"""Answers about one device, from the store."""

from __future__ import annotations

from collections.abc import Iterable

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

__all__ = ["DeviceService"]

_GROUPS = (
    ("Energy", {"Wh", "varh", "VAh", "kWh", "kvarh", "kVAh"}),
    ("Now", {"W", "var", "VA", "kW", "V", "A", "Hz"}),
)


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
        return [
            Value(_title(each), each, tuple(flag_names(telling(each.name, each.flags))))
            for each in self.store.latest(device.name)
        ]

    def groups(self, device: DeviceRecord) -> list[Group]:
        """The newest readings in the groups of the page."""
        values = self.values(device)
        made: list[Group] = []
        taken: set[str] = set()

        def add(title: str, chosen: Iterable[Value]) -> None:
            mine = [each for each in chosen if each.reading.name not in taken]
            taken.update(each.reading.name for each in mine)
            if mine:
                made.append(Group(title, tuple(mine)))

        for slot in sorted({each.reading.name.partition(".")[0] for each in values if "[" in each.reading.name}):
            add(_slot_title(slot), (each for each in values if each.reading.name.startswith(f"{slot}.")))
        children = made[:]
        made.clear()
        for title, units in _GROUPS:
            add(title, (each for each in values if each.reading.unit in units or _factor(each, title)))
        made.extend(children)
        add("Facts", values)
        return made

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


def _title(reading: StoredReading) -> str:
    try:
        return find_measurement(reading.name).title
    except ConfigError:
        return reading.name


def _slot_title(slot: str) -> str:
    return slot.replace("mbus[", "M-Bus device ").rstrip("]")


def _factor(value: Value, title: str) -> bool:
    """Power factors have no unit, but belong to the present values."""
    return title == "Now" and value.reading.name.startswith("power_factor")
