"""What somebody ordered: read, write, run a procedure, command a group, visit now, or a kind that another module brings (firmware).

A job is in the journal with a result for each of its devices; both survive any restart. What is idempotent is simply done again. A
procedure is not: before it is sent the journal knows under which number (``door.Order``); after a restart or silence the device's
response table tells whether it was run, before anything else is run there. What even that does not tell ends as ``unknown``, never as
a second order.

States of a job: waiting, running, paused, done, cancelled. Of a result: waiting, running, done, refused, failed, unknown, expired,
cancelled. Project choice.
"""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from osgp.app.allowed import command_of
from osgp.app.profile import Limits
from osgp.concentrator.config import ConcentratorConfig
from osgp.concentrator.door import BT07, Order, PowerLineAccess
from osgp.concentrator.exchange import OutcomeUnknown, Priority
from osgp.concentrator.journal import Journal, RawPart, Step, StepReading
from osgp.concentrator.schedule import Quotas, command_class
from osgp.concentrator.tasks import Cancelled, Task, Tasks
from osgp.concentrator.visits import Visitor
from osgp.node.device import Device
from osgp.tables.registry import procedure
from osgp.tables.services import FullWrite, encode_request
from osgp.tables.table import number_of, procedure_name
from osgp.wire.errors import ConfigError, Error, LinkError, ResponseError, SecurityError, StoreError

__all__ = ["Job", "JobKind", "JobRun", "Jobs", "Workplace"]

OVER = ("done", "cancelled")
ENDS = ("done", "refused", "failed", "unknown", "expired", "cancelled")
_GROUP_PSN, _FIRST_PSN, _LAST_PSN = "group psn", 5, 250
_RETRY_S = 30.0
_RETRY_MOST_S = 1800.0


class Workplace(Protocol):
    """What jobs need of the machine around them."""

    config: ConcentratorConfig
    journal: Journal
    tasks: Tasks
    quotas: Quotas

    def wall(self) -> float:
        """Our clock, UTC seconds."""

    def visitor(self, device: int) -> Visitor:
        """What is known of a device. Raises ConfigError for one that is not known."""

    def access(self, device: int, priority: Priority) -> PowerLineAccess:
        """The door of a device. Raises ConfigError as ``visitor``."""

    async def broadcast(self, plaintext: bytes, groups: tuple[int, ...], priority: Priority) -> None:
        """A secured broadcast to all devices or groups. Raises ConfigError where there is no broadcast key."""

    def override_is_good(self, job: Job) -> bool:
        """Whether the head-end's signature lets a job pass the quotas."""


@dataclass(slots=True)
class Job:
    """A job under way. ``waiting``: (device, attempts so far, not before: UTC seconds)."""

    number: int
    kind: str
    priority: Priority
    state: str
    created: float
    expires: float | None
    parameters: dict[str, Any]
    label: str = ""
    waiting: deque[tuple[int, int, float]] = field(default_factory=deque)
    running: dict[int, Task[None]] = field(default_factory=dict)
    preparing: Task[None] | None = None
    is_prepared: bool = False


class JobRun:
    """What the code of a kind gets: its job, the machine, and ways to say how it goes."""

    def __init__(self, jobs: Jobs, job: Job) -> None:
        self.jobs = jobs
        self.job = job
        self.place = jobs.place

    @property
    def parameters(self) -> dict[str, Any]:
        """What was ordered."""
        return self.job.parameters

    @property
    def devices(self) -> list[int]:
        """Devices without an end yet."""
        return [row[0] for row in self.place.journal.results(self.job.number) if row[1] not in ENDS]

    def device(self, number: int) -> Device:
        """A device, asked in the class of the job."""
        return self.place.visitor(number).device(self.job.priority)

    def access(self, number: int) -> PowerLineAccess:
        """Its door."""
        return self.place.access(number, self.job.priority)

    def report(self, device: int, state: str, **detail: Any) -> None:
        """The state of one device; an end (``ENDS``) takes it off the list."""
        self.jobs.report(self.job, device, state, detail)

    def remember(self, name: str, value: Any) -> None:
        """Keep something of the job over a restart."""
        self.place.journal.put(f"job {self.job.number} {name}", value)

    def recall(self, name: str, default: Any = None) -> Any:
        """What was kept."""
        return self.place.journal.get(f"job {self.job.number} {name}", default)


