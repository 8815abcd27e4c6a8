"""Rows of the fleet from the store: the newest values, doubts, and how complete yesterday is."""

from __future__ import annotations

import re
import threading
import time
from typing import Any

from osgp.headend.plausibility import Rules, check_profile, flag_names
from osgp.headend.store import DeviceSummary, Store, StoredReading
from osgp.tables.alarms import active_alarms
from osgp.tables.bt.bt03 import BT03
from osgp.tables.image import context_of
from osgp.web.doubts import plain, telling
from osgp.web.fleet.models import COLUMNS, Completeness, FleetRow, FleetView
from osgp.web.live import Live
from osgp.wire import layout_of
from osgp.wire.errors import DecodeError

__all__ = ["FleetService"]

_DAY_S = 86400
_STATES = {"failed": 0, "interrupted": 1, "partial": 2, "never": 3, "reading": 4, "ok": 5}
_FRESH_S = 1.0
"""How long a fleet is served from memory: many open pages ask the store no more often than one."""


class FleetService:
    """Answers for the fleet. Safe to call from several threads. A row is made anew only when its device was visited."""

    def __init__(self, store: Store, live: Live) -> None:
        self.store = store
        self.live = live
        self.fresh_s = _FRESH_S
        self._rows: dict[int, tuple[Any, FleetRow]] = {}
        self._all: tuple[float, list[FleetRow]] | None = None
        self._lock = threading.Lock()

    def rows(self) -> list[FleetRow]:
        """All devices, by name."""
        with self._lock:
            now = time.monotonic()
            if self._all is None or not now - self._all[0] < self.fresh_s:
                activity = self.live.activity()
                self._all = now, [self._row(each, activity.get(each.device.name)) for each in self.store.fleet()]
            return self._all[1]

    def view(self, query: str = "", sort: str = "name", order: str = "asc") -> FleetView:
        """What a page shows. ``query``: words that must all occur in a row."""
        rows = self.rows()
        words = query.lower().split()
        shown = [row for row in rows if all(word in _searched(row) for word in words)]
        known = {column.key for column in COLUMNS}
        sort = sort if sort in known else "name"
        order = "desc" if order == "desc" else "asc"
        shown.sort(key=lambda row: _natural(row.name))
        having = [row for row in shown if _sort_key(row, sort) is not None]
        having.sort(key=lambda row: _sort_key(row, sort), reverse=order == "desc")
        missing = [row for row in shown if _sort_key(row, sort) is None]
        counts = {state: sum(row.state == state for row in rows) for state in _STATES}
        states = tuple((state, count) for state, count in counts.items() if count)
        return FleetView(tuple(having + missing), len(rows), query, sort, order, self.live.now(), states)

    def _row(self, summary: DeviceSummary, doing: str | None) -> FleetRow:
        key = (summary, doing)
        found = self._rows.get(summary.device.id)
        if found is None or found[0] != key:
            found = key, self._made(summary, doing)
            self._rows[summary.device.id] = found
        return found[1]

    def _made(self, summary: DeviceSummary, doing: str | None) -> FleetRow:
        device, visit = summary.device, summary.last_visit
        latest = {each.name: each for each in self.store.latest(device.name)}
        state, detail = "never", "not visited yet"
        if visit is not None:
            state, detail = visit.outcome, visit.error + (f" ({visit.hint})" if visit.hint else "")
            if state == "running":
                state, detail = "reading", ""
        if doing is not None:
            state, detail = "reading", doing
        completeness, doubts = self._profile(summary)
        flags = set(doubts)
        for each in latest.values():
            flags |= {f"{plain(each.name)}: {word}" for word in flag_names(telling(each.name, each.flags))}
        return FleetRow(
            device.id,
            device.name,
            device.model or "",
            device.serial or "",
            device.firmware or "",
            _door(device.address) or device.door,
            None if visit is None else (visit.end or visit.start),
            state,
            detail,
            summary.failures,
            _number(latest.get("fwd_active_energy")),
            _number(latest.get("rev_active_energy")),
            _power(latest),
            self._alarms(summary),
            tuple(sorted(flags)),
            completeness,
        )

    def _alarms(self, summary: DeviceSummary) -> tuple[tuple[str, str], ...]:
        whole = next((each for each in self.store.raw(summary.device.name, BT03.number, last=10) if each.whole), None)
        if whole is None:
            return ()
        try:
            status = layout_of(BT03, context_of(summary.device.dimensions)).decode(whole.content)
        except DecodeError:
            return ()
        return tuple((alarm.severity, alarm.text or alarm.key) for alarm in active_alarms(status))

    def _profile(self, summary: DeviceSummary) -> tuple[Completeness | None, list[str]]:
        """Yesterday's completeness, and what is odd about the intervals since."""
        newest = summary.newest_interval
        if newest is None:
            return None, []
        today = newest - newest % _DAY_S  # an interval is stamped with its end, so midnight belongs to the day before
        profile = self.store.profile(summary.device.name, 1, since=today - _DAY_S)
        if not profile.interval_s or not len(profile):
            return None, []
        have = sum(1 for epoch in profile.epochs() if epoch <= today)
        expected = _DAY_S // profile.interval_s
        day = time.strftime("%Y-%m-%d", time.gmtime(today - _DAY_S))
        odd = check_profile(profile, Rules())
        doubts = []
        for place, channel in enumerate(profile.channels):
            bits = 0
            for each in odd[:, place]:
                bits |= int(each)
            doubts += [f"{plain(channel.key)}: {word}" for word in flag_names(telling(channel.key, bits))]
        return Completeness(day, have, expected), doubts


def _door(address: str) -> str:
    """optical, mep, mep+tls: the address without the line."""
    words = address.partition(":")[0].split("+")
    return "+".join(word for word in words if word not in ("tcp", "rfc2217"))


def _number(reading: StoredReading | None) -> float | None:
    if reading is None or isinstance(reading.value, str):
        return None
    return reading.value


def _power(latest: dict[str, StoredReading]) -> float | None:
    taken, given = _number(latest.get("fwd_active_power")), _number(latest.get("rev_active_power"))
    if taken is None and given is None:
        return None
    return (taken or 0) - (given or 0)


def _searched(row: FleetRow) -> str:
    words = [row.name, row.model, row.serial, row.firmware, row.door, row.state, row.detail, *row.flags]
    return " ".join([*words, *(text for _, text in row.alarms)]).lower()


def _natural(text: str) -> list[tuple[int, int | str]]:
    """meter-2 before meter-10."""
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", text.lower()) if part]


def _sort_key(row: FleetRow, sort: str) -> Any:
    """What rows are compared by; None: last, in either order."""
    match sort:
        case "visit":
            return row.last_visit
        case "state":
            return _STATES.get(row.state, 9)
        case "import":
            return row.energy_import
        case "export":
            return row.energy_export
        case "power":
            return row.power
        case "alarms":
            return len(row.flags) * 100 + sum(10 if severity == "critical" else 1 for severity, _ in row.alarms)
        case "complete":
            return None if row.completeness is None else row.completeness.percent
        case _:
            return _natural(str(getattr(row, sort))) or None
