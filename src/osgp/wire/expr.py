"""Small integer expressions inside declarations: a count, a condition, a stride that depends on other fields.

In a declaration a field stands for its own future value: ``count=nbr_chns // 2 + 1`` builds an ``Expr``, nothing is
computed. Type checkers see plain integers, because a field is annotated with the type of its value. Roots of a reference:

- a field of the same or an enclosing record, by its name in the class body, or ``outer.name`` from a nested class body;
- ``at(BT21).nbr_tiers``: a field of another table, taken from the ``Context``;
- ``env.gen4``: a named outside value of the ``Context``;
- ``INDEX``: the index of the innermost enclosing array element (or the value a record binds).

Integers only, true is 1, a field that is absent counts as 0. ``and``/``or``/``not`` cannot be overloaded in Python: use
``all_of``, ``any_of``, ``negate``. The language is a project choice; its operators are those the catalogue needs.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar, cast

from osgp.wire.errors import DecodeError

__all__ = [
    "INDEX",
    "Declared",
    "Expr",
    "Ref",
    "Unresolved",
    "all_of",
    "any_of",
    "at",
    "bit",
    "env",
    "evaluate",
    "negate",
    "outer",
    "popcount",
    "references",
]

T = TypeVar("T")

Declared = type[Any]
"""A declared structure, for the modules below ``struct`` that only hand it on."""


class Unresolved(Exception):
    """An expression depends on a field that only the bytes can tell (used inside ``wire`` while compiling)."""


class Scope(Protocol):
    """Where references find their values."""

    def resolve(self, ref: Ref) -> int: ...


class Expr:
    """A deferred integer."""

    __slots__ = ()

    def _value(self, scope: Scope) -> int:
        raise TypeError(f"{type(self).__name__} has no value")

    def _parts(self) -> tuple[Any, ...]:
        return ()

    def __add__(self, other: Any) -> Expr:
        return Op(operator.add, "+", self, other)

    def __radd__(self, other: Any) -> Expr:
        return Op(operator.add, "+", other, self)

    def __sub__(self, other: Any) -> Expr:
        return Op(operator.sub, "-", self, other)

    def __rsub__(self, other: Any) -> Expr:
        return Op(operator.sub, "-", other, self)

    def __mul__(self, other: Any) -> Expr:
        return Op(operator.mul, "*", self, other)

    def __rmul__(self, other: Any) -> Expr:
        return Op(operator.mul, "*", other, self)

    def __floordiv__(self, other: Any) -> Expr:
        return Op(operator.floordiv, "//", self, other)

    def __eq__(self, other: object) -> Any:
        return Op(operator.eq, "==", self, other)

    def __ne__(self, other: object) -> Any:
        return Op(operator.ne, "!=", self, other)

    def __lt__(self, other: Any) -> Expr:
        return Op(operator.lt, "<", self, other)

    def __le__(self, other: Any) -> Expr:
        return Op(operator.le, "<=", self, other)

    def __gt__(self, other: Any) -> Expr:
        return Op(operator.gt, ">", self, other)

    def __ge__(self, other: Any) -> Expr:
        return Op(operator.ge, ">=", self, other)

    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        raise TypeError(
            "a declaration's expression has no truth yet; use all_of, any_of, negate instead of and, or, not"
        )


class Op(Expr):
    """An operator over two operands."""

    __slots__ = ("left", "right", "run", "symbol")

    def __init__(self, run: Callable[[Any, Any], Any], symbol: str, left: Any, right: Any) -> None:
        self.run = run
        self.symbol = symbol
        self.left = left
        self.right = right

    def _value(self, scope: Scope) -> int:
        return int(self.run(evaluate(self.left, scope), evaluate(self.right, scope)))

    def _parts(self) -> tuple[Any, ...]:
        return (self.left, self.right)

    def __repr__(self) -> str:
        return f"({self.left!r}{self.symbol}{self.right!r})"


class Call(Expr):
    """A named function over operands."""

    __slots__ = ("args", "name", "run")

    def __init__(self, name: str, run: Callable[..., int], *args: Any) -> None:
        self.name = name
        self.run = run
        self.args = args

    def _value(self, scope: Scope) -> int:
        return int(self.run(*(evaluate(arg, scope) for arg in self.args)))

    def _parts(self) -> tuple[Any, ...]:
        return self.args

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(map(repr, self.args))})"


class Ref(Expr):
    """A place whose value is looked up: a root and a path of attribute names and indexes."""

    __slots__ = ("_path", "_root")

    def __init__(self, root: Any, path: tuple[Any, ...] = ()) -> None:
        self._root = root
        self._path = path

    def __getattr__(self, name: str) -> Ref:
        if name.startswith("_"):
            raise AttributeError(name)
        return Ref(self._root, (*self._path, name))

    def __getitem__(self, index: Any) -> Ref:
        return Ref(self._root, (*self._path, index))

    def __iter__(self) -> Iterator[Any]:
        raise TypeError("a declaration's reference cannot be iterated")

    def _value(self, scope: Scope) -> int:
        return scope.resolve(self)

    def _parts(self) -> tuple[Any, ...]:
        return tuple(part for part in self._path if isinstance(part, Expr))

    def __repr__(self) -> str:
        root = getattr(self._root, "__name__", None) or getattr(self._root, "_name", None) or str(self._root)
        text = str(root)
        for part in self._path:
            text += f".{part}" if isinstance(part, str) else f"[{part!r}]"
        return text.lstrip(".")


class _Root:
    """Marker for the roots that are not a field or a table."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name


