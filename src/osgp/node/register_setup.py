"""Configuring demands (EP32, EP33) and the extended logs (EP06, EP37) anew: other dimensions, hence other sizes of many tables.

Tables whose size changes begin empty, as the guides say of BT26 and the logs; energy goes on (project choice for the rest).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from osgp.node.meter_image import build_image
from osgp.node.registers import Demand
from osgp.tables.et.et36 import ET36
from osgp.tables.et.et45 import ET45
from osgp.tables.et.et74 import ET74
from osgp.tables.registry import table
from osgp.tables.table import EXTENDED, extended
from osgp.wire import layout_of

if TYPE_CHECKING:
    from osgp.node.meter import Meter

__all__ = ["configure_demands", "configure_entries", "configure_interval", "configure_log"]

_INVALID, _CONFLICT = 2, 3
_POWERS = (8, 9, 10, 11, 20)
_SIZED_BY_DEMANDS = (*range(20, 29), *(extended(n) for n in (31, 36, 41)))
_DIVISORS = (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60)
_ENTRY_MIN, _ENTRY_MAX = 32, 1000
"""Bytes of an entry of ET45 that can be asked for (project choice)."""
_CHANGES = 75
_ADJUSTABLE = {3: 41, 4: 45, 5: 75, 6: 81}
"""Logs of ET36 that can be resized, by their place there."""


def configure_demands(meter: Meter, sources: list[int]) -> int:
    """Carry out EP32; answers its result code."""
    if len(sources) > 8 or any(source not in _POWERS for source in sources):
        return _INVALID
    if not meter.channel_changes.allow():
        return _CONFLICT
    model = replace(meter.model, demands=tuple(sources))
    fresh = build_image(model, meter.serial, meter.firmware, tuple(meter.handlers))
    for number in _SIZED_BY_DEMANDS:
        if number in meter.image:
            meter.image.put(number, fresh.read(number))
    registers = meter.registers
    registers.demands = [[Demand() for _ in sources] for _ in range(meter.tiers + 1)]
    registers.previous = [0] * len(sources)
    meter.demand.begin()
    meter.reconfigured()
    return 0


def configure_log(meter: Meter, place: int, entries: int) -> int:
    """Carry out EP06; answers its result code. ET75 stays as it is while the meter complies with Welmec 11.2."""
    number = _ADJUSTABLE.get(place)
    if number is None or extended(number) not in meter.image or entries > 253:
        return _INVALID
    if number == _CHANGES and meter.channel_changes.complies:
        return _CONFLICT
    _resize(meter, place, number, entries)
    meter.reconfigured()
    return 0


def configure_entries(meter: Meter, place: int, size: int, entries: int) -> int:
    """Carry out EP37, the size of ET45's entries (and ET74's, which share it); answers its result code."""
    if _ADJUSTABLE.get(place) != ET45.number - EXTENDED or ET45.number not in meter.image:
        return _INVALID
    if not _ENTRY_MIN <= size <= _ENTRY_MAX or entries > 253:
        return _INVALID
    _resize(meter, place, 45, entries, size)
    if ET74.number in meter.image:
        layout: Any = layout_of(ET74, meter.image.context)
        meter.image.encode(layout.zero())
    meter.reconfigured()
    return 0


def configure_interval(meter: Meter, minutes: int, multiplier: int, user: int) -> int:
    """Carry out EP33: other demand intervals, after a demand reset; answers its result code."""
    if minutes not in _DIVISORS or not 1 <= multiplier <= 15:
        return _INVALID
    if not meter.channel_changes.allow():
        return _CONFLICT
    if meter.demand_sources:
        meter.demand_reset(reason=1, user=user)
    meter.demand.configure(minutes, multiplier)
    meter.interface_changed()
    return 0


def _resize(meter: Meter, place: int, number: int, entries: int, size: int | None = None) -> None:
    sizes: Any = meter.image.decode(ET36)
    sizes.logs[place].current_entries = entries
    if size is not None:
        sizes.logs[place].entry_size = size
    meter.image.encode(sizes)
    layout: Any = layout_of(table(extended(number)), meter.image.context)
    meter.image.encode(layout.zero())
