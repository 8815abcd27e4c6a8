"""The commissioning handshake (3.7), both sides: challenge, reply, commission, reply, in the order of RFC 5433.

A **project choice** (``spec/osgp-application.md`` 3.7). Both machines hold one open handshake and no storage: ``device`` and ``peer``
keep what comes out of it, a ``KeySet``. No key is used for anything but its MACs before the peer has proven that it has the PSK.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from osgp.app.aes import MAC_SIZE, TAG_SIZE, SessionKeys, cmac, session_keys
from osgp.app.messages import Challenge, ChallengeReply, Commission, CommissionContents, CommissionReply, Suites
from osgp.app.profile import OsgpProfile
from osgp.app.suite import DOMAIN_SIZES, MAX_GENERATION, Address, KeySet
from osgp.app.verdict import Answered, Refused, Verdict
from osgp.crypto.keys import Key
from osgp.wire import layout_of
from osgp.wire.errors import LocalProtocolError

__all__ = ["CHALLENGE_SIZE", "COMMISSION_SIZE", "DeviceHandshake", "PeerHandshake", "Taken", "Terms"]

CHALLENGE_SIZE = layout_of(Challenge).size or 0
REPLY_SIZE = layout_of(ChallengeReply).size or 0
COMMISSION_SIZE = layout_of(Commission).size or 0
COMMISSION_REPLY_SIZE = layout_of(CommissionReply).size or 0
CONTENTS_SIZE = layout_of(CommissionContents).size or 0
NO_MAC = bytes(MAC_SIZE)
TAKEN, CONTENTS_REFUSED = 0, 1
MAC1, MAC2, MAC3 = b"\x02", b"\x03", b"\x04"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a concentrator offers a device: its address, the broadcast key and window, and where its requests begin."""

    address: Address
    kb: Key
    kb_generation: int
    b: int
    d: int
    first_seq: int = 1


@dataclass(frozen=True, slots=True)
class Taken:
    """A commission message that proved itself: ``key_set`` to be kept before ``answer`` goes out; None: contents refused."""

    answer: bytes
    key_set: KeySet | None


def mac(key: Key, number: bytes, *pieces: bytes) -> bytes:
    """MAC of a handshake message: CMAC(KMAC, number | messages)."""
    return cmac(key, number, *pieces)


def _contents_cipher(kpd: Key) -> AESCCM:
    return AESCCM(kpd.for_aes(), tag_length=TAG_SIZE)


def _contents_nonce(unique_node_id: bytes, epoch: int, profile: OsgpProfile) -> bytes:
    return bytes([profile.nonces.commissioning]) + unique_node_id + epoch.to_bytes(2, "big") + bytes(4)


@dataclass(slots=True)
class _DeviceSide:
    """The one challenge that a device waits with."""

    challenge: bytes
    reply: bytes
    keys: SessionKeys | None
    concentrator_id: bytes
    epoch: int
    generation: int
    until: float
    commission: bytes = b""
    answer: bytes = b""


