"""The node that a command is for its time: options that the commands share, its socket, and how it asks others.

It is a complete node (``osgp.node.stack``) with an address of its own in the domain. Two things differ from a node that stays
(project choice): it does not keep silent for two seconds first, but goes on counting transactions where the last command
stopped, so that what it asks is not taken for a repetition; and what it does not know by address it sends to every ``--peer``.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from cyclopts import Parameter

from osgp.cli.output import stderr
from osgp.lon.address import Destination, Group, SubnetNode, parse_destination, parse_domain
from osgp.lon.cnip import PORT as CNIP_PORT
from osgp.lon.configuration import Configuration, domain_entry
from osgp.lon.entries import DomainEntry, NodeState
from osgp.lon.events import Dropped, Event, ResponseReceived, TransactionCompleted, TransactionFailed
from osgp.lon.lonip_map import PORT as LONIP_PORT
from osgp.lon.lonip_map import Endpoint, Place
from osgp.lon.ltep import Service
from osgp.lon.numbers import TransactionNumbers
from osgp.lon.proxy import Hop
from osgp.lon.transport import Options
from osgp.node.stack import ChainOptions, Stack
from osgp.ports.vault import resolve_key
from osgp.wire.errors import ConfigError, LinkError, NoAnswer, StoreError

__all__ = [
    "ANYWHERE",
    "HERE",
    "Attached",
    "ChainEnd",
    "Line",
    "Reach",
    "Recorder",
    "attached",
    "check_seconds",
    "check_target",
    "key_of",
    "open_port",
    "read_place",
]

T = TypeVar("T")
Tap = Callable[[float, Literal["in", "out"], bytes, Endpoint], None]

_PORTS = {"lonip": LONIP_PORT, "cnip": CNIP_PORT}
_PEERS = "write --peer 1/20=192.0.2.7:2541 for a node whose place is known, or --peer 192.0.2.7 for any other"
_NUMBERS = 15
_DESTINATIONS = 256


@Parameter(name="*")
@dataclass(frozen=True)
class Reach:
    """How the network is reached."""

    carrier: Annotated[Literal["lonip", "cnip"], Parameter(help="what carries the packets: LON/IP or CN/IP")] = "lonip"
    bind: Annotated[
        str, Parameter(help="HOST:PORT to listen at; default: every address, UDP port 2541 (LON/IP) or 1628 (CN/IP)")
    ] = ""
    peer: Annotated[
        tuple[str, ...], Parameter(help="S/N=HOST:PORT where a node is, or HOST:PORT; may be given several times")
    ] = ()
    multicast: Annotated[bool, Parameter(help="LON/IP: what is for many goes to IP multicast addresses")] = False
    domain: Annotated[str, Parameter(help="our domain, hex digits of 0, 1, 3 or 6 bytes")] = "empty"
    capture: Annotated[
        Path | None, Parameter(help="write all datagrams to this .pcap or .pcapng file, keys masked")
    ] = None
    verbose: Annotated[bool, Parameter(help="tell on stderr what happens")] = False


@Parameter(name="*")
@dataclass(frozen=True)
class Line(Reach):
    """How the network is reached, who we are in it, and how patient."""

    address: Annotated[str, Parameter(help="our own subnet/node in it, which nobody else may have")] = "1/126"
    key: Annotated[
        str | None,
        Parameter(help="the domain's key (file:PATH, env:VAR, prompt:), 6 bytes: requests are then authenticated"),
    ] = None
    timeout: Annotated[float, Parameter(help="seconds to wait for an answer before a repetition")] = 0.5
    retries: Annotated[int, Parameter(help="repetitions of a message without answer")] = 3

    def options(self, **more: Any) -> Options:
        """How messages are sent."""
        chosen = {"retry": self.retries, "timer_s": self.timeout, "authenticated": self.key is not None, **more}
        return Options(**chosen)


ANYWHERE = Line()
HERE = Reach()
"""No options given."""


class ChainEnd(NamedTuple):
    """How a message through repeaters ended. ``hop``: the node that gave up, 1 the first; 0 unknown or none."""

    ok: bool
    responses: tuple[ResponseReceived, ...]
    reason: str = ""
    hop: int = 0


class Attached:
    """Our node on the line."""

    def __init__(self, stack: Stack, line: Line) -> None:
        self.stack = stack
        self.line = line
        self.port: Any = None
        self.hear: list[Callable[[Event], None]] = []
        self.begun = 0
        self._chains: dict[int, tuple[asyncio.Future[ChainEnd], list[ResponseReceived]]] = {}

    async def ask(
        self, target: Destination, apdu: bytes, options: Options | None = None
    ) -> tuple[ResponseReceived, ...]:
        """A request's responses, several from many. Raises NoAnswer with the likely cause."""
        self.begun += 1
        try:
            answer = await self.port.request(target, apdu, options or self.line.options())
        except NoAnswer as error:
            raise self._silence(target, error) from error
        return tuple(answer.responses)

    async def deliver(self, target: Destination, apdu: bytes, options: Options, service: Service) -> None:
        """Send what wants no response. Raises NoAnswer where it was not acknowledged."""
        now = asyncio.get_running_loop().time()
        end = await self._ended(self.stack.send(target, apdu, now, options, service=service))
        if not end.ok:
            raise self._silence(target, NoAnswer(end.reason))

    async def ask_via(self, hops: Sequence[Hop], target: Destination, apdu: bytes, options: ChainOptions) -> ChainEnd:
        """A request through repeaters and how it ended."""
        now = asyncio.get_running_loop().time()
        return await self._ended(self.stack.request_via(hops, target, apdu, now, options))

    async def _ended(self, handle: int) -> ChainEnd:
        self.begun += 1
        future: asyncio.Future[ChainEnd] = asyncio.get_running_loop().create_future()
        self._chains[handle] = (future, [])
        self.port.flush()
        return await future

    def event(self, event: Event) -> None:
        """What the port hands up that nobody awaits."""
        if isinstance(event, (ResponseReceived, TransactionCompleted, TransactionFailed)):
            self._answered(event)
            return
        if self.line.verbose and isinstance(event, Dropped):
            stderr.print(f"  dropped: {event.reason}", markup=False, style="dim")
        for hear in self.hear:
            hear(event)

    def _answered(self, event: ResponseReceived | TransactionCompleted | TransactionFailed) -> None:
        waiting = self._chains.get(event.handle)
        if waiting is None:
            return
        future, responses = waiting
        if isinstance(event, ResponseReceived):
            responses.append(event)
            return
        del self._chains[event.handle]
        if future.done():
            return
        if isinstance(event, TransactionCompleted):
            future.set_result(ChainEnd(True, tuple(responses)))
        else:
            future.set_result(ChainEnd(False, tuple(responses), event.reason, event.hop))

    def _silence(self, target: Destination, error: NoAnswer) -> NoAnswer:
        statistics = self.port.statistics
        if not statistics.sent and statistics.unsent:
            hint = "it cannot be sent from here: is --bind of the same kind of IP address as --peer, and is the port not 0?"
        elif not statistics.sent:
            hint = f"nothing was sent, because no endpoint is known for it: {_PEERS}, or --multicast"
        elif statistics.refused and not statistics.received:
            hint = "the network says that nobody listens at that endpoint: is the node running, is the port right?"
        elif not statistics.received:
            hint = "no datagram came back at all: nobody has that address, or a wrong endpoint, or a firewall"
        elif self.line.key is not None:
            hint = "others answer; is the address right, is the domain, is the key?"
        else:
            hint = f"others answer; is the address right, and the domain ({self.line.domain})?"
        return NoAnswer(f"no answer from {target}: {error.message}", attempts=error.attempts, hint=hint)


