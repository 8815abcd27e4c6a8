"""What a street is made of, as a file says it: grid, devices by kind, the concentrator's wishes, faults. Project choice.

A TOML text; what it leaves out has its default::

    [street]
    name = "Elm Street"
    seed = 1
    hours = 24

    [grid]                      # or: file = "elm.toml" (osgp grid new)
    kind = "suburban"
    houses = 60

    [devices]                   # house by house; all others are meters, of one or three phases as the house is connected
    inverter = ["7", "21"]
    load = ["12"]
    gateway = ["30"]

    [legacy]                    # these have no UMK, and speak the broken suite; only for interworking with old meters
    houses = ["9"]

    [concentrator.plan]         # as ``concentrator.config.ConcentratorConfig`` has it
    profile_s = 21600

    [[fault]]
    at_h = 6.5
    kind = "cut"
    target = "F2.20"
    minutes = 60

    [[firmware]]                # an image for all devices of one kind
    at_h = 6
    devices = "1ph"
    kib = 128
    version = "4.61"

    [[job]]                     # an order to the concentrator
    at_h = 18
    kind = "procedure"
    devices = "load"            # all of a kind, or of the street without it
    parameters = {procedure = "EP02", parameters = {target = 1, action = 0, hold = 90}}

    [doors]                     # optical ports and MEP of the devices, for readers of yours; needs a speed
    optical = "tcp://127.0.0.1:7701"
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from osgp.app.profile import OsgpProfile
from osgp.concentrator.config import ConcentratorConfig
from osgp.ports.network_profile import read_profile
from osgp.sim.channel_text import BadSetting, P, Text, check_numbers, number, toml_value
from osgp.sim.device_kinds import KINDS
from osgp.sim.grid_description import GridDescription, Node
from osgp.sim.grid_generators import new_grid
from osgp.sim.grid_text import load_description
from osgp.sim.local_doors import DoorOptions
from osgp.wire.errors import ConfigError, StoreError

__all__ = [
    "FAULTS",
    "JOBS",
    "MOST_DEVICES",
    "START",
    "Fault",
    "House",
    "Order",
    "StreetPlan",
    "Upgrade",
    "default_text",
    "load_plan",
    "parse_plan",
]

START = datetime(2025, 1, 15, tzinfo=UTC)
"""When a street begins unless its file says otherwise: midnight of a winter's day."""
MOST_DEVICES = 1000
FAULTS = {
    "dead": "a device dies; target: a house, or nothing for the repeater that most ways lead through",
    "cut": "a branch of the grid is switched off; target: its name",
    "noise": "everybody hears less by so many db; target: a house whose receiver alone is hit, or nothing",
    "kill": "the concentrator is killed and started again, count times at random moments within the minutes",
    "corrupt": "the concentrator is killed, a page of its journal is overwritten, and it starts again; needs a journal in a file",
    "attack": "somebody at a house has recorded all frames and sends them again, out of order, half of them forged; target: the house",
    "outage": "the whole street is without supply, the concentrator too",
    "clock": "clocks jump by so many seconds; target: a house, or nothing for all",
    "own-clock": "the concentrator's own clock jumps by so many seconds, and back after its minutes",
    "own-clock-down": "the same, but the jump happens while the concentrator is down for a minute",
    "worn": "keys have been used almost as often as the alarm at 80 % says, here and there; target: a house, or nothing for all",
    "spent": "numbers under the present keys are used up but for count - 1; target: a house, or nothing for all",
    "same-address": "a device comes back with the address of another; target: the house",
    "wrong-key": "a device has another key than the head-end says, from the beginning; target: a house",
}
"""Kinds of fault and what they do. ``dead``, ``cut``, ``noise``, ``attack`` and ``outage`` end after their minutes, or never (0)."""
_SETTLE_MINUTES = 120.0
JOBS = ("read", "write", "procedure", "group", "visit")
"""Kinds of jobs; what they take is told in the guide on the concentrator."""
_NEED_TARGET = ("cut", "wrong-key", "attack", "same-address")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something goes wrong ``at_h`` hours after the beginning, for ``minutes``. See ``FAULTS``."""

    kind: str
    at_h: float = number(1.0, P, "", low=0.0, high=24.0 * 366)
    minutes: float = number(0.0, P, "", low=0.0, high=1440.0 * 366)
    target: str = ""
    db: float = number(20.0, P, "", low=0.0, high=100.0)
    seconds: float = number(3600.0, P, "", low=-1e8, high=1e8)
    count: int = number(1, P, "", low=1, high=10_000)

    def __post_init__(self) -> None:
        check_numbers(self)
        if self.kind not in FAULTS:
            raise BadSetting("kind", f"no fault is called {self.kind[:60]!r}", hint=f"one of {', '.join(FAULTS)}")
        if self.kind in _NEED_TARGET and not self.target:
            raise BadSetting("kind", f"the fault {self.kind!r} needs a target", hint=FAULTS[self.kind])

    @property
    def begin_s(self) -> float:
        """Seconds after the beginning."""
        return self.at_h * 3600.0

    @property
    def end_s(self) -> float | None:
        """When it is over; None if it never is."""
        lasts = self.kind in ("dead", "cut", "noise", "attack", "outage", "own-clock", "own-clock-down")
        return None if lasts and not self.minutes else self.begin_s + self.minutes * 60.0


_VERSION = re.compile(r"(\d{1,3})\.(\d{1,3})")


@dataclass(frozen=True, slots=True)
class Upgrade:
    """New firmware for all devices of the kind ``devices``, as many as are known ``at_h`` hours after the beginning. ``version``:
    major and minor number; ``activate_h``: hours after the beginning at which it is switched to, 0: as soon as it is there."""

    devices: str
    at_h: float = number(1.0, P, "", low=0.0, high=24.0 * 366)
    kib: float = number(128.0, P, "", low=0.1, high=500.0)
    version: str = "4.61"
    activate_h: float = number(0.0, P, "", low=0.0, high=24.0 * 366)

    def __post_init__(self) -> None:
        check_numbers(self)
        if self.devices not in KINDS:
            raise BadSetting(
                "devices", f"there is no kind of device {self.devices[:60]!r}", hint=f"kinds: {', '.join(KINDS)}"
            )
        if max(self.numbers()) > 255:
            raise BadSetting("version", f"{self.version!r} is no version", hint='"4.61": two numbers of 0 to 255')

    def numbers(self) -> tuple[int, int]:
        """Major and minor number. Raises BadSetting."""
        found = _VERSION.fullmatch(self.version)
        if found is None:
            raise BadSetting("version", f"{self.version[:40]!r} is no version", hint='"4.61": major and minor number')
        return int(found[1]), int(found[2])


@dataclass(frozen=True, slots=True)
class Order:
    """A job for the concentrator, ``at_h`` hours after the beginning, for all devices of the kind ``devices`` that it has in care then
    (of every kind without). ``kind`` and ``parameters``: as ``Concentrator.add_job`` has them."""

    kind: str
    at_h: float = number(1.0, P, "", low=0.0, high=24.0 * 366)
    devices: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_numbers(self)
        if self.kind not in JOBS:
            raise BadSetting("kind", f"no job is called {self.kind[:60]!r}", hint=f"one of {', '.join(JOBS)}")


@dataclass(frozen=True, slots=True)
class House:
    """A device: at which node of the grid, and of which kind (``sim.device_kinds.KINDS``)."""

    node: str
    kind: str


@dataclass(frozen=True, slots=True)
class _Settings:
    name: str = "street"
    seed: int = number(1, P, "", low=0, high=0xFFFF)
    hours: float = number(24.0, P, "", low=0.05, high=24.0 * 366)
    start: str = ""
    profile: str = ""
    settle_minutes: float = number(_SETTLE_MINUTES, P, "", low=0.0, high=1440.0)

    def __post_init__(self) -> None:
        check_numbers(self)
        self.moment()

    def moment(self) -> datetime:
        """The beginning. Raises BadSetting."""
        if not self.start:
            return START
        try:
            found = datetime.fromisoformat(self.start)
        except ValueError as error:
            raise BadSetting("start", f"{self.start[:40]!r} is no moment", hint="2025-01-15T00:00:00Z") from error
        return found if found.tzinfo else found.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _GridSettings:
    file: str = ""
    kind: str = "suburban"
    houses: int = number(60, P, "", low=1, high=MOST_DEVICES)
    seed: int = number(1, P, "", low=0, high=2**31)
    background_dbuv: float = number(90.0, P, "", low=-60.0, high=160.0)
    concentrator: str = ""

    def __post_init__(self) -> None:
        check_numbers(self)


@dataclass(frozen=True, slots=True)
class _Legacy:
    houses: tuple[str, ...] = ()
    writes: bool = False
    encrypt: bool = False


@dataclass(frozen=True, slots=True)
class _Doors:
    optical: str = ""
    mep: str = ""
    keys_dir: str = ""


@dataclass(frozen=True)
class StreetPlan:
    """A street. ``grid`` has the concentrator at ``concentrator``; ``houses`` are the devices, in the order of the grid.

    ``settle_s``: at the end, when everything is asked for once more, how long that may take at most. ``legacy``: houses whose devices
    speak nothing but the broken suite; with ``legacy_writes`` they take orders by it, with ``legacy_encrypt`` it is RC4.
    ``profile``: message codes, labels and limits of the network. ``doors``: optical ports and MEP of the devices, open while time has
    a speed.
    """

    grid: GridDescription
    concentrator: str
    houses: tuple[House, ...]
    name: str = "street"
    seed: int = 1
    hours: float = 24.0
    start: datetime = START
    settle_s: float = 7200.0
    config: ConcentratorConfig = field(default_factory=ConcentratorConfig)
    faults: tuple[Fault, ...] = ()
    upgrades: tuple[Upgrade, ...] = ()
    orders: tuple[Order, ...] = ()
    legacy: tuple[str, ...] = ()
    legacy_writes: bool = False
    legacy_encrypt: bool = False
    profile: OsgpProfile = field(default_factory=OsgpProfile)
    doors: DoorOptions | None = None

    def with_faults(self, *faults: Fault) -> StreetPlan:
        """The same street with other faults."""
        return dataclasses.replace(self, faults=faults)


def load_plan(path: str | Path) -> StreetPlan:
    """Read a street's file. A grid file is looked for beside it. Raises ConfigError with file, line and hint."""
    try:
        content = Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ConfigError(f"{path} cannot be read: {reason}", hint="`osgp street new -o FILE` makes one") from error
    return parse_plan(content, str(path), beside=Path(path).parent)


