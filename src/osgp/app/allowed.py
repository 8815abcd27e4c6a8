"""What a secured broadcast may order: a short list, because whoever breaks one device has the key of all (3.6).

A **project choice**: code packets, a clock step of at most 60 s once a day, the control relays where the device allows it and
randomises them, one-time reads (ET19, ET20: our reading of "group-scheduled reads"), activation of a pending table.
"""

from __future__ import annotations

import datetime as dt
from typing import Literal

from osgp.app.critical import FULL_WRITE, PART_WRITE, Order, procedure_of
from osgp.tables.procedures.bp10 import BP10
from osgp.tables.table import extended
from osgp.wire.errors import DecodeError

__all__ = ["Command", "command_of"]

Command = Literal["code", "clock", "relay", "reads", "activate", ""]
"""What a broadcast orders; empty: nothing that may come by broadcast."""

SET_CLOCK, ACTIVATE_SPECIFIC = 10, 13
EP02, EP09, EP16 = extended(2), extended(9), extended(16)
READ_QUEUES = (extended(19), extended(20))
CONTROL_RELAYS = (1, 2)


def command_of(plaintext: bytes, clock: dt.datetime, step_s: int) -> Command:
    """The command of a broadcast, if it is on the list. ``clock``: the device's UTC; ``step_s``: largest clock step."""
    order = procedure_of(plaintext)
    if order is None:
        return "reads" if _queues_reads(plaintext) else ""
    if len(plaintext) != 5 + (plaintext[3] << 8 | plaintext[4]):
        return ""
    number, parameters = order.number, order.parameters
    if number == EP09:
        return "code"
    if number == EP16 and 1 <= len(parameters) <= 4:
        return "clock" if abs(int.from_bytes(parameters, "little", signed=True)) <= step_s else ""
    if number == SET_CLOCK:
        return "clock" if _sets_near(order, clock, step_s) else ""
    if number == EP02 and len(parameters) >= 2 and parameters[0] in CONTROL_RELAYS:
        return "relay"
    return "activate" if number == ACTIVATE_SPECIFIC else ""


def _queues_reads(plaintext: bytes) -> bool:
    if len(plaintext) < 5 or plaintext[0] not in (FULL_WRITE, PART_WRITE):
        return False
    return (plaintext[1] << 8 | plaintext[2]) in READ_QUEUES


def _sets_near(order: Order, clock: dt.datetime, step_s: int) -> bool:
    """Whether procedure 10 sets date and time to within ``step_s`` of the device's clock."""
    try:
        asked = BP10.Parameters.decode(order.parameters)
    except DecodeError:
        return False
    moment = asked.date_time.datetime()
    if moment is None or not (asked.set_mask.set_time and asked.set_mask.set_date):
        return False
    return abs((moment - clock).total_seconds()) <= step_s
