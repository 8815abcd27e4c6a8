"""What is read from a device, and kept before the device is told that it may forget it. Project choice.

Three kinds of visits, coroutines over the same ``node.Device`` as at every other door: a *scan* (BT03, the alarms), a *billing* visit
(configuration, clock, registers, logs), and a *profile* visit (what is new in a load profile, by the mark in the journal). Each
step is in the journal, with the bytes it was made of, before the next begins; only then are unread pointers moved (BP05). So a visit
that breaks off anywhere loses nothing, and the next goes on behind what is kept.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from osgp.concentrator.clockwork import ClockAction, clock_action, correct, drift_of
from osgp.concentrator.config import ConcentratorConfig
from osgp.concentrator.door import PowerLineAccess
from osgp.concentrator.exchange import Priority
from osgp.concentrator.journal import DeviceRow, Journal, Kept, RawPart, Step, StepReading
from osgp.concentrator.tasks import Tasks
from osgp.node.device import Device, Reading
from osgp.tables.access import DoorCosts, ProcedureResult
from osgp.tables.alarms import Alarm, active_alarms
from osgp.tables.bt.bt00 import BT00
from osgp.tables.bt.bt03 import BT03
from osgp.tables.bt.bt52 import BT52
from osgp.tables.bt.bt63 import BT63
from osgp.tables.logs import LogEntry
from osgp.tables.procedures.bp05 import BP05
from osgp.tables.profile import read_profile_pieces
from osgp.tables.registry import table
from osgp.wire import layout_of
from osgp.wire.errors import ConfigError, DecodeError, ResponseError

__all__ = ["CONFIGURATION", "Services", "Visitor"]

CONFIGURATION = -1
"""The key under which ``Device.dimensions`` keeps the marks of ET04."""
_FIRST_ENTRIES = 8
_BP05_LISTS = {"BT26": 2, "BT74": 7}
_EVENT_LOG = "BT74"
_UNREAD = {"lp1_unread": 1, "lp2_unread": 2, "lp3_unread": 3, "lp4_unread": 4}
_NO_NEWS = (*_UNREAD, "event_log_unread")
_FACTS = {"serial_number": "serial", "firmware_version": "firmware", "model": "model"}
_REFUSED = (ResponseError, ConfigError, DecodeError)


class Services(Protocol):
    """What visits need of the machine around them."""

    @property
    def config(self) -> ConcentratorConfig: ...

    @property
    def journal(self) -> Journal: ...

    @property
    def tasks(self) -> Tasks: ...

    def wall(self) -> float:
        """Our clock, UTC seconds."""

    def alarms(self, device: int, alarms: list[Alarm]) -> None:
        """Alarms that were not there at the last scan."""

    def stored(self, device: int, what: str, kept: Kept) -> None:
        """A step is in the journal."""


class _Recording:
    """A ``TableAccess`` that remembers the bytes read, for the raw record of a step."""

    def __init__(self, inner: PowerLineAccess) -> None:
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
        self.parts.append(RawPart(table, 0, data))
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


@dataclass(slots=True)
class Visitor:
    """What is known of one device between its visits, and the visits. Made from its row in the journal.

    ``missing``: what the device does not have or refuses, with the reason; forgotten when its configuration changes. ``alerted``: it
    has sent an alert, and the next scan reads its log, whatever BT03 says.
    """

    services: Services
    row: DeviceRow
    access_for: Callable[[Priority], PowerLineAccess]
    dimensions: dict[int, bytes] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    status: bytes = b""
    current: list[Alarm] | None = None
    unread: dict[int, int] = field(default_factory=dict)
    drift_s: float | None = None
    alerted: bool = False

    def __post_init__(self) -> None:
        self.dimensions = dict(self.row.dimensions)
        status = self.services.journal.mark(self.row.number, "BT03")
        self.status = bytes.fromhex(status) if status else b""

    @property
    def number(self) -> int:
        """The device's number in the journal."""
        return self.row.number

    def device(self, priority: Priority) -> Device:
        """The device as a user holds it. Each visit has one of its own; what it learns of dimensions is shared afterwards."""
        access = self.access_for(priority)
        device = Device(access, name=self.row.name, dimensions=self.dimensions)
        access.size_of = device.size_of
        return device

    def _open(self, priority: Priority) -> tuple[Device, _Recording]:
        device = self.device(priority)
        recording = _Recording(device.access)  # type: ignore[arg-type]  # ``device`` has put it there
        device.access = recording
        return device, recording

    # ---- scan -------------------------------------------------------------------------------------------------------
    async def scan(self) -> list[Alarm]:
        """Read BT03; alarms that are new are told and kept. What it shows as unread is remembered for the schedule."""
        alerted, self.alerted = self.alerted, False
        try:
            return await self._scan(alerted)
        except BaseException:
            self.alerted |= alerted
            raise

    async def _scan(self, alerted: bool) -> list[Alarm]:
        device, recording = self._open(Priority.ALARM)
        raw = await device.raw(BT03.number)
        fresh: list[Alarm] = []
        if raw == self.status and self.current is not None:
            recording.take()
        else:
            fresh = await self._changed(device, recording, raw)
        assert self.current is not None
        keys = {each.key for each in self.current}
        self.unread = {
            data_set: max(1, self.unread.get(data_set, 1)) for key, data_set in _UNREAD.items() if key in keys
        }
        if fresh:
            self.services.alarms(self.number, fresh)
        if "event_log_unread" in keys or fresh or alerted:
            await self._part("log BT74", lambda: self._log(device, recording, _EVENT_LOG))
        return fresh

    async def _changed(self, device: Device, recording: _Recording, raw: bytes) -> list[Alarm]:
        """BT03 is not what it was, or not decoded yet: what it says is kept, with a notice for each alarm that is new."""
        layout = layout_of(BT03, await device.knows(BT00))
        current = active_alarms(layout.decode(raw))
        before = set()
        if self.status:
            with suppress(DecodeError):  # of another configuration: everything is new
                before = {each.key for each in active_alarms(layout.decode(self.status))}
        fresh = [each for each in current if each.key not in before and each.key not in _NO_NEWS]
        step = self._step(recording, int(self.services.wall()))
        step.marks["BT03"] = raw.hex()
        journal, wall = self.services.journal, self.services.wall()
        with journal.batch():
            self._keep(device, step, "scan")
            for alarm in fresh:
                journal.note(
                    "alarm",
                    alarm.text,
                    wall,
                    device=self.number,
                    severity=alarm.severity,
                    detail={"alarm": alarm.key},
                )
        self.status, self.current = raw, current
        return fresh

    # ---- billing ----------------------------------------------------------------------------------------------------
    async def billing(self) -> None:
        """Configuration, clock, registers, logs. What the device refuses is noted in ``missing``, and the rest is read."""
        device, recording = self._open(Priority.BILLING)
        try:
            if not await device.check_configuration():
                self.missing.clear()
        except ResponseError:
            device.forget()
        meter_time = await self._clock(device)
        step = self._step(recording, meter_time)
        answers = await self._readings(device)
        step.readings = [
            StepReading(each.name, value, each.unit) for each in answers if (value := _plain(each.value)) is not None
        ]
        for each in answers:
            if each.name in _FACTS:
                step.facts[_FACTS[each.name]] = str(each.value)
        step.raws = recording.take()
        self._keep(device, step, "registers")
        for log in self.services.config.collection.logs:
            await self._part(f"log {log}", lambda log=log: self._log(device, recording, log))  # type: ignore[misc]  # default
        # Only now: a visit that is killed before its end is made again at once.
        wall = self.services.wall()
        self.services.journal.keep(Step(self.number, meter_time, wall, marks={"billing": str(int(wall))}))

    async def _clock(self, device: Device) -> int:
        """Read and, if need be, correct the clock; the meter's time after that."""
        services, policy = self.services, self.services.config.clock
        try:
            shown = (await device.table(BT52)).clock_calendar.datetime()
        except _REFUSED as error:
            self.missing["BT52"] = error.message
            return int(services.wall())
        wall = services.wall()
        if shown is None:
            return int(wall)
        self.drift_s = drift = drift_of(shown, wall)
        action = clock_action(drift, policy)
        if action is None:
            return int(wall + drift)
        try:
            await correct(device, action, services.wall(), policy)
        except _REFUSED as error:
            self._note_clock(action, f"could not be corrected: {error.message}", "warning")
            return int(wall + drift)
        self._note_clock(action, "is corrected", "warning" if action.kind == "step" else "info")
        if action.kind == "step":
            self.drift_s = 0.0
            return int(services.wall())
        return int(wall + drift)

    def _note_clock(self, action: ClockAction, what: str, severity: str) -> None:
        self.services.journal.note(
            f"clock {action.kind}",
            f"the clock was {abs(action.drift_s):.0f} s {'ahead' if action.drift_s > 0 else 'behind'} and {what}",
            self.services.wall(),
            device=self.number,
            severity=severity,
            detail={"drift_s": round(action.drift_s, 1)},
        )

    async def _readings(self, device: Device) -> list[Reading]:
        """All in one plan; if the device lacks one, one by one, and the missing ones are remembered."""
        names = [name for name in self.services.config.collection.measurements if name not in self.missing]
        if not names:
            return []
        try:
            return await device.readings(*names)
        except _REFUSED:
            answers: list[Reading] = []
            for name in names:
                try:
                    answers += await device.readings(name)
                except _REFUSED as error:
                    self.missing[name] = error.message
            return answers

    # ---- logs and profiles ------------------------------------------------------------------------------------------
    async def _part(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        """Something that the device may refuse without the visit failing."""
        if what in self.missing:
            return
        try:
            await work()
        except _REFUSED as error:
            self.missing[what] = error.message

    async def _log(self, device: Device, recording: _Recording, log: str) -> None:
        """Entries that are not in the journal yet, kept; then the unread pointer is moved."""
        newest = self.services.journal.mark(self.number, f"log {log}")
        entries = await _entries_since(device, log, bytes.fromhex(newest) if newest else None)
        step = self._step(recording, int(self.services.wall()))
        if entries:
            step.marks[f"log {log}"] = entries[0].raw.hex()
            step.events = [(log, each) for each in entries[::-1]]
            self._keep(device, step, f"log {log}")
            await self._mark_read(device, _BP05_LISTS.get(log), len(entries))

    async def profile(self, data_set: int = 1) -> int:
        """What is new in a load profile, oldest first, in pieces; how many intervals came.

        The mark in the journal tells where to go on. Blocks that are complete and kept are marked read in the device.
        """
        what = f"profile {data_set}"
        if what in self.missing:
            return 0
        device, recording = self._open(Priority.PROFILE)
        journal, services = self.services.journal, self.services
        mark = journal.mark(self.number, what)
        since = None if mark is None else dt.datetime.fromtimestamp(int(mark), dt.UTC)
        now = dt.datetime.fromtimestamp(services.wall(), dt.UTC)
        count, unread = 0, None
        size = services.config.plan.profile_bytes
        try:
            async for piece in read_profile_pieces(device, data_set=data_set, since=since, now=now, size=size):
                raws = recording.take()
                if unread is None:
                    unread = self._unread_blocks(device, raws, data_set)
                step = self._step(recording, int(services.wall()))
                step.raws = raws
                step.profiles = [piece]
                if len(piece):
                    step.marks[what] = str(max(piece.epochs()))
                self._keep(device, step, what)
                count += len(piece)
        except (ResponseError, ConfigError) as error:
            self.missing[what] = error.message
            return count
        if unread:
            await self._mark_read(device, 2 + data_set, unread)
        self.unread.pop(data_set, None)
        return count

    def _unread_blocks(self, device: Device, raws: list[RawPart], data_set: int) -> int:
        """Unread blocks that are complete, from the first BT63 that was read."""
        span = layout_of(BT63, device.context).span(f"sets[{data_set - 1}]")
        for part in raws:
            if part.table == BT63.number and part.offset == span.offset and len(part.content) >= span.size:
                record: Any = layout_of(BT63, device.context).decode_span(span, part.content[: span.size])
                return max(0, int(record.nbr_unread_blocks) - 1)
        return 0

    async def _mark_read(self, device: Device, kind: int | None, count: int) -> None:
        """Tell the device that entries of a list are taken (BP05); only what is in the journal comes here."""
        if kind is None or not count:
            return
        try:
            await device.run(BP05.number, list_type=kind, entries_read=min(count, 0xFFFF))
        except (ResponseError, ConfigError) as error:
            self.missing["BP05"] = error.message

    # ---- inside -----------------------------------------------------------------------------------------------------
    def _step(self, recording: _Recording, meter_time: int) -> Step:
        return Step(self.number, meter_time, self.services.wall(), raws=recording.take())

    def _keep(self, device: Device, step: Step, what: str) -> None:
        marks = device.dimensions
        if marks != self.dimensions:
            step.dimensions = marks
        kept = self.services.journal.keep(step)
        self._learned(device)
        self.services.stored(self.number, what, kept)

    def _learned(self, device: Device) -> None:
        self.dimensions = device.dimensions


def _plain(value: object) -> int | float | str | None:
    """A value as the journal keeps it; None for what is none."""
    if isinstance(value, dt.datetime):
        return value.isoformat()
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        return value
    return int(value) if isinstance(value, int) else None


async def _entries_since(device: Device, name: str, newest: bytes | None) -> list[LogEntry]:
    """Log entries, newest first, down to the one that is kept already (known by its bytes); all if none is."""
    if newest is None:
        return await device.log(table(name))
    count = _FIRST_ENTRIES
    while True:
        entries = await device.log(table(name), count)
        for place, entry in enumerate(entries):
            if entry.raw == newest:
                return entries[:place]
        if len(entries) < count:
            return entries
        count *= 4
