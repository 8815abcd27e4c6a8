"""Pieces of generated code for parts whose size is known: leaves, arrays, and the records that arrays repeat.

``special`` puts them together to whole structures. The generated code contains names of declared fields and numbers only,
never data. Long arrays are taken as one run of bytes and unpacked entry by entry, so formats stay short.
"""

from __future__ import annotations

import struct as pystruct
from collections.abc import Callable, Mapping
from typing import Any

from osgp.wire.bits import Bits
from osgp.wire.kinds import BinaryKind, BitsKind, EnumKind
from osgp.wire.nodes import ArrayNode, LeafNode, Node, RecordNode, UnionNode, converters

__all__ = ["Misfit", "Pieces", "Unfit", "is_big"]

_FEW = 16
"""Numbers of an array that become slots of their own in a format."""


class Unfit(Exception):
    """This part cannot be said with fixed formats; while compiling."""


class Misfit(ValueError):
    """These bytes or values are not of the compiled form; the walk reads or writes them, or says what is wrong."""


class _Codes(dict[int, Any]):
    """The members of an enumeration by code; of one byte, so there are few."""

    def __init__(self, enum: Any) -> None:
        super().__init__()
        self.enum = enum

    def __missing__(self, code: int) -> Any:
        found = self[code] = self.enum(code)
        return found


class Pieces:
    """Expressions for leaves and arrays, and the objects that they name."""

    def __init__(self, big: bool) -> None:
        self.names: dict[str, Any] = {"_make": int.__new__, "_new": object.__new__, "Misfit": Misfit}
        self.order = "big" if big else "little"
        self.mark = ">" if big else "<"
        self._known: dict[int, str] = {}

    def name(self, value: Any) -> str:
        """What generated code calls an object."""
        key = self._known.get(id(value))
        if key is None:
            key = self._known[id(value)] = f"g{len(self.names)}"
            self.names[key] = value
        return key

    def compiled(self, source: str, name: str, more: Mapping[str, Any] | None = None) -> Any:
        """The function of that name in the source."""
        space = {**self.names, **(more or {})}
        exec(source, space)
        return space[name]

    def leaf(self, node: LeafNode, size: int) -> tuple[str, str, str]:
        """(format, value from {0} as unpacked, what to pack from the value {0}) of one leaf of ``size`` bytes."""
        kind = node.kind
        code = kind.code(node.order) if node.order == self.order or size == 1 else None
        if code is not None:
            return code, self._wrapped(node), "{0}"
        pack = node.pack if node.size == size else converters(kind, node.order, size)[1]
        if type(kind) is BinaryKind:
            return f"{size}s", "{0}", f"{self.name(pack)}({{0}})"
        if kind.size is None:
            pack = _sized(pack, size)
        return f"{size}s", f"{self.name(node.unpack)}({{0}})", f"{self.name(pack)}({{0}})"

    def _wrapped(self, node: LeafNode) -> str:
        kind = node.kind
        if isinstance(kind, BitsKind) and isinstance(kind.bits, type) and issubclass(kind.bits, Bits):
            if kind.size == 1:
                return f"{self.name(kind.bits._instances())}[{{0}}]"
            if kind.bits.__new__ is Bits.__new__:
                return f"_make({self.name(kind.bits)},{{0}})"
        if isinstance(kind, EnumKind) and kind.size == 1:
            return f"{self.name(_Codes(kind.enum))}[{{0}}]"
        wrap = kind.wrap(node.order)
        return "{0}" if wrap is None else f"{self.name(wrap)}({{0}})"

    def array(self, node: ArrayNode, count: int, stride: int | None) -> tuple[str, int, str, str, bool]:
        """(format, slots, list from {0}, what to pack from the list {0}, that is several) of an array. With many slots {0} is
        all of them, separated by commas."""
        item = node.item
        if count == 0:
            return "", 0, "[]", f"{self.name(_exactly(0))}({{0}})", True
        if isinstance(item, LeafNode):
            if item.size is None or (stride is not None and stride != item.size):
                raise Unfit
            form, build, dump = self.leaf(item, item.size)
            if form[-1] != "s" and build == "{0}":
                if count <= _FEW:
                    return f"{count}{form}", count, "[{0}]", f"{self.name(_exactly(count))}({{0}})", True
                whole = pystruct.Struct(f"{self.mark}{count}{form}")
                unpack, pack = self.name(_all_of(whole)), self.name(_all_to(whole, count))
                return f"{whole.size}s", 1, f"{unpack}({{0}})", f"{pack}({{0}})", False
            one = pystruct.Struct(self.mark + form)
            make = eval(f"lambda v: {build.format('v[0]')}", self.names)
            take = eval(f"lambda x: ({dump.format('x')},)", self.names)
        elif isinstance(item, RecordNode):
            form, _, build_record, dump_record = self.record(item, stride)
            one = pystruct.Struct(self.mark + form)
            make = eval("lambda v, b=b: b(v, 0)", {"b": build_record})
            take = dump_record
        else:
            raise Unfit
        if one.size == 0:
            raise Unfit
        unpack, pack = self.name(_unpacker(one, make)), self.name(_packer(one, take, count))
        return f"{one.size * count}s", 1, f"{unpack}({{0}})", f"{pack}({{0}})", False

    def _node(self, node: Node, place: int) -> tuple[str, int, str, str, bool]:
        """The same for any node inside an entry, over the slots ``v`` from ``k`` + ``place`` on."""
        if isinstance(node, LeafNode):
            if node.size is None:
                raise Unfit
            form, build, dump = self.leaf(node, node.size)
            return form, 1, build.format(f"v[k+{place}]"), dump, False
        if isinstance(node, RecordNode):
            form, slots, make, take = self.record(node, None)
            return form, slots, f"{self.name(make)}(v,k+{place})", f"{self.name(take)}({{0}})", True
        if isinstance(node, UnionNode):
            if len(node.cases) != 1 or not isinstance(node.cases[0][0], int):
                raise Unfit
            return self._node(node.cases[0][1], place)
        if isinstance(node, ArrayNode) and isinstance(node.count, int) and node.size is not None:
            form, slots, build, dump, many = self.array(
                node, max(0, node.count), None if node.stride is None else max(0, node.stride)
            )
            return form, slots, build.format(",".join(f"v[k+{place + slot}]" for slot in range(slots))), dump, many
        raise Unfit

    def record(self, node: RecordNode, stride: int | None) -> tuple[str, int, Any, Any]:
        """Format, slots and the two generated functions of a record inside an array."""
        if node.size is None or node.index is not None:
            raise Unfit
        form, place, used, cut = "", 0, 0, False
        cls = self.name(node.struct)
        guards = [f"type(o) is not {cls}", *(("o._rest",) if stride is None else ())]
        lines: list[str] = []
        parts: list[str] = []
        for name, member, when in node.members:
            size = 0 if member is None else member.size or 0
            if stride is not None and used + size > stride:
                cut = True
            if member is None or cut:
                lines.append(f" o.{name} = None")
                if member is not None:
                    guards.append(f"o.{name} is not None")
                continue
            if when is not None or (member.optional and not size):
                raise Unfit
            inner, slots, build, dump, many = self._node(member, place)
            used += size
            form += inner
            lines.append(f" o.{name} = {build}")
            parts.append(("*" if many else "") + dump.format(f"o.{name}"))
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
        build_lines = "\n".join(lines)
        build = self.compiled(f"def build(v, k):\n o = _new({cls})\n{build_lines}\n return o\n", "build")
        tail = "," if parts else ""
        dump = self.compiled(
            f"def dump(o):\n if {' or '.join(guards)}: raise Misfit\n return ({', '.join(parts)}{tail})\n", "dump"
        )
        return form, place, build, dump


