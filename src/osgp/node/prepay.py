"""Prepayment in the meter: credit, warning, emergency credit, and a load that opens when all is used (EP21).

Project choice over the meter user's guide's feature list (``spec/osgp-application.md`` 1.8, section 4). The meter looks once a minute
and takes, for each kWh of a tier, that tier's rate from the credit. At zero the load opens; the customer's button takes the emergency
credit, if there is any, and closes it. Below that it stays open until new credit has come, and then the button closes it, so that no
load comes back while nobody looks. What was used beyond zero stands in ET46 PREPAY_NEG_CREDIT (MEP guide p. 121).
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from osgp.node.disconnect import Contactor, Lock, Reason
from osgp.node.osgp_parts import Part, find
from osgp.node.osgp_tables import PREPAY, PrepayState
from osgp.tables.et.et46 import ET46
from osgp.tables.procedures.ep21 import EP21

if TYPE_CHECKING:
    from osgp.node.meter import Meter
    from osgp.node.server import Handler, Port

__all__ = ["Prepay", "State"]

_DONE, _INVALID, _TOO_LATE = 0, 2, 4
_CREDIT, _ON, _OFF = range(3)
_LOOK_S = 60
_TIERS = 8
_PER_KWH = 1000
_MOST = (1 << 31) - 1


class State(IntEnum):
    """How things stand."""

    OFF = 0
    IN_CREDIT = 1
    WARNING = 2
    EMERGENCY = 3
    EXHAUSTED = 4


class Prepay(Part):
    """Prepayment of one meter. The credit is kept in thousandths of a Wh, so that no rate loses anything."""

    name = "prepay"
    procedures = (EP21.number,)

    def __init__(self, meter: Meter) -> None:
        super().__init__(meter)
        self.enabled = False
        self.credit_mwh = 0
        self.emergency = 0
        self.warning = 0
        self.rates = [_PER_KWH] * _TIERS
        self.last: tuple[int, int] = (0, 0)
        self.accepted = False
        """The customer has taken the emergency credit."""
        self._told = State.OFF
        self._counts: list[int] = []
        meter.image.put(PREPAY, self._table())

    @property
    def credit(self) -> int:
        """Wh that are left, below 0 what was used beyond."""
        return self.credit_mwh // 1000

    @property
    def state(self) -> State:
        """What follows from the credit."""
        if not self.enabled:
            return State.OFF
        if self.credit_mwh > 0:
            return State.WARNING if self.credit < self.warning else State.IN_CREDIT
        if self.accepted and self.credit_mwh > -1000 * self.emergency:
            return State.EMERGENCY
        return State.EXHAUSTED

    @property
    def holds_open(self) -> bool:
        """Without credit the load stays off."""
        return self.state == State.EXHAUSTED

    def handlers(self) -> dict[int, Handler]:
        """EP21."""
        return {EP21.number: self._ep21}

    def _ep21(self, raw: bytes, port: Port, key: str, now: float) -> tuple[int, bytes]:
        asked = EP21.Parameters.decode(raw)
        meter = self.meter
        meter.advance(now)
        self._look()
        if asked.action == _CREDIT:
            return self._credit(asked.token, asked.amount, port), b""
        if asked.action not in (_ON, _OFF):
            return _INVALID, b""
        if asked.action == _ON:
            if asked.emergency is not None and asked.emergency > _MOST:
                return _INVALID, b""
            self.emergency = self.emergency if asked.emergency is None else asked.emergency
            self.warning = self.warning if asked.warning is None else asked.warning
            self.rates = list(asked.rates) if asked.rates is not None else self.rates
        self.enabled = asked.action == _ON
        self._counts = self._tiers()
        meter.log("prepay_set", int(self.enabled), user=port.event_user)
        self._settle()
        return _DONE, b""

    def _credit(self, token: int, amount: int, port: Port) -> int:
        if (token, amount) == self.last:
            return _DONE
        if token <= self.last[0]:
            return _TOO_LATE
        if not 0 < amount <= _MOST or self.credit + amount > _MOST:
            return _INVALID
        self.last = token, amount
        self.credit_mwh += 1000 * amount
        self.meter.log("prepay_credit_added", min(0xFFFF, amount // 1000), user=port.event_user)
        self._settle()
        return _DONE

    # ---- using it --------------------------------------------------------------------------------------------------
    def _tiers(self) -> list[int]:
        registers = self.meter.registers
        return [registers.tier_count(tier)[0] for tier in range(len(registers.tier_counts))]

    def _look(self) -> None:
        """Take what was used since the last look."""
        if not self.enabled:
            return
        counts = self._tiers()
        for tier, (before, now) in enumerate(zip(self._counts, counts)):
            self.credit_mwh -= (now - before) * self.rates[min(tier, _TIERS - 1)]
        self._counts = counts

    def _settle(self) -> None:
        """Let the load, the alarms and ET46 follow the credit."""
        meter, state = self.meter, self.state
        if self.credit_mwh > 0:
            self.accepted = False
        contactor = find(meter, Contactor)
        if state != self._told:
            self._told = state
            if state == State.WARNING:
                meter.log("prepay_warning")
            elif state == State.EMERGENCY:
                meter.log("prepay_emergency")
            elif state == State.EXHAUSTED:
                meter.log("prepay_exhausted")
                meter.alarm("mfg_status_2", "prepay_exhausted")
        if contactor is not None:
            if state == State.EXHAUSTED and meter.relays.disconnect_closed:
                contactor.open(Reason.PREPAY, Lock.BUTTON)
            elif state == State.OFF and contactor.reason == Reason.PREPAY and not meter.relays.disconnect_closed:
                contactor.lock = max(contactor.lock, Lock.BUTTON)
        if ET46.number in meter.image:
            table: Any = meter.image.decode(ET46)
            if table.prepay_neg_credit is not None:
                table.prepay_neg_credit = max(0, -self.credit) if self.enabled else 0
                meter.image.encode(table)
        self.plan(meter.shown)

    def button_pressed(self) -> None:
        """The button takes the emergency credit."""
        if self.state == State.EXHAUSTED and not self.accepted and self.emergency:
            self.accepted = True
            self._settle()

    def plan(self, shown: float) -> None:
        """Look once a minute while there is something to take."""
        watched = self.enabled and self.meter.relays.disconnect_closed
        self.due = (math.floor(shown) // _LOOK_S + 1) * _LOOK_S if watched else math.inf

    def work(self, due: int) -> None:
        """A minute is over."""
        before = self.credit_mwh
        self._look()
        if self.credit_mwh != before:
            self._settle()
        self.plan(due)

    def switched(self, closed: bool) -> None:
        """The load is off: nothing is taken."""
        self.plan(self.meter.shown)

    # ---- tables and state ------------------------------------------------------------------------------------------
    def refresh(self, number: int) -> None:
        """UT22 and ET46, with what was used up to now."""
        if number in (PREPAY, ET46.number):
            self._look()
            self._settle()
            self.meter.image.put(PREPAY, self._table())

    def _table(self) -> bytes:
        return PrepayState(
            enabled=int(self.enabled),
            credit=max(-_MOST, self.credit),
            emergency=self.emergency,
            warning=self.warning,
            last_token=self.last[0],
            state=self.state,
            rates=self.rates,
        ).encode()

    def to_json(self) -> Any:
        """For a saved meter."""
        return {
            "enabled": self.enabled,
            "credit_mwh": self.credit_mwh,
            "emergency": self.emergency,
            "warning": self.warning,
            "rates": self.rates,
            "last": list(self.last),
            "accepted": self.accepted,
            "told": int(self._told),
            "counts": self._counts,
        }

    def restore(self, saved: Any) -> None:
        """The inverse of ``to_json``."""
        self.enabled, self.credit_mwh = saved["enabled"], saved["credit_mwh"]
        self.emergency, self.warning, self.rates = saved["emergency"], saved["warning"], list(saved["rates"])
        self.last = saved["last"][0], saved["last"][1]
        self.accepted, self._told, self._counts = saved["accepted"], State(saved["told"]), list(saved["counts"])
        self.plan(self.meter.shown)
