"""Doubt about values, as flags: spike, frozen, backwards, zero, out of range, clock. Flags never drop or change a value.

Pure functions. What is judged are registers between two readings (``check_reading``) and the intervals of a load profile
(``check_profile``). Limits are project choices and can be set in the configuration; the cases are those that users of real
meters report: a zero or a jump that ruins an energy statistic, a value that stays for hours while the meter's clock runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntFlag
from typing import Any

from osgp.tables.profile import Profile
from osgp.tables.profile_geometry import NO_VALUE

__all__ = ["Flag", "Past", "Rules", "check_clock", "check_profile", "check_reading", "flag_names"]


class Flag(IntFlag):
    """What is odd about a value. Bits of the store's ``flags``."""

    SPIKE = 1
    """It grew faster than the connection can carry."""
    FROZEN = 2
    """It has not moved for long, although the meter's clock has."""
    BACKWARDS = 4
    """A counter is smaller than before."""
    ZERO = 8
    """A counter that was not zero is zero."""
    RANGE = 16
    """An instantaneous value beyond what can be."""
    CLOCK = 32
    """The meter's clock was far off when it was read."""
    REPLACED = 64
    """The first reading of another device under the same name: the jump is no spike."""


_NAMES = {flag: str(flag.name).lower() for flag in Flag}


def flag_names(flags: int) -> list[str]:
    """The flags in words."""
    return [name for flag, name in _NAMES.items() if flags & flag]


@dataclass(frozen=True, slots=True)
class Rules:
    """Limits; 0 switches a rule off.

    ``max_power_w``: what the connection can carry, and so how fast an energy counter may grow; ``spike_wh``: where that is 0,
    by how much it may grow between two readings, however far apart; ``frozen_s``: how long a counter or value may
    stay the same while the meter's clock runs; ``voltage``, ``current``, ``frequency``: (lowest, highest) in V, A, Hz; a voltage
    of 0 is an outage and no error; ``clock_s``: how far the meter's clock may be off; ``backwards``, ``zero``: on or off.
    """

    max_power_w: float = 100_000.0
    spike_wh: float = 1_000_000.0
    frozen_s: float = 6 * 3600.0
    voltage: tuple[float, float] = (100.0, 300.0)
    current: tuple[float, float] = (0.0, 200.0)
    frequency: tuple[float, float] = (45.0, 65.0)
    clock_s: float = 60.0
    backwards: bool = True
    zero: bool = True


@dataclass(frozen=True, slots=True)
class Past:
    """An earlier reading: meter time in seconds, its value, its flags."""

    time: float
    value: float
    flags: int = 0


_ENERGY = ("Wh", "kWh", "varh", "kvarh", "VAh", "kVAh")
_NOISY = ("V", "A", "Hz", "W", "kW", "var", "VA")


def _energy(unit: str) -> bool:
    return unit in _ENERGY


def check_reading(
    name: str,
    unit: str,
    time: float,
    value: Any,
    past: Sequence[Past],
    rules: Rules,
    *,
    cumulative: bool | None = None,
) -> Flag:
    """The flags of one reading. O(len(past)).

    ``past``: earlier readings of the same measurement, oldest first; those flagged as spike, zero or backwards are no
    yardstick and are passed over, and so is all that another device said (before the newest one flagged as replaced).
    ``cumulative``: whether it is a counter (default: by its unit). ``time``: the meter's clock.
    """
    flags = Flag(0)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return flags
    counter = _energy(unit) if cumulative is None else cumulative
    limits = {"V": rules.voltage, "A": rules.current, "Hz": rules.frequency}.get(unit)
    if limits and limits != (0, 0) and not (limits[0] <= value <= limits[1]) and not (unit == "V" and value == 0):
        flags |= Flag.RANGE
    replaced = max((place for place, each in enumerate(past) if each.flags & Flag.REPLACED), default=0)
    past = past[replaced:]
    good = [each for each in past if not each.flags & (Flag.SPIKE | Flag.ZERO | Flag.BACKWARDS | Flag.RANGE)]
    # When the newest few all disagree with the older ones, they are the truth now: a register was reset or replaced.
    newest = past[-3:]
    if len(newest) == 3 and not any(each in good for each in newest) and _steady(newest):
        good = list(newest)
    if good:
        last = good[-1]
        growth, seconds = value - last.value, time - last.time
        if counter and seconds >= 0:
            if growth < 0:
                if value == 0 and rules.zero:
                    flags |= Flag.ZERO
                elif rules.backwards:
                    flags |= Flag.BACKWARDS
            elif _energy(unit) and _jumps(growth * (1000 if unit.startswith("k") else 1), seconds, rules):
                flags |= Flag.SPIKE
    if rules.frozen_s and (counter or unit in _NOISY) and value != 0 and _frozen(time, value, past, rules.frozen_s):
        flags |= Flag.FROZEN
    return flags


