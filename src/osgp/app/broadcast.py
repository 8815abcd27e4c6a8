"""``BroadcastSender``: a concentrator's broadcast key and counter (``spec/osgp-application.md`` 3.6, 3.8).

A **project choice**. One object for each concentrator: the key in use, a key that is being handed out, and BCTR, which runs on through
all of them. Key and counter are in the ``Memory`` before they are used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from osgp.app.aes import check_unique_node_id
from osgp.app.counters import SendCounter, Uses
from osgp.app.events import KeyChanged, KeyUsage, SecurityEvent, StorageFailed
from osgp.app.memory import Memory, StorageError
from osgp.app.profile import OsgpProfile
from osgp.app.state import SenderKeys, load_record
from osgp.app.suite import DOMAIN_SIZES, MAX_GENERATION, BroadcastCipher
from osgp.crypto.keys import Key
from osgp.wire.errors import ConfigError, LocalProtocolError

__all__ = ["BroadcastSender"]

_NO_KEY = bytes(16)
_LEFT = 1024
"""Numbers from the end at which it is time to start over (project choice)."""


class BroadcastSender:
    """See the module. Without a key in the memory it makes the first one. StorageError if that cannot be kept."""

    def __init__(
        self,
        concentrator_id: bytes,
        domain: bytes,
        memory: Memory,
        *,
        randomness: Callable[[int], bytes],
        profile: OsgpProfile | None = None,
    ) -> None:
        self.concentrator_id = check_unique_node_id(concentrator_id)
        if len(domain) not in DOMAIN_SIZES:
            raise ConfigError(f"a domain id has 0, 1, 3 or 6 bytes, not {len(domain)}")
        self.domain = domain
        self.profile = profile or OsgpProfile()
        self._memory = memory
        self._randomness = randomness
        self._events: list[SecurityEvent] = []
        limits = self.profile.limits
        self._bctr = SendCounter(memory, "bctr", block=limits.counter_block, limit=limits.max_counter)
        alarm = int(limits.key_usage_max * limits.key_usage_alarm)
        self._uses = Uses(memory, "uses.kb", block=limits.usage_block, alarm=alarm)
        kept = load_record(memory, "kb", SenderKeys)
        if kept is None:
            self._keep(1, randomness(16), 0, _NO_KEY)
        else:
            self._have(kept)

    def __repr__(self) -> str:
        return f"BroadcastSender({self.concentrator_id.hex()}, generation {self.generation})"

    def _keep(self, generation: int, kb: bytes, next_generation: int, next_kb: bytes) -> None:
        record = SenderKeys(generation=generation, kb=kb, next_generation=next_generation, next_kb=next_kb)
        self._memory.save({"kb": record.encode()})
        self._have(record)

    def _have(self, record: SenderKeys) -> None:
        self._keys = record
        self._cipher = BroadcastCipher(
            Key(record.kb), record.generation, self.concentrator_id, self.domain, self.profile
        )

    @property
    def kb(self) -> Key:
        """The key in use, for handshakes."""
        return Key(self._keys.kb)

    @property
    def generation(self) -> int:
        """Its generation."""
        return self._keys.generation

    @property
    def counter(self) -> int:
        """BCTR of the next broadcast: the least B that lets it through, and keeps all earlier ones out."""
        return self._bctr.next

    @property
    def prepared(self) -> tuple[Key, int] | None:
        """The key that is being handed out, and its generation."""
        return (Key(self._keys.next_kb), self._keys.next_generation) if self._keys.next_generation else None

    @property
    def uses(self) -> int:
        """Broadcasts under the key in use."""
        return self._uses.count

    def renewal_due(self, age_s: float = 0.0) -> str:
        """Why the key should be replaced, or "" (3.1)."""
        if self._uses.alarmed:
            return "uses"
        if age_s >= self.profile.limits.key_age_max_s:
            return "age"
        return "counter" if self._bctr.next > self.profile.limits.max_counter - _LEFT else ""

    def events(self) -> list[SecurityEvent]:
        """What happened since the last call, oldest first."""
        found, self._events = self._events, []
        return found

    def seal(self, plaintext: bytes, groups: Sequence[int] = ()) -> bytes:
        """The broadcast to these groups, to all devices without any; unacknowledged-repeated, never answered.

        LocalProtocolError for a group that is nobody, or what does not fit; StorageError if the counter cannot be kept.
        """
        limits = self.profile.limits
        if len(groups) > limits.max_groups or not all(0 < group <= 0xFFFF for group in groups):
            raise LocalProtocolError(f"a broadcast goes to up to {limits.max_groups} groups, 0001 to FFFF")
        if not plaintext or len(plaintext) + 14 + 2 * len(groups) > limits.max_apdu:
            raise LocalProtocolError(f"a broadcast of {len(plaintext)} bytes does not fit an APDU of {limits.max_apdu}")
        frame = self._cipher.seal(plaintext, groups, self._bctr.take())
        try:
            if self._uses.one():
                self._events.append(KeyUsage("broadcast", self._uses.count))
        except StorageError:
            self._events.append(StorageFailed("uses"))
        return frame

    def prepare_key(self) -> tuple[Key, int]:
        """A new key to be handed out by key updates (3.8), the prepared one if there is one already."""
        if self._keys.next_generation == 0:
            self._keep(self.generation, self._keys.kb, self._following(), self._randomness(16))
        found = self.prepared
        assert found is not None
        return found

    def switch(self) -> None:
        """Use the prepared key: the devices follow with the first broadcast under it. LocalProtocolError without one."""
        if self._keys.next_generation == 0:
            raise LocalProtocolError("no broadcast key is prepared", hint="prepare_key, hand it out, then switch")
        self._taken(self._keys.next_generation, self._keys.next_kb)

    def new_key(self) -> tuple[Key, int]:
        """Another key at once: after a device was lost, a forger was seen, or our counters may have gone back (3.3, 3.6).

        To be handed out by handshakes or by key updates of kind 81. Its generation is above a prepared one as well.
        """
        self._taken(self._following(), self._randomness(16))
        return self.kb, self.generation

    def start_over(self) -> tuple[Key, int]:
        """Another key at once, and numbers from 1 again, when they run out.

        To be handed out by handshakes alone: a key update leaves a device's last number where it is, and it would hear nothing.
        """
        self._taken(self._following(), self._randomness(16), self._bctr.starting(1))
        self._bctr.started(1)
        return self.kb, self.generation

    def go_above(self, counter: int) -> None:
        """Leave out all numbers up to ``counter``: a forger has driven the devices there."""
        self._bctr.skip_to(counter + 1)

    def _taken(self, generation: int, kb: bytes, more: Mapping[str, bytes] | None = None) -> None:
        record = SenderKeys(generation=generation, kb=kb, next_generation=0, next_kb=_NO_KEY)
        self._memory.save({"kb": record.encode(), **self._uses.starting(), **(more or {})})
        self._uses.started()
        self._have(record)
        self._events.append(KeyChanged("broadcast", generation))

    def _following(self) -> int:
        last = max(self._keys.generation, self._keys.next_generation)
        if last >= MAX_GENERATION:
            raise LocalProtocolError("all generations of the broadcast key are used")
        return last + 1
