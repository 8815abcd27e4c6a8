"""``osgp.open`` and ``osgp.open_sync``: addresses, keys, lines that go away, cancellation, and the first value in three lines."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

import osgp
from osgp.c1218.server import OpticalServer, ServerState
from osgp.mep.server import MepServer
from osgp.node.device import Device, SyncDevice
from osgp.node.server import Port
from osgp.ports.lines import Line
from osgp.ports.opening import LineReopened
from osgp.ports.serve import Server
from osgp.sim.clock import VirtualLoop
from osgp.tables.bt.bt23 import BT23
from osgp.tables.bt.bt64 import BT64
from osgp.tables.services import AuthenticationFailed
from osgp.wire.errors import ConfigError, LinkError, LocalProtocolError, NoAnswer, NoKey, PortClosed, SecurityError
from tests.access.doors import mep_server, optical_server, own_loop
from tests.access.world import MAK, MBK, MK, PK, World

OPTIONS: dict[str, dict[str, Any]] = {
    "optical+tcp": {"key": MK},
    "mep+tls+tcp": {"key": MAK, "insecure_lab": True},
    "mep+rc4+tcp": {"key": MAK, "insecure_lab": True, "legacy": True},
}


class Cutter:
    """Cuts the line of the next client that says something, once ``armed`` so many times."""

    def __init__(self) -> None:
        self.armed = 0
        self.cut = 0

    def wrap(self, line: Line) -> Line:
        return _CutLine(line, self)


class _CutLine:
    def __init__(self, line: Line, cutter: Cutter) -> None:
        self._line = line
        self._cutter = cutter
        self.name = line.name
        self.can_set_baud = False
        self.send, self.set_baud, self.close = line.send, line.set_baud, line.close

    async def receive(self, timeout_s: float | None) -> bytes:
        data = await self._line.receive(timeout_s)
        if data and self._cutter.armed:
            self._cutter.armed -= 1
            self._cutter.cut += 1
            await self._line.close()
            raise PortClosed("cut by the test")
        return data


class Site:
    """A world served over TCP on one loop; ``machines`` are those made so far, ``address(scheme)`` leads to them."""

    def __init__(self) -> None:
        self.world = World()
        self.machines: list[Any] = []
        self.cutter = Cutter()
        self.ports: dict[str, int] = {}
        self.servers: list[Server] = []
        self.events: list[Any] = []

    def _make(self, door: str) -> Any:
        port = Port("optical" if door == "optical" else "mep1")
        made = optical_server(self.world, port) if door == "optical" else mep_server(self.world, port)
        self.machines.append(made)
        return made

    async def start(self) -> Site:
        for door in ("optical", "mep"):
            server = Server(lambda door=door: self._make(door), wrap=self.cutter.wrap)  # type: ignore[misc]  # binds the loop's value
            self.servers.append(server)
            _, self.ports[door] = await server.tcp()
        return self

    async def stop(self) -> None:
        for server in self.servers:
            await server.close()

    def address(self, scheme: str) -> str:
        return f"{scheme}://127.0.0.1:{self.ports[scheme.partition('+')[0]]}"

    def open(self, scheme: str, **options: Any) -> Any:
        return osgp.open(self.address(scheme), **{**OPTIONS[scheme], "on_event": self.events.append, **options})


def on_site(test: Callable[[Site], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine beside a server, in time that jumps."""

    async def whole() -> None:
        site = await Site().start()
        try:
            await test(site)
        finally:
            await site.stop()

    loop = VirtualLoop("max")
    try:
        loop.run_until_complete(whole())
    finally:
        loop.close()


@pytest.fixture(params=OPTIONS)
def scheme(request: pytest.FixtureRequest) -> str:
    return request.param  # type: ignore[no-any-return]  # pytest's is untyped


# ---- the first value
def test_five_lines_to_the_first_value_async() -> None:
    async def with_site(site: Site) -> None:
        url = site.address("optical+tcp")

        # import asyncio, osgp
        async def main() -> Any:
            async with osgp.open(url, key=MK) as meter:
                return await meter.get("BT23.tot_data_block.summations[0]")

        assert await main() == site.world.image.get(BT23, "tot_data_block.summations[0]")

    on_site(with_site)


