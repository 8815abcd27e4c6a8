"""Registers, tiers, load profile and self reads are one and the same count, whatever happens."""

from __future__ import annotations

import datetime as dt
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osgp.node.device import Device
from osgp.node.energy import PER_WH
from osgp.node.meter import Meter
from osgp.tables.access import run_sync
from osgp.tables.bt.bt23 import BT23
from osgp.tables.bt.bt26 import BT26
from osgp.tables.bt.bt63 import BT63
from osgp.tables.bt.bt74 import BT74
from osgp.tables.et.et21 import ET21
from osgp.tables.events import Event, event_of
from osgp.tables.profile import Profile

from .meters import START, Client, Load, at, make, tables_of


def profile_of(meter: Meter, data_set: int = 1) -> Profile:
    return run_sync(Device(tables_of(meter)).profile(data_set=data_set))


def registers_of(meter: Meter) -> BT23:
    meter.refresh(23, meter.at)
    return meter.image.decode(BT23)


def check_sums(meter: Meter) -> None:
    """The law of this module."""
    registers = registers_of(meter)
    total = registers.tot_data_block.summations
    for place in (0, 1, 2, 3, 11, 14):
        tiers = sum(block.summations[place] for block in registers.tier_data_block)
        assert tiers == total[place]
    profile = profile_of(meter)
    rows = [row for row in profile.rows() if "fwd_active_energy" in row]
    if rows:
        values = [row["fwd_active_energy"] for row in rows]
        differences = [b - a for a, b in itertools.pairwise(values)]
        assert all(each >= 0 for each in differences)
        assert values[0] + sum(differences) == values[-1] <= total[0]
        newest = meter.profiles[0].newest_end
        if newest is not None and newest <= meter.shown < newest + 900:  # the clock has not gone back meanwhile
            assert total[0] - values[-1] <= 4000


def test_the_register_is_the_source() -> None:
    meter = make()
    before = meter.registers.flow[0]
    meter.advance(START + 86_400 * 3 + 1234.567)
    flowed = Load().energy(START, START + 86_400 * 3 + 1234.567)
    assert meter.registers.flow[0] - before == flowed[0]
    assert registers_of(meter).tot_data_block.summations[0] == meter.registers.flow[0] // PER_WH


def test_steps_do_not_matter() -> None:
    one, other = make(), make()
    one.advance(START + 100_000)
    for step in range(0, 100_001, 777):
        other.advance(START + step)
    other.advance(START + 100_000)
    assert one.to_json() == other.to_json()


def test_a_profile_value_is_the_register_at_the_end_of_its_interval() -> None:
    meter = make()
    shown: dict[int, int] = {}
    for quarter in range(1, 60):
        meter.advance(START + quarter * 900)
        shown[int(START) + quarter * 900] = registers_of(meter).tot_data_block.summations[0]
    rows = {int(row["time"].timestamp()): row["fwd_active_energy"] for row in profile_of(meter).rows()}
    assert rows == shown


Happening = st.tuples(
    st.sampled_from(["wait", "outage", "clock", "disconnect"]),
    st.integers(1, 200_000),
    st.integers(-200_000, 200_000),
)


@given(st.integers(0, 700), st.lists(Happening, min_size=1, max_size=6))
@settings(max_examples=25, deadline=None)
def test_sums_agree_whatever_happens(day: int, happenings: list[tuple[str, int, int]]) -> None:
    now = at(2025, 1, 1) + day * 86400 + day
    meter = make(start=now)
    for kind, seconds, shift in happenings:
        now += seconds
        if kind == "outage":
            meter.power_off(now)
            now += abs(shift)
            meter.power_on(now)
        elif kind == "clock":
            meter.set_clock(now, meter.clock.shows(now) + shift)
        elif kind == "disconnect":
            meter.advance(now)
            meter.relays.set_disconnect(not meter.relays.disconnect_closed)
        meter.advance(now)
        check_sums(meter)
    check_positions(meter)


def check_positions(meter: Meter) -> None:
    """BT63 and ET21 agree with each other and with the blocks."""
    meter.refresh(63, meter.at)
    status, inner = meter.image.decode(BT63), meter.image.decode(ET21)
    for one in meter.profiles:
        record, more = status.sets[one.index], inner.sets[one.index]
        assert record.last_block_element == more.last_block_index
        assert record.nbr_valid_blocks == more.nbr_valid_blocks
        if record.nbr_valid_int:
            assert record.nbr_valid_int == more.last_interval_nbr + 1


def test_an_outage_leaves_a_gap_and_its_marks() -> None:
    meter = make(start=at(2026, 2, 2, 12))
    meter.power_off(at(2026, 2, 2, 13, 20))
    meter.power_on(at(2026, 2, 2, 15, 5))
    meter.advance(at(2026, 2, 2, 16))
    profile = profile_of(meter)
    rows = {row["time"]: row for row in profile.rows(invalid=True)}

    def row(hour: int, minute: int) -> dict[str, object]:
        return rows[dt.datetime(2026, 2, 2, hour, minute, tzinfo=dt.UTC)]

    assert "power fail" in row(13, 30)["flags"]  # type: ignore[operator]  # a list of words
    assert "power fail" in row(15, 15)["flags"]  # type: ignore[operator]  # as above
    assert row(13, 15)["flags"] == row(15, 30)["flags"] == []
    assert "partial" in str(row(13, 30)["status"])
    assert row(13, 30)["fwd_active_energy"] <= row(15, 15)["fwd_active_energy"]  # type: ignore[operator]  # numbers
    assert [count for _, _, count in profile.gaps()] == [6]
    total = registers_of(meter).tot_data_block.summations
    assert (total[4], total[5]) == (105 * 60, 1)


