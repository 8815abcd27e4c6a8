"""``Layout``: a declaration compiled for given dimensions. The entrance to everything the byte language can do.

Compiled once per (structure, dimensions, firmware) and cached. Cost: compiling is O(fields); decode and encode are one call
of the ``struct`` module per run of bytes plus one object per record (``special``), else a walk of about 2 µs per field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar, cast

from osgp.wire.context import EMPTY, Context
from osgp.wire.errors import BadValue, ConfigError, DecodeError, Truncated
from osgp.wire.explain import ExplainNode, Recorder
from osgp.wire.expr import Unresolved, references
from osgp.wire.fields import MANY, Spec
from osgp.wire.nodes import ArrayNode, LeafNode, Node, PrefixNode, RecordNode, Run, UnionNode, partly
from osgp.wire.path import Part, format_path, parse_path
from osgp.wire.special import Special
from osgp.wire.struct import Struct
from osgp.wire.telling import Graft, Telling

__all__ = ["Layout", "Span", "dependencies", "layout_of"]

S = TypeVar("S", bound=Struct)


@dataclass(frozen=True, slots=True)
class Span:
    """Where a path lies: ``offset`` and ``size`` in bytes; ``bit`` and ``width`` if it is a bit field inside them; ``index`` of
    the array entry it is or lies in, since layouts may depend on that."""

    offset: int
    size: int
    spec: Any
    node: Node
    bit: int | None = None
    width: int | None = None
    path: str = ""
    index: int | None = None


class Layout(Generic[S]):
    """One structure with its dimensions fixed by a context."""

    def __init__(self, struct: type[S], context: Context) -> None:
        self.struct = struct
        self.context = context
        run = Run(context)
        run.stack.append((struct, None))
        order = struct.about.order or context.order
        try:
            self.root = _record(Spec(struct=struct, name=struct.__name__), struct, order, run, None)
        finally:
            run.stack.pop()
        self.read: Callable[[bytes], S] = self._first_read
        """``decode`` without its call; what ``Struct.decode`` uses."""
        self.write: Callable[[S], bytes] = self._first_write
        """``encode`` without its call."""
        self._special: Special | None = None
        self._telling: Telling | None = None

    @property
    def size(self) -> int | None:
        """Bytes of the whole structure if known before seeing any."""
        return self.root.size

    @property
    def special(self) -> Special:
        """The compiled form, made when it is first needed."""
        if self._special is None:
            run, exact = Run(self.context), self.struct.about.exact
            special = self._special = Special(self.root, run, exact, self._walk_read, self._walk_write)
            self.read, self.write = special.read, special.write
        return self._special

    def _first_read(self, data: bytes) -> S:
        return cast(S, self.special.read(data))

    def _first_write(self, value: S) -> bytes:
        return self.special.write(value)

    def decode(self, data: bytes) -> S:
        """Read an instance from all of ``data``; bytes beyond the declared ones are kept in ``_rest``.

        Raises Truncated, BadValue (with floor, structure, field, offset), MissingTable.
        """
        return self.read(data)

    def _walk_read(self, data: bytes) -> S:
        value = self._walk(Run(self.context, bytes(data)))
        if value._rest and self.struct.about.exact:
            raise self._left_over(data, len(data) - len(value._rest))
        return value

    def _left_over(self, data: bytes, end: int) -> BadValue:
        about = self.struct.about
        return BadValue(
            f"{len(data) - end} bytes are left over",
            floor=about.floor,
            struct=self.struct.__name__,
            bit_offset=8 * end,
            data=data,
        )

    def _walk(self, run: Run) -> S:
        try:
            value, end = self.root.decode(run, 0, len(run.data))
        except Unresolved as error:
            raise BadValue(
                f"{error} is not known here", floor=self.struct.about.floor, struct=self.struct.__name__
            ) from error
        value._rest = run.data[end:]
        return cast(S, value)

    def encode(self, value: S) -> bytes:
        """The bytes of an instance. Raises BadValue naming the field."""
        return self.write(value)

    def _walk_write(self, value: S) -> bytes:
        out = bytearray()
        try:
            self.root.encode(Run(self.context), value, out)
        except Unresolved as error:
            raise BadValue(
                f"{error} is not known here", floor=self.struct.about.floor, struct=self.struct.__name__
            ) from error
        return bytes(out)

    def explain(self, data: bytes) -> ExplainNode:
        """The tree of fields with offsets, bits, units and sources. Damaged data give the tree up to the damage."""
        recorder = Recorder(self.struct, bytes(data))
        run = Run(self.context, bytes(data), recorder)
        error: DecodeError | None = None
        end = len(data)
        try:
            _, end = self.root.decode(run, 0, len(data))
        except DecodeError as found:
            error = found
        root = recorder.finish(end, error)
        if error is None and end < len(data) and self.struct.about.exact:
            root.error = str(self._left_over(data, end))
        return root

    def explain_json(self, data: bytes, offset: int = 0, grafts: Mapping[str, Graft] | None = None) -> str:
        """The JSON text of ``explain(data)``, moved by ``offset`` bytes, mostly without a walk.

        ``grafts`` hangs trees below fields, as ``ExplainNode.graft`` does: by the name of the field, the text of a tree or a
        function that makes it, given the offset of the field, such as ``partial(layout_of(Npdu).explain_json, npdu)``.
        """
        telling = self._telling
        if telling is None:
            telling = self._telling = Telling(self.special, self.context, self.explain)
        return telling.tell(data, offset, grafts)

    def zero(self) -> S:
        """An instance decoded from zero bytes, as many as the structure needs."""
        if self.size is not None:
            return self.decode(bytes(self.size))
        value = self._walk(Run(self.context, bytes(1 << 17)))
        value._rest = b""
        for spec in self.struct.specs.values():
            open_ended = spec.at_most or (spec.kind is not None and spec.kind.size is None and spec.size is None)
            if open_ended and spec.count is None:
                setattr(value, spec.name, b"")
        return value

    def span(self, path: str | tuple[Part, ...]) -> Span:
        """Offset and size of a path. ConfigError for an unknown path, Unresolved where the bytes decide."""
        parts = parse_path(path) if isinstance(path, str) else path
        run = Run(self.context)
        offset, node = 0, cast(Node, self.root)
        shown = format_path(parts)
        for place, part in enumerate(parts):
            if isinstance(node, PrefixNode):
                raise Unresolved(shown)
            while isinstance(node, UnionNode):
                chosen = node.choose(run)
                if chosen is None:
                    raise ConfigError(f"{shown}: no case of {node.spec.name} applies with these dimensions")
                node = chosen
            if isinstance(part, str):
                if isinstance(node, LeafNode) and hasattr(node.kind, "bits") and place == len(parts) - 1:
                    field = node.kind.bits.fields.get(part) or _by_orig(node.kind.bits.fields, part)
                    if field is None:
                        raise _unknown(self.struct, shown, part, list(node.kind.bits.fields))
                    return Span(offset, node.size or 0, field, node, field.lsb, field.width, shown, run.index)
                if not isinstance(node, RecordNode):
                    raise ConfigError(
                        f"{self.struct.__name__}: {shown}: nothing named {part!r} inside {node.spec.name}"
                    )
                found = None
                for name, member, when in node.members:
                    present = member is not None and (when is None or bool(run.number(when)))
                    if name == part or (member is not None and member.spec.orig.lower() == part):
                        if not present or member is None:
                            raise ConfigError(
                                f"{self.struct.__name__}: {shown}: {part} is absent with these dimensions or this firmware"
                            )
                        found = member
                        break
                    if present and member is not None:
                        offset += member.measure(run)
                if found is None:
                    raise _unknown(self.struct, shown, part, [name for name, _, _ in node.members])
                node = found
                if node.spec.index is not None:
                    run.index = run.number(node.spec.index)
            else:
                if not isinstance(node, ArrayNode):
                    raise ConfigError(f"{self.struct.__name__}: {shown}: {node.spec.name} is not an array")
                if node.count is MANY:
                    raise Unresolved(shown)
                count = max(0, run.number(node.count))
                if isinstance(part, slice):
                    first, last, _ = part.indices(count)
                    start = node.offset_of(run, first)
                    size = max(0, node.offset_of(run, max(first, last)) - start)
                    if place != len(parts) - 1:
                        raise ConfigError(f"{self.struct.__name__}: {shown}: a slice must be the last part of a path")
                    inner = ArrayNode(node.spec, node.item, max(0, last - first), node.stride, None)
                    return Span(offset + start, size, node.spec, inner, path=shown)
                number = part + count if part < 0 else part
                if not 0 <= number < count:
                    raise ConfigError(
                        f"{self.struct.__name__}: {shown}: {node.spec.name} has {count} entries with these dimensions",
                        hint="entries count from 0; negative numbers count from the end",
                    )
                offset += node.offset_of(run, number)
                run.index = number
                node = _Element(node) if node.stride is not None and place == len(parts) - 1 else node.item
        return Span(offset, node.measure(run), node.spec, node, path=shown, index=run.index)

    def decode_span(self, span: Span, data: bytes) -> Any:
        """The value at a span from its bytes alone (``span.size`` of them)."""
        run = Run(self.context, bytes(data))
        run.stack.append((self.struct, None))
        run.index = span.index
        if len(data) < span.size:
            raise Truncated(
                f"{span.size} bytes needed, {len(data)} came",
                floor=self.struct.about.floor,
                struct=self.struct.__name__,
                field=span.path,
            )
        value, _ = span.node.decode(run, 0, span.size)
        if span.bit is not None and span.width is not None:
            return (int(value) >> span.bit) & ((1 << span.width) - 1)
        return value

    def encode_span(self, span: Span, value: Any) -> bytes:
        """The bytes of a value at a span; a bit field needs read-modify-write and is refused here with BadValue."""
        if span.bit is not None:
            raise BadValue("a bit field shares its byte with others", struct=self.struct.__name__, field=span.path)
        run = Run(self.context)
        run.stack.append((self.struct, None))
        run.index = span.index
        out = bytearray()
        span.node.encode(run, value, out)
        return bytes(out)


class _Element(Node):
    """One entry of an array with a stride."""

    __slots__ = ("array",)

    def __init__(self, array: ArrayNode) -> None:
        super().__init__(array.spec)
        self.array = array
        self.size = array.stride if isinstance(array.stride, int) else None

    def decode(self, run: Run, pos: int, end: int) -> tuple[Any, int]:
        return self.array._item(run, pos, end, run.index or 0)

    def encode(self, run: Run, value: Any, out: bytearray) -> None:
        ArrayNode(self.spec, self.array.item, 1, self.array.stride, None).encode(run, [value], out)

    def measure(self, run: Run) -> int:
        return max(0, run.number(self.array.stride))


def _unknown(struct: type[Struct], path: str, part: str, names: list[str]) -> ConfigError:
    import difflib

    near = difflib.get_close_matches(part, names, 3, 0.5) or names[:8]
    return ConfigError(
        f"{struct.__name__} has no {path!r}: nothing named {part!r}", hint=f"did you mean {', '.join(near)}?"
    )


def _by_orig(fields: dict[str, Any], name: str) -> Any:
    return next((field for field in fields.values() if field.orig.lower() == name), None)


def _record(spec: Spec, struct: type[Struct], order: str, run: Run, index: Any) -> RecordNode:
    """Compile a structure; fields newer than the firmware are absent at the end and stay as places in the middle."""
    order = struct.about.order or order
    firmware = run.context.firmware
    specs = list(struct.specs.values())
    last = len(specs)
    while last and specs[last - 1].since is not None and not specs[last - 1].since.covers(firmware):  # type: ignore[union-attr]  # tested before
        last -= 1
    members: list[tuple[str, Node | None, Any]] = []
    known = run.index
    run.index = None
    try:
        for place, field in enumerate(specs):
            when = partly(field.when, run)
            if place >= last or (isinstance(when, int) and not when):
                members.append((field.name, None, None))
                continue
            node = _node(field, order, run)
            node.optional = field.since is not None or field.optional
            members.append((field.name, node, None if isinstance(when, int) else when))
    finally:
        run.index = known
    return RecordNode(spec, struct, members, partly(index, run))


def _node(spec: Spec, order: str, run: Run) -> Node:
    node = _item(spec, order, run)
    if spec.count is not None:
        node = ArrayNode(spec, node, partly(spec.count, run), partly(spec.stride, run), partly(spec.until, run))
    return PrefixNode(spec, node, order) if spec.prefix else node


def _item(spec: Spec, order: str, run: Run) -> Node:
    if spec.kind is not None:
        length = spec.kind.size if spec.kind.size is not None else partly(spec.size, run)
        return LeafNode(spec, spec.kind, order, length)
    if spec.struct is not None:
        return _record(spec, spec.struct, order, run, spec.index)
    cases: list[tuple[Any, RecordNode]] = []
    for case in spec.cases:
        when = partly(case.when, run)
        if isinstance(when, int) and not when:
            continue
        cases.append((when, _record(spec, case.struct, order, run, None)))
        if isinstance(when, int):
            break
    return UnionNode(spec, cases)


@cache
def dependencies(struct: type[Struct]) -> frozenset[type[Struct]]:
    """The other tables whose contents decide the layout of this one, and theirs in turn."""
    found: set[type[Struct]] = set()

    def look(inner: type[Struct], seen: set[Any]) -> None:
        if inner in seen:
            return
        seen.add(inner)
        for spec in inner.specs.values():
            places = [
                spec.count,
                spec.when,
                spec.size,
                spec.stride,
                spec.until,
                spec.index,
                *(c.when for c in spec.cases),
            ]
            for value in places:
                for ref in references(value):
                    if isinstance(ref._root, type) and ref._root is not struct and ref._root not in found:
                        found.add(ref._root)
                        look(ref._root, seen)
            for nested in [spec.struct, *(case.struct for case in spec.cases)]:
                if nested is not None:
                    look(nested, seen)

    look(struct, set())
    return frozenset(found - {struct})


_CACHE: dict[tuple[Any, ...], Layout[Any]] = {}
_CACHE_LIMIT = 4096


def layout_of(struct: type[S], context: Context = EMPTY) -> Layout[S]:
    """The compiled layout, from the cache if the same dimensions were seen before."""
    found = context._layouts.get(struct)
    if found is None:
        needed = sorted(dependencies(struct), key=lambda table: table.__name__)
        key = (struct, context.key, tuple(context.raw.get(table) for table in needed))
        found = _CACHE.get(key)
        if found is None:
            if len(_CACHE) >= _CACHE_LIMIT:
                _CACHE.clear()
            found = _CACHE[key] = Layout(struct, context)
        context._layouts[struct] = found
    return cast(Layout[S], found)
