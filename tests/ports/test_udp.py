"""Ports on UDP: nodes that talk over the loopback interface, on both event loops; machines that are made for one question."""

from __future__ import annotations

import asyncio
import errno
import importlib
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from osgp.crypto.keys import Key
from osgp.lon.address import Broadcast, Group, SubnetNode
from osgp.lon.cnip import CnIpHeader
from osgp.lon.configuration import Configuration, domain_entry
from osgp.lon.entries import AddressEntry, AddressKind, DomainEntry, NodeState
from osgp.lon.events import Dropped, MessageReceived, TransactionCompleted
from osgp.lon.lonip_map import AddressMap, Endpoint, Place
from osgp.lon.ltep import Service
from osgp.lon.packet import Packet, packet_of
from osgp.lon.proxy import Hop
from osgp.lon.transport import Options
from osgp.node.stack import ChainOptions, Stack
from osgp.ports import lonip_port, udp
from osgp.ports.cnip_port import CnIpPort
from osgp.ports.datagram_socket import DatagramSocket
from osgp.ports.lonip_port import LonIpPort
from osgp.wire.errors import ConfigError, LocalProtocolError, NoAnswer, PortClosed

DOMAIN = b"\x49"
QUICK = Options(retry=1, timer_s=0.032)
REQUEST = packet_of(bytes.fromhex("0119018a0194490151"))
HERE = "127.0.0.1"

Run = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Run a coroutine to its end, within ten seconds, in either kind of event loop; nothing may fail behind its back."""
    make = asyncio.new_event_loop if request.param == "asyncio" else udp.new_event_loop
    loop = make()
    assert type(loop).__module__.startswith(request.param)
    failed: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: failed.append(context))
    yield lambda main: loop.run_until_complete(asyncio.wait_for(main(), 10))
    loop.close()
    expected = getattr(request.node, "expected_failures", 0)
    assert len(failed) == expected, failed


def node(number: int, subnet: int = 1, **more: Any) -> Stack:
    """A configured node of the domain."""
    configuration = Configuration(
        bytes((7, 0, 0, 0, subnet, number)),
        domains=[domain_entry(DOMAIN, subnet, number), DomainEntry()],
        state=NodeState.CONFIGURED,
    )
    return Stack(configuration, quiet_s=0, **more)


class Echo:
    """Answers every request with its own APDU, at once."""

    def __init__(self) -> None:
        self.port: udp.DatagramPort | None = None
        self.seen: list[Any] = []
        self.tasks = 0

    def __call__(self, event: Any) -> None:
        self.seen.append(event)
        self.tasks = max(self.tasks, len(asyncio.all_tasks()))
        if isinstance(event, MessageReceived) and event.reply is not None and self.port is not None:
            self.port.respond(event.reply, event.apdu)


async def server(number: int = 20, subnet: int = 1, **options: Any) -> tuple[LonIpPort, Echo]:
    """A node that answers, on a free port."""
    echo = Echo()
    port = await LonIpPort.open(node(number, subnet), HERE, 0, on_event=echo, **options)
    echo.port = port
    return port, echo


async def client(peers: dict[Place, Endpoint], number: int = 10, **options: Any) -> LonIpPort:
    """A node that asks, on a free port."""
    return await LonIpPort.open(node(number), HERE, 0, peers=peers, **options)


class Toy:
    """A machine that does as it is told and notes what it is given."""

    def __init__(self) -> None:
        self.packets: list[Packet] = []
        self.to_send: list[Packet] = []
        self.to_tell: list[Any] = []
        self.due: float | None = None
        self.woken: list[float] = []
        self.cancelled: list[int] = []
        self.trouble: Exception | None = None

    def receive(self, packet: Packet, now: float) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.packets.append(packet)

    def events(self) -> list[Any]:
        found, self.to_tell = self.to_tell, []
        return found

    def outgoing(self, now: float) -> list[Packet]:
        found, self.to_send = self.to_send, []
        return found

    def deadline(self) -> float | None:
        return self.due

    def wake(self, now: float) -> None:
        self.woken.append(now)
        if self.trouble is not None:
            raise self.trouble
        self.due = None

    def request(self, destination: Any, apdu: bytes, now: float, *args: Any) -> int:
        return 7

    def respond(self, reply: int, apdu: bytes | None, now: float) -> bool:
        return False

    def cancel(self, handle: int, now: float) -> bool:
        self.cancelled.append(handle)
        return True


def free_port() -> int:
    """A UDP port that was free a moment ago."""
    with udp.bound_socket(HERE, 0) as held:
        return int(held.getsockname()[1])


async def turns(count: int = 20) -> None:
    """Let the event loop handle what has arrived."""
    for _ in range(count):
        await asyncio.sleep(0.001)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that is about to happen."""
    while not condition():
        await asyncio.sleep(0.001)


