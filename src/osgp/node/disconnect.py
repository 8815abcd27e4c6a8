"""The load disconnect with its locks: remote orders, a schedule that locks it open, and the customer's button.

Project choice over the meter user's guide's list of features (``spec/osgp-application.md`` 1.8, section 4): who opened it decides who
may close it. After the power limit, average power or the button itself the button closes; after a remote order only a remote order
(EP02, EP23) closes or lets the button do it; after EP36 nothing but EP36 unlocks. Every lock stays over an outage.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from osgp.node.clockwork import utc_datetime
from osgp.node.osgp_parts import Part, moment_of
from osgp.node.osgp_tables import CONTACTOR, ContactorState
from osgp.tables.et.et54 import ET54
from osgp.tables.et.et89 import ET89
from osgp.tables.events import NO_USER
from osgp.tables.procedures.ep23 import EP23
from osgp.tables.procedures.ep36 import EP36
from osgp.wire import LTime

if TYPE_CHECKING:
    from osgp.node.meter import Meter
    from osgp.node.server import Handler, Port

__all__ = ["Contactor", "Lock", "Reason"]

_DONE, _INVALID, _CONFLICT, _TOO_LATE = 0, 2, 3, 4


class Lock(IntEnum):
    """Who may close an open disconnect."""

    NONE = 0
    BUTTON = 1
    REMOTE = 2
    LOCKED = 3


class Reason(IntEnum):
    """Why it was opened."""

    NONE = 0
    REMOTE = 1
    SCHEDULE = 2
    POWER_LIMIT = 3
    PREPAY = 4
    AVERAGE_POWER = 5
    BUTTON = 6


class Contactor(Part):
    """The load disconnect of one meter."""

    name = "contactor"
    procedures = (EP23.number, EP36.number)

    def __init__(self, meter: Meter) -> None:
        super().__init__(meter)
        self.lock = Lock.NONE
        self.reason = Reason.NONE
        self.lock_open_at = math.inf
        self._acting = False
        meter.image.put(CONTACTOR, self._table())

    def handlers(self) -> dict[int, Handler]:
        """EP23 and EP36."""
        return {EP23.number: self._ep23, EP36.number: self._ep36}

    # ---- switching -------------------------------------------------------------------------------------------------
    def open(self, reason: Reason, lock: Lock, user: int = NO_USER) -> None:
        """Open, if it is not open already; a stronger lock stays."""
        self.lock = max(lock, self.lock) if not self.meter.relays.disconnect_closed else lock
        self.reason = reason
        self._switch(False, user)

    def close(self, user: int = NO_USER) -> None:
        """Close, whatever the lock: the caller has looked at it."""
        self.lock, self.reason = Lock.NONE, Reason.NONE
        self._switch(True, user)

    def _switch(self, closed: bool, user: int) -> None:
        self._acting = True
        try:
            self.meter.relays.set_disconnect(closed, user)
        finally:
            self._acting = False

    def order(self, closed: bool, user: int = NO_USER) -> int:
        """A remote order (EP02): result 0 done, 3 it may not close."""
        if not closed:
            self.open(Reason.REMOTE, Lock.REMOTE, user)
            return _DONE
        if self.lock == Lock.LOCKED or self._blocked():
            return _CONFLICT
        self.close(user)
        return _DONE

    def _blocked(self) -> bool:
        return any(part.holds_open for part in self.meter.parts)

    def button(self, now: float) -> bool:
        """The customer presses the button: it closes if it may, and opens unless ET89 says otherwise. True if it switched."""
        meter = self.meter
        meter.advance(now)
        if not meter.powered:
            return False
        if meter.relays.disconnect_closed:
            if ET89.number in meter.image:
                flags: Any = meter.image.decode(ET89).disconnect_flags
                if flags is not None and flags.block_auto_pushbutton:
                    return False
            self.open(Reason.BUTTON, Lock.BUTTON)
            return True
        if self.lock > Lock.BUTTON:
            return False
        for part in meter.parts:
            part.button_pressed()
        if self._blocked():
            return False
        self.close()
        return True

    def switched(self, closed: bool) -> None:
        """Somebody else switched it: average power opens without asking, EP02 of a plain meter does as well."""
        if self._acting:
            return
        if closed:
            self.lock, self.reason = Lock.NONE, Reason.NONE
        else:
            self.lock, self.reason = Lock.BUTTON, Reason.AVERAGE_POWER

    # ---- procedures ------------------------------------------------------------------------------------------------
    def _ep23(self, raw: bytes, port: Port, key: str, now: float) -> tuple[int, bytes]:
        asked = EP23.Parameters.decode(raw)
        meter = self.meter
        meter.advance(now)
        if asked.action > 1:
            return _INVALID, b""
        if meter.shown > moment_of(asked.expiry):
            return _TOO_LATE, b""
        if asked.action == 0:
            return self.order(True, port.event_user), b""
        if self.lock == Lock.LOCKED:
            return _CONFLICT, b""
        self._unlock(port.event_user)
        return _DONE, b""

    def _unlock(self, user: int) -> None:
        if not self.meter.relays.disconnect_closed:
            self.lock = Lock.BUTTON
            self.meter.log("disconnect_unlocked", user=user)

    def _ep36(self, raw: bytes, port: Port, key: str, now: float) -> tuple[int, bytes]:
        asked = EP36.Parameters.decode(raw)
        meter = self.meter
        meter.advance(now)
        at = moment_of(asked.at)
        if asked.action > 3 or (asked.action == 0 and at == math.inf):
            return _INVALID, b""
        if asked.action == 1 or (asked.action == 0 and at <= meter.shown):
            self._lock_open(port.event_user)
        elif asked.action == 3:
            self._unlock(port.event_user)
        else:
            self.lock_open_at = at if asked.action == 0 else math.inf
            meter.log("lock_open_scheduled", user=port.event_user)
        self.plan(meter.shown)
        return _DONE, b""

    def _lock_open(self, user: int = NO_USER) -> None:
        self.lock_open_at = math.inf
        self.open(Reason.SCHEDULE, Lock.LOCKED, user)
        self.meter.log("disconnect_locked", user=user)

    # ---- time and tables -------------------------------------------------------------------------------------------
    def plan(self, shown: float) -> None:
        """The scheduled lock is a moment of the meter's clock."""
        self.due = math.ceil(self.lock_open_at) if self.lock_open_at < math.inf else math.inf

    def work(self, due: int) -> None:
        """The schedule's moment has come."""
        self._lock_open()
        self.plan(due)

    def refresh(self, number: int) -> None:
        """UT21, and the locked button in ET54."""
        image = self.meter.image
        if number == CONTACTOR:
            image.put(CONTACTOR, self._table())
        elif number == ET54.number and number in image:
            table: Any = image.decode(ET54)
            if table.status_71 is not None:
                locked = int(not self.meter.relays.disconnect_closed and self.lock > Lock.BUTTON)
                table.status_71 = table.status_71.with_(push_button_close_locked=locked)
                image.encode(table)

    def _table(self) -> bytes:
        scheduled = self.lock_open_at < math.inf
        state = ContactorState(
            closed=int(self.meter.relays.disconnect_closed),
            lock=self.lock,
            reason=self.reason,
            lock_open_at=LTime.of(utc_datetime(self.lock_open_at)) if scheduled else LTime(),
        )
        for part in self.meter.parts:
            part.tell_contactor(state)
        return state.encode()

    def to_json(self) -> Any:
        """For a saved meter."""
        at = None if self.lock_open_at == math.inf else self.lock_open_at
        return [int(self.lock), int(self.reason), at]

    def restore(self, saved: Any) -> None:
        """The inverse of ``to_json``."""
        self.lock, self.reason = Lock(saved[0]), Reason(saved[1])
        self.lock_open_at = math.inf if saved[2] is None else saved[2]
        self.plan(self.meter.shown)
