"""Simulated houses: exact sums, plausible days, the same answers in any order."""

from __future__ import annotations

import importlib
import random
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osgp.sim.load import FLOWS, UNITS_PER_WH, Energy, Flow, Household
from osgp.sim.load_ledger import DayLedger
from osgp.sim.load_profile import german_holidays, household_shape
from osgp.sim.load_weather import Weather
from osgp.wire.errors import ConfigError


def epoch(*parts: int) -> float:
    return datetime(*parts, tzinfo=UTC).timestamp()  # type: ignore[misc, arg-type]  # year, month, day, hour …


D2025 = epoch(2025, 1, 1)
YEAR_S = 365 * 86400

# Around the hours lost and gained, year ends, a leap day, midnight in UTC and in local time.
EDGES = [
    epoch(2025, 3, 30, 1), epoch(2025, 10, 26, 1), epoch(2024, 12, 31, 23), epoch(2025, 1, 1),
    epoch(2024, 2, 29), epoch(2025, 6, 30, 22), epoch(2025, 7, 1), epoch(2026, 1, 1),
]  # fmt: skip
TIMES = st.one_of(
    st.builds(lambda edge, off: edge + off, st.sampled_from(EDGES), st.integers(-7200, 7200)),
    st.builds(
        lambda edge, ms: edge + ms / 1000, st.sampled_from(EDGES), st.integers(-100_000_000, 100_000_000)
    ),
)  # fmt: skip
HOUSES = {
    "one phase": Household(1, "1ph", 2500),
    "sun": Household(2, "3ph", 4000, 6.0),
    "sun on one phase": Household(5, "3ph", 3000, 3.0),
    "car and heat pump": Household(3, "3ph", 9000, ev=True, heat_pump=True),
    "sun alone": Household(4, "3ph", 0, 5.0),
}


@pytest.mark.parametrize("name", HOUSES)
@settings(max_examples=25, deadline=None)
@given(times=st.lists(TIMES, min_size=3, max_size=3))
def test_energy_is_additive_to_the_last_digit(name: str, times: list[float]) -> None:
    house = HOUSES[name]
    a, b, c = times
    assert house.energy(a, b) + house.energy(b, c) == house.energy(a, c)
    assert house.energy(a, c) - house.energy(a, b) == house.energy(b, c)


@settings(max_examples=20, deadline=None)
@given(start=TIMES, step=st.sampled_from([1, 37, 60, 900, 3600, 86400, 100_000]), count=st.integers(1, 12))
def test_a_series_is_the_same_energy_in_pieces(start: float, step: int, count: int) -> None:
    house = HOUSES["sun"]
    series = house.energy_series(start, step, count)
    assert series.shape == (4, len(FLOWS), count)
    for number in range(count):
        energy = house.energy(start + number * step, start + (number + 1) * step)
        rows = [*energy.phases, energy.total]
        assert series[:, :, number].tolist() == [[getattr(row, name) for name in FLOWS] for row in rows]


def test_a_minute_of_energy_is_its_power() -> None:
    house = HOUSES["sun"]
    for minute in range(0, 1440, 7):
        t = epoch(2025, 5, 5) + minute * 60
        state, energy = house.state(t + 30), house.energy(t, t + 60)
        for phase, flow in zip(state.phases, energy.phases):
            assert flow.imported == round(phase.import_w * 1000) * 60_000
            assert flow.exported == round(phase.export_w * 1000) * 60_000
            assert getattr(flow, f"q{phase.quadrant}") == round(abs(phase.reactive_var) * 1000) * 60_000
        net = sum(flow.imported - flow.exported for flow in energy.phases)
        assert energy.total.imported - energy.total.exported == net
        assert energy.total.imported == max(net, 0)
        assert energy.summed.imported >= energy.total.imported


