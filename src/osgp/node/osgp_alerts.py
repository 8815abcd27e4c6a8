"""Unsolicited alerts of a device: which events raise one, when it is sent, and by which way.

Optional by ``spec/osgp-application.md`` 3.5: the log entry stays unread until it was read, so that an alert that is lost loses
nothing. Project choice: the classes, and the delay of chance, which is long after a power-up, so that a street that comes back does
not talk all at once. The way is the one that the concentrator has stored (UT19), its last node is the concentrator itself.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

from osgp.app.memory import StorageError
from osgp.app.messages import Alert, ReverseRoute
from osgp.lon.address import SubnetNode
from osgp.lon.ltep import Service
from osgp.lon.proxy import Hop
from osgp.lon.transport import Options
from osgp.node.stack import ChainOptions, Stack
from osgp.tables.events import event_number
from osgp.wire import LTime
from osgp.wire.errors import ConfigError, DecodeError, LocalProtocolError

__all__ = ["CLASSES", "Alerts", "MAX_LEGS"]

MAX_LEGS = 9
"""Eight that forward, and the concentrator."""
_TAMPER, _SUPPLY, _LOAD, _SECURITY, _DEVICE = 1, 2, 3, 4, 5
CLASSES = {
    "cover_removed": _TAMPER,
    "magnetic_tamper": _TAMPER,
    "reverse_rotation": _TAMPER,
    "power_up": _SUPPLY,
    "power_down": _SUPPLY,
    "voltage_sag": _SUPPLY,
    "voltage_surge": _SUPPLY,
    "phase_loss": _SUPPLY,
    "disconnect_opened": _LOAD,
    "disconnect_closed": _LOAD,
    "power_limit_exceeded": _LOAD,
    "prepay_exhausted": _LOAD,
    "key_usage_80": _SECURITY,
    "storage_failed": _SECURITY,
    "code_bank_fallback": _DEVICE,
    "firmware_refused": _DEVICE,
    "nvm_failure": _DEVICE,
}
"""Classes of alerts by event (project choice)."""
_SOON_S, _AFTER_POWER_UP_S = 2.0, 120.0
_MOST_WAITING = 8


class _Waiting(NamedTuple):
    due: float
    alert: Alert


class Alerts:
    """The alerts of one device. ``seal``: ``DeviceSecurity.seal_alert``."""

    def __init__(self, stack: Stack, seal: Callable[[Alert, float], bytes | None], *, seed: int) -> None:
        self.stack = stack
        self.seal = seal
        self.legs: tuple[Hop, ...] = ()
        self.expires = 0.0
        """True UTC second until which the way holds."""
        self._waiting: list[_Waiting] = []
        self._chance = random.Random(f"alerts {seed}")
        self.sent = self.dropped = 0

    def route(self, table: bytes, utc: float) -> None:
        """UT19 was written. A way that cannot be read is none."""
        self.legs, self.expires = (), 0.0
        try:
            route = ReverseRoute.decode(table)
        except DecodeError:
            return
        if not 1 <= route.count <= MAX_LEGS:
            return
        legs = tuple(Hop(each.subnet, each.hop.node, bool(each.hop.alternate_path)) for each in route.hops)
        if all(leg.subnet and leg.node for leg in legs):
            self.legs, self.expires = legs, utc + route.lifetime * 60.0

    def raised(self, event: str, argument: int, utc: LTime, sequence: int, now: float) -> None:
        """Something was logged."""
        alert_class = CLASSES.get(event)
        if alert_class is None:
            return
        if len(self._waiting) >= _MOST_WAITING:
            self.dropped += 1
            return
        alert = Alert(
            alert_class=alert_class,
            event_id=event_number(event),
            time=utc,
            log_sequence=sequence & 0xFFFFFFFF,
            argument=argument.to_bytes(2, "little") if argument else b"",
        )
        window = _AFTER_POWER_UP_S if event == "power_up" else _SOON_S
        self._waiting.append(_Waiting(now + self._chance.uniform(0.0, window), alert))

    def deadline(self) -> float | None:
        """When the next alert is to be sent."""
        return min((each.due for each in self._waiting), default=None)

    def wake(self, now: float, utc: float) -> None:
        """Send what is due, as far as there is a way and the limits of 3.5 allow it."""
        due = [each for each in self._waiting if each.due <= now]
        if not due:
            return
        self._waiting = [each for each in self._waiting if each.due > now]
        for each in due:
            self._send(each.alert, now, utc, Service.ACKD)

    def last_gasp(self, alert: Alert, now: float, utc: float) -> None:
        """The supply fails: one frame to the first node of the way, unacknowledged, if that is the concentrator."""
        if len(self.legs) == 1:
            self._send(alert, now, utc, Service.UNACKD)

    def _send(self, alert: Alert, now: float, utc: float, service: Service) -> None:
        if not self.legs or utc >= self.expires or not self.stack.configuration.configured:
            self.dropped += 1
            return
        try:
            frame = self.seal(alert, now)
        except StorageError:
            frame = None
        if frame is None:
            self.dropped += 1
            return
        *hops, end = self.legs
        target = SubnetNode(end.subnet, end.node)
        try:
            if hops:
                chain = ChainOptions(service=Service.ACKD, target_alternate_path=end.alternate_path)
                self.stack.request_via(hops, target, frame, now, chain)
            else:
                options = Options(alternate_path=True if end.alternate_path else None)
                self.stack.send(target, frame, now, options, service=service)
        except (ConfigError, LocalProtocolError):
            self.dropped += 1
            return
        self.sent += 1

    def clear(self) -> None:
        """The device has lost its supply: what waited stays in the log alone."""
        self._waiting.clear()
