"""Servers on real sockets and ptys: one client at a time, garbage, hang-ups, clean ends."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path
from typing import Any

import pytest

from osgp.ports.driver import Driver
from osgp.ports.lines import Line, open_line
from osgp.ports.ptyline import PtyLine
from osgp.ports.serve import PacedLine, Server
from osgp.sim.clock import run_virtual
from osgp.sim.line import Faults, FaultyLine, line_pair
from osgp.wire.errors import PortClosed
from tests.ports.toy import LONGEST, Answered, Served, ToyClient, ToyServer


async def ask(line: Line, text: bytes) -> bytes:
    clock = asyncio.get_running_loop().time
    machine = ToyClient()
    machine.ask(text, clock())
    answer: Answered = await Driver(line, machine, clock).pump_until(Answered)
    return answer.text


def test_each_connection_gets_its_own_machine_or_the_shared_one() -> None:
    async def main(make: Any) -> list[int]:
        async with Server(make, on_event=lambda machine, _event: counts.append(machine.served)) as server:
            counts: list[int] = []
            _, port = await server.tcp()
            for _ in range(3):
                line = await open_line(f"tcp 127.0.0.1:{port}")
                await ask(line, b"x")
                await line.close()
            return counts

    shared = ToyServer()
    assert asyncio.run(main(ToyServer)) == [1, 1, 1]
    assert asyncio.run(main(lambda: shared)) == [1, 2, 3]


def test_what_a_shared_machine_said_to_nobody_is_lost() -> None:
    machine = ToyServer()

    async def main() -> None:
        async with Server(lambda: machine) as server:
            _, port = await server.tcp()
            line = await open_line(f"tcp 127.0.0.1:{port}")
            assert await ask(line, b"one") == b"ONE"
            await line.close()
            machine.out += b"stale\n"
            line = await open_line(f"tcp 127.0.0.1:{port}")
            await line.send(b"two\n")
            assert await line.receive(None) == b"TWO\n"
            await line.close()

    asyncio.run(main())


def test_a_second_client_takes_the_port_over() -> None:
    async def main() -> None:
        async with Server(ToyServer) as server:
            _, port = await server.tcp()
            first = await open_line(f"tcp 127.0.0.1:{port}")
            assert await ask(first, b"mine") == b"MINE"
            second = await open_line(f"tcp 127.0.0.1:{port}")
            assert await ask(second, b"mine now") == b"MINE NOW"
            with pytest.raises(PortClosed) as caught:
                await first.receive(None)
            assert "another client" in caught.value.hint
            await first.close()
            await second.close()

    asyncio.run(main())


def test_or_is_refused_when_the_server_says_so() -> None:
    async def main() -> None:
        async with Server(ToyServer, when_taken="refuse") as server:
            _, port = await server.tcp()
            first = await open_line(f"tcp 127.0.0.1:{port}")
            assert await ask(first, b"mine") == b"MINE"
            second = await open_line(f"tcp 127.0.0.1:{port}")
            with pytest.raises(PortClosed):
                await second.receive(None)
            assert await ask(first, b"still mine") == b"STILL MINE"
            await first.close()
            await second.close()

    asyncio.run(main())


def test_ports_are_independent_of_each_other() -> None:
    async def main() -> None:
        async with Server(ToyServer) as server:
            ports = [(await server.tcp())[1] for _ in range(3)]
            path = await server.pty()
            lines = [await open_line(f"tcp 127.0.0.1:{port}") for port in ports]
            lines.append(await open_line(f"serial {path}"))
            answers = await asyncio.gather(*(ask(line, b"n%d" % number) for number, line in enumerate(lines)))
            assert answers == [b"N0", b"N1", b"N2", b"N3"]
            for line in lines:
                await line.close()

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["tcp", "pty"])
def test_garbage_and_floods_are_survived_with_bounded_memory(kind: str) -> None:
    machine = ToyServer()

    async def main() -> None:
        rng = random.Random(1)
        async with Server(lambda: machine) as server:
            if kind == "tcp":
                spec = f"tcp 127.0.0.1:{(await server.tcp())[1]}"
            else:
                spec = f"serial {await server.pty()}"
            line = await open_line(spec)
            for _ in range(64):
                await line.send(rng.randbytes(4096).replace(b"\n", b"").replace(b"crash", b""))
            await line.send(b"\n")
            while machine.served == 0:
                await line.receive(None)
            await line.receive(0.05)
            assert await ask(line, b"alive?") == b"ALIVE?"
            await line.close()

    asyncio.run(main())
    assert machine.largest <= 2 * LONGEST


def test_clients_that_vanish_in_the_middle_do_no_harm() -> None:
    async def main() -> None:
        async with Server(ToyServer) as server:
            _, port = await server.tcp()
            for _ in range(20):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"half a mess")
                writer.transport.abort()
            line = await open_line(f"tcp 127.0.0.1:{port}")
            assert await ask(line, b"alive?") == b"ALIVE?"
            await line.close()

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["tcp", "pty"])
def test_a_fault_in_one_machine_ends_only_its_own_conversation(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with Server(ToyServer) as server:
            if kind == "tcp":
                spec = f"tcp 127.0.0.1:{(await server.tcp())[1]}"
            else:
                spec = f"serial {await server.pty()}"
            line = await open_line(spec)
            await line.send(b"crash\n")
            if kind == "tcp":
                with pytest.raises(PortClosed):
                    await line.receive(None)
                await line.close()
                line = await open_line(spec)
            assert await ask(line, b"alive?") == b"ALIVE?"
            await line.close()

    asyncio.run(main())
    assert "ZeroDivisionError" in caplog.text


def test_a_pty_has_a_stable_name_and_all_is_gone_after_the_end(tmp_path: Path) -> None:
    link = tmp_path / "meter0"
    link.symlink_to("/dev/pts/an-older-one")

    async def main() -> str:
        async with Server(ToyServer) as server:
            path = await server.pty(link)
            assert os.readlink(link) == path
            for _ in range(2):
                line = await open_line(f"serial {link}")
                assert await ask(line, b"x") == b"X"
                await line.close()
            return path

    path = asyncio.run(main())
    assert not link.is_symlink()
    assert not os.path.exists(path)


def test_a_link_that_would_hide_a_file_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "data"
    place.write_bytes(b"precious")

    async def main() -> None:
        async with Server(ToyServer) as server:
            with pytest.raises(PortClosed):
                await server.pty(place)

    asyncio.run(main())
    assert place.read_bytes() == b"precious"


def test_a_taken_port_is_refused_with_a_hint() -> None:
    async def main() -> None:
        async with Server(ToyServer) as server:
            _, port = await server.tcp()
            with pytest.raises(PortClosed) as caught:
                await server.tcp("127.0.0.1", port)
            assert "0 for any free one" in caught.value.hint

    asyncio.run(main())


def test_a_pty_nobody_reads_does_not_stop_the_device() -> None:
    async def main() -> None:
        line = PtyLine()
        await line.send(bytes(200_000))
        assert not line.can_set_baud
        await line.set_baud(300)
        await line.close()
        with pytest.raises(PortClosed):
            await line.receive(None)
        with pytest.raises(PortClosed):
            await line.send(b"x")

    run_virtual(main())


def test_the_pace_of_a_uart_can_be_emulated() -> None:
    async def main() -> None:
        near, far = line_pair(1_000_000_000)
        clock = asyncio.get_running_loop().time
        paced = PacedLine(far, 300)
        assert (paced.name, paced.can_set_baud) == ("far end", True)
        serving = asyncio.create_task(Driver(paced, ToyServer(), clock).run())
        assert await ask(near, b"12345678901234567890123456789") == b"12345678901234567890123456789"
        assert clock() == pytest.approx(2.0)
        await paced.set_baud(600)
        near.baud = 600
        serving.cancel()
        await paced.close()

    run_virtual(main())

    async def real() -> None:
        async with Server(ToyServer, baud=115200) as server:
            _, port = await server.tcp()
            line = await open_line(f"tcp 127.0.0.1:{port}")
            assert await ask(line, b"x") == b"X"
            await line.close()

    asyncio.run(real())


def test_faults_and_taps_can_be_put_around_served_lines() -> None:
    async def main() -> None:
        seen: list[tuple[str, bytes]] = []
        rng = random.Random(3)
        async with Server(
            ToyServer,
            wrap=lambda line: FaultyLine(line, Faults(), Faults(echo=True), rng),
            tap=lambda _time, direction, data: seen.append((direction, data)),
            on_event=lambda _machine, event: events.append(event),
        ) as server:
            events: list[Any] = []
            _, port = await server.tcp()
            line = await open_line(f"tcp 127.0.0.1:{port}")
            await line.send(b"echo\n")
            came = b""
            while len(came) < 10:
                came += await line.receive(None)
            assert came == b"echo\nECHO\n"
            await line.close()
        assert seen == [("in", b"echo\n"), ("out", b"ECHO\n")]
        assert events == [Served(b"echo")]

    asyncio.run(main())
