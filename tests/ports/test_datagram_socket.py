"""The socket of the datagram ports: everything arrives, nothing that waits is lost or sent after its port is closed."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Coroutine, Iterator, Sized
from typing import Any, cast

import pytest

from osgp.ports import udp
from osgp.ports.datagram_socket import DatagramSocket, SocketProtocol
from osgp.ports.readiness import Readiness, readiness_of
from osgp.ports.udp import bound_socket

HERE = "127.0.0.1"

Run = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]


@pytest.fixture(params=["asyncio", "uvloop", "no epoll"])
def run(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Run a coroutine to its end in either kind of event loop, and where the operating system has no epoll."""
    loop = udp.new_event_loop() if request.param == "uvloop" else asyncio.new_event_loop()
    if request.param == "no epoll":
        monkeypatch.delattr("select.epoll", raising=False)
    yield lambda main: loop.run_until_complete(asyncio.wait_for(main(), 10))
    loop.close()


async def grows_to(things: Sized, count: int) -> None:
    """Wait until there are so many."""
    await until(lambda: len(things) == count)


class Heard(asyncio.DatagramProtocol):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.data: list[bytes] = []
        self.sources: set[Any] = set()
        self.errors: list[Exception] = []
        self.paused: list[bool] = []
        self.lost: list[Exception | None] = []
        self.then: Callable[[], object] = lambda: None

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.data.append(data)
        self.sources.add(addr)
        self.then()

    def error_received(self, exc: Exception) -> None:
        self.errors.append(exc)

    def pause_writing(self) -> None:
        self.paused.append(True)

    def resume_writing(self) -> None:
        self.paused.append(False)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.append(exc)


