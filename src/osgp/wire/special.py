"""Layouts compiled to straight code, variable ones too: what decides a form is looked at first, then the form is read at once.

Whether fields are present and how many there are is mostly said by a few bits of the first bytes. Those bits are the *key*
of a ``Choice``; for each key that comes by, the declaration is traced once with what the bits say (``plan``), and the trace
becomes generated code: one ``unpack_from`` per run of bytes, slices for what is open, one object per record. Equal outcomes
share a form, so that bits nobody asks for do not multiply forms. A size that many bits say (a length) stays arithmetic.

Whatever does not fit (bytes too short, a value of another type, more forms than are kept, a declaration that needs a walk)
is left to the walk of ``nodes``, which is the reference: it names the culprit. A project choice. The generated code contains
names of declared fields and numbers only, never data.
"""

from __future__ import annotations

import struct as pystruct
from collections.abc import Callable
from functools import cached_property
from typing import Any, cast

from osgp.wire.errors import DecodeError
from osgp.wire.expr import Call, Expr, Op, Ref
from osgp.wire.fast import Misfit, Pieces, Unfit, is_big
from osgp.wire.kinds import BinaryKind, BitsKind
from osgp.wire.nodes import LeafNode, RecordNode, Run
from osgp.wire.plan import Amount, Part, Place, Plan, Source, Trace, Undecided

__all__ = ["MISFITS", "Form", "Special"]

_MAX_FORMS = 256
"""Forms kept per layout: a hostile peer must not make us compile for ever (project choice)."""
_MAX_KEYS = 1024
"""Keys kept per choice."""
_PLAIN = 2
"""Single bytes that are taken by index; more are unpacked."""

MISFITS = (pystruct.error, ArithmeticError, LookupError, TypeError, ValueError, AttributeError)
"""What generated code raises where bytes or values are not of its form."""

Reader = Callable[[bytes], Any]
Writer = Callable[[Any], bytes]


class Special:
    """The compiled form of a layout. ``read`` and ``write`` are whole: they fall back to the two walks given."""

    def __init__(self, root: RecordNode, run: Run, exact: bool, walk_read: Reader, walk_write: Writer) -> None:
        self.root = root
        self.run = run
        self.exact = exact
        self.pieces = Pieces(is_big(root))
        self.forms = 0
        self.top = self.grow(None, _nothing_known)
        self.read, self.write = walk_read, walk_write
        if self.top is not None:
            names = {"_cls": root.struct, "_misfits": MISFITS, "_walk_read": walk_read, "_walk_write": walk_write}
            self.pieces.names.update(names)
            self.read = self._whole(
                f"def whole(d):\n if type(d) is not bytes: d = bytes(d)\n try:\n{_indent(self.top.reading)}"
                " except _misfits: pass\n return _walk_read(d)\n",
                self.top,
            )
            self.write = self._whole(
                f"def whole(o):\n try:\n  if type(o) is not _cls: raise Misfit\n{_indent(self.top.writing)}"
                " except _misfits: pass\n return _walk_write(o)\n",
                self.top,
            )

    def _whole(self, source: str, top: Form | Choice) -> Any:
        space = {**self.pieces.names, **top.names}
        exec(source, space)
        return space["whole"]

    def grow(self, parent: Choice | None, values: Callable[[Source], Any]) -> Form | Choice | None:
        """What to do once the bits that ``parent`` looks at are known; None: walk."""
        trace = Trace(self.root, self.run, parent.covered if parent else {}, values)
        try:
            return self._grown(trace, trace.run())
        except Undecided as need:
            try:
                return Choice(self, parent, need.needed + trace.ahead())
            except Unfit:
                return None
        except (Unfit, DecodeError, ArithmeticError):
            return None

    def _grown(self, trace: Trace, plan: Plan) -> Form | None:
        if self.forms >= _MAX_FORMS:
            return None
        self.forms += 1
        return Form(self, plan)

    def outcomes(self, covered: dict[tuple[str, ...], int], values: Callable[[Source], Any]) -> tuple[Any, ...]:
        """What the known bits decide."""
        trace = Trace(self.root, self.run, covered, values)
        try:
            trace.run()
        except Undecided:
            return (*trace.outcomes, "?")
        except (Unfit, DecodeError, ArithmeticError):
            return (*trace.outcomes, "-")
        return tuple(trace.outcomes)

    def form_of(self, data: bytes) -> Form | None:
        """The form that these bytes have, to explain them by. Raises Misfit if they end before that is clear."""
        place = self.top
        while isinstance(place, Choice):
            place = place.child(lambda source: source.read(data))
        return place


