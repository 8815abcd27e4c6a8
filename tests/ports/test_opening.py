"""``osgp.open`` and ``osgp.open_sync``: addresses, keys, lines that go away, cancellation, and the first value in three lines."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import osgp
from osgp.c1218.server import OpticalServer, ServerState
from osgp.mep.server import MepServer
from osgp.node.device import Device, SyncDevice
from osgp.ports.opening import LineReopened
from osgp.ports.serve import Server
from osgp.tables.bt.bt23 import BT23
from osgp.tables.bt.bt64 import BT64
from osgp.wire.errors import LinkError, LocalProtocolError, NoKey, PortClosed
from tests.access.doors import own_loop
from tests.access.world import MK, PK
from tests.ports.site import OPTIONS, Site, on_site, until


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
        await until(lambda: _idle(site))
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
        await until(lambda: _idle(site))

    on_site(test)


def test_opening_that_fails_gives_the_line_back() -> None:
    async def test(site: Site) -> None:
        with pytest.raises(NoKey):
            async with site.open("optical+tcp", key=PK[::-1]):
                raise AssertionError
        await until(lambda: _idle(site))

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
        await until(lambda: _idle(site))

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
        await until(lambda: not any(server._tasks for server in site.servers))
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
        await until(lambda: not any(server._tasks for server in site.servers))

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
        await until(lambda: not any(server._tasks for server in site.servers))

    on_site(test)
