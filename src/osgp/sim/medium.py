"""The medium: who hears whom, when and how well, on which unchanged nodes of the control network run.

Project choice over ``spec/phy-ts103908.md`` 3.4 to 3.6. A ``Medium`` answers two questions of the wire: whom does a sender reach on a
carrier, and did a packet come through at a receiver. Everything else (access, carrier sense, collisions, half duplex, time) is the
wire's, and the same at both fidelities:

``FrameMedium``
    draws success from curves of packet loss (``sim.per``).
``WaveformMedium`` (``sim.medium_waveform``)
    sends real samples through channel and modem.

What both assume:

- A carrier is sensed where its Ec/N0 is at least ``SENSE_DB``, and disturbs others down to ``REACH_DB``.
- The alternate-path bit puts a packet on the secondary carrier, with a level of its own. Both carriers are heard at once, do not
  disturb each other (10.8 kHz apart, three times the bit rate), and access waits for both.
- Half duplex: who sends hears nothing, on neither carrier.
- Transmissions that meet are noise to each other at each receiver, for the part of the packet in which they overlap: one that is
  strong enough comes through (capture).

::

    medium = FrameMedium(line_levels(12, step_db=6.0), seed=1)
    wire = Wire(random=Random(1), medium=medium)
    ports = [wire.join(stack) for stack in stacks]  # in the order of the medium's nodes
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from osgp.plc.params import OSGP, PhyProfile
from osgp.sim.per import NEVER, Curves, default_curves
from osgp.sim.wire_channel import LineSpeed, Transmission, Way
from osgp.sim.wire_links import mixed
from osgp.wire.errors import ConfigError

__all__ = [
    "REACH_DB",
    "SENSE_DB",
    "FrameMedium",
    "LevelMedium",
    "LevelWay",
    "Levels",
    "Medium",
    "line_levels",
    "speed_of",
]

SENSE_DB = 0.0
"""Ec/N0 from which a carrier is sensed: there the correlation over the preamble reaches its threshold (digest 3.4)."""
REACH_DB = -10.0
"""Ec/N0 below which a transmission does not even disturb."""
_SURE = 1e-9
_HOPELESS = NEVER / 2
_DIE = 101
"""What is asked of chance here; other numbers than those of ``wire_links``."""


class Medium(Protocol):
    """Who hears whom and how well. Nodes are numbers, from 0, in the order in which they were joined to the wire."""

    @property
    def size(self) -> int:
        """Nodes that there is room for."""

    @property
    def speed(self) -> LineSpeed:
        """How long packets are on the line."""

    def way(self, sender: int, secondary: bool) -> Way:
        """Whom a transmission that begins now reaches."""

    def whole(self, transmission: Transmission, receiver: int) -> bool:
        """Whether a transmission that is over came through at one of those who heard it; the same however often it is asked."""


def speed_of(profile: PhyProfile) -> LineSpeed:
    """Airtimes of a profile's packets."""
    preamble = profile.start_up_bits + len(profile.preamble)
    return LineSpeed(profile.bit_rate, 11, preamble, len(profile.end_of_packet))


@dataclass(frozen=True)
class Levels:
    """How strong everybody is everywhere.

    ``ec_n0_db``: by carrier (primary, secondary), sender and receiver, in dB; minus infinity where nothing arrives. ``scenario``: the
    line condition at each receiver. Raises ConfigError for tables that are not square, or of different sizes.
    """

    ec_n0_db: tuple[Sequence[Sequence[float]], Sequence[Sequence[float]]]
    scenario: Sequence[str]

    def __post_init__(self) -> None:
        size = len(self.scenario)
        for table in self.ec_n0_db:
            if len(table) != size or any(len(row) != size for row in table):
                raise ConfigError(f"levels among {size} nodes are {size} rows of {size} for each carrier")
            if any(math.isnan(level) for row in table for level in row):
                raise ConfigError("a level is no number", hint="minus infinity where nothing arrives")

    @property
    def size(self) -> int:
        """Number of nodes."""
        return len(self.scenario)


def line_levels(
    count: int,
    *,
    first_db: float = 30.0,
    step_db: float = 6.0,
    secondary_db: float = 0.0,
    scenario: str = "Q",
) -> Levels:
    """``count`` nodes along a line: neighbours hear each other at ``first_db``, the next by ``step_db`` less, and so on.

    ``secondary_db``: by how much the secondary carrier is better than the primary.
    """
    table = [
        [math.inf if a == b else first_db - step_db * (abs(a - b) - 1) for b in range(count)] for a in range(count)
    ]
    other = [[level + secondary_db for level in row] for row in table]
    return Levels((table, other), (scenario,) * count)


class LevelWay(Way):
    """A way with the levels at which it arrives: ``level_db`` by receiver, Ec/N0 in dB; the sender's own is infinite."""

    __slots__ = ("level_db", "levels", "secondary")

    def __init__(self, sender: int, secondary: bool, levels: Levels, sense_db: float, reach_db: float) -> None:
        row = levels.ec_n0_db[secondary][sender]
        self.level_db = {receiver: level for receiver, level in enumerate(row) if level >= reach_db}
        self.level_db[sender] = math.inf
        super().__init__(
            sorted(self.level_db),
            (receiver for receiver, level in self.level_db.items() if level >= sense_db and receiver != sender),
        )
        self.secondary = secondary
        self.levels = levels


