"""Explaining bytes: a tree that says for every byte and bit which field it is, what it means and who says so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from osgp.wire.bits import BitField
from osgp.wire.errors import DecodeError
from osgp.wire.expr import Declared
from osgp.wire.fields import Spec
from osgp.wire.kinds import Kind

__all__ = ["ExplainNode", "Recorder", "describe"]


@dataclass(slots=True)
class ExplainNode:
    """One place in the bytes. ``offset``, ``size`` in bytes from the start; ``bit``, ``width`` for bit fields."""

    name: str
    orig: str = ""
    type: str = ""
    offset: int = 0
    size: int = 0
    bit: int | None = None
    width: int | None = None
    raw: bytes = b""
    value: Any = None
    text: str = ""
    unit: str = ""
    doc: str = ""
    source: str = ""
    status: str = ""
    error: str = ""
    children: list[ExplainNode] = field(default_factory=list)

    @property
    def bit_offset(self) -> int:
        """Offset in bits from the start of the bytes."""
        return 8 * self.offset + (self.bit or 0)

    def to_json(self) -> dict[str, Any]:
        """Plain data; empty entries are left out."""
        answer: dict[str, Any] = {"name": self.orig or self.name, "type": self.type}
        answer["bit_offset"] = self.bit_offset
        answer["bits"] = self.width if self.width is not None else 8 * self.size
        answer["offset"] = self.offset
        answer["size"] = self.size
        if self.raw:
            answer["raw"] = self.raw.hex()
        if self.value is not None:
            answer["value"] = self.value
        for key in ("text", "unit", "doc", "source", "status", "error"):
            if getattr(self, key):
                answer[key] = getattr(self, key)
        if self.children:
            answer["children"] = [child.to_json() for child in self.children]
        return answer

    def graft(self, name: str, inner: ExplainNode) -> None:
        """Hangs the tree of what a field carries below that field; offsets then count from here, too."""
        for child in self.children:
            if child.name == name:
                inner.shift(child.offset)
                child.children.append(inner)

    def shift(self, size: int) -> None:
        """Moves the tree by ``size`` bytes."""
        self.offset += size
        for child in self.children:
            child.shift(size)

    def walk(self, depth: int = 0) -> Iterator[tuple[int, ExplainNode]]:
        """(depth, node) from the root down."""
        yield depth, self
        for child in self.children:
            yield from child.walk(depth + 1)


def describe(spec: Spec | BitField, value: Any, kind: Kind | None = None) -> str:
    """A value as a person reads it: its declared meaning, or scaled with its unit."""
    if isinstance(value, int) and not isinstance(value, bool):
        label = spec.label(int(value))
        if label:
            return f"{int(value)}: {label}"
        if kind is not None and hasattr(kind, "bits"):
            return kind.text(value)
        if spec.scale != 1:
            digits = max(0, -_exponent(spec.scale))
            return f"{value * spec.scale:.{digits}f} {spec.unit}".strip()
        return f"{int(value)} {spec.unit}".strip() if kind is None or not hasattr(value, "name") else kind.text(value)
    return kind.text(value) if kind is not None else str(value)


def _exponent(scale: float) -> int:
    text = f"{scale:e}"
    mantissa, exponent = text.split("e")
    return int(exponent) - max(0, len(mantissa.rstrip("0").rstrip(".")) - 2)


class Recorder:
    """Collects what a walk reads and makes the tree of it."""

    def __init__(self, struct: Declared, data: bytes) -> None:
        self.data = data
        self.root = ExplainNode(struct.__name__, type="record", source=struct.about.source, status=struct.about.status)
        self.stack = [self.root]
        self.specs: list[Spec | None] = [None]

    def enter(self, spec: Spec, pos: int, number: int | None) -> None:
        index = "" if number is None else f"[{number}]"
        node = ExplainNode(
            f"{spec.name}{index}", f"{spec.orig}{index}", spec.type_name, pos, doc=spec.doc, source=spec.source
        )
        element = spec.elements.get(number) if number is not None else None
        if element is not None:
            node.doc = element.name
        self.stack[-1].children.append(node)
        self.stack.append(node)
        self.specs.append(spec)

    def leave(self, end: int, value: Any) -> None:
        node = self.stack.pop()
        spec = self.specs.pop()
        node.size = end - node.offset
        if spec is not None and len(node.children) == 1 and spec.kind is not None:
            only = node.children[0]
            only.name, only.orig = node.name, node.orig
            element = spec.elements.get(int(node.name.rsplit("[", 1)[1].rstrip("]"))) if spec.elements else None
            if element is not None:
                only.doc = element.name
                only.unit = element.unit
                if isinstance(value, int):
                    only.text = describe(Spec(unit=element.unit, scale=element.scale), value)
            parent = self.stack[-1]
            parent.children[parent.children.index(node)] = only

    def mark(self) -> tuple[int, int]:
        """A state to come back to."""
        return len(self.stack), len(self.stack[-1].children)

    def forget(self, mark: tuple[int, int]) -> None:
        """Drop what was recorded since ``mark``: it was begun but does not fit."""
        del self.stack[mark[0] :]
        del self.specs[mark[0] :]
        del self.stack[-1].children[mark[1] :]

    def rest(self, pos: int, end: int) -> None:
        """Bytes of an entry beyond its declared fields."""
        raw = self.data[pos:end]
        node = ExplainNode(
            "_rest", "", "binary", pos, end - pos, raw=raw, value=raw.hex(), doc="bytes beyond the declared ones"
        )
        self.stack[-1].children.append(node)

    def leaf(self, spec: Spec, kind: Kind, pos: int, size: int, value: Any) -> None:
        node = ExplainNode(
            spec.name,
            spec.orig,
            kind.name,
            pos,
            size,
            raw=self.data[pos : pos + size],
            value=kind.to_json(value) if not hasattr(kind, "bits") else int(value),
            text=describe(spec, value, kind),
            unit=spec.unit,
            doc=spec.doc,
            source=spec.source,
            status=spec.status,
        )
        fields: dict[str, BitField] = getattr(getattr(kind, "bits", None), "fields", {})
        for part in fields.values():
            number = part.__get__(value)
            node.children.append(
                ExplainNode(
                    part.name,
                    part.orig,
                    "bits",
                    pos,
                    size,
                    part.lsb,
                    part.width,
                    value=number,
                    text=describe(part, number),
                    unit=part.unit,
                    doc=part.doc,
                    source=part.source,
                    status=part.status,
                )
            )
        self.stack[-1].children.append(node)

    def finish(self, end: int, error: DecodeError | None) -> ExplainNode:
        for node in self.stack:
            node.size = max(node.size, len(self.data) - node.offset if node is self.root else node.size)
        if error is not None:
            self.root.error = str(error)
        elif end < len(self.data):
            rest = self.data[end:]
            self.root.children.append(
                ExplainNode(
                    "_rest",
                    "",
                    "binary",
                    end,
                    len(rest),
                    raw=rest,
                    value=rest.hex(),
                    doc="bytes beyond the declared ones",
                )
            )
        return self.root
