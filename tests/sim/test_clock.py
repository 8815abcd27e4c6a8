"""The virtual loop: asyncio's order, other seconds."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from datetime import UTC, datetime, timedelta

import pytest

from osgp.sim.clock import Clock, VirtualLoop, parse_speed, run_virtual
from osgp.wire.errors import ConfigError, LocalProtocolError

WEEK_S = 7 * 86400


def test_a_week_of_timers_passes_without_waiting() -> None:
    async def meter(period_s: float) -> int:
        ticks = 0
        while asyncio.get_running_loop().time() < WEEK_S:
            await asyncio.sleep(period_s)
            ticks += 1
        return ticks

    async def street() -> tuple[list[int], float]:
        return await asyncio.gather(meter(900), meter(3600), meter(86400)), asyncio.get_running_loop().time()

    ticks, ended = run_virtual(street())
    assert ticks == [WEEK_S // 900, WEEK_S // 3600, 7]
    assert ended == WEEK_S


def ordering(loop: asyncio.AbstractEventLoop) -> list[str]:
    """Many timers, many of them for the very same moment, set in an order drawn from a seed."""
    seen: list[str] = []

    async def main() -> None:
        rng = random.Random(5)
        start = loop.time()
        for number in range(200):
            when = start + rng.choice([0.0, 0.001, 0.002, 0.002, 0.003])
            loop.call_at(when, seen.append, f"{number}")
        loop.call_soon(seen.append, "soon")
        await asyncio.sleep(0.01)

    loop.run_until_complete(main())
    loop.close()
    return seen


def test_equal_times_keep_the_order_of_asyncio() -> None:
    assert ordering(VirtualLoop("max")) == ordering(asyncio.SelectorEventLoop())


def test_cancelled_timers_and_tasks_do_not_run() -> None:
    seen: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(5, seen.append, "timer").cancel()

        async def sleeper() -> None:
            try:
                await asyncio.sleep(100)
            finally:
                seen.append(f"cleaned at {loop.time():g}")

        task = asyncio.create_task(sleeper())
        await asyncio.sleep(10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run_virtual(main())
    assert seen == ["cleaned at 10"]


def test_exceptions_come_out_and_tasks_left_behind_are_cancelled() -> None:
    cancelled: list[str] = []

    async def main() -> None:
        async def background() -> None:
            try:
                await asyncio.sleep(1e6)
            except asyncio.CancelledError:
                cancelled.append("background")
                raise

        task = asyncio.create_task(background())
        await asyncio.sleep(1)
        assert not task.done()
        raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        run_virtual(main())
    assert cancelled == ["background"]


def test_timeout_and_wait_for_count_virtual_seconds() -> None:
    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        marks = []
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await asyncio.sleep(31)
        marks.append(loop.time())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 12)
        marks.append(loop.time())
        async with asyncio.timeout(10):
            await asyncio.sleep(9)
        marks.append(loop.time())
        return marks

    assert run_virtual(main()) == [30, 42, 51]


def test_nested_tasks_share_one_time() -> None:
    async def main() -> list[tuple[str, float]]:
        loop = asyncio.get_running_loop()
        seen: list[tuple[str, float]] = []

        async def child(name: str, depth: int) -> None:
            await asyncio.sleep(depth)
            seen.append((name, loop.time()))
            if depth < 3:
                async with asyncio.TaskGroup() as group:
                    group.create_task(child(name + "a", depth + 1))
                    group.create_task(child(name + "b", depth + 1))

        await child("", 1)
        return seen

    seen = run_virtual(main())
    assert [when for _, when in seen] == [1, 3, 3, 6, 6, 6, 6]
    assert sorted(name for name, _ in seen) == ["", "a", "aa", "ab", "b", "ba", "bb"]


def test_two_runs_are_the_same_to_the_last_bit() -> None:
    async def main() -> list[tuple[int, float]]:
        rng = random.Random(7)
        queue: asyncio.Queue[int] = asyncio.Queue()
        seen: list[tuple[int, float]] = []

        async def talker(number: int) -> None:
            for _ in range(50):
                await asyncio.sleep(rng.expovariate(0.1))
                await queue.put(number)

        async def listener() -> None:
            for _ in range(500):
                seen.append((await queue.get(), asyncio.get_running_loop().time()))

        await asyncio.gather(listener(), *(talker(number) for number in range(10)))
        return seen

    assert run_virtual(main()) == run_virtual(main())


def test_waiting_for_nothing_is_an_error_and_not_for_ever() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(LocalProtocolError) as caught:
        run_virtual(main())
    assert caught.value.hint


@pytest.mark.parametrize("speed", ["max", 600.0])
def test_sockets_are_served(speed: float) -> None:
    async def main() -> bytes:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readexactly(4))
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.sleep(5)
        writer.write(b"ping")
        answer = await reader.read()
        writer.close()
        server.close()
        return answer

    assert run_virtual(main(), speed=speed) == b"ping"  # type: ignore[arg-type]  # the parameter holds both kinds


def test_a_scaled_clock_stays_in_step_with_the_wall_clock() -> None:
    factor = 3000

    async def main() -> None:
        loop = asyncio.get_running_loop()
        # However long the machine pauses us, a reading lies between the readings around it.
        marks = []
        for _ in range(2):
            marks.append((time.monotonic(), loop.time(), time.monotonic()))
            await asyncio.sleep(60)
        (before, first, after), (before_2, second, after_2) = marks
        assert second - first >= 60
        assert (before_2 - after) * factor - 0.001 <= second - first <= (after_2 - before) * factor + 0.001

    run_virtual(main(), speed=factor)


def test_a_thread_holds_the_clock() -> None:
    async def main() -> tuple[int, float]:
        late = asyncio.create_task(asyncio.sleep(1000))
        one, two = socket.socketpair()
        with one, two:
            one.send(b"x")
            got = await asyncio.to_thread(two.recv, 1)
        now = asyncio.get_running_loop().time()
        late.cancel()
        return len(got), now

    assert run_virtual(main()) == (1, 0)


def test_a_clock_far_from_zero_still_moves() -> None:
    async def main() -> float:
        await asyncio.sleep(2.0**32)
        before = asyncio.get_running_loop().time()
        for _ in range(10):
            await asyncio.sleep(1e-9)
            await asyncio.sleep(0.5)
        return asyncio.get_running_loop().time() - before

    assert run_virtual(main()) == pytest.approx(5, abs=1e-4)


def test_clock_joins_seconds_and_calendar() -> None:
    start = datetime(2025, 3, 30, 0, 30, tzinfo=UTC)

    async def main() -> None:
        clock = Clock.of_loop(start=start)
        await asyncio.sleep(3600)
        assert clock.now() == 3600
        assert clock.utc() == start + timedelta(hours=1)
        assert clock.epoch() == clock.utc().timestamp()
        assert clock.utc_at(10) == start + timedelta(seconds=10)
        assert clock.now_at(start + timedelta(days=1)) == 86400
        assert clock.start == start
        later = Clock.of_loop(start=start)
        assert later.utc() == start

    run_virtual(main())


def test_naive_dates_and_odd_speeds_are_refused() -> None:
    with pytest.raises(ConfigError):
        Clock(lambda: 0.0, datetime(2025, 1, 1))
    with pytest.raises(ConfigError):
        Clock(lambda: 0.0, datetime(2025, 1, 1, tzinfo=UTC)).now_at(datetime(2025, 1, 1))
    for text in ("", "fast", "0", "-1", "nan", "inf"):
        with pytest.raises(ConfigError):
            parse_speed(text)
    assert [parse_speed(text) for text in ("max", "60x", "1", "0.5")] == ["max", 60, 1, 0.5]

    async def nothing() -> None: ...

    with pytest.raises(ConfigError):
        run_virtual(nothing(), speed=0)