def check_seconds(name: str, value: float) -> None:
    """Raises ConfigError for a time that is less than 0, without end, or no number."""
    if not 0 <= value < math.inf:
        raise ConfigError(f"{name} is a time in seconds, 0 or more, not {value:g}")


def read_place(text: str) -> SubnetNode:
    """A subnet/node. Raises ConfigError."""
    found = parse_destination(text)
    if not isinstance(found, SubnetNode) or not (found.subnet and found.node):
        raise ConfigError(f"{text!r} is no subnet/node", hint="such as 1/20: subnet 1 to 255, node 1 to 127")
    return found


def check_target(target: Destination, line: Line, *, asked: bool = True) -> None:
    """Raises ConfigError for whom nothing can be asked of: ourselves, and a group that nobody knows how many belong to.

    ``asked``: answers are waited for.
    """
    if isinstance(target, SubnetNode) and target == read_place(line.address):
        raise ConfigError(f"{target} is our own address while we ask", hint="give us another with --address")
    if asked and isinstance(target, Group) and not target.size:
        raise ConfigError(
            f"{target} has no size: nobody knows how many answers to wait for",
            hint=f'write the number of its members and one more, since we are none of them: "group {target.group} size 5"',
        )


def key_of(source: str | None) -> bytes:
    """The six bytes of a domain's key; zeros, which are no key, without a source. Raises ConfigError, NoKey, StoreError."""
    return bytes(6) if source is None else resolve_key(source, use="lon").for_lon()


