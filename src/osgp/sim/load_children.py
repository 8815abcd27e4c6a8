"""Gas, water and heat meters beside the electricity meter: exact counters, and the telegrams that they send.

Like `osgp.sim.load.Household` they are functions of seed and time, with rates that hold for a minute and sums without
rounding: volume counts in nanolitres, heat in microwatt-seconds. Source of habits and figures: project choice, in the order
of magnitude of a German household.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypedDict, Unpack
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from osgp.sim.load import UNITS_PER_WH
from osgp.sim.load_appliances import Cycler, local_offset_minutes
from osgp.sim.load_ledger import MINUTES, DayLedger, IntArray, milliseconds
from osgp.sim.load_noise import key_of, smooth, uniforms
from osgp.sim.load_weather import Weather
from osgp.sim.mbus import Coding, Header, Medium, Quantity, Record, manufacturer_code, record, rsp_ud, user_data
from osgp.wire.errors import ConfigError

__all__ = ["NL_PER_M3", "ChildMeter", "ChildOptions", "GasMeter", "HeatMeter", "WaterMeter"]

FloatArray = npt.NDArray[np.float64]

NL_PER_M3 = 10**12
"""Nanolitres in a cubic metre: what volumes count in."""

_MM3_S_PER_M3_H = 1e9 / 3600.0
_SINCE = datetime(2025, 1, 1, tzinfo=UTC)
# Peaks of hot and cold water over the local day: hour, weight, width in hours.
_WATER_PEAKS = ((7.0, 0.33, 0.8), (12.5, 0.2, 1.3), (18.5, 0.3, 1.4), (21.5, 0.17, 0.9))


@dataclass(frozen=True, slots=True)
class _Draw:
    """One kind of use: litres a minute, minutes it lasts, and how much of the yearly volume it is."""

    litres_min: float
    minutes: int
    share: float


_DRAWS = (_Draw(8.0, 6, 0.36), _Draw(6.0, 1, 0.3), _Draw(5.0, 2, 0.22), _Draw(9.0, 5, 0.12))


def _litres_per_minute(key: int, zone: str, day: int, m3_per_year: float) -> FloatArray:
    """Water drawn in each minute of UTC ``day``, in litres per minute."""
    flow = np.zeros(MINUTES + 16)
    begin = day * MINUTES
    for local in (day - 1, day, day + 1):
        draws = iter(uniforms(key ^ (local * 0x5851F42D4C957F2D & (2**64 - 1)), np.arange(2048)).tolist())
        midnight = local * MINUTES - local_offset_minutes(zone, local)
        for kind in _DRAWS:
            per_day = m3_per_year * 1000.0 * kind.share / 365.0 / (kind.litres_min * kind.minutes)
            for _ in range(min(int(per_day + next(draws)), 120)):
                pick = next(draws)
                hour, _weight, width = _WATER_PEAKS[-1]
                for peak in _WATER_PEAKS:
                    pick -= peak[1]
                    if pick < 0:
                        hour, _weight, width = peak
                        break
                at = int(60.0 * (hour + (next(draws) + next(draws) - 1.0) * 2.0 * width))
                start = midnight + min(max(at, 0), MINUTES - 1) - begin
                if -16 < start < MINUTES:
                    flow[max(start, 0) : max(start + kind.minutes, 0)] += kind.litres_min
    return flow[:MINUTES]


class ChildOptions(TypedDict, total=False):
    """The named arguments that every `ChildMeter` takes; see there."""

    weather: Weather | None
    zone: str
    serial: int | None
    manufacturer: str
    since: datetime


class ChildMeter(ABC):
    """What the three kinds have in common: a serial number, a ledger, an index that began somewhere, telegrams.

    ``serial`` has up to eight digits, drawn from the seed when None; ``manufacturer`` three capital letters; ``since`` the
    aware instant at which the index stood at a seeded first value. Due date (storage number 1) is the start of each month in
    local time. Raises `ConfigError` for settings that make no meter.
    """

    medium: Medium = Medium.OTHER

    def __init__(
        self,
        seed: int,
        *,
        weather: Weather | None = None,
        zone: str = "Europe/Berlin",
        serial: int | None = None,
        manufacturer: str = "OSG",
        since: datetime = _SINCE,
    ) -> None:
        if since.tzinfo is None:
            raise ConfigError("'since' needs a time zone", hint="Write it like 2025-01-01T00:00:00Z.")
        kind = type(self).__name__
        first = uniforms(key_of(seed, kind, "identity"), np.arange(2))
        self.seed = seed
        self.zone = zone
        self.weather = weather if weather is not None else Weather()
        self.serial = serial if serial is not None else 10_000_000 + int(first[0] * 89_999_999)
        if not 0 <= self.serial <= 99_999_999:
            raise ConfigError(f"serial number {self.serial} has more than eight digits")
        manufacturer_code(manufacturer)
        self.manufacturer = manufacturer
        self.since = since
        self._since_s = since.timestamp()
        self._first = float(first[1])
        self._key = key_of(seed, kind)
        self._ledger = DayLedger(self._rates, keep_days=3)

    @abstractmethod
    def _rates(self, day: int) -> IntArray:
        """Row 0: volume flow in mm3/s. Row 1, for heat: power in mW."""

    def volume(self, t0: float, t1: float) -> int:
        """Nanolitres from UTC second ``t0`` to ``t1``: exactly additive, to the millisecond; negative when time runs back."""
        return self._ledger.between(milliseconds(t0), milliseconds(t1))[0]

    def volume_series(self, t0: float, step_s: int, count: int) -> IntArray:
        """`volume` of ``count`` intervals of ``step_s`` seconds that follow ``t0``: int64 of shape (count,)."""
        return np.asarray(self._ledger.series(milliseconds(t0), step_s * 1000, count)[0])

    def flow_m3_h(self, t: float) -> float:
        """Volume flow at UTC second ``t``."""
        return self._ledger.at(milliseconds(t))[0] / _MM3_S_PER_M3_H

    def volume_index(self, t: float) -> int:
        """What the counter shows at ``t``, in nanolitres."""
        return int(self._first * 2000.0) * NL_PER_M3 + self.volume(self._since_s, t)

    def _due(self, t: float) -> datetime:
        """The start of the month in which ``t`` lies, local time."""
        local = datetime.fromtimestamp(t, ZoneInfo(self.zone))
        return local.replace(day=1, hour=0, minute=0, second=0, microsecond=0)

    def records(self, t: float) -> list[Record]:
        """The data records of a telegram sent at ``t``: volume, flow, time; with storage number 1 the last due date's."""
        due = self._due(t)
        local = datetime.fromtimestamp(t, ZoneInfo(self.zone))
        return [
            record(Quantity.FABRICATION_NUMBER, self.serial),
            record(Quantity.VOLUME_M3, _litres(self.volume_index(t)), exponent=-3),
            record(Quantity.FLOW_M3_H, _steps(self.flow_m3_h(t), 3), exponent=-3, coding=Coding.INT32),
            record(Quantity.DATE_TIME, local),
            record(Quantity.VOLUME_M3, _litres(self.volume_index(due.timestamp())), exponent=-3, storage=1),
            record(Quantity.DATE, due.date(), storage=1),
        ]

    def header(self, t: float, *, status: int = 0) -> Header:
        """The fixed header of a telegram sent at ``t``; the access number counts quarters of an hour."""
        return Header(self.serial, self.manufacturer, 1, self.medium, int(t // 900) & 0xFF, status)

    def user_data(self, t: float, *, status: int = 0) -> bytes:
        """CI field, header and records: what a gateway keeps of the answer."""
        return user_data(self.header(t, status=status), self.records(t))

    def telegram(self, t: float, *, address: int = 1, status: int = 0) -> bytes:
        """The whole RSP_UD as it stands on the bus."""
        return rsp_ud(address, self.header(t, status=status), self.records(t))


def _litres(nanolitres: int) -> Decimal:
    """Cubic metres with three places, cut as a counter's wheels cut; eight digits, after which a counter starts again."""
    return Decimal(nanolitres // (NL_PER_M3 // 1000) % 10**8).scaleb(-3)


def _steps(value: float, places: int) -> Decimal:
    return Decimal(round(value * 10**places)).scaleb(-places)


class WaterMeter(ChildMeter):
    """Cold water: taps, toilets, showers and machines. ``m3_per_year`` is about 45 for each person."""

    medium = Medium.WATER

    def __init__(self, seed: int, m3_per_year: float = 110.0, **options: Unpack[ChildOptions]) -> None:
        if not 0 <= m3_per_year <= 1000:
            raise ConfigError(f"{m3_per_year:g} m3 of water a year are not a household's", hint="Use 0 to 1000.")
        self.m3_per_year = m3_per_year
        super().__init__(seed, **options)

    def _rates(self, day: int) -> IntArray:
        litres_min = _litres_per_minute(self._key, self.zone, day, self.m3_per_year)
        return np.rint(litres_min * (1e6 / 60.0)).astype(np.int64).reshape(1, MINUTES)


class GasMeter(ChildMeter):
    """Natural gas: a boiler for rooms (after the weather) and hot water. ``m3_per_year`` is about 1,500 for a house."""

    medium = Medium.GAS

    def __init__(self, seed: int, m3_per_year: float = 1500.0, **options: Unpack[ChildOptions]) -> None:
        if not 0 <= m3_per_year <= 20000:
            raise ConfigError(f"{m3_per_year:g} m3 of gas a year are not a household's", hint="Use 0 to 20000.")
        self.m3_per_year = m3_per_year
        super().__init__(seed, **options)
        self._boiler = Cycler(self._key, 25 + int(self._first * 20))
        self._degrees = self.weather.mean_heating_degrees()

    def _rates(self, day: int) -> IntArray:
        minutes = day * MINUTES + np.arange(MINUTES, dtype=np.int64)
        mean = self.m3_per_year / 8766.0 * _MM3_S_PER_M3_H
        room = mean * 0.82 / self._degrees * self.weather.heating_degrees(minutes)
        burner = mean * 6.0
        flow = self._boiler.on(minutes, np.minimum(room / burner, 1.0)) * burner
        # Hot water: two fifths of the water that a household of this size draws, and the gas that a litre takes.
        litres = _litres_per_minute(self._key ^ 1, self.zone, day, 40.0)
        flow += litres * (self.m3_per_year * 0.18 / 40.0 / 1000.0) * (1e9 / 60.0)
        rates: IntArray = np.rint(flow).astype(np.int64)
        return rates.reshape(1, MINUTES)


class HeatMeter(ChildMeter):
    """District heat or a heat pump's output. ``kwh_per_year`` is about 12,000 for a house.

    The volume follows from power and the difference of the temperatures, with 1.15 kWh in a cubic metre and kelvin.
    """

    medium = Medium.HEAT_OUTLET

    def __init__(self, seed: int, kwh_per_year: float = 12000.0, **options: Unpack[ChildOptions]) -> None:
        if not 0 <= kwh_per_year <= 200_000:
            raise ConfigError(f"{kwh_per_year:g} kWh of heat a year are not a household's", hint="Use 0 to 200000.")
        self.kwh_per_year = kwh_per_year
        super().__init__(seed, **options)
        self._degrees = self.weather.mean_heating_degrees()

    def _temperatures(self, minutes: IntArray) -> tuple[FloatArray, FloatArray]:
        """Flow and return in degrees Celsius: a heating curve over the outdoor temperature, a little restless."""
        cold = self.weather.heating_degrees(minutes)
        flow = 46.0 + 0.9 * cold + 1.5 * smooth(self._key, minutes, 17)
        back = 30.0 + 0.35 * cold + 1.0 * smooth(self._key ^ 1, minutes, 23)
        return flow, back

    def _rates(self, day: int) -> IntArray:
        minutes = day * MINUTES + np.arange(MINUTES, dtype=np.int64)
        mean_w = self.kwh_per_year * 1000.0 / 8766.0
        watts = mean_w * 0.85 / self._degrees * self.weather.heating_degrees(minutes)
        watts *= 1.0 + 0.3 * smooth(self._key ^ 2, minutes, 45)
        litres = _litres_per_minute(self._key ^ 3, self.zone, day, 40.0)
        watts += litres * (mean_w * 8766.0 * 0.15 / 40_000.0) * 60.0
        flow, back = self._temperatures(minutes)
        mm3_s = watts / (1150.0 * (flow - back)) * _MM3_S_PER_M3_H
        return np.rint(np.stack([mm3_s, watts * 1000.0])).astype(np.int64)

    def energy(self, t0: float, t1: float) -> int:
        """Microwatt-seconds from UTC second ``t0`` to ``t1``: exactly additive, to the millisecond."""
        return self._ledger.between(milliseconds(t0), milliseconds(t1))[1]

    def energy_index(self, t: float) -> int:
        """What the counter shows at ``t``, in microwatt-seconds."""
        return int(self._first * 20_000.0) * 1000 * UNITS_PER_WH + self.energy(self._since_s, t)

    def power_w(self, t: float) -> float:
        """Thermal power at UTC second ``t``."""
        return self._ledger.at(milliseconds(t))[1] / 1000.0

    def temperatures_c(self, t: float) -> tuple[float, float]:
        """Flow and return temperature in degrees Celsius at UTC second ``t``."""
        flow, back = self._temperatures(np.array([int(t // 60)], np.int64))
        return float(flow[0]), float(back[0])

    def records(self, t: float) -> list[Record]:
        """Energy, power and temperatures beside the records of every child."""
        flow, back = (_steps(each, 1) for each in self.temperatures_c(t))
        due = self._due(t).timestamp()
        return [
            *super().records(t),
            record(Quantity.ENERGY_WH, self._kwh(t), exponent=3, coding=Coding.INT32),
            record(Quantity.POWER_W, round(self.power_w(t)), coding=Coding.INT32),
            record(Quantity.FLOW_TEMPERATURE_C, flow, exponent=-1, coding=Coding.BCD4),
            record(Quantity.RETURN_TEMPERATURE_C, back, exponent=-1, coding=Coding.BCD4),
            record(Quantity.TEMPERATURE_DIFFERENCE_K, flow - back, exponent=-1, coding=Coding.INT16),
            record(Quantity.ENERGY_WH, self._kwh(due), exponent=3, coding=Coding.INT32, storage=1),
        ]

    def _kwh(self, t: float) -> int:
        return self.energy_index(t) // (1000 * UNITS_PER_WH) * 1000