def parse_plan(content: str, where: str = "street", *, beside: Path | None = None) -> StreetPlan:
    """A plan from the text of a file; ``where`` names it in messages. Raises ConfigError with file, line and hint."""
    text = Text(content, where)
    text.only({"street", "grid", "devices", "legacy", "concentrator", "fault", "firmware", "job", "doors"})
    settings: _Settings = text.read(_Settings, text.table("street"), table="street")
    wanted: _GridSettings = text.read(_GridSettings, text.table("grid"), table="grid")
    grid, concentrator = _grid(text, wanted, beside or Path())
    names = [node.name for node in grid.nodes if node.device != "none" and node.name != concentrator]
    if not names:
        raise text.error("a street needs a concentrator and at least one device", table="grid", hint="add a [[node]]")
    if len(names) > MOST_DEVICES:
        raise text.error(f"{len(names)} devices are more than {MOST_DEVICES}", table="grid", hint="take a smaller grid")
    kinds = _kinds(text, grid, names)
    try:
        config = ConcentratorConfig.from_mapping({"name": settings.name, **text.table("concentrator")})
    except ConfigError as error:
        raise text.error(error.message, table="concentrator", hint=error.hint) from error
    try:
        profile = read_profile((beside or Path()) / settings.profile if settings.profile else None)
    except (ConfigError, StoreError) as error:
        raise text.error(error.message, table="street", key="profile", hint=error.hint) from error
    legacy: _Legacy = text.read(_Legacy, text.table("legacy"), table="legacy")
    for house in legacy.houses:
        if house not in names:
            raise text.error(
                f"no house with a device is called {house!r:.60}", table="legacy", key="houses",
                hint="osgp grid show lists the nodes",
            )  # fmt: skip
    faults = tuple(
        text.read(Fault, each, table="fault", index=place) for place, each in enumerate(text.tables("fault"))
    )
    branches = {branch.name for branch in grid.branches} | {node.name for node in grid.nodes}
    for place, fault in enumerate(faults):
        known = branches if fault.kind == "cut" else set(names)
        if fault.target and fault.target not in known:
            what = "branch" if fault.kind == "cut" else "house with a device"
            raise text.error(
                f"no {what} is called {fault.target!r}", table="fault", index=place, key="target",
                hint="osgp grid show lists them",
            )  # fmt: skip
    upgrades = tuple(
        text.read(Upgrade, each, table="firmware", index=place) for place, each in enumerate(text.tables("firmware"))
    )
    orders = tuple(_job(text, each, place) for place, each in enumerate(text.tables("job")))
    wanted_kinds = [("firmware", place, each.devices) for place, each in enumerate(upgrades)]
    wanted_kinds += [("job", place, each.devices) for place, each in enumerate(orders) if each.devices]
    for name, place, kind in wanted_kinds:
        if kind not in kinds.values():
            raise text.error(
                f"no house has a device of the kind {kind!r}", table=name, index=place, key="devices",
                hint=f"there are {', '.join(sorted(set(kinds.values())))}",
            )  # fmt: skip
    return StreetPlan(
        grid,
        concentrator,
        tuple(House(name, kinds[name]) for name in names),
        settings.name,
        settings.seed,
        settings.hours,
        settings.moment(),
        settings.settle_minutes * 60.0,
        config,
        faults,
        upgrades,
        orders,
        tuple(dict.fromkeys(legacy.houses)),
        legacy.writes,
        legacy.encrypt,
        profile,
        _doors(text, beside or Path()),
    )


