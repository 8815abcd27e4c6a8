"""What is switched on in a simulated house: runs of appliances drawn per local day, and things that cycle all year.

Everything is random-access: the runs of a day come from a generator seeded by (house, day), cycling things from hashed
noise. Shares, powers and habits are project choices, in the order of magnitude of German households.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from osgp.sim.load_ledger import MINUTES
from osgp.sim.load_noise import key_of, uniform, uniforms

__all__ = ["APPLIANCES", "Appliance", "Cycler", "Run", "Runs", "local_offset_minutes"]

FloatArray = npt.NDArray[np.float64]

_EPOCH = date(1970, 1, 1)


@lru_cache(maxsize=4096)
def local_offset_minutes(zone: str, day: int) -> int:
    """Minutes by which local time is ahead of UTC at noon of the local ``day`` (days since 1970-01-01)."""
    noon = datetime.combine(_EPOCH + timedelta(days=day), datetime.min.time(), UTC).replace(hour=12, tzinfo=None)
    offset = noon.replace(tzinfo=ZoneInfo(zone)).utcoffset() or timedelta()
    return int(offset.total_seconds() // 60)


@dataclass(frozen=True, slots=True)
class Appliance:
    """One kind of appliance.

    ``share`` is its part of the yearly consumption; ``watts`` and ``minutes`` describe a run as steps; ``peaks`` are the
    local hours around which runs begin, ``spread_h`` how far from them; ``weekend`` multiplies the runs on Saturday and
    Sunday; ``tan_phi`` is reactive over active power (positive inductive).
    """

    name: str
    share: float
    watts: tuple[float, ...]
    minutes: tuple[int, ...]
    peaks: tuple[float, ...]
    spread_h: float
    weekend: float
    tan_phi: float

    @property
    def course(self) -> FloatArray:
        """Power in watts, minute by minute."""
        return np.repeat(np.array(self.watts), self.minutes)


APPLIANCES = (
    Appliance("kettle", 0.03, (2100,), (3,), (6.8, 10.0, 15.5, 19.0), 1.2, 1.1, 0.0),
    Appliance("oven", 0.10, (2400, 600, 1500, 500, 1300), (9, 4, 8, 6, 12), (12.2, 18.3), 0.9, 1.4, 0.02),
    Appliance("washing machine", 0.05, (120, 2050, 160, 90, 420), (5, 17, 45, 15, 9), (9.5, 17.0), 2.2, 1.5, 0.35),
    Appliance("dishwasher", 0.06, (60, 1950, 80, 1900, 30), (8, 14, 35, 12, 20), (13.5, 20.3), 1.0, 1.1, 0.10),
)


@dataclass(frozen=True, slots=True)
class Run:
    """One run: the UTC minute (since 1970) at which it begins, where, and its power minute by minute."""

    start: int
    phases: tuple[int, ...]
    course: FloatArray
    tan_phi: float


class Runs:
    """All runs of one house. ``ev_kwh`` is what a car charges in a year, 0 when there is none."""

    def __init__(self, seed: int, zone: str, phases: int, appliance_kwh: float, ev_kwh: float) -> None:
        self._zone = zone
        self._key = key_of(seed, "runs")
        self._days: OrderedDict[int, list[Run]] = OrderedDict()
        self._plan: list[tuple[Appliance, tuple[int, ...], FloatArray, float]] = []
        for number, kind in enumerate(APPLIANCES):
            fit = 0.85 + 0.3 * uniform(key_of(seed, kind.name), 0)
            course = kind.course * fit
            per_run_kwh = float(course.sum()) / 60_000.0
            where = (number % phases,) if kind.name != "oven" or phases == 1 else (1,)
            self._plan.append((kind, where, course, appliance_kwh * kind.share / 365.0 / per_run_kwh))
        self._ev_phases = tuple(range(phases))
        self._ev_watts = 3680.0
        rate_kwh = ev_kwh / 365.0
        limit_kwh = self._ev_watts * phases * 6.5 / 1000.0
        self._ev_rate = min(max(0.4, rate_kwh / limit_kwh * 1.5), 1.0) if ev_kwh else 0.0
        self._ev_mean_kwh = rate_kwh / self._ev_rate if ev_kwh else 0.0

    def of_day(self, day: int) -> list[Run]:
        """The runs that begin on the local ``day``, in no particular order."""
        known = self._days.get(day)
        if known is None:
            known = self._days[day] = self._draw(day)
            if len(self._days) > 8:
                self._days.popitem(last=False)
        return known

    def _draw(self, day: int) -> list[Run]:
        draws = iter(uniforms(self._key ^ (day * 0x5851F42D4C957F2D & (2**64 - 1)), np.arange(256)).tolist())
        midnight = day * MINUTES - local_offset_minutes(self._zone, day)
        weekend = (day + 3) % 7 >= 5  # 1970-01-01 was a Thursday
        runs: list[Run] = []
        for kind, where, course, rate in self._plan:
            today = rate * (kind.weekend if weekend else (7.0 - 2.0 * kind.weekend) / 5.0)
            for _ in range(min(int(today + next(draws)), 20)):
                peak = kind.peaks[int(next(draws) * len(kind.peaks))]
                around = (next(draws) + next(draws) + next(draws) - 1.5) * 2.0 * kind.spread_h
                minute = min(max(int((peak + around) * 60.0), 0), MINUTES - 1)
                runs.append(Run(midnight + minute, where, course, kind.tan_phi))
        if next(draws) < self._ev_rate:
            minute = int(60.0 * (17.0 + 4.0 * next(draws)))
            kwh = self._ev_mean_kwh * (0.5 + next(draws))
            watts = self._ev_watts * len(self._ev_phases)
            whole = kwh * 60_000.0 / watts
            course = np.full(max(int(whole) + 1, 1), self._ev_watts)
            course[-1] *= whole - int(whole)
            runs.append(Run(midnight + minute, self._ev_phases, course, -0.03))
        return runs

    def add(self, day: int, active: FloatArray, reactive: FloatArray) -> None:
        """Add the power of all runs to the arrays (phases, 1440) of the UTC ``day``, in W and var."""
        begin = day * MINUTES
        for local in (day - 1, day, day + 1):
            for run in self.of_day(local):
                start = run.start - begin
                end = start + len(run.course)
                if end <= 0 or start >= MINUTES:
                    continue
                course = run.course[max(-start, 0) : MINUTES - start]
                window = slice(max(start, 0), min(end, MINUTES))
                for phase in run.phases:
                    active[phase, window] += course
                    if run.tan_phi:
                        reactive[phase, window] += course * run.tan_phi


class Cycler:
    """Something that switches itself on and off all year: a compressor with a thermostat.

    Each cycle of about ``period_min`` minutes is on for a part of it; the parts differ a little from cycle to cycle.
    """

    def __init__(self, key: int, period_min: int) -> None:
        self._key = key
        self._period = period_min
        self._shift = int(uniform(key, -1) * period_min)

    def on(self, minutes: npt.NDArray[np.int64], duty: float | FloatArray) -> npt.NDArray[np.bool_]:
        """Whether it is on in each of the UTC ``minutes`` (ascending) at the given duty, 0 to 1."""
        cycle, into = np.divmod(minutes + self._shift, self._period)
        first = int(cycle[0])
        jitter = uniforms(self._key, np.arange(first, int(cycle[-1]) + 1, dtype=np.int64))[cycle - first]
        # Rounding up in some cycles and down in others keeps the mean duty exact although minutes are whole.
        return np.asarray(into < np.floor(duty * self._period + jitter))
