"""The lines of generated code that read the bytes of a plan and write its objects; ``special`` chooses the plan.

In the code ``d`` is the bytes and ``o`` the object. It contains names of declared fields and numbers only, never data.
"""

from __future__ import annotations

import struct as pystruct
from collections.abc import Callable
from typing import Any

from osgp.wire.expr import Call, Expr, Op, Ref
from osgp.wire.fast import Pieces, Unfit
from osgp.wire.kinds import BinaryKind, BitsKind
from osgp.wire.nodes import LeafNode
from osgp.wire.plan import Amount, Part, Place, Plan, Source

__all__ = ["Locating", "Reading", "Writing", "integer_at", "wrong_type"]

_PLAIN = 2
"""Single bytes that are taken by index; more are unpacked."""


def integer_at(source: Source) -> str:
    """The integer of a source out of the bytes ``d``."""
    place, size = source.place, source.size
    if size == 1 and not getattr(source.node.kind, "signed", False):
        return f"d[{place}]"
    signed = ", signed=True" if getattr(source.node.kind, "signed", False) else ""
    return f"int.from_bytes(d[{place}:{place.plus(size)}], '{source.node.order}'{signed})"


def wrong_type(variable: str, source: Source, pieces: Pieces) -> str:
    """The condition that a value is not what its references can follow (a plain number has no bit fields)."""
    kind = source.node.kind
    if isinstance(kind, BitsKind):
        return f"type({variable}) is not {pieces.name(kind.bits)}"
    return f"not isinstance({variable}, int)"


def _amount(amount: Amount, integer: Callable[[Source], str], pieces: Pieces) -> str:
    """An amount as an expression of generated code; ``integer`` says where the integer of a source is."""

    def say(value: Any) -> str:
        if isinstance(value, Ref):
            source, path = amount.sources.get(id(value), (None, ()))
            if source is None:
                return str(amount.fixed[id(value)])
            text = integer(source)
            if path:
                bits = source.node.kind.bits.fields[path[0]]  # type: ignore[attr-defined]  # the trace saw a BitsKind
                text = f"({text} >> {bits.lsb} & {bits.top})"
            return text
        if isinstance(value, Op):
            if value.symbol not in _OPERATORS:
                raise Unfit
            return f"({say(value.left)} {value.symbol} {say(value.right)})"
        if isinstance(value, Call):
            return f"{pieces.name(value.run)}({', '.join(map(say, value.args))})"
        if isinstance(value, Expr):
            raise Unfit
        return str(int(value))

    return say(amount.value)


_OPERATORS = frozenset(("+", "-", "*", "//", "==", "!=", "<", "<=", ">", ">="))


class Locating:
    """The lines that find out where the parts of a plan lie in the bytes ``d``."""

    def __init__(self, pieces: Pieces) -> None:
        self.pieces = pieces
        self.lines: list[str] = []
        self.measured = False

    def length(self) -> None:
        """From here on ``n`` is the number of bytes."""
        if not self.measured:
            self.measured = True
            self.lines.append("n = len(d)")

    def at(self, place: Place) -> str:
        """A place in the code."""
        if place.base == "n":
            self.length()
        return str(place)

    def integer(self, source: Source) -> str:
        """The integer of a source."""
        return integer_at(source)

    def guard(self, part: Part) -> None:
        """Bytes must not end before an optional part; one that has a size sees to that itself."""
        if part.guard and not part.size:
            self.length()
            self.lines.append(f"if n <= {part.place}: raise Misfit")

    def content(self, part: Part) -> str:
        """Where the content of a part lies whose size is not fixed, as a slice; the lines find its end."""
        start, stop = part.place, str(part.after)
        if part.shape == "open":
            leave = part.node.spec.leave
            if leave:
                self.length()
                self.lines.append(f"if n < {start.plus(leave)}: raise Misfit")
            return f"d[{self.at(start)}:{stop if leave else ''}]"
        self.length()
        if part.shape == "prefix":
            spec, node = part.node.spec, part.node
            begin = start.plus(spec.prefix)
            size = f"d[{start}]" if spec.prefix == 1 else f"int.from_bytes(d[{start}:{begin}], '{node.order}')"
            bounds = [f"m < {spec.least}"] if spec.least else []
            bounds += [] if spec.most is None else [f"m > {spec.most}"]
            self.lines += [f"m = {size}", f"{stop} = {begin} + m"]
            self.lines.append(f"if {' or '.join([*bounds, f'{stop} > n'])}: raise Misfit")
            return f"d[{begin}:{stop}]"
        assert part.amount is not None
        self.lines += [
            f"m = {_amount(part.amount, self.integer, self.pieces)}",
            f"{stop} = {start} + m if m > 0 else {start}",
            f"if {stop} > n: {f'{stop} = n' if part.shape == 'most' else 'raise Misfit'}",
        ]
        return f"d[{start}:{stop}]"


