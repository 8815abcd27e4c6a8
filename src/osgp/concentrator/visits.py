"""What is read from a device, and kept before the device is told that it may forget it. Project choice.

Three kinds of visits, coroutines over the same ``node.Device`` as at every other door: a *scan* (BT03, the alarms, and what waits to
be read), a *billing* visit (a scan, configuration, registers, logs), and a *profile* visit (the clock, and what is new in a load
profile, by the mark in the journal). Each step is in the journal, with the bytes it was made of, before the next begins; only then
are unread pointers moved (BP05). So a visit that breaks off anywhere loses nothing, and the next goes on behind what is kept.

Airtime is scarce, so that nothing is read twice that can be known: what a configuration fixes is kept until ET04 tells of another one,
the next interval is read from its place, a log only where something in it is unread.
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
from osgp.concentrator.journal import DeviceRow, Journal, Kept, Step, StepReading
from osgp.concentrator.own_clock import OwnClock
from osgp.concentrator.tasks import Tasks
from osgp.node.device import Device, Reading
from osgp.tables.alarms import Alarm, active_alarms
from osgp.tables.bt.bt00 import BT00
from osgp.tables.bt.bt03 import BT03
from osgp.tables.bt.bt52 import BT52
from osgp.tables.bt.bt63 import BT63
from osgp.tables.logs import log_since
from osgp.tables.procedures.bp05 import BP05
from osgp.tables.profile import Place, Profile, read_profile_pieces
from osgp.tables.profile_following import read_following
from osgp.tables.recording import RawPart, RecordingAccess
from osgp.tables.registry import table
from osgp.wire import layout_of
from osgp.wire.errors import ConfigError, DecodeError, ResponseError

__all__ = ["CONFIGURATION", "Services", "Visitor"]

CONFIGURATION = -1
"""The key under which ``Device.dimensions`` keeps the marks of ET04."""
_CLOCK_AGE = 1.5
"""Intervals of billing after which a clock that no other visit has read is read again."""
_FRESH_S = 600.0
_BP05_LISTS = {"BT26": 2, "BT74": 7}
_EVENT_LOG = "BT74"
_UNREAD = {"lp1_unread": 1, "lp2_unread": 2, "lp3_unread": 3, "lp4_unread": 4}
_LOG_UNREAD = "event_log_unread"
_NO_NEWS = (*_UNREAD, _LOG_UNREAD)
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

    @property
    def own_clock(self) -> OwnClock: ...

    def wall(self) -> float:
        """Our clock, UTC seconds."""

    def alarms(self, device: int, alarms: list[Alarm]) -> None:
        """Alarms that were not there at the last scan."""

    def stored(self, device: int, what: str, kept: Kept) -> None:
        """A step is in the journal."""


_Recording = RecordingAccess[PowerLineAccess]


@dataclass(slots=True)
class Visitor:
    """What is known of one device between its visits, and the visits. Made from its row in the journal.

    ``missing``: what the device does not have or refuses, with the reason; ``facts``: readings that its configuration fixes, such as
    its serial number; ``places``: where the newest interval of a load profile stands that is kept. All of it is forgotten when its
    configuration changes. ``owed``: complete blocks that are kept, and of which the device has not been told. ``alerted``: it has sent
    an alert, and the next scan reads its log, whatever BT03 says. ``tells_unread``: BT03 has shown unread entries before, as old
    firmware does not. ``clock_at``: our time when its clock was looked at.
    """

    services: Services
    row: DeviceRow
    access_for: Callable[[Priority], PowerLineAccess]
    dimensions: dict[int, bytes] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Reading] = field(default_factory=dict)
    places: dict[int, Place] = field(default_factory=dict)
    owed: dict[int, int] = field(default_factory=dict)
    energy_unit: int | None = None
    status: bytes = b""
    current: list[Alarm] | None = None
    unread: dict[int, int] = field(default_factory=dict)
    drift_s: float | None = None
    clock_at: float | None = None
    alerted: bool = False
    tells_unread: bool = False

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
        return self._device(priority)[0]

    def _device(self, priority: Priority) -> tuple[Device, PowerLineAccess]:
        access = self.access_for(priority)
        device = Device(access, name=self.row.name, dimensions=self.dimensions, energy_unit=self.energy_unit)
        access.size_of = device.size_of
        return device, access

    def _open(self, priority: Priority) -> tuple[Device, _Recording]:
        device, access = self._device(priority)
        device.access = recording = RecordingAccess(access)
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
        self.tells_unread |= _LOG_UNREAD in keys
        self.unread = {
            data_set: max(1, self.unread.get(data_set, 1)) for key, data_set in _UNREAD.items() if key in keys
        }
        if fresh:
            self.services.alarms(self.number, fresh)
        if fresh or alerted:
            await self._part("log BT74", lambda: self._log(device, recording, _EVENT_LOG))
        return fresh

    async def _changed(self, device: Device, recording: _Recording, raw: bytes) -> list[Alarm]:
        """BT03 is not what it was, or not decoded yet: what it says is kept, with a notice for each alarm that is new."""
        if CONFIGURATION not in self.dimensions:  # before anything else is learnt, so that it holds afterwards
            await self._check(device)
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
        """Alarms, configuration, clock, registers, logs. What the device refuses is noted in ``missing``, and the rest is read."""
        await self.scan()
        device, recording = self._open(Priority.BILLING)
        await self._check(device)
        wall = self.services.wall()
        old = wall - _CLOCK_AGE * self.services.config.plan.billing_s
        if self.clock_at is None or not old < self.clock_at <= wall:
            await self._clock(device)
        meter_time = int(self.services.wall() + (self.drift_s or 0.0))
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
            if log != _EVENT_LOG or not self._has_read_all():
                await self._part(f"log {log}", lambda log=log: self._log(device, recording, log))  # type: ignore[misc]  # default
        # Only now: a visit that is killed before its end is made again at once.
        wall = self.services.wall()
        self.services.journal.keep(Step(self.number, meter_time, wall, marks={"billing": str(int(wall))}))

    async def _check(self, device: Device) -> None:
        """Forget what was known of another configuration."""
        try:
            holds = await device.check_configuration(version_only=True)
        except ResponseError:
            device.forget()
            holds = False
        if not holds:
            for known in (self.missing, self.facts, self.places):
                known.clear()
            self.energy_unit = None

    def _has_read_all(self) -> bool:
        """Whether the scan has just said that nothing in the event log is unread, and the device is one that says it."""
        if self.current is None or self.services.journal.mark(self.number, f"log {_EVENT_LOG}") is None:
            return False
        return self.tells_unread and all(each.key != _LOG_UNREAD for each in self.current)

    async def _shown(self, device: Device) -> float | None:
        """What the clock shows now, as ``_clock``; one that has just been looked at is not read again."""
        wall = self.services.wall()
        if self.clock_at is None or self.drift_s is None or not self.clock_at <= wall < self.clock_at + _FRESH_S:
            return await self._clock(device)
        return wall + self.drift_s - 1.0

    async def _clock(self, device: Device) -> float | None:
        """Read and, if need be, correct the clock; what it showed, UTC seconds, None if that was nothing or holds no more."""
        services, policy = self.services, self.services.config.clock
        try:
            shown = (await device.table(BT52)).clock_calendar.datetime()
        except _REFUSED as error:
            self.missing["BT52"] = error.message
            return None
        if shown is None:
            return None
        wall = services.wall()
        self.drift_s = drift = drift_of(shown, wall)
        services.own_clock.vote(self.number, drift, wall)
        self.clock_at = wall if services.own_clock.is_trusted else None
        action = clock_action(drift, policy) if services.own_clock.is_trusted else None
        if action is None:
            return shown.timestamp()
        try:
            await correct(device, action, services.wall(), policy)
        except _REFUSED as error:
            self._note_clock(action, f"could not be corrected: {error.message}", "warning")
            return None
        self._note_clock(action, "is corrected", "warning" if action.kind == "step" else "info")
        if action.kind == "step":
            self.drift_s = 0.0
        return None

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
        """All in one plan; if the device lacks one, one by one, and the missing ones are remembered. Facts are read once."""
        wanted = [name for name in self.services.config.collection.measurements if name not in self.missing]
        names = [name for name in wanted if name not in self.facts]
        if not names:
            return list(self.facts.values())
        try:
            answers = await device.readings(*names)
        except _REFUSED:
            answers = []
            for name in names:
                try:
                    answers += await device.readings(name)
                except _REFUSED as error:
                    self.missing[name] = error.message
        self.facts.update((each.name, each) for each in answers if each.name in _FACTS)
        return [*answers, *(self.facts[name] for name in wanted if name in self.facts and name not in names)]

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
        entries, unread = await log_since(device, table(log), bytes.fromhex(newest) if newest else None)
        step = self._step(recording, int(self.services.wall()))
        if entries:
            step.marks[f"log {log}"] = entries[0].raw.hex()
            step.events = [(log, each) for each in entries[::-1]]
            self._keep(device, step, f"log {log}")
        await self._mark_read(recording, _BP05_LISTS.get(log), unread)

    async def profile(self, data_set: int = 1) -> int:
        """What is new in a load profile, oldest first, in pieces; how many intervals came.

        The mark in the journal tells where to go on. Blocks that are complete and kept are marked read in the device.
        """
        what = f"profile {data_set}"
        if what in self.missing:
            return 0
        device, recording = self._open(Priority.PROFILE)
        try:
            count = await self._following(device, recording, data_set)
            if count is None:
                count = await self._pieces(device, recording, data_set)
        except (ResponseError, ConfigError) as error:
            self.missing[what] = error.message
            return 0
        owed = self.owed.get(data_set, 0)
        if owed:
            await self._mark_read(recording, 2 + data_set, owed)
            self.owed.pop(data_set)
        self.unread.pop(data_set, None)
        return count

    async def _following(self, device: Device, recording: _Recording, data_set: int) -> int | None:
        """What came behind the interval whose place is known; None if none is, or it is not there any more."""
        place, what = self.places.get(data_set), f"profile {data_set}"
        if place is None or self.services.journal.mark(self.number, what) != str(place.end):
            return None
        shown = await self._shown(device)
        piece = await read_following(device.access, place, shown) if shown is not None else None
        if piece is None or piece.place is None:
            self.places.pop(data_set, None)
            return None
        if len(piece):
            self._keep_piece(device, recording, piece)
        self.places[data_set] = piece.place
        self.owed[data_set] = self.owed.get(data_set, 0) + (piece.place.block != place.block)
        return len(piece)

    async def _pieces(self, device: Device, recording: _Recording, data_set: int) -> int:
        """What came after the newest interval that is kept, wherever it is now."""
        mark = self.services.journal.mark(self.number, f"profile {data_set}")
        since = None if mark is None else dt.datetime.fromtimestamp(int(mark), dt.UTC)
        now = dt.datetime.fromtimestamp(self.services.wall(), dt.UTC)
        count, unread = 0, None
        size = self.services.config.plan.profile_bytes
        async for piece in read_profile_pieces(device, data_set=data_set, since=since, now=now, size=size):
            if unread is None:
                unread = self._unread_blocks(device, recording.parts, data_set)
            self._keep_piece(device, recording, piece)
            if piece.place is not None:
                self.places[data_set] = piece.place
            count += len(piece)
        self.owed[data_set] = unread or 0
        return count

    def _keep_piece(self, device: Device, recording: _Recording, piece: Profile) -> None:
        what = f"profile {piece.data_set}"
        step = self._step(recording, int(self.services.wall()))
        step.profiles = [piece]
        if len(piece):
            step.marks[what] = str(max(piece.epochs()))
        self._keep(device, step, what)

    def _unread_blocks(self, device: Device, raws: list[RawPart], data_set: int) -> int:
        """Unread blocks that are complete, from the first BT63 that was read."""
        span = layout_of(BT63, device.context).span(f"sets[{data_set - 1}]")
        for part in raws:
            if part.table == BT63.number and part.offset == span.offset and len(part.content) >= span.size:
                record: Any = layout_of(BT63, device.context).decode_span(span, part.content[: span.size])
                return max(0, int(record.nbr_unread_blocks) - 1)
        return 0

    async def _mark_read(self, recording: _Recording, kind: int | None, count: int) -> None:
        """Tell the device that entries of a list are taken (BP05); only what is in the journal comes here."""
        if kind is None or not count:
            return
        parameters = BP05.Parameters(list_type=kind, entries_read=min(count, 0xFFFF)).encode()
        try:
            await recording.inner.order(BP05.number, parameters)
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
        self.dimensions, self.energy_unit = device.dimensions, device.energy_unit


def _plain(value: object) -> int | float | str | None:
    """A value as the journal keeps it; None for what is none."""
    if isinstance(value, dt.datetime):
        return value.isoformat()
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        return value
    return int(value) if isinstance(value, int) else None
