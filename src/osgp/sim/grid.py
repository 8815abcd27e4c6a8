"""A transformer area: who hears whom how well, at what time of day, and what changes when a branch is switched off.

Project choice, with the losses of the channel (``spec/phy-ts103908.md`` 3.6). A grid comes from a text file (``grid_text``), which
``osgp grid new`` writes. For the medium that carries frames it is this one question::

    state = grid.link(sender, receiver, carrier, wall_time_s)
    state.gain_db, state.noise_dbuv, state.ec_n0_db, state.scenario

``sender`` and ``receiver`` are numbers of nodes in the order of the file (``grid.number("12")`` of a name), ``carrier`` is 0 for the
primary and 1 for the secondary, ``wall_time_s`` is UTC in seconds since 1970. The answer costs two look-ups. It is good until
the next quarter of an hour, or until ``grid.version`` counts on because a branch was cut or restored. The noise at the receiver
is what makes links asymmetric: gain is the same both ways.

For samples, ``grid.channel`` gives a receiver's ears and ``grid.way`` the way to them.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from osgp.plc.params import OSGP, PhyProfile
from osgp.sim.channel import SCENARIOS, Channel, Link
from osgp.sim.channel_attenuation import TRANSMIT_DBUV
from osgp.sim.channel_background import Background
from osgp.sim.channel_tones import Tones
from osgp.sim.grid_description import PHASES, TRANSFORMER, GridDescription
from osgp.sim.grid_graph import Ways, ways_of
from osgp.sim.grid_noise import NoiseAt, Noises
from osgp.sim.grid_text import load_description, parse_grid
from osgp.wire.errors import ConfigError

__all__ = ["READABLE_DB", "Grid", "LinkState", "Links"]

READABLE_DB = 5.8
"""Ec/N0 at which one packet in a hundred is lost, with the list decoder (goal of ``spec/phy-ts103908.md`` 4.3)."""
_BIN_S = 900.0
_COMMON = 0.75
"""Share of the shadowing's variance that both carriers have in common (project choice)."""

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LinkState:
    """How one node is heard by another on one carrier, now.

    ``gain_db``: received against transmitted level, minus infinity where no cable joins them. ``noise_dbuv``: continuous noise at the
    receiver in one line bit rate of bandwidth. ``ec_n0_db``: received level less noise. ``scenario``: letter of the condition that
    the receiver's noise is a case of. ``interference_dbuv``: narrow-band power that passes the receiver's matched filter.
    """

    gain_db: float
    noise_dbuv: float
    ec_n0_db: float
    scenario: str
    interference_dbuv: float = -math.inf

    @property
    def sinr_db(self) -> float:
        """Ec/N0 with the interference counted as noise."""
        return self.ec_n0_db - 10 * math.log10(1 + 10 ** ((self.interference_dbuv - self.noise_dbuv) / 10))


@dataclass(frozen=True, slots=True)
class Links:
    """All links at one time of day. Axes: carrier (primary, secondary), sender, receiver.

    ``gain_db``, ``ec_n0_db``, ``sinr_db``: shape (2, nodes, nodes), minus infinity on the diagonal and between islands;
    ``noise_dbuv``, ``interference_dbuv``: shape (2, nodes); ``scenario``: of each receiver.
    """

    names: list[str]
    gain_db: Matrix
    noise_dbuv: Matrix
    interference_dbuv: Matrix
    ec_n0_db: Matrix
    sinr_db: Matrix
    scenario: list[str]


