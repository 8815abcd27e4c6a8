"""A concentrator alive: on an event loop, over LON/IP or a simulated line, with its journal and its status socket. Project choice.

``Running`` joins what the other modules of this package are; it alone knows the clock and the network. A stop is clean: tasks are
given up where they are, what is known is in the journal, the socket is gone. Killed, it goes on from the journal at the next start.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import dataclasses
import secrets
import time
from collections.abc import Callable, Mapping
from itertools import chain, repeat
from random import Random
from typing import Any, Protocol

from osgp.app.broadcast import BroadcastSender
from osgp.app.memory import Prefixed
from osgp.app.profile import OsgpProfile
from osgp.concentrator.broadcasts import Broadcasts
from osgp.concentrator.commission_vault import ServiceKeys
from osgp.concentrator.core import AlarmRaised, Concentrator, DeviceSilent, StepStored, VisitEnded
from osgp.concentrator.exchange import Priority
from osgp.concentrator.firmware import Firmware
from osgp.concentrator.journal import Journal
from osgp.concentrator.map_history import KeptHistory
from osgp.concentrator.orders import DEVICE_ORDERS, ordered
from osgp.concentrator.outlook import asked_device, asked_table, shapes
from osgp.concentrator.run_config import LonIpLine, RunConfig, SimulatedLine
from osgp.concentrator.status_socket import Feed, StatusSocket
from osgp.concentrator.topology import Topology
from osgp.concentrator.topology_care import NetworkCare
from osgp.lon.address import SubnetNode
from osgp.lon.configuration import Configuration, domain_entry
from osgp.node.link_register import UNHEARD, Heard
from osgp.node.stack import Stack
from osgp.ports.lonip_port import LonIpPort
from osgp.sim.local_doors import LocalDoors
from osgp.sim.medium import FrameMedium, line_levels
from osgp.sim.pl_device import PowerLineDevice
from osgp.sim.reading import reading
from osgp.sim.wire import Port, Wire
from osgp.sim.wire_live import run_live
from osgp.wire.errors import ConfigError

__all__ = ["Line", "Running", "run"]

_SETTLE_S = 0.2
_NAME_DIGITS = 12
_DEVICES_HINT = "osgp concentrator devices lists them"
_HARD = Heard(0.0, 30.0)
"""How everything is heard on a line that tells no strength: well."""
_SEEN_OTHERWISE = ("alarm", "address", "forged broadcast")
"""Kinds of notices that come as other events, too."""
_MOST_NOTICES = 1000
_EVENTS = (AlarmRaised, DeviceSilent, StepStored, VisitEnded)


class Line(Protocol):
    """What carries a concentrator's packets."""

    def now(self) -> float:
        """Monotonic seconds, the machine's."""

    def flush(self) -> None:
        """The machine was commanded: send what it has to say."""

    async def close(self) -> None:
        """The end."""


class _LonIp:
    def __init__(self, port: LonIpPort) -> None:
        self.port = port
        self.name = port.name

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def flush(self) -> None:
        self.port.flush()

    async def close(self) -> None:
        self.port.close()
        await self.port.wait_closed()


class _Simulated:
    """A wire that lives on the loop; its time begins with zero."""

    def __init__(self, given: SimulatedLine, profile: OsgpProfile) -> None:
        loop = asyncio.get_running_loop()
        levels = line_levels(len(given.devices) + 1, first_db=given.first_db, step_db=given.step_db)
        self.name = f"simulated line of {len(given.devices)} devices"
        self.wire = Wire(random=Random(given.seed), medium=FrameMedium(levels, seed=given.seed))
        self.offset = loop.time()
        self.port: Port | None = None
        self.phases = given.phases
        self.devices = [
            PowerLineDevice(kind, seed=given.seed, index=index, start=time.time(), profile=profile)
            for index, kind in enumerate(given.devices)
        ]
        self._task: asyncio.Task[None] | None = None
        self.doors = None if given.doors is None else LocalDoors(self.devices, given.doors, lambda at: at - self.offset)

    def join(self, concentrator: Concentrator, told: Callable[[Any], None]) -> None:
        """Everybody comes on the line, the concentrator first."""

        def on_events(port: Port, events: Any, now: float) -> None:
            for event in events:
                told(event)

        self.port = self.wire.join(concentrator, on_events=on_events)
        self.port.phase = 1
        for device, phase in zip(self.devices, chain(self.phases, repeat(1))):
            device.join(self.wire, phase=phase)
        self._task = asyncio.create_task(run_live(self.wire))

    def heard(self) -> Heard:
        return reading(self.wire, self.port) if self.port is not None else UNHEARD

    def now(self) -> float:
        return max(self.wire.now, asyncio.get_running_loop().time() - self.offset)

    def flush(self) -> None:
        if self.port is not None:
            self.wire.touch(self.port)

    async def close(self) -> None:
        if self.doors is not None:
            await self.doors.close()
        while self._task is not None and not self._task.done():
            self._task.cancel()  # wait_for of Python 3.11 loses one that comes just when something woke it
            await asyncio.wait([self._task], timeout=_SETTLE_S)


