"""When which device is visited, and how much of what is allowed. Project choice, after ``spec/osgp-application.md`` 3.11.

Every device has three duties that come back: a scan for alarms, its registers, its load profile. What is due goes by class, and within
a class by how long it has been due, so that nobody is forgotten. Devices that do not answer are asked less and less, all duties of a
device together; one answer, and it has all its duties back. A load profile is read sooner where more is unread. How much airtime
patient classes take is the exchanges' affair (``accounts.AirtimeAccount``); quotas of commands are here.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from random import Random
from typing import NamedTuple

from osgp.concentrator.config import Plan, Quota
from osgp.concentrator.exchange import Priority
from osgp.concentrator.journal import Journal
from osgp.tables.procedures.ep02 import EP02
from osgp.wire.errors import DecodeError

__all__ = ["CONTACTOR_OPEN", "Due", "Duty", "Quotas", "Schedule", "command_class"]

CONTACTOR_OPEN = "contactor-open"
COMMAND = "command"


class Duty(Enum):
    """What comes back for each device."""

    SCAN = "scan"
    BILLING = "billing"
    PROFILE = "profile"


PRIORITY = {Duty.SCAN: Priority.ALARM, Duty.BILLING: Priority.BILLING, Duty.PROFILE: Priority.PROFILE}
_ORDER = (Duty.SCAN, Duty.BILLING, Duty.PROFILE)


class Due(NamedTuple):
    """A duty that may begin: since when it has been due."""

    device: int
    duty: Duty
    since: float


@dataclass(slots=True)
class _Device:
    """``due``: when each duty is next; ``running``: duties under way; ``deferred``: put off because the device is silent until
    ``silent_until``."""

    due: dict[Duty, float]
    running: set[Duty] = field(default_factory=set)
    deferred: set[Duty] = field(default_factory=set)
    failures: int = 0
    silent_until: float = 0.0


class Schedule:
    """Who is next. ``random`` spreads first visits and retries, so that devices that failed together do not come back together."""

    def __init__(self, plan: Plan, random: Random) -> None:
        self.plan = plan
        self._random = random
        self._devices: dict[int, _Device] = {}
        self._heaps: dict[Duty, list[tuple[float, int]]] = {duty: [] for duty in Duty}
        self.visits = 0

    def __len__(self) -> int:
        return len(self._devices)

    def interval(self, duty: Duty) -> float:
        """Seconds between two of a kind."""
        plan = self.plan
        return {Duty.SCAN: plan.scan_s, Duty.BILLING: plan.billing_s, Duty.PROFILE: plan.profile_s}[duty]

    def add(self, device: int, now: float, *, after: Mapping[Duty, float] | None = None) -> None:
        """A device that can be reached now. ``after``: when duties are next, from before a restart; others are due within their share
        ``spread`` of the interval. One that is there already keeps its times, but is asked again at once if it was silent."""
        known = self._devices.get(device)
        if known is not None:
            self._heard(device, known, now)
            return
        due = {
            duty: (after or {}).get(duty, now + self._random.uniform(0.0, self.plan.spread * self.interval(duty)))
            for duty in _ORDER
        }
        self._devices[device] = _Device(due)
        for duty, when in due.items():
            self._push(device, duty, when)

    def remove(self, device: int) -> None:
        """A device that cannot be reached any more. Its entries are skipped when their time comes."""
        self._devices.pop(device, None)

    def _push(self, device: int, duty: Duty, when: float) -> None:
        self._devices[device].due[duty] = when
        heapq.heappush(self._heaps[duty], (when, device))

    # ---- what is next -----------------------------------------------------------------------------------------------
    def next(self, now: float) -> Due | None:
        """The most urgent duty that is due and may begin, taken as begun; None if there is none now."""
        for duty in _ORDER:
            if duty is not Duty.SCAN and self.visits >= self.plan.visits_at_once:
                continue
            found = self._next_of(duty, now)
            if found is not None:
                device = self._devices[found.device]
                device.running.add(duty)
                if duty is not Duty.SCAN:
                    self.visits += 1
                return found
        return None

    def _next_of(self, duty: Duty, now: float) -> Due | None:
        heap = self._heaps[duty]
        aside: list[tuple[float, int]] = []
        found: Due | None = None
        while heap and heap[0][0] <= now:
            when, number = heapq.heappop(heap)
            device = self._devices.get(number)
            if device is None or device.due[duty] != when or duty in device.running:
                continue
            if device.silent_until > now:
                device.deferred.add(duty)
                self._push(number, duty, device.silent_until)
            elif duty is not Duty.SCAN and device.running - {Duty.SCAN}:
                aside.append((when, number))
            else:
                found = Due(number, duty, when)
                break
        for entry in aside:
            heapq.heappush(heap, entry)
        return found

    def deadline(self, now: float) -> float | None:
        """When something may become due; never a time at which ``next`` would say no because others are under way."""
        found: float | None = None
        for duty in _ORDER:
            if duty is not Duty.SCAN and self.visits >= self.plan.visits_at_once:
                continue
            for when, number in self._soonest(duty):
                device = self._devices[number]
                if duty is not Duty.SCAN and device.running - {Duty.SCAN}:
                    continue
                if found is None or when < found:
                    found = when
                break
        return found

    def _soonest(self, duty: Duty) -> Iterable[tuple[float, int]]:
        heap = self._heaps[duty]
        while heap:
            when, number = heap[0]
            device = self._devices.get(number)
            if device is None or device.due[duty] != when or duty in device.running:
                heapq.heappop(heap)
                continue
            break
        if heap:
            yield heap[0]
            # A heap is sorted only at its head; the few behind a busy device are looked at in full order.
            for when, number in heapq.nsmallest(2 + 2 * self.plan.visits_at_once, heap)[1:]:
                known = self._devices.get(number)
                if known is not None and known.due[duty] == when and duty not in known.running:
                    yield when, number

    # ---- how it went ------------------------------------------------------------------------------------------------
    def done(self, due: Due, now: float, *, again_in: float | None = None) -> None:
        """A duty is fulfilled; it comes back after its interval, or sooner."""
        device = self._ended(due)
        if device is None:
            return
        device.deferred.discard(due.duty)
        interval = self.interval(due.duty) if again_in is None else again_in
        # From when it was due, so that a day has as many as it should; not so if it is far behind.
        following = due.since + interval
        self._push(due.device, due.duty, following if following > now else now + min(interval, self.interval(due.duty)))
        self._heard(due.device, device, now)

    def _heard(self, number: int, device: _Device, now: float) -> None:
        """A device is there: what was put off while it was silent is due."""
        device.failures = 0
        device.silent_until = now
        for duty in device.deferred - device.running:
            self._push(number, duty, now)
        device.deferred.clear()

    def heard(self, device: int, now: float) -> None:
        """A device that was silent has answered something that was no duty: it has all its duties back."""
        known = self._devices.get(device)
        if known is not None and known.failures and not known.running:
            self._heard(device, known, now)

    def retry(self, device: int, now: float) -> None:
        """There is something new about a device that is silent (another way): its duties are tried now. If that is in vain, it waits
        longer than before all the same."""
        known = self._devices.get(device)
        if known is None or known.silent_until <= now:
            return
        known.silent_until = now
        for duty in known.deferred - known.running:
            self._push(device, duty, now)

    def failed(self, due: Due, now: float) -> float:
        """A device did not answer; when it is asked again. Each failure in a row doubles the wait."""
        device = self._ended(due)
        if device is None:
            return now
        device.failures += 1
        plan = self.plan
        wait = min(plan.retry_most_s, plan.retry_s * 2.0 ** min(device.failures - 1, 30))
        device.silent_until = now + wait * self._random.uniform(0.9, 1.1)
        device.deferred.add(due.duty)
        self._push(due.device, due.duty, device.silent_until)
        return device.silent_until

    def renewed(self, device: int, duty: Duty, until: float) -> None:
        """A duty that is not under way was fulfilled along with another one."""
        known = self._devices.get(device)
        if known is not None and duty not in known.running and known.due[duty] < until:
            self._push(device, duty, until)

    def put_off(self, due: Due, now: float, seconds: float) -> None:
        """Not this time, for no fault of the device."""
        if self._ended(due) is not None:
            self._push(due.device, due.duty, now + seconds)

    def hurry(self, device: int, duty: Duty, now: float) -> None:
        """Something is to be read sooner than planned."""
        known = self._devices.get(device)
        if known is not None and duty not in known.running and known.due[duty] > now:
            self._push(device, duty, now)

    def _ended(self, due: Due) -> _Device | None:
        if due.duty is not Duty.SCAN:
            self.visits = max(0, self.visits - 1)
        device = self._devices.get(due.device)
        if device is not None:
            device.running.discard(due.duty)
        return device

    # ---- what it looks like -------------------------------------------------------------------------------------------
    def is_late(self, now: float, by_s: float) -> bool:
        """Whether registers or a load profile of a device that is not silent have been due for ``by_s`` seconds without a visit."""
        return any(
            device.silent_until <= now
            and any(
                due + by_s <= now
                for duty, due in device.due.items()
                if duty is not Duty.SCAN and duty not in device.running
            )
            for device in self._devices.values()
        )

    def failures(self, device: int) -> int:
        """Failures in a row."""
        known = self._devices.get(device)
        return known.failures if known is not None else 0

    def due(self, device: int) -> dict[str, float]:
        """When each duty of a device is next."""
        known = self._devices.get(device)
        return {} if known is None else {duty.value: when for duty, when in known.due.items()}


def command_class(procedure: int, parameters: bytes) -> str:
    """Which quota a procedure counts against, beside that of all commands: ``contactor-open``, or nothing."""
    if procedure & 0x0FFF != EP02.number:
        return ""
    try:
        asked = EP02.Parameters.decode(parameters[:2])  # what follows may be a token
    except DecodeError:
        return ""
    return CONTACTOR_OPEN if asked.target == 0 and asked.action == 0 else ""


class Quotas:
    """How many commands of a class an hour has; uses are in the journal, so that a restart does not begin anew."""

    def __init__(self, quotas: Mapping[str, Quota], journal: Journal) -> None:
        self.quotas = dict(quotas)
        self.journal = journal

    def free_at(self, kind: str, device: int, wall: float) -> float:
        """When another command may go: ``wall`` if now. ``kind`` "" counts as a command only."""
        return max(self._free_at(each, device, wall) for each in {COMMAND, kind or COMMAND})

    def _free_at(self, kind: str, device: int, wall: float) -> float:
        quota = self.quotas.get(kind)
        if quota is None:
            return wall
        free = wall
        for most, only in ((quota.count, None), (quota.per_device, device)):
            if most:
                uses = self.journal.uses(kind, wall - quota.window_s, device=only)
                if len(uses) >= most:
                    free = max(free, uses[len(uses) - most] + quota.window_s)
        return free

    def use(self, kind: str, device: int, wall: float) -> None:
        """Note a command, before it is sent."""
        with self.journal.batch():
            for each in sorted({COMMAND, kind or COMMAND}):
                self.journal.use(each, device, wall)
            self.journal.forget_uses(wall - max((each.window_s for each in self.quotas.values()), default=0.0))
