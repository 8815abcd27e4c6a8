"""``PowerLineDevice``: a simulated device of any kind on a simulated line: tables, security, stack, and its place on the wire.

Everything follows from ``seed`` and ``index``: unique node ID, serial number, keys, house. The keys are for the laboratory only,
anybody can compute them. An idle device costs no processor time: its meter lives when it is asked, or when ``advance`` is called.
Project choice throughout::

    wire = Wire(random=Random(1), medium=medium)
    device = PowerLineDevice("3ph", seed=1, index=4, start=1.8e9)
    port = device.join(wire, phase=2)
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from osgp.app.device import DevicePolicy, DeviceSecurity
from osgp.app.memory import RamMemory
from osgp.app.profile import OsgpProfile
from osgp.app.suite import KeySet
from osgp.crypto.keys import Key
from osgp.lon.configuration import Configuration
from osgp.node.energy import EnergySource
from osgp.node.link_register import UNHEARD, Heard
from osgp.node.meter import Meter
from osgp.node.meter_image import program_id
from osgp.node.osgp import OsgpNode, Suite
from osgp.node.osgp_guard import GuardedManagement
from osgp.node.stack import Stack
from osgp.sim.device_kinds import FIRMWARE, KINDS, make_meter
from osgp.sim.load_weather import Weather
from osgp.sim.reading import reading
from osgp.sim.wire import Port, Wire
from osgp.wire.errors import ConfigError

__all__ = ["LAB_IMAGE_KEY_ID", "PowerLineDevice", "lab_image_key", "lab_omak", "lab_umk", "node_id_of", "serial_of"]

_STATE_FORM = 1
_RECEIVE_TIMER = 15
"""Others may come back to a message as late as their chains let them: the longest receive timer."""


def lab_umk(seed: int, unique_node_id: bytes) -> Key:
    """The UMK of a simulated device. Anybody can compute it: laboratory only."""
    return Key(hashlib.sha256(b"osgp simulated device %d UMK " % seed + unique_node_id).digest()[:16])


LAB_IMAGE_KEY_ID = 1


def lab_image_key() -> Ed25519PrivateKey:
    """The key that signs firmware images for simulated devices. Anybody can compute it: laboratory only."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"osgp simulated firmware").digest())


def lab_omak(seed: int, unique_node_id: bytes) -> Key:
    """The OMAK of a simulated device that speaks the legacy suite. Anybody can compute it: laboratory only."""
    return Key(hashlib.sha256(b"osgp simulated device %d OMAK " % seed + unique_node_id).digest()[:12])


def node_id_of(seed: int, index: int) -> bytes:
    """The unique node ID of a simulated device."""
    return (0x0500_0000_0000 | (seed & 0xFFFF) << 16 | index & 0xFFFF).to_bytes(6, "big")


def serial_of(seed: int, index: int) -> str:
    """The serial number of a simulated device, eight digits."""
    return f"{50_000_000 + (seed * 7919 + index * 101) % 49_999_999:08d}"


