"""Real lines: sockets on 127.0.0.1, real ptys, real RFC 2217 sessions; async and blocking with the same client code."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from osgp.ports.blocking import BlockingTcpLine
from osgp.ports.driver import Driver
from osgp.ports.edge import opening_error
from osgp.ports.lines import OPTICAL_HEAD, Line, LineOptions, LineSpec, open_line
from osgp.ports.serve import Server
from osgp.tables.access import run_sync
from osgp.wire.errors import ConfigError, NoAnswer, PortClosed
from tests.ports.com_port_server import ComPortServer
from tests.ports.toy import Answered, ToyClient, ToyServer


async def ask(line: Line, text: bytes) -> bytes:
    """The client code of all these tests: it does not know whether the line blocks."""
    clock = time.monotonic
    machine = ToyClient()
    machine.ask(text, clock())
    answer = await Driver(line, machine, clock).pump_until(Answered)
    assert isinstance(answer, Answered)
    return answer.text


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# ---- descriptions ----------------------------------------------------------------------------------------------------
def test_a_line_is_described_in_one_line_of_text() -> None:
    spec = LineSpec.parse("serial /dev/ttyUSB0", {"baud": "300", "rts": "on", "dtr": "off", "exclusive": 0})
    assert spec == LineSpec("serial", "/dev/ttyUSB0", LineOptions(baud=300, rts=True, dtr=False, exclusive=False))
    assert LineSpec.parse("tcp [::1]:7701").host_port == ("::1", 7701)
    assert LineSpec.parse("rfc2217 meter.lan:2217").name == "rfc2217 meter.lan:2217"
    assert LineOptions.of(OPTICAL_HEAD) == LineOptions(rts=True, dtr=False)


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("", {}),
        ("usb /dev/ttyUSB0", {}),
        ("tcp 127.0.0.1", {}),
        ("tcp 127.0.0.1:0", {}),
        ("tcp 127.0.0.1:70000", {}),
        ("rfc2217 :2217", {}),
        ("serial /dev/ttyUSB0", {"baud": "fast"}),
        ("serial /dev/ttyUSB0", {"baud": -1}),
        ("serial /dev/ttyUSB0", {"rts": "perhaps"}),
        ("serial /dev/ttyUSB0", {"exclusive": None}),
        ("serial /dev/ttyUSB0", {"parity": "E"}),
        ("tcp 127.0.0.1:1", {"connect_timeout_s": 0}),
    ],
)
def test_a_wrong_description_is_refused_with_a_hint(text: str, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        LineSpec.parse(text, options)
    assert caught.value.hint


# ---- conversations ---------------------------------------------------------------------------------------------------
def test_tcp_async() -> None:
    async def main() -> None:
        async with Server(ToyServer) as server:
            _, port = await server.tcp()
            line = await open_line(f"tcp 127.0.0.1:{port}")
            assert isinstance(line, Line)
            assert await ask(line, b"hello") == b"HELLO"
            assert await line.receive(0) == b""
            assert not line.can_set_baud
            await line.set_baud(19200)
            await line.close()
            await line.close()
            with pytest.raises(PortClosed):
                await line.send(b"x")

    asyncio.run(main())


def test_tcp_blocking(beside: Any) -> None:
    server = Server(ToyServer)
    _, port = beside(server.tcp())
    line = run_sync(open_line(f"tcp 127.0.0.1:{port}", blocking=True))
    assert isinstance(line, Line)
    assert run_sync(ask(line, b"hello")) == b"HELLO"
    assert run_sync(line.receive(0)) == b""
    assert run_sync(line.receive(0.001)) == b""
    assert not line.can_set_baud
    run_sync(line.set_baud(19200))
    run_sync(line.close())
    with pytest.raises(PortClosed):
        run_sync(line.send(b"x"))
    beside(server.close())


def test_pty_async_changes_its_rate_and_keeps_working() -> None:
    async def main() -> None:
        async with Server(ToyServer) as server:
            path = await server.pty()
            line = await open_line(f"serial {path}", options=OPTICAL_HEAD)
            assert line.can_set_baud
            assert await ask(line, b"one") == b"ONE"
            await line.set_baud(19200)
            assert await ask(line, b"\xee\x00\xff\x11\x13") == b"\xee\x00\xff\x11\x13"
            await line.close()
            again = await open_line(f"serial {path}")
            assert await ask(again, b"two") == b"TWO"
            await again.close()

    asyncio.run(main())


def test_pty_blocking_changes_its_rate_and_keeps_working(beside: Any) -> None:
    server = Server(ToyServer)
    path = beside(server.pty())
    line = run_sync(open_line(f"serial {path}", blocking=True, options=OPTICAL_HEAD))
    assert run_sync(ask(line, b"one")) == b"ONE"
    run_sync(line.set_baud(19200))
    assert run_sync(ask(line, b"\xee\x00\xff\x11\x13")) == b"\xee\x00\xff\x11\x13"
    assert run_sync(line.receive(0.001)) == b""
    run_sync(line.close())
    with pytest.raises(PortClosed):
        run_sync(line.receive(0))
    beside(server.close())


def test_rfc2217_async_sets_the_far_port_and_carries_every_byte() -> None:
    every = bytes(set(range(256)) - {10} - set(range(97, 123)) - set(range(65, 91)))

    async def main() -> None:
        server = ComPortServer()
        port = await server.start()
        line = await open_line(f"rfc2217 127.0.0.1:{port}", options={"baud": 300, **OPTICAL_HEAD})
        assert server.bauds == [300]
        assert server.settings == {"size": 8, "parity": 1, "stop": 1}
        assert {9, 11} <= set(server.controls)  # DTR off, RTS on
        assert await ask(line, every) == every
        await line.set_baud(19200)
        assert server.bauds[-1] == 19200
        assert await ask(line, b"faster") == b"FASTER"
        await line.close()
        await server.stop()

    asyncio.run(main())


def test_rfc2217_blocking_sets_the_far_port_and_carries_every_byte(beside: Any) -> None:
    every = bytes(set(range(256)) - {10} - set(range(97, 123)) - set(range(65, 91)))
    server = ComPortServer()
    port = beside(server.start())
    line = run_sync(open_line(f"rfc2217 127.0.0.1:{port}", blocking=True, options={"baud": 300, **OPTICAL_HEAD}))
    assert server.bauds[0] == 300
    assert server.settings == {"size": 8, "parity": 1, "stop": 1}
    assert {9, 11} <= set(server.controls)
    assert run_sync(ask(line, every)) == every
    run_sync(line.set_baud(19200))
    assert server.bauds[-1] == 19200
    assert run_sync(ask(line, b"faster")) == b"FASTER"
    run_sync(line.close())
    beside(server.stop())


# ---- power cuts ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["tcp", "rfc2217"])
def test_a_server_that_loses_its_power_gives_port_closed_and_can_be_opened_again(kind: str) -> None:
    async def main() -> None:
        port = free_port()
        for text in (b"before", b"after"):
            server: Any = Server(ToyServer) if kind == "tcp" else ComPortServer()
            await (server.tcp("127.0.0.1", port) if kind == "tcp" else server.start(port))
            line = await open_line(f"{kind} 127.0.0.1:{port}")
            assert await ask(line, text) == text.upper()
            waiting = asyncio.create_task(line.receive(None))
            await asyncio.sleep(0)
            await (server.close() if kind == "tcp" else server.stop())
            with pytest.raises(PortClosed):
                await waiting
            with pytest.raises(PortClosed):
                await line.send(b"anybody?\n")
            await line.close()
            with pytest.raises(PortClosed, match="refused") as caught:
                await open_line(f"{kind} 127.0.0.1:{port}")
            assert "serial server" in caught.value.hint

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["tcp", "rfc2217"])
def test_the_same_power_cut_on_a_blocking_line(kind: str, beside: Any) -> None:
    port = free_port()
    for text in (b"before", b"after"):
        server: Any = Server(ToyServer) if kind == "tcp" else ComPortServer()
        beside(server.tcp("127.0.0.1", port) if kind == "tcp" else server.start(port))
        line = run_sync(open_line(f"{kind} 127.0.0.1:{port}", blocking=True))
        assert run_sync(ask(line, text)) == text.upper()
        beside(server.close() if kind == "tcp" else server.stop())
        with pytest.raises(PortClosed):
            run_sync(line.receive(None))
        run_sync(line.close())
        with pytest.raises(PortClosed, match="refused"):
            run_sync(open_line(f"{kind} 127.0.0.1:{port}", blocking=True))


@pytest.mark.parametrize("blocking", [False, True])
def test_a_pty_whose_device_goes_away_gives_port_closed(blocking: bool, beside: Any) -> None:
    server = Server(ToyServer)
    path = beside(server.pty())

    async def main() -> None:
        line = await open_line(f"serial {path}", blocking=blocking)
        assert await ask(line, b"there?") == b"THERE?"
        beside(server.close())
        with pytest.raises(PortClosed):
            await line.receive(None)
        await line.close()
        with pytest.raises(PortClosed, match="no such device"):
            await open_line(f"serial {path}", blocking=blocking)

    asyncio.run(main())


def test_a_reset_connection_is_port_closed() -> None:
    ours, theirs = socket.socketpair()
    line = BlockingTcpLine("pair", ours)
    theirs.close()
    with pytest.raises(PortClosed):
        run_sync(line.send(b"x"))
    run_sync(line.close())


def test_the_networks_own_time_out_is_not_taken_for_silence() -> None:
    class Dead:
        def settimeout(self, _limit: float | None) -> None:
            pass

        def recv(self, _size: int) -> bytes:
            raise TimeoutError(errno.ETIMEDOUT, "the far end does not acknowledge")

    line = BlockingTcpLine("dead", Dead())  # type: ignore[arg-type]  # the two methods that receive uses
    with pytest.raises(PortClosed):
        run_sync(line.receive(1.0))


# ---- refusals --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("blocking", [False, True])
def test_a_missing_device_names_the_ports_there_are(blocking: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("osgp.ports.edge.candidates", lambda: ["/dev/ttyUSB7"])

    async def main() -> None:
        with pytest.raises(PortClosed, match="no such device") as caught:
            await open_line("serial /dev/not-there", blocking=blocking)
        assert "/dev/ttyUSB7" in caught.value.hint

    asyncio.run(main())


@pytest.mark.parametrize("blocking", [False, True])
def test_a_file_is_not_a_serial_port(blocking: bool, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"")

    async def main() -> None:
        with pytest.raises(ConfigError, match="not a serial port"):
            await open_line(f"serial {path}", blocking=blocking)

    asyncio.run(main())


@pytest.mark.parametrize("blocking", [False, True])
def test_a_port_in_use_is_refused(blocking: bool, beside: Any) -> None:
    server = Server(ToyServer)
    path = beside(server.pty())

    async def main() -> None:
        first = await open_line(f"serial {path}")
        with pytest.raises(PortClosed, match="in use"):
            await open_line(f"serial {path}", blocking=blocking)
        await first.close()

    asyncio.run(main())
    beside(server.close())


def test_no_permission_names_the_group() -> None:
    error = opening_error("/dev/x", "/dev/not-there", PermissionError(errno.EACCES, "Permission denied"), serial=True)
    assert isinstance(error, ConfigError)
    assert "usermod -aG dialout" in error.hint


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (socket.gaierror(-2, "Name or service not known"), PortClosed),
        (TimeoutError(), NoAnswer),
        (OSError(errno.EHOSTUNREACH, "No route to host"), PortClosed),
        (OSError(errno.EMFILE, "Too many open files"), PortClosed),
    ],
)
def test_network_errors_become_ours_with_a_hint(error: Exception, ours: type[Exception]) -> None:
    mapped = opening_error("tcp x:1", "x:1", error, serial=False)
    assert type(mapped) is ours
    assert mapped.hint


@pytest.mark.parametrize("blocking", [False, True])
def test_a_server_that_is_no_com_port_is_refused_with_advice(blocking: bool, beside: Any) -> None:
    server = ComPortServer(accepts=False)
    port = beside(server.start())

    async def main() -> None:
        with pytest.raises(ConfigError) as caught:
            await open_line(f"rfc2217 127.0.0.1:{port}", blocking=blocking)
        assert "raw TCP" in caught.value.hint

    asyncio.run(main())
    beside(server.stop())


@pytest.mark.parametrize("blocking", [False, True])
def test_a_raw_server_does_not_answer_rfc2217(blocking: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        text = f"rfc2217 127.0.0.1:{silent.getsockname()[1]}"

        async def main() -> None:
            with pytest.raises(NoAnswer) as caught:
                await open_line(text, blocking=blocking, options={"connect_timeout_s": 0.05})
            assert "tcp" in caught.value.hint

        asyncio.run(main())


@pytest.mark.parametrize("blocking", [False, True])
def test_a_server_that_confirms_no_masks_is_named_as_the_likely_cause(blocking: bool, beside: Any) -> None:
    server = ComPortServer(confirms_masks=False)
    port = beside(server.start())

    async def main() -> None:
        with pytest.raises(NoAnswer) as caught:
            await open_line(f"rfc2217 127.0.0.1:{port}", blocking=blocking, options={"connect_timeout_s": 0.2})
        assert "pyserial" in caught.value.hint

    asyncio.run(main())
    beside(server.stop())


def test_without_the_serial_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "serialx", None)
    with pytest.raises(ConfigError) as caught:
        run_sync(open_line("serial /dev/ttyUSB0", blocking=True))
    assert "osgp[serial]" in caught.value.hint


def test_ports_need_no_serial_library_for_tcp() -> None:
    code = "import sys, osgp.ports.blocking, osgp.ports.serve; sys.exit('serialx' in sys.modules)"
    assert os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", code]) == 0
