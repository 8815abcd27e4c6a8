"""Faults: what they do to a street, and that it heals without losing or doubling a reading."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from random import Random

import pytest

from osgp.concentrator.exchange import Priority
from osgp.concentrator.topology import Standing
from osgp.street.plan import Fault
from osgp.street.run import StreetRun
from osgp.street.torture import FAULTS, faults_of, small_street, torture
from osgp.street.trouble import damage
from osgp.wire.errors import ConfigError
from tests.street.small import small_plan

HOUR = pytest.param(3600.0, marks=pytest.mark.long)
"""A jump between those of a day and of a minute."""


@pytest.mark.parametrize(
    ("houses", "hours", "least"), [(6, 2.0, 25), pytest.param(8, 3.0, 50, marks=pytest.mark.long)], ids=["two", "three"]
)
@pytest.mark.parametrize("name", sorted(set(FAULTS) - {"kill"}))
def test_a_street_holds_up(name: str, houses: int, hours: float, least: int) -> None:
    (row,) = torture(small_street(houses, hours=hours), only=(name,))
    assert row.exact, row
    assert row.kept == row.held > least
    assert row.recovers is (name != "wrong-key")
    if row.recovers:
        assert row.recovery_s is not None
        assert row.recovery_s <= 3600


def test_a_concentrator_killed_fifty_times_loses_and_doubles_nothing(tmp_path: Path) -> None:
    run = StreetRun(small_plan(4, hours=2.0, faults=(Fault("kill", 0.02, 80.0, count=50),)), journal=tmp_path / "j")
    run.run()
    assert run.lives == 51
    assert run.troubles.all[0].times == 50
    assert run.truth().exact
    assert run.troubles.all[0].recovery_s is not None


def test_a_dead_repeater_is_the_one_that_most_ways_lead_through_and_others_take_over() -> None:
    run = StreetRun(small_plan(8, hours=3.0, faults=(Fault("dead", 1.0),)))
    run.run()
    trouble = run.troubles.all[0]
    before = next(ways for title, _, ways, _ in run.observed.maps if title.startswith("before"))
    passed = [name for way in before.values() for name in way[:-1]]
    assert trouble.target in passed
    assert passed.count(trouble.target) == max(passed.count(name) for name in passed)
    after = run.ways()
    assert all(trouble.target not in way[:-1] for house, way in after.items() if house != trouble.target)
    assert run.truth().to_json()["not_expected"] == {trouble.target: "dead"}


def test_a_cut_branch_is_open_until_it_is_restored() -> None:
    branch = small_plan().grid.branches[-1].name
    run = StreetRun(small_plan(8, hours=1.0, faults=(Fault("cut", 0.5, 15.0, branch),)))
    run.run_to(0.6 * 3600)
    assert run.grid.open_branches == [branch]
    run.run_to(0.8 * 3600)
    assert run.grid.open_branches == []


def test_noise_is_taken_from_every_level_and_given_back() -> None:
    run = StreetRun(small_plan(4, hours=1.0, faults=(Fault("noise", 0.1, 6.0, db=20.0), Fault("noise", 0.4, 6.0, "2"))))
    run.run_to(60.0)
    quiet = run.levels(60.0)
    for moment, receivers in ((0.15, (0, 1, 2, 3, 4)), (0.3, ()), (0.45, (2,)), (0.6, ())):
        run.run_to(moment * 3600)
        levels = run.medium.levels
        for a in range(5):
            for b in range(5):
                if a != b:
                    less = 20.0 if b in receivers else 0.0
                    assert levels.ec_n0_db[0][a][b] == pytest.approx(quiet.ec_n0_db[0][a][b] - less, abs=0.5), (
                        "noise has its day"
                    )


def test_nobody_answers_without_supply() -> None:
    run = StreetRun(small_plan(4, hours=1.0, faults=(Fault("outage", 0.5, 15.0),)))
    run.run_to(0.5 * 3600 + 1)
    sent = sum(port.sent for port in run.wire.ports)
    run.run_to(0.74 * 3600)
    assert not run.concentrator_runs
    assert sum(port.sent for port in run.wire.ports) == sent
    run.run_to(0.8 * 3600)
    assert run.concentrator_runs
    assert run.lives == 2


def test_supply_that_comes_back_makes_no_storm_of_collisions() -> None:
    run = StreetRun(small_plan(14, hours=0.75, faults=(Fault("outage", 0.4, 6.0),)))
    run.run_to(0.5 * 3600 - 1)
    ports = run.wire.ports
    sent, collided = sum(port.sent for port in ports), sum(port.collisions for port in ports)
    run.run()
    sent, collided = sum(port.sent for port in ports) - sent, sum(port.collisions for port in ports) - collided
    assert sent > 1000, "everybody was without supply, and everybody is asked"
    assert collided < sent / 50
    assert run.troubles.all[0].recovery_s is not None
    assert run.up() == 14


def test_a_device_with_a_wrong_key_is_known_as_such_and_gives_nothing() -> None:
    run = StreetRun(small_plan(4, hours=0.5, faults=(Fault("wrong-key", target="2"),)))
    run.run()
    node = run.topology.nodes[run.by_name["2"].unique_node_id]
    assert node.standing is Standing.WRONG_KEY
    assert not run.journal.intervals(run.numbers().get("2", -1))


def test_what_an_attacker_sends_is_refused_and_shuts_nobody_out() -> None:
    plan = small_plan(8, hours=1.5)
    run = StreetRun(plan.with_faults(dataclasses.replace(faults_of(plan)["attack"], minutes=30.0)))
    run.run()
    assert run.troubles.all[0].times > 500
    assert sum(device.node.refused.total() for device in run.devices) > 100
    assert run.truth().exact
    assert run.up() == 8
    assert [device.node.security.ku_generation for device in run.devices] == [1] * 8, (
        "nobody lost the keys of the beginning"
    )


def test_keys_that_are_worn_are_told_of_and_renewed() -> None:
    run = StreetRun(small_plan(4, hours=1.0, faults=(Fault("worn", 0.5),)))
    run.run_to(0.5 * 3600 - 1)
    before = [device.node.security.ku_generation for device in run.devices]
    run.run_to(0.75 * 3600)
    assert [device.node.security.ku_generation for device in run.devices] == [each + 1 for each in before]
    assert max(device.node.security.unicast_uses for device in run.devices) < 1000
    assert len(run.journal.notices(kind="key usage")) == 4
    sender = run.care.sender
    old = sender.generation

    async def order() -> None:
        for _ in range(6):
            await run.concentrator.broadcast(bytes.fromhex("4000130001") + b"\0", (), Priority.HOUSEKEEPING)

    run.concentrator.tasks.start(order(), run.wire.now)
    run._begin()
    run.run_to(1.25 * 3600)
    assert sender.generation == old + 1
    assert sender.uses < 10
    run.concentrator.tasks.start(order(), run.wire.now)
    run._begin()
    run.run_to(1.3 * 3600)
    heard = [device.node.security for device in run.devices if device.node.security.kb_generation == old + 1]
    assert heard, "a device takes the key over with the first broadcast under it"
    assert max(each.broadcast_uses for each in heard) < 20
    assert any("broadcast" in notice.text for notice in run.journal.notices(kind="key usage"))


def test_numbers_that_are_used_up_begin_anew_with_handshakes() -> None:
    run = StreetRun(small_plan(4, hours=1.0, faults=(Fault("spent", 0.5, count=1),)))
    run.run_to(0.5 * 3600 + 0.5)
    assert max(device.node.security._actr.next for device in run.devices) > 0xFFFF0000
    run.run()
    assert run.truth().exact
    assert run.up() == 4
    assert run.care.sender.counter < 100
    assert [device.node.security.kb_generation for device in run.devices] == [run.care.sender.generation] * 4
    assert max(device.node.security._actr.next for device in run.devices) < 1000
    assert [device.node.security.last_broadcast < 100 for device in run.devices] == [True] * 4


@pytest.mark.parametrize("seconds", [86400.0, HOUR, -7200.0, 60.0])
def test_a_concentrator_whose_own_clock_jumps_leaves_the_meters_theirs_and_says_so(seconds: float) -> None:
    run = StreetRun(small_plan(4, hours=2.0, faults=(Fault("own-clock", 0.5, 45.0, seconds=seconds),)))
    run.run()
    assert run.truth().exact
    journal = run.journal
    told = [notice.text for notice in journal.notices(kind="own clock")]
    assert len(told) == 2
    assert f"jumped by {seconds:.0f} s" in told[0]
    assert "back where it was" in told[1]
    assert not journal.notices(kind="clock step")
    assert not journal.notices(kind="clock gradual")
    for device in run.devices:
        device.advance(run.wire.now)
        assert abs(device.meter.shown - (run.start + run.wire.now)) < 5.0


@pytest.mark.parametrize("seconds", [86400.0, HOUR, -7200.0])
def test_a_clock_that_jumps_while_the_concentrator_is_down_moves_no_meters_clock_and_no_reading(seconds: float) -> None:
    run = StreetRun(small_plan(4, hours=2.5, faults=(Fault("own-clock-down", 0.7, 60.0, seconds=seconds),)))
    run.run()
    assert run.lives == 2
    assert run.truth().exact
    journal = run.journal
    told = [notice.text for notice in journal.notices(kind="own clock")]
    assert "own clock jumped by" in told[0]
    if seconds > 0:  # what meters show tells how far; a clock that went back is only known to be behind what was kept
        assert abs(float(told[0].split("jumped by ")[1].split(" s")[0]) - seconds) < 5.0
        assert "back where it was" in told[1]
    assert run.concentrator.own_clock.is_trusted
    assert not journal.notices(kind="clock step")
    assert not journal.notices(kind="clock gradual")
    for device in run.devices:
        device.advance(run.wire.now)
        assert abs(device.meter.shown - (run.start + run.wire.now)) < 5.0


def test_a_device_that_took_the_address_of_another_gets_its_own_back() -> None:
    plan = small_plan(4, hours=2.0)
    run = StreetRun(plan.with_faults(dataclasses.replace(faults_of(plan)["same-address"], at_h=0.5)))
    run.run_to(0.5 * 3600 + 1)
    places = [device.node.security.address for device in run.devices]
    assert len(set(places)) == 3
    run.run()
    assert run.truth().exact
    assert len({device.node.security.address for device in run.devices}) == 4
    assert any("answered no more" in notice.text for notice in run.journal.notices(kind="commissioning"))


def test_recorded_and_forged_frames_while_the_concentrator_starts_again_and_again(tmp_path: Path) -> None:
    plan = small_plan(4, hours=1.5)
    attack = dataclasses.replace(faults_of(plan)["attack"], at_h=0.4, minutes=30.0)
    run = StreetRun(plan.with_faults(attack, Fault("kill", 0.4, 30.0, count=12)), journal=tmp_path / "j")
    run.run()
    assert run.lives == 13
    assert run.troubles.all[0].times > 500
    assert run.truth().exact
    assert run.up() == 4


def test_a_damaged_journal_is_repaired_and_says_so(tmp_path: Path) -> None:
    run = StreetRun(small_plan(4, hours=1.0, faults=(Fault("corrupt", 0.5),)), journal=tmp_path / "j")
    run.run()
    assert run.truth().exact
    assert (tmp_path / "j.damaged-1").exists()
    assert "damaged" in run.journal.notices(kind="journal")[0].text


def test_a_page_is_damaged_and_never_the_first(tmp_path: Path) -> None:
    file = tmp_path / "file"
    content = bytes(4 * 4096)
    file.write_bytes(content)
    damage(file, Random(1))
    found = file.read_bytes()
    assert len(found) == len(content)
    assert found != content
    assert found[:4096] == content[:4096]


def test_a_journal_in_memory_has_no_pages() -> None:
    with pytest.raises(ConfigError, match="in a file"):
        StreetRun(small_plan(2, faults=(Fault("corrupt"),)))


def test_a_fault_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="no fault is called 'flood'"):
        next(torture(small_street(2), only=("flood",)))


def test_every_fault_has_a_line_of_words() -> None:
    assert set(faults_of(small_street(2))) == set(FAULTS)
