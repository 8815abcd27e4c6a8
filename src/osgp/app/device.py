"""``DeviceSecurity``: the device's side of the AES-128 suite, a machine without I/O (``spec/osgp-application.md`` 3.2 to 3.8).

A **project choice** throughout. One object holds what a device knows: its UMK, the key set in force, a pending set, both
broadcast keys, and the counters, all of them in a ``Memory`` before anything depends on them. Nothing that a peer can send raises.

In front of the table server stand here: the checks of 3.3 and 3.6 in their order, the cached response to a repeat, the token
for critical orders, and the list of what a broadcast may order.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag

from osgp.app.aes import DeviceKeys, check_unique_node_id, cmac, device_keys, psk_of, unwrap_key
from osgp.app.allowed import Command, command_of
from osgp.app.counters import LastSeen, SendCounter, Uses, load_number, stored
from osgp.app.critical import BT07, FULL_WRITE, PART_WRITE, critical
from osgp.app.events import KeyChanged, KeyUsage, SecurityEvent, SetCommitted, StorageFailed
from osgp.app.handshake import CHALLENGE_SIZE, COMMISSION_SIZE, DeviceHandshake, Taken
from osgp.app.memory import Memory, StorageError
from osgp.app.messages import Alert, KeyUpdate, KeyUpdateKind, SequenceErrorContents
from osgp.app.profile import OsgpProfile
from osgp.app.state import BroadcastKeys, BroadcastNotes, KeySetRecord, UmkRecord, key_set_of, load_record
from osgp.app.suite import (
    FRAME_PIECES,
    NONCE,
    REQUEST_AAD,
    Address,
    BroadcastCipher,
    KeySet,
    UnicastCipher,
    belongs,
    slot_of,
)
from osgp.app.token import check
from osgp.app.verdict import Accepted, Answered, Denied, How, Refused, Verdict
from osgp.crypto.keys import Key, default_key
from osgp.tables.table import PENDING
from osgp.wire.errors import ConfigError, DecodeError, LocalProtocolError

__all__ = ["DevicePolicy", "DeviceSecurity"]

_FRAME_MIN = 13
_BROADCAST_MIN = 14
_EPOCH_START = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_NO_KEY = bytes(16)
# Members of an enumeration and the making of a named tuple are slow enough to be seen beside one AES-CCM.
_UNANSWERED, _BY_ID = How.UNANSWERED, How.REQUEST_BY_ID
_tuple = tuple.__new__
_REFUSED = {
    reason: Refused(reason)
    for reason in (
        *(
            "length",
            "unknown-slot",
            "bad-tag",
            "counter",
            "how",
            "in-progress",
            "code",
            "limit",
            "handshake",
            "locked-out",
        ),
        *("broadcast-window", "group", "not-allowed", "storage", "contents"),
    )
}


@dataclass(frozen=True, slots=True)
class DevicePolicy:
    """What is decided for each device.

    ``tokens``: critical orders need one; False in test configurations only, and then orders come without.
    ``relay_by_broadcast``: the control relays may be switched by broadcast; only for devices that randomise the moment.
    ``allow_known_keys``: start with a published UMK.
    ``lockout_failures``, ``lockout_minutes``: ET55.20, 21 [V]: after so many bad tags or MACs in a row the suite is deaf for so
    long; 0: off, as it should be, since anyone can send bad tags.
    """

    tokens: bool = True
    relay_by_broadcast: bool = False
    allow_known_keys: bool = False
    lockout_failures: int = 0
    lockout_minutes: int = 0


def _from_epoch(now: float) -> dt.datetime:
    return _EPOCH_START + dt.timedelta(seconds=now)


class DeviceSecurity:
    """See the module. ``groups()``: the device's group ids; ``utc(now)``: its own clock; ``randomness(n)``: n unguessable bytes.

    Raises ConfigError for a UMK that is published (``policy.allow_known_keys``), a unique_node_id of another size, or a damaged
    memory; StorageError if the memory cannot be read.
    """

    __slots__ = (
        "_actr",
        "_alerts",
        "_bctr",
        "_broadcast_uses",
        "_broadcasts",
        "_committing",
        "_device_keys",
        "_ectr",
        "_error_at",
        "_events",
        "_failures",
        "_fcm_count",
        "_fcm_day",
        "_groups",
        "_handlers",
        "_handshake",
        "_kb",
        "_last",
        "_locked_until",
        "_max_apdu",
        "_max_counter",
        "_memory",
        "_next_epoch",
        "_next_umk",
        "_notes",
        "_pending",
        "_request_cipher",
        "_request_seen",
        "_response",
        "_set",
        "_token",
        "_umk",
        "_unicast",
        "_unicast_uses",
        "_utc",
        "epoch",
        "policy",
        "profile",
        "unique_node_id",
    )

    def __init__(
        self,
        unique_node_id: bytes,
        umk: Key,
        memory: Memory,
        *,
        randomness: Callable[[int], bytes],
        profile: OsgpProfile | None = None,
        policy: DevicePolicy | None = None,
        groups: Callable[[], Collection[int]] = tuple,
        utc: Callable[[float], dt.datetime] = _from_epoch,
    ) -> None:
        self.unique_node_id = check_unique_node_id(unique_node_id)
        self.profile = profile or OsgpProfile()
        self.policy = policy or DevicePolicy()
        umk.for_aes()
        why = default_key(umk)
        if why and not self.policy.allow_known_keys:
            raise ConfigError(f"the UMK of this device is no secret: {why}", hint="give each device a random UMK")
        self._memory = memory
        self._groups = groups
        self._utc = utc
        self._events: list[SecurityEvent] = []
        self._handshake = DeviceHandshake(self.unique_node_id, randomness, self.profile)
        codes = self.profile.codes
        self._handlers: list[Callable[[bytes, How, float], Verdict]] = [self._unknown] * 256
        for slot in (0, 1):
            self._handlers[codes.request + slot] = self._request
            self._handlers[codes.broadcast + slot] = self._broadcast
        self._handlers[codes.fcm] = self._fcm
        self._max_apdu = self.profile.limits.max_apdu
        self._max_counter = self.profile.limits.max_counter
        self._load(umk)

    def _load(self, umk: Key) -> None:
        """Take everything out of the memory: counters stand at the ends of their blocks."""
        memory, limits = self._memory, self.profile.limits
        block = limits.counter_block
        record = load_record(memory, "set", KeySetRecord)
        pending = load_record(memory, "pending", KeySetRecord)
        self._set = key_set_of(record) if record else None
        self._pending = key_set_of(pending) if pending else None
        kept = load_record(memory, "umk", UmkRecord)
        self._umk = Key(kept.umk) if kept else umk
        self._next_umk = Key(kept.next_umk) if kept and kept.next_epoch else None
        self._next_epoch = kept.next_epoch if kept else 0
        self.epoch = load_number(memory, "epoch", 0)
        self._token = load_number(memory, "token", 0)
        self._last = LastSeen(memory, "last", block=block)
        self._ectr = SendCounter(memory, "ectr", block=block, limit=limits.max_counter)
        self._actr = SendCounter(memory, "actr", block=block, limit=limits.max_counter)
        self._bctr = LastSeen(memory, "bctr", block=block)
        alarm = int(limits.key_usage_max * limits.key_usage_alarm)
        self._unicast_uses = Uses(memory, "uses.unicast", block=limits.usage_block, alarm=alarm)
        self._broadcast_uses = Uses(memory, "uses.broadcast", block=limits.usage_block, alarm=alarm)
        self._kb = load_record(memory, "broadcast", BroadcastKeys) or _no_broadcast()
        self._notes = load_record(memory, "notes", BroadcastNotes) or BroadcastNotes(seconds=0, clock_day=0)
        self._fcm_day, self._fcm_count = divmod(load_number(memory, "fcm", 0), 1 << 16)
        self._device_keys: DeviceKeys | None = None
        self._error_at = self._locked_until = float("-inf")
        self._failures = 0
        self._alerts: dict[int, list[float]] = {}
        self._forget_request()
        self._make_ciphers()

    def _make_ciphers(self) -> None:
        """The ciphers by slot, after the sets or the broadcast keys changed."""
        self._unicast: list[UnicastCipher | None] = [None, None]
        self._committing: UnicastCipher | None = None
        for one in (self._set, self._pending):
            if one is not None:
                cipher = UnicastCipher(one.ku, one.ku_generation, self.unique_node_id, one.address, self.profile)
                self._unicast[cipher.slot] = cipher
                if one is self._pending:
                    self._committing = cipher
        self._broadcasts: list[BroadcastCipher | None] = [None, None]
        if self._set is not None:
            for slot, generation in enumerate(self._kb.generations):
                if generation:
                    self._broadcasts[slot] = BroadcastCipher(
                        Key(self._kb.keys[slot]),
                        generation,
                        self._set.concentrator_id,
                        self._set.address.domain,
                        self.profile,
                    )

    def _forget_request(self) -> None:
        self._request_seen: bytes | None = None
        self._response: bytes | None = None
        self._request_cipher: UnicastCipher | None = None

    def __repr__(self) -> str:
        return f"DeviceSecurity({self.unique_node_id.hex()}, generation {self.ku_generation})"

    # --- what is known

    @property
    def address(self) -> Address | None:
        """The address of the set in force; None: not commissioned."""
        return self._set.address if self._set else None

    @property
    def concentrator_id(self) -> bytes | None:
        """unique_node_id of the concentrator that commissioned the device."""
        return self._set.concentrator_id if self._set else None

    @property
    def ku_generation(self) -> int:
        """Generation of the unicast key in use, 0: none."""
        return self._set.ku_generation if self._set else 0

    @property
    def kb_generation(self) -> int:
        """Generation of the broadcast key in use, 0: none."""
        return self._kb.current

    @property
    def window(self) -> tuple[int, int]:
        """B and D, ET04.82 and 86."""
        return self._kb.b, self._kb.d

    @property
    def last_broadcast(self) -> int:
        """The last BCTR that was taken; B - 1 if there was none."""
        return self._bctr.last

    @property
    def broadcast_time(self) -> dt.datetime | None:
        """UTC of the last good broadcast, ET04.76."""
        return _from_epoch(self._notes.seconds) if self._notes.seconds else None

    @property
    def unicast_uses(self) -> int:
        """ET54.82: attempts under the unicast key, good or bad; after a reset up to ``usage_block`` too many."""
        return self._unicast_uses.count

    @property
    def broadcast_uses(self) -> int:
        """ET54.86: the same for the broadcast key."""
        return self._broadcast_uses.count

    @property
    def token_counter(self) -> int:
        """The counter of the last token that was taken."""
        return self._token

    def fcm_count(self, now: float) -> int:
        """ET04.128: challenge and commission messages today."""
        return self._fcm_count if self._fcm_day == self._utc(now).toordinal() else 0

    def kfw(self) -> Key:
        """The key of image MACs (3.9)."""
        return self._keys().kfw

    def events(self) -> list[SecurityEvent]:
        """What happened since the last call, oldest first."""
        found, self._events = self._events, []
        return found

    def _keys(self) -> DeviceKeys:
        if self._device_keys is None:
            self._device_keys = device_keys(self._umk, self.unique_node_id, self.profile)
        return self._device_keys

    # --- messages in

    def receive(self, apdu: bytes, how: How, now: float) -> Verdict:
        """What to do with an APDU of code 10 to 13 or 18; ``how`` it came. Never raises for what a peer can send."""
        try:
            if not apdu:
                return _REFUSED["length"]
            if now < self._locked_until:
                return _REFUSED["locked-out"]
            return self._handlers[apdu[0]](apdu, how, now)
        except StorageError:
            self._events.append(StorageFailed("receive"))
            return _REFUSED["storage"]

    def _unknown(self, apdu: bytes, how: How, now: float) -> Verdict:
        """A code of somebody else."""
        return _REFUSED["code"]

    def _request(self, apdu: bytes, how: How, now: float) -> Verdict:
        """3.3, in the order of its checks. What happens with every request stands here in the open: a call costs as much as it."""
        size = len(apdu)
        if not _FRAME_MIN <= size <= self._max_apdu:
            return _REFUSED["length"]
        if how is _UNANSWERED:
            return _REFUSED["how"]
        if apdu == self._request_seen:
            return _REFUSED["in-progress"] if self._response is None else Answered(self._response, "repeat")
        uses = self._unicast_uses
        count = uses.count = uses.count + 1
        if count >= uses.stop:
            self._count_unicast()
        cipher = self._unicast[apdu[0] & 1]
        if cipher is None:
            return _REFUSED["unknown-slot"]
        ciphertext, seq, tag = FRAME_PIECES[size](apdu)
        try:  # as UnicastCipher.open_request
            plaintext = cipher.decrypt(
                NONCE(cipher.request_nonce, seq), ciphertext + tag, REQUEST_AAD(cipher.request_aad, seq)
            )
        except InvalidTag:
            self._failed(now)
            return _REFUSED["bad-tag"]
        self._failures = 0
        committed = False
        last = self._last
        if cipher is self._committing:
            # Silent when out of range: a sequence error would use ECTR 1 of a key that is not in force.
            if how is not _BY_ID:
                return _REFUSED["how"]
            assert self._pending is not None
            if not self._pending.first_seq <= seq <= self._max_counter:
                return _REFUSED["counter"]
            self._commit(self._pending, seq, self.profile.limits.counter_block)
            committed = True
        elif not last.last < seq <= self._max_counter:
            return self._sequence_error(apdu, cipher, now)
        elif seq < last.stop:
            last.last = seq
        else:
            last.take(seq)
        denied = None
        self._request_seen = apdu
        self._request_cipher = cipher
        self._response = None
        if plaintext and plaintext[0] >= FULL_WRITE:
            plaintext, denied = self.authorise(plaintext, now)
        return _tuple(Accepted, (plaintext, apdu, denied, committed))

    def _failed(self, now: float) -> None:
        """A bad tag or MAC: perhaps one too many."""
        self._failures += 1
        if self.policy.lockout_failures and self._failures >= self.policy.lockout_failures:
            self._failures = 0
            self._locked_until = now + 60.0 * self.policy.lockout_minutes

    def _count_unicast(self) -> None:
        try:
            if self._unicast_uses.counted():
                self._events.append(KeyUsage("unicast", self._unicast_uses.count))
        except StorageError:
            self._events.append(StorageFailed("uses"))

    def _sequence_error(self, apdu: bytes, cipher: UnicastCipher, now: float) -> Verdict:
        """3.4: told to whoever has the key, at most once a second, with a counter of the device's own."""
        if now - self._error_at < self.profile.limits.sequence_error_every_s or self._ectr.exhausted:
            return _REFUSED["counter"]
        ectr = self._ectr.take()
        self._error_at = now
        plaintext = SequenceErrorContents(next=self._last.last + 1).encode()
        return Answered(cipher.seal_error(plaintext, ectr, apdu), "counter")

    def seal_response(self, ticket: bytes, plaintext: bytes) -> bytes:
        """The answer to the request of ``ticket``, once, before another request is received; kept for a repeat.

        ``plaintext``: response code, of a read count and data. Raises LocalProtocolError for a ticket that was used or
        overtaken, and for an answer that does not fit (87 bytes, of which 84 data; answer with a code then).
        """
        cipher = self._request_cipher
        if ticket is not self._request_seen or self._response is not None or cipher is None:
            raise LocalProtocolError(
                "this request was answered, or another came since", hint="one response per request"
            )
        if len(plaintext) + 9 > self._max_apdu:
            raise LocalProtocolError(
                f"an answer of {len(plaintext)} bytes does not fit an APDU of {self._max_apdu}",
                hint="answer with response code 04: the concentrator reads the table in parts",
            )
        self._response = response = cipher.seal_response(plaintext, ticket)
        return response

    # --- critical orders

    def authorise(self, plaintext: bytes, now: float) -> tuple[bytes, Denied | None]:
        """Check and cut off the token of a critical order; store its counter before anything is executed (3.8).

        ``receive`` has done this for the message itself. The node does it for each record of a transaction. Returns the
        message for the table server, and what to answer instead if it must not be carried out.
        """
        if plaintext[:1] == bytes([PART_WRITE]) and len(plaintext) >= 3:
            table = plaintext[1] << 8 | plaintext[2]
            if table & ~PENDING == BT07:
                return plaintext, Denied("not-allowed")
        elif plaintext[:3] == bytes([FULL_WRITE]) + (BT07 | PENDING).to_bytes(2, "big"):
            return plaintext, Denied("not-allowed")
        order = critical(plaintext)
        if order is None:
            return plaintext, None
        if not self.policy.tokens:
            return plaintext, None
        found = check(self._keys().kcrit, self.unique_node_id, order.covered, order.token, self._token, self.profile)
        if isinstance(found, str):
            called = order.procedure
            return plaintext, Denied(found, called.field, called.psn) if called else Denied(found)
        try:
            self._memory.save({"token": stored(found)})
        except StorageError:
            self._events.append(StorageFailed("token"))
            called = order.procedure
            return plaintext, Denied("storage", called.field, called.psn) if called else Denied("storage")
        self._token = found
        return order.bare, None

    # --- broadcast

    def _broadcast(self, apdu: bytes, how: How, now: float) -> Verdict:
        """3.6. Never answered, good or bad."""
        if how is not How.UNANSWERED:
            return _REFUSED["how"]
        size = len(apdu)
        if not _BROADCAST_MIN <= size <= self._max_apdu or size < _BROADCAST_MIN + 2 * apdu[1]:
            return _REFUSED["length"]
        try:
            if self._broadcast_uses.one():
                self._events.append(KeyUsage("broadcast", self._broadcast_uses.count))
        except StorageError:
            self._events.append(StorageFailed("uses"))
        cipher = self._broadcasts[apdu[0] & 1]
        if cipher is None:
            return _REFUSED["unknown-slot"]
        head = 2 + 2 * apdu[1]
        plaintext = cipher.open(apdu, head)
        if plaintext is None:
            return _REFUSED["bad-tag"]
        bctr = int.from_bytes(apdu[-12:-8], "big")
        if not self._kb.b <= bctr <= self._kb.b + self._kb.d:
            return _REFUSED["broadcast-window"]
        if bctr <= self._bctr.last:
            return _REFUSED["counter"]
        if cipher.generation != self._kb.current:
            self._switch_kb(cipher.generation)
        self._bctr.last = bctr
        groups = [int.from_bytes(apdu[place : place + 2], "little") for place in range(2, head, 2)]
        if groups:
            own = self._groups()
            if not any(belongs(group, own) for group in groups):
                return _REFUSED["group"]
        return self._ordered_to_all(plaintext, bctr, now)

    def _ordered_to_all(self, plaintext: bytes, bctr: int, now: float) -> Verdict:
        """A good broadcast for us: on the list, and kept before it is executed."""
        utc = self._utc(now)
        command: Command = command_of(plaintext, utc, self.profile.limits.broadcast_clock_step_s)
        if command == "relay" and not self.policy.relay_by_broadcast:
            command = ""
        day = utc.toordinal()
        if command == "clock" and day <= self._notes.clock_day:
            command = ""
        if not command:
            return _REFUSED["not-allowed"]
        seconds = max(0, min(int((utc - _EPOCH_START).total_seconds()), 0xFFFFFFFF))
        notes = BroadcastNotes(seconds=seconds, clock_day=day if command == "clock" else self._notes.clock_day)
        if command == "code":
            self._bctr.keep(bctr, self.profile.limits.counter_block)
        else:
            self._memory.save({**self._bctr.keeping(bctr), "notes": notes.encode()})
            self._bctr.kept(bctr)
        self._notes = notes
        return Accepted(plaintext)

    def _switch_kb(self, generation: int) -> None:
        """The first valid broadcast under the key in the idle slot makes it current and erases the old one (3.8)."""
        slot = slot_of(generation)
        self._keep_kb({slot: (generation, self._kb.keys[slot])}, generation, self._broadcast_uses.starting())
        self._broadcast_uses.started()
        self._events.append(KeyChanged("broadcast", generation))

    def _keep_kb(self, keys: dict[int, tuple[int, bytes]], current: int, more: dict[str, bytes]) -> None:
        """Save broadcast keys by slot, and then have them."""
        both = [keys.get(slot, (0, _NO_KEY)) for slot in (0, 1)]
        record = BroadcastKeys(
            current=current,
            generations=[generation for generation, _ in both],
            keys=[key for _, key in both],
            b=self._kb.b,
            d=self._kb.d,
        )
        mark = _mark_of(Key(record.keys[slot_of(current)]))
        self._memory.save({"broadcast": record.encode(), "kb.mark": mark, **more})
        self._kb = record
        self._make_ciphers()

    def set_window(self, b: int, d: int) -> None:
        """B and D as a secured unicast write of ET04.82/86 set them. ConfigError for numbers that do not fit."""
        if not 0 <= b <= 0xFFFFFFFF or not 0 <= d <= 0xFFFF:
            raise ConfigError("B has 4 bytes, D has 2")
        old = self._kb
        record = BroadcastKeys(current=old.current, generations=old.generations, keys=old.keys, b=b, d=d)
        self._memory.save({"broadcast": record.encode()})
        self._kb = record

    # --- keys

    def update_key(self, parameters: bytes, now: float) -> str:
        """EP20 (2068), its parameters without the token: "" if done, else the reason. For secured unicast only (3.8)."""
        try:
            asked = KeyUpdate.decode(parameters)
            wrapped = {0: 16, 1: 24}.get(asked.wrap)
            if wrapped != len(asked.key):
                return "contents"
            if asked.kind == KeyUpdateKind.UMK:
                return self._update_umk(asked)
            if asked.kind in (KeyUpdateKind.BROADCAST_KEY, KeyUpdateKind.BROADCAST_KEY_AT_ONCE):
                return self._update_kb(asked)
        except DecodeError:
            return "contents"
        except StorageError:
            self._events.append(StorageFailed("key update"))
            return "storage"
        return "contents"

    def _update_kb(self, asked: KeyUpdate) -> str:
        at_once = asked.kind == KeyUpdateKind.BROADCAST_KEY_AT_ONCE
        current = self._kb.current
        follows = asked.generation > current if at_once else asked.generation == current + 1
        if not current or not follows:
            return "generation"
        slot = slot_of(asked.generation)
        if asked.slot != slot:
            return "unknown-slot"
        key = Key(asked.key) if asked.wrap == 0 else unwrap_key(self._keys().kek, asked.key)
        if key is None:
            return "bad-tag"
        if at_once:
            self._keep_kb({slot: (asked.generation, key.for_aes())}, asked.generation, self._broadcast_uses.starting())
            self._broadcast_uses.started()
            self._events.append(KeyChanged("broadcast", asked.generation))
        else:
            old = slot_of(current)
            self._keep_kb({slot: (asked.generation, key.for_aes()), old: (current, self._kb.keys[old])}, current, {})
        return ""

    def _update_umk(self, asked: KeyUpdate) -> str:
        if asked.slot != 0:
            return "unknown-slot"
        if asked.generation <= self.epoch:
            return "epoch"
        if asked.wrap != 1:
            return "contents"
        key = unwrap_key(self._keys().kek, asked.key)
        if key is None:
            return "bad-tag"
        record = UmkRecord(umk=self._umk.for_aes(), next_epoch=asked.generation, next_umk=key.for_aes())
        self._memory.save({"umk": record.encode()})
        self._next_umk, self._next_epoch = key, asked.generation
        self._events.append(KeyChanged("umk", asked.generation))
        return ""

    # --- commissioning

    def _fcm(self, apdu: bytes, how: How, now: float) -> Verdict:
        """3.7: challenge and commission, to the unique_node_id, as requests."""
        kind = apdu[1] if len(apdu) > 1 else 0
        if len(apdu) != {1: CHALLENGE_SIZE, 2: COMMISSION_SIZE}.get(kind):
            return _REFUSED["length"]
        if how is not How.REQUEST_BY_ID:
            return _REFUSED["how"]
        if not self._count_fcm(now):
            return _REFUSED["limit"]
        if kind == 1:
            return self._handshake.challenge(apdu, self._psk, self.ku_generation, self.epoch, now)
        found = self._handshake.commission(apdu, now)
        if not isinstance(found, Taken):
            if isinstance(found, Refused) and found.reason == "bad-mac":
                self._failed(now)
            return found
        if found.key_set is not None:
            self._memory.save({"pending": KeySetRecord.of(found.key_set).encode()})
            self._pending = found.key_set
            self._make_ciphers()
        self._handshake.done(apdu, found.answer)
        return Answered(found.answer, "handshake")

    def _psk(self, concentrator_id: bytes, epoch: int) -> Key:
        umk = self._next_umk if self._next_umk is not None and epoch >= self._next_epoch else self._umk
        return psk_of(umk, self.unique_node_id, concentrator_id, epoch, self.profile)

    def _count_fcm(self, now: float) -> bool:
        """One more of today's; False when there were enough."""
        day = self._utc(now).toordinal()
        count = self._fcm_count if day == self._fcm_day else 0
        if count >= self.profile.limits.fcm_per_day:
            return False
        self._memory.save({"fcm": stored(day << 16 | count + 1)})
        self._fcm_day, self._fcm_count = day, count + 1
        return True

    def _commit(self, one: KeySet, last: int, block: int) -> None:
        """Put a set into force: all of it in one save, or nothing. Old keys, their counters and responses are gone after it."""
        # Known also after "Force Neuron config": else what was recorded under this key could be said again.
        mark = _mark_of(one.kb)
        same_kb = self._memory.load("kb.mark") == mark
        slot = slot_of(one.kb_generation)
        empty = [(0, _NO_KEY), (0, _NO_KEY)]
        empty[slot] = (one.kb_generation, one.kb.for_aes())
        broadcast = BroadcastKeys(
            current=one.kb_generation,
            generations=[generation for generation, _ in empty],
            keys=[key for _, key in empty],
            b=one.b,
            d=one.d,
        )
        umk = self._umk
        takes_umk = self._next_umk is not None and one.epoch >= self._next_epoch
        if takes_umk and self._next_umk is not None:
            umk = self._next_umk
        values = {
            "set": KeySetRecord.of(one).encode(),
            "pending": b"",
            "broadcast": broadcast.encode(),
            "kb.mark": mark,
            "epoch": stored(max(one.epoch, self.epoch)),
            **self._last.starting(last, block),
            **self._ectr.starting(1),
            **self._actr.starting(1),
            **self._unicast_uses.starting(),
        }
        if takes_umk:
            values["umk"] = UmkRecord(umk=umk.for_aes(), next_epoch=0, next_umk=_NO_KEY).encode()
        if not same_kb:
            values |= self._bctr.starting(one.b - 1) | self._broadcast_uses.starting()
        self._memory.save(values)
        self._last.started(last, block)
        self._ectr.started(1)
        self._actr.started(1)
        self._unicast_uses.started()
        if not same_kb:
            self._bctr.started(one.b - 1)
            self._broadcast_uses.started()
        if takes_umk:
            self._umk, self._next_umk, self._next_epoch, self._device_keys = umk, None, 0, None
        self._set, self._pending, self._kb = one, None, broadcast
        self.epoch = max(one.epoch, self.epoch)
        self._alerts.clear()
        self._handshake.drop()
        self._forget_request()
        self._make_ciphers()
        self._events.append(SetCommitted(one.ku_generation, one.address))

    def install(self, one: KeySet) -> None:
        """Put a set into force without a handshake: provisioning at the device itself, tests. StorageError if not kept.

        ConfigError for an epoch below the stored one, or a generation that is in use.
        """
        if one.epoch < self.epoch:
            raise ConfigError(f"epoch {one.epoch} is below the stored epoch {self.epoch}")
        if one.ku_generation == self.ku_generation:
            raise ConfigError(f"generation {one.ku_generation} of the unicast key is in use")
        self._commit(one, one.first_seq - 1, 1)

    def forget_sets(self) -> None:
        """ "Force Neuron config": no set, no address, no broadcast key. Epoch, token counter and UMK stay (3.1)."""
        values = {"set": b"", "pending": b"", "broadcast": b""}
        self._memory.save(values)
        self._set = self._pending = None
        self._kb = _no_broadcast()
        self._handshake.drop()
        self._forget_request()
        self._make_ciphers()

    # --- alerts

    def seal_alert(self, alert: Alert, now: float) -> bytes | None:
        """The frame of an alert (3.5); None if there is no key, or too many of this class were sent (1 a minute, 24 a day).

        StorageError if its counter cannot be kept: then nothing is sent.
        """
        one = self._set
        limits = self.profile.limits
        sent = [at for at in self._alerts.get(alert.alert_class, []) if now - at < 86400.0]
        if one is None or len(sent) >= limits.alerts_per_day or self._actr.exhausted:
            return None
        if sent and now - sent[-1] < limits.alert_every_s:
            return None
        cipher = self._unicast[slot_of(one.ku_generation)]
        assert cipher is not None
        frame = cipher.seal_alert(alert.encode(), self._actr.take())
        self._alerts[alert.alert_class] = [*sent, now]
        return frame


def _mark_of(kb: Key) -> bytes:
    """By which a broadcast key is known again without keeping it."""
    return cmac(kb, b"mark")[:8]


def _no_broadcast() -> BroadcastKeys:
    return BroadcastKeys(current=0, generations=[0, 0], keys=[_NO_KEY, _NO_KEY], b=0, d=0)
