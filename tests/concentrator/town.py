"""A concentrator with its journal, meters of ``world`` around it, and a day that passes in seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from osgp.concentrator.config import Collection, ConcentratorConfig, Plan
from osgp.concentrator.core import Concentrator, ConcentratorEvent
from osgp.concentrator.exchange import FixedRoutes
from osgp.concentrator.journal import Journal
from osgp.lon.address import SubnetNode
from osgp.lon.csma import A_BAND, ChannelTiming
from osgp.node.meter import Meter
from osgp.sim.wire import Port, Quality, Wire
from tests.concentrator.world import PlainSealer, TestDevice, stack_at
from tests.node.meters import START, make

SMALL = ConcentratorConfig(
    collection=Collection(measurements=("fwd_active_energy", "serial_number")), plan=Plan(profile_s=21600.0)
)


class Town:
    """``place``: of the journal. ``restart`` begins a new concentrator on it, with the same meters, as after a kill."""

    def __init__(
        self,
        count: int = 2,
        *,
        place: str | Path = ":memory:",
        config: ConcentratorConfig = SMALL,
        access: ChannelTiming | None = A_BAND,
        loss: float = 0.0,
        seed: int = 1,
        saved: Callable[[str], None] | None = None,
        meter: Callable[[], Meter] = lambda: make("1ph"),
        **options: Any,
    ) -> None:
        self.wire = Wire(random=Random(seed), access=access, quality=Quality(loss=loss))
        self.config = config
        self.seed = seed
        self.devices: list[TestDevice] = []
        self.ports: list[Port] = []
        self.sealers: list[PlainSealer] = []
        self.routes = FixedRoutes()
        self.options = options
        for number in range(count):
            device = TestDevice(1 + number, meter())
            self.devices.append(device)
            self.ports.append(self.wire.join(device.stack, on_events=device.on_events))
            self.sealers.append(PlainSealer())
        self.events: list[ConcentratorEvent] = []
        self.port: Port | None = None
        self.start(Journal(place, wall=START, saved=saved))

    def start(self, journal: Journal) -> None:
        self.journal = journal
        self.concentrator = Concentrator(
            stack_at(100),
            journal,
            self.config,
            random=Random(self.seed),
            wall=lambda now: START + now,
            now=self.wire.now,
            routes=self.routes,
            **self.options,
        )
        if self.port is None:
            self.port = self.wire.join(self.concentrator, on_events=self._on_events)
        else:
            self.port.machine = self.concentrator
        for device, sealer in zip(self.devices, self.sealers):
            self.concentrator.add_device(
                device.stack.configuration.unique_node_id, SubnetNode(1, device.node), sealer, self.wire.now
            )
        self.touch()

    def _on_events(self, port: Port, events: Any, now: float) -> None:
        self.events.extend(events)

    def touch(self) -> None:
        assert self.port is not None
        self.concentrator.begin(self.wire.now)
        self.wire.touch(self.port)

    def run(self, seconds: float) -> None:
        self.wire.run(self.wire.now + seconds)

    def until(self, done: Callable[[], bool], limit_s: float = 3600.0) -> None:
        end = self.wire.now + limit_s
        while not done() and self.wire.now < end and self.wire.step():
            pass
        assert done(), "it never came"


FAST = Plan(scan_s=60.0, billing_s=600.0, profile_s=300.0)
