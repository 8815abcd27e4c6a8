"""A ``TableAccess`` that remembers what was read through it, so that readings are kept with their bytes. Project choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from osgp.tables.access import DoorCosts, ProcedureResult, TableAccess

__all__ = ["RawPart", "RecordingAccess"]

A = TypeVar("A", bound=TableAccess)


@dataclass(frozen=True, slots=True)
class RawPart:
    """Bytes of a table, as read: table number, place, content. ``whole``: a full read."""

    table: int
    offset: int
    content: bytes
    whole: bool = False


class RecordingAccess(Generic[A]):
    """Everything goes to ``inner``; what is read is in ``parts`` as well."""

    def __init__(self, inner: A) -> None:
        self.inner = inner
        self.parts: list[RawPart] = []

    @property
    def costs(self) -> DoorCosts:
        """See ``TableAccess``."""
        return self.inner.costs

    def take(self) -> list[RawPart]:
        """The parts since the last call, each content once."""
        parts, self.parts = self.parts, []
        return list(dict.fromkeys(parts))

    async def read(self, table: int) -> bytes:
        """See ``TableAccess``."""
        data = await self.inner.read(table)
        self.parts.append(RawPart(table, 0, data, True))
        return data

    async def read_part(self, table: int, offset: int, count: int) -> bytes:
        """See ``TableAccess``."""
        data = await self.inner.read_part(table, offset, count)
        self.parts.append(RawPart(table, offset, data))
        return data

    async def write(self, table: int, data: bytes) -> None:
        """See ``TableAccess``."""
        await self.inner.write(table, data)

    async def write_part(self, table: int, offset: int, data: bytes) -> None:
        """See ``TableAccess``."""
        await self.inner.write_part(table, offset, data)

    async def run(self, procedure: int, parameters: bytes = b"") -> ProcedureResult:
        """See ``TableAccess``."""
        return await self.inner.run(procedure, parameters)
