"""Keys over the years: unicast keys renewed by handshake, broadcast keys handed out in two phases, B raised daily. Coroutines.

``spec/osgp-application.md`` 3.1, 3.6 and 3.8 (project choice). A unicast key is renewed at 80 % of its uses, after 90 days, near the
end of its counter, or when another epoch is granted, as after a new UMK. A broadcast key is prepared, given to every device that is
up (EP20, kind 1), and used when all have it or after a day; who missed it gets it at once (kind 81) or with a handshake. When a device
is lost to somebody who may read its keys, ``revoke`` gives all others a new one by kind 81. B rises with each day, so that a broadcast
that somebody held back is worth nothing.
"""

from __future__ import annotations

from osgp.app.messages import KeyUpdate, KeyUpdateKind
from osgp.app.suite import slot_of
from osgp.concentrator.commission import Commissioner
from osgp.concentrator.exchange import Priority
from osgp.concentrator.topology import Node, NodeState
from osgp.tables.et.et04 import ET04
from osgp.tables.table import extended
from osgp.wire.errors import ConfigError, LinkError, ResponseError, SecurityError

__all__ = ["KeyCare"]

_EP20 = extended(20)
_B_OFFSET = 82
"""ET04.82 and 86: B and D."""
_DAY_S = 86400.0
_DONE = 0
_KEPT = "broadcast key"


