"""A stored table, explained: which field every byte and bit is, and who says so."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from osgp.headend.store import DeviceRecord, RawRecord, Store
from osgp.tables.image import context_of
from osgp.tables.registry import find_table
from osgp.tables.table import PED_SIZE, PENDING, Table, table_name
from osgp.web.device.service import DeviceService
from osgp.web.errors import Problem
from osgp.web.raw.models import Explained, HexByte, HexLine, Line
from osgp.wire import layout_of
from osgp.wire.errors import Error
from osgp.wire.explain import ExplainNode

__all__ = ["PER_LINE", "WINDOW", "RawService"]

WINDOW = 1024
"""Bytes on one page: a load profile of tens of kilobytes would be tens of thousands of lines."""
PER_LINE = 8
"""Bytes in one row of the dump: fits a phone."""


class RawService:
    """Explains what was read. Raises Problem (404) for what was not."""

    def __init__(self, store: Store, devices: DeviceService) -> None:
        self.store = store
        self.devices = devices
        self._tree = lru_cache(maxsize=64)(self._explained)

    def reads(self, device: DeviceRecord, table: int) -> list[RawRecord]:
        """Whole reads of a table, newest first."""
        return [each for each in self.store.raw(device.name, table, last=30) if each.whole]

    def explain(self, number: int, table: int, start: int = 0, read: int | None = None) -> Explained:
        """A window of a table of device ``number`` from byte ``start``. ``read``: which one (default: the newest)."""
        device = self.devices.device(number)
        reads = self.reads(device, table)
        chosen = next((each for each in reads if read is None or each.id == read), None)
        if chosen is None:
            which = table_name(table) if 0 <= table < 2 * PENDING else f"table {table}"
            raise Problem(
                404,
                "no_such_read",
                f"{device.name} has no whole read of {which}"
                + (f" with the number {read}" if read is not None else ""),
                hint="the device page lists the tables that were read",
            )
        size = len(chosen.content)
        start = max(0, min(start, size - 1)) // WINDOW * WINDOW if size else 0
        end = min(size, start + WINDOW)
        declared = find_table(table)
        tree, error = self._tree(chosen.content, table, tuple(sorted(device.dimensions.items())))
        return Explained(
            table,
            table_name(table),
            declared.title if declared is not None else "",
            declared.role if declared is not None else "",
            declared.about.source if declared is not None else "",
            _doubt(declared.about.status) if declared is not None else "",
            size,
            start,
            end,
            chosen.time,
            chosen.wall,
            chosen.door,
            chosen.id,
            error,
            tuple(_dump(chosen.content, start, end)),
            tuple(_lines(tree, start, end)) if tree is not None else (),
            tree,
        )

    def _explained(
        self, content: bytes, table: int, dimensions: tuple[tuple[int, bytes], ...]
    ) -> tuple[ExplainNode | None, str]:
        declared: type[Table] | None = find_table(table)
        if declared is None:
            return None, f"no layout is declared for {table_name(table)}"
        body = content[PED_SIZE:] if table & PENDING else content
        try:
            tree = layout_of(declared, context_of(dict(dimensions))).explain(body)
        except Error as error:
            return None, error.message
        if table & PENDING:
            _shift(tree, PED_SIZE)
        return tree, tree.error


def _shift(node: ExplainNode, by: int) -> None:
    """Move a tree behind the description of a pending table."""
    for _, each in node.walk():
        each.offset += by


def _dump(content: bytes, start: int, end: int) -> Iterator[HexLine]:
    for offset in range(start, end, PER_LINE):
        part = content[offset : min(offset + PER_LINE, end)]
        yield HexLine(
            offset,
            tuple(
                HexByte(offset + at, f"{byte:02X}", chr(byte) if 0x20 <= byte < 0x7F else "·")
                for at, byte in enumerate(part)
            ),
        )


def _doubt(status: str) -> str:
    return "" if status in ("", "verified") else status


def _lines(root: ExplainNode, start: int, end: int) -> Iterator[Line]:
    """Fields that touch the window, from the top down. A field says its source where it differs from the one around it."""

    def below(node: ExplainNode, depth: int, source: str) -> Iterator[Line]:
        for child in node.children:
            if child.offset >= end or (child.offset + max(child.size, 1)) <= start:
                continue
            bits = ""
            if child.bit is not None:
                last = child.bit + (child.width or 1) - 1
                bits = str(child.bit) if last == child.bit else f"{child.bit}–{last}"
            yield Line(depth, child, not child.children, child.source or source, _doubt(child.status), bits)
            yield from below(child, depth + 1, child.source or source)

    yield from below(root, 0, root.source)
