"""Forged alerts: what they can cost a concentrator, and that the alerts of others get through all the while."""

from __future__ import annotations

from random import Random

from osgp.concentrator.alert_gate import AlertGate
from osgp.lon.address import SubnetNode
from osgp.lon.events import MessageReceived
from osgp.lon.ltep import Service
from osgp.lon.proxy import Hop
from osgp.lon.transport import Options
from tests.concentrator.network import DOMAIN, Network, chain, levels_of


def test_one_address_takes_its_own_failures_and_those_of_all_and_leaves_others_theirs() -> None:
    gate = AlertGate()
    forger, other = SubnetNode(1, 2), SubnetNode(1, 3)
    looked_at = 0
    while gate.is_open(forger, 0.0):
        gate.failed(forger, 0.0)
        looked_at += 1
    assert looked_at == 44
    for _ in range(4):
        assert gate.is_open(other, 0.0)
        gate.failed(other, 0.0)
    assert not gate.is_open(other, 0.0)


def test_failures_are_forgotten_with_time() -> None:
    gate = AlertGate()
    sources = [SubnetNode(1, node) for node in range(1, 101)]
    looked_at = 0
    for second in range(3600):
        for source in sources:
            if gate.is_open(source, float(second)):
                gate.failed(source, float(second))
                looked_at += 1
    assert looked_at <= 40 + 3600 / 2 + len(sources) * (4 + 3600 / 30)
    assert gate.is_open(sources[0], 7200.0)


def test_addresses_without_end_are_not_kept() -> None:
    gate = AlertGate()
    for number in range(5000):
        gate.failed(SubnetNode(1 + number // 127, 1 + number % 127), 0.0)
    assert len(gate) <= 1024


def forge(network: Network, source: SubnetNode, apdu: bytes) -> None:
    """An alert in the name of ``source``, as the concentrator's stack would hand it on."""
    event = MessageReceived(source, DOMAIN, SubnetNode(1, 1), Service.ACKD, False, False, apdu)
    assert network.concentrator._take_alert(event, network.wire.now)


def test_a_flood_in_the_name_of_one_repeater_costs_little_and_shuts_out_nobody_else() -> None:
    links = {(0, 1): 30.0, (0, 2): 30.0, (1, 3): 30.0, (2, 4): 30.0, (1, 2): 30.0}
    network = Network(levels_of(5, links))
    network.until(network.all_up)
    network.run(600.0)
    chance = Random(1)
    flooded = network.node(0).address
    assert flooded is not None
    security = network.care.commissioner.security(network.node(0))
    assert security is not None
    uses = security.uses
    for _ in range(2000):
        forge(network, flooded, b"\x14" + chance.randbytes(40))
    assert security.uses - uses < 60
    assert network.concentrator.status()["alerts_unseen"] > 1900
    assert len(network.journal.notices(kind="forged alerts")) == 1
    network.devices[3].meter.log("disconnect_opened")
    network.wire.touch(network.ports[3])
    network.run(30.0)
    assert [notice.device for notice in network.journal.notices(kind="alert")] == [network.node(3).device]


def test_alerts_of_the_flooded_repeater_itself_are_heard_again_soon() -> None:
    network = Network(chain(2))
    network.until(network.all_up)
    network.run(600.0)
    source = network.node(0).address
    assert source is not None
    for _ in range(200):
        forge(network, source, b"\x14" + bytes(40))
    network.run(60.0)
    network.devices[1].meter.log("disconnect_opened")
    network.wire.touch(network.ports[1])
    network.run(30.0)
    assert [notice.device for notice in network.journal.notices(kind="alert")] == [network.node(1).device]


def test_nobody_takes_a_concentrator_off_the_line_by_network_management() -> None:
    network = Network(chain(1))
    network.until(network.all_up)
    configuration = network.concentrator.stack.configuration
    before = configuration.memberships(), configuration.state, list(configuration.addresses)
    for order in (b"\x6c\0", b"\x6c\2", b"\x6c\3\2", b"\x63\0" + bytes(15), b"\x64\0", b"\x62\1", b"\x66\0" + bytes(5)):
        network.devices[0].stack.send(SubnetNode(1, 1), order, network.wire.now, Options(), service=Service.UNACKD)
        network.wire.touch(network.ports[0])
        network.run(5.0)
    assert configuration.online
    assert (configuration.memberships(), configuration.state, configuration.addresses) == before
    network.run(3600.0)
    assert network.up() == 1


def test_a_chain_that_names_the_concentrator_as_repeater_holds_nothing_up() -> None:
    """A chain to nobody with many repeats would keep the only transaction of its stack busy for a minute, again and again."""
    network = Network(chain(1))
    network.until(network.all_up)
    network.run(60.0)
    said: list[bytes] = []
    network.wire.tap(lambda now, port, lpdu: said.append(lpdu) if port is network.port else None)
    network.devices[0].stack.request_via([Hop(1, 1)], SubnetNode(1, 99), b"\x57", network.wire.now)
    network.wire.touch(network.ports[0])
    network.run(10.0)
    assert not [lpdu for lpdu in said if bytes((1, 0x80 | 99)) in lpdu]
    assert network.concentrator.stack.transport.deadline() is None