class DeviceHandshake:
    """The device's side. ``randomness(32)`` gives RD."""

    def __init__(self, unique_node_id: bytes, randomness: Callable[[int], bytes], profile: OsgpProfile) -> None:
        self._unique_node_id = unique_node_id
        self._randomness = randomness
        self._profile = profile
        self._open: _DeviceSide | None = None

    def drop(self) -> None:
        """Forget what is open: the generation in use has changed, or the keys are gone."""
        self._open = None

    def challenge(
        self, apdu: bytes, psk: Callable[[bytes, int], Key], generation: int, stored_epoch: int, now: float
    ) -> Verdict:
        """Message 1. ``psk(concentrator_id, epoch)``; ``generation``: of the KU in use, 0: none.

        An identical challenge gets the same answer, another one replaces it. A lower epoch, no common suite, or a generation
        that has no successor get no answer.
        """
        opened = self._open
        if opened is not None and now < opened.until and hmac.compare_digest(apdu, opened.challenge):
            return Answered(opened.reply, "handshake")
        message = Challenge.decode(apdu)
        if message.epoch < stored_epoch:
            return Refused("epoch")
        suite = self._profile.limits.suite
        if not int(message.suites) >> suite & 1:
            return Refused("suite")
        if generation >= MAX_GENERATION:
            return Refused("generation")
        rd = self._randomness(32)
        keys = session_keys(
            psk(message.concentrator_id, message.epoch),
            message.rc,
            message.concentrator_id,
            rd,
            self._unique_node_id,
            suite,
            self._profile,
        )
        bare = ChallengeReply(
            code=self._profile.codes.fcm,
            suite=suite,
            rd=rd,
            unique_node_id=self._unique_node_id,
            epoch=message.epoch,
            generation=generation,
            mac=NO_MAC,
        ).encode()[:-MAC_SIZE]
        reply = bare + mac(keys.kmac, MAC1, apdu, bare)
        timeout = self._profile.limits.challenge_timeout_s
        self._open = _DeviceSide(apdu, reply, keys, message.concentrator_id, message.epoch, generation, now + timeout)
        return Answered(reply, "handshake")

    def commission(self, apdu: bytes, now: float) -> Verdict | Taken:
        """Message 3: ``Taken``, to be kept and then ``done``. A repeat of a finished one is answered as before.

        A bad MAC leaves the challenge open, so that a forger cannot close it; a good MAC with a bad tag closes it.
        """
        opened = self._open
        if opened is None or now >= opened.until:
            self._open = None
            return Refused("handshake")
        if opened.keys is None:
            if opened.answer and hmac.compare_digest(apdu, opened.commission):
                return Answered(opened.answer, "repeat")
            return Refused("handshake")
        keys = opened.keys
        bare = apdu[:-MAC_SIZE]
        if not hmac.compare_digest(mac(keys.kmac, MAC2, opened.challenge, opened.reply, bare), apdu[-MAC_SIZE:]):
            return Refused("bad-mac")
        nonce = _contents_nonce(self._unique_node_id, opened.epoch, self._profile)
        try:
            plaintext = _contents_cipher(keys.kpd).decrypt(nonce, bare[2:], opened.challenge + opened.reply)
        except InvalidTag:
            self._open = None
            return Refused("bad-tag")
        key_set = self._key_set(CommissionContents.decode(plaintext), keys.ku, opened)
        result = CONTENTS_REFUSED if key_set is None else TAKEN
        start = CommissionReply(code=self._profile.codes.fcm, result=result, mac=NO_MAC).encode()[:-MAC_SIZE]
        return Taken(start + mac(keys.kmac, MAC3, opened.challenge, opened.reply, apdu, start), key_set)

    def _key_set(self, contents: CommissionContents, ku: Key, opened: _DeviceSide) -> KeySet | None:
        """The set, or None for contents that no device can take."""
        size = contents.domain_length
        fits = (
            size in DOMAIN_SIZES
            and not any(contents.domain[size:])
            and 1 <= contents.subnet <= 255
            and 1 <= contents.node <= 127
            and 1 <= contents.first_seq <= self._profile.limits.max_counter
            and contents.kb_generation >= 1
        )
        if not fits:
            return None
        return KeySet(
            epoch=opened.epoch,
            concentrator_id=opened.concentrator_id,
            address=Address(contents.domain[:size], contents.subnet, contents.node),
            ku=ku,
            ku_generation=opened.generation + 1,
            first_seq=contents.first_seq,
            kb=Key(contents.kb),
            kb_generation=contents.kb_generation,
            b=contents.b,
            d=contents.d,
        )

    def done(self, apdu: bytes, answer: bytes) -> None:
        """What ``commission`` gave is kept: KMAC and KPD go, the answer stays for a repeat of these bytes."""
        if self._open is not None:
            self._open.keys = None
            self._open.commission = apdu
            self._open.answer = answer


@dataclass(slots=True)
class _PeerSide:
    """The one handshake that a concentrator has open with a device."""

    terms: Terms
    psk: Key
    epoch: int
    rc: bytes
    challenge: bytes
    until: float
    reply: bytes = b""
    commission: bytes = b""
    keys: SessionKeys | None = None
    generation: int = 0


