"""The network under way: states, dead repeaters, silence and return, static ways, addresses, what is told, what a cold start costs."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from osgp.app.messages import ReverseRoute
from osgp.concentrator.accounts import LineCosts
from osgp.concentrator.cold_start import EACH_S, LATE_S, LINE_SHARE, MOST_S
from osgp.concentrator.journal import Journal
from osgp.concentrator.phase import OWN, PhaseVotes, steps_after
from osgp.concentrator.routes import ROOT, Step
from osgp.concentrator.routes import Path as Way
from osgp.concentrator.schedule import Duty
from osgp.concentrator.topology import NodeState, Standing, Topology
from osgp.lon.address import SubnetNode
from osgp.node.osgp_tables import ALERT_ROUTE
from osgp.sim.medium import line_levels
from osgp.sim.pl_device import node_id_of
from osgp.wire.errors import ConfigError, StoreError
from tests.concentrator.network import DOMAIN, START, Network, chain, levels_of

DAY = 86400.0
DIAMOND = {(0, 1): 30.0, (0, 2): 30.0, (1, 3): 30.0, (2, 3): 30.0, (1, 2): 30.0}


# ---- healing --------------------------------------------------------------------------------------------------------
def way_of(network: Network, index: int) -> list[bytes]:
    path = network.topology.ways.path(network.devices[index].unique_node_id, 0, network.wire.now)
    return [] if path is None else [step.node for step in path]


def test_a_dead_repeater_is_healed_by_the_backup() -> None:
    network = Network(levels_of(4, DIAMOND))
    network.until(network.all_up)
    network.run(1800.0)
    before = way_of(network, 2)
    dead = next(n for n in range(2) if network.devices[n].unique_node_id == before[0])
    network.devices[dead].power_off(network.wire.now)
    killed = network.wire.now
    network.run(2 * 3600.0)
    assert way_of(network, 2) == [network.devices[1 - dead].unique_node_id, before[-1]]
    node = network.node(2)
    assert node.state is NodeState.UP
    assert node.answered_at is not None
    assert node.answered_at > killed + 900.0
    assert network.state(dead) is NodeState.DOWN
    heard = [event for event in network.topology.events() if event.what == "down"]
    assert [event.unique_node_id for event in heard] == [network.devices[dead].unique_node_id], (
        "nobody else fell silent"
    )


def test_a_device_that_comes_back_is_up_again_with_its_old_keys() -> None:
    network = Network(chain(2))
    network.until(network.all_up)
    device = network.devices[1]
    device.power_off(network.wire.now)
    network.until(lambda: network.state(1) is NodeState.DOWN, 2 * 3600.0)
    device.power_on(network.wire.now)
    network.until(lambda: network.state(1) is NodeState.UP, 3 * 3600.0)
    assert device.node.security.ku_generation == 1


def test_after_a_day_of_silence_a_device_is_lost_and_found_when_it_is_back() -> None:
    network = Network(chain(2))
    network.until(network.all_up)
    device = network.devices[1]
    device.power_off(network.wire.now)
    network.run(1.1 * DAY)
    assert network.state(1) is NodeState.LOST
    assert network.node(1).device not in network.concentrator.peers
    assert [each.text for each in network.journal.notices(kind="lost")] == [
        f"{device.serial} has not answered for a day"
    ]
    device.power_on(network.wire.now)
    network.until(network.all_up, 8 * 3600.0)
    assert network.node(1).device in network.concentrator.peers
    assert device.node.security.ku_generation == 1


def test_a_device_that_moved_is_found_by_others() -> None:
    """The way that was known is cut, another one was never heard of: it is hunted for by name."""
    network = Network(levels_of(4, {(0, 1): 30.0, (0, 2): 30.0, (1, 3): 30.0}))
    network.until(network.all_up)
    network.run(1800.0)
    table = network.wire.medium.levels.ec_n0_db  # type: ignore[union-attr]  # a medium of levels
    for carrier in table:
        carrier[1][3] = carrier[3][1] = float("-inf")
        carrier[2][3] = carrier[3][2] = 30.0
    network.wire.medium._ways.clear()  # type: ignore[union-attr]
    network.run(5 * 3600.0)
    assert network.state(2) is NodeState.UP
    assert way_of(network, 2)[0] == network.devices[1].unique_node_id


def test_a_street_without_supply_comes_back_without_new_keys() -> None:
    network = Network(chain(3))
    network.until(network.all_up)
    network.run(1800.0)
    for device in network.devices:
        device.power_off(network.wire.now)
    network.run(3600.0)
    assert {network.state(index) for index in range(3)} == {NodeState.DOWN}
    for device in network.devices:
        device.power_on(network.wire.now)
    network.until(network.all_up, 3 * 3600.0)
    assert [device.node.security.ku_generation for device in network.devices] == [1, 1, 1]


def test_availability_is_kept_in_slots_of_45_minutes() -> None:
    network = Network(chain(1))
    network.until(network.all_up)
    network.run(5 * 3600.0)
    assert network.node(0).slots == [1] * 6


@pytest.mark.parametrize("seed", [4, *(pytest.param(seed, marks=pytest.mark.long) for seed in (3, 8))])
def test_killed_twelve_times_while_devices_come_and_go_it_still_finds_everybody(tmp_path: Path, seed: int) -> None:
    chance = Random(seed)
    levels = line_levels(13, first_db=chance.choice([16.0, 20.0, 24.0]), step_db=chance.choice([4.0, 6.0, 8.0]))
    network = Network(levels, place=tmp_path / "journal.sqlite", seed=seed)
    for _ in range(12):
        network.run(chance.uniform(1.0, 400.0))
        network.restart()
        if chance.random() < 0.5:
            device = chance.choice(network.devices)
            device.power_off(network.wire.now)
            network.run(chance.uniform(1.0, 900.0))
            device.power_on(network.wire.now)
    network.until(network.all_up, 3 * 3600.0)
    addresses = [str(device.node.security.address) for device in network.devices]
    assert len(set(addresses)) == 12
    assert {str(network.node(index).address) for index in range(12)} == {
        f"{place.subnet}/{place.node}"
        for device in network.devices
        if (place := device.node.security.address) is not None
    }


# ---- ways back and to all -------------------------------------------------------------------------------------------
def test_each_device_is_told_its_way_back_for_alerts() -> None:
    network = Network(chain(3))
    network.until(network.all_up)
    network.run(600.0)
    route = ReverseRoute.decode(network.devices[2].meter.image.read(ALERT_ROUTE))
    assert [(hop.subnet, hop.hop.node) for hop in route.hops] == [(1, 3), (1, 2), (1, 1)]
    assert network.devices[2].node.alerts.legs


def test_while_others_are_looked_for_whoever_has_been_up_for_long_is_told_its_way() -> None:
    network = Network(chain(2))
    network.until(network.all_up)
    network.run(600.0)
    node, now = network.node(0), network.wire.now
    node.way_told, node.alerts = None, False
    network.care._tell_meanwhile(now)
    assert network.care._telling is None, "its way may still change"
    network.care._tell_meanwhile(now + 1800.0)
    network.touch()
    network.run(20.0)
    assert node.way_told is not None
    assert node.alerts


def test_the_line_is_for_reading_while_that_is_late_and_for_everybody_afterwards() -> None:
    network = Network(chain(2))
    network.until(network.all_up)
    network.run(1200.0)
    concentrator, start, now = network.concentrator, network.care.cold_start, network.wire.now
    share, probes = concentrator.config.airtime_share, network.care.discovery.policy.share
    assert concentrator.account.share == share
    concentrator.schedule.hurry(network.node(1).device, Duty.BILLING, now - LATE_S)
    start.look(now + 10.0)
    assert (start.is_late, start.is_on) == (True, False)
    assert concentrator.account.share == LINE_SHARE
    assert network.care.discovery.budget.share == probes
    network.touch()
    network.run(120.0)
    assert not start.is_late
    assert concentrator.account.share == share


def test_hundreds_may_take_longer_for_their_cold_start() -> None:
    network = Network(chain(2))
    network.until(network.all_up)
    network.run(1200.0)
    start, name = network.care.cold_start, network.node(1).unique_node_id
    network.node(1).asked_at.clear()
    start.look(MOST_S + 2 * EACH_S + 1.0)
    assert not start.is_on
    for number in range(100):
        network.topology.node(bytes((9, 9, 9, 9, 9, number)))
    start.look(MOST_S + 2 * EACH_S + 20.0)
    assert start.is_on, name.hex()


def test_an_alert_from_behind_repeaters_is_taken_as_its_senders() -> None:
    network = Network(chain(3))
    network.until(network.all_up)
    network.run(600.0)
    network.devices[2].meter.log("disconnect_opened")
    network.wire.touch(network.ports[2])
    network.run(30.0)
    [notice] = network.journal.notices(kind="alert")
    assert notice.device == network.node(2).device
    assert network.concentrator.alerts_refused == 0


def test_chains_for_broadcasts_reach_everybody() -> None:
    network = Network(levels_of(5, {(0, 1): 30.0, (1, 2): 30.0, (2, 3): 30.0, (0, 4): 30.0}))
    network.until(network.all_up)
    assert network.topology.chains()[0] == ()
    (through,) = network.topology.chains()[1:]
    places = [network.node(index).address for index in (0, 1)]
    assert [SubnetNode(hop.subnet, hop.node) for hop in through] == places, "and the shorter one is in it"


# ---- static ---------------------------------------------------------------------------------------------------------
def test_static_ways_are_used_as_they_were_written_down() -> None:
    ids = [node_id_of(1, index) for index in range(3)]
    static: dict[bytes, Way] = {
        ids[0]: (Step(ids[0]),),
        ids[1]: (Step(ids[0]), Step(ids[1])),
        ids[2]: (Step(ids[0]), Step(ids[1]), Step(ids[2])),
    }
    network = Network(levels_of(4, {(a, b): 30.0 for a in range(4) for b in range(a)}), static=static)
    network.until(network.all_up)
    network.run(3600.0)
    assert [network.legs(index) for index in range(3)] == [1, 2, 3], "though all are in earshot"
    assert network.care.discovery.probes == 0
    assert network.topology.status(network.wire.now)["mode"] == "static"


# ---- the machine ----------------------------------------------------------------------------------------------------
def test_what_is_no_topology_is_handed_on() -> None:
    network = Network(chain(1))
    network.until(network.all_up)
    found: list[bytes] = []

    def take(event: object, now: float) -> bool:
        found.append(getattr(event, "apdu", b""))
        return True

    network.care._message = take
    network.devices[0].stack.send(SubnetNode(1, 1), b"\x14alert", network.wire.now)
    network.wire.touch(network.ports[0])
    network.run(5.0)
    assert found == [b"\x14alert"]


def test_a_full_disk_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network(chain(2))
    network.run(1.0)

    def full(values: object) -> None:
        raise StoreError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(network.journal, "put_all", full)
        network.run(300.0)
        assert network.up() == 0
        assert any(event.what == "error" for event in network.topology.events())
    network.until(network.all_up, 3600.0)


def test_the_end_keeps_what_is_known(tmp_path: Path) -> None:
    network = Network(chain(2), place=tmp_path / "journal.sqlite")
    network.until(network.all_up)
    links = sorted(network.topology.graph.links())
    network.care.end()
    probes = network.care.discovery.probes
    network.run(DAY / 2)
    assert network.care.discovery.probes == probes
    network.restart()
    assert sorted(network.topology.graph.links()) == links


# ---- values ---------------------------------------------------------------------------------------------------------
def topology(journal: Journal | None = None) -> Topology:
    return Topology(journal or Journal(), wall=lambda at: START + at, domain=DOMAIN, place=SubnetNode(1, 1))


def test_addresses_are_given_once_and_our_own_never() -> None:
    one = topology()
    found = []
    for number in range(300):
        node = one.node(number.to_bytes(6, "big"))
        one.place_at(node, one.reserve())
        found.append(node.address)
    assert len(set(found)) == 300
    assert one.place not in found
    assert found[:2] == [SubnetNode(1, 2), SubnetNode(1, 3)]
    assert found[126] == SubnetNode(2, 1), "126 are in our own subnet"


def test_a_reserved_address_is_free_again_when_it_was_not_used() -> None:
    one = topology()
    first = one.reserve()
    assert one.reserve() != first
    one.release(first)
    assert one.reserve() == first
    one.block(SubnetNode(1, 4))
    assert one.reserve() == SubnetNode(1, 5)


def test_all_is_in_the_journal(tmp_path: Path) -> None:
    place = tmp_path / "journal.sqlite"
    network = Network(chain(3), place=place)
    network.until(network.all_up)
    network.run(2 * 3600.0)
    before = network.topology
    before.block(SubnetNode(1, 99))
    before.save(links=True)
    after = Topology(
        network.journal, wall=lambda at: START + at, now=network.wire.now, domain=DOMAIN, place=SubnetNode(1, 1)
    )
    assert set(after.nodes) == set(before.nodes)
    for name, node in before.nodes.items():
        again = after.nodes[name]
        assert (again.address, again.device, again.name) == (node.address, node.device, node.name)
        assert (again.keyed_wall, again.slots) == (node.keyed_wall, node.slots)
        assert again.asked_at == pytest.approx(node.asked_at, abs=0.2)
        assert again.state is NodeState.COMMISSIONED, "up when it has answered"
    assert dict(after.ways.in_use()) == dict(before.ways.in_use())
    assert sorted(after.graph.links()) == sorted(before.graph.links())
    assert after.blocked == {SubnetNode(1, 99)}


def test_what_the_journal_says_may_be_nonsense() -> None:
    journal = Journal()
    journal.put_all({"node.zz": {}, "node.050000000001": {"state": "nowhere"}, "node.05": 7, "links": 5, "asked": None})
    one = topology(journal)
    assert not one.nodes
    assert len(one.events()) == 3


def test_an_id_of_another_length_is_no_device() -> None:
    with pytest.raises(ConfigError):
        topology().node(b"12345")


def test_status_is_plain_data_and_holds_no_keys() -> None:
    network = Network(chain(2))
    network.until(network.all_up)
    network.run(1800.0)
    status = network.concentrator.status()["topology"]
    assert [node["state"] for node in status["nodes"]] == ["up", "up"]
    assert status["nodes"][1]["way"] == [device.unique_node_id.hex() for device in network.devices]
    assert {link["grade"] for link in status["links"]} == {4}
    assert not any("key" in name for node in status["nodes"] for name in node)


def test_states_fall_back_with_time_when_a_question_was_in_vain() -> None:
    one = topology()
    node = one.heard_of(bytes(6), 0.0)
    assert node is not None
    one.set_state(node, NodeState.UP, 0.0)
    node.answered_at = 0.0
    assert one.watch(2 * DAY) == [], "nobody has asked it"
    node.unanswered_at = 600.0
    assert one.watch(2699.0) == []
    assert one.watch(2700.0) == [node]
    one.watch(DAY)
    assert [event.what for event in one.events()] == ["heard", "up", "down", "lost"]


def test_only_devices_that_are_ours_pass_messages_on() -> None:
    one = topology()
    for number, state in enumerate(NodeState):
        one.set_state(one.node(bytes([number]) * 6), state, 0.0)
    names = {node.state for node in one.nodes.values() if node.unique_node_id in one.graph.repeaters}
    assert names == {NodeState.COMMISSIONED, NodeState.UP}
    for node in one.nodes.values():
        one.set_standing(node, Standing.WENT_BACK, "", 0.0)
    assert not one.graph.repeaters
    assert ROOT not in one.nodes


# ---- phases ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("own", "phase"), [(1, 1), (2, 2), (3, 3)])
def test_a_phase_is_told_by_two_votes(own: int, phase: int) -> None:
    votes = PhaseVotes()
    code = 1 + 2 * ((1 - own) % 3)
    votes.add(steps_after(OWN, code))
    assert votes.found is None
    votes.add(steps_after(OWN, code))
    assert votes.found == (phase, False, 1.0)


def test_exchanged_wires_are_seen_as_half_a_period() -> None:
    votes = PhaseVotes()
    for _ in range(3):
        votes.add(steps_after(OWN, 4))
    assert votes.found == (1, True, 1.0)


def test_votes_that_disagree_tell_nothing_and_a_moved_device_is_found_again() -> None:
    votes = PhaseVotes()
    for code in (1, 1, 3, 3):
        votes.add(steps_after(OWN, code))
    assert votes.found is None
    votes.add(steps_after(OWN, 0))
    assert sum(votes.votes) == 4
    for _ in range(300):
        votes.add(steps_after(OWN, 3))
    assert votes.found is not None
    assert votes.found.phase == 3


# ---- what it costs --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("count", [8, 20])
def test_a_cold_start_costs_little_more_than_its_handshakes(count: int) -> None:
    """Everybody in earshot: three exchanges for each, and what finding them takes."""
    network = Network(levels_of(count + 1, {(a, b): 30.0 for a in range(count + 1) for b in range(a)}))
    network.until(network.all_up)
    costs, usage = LineCosts(domain_bytes=3), network.concentrator.account.by_class
    handshake = costs.exchange_s(43, 61, 1) + costs.exchange_s(63, 19, 1)
    assert usage["commission"].exchanges <= 2 * count * 1.1
    assert usage["commission"].airtime_s <= 1.25 * handshake * count
    assert network.care.discovery.budget.total.airtime_s <= 0.5 * handshake * count + 2.0
