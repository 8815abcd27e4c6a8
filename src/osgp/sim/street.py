"""A street on virtual time: a grid, a medium over it, unchanged nodes of the control network on it, a poller; and what came of it.

Project choice. Levels follow the grid's time of day, each quarter of an hour. Everything is drawn from one seed: the same street again
is the same, byte for byte, in its capture::

    street = Street(Grid(new_grid("suburban", houses=60, seed=1)), seed=1)
    street.run(3600.0)
    print(street.report().delivered)
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Any, Literal

from osgp.lon.configuration import Configuration, domain_entry
from osgp.lon.csma import A_BAND, ChannelTiming
from osgp.lon.numbers import DESTINATIONS
from osgp.node.stack import Stack
from osgp.ports.capture import CaptureWriter
from osgp.sim.clock import Speed, run_virtual
from osgp.sim.grid import Grid
from osgp.sim.medium import FrameMedium, LevelMedium
from osgp.sim.medium_channel import MediumChannel
from osgp.sim.medium_grid import devices_of, grid_levels
from osgp.sim.per import Curves, default_curves
from osgp.sim.street_poll import Habits, Meter, Poller, address_of
from osgp.sim.street_routes import routes
from osgp.sim.wire import Port, Wire
from osgp.sim.wire_live import run_live
from osgp.wire.errors import ConfigError

__all__ = ["START", "Fidelity", "Habits", "Legs", "Street", "StreetReport"]

Fidelity = Literal["frame", "waveform"]

START = datetime(2025, 1, 15, 18, 0, tzinfo=UTC)
"""When a street begins unless told otherwise: a winter evening, when homes are loudest."""
DOMAIN = b"I"
_QUIET_S = 3.0
"""After power-up nodes keep silent for two seconds; the first round begins after."""
_LEVELS_S = 900.0
_PLANNED_BYTES = 50
_SLICE_S = 10.0


@dataclass(frozen=True, slots=True)
class Legs:
    """Polls of meters that many legs away. Latencies in seconds, of those that were answered."""

    legs: int
    polls: int
    answered: int
    attempts: int
    latency_median_s: float | None
    latency_p95_s: float | None


@dataclass(frozen=True, slots=True)
class StreetReport:
    """What came of a street.

    ``delivered``: share of the polls that were answered, NaN of none; ``unreachable``: polls not begun because no way leads there.
    ``airtime``: share of the time in which somebody sends. ``collision_ratio``: of the transmissions begun, how many were broken off.
    ``undelivered``: frames that reached a node they were for, but did not come through; ``frames_received`` those that did.
    """

    hours: float
    nodes: int
    seed: int
    fidelity: Fidelity
    rounds: int
    polls: int
    answered: int
    delivered: float
    unreachable: int
    reports: int
    reports_acknowledged: int
    airtime: float
    transmissions: int
    transmissions_secondary: int
    collisions: int
    collision_ratio: float
    frames_received: int
    undelivered: int
    by_legs: tuple[Legs, ...]


class Street:
    """A transformer area that lives.

    ``grid``: cables, houses, noise. ``seed``: of slots, losses, reports. ``curves``: of packet loss, which ways are planned by, too.
    ``capture``: takes every frame that was sent whole, stamped from ``start`` on. Raises ConfigError for a grid with one device.
    """

    def __init__(
        self,
        grid: Grid,
        *,
        seed: int,
        habits: Habits | None = None,
        fidelity: Fidelity = "frame",
        curves: Curves | None = None,
        timing: ChannelTiming = A_BAND,
        start: datetime = START,
        capture: CaptureWriter | None = None,
    ) -> None:
        self.grid = grid
        self.seed = seed
        self.fidelity = fidelity
        self.habits = habits or Habits()
        self.curves = curves or default_curves()
        self.devices = devices_of(grid)
        if len(self.devices) < 2:
            raise ConfigError("a street needs a poller and at least one meter", hint="osgp grid new suburban")
        self._start_s = start.timestamp()
        self._version = grid.version
        chance = random.Random(seed)
        self.medium = self._make_medium(chance.getrandbits(64))
        self.wire = Wire(random=chance, medium=self.medium, access=timing)
        self.secondary = 0
        self._build(chance, timing)
        self.wire.tap(self._count)
        if capture is not None:
            self.wire.tap(self._recorder(capture))
        self._refresh(None, 0.0)

    def _make_medium(self, seed: int) -> LevelMedium:
        levels = grid_levels(self.grid, self.devices, self.grid.time_of_day_h(self._start_s))
        if self.fidelity == "frame":
            return FrameMedium(levels, self.curves, seed=seed)
        from osgp.sim.medium_waveform import WaveformMedium

        return WaveformMedium(levels, seed=seed)

    def _build(self, chance: random.Random, timing: ChannelTiming) -> None:
        wire, habits = self.wire, self.habits
        poller_stack = self._stack(0, chance)
        self.poller = Poller(wire, poller_stack, habits, self.medium.speed, timing, len(self.devices))
        self.poller.before_round = self._plan
        self.poller.port = self._join(poller_stack, self.poller.on_events)
        self.meters: list[Meter] = []
        self._ports: list[Port] = [self.poller.port]
        for device in range(1, len(self.devices)):
            stack = self._stack(device, chance)
            meter = Meter(wire, stack, device, habits, random.Random(chance.getrandbits(64)))
            self.meters.append(meter)
            self._ports.append(self._join(stack, meter.on_events))
        self.poller.begin(_QUIET_S)
        self._plan(0.0)
        if habits.reports_per_day > 0:
            for meter, port in zip(self.meters, self._ports[1:]):
                way = self.poller.ways[meter.device]
                if way is not None and len(way) == 1:
                    options = self.poller.options(secondary=way[0].secondary)
                    meter.begin_reports(port, 86400 / habits.reports_per_day, options, address_of(0))

    def _stack(self, device: int, chance: random.Random) -> Stack:
        node = self.grid.description.nodes[self.devices[device]]
        unique_node_id = bytes.fromhex(node.unique_node_id) or (0x0700_0000_0000 + device).to_bytes(6, "big")
        configuration = Configuration(unique_node_id)
        place = address_of(device)
        configuration.join(0, domain_entry(DOMAIN, place.subnet, place.node))
        # Others may come back to a message as late as their chains let them: the longest receive timer.
        configuration.block.last = configuration.block.last.with_(non_group_timer=15)
        # A concentrator remembers all its meters' transaction numbers; with the ten of a plain node it waits for old ones.
        destinations = DESTINATIONS if device else max(DESTINATIONS, len(self.devices))
        token = random.Random(chance.getrandbits(64)).randbytes
        return Stack(configuration, token=token, destinations=destinations)

    def _join(self, stack: Stack, on_events: Callable[[Port, Sequence[Any], float], None]) -> Port:
        return self.wire.join(stack, on_events=on_events, statistics=stack.configuration.statistics)

    # ---- as time goes by --------------------------------------------------------------------------------------------
    def _refresh(self, _: Any, now: float) -> None:
        """The noise of another time of day, and whatever was switched in the grid."""
        if now:
            hour = self.grid.time_of_day_h(self._start_s + now)
            self.medium.levels = grid_levels(self.grid, self.devices, hour)
        self.wire.at(now + _LEVELS_S, self._refresh, None)

    def _plan(self, now: float) -> None:
        self.poller.ways = routes(
            self.medium.levels, self.curves, 0, lpdu_bytes=_PLANNED_BYTES, max_legs=self.habits.max_legs
        )

    def _count(self, now: float, sender: Port, lpdu: bytes) -> None:
        self.secondary += bool(lpdu[0] & 0x40)

    def _recorder(self, capture: CaptureWriter) -> Callable[[float, Port, bytes], None]:
        start_ns = round(self._start_s * 1e9)

        def record(now: float, sender: Port, lpdu: bytes) -> None:
            capture.write_lpdu(lpdu, time_ns=start_ns + round(now * 1e9))

        return record

    def cut(self, branch: str) -> None:
        """Switch a branch of the grid off, at once. Raises ConfigError for one that is not there."""
        self.grid.cut(branch)
        self._rewired()

    def restore(self, branch: str) -> None:
        """Switch it on again. Raises ConfigError for one that is not there."""
        self.grid.restore(branch)
        self._rewired()

    def _rewired(self) -> None:
        hour = self.grid.time_of_day_h(self._start_s + self.wire.now)
        self.medium.levels = grid_levels(self.grid, self.devices, hour)

    def run(self, seconds: float, *, speed: Speed = "max", progress: Callable[[float], None] | None = None) -> None:
        """Let so many seconds pass, as fast as possible or at a multiple of the wall clock.

        ``progress`` is called with the seconds that have passed. Raises ConfigError for seconds that are no length of time.
        """
        if not (math.isfinite(seconds) and seconds >= 0):
            raise ConfigError(f"a street cannot run for {seconds} s", hint="a number of seconds from 0 on")
        end_s = self.wire.now + seconds
        if progress is not None:

            def tell(_: Any, now: float) -> None:
                progress(now)
                if now < end_s:
                    self.wire.at(now + _SLICE_S, tell, None)

            self.wire.at(self.wire.now, tell, None)
        if speed == "max":
            self.wire.run(end_s)
        else:
            run_virtual(run_live(self.wire, seconds), speed=speed)

    # ---- what came of it --------------------------------------------------------------------------------------------
    def report(self) -> StreetReport:
        """So far. Polls still under way do not count."""
        polls = [poll for poll in self.poller.polls if poll.answered or poll.reason]
        answered = sum(poll.answered for poll in polls)
        channel = self.wire.channel
        assert isinstance(channel, MediumChannel)
        ports = self.wire.ports
        sent, collisions = sum(port.sent for port in ports), sum(port.collisions for port in ports)
        begun = sent + collisions
        now = self.wire.now
        return StreetReport(
            hours=now / 3600,
            nodes=len(ports),
            seed=self.seed,
            fidelity=self.fidelity,
            rounds=self.poller.rounds,
            polls=len(polls),
            answered=answered,
            delivered=answered / len(polls) if polls else math.nan,
            unreachable=self.poller.unreachable,
            reports=sum(meter.reports for meter in self.meters),
            reports_acknowledged=sum(meter.reported for meter in self.meters),
            airtime=channel.busy_s / now if now else 0.0,
            transmissions=begun,
            transmissions_secondary=self.secondary,
            collisions=collisions,
            collision_ratio=collisions / begun if begun else 0.0,
            frames_received=sum(port.received for port in ports),
            undelivered=sum(port.lost for port in ports),
            by_legs=tuple(
                _legs(legs, [poll for poll in polls if len(poll.way) == legs])
                for legs in sorted({len(poll.way) for poll in polls})
            ),
        )


def _legs(legs: int, polls: Sequence[Any]) -> Legs:
    latencies = sorted(poll.latency_s for poll in polls if poll.answered)
    return Legs(
        legs,
        len(polls),
        len(latencies),
        sum(poll.attempts for poll in polls),
        median(latencies) if latencies else None,
        latencies[min(len(latencies) - 1, int(0.95 * len(latencies)))] if latencies else None,
    )
