"""A house behind a meter: power, voltage and exact energy at any moment, from nothing but a seed and the time.

`Household` puts together the standard load profile (`osgp.sim.load_profile`), appliances (`osgp.sim.load_appliances`), sun
and weather (`osgp.sim.load_weather`), and sums them without rounding (`osgp.sim.load_ledger`). Power is constant for a
minute and a whole number of milliwatts; energy is a whole number of microwatt-seconds. There is no history to step
through: the same question has the same answer whenever, and in whatever order, it is asked.

Signs are the grid's: import is power from the grid into the house. Quadrants follow IEC 62053-23 annex C: QI import with
inductive, QII export with inductive, QIII export with capacitive, QIV import with capacitive reactive power.
All figures that no source is named for are project choices.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import numpy as np
import numpy.typing as npt

from osgp.sim.load_appliances import APPLIANCES, Cycler, Runs
from osgp.sim.load_ledger import MINUTES, DayLedger, IntArray, milliseconds
from osgp.sim.load_noise import key_of, smooth, uniform, uniforms
from osgp.sim.load_profile import household_shape
from osgp.sim.load_weather import Weather
from osgp.wire.errors import ConfigError

__all__ = ["FLOWS", "UNITS_PER_WH", "Energy", "Flow", "Household", "PhaseState", "State"]

FloatArray = npt.NDArray[np.float64]

UNITS_PER_WH = 3_600_000_000
"""Microwatt-seconds in a watt-hour (and microvar-seconds in a varh): what `Energy` and `Flow` count in."""

FLOWS = ("imported", "exported", "q1", "q2", "q3", "q4")
"""The order of the six amounts, wherever they stand in an array."""

_NOMINAL_V = 230.0
# VDE-AR-N 4105: a house may feed in at most 4.6 kVA more on one phase than on another.
_ONE_PHASE_LIMIT_KVA = 4.6


@dataclass(frozen=True, slots=True)
class Flow:
    """Six amounts, each never negative for a span that runs forward: active import and export in uWs, Q1 to Q4 in uvar s."""

    imported: int = 0
    exported: int = 0
    q1: int = 0
    q2: int = 0
    q3: int = 0
    q4: int = 0

    def __add__(self, other: Flow) -> Flow:
        return Flow(*(getattr(self, name) + getattr(other, name) for name in FLOWS))

    def __sub__(self, other: Flow) -> Flow:
        return Flow(*(getattr(self, name) - getattr(other, name) for name in FLOWS))

    def wh(self, name: str = "imported") -> float:
        """One of `FLOWS` in Wh or varh, as a float for people; registers divide by `UNITS_PER_WH` in whole numbers."""
        return int(getattr(self, name)) / UNITS_PER_WH


@dataclass(frozen=True, slots=True)
class Energy:
    """What flowed in a span: per phase, and ``total`` as a meter counts it that balances the phases before it counts.

    ``summed`` is the sum over the phases instead; it differs from ``total`` while one phase exports and another imports.
    """

    phases: tuple[Flow, ...]
    total: Flow

    def __add__(self, other: Energy) -> Energy:
        return Energy(tuple(a + b for a, b in zip(self.phases, other.phases)), self.total + other.total)

    def __sub__(self, other: Energy) -> Energy:
        return Energy(tuple(a - b for a, b in zip(self.phases, other.phases)), self.total - other.total)

    @property
    def summed(self) -> Flow:
        return sum(self.phases, Flow())


@dataclass(frozen=True, slots=True)
class PhaseState:
    """One phase at one moment. ``power_w`` and ``reactive_var`` carry the grid's sign: above zero is import, inductive."""

    power_w: float
    reactive_var: float
    voltage_v: float

    @property
    def import_w(self) -> float:
        return max(self.power_w, 0.0)

    @property
    def export_w(self) -> float:
        return max(-self.power_w, 0.0)

    @property
    def apparent_va(self) -> float:
        return math.hypot(self.power_w, self.reactive_var)

    @property
    def current_a(self) -> float:
        return self.apparent_va / self.voltage_v

    @property
    def power_factor(self) -> float:
        """Active over apparent power without sign, 0 to 1; 1 when nothing flows. The sign is told by `quadrant`."""
        apparent = self.apparent_va
        return abs(self.power_w) / apparent if apparent else 1.0

    @property
    def quadrant(self) -> int:
        """1 to 4; a reactive power of zero counts as inductive, an active power of zero as import."""
        if self.reactive_var >= 0:
            return 1 if self.power_w >= 0 else 2
        return 4 if self.power_w >= 0 else 3


