"""What a transformer area is made of: cables, branches, nodes, loads, noise sources. Plain data, as a grid file declares it.

Project choice. The losses of branches and phases are those of the channel (``spec/phy-ts103908.md`` 3.6 a); what is said of loads
and of the time of day is plausible and no more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from osgp.sim.channel_attenuation import COUPLING_DB, CROSS_PHASE_DB, LOADED_BRANCH_DB, SHADOWING_DB, TRANSMIT_DBUV
from osgp.sim.channel_background import NORMAL_DBUV
from osgp.sim.channel_text import BadSetting, P, U, check_numbers, number

__all__ = [
    "CABLES",
    "DEVICES",
    "KINDS",
    "LOADS",
    "PHASES",
    "PROFILES",
    "TRANSFORMER",
    "Branch",
    "Cable",
    "GridDescription",
    "GridSettings",
    "Load",
    "Node",
    "NoiseSource",
]

TRANSFORMER = "transformer"
"""The point that every grid has: the busbar behind the transformer. Nothing passes the transformer itself."""
PHASES = {"L1": 1, "L2": 2, "L3": 4, "L123": 7}
"""Phases by name, as a set of bits."""
DEVICES = ("meter", "concentrator", "repeater", "load_control", "none")
KINDS = {"background": "Q", "appliances": "R", "dimmer": "D", "tone": "T", "converter": "T"}
"""Kinds of noise source, and the scenario of the channel that each is a case of."""
_EVENING = (-10, -12, -12, -12, -12, -10, -6, -3, -4, -6, -6, -5, -4, -5, -6, -5, -3, -1, 0, 0, 0, -1, -3, -7)
_DAY = (-20, -20, -20, -20, -20, -15, -8, -3, 0, 0, 0, 0, -2, 0, 0, 0, -2, -6, -12, -15, -20, -20, -20, -20)
_NIGHT = (0, 0, 0, 0, -2, -10, -25, -40, -40, -40, -40, -40, -40, -40, -40, -40, -40, -30, -15, -8, -4, -1, 0, 0)
_SOLAR = (-60, -60, -60, -60, -60, -40, -20, -12, -6, -3, -1, 0, 0, 0, -1, -3, -6, -12, -20, -40, -60, -60, -60, -60)
PROFILES: dict[str, tuple[float, ...]] = {
    "always": (0.0,) * 24,
    "evening": tuple(map(float, _EVENING)),
    "day": tuple(map(float, _DAY)),
    "night": tuple(map(float, _NIGHT)),
    "solar": tuple(map(float, _SOLAR)),
}
"""Level against the loudest hour, dB, on each full hour of local time; straight between them."""


def _named(key: str, value: str) -> None:
    if not value or len(value) > 80 or not value.isprintable() or value != value.strip():
        raise BadSetting(key, f"{key} cannot be {value[:80]!r}", hint="1 to 80 printable characters")


def _one_of(key: str, value: str, known: object) -> None:
    choices = list(known)  # type: ignore[call-overload]  # a dict or a tuple of names
    if value not in choices:
        raise BadSetting(key, f"{key} cannot be {value!r}", hint=f"one of {', '.join(choices)}")


@dataclass(frozen=True, slots=True)
class Cable:
    """A type of cable. ``loss_db_per_km`` at the carriers, without its branches."""

    name: str
    loss_db_per_km: float = number(5.0, P, "3.6 a: bare cable", low=0.0, high=10_000.0)

    def __post_init__(self) -> None:
        check_numbers(self)
        _named("name", self.name)


CABLES = {
    each.name: each
    for each in (Cable("underground", 5.0), Cable("overhead", 3.0), Cable("service", 10.0), Cable("riser", 20.0))
}
"""Cables that every grid knows; a file may say them anew."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A stretch of cable between two points. ``open``: switched off from the beginning."""

    name: str
    start: str
    end: str
    length_m: float = number(30.0, P, "", low=0.0, high=20_000.0)
    cable: str = "underground"
    open: bool = False

    def __post_init__(self) -> None:
        check_numbers(self)
        for key in ("name", "start", "end"):
            _named(key, getattr(self, key))
        if self.start == self.end:
            raise BadSetting("end", f"branch {self.name} begins and ends at {self.start}", hint="two different points")


@dataclass(frozen=True, slots=True)
class Load:
    """What a kind of load does to the line: damps it for those who pass, and makes noise."""

    damping_db: float
    noise: str
    level_dbuv: float
    profile: str
    frequency_hz: float = 0.0


LOADS = {
    "appliances": Load(0.3, "appliances", 66.0, "evening"),
    "led_lighting": Load(0.3, "appliances", 70.0, "evening"),
    "dimmer": Load(0.3, "dimmer", 80.0, "evening"),
    "heat_pump": Load(1.0, "converter", 84.0, "always", 72_000.0),
    "ev_charger": Load(1.5, "converter", 90.0, "night", 85_000.0),
    "solar_inverter": Load(1.5, "converter", 92.0, "solar", 76_500.0),
    "induction_hob": Load(0.5, "tone", 88.0, "evening", 86_900.0),
    "workshop": Load(1.0, "dimmer", 86.0, "day"),
}
"""Loads that a node may name (project choice)."""


