"""Kinds of devices on a street: meters, load-control modules, inverter meters, gateways, each with what hangs on it. Project choice.

A kind is a model of ``Meter``, the parts that it has beyond a plain meter, and a source of energy::

    meter = make_meter("inverter", "90001234", seed=7, start=1.8e9)
    find(meter, Inverter).order(30, 3600.0)  # give at most 30 % for an hour
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from osgp.node.disconnect import Contactor
from osgp.node.energy import EnergySource, Instant, NoEnergy, PhaseInstant
from osgp.node.firmware_banks import FirmwareBanks
from osgp.node.inverter import Inverter
from osgp.node.load_control import LoadControl
from osgp.node.mbus_devices import MbusChild
from osgp.node.meter import Meter
from osgp.node.osgp_orders import Orders
from osgp.node.osgp_parts import Part
from osgp.node.osgp_tamper import Tamper
from osgp.node.power_limit import PowerLimit
from osgp.node.prepay import Prepay
from osgp.sim.household import HouseholdSource
from osgp.sim.load import Household
from osgp.sim.load_ledger import MINUTES, milliseconds
from osgp.sim.load_weather import Weather
from osgp.wire.errors import ConfigError

__all__ = ["FIRMWARE", "KINDS", "Kind", "SolarSource", "make_meter", "source_of"]

FIRMWARE = "4.60"
"""Of the devices on a street: from 4.50 on ET89 has the modes of relays and the results of image checks."""
_MINUTE_MS = 60_000
_KEPT = 32
_BEFORE_S = 40 * 86400.0


@dataclass(frozen=True, slots=True)
class Kind:
    """``model``: of ``Meter``. ``hardware_id``: of the firmware images that fit (project choice)."""

    name: str
    model: str
    parts: tuple[type[Part], ...]
    hardware_id: int


_METER = (Contactor, Orders, LoadControl, PowerLimit, Prepay, Tamper, FirmwareBanks)
KINDS = {
    "1ph": Kind("1ph", "1ph", _METER, 0x0101),
    "3ph": Kind("3ph", "3ph", _METER, 0x0103),
    "load": Kind("load", "load", (Orders, LoadControl, Tamper, FirmwareBanks), 0x0201),
    "inverter": Kind("inverter", "inverter", (Contactor, Orders, Inverter, Tamper, FirmwareBanks), 0x0301),
    "gateway": Kind("gateway", "mbus", _METER, 0x0401),
}
"""What a street is made of: meters of one and three phases, load-control modules, inverter meters, gateways with M-Bus children."""


class SolarSource(HouseholdSource):
    """An inverter with nothing else behind its meter; it obeys ``limit``.

    Curtailed, its active power is cut to the limit minute by minute and its reactive power in proportion, so that energy stays exactly
    additive. The last 32 limits are remembered.
    """

    def __init__(self, house: Household) -> None:
        super().__init__(house)
        self.rated_w = 900.0 * house.pv_kwp
        self._limits: list[tuple[int, int | None]] = [(-(1 << 62), None)]
        """(from millisecond, mW or None)."""

    def limit(self, at: float, watts: float | None) -> None:
        """From ``at`` on give at most so many watts; None: as many as there are."""
        moment = milliseconds(at)
        kept = [each for each in self._limits if each[0] < moment]
        self._limits = [*kept[-_KEPT:], (moment, None if watts is None else round(watts * 1000))]

    def _limit_at(self, moment: int) -> int | None:
        return next((cap for since, cap in reversed(self._limits) if since <= moment), None)

    def energy(self, start: float, end: float) -> tuple[int, ...]:
        """The ten amounts of ``osgp.node.energy.FLOWS``."""
        first, last = milliseconds(start), milliseconds(end)
        edges = [first, *(since for since, _ in self._limits if first < since < last), last]
        total = [0] * 10
        for begin, stop in itertools.pairwise(edges):
            cap = self._limit_at(begin)
            part = super().energy(begin / 1000, stop / 1000) if cap is None else self._curtailed(begin, stop, cap)
            total = [a + b for a, b in zip(total, part)]
        return tuple(total)

    def _curtailed(self, first: int, last: int, cap: int) -> list[int]:
        total = [0] * 10
        for minute in range(first // _MINUTE_MS, -(-last // _MINUTE_MS)):
            span = min(last, (minute + 1) * _MINUTE_MS) - max(first, minute * _MINUTE_MS)
            day, place = divmod(minute, MINUTES)
            active, reactive = self.house.power_day(day)
            p, q = int(active[:, place].sum()), int(reactive[:, place].sum())
            if -p > cap:
                p, q = -cap, q * cap // -p
            s = int(np.rint(math.hypot(p, q)))
            taking, inductive = p >= 0, q >= 0
            quadrant = (0 if taking else 1) if inductive else (3 if taking else 2)
            rates = [max(p, 0), max(-p, 0)] + [0] * 8
            rates[2 + quadrant], rates[6 + quadrant] = abs(q), s
            total = [a + b * span for a, b in zip(total, rates)]
        return total

    def instant(self, at: float) -> Instant:
        """Power, voltage and frequency at a moment."""
        free = super().instant(at)
        cap = self._limit_at(milliseconds(at))
        given = -sum(each.power_w for each in free.phases)
        if cap is None or given * 1000 <= cap:
            return free
        share = cap / (given * 1000)
        phases = tuple(PhaseInstant(p.power_w * share, p.reactive_var * share, p.voltage_v) for p in free.phases)
        return Instant(phases, free.frequency_hz)


def source_of(kind: str, seed: int, weather: Weather) -> EnergySource:
    """What hangs on the terminals of a device of that kind; everything follows from the seed."""
    if kind == "load":
        return NoEnergy(1)
    if kind == "inverter":
        return SolarSource(Household(seed, "3ph", 0.0, (4.5, 6.0, 8.2, 9.8)[seed % 4], weather=weather))
    kwh = 2200.0 + 450.0 * (seed * 37 % 13)
    return HouseholdSource(Household(seed, "1ph" if kind == "1ph" else "3ph", kwh, weather=weather))


def _children(seed: int, weather: Weather, start: float) -> tuple[MbusChild, ...]:
    from osgp.sim.load_children import ChildOptions, GasMeter, HeatMeter, WaterMeter

    since = datetime.fromtimestamp(start - _BEFORE_S, UTC)
    options = ChildOptions(weather=weather, since=since)
    return (WaterMeter(seed, **options), GasMeter(seed, **options), HeatMeter(seed, **options))


def make_meter(
    kind: str,
    serial: str,
    *,
    seed: int,
    start: float,
    firmware: str = FIRMWARE,
    source: EnergySource | None = None,
    weather: Weather | None = None,
) -> Meter:
    """The tables' side of a device, switched on at ``start`` (true UTC seconds). ``source``: in place of what its kind has.

    Raises ConfigError for a kind that is none.
    """
    found = KINDS.get(kind)
    if found is None:
        raise ConfigError(f"there is no kind of device {kind!r}", hint=f"kinds: {', '.join(KINDS)}")
    weather = weather or Weather(seed)
    children = _children(seed, weather, start) if kind == "gateway" else ()
    return Meter(
        found.model,
        serial,
        source or source_of(kind, seed, weather),
        start=start,
        seed=seed,
        firmware=firmware,
        children=children,
        parts=found.parts,
    )
