"""A street that goes on while somebody looks: it answers between slices, keeps its pace, forgets what is old, and ends when told."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from osgp.street.demo import demo_plan, with_daily_troubles
from osgp.street.live import LiveStreet
from osgp.wire.errors import ConfigError, NoAnswer
from tests.street.small import small_plan


def eventually(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def test_it_is_asked_while_it_runs_and_has_nothing_to_say_afterwards() -> None:
    with LiveStreet(small_plan(3, hours=24), fast_hours=0.5, speed=60.0) as street:
        with pytest.raises(NoAnswer, match="still being built"):
            street.ask("status")
        eventually(lambda: street.is_paced)
        status = street.ask("status")
        assert status["now"] >= 1800
        assert [each["state"] for each in status["topology"]["nodes"]] == ["up"] * 3
        assert status["journal"]["reading"] > 0
        assert street.ask("events", after=0)[0]["number"] == 1
        assert len(street.ask("shapes")["places"]) == 4
        with pytest.raises(ConfigError, match="nothing to do"):
            street.ask("order pizza")
        with pytest.raises(ConfigError, match="no device"):
            street.ask("device", unique_node_id="0102030405ff")
        with pytest.raises(ConfigError, match="hexadecimal"):
            street.ask("device", unique_node_id="<b>")
    assert street.failure is None
    with pytest.raises(NoAnswer, match="has ended"):
        street.ask("status")


def test_a_clock_that_jumps_is_not_run_after() -> None:
    clock = [0.0]
    with LiveStreet(small_plan(1, hours=24), fast_hours=0.01, speed=60.0, monotonic=lambda: clock[0]) as street:
        eventually(lambda: street.is_paced)
        before = street.ask("status")["now"]
        clock[0] += 1.0
        eventually(lambda: street.ask("status")["now"] >= before + 60)
        assert street.ask("status")["now"] < before + 70
        clock[0] += 3600.0
        street.ask("status")
        assert street.ask("status")["now"] < before + 200, "an hour of sleep is not made up for"


def test_what_is_old_is_forgotten_and_is_not_read_again() -> None:
    with LiveStreet(small_plan(1, hours=24), fast_hours=6.1, speed=1.0, keep_days=1 / 24) as street:
        eventually(lambda: street.is_paced)
        name = street.ask("status")["topology"]["nodes"][0]["unique_node_id"]
        found = street.ask("device", unique_node_id=name, days=60)
        times = [row[0] for row in found["profiles"][0]["intervals"]]
        assert 1 <= len(times) <= 9, "an hour is kept, and what has come since the last tidying"
        assert min(times) > found["wall"] - 2.2 * 3600
        assert found["readings"]


def test_what_breaks_a_street_is_told_to_whoever_asks() -> None:
    street = LiveStreet(small_plan(1, hours=24), journal="/proc/no-such-place/journal.sqlite")
    with street:
        eventually(street.ended.is_set)
        with pytest.raises(NoAnswer, match="has ended: "):
            street.ask("status")
    assert street.failure is not None


@pytest.mark.parametrize("wrong", [{"speed": 0.0}, {"fast_hours": -1.0}, {"keep_days": 0.0}])
def test_a_pace_that_is_none_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        LiveStreet(small_plan(1), **wrong)


def test_the_plan_of_the_demo_has_a_bit_of_everything_and_troubles_for_a_month() -> None:
    plan = demo_plan()
    kinds = [house.kind for house in plan.houses]
    assert len(kinds) == 60
    assert set(kinds) == {"1ph", "3ph", "load", "inverter", "gateway"}
    assert [fault.kind for fault in plan.faults] == ["dead"]
    faults = with_daily_troubles(plan, 3.0).faults
    assert {fault.kind for fault in faults} == {"dead", "cut", "noise"}
    assert (faults[0].at_h, faults[-1].at_h) == (3.0, 3.0 + 12 * 59)
    assert [upgrade.devices for upgrade in plan.upgrades] == ["load"]
    assert [order.at_h for order in with_daily_troubles(plan, 3.0).orders][1:] == [14.0 + 12 * n for n in range(59)]
