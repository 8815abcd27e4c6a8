"""``Concentrator``: one line, its devices, a journal, in one machine without I/O but for that journal.

It has the five verbs of the ``Stack`` that it sits on, so that it joins a simulated wire, LON/IP or a power-line interface alike.
Inside, its visits and jobs are coroutines (``tasks``), which ask devices through doors (``door``) over exchanges (``exchange``).
Whatever happens, one call of a verb goes on until nobody has anything to do: the next request is with the stack when the verb returns.

Devices come from commissioning (``add_device``), ways from whoever fulfils ``Routes``. All of it is a project choice; see
``docs/design/street.md``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from osgp.app.messages import Alert
from osgp.app.profile import OsgpProfile
from osgp.app.verdict import Accepted, Refused, Verdict
from osgp.concentrator.accounts import AirtimeAccount, LineCosts
from osgp.concentrator.alert_gate import AlertGate
from osgp.concentrator.config import ConcentratorConfig
from osgp.concentrator.door import PowerLineAccess
from osgp.concentrator.exchange import Exchange, Exchanges, Peer, Priority, Routes, Sealer
from osgp.concentrator.jobs import Job, Jobs
from osgp.concentrator.journal import DeviceRow, Journal, Kept
from osgp.concentrator.own_clock import OwnClock
from osgp.concentrator.schedule import Due, Duty, Quotas, Schedule
from osgp.concentrator.tasks import Cancelled, Task, Tasks
from osgp.concentrator.visits import Visitor
from osgp.lon.address import Broadcast, Destination, SubnetNode
from osgp.lon.events import Event, MessageReceived
from osgp.lon.interests import Interests
from osgp.lon.management import Management
from osgp.lon.packet import Packet
from osgp.lon.proxy import Hop
from osgp.node.osgp_guard import GuardedManagement
from osgp.node.stack import Stack
from osgp.tables.alarms import Alarm
from osgp.tables.events import describe
from osgp.wire.errors import ConfigError, DecodeError, Error, LinkError, SecurityError, StoreError

__all__ = [
    "AlarmRaised",
    "AlertHeard",
    "Broadcaster",
    "Concentrator",
    "ConcentratorEvent",
    "DeviceSilent",
    "MessageUnused",
    "StepStored",
    "VisitEnded",
]

_JOB_RETRY_S = 5.0
_SCAN_SHARE = 0.1
"""Of the line for the alarms of devices that do not tell of them: hundreds are scanned less often than a few (project choice)."""
_SCAN_MOST_S = 2700.0
"""A device that was told nothing answers probes again after an hour (ET55.15)."""
_NOTED_S = 3600.0


@dataclass(frozen=True, slots=True)
class AlarmRaised:
    """A device shows an alarm that it did not show at the last scan."""

    device: int
    alarm: str
    severity: str
    text: str


@dataclass(frozen=True, slots=True)
class AlertHeard:
    """A device sent an alert, and its security holds; its alarms and its log are read out of turn now."""

    device: int
    alert: Alert


@dataclass(frozen=True, slots=True)
class StepStored:
    """A step of a visit is in the journal: ``new`` rows."""

    device: int
    what: str
    new: int


@dataclass(frozen=True, slots=True)
class VisitEnded:
    """A duty was fulfilled, or broke off (``error``)."""

    device: int
    duty: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class DeviceSilent:
    """A device did not answer a visit; asked again at ``until`` (monotonic seconds)."""

    device: int
    failures: int
    until: float


@dataclass(frozen=True, slots=True)
class MessageUnused:
    """A message came in that is no answer: alerts and topology are for whoever set ``message``; here nobody had."""

    event: MessageReceived


ConcentratorEvent = AlarmRaised | AlertHeard | StepStored | VisitEnded | DeviceSilent | MessageUnused


class Broadcaster(Protocol):
    """Seals broadcasts (``app.broadcast.BroadcastSender``)."""

    def seal(self, plaintext: bytes, groups: Sequence[int] = ()) -> bytes:
        """The APDU. Raises SecurityError, StorageError."""


class Concentrator:
    """A data concentrator over ``stack``.

    ``wall(now)``: our clock, UTC seconds, for a monotonic ``now``. ``random`` spreads visits and retries. ``routes``: the ways, and
    who is told how they did; ``costs``: of the line. ``broadcaster`` and ``chains`` (ways through repeaters that together reach
    everybody; empty for our own earshot) serve group commands. ``override``: whether the head-end has signed that a job passes quotas.

    ``message``: is given what comes in beside answers (alerts, service pins), and says whether it was of use.
    """

    def __init__(
        self,
        stack: Stack,
        journal: Journal,
        config: ConcentratorConfig | None = None,
        *,
        random: Random,
        wall: Callable[[float], float],
        now: float = 0.0,
        routes: Routes | None = None,
        costs: LineCosts | None = None,
        broadcaster: Broadcaster | None = None,
        chains: Callable[[], Sequence[tuple[Hop, ...]]] = lambda: ((),),
        override: Callable[[Job], bool] = lambda job: False,
        profile: OsgpProfile | None = None,
        message: Callable[[Event, float], bool] = lambda event, now: False,
    ) -> None:
        self.stack = stack
        # It reaches others through repeaters and is none: a forged chain would hold up its own requests for a minute.
        stack.proxy.is_closed = True
        if (
            type(stack.management) is Management
        ):  # nor does it take orders that anybody could give: to go offline, to move …
            stack.management = GuardedManagement(stack.configuration)
        self.journal = journal
        self.config = config or ConcentratorConfig()
        self.profile = profile or OsgpProfile()
        self.broadcaster = broadcaster
        self.chains = chains
        self.message = message
        self.ended: Callable[[Exchange, bool, float], None] = lambda exchange, answered, now: None
        """Is told of each exchange with a device that is over (``topology_care``)."""
        self.spread: Callable[[bytes, Priority], Awaitable[None]] | None = None
        """Sends a sealed broadcast to everybody (``broadcasts``), in place of ``chains``."""
        self.alerting: Callable[[int], bool] = lambda device: False
        """Whether a device tells of its alarms by itself, so that it is scanned seldom (``topology_care``)."""
        self.more_status: dict[str, Callable[[], Any]] = {}
        """What else stands in ``status``, by name."""
        self.now = now
        self.alternate_path = False
        """Whether the packet at work came on the alternate carrier."""
        self._wall = wall
        self._override = override
        self._events: list[ConcentratorEvent] = []
        self.tasks = Tasks(self._task_failed)
        self.account = AirtimeAccount(self.config.airtime_share, self.config.airtime_window_s)
        self.exchanges = Exchanges(
            stack,
            routes=routes,
            costs=costs,
            account=self.account,
            policy=self.config.exchange,
            ended=self._exchange_ended,
        )
        self.schedule = Schedule(self.config.plan, random)
        self.quotas = Quotas(self.config.quotas, journal)
        self.peers: dict[int, Peer] = {}
        self._visitors: dict[int, Visitor] = {}
        self._visits: dict[tuple[int, Duty], Task[None]] = {}
        self._rows: dict[int, DeviceRow] = {row.number: row for row in journal.devices()}
        self._last_answer: dict[int, float] = {}
        self.alerts_refused = 0
        """Alerts that were forged, recorded or damaged."""
        self.alert_gate = AlertGate(now)
        self.own_clock = OwnClock(journal, wall(now), now)
        self._alerts_noted_at = float("-inf")
        self.paused = False
        self._working = False
        self.jobs = Jobs(self)

    # ---- devices ----------------------------------------------------------------------------------------------------
    def add_device(
        self,
        unique_node_id: bytes,
        place: Destination,
        sealer: Sealer,
        now: float,
        *,
        name: str = "",
        key: str = "",
    ) -> int:
        """A device that can be reached and trusted now: it is visited from now on. Its number in the journal.

        Called again for the same device it brings another address or security. ``key``: where its key is kept, never the key.
        """
        self.now = max(self.now, now)
        subnet, node = (place.subnet, place.node) if isinstance(place, SubnetNode) else (0, 0)
        number = self.journal.add_device(
            unique_node_id, self.wall(), name=name or unique_node_id.hex(), key=key, subnet=subnet, node=node
        )
        peer = self.peers.get(number)
        if peer is None:
            self.peers[number] = Peer(number, place, sealer, unique_node_id=unique_node_id)
        else:
            peer.destination, peer.sealer = place, sealer
        if number not in self._visitors:
            row = next(row for row in self.journal.devices() if row.number == number)
            self._rows[number] = row
            self._visitors[number] = Visitor(self, row, lambda priority: self.access(number, priority))
        self.schedule.add(number, now, after=self._next_duties(number, now))
        return number

    def _next_duties(self, number: int, now: float) -> dict[Duty, float]:
        """When registers are due again, for a device that was read before a restart."""
        read = self.journal.mark(number, "billing")
        if read is None:
            return {}
        billing_s = self.config.plan.billing_s
        return {Duty.BILLING: now + min(billing_s, max(0.0, int(read) + billing_s - self.wall()))}

    def remove_device(self, number: int) -> None:
        """A device that cannot be reached or trusted now: no more visits; what it had is in the journal."""
        self.schedule.remove(number)
        for (device, _), task in list(self._visits.items()):
            if device == number:
                task.cancel()
        self.peers.pop(number, None)
        self._visitors.pop(number, None)

    def visitor(self, device: int) -> Visitor:
        """What is known of a device. Raises ConfigError for one that is not there."""
        found = self._visitors.get(device)
        if found is None:
            raise ConfigError(
                f"device {device} is not in the concentrator's care", hint="it is unknown, or not commissioned yet"
            )
        return found

    def access(self, device: int, priority: Priority) -> PowerLineAccess:
        """The door of a device, for exchanges of that class. Raises ConfigError as ``visitor``."""
        peer = self.peers.get(device)
        if peer is None:
            raise ConfigError(
                f"device {device} is not in the concentrator's care", hint="it is unknown, or not commissioned yet"
            )
        return PowerLineAccess(self.exchanges, self.tasks, peer, priority, limits=self.profile.limits)

    async def broadcast(self, plaintext: bytes, groups: tuple[int, ...], priority: Priority) -> None:
        """A secured broadcast, over every chain that is needed to reach everybody. Raises ConfigError, SecurityError."""
        if self.broadcaster is None:
            raise ConfigError("this concentrator has no broadcast key", hint="commission devices first")
        apdu = self.broadcaster.seal(plaintext, groups)
        if self.spread is not None:
            await self.spread(apdu, priority)
            return
        for hops in self.chains():
            await self.exchanges.tell(Broadcast(), apdu, priority, self.now, hops=tuple(hops), repeated=not hops)

    # ---- the five verbs ---------------------------------------------------------------------------------------------
    def receive(self, packet: Packet, now: float) -> None:
        """Take a packet."""
        self.alternate_path = bool(packet.header & 0x40)
        self.stack.receive(packet, now)
        self._work(now)

    def receive_frame(self, lpdu: bytes, now: float) -> None:
        """Take a frame without CRC."""
        self.stack.receive_frame(lpdu, now)
        self._work(now)

    def events(self) -> Sequence[ConcentratorEvent]:
        """What has happened since the last call."""
        found, self._events = self._events, []
        return found

    def outgoing(self, now: float) -> Sequence[Packet]:
        """Packets for the line, in order."""
        return self.stack.outgoing(now)

    def deadline(self) -> float | None:
        """When ``wake`` has something to do."""
        due = [self.stack.deadline(), self.tasks.deadline()]
        if not self.paused:
            due += [self.exchanges.deadline(), self.schedule.deadline(self.now)]
            wall = self.jobs.deadline()
            if wall is not None:
                due.append(max(self.now, self.now + wall - self.wall()))
        return min((each for each in due if each is not None), default=None)

    def wake(self, now: float) -> None:
        """Time has come."""
        self.stack.wake(now)
        self._work(now)

    def interests(self) -> Interests:
        """Whom the stack listens to."""
        return self.stack.interests()

    def share_line(self, waits: Callable[[bytes], bool]) -> None:
        """The line is shared: see ``Stack.share_line``."""
        self.stack.share_line(waits)

    # ---- commands ---------------------------------------------------------------------------------------------------
    def begin(self, now: float) -> None:
        """Look at once what is to be done, after commands from outside (``add_device``, ``add_job`` …)."""
        self._work(now)

    def add_job(
        self,
        kind: str,
        devices: Sequence[int],
        parameters: dict[str, Any] | None = None,
        *,
        now: float,
        priority: Priority = Priority.ON_DEMAND,
        expires_in_s: float | None = None,
        label: str = "",
    ) -> int:
        """Order something of devices; the job's number. It is in the journal when this returns. Raises ConfigError, StoreError."""
        self.now = max(self.now, now)
        number = self.jobs.add(kind, devices, parameters, priority=priority, expires_in_s=expires_in_s, label=label)
        self._work(now)
        return number

    def pause(self, now: float) -> None:
        """Send nothing more of our own: exchanges under way end, visits and jobs keep their places."""
        self.now = max(self.now, now)
        self.paused = self.exchanges.paused = True

    def resume(self, now: float) -> None:
        """Go on where everything was."""
        self.paused = self.exchanges.paused = False
        self._work(now)

    def stop(self, now: float) -> None:
        """The end: tasks are given up where they are; what is in the journal stays. The journal is the caller's to close."""
        self.pause(now)
        self.tasks.cancel_all()

    def wall(self) -> float:
        """Our clock, UTC seconds."""
        return self._wall(self.now)

    def override_is_good(self, job: Job) -> bool:
        """Whether the head-end has signed that a job passes the quotas."""
        return self._override(job)

    # ---- the machine ------------------------------------------------------------------------------------------------
    def _work(self, now: float) -> None:
        """Go on until nobody has anything to do."""
        self.now = max(self.now, now)
        if self._working:
            return
        self._working = True
        with suppress(StoreError):
            self.own_clock.look(self.wall(), self.now)
        try:
            while True:
                events = self.stack.events()
                for event in events:
                    if self.exchanges.take(event, now) or self._take_alert(event, now):
                        continue
                    if not self.message(event, now):
                        self._unused(event)
                count = self.tasks.run(now)
                if not self.paused:
                    self._begin_visits(now)
                    self.jobs.pump(now)
                    count += self.tasks.run(now)
                count += self.exchanges.pump(now)
                if not events and not count:
                    return
        finally:
            self._working = False

    def _take_alert(self, event: Event, now: float) -> bool:
        """Whether it was an alert of a device in our care. A good one is noted, and the device scanned at once; the security refuses
        what was recorded. Nothing is lost with an alert: the entry it tells of stays unread in the device's log."""
        if not isinstance(event, MessageReceived) or event.reply is not None or not event.apdu:
            return False
        senders = self._senders(event.source, event.apdu[0], now)
        if senders and not self.alert_gate.is_open(event.source, now):
            self.alert_gate.unseen += 1
            return True
        is_alert = False
        for number in senders:
            opener: Callable[[bytes], Verdict] | None = getattr(self.peers[number].sealer, "open_alert", None)
            if opener is None:
                continue
            verdict = opener(event.apdu)
            if isinstance(verdict, Accepted):
                self._alerted(number, verdict.plaintext, now)
                return True
            reason = verdict.reason if isinstance(verdict, Refused) else ""
            if reason in ("code", "length"):
                return False
            is_alert = True
            if reason == "counter":  # its tag is good: nobody else has sent it
                break
        if is_alert:
            self._alert_refused(event.source, now)
        return is_alert

    def _alert_refused(self, source: SubnetNode, now: float) -> None:
        """A forged, recorded or damaged alert is counted; many of them are told once in an hour."""
        self.alerts_refused += 1
        self.alert_gate.failed(source, now)
        if self.alert_gate.is_open(source, now) or now < self._alerts_noted_at + _NOTED_S:
            return
        self._alerts_noted_at = now
        text = f"{self.alerts_refused} alerts were forged or recorded, the latest in the name of {source}: some are not looked at now"
        with suppress(StoreError):
            self.journal.note("forged alerts", text, self.wall(), severity="warning")

    def _senders(self, source: SubnetNode, code: int, now: float) -> list[int]:
        """Who may have sent an alert: the device at ``source``, then those that are reached through it."""
        if code & ~1 != self.profile.codes.alert:
            return []
        route = self.exchanges.routes.route
        place = (source.subnet, source.node)
        ways = {each: way for each in self.peers if (way := route(each, 0, now)) is not None and way.hops}
        found = [each for each, peer in self.peers.items() if peer.destination == source]
        return found + [each for each, way in ways.items() if (way.hops[0].subnet, way.hops[0].node) == place]

    def _alerted(self, number: int, plaintext: bytes, now: float) -> None:
        try:
            alert = Alert.decode(plaintext)
        except DecodeError:
            self.alerts_refused += 1
            return
        self.visitor(number).alerted = True
        self.schedule.hurry(number, Duty.SCAN, now)
        self._events.append(AlertHeard(number, alert))
        detail = {"event": alert.event_id, "log_sequence": alert.log_sequence, "argument": alert.argument.hex()}
        with suppress(StoreError):  # the scan comes anyway, and brings the log
            text = f"an alert: {describe(alert.event_id, 0)}"
            self.journal.note("alert", text, self.wall(), device=number, detail=detail)

    def _unused(self, event: Event) -> None:
        if isinstance(event, MessageReceived):
            if event.reply is not None:
                self.stack.respond(event.reply, None, self.now)
            self._events.append(MessageUnused(event))

    def _begin_visits(self, now: float) -> None:
        while (due := self.schedule.next(now)) is not None:
            if due.device in self.jobs.unresolved:
                self.schedule.put_off(due, now, _JOB_RETRY_S)
                continue
            task = self.tasks.start(self._visit(due), now, name=f"{due.duty.value} of device {due.device}")
            self._visits[due.device, due.duty] = task

    async def _visit(self, due: Due) -> None:
        """One duty. What a device does not answer is a failure of the device; what it refuses is not."""
        visitor = self.visitor(due.device)
        error: Error | None = None
        try:
            scan = self._visits.get((due.device, Duty.SCAN))
            if due.duty is not Duty.SCAN and scan is not None:
                await scan  # both would read the log, and whatever else is new
            again_in: float | None = None
            if due.duty is Duty.SCAN:
                await visitor.scan()
                again_in = self._scan_again_s(due.device)
                if self._is_deep(visitor):
                    self.schedule.hurry(due.device, Duty.PROFILE, self.now)
            elif due.duty is Duty.BILLING:
                await visitor.billing()
                self.schedule.renewed(due.device, Duty.SCAN, self.now + self._scan_again_s(due.device))
            else:
                for data_set in self.config.collection.profiles:
                    await visitor.profile(data_set)
            self.schedule.done(due, self.now, again_in=again_in)
            if visitor.alerted:  # while it was being scanned
                self.schedule.hurry(due.device, Duty.SCAN, self.now)
        except (LinkError, SecurityError) as failure:
            error = failure
            until = self.schedule.failed(due, self.now)
            self._events.append(DeviceSilent(due.device, self.schedule.failures(due.device), until))
        except StoreError as failure:
            # Nothing is lost: what could not be kept has not been marked read.
            error = failure
            self.schedule.put_off(due, self.now, self.config.plan.retry_s)
        except Error as failure:
            error = failure
            self.schedule.done(due, self.now)
        except Cancelled:
            self.schedule.put_off(due, self.now, 0.0)
            raise
        finally:
            self._visits.pop((due.device, due.duty), None)
        self._events.append(VisitEnded(due.device, due.duty.value, error.message if error is not None else ""))

    def _scan_again_s(self, device: int) -> float:
        """The interval of the plan; more where scans of all devices without alerts would take above ``_SCAN_SHARE`` of the line, but
        none so long that a device thinks that nobody talks to it."""
        plan = self.config.plan
        if self.alerting(device):
            return max(plan.scan_s, plan.alerting_scan_s)
        usage = self.account.by_class.get(Priority.ALARM.name.lower())
        if usage is None or not usage.exchanges:
            return plan.scan_s
        round_s = usage.airtime_s / usage.exchanges * sum(not self.alerting(each) for each in self.peers)
        return max(plan.scan_s, min(round_s / _SCAN_SHARE, _SCAN_MOST_S))

    @staticmethod
    def _is_deep(visitor: Visitor) -> bool:
        """Whether more than one block of a load profile is unread."""
        return any(depth > 1 for depth in visitor.unread.values())

    def alarms(self, device: int, alarms: list[Alarm]) -> None:
        """See ``visits.Services``."""
        self._events.extend(AlarmRaised(device, each.key, each.severity, each.text) for each in alarms)

    def stored(self, device: int, what: str, kept: Kept) -> None:
        """See ``visits.Services``."""
        self._events.append(StepStored(device, what, kept.total))

    def _exchange_ended(self, exchange: Exchange, answered: bool, now: float) -> None:
        if answered:
            self._last_answer[exchange.peer.device] = now
            if exchange.is_sealed:
                self.schedule.heard(exchange.peer.device, now)
        self.ended(exchange, answered, now)

    def _task_failed(self, task: Task[Any], error: BaseException) -> None:
        """A task that nobody waits for broke: errors of ours are noted, mistakes of the program are not hidden."""
        if not isinstance(error, Error):
            raise error
        try:
            self.journal.note("task", f"{task.name} broke off: {error.message}", self.wall(), severity="warning")
        except StoreError:
            self._events.append(VisitEnded(-1, task.name, error.message))

    # ---- what it looks like -------------------------------------------------------------------------------------------
    def status(self, *, notices_after: int = 0) -> dict[str, Any]:
        """Everything for pages and sockets, as plain data."""
        return {
            "name": self.config.name,
            "now": self.now,
            "wall": self.wall(),
            "paused": self.paused,
            "airtime": {
                "total": self.account.total.to_json(),
                "by_class": {name: usage.to_json() for name, usage in sorted(self.account.by_class.items())},
            },
            "exchanges": {"in_flight": self.exchanges.in_flight, "waiting": self.exchanges.waiting()},
            "visits": [{"device": device, "duty": duty.value} for device, duty in self._visits],
            "devices": [self.device_status(number) for number in sorted(self._rows)],
            "jobs": self.jobs.status(),
            "notices": [each.to_json() for each in self.journal.notices(after=notices_after)],
            "own_clock": {"trusted": self.own_clock.is_trusted, "jumped_s": round(self.own_clock.jumped_s, 1)},
            "alerts_refused": self.alerts_refused,
            "alerts_unseen": self.alert_gate.unseen,
            "counters_in_doubt": self.journal.counters_in_doubt,
            **{name: tell() for name, tell in self.more_status.items()},
        }

    def device_status(self, number: int) -> dict[str, Any]:
        """What ``status`` says of one device, by its number in the journal."""
        row, visitor, peer = self._rows[number], self._visitors.get(number), self.peers.get(number)
        usage = self.account.by_device.get(number)
        route = self.exchanges.routes.route(number, 0, self.now) if peer is not None else None
        return {
            "number": number,
            "name": row.name,
            "unique_node_id": row.unique_node_id.hex(),
            "place": None if peer is None else str(peer.destination),
            "in_care": peer is not None,
            "route": None if route is None else [str(hop) for hop in route.hops],
            "failures": self.schedule.failures(number),
            "last_answer": self._last_answer.get(number),
            "due": self.schedule.due(number),
            "drift_s": None if visitor is None else visitor.drift_s,
            "missing": {} if visitor is None else dict(visitor.missing),
            "airtime": None if usage is None else usage.to_json(),
        }
