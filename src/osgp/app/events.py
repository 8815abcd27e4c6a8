"""What the security machines tell their node: frozen values, named in the past. A project choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from osgp.app.suite import Address

__all__ = [
    "GenerationWentBack",
    "KeyChanged",
    "KeyUsage",
    "LegacyEnabled",
    "Quarantined",
    "SecurityEvent",
    "SetCommitted",
    "StorageFailed",
]


@dataclass(frozen=True, slots=True)
class KeyUsage:
    """A key was used 80 % of the times it should be (BT03.8.2); ``uses`` good and bad."""

    key: Literal["unicast", "broadcast", "legacy"]
    uses: int


@dataclass(frozen=True, slots=True)
class KeyChanged:
    """Another key is in force, or for ``umk`` waits for its epoch (BT03.8.1). ``generation``: of a UMK its first epoch."""

    key: Literal["broadcast", "umk"]
    generation: int


@dataclass(frozen=True, slots=True)
class SetCommitted:
    """A commissioned set is in force: the device has this address now."""

    generation: int
    address: Address


@dataclass(frozen=True, slots=True)
class StorageFailed:
    """The memory failed; ``doing``: what was not done."""

    doing: str


@dataclass(frozen=True, slots=True)
class GenerationWentBack:
    """A device proved itself with a generation below the known one: it was reset, or there are two of it."""

    unique_node_id: bytes
    known: int
    reported: int


@dataclass(frozen=True, slots=True)
class LegacyEnabled:
    """The broken suite is on for a device; ``writes``: also for writes and procedures."""

    writes: bool


@dataclass(frozen=True, slots=True)
class Quarantined:
    """Too many bad digests in a day: the legacy suite does nothing more until an operator releases it."""

    bad_digests: int


SecurityEvent = KeyUsage | KeyChanged | SetCommitted | StorageFailed | GenerationWentBack | LegacyEnabled | Quarantined
