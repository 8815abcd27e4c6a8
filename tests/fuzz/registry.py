"""What is fuzzed, by name, and what each begins with: filled by the modules of targets (``tests.fuzz.targets`` loads them all)."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["SEEDS", "TARGETS", "Target", "hexes", "target"]

Target = Callable[[bytes], None]
TARGETS: dict[str, Target] = {}
SEEDS: dict[str, Callable[[], list[bytes]]] = {}
_VECTORS = Path(__file__).resolve().parent.parent / "vectors"


def target(name: str, seeds: Callable[[], list[bytes]] = lambda: [b""]) -> Callable[[Target], Target]:
    """Registers a target."""

    def keep(function: Target) -> Target:
        TARGETS[name] = function
        SEEDS[name] = seeds
        return function

    return keep


@functools.cache
def hexes(path: str) -> list[bytes]:
    """All bytes that a file of vectors holds."""
    found: list[bytes] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)
        elif isinstance(value, str) and len(value) >= 4:
            with suppress(ValueError):
                found.append(bytes.fromhex(value))

    walk(json.loads((_VECTORS / path).read_text(encoding="utf-8")))
    return found