def _exactly(count: int) -> Callable[[Any], Any]:
    def check(items: Any) -> Any:
        if type(items) is not list or len(items) != count:
            raise Misfit
        return items

    return check


def _nothing(rest: bytes) -> tuple[()]:
    if rest:
        raise Misfit
    return ()


def _filler(size: int) -> Callable[[bytes], bytes]:
    def fill(rest: bytes) -> bytes:
        if len(rest) > size:
            raise Misfit
        return rest.ljust(size, b"\0")

    return fill


def _sized(pack: Callable[[Any], bytes], size: int) -> Callable[[Any], bytes]:
    def exact(value: Any) -> bytes:
        raw = pack(value)
        if len(raw) != size:
            raise Misfit
        return raw

    return exact


def _all_of(whole: pystruct.Struct) -> Callable[[bytes], list[Any]]:
    return lambda raw: list(whole.unpack(raw))


def _all_to(whole: pystruct.Struct, count: int) -> Callable[[Any], bytes]:
    def pack(items: Any) -> bytes:
        if type(items) is not list or len(items) != count:
            raise Misfit
        return whole.pack(*items)

    return pack


def _unpacker(one: pystruct.Struct, make: Callable[[Any], Any]) -> Callable[[bytes], list[Any]]:
    return lambda raw: [make(v) for v in one.iter_unpack(raw)]


def _packer(one: pystruct.Struct, take: Callable[[Any], Any], count: int) -> Callable[[Any], bytes]:
    def pack(items: Any) -> bytes:
        if type(items) is not list or len(items) != count:
            raise Misfit
        return b"".join([one.pack(*take(item)) for item in items])

    return pack


def is_big(node: Node) -> bool:
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
