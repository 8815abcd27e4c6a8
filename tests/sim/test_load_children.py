"""Gas, water and heat: exact counters, and telegrams that say what the counters show."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pymbusparser
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osgp.sim.load import UNITS_PER_WH
from osgp.sim.load_children import NL_PER_M3, ChildMeter, GasMeter, HeatMeter, WaterMeter
from osgp.wire.errors import ConfigError

D2025 = datetime(2025, 1, 1, tzinfo=UTC).timestamp()
YEAR_S = 365 * 86400
METERS: list[ChildMeter] = [WaterMeter(1), GasMeter(1), HeatMeter(1)]
TIMES = st.integers(-10 * 86_400_000, 100 * 86_400_000).map(lambda ms: D2025 + ms / 1000)


@pytest.mark.parametrize("meter", METERS, ids=lambda meter: type(meter).__name__)
@settings(max_examples=25, deadline=None)
@given(times=st.lists(TIMES, min_size=3, max_size=3))
def test_volume_is_additive_to_the_last_digit(meter: ChildMeter, times: list[float]) -> None:
    a, b, c = times
    assert meter.volume(a, b) + meter.volume(b, c) == meter.volume(a, c)
    assert meter.volume_index(b) - meter.volume_index(a) == meter.volume(a, b)
    if isinstance(meter, HeatMeter):
        assert meter.energy(a, b) + meter.energy(b, c) == meter.energy(a, c)
        assert meter.energy_index(b) - meter.energy_index(a) == meter.energy(a, b)


def test_a_year_is_what_was_asked_for() -> None:
    assert WaterMeter(2, 90).volume(D2025, D2025 + YEAR_S) / NL_PER_M3 == pytest.approx(90, rel=0.1)
    assert GasMeter(2, 1500).volume(D2025, D2025 + YEAR_S) / NL_PER_M3 == pytest.approx(1500, rel=0.12)
    heat = HeatMeter(2, 12000).energy(D2025, D2025 + YEAR_S)
    assert heat / UNITS_PER_WH / 1000 == pytest.approx(12000, rel=0.12)


def test_winter_takes_more_than_summer_and_night_less_than_day() -> None:
    july = D2025 + 181 * 86400
    for meter in METERS[1:]:
        assert meter.volume(D2025, D2025 + 30 * 86400) > 3 * meter.volume(july, july + 30 * 86400)
    hours = METERS[0].volume_series(D2025, 3600, 24 * 14).reshape(14, 24).sum(axis=0)
    assert hours[1:4].sum() < hours[17:20].sum() / 4


def test_series_and_seeds() -> None:
    for meter in METERS:
        series = meter.volume_series(D2025, 900, 96)
        assert series.sum() == meter.volume(D2025, D2025 + 86400)
        again = type(meter)(1)
        assert (again.serial, again.telegram(D2025)) == (meter.serial, meter.telegram(D2025))
        assert type(meter)(2).volume(D2025, D2025 + 86400) != meter.volume(D2025, D2025 + 86400)


def by_quantity(telegram: bytes) -> dict[tuple[str, int], dict[str, Any]]:
    frame = pymbusparser.parse(telegram)
    assert frame["decode_state"] == "complete"
    assert not frame["diagnostics"]
    return {(record["quantities"][0], record["storage_number"]): record for record in frame["records"]}


@pytest.mark.parametrize("meter", METERS, ids=lambda meter: type(meter).__name__)
@pytest.mark.parametrize("t", [D2025 + 17.5, D2025 + 100 * 86400 + 12345])
def test_a_reader_finds_in_the_telegram_what_the_counter_shows(meter: ChildMeter, t: float) -> None:
    records = by_quantity(meter.telegram(t, address=3))
    litres = meter.volume_index(t) // (NL_PER_M3 // 1000)
    assert Decimal(records["Volume", 0]["value"]["value"]) == Decimal(litres) / 1000
    assert Decimal(records["Volume", 1]["value"]["value"]) <= Decimal(records["Volume", 0]["value"]["value"])
    assert records["Fabrication number", 0]["value"]["value"] == str(meter.serial)
    assert float(records["Volume flow", 0]["value"]["value"]) == pytest.approx(meter.flow_m3_h(t), abs=0.0006)
    if isinstance(meter, HeatMeter):
        kwh = meter.energy_index(t) // (1000 * UNITS_PER_WH)
        assert records["Energy", 0]["value"]["value"] == str(kwh * 1000)
        flow, back = meter.temperatures_c(t)
        assert float(records["Flow temperature", 0]["value"]["value"]) == pytest.approx(flow, abs=0.051)
        assert float(records["Return temperature", 0]["value"]["value"]) == pytest.approx(back, abs=0.051)
        assert float(records["Power", 0]["value"]["value"]) == pytest.approx(meter.power_w(t), abs=0.51)


def test_the_user_data_is_the_inside_of_the_telegram() -> None:
    telegram = METERS[0].telegram(D2025, address=9, status=4)
    assert telegram[6:-2] == METERS[0].user_data(D2025, status=4)
    assert telegram[5] == 9


def test_settings_that_make_no_meter_are_refused() -> None:
    with pytest.raises(ConfigError):
        WaterMeter(1, -1)
    with pytest.raises(ConfigError):
        GasMeter(1, 1e6)
    with pytest.raises(ConfigError):
        HeatMeter(1, -5)
    with pytest.raises(ConfigError):
        HeatMeter(1, serial=10**8)
    with pytest.raises(ConfigError):
        HeatMeter(1, since=datetime(2025, 1, 1))
