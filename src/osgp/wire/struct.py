"""``Struct``: one declaration from which everything else follows.

::

    class Packet(Struct, order="big", floor="c1218", source="ANSI C12.18; spec/optical.md 2"):
        start: int = f.u8(default=0xEE, doc="start of packet")
        length: int = f.u16(doc="bytes of data")
        data: bytes = f.binary(length, doc="one message or a part of it")

From it come encode, decode, explain with bit offsets, offset and size of any path, and JSON both ways. Instances are
plain objects with slots; ``_rest`` keeps bytes beyond the declared ones (newer firmware appends fields), so nothing is lost.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, dataclass_transform

from osgp.wire import fields
from osgp.wire.bits import BitField
from osgp.wire.context import EMPTY, Context
from osgp.wire.fields import Field, Spec
from osgp.wire.kinds import BitsKind

__all__ = ["About", "Struct"]

_OPTIONS = ("order", "floor", "source", "status", "exact")


@dataclass(frozen=True, slots=True)
class About:
    """What is declared of a structure as a whole: byte order ("" = the context's), floor, source document, its standing.

    ``exact``: bytes beyond the declared ones are an error (BadValue in ``decode``) instead of being kept.
    """

    order: str = ""
    floor: str = "wire"
    source: str = ""
    status: str = ""
    exact: bool = False


@dataclass_transform(
    kw_only_default=True,
    field_specifiers=(
        fields.u8,
        fields.u16,
        fields.u24,
        fields.u32,
        fields.u64,
        fields.i8,
        fields.i16,
        fields.i32,
        fields.i64,
        fields.uint,
        fields.sint,
        fields.ni_fmat1,
        fields.ni_fmat2,
        fields.code,
        fields.bits,
        fields.binary,
        fields.text,
        fields.bcd,
        fields.stime,
        fields.ltime,
        fields.time,
        fields.date,
        fields.rdate,
        fields.record,
        fields.union,
    ),
)
class StructMeta(type):
    """Turns the fields of a class body into slots and keeps their declarations in ``specs``.

    Options of the class line: those of ``About``; ``byte_order`` is the spelling of ``order`` for type checkers, which take
    the latter for dataclasses' own option.
    """

    specs: dict[str, Spec]
    declared: dict[str, Field]
    about: About

    def __new__(mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> Any:
        own = {key: value for key, value in namespace.items() if isinstance(value, Field)}
        specs: dict[str, Spec] = {}
        declared: dict[str, Field] = {}
        for base in bases:
            specs.update(getattr(base, "specs", {}))
            declared.update(getattr(base, "declared", {}))
        for key, value in own.items():
            del namespace[key]
            spec = value._spec
            spec.name = key
            spec.orig = spec.orig or key.upper()
            if isinstance(spec.kind, BitsKind) and isinstance(spec.default, int):
                spec.default = spec.kind.bits(spec.default)
            specs[key] = spec
            declared[key] = value
        namespace["__slots__"] = (*own, *namespace.get("__slots__", ()))
        namespace["specs"] = specs
        namespace["declared"] = declared
        if "byte_order" in options:  # the spelling for checkers, to whom ``order`` is dataclass_transform's own word
            options["order"] = options.pop("byte_order")
        given = {option: options.pop(option) for option in _OPTIONS if option in options}
        inherited = next((base.about for base in bases if isinstance(base, StructMeta)), About())
        namespace["about"] = replace(inherited, **given)
        return super().__new__(mcls, name, bases, namespace, **options)

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> None:
        super().__init__(name, bases, namespace)


class Struct(metaclass=StructMeta):
    """Base of every declared structure; ``about`` holds what its class line says (order, floor, source, status)."""

    __slots__ = ("_rest",)
    specs: ClassVar[dict[str, Spec]]
    declared: ClassVar[dict[str, Field]]
    about: ClassVar[About]

    def __init__(self, **values: Any) -> None:
        for name, spec in self.specs.items():
            if name in values:
                setattr(self, name, values.pop(name))
            elif spec.count is not None:
                setattr(self, name, [])
            elif isinstance(spec.default, (int, bytes)) and spec.kind is not None:
                setattr(self, name, spec.default)
            else:
                setattr(self, name, None)
        self._rest: bytes = values.pop(
            "_rest", b""
        )  # declared here: in the class body checkers would make it a parameter
        if values:
            raise TypeError(f"{type(self).__name__} has no field {', '.join(values)}")

    @classmethod
    def decode(cls, data: bytes, context: Context = EMPTY) -> Self:
        """Read an instance. Raises DecodeError (Truncated, BadValue) with structure, field and offset."""
        from osgp.wire.layout import layout_of

        return layout_of(cls, context).decode(data)

    def encode(self, context: Context = EMPTY) -> bytes:
        """The bytes of this instance. Raises BadValue for a value that its field cannot hold."""
        from osgp.wire.layout import layout_of

        return layout_of(type(self), context).encode(self)

    def to_json(self) -> dict[str, Any]:
        """A dictionary by the standard's field names; absent fields are left out."""
        from osgp.wire.jsonform import to_json

        return to_json(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """The inverse of ``to_json``; standard names or ours, in any case. Raises BadValue."""
        from osgp.wire.jsonform import from_json

        return from_json(cls, value)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._rest == getattr(other, "_rest", None) and all(
            getattr(self, name) == getattr(other, name) for name in self.specs
        )

    __hash__ = None  # type: ignore[assignment]  # mutable values have no hash

    def __repr__(self) -> str:
        inner = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.specs if getattr(self, name) is not None)
        return f"{type(self).__name__}({inner})"


def field_meta(struct: type[Struct], *names: str) -> Spec | BitField | None:
    """The declaration behind a chain of field names, through records, unions and bit words; None if there is none."""
    found: Spec | BitField | None = None
    places: list[Any] = [struct]
    for name in names:
        found = None
        for place in places:
            if isinstance(place, type) and issubclass(place, Struct):
                found = place.specs.get(name)
            elif hasattr(place, "fields"):
                found = place.fields.get(name)
            if found is not None:
                break
        if found is None:
            return None
        places = []
        if isinstance(found, Spec):
            if found.struct is not None:
                places.append(found.struct)
            places.extend(case.struct for case in found.cases)
            if found.kind is not None and hasattr(found.kind, "bits"):
                places.append(found.kind.bits)
    return found
