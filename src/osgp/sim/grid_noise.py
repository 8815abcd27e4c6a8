"""How loud it is at each receiver, hour by hour: background, loads and noise sources, each at the end of its way. Project choice.

What is continuous counts as noise and adds up in power; what is narrow counts as interference with the share that a receiver matched
to the line bit lets pass. Levels follow the local time of day.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osgp.plc.params import OSGP, PhyProfile
from osgp.sim.channel_background import Background
from osgp.sim.channel_cyclic import SET_2
from osgp.sim.channel_tones import interference_share
from osgp.sim.grid_description import KINDS, LOADS, PHASES, PROFILES, GridDescription, NoiseSource

__all__ = ["NoiseAt", "Noises", "level_db"]

_WIDTH_HZ = 2000.0
_LETTERS = ("Q", "R", "D")
Matrix = NDArray[np.float64]


def level_db(source: NoiseSource, time_of_day_h: float) -> float:
    """Level against the loudest hour at a local time of day, 0 … 24."""
    hours = source.hours_db or PROFILES[source.profile]
    first = int(time_of_day_h) % 24
    share = time_of_day_h % 1.0
    return hours[first] * (1 - share) + hours[(first + 1) % 24] * share


@dataclass(frozen=True, slots=True)
class NoiseAt:
    """At one time of day, by carrier and receiver: levels, shape (2, nodes); and the ``scenario`` of each node."""

    noise_dbuv: Matrix
    interference_dbuv: Matrix
    scenario: list[str]


class Noises:
    """The sources of a grid and what they do to each node.

    ``loss_db``: between each two places, as ``Ways`` has it; ``at``: place of each name; ``points``: how many places are no nodes.
    """

    def __init__(
        self, description: GridDescription, loss_db: Matrix, at: dict[str, int], points: int, profile: PhyProfile = OSGP
    ) -> None:
        self._settings = description.settings
        self.sources = [*description.noises, *_of_loads(description)]
        phases = np.array([PHASES[node.phase] for node in description.nodes])
        carriers = [profile.carrier_hz(False), profile.carrier_hz(True)]
        rows = [at[source.at] for source in self.sources]
        gain = -loss_db[rows][:, points:] if rows else np.zeros((0, len(phases)))
        crossing = np.array([PHASES[source.phase] for source in self.sources], dtype=np.intp)[:, None] & phases == 0
        gain = gain - crossing * self._settings.cross_phase_db
        own = np.array([[source.at == node.name for node in description.nodes] for source in self.sources], dtype=bool)
        if len(rows):
            gain[own] = 0.0  # a load is joined to the very terminals of its house's device
        self._power = 10.0 ** (gain / 10.0)
        self._share = np.array(
            [[_share(source, carrier, profile) for source in self.sources] for carrier in carriers]
        ).reshape(2, len(self.sources))
        self._letter = np.array([KINDS[source.kind] for source in self.sources], dtype="U1")
        floor = Background(self._settings.background_dbuv)
        self._floor = np.array([[10 ** (floor.noise_dbuv(carrier, profile) / 10)] for carrier in carriers])

    def at(self, time_of_day_h: float) -> NoiseAt:
        """Everything added up at a local time of day, 0 … 24."""
        level = np.array([source.level_dbuv + level_db(source, time_of_day_h) for source in self.sources])
        power = self._share * 10.0 ** (level / 10.0) if len(level) else self._share
        heard = {
            letter: power[:, self._letter == letter] @ self._power[self._letter == letter]
            for letter in (*_LETTERS, "T")
        }
        heard["Q"] = heard["Q"] + self._floor
        noise = heard["Q"] + heard["R"] + heard["D"]
        with np.errstate(divide="ignore"):
            interference = 10 * np.log10(heard["T"])
        # By what is loudest on the primary; a tone counts when it is louder than all noise together.
        loudest = np.argmax([heard[letter][0] for letter in _LETTERS], axis=0)
        toned = heard["T"][0] > noise[0]
        letters = ["T" if tone else _LETTERS[place] for tone, place in zip(toned.tolist(), loudest.tolist())]
        return NoiseAt(10 * np.log10(noise), interference, letters)


def _of_loads(description: GridDescription) -> list[NoiseSource]:
    """Each load of a node as a source at that node."""
    return [
        NoiseSource(
            f"{node.name} {place}",
            node.name,
            LOADS[load].noise,
            LOADS[load].level_dbuv,
            node.phase,
            LOADS[load].profile,
            frequency_hz=LOADS[load].frequency_hz or 86_000.0,
        )
        for node in description.nodes
        for place, load in enumerate(node.loads)
    ]


def _share(source: NoiseSource, carrier_hz: float, profile: PhyProfile) -> float:
    """What of a source's level counts on a carrier, as a share of power."""
    if source.kind == "tone":
        return interference_share(source.frequency_hz - carrier_hz, profile)
    if source.kind == "converter":
        offsets = source.frequency_hz - carrier_hz + np.linspace(-_WIDTH_HZ / 2, _WIDTH_HZ / 2, 41)
        return float(np.mean([interference_share(float(offset), profile) for offset in offsets]))
    slope = SET_2.slope_s if source.kind == "dimmer" else Background().slope_s
    return float(np.exp(-slope * (carrier_hz - profile.carrier_hz(False))))
