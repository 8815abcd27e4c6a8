"""Words of bit fields: declared once, an integer at heart.

``class Flags(Bits, size=1): season: int = bit(0, 1, doc="…")``. The value is an ``int`` subclass, so reserved and unlisted
bits are kept, a bare word compares as its number, and decoding costs one call. Bits count from the least significant bit of
the word, whatever its byte order on the wire.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from osgp.wire.errors import BadValue
from osgp.wire.firmware import Since

__all__ = ["BitField", "Bits", "bit"]


@dataclass(slots=True)
class BitField:
    """One declared bit field: least significant bit, width, and what it means."""

    lsb: int
    width: int
    name: str = ""
    orig: str = ""
    doc: str = ""
    unit: str = ""
    scale: float = 1
    vci: str = ""
    default: Any = None
    values: Mapping[Any, str] = field(default_factory=dict)
    since: Since | None = None
    source: str = ""
    status: str = ""
    root: str = ""
    top: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.top = (1 << self.width) - 1

    @property
    def mask(self) -> int:
        return self.top << self.lsb

    def label(self, value: int) -> str:
        """The declared meaning of a value, or ""."""
        found = self.values.get(value)
        if found is not None:
            return found
        for key, text in self.values.items():
            if isinstance(key, tuple) and key[0] <= value <= key[1]:
                return text
        return ""

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        return instance >> self.lsb & self.top


def bit(lsb: int, width: int = 1, **options: Any) -> Any:
    """Declare a bit field of ``width`` bits from bit ``lsb`` on."""
    return BitField(lsb, width, **options)


class bits_class:  # a namespace, so that ``fields`` can use ``bit`` while exporting ``bits``
    """The ``bit`` function under a second name for modules whose own names would hide it."""

    bit = staticmethod(bit)


class Bits(int):
    """Base of all bit words; subclasses give ``size`` in bytes."""

    size: ClassVar[int] = 1
    fields: ClassVar[dict[str, BitField]] = {}
    _words: ClassVar[Sequence[Any]] = ()

    def __init_subclass__(cls, size: int = 0, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.size = size or cls.size
        cls.fields = dict(cls.fields)
        cls._words = ()
        for name, spec in list(vars(cls).items()):
            if isinstance(spec, BitField):
                spec.name = name
                spec.orig = spec.orig or name.upper()
                if hasattr(int, name):
                    raise TypeError(f"{cls.__name__}.{name} would hide int.{name}; give it another name and orig=")
                if spec.lsb + spec.width > 8 * cls.size:
                    raise TypeError(f"{cls.__name__}.{name} does not fit {cls.size} bytes")
                cls.fields[name] = spec

    def __new__(cls, value: int = 0, **parts: int) -> Self:
        if not parts:
            return int.__new__(cls, value)
        for name, part in parts.items():
            spec = cls.fields.get(name)
            if spec is None:
                raise BadValue(f"no bit field {name!r}", struct=cls.__name__, field=name)
            if not 0 <= part < 1 << spec.width:
                raise BadValue(
                    f"{part} does not fit {spec.width} bits", struct=cls.__name__, field=name, bit_offset=spec.lsb
                )
            value = value & ~spec.mask | part << spec.lsb
        return super().__new__(cls, value)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a word of bits does not change; {type(self).__name__}.with_({name}=…) makes another")

    @classmethod
    def _instances(cls) -> Sequence[Self]:
        """All 256 values of a word of one byte, made once: what decoding hands out."""
        if not cls._words:
            cls._words = tuple(cls(value) for value in range(256))
        return cls._words

    def with_(self, **parts: int) -> Self:
        """A copy with some bit fields changed."""
        return type(self)(int(self), **parts)

    def to_json(self) -> dict[str, int]:
        """All bit fields by the standard's names; bits that no field covers as ``_OTHER``."""
        answer = {spec.orig: spec.__get__(self) for spec in self.fields.values()}
        covered = 0
        for spec in self.fields.values():
            covered |= spec.mask
        other = int(self) & ~covered
        return {**answer, "_OTHER": other} if other else answer

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """From a number or the dictionary of ``to_json``. BadValue for an unknown name or a value that does not fit."""
        if isinstance(value, int):
            return cls(value)
        if not isinstance(value, Mapping):
            raise BadValue(f"{value!r} is neither a number nor bit fields", struct=cls.__name__)
        names = {spec.orig.upper(): name for name, spec in cls.fields.items()}
        parts = {names.get(str(key).upper(), str(key)): part for key, part in value.items() if key != "_OTHER"}
        return cls(value.get("_OTHER", 0), **parts)

    def __repr__(self) -> str:
        inner = ", ".join(f"{name}={spec.__get__(self)}" for name, spec in self.fields.items() if spec.__get__(self))
        return f"{type(self).__name__}({inner})"
