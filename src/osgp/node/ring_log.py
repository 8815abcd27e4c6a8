"""Circular logs in table bytes: BT26, BT74, ET31, ET41, ET45, ET79, ET81 share one form of header and ring.

The header counts valid and unread entries, names the element of the newest entry and its sequence number; the ring
overwrites the oldest. Where each number stands is asked of the declarations, so that a layout is told only once.
"""

from __future__ import annotations

from osgp.tables.image import Image
from osgp.tables.table import Table
from osgp.wire import layout_of
from osgp.wire.layout import Span

__all__ = ["RingLog"]

_NAMES = ("nbr_valid_entries", "last_entry_element", "last_entry_seq_nbr", "nbr_unread_entries")


class RingLog:
    """One log of an image. Made anew when dimensions change. ``capacity`` 0: the log is off and keeps nothing."""

    def __init__(self, image: Image, declared: type[Table], capacity: int) -> None:
        self.image = image
        self.number = declared.number
        self.declared = declared
        present = declared.number in image
        self.capacity = capacity if present else 0
        if not present:
            return
        layout = layout_of(declared, image.context)
        self._spans: dict[str, Span] = {name: layout.span(name) for name in _NAMES}
        flags = next(iter(declared.specs))
        self._flags = layout.span(flags).offset
        if self.capacity:
            first = layout.span("entries[0]")
            self._start, self._size = first.offset, first.size
            if self.capacity > 1:
                self._size = layout.span("entries[1]").offset - self._start
            self._set(self._flags, 1, self._get(self._flags, 1) | 0x04)

    def _get(self, offset: int, size: int) -> int:
        return int.from_bytes(self.image.read_part(self.number, offset, size), "little")

    def _set(self, offset: int, size: int, value: int) -> None:
        self.image.write_part(self.number, offset, (value & (1 << 8 * size) - 1).to_bytes(size, "little"))

    def get(self, name: str) -> int:
        """A number of the header by its declared name; 0 for a log that is not there."""
        span = self._spans.get(name) if self.capacity else None
        return self._get(span.offset, span.size) if span else 0

    def put(self, name: str, value: int) -> None:
        """Change a number of the header."""
        span = self._spans[name]
        self._set(span.offset, span.size, value)

    @property
    def next_sequence(self) -> int:
        """The sequence number that the next entry gets."""
        return self.get("last_entry_seq_nbr") + 1

    def append(self, entry: bytes, sequence: int | None = None) -> None:
        """A new entry; the oldest makes room."""
        if not self.capacity:
            return
        valid = self.get("nbr_valid_entries")
        element = (self.get("last_entry_element") + 1) % self.capacity if valid else 0
        self.image.write_part(
            self.number, self._start + element * self._size, entry[: self._size].ljust(self._size, b"\0")
        )
        unread = self.get("nbr_unread_entries") + 1
        if unread > self.capacity:
            unread = self.capacity
            self._set(self._flags, 1, self._get(self._flags, 1) | 0x02)
        self.put("last_entry_seq_nbr", self.next_sequence if sequence is None else sequence)
        self.put("nbr_valid_entries", min(valid + 1, self.capacity))
        self.put("last_entry_element", element)
        self.put("nbr_unread_entries", unread)

    def oldest_unread(self) -> bytes:
        """The entry that has waited longest; empty if none is unread."""
        unread = self.get("nbr_unread_entries")
        if not unread:
            return b""
        element = (self.get("last_entry_element") - unread + 1) % self.capacity
        return self.image.read_part(self.number, self._start + element * self._size, self._size)

    def reset(self) -> None:
        """Forget all entries; the sequence number goes on."""
        if self.capacity:
            for name in ("nbr_valid_entries", "last_entry_element", "nbr_unread_entries"):
                self.put(name, 0)
            self.clear_overflow()

    def mark_read(self, count: int) -> None:
        """The reader has taken ``count`` entries."""
        if self.capacity:
            self.put("nbr_unread_entries", max(0, self.get("nbr_unread_entries") - count))
            self.clear_overflow()

    def clear_overflow(self) -> None:
        """Nothing unread was lost any more."""
        self._set(self._flags, 1, self._get(self._flags, 1) & ~0x02)
