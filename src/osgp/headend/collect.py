"""The collector: visits devices by schedule and keeps what they say.

A visit has steps: registers, each load profile, each log. The bytes of a step and what was decoded from them go to the store
in one transaction, so a collector may die at any moment: what was stored stays, what was not is read again. Load profiles
and logs are read on from where the store stopped; after an outage of the collector that is all the device still holds.

One device never holds up another: each has its own task, its own retries (exponential, with jitter), and after failed visits
its own growing pause. Devices on one serial line or one host and port take turns. Project choice throughout.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

from osgp.headend.config import CollectConfig, Collection, DeviceConfig
from osgp.headend.plausibility import Past, Rules, check_reading
from osgp.headend.store import Kept, RawPart, Step, StepReading, Store
from osgp.node.device import Device, Reading
from osgp.ports.address import parse_address
from osgp.ports.opening import OpenOptions, connect
from osgp.tables.access import DoorCosts, ProcedureResult, TableAccess
from osgp.tables.bt.bt52 import BT52
from osgp.tables.logs import LogEntry
from osgp.tables.registry import table
from osgp.wire.errors import ConfigError, DecodeError, Error, LinkError, NoAnswer, ResponseError

__all__ = ["Collector", "StepStored", "Summary", "VisitEnded", "VisitRetried", "VisitStarted", "open_configured"]

log = logging.getLogger("osgp.headend.collect")

_HISTORY = 48
"""Earlier readings that plausibility looks at."""
_FIRST_LOG_ENTRIES = 8
_FACTS = {"serial_number": "serial", "firmware_version": "firmware", "model": "model"}
_CONFIGURATION = -1
"""The key under which ``Device.dimensions`` keeps the marks of ET04 (see ``Device.check_configuration``)."""

Opener = Callable[[DeviceConfig, dict[int, bytes]], AbstractAsyncContextManager[Device]]


@dataclass(frozen=True, slots=True)
class VisitStarted:
    """A visit began."""

    device: str


@dataclass(frozen=True, slots=True)
class VisitRetried:
    """Nobody answered; attempt number ``attempt`` follows after ``pause_s``."""

    device: str
    attempt: int
    pause_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class StepStored:
    """A step is on the disk; ``what``: registers, profile 1, log BT74 …"""

    device: str
    what: str
    kept: Kept


@dataclass(frozen=True, slots=True)
class VisitEnded:
    """A visit is over: ok, partial or failed; ``kept`` counts its new rows."""

    device: str
    outcome: str
    kept: Kept
    error: str = ""
    hint: str = ""


Progress = Callable[[VisitStarted | VisitRetried | StepStored | VisitEnded], None]


@dataclass(slots=True)
class Summary:
    """One round over all devices. ``errors``: devices whose visit failed or was partial."""

    devices: int = 0
    readings: int = 0
    intervals: int = 0
    events: int = 0
    raws: int = 0
    flagged: int = 0
    errors: int = 0
    seconds: float = 0.0
    outcomes: dict[str, str] = field(default_factory=dict)


class _Recording:
    """A ``TableAccess`` that remembers the bytes that were read, for the raw record of a step."""

    def __init__(self, inner: TableAccess) -> None:
        self.inner = inner
        self.parts: list[RawPart] = []

    @property
    def costs(self) -> DoorCosts:
        return self.inner.costs

    def take(self) -> list[RawPart]:
        """The parts since the last call, each content once."""
        parts, self.parts = self.parts, []
        return list(dict.fromkeys(parts))

    async def read(self, table: int) -> bytes:
        data = await self.inner.read(table)
        self.parts.append(RawPart(table, 0, data, True))
        return data

    async def read_part(self, table: int, offset: int, count: int) -> bytes:
        data = await self.inner.read_part(table, offset, count)
        self.parts.append(RawPart(table, offset, data))
        return data

    async def write(self, table: int, data: bytes) -> None:
        await self.inner.write(table, data)

    async def write_part(self, table: int, offset: int, data: bytes) -> None:
        await self.inner.write_part(table, offset, data)

    async def run(self, procedure: int, parameters: bytes = b"") -> ProcedureResult:
        return await self.inner.run(procedure, parameters)


@asynccontextmanager
async def open_configured(device: DeviceConfig, dimensions: dict[int, bytes]) -> AsyncIterator[Device]:
    """Open a device as its configuration says."""
    options = OpenOptions(
        key=device.key or None,
        key_kind=device.key_kind,
        legacy=device.legacy,
        insecure_lab=device.insecure_lab,
        dimensions=dimensions,
    )
    opened = await connect(device.address, options, blocking=False)
    try:
        yield opened
    finally:
        await opened.close()


@dataclass(slots=True)
class _Known:
    """What the collector remembers of a device between visits."""

    number: int
    dimensions: dict[int, bytes] = field(default_factory=dict)
    absent: set[str] = field(default_factory=set)
    failures: int = 0


class Collector:
    """Collects from the devices of a configuration into a store.

    ``open_device`` makes a device (tests and the demo hand in their own); ``wall`` is UTC seconds since 1970; ``progress``
    sees every event; ``rng`` spreads visits and retries. ``run_once`` visits every device once, ``run_forever`` by schedule
    until ``stop`` is set.
    """

    def __init__(
        self,
        config: CollectConfig,
        store: Store,
        *,
        open_device: Opener = open_configured,
        wall: Callable[[], float] = time.time,
        progress: Progress | None = None,
        rng: random.Random | None = None,
        name: str = "osgp collect",
    ) -> None:
        self.config = config
        self.store = store
        self.wall = wall
        self.name = name
        self._open = open_device
        self._progress = progress or (lambda event: None)
        self._rng = rng or random.Random()
        self._rules: Rules = config.rules.rules()
        self._known: dict[str, _Known] = {}
        self._lines: dict[str, asyncio.Lock] = {}
        self._gate = asyncio.Semaphore(config.at_once)

    # --- rounds

    async def run_once(self) -> Summary:
        """Visit every device once. Raises StoreError (the store cannot keep anything); devices never make it raise."""
        began = time.monotonic()
        summary = Summary(devices=len(self.config.device))
        async with asyncio.TaskGroup() as group:
            tasks = {one.name: group.create_task(self.visit(one)) for one in self.config.device}
        for name, task in tasks.items():
            ended = task.result()
            summary.outcomes[name] = ended.outcome
            summary.errors += ended.outcome != "ok"
            for part in ("readings", "intervals", "events", "raws", "flagged"):
                setattr(summary, part, getattr(summary, part) + getattr(ended.kept, part))
        summary.seconds = round(time.monotonic() - began, 3)
        return summary

    async def run_forever(self, stop: asyncio.Event) -> None:
        """Visit each device by its own schedule until ``stop`` is set; a visit under way ends its step and then stops."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._supervise(one, stop)) for one in self.config.device]
            await stop.wait()
            for task in tasks:
                task.cancel()

    async def _supervise(self, device: DeviceConfig, stop: asyncio.Event) -> None:
        wish = self.config.wish(device)
        first = True
        while not stop.is_set():
            if not first or wish.at:
                await asyncio.sleep(self.pause_before(device, wish))
            elif wish.jitter:
                await asyncio.sleep(self._rng.uniform(0, wish.jitter))
            first = False
            await self.visit(device)

    def pause_before(self, device: DeviceConfig, wish: Collection) -> float:
        """Seconds until the next visit: the schedule plus jitter, or after failures a pause that doubles up to the longest."""
        known = self._known.get(device.name)
        pause = next_pause(wish, self.wall())
        if known is not None and known.failures > 1:
            pause = max(pause, min(self.config.longest_pause, (wish.every or 900.0) * 2 ** min(known.failures - 1, 16)))
        return pause + self._rng.uniform(0, wish.jitter or 0.0)

    # --- a visit

    async def visit(self, device: DeviceConfig) -> VisitEnded:
        """One visit with its retries. Raises StoreError only."""
        async with self._gate, self._line(device):
            known = await self._remember(device)
            visit = await asyncio.to_thread(self.store.begin_visit, known.number, self.wall(), collector=self.name)
            self._progress(VisitStarted(device.name))
            kept = Kept()
            state = _VisitState(visit, kept)
            outcome, failure = "ok", None
            try:
                outcome, failure = await self._attempts(device, known, state)
            except asyncio.CancelledError:
                await asyncio.shield(
                    asyncio.to_thread(self._end, state, "interrupted", "the collector was stopped", "")
                )
                raise
            known.failures = known.failures + 1 if outcome == "failed" else 0
            message, hint = (failure.message, failure.hint) if failure is not None else ("", "")
            if not message and state.missing:
                message = "; ".join(f"{what}: {why}" for what, why in state.missing.items())
            await asyncio.to_thread(self._end, state, outcome, message, hint)
            ended = VisitEnded(device.name, outcome, kept, message, hint)
            if outcome != "ok":
                log.warning("%s: %s: %s", device.name, outcome, message)
            self._progress(ended)
            return ended

    def _end(self, state: _VisitState, outcome: str, error: str, hint: str) -> None:
        self.store.end_visit(
            state.visit, self.wall(), outcome, error=error, hint=hint, clock_deviation=state.clock_deviation
        )

    async def _attempts(self, device: DeviceConfig, known: _Known, state: _VisitState) -> tuple[str, Error | None]:
        for attempt in range(self.config.retries + 1):
            try:
                async with asyncio.timeout(self.config.visit_timeout or None):
                    async with self._open(device, dict(known.dimensions)) as opened:
                        await self._collect(device, known, opened, state)
                return ("partial" if state.missing else "ok"), None
            except TimeoutError:
                failure: Error = NoAnswer(f"the visit took longer than {self.config.visit_timeout:g} s")
            except LinkError as error:
                failure = error
            except Error as error:
                return "failed", error
            if attempt == self.config.retries:
                return "failed", failure
            pause = self.config.backoff * 2**attempt * self._rng.uniform(0.5, 1.5)
            self._progress(VisitRetried(device.name, attempt + 2, pause, failure.message))
            await asyncio.sleep(pause)
        raise AssertionError("unreachable")

    async def _remember(self, device: DeviceConfig) -> _Known:
        known = self._known.get(device.name)
        if known is None:
            address = parse_address(device.address)
            number = await asyncio.to_thread(
                self.store.add_device, device.name, address.name, door=address.door, wall=self.wall()
            )
            record = await asyncio.to_thread(self.store.device, device.name)
            dimensions = dict(record.dimensions)
            if record.configuration:
                dimensions[_CONFIGURATION] = bytes.fromhex(record.configuration)
            known = self._known[device.name] = _Known(number, dimensions)
        return known

    def _line(self, device: DeviceConfig) -> asyncio.Lock:
        """The lock of the line a device is on: two devices behind one port never talk at once."""
        address = parse_address(device.address)
        line = f"{address.line.kind} {address.line.address}" if address.line is not None else address.path
        return self._lines.setdefault(line, asyncio.Lock())

    # --- what a visit reads

    async def _collect(self, device: DeviceConfig, known: _Known, opened: Device, state: _VisitState) -> None:
        wish = self.config.wish(device)
        recording = _Recording(opened.access)
        opened.access = recording
        try:
            if not await opened.check_configuration():
                known.absent.clear()
        except ResponseError:
            if known.dimensions:  # this key may not read ET04: dimensions are read anew on each visit
                opened.forget()
        door = parse_address(device.address).door
        await self._registers(device, known, opened, recording, wish, door, state)
        for data_set in wish.profiles or ():
            await self._part(
                f"profile {data_set}", state, self._profile(device, known, opened, recording, data_set, door, state)
            )
        for name in wish.logs or ():
            await self._part(f"log {name}", state, self._log(device, known, opened, recording, name, door, state))

    async def _part(self, what: str, state: _VisitState, work: Awaitable[None]) -> None:
        """One step that the device may refuse without the visit failing."""
        try:
            await work
        except (ResponseError, ConfigError, DecodeError) as error:
            state.missing[what] = error.message
            log.info("%s: %s", what, error)

    async def _registers(
        self,
        device: DeviceConfig,
        known: _Known,
        opened: Device,
        recording: _Recording,
        wish: Collection,
        door: str,
        state: _VisitState,
    ) -> None:
        before = self.wall()
        try:
            clock = await opened.table(BT52)
            moment = clock.clock_calendar.datetime()
        except (ResponseError, DecodeError):
            moment = None
        wall = (before + self.wall()) / 2
        state.meter_time = int(moment.timestamp()) if moment is not None else int(wall)
        state.clock_deviation = None if moment is None else round(moment.timestamp() - wall, 1)
        for name in wish.tables or ():
            declared = table(name)
            if declared is not BT52:
                await self._part(name, state, _discard(recording.read(declared.number)))
        answers = await self._readings(opened, [n for n in wish.measurements or () if n not in known.absent], known)
        step = Step(self.wall(), state.meter_time, door)
        step.readings = [
            item for item in [await self._judged(device, answer, state.meter_time) for answer in answers] if item
        ]
        marks = opened.dimensions
        step.facts = {"dimensions": {n: raw for n, raw in marks.items() if n >= 0}}
        if _CONFIGURATION in marks:
            step.facts["configuration"] = marks[_CONFIGURATION].hex()
        for answer in answers:
            if answer.name in _FACTS:
                step.facts[_FACTS[answer.name]] = str(answer.value)
        known.dimensions = marks
        await self._keep(device, known, state, step, recording, "registers")

    async def _readings(self, opened: Device, names: list[str], known: _Known) -> list[Reading]:
        """All in one plan; if the device lacks one, one by one, and the missing ones are remembered."""
        try:
            return await opened.readings(*names) if names else []
        except (ResponseError, ConfigError, DecodeError):
            answers = []
            for name in names:
                try:
                    answers.extend(await opened.readings(name))
                except (ResponseError, ConfigError, DecodeError):
                    known.absent.add(name)
            return answers

    async def _judged(self, device: DeviceConfig, answer: Reading, meter_time: int) -> StepReading | None:
        """A reading with its flags; None for what is no number or text (absent values, structures)."""
        value = answer.value
        if isinstance(value, dt.datetime):
            value = value.isoformat()
        if isinstance(value, bool):
            value = int(value)
        if not isinstance(value, int | float | str):
            return None
        past: list[Past] = []
        if not isinstance(value, str):
            value = value if isinstance(value, float) else int(value)
            earlier = await asyncio.to_thread(self.store.readings, device.name, answer.name, last=_HISTORY)
            past = [Past(e.time, float(e.value), e.flags) for e in earlier if isinstance(e.value, int | float)]
        flags = check_reading(answer.name, answer.unit, meter_time, value, past, self._rules)
        return StepReading(answer.name, str(value) if isinstance(value, str) else value, answer.unit, int(flags))

    async def _profile(
        self,
        device: DeviceConfig,
        known: _Known,
        opened: Device,
        recording: _Recording,
        data_set: int,
        door: str,
        state: _VisitState,
    ) -> None:
        newest = await asyncio.to_thread(self.store.resume_from, device.name, data_set)
        since = None if newest is None else dt.datetime.fromtimestamp(newest, dt.UTC)
        profile = await opened.profile(since=since, data_set=data_set)
        step = Step(self.wall(), state.meter_time, door, profiles=[profile])
        await self._keep(device, known, state, step, recording, f"profile {data_set}")

    async def _log(
        self,
        device: DeviceConfig,
        known: _Known,
        opened: Device,
        recording: _Recording,
        name: str,
        door: str,
        state: _VisitState,
    ) -> None:
        stored = await asyncio.to_thread(self.store.events, device.name, name, last=1)
        newest = stored[0].raw if stored else None
        entries = await _entries_since(opened, name, newest)
        step = Step(self.wall(), state.meter_time, door, events=entries)
        await self._keep(device, known, state, step, recording, f"log {name}")

    async def _keep(
        self, device: DeviceConfig, known: _Known, state: _VisitState, step: Step, recording: _Recording, what: str
    ) -> None:
        step.raws = recording.take()
        # Shielded: a step that was read is stored, also when we are being stopped.
        kept = await asyncio.shield(asyncio.to_thread(self.store.keep, known.number, step, visit=state.visit))
        state.kept.add(kept)
        self._progress(StepStored(device.name, what, kept))


