"""Two devices of one name: the one with the good key is ours, whoever answers first, and the other is told of."""

from __future__ import annotations

from random import Random

import pytest

from osgp.concentrator.topology import NodeState, Standing
from osgp.crypto.keys import Key
from osgp.sim.pl_device import PowerLineDevice
from tests.concentrator.network import START, Network, levels_of

EVERYBODY = {(a, b): 30.0 for a in range(4) for b in range(a)}


class WithClone(Network):
    """Everybody hears everybody; the third device has the name of the second, and a key of its own."""

    def __init__(self, seed: int) -> None:
        super().__init__(levels_of(4, EVERYBODY), seed=seed)

    def _make(self, now: float) -> None:
        name = self.devices[1].unique_node_id
        if self.devices[2].unique_node_id != name:
            key = Key(Random(99).randbytes(16))
            self.devices[2] = PowerLineDevice("1ph", seed=self.seed, index=2, start=START, unique_node_id=name, umk=key)
        super()._make(now)

    def told(self) -> list[str]:
        return [notice.text for notice in self.journal.notices(kind="identity")]


def is_served(network: WithClone) -> bool:
    """The real device has keys and answers, the other has nothing."""
    node = network.node(1)
    return (
        node.state is NodeState.UP
        and node.standing is Standing.OURS
        and network.devices[1].node.security.address is not None
        and network.devices[2].node.security.address is None
    )


@pytest.mark.parametrize("seed", [1, 4])
def test_a_clone_that_is_there_from_the_beginning_keeps_nobody_from_being_commissioned(seed: int) -> None:
    network = WithClone(seed)
    network.run(3 * 3600.0)
    assert is_served(network)
    assert len(network.told()) == 1
    assert network.devices[2].node.validated == 0


def test_a_clone_that_comes_later_changes_nothing_and_is_told_of() -> None:
    network = WithClone(1)
    network.devices[2].power_off(network.wire.now)
    network.run(1800.0)
    generation = network.devices[1].node.security.ku_generation
    network.devices[2].power_on(network.wire.now)
    network.wire.touch(network.ports[2])
    network.run(4 * 3600.0)
    assert is_served(network)
    assert network.devices[1].node.security.ku_generation == generation
    [text] = network.told()
    assert "one says that it is new" in text


def test_a_street_without_clones_tells_of_none() -> None:
    network = Network(levels_of(4, EVERYBODY))
    network.run(8 * 3600.0)
    assert network.up() == 3
    assert not network.journal.notices(kind="identity")
