"""The legacy suite on the power line, both sides: OMA digest, RC4, sequence numbers. Published as broken; off by default.

Layouts 1.2, digest 1.3, encryption 1.5, sequence numbers 1.6 and the fences of 3.12 of ``spec/osgp-application.md``. Verified:
layouts and digest coverage, by a public known answer. **(unverified)**: which bytes are encrypted (we take the service code to the
sequence number, as the local port does; the message code and the digest stay clear), that a response has a key stream of its own,
and that the numbers follow the local port's rules. **Project choice**: the fences. There is no legacy broadcast here.

The fences: switched on at the concentrator *and* for the device; reads alone unless a second flag allows writes; a bad digest is met
with silence, the next ten seconds with deafness, and twenty of them in a day with quarantine until an operator releases it; a message
whose length does not fit its command is refused, since zeros at the end do not change a digest.
"""

from __future__ import annotations

from typing import Literal

from osgp.app.counters import LastSeen, Uses, load_number, stored
from osgp.app.events import KeyUsage, LegacyEnabled, Quarantined, SecurityEvent, StorageFailed
from osgp.app.memory import Memory, StorageError
from osgp.app.messages import LegacySequenceError
from osgp.app.profile import OsgpProfile
from osgp.app.suite import Address
from osgp.app.verdict import Accepted, Answered, How, OutOfStep, Refused, Verdict
from osgp.crypto.keys import Key, default_key
from osgp.crypto.legacy import DIGEST_SIZE, Rc4, oma_base_key, oma_digest, same
from osgp.wire.errors import ConfigError, DecodeError, LocalProtocolError

__all__ = ["LegacyDevice", "LegacyPeer", "LegacyTicket", "fits_command", "request_digest", "response_digest"]

READS = (0x30, 0x3F)
_HEAD = {0x30: 3, 0x3F: 8, 0x40: 5, 0x4F: 8}
_REQUEST_MIN = 1 + 3 + 4 + DIGEST_SIZE
_RESPONSE_MIN = 1 + 1 + DIGEST_SIZE
_DAY_S = 86400.0
_WRONG_SEQUENCE, _BAD_DIGEST = 0x0C, 0x0B
Encryption = Literal["off", "trial", "required"]
"""How a device takes encrypted requests: not, by trying both ways, or no others."""
_WAYS: dict[Encryption, tuple[bool, ...]] = {"off": (False,), "trial": (False, True), "required": (True,)}


def fits_command(message: bytes) -> bool:
    """Whether a table service message has exactly the length that its code and count say."""
    head = _HEAD.get(message[0]) if message else None
    if head is None or len(message) < head:
        return False
    if message[0] in READS:
        return len(message) == head
    return len(message) == head + int.from_bytes(message[head - 2 : head], "big")


def request_digest(omak: bytes, address: Address, request: bytes) -> bytes:
    """Digest of a request: subnet | node | APDU from 00 up to and including the number (1.3)."""
    return oma_digest(omak, bytes([address.subnet, address.node]) + request)


def response_digest(omak: bytes, address: Address, request: bytes, response: bytes) -> bytes:
    """Digest of a response: subnet | node | request with its number | response from 00 | length of that response (1.3)."""
    place = bytes([address.subnet, address.node])
    return oma_digest(omak, place + request + response + bytes([len(response) & 0xFF]))


class _Cipher:
    """The streams of one OMAK."""

    __slots__ = ("_base", "_continues")

    def __init__(self, omak: bytes, profile: OsgpProfile) -> None:
        self._base = oma_base_key(omak)
        self._continues = profile.legacy.response_continues_stream

    def stream(self, digest: bytes) -> Rc4:
        """The stream of a message with this digest."""
        base = self._base
        return Rc4(bytes(one ^ other for one, other in zip(base[:DIGEST_SIZE], digest)) + base[DIGEST_SIZE:])

    def of_response(self, digest: bytes, request: bytes, request_mark: bytes) -> Rc4:
        """The stream of a response; ``request``: as in clear, from 00, with its number."""
        if not self._continues:
            return self.stream(digest)
        stream = self.stream(request_mark)
        stream.keystream(len(request) - 1)
        return stream


