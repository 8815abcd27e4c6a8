"""``Image``: the raw bytes of a device's tables, and the local maker of ``TableAccess`` over them.

Raw is the truth; decoding is a view. The same class holds the tables of a simulated device and a saved copy of a real one.
Reading and writing follow the guides: a partial read beyond the end gives zeros (optical guide p. 9), a write longer than
the table loses its surplus, a shorter one writes only what came (MEP guide p. 12).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, TypeVar

from osgp.tables.access import DoorCosts, ProcedureResult
from osgp.tables.registry import find_table, table
from osgp.tables.services import ResponseCode, response_error
from osgp.tables.table import Table, procedure_name, table_name
from osgp.wire import Context, Firmware, Struct, dependencies, layout_of
from osgp.wire.errors import BadValue, ConfigError, DecodeError

__all__ = ["Image", "ImageTables", "context_of"]

T = TypeVar("T", bound=Table)


def context_of(tables: Mapping[int, bytes], base: Context | None = None) -> Context:
    """The outside values that a set of raw tables gives: all tables by declaration, firmware (BT01), load-profile sets (BT61).

    Never raises: what cannot be read is left to ``base`` (default: nothing known).
    """
    base = base or Context()
    raw: dict[type[Struct], bytes] = dict(base.raw)
    for number, content in tables.items():
        declared = find_table(number)
        if declared is not None:
            raw[declared] = bytes(content)
    firmware = base.firmware
    if firmware is None and len(tables.get(1, b"")) >= 16:
        firmware = Firmware.of_bt01(int.from_bytes(tables[1][14:16], "big"))
        if firmware.major == 0:
            firmware = None
    env = dict(base.env)
    if "lp_sets" not in env and 61 in tables:
        single = layout_of(table(61), Context(env={"lp_sets": 1})).size or 0
        env["lp_sets"] = 4 if len(tables[61]) > single else 1
    return Context(raw, overrides=base.overrides, firmware=firmware, env=env, order=base.order)


class Image:
    """Raw tables by number. Reads cost O(bytes); a decoded view is compiled once per set of dimensions."""

    def __init__(self, tables: Mapping[int, bytes] | None = None, *, base: Context | None = None) -> None:
        self._tables: dict[int, bytearray] = {number: bytearray(raw) for number, raw in (tables or {}).items()}
        self._base = base
        self._context: Context | None = None

    @property
    def base(self) -> Context | None:
        """What is known beside the tables themselves."""
        return self._base

    def __contains__(self, number: int) -> bool:
        return number in self._tables

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._tables))

    def size(self, number: int) -> int:
        """Bytes of a table. NotInConfiguration (response code 05) if the device has no such table."""
        return len(self._raw(number))

    def _raw(self, number: int) -> bytearray:
        found = self._tables.get(number)
        if found is None:
            raise response_error(ResponseCode.IAR, f"table {table_name(number)}")
        return found

    def read(self, number: int) -> bytes:
        """All bytes of a table."""
        return bytes(self._raw(number))

    def read_part(self, number: int, offset: int, count: int) -> bytes:
        """``count`` bytes from ``offset``; zeros beyond the end."""
        return bytes(self._raw(number)[offset : offset + count]).ljust(count, b"\0")

    def write(self, number: int, data: bytes) -> None:
        """From the start of the table; the surplus is ignored, what is missing stays."""
        self.write_part(number, 0, data)

    def write_part(self, number: int, offset: int, data: bytes) -> None:
        """From ``offset``; bytes beyond the end of the table are ignored."""
        raw = self._raw(number)
        room = max(0, len(raw) - offset)
        raw[offset : offset + min(room, len(data))] = data[:room]
        self._touched(number)

    def put(self, number: int, data: bytes) -> None:
        """Set a table's bytes and with them its size."""
        self._tables[number] = bytearray(data)
        self._touched(number)

    def remove(self, number: int) -> None:
        """The device has no such table any more."""
        self._tables.pop(number, None)
        self._touched(number)

    def _touched(self, number: int) -> None:
        if self._context is not None and (number in _sizing() or number in (1, 61)):
            self._context = None

    @property
    def context(self) -> Context:
        """The dimensions this image gives to layouts."""
        if self._context is None:
            sizing = {number: bytes(raw) for number, raw in self._tables.items() if number in _sizing() or number == 1}
            self._context = context_of(sizing, self._base)
        return self._context

    def decode(self, declared: type[T]) -> T:
        """A table as an object. Raises DecodeError or ResponseError (not in the image)."""
        return layout_of(declared, self.context).decode(self.read(declared.number))

    def encode(self, value: Table) -> None:
        """Put an object's bytes into the image; the table gets the size of the object."""
        self.put(value.number, layout_of(type(value), self.context).encode(value))

    def get(self, declared: type[Table], path: str) -> Any:
        """One value by path without decoding the rest."""
        layout = layout_of(declared, self.context)
        span = layout.span(path)
        return layout.decode_span(span, self.read_part(declared.number, span.offset, span.size))

    def set(self, declared: type[Table], path: str, value: Any) -> None:
        """Set one value by path; a bit field keeps the other bits of its word."""
        layout = layout_of(declared, self.context)
        span = layout.span(path)
        if span.bit is not None and span.width is not None:
            raw = self.read_part(declared.number, span.offset, span.size)
            word = int.from_bytes(raw, "little")
            if not 0 <= int(value) < 1 << span.width:
                raise BadValue(f"{value} does not fit {span.width} bits", struct=declared.__name__, field=path)
            word = word & ~(((1 << span.width) - 1) << span.bit) | int(value) << span.bit
            self.write_part(declared.number, span.offset, word.to_bytes(span.size, "little"))
            return
        self.write_part(declared.number, span.offset, layout.encode_span(span, value))

    def to_json(self) -> dict[str, str]:
        """Names and hexadecimal bytes."""
        return {table_name(number): bytes(self._tables[number]).hex() for number in self}

    @classmethod
    def from_json(cls, value: Mapping[str, str]) -> Image:
        """The inverse of ``to_json``. Raises ConfigError."""
        from osgp.tables.table import number_of

        try:
            return cls({number_of(name): bytes.fromhex(raw) for name, raw in value.items()})
        except (TypeError, ValueError, AttributeError) as error:
            if isinstance(error, DecodeError):
                raise
            raise ConfigError(
                f"not a saved image: {error}", hint="an image is a JSON object of table names and hex bytes"
            ) from error


