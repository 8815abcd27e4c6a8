"""Group ``lon-udp``: request and response of whole nodes over UDP against a bare echo of datagrams, on uvloop.

Two processes, near and far, on the loopback interface; 64 bytes in each datagram; 100 peers, each on a socket of its own with one
exchange under way at any time: they ask one node, or one node asks them, as a data concentrator does. Ours: a request is numbered,
timed, answered by the far node's application, matched and reported; the peer sends bytes back. Goals: a node with 100 peers has at
least half the rate of the echo (0.7 to hope for), whether it asks or answers; 10,000 nodes that were heard once and are idle cost at
most 5 %. Where 100 nodes share a process and ask one, that process is the limit, and what a machine for each of them costs is shown
without a goal. In the rows behind the first two the node is asked by bare sockets that send ready-made requests, so that nothing but
that node limits the rate; the last compares it with another of its kind, in a process of its own, that knows nobody else.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any, NamedTuple, cast

from osgp.bench.frame import Bench, PeerMissing, Row, group
from osgp.lon.address import SubnetNode
from osgp.lon.configuration import Configuration, domain_entry
from osgp.lon.entries import DomainEntry, NodeState
from osgp.lon.events import MessageReceived, TransactionCompleted, TransactionFailed
from osgp.lon.lonip import LonIp
from osgp.lon.lonip_map import AddressMap, Endpoint
from osgp.lon.npdu import NodeByte
from osgp.lon.numbers import DESTINATIONS
from osgp.lon.packet import Packet
from osgp.lon.tpdu import Spdu, SpduHeader, SpduType
from osgp.node.stack import Stack
from osgp.ports.lonip_port import LonIpPort
from osgp.ports.udp import bound_socket, new_event_loop
from osgp.wire.errors import LinkError

__all__ = ["lon_udp"]

HERE = "127.0.0.1"
DOMAIN = b"\x49"
SERVER = SubnetNode(1, 1)
PEERS = 100
IDLE = 10_000
PAYLOAD = 64
EXCHANGES = 4_000
"""Exchanges of one measured call."""
RECORDS = 16_384
"""Senders that the far node remembers: all of them."""
APDU = b"\x01" + bytes(54)
"""Fills the datagram to 64 bytes: 8 bytes of LON/IP header and 1 of SPDU."""


class Places(NamedTuple):
    """Where a far process listens: with one socket and one node, and with one of each for every peer."""

    echo: Endpoint
    node: Endpoint
    echoes: list[Endpoint]
    nodes: list[Endpoint]


def _node(subnet: int, node: int, concurrent: int = 1) -> Stack:
    configuration = Configuration(
        bytes((7, 0, 0, 0, subnet, node)),
        domains=[domain_entry(DOMAIN, subnet, node), DomainEntry()],
        state=NodeState.CONFIGURED,
        receive_transactions=RECORDS,
    )
    return Stack(configuration, quiet_s=0, concurrent=concurrent, destinations=max(DESTINATIONS, 2 * concurrent))


# ---- the far process -----------------------------------------------------------------------------------------------
class _Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.transport.sendto(data, addr)


async def _answering(subnet: int = SERVER.subnet, node: int = SERVER.node) -> LonIpPort:
    """A node that answers each request with its own APDU."""
    machine = _node(subnet, node)

    def answer(event: Any) -> None:
        if type(event) is MessageReceived and event.reply is not None:
            port.respond(event.reply, event.apdu)

    port = await LonIpPort.open(machine, HERE, 0, addresses=AddressMap(entries=RECORDS), on_event=answer)
    return port


def _far(pipe: Connection) -> None:
    """Serve until the other end of the pipe is closed."""
    loop = new_event_loop()
    asyncio.set_event_loop(loop)

    async def main() -> None:

        async def echo() -> Endpoint:
            transport, _ = await loop.create_datagram_endpoint(_Echo, local_addr=(HERE, 0))
            return cast(Endpoint, transport.get_extra_info("sockname"))

        ports = [await _answering()]
        ports += [await _answering(2, number) for number in range(1, PEERS + 1)]
        one, *many = [await echo() for _ in range(PEERS + 1)]
        pipe.send(Places(one, ports[0].endpoint, many, [port.endpoint for port in ports[1:]]))
        over = asyncio.Event()
        loop.add_reader(pipe.fileno(), over.set)
        await over.wait()

    loop.run_until_complete(main())


# ---- the near process ----------------------------------------------------------------------------------------------
class _Load:
    """Exchanges of 100 peers until so many are done: the count and the end of a measured call."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.left = 0
        self.running = 0
        self.failed = 0
        self.over: asyncio.Future[None] = loop.create_future()

    def done(self) -> bool:
        """An exchange has ended; whether its peer is to begin another."""
        if self.left > 0:
            self.left -= 1
            return True
        self.running -= 1
        if not self.running:
            self.over.set_result(None)
        return False

    def run(self, begin: list[Callable[[], object]], exchanges: int) -> None:
        """Let every peer begin, and wait for the last to end. Raises LinkError if an exchange failed."""
        self.over = self.loop.create_future()
        self.running = len(begin)
        self.left = exchanges - len(begin)
        for each in begin:
            each()
        self.loop.run_until_complete(self.over)
        if self.failed:
            raise LinkError(f"{self.failed} exchanges failed")