def _job(text: Text, given: dict[str, Any], place: int) -> Order:
    parameters = given.get("parameters", {})
    if not isinstance(parameters, dict):
        raise text.error(
            "the parameters of a job are a table", table="job", index=place, key="parameters",
            hint='parameters = {names = ["fwd_active_energy"]}',
        )  # fmt: skip
    others = {name: value for name, value in given.items() if name != "parameters"}
    order: Order = text.read(Order, others, table="job", index=place)
    return dataclasses.replace(order, parameters=parameters)


def _doors(text: Text, beside: Path) -> DoorOptions | None:
    given = text.table("doors")
    if not given:
        return None
    wanted: _Doors = text.read(_Doors, given, table="doors")
    if not (wanted.optical or wanted.mep):
        raise text.error("doors are optical or mep", table="doors", hint='optical = "tcp://127.0.0.1:7701", or "pty"')
    return DoorOptions(wanted.optical, wanted.mep, beside / wanted.keys_dir if wanted.keys_dir else None)


def _grid(text: Text, wanted: _GridSettings, beside: Path) -> tuple[GridDescription, str]:
    """The grid, and the node of its concentrator, which stands first in it."""
    try:
        if wanted.file:
            grid = load_description(beside / wanted.file)
        else:
            grid = new_grid(wanted.kind, houses=wanted.houses, seed=wanted.seed)
            noise = dataclasses.replace(grid.settings, background_dbuv=wanted.background_dbuv)
            grid = dataclasses.replace(grid, settings=noise)
    except ConfigError as error:
        key = "file" if wanted.file else "kind"
        raise text.error(error.message, table="grid", key=key, hint=error.hint) from error
    names = [node.name for node in grid.nodes]
    if wanted.concentrator and wanted.concentrator not in names:
        raise text.error(
            f"the grid has no node {wanted.concentrator!r}", table="grid", key="concentrator",
            hint="osgp grid show lists them",
        )  # fmt: skip
    found = [node.name for node in grid.nodes if node.device == "concentrator"]
    place = wanted.concentrator or (found[0] if found else names[0])

    def changed(node: Node) -> Node:
        if node.name == place:
            return dataclasses.replace(node, device="concentrator")
        return dataclasses.replace(node, device="meter") if node.device == "concentrator" else node

    return dataclasses.replace(grid, nodes=tuple(map(changed, grid.nodes))), place