@dataclass(frozen=True, slots=True)
class JobKind:
    """How a kind of job is done. ``prepare``: once, before any device (and again after a restart that came meanwhile); ``device``: at
    each device that has no end by then, giving details of its success; without, ``prepare`` reports all."""

    prepare: Callable[[JobRun], Awaitable[None]] | None = None
    device: Callable[[JobRun, int], Awaitable[Mapping[str, Any]]] | None = None


class QuotaUsedUp(Error):
    """Not now: ``free_at`` (UTC seconds) tells when."""

    def __init__(self, free_at: float) -> None:
        super().__init__("the quota of this class of commands is used up")
        self.free_at = free_at


class Jobs:
    """All jobs. ``pump`` begins what may begin; the machine above calls it when time has come or something ended."""

    def __init__(self, place: Workplace) -> None:
        self.place = place
        self.kinds: dict[str, JobKind] = {
            "read": JobKind(device=_read),
            "write": JobKind(device=_write),
            "procedure": JobKind(device=_procedure),
            "group": JobKind(prepare=_command_group, device=_verify),
            "visit": JobKind(device=_visit),
        }
        self.active: dict[int, Job] = {}
        self.unresolved: dict[int, int] = {}
        self._busy: dict[int, int] = {}
        self._load()

    def register(self, name: str, kind: JobKind) -> None:
        """Another kind of job, such as firmware."""
        self.kinds[name] = kind

    def _load(self) -> None:
        journal = self.place.journal
        for number, kind, priority, state, created, expires, parameters, label in journal.jobs():
            if state in OVER:
                continue
            job = Job(number, kind, Priority(priority), state, created, expires, parameters, label)
            job.is_prepared = bool(journal.get(f"job {number} prepared", False))
            for device, result, attempts, _, detail in journal.results(number):
                if result in ENDS:
                    continue
                if result == "running" and "psn" in detail:
                    self.unresolved[device] = number
                    job.waiting.appendleft((device, attempts, 0.0))
                else:
                    job.waiting.append((device, attempts, 0.0))
            self.active[number] = job

    # ---- commands ---------------------------------------------------------------------------------------------------
    def add(
        self,
        kind: str,
        devices: Iterable[int],
        parameters: Mapping[str, Any] | None = None,
        *,
        priority: Priority = Priority.ON_DEMAND,
        expires_in_s: float | None = None,
        label: str = "",
    ) -> int:
        """Order something; the number of the job. Raises ConfigError for a kind or device that is not known."""
        if kind not in self.kinds:
            raise ConfigError(f"there is no job of kind {kind!r}", hint=f"kinds are {', '.join(sorted(self.kinds))}")
        wanted = list(dict.fromkeys(devices))
        if not wanted:
            raise ConfigError("a job needs at least one device")
        for device in wanted:
            self.place.visitor(device)
        wall = self.place.wall()
        expires = None if expires_in_s is None else wall + expires_in_s
        asked = dict(parameters or {})
        number = self.place.journal.add_job(kind, int(priority), asked, wanted, wall, expires=expires, label=label)
        job = Job(number, kind, priority, "waiting", wall, expires, asked, label)
        job.waiting.extend((device, 0, 0.0) for device in wanted)
        self.active[number] = job
        return number

    def pause(self, number: int) -> None:
        """Begin nothing more of a job; what is under way ends. Raises ConfigError for a job that is over."""
        self._set(self._active(number), "paused")

    def resume(self, number: int) -> None:
        """Go on. Raises ConfigError for a job that is over."""
        job = self._active(number)
        if job.state == "paused":
            self._set(job, "waiting")

    def cancel(self, number: int) -> None:
        """Give a job up: devices that had no turn yet get none; those under way end by themselves.

        Raises ConfigError if it is over.
        """
        job = self._active(number)
        with self.place.journal.batch():
            for device, attempts, _ in job.waiting:
                self.place.journal.set_result(number, device, "cancelled", self.place.wall(), attempts=attempts)
            job.waiting.clear()
            self._set(job, "cancelled")
        if job.preparing is not None:
            job.preparing.cancel()
        if not job.running:
            self.active.pop(number, None)

    def _active(self, number: int) -> Job:
        job = self.active.get(number)
        if job is None:
            raise ConfigError(f"job {number} is not under way", hint="it may be over; look at the list of jobs")
        return job

    def _set(self, job: Job, state: str) -> None:
        if job.state != state:
            job.state = state
            self.place.journal.set_job(job.number, state)

    # ---- the machine ------------------------------------------------------------------------------------------------
    def deadline(self) -> float | None:
        """When (UTC seconds) something that waits may begin."""
        if sum(len(job.running) for job in self.active.values()) >= self.place.config.jobs_at_once:
            return None
        due = [
            entry[2]
            for job in self.active.values()
            if job.state in ("waiting", "running") and (job.is_prepared or self.kinds[job.kind].prepare is None)
            for entry in job.waiting
            if entry[0] not in self._busy and self.unresolved.get(entry[0], job.number) == job.number
        ]
        return min(due, default=None)

    def pump(self, now: float) -> None:
        """Begin what may begin."""
        if not self.active:
            return
        wall = self.place.wall()
        room = self.place.config.jobs_at_once - sum(len(job.running) for job in self.active.values())
        for job in sorted(self.active.values(), key=lambda each: (each.priority, each.number)):
            if job.state not in ("waiting", "running"):
                continue
            if job.kind not in self.kinds:
                continue
            if job.expires is not None and wall >= job.expires:
                self._expire(job, wall)
                continue
            kind = self.kinds[job.kind]
            if kind.prepare is not None and not job.is_prepared:
                if job.preparing is None:
                    self._set(job, "running")
                    job.preparing = self.place.tasks.start(self._prepare(job, kind), now, name=f"job {job.number}")
                continue
            for _ in range(len(job.waiting)):
                if room <= 0:
                    break
                device, attempts, not_before = job.waiting.popleft()
                owner = self.unresolved.get(device, job.number)
                if not_before > wall or device in self._busy or owner != job.number:
                    job.waiting.append((device, attempts, not_before))
                    continue
                self._set(job, "running")
                self._busy[device] = job.number
                room -= 1
                job.running[device] = self.place.tasks.start(
                    self._work(job, device, attempts), now, name=f"job {job.number} at device {device}"
                )
            self._look_whether_over(job)

    def _expire(self, job: Job, wall: float) -> None:
        with self.place.journal.batch():
            for device, attempts, _ in job.waiting:
                self.place.journal.set_result(job.number, device, "expired", wall, attempts=attempts)
            job.waiting.clear()
        self._look_whether_over(job)

    async def _prepare(self, job: Job, kind: JobKind) -> None:
        assert kind.prepare is not None
        try:
            await kind.prepare(JobRun(self, job))
        except StoreError:
            raise
        except Error as error:
            with self.place.journal.batch():
                for device, attempts, _ in list(job.waiting):
                    self.report(
                        job, device, "failed", {"error": error.message, "hint": error.hint, "attempts": attempts}
                    )
        finally:
            job.preparing = None
        job.is_prepared = True
        self.place.journal.put(f"job {job.number} prepared", True)
        if kind.device is None:
            with self.place.journal.batch():
                for device, _, _ in list(job.waiting):
                    self.report(job, device, "done", {})
        self._look_whether_over(job)

    async def _work(self, job: Job, device: int, attempts: int) -> None:
        kind = self.kinds[job.kind]
        journal = self.place.journal
        attempts += 1
        run = JobRun(self, job)
        try:
            if kind.device is None:
                detail: Mapping[str, Any] = {}
            else:
                detail = await kind.device(run, device)
            self._end(job, device, "done", attempts, detail)
        except QuotaUsedUp as error:
            journal.set_result(
                job.number, device, "waiting", self.place.wall(), attempts=attempts - 1, detail=_told(error)
            )
            job.waiting.append((device, attempts - 1, error.free_at))
        except OutcomeUnknown as error:
            self._end(job, device, "unknown", attempts, _told(error))
        except (LinkError, SecurityError) as error:
            if device in self.unresolved:
                self._still_open(job, device, attempts, error)
            elif attempts < self.place.config.job_attempts:
                wait = min(_RETRY_MOST_S, _RETRY_S * 2 ** (attempts - 1))
                journal.set_result(
                    job.number, device, "waiting", self.place.wall(), attempts=attempts, detail=_told(error)
                )
                job.waiting.append((device, attempts, self.place.wall() + wait))
            else:
                self._end(job, device, "failed", attempts, _told(error))
        except ResponseError as error:
            self._end(job, device, "refused", attempts, {**_told(error), "code": error.code})
        except StoreError:
            raise
        except Error as error:
            self._end(job, device, "failed", attempts, _told(error))
        except Cancelled:
            job.waiting.append((device, attempts - 1, 0.0))
            raise
        finally:
            job.running.pop(device, None)
            self._busy.pop(device, None)
        self._look_whether_over(job)

    def _still_open(self, job: Job, device: int, attempts: int, error: Error) -> None:
        """An order was sent, and the device is silent since: its response is asked for later, but not for ever."""
        if attempts >= self.place.config.job_attempts:
            self._end(job, device, "unknown", attempts, _told(error))
            return
        kept: dict[str, Any] = next((row[4] for row in self.place.journal.results(job.number) if row[0] == device), {})
        detail = {**kept, **_told(error)}
        self.place.journal.set_result(
            job.number, device, "running", self.place.wall(), attempts=attempts, detail=detail
        )
        job.waiting.append((device, attempts, self.place.wall() + _RETRY_S * 2 ** (attempts - 1)))

    def _end(self, job: Job, device: int, state: str, attempts: int, detail: Mapping[str, Any]) -> None:
        self.place.journal.set_result(job.number, device, state, self.place.wall(), attempts=attempts, detail=detail)
        if self.unresolved.get(device) == job.number:
            del self.unresolved[device]

    def report(self, job: Job, device: int, state: str, detail: Mapping[str, Any]) -> None:
        """The state of one device of a job, told by the code of its kind."""
        self.place.journal.set_result(job.number, device, state, self.place.wall(), detail=detail)
        if state in ENDS:
            job.waiting = deque(entry for entry in job.waiting if entry[0] != device)

    def _look_whether_over(self, job: Job) -> None:
        if job.waiting or job.running or job.preparing is not None:
            return
        if job.state != "cancelled":
            self._set(job, "done")
        self.active.pop(job.number, None)

    def order_kept(self, job: Job, device: int, order: Order) -> None:
        """A procedure is about to be sent: from now on its response is asked for, never the procedure ordered again."""
        self.unresolved[device] = job.number
        self.place.journal.set_result(
            job.number,
            device,
            "running",
            self.place.wall(),
            attempts=0,
            detail={"procedure": order.procedure, "psn": order.psn},
        )

    # ---- what it looks like -------------------------------------------------------------------------------------------
    def status(self, number: int | None = None) -> list[dict[str, Any]]:
        """Jobs with the number of results in each state, newest first; of one job its results too."""
        found = []
        for row in self.place.journal.jobs()[::-1]:
            if number is not None and row[0] != number:
                continue
            results = self.place.journal.results(row[0])
            states: dict[str, int] = {}
            for each in results:
                states[each[1]] = states.get(each[1], 0) + 1
            entry: dict[str, Any] = {
                "number": row[0],
                "kind": row[1],
                "priority": Priority(row[2]).name.lower(),
                "state": row[3],
                "created": row[4],
                "expires": row[5],
                "label": row[7],
                "progress": states,
            }
            if number is not None:
                entry["parameters"] = row[6]
                entry["results"] = [
                    {"device": device, "state": state, "attempts": attempts, "wall": wall, "detail": detail}
                    for device, state, attempts, wall, detail in results
                ]
            found.append(entry)
        return found


