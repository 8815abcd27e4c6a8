"""Explanations as JSON text without a walk: what ``Layout.explain(data).to_json()`` says, made of prepared pieces.

Names, meanings, sources and, for a given offset of the structure, places are constant; they are joined once into pieces of
text between which the values are set. A field of one byte has at most 256 texts per place, each made once by the recorder of
``explain`` itself. What has no compiled form, or does not fit it, is explained by the walk. A project choice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from osgp.wire.context import Context
from osgp.wire.explain import ExplainNode, Recorder, describe
from osgp.wire.expr import Declared
from osgp.wire.fields import Spec
from osgp.wire.kinds import BinaryKind, IntKind, Kind
from osgp.wire.lines import Locating
from osgp.wire.nodes import ArrayNode, PrefixNode, Run, converters
from osgp.wire.plan import Part, Place
from osgp.wire.special import MISFITS, Form, Special

__all__ = ["Graft", "Telling"]

Graft = str | Callable[[int], str]
"""JSON text of the tree that hangs below a field, or a function that makes it, given the offset of that field."""

_MAX_KEPT = 256
"""Offsets that pieces are kept for, per form and per field, and words of several bytes per place (project choice)."""

_dumps = json.JSONEncoder(separators=(",", ":")).encode


class Telling:
    """``explain`` as text for one layout. ``walk`` makes the tree where there is no form."""

    def __init__(self, special: Special, context: Context, walk: Callable[[bytes], ExplainNode]) -> None:
        self.special = special
        self.context = context
        self.walk = walk
        self.find: Callable[[bytes], Form] = special.form_of if special.top is None else special.top.finder
        self.leaves: dict[int, Any] = {}

    def tell(self, data: bytes, offset: int, grafts: Mapping[str, Graft] | None) -> str:
        """The text of the tree, moved by ``offset`` bytes, with ``grafts`` below the root's children of those names."""
        names = tuple(grafts) if grafts else ()
        if type(data) is not bytes:
            data = bytes(data)
        try:
            form = self.find(data)
        except MISFITS:
            return self.walked(data, offset, grafts)
        teller = form.tellers.get(names) or self.teller(form, names)
        text = teller.tell(data, offset, teller.kept[offset], grafts)
        return self.walked(data, offset, grafts) if text is None else text

    def teller(self, form: Form, names: tuple[str, ...]) -> _Teller:
        """The function of a form, made when it is first asked for."""
        if len(form.tellers) >= _MAX_KEPT:
            form.tellers.clear()
        made = form.tellers[names] = _Teller(self, form, names)
        return made

    def walked(self, data: bytes, offset: int, grafts: Mapping[str, Graft] | None) -> str:
        """The same by a walk."""
        tree = self.walk(data)
        tree.shift(offset)
        told = tree.to_json()
        if grafts:
            for child, shown in zip(tree.children, told.get("children", ()), strict=True):
                if child.name in grafts:
                    below = json.loads(_grown(grafts[child.name], child.offset))
                    shown.setdefault("children", []).append(below)
        return _dumps(told)

    def leaf(self, key: Any, spec: Spec, kind: Kind, unpack: Callable[[bytes], Any]) -> _Leaf:
        """The texts of a field, the same for all forms that have it."""
        found = self.leaves.get(id(key))
        if found is None:
            found = self.leaves[id(key)] = _Leaf(self.special.root.struct, spec, kind, unpack)
        return found


def _grown(graft: Graft, offset: int) -> str:
    return graft if isinstance(graft, str) else graft(offset)


def _hang(text: str, children: bool, below: str) -> str:
    """A node's text with one more child."""
    return f"{text[:-2]},{below}]}}" if children else f'{text[:-1]},"children":[{below}]}}'


def _meta(**words: str) -> str:
    """The words of a node that are not empty."""
    return "".join(f",{_dumps(key)}:{_dumps(value)}" for key, value in words.items() if value)