@dataclass(frozen=True, slots=True)
class State:
    """All phases at one moment (one for a single-phase house), and the frequency that they share."""

    phases: tuple[PhaseState, ...]
    frequency_hz: float

    @property
    def power_w(self) -> float:
        return sum(phase.power_w for phase in self.phases)

    @property
    def reactive_var(self) -> float:
        return sum(phase.reactive_var for phase in self.phases)


class Household:
    """One simulated house.

    ``kwh_per_year`` is all that the house consumes, a car and a heat pump included; ``pv_kwp`` what its panels give at most.
    ``ev`` and ``heat_pump`` say whether there is one; None lets the seed decide, for houses that consume enough (from
    4,500 and 6,000 kWh). Houses with the same ``weather`` share clouds, frost and grid frequency. ``keep_days`` is how many
    days of minute sums stay in memory (about 0.3 MB each for three phases).

    Raises `ConfigError` for a model that is neither ``"1ph"`` nor ``"3ph"``, for negative amounts, and at first use when
    ``demandlib`` is not installed.
    """

    def __init__(
        self,
        seed: int,
        model: Literal["1ph", "3ph"] = "3ph",
        kwh_per_year: float = 3500.0,
        pv_kwp: float = 0.0,
        *,
        ev: bool | None = None,
        heat_pump: bool | None = None,
        zone: str = "Europe/Berlin",
        weather: Weather | None = None,
        keep_days: int = 4,
    ) -> None:
        if model not in ("1ph", "3ph"):
            raise ConfigError(f"a house has no model {model!r}", hint="Use '1ph' or '3ph'.")
        if kwh_per_year < 0 or pv_kwp < 0:
            raise ConfigError("a house can neither use nor have less than nothing", hint="Give kWh and kWp from 0 on.")
        self.seed = seed
        self.model = model
        self.kwh_per_year = kwh_per_year
        self.pv_kwp = pv_kwp
        self.zone = zone
        self.weather = weather if weather is not None else Weather()
        self.phase_count = 1 if model == "1ph" else 3
        n = self.phase_count
        chance = uniforms(key_of(seed, "house"), np.arange(32))
        self.ev = bool(kwh_per_year >= 4500 and chance[0] < 0.4) if ev is None else ev
        self.heat_pump = bool(kwh_per_year >= 6000 and chance[1] < 0.5) if heat_pump is None else heat_pump
        ev_kwh = kwh_per_year * 0.3 if self.ev else 0.0
        pump_kwh = kwh_per_year * 0.4 if self.heat_pump else 0.0
        rest_kwh = kwh_per_year - ev_kwh - pump_kwh
        fridge_kwh = 0.08 * rest_kwh
        base_kwh = rest_kwh * (1.0 - 0.08 - sum(kind.share for kind in APPLIANCES))

        self._runs = Runs(seed, zone, n, rest_kwh, ev_kwh)
        self._base_w = base_kwh * 1000.0 / 8766.0
        weights = 0.5 + chance[2 : 2 + n]
        self._split = (weights / weights.sum()).reshape(n, 1)
        self._habit_min = int((chance[5] - 0.5) * 90.0)
        self._base_key = key_of(seed, "base")
        self._fridge = Cycler(key_of(seed, "fridge"), 40 + int(chance[6] * 25))
        self._fridge_duty = 0.3 + 0.1 * float(chance[7])
        self._fridge_w = fridge_kwh * 1000.0 / 8766.0 / self._fridge_duty
        self._fridge_phase = int(chance[8] * n)
        self._pump = Cycler(key_of(seed, "heat pump"), 32 + int(chance[9] * 20))
        self._pump_mean_w = pump_kwh * 1000.0 / 8766.0
        self._pump_degrees = self.weather.mean_heating_degrees() if self.heat_pump else 1.0
        # Sized for the coldest days, where the need is about four times the mean of the year.
        self._pump_w = self._pump_mean_w * 4.5
        # Filters and power supplies that always hang on the line.
        self._standby_var = -(25.0 + 45.0 * float(chance[10])) if kwh_per_year else 0.0
        self._tilt = 25.0 + 20.0 * float(chance[11])
        self._azimuth = 180.0 + (float(chance[12]) - 0.5) * 110.0
        self._pv_phases = tuple(range(n)) if pv_kwp > _ONE_PHASE_LIMIT_KVA else (int(chance[13] * n),)
        self._line_ohm = 0.12 + 0.25 * float(chance[14])
        self._volt_keys = tuple(key_of(seed, "voltage", phase) for phase in range(n))
        self._ledger = DayLedger(self._rates, keep_days=keep_days)
        self._gross = DayLedger(self._gross_rates, keep_days=2)

    def __repr__(self) -> str:
        return (
            f"Household(seed={self.seed}, model={self.model!r}, kwh_per_year={self.kwh_per_year:g}, "
            f"pv_kwp={self.pv_kwp:g}, ev={self.ev}, heat_pump={self.heat_pump})"
        )

    # --- what happens in one day -------------------------------------------------------------------------------------

    def _shape(self, day: int) -> FloatArray:
        """The standard profile for each minute of UTC ``day``, moved by the habits of this house."""
        year = datetime.fromtimestamp(day * 86400, UTC).year
        profile = household_shape(year, self.zone)
        first = (day + 1) * 96 - (datetime(year, 1, 1, tzinfo=UTC).toordinal() - 719163) * 96
        quarters = profile[first - 8 : first + 96 + 8]
        at = np.arange(MINUTES) - self._habit_min
        # Quarters hold means, which belong to their middles.
        return np.interp(at, np.arange(-8, 104) * 15.0 + 7.5, quarters)

    def _consumption(self, day: int) -> tuple[FloatArray, FloatArray]:
        """Consumed active and reactive power in W and var, shape (phases, 1440) each."""
        n = self.phase_count
        minutes = day * MINUTES + np.arange(MINUTES, dtype=np.int64)
        base = self._base_w * self._shape(day)
        base *= 0.85 + 0.3 * uniform(self._base_key, day)
        base *= 1.0 + 0.35 * smooth(self._base_key, minutes, 23) + 0.2 * smooth(self._base_key ^ 1, minutes, 4)
        active = self._split * base
        reactive = active * 0.13 + self._standby_var / n
        fridge = self._fridge.on(minutes, self._fridge_duty) * self._fridge_w
        active[self._fridge_phase] += fridge
        reactive[self._fridge_phase] += fridge * 0.7
        if self.heat_pump:
            need = self.weather.heating_degrees(minutes) * (self._pump_mean_w / self._pump_degrees)
            pump = self._pump.on(minutes, np.minimum(need / self._pump_w, 1.0)) * (self._pump_w / n)
            active += pump
            reactive += pump * 0.4
        self._runs.add(day, active, reactive)
        return active, reactive

    def _generation(self, day: int) -> tuple[FloatArray, FloatArray]:
        """Generated active power and the reactive power that the inverter takes, W and var, shape (1440,), all phases."""
        sun = self.weather.irradiance(day, self._tilt, self._azimuth)
        # The factor holds heat, wiring, dirt and inverter; an inverter is commonly smaller than its panels.
        power = np.minimum(sun * (0.76 * self.pv_kwp), 900.0 * self.pv_kwp)
        # cos phi (P) of VDE-AR-N 4105: from half of the rated power on, underexcited, down to 0.95 at the rated power.
        part = np.clip(power / (900.0 * self.pv_kwp) * 2.0 - 1.0, 0.0, 1.0)
        return power, power * part * 0.3287

    def _power(self, day: int) -> tuple[IntArray, IntArray]:
        """Net active and reactive power of each phase in mW and mvar, shape (phases, 1440)."""
        active, reactive = self._consumption(day) if self.kwh_per_year else self._nothing()
        if self.pv_kwp:
            power, taken = self._generation(day)
            for phase in self._pv_phases:
                active[phase] -= power / len(self._pv_phases)
                reactive[phase] += taken / len(self._pv_phases)
        return np.rint(active * 1000.0).astype(np.int64), np.rint(reactive * 1000.0).astype(np.int64)

    def _nothing(self) -> tuple[FloatArray, FloatArray]:
        return np.zeros((self.phase_count, MINUTES)), np.zeros((self.phase_count, MINUTES))

    def _rates(self, day: int) -> IntArray:
        """Six rows for each phase, then six for the balanced total."""
        n = self.phase_count
        p = np.empty((n + 1, MINUTES), np.int64)
        q = np.empty((n + 1, MINUTES), np.int64)
        p[:n], q[:n] = self._power(day)
        np.sum(p[:n], axis=0, out=p[n])
        np.sum(q[:n], axis=0, out=q[n])
        rates = np.empty((n + 1, len(FLOWS), MINUTES), np.int64)
        taking = p >= 0
        inductive, capacitive = np.maximum(q, 0), np.maximum(-q, 0)
        np.maximum(p, 0, out=rates[:, 0])
        np.maximum(-p, 0, out=rates[:, 1])
        np.multiply(inductive, taking, out=rates[:, 2])
        np.subtract(inductive, rates[:, 2], out=rates[:, 3])
        np.multiply(capacitive, taking, out=rates[:, 5])
        np.subtract(capacitive, rates[:, 5], out=rates[:, 4])
        return rates.reshape((n + 1) * len(FLOWS), MINUTES)

    def _gross_rates(self, day: int) -> IntArray:
        active = self._consumption(day)[0].sum(axis=0) if self.kwh_per_year else np.zeros(MINUTES)
        power = self._generation(day)[0] if self.pv_kwp else np.zeros(MINUTES)
        return np.rint(np.stack([active, power]) * 1000.0).astype(np.int64)

    # --- questions ---------------------------------------------------------------------------------------------------

    def energy(self, t0: float, t1: float) -> Energy:
        """What flowed from UTC second ``t0`` to ``t1``; exactly additive, to the millisecond. Negative when ``t1 < t0``."""
        amounts = self._ledger.between(milliseconds(t0), milliseconds(t1))
        flows = [Flow(*amounts[at : at + len(FLOWS)]) for at in range(0, len(amounts), len(FLOWS))]
        return Energy(tuple(flows[:-1]), flows[-1])

    def energy_series(self, t0: float, step_s: int, count: int) -> IntArray:
        """`energy` of ``count`` intervals of ``step_s`` seconds that follow ``t0``: int64 of shape (phases + 1, 6, count).

        The last row is the balanced total; the middle axis is `FLOWS`; units as in `Flow`.
        """
        amounts = self._ledger.series(milliseconds(t0), step_s * 1000, count)
        return amounts.reshape(self.phase_count + 1, len(FLOWS), count)

    def gross(self, t0: float, t1: float) -> tuple[int, int]:
        """Consumed and generated energy in uWs, before one is set against the other: what no single meter can see."""
        consumed, generated = self._gross.between(milliseconds(t0), milliseconds(t1))
        return consumed, generated

    def state(self, t: float) -> State:
        """All that a meter measures at UTC second ``t``. Power holds for its minute, voltage and frequency live on."""
        ms = milliseconds(t)
        rates = self._ledger.at(ms)
        second = np.array([ms // 1000], np.int64)
        phases = []
        for phase in range(self.phase_count):
            imported, exported, q1, q2, q3, q4 = rates[phase * len(FLOWS) : (phase + 1) * len(FLOWS)]
            watts, var = (imported - exported) / 1000.0, (q1 + q2 - q3 - q4) / 1000.0
            phases.append(PhaseState(watts, var, float(self._voltage(phase, second, watts, var)[0])))
        return State(tuple(phases), self.weather.frequency_hz(t))

    def power_day(self, day: int) -> tuple[IntArray, IntArray]:
        """Net active power in mW and reactive power in mvar of UTC ``day``, shape (phases, 1440) each."""
        n = self.phase_count
        rates = self._ledger.rates(day).reshape(n + 1, len(FLOWS), MINUTES)[:n]
        return rates[:, 0] - rates[:, 1], rates[:, 2] + rates[:, 3] - rates[:, 4] - rates[:, 5]

    def voltage_day(self, day: int) -> FloatArray:
        """Voltage in V at the beginning of each minute of UTC ``day``, shape (phases, 1440)."""
        seconds = day * 86400 + 60 * np.arange(MINUTES, dtype=np.int64)
        active, reactive = self.power_day(day)
        rows = [
            self._voltage(phase, seconds, active[phase] / 1000.0, reactive[phase] / 1000.0)
            for phase in range(self.phase_count)
        ]
        return np.stack(rows)

    def _voltage(self, phase: int, seconds: IntArray, watts: float | FloatArray, var: float | FloatArray) -> FloatArray:
        """The street's voltage, less the drop (or plus the rise) along this house's own line."""
        key = self._volt_keys[phase]
        local = (seconds / 86400.0 + self.weather.longitude / 360.0) % 1.0
        # The street draws most around 19 h, and its panels lift the voltage at noon.
        street = -2.2 * np.exp(-(((local - 0.79) / 0.09) ** 2)) + 1.4 * np.exp(-(((local - 0.54) / 0.10) ** 2))
        noise = (
            1.2 * smooth(key, seconds, 1800) + 0.5 * smooth(key ^ 1, seconds, 60) + 0.15 * smooth(key ^ 2, seconds, 3)
        )
        drop = (self._line_ohm * watts + 0.08 * var) / _NOMINAL_V
        # The neutral carries the difference of the phases; a third of the drop again is near enough.
        return np.asarray(_NOMINAL_V + 1.5 + street + noise - 1.33 * drop)
