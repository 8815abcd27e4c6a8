"""A declaration traced with what a few bits say: a plan, in which every field has its place or is absent.

The plan is what ``special`` turns into code. A trace takes the same way through the nodes as the walk; where it needs an
integer that the bytes decide, it asks for the bits (``Undecided``) until its caller knows them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from osgp.wire.errors import DecodeError
from osgp.wire.expr import (
    ENV_ROOT,
    INDEX_ROOT,
    OUTER_ROOT,
    Declared,
    Expr,
    Ref,
    Unresolved,
    evaluate,
    follow,
    references,
)
from osgp.wire.fast import Misfit, Unfit
from osgp.wire.fields import MANY, Field
from osgp.wire.kinds import BinaryKind, BitsKind, IntKind
from osgp.wire.nodes import ArrayNode, LeafNode, Node, PrefixNode, RecordNode, Run, UnionNode

__all__ = ["Amount", "Part", "Place", "Plan", "Source", "Trace", "Undecided"]

_FEW_BITS = 4
"""A size that so many bits decide makes forms of its own; one of more bits stays arithmetic."""
_AHEAD_BITS = 16
"""Bits that a choice looks at beyond those it needs at once."""


class Place(NamedTuple):
    """Where something begins: ``shift`` bytes behind the start (base "") or behind a variable of the generated code."""

    base: str = ""
    shift: int = 0

    def plus(self, size: int) -> Place:
        return Place(self.base, self.shift + size)

    def __str__(self) -> str:
        if not self.base:
            return str(self.shift)
        return f"{self.base}{self.shift:+d}" if self.shift else self.base


@dataclass(slots=True, eq=False)
class Source:
    """An integer in the bytes that decides something: its node, its place, the attributes that lead to it."""

    node: LeafNode
    place: Place
    path: tuple[str, ...]

    @property
    def size(self) -> int:
        return self.node.size or 0

    @property
    def full(self) -> int:
        return (1 << 8 * self.size) - 1

    def read(self, data: bytes) -> Any:
        """Its value in bytes. Raises Misfit beyond their end."""
        raw = data[self.place.shift : self.place.shift + self.size]
        if len(raw) != self.size:
            raise Misfit
        return self.node.unpack(raw)

    def held(self, value: Any) -> Any:
        """Its value in an object. Raises Misfit for one that its bytes cannot hold: its key is that of another."""
        for name in self.path:
            value = getattr(value, name)
        lowest = -(self.full + 1) // 2 if getattr(self.node.kind, "signed", False) else 0
        if not lowest <= value <= self.full + lowest:
            raise Misfit
        return value


@dataclass(slots=True, eq=False)
class Amount:
    """A number of bytes: a number, or an expression over sources that are read before."""

    value: Any
    sources: dict[int, tuple[Source | None, tuple[Any, ...]]] = field(default_factory=dict)
    """By identity of the reference: the source and the path behind it; None: what ``fixed`` holds."""
    fixed: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Part:
    """One field in a plan.

    ``shape``: absent, leaf (of fixed size), sized, most, open, prefix, array, record, nothing (a union without a case).
    ``guard``: bytes may end before it, so that it is there only if they do not.
    """

    name: str
    shape: str
    node: Any
    place: Place
    size: int | None = None
    guard: bool = False
    amount: Amount | None = None
    count: int = 0
    stride: int | None = None
    children: list[Part] = field(default_factory=list)
    record: RecordNode | None = None
    after: Place = field(default_factory=Place)
    placed: dict[str, Any] = field(default_factory=dict)

    def walk(self) -> Iterator[Part]:
        """This part and those inside it."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(slots=True, eq=False)
class Plan:
    """A traced record, and where it ends."""

    root: Part
    end: Place
    absent: list[tuple[str, ...]]
    """Fields that are absent and were asked for: they count as 0, so an object to be written must not hold them."""


class Undecided(Exception):
    """The trace needs these bits: source and mask."""

    def __init__(self, needed: list[tuple[Source, int]]) -> None:
        super().__init__(needed)
        self.needed = needed


@dataclass(slots=True, eq=False)
class _Absent:
    """A field that is not there."""

    path: tuple[str, ...]


_OPAQUE = object()
"""A decoded value that the trace cannot follow references into."""


