"""Addresses of the fleet."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.responses import HTMLResponse

from osgp.web.fleet.models import COLUMNS, Column, FleetView
from osgp.web.fleet.service import FleetService
from osgp.web.live import Live
from osgp.web.rendering import page

__all__ = ["routes"]


def _heads(view: FleetView) -> list[dict[str, Any]]:
    """The column heads: where a click leads and what is sorted now."""

    def head(column: Column) -> dict[str, Any]:
        sorted_now = column.key == view.sort
        order = column.first if not sorted_now else ("asc" if view.order == "desc" else "desc")
        state = {"asc": "ascending", "desc": "descending"}[view.order] if sorted_now else "none"
        address = urlencode({"q": view.query, "sort": column.key, "order": order})
        return {"column": column, "address": address, "state": state}

    return [head(column) for column in COLUMNS]


def routes(service: FleetService, live: Live) -> APIRouter:
    """The page, the part that refreshes itself, and the JSON."""
    router = APIRouter()

    @router.get("/", response_class=HTMLResponse)
    def fleet(q: str = "", sort: str = "name", order: str = "asc") -> HTMLResponse:
        view = service.view(q, sort, order)
        return page("fleet.html", view=view, heads=_heads(view), title="Fleet", live_note=live.note())

    @router.get("/parts/fleet", response_class=HTMLResponse, include_in_schema=False)
    def part(q: str = "", sort: str = "name", order: str = "asc") -> HTMLResponse:
        view = service.view(q, sort, order)
        return page("parts/fleet.html", view=view, heads=_heads(view), live_note=live.note())

    @router.get("/api/fleet")
    def fleet_json(q: str = "", sort: str = "name", order: str = "asc") -> dict[str, Any]:
        """The rows of the fleet. Energies in Wh, power in W, times in seconds since 1970."""
        view = service.view(q, sort, order)
        return {"total": view.total, "devices": [row.to_json() for row in view.rows]}

    return router
