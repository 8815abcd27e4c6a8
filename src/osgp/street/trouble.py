"""Faults of a street: they begin, they end, and it is watched how long it takes until everybody is heard of again. Project choice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from osgp.street.plan import Fault
from osgp.street.trouble_keys import (
    spent_device,
    spent_journal,
    take_address,
    worn_device,
    worn_journal,
    write_device,
    write_journal,
)
from osgp.wire.errors import ConfigError

if TYPE_CHECKING:
    from osgp.sim.pl_device import PowerLineDevice
    from osgp.street.run import StreetRun

__all__ = ["Trouble", "Troubles"]

_MOST_HEARD = 500_000
_ATTACK_S = 2.0
_AGAIN_S = 10.0
_PAGE = 4096
_DOWN_S = (1.0, 60.0)
"""How long a killed concentrator takes to start."""


@dataclass(slots=True)
class Trouble:
    """A fault and what came of it. ``target``: whom it hit; ``over_s``: when it was over, or from when on it is healed;
    ``recovery_s``: from then until everybody of whom something can be expected had answered; None if that never came."""

    fault: Fault
    target: str = ""
    begun_s: float | None = None
    over_s: float | None = None
    recovery_s: float | None = None
    times: int = 0

    def to_json(self) -> dict[str, Any]:
        """A plain object."""
        return {
            "kind": self.fault.kind,
            "target": self.target,
            "begun_s": self.begun_s,
            "over_s": self.over_s,
            "recovery_s": self.recovery_s,
            "times": self.times,
        }


def damage(journal: Path, chance: Random) -> None:
    """Overwrite a page of a journal, not its first."""
    content = bytearray(journal.read_bytes())
    pages = len(content) // _PAGE
    if pages > 1:
        begin = chance.randrange(1, pages) * _PAGE
        content[begin : begin + _PAGE] = chance.randbytes(_PAGE)
        journal.write_bytes(content)


class Troubles:
    """Plans the faults of a run's plan on its wire."""

    def __init__(self, run: StreetRun) -> None:
        self._run = run
        self.all = [Trouble(fault, fault.target) for fault in run.plan.faults]
        chance = self._chance = Random(f"faults {run.plan.seed}")
        self._armed: tuple[Trouble, float] | None = None
        self._heard: list[bytes] = []
        if any(trouble.fault.kind == "attack" for trouble in self.all):
            # Whoever attacks has listened from the beginning.
            run.wire.tap(self._listen)
        for trouble in self.all:
            fault = trouble.fault
            if fault.kind == "corrupt" and run.place == ":memory:":
                raise ConfigError("only a journal in a file has pages to corrupt", hint="--journal FILE")
            if fault.kind == "wrong-key":
                trouble.begun_s, trouble.times = 0.0, 1
            elif fault.kind == "kill":
                moments = sorted(fault.begin_s + chance.random() * fault.minutes * 60.0 for _ in range(fault.count))
                for moment in moments:
                    self._at(moment, self._kill, trouble, chance.uniform(*_DOWN_S))
            else:
                self._at(fault.begin_s, getattr(self, f"_{fault.kind.replace('-', '_')}"), trouble)

    def _at(self, when: float, action: Callable[..., None], *arguments: Any) -> None:
        self._run.wire.at(when, lambda _, now: action(now, *arguments), None)

    def _begin(self, trouble: Trouble, now: float) -> None:
        trouble.begun_s = now
        trouble.over_s = trouble.recovery_s = None
        trouble.times += 1
        if trouble.times == 1:
            self._run.observed.map(f"before: {trouble.fault.kind} {trouble.target}".rstrip(), now)

    def _end_at(self, trouble: Trouble, now: float, action: Callable[[float], None]) -> None:
        """Undo it when its minutes are over; one that never is must heal while it lasts."""
        if trouble.fault.end_s is None:
            trouble.over_s = now
            return

        def over(at: float) -> None:
            action(at)
            trouble.over_s = at

        self._at(now + trouble.fault.minutes * 60.0, over)

    def _listen(self, now: float, sender: object, lpdu: bytes) -> None:
        if len(self._heard) < _MOST_HEARD:
            self._heard.append(lpdu)

    # ---- the kinds --------------------------------------------------------------------------------------------------
    def _dead(self, now: float, trouble: Trouble) -> None:
        run = self._run
        trouble.target = trouble.target or self._busiest()
        self._begin(trouble, now)
        device = run.by_name[trouble.target]
        device.power_off(now)
        run.gone.setdefault(trouble.target, "dead")

        def back(at: float) -> None:
            device.power_on(at)
            if run.gone.get(trouble.target) == "dead":
                del run.gone[trouble.target]

        self._end_at(trouble, now, back)

    def _busiest(self) -> str:
        """The repeater that most ways lead through; the first house if there is none."""
        run = self._run
        passed = Counter(name for way in run.ways().values() for name in way[:-1])
        return min(passed, key=lambda name: (-passed[name], name)) if passed else run.plan.houses[0].node

    def _cut(self, now: float, trouble: Trouble) -> None:
        run, target = self._run, trouble.target
        self._begin(trouble, now)
        run.grid.cut(target)
        run.rewired()
        dark = set(run.by_name) - set(run.grid.islands()[0]) if trouble.fault.end_s is None else set()
        for house in sorted(dark):
            run.gone.setdefault(house, "cut off")

        def back(at: float) -> None:
            run.grid.restore(target)
            run.rewired()

        self._end_at(trouble, now, back)

    def _noise(self, now: float, trouble: Trouble) -> None:
        run = self._run
        self._begin(trouble, now)
        names = [house.node for house in run.plan.houses]
        receiver = names.index(trouble.target) + 1 if trouble.target else -1
        run.deaf_db[receiver] = run.deaf_db.get(receiver, 0.0) + trouble.fault.db
        run.rewired()

        def back(at: float) -> None:
            run.deaf_db[receiver] -= trouble.fault.db
            if not run.deaf_db[receiver]:
                del run.deaf_db[receiver]
            run.rewired()

        self._end_at(trouble, now, back)

    def _kill(self, now: float, trouble: Trouble, down_s: float) -> None:
        """Between two frames; every other time, if the journal is a file, at its next transaction."""
        run = self._run
        if not run.concentrator_runs or self._armed is not None:
            self._at(now + _AGAIN_S, self._kill, trouble, down_s)
        elif run.place != ":memory:" and self._chance.random() < 0.5:
            self._armed = trouble, down_s
            run.kill_at_commit(self._chance.choice(("before", "after")))
        else:
            self._down(now, trouble, down_s)

    def killed(self, now: float) -> None:
        """It died at a transaction, as was ordered."""
        assert self._armed is not None, "nobody else kills"
        (trouble, down_s), self._armed = self._armed, None
        self._down(now, trouble, down_s)

    def _down(self, now: float, trouble: Trouble, down_s: float) -> None:
        run = self._run
        self._begin(trouble, now)
        run.kill_concentrator()

        def start(at: float) -> None:
            run.start_concentrator()
            trouble.over_s = at

        self._at(now + down_s, start)

    def _corrupt(self, now: float, trouble: Trouble) -> None:
        run = self._run
        if not run.concentrator_runs:
            return
        self._begin(trouble, now)
        self._armed = None
        run.kill_concentrator()
        damage(Path(run.place), self._chance)

        def start(at: float) -> None:
            run.start_concentrator()
            trouble.over_s = at

        self._at(now + self._chance.uniform(*_DOWN_S), start)

    def _attack(self, now: float, trouble: Trouble) -> None:
        run = self._run
        self._begin(trouble, now)
        port = run.by_name[trouble.target].port
        assert port is not None, "every device has joined"
        ends = trouble.fault.end_s

        def send(at: float) -> None:
            if self._heard:
                frame = bytearray(self._chance.choice(self._heard))
                if self._chance.random() < 0.5:
                    frame[self._chance.randrange(len(frame))] ^= 1 << self._chance.randrange(8)
                run.wire.send(port, bytes(frame))
                trouble.times += 1
            if ends is None or at < ends:
                self._at(at + self._chance.expovariate(1 / _ATTACK_S), send)

        send(now)
        self._end_at(trouble, now, lambda at: None)

    def _outage(self, now: float, trouble: Trouble) -> None:
        run = self._run
        self._begin(trouble, now)
        hit = [device for device in run.devices if device.node.powered]
        had_concentrator = run.concentrator_runs
        if had_concentrator:
            run.kill_concentrator()
        for device in hit:
            device.power_off(now)

        def back(at: float) -> None:
            for each in hit:
                each.power_on(at)
            if had_concentrator:
                run.start_concentrator()

        self._end_at(trouble, now, back)

    def _clock(self, now: float, trouble: Trouble) -> None:
        self._begin(trouble, now)
        run = self._run
        hit: list[PowerLineDevice] = [run.by_name[trouble.target]] if trouble.target else run.devices
        for device in hit:
            device.advance(now)
            device.meter.move_clock(device.meter.shown + trouble.fault.seconds)
        trouble.over_s = now

    def _hit(self, trouble: Trouble) -> list[PowerLineDevice]:
        run = self._run
        return [run.by_name[trouble.target]] if trouble.target else run.devices

    def _worn(self, now: float, trouble: Trouble) -> None:
        hit = self._hit(trouble)
        self._changed(now, trouble, hit, worn_device(self._run), worn_journal(self._run, hit))

    def _spent(self, now: float, trouble: Trouble) -> None:
        hit, left = self._hit(trouble), trouble.fault.count - 1
        self._changed(now, trouble, hit, spent_device(self._run, left), spent_journal(self._run, hit, left))

    def _changed(
        self, now: float, trouble: Trouble, hit: list[PowerLineDevice], own: dict[str, bytes], kept: dict[str, bytes]
    ) -> None:
        """Devices and the concentrator come back with other values in their memories."""
        run = self._run
        if not run.concentrator_runs:
            self._at(now + _AGAIN_S, self._changed, trouble, hit, own, kept)
            return
        self._begin(trouble, now)
        run.kill_concentrator()
        write_journal(run, kept, now)
        for device in hit:
            write_device(device, own, now)

        def start(at: float) -> None:
            run.start_concentrator()
            trouble.over_s = at

        self._at(now + _DOWN_S[0], start)

    def _same_address(self, now: float, trouble: Trouble) -> None:
        """The other device is the one in the first house that is not the target."""
        run = self._run
        other = next((each.node for each in run.plan.houses if each.node != trouble.target), "")
        if other and take_address(run.by_name[trouble.target], run.by_name[other], now):
            self._begin(trouble, now)
            trouble.over_s = now

    def _own_clock(self, now: float, trouble: Trouble) -> None:
        run, seconds = self._run, trouble.fault.seconds
        self._begin(trouble, now)
        run.clock_off_s += seconds

        def back(at: float) -> None:
            run.clock_off_s -= seconds

        self._end_at(trouble, now, back)

    def _own_clock_down(self, now: float, trouble: Trouble) -> None:
        run, seconds = self._run, trouble.fault.seconds
        if not run.concentrator_runs or self._armed is not None:
            self._at(now + _AGAIN_S, self._own_clock_down, trouble)
            return
        self._begin(trouble, now)
        run.kill_concentrator()

        def start(at: float) -> None:
            run.clock_off_s += seconds
            run.start_concentrator()

        def back(at: float) -> None:
            run.clock_off_s -= seconds

        self._at(now + _DOWN_S[1], start)
        self._end_at(trouble, now + _DOWN_S[1], back)

    # ---- healing ----------------------------------------------------------------------------------------------------
    def look(self, now: float) -> None:
        """Once a minute: who has recovered."""
        self._run.observed.look(now)
        for trouble in self.all:
            if trouble.over_s is not None and trouble.recovery_s is None and self._all_answered(trouble.over_s):
                trouble.recovery_s = now - trouble.over_s
                self._run.observed.map(f"after: {trouble.fault.kind} {trouble.target}".rstrip(), now)

    def _all_answered(self, since: float) -> bool:
        run = self._run
        for name, house in run.names.items():
            if house in run.gone:
                continue
            node = run.topology.nodes.get(name)
            if node is None or node.answered_at is None or node.answered_at <= since:
                return False
        return True
