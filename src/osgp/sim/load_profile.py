"""The standard load profile under a simulated house: H25 of BDEW (2025), from the library ``demandlib``.

The profile says how a thousand houses use electricity together, in quarters of an hour, by month and kind of day. It comes
as local time; here it is laid out along UTC, so that hours lost and gained in spring and autumn are where they belong.
``demandlib`` brings pandas, so it is imported at first use, and each year is computed once.
"""

from __future__ import annotations

import importlib
import warnings
from datetime import date, timedelta
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from osgp.wire.errors import ConfigError

__all__ = ["german_holidays", "household_shape"]

_QUARTERS = 96


def _easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (the anonymous algorithm of 1876, as in Meeus, *Astronomical Algorithms*)."""
    a, b, c = year % 19, year // 100, year % 100
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return date(year, month, day + 1)


def german_holidays(year: int) -> list[date]:
    """The public holidays that all German states have in common, in order."""
    easter = _easter(year)
    fixed = [date(year, 1, 1), date(year, 5, 1), date(year, 10, 3), date(year, 12, 25), date(year, 12, 26)]
    return sorted(fixed + [easter + timedelta(days=days) for days in (-2, 1, 39, 50)])


@lru_cache(maxsize=32)
def household_shape(year: int, zone: str) -> npt.NDArray[np.float64]:
    """Relative power of households in each quarter hour of the UTC ``year``, with one more day before and after it.

    The mean over the year is 1. Raises `ConfigError` when the library or the time zone is missing.
    """
    try:
        pandas = importlib.import_module("pandas")
        bdew = importlib.import_module("demandlib.bdew")
    except ImportError as exc:
        raise ConfigError(
            "simulated households need the library demandlib", hint="Install it with: pip install 'osgp[sim]'"
        ) from exc
    first, last = date(year, 1, 1) - timedelta(days=1), date(year + 1, 1, 2)
    index = pandas.date_range(first.isoformat(), last.isoformat(), freq="15min", inclusive="left", tz="UTC")
    try:
        local = index.tz_convert(zone)
    except (KeyError, ValueError) as exc:
        raise ConfigError(f"time zone {zone!r} is not known", hint="Use a name such as Europe/Berlin.") from exc
    holidays = [day for each in (year - 1, year, year + 1) for day in german_holidays(each)]
    with warnings.catch_warnings():
        # The library is ahead of, or behind, the installed pandas; that is nothing our users can mend.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        series = bdew.H25(local, holidays=holidays)
    values: npt.NDArray[np.float64] = np.array(series.to_numpy(), np.float64)
    values /= float(values[_QUARTERS:-_QUARTERS].mean())
    values.flags.writeable = False
    return values
