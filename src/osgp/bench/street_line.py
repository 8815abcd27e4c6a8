"""How busy a concentrator keeps its line, and what an exchange costs one side in all its layers.

The line is that of ``street.few``: live stacks, access with random slots, meters whose tables are read 84 bytes at a time; nothing is
timed, the figures are exchanges in an hour of virtual time. The bound is that of ``spec/perf-anchors.md`` section 8: airtime, beta 1,
mean back-off of 7.5 slots, nothing in between; with frames lost, times the share of exchanges in which request and answer both come
through.

The cost of an exchange is processor time, of a commissioned street under the security of the suite: partial reads of 60 bytes from a
device in earshot. Everything is counted that is spent in the verbs of the machine at one place of the wire, from the frame that comes
to the frame that goes: link, network, transport and session layer, security, tables, and at the concentrator tasks, routes, accounts,
schedule. What the simulated wire itself takes is neither side's. The bound is a millisecond.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

from osgp.bench.frame import Bench, Row
from osgp.concentrator.exchange import Priority
from osgp.node.meter import Meter
from osgp.sim.device_kinds import make_meter
from osgp.sim.wire import Port
from osgp.street.few import Few, use_of_line
from osgp.street.plan import START
from osgp.street.run import StreetRun
from osgp.street.torture import small_street

__all__ = ["cost_rows", "line_rows"]

_LOSS = 0.1
_COST_BOUND_S = 1e-3
_READS = 200
_VERBS = ("receive", "receive_frame", "outgoing", "events", "deadline", "wake", "interests")


def _meter() -> Meter:
    return make_meter("1ph", "50000001", seed=1, start=START.timestamp())


def line_rows(bench: Bench) -> Iterator[Row]:
    """A row for one leg, one for three, and one for a line that loses a tenth of all frames."""
    exchanges = 100 if bench.quick else 400
    for legs, loss, floor in ((1, 0.0, 0.97), (3, 0.0, 0.95), (1, _LOSS, 0.9)):
        few = Few(3, meter=_meter, start=START.timestamp(), repeaters=legs - 1, loss=loss, seed=5)
        bound_s, took_s = use_of_line(few, exchanges=exchanges, legs=legs)
        count, through = exchanges * len(few.peers), (1 - loss) ** (2 * legs)
        bound = 3600 * count / bound_s * through
        what = f", {loss:.0%} of all frames lost" if loss else ", nothing lost"
        yield Row(
            bench.group,
            f"Line kept busy, 84 bytes from each of three meters in turn, {legs} {'leg' if legs == 1 else 'legs'}{what}",
            3600 * count / took_s,
            bound,
            "exchanges/h of the line",
            3600 * count / took_s / bound,
            floor,
            None,
            f"capacity at the mean back-off{f', times {through:g}' if loss else ''}; {count} exchanges in {took_s:.0f} s",
            "calculated",
        )


class _Timed:
    """The machine at a place of the wire, with a count of the processor time that its verbs take."""

    def __init__(self, port: Port) -> None:
        self._port = port
        self._machine: Any = port.machine
        self.spent_s = 0.0
        for verb in _VERBS:
            setattr(self, verb, self._counted(getattr(self._machine, verb)))

    def _counted(self, verb: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any) -> Any:
            begun = time.process_time()
            try:
                return verb(*arguments)
            finally:
                self.spent_s += time.process_time() - begun

        return called

    def __enter__(self) -> _Timed:
        self._port.machine = self  # type: ignore[assignment]  # its verbs are made, not declared
        return self

    def __exit__(self, *_: object) -> None:
        self._port.machine = self._machine


def cost_rows(bench: Bench) -> Iterator[Row]:
    """A row for each side."""
    run = StreetRun(small_street(4, hours=1.0, background_dbuv=90.0))
    run.run_to(1800.0)
    near = min(run.concentrator.peers, key=lambda each: (len(run.ways()[run.house_of(each)]), each))
    device_port, own_port = run.by_name[run.house_of(near)].port, run.port
    assert device_port is not None
    assert own_port is not None
    assert len(run.ways()[run.house_of(near)]) == 1, "somebody is in earshot"

    async def reads() -> None:
        access = run.concentrator.access(near, Priority.ON_DEMAND)
        for _ in range(_READS):
            await access.read_part(23, 0, 60)

    spent: dict[str, list[float]] = {"concentrator": [], "device": []}
    for _ in range(bench.rounds):
        with _Timed(own_port) as own, _Timed(device_port) as device:
            task = run.concentrator.tasks.start(reads(), run.wire.now)
            run.touch()
            while not task.is_done:
                run.wire.step()
        task.result()
        spent["concentrator"].append(own.spent_s / _READS)
        spent["device"].append(device.spent_s / _READS)
    run.close()
    for side, times in spent.items():
        cost_s = median(times)
        yield Row(
            bench.group,
            f"Cost of an exchange, all layers of one side: the {side}",
            1 / cost_s,
            1 / _COST_BOUND_S,
            "exchanges/s",
            _COST_BOUND_S / cost_s,
            1.0,
            None,
            f"bound of 1 ms; took {1000 * cost_s:.2f} ms of the processor",
            "calculated",
        )