def _told(error: Error) -> dict[str, Any]:
    return {"error": error.message, "hint": error.hint}


# ---- kinds ------------------------------------------------------------------------------------------------------------
async def _read(run: JobRun, number: int) -> dict[str, Any]:
    """``names``: paths and measurements; ``tables``: whole tables. What is read is in the journal too."""
    device = run.device(number)
    names, tables = run.parameters.get("names", []), run.parameters.get("tables", [])
    answers = await device.readings(*names) if names else []
    raws = {name: await device.raw(name) for name in tables}
    wall = run.place.wall()
    plain = [each for each in answers if isinstance(each.value, int | float | str)]
    step = Step(
        number,
        int(wall),
        wall,
        raws=[RawPart(number_of(name), 0, raw) for name, raw in raws.items()],
        readings=[StepReading(each.name, each.value, each.unit) for each in plain],
    )
    run.place.journal.keep(step)
    return {
        "readings": {each.name: _json(each.value) for each in answers},
        "units": {each.name: each.unit for each in answers if each.unit},
        "tables": {name: raw.hex() for name, raw in raws.items()},
    }


def _json(value: Any) -> Any:
    to_json = getattr(value, "to_json", None)
    if to_json is not None:
        return to_json()
    return value if isinstance(value, bool | int | float | str) or value is None else str(value)


