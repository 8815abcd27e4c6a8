"""Recurring reads: ET45, and ET74 in front of it where it has entries (MEP guide p. 28, 176).

An entry for ET45 goes to ET74 first and from there, oldest first, to ET45 as soon as that has an entry that is read or was never
used. Where ET74 is full too, its oldest entry is lost. Without ET74 the ring of ET45 itself goes round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from osgp.node.ring_log import RingLog
from osgp.tables.et.et36 import ET36
from osgp.tables.et.et45 import ET45
from osgp.tables.et.et54 import ET54
from osgp.tables.et.et74 import ET74

if TYPE_CHECKING:
    from osgp.tables.image import Image

__all__ = ["RecurringLog"]


class RecurringLog:
    """Both logs of one meter, sized as ET36 and ET54 say now."""

    def __init__(self, image: Image) -> None:
        entries = image.decode(ET36).logs[4].current_entries if ET36.number in image else 0
        more = int(image.get(ET54, "et74_entry_count") or 0) if ET74.number in image else 0
        self.log = RingLog(image, ET45, entries)
        self.extension = RingLog(image, ET74, more)

    def append(self, entry: bytes) -> None:
        """A recurring read."""
        if not self.extension.capacity:
            self.log.append(entry)
            return
        self.extension.append(entry)
        self._move()

    def mark_read(self, count: int) -> None:
        """The reader has taken ``count`` entries of ET45 (EP26): there is room again."""
        self.log.mark_read(count)
        self._move()

    def _move(self) -> None:
        while self.extension.get("nbr_unread_entries") and self.log.get("nbr_unread_entries") < self.log.capacity:
            self.log.append(self.extension.oldest_unread())
            self.extension.mark_read(1)
