"""Commissioning with real devices: keys, addresses, wrong keys, resets, limits, renewal, broadcast keys, the window, restarts."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

from osgp.app.aes import device_keys
from osgp.app.messages import KeyUpdate, KeyUpdateKind
from osgp.app.suite import Address
from osgp.concentrator.commission import Grant, KeyTable, NotGranted
from osgp.concentrator.topology import NodeState, Standing
from osgp.crypto.keys import Key
from osgp.lon.address import SubnetNode
from osgp.tables.et.et04 import ET04
from osgp.wire.errors import ConfigError
from tests.concentrator.network import DOMAIN, NC, PROFILE, START, Network, chain, levels_of

DAY = 86400.0
FCM_CHALLENGE = b"\x18\x01"


def challenges(network: Network) -> Counter[bytes]:
    """Challenges on the line from now on, by the device that they are for."""
    found: Counter[bytes] = Counter()

    def tap(now: float, port: Any, lpdu: bytes) -> None:
        place = lpdu.find(FCM_CHALLENGE)
        if port is network.port and place > 0:
            found[lpdu[place:]] += 1

    network.wire.tap(tap)
    return found


def notices(network: Network, kind: str) -> list[str]:
    return [each.text for each in network.journal.notices(kind=kind)]


# ---- keys -----------------------------------------------------------------------------------------------------------
def test_a_device_gets_keys_an_address_the_broadcast_key_and_a_window() -> None:
    network = Network(chain(1))
    network.until(network.all_up)
    security = network.devices[0].node.security
    assert security.address == Address(DOMAIN, 1, 2)
    assert security.concentrator_id == NC
    assert (security.ku_generation, security.kb_generation) == (1, network.sender.generation)
    assert security.window == (network.sender.counter, network.care.commissioner.policy.window)
    (row,) = network.journal.devices()
    assert (row.name, row.key, row.subnet, row.node) == (network.devices[0].serial, "vault", 1, 2)


def test_a_device_without_a_key_is_a_stranger_and_costs_no_exchange() -> None:
    network = Network(chain(1), keyed=lambda index: False)
    found = challenges(network)
    network.run(3600.0)
    assert dict(network.topology.strangers)[network.devices[0].unique_node_id][1] is Standing.NO_KEY
    assert not found
    assert not network.topology.nodes


def test_a_key_that_comes_later_is_used_when_the_device_is_heard_again() -> None:
    network = Network(chain(1), keyed=lambda index: False)
    network.run(600.0)
    device = network.devices[0]
    network.keys.grants[device.unique_node_id] = network.grant(device)
    network.until(network.all_up, 8 * 3600.0)


def test_a_device_of_another_concentrator_is_left_alone() -> None:
    network = Network(chain(1), keyed=lambda index: False)
    network.keys.foreign = frozenset((network.devices[0].unique_node_id,))
    network.run(3600.0)
    assert dict(network.topology.strangers)[network.devices[0].unique_node_id][1] is Standing.FOREIGN


def test_a_wrong_key_is_found_out_and_asked_less_and_less() -> None:
    network = Network(chain(2), keyed=lambda index: True)
    wrong = network.devices[1]
    network.keys.grants[wrong.unique_node_id] = network.grant(wrong, umk=Key(bytes(range(100, 116))))
    found = challenges(network)
    network.until(lambda: network.up() == 1)
    network.run(600.0)
    node = network.node(1)
    assert (node.state, node.standing) == (NodeState.HEARD, Standing.WRONG_KEY)
    assert node.address is None
    assert len(notices(network, "commissioning")) == 1
    network.run(2 * DAY)
    assert 10 <= len(found) <= 18, "two days: after an hour, two, four …, twice each time, four times at first"
    usage = network.concentrator.account.by_class["commission"]
    assert usage.airtime_s < 0.001 * network.wire.now
    assert network.state(0) is NodeState.UP


def test_the_right_key_later_ends_the_quarantine() -> None:
    network = Network(chain(1))
    device = network.devices[0]
    network.keys.grants[device.unique_node_id] = network.grant(device, umk=Key(bytes(range(100, 116))))
    network.run(600.0)
    assert network.node(0).standing is Standing.WRONG_KEY
    network.care.commissioner._securities.clear()
    network.keys.grants[device.unique_node_id] = network.grant(device)
    network.until(network.all_up, 3 * 3600.0)
    assert network.node(0).standing is Standing.OURS


def test_a_silent_device_is_not_asked_more_often_in_a_day_than_it_bears() -> None:
    network = Network(chain(1))
    device = network.devices[0]
    policy = replace(network.care.commissioner.policy, retry_most_s=60.0, fcm_per_day=20)
    network.care.commissioner.policy = policy
    network.until(lambda: network.state(0) is NodeState.CHALLENGED, 60.0)
    device.power_off(network.wire.now)
    network.run(12 * 3600.0)
    assert 20 <= network.node(0).fcm[1] <= 20 + 2 * 4
    assert "today" in network.node(0).reason
    device.power_on(network.wire.now)
    network.until(network.all_up, DAY)


# ---- generations and epochs -----------------------------------------------------------------------------------------
def reset(network: Network, index: int) -> None:
    """The device has lost its keys: "Force Neuron config"."""
    network.devices[index].node.security.forget_sets()
    network.devices[index].power_off(network.wire.now)
    network.run(1.0)
    network.devices[index].power_on(network.wire.now)


def test_a_generation_below_the_record_is_reported_and_goes_on_only_by_order() -> None:
    network = Network(chain(1))
    network.until(network.all_up)
    reset(network, 0)
    network.run(12 * 3600.0)
    node = network.node(0)
    assert (node.state, node.standing) == (NodeState.HEARD, Standing.WENT_BACK)
    assert len(notices(network, "generation")) == 1
    assert network.devices[0].node.security.address is None
    network.care.order_generation(node.unique_node_id, network.wire.now)
    network.touch()
    network.until(lambda: network.devices[0].node.security.address is not None, 8 * 3600.0)


def test_an_order_for_an_unknown_device_is_refused() -> None:
    network = Network(chain(1), keyed=lambda index: False)
    with pytest.raises(ConfigError):
        network.care.order_generation(bytes(6), 0.0)


def test_a_new_epoch_of_a_grant_goes_in_force_with_the_next_handshake() -> None:
    network = Network(chain(1))
    network.until(network.all_up)
    device = network.devices[0]
    network.keys.grants[device.unique_node_id] = network.grant(device, epoch=5)
    network.node(0).moves = True
    network.touch()
    network.until(lambda: device.node.security.epoch == 5, 600.0)
    assert device.node.security.ku_generation == 2


def test_another_epoch_is_taken_at_once_and_told_so_that_the_old_umk_can_go() -> None:
    network = Network(chain(1))
    network.until(network.all_up)
    device = network.devices[0]
    other = Key(bytes(range(40, 56)))
    network.keys.grants[device.unique_node_id] = network.grant(device, epoch=2, umk=other)
    network.run(1800.0)
    assert network.state(0) is NodeState.UP, "the device has not got its new UMK yet: the old keys go on"
    assert not notices(network, "epoch")
    wrapped = aes_key_wrap(device_keys(device.umk, device.unique_node_id, PROFILE).kek.secret(), other.secret())
    update = KeyUpdate(kind=KeyUpdateKind.UMK, slot=0, generation=2, wrap=1, key=wrapped)
    assert device.node.security.update_key(update.encode(), network.wire.now) == ""
    network.until(lambda: device.node.security.epoch == 2, 7 * 3600.0)
    network.run(60.0)
    (text,) = notices(network, "epoch")
    assert "epoch 2" in text
    assert network.state(0) is NodeState.UP


def test_a_device_that_has_other_keys_than_ours_is_commissioned_anew_in_the_end() -> None:
    """It answers probes, and nothing under our key: its set was replaced on the spot."""
    network = Network(chain(1))
    network.until(network.all_up)
    device = network.devices[0]
    other = replace(key_set_of(network), ku=Key(bytes(range(200, 216))), ku_generation=2)
    device.provision(other)
    network.until(lambda: network.state(0) is NodeState.DOWN, 2 * 3600.0)
    network.until(network.all_up, DAY)
    assert device.node.security.ku_generation == 3


# ---- renewal --------------------------------------------------------------------------------------------------------
def test_unicast_keys_are_renewed_after_ninety_days_while_visits_go_on() -> None:
    network = Network(chain(2))
    network.until(network.all_up)
    for index in range(2):
        network.node(index).keyed_wall -= 90 * DAY
    network.run(600.0)
    assert [device.node.security.ku_generation for device in network.devices] == [2, 2]
    assert [network.state(index) for index in range(2)] == [NodeState.UP] * 2
    assert [network.node(index).address for index in range(2)] == [SubnetNode(1, 2), SubnetNode(1, 3)]


def test_a_broadcast_key_is_handed_out_in_two_phases() -> None:
    network = Network(chain(2))
    network.until(network.all_up)
    network.care.keys.kb_wall -= 90 * DAY
    network.until(lambda: network.sender.generation == 2, 1200.0)
    securities = [device.node.security for device in network.devices]
    assert [each.kb_generation for each in securities] == [1, 1], "the old one until the first broadcast"
    assert network.care.keys.kb_wall > START
    broadcast(network)
    assert [each.kb_generation for each in securities] == [2, 2]


def broadcast(network: Network) -> None:
    """A group of nobody's is accepted by the security of everybody, and does nothing."""
    task = network.concentrator.tasks.start(
        network.concentrator.broadcast(bytes.fromhex("4000070004 0a000501"), (), 1),  # type: ignore[arg-type]  # a class
        network.wire.now,
    )
    network.touch()
    network.run(30.0)
    assert task.is_done


