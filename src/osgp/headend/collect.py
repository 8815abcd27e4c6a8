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
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field

from osgp.crypto.keys import KeyUse
from osgp.headend.config import CollectConfig, Collection, DeviceConfig
from osgp.headend.plausibility import Rules
from osgp.headend.store import Kept, Store
from osgp.headend.visit import AGAIN, CONFIGURATION, DeviceVisit, Known, StepGuard, VisitState
from osgp.node.device import Device
from osgp.ports.address import parse_address
from osgp.ports.opening import OpenOptions, connect
from osgp.ports.vault import resolve_key
from osgp.wire.errors import Error, LinkError, NoAnswer, StoreError

__all__ = [
    "Collector",
    "StepStored",
    "Summary",
    "VisitEnded",
    "VisitRetried",
    "VisitStarted",
    "next_pause",
    "open_configured",
]

log = logging.getLogger("osgp.headend.collect")

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
    """A visit is over: ok, partial or failed; ``kept`` counts its new rows; ``silent``: it failed because nobody answered."""

    device: str
    outcome: str
    kept: Kept
    error: str = ""
    hint: str = ""
    silent: bool = False


Progress = Callable[[VisitStarted | VisitRetried | StepStored | VisitEnded], None]


@dataclass(slots=True)
class Summary:
    """One round over all devices. ``errors``: devices whose visit failed or was partial; ``silent``: those of them that did not
    answer at all."""

    devices: int = 0
    readings: int = 0
    intervals: int = 0
    events: int = 0
    raws: int = 0
    flagged: int = 0
    errors: int = 0
    silent: int = 0
    seconds: float = 0.0
    outcomes: dict[str, str] = field(default_factory=dict)


