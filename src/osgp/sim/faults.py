"""What can be wrong with a simulated device, by name: on its line, in its registers, in its clock, in its sessions.

Faults are chosen by a comma-separated list (``echo,noise,drop``), some with a value behind ``=``. All chances come from the
device's seed, so that the same seed fails in the same way. Rates are project choices.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

from osgp.node.energy import EnergySource, Instant
from osgp.sim.line import Faults
from osgp.tables.table import number_of
from osgp.wire.errors import ConfigError

__all__ = ["FAULTS", "DeviceFaults", "FrozenSource", "SaggingSource", "parse_faults"]

FAULTS = {
    "echo": "the line gives back what is sent into it",
    "noise": "noise=0.002: chance of a random byte before each byte",
    "drop": "drop=0.002: chance that a byte is lost",
    "damage": "damage=0.001: chance that a bit of a byte flips",
    "frozen": "the registers stand still although energy flows",
    "sag": "sag=2: so many voltage sags and surges a day, of seconds to minutes, on one phase",
    "drift": "drift=200: the clock runs that many millionths fast (below 0: slow)",
    "stale": "stale=0.1: chance that the MEP counter has jumped by 25 before a request",
    "busy": "busy=0.1: chance that a table service is answered with 06, device busy",
    "absent": "absent=BT28: this table is not in the device's configuration",
}
"""Every fault and what it does."""
_DEFAULTS = {"noise": 0.002, "drop": 0.002, "damage": 0.001, "sag": 2.0, "drift": 200.0, "stale": 0.1, "busy": 0.1}


_MOST_SAGS = 100


@dataclass(slots=True)
class DeviceFaults:
    """What is wrong with one device."""

    line: Faults = field(default_factory=Faults)
    frozen: bool = False
    drift_ppm: float = 0.0
    stale: float = 0.0
    busy: float = 0.0
    absent: tuple[int, ...] = ()
    sag: float = 0.0

    @property
    def on_line(self) -> bool:
        """Whether the line misbehaves."""
        return self.line != Faults()


def parse_faults(text: str) -> DeviceFaults:
    """Read a list such as ``echo,noise=0.01,absent=BT28``. Raises ConfigError."""
    chosen: dict[str, str] = {}
    absent: list[int] = []
    for word in (part.strip() for part in text.split(",") if part.strip()):
        name, _, value = word.partition("=")
        name = {"frozen register": "frozen", "clock drift": "drift", "stale sequence": "stale"}.get(name, name)
        if name not in FAULTS:
            raise ConfigError(f"there is no fault {name!r}", hint=f"faults: {', '.join(FAULTS)}")
        if name == "absent":
            absent.append(number_of(value or "BT28"))
        chosen[name] = value
    numbers: dict[str, float] = {}
    for name, value in chosen.items():
        if name in _DEFAULTS:
            try:
                numbers[name] = float(value) if value else _DEFAULTS[name]
            except ValueError as error:
                raise ConfigError(f"{name}={value} is not a number", hint=FAULTS[name]) from error
    for name in ("stale", "busy"):
        if not 0 <= numbers.get(name, 0.0) <= 1:
            raise ConfigError(f"{name}={numbers[name]:g} is not a chance", hint="Give a number from 0 to 1.")
    if not 0 <= numbers.get("sag", 0.0) <= _MOST_SAGS:
        raise ConfigError(f"sag={numbers['sag']:g} is not possible", hint=f"Give a number from 0 to {_MOST_SAGS}.")
    line = Faults(
        drop=numbers.get("drop", 0.0),
        noise=numbers.get("noise", 0.0),
        damage=numbers.get("damage", 0.0),
        echo="echo" in chosen,
    )
    return DeviceFaults(
        line,
        "frozen" in chosen,
        numbers.get("drift", 0.0),
        numbers.get("stale", 0.0),
        numbers.get("busy", 0.0),
        tuple(absent),
        numbers.get("sag", 0.0),
    )


class FrozenSource:
    """An ``EnergySource`` whose energy does not count from ``since`` on; what it shows at a moment goes on."""

    def __init__(self, source: EnergySource, since: float) -> None:
        self._source = source
        self.since = since

    def energy(self, start: float, end: float) -> tuple[int, ...]:
        """Only what flowed before."""
        return self._source.energy(min(start, self.since), min(end, self.since))

    def instant(self, at: float) -> Instant:
        """As ever."""
        return self._source.instant(at)

    def beyond(self, start: float, end: float, low_v: float, high_v: float) -> float | None:
        """As ever."""
        return _beyond(self._source, start, end, low_v, high_v)


@dataclass(frozen=True, slots=True)
class _Sag:
    start: float
    end: float
    phase: int
    factor: float


class SaggingSource:
    """An ``EnergySource`` whose voltage sags or rises ``per_day`` times a day: 5 s to 5 min, on one phase. Energy stays."""

    def __init__(self, source: EnergySource, seed: int, per_day: float) -> None:
        self._source = source
        self.seed = seed
        self.per_day = per_day
        self._day: tuple[int, list[_Sag]] = (-1, [])

    def sags(self, day: int) -> list[_Sag]:
        """What happens on a UTC day (days since 1970), by time; all of it ends before midnight."""
        if self._day[0] != day:
            rng = random.Random(f"sag {self.seed} {day}")
            count = int(self.per_day) + (rng.random() < self.per_day % 1)
            found = []
            for _ in range(count):
                start = day * 86400.0 + rng.randrange(86000)
                factor = rng.uniform(1.12, 1.18) if rng.random() < 0.25 else rng.uniform(0.4, 0.85)
                found.append(_Sag(start, start + rng.randrange(5, 300), rng.randrange(3), factor))
            self._day = day, sorted(found, key=lambda each: each.start)
        return self._day[1]

    def energy(self, start: float, end: float) -> tuple[int, ...]:
        """As ever."""
        return self._source.energy(start, end)

    def instant(self, at: float) -> Instant:
        """As ever, but for a voltage."""
        found = self._source.instant(at)
        phases = list(found.phases)
        for one in self.sags(int(at // 86400)):
            if one.start <= at < one.end:
                number = one.phase % len(phases)
                phases[number] = replace(phases[number], voltage_v=phases[number].voltage_v * one.factor)
        return replace(found, phases=tuple(phases))

    def beyond(self, start: float, end: float, low_v: float, high_v: float) -> float | None:
        """The first moment at which a voltage may be beyond its limits: the house's, or the beginning of a sag."""
        moments = [_beyond(self._source, start, end, low_v, high_v)]
        for day in range(int(start // 86400), int(end // 86400) + 1):
            moments += [max(one.start, start) for one in self.sags(day) if one.start < end and one.end > start]
        return min((each for each in moments if each is not None), default=None)


def _beyond(source: EnergySource, start: float, end: float, low_v: float, high_v: float) -> float | None:
    ask = getattr(source, "beyond", None)
    found: float | None = ask(start, end, low_v, high_v) if ask is not None else None
    return found


def chance(rng: random.Random, of: float) -> bool:
    """Whether it happens this time; draws nothing when it never can."""
    return of > 0 and rng.random() < of
