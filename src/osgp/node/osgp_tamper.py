"""Tampering: the cover, a magnet, energy that flows backwards. What the sensors see is told from outside.

Durations are those of ET55 and ET04 (MEP guide p. 56, 139); a duration of 0 switches a sensor off. Alarms stay in BT03 until EP03.
Project choice: reverse energy is looked for every quarter of an hour, where no generation is registered (ET04 PREMISE_POWER_GEN), and
told at most once a day.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from osgp.node.osgp_parts import Part
from osgp.tables.et.et04 import ET04
from osgp.tables.et.et55 import ET55

if TYPE_CHECKING:
    from osgp.node.meter import Meter

__all__ = ["Tamper"]

_LOOK_S = 900
_DAY_S = 86400
_ALARMS = {
    "cover_removed": ("ed_std_status1", "cover_removed"),
    "magnetic_tamper": ("mfg_status_3", "magnetic_tamper"),
}


class Tamper(Part):
    """The sensors of one meter. ``since``: by event, since when (meter's clock) its sensor sees something that is not yet told."""

    name = "tamper"

    def __init__(self, meter: Meter) -> None:
        super().__init__(meter)
        self.since: dict[str, float] = {}
        self.told: set[str] = set()
        self._exported = 0
        self._reverse_day = -1
        self.plan(meter.shown)

    def _seconds(self, event: str) -> int:
        image = self.meter.image
        if ET55.number not in image:
            return 10
        field = "general_crdt" if event == "cover_removed" else "magnetic_tamper_time"
        value = getattr(image.decode(ET55), field)
        return 10 if value is None else int(value)

    def cover(self, is_open: bool, now: float) -> None:
        """The cover is off, or on again."""
        self._sensed("cover_removed", is_open, now)
        if not is_open and "cover_removed" in self.told:
            self.told.discard("cover_removed")
            self.meter.log("cover_closed")

    def magnet(self, is_near: bool, now: float) -> None:
        """A strong magnet is near, or gone."""
        self._sensed("magnetic_tamper", is_near, now)
        if not is_near:
            self.told.discard("magnetic_tamper")

    def _sensed(self, event: str, active: bool, now: float) -> None:
        meter = self.meter
        meter.advance(now)
        if active and event not in self.told and self._seconds(event):
            self.since.setdefault(event, meter.shown)
        elif not active:
            self.since.pop(event, None)
        self.plan(meter.shown)

    def plan(self, shown: float) -> None:
        """When a sensor has seen enough, or to look for reverse energy."""
        sensors = (math.ceil(since + self._seconds(event)) for event, since in self.since.items())
        look = (math.floor(shown) // _LOOK_S + 1) * _LOOK_S
        self.due = min((look, *sensors))

    def work(self, due: int) -> None:
        """Tell what has lasted."""
        meter = self.meter
        for event, since in list(self.since.items()):
            if since + self._seconds(event) <= due:
                del self.since[event]
                self.told.add(event)
                meter.log(event)
                meter.alarm(*_ALARMS[event])
        if due % _LOOK_S == 0:
            self._reverse(due)
        self.plan(due)

    def _reverse(self, due: int) -> None:
        meter = self.meter
        exported = meter.registers.counts()[1]
        grown, self._exported = exported > self._exported > 0, exported
        if not grown or due // _DAY_S == self._reverse_day or meter.image.get(ET04, "premise_power_gen"):
            return
        self._reverse_day = due // _DAY_S
        meter.log("reverse_rotation")
        meter.alarm("ed_std_status1", "reverse_energy")

    def to_json(self) -> Any:
        """For a saved meter."""
        return [list(self.since.items()), sorted(self.told), self._exported, self._reverse_day]

    def restore(self, saved: Any) -> None:
        """The inverse of ``to_json``."""
        self.since, self.told = dict(saved[0]), set(saved[1])
        self._exported, self._reverse_day = saved[2], saved[3]
        self.plan(self.meter.shown)
