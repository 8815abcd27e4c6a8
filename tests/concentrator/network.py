"""A street for tests of topology: real devices on a medium, a concentrator that knows nothing of them but their keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

from osgp.app.aes import psk_of
from osgp.app.broadcast import BroadcastSender
from osgp.app.legacy import LegacyDevice
from osgp.app.memory import Prefixed, RamMemory
from osgp.app.profile import OsgpProfile
from osgp.app.suite import Address
from osgp.concentrator.commission import Grant, KeySource, KeyTable
from osgp.concentrator.config import Collection, ConcentratorConfig, Plan
from osgp.concentrator.core import Concentrator
from osgp.concentrator.discovery import DiscoveryPolicy
from osgp.concentrator.journal import Journal
from osgp.concentrator.legacy_care import LegacyGrant
from osgp.concentrator.topology import Node, NodeState, Topology
from osgp.concentrator.topology_care import NetworkCare
from osgp.crypto.keys import Key
from osgp.lon.address import SubnetNode
from osgp.lon.configuration import Configuration, domain_entry
from osgp.node.stack import Stack
from osgp.sim.medium import FrameMedium, Levels, line_levels
from osgp.sim.pl_device import PowerLineDevice
from osgp.sim.reading import reading
from osgp.sim.wire import Port, Wire

START = 1_800_000_000.0
NC = bytes.fromhex("0A0B0C0D0E0F")
DOMAIN = b"OSG"
PROFILE = OsgpProfile()
QUIET = ConcentratorConfig(
    collection=Collection(measurements=("fwd_active_energy",), profiles=(), logs=()),
    plan=Plan(scan_s=900.0, alerting_scan_s=900.0, billing_s=86400.0, profile_s=86400.0),
)


def chain(count: int, *, good_db: float = 30.0) -> Levels:
    """``count`` devices and the concentrator in a line; everybody hears neighbours, and nobody else."""
    return line_levels(count + 1, first_db=good_db, step_db=60.0)


def levels_of(size: int, links: Mapping[tuple[int, int], float]) -> Levels:
    """Node 0 is the concentrator; Ec/N0 by pair, both directions, unless the reverse pair is given too."""
    table = [[float("inf") if a == b else float("-inf") for b in range(size)] for a in range(size)]
    for (a, b), level in links.items():
        table[a][b] = level
        if (b, a) not in links:
            table[b][a] = level
    return Levels((table, [list(row) for row in table]), ("Q",) * size)


def suite_of(grant: LegacyGrant | None) -> Callable[[RamMemory], LegacyDevice] | None:
    """The broken suite of a device that is to speak it, at the place and with the rights of its grant."""
    if grant is None:
        return None
    address = Address(DOMAIN, grant.place.subnet, grant.place.node)
    return lambda memory: LegacyDevice(grant.omak, memory, address, enabled=True, writes=grant.writes)


class Network:
    """``keyed``: which devices the key source knows (all, unless said otherwise). ``legacy``: devices, by index, that speak nothing
    but the broken suite, and have no other key here."""

    def __init__(
        self,
        levels: Levels,
        *,
        kind: str = "1ph",
        place: str | Path = ":memory:",
        seed: int = 1,
        config: ConcentratorConfig = QUIET,
        keyed: Callable[[int], bool] = lambda index: True,
        phases: Callable[[int], int] = lambda index: 0,
        discovery: DiscoveryPolicy | None = None,
        source: KeySource | None = None,
        legacy: Mapping[int, LegacyGrant] | None = None,
        **options: Any,
    ) -> None:
        count = levels.size - 1
        self.seed = seed
        self.place = place
        self.config = config
        self.options = options
        self.discovery = discovery
        self.wire = Wire(random=Random(seed), medium=FrameMedium(levels, seed=seed))
        old = legacy or {}
        self.devices = [
            PowerLineDevice(kind, seed=seed, index=index, start=START, legacy=suite_of(old.get(index)))
            for index in range(count)
        ]
        self.legacy = {self.devices[index].unique_node_id: grant for index, grant in old.items()}
        known = {d.unique_node_id: self.grant(d) for n, d in enumerate(self.devices) if keyed(n) and n not in old}
        self.keys = KeyTable(known)
        self.source = source or self.keys
        self.sent = 0
        self.airtime_s = 0.0
        self.port: Port | None = None
        self.care: NetworkCare
        self._make(0.0)
        self.port = self.wire.join(self.concentrator)
        self.port.phase = phases(0)
        self.ports = [d.join(self.wire, phase=phases(n + 1)) for n, d in enumerate(self.devices)]
        self._begin()

    def grant(self, device: PowerLineDevice, *, epoch: int = 1, umk: Key | None = None) -> Grant:
        psk = psk_of(umk or device.umk, device.unique_node_id, NC, epoch, PROFILE)
        return Grant(psk, epoch, name=device.serial, key="vault")

    def _make(self, now: float) -> None:
        configuration = Configuration(NC)
        configuration.join(0, domain_entry(DOMAIN, 1, 1))
        configuration.block.last = configuration.block.last.with_(non_group_timer=15)
        self.journal = Journal(self.place, wall=START + now)
        random = Random(self.seed)
        self.sender = BroadcastSender(
            NC, DOMAIN, Prefixed(self.journal, "broadcast."), randomness=Random(7 + now).randbytes, profile=PROFILE
        )
        self.topology = Topology(
            self.journal, wall=lambda at: START + at, now=now, domain=DOMAIN, place=SubnetNode(1, 1), **self.options
        )
        self.concentrator = Concentrator(
            Stack(configuration, token=random.randbytes, quiet_s=0.0, destinations=300, now=now),
            self.journal,
            self.config,
            random=random,
            wall=lambda at: START + at,
            now=now,
            routes=self.topology,
            chains=self.topology.chains,
            broadcaster=self.sender,
        )
        self.care = NetworkCare(
            self.concentrator,
            self.topology,
            self.source,
            self.sender,
            random=random,
            randomness=Random(11 + now).randbytes,
            heard=lambda: reading(self.wire, self.port),  # type: ignore[arg-type]  # it has joined when it hears
            damaged=lambda: self.port.damaged + self.port.lost if self.port is not None else 0,
            discovery=self.discovery,
            profile=PROFILE,
            legacy=self.legacy,
        )

    def _begin(self) -> None:
        assert self.port is not None
        self.care.begin(self.wire.now)
        self.wire.touch(self.port)

    def restart(self) -> None:
        """As after a kill: what was not in the journal is gone."""
        assert self.port is not None
        if self.place != ":memory:":
            self.journal.close()
            self._make(self.wire.now)
        self.port.machine = self.concentrator
        self._begin()

    def touch(self) -> None:
        """Something was ordered from outside."""
        assert self.port is not None
        self.concentrator.begin(self.wire.now)
        self.wire.touch(self.port)

    def run(self, seconds: float) -> None:
        self.wire.run(self.wire.now + seconds)

    def until(self, done: Callable[[], bool], limit_s: float = 3600.0) -> float:
        """When it was so."""
        end, check = self.wire.now + limit_s, self.wire.now
        while self.wire.now < end and self.wire.step():
            if self.wire.now >= check:
                if done():
                    return self.wire.now
                check = self.wire.now + 0.5
        assert done(), "it never came"
        return self.wire.now

    def node(self, index: int) -> Node:
        return self.topology.nodes[self.devices[index].unique_node_id]

    def state(self, index: int) -> NodeState:
        found = self.topology.nodes.get(self.devices[index].unique_node_id)
        return NodeState.UNKNOWN if found is None else found.state

    def up(self) -> int:
        return sum(node.state is NodeState.UP for node in self.topology.nodes.values())

    def all_up(self) -> bool:
        return self.up() == len(self.devices)

    def legs(self, index: int) -> int:
        return self.topology.legs(self.node(index))
