"""Sun, clouds and outdoor temperature of one place: what the houses of a street have in common.

- Position of the sun: declination and equation of time after Spencer (1971), as given in Duffie and Beckman, *Solar
  Engineering of Thermal Processes*.
- Clear sky: global horizontal irradiance after Haurwitz (1945), 1098 cos z exp(-0.057 / cos z) W/m2; direct normal after
  Meinel (1976), 1353 * 0.7 ** (AM ** 0.678) W/m2; what is left of the global is diffuse, the same from all of the sky.
- Clouds and temperature: own, seeded; tuned to give Central European sums (about 950 kWh a year per kWp facing south; about
  10 degrees Celsius on average). Project choice.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from osgp.sim.load_ledger import MINUTES
from osgp.sim.load_noise import key_of, smooth, uniforms

__all__ = ["Weather", "clear_sky_on_plane"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_YEAR_DAYS = 365.2425
_ALBEDO = 0.2


@lru_cache(maxsize=64)
def clear_sky_on_plane(
    day: int, latitude: float, longitude: float, tilt: float, azimuth: float
) -> tuple[FloatArray, FloatArray]:
    """Direct and diffuse irradiance in W/m2 on a tilted plane for the 1,440 minutes of UTC ``day``, without clouds.

    ``tilt`` and ``azimuth`` in degrees (0 is flat; 180 looks south, 90 east). The plane loses a tenth of the diffuse light
    that it does not see, and gains what the ground reflects.
    """
    minute = np.arange(MINUTES, dtype=np.float64) + 0.5
    turn = 2.0 * math.pi * (day % _YEAR_DAYS) / _YEAR_DAYS
    declination = (
        0.006918
        - 0.399912 * math.cos(turn)
        + 0.070257 * math.sin(turn)
        - 0.006758 * math.cos(2 * turn)
        + 0.000907 * math.sin(2 * turn)
        - 0.002697 * math.cos(3 * turn)
        + 0.00148 * math.sin(3 * turn)
    )
    equation_min = 229.18 * (
        0.000075
        + 0.001868 * math.cos(turn)
        - 0.032077 * math.sin(turn)
        - 0.014615 * math.cos(2 * turn)
        - 0.040849 * math.sin(2 * turn)
    )
    hour_angle = np.radians((minute + 4.0 * longitude + equation_min) / 4.0 - 180.0)
    phi = math.radians(latitude)
    cos_z = math.sin(phi) * math.sin(declination) + math.cos(phi) * math.cos(declination) * np.cos(hour_angle)
    up = cos_z > 0.01
    cos_up = np.where(up, cos_z, 1.0)
    level = np.where(up, 1098.0 * cos_up * np.exp(-0.057 / cos_up), 0.0)
    normal = np.where(up, 1353.0 * 0.7 ** (cos_up**-0.678), 0.0)
    normal = np.minimum(normal, level / cos_up)
    diffuse_level = level - normal * np.where(up, cos_z, 0.0)
    beta, gamma = math.radians(tilt), math.radians(azimuth - 180.0)
    # The sun's direction as a vector (south, west, up), times the plane's normal.
    south = np.cos(hour_angle) * math.cos(declination) * math.sin(phi) - math.sin(declination) * math.cos(phi)
    west = math.cos(declination) * np.sin(hour_angle)
    cos_plane = (
        south * math.sin(beta) * math.cos(gamma) + west * math.sin(beta) * math.sin(gamma) + cos_z * math.cos(beta)
    )
    direct = normal * np.maximum(cos_plane, 0.0)
    diffuse = diffuse_level * (1.0 + math.cos(beta)) / 2.0 + level * _ALBEDO * (1.0 - math.cos(beta)) / 2.0
    direct.flags.writeable = False
    diffuse.flags.writeable = False
    return direct, diffuse


class Weather:
    """The seeded weather of one place; houses that share a `Weather` (or its seed) share clouds and frost.

    ``latitude`` and ``longitude`` in degrees, north and east positive; ``mean_c`` and ``swing_k`` describe the year: its mean
    temperature, and how far the mean of a day leaves it in January and July.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        latitude: float = 51.3,
        longitude: float = 9.5,
        mean_c: float = 10.0,
        swing_k: float = 9.5,
    ) -> None:
        self.seed = seed
        self.latitude = latitude
        self.longitude = longitude
        self.mean_c = mean_c
        self.swing_k = swing_k
        self._cover = key_of(seed, "cloud cover")
        self._gaps = key_of(seed, "gaps between clouds")
        self._fronts = key_of(seed, "fronts")
        self._grid = key_of(seed, "grid frequency")
        self._clear = lru_cache(maxsize=8)(self._make_clearness)

    def _make_clearness(self, day: int) -> FloatArray:
        minutes = day * MINUTES + np.arange(MINUTES, dtype=np.int64)
        # Cover wanders over half a day; the gaps over minutes, and they matter most when the sky is half covered.
        # Central European winters are grey: on average 0.66 of the sky in January, 0.36 in July.
        grey = 0.15 * math.cos(2.0 * math.pi * (day - 10.0) / _YEAR_DAYS)
        cover = np.clip(0.51 + grey + 0.5 * smooth(self._cover, minutes, 700), 0.0, 1.0)
        cover = cover * cover * (3.0 - 2.0 * cover)
        gaps = 0.5 + 0.5 * smooth(self._gaps, minutes, 9)
        shade = np.clip(cover + (gaps - 0.5) * 3.0 * cover * (1.0 - cover), 0.0, 1.0)
        clearness = 1.0 - shade
        clearness.flags.writeable = False
        return clearness

    def clearness(self, day: int) -> FloatArray:
        """How much of the direct light arrives in each minute of UTC ``day``, 0 (overcast) to 1 (clear)."""
        return self._clear(day)

    def irradiance(self, day: int, tilt: float = 35.0, azimuth: float = 180.0) -> FloatArray:
        """W/m2 on a tilted plane for each minute of UTC ``day``, clouds included."""
        direct, diffuse = clear_sky_on_plane(day, self.latitude, self.longitude, tilt, azimuth)
        clear = self.clearness(day)
        # Thin cloud turns direct light into diffuse before thick cloud takes that as well (Kasten, Czeplak 1980: an
        # overcast sky passes about a quarter of the clear-sky light).
        return direct * clear + diffuse * (0.45 + 0.55 * clear) + direct * (1.0 - clear) * 0.12

    def temperature_c(self, minutes: IntArray) -> FloatArray:
        """Outdoor temperature at the given UTC minutes since 1970, in degrees Celsius."""
        day = minutes / MINUTES
        season = -np.cos(2.0 * math.pi * (day - 19.0) / _YEAR_DAYS)
        local = (day + self.longitude / 360.0) % 1.0
        course = -np.cos(2.0 * math.pi * (local - 0.12))
        front = smooth(self._fronts, minutes, 4 * MINUTES) * 5.5 + smooth(self._fronts ^ 1, minutes, 11 * MINUTES) * 1.5
        return np.asarray(self.mean_c + self.swing_k * season + (3.0 + season) * course + front)

    def heating_degrees(self, minutes: IntArray, limit_c: float = 15.0) -> FloatArray:
        """How many kelvin the outdoor temperature lies below the heating limit; 0 above it."""
        return np.maximum(limit_c - self.temperature_c(minutes), 0.0)

    def mean_heating_degrees(self, limit_c: float = 15.0) -> float:
        """The mean of `heating_degrees` over 24 years, every three hours: what a building's yearly need is scaled by."""
        hours = np.arange(0, 24 * 366 * MINUTES, 180, dtype=np.int64) + 20000 * MINUTES
        return float(self.heating_degrees(hours, limit_c).mean())

    def frequency_hz(self, t: float) -> float:
        """Grid frequency at UTC second ``t``: the same for all meters that share this weather.

        Wanders by some 20 mHz, and dips or rises at the full hour when power plants change their schedules.
        """
        tenth = np.array([round(t * 10)], np.int64)
        wander = float(smooth(self._grid, tenth, 250)[0]) * 0.018 + float(smooth(self._grid ^ 1, tenth, 3000)[0]) * 0.02
        hour, into = divmod(t + 300.0, 3600.0)
        jump = (float(uniforms(self._grid ^ 2, np.array([int(hour)], np.int64))[0]) - 0.5) * 0.08
        return 50.0 + wander + jump * math.exp(-(((into - 300.0) / 150.0) ** 2))
