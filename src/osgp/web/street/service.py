"""``StreetWatch`` looks at a concentrator every second and remembers: the map now and before, events, what went wrong.

Pages are answered from memory, so that ten open pages ask the concentrator no more than one, and a concentrator that is gone leaves
the last picture with a sentence beside it. Only the pages of one device ask the concentrator itself.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from osgp.concentrator.map_history import History, LinkRow, Step, Then, links_of, step_from_json
from osgp.web.errors import Problem
from osgp.web.street.models import CENTRE, SEVERITIES, STATES, Happened, NodeRow, node_rows
from osgp.web.street.places import rings
from osgp.web.street.source import Source
from osgp.web.street.telling import told
from osgp.wire.errors import ConfigError, Error, NoAnswer

__all__ = ["StreetWatch"]

_EVENTS = 2000
_TOLD_TWICE = ("alarm",)
"""Notices that the feed of events has as well."""
_NOTICE = "notice"
"""An event that is a notice, which ``status`` has too, with its kind."""
_NO_SHAPES: dict[str, Any] = {"kinds": {}, "names": {}, "places": {}, "cables": []}
_FORM = (KeyError, TypeError, ValueError, AttributeError, IndexError)


@dataclass(slots=True)
class _Seen:
    """The last answer. ``status``: as the concentrator gave it."""

    wall: float = 0.0
    now: float = 0.0
    status: dict[str, Any] = field(default_factory=dict)
    nodes: dict[str, NodeRow] = field(default_factory=dict)
    links: list[LinkRow] = field(default_factory=list)
    strangers: dict[str, str] = field(default_factory=dict)
    shapes: dict[str, Any] = field(default_factory=lambda: dict(_NO_SHAPES))


class StreetWatch:
    """Watches ``source``. As a context manager it looks every ``every_s`` in a thread of its own; ``look`` does it once."""

    def __init__(self, source: Source, *, every_s: float = 1.0, most_steps: int = 600) -> None:
        self.source = source
        self.every_s = every_s
        self.history = History(most_steps)
        self.trouble = ""
        """Why there is no new picture; empty while all is well."""
        self.closing = threading.Event()
        """Set when streams are to end."""
        self._seen = _Seen()
        self._events: deque[Happened] = deque(maxlen=_EVENTS)
        self._number = 0
        self._feed_at = self._notice_at = 0
        self._looks = 0
        self._has_past = False
        self._places: dict[str, tuple[float, float]] = {}
        self._laid: dict[str, tuple[str, ...]] = {}
        """The ways by which places on rings were made; one that is lost leaves its device where it was."""
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._watch, name="street watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self.closing.wait(self.every_s):
            self.look()

    # ---- looking ----------------------------------------------------------------------------------------------------
    def look(self) -> None:
        """Ask the concentrator for everything once. What goes wrong is ``trouble``, and the last picture stays."""
        try:
            self._look()
            self.trouble = ""
        except Error as error:
            self.trouble = f"{error.message} ({error.hint})" if error.hint else error.message
        except _FORM as error:
            self.trouble = f"what answers does not speak as a concentrator of this version does: {error!r:.80}"
        self._looks += 1

    def _look(self) -> None:
        status = self.source.ask("status")
        topology = status["topology"]
        seen = _Seen(float(status["wall"]), float(status["now"]), status, shapes=self._shapes(topology))
        if seen.now < self._seen.now:  # it was started again, and counts from the beginning
            self._feed_at = 0
        events = self.source.ask("events", after=self._feed_at)
        seen.links = links_of(topology)
        seen.nodes = node_rows(topology, seen.links, seen.shapes, seen.now)
        seen.strangers = {str(name): str(why) for name, why in topology["strangers"].items()}
        before = None if self._has_past else self._past()
        with self._lock:
            self._seen = seen
            if before is not None:
                self._has_past = True
                self.history.load(before)
            self.history.note(seen.wall, {name: each.then() for name, each in seen.nodes.items()}, seen.links)
            self._tell(events, status.get("notices", []))

    def _past(self) -> list[Step]:
        """What the concentrator kept of the time before these pages; nothing of one that keeps none, or speaks of it otherwise."""
        try:
            return [step_from_json(each) for each in self.source.ask("history")]
        except (ConfigError, *_FORM):
            return []

    def _shapes(self, topology: Mapping[str, Any]) -> dict[str, Any]:
        """Kinds and places; asked for again only while somebody has none."""
        known = self._seen.shapes
        nodes = {str(each["unique_node_id"]) for each in topology["nodes"]}
        if nodes and all(known["kinds"].get(name) for name in nodes):
            return known
        if known["kinds"] and self._looks % 10:
            return known
        try:
            found = self.source.ask("shapes")
        except ConfigError:  # a concentrator that knows no drawing
            return dict(_NO_SHAPES)
        return {name: found[name] for name in _NO_SHAPES}

    def _tell(self, events: list[Mapping[str, Any]], notices: list[Mapping[str, Any]]) -> None:
        seen = self._seen
        ids = {each.number: name for name, each in seen.nodes.items() if each.number is not None}
        names = {name: each.name for name, each in seen.nodes.items()}
        fresh = [each for each in notices if each["number"] > self._notice_at]
        self._notice_at = max([self._notice_at, *(each["number"] for each in fresh)])
        fresh = [each for each in fresh if each["kind"] not in _TOLD_TWICE]
        others = [each for each in events if each["kind"] != _NOTICE]
        for event in sorted([*others, *fresh], key=lambda each: float(each["wall"])):
            self._number += 1
            self._events.append(told(self._number, event, ids, names))
        self._feed_at = max([self._feed_at, *(each["number"] for each in events)])

    # ---- what pages ask ---------------------------------------------------------------------------------------------
    def note(self) -> str:
        """One line above the pages."""
        return self.source.note()

    def hours(self) -> float:
        """How long the concentrator has been running, by its own time."""
        return self._seen.now / 3600.0

    def version(self) -> tuple[int, int]:
        """(looks, newest event): what a stream compares."""
        return self._looks, self._number

    def nodes(self) -> list[NodeRow]:
        """All devices, by name."""
        return sorted(self._seen.nodes.values(), key=lambda each: (not each.name.isdecimal(), each.name.zfill(9)))

    def overview(self) -> dict[str, Any]:
        """Counts and times, for the head of the page."""
        seen = self._seen
        states = Counter(each.state for each in seen.nodes.values())
        legs = Counter(each.legs for each in seen.nodes.values() if each.legs)
        airtime = seen.status.get("airtime", {}).get("total", {})
        return {
            "name": seen.status.get("name", ""),
            "wall": seen.wall or None,
            "devices": len(seen.nodes),
            "states": {state: states[state] for state in STATES if states[state]},
            "legs": {str(count): legs[count] for count in sorted(legs)},
            "strangers": seen.strangers,
            "airtime_s": airtime.get("airtime_s", 0.0),
            "airtime_share": airtime.get("airtime_s", 0.0) / seen.now if seen.now > 0 else 0.0,
            "exchanges": airtime.get("exchanges", 0),
            "waiting": sum(seen.status.get("exchanges", {}).get("waiting", {}).values()),
            "visits": len(seen.status.get("visits", [])),
            "jobs": len(seen.status.get("jobs", [])),
            "journal": seen.status.get("journal", {}),
            "paused": bool(seen.status.get("paused", False)),
            "trouble": self.trouble,
        }

    def map(self, at: float | None = None) -> dict[str, Any]:
        """The map now, or as it was at a moment (UTC seconds): nodes with places, links with both directions, cables."""
        with self._lock:
            seen, moments = self._seen, self.history.moments()
            then = None if at is None else self.history.at(at)
            is_live = then is None or not moments or then.wall >= moments[-1]
            shown = _now(seen) if is_live or then is None else then
            places = self._placed(seen)
        return {
            "wall": seen.wall if is_live else shown.wall,
            "live": is_live,
            "moments": moments,
            "trouble": self.trouble,
            "drawn": bool(seen.shapes["places"]),
            "cables": seen.shapes["cables"],
            "nodes": [
                {"id": CENTRE, "name": CENTRE, "kind": CENTRE, "state": "up", **_place(places, CENTRE)},
                *(
                    {
                        "id": name,
                        "name": known.name if (known := seen.nodes.get(name)) is not None else name,
                        "kind": known.kind if known is not None else "device",
                        "state": each.state,
                        "standing": each.standing,
                        "way": list(each.way),
                        "backup": list(each.backup),
                        "way_alternate": list(each.way_alternate),
                        "backup_alternate": list(each.backup_alternate),
                        **_place(places, name),
                    }
                    for name, each in shown.nodes.items()
                ),
            ],
            "links": [
                {"a": each.a, "b": each.b, "alternate": each.alternate, "ab_db": each.ab_db, "ba_db": each.ba_db}
                for each in shown.links.values()
            ],
        }

    def _placed(self, seen: _Seen) -> dict[str, tuple[float, float]]:
        """Where everybody stands: as drawn, or on rings, which are laid out anew when somebody comes or is behind somebody else."""
        drawn = {name: (place[0], place[1]) for name, place in seen.shapes["places"].items() if place}
        missing = [name for name in (CENTRE, *seen.nodes) if name not in drawn and name not in self._places]
        if not drawn:
            ways = {name: each.way or self._laid.get(name, ()) for name, each in seen.nodes.items()}
            if missing or ways != self._laid:
                self._places, self._laid = rings(ways), ways
        elif missing:  # beside the drawing
            low = max(y for _, y in drawn.values()) + 60.0
            for name in missing:
                self._places[name] = (40.0 * len(self._places), low)
        return self._places | drawn

    def events(self, *, after: int = 0, last: int = 200, least: str = "info", words: str = "") -> list[Happened]:
        """Events above a number, oldest first, the newest ``last`` of them; at least so severe, and with all of the words."""
        if least not in SEVERITIES:
            raise Problem(
                422, "wrong_parameter", f"severity: {least!r:.20} is none", hint=f"one of {', '.join(SEVERITIES)}"
            )
        grave = SEVERITIES[SEVERITIES.index(least) :]
        wanted = words.lower().split()
        with self._lock:
            there = list(self._events)
        found = [
            each
            for each in there
            if each.number > after and each.severity in grave and all(one in _searched(each) for one in wanted)
        ]
        return found[-last:] if last > 0 else []

    def node(self, name: str) -> NodeRow:
        """A device by its unique node ID. Raises Problem (404)."""
        found = self._seen.nodes.get(name)
        if found is None:
            raise Problem(404, "no_such_device", f"the concentrator knows no device {name!r:.40}", hint="see the map")
        return found

    def device(self, name: str, *, days: int = 7) -> dict[str, Any]:
        """All that the concentrator knows of a device. Raises Problem: 404 for an unknown one, 503 if nobody answers."""
        return self._asked("no_such_device", "device", name, days=days)

    def table(self, name: str, table: int, read: int | None = None) -> dict[str, Any]:
        """The newest bytes of a table of a device that the concentrator keeps, or those of a read. Raises Problem as ``device``."""
        which = {} if read is None else {"read": read}
        return self._asked("no_such_read", "table", name, table=table, **which)

    def _asked(self, missing: str, do: str, name: str, **what: Any) -> dict[str, Any]:
        self.node(name)
        try:
            found: dict[str, Any] = self.source.ask(do, unique_node_id=name, **what)
        except NoAnswer as error:
            raise Problem(503, "no_concentrator", error.message, hint=error.hint or "") from error
        except ConfigError as error:
            raise Problem(404, missing, error.message, hint=error.hint or "") from error
        return found


def _searched(event: Happened) -> str:
    return f"{event.name} {event.kind} {event.severity} {event.text} {event.device}".lower()


def _now(seen: _Seen) -> Then:
    nodes = {name: each.then() for name, each in seen.nodes.items()}
    return Then(seen.wall, nodes, {each.key: each for each in seen.links})


def _place(places: Mapping[str, tuple[float, float]], name: str) -> dict[str, float]:
    x, y = places.get(name, (0.0, 0.0))
    return {"x": x, "y": y}
