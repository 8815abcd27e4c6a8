"""Structures as plain JSON and back, by the standard's field names. Lossless: ``from_json(to_json(x)) == x``."""

from __future__ import annotations

from typing import Any, TypeVar

from osgp.wire.errors import BadValue
from osgp.wire.fields import Spec
from osgp.wire.nodes import Items
from osgp.wire.struct import Struct

__all__ = ["from_json", "to_json", "value_from_json", "value_to_json"]

S = TypeVar("S", bound=Struct)


def to_json(instance: Struct) -> dict[str, Any]:
    """A dictionary of the present fields; ``_REST`` holds bytes beyond them."""
    answer: dict[str, Any] = {}
    for name, spec in instance.specs.items():
        value = getattr(instance, name)
        if value is None:
            continue
        answer[spec.orig] = value_to_json(spec, value)
        gap = getattr(value, "gap", b"")
        if gap:
            answer[f"_GAP_{spec.orig}"] = gap.hex()
    if instance._rest:
        answer["_REST"] = instance._rest.hex()
    return answer


def value_to_json(spec: Spec, value: Any) -> Any:
    """One field's value (or one element of an array) as plain JSON."""
    if isinstance(value, list):
        return [value_to_json(spec, item) for item in value]
    if isinstance(value, Struct):
        return to_json(value)
    return value if spec.kind is None else spec.kind.to_json(value)


def from_json(struct: type[S], value: Any) -> S:
    """An instance from the dictionary of ``to_json``. Raises BadValue naming the field."""
    if not isinstance(value, dict):
        raise BadValue(f"{type(value).__name__} instead of an object", struct=struct.__name__, floor=struct.about.floor)
    names = {spec.orig.upper(): name for name, spec in struct.specs.items()}
    given = {}
    gaps = {}
    rest = b""
    for key, part in value.items():
        upper = key.upper()
        try:
            if upper == "_REST":
                rest = bytes.fromhex(part)
            elif upper.startswith("_GAP_"):
                gaps[upper[5:]] = bytes.fromhex(part)
            elif upper in names:
                given[names[upper]] = part
            elif key in struct.specs:
                given[key] = part
            else:
                raise BadValue(
                    "no such field",
                    floor=struct.about.floor,
                    struct=struct.__name__,
                    field=key,
                    hint=f"fields: {', '.join(names)}",
                )
        except (TypeError, ValueError) as error:
            if isinstance(error, BadValue):
                raise
            raise BadValue(
                f"not hexadecimal: {part!r:.40}", floor=struct.about.floor, struct=struct.__name__, field=key
            ) from error
    instance = struct.__new__(struct)
    for name, spec in struct.specs.items():
        setattr(instance, name, _read(struct, spec, given[name]) if name in given else None)
        if spec.orig.upper() in gaps:
            setattr(instance, name, Items(getattr(instance, name) or [], gaps[spec.orig.upper()]))
    instance._rest = rest
    return instance


def value_from_json(spec: Spec, value: Any, *, many: bool) -> Any:
    """One field's value, or a list of them (``many``); values that are already Python values pass. Raises BadValue."""
    if many:
        if not isinstance(value, (list, tuple)):
            raise BadValue(f"a list is needed, not {value!r:.40}", field=spec.name)
        return [value_from_json(spec, item, many=False) for item in value]
    if isinstance(value, (Struct, bytes)) or (isinstance(value, tuple) and hasattr(value, "_fields")):
        return value
    return _read_one(Struct, spec, value)


def _read(struct: type[Struct], spec: Spec, value: Any) -> Any:
    if spec.count is not None:
        if not isinstance(value, list):
            raise BadValue("a list is needed", floor=struct.about.floor, struct=struct.__name__, field=spec.name)
        return [_read_one(struct, spec, item) for item in value]
    return _read_one(struct, spec, value)


def _read_one(struct: type[Struct], spec: Spec, value: Any) -> Any:
    try:
        if spec.kind is not None:
            return spec.kind.from_json(value)
        if spec.struct is not None:
            return from_json(spec.struct, value)
        return from_json(_case(spec, value), value)
    except BadValue:
        raise
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise BadValue(
            f"{value!r:.60}: {error}", floor=struct.about.floor, struct=struct.__name__, field=spec.name
        ) from error


def _case(spec: Spec, value: Any) -> type[Struct]:
    """The first case of a union that knows all names of the value."""
    names = {key.upper() for key in value if not key.startswith("_")}
    for case in spec.cases:
        struct: type[Struct] = case.struct
        if names <= {field.orig.upper() for field in struct.specs.values()}:
            return struct
    raise BadValue("no case of the union has these fields", field=spec.name)