def _take_quota(run: JobRun, number: int, kind: str) -> None:
    quotas, wall = run.place.quotas, run.place.wall()
    free_at = quotas.free_at(kind, number, wall)
    if free_at > wall:
        if not (run.parameters.get("override") and run.place.override_is_good(run.job)):
            raise QuotaUsedUp(free_at)
        run.place.journal.note(
            "quota",
            f"job {run.job.number} passes the quota by the head-end's order",
            wall,
            device=number,
            severity="warning",
        )
    quotas.use(kind, number, wall)


async def _write(run: JobRun, number: int) -> dict[str, Any]:
    """``path`` and ``value``, or ``table`` (name or number), ``offset`` and ``data`` (hexadecimal). ``tokens``: the head-end's, by
    unique_node_id, hexadecimal; a device without one is asked for nothing."""
    given = run.parameters
    _take_quota(run, number, "")
    if "path" in given:
        await run.device(number).write(given["path"], given["value"])
        return {"path": given["path"]}
    access, data = run.access(number), _hex(given.get("data"), "data")
    which = given.get("table")
    table = which if isinstance(which, int) else number_of(str(which))
    if "tokens" in given:
        token = _hex(_own(run, number, given["tokens"], "token"), "token")
        await access.write_with_token(table, int(given.get("offset") or 0), data, token)
    elif given.get("offset"):
        await access.write_part(table, int(given["offset"]), data)
    else:
        await access.write(table, data)
    return {"table": table, "bytes": len(data)}


