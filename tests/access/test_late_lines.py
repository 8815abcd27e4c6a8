"""Lines that lose, delay and damage whole packets: every request is repeated, and answers come when nobody waits for them.

Contents change before each read, so that an answer to an older request of the same bytes is found out, too.
"""

from __future__ import annotations

import random

import pytest

from osgp.c1218.access import OpticalTables
from osgp.ports.lines import Line
from osgp.ports.sessions import OpticalSession
from osgp.sim.line import Faults, FaultyWire, LoopbackLine
from osgp.tables.access import run_sync
from osgp.tables.table import extended
from osgp.wire.errors import Error
from tests.access.test_bad_lines import KINDS, tables_on
from tests.access.world import World

SIZES = ((64, 1), (64, 2), (64, 2), (64, 2), (64, 4), (24, 2))
READ = (23, 23, 28, 2051, extended(42))
FOUND = (275, 537, 567, 728, 1018, 1063)
"""Seeds with which the client once handed over an answer that was not the request's."""


class PacketWire(FaultyWire):
    """A direction whose faults strike what one end says at a time: lost, late by up to some seconds, one bit damaged, torn."""

    def __init__(self, rng: random.Random, clean: float) -> None:
        super().__init__(Faults(), rng)
        self.clean = rng.random() < clean
        self.lost = rng.choice((0.0, 0.0, 0.02, 0.1, 0.2))
        self.late = rng.choice((0.0, 0.02, 0.05, 0.1, 0.2))
        self.longest_s = rng.choice((1.0, 2.5, 4.0, 6.0, 10.0))
        self.damaged = rng.choice((0.0, 0.0, 0.02, 0.1))
        self.torn = rng.choice((0.0, 0.0, 0.02))

    def carry(self, data: bytes) -> list[tuple[float, bytes]]:
        rng = self._rng
        if self.clean:
            return [(0.0, data)]
        if rng.random() < self.lost:
            return []
        late_s = rng.uniform(0, self.longest_s) if rng.random() < self.late else 0.0
        if rng.random() < self.damaged:
            place = rng.randrange(len(data))
            data = data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]
        if len(data) > 1 and rng.random() < self.torn:
            place = rng.randrange(1, len(data))
            return [(late_s, data[:place]), (late_s + rng.uniform(0, self.longest_s), data[place:])]
        return [(late_s, data)]


def act(kind: str, seed: int) -> int:
    """Reads, writes, orders and pauses on such a line, each checked; how many of them went well."""
    rng, world = random.Random(seed), World()
    tables, session = tables_on(kind, world, Faults(), Faults(), seed)
    if isinstance(session, OpticalSession) and isinstance(tables, OpticalTables):
        size, packets = rng.choice(SIZES)
        session.options.settings |= {"packet_size": size, "packets": packets}
        session.opened = lambda event: tables.negotiated(event.packet_size, event.packets, event.baud)
        tables.negotiated(size, packets)
    there, back = PacketWire(rng, 0.3), PacketWire(rng, 0.1)
    open_clean = session._open_line

    async def open_line() -> Line:
        line = await open_clean()
        assert isinstance(line, LoopbackLine)
        line._there, line._back = there, back
        return line

    session._open_line = open_line
    alike = rng.random() < 0.4  # pieces of zeros, one byte excepted
    good = 0
    for number in range(rng.randrange(4, 12)):
        what = rng.choice(("read", "read", "read", "part", "write", "write", "run", "pause"))
        try:
            if what in ("read", "part"):
                table = rng.choice(READ)
                size = world.image.size(table)
                content = bytearray(size) if alike else bytearray(rng.randbytes(size))
                content[rng.randrange(size)] = rng.randrange(256)
                world.image.write_part(table, 0, bytes(content))
                start = rng.randrange(size) if what == "part" else 0
                end = rng.randrange(start, size) + 1 if what == "part" else size
                read = tables.read(table) if what == "read" else tables.read_part(table, start, end - start)
                assert run_sync(read) == content[start:end]
            elif what == "write":
                start, content = rng.randrange(100), bytearray([number] * rng.randrange(1, 40))
                run_sync(tables.write_part(54, start, bytes(content)))
                assert world.image.read_part(54, start, len(content)) == content
            elif what == "run":
                order = bytes([number]) + rng.randbytes(4)
                answer = run_sync(tables.run(extended(39), order))
                assert (answer.result, answer.data[:5]) == (0, order[::-1])
                assert [ran for _, ran, _, _ in world.ran].count(order) == 1
            else:
                run_sync(session.sleep(rng.choice((0.1, 1, 3, 5.2, 6.5, 9, 15, 30))))
            good += 1
        except Error:
            pass
        orders = [ran for _, ran, _, _ in world.ran]
        assert len(orders) == len(set(orders))
    return good


@pytest.mark.parametrize("seed", FOUND)
def test_what_once_was_an_answer_to_something_older_is_none_any_more(seed: int) -> None:
    act("optical", seed)


@pytest.mark.parametrize("kind", KINDS)
def test_no_answer_is_older_than_its_request(kind: str) -> None:
    assert sum(act(kind, seed) for seed in range(8)) > 20


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_no_answer_is_older_than_its_request_on_thousands_of_lines(kind: str) -> None:
    for seed in range(8, 3008):
        act(kind, seed)