def _start(name: str, type_: str, offset: int) -> str:
    return f'{{"name":{_dumps(name)},"type":{_dumps(type_)},"bit_offset":{8 * offset},"bits":'


def _head(spec: Spec) -> Callable[[int, int], str]:
    """The text of a record's node up to its children, for offset and size."""
    meta = _meta(doc=spec.doc, source=spec.source)
    name = spec.orig or spec.name

    def head(offset: int, size: int) -> str:
        return f'{_start(name, spec.type_name, offset)}{8 * size},"offset":{offset},"size":{size}{meta}'

    return head


def _leftover(struct: Declared, children: bool) -> Callable[[bytes, int], str]:
    """What stands behind the children, or in their place, for bytes beyond the declared ones."""

    def rest(raw: bytes, offset: int) -> str:
        recorder = Recorder(struct, raw)
        recorder.finish(0, None)
        node = recorder.root.children[0]
        node.shift(offset)
        text = _dumps(node.to_json())
        return f",{text}" if children else f',"children":[{text}]'

    return rest


class _Kept(dict[Any, Any]):
    """What ``make`` makes of a key, kept for so many keys."""

    def __init__(self, make: Callable[[Any], Any]) -> None:
        super().__init__()
        self.make = make

    def __missing__(self, key: Any) -> Any:
        if len(self) >= _MAX_KEPT:
            self.clear()
        found = self[key] = self.make(key)
        return found


class _Leaf:
    """The texts of one field. ``at[offset]`` takes its bytes; of one byte, ``bytes_at[offset]`` takes their number."""

    def __init__(self, struct: Declared, spec: Spec, kind: Kind, unpack: Callable[[bytes], Any]) -> None:
        self.struct = struct
        self.spec = spec
        self.kind = kind
        self.unpack = unpack
        self.grown = bool(getattr(getattr(kind, "bits", None), "fields", None))
        self.at: Mapping[int, Callable[[bytes], str]] = _Kept(self._teller)
        self.bytes_at: Mapping[int, Mapping[int, str]] = _Kept(
            lambda offset: _Kept(lambda number: self.text(bytes((number,)), offset))
        )

    def text(self, raw: bytes, offset: int) -> str:
        """As the recorder tells it."""
        recorder = Recorder(self.struct, raw)
        recorder.leaf(self.spec, self.kind, 0, len(raw), self.unpack(raw))
        node = recorder.root.children[0]
        node.shift(offset)
        return _dumps(node.to_json())

    def _teller(self, offset: int) -> Callable[[bytes], str]:
        spec, kind = self.spec, self.kind
        start = _start(spec.orig or spec.name, kind.name, offset)
        place = f',"offset":{offset},"size":'
        end = _meta(unit=spec.unit, doc=spec.doc, source=spec.source, status=spec.status) + "}"

        def binary(raw: bytes) -> str:
            size, digits = len(raw), raw.hex()
            if not size:
                return f'{start}0{place}0,"value":"","text":"-"{end}'
            shown = raw.hex(" ").upper()
            return f'{start}{8 * size}{place}{size},"raw":"{digits}","value":"{digits}","text":"{shown}"{end}'

        def number(raw: bytes) -> str:
            size, value = len(raw), self.unpack(raw)
            text = _dumps(describe(spec, value, kind))
            return f'{start}{8 * size}{place}{size},"raw":"{raw.hex()}","value":{value},"text":{text}{end}'

        if type(kind) is BinaryKind:
            return binary
        if type(kind) is IntKind:
            return number
        kept = _Kept(lambda raw: self.text(raw, offset))
        return kept.__getitem__


def _array(struct: Declared, context: Context, node: ArrayNode, part: Part, offset: int) -> Callable[[bytes], str]:
    """The nodes of an array's entries, separated by commas."""
    whole = ArrayNode(node.spec, node.item, part.count, part.stride, None)

    def entries(raw: bytes) -> str:
        recorder = Recorder(struct, raw)
        whole.decode(Run(context, raw, recorder), 0, len(raw))
        for child in recorder.root.children:
            child.shift(offset)
        return ",".join(_dumps(child.to_json()) for child in recorder.root.children)

    return entries