def test_three_lines_to_the_first_value_sync() -> None:
    with own_loop() as beside:
        site = beside(Site().start())
        url = site.address("optical+tcp")
        # import osgp
        with osgp.open_sync(url, key=MK) as meter:
            value = meter.get("BT23.tot_data_block.summations[0]")
        assert value == site.world.image.get(BT23, "tot_data_block.summations[0]")
        beside(site.stop())


def test_both_faces_read_the_same(scheme: str) -> None:
    """The blocking face runs the same coroutines, without any event loop in its thread."""
    with own_loop() as beside:
        site = beside(Site().start())
        options = {**OPTIONS[scheme], "talk_baud": 256000, "packet_size": 1024, "interval_s": 0}
        names = ("BT28.present_values[0:4]", "BT52", "ET03.util_serial_nbr")
        with osgp.open_sync(site.address(scheme), **options) as meter:
            assert isinstance(meter, SyncDevice)
            blocking = meter.get(*names)
            table = meter.bt23
            meter.write("BT54.calendar_id", 513)

        async def read() -> tuple[Any, Any, Any]:
            async with osgp.open(site.address(scheme), **options) as device:
                assert isinstance(device, Device)
                return await device.get(*names), await device.table(BT23), await device.get("BT54.calendar_id")

        assert beside(read()) == (blocking, table, 513)
        beside(site.stop())


# ---- sizes: tables longer than an answer
def test_long_tables_come_in_parts(scheme: str) -> None:
    async def test(site: Site) -> None:
        whole = site.world.image.read(64)
        async with site.open(scheme) as device:
            assert device.size_of(64) is None
            assert await device.raw("BT64") == whole
            assert device.size_of(64) == len(whole)
            assert device.size_of(64 | 4096) == len(whole) + 6
            assert device.size_of(21) == 10
            assert device.size_of(60000) is None
            assert await device.table(BT64) == site.world.image.decode(BT64)

    on_site(test)


def test_what_was_negotiated_is_known() -> None:
    async def test(site: Site) -> None:
        async with site.open("optical+tcp", packet_size=2048, packets=3) as device:
            assert device.access.costs.max_read == 3 * (1024 - 8) - 4

    on_site(test)


# ---- lines that go away
def test_a_read_survives_a_lost_line(scheme: str) -> None:
    async def test(site: Site) -> None:
        async with site.open(scheme) as device:
            before = await device.get("BT52")
            site.cutter.armed = 1
            assert await device.get("BT52") == before
            assert await device.get("ET03.util_serial_nbr")
        assert site.cutter.cut == 1
        assert [event.attempts for event in site.events if isinstance(event, LineReopened)] == [1]

    on_site(test)


def test_a_write_on_a_lost_line_raises_and_is_not_repeated(scheme: str) -> None:
    async def test(site: Site) -> None:
        async with site.open(scheme) as device:
            await device.get("BT52")
            site.cutter.armed = 1
            with pytest.raises(PortClosed):
                await device.access.write_part(54, 0, b"lost")
            assert site.world.writes == []
            await device.access.write_part(54, 0, b"kept")
            assert [data for _, _, data, _ in site.world.writes] == [b"kept"]
        assert site.cutter.cut == 1

    on_site(test)


def test_without_reconnect_a_lost_line_stays_lost(scheme: str) -> None:
    async def test(site: Site) -> None:
        async with site.open(scheme, reconnect=False) as device:
            await device.get("BT52")
            site.cutter.armed = 1
            for _ in range(2):
                with pytest.raises(PortClosed):
                    await device.raw(52)
        assert len(site.machines) == 1

    on_site(test)


def test_a_line_that_goes_away_again_and_again_is_an_error(scheme: str) -> None:
    async def test(site: Site) -> None:
        async with site.open(scheme) as device:
            await device.get("BT52")
            site.cutter.armed = 2
            with pytest.raises(PortClosed):
                await device.raw(52)
            assert await device.raw(52) == site.world.image.read(52)

    on_site(test)


def test_a_server_that_is_gone_is_looked_for_again(scheme: str) -> None:
    async def test(site: Site) -> None:
        async with site.open(scheme) as device:
            await device.get("BT52")
            await site.stop()
            for _ in range(2):
                with pytest.raises(LinkError):
                    await device.raw(52)
            again = Server(lambda: site._make(scheme.partition("+")[0]))
            site.servers.append(again)
            await again.tcp(port=site.ports[scheme.partition("+")[0]])
            assert await device.raw(52) == site.world.image.read(52)

    on_site(test)


