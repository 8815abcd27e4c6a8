"""Lines that lose, damage and invent bytes: what is read is true or not read at all; nothing is done twice."""

from __future__ import annotations

import random
from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from osgp.c1218.access import OpticalTables
from osgp.mep.access import MepTables
from osgp.mep.client import MepClient
from osgp.node.server import Port
from osgp.ports.lines import Line
from osgp.ports.sessions import MepSession, OpticalSession, SessionOptions
from osgp.sim.line import Faults, LoopbackLine, StepClock
from osgp.tables.access import TableAccess, run_sync
from osgp.tables.table import extended
from osgp.wire.errors import Error
from tests.access.doors import _loopback, mep_server, optical_server, sizes
from tests.access.world import MEP_KEYS, MK, World

EXAMPLES = (25, pytest.param(2000, marks=pytest.mark.long))
KINDS = ("optical", "mep rc4", "mep rc4 encrypted", "mep tls")
FAULTS = st.builds(
    Faults,
    drop=st.sampled_from([0.0, 0.0, 0.002, 0.02]),
    double=st.sampled_from([0.0, 0.0, 0.005]),
    damage=st.sampled_from([0.0, 0.002, 0.01]),
    noise=st.sampled_from([0.0, 0.0, 0.005]),
    delay=st.sampled_from([0.0, 0.0, 0.002]),
    delay_s=st.sampled_from([0.03, 0.7, 3.0, 10.0]),
)
LATE = Faults(drop=0.002, delay=0.002, delay_s=3.0)


def tables_on(
    kind: str, world: World, there: Faults, back: Faults, seed: int
) -> tuple[TableAccess, OpticalSession | MepSession]:
    clock, rng = StepClock(), random.Random(seed)
    port = Port("optical" if kind == "optical" else "mep1")

    async def open_line() -> Line:
        server = optical_server(world, port) if kind == "optical" else mep_server(world, port)
        return LoopbackLine(server, clock, there=there, back=back, rng=rng)

    session: OpticalSession | MepSession
    if kind == "optical":
        session = OpticalSession(open_line, "bad line", True, SessionOptions(), MK)
        _loopback(session, clock)
        return OpticalTables(session.exchange, session.sleep, packets=2, size_of=sizes(world)), session
    options = SessionOptions(settings={"encrypt": "encrypted" in kind})
    tls = kind.endswith("tls")
    session = MepSession(open_line, "bad line", True, options, {"MAK": MEP_KEYS["MAK"]}, not tls)
    session.client = MepClient(
        {"MAK": MEP_KEYS["MAK"]},
        legacy=not tls,
        encrypt="encrypted" in kind,
        random_bytes=random.Random(seed + 1).randbytes,
    )
    _loopback(session, clock)
    return MepTables(session.exchange, session.sleep, tls=tls, size_of=sizes(world)), session


@pytest.mark.parametrize("examples", EXAMPLES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_read_is_true(kind: str, examples: int) -> None:
    @given(there=FAULTS, back=FAULTS, seed=st.integers(0, 2**32))
    @example(there=Faults(), back=LATE, seed=1149045)  # an answer repeated late passed for the next one's
    @settings(max_examples=examples)
    def read(there: Faults, back: Faults, seed: int) -> None:
        world = World()
        tables, session = tables_on(kind, world, there, back, seed)
        with suppress(Error):
            run_sync(session.connect())
        session._closed = False
        for number in (52, 23, 2051):
            with suppress(Error):
                assert run_sync(tables.read(number)) == world.image.read(number)

    read()


@pytest.mark.parametrize("examples", EXAMPLES)
@pytest.mark.parametrize("kind", KINDS)
def test_an_order_runs_at_most_once_and_a_write_that_succeeds_is_there(kind: str, examples: int) -> None:
    @given(there=FAULTS, back=FAULTS, seed=st.integers(0, 2**32))
    @settings(max_examples=examples)
    def act(there: Faults, back: Faults, seed: int) -> None:
        world = World()
        tables, session = tables_on(kind, world, there, back, seed)
        with suppress(Error):
            run_sync(session.connect())
        session._closed = False
        for number in range(4):
            order = bytes([number, 0x5A])
            with suppress(Error):
                answer = run_sync(tables.run(extended(39), order))
                assert (answer.result, answer.data[:2]) == (0, order[::-1])
            assert [ran for _, ran, _, _ in world.ran].count(order) <= 1
            content = bytes([number]) * 9
            try:
                run_sync(tables.write_part(54, 10 * number, content))
            except Error:
                continue
            assert world.image.read_part(54, 10 * number, 9) == content

    act()
