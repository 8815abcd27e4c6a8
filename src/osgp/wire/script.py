"""What the text of ``Layout.explain_json`` is made of, step by step, for writers that are no Python: ``script_of``.

A script says for one form of a structure how its bytes are located and what is written about them; it depends on neither offset
nor value. ``telling`` says the same in generated Python. A project choice.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple

from osgp.wire.bits import BitField
from osgp.wire.explain import describe
from osgp.wire.expr import Declared, Ref
from osgp.wire.fast import Unfit
from osgp.wire.fields import Spec
from osgp.wire.kinds import BinaryKind, BitsKind, EnumKind, IntKind, Kind
from osgp.wire.plan import Part, Place, Source
from osgp.wire.special import Choice, Form, Special

__all__ = ["Act", "Script", "Step", "Unfit", "deciding_bytes", "script_of", "variable_number"]

_dumps = json.JSONEncoder(separators=(",", ":")).encode
_FEW_BITS = 8
"""An integer of no more bits has a table of what its values mean; one of more must mean just its number."""
_MOST_BITS = 56
"""Integers of more bits are not written: they must stay within 64 bits with a sign."""
_START, _END = Place(), Place("n")


class Act(IntEnum):
    """What a step does. ``a``, ``b`` are its places; numbers in ``step.numbers``, in this order."""

    WORDS = 0  # write the words
    OFFSET = 1  # write factor × a + more, a counted from the start of the whole
    SIZE = 2  # write factor × (b - a)
    DIGITS = 3  # write the bytes from a to b in hexadecimal
    SHOWN = 4  # the same in capitals, with spaces between; a dash for none
    NUMBER = 5  # write the integer from a to b: shift, mask, 1 if little-endian
    MEANING = 6  # the same, but the entry of ``step.table`` for it
    CAPITALS = 7  # DIGITS in capitals
    IF_ANY = 8  # go on if there are bytes from a to b, else pass over so many steps
    IF_CARRIED = 9  # go on if something is carried there, else pass over so many steps
    CARRIED = 10  # write what is carried
    DONE = 11  # the end
    # locating: what does not hold makes the script unfit for the bytes
    REACH = 12  # the bytes reach to a
    MORE = 13  # they reach beyond a
    EXACT = 14  # they end at a
    COUNTED = 15  # variable := a + integer from a to b: variable, least, most, 1 if little-endian
    MEASURED = (
        16  # variable := place + integer from a to b: variable, shift, mask, 1 if little-endian, 1 to cut it at the end
    )
    FROM = 17  # the place that MEASURED counts from is a


class Step(NamedTuple):
    """One step of a script. A place is the start (base ""), the end (base "n") or a variable, and bytes behind it."""

    act: Act
    a: Place = _START
    b: Place = _START
    numbers: tuple[int, ...] = ()
    words: str = ""
    table: tuple[str, ...] = ()


@dataclass(slots=True)
class Script:
    """``locate``: to be done first, all of it; ``write``: the text. ``carrier``: bounds of the field that carries the next layer.
    ``end``: behind all that is declared."""

    locate: list[Step] = field(default_factory=list)
    write: list[Step] = field(default_factory=list)
    carrier: tuple[Place, Place] | None = None
    end: Place = _END


def variable_number(place: Place) -> int:
    """Which variable a place counts from, from 0 on; the start and the end are none."""
    return int(place.base.removeprefix("p")) - 1


def deciding_bytes(special: Special, data: bytes) -> tuple[Form, dict[int, int]]:
    """The form of these bytes, and which bits of which bytes made it that: masks by offset. Raises as ``MISFITS`` says."""
    node: Form | Choice | None = special.top
    looked: dict[int, int] = {}
    while isinstance(node, Choice):
        for path, source in node.sources.items():
            size, order = source.size, source.node.order
            mask = node.covered[path].to_bytes(size, "little" if order == "little" else "big")
            for place, bits in enumerate(mask, source.place.shift):
                if bits:
                    looked[place] = looked.get(place, 0) | bits
        node = node.child(lambda source: source.read(data))
    if node is None:
        raise Unfit
    return node, looked


def script_of(form: Form, carrier: str = "", *, filling: str = "") -> Script:
    """The script of a form. ``carrier``: the field that may carry another layer, bytes without a prefix. ``filling``: a field of
    declared size that the caller knows to end with the bytes. Raises Unfit for what no step can say."""
    return _Writer(form, carrier, filling).script


class _Writer:
    def __init__(self, form: Form, carrier: str, filling: str) -> None:
        self.script = Script()
        self.struct: Declared = form.special.root.struct
        self.carrier = carrier
        self.filling = filling
        self.renamed: dict[str, Place] = {}
        self.landings: set[int] = set()
        self.ends: dict[str, Place] = {}
        plan, about = form.plan, self.struct.about
        self.node(self.struct.__name__, "record", _START, _END)
        self.words(_meta(source=about.source, status=about.status))
        children = self.record(plan.root)
        end = self.script.end = self.place(plan.end)
        if end != _END:
            if form.special.exact:
                self.locate(Act.EXACT, end)
            else:
                self.leftover(end, children)
        self.words("]}" if children else "}")
        self.write(Act.DONE)
        for place in self.ends.values():
            if place.base or place.shift:
                self.locate(Act.REACH, place)

    # -- steps

    def place(self, place: Place) -> Place:
        known = self.renamed.get(place.base)
        return place if known is None else known.plus(place.shift)

    def locate(self, act: Act, a: Place, b: Place = _START, *numbers: int) -> None:
        self.script.locate.append(Step(act, a, b, numbers))

    def write(self, act: Act, a: Place = _START, b: Place = _START, *numbers: int, table: tuple[str, ...] = ()) -> None:
        self.script.write.append(Step(act, a, b, numbers, table=table))

    def words(self, text: str) -> None:
        """Words, which join those before them unless something may be passed over between them."""
        steps = self.script.write
        if steps and steps[-1].act == Act.WORDS and len(steps) not in self.landings:
            text = steps.pop().words + text
        if text:
            steps.append(Step(Act.WORDS, words=text))

    def condition(self, act: Act, a: Place = _START, b: Place = _START) -> int:
        """The place of a condition, whose number of steps is ``settled`` later."""
        self.write(act, a, b, 0)
        return len(self.script.write)

    def settle(self, begun: int) -> None:
        steps = self.script.write
        steps[begun - 1] = steps[begun - 1]._replace(numbers=(len(steps) - begun,))
        self.landings.add(len(steps))

    # -- nodes

    def node(self, name: str, type_: str, start: Place, end: Place, bit: int = 0, width: int | None = None) -> None:
        """The head of a node: name, type and place."""
        self.words(f'{{"name":{_dumps(name)},"type":{_dumps(type_)},"bit_offset":')
        self.write(Act.OFFSET, start, _START, 8, bit)
        self.words(',"bits":')
        if width is None:
            self.size(start, end, 8)
        else:
            self.words(str(width))
        self.words(',"offset":')
        self.write(Act.OFFSET, start, _START, 1, 0)
        self.words(',"size":')
        self.size(start, end, 1)

    def size(self, start: Place, end: Place, factor: int) -> None:
        if start.base == end.base:
            self.words(str(factor * (end.shift - start.shift)))
        else:
            self.write(Act.SIZE, start, end, factor)

    def leftover(self, end: Place, children: bool) -> None:
        """The bytes beyond the declared ones, if there are any."""
        begun = self.condition(Act.IF_ANY, end, _END)
        self.words("," if children else ',"children":[')
        self.node("_rest", "binary", end, _END)
        self.words(',"raw":"')
        self.write(Act.DIGITS, end, _END)
        self.words('","value":"')
        self.write(Act.DIGITS, end, _END)
        self.words('"' + _meta(doc="bytes beyond the declared ones") + ("}" if children else "}]"))
        self.settle(begun)

    def record(self, part: Part) -> bool:
        """The children of a record, their list left open if there are any (the answer)."""
        shown = False
        for child in part.children:
            if child.shape == "absent" or (child.shape == "array" and not child.count):
                continue
            self.words("," if shown else ',"children":[')
            shown = True
            self.part(child, child.name if part.name == "" else "")
        return shown

    def part(self, part: Part, name: str) -> None:
        if part.guard and not part.size:
            self.locate(Act.MORE, self.place(part.place))
        if part.size is not None:
            after = self.place(part.after)
            self.ends[after.base] = after
        carries = bool(name) and name == self.carrier
        match part.shape:
            case "record" | "nothing" if not carries:
                self.nested(part)
            case "prefix" if not carries:
                self.prefix(part)
            case "leaf" | "open" | "sized" | "most":
                if part.size is None:
                    self.measure(part)
                start, end = self.place(part.place), self.place(part.after)
                self.leaf(part.node.spec, part.node.kind, part.node.order, start, end, carries)
            case _:
                raise Unfit

    def nested(self, part: Part) -> None:
        spec = part.node.spec
        opened = len(self.script.write)
        self.node(spec.orig or spec.name, spec.type_name, self.place(part.place), self.place(part.after))
        self.words(_meta(doc=spec.doc, source=spec.source))
        shown = self.record(part)
        self.words("]}" if shown else "}")
        for number in range(opened, len(self.script.write)):  # the end of a record may be known only behind its parts
            step = self.script.write[number]
            self.script.write[number] = step._replace(a=self.place(step.a), b=self.place(step.b))

    def measure(self, part: Part) -> None:
        """Finds the end of a part whose size is not fixed."""
        if part.shape == "open":
            if part.node.spec.leave:
                self.locate(Act.REACH, self.place(part.place).plus(part.node.spec.leave))
            return
        if part.name == self.filling and part.shape == "sized":
            self.renamed[part.after.base] = _END
            return
        amount = part.amount
        if amount is None or not isinstance(amount.value, Ref):
            raise Unfit
        source, path = amount.sources.get(id(amount.value), (None, ()))
        if not isinstance(source, Source) or getattr(source.node.kind, "signed", False):
            raise Unfit
        shift, mask = 0, source.full
        if path:
            bits: BitField = source.node.kind.bits.fields[path[0]]  # type: ignore[attr-defined]  # the trace saw a BitsKind
            shift, mask = bits.lsb, bits.top
        start = self.place(source.place)
        self.locate(Act.FROM, self.place(part.place))
        numbers = (
            variable_number(part.after),
            shift,
            mask,
            int(source.node.order == "little"),
            int(part.shape == "most"),
        )
        self.locate(Act.MEASURED, start, start.plus(source.size), *numbers)

    def prefix(self, part: Part) -> None:
        spec, node = part.node.spec, part.node
        inner = node.inner
        start, after = self.place(part.place), part.after
        begin = start.plus(spec.prefix)
        most = (1 << 8 * spec.prefix) - 1 if spec.most is None else spec.most
        self.locate(
            Act.COUNTED, start, begin, variable_number(after), spec.least or 0, most, int(node.order == "little")
        )
        self.node(spec.orig or spec.name, spec.type_name, start, after)
        self.words(_meta(doc=spec.doc, source=spec.source) + ',"children":[')
        self.leaf(Spec(name="length", orig="LENGTH", unit="byte"), node.kind, node.order, start, begin)
        self.words(",")
        self.leaf(inner.spec, inner.kind, inner.order, begin, after)
        self.words("]}")

    def leaf(self, spec: Spec, kind: Kind, order: str, start: Place, end: Place, carries: bool = False) -> None:
        self.node(spec.orig or spec.name, kind.name, start, end)
        meta = _meta(unit=spec.unit, doc=spec.doc, source=spec.source, status=spec.status)
        if type(kind) is BinaryKind:
            self.binary(start, end)
            self.words(meta)
            if carries:
                begun = self.condition(Act.IF_CARRIED)
                self.words(',"children":[')
                self.write(Act.CARRIED)
                self.words("]")
                self.settle(begun)
                self.script.carrier = start, end
            self.words("}")
            return
        if carries or type(kind) not in (IntKind, EnumKind, BitsKind) or start.base != end.base:
            raise Unfit
        assert isinstance(kind, IntKind)
        if kind.signed:
            raise Unfit
        self.words(',"raw":"')
        self.write(Act.DIGITS, start, end)
        self.words('","value":')
        little = int(kind.order == "little" or (kind.order is None and order == "little"))
        self.number(spec, kind, start, end, 0, 8 * (end.shift - start.shift), little)
        self.words(meta)
        if isinstance(kind, BitsKind):
            self.bits(kind, start, end, little)
        self.words("}")

    def binary(self, start: Place, end: Place) -> None:
        known = start.base == end.base
        if known and start.shift == end.shift:
            self.words(',"value":"","text":"-"')
            return
        begun = 0 if known else self.condition(Act.IF_ANY, start, end)
        self.words(',"raw":"')
        self.write(Act.DIGITS, start, end)
        self.words('"')
        if begun:
            self.settle(begun)
        self.words(',"value":"')
        self.write(Act.DIGITS, start, end)
        self.words('","text":"')
        self.write(Act.SHOWN, start, end)
        self.words('"')

    def number(
        self, spec: Spec | BitField, kind: IntKind | None, start: Place, end: Place, lsb: int, width: int, little: int
    ) -> None:
        """Value and text of an integer, or of some bits of it."""
        if width > _MOST_BITS:
            raise Unfit
        numbers = (lsb, (1 << width) - 1, little)
        self.write(Act.NUMBER, start, end, *numbers)
        self.words(',"text":')
        if isinstance(kind, BitsKind) and not spec.values:
            if little and end.shift - start.shift > 1:
                raise Unfit
            self.words('"0x')
            self.write(Act.CAPITALS, start, end)
            self.words('"')
        elif type(kind) is not EnumKind and not spec.values and spec.scale == 1:
            self.words('"')
            self.write(Act.NUMBER, start, end, *numbers)
            self.words(_dumps(f" {spec.unit}".rstrip())[1:])
        elif width <= _FEW_BITS:
            table = tuple(describe(spec, _made(kind, value), kind) for value in range(1 << width))
            if not all(table):
                raise Unfit
            self.write(Act.MEANING, start, end, *numbers, table=tuple(map(_dumps, table)))
        else:
            raise Unfit

    def bits(self, kind: BitsKind, start: Place, end: Place, little: int) -> None:
        fields: dict[str, BitField] = getattr(kind.bits, "fields", {})
        for number, part in enumerate(fields.values()):
            self.words("," if number else ',"children":[')
            self.node(part.orig or part.name, "bits", start, end, part.lsb, part.width)
            self.words(',"value":')
            self.number(part, None, start, end, part.lsb, part.width, little)
            self.words(_meta(unit=part.unit, doc=part.doc, source=part.source, status=part.status) + "}")
        if fields:
            self.words("]")


def _made(kind: IntKind | None, value: int) -> Any:
    return kind.enum(value) if isinstance(kind, EnumKind) else kind.bits(value) if isinstance(kind, BitsKind) else value


def _meta(**words: str) -> str:
    """The words of a node that are not empty."""
    return "".join(f",{_dumps(key)}:{_dumps(value)}" for key, value in words.items() if value)
