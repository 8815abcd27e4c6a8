"""Orders about one device: accept, remove, revoke; what they do to a street, and that they hold over a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from osgp.concentrator.orders import DEVICE_ORDERS, node_named, ordered
from osgp.concentrator.topology import NodeState, Standing
from osgp.wire.errors import ConfigError
from tests.concentrator.network import Network, chain, levels_of

NEAR = {(0, 1): 30.0, (0, 2): 30.0}


def order(network: Network, what: str, index: int) -> str:
    name = network.devices[index].unique_node_id.hex()
    text = ordered(network.care, {"do": what, "device": name}, network.wire.now)["text"]
    network.touch()
    return str(text)


def test_who_was_revoked_gets_nothing_any_more_and_all_others_another_broadcast_key(tmp_path: Path) -> None:
    network = Network(levels_of(3, NEAR), place=tmp_path / "journal.sqlite")
    network.until(network.all_up)
    lost = network.devices[0]
    assert "revoked" in order(network, "revoke", 0)
    network.run(900.0)
    assert [device.node.security.kb_generation for device in network.devices] == [1, 2]
    network.restart()
    # In an hour without us it answers probes again.
    network.until(lambda: lost.unique_node_id in network.topology.strangers, 9 * 3600.0)
    network.run(1800.0)
    assert network.topology.strangers[lost.unique_node_id][1] is Standing.REVOKED
    assert lost.unique_node_id not in network.topology.nodes
    assert lost.node.security.kb_generation == 1
    assert network.journal.notices(kind="order")[-1].severity == "warning"


def test_who_was_revoked_by_mistake_is_taken_on_again_by_order() -> None:
    network = Network(levels_of(3, NEAR))
    network.until(network.all_up)
    order(network, "revoke", 0)
    network.run(9 * 3600.0)
    order(network, "accept", 0)
    network.until(network.all_up)
    assert network.devices[0].node.security.kb_generation == 2


def test_a_device_that_was_reset_is_taken_on_again_by_order() -> None:
    network = Network(chain(1))
    network.until(network.all_up)
    device = network.devices[0]
    device.node.security.forget_sets()
    device.power_off(network.wire.now)
    network.run(1.0)
    device.power_on(network.wire.now)
    network.until(lambda: network.node(0).standing is Standing.WENT_BACK, 12 * 3600.0)
    order(network, "accept", 0)
    network.until(network.all_up, 8 * 3600.0)


def test_a_device_that_was_removed_and_is_gone_stays_away() -> None:
    network = Network(levels_of(3, NEAR))
    network.until(network.all_up)
    network.devices[0].power_off(network.wire.now)
    order(network, "remove", 0)
    network.run(2 * 3600.0)
    assert [network.state(index) for index in (0, 1)] == [NodeState.UNKNOWN, NodeState.UP]


def test_a_device_is_named_by_its_id_or_its_number() -> None:
    network = Network(chain(1))
    network.until(network.all_up)
    name = network.devices[0].unique_node_id
    number = network.node(0).device
    assert {node_named(network.care, given) for given in (name.hex(), name.hex().upper(), number, str(number))} == {
        name
    }
    for given in ("050000000000", "99", 99, "zz", None, 1.5, "", []):
        for what in DEVICE_ORDERS:
            with pytest.raises(ConfigError, match="no device"):
                ordered(network.care, {"do": what, "device": given}, network.wire.now)