def _nothing_known(source: Source) -> Any:
    raise Unfit


def _indent(lines: list[str], by: int = 2) -> str:
    return "".join(f"{' ' * by}{line}\n" for line in lines)


class Choice:
    """The bits that decide how to go on, and what follows from each of their values met so far."""

    def __init__(self, special: Special, parent: Choice | None, needed: list[tuple[Source, int]]) -> None:
        # What was looked at before is looked at again: those who come here agree in what it decided so far, not in all of it.
        self.special = special
        self.sources: dict[tuple[str, ...], Source] = dict(parent.sources) if parent else {}
        self.covered: dict[tuple[str, ...], int] = dict(parent.covered) if parent else {}
        for source, mask in needed:
            if source.place.base:
                raise Unfit
            self.sources[source.path] = source
            self.covered[source.path] = self.covered.get(source.path, 0) | mask
        self.children: dict[tuple[Any, ...], Form | Choice | None] = {}
        self.readers: dict[int, Reader] = {}
        self.writers: dict[int, Writer] = {}
        self.names: dict[str, Any] = {
            "readers": self.readers,
            "writers": self.writers,
            "new_reader": self._new_reader,
            "new_writer": self._new_writer,
        }
        taken, reads, holds = 0, [], []
        guards, gets = [], []
        for number, (path, source) in enumerate(self.sources.items()):
            mask, shift = self.covered[path], 0
            while mask << shift & taken:
                shift += 1
            taken |= mask << shift
            moved = f" << {shift}" if shift else ""
            reads.append(f"({_at(source)} & {mask}){moved}")
            gets.append(f"x{number} = o.{'.'.join(path)}")
            guards.append(_wrong_type(f"x{number}", source, special.pieces))
            holds.append(f"(x{number} & {mask}){moved}")
        choose = [
            "try: f = {0}s[k]",
            "except KeyError: f = new_{0}(k, {1})",
            "return f({1})",
        ]
        self.reading = [f"k = {' | '.join(reads)}", *(line.format("reader", "d") for line in choose)]
        self.writing = [
            *gets,
            f"if {' or '.join(guards)}: raise Misfit",
            f"k = {' | '.join(holds)}",
            *(line.format("writer", "o") for line in choose),
        ]

    def child(self, values: Callable[[Source], Any]) -> Form | Choice | None:
        """What follows from the values of the sources."""
        outcomes = self.special.outcomes(self.covered, values)
        if outcomes not in self.children:
            self.children[outcomes] = self.special.grow(self, values)
        return self.children[outcomes]

    def _new_reader(self, key: int, data: bytes) -> Reader:
        if len(self.readers) >= _MAX_KEYS:
            return _unfit
        child = self.child(lambda source: source.read(data))
        found = self.readers[key] = _unfit if child is None else child.reader
        return found

    def _new_writer(self, key: int, value: Any) -> Writer:
        if len(self.writers) >= _MAX_KEYS:
            return _unfit
        child = self.child(lambda source: source.held(value))
        found = self.writers[key] = _unfit if child is None else child.writer
        return found

    @cached_property
    def reader(self) -> Reader:
        return cast(Reader, self._function("d", self.reading))

    @cached_property
    def writer(self) -> Writer:
        return cast(Writer, self._function("o", self.writing))

    def _function(self, parameter: str, lines: list[str]) -> Any:
        space = {**self.special.pieces.names, **self.names}
        exec(f"def chosen({parameter}):\n{_indent(lines, 1)}", space)
        return space["chosen"]


def _unfit(_: Any) -> Any:
    raise Misfit


def _at(source: Source) -> str:
    """The integer of a source out of the bytes ``d``."""
    place, size = source.place, source.size
    if size == 1 and not getattr(source.node.kind, "signed", False):
        return f"d[{place}]"
    signed = ", signed=True" if getattr(source.node.kind, "signed", False) else ""
    return f"int.from_bytes(d[{place}:{place.plus(size)}], '{source.node.order}'{signed})"


def _wrong_type(variable: str, source: Source, pieces: Pieces) -> str:
    """The condition that a value is not what its references can follow (a plain number has no bit fields)."""
    kind = source.node.kind
    if isinstance(kind, BitsKind):
        return f"type({variable}) is not {pieces.name(kind.bits)}"
    return f"not isinstance({variable}, int)"


