"""The application: pages and JSON over a store and the collector that runs beside it, and over a concentrator's street."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files

from fastapi import FastAPI
from starlette.responses import RedirectResponse
from starlette.staticfiles import StaticFiles

import osgp
from osgp.headend.store import Store
from osgp.web import errors
from osgp.web.device.service import DeviceService
from osgp.web.device.views import routes as device_routes
from osgp.web.fleet.service import FleetService
from osgp.web.fleet.views import routes as fleet_routes
from osgp.web.guard import LOCAL_HOSTS, Guard
from osgp.web.live import Live, Resting
from osgp.web.raw.service import RawService
from osgp.web.raw.views import routes as raw_routes
from osgp.web.rendering import FLEET, STREET
from osgp.web.street.service import StreetWatch
from osgp.web.street.views import routes as street_routes

__all__ = ["create_app"]


def create_app(
    store: Store | None,
    live: Live | None = None,
    *,
    street: StreetWatch | None = None,
    hosts: Iterable[str] = LOCAL_HOSTS,
) -> FastAPI:
    """Pages over ``store``, over the concentrator that ``street`` watches, or both.

    ``live``: the collector in this process. ``hosts``: the names they may be asked for under.

    The pages read only, show no keys (neither holds any that could be shown) and ask for no login: serve them to this machine only.
    """
    # The interactive documentation of FastAPI loads its scripts from elsewhere; the description itself is enough.
    app = FastAPI(
        title="osgp", version=osgp.__version__, docs_url=None, redoc_url=None, openapi_url="/api/openapi.json"
    )
    sections = (*([FLEET] if store is not None else []), *([STREET] if street is not None else []))
    app.add_middleware(Guard, hosts=tuple(hosts), sections=sections)
    errors.install(app)
    if store is not None:
        _add_store(app, store, live if live is not None else Resting())
    if street is not None:
        app.include_router(street_routes(street))
    if store is None:

        @app.get("/", include_in_schema=False)
        def first() -> RedirectResponse:
            return RedirectResponse(STREET[0])

    app.mount("/static", StaticFiles(directory=str(files("osgp.web") / "static")), name="static")

    @app.get("/health")
    def health() -> dict[str, object]:
        """Whether the store and the concentrator answer, and how much the store holds. Raises StoreError (503)."""
        found: dict[str, object] = {"status": "ok", "version": osgp.__version__}
        if store is not None:
            found["store"] = store.counts()
        if street is not None:
            found["concentrator"] = street.trouble or "ok"
        return found

    return app


def _add_store(app: FastAPI, store: Store, live: Live) -> None:
    """Fleet, devices and their tables."""
    devices = DeviceService(store)
    app.include_router(fleet_routes(FleetService(store, live), live))
    app.include_router(device_routes(devices, live))
    app.include_router(raw_routes(RawService(store, devices), live))