def test_a_request_is_answered(run: Run) -> None:
    async def main() -> None:
        async with (await server())[0] as far, await client({(DOMAIN, 1, 20): far.endpoint}) as near:
            answer = await near.request(SubnetNode(1, 20), b"\x01hello")
            assert answer.apdu == b"\x01hello"
            assert answer.attempts == 1
            assert answer.responses[0].source == SubnetNode(1, 20)
            assert (near.statistics.sent, near.statistics.received) == (1, 1)
            assert far.carrier.addresses.find((DOMAIN, 1, 10), 0.0) is not None

    run(main)


def test_whoever_asks_through_repeaters_is_told_which_hop_gave_up(run: Run) -> None:
    async def main() -> None:
        last, _ = await server(30)
        peers = {(DOMAIN, 1, 30): last.endpoint}
        agent = await LonIpPort.open(node(20), HERE, 0, peers=peers, on_event=lambda event: None)
        asking = node(10)
        client = await LonIpPort.open(asking, HERE, 0, peers={(DOMAIN, 1, 20): agent.endpoint})
        async with last, agent, client:
            options = ChainOptions(source=QUICK, timer=1, retry=1, target_timer=1, target_retry=1)
            answer = await client.request_via([Hop(1, 20)], SubnetNode(1, 30), b"\x01hello", options)
            assert answer.apdu == b"\x01hello"
            with pytest.raises(NoAnswer, match="could not reach 1/77") as caught:
                await client.request_via([Hop(1, 20)], SubnetNode(1, 77), b"\x01hello", options)
            assert (caught.value.hop, caught.value.attempts) == (1, 1)
            with pytest.raises(NoAnswer, match="no answer from 1/99") as caught:
                await client.request_via([Hop(1, 99)], SubnetNode(1, 30), b"\x01hello", options)
            assert caught.value.hop == 0, "the first hop did not answer: who gave up nobody tells"
            waiting = asyncio.ensure_future(client.request_via([Hop(1, 99)], SubnetNode(1, 30), b"\x01", options))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert asking.transport.busy == 0
        with pytest.raises(PortClosed):
            await client.request_via([Hop(1, 20)], SubnetNode(1, 30), b"\x01hello", options)

    run(main)


def test_many_requests_at_once_make_no_task(run: Run) -> None:
    async def main() -> None:
        far, echo = await server()
        peers = {(DOMAIN, 1, 20): far.endpoint}
        clients = [await client(peers, number) for number in range(30, 40)]
        done: list[Any] = []
        for each in clients:
            each._on_event = done.append
        for _ in range(5):
            count = len(done)
            for each in clients:
                each.ask(SubnetNode(1, 20), b"\x01" + bytes(60))
            await until(lambda count=count: len(done) == count + 2 * len(clients))  # type: ignore[misc]
        assert sum(isinstance(event, TransactionCompleted) for event in done) == 50
        assert echo.tasks == len(asyncio.all_tasks())
        for port in (far, *clients):
            port.close()

    run(main)


