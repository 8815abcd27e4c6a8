"""``LiveStreet``: a street that goes on for as long as somebody looks, with questions answered as a concentrator's socket does.

It lives in a thread of its own, in slices of a few simulated seconds; questions are put into a queue and answered between two slices.
A thread because its SQLite connection and its machines belong to one; slices because nobody shall wait long for an answer; not a
process because each look would have to be written and read again. First it runs as fast as it can, until a few hours of readings
are in, then at a steady speed. Readings are kept for some days, what was observed in lists that do not grow: it may run for weeks.
Project choice::

    with LiveStreet(plan, journal="street.sqlite") as street:
        street.ask("status")["devices"]
"""

from __future__ import annotations

import dataclasses
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate
from pathlib import Path
from typing import Any, Self

from osgp.concentrator.core import AlarmRaised, DeviceSilent, StepStored, VisitEnded
from osgp.concentrator.map_history import KeptHistory
from osgp.concentrator.outlook import asked_device, asked_table
from osgp.concentrator.status_socket import Feed
from osgp.sim.grid_picture import Box, Line, draw
from osgp.street.plan import StreetPlan
from osgp.street.run import StreetRun
from osgp.wire.errors import ConfigError, Error, NoAnswer

__all__ = ["LiveStreet"]

_SLICE_S = 2.0
"""Simulated seconds between two looks at the questions."""
_PAUSE_S = 0.05
_MOST_LAG_S = 120.0
_TIDY_S = 3600.0
_OBSERVED = 2000
_PATIENCE_S = 15.0
_EVENTS = (AlarmRaised, DeviceSilent, StepStored, VisitEnded)
"""What the feed tells; alerts are notices in the journal."""

Question = tuple[Mapping[str, Any], "Future[Any]"]


