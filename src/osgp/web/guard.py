"""What stands between the pages and a hostile web site: the Host check and the headers of every answer. Project choice.

The pages have no login, because they are served to this machine only. A site open in the same browser could still reach
them by a name of its own that resolves to 127.0.0.1 (DNS rebinding); its requests then carry that name in ``Host``, so
requests for any name but ours are refused. The content security policy allows no inline script, style or foreign address.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from osgp.web.errors import Problem, answer
from osgp.web.rendering import FLEET, SECTIONS

__all__ = ["CONTENT_SECURITY_POLICY", "LOCAL_HOSTS", "Guard", "host_of"]

LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]")
"""The names under which a machine knows itself."""

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def host_of(header: str) -> str:
    """The name in a Host header, without its port: ``[::1]:8080`` is ``[::1]``."""
    text = header.strip().lower()
    if text.startswith("["):
        return text[: text.find("]") + 1]
    return text.partition(":")[0].rstrip(".")


class Guard:
    """ASGI middleware: refuses foreign names, adds the headers. ``sections``: what the head of each page leads to."""

    def __init__(
        self, app: ASGIApp, hosts: Iterable[str] = LOCAL_HOSTS, sections: tuple[tuple[str, str], ...] = (FLEET,)
    ) -> None:
        self.app = app
        self.sections = sections
        self.hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            # There is no web socket here; the life-span messages pass.
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if not scope["path"].startswith("/static/"):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        SECTIONS.set(self.sections)
        host = host_of(Headers(scope=scope).get("host", ""))
        if host not in self.hosts:
            problem = Problem(
                421,
                "wrong_host",
                f"these pages are not served under the name {host!r}",
                hint="open http://127.0.0.1 with the port; a further name is allowed with --allow-host",
            )
            await answer(problem, scope["path"])(scope, receive, guarded)
            return
        await self.app(scope, receive, guarded)
