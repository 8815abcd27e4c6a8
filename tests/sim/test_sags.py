"""A voltage that leaves its limits: the house tells when, the fault makes it happen."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from osgp.sim.device import SimulatedDevice
from osgp.sim.faults import FrozenSource, SaggingSource, parse_faults
from osgp.sim.household import HouseholdSource
from osgp.sim.load import Household
from osgp.tables.et.et09 import ET09
from osgp.wire.errors import ConfigError

NOON = datetime(2026, 2, 2, 12, tzinfo=UTC).timestamp()


def test_the_house_tells_the_first_minute_beyond_a_limit() -> None:
    source = HouseholdSource(Household(3, "3ph", 4000.0))
    start, end = NOON + 30, NOON + 86400
    low = 228.0
    found = source.beyond(start, end, low, 260.0)
    moment = NOON + 60
    while moment < end and min(each.voltage_v for each in source.instant(moment).phases) >= low:
        moment += 60
    assert found == (moment if moment < end else None)
    assert source.beyond(start, end, 100.0, 400.0) is None
    assert FrozenSource(source, NOON).beyond(start, end, low, 260.0) == found


def test_sags_follow_from_the_seed_and_change_no_energy() -> None:
    house = HouseholdSource(Household(3, "1ph", 3000.0))
    one, two = SaggingSource(house, 7, 20), SaggingSource(house, 7, 20)
    day = int(NOON // 86400)
    assert one.sags(day) == two.sags(day)
    sag = one.sags(day)[0]
    inside, before = one.instant(sag.start + 1).phases[0], house.instant(sag.start + 1).phases[0]
    assert inside.voltage_v == pytest.approx(before.voltage_v * sag.factor)
    assert one.beyond(day * 86400, day * 86400 + 86400, 100.0, 400.0) == sag.start
    assert one.energy(NOON, NOON + 900) == house.energy(NOON, NOON + 900)


def test_a_meter_counts_exactly_the_sags_that_last() -> None:
    device = SimulatedDevice("3ph", seed=3, history=2, faults=parse_faults("sag=8"))
    end = device.meter.at
    days = range(int((end - 2 * 86400) // 86400), int(end // 86400))
    lasting = [one for day in days for one in device.source.sags(day) if one.end - one.start > 61]
    table = device.meter.image.decode(ET09)
    for phase in range(3):
        own = [one for one in lasting if one.phase == phase]
        assert getattr(table, f"l{phase + 1}_sag1_count") == sum(one.factor < 1 for one in own)
        assert getattr(table, f"l{phase + 1}_surge_count") == sum(one.factor > 1 for one in own)
    assert lasting


def test_how_many_sags_can_be_asked_for() -> None:
    assert parse_faults("sag").sag == 2.0
    with pytest.raises(ConfigError):
        parse_faults("sag=1000")