def _own(run: JobRun, number: int, given: Any, what: str) -> Any:
    """What the head-end made for this device, by its unique_node_id. Raises ConfigError if it made nothing."""
    name = run.place.visitor(number).row.unique_node_id.hex()
    found = given.get(name) if isinstance(given, Mapping) else None
    if found is None:
        raise ConfigError(
            f"there is no {what} for {name}", hint="osgp keys token makes one for each device that is named"
        )
    return found


def _hex(value: Any, name: str) -> bytes:
    try:
        return bytes.fromhex(value)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{name} is given in hexadecimal, not as {value!r:.40}") from error


async def _procedure(run: JobRun, number: int) -> dict[str, Any]:
    """``procedure`` (name or number) and ``parameters``: fields, or hexadecimal with whatever token the head-end has put behind;
    or ``orders``: these, with tokens, by unique_node_id. ``idempotent``: it does no harm twice, and is given again to a
    device of which nobody can tell whether it ran it."""
    given = run.parameters
    which, parameters = given.get("procedure"), given.get("parameters", "")
    if "orders" in given:
        parameters = _own(run, number, given["orders"], "order")
    wanted = which if isinstance(which, int) else number_of(str(which))
    if isinstance(parameters, str):
        raw = _hex(parameters, "parameters")
    else:
        raw = procedure(wanted).Parameters.from_json(parameters).encode(run.device(number).context)
    access = run.access(number)
    if number in run.jobs.unresolved:
        found = await _resolve(run, number, access, wanted, raw)
        if found is not None:
            return found
        del run.jobs.unresolved[number]
    _take_quota(run, number, command_class(wanted, raw))
    access.ordered = lambda order: run.jobs.order_kept(run.job, number, order)
    result = await access.run(wanted, raw)
    return _answer(result.procedure, result.result, result.data)


