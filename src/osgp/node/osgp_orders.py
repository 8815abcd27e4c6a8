"""EP02 in full: who switches, when an order is too old, and the delay of chance that keeps a street from switching as one.

Project choice (``spec/osgp-application.md`` 1.8, 3.6, 3.11). An order that comes by broadcast never acts at once: without a delay of
its own it gets one of up to ``BROADCAST_WINDOW_S``. The load disconnect is never delayed. A newer order for the same target takes
the place of one that waits.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Any, NamedTuple

from osgp.node.disconnect import Contactor
from osgp.node.inverter import Inverter
from osgp.node.load_control import LoadControl
from osgp.node.osgp_parts import Part, find, moment_of
from osgp.tables.et.et54 import ET54
from osgp.tables.procedures.ep02 import EP02

if TYPE_CHECKING:
    from osgp.node.meter import Meter
    from osgp.node.server import Handler, Port

__all__ = ["BROADCAST_WINDOW_S", "Orders"]

BROADCAST_WINDOW_S = 60
_DISCONNECT, _GENERATION = 0, 3
_DONE, _ACCEPTED, _INVALID, _CONFLICT, _TOO_LATE = 0, 1, 2, 3, 4


class Order(NamedTuple):
    """What waits: when, by when at the latest, and what then. ``hold_s`` 0: until the next order."""

    due: int
    expiry: float
    window_s: int
    target: int
    closed: bool
    hold_s: float
    level: int
    mode: int
    reason: int
    user: int


class Orders(Part):
    """The orders of one device."""

    name = "orders"
    procedures = (EP02.number,)

    def __init__(self, meter: Meter) -> None:
        super().__init__(meter)
        self.waiting: dict[int, Order] = {}
        self.windows: dict[int, int] = {}
        self._drawn = 0

    def handlers(self) -> dict[int, Handler]:
        """EP02, in place of the plain meter's."""
        return {EP02.number: self._ep02}

    def _ep02(self, raw: bytes, port: Port, key: str, now: float) -> tuple[int, bytes]:
        asked = EP02.Parameters.decode(raw)
        meter = self.meter
        meter.advance(now)
        level = asked.level or 0
        if asked.action > 1 or asked.target > _GENERATION or level > 100 or (asked.mode or 0) > 3:
            return _INVALID, b""
        if asked.target == _GENERATION and find(meter, Inverter) is None:
            return _CONFLICT, b""
        expiry = moment_of(asked.expiry)
        if meter.shown > expiry:
            return _TOO_LATE, b""
        window = asked.random or (BROADCAST_WINDOW_S if port.broadcast else 0)
        delay = self._draw(window) if asked.target != _DISCONNECT else 0
        hold = asked.hold or 0
        order = Order(
            math.ceil(meter.shown) + delay,
            expiry,
            window,
            asked.target,
            bool(asked.action),
            math.inf if hold == 0xFFFF else hold * 60.0,
            level,
            asked.mode or 0,
            asked.reason or 0,
            port.event_user,
        )
        self.waiting.pop(asked.target, None)
        if not delay:
            result = self._carry_out(order)
            self._next()
            return result, b""
        self.waiting[asked.target] = order
        self.windows[asked.target] = window
        meter.log("order_delayed", delay, user=port.event_user)
        self._next()
        return _ACCEPTED, b""

    def _draw(self, window: int) -> int:
        if not window:
            return 0
        self._drawn += 1
        return random.Random(f"orders {self.meter.seed} {self.meter.serial} {self._drawn}").randrange(window + 1)

    def _carry_out(self, order: Order) -> int:
        meter = self.meter
        if order.target == _DISCONNECT:
            contactor = find(meter, Contactor)
            if contactor is not None:
                return contactor.order(order.closed, order.user)
            meter.relays.set_disconnect(order.closed, order.user)
        elif order.target == _GENERATION:
            inverter = find(meter, Inverter)
            if inverter is not None:
                inverter.order(100 if order.closed else order.level, order.hold_s, order.user)
        else:
            control = find(meter, LoadControl)
            if control is not None:
                control.order(order.target, order.closed, order.hold_s, order.mode, order.user)
            else:
                meter.relays.set_control(order.target, order.closed, order.user)
        return _DONE

    def _next(self) -> None:
        self.due = min((each.due for each in self.waiting.values()), default=math.inf)

    def work(self, due: int) -> None:
        """Carry out what has waited long enough; what has expired meanwhile is dropped."""
        for target in [each.target for each in self.waiting.values() if each.due <= due]:
            order = self.waiting.pop(target)
            if order.expiry >= due:
                self._carry_out(order)
        self._next()

    def plan(self, shown: float) -> None:
        """Orders keep their moments, whatever the clock does; one set far back does not hold them up beyond their window."""
        for target, order in self.waiting.items():
            latest = math.ceil(shown) + order.window_s
            if order.due > latest:
                self.waiting[target] = order._replace(due=latest)
        self._next()

    def refresh(self, number: int) -> None:
        """ET54 tells what waits."""
        if number != ET54.number or number not in self.meter.image:
            return
        table: Any = self.meter.image.decode(ET54)
        for relay in (1, 2):
            if getattr(table, f"relay{relay}_random_pending") is None:
                continue
            order = self.waiting.get(relay)
            left = max(0, math.ceil(order.due - self.meter.shown)) if order is not None else 0
            setattr(table, f"relay{relay}_random_pending", int(order is not None))
            setattr(table, f"relay{relay}_random_remaining", left)
            setattr(table, f"relay{relay}_random_total", self.windows.get(relay, 0))
        self.meter.image.encode(table)

    def to_json(self) -> Any:
        """For a saved meter."""
        orders = [[None if part == math.inf else part for part in order] for order in self.waiting.values()]
        return {"waiting": orders, "windows": list(self.windows.items()), "drawn": self._drawn}

    def restore(self, saved: Any) -> None:
        """The inverse of ``to_json``."""
        self.waiting = {}
        for fields in saved["waiting"]:
            order = Order._make(math.inf if part is None else part for part in fields)
            self.waiting[order.target] = order
        self.windows = dict(saved["windows"])
        self._drawn = saved["drawn"]
        self._next()