class KeyCare:
    """Looks after the keys of one concentrator's devices; the state is in the journal."""

    def __init__(self, commissioner: Commissioner) -> None:
        self.commissioner = commissioner
        self.concentrator = commissioner.concentrator
        self.topology = commissioner.topology
        self.sender = commissioner.sender
        kept: dict[str, float] = self.concentrator.journal.get(_KEPT, {})
        wall = self.concentrator.wall()
        self.kb_wall = float(kept.get("since", wall))
        """Since when the broadcast key is in use, UTC seconds ..."""
        self.prepared_wall = float(kept.get("prepared", wall))
        """... and since when the next one is handed out."""
        self.anew = int(kept.get("anew", 0))
        """Generation with which broadcasts were numbered from 1 again: older devices get it by a handshake."""
        self.more_window = 0
        """D while a firmware image goes out, where that is more than the policy's."""
        if not kept:
            self._keep()

    def _keep(self) -> None:
        values = {"since": self.kb_wall, "prepared": self.prepared_wall, "anew": self.anew}
        self.concentrator.journal.put(_KEPT, values)

    # ---- broadcast key ----------------------------------------------------------------------------------------------
    def begin_renewal(self) -> bool:
        """Prepare another broadcast key if it is time; whether one is being handed out. Raises StorageError, StoreError."""
        sender = self.sender
        if sender.prepared is not None:
            return True
        why = sender.renewal_due(self.concentrator.wall() - self.kb_wall)
        if why == "counter":
            self._start_over()
        if not why or why == "counter":
            return False
        sender.prepare_key()
        self.prepared_wall = self.concentrator.wall()
        self._keep()
        return True

    def _start_over(self) -> None:
        """Broadcasts are numbered from 1 again, under another key, which goes out by handshakes. Killed between the two lines that
        keep it, the next start finds devices with a key update's refusal and gives each a handshake all the same."""
        _, self.anew = self.sender.start_over()
        self.kb_wall = self.concentrator.wall()
        self._keep()

    def revoke(self, unique_node_id: bytes) -> None:
        """A device was lost: it is removed, gets no keys here any more, and a broadcast key that it does not know is in force at once.
        Raises ConfigError, StorageError, StoreError. Revoke its PSK at the head-end, too (another epoch)."""
        node = self.topology.nodes.get(unique_node_id)
        if node is None:
            raise ConfigError(f"{unique_node_id.hex()} is no device here")
        self.commissioner.revoke(unique_node_id)
        self.sender.new_key()
        self.kb_wall = self.concentrator.wall()
        self._keep()
        if node.device >= 0:
            self.concentrator.remove_device(node.device)
        self.topology.remove(unique_node_id)

    def _wanted(self) -> tuple[int, bool]:
        """Which generation devices should hold, and whether it is in force already."""
        prepared = self.sender.prepared
        return (prepared[1], False) if prepared is not None else (self.sender.generation, True)

    def without_key(self) -> Node | None:
        """A device that is up and has not got the broadcast key yet."""
        generation, _ = self._wanted()
        return next(
            (each for each in self.topology.placed() if self._is_up(each) and each.kb_generation < generation), None
        )

    def _is_up(self, node: Node) -> bool:
        return node.state is NodeState.UP and node.device in self.concentrator.peers and not node.legacy

    async def give_key(self, node: Node) -> bool:
        """Hand the broadcast key to a device; whether it has it. Raises StoreError."""
        security, prepared = self.commissioner.security(node), self.sender.prepared
        if security is None:
            return False
        generation, in_force = self._wanted()
        now = self.concentrator.now
        behind = node.kb_generation < (self.anew if in_force else self.sender.generation)
        if security.handshake_open(now) or behind:
            return await self.commissioner.commission(node)  # it carries the key in force
        key = prepared[0] if prepared is not None else self.sender.kb
        parameters = KeyUpdate(
            kind=KeyUpdateKind.BROADCAST_KEY_AT_ONCE if in_force else KeyUpdateKind.BROADCAST_KEY,
            slot=slot_of(generation),
            generation=generation,
            wrap=0,
            key=key.for_aes(),
        )
        try:
            answer = await self.concentrator.access(node.device, Priority.BILLING).run(_EP20, parameters.encode())
        except (ResponseError, LinkError, SecurityError):
            return False
        if answer.result == _DONE:
            node.kb_generation = generation
            self.topology.changed(node)
            return True
        # It may have it already, if an answer was lost, or be too far behind: a handshake settles both.
        return in_force and await self.commissioner.commission(node)

    def finish_renewal(self) -> bool:
        """Use the prepared key once all devices that are up have it, or after a day; whether it is used now."""
        if self.sender.prepared is None:
            return False
        everybody = self.without_key() is None
        if not everybody and self.concentrator.wall() - self.prepared_wall < _DAY_S:
            return False
        self.sender.switch()
        self.kb_wall = self.concentrator.wall()
        self._keep()
        return True

    # ---- the window -------------------------------------------------------------------------------------------------
    def with_old_window(self) -> Node | None:
        """A device whose B was last raised a day ago."""
        wall = self.concentrator.wall()
        return next(
            (each for each in self.topology.placed() if self._is_up(each) and each.window_wall + _DAY_S <= wall), None
        )

    async def raise_window(self, node: Node) -> bool:
        """Write B and D, so that all earlier broadcasts are dead; whether it was done."""
        window = max(self.commissioner.policy.window, self.more_window)
        content = self.sender.counter.to_bytes(4, "little") + window.to_bytes(2, "little")
        door = self.concentrator.access(node.device, Priority.HOUSEKEEPING)
        try:
            await door.write_part(ET04.number, _B_OFFSET, content)
        except (ResponseError, LinkError, SecurityError):
            node.window_wall += _DAY_S / 24  # again in an hour
            return False
        node.window_wall = self.concentrator.wall()
        self.topology.changed(node)
        return True

    # ---- unicast keys -----------------------------------------------------------------------------------------------
    def with_old_key(self) -> Node | None:
        """A device whose unicast key is to be renewed, and may be asked now."""
        now, wall = self.concentrator.now, self.concentrator.wall()
        for node in self.topology.placed():
            security = self.commissioner.security(node) if node.next_try <= now else None
            if security is None:
                continue
            # Without numbers it cannot be asked whether it is up.
            if security.runs_out or (
                self._is_up(node)
                and (
                    node.moves
                    or 0 < security.epoch_in_force < security.epoch
                    or security.renewal_due(wall - node.keyed_wall)
                )
            ):
                return node
        return None