# ---- closing and cancelling
async def _until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never happened")


def _idle(site: Site) -> bool:
    """No client holds a port, no session is left behind."""
    machine = site.machines[-1]
    gone = not any(server._tasks for server in site.servers)
    if isinstance(machine, OpticalServer):
        return gone and machine.state is ServerState.BASE
    assert isinstance(machine, MepServer)
    return gone and not machine.tls_up


def test_closing_ends_the_session_and_gives_the_line_back(scheme: str) -> None:
    async def test(site: Site) -> None:
        async with site.open(scheme) as device:
            await device.get("BT52")
        await _until(lambda: _idle(site))
        with pytest.raises(LocalProtocolError):
            await device.raw(52)
        await device.close()

    on_site(test)


def test_an_error_inside_the_block_closes_it_too(scheme: str) -> None:
    async def test(site: Site) -> None:
        async def fail() -> None:
            async with site.open(scheme) as device:
                await device.get("BT52")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail()
        await _until(lambda: _idle(site))

    on_site(test)


def test_opening_that_fails_gives_the_line_back() -> None:
    async def test(site: Site) -> None:
        with pytest.raises(NoKey):
            async with site.open("optical+tcp", key=PK[::-1]):
                raise AssertionError
        await _until(lambda: _idle(site))

    on_site(test)


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 8, 13, 21, 34, 55, 89])
def test_a_cancelled_read_leaves_nothing_behind(scheme: str, steps: int) -> None:
    """Cancelled after a while, wherever it stands: the next request gets its own answer."""

    async def test(site: Site) -> None:
        async with site.open(scheme) as device:
            await device.get("BT52")
            task = asyncio.create_task(device.raw("BT26"))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await device.raw("ET03") == site.world.image.read(2051)
            assert await device.raw("BT26") == site.world.image.read(26)
        await _until(lambda: _idle(site))

    on_site(test)


def test_a_time_out_around_a_read(scheme: str) -> None:
    async def test(site: Site) -> None:
        async def read_on(device: Device) -> None:
            while True:
                await device.raw("BT26")

        async with site.open(scheme) as device:
            await device.get("BT52")
            for wait in (0.001, 0.05, 0.1, 0.3):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(read_on(device), wait)
                assert await device.raw("BT28") == site.world.image.read(28)

    on_site(test)


def test_a_cancelled_close_still_closes(scheme: str) -> None:
    async def test(site: Site) -> None:
        context = site.open(scheme)
        device = await context.__aenter__()
        await device.get("BT52")
        task = asyncio.create_task(device.close())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await _until(lambda: not any(server._tasks for server in site.servers))
        await context.__aexit__(None, None, None)

    on_site(test)


def test_a_cancelled_opening_gives_the_line_back(scheme: str) -> None:
    async def test(site: Site) -> None:
        async def opened() -> None:
            async with site.open(scheme) as device:
                await device.get("BT52")

        task = asyncio.create_task(opened())
        await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await _until(lambda: not any(server._tasks for server in site.servers))

    on_site(test)


def test_many_tasks_share_one_device(scheme: str) -> None:
    async def test(site: Site) -> None:
        async with site.open(scheme) as device:
            numbers = (0, 1, 21, 22, 52, 2051) * 3
            got = await asyncio.gather(*(device.raw(number) for number in numbers))
        assert got == [site.world.image.read(number) for number in numbers]

    on_site(test)


def test_a_task_that_reads_while_another_closes(scheme: str) -> None:
    async def test(site: Site) -> None:
        async with site.open(scheme) as device:
            await device.get("BT52")
            task = asyncio.create_task(device.raw("BT26"))
            await asyncio.sleep(0.03)
        with pytest.raises(osgp.Error):
            await task
        await _until(lambda: not any(server._tasks for server in site.servers))

    on_site(test)


# ---- keys
def test_a_known_default_key_is_refused(scheme: str) -> None:
    default = b"\x01" * (20 if scheme.startswith("optical") else 16)

    async def test(site: Site) -> None:
        with pytest.raises(SecurityError, match="default") as caught:
            async with site.open(scheme, key=default, insecure_lab=False):
                raise AssertionError
        assert "lab" in caught.value.hint
        assert default.hex() not in str(caught.value) + caught.value.hint
        assert site.machines == []

    on_site(test)