@asynccontextmanager
async def open_configured(device: DeviceConfig, dimensions: dict[int, bytes]) -> AsyncIterator[Device]:
    """Open a device as its configuration says."""
    # In a thread: opening a vault takes a while on purpose, and other devices are being read meanwhile.
    address = parse_address(device.address)
    use: KeyUse = "optical" if address.door == "optical" else "mep"
    in_vault = device.key.rpartition("/")[2] if use == "mep" and device.key.startswith("vault:") else ""
    key = await asyncio.to_thread(resolve_key, device.key, use=use) if device.key else None
    options = OpenOptions(
        key=key,
        key_kind=device.key_kind or address.options.get("key_kind", in_vault),
        legacy=device.legacy,
        insecure_lab=device.insecure_lab,
        dimensions=dimensions,
    )
    opened = await connect(device.address, options, blocking=False)
    try:
        yield opened
    finally:
        await opened.close()


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
        self._known: dict[str, Known] = {}
        self._lines: dict[str, asyncio.Lock] = {}
        self._gate = asyncio.Semaphore(config.at_once)
        self._guard = StepGuard()

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
            summary.silent += ended.silent
            for part in ("readings", "intervals", "events", "raws", "flagged"):
                setattr(summary, part, getattr(summary, part) + getattr(ended.kept, part))
        summary.seconds = round(time.monotonic() - began, 3)
        return summary

    async def run_forever(self, stop: asyncio.Event) -> None:
        """Visit each device by its own schedule until ``stop`` is set; a visit under way ends its step and then stops. To end
        at once, cancel. A store that cannot be written for a while (StoreError) is a failed visit here, and no end."""
        self._guard.stopping = False
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._supervise(one)) for one in self.config.device]
            await stop.wait()
            self._guard.stopping = True
            for task in tasks:
                if task not in self._guard.busy:
                    task.cancel()

    async def _supervise(self, device: DeviceConfig) -> None:
        wish = self.config.wish(device)
        if wish.at:
            await asyncio.sleep(self.pause_before(device, wish))
        elif wish.jitter:
            await asyncio.sleep(self._rng.uniform(0, wish.jitter))
        while True:
            try:
                await self.visit(device)
            except StoreError as error:
                log.error("%s: %s (%s)", device.name, error.message, error.hint)
                self._progress(VisitEnded(device.name, "failed", Kept(), error.message, error.hint))
            await asyncio.sleep(self.pause_before(device, wish))

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
        known = await self._remember(device)
        state = VisitState()
        try:
            outcome, message, hint = await self._attempts(device, known, state)
        except asyncio.CancelledError:
            if state.visit is not None:
                await asyncio.shield(
                    asyncio.to_thread(self._end, state, "interrupted", "the collector was stopped", "")
                )
            raise
        except StoreError as error:
            with suppress(StoreError):  # it is most likely the same one
                await asyncio.to_thread(self._end, state, "failed", error.message, error.hint)
            raise
        except Exception as error:  # our mistake, which costs the other devices nothing
            log.exception("%s: this is a mistake in osgp", device.name)
            outcome, message, hint = "failed", f"{type(error).__name__}: {error}", "please report this, with the log"
        known.failures = known.failures + 1 if outcome == "failed" else 0
        if not message and state.missing:
            message = "; ".join(f"{what}: {why}" for what, why in state.missing.items())
        await asyncio.to_thread(self._end, state, outcome, message, hint)
        ended = VisitEnded(device.name, outcome, state.kept, message, hint, state.silent)
        if outcome != "ok":
            log.info("%s: %s: %s", device.name, outcome, message)
        self._progress(ended)
        return ended

    def _end(self, state: VisitState, outcome: str, error: str, hint: str) -> None:
        if state.visit is not None:
            self.store.end_visit(
                state.visit, self.wall(), outcome, error=error, hint=hint, clock_deviation=state.clock_deviation
            )

    async def _attempts(self, device: DeviceConfig, known: Known, state: VisitState) -> tuple[str, str, str]:
        """(outcome, error, hint). The line and the place among those read at once are free between attempts."""
        attempt = 0
        while True:
            state.missing.clear()
            # The line first: whoever waits for it must not keep those on other lines from being read.
            async with self._line(device), self._gate:
                if state.visit is None:
                    state.visit = await asyncio.to_thread(
                        self.store.begin_visit, known.number, self.wall(), collector=self.name
                    )
                    self._progress(VisitStarted(device.name))
                try:
                    async with asyncio.timeout(self.config.visit_timeout or None):
                        await self._attempt(device, known, state)
                    return ("partial" if state.missing else "ok"), "", ""
                except TimeoutError:
                    failure: Error = NoAnswer(f"the visit took longer than {self.config.visit_timeout:g} s")
                except (LinkError, *AGAIN) as error:
                    failure = error
                except StoreError:
                    raise
                except Error as error:
                    return "failed", error.message, error.hint
            attempt += 1
            if attempt > self.config.retries:
                state.silent = isinstance(failure, LinkError)
                return "failed", failure.message, failure.hint
            pause = self.config.backoff * 2 ** (attempt - 1) * self._rng.uniform(0.5, 1.5)
            self._progress(VisitRetried(device.name, attempt + 1, pause, failure.message))
            await asyncio.sleep(pause)

    async def _attempt(self, device: DeviceConfig, known: Known, state: VisitState) -> None:
        async with self._open(device, dict(known.dimensions)) as opened:
            visit = DeviceVisit(
                device,
                self.config.wish(device),
                known,
                opened,
                state,
                store=self.store,
                rules=self._rules,
                wall=self.wall,
                guard=self._guard,
                stored=lambda what, kept: self._progress(StepStored(device.name, what, kept)),
            )
            await visit.run()

    async def _remember(self, device: DeviceConfig) -> Known:
        known = self._known.get(device.name)
        if known is None:
            address = parse_address(device.address)
            number = await asyncio.to_thread(
                self.store.add_device, device.name, address.name, door=address.door, wall=self.wall()
            )
            record = await asyncio.to_thread(self.store.device, device.name)
            dimensions = dict(record.dimensions)
            if record.configuration:
                dimensions[CONFIGURATION] = bytes.fromhex(record.configuration)
            known = self._known[device.name] = Known(number, dimensions, record.serial or "")
        return known

    def _line(self, device: DeviceConfig) -> asyncio.Lock:
        """The lock of the line a device is on: two devices behind one port never talk at once."""
        address = parse_address(device.address)
        line = f"{address.line.kind} {address.line.address}" if address.line is not None else address.path
        return self._lines.setdefault(line, asyncio.Lock())


_EARLY_S = 1.0
"""A timer may ring a little before its time by the wall clock. What is due within this is the visit that was just made."""


def next_pause(wish: Collection, wall: float) -> float:
    """Seconds from ``wall`` (UTC) to the next visit by the schedule alone; ``every`` counts from the epoch, so that 15min is at
    the full quarters of an hour."""
    if wish.at:
        now = dt.datetime.fromtimestamp(wall, dt.UTC)
        waits = []
        for each in wish.at:
            hour, minute = map(int, each.split(":"))
            due = (now.replace(hour=hour, minute=minute, second=0, microsecond=0) - now).total_seconds()
            waits.append(due if due > _EARLY_S else due + 86400)
        return min(waits)
    every = wish.every or 900.0
    pause = every - wall % every
    return pause if pause > min(_EARLY_S, every / 10) else pause + every