ENV_ROOT = _Root("env")
OUTER_ROOT = _Root("outer")
INDEX_ROOT = _Root("i")

env: Any = Ref(ENV_ROOT)
outer: Any = Ref(OUTER_ROOT)
INDEX: Any = Ref(INDEX_ROOT)


def at(table: type[T]) -> T:
    """Refer to a field of another table: ``at(BT21).nbr_tiers``. Typed as the table itself, so that editors complete it."""
    return cast(T, Ref(table))


def popcount(value: Any) -> Any:
    """Number of bits set."""
    return Call("popcount", lambda x: int(x).bit_count(), value)


def bit(value: Any, number: int) -> Any:
    """Bit ``number`` (0 = least significant) of a value."""
    return Call("bit", lambda x, n: (int(x) >> int(n)) & 1, value, number)


def all_of(*conditions: Any) -> Any:
    """All conditions hold."""
    return Call("all_of", lambda *xs: int(all(xs)), *conditions)


def any_of(*conditions: Any) -> Any:
    """At least one condition holds."""
    return Call("any_of", lambda *xs: int(any(xs)), *conditions)


def negate(condition: Any) -> Any:
    """The condition does not hold."""
    return Call("negate", lambda x: int(not x), condition)


def evaluate(value: Any, scope: Scope) -> int:
    """The integer behind a number or an expression. Raises Unresolved, or DecodeError if a table is not at hand."""
    if isinstance(value, Expr):
        return value._value(scope)
    return int(value)


def references(value: Any) -> Iterator[Ref]:
    """All references inside a number or expression."""
    if isinstance(value, Ref):
        yield value
    if isinstance(value, Expr):
        for part in value._parts():
            yield from references(part)


def follow(value: Any, path: tuple[Any, ...], scope: Scope, ref: Ref) -> int:
    """Walk attribute names and indexes from a decoded object to an integer; whatever is absent counts as 0."""
    for part in path:
        if value is None:
            return 0
        if isinstance(part, str):
            value = getattr(value, part, None)
        else:
            index = evaluate(part, scope)
            value = value[index] if 0 <= index < len(value) else None
    if value is None:
        return 0
    if isinstance(value, (bytes, bytearray)):
        return int.from_bytes(value, "little")
    if not isinstance(value, int):
        raise DecodeError(f"{ref!r} is not a number", field=repr(ref))
    return int(value)