async def _endpoint(text: str, default_port: int) -> Endpoint:
    """HOST:PORT, HOST, [IPv6]:PORT; names are looked up. Raises ConfigError."""
    host, port = text, str(default_port)
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":") or port
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    if not (port.isascii() and port.isdigit()) or not 0 <= int(port) <= 0xFFFF:
        raise ConfigError(f"{text!r} is no endpoint: {port!r} is no UDP port", hint="HOST:PORT, such as 192.0.2.7:2541")
    host = host or "0.0.0.0"
    with suppress(ValueError):
        ipaddress.ip_address(host)
        return host, int(port)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, int(port), type=socket.SOCK_DGRAM)
    except OSError as error:
        raise ConfigError(f"no machine is called {host!r} ({error.strerror})", hint="HOST:PORT") from error
    return found[0][4]  # type: ignore[return-value]  # UDP sockets have these addresses


async def read_peers(peers: Sequence[str], domain: bytes, port: int) -> tuple[dict[Place, Endpoint], list[Endpoint]]:
    """The nodes whose place is told, and the other endpoints. Raises ConfigError."""
    places: dict[Place, Endpoint] = {}
    others: list[Endpoint] = []
    for text in peers:
        place, equals, where = text.rpartition("=")
        endpoint = await _endpoint(where, port)
        if equals:
            found = read_place(place)
            places[domain, found.subnet, found.node] = endpoint
        else:
            others.append(endpoint)
    return places, others


async def open_port(
    machine: Any, line: Reach, *, on_event: Callable[[Any], None] | None = None, tap: Tap | None = None, own: str = ""
) -> Any:
    """The machine's socket. Raises ConfigError, PortClosed.

    What happens before the caller has the port, with multicast two sockets are opened one after the other, is handed to
    ``on_event`` and ``tap`` right afterwards, in order: both may use the port.
    """
    early: list[Callable[[], None]] = []
    ready = False

    def held(call: Callable[..., None] | None) -> Callable[..., None] | None:
        if call is None:
            return None

        def later(*arguments: Any) -> None:
            if ready:
                call(*arguments)
            else:
                early.append(partial(call, *arguments))

        return later

    def begin() -> None:
        nonlocal ready
        ready = True
        for each in early:
            each()

    port = await _open_port(machine, line, held(on_event), held(tap), own)
    asyncio.get_running_loop().call_soon(begin)
    return port


async def _open_port(
    machine: Any, line: Reach, on_event: Callable[[Any], None] | None, tap: Tap | None, own: str
) -> Any:
    default = _PORTS[line.carrier]
    places, others = await read_peers(line.peer, parse_domain(line.domain), default)
    bound = await _endpoint(line.bind or f":{default}", default)
    host, port = bound[0], bound[1]
    try:
        if line.carrier == "lonip":
            from osgp.ports.lonip_port import LonIpPort

            return await LonIpPort.open(
                machine,
                host,
                port,
                own=own,
                peers=places,
                listeners=others,
                multicast=line.multicast,
                on_event=on_event,
                tap=tap,
            )
        from osgp.ports.cnip_port import CnIpPort

        members = list(dict.fromkeys((*places.values(), *others)))
        return await CnIpPort.open(
            machine, members, host, port, routes=places, strangers=True, on_event=on_event, tap=tap
        )
    except ConfigError as error:
        if "in use" in error.message:
            error.hint = f"another node or command has it; --bind {host}:0 takes a free port"
        raise