def test_a_laboratory_may_use_default_keys() -> None:
    async def test(site: Site) -> None:
        with pytest.raises(NoKey):  # it is tried, and the meter has another one
            async with site.open("mep+tls+tcp", key=b"\x01" * 16, insecure_lab=True) as device:
                await device.raw(1)

    on_site(test)


@pytest.mark.parametrize(("kind", "key", "code"), [("MBK", MBK, 3), ("mbk", MBK, 3), ("MAK", MAK, 0), ("", MAK, 0)])
def test_the_kind_of_a_mep_key(kind: str, key: bytes, code: int) -> None:
    async def test(site: Site) -> None:
        for scheme in ("mep+tls+tcp", "mep+rc4+tcp"):
            async with site.open(scheme, key=key, key_kind=kind) as device:
                assert await device.raw(1) == site.world.image.read(1)
                if code:
                    with pytest.raises(osgp.Error) as caught:
                        await device.access.write_part(54, 0, b"x")
                    assert getattr(caught.value, "code", None) == code
                else:
                    await device.access.write_part(54, 0, b"x")

    on_site(test)


def test_the_kind_may_stand_in_the_address() -> None:
    async def test(site: Site) -> None:
        options = {**OPTIONS["mep+tls+tcp"], "key": MBK}
        async with osgp.open(site.address("mep+tls+tcp") + "?key_kind=MBK&client_id=7", **options) as device:
            assert await device.raw(1) == site.world.image.read(1)

    on_site(test)


def test_an_unknown_kind_and_a_missing_key() -> None:
    async def test(site: Site) -> None:
        for options in ({"key_kind": "PK"}, {"key": None}, {"key": b"too short"}):
            with pytest.raises(ConfigError) as caught:
                async with site.open("mep+tls+tcp", **options):
                    raise AssertionError
            assert caught.value.hint
        assert site.machines == []

    on_site(test)


def test_keys_out_of_files_and_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mk.txt"
    path.write_text(MK.decode() + "\n")
    path.chmod(0o600)
    monkeypatch.setenv("METER_KEY", MK.hex())

    async def test(site: Site) -> None:
        for source in (f"file:{path}", "env:METER_KEY"):
            async with site.open("optical+tcp", key=source) as device:
                assert await device.raw(1) == site.world.image.read(1)

    on_site(test)


def test_the_wrong_key() -> None:
    async def test(site: Site) -> None:
        for scheme, error in (("optical+tcp", NoKey), ("mep+tls+tcp", NoKey), ("mep+rc4+tcp", AuthenticationFailed)):
            wrong = b"surely not the right" if scheme.startswith("optical") else bytes(range(60, 76))
            with pytest.raises(error) as caught:
                async with site.open(scheme, key=wrong) as device:
                    await device.raw(1)
            assert caught.value.hint

    on_site(test)


def test_without_an_optical_key_only_the_public_tables() -> None:
    async def test(site: Site) -> None:
        async with site.open("optical+tcp", key=None) as device:
            assert await device.raw(1) == site.world.image.read(1)
            with pytest.raises(osgp.Error):
                await device.raw(23)

    on_site(test)


# ---- legacy mode
def test_rc4_mode_must_be_asked_for() -> None:
    async def test(site: Site) -> None:
        with pytest.raises(ConfigError, match="RC4"):
            async with site.open("mep+rc4+tcp", legacy=False):
                raise AssertionError
        with pytest.raises(ConfigError, match="choose one"):
            async with site.open("mep+tls+tcp", legacy=True):
                raise AssertionError
        assert site.machines == []
        async with osgp.open(site.address("mep+tcp"), **OPTIONS["mep+tls+tcp"]) as device:
            assert await device.raw(1)
            assert site.machines[-1].tls_up
        async with osgp.open(site.address("mep+tcp"), **OPTIONS["mep+rc4+tcp"]) as device:
            assert await device.raw(1)
            assert not site.machines[-1].tls_up

    on_site(test)