class LiveStreet:
    """See the module. ``fast_hours``: as fast as possible until then; ``speed``: afterwards, times the wall clock; ``keep_days``: how
    long readings stay in the journal. Use as a context manager."""

    def __init__(
        self,
        plan: StreetPlan,
        *,
        journal: str | Path = ":memory:",
        fast_hours: float = 4.0,
        speed: float = 60.0,
        keep_days: float = 7.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if not (speed > 0 and fast_hours >= 0 and keep_days > 0):
            raise ConfigError("speed and days to keep are above 0, fast hours not below")
        self.plan = plan
        self.journal = journal
        self.fast_s = fast_hours * 3600.0
        self.speed = speed
        self.keep_s = keep_days * 86400.0
        self.failure: BaseException | None = None
        """Why it ended by itself."""
        self.ended = threading.Event()
        self.longest_slice_s = 0.0
        """The longest that a question had to wait for a slice."""
        self.feed = Feed()
        self._monotonic = monotonic
        self._asked: queue.SimpleQueue[Question | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._paced_from: tuple[float, float] | None = None
        self._run: StreetRun | None = None
        self._thread = threading.Thread(target=self._live, name="street", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End at the next slice; the journal is closed when this returns."""
        self._stopping.set()
        self._asked.put(None)
        self._thread.join()

    # ---- from outside -----------------------------------------------------------------------------------------------
    def ask(self, do: str, **what: Any) -> Any:
        """A question as to a concentrator's socket: status, devices, device, table, shapes, history, jobs, job, events.

        Raises NoAnswer, ConfigError.
        """
        if self.ended.is_set():
            raise self._gone()
        if self._run is None:
            raise NoAnswer("the street is still being built", hint="a few seconds more")
        future: Future[Any] = Future()
        self._asked.put(({"do": do, **what}, future))
        try:
            return future.result(_PATIENCE_S)
        except TooLate as error:
            raise NoAnswer("the street is too busy to answer", hint="take fewer houses or a lower speed") from error

    @property
    def is_paced(self) -> bool:
        """Whether the fast hours are over."""
        return self._paced_from is not None

    def note(self) -> str:
        """One line for pages: what this is, and how fast."""
        count = f"{len(self.plan.houses)} simulated devices"
        if self._run is None:
            return f"Demo: {count} are being built"
        pace = f"{self.speed:g}× speed" if self.is_paced else "as fast as it goes until readings are in"
        return f"Demo: {count}, {pace}"

    def _gone(self) -> NoAnswer:
        why = self.failure.message if isinstance(self.failure, Error) else str(self.failure or "it was stopped")
        return NoAnswer(f"the street has ended: {why}", hint="start the demo again")

    # ---- the thread -------------------------------------------------------------------------------------------------
    def _live(self) -> None:
        try:
            run = StreetRun(self.plan, journal=self.journal)
            try:
                self._began(run)
                while not self._stopping.is_set():
                    self._answer(run, self._advance(run))
            finally:
                run.close()
        except Exception as error:
            self.failure = error
        finally:
            self.ended.set()
            self._refuse_all()

    def _began(self, run: StreetRun) -> None:
        run.listener = lambda events, now: self._told(run, events, now)
        self._drawing = _drawing(run)
        self._history = KeptHistory(run.journal)
        run.wire.at(_TIDY_S, lambda _, now: self._tidy(run, now), None)
        self._run = run

    def _advance(self, run: StreetRun) -> float:
        """One slice, if time is due; how long to wait for the next, real seconds."""
        now, begun = run.wire.now, self._monotonic()
        due = self._due(now, begun)
        if due <= now:
            return _PAUSE_S
        run.run_to(min(due, now + _SLICE_S))
        self.longest_slice_s = max(self.longest_slice_s, self._monotonic() - begun)
        return 0.0

    def _due(self, now: float, clock: float) -> float:
        if now < self.fast_s:
            return self.fast_s
        if self._paced_from is None:
            self._paced_from = clock, now
        due = self._paced_from[1] + (clock - self._paced_from[0]) * self.speed
        if due - now > _MOST_LAG_S:  # the machine is too slow or was asleep: go on from here, not in a hurry
            self._paced_from = clock, now
            return now
        return due

    def _answer(self, run: StreetRun, wait_s: float) -> None:
        """All questions that are there; wait for one so long."""
        while True:
            try:
                found = self._asked.get(timeout=wait_s) if wait_s else self._asked.get_nowait()
            except queue.Empty:
                return
            if found is None:
                return
            asked, future = found
            try:
                future.set_result(self._result(run, asked))
            except Error as error:
                future.set_exception(error)
            wait_s = 0.0

    def _refuse_all(self) -> None:
        while True:
            try:
                found = self._asked.get_nowait()
            except queue.Empty:
                return
            if found is not None:
                found[1].set_exception(self._gone())

    def _result(self, run: StreetRun, asked: Mapping[str, Any]) -> Any:
        now, concentrator = run.wire.now, run.concentrator
        concentrator.now = max(concentrator.now, now)
        match asked["do"]:
            case "status":
                line = f"simulated line of {len(run.devices)} devices"
                return {**concentrator.status(), "line": line, "journal": run.journal.counts()}
            case "devices":
                return {"devices": concentrator.status()["devices"], "topology": run.topology.status(now)}
            case "device":
                return asked_device(asked, concentrator, run.topology, now)
            case "table":
                return asked_table(asked, concentrator, run.topology)
            case "shapes":
                return self._drawing
            case "history":
                return [step.to_json() for step in self._history.steps()]
            case "jobs":
                return concentrator.jobs.status()
            case "job":
                return concentrator.jobs.status(int(asked.get("number", -1)))
            case "events":
                return self.feed.after(int(asked.get("after", 0)))
        raise ConfigError(f"there is nothing to do of the name {asked['do']!r:.40}")

    # ---- what happens -----------------------------------------------------------------------------------------------
    def _told(self, run: StreetRun, events: Sequence[Any], now: float) -> None:
        for event in events:
            if isinstance(event, _EVENTS):
                self.feed.add(_snake(type(event).__name__), run.wall(now), **dataclasses.asdict(event))
        for found in run.topology.events():
            wall = run.wall(now) - (now - found.at)
            name = found.unique_node_id.hex()
            self.feed.add("topology", wall, unique_node_id=name, what=found.what, text=found.text)
        self._history.look(run.wall(now), lambda: run.topology.status(now))

    def _tidy(self, run: StreetRun, now: float) -> None:
        run.journal.forget(run.wall(now) - self.keep_s)
        run.observed.forget(_OBSERVED)
        run.wire.at(now + _TIDY_S, lambda _, at: self._tidy(run, at), None)


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


def _drawing(run: StreetRun) -> dict[str, Any]:
    """Kinds, names and places of the devices by unique node ID, and the cables between them, as the grid is drawn."""
    drawing = draw(run.grid, run.grid.time_of_day_h(run.start))
    place = {
        shape.title.split(": ", 1)[0]: [shape.x, shape.y]
        for shape in drawing.shapes
        if isinstance(shape, Box) and ": " in shape.title
    }
    kinds = {house.node: house.kind for house in run.plan.houses}
    houses = {unique_node_id.hex(): house for unique_node_id, house in run.names.items()}
    return {
        "kinds": {name: kinds[house] for name, house in houses.items()},
        "names": houses,
        "places": {
            "concentrator": place.get(run.plan.concentrator),
            **{name: place[house] for name, house in houses.items() if house in place},
        },
        "cables": [
            [one.x1, one.y1, one.x2, one.y2] for one in drawing.shapes if isinstance(one, Line) and not one.dashed
        ],
    }
