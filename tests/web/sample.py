"""A small store that shows every case of the pages: healthy, frozen, with gaps, failing, never visited, hostile names."""

from __future__ import annotations

import datetime as dt
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from osgp.headend.store import RawPart, Step, StepReading, Store
from osgp.node.meter_image import MODELS, build_image
from osgp.tables.bt.bt03 import BT03
from osgp.tables.logs import LogEntry
from osgp.tables.profile import Channel, Profile
from osgp.wire import Firmware

NOW = 1_780_000_200
"""A meter time on a quarter of an hour: 2026-05-28 20:30 UTC."""
STEP = 900
HOSTILE = "<script>alert('x')</script>\"&'<b>"

CHANNELS = (
    Channel(0, 1, "Fwd active Wh", "fwd_active_energy", "Wh", 1, True),
    Channel(1, 2, "Rev active Wh", "rev_active_energy", "Wh", 1, True),
    Channel(2, 17, "RMS voltage (L1)", "voltage_l1", "V", 0.001, False),
)


class _Fields:
    def to_json(self) -> dict[str, Any]:
        return {"event": 1}


def profile(days: int = 8, *, gap: bool = False, frozen: bool = False) -> Profile:
    """Quarter hours up to ``NOW``; ``gap``: three hours of yesterday are missing; ``frozen``: import stands since noon."""
    count = days * 86400 // STEP
    time = np.arange(NOW - (count - 1) * STEP, NOW + 1, STEP, dtype=np.int64)
    hours = time / 3600
    used = np.cumsum(60 + 50 * np.sin(hours / 24 * 2 * math.pi) ** 2 + 80 * (hours % 24 > 17)).astype(np.int64)
    given = np.cumsum(np.maximum(0, 200 * np.sin((hours % 24 - 6) / 12 * math.pi))).astype(np.int64)
    volts = (230_000 + 1500 * np.sin(hours)).astype(np.int64)
    if frozen:
        used[-34:] = used[-34]
    keep = np.ones(count, bool)
    if gap:
        keep[-130:-118] = False
    return Profile(
        1,
        STEP,
        CHANNELS,
        time[keep].view("M8[s]"),
        np.zeros(keep.sum(), np.uint8),
        np.zeros((keep.sum(), 3), np.uint8),
        np.stack((5_000_000 + used, 100_000 + given, volts), axis=1)[keep].astype("<i4"),
        np.ones(keep.sum(), bool),
    )


@cache
def sample_tables() -> tuple[dict[int, bytes], list[RawPart]]:
    """Dimension tables by number, and tables as they were read."""
    image = build_image(MODELS["3ph"], "90001234", Firmware(4, 11), ())
    image.set(BT03, "ed_std_status1.low_battery", 1)
    parts = [RawPart(number, 0, image.read(number), True) for number in (0, 1, 3, 21, 22, 23, 28, 64)]
    parts.append(RawPart(1999, 0, b"opaque", True))
    return {number: image.read(number) for number in (0, 1, 20, 21, 22, 61)}, parts


def add_meter(store: Store, name: str, *, door: str = "optical", **shape: Any) -> int:
    """One visited device."""
    number = store.add_device(name, f"{door}+tcp://127.0.0.1:7700", door=door, wall=NOW - 9 * 86400)
    visit = store.begin_visit(number, NOW - 8)
    dimensions, parts = sample_tables()
    frozen = bool(shape.get("frozen"))
    step = Step(NOW - 5, NOW, door, facts={"serial": f"9000{number:04d}", "model": "NES 83332", "firmware": "4.11"})
    step.facts["dimensions"] = dimensions
    step.raws = parts
    step.readings = [
        StepReading("fwd_active_energy", 5_004_711 + number, "Wh", 2 if frozen else 0),
        StepReading("rev_active_energy", 104_200, "Wh"),
        StepReading("fwd_active_power", 450 * number, "W"),
        StepReading("rev_active_power", 0, "W"),
        StepReading("voltage_l1", 231.4, "V"),
        StepReading("power_factor_l1", 0.98),
        StepReading("serial_number", f"9000{number:04d}"),
        StepReading("mbus[1].volume", 123.456, "m³"),
    ]
    step.profiles = [profile(**shape)]
    step.events = [
        LogEntry(at, dt.datetime.fromtimestamp(NOW - at * 7200, dt.UTC), "BT74", _Fields(), text, bytes([at]))
        for at, text in enumerate(("Power up", f"Clock set by {HOSTILE}", "Primary power down"))
    ]
    store.keep(number, step, visit=visit)
    store.end_visit(visit, NOW - 4, "ok", clock_deviation=-2.0)
    return number


def sample_store(place: Path) -> Store:
    """Six devices: 1 healthy, 2 frozen, 3 with a gap, 4 failing, 5 never visited, 6 with a hostile name."""
    store = Store.open(place)
    add_meter(store, "meter-1")
    add_meter(store, "meter-2", door="mep+tls", frozen=True)
    add_meter(store, "meter-10", gap=True)
    number = store.add_device("meter-4", "mep+tcp://127.0.0.1:7704", door="mep")
    visit = store.begin_visit(number, NOW - 60)
    store.end_visit(visit, NOW - 50, "failed", error="nobody answered", hint="is the plug in?")
    store.add_device("meter-5", "optical+tcp://127.0.0.1:7705", door="optical")
    add_meter(store, HOSTILE)
    return store