def test_who_missed_the_new_key_gets_it_when_he_is_back() -> None:
    network = Network(levels_of(3, {(0, 1): 30.0, (0, 2): 30.0}))
    network.until(network.all_up)
    network.devices[1].power_off(network.wire.now)
    network.run(3000.0)
    assert network.state(1) is NodeState.DOWN
    network.care.keys.kb_wall -= 90 * DAY
    network.until(lambda: network.sender.generation == 2, 2 * DAY)
    network.devices[1].power_on(network.wire.now)
    network.until(lambda: network.devices[1].node.security.kb_generation == 2, 8 * 3600.0)


def test_after_a_device_was_lost_all_others_have_another_broadcast_key_at_once() -> None:
    network = Network(levels_of(4, {(0, 1): 30.0, (0, 2): 30.0, (2, 3): 30.0}))
    network.until(network.all_up)
    network.care.keys.revoke(network.devices[0].unique_node_id)
    network.touch()
    network.run(900.0)
    assert [device.node.security.kb_generation for device in network.devices] == [1, 2, 2]
    assert network.devices[0].unique_node_id not in network.topology.nodes


def test_the_window_rises_every_day_above_all_that_was_sent() -> None:
    network = Network(chain(1))
    network.until(network.all_up)
    security = network.devices[0].node.security
    first = security.window
    broadcast(network)
    network.run(1.2 * DAY)
    assert security.window[0] == network.sender.counter > first[0]
    assert network.devices[0].meter.image.get(ET04, "broadcast_base") == network.sender.counter