def _steady(newest: Sequence[Past]) -> bool:
    values = [each.value for each in newest]
    return values == sorted(values) and values[0] > 0


def _jumps(growth: float, seconds: float, rules: Rules) -> bool:
    possible = rules.max_power_w * max(seconds, 60.0) / 3600  # a minute at least: clocks are coarse
    if rules.max_power_w and growth > possible:
        return True
    return bool(rules.spike_wh and not rules.max_power_w and growth > rules.spike_wh)


def _frozen(time: float, value: float, past: Sequence[Past], limit: float) -> bool:
    """The same value at all times over the last ``limit`` seconds of the meter's clock. A clock that stands too tells nothing."""
    since = time
    for each in reversed(past):
        if each.value != value:
            break
        since = each.time
    return time - since >= limit


def check_clock(deviation_s: float | None, rules: Rules) -> Flag:
    """CLOCK if the meter's clock is further off than allowed."""
    if deviation_s is None or not rules.clock_s or abs(deviation_s) <= rules.clock_s:
        return Flag(0)
    return Flag.CLOCK


def check_profile(profile: Profile, rules: Rules) -> Any:
    """Flags of every value of a load profile: (n, channels) array of ``Flag`` bits. Nothing in the profile is changed.

    Counters are judged by their growth since the interval before that has a value; FROZEN is for energy channels that stand
    still for ``frozen_s`` with a value other than zero (a house without any consumption for that long is rare, not impossible).
    """
    import numpy as np

    values = np.asarray(profile.values, np.float64)
    flags = np.zeros(values.shape, np.uint8)
    times = np.asarray(profile.epochs(), np.int64)
    status, valid = np.asarray(profile.status), np.asarray(profile.valid, bool)
    for place, channel in enumerate(profile.channels):
        if not channel.cumulative:
            continue
        usable = np.flatnonzero(valid & ~np.isin(status[:, place], list(NO_VALUE)))
        if len(usable) < 2:
            continue
        column, when = values[usable, place] * channel.scale, times[usable]
        growth, seconds = np.diff(column), np.diff(when)
        found = np.zeros(len(usable), np.uint8)
        falls = growth < 0
        if rules.zero:
            found[1:][falls & (column[1:] == 0)] |= int(Flag.ZERO)
        if rules.backwards:
            found[1:][falls & (column[1:] != 0)] |= int(Flag.BACKWARDS)
        if _energy(channel.unit):
            factor = 1000 if channel.unit.startswith("k") else 1
            limit = rules.max_power_w * np.maximum(seconds, 60) / 3600 if rules.max_power_w else rules.spike_wh
            if rules.max_power_w or rules.spike_wh:
                found[1:][growth * factor > limit] |= int(Flag.SPIKE)
            if rules.frozen_s:
                moved = np.concatenate(([True], growth != 0))
                start = when[np.maximum.accumulate(np.where(moved, np.arange(len(usable)), 0))]
                found[(when - start >= rules.frozen_s) & (column != 0)] |= int(Flag.FROZEN)
        flags[usable, place] = found
    return flags
