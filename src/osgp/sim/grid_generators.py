"""Grids from a few numbers and a seed: rural line, suburban radial, city block, high-rise. Project choice.

Lengths, loads and phases are plausible and drawn from the seed alone; what comes out is a description like any other, which can be
written to a file and edited.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from osgp.sim.grid_description import TRANSFORMER, Branch, GridDescription, GridSettings, Node, NoiseSource
from osgp.wire.errors import ConfigError

__all__ = ["GENERATORS", "MOST_HOUSES", "new_grid"]

MOST_HOUSES = 1000


class _Builder:
    """Collects branches and nodes, and names them."""

    def __init__(self, rng: Random, loads: dict[str, float], three_phase: float) -> None:
        self.rng = rng
        self.branches: list[Branch] = []
        self.nodes: list[Node] = []
        self.noises: list[NoiseSource] = []
        self._loads = loads
        self._three_phase = three_phase
        self._points = 0
        self._identities: set[str] = set()

    def identity(self) -> str:
        """A unique node ID that no node has yet."""
        while (drawn := f"{self.rng.getrandbits(48):012X}") in self._identities:
            pass
        self._identities.add(drawn)
        return drawn

    def point(self, start: str, feeder: str, length_m: float, cable: str) -> str:
        """A new point at the end of a new branch."""
        self._points += 1
        end = f"J{self._points}"
        self.branches.append(Branch(f"{feeder}.{self._points}", start, end, float(round(length_m)), cable))
        return end

    def house(self, at: str, length_m: float, name: str = "") -> None:
        """A house with a meter; its phase follows on the one before, its loads are drawn."""
        count = len(self.nodes)
        phase = "L123" if self.rng.random() < self._three_phase else f"L{(count + self.rng.randrange(2)) % 3 + 1}"
        loads = tuple(load for load, share in self._loads.items() if self.rng.random() < share)
        self.nodes.append(
            Node(name or str(count + 1), at, phase, float(round(length_m)), unique_node_id=self.identity(), loads=loads)
        )

    def made(self, name: str, seed: int, **settings: float) -> GridDescription:
        """The description, with a data concentrator at the transformer and one lamp post that hums at night."""
        concentrator = Node("DC", TRANSFORMER, "L123", 2.0, device="concentrator", unique_node_id=self.identity())
        if self.branches:
            lamp = NoiseSource(
                "street lamps", self.rng.choice(self.branches).end, "tone", 78.0, "L1", "night",
                frequency_hz=round(self.rng.uniform(84e3, 88e3) / 50) * 50.0,
            )  # fmt: skip
            self.noises.append(lamp)
        return GridDescription(
            GridSettings(name, seed, **settings),
            (),
            tuple(self.branches),
            (concentrator, *self.nodes),
            tuple(self.noises),
        )


def _rural(houses: int, seed: int, rng: Random) -> GridDescription:
    """A long overhead line, a pole every 40 to 90 m, houses far off it, now and then a side line."""
    build = _Builder(
        rng, {"appliances": 0.8, "dimmer": 0.08, "heat_pump": 0.15, "solar_inverter": 0.2, "workshop": 0.06}, 0.4
    )
    feeders = max(1, round(houses / 40))
    side = 0
    for number in range(1, feeders + 1):
        wanted = houses * number // feeders
        at = TRANSFORMER
        while len(build.nodes) < wanted:
            at = build.point(at, f"F{number}", rng.uniform(40, 90), "overhead")
            for _ in range(min(2 if rng.random() < 0.4 else 1, wanted - len(build.nodes))):
                build.house(at, rng.uniform(15, 60))
            if rng.random() < 0.15:
                side += 1
                line = at
                for _ in range(min(rng.randint(1, 3), wanted - len(build.nodes))):
                    line = build.point(line, f"S{side}", rng.uniform(50, 120), "overhead")
                    build.house(line, rng.uniform(10, 40))
    return build.made("rural line", seed, background_dbuv=52.0)


def _suburban(houses: int, seed: int, rng: Random) -> GridDescription:
    """Feeders of some 25 houses in two rows along a street, with side streets."""
    build = _Builder(
        rng,
        {"appliances": 0.8, "led_lighting": 0.3, "dimmer": 0.08, "heat_pump": 0.12, "ev_charger": 0.1,
         "solar_inverter": 0.15, "induction_hob": 0.1},
        0.2,
    )  # fmt: skip
    feeders = max(1, round(houses / 25))
    side = 0
    for number in range(1, feeders + 1):
        wanted = houses * number // feeders
        at = build.point(TRANSFORMER, f"F{number}", rng.uniform(25, 120), "underground")
        while len(build.nodes) < wanted:
            for _ in range(min(2, wanted - len(build.nodes))):
                build.house(at, rng.uniform(6, 18))
            if rng.random() < 0.12 and wanted - len(build.nodes) > 4:
                side += 1
                street = at
                for _ in range(rng.randint(2, 4)):
                    street = build.point(street, f"S{side}", rng.uniform(15, 30), "underground")
                    for _ in range(min(2, wanted - len(build.nodes))):
                        build.house(street, rng.uniform(6, 18))
                    if len(build.nodes) >= wanted:
                        break
            if len(build.nodes) < wanted:
                at = build.point(at, f"F{number}", rng.uniform(15, 28), "underground")
    return build.made("suburban radial", seed)


def _city(houses: int, seed: int, rng: Random) -> GridDescription:
    """Buildings of four to eight flats round a block, their meters in one room; a shop on some ground floors."""
    build = _Builder(rng, {"appliances": 0.9, "led_lighting": 0.4, "dimmer": 0.06, "induction_hob": 0.2}, 0.05)
    feeders = max(1, round(houses / 60))
    building = 0
    for number in range(1, feeders + 1):
        wanted = houses * number // feeders
        at = TRANSFORMER
        while len(build.nodes) < wanted:
            building += 1
            length = rng.uniform(30, 80) if at == TRANSFORMER else rng.uniform(14, 24)
            at = build.point(at, f"F{number}", length, "underground")
            if rng.random() < 0.25:
                kind = rng.choice(("dimmer", "converter"))
                build.noises.append(
                    NoiseSource(f"shop {building}", at, kind, float(rng.randint(76, 90)), "L123", "day",
                                frequency_hz=round(rng.uniform(70e3, 92e3) / 100) * 100.0)
                )  # fmt: skip
            for flat in range(1, min(rng.randint(4, 8), wanted - len(build.nodes)) + 1):
                build.house(at, rng.uniform(4, 8), f"{building}-{flat}")
    return build.made("city block", seed, background_dbuv=64.0)


def _high_rise(houses: int, seed: int, rng: Random) -> GridDescription:
    """One building, flats round risers of at most fourteen floors, lifts at the top."""
    build = _Builder(rng, {"appliances": 0.9, "led_lighting": 0.4, "dimmer": 0.08, "induction_hob": 0.25}, 0.0)
    per_floor = 4
    risers = max(1, -(-houses // (per_floor * 14)))
    cellar = build.point(TRANSFORMER, "F1", rng.uniform(20, 60), "underground")
    for number in range(1, risers + 1):
        wanted = houses * number // risers
        at, floor = cellar, 0
        while len(build.nodes) < wanted:
            at = build.point(at, f"R{number}", rng.uniform(6, 10) if floor == 0 else 3.0, "riser")
            floor += 1
            for flat in range(1, min(per_floor, wanted - len(build.nodes)) + 1):
                build.house(at, rng.uniform(5, 15), f"{number}{floor:02d}{'abcd'[flat - 1]}")
        build.noises.append(NoiseSource(f"lift {number}", at, "converter", 95.0, "L123", "day", frequency_hz=81_000.0))
    return build.made("high-rise", seed, background_dbuv=62.0)


GENERATORS: dict[str, Callable[[int, int, Random], GridDescription]] = {
    "rural": _rural,
    "suburban": _suburban,
    "city": _city,
    "high-rise": _high_rise,
}


def new_grid(kind: str, *, houses: int, seed: int) -> GridDescription:
    """A grid of a kind of ``GENERATORS`` with so many metered houses or flats. The same numbers give the same grid.

    Raises ConfigError.
    """
    if kind not in GENERATORS:
        raise ConfigError(f"there is no kind of grid {kind!r}", hint=f"one of {', '.join(GENERATORS)}")
    if not 1 <= houses <= MOST_HOUSES:
        raise ConfigError(f"{houses} houses", hint=f"from 1 to {MOST_HOUSES}: a transformer feeds no more")
    if not 0 <= seed < 2**63:
        raise ConfigError(f"the seed cannot be {seed}", hint="zero or more")
    return GENERATORS[kind](houses, seed, Random(f"{kind} {houses} {seed}"))
