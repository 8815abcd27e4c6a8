"""Old devices that speak nothing but the legacy suite (OMA digest, RC4): read, watched, and led out of it. Coroutines over exchanges.

The suite is published as broken (``docs/design/security.md``), so that a device gets it only where somebody wrote it down: a flag of
the concentrator and an entry for the device, with its OMAK and its address, since without a handshake nobody can give it one. It is
read and not written, unless a second flag says so; gets no broadcasts and sends no alerts; that it speaks the suite is noted as a
warning. A device for which there is a PSK as well is commissioned with it, at first contact or when the PSK comes, and is asked by the
new suite alone from then on. Too many bad digests in a day: quarantine, until somebody releases it (``spec/osgp-application.md`` 3.12;
project choice).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from osgp.app.events import Quarantined
from osgp.app.legacy import LegacyPeer
from osgp.app.memory import Prefixed
from osgp.app.suite import Address
from osgp.concentrator.commission import FIRST, Commissioner, Grant, NotGranted
from osgp.concentrator.exchange import Peer, Priority
from osgp.concentrator.topology import Node, NodeState, Standing
from osgp.crypto.keys import Key
from osgp.lon.address import SubnetNode
from osgp.wire.errors import ConfigError, LinkError, SecurityError

__all__ = ["LegacyCare", "LegacyGrant"]


@dataclass(frozen=True, slots=True)
class LegacyGrant:
    """That a device may be asked by the legacy suite, and how. ``writes``: the second flag; ``encrypt``: RC4; ``name``: for people;
    ``key``: where the OMAK is kept, never the key."""

    omak: Key
    place: SubnetNode
    writes: bool = False
    encrypt: bool = False
    name: str = ""
    key: str = ""


class LegacyCare:
    """Looks after the legacy devices of one concentrator. ``grants`` is empty where the concentrator's own flag is not set.

    ``allow_known_keys``: for a laboratory. Raises ConfigError for an OMAK that is published or has not 12 bytes, or for two devices at
    one address.
    """

    def __init__(
        self, commissioner: Commissioner, grants: Mapping[bytes, LegacyGrant], *, allow_known_keys: bool = False
    ) -> None:
        self.commissioner = commissioner
        self.concentrator = commissioner.concentrator
        self.topology = commissioner.topology
        self.grants = dict(grants)
        self._allow_known_keys = allow_known_keys
        places = [grant.place for grant in self.grants.values()]
        for place in places:
            if place == self.topology.place or places.count(place) > 1:
                raise ConfigError(f"the address {place} of a legacy device is taken", hint="each device has its own")
            self.topology.keep_free(place)
        self.peers = {unique_node_id: self.peer_of(unique_node_id) for unique_node_id in self.grants}

    def peer_of(self, unique_node_id: bytes) -> LegacyPeer:
        """The security of a device, out of what is kept."""
        grant, commissioner = self.grants[unique_node_id], self.commissioner
        return LegacyPeer(
            grant.omak,
            Prefixed(commissioner.memory, f"legacy {unique_node_id.hex()}."),
            Address(self.topology.domain, grant.place.subnet, grant.place.node),
            concentrator_allows=True,
            device_allows=True,
            writes=grant.writes,
            encrypt=grant.encrypt,
            allow_known_keys=self._allow_known_keys,
            profile=commissioner.profile,
        )

    def takes(self, unique_node_id: bytes) -> bool:
        """Whether a device is to be asked by this suite: it is written down, and there is no key of the other one."""
        return unique_node_id in self.grants and self.commissioner.grant(unique_node_id) is NotGranted.NO_KEY

    def resume(self, node: Node, now: float) -> bool:
        """Take a device into care that the journal knows, without asking it anything. False if it must be looked for anew."""
        if not node.legacy or node.unique_node_id not in self.grants or self._is_shut(node, now):
            return False
        self._into_care(node, now)
        return True

    async def take_on(self, node: Node) -> bool:
        """Ask a device for the first time; whether it answered under its OMAK. Nothing is raised but StoreError."""
        grant, now = self.grants[node.unique_node_id], self.concentrator.now
        owner = self.topology.by_address(grant.place)
        if owner is not None and owner is not node:
            text = f"{owner.unique_node_id.hex()} has the address {grant.place} of this device"
            self.commissioner.put_off(node, ConfigError(text), now)
            return False
        if self._is_shut(node, now):
            return False
        peer = Peer(node.device, grant.place, self.peers[node.unique_node_id], unique_node_id=node.unique_node_id)
        if node.device < 0:
            journal, wall = self.concentrator.journal, self.concentrator.wall()
            self.topology.set_device(node, journal.add_device(node.unique_node_id, wall, name=grant.name))
            peer.device = node.device
        try:
            await self.concentrator.exchanges.ask(peer, FIRST, Priority.ON_DEMAND, now, reads=True, answer_bytes=1)
        except (LinkError, SecurityError) as error:
            self._told(node)
            if not self._is_shut(node, self.concentrator.now):
                self.commissioner.put_off(node, error, self.concentrator.now)
            return False
        now = self.concentrator.now
        if not node.legacy:
            node.legacy = True
            self._note(
                node,
                "legacy",
                f"speaks the legacy suite: who is on the line can read and forge what it says{self._how(node)}",
            )
        node.failures, node.next_try, node.kb_generation = 0, 0.0, 0
        self.topology.set_standing(node, Standing.OURS, "", now)
        self._into_care(node, now)
        return True

    def _how(self, node: Node) -> str:
        return ", and give it orders" if self.grants[node.unique_node_id].writes else ""

    def _into_care(self, node: Node, now: float) -> None:
        grant = self.grants[node.unique_node_id]
        node.name = grant.name or node.name
        if not node.is_placed:
            self.topology.set_state(node, NodeState.COMMISSIONED, now)
        self.topology.place_at(node, grant.place)
        name = node.name or node.unique_node_id.hex()
        number = self.concentrator.add_device(
            node.unique_node_id, grant.place, self.peers[node.unique_node_id], now, name=name, key=grant.key
        )
        self.topology.set_device(node, number)

    # ---- out of it --------------------------------------------------------------------------------------------------
    def to_migrate(self, now: float) -> Node | None:
        """A device for which a PSK has come meanwhile, and which may be asked now."""
        return next(
            (
                node
                for node in self.topology.placed()
                if node.legacy
                and node.next_try <= now
                and isinstance(self.commissioner.grant(node.unique_node_id), Grant)
            ),
            None,
        )

    # ---- quarantine -------------------------------------------------------------------------------------------------
    def look(self, now: float) -> None:
        """Whether a device has been too bad. Raises StoreError."""
        for unique_node_id in self.peers:
            node = self.topology.nodes.get(unique_node_id)
            if node is not None:
                self._told(node)
                if node.legacy and node.is_placed:
                    self._is_shut(node, now)

    def _told(self, node: Node) -> None:
        for event in self.peers[node.unique_node_id].events():
            if isinstance(event, Quarantined):
                text = f"gave {event.bad_digests} bad answers in a day, or somebody else did: it is in quarantine until it is released"
                self._note(node, "legacy quarantine", text, severity="critical")
            else:
                self.commissioner.told(event, node)

    def _is_shut(self, node: Node, now: float) -> bool:
        """Whether a device is in quarantine; then nobody visits it."""
        if not self.peers[node.unique_node_id].quarantined:
            return False
        if node.device >= 0:
            self.concentrator.remove_device(node.device)
        self.topology.set_state(node, NodeState.HEARD, now)
        self.topology.set_standing(node, Standing.QUARANTINED, "too many bad digests", now)
        return True

    def release(self, unique_node_id: bytes, now: float) -> None:
        """Somebody says that a device may be asked again. Raises ConfigError if it is not in quarantine, StorageError."""
        peer, node = self.peers.get(unique_node_id), self.topology.nodes.get(unique_node_id)
        if peer is None or node is None or not peer.quarantined:
            raise ConfigError(f"{unique_node_id.hex()} is not in quarantine")
        peer.release()
        self.topology.set_standing(node, Standing.OURS, "", now)
        node.failures, node.next_try = 0, now

    def _note(self, node: Node, kind: str, text: str, *, severity: str = "warning") -> None:
        name = node.unique_node_id.hex()
        self.topology.tell(node.unique_node_id, kind, f"{name} {text}", self.concentrator.now)
        device = node.device if node.device >= 0 else None
        self.concentrator.journal.note(
            kind, f"{name} {text}", self.concentrator.wall(), device=device, severity=severity
        )

    def status(self) -> dict[str, object]:
        """Plain data for pages and sockets."""
        return {
            "devices": sum(node.legacy and node.is_placed for node in self.topology.nodes.values()),
            "quarantined": sorted(each.hex() for each, peer in self.peers.items() if peer.quarantined),
        }
