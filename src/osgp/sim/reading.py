"""What a node's transceiver tells of the frame it took last: strength, margin, phase. Project choice.

Levels of a medium are Ec/N0, so strength is told as if the line's noise lay at ``NOISE_DB``. Margin is the level above the one at
which a transmission is just sensed, less what the line at the receiver costs more than a quiet one: with the same margin as many
packets come through everywhere. 6 dB is then what ``spec/osgp-application.md`` 3.10 calls the least that is usable.
"""

from __future__ import annotations

import math
from functools import lru_cache

from osgp.node.link_register import UNHEARD, Heard
from osgp.sim.medium import SENSE_DB, LevelMedium, LevelWay
from osgp.sim.per import Curves, default_curves
from osgp.sim.wire import Port, Wire
from osgp.sim.wire_channel import Transmission

__all__ = ["NOISE_DB", "phase_between", "reading"]

NOISE_DB = -78.0
_BYTES = 60
_HAZARD = -math.log(0.9)
"""Of ten packets one is lost."""


@lru_cache(maxsize=64)
def _needs(curves: Curves, scenario: str, secondary: bool) -> float:
    """The level at which one packet of ten is lost, in dB."""
    low, high = -10.0, 60.0
    while high - low > 0.05:
        middle = (low + high) / 2
        if curves.hazard(scenario, secondary, middle, _BYTES) > _HAZARD:
            low = middle
        else:
            high = middle
    return high


def phase_between(sender: int, receiver: int) -> int:
    """The sender's phase as seen by the receiver: 1 the same, 3 and 5 a third of a period off, 0 unknown."""
    return 1 + 2 * ((sender - receiver) % 3) if sender and receiver else 0


def reading(wire: Wire, port: Port) -> Heard:
    """How the frame that a port took last was received; UNHEARD on a wire without levels."""
    transmission, medium = port.heard, wire.medium
    if not isinstance(transmission, Transmission) or not isinstance(medium, LevelMedium):
        return UNHEARD
    way = transmission.way
    if not isinstance(way, LevelWay) or port.number not in way.level_db:
        return UNHEARD
    level = way.level_db[port.number]
    curves = getattr(medium, "curves", None) or default_curves()
    scenario = way.levels.scenario[port.number]
    extra = _needs(curves, scenario, way.secondary) - _needs(curves, "Q", way.secondary)
    return Heard(NOISE_DB + level, level - SENSE_DB - extra, phase_between(transmission.sender.phase, port.phase))
