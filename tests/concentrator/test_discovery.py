"""Discovery on virtual time with real devices: ring by ring, collisions, carriers, links both ways, forgers, the budget."""

from __future__ import annotations

import itertools

import pytest

from osgp.app.messages import Here
from osgp.concentrator.discovery import DiscoveryPolicy, Sweep
from osgp.concentrator.routes import ROOT, Step
from osgp.concentrator.topology import NodeState, Standing
from osgp.lon.address import SubnetNode
from osgp.lon.ltep import Service
from osgp.lon.transport import Options
from osgp.node.atm import hash_of
from tests.concentrator.network import Network, chain, levels_of


def test_a_line_of_eight_in_which_each_hears_only_its_neighbours_is_found_ring_by_ring() -> None:
    network = Network(chain(8))
    network.until(network.all_up)
    assert [network.legs(index) for index in range(8)] == [1, 2, 3, 4, 5, 6, 7, 8]
    ups = [event.unique_node_id for event in network.topology.events() if event.what == "up"]
    assert ups == [device.unique_node_id for device in network.devices], "outward, each once"
    assert [network.node(index).address for index in range(8)] == [SubnetNode(1, 2 + n) for n in range(8)]
    for device in network.devices:
        assert device.node.security.address is not None


def test_nine_in_a_line_are_one_too_many_for_eight_legs() -> None:
    network = Network(chain(9))
    network.until(lambda: network.up() == 8)
    network.run(600.0)
    assert network.state(8) is NodeState.HEARD
    assert network.concentrator.peers.get(network.node(8).device) is None


def test_thirty_that_all_hear_each_other_are_told_apart_in_spite_of_collisions() -> None:
    network = Network(levels_of(31, {(a, b): 30.0 for a in range(31) for b in range(a)}))
    network.until(network.all_up)
    assert len({network.node(index).address for index in range(30)}) == 30
    network.run(3600.0)
    assert {network.legs(index) for index in range(30)} == {1}, "also those whose first answer was heard by another"


def test_more_than_sixteen_around_one_agent_are_all_found() -> None:
    links = {(0, 1): 30.0, **{(1, outer): 30.0 for outer in range(2, 26)}}
    network = Network(levels_of(26, links))
    network.until(network.all_up)
    assert {network.legs(index) for index in range(1, 25)} == {2}


def test_answers_that_collide_halve_the_ranges() -> None:
    """Twenty that do not hear each other answer in eight slots."""
    network = Network(levels_of(21, {(0, outer): 30.0 for outer in range(1, 21)}))
    network.until(network.all_up)
    assert network.topology.graph.repeaters == {device.unique_node_id for device in network.devices}
    assert network.care.discovery._ranges[ROOT, False] > 1


@pytest.mark.parametrize("pairs", [1, 3])
def test_two_behind_one_repeater_that_never_hear_each_other_are_both_found(pairs: int) -> None:
    """The hashes of these neighbours in the street differ by 5950 in every round: with eight slots they always answer at once."""
    first, second = (device.unique_node_id for device in Network(chain(3)).devices[1:])
    assert (hash_of(first, 7) ^ hash_of(second, 7)) == (hash_of(first, 8) ^ hash_of(second, 8)) == 0x5950
    links = {(0, 1): 30.0, **{(1, outer): 30.0 for outer in range(2, 2 + 2 * pairs)}}
    network = Network(levels_of(2 + 2 * pairs, links))
    network.until(network.all_up, 1200.0)
    assert {network.legs(index) for index in range(1, 1 + 2 * pairs)} == {2}


def test_an_agent_whose_line_is_only_loud_is_not_asked_without_end() -> None:
    """One frame is lost at it in every round, and nobody is there: three probes, not sixty-three."""
    network = Network(chain(1))
    network.until(network.all_up)
    damaged = itertools.count()
    network.devices[0].node.agent._damaged = lambda: next(damaged)
    results: list[Sweep] = []

    async def sweep() -> None:
        results.append(await network.care.discovery.sweep(network.devices[0].unique_node_id))

    network.concentrator.tasks.start(sweep(), network.wire.now)
    network.touch()
    network.run(300.0)
    (result,) = results
    assert (result.probes, result.heard, result.ranges) == (3, 0, 1)


def test_after_a_while_links_are_known_both_ways_and_ways_have_backups() -> None:
    """Two repeaters lead to the third device; nobody asked for that while all was well."""
    network = Network(levels_of(4, {(0, 1): 30.0, (0, 2): 30.0, (1, 3): 30.0, (2, 3): 30.0, (1, 2): 30.0}))
    network.until(network.all_up)
    network.run(1800.0)
    third = network.devices[2].unique_node_id
    first, backup = (network.topology.ways.path(third, attempt, network.wire.now) for attempt in (0, 1))
    assert first is not None
    assert backup is not None
    assert {first[0].node, backup[0].node} == {device.unique_node_id for device in network.devices[:2]}
    for a, b in ((1, 3), (2, 3), (1, 2)):
        names = [network.devices[n - 1].unique_node_id for n in (a, b)]
        half = network.topology.graph.half(names[0], names[1])
        assert half is not None
        assert half.proven


def test_a_link_that_is_good_in_one_direction_only_carries_no_way() -> None:
    """The far device hears the concentrator well, but not the other way round: its way leads over the near one."""
    network = Network(levels_of(3, {(0, 1): 30.0, (1, 2): 30.0, (0, 2): 30.0, (2, 0): 4.0}))
    network.until(network.all_up)
    assert network.legs(1) == 2