@pytest.mark.parametrize(
    ("kwh", "options"),
    [
        (800, {}),
        (3500, {}),
        (7000, {"ev": True}),
        (6500, {"heat_pump": True}),
        (12000, {"ev": True, "heat_pump": True}),
    ],
)
@pytest.mark.parametrize(("seed", "model", "start"), [(1, "1ph", D2025), (2, "3ph", epoch(2023, 7, 1))])
def test_a_year_uses_what_was_asked_for(
    kwh: float, options: dict[str, bool], seed: int, model: Any, start: float
) -> None:
    house = Household(seed, model, kwh, **options)
    energy = house.energy(start, start + YEAR_S)
    assert energy.total.wh() / 1000 == pytest.approx(kwh, rel=0.1)
    assert energy.total.exported == 0


def test_panels_move_energy_and_do_not_make_the_house_use_more() -> None:
    house = Household(2, "3ph", 4000, 6.0)
    consumed, generated = house.gross(D2025, D2025 + YEAR_S)
    total = house.energy(D2025, D2025 + YEAR_S).total
    assert consumed / UNITS_PER_WH / 1000 == pytest.approx(4000, rel=0.1)
    assert 800 < generated / UNITS_PER_WH / 1000 / 6.0 < 1100
    assert total.imported - total.exported == pytest.approx(consumed - generated, rel=1e-6)
    assert 0 < total.imported < consumed
    assert all(getattr(total, name) > 0 for name in FLOWS)
    winter, summer = (house.energy(t, t + 30 * 86400).total for t in (epoch(2025, 1, 1), epoch(2025, 6, 1)))
    assert summer.exported > 3 * winter.exported
    assert house.energy(epoch(2025, 6, 1, 22), epoch(2025, 6, 2, 1)).total.exported == 0


def test_days_look_like_days() -> None:
    power = np.zeros(1440)
    for seed in range(20):
        for day in range(20_300, 20_307):
            power += Household(seed, "1ph", 3500).power_day(day)[0][0] / 1000 / 140
    hours = power.reshape(24, 60).mean(axis=1)  # UTC in August: local time is two hours ahead
    night, evening = hours[[0, 1]].mean(), hours[[16, 17, 18]].mean()
    assert 80 < night < 250
    assert evening > 2 * night
    assert 250 < hours.mean() < 550


def test_electrical_values_are_those_of_a_low_voltage_grid() -> None:
    for house in HOUSES.values():
        for day in (20_100, 20_250):
            volts = house.voltage_day(day)
            assert volts.shape == (house.phase_count, 1440)
            assert volts.min() > 205
            assert volts.max() < 253
        state = house.state(epoch(2025, 4, 1, 12))
        assert 49.8 < state.frequency_hz < 50.2
        assert state.power_w == pytest.approx(sum(phase.power_w for phase in state.phases))
        for phase in state.phases:
            assert phase.current_a * phase.voltage_v == pytest.approx(phase.apparent_va)
            assert 0 <= phase.power_factor <= 1
    loaded, idle = HOUSES["car and heat pump"], Household(3, "3ph", 0)
    evening = max(range(17 * 3600, 23 * 3600, 60), key=lambda s: loaded.state(epoch(2025, 1, 14) + s).power_w)
    t = epoch(2025, 1, 14) + evening
    assert loaded.state(t).phases[0].voltage_v < idle.state(t).phases[0].voltage_v


def test_the_voltage_of_a_day_is_the_voltage_of_its_moments() -> None:
    house = HOUSES["sun"]
    volts = house.voltage_day(20_200)
    for minute in (0, 1, 719, 1439):
        state = house.state(20_200 * 86400 + minute * 60)
        assert [phase.voltage_v for phase in state.phases] == pytest.approx(volts[:, minute].tolist(), abs=1e-9)


def test_a_single_phase_house_has_one_phase() -> None:
    house = HOUSES["one phase"]
    energy = house.energy(D2025, D2025 + 86400)
    assert len(energy.phases) == len(house.state(D2025).phases) == 1
    assert energy.phases[0] == energy.total == energy.summed


def test_answers_do_not_depend_on_what_was_asked_before() -> None:
    def answers(order: list[int]) -> dict[int, tuple[Energy, object]]:
        house = Household(9, "3ph", 8000, 4.0, ev=True, heat_pump=True)
        got: dict[int, tuple[Energy, object]] = {}
        for number in order:
            t = D2025 + number * 40_000
            got[number] = house.energy(t, t + 50_000), house.state(t)
        return got

    numbers = list(range(30))
    forward = answers(numbers)
    random.Random(1).shuffle(numbers)
    assert answers(numbers) == forward