def test_nobody_answers(run: Run) -> None:
    async def main() -> None:
        silent = await LonIpPort.open(Toy(), HERE, 0)
        async with silent, await client({(DOMAIN, 1, 20): silent.endpoint}) as near:
            with pytest.raises(NoAnswer) as caught:
                await near.request(SubnetNode(1, 20), b"\x01", QUICK)
            assert caught.value.attempts == 2
            assert len(silent.machine.packets) == 2  # type: ignore[attr-defined]

    run(main)


def test_a_port_that_nobody_listens_on_does_not_stop_others(run: Run) -> None:
    async def main() -> None:
        nowhere = (HERE, free_port())
        far, _ = await server()
        async with far, await client({(DOMAIN, 1, 20): far.endpoint, (DOMAIN, 1, 21): nowhere}) as near:
            with pytest.raises(NoAnswer):
                await near.request(SubnetNode(1, 21), b"\x01", QUICK)
            near.error_received(ConnectionRefusedError())
            assert near.statistics.refused >= 1
            assert (await near.request(SubnetNode(1, 20), b"\x01")).apdu == b"\x01"

    run(main)


def test_hostile_datagrams_are_dropped_and_counted(run: Run) -> None:
    async def main() -> None:
        far, echo = await server()
        async with far, await client({(DOMAIN, 1, 20): far.endpoint}) as near:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                for raw in (b"", b"\x00", b"\xff" * 1000, bytes(65000), b"\x01\x71\x01\xff"):
                    stranger.sendto(raw, far.endpoint)
            await until(lambda: far.statistics.received == 5)
            assert far.statistics.dropped == 5
            dropped = [event for event in echo.seen if isinstance(event, Dropped)]
            assert len(dropped) == 5
            assert max(len(event.data) for event in dropped) == 64
            assert (await near.request(SubnetNode(1, 20), b"\x01")).apdu == b"\x01"

    run(main)


