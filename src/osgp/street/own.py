"""What a meter says of itself when it is asked without any line: the truth that a journal is measured by. Project choice."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from osgp.node.device import Device
from osgp.node.energy import PER_WH
from osgp.sim.pl_device import PowerLineDevice
from osgp.tables.access import run_sync
from osgp.tables.image import ImageTables
from osgp.tables.registry import table
from osgp.wire.errors import ConfigError, DecodeError, ResponseError

__all__ = ["Own", "look_at", "register_now"]

_REFUSED = (ResponseError, ConfigError, DecodeError)
_FLOW = {"fwd_active_energy": 0, "rev_active_energy": 1}


class _OwnTables(ImageTables):
    """The tables of a simulated device, brought up to date before each look; nothing is changed."""

    def __init__(self, device: PowerLineDevice, now: float) -> None:
        super().__init__(device.meter.image)
        self._device, self._now = device, now

    def _fresh(self, table: int) -> None:
        self._device.meter.refresh(table, self._device.start + self._now)

    async def read(self, table: int) -> bytes:
        self._fresh(table)
        return await super().read(table)

    async def read_part(self, table: int, offset: int, count: int) -> bytes:
        self._fresh(table)
        return await super().read_part(table, offset, count)


@dataclass(slots=True)
class Own:
    """What a device holds. ``profiles``: by data set, (statuses, raw values) by the end of the interval, UTC seconds; ``logs``: raw
    entries by log, newest first."""

    profiles: dict[int, dict[int, tuple[list[int], list[int]]]] = field(default_factory=dict)
    logs: dict[str, list[bytes]] = field(default_factory=dict)


def _device(device: PowerLineDevice, now: float) -> Device:
    return Device(_OwnTables(device, now), name=device.serial)


def look_at(device: PowerLineDevice, now: float, *, profiles: tuple[int, ...], logs: tuple[str, ...]) -> Own:
    """All intervals and log entries that a device holds at ``now`` (the wire's second). What it does not have is left out."""
    seen, found = _device(device, now), Own()
    for data_set in profiles:
        try:
            held: Any = run_sync(seen.profile(data_set=data_set))
        except _REFUSED:
            continue
        plain = held._plain
        found.profiles[data_set] = {
            time: (list(status), list(values))
            for time, status, values, valid in zip(
                held.epochs(), plain(held.status), plain(held.values), plain(held.valid)
            )
            if valid
        }
    for log in logs:
        try:
            found.logs[log] = [entry.raw for entry in run_sync(seen.log(table(log)))]
        except _REFUSED:
            continue
    return found


def register_now(device: PowerLineDevice, name: str, since: float, now: float) -> tuple[int | float, float] | None:
    """(what a register of the device shows now, by how much it can have grown since UTC second ``since``); None if it has none.

    Energy flows are exactly additive, so that the second follows from the device's source; without limit for other registers.
    """
    try:
        value = run_sync(_device(device, now).get(name))
    except _REFUSED:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    place = _FLOW.get(name)
    if place is None:
        return value, float("inf")
    meter = device.meter
    grown = meter.source.energy(min(since, meter.at), meter.at)[place] / PER_WH
    return value, grown + meter.unit