def test_a_device_that_demands_tls() -> None:
    async def test(site: Site) -> None:
        async with site.open("mep+rc4+tcp") as device:
            await device.raw(1)
            site.machines[-1].demand_tls = True
            with pytest.raises(osgp.Error, match="RC4") as caught:
                await device.raw(1)
            assert "tls" in caught.value.hint

    on_site(test)


# ---- the sequence number
def test_the_sequence_number_is_kept_between_runs(tmp_path: Path) -> None:
    path = tmp_path / "sequence.json"

    async def test(site: Site) -> None:
        meter = mep_server(site.world, Port("mep1"))
        site._make = lambda door: meter  # type: ignore[method-assign]  # one device that remembers
        async with site.open("mep+rc4+tcp", sequence_file=path) as device:
            await device.raw(1)
        first = json.loads(path.read_text())["sequence"]
        assert first == meter.sequence
        refused = meter.refused
        async with site.open("mep+rc4+tcp", sequence_file=path) as device:
            await device.raw(1)
        assert json.loads(path.read_text())["sequence"] == first + 1 == meter.sequence
        assert meter.refused == refused
        for damaged in ("{", "{}", '{"sequence": "x"}', '{"sequence": -5}', '{"sequence": 99999999999}', "[]"):
            path.write_text(damaged)
            async with site.open("mep+rc4+tcp", sequence_file=path) as device:
                assert await device.raw(1) == site.world.image.read(1)

    on_site(test)


def test_a_number_that_cannot_be_kept_is_not_used(tmp_path: Path) -> None:
    async def test(site: Site) -> None:
        async with site.open("mep+rc4+tcp", sequence_file=tmp_path / "nowhere" / "x.json") as device:
            for _ in range(2):
                with pytest.raises(ConfigError, match="sequence"):
                    await device.raw(1)
        assert site.machines[-1].served == site.machines[-1].refused == 0

    on_site(test)


# ---- addresses and options
@pytest.mark.parametrize(
    "option",
    [{"packet_size": "big"}, {"packets": 0}, {"talk_baud": 12345}, {"user_id": 1.5}, {"user": "far too long a name"}],
)
def test_options_that_make_no_sense(option: dict[str, Any]) -> None:
    async def test(site: Site) -> None:
        with pytest.raises(ConfigError):
            async with site.open("optical+tcp", **option):
                raise AssertionError
        await _until(lambda: not any(server._tasks for server in site.servers))

    on_site(test)


def test_nobody_listens() -> None:
    with pytest.raises(PortClosed) as caught, osgp.open_sync("optical+tcp://127.0.0.1:1", key=MK):
        raise AssertionError
    assert caught.value.hint
    with pytest.raises(LinkError), osgp.open_sync("mep:///dev/no-such-port", key=MAK, insecure_lab=True):
        raise AssertionError


def test_a_line_without_a_meter() -> None:
    """Bytes go in and none come out: ident fails with advice, and the line is given back."""

    async def test(site: Site) -> None:
        ended = asyncio.Event()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while await reader.read(1000):
                pass
            writer.close()
            ended.set()

        listener = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        with pytest.raises(NoAnswer) as caught:
            async with osgp.open(f"optical+tcp://127.0.0.1:{port}", key=MK):
                raise AssertionError
        assert "rotate" in caught.value.hint
        await ended.wait()
        listener.close()

    on_site(test)


# ---- saved devices
def test_a_saved_image_is_a_device(tmp_path: Path) -> None:
    image = World().image
    for name, content in (("plain", image.to_json()), ("nested", {"tables": image.to_json(), "note": "from a test"})):
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(content))
        with osgp.open_sync(f"image:{path}") as device:
            assert device.get("BT23.tot_data_block.summations[0]") == image.get(BT23, "tot_data_block.summations[0]")
            assert device.raw("BT64") == image.read(64)
            device.write("BT54.calendar_id", 77)
            assert device.get("BT54.calendar_id") == 77


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "5", '{"BT23": 5}', '{"tables": []}', '{"XY": "00"}', "[" * 100_000, b"\xff\xfe"]
)
def test_what_is_no_saved_image(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "image.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError), osgp.open_sync(f"image:{path}"):
        raise AssertionError
    with pytest.raises(ConfigError), osgp.open_sync(f"image:{tmp_path / 'nothing.json'}"):
        raise AssertionError
