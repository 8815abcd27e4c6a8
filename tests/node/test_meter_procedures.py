"""What procedures, writes and events bring about."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from osgp.node.meter import Meter
from osgp.tables.bt.bt03 import BT03
from osgp.tables.bt.bt04 import BT04
from osgp.tables.bt.bt21 import BT21
from osgp.tables.bt.bt23 import BT23
from osgp.tables.bt.bt52 import BT52
from osgp.tables.bt.bt55 import BT55
from osgp.tables.bt.bt74 import BT74
from osgp.tables.et.et09 import ET09
from osgp.tables.et.et13 import ET13
from osgp.tables.et.et14 import ET14
from osgp.tables.et.et15 import ET15
from osgp.tables.et.et16 import ET16
from osgp.tables.et.et23 import ET23
from osgp.tables.et.et41 import ET41
from osgp.tables.et.et45 import ET45
from osgp.tables.et.et81 import ET81
from osgp.tables.events import event_of
from osgp.wire import LTime, STime

from .meters import Child, Client, at, make


def events(meter: Meter) -> list[str]:
    log = meter.image.decode(BT74)
    count = log.nbr_valid_entries
    order = [(log.last_entry_element - n) % len(log.entries) for n in range(count)]
    return [event_of(log.entries[n].history_code.event_id).key for n in order]


def test_bp10_sets_the_clock_and_answers_both_times() -> None:
    client = Client(make())
    wanted = LTime(26, 6, 1, 10, 30, 0)
    result, data = client.run("BP10", b"\x03" + bytes(wanted) + b"\0")
    assert result == 0
    assert data[6:12] == bytes(wanted)
    shown = client.meter.utc(client.meter.at) - dt.datetime(2026, 6, 1, 10, 30, tzinfo=dt.UTC)
    assert dt.timedelta(0) <= shown < dt.timedelta(seconds=2)
    assert {"time_changed_new", "time_changed_old"} <= set(events(client.meter))
    assert client.run("BP10", b"\x03" + bytes(6) + b"\0")[0] == 2
    assert client.run("BP10", b"\x00" + bytes(wanted) + b"\0")[0] == 2
    assert client.run("BP10", b"\x03")[0] == 2


def test_local_time_follows_zone_and_calendar() -> None:
    client = Client(make(start=at(2026, 7, 1, 22, 30)))
    local = BT55.decode(client.read("BT55"))
    assert str(local.clock_calendar).startswith("2026-07-02T00:30")
    assert local.time_qual.dst_flag == 1
    assert local.status.season == 1
    assert str(BT52.decode(client.read("BT52")).clock_calendar).startswith("2026-07-01T22:30")


def test_ep16_moves_the_clock_and_rk_may_only_do_that() -> None:
    client = Client(make(), "RK")
    before = client.meter.clock.offset_s
    assert client.run("EP16", (90).to_bytes(4, "little"))[0] == 0
    assert client.meter.clock.offset_s == before + 90
    assert client.run("EP16", (-(1 << 31)).to_bytes(4, "little", signed=True))[0] == 2
    assert client.run("EP02", b"\0\0")[0] == 5
    assert Client(make()).run("EP50")[0] == 6


def test_ep02_opens_the_disconnect_and_nothing_flows() -> None:
    client = Client(make())
    assert client.run("EP02", b"\0\0")[0] == 0
    flow = list(client.meter.registers.flow)
    client.now += 7200
    table: Any = ET23.decode(client.read("ET23"), client.meter.image.context)
    assert table.disconnect_state == 2
    assert client.meter.registers.flow == flow
    status = BT03.decode(client.read("BT03"), client.meter.image.context)
    assert status.mfg_status_0.disconnect_changed == 1
    assert client.run("EP02", b"\0\1")[0] == 0
    assert client.run("EP02", b"\1\0")[0] == 0
    assert events(client.meter)[:3] == ["relay_opened", "disconnect_closed", "disconnect_opened"]
    assert client.run("EP02", b"\3\0")[0] == 2
    assert client.run("EP03")[0] == 0
    assert not int(BT03.decode(client.read("BT03"), client.meter.image.context).mfg_status_0)


def test_demands_can_be_configured_anew() -> None:
    client = Client(make("1ph", start=at(2026, 2, 2, 12)))
    energy = client.meter.registers.counts()
    version = client.part("ET04", 116, 1)[0]
    assert client.run("EP32", b"\3\x08\x09\x0a")[0] == 0
    assert client.part("ET04", 116, 1)[0] == version + 1
    registers = client.meter.image.context.table(BT21)
    assert (registers.nbr_demands, registers.nbr_coincident, registers.nbr_present_demands) == (3, 6, 3)
    client.now += 3600
    raw = client.read("BT23")
    table: Any = BT23.decode(raw, client.meter.image.context)
    assert len(table.tot_data_block.demands) == 3
    assert table.tot_data_block.demands[0].demand[0] > 0
    assert client.meter.registers.counts()[0] >= energy[0]
    assert len(client.read("BT28")) == client.meter.image.size(28)
    assert client.run("EP34")[0] == 0
    assert client.meter.image.decode(ET41).nbr_valid_entries == 1
    assert client.run("EP32", b"\1\x0f")[0] == 2
    assert client.run("EP32", b"\0")[0] == 0
    assert client.run("EP34")[0] == 3
    saved = make("1ph", start=at(2026, 2, 2, 12))
    saved.restore(client.meter.to_json())
    assert saved.to_json() == client.meter.to_json()


def test_logs_can_be_resized() -> None:
    client = Client(make("mbus"))
    assert client.run("EP06", b"\6\3")[0] == 0
    assert client.meter.image.size(2048 + 81) == 6 + 3 * 12
    for day in range(1, 6):
        client.meter.power_off(client.now + day * 86400)
        client.meter.power_on(client.now + day * 86400 + 60)
    log = client.meter.image.decode(ET81)
    assert (log.nbr_valid_entries, log.last_entry_seq_nbr, log.list_flags.overflow) == (3, 5, 1)
    assert client.run("EP06", b"\1\3")[0] == 2


def test_list_pointers() -> None:
    client = Client(make(days=2))
    assert client.run("BP05", b"\7\2\0")[0] == 0
    log = client.meter.image.decode(BT74)
    assert log.nbr_unread_entries == log.nbr_valid_entries - 2
    assert client.run("BP04", b"\7")[0] == 0
    assert client.meter.image.decode(BT74).nbr_valid_entries == 1  # the reset itself
    assert client.run("BP04", b"\3")[0] == 0
    assert client.meter.profiles[0].valid_blocks == 0
    client.now += 3600
    client.read("BT63")
    assert client.meter.profiles[0].valid_blocks == 1
    assert client.run("BP04", b"\x63")[0] == 2
    assert client.run("EP26", b"\6\1\0")[0] == 0
    assert client.run("EP26", b"\1\1\0")[0] == 2


def test_outages_are_kept() -> None:
    meter = make(start=at(2026, 2, 2, 12))
    meter.power_off(at(2026, 2, 2, 13))
    meter.advance(at(2026, 2, 2, 14))
    assert meter.at == at(2026, 2, 2, 13)
    meter.power_on(at(2026, 2, 2, 14))
    quality = meter.image.decode(ET09)
    assert quality.outages[0].power_off_duration == 3600
    assert str(quality.outages[0].power_off_time) == "2026-02-02T13:00:00"
    log = meter.image.decode(ET81)
    assert str(log.entries[0].start) == "2026-02-02T14:00:00"  # local
    assert events(meter)[:2] == ["power_up", "power_down"]
    assert meter.image.decode(BT03).ed_std_status1.power_failure == 1


# --- pending tables


def pending_calendar(client: Client, identity: int = 99) -> bytes:
    raw = bytearray(client.read("BT54"))
    raw[-4:] = identity.to_bytes(4, "little")
    return bytes(raw)


def ped(code: int, storage: bytes) -> bytes:
    return bytes([code]) + storage


def test_a_pending_table_becomes_active_at_its_time() -> None:
    client = Client(make(start=at(2026, 2, 2, 12)))
    data = pending_calendar(client)
    moment = bytes(STime(26, 2, 2, 14, 0))
    assert client.write("PBT54", ped(0x10, moment) + data) == 0
    status: Any = BT04.decode(client.read("BT04"), client.meter.image.context)
    assert status.nbr_activations == 1
    assert status.activations[0].table.table_id == 54
    client.now = at(2026, 2, 2, 13, 59)
    assert client.read("BT54")[-4:] != data[-4:]
    client.now = at(2026, 2, 2, 14)
    assert client.read("BT54") == data
    assert events(client.meter)[:2] == ["pending_table_activated", "self_read"]
    assert BT04.decode(client.read("BT04"), client.meter.image.context).nbr_activations == 0


def test_a_pending_table_whose_time_came_in_an_outage_is_active_afterwards() -> None:
    client = Client(make(start=at(2026, 2, 2, 12)))
    data = pending_calendar(client)
    assert client.write("PBT54", ped(1, bytes([0, 0, 1, 0, 0])) + data) == 0
    client.meter.power_off(at(2026, 2, 2, 12, 30))
    client.meter.power_on(at(2026, 2, 2, 14))
    assert client.meter.image.read(54) == data


@pytest.mark.parametrize(
    ("name", "parameters", "result", "active"),
    [
        ("BP12", b"", 0, True),
        ("BP13", bytes([2]) + b"hello", 0, True),
        ("BP13", bytes([2]) + b"other", 1, False),
        ("BP14", b"", 0, False),
        ("BP15", bytes([2]) + b"hello", 0, False),
        ("BP15", bytes([2]) + b"other", 1, None),
    ],
)
def test_pending_tables_obey_procedures(name: str, parameters: bytes, result: int, active: bool | None) -> None:
    client = Client(make())
    data = pending_calendar(client)
    assert client.write("PBT54", ped(2, b"hello") + data) == 0
    assert client.part("PBT54", len(data) - 4, 10) == ped(2, b"hello") + data[-4:]
    assert client.run(name, parameters)[0] == result
    assert (client.read("BT54") == data) is bool(active)
    assert (client.read("PBT54")[:6] == bytes(6)) is (result == 0)


def test_an_activated_calendar_switches_tiers() -> None:
    client = Client(make(start=at(2026, 2, 2, 12)))
    assert client.meter.tariff.tier == 1
    raw = bytearray(client.read("BT54"))
    start = 25 * 3 + 23 * 3
    raw[start : start + 600] = bytes(600)  # tier 0 all day
    assert client.write("PBT54", ped(2, b"tiers") + bytes(raw)) == 0
    assert client.run("BP12")[0] == 0
    assert client.meter.tariff.tier == 0
    assert client.meter.registers.tier == 0


@pytest.mark.parametrize(
    ("settings", "drive", "back_at"),
    [
        (b"\3\0", 1, 9.0),  # until the next switch: 22 h local
        (b"\3\1", 2, None),
        (b"\3\2" + (1800).to_bytes(4, "little"), 3, 0.5),
        (b"\3\3\0\0\0\0" + bytes([26, 2, 2, 14, 15, 0]), 3, 2.25),
        (b"\3\3\0\0\0\0" + bytes([26, 2, 2, 11, 0, 0]), 0, 0.0),
        (b"\xff\1", 0, 0.0),
    ],
)
def test_the_calendar_can_be_overridden(settings: bytes, drive: int, back_at: float | None) -> None:
    begin = at(2026, 2, 2, 12)
    client = Client(make(start=begin), "MAK", "mep1")
    assert client.write("ET47", settings.ljust(16, b"\0")) == 0
    state = BT55.decode(client.read("BT55")).status
    assert (state.curr_tier, state.tier_drive) == ((3, drive) if drive else (1, 0))
    if back_at is None:
        client.now = begin + 3 * 86400
        assert BT55.decode(client.read("BT55")).status.curr_tier == 3
    elif back_at:
        client.now = begin + back_at * 3600 - 60
        assert BT55.decode(client.read("BT55")).status.curr_tier == 3
        client.now = begin + back_at * 3600 + 2
        state = BT55.decode(client.read("BT55")).status
        assert (state.curr_tier, state.tier_drive) == (0 if back_at == 9 else 1, 0)
    saved = make(start=begin)
    saved.restore(client.meter.to_json())
    assert saved.override.tier == client.meter.override.tier


# --- M-Bus and MEP


def test_scheduled_reads_of_children_are_logged() -> None:
    client = Client(make("mbus", start=at(2026, 1, 20, 12)), "MAK", "mep1")
    entry = bytes([0, 6, 0, 1])  # daily at 06:00 local
    assert client.write_part("ET13", 0, entry) == 0
    client.now = at(2026, 1, 23, 12)
    log: Any = ET45.decode(client.read("ET45"), client.meter.image.context)
    assert log.nbr_valid_entries == 2  # the first of three went to ET16 alone
    newest = log.entries[log.last_entry_element]
    assert newest.handle == 1
    assert newest.data.data.telegrams[0].serial_nbr == "11111111"
    assert str(newest.data.timestamp) == "2026-01-23T06:00:00"


def test_on_demand_reads_go_through_the_queue() -> None:
    children = [Child(11111111), Child(22222222)]
    client = Client(make("mbus", children=children), "MAK", "mep1")
    assert client.run("EP19", b"\0\4\1\0\2") == (0, bytes(12))
    queue = ET15.decode(client.read("ET15"), client.meter.image.context)
    assert (queue.requests[0].request_type, queue.requests[0].result) == (2, 0)
    client.now += 3
    queue = ET15.decode(client.read("ET15"), client.meter.image.context)
    assert queue.requests[0].result == 1
    slot: Any = ET16.decode(client.read("ET16"), client.meter.image.context).device_data[0]
    assert slot.data.telegrams[0].serial_nbr == "11111111"
    status = ET14.decode(client.read("ET14"), client.meter.image.context)
    assert status.device_status[0].mep_alarms.billing_data_collected == 1
    assert client.run("EP18", b"\1\0")[0] == 0
    children[1].there = False
    assert client.run("EP19", b"\1\4\2\0\2")[0] == 0
    client.now += 3
    queue = ET15.decode(client.read("ET15"), client.meter.image.context)
    assert queue.requests[1].result == 2
    assert client.run("EP19", b"\0\4\x63\0\2")[0] == 3
    assert client.run("EP19", b"\0\4\1\0\x63")[0] == 2
    for _ in range(5):
        answer = client.run("EP19", b"\0\4\1\0\2")[0]
    assert answer in (0, 7)


def test_the_queue_of_requests_fills_up() -> None:
    client = Client(make("mbus"), "MAK", "mep1")
    results = []
    for number in range(6):
        results.append(client.run("EP19", bytes([number, 4, 1, 0, 2]))[0])
        client.meter.mbus.queue.clear()  # they never get done
    assert results == [0, 0, 0, 0, 0, 7]


def register(client: Client, element: int = 0) -> None:
    base = element * (35 + 36)
    assert client.write_part("ET50", base, b"\x80\0\x08\5\4\1\2\3\4\2\x11\x22".ljust(30, b"\0")) == 0
    assert client.write_part("ET50", base + 30, b"\1") == 0


def test_a_mep_client_registers_is_rung_for_and_leaves() -> None:
    client = Client(make(), "MBK", "mep1")
    register(client)
    status = ET14.decode(client.read("ET14"), client.meter.image.context)
    assert status.device_status[4].device_handle == 1000
    assert status.device_status[4].status == 3
    assert status.device_occupancy.dev5_mep == 1
    assert not client.meter.mep.alert(0)
    assert Client(client.meter, "MAK", "mep1").run("EP19", b"\0\4\xe8\3\2")[0] == 0
    assert client.meter.mep.alert(0)
    config: Any = ET13.decode(client.read("ET13"), client.meter.image.context).device_config[4]
    assert config.config.alert_flags.ondemand_request == 1
    assert client.run("EP17", b"\0\1\0")[0] == 5  # MBK may not remove M-Bus devices
    assert client.run("EP17", b"\0\xe9\3")[0] == 3
    assert client.run("EP17", b"\0\xe8\3")[0] == 0
    assert not client.meter.mep.alert(0)
    status = ET14.decode(client.read("ET14"), client.meter.image.context)
    assert status.device_occupancy.dev5_mep == 0
    register(client)
    status = ET14.decode(client.read("ET14"), client.meter.image.context)
    assert status.device_status[4].device_handle == 1001


def test_posted_data_end_the_alert() -> None:
    client = Client(make(), "MBK", "mep1")
    register(client)
    client.meter.mep.scheduled(0)
    assert client.meter.mep.alert(0)
    assert client.run("EP39", b"\4\1\3\0abc")[0] == 0
    assert not client.meter.mep.alert(0)
    slot: Any = ET16.decode(client.read("ET16"), client.meter.image.context).device_data[4]
    assert (slot.data.read_count, slot.data.data) == (1, b"abc")
    assert client.run("EP39", b"\x63\1\0\0")[0] == 2
    assert Client(client.meter).run("EP39", b"\4\1\0\0")[0] == 5


def test_alerts_for_mbus_data_and_for_changes_of_a_source() -> None:
    client = Client(make("mbus"), "MAK", "mep1")
    register(client)
    assert client.write_part("ET50", 30, b"\x0d") == 0  # registered, M-Bus alerts, delta data alerts
    client.meter.mep.spoke(0)
    assert not client.meter.mep.alert(0)
    client.now += 3600
    client.read("BT52")
    config: Any = client.meter.image.decode(ET13).device_config[4]
    assert config.config.alert_flags.mbus_change == 1
    assert client.run("EP39", b"\x0b\1\0\0")[0] == 0
    assert not client.meter.mep.alert(0)
    assert client.write_part("ET71", 0, b"\x0f\0\1\0" + bytes(4)) == 0  # voltage of L1, every change of 1 mV
    client.now += 2
    client.read("BT52")
    assert client.meter.mep.alert(0)
    assert client.run("EP39", b"\x0c\1\0\0")[0] == 0
    assert not client.meter.mep.alert(0)


def test_each_port_has_its_own_response_table_and_knows_its_number() -> None:
    meter = make()
    first, second = Client(meter, "MAK", "mep1"), Client(meter, "MAK", "mep2")
    assert first.part("ET70", 142, 1) == b"\1"
    assert second.part("ET70", 142, 1) == b"\2"
    assert meter.server.responding(second.port) == 2048 + 85
    assert meter.server.responding(first.port) == 8
    register(first)
    assert first.write_part("ET50", 30, b"\3") == 0
    assert meter.server.responding(first.port) == 2048 + 59
    assert second.run("EP61", b"\1")[0] == 0
    assert first.run("EP61", b"\1")[0] == 3
    assert Client(meter).run("EP61", b"\1")[0] == 5


def test_health_of_a_mep_client_is_watched() -> None:
    client = Client(make(), "MAK", "mep1")
    register(client)
    assert client.write_part("ET51", 0, b"\2") == 0
    client.meter.mep.spoke(0)
    client.meter.advance(client.now + 70)
    assert client.meter.image.decode(ET14).device_status[4].status == 4
    client.meter.mep.spoke(0)
    client.meter.advance(client.now + 80)
    assert client.meter.image.decode(ET14).device_status[4].status == 3