class _Fence:
    """Bad digests: deaf for a while after each, quarantined after too many in a day."""

    def __init__(self, memory: Memory, profile: OsgpProfile) -> None:
        self._memory = memory
        self._rules = profile.legacy
        self._bad: list[float] = []
        self.quarantined = load_number(memory, "legacy.quarantine", 0) > 0

    def refusal(self, now: float) -> Refused | None:
        if self.quarantined:
            return Refused("quarantine")
        if self._bad and now - self._bad[-1] < self._rules.bad_digest_every_s:
            return Refused("limit")
        return None

    def bad(self, now: float) -> bool:
        """One more; True when it was one too many. A failing memory keeps the quarantine in mind all the same."""
        self._bad = [at for at in self._bad if now - at < _DAY_S] + [now]
        if len(self._bad) < self._rules.bad_digests_per_day:
            return False
        self.quarantined = True
        self._memory.save({"legacy.quarantine": stored(1)})
        return True

    def release(self) -> None:
        self._memory.save({"legacy.quarantine": stored(0)})
        self.quarantined = False
        self._bad = []


class LegacyTicket:
    """The right to answer one legacy request, once."""

    __slots__ = ("_encrypted", "_mark", "_request")

    def __init__(self, request: bytes, mark: bytes, encrypted: bool) -> None:
        self._request = request
        self._mark = mark
        self._encrypted = encrypted

    def __repr__(self) -> str:
        return "LegacyTicket()"


class _Side:
    """What both sides have: key, address, fence, and the count of messages under the key."""

    def __init__(self, omak: Key, memory: Memory, address: Address, profile: OsgpProfile | None) -> None:
        self.profile = profile or OsgpProfile()
        self.address = address
        self._omak = omak.for_omak()
        self._memory = memory
        self._cipher = _Cipher(self._omak, self.profile)
        self._fence = _Fence(memory, self.profile)
        self._events: list[SecurityEvent] = []
        limits = self.profile.limits
        alarm = self.profile.legacy.messages_per_key
        self._uses = Uses(memory, "legacy.uses", block=limits.counter_block, alarm=alarm)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(subnet {self.address.subnet}, node {self.address.node}, key hidden)"

    @property
    def quarantined(self) -> bool:
        """Whether nothing more is done until ``release``."""
        return self._fence.quarantined

    @property
    def uses(self) -> int:
        """Messages under this key; from ``profile.legacy.messages_per_key`` on it should be replaced."""
        return self._uses.count

    def release(self) -> None:
        """An operator's order after a quarantine. StorageError if it cannot be kept."""
        self._fence.release()

    def events(self) -> list[SecurityEvent]:
        """What happened since the last call, oldest first."""
        found, self._events = self._events, []
        return found

    def _count(self) -> None:
        try:
            if self._uses.one():
                self._events.append(KeyUsage("legacy", self._uses.count))
        except StorageError:
            self._events.append(StorageFailed("uses"))

    def _bad(self, now: float) -> None:
        try:
            if self._fence.bad(now):
                self._events.append(Quarantined(self.profile.legacy.bad_digests_per_day))
        except StorageError:
            self._events.append(StorageFailed("quarantine"))


