"""Discovery: who is there, ring by ring; and how well neighbours hear each other. Coroutines over exchanges, no I/O.

``spec/osgp-application.md`` 1.10 and 3.10 (after published patents; the messages are a project choice). A *sweep* asks around from one
node: the concentrator by a broadcast of its own, a device as the last repeater of a chain (LTEP agent), whose answers are then read
from its table (UT17). A sweep consists of rounds; a round divides the hashes into ranges, which are asked one after the other, so that
everybody is asked once in it. More than 30 % collisions, or a full table: the next round has ranges half as wide, unless there are as
many ranges as frames already, or that has not helped twice. The number of slots is odd, always: the CRCs of two devices differ by the
same bits in every round, so that with 8 slots a pair in 8 would meet in the same one for ever.

Answers are not authenticated. They name candidates and claim margins; what a device tells of its links (UT18) under its key is taken
for what it is: measured by a transceiver, which can be deceived but not by a recording of another day. The airtime of all of it is
kept within 5 % of the channel's time, saved up for an hour.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from osgp.app.messages import Here, Probe, ProbeFlags
from osgp.app.profile import OsgpProfile
from osgp.concentrator.accounts import AirtimeAccount
from osgp.concentrator.core import Concentrator
from osgp.concentrator.door import PowerLineAccess
from osgp.concentrator.exchange import Peer, Priority, Route
from osgp.concentrator.routes import ROOT, Step
from osgp.concentrator.topology import Node, NodeState, Topology
from osgp.lon.address import Broadcast, SubnetNode
from osgp.lon.events import Event, MessageReceived
from osgp.lon.ltep import Mode
from osgp.lon.proxy import Hop
from osgp.node.atm import hash_of
from osgp.node.link_register import Heard, heard_in
from osgp.node.osgp_tables import HEARD_ANSWERS, LINK_REGISTER, HeardAnswer, HeardAnswers, LinkRegister
from osgp.tables.services import ResponseCode
from osgp.wire import layout_of
from osgp.wire.errors import DecodeError, LinkError, ResponseError, SecurityError

__all__ = ["Answer", "Discovery", "DiscoveryPolicy", "Sweep"]

_PROBE_BYTES = layout_of(Probe).size or 0
_HERE_BYTES = layout_of(Here).size or 0
_ANSWER_BYTES = layout_of(HeardAnswer).size or 0
_TABLE_HEAD = 4
_LINK_BYTES = 9
_FULL = 16
"""Answers that an agent keeps."""
_READ = 84
_DIAGNOSTIC = b"\x57"
_ATTENUATED_DB = 12.0
"""What an attenuated link probe that is answered proves: margin for the grade above "poor" (project choice)."""
_UNKNOWN = -128
_SOONER = 8.0
_HELPED, _IN_VAIN = 0.8, 2
"""The share of lost frames falls below so much of the least so far when answers get more room; so often it may not."""


@dataclass(frozen=True, slots=True)
class DiscoveryPolicy:
    """``share``: of the channel's time for probes and what belongs to them, saved up for at most ``window_s``.

    ``slots`` of ``slot_units`` (16 ms each): for answers, up to ``most_slots`` as more are expected, and one more where that is even;
    ``guard_s``: waited for more.
    ``collisions``: share above which ranges are halved, at most to ``most_ranges`` of them; ``rounds``: most of a sweep. ``again_s``:
    after which a node asks around again, an eighth of it while there is news; ``register_s``: after which its links are read again,
    the first time ``first_register_s`` after it came. ``alternate``: look on that carrier, too. ``survey_slots``: for answers of all
    neighbours of a device.
    """

    share: float = 0.05
    window_s: float = 3600.0
    slots: int = 8
    most_slots: int = 64
    slot_units: int = 10
    collisions: float = 0.3
    most_ranges: int = 64
    rounds: int = 6
    again_s: float = 6 * 3600.0
    register_s: float = 6 * 3600.0
    first_register_s: float = 900.0
    guard_s: float = 0.6
    alternate: bool = True
    survey_slots: int = 33


class Answer(NamedTuple):
    """One device that answered a probe: what it claims, and how its answer was heard. Margins in dB."""

    unique_node_id: bytes
    margin_there: float
    margin_here: float
    phase: int
    claimed: int
    program_id: bytes
    address: SubnetNode | None = None


@dataclass(slots=True)
class Sweep:
    """What asking around from one node came to: devices ``heard``, those ``new`` among them; probes, rounds, ranges of the last round;
    frames ``lost`` to collisions or noise while answers were awaited."""

    heard: int = 0
    new: int = 0
    probes: int = 0
    rounds: int = 0
    ranges: int = 1
    lost: int = 0


class Discovery:
    """Asks around over a concentrator's line. ``found``: is given each answer, and says whether it is something new.

    ``heard``: how the concentrator's own receiver took the frame at work; ``damaged``: frames that it has lost so far.
    """

    def __init__(
        self,
        concentrator: Concentrator,
        topology: Topology,
        *,
        random: Random,
        found: Callable[[Answer, bytes, bool, float], bool],
        heard: Callable[[], Heard],
        damaged: Callable[[], int] = lambda: 0,
        policy: DiscoveryPolicy | None = None,
        profile: OsgpProfile | None = None,
    ) -> None:
        self.concentrator = concentrator
        self.topology = topology
        self.policy = policy or DiscoveryPolicy()
        self.profile = profile or OsgpProfile()
        self.budget = AirtimeAccount(self.policy.share, self.policy.window_s)
        self.sweeps = self.probes = self.answers = 0
        self._found = found
        self._heard = heard
        self._damaged = damaged
        self._round = random.randrange(1 << 16)
        self._own: dict[bytes, Answer] = {}
        self._own_round: tuple[int, bool] | None = None
        self._ranges: dict[tuple[bytes, bool], int] = {}
        self.quiet: dict[tuple[bytes, bool], int] = {}
        """Sweeps in a row that brought nothing new, by node and carrier."""

    # ---- what comes in ----------------------------------------------------------------------------------------------
    def receive(self, event: Event, now: float) -> bool:
        """A message beside the answers (``Concentrator.message``): answers to our own probe, probes of agents. Whether it was one."""
        if not isinstance(event, MessageReceived) or event.apdu[:1] != bytes((self.profile.codes.atm,)):
            return False
        if event.reply is not None:
            self.concentrator.stack.respond(event.reply, None, now)
        heard = self._heard()
        try:
            if event.apdu[1:2] == b"\x81":
                self._answered(Here.decode(event.apdu), event, heard)
            elif event.apdu[1:2] == b"\x01":
                self._overheard(Probe.decode(event.apdu), event, heard, now)
        except DecodeError:
            pass
        return True

    def _answered(self, here: Here, event: MessageReceived, heard: Heard) -> None:
        """Only while we ask, and only of the round that we ask for."""
        if self._own_round != (here.round, self.concentrator.alternate_path):
            return
        address = event.source if event.domain == self.topology.domain and event.source.node else None
        self._own[here.unique_node_id] = Answer(
            here.unique_node_id, here.margin, heard.margin_db, here.phase, here.state, here.program_id, address
        )

    def _overheard(self, probe: Probe, event: MessageReceived, heard: Heard, now: float) -> None:
        """A device asks around for us: so well do we hear it."""
        node = self.topology.by_address(event.source) if event.domain == self.topology.domain else None
        if node is not None and node.unique_node_id == probe.sender and node.is_placed:
            alternate = self.concentrator.alternate_path
            self.topology.graph.hear(ROOT, node.unique_node_id, heard.margin_db, now, alternate=alternate, proven=True)

    # ---- asking around ----------------------------------------------------------------------------------------------
    def free_at(self, now: float) -> float:
        """When the budget allows the next probe."""
        return self.budget.free_at(now)

    async def sweep(
        self, agent: bytes, *, alternate: bool = False, priority: Priority = Priority.HOUSEKEEPING
    ) -> Sweep:
        """Ask around from the concentrator (``ROOT``) or a device: whoever is not commissioned, or hears no concentrator.

        Raises what exchanges end with, if the agent cannot be reached.
        """
        policy, result = self.policy, Sweep()
        ranges = self._ranges.get((agent, alternate), 1)
        seen: set[bytes] = set()
        slots = policy.slots
        least, in_vain = math.inf, 0
        self.sweeps += 1
        for _ in range(policy.rounds):
            self._round = (self._round + 1) & 0xFFFF
            result.rounds += 1
            news, answers, lost, full = 0, 0, 0, False
            for number in range(ranges):
                bounds = (number << 16) // ranges, ((number + 1 << 16) // ranges) - 1
                found, missed = await self.probe(agent, bounds, slots=slots | 1, alternate=alternate, priority=priority)
                result.probes += 1
                fresh = [each for each in found if each.unique_node_id not in seen]
                seen.update(each.unique_node_id for each in fresh)
                news += len(fresh)
                answers, lost = answers + len(found), lost + missed
                full = full or (agent != ROOT and len(found) >= _FULL)
                result.new += self._tell(found, agent, alternate)
            result.lost += lost
            # Answers that met have more room in the next round. Where that has not helped twice, what is lost are no answers, but
            # frames from too far away or of others at work, and there is more of them the longer we listen.
            share = lost / max(1, lost + answers)
            in_vain += share > _HELPED * least
            least = min(least, share)
            collided = share > policy.collisions and in_vain < _IN_VAIN
            if full or (collided and lost + answers > ranges):
                ranges = min(2 * ranges, policy.most_ranges)
            elif ranges > 1 and answers + lost <= ranges:
                ranges //= 2
            slots = max(policy.slots, min(policy.most_slots, 2 * (answers + lost * collided) // ranges))
            # Who was not heard in a round without any loss is not there; else until nobody new comes.
            if not full and (not lost or (not news and not collided)):
                break
        result.heard, result.ranges = len(seen), ranges
        self._ranges[agent, alternate] = ranges
        return result

    async def survey(self, agent: Node, *, priority: Priority = Priority.HOUSEKEEPING) -> int:
        """Have a device ask who is around it, commissioned or not, in one probe; how many answered: it keeps the 16 best answers.
        Raises what exchanges end with, if the agent cannot be reached."""
        self._round = (self._round + 1) & 0xFFFF
        flags = ProbeFlags(all_devices=1)
        slots = self.policy.survey_slots
        found, _ = await self.probe(
            agent.unique_node_id, (0, 0xFFFF), slots=slots, flags=flags, priority=priority, many=True
        )
        self._tell(found, agent.unique_node_id, False)
        return len(found)

    async def hunt(self, wanted: Node, agent: bytes, *, alternate: bool = False) -> bool:
        """Ask from a node for one device alone, whatever its state: the range is its own hash. Whether it answered."""
        self._round = (self._round + 1) & 0xFFFF
        place = hash_of(wanted.unique_node_id, self._round)
        flags = ProbeFlags(all_devices=1)
        found, _ = await self.probe(agent, (place, place), slots=1, alternate=alternate, flags=flags)
        self._tell(found, agent, alternate)
        return any(each.unique_node_id == wanted.unique_node_id for each in found)

    def _tell(self, found: list[Answer], agent: bytes, alternate: bool) -> int:
        now = self.concentrator.now
        if agent != ROOT and agent not in self.topology.nodes:
            return 0  # removed while it asked: nothing is to stay of it
        self.answers += len(found)
        return sum(self._found(each, agent, alternate, now) for each in found)

    async def probe(
        self,
        agent: bytes,
        bounds: tuple[int, int],
        *,
        slots: int,
        alternate: bool = False,
        flags: ProbeFlags | int = 0,
        priority: Priority = Priority.HOUSEKEEPING,
        many: bool = False,
    ) -> tuple[list[Answer], int]:
        """One probe: the answers, and how many frames were lost while they were awaited. ``many``: more are expected than one exchange
        brings. Raises as ``sweep``."""
        policy, concentrator = self.policy, self.concentrator
        sender = agent or concentrator.stack.configuration.unique_node_id
        apdu = Probe(
            code=self.profile.codes.atm,
            round=self._round,
            lo=bounds[0],
            hi=bounds[1],
            flags=ProbeFlags(flags),
            slots=slots,
            slot_time=policy.slot_units,
            sender=sender,
        ).encode()
        listen_s = slots * policy.slot_units * 0.016 + policy.guard_s
        self.probes += 1
        costs = concentrator.exchanges.costs
        if agent == ROOT:
            found, lost = await self._probe_here(apdu, alternate, listen_s, priority)
            legs = 1
        else:
            try:
                found, lost, legs = await self._probe_by(agent, apdu, alternate, listen_s, priority, many=many)
            except (LinkError, SecurityError, ResponseError):
                # What was in vain took the line as well: the probe on its way, and questions for the table that nobody answered.
                legs = max(1, len(self.topology.ways.known(agent) or ()))
                taken = costs.request_s(_PROBE_BYTES, legs) + concentrator.exchanges.policy.tries * costs.request_s(
                    16, legs
                )
                self.budget.book("probe", None, taken, concentrator.now)
                raise
        taken = costs.request_s(_PROBE_BYTES, legs) + (len(found) + lost) * costs.frame_s(_HERE_BYTES)
        if agent != ROOT:
            taken += costs.exchange_s(16, 13 + _TABLE_HEAD + _ANSWER_BYTES * len(found), legs)
        self.budget.book("probe", None, taken, concentrator.now, attempts=1, answered=bool(found))
        return found, lost

    async def _probe_here(
        self, apdu: bytes, alternate: bool, listen_s: float, priority: Priority
    ) -> tuple[list[Answer], int]:
        concentrator = self.concentrator
        self._own, self._own_round = {}, (self._round, alternate)
        before = self._damaged()
        try:
            await concentrator.exchanges.tell(
                Broadcast(), apdu, priority, concentrator.now, kind="probe", alternate_path=alternate
            )
            await concentrator.tasks.sleep(listen_s)
        finally:
            self._own_round = None
        return list(self._own.values()), max(0, self._damaged() - before)

    async def _probe_by(
        self, name: bytes, apdu: bytes, alternate: bool, listen_s: float, priority: Priority, *, many: bool
    ) -> tuple[list[Answer], int, int]:
        concentrator, topology = self.concentrator, self.topology
        agent = topology.nodes.get(name)  # it may have been removed since its turn was planned
        route = None if agent is None else topology.route_to(name, 0, concentrator.now)
        if route is None or agent is None or agent.address is None:
            raise LinkError(f"no way to the agent {name.hex()} is known", hint="it is asked again later")
        last = Hop(agent.address.subnet, agent.address.node, bool(route.alternate_path))
        await concentrator.exchanges.tell(
            Broadcast(),
            apdu,
            priority,
            concentrator.now,
            hops=(*route.hops, last),
            kind="probe",
            alternate_path=alternate,
            all_agents=False,
        )
        await concentrator.tasks.sleep(listen_s)
        table = await self._table(agent, priority, many=many)
        if table is None or table.round != self._round:
            return [], 0, route.legs
        found = [
            Answer(
                each.unique_node_id,
                each.margin_there,
                each.margin_here,
                each.phase,
                each.state,
                each.program_id,
            )
            for each in table.answers
            if bool(each.alternate_path) == alternate
        ]
        return found, table.lost, route.legs

    def access(self, node: Node, priority: Priority) -> PowerLineAccess:
        """The tables of a device in care. Raises ConfigError if it is not."""
        return self.concentrator.access(node.device, priority)

    async def _table(self, agent: Node, priority: Priority, *, many: bool) -> HeardAnswers | None:
        """What an agent has heard, in one exchange if it fits one answer."""
        door = self.access(agent, priority)
        read = self._read_parts if many else self._read
        raw = await read(door, HEARD_ANSWERS, _TABLE_HEAD, 3, _ANSWER_BYTES)
        try:
            return HeardAnswers.decode(raw)
        except DecodeError:
            return None

    @classmethod
    async def _read(cls, door: PowerLineAccess, table: int, head: int, count_at: int, size: int) -> bytes:
        """A table that begins with a count of its records."""
        try:
            return await door.read(table)
        except ResponseError as error:
            if error.code != ResponseCode.ONP:
                raise
        return await cls._read_parts(door, table, head, count_at, size)

    @staticmethod
    async def _read_parts(door: PowerLineAccess, table: int, head: int, count_at: int, size: int) -> bytes:
        """The same in pieces, for one that is most likely longer than an answer."""
        first = await door.read_part(table, 0, _READ)
        whole = head + first[count_at] * size
        return first[:whole] + (await door.read_part(table, _READ, whole - _READ) if whole > _READ else b"")

    # ---- links ------------------------------------------------------------------------------------------------------
    async def read_links(self, node: Node, *, priority: Priority = Priority.HOUSEKEEPING) -> int:
        """Read how a device hears its neighbours (UT18), and they it; how many links it told. Raises what exchanges end with."""
        topology, now = self.topology, self.concentrator.now
        costs = self.concentrator.exchanges.costs
        raw = await self._read(self.access(node, priority), LINK_REGISTER, 1, 0, _LINK_BYTES)
        self.budget.book("links", None, costs.exchange_s(16, 12 + len(raw), max(1, topology.legs(node))), now)
        node.register_at = self.concentrator.now
        try:
            links = LinkRegister.decode(raw).links
        except DecodeError:
            return 0
        proven = not node.legacy  # what comes by the broken suite may be forged
        for link in links:
            address = SubnetNode(link.subnet, link.node)
            other = topology.by_address(address)
            name = ROOT if address == topology.place else other.unique_node_id if other is not None else None
            if name is None or (other is not None and not other.is_placed):
                continue
            at, alternate = self.concentrator.now - 60.0 * link.age, bool(link.path.alternate_path)
            topology.seen_phase(node, name, link.path.phase)
            topology.graph.hear(node.unique_node_id, name, link.margin_in, at, alternate=alternate, proven=proven)
            if link.margin_out != _UNKNOWN:
                topology.graph.hear(name, node.unique_node_id, link.margin_out, at, alternate=alternate, proven=proven)
        return len(links)

    async def probe_link(self, node: Node | None, step: Step, *, attenuated: bool = False) -> bool:
        """Have one device (None: ourselves) ask a neighbour how it is heard there (diagnostic 57). Whether it answered.

        A transceiver without a reading says so; then an ``attenuated`` probe that is answered proves margin all the same.
        """
        topology, concentrator = self.topology, self.concentrator
        target = topology.nodes.get(step.node)
        if target is None or target.address is None:
            return False
        hops: tuple[Hop, ...] = ()
        if node is not None:
            route = topology.route_to(node.unique_node_id, 0, concentrator.now)
            if node.address is None or route is None:
                return False
            hops = (*route.hops, Hop(node.address.subnet, node.address.node, bool(route.alternate_path)))
        mode = Mode.ATTENUATE if attenuated else Mode.NORMAL
        exchange = concentrator.exchanges.ask_plain(
            Peer(-1, target.address, None),
            _DIAGNOSTIC,
            Priority.HOUSEKEEPING,
            concentrator.now,
            answer_bytes=8,
            route=Route(hops, step.alternate),
            kind="link",
            mode=mode,
        )
        self.budget.book("link", None, concentrator.exchanges.costs.exchange_s(1, 8, len(hops) + 1), concentrator.now)
        try:
            answer = await exchange
        except LinkError:
            return False
        heard = heard_in(answer)
        margin = _ATTENUATED_DB if attenuated else heard.margin_db if heard is not None else None
        if margin is None:
            return False
        now = concentrator.now
        asker = ROOT if node is None else node.unique_node_id
        topology.graph.hear(step.node, asker, margin, now, alternate=step.alternate, proven=True)
        return True

    # ---- whose turn it is -------------------------------------------------------------------------------------------
    def next_agent(self, now: float) -> tuple[bytes, bool, bool] | None:
        """Who is to ask around next, on which carrier, and whether for the first time: the nearest first."""
        topology, policy = self.topology, self.policy
        agents = [(node.unique_node_id, node.asked_at) for node in topology.placed() if node.state is NodeState.UP]
        asked: list[tuple[bytes, dict[bool, float]]] = [(ROOT, topology.root_asked_at), *agents]
        carriers = (False, True) if policy.alternate else (False,)
        for alternate in carriers:
            for agent, times in asked:
                if alternate not in times:
                    return agent, alternate, True
        due = [
            (times[alternate], place, agent, alternate)
            for place, (agent, times) in enumerate(asked)
            for alternate in carriers
            if times[alternate] + self.again_after_s(agent, alternate) <= now
        ]
        return (*min(due)[2:], False) if due else None

    def again_after_s(self, agent: bytes, alternate: bool) -> float:
        """When a node asks around again: soon after it heard something new, or a start; then less and less."""
        return self.policy.again_s * min(1.0, 2.0 ** self.quiet.get((agent, alternate), 0) / _SOONER)

    def next_register(self, now: float) -> Node | None:
        """Whose links are to be read next."""
        policy = self.policy
        due = [
            (node.register_at if node.register_at is not None else node.up_at, node.unique_node_id)
            for node in self.topology.placed()
            if node.state is NodeState.UP
            and (
                node.up_at + policy.first_register_s <= now
                if node.register_at is None
                else node.register_at + policy.register_s <= now
            )
        ]
        return self.topology.nodes[min(due)[1]] if due else None
