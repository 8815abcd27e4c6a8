"""Maximum power: the load disconnect opens when the average over a window is above the level in force (EP22).

Project choice over the meter user's guide's feature list (``spec/osgp-application.md`` 1.8, section 4): two levels, windows one after
the other from the moment of the order or of closing; the button closes again, or the meter itself after a pause. The time of the last
opening stands in ET46, as the MEP guide says (p. 121). It costs nothing while no level is in force.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from osgp.node.clockwork import utc_datetime
from osgp.node.disconnect import Contactor, Lock, Reason
from osgp.node.osgp_parts import Part, find
from osgp.node.osgp_tables import ContactorState
from osgp.tables.et.et46 import ET46
from osgp.tables.procedures.ep22 import EP22
from osgp.wire import LTime

if TYPE_CHECKING:
    from osgp.node.meter import Meter
    from osgp.node.server import Handler, Port

__all__ = ["PowerLimit"]

_DONE, _INVALID = 0, 2
_LEAST_S, _MOST_S, _FACTORY_S = 10, 3600, 60


class PowerLimit(Part):
    """The limits of one meter. ``limits``: primary and secondary, W."""

    name = "power_limit"
    procedures = (EP22.number,)

    def __init__(self, meter: Meter) -> None:
        super().__init__(meter)
        self.level = 0
        self.limits = [0, 0]
        self.seconds = _FACTORY_S
        self.reclose_s = 0
        self.openings = 0
        self.reclose_at = math.inf
        self._flow = 0

    @property
    def limit_w(self) -> int:
        """In force, 0 for none."""
        return self.limits[self.level - 1] if self.level else 0

    def handlers(self) -> dict[int, Handler]:
        """EP22."""
        return {EP22.number: self._ep22}

    def _ep22(self, raw: bytes, port: Port, key: str, now: float) -> tuple[int, bytes]:
        asked = EP22.Parameters.decode(raw)
        limits = [
            old if new is None else new for old, new in zip(self.limits, (asked.primary, asked.secondary), strict=True)
        ]
        seconds = self.seconds if asked.seconds is None else asked.seconds
        if asked.level > 2 or (asked.level and not limits[asked.level - 1]) or not _LEAST_S <= seconds <= _MOST_S:
            return _INVALID, b""
        meter = self.meter
        meter.advance(now)
        self.level, self.limits, self.seconds, self.openings = asked.level, limits, seconds, 0
        if asked.reclose is not None:
            self.reclose_s = asked.reclose
        meter.log("power_limit_set", self.level, user=port.event_user)
        self.plan(meter.shown)
        return _DONE, b""

    def plan(self, shown: float) -> None:
        """A window begins, or the pause goes on."""
        if not self.meter.relays.disconnect_closed:
            self.due = math.ceil(self.reclose_at) if self.reclose_at < math.inf else math.inf
            return
        self.reclose_at = math.inf
        self._flow = self.meter.registers.flow[0]
        self.due = math.floor(shown) + self.seconds if self.level else math.inf

    def work(self, due: int) -> None:
        """A window, or the pause, is over."""
        meter = self.meter
        contactor = find(meter, Contactor)
        if not meter.relays.disconnect_closed:
            self.reclose_at = math.inf
            if contactor is not None and contactor.lock == Lock.BUTTON and contactor.reason == Reason.POWER_LIMIT:
                contactor.order(True)
            self.plan(due)
            return
        watts = (meter.registers.flow[0] - self._flow) / (1_000_000 * self.seconds)
        if watts > self.limit_w and contactor is not None:
            self.openings = min(0xFFFF, self.openings + 1)
            meter.log("power_limit_exceeded", self.level)
            if ET46.number in meter.image:
                table: Any = meter.image.decode(ET46)
                if table.max_pwr_disconnect_time is not None:
                    table.max_pwr_disconnect_time = LTime.of(utc_datetime(due))
                    meter.image.encode(table)
            self.reclose_at = due + self.reclose_s if self.reclose_s else math.inf
            contactor.open(Reason.POWER_LIMIT, Lock.BUTTON)
        self.plan(due)

    def switched(self, closed: bool) -> None:
        """A window begins with closing."""
        self.plan(self.meter.shown)

    def tell_contactor(self, state: ContactorState) -> None:
        """The limit in UT21."""
        state.limit_w, state.limit_level = self.limit_w, self.level
        state.limit_s, state.openings = self.seconds if self.level else 0, self.openings

    def to_json(self) -> Any:
        """For a saved meter."""
        return {
            "level": self.level,
            "limits": self.limits,
            "seconds": self.seconds,
            "reclose_s": self.reclose_s,
            "openings": self.openings,
            "reclose_at": None if self.reclose_at == math.inf else self.reclose_at,
            "flow": self._flow,
            "due": None if self.due == math.inf else self.due,
        }

    def restore(self, saved: Any) -> None:
        """The inverse of ``to_json``."""
        self.level, self.limits, self.seconds = saved["level"], list(saved["limits"]), saved["seconds"]
        self.reclose_s, self.openings, self._flow = saved["reclose_s"], saved["openings"], saved["flow"]
        self.reclose_at = math.inf if saved["reclose_at"] is None else saved["reclose_at"]
        self.due = math.inf if saved["due"] is None else saved["due"]
