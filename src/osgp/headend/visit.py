"""What one visit reads from a device, step by step: registers, each load profile, each log. Project choice.

A step is read, then handed to the store with the bytes it was made of, as one transaction; a long load profile is several
steps, oldest first. Whatever ends a visit, what was handed over stays, and the next visit goes on behind it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field

from osgp.headend.config import Collection, DeviceConfig
from osgp.headend.plausibility import Flag, Past, Rules, check_clock, check_reading
from osgp.headend.store import Kept, Step, StepReading, Store
from osgp.node.device import Device, Reading
from osgp.ports.address import parse_address
from osgp.tables.bt.bt52 import BT52
from osgp.tables.logs import LogEntry
from osgp.tables.recording import RecordingAccess
from osgp.tables.registry import table
from osgp.tables.services import Busy, InvalidSequence, WrongState
from osgp.wire.errors import ConfigError, DecodeError, ResponseError

__all__ = ["AGAIN", "CONFIGURATION", "DeviceVisit", "Known", "StepGuard", "VisitState"]

log = logging.getLogger("osgp.headend.collect")

CONFIGURATION = -1
"""The key under which ``Device.dimensions`` keeps the marks of ET04 (see ``Device.check_configuration``)."""

AGAIN = (Busy, WrongState, InvalidSequence)
"""Answers that say nothing of the table asked for: a later attempt, in a new session, may well succeed."""

_HISTORY = 48
"""Earlier readings that plausibility looks at."""
_FIRST_LOG_ENTRIES = 8
_FACTS = {"serial_number": "serial", "firmware_version": "firmware", "model": "model"}


@dataclass(slots=True)
class Known:
    """What the collector remembers of a device between visits. ``absent``: measurements that it does not have."""

    number: int
    dimensions: dict[int, bytes] = field(default_factory=dict)
    serial: str = ""
    absent: set[str] = field(default_factory=set)
    failures: int = 0


@dataclass(slots=True)
class VisitState:
    """What grows during a visit, over its attempts. ``missing``: step or table → why it could not be read. ``silent``: given up
    because nobody answered."""

    visit: int | None = None
    kept: Kept = field(default_factory=Kept)
    meter_time: int = 0
    clock_deviation: float | None = None
    missing: dict[str, str] = field(default_factory=dict)
    silent: bool = False


class StepGuard:
    """Which tasks are in the middle of a step. Once ``stopping``, a task ends its step and is cancelled at the end of it."""

    def __init__(self) -> None:
        self.stopping = False
        self.busy: set[asyncio.Task[object]] = set()

    @contextmanager
    def step(self) -> Iterator[None]:
        """Around a step. Raises CancelledError behind it if the collector is stopping."""
        task = asyncio.current_task()
        assert task is not None
        self.busy.add(task)
        try:
            yield
        finally:
            self.busy.discard(task)
        self.check()

    def check(self) -> None:
        """Between the parts of a step, each of which is stored. Raises CancelledError if the collector is stopping."""
        if self.stopping:
            raise asyncio.CancelledError


class DeviceVisit:
    """One attempt at one device that is open. ``run`` raises what the door raises, StoreError, and CancelledError."""

    def __init__(
        self,
        device: DeviceConfig,
        wish: Collection,
        known: Known,
        opened: Device,
        state: VisitState,
        *,
        store: Store,
        rules: Rules,
        wall: Callable[[], float],
        guard: StepGuard,
        stored: Callable[[str, Kept], None],
    ) -> None:
        self.device = device
        self.wish = wish
        self.known = known
        self.opened = opened
        self.state = state
        self.store = store
        self.rules = rules
        self.wall = wall
        self.guard = guard
        self.stored = stored
        self.door = parse_address(device.address).door
        self.recording = RecordingAccess(opened.access)
        opened.access = self.recording

    async def run(self) -> None:
        """All steps. What the device refuses is noted in ``state.missing``, and the rest is read."""
        opened = self.opened
        with self.guard.step():
            try:
                if not await opened.check_configuration():
                    self.known.absent.clear()
            except AGAIN:
                raise
            except ResponseError:
                if self.known.dimensions:  # this key may not read ET04: dimensions are read anew on each visit
                    opened.forget()
            await self._registers()
        for data_set in self.wish.profiles or ():
            with self.guard.step():
                await self._part(f"profile {data_set}", self._profile(data_set))
        for name in self.wish.logs or ():
            with self.guard.step():
                await self._part(f"log {name}", self._log(name))
        if self.recording.parts:  # bytes that could not be decoded are worth keeping most of all
            await self._keep(self._step(), "bytes")

    async def _part(self, what: str, work: Awaitable[object]) -> None:
        """One step that the device may refuse without the visit failing."""
        try:
            await work
        except (WrongState, InvalidSequence):
            raise
        except (ResponseError, ConfigError, DecodeError) as error:
            self.state.missing[what] = error.message
            log.info("%s: %s: %s", self.device.name, what, error)

    def _step(self) -> Step:
        return Step(self.wall(), self.state.meter_time, self.door)

    async def _keep(self, step: Step, what: str) -> None:
        step.raws = self.recording.take()
        marks = self.opened.dimensions
        if marks != self.known.dimensions:
            step.facts["dimensions"] = {number: raw for number, raw in marks.items() if number >= 0}
            if CONFIGURATION in marks:
                step.facts["configuration"] = marks[CONFIGURATION].hex()
        # Shielded: a step that was read is stored, also when we are being stopped.
        kept = await asyncio.shield(asyncio.to_thread(self.store.keep, self.known.number, step, visit=self.state.visit))
        self.known.dimensions = marks
        self.state.kept.add(kept)
        self.stored(what, kept)

    # --- registers

    async def _registers(self) -> None:
        state = self.state
        before = self.wall()
        try:
            moment = (await self.opened.table(BT52)).clock_calendar.datetime()
        except AGAIN:
            raise
        except (ResponseError, DecodeError):
            moment = None
        wall = (before + self.wall()) / 2
        state.meter_time = int(moment.timestamp()) if moment is not None else int(wall)
        state.clock_deviation = None if moment is None else round(moment.timestamp() - wall, 1)
        for name in self.wish.tables or ():
            declared = table(name)
            if declared is not BT52:
                await self._part(name, self.recording.read(declared.number))
        answers = await self._readings()
        serial = _serial_of(answers)
        replaced = bool(serial and self.known.serial and serial != self.known.serial)
        if replaced:
            log.warning("%s: meter %s instead of %s", self.device.name, serial, self.known.serial)
            self.known.absent.clear()
            self.opened.forget()
            await self.opened.check_configuration()
            answers = await self._readings()
        step = self._step()
        step.readings = await asyncio.to_thread(self._judged, answers, replaced)
        for answer in answers:
            if answer.name in _FACTS:
                step.facts[_FACTS[answer.name]] = str(answer.value)
        await self._keep(step, "registers")
        self.known.serial = serial or self.known.serial

    async def _readings(self) -> list[Reading]:
        """All in one plan; if the device lacks one, one by one, and the missing ones are remembered."""
        names = [name for name in self.wish.measurements or () if name not in self.known.absent]
        try:
            return await self.opened.readings(*names) if names else []
        except AGAIN:
            raise
        except (ResponseError, ConfigError, DecodeError):
            answers = []
            for name in names:
                try:
                    answers.extend(await self.opened.readings(name))
                except AGAIN:
                    raise
                except (ResponseError, ConfigError, DecodeError) as error:
                    self.known.absent.add(name)
                    log.info("%s has no %s: %s", self.device.name, name, error)
            return answers

    def _judged(self, answers: list[Reading], replaced: bool) -> list[StepReading]:
        """Readings with their flags, without what is no number or text (absent values, structures). Asks the store once."""
        time = self.state.meter_time
        values = [(answer, value) for answer in answers if (value := _plain(answer.value)) is not None]
        numbers = [answer.name for answer, value in values if not isinstance(value, str)]
        earlier = {} if replaced else self.store.recent(self.device.name, numbers, last=_HISTORY, until=time)
        clock = check_clock(self.state.clock_deviation, self.rules)
        found: list[StepReading] = []
        for answer, value in values:
            flags = Flag(0)
            if not isinstance(value, str):
                past = [
                    Past(each.time, float(each.value), each.flags)
                    for each in earlier.get(answer.name, ())
                    if isinstance(each.value, int | float)
                ]
                self._reach_back(answer.name, value, past)
                flags = check_reading(answer.name, answer.unit, time, value, past, self.rules) | clock
            if replaced:
                flags |= Flag.REPLACED
            found.append(StepReading(answer.name, value, answer.unit, int(flags)))
        return found

    def _reach_back(self, name: str, value: float, past: list[Past]) -> None:
        """Where readings are so frequent that the newest ones do not reach back as far as the rule for frozen values looks."""
        time, limit = self.state.meter_time, self.rules.frozen_s
        if not limit or len(past) < _HISTORY or time - past[0].time >= limit or any(p.value != value for p in past):
            return
        since = self.store.unchanged_since(self.device.name, name, value, since=time - 2 * limit, until=time)
        if since is not None and since < past[0].time:
            past.insert(0, Past(since, value))

    # --- what time left behind

    async def _profile(self, data_set: int) -> None:
        time = self.state.meter_time
        newest = await asyncio.to_thread(self.store.resume_from, self.device.name, data_set, until=time)
        since = None if newest is None else dt.datetime.fromtimestamp(newest, dt.UTC)
        now = dt.datetime.fromtimestamp(time, dt.UTC)
        async with aclosing(self.opened.profile_pieces(since=since, now=now, data_set=data_set)) as pieces:
            async for piece in pieces:
                step = self._step()
                step.profiles = [piece]
                await self._keep(step, f"profile {data_set}")
                self.guard.check()

    async def _log(self, name: str) -> None:
        stored = await asyncio.to_thread(self.store.events, self.device.name, name, last=1)
        step = self._step()
        step.events = await _entries_since(self.opened, name, stored[0].raw if stored else None)
        await self._keep(step, f"log {name}")


def _serial_of(answers: list[Reading]) -> str:
    return next(
        (str(answer.value).strip() for answer in answers if answer.name == "serial_number" and answer.value), ""
    )


def _plain(value: object) -> int | float | str | None:
    """A value as the store keeps it; None for what is none."""
    if isinstance(value, dt.datetime):
        return value.isoformat()
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        return value
    return int(value) if isinstance(value, int) else None


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
