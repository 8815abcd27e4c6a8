"""A small street under each of its faults in turn: whether every reading still came exactly once, and how long recovery took.

Project choice::

    for row in torture(small_street(), only=("kill",)):
        print(row.name, row.held_up, row.recovery_s)
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osgp.sim.grid import Grid
from osgp.sim.grid_description import GridDescription
from osgp.street.plan import Fault, StreetPlan, default_text, parse_plan
from osgp.street.run import StreetRun
from osgp.wire.errors import ConfigError

__all__ = ["FAULTS", "Tortured", "faults_of", "small_street", "torture"]

FAULTS = {
    "repeater": "the repeater that most ways lead through dies for an hour",
    "repeater-for-good": "the repeater that most ways lead through dies and stays dead",
    "cut": "a branch is cut for an hour",
    "noise": "everybody hears 20 dB less for an hour",
    "kill": "the concentrator is killed 50 times, half of them inside a transaction",
    "corrupt": "a page of the journal is overwritten while the concentrator is down",
    "outage": "the whole street is without supply for an hour",
    "clock-ahead": "all clocks jump an hour ahead",
    "clock-back": "all clocks jump half an hour back",
    "own-clock-ahead": "the concentrator's own clock jumps a day ahead, for an hour",
    "own-clock-back": "the concentrator's own clock jumps half an hour back, for good",
    "own-clock-ahead-while-down": "the same a day ahead, while the concentrator is down, for an hour from its start on",
    "own-clock-back-while-down": "the same half an hour back, while the concentrator is down, for good",
    "worn-keys": "keys have been used as often as the alarm at 80 % says, at all devices and at the concentrator",
    "spent-numbers": "the numbers under all keys are used up, of requests, alerts and broadcasts",
    "same-address": "a device that nobody is reached through comes back with the address of another",
    "wrong-key": "a device that nobody is reached through has another key than the head-end says",
    "attack": "recorded and forged frames from the nearest house for an hour",
}
"""What is done to a street, by name."""


_SURE_DB = 9.0
"""A link that is as good as this is used."""


@dataclass(frozen=True, slots=True)
class Tortured:
    """What came of it. ``exact``: every reading that the meters hold is in the journal once; ``recovery_s``: see ``Trouble``."""

    name: str
    words: str
    exact: bool
    held: int
    kept: int
    doubled: int
    wrong: int
    events_missing: int
    recovery_s: float | None
    recovers: bool
    not_expected: dict[str, str]

    @property
    def held_up(self) -> bool:
        """Whether everything came once and everybody came back."""
        return self.exact and (self.recovery_s is not None or not self.recovers)

    def to_json(self) -> dict[str, Any]:
        """A plain object."""
        return {"held_up": self.held_up, **dataclasses.asdict(self)}


def small_street(houses: int = 12, *, seed: int = 3, hours: float = 6.0, background_dbuv: float = 98.0) -> StreetPlan:
    """A short rural street, so loud that a part of it is reached through others. Raises ConfigError."""
    plan = parse_plan(default_text(houses, seed=seed, hours=hours, kind="rural"))
    times = dataclasses.replace(plan.config.plan, profile_s=1800.0, billing_s=3600.0)
    settings = dataclasses.replace(plan.grid.settings, background_dbuv=background_dbuv)
    return dataclasses.replace(
        plan,
        name=f"rural street of {houses}",
        grid=dataclasses.replace(plan.grid, settings=settings),
        config=dataclasses.replace(plan.config, plan=times),
    )


def faults_of(plan: StreetPlan) -> dict[str, Fault]:
    """The faults of ``FAULTS`` for a street: they begin when a third of its hours are over."""
    at_h = plan.hours / 3
    near, far = _nearest_and_farthest(plan)
    hour = min(60.0, plan.hours * 20.0)
    branches = plan.grid.branches
    return {
        "repeater": Fault("dead", at_h, hour),
        "repeater-for-good": Fault("dead", at_h),
        "cut": Fault("cut", at_h, hour, branches[len(branches) // 2].name if branches else near),
        "noise": Fault("noise", at_h, hour, db=20.0),
        "kill": Fault("kill", 0.02, plan.hours * 50.0, count=50),
        "corrupt": Fault("corrupt", at_h),
        "outage": Fault("outage", at_h, hour),
        "clock-ahead": Fault("clock", at_h, seconds=3600.0),
        "clock-back": Fault("clock", at_h, seconds=-1800.0),
        "own-clock-ahead": Fault("own-clock", at_h, hour, seconds=86400.0),
        "own-clock-back": Fault("own-clock", at_h, seconds=-1800.0),
        "own-clock-ahead-while-down": Fault("own-clock-down", at_h, hour, seconds=86400.0),
        "own-clock-back-while-down": Fault("own-clock-down", at_h, seconds=-1800.0),
        "worn-keys": Fault("worn", at_h),
        "spent-numbers": Fault("spent", at_h),
        "same-address": Fault("same-address", at_h, target=far),
        "wrong-key": Fault("wrong-key", 0.0, target=far),
        "attack": Fault("attack", at_h, hour, near),
    }


def _nearest_and_farthest(plan: StreetPlan) -> tuple[str, str]:
    """Houses by hops from the concentrator: the first, and the last without which all others are still reached."""
    hours = plan.start.timestamp() / 3600.0 % 24.0

    def hops_of(description: GridDescription) -> dict[str, int]:
        grid = Grid(description)
        hops = zip(grid.names, grid.hops(hours + description.settings.utc_offset_h, readable_db=_SURE_DB))
        return {name: count for name, count in hops if count}

    hops = hops_of(plan.grid)
    names = sorted((house.node for house in plan.houses if house.node in hops), key=lambda name: hops[name])
    if not names:
        return plan.houses[0].node, plan.houses[-1].node
    for far in reversed(names):
        others = tuple(node for node in plan.grid.nodes if node.name != far)
        if len(hops_of(dataclasses.replace(plan.grid, nodes=others))) == len(hops) - 1:
            return names[0], far
    return names[0], names[-1]


def torture(plan: StreetPlan, *, only: tuple[str, ...] = ()) -> Iterator[Tortured]:
    """Run a street once for each fault. Raises ConfigError for a fault that is none, StoreError."""
    for name in only:
        if name not in FAULTS:
            raise ConfigError(f"no fault is called {name!r}", hint=f"known: {', '.join(FAULTS)}")
    for name, fault in faults_of(plan).items():
        if only and name not in only:
            continue
        with tempfile.TemporaryDirectory() as folder:
            run = StreetRun(plan.with_faults(fault), journal=Path(folder) / "journal.sqlite")
            try:
                run.run()
                truth, trouble = run.truth(), run.troubles.all[0]
            finally:
                run.close()
            yield Tortured(
                name,
                FAULTS[name],
                truth.exact,
                truth.total("held"),
                truth.total("kept"),
                truth.total("doubled"),
                truth.total("wrong"),
                truth.total("events_missing"),
                trouble.recovery_s,
                fault.kind != "wrong-key",
                {each.house: each.gone for each in truth.houses if each.gone},
            )