@dataclass(frozen=True, slots=True)
class Node:
    """A house, or whatever else a device hangs at. ``at``: the point it is joined to, by ``length_m`` of ``cable``.

    ``phase``: L1, L2, L3 or L123. ``device``: what is there, or none. ``unique_node_id``: 12 hexadecimal digits, or empty.
    ``loads``: names from ``LOADS``.
    """

    name: str
    at: str
    phase: str = "L1"
    length_m: float = number(12.0, P, "", low=0.0, high=5000.0)
    cable: str = "service"
    device: str = "meter"
    unique_node_id: str = ""
    loads: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_numbers(self)
        for key in ("name", "at"):
            _named(key, getattr(self, key))
        _one_of("phase", self.phase, PHASES)
        _one_of("device", self.device, DEVICES)
        for load in self.loads:
            _one_of("loads", load, LOADS)
        if self.unique_node_id and not re.fullmatch("[0-9A-Fa-f]{12}", self.unique_node_id):
            raise BadSetting(
                "unique_node_id", f"{self.unique_node_id[:40]!r} is no unique node ID", hint="12 hexadecimal digits"
            )


@dataclass(frozen=True, slots=True)
class NoiseSource:
    """Something loud. ``at``: a point or a node. ``level_dbuv`` at its own terminals in its loudest hour.

    Levels of background, appliances and dimmer are power in one line bit rate of bandwidth at the primary carrier; of tone and
    converter all their power, at ``frequency_hz`` and there two kilohertz wide. ``profile``: a name from ``PROFILES``, or 24
    ``hours_db`` of its own.
    """

    name: str
    at: str
    kind: str = "appliances"
    level_dbuv: float = number(75.0, P, "3.6 d: a bad line", low=-60.0, high=160.0)
    phase: str = "L123"
    profile: str = "always"
    hours_db: tuple[float, ...] = number((), P, "the user's", low=-200.0, high=60.0)
    frequency_hz: float = number(86_000.0, P, "3.6 i", low=1e3, high=170e3)

    def __post_init__(self) -> None:
        check_numbers(self)
        for key in ("name", "at"):
            _named(key, getattr(self, key))
        _one_of("kind", self.kind, KINDS)
        _one_of("phase", self.phase, PHASES)
        _one_of("profile", self.profile, PROFILES)
        if self.hours_db and len(self.hours_db) != 24:
            raise BadSetting("hours_db", f"{len(self.hours_db)} hours", hint="24 numbers, from midnight on")


@dataclass(frozen=True, slots=True)
class GridSettings:
    """What holds for the whole grid. ``seed``: of the shadowing between each two nodes. ``service_db``: damping by a house one passes.

    ``background_dbuv``: noise that is everywhere. ``utc_offset_h``: local time is so many hours ahead of UTC.
    """

    name: str = "grid"
    seed: int = number(1, P, "", low=0, high=2**63)
    background_dbuv: float = number(NORMAL_DBUV, P, "3.6 d", low=-60.0, high=160.0)
    transmit_dbuv: float = number(TRANSMIT_DBUV, U, "2.12, 3.6 a", low=0.0, high=200.0)
    coupling_db: float = number(COUPLING_DB, P, "3.6 a", low=0.0, high=100.0)
    branch_db: float = number(LOADED_BRANCH_DB, P, "3.6 a", low=0.0, high=100.0)
    service_db: float = number(0.5, P, "50 dB/km less 5 over ninety houses per km, 3.6 a", low=0.0, high=100.0)
    cross_phase_db: float = number(CROSS_PHASE_DB, P, "3.6 a", low=0.0, high=100.0)
    shadowing_db: float = number(SHADOWING_DB, P, "3.6 a", low=0.0, high=40.0)
    mains_hz: float = number(50.0, P, "3.6", low=10.0, high=100.0)
    utc_offset_h: float = number(0.0, P, "", low=-14.0, high=14.0)

    def __post_init__(self) -> None:
        check_numbers(self)
        _named("name", self.name)


@dataclass(frozen=True, slots=True)
class GridDescription:
    """A transformer area. Equal descriptions make equal grids."""

    settings: GridSettings = GridSettings()
    cables: tuple[Cable, ...] = ()
    branches: tuple[Branch, ...] = ()
    nodes: tuple[Node, ...] = ()
    noises: tuple[NoiseSource, ...] = ()

    def cable(self, name: str) -> Cable:
        """A cable type by name, the file's own before those that every grid knows. KeyError is the caller's mistake."""
        return next((each for each in self.cables if each.name == name), None) or CABLES[name]

    @property
    def points(self) -> list[str]:
        """The transformer and every point that a branch touches, in the order of the file."""
        found = dict.fromkeys([TRANSFORMER])
        for branch in self.branches:
            found |= dict.fromkeys((branch.start, branch.end))
        return list(found)
