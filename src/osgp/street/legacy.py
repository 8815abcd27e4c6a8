"""Old meters in a street: what makes a device speak the broken suite, and what its concentrator is told of it. Project choice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from osgp.app.legacy import LegacyDevice
from osgp.app.memory import RamMemory
from osgp.app.suite import Address
from osgp.concentrator.legacy_care import LegacyGrant
from osgp.lon.address import SubnetNode
from osgp.sim.pl_device import PowerLineDevice, lab_omak, node_id_of

if TYPE_CHECKING:
    from osgp.street.plan import StreetPlan

__all__ = ["DOMAIN", "legacy_grants", "legacy_suite"]

DOMAIN = b"OSG"
_FIRST_SUBNET, _NODES = 200, 127


def _place(index: int) -> SubnetNode:
    """The address that an old meter has from somebody before us."""
    return SubnetNode(_FIRST_SUBNET + index // _NODES, 1 + index % _NODES)


def legacy_suite(plan: StreetPlan, index: int) -> Callable[[RamMemory], LegacyDevice] | None:
    """What makes the suite of the device of a house; None where it speaks the other one."""
    if plan.houses[index].node not in plan.legacy:
        return None
    place, omak = _place(index), lab_omak(plan.seed, node_id_of(plan.seed, index))
    address = Address(DOMAIN, place.subnet, place.node)
    return lambda memory: LegacyDevice(
        omak, memory, address, enabled=True, writes=plan.legacy_writes, profile=plan.profile
    )


def legacy_grants(plan: StreetPlan, devices: Sequence[PowerLineDevice]) -> Mapping[bytes, LegacyGrant]:
    """What the concentrator is told: the OMAKs of these devices, and where they are."""
    return {
        device.unique_node_id: LegacyGrant(
            lab_omak(plan.seed, device.unique_node_id),
            _place(index),
            plan.legacy_writes,
            plan.legacy_encrypt,
            device.serial,
            "laboratory",
        )
        for index, device in enumerate(devices)
        if plan.houses[index].node in plan.legacy
    }
