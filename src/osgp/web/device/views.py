"""Addresses of one device."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import HTMLResponse

from osgp.headend.store.queries import as_json
from osgp.web.device.models import RANGES
from osgp.web.device.service import DeviceService
from osgp.web.live import Live
from osgp.web.rendering import page

__all__ = ["routes"]


def routes(service: DeviceService, live: Live) -> APIRouter:
    """The page, its refreshing parts, and the JSON."""
    router = APIRouter()

    def _values(number: int) -> dict[str, Any]:
        device = service.device(number)
        return {"device": device, "groups": service.groups(device), "now": live.now(), "live_note": live.note()}

    def _logs(number: int) -> dict[str, Any]:
        device = service.device(number)
        return {
            "device": device,
            "events": service.events(device),
            "visits": service.visits(device),
            "now": live.now(),
        }

    @router.get("/devices/{number}", response_class=HTMLResponse)
    def device(number: int) -> HTMLResponse:
        shown = service.device(number)
        return page(
            "device.html",
            title=shown.name,
            tables=service.tables(shown),
            data_sets=service.data_sets(shown),
            ranges=list(RANGES),
            **(_values(number) | _logs(number)),
        )

    @router.get("/parts/devices/{number}/values", response_class=HTMLResponse, include_in_schema=False)
    def values_part(number: int) -> HTMLResponse:
        return page("parts/values.html", **_values(number))

    @router.get("/parts/devices/{number}/logs", response_class=HTMLResponse, include_in_schema=False)
    def logs_part(number: int) -> HTMLResponse:
        return page("parts/logs.html", **_logs(number))

    @router.get("/api/devices")
    def devices() -> list[dict[str, Any]]:
        """All devices."""
        return [_device_json(each) for each in service.store.devices()]

    @router.get("/api/devices/{number}")
    def one_device(number: int) -> dict[str, Any]:
        """One device."""
        return _device_json(service.device(number))

    @router.get("/api/devices/{number}/readings")
    def readings(number: int) -> list[dict[str, Any]]:
        """The newest reading of each measurement, with its doubts."""
        return [each.to_json() for each in service.values(service.device(number))]

    @router.get("/api/devices/{number}/profile")
    def profile(number: int, data_set: int = 1, range: str = "7d", counters: str = "used") -> dict[str, Any]:
        """A load profile on a regular grid: ``counters=used`` as growth in each interval, ``counters=register`` as read."""
        found = service.series(service.device(number), data_set, range, differences=counters != "register")
        return found.to_json()

    @router.get("/api/devices/{number}/events")
    def events(number: int, limit: int = 200) -> list[dict[str, Any]]:
        """Log entries, newest first."""
        return [as_json(each) for each in service.events(service.device(number), max(1, min(limit, 10_000)))]

    @router.get("/api/devices/{number}/visits")
    def visits(number: int, limit: int = 50) -> list[dict[str, Any]]:
        """Visits of the collector, newest first."""
        return [as_json(each) for each in service.visits(service.device(number), max(1, min(limit, 10_000)))]

    @router.get("/api/devices/{number}/tables")
    def tables(number: int) -> list[dict[str, Any]]:
        """The tables of which there is a whole read."""
        return [as_json(each) for each in service.tables(service.device(number))]

    return router


def _device_json(device: Any) -> dict[str, Any]:
    shown: dict[str, Any] = as_json(device)
    shown["dimensions"] = {str(number): raw.hex() for number, raw in device.dimensions.items()}
    return shown
