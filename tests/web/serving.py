"""An application on a port of its own, for browsers and streams."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI

from osgp.web.server import PageServer, listen


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """Its address."""
    place, port = listen("127.0.0.1", 0)
    server = PageServer(app)
    thread = threading.Thread(target=lambda: _run(server, place))
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()
        thread.join(30)
    assert not thread.is_alive()


def _run(server: uvicorn.Server, place: Any) -> None:
    server.run(sockets=[place])