class PeerHandshake:
    """The concentrator's side, for one device. ``randomness(32)`` gives RC."""

    def __init__(
        self, unique_node_id: bytes, concentrator_id: bytes, randomness: Callable[[int], bytes], profile: OsgpProfile
    ) -> None:
        self._unique_node_id = unique_node_id
        self._concentrator_id = concentrator_id
        self._randomness = randomness
        self._profile = profile
        self._open: _PeerSide | None = None
        self.reported_generation = 0
        """What the last proven reply said of the KU in use."""

    def is_open(self, now: float) -> bool:
        """Whether messages 2 or 4 are waited for."""
        return self._open is not None and now < self._open.until

    def drop(self) -> None:
        """Forget what is open."""
        self._open = None

    def challenge(self, terms: Terms, psk: Key, epoch: int, now: float) -> bytes:
        """Message 1, with a fresh random; what was open is replaced."""
        if (
            len(terms.address.domain) not in DOMAIN_SIZES
            or not 1 <= terms.first_seq <= self._profile.limits.max_counter
        ):
            raise LocalProtocolError("no device can take these terms", hint="first SEQ is 1 to FFFF0000")
        rc = self._randomness(32)
        challenge = Challenge(
            code=self._profile.codes.fcm,
            suites=Suites(1 << self._profile.limits.suite),
            rc=rc,
            concentrator_id=self._concentrator_id,
            epoch=epoch,
        ).encode()
        until = now + self._profile.limits.challenge_timeout_s
        self._open = _PeerSide(terms, psk, epoch, rc, challenge, until)
        return challenge

    def reply(self, apdu: bytes, known_generation: int, now: float) -> Verdict:
        """Message 2: Answered(message 3). The same reply again gets the same bytes, never a second encryption."""
        opened = self._open
        if opened is None or now >= opened.until:
            self._open = None
            return Refused("handshake")
        if len(apdu) != REPLY_SIZE:
            return Refused("length")
        if opened.commission:
            same = hmac.compare_digest(apdu, opened.reply)
            return Answered(opened.commission, "repeat") if same else Refused("handshake")
        message = ChallengeReply.decode(apdu)
        if message.unique_node_id != self._unique_node_id:
            return Refused("identity")
        if message.epoch != opened.epoch:
            return Refused("epoch")
        suite = self._profile.limits.suite
        if message.suite != suite:
            return Refused("suite")
        keys = session_keys(
            opened.psk, opened.rc, self._concentrator_id, message.rd, self._unique_node_id, suite, self._profile
        )
        if not hmac.compare_digest(mac(keys.kmac, MAC1, opened.challenge, apdu[:-MAC_SIZE]), message.mac):
            return Refused("bad-mac")
        self.reported_generation = message.generation
        if message.generation < known_generation or message.generation >= MAX_GENERATION:
            return Refused("generation")
        opened.reply, opened.keys, opened.generation = apdu, keys, message.generation + 1
        opened.commission = self._commission(opened, keys)
        return Answered(opened.commission, "handshake")

    def _commission(self, opened: _PeerSide, keys: SessionKeys) -> bytes:
        """Message 3. Called once for a reply: one encryption under one KPD."""
        terms = opened.terms
        plaintext = CommissionContents(
            domain_length=len(terms.address.domain),
            domain=terms.address.domain.ljust(6, b"\0"),
            subnet=terms.address.subnet,
            node=terms.address.node,
            first_seq=terms.first_seq,
            kb_generation=terms.kb_generation,
            kb=terms.kb.for_aes(),
            b=terms.b,
            d=terms.d,
        ).encode()
        nonce = _contents_nonce(self._unique_node_id, opened.epoch, self._profile)
        sealed = _contents_cipher(keys.kpd).encrypt(nonce, plaintext, opened.challenge + opened.reply)
        bare = Commission(code=self._profile.codes.fcm, ciphertext=sealed, mac=NO_MAC).encode()[:-MAC_SIZE]
        return bare + mac(keys.kmac, MAC2, opened.challenge, opened.reply, bare)

    def finish(self, apdu: bytes, now: float) -> Verdict | KeySet:
        """Message 4: the set that the device has taken; a refusal of the contents ends the handshake."""
        opened = self._open
        if opened is None or now >= opened.until or opened.keys is None:
            return Refused("handshake")
        if len(apdu) != COMMISSION_REPLY_SIZE:
            return Refused("length")
        expected = mac(opened.keys.kmac, MAC3, opened.challenge, opened.reply, opened.commission, apdu[:-MAC_SIZE])
        if not hmac.compare_digest(expected, apdu[-MAC_SIZE:]):
            return Refused("bad-mac")
        self._open = None
        if CommissionReply.decode(apdu).result != TAKEN:
            return Refused("contents")
        terms = opened.terms
        return KeySet(
            epoch=opened.epoch,
            concentrator_id=self._concentrator_id,
            address=terms.address,
            ku=opened.keys.ku,
            ku_generation=opened.generation,
            first_seq=terms.first_seq,
            kb=terms.kb,
            kb_generation=terms.kb_generation,
            b=terms.b,
            d=terms.d,
        )