def test_missing_intervals_can_be_stuffed_as_skipped() -> None:
    meter = make(start=at(2026, 2, 2, 12))
    client = Client(meter, "MAK", "mep1")
    options = client.read("ET04")[71]
    assert client.write_part("ET04", 71, bytes([options | 8])) == 0
    meter.power_off(at(2026, 2, 2, 13, 20))
    meter.power_on(at(2026, 2, 2, 15, 5))
    meter.advance(at(2026, 2, 2, 16))
    skipped = [row for row in profile_of(meter).rows(invalid=True) if "skipped" in str(row["status"])]
    assert len(skipped) == 6


def test_the_clock_leaves_its_marks() -> None:
    meter = make(start=at(2026, 2, 2, 12))
    meter.set_clock(at(2026, 2, 2, 13, 5), at(2026, 2, 2, 13, 35))
    meter.set_clock(at(2026, 2, 2, 15), at(2026, 2, 2, 15, 10))  # the clock shows 15:30
    meter.advance(at(2026, 2, 2, 18))
    rows = {row["time"].strftime("%H:%M"): row["flags"] for row in profile_of(meter).rows()}
    assert "clock forward" in rows["13:15"]
    assert "clock forward" in rows["13:45"]
    assert "13:30" not in rows
    assert "clock backward" in rows["15:45"]
    assert sorted(rows) == list(rows)


def test_daylight_saving_time_is_marked_and_switches_tiers_at_local_time() -> None:
    meter = make(start=at(2026, 3, 27, 0))
    meter.advance(at(2026, 3, 31, 0))
    rows = {row["time"]: row["flags"] for row in profile_of(meter).rows()}
    assert rows[dt.datetime(2026, 3, 29, 1, 0, tzinfo=dt.UTC)] == []
    assert rows[dt.datetime(2026, 3, 29, 1, 15, tzinfo=dt.UTC)] == ["dst"]
    keys = [each.key for each in events_of(meter)]
    assert keys.count("dst_on") == 1


def events_of(meter: Meter) -> list[Event]:
    log = meter.image.decode(BT74)
    return [event_of(log.entries[n].history_code.event_id) for n in range(log.nbr_valid_entries)]


def test_self_reads_are_taken_daily_and_are_the_registers_of_their_moment() -> None:
    meter = make(start=at(2026, 2, 1, 12))
    meter.advance(at(2026, 2, 4, 12))
    reads = meter.image.decode(BT26)
    assert reads.nbr_valid_entries == 3
    newest = reads.entries[reads.last_entry_element]
    assert str(newest.end_time) == "2026-02-04T00:00"
    other = make(start=at(2026, 2, 1, 12))
    other.advance(at(2026, 2, 3, 23))
    assert newest.reg_data.tot_data_block.summations == registers_of(other).tot_data_block.summations


def test_a_new_season_keeps_the_registers_of_the_old_one() -> None:
    meter = make(start=at(2026, 3, 30, 12))
    meter.advance(at(2026, 4, 2, 0))
    raw = meter.image.read(24)
    assert raw[:6] == bytes([26, 4, 1, 0, 0, 0])


@pytest.mark.parametrize("model", ["3ph", "mbus"])
def test_demand_is_the_mean_power_of_a_quarter_hour(model: str) -> None:
    meter = make(model, start=at(2026, 2, 2, 12))
    best = 0
    for quarter in range(1, 30):
        before = meter.registers.flow[0]
        meter.advance(at(2026, 2, 2, 12) + quarter * 900)
        best = max(best, (meter.registers.flow[0] - before) // 900_000_000)
    demand = registers_of(meter).tot_data_block.demands[0]
    assert demand.demand == [best]
    assert demand.cont_cum_demand == best
    client = Client(meter)
    assert client.run("EP34")[0] == 0
    after = registers_of(meter)
    assert after.nbr_demand_resets == 1
    assert after.tot_data_block.demands[0].demand == [0]
    assert after.tot_data_block.demands[0].cum_demand == best


def test_a_day_costs_little_work() -> None:
    meter = make("1ph")
    source = meter.source
    assert isinstance(source, Load)
    source.asked = 0
    meter.advance(START + 86400)
    assert source.asked < 130


def test_the_profile_ring_goes_round() -> None:
    meter = make("1ph", days=40)
    meter.refresh(63, meter.at)
    status = meter.image.decode(BT63).sets[0]
    assert status.nbr_valid_blocks == 35
    assert status.set_status.overflow == 1
    rows = list(profile_of(meter).rows())
    assert (rows[-1]["time"] - rows[0]["time"]).days in (34, 35)
    check_sums(meter)


def test_mbus_channels_hold_what_the_children_count() -> None:
    meter = make("mbus", start=at(2026, 2, 2, 12))
    meter.advance(at(2026, 2, 2, 18))
    profile = profile_of(meter, 2)
    rows = list(profile.rows())
    assert len(rows) == 6
    assert "device missing" in str(rows[-1]["status"])  # the third child does not exist
    litres = int(at(2026, 2, 2, 18)) // 60 % 100_000_000
    last = [value for value in rows[-1].values() if isinstance(value, int | float)]
    assert litres / 1000 in last
