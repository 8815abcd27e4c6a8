"""The driver: one loop for every machine and line."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from osgp.ports.driver import Driver
from osgp.sim.clock import run_virtual
from osgp.sim.line import Faults, LoopbackLine, SimLine, StepClock, line_pair
from osgp.tables.access import run_sync
from osgp.wire.errors import LocalProtocolError, NoAnswer, PortClosed
from tests.ports.toy import Answered, BaudChanged, GaveUp, Served, ToyClient, ToyServer


def test_the_same_client_code_runs_in_the_loop_and_without_it() -> None:
    async def ask_twice(driver: Driver, machine: ToyClient) -> list[bytes]:
        answers = []
        for text in (b"one", b"two"):
            machine.ask(text, driver.clock())
            answers.append((await driver.pump_until(Answered)).text)
        return answers

    async def in_the_loop() -> tuple[list[bytes], float]:
        near, far = line_pair(300)
        clock = asyncio.get_running_loop().time
        serving = asyncio.create_task(Driver(far, ToyServer(), clock).run())
        machine = ToyClient()
        answers = await ask_twice(Driver(near, machine, clock), machine)
        await near.close()
        with pytest.raises(PortClosed):
            await serving
        return answers, clock()

    answers, took_s = run_virtual(in_the_loop())
    clock = StepClock()
    machine = ToyClient()
    assert run_sync(ask_twice(Driver(LoopbackLine(ToyServer(), clock, baud=300), machine, clock), machine)) == answers
    assert answers == [b"ONE", b"TWO"]
    assert took_s == pytest.approx(16 * 10 / 300)
    assert clock.now == pytest.approx(took_s)


def test_silence_wakes_the_machine_until_it_gives_up() -> None:
    clock = StepClock()
    machine = ToyClient()
    line = LoopbackLine(ToyServer(), clock, there=Faults(drop=1.0))
    machine.ask(b"anybody", clock())
    assert run_sync(Driver(line, machine, clock).pump_until((Answered, GaveUp))) == GaveUp(3)
    assert clock.now == pytest.approx(6.0)


def test_a_time_limit_of_the_caller_is_no_answer() -> None:
    clock = StepClock()
    line = LoopbackLine(ToyServer(), clock)
    with pytest.raises(NoAnswer, match="within 5 s"):
        run_sync(Driver(line, ToyClient(), clock).pump_until(Answered, timeout_s=5))
    assert clock.now == 5.0


def test_events_come_once_in_order_and_those_after_the_wanted_one_wait() -> None:
    clock = StepClock()
    seen: list[Any] = []
    machine = ToyClient()
    machine.happened = [Served(b"1"), Served(b"2"), Served(b"3")]
    driver = Driver(LoopbackLine(ToyServer(), clock), machine, clock, on_event=seen.append)
    assert run_sync(driver.pump_until(lambda event: event.text == b"2")) == Served(b"2")
    assert run_sync(driver.pump_until(Served)) == Served(b"3")
    assert seen == [Served(b"1"), Served(b"2"), Served(b"3")]


def test_the_tap_sees_both_directions_with_the_time() -> None:
    clock = StepClock(100.0)
    seen: list[tuple[float, str, bytes]] = []
    machine = ToyClient()
    machine.ask(b"hi", clock())
    driver = Driver(LoopbackLine(ToyServer(), clock, baud=40), machine, clock, tap=lambda *piece: seen.append(piece))
    run_sync(driver.pump_until(Answered))
    assert seen == [(100.0, "out", b"hi\n"), (101.5, "in", b"HI\n")]


def test_a_change_of_rate_reaches_both_ends() -> None:
    async def main() -> None:
        near, far = line_pair(9600)
        clock = asyncio.get_running_loop().time
        serving = asyncio.create_task(Driver(far, ToyServer(), clock).run())
        machine = ToyClient()
        driver = Driver(near, machine, clock)
        for text in (b"baud 19200", b"as fast as this"):
            machine.ask(text, clock())
            assert (await driver.pump_until(Answered)).text == text.upper()
            await driver.flush()
        assert near.baud == far.baud == 19200
        assert machine.tries == 1
        await near.close()
        with pytest.raises(PortClosed):
            await serving

    run_virtual(main())
    clock = StepClock()
    line = LoopbackLine(ToyServer(), clock)
    machine = ToyClient()
    driver = Driver(line, machine, clock)
    for text in (b"baud 300", b"slow"):
        machine.ask(text, clock())
        run_sync(driver.pump_until(Answered))
    assert line.baud == line.server_baud == 300


def test_a_machine_that_spins_is_stopped() -> None:
    class Spinner(ToyServer):
        def deadline(self) -> float | None:
            return 0.0

    clock = StepClock(1.0)
    with pytest.raises(LocalProtocolError, match="Spinner"):
        run_sync(Driver(LoopbackLine(ToyServer(), clock), Spinner(), clock).run())
    with pytest.raises(LocalProtocolError, match="Spinner"):
        run_sync(Driver(LoopbackLine(Spinner(), clock), ToyClient(), clock).run())


def test_cancelling_a_wait_loses_no_byte() -> None:
    async def main() -> None:
        near, far = line_pair()
        clock = asyncio.get_running_loop().time
        machine = ToyServer()
        driver = Driver(far, machine, clock)
        for byte in b"hello\n":
            waiting = asyncio.create_task(driver.pump_until(Served))
            await near.send(bytes([byte]))
            await asyncio.sleep(0.0005)
            if byte != 10:
                waiting.cancel()
        assert (await waiting).text == b"hello"

    run_virtual(main())


def test_a_bad_line_is_mastered_by_retries() -> None:
    async def main() -> int:
        rng = random.Random(7)
        bad = Faults(drop=0.01, damage=0.01, noise=0.01)
        near, far = line_pair(rng=rng, there=bad, back=bad)
        clock = asyncio.get_running_loop().time
        serving = asyncio.create_task(Driver(far, ToyServer(), clock).run())
        machine = ToyClient()
        driver = Driver(near, machine, clock)
        answered = 0
        for number in range(200):
            machine.ask(b"%d?" % number, clock())
            answered += isinstance(await driver.pump_until((Answered, GaveUp)), Answered)
        await near.close()
        with pytest.raises(PortClosed):
            await serving
        return answered

    assert run_virtual(main()) >= 190


def test_events_that_only_look_like_a_change_of_rate_change_nothing() -> None:
    class Negotiated:
        baud = 6  # a code, not a rate

    clock = StepClock()
    machine = ToyClient()
    machine.happened = [Negotiated(), BaudChanged(19200)]
    line = LoopbackLine(ToyServer(), clock)
    run_sync(Driver(line, machine, clock).pump_until(Negotiated))
    assert line.baud == 19200
    assert isinstance(line_pair()[0], SimLine)