class Grid:
    """A transformer area in use. ``description``: what it is made of; ``version``: counts each cut and restoration."""

    def __init__(self, description: GridDescription, *, profile: PhyProfile = OSGP) -> None:
        self.description = description
        self.profile = profile
        self.version = 0
        self.names = [node.name for node in description.nodes]
        self._number = {name: place for place, name in enumerate(self.names)}
        self._points = len(description.points)
        self._branches = {row.name for row in description.branches} | set(self.names)
        self._cut = {branch.name for branch in description.branches if branch.open}
        self._shadowing = _shadowing(description)
        phases = np.array([PHASES[node.phase] for node in description.nodes])
        settings = description.settings
        self._fixed_db = settings.coupling_db + settings.cross_phase_db * ((phases[:, None] & phases) == 0)
        self._update()

    @classmethod
    def load(cls, path: str | Path) -> Grid:
        """From a grid file. Raises ConfigError with file, line and hint."""
        return cls(load_description(path))

    @classmethod
    def parse(cls, content: str, where: str = "grid") -> Grid:
        """From the text of a grid file. Raises ConfigError with file, line and hint."""
        return cls(parse_grid(content, where))

    # ---- branches ------------------------------------------------------------------------------------------------
    @property
    def open_branches(self) -> list[str]:
        """What is switched off, sorted."""
        return sorted(self._cut)

    def cut(self, name: str) -> None:
        """Switch a branch off, or (by the name of a node) its service. Raises ConfigError for a name that nothing has."""
        self._switch(name, closed=False)

    def restore(self, name: str) -> None:
        """Switch it on again. Raises ConfigError for a name that nothing has."""
        self._switch(name, closed=True)

    def _switch(self, name: str, *, closed: bool) -> None:
        if name not in self._branches:
            raise ConfigError(
                f"no branch is called {name!r}", hint="branches and nodes are cut by name; osgp grid show"
            )
        if (name in self._cut) is closed:
            (self._cut.discard if closed else self._cut.add)(name)
            self.version += 1
            self._update()

    def _update(self) -> None:
        self.ways: Ways = ways_of(self.description, self._cut)
        at = {name: place for place, name in enumerate(self.ways.names)}
        self.noises = Noises(self.description, self.ways.loss_db, at, self._points, self.profile)
        loss = self.ways.loss_db[self._points :, self._points :]
        offset = self.description.settings.transmit_dbuv - TRANSMIT_DBUV
        self._gain_db = offset - self._fixed_db - loss - self._shadowing
        np.einsum("cii->ci", self._gain_db)[:] = -np.inf  # nobody hears itself while it sends
        self._noise_bins: dict[int, NoiseAt] = {}

    # ---- who hears whom --------------------------------------------------------------------------------------------
    def number(self, node: str | int) -> int:
        """The number of a node, by name or number. Raises ConfigError when there is none."""
        place = self._number.get(node, -1) if isinstance(node, str) else node
        if not 0 <= place < len(self.names):
            raise ConfigError(f"the grid has no node {node!r}", hint="osgp grid show lists them")
        return place

    def time_of_day_h(self, wall_time_s: float) -> float:
        """Local time of day, 0 … 24, of an instant in UTC seconds since 1970."""
        return (wall_time_s / 3600.0 + self.description.settings.utc_offset_h) % 24.0

    def noise_at(self, time_of_day_h: float) -> NoiseAt:
        """Noise at every node in the quarter of an hour that holds a local time of day."""
        place = int(time_of_day_h % 24.0 * 3600.0 / _BIN_S)
        found = self._noise_bins.get(place)
        if found is None:
            found = self._noise_bins[place] = self.noises.at((place + 0.5) * _BIN_S / 3600.0)
        return found

    def link(self, sender: str | int, receiver: str | int, carrier: int, wall_time_s: float) -> LinkState:
        """How ``receiver`` hears ``sender`` on ``carrier`` (0 primary, 1 secondary). Raises ConfigError for an unknown node."""
        a, b = self.number(sender), self.number(receiver)
        noise = self.noise_at(self.time_of_day_h(wall_time_s))
        gain, level = float(self._gain_db[carrier, a, b]), float(noise.noise_dbuv[carrier, b])
        return LinkState(
            gain, level, TRANSMIT_DBUV + gain - level, noise.scenario[b], float(noise.interference_dbuv[carrier, b])
        )

    def links(self, time_of_day_h: float = 20.0) -> Links:
        """Every link at a local time of day."""
        noise = self.noise_at(time_of_day_h)
        ec_n0 = TRANSMIT_DBUV + self._gain_db - noise.noise_dbuv[:, None, :]
        both = 10 * np.log10(10 ** (noise.noise_dbuv / 10) + 10 ** (noise.interference_dbuv / 10))
        sinr = TRANSMIT_DBUV + self._gain_db - both[:, None, :]
        return Links(self.names, self._gain_db, noise.noise_dbuv, noise.interference_dbuv, ec_n0, sinr, noise.scenario)

    def between(self, a: str | int, b: str | int) -> list[str] | None:
        """Names of the branches and services from one node to another; None when no cable joins them. Raises ConfigError."""
        return self.ways.between(self._points + self.number(a), self._points + self.number(b))

    def distance_m(self, a: str | int, b: str | int) -> float:
        """Metres of cable between two nodes; infinite when none joins them. Raises ConfigError."""
        return float(self.ways.length_m[self._points + self.number(a), self._points + self.number(b)])

    def islands(self) -> list[list[str]]:
        """Nodes that cables join to each other; those at the transformer first, then the largest."""
        fed = self.ways.island[self.ways.names.index(TRANSFORMER)]
        groups: dict[int, list[str]] = {}
        for name, island in zip(self.names, self.ways.island[self._points :].tolist()):
            groups.setdefault(island, []).append(name)
        return [groups[key] for key in sorted(groups, key=lambda key: (key != fed, -len(groups[key])))]

    def hops(self, time_of_day_h: float = 20.0, *, readable_db: float = READABLE_DB) -> list[int | None]:
        """Hops from the nearest concentrator over links that are readable both ways; None for who cannot be reached.

        Without a concentrator the first node stands for it.
        """
        best = self.links(time_of_day_h).sinr_db.max(axis=0)
        readable = np.minimum(best, best.T) >= readable_db
        found: list[int | None] = [None] * len(self.names)
        edge = np.array(self.concentrators)
        count = 0
        while len(edge):
            for place in edge.tolist():
                found[place] = count
            count += 1
            new = readable[edge].any(axis=0)
            edge = np.array([place for place in np.flatnonzero(new).tolist() if found[place] is None], dtype=np.intp)
        return found

    @property
    def concentrators(self) -> list[int]:
        """Numbers of the nodes with a concentrator; the first node when there is none."""
        return [place for place, node in enumerate(self.description.nodes) if node.device == "concentrator"] or [0]

    # ---- samples ---------------------------------------------------------------------------------------------------
    def channel(self, receiver: str | int, wall_time_s: float, rng: np.random.Generator) -> Channel:
        """The ears of a node as they are at a time: its noise in samples, with its phase of the mains.

        The scenario is the node's, at its level; narrow-band power that it hears is a tone, on the carrier that it is nearest to.
        """
        place = self.number(receiver)
        noise = self.noise_at(self.time_of_day_h(wall_time_s))
        level = float(noise.noise_dbuv[0, place])
        letter = noise.scenario[place]
        quiet = dataclasses.replace(SCENARIOS["Q"], background=Background(level))
        base = dataclasses.replace(quiet if letter in "QT" else SCENARIOS[letter].at_noise(level), name=letter)
        tones = None
        carrier = int(np.argmax(noise.interference_dbuv[:, place]))
        interference = float(noise.interference_dbuv[carrier, place])
        if interference > level - 20.0:
            tones = Tones(
                level_db=min(80.0, interference - base.signal_dbuv),
                frequencies_hz=(self.profile.carrier_hz(bool(carrier)) + 0.1 * self.profile.bit_rate,),
            )
        base = dataclasses.replace(base, tones=tones, converter=None, mains_hz=self.description.settings.mains_hz)
        phase = self.description.nodes[place].phase
        turns = {"L2": -1 / 3, "L3": -2 / 3}.get(phase, 0.0)
        return Channel(base, rng, profile=self.profile, mains_turns=turns)

    def way(self, sender: str | int, receiver: str | int, carrier: int) -> Link:
        """The way from one node to another in samples, at its gain on a carrier. Raises ConfigError for an unknown node."""
        gain = float(self._gain_db[carrier, self.number(sender), self.number(receiver)])
        return Link(gain, profile=self.profile)


def _shadowing(description: GridDescription) -> Matrix:
    """Shadowing of each pair, the same both ways, alike on both carriers; shape (2, nodes, nodes), dB."""
    count = len(description.nodes)
    rng = np.random.default_rng(description.settings.seed)
    drawn = rng.standard_normal((3, count, count))
    upper = np.triu(drawn, 1)
    even = upper + np.swapaxes(upper, 1, 2)
    mixed: Matrix = math.sqrt(_COMMON) * even[:1] + math.sqrt(1 - _COMMON) * even[1:]
    return description.settings.shadowing_db * mixed