_SIZING: set[int] = set()


def _sizing() -> set[int]:
    """The numbers of all tables that size others (computed once from the declarations)."""
    if not _SIZING:
        from osgp.tables.registry import all_tables

        for declared in all_tables():
            _SIZING.update(getattr(needed, "number", -1) for needed in dependencies(declared))
        _SIZING.update((61, 21))
    return _SIZING


Runner = Callable[[int, bytes], Awaitable[ProcedureResult]]


class ImageTables:
    """``TableAccess`` over an image: a saved device, or a device's own tables. ``runner`` executes procedures, if any."""

    costs = DoorCosts("image", 0, 0, 0, 0, 1 << 24, 1 << 24, byte_s=0.0, exchange_s=0.0)

    def __init__(self, image: Image, runner: Runner | None = None) -> None:
        self.image = image
        self._runner = runner

    async def read(self, table: int) -> bytes:
        return self.image.read(table)

    async def read_part(self, table: int, offset: int, count: int) -> bytes:
        return self.image.read_part(table, offset, count)

    async def write(self, table: int, data: bytes) -> None:
        self.image.write(table, data)

    async def write_part(self, table: int, offset: int, data: bytes) -> None:
        self.image.write_part(table, offset, data)

    async def run(self, procedure: int, parameters: bytes = b"") -> ProcedureResult:
        if self._runner is None:
            error = response_error(ResponseCode.SNS, f"run {procedure_name(procedure)}")
            error.hint = "a saved image runs no procedures: open the device itself"
            raise error
        return await self._runner(procedure, parameters)
