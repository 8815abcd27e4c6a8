"""Instantaneous values by source ID, as BT28 and the load profile show them (BT22 source list, MEP guide p. 202–216).

Averages are for ``osgp.node.averages``; a value without it is that of the moment. CT and VT ratios are 1, so values before and
after them are the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from osgp.node.averages import AVERAGED
from osgp.node.energy import Instant, PhaseInstant

__all__ = ["PresentValues"]

_NO_PHASE = PhaseInstant(0.0, 0.0, 0.0)


class PresentValues:
    """The values of one moment; unknown sources are 0. ``closed`` False: the load is disconnected, voltage stays."""

    def __init__(self, instant: Instant, average: Callable[[int], int] | None = None, *, closed: bool = True) -> None:
        self.average = average
        phases = instant.phases if closed else tuple(PhaseInstant(0, 0, each.voltage_v) for each in instant.phases)
        self.phases = phases + (_NO_PHASE,) * (3 - len(phases))
        self.frequency_hz = instant.frequency_hz
        self.p = sum(each.power_w for each in phases)
        self.q = sum(each.reactive_var for each in phases)

    def value(self, source: int) -> int:
        """The value of a source in the unit of ``osgp.tables.sources``, rounded."""
        if self.average is not None and source in AVERAGED:
            return self.average(source)
        found = _BY_SOURCE.get(source)
        return 0 if found is None else round(found(self))


def _quadrant(p: float, q: float) -> int:
    return (1 if p >= 0 else 2) if q >= 0 else (4 if p >= 0 else 3)


def _amps(phase: PhaseInstant) -> float:
    return math.hypot(phase.power_w, phase.reactive_var) / phase.voltage_v if phase.voltage_v else 0.0


def _neutral(v: PresentValues) -> float:
    """The vector sum of the phase currents."""
    x = y = 0.0
    for n, phase in enumerate(v.phases):
        angle = math.radians(-120.0 * n) - math.atan2(phase.reactive_var, phase.power_w)
        x += _amps(phase) * math.cos(angle)
        y += _amps(phase) * math.sin(angle)
    return math.hypot(x, y)


def _factor(phase: PhaseInstant) -> float:
    apparent = math.hypot(phase.power_w, phase.reactive_var)
    return abs(phase.power_w) / apparent if apparent else float(phase.voltage_v > 0)


def _sine(phase: PhaseInstant) -> float:
    apparent = math.hypot(phase.power_w, phase.reactive_var)
    return phase.reactive_var / apparent if apparent else 0.0


_BY_SOURCE: dict[int, Callable[[PresentValues], float]] = {
    8: lambda v: max(v.p, 0),
    9: lambda v: max(-v.p, 0),
    10: lambda v: max(v.q, 0),
    11: lambda v: max(-v.q, 0),
    19: lambda v: v.frequency_hz * 1000,
    20: lambda v: math.hypot(v.p, v.q),
    232: lambda v: _neutral(v) * 1000,
}
for _again, _first in ((81, 8), (82, 9), (83, 10), (84, 11), (208, 8), (209, 9)):
    _BY_SOURCE[_again] = _BY_SOURCE[_first]
for _n in range(4):
    _BY_SOURCE[104 + _n] = lambda v, n=_n: abs(v.q) if _quadrant(v.p, v.q) == n + 1 else 0  # type: ignore[misc]  # default binds n
    _BY_SOURCE[216 + _n] = lambda v, n=_n: math.hypot(v.p, v.q) if _quadrant(v.p, v.q) == n + 1 else 0  # type: ignore[misc]  # as above


def _per_phase(phase: int) -> None:
    def of(measure: Callable[[PhaseInstant], float]) -> Callable[[PresentValues], float]:
        return lambda v: measure(v.phases[phase])

    milliamps = of(lambda each: _amps(each) * 1000)
    millivolts = of(lambda each: each.voltage_v * 1000)
    forward, reverse = of(lambda each: max(each.power_w, 0)), of(lambda each: max(-each.power_w, 0))
    for first in (12, 197, 233):
        _BY_SOURCE[first + phase] = milliamps
    for first in (15, 202, 205):
        _BY_SOURCE[first + phase] = millivolts
    for first in (185, 191, 210):
        _BY_SOURCE[first + phase] = forward
        _BY_SOURCE[first + 3 + phase] = reverse
    _BY_SOURCE[(18, 21, 22)[phase]] = of(lambda each: _factor(each) * 1000)
    _BY_SOURCE[23 + phase] = of(lambda each: _sine(each) * 1000)
    _BY_SOURCE[236 + phase] = lambda v: 12000 if v.phases[1].voltage_v else 0
    _BY_SOURCE[239 + phase] = of(lambda each: max(each.reactive_var, 0))
    _BY_SOURCE[242 + phase] = of(lambda each: max(-each.reactive_var, 0))
    for quadrant in range(1, 5):
        _BY_SOURCE[219 + 4 * phase + quadrant] = of(
            lambda each, quadrant=quadrant: (  # type: ignore[misc]  # default binds quadrant
                math.hypot(each.power_w, each.reactive_var)
                if _quadrant(each.power_w, each.reactive_var) == quadrant
                else 0
            )
        )


for _phase in range(3):
    _per_phase(_phase)
