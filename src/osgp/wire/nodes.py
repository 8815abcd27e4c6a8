"""The compiled form of a declaration: a tree of nodes that reads and writes bytes step by step.

Every layout has these nodes; where all sizes are known before the bytes are seen, ``fast`` replaces the walk by one call of
the ``struct`` module. Both give the same values (tested against each other).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from osgp.wire.context import Context, MissingTable
from osgp.wire.errors import BadValue, DecodeError, Truncated
from osgp.wire.explain import Recorder
from osgp.wire.expr import ENV_ROOT, INDEX_ROOT, OUTER_ROOT, Declared, Expr, Ref, Unresolved, evaluate, follow
from osgp.wire.fields import MANY, Field, Spec
from osgp.wire.kinds import IntKind, Kind

__all__ = ["ArrayNode", "Items", "LeafNode", "Node", "PrefixNode", "RecordNode", "Run", "UnionNode", "converters"]

_MAX_EMPTY = 4096
"""Entries of size zero that a count may ask for: hostile counts must not cost memory (project choice)."""


class Items(list[Any]):
    """An array that the bytes ended by themselves; ``gap`` keeps the bytes between its last entry and its end."""

    __slots__ = ("gap",)

    def __init__(self, items: Any = (), gap: bytes = b"") -> None:
        super().__init__(items)
        self.gap = gap


class Run:
    """One walk over bytes: the outside world, the records being read, and where references find their values."""

    __slots__ = ("base", "context", "data", "index", "recorder", "stack")

    def __init__(self, context: Context, data: bytes = b"", recorder: Recorder | None = None) -> None:
        self.context = context
        self.data = data
        self.base = 0
        self.stack: list[tuple[Declared, Any]] = []
        self.index: int | None = None
        self.recorder = recorder

    def resolve(self, ref: Ref) -> int:
        root, path = ref._root, ref._path
        if isinstance(root, Field):
            name = root._spec.name
            for struct, instance in reversed(self.stack):
                if struct.declared.get(name) is root:
                    if instance is None:
                        raise Unresolved(repr(ref))
                    return follow(getattr(instance, name, None), path, self, ref)
            raise Unresolved(repr(ref))
        if root is INDEX_ROOT:
            if self.index is None:
                raise Unresolved("INDEX")
            return self.index
        if root is OUTER_ROOT:
            for struct, instance in reversed(self.stack):
                if path[0] in struct.declared and (instance is None or hasattr(instance, path[0])):
                    if instance is None:
                        raise Unresolved(repr(ref))
                    return follow(getattr(instance, path[0]), path[1:], self, ref)
            raise Unresolved(repr(ref))
        if root is ENV_ROOT:
            return self.context.named(path[0])
        return self.context.lookup(
            root, tuple(evaluate(part, self) if isinstance(part, Expr) else part for part in path)
        )

    def number(self, value: Any) -> int:
        return evaluate(value, self) if isinstance(value, Expr) else int(value)


class Node:
    """Base of the compiled nodes. ``size``: bytes if known before the bytes are seen, else None."""

    __slots__ = ("optional", "size", "spec")

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.size: int | None = None
        self.optional = False

    def decode(self, run: Run, pos: int, end: int) -> tuple[Any, int]:
        raise TypeError

    def encode(self, run: Run, value: Any, out: bytearray) -> None:
        raise TypeError

    def measure(self, run: Run) -> int:
        """Size in bytes without looking at any. Raises Unresolved."""
        if self.size is None:
            raise Unresolved(self.spec.name)
        return self.size

    def _bad(self, run: Run, message: str, at: int | None = None) -> BadValue:
        return BadValue(message, **self._where(run), bit_offset=None if at is None else 8 * at, data=run.data)

    def _short(self, run: Run, pos: int, end: int, need: int) -> Truncated:
        return Truncated(
            f"{need} bytes needed, {max(0, end - pos)} left", **self._where(run), bit_offset=8 * pos, data=run.data
        )

    def _where(self, run: Run) -> dict[str, Any]:
        top = run.stack[0][0] if run.stack else None
        names = [struct.__name__ for struct, _ in run.stack[1:]]
        return {
            "floor": top.about.floor if top else "wire",
            "struct": top.__name__ if top else "",
            "field": ".".join([*names, self.spec.name]),
        }


class LeafNode(Node):
    """One value out of a run of bytes."""

    __slots__ = ("at_most", "kind", "length", "order", "pack", "unpack")

    def __init__(self, spec: Spec, kind: Kind, order: str, length: Any) -> None:
        super().__init__(spec)
        self.kind = kind
        self.order = kind.order or order
        self.length = length
        self.at_most = spec.at_most
        if isinstance(length, int) and not spec.at_most:
            self.size = max(0, length)
        self.unpack, self.pack = converters(kind, self.order, self.size)

    def _length(self, run: Run, pos: int, end: int) -> int:
        if self.size is not None:
            return self.size
        if self.length is None:
            return end - pos - self.spec.leave
        length = max(0, run.number(self.length))
        return min(length, max(0, end - pos)) if self.at_most else length

    def decode(self, run: Run, pos: int, end: int) -> tuple[Any, int]:
        length = self._length(run, pos, end)
        if length < 0 or pos + length > end:
            raise self._short(run, pos, end, max(length, self.spec.leave))
        value = self.unpack(run.data[pos : pos + length])
        if run.recorder is not None:
            run.recorder.leaf(self.spec, self.kind, pos, length, value)
        return value, pos + length

    def encode(self, run: Run, value: Any, out: bytearray) -> None:
        if value is None:
            raise self._bad(run, "no value")
        pack = self.pack
        if self.size is None and self.length is not None and not self.at_most:
            _, pack = converters(self.kind, self.order, max(0, run.number(self.length)))
        try:
            raw = pack(value)
        except (ValueError, TypeError, OverflowError) as error:
            raise self._bad(run, f"{value!r:.60} does not fit: {error}") from error
        if self.at_most and len(raw) > max(0, run.number(self.length)):
            raise self._bad(run, f"{len(raw)} bytes where at most {run.number(self.length)} may be")
        out += raw

    def measure(self, run: Run) -> int:
        if self.size is not None:
            return self.size
        if self.length is None or self.at_most:
            raise Unresolved(self.spec.name)
        return max(0, run.number(self.length))


def converters(kind: Kind, order: str, size: int | None) -> tuple[Callable[[Any], Any], Callable[[Any], bytes]]:
    """From bytes to value and back, for the walk; ``fast`` uses the struct module instead."""
    wrap, unwrap = kind.wrap(order), kind.unwrap(order, size)
    if kind.code(order) is None:
        return wrap or bytes, unwrap or bytes
    width, signed = kind.size or 0, bool(getattr(kind, "signed", False))

    def unpack(raw: bytes) -> Any:
        number = int.from_bytes(raw, order, signed=signed)  # type: ignore[arg-type]  # "little" or "big" by construction
        return number if wrap is None else wrap(number)

    def pack(value: Any) -> bytes:
        return int(value).to_bytes(width, order, signed=signed)  # type: ignore[arg-type]  # as above

    return unpack, pack


class RecordNode(Node):
    """Fields one after the other, an object of its class as value."""

    __slots__ = ("index", "members", "struct", "tail")

    def __init__(self, spec: Spec, struct: Declared, members: list[tuple[str, Node | None, Any]], index: Any) -> None:
        super().__init__(spec)
        self.struct = struct
        self.members = members
        self.index = index
        self.tail = len(members)
        while self.tail and (members[self.tail - 1][1] is None or members[self.tail - 1][1].optional):  # type: ignore[union-attr]  # None is tested first
            self.tail -= 1
        if all(node is None or (when is None and node.size is not None) for _, node, when in members):
            self.size = sum(node.size or 0 for _, node, _ in members if node is not None)

    def decode(self, run: Run, pos: int, end: int) -> tuple[Any, int]:
        return self.decode_within(run, pos, end, cut=False)

    def decode_within(self, run: Run, pos: int, end: int, *, cut: bool) -> tuple[Any, int]:
        """``cut``: the record fills exactly ``pos:end``; what does not fit is left out, what is left over is kept."""
        instance: Any = object.__new__(self.struct)
        run.stack.append((self.struct, instance))
        index = run.index
        if self.index is not None:
            run.index = run.number(self.index)
        try:
            stopped = False
            for place, (name, node, when) in enumerate(self.members):
                value = None
                if node is not None and not stopped and (when is None or run.number(when)):
                    if pos >= end and place >= self.tail:
                        stopped = True
                    else:
                        mark = None if run.recorder is None else run.recorder.mark()
                        named = run.recorder if isinstance(node, (RecordNode, UnionNode)) else None
                        if named is not None:
                            named.enter(node.spec, pos, None)
                        try:
                            value, pos = node.decode(run, pos, end)
                        except Truncated:
                            if not cut:
                                raise
                            stopped = True
                            if run.recorder is not None and mark is not None:
                                run.recorder.forget(mark)
                        else:
                            if named is not None:
                                named.leave(pos, value)
                setattr(instance, name, value)
            instance._rest = run.data[pos:end] if cut else b""
            if cut and pos < end and run.recorder is not None:
                run.recorder.rest(pos, end)
            return instance, (end if cut else pos)
        finally:
            run.stack.pop()
            run.index = index

    def encode(self, run: Run, value: Any, out: bytearray) -> None:
        self.encode_within(run, value, out, cut=False)

    def encode_within(self, run: Run, value: Any, out: bytearray, *, cut: bool) -> None:
        """``cut``: the first absent field ends the record, as its stride did when it was read."""
        if not isinstance(value, self.struct):
            raise self._bad(run, f"a {self.struct.__name__} is needed, not {type(value).__name__}")
        run.stack.append((self.struct, value))
        index = run.index
        if self.index is not None:
            run.index = run.number(self.index)
        try:
            for place, (name, node, when) in enumerate(self.members):
                if node is None or (when is not None and not run.number(when)):
                    continue
                part = getattr(value, name)
                if part is None and (place >= self.tail or cut):
                    break
                node.encode(run, part, out)
            out += value._rest
        finally:
            run.stack.pop()
            run.index = index

    def measure(self, run: Run) -> int:
        if self.size is not None:
            return self.size
        index = run.index
        if self.index is not None:
            run.index = run.number(self.index)
        try:
            return sum(
                node.measure(run)
                for _, node, when in self.members
                if node is not None and (when is None or run.number(when))
            )
        finally:
            run.index = index


class ArrayNode(Node):
    """A field repeated."""

    __slots__ = ("count", "item", "stride", "until")

    def __init__(self, spec: Spec, item: Node, count: Any, stride: Any, until: Any) -> None:
        super().__init__(spec)
        self.item = item
        self.count = count
        self.stride = stride
        self.until = until
        width = stride if stride is not None else item.size
        if isinstance(count, int) and isinstance(width, int):
            self.size = max(0, count) * max(0, width)

    def width(self, run: Run) -> int | None:
        """Bytes per entry if the same for all. Raises Unresolved if it depends on bytes."""
        if self.stride is not None:
            return max(0, run.number(self.stride))
        return self.item.size

    def decode(self, run: Run, pos: int, end: int) -> tuple[Any, int]:
        if self.count is MANY:
            return self._decode_many(run, pos, end)
        count = max(0, run.number(self.count))
        width = self.width(run)
        if width is not None and pos + count * width > end:
            raise self._short(run, pos, end, count * width)
        items: list[Any] = []
        index, start = run.index, pos
        try:
            for number in range(count):
                run.index = number
                before = pos
                value, pos = self._item(run, pos, end, number)
                items.append(value)
                if pos == before and count > _MAX_EMPTY:
                    raise self._bad(run, f"{count} entries of no size", start)
        finally:
            run.index = index
        return items, pos

    def _item(self, run: Run, pos: int, end: int, number: int) -> tuple[Any, int]:
        recorder = run.recorder
        if recorder is not None:
            recorder.enter(self.spec, pos, number)
        if self.stride is None:
            value, after = self.item.decode(run, pos, end)
        else:
            after = pos + max(0, run.number(self.stride))
            if after > end:
                raise self._short(run, pos, end, after - pos)
            if isinstance(self.item, RecordNode):
                value, _ = self.item.decode_within(run, pos, after, cut=True)
            else:
                value, _ = self.item.decode(run, pos, after)
        if recorder is not None:
            recorder.leave(after, value)
        return value, after

    def _decode_many(self, run: Run, pos: int, end: int) -> tuple[Any, int]:
        limit = end
        if self.until is not None:
            limit = min(end, max(pos, run.base + run.number(self.until)))
        items = Items()
        index = run.index
        try:
            while pos < limit:
                run.index = len(items)
                if not self.spec.prefix and self._starts_with_zero(run, pos, limit):
                    break
                before = pos
                mark = None if run.recorder is None else run.recorder.mark()
                try:
                    value, pos = self._item(run, pos, limit, len(items))
                except Truncated:
                    if self.spec.prefix:
                        raise
                    if run.recorder is not None and mark is not None:
                        run.recorder.forget(mark)
                    break
                items.append(value)
                if pos == before:
                    break
        finally:
            run.index = index
        if self.until is not None:
            items.gap = run.data[pos:limit]
            pos = limit
        return items, pos

    def _starts_with_zero(self, run: Run, pos: int, limit: int) -> bool:
        first: Node | None = self.item
        while isinstance(first, RecordNode):
            first = next((node for _, node, _ in first.members if node is not None), None)
        size = first.size if first is not None else None
        return bool(size) and pos + (size or 0) <= limit and not any(run.data[pos : pos + (size or 0)])

    def encode(self, run: Run, value: Any, out: bytearray) -> None:
        if value is None:
            raise self._bad(run, "no value")
        if self.count is not MANY:
            count = max(0, run.number(self.count))
            if len(value) != count:
                raise self._bad(run, f"{count} entries needed, {len(value)} given")
        index = run.index
        try:
            for number, item in enumerate(value):
                run.index = number
                before = len(out)
                if self.stride is not None and isinstance(self.item, RecordNode):
                    self.item.encode_within(run, item, out, cut=True)
                else:
                    self.item.encode(run, item, out)
                if self.stride is not None:
                    width = max(0, run.number(self.stride))
                    if len(out) - before > width:
                        raise self._bad(run, f"entry {number} has {len(out) - before} bytes, {width} are declared")
                    out += bytes(width - (len(out) - before))
        finally:
            run.index = index
        out += getattr(value, "gap", b"")

    def measure(self, run: Run) -> int:
        if self.size is not None:
            return self.size
        if self.count is MANY:
            raise Unresolved(self.spec.name)
        count = max(0, run.number(self.count))
        width = self.width(run)
        if width is not None:
            return count * width
        return self.offset_of(run, count)

    def offset_of(self, run: Run, number: int) -> int:
        """Bytes before entry ``number``, without looking at any."""
        width = self.width(run)
        if width is not None:
            return number * width
        index = run.index
        total = 0
        try:
            for place in range(number):
                run.index = place
                total += self.item.measure(run)
        finally:
            run.index = index
        return total


class UnionNode(Node):
    """The first of several records whose condition holds."""

    __slots__ = ("cases",)

    def __init__(self, spec: Spec, cases: list[tuple[Any, RecordNode]]) -> None:
        super().__init__(spec)
        self.cases = cases
        if cases and isinstance(cases[0][0], int) and cases[0][0]:
            self.size = cases[0][1].size
        elif all(isinstance(when, int) and not when for when, _ in cases):
            self.size = 0

    def choose(self, run: Run) -> RecordNode | None:
        return next((node for when, node in self.cases if run.number(when)), None)

    def decode(self, run: Run, pos: int, end: int) -> tuple[Any, int]:
        chosen = self.choose(run)
        return (None, pos) if chosen is None else chosen.decode(run, pos, end)

    def encode(self, run: Run, value: Any, out: bytearray) -> None:
        chosen = self.choose(run)
        if chosen is None:
            if value is not None:
                raise self._bad(run, "no case of the union applies, yet there is a value")
            return
        chosen.encode(run, value, out)

    def measure(self, run: Run) -> int:
        chosen = self.choose(run)
        return 0 if chosen is None else chosen.measure(run)


class PrefixNode(Node):
    """A field behind the number of its bytes, which it fills exactly."""

    __slots__ = ("inner", "kind", "order")

    def __init__(self, spec: Spec, inner: Node, order: str) -> None:
        super().__init__(spec)
        self.inner = inner
        self.order = order
        self.kind = IntKind(spec.prefix, order)

    def decode(self, run: Run, pos: int, end: int) -> tuple[Any, int]:
        spec, recorder = self.spec, run.recorder
        start = pos + spec.prefix
        if start > end:
            raise self._short(run, pos, end, spec.prefix)
        length = int.from_bytes(run.data[pos:start], self.order)  # type: ignore[arg-type]  # "little" or "big" by construction
        if recorder is not None:
            recorder.enter(spec, pos, None)
            recorder.leaf(Spec(name="length", orig="LENGTH", unit="byte"), self.kind, pos, spec.prefix, length)
        if length < spec.least or (spec.most is not None and length > spec.most):
            raise self._bad(run, f"{length} bytes are no length that this may have", pos)
        limit = start + length
        if limit > end:
            raise self._short(run, start, end, length)
        value, after = self.inner.decode(run, start, limit)
        if after != limit:
            raise self._bad(run, f"{limit - after} of {length} bytes are left over", after)
        if recorder is not None:
            recorder.leave(limit, value)
        return value, limit

    def encode(self, run: Run, value: Any, out: bytearray) -> None:
        body = bytearray()
        self.inner.encode(run, value, body)
        if len(body) >> 8 * self.spec.prefix:
            raise self._bad(run, f"{len(body)} bytes are more than their length can say")
        out += len(body).to_bytes(self.spec.prefix, self.order)  # type: ignore[arg-type]  # as above
        out += body


def partly(value: Any, run: Run) -> Any:
    """An expression reduced to a number if that needs no bytes, else the expression itself."""
    if not isinstance(value, Expr):
        return value
    try:
        return evaluate(value, run)
    except Unresolved:
        return value
    except MissingTable:
        raise
    except DecodeError:
        return value
