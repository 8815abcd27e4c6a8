"""Addresses of one table."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import HTMLResponse

from osgp.tables.table import number_of
from osgp.web.errors import Problem
from osgp.web.live import Live
from osgp.web.raw.service import RawService
from osgp.web.rendering import page
from osgp.wire.errors import ConfigError

__all__ = ["routes", "table_of"]


def table_of(text: str) -> int:
    """The number of a table by its name. Raises Problem (404)."""
    try:
        return number_of(text)
    except ConfigError as error:
        raise Problem(404, "no_such_table", error.message, hint=error.hint) from error


def routes(service: RawService, live: Live) -> APIRouter:
    """The page and the JSON. Tables are named as in the guides: BT23, ET52."""
    router = APIRouter()

    @router.get("/devices/{number}/tables/{table}", response_class=HTMLResponse)
    def table_page(number: int, table: str, start: int | None = None, read: int | None = None) -> HTMLResponse:
        device = service.devices.device(number)
        shown = service.explain(number, table_of(table), start, read)
        return page(
            "table.html",
            title=f"{shown.name} of {device.name}",
            crumbs=(("/", "Fleet"), (f"/devices/{number}#tables", device.name)),
            shown=shown,
            reads=[(each.id, each.wall) for each in service.reads(device, shown.table)],
            live_note=live.note(),
        )

    @router.get("/api/devices/{number}/tables/{table}")
    def table_json(number: int, table: str, read: int | None = None) -> dict[str, Any]:
        """A table as it was read last (or in ``read``), explained, with bit offsets."""
        return service.explain(number, table_of(table), read=read).to_json()

    return router
