"""Control relays with the modes of ET89: maintenance over locked over remote over local, each for a time or without end.

Modes and words are those of ET89 (MEP guide p. 187); which of them rules when several hold, and how orders set them, is a
project choice. The local mode is the calendar (ET61). An order without a time changes what it said, until its next switch; one
with a time is the remote mode, and the calendar comes back into its own when it ends.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from osgp.node.osgp_parts import Part
from osgp.tables.et.et89 import ET89
from osgp.tables.events import NO_USER
from osgp.wire import Firmware

if TYPE_CHECKING:
    from osgp.node.meter import Meter

__all__ = ["MAINTENANCE", "LOCKED", "LOCAL", "REMOTE", "LoadControl"]

MAINTENANCE, LOCKED, REMOTE, LOCAL = range(4)
_MODES = ("maintenance", "locked", "remote", "local")
_BY_ORDER = {0: REMOTE, 1: LOCKED, 2: MAINTENANCE}
_END = 3
_MOST_LEFT = (1 << 19) - 1
_UNKNOWN = 2
_SECOND_RELAY = Firmware.parse("4.30")


class LoadControl(Part):
    """The control relays of one device. ``modes``: by relay and mode the state (None: not set) and until when it holds."""

    name = "load_control"

    def __init__(self, meter: Meter) -> None:
        super().__init__(meter)
        count = 2 if meter.firmware >= _SECOND_RELAY else 1
        self.modes: list[list[tuple[bool | None, float]]] = [
            [(None, math.inf)] * LOCAL + [(True, math.inf)] for _ in range(count)
        ]
        meter.relays.by_calendar = self.local

    def mode(self, relay: int) -> int:
        """The mode that rules relay 1 or 2."""
        return next(mode for mode, (state, _) in enumerate(self.modes[relay - 1]) if state is not None)

    def local(self, relay: int, closed: bool) -> None:
        """What the calendar says."""
        if relay <= len(self.modes):
            self.modes[relay - 1][LOCAL] = closed, math.inf
            self._settle(relay, NO_USER)

    def order(self, relay: int, closed: bool, hold_s: float, mode: int, user: int = NO_USER) -> None:
        """An order of EP02. ``hold_s``: how long, 0 until the next switch or, for the stronger modes, without end."""
        if relay > len(self.modes):
            return
        modes = self.modes[relay - 1]
        before = self.mode(relay)
        if mode == _END:
            modes[:LOCAL] = [(None, math.inf)] * LOCAL
        elif mode == 0 and not hold_s:
            modes[REMOTE] = None, math.inf
            modes[LOCAL] = closed, math.inf
        else:
            modes[_BY_ORDER[mode]] = closed, self.meter.shown + hold_s if hold_s else math.inf
        self._settle(relay, user)
        if self.mode(relay) != before:
            self.meter.log("relay_mode_changed", relay, user=user)
        self.plan(self.meter.shown)

    def _settle(self, relay: int, user: int) -> None:
        state = self.modes[relay - 1][self.mode(relay)][0]
        self.meter.relays.set_control(relay, bool(state), user)

    def plan(self, shown: float) -> None:
        """When the first mode ends."""
        ends = [until for modes in self.modes for state, until in modes if state is not None]
        first = min(ends)
        self.due = math.ceil(first) if first < math.inf else math.inf

    def work(self, due: int) -> None:
        """A mode ends: the next one below rules."""
        for relay, modes in enumerate(self.modes, 1):
            before = self.mode(relay)
            for mode, (state, until) in enumerate(modes):
                if state is not None and until <= due:
                    modes[mode] = None, math.inf
            if self.mode(relay) != before:
                self._settle(relay, NO_USER)
                self.meter.log("relay_mode_changed", relay)
        self.plan(due)

    def refresh(self, number: int) -> None:
        """The modes in ET89, from firmware 4.50 on."""
        if number != ET89.number or number not in self.meter.image:
            return
        table: Any = self.meter.image.decode(ET89)
        if not table.relays:
            return
        for relay, (record, modes) in enumerate(zip(table.relays, self.modes), 1):
            record.op_mode = record.op_mode.with_(mode=self.mode(relay))
            for name, (state, until) in zip(_MODES, modes):
                left = min(_MOST_LEFT, max(0, math.ceil(until - self.meter.shown))) if until < math.inf else 0
                word = getattr(record, name).with_(
                    state=_UNKNOWN if state is None else int(state),
                    no_expire=int(state is not None and until == math.inf),
                    remaining=left if state is not None else 0,
                )
                setattr(record, name, word)
        self.meter.image.encode(table)

    def to_json(self) -> Any:
        """For a saved meter."""
        return [[[state, None if until == math.inf else until] for state, until in modes] for modes in self.modes]

    def restore(self, saved: Any) -> None:
        """The inverse of ``to_json``."""
        self.modes = [[(state, math.inf if until is None else until) for state, until in modes] for modes in saved]
        self.plan(self.meter.shown)