class _EchoAsker(asyncio.DatagramProtocol):
    """Sends 64 bytes to each of many, waits for them, sends them there again."""

    def __init__(self, load: _Load, far: list[Endpoint]) -> None:
        self.load = load
        self.far = far
        self.datagram = bytes(PAYLOAD)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def begin(self, far: Endpoint) -> None:
        self.transport.sendto(self.datagram, far)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if self.load.done():
            self.transport.sendto(self.datagram, addr)


class _EchoPeer(asyncio.DatagramProtocol):
    """Sends 64 bytes, waits for them, sends them again."""

    def __init__(self, load: _Load, far: Endpoint, datagrams: list[bytes]) -> None:
        self.load = load
        self.far = far
        self.datagrams = datagrams
        self.place = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def begin(self) -> None:
        self.place = (self.place + 1) % len(self.datagrams)
        self.transport.sendto(self.datagrams[self.place], self.far)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if self.load.done():
            self.begin()


async def _asking(load: _Load, far: Endpoint, number: int) -> tuple[LonIpPort, Callable[[], object]]:
    """A node of ours that asks the far one, again and again; and how it begins."""

    def ended(event: Any) -> None:
        kind = type(event)
        if kind is TransactionCompleted:
            if load.done():
                begin()
        elif kind is TransactionFailed:
            load.failed += 1
            load.done()

    where = {(DOMAIN, SERVER.subnet, SERVER.node): far}
    port = await LonIpPort.open(_node(2, number), HERE, 0, peers=where, on_event=ended)

    def begin() -> None:
        port.ask(SERVER, APDU)

    return port, begin


async def _asking_all(load: _Load, far: list[Endpoint]) -> tuple[LonIpPort, list[Callable[[], object]]]:
    """A node of ours that asks all far ones, each again and again; and how it begins."""
    asked: dict[int, Callable[[], object]] = {}

    def ended(event: Any) -> None:
        kind = type(event)
        if kind is TransactionCompleted or kind is TransactionFailed:
            begin = asked.pop(event.handle)
            if kind is TransactionFailed:
                load.failed += 1
            if load.done():
                begin()

    where = {(DOMAIN, 2, number): endpoint for number, endpoint in enumerate(far, 1)}
    machine = _node(SERVER.subnet, SERVER.node, concurrent=len(far))
    port = await LonIpPort.open(machine, HERE, 0, peers=where, on_event=ended)

    def asker(number: int) -> Callable[[], object]:
        destination = SubnetNode(2, number)

        def begin() -> None:
            asked[port.ask(destination, APDU)] = begin

        return begin

    return port, [asker(number) for number in range(1, len(far) + 1)]


def _first_packet(subnet: int, node: int) -> Packet:
    stack = _node(subnet, node)
    stack.request(SERVER, APDU, 0.0)
    return stack.outgoing(0.0)[0]


def _carrier() -> LonIp:
    """Writes for nodes behind foreign addresses, as our ports on the loopback interface do."""
    return LonIp(AddressMap({(DOMAIN, SERVER.subnet, SERVER.node): (HERE, 1)}), own=HERE)


def _requests(subnet: int, node: int) -> list[bytes]:
    """The datagrams of a node's next requests, numbered 1 to 15."""
    packet, carrier, made = _first_packet(subnet, node), _carrier(), []
    for number in range(1, 16):
        packet.npdu.pdu = Spdu(header=SpduHeader(type=SpduType.REQUEST, transaction=number), apdu=APDU).encode()
        made.append(carrier.write(packet, 0.0)[0])
    return made


def _crowd(far: Endpoint) -> None:
    """Be 10,000 nodes, one after the other, each of which asks once and is answered: each on its own address of this machine."""
    packet, carrier = _first_packet(3, 1), _carrier()
    for number in range(IDLE):
        subnet, node = 3 + number // 127, 1 + number % 127
        packet.npdu.source_subnet, packet.npdu.source_node = subnet, NodeByte(node=node, selector=1)
        with bound_socket(f"127.1.{subnet}.{node}", 0) as made:
            made.settimeout(5)
            made.sendto(carrier.write(packet, 0.0)[0], far)
            made.recv(2048)


