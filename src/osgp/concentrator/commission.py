"""Commissioning: a device gets keys, an address and the broadcast key, and proves that it has them. Coroutines over exchanges.

The handshake of ``spec/osgp-application.md`` 3.7 (a project choice) goes to the unique node ID, through repeaters if it must. The
concentrator never sees a UMK: a ``KeySource`` (head-end, vault) grants it the PSK of a device for itself and an epoch, or says that
there is none or that the device belongs to somebody else. A device is ours when it has answered a request under its new key, which
also commits its address.

Whoever does not answer, or answers with a wrong key, is asked less and less; nobody is asked more often in a day than the limit of the
device allows. A generation below our record means a device that was reset or copied: that is reported, and only the head-end's order
goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import Protocol

from osgp.app.broadcast import BroadcastSender
from osgp.app.events import GenerationWentBack, KeyUsage, SecurityEvent
from osgp.app.memory import Memory, Prefixed
from osgp.app.peer import PeerSecurity, Terms
from osgp.app.profile import OsgpProfile
from osgp.app.suite import Address
from osgp.app.verdict import REASONS, Accepted, Answered, Refused, Verdict
from osgp.concentrator.core import Concentrator
from osgp.concentrator.exchange import Peer, Priority
from osgp.concentrator.topology import Node, NodeState, Standing, Topology
from osgp.crypto.keys import Key
from osgp.lon.address import SubnetNode, UniqueNodeId
from osgp.wire.errors import ConfigError, Error, LinkError, SecurityError

__all__ = ["FIRST", "STANDINGS", "Commissioner", "CommissioningPolicy", "Grant", "KeySource", "KeyTable", "NotGranted"]

FIRST = bytes.fromhex("3f0000000000 0001")
"""The first request under a new key: one byte of BT00."""
_DAY_S = 86400.0
_STANDINGS = {"bad-mac": Standing.WRONG_KEY, "generation": Standing.WENT_BACK}
_BAD_MAC = Refused("bad-mac")
_AT_FIRST, _AGAIN = 4, 2
"""Challenges in a row while answers have a bad MAC."""
_SETTLED_S = 900.0
_REVOKED = "revoked devices"
_LATE = frozenset(("handshake", "unexpected"))
"""Refusals that only mean that an answer came too late."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a head-end hands a concentrator for one device: the PSK of an epoch. ``generation``: of the unicast key in the head-end's
    record, below which no device is taken; ``name``: for people; ``key``: where the key is kept, never the key."""

    psk: Key
    epoch: int
    generation: int = 0
    name: str = ""
    key: str = ""


class NotGranted(Enum):
    """Why there is no grant."""

    NO_KEY = "no key"
    FOREIGN = "belongs to another concentrator"
    REVOKED = "revoked"


STANDINGS = {
    NotGranted.NO_KEY: Standing.NO_KEY,
    NotGranted.FOREIGN: Standing.FOREIGN,
    NotGranted.REVOKED: Standing.REVOKED,
}
"""What a device is that was granted nothing."""


class KeySource(Protocol):
    """Who derives PSKs: the head-end or a vault. Answers at once, from what it has."""

    def grant(self, unique_node_id: bytes, concentrator_id: bytes) -> Grant | NotGranted:
        """The PSK of a device for this concentrator, or why not."""


class KeyTable:
    """A ``KeySource`` that holds what it was given. ``foreign``: devices of others."""

    def __init__(self, grants: dict[bytes, Grant], foreign: frozenset[bytes] = frozenset()) -> None:
        self.grants = dict(grants)
        self.foreign = foreign

    def __repr__(self) -> str:
        return f"KeyTable({len(self.grants)} devices)"

    def grant(self, unique_node_id: bytes, concentrator_id: bytes) -> Grant | NotGranted:
        """See ``KeySource``."""
        if unique_node_id in self.foreign:
            return NotGranted.FOREIGN
        return self.grants.get(unique_node_id, NotGranted.NO_KEY)


@dataclass(frozen=True, slots=True)
class CommissioningPolicy:
    """``retry_s`` after a failure, doubled with each to at most ``retry_most_s``; ``quarantine_s`` in the same way after a wrong key
    and other refusals. ``fcm_per_day``: messages to one device, below the device's own limit of 100, because repeaters may repeat
    them. ``window``: D of the broadcast window."""

    retry_s: float = 60.0
    retry_most_s: float = 6 * 3600.0
    quarantine_s: float = 3600.0
    quarantine_most_s: float = 86400.0
    fcm_per_day: int = 60
    window: int = 1000


class Commissioner:
    """Commissions devices for a concentrator. ``memory``: keeps keys and counters of all of them (the journal, as a rule);
    ``randomness``: bytes that nobody can guess; ``random``: spreads retries."""

    def __init__(
        self,
        concentrator: Concentrator,
        topology: Topology,
        keys: KeySource,
        sender: BroadcastSender,
        *,
        memory: Memory,
        randomness: Callable[[int], bytes],
        random: Random,
        policy: CommissioningPolicy | None = None,
        profile: OsgpProfile | None = None,
    ) -> None:
        self.concentrator = concentrator
        self.topology = topology
        self.keys = keys
        self.sender = sender
        self.policy = policy or CommissioningPolicy()
        self.profile = profile or OsgpProfile()
        self.handshakes = self.commissioned = 0
        self.memory = memory
        self._randomness = randomness
        self._random = random
        self._securities: dict[bytes, PeerSecurity] = {}
        self._doubted: set[bytes] = set()
        self._doubled: dict[bytes, float] = {}
        self.revoked = {bytes.fromhex(each) for each in concentrator.journal.get(_REVOKED, [])}
        """Devices that are granted nothing here, whatever the key source says, until ``accept_generation``."""

    @property
    def concentrator_id(self) -> bytes:
        """NC: our own unique node ID."""
        return self.concentrator.stack.configuration.unique_node_id

    # ---- keys -------------------------------------------------------------------------------------------------------
    def grant(self, unique_node_id: bytes) -> Grant | NotGranted:
        """What the key source says of a device now; a revoked one is asked for nothing."""
        if unique_node_id in self.revoked:
            return NotGranted.REVOKED
        return self.keys.grant(unique_node_id, self.concentrator_id)

    def revoke(self, unique_node_id: bytes, *, revoked: bool = True) -> None:
        """From now on a device gets nothing here; or it may again. In the journal when this returns. Raises StoreError."""
        changed = self.revoked | {unique_node_id} if revoked else self.revoked - {unique_node_id}
        self.concentrator.journal.put(_REVOKED, sorted(each.hex() for each in changed))
        self.revoked = changed

    def security(self, node: Node) -> PeerSecurity | None:
        """The security of a device; None without a grant. A newer epoch of its grant goes in force with the next handshake."""
        grant = self.grant(node.unique_node_id)
        if isinstance(grant, NotGranted):
            return None
        node.name = grant.name or node.name
        found = self._securities.get(node.unique_node_id)
        if found is None:
            found = self._securities[node.unique_node_id] = PeerSecurity(
                node.unique_node_id,
                grant.psk,
                grant.epoch,
                self.concentrator_id,
                Prefixed(self.memory, f"device {node.unique_node_id.hex()}."),
                randomness=self._randomness,
                profile=self.profile,
                known_generation=grant.generation,
            )
        elif grant.epoch > found.epoch:
            found.renew(grant.psk, grant.epoch)
        return found

    def accept_generation(self, unique_node_id: bytes, now: float) -> None:
        """The head-end's order: go on with a device that was reset, from whatever generation it has. Raises ConfigError."""
        node = self.topology.nodes.get(unique_node_id)
        security = self.security(node) if node is not None else None
        if node is None or security is None:
            raise ConfigError(f"{unique_node_id.hex()} is no device with a key here")
        security.accept_generation(0)
        self.topology.set_standing(node, Standing.OURS, "", now)
        node.failures, node.next_try = 0, now

    def distrust_all(self) -> None:
        """Our counters may have gone back (``Journal.counters_in_doubt``): new keys for all. Raises StorageError."""
        self.sender.new_key()
        for node in self.topology.placed():
            security = self.security(node)
            if security is not None:
                security.distrust()
                self._doubted.add(node.unique_node_id)

    @property
    def doubted(self) -> int:
        """Devices that still have keys whose counters are in doubt."""
        return len(self._doubted)

    # ---- after a start ----------------------------------------------------------------------------------------------
    def resume(self, node: Node, now: float) -> bool:
        """Take a device into care that the journal knows, without asking it anything. False if it must be commissioned."""
        security = self.security(node)
        if security is None or not security.ready or security.address is None:
            return False
        place = security.address
        address = SubnetNode(place.subnet, place.node)
        self.topology.place_at(node, address)
        self._into_care(node, security, address, now)
        return True

    def _into_care(self, node: Node, security: PeerSecurity, address: SubnetNode, now: float) -> None:
        grant = self.grant(node.unique_node_id)
        key = grant.key if isinstance(grant, Grant) else ""
        number = self.concentrator.add_device(
            node.unique_node_id, address, security, now, name=node.name or node.unique_node_id.hex(), key=key
        )
        self.topology.set_device(node, number)

    # ---- commissioning ----------------------------------------------------------------------------------------------
    async def commission(self, node: Node) -> bool:
        """Take a device on, or give it new keys: whether it is ours and up. Nothing is raised but StoreError and a mistake of ours."""
        now = self.concentrator.now
        security = self.security(node)
        if security is None:
            found = self.grant(node.unique_node_id)
            assert isinstance(found, NotGranted), "without a grant there is no security"
            self._refused(node, STANDINGS[found], str(found.value), now)
            return False
        if node.device < 0:
            journal, wall = self.concentrator.journal, self.concentrator.wall()
            self.topology.set_device(node, journal.add_device(node.unique_node_id, wall, name=node.name))
        if not security.pending and not self._may_ask(node):
            return False
        known = self.concentrator.peers.get(node.device)
        if known is not None and known.sealer is security:
            peer = known
        else:  # it speaks the legacy suite until it has taken the keys, or nothing yet
            peer = Peer(node.device, UniqueNodeId(node.unique_node_id), security, unique_node_id=node.unique_node_id)
        try:
            if security.pending and node.failures % 3 != 2:
                done = await self._confirm(node, security, peer)
            else:
                done = await self._handshake(node, security, peer) and await self._confirm(node, security, peer)
        except LinkError as error:
            self.put_off(node, error, self.concentrator.now)
            return False
        except SecurityError as error:
            self.put_off(node, error, self.concentrator.now)
            return False
        finally:
            self._told(node, security)
        return done

    async def _handshake(self, node: Node, security: PeerSecurity, peer: Peer) -> bool:
        """The four messages; whether the device has taken the new set. Raises LinkError."""
        topology, sender = self.topology, self.sender
        keeps = node.address is not None and not node.moves
        address = node.address if keeps and node.address is not None else topology.reserve()
        taken = False
        try:
            if not node.is_placed:
                topology.set_state(node, NodeState.CHALLENGED, self.concentrator.now)
            # Killed from here on, the next start knows whom to ask: the device may have taken what we offer.
            topology.changed(node)
            topology.save()
            place = Address(topology.domain, address.subnet, address.node)
            terms = Terms(place, sender.kb, sender.generation, sender.counter, self.policy.window)
            self.handshakes += 1
            verdict, forged = await self._challenge(node, security, peer, terms)
            if isinstance(verdict, Answered):
                if forged:
                    self.is_doubled(node, "one of them has another key")
                verdict = security.handshake(await self._ask(node, peer, verdict.apdu, 19), self.concentrator.now)
            taken = isinstance(verdict, Accepted)
            if not taken:
                self._not_taken(node, verdict)
                return False
            node.kb_generation, node.window_wall = sender.generation, self.concentrator.wall()
            if node.state in (NodeState.DOWN, NodeState.LOST):
                name = node.unique_node_id.hex()
                text = f"{name} answered no more under its keys at {address}: it has new ones there now"
                self._note("commissioning", text, node)
            return True
        finally:
            if not keeps and not taken:
                topology.release(address)
            if not node.is_placed and not taken:
                topology.set_state(node, NodeState.HEARD, self.concentrator.now)

    async def _challenge(self, node: Node, security: PeerSecurity, peer: Peer, terms: Terms) -> tuple[Verdict, int]:
        """The first pair of messages, and how many answers had a bad MAC: who answers first may be another of the same name, so that a
        device is not given up at once."""
        tries = _AGAIN if node.failures else _AT_FIRST
        for forged in range(tries):
            challenge = security.challenge(terms, self.concentrator.now)
            verdict = security.handshake(await self._ask(node, peer, challenge, 61), self.concentrator.now)
            if verdict != _BAD_MAC:
                return verdict, forged
        return verdict, tries

    def is_doubled(self, node: Node, why: str) -> None:
        """Two devices have this name: told once in a day."""
        wall = self.concentrator.wall()
        if self._doubled.get(node.unique_node_id, float("-inf")) + _DAY_S > wall:
            return
        self._doubled[node.unique_node_id] = wall
        text = f"two devices answer as {node.unique_node_id.hex()}: {why}; only the one with the good key is believed"
        self._note("identity", text, node, severity="critical")

    def claimed_new(self, node: Node) -> None:
        """A device said in answer to a probe that it is new, and has answered under its keys all the same. Soon after it was
        commissioned that may be an old answer; later it is another device, or a forger."""
        if self.concentrator.wall() - node.keyed_wall > _SETTLED_S:
            self.is_doubled(node, "one says that it is new, the other has keys")

    async def _ask(self, node: Node, peer: Peer, apdu: bytes, answer_bytes: int) -> bytes:
        """One pair of messages, counted for the day. Urgent, because the device waits for half a minute only."""
        exchange = self.concentrator.exchanges.ask_plain(
            peer,
            apdu,
            Priority.ON_DEMAND,
            self.concentrator.now,
            answer_bytes=answer_bytes,
            kind="commission",
            by_id=True,
        )
        try:
            return await exchange
        finally:
            day, count = self._today(node)
            node.fcm = day, count + max(1, exchange.attempts)
            self.topology.changed(node)

    async def _confirm(self, node: Node, security: PeerSecurity, peer: Peer) -> bool:
        """The first request under the new key: its answer makes the device ours."""
        topology = self.topology
        place = security.address if not security.pending else security.pending_address
        if place is None:
            return False
        address = SubnetNode(place.subnet, place.node)
        if not node.is_placed:
            topology.set_state(node, NodeState.COMMISSIONED, self.concentrator.now)
        topology.save()
        before = security.epoch_in_force
        await self.concentrator.exchanges.ask(
            peer, FIRST, Priority.ON_DEMAND, self.concentrator.now, reads=True, answer_bytes=1
        )
        now = self.concentrator.now
        node.keyed_wall = self.concentrator.wall()
        node.moves, node.failures, node.next_try = False, 0, 0.0
        if 0 < before < security.epoch_in_force:
            text = f"{node.unique_node_id.hex()} has keys of epoch {security.epoch_in_force} now; a UMK of before is of no use"
            self._note("epoch", text, node, severity="info")
        if node.legacy:
            node.legacy = False
            self._note("legacy", f"{node.unique_node_id.hex()} has left the legacy suite", node, severity="info")
        topology.place_at(node, address)
        topology.set_standing(node, Standing.OURS, "", now)
        self._into_care(node, security, address, now)
        self._doubted.discard(node.unique_node_id)
        self.commissioned += 1
        topology.changed(node)
        topology.save()
        return True

    # ---- what goes wrong --------------------------------------------------------------------------------------------
    def _today(self, node: Node) -> tuple[int, int]:
        day = int(self.concentrator.wall() // _DAY_S)
        return (day, node.fcm[1] if node.fcm[0] == day else 0)

    def _may_ask(self, node: Node) -> bool:
        """Whether the day's messages are not used up; else the device waits for the next day."""
        day, count = self._today(node)
        if count < self.policy.fcm_per_day:
            return True
        node.next_try = self.concentrator.now + (day + 1) * _DAY_S - self.concentrator.wall()
        node.reason = f"{count} commissioning messages today"
        return False

    def put_off(self, node: Node, error: Error, now: float) -> None:
        """A device did not answer: it is asked again later, and later each time."""
        policy = self.policy
        wait_s = min(policy.retry_most_s, policy.retry_s * 2 ** min(node.failures, 20))
        node.failures += 1
        node.next_try = now + wait_s * self._random.uniform(0.8, 1.2)
        node.reason = error.message
        self.topology.changed(node)

    def _not_taken(self, node: Node, verdict: Verdict) -> None:
        """The device answered, and not as it should."""
        now = self.concentrator.now
        reason = verdict.reason if isinstance(verdict, Refused) else "unexpected"
        text = REASONS.get(reason, reason)
        if reason in _LATE:
            self.put_off(node, LinkError(f"the answers came too late: {text}"), now)
            return
        if reason == "generation" and node.is_placed:
            # It has proven itself: the keys that we have are of no use any more.
            self.concentrator.remove_device(node.device)
            self.topology.set_state(node, NodeState.HEARD, now)
        if node.is_placed:
            # It has good keys: somebody may have answered in its name. The old set keeps working.
            self.put_off(node, SecurityError(text), now)
            return
        self._refused(node, _STANDINGS.get(reason, Standing.REFUSED), text, now)

    def _refused(self, node: Node, standing: Standing, text: str, now: float) -> None:
        policy = self.policy
        wait_s = min(policy.quarantine_most_s, policy.quarantine_s * 2 ** min(node.failures, 20))
        node.failures += 1
        node.next_try = now + wait_s * self._random.uniform(0.8, 1.2)
        news = node.standing is not standing
        self.topology.set_standing(node, standing, text, now)
        self.topology.changed(node)
        if news:
            self._note("commissioning", f"{node.unique_node_id.hex()} is not taken on: {standing.value}, {text}", node)

    def _told(self, node: Node, security: PeerSecurity) -> None:
        """What the security has to say goes to the journal."""
        for event in security.events():
            self.told(event, node)

    def told(self, event: SecurityEvent, node: Node | None = None) -> None:
        """A security event, for whoever reads notices."""
        name = "the broadcast key" if node is None else node.unique_node_id.hex()
        if isinstance(event, GenerationWentBack):
            self._note(
                "generation",
                f"{name} has a key of generation {event.reported}, our record has {event.known}: it was reset, or there are two",
                node,
                severity="critical",
            )
        elif isinstance(event, KeyUsage):
            self._note("key usage", f"{name}: the {event.key} key was used {event.uses} times", node)

    def _note(self, kind: str, text: str, node: Node | None, *, severity: str = "warning") -> None:
        device = node.device if node is not None and node.device >= 0 else None
        self.concentrator.journal.note(kind, text, self.concentrator.wall(), device=device, severity=severity)
