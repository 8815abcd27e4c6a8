"""Configuring demands (EP32) and the extended logs (EP06) anew: other dimensions, hence other sizes of many tables.

Tables whose size changes begin empty, as the guides say of BT26 and the logs; energy goes on (project choice for the rest).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from osgp.node.meter_image import build_image
from osgp.node.registers import Demand
from osgp.tables.et.et36 import ET36
from osgp.tables.registry import table
from osgp.tables.table import extended
from osgp.wire import layout_of

if TYPE_CHECKING:
    from osgp.node.meter import Meter

__all__ = ["configure_demands", "configure_log"]

_INVALID = 2
_POWERS = (8, 9, 10, 11, 20)
_SIZED_BY_DEMANDS = (*range(20, 29), *(extended(n) for n in (31, 36, 41)))
_ADJUSTABLE = {3: 41, 4: 45, 6: 81}
"""Logs of ET36 that can be resized, by their place there."""


def configure_demands(meter: Meter, sources: list[int]) -> int:
    """Carry out EP32; answers its result code."""
    if len(sources) > 8 or any(source not in _POWERS for source in sources):
        return _INVALID
    model = replace(meter.model, demands=tuple(sources))
    fresh = build_image(model, meter.serial, meter.firmware, tuple(meter.handlers))
    for number in _SIZED_BY_DEMANDS:
        if number in meter.image:
            meter.image.put(number, fresh.read(number))
    registers = meter.registers
    registers.demands = [[Demand() for _ in sources] for _ in range(meter.tiers + 1)]
    registers.previous = [0] * len(sources)
    registers.demand_flow = list(registers.flow)
    meter.demand_began = meter.at
    meter.reconfigured()
    return 0


def configure_log(meter: Meter, place: int, entries: int) -> int:
    """Carry out EP06; answers its result code."""
    number = _ADJUSTABLE.get(place)
    if number is None or extended(number) not in meter.image or entries > 253:
        return _INVALID
    sizes: Any = meter.image.decode(ET36)
    sizes.logs[place].current_entries = entries
    meter.image.encode(sizes)
    layout: Any = layout_of(table(extended(number)), meter.image.context)
    meter.image.encode(layout.zero())
    meter.reconfigured()
    return 0