class PowerLineDevice:
    """One device. ``now`` is the wire's second; ``start`` the true UTC second at ``now`` 0.

    ``kind``: see ``device_kinds.KINDS``. ``unique_node_id``, ``umk``, ``source``: in place of what follows from the seed. ``legacy``
    makes the broken suite for a device that shall speak it. ``weather``: shared by the devices of a street. Raises ConfigError.
    """

    def __init__(
        self,
        kind: str = "3ph",
        *,
        seed: int = 1,
        index: int = 0,
        start: float,
        unique_node_id: bytes | None = None,
        umk: Key | None = None,
        firmware: str = FIRMWARE,
        profile: OsgpProfile | None = None,
        policy: DevicePolicy | None = None,
        source: EnergySource | None = None,
        weather: Weather | None = None,
        legacy: Callable[[RamMemory], Suite] | None = None,
        last_gasp: bool = False,
        now: float = 0.0,
    ) -> None:
        if kind not in KINDS:
            raise ConfigError(f"there is no kind of device {kind!r}", hint=f"kinds: {', '.join(KINDS)}")
        self.kind = KINDS[kind]
        self.seed = seed
        self.index = index
        self.start = start
        self.serial = serial_of(seed, index)
        self.unique_node_id = unique_node_id or node_id_of(seed, index)
        self.umk = umk or lab_umk(seed, self.unique_node_id)
        self.profile = profile or OsgpProfile()
        self.policy = policy or DevicePolicy(relay_by_broadcast=True)
        self.memory = RamMemory()
        self.wire: Wire | None = None
        self.port: Port | None = None
        self._drawn = 0
        self.meter: Meter = make_meter(
            kind,
            self.serial,
            seed=seed * 1000 + index,
            start=start + now,
            firmware=firmware,
            source=source,
            weather=weather or Weather(seed),
        )
        configuration = Configuration(self.unique_node_id, program_id=program_id(self.meter.firmware))
        configuration.block.last = configuration.block.last.with_(non_group_timer=_RECEIVE_TIMER)
        self.stack = Stack(
            configuration,
            management=GuardedManagement(configuration),
            token=self._random,
            now=now,
            commissionable=True,
        )
        self.node = OsgpNode(
            self.stack,
            self._security,
            self.meter,
            memory=self.memory,
            utc_of=lambda at: start + at,
            heard=self._heard,
            damaged=self._damaged,
            legacy=(lambda: legacy(self.memory)) if legacy is not None else None,
            image_keys={LAB_IMAGE_KEY_ID: lab_image_key().public_key()},
            hardware_id=self.kind.hardware_id,
            last_gasp=last_gasp,
            now=now,
        )

    def __repr__(self) -> str:
        return f"<PowerLineDevice {self.kind.name} {self.serial}>"

    # ---- what the node is made of ----------------------------------------------------------------------------------
    def _random(self, size: int) -> bytes:
        """Bytes of chance, other ones each time, the same ones for the same life."""
        self._drawn += 1
        return random.Random(f"device {self.seed} {self.index} {self._drawn}").randbytes(size)

    def _security(self) -> DeviceSecurity:
        return DeviceSecurity(
            self.unique_node_id,
            self.umk,
            self.memory,
            randomness=self._random,
            profile=self.profile,
            policy=self.policy,
            groups=lambda: self.node.own_groups(),
            utc=lambda now: self.meter.utc(self.start + now),
        )

    def _heard(self) -> Heard:
        return reading(self.wire, self.port) if self.wire is not None and self.port is not None else UNHEARD

    def _damaged(self) -> int:
        return self.port.damaged + self.port.lost if self.port is not None else 0

    # ---- on the line -----------------------------------------------------------------------------------------------
    def join(self, wire: Wire, *, phase: int = 0) -> Port:
        """Put it on a wire. ``phase``: of the mains, 1 to 3; 0 not known, or all three."""
        statistics = self.stack.configuration.statistics
        self.wire, self.port = wire, wire.join(self.node, statistics=statistics, name=self.serial)
        self.port.phase = phase
        return self.port

    def provision(self, key_set: KeySet) -> None:
        """Begin as a commissioned device. Raises as ``DeviceSecurity.install``."""
        self.node.provision(key_set)
        if self.wire is not None and self.port is not None:
            self.wire.touch(self.port)

    def due(self) -> float | None:
        """When ``advance`` would find something to do beside counting: an order that waits, a lock, a limit, new firmware."""
        first = min((part.due for part in self.meter.parts), default=math.inf)
        return self.meter.clock.true_at(first) - self.start if first < math.inf else None

    def advance(self, now: float) -> None:
        """Let the meter live up to ``now``, asked or not."""
        self.node.advance(now)
        if self.wire is not None and self.port is not None:
            self.wire.touch(self.port)

    def power_off(self, now: float) -> None:
        """The supply fails; a last gasp goes to the line if the device has one."""
        packets = self.node.power_off(now)
        if self.wire is not None and self.port is not None:
            for packet in packets:
                self.wire.send(self.port, packet.lpdu())
            self.wire.touch(self.port)

    def power_on(self, now: float) -> None:
        """The supply is back."""
        self.node.power_on(now)
        if self.wire is not None and self.port is not None:
            self.wire.touch(self.port)

    # ---- state -----------------------------------------------------------------------------------------------------
    def to_json(self) -> dict[str, Any]:
        """The whole device but its UMK and the house, which follow from the seed. It holds session keys: laboratory only."""
        return {
            "form": _STATE_FORM,
            "kind": self.kind.name,
            "serial": self.serial,
            "seed": self.seed,
            "index": self.index,
            "drawn": self._drawn,
            "memory": {name: value.hex() for name, value in self.memory.values().items()},
            "meter": self.meter.to_json(),
            "node": self.node.to_json(),
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """The inverse of ``to_json``. Raises ConfigError for the state of another device."""
        own = {
            "form": _STATE_FORM,
            "kind": self.kind.name,
            "serial": self.serial,
            "seed": self.seed,
            "index": self.index,
        }
        if own != {key: saved.get(key) for key in own}:
            raise ConfigError(
                f"the saved state is that of a {saved.get('kind')} {saved.get('serial')}, seed {saved.get('seed')}",
                hint="make the devices with the same kinds, seed and order",
            )
        self._drawn = saved["drawn"]
        self.memory.save({name: bytes.fromhex(value) for name, value in saved["memory"].items()})
        self.meter.restore(saved["meter"])
        self.node.restore(saved["node"])