class Form:
    """A plan as code: ``reader`` makes an object of bytes, ``writer`` the inverse."""

    def __init__(self, special: Special, plan: Plan) -> None:
        self.special = special
        self.plan = plan
        self.names: dict[str, Any] = {}  # as a choice has them
        self.reading = _Reading(special.pieces, plan, special.exact).lines
        self.writing = _Writing(special.pieces, plan).lines

    @cached_property
    def reader(self) -> Reader:
        return cast(Reader, self.special.pieces.compiled(f"def read(d):\n{_indent(self.reading, 1)}", "read"))

    @cached_property
    def writer(self) -> Writer:
        return cast(Writer, self.special.pieces.compiled(f"def write(o):\n{_indent(self.writing, 1)}", "write"))


def amount_source(amount: Amount, integer: Callable[[Source], str], pieces: Pieces) -> str:
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


class _Reading:
    """The lines that read a plan from the bytes ``d``: first the runs and slices, then the objects."""

    def __init__(self, pieces: Pieces, plan: Plan, exact: bool) -> None:
        self.pieces = pieces
        self.lines: list[str] = []
        self.builds: list[str] = []
        self.slots: list[tuple[str, list[str]]] = []
        self.start = Place()
        self.integers: dict[tuple[str, ...], str] = {}
        self.numbers = 0
        self.measured = False
        root = self.record(plan.root, ())
        self.flush()
        self.builds += self.end(root, plan.end, exact)
        self.lines += [*self.builds, f"return {root}"]

    def variable(self) -> str:
        self.numbers += 1
        return f"a{self.numbers}"

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
        if part.guard and not part.size:
            self.flush()
            self.length()
            self.lines.append(f"if n <= {part.place}: raise Misfit")
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
            case "open":
                return self.open(part)
            case "prefix":
                return self.prefix(part)
            case _:
                return self.sized(part)

    def open(self, part: Part) -> str:
        self.flush()
        leave = part.node.spec.leave
        stop = ""
        if leave:
            self.length()
            self.lines.append(f"if n < {part.place.plus(leave)}: raise Misfit")
            stop = str(part.after)
        return self.sliced(part.node, f"d[{self.at(part.place)}:{stop}]")

    def sliced(self, node: LeafNode, raw: str) -> str:
        name = self.variable()
        self.lines.append(f"{name} = {raw}")
        return name if type(node.kind) is BinaryKind else f"{self.pieces.name(node.unpack)}({name})"

    def prefix(self, part: Part) -> str:
        spec, node = part.node.spec, part.node
        code = node.kind.code(node.order) if node.order == self.pieces.order or spec.prefix == 1 else None
        slot = self.take(code or f"{spec.prefix}s", 1, part.place)
        self.flush()
        size = slot if code else f"int.from_bytes({slot}, '{node.order}')"
        bounds = [f"m < {spec.least}"] if spec.least else []
        bounds += [] if spec.most is None else [f"m > {spec.most}"]
        self.length()
        self.lines.append(f"m = {size}")
        self.lines.append(f"{part.after} = {part.place.plus(spec.prefix)} + m")
        self.lines.append(f"if {' or '.join([*bounds, f'{part.after} > n'])}: raise Misfit")
        return self.sliced(node.inner, f"d[{part.place.plus(spec.prefix)}:{part.after}]")

    def sized(self, part: Part) -> str:
        self.flush()
        self.length()
        assert part.amount is not None
        amount = amount_source(part.amount, lambda source: self.integers.get(source.path) or _at(source), self.pieces)
        self.lines += [f"m = {amount}", f"{part.after} = {part.place} + m if m > 0 else {part.place}"]
        too_far = f"{part.after} = n" if part.shape == "most" else "raise Misfit"
        self.lines.append(f"if {part.after} > n: {too_far}")
        return self.sliced(part.node, f"d[{part.place}:{part.after}]")


class _Writing:
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
            size = self.variable(amount_source(part.amount, self.integer, self.pieces))
            sign = ">" if part.shape == "most" else "!="
            self.lines.append(f"if len({raw}) {sign} ({size} if {size} > 0 else 0): raise Misfit")
        self.flush()
        self.chunks.append(raw)

    def integer(self, source: Source) -> str:
        name = self.guarded.get(source.path)
        if name is None:
            name = self.guarded[source.path] = self.variable(f"o.{'.'.join(source.path)}")
            self.lines.append(f"if {_wrong_type(name, source, self.pieces)}: raise Misfit")
        return name
