"""More than one way to each device: what neighbours tell in a survey, ways that are tried, who is looked for before it is down."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from osgp.concentrator.cold_start import PROBE_SHARE
from osgp.concentrator.config import ConcentratorConfig
from osgp.concentrator.routes import ROOT, Step, Ways
from osgp.concentrator.topology import NodeState
from osgp.sim.medium import FrameMedium, Levels
from tests.concentrator.network import QUIET, Network, chain, levels_of

POOR_DB, GOOD_DB, GONE_DB = 8.0, 30.0, -20.0
BEHIND = 12
"""Devices behind two repeaters, which are the first two devices."""


def night(poor: int, *, level_db: float = POOR_DB) -> Levels:
    """Two repeaters in earshot, and all other devices hear both of them and nobody else: one well, the other (``poor``) just so."""
    links = {(0, 1): GOOD_DB, (0, 2): GOOD_DB, (1, 2): GOOD_DB}
    for device in range(3, 3 + BEHIND):
        links[poor, device], links[3 - poor, device] = level_db, GOOD_DB
    return levels_of(3 + BEHIND, links)


def becomes(network: Network, levels: Levels) -> None:
    assert isinstance(network.wire.medium, FrameMedium)
    network.wire.medium.levels = levels


def behind(network: Network) -> list[int]:
    """Over which of the two repeaters each device is reached."""
    first = {network.devices[index].unique_node_id: index + 1 for index in range(2)}
    ways = [network.topology.ways.known(device.unique_node_id) for device in network.devices[2:]]
    return [first.get(way[0].node, 0) if way else 0 for way in ways]


def started(levels: Levels) -> Network:
    """Everybody has been found and read once, and ten minutes have passed."""
    network = Network(levels)
    network.until(network.all_up)
    network.until(lambda: not network.care.cold_start.is_on)
    network.run(600.0)
    return network


@pytest.mark.parametrize("poor", [1, 2])
def test_devices_that_were_found_over_poor_links_have_better_ways_before_the_noise_of_the_day_comes(poor: int) -> None:
    """Whoever asks around first finds them all, and they answer nobody else any more."""
    network = started(night(poor))
    assert set(behind(network)) == {3 - poor}
    network.topology.events()
    becomes(network, night(poor, level_db=GONE_DB))
    network.run(3600.0)
    assert network.all_up()
    assert not [event for event in network.topology.events() if event.what == "down"]
    failures = [network.concentrator.schedule.failures(network.node(2 + each).device) for each in range(BEHIND)]
    assert failures == [0] * BEHIND


def test_where_all_links_are_good_nobody_is_asked_about_neighbours() -> None:
    network = started(chain(4))
    assert (network.care.neighbours.surveys, network.care.neighbours.trials) == (0, 0)


def test_a_device_with_nothing_but_a_poor_link_is_asked_again_only_after_hours() -> None:
    network = started(levels_of(3, {(0, 1): GOOD_DB, (1, 2): POOR_DB}))
    neighbours = network.care.neighbours
    assert neighbours.surveys == 1, "of the device behind the poor link"
    network.run(5 * 3600.0)
    assert neighbours.surveys == 1
    network.run(2 * 3600.0)
    assert neighbours.surveys == 2
    assert network.all_up()
    assert network.care.discovery.budget.share == network.care.discovery.policy.share < PROBE_SHARE


def test_after_a_restart_nobody_is_asked_again(tmp_path: Path) -> None:
    network = Network(levels_of(3, {(0, 1): GOOD_DB, (1, 2): POOR_DB}), place=tmp_path / "journal.sqlite")
    network.until(network.all_up)
    network.run(1800.0)
    assert network.care.neighbours.surveys == 1
    network.restart()
    network.run(3600.0)
    assert network.all_up()
    assert network.care.neighbours.surveys == 0


def test_what_answers_claim_is_tried_before_it_carries_anything() -> None:
    """Somebody claims a very good link that is none: one trial in vain, and the way stays what it was."""
    network = started(levels_of(4, {(0, 1): GOOD_DB, (0, 2): GOOD_DB, (1, 3): POOR_DB}))
    graph, wanted = network.topology.graph, network.devices[2].unique_node_id
    liar = network.devices[1].unique_node_id
    before = network.topology.ways.known(wanted)
    trials, passed = network.care.neighbours.trials, network.care.neighbours.trials_passed
    for listener, speaker in ((wanted, liar), (liar, wanted)):
        graph.hear(listener, speaker, 39.0, network.wire.now, proven=False)
    network.run(600.0)
    assert network.care.neighbours.trials > trials
    assert network.care.neighbours.trials_passed == passed
    assert network.topology.ways.known(wanted) == before
    assert not graph.is_proven((Step(liar), Step(wanted)))
    assert graph.is_blamed(min((liar, wanted, False), (wanted, liar, False)))
    assert network.state(2) is NodeState.UP


def test_a_device_whose_only_way_fails_is_looked_for_before_it_is_down_and_visited_at_once() -> None:
    network = started(levels_of(4, {(0, 1): GOOD_DB, (0, 2): GOOD_DB, (1, 3): GOOD_DB}))
    network.topology.events()
    becomes(network, levels_of(4, {(0, 1): GOOD_DB, (0, 2): GOOD_DB, (2, 3): GOOD_DB}))
    network.run(40 * 60.0)
    node, repeater = network.node(2), network.devices[1].unique_node_id
    assert network.topology.ways.known(node.unique_node_id) == (Step(repeater), Step(node.unique_node_id))
    assert not [event for event in network.topology.events() if event.what == "down"]
    assert network.concentrator.schedule.failures(node.device) == 0


def test_who_may_hear_a_device_is_guessed_from_who_hears_its_neighbours() -> None:
    network = Network(levels_of(2, {(0, 1): GOOD_DB}))
    graph, (a, b, c) = network.topology.graph, (bytes([9]) * 6, bytes([8]) * 6, bytes([7]) * 6)
    graph.hear(a, b, 20.0, 0.0, proven=True)
    graph.hear(c, a, 25.0, 0.0, proven=True)
    graph.hear(ROOT, c, 30.0, 0.0, proven=True)
    assert network.care._may_hear(b) == {a: 20.0, c: 10.0}


def test_another_way_is_told_for_alerts_once_it_has_settled() -> None:
    network = started(levels_of(4, {(0, 1): GOOD_DB, (0, 2): GOOD_DB, (1, 3): GOOD_DB, (2, 3): GOOD_DB}))
    network.run(1800.0)
    node, now = network.node(2), network.wire.now
    assert node.way_told is not None
    other = next(
        network.devices[index].unique_node_id
        for index in (0, 1)
        if node.way_told[1][0].node != network.devices[index].unique_node_id
    )
    ways = network.topology.ways
    assert isinstance(ways, Ways)
    ways.adopt(node.unique_node_id, (Step(other), Step(node.unique_node_id)), now)
    assert network.care._next_way(now + 60.0) is None
    later = network.care._next_way(now + 3600.0)
    assert later is not None
    assert later[0] is node


def claimed(network: Network, wanted: bytes, liars: list[bytes]) -> None:
    """What forged answers to probes come to: very good links, both ways, that nobody has proven."""
    for liar in liars:
        network.topology.graph.hear(wanted, liar, 39.0, network.wire.now, proven=False)
        network.topology.graph.hear(liar, wanted, 39.0, network.wire.now, proven=False)


def far(config: ConcentratorConfig = QUIET) -> Network:
    """Two repeaters in earshot; the third device is behind three poor links, so that even a blamed way seems cheaper to it."""
    levels = levels_of(6, {(0, 1): POOR_DB, (1, 2): POOR_DB, (2, 3): POOR_DB, (0, 4): GOOD_DB, (0, 5): GOOD_DB})
    network = Network(levels, config=config)
    network.until(network.all_up, 7200.0)
    network.until(lambda: not network.care.cold_start.is_on, 7200.0)
    network.run(600.0)
    return network


def test_forged_answers_bring_only_few_trials_and_the_share_of_probes_goes_back() -> None:
    network = far()
    before = network.care.neighbours.trials
    wanted, liars = network.devices[2].unique_node_id, [network.devices[index].unique_node_id for index in (3, 4)]
    for _ in range(24):
        claimed(network, wanted, liars)
        network.run(900.0)
    assert 0 < network.care.neighbours.trials - before <= 12
    assert network.care.neighbours._vain[wanted][1] > 1
    assert network.all_up()


def test_a_trial_in_vain_is_no_silence_of_the_device() -> None:
    """A device that sends alerts is asked so seldom that it would be down long before its next scan."""
    seldom = dataclasses.replace(QUIET, plan=dataclasses.replace(QUIET.plan, alerting_scan_s=6 * 3600.0))
    network = far(seldom)
    network.run(7200.0)
    wanted, liar = network.devices[2].unique_node_id, network.devices[3].unique_node_id
    assert network.node(2).alerts
    network.topology.events()
    before = network.care.neighbours.trials
    claimed(network, wanted, [liar])
    network.run(2 * 3600.0)
    assert network.care.neighbours.trials > before
    assert not [event for event in network.topology.events() if event.what == "down"]
    assert network.all_up()


def test_probes_hurry_for_a_part_of_each_day_only() -> None:
    network = started(chain(1))
    cold, policy = network.care.cold_start, network.care.discovery.policy
    start, hurried = network.wire.now, 0
    cold._day = start
    for minute in range(2 * 1440):
        cold.hurry_probes(True, start + 60.0 * minute)
        hurried += network.care.discovery.budget.share > policy.share
    assert 700 <= hurried <= 2 * (6 * 60 + 3), "six hours, and a minute for each device"


def test_a_device_removed_while_it_asks_its_neighbours_leaves_nothing_behind() -> None:
    network = started(levels_of(4, {(0, 1): GOOD_DB, (1, 2): POOR_DB, (2, 3): GOOD_DB}))
    node, neighbours = network.node(1), network.care.neighbours
    before = neighbours.surveys
    node.surveyed = None
    network.until(lambda: neighbours.surveys > before, 7200.0)
    assert node.surveyed is None, "killed now, it would be asked again"
    network.care.remove(node.unique_node_id)
    network.run(60.0)
    graph = network.topology.graph
    assert node.unique_node_id not in network.topology.nodes
    assert not graph.listeners(node.unique_node_id)


def test_a_probe_in_vain_takes_from_the_budget_as_well() -> None:
    network = started(chain(1))
    becomes(network, levels_of(2, {}))
    discovery = network.care.discovery
    used = discovery.budget.total.airtime_s
    before = discovery.probes
    network.run(2 * 3600.0)
    assert network.state(0) is NodeState.DOWN
    assert discovery.probes > before
    discovery.budget.total.airtime_s = used
    task = network.concentrator.tasks.start(discovery.survey(network.node(0)), network.wire.now, name="survey")
    network.touch()
    network.run(120.0)
    assert task.is_done
    assert discovery.budget.total.airtime_s > used


def test_nobody_is_looked_for_twice_before_all_that_are_missing_have_had_their_turn() -> None:
    network = started(chain(1))
    care, now = network.care, network.wire.now
    names = [bytes((each,)) * 6 for each in (1, 2, 3)]
    for name in names:
        network.topology.node(name).state = NodeState.DOWN
    care._hunted = {names[0]: now - 4000.0, names[1]: now - 9000.0, names[2]: now - 5000.0}
    network.concentrator.tasks.start(care._hunt(now), now, name="hunt")
    network.touch()
    network.run(1.0)
    assert care._hunted[names[1]] >= now
    assert care._hunted[names[2]] < now


@pytest.mark.parametrize("surveyed", [[0.0, float("inf")], [None, 1], [1], "often", {}, [float("nan"), float("nan")]])
def test_what_is_damaged_in_the_journal_of_links_and_surveys_is_left_out(tmp_path: Path, surveyed: object) -> None:
    network = Network(levels_of(3, {(0, 1): GOOD_DB, (1, 2): GOOD_DB}), place=tmp_path / "journal.sqlite")
    network.until(network.all_up)
    network.care.end()
    key = f"node.{network.devices[1].unique_node_id.hex()}"
    network.journal.put(key, {**network.journal.get(key, {}), "surveyed": surveyed})
    links = network.journal.get("links", [])
    network.journal.put("links", [["", 7, 0, 1.0, 1], ["zz", "", 0, 1.0, 1], [1], 5, *links])
    network.restart()
    assert network.devices[0].unique_node_id in network.topology.nodes
    assert len(network.topology.graph.halves()) == len(links)
    assert sum(event.what == "journal" for event in network.topology.events()) == 5
