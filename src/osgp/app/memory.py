"""``Memory``: where counters, key sets and epochs survive a power failure.

``save`` is atomic and durable before it returns: after a crash either all of the call's values are there or none. Raising
StorageError means "not saved": whoever called sends and executes nothing. An empty value stands for "erased".

A memory must never be copied back: counters of a restored copy would give a nonce twice (``spec/osgp-application.md`` 3.2, 3.3).
The interface is a project choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from osgp.wire.errors import StoreError

__all__ = ["Memory", "Prefixed", "RamMemory", "StorageError"]


class StorageError(StoreError):
    """A value could not be kept: nothing may be sent or executed that depends on it."""


class Memory(Protocol):
    """Values by name. The values may hold keys: they belong where the device's or concentrator's secrets are."""

    def load(self, name: str) -> bytes | None:
        """The value, or None if there never was one. StorageError if it cannot be read."""

    def save(self, values: Mapping[str, bytes]) -> None:
        """Keep all of ``values``, or none of them and raise StorageError."""


class RamMemory:
    """A memory that lasts as long as its object: for tests and simulations, where the object outlives a simulated reset."""

    def __init__(self, values: Mapping[str, bytes] | None = None) -> None:
        self._values = dict(values or {})

    def load(self, name: str) -> bytes | None:
        return self._values.get(name)

    def save(self, values: Mapping[str, bytes]) -> None:
        self._values.update(values)

    def values(self) -> dict[str, bytes]:
        """A copy of everything, for a saved simulation. It holds keys."""
        return dict(self._values)

    def __repr__(self) -> str:
        return f"RamMemory({len(self._values)} values)"


class Prefixed:
    """A part of a memory: all names with a prefix in front. So one journal keeps the counters of many devices."""

    def __init__(self, memory: Memory, prefix: str) -> None:
        self._memory = memory
        self._prefix = prefix

    def load(self, name: str) -> bytes | None:
        return self._memory.load(self._prefix + name)

    def save(self, values: Mapping[str, bytes]) -> None:
        self._memory.save({self._prefix + name: value for name, value in values.items()})

    def __repr__(self) -> str:
        return f"Prefixed({self._prefix!r})"
