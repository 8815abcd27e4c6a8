"""The application: pages and JSON over a store, and over the collector that runs beside it, if one does."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files

from fastapi import FastAPI
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

__all__ = ["create_app"]


def create_app(store: Store, live: Live | None = None, *, hosts: Iterable[str] = LOCAL_HOSTS) -> FastAPI:
    """Pages over ``store``. ``live``: the collector in this process. ``hosts``: the names they may be asked for under.

    The pages read only, show no keys (the store holds none) and ask for no login: serve them to this machine only.
    """
    beside = live if live is not None else Resting()
    # The interactive documentation of FastAPI loads its scripts from elsewhere; the description itself is enough.
    app = FastAPI(
        title="osgp", version=osgp.__version__, docs_url=None, redoc_url=None, openapi_url="/api/openapi.json"
    )
    app.add_middleware(Guard, hosts=tuple(hosts))
    errors.install(app)
    devices = DeviceService(store)
    app.include_router(fleet_routes(FleetService(store, beside), beside))
    app.include_router(device_routes(devices, beside))
    app.include_router(raw_routes(RawService(store, devices), beside))
    app.mount("/static", StaticFiles(directory=str(files("osgp.web") / "static")), name="static")

    @app.get("/health")
    def health() -> dict[str, object]:
        """Whether the store answers, and how much it holds. Raises StoreError (503)."""
        return {"status": "ok", "version": osgp.__version__, "store": store.counts()}

    return app
