"""Which doubts about values a page shows."""

from __future__ import annotations

from osgp.headend.plausibility import Flag

__all__ = ["plain", "telling"]

_RESTING = ("rev_active", "export", "reactive", "apparent", "q1_", "q2_", "q3_", "q4_", "power_off", "outage", "pulse")
"""Counters that stand still for hours in a healthy house: export at night, reactive and apparent energy by quadrant."""


def telling(key: str, flags: int) -> int:
    """``flags`` without what says nothing: FROZEN for a counter that often rests. Nothing is taken from the store."""
    if flags & Flag.FROZEN and any(word in key for word in _RESTING):
        return flags & ~int(Flag.FROZEN)
    return flags


def plain(key: str) -> str:
    """``fwd_active_energy`` as people read it."""
    return key.replace("_", " ")