# ---- addresses ------------------------------------------------------------------------------------------------------
def test_a_newcomer_with_an_address_of_ours_gets_another() -> None:
    """It was commissioned by a concentrator that lost its journal; its key source knows the device."""
    network = Network(levels_of(3, {(0, 1): 30.0, (0, 2): 30.0}), keyed=lambda index: index == 0)
    network.until(lambda: network.up() == 1)
    first, second = network.devices
    other = Network(levels_of(2, {(0, 1): 30.0}), seed=9)
    other.until(other.all_up)
    second.provision(replace(key_set_of(other), address=Address(DOMAIN, 1, 2)))
    assert first.node.security.address == second.node.security.address
    network.keys.grants[second.unique_node_id] = network.grant(second)
    network.until(lambda: network.up() == 2, 12 * 3600.0)
    assert first.node.security.address == Address(DOMAIN, 1, 2)
    assert second.node.security.address == Address(DOMAIN, 1, 3)


def key_set_of(other: Network) -> Any:
    """The set that the first device of another network has, as its concentrator keeps it."""
    security = other.care.commissioner.security(other.node(0))
    assert security is not None
    assert security._set is not None
    return security._set


def test_where_a_stranger_has_an_address_of_ours_our_device_moves() -> None:
    network = Network(levels_of(3, {(0, 1): 30.0, (0, 2): 30.0}), keyed=lambda index: index == 0)
    network.until(lambda: network.up() == 1)
    first, second = network.devices
    other = Network(levels_of(2, {(0, 1): 30.0}), seed=9)
    other.until(other.all_up)
    second.provision(replace(key_set_of(other), address=Address(DOMAIN, 1, 2)))
    network.until(lambda: network.node(0).address != SubnetNode(1, 2), 12 * 3600.0)
    network.run(60.0)
    assert first.node.security.address == Address(DOMAIN, 1, 3)
    assert network.state(0) is NodeState.UP
    assert SubnetNode(1, 2) in network.topology.blocked
    assert len(notices(network, "address")) == 1
    network.run(2 * DAY)
    assert network.node(0).address == SubnetNode(1, 3), "once is enough"