@dataclass(slots=True)
class _VisitState:
    """What grows during a visit, over its attempts."""

    visit: int
    kept: Kept
    meter_time: int = 0
    clock_deviation: float | None = None
    missing: dict[str, str] = field(default_factory=dict)


async def _discard(work: Awaitable[object]) -> None:
    await work


async def _entries_since(opened: Device, name: str, newest: bytes | None) -> list[LogEntry]:
    """Log entries, newest first, down to the one that is stored already (known by its bytes); all if none is."""
    if newest is None:
        return await opened.log(name)
    count = _FIRST_LOG_ENTRIES
    while True:
        entries = await opened.log(name, count)
        for place, entry in enumerate(entries):
            if entry.raw == newest:
                return entries[:place]
        if len(entries) < count:
            return entries
        count *= 4


def next_pause(wish: Collection, wall: float) -> float:
    """Seconds from ``wall`` (UTC) to the next visit by the schedule alone; ``every`` counts from the full hour of the epoch."""
    if wish.at:
        now = dt.datetime.fromtimestamp(wall, dt.UTC)
        waits = []
        for each in wish.at:
            hour, minute = map(int, each.split(":"))
            due = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
            waits.append(((due if due > now else due + dt.timedelta(days=1)) - now).total_seconds())
        return min(waits)
    every = wish.every or 900.0
    return every - wall % every
