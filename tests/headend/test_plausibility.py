"""Flags: what they catch, what they leave alone, and that nothing is ever dropped."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp.headend.plausibility import Flag, Past, Rules, check_clock, check_profile, check_reading, flag_names

from .test_store import profile_of

RULES = Rules()
QUIET = Rules(
    max_power_w=0,
    spike_wh=0,
    frozen_s=0,
    voltage=(0, 0),
    current=(0, 0),
    frequency=(0, 0),
    clock_s=0,
    backwards=False,
    zero=False,
)


def energy(*readings: tuple[float, float], rules: Rules = RULES) -> list[Flag]:
    """Flags of a run of (hours, Wh), each judged by those before it with the flags that they got."""
    past: list[Past] = []
    flags = []
    for hours, value in readings:
        flags.append(check_reading("fwd_active_energy", "Wh", hours * 3600, value, past, rules))
        past.append(Past(hours * 3600, value, int(flags[-1])))
    return flags


def test_an_ordinary_register_has_no_flags() -> None:
    assert energy((0, 1000), (1, 1500), (2, 1500), (3, 9000), (500, 400_000)) == [Flag(0)] * 5


def test_a_jump_is_a_spike_and_the_way_back_is_not() -> None:
    assert energy((0, 1000), (1, 5_001_000), (2, 2000), (3, 2500)) == [Flag(0), Flag.SPIKE, Flag(0), Flag(0)]


def test_a_zero_among_readings_is_flagged_and_the_next_is_no_jump() -> None:
    assert energy((0, 9_000_000), (1, 0), (2, 9_000_500)) == [Flag(0), Flag.ZERO, Flag(0)]


def test_a_register_that_goes_backwards_is_flagged() -> None:
    assert energy((0, 9000), (1, 8999), (2, 9100)) == [Flag(0), Flag.BACKWARDS, Flag(0)]


def test_a_register_that_begins_anew_becomes_the_truth() -> None:
    """A replaced or reset register: the first few are flagged, then it is believed."""
    flags = energy((0, 9_000_000), (1, 100), (2, 200), (3, 300), (4, 400), (5, 500))
    assert flags[1:4] == [Flag.BACKWARDS] * 3
    assert flags[4:] == [Flag(0)] * 2


def test_after_a_long_outage_growth_is_no_spike() -> None:
    assert energy((0, 1000), (24 * 60, 1_500_000)) == [Flag(0), Flag(0)]


def test_frozen_needs_a_running_clock() -> None:
    standing = [(hour / 4, 5000.0) for hour in range(30)]
    flags = energy(*standing)
    assert flags[23] == Flag(0)
    assert flags[24:] == [Flag.FROZEN] * 6
    assert energy(*[(0, 5000.0)] * 30) == [Flag(0)] * 30  # its clock stands too: that is another trouble
    assert energy(*standing, (8, 5001.0))[-1] == Flag(0)


def test_a_register_at_zero_is_not_frozen() -> None:
    """Export of a house without panels."""
    assert energy(*[(hour, 0.0) for hour in range(40)]) == [Flag(0)] * 40


def test_frozen_voltage_is_flagged_too() -> None:
    past = [Past(hour * 900.0, 231.4) for hour in range(24)]
    assert check_reading("voltage_l1", "V", 24 * 900.0, 231.4, past, RULES) == Flag.FROZEN


@pytest.mark.parametrize(
    ("unit", "value", "flag"),
    [
        ("V", 231.0, 0),
        ("V", 0.0, 0),
        ("V", 2310.0, 16),
        ("V", 20.0, 16),
        ("A", 250.0, 16),
        ("Hz", 50.0, 0),
        ("Hz", 0.0, 16),
    ],
)
def test_ranges(unit: str, value: float, flag: int) -> None:
    assert check_reading("x", unit, 0, value, [], RULES) == flag


def test_texts_and_truths_are_not_judged() -> None:
    assert check_reading("serial_number", "", 0, "123", [], RULES) == 0
    assert check_reading("relay", "V", 0, True, [], RULES) == 0


def test_kilowatt_hours_are_energy_too() -> None:
    assert check_reading("x", "kWh", 3600, 5000, [Past(0, 10)], RULES) == Flag.SPIKE


def test_clock() -> None:
    assert check_clock(59.0, RULES) == 0
    assert check_clock(-61.0, RULES) == Flag.CLOCK
    assert check_clock(None, RULES) == 0


def test_names() -> None:
    assert flag_names(Flag.SPIKE | Flag.CLOCK) == ["spike", "clock"]
    assert flag_names(0) == []


@given(
    st.lists(st.tuples(st.floats(0, 1e6), st.floats(-1e12, 1e12)), max_size=40),
    st.sampled_from(["Wh", "V", "A", "Hz", "varh", "", "m³"]),
)
def test_rules_that_are_off_flag_nothing(readings: list[tuple[float, float]], unit: str) -> None:
    past = [Past(time, value) for time, value in readings[:-1]]
    for time, value in readings[-1:]:
        assert check_reading("x", unit, time, value, past, QUIET) == 0


# --- load profiles


def test_a_profile_is_judged_by_interval_and_not_changed() -> None:
    profile = profile_of(100)
    profile.values[:, 0] = 1_000_000 + np.arange(100) * 300
    profile.values[20, 0] = 0
    profile.values[50:, 0] += 900_000
    profile.values[70, 0] -= 5000
    before = profile.values.copy()
    flags = check_profile(profile, RULES)
    assert (profile.values == before).all()
    assert flags[20, 0] == Flag.ZERO
    assert flags[50, 0] == Flag.SPIKE
    assert flags[70, 0] == Flag.BACKWARDS
    assert flags[:20, 0].sum() == flags[22:50, 0].sum() == flags[51:70, 0].sum() == 0


def test_a_profile_that_stands_still_is_frozen_from_the_limit_on() -> None:
    profile = profile_of(60)
    profile.values[:, 1] = 4711
    profile.values[:, 2] = 0
    flags = check_profile(profile, RULES)
    assert flags[:24, 1].sum() == 0
    assert (flags[24:, 1] == Flag.FROZEN).all()
    assert not flags[:, 2].any()


def test_intervals_without_a_value_are_no_yardstick() -> None:
    profile = profile_of(30)
    profile.values[10, 0] = 2_000_000_000
    profile.status[10, 0] = 10
    profile.valid[15] = False
    profile.values[15, 0] = -5
    assert not check_profile(profile, RULES)[:, 0].any()


def test_an_empty_profile_has_no_flags() -> None:
    assert check_profile(profile_of(0), RULES).shape == (0, 3)
    assert check_profile(profile_of(1), RULES).any() == False  # noqa: E712  # a NumPy truth