class Recorder:
    """Writes the datagrams of a port to a capture file, keys masked.

    Where neither end has the carrier's own UDP port, ours is written as if it had: readers know the carrier by that, and so
    does what masks the keys. Where the file can be written no further that is said once, and the node goes on without it.
    """

    def __init__(self, path: Path, carrier: str) -> None:
        from osgp.ports.capture import CNIP_PORTS, CaptureWriter
        from osgp.ports.datagram import Endpoint as Place

        self._writer = CaptureWriter(path)
        self._place = Place
        self._standard = _PORTS[carrier]
        self._known = CNIP_PORTS if carrier == "cnip" else {self._standard}
        self.own: Endpoint = ("0.0.0.0", 0)
        self._lost = False

    def __call__(self, now: float, direction: Literal["in", "out"], datagram: bytes, peer: Endpoint) -> None:
        """A datagram passed."""
        if self._lost:
            return
        port = self.own[1] if {self.own[1], peer[1]} & self._known else self._standard
        ours, theirs = self._place(self.own[0], port), self._place(peer[0], peer[1])
        source, destination = (theirs, ours) if direction == "in" else (ours, theirs)
        try:
            self._writer.write_datagram(source, destination, datagram, time_ns=time.time_ns())
            self._writer.flush()
        except StoreError as error:
            self._lose(error)

    def close(self) -> None:
        """Finish the file."""
        try:
            self._writer.close()
        except StoreError as error:
            self._lose(error)

    def _lose(self, error: StoreError) -> None:
        if not self._lost:
            self._lost = True
            stderr.print(f"note: {error.message}; the capture ends here", markup=False)


def attached(line: Line, work: Callable[[Attached], Awaitable[T]]) -> T:
    """Be a node of the network, do the work, leave. Our errors pass through."""
    domain, place = parse_domain(line.domain), read_place(line.address)
    check_seconds("--timeout", line.timeout)
    if line.timeout == 0 or line.retries < 0:
        raise ConfigError("--timeout must be more than 0, --retries not less")
    entry = domain_entry(domain, place.subnet, place.node, key_of(line.key))
    configuration = Configuration(secrets.token_bytes(6), domains=[entry, DomainEntry()], state=NodeState.CONFIGURED)
    first = _last_number() % _NUMBERS + 1
    stack = Stack(configuration, quiet_s=0.0, concurrent=_NUMBERS)
    stack.transport.numbers = TransactionNumbers(destinations=_DESTINATIONS, first=first)

    async def session() -> T:
        node = Attached(stack, line)
        recorder = Recorder(line.capture, line.carrier) if line.capture is not None else None
        try:
            node.port = await open_port(stack, line, on_event=node.event, tap=recorder)
            if recorder is not None:
                recorder.own = node.port.endpoint
            try:
                return await work(node)
            finally:
                node.port.close()
                await node.port.wait_closed()
        except LinkError as error:
            if line.capture is not None and not error.hint:
                error.hint = f"the datagrams are in {line.capture}"
            raise
        finally:
            if recorder is not None:
                recorder.close()
            _keep_number(first + node.begun)

    return asyncio.run(session())


def _number_file() -> Path:
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "osgp" / "lon-transaction"


def _last_number() -> int:
    """Where the last command stopped counting; anywhere if that is not known."""
    try:
        return int(_number_file().read_text())
    except (OSError, ValueError):
        return secrets.randbelow(_NUMBERS)


def _keep_number(number: int) -> None:
    with suppress(OSError):
        place = _number_file()
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"{number % 0x10000}\n")
