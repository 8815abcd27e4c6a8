"""ET61: the calendar of the control relays (MEP guide p. 166). It acts on the same relays as EP02.

What a block of ten switches means depends on ET05, which has no layout in the guides. Project choices: eight blocks are Sunday to
Saturday and the special days of BT54 (where that block is empty, the weekday's holds); a block of zeros holds no switch, and
a switch that is not after the one before ends its block, as in BT54; times are local; a state lasts until the next switch, over
midnight. Writing the table, supply that comes back, and a clock that is set past a switch or back by more than a minute, bring
a relay to the state that holds then; EP02 may change it until the next switch. The second relay is there from firmware 4.30 on.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from osgp.tables.et.et61 import ET61
from osgp.wire import Firmware

if TYPE_CHECKING:
    from osgp.node.meter import Meter

__all__ = ["RelayCalendar"]

_DAY = 86400
_BLOCK = 10
_SPECIAL = 7
_SECOND_RELAY = Firmware.parse("4.30")
_Switches = list[tuple[int, bool]]


def _blocks(words: list[ET61.Relays.Switches]) -> list[_Switches]:
    found: list[_Switches] = []
    for start in range(0, len(words), _BLOCK):
        block: _Switches = []
        ten = words[start : start + _BLOCK]
        for word in ten if any(int(each) for each in ten) else ():
            at = word.hour * 3600 + word.minute * 60
            if at >= _DAY or (block and at <= block[-1][0]):
                break
            block.append((at, bool(word.state)))
        found.append(block)
    return found


class RelayCalendar:
    """The calendar of one meter. ``due``: its next switch, on the meter's clock."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.due = math.inf
        self._relays: list[list[_Switches]] = []
        self.read_settings()

    def read_settings(self) -> None:
        """ET61 as it is now."""
        image = self.meter.image
        self._relays = []
        if ET61.number in image and any(image.read(ET61.number)):
            relays = image.decode(ET61).relays
            count = 2 if self.meter.firmware >= _SECOND_RELAY else 1
            self._relays = [_blocks(one.switches) for one in relays[:count]]

    def _switches(self, relay: list[_Switches], day: int) -> _Switches:
        special = self.meter.calendar.day(day).special is not None
        if special and len(relay) > _SPECIAL and relay[_SPECIAL]:
            return relay[_SPECIAL]
        weekday = (day + 4) % 7
        return relay[weekday] if weekday < len(relay) else []

    def _state(self, relay: list[_Switches], day: int, second: int) -> bool | None:
        today = [state for at, state in self._switches(relay, day) if at <= second]
        if today:
            return today[-1]
        for back in range(1, 8):
            switches = self._switches(relay, day - back)
            if switches:
                return switches[-1][1]
        return None

    def plan(self, shown: float) -> None:
        """When the next switch comes, seen from a moment of the meter's clock."""
        self.due = math.inf
        if not self._relays:
            return
        offset = self.meter.calendar.offset_s(shown)
        day, second = divmod(math.floor(shown) + offset, _DAY)
        for relay in self._relays:
            for ahead in range(8):
                later = [at for at, _ in self._switches(relay, day + ahead) if ahead or at > second]
                if later:
                    self.due = min(self.due, (day + ahead) * _DAY + later[0] - offset)
                    break

    def settle(self, shown: float) -> None:
        """Bring the relays to the states that hold at a moment of the meter's clock."""
        day, second = divmod(math.floor(shown) + self.meter.calendar.offset_s(shown), _DAY)
        for number, relay in enumerate(self._relays, 1):
            state = self._state(relay, day, second)
            if state is not None:
                self.meter.relays.by_calendar(number, state)
        self.plan(shown)

    def work(self, due: int) -> None:
        """A switch has come."""
        day, second = divmod(due + self.meter.calendar.offset_s(due), _DAY)
        for number, relay in enumerate(self._relays, 1):
            for at, state in self._switches(relay, day):
                if at == second:
                    self.meter.relays.by_calendar(number, state)
        self.plan(due)
