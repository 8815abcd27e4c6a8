"""Pending tables: changes that wait for their moment (optical guide p. 8–12).

A pending table is number + 4096, carries a 6-byte pending event description (PED) before its data, and replaces its table
when the event comes: at an absolute UTC time, after a relative time, or by BP12/BP13. BP14/BP15 clear. All-zero PED: empty.
Procedure numbers per ANSI C12.19 (unverified); the layout of BP12–BP14 follows BP15's (project choice).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from osgp.tables.bt.bt04 import BT04
from osgp.tables.image import Image
from osgp.tables.table import EXTENDED, PED_SIZE, PENDING
from osgp.wire import STime, layout_of
from osgp.wire.errors import Error

__all__ = ["ABSOLUTE", "BY_PROCEDURE", "RELATIVE", "PendingTable", "PendingTables"]

ABSOLUTE, RELATIVE, BY_PROCEDURE = 0, 1, 2


@dataclass(slots=True)
class PendingTable:
    """One pending table: its PED, its data, and the moment (UTC) it becomes active, None without one."""

    number: int
    ped: bytes = bytes(PED_SIZE)
    data: bytearray = field(default_factory=bytearray)
    due: dt.datetime | None = None

    @property
    def empty(self) -> bool:
        return not any(self.ped)

    @property
    def code(self) -> int:
        """Event code: 0 absolute, 1 relative, 2 none."""
        return self.ped[0] & 0x0F

    @property
    def self_read(self) -> bool:
        return bool(self.ped[0] & 0x10)

    @property
    def demand_reset(self) -> bool:
        return bool(self.ped[0] & 0x20)


def due_time(ped: bytes, now: dt.datetime) -> dt.datetime | None:
    """The moment a PED names, from the moment it was written (relative ones count from there)."""
    code = ped[0] & 0x0F
    if not any(ped) or code == BY_PROCEDURE:
        return None
    if code == ABSOLUTE:
        return STime(*ped[1:6]).datetime()
    if code == RELATIVE:
        weeks, days, hours, minutes, seconds = ped[1:6]
        return now + dt.timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    return None


class PendingTables:
    """The pending tables of one device over its image. ``numbers``: tables that can be pending (at most BT00.NBR_PENDING)."""

    def __init__(self, image: Image, numbers: tuple[int, ...]) -> None:
        self.image = image
        self.tables = {number: PendingTable(number) for number in numbers}
        self.last_activation = STime()
        self._mirror()

    def __contains__(self, number: int) -> bool:
        return (number & ~PENDING) in self.tables

    def read(self, number: int) -> bytes:
        """PED and data. While nothing is pending the data mirror the active table."""
        one = self.tables[number & ~PENDING]
        data = bytes(one.data) if one.data else self.image.read(one.number)
        return one.ped + data

    def read_part(self, number: int, offset: int, count: int) -> bytes:
        """PED and ``count`` - 6 bytes of data from ``offset``: counts include the PED, offsets do not (optical guide p. 9)."""
        whole = self.read(number)
        data = whole[PED_SIZE + offset : offset + count].ljust(max(0, count - PED_SIZE), b"\0")
        return (whole[:PED_SIZE] + data)[:count]

    def write(self, number: int, offset: int, content: bytes, now: dt.datetime) -> None:
        """PED and data from ``offset``. Starts the wait; what is not written keeps the active table's bytes."""
        one = self.tables[number & ~PENDING]
        if not one.data:
            one.data = bytearray(self.image.read(one.number))
        ped, data = content[:PED_SIZE].ljust(PED_SIZE, b"\0"), content[PED_SIZE:]
        room = max(0, len(one.data) - offset)
        one.data[offset : offset + min(room, len(data))] = data[:room]
        one.ped = ped
        one.due = due_time(ped, now)
        self._mirror()

    def due(self, now: dt.datetime) -> list[PendingTable]:
        """The tables whose moment has come."""
        return [one for one in self.tables.values() if not one.empty and one.due is not None and one.due <= now]

    def matching(self, ped: bytes | None = None) -> list[PendingTable]:
        """Pending tables, all or those with this PED."""
        return [one for one in self.tables.values() if not one.empty and (ped is None or one.ped == ped)]

    def activate(self, one: PendingTable, now: dt.datetime) -> None:
        """Copy the data to the active table and clear the PED."""
        self.image.write(one.number, bytes(one.data))
        self.last_activation = STime.of(now)
        self.clear(one)

    def clear(self, one: PendingTable) -> None:
        """Forget what was pending; the active table does not change."""
        one.ped = bytes(PED_SIZE)
        one.data = bytearray()
        one.due = None
        self._mirror()

    def next_due(self) -> dt.datetime | None:
        """The earliest moment that something becomes active."""
        return min((one.due for one in self.tables.values() if one.due is not None), default=None)

    def _mirror(self) -> None:
        """Keep BT04 true."""
        if 0 not in self.image or 4 not in self.image:
            return
        try:
            status = layout_of(BT04, self.image.context).zero()
        except Error:
            return
        basic, more = bytearray(status.basic_pending), bytearray(status.extended_pending)
        waiting = self.matching()
        for number in self.tables:
            bits, index = (more, number - EXTENDED) if number >= EXTENDED else (basic, number)
            if index // 8 < len(bits):
                bits[index // 8] |= 1 << index % 8
        status.basic_pending, status.extended_pending = bytes(basic), bytes(more)
        status.last_activation = self.last_activation
        status.nbr_activations = len(waiting)
        for record, one in zip(status.activations, waiting):
            record.event = BT04.Activations.Event(one.ped[0])
            record.event_storage = one.ped[1:]
            record.table = BT04.Activations.Table(one.number & 0xFFF, still_pending=1)
        self.image.encode(status)

    def to_json(self) -> dict[str, Any]:
        """For a saved device."""
        return {
            str(one.number): {
                "ped": one.ped.hex(),
                "data": bytes(one.data).hex(),
                "due": one.due.isoformat() if one.due else None,
            }
            for one in self.tables.values()
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """The inverse of ``to_json``."""
        for number, entry in saved.items():
            one = self.tables.get(int(number))
            if one is not None:
                one.ped = bytes.fromhex(entry["ped"])
                one.data = bytearray.fromhex(entry["data"])
                one.due = dt.datetime.fromisoformat(entry["due"]) if entry["due"] else None
        self._mirror()