class Trace:
    """One way through a record, with the bits in ``covered`` known through ``value_of``."""

    def __init__(
        self, root: RecordNode, run: Run, covered: dict[tuple[str, ...], int], value_of: Callable[[Source], Any]
    ) -> None:
        self.root = root
        self.run_outside = run
        self.covered = covered
        self.value_of = value_of
        self.scopes: list[tuple[Declared, dict[str, Any]]] = []
        self.outcomes: list[int] = []
        self.absent: list[tuple[str, ...]] = []
        self.place = Place()
        self.bases = 0

    def run(self) -> Plan:
        """The plan. Raises Undecided, Unfit."""
        part = self.record("", self.root, ())
        return Plan(part, self.place, self.absent)

    # -- what decides

    def looks(self, ref: Ref) -> tuple[Source | int, int, tuple[Any, ...]]:
        """(source, mask, path behind the source) of a reference; (number, 0, ()) if no bytes are looked at."""
        root, path = ref._root, ref._path
        if any(isinstance(part, Expr) for part in path):
            raise Unfit
        if root is ENV_ROOT or (not isinstance(root, Field) and root is not OUTER_ROOT and root is not INDEX_ROOT):
            try:
                return self.run_outside.resolve(ref), 0, ()
            except (DecodeError, Unresolved) as error:
                raise Unfit from error
        if root is INDEX_ROOT:
            raise Unfit
        name = root._spec.name if isinstance(root, Field) else path[0]
        for struct, placed in reversed(self.scopes):
            if name in struct.declared if root is OUTER_ROOT else struct.declared.get(name) is root:
                found = placed.get(name, _OPAQUE)
                break
        else:
            raise Unfit
        if root is OUTER_ROOT:
            path = path[1:]
        while isinstance(found, dict) and path:
            found = found.get(path[0], _OPAQUE)
            path = path[1:]
        if isinstance(found, _Absent):
            if found.path not in self.absent:
                self.absent.append(found.path)
            return 0, 0, ()
        if not isinstance(found, Source):
            raise Unfit
        if not path:
            return found, found.full, ()
        kind = found.node.kind
        if len(path) == 1 and isinstance(kind, BitsKind) and path[0] in getattr(kind.bits, "fields", {}):
            return found, kind.bits.fields[path[0]].mask, path
        raise Unfit

    def needs(self, value: Expr) -> list[tuple[Source, int]]:
        """The bits that an expression looks at."""
        looked = [self.looks(ref) for ref in references(value)]
        return [(source, mask) for source, mask, _ in looked if isinstance(source, Source)]

    def known(self, needed: list[tuple[Source, int]]) -> bool:
        return all(not mask & ~self.covered.get(source.path, 0) for source, mask in needed)

    def decide(self, value: Any) -> int:
        """The number behind a number or an expression, from bits that are known."""
        if not isinstance(value, Expr):
            return int(value)
        needed = self.needs(value)
        if not self.known(needed):
            raise Undecided(needed)
        outcome = evaluate(value, self)
        self.outcomes.append(outcome)
        return outcome

    def resolve(self, ref: Ref) -> int:
        source, _, path = self.looks(ref)
        return source if isinstance(source, int) else follow(self.value_of(source), path, self, ref)

    def amount(self, value: Any) -> int | Amount:
        """A size: decided if few bits say it, else an expression for the code."""
        if not isinstance(value, Expr):
            return max(0, int(value))
        needed = self.needs(value)
        if self.known(needed) or sum(mask.bit_count() for _, mask in needed) <= _FEW_BITS:
            return max(0, self.decide(value))
        amount = Amount(value)
        for ref in references(value):
            source, _, path = self.looks(ref)
            if isinstance(source, Source):
                amount.sources[id(ref)] = (source, path)
            else:
                amount.fixed[id(ref)] = source
        return amount

    def ahead(self) -> list[tuple[Source, int]]:
        """The bits of placed sources that any expression of the record looks at: one look instead of several."""
        found: list[tuple[Source, int]] = []
        budget = _AHEAD_BITS
        for value in _expressions(self.root):
            try:
                needed = self.needs(value)
            except Unfit:
                continue
            size = sum(mask.bit_count() for _, mask in needed)
            if size <= 8 and size <= budget and not any(source.place.base for source, _ in needed):
                budget -= size
                found += needed
        return found

    # -- the parts

    def record(self, name: str, node: RecordNode, path: tuple[str, ...]) -> Part:
        if node.index is not None and not isinstance(node.index, int):
            raise Unfit
        placed: dict[str, Any] = {}
        part = Part(name, "record", node, self.place, record=node, placed=placed)
        start = self.place
        self.scopes.append((node.struct, placed))
        for number, (inner, member, when) in enumerate(node.members):
            if member is None or (when is not None and not self.decide(when)):
                placed[inner] = _Absent((*path, inner))
                part.children.append(Part(inner, "absent", member, self.place))
                continue
            child = self.member(inner, member, (*path, inner), placed)
            child.guard = number >= node.tail
            part.children.append(child)
        self.scopes.pop()
        part.after = self.place
        if start.base == self.place.base:
            part.size = self.place.shift - start.shift
        return part

    def member(self, name: str, node: Node, path: tuple[str, ...], placed: dict[str, Any]) -> Part:
        placed[name] = _OPAQUE
        start = self.place
        if isinstance(node, LeafNode):
            part = self.leaf(name, node)
            if part.shape == "leaf" and isinstance(node.kind, IntKind) and node.size is not None:
                placed[name] = Source(node, start, path)
        elif isinstance(node, RecordNode):
            part = self.record(name, node, path)
            placed[name] = part.placed
        elif isinstance(node, UnionNode):
            chosen = next((case for when, case in node.cases if self.decide(when)), None)
            if chosen is None:
                part = Part(name, "nothing", node, start, 0)
                placed[name] = _Absent(path)
            else:
                part = self.record(name, chosen, path)
                part.node = node
                placed[name] = part.placed
        elif isinstance(node, PrefixNode):
            part = self.prefix(name, node)
        elif isinstance(node, ArrayNode):
            part = self.array(name, node)
        else:
            raise Unfit
        part.after = self.place
        return part

    def leaf(self, name: str, node: LeafNode) -> Part:
        start = self.place
        if node.size is not None:
            self.place = start.plus(node.size)
            return Part(name, "leaf", node, start, node.size)
        if node.length is None:
            self.place = Place("n", -node.spec.leave)
            return Part(name, "open", node, start)
        size = self.amount(node.length)
        if node.at_most or isinstance(size, Amount):
            if isinstance(size, Amount) and type(node.kind) is not BinaryKind:
                raise Unfit
            self.bases += 1
            self.place = Place(f"p{self.bases}")
            shape = "most" if node.at_most else "sized"
            return Part(name, shape, node, start, amount=size if isinstance(size, Amount) else Amount(size))
        self.place = start.plus(size)
        return Part(name, "leaf", node, start, size)

    def prefix(self, name: str, node: PrefixNode) -> Part:
        inner = node.inner
        if not isinstance(inner, LeafNode) or inner.size is not None or inner.length is not None or inner.spec.leave:
            raise Unfit
        start = self.place
        self.bases += 1
        self.place = Place(f"p{self.bases}")
        return Part(name, "prefix", node, start)

    def array(self, name: str, node: ArrayNode) -> Part:
        if node.count is MANY or node.item.size is None:
            raise Unfit
        count = max(0, self.decide(node.count))
        stride = None if node.stride is None else max(0, self.decide(node.stride))
        size = count * (node.item.size if stride is None else stride)
        start = self.place
        self.place = start.plus(size)
        return Part(name, "array", node, start, size, count=count, stride=stride)


def _expressions(node: Node) -> Iterator[Expr]:
    """All expressions that decide, of a record and what is in it."""
    places: list[Any] = []
    inner: list[Node] = []
    if isinstance(node, RecordNode):
        places = [when for _, _, when in node.members]
        inner = [member for _, member, _ in node.members if member is not None]
    elif isinstance(node, UnionNode):
        places = [when for when, _ in node.cases]
        inner = [case for _, case in node.cases]
    elif isinstance(node, ArrayNode):
        places = [node.count, node.stride]
    elif isinstance(node, LeafNode):
        places = [node.length]
    for place in places:
        if isinstance(place, Expr):
            yield place
    for each in inner:
        yield from _expressions(each)
