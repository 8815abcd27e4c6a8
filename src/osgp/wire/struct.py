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

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, cast, dataclass_transform

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
    _made: Callable[..., None] | None
    _shared: bool

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
        namespace["_made"] = None
        parents = [base for base in bases if isinstance(base, StructMeta)]
        if "__init__" in namespace:
            namespace["_shared"] = True
            for parent in parents:
                parent._share()
        else:
            namespace["_shared"] = False
            if parents and parents[0].__init__ is parents[0]._made:  # type: ignore[misc]  # looked up, not called
                namespace["__init__"] = Struct.__init__  # the parent's own constructor knows the parent's fields only
        return super().__new__(mcls, name, bases, namespace, **options)

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> None:
        super().__init__(name, bases, namespace)

    def _share(cls) -> None:
        """Keep to ``Struct.__init__``: a subclass calls it from a constructor of its own, for the fields of all its heirs."""
        for each in cls.__mro__:
            if isinstance(each, StructMeta):
                each._shared = True
                if each._made is not None and each.__dict__.get("__init__") is each._made:
                    each.__init__ = Struct.__init__  # type: ignore[misc]  # the purpose


class Struct(metaclass=StructMeta):
    """Base of every declared structure; ``about`` holds what its class line says (order, floor, source, status)."""

    __slots__ = ("_rest",)
    specs: ClassVar[dict[str, Spec]]
    declared: ClassVar[dict[str, Field]]
    about: ClassVar[About]
    _made: ClassVar[Callable[..., None] | None]
    _shared: ClassVar[bool]

    def __init__(self, **values: Any) -> None:
        # Until the first instance; then the class has a constructor of its own. ``_rest`` is a word of it, too; declared
        # here, since in the class body checkers would make it a parameter.
        self._rest: bytes
        constructor = _constructor(type(self))
        if type(self).__init__ is Struct.__init__ and not type(self)._shared:
            type(self).__init__ = constructor  # type: ignore[method-assign]  # the purpose
        constructor(self, **values)

    @classmethod
    def decode(cls, data: bytes, context: Context = EMPTY) -> Self:
        """Read an instance. Raises DecodeError (Truncated, BadValue) with structure, field and offset."""
        layout = context._layouts.get(cls)
        if layout is None:
            layout = _layout_of(cls, context)
        return layout.read(data)  # type: ignore[no-any-return]  # an instance of cls by construction

    def encode(self, context: Context = EMPTY) -> bytes:
        """The bytes of this instance. Raises BadValue for a value that its field cannot hold."""
        layout = context._layouts.get(type(self))
        if layout is None:
            layout = _layout_of(type(self), context)
        return layout.write(self)  # type: ignore[no-any-return]  # bytes by construction

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


def _layout_of(struct: type[Struct], context: Context) -> Any:
    """The layout, when a context meets a structure for the first time; ``layout`` stands on this module."""
    from osgp.wire.layout import layout_of

    return layout_of(struct, context)


def _constructor(struct: type[Struct]) -> Callable[..., None]:
    """The constructor of a class, made once: its fields are keyword parameters. Of the declaration only names reach the code."""
    if struct._made is not None:
        return struct._made
    names: dict[str, Any] = {"_missing_": object()}
    parameters, lines = [], []
    for place, (name, spec) in enumerate(struct.specs.items()):
        given = isinstance(spec.default, (int, bytes)) and spec.kind is not None
        names[f"d{place}"] = names["_missing_"] if spec.count is not None else spec.default if given else None
        parameters.append(f"{name}=d{place}")
        fresh = f"[] if {name} is _missing_ else " if spec.count is not None else ""
        lines.append(f" _o.{name} = {fresh}{name}\n")
    exec(
        f"def __init__(_o, /, *, {', '.join([*parameters, '_rest=bytes()'])}):\n{''.join(lines)} _o._rest = _rest\n",
        names,
    )
    made = names["__init__"]
    made.__qualname__, made.__module__ = f"{struct.__qualname__}.__init__", struct.__module__
    struct._made = made
    return cast(Callable[..., None], made)


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