class Running:
    """One concentrator under way. Made by ``open``; ``close`` ends it cleanly."""

    def __init__(self, config: RunConfig, journal: Journal, now: float, heard: Callable[[], Heard]) -> None:
        self.config = config
        self.journal = journal
        self.feed = Feed()
        profile, random = config.profile, Random(secrets.randbits(64))
        configuration = Configuration(config.unique_node_id)
        configuration.join(0, domain_entry(config.domain, config.subnet, config.node))
        configuration.block.last = configuration.block.last.with_(non_group_timer=15)
        wall = self._wall_of(now)
        self.sender = BroadcastSender(
            config.unique_node_id,
            config.domain,
            Prefixed(journal, "broadcast."),
            randomness=secrets.token_bytes,
            profile=profile,
        )
        place = SubnetNode(config.subnet, config.node)
        self.topology = Topology(
            journal,
            wall=wall,
            now=now,
            domain=config.domain,
            place=place,
            static=config.ways.ways if config.ways is not None else None,
            static_backups=config.ways.backups if config.ways is not None else None,
        )
        self.concentrator = Concentrator(
            Stack(configuration, token=secrets.token_bytes, quiet_s=0.0, destinations=300, now=now),
            journal,
            config.concentrator,
            random=random,
            wall=wall,
            now=now,
            routes=self.topology,
            chains=self.topology.chains,
            broadcaster=self.sender,
            profile=profile,
        )
        self.care = NetworkCare(
            self.concentrator,
            self.topology,
            config.keys,
            self.sender,
            random=random,
            randomness=secrets.token_bytes,
            heard=heard,
            profile=profile,
            legacy=config.legacy,
        )
        self.broadcasts = Broadcasts(self.concentrator, self.topology, self.sender)
        self.firmware = Firmware(self.concentrator, self.topology, self.broadcasts, self.care.keys)
        self.history = KeptHistory(journal)
        self._trouble = ""
        self._noticed = max((each.number for each in journal.notices(last=1)), default=0)
        if isinstance(config.keys, ServiceKeys):
            self.concentrator.more_status["keys"] = config.keys.status
        self.doors: list[dict[str, str]] = []
        """Local doors of simulated devices: serial, kind, addresses."""
        self.line: Line | None = None
        self.name = ""
        self.socket = StatusSocket(config.socket, self.handle, self.feed, self._refresh)

    @staticmethod
    def _wall_of(begun: float) -> Callable[[float], float]:
        """Our clock for a monotonic moment: that of the system now, so that its corrections are followed."""
        monotonic = time.monotonic
        offset = begun - monotonic()
        return lambda at: time.time() + (at - offset - monotonic())

    @classmethod
    async def open(cls, config: RunConfig) -> Running:
        """Begin. Raises ConfigError, PortClosed, StoreError."""
        simulated = _Simulated(config.line, config.profile) if isinstance(config.line, SimulatedLine) else None
        now = simulated.now() if simulated is not None else asyncio.get_running_loop().time()
        journal = Journal(config.journal, wall=time.time())
        try:
            found = cls(config, journal, now, simulated.heard if simulated is not None else lambda: _HARD)
            await found.socket.open()
            try:
                await found._join(simulated)
            except BaseException:
                await found.socket.close()
                raise
        except BaseException:
            journal.close()
            raise
        return found

    async def _join(self, simulated: _Simulated | None) -> None:
        if simulated is not None:
            if simulated.doors is not None:
                await simulated.doors.open()
                self.doors = simulated.doors.rows
            simulated.join(self.concentrator, self._told)
            self.line, self.name = simulated, simulated.name
        else:
            assert isinstance(self.config.line, LonIpLine)
            given = self.config.line
            port = await LonIpPort.open(
                self.concentrator,
                given.host,
                given.port,
                own=given.own,
                listeners=given.listeners,
                multicast=given.multicast,
                on_event=self._told,
            )
            self.line, self.name = _LonIp(port), port.name
        self.care.begin(self.line.now())
        self.line.flush()

    async def close(self) -> None:
        """The end: nothing new is begun, what is known is kept, socket and line are given back."""
        await self.socket.close()
        assert self.line is not None
        self.concentrator.pause(self.line.now())
        await asyncio.sleep(_SETTLE_S)
        self.care.end()
        wall, now = self.concentrator.wall(), self.line.now()
        self.history.look(wall, lambda: self.topology.status(now), at_once=True)
        self.concentrator.stop(self.line.now())
        self.line.flush()
        await self.line.close()
        if isinstance(self.config.keys, ServiceKeys):
            self.config.keys.close()
        self.journal.close()

    # ---- what has happened ------------------------------------------------------------------------------------------
    def _told(self, event: Any) -> None:
        if isinstance(event, _EVENTS):
            content = dataclasses.asdict(event)
            self.feed.add(_snake(type(event).__name__), self.concentrator.wall(), **content)
        self._refresh()

    def _refresh(self) -> None:
        """What topology and journal have to tell."""
        wall = self.concentrator.wall()
        if self.journal.latest_notice > self._noticed:
            for notice in self.journal.notices(after=self._noticed, last=_MOST_NOTICES):
                self._noticed = notice.number
                if notice.kind not in _SEEN_OTHERWISE:
                    self.feed.add(
                        "notice", notice.wall, severity=notice.severity, text=notice.text, device=notice.device
                    )
        for event in self.topology.events():
            at = wall - (self.concentrator.now - event.at)
            name = event.unique_node_id.hex()
            self.feed.add("topology", at, unique_node_id=name, what=event.what, text=event.text)
        self.history.look(wall, lambda: self.topology.status(self.concentrator.now))
        keys = self.config.keys
        if isinstance(keys, ServiceKeys) and keys.trouble != self._trouble:
            self._trouble = keys.trouble
            self.feed.add("keys", wall, text=keys.trouble or "keys are granted again")

    # ---- questions --------------------------------------------------------------------------------------------------
    def handle(self, asked: Mapping[str, Any]) -> Any:
        """The result of a question from the socket. Raises ConfigError for what cannot be done."""
        what = asked["do"]
        found = _QUESTIONS.get(what)
        if found is None:
            known = ", ".join(["events", *_QUESTIONS])
            raise ConfigError(f"there is nothing to do of the name {what!r:.40}", hint=f"known: {known}")
        assert self.line is not None
        now = self.line.now()
        self.concentrator.now = max(self.concentrator.now, now)
        try:
            return found(self, asked, now)
        finally:
            self.line.flush()

    def _status(self, asked: Mapping[str, Any], now: float) -> Any:
        return {**self.concentrator.status(), "line": self.name, "journal": self.journal.counts()}

    def _devices(self, asked: Mapping[str, Any], now: float) -> Any:
        return {"devices": self.concentrator.status()["devices"], "topology": self.topology.status(now)}

    def _device(self, asked: Mapping[str, Any], now: float) -> Any:
        return asked_device(asked, self.concentrator, self.topology, now)

    def _table(self, asked: Mapping[str, Any], now: float) -> Any:
        return asked_table(asked, self.concentrator, self.topology)

    def _history(self, asked: Mapping[str, Any], now: float) -> Any:
        return [step.to_json() for step in self.history.steps()]

    def _shapes(self, asked: Mapping[str, Any], now: float) -> Any:
        simulated = self.line.devices if isinstance(self.line, _Simulated) else []
        return shapes(self.concentrator, {each.unique_node_id.hex(): each.kind.name for each in simulated})

    def _doors(self, asked: Mapping[str, Any], now: float) -> Any:
        return self.doors

    def _jobs(self, asked: Mapping[str, Any], now: float) -> Any:
        return self.concentrator.jobs.status()

    def _job(self, asked: Mapping[str, Any], now: float) -> Any:
        number = _number(asked, "number")
        found = self.concentrator.jobs.status(number)
        if not found:
            raise ConfigError(f"there is no job {number}", hint="osgp concentrator jobs lists them")
        job = dict(found[0])
        if job["kind"] == "firmware":
            job["parameters"] = {name: value for name, value in job["parameters"].items() if name != "orders"}
            job["summary"] = self.firmware.status().get(str(number), {})
        return job

    def _submit(self, asked: Mapping[str, Any], now: float) -> Any:
        devices = self._wanted(asked)
        parameters = asked.get("parameters", {})
        if not isinstance(parameters, Mapping):
            raise ConfigError("the parameters of a job are an object")
        expires = asked.get("expires_in_s")
        number = self.concentrator.add_job(
            str(asked.get("kind")),
            devices,
            dict(parameters),
            now=now,
            priority=_priority(asked.get("priority", "on_demand")),
            expires_in_s=None if expires is None else float(expires),
            label=str(asked.get("label", "")),
        )
        return {"number": number}

    def _firmware(self, asked: Mapping[str, Any], now: float) -> Any:
        try:
            image = base64.b64decode(asked.get("image", ""), validate=True)
            orders = {
                self._number_of(device): bytes.fromhex(order) for device, order in asked.get("orders", {}).items()
            }
        except (binascii.Error, ValueError, TypeError, AttributeError) as error:
            raise ConfigError("image is base64, orders are hexadecimal by device number or unique_node_id") from error
        number = self.firmware.add(
            image,
            self._wanted(asked),
            orders,
            now=now,
            priority=_priority(asked.get("priority", "housekeeping")),
            label=str(asked.get("label", "")),
        )
        return {"number": number}

    def _wanted(self, asked: Mapping[str, Any]) -> list[int]:
        """Devices by number or unique_node_id, all in care without any."""
        given = asked.get("devices")
        if given is None:
            return sorted(self.concentrator.peers)
        if not isinstance(given, list) or not all(type(each) in (int, str) for each in given):
            raise ConfigError("devices are a list of numbers or unique_node_ids", hint=_DEVICES_HINT)
        return [self._number_of(each) for each in given]

    def _number_of(self, given: int | str) -> int:
        """The number of a device, which may be given by its unique_node_id (12 hex digits)."""
        if isinstance(given, int) or (len(given) < _NAME_DIGITS and given.isdigit()):
            return int(given)
        rows = self.concentrator.status()["devices"]
        found = next((row["number"] for row in rows if row["unique_node_id"] == given.lower()), None)
        if found is None:
            raise ConfigError(f"there is no device {given!r:.40} here", hint=_DEVICES_HINT)
        return int(found)

    def _pause(self, asked: Mapping[str, Any], now: float) -> Any:
        if asked.get("job") is None:
            self.concentrator.pause(now)
        else:
            self.concentrator.jobs.pause(_number(asked, "job"))
        return {}

    def _resume(self, asked: Mapping[str, Any], now: float) -> Any:
        if asked.get("job") is None:
            self.concentrator.resume(now)
        else:
            self.concentrator.jobs.resume(_number(asked, "job"))
            self.concentrator.begin(now)
        return {}

    def _confirm_clock(self, asked: Mapping[str, Any], now: float) -> Any:
        self.concentrator.own_clock.confirm(self.concentrator.wall())
        return {}

    def _device_order(self, asked: Mapping[str, Any], now: float) -> Any:
        return ordered(self.care, asked, now)

    def _notices(self, asked: Mapping[str, Any], now: float) -> Any:
        after, last = asked.get("after", 0), asked.get("last", _MOST_NOTICES)
        if not all(type(each) is int and each >= 0 for each in (after, last)):
            raise ConfigError("after and last are numbers of notices")
        kind = asked.get("kind")
        found = self.journal.notices(after=after, last=last, kind=None if kind is None else str(kind))
        return [each.to_json() for each in found]

    def _cancel(self, asked: Mapping[str, Any], now: float) -> Any:
        self.concentrator.jobs.cancel(_number(asked, "job"))
        return {}


