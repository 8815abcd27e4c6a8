"""Load profiles as lines to draw: one regular grid, gaps as gaps, counters as what was used in each interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from osgp.headend.plausibility import Rules, check_profile, flag_names
from osgp.tables.profile import Profile
from osgp.tables.profile_geometry import COMMON_BITS, NO_VALUE, STATUS_TEXT
from osgp.web.device.models import Series, SeriesSet
from osgp.web.doubts import telling

__all__ = ["series_of"]

_MOST = 200_000
"""Grid points at most: a wrong clock must not make a grid of decades."""


def series_of(profiles: Sequence[Profile], data_set: int, *, differences: bool) -> SeriesSet:
    """Lines of one data set. ``profiles``: one for each channel configuration, oldest first; channels of the same name and
    unit are one line. ``differences``: counters as growth since the interval before, None where that is missing."""
    filled = [each for each in profiles if len(each) and each.interval_s]
    if not filled:
        return SeriesSet(data_set, 0, [], [])
    step = filled[-1].interval_s
    times = np.unique(np.concatenate([np.asarray(each.epochs(), np.int64) for each in filled]))
    grid = np.arange(times[0], times[-1] + 1, step, dtype=np.int64)
    # Times off the grid (another interval length before, a clock that was set) are kept, and the grid is cut if absurd.
    axis = np.union1d(grid, times) if len(grid) <= _MOST else times
    made = SeriesSet(data_set, step, axis.tolist(), [], missing=int(len(axis) - len(times)))
    for profile in filled:
        _add(made, profile, axis, differences)
    return made


def _add(made: SeriesSet, profile: Profile, axis: Any, differences: bool) -> None:
    known = {(each.title, each.unit): each for each in made.series}
    place = np.searchsorted(axis, np.asarray(profile.epochs(), np.int64))
    odd = check_profile(profile, Rules())
    status, values = np.asarray(profile.status), np.asarray(profile.values)
    epochs = np.asarray(profile.epochs(), np.int64)
    for at, common in zip(place.tolist(), np.asarray(profile.common).tolist()):
        words = [text for bit, text in COMMON_BITS.items() if common & bit and text != "dst"]
        if words:
            made.statuses[at] = words
    for number, channel in enumerate(profile.channels):
        line = known.get((channel.name, channel.unit))
        if line is None:
            line = Series(channel.key, channel.name, channel.unit, channel.cumulative, [None] * len(axis))
            made.series.append(line)
        usable = ~np.isin(status[:, number], list(NO_VALUE))
        column = values[:, number] * channel.scale
        if differences and channel.cumulative:
            usable = np.concatenate(([False], usable[1:] & usable[:-1] & (np.diff(epochs) == profile.interval_s)))
            column = np.concatenate(([0.0], np.diff(column)))
        for at, value in zip(place[usable].tolist(), column[usable].tolist()):
            line.values[at] = round(value, 6)
        for row in np.flatnonzero(odd[:, number] | status[:, number]).tolist():
            code = int(status[row, number])
            words = flag_names(telling(channel.key, int(odd[row, number])))
            if code:
                words.append(STATUS_TEXT.get(code, f"status {code}"))
            if words:
                line.flags[int(place[row])] = words
