"""``NetworkCare``: what a concentrator does for its network, for ever: look for devices, commission them, keep ways, links and keys.

It joins ``Topology``, ``Discovery``, ``Commissioner`` and ``KeyCare`` to a ``Concentrator`` and runs as two tasks of it: one asks
around, one commissions; both go on whatever an exchange ends with. Project choice::

    topology = Topology(journal, wall=wall, domain=b"OSG", place=SubnetNode(1, 1))
    concentrator = Concentrator(stack, journal, config, routes=topology, chains=topology.chains, broadcaster=sender, …)
    care = NetworkCare(concentrator, topology, keys, sender, random=…, randomness=…, heard=…)
    care.begin(now)

The order of a cold start is that of the rings: the concentrator asks first, then each device that has been commissioned, the nearest
first; handshakes go before all that is not urgent, first sweeps with the class of billing, later ones behind everything else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from random import Random
from typing import Any

from osgp.app.broadcast import BroadcastSender
from osgp.app.memory import Memory, StorageError
from osgp.app.messages import ReverseHop, ReverseRoute, ReverseStep
from osgp.app.profile import OsgpProfile
from osgp.concentrator.cold_start import ColdStart
from osgp.concentrator.commission import (
    STANDINGS,
    Commissioner,
    CommissioningPolicy,
    Grant,
    KeySource,
    NotGranted,
)
from osgp.concentrator.commission_keys import KeyCare
from osgp.concentrator.core import Concentrator
from osgp.concentrator.discovery import Answer, Discovery, DiscoveryPolicy
from osgp.concentrator.exchange import Exchange, Priority, Route
from osgp.concentrator.forgers import BroadcastWatch
from osgp.concentrator.legacy_care import LegacyCare, LegacyGrant
from osgp.concentrator.link_metric import UNUSABLE, link_cost
from osgp.concentrator.neighbours import Neighbours
from osgp.concentrator.routes import FAILURES, MAX_LEGS, ROOT, Path, Step, Ways
from osgp.concentrator.tasks import Task, Wait
from osgp.concentrator.topology import DOWN_S, Node, NodeState, Standing, Topology
from osgp.lon.address import SubnetNode
from osgp.lon.events import Event
from osgp.node.link_register import UNHEARD, Heard
from osgp.node.osgp_tables import ALERT_ROUTE, HereState
from osgp.tables.et.et55 import ET55
from osgp.wire.errors import ConfigError, Error, LinkError, ResponseError, SecurityError, StoreError

__all__ = ["NetworkCare"]

_LOOK_S = 60.0
"""How often states are looked at."""
_AFTER_ERROR_S = 60.0
_LINKS_KEPT_S = 300.0
_PATIENCE_AT, _PATIENCE_MIN = 15, 60
"""ET55.PLC_ACTIVE_TIMEOUT (MEP guide p. 148): its place, and how long a device waits that was told nothing."""
_HUNT_S, _HUNTERS = {NodeState.DOWN: 1800.0, NodeState.LOST: 6 * 3600.0}, 4
_GUESS_DB, _NEVER_DB = 10.0, -99.0
"""What a guess of who hears whom is worth less than a measurement."""
_ROUTE_LIFETIME_MIN = 3 * 1440
_ROUTE_AGAIN_S = 1.5 * 86400
_SETTLED_S = 1800.0
"""After which the way of a device is worth telling while others are still looked for: it has changed as often as it does."""
_MOVE_S = 86400.0
_LINK_PROBES = 2
_REVIVALS = 3
_PROBED_S, _MOST_PROBED = 6 * 3600.0, 4096
_REVIVE_READ = bytes.fromhex("3f0000000000 0001")


class NetworkCare:
    """See the module. ``heard``, ``damaged``: of the concentrator's own receiver (``Discovery``). ``memory``: keeps keys and counters,
    the journal unless given. ``legacy``: devices that may be asked by the broken suite, ``allow_known_keys`` as ``LegacyCare``.
    ``message``: is given what comes in and is no topology (alerts)."""

    def __init__(
        self,
        concentrator: Concentrator,
        topology: Topology,
        keys: KeySource,
        sender: BroadcastSender,
        *,
        random: Random,
        randomness: Callable[[int], bytes],
        heard: Callable[[], Heard] = lambda: UNHEARD,
        damaged: Callable[[], int] = lambda: 0,
        memory: Memory | None = None,
        discovery: DiscoveryPolicy | None = None,
        commissioning: CommissioningPolicy | None = None,
        profile: OsgpProfile | None = None,
        legacy: Mapping[bytes, LegacyGrant] | None = None,
        allow_known_keys: bool = False,
        message: Callable[[Event, float], bool] = lambda event, now: False,
    ) -> None:
        self.concentrator = concentrator
        self.topology = topology
        self.sender = sender
        self.discovery = Discovery(
            concentrator,
            topology,
            random=random,
            found=self._found,
            heard=heard,
            damaged=damaged,
            policy=discovery,
            profile=profile,
        )
        self.commissioner = Commissioner(
            concentrator,
            topology,
            keys,
            sender,
            memory=memory or concentrator.journal,
            randomness=randomness,
            random=random,
            policy=commissioning,
            profile=profile,
        )
        self.keys = KeyCare(self.commissioner)
        self.legacy = LegacyCare(self.commissioner, legacy or {}, allow_known_keys=allow_known_keys)
        self._message = message
        self._nudge: Wait[None] = Wait()
        self._tasks: list[Task[None]] = []
        self._telling: Task[None] | None = None
        self._watched_at = self._links_at = self._slot_at = concentrator.now
        self._links_version = -1
        self._hunted: dict[bytes, float] = {}
        self._probed: dict[tuple[bytes, Step], float] = {}
        self._moved: dict[bytes, float] = {}
        self._answers: dict[bytes, tuple[Answer, bytes, bool]] = {}
        self.cold_start = ColdStart(concentrator, self.discovery)
        self.neighbours = Neighbours(concentrator, topology, self.discovery, waits=lambda: self.cold_start.is_on)
        self.watch = BroadcastWatch(
            sender, window=self._broadcast_window, alarm=self._forged_broadcast, passed=self._raise_all_windows
        )
        concentrator.message = self._receive
        concentrator.ended = self._ended
        concentrator.alerting = self._is_alerting
        concentrator.more_status["legacy"] = self.legacy.status
        concentrator.more_status["topology"] = lambda: topology.status(concentrator.now)

    # ---- beginning --------------------------------------------------------------------------------------------------
    def begin(self, now: float) -> None:
        """Take into care what the journal knows, and start looking. Raises StorageError, StoreError."""
        if self.concentrator.journal.counters_in_doubt:
            self.commissioner.distrust_all()
        for node in self.topology.placed():
            if node.state is not NodeState.LOST and not self._resume(node, now):
                # Without keys that can be used only a handshake goes on; the address stays the device's.
                self.topology.set_state(node, NodeState.HEARD, now)
        tasks = self.concentrator.tasks
        self._tasks = [
            tasks.start(self._for_ever(self._commission_step), now, name="commissioning"),
            tasks.start(self._for_ever(self._look_step), now, name="discovery"),
        ]
        self.concentrator.begin(now)

    def _resume(self, node: Node, now: float) -> bool:
        """Take a device into care that the journal knows; False if it has to be asked first."""
        return self.legacy.resume(node, now) or (not node.legacy and self.commissioner.resume(node, now))

    async def _take_on(self, node: Node) -> bool:
        """Ask a device whether it is ours, by the suite that it is to speak; whether it is."""
        if self.legacy.takes(node.unique_node_id):
            return await self.legacy.take_on(node)
        return await self.commissioner.commission(node)

    def end(self) -> None:
        """Give up the tasks; what is known is kept. Raises StoreError."""
        for task in (*self._tasks, *([self._telling] if self._telling is not None else ())):
            task.cancel()
        self._tasks.clear()
        self.topology.save(links=True)

    def order_generation(self, unique_node_id: bytes, now: float) -> None:
        """The head-end's order to go on with a device whose generation went back. Raises ConfigError."""
        self.commissioner.accept_generation(unique_node_id, now)
        self.wake()

    def remove(self, unique_node_id: bytes) -> None:
        """The head-end has removed a device. Raises StoreError."""
        node = self.topology.nodes.get(unique_node_id)
        if node is not None and node.device >= 0:
            self.concentrator.remove_device(node.device)
        self.topology.remove(unique_node_id)
        self._hunted.pop(unique_node_id, None)

    async def _for_ever(self, step: Callable[[], Coroutine[Any, Any, float]]) -> None:
        """Step after step, each of which says how long to wait before the next."""
        tasks = self.concentrator.tasks
        while True:
            try:
                wait_s = await step()
            except Error as error:
                wait_s = _AFTER_ERROR_S
                self.topology.tell(b"", "error", error.message, self.concentrator.now)
            if wait_s > 0:
                await tasks.first_of(self._nudge, tasks.sleep(wait_s))

    def wake(self) -> None:
        """There may be something to do: whoever sleeps looks again."""
        nudge, self._nudge = self._nudge, Wait()
        nudge.succeed(None)

    # ---- what is told -----------------------------------------------------------------------------------------------
    def _receive(self, event: Event, now: float) -> bool:
        return self.discovery.receive(event, now) or self.watch.receive(event, now) or self._message(event, now)

    def _broadcast_window(self) -> int:
        return max(self.commissioner.policy.window, self.keys.more_window)

    def _forged_broadcast(self, text: str, now: float) -> None:
        self.topology.tell(b"", "forged broadcast", text, now)
        with suppress(StoreError):
            self.concentrator.journal.note("forged broadcast", text, self.concentrator.wall(), severity="critical")

    def _raise_all_windows(self) -> None:
        """Have B raised above what somebody else has sent, device by device."""
        for node in self.topology.placed():
            node.window_wall = 0.0
        self.wake()

    def _ended(self, exchange: Exchange, answered: bool, now: float) -> None:
        self.topology.ended(exchange, answered, now)

    def _found(self, answer: Answer, agent: bytes, alternate: bool, now: float) -> bool:
        """Somebody says that a device is there. Whether that is something new to us."""
        topology, name = self.topology, answer.unique_node_id
        known = topology.nodes.get(name)
        grant = self.commissioner.grant(name)
        if isinstance(grant, NotGranted) and not self.legacy.takes(name):
            standing = STANDINGS[grant]
            is_new = name not in topology.strangers
            topology.stranger(name, standing, now)
            self._answers[name] = answer, agent, alternate
            if answer.address is not None:
                self._is_claimed(answer.address, name, now)
            return is_new
        topology.strangers.pop(name, None)
        node = topology.heard_of(name, now)
        if node is None:
            return False
        if answer.address is not None and not node.is_placed:
            self._is_claimed(answer.address, name, now)
        is_new = known is None or known.heard_at is None
        node.program_id, node.claimed, node.heard_by = answer.program_id, answer.claimed, (agent, alternate)
        topology.seen_phase(node, agent, answer.phase)
        graph = topology.graph
        graph.hear(name, agent, answer.margin_there, now, alternate=alternate, proven=False)
        graph.hear(agent, name, answer.margin_here, now, alternate=alternate, proven=False)
        if node.state is not NodeState.UP or answer.claimed == HereState.NEW:
            self.wake()
        return is_new

    def keys_changed(self, now: float) -> None:
        """Strangers may have a key now."""
        self._look_for_keys(now)
        self.wake()

    def _look_for_keys(self, now: float) -> None:
        """Strangers whose key has come meanwhile are candidates at once, by what was heard of them."""
        heard = {name: self._answers[name] for name in self.topology.strangers if name in self._answers}
        self._answers = heard
        for name, (answer, agent, alternate) in list(heard.items()):
            if isinstance(self.commissioner.grant(name), Grant):
                del self._answers[name]
                self._found(answer, agent, alternate, now)

    def _is_claimed(self, address: SubnetNode, name: bytes, now: float) -> None:
        """A device that is not placed here answers from an address: if it is one of ours, two devices have it."""
        topology = self.topology
        owner = topology.by_address(address)
        if owner is None or owner.unique_node_id == name:
            topology.blocked.add(address) if owner is None and address != topology.place else None
            return
        if self._moved.get(owner.unique_node_id, float("-inf")) + _MOVE_S > now:
            return
        # Whoever comes later gets another address when it is commissioned. A stranger keeps his, and ours moves.
        if name in topology.strangers:
            self._moved[owner.unique_node_id] = now
            topology.block(address)
            owner.moves = True
            topology.changed(owner)
            self.wake()
        topology.tell(name, "address", f"{name.hex()} and {owner.unique_node_id.hex()} both have {address}", now)
        self.concentrator.journal.note(
            "address",
            f"two devices have the address {address}: {owner.unique_node_id.hex()} and {name.hex()}",
            self.concentrator.wall(),
            severity="warning",
        )

    # ---- commissioning ----------------------------------------------------------------------------------------------
    def _next_candidate(self, now: float) -> tuple[Node | None, float]:
        """Who is to be commissioned now, or how long to wait; the nearest first."""
        topology, best, wait_s = self.topology, None, _LOOK_S
        for node in topology.nodes.values():
            if node.state not in (NodeState.HEARD, NodeState.COMMISSIONED, NodeState.CHALLENGED) and not (
                topology.is_static and node.state is NodeState.UNKNOWN
            ):
                continue
            if node.state is NodeState.COMMISSIONED and node.device in self.concentrator.peers:
                continue  # in care since a restart: the schedule asks it
            if node.standing in (Standing.WENT_BACK, Standing.QUARANTINED):
                continue  # the head-end decides
            if node.next_try > now:
                wait_s = min(wait_s, node.next_try - now)
                continue
            path = topology.ways.path(node.unique_node_id, 0, now)
            if path is None or topology.as_route(path) is None or not self._is_open(path):
                continue
            rank = (node.failures, len(path), node.unique_node_id)
            if best is None or rank < best[0]:
                best = rank, node
        return (None, wait_s) if best is None else (best[1], 0.0)

    def _is_open(self, path: Path) -> bool:
        """Whether all repeaters of a way have been commissioned."""
        return all(self.topology.nodes[step.node].is_placed for step in path[:-1])

    async def _commission_step(self) -> float:
        now = self.concentrator.now
        node, wait_s = self._next_candidate(now)
        if node is not None:
            if await self._take_on(node):
                self._hunted.pop(node.unique_node_id, None)
                self.wake()
                if self.concentrator.journal.counters_in_doubt and not self.commissioner.doubted:
                    self.concentrator.journal.trust_counters()
            elif node.next_try <= self.concentrator.now:
                self.commissioner.put_off(node, LinkError("it could not be asked"), self.concentrator.now)
            return 0.0
        found = self._next_revival(now)
        if found is not None:
            await self._revive(found)
            return 0.0
        old = self.keys.with_old_key() or self.legacy.to_migrate(now)
        if old is not None:
            await self.commissioner.commission(old)
            return 0.0
        if self.keys.begin_renewal() or self.keys.without_key() is not None:
            waiting = self.keys.without_key()
            if waiting is not None and await self.keys.give_key(waiting):
                return 0.0
            self.keys.finish_renewal()
            return _LOOK_S
        stale = self.keys.with_old_window()
        if stale is not None:
            await self.keys.raise_window(stale)
            return 0.0
        return wait_s

    def _next_revival(self, now: float) -> Node | None:
        """A device with our keys that was heard of again: it was down or lost, or says that it is new."""
        return next(
            (
                node
                for node in self.topology.nodes.values()
                if node.is_placed
                and node.heard_at is not None
                and node.heard_at > (node.answered_at or 0.0)
                and node.next_try <= now
                and (node.state in (NodeState.DOWN, NodeState.LOST) or node.claimed == HereState.NEW)
            ),
            None,
        )

    async def _revive(self, node: Node) -> None:
        """Ask it under the keys that it should have; commission it anew if it says that it has none, or never answers
        to them while it does answer probes."""
        concentrator = self.concentrator
        claimed, node.claimed = node.claimed, HereState.UP
        if node.device not in concentrator.peers and not self._resume(node, concentrator.now):
            await self._take_on(node)
            return
        exchange = concentrator.exchanges.ask(
            concentrator.peers[node.device],
            _REVIVE_READ,
            Priority.ON_DEMAND,
            concentrator.now,
            reads=True,
            answer_bytes=1,
        )
        exchange.wanted_route = self._way_heard(node)
        try:
            await exchange
        except (LinkError, SecurityError) as error:
            anew = claimed == HereState.NEW or node.failures >= _REVIVALS
            done = anew and await self._take_on(node)
            if not done and node.next_try <= concentrator.now:
                self.commissioner.put_off(node, error, concentrator.now)
        else:
            node.failures, node.next_try = 0, 0.0
            if claimed == HereState.NEW and not node.legacy:
                self.commissioner.claimed_new(node)

    def _way_heard(self, node: Node) -> Route | None:
        """The way over whoever heard a device last: the one that was in use may be why it is down."""
        if node.heard_by is None or self.topology.is_static:
            return None
        agent, alternate = node.heard_by
        path = () if agent == ROOT else self.topology.ways.path(agent, 0, self.concentrator.now)
        if path is None or len(path) >= MAX_LEGS or any(step.node == node.unique_node_id for step in path):
            return None
        return self.topology.as_route((*path, Step(node.unique_node_id, alternate)))

    # ---- looking around ---------------------------------------------------------------------------------------------
    async def _look_step(self) -> float:
        concentrator, topology, discovery = self.concentrator, self.topology, self.discovery
        now = concentrator.now
        self._watch(now)
        self.cold_start.look(now)
        self.neighbours.look(now)
        self.cold_start.hurry_probes(self.neighbours.is_busy, now)
        free_s = discovery.free_at(now) - now
        turn = discovery.next_agent(now) if free_s <= 0 and not topology.is_static else None
        if turn is not None and turn[2] and not turn[1]:
            self._tell_meanwhile(now)
            await self._sweep(*turn)
            return 0.0
        if free_s <= 0 and not topology.is_static and (await self._hunt(now) or await self.neighbours.step()):
            return 0.0
        told = self._next_way(now)
        if told is not None:
            await self._tell_way(*told)
            return 0.0
        if topology.is_static:
            return _LOOK_S
        if free_s > 0:
            return min(free_s, _LOOK_S)
        if turn is not None and turn[2]:
            await self._sweep(*turn)
            return 0.0
        node = discovery.next_register(now)
        if node is not None:
            await self._read_links(node)
            return 0.0
        if await self._ask_links(None):
            return 0.0
        if turn is not None:
            await self._sweep(*turn)
            return 0.0
        return _LOOK_S

    async def _sweep(self, agent: bytes, alternate: bool, is_first: bool) -> None:
        topology = self.topology
        priority = Priority.BILLING if is_first and not alternate else Priority.HOUSEKEEPING
        times = topology.root_asked_at if agent == ROOT else topology.nodes[agent].asked_at
        quiet = self.discovery.quiet
        try:
            result = await self.discovery.sweep(agent, alternate=alternate, priority=priority)
        except (LinkError, SecurityError, ResponseError, ConfigError) as error:
            # Its turn comes again in a quarter of the longest time.
            times[alternate] = self.concentrator.now - self.discovery.again_after_s(agent, alternate)
            times[alternate] += 0.25 * self.discovery.policy.again_s
            topology.tell(agent, "sweep", f"asking around broke off: {error.message}", self.concentrator.now)
            return
        finally:
            if agent != ROOT and agent in topology.nodes:
                topology.changed(topology.nodes[agent])
        # Only now: killed in between, it is asked for again.
        times[alternate] = self.concentrator.now
        quiet[agent, alternate] = 0 if result.new else quiet.get((agent, alternate), 0) + 1
        if result.new:
            topology.tell(agent, "sweep", f"{result.new} new of {result.heard} devices answered", self.concentrator.now)

    async def _read_links(self, node: Node) -> None:
        """The links of a device; those that are known one way only are asked for."""
        try:
            await self.discovery.read_links(node)
        except (LinkError, SecurityError, ResponseError, ConfigError):
            node.register_at = self.concentrator.now - 0.75 * self.discovery.policy.register_s
            return
        self.topology.changed(node)
        await self._ask_links(node)

    async def _ask_links(self, node: Node | None) -> bool:
        """Ask neighbours of a device (None: our own) how they hear it, where that is not known; whether any was asked."""
        graph, now = self.topology.graph, self.concentrator.now
        listener = ROOT if node is None else node.unique_node_id
        asked = 0
        for step in graph.one_sided(listener):
            half = graph.half(listener, step.node, step.alternate)
            mark = listener, step
            if step.node == ROOT or half is None or link_cost(half.margin_db) == UNUSABLE:
                continue
            if self._probed.get(mark, -_PROBED_S) + _PROBED_S > now:
                continue
            if asked == _LINK_PROBES or self.discovery.free_at(now) > now:
                break
            asked += 1
            self._probed[mark] = now
            await self.discovery.probe_link(node, step)
        if len(self._probed) > _MOST_PROBED:
            self._probed = {mark: at for mark, at in self._probed.items() if at + _PROBED_S > now}
        return asked > 0

    async def _hunt(self, now: float) -> bool:
        """Look for a device that is down, from whoever heard it last and from others near it; whether anything was done."""
        topology, hunted = self.topology, self._hunted
        due = [
            node
            for node in topology.nodes.values()
            if (again_s := self._hunt_again_s(node)) is not None
            and hunted.get(node.unique_node_id, float("-inf")) + again_s <= now
        ]
        if not due:
            return False
        # Where more are missing than the budget allows for, nobody has a second turn before all have had one.
        wanted = min(due, key=lambda node: hunted.get(node.unique_node_id, float("-inf")))
        self._hunted[wanted.unique_node_id] = now
        up = [ROOT, *(node.unique_node_id for node in topology.placed() if node.state is NodeState.UP)]
        margins = self._may_hear(wanted.unique_node_id)
        for agent in sorted(up, key=lambda each: -margins.get(each, _NEVER_DB))[:_HUNTERS]:
            try:
                if await self.discovery.hunt(wanted, agent):
                    break
            except (LinkError, SecurityError, ResponseError, ConfigError):
                continue
        return True

    def _hunt_again_s(self, node: Node) -> float | None:
        """After what time a device is looked for again; None if it need not be. Who is up and fails is looked for as well: another way
        to it may be known before it is down."""
        again_s = _HUNT_S.get(node.state)
        if again_s is None and node.state is NodeState.UP and isinstance(self.topology.ways, Ways):
            failing = self.topology.ways.failures(node.unique_node_id) >= FAILURES
            again_s = _HUNT_S[NodeState.DOWN] if failing else None
        return again_s

    def _may_hear(self, wanted: bytes) -> dict[bytes, float]:
        """How well nodes hear a device, dB: as was measured, or as they hear somebody who hears it well."""
        graph = self.topology.graph
        near = {listener: half.margin_db for listener, half in graph.listeners(wanted)}
        found = dict(near)
        for between, margin in near.items():
            for listener, half in graph.listeners(between):
                guess = min(margin, half.margin_db) - _GUESS_DB
                if listener != wanted and guess > found.get(listener, _NEVER_DB):
                    found[listener] = guess
        return found

    # ---- time -------------------------------------------------------------------------------------------------------
    def _watch(self, now: float) -> None:
        """States, availability, and the journal, once a minute."""
        if now < self._watched_at + _LOOK_S:
            return
        self._watched_at = now
        self._look_for_keys(now)
        self.legacy.look(now)
        self._try_new_ways(now)
        for node in self.topology.watch(now):
            if node.state is NodeState.LOST and node.device >= 0:
                self.concentrator.remove_device(node.device)
                self.concentrator.journal.note(
                    "lost",
                    f"{node.name or node.unique_node_id.hex()} has not answered for a day",
                    self.concentrator.wall(),
                    device=node.device,
                    severity="warning",
                )
        if now >= self._slot_at + DOWN_S:
            self._slot_at = now
            self.topology.note_availability()
        version = self.topology.graph.version
        links = now >= self._links_at + _LINKS_KEPT_S and version != self._links_version
        if links:
            self._links_at, self._links_version = now, version
        for event in self.sender.events():
            self.commissioner.told(event)
        try:
            self.topology.save(links=links)
        except (StoreError, StorageError) as error:
            self.topology.tell(b"", "journal", error.message, now)

    def _try_new_ways(self, now: float) -> None:
        """Who was silent on a way and has got another one is visited at once."""
        topology, schedule = self.topology, self.concentrator.schedule
        if not isinstance(topology.ways, Ways):
            return
        for node in topology.placed():
            failed_at = node.failed_at
            if failed_at is not None and topology.ways.since(node.unique_node_id) > failed_at:
                node.failed_at = None
                schedule.retry(node.device, now)

    # ---- the way back -----------------------------------------------------------------------------------------------
    def _next_way(self, now: float, settled_s: float = 0.0) -> tuple[Node, Path] | None:
        """A device that does not know the present way to us, for its alerts; only one that knew none and has been up so long."""
        for node in self.topology.placed():
            if node.state is not NodeState.UP or node.device not in self.concentrator.peers or node.legacy:
                continue
            if settled_s and (node.up_at + settled_s > now or node.way_told is not None):
                continue
            path = self.topology.ways.path(node.unique_node_id, 0, now)
            told = node.way_told
            if path is not None and (told is None or self._tells_again(node, *told, path, now)):
                return node, path
        return None

    def _tells_again(self, node: Node, told_at: float, told: Path, path: Path, now: float) -> bool:
        """Whether a way is told to somebody who knows one: another one, once it has settled, or the same in time."""
        if told == path or not isinstance(self.topology.ways, Ways):
            return told != path or told_at + _ROUTE_AGAIN_S <= now
        return self.topology.ways.since(node.unique_node_id) + _SETTLED_S <= now

    def _tell_meanwhile(self, now: float) -> None:
        """While others are still looked for, tell a way beside that: who knows none for its alerts is scanned often."""
        if self._telling is not None and not self._telling.is_done:
            return
        told = self._next_way(now, settled_s=_SETTLED_S)
        if told is not None:
            self._telling = self.concentrator.tasks.start(self._tell_way(*told), now, name="way for alerts")

    async def _tell_way(self, node: Node, path: Path) -> None:
        """Write UT19: the reverse of the way, the last node is the concentrator."""
        topology, now = self.topology, self.concentrator.now
        node.way_told = now, path
        hops = topology.as_hops(path)
        if hops is None:
            return
        carriers = [hop.alternate_path for hop in reversed(hops)]
        places = [
            *((hop.subnet, hop.node) for hop in reversed(hops[:-1])),
            (topology.place.subnet, topology.place.node),
        ]
        steps = [
            ReverseStep(hop=ReverseHop(node=number, alternate_path=int(alternate)), subnet=subnet)
            for (subnet, number), alternate in zip(places, carriers)
        ]
        content = ReverseRoute(lifetime=_ROUTE_LIFETIME_MIN, count=len(steps), hops=steps).encode()
        try:
            await self.concentrator.access(node.device, Priority.HOUSEKEEPING).write(ALERT_ROUTE, content)
        except (LinkError, SecurityError, ResponseError, ConfigError):
            # Not worth more airtime now: the alarms are scanned for in any case.
            node.way_told = now - _ROUTE_AGAIN_S + 3600.0, path
            node.alerts = False
            return
        node.alerts = True
        await self._tell_patience(node)

    async def _tell_patience(self, node: Node) -> None:
        """A device that is asked seldom, because it sends alerts, must not think that nobody talks to it: it would answer probes."""
        plan = self.concentrator.config.plan
        minutes = math.ceil(2 * min(plan.alerting_scan_s, plan.billing_s, plan.profile_s) / 60)
        if node.patience_min == minutes or minutes <= _PATIENCE_MIN:
            return
        content = min(minutes, 0xFFFF).to_bytes(2, "little")
        with suppress(LinkError, SecurityError, ResponseError, ConfigError):
            access = self.concentrator.access(node.device, Priority.HOUSEKEEPING)
            await access.write_part(ET55.number, _PATIENCE_AT, content)
            node.patience_min = minutes

    def _is_alerting(self, device: int) -> bool:
        """Whether a device tells of its alarms by itself (``Concentrator.alerting``)."""
        node = self.topology.by_device(device)
        return node is not None and node.alerts
