"""Old devices in a street: read by the broken suite and watched, never written without a flag, quarantined, led out of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from osgp.concentrator.config import Collection, ConcentratorConfig, Plan
from osgp.concentrator.legacy_care import LegacyGrant
from osgp.concentrator.orders import ordered
from osgp.concentrator.routes import Step
from osgp.concentrator.topology import NodeState, Standing
from osgp.crypto.keys import Key
from osgp.lon.address import SubnetNode
from osgp.node.atm import Agent
from osgp.sim.pl_device import node_id_of
from osgp.wire.errors import ConfigError
from tests.concentrator.network import Network, levels_of

PLACE = SubnetNode(2, 7)
NEAR = {(0, 1): 30.0, (0, 2): 30.0}
BEHIND = {(0, 1): 30.0, (1, 2): 30.0}
READING = ConcentratorConfig(
    collection=Collection(measurements=("fwd_active_energy",), profiles=(1,), logs=("BT74",)),
    plan=Plan(scan_s=900.0, billing_s=3600.0, profile_s=3600.0),
)


def grant(place: SubnetNode = PLACE, **more: Any) -> LegacyGrant:
    return LegacyGrant(Key(bytes.fromhex("0123456789ABCDEF01234567")), place, name="old meter", **more)


def street(links: dict[tuple[int, int], float] = NEAR, index: int = 0, **more: Any) -> Network:
    options = {"legacy": {index: grant()}, **more}
    return Network(levels_of(3, links), **options)


def notices(network: Network, kind: str) -> list[Any]:
    return network.journal.notices(kind=kind)


# ---- reading --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("encrypt", [False, True])
def test_an_old_meter_is_read_beside_the_others_and_that_it_is_old_is_told(encrypt: bool) -> None:
    network = street(legacy={0: grant(encrypt=encrypt)}, config=READING)
    network.until(network.all_up)
    network.run(2 * 3600.0)
    node = network.node(0)
    assert (node.address, node.name, node.legacy) == (PLACE, "old meter", True)
    assert network.journal.profiles(node.device), "its load profile is in the journal"
    assert network.journal.latest(node.device)
    (notice,) = notices(network, "legacy")
    assert (notice.severity, notice.device) == ("warning", node.device)
    assert network.devices[0].node.refused.total() == 0
    assert [each["suite"] for each in network.topology.status(0.0)["nodes"]] == ["legacy", "AES-128"]
    assert network.concentrator.status()["legacy"]["devices"] == 1


def test_an_old_meter_is_reached_through_others_and_passes_on_for_them() -> None:
    for index in (0, 1):
        network = street(BEHIND, index)
        network.until(network.all_up, 3 * 3600.0)
        assert network.legs(1) == 2
        assert network.node(index).legacy


def test_an_old_meter_that_answers_no_probe_is_reached_by_a_way_that_is_written_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old, near = node_id_of(1, 1), node_id_of(1, 0)
    ways = {near: (Step(near, False),), old: (Step(near, False), Step(old, False))}
    monkeypatch.setattr(Agent, "receive", lambda *given, **more: None)
    network = street(BEHIND, 1, static=ways)
    network.until(network.all_up)
    assert network.node(1).legacy
    assert network.legs(1) == 2


def test_without_its_entry_an_old_meter_is_a_stranger() -> None:
    network = street()
    network.legacy.clear()
    network.care.legacy.grants.clear()
    network.run(3600.0)
    assert network.devices[0].unique_node_id in network.topology.strangers


def test_a_wrong_omak_brings_nothing_and_we_do_not_drive_the_meter_into_quarantine() -> None:
    network = street()
    name = network.devices[0].unique_node_id
    network.care.legacy.grants[name] = LegacyGrant(Key(bytes.fromhex("FEDCBA98765432100F1E2D3C")), PLACE)
    network.care.legacy.peers[name] = network.care.legacy.peer_of(name)
    network.run(86400.0)
    assert network.up() == 1
    assert 0 < network.devices[0].node.refused["bad-digest"] < 20


# ---- writing --------------------------------------------------------------------------------------------------------
def job(network: Network, kind: str, parameters: dict[str, Any]) -> dict[str, Any]:
    number = network.node(0).device
    asked = network.concentrator.add_job(kind, [number], parameters, now=network.wire.now)
    network.touch()
    network.until(lambda: bool(network.concentrator.jobs.status(asked)[0]["state"] == "done"), 7200.0)
    return dict(network.concentrator.jobs.status(asked)[0]["results"][0])


def test_an_old_meter_takes_no_orders_and_hears_no_broadcast() -> None:
    network = street()
    network.until(network.all_up)
    before = network.devices[0].node.sequence
    for kind, parameters in (
        ("procedure", {"procedure": "BP10", "parameters": "00"}),
        ("write", {"table": "ET55", "offset": 15, "data": "7800"}),
        ("group", {"procedure": "EP02", "parameters": "0101", "verify": ["fwd_active_energy"]}),
    ):
        result = job(network, kind, parameters)
        assert result["state"] == "failed"
        assert "legacy suite" in result["detail"]["error"]
    assert network.devices[0].node.sequence == before


def test_with_the_second_flag_it_takes_orders_but_critical_ones_still_need_a_token() -> None:
    network = street(legacy={0: grant(writes=True)})
    network.until(network.all_up)
    assert job(network, "write", {"table": "ET55", "offset": 15, "data": "7800"})["state"] == "done"
    opened = job(network, "procedure", {"procedure": "EP02", "parameters": "0000"})
    assert (opened["state"], opened["detail"]["code"]) == ("refused", 5)
    assert network.devices[0].node.refused["token"] == 1


# ---- quarantine -----------------------------------------------------------------------------------------------------
def test_too_many_bad_answers_shut_it_out_until_it_is_released_over_a_restart_too(tmp_path: Path) -> None:
    network = street(place=tmp_path / "journal.sqlite")
    network.until(network.all_up)
    node, peer = network.node(0), network.care.legacy.peers[network.devices[0].unique_node_id]
    for number in range(25):
        peer.open_request = None
        sealed = peer.seal(bytes.fromhex("300003"), network.wire.now)
        peer.open(b"\0\4" + bytes(8), network.wire.now + 20.0 * number)
        assert sealed or number
        if peer.quarantined:
            break
    network.run(120.0)
    assert (node.state, node.standing) == (NodeState.HEARD, Standing.QUARANTINED)
    assert node.device not in network.concentrator.peers
    assert [each.severity for each in notices(network, "legacy quarantine")] == ["critical"]
    network.restart()
    network.run(2 * 3600.0)
    assert network.node(0).standing is Standing.QUARANTINED
    name = network.devices[0].unique_node_id.hex()
    ordered(network.care, {"do": "release", "device": name}, network.wire.now)
    network.touch()
    network.until(network.all_up, 2 * 3600.0)
    with pytest.raises(ConfigError, match="not in quarantine"):
        ordered(network.care, {"do": "release", "device": name}, network.wire.now)


# ---- out of it ------------------------------------------------------------------------------------------------------
def test_a_key_that_comes_leads_it_out_for_good_and_keeps_address_and_readings() -> None:
    network = street(config=READING)
    network.until(network.all_up)
    network.run(1800.0)
    number, device = network.node(0).device, network.devices[0]
    network.keys.grants[device.unique_node_id] = network.grant(device)
    network.touch()
    network.until(lambda: not network.node(0).legacy, 600.0)
    network.run(3600.0)
    assert (network.node(0).device, network.node(0).address, network.node(0).state) == (number, PLACE, NodeState.UP)
    assert device.node.mode == 2
    assert device.node.security.kb_generation == network.sender.generation
    assert [each.text.split(" ", 1)[1] for each in notices(network, "legacy")][-1] == "has left the legacy suite"


def test_who_has_a_key_from_the_beginning_is_never_asked_by_the_broken_suite() -> None:
    network = street()
    network.keys.grants[network.devices[0].unique_node_id] = network.grant(network.devices[0])
    network.until(network.all_up)
    assert not notices(network, "legacy")
    assert network.devices[0].node.mode == 2


def test_a_concentrator_that_was_killed_goes_on_reading_without_looking_again(tmp_path: Path) -> None:
    network = street(place=tmp_path / "journal.sqlite")
    network.until(network.all_up)
    network.restart()
    assert network.node(0).device in network.concentrator.peers
    network.run(3600.0)
    assert network.up() == 2
    assert len(notices(network, "legacy")) == 1


def test_an_outage_of_the_old_meter_ends_nothing() -> None:
    network = street()
    network.until(network.all_up)
    network.devices[0].power_off(network.wire.now)
    network.run(60.0)
    network.devices[0].power_on(network.wire.now)
    network.run(3600.0)
    assert network.up() == 2


# ---- what is written down -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("place", [SubnetNode(1, 1), SubnetNode(2, 9)])
def test_an_address_that_is_taken_and_a_published_key_are_refused(place: SubnetNode) -> None:
    with pytest.raises(ConfigError, match="address"):
        street(legacy={0: grant(place), 1: grant(SubnetNode(2, 9))})
    with pytest.raises(ConfigError, match="no secret"):
        street(legacy={0: LegacyGrant(Key(b"\xdf" * 12), PLACE)})


def test_its_address_is_given_to_nobody_else() -> None:
    network = street(legacy={0: grant(SubnetNode(1, 2))})
    network.until(network.all_up)
    assert network.node(1).address != SubnetNode(1, 2)