def test_seeds_make_different_houses_under_one_sky() -> None:
    one, same, other = Household(1, pv_kwp=5), Household(1, pv_kwp=5), Household(2, pv_kwp=5)
    week = D2025, D2025 + 7 * 86400
    assert one.energy(*week) == same.energy(*week) != other.energy(*week)
    assert one.state(D2025).frequency_hz == other.state(D2025).frequency_hz
    elsewhere = Household(1, pv_kwp=5, weather=Weather(7))
    assert elsewhere.energy(*week) != one.energy(*week)


def test_runs_go_on_past_midnight() -> None:
    house = Household(3, "1ph", 9000, ev=True)
    minutes = np.concatenate([house.power_day(day)[0][0] for day in range(20_100, 20_160)])
    charging = minutes > 3_500_000
    edges = np.arange(1440, len(minutes), 1440)
    assert any(charging[edge - 1] and charging[edge] for edge in edges)


def test_other_zones_move_the_day() -> None:
    def noon_share(zone: str) -> float:
        power = sum(Household(1, "1ph", 3500, zone=zone).power_day(day)[0][0] for day in range(20_200, 20_230))
        return float(power[2 * 60 : 6 * 60].sum() / power.sum())

    assert noon_share("Asia/Tokyo") > 1.5 * noon_share("Europe/London")


def test_the_profile_is_laid_out_along_utc() -> None:
    winter, summer = household_shape(2025, "Europe/Berlin"), household_shape(2024, "Europe/Berlin")
    assert (len(winter), len(summer)) == (367 * 96, 368 * 96)
    assert winter[96:-96].mean() == pytest.approx(1.0)
    assert len(household_shape(2025, "Pacific/Kiritimati")) == 367 * 96
    with pytest.raises(ConfigError):
        household_shape(2025, "Mars/Base")


def test_holidays_are_those_of_all_german_states() -> None:
    assert [day.isoformat() for day in german_holidays(2025)] == [
        "2025-01-01", "2025-04-18", "2025-04-21", "2025-05-01", "2025-05-29",
        "2025-06-09", "2025-10-03", "2025-12-25", "2025-12-26",
    ]  # fmt: skip
    assert german_holidays(2038)[1].isoformat() == "2038-04-23"  # Easter at its latest


def test_without_the_library_the_hint_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str, *_: object) -> object:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ConfigError) as caught:
        household_shape(1999, "Europe/Berlin")
    assert "osgp[sim]" in caught.value.hint


def test_settings_that_make_no_house_are_refused() -> None:
    with pytest.raises(ConfigError):
        Household(1, "2ph")  # type: ignore[arg-type]  # that is the point
    with pytest.raises(ConfigError):
        Household(1, "1ph", -1)
    with pytest.raises(ConfigError):
        Household(1, "1ph", 1, -1)


def test_flows_add_by_name() -> None:
    assert Flow(1, 2, 3, 4, 5, 6) + Flow(1, 1, 1, 1, 1, 1) == Flow(2, 3, 4, 5, 6, 7)
    assert Flow(imported=UNITS_PER_WH * 5).wh() == 5.0


def test_a_ledger_computes_each_day_once_for_long_spans() -> None:
    asked: list[int] = []

    def build(day: int) -> np.ndarray[Any, Any]:
        asked.append(day)
        return np.full((1, 1440), day, np.int64)

    ledger = DayLedger(build)
    day_ms = 86_400_000
    assert ledger.between(-3 * day_ms, 100 * day_ms) == [sum(range(-3, 100)) * day_ms]
    assert sorted(asked) == list(range(-3, 101))
    before = len(asked)
    assert ledger.between(-3 * day_ms, 100 * day_ms + 1) == [sum(range(-3, 100)) * day_ms + 100]
    assert len(asked) - before <= 2