class Reading(Locating):
    """The lines that read a plan from the bytes ``d``: first the runs and slices, then the objects."""

    def __init__(self, pieces: Pieces, plan: Plan, exact: bool) -> None:
        super().__init__(pieces)
        self.builds: list[str] = []
        self.slots: list[tuple[str, list[str]]] = []
        self.start = Place()
        self.integers: dict[tuple[str, ...], str] = {}
        self.numbers = 0
        root = self.record(plan.root, ())
        self.flush()
        self.builds += self.end(root, plan.end, exact)
        self.lines += [*self.builds, f"return {root}"]

    def integer(self, source: Source) -> str:
        return self.integers.get(source.path) or super().integer(source)

    def variable(self) -> str:
        self.numbers += 1
        return f"a{self.numbers}"

    def take(self, form: str, slots: int, place: Place) -> str:
        """Variables for slots of the current run, separated by commas."""
        if not self.slots:
            self.start = place
        fresh = [self.variable() for _ in range(slots)]
        self.slots.append((form, fresh))
        return ",".join(fresh)

    def flush(self) -> None:
        """The lines that fill the variables of the current run."""
        slots = [(form, fresh) for form, fresh in self.slots if form]
        self.slots = []
        if not slots:
            return
        if len(slots) <= _PLAIN and all(form == "B" for form, _ in slots):
            for number, (_, (name,)) in enumerate(slots):
                self.lines.append(f"{name} = d[{self.at(self.start.plus(number))}]")
            return
        names = [name for _, fresh in slots for name in fresh]
        unpack = self.pieces.name(pystruct.Struct(self.pieces.mark + "".join(form for form, _ in slots)).unpack_from)
        place = "" if self.start == Place() else f", {self.at(self.start)}"
        self.lines.append(f"{', '.join(names)}{',' if len(names) == 1 else ''} = {unpack}(d{place})")

    def end(self, root: str, end: Place, exact: bool) -> list[str]:
        """Lines for what is left behind the last field."""
        if end == Place("n"):
            return [f"{root}._rest = b''"]
        if exact:
            self.length()
            return [f"if n != {end}: raise Misfit", f"{root}._rest = b''"]
        return [f"{root}._rest = d[{self.at(end)}:]"]

    def record(self, part: Part, path: tuple[str, ...]) -> str:
        name = f"o{len(self.builds)}" if path else "o"
        assert part.record is not None
        self.builds.append(f"{name} = _new({self.pieces.name(part.record.struct)})")
        for child in part.children:
            value = self.value(child, (*path, child.name))
            self.builds.append(f"{name}.{child.name} = {value}")
        if path:
            self.builds.append(f"{name}._rest = b''")
        return name

    def value(self, part: Part, path: tuple[str, ...]) -> str:
        """The expression for a field; the lines that it needs are added."""
        self.guard(part)
        match part.shape:
            case "absent" | "nothing":
                return "None"
            case "record":
                return self.record(part, path)
            case "leaf":
                form, build, _ = self.pieces.leaf(part.node, part.size or 0)
                slot = self.take(form, 1, part.place)
                if form[-1] != "s":
                    self.integers[path] = slot
                return build.format(slot)
            case "array":
                form, slots, build, _, _ = self.pieces.array(part.node, part.count, part.stride)
                return build.format(self.take(form, slots, part.place))
            case _:
                self.flush()
                name, raw = self.variable(), self.content(part)
                self.lines.append(f"{name} = {raw}")
                node = part.node.inner if part.shape == "prefix" else part.node
                return name if type(node.kind) is BinaryKind else f"{self.pieces.name(node.unpack)}({name})"