def test_a_link_probe_tells_how_a_neighbour_hears_and_attenuated_that_there_is_margin() -> None:
    network = Network(chain(2, good_db=20.0))
    network.until(network.all_up)
    first, second = network.node(0), network.node(1)
    graph = network.topology.graph
    graph.forget(second.unique_node_id)
    graph.hear(ROOT, first.unique_node_id, 20.0, network.wire.now, proven=True)
    answers: list[float | None] = []

    async def ask(attenuated: bool) -> None:
        answers.append(
            await network.care.discovery.probe_link(first, Step(second.unique_node_id), attenuated=attenuated)
        )
        half = graph.half(second.unique_node_id, first.unique_node_id)
        answers.append(half.margin_db if half is not None else None)

    for attenuated in (False, True):
        network.concentrator.tasks.start(ask(attenuated), network.wire.now)
        network.touch()
        network.run(30.0)
    assert answers == [True, 18.0, True, 12.0], "the register has steps of 3 dB; an attenuated answer proves 12"
    network.devices[1].power_off(network.wire.now)
    network.concentrator.tasks.start(ask(False), network.wire.now)
    network.touch()
    network.run(60.0)
    assert answers[4] is False


def test_the_alternate_carrier_is_looked_at_too() -> None:
    levels = chain(1)
    levels.ec_n0_db[0][0][1] = levels.ec_n0_db[0][1][0] = 8.0  # type: ignore[index]  # lists here
    network = Network(levels)
    network.until(network.all_up)
    network.run(1800.0)
    (step,) = network.topology.ways.path(network.devices[0].unique_node_id, 0, network.wire.now) or ()
    assert step.alternate, "the primary carrier is poor"


def test_probes_keep_to_their_share_of_the_channel() -> None:
    policy = DiscoveryPolicy(window_s=200.0, again_s=10.0, register_s=10.0)
    network = Network(chain(2), discovery=policy)
    network.run(3 * 3600.0)
    budget = network.care.discovery.budget
    assert budget.total.exchanges > 50
    assert budget.total.airtime_s <= 0.05 * (3 * 3600.0 + 200.0) + 5.0


def test_forged_answers_make_candidates_and_nothing_else() -> None:
    """A device that is on the line already tells lies: of strangers, of a device that nobody has, of one that is far away."""
    network = Network(chain(3), keyed=lambda index: index != 2)
    network.until(lambda: network.up() == 2)
    liar = network.devices[0]
    before = dict(network.topology.ways.in_use())
    ghost, far = bytes.fromhex("0500EEEEEEEE"), network.devices[1].unique_node_id
    network.keys.grants[ghost] = network.grant(liar)
    discovery = network.care.discovery
    discovery._own_round = (discovery._round, False)
    for name in (ghost, far, bytes.fromhex("0500DDDDDDDD")):
        here = Here(
            round=discovery._round, unique_node_id=name, strength=0, margin=39, phase=1, state=0, program_id=bytes(8)
        ).encode()
        liar.stack.send(SubnetNode(1, 1), here, network.wire.now, Options(), service=Service.UNACKD)
        network.wire.touch(network.ports[0])
        network.run(1.0)
    for answer in list(discovery._own.values()):
        network.care._found(answer, ROOT, False, network.wire.now)
    network.run(900.0)
    assert network.topology.nodes[ghost].state is NodeState.HEARD, "it never answers"
    assert network.topology.nodes[ghost].failures > 1
    assert network.topology.nodes[ghost].address is None
    assert bytes.fromhex("0500DDDDDDDD") in network.topology.strangers
    assert bytes.fromhex("0500DDDDDDDD") not in network.topology.nodes
    assert network.state(1) is NodeState.UP
    assert network.topology.ways.in_use()[far] == before[far], "a claim changes no way"


def test_answers_of_another_round_are_not_heard_of() -> None:
    network = Network(chain(1))
    network.until(network.all_up)
    discovery = network.care.discovery
    here = Here(
        round=(discovery._round + 7) & 0xFFFF,
        unique_node_id=bytes.fromhex("0500DDDDDDDD"),
        strength=0,
        margin=39,
        phase=1,
        state=0,
        program_id=bytes(8),
    ).encode()
    network.devices[0].stack.send(SubnetNode(1, 1), here, network.wire.now, Options(), service=Service.UNACKD)
    network.wire.touch(network.ports[0])
    network.run(60.0)
    assert not network.topology.strangers


def test_a_flood_of_names_stays_bounded() -> None:
    network = Network(chain(1))
    network.until(network.all_up)
    for number in range(3000):
        network.topology.stranger(number.to_bytes(6, "big"), Standing.NO_KEY, 0.0)
        network.topology.heard_of((1 << 40 | number).to_bytes(6, "big"), 0.0)
    assert len(network.topology.strangers) == 256
    assert len(network.topology.nodes) <= 1025


def test_phases_are_told_as_far_as_receivers_can_tell() -> None:
    network = Network(chain(3), phases=lambda index: (1, 1, 2, 3)[index])
    network.until(network.all_up)
    assert network.node(2).phase.found is None, "one vote is none"
    network.run(2 * 3600.0)
    found = [network.node(index).phase.found for index in range(3)]
    assert [each and (each.phase, each.inverted) for each in found] == [(1, False), (2, False), (3, False)]
