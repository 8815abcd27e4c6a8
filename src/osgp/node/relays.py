"""The load disconnect and the control relays. EP02's parameters are not in the guides: see its declaration."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from osgp.tables.events import NO_USER

if TYPE_CHECKING:
    from osgp.node.meter import Meter

__all__ = ["Relays"]


class Relays:
    """``disconnect_closed``: the load is on. ``control``: the two relays, True is closed."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.disconnect_closed = True
        self.control = [True, True]
        self.by_calendar: Callable[[int, bool], None] = self.set_control
        """What the relay calendar calls: (relay, closed)."""

    @property
    def closed(self) -> bool:
        """Whether energy can flow through the meter."""
        return self.disconnect_closed

    def set_disconnect(self, closed: bool, user: int = NO_USER) -> None:
        """Open or close the load disconnect."""
        if closed == self.disconnect_closed:
            return
        self.disconnect_closed = closed
        self.meter.log("disconnect_closed" if closed else "disconnect_opened", user=user)
        self.meter.alarm("mfg_status_0", "disconnect_changed")
        self.meter.averages.flow_changed()
        self.meter.on_disconnect()
        for part in self.meter.parts:
            part.switched(closed)

    def set_control(self, relay: int, closed: bool, user: int = NO_USER) -> None:
        """Open or close control relay 1 or 2."""
        if self.control[relay - 1] == closed:
            return
        self.control[relay - 1] = closed
        self.meter.log("relay_closed" if closed else "relay_opened", relay, user=user)
        if relay == 1:
            self.meter.alarm("mfg_status_0", "relay1_open", int(not closed))
        else:
            self.meter.alarm("mfg_status_5", "relay2_open", int(not closed))

    def to_json(self) -> dict[str, Any]:
        """For a saved meter."""
        return {"disconnect_closed": self.disconnect_closed, "control": self.control}

    def restore(self, saved: dict[str, Any]) -> None:
        """The inverse of ``to_json``."""
        self.disconnect_closed = saved["disconnect_closed"]
        self.control = list(saved["control"])
