"""``Neighbours``: more than one way to each device, and none that hangs by a poor link while there is a better one.

A device is found by the first neighbour that asks around, and answers nobody any more once it is commissioned. So after a cold start
the map is little more than a tree, whose links are as good as chance has it, measured while nobody was at home. In the morning some
of them carry nothing, and nothing else is known. Therefore, as soon as everybody has been read once:

- Each device to which no chain of *good* links leads (``GOOD_DB``, so that a noise that comes with the day leaves something) asks
  all its neighbours once, the nearest to the concentrator first: a *survey*. Most of the others behind it need none then.
- What answers claim is proven before it carries others: a *trial* is one sealed byte over a way that seems a quarter cheaper than the
  one in use. An answer under the device's key proves all links of it; a failure blames one of them like any other, and says nothing of
  the device. Claims are free, so each trial in vain doubles the time until the same device has another one (``_TRIED_S``).

A device that fails on its way all the same is looked for by its own name before it counts as down (``topology_care``).

Surveys and trials take the airtime of probes (how much: ``ColdStart.hurry_probes``). Project choice, with the metric of
``spec/osgp-application.md`` 3.10.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from osgp.concentrator.core import Concentrator
from osgp.concentrator.discovery import Discovery
from osgp.concentrator.exchange import Priority, Route
from osgp.concentrator.link_metric import is_enough_better, link_cost
from osgp.concentrator.routes import Found, Path, Ways
from osgp.concentrator.topology import TRIAL, Node, NodeState, Topology
from osgp.wire.errors import ConfigError, LinkError, ResponseError, SecurityError

__all__ = ["GOOD_DB", "Neighbours"]

GOOD_DB = 12.0
"""A link of such a margin is good: noise of the day takes 3 to 9 dB."""
_GOOD = link_cost(GOOD_DB)
_AGAIN_S = 6 * 3600.0
"""A device surveys its neighbours again after so long if it still has no good way, twice as long each time ..."""
_BLAMED_AGAIN_S = 3600.0
"""... sooner if its way has failed since."""
_MOST_DOUBLED = 3
_TRIED_S, _TRIED_MOST_S = 60.0, 6 * 3600.0
"""From one trial in vain to the next of the same device: so long, twice as long each time, so long at most."""
_TRIAL_READ = bytes.fromhex("3f0000000000 0001")
_LOOK_S = 30.0


class Trial(NamedTuple):
    """A way that is worth trying, for a device."""

    node: Node
    path: Path


class Neighbours:
    """See the module. ``waits``: whether devices are still waiting to be read for the first time (``ColdStart``)."""

    def __init__(
        self, concentrator: Concentrator, topology: Topology, discovery: Discovery, *, waits: Callable[[], bool]
    ) -> None:
        self.concentrator = concentrator
        self.topology = topology
        self.discovery = discovery
        self.surveys = self.trials = self.trials_passed = 0
        self._waits = waits
        self._seen: tuple[int, float] = (-1, float("-inf"))
        self._weak: list[Node] = []
        self._worth: list[Trial] = []
        self._vain: dict[bytes, tuple[float, int]] = {}
        """When a device may have another trial, and how many were in vain in a row."""

    @property
    def is_busy(self) -> bool:
        """Whether surveys or trials are due: then probes may take more of the line than later (``ColdStart``)."""
        return bool(self._weak or self._worth)

    def look(self, now: float) -> None:
        """See what is to be done, if anything has changed: twice a minute, and after each survey."""
        version, at = self._seen
        if self._waits() or self.topology.is_static:
            self._weak, self._worth = [], []
            return
        if now < at + _LOOK_S:
            return
        if version != self.topology.graph.version or self._weak or now >= at + _AGAIN_S / 8:
            self._seen = self.topology.graph.version, now
            self._look(now)

    def _look(self, now: float) -> None:
        topology, graph = self.topology, self.topology.graph
        well = graph.search(unproven=True, dearest=_GOOD)
        hoped = graph.search(unproven=True)
        self._weak, self._worth = [], []
        self._vain = {name: vain for name, vain in self._vain.items() if name in topology.nodes}
        for node in topology.placed():
            if node.state is not NodeState.UP or node.device not in self.concentrator.peers or node.legacy:
                continue
            if node.unique_node_id not in well and self._is_due(node, now):
                self._weak.append(node)
            may_try = self._vain.get(node.unique_node_id, (now, 0))[0] <= now
            trial = self._trial(node, hoped.get(node.unique_node_id)) if may_try else None
            if trial is not None:
                self._worth.append(trial)
        self._worth.sort(key=lambda trial: (len(trial.path), trial.node.device))

    def _is_due(self, node: Node, now: float) -> bool:
        if node.surveyed is None:
            return True
        at, times = node.surveyed
        failing = isinstance(self.topology.ways, Ways) and self.topology.ways.failures(node.unique_node_id) > 0
        wait_s = _BLAMED_AGAIN_S if failing else _AGAIN_S
        return at + wait_s * 2.0 ** min(times - 1, _MOST_DOUBLED) <= now

    def _trial(self, node: Node, hoped: Found | None) -> Trial | None:
        """The way that a device would have if all links were what they are said to be, where it is a quarter cheaper than its own.
        Where nothing of it is to be proven, or nothing of its own is poor, there is nothing to try."""
        topology, graph = self.topology, self.topology.graph
        path = topology.ways.known(node.unique_node_id)
        if hoped is None or path is None or graph.is_proven(hoped.path) or graph.dearest_of(path) <= _GOOD:
            return None
        if not is_enough_better(hoped.cost, graph.cost_of(path)):
            return None
        return Trial(node, hoped.path)

    async def step(self) -> bool:
        """Do the next thing; whether there was any. The budget of probes is the caller's to look at."""
        now = self.concentrator.now
        self.look(now)
        while self._worth:
            trial = self._worth.pop(0)
            if self._is_still_worth(trial):
                await self._try(trial)
                return True
        while self._weak:
            node = self._weak.pop(0)
            if node.state is NodeState.UP and node.device in self.concentrator.peers:
                await self._survey(node)
                return True
        return False

    def _is_still_worth(self, trial: Trial) -> bool:
        node, topology = trial.node, self.topology
        path = topology.ways.known(node.unique_node_id)
        if node.state is not NodeState.UP or node.device not in self.concentrator.peers or path in (None, trial.path):
            return False
        assert path is not None
        graph = topology.graph
        return not graph.is_proven(trial.path) and is_enough_better(graph.cost_of(trial.path), graph.cost_of(path))

    async def _survey(self, node: Node) -> None:
        topology, name = self.topology, node.unique_node_id
        self.surveys += 1
        try:
            await self.discovery.survey(node, priority=Priority.BILLING)
        except (LinkError, SecurityError, ResponseError, ConfigError) as error:
            text = f"neighbours of {name.hex()} could not be asked: {error.message}"
            topology.tell(name, "survey", text, self.concentrator.now)
        # Only now: killed in between, it is asked for again.
        node.surveyed = self.concentrator.now, 1 + (node.surveyed[1] if node.surveyed is not None else 0)
        if topology.nodes.get(name) is node:
            topology.changed(node)
        self._seen = (-1, float("-inf"))

    async def _try(self, trial: Trial) -> None:
        """Read a byte over the way. The exchange tells ``Topology`` how it went."""
        name = trial.node.unique_node_id
        route = self.topology.as_route(trial.path)
        passed = False
        if route is not None:
            self.trials += 1
            passed = await self.reads(trial.node, route)
            self.trials_passed += passed
        if passed:
            self._vain.pop(name, None)
            return
        times = self._vain[name][1] if name in self._vain else 0
        wait_s = min(_TRIED_MOST_S, _TRIED_S * 2.0 ** min(times, 16))
        self._vain[name] = self.concentrator.now + wait_s, times + 1

    async def reads(self, node: Node, route: Route) -> bool:
        """Whether a device answers over a way."""
        concentrator = self.concentrator
        exchanges = concentrator.exchanges
        exchange = exchanges.ask(
            concentrator.peers[node.device], _TRIAL_READ, Priority.BILLING, concentrator.now, reads=True, answer_bytes=1
        )
        exchange.wanted_route, exchange.kind = route, TRIAL
        try:
            await exchange
        except (LinkError, SecurityError, ResponseError):
            return False
        finally:
            size = len(_TRIAL_READ) + 13
            taken = exchanges.costs.exchange_s(size, 13, route.legs)
            taken += max(0, exchange.attempts - 1) * exchanges.costs.request_s(size, route.legs)
            self.discovery.budget.book("trial", None, taken, concentrator.now, attempts=max(1, exchange.attempts))
        return True