class LevelMedium(ABC):
    """What both fidelities share: a table of levels, and ways made from it.

    ``levels``: how strong everybody is everywhere; may be replaced at any time, and holds for transmissions that begin afterwards.
    ``seed``: of all chance. ``sense_db``, ``reach_db``: see the module. Raises ConfigError when nodes come or go.
    """

    def __init__(
        self,
        levels: Levels,
        *,
        seed: int,
        profile: PhyProfile = OSGP,
        sense_db: float = SENSE_DB,
        reach_db: float = REACH_DB,
    ) -> None:
        self.profile = profile
        self.sense_db = sense_db
        self.reach_db = min(reach_db, sense_db)
        self._speed = speed_of(profile)
        self._seed = seed & (1 << 64) - 1
        self._levels = levels
        self._ways: dict[tuple[int, bool], LevelWay] = {}

    @property
    def size(self) -> int:
        """Nodes that there is room for."""
        return self._levels.size

    @property
    def speed(self) -> LineSpeed:
        """How long packets are on the line."""
        return self._speed

    @property
    def levels(self) -> Levels:
        """How strong everybody is everywhere."""
        return self._levels

    @levels.setter
    def levels(self, levels: Levels) -> None:
        if levels.size != self._levels.size:
            raise ConfigError(f"the medium has {self.size} nodes, these levels {levels.size}")
        self._levels = levels
        self._ways.clear()

    def way(self, sender: int, secondary: bool) -> LevelWay:
        """Whom a transmission that begins now reaches."""
        found = self._ways.get((sender, secondary))
        if found is None:
            found = self._ways[sender, secondary] = self._make_way(sender, secondary)
        return found

    @abstractmethod
    def whole(self, transmission: Transmission, receiver: int) -> bool:
        """Whether a transmission that is over came through."""

    def _make_way(self, sender: int, secondary: bool) -> LevelWay:
        return LevelWay(sender, secondary, self._levels, self.sense_db, self.reach_db)


class FrameWay(LevelWay):
    """A way with the chances of packets on it, computed when first asked."""

    __slots__ = ("chances", "curves")

    def __init__(
        self, sender: int, secondary: bool, levels: Levels, sense_db: float, reach_db: float, curves: Curves
    ) -> None:
        super().__init__(sender, secondary, levels, sense_db, reach_db)
        self.curves = curves
        self.chances: dict[tuple[int, int], float] = {}
        """That an undisturbed packet comes through, by receiver and length, as far as it was asked."""

    def chance(self, receiver: int, lpdu_bytes: int) -> float:
        """That an undisturbed packet of that length comes through at a receiver."""
        key = receiver, lpdu_bytes
        found = self.chances.get(key)
        if found is None:
            found = self.chances[key] = _chance(self.hazard(receiver, lpdu_bytes, self.level_db[receiver]))
        return found

    def hazard(self, receiver: int, lpdu_bytes: int, ec_n0_db: float) -> float:
        """Of a packet of that length at that level, in the receiver's scenario."""
        return self.curves.hazard(self.levels.scenario[receiver], self.secondary, ec_n0_db, lpdu_bytes)


def _chance(hazard: float) -> float:
    return 1.0 if hazard < _SURE else 0.0 if hazard >= _HOPELESS else math.exp(-hazard)


class FrameMedium(LevelMedium):
    """Packets come through by chance, as often as curves say. ``curves``: those of the package by default."""

    def __init__(
        self,
        levels: Levels,
        curves: Curves | None = None,
        *,
        seed: int,
        profile: PhyProfile = OSGP,
        sense_db: float = SENSE_DB,
        reach_db: float = REACH_DB,
    ) -> None:
        super().__init__(levels, seed=seed, profile=profile, sense_db=sense_db, reach_db=reach_db)
        self.curves = curves or default_curves()

    def _make_way(self, sender: int, secondary: bool) -> LevelWay:
        return FrameWay(sender, secondary, self._levels, self.sense_db, self.reach_db, self.curves)

    def whole(self, transmission: Transmission, receiver: int) -> bool:
        """Whether a transmission that is over came through."""
        if transmission.broken:
            return False
        way = transmission.way
        assert isinstance(way, FrameWay), "transmissions of this medium have its ways"
        met = transmission.met.get(receiver)
        if met is None:
            size = len(transmission.lpdu)
            known = way.chances.get((receiver, size))  # asked of every listener to every frame: a call would show
            chance = way.chance(receiver, size) if known is None else known
        else:
            chance = _chance(self._disturbed(transmission, way, receiver, met))
        if chance == 1.0 or chance == 0.0:
            return chance == 1.0
        return mixed(self._seed, transmission.number, receiver, _DIE) < chance

    @staticmethod
    def _disturbed(transmission: Transmission, way: FrameWay, receiver: int, met: list[Transmission]) -> float:
        """Hazard of a transmission that met others: that of each part, by its share of the time."""
        begin_s, end_s = transmission.start_s, transmission.end_s
        signal_db, size = way.level_db[receiver], len(transmission.lpdu)
        others = [
            (max(begin_s, each.start_s), min(end_s, each.end_s), 10 ** (_level(each, receiver) / 10)) for each in met
        ]
        edges = sorted({begin_s, end_s, *(edge for first, last, _ in others for edge in (first, last))})
        hazard = 0.0
        for first, last in itertools.pairwise(edges):
            noise = 1.0 + sum(power for since, until, power in others if since <= first and last <= until)
            share = (last - first) / (end_s - begin_s)
            hazard += share * way.hazard(receiver, size, signal_db - 10 * math.log10(noise))
        return hazard


def _level(transmission: Transmission, receiver: int) -> float:
    way = transmission.way
    assert isinstance(way, LevelWay), "transmissions of this medium have its ways"
    return way.level_db[receiver]
