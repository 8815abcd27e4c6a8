"""``osgp lon node``: a node of the control network until Ctrl-C: it answers, repeats, is commissioned, and tells what happens."""

from __future__ import annotations

import asyncio
import json as jsonlib
import secrets
import signal
import string
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.text import Text

from osgp.cli.lon.attached import HERE, Reach, Recorder, check_seconds, key_of, open_port, read_place
from osgp.cli.lon.node_state import content_of, load_node, save_node
from osgp.cli.output import console, print_json, stderr
from osgp.lon.address import parse_domain
from osgp.lon.configuration import Configuration, domain_entry
from osgp.lon.entries import DomainEntry, NodeState
from osgp.lon.events import Dropped, MessageReceived
from osgp.lon.packet import Letter, Packet
from osgp.lon.transport import QUIET_S
from osgp.node.stack import Stack
from osgp.wire.errors import ConfigError, StoreError

__all__ = ["node"]

_PROGRAM = "OSGPNODE"
_OFFLINE_S = 10.0
"""How long an application that was stopped or started may go unwritten, seconds (project choice)."""


def node(
    *,
    address: Annotated[
        str, Parameter(help="subnet/node in --domain, commissioned from the start; default: it waits for its place")
    ] = "",
    key: Annotated[
        str | None, Parameter(help="the domain's key (file:PATH, env:VAR, prompt:), 6 bytes, with --address")
    ] = None,
    unique_node_id: Annotated[str, Parameter(help="twelve hex digits; default: random, or what --state says")] = "",
    program_id: Annotated[str, Parameter(help="eight characters or sixteen hex digits")] = _PROGRAM,
    state: Annotated[
        Path | None, Parameter(help="JSON file that keeps tables and state over restarts; it holds the keys")
    ] = None,
    allow_management: Annotated[
        bool, Parameter(help="let network management write even when commissioned and not authenticated")
    ] = False,
    echo: Annotated[bool, Parameter(help="answer requests of applications with what was asked")] = False,
    service_pin: Annotated[
        bool, Parameter(help="press the service pin at the start; SIGUSR1 presses it at any time")
    ] = False,
    quiet_time: Annotated[float, Parameter(help="seconds after the start in which it begins no transaction")] = QUIET_S,
    line: Reach = HERE,
    json: Annotated[
        bool, Parameter(name="--json", help="events as JSON lines on stderr, one JSON document on stdout at the end")
    ] = False,
) -> None:
    """Run a node on LON/IP or CN/IP until Ctrl-C.

    With --address it is commissioned from the start, with --domain and --key as given; else it waits for `osgp lon
    commission`. What --state keeps goes before these options.
    """
    check_seconds("--quiet-time", quiet_time)
    configuration = load_node(state) if state is not None else None
    if configuration is None:
        configuration = _fresh(unique_node_id, program_id, address, key, line.domain)
        if state is not None:
            save_node(state, configuration)
    configuration.allow_management_writes = allow_management
    told = asyncio.run(_run(configuration, state, quiet_time, line, echo, service_pin, json))
    if json:
        print_json(told)
    else:
        stderr.print("stopped", style="dim")


def _fresh(unique_node_id: str, program_id: str, address: str, key: str | None, domain: str) -> Configuration:
    """The tables of a node that has none yet."""
    entries = [DomainEntry(), DomainEntry()]
    if address:
        place = read_place(address)
        entries[0] = domain_entry(parse_domain(domain), place.subnet, place.node, key_of(key))
    elif key is not None:
        raise ConfigError("--key without --address", hint="a node that waits for its place gets its key with it")
    return Configuration(
        _identity(unique_node_id),
        _program(program_id),
        domains=entries,
        state=NodeState.CONFIGURED if address else NodeState.UNCONFIGURED,
    )


def _identity(text: str) -> bytes:
    if not text:
        return secrets.token_bytes(6)
    digits = "".join(character for character in text if character not in ":-. ")
    if len(digits) != 12 or any(character not in string.hexdigits for character in digits):
        raise ConfigError(f"{text!r} is no unique node ID", hint="twelve hex digits, such as 0700000000B2")
    return bytes.fromhex(digits)


def _program(text: str) -> bytes:
    if len(text) == 16 and all(character in string.hexdigits for character in text):
        return bytes.fromhex(text)
    if len(text) == 8 and text.isascii():
        return text.encode()
    raise ConfigError(f"{text!r} is no program ID", hint="eight characters, such as OSGPNODE, or sixteen hex digits")


