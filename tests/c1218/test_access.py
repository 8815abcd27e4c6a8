"""Tables and procedures through the door, and what they cost."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from osgp.c1218.access import OpticalTables, optical_costs
from osgp.c1218.events import AnswerReceived, RequestFailed
from osgp.c1218.server import ServerOptions
from osgp.c1218.session import PossiblyExecuted
from osgp.tables.access import TableAccess, run_sync
from osgp.tables.services import (
    FullRead,
    FullWrite,
    PartialWrite,
    Request,
    ResponseCode,
    decode_request,
    encode_response,
)
from osgp.wire.errors import ConfigError, NoAnswer, ResponseError
from tests.c1218.pair import Pair

EP17 = 2048 + 17


class Bench:
    """A pair of machines with tables on top; sleeping passes virtual time."""

    def __init__(self, packet_size: int = 64, packets: int = 2, **options: Any) -> None:
        self.pair = Pair(options=ServerOptions(max_packets=255))
        opened = self.pair.open(packet_size=packet_size, packets=packets)
        self.pair.run(limit_s=0.3)  # the last ACK leaves
        self.slept = 0.0
        self.tables = OpticalTables(
            self.exchange, self.sleep, packet_size=opened.packet_size, packets=opened.packets, **options
        )

    async def exchange(self, message: bytes, read: bool) -> bytes:
        self.pair.client.request(message, read, now=self.pair.now)
        event = self.pair.run(AnswerReceived, RequestFailed)
        if isinstance(event, RequestFailed):
            raise event.error
        assert isinstance(event, AnswerReceived)
        return event.data

    async def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.pair.run(limit_s=seconds)

    def wire_bytes(self, call: Any) -> int:
        before = len(self.pair.sent)
        run_sync(call)
        self.pair.run(limit_s=0.3)
        return sum(len(data) for _, _, data in self.pair.sent[before:])


def test_it_is_a_table_access() -> None:
    assert isinstance(Bench().tables, TableAccess)


@pytest.mark.parametrize("size", [0, 1, 40, 52, 53, 56, 57, 60, 100, 108, 109, 220, 500])
def test_costs_are_the_bytes_on_the_line(size: int) -> None:
    bench = Bench(packets=20)
    bench.pair.meter.tables[28] = bytearray(size)
    costs = bench.tables.costs
    assert bench.wire_bytes(bench.tables.read(28)) == costs.read_bytes(size, full=True)
    if size:
        assert bench.wire_bytes(bench.tables.read_part(28, 0, size)) == costs.read_bytes(size, full=False)


def test_write_costs_are_the_bytes_on_the_line() -> None:
    bench = Bench()
    costs = bench.tables.costs
    assert bench.wire_bytes(bench.tables.write(28, bytes(40))) == costs.full_write_overhead + 40
    assert bench.wire_bytes(bench.tables.write_part(28, 1, bytes(10))) == costs.part_write_overhead + 10


def test_the_known_limits() -> None:
    assert optical_costs(64, 2).max_read == 108
    assert optical_costs(64, 1).max_read == 52
    with pytest.raises(ConfigError):
        OpticalTables(None, None, packet_size=16, packets=1)  # type: ignore[arg-type]  # never called


@pytest.mark.parametrize(("packet_size", "packets"), [(32, 1), (32, 3), (64, 1), (64, 2), (1024, 128)])
def test_long_tables_are_read_and_written_in_parts(packet_size: int, packets: int) -> None:
    bench = Bench(packet_size, packets, size_of={2098: 300}.get)
    content = bytes(number % 251 for number in range(300))
    run_sync(bench.tables.write(2098, content))
    assert bytes(bench.pair.meter.tables[2098]) == content
    assert run_sync(bench.tables.read(2098)) == content
    assert run_sync(bench.tables.read_part(2098, 7, 200)) == content[7:207]
    assert run_sync(bench.tables.read_part(2098, 290, 20)) == content[290:] + bytes(10)


def test_a_long_table_of_unknown_size_says_what_to_do() -> None:
    bench = Bench()
    with pytest.raises(ResponseError) as caught:
        run_sync(bench.tables.read(2098))
    assert "108 table bytes" in caught.value.hint
    with pytest.raises(ResponseError) as caught:
        run_sync(bench.tables.read(99))
    assert caught.value.code == ResponseCode.IAR
    assert "108" not in caught.value.hint


def test_busy_is_tried_again() -> None:
    bench = Bench()
    answers = [ResponseCode.BSY, ResponseCode.DNR, ResponseCode.DLK]
    real = bench.pair.meter.handle

    def handle(request: Request, access: str, now: float) -> tuple[int, bytes | None]:
        return (answers.pop(), None) if answers else real(request, access, now)

    bench.pair.server._handle = handle
    assert run_sync(bench.tables.read(0)) == bytes(range(79))
    assert bench.slept == 3.0
    answers += [ResponseCode.BSY] * 9
    with pytest.raises(ResponseError):
        run_sync(bench.tables.read(0))


def test_a_lost_write_answer_is_settled_by_reading_back() -> None:
    for done in (True, False):
        bench = Bench()
        real = bench.exchange
        lost = [True]

        async def exchange(
            message: bytes, read: bool, real: Any = real, lost: list[bool] = lost, done: bool = done
        ) -> bytes:
            if not read and lost:
                lost.clear()
                if done:
                    await real(message, read)
                raise PossiblyExecuted("lost")
            return bytes(await real(message, read))

        bench.tables._exchange = exchange
        run_sync(bench.tables.write(28, b"\x09" * 40))
        assert bytes(bench.pair.meter.tables[28]) == b"\x09" * 40
        assert len(bench.pair.meter.writes) == 1


class Procedures:
    """A meter's BT07 and BT08 without a line: the answer appears after some reads."""

    def __init__(self, *, after: int = 0, refuse: int = 0, lose: bool = False, result: int = 0, steps: int = 0) -> None:
        self.after, self.refuse, self.lose, self.result, self.steps = after, refuse, lose, result, steps
        self.orders: list[bytes] = []
        self.bt08 = b"\x05\x00\x31\x00"
        self.waiting = 0
        self.slept = 0.0
        self.tables = OpticalTables(self.exchange, self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.slept += seconds

    async def exchange(self, message: bytes, read: bool) -> bytes:
        request = decode_request(message, checksum=True)
        if isinstance(request, FullWrite | PartialWrite):
            assert request.table == 7
            if self.refuse:
                self.refuse -= 1
                return b"\x04"
            self.orders.append(request.data)
            self.waiting = self.after
            if self.lose:
                raise PossiblyExecuted("lost")
            return b"\x00"
        assert request.table == 8
        if self.orders and self.waiting <= 0 and isinstance(request, FullRead):
            result = self.result
            if self.steps:
                self.steps -= 1
                result = 1
            self.bt08 = self.orders[-1][:3] + bytes([result]) + b"\x2a"
        self.waiting -= 1
        size = 4 if not isinstance(request, FullRead) else len(self.bt08)
        return encode_response(0, self.bt08[:size], checksum=True)


def test_procedures_run_and_sequence_numbers_never_repeat() -> None:
    meter = Procedures(after=2)
    numbers = []
    for _ in range(600):
        got = run_sync(meter.tables.run(4, b"\x01"))
        assert (got.procedure, got.result, got.data) == (4, 0, b"\x2a")
        numbers.append(got.sequence)
    assert numbers[0] == 0x32
    assert all(one != two for one, two in itertools.pairwise(numbers))
    assert set(numbers) == set(range(10, 255))
    assert meter.orders[0] == b"\x04\x00\x32\x01"


def test_a_sequence_number_in_use_is_left_for_the_next() -> None:
    meter = Procedures(refuse=1)
    assert run_sync(meter.tables.run(4)).sequence == 0x33
    meter = Procedures(refuse=2)
    with pytest.raises(ResponseError):
        run_sync(meter.tables.run(4))


def test_an_order_whose_answer_was_lost_is_not_given_twice() -> None:
    meter = Procedures(lose=True)
    assert run_sync(meter.tables.run(4)).result == 0
    assert len(meter.orders) == 1
    meter = Procedures(lose=True, after=1000)
    with pytest.raises(PossiblyExecuted):
        run_sync(meter.tables.run(4))
    assert len(meter.orders) == 1


def test_no_response_and_unfinished_responses() -> None:
    meter = Procedures(after=1000)
    with pytest.raises(NoAnswer):
        run_sync(meter.tables.run(4))
    assert meter.slept == pytest.approx(2.0, abs=0.3)
    assert run_sync(Procedures(steps=3).tables.run(EP17)).result == 0
    assert run_sync(Procedures(steps=3).tables.run(4)).result == 1
    assert run_sync(Procedures(steps=1000).tables.run(EP17)).result == 1


def test_an_order_too_long_for_the_packets_is_refused_here() -> None:
    with pytest.raises(ConfigError):
        run_sync(Procedures().tables.run(4, bytes(100)))
