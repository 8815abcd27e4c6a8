"""The quick way through a layout whose sizes are all known: one ``struct`` call, generated constructors.

The generated code contains names of declared fields and numbers only, never data. Long arrays are taken as one run of bytes
and unpacked entry by entry, so formats stay short. Where anything does not fit, encode answers None and the walk of
``nodes`` finds and names the culprit.
"""

from __future__ import annotations

import struct as pystruct
from typing import Any

from osgp.wire.nodes import ArrayNode, LeafNode, Node, RecordNode, UnionNode

__all__ = ["Fast", "compile_fast"]

_LONG = 48


class Fast:
    """Compiled decode and encode of a fixed-size record."""

    __slots__ = ("build", "dump", "form", "rest", "size")

    def __init__(self, form: pystruct.Struct, build: Any, dump: Any) -> None:
        self.form = form
        self.size = form.size
        self.build = build
        self.dump = dump

    def decode(self, data: bytes) -> Any:
        value = self.build(self.form.unpack_from(data), 0)
        if len(data) > self.size:
            value._rest = bytes(data[self.size :])
        return value

    def encode(self, value: Any) -> bytes | None:
        try:
            return self.form.pack(*self.dump(value)) + value._rest  # type: ignore[no-any-return]  # bytes by the slot's type
        except (pystruct.error, TypeError, ValueError, OverflowError, AttributeError):
            return None


class _Unfit(Exception):
    """This part cannot be said with fixed formats."""


class _Writer:
    def __init__(self, big: bool) -> None:
        self.names: dict[str, Any] = {}
        self.order = "big" if big else "little"
        self.mark = ">" if big else "<"

    def name(self, value: Any) -> str:
        key = f"g{len(self.names)}"
        self.names[key] = value
        return key

    def leaf(self, node: LeafNode) -> tuple[str, int, str, str]:
        """(format, slots, expression from v[{0}], expression from the value x) of one leaf."""
        if node.size is None:
            raise _Unfit
        kind = node.kind
        code = kind.code(node.order) if node.order == self.order or node.size == 1 else None
        if code is not None:
            wrap = kind.wrap(node.order)
            return code, 1, ("{0}" if wrap is None else f"{self.name(wrap)}({{0}})"), "{0}"
        if kind.name == "binary":
            return f"{node.size}s", 1, "{0}", f"{self.name(node.pack)}({{0}})"
        return f"{node.size}s", 1, f"{self.name(node.unpack)}({{0}})", f"{self.name(node.pack)}({{0}})"

    def node(self, node: Node) -> tuple[str, int, str, str, bool]:
        """(format, slots, build expression over v and k, dump expression over x, dump needs a star)."""
        if isinstance(node, LeafNode):
            form, slots, build, dump = self.leaf(node)
            return form, slots, build.format("v[{k}]"), dump.format("{x}"), False
        if isinstance(node, RecordNode):
            form, slots, build, dump = self.record(node, None)
            return form, slots, f"{self.name(build)}(v,{{k}})", f"{self.name(dump)}({{x}})", True
        if isinstance(node, UnionNode):
            if len(node.cases) != 1 or not isinstance(node.cases[0][0], int):
                raise _Unfit
            return self.node(node.cases[0][1])
        if isinstance(node, ArrayNode):
            return self.array(node)
        raise _Unfit

    def array(self, node: ArrayNode) -> tuple[str, int, str, str, bool]:
        if node.size is None or not isinstance(node.count, int):
            raise _Unfit
        count = max(0, node.count)
        item = node.item
        if count == 0:
            return "", 0, "[]", f"{self.name(_exactly(0))}({{x}})", True
        if isinstance(item, LeafNode):
            if node.stride is not None and node.stride != item.size:
                raise _Unfit
            form, _, build, dump = self.leaf(item)
            if form[-1] != "s" and build == "{0}" and dump == "{0}":
                check = self.name(_exactly(count))
                return f"{count}{form}", count, f"list(v[{{k}}:{{k}}+{count}])", f"{check}({{x}})", True
            one = pystruct.Struct(self.mark + form)
            inner_build, inner_dump = build.format("v[0]"), dump.format("x")
            make = eval(f"lambda v: {inner_build}", self.names)
            take = eval(f"lambda x: ({inner_dump},)", self.names)
        elif isinstance(item, RecordNode):
            stride = node.stride if isinstance(node.stride, int) else None
            if node.stride is not None and stride is None:
                raise _Unfit
            form, _, build_record, dump_record = self.record(item, stride)
            one = pystruct.Struct(self.mark + form)
            make = eval("lambda v, b=b: b(v, 0)", {"b": build_record})
            take = dump_record
        else:
            raise _Unfit
        whole = one.size * count
        unpack = self.name(_unpacker(one, make))
        pack = self.name(_packer(one, take, count))
        return f"{whole}s", 1, f"{unpack}(v[{{k}}])", f"{pack}({{x}})", False

    def record(self, node: RecordNode, stride: int | None) -> tuple[str, int, Any, Any]:
        """Format, slots and the two generated functions of a record."""
        if node.size is None or node.index is not None:
            raise _Unfit
        form, place, lines, parts = "", 0, [], []
        used = 0
        cut = False
        for name, member, when in node.members:
            size = 0 if member is None else member.size or 0
            if stride is not None and used + size > stride:
                cut = True
            if member is None or cut:
                lines.append(f" o.{name} = None")
                continue
            if when is not None:
                raise _Unfit
            inner, slots, build, dump, star = self.node(member)
            used += size
            form += inner
            lines.append(f" o.{name} = " + build.replace("{k}", f"k+{place}"))
            parts.append(("*" if star else "") + dump.replace("{x}", f"o.{name}"))
            place += slots
        if stride is not None and used < stride:
            form += f"{stride - used}s"
            lines.append(f" o._rest = v[k+{place}]")
            parts.append(f"{self.name(_filler(stride - used))}(o._rest)")
            place += 1
        else:
            lines.append(" o._rest = b''")
            if stride is not None:
                parts.append(f"*{self.name(_nothing)}(o._rest)")
        names = {**self.names, "_c": node.struct, "_n": node.struct.__new__}
        nested = stride is None and node.spec.name != node.struct.__name__
        guard = "type(o) is not _c or o._rest" if nested else "type(o) is not _c"
        checks = f" if {guard}: raise TypeError\n"
        source = "def build(v, k):\n o = _n(_c)\n" + "\n".join(lines) + "\n return o\n"
        source += "def dump(o):\n" + checks + f" return ({', '.join(parts)}{',' if parts else ''})\n"
        exec(source, names)
        return form, place, names["build"], names["dump"]