async def _resolve(run: JobRun, number: int, access: PowerLineAccess, wanted: int, raw: bytes) -> dict[str, Any] | None:
    """The result of an order that was sent and not answered; None if it is to be given again. Raises OutcomeUnknown."""
    kept: dict[str, Any] = next((row[4] for row in run.place.journal.results(run.job.number) if row[0] == number), {})
    if "psn" not in kept:
        return None
    order = Order(wanted, raw, int(kept["psn"]))
    response = await access.response_to(order)
    if response is not None:
        return {**_answer(response.procedure, response.result, response.data), "found": "in the response table"}
    if run.parameters.get("idempotent"):
        return None
    raise OutcomeUnknown(
        f"{procedure_name(wanted)} was ordered and not answered, and the device's response table tells of another procedure",
        hint="look at the device before the order is given again; an order that does no harm twice may say idempotent",
    )


def _answer(number: int, result: int, data: bytes) -> dict[str, Any]:
    if result >= 2:
        raise ResponseError(f"{procedure_name(number)} was refused (result {result})", code=result)
    return {"procedure": procedure_name(number), "result": result, "data": data.hex()}


async def _command_group(run: JobRun) -> None:
    """``procedure`` and ``parameters`` as for an order to one device, or ``message``: a table service in hexadecimal; ``groups``: ids,
    none for all devices. Sent at most once, whatever happens; raises ConfigError for what no device takes by broadcast."""
    if run.recall("sent"):
        return
    if "procedure" in run.parameters:
        message = _order_to_all(run)
    else:
        message = _hex(run.parameters.get("message"), "message")
    wall = dt.datetime.fromtimestamp(run.place.wall(), dt.UTC)
    if not command_of(message, wall, Limits().broadcast_clock_step_s):
        raise ConfigError(
            "no device takes this by broadcast",
            hint="control relays, clock steps up to a minute, queues of one-time reads, activation of a pending table",
        )
    groups = tuple(int(each) for each in run.parameters.get("groups", ()))
    for number in run.devices:
        if not getattr(run.access(number).peer.sealer, "hears_broadcasts", True):
            run.report(number, "failed", error="it speaks the legacy suite, which has no broadcasts here", hint="")
    run.remember("sent", run.place.wall())
    await run.place.broadcast(message, groups, run.job.priority)


def _order_to_all(run: JobRun) -> bytes:
    """The write of BT07. Devices take the same sequence number twice for a repeat, so that each order has another."""
    given = run.parameters
    which, parameters = given["procedure"], given.get("parameters", "")
    wanted = which if isinstance(which, int) else number_of(str(which))
    if isinstance(parameters, str):
        raw = _hex(parameters, "parameters")
    else:
        raw = procedure(wanted).Parameters.from_json(parameters).encode(run.device(run.devices[0]).context)
    journal = run.place.journal
    psn = int(journal.get(_GROUP_PSN, _LAST_PSN))
    psn = psn + 1 if _FIRST_PSN <= psn < _LAST_PSN else _FIRST_PSN
    journal.put(_GROUP_PSN, psn)
    content = wanted.to_bytes(2, "little") + bytes((psn,)) + raw
    return encode_request(FullWrite(BT07, content), checksum=False)


async def _verify(run: JobRun, number: int) -> dict[str, Any]:
    """After a group command: ``verify`` names what is read back from each device; without, "sent" is all that is known."""
    names = run.parameters.get("verify", [])
    if not names:
        return {"sent": run.recall("sent")}
    answers = await run.device(number).readings(*names)
    return {"sent": run.recall("sent"), "readings": {each.name: _json(each.value) for each in answers}}


async def _visit(run: JobRun, number: int) -> dict[str, Any]:
    """``what``: scan, billing, profile; all by default."""
    visitor = run.place.visitor(number)
    what = run.parameters.get("what", ["scan", "billing", "profile"])
    found: dict[str, Any] = {}
    if "scan" in what:
        found["alarms"] = [each.key for each in await visitor.scan()]
    if "billing" in what:
        await visitor.billing()
    if "profile" in what:
        found["intervals"] = sum([await visitor.profile(data_set) for data_set in run.place.config.collection.profiles])
    return found