_QUESTIONS: dict[str, Callable[[Running, Mapping[str, Any], float], Any]] = {
    "status": Running._status,
    "devices": Running._devices,
    "doors": Running._doors,
    "device": Running._device,
    "table": Running._table,
    "history": Running._history,
    "shapes": Running._shapes,
    "jobs": Running._jobs,
    "job": Running._job,
    "submit": Running._submit,
    "firmware": Running._firmware,
    "pause": Running._pause,
    "resume": Running._resume,
    "cancel": Running._cancel,
    "confirm_clock": Running._confirm_clock,
    "notices": Running._notices,
    **dict.fromkeys(DEVICE_ORDERS, Running._device_order),
}


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


def _number(asked: Mapping[str, Any], name: str) -> int:
    found = asked.get(name)
    if type(found) is not int:
        raise ConfigError(f"{name} is the number of a job, not {found!r:.40}")
    return found


def _priority(name: Any) -> Priority:
    try:
        return Priority[str(name).upper()]
    except KeyError as error:
        known = ", ".join(each.name.lower() for each in Priority)
        raise ConfigError(f"there is no priority {name!r:.40}", hint=f"known: {known}") from error


async def run(config: RunConfig, stop: asyncio.Event, ready: Callable[[Running], None] = lambda running: None) -> None:
    """A concentrator until ``stop`` is set; ``ready`` is called when it is under way. Raises as ``Running.open``."""
    running = await Running.open(config)
    try:
        ready(running)
        await stop.wait()
    finally:
        await running.close()
