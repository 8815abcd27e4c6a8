"""Broadcasts to the whole street: which repeaters send them on so that everybody hears, and what that takes of the line.

A secured broadcast (``spec/osgp-application.md`` 3.6) goes out in our own earshot, and through repeaters (LTEP, 1.9) to whoever is
beyond. ``plan`` chooses chains over the ways that are in use, for little airtime, so that every device that is wanted hears one agent
well. On a chain every repeater speaks (``all_agents``) where somebody still needs it; elsewhere the last one alone. Group commands are
repeated by whoever speaks; code packets are sent once, because gaps in an image are found and mended anyway.

The window (B, D) and the two phases of a new broadcast key are with ``commission_keys``; ``NetworkCare`` keeps both. Project choice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from osgp.app.broadcast import BroadcastSender
from osgp.concentrator.accounts import LineCosts
from osgp.concentrator.core import Concentrator
from osgp.concentrator.exchange import Priority
from osgp.concentrator.link_metric import link_cost
from osgp.concentrator.routes import ROOT, Path
from osgp.concentrator.topology import Topology
from osgp.lon.address import Broadcast
from osgp.lon.proxy import Hop
from osgp.wire.errors import LinkError

__all__ = ["Broadcasts", "Chain", "Sent", "airtime_of", "choose"]

_WELL = 4.0
"""Cost of a link (``link_metric``) up to which a listener is counted as reached: 9 dB."""
FAN_OUT = "broadcast fan-out"
"""Class of airtime that repeaters take for broadcasts, beside what the exchange itself counts."""
_ANSWER = 1
"""Bytes with which a repeater says that the rest of the chain has sent."""


class Chain(NamedTuple):
    """One way of a broadcast. ``agents``: the nodes of the way, none for our own earshot; ``alternate``: carrier of what agents send;
    ``all_agents``: whether each of them speaks, or the last alone."""

    agents: Path = ()
    alternate: bool = False
    all_agents: bool = False

    @property
    def speakers(self) -> tuple[tuple[bytes, bool], ...]:
        """Who speaks, on which carrier."""
        if not self.agents:
            return ((ROOT, self.alternate),)
        spoken = self.agents if self.all_agents else self.agents[-1:]
        return tuple((step.node, self.alternate) for step in spoken)


class Sent(NamedTuple):
    """What came of a broadcast: chains taken, those that broke, airtime in seconds by estimate."""

    chains: int
    broken: int
    airtime_s: float


@dataclass(slots=True)
class Usage:
    """Airtime of one kind of broadcast so far."""

    broadcasts: int = 0
    chains: int = 0
    broken: int = 0
    airtime_s: float = 0.0


def airtime_of(chain: Chain, size: int, costs: LineCosts, *, repeats: int) -> float:
    """Seconds that one broadcast of ``size`` bytes takes over a chain if nothing is lost: hops, their answers, every copy."""
    frame_s = costs.frame_s(size) + costs.wait_s
    hops = len(chain.agents)
    if not hops:
        return frame_s * (1 + repeats)
    way_s = costs.request_s(size, hops + 1) + (hops + 1) * costs.wait_s
    answers_s = hops * (costs.frame_s(_ANSWER) + costs.wait_s)
    copies = len(chain.speakers) * (1 + repeats) - 1
    return way_s + answers_s + copies * frame_s


def choose(
    chains: Iterable[Chain],
    hearing: Mapping[tuple[bytes, bool], Collection[bytes]],
    wanted: Collection[bytes],
    cost: Mapping[Chain, float],
) -> list[Chain]:
    """Chains that together reach whoever is wanted, the shortest first: first by what each reaches for its airtime, then one chain
    takes the place of others as long as that saves something.

    ``hearing``: who hears a speaker on a carrier. Whoever no chain reaches is left out.
    """
    goal = set(wanted)
    reach = {
        chain: goal.intersection(node for speaker in chain.speakers for node in hearing.get(speaker, ()))
        for chain in chains
    }
    taken: list[Chain] = []
    left = set(goal)
    while left:
        best = min(
            (chain for chain in reach if reach[chain] & left),
            key=lambda chain: cost[chain] / len(reach[chain] & left),
            default=None,
        )
        if best is None:
            break
        taken.append(best)
        left -= reach[best]
    goal -= left
    while (better := _saved(taken, reach, goal, cost)) is not None:
        taken = better
    return sorted(taken, key=lambda each: len(each.agents))


def _saved(
    taken: list[Chain], reach: Mapping[Chain, set[bytes]], goal: set[bytes], cost: Mapping[Chain, float]
) -> list[Chain] | None:
    """The same reach for less airtime, with one chain more and others less; None if there is none."""
    before = sum(cost[chain] for chain in taken)
    for more in reach:
        kept = [more, *(chain for chain in taken if chain != more)]
        for chain in sorted(kept[1:], key=lambda each: (-cost[each], each)):
            others = [each for each in kept if each != chain]
            if goal <= set().union(*(reach[each] for each in others)):
                kept = others
        if sum(cost[chain] for chain in kept) < before - 1e-9:
            return kept
    return None


class Broadcasts:
    """Sends broadcasts for one concentrator, which uses it for group commands from now on. ``sender`` seals them."""

    def __init__(self, concentrator: Concentrator, topology: Topology, sender: BroadcastSender) -> None:
        self.concentrator = concentrator
        self.topology = topology
        self.sender = sender
        self.usage: dict[str, Usage] = {}
        self.latest: dict[str, bytes] = {}
        """The last broadcast of each kind, as it was sealed."""
        concentrator.spread = self._spread
        concentrator.more_status["broadcasts"] = self.status

    @property
    def repeats(self) -> int:
        """How often a repeated broadcast is sent beside the first time, in our own earshot and by agents."""
        policy = self.concentrator.exchanges.policy
        return policy.target_retry

    # ---- the plan ---------------------------------------------------------------------------------------------------
    def hearing(self) -> dict[tuple[bytes, bool], set[bytes]]:
        """Who hears whom well enough, by speaker and carrier: the last leg of each way in use, and links of 9 dB and more."""
        found: dict[tuple[bytes, bool], set[bytes]] = {}
        for node, path in self.topology.ways.in_use().items():
            speaker = path[-2].node if len(path) > 1 else ROOT
            found.setdefault((speaker, path[-1].alternate), set()).add(node)
        for listener, speaker, alternate, half in self.topology.graph.halves():
            if listener != ROOT and link_cost(half.margin_db) <= _WELL:
                found.setdefault((speaker, alternate), set()).add(listener)
        return found

    def plan(self, size: int, wanted: Collection[bytes] | None = None, *, repeats: int = 0) -> list[Chain]:
        """Chains for a broadcast of ``size`` bytes to these devices, all that have our broadcast key if none are named."""
        ways = self.topology.ways.in_use()
        if wanted is None:
            wanted = [node.unique_node_id for node in self.topology.placed() if not node.legacy]
        carriers = sorted({path[-1].alternate for path in ways.values() if path})
        agents = {path[:n] for path in ways.values() for n in range(1, len(path))}
        chains = [Chain((), alternate) for alternate in carriers or [False]]
        for alternate in carriers:
            for way in sorted(agents, key=lambda each: (len(each), each)):
                if self.topology.as_hops(way) is None:
                    continue
                chains.append(Chain(way, alternate))
                if len(way) > 1:
                    chains.append(Chain(way, alternate, True))
        costs = self.concentrator.exchanges.costs
        cost = {chain: airtime_of(chain, size, costs, repeats=repeats) for chain in chains}
        return choose(chains, self.hearing(), wanted, cost)

    def airtime_s(self, chains: Iterable[Chain], size: int, *, repeats: int = 0) -> float:
        """Seconds of the line for one broadcast over these chains."""
        costs = self.concentrator.exchanges.costs
        return sum(airtime_of(chain, size, costs, repeats=repeats) for chain in chains)

    # ---- sending ----------------------------------------------------------------------------------------------------
    async def send(
        self, apdu: bytes, priority: Priority, *, chains: Iterable[Chain] | None = None, repeated: bool, kind: str
    ) -> Sent:
        """A sealed broadcast over the chains, those of ``plan`` unless given. A chain that breaks keeps no other from its turn.

        ``kind``: the class of airtime. Raises nothing of the line's: what did not get through is the caller's to find out.
        """
        self.latest[kind] = apdu
        repeats = self.repeats if repeated else 0
        taken = self.plan(len(apdu), repeats=repeats) if chains is None else list(chains)
        broken, airtime_s = 0, 0.0
        for chain in taken:
            hops = self.topology.as_hops(chain.agents)
            if hops is None:
                broken += 1
                continue
            airtime_s += airtime_of(chain, len(apdu), self.concentrator.exchanges.costs, repeats=repeats)
            attempts = await self._over(apdu, priority, chain, hops, repeated, kind)
            broken += not attempts
            if hops:  # our own repeats of the first leg; those of repeaters nobody here sees
                airtime_s += max(0, attempts - 1) * self.airtime_s([Chain()], len(apdu))
        usage = self.usage.setdefault(kind, Usage())
        usage.broadcasts += 1
        usage.chains += len(taken)
        usage.broken += broken
        usage.airtime_s += airtime_s
        return Sent(len(taken), broken, airtime_s)

    async def _over(
        self, apdu: bytes, priority: Priority, chain: Chain, hops: tuple[Hop, ...], repeated: bool, kind: str
    ) -> int:
        """How often we sent it; 0 if the chain broke."""
        concentrator = self.concentrator
        exchanges, costs = concentrator.exchanges, concentrator.exchanges.costs
        exchange = exchanges.tell(
            Broadcast(),
            apdu,
            priority,
            concentrator.now,
            hops=hops,
            repeated=repeated,
            kind=kind,
            alternate_path=chain.alternate if hops or chain.alternate else None,
            all_agents=chain.all_agents,
        )
        try:
            await exchange
        except LinkError:
            return 0
        frame_s = costs.frame_s(len(apdu)) + costs.wait_s
        if hops:
            more_s = len(hops) * (costs.frame_s(_ANSWER) + costs.wait_s)
            more_s += frame_s * (len(chain.speakers) * (1 + (self.repeats if repeated else 0)) - 1)
            exchanges.account.book(FAN_OUT, None, more_s, concentrator.now, attempts=0, answered=True)
        elif not repeated:
            # The stack is done with it at once, the line is not: nobody may fill its queue.
            await concentrator.tasks.sleep(frame_s)
        return max(1, exchange.attempts)

    async def _spread(self, apdu: bytes, priority: Priority) -> None:
        await self.send(apdu, priority, repeated=True, kind="broadcast")

    def status(self) -> dict[str, object]:
        """Plain data for pages and sockets."""
        return {
            "generation": self.sender.generation,
            "counter": self.sender.counter,
            "key_prepared": self.sender.prepared is not None,
            "by_kind": {
                kind: {
                    "broadcasts": usage.broadcasts,
                    "chains": usage.chains,
                    "broken": usage.broken,
                    "airtime_s": round(usage.airtime_s, 3),
                }
                for kind, usage in sorted(self.usage.items())
            },
        }
