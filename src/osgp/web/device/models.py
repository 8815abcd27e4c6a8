"""What the page of one device shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from osgp.headend.store import StoredReading

__all__ = ["RANGES", "Group", "Series", "SeriesSet", "TableLine", "Value"]

RANGES: dict[str, int | None] = {"1d": 86400, "7d": 7 * 86400, "all": None}
"""What a plot may span, in seconds back from the newest interval."""


@dataclass(frozen=True, slots=True)
class Value:
    """A reading with its title and its doubts in words."""

    title: str
    reading: StoredReading
    flags: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """A plain object."""
        one = self.reading
        return {
            "name": one.name,
            "title": self.title,
            "value": one.value,
            "unit": one.unit,
            "time": one.time,
            "wall": one.wall,
            "flags": list(self.flags),
        }


@dataclass(frozen=True, slots=True)
class Group:
    """Values that belong together. ``folded``: shown only when asked for, because they are many."""

    title: str
    values: tuple[Value, ...]
    folded: bool = False


@dataclass(slots=True)
class Series:
    """One channel over time. ``values`` in ``unit``, None where there is none; ``flags``: place in ``values`` to words."""

    key: str
    title: str
    unit: str
    cumulative: bool
    values: list[float | None] = field(default_factory=list)
    flags: dict[int, list[str]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """A plain object."""
        return {
            "key": self.key,
            "title": self.title,
            "unit": self.unit,
            "cumulative": self.cumulative,
            "values": self.values,
            "flags": [{"index": place, "words": words} for place, words in sorted(self.flags.items())],
        }


@dataclass(slots=True)
class SeriesSet:
    """Channels over one regular grid of interval ends (``time``, seconds since 1970); missing intervals have None in all."""

    data_set: int
    interval_s: int
    time: list[int]
    series: list[Series]
    missing: int = 0
    statuses: dict[int, list[str]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """A plain object."""
        return {
            "data_set": self.data_set,
            "interval_s": self.interval_s,
            "time": self.time,
            "missing": self.missing,
            "statuses": [{"index": place, "words": words} for place, words in sorted(self.statuses.items())],
            "series": [each.to_json() for each in self.series],
        }


@dataclass(frozen=True, slots=True)
class TableLine:
    """A table that was read whole: number, name, title, bytes, meter time, wall time, door."""

    number: int
    name: str
    title: str
    size: int
    time: int
    wall: float
    door: str