def _exactly(count: int) -> Any:
    def check(items: Any) -> Any:
        if len(items) != count:
            raise ValueError(count)
        return items

    return check


def _nothing(rest: bytes) -> tuple[()]:
    if rest:
        raise ValueError("bytes left over")
    return ()


def _filler(size: int) -> Any:
    def fill(rest: bytes) -> bytes:
        if len(rest) > size:
            raise ValueError("too many bytes left over")
        return rest.ljust(size, b"\0")

    return fill


def _unpacker(one: pystruct.Struct, make: Any) -> Any:
    if one.size == 0:
        raise _Unfit
    return lambda raw: [make(v) for v in one.iter_unpack(raw)]


def _packer(one: pystruct.Struct, take: Any, count: int) -> Any:
    def pack(items: Any) -> bytes:
        if len(items) != count:
            raise ValueError(count)
        return b"".join([one.pack(*take(item)) for item in items])

    return pack


def compile_fast(root: RecordNode) -> Fast | None:
    """The quick form of a record, or None if its sizes depend on its bytes."""
    if root.size is None:
        return None
    writer = _Writer(_is_big(root))
    try:
        form, _, build, dump = writer.record(root, None)
    except _Unfit:
        return None
    return Fast(pystruct.Struct(writer.mark + form), build, dump)


def _is_big(node: Node) -> bool:
    """The byte order of most integers, so that few need converting."""
    votes = 0
    todo: list[Node] = [node]
    while todo:
        each = todo.pop()
        if isinstance(each, LeafNode):
            votes += 0 if each.size == 1 else 1 if each.order == "big" else -1
        elif isinstance(each, RecordNode):
            todo.extend(member for _, member, _ in each.members if member is not None)
        elif isinstance(each, ArrayNode):
            todo.append(each.item)
        elif isinstance(each, UnionNode):
            todo.extend(case for _, case in each.cases)
    return votes > 0
