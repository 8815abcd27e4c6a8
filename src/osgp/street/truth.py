"""Whether a journal holds what the meters hold: each interval and each event exactly once, and the same energy. Project choice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from osgp.street.own import Own

if TYPE_CHECKING:
    from osgp.street.run import StreetRun

__all__ = ["HouseTruth", "Truth", "compare"]


@dataclass(slots=True)
class HouseTruth:
    """One device. ``held``: intervals that it holds; ``kept``: of those in the journal with the same values; ``missing``, ``wrong``
    (other values), ``doubled`` (more than once). ``events`` in the same way. ``own_count``, ``journal_count``: growth of the first
    channel over the intervals held, in its register's units. ``gone``: why nothing can be expected of it, if so."""

    house: str
    kind: str
    held: int = 0
    kept: int = 0
    missing: int = 0
    wrong: int = 0
    doubled: int = 0
    events_held: int = 0
    events_missing: int = 0
    events_doubled: int = 0
    own_count: int = 0
    journal_count: int = 0
    gone: str = ""

    @property
    def exact(self) -> bool:
        """Whether everything is there once."""
        faults = self.missing, self.wrong, self.doubled, self.events_missing, self.events_doubled
        return not any(faults) and self.own_count == self.journal_count


@dataclass(slots=True)
class Truth:
    """All devices. ``registers_checked``, ``registers_wrong``: register readings that were compared with the meter's own at once."""

    houses: list[HouseTruth] = field(default_factory=list)
    registers_checked: int = 0
    registers_wrong: int = 0

    @property
    def expected(self) -> list[HouseTruth]:
        """Those of which something can be expected."""
        return [each for each in self.houses if not each.gone]

    def total(self, name: str) -> int:
        """The sum of a figure over the devices of which something can be expected."""
        return sum(getattr(each, name) for each in self.expected)

    @property
    def share(self) -> float:
        """Intervals in the journal by intervals held; 1 if there are none."""
        held = self.total("held")
        return self.total("kept") / held if held else 1.0

    @property
    def without_intervals(self) -> set[str]:
        """Houses of which intervals are missing."""
        return {each.house for each in self.expected if each.missing}

    @property
    def without_events(self) -> set[str]:
        """Houses of which log entries are missing."""
        return {each.house for each in self.expected if each.events_missing}

    @property
    def exact(self) -> bool:
        """Whether everything is there exactly once, and every register agreed."""
        return not self.registers_wrong and all(each.exact for each in self.expected)

    def to_json(self) -> dict[str, Any]:
        """A plain object."""
        names = (
            "held", "kept", "missing", "wrong", "doubled", "events_held", "events_missing", "events_doubled",
            "own_count", "journal_count",
        )  # fmt: skip
        return {
            "exact": self.exact,
            "share": self.share,
            **{name: self.total(name) for name in names},
            "registers_checked": self.registers_checked,
            "registers_wrong": self.registers_wrong,
            "not_expected": {each.house: each.gone for each in self.houses if each.gone},
            "not_exact": [each.house for each in self.expected if not each.exact],
        }


def compare(run: StreetRun, own: Mapping[str, Own]) -> Truth:
    """The journal of a run against what its devices held. Raises StoreError."""
    numbers, journal = run.numbers(), run.journal
    truth = Truth(registers_checked=run.observed.registers_checked, registers_wrong=run.observed.registers_wrong)
    for house in run.plan.houses:
        one = HouseTruth(house.node, house.kind, gone=run.gone.get(house.node, ""))
        number = numbers.get(house.node, -1)
        for data_set, held in own[house.node].profiles.items():
            _intervals(one, held, journal.intervals(number, data_set))
        for log, entries in own[house.node].logs.items():
            _events(one, entries, [raw for _, _, _, raw in journal.events_of(number, log)])
        truth.houses.append(one)
    return truth


def _intervals(
    one: HouseTruth, held: Mapping[int, tuple[list[int], list[int]]], kept: list[tuple[int, list[int], list[int]]]
) -> None:
    times = Counter(time for time, _, _ in kept)
    there = {time: (status, values) for time, status, values in kept}
    one.held += len(held)
    one.doubled += sum(count - 1 for count in times.values())
    for time, content in held.items():
        found = there.get(time)
        if found is None:
            one.missing += 1
        elif found != content:
            one.wrong += 1
        else:
            one.kept += 1
    one.own_count += _growth([held[time][1] for time in sorted(held)])
    one.journal_count += _growth([there[time][1] for time in sorted(held) if time in there])


def _growth(values: list[list[int]]) -> int:
    return values[-1][0] - values[0][0] if values and values[0] else 0


def _events(one: HouseTruth, held: list[bytes], kept: list[bytes]) -> None:
    there = Counter(kept)
    wanted = Counter(held)
    one.events_held += len(held)
    one.events_missing += (wanted - there).total()
    one.events_doubled += sum(max(0, there[raw] - count) for raw, count in wanted.items())
