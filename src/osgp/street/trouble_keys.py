"""Faults of keys, numbers and addresses: what a device or the concentrator would have after years, or after a mistake. Project choice.

What is to be is written into the memory of a device while it is without supply for a moment, and into the journal while the
concentrator is down: everything after that is what would happen.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from osgp.app.counters import stored
from osgp.app.state import KeySetRecord, load_record
from osgp.concentrator.journal import Journal

if TYPE_CHECKING:
    from osgp.sim.pl_device import PowerLineDevice
    from osgp.street.run import StreetRun

__all__ = [
    "spent_device",
    "spent_journal",
    "take_address",
    "worn_device",
    "worn_journal",
    "write_device",
    "write_journal",
]

_BEFORE_ALARM = 5
Values = dict[str, bytes]


def write_device(device: PowerLineDevice, values: Values, now: float) -> None:
    """Its supply fails for a moment, and it comes back with these values in its memory."""
    device.power_off(now)
    device.memory.save(values)
    device.power_on(now)


def write_journal(run: StreetRun, values: Values, now: float) -> None:
    """Put values into the journal of a concentrator that is down. Raises StoreError."""
    if run.place == ":memory:":
        run.journal.save(values)
        return
    journal = Journal(run.place, wall=run.wall(now))
    journal.save(values)
    journal.close()


def _alarm(run: StreetRun) -> int:
    limits = run.profile.limits
    return int(limits.key_usage_max * limits.key_usage_alarm)


def worn_device(run: StreetRun) -> Values:
    """A device whose keys have been used almost as often as the alarm says."""
    worn = stored(_alarm(run) - _BEFORE_ALARM)
    return {"uses.unicast": worn, "uses.broadcast": worn}


def worn_journal(run: StreetRun, devices: Iterable[PowerLineDevice]) -> Values:
    """The concentrator's side of it."""
    worn = stored(_alarm(run) - _BEFORE_ALARM)
    return {"broadcast.uses.kb": worn, **{f"{_prefix(device)}uses": worn for device in devices}}


def spent_device(run: StreetRun, left: int) -> Values:
    """A device with so many numbers left for alerts and sequence errors."""
    end = stored(run.profile.limits.max_counter + 1 - left)
    return {"actr": end, "ectr": end}


def spent_journal(run: StreetRun, devices: Iterable[PowerLineDevice], left: int) -> Values:
    """A concentrator with so many numbers left for requests to these devices, and for broadcasts."""
    end = stored(run.profile.limits.max_counter + 1 - left)
    values = {"broadcast.bctr": end}
    for device in devices:
        values |= {f"{_prefix(device)}seq.{slot}": end for slot in (0, 1)}
    return values


def _prefix(device: PowerLineDevice) -> str:
    return f"device {device.unique_node_id.hex()}."


def take_address(device: PowerLineDevice, other: PowerLineDevice, now: float) -> bool:
    """A device comes back with the address of another; False if one of them has none yet."""
    place = other.node.security.address
    record = load_record(device.memory, "set", KeySetRecord)
    if place is None or record is None:
        return False
    record.subnet, record.node = place.subnet, place.node
    write_device(device, {"set": record.encode()}, now)
    return True
