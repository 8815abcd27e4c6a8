"""``StreetRun``: a planned street on virtual time: grid, line, a real device in each house, one concentrator with its journal.

Everything but the line is the code that runs live, and everything follows from the plan's seed. Project choice::

    run = StreetRun(load_plan("street.toml"))
    run.run()
    print(run.truth().share)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Any

from osgp.app.aes import psk_of
from osgp.app.broadcast import BroadcastSender
from osgp.app.legacy import LegacyDevice
from osgp.app.memory import Prefixed
from osgp.concentrator.accounts import LineCosts
from osgp.concentrator.broadcasts import Broadcasts
from osgp.concentrator.commission import Grant, KeyTable
from osgp.concentrator.core import Concentrator
from osgp.concentrator.firmware import Firmware
from osgp.concentrator.journal import Journal
from osgp.concentrator.routes import Path as Way
from osgp.concentrator.routes import Step
from osgp.concentrator.schedule import Duty
from osgp.concentrator.topology import NodeState, Topology
from osgp.concentrator.topology_care import NetworkCare
from osgp.lon.address import SubnetNode
from osgp.lon.configuration import Configuration, domain_entry
from osgp.lon.interests import Interests
from osgp.lon.packet import Packet
from osgp.node.stack import Stack
from osgp.ports.capture import CaptureWriter
from osgp.sim.clock import Speed, run_virtual
from osgp.sim.grid import Grid
from osgp.sim.grid_description import PHASES
from osgp.sim.load_weather import Weather
from osgp.sim.local_doors import DoorOptions, LocalDoors
from osgp.sim.medium import FrameMedium, Levels
from osgp.sim.medium_grid import grid_levels
from osgp.sim.per import default_curves
from osgp.sim.pl_device import PowerLineDevice, lab_umk
from osgp.sim.reading import reading
from osgp.sim.street_routes import routes
from osgp.sim.wire import Port, Wire
from osgp.sim.wire_live import run_live
from osgp.street.airtime import Airtime
from osgp.street.legacy import DOMAIN, legacy_grants, legacy_suite
from osgp.street.observed import Observed
from osgp.street.orders import Orders
from osgp.street.own import Own, look_at
from osgp.street.plan import StreetPlan
from osgp.street.trouble import Troubles
from osgp.street.truth import Truth, compare
from osgp.street.upgrade import Upgrades

__all__ = ["StreetRun"]

NC = bytes.fromhex("0A0B0C0D0E0F")
_LEVELS_S = 900.0
_LOOK_S = 60.0
_SETTLE_S = 300.0
_SLICE_S = 60.0
_DESTINATIONS = 300
_PLANNED_BYTES = 60
_PHASE_NUMBER = {"L1": 1, "L2": 2, "L3": 3, "L123": 1}
"""The conductor on which zero crossings are measured: the first of three."""


class _Killed(BaseException):
    """The process would be gone here."""


class _Nobody:
    """What sits at the concentrator's place while it is down."""

    def receive(self, packet: Packet, now: float) -> None:
        """Nobody is there."""

    def receive_frame(self, lpdu: bytes, now: float) -> None:
        """Nobody is there."""

    def outgoing(self, now: float) -> Sequence[Packet]:
        """Nothing."""
        return ()

    def events(self) -> Sequence[Any]:
        """Nothing."""
        return ()

    def deadline(self) -> float | None:
        """Never."""
        return None

    def wake(self, now: float) -> None:
        """Nobody is there."""

    def interests(self) -> Interests:
        """Nobody is listened to."""
        return Interests(revision=-1)


