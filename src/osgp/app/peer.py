"""``PeerSecurity``: a concentrator's side of the AES-128 suite towards one device (``spec/osgp-application.md`` 3.3 to 3.8).

A **project choice**. It knows the PSK of one epoch, never the UMK; the key set in force, and while a handshake is being completed the
set beside it. Both stay until the device has answered a request under the new one. Numbers are reserved in the ``Memory`` before
they are used; who lost that memory or restored it from a copy calls ``distrust`` and commissions anew.
"""

from __future__ import annotations

from collections.abc import Callable

from osgp.app.aes import check_unique_node_id
from osgp.app.counters import LastSeen, SendCounter, Uses
from osgp.app.events import GenerationWentBack, KeyUsage, SecurityEvent, SetCommitted, StorageFailed
from osgp.app.handshake import PeerHandshake, Terms
from osgp.app.memory import Memory, StorageError
from osgp.app.messages import KeyUpdate, KeyUpdateKind, SequenceErrorContents
from osgp.app.profile import OsgpProfile
from osgp.app.state import KeySetRecord, key_set_of, load_record
from osgp.app.suite import FRAME, NONCE, REQUEST_AAD, SEALED_PIECES, Address, KeySet, UnicastCipher, slot_of
from osgp.app.verdict import Accepted, OutOfStep, Refused, Verdict
from osgp.crypto.keys import Key
from osgp.tables.table import extended
from osgp.wire.errors import ConfigError, DecodeError, LocalProtocolError, NoKey

__all__ = ["PeerSecurity", "Terms", "key_update_order"]

EP20 = extended(20)
FRAME_EXTRA = 13
RESPONSE_MIN = 10
ERROR_SIZE = 18
ALERT_MIN = 13
READS = (0x30, 0x3F)
_tuple = tuple.__new__  # the making of a named tuple is slow enough to be seen beside one AES-CCM


def key_update_order(parameters: KeyUpdate, psn: int) -> bytes:
    """The full write of BT07 that calls EP20 (2068) without a token."""
    data = EP20.to_bytes(2, "little") + bytes([psn]) + parameters.encode()
    return b"\x40\x00\x07" + len(data).to_bytes(2, "big") + data


