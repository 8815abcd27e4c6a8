"""One shape for every error: ``{"error": {"status", "code", "message", "hint"}}`` under ``/api``, a page elsewhere."""

from __future__ import annotations

import http
import logging
import re

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from osgp.web.rendering import page
from osgp.wire.errors import Error, StoreError

__all__ = ["Problem", "answer", "install"]

log = logging.getLogger(__name__)


class Problem(Exception):
    """What a view raises when it cannot answer. ``code``: for programs; ``message``, ``hint``: for people."""

    def __init__(self, status: int, code: str, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.hint = hint

    def to_json(self) -> dict[str, object]:
        """The one shape."""
        return {"error": {"status": self.status, "code": self.code, "message": self.message, "hint": self.hint}}


def answer(problem: Problem, path: str) -> Response:
    """A problem as JSON for programs, as a page for people."""
    if path.startswith("/api") or path == "/health":
        return JSONResponse(problem.to_json(), problem.status)
    title = http.HTTPStatus(problem.status).phrase
    return page("error.html", problem.status, title=title, problem=problem, live_note="")


def _code(status: int) -> str:
    return re.sub(r"[^a-z]+", "_", http.HTTPStatus(status).phrase.lower())


def install(app: FastAPI) -> None:
    """Let every way to fail end in the one shape."""

    @app.exception_handler(Problem)
    async def problem(request: Request, error: Problem) -> Response:
        return answer(error, request.url.path)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        made = Problem(error.status_code, _code(error.status_code), str(error.detail))
        response = answer(made, request.url.path)
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(RequestValidationError)
    async def wrong(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0] if error.errors() else {}
        where = ".".join(str(part) for part in first.get("loc", ())[1:])
        return answer(Problem(422, "wrong_parameter", f"{where}: {first.get('msg', 'is wrong')}"), request.url.path)

    @app.exception_handler(Error)
    async def ours(request: Request, error: Error) -> Response:
        status = 503 if isinstance(error, StoreError) else 500
        return answer(Problem(status, _code(status), error.message, hint=error.hint or ""), request.url.path)

    @app.exception_handler(Exception)
    async def ours_to_mend(request: Request, error: Exception) -> Response:
        log.error("%s failed", request.url.path, exc_info=error)
        made = Problem(500, "internal_error", "this page failed; the log of the server says more")
        return answer(made, request.url.path)