class LegacyDevice(_Side):
    """The device's side. ``enabled``: the device's flag, mode 0 of ET04.127; ``writes``: the second flag, for writes and procedures.

    Raises ConfigError for a published OMAK (``allow_known_keys``) or one that has not 12 bytes.
    """

    def __init__(
        self,
        omak: Key,
        memory: Memory,
        address: Address,
        *,
        enabled: bool,
        writes: bool = False,
        encryption: Encryption = "trial",
        allow_known_keys: bool = False,
        profile: OsgpProfile | None = None,
    ) -> None:
        super().__init__(omak, memory, address, profile)
        _no_known_key(omak, allow_known_keys)
        self.enabled = enabled
        self.writes = writes
        self.encryption: Encryption = encryption
        self._last = LastSeen(memory, "legacy.last", block=self.profile.limits.counter_block, last=0)
        self._request_seen: bytes | None = None
        self._response: bytes | None = None
        self._ticket: LegacyTicket | None = None
        if enabled:
            self._events.append(LegacyEnabled(writes))

    @property
    def last_seq(self) -> int:
        """ET04.0: the number that was taken last; after a reset the end of its block."""
        return self._last.last

    def receive(self, apdu: bytes, how: How, now: float) -> Verdict:
        """What to do with an APDU of code 00. Never raises for what a peer can send."""
        if not self.enabled:
            return Refused("off")
        if how is How.UNANSWERED:
            return Refused("how")
        if not _REQUEST_MIN <= len(apdu) <= self.profile.limits.max_apdu:
            return Refused("length")
        if apdu[0] != self.profile.codes.legacy:
            return Refused("code")
        if apdu == self._request_seen:
            return Refused("in-progress") if self._response is None else Answered(self._response, "repeat")
        refusal = self._fence.refusal(now)
        if refusal is not None:
            return refusal
        try:
            return self._verified(apdu, now)
        except StorageError:
            self._events.append(StorageFailed("receive"))
            return Refused("storage")

    def _verified(self, apdu: bytes, now: float) -> Verdict:
        mark = apdu[-DIGEST_SIZE:]
        self._count()
        shaped = False
        for encrypted in _WAYS[self.encryption]:
            request = apdu[:-DIGEST_SIZE]
            if encrypted:
                request = request[:1] + self._cipher.stream(mark).update(request[1:])
            if not fits_command(request[1:-4]):
                continue
            shaped = True
            if same(request_digest(self._omak, self.address, request), mark):
                return self._in_order(apdu, request, LegacyTicket(request, mark, encrypted))
        if not shaped:
            return Refused("length")
        self._bad(now)
        if self.profile.legacy.answer_failures:
            request = apdu[:-DIGEST_SIZE]
            return Answered(self._sealed(bytes([_BAD_DIGEST]), LegacyTicket(request, mark, False)), "bad-digest")
        return Refused("bad-digest")

    def _in_order(self, apdu: bytes, request: bytes, ticket: LegacyTicket) -> Verdict:
        seq = int.from_bytes(request[-4:], "big")
        if not self._last.last < seq <= self._last.last + self.profile.legacy.window:
            told = LegacySequenceError(current=min(self._last.last, 0xFFFFFFFF)).encode()
            return Answered(self._sealed(told, ticket), "counter")
        message = request[1:-4]
        if message[0] not in READS and not self.writes:
            return Refused("not-allowed")
        self._last.take(seq)
        self._request_seen, self._response, self._ticket = apdu, None, ticket
        return Accepted(message, ticket)

    def seal_response(self, ticket: LegacyTicket, plaintext: bytes) -> bytes:
        """The answer, once, before another request is received. LocalProtocolError otherwise, or if it does not fit."""
        if ticket is not self._ticket or self._response is not None:
            raise LocalProtocolError(
                "this request was answered, or another came since", hint="one response per request"
            )
        if not plaintext or len(plaintext) + 9 > self.profile.limits.max_apdu:
            raise LocalProtocolError(f"an answer of {len(plaintext)} bytes does not fit")
        self._response = self._sealed(plaintext, ticket)
        return self._response

    def _sealed(self, plaintext: bytes, ticket: LegacyTicket) -> bytes:
        response = bytes([self.profile.codes.legacy]) + plaintext
        mark = response_digest(self._omak, self.address, ticket._request, response)
        if ticket._encrypted:
            stream = self._cipher.of_response(mark, ticket._request, ticket._mark)
            response = response[:1] + stream.update(response[1:])
        return response + mark