class Writing:
    """The lines that write an object ``o`` as a plan says: checks first, then one ``pack`` per run."""

    def __init__(self, pieces: Pieces, plan: Plan) -> None:
        self.pieces = pieces
        self.lines: list[str] = []
        self.chunks: list[str] = []
        self.formats = ""
        self.arguments: list[str] = []
        self.guarded: dict[tuple[str, ...], str] = {}
        self.numbers = 0
        for path in plan.absent:
            self.lines.append(f"if o.{'.'.join(path)} is not None: raise Misfit")
        self.record(plan.root, "o", nested=False)
        self.flush()
        self.lines.append(f"return {' + '.join([*(self.chunks or ['bytes()']), 'o._rest'])}")

    def variable(self, value: str) -> str:
        """A variable that holds a value."""
        self.numbers += 1
        self.lines.append(f"x{self.numbers} = {value}")
        return f"x{self.numbers}"

    def put(self, form: str, *arguments: str) -> None:
        if form:
            self.formats += form
            self.arguments += arguments
        elif arguments:
            self.arguments += arguments

    def flush(self) -> None:
        if self.formats or self.arguments:
            pack = self.pieces.name(pystruct.Struct(self.pieces.mark + self.formats).pack)
            self.chunks.append(f"{pack}({', '.join(self.arguments)})")
            self.formats, self.arguments = "", []

    def record(self, part: Part, held: str, *, nested: bool = True) -> None:
        assert part.record is not None
        if nested:
            held = self.variable(held)
            cls = self.pieces.name(part.record.struct)
            self.lines.append(f"if type({held}) is not {cls} or {held}._rest: raise Misfit")
        for child in part.children:
            self.field(child, f"{held}.{child.name}")

    def field(self, part: Part, held: str) -> None:
        match part.shape:
            case "absent":
                return
            case "nothing":
                self.lines.append(f"if {held} is not None: raise Misfit")
            case "record":
                self.record(part, held)
            case "leaf":
                self.leaf(part, held)
            case "array":
                form, _, _, dump, many = self.pieces.array(part.node, part.count, part.stride)
                self.put(form, ("*" if many else "") + dump.format(held))
            case "prefix":
                self.prefix(part, held)
            case _:
                self.free(part, held)

    def leaf(self, part: Part, held: str) -> None:
        form, _, dump = self.pieces.leaf(part.node, part.size or 0)
        if type(part.node.kind) is BinaryKind:
            held = self.raw(held)
            self.lines.append(f"if len({held}) != {part.size}: raise Misfit")
            self.put(form, held)
        else:
            self.put(form, dump.format(held))

    def raw(self, held: str) -> str:
        """A variable for bytes."""
        held = self.variable(held)
        self.lines.append(f"if type({held}) is not bytes: raise Misfit")
        return held

    def prefix(self, part: Part, held: str) -> None:
        node, spec = part.node, part.node.spec
        raw = self.packed(node.inner, held)
        code = node.kind.code(node.order) if node.order == self.pieces.order or spec.prefix == 1 else None
        if code:
            self.put(code, f"len({raw})")
        else:
            self.put(f"{spec.prefix}s", f"len({raw}).to_bytes({spec.prefix}, '{node.order}')")
        self.flush()
        self.chunks.append(raw)

    def packed(self, node: LeafNode, held: str) -> str:
        if type(node.kind) is BinaryKind:
            return self.raw(held)
        return self.variable(f"{self.pieces.name(node.pack)}({held})")

    def free(self, part: Part, held: str) -> None:
        """A field whose size is its own."""
        raw = self.packed(part.node, held)
        if part.amount is not None:
            size = self.variable(_amount(part.amount, self.integer, self.pieces))
            sign = ">" if part.shape == "most" else "!="
            self.lines.append(f"if len({raw}) {sign} ({size} if {size} > 0 else 0): raise Misfit")
        self.flush()
        self.chunks.append(raw)

    def integer(self, source: Source) -> str:
        name = self.guarded.get(source.path)
        if name is None:
            name = self.guarded[source.path] = self.variable(f"o.{'.'.join(source.path)}")
            self.lines.append(f"if {wrong_type(name, source, self.pieces)}: raise Misfit")
        return name