class StreetRun:
    """``journal``: a path, or in memory; ``static``: ways are written down as the levels at the beginning give them, and nothing is
    looked for; ``capture``: takes every frame that was sent whole. Raises ConfigError, StoreError."""

    def __init__(
        self,
        plan: StreetPlan,
        *,
        journal: str | Path = ":memory:",
        static: bool = False,
        capture: CaptureWriter | None = None,
    ) -> None:
        self.plan = plan
        self.grid = Grid(plan.grid)
        self.start = plan.start.timestamp()
        self.place = str(journal)
        self.chance = Random(f"street {plan.seed}")
        self.profile = plan.profile
        numbers = [self.grid.number(plan.concentrator), *(self.grid.number(each.node) for each in plan.houses)]
        self._numbers = numbers
        self.clock_off_s = 0.0
        """By how much the concentrator's own clock is ahead."""
        self.deaf_db: dict[int, float] = {}
        """By how much receivers hear less; -1: all of them."""
        self.medium = FrameMedium(self.levels(0.0), default_curves(), seed=self.chance.getrandbits(64))
        self.wire = Wire(random=self.chance, medium=self.medium)
        weather = Weather(plan.seed)
        self.devices = [
            PowerLineDevice(
                house.kind,
                seed=plan.seed,
                index=index,
                start=self.start,
                weather=weather,
                profile=plan.profile,
                legacy=legacy_suite(plan, index),
            )
            for index, house in enumerate(plan.houses)
        ]
        self.names = {device.unique_node_id: house.node for device, house in zip(self.devices, plan.houses)}
        self.by_name = {house.node: device for device, house in zip(self.devices, plan.houses)}
        wrong = {fault.target for fault in plan.faults if fault.kind == "wrong-key"}
        self.keys = KeyTable(
            {
                device.unique_node_id: self._grant(device, name in wrong)
                for name, device in self.by_name.items()
                if name not in plan.legacy
            }
        )
        self.legacy = legacy_grants(plan, self.devices)
        self.gone: dict[str, str] = dict.fromkeys(wrong, "wrong key")
        """Houses whose readings cannot be expected now, and why."""
        self.static = self._static_ways() if static else None
        self.lives = 0
        self.settled_s = 0.0
        self.share_at_end = 0.0
        """Intervals in the journal by intervals held when the planned hours were over, before anything was asked for once more."""
        self.own: dict[str, Own] = {}
        """What each device held at the end of the planned hours."""
        self.observed = Observed(self)
        self.listener: Callable[[Sequence[Any], float], None] = lambda events, now: None
        """Is given what the concentrator tells, after it was written down."""
        self.doors_open: Callable[[list[dict[str, str]]], None] = lambda rows: None
        """Is given house, serial number, kind and addresses of each device when its local doors are open."""
        self.airtime = Airtime(self)
        self.journal = Journal(self.place, wall=self.start)
        self.concentrator: Concentrator
        self.topology: Topology
        self.care: NetworkCare
        self.port: Port | None = None
        self._make()
        self.port = self.wire.join(self.concentrator, on_events=self._told)
        phases = {node.name: _PHASE_NUMBER[node.phase] for node in plan.grid.nodes}
        assert set(PHASES) == set(_PHASE_NUMBER), "each phase has its number"
        self.port.phase = phases[plan.concentrator]
        for house, device in zip(plan.houses, self.devices):
            device.join(self.wire, phase=phases[house.node])
        if capture is not None:
            self.wire.tap(lambda now, port, lpdu: capture.write_lpdu(lpdu, time_ns=round((self.start + now) * 1e9)))
        self.troubles = Troubles(self)
        self.upgrades = Upgrades(self)
        self.orders = Orders(self)
        self._truth: Truth | None = None
        self._begin()
        self.wire.at(_LEVELS_S, self._refresh, None)
        self.wire.at(_LOOK_S, self._look, None)

    def _grant(self, device: PowerLineDevice, wrong: bool) -> Grant:
        umk = lab_umk(self.plan.seed + 1, device.unique_node_id) if wrong else device.umk
        return Grant(psk_of(umk, device.unique_node_id, NC, 1, self.profile), 1, name=device.serial, key="laboratory")

    def _static_ways(self) -> dict[bytes, Way]:
        ways = routes(self.medium.levels, default_curves(), 0, lpdu_bytes=_PLANNED_BYTES, max_legs=9)
        return {
            device.unique_node_id: tuple(Step(self.devices[leg.node - 1].unique_node_id, leg.secondary) for leg in way)
            for device, way in zip(self.devices, ways[1:])
            if way
        }

    # ---- the concentrator -------------------------------------------------------------------------------------------
    def _make(self) -> None:
        """A concentrator that knows what the journal says, and nothing else."""
        now, life = self.wire.now, self.lives
        self.lives += 1
        seed = self.plan.seed
        configuration = Configuration(NC)
        configuration.join(0, domain_entry(DOMAIN, 1, 1))
        configuration.block.last = configuration.block.last.with_(non_group_timer=15)
        chance = Random(f"concentrator {seed} {life}")
        sender = BroadcastSender(
            NC,
            DOMAIN,
            Prefixed(self.journal, "broadcast."),
            randomness=Random(f"broadcast {seed} {life}").randbytes,
            profile=self.profile,
        )
        self.topology = Topology(
            self.journal, wall=self.wall, now=now, domain=DOMAIN, place=SubnetNode(1, 1), static=self.static
        )
        self.concentrator = Concentrator(
            Stack(
                configuration, token=chance.randbytes, destinations=max(_DESTINATIONS, 2 * len(self.devices)), now=now
            ),
            self.journal,
            self.plan.config,
            random=chance,
            wall=self.wall,
            now=now,
            routes=self.topology,
            chains=self.topology.chains,
            broadcaster=sender,
            costs=LineCosts(domain_bytes=len(DOMAIN)),
            profile=self.profile,
        )
        self.care = NetworkCare(
            self.concentrator,
            self.topology,
            self.keys,
            sender,
            random=chance,
            randomness=Random(f"keys {seed} {life}").randbytes,
            heard=lambda: reading(self.wire, self._own_port()),
            damaged=lambda: self._own_port().damaged + self._own_port().lost,
            profile=self.profile,
            legacy=self.legacy,
        )
        self.broadcasts = Broadcasts(self.concentrator, self.topology, sender)
        self.firmware = Firmware(self.concentrator, self.topology, self.broadcasts, self.care.keys)
        self.observed.watch(self.concentrator)

    def _own_port(self) -> Port:
        assert self.port is not None, "who hears has joined"
        return self.port

    def _begin(self) -> None:
        self.care.begin(self.wire.now)
        self.wire.touch(self._own_port())

    def kill_concentrator(self) -> None:
        """It is gone, with all that was not in the journal."""
        self.journal.saved = None
        self.observed.concentrator_ends(self.concentrator)
        port = self._own_port()
        port.machine = _Nobody()
        self.wire.touch(port)
        if self.place != ":memory:":
            self.journal.close()

    def kill_at_commit(self, point: str) -> None:
        """Kill it at its next transaction: ``before`` or ``after`` it is durable. Needs a journal in a file."""

        def saved(at: str) -> None:
            if at == point:
                self.journal.saved = None
                raise _Killed

        self.journal.saved = saved

    def run_to(self, until_s: float, speed: Speed = "max") -> None:
        """Let time pass up to a second of the wire, kills in between included. With a speed the local doors of the plan are open."""
        if speed != "max":
            run_virtual(self._live_to(until_s), speed=speed)
            return
        while self.wire.now < until_s:
            try:
                self.wire.run(until_s)
            except _Killed:
                self.troubles.killed(self.wire.now)

    async def _live_to(self, until_s: float) -> None:
        async with AsyncExitStack() as stack:
            if self.plan.doors is not None:
                await self._open_doors(stack, self.plan.doors)
            while self.wire.now < until_s:
                try:
                    await run_live(self.wire, until_s - self.wire.now)
                except _Killed:
                    self.troubles.killed(self.wire.now)

    async def _open_doors(self, stack: AsyncExitStack, options: DoorOptions) -> None:
        offset = asyncio.get_running_loop().time() - self.wire.now
        doors = LocalDoors(self.devices, options, lambda at: at - offset)
        stack.push_async_callback(doors.close)
        await doors.open()
        self.doors_open([{"house": house.node, **row} for house, row in zip(self.plan.houses, doors.rows)])

    def start_concentrator(self) -> None:
        """A new one on the same journal. Raises StoreError."""
        if self.place != ":memory:":
            self.journal = Journal(self.place, wall=self.wall(self.wire.now))
        self._make()
        self._own_port().machine = self.concentrator
        self._begin()

    @property
    def concentrator_runs(self) -> bool:
        """Whether it is there now."""
        return self._own_port().machine is self.concentrator

    def _told(self, port: Port, events: Sequence[Any], now: float) -> None:
        self.observed.events(events, now)
        self.listener(events, now)

    # ---- as time goes by --------------------------------------------------------------------------------------------
    def wall(self, now: float) -> float:
        """UTC seconds, as the concentrator's clock has them."""
        return self.start + now + self.clock_off_s

    def levels(self, now: float) -> Levels:
        """Who hears whom now, with the noise that faults make."""
        levels = grid_levels(self.grid, self._numbers, self.grid.time_of_day_h(self.start + now))
        if not self.deaf_db:
            return levels
        everywhere = self.deaf_db.get(-1, 0.0)
        less = [everywhere + self.deaf_db.get(receiver, 0.0) for receiver in range(levels.size)]
        primary, secondary = ([[v - d for v, d in zip(row, less)] for row in table] for table in levels.ec_n0_db)
        return Levels((primary, secondary), levels.scenario)

    def rewired(self) -> None:
        """Branches were switched, or noise has come or gone."""
        self.medium.levels = self.levels(self.wire.now)

    def _refresh(self, _: Any, now: float) -> None:
        self.rewired()
        self.observed.sample(now)
        self.wire.at(now + _LEVELS_S, self._refresh, None)

    def _look(self, _: Any, now: float) -> None:
        self.troubles.look(now)
        self.upgrades.look(now)
        self.wire.at(now + _LOOK_S, self._look, None)

    def run(self, *, speed: Speed = "max", progress: Callable[[float], None] | None = None) -> None:
        """Let the planned hours pass, then let everything be asked for once more."""
        end = self.plan.hours * 3600.0
        if progress is not None:

            def tell(_: Any, now: float) -> None:
                progress(now)
                self.wire.at(now + _SLICE_S, tell, None)

            self.wire.at(self.wire.now, tell, None)
        self.run_to(end, speed)
        self.settle()

    def settle(self) -> None:
        """What meters hold now is what is to arrive; ask for it until it has, or for as long as the plan says."""
        now = self.wire.now
        collection = self.plan.config.collection
        for house in self.plan.legacy:
            suite = self.by_name[house].node.legacy
            if isinstance(suite, LegacyDevice) and suite.quarantined:
                self.gone.setdefault(house, "quarantine")
        self.observed.end(now)
        self.own = {
            name: look_at(device, now, profiles=collection.profiles, logs=collection.logs)
            for name, device in self.by_name.items()
        }
        self.share_at_end = compare(self, self.own).share
        while True:
            self._truth = compare(self, self.own)
            if self._truth.exact or self.wire.now >= now + self.plan.settle_s:
                break
            if self.concentrator_runs:
                self._hurry(self._truth)
            self.run_to(self.wire.now + _SETTLE_S)
        self.settled_s = self.wire.now - now

    def _hurry(self, truth: Truth) -> None:
        """Whatever is missing is asked for now, profiles first: registers and logs wait until they are there."""
        profiles, logs = truth.without_intervals, truth.without_events
        schedule, now = self.concentrator.schedule, self.wire.now
        for device in self.concentrator.peers:
            house = self.house_of(device)
            if house in profiles:
                schedule.hurry(device, Duty.PROFILE, now)
            elif house in logs and not profiles:
                schedule.hurry(device, Duty.BILLING, now)
        self.touch()

    def touch(self) -> None:
        """Something was ordered of the concentrator: it looks at once."""
        self.concentrator.begin(self.wire.now)
        self.wire.touch(self._own_port())

    def truth(self) -> Truth:
        """What the journal has of what the meters held at the end of the planned hours."""
        if self._truth is None:
            self.settle()
        assert self._truth is not None, "settle has compared"
        return self._truth

    # ---- what it looks like -----------------------------------------------------------------------------------------
    def house_of(self, device: int) -> str:
        """The house of a device in the journal."""
        node = self.topology.by_device(device)
        return "" if node is None else self.names.get(node.unique_node_id, "")

    def numbers(self) -> dict[str, int]:
        """Numbers in the journal by house."""
        return {self.names[row.unique_node_id]: row.number for row in self.journal.devices()}

    def ways(self) -> dict[str, tuple[str, ...]]:
        """The way to each house, as houses; without those that none is known to."""
        found = {}
        for name, house in self.names.items():
            path = self.topology.ways.known(name)
            if path:
                found[house] = tuple(self.names[step.node] for step in path)
        return found

    def phases(self) -> dict[str, tuple[int, int | None]]:
        """By house: the phase on which the grid says that it measures, and the one that was found (None: not known), both counted
        from the concentrator's, which is 1."""
        phases = {node.name: _PHASE_NUMBER[node.phase] for node in self.plan.grid.nodes}
        own = phases[self.plan.concentrator]
        found = {}
        for name, house in self.names.items():
            node = self.topology.nodes.get(name)
            seen = node.phase.found if node is not None else None
            found[house] = 1 + (phases[house] - own) % 3, None if seen is None else seen.phase
        return found

    def out_of_reach(self) -> list[str]:
        """Houses to which no chain of readable links leads in the planned grid when the street begins: nobody could read them."""
        grid = Grid(self.plan.grid)
        hops = dict(zip(grid.names, grid.hops(grid.time_of_day_h(self.start))))
        return [house.node for house in self.plan.houses if hops[house.node] is None]

    def up(self) -> int:
        """Devices that answer."""
        return sum(node.state is NodeState.UP for node in self.topology.nodes.values())

    def close(self) -> None:
        """Give the journal back."""
        self.journal.close()