class LegacyPeer(_Side):
    """A concentrator's side towards one device. Both flags must be set; ``writes``: the second flag; ``encrypt``: RC4.

    Raises ConfigError while a flag is missing, and for a published OMAK (``allow_known_keys``).
    """

    hears_broadcasts = False
    """There is no broadcast of this suite here."""

    def __init__(
        self,
        omak: Key,
        memory: Memory,
        address: Address,
        *,
        concentrator_allows: bool,
        device_allows: bool,
        writes: bool = False,
        encrypt: bool = False,
        allow_known_keys: bool = False,
        profile: OsgpProfile | None = None,
    ) -> None:
        if not (concentrator_allows and device_allows):
            raise ConfigError(
                "the legacy suite is broken, and off",
                hint="it takes a flag of the concentrator and one of the device; better give the device a UMK and commission it",
            )
        super().__init__(omak, memory, address, profile)
        _no_known_key(omak, allow_known_keys)
        self.writes = writes
        self.encrypt = encrypt
        self.open_request: bytes | None = None
        """The request that waits for its answer; a retry may send these bytes again."""
        self._clear = b""
        self._next = self._kept = load_number(memory, "legacy.seq", 1)
        self._events.append(LegacyEnabled(writes))

    @property
    def next_seq(self) -> int:
        """The number of the next request."""
        return self._next

    def seal(self, plaintext: bytes, now: float) -> bytes:
        """The request for a table service message; it stays open until answered or given up.

        Raises LocalProtocolError while another is open, in quarantine, for a write without its flag, or a message that does not
        fit; StorageError if the number cannot be kept. In each case nothing may be sent.
        """
        if self.open_request is not None:
            raise LocalProtocolError("a request to this device is open", hint="wait for its answer, or give it up")
        if self.quarantined:
            raise LocalProtocolError("this device is in quarantine: too many bad digests", hint="release it by order")
        if not fits_command(plaintext) or len(plaintext) + 13 > self.profile.limits.max_apdu:
            raise LocalProtocolError("this is no table service message that fits one APDU")
        if plaintext[0] not in READS and not self.writes:
            raise LocalProtocolError(
                "writes over the legacy suite are off",
                hint="a second flag allows them; anyone on the line may forge them",
            )
        seq = self._take()
        request = bytes([self.profile.codes.legacy]) + plaintext + seq.to_bytes(4, "big")
        mark = request_digest(self._omak, self.address, request)
        self._count()
        self._clear, self._mark = request, mark
        if self.encrypt:
            request = request[:1] + self._cipher.stream(mark).update(request[1:])
        self.open_request = request + mark
        return self.open_request

    def _take(self) -> int:
        seq = self._next
        if seq > 0xFFFFFFFF:
            raise LocalProtocolError("all sequence numbers are used", hint="the OMAK must be replaced")
        if seq >= self._kept:
            self._go_on_from(seq)
        self._next = seq + 1
        return seq

    def _go_on_from(self, seq: int) -> None:
        kept = seq + self.profile.limits.counter_block
        self._memory.save({"legacy.seq": stored(kept)})
        self._kept = kept

    def open(self, apdu: bytes, now: float) -> Verdict:
        """The answer to the open request: Accepted, OutOfStep (next number to be used), or Refused; then it stays open."""
        if self.open_request is None:
            return Refused("unexpected")
        if not _RESPONSE_MIN <= len(apdu) <= self.profile.limits.max_apdu:
            return Refused("length")
        if apdu[0] != self.profile.codes.legacy:
            return Refused("code")
        refusal = self._fence.refusal(now)
        if refusal is not None:
            return refusal
        response, mark = apdu[:-DIGEST_SIZE], apdu[-DIGEST_SIZE:]
        if self.encrypt:
            stream = self._cipher.of_response(mark, self._clear, self._mark)
            response = response[:1] + stream.update(response[1:])
        if not _fits_response(response[1:], self._clear[1]):
            return Refused("length")
        if not same(response_digest(self._omak, self.address, self._clear, response), mark):
            self._bad(now)
            return Refused("bad-digest")
        if response[1] == _WRONG_SEQUENCE:
            return self._out_of_step(response[1:])
        if response[1] == _BAD_DIGEST:
            return Refused("error")
        self.open_request = None
        return Accepted(response[1:])

    def _out_of_step(self, told: bytes) -> Verdict:
        """The device's number is the one that counts (1.6): we go on from there, also downwards."""
        try:
            following = LegacySequenceError.decode(told).current + 1
        except DecodeError:
            return Refused("contents")
        try:
            self._go_on_from(following)
        except StorageError:
            self._events.append(StorageFailed("sequence"))
            return Refused("storage")
        self._next = following
        self.open_request = None
        return OutOfStep(following)

    def give_up(self) -> None:
        """The open request will not be answered."""
        self.open_request = None


def _fits_response(message: bytes, asked: int) -> bool:
    """Whether a response has exactly the length that its code and count say."""
    if message[0] == _WRONG_SEQUENCE:
        return len(message) == 5
    if message[0] == 0 and asked in READS:
        return len(message) >= 3 and len(message) == 3 + int.from_bytes(message[1:3], "big")
    return len(message) == 1


def _no_known_key(omak: Key, allowed: bool) -> None:
    why = default_key(omak)
    if why and not allowed:
        raise ConfigError(f"this OMAK is no secret: {why}", hint="each device has an OMAK of its own")
