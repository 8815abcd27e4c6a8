"""Structures as plain JSON and back, by the standard's field names. Lossless: ``from_json(to_json(x)) == x``."""

from __future__ import annotations

from typing import Any, TypeVar

from osgp.wire.context import EMPTY
from osgp.wire.errors import BadValue
from osgp.wire.expr import INDEX_ROOT, OUTER_ROOT, Ref, references
from osgp.wire.fields import Field, Spec
from osgp.wire.nodes import Items, Run
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
    """An instance from the dictionary of ``to_json``. Raises BadValue naming the field.

    The case of a union is the declared one, where the fields that decide it are given here; where other tables or the outside
    decide, the first that has the names of the value (project choice: JSON says no case).
    """
    return _from_json(struct, value, Run(EMPTY))


def _from_json(struct: type[S], value: Any, run: Run) -> S:
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
    run.stack.append((struct, instance))
    for name, spec in struct.specs.items():
        setattr(instance, name, _read(struct, spec, given[name], run) if name in given else None)
        if spec.orig.upper() in gaps:
            setattr(instance, name, Items(getattr(instance, name) or [], gaps[spec.orig.upper()]))
    run.stack.pop()
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
    return _read_one(Struct, spec, value, Run(EMPTY))


def _read(struct: type[Struct], spec: Spec, value: Any, run: Run) -> Any:
    if spec.count is None:
        return _read_one(struct, spec, value, run)
    if not isinstance(value, list):
        raise BadValue("a list is needed", floor=struct.about.floor, struct=struct.__name__, field=spec.name)
    outside, items = run.index, []
    for run.index, item in enumerate(value):
        items.append(_read_one(struct, spec, item, run))
    run.index = outside
    return items


def _read_one(struct: type[Struct], spec: Spec, value: Any, run: Run) -> Any:
    try:
        if spec.kind is not None:
            return spec.kind.from_json(value)
        if spec.struct is not None:
            return _record(spec, spec.struct, value, run)
        return _from_json(_case(spec, value, run), value, run)
    except BadValue:
        raise
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise BadValue(
            f"{value!r:.60}: {error}", floor=struct.about.floor, struct=struct.__name__, field=spec.name
        ) from error


def _record(spec: Spec, struct: type[Struct], value: Any, run: Run) -> Any:
    """A record; inside it, INDEX is what its declaration says, if it says so and that is known."""
    if spec.index is None:
        return _from_json(struct, value, run)
    outside = run.index
    run.index = run.number(spec.index) if all(_known(ref, run) for ref in references(spec.index)) else None
    instance = _from_json(struct, value, run)
    run.index = outside
    return instance


def _case(spec: Spec, value: Any, run: Run) -> type[Struct]:
    """The declared case of a union, if what decides it is known; else the first that knows all names of the value."""
    struct: type[Struct]
    for case in spec.cases:
        if not all(_known(ref, run) for ref in references(case.when)):
            break
        if run.number(case.when):
            struct = case.struct
            return struct
    names = {key.upper() for key in value if not key.startswith("_")}
    for case in spec.cases:
        struct = case.struct
        if names <= {field.orig.upper() for field in struct.specs.values()}:
            return struct
    raise BadValue("no case of the union has these fields", field=spec.name)


def _known(ref: Ref, run: Run) -> bool:
    """Whether what a reference asks for was given; a field that was left out is one that its caller may have forgotten."""
    root, path = ref._root, ref._path
    if root is INDEX_ROOT:
        return run.index is not None
    if root is OUTER_ROOT:
        return any(getattr(instance, path[0], None) is not None for _, instance in run.stack)
    if not isinstance(root, Field):
        return False
    name = root._spec.name
    return any(
        struct.declared.get(name) is root and getattr(instance, name, None) is not None
        for struct, instance in run.stack
    )
