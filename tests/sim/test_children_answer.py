"""A meter that has run for a while shows what its M-Bus children count."""

from __future__ import annotations

import datetime as dt

from osgp.node.device import Device
from osgp.sim.device import SimulatedDevice
from osgp.tables.access import run_sync
from osgp.tables.image import ImageTables


def test_children_have_volumes_after_days_of_history() -> None:
    start = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
    meter = SimulatedDevice("mbus", seed=9, start=start, utc_of=lambda _now: start.timestamp(), history=1.0).meter
    volume = run_sync(Device(ImageTables(meter.image)).get("mbus[1].volume"))
    assert isinstance(volume, int | float)
    assert volume > 0