class PeerSecurity:
    """See the module. ``known_generation``: the head-end's record of the device's unicast key; below it a device is refused.

    Raises ConfigError for ids or keys of a wrong size and for a damaged memory, StorageError if the memory cannot be read.
    """

    __slots__ = (
        "_actr",
        "_ciphers",
        "_events",
        "_handshake",
        "_max_apdu",
        "_memory",
        "_most",
        "_numbers",
        "_open_cipher",
        "_open_service",
        "_pending",
        "_psk",
        "_sealing",
        "_seq",
        "_set",
        "_uses",
        "asked_at",
        "concentrator_id",
        "epoch",
        "heard_at",
        "known_generation",
        "open_request",
        "probe_first",
        "profile",
        "unique_node_id",
    )

    def __init__(
        self,
        unique_node_id: bytes,
        psk: Key,
        epoch: int,
        concentrator_id: bytes,
        memory: Memory,
        *,
        randomness: Callable[[int], bytes],
        profile: OsgpProfile | None = None,
        known_generation: int = 0,
    ) -> None:
        self.unique_node_id = check_unique_node_id(unique_node_id)
        self.concentrator_id = check_unique_node_id(concentrator_id)
        self.profile = profile or OsgpProfile()
        self._max_apdu = self.profile.limits.max_apdu
        self._most = self._max_apdu - FRAME_EXTRA
        self._memory = memory
        self.renew(psk, epoch)
        self._handshake = PeerHandshake(self.unique_node_id, self.concentrator_id, randomness, self.profile)
        self._events: list[SecurityEvent] = []
        limits = self.profile.limits
        record, pending = load_record(memory, "set", KeySetRecord), load_record(memory, "pending", KeySetRecord)
        self._set = key_set_of(record) if record else None
        self._pending = key_set_of(pending) if pending else None
        self._seq = [
            SendCounter(memory, f"seq.{slot}", block=limits.counter_block, limit=limits.max_counter) for slot in (0, 1)
        ]
        self._actr = [LastSeen(memory, f"actr.{slot}", block=1, last=0) for slot in (0, 1)]
        alarm = int(limits.key_usage_max * limits.key_usage_alarm)
        self._uses = Uses(memory, "uses", block=limits.usage_block, alarm=alarm)
        self.known_generation = max(known_generation, self.ku_generation)
        self.open_request: bytes | None = None
        """The request that waits for its answer; a retry sends these bytes again."""
        self.probe_first = self._set is not None
        """A read must be answered before anything else is sealed: an earlier write may still be on its way (3.3)."""
        self._open_cipher: UnicastCipher | None = None
        self._open_service = 0
        self.asked_at = float("-inf")
        """When the last request was sealed."""
        self.heard_at: float | None = None
        """When the last answer with a good tag came."""
        self._make_ciphers()

    def _make_ciphers(self) -> None:
        self._ciphers: list[UnicastCipher | None] = [None, None]
        self._sealing: UnicastCipher | None = None
        for one in (self._set, self._pending):
            if one is not None:
                cipher = UnicastCipher(one.ku, one.ku_generation, self.unique_node_id, one.address, self.profile)
                self._ciphers[cipher.slot] = self._sealing = cipher
                self._numbers = self._seq[cipher.slot]

    def __repr__(self) -> str:
        return f"PeerSecurity({self.unique_node_id.hex()}, generation {self.ku_generation})"

    # --- what is known

    @property
    def ready(self) -> bool:
        """Whether a request can be sealed."""
        return self._sealing is not None

    @property
    def pending(self) -> bool:
        """Whether a set waits for the device's answer under it: the next request is sent by unique_node_id."""
        return self._pending is not None

    @property
    def by_id(self) -> bool:
        """Whether the open request goes to the device's unique_node_id: it puts the pending set into force."""
        return self.open_request is not None and self._pending is not None

    @property
    def address(self) -> Address | None:
        """The device's address in the set in force, in the pending one while there is no other."""
        one = self._set or self._pending
        return one.address if one else None

    @property
    def pending_address(self) -> Address | None:
        """The device's address in the set that waits for its answer, None without one."""
        return self._pending.address if self._pending else None

    @property
    def ku_generation(self) -> int:
        """Generation of the unicast key in force, 0: none."""
        return self._set.ku_generation if self._set else 0

    @property
    def epoch_in_force(self) -> int:
        """Epoch of the PSK that the unicast key in force came of, 0: none. ``epoch`` is that of the next handshake."""
        return self._set.epoch if self._set else 0

    @property
    def kb_generation(self) -> int:
        """Generation of the broadcast key that the device got with the set in force, 0: none."""
        return self._set.kb_generation if self._set else 0

    @property
    def uses(self) -> int:
        """Messages under the unicast key, good and bad."""
        return self._uses.count

    @property
    def next_seq(self) -> int:
        """The number of the next request; 0 without a key."""
        return self._seq[self._sealing.slot].next if self._sealing else 0

    def handshake_open(self, now: float) -> bool:
        """Whether a handshake is under way, its pending set included."""
        return self._pending is not None or self._handshake.is_open(now)

    def renewal_due(self, age_s: float = 0.0) -> str:
        """Why the unicast key should be renewed by a handshake, or "" (3.1). ``age_s``: since it was committed."""
        if self._set is None:
            return ""
        if self._uses.alarmed:
            return "uses"
        if age_s >= self.profile.limits.key_age_max_s:
            return "age"
        return "counter" if self.runs_out else ""

    @property
    def spent(self) -> bool:
        """Whether no request can be sealed any more under the key that is used."""
        return self._sealing is not None and self._numbers.exhausted

    @property
    def runs_out(self) -> bool:
        """Whether less than a block of numbers is left, of our requests or of the device's alerts: only a handshake goes on."""
        if self._set is None:
            return False
        slot, limits = slot_of(self._set.ku_generation), self.profile.limits
        most = limits.max_counter - limits.counter_block
        return self._seq[slot].next > most or self._actr[slot].last > most

    def events(self) -> list[SecurityEvent]:
        """What happened since the last call, oldest first."""
        found, self._events = self._events, []
        return found

    # --- commissioning

    def renew(self, psk: Key, epoch: int) -> None:
        """Another PSK and its epoch from the head-end, for the next handshake."""
        if not 0 <= epoch <= 0xFFFF:
            raise ConfigError(f"an epoch is 0 to 65535, not {epoch}")
        psk.for_aes()
        self._psk, self.epoch = psk, epoch

    def accept_generation(self, generation: int) -> None:
        """The head-end's order to go on with a device whose generation went back."""
        self.known_generation = generation

    def challenge(self, terms: Terms, now: float) -> bytes:
        """Message 1, to be sent to the unique_node_id as a request; retries send the same bytes. A handshake that is open ends.

        A set that was pending stays until the new handshake is through.
        """
        return self._handshake.challenge(terms, self._psk, self.epoch, now)

    def handshake(self, apdu: bytes, now: float) -> Verdict:
        """Messages 2 and 4: Answered(message 3), Accepted(b"") when the device has taken the set, else Refused.

        ``Refused("generation")``: the device proved itself, but with a generation below the known one (event
        ``GenerationWentBack``); go on only by ``accept_generation``.
        """
        if len(apdu) < 2 or apdu[0] != self.profile.codes.fcm:
            return Refused("code" if apdu else "length")
        if apdu[1] == 0x81:
            found = self._handshake.reply(apdu, self.known_generation, now)
            if found == Refused("generation"):
                reported = self._handshake.reported_generation
                self._events.append(GenerationWentBack(self.unique_node_id, self.known_generation, reported))
            return found
        if apdu[1] != 0x82:
            return Refused("code")
        taken = self._handshake.finish(apdu, now)
        if not isinstance(taken, KeySet):
            return taken
        return self._have_pending(taken)

    def _have_pending(self, one: KeySet) -> Verdict:
        """Keep a set beside the one in force, with counters of its own, and use it from the next request on."""
        slot = slot_of(one.ku_generation)
        values = {
            "pending": KeySetRecord.of(one).encode(),
            **self._seq[slot].starting(one.first_seq),
            **self._actr[slot].starting(0),
        }
        old = self._set
        if old is not None and slot_of(old.ku_generation) == slot:
            # The device is a generation ahead or was reset: our set is of no use any more.
            values["set"] = b""
            old = None
        try:
            self._memory.save(values)
        except StorageError:
            self._events.append(StorageFailed("handshake"))
            return Refused("storage")
        self._seq[slot].started(one.first_seq)
        self._actr[slot].started(0)
        self._set, self._pending = old, one
        self.give_up()
        self.probe_first = False
        self._make_ciphers()
        return Accepted(b"")

    def _committed(self, one: KeySet) -> None:
        """The device answered under the pending set: it is in force, the old one is gone."""
        try:
            self._memory.save({"set": KeySetRecord.of(one).encode(), "pending": b"", **self._uses.starting()})
        except StorageError:
            self._events.append(StorageFailed("commit"))
            return  # both sets stay; the next answer commits
        self._uses.started()
        self._set, self._pending = one, None
        self.known_generation = max(self.known_generation, one.ku_generation)
        self._make_ciphers()
        self._events.append(SetCommitted(one.ku_generation, one.address))

    def abandon_pending(self) -> None:
        """Go back to the set in force: the device has surely not committed the pending one (LocalProtocolError if it is all).

        StorageError if that cannot be kept.
        """
        if self._set is None:
            raise LocalProtocolError("there is no other set", hint="begin another handshake")
        self._memory.save({"pending": b""})
        self._pending = None
        self.give_up()
        self._make_ciphers()

    def distrust(self) -> None:
        """Our counters may have gone back (a lost or restored memory): forget the sets; only a handshake goes on (3.3)."""
        self._memory.save({"set": b"", "pending": b""})
        self._set = self._pending = None
        self._handshake.drop()
        self.open_request = self._open_cipher = None
        self.probe_first = False
        self._make_ciphers()

    # --- requests

    def seal(self, plaintext: bytes, now: float) -> bytes:
        """The secured request for a table service message; it stays open until answered or given up.

        Under a pending set it must go to the unique_node_id: see ``by_id``. Raises LocalProtocolError while another is open,
        for a message that does not fit, when ``probe_first`` wants a read, or at the end of all numbers; NoKey without a set;
        StorageError if the number could not be reserved. In each case nothing may be sent.
        """
        if self.open_request is not None:
            raise LocalProtocolError("a request to this device is open", hint="wait for its answer, or give it up")
        cipher = self._sealing
        if cipher is None:
            raise NoKey("this device is not commissioned", hint="a handshake comes first")
        if not 0 < len(plaintext) <= self._most:
            raise LocalProtocolError(
                f"a message of {len(plaintext)} bytes does not fit an APDU of {self.profile.limits.max_apdu}",
                hint=f"write at most {self.profile.limits.max_write} bytes at once, a token included",
            )
        if self.probe_first and plaintext[0] not in READS:
            raise LocalProtocolError(
                "an earlier order may still be on its way: one read must be answered first",
                hint="read anything, BT03 for instance, and look whether the order was carried out",
            )
        counter = self._numbers
        number = counter.next
        if number < counter.stop:
            counter.next = number + 1
        else:
            number = counter.take()
        # As UnicastCipher.seal_request: here a call is seen beside one AES-CCM.
        sealed = cipher.encrypt(NONCE(cipher.request_nonce, number), plaintext, REQUEST_AAD(cipher.request_aad, number))
        ciphertext, tag = SEALED_PIECES[len(sealed)](sealed)
        frame = FRAME[len(sealed)](cipher.request_code, ciphertext, number, tag)
        uses = self._uses
        count = uses.count = uses.count + 1
        if count >= uses.stop:
            self._counted()
        self.open_request = frame
        self._open_cipher = cipher
        self.asked_at = now
        self._open_service = plaintext[0]
        return frame

    def _count(self) -> None:
        self._uses.count += 1
        self._counted()

    def _counted(self) -> None:
        try:
            if self._uses.count >= self._uses.stop and self._uses.counted():
                self._events.append(KeyUsage("unicast", self._uses.count))
        except StorageError:
            self._events.append(StorageFailed("uses"))

    def open(self, apdu: bytes, now: float) -> Verdict:
        """The answer to the open request: Accepted(response code and data), OutOfStep, or Refused; then the request stays open.

        OutOfStep: the device did not execute *this* message; to a retry it means "outcome unknown". It is no longer open.
        """
        request, cipher = self.open_request, self._open_cipher
        if request is None or cipher is None:
            return Refused("unexpected")
        if not apdu:
            return Refused("length")
        if apdu[0] != request[0]:
            if apdu[0] == cipher.error_code[0]:
                return self._out_of_step(apdu, request, cipher, now)
            return Refused("code")
        if not RESPONSE_MIN <= len(apdu) <= self._max_apdu:
            return Refused("length")
        plaintext = cipher.open_response(apdu, request)
        if plaintext is None:
            self._count()
            return Refused("bad-tag")
        self.open_request = None
        self.probe_first = False
        self.heard_at = now
        if self._pending is not None and cipher is self._sealing:
            self._committed(self._pending)
            return Accepted(plaintext, committed=self._pending is None)
        return _tuple(Accepted, (plaintext, None, None, False))

    def _out_of_step(self, apdu: bytes, request: bytes, cipher: UnicastCipher, now: float) -> Verdict:
        if len(apdu) != ERROR_SIZE:
            return Refused("length")
        plaintext = cipher.open_error(apdu, request)
        if plaintext is None:
            self._count()
            return Refused("bad-tag")
        try:
            told = SequenceErrorContents.decode(plaintext)
        except DecodeError:
            return Refused("contents")
        if told.code != 0x0C:
            return Refused("contents")
        self._seq[cipher.slot].skip_to(told.next)
        self.open_request = None
        self.heard_at = now
        return OutOfStep(told.next)

    def give_up(self) -> None:
        """The open request will not be answered. After a write or a procedure a read must be answered before anything else."""
        if self.open_request is not None and self._open_service not in READS:
            self.probe_first = True
        self.open_request = self._open_cipher = None

    # --- alerts

    def open_alert(self, apdu: bytes) -> Verdict:
        """An alert: Accepted(plaintext of ``Alert``), its counter kept so that it is never taken twice; else Refused."""
        codes = self.profile.codes
        if not apdu or apdu[0] & ~1 != codes.alert:
            return Refused("code" if apdu else "length")
        if not ALERT_MIN <= len(apdu) <= self.profile.limits.max_apdu:
            return Refused("length")
        slot = apdu[0] & 1
        cipher = self._ciphers[slot]
        self._count()
        if cipher is None:
            return Refused("unknown-slot")
        plaintext = cipher.open_alert(apdu)
        if plaintext is None:
            return Refused("bad-tag")
        actr = int.from_bytes(apdu[-12:-8], "big")
        if not self._actr[slot].last < actr <= self.profile.limits.max_counter:
            return Refused("counter")
        try:
            self._actr[slot].take(actr)
        except StorageError:
            self._events.append(StorageFailed("alert"))
            return Refused("storage")
        return Accepted(plaintext)

    # --- keys

    def broadcast_key_update(self, kb: Key, generation: int, psn: int, now: float, *, at_once: bool = False) -> bytes:
        """The message that gives the device a broadcast key (3.8), to be sealed. ``at_once``: kind 81.

        LocalProtocolError while a handshake is open: its pending set would undo it.
        """
        if self.handshake_open(now):
            raise LocalProtocolError(
                "no key update while a handshake with this device is open", hint="complete it first: it carries the key"
            )
        kind = KeyUpdateKind.BROADCAST_KEY_AT_ONCE if at_once else KeyUpdateKind.BROADCAST_KEY
        parameters = KeyUpdate(kind=kind, slot=slot_of(generation), generation=generation, wrap=0, key=kb.for_aes())
        return key_update_order(parameters, psn)