class _Node(Stack):
    """A node whose tables are on disk before it says that they are changed; where they cannot be, it says nothing and stops.

    Whether its application runs everybody may change at any time: that is written with the next table, at the end, and else after
    ``_OFFLINE_S``, however often it changed meanwhile.
    """

    def __init__(
        self, configuration: Configuration, state: Path | None, quiet_s: float, now: float, stop: Callable[[], None]
    ) -> None:
        super().__init__(configuration, now=now, quiet_s=quiet_s)
        self.failure: StoreError | None = None
        self._state = state
        self._stop = stop
        self._kept, self._kept_offline = self._tables(), configuration.soft_offline
        self._due: float | None = None

    def receive(self, packet: Packet | Letter, now: float) -> None:
        """Take a packet, and keep what it changed."""
        if self.failure is not None:
            return
        super().receive(packet, now)
        if self._state is None:
            return
        configuration = self.configuration
        if self._due is None and configuration.soft_offline != self._kept_offline:
            self._due = now + _OFFLINE_S
        if configuration.revision != self._seen and self._tables() != self._kept:
            self._try_to_keep()

    def deadline(self) -> float | None:
        """When ``wake`` has something to do."""
        due = super().deadline()
        return self._due if due is None or (self._due is not None and self._due < due) else due

    def wake(self, now: float) -> None:
        """Write what need not be written at once; and what every node does."""
        super().wake(now)
        if self._due is not None and self._due <= now:
            self._due = None
            if self.configuration.soft_offline != self._kept_offline:
                self._try_to_keep()

    def keep(self) -> None:
        """Write the tables. Raises StoreError."""
        if self._state is not None:
            save_node(self._state, self.configuration)
            self._kept, self._kept_offline = self._tables(), self.configuration.soft_offline
            self._due = None

    def _try_to_keep(self) -> None:
        try:
            self.keep()
        except StoreError as error:
            self.failure = error
            self._out.clear()  # the answer that it is done: it is not
            self._stop()

    def _tables(self) -> dict[str, Any]:
        """What must be kept before it is told, and ``_seen``: the revision, which whoever changes something counts on."""
        configuration = self.configuration
        self._seen = configuration.revision
        return {name: value for name, value in content_of(configuration).items() if name != "soft_offline"}


async def _run(
    configuration: Configuration, state: Path | None, quiet_s: float, line: Reach, echo: bool, pin: bool, json: bool
) -> dict[str, Any]:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    stack = _Node(configuration, state, quiet_s, loop.time(), stop.set)
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    counted: dict[str, int] = {}

    def on_event(event: Any) -> None:
        kind = type(event).__name__
        counted[kind] = counted.get(kind, 0) + 1
        _tell(event, json, line.verbose)
        if isinstance(event, MessageReceived) and event.reply is not None:
            port.respond(event.reply, event.apdu if echo else None)

    recorder = Recorder(line.capture, line.carrier) if line.capture is not None else None
    port = await open_port(stack, line, on_event=on_event, tap=recorder)
    endpoint = f"{port.endpoint[0]}:{port.endpoint[1]}"

    def press() -> None:
        stack.send_service_pin(loop.time())
        port.flush()

    loop.add_signal_handler(signal.SIGUSR1, press)
    try:
        if recorder is not None:
            recorder.own = port.endpoint
        _started(stack, line, endpoint, json)
        if pin:
            press()
        await stop.wait()
    finally:
        port.close()
        await port.wait_closed()
        if recorder is not None:
            recorder.close()
        if stack.failure is not None:
            raise stack.failure
        stack.keep()
    statistics = port.statistics
    return {
        **_described(stack.configuration),
        "carrier": line.carrier,
        "endpoint": endpoint,
        "events": counted,
        "datagrams": {name: getattr(statistics, name) for name in statistics.__slots__},
        "statistics": stack.configuration.statistics.to_json(),
    }


def _described(configuration: Configuration) -> dict[str, Any]:
    return {
        "unique_node_id": configuration.unique_node_id.hex().upper(),
        "program_id": configuration.program_id.hex().upper(),
        "state": NodeState(configuration.state).name.lower().replace("_", " "),
        "places": [
            {"domain": each.domain.hex().upper(), "address": f"{each.subnet}/{each.node}"}
            for each in configuration.memberships()
        ],
    }


def _started(stack: _Node, line: Reach, endpoint: str, json: bool) -> None:
    told = _described(stack.configuration)
    if json:
        _json_line({"event": "Listening", "carrier": line.carrier, "endpoint": endpoint, **told})
        return
    places = ", ".join(f"{place['address']} in [{place['domain'] or 'empty'}]" for place in told["places"])
    console.print(
        f"node {told['unique_node_id']} at {line.carrier} {endpoint}: {told['state']}"
        + (f", {places}" if places else ""),
        markup=False,
        style="bold",
    )
    stderr.print("Ctrl-C ends", style="dim")


def _json_line(value: dict[str, Any]) -> None:
    sys.stderr.write(jsonlib.dumps(value, ensure_ascii=False) + "\n")
    sys.stderr.flush()


def _tell(event: Any, json: bool, verbose: bool) -> None:
    if isinstance(event, Dropped) and not verbose and not json:
        return
    # What was dropped may be a piece of a message with a key in it: the reason is told, not the bytes.
    shown = {"reason": event.reason} if isinstance(event, Dropped) else event._asdict()
    fields = {name: _plain(value) for name, value in shown.items()}
    if json:
        _json_line({"event": type(event).__name__, **fields})
        return
    words = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in fields.items() if value not in (None, ""))
    console.print(Text.assemble((type(event).__name__, "bold"), f"  {words}"), soft_wrap=True)


def _plain(value: Any) -> Any:
    """Bytes in hexadecimal, places as people write them."""
    if isinstance(value, bytes):
        return value.hex().upper()
    if isinstance(value, (bool, int, float, str)) or value is None:
        return value
    return [*map(str, value)] if isinstance(value, tuple) else str(value)
