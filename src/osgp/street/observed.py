"""What is written down while a street runs, for its report. Nothing here changes what happens. Project choice."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from osgp.concentrator.core import AlarmRaised, Concentrator, DeviceSilent, StepStored, VisitEnded
from osgp.concentrator.exchange import Exchange
from osgp.sim.medium_channel import MediumChannel
from osgp.street.own import register_now

if TYPE_CHECKING:
    from osgp.street.run import StreetRun

__all__ = ["Legs", "Observed", "Sample"]

_REGISTERS = ("fwd_active_energy", "rev_active_energy")


@dataclass(frozen=True, slots=True)
class Sample:
    """The street at one moment, seconds after the beginning; counts since the beginning. ``by_class``: airtime, as the concentrator
    estimates it."""

    at_s: float
    up: int
    busy_s: float
    sent: int
    collisions: int
    lost: int
    exchanges: int
    by_class: dict[str, float]


@dataclass(slots=True)
class Legs:
    """Exchanges over so many legs. ``retries``: messages that were sent again."""

    exchanges: int = 0
    answered: int = 0
    retries: int = 0
    seconds: list[float] = field(default_factory=list)


class Observed:
    """``arrived``: (when, intervals) as they came; ``delays``: (end of an interval, seconds from then to the journal)."""

    def __init__(self, run: StreetRun) -> None:
        self._run = run
        self.samples: list[Sample] = []
        self.legs: dict[int, Legs] = defaultdict(Legs)
        self.arrived: list[tuple[float, int]] = []
        self.delays: list[tuple[int, float]] = []
        self.alarms: Counter[str] = Counter()
        self.visits = self.broken_visits = self.silent = 0
        self.all_up_s: float | None = None
        self.first_billing_s: float | None = None
        self.registers_checked = self.registers_wrong = 0
        self.maps: list[tuple[str, float, dict[str, tuple[str, ...]], list[str]]] = []
        """(title, seconds, ways, open branches)."""
        self._newest: dict[tuple[int, str], int] = {}
        self._billed: set[int] = set()
        self._before: Counter[str] = Counter()
        self._before_exchanges = 0
        self._ended = False

    # ---- what is told -----------------------------------------------------------------------------------------------
    def watch(self, concentrator: Concentrator) -> None:
        """Look at the exchanges of a concentrator, beside whoever does."""
        inner = concentrator.ended

        def ended(exchange: Exchange, answered: bool, now: float) -> None:
            row = self.legs[exchange.route.legs]
            row.exchanges += 1
            row.answered += answered
            row.retries += max(0, exchange.attempts - 1)
            if answered:
                row.seconds.append(now - exchange.asked_at)
            inner(exchange, answered, now)

        concentrator.ended = ended

    def events(self, events: Sequence[Any], now: float) -> None:
        """What a concentrator tells."""
        for event in events:
            if isinstance(event, StepStored):
                if event.what.startswith("profile "):
                    self._profile(event, now)
                elif event.what == "registers" and event.new:
                    self._registers(event, now)
            elif isinstance(event, VisitEnded):
                self.visits += 1
                self.broken_visits += bool(event.error)
                if event.duty == "billing" and not event.error:
                    self._billed.add(event.device)
                    if self.first_billing_s is None and len(self._billed) >= self._expected():
                        self.first_billing_s = now
                        self._run.airtime.begin(now)
            elif isinstance(event, AlarmRaised):
                self.alarms[event.alarm] += 1
            elif isinstance(event, DeviceSilent):
                self.silent += 1

    def _expected(self) -> int:
        return len(self._run.devices) - len(self._run.gone)

    def _profile(self, event: StepStored, now: float) -> None:
        key = event.device, event.what
        before = self._newest.get(key, 0)
        data_set = int(event.what.split()[1])
        times = [time for time, _, _ in self._run.journal.intervals(event.device, data_set) if time > before]
        if times and not self._ended:
            self._newest[key] = max(times)
            self.arrived.append((now, len(times)))
            self.delays += [(time, max(0.0, self._run.wall(now) - time)) for time in times]

    def _registers(self, event: StepStored, now: float) -> None:
        """Compare what has just been kept with what the meter itself shows."""
        device = self._run.by_name.get(self._run.house_of(event.device))
        if device is None or not device.node.powered:
            return
        for name in _REGISTERS:
            kept = self._run.journal.readings(event.device, name)
            if not kept:
                continue
            _, time, value, _ = kept[-1]
            shown = register_now(device, name, min(time, device.start + now) - 2.0, now)
            if shown is None:
                continue
            own, grown = shown
            self.registers_checked += 1
            self.registers_wrong += not own - grown <= value <= own

    # ---- looks ------------------------------------------------------------------------------------------------------
    def sample(self, now: float) -> None:
        """Write down the counts of this moment."""
        if self._ended:
            return
        run = self._run
        channel, ports = run.wire.channel, run.wire.ports
        busy = channel.busy_s if isinstance(channel, MediumChannel) else 0.0
        account = run.concentrator.account
        by_class = Counter(self._before)
        if run.concentrator_runs:
            by_class.update({name: usage.airtime_s for name, usage in account.by_class.items()})
        self.samples.append(
            Sample(
                now,
                run.up(),
                busy,
                sum(port.sent for port in ports),
                sum(port.collisions for port in ports),
                sum(port.lost for port in ports),
                self._before_exchanges + (account.total.exchanges if run.concentrator_runs else 0),
                dict(by_class),
            )
        )

    def look(self, now: float) -> None:
        """Once a minute: whether everybody answers."""
        if self.all_up_s is None and self._run.up() >= self._expected():
            self.all_up_s = now

    def map(self, title: str, now: float) -> None:
        """Keep the ways as they are."""
        self.maps.append((title, now, self._run.ways(), list(self._run.grid.open_branches)))

    def concentrator_ends(self, concentrator: Concentrator) -> None:
        """It is killed: its accounts go on in the next."""
        self._before.update({name: usage.airtime_s for name, usage in concentrator.account.by_class.items()})
        self._before_exchanges += concentrator.account.total.exchanges

    def forget(self, most: int) -> None:
        """Keep the newest ``most`` of each list: for streets that run without an end and without a report."""
        for kept in (self.samples, self.arrived, self.delays, self.maps, *(row.seconds for row in self.legs.values())):
            del kept[:-most]  # type: ignore[attr-defined]  # lists of different things

    def end(self, now: float) -> None:
        """The planned hours are over."""
        if not self._ended:
            if not self.samples or self.samples[-1].at_s < now:
                self.sample(now)
            self.map("at the end", now)
            self._run.airtime.end(now)
        self._ended = True