# ---- restarts -------------------------------------------------------------------------------------------------------
def test_a_concentrator_that_was_killed_goes_on_without_looking_again(tmp_path: Path) -> None:
    network = Network(chain(3), place=tmp_path / "journal.sqlite")
    network.until(network.all_up)
    network.run(1900.0)
    addresses = [network.node(index).address for index in range(3)]
    found = challenges(network)
    network.restart()
    assert [network.node(index).address for index in range(3)] == addresses
    assert [network.legs(index) for index in range(3)] == [1, 2, 3]
    network.until(network.all_up, 1200.0)
    assert not found, "nobody was commissioned again"
    assert network.care.discovery.probes == 0, "nobody was asked for"


@pytest.mark.parametrize("point", range(4, 60, 4))
def test_wherever_it_is_killed_the_street_comes_up(tmp_path: Path, point: int) -> None:
    network = Network(chain(2), place=tmp_path / "journal.sqlite")
    network.run(0.5 * point)
    network.restart()
    network.until(network.all_up, 4 * 3600.0)
    addresses = {str(network.node(index).address) for index in range(2)}
    assert len(addresses) == 2
    for index, device in enumerate(network.devices):
        place = device.node.security.address
        assert place is not None
        assert SubnetNode(place.subnet, place.node) == network.node(index).address


def test_counters_in_doubt_mean_new_keys_for_everybody(tmp_path: Path) -> None:
    network = Network(chain(2), place=tmp_path / "journal.sqlite")
    network.until(network.all_up)
    network.journal.put("counters in doubt", True)
    network.restart()
    network.until(lambda: not network.journal.counters_in_doubt, 4 * 3600.0)
    assert [device.node.security.ku_generation for device in network.devices] == [2, 2]
    assert [device.node.security.kb_generation for device in network.devices] == [2, 2]


def test_a_device_that_was_removed_is_known_no_more(tmp_path: Path) -> None:
    network = Network(chain(1), place=tmp_path / "journal.sqlite")
    network.until(network.all_up)
    name = network.devices[0].unique_node_id
    network.keys.grants.clear()
    network.care.remove(name)
    assert network.topology.by_address(SubnetNode(1, 2)) is None
    network.restart()
    network.run(60.0)
    assert name not in network.topology.nodes


def test_a_key_table_tells_no_keys() -> None:
    table = KeyTable({bytes(6): Grant(Key(bytes(range(16))), 1)})
    assert "0001" not in repr(table)
    assert table.grant(bytes(6), NC) is not NotGranted.NO_KEY
    assert "000102" not in repr(table.grant(bytes(6), NC))