def opened() -> tuple[Heard, DatagramSocket]:
    """A socket on this machine, in the running event loop."""
    heard = Heard()
    return heard, DatagramSocket(asyncio.get_running_loop(), bound_socket(HERE, 0), heard)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that comes."""
    while not condition():
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("together", [1, 2, 3, 33, 100])
def test_all_datagrams_arrive_in_order_whether_they_come_alone_or_together(run: Run, together: int) -> None:
    async def main() -> None:
        heard, transport = opened()
        with bound_socket(HERE, 0) as sender:
            sent: list[bytes] = []
            for _ in range(200 // together + 1):
                for _ in range(together):
                    sent.append(str(len(sent)).encode())
                    sender.sendto(sent[-1], transport.get_extra_info("sockname"))
                await until(lambda: len(heard.data) == len(sent))
            assert heard.data == sent
            assert heard.sources == {sender.getsockname()}
        transport.close()

    run(main)


def test_after_many_single_ones_a_crowd_arrives_too(run: Run) -> None:
    async def main() -> None:
        heard, transport = opened()
        with bound_socket(HERE, 0) as sender:
            for number in range(100):
                sender.sendto(b"alone", transport.get_extra_info("sockname"))
                await grows_to(heard.data, number + 1)
            for _ in range(100):
                sender.sendto(b"crowd", transport.get_extra_info("sockname"))
            await until(lambda: len(heard.data) == 200)
        transport.close()

    run(main)


def test_what_is_closed_while_it_is_read_takes_no_more(run: Run) -> None:
    async def main() -> None:
        heard, transport = opened()
        heard.then = transport.close
        with bound_socket(HERE, 0) as sender:
            for _ in range(5):
                sender.sendto(b"x", transport.get_extra_info("sockname"))
        await until(lambda: bool(heard.lost))
        assert heard.data == [b"x"]
        assert heard.lost == [None]
        assert transport.is_closing()
        transport.close()
        transport.abort()
        await asyncio.sleep(0.01)
        assert heard.lost == [None]
        assert transport.get_extra_info("socket").fileno() == -1

    run(main)


def test_a_datagram_that_is_too_long_is_told_and_one_to_a_wrong_kind_of_address_refused(run: Run) -> None:
    async def main() -> None:
        heard, transport = opened()
        transport.sendto(bytes(70_000), (HERE, 9))
        assert len(heard.errors) == 1
        assert isinstance(heard.errors[0], OSError)
        for wrong in (("::1", 9, 0, 0), (HERE, 70_000), "nobody"):
            with pytest.raises(ValueError, match="is no address for this socket"):
                transport.sendto(b"x", wrong)
        transport.close()

    run(main)


def test_many_sockets_get_what_is_theirs_and_one_that_fails_or_closes_others_keeps_it_from_nobody_else(
    run: Run,
) -> None:
    async def main() -> None:
        reported: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
        pairs = [opened() for _ in range(100)]
        pairs[0][0].then = lambda: 1 / 0
        pairs[1][0].then = pairs[2][1].close
        with bound_socket(HERE, 0) as sender:
            for number, (_, transport) in enumerate(pairs):
                sender.sendto(str(number).encode(), transport.get_extra_info("sockname"))
            await until(lambda: all(heard.data for heard, _ in pairs[3:]) and bool(pairs[2][0].lost))
        for number, (heard, transport) in enumerate(pairs):
            if number != 2:
                assert heard.data == [str(number).encode()]
            transport.close()
        assert [type(each["exception"]) for each in reported] == [ZeroDivisionError]

    run(main)


def test_a_socket_is_heard_after_all_others_of_its_loop_were_closed(run: Run) -> None:
    async def main() -> None:
        for _ in range(3):
            heard, transport = opened()
            with bound_socket(HERE, 0) as sender:
                sender.sendto(b"x", transport.get_extra_info("sockname"))
                await grows_to(heard.data, 1)
            transport.close()
            await grows_to(heard.lost, 1)
            assert heard.data == [b"x"]

    run(main)


@pytest.mark.parametrize("make", [asyncio.new_event_loop, udp.new_event_loop])
def test_what_is_to_be_done_after_reading_is_done_also_when_reading_is_interrupted(
    make: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def main() -> None:
        readiness = readiness_of(asyncio.get_running_loop())

        def then_interrupted() -> None:
            readiness.then(lambda: done.append("then"))
            raise KeyboardInterrupt

        heard, transport = opened()
        heard.then = then_interrupted
        with bound_socket(HERE, 0) as sender:
            sender.sendto(b"x", transport.get_extra_info("sockname"))
            try:
                await grows_to(done, 2)
            finally:
                transport.close()

    done: list[str] = []
    loop = make()
    try:
        task = loop.create_task(main())
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(task)
        readiness_of(loop).then(lambda: done.append("soon"))
        loop.run_until_complete(asyncio.wait_for(task, 10))
        assert done == ["then", "soon"]
    finally:
        loop.close()


def test_a_protocol_that_fails_at_once_leaves_no_socket_behind(run: Run) -> None:
    async def main() -> None:
        class Broken(Heard):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                raise ZeroDivisionError

        made = bound_socket(HERE, 0)
        number = made.fileno()
        with pytest.raises(ZeroDivisionError):
            await udp.on_socket(cast(Any, Broken()), made)
        assert made.fileno() == -1
        assert not asyncio.get_running_loop().remove_reader(number)
        assert not readiness_of(asyncio.get_running_loop())._callbacks

    run(main)


def test_what_cannot_be_watched_is_said_and_leaves_no_descriptor_behind() -> None:
    async def main() -> None:
        readiness = Readiness(asyncio.get_running_loop())
        with open(__file__) as file, pytest.raises(PermissionError):
            readiness.add(cast(Any, file), print)
        assert readiness._epoll is None
        with bound_socket(HERE, 0) as made:
            readiness.add(made, print)
            with open(__file__) as file, pytest.raises(PermissionError):
                readiness.add(cast(Any, file), print)
            assert readiness._epoll is not None, "others are watched"
            readiness.remove(made)
        assert readiness._epoll is None

    asyncio.run(main())


class HeardApart(Heard, SocketProtocol):
    """Keeps what could not be sent for itself."""

    def __init__(self) -> None:
        super().__init__()
        self.unsent: list[Exception] = []
        self.failing: Callable[[], object] = lambda: None

    def send_failed(self, exc: Exception) -> None:
        self.unsent.append(exc)
        self.failing()


class Narrow:
    """A socket that has room only when it is told so; the rest of it is a real one."""

    def __init__(self) -> None:
        self.real = bound_socket(HERE, 0)
        self.sent: list[bytes] = []
        self.room = 0
        self.wrong: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def recvfrom(self, size: int) -> tuple[bytes, Any]:
        if self.wrong is not None:
            wrong, self.wrong = self.wrong, None
            self.real.recv(size)
            raise wrong
        return self.real.recvfrom(size)

    def sendto(self, data: bytes, addr: Any) -> int:
        if not self.room:
            raise BlockingIOError
        if data == b"refused":
            raise ConnectionRefusedError
        if data == b"no buffers":
            raise OSError(errno.ENOBUFS, "no buffer space available")
        self.room -= 1
        self.sent.append(data)
        return len(data)


def narrow() -> tuple[HeardApart, Narrow, DatagramSocket]:
    """A socket without room, in the running event loop."""
    heard, made = HeardApart(), Narrow()
    return heard, made, DatagramSocket(asyncio.get_running_loop(), cast(Any, made), heard)


def test_what_the_socket_has_no_room_for_waits_and_much_of_it_pauses(run: Run) -> None:
    async def main() -> None:
        heard, made, transport = narrow()
        sent = [bytes((number,)) * 1000 for number in range(70)]
        for each in sent:
            transport.sendto(each, (HERE, 9))
        assert heard.paused == [True]
        await asyncio.sleep(0.01)
        assert made.sent == []
        made.room = 30
        await until(lambda: made.room == 0)
        assert made.sent == sent[:30]
        assert heard.paused == [True]
        made.room = 100
        await until(lambda: len(made.sent) == 70)
        assert made.sent == sent
        assert heard.paused == [True, False]
        transport.sendto(b"at once", (HERE, 9))
        assert made.sent[-1] == b"at once"
        transport.close()

    run(main)


def test_closing_waits_for_what_waits_and_breaking_off_does_not(run: Run) -> None:
    async def main() -> None:
        heard, made, transport = narrow()
        for each in (b"1", b"refused", b"2"):
            transport.sendto(each, (HERE, 9))
        transport.close()
        await asyncio.sleep(0.01)
        assert heard.lost == []
        made.room = 10
        await until(lambda: heard.lost == [None])
        assert made.sent == [b"1", b"2"]
        assert [type(error) for error in heard.unsent] == [ConnectionRefusedError]

        for closed_before in (False, True):
            heard, made, transport = narrow()
            transport.sendto(b"1", (HERE, 9))
            if closed_before:
                transport.close()
            transport.abort()
            made.room = 10
            await grows_to(heard.lost, 1)
            assert heard.lost == [None]
            assert made.sent == []

    run(main)


@pytest.mark.parametrize("last", [False, True], ids=["others wait behind it", "the last that waits"])
@pytest.mark.parametrize("how", ["abort", "close", "fail"])
def test_who_is_told_that_what_waited_cannot_be_sent_may_end_the_socket(run: Run, how: str, last: bool) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        reported: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: reported.append(context))
        heard, made, transport = narrow()
        number = made.fileno()

        def failing() -> None:
            (transport.abort if how == "abort" else transport.close)()
            if how == "fail":
                raise ZeroDivisionError

        heard.failing = failing
        for each in (b"1", b"refused") if last else (b"1", b"refused", b"2", b"3"):
            transport.sendto(each, (HERE, 9))
        made.room = 10
        await until(lambda: bool(heard.lost))
        assert made.sent == ([b"1"] if last or how == "abort" else [b"1", b"2", b"3"])
        assert [type(error) for error in heard.unsent] == [ConnectionRefusedError]
        assert transport._waiting_bytes == 0
        assert [type(each["exception"]) for each in reported] == ([ZeroDivisionError] if how == "fail" else [])
        await asyncio.sleep(0.01)
        assert heard.lost == [None]
        assert not loop.remove_writer(number)

    run(main)


def test_breaking_off_counts_nothing_as_waiting_and_asks_for_no_more(run: Run) -> None:
    async def main() -> None:
        heard, made, transport = narrow()
        heard.failing = transport.abort
        for each in (b"refused", *(bytes(1000),) * 80):
            transport.sendto(each, (HERE, 9))
        assert heard.paused == [True]
        made.room = 100
        await until(lambda: heard.lost == [None])
        assert transport._waiting_bytes == 0
        assert made.sent == []
        assert heard.paused == [True], "there is nobody who could take more"

    run(main)


def test_empty_datagrams_that_wait_are_bounded_as_well(run: Run) -> None:
    async def main() -> None:
        heard, made, transport = narrow()
        count = 0
        while not heard.paused:
            transport.sendto(b"", (HERE, 9))
            count += 1
            assert count < 2000
        made.room = count
        await until(lambda: len(made.sent) == count)
        assert heard.paused == [True, False]
        assert transport._waiting_bytes == 0
        transport.close()

    run(main)


def test_where_the_system_has_no_buffers_the_datagram_is_lost_and_the_next_goes_out(run: Run) -> None:
    async def main() -> None:
        heard, made, transport = narrow()
        made.room = 1
        transport.sendto(b"no buffers", (HERE, 9))
        transport.sendto(b"1", (HERE, 9))
        for each in (b"2", b"no buffers", b"3"):
            transport.sendto(each, (HERE, 9))
        made.room = 2
        await until(lambda: made.sent == [b"1", b"2", b"3"])
        assert [error.errno for error in heard.unsent if isinstance(error, OSError)] == [errno.ENOBUFS] * 2
        assert heard.errors == []
        transport.close()

    run(main)


def test_a_flood_of_refusals_by_the_network_keeps_nothing_from_others(run: Run) -> None:
    async def main() -> None:
        reported: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
        with bound_socket(HERE, 0) as held:
            nowhere = held.getsockname()
        made, flooded = bound_socket(HERE, 0), HeardApart()
        made.connect(nowhere)  # only such a socket is told
        transport = DatagramSocket(asyncio.get_running_loop(), made, flooded)
        heard, other = opened()
        with bound_socket(HERE, 0) as sender:
            for number in range(300):
                for _ in range(3):
                    transport.sendto(b"x", nowhere)
                sender.sendto(b"heard", other.get_extra_info("sockname"))
                await grows_to(heard.data, number + 1)
        await until(lambda: bool(flooded.errors))
        assert {type(error) for error in (*flooded.unsent, *flooded.errors)} == {ConnectionRefusedError}
        assert len(flooded.unsent) >= 300, "the error of one is told when the next is to be sent"
        assert reported == []
        assert flooded.lost == []
        transport.close()
        other.close()

    run(main)


def test_what_is_sent_after_closing_is_lost_and_leaves_nothing_behind(run: Run) -> None:
    async def main() -> None:
        heard, made, transport = narrow()
        number = made.fileno()
        transport.close()
        transport.sendto(b"there is no room", (HERE, 9))
        await until(lambda: heard.lost == [None])
        assert not asyncio.get_running_loop().remove_writer(number)

        heard, transport = opened()
        transport.close()
        await until(lambda: heard.lost == [None])
        transport.sendto(b"there is no socket", (HERE, 9))
        assert heard.errors == []

    run(main)


def test_an_error_of_the_network_is_told_and_what_comes_then_arrives(run: Run) -> None:
    async def main() -> None:
        heard, made, transport = narrow()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for number in range(20):
                made.wrong = ConnectionRefusedError()
                sender.sendto(b"lost", made.getsockname())
                await grows_to(heard.errors, number + 1)
                sender.sendto(b"heard", made.getsockname())
                await grows_to(heard.data, number + 1)
        transport.close()

    run(main)


def test_where_a_loop_watches_no_sockets_its_own_endpoint_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        add_reader = loop.add_reader
        heard = Heard()

        def refuse(*_: Any) -> None:
            monkeypatch.setattr(loop, "add_reader", add_reader)
            raise NotImplementedError

        monkeypatch.setattr(loop, "add_reader", refuse)
        made = bound_socket(HERE, 0)
        await udp.on_socket(cast(Any, heard), made)
        with bound_socket(HERE, 0) as sender:
            sender.sendto(b"x", made.getsockname())
        await until(lambda: heard.data == [b"x"])
        made.close()

    asyncio.run(main())
