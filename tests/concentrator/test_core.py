"""The concentrator as a whole, in virtual time: a day of readings, alarms, clocks, silence, kills."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from osgp.concentrator.config import ConcentratorConfig
from osgp.concentrator.core import AlarmRaised, DeviceSilent, StepStored, VisitEnded
from osgp.concentrator.exchange import OutcomeUnknown, Priority
from osgp.concentrator.journal import Journal
from osgp.lon.address import SubnetNode
from osgp.node.meter import Meter
from osgp.tables.bt.bt03 import BT03
from osgp.tables.bt.bt63 import BT63
from osgp.tables.profile import decode_table, ring_of
from osgp.wire.errors import ConfigError, StoreError
from tests.concentrator.town import FAST, SMALL, Town
from tests.node.meters import START, make

HOUR = 3600.0


def with_a_day() -> Meter:
    return make("1ph", days=1)


def test_everything_a_meter_holds_arrives_once() -> None:
    town = Town(2, meter=with_a_day)
    town.run(24 * HOUR)
    for number, device in enumerate(town.devices, 1):
        ends = [row[0] for row in town.journal.intervals(number)]
        assert ends == sorted(set(ends))
        step = device.meter.profiles[0].shape.interval_s
        assert set(range(ends[0], ends[-1] + 1, step)) == set(ends), "no hole"
        assert len(ends) >= 96 + 72
        assert len(town.journal.readings(number, "fwd_active_energy")) in (1, 2), "once a day"
    assert town.journal.counts()["notice"] == 2, "each meter tells of its self read"


def test_profile_values_are_those_of_the_meter() -> None:
    town = Town(1, meter=with_a_day)
    town.run(HOUR)
    meter = town.devices[0].meter
    rows = town.journal.intervals(1)
    shape = meter.profiles[0].shape
    meter.views.refresh(63)
    status = meter.image.decode(BT63)
    own = decode_table(meter.image.read(shape.table), shape, ring_of(status.sets[0]))
    expected = {
        int(time): list(values)
        for time, values, valid in zip(own.epochs(), own._plain(own.values), own._plain(own.valid))
        if valid
    }
    assert rows
    for time, _, values in rows:
        assert expected[time] == values


def test_what_was_read_is_not_read_again() -> None:
    town = Town(1, meter=with_a_day)
    town.run(HOUR)
    device = town.devices[0]
    before = len(device.executed)
    blocks = town.journal.counts()["profile_interval"]
    assert blocks >= 96
    device.executed.clear()
    town.run(24 * HOUR)
    bytes_read = sum(
        int.from_bytes(message[6:8], "big") for message in device.executed if message[:3] == b"\x3f\x00\x40"
    )
    new = town.journal.counts()["profile_interval"] - blocks
    assert bytes_read <= 2 * new * device.meter.profiles[0].shape.interval_size, "little more than what is new"
    assert before > 20


def test_the_meter_is_told_only_of_what_is_in_the_journal() -> None:
    town = Town(1, meter=with_a_day)
    device = town.devices[0]
    answer = device.answer
    at_order: list[int] = []

    def watched(apdu: bytes, now: float) -> bytes:
        if apdu[1:4] == b"\x40\x00\x07" and apdu[6:8] == b"\x05\x00":
            at_order.append(town.journal.counts()["profile_interval"])
        return answer(apdu, now)

    device.answer = watched  # type: ignore[method-assign]  # to look over its shoulder
    before = device.meter.profiles[0].unread
    assert before > 1
    town.until(lambda: device.meter.profiles[0].unread == 1)
    assert at_order[-1] >= 96 - device.meter.profiles[0].shape.intervals


def test_an_alarm_is_told_within_one_scan_and_once() -> None:
    town = Town(2)
    town.run(HOUR)
    town.events.clear()
    meter = town.devices[1].meter
    status = meter.image.decode(BT03)
    status.ed_std_status1 = status.ed_std_status1.with_(cover_removed=1)
    meter.image.encode(status)
    began = town.wire.now
    town.until(lambda: any(isinstance(each, AlarmRaised) for each in town.events))
    assert town.wire.now - began <= SMALL.plan.scan_s + 5
    town.run(2 * HOUR)
    assert [each for each in town.events if isinstance(each, AlarmRaised)] == [
        AlarmRaised(2, "cover_removed", "critical", "cover removed (clear with EP03)")
    ]
    [notice] = [each for each in town.journal.notices(kind="alarm") if each.severity == "critical"]
    assert (notice.device, notice.detail) == (2, {"alarm": "cover_removed"})


@pytest.mark.parametrize(
    ("drift", "kind"), [(3, None), (-4, None), (60, "clock gradual"), (-200, "clock gradual"), (900, "clock step")]
)
def test_clocks_are_kept_as_the_policy_says(drift: int, kind: str | None) -> None:
    town = Town(1)
    meter = town.devices[0].meter
    meter.set_clock(START, START + drift, user=0)
    town.run(HOUR)
    notices = [each for each in town.journal.notices() if each.kind.startswith("clock")]
    assert [each.kind for each in notices] == ([] if kind is None else [kind])
    town.run(25 * HOUR)
    meter.advance(START + town.wire.now)
    assert abs(meter.shown - (START + town.wire.now)) <= 6
    if kind == "clock step":
        assert notices[0].severity == "warning"


def test_a_silent_device_is_asked_less_and_less_and_comes_back_with_all_its_duties() -> None:
    town = Town(2, meter=with_a_day)
    town.devices[0].silent = True
    town.run(6 * HOUR)
    silences = [each for each in town.events if isinstance(each, DeviceSilent)]
    assert {each.device for each in silences} == {1}
    assert [each.failures for each in silences] == list(range(1, len(silences) + 1))
    assert len(silences) < 16, "without that, 24 scans alone"
    assert town.journal.counts()["profile_interval"] >= 96
    town.devices[0].silent = False
    town.run(2.5 * HOUR)
    assert len(town.journal.intervals(1)) >= 96 + 20
    assert town.concentrator.schedule.failures(1) == 0


def test_losses_cost_time_and_no_reading() -> None:
    town = Town(2, meter=with_a_day, loss=0.1, seed=4)
    town.run(8 * HOUR)
    for number in (1, 2):
        ends = [row[0] for row in town.journal.intervals(number)]
        assert len(set(ends)) == len(ends) >= 96 + 20


def test_paused_nothing_is_sent_and_resumed_everything_goes_on() -> None:
    town = Town(2, meter=with_a_day)
    town.run(10.0)
    town.concentrator.pause(town.wire.now)
    town.run(5.0)
    assert town.port is not None
    sent = town.port.sent
    town.run(HOUR)
    assert town.port.sent == sent
    assert town.concentrator.status()["paused"]
    town.concentrator.resume(town.wire.now)
    town.touch()
    town.run(HOUR)
    assert all(len(town.journal.intervals(number)) >= 96 for number in (1, 2))


def test_a_removed_device_is_left_alone_and_can_come_back() -> None:
    town = Town(2, meter=with_a_day)
    town.run(8.0)
    town.concentrator.remove_device(1)
    town.touch()
    town.run(5.0)
    executed = len(town.devices[0].executed)
    town.run(2 * HOUR)
    assert len(town.devices[0].executed) == executed
    with pytest.raises(ConfigError):
        town.concentrator.access(1, Priority.BILLING)
    device = town.devices[0]
    uid = device.stack.configuration.unique_node_id
    assert town.concentrator.add_device(uid, SubnetNode(1, 1), town.sealers[0], town.wire.now) == 1
    town.touch()
    town.run(HOUR)
    assert len(town.journal.intervals(1)) >= 96


def test_the_airtime_of_patient_work_stays_in_its_budget() -> None:
    config = replace(SMALL, airtime_share=0.2, airtime_window_s=20.0)
    town = Town(6, meter=with_a_day, config=config)
    town.run(600.0)
    usage = town.concentrator.account
    patient = sum(usage.by_class[name].airtime_s for name in ("billing", "profile") if name in usage.by_class)
    assert 10 < patient <= 0.2 * (600 + 20) + 2


def test_a_journal_that_cannot_write_loses_nothing() -> None:
    town = Town(1, meter=with_a_day)
    fine = town.journal.keep

    def full(step: object) -> object:
        raise StoreError("disk full")

    town.journal.keep = full  # type: ignore[method-assign,assignment]  # no room
    town.run(HOUR)
    assert town.devices[0].meter.profiles[0].unread > 1, "the meter was not told to forget"
    assert any(isinstance(each, VisitEnded) and "disk full" in each.error for each in town.events)
    town.journal.keep = fine  # type: ignore[method-assign]  # room again
    town.run(HOUR)
    assert len(town.journal.intervals(1)) >= 96


def test_status_is_plain_data() -> None:
    town = Town(2, meter=with_a_day)
    town.run(60.0)
    status = json.loads(json.dumps(town.concentrator.status()))
    assert [each["number"] for each in status["devices"]] == [1, 2]
    assert status["airtime"]["total"]["answered"] > 10
    assert status["devices"][0]["route"] == []


def test_one_seed_gives_one_run() -> None:
    def spoken(seed: int) -> list[tuple[float, bytes]]:
        town = Town(2, meter=with_a_day, loss=0.1, seed=seed)
        heard: list[tuple[float, bytes]] = []
        town.wire.tap(lambda now, port, lpdu: heard.append((now, lpdu)))
        town.run(120.0)
        return heard

    assert spoken(3) == spoken(3)
    assert spoken(3) != spoken(4)


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("part", [pytest.param(part, marks=[pytest.mark.long] if part else []) for part in range(6)])
def test_killed_at_every_save_point_nothing_is_lost_and_nothing_doubled(tmp_path: Path, part: int) -> None:
    """The files as they are at a save point are what a kill there leaves; the meters go on living."""
    calm = Town(2, place=tmp_path / "calm.sqlite", meter=with_some_hours)
    calm.until(lambda: settled(calm))
    expected = {number: calm.journal.intervals(number) for number in (1, 2)}
    calm.journal.close()
    killed = 0
    for kill_at in range(1 + part, 100, 6):
        town, left = killed_at(kill_at, tmp_path)
        if town is None:
            continue  # while devices were being added: nothing is there yet
        if left is None:
            break
        killed += 1
        town.start(Journal(left, wall=START + town.wire.now))
        finish(town)
        for number in (1, 2):
            found = town.journal.intervals(number)
            times = [row[0] for row in found]
            assert len(set(times)) == len(times)
            assert [row for row in found if row[0] <= expected[number][-1][0]] == expected[number]
            events = town.journal.events_of(number, "BT74")
            assert len({row[0] for row in events}) == len(events) >= 2
        town.journal.close()
    assert killed >= 3


def with_some_hours() -> Meter:
    return make("1ph", days=0.25)


def killed_at(kill_at: int, folder: Path) -> tuple[Town | None, Path | None]:
    """A town whose concentrator was killed at its n-th save point, and the files that were left; no files if it ended before."""
    place = folder / f"kill-{kill_at}" / "j.sqlite"
    place.parent.mkdir()
    count = 0

    def kill(point: str) -> None:
        nonlocal count
        count += 1
        if count == kill_at:
            raise Killed

    town = None
    try:
        town = Town(2, place=place, meter=with_some_hours, saved=kill)
        finish(town)
        return town, None
    except Killed:
        left = place.with_name("left.sqlite")
        for suffix in ("", "-wal"):
            source = place.with_name(place.name + suffix)
            if source.exists():
                shutil.copy(source, left.with_name(left.name + suffix))
        if town is not None:
            town.journal.saved = None
            town.concentrator.stop(town.wire.now)
        return town, left


def finish(town: Town) -> None:
    town.until(lambda: settled(town), 7200.0)


def settled(town: Town) -> bool:
    """Everything that was due at the beginning is done."""
    now = town.wire.now
    if now < 5 or not town.concentrator.peers:
        return False
    return not town.concentrator._visits and all(
        when > now for number in (1, 2) for when in town.concentrator.schedule.due(number).values()
    )


def test_after_a_rebuilt_journal_everything_meters_hold_is_read_again(tmp_path: Path) -> None:
    place = tmp_path / "j.sqlite"
    town = Town(1, place=place, meter=with_a_day)
    town.until(lambda: settled_one(town))
    expected = town.journal.intervals(1)
    town.journal._execute("PRAGMA wal_checkpoint(TRUNCATE)")
    town.journal.close()
    content = bytearray(place.read_bytes())
    for page in range(len(content) // 4096 // 2, len(content) // 4096):
        content[4096 * page : 4096 * (page + 1)] = Random(page).randbytes(4096)
    place.write_bytes(content)
    town.concentrator.stop(town.wire.now)
    town.start(Journal(place, wall=START + town.wire.now))
    assert town.journal.counters_in_doubt
    assert len(town.journal.intervals(1)) < len(expected)
    town.until(lambda: settled_one(town), 7200.0)
    found = town.journal.intervals(1)
    assert [row for row in found if row[0] <= expected[-1][0]] == expected


def settled_one(town: Town) -> bool:
    now = town.wire.now
    due = town.concentrator.schedule.due(1).values()
    return now > 5 and not town.concentrator._visits and all(when > now for when in due)


def test_the_configuration_of_a_town_is_one_of_the_kind_that_files_give() -> None:
    config = ConcentratorConfig.from_toml('name = "street 5"\n[plan]\nscan_s = 60\nbilling_s = 600\nprofile_s = 300\n')
    assert config.plan == FAST
    assert (config.name, config.exchange.tries) == ("street 5", 2)


def test_steps_are_told(tmp_path: Path) -> None:
    town = Town(1, meter=with_a_day)
    town.run(60.0)
    told = [each.what for each in town.events if isinstance(each, StepStored)]
    assert told[:1] == ["scan"]
    assert {"registers", "log BT74", "profile 1"} <= set(told)
    assert issubclass(OutcomeUnknown, Exception)
