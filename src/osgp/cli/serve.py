"""``osgp serve``: the pages over a store that is there already, or over a data concentrator that is running."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from osgp.cli.output import stderr
from osgp.wire.errors import ConfigError

if TYPE_CHECKING:
    from osgp.headend.store import Store
    from osgp.web.live import Live
    from osgp.web.street.service import StreetWatch

__all__ = ["announce", "serve", "serve_pages"]


def serve(
    store: Path | None = None,
    /,
    *,
    concentrator: Annotated[
        Path | None, Parameter(help="status socket of a running data concentrator: its street is shown")
    ] = None,
    port: Annotated[int, Parameter(help="where; the next free one if it is taken")] = 8080,
    host: Annotated[str, Parameter(help="the address to listen at; anything but this machine is a risk")] = "127.0.0.1",
    allow_host: Annotated[
        tuple[str, ...], Parameter(help="a further name under which the pages may be asked for")
    ] = (),
) -> None:
    """Show a store in the browser until Ctrl-C: fleet, devices, load profiles, tables byte by byte; or a data concentrator's street.

    Parameters
    ----------
    store
        the file that `osgp collect` or `osgp demo --meters` fills
    """
    if store is None and concentrator is None:
        raise ConfigError("there is nothing to show", hint="name a store, or a socket with --concentrator")
    with ExitStack() as stack:
        from osgp.headend.store import Store

        opened = None if store is None else stack.enter_context(Store.open(store, create=False))
        watch = None if concentrator is None else stack.enter_context(_watched(concentrator))
        asyncio.run(_serve(opened, watch, host, port, allow_host))


def _watched(socket: Path) -> StreetWatch:
    """Raises ConfigError when the pages' packages are missing."""
    try:
        from osgp.web.street.service import StreetWatch
        from osgp.web.street.source import SocketSource
    except ModuleNotFoundError as error:
        raise ConfigError(f"the pages need the package {error.name}", hint="pip install 'osgp[web]'") from error
    return StreetWatch(SocketSource(socket))


async def _serve(store: Store | None, watch: StreetWatch | None, host: str, port: int, names: tuple[str, ...]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    await serve_pages(store, None, host, port, names, stop, street=watch)


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def announce(host: str, asked: int, port: int) -> str:
    """Say on stderr where the pages are; answers the address."""
    if asked and port != asked:
        stderr.print(f"port {asked} is taken; using {port}", style="yellow")
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{port}"
    stderr.print(f"pages at {address}, Ctrl-C ends", style="bold")
    return address


async def serve_pages(
    store: Store | None,
    live: Live | None,
    host: str,
    port: int,
    names: tuple[str, ...],
    stop: asyncio.Event,
    *,
    street: StreetWatch | None = None,
) -> None:
    """Serve until ``stop`` is set: a store, a street, or both. Raises ConfigError."""
    try:
        from osgp.web.app import create_app
        from osgp.web.guard import LOCAL_HOSTS
        from osgp.web.server import PageServer, listen
    except ModuleNotFoundError as error:
        raise ConfigError(f"the pages need the package {error.name}", hint="pip install 'osgp[web]'") from error
    if not _is_local(host):
        stderr.print(
            "warning: the pages have no login and no encryption; everybody who reaches this address sees all readings",
            style="yellow",
        )
    place, bound = listen(host, port)
    hosts = (*LOCAL_HOSTS, f"[{host}]" if ":" in host else host, *names)
    server = PageServer(create_app(store, live, street=street, hosts=hosts))
    announce(host, port, bound)
    serving = asyncio.create_task(server.serve(sockets=[place]))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
    if street is not None:
        street.closing.set()  # streams end by themselves; the server would wait for them
    server.stop()
    stopping.cancel()
    await serving
