"""What a page may know of a collector that runs in the same process."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Protocol

__all__ = ["Live", "Resting"]


class Live(Protocol):
    """A collector at work."""

    def activity(self) -> Mapping[str, str]:
        """What happens right now with a device, by name; a device that is not named rests."""

    def now(self) -> float:
        """What time it is where the collector works, seconds since 1970: a simulation may run fast."""

    def note(self) -> str:
        """One line above the pages, such as the speed of a simulation; may be empty."""


class Resting:
    """No collector: the store alone."""

    def activity(self) -> Mapping[str, str]:
        """Nothing."""
        return {}

    def now(self) -> float:
        """The wall clock."""
        return time.time()

    def note(self) -> str:
        """Nothing."""
        return ""
