"""Jobs that a street's plan orders of its concentrator, and what became of them at each device. Project choice."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from osgp.street.plan import Order

if TYPE_CHECKING:
    from osgp.street.run import StreetRun

__all__ = ["Ordered", "Orders"]

_LATER_S = 60.0


@dataclass(slots=True)
class Ordered:
    """An order and what came of it. ``job``: its number at the concentrator; ``results``: devices by how far it is there."""

    order: Order
    job: int | None = None
    begun_s: float | None = None
    results: dict[str, int] | None = None

    def to_json(self) -> dict[str, Any]:
        """A plain object."""
        return {
            "kind": self.order.kind,
            "devices": self.order.devices,
            "parameters": dict(self.order.parameters),
            "job": self.job,
            "begun_s": self.begun_s,
            "results": self.results or {},
        }


class Orders:
    """Gives the orders of a run's plan when they are due; ``told`` says what came of them."""

    def __init__(self, run: StreetRun) -> None:
        self._run = run
        self.all = [Ordered(order) for order in run.plan.orders]
        for ordered in self.all:
            self._at(ordered.order.at_h * 3600.0, ordered)

    def _at(self, when: float, ordered: Ordered) -> None:
        self._run.wire.at(when, lambda _, now: self._give(ordered, now), None)

    def _give(self, ordered: Ordered, now: float) -> None:
        """To all devices of the kind that are in care. While there are none, or no concentrator, it waits. Raises ConfigError."""
        run, order = self._run, ordered.order
        kinds = {house.node: house.kind for house in run.plan.houses}
        wanted = [
            number
            for house, number in sorted((run.numbers() if run.concentrator_runs else {}).items())
            if order.devices in ("", kinds[house]) and number in run.concentrator.peers
        ]
        if not wanted:
            self._at(now + _LATER_S, ordered)
            return
        ordered.begun_s = now
        ordered.job = run.concentrator.add_job(order.kind, wanted, dict(order.parameters), now=now, label="of the plan")
        run.touch()

    def told(self) -> list[dict[str, Any]]:
        """What has come of each so far. Raises StoreError."""
        for ordered in self.all:
            if ordered.job is not None:
                found = Counter(state for _, state, *_ in self._run.journal.results(ordered.job))
                ordered.results = dict(sorted(found.items()))
        return [ordered.to_json() for ordered in self.all]
