"""Devices on a simulated line: cheap while idle, the same again from one seed, provisioned or commissioned, of every kind."""

from __future__ import annotations

from random import Random

import pytest

from osgp.app.suite import Address, KeySet
from osgp.crypto.keys import Key
from osgp.lon.proxy import Hop
from osgp.sim.device_kinds import KINDS
from osgp.sim.load_weather import Weather
from osgp.sim.pl_device import PowerLineDevice, lab_umk, node_id_of, serial_of
from osgp.sim.wire import Wire
from osgp.tables.registry import table_numbers
from osgp.tables.table import table_name
from tests.sim.pl_line import DOMAIN, NC, START, Line


def key_set(node: int) -> KeySet:
    key = Key(bytes(range(16)))
    return KeySet(1, NC, Address(DOMAIN, 1, node), key, 1, 1, key, 1, 1, 100)


def test_idle_devices_make_no_steps() -> None:
    wire = Wire(random=Random(1))
    weather = Weather(1)
    devices = [PowerLineDevice("load", index=index, start=START, weather=weather) for index in range(12)]
    for number, device in enumerate(devices):
        device.join(wire)
        device.provision(key_set(number + 2))
    assert wire.run(86_400.0) == 0
    assert all(device.node.deadline() is None for device in devices)
    assert all(device.meter.at == START for device in devices), "their meters live when they are asked"


def test_who_they_are_follows_from_seed_and_index_and_nobody_is_another() -> None:
    several = {(node_id_of(seed, index), serial_of(seed, index)) for seed in (1, 2) for index in range(200)}
    assert len({node_id for node_id, _ in several}) == len({serial for _, serial in several}) == 400
    assert lab_umk(1, node_id_of(1, 5)) == lab_umk(1, node_id_of(1, 5))
    assert lab_umk(1, node_id_of(1, 5)) != lab_umk(1, node_id_of(1, 6))
    assert lab_umk(1, node_id_of(1, 5)) != lab_umk(2, node_id_of(1, 5))


def test_the_same_seed_gives_the_same_bytes_on_the_line() -> None:
    def life(seed: int) -> list[bytes]:
        line = Line("1ph", "inverter", seed=seed)
        for asker in line.askers:
            asker.commission()
            asker.read("BT23")
        return [lpdu for _, _, lpdu in line.log]

    assert life(1) == life(1)
    assert life(1) != life(2)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_commissioned_and_read_whole(kind: str) -> None:
    line = Line(kind)
    (asker,) = line.askers
    asker.commission()
    image = asker.device.meter.image
    skipped = {64, 65, 66, 67, 26, 2079, 2089, 2064}  # long, and nothing new
    for number in (each for each in table_numbers() if each in image and each not in skipped):
        content = asker.read(table_name(number))
        assert len(content) == image.size(number), table_name(number)
    for name in ("UT16", "UT17", "UT18", "UT19", "UT20", "UT24"):
        asker.read(name)


def test_a_provisioned_device_takes_its_place_at_once() -> None:
    wire = Wire(random=Random(1))
    device = PowerLineDevice("1ph", start=START)
    port = device.join(wire)
    device.provision(key_set(9))
    assert device.stack.configuration.memberships()[0].node == 9
    assert port.interests.memberships == ((DOMAIN, 1, 9),)
    device.power_off(10.0)
    assert not port.interests.memberships
    device.power_on(20.0)
    assert port.interests.memberships == ((DOMAIN, 1, 9),)


def test_a_device_among_plain_nodes_repeats_for_them() -> None:
    line = Line("load", "load")
    first, second = line.askers
    first.commission()
    second.hops = []
    second.commission()
    second.hops = [Hop(1, first.place.node)]
    assert second.read("BT03")[0] == 1


def test_who_runs_a_street_is_told_when_a_device_has_something_to_do() -> None:
    line = Line("load")
    (asker,) = line.askers
    asker.commission()
    assert asker.run("EP02", b"\1\0\0" + bytes(6) + b"\x2c\x01") == 1
    due = asker.device.due()
    assert due is not None
    assert line.wire.now < due < line.wire.now + 301
    asker.device.advance(due - 1.0)
    assert asker.device.meter.relays.control[0] is True
    asker.device.advance(due)
    assert asker.device.meter.relays.control[0] is False
