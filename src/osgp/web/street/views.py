"""Addresses of a street."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, StreamingResponse

from osgp.headend.store import StoredReading
from osgp.tables.profile import Channel, Profile
from osgp.tables.registry import find_table
from osgp.tables.table import table_name
from osgp.web.device.models import RANGES
from osgp.web.device.series import series_of
from osgp.web.device.service import grouped, value_of
from osgp.web.errors import Problem
from osgp.web.raw.explaining import Explainer
from osgp.web.raw.models import Explained, Read
from osgp.web.raw.views import table_of
from osgp.web.rendering import page
from osgp.web.street.models import SEVERITIES
from osgp.web.street.service import StreetWatch

__all__ = ["routes"]

_MOST_STREAMS = 16
_TICK_S = 0.25
_QUIET_S = 15.0
_ALL_DAYS = 60


def routes(watch: StreetWatch) -> APIRouter:
    """The page of the street, the pages of its devices, their refreshing parts, the stream, and the JSON."""
    router = APIRouter()
    streams: set[object] = set()
    explainer = Explainer()

    def explained(
        name: str, table: str, start: int | None, read: int | None
    ) -> tuple[Explained, list[tuple[int, float]]]:
        """Bytes that the concentrator keeps, and which reads there are: (number, our time)."""
        found = watch.table(name, table_of(table), read)
        dimensions = {int(number): bytes.fromhex(content) for number, content in found["dimensions"].items()}
        parts = tuple((int(offset), bytes.fromhex(content)) for offset, content in found["parts"])
        given = Read(found["read"], found["table"], found["time"], found["wall"], "power line", False, parts)
        reads = [(each["read"], each["wall"]) for each in found["reads"]]
        return explainer.explain(given, dimensions, start), reads

    # ---- pages ------------------------------------------------------------------------------------------------------
    @router.get("/street", response_class=HTMLResponse)
    def street(severity: str = "info", q: str = "") -> HTMLResponse:
        return page(
            "street.html",
            title="Street",
            live_note=watch.note(),
            severities=SEVERITIES,
            severity=severity,
            query=q,
            events=watch.events(least=severity, words=q)[::-1],
            newest=watch.version()[1],
            **_shown(watch),
        )

    @router.get("/parts/street", response_class=HTMLResponse, include_in_schema=False)
    def part() -> HTMLResponse:
        return page("parts/street.html", **_shown(watch))

    @router.get("/street/devices/{name}", response_class=HTMLResponse)
    def device(name: str) -> HTMLResponse:
        found = watch.device(name, days=0)
        return page(
            "street_device.html",
            live_note=watch.note(),
            title=watch.node(name).name,
            ranges=list(RANGES),
            data_sets=sorted({int(each["data_set"]) for each in found["profiles"]}),
            **_device(watch, name, found),
        )

    @router.get("/street/devices/{name}/tables/{table}", response_class=HTMLResponse)
    def table_page(name: str, table: str, start: int | None = None, read: int | None = None) -> HTMLResponse:
        shown, reads = explained(name, table, start, read)
        title = watch.node(name).name
        return page(
            "table.html",
            title=f"{shown.name} of {title}",
            crumbs=(("/street", "Street"), (f"/street/devices/{name}#tables", title)),
            shown=shown,
            reads=reads,
            live_note=watch.note(),
        )

    @router.get("/parts/street/devices/{name}", response_class=HTMLResponse, include_in_schema=False)
    def device_part(name: str) -> HTMLResponse:
        return page("parts/street_device.html", **_device(watch, name, watch.device(name, days=0)))

    # ---- JSON -------------------------------------------------------------------------------------------------------
    @router.get("/api/street")
    def overview() -> dict[str, Any]:
        """Devices by state and by legs of their ways, airtime, journal, and what is wrong if anything is.

        Times in seconds since 1970.
        """
        return watch.overview()

    @router.get("/api/street/map")
    def map(at: float | None = None) -> dict[str, Any]:
        """Nodes with states and ways, links with the margin of both directions (dB), where to draw them; ``at``: as it was then.

        ``moments`` are the times for which there is a picture.
        """
        return watch.map(at)

    @router.get("/api/street/devices")
    def devices() -> list[dict[str, Any]]:
        """All devices that the concentrator knows."""
        return [each.to_json() for each in watch.nodes()]

    @router.get("/api/street/devices/{name}")
    def one_device(name: str) -> dict[str, Any]:
        """A device by its unique node ID: state, newest readings, log entries, links, jobs, how far its keys are (never the keys)."""
        found = watch.device(name, days=0)
        return {key: value for key, value in found.items() if key not in ("profiles", "tables")}

    @router.get("/api/street/devices/{name}/profile")
    def profile(name: str, data_set: int = 1, range: str = "7d", counters: str = "used") -> dict[str, Any]:
        """A load profile on a regular grid: ``counters=used`` as growth in each interval, ``counters=register`` as read."""
        if range not in RANGES:
            raise Problem(422, "wrong_parameter", f"range: {range!r:.20} is none", hint=f"one of {', '.join(RANGES)}")
        seconds = RANGES[range]
        found = watch.device(name, days=_ALL_DAYS if seconds is None else seconds // 86400)
        profiles = [_profile(each) for each in found["profiles"] if each["data_set"] == data_set]
        return series_of(profiles, data_set, differences=counters != "register").to_json()

    @router.get("/api/street/devices/{name}/tables")
    def tables(name: str) -> list[dict[str, Any]]:
        """The tables of which the concentrator keeps bytes: number, name, title, how often read, when last (meter's time and ours)."""
        return _tables(watch.device(name, days=0))

    @router.get("/api/street/devices/{name}/tables/{table}")
    def table_json(name: str, table: str, read: int | None = None) -> dict[str, Any]:
        """What was read of a table last (or in ``read``), explained, with bit offsets; ``known`` of ``size`` bytes were read."""
        return explained(name, table, None, read)[0].to_json()

    @router.get("/api/street/events")
    def events(after: int = 0, last: int = 200, severity: str = "info", q: str = "") -> list[dict[str, Any]]:
        """Events, oldest first: the newest ``last`` above the number ``after``, at least so severe, with all words of ``q``."""
        return [each.to_json() for each in watch.events(after=after, last=min(last, 2000), least=severity, words=q)]

    @router.get("/api/street/stream")
    async def stream(request: Request, after: int | None = None) -> StreamingResponse:
        """Server-sent events: ``happened`` for each event above ``after`` (or Last-Event-ID), ``looked`` after each look."""
        if len(streams) >= _MOST_STREAMS:
            raise Problem(503, "too_many_streams", f"{_MOST_STREAMS} streams are open", hint="close a page")
        start = _start(request, after)
        return StreamingResponse(_stream(watch, start, streams), media_type="text/event-stream")

    return router


def _start(request: Request, after: int | None) -> int | None:
    """The event after which a stream begins: where the browser was when it lost the last one."""
    last = request.headers.get("last-event-id", "")
    return int(last) if last.isdecimal() and len(last) < 12 else after


async def _stream(watch: StreetWatch, after: int | None, streams: set[object]) -> AsyncIterator[str]:
    own = object()
    streams.add(own)
    number = watch.version()[1] if after is None else after
    looks, quiet = -1, 0.0
    try:
        while not watch.closing.is_set():
            now = watch.version()
            if now[1] < number:  # this page is older than the program
                number = 0
            for event in watch.events(after=number):
                number = event.number
                yield f"id: {number}\nevent: happened\ndata: {json.dumps(event.to_json())}\n\n"
            if now[0] != looks:
                looks, quiet = now[0], 0.0
                yield f"event: looked\ndata: {json.dumps(watch.overview())}\n\n"
            elif quiet >= _QUIET_S:
                quiet = 0.0
                yield ": still here\n\n"
            await asyncio.sleep(_TICK_S)
            quiet += _TICK_S
    finally:
        streams.discard(own)


def _shown(watch: StreetWatch) -> dict[str, Any]:
    nodes = watch.nodes()
    return {"nodes": nodes, "names": {each.id: each.name for each in nodes}, "seen": watch.overview()}


def _device(watch: StreetWatch, name: str, found: dict[str, Any]) -> dict[str, Any]:
    """What the page of a device shows of the concentrator's answer."""
    readings = [
        StoredReading(each["name"], each["time"], each["value"], each["unit"], each["wall"], 0)
        for each in found["readings"]
    ]
    return {
        "node": watch.node(name),
        "names": {each.id: each.name for each in watch.nodes()},
        "found": found,
        "groups": grouped([value_of(each) for each in readings]),
        "happened": [each for each in watch.events(last=2000) if each.device == name][-50:][::-1],
        "tables": _tables(found),
        "trouble": watch.trouble,
    }


def _tables(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Tables with their names; none from a concentrator that tells of none."""
    rows = []
    for each in found.get("tables", []):
        declared = find_table(each["table"])
        title = declared.title if declared is not None else ""
        rows.append({**each, "name": table_name(each["table"]), "title": title})
    return rows


def _profile(given: dict[str, Any]) -> Profile:
    """A load profile out of plain data (``concentrator.journal.Journal.profiles``)."""
    channels = tuple(Channel(**each) for each in given["channels"])
    rows = given["intervals"]
    width = (len(rows), len(channels))
    return Profile(
        int(given["data_set"]),
        int(given["interval_s"]),
        channels,
        np.array([row[0] for row in rows], np.int64).view("M8[s]"),
        np.array([row[1] for row in rows], np.uint8),
        np.array([row[2] for row in rows], np.uint8).reshape(width),
        np.array([row[3] for row in rows], np.int64).reshape(width),
        np.ones(len(rows), bool),
    )