class _Teller(Locating):
    """The generated function of one form: ``tell(d, at, pieces, g)`` is the text, or None if the bytes do not fit."""

    def __init__(self, telling: Telling, form: Form, grafts: tuple[str, ...]) -> None:
        super().__init__(form.special.pieces)
        self.telling = telling
        self.struct = telling.special.root.struct
        self.grafts = grafts
        self.names: dict[str, Any] = {"_misfits": MISFITS, "_hang": _hang}
        self.items: list[str] = []
        self.pending: list[Callable[[int], str]] = []
        self.makers: list[Callable[[int], Any]] = []
        self.ends: dict[str, Place] = {}
        self.kept: Mapping[int, tuple[Any, ...]] = _Kept(lambda offset: tuple(make(offset) for make in self.makers))
        self.numbers = 0
        self.length()
        self.root(form)
        self.settle()
        self.lines += [f"if n < {end}: raise Misfit" for end in self.ends.values() if end.base or end.shift]
        unpacked = "".join(f"k{number}," for number in range(len(self.makers)))
        body = "".join(f"  {line}\n" for line in self.lines)
        self.tell: Callable[..., str | None] = self.pieces.compiled(
            f"def tell(d, at, pieces, g):\n {unpacked} = pieces\n try:\n{body} except _misfits: return None\n"
            f" return f'{''.join(self.items)}'\n",
            "tell",
            self.names,
        )
        if any(
            "[" in name or name == "_rest" for name in grafts
        ):  # entries of arrays and what is left over: only the walk
            self.tell = lambda *_: None

    # -- how the text is put together

    def constant(self, make: Callable[[int], str]) -> None:
        """Text that depends on the offset of the whole only."""
        self.pending.append(make)

    def words(self, text: str) -> None:
        """Text that is the same at every offset."""
        self.constant(lambda at: text)

    def comma(self) -> None:
        """A comma, which may stand in the code itself."""
        if self.pending:
            self.words(",")
        else:
            self.items.append(",")

    def settle(self) -> None:
        """What was constant so far is one piece."""
        if self.pending:
            makers, self.pending = self.pending, []
            self.items.append(f"{{{self.piece(lambda at: ''.join(make(at) for make in makers))}}}")

    def piece(self, make: Callable[[int], Any]) -> str:
        """The variable of something made per offset."""
        self.makers.append(make)
        return f"k{len(self.makers) - 1}"

    def late(self, expression: str) -> None:
        """What is known once all lines have run."""
        self.settle()
        self.items.append(f"{{{expression}}}")

    def told(self, expression: str) -> str:
        """A variable for a text that is made while the bytes may still turn out not to fit."""
        self.numbers += 1
        self.lines.append(f"t{self.numbers} = {expression}")
        return f"t{self.numbers}"

    def below(self, name: str, place: Place) -> str:
        self.numbers += 1
        self.lines.append(f"b{self.numbers} = g[{self.pieces.name(name)}]")
        below = f"b{self.numbers}"
        return f"{below} if type({below}) is str else {below}(at + {place})"

    # -- the parts

    def root(self, form: Form) -> None:
        plan, about = form.plan, self.struct.about
        name, meta = self.struct.__name__, _meta(source=about.source, status=about.status)
        self.constant(lambda at: _start(name, "record", at))
        self.late("8 * n")
        self.constant(lambda at: f',"offset":{at},"size":')
        self.late("n")
        self.words(meta)
        children = self.record(plan.root, self.grafts)
        if plan.end != Place("n"):
            if form.special.exact:
                self.lines.append(f"if n != {plan.end}: raise Misfit")
            else:
                leftover = self.pieces.name(_leftover(self.struct, children))
                self.late(self.told(f"{leftover}(d[{plan.end}:], at + {plan.end}) if n > {plan.end} else ''"))
        self.words("]}" if children else "}")

    def record(self, part: Part, grafts: tuple[str, ...] = ()) -> bool:
        """The children of a record, their list left open if there are any (the answer)."""
        shown = False
        for child in part.children:
            if child.shape == "absent" or (child.shape == "array" and not child.count):
                continue
            if shown:
                self.comma()
            else:
                self.words(',"children":[')
            shown = True
            self.part(child, child.name in grafts)
        return shown

    def part(self, part: Part, grafted: bool) -> None:
        self.guard(part)
        if part.size is not None:
            self.ends[part.after.base] = part.after
        match part.shape:
            case "record" | "nothing":
                self.nested(part, grafted)
            case "array":
                struct, context, node = self.struct, self.telling.context, part.node
                self.raw(part, lambda at: _array(struct, context, node, part, at), "", False)
            case "prefix":
                self.prefix(part, grafted)
            case _:
                self.leaf(part, grafted)

    def nested(self, part: Part, grafted: bool) -> None:
        head, place, size = _head(part.node.spec), part.place, part.size
        if place.base or size is None:
            start, after = self.at(place), self.at(part.after)
            self.late(f"{self.pieces.name(head)}(at + {start}, {after} - ({start}))")
        else:
            self.constant(lambda at: head(at + place.shift, size))
        shown = self.record(part)
        if grafted:
            self.words("," if shown else ',"children":[')
            self.late(self.below(part.name, place))
            shown = True
        self.words("]}" if shown else "}")

    def leaf(self, part: Part, grafted: bool) -> None:
        node = part.node
        leaf = self.telling.leaf(node, node.spec, node.kind, node.unpack)
        name = part.name if grafted else ""
        if part.shape == "leaf" and part.size == 1:
            place, number = part.place, f"d[{self.at(part.place)}]"
            if place.base:
                text = f"{self.pieces.name(leaf.bytes_at)}[at + {place}][{number}]"
            else:
                text = f"{self.piece(lambda at: leaf.bytes_at[at + place.shift])}[{number}]"
            self.hung(self.told(text), name, leaf.grown, place)
        else:
            self.raw(part, leaf.at.__getitem__, name, leaf.grown)

    def raw(self, part: Part, teller: Callable[[int], Callable[[bytes], str]], grafted: str, grown: bool) -> None:
        """A part that is told from its bytes by what ``teller`` answers for its offset."""
        place = part.place
        raw = f"d[{self.at(place)}:{self.at(part.after)}]" if part.size is not None else self.content(part)
        if place.base:
            text = f"{self.pieces.name(teller)}(at + {place})({raw})"
        else:
            text = f"{self.piece(lambda at: teller(at + place.shift))}({raw})"
        self.hung(self.told(text), grafted, grown, place)

    def hung(self, variable: str, grafted: str, grown: bool, place: Place) -> None:
        self.late(f"_hang({variable}, {grown}, {self.below(grafted, place)})" if grafted else variable)

    def prefix(self, part: Part, grafted: bool) -> None:
        node: PrefixNode = part.node
        inner: Any = node.inner
        size = node.spec.prefix
        spec = Spec(name="length", orig="LENGTH", unit="byte")
        length = self.telling.leaf(spec, spec, node.kind, converters(node.kind, node.order, size)[0])
        content = self.telling.leaf(inner, inner.spec, inner.kind, inner.unpack)
        head = _head(node.spec)

        def teller(offset: int) -> Callable[[bytes], str]:
            def tell(raw: bytes) -> str:
                number, value = length.at[offset](raw[:size]), content.at[offset + size](raw[size:])
                return f'{head(offset, len(raw))},"children":[{number},{value}]}}'

            return tell

        self.content(part)
        place = part.place
        text = f"{self.pieces.name(teller)}(at + {place})(d[{self.at(place)}:{part.after}])"
        self.hung(self.told(text), part.name if grafted else "", True, place)
