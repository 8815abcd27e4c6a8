"""``Topology``: every device that the concentrator has heard of: how far it has come, where it is, how it is reached.

``spec/osgp-application.md`` 3.10 (project choice; clause 4 of ETSI TS 104 001 was not read)::

    UNKNOWN → HEARD → CHALLENGED → COMMISSIONED → UP ↔ DOWN (45 min) → LOST (24 h) → removed by the head-end

It is the ``Routes`` of the exchanges. What proves a device alive is an answer under its key and nothing else; answers to probes make
candidates. Devices without a key here, of another concentrator, with a wrong key or a generation that went back have a ``Standing``
that says so; they cost no airtime but a rare look. Everything is in the journal, so that a restart goes on where it was.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

from osgp.concentrator.exchange import Exchange, Route
from osgp.concentrator.journal import Journal
from osgp.concentrator.link_metric import UNUSABLE, grade
from osgp.concentrator.phase import OWN, PhaseVotes, steps_after
from osgp.concentrator.routes import FAILURES, ROOT, FixedWays, Graph, Path, Step, WayBook, Ways
from osgp.lon.address import SubnetNode
from osgp.lon.proxy import Hop
from osgp.wire.errors import ConfigError, SecurityError

__all__ = ["DOWN_S", "LOST_S", "TRIAL", "Node", "NodeState", "Standing", "Topology", "TopologyEvent"]

DOWN_S = 45 * 60.0
"""Without an answer for so long a device is down: a slot of availability history (1.10) ..."""
LOST_S = 24 * 3600.0
"""... and for so long lost."""
_BEFORE_S = 900.0
_NODES, _SUBNETS = 127, 255
_MOST_STRANGERS = 256
_MOST_CANDIDATES = 1024
_MOST_EVENTS = 1000
_AVAILABILITY_SLOTS = 96
_PREFIX = "node."
_SETTLE_S = 10.0
_DAMAGED = (KeyError, TypeError, ValueError, OverflowError)
"""What reading a value of another form ends with."""
TRIAL = "trial"
"""Kind of the exchanges that try a way (``neighbours``)."""


class NodeState(Enum):
    """How far a device has come."""

    UNKNOWN = "unknown"
    HEARD = "heard"
    CHALLENGED = "challenged"
    COMMISSIONED = "commissioned"
    UP = "up"
    DOWN = "down"
    LOST = "lost"


class Standing(Enum):
    """Why a device is not taken on, or ``OURS``."""

    OURS = "ours"
    NO_KEY = "no key"
    FOREIGN = "foreign"
    REVOKED = "revoked"
    QUARANTINED = "quarantined"
    WRONG_KEY = "wrong key"
    WENT_BACK = "generation went back"
    REFUSED = "refuses"


PLACED = frozenset((NodeState.COMMISSIONED, NodeState.UP, NodeState.DOWN, NodeState.LOST))
"""States of a device that has our keys."""


class TopologyEvent(NamedTuple):
    """Something happened to a device. ``what``: ``heard``, a state, a standing, ``way``, ``address`` …; ``text`` says it."""

    at: float
    unique_node_id: bytes
    what: str
    text: str


@dataclass(slots=True)
class Node:
    """One device. Times are monotonic seconds, those with ``wall`` in their names UTC seconds.

    ``device``: number in the journal, -1 none; ``claimed``: the state of its latest answer to a probe, as it says; ``heard_by``: who
    asked then, on which carrier; ``up_at``: when it was first up; ``failures`` of commissioning in a row, and ``next_try``;
    ``keyed_wall``: when its keys were made; ``asked_at``: when it last asked around as agent, by carrier; ``register_at``: when its
    links were read; ``surveyed``: when it last asked all its neighbours (``neighbours``), and how often so far; ``way_told``: the way
    that it knows for its alerts; ``alerts``: it has taken one; ``patience_min``: how long it waits for us before it answers probes
    again, as it was told; ``unanswered_at``: the first question since its last answer that was in vain, ``failed_at``: the latest;
    ``moves``: it is to get another address; ``kb_generation``: of its broadcast key; ``window_wall``: when B was raised;
    ``fcm``: day and number of commissioning messages; ``legacy``: it speaks the legacy suite; ``slots``: availability in steps of
    45 minutes.
    """

    unique_node_id: bytes
    state: NodeState = NodeState.UNKNOWN
    standing: Standing = Standing.OURS
    address: SubnetNode | None = None
    device: int = -1
    name: str = ""
    program_id: bytes = b""
    claimed: int = 0
    heard_at: float | None = None
    heard_by: tuple[bytes, bool] | None = None
    answered_at: float | None = None
    unanswered_at: float | None = None
    failed_at: float | None = None
    up_at: float = 0.0
    reason: str = ""
    failures: int = 0
    next_try: float = 0.0
    keyed_wall: float = 0.0
    asked_at: dict[bool, float] = field(default_factory=dict)
    register_at: float | None = None
    surveyed: tuple[float, int] | None = None
    way_told: tuple[float, Path] | None = None
    alerts: bool = False
    patience_min: int = 0
    moves: bool = False
    kb_generation: int = 0
    window_wall: float = 0.0
    fcm: tuple[int, int] = (0, 0)
    legacy: bool = False
    phase: PhaseVotes = field(default_factory=PhaseVotes)
    slots: list[int] = field(default_factory=list)

    @property
    def is_placed(self) -> bool:
        """Whether it has our keys."""
        return self.state in PLACED


class Topology:
    """See the module. ``domain``, ``subnet`` and ``node`` are the concentrator's own. ``static``: ways that somebody wrote down, in
    place of what is found out (their devices are known from the beginning); ``static_backups`` beside them."""

    def __init__(
        self,
        journal: Journal,
        *,
        wall: Callable[[float], float],
        now: float = 0.0,
        domain: bytes,
        place: SubnetNode,
        static: Mapping[bytes, Path] | None = None,
        static_backups: Mapping[bytes, Path] | None = None,
    ) -> None:
        self.journal = journal
        self.wall = wall
        self.domain = domain
        self.place = place
        self.graph = Graph()
        self.is_static = static is not None
        self.ways: WayBook = (
            FixedWays(static, static_backups or {}) if static is not None else Ways(self.graph, settle_s=_SETTLE_S)
        )
        self.nodes: dict[bytes, Node] = {}
        self.strangers: OrderedDict[bytes, tuple[float, Standing]] = OrderedDict()
        """Devices that were heard and for which there is no key; the latest 256."""
        self.blocked: set[SubnetNode] = set()
        """Addresses that somebody else holds."""
        self.root_asked_at: dict[bool, float] = {}
        """When the concentrator itself asked around last, by carrier."""
        self._events: list[TopologyEvent] = []
        self._by_address: dict[SubnetNode, bytes] = {}
        self._reserved: set[SubnetNode] = set()
        self._by_device: dict[int, bytes] = {}
        self._changed: set[bytes] = set()
        self._load(now)
        for path in (static or {}).values():
            for step in path:
                self.node(step.node)

    # ---- devices ----------------------------------------------------------------------------------------------------
    def node(self, unique_node_id: bytes) -> Node:
        """A device, made if it is new. Raises ConfigError for an ID that is none."""
        found = self.nodes.get(unique_node_id)
        if found is None:
            if len(unique_node_id) != 6:
                raise ConfigError(f"a unique node ID has 6 bytes, not {len(unique_node_id)}")
            found = self.nodes[unique_node_id] = Node(unique_node_id)
        return found

    def by_address(self, address: SubnetNode) -> Node | None:
        """Who has an address of ours."""
        found = self._by_address.get(address)
        return self.nodes.get(found) if found is not None else None

    def by_device(self, device: int) -> Node | None:
        """By the number in the journal."""
        found = self._by_device.get(device)
        return self.nodes.get(found) if found is not None else None

    def placed(self) -> list[Node]:
        """Devices that have our keys, the nearest first."""
        found = [node for node in self.nodes.values() if node.is_placed]
        return sorted(found, key=lambda node: (self.legs(node), node.device, node.unique_node_id))

    def legs(self, node: Node) -> int:
        """Links of the way to a device; 0 if there is none."""
        return len(self.ways.known(node.unique_node_id) or ())

    def set_device(self, node: Node, device: int) -> None:
        """The number of a device in the journal."""
        node.device = device
        self._by_device[device] = node.unique_node_id

    def set_state(self, node: Node, state: NodeState, now: float, text: str = "") -> None:
        """A device has come farther, or fallen back."""
        if node.state is state:
            return
        node.state = state
        self.changed(node)
        self._settle_repeaters()
        self.tell(node.unique_node_id, state.value, text or f"{node.unique_node_id.hex()} is {state.value}", now)

    def set_standing(self, node: Node, standing: Standing, reason: str, now: float) -> None:
        """Why a device is not taken on; or it is, after all."""
        node.reason = reason
        if node.standing is standing:
            return
        node.standing = standing
        self.changed(node)
        self._settle_repeaters()
        self.tell(node.unique_node_id, standing.value, f"{node.unique_node_id.hex()}: {reason or standing.value}", now)

    def tell(self, unique_node_id: bytes, what: str, text: str, now: float) -> None:
        """Note an event."""
        self._events.append(TopologyEvent(now, unique_node_id, what, text))
        del self._events[:-_MOST_EVENTS]

    def events(self) -> list[TopologyEvent]:
        """What has happened since the last call, oldest first; the last 1000."""
        found, self._events = self._events, []
        return found

    def remove(self, unique_node_id: bytes) -> None:
        """The head-end has removed a device: nothing of it stays, its address is free. Raises StoreError."""
        node = self.nodes.pop(unique_node_id, None)
        if node is None:
            return
        self._by_device.pop(node.device, None)
        if node.address is not None:
            self._by_address.pop(node.address, None)
        if isinstance(self.ways, Ways):
            self.ways.remove(unique_node_id)
        self.graph.forget(unique_node_id)
        self._settle_repeaters()
        self._changed.discard(unique_node_id)
        self.journal.put(_PREFIX + unique_node_id.hex(), None)

    def _settle_repeaters(self) -> None:
        self.graph.set_repeaters(
            node.unique_node_id
            for node in self.nodes.values()
            if node.state in (NodeState.COMMISSIONED, NodeState.UP) and node.standing is Standing.OURS
        )

    # ---- addresses --------------------------------------------------------------------------------------------------
    def reserve(self) -> SubnetNode:
        """A free address, kept for somebody until ``place_at`` or ``release``: in our own subnet first, so that chains are short.

        Raises ConfigError when all are taken.
        """
        subnets = [self.place.subnet, *(each for each in range(1, _SUBNETS + 1) if each != self.place.subnet)]
        for address in (SubnetNode(subnet, number) for subnet in subnets for number in range(1, _NODES + 1)):
            if not (address in self._by_address or address == self.place or address in self.blocked | self._reserved):
                self._reserved.add(address)
                return address
        raise ConfigError("all addresses of this concentrator are taken", hint="remove devices that are gone")

    def keep_free(self, address: SubnetNode) -> None:
        """An address is for somebody who has it already: it is not given out."""
        self._reserved.add(address)

    def release(self, address: SubnetNode) -> None:
        """A reserved address was not used."""
        self._reserved.discard(address)

    def place_at(self, node: Node, address: SubnetNode) -> None:
        """A device has this address now, and no other. In the journal when this returns. Raises StoreError."""
        self._reserved.discard(address)
        if node.address != address:
            if node.address is not None and self._by_address.get(node.address) == node.unique_node_id:
                del self._by_address[node.address]
            node.address = address
            self._by_address[address] = node.unique_node_id
            self.graph.touch()
        self.changed(node)
        self.save()

    def block(self, address: SubnetNode) -> None:
        """Somebody else holds an address: it is not given out (again)."""
        self.blocked.add(address)
        self.journal.put("blocked addresses", sorted([each.subnet, each.node] for each in self.blocked))

    # ---- what was heard ---------------------------------------------------------------------------------------------
    def heard_of(self, unique_node_id: bytes, now: float) -> Node | None:
        """A candidate: somebody says that a device of that name is there. None if there are too many."""
        node = self.nodes.get(unique_node_id)
        if node is None and sum(not each.is_placed for each in self.nodes.values()) >= _MOST_CANDIDATES:
            return None
        node = node or self.node(unique_node_id)
        node.heard_at = now
        if isinstance(self.ways, Ways):
            self.ways.add(unique_node_id)
        if node.state is NodeState.UNKNOWN:
            self.set_state(node, NodeState.HEARD, now)
        return node

    def stranger(self, unique_node_id: bytes, standing: Standing, now: float) -> None:
        """A device that was heard and cannot be ours now."""
        if unique_node_id not in self.strangers:
            self.tell(unique_node_id, standing.value, f"{unique_node_id.hex()} was heard: {standing.value}", now)
        self.strangers[unique_node_id] = (now, standing)
        self.strangers.move_to_end(unique_node_id)
        if len(self.strangers) > _MOST_STRANGERS:
            self.strangers.popitem(last=False)

    def seen_phase(self, node: Node, asked_by: bytes, code: int) -> None:
        """A device has told how it sees the mains of whoever asked."""
        asker = self.nodes.get(asked_by)
        steps = OWN if asked_by == ROOT else asker.phase.steps if asker is not None else None
        if steps is not None:
            node.phase.add(steps_after(steps, code))

    # ---- Routes -----------------------------------------------------------------------------------------------------
    def route(self, device: int, attempt: int, now: float) -> Route | None:
        """See ``exchange.Routes``."""
        node = self.by_device(device)
        return None if node is None else self.route_to(node.unique_node_id, attempt, now)

    def route_to(self, unique_node_id: bytes, attempt: int, now: float) -> Route | None:
        """The way to a device by its name; None if there is none."""
        path = self.ways.path(unique_node_id, attempt, now)
        return None if path is None else self.as_route(path)

    def as_route(self, path: Path) -> Route | None:
        """A way as the exchanges know it; None if a node on it has no address."""
        hops = self.as_hops(path[:-1])
        if hops is None:
            return None
        alternate = path[-1].alternate
        return Route(hops, alternate if hops or alternate else None)

    def as_hops(self, path: Path) -> tuple[Hop, ...] | None:
        """The nodes of a way that pass a message on, the last one too."""
        hops = []
        for step in path:
            node = self.nodes.get(step.node)
            if node is None or node.address is None:
                return None
            hops.append(Hop(node.address.subnet, node.address.node, step.alternate))
        return tuple(hops)

    def _path(self, node: Node, route: Route) -> Path | None:
        """The way behind a route, if its addresses are still those of the same nodes."""
        steps = []
        for hop in route.hops:
            found = self._by_address.get(SubnetNode(hop.subnet, hop.node))
            if found is None:
                return None
            steps.append(Step(found, hop.alternate_path))
        return (*steps, Step(node.unique_node_id, bool(route.alternate_path)))

    def answered(self, device: int, route: Route, attempts: int, now: float) -> None:
        """See ``exchange.Routes``. Nothing yet: whether the answer is good is not known before it is opened."""

    def failed(self, device: int, route: Route, leg: int, attempts: int, now: float) -> None:
        """See ``exchange.Routes``."""
        node = self.by_device(device)
        path = None if node is None or not attempts else self._path(node, route)
        if node is not None and path is not None:
            self._failed(node, path, leg, now)

    def _failed(self, node: Node, path: Path, leg: int, now: float) -> None:
        before = self.ways.known(node.unique_node_id)
        self.ways.failed(node.unique_node_id, path, leg, now)
        after = self.ways.path(node.unique_node_id, 0, now)
        if after is not None and after != before:
            self.changed(node)
            if node.state is NodeState.UP:
                name = node.unique_node_id.hex()
                self.tell(node.unique_node_id, "way", f"{name} is reached over {len(after)} legs now", now)

    def ended(self, exchange: Exchange, answered: bool, now: float) -> None:
        """An exchange with a device is over (``Concentrator.ended``): an answer under its key proves the device and the way."""
        node = self.by_device(exchange.peer.device)
        if node is None or not exchange.is_sealed:
            return
        path = self._path(node, exchange.route)
        if answered:
            node.answered_at, node.unanswered_at, node.failed_at = now, None, None
            if path is not None:
                self.graph.prove(path, now)
                self.ways.answered(node.unique_node_id, path, now)
                if isinstance(self.ways, Ways) and self._is_lost_on_its_way(node):
                    self.ways.adopt(node.unique_node_id, path, now)
            if node.is_placed:
                if not node.up_at:
                    node.up_at = now
                self.set_state(node, NodeState.UP, now)
            return
        if exchange.kind == TRIAL:
            return  # in vain over a way that nobody has proven: that says nothing of the device
        if node.unanswered_at is None:
            node.unanswered_at = now
        node.failed_at = now
        if isinstance(exchange.error, SecurityError) and path is not None:
            self._failed(node, path, -1, now)

    def _is_lost_on_its_way(self, node: Node) -> bool:
        """Whether the way in use is no good, whatever it seems to cost: whoever answers over another one is reached by that."""
        assert isinstance(self.ways, Ways)
        failed = self.ways.failures(node.unique_node_id) >= FAILURES
        return failed or node.state in (NodeState.DOWN, NodeState.LOST)

    # ---- time -------------------------------------------------------------------------------------------------------
    def watch(self, now: float) -> list[Node]:
        """Who has fallen silent: up becomes down, down becomes lost. Those whose state changed. Silent is who does not answer, not who
        is not asked: silence is counted from the last answer, at most a scan's quarter of an hour before a question was in vain."""
        found = []
        for node in self.nodes.values():
            if node.state not in (NodeState.UP, NodeState.DOWN, NodeState.COMMISSIONED):
                continue
            if node.unanswered_at is None:
                continue
            asked = node.unanswered_at - _BEFORE_S
            silent = now - max(asked, node.answered_at if node.answered_at is not None else asked)
            if silent >= LOST_S:
                state = NodeState.LOST
            elif silent >= DOWN_S:
                state = NodeState.DOWN
            else:
                continue
            if node.state is not state:
                found.append((node, state))
        for node, state in found:
            self.set_state(node, state, now)
        return [node for node, _ in found]

    def note_availability(self) -> None:
        """A slot of 45 minutes is over: 1 for devices that are up; a day and a bit more is kept."""
        for node in self.nodes.values():
            if node.is_placed:
                node.slots.append(int(node.state is NodeState.UP))
                del node.slots[:-_AVAILABILITY_SLOTS]
                self.changed(node)

    # ---- broadcast --------------------------------------------------------------------------------------------------
    def chains(self) -> list[tuple[Hop, ...]]:
        """Chains of repeaters that together reach everybody: our own earshot, and each way that no other begins with."""
        used = {hops for path in self.ways.in_use().values() if (hops := self.as_hops(path[:-1])) is not None and hops}
        inner = {hops[:n] for hops in used for n in range(1, len(hops))}
        return [(), *sorted(used - inner)]

    # ---- the journal ------------------------------------------------------------------------------------------------
    def changed(self, node: Node) -> None:
        """A device is to be kept with the next ``save``."""
        self._changed.add(node.unique_node_id)

    def save(self, *, links: bool = False) -> None:
        """Keep what has changed, in one transaction; with ``links`` all that is known of these as well. Raises StoreError."""
        values: dict[str, Any] = {}
        for unique_node_id in sorted(self._changed):
            node = self.nodes.get(unique_node_id)
            if node is not None and (node.state is not NodeState.UNKNOWN or node.address is not None):
                values[_PREFIX + unique_node_id.hex()] = self._node_to_json(node)
        if links:
            values["links"] = [
                [listener.hex(), speaker.hex(), int(alternate), half.margin_db, int(half.proven)]
                for listener, speaker, alternate, half in self.graph.halves()
            ]
            values["asked"] = [[int(alternate), self._wall_of(at)] for alternate, at in self.root_asked_at.items()]
        if values:
            self.journal.put_all(values)
        self._changed.clear()

    def _wall_of(self, at: float) -> float:
        """A monotonic moment as UTC seconds: the clock of the next start begins elsewhere."""
        return round(self.wall(at), 1)

    def _moment_of(self, wall: float, now: float) -> float:
        return now - max(0.0, self.wall(now) - wall)

    def _node_to_json(self, node: Node) -> dict[str, Any]:
        way = self.ways.known(node.unique_node_id)
        return {
            "state": node.state.value,
            "standing": node.standing.value,
            "reason": node.reason,
            "address": None if node.address is None else [node.address.subnet, node.address.node],
            "device": node.device,
            "name": node.name,
            "program": node.program_id.hex(),
            "keyed": node.keyed_wall,
            "kb": node.kb_generation,
            "window": node.window_wall,
            "moves": node.moves,
            "asked": [[int(alternate), self._wall_of(at)] for alternate, at in node.asked_at.items()],
            "links read": None if node.register_at is None else self._wall_of(node.register_at),
            "surveyed": None if node.surveyed is None else [self._wall_of(node.surveyed[0]), node.surveyed[1]],
            "fcm": list(node.fcm),
            "legacy": node.legacy,
            "phase": node.phase.votes,
            "slots": node.slots,
            "way": None if way is None else [[step.node.hex(), int(step.alternate)] for step in way],
        }

    def _load(self, now: float) -> None:
        """What the journal knows. A value that is damaged or of another form is left out: discovery finds it again."""
        for name, value in self.journal.get_all(_PREFIX).items():
            try:
                self._node_from_json(bytes.fromhex(name[len(_PREFIX) :]), value, now)
            except (ConfigError, *_DAMAGED) as error:
                self.tell(b"", "journal", f"{name} in the journal is not understood: {error!r:.80}", now)
        for link in self._kept("links"):
            try:
                listener, speaker, alternate, margin, proven = link
                ends = bytes.fromhex(listener), bytes.fromhex(speaker)
                self.graph.hear(*ends, float(margin), now, alternate=bool(alternate), proven=bool(proven))
            except _DAMAGED as error:
                self.tell(b"", "journal", f"a link in the journal is not understood: {error!r:.80}", now)
        self.root_asked_at = {bool(each): self._moment_of(at, now) for each, at in self._kept("asked")}
        self.blocked = {SubnetNode(subnet, node) for subnet, node in self._kept("blocked addresses")}
        self._settle_repeaters()
        self._changed.clear()

    def _kept(self, name: str) -> Iterable[Any]:
        value = self.journal.get(name, [])
        return value if isinstance(value, list) else []

    def _node_from_json(self, unique_node_id: bytes, value: Mapping[str, Any], now: float) -> None:
        surveyed = None
        if "surveyed" in value and value["surveyed"] is not None:
            at, times = value["surveyed"]
            surveyed = self._moment_of(at, now), int(times)
        node = Node(
            unique_node_id,
            state=NodeState(value["state"]),
            standing=Standing(value["standing"]),
            address=None if value["address"] is None else SubnetNode(*value["address"]),
            device=value["device"],
            name=value["name"],
            program_id=bytes.fromhex(value["program"]),
            reason=value["reason"],
            keyed_wall=value["keyed"],
            kb_generation=value["kb"],
            window_wall=value["window"],
            moves=value["moves"],
            asked_at={bool(each): self._moment_of(at, now) for each, at in value["asked"]},
            register_at=None if value["links read"] is None else self._moment_of(value["links read"], now),
            surveyed=surveyed,
            fcm=(value["fcm"][0], value["fcm"][1]),
            legacy=bool(value.get("legacy", False)),
            phase=PhaseVotes(list(value["phase"])),
            slots=list(value["slots"]),
        )
        if node.state is NodeState.CHALLENGED:
            node.state = NodeState.HEARD
        if node.state is NodeState.UP:
            node.state = NodeState.COMMISSIONED  # until it answers
        node.answered_at = now if node.is_placed and node.state is not NodeState.LOST else None
        way = value["way"]
        path = None if way is None else tuple(Step(bytes.fromhex(each), bool(alternate)) for each, alternate in way)
        self.nodes[unique_node_id] = node
        if node.address is not None:
            self._by_address[node.address] = unique_node_id
        if node.device >= 0:
            self._by_device[node.device] = unique_node_id
        if isinstance(self.ways, Ways):
            self.ways.add(unique_node_id, path, now)

    # ---- what it looks like -------------------------------------------------------------------------------------------
    def status(self, now: float) -> dict[str, Any]:
        """The map, as plain data: nodes, links with both margins, ways."""
        return {
            "mode": "static" if self.is_static else "dynamic",
            "concentrator": str(self.place),
            "nodes": [self.node_status(node, now) for node in self.nodes.values()],
            "links": [
                {
                    "a": a.hex() or "concentrator",
                    "b": b.hex() or "concentrator",
                    "alternate": alternate,
                    "margin_ab_db": there,
                    "margin_ba_db": back,
                    "grade": grade(min(there, back)),
                }
                for a, b, alternate, there, back in self.graph.links()
            ],
            "strangers": {each.hex(): standing.value for each, (_, standing) in self.strangers.items()},
            "blocked": sorted(map(str, self.blocked)),
        }

    def node_status(self, node: Node, now: float) -> dict[str, Any]:
        """What ``status`` says of one node."""
        way, backup = self.ways.path(node.unique_node_id, 0, now), self.ways.backup(node.unique_node_id, now)
        cost = self.graph.cost_of(way) if way and not self.is_static else UNUSABLE
        phase = node.phase.found
        return {
            "unique_node_id": node.unique_node_id.hex(),
            "device": node.device if node.device >= 0 else None,
            "name": node.name,
            "state": node.state.value,
            "standing": node.standing.value,
            "reason": node.reason,
            "suite": "legacy" if node.legacy else "AES-128" if node.is_placed else None,
            "address": str(node.address) if node.address is not None else None,
            "way": None if way is None else [step.node.hex() for step in way],
            "backup": None if backup is None else [step.node.hex() for step in backup],
            "way_alternate": [step.alternate for step in way or ()],
            "backup_alternate": [step.alternate for step in backup or ()],
            "cost": None if cost == UNUSABLE else cost,
            "phase": None if phase is None else phase.phase,
            "inverted": None if phase is None else phase.inverted,
            "answered_at": node.answered_at,
            "availability": node.slots,
        }