def test_packets_for_many_go_to_every_peer(run: Run) -> None:
    async def main() -> None:
        ports = [await server(20), await server(21), await server(22, subnet=2)]
        peers = {(DOMAIN, 1 + place // 2, 20 + place): port.endpoint for place, (port, _) in enumerate(ports)}
        async with await client(peers) as near:
            near.machine.send(Broadcast(), b"\x05", 0.0, service=Service.UNACKD)  # type: ignore[attr-defined]
            near.machine.send(Broadcast(2), b"\x06", 0.0, service=Service.UNACKD)  # type: ignore[attr-defined]
            near.flush()
            heard = lambda: [[event.apdu for event in echo.seen] for _, echo in ports]  # noqa: E731
            await until(lambda: heard() == [[b"\x05"], [b"\x05"], [b"\x05", b"\x06"]])
            assert near.statistics.unrouted == 0
            near.machine.send(Broadcast(9), b"\x05", 0.0, service=Service.UNACKD)  # type: ignore[attr-defined]
            near.flush()
            assert near.statistics.unrouted == 1
        for port, _ in ports:
            port.close()

    run(main)


def test_real_multicast_reaches_who_joined(run: Run) -> None:
    async def main() -> None:
        number = free_port()
        asking, member, stranger = node(10), node(20), node(21, subnet=2)
        group = AddressEntry(kind=AddressKind(group=1, kind=2), number=5)
        member.configuration.addresses[0] = group
        member.configuration.changed()
        echoes = [Echo(), Echo()]
        first, second = [
            await LonIpPort.open(each, "", number, own=HERE, multicast=True, on_event=echo)
            for each, echo in zip((member, stranger), echoes)
        ]
        assert first._joined == {"239.192.0.0", "239.192.0.1", "239.192.1.5"}
        assert second._joined == {"239.192.0.0", "239.192.0.2"}
        near = await LonIpPort.open(asking, "", number, own=HERE, multicast=True)
        for destination in (Broadcast(), Broadcast(2), Group(5)):
            asking.send(destination, bytes((1 + len(str(destination)),)), 0.0, service=Service.UNACKD)
        near.flush()
        heard = [[1 + len("broadcast"), 1 + len("group 5")], [1 + len("broadcast"), 1 + len("subnet 2")]]
        apdus = lambda: [[each.apdu[0] for each in echo.seen if isinstance(each, MessageReceived)] for echo in echoes]  # noqa: E731
        await until(lambda: apdus() == heard)
        for port in (first, second, near):
            port.close()

    run(main)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8")
def test_ports_that_are_bound_to_one_address_hear_multicasts_too(run: Run) -> None:
    async def main() -> None:
        number, echoes = free_port(), [Echo(), Echo()]
        near, far = [
            await LonIpPort.open(node(10 * each), f"127.0.0.{each}", number, multicast=True, on_event=echo)
            for each, echo in zip((2, 3), echoes)
        ]
        echoes[1].port = far
        near.machine.send(Broadcast(), b"\x05", 0.0, service=Service.UNACKD)  # type: ignore[attr-defined]
        near.flush()
        await until(lambda: [each.apdu for each in echoes[1].seen if isinstance(each, MessageReceived)] == [b"\x05"])
        answer = await near.request(SubnetNode(1, 30), b"\x07")
        assert (answer.apdu, answer.attempts) == (b"\x07", 1)
        hearing = near._hearing
        near.close()
        far.close()
        await near.wait_closed()
        assert hearing is not None
        assert hearing.is_closing()

    run(main)


def test_management_over_lon_ip_knows_its_carrier(run: Run) -> None:
    async def main() -> None:
        stack = node(20)
        stack.configuration.allow_management_writes = True
        far = await LonIpPort.open(stack, HERE, 0)
        peers = {(DOMAIN, 1, 20): far.endpoint}
        async with await client(peers) as near:

            async def asked(apdu: str) -> str:
                return (await near.request(SubnetNode(1, 20), bytes.fromhex(apdu))).apdu.hex()

            assert await asked("6019") == "20197f000001"
            assert await asked("6018") == "20180000000000000e10"
            assert await asked("601601" + "20" + "00" * 31) == "2016"
            assert far.carrier.addresses.find((DOMAIN, 2, 5), 0.0) is not None, "10.73.2.5 follows from subnet 2"
            assert await asked("6017" + "00000001" + "0000" + "0000003c") == "2017"
            assert await asked("6018") == "2018000000010000003c"
            assert far.carrier.addresses.age_s == 60
            before = far.statistics.sent
            await until(lambda: far.statistics.sent > before or far.statistics.unrouted > 0)
            assert await asked("6017" + "00000000" + "0000" + "0000003c") == "2017"
            assert far._announcing is None
        far.close()

    run(main)


def test_a_port_follows_whom_its_machine_listens_to(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lonip_port, "_FOLLOW_S", 0.01)

    async def main() -> None:
        stack = node(20)
        async with await LonIpPort.open(stack, "", free_port(), own=HERE, multicast=True) as port:
            assert port._joined == {"239.192.0.0", "239.192.0.1"}
            stack.configuration.domains[0] = domain_entry(DOMAIN, 3, 20)
            stack.configuration.changed()
            await until(lambda: port._joined == {"239.192.0.0", "239.192.0.3"})

    run(main)


def test_what_waits_is_told_of_the_end_of_the_port(run: Run) -> None:
    async def main() -> None:
        silent = await LonIpPort.open(Toy(), HERE, 0)
        near = await client({(DOMAIN, 1, 20): silent.endpoint})
        asking = asyncio.ensure_future(near.request(SubnetNode(1, 20), b"\x01"))
        await turns(2)
        near.close()
        with pytest.raises(PortClosed):
            await asking
        await near.wait_closed()
        with pytest.raises(PortClosed):
            await near.request(SubnetNode(1, 20), b"\x01")
        with pytest.raises(PortClosed):
            near.endpoint  # noqa: B018
        near.flush()
        near.close()
        silent.close()

    run(main)


def test_a_request_that_is_cancelled_is_given_up(run: Run) -> None:
    async def main() -> None:
        toy = Toy()
        async with await LonIpPort.open(toy, HERE, 0) as port:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(port.request(SubnetNode(1, 20), b"\x01"), 0.01)
            assert toy.cancelled == [7]
            assert port._waiting == {}

    run(main)


def test_a_command_that_the_machine_refuses_raises_at_once(run: Run) -> None:
    async def main() -> None:
        stack = Stack(Configuration(bytes(6)), quiet_s=0)
        async with await LonIpPort.open(stack, HERE, 0) as port:
            with pytest.raises(LocalProtocolError):
                await port.request(SubnetNode(1, 20), b"\x01")
            assert port._waiting == {}

    run(main)


def test_the_tap_sees_every_datagram(run: Run) -> None:
    async def main() -> None:
        seen: list[tuple[str, bytes, Endpoint]] = []
        far, _ = await server()
        peers = {(DOMAIN, 1, 20): far.endpoint}
        async with far, await client(peers, tap=lambda now, way, raw, peer: seen.append((way, raw, peer))) as near:
            await near.request(SubnetNode(1, 20), b"\x01")
            assert [(way, peer) for way, _, peer in seen] == [("out", far.endpoint), ("in", far.endpoint)]
            assert all(raw.endswith(b"\x01") for _, raw, _ in seen)

    run(main)


def test_one_timer_stands_for_the_deadline_and_moves_only_forward(run: Run) -> None:
    async def main() -> None:
        toy = Toy()
        async with await LonIpPort.open(toy, HERE, 0) as port:
            now = asyncio.get_running_loop().time()
            toy.due = now + 0.05
            port.flush()
            timer = port._timer
            assert timer is not None
            toy.due = now + 5
            port.flush()
            assert port._timer is timer
            toy.due = now + 0.01
            port.flush()
            assert port._timer is not timer
            await until(lambda: bool(toy.woken))
            assert toy.woken[0] >= now + 0.01
            assert port._timer is None

    run(main)


def test_a_machine_that_is_always_due_does_not_take_all_the_time(run: Run) -> None:
    async def main() -> None:
        class Restless(Toy):
            def wake(self, now: float) -> None:
                self.woken.append(now)

        toy = Restless()
        toy.due = 0.0
        async with await LonIpPort.open(toy, HERE, 0):
            await asyncio.sleep(0.05)
            assert 0 < len(toy.woken) <= 100

    run(main)


def test_a_callback_that_always_finds_more_to_do_lets_others_have_their_turn(run: Run) -> None:
    async def main() -> None:
        toy = Toy()
        calls = 0

        def again(event: Any) -> None:
            nonlocal calls
            calls += 1
            toy.to_tell.append(event)

        async with await LonIpPort.open(toy, HERE, 0, on_event=again) as port:
            toy.to_tell.append("event")
            port.flush()
            first = calls
            await asyncio.sleep(0)
            await until(lambda: calls > first)
            assert first < 1000
            port.close()

    run(main)


def test_datagrams_that_come_together_are_looked_at_together(run: Run) -> None:
    async def main() -> None:
        class Counting(Toy):
            asked = 0

            def outgoing(self, now: float) -> list[Packet]:
                self.asked += 1
                return super().outgoing(now)

        toy, other = Counting(), Counting()
        async with await LonIpPort.open(toy, HERE, 0) as port, await LonIpPort.open(other, HERE, 0) as beside:
            before = toy.asked
            for number in range(5):
                port.datagram_received(bytes.fromhex("0171018a014901140151") + bytes((number,)), (HERE, 9))
            beside.datagram_received(b"", (HERE, 9))
            assert toy.packets == []
            await asyncio.sleep(0)
            await until(lambda: len(toy.packets) == 5)
            assert [packet.npdu.pdu[-1] for packet in toy.packets] == [0, 1, 2, 3, 4]
            assert toy.asked == before + 1
            for number in range(100):
                port.datagram_received(bytes.fromhex("0171018a014901140151") + bytes((number,)), (HERE, 9))
            assert len(toy.packets) >= 5 + 90, "a turn is short"
            await until(lambda: len(toy.packets) == 105)

    run(main)


def test_what_arrived_before_the_end_of_a_port_is_dropped_with_it(run: Run) -> None:
    async def main() -> None:
        toy = Toy()
        port = await LonIpPort.open(toy, HERE, 0)
        transport = port._transport
        assert transport is not None
        port.datagram_received(bytes.fromhex("0171018a014901140151"), (HERE, 9))
        port.connection_lost(None)
        transport.close()
        await turns(2)
        assert toy.packets == []

    run(main)


def test_a_machine_that_fails_to_speak_does_not_silence_others(run: Run, request: pytest.FixtureRequest) -> None:
    request.node.expected_failures = 1

    async def main() -> None:
        class Broken(Toy):
            def outgoing(self, now: float) -> list[Packet]:
                if self.packets:
                    raise RuntimeError("a machine's own mistake")
                return []

        broken, sound = Broken(), Toy()
        first = await LonIpPort.open(broken, HERE, 0)
        second = await LonIpPort.open(sound, HERE, 0, peers={(DOMAIN, 1, 20): (HERE, 9)})
        sound.to_send.append(REQUEST)
        for port in (first, second):
            port.datagram_received(bytes.fromhex("0171018a014901140151"), (HERE, 9))
        await turns(2)
        assert second.statistics.sent == 1
        broken.packets.clear()
        for port in (first, second):
            port.close()

    run(main)


def test_failing_handlers_and_machines_are_reported_and_survived(run: Run, request: pytest.FixtureRequest) -> None:
    request.node.expected_failures = 3

    async def main() -> None:
        toy = Toy()

        def fails(event: Any) -> None:
            raise RuntimeError("a handler's own mistake")

        async with await LonIpPort.open(toy, HERE, 0, on_event=fails) as port:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                stranger.sendto(b"", port.endpoint)
                await until(lambda: port.statistics.received == 1)
                toy.trouble = RuntimeError("a machine's own mistake")
                stranger.sendto(bytes.fromhex("0171010a014901140151")[:4] + bytes.fromhex("8a0149"), port.endpoint)
                stranger.sendto(bytes.fromhex("0171018a014901140151"), port.endpoint)
                await until(lambda: port.statistics.received == 3)
            toy.trouble = None
            toy.to_send.append(REQUEST)
            port.flush()
            assert port.statistics.unrouted == 1

    run(main)


def test_a_full_socket_loses_datagrams_instead_of_keeping_them(run: Run) -> None:
    async def main() -> None:
        toy = Toy()
        async with await LonIpPort.open(toy, HERE, 0, peers={(DOMAIN, 1, 20): (HERE, 9)}) as port:
            port.pause_writing()
            toy.to_send.append(REQUEST)
            port.flush()
            assert (port.statistics.sent, port.statistics.unsent) == (0, 1)
            port.resume_writing()
            toy.to_send.append(REQUEST)
            port.flush()
            assert (port.statistics.sent, port.statistics.unsent) == (1, 1)

    run(main)


def test_only_what_could_not_be_sent_is_taken_back_from_what_was(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        toy = Toy()
        async with await LonIpPort.open(toy, HERE, 0, peers={(DOMAIN, 1, 20): (HERE, 9)}) as port:
            transport = port._transport
            assert isinstance(transport, DatagramSocket)
            troubles = [OSError(errno.ENOBUFS, "no buffers"), ConnectionRefusedError(), BlockingIOError()]

            def send(data: bytes, addr: Any) -> int:
                if troubles:
                    raise troubles.pop(0)
                return len(data)

            monkeypatch.setattr(transport, "_send", send)
            statistics, counted = port.statistics, []
            for _ in range(3):
                toy.to_send.append(REQUEST)
                port.flush()
                counted.append((statistics.sent, statistics.unsent, statistics.refused))
            assert counted == [(0, 1, 0), (0, 2, 1), (1, 2, 1)]
            troubles.append(OSError(errno.ENETDOWN, "the network is down"))
            await until(lambda: not troubles)
            assert (statistics.sent, statistics.unsent, statistics.refused) == (0, 3, 1), "it had waited in vain"
            for error in (ConnectionRefusedError(), OSError(errno.EHOSTUNREACH, "no way there")):
                port.error_received(error)
            assert (statistics.sent, statistics.unsent, statistics.refused) == (0, 3, 3)

    run(main)


def test_what_cannot_be_said_or_sent_is_counted(run: Run) -> None:
    async def main() -> None:
        toy = Toy()
        strange = packet_of(REQUEST.lpdu())
        strange.npdu.control = strange.npdu.control.with_(version=3)
        async with await LonIpPort.open(toy, HERE, 0, peers={(DOMAIN, 1, 20): ("::1", 9)}) as port:
            toy.to_send += [strange, REQUEST]
            port.flush()
            await turns(3)
            assert port.statistics.unsent + port.statistics.refused == 2

    run(main)


def test_a_node_behind_a_foreign_address_announces_itself(run: Run) -> None:
    async def main() -> None:
        far = await LonIpPort.open(node(20), HERE, 0)
        near = await LonIpPort.open(node(10), HERE, 0, listeners=[far.endpoint], announce_s=0.01)
        await until(lambda: far.statistics.received >= 2)
        found = far.carrier.addresses.find((DOMAIN, 1, 10), 0.0)
        assert found is not None
        assert found.endpoint == near.endpoint
        near.close()
        far.close()

    run(main)


def test_cnip_carries_the_same_conversation(run: Run) -> None:
    async def main() -> None:
        echo = Echo()
        number = free_port()
        secret = Key(bytes(range(16)))
        options: dict[str, Any] = {"secret": secret, "crc": True}
        far = await CnIpPort.open(node(20), [(HERE, number)], HERE, 0, on_event=echo, **options)
        echo.port = far
        near = await CnIpPort.open(node(10), [far.endpoint], HERE, number, **options)
        assert (await near.request(SubnetNode(1, 20), b"\x01abc")).apdu == b"\x01abc"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.sendto(CnIpHeader().encode(), far.endpoint)
        await until(lambda: far.statistics.dropped == 1)
        assert near.carrier.session != far.carrier.session
        near.close()
        far.close()

    run(main)


def test_ipv6_peers(run: Run) -> None:
    async def main() -> None:
        echo, other = Echo(), Echo()
        far = await CnIpPort.open(node(20), [], "::1", 0, strangers=True, on_event=echo)
        near = await CnIpPort.open(node(10), [far.endpoint], "::1", 0)
        echo.port = far
        assert (await near.request(SubnetNode(1, 20), b"\x01")).apdu == b"\x01"
        lonip = await LonIpPort.open(node(21), "::1", 0, on_event=other)
        other.port = lonip
        asks = await LonIpPort.open(node(11), "::1", 0, peers={(DOMAIN, 1, 21): lonip.endpoint})
        assert (await asks.request(SubnetNode(1, 21), b"\x02")).apdu == b"\x02"
        for port in (far, near, lonip, asks):
            port.close()

    run(main)


def test_sockets_that_cannot_be_had_say_why() -> None:
    with udp.bound_socket(HERE, 0) as taken, pytest.raises(ConfigError, match="in use"):
        udp.bound_socket(HERE, taken.getsockname()[1])
    with pytest.raises(ConfigError, match="no IP address of this machine"):
        udp.bound_socket("192.0.2.77", 0)
    with pytest.raises(ConfigError, match="no IP address"):
        udp.bound_socket("meter.example", 0)
    with pytest.raises(ConfigError, match="cannot be opened"):
        udp.bound_socket(HERE, 70000)


def test_peers_and_a_map_are_one_too_many(run: Run) -> None:
    async def main() -> None:
        with pytest.raises(ConfigError, match="belong into the map"):
            await LonIpPort.open(Toy(), HERE, 0, peers={}, addresses=AddressMap())

    run(main)


def test_without_uvloop_the_ordinary_event_loop_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    loop = udp.new_event_loop()
    assert type(loop).__module__.startswith("asyncio")
    loop.close()
