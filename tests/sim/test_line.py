"""Lines in memory and their faults: exact in time, the same every time."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp.ports.driver import Driver
from osgp.ports.lines import Line
from osgp.sim.clock import run_virtual
from osgp.sim.line import Faults, FaultyLine, FaultyWire, LoopbackLine, SimLine, StepClock, line_pair
from osgp.tables.access import run_sync
from osgp.wire.errors import ConfigError, LocalProtocolError, PortClosed
from tests.ports.toy import Answered, GaveUp, ToyClient, ToyServer


def carried(faults: Faults, data: bytes, seed: int = 1) -> bytes:
    return b"".join(piece for _, piece in FaultyWire(faults, random.Random(seed)).carry(data))


# ---- the wire --------------------------------------------------------------------------------------------------------
@given(st.binary())
def test_a_wire_without_faults_changes_nothing(data: bytes) -> None:
    assert carried(Faults(), data) == data


@given(st.binary(min_size=1))
def test_each_fault_does_what_its_name_says(data: bytes) -> None:
    assert carried(Faults(drop=1), data) == b""
    assert carried(Faults(double=1), data) == bytes(byte for one in data for byte in (one, one))
    assert carried(Faults(noise=1), data)[1::2] == data
    damaged = carried(Faults(damage=1), data)
    assert all((before ^ after).bit_count() == 1 for before, after in zip(data, damaged, strict=True))
    late = FaultyWire(Faults(delay=1, delay_s=0.5), random.Random(1)).carry(data)
    assert late == [((place + 1) * 0.5, bytes([byte])) for place, byte in enumerate(data)]


@given(st.binary(max_size=40), st.integers(0, 40), st.integers(1, 7))
def test_a_cut_wire_passes_exactly_so_many_bytes(data: bytes, cut_after: int, step: int) -> None:
    wire = FaultyWire(Faults(cut_after=cut_after), random.Random(1))
    passed = b""
    for start in range(0, len(data), step):
        passed += b"".join(piece for _, piece in wire.carry(data[start : start + step]))
    assert passed == data[:cut_after]
    assert wire.is_cut == (len(data) >= cut_after)


@given(st.integers(), st.binary(max_size=200))
def test_the_same_seed_gives_the_same_faults(seed: int, data: bytes) -> None:
    faults = Faults(drop=0.1, double=0.1, damage=0.1, noise=0.1, delay=0.1)
    first, second = (FaultyWire(faults, random.Random(seed)).carry(data) for _ in range(2))
    assert first == second


def test_faults_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError):
        Faults(drop=1.5)
    with pytest.raises(ConfigError):
        Faults(delay_s=-1)


# ---- the pair --------------------------------------------------------------------------------------------------------
def test_bytes_take_the_time_of_a_uart_and_queue_behind_each_other() -> None:
    async def main() -> None:
        near, far = line_pair(9600)
        assert isinstance(near, Line)
        loop = asyncio.get_running_loop()
        await near.send(bytes(96))
        await near.send(b"end")
        assert await far.receive(None) == bytes(96)
        assert loop.time() == pytest.approx(0.1)
        assert await far.receive(0.001) == b""
        assert await far.receive(1) == b"end"
        assert loop.time() == pytest.approx(99 * 10 / 9600)
        assert await far.receive(0) == b""

    run_virtual(main())


def test_both_directions_are_free_of_each_other() -> None:
    async def main() -> None:
        near, far = line_pair(300)
        await near.send(bytes(30))
        await far.send(b"ack")
        assert await near.receive(None) == b"ack"
        assert asyncio.get_running_loop().time() == pytest.approx(0.1)
        assert await far.receive(None) == bytes(30)

    run_virtual(main())


def test_ends_at_different_rates_hear_garbage() -> None:
    async def main() -> None:
        near, far = line_pair(9600)
        await near.send(b"long enough")
        await near.set_baud(19200)
        assert asyncio.get_running_loop().time() == pytest.approx(11 * 10 / 9600)
        assert await far.receive(None) == b"long enough"
        await near.send(b"garbage")
        heard = await far.receive(None)
        assert len(heard) == 7
        assert all(one != other for one, other in zip(heard, b"garbage", strict=True))
        await far.set_baud(19200)
        await near.send(b"clear")
        assert await far.receive(None) == b"clear"

    run_virtual(main())


def test_an_echoing_head_returns_what_was_sent() -> None:
    async def main() -> None:
        near, far = line_pair(there=Faults(echo=True))
        await near.send(b"hello")
        assert await far.receive(None) == b"hello"
        assert await near.receive(0) == b"hello"
        await far.send(b"answer")
        assert await near.receive(None) == b"answer"
        assert await far.receive(0) == b""

    run_virtual(main())


def test_a_cut_or_closed_line_says_so_at_both_ends_after_what_had_arrived() -> None:
    async def main() -> None:
        near, far = line_pair(there=Faults(cut_after=3))
        await near.send(b"abcdef")
        assert await far.receive(None) == b"abc"
        for end in (near, far):
            with pytest.raises(PortClosed):
                await end.receive(None)
            with pytest.raises(PortClosed):
                await end.send(b"x")
        near, far = line_pair()
        waiting = asyncio.create_task(far.receive(None))
        await asyncio.sleep(0)
        await near.close()
        await near.close()
        with pytest.raises(PortClosed):
            await waiting

    run_virtual(main())


def test_late_bytes_keep_their_order() -> None:
    async def main() -> None:
        near, far = line_pair(rng=random.Random(5), there=Faults(delay=0.2, delay_s=3.0))
        text = bytes(range(100))
        for start in range(0, 100, 10):
            await near.send(text[start : start + 10])
        heard = b""
        while len(heard) < 100:
            heard += await far.receive(None)
        assert heard == text
        assert asyncio.get_running_loop().time() > 3.0

    run_virtual(main())


def test_a_receiver_that_sleeps_loses_bytes_but_no_memory() -> None:
    async def main() -> None:
        near, far = line_pair(1_000_000)
        for _ in range(100):
            await near.send(bytes(1000))
        await asyncio.sleep(10)
        assert len(await far.receive(None)) == 65536

    run_virtual(main())


# ---- the loopback ----------------------------------------------------------------------------------------------------
def test_a_loopback_needs_no_loop_and_keeps_the_same_time() -> None:
    clock = StepClock(5.0)
    line = LoopbackLine(ToyServer(), clock, baud=300)
    assert isinstance(line, Line)
    run_sync(line.send(b"hello\n"))
    assert clock() == 5.0
    assert run_sync(line.receive(0.1)) == b""
    assert clock() == pytest.approx(5.1)
    assert run_sync(line.receive(10)) == b"HELLO\n"
    assert clock() == pytest.approx(5.4)
    assert run_sync(line.receive(10)) == b""
    assert clock() == pytest.approx(15.4)


def test_a_loopback_that_would_wait_for_ever_says_so() -> None:
    with pytest.raises(LocalProtocolError, match="for ever"):
        run_sync(LoopbackLine(ToyServer(), StepClock()).receive(None))


def test_the_server_behind_a_loopback_is_woken_in_time() -> None:
    server = ToyClient()  # as the far end: it speaks by itself, three times
    server.ask(b"you there", 0.0)
    seen: list[object] = []
    clock = StepClock()
    line = LoopbackLine(server, clock, baud=1_000_000, on_event=seen.append)
    for moment in (0.0, 2.0, 4.0):
        assert run_sync(line.receive(None)) == b"you there\n"
        assert clock() == pytest.approx(moment, abs=0.001)
    assert run_sync(line.receive(10)) == b""
    assert seen == [GaveUp(3)]


def test_a_loopback_has_all_the_faults() -> None:
    clock = StepClock()
    line = LoopbackLine(ToyServer(), clock, there=Faults(echo=True))
    run_sync(line.send(b"hello\n"))
    assert run_sync(line.receive(1)) == b"hello\n"
    assert run_sync(line.receive(1)) == b"HELLO\n"

    line = LoopbackLine(ToyServer(), clock, back=Faults(delay=1, delay_s=1.0))
    run_sync(line.send(b"a\n"))
    assert run_sync(line.receive(None)) == b"A"
    assert run_sync(line.receive(None)) == b"\n"

    line = LoopbackLine(ToyServer(), clock)
    run_sync(line.set_baud(300))
    run_sync(line.send(b"garbled"))
    assert run_sync(line.receive(1)) == b""
    assert b"garbled" not in bytes(line.server.buffer)  # type: ignore[attr-defined]  # the toy's own buffer

    line = LoopbackLine(ToyServer(), clock, back=Faults(cut_after=3))
    run_sync(line.send(b"hello\n"))
    assert run_sync(line.receive(1)) == b"HEL"
    with pytest.raises(PortClosed):
        run_sync(line.receive(1))
    with pytest.raises(PortClosed):
        run_sync(line.send(b"x"))
    line = LoopbackLine(ToyServer(), clock)
    run_sync(line.close())
    with pytest.raises(PortClosed):
        run_sync(line.send(b"x"))


@given(st.integers(0, 2**32))
def test_a_conversation_over_a_bad_loopback_ends_and_repeats_from_its_seed(seed: int) -> None:
    def talk() -> tuple[list[object], float]:
        bad = Faults(drop=0.05, double=0.05, damage=0.05, noise=0.05, delay=0.02)
        clock = StepClock()
        line = LoopbackLine(ToyServer(), clock, there=bad, back=bad, rng=random.Random(seed))
        machine = ToyClient()
        driver = Driver(line, machine, clock)
        ends = []
        for number in range(5):
            machine.ask(b"%d" % number, clock())
            ends.append(run_sync(driver.pump_until((Answered, GaveUp))))
        return ends, clock()

    assert talk() == talk()


# ---- faults around another line --------------------------------------------------------------------------------------
def test_faults_go_around_any_line() -> None:
    async def main() -> None:
        near, far = line_pair()
        bad = FaultyLine(far, Faults(double=1), Faults(drop=1), random.Random(1))
        assert (bad.name, bad.can_set_baud) == ("far end", True)
        await bad.send(b"ab")
        assert await near.receive(None) == b"aabb"
        await near.send(b"lost")
        assert await bad.receive(1.0) == b""
        assert asyncio.get_running_loop().time() == pytest.approx(1.0 + 40 / 9600)
        await bad.set_baud(300)
        assert far.baud == 300
        await bad.close()
        with pytest.raises(PortClosed):
            await near.receive(None)

    run_virtual(main())


@pytest.mark.parametrize("direction", ["out", "into"])
def test_a_simulated_cut_closes_the_line_around_which_it_is(direction: str) -> None:
    async def main() -> None:
        near, far = line_pair()
        cut, fine = Faults(cut_after=2), Faults(delay=1, delay_s=0.1)
        bad = FaultyLine(far, *((cut, fine) if direction == "out" else (fine, cut)), random.Random(1))
        if direction == "out":
            with pytest.raises(PortClosed):
                await bad.send(b"abc")
        else:
            await near.send(b"abc")
            assert await bad.receive(None) == b"ab"
            await near.send(b"d")
            with pytest.raises(PortClosed):
                await bad.receive(None)
        if direction == "out":
            assert await near.receive(None) == b"ab"
        with pytest.raises(PortClosed):
            await near.receive(None)

    run_virtual(main())


def test_ends_are_called_as_wished() -> None:
    assert [end.name for end in line_pair(names=("reader", "meter"))] == ["reader", "meter"]
    assert all(isinstance(end, SimLine) and end.can_set_baud for end in line_pair())
