"""The meter's clock: how what it shows hangs together with true time.

It shows true time plus an offset, and may run a little fast or slow (``drift_ppm``). Setting it changes the offset, never
true time; energy flows in true time. Project choice.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

__all__ = ["EPOCH_2000", "Clockwork", "utc_datetime"]

EPOCH_2000 = 946_684_800
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def utc_datetime(seconds: float) -> dt.datetime:
    """Seconds since 1970 as an aware UTC date, to the second below."""
    return _EPOCH + dt.timedelta(seconds=math.floor(seconds))


class Clockwork:
    """Meter UTC from true UTC seconds and back. Times are kept to the millisecond."""

    __slots__ = ("anchor", "drift_ppm", "offset_s")

    def __init__(self, anchor: float = 0.0, *, offset_s: float = 0.0, drift_ppm: float = 0.0) -> None:
        self.anchor = anchor
        self.offset_s = offset_s
        self.drift_ppm = drift_ppm

    def shows(self, true: float) -> float:
        """What the clock shows, UTC seconds since 1970."""
        return round(true + self.offset_s + (true - self.anchor) * self.drift_ppm * 1e-6, 3)

    def true_at(self, shown: float) -> float:
        """When the clock shows (or would have shown) that."""
        rate = self.drift_ppm * 1e-6
        return round((shown - self.offset_s + self.anchor * rate) / (1.0 + rate), 3)

    def set(self, true: float, shown: float) -> None:
        """From ``true`` on the clock shows ``shown``."""
        self.anchor = true
        self.offset_s = round(shown - true, 3)

    def to_json(self) -> dict[str, Any]:
        """For a saved meter."""
        return {"anchor": self.anchor, "offset_s": self.offset_s, "drift_ppm": self.drift_ppm}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Clockwork:
        """The inverse of ``to_json``."""
        return cls(saved["anchor"], offset_s=saved["offset_s"], drift_ppm=saved["drift_ppm"])