class _Near:
    """Both kinds of load against the far process."""

    def __init__(self, places: Places, crowded: Places) -> None:
        self.loop = new_event_loop()
        self.load = _Load(self.loop)
        self.open: list[LonIpPort | asyncio.DatagramTransport] = []
        self.echo = self._bare(places.echo, lambda _: [bytes(PAYLOAD)])
        self.nodes = [self._asks(places.node, number) for number in range(1, PEERS + 1)]
        self.echoes = self._bare_asker(places.echoes)
        port, self.one = self.loop.run_until_complete(_asking_all(self.load, places.nodes))
        self.open.append(port)
        self.alone = self._bare(places.node, lambda number: _requests(201, number))
        self.crowded = self._bare(crowded.node, lambda number: _requests(201, number))

    def _asks(self, far: Endpoint, number: int) -> Callable[[], object]:
        port, begin = self.loop.run_until_complete(_asking(self.load, far, number))
        self.open.append(port)
        return begin

    def _bare_asker(self, far: list[Endpoint]) -> list[Callable[[], object]]:
        """One socket that asks many."""

        async def one() -> _EchoAsker:
            transport, peer = await self.loop.create_datagram_endpoint(
                lambda: _EchoAsker(self.load, far), local_addr=(HERE, 0)
            )
            self.open.append(transport)
            return peer

        begin = self.loop.run_until_complete(one()).begin
        return [partial(begin, each) for each in far]

    def _bare(self, far: Endpoint, datagrams: Callable[[int], list[bytes]]) -> list[Callable[[], object]]:
        """Sockets that send ready-made datagrams, one for each peer."""

        async def one(number: int) -> _EchoPeer:
            transport, peer = await self.loop.create_datagram_endpoint(
                lambda: _EchoPeer(self.load, far, datagrams(number)), local_addr=(HERE, 0)
            )
            self.open.append(transport)
            return peer

        return [self.loop.run_until_complete(one(number)).begin for number in range(1, PEERS + 1)]

    def call(self, begin: list[Callable[[], object]]) -> Callable[[], object]:
        """A call to be measured."""
        return lambda: self.load.run(begin, EXCHANGES)

    def close(self) -> None:
        """Give all sockets back."""
        for each in self.open:
            each.close()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()


@group("lon-udp")
def lon_udp(bench: Bench) -> Iterator[Row]:
    """Whole nodes against an echo; a node with many idle peers against itself."""
    try:
        version = importlib.metadata.version("uvloop")
    except importlib.metadata.PackageNotFoundError:
        version = ""
    with ExitStack() as opened:
        places, crowded = (_started(opened) for _ in range(2))
        near = _Near(places, crowded)
        opened.callback(near.close)
        yield bench.compare(
            "request and response of 100 nodes with one, 64-byte datagrams",
            near.call(near.nodes),
            near.call(near.echo) if version else PeerMissing("uvloop"),
            work=EXCHANGES,
            unit="exchanges/s",
            peer_name="bare uvloop datagram echo",
            peer_version=version,
        )
        yield bench.compare(
            "request and response of one node with 100, 64-byte datagrams",
            near.call(near.one),
            near.call(near.echoes) if version else PeerMissing("uvloop"),
            work=EXCHANGES,
            unit="exchanges/s",
            floor=0.5,
            stretch=0.7,
            peer_name="bare uvloop datagram echo, one socket with 100",
            peer_version=version,
        )
        yield bench.compare(
            "answers of one node to 100 bare sockets",
            near.call(near.alone),
            near.call(near.echo) if version else PeerMissing("uvloop"),
            work=EXCHANGES,
            unit="answers/s",
            floor=0.5,
            stretch=0.7,
            peer_name="bare uvloop datagram echo",
            peer_version=version,
        )
        _crowd(crowded.node)
        yield bench.compare(
            "answers to 100 nodes, 10,000 others known and idle",
            near.call(near.crowded),
            near.call(near.alone),
            work=EXCHANGES,
            unit="answers/s",
            floor=0.95,
            peer_name="the same node without the idle ones",
        )


def _started(opened: ExitStack) -> Places:
    """Start a far process, which ends with ``opened``. Raises LinkError."""
    context = multiprocessing.get_context("spawn")
    pipe, other = context.Pipe()
    far = context.Process(target=_far, args=(other,), daemon=True)
    far.start()
    other.close()
    opened.callback(_end, far, pipe)
    if not pipe.poll(30):
        raise LinkError("the far process does not start")
    return cast(Places, pipe.recv())


def _end(far: SpawnProcess, pipe: Connection) -> None:
    """Let the far process end: it does so when the pipe is closed."""
    pipe.close()
    far.join(5)
    if far.is_alive():
        far.kill()
