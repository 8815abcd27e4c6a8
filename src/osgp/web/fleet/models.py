"""What the fleet page shows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["COLUMNS", "Column", "Completeness", "FleetRow", "FleetView"]


@dataclass(frozen=True, slots=True)
class Completeness:
    """How much of the last full day (UTC, by the meter's clock) the store has of load profile 1."""

    day: str
    have: int
    expected: int

    @property
    def percent(self) -> float:
        """0 to 100."""
        return 100 * self.have / self.expected if self.expected else 0.0


@dataclass(frozen=True, slots=True)
class FleetRow:
    """One device. Energies in Wh, power in W (import minus export); None: not read. ``state``: reading, ok, partial, failed,
    interrupted or never; ``detail``: why; ``alarms``: (severity, text); ``flags``: doubts about values, in words."""

    id: int
    name: str
    model: str
    serial: str
    firmware: str
    door: str
    last_visit: float | None
    state: str
    detail: str
    failures: int
    energy_import: float | None
    energy_export: float | None
    power: float | None
    alarms: tuple[tuple[str, str], ...]
    flags: tuple[str, ...]
    completeness: Completeness | None

    def to_json(self) -> dict[str, Any]:
        """A plain object with the units in the names."""
        shown = asdict(self)
        for name, unit in (("energy_import", "wh"), ("energy_export", "wh"), ("power", "w")):
            shown[f"{name}_{unit}"] = shown.pop(name)
        shown["alarms"] = [{"severity": severity, "text": text} for severity, text in self.alarms]
        if self.completeness is not None:
            shown["completeness"]["percent"] = round(self.completeness.percent, 2)
        return shown


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table: ``key`` names it in addresses, ``first`` is the order that a first click gives."""

    key: str
    title: str
    numeric: bool = False
    first: str = "asc"


COLUMNS = (
    Column("name", "Device"),
    Column("model", "Model"),
    Column("serial", "Serial"),
    Column("door", "Door"),
    Column("visit", "Last visit", first="desc"),
    Column("state", "State"),
    Column("import", "Import", True, "desc"),
    Column("export", "Export", True, "desc"),
    Column("power", "Power now", True, "desc"),
    Column("alarms", "Alarms and doubts", first="desc"),
    Column("complete", "Yesterday", True),
)


@dataclass(frozen=True, slots=True)
class FleetView:
    """The rows that are shown, out of ``total``, and how they came to be."""

    rows: tuple[FleetRow, ...]
    total: int
    query: str
    sort: str
    order: str
    now: float
    states: tuple[tuple[str, int], ...]
