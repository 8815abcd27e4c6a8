"""Bytes of a table, read whole or in parts, explained: which field every byte and bit is, and who says so. Project choice.

Where only parts were read, the rest stands for itself as zeros while the layout is walked, and no field that lies in it, even partly,
is shown.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from osgp.tables.image import context_of
from osgp.tables.registry import find_table
from osgp.tables.table import PED_SIZE, PENDING, Table, table_name
from osgp.web.raw.models import Explained, HexByte, HexLine, Line, Read
from osgp.wire import layout_of
from osgp.wire.errors import Error
from osgp.wire.explain import ExplainNode

__all__ = ["PER_LINE", "WINDOW", "Explainer"]

WINDOW = 1024
"""Bytes on one page: a load profile of tens of kilobytes would be tens of thousands of lines."""
PER_LINE = 8
"""Bytes in one row of the dump: fits a phone."""
_LARGEST = 1 << 20
"""No table is longer: an offset beyond it is not believed."""
_UNREAD = "··"

Dimensions = tuple[tuple[int, bytes], ...]


class Explainer:
    """Explains reads, and remembers the trees of the last ones."""

    def __init__(self) -> None:
        self._tree = lru_cache(maxsize=64)(_tree)

    def explain(self, read: Read, dimensions: Mapping[int, bytes], start: int | None = None) -> Explained:
        """A window of what was read from byte ``start`` on, the first one that has something without it."""
        content, known = _assembled(read.parts)
        full_tree, error = self._tree(content, read.table, tuple(sorted(dimensions.items())), read.whole)
        is_partial = not read.whole or not all(known)
        tree = full_tree if full_tree is None or not is_partial else _cut(full_tree, _known_before(known))
        if is_partial and tree is not None:
            error = ""  # of a walk over bytes that nobody read
        size = len(content)
        starts = tuple(place for place in range(0, size, WINDOW) if any(known[place : place + WINDOW]))
        wanted = max(0, min(starts[0] if start is None and starts else start or 0, size - 1))
        first = wanted // WINDOW * WINDOW
        end = min(size, first + WINDOW)
        declared = find_table(read.table)
        return Explained(
            read.table,
            table_name(read.table),
            declared.title if declared is not None else "",
            declared.role if declared is not None else "",
            declared.about.source if declared is not None else "",
            _doubt(declared.about.status) if declared is not None else "",
            size,
            sum(known),
            first,
            end,
            read.time,
            read.wall,
            read.door,
            read.number,
            error,
            starts,
            tuple(_dump(content, known, first, end)),
            tuple(_lines(tree, first, end)) if tree is not None else (),
            tree,
        )


def _assembled(parts: Sequence[tuple[int, bytes]]) -> tuple[bytes, bytes]:
    """(the bytes, zeros between what was read; for each of them 1 if it was read)."""
    believed = [(offset, part) for offset, part in parts if offset >= 0 and offset + len(part) <= _LARGEST]
    size = max((offset + len(part) for offset, part in believed), default=0)
    content, known = bytearray(size), bytearray(size)
    for offset, part in believed:
        content[offset : offset + len(part)] = part
        known[offset : offset + len(part)] = b"\1" * len(part)
    return bytes(content), bytes(known)


def _known_before(known: bytes) -> list[int]:
    """How many bytes before each place were read."""
    counts = [0]
    for each in known:
        counts.append(counts[-1] + each)
    return counts


def _cut(node: ExplainNode, counts: list[int]) -> ExplainNode:
    """The tree without fields of which a byte was not read; what holds others stays if one of them does."""
    children = [
        _cut(each, counts)
        for each in node.children
        if (_is_read(each, counts) if not each.children else _some(each, counts))
    ]
    if _is_read(node, counts):
        return dataclasses.replace(node, children=children)
    return dataclasses.replace(node, children=children, raw=b"", value=None, text="", error="")


def _read_of(node: ExplainNode, counts: list[int]) -> int:
    last = len(counts) - 1
    return counts[min(last, node.offset + node.size)] - counts[min(last, node.offset)]


def _is_read(node: ExplainNode, counts: list[int]) -> bool:
    return node.offset < len(counts) - 1 and _read_of(node, counts) == node.size


def _some(node: ExplainNode, counts: list[int]) -> bool:
    return _read_of(node, counts) > 0


def _tree(content: bytes, table: int, dimensions: Dimensions, whole: bool) -> tuple[ExplainNode | None, str]:
    """The fields, and what is wrong; what was not read whole is filled up to the size of the table, if that is known."""
    declared: type[Table] | None = find_table(table)
    if declared is None:
        return None, f"no layout is declared for {table_name(table)}"
    body = content[PED_SIZE:] if table & PENDING else content
    try:
        layout = layout_of(declared, context_of(dict(dimensions)))
        tree = layout.explain(body if whole else body.ljust(layout.size or 0, b"\0"))
    except Error as error:
        return None, error.message
    if table & PENDING:
        _shift(tree, PED_SIZE)
    return tree, tree.error


def _shift(node: ExplainNode, by: int) -> None:
    """Move a tree behind the description of a pending table."""
    for _, each in node.walk():
        each.offset += by


def _dump(content: bytes, known: bytes, start: int, end: int) -> Iterator[HexLine]:
    """Rows in which something was read."""
    for offset in range(start, end, PER_LINE):
        last = min(offset + PER_LINE, end)
        if any(known[offset:last]):
            yield HexLine(offset, tuple(_byte(content, known, at) for at in range(offset, last)))


def _byte(content: bytes, known: bytes, at: int) -> HexByte:
    if not known[at]:
        return HexByte(at, _UNREAD, " ")
    byte = content[at]
    return HexByte(at, f"{byte:02X}", chr(byte) if 0x20 <= byte < 0x7F else "·")


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
