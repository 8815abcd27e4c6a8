"""The event logs BT74 and ET79: one sequence of numbers, one log by default, the alternate one by choice of the event.

Which events go to ET79 where it exists is a project choice: those of power quality. Argument and user as in the guide (p. 242).
"""

from __future__ import annotations

import datetime as dt

from osgp.node.ring_log import RingLog
from osgp.tables.bt.bt71 import BT71
from osgp.tables.bt.bt74 import BT74
from osgp.tables.et.et54 import ET54
from osgp.tables.et.et79 import ET79
from osgp.tables.events import EVENTS, NO_USER
from osgp.tables.image import Image
from osgp.wire import LTime

__all__ = ["EventLog"]

_NUMBERS = {event.key: event.number for event in EVENTS.values()}
_ALTERNATE = frozenset(("voltage_sag", "voltage_surge", "thd_state_changed", "power_quality_changed", "phase_loss"))


class EventLog:
    """Writes events by our names for them (``osgp.tables.events``)."""

    def __init__(self, image: Image) -> None:
        sizes = image.context.table(BT71) if 71 in image or BT71 in image.context.raw else None
        self._argument_size = sizes.hist_data_length if sizes is not None else 2
        self.primary = RingLog(image, BT74, sizes.nbr_history_entries if sizes is not None else 0)
        alternate = 0
        if ET79.number in image:
            alternate = int(image.get(ET54, "et79_entry_count") or 0)
        self.alternate = RingLog(image, ET79, alternate)

    def record(self, key: str, at: dt.datetime, argument: int = 0, user: int = NO_USER) -> None:
        """An event at a moment of the meter's UTC clock. Raises KeyError for a name that does not exist."""
        number = _NUMBERS[key]
        log = self.alternate if key in _ALTERNATE and self.alternate.capacity else self.primary
        sequence = (max(self.primary.next_sequence, self.alternate.next_sequence)) & 0xFFFFFFFF
        moment = LTime.of(at)
        entry = bytes(moment) + (sequence & 0xFFFF).to_bytes(2, "little") + (user & 0xFFFF).to_bytes(2, "little")
        entry += int(BT74.Entries.HistoryCode(event_id=number)).to_bytes(2, "little")
        entry += (argument & 0xFFFF).to_bytes(2, "little")[: self._argument_size].ljust(self._argument_size, b"\0")
        log.append(entry, sequence)
