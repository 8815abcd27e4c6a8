"""Clocks of devices: what to do about a drift. Policy of ``spec/osgp-application.md`` 3.11, a project choice.

Up to 5 s a clock is left alone. Up to 300 s it is moved gradually (procedure 2064, EP16): no interval of a load profile is cut. Beyond
that it is set (procedure 10), by unicast, and an event is noted: intervals around such a step are in doubt.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from osgp.node.device import Device
from osgp.tables.procedures.bp10 import BP10
from osgp.tables.procedures.ep16 import EP16
from osgp.tables.registry import procedure
from osgp.wire import LTime

__all__ = ["ClockAction", "ClockPolicy", "clock_action", "correct"]

_HALF_SECOND = 0.5
"""A device shows whole seconds: on average it is half a second further."""


@dataclass(frozen=True, slots=True)
class ClockPolicy:
    """Seconds of drift up to which nothing is done, and up to which a clock is moved gradually. ``answer_s``: how long an order takes
    to arrive, for a clock that is set."""

    leave_s: float = 5.0
    gradual_s: float = 300.0
    answer_s: float = 0.2


@dataclass(frozen=True, slots=True)
class ClockAction:
    """``kind``: "gradual" or "step". ``drift_s``: how far the device is ahead (negative: behind)."""

    kind: str
    drift_s: float


def drift_of(shown: dt.datetime, wall: float) -> float:
    """How far a device's clock is ahead, given what it showed when ours was ``wall`` (UTC seconds)."""
    return shown.timestamp() + _HALF_SECOND - wall


def clock_action(drift_s: float, policy: ClockPolicy) -> ClockAction | None:
    """What a drift asks for."""
    size = abs(drift_s)
    if size <= policy.leave_s:
        return None
    return ClockAction("gradual" if size <= policy.gradual_s else "step", drift_s)


async def correct(device: Device, action: ClockAction, wall: float, policy: ClockPolicy) -> None:
    """Carry it out; ``wall``: our clock now. Raises ResponseError for a device that refuses, and what the door raises."""
    if action.kind == "gradual":
        await device.run(EP16.number, delta=-round(action.drift_s))
        return
    moment = dt.datetime.fromtimestamp(round(wall + policy.answer_s), dt.UTC)
    declared = procedure(BP10.number)
    parameters = declared.Parameters(set_mask=3, date_time=LTime.of(moment), time_qual=0)
    await device.run(BP10.number, parameters.encode(device.context))
