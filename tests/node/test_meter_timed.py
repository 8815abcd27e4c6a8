"""What a meter does by itself, or bit by bit: change logs, demand intervals, relay calendar, averages, clock steps, sags."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from osgp.node.energy import Instant
from osgp.node.meter import Meter
from osgp.tables.bt.bt00 import BT00
from osgp.tables.bt.bt27 import BT27
from osgp.tables.bt.bt28 import BT28
from osgp.tables.bt.bt62 import BT62
from osgp.tables.bt.bt74 import BT74
from osgp.tables.et.et09 import ET09
from osgp.tables.et.et36 import ET36
from osgp.tables.et.et41 import ET41
from osgp.tables.et.et42 import ET42
from osgp.tables.et.et45 import ET45
from osgp.tables.et.et54 import ET54
from osgp.tables.et.et61 import ET61
from osgp.tables.et.et66 import ET66
from osgp.tables.et.et74 import ET74
from osgp.tables.et.et75 import ET75
from osgp.tables.events import event_of
from osgp.tables.table import extended
from osgp.wire import layout_of

from .meters import Client, Load, at, make
from .test_meter_energy import check_sums

NOON = at(2026, 2, 2, 12)
"""A Monday in winter: 13 h local."""


def events(meter: Meter) -> list[str]:
    log = meter.image.decode(BT74)
    count = log.nbr_valid_entries
    order = [(log.last_entry_element - n) % len(log.entries) for n in range(count)]
    return [event_of(log.entries[n].history_code.event_id).key for n in order]


def words(*values: int) -> bytes:
    return b"".join(each.to_bytes(2, "little") for each in values)


def again(meter: Meter) -> Meter:
    """The same meter after its state was kept and taken up again."""
    other = make(meter.model.name, start=NOON, firmware=str(meter.firmware))
    other.restore(meter.to_json())
    assert other.to_json() == meter.to_json()
    return other


# --- procedures that set up


def test_other_sources_for_a_data_set_keep_its_data() -> None:
    client = Client(make("mbus", start=NOON))
    client.meter.advance(NOON + 3600)
    client.now = NOON + 3600
    kept = client.meter.profiles[0].written
    assert client.run("EP52", b"\0\4" + words(0, 1, 0x4001, 19))[0] == 0
    settings: Any = client.meter.image.decode(BT62)
    assert [each.lp_source_sel for each in settings.sets[0].channels] == [0, 1, 114, 19]
    assert client.meter.image.decode(ET66).sets[0].ext_source_ids[2] == 0x4001
    assert client.meter.image.decode(ET42).lp_ext_sources == [0, 1, 0x4001, 19]
    assert client.meter.profiles[0].written == kept
    assert client.run("EP52", b"\0\3" + words(0, 1, 2))[0] == 2
    assert client.run("EP52", b"\3\1" + words(0))[0] == 2
    client.now += 3600
    client.read("BT64")
    again(client.meter)


def test_bt00_tells_which_procedures_there_are() -> None:
    table: Any = make().image.decode(BT00)
    known = int.from_bytes(table.mfg_proc_used, "little")
    assert all(known >> number & 1 for number in (33, 37, 52))
    assert not any(known >> number & 1 for number in (41, 50, 62))


def demand_of(meter: Meter) -> int:
    return meter.registers.demands[0][0].value


def test_a_demand_interval_can_be_set_and_can_roll() -> None:
    client = Client(make(start=NOON))
    client.now = NOON + 3600
    assert client.run("EP33", b"\5\3")[0] == 0
    shown: Any = client.meter.image.decode(ET42)
    assert (shown.demand_subinterval, shown.demand_multiplier) == (5, 3)
    resets: Any = ET41.decode(client.read("ET41"), client.meter.image.context)
    assert resets.entries[resets.last_entry_element].reset_reason == 1
    assert client.run("EP33", b"\7\1")[0] == 2
    assert client.run("EP33", b"\5\x10")[0] == 2
    meter = again(client.meter)
    flows, best = [], 0
    for five in range(1, 60):
        meter.advance(NOON + 3600 + five * 300)
        flows.append(meter.registers.flow[0])
        if five > 3:  # the first sub-interval is not a whole one
            best = max(best, (flows[-1] - flows[-4]) // 900_000_000)
        if five > 3:
            assert demand_of(meter) >= best
    assert best > 0
    present: Any = BT28.decode(Client(meter).read("BT28"), meter.image.context)
    assert present.present_demands[0].demand_value == meter.demand.present()[0]
    meter.power_off(meter.at + 10)
    meter.power_on(meter.at + 7200)
    before = demand_of(meter)
    meter.advance(meter.at + 300)
    assert demand_of(meter) == before  # a rolling interval counts when it is whole


def test_entries_of_the_read_log_can_be_resized() -> None:
    client = Client(make("mbus", start=NOON))
    assert client.run("EP37", b"\4" + words(200) + b"\7")[0] == 0
    log = client.meter.image.decode(ET36).logs[4]
    assert (log.entry_size, log.current_entries) == (200, 7)
    assert len(client.read("ET45")) == client.meter.image.size(extended(45)) == 6 + 7 * 200
    assert client.meter.image.size(extended(74)) == 9 + 2 * 200
    assert client.run("EP37", b"\6" + words(20) + b"\7")[0] == 2
    assert client.run("EP37", b"\4" + words(9) + b"\7")[0] == 2


# --- logs


def test_changes_of_the_primary_profile_are_logged_and_refused_when_the_log_is_full() -> None:
    client = Client(make(start=NOON))
    meter = client.meter
    assert client.run("EP52", b"\0\4" + words(0, 1, 2, 3))[0] == 0
    assert meter.image.decode(ET75).nbr_valid_entries == 0  # only under Welmec 11.2
    meter.channel_changes.comply()
    client.now = NOON + 600
    assert client.run("EP52", b"\0\4" + words(0, 1, 8, 9))[0] == 0
    assert client.run("EP52", b"\1\7" + words(15, 16, 17, 12, 13, 14, 20))[0] == 0  # not the primary one
    table: Any = ET75.decode(client.read("ET75"), meter.image.context)
    assert table.nbr_valid_entries == 2
    first, second = table.entries[:2]
    assert str(first.timestamp) == "2026-02-02T12:00"
    assert str(second.timestamp) == "2026-02-02T12:15"  # the end of the interval under way
    assert second.ext_source_ids[:5] == [0, 1, 2, 3, 0]
    assert (second.demand_subinterval, second.demand_multiplier) == (15, 1)
    assert client.run("EP06", b"\5\x20")[0] == 3
    assert client.run("EP33", b"\x1e\1")[0] == 0
    assert client.run("EP11", bytes([0, 15]) + words(96, 35) + b"\2" + words(0, 1))[0] == 0
    table = ET75.decode(client.read("ET75"), meter.image.context)
    assert table.entries[2].demand_sources[:2] == [8, 9]
    assert table.entries[3].demand_subinterval == 30
    assert table.entries[3].ext_source_ids[:4] == [0, 1, 8, 9]
    assert client.run("EP52", b"\0\2" + words(8, 9))[0] == 3
    assert client.run("EP11", bytes([0, 15]) + words(96, 35) + b"\2" + words(0, 1))[0] == 3
    assert client.run("EP32", b"\1\x08")[0] == 3
    assert client.run("EP33", b"\x0f\1")[0] == 3
    old = client.read("ET62")
    assert client.write("ET62", bytes(len(old))) == 4
    assert client.read("ET62") == old
    assert [each.lp_source_sel for each in meter.image.decode(BT62).sets[0].channels] == [0, 1]


def test_recurring_reads_wait_in_et74_for_room_in_et45() -> None:
    client = Client(make("mbus", start=at(2026, 1, 20, 12)), "MAK", "mep1")
    assert client.write_part("ET13", 0, bytes([0, 6, 0, 1])) == 0  # daily at 06:00 local

    def logs() -> tuple[Any, Any]:
        context = client.meter.image.context
        return ET45.decode(client.read("ET45"), context), ET74.decode(client.read("ET74"), context)

    client.now = at(2026, 1, 25, 12)
    log, more = logs()
    assert (log.nbr_unread_entries, more.nbr_unread_entries) == (4, 0)
    client.now = at(2026, 1, 27, 12)
    log, more = logs()
    assert (log.nbr_unread_entries, more.nbr_unread_entries, more.nbr_valid_entries) == (4, 2, 2)
    assert str(log.entries[log.last_entry_element].data.timestamp) == "2026-01-25T06:00:00"
    assert more.entries[more.last_entry_element].handle == 1
    assert str(more.entries[more.last_entry_element].data.timestamp) == "2026-01-27T06:00:00"
    assert client.run("EP26", b"\4\1\0")[0] == 0
    log, more = logs()
    assert (log.nbr_unread_entries, more.nbr_unread_entries) == (4, 1)
    assert str(log.entries[log.last_entry_element].data.timestamp) == "2026-01-26T06:00:00"
    client.now = at(2026, 1, 29, 12)
    log, more = logs()
    assert (more.nbr_unread_entries, more.list_flags.overflow) == (2, 1)  # the oldest of three is lost


# --- relays


def relay_plan(client: Client, *switches: tuple[int, int, int, int]) -> bytes:
    """ET61 with switches (relay, place, hour, state), all at half past."""
    layout = layout_of(ET61, client.meter.image.context)
    table: Any = layout.zero()
    for relay, place, hour, state in switches:
        word = table.relays[relay].switches[place]
        table.relays[relay].switches[place] = word.with_(hour=hour, minute=30, state=state)
    return layout.encode(table)


def test_the_relay_calendar_switches_the_relay() -> None:
    client = Client(make(start=NOON), "MAK", "mep1")
    meter = client.meter
    plan = relay_plan(client, (0, 10, 6, 0), (0, 11, 14, 1), (0, 12, 20, 0), (1, 10, 6, 0))  # Mondays
    assert client.write("ET61", plan) == 0
    assert meter.relays.control == [False, True]  # since half past six; no second relay before 4.30
    meter.advance(at(2026, 2, 2, 13, 29, 59))
    assert meter.relays.control[0] is False
    meter.advance(at(2026, 2, 2, 13, 30))  # 14:30 local
    assert meter.relays.control[0] is True
    meter.relays.set_control(1, False)  # an order in between holds until the next switch
    meter.set_clock(meter.at, meter.at + 30)
    assert meter.relays.control[0] is False
    meter.set_clock(meter.at, meter.at)
    meter.advance(at(2026, 2, 2, 19, 29))
    meter.relays.set_control(1, True)
    meter = again(meter)
    meter.advance(at(2026, 2, 2, 19, 30))
    assert meter.relays.control[0] is False
    assert events(meter)[0] == "relay_opened"
    meter.power_off(at(2026, 2, 9, 12))
    meter.power_on(at(2026, 2, 9, 14))
    assert meter.relays.control[0] is True  # 14:30 has passed meanwhile
    meter.advance(at(2026, 3, 30, 12, 0))  # a Monday in summer: half an hour earlier by UTC
    assert meter.relays.control[0] is False
    meter.advance(at(2026, 3, 30, 12, 30))
    assert meter.relays.control[0] is True


def test_a_clock_set_past_a_switch_switches() -> None:
    client = Client(make(start=NOON), "MAK", "mep1")
    assert client.write("ET61", relay_plan(client, (0, 10, 6, 0), (0, 11, 14, 1))) == 0
    client.meter.set_clock(NOON + 10, NOON + 7200)
    assert client.meter.relays.control[0] is True
    client.meter.set_clock(NOON + 20, NOON)
    assert client.meter.relays.control[0] is False


def test_a_pending_relay_calendar_and_special_days() -> None:
    client = Client(make(start=at(2026, 12, 24, 12), firmware="4.30"), "MAK", "mep1")
    plan = relay_plan(client, (1, 40, 10, 1), (1, 50, 10, 1), (1, 70, 10, 0))  # Thursday, Friday, special days
    assert client.write("PET61", b"\2hello" + plan) == 0
    client.meter.relays.set_control(2, False)
    assert client.run("BP12")[0] == 0
    assert client.meter.relays.control == [True, True]
    client.meter.advance(at(2026, 12, 25, 10))  # Christmas, a Friday
    assert client.meter.relays.control == [True, False]
    assert client.write("ET61", bytes(len(plan))) == 0
    assert client.meter.relay_calendar.due == float("inf")


# --- averages


def averaging(client: Client, seconds: int, multiplier: int, watts: int = 0) -> bytes:
    return b"\1" + seconds.to_bytes(2, "little") + bytes([multiplier]) + watts.to_bytes(4, "little")


def present(client: Client) -> dict[int, int]:
    table: Any = BT28.decode(client.read("BT28"), client.meter.image.context)
    return dict(zip(client.meter.image.decode(BT27).present_value_select, table.present_values))


def test_average_power_is_energy_divided_by_time() -> None:
    client = Client(make(start=NOON), "MAK", "mep1")
    client.now = NOON + 1
    assert {present(client)[source] for source in range(208, 216)} == {0}  # disabled
    assert client.write("ET80", averaging(client, 60, 15)) == 0
    client.now = NOON + 14 * 60
    assert present(client)[208] == 0  # the first main interval is under way
    client.now = NOON + 47 * 60 + 20
    values = present(client)
    flow = Load().energy(NOON + 32 * 60, NOON + 47 * 60)
    assert values[208] == round(flow[0] / 900e6)
    assert values[209] == round(flow[1] / 900e6)
    assert values[208] != values[8]
    assert values[210] == values[211] == values[212]
    assert abs(3 * values[210] - values[208]) <= 2
    client.meter = again(client.meter)
    client.now += 30
    assert present(client)[208] == values[208]


class Wavering(Load):
    """Voltage falls from 230 V to 220 V after ten minutes."""

    def instant(self, at: float) -> Instant:
        volts = 230.0 if at < NOON + 600 else 220.0
        return Instant(tuple(replace(each, voltage_v=volts, power_w=volts * 2) for each in super().instant(at).phases))


def test_average_voltage_and_current_are_of_the_last_whole_interval() -> None:
    client = Client(make(start=NOON))
    client.meter.source = Wavering()
    client.now = NOON + 15 * 60
    values = present(client)
    assert (values[205], values[15]) == (230_000, 220_000)
    assert values[233] == pytest.approx(2002, abs=1)  # 2 A and a little reactive current
    client.now = NOON + 21 * 60
    assert present(client)[205] == 220_000
    client.meter.relays.set_disconnect(False)
    client.now = NOON + 31 * 60
    values = present(client)
    assert 0 < values[233] < 2000  # one of the ten minutes with current
    client.now = NOON + 41 * 60
    assert (present(client)[233], present(client)[205]) == (0, 220_000)


def test_too_much_average_power_opens_the_disconnect() -> None:
    client = Client(make(start=NOON), "MAK", "mep1")
    assert client.write("ET80", averaging(client, 300, 1, 2500)) == 0
    meter = client.meter
    end = NOON + 300
    while Load().energy(end - 300, end)[0] <= 2500 * 300e6 or end == NOON + 300:
        end += 300
    meter.advance(end - 1)
    assert meter.relays.disconnect_closed
    meter.advance(end)
    assert not meter.relays.disconnect_closed
    flow = meter.registers.flow[0]
    meter.advance(end + 3600)
    assert meter.registers.flow[0] == flow
    assert "disconnect_opened" in events(meter)
    check_sums(meter)


# --- the clock


def test_ep16_moves_the_clock_so_many_seconds_a_minute() -> None:
    client = Client(make(start=NOON))
    assert client.write_part("ET55", 4, b"\x0a") == 0
    assert client.run("EP16", (25).to_bytes(4, "little"))[0] == 0
    meter = client.meter

    def status() -> int:
        return int(ET54.decode(client.read("ET54"), meter.image.context).status_71.time_sync_status)

    began = client.now
    assert (meter.clock.offset_s, status()) == (10, 1)
    meter = again(meter)
    client.meter = meter
    client.now = began + 58
    assert status() == 1
    assert meter.clock.offset_s == 10
    client.now = began + 62
    assert status() == 1
    assert meter.clock.offset_s == 20
    client.now = began + 130
    assert status() == 0
    assert meter.clock.offset_s == 25
    assert [each for each in events(meter) if each.startswith("time")] == ["time_changed_new", "time_changed_old"]
    assert client.run("EP16", (-25).to_bytes(4, "little", signed=True))[0] == 0
    assert meter.clock.offset_s == 15
    meter.set_clock(client.now, client.now + 100)
    client.now += 600
    client.read("BT52")
    assert meter.clock.offset_s == 100  # an absolute time ends it
    check_sums(meter)


# --- power quality


class Sagging(Load):
    """L2 is at 180 V, later at 150 V, for ``seconds`` from 12:10:07 on, and tells so."""

    def __init__(self, seconds: int) -> None:
        super().__init__()
        self.begin, self.end = NOON + 607, NOON + 607 + seconds

    def instant(self, at: float) -> Instant:
        found = super().instant(at)
        if not self.begin <= at < self.end:
            return found
        one, two, three = found.phases
        volts = 180.0 if at < self.begin + 100 else 150.0
        return Instant((one, replace(two, voltage_v=volts), three), found.frequency_hz)

    def beyond(self, start: float, end: float, low_v: float, high_v: float) -> float | None:
        assert (low_v, high_v) == (207.0, 253.0)
        return max(self.begin, start) if start < self.end and self.begin < end else None


@pytest.mark.parametrize(("seconds", "count"), [(55, 0), (70, 1), (300, 1)])
def test_a_sag_counts_when_it_lasts(seconds: int, count: int) -> None:
    meter = make(start=NOON)
    meter.source = Sagging(seconds)
    meter.quality.plan(NOON)
    meter.advance(NOON + 630)
    meter = again(meter)
    meter.source = Sagging(seconds)
    meter.advance(NOON + 7200)
    table = meter.image.decode(ET09)
    assert (table.l1_sag1_count, table.l2_sag1_count, table.l2_sag2_count) == (0, count, 0)
    if count:
        assert str(table.l2_sag1_time) == "2026-02-02T12:11:07"
        assert table.l2_sag1_voltage == (150_000 if seconds == 300 else 180_000)


def test_thresholds_and_durations_can_be_written() -> None:
    client = Client(make(start=NOON), "MAK", "mep1")
    client.meter.source = Sagging(20)
    assert client.write_part("ET09", 2, b"\0") == 0  # at once
    client.meter.advance(NOON + 3600)
    table = client.meter.image.decode(ET09)
    assert (table.l2_sag1_count, str(table.l2_sag1_time)) == (1, "2026-02-02T12:10:07")