def _kinds(text: Text, grid: GridDescription, names: list[str]) -> Mapping[str, str]:
    phases = {node.name: node.phase for node in grid.nodes}
    kinds = {name: "3ph" if phases[name] == "L123" else "1ph" for name in names}
    given: dict[str, str] = {}
    others: str = ""
    for kind, houses in text.table("devices").items():
        if kind not in KINDS:
            raise text.error(
                f"there is no kind of device {kind!r}", table="devices", key=kind, hint=f"kinds: {', '.join(KINDS)}"
            )
        if houses == "others":
            others = kind
            continue
        if not isinstance(houses, list) or not all(isinstance(each, str) for each in houses):
            raise text.error(f"{kind} is a list of houses", table="devices", key=kind, hint=f'{kind} = ["7", "21"]')
        for house in houses:
            if house not in kinds:
                raise text.error(
                    f"no house with a device is called {house!r}", table="devices", key=kind,
                    hint="osgp grid show lists the nodes",
                )  # fmt: skip
            if house in given:
                raise text.error(
                    f"house {house!r} is {given[house]} already", table="devices", key=kind, hint="one device per house"
                )
            given[house] = kind
    return {**(dict.fromkeys(kinds, others) if others else kinds), **given}


def default_text(
    houses: int = 60,
    *,
    seed: int = 1,
    hours: float = 24.0,
    kind: str = "suburban",
    background_dbuv: float | None = None,
) -> str:
    """The file of a street with a bit of everything: of sixteen houses each, two have an inverter meter, two a load-control module;
    every sixtieth begun has a gateway. ``background_dbuv``: noise everywhere, as plans have it unless given. Raises ConfigError for a
    grid that cannot be made."""
    grid = new_grid(kind, houses=houses, seed=seed)
    names = [node.name for node in grid.nodes if node.device == "meter"]
    chance = Random(f"street {seed}")
    chance.shuffle(names)
    special = max(1, houses // 8) if houses > 3 else 0
    gateways = -(-houses // 60) if houses > 3 else 0
    groups: dict[str, Any] = {
        "inverter": sorted(names[:special], key=_order),
        "load": sorted(names[special : 2 * special], key=_order),
        "gateway": sorted(names[2 * special : 2 * special + gateways], key=_order),
    }
    lines = [
        "# A street: osgp street run FILE --report out/",
        "[street]",
        f"name = {toml_value(f'{kind} street of {houses}')}",
        f"seed = {seed}",
        f"hours = {toml_value(hours)}",
        *((f"settle_minutes = {houses}",) if houses > _SETTLE_MINUTES else ()),
        "",
        '[grid]  # or a file of your own: file = "grid.toml"',
        f"kind = {toml_value(kind)}",
        f"houses = {houses}",
        f"seed = {seed}",
        *(() if background_dbuv is None else (f"background_dbuv = {toml_value(background_dbuv)}",)),
        "",
        "[devices]  # all other houses have meters of one or three phases, as they are connected",
        *(f"{name} = {toml_value(tuple(each))}" for name, each in groups.items() if each),
        "",
        "[concentrator.plan]  # seconds",
        "scan_s = 900",
        "alerting_scan_s = 21600",
        "billing_s = 86400",
        "profile_s = 21600",
        "",
        "# [[fault]]  # kinds: " + ", ".join(FAULTS),
        "# at_h = 6.5",
        '# kind = "dead"',
        "# minutes = 120",
    ]
    return "\n".join(lines) + "\n"


def _order(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isdigit() else (1 << 30, name)
