"""The living meter at every door in memory: all its tables, its measurements, a plan that costs what it said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from osgp.node.device import Device
from osgp.node.server import Port
from osgp.tables.access import run_sync
from osgp.tables.registry import find_table
from tests.access.doors import LOOPBACK, Room, full_key
from tests.access.world import World
from tests.node.meters import make

NAMES = (
    "fwd_active_energy",
    "rev_active_energy",
    "voltage_l1",
    "frequency",
    "serial_number",
    "BT23.tot_data_block.summations[0]",
    "BT52",
)


class LivingWorld(World):
    """A living meter in place of the small device; its own clock runs with the line's."""

    def __init__(self) -> None:
        super().__init__()
        self.meter = make("mbus", days=1)
        self.begin = self.meter.at
        self.server = self.meter.server
        self.image = self.meter.image
        self.pending = self.meter.pending

    def mep_handle(self, port: Port) -> Any:
        return lambda message, access, now: self.server.handle_message(message, access, self.begin + now, port)

    def optical_handle(self, port: Port) -> Any:
        return lambda request, access, now: self.server.handle(request, access, self.begin + now, port)


@pytest.fixture(params=LOOPBACK)
def room(request: pytest.FixtureRequest) -> Iterator[Room]:
    with LOOPBACK[request.param](LivingWorld(), full_key(request.param)) as room:
        yield room


def _device(room: Room) -> Device:
    device = Device(room.tables)
    room.tables.size_of = device.size_of  # type: ignore[attr-defined]  # as osgp.open does: what the device has learnt
    return device


def test_every_table_is_read_and_decoded(room: Room) -> None:
    """Sizes are learnt from the meter's own dimension tables; longer tables come in parts."""
    device = _device(room)
    image = room.world.image
    for number in image:
        declared = find_table(number)
        assert declared is not None
        run_sync(device._prepare([declared]))
        raw = run_sync(device.raw(number))
        assert len(raw) == image.size(number), number
        if declared.role in ("dimension", "actual"):
            assert raw == image.read(number)
        assert run_sync(device.table(declared)) is not None


def test_measurements_and_what_their_plan_costs(room: Room) -> None:
    device = _device(room)
    values = run_sync(device.get(*NAMES))
    assert values[0] > 0
    assert 200 < values[2] < 260
    assert 49 < values[3] < 51
    promised = run_sync(device.plan(*NAMES))
    assert promised.dimensions == ()
    before = room.wire[0]
    run_sync(device.get(*NAMES))
    assert room.wire[0] - before == promised.wire_bytes


def test_the_profile_of_a_day(room: Room) -> None:
    profile = run_sync(_device(room).profile(last=24))
    assert len(profile.epochs()) == 24
    assert not profile.gaps()
