"""Group ``street``: what OSGP's security costs beside the bare cipher, and what the planner saves (``street_planner``).

The peer is ``AESCCM`` of ``cryptography`` with its key object kept: encrypt or decrypt, and nothing around it. Ours makes nonce and
additional data, takes or judges the number, and puts the frame together. Goal (project choice): at least half its speed, so about one
microsecond of Python around each call.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from random import Random

from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from osgp.app.aes import psk_of
from osgp.app.counters import LastSeen
from osgp.app.device import DeviceSecurity
from osgp.app.handshake import Terms
from osgp.app.memory import RamMemory
from osgp.app.peer import PeerSecurity
from osgp.app.profile import OsgpProfile
from osgp.app.suite import Address, KeySet, UnicastCipher
from osgp.app.verdict import Accepted, Answered, How
from osgp.bench.frame import Bench, Row, group
from osgp.bench.street_cold import cold_rows
from osgp.bench.street_day import day_rows
from osgp.bench.street_frames import frame_rows
from osgp.bench.street_line import cost_rows, line_rows
from osgp.bench.street_planner import planner_rows
from osgp.crypto.keys import Key

__all__ = ["street"]

COUNT = 1000
ND, NC = bytes.fromhex("050102030405"), bytes.fromhex("0a0b0c0d0e0f")
PLACE = Address(b"OSG", 2, 2)
READ = bytes.fromhex("3f0017000000003c")
ANSWER = b"\0\0\x3c" + bytes(60)
"""A partial read of 60 bytes, and its answer: what most exchanges of a street look like."""


def _sides() -> tuple[DeviceSecurity, PeerSecurity]:
    """A device and its concentrator, commissioned."""

    dice = Random(1)
    umk, kb = Key(dice.randbytes(16)), Key(dice.randbytes(16))
    device = DeviceSecurity(ND, umk, RamMemory(), randomness=dice.randbytes)
    psk = psk_of(umk, ND, NC, 1, OsgpProfile())
    peer = PeerSecurity(ND, psk, 1, NC, RamMemory(), randomness=dice.randbytes)
    second = device.receive(peer.challenge(Terms(PLACE, kb, 1, 0, 0), 0.0), How.REQUEST_BY_ID, 0.0)
    assert isinstance(second, Answered)
    third = peer.handshake(second.apdu, 0.0)
    assert isinstance(third, Answered)
    fourth = device.receive(third.apdu, How.REQUEST_BY_ID, 0.0)
    assert isinstance(fourth, Answered)
    peer.handshake(fourth.apdu, 0.0)
    first = device.receive(peer.seal(READ, 0.0), How.REQUEST_BY_ID, 0.0)
    assert isinstance(first, Accepted)
    peer.open(device.seal_response(first.ticket, ANSWER), 0.0)
    return device, peer


@group("street")
def street(bench: Bench) -> Iterator[Row]:
    """The rows: a message sealed, one opened, a whole exchange on both sides; the planner's reads of a collection."""
    peer_name, peer_version = "bare AESCCM of cryptography, key object kept", version("cryptography")
    bare = AESCCM(bytes(16), tag_length=8)
    nonce, aad = bytes(13), bytes(14)
    short, long = bare.encrypt(nonce, READ, aad), bare.encrypt(nonce, ANSWER, aad)

    def encrypted() -> None:
        for _ in range(COUNT):
            bare.encrypt(nonce, READ, aad)

    def decrypted() -> None:
        for _ in range(COUNT):
            bare.decrypt(nonce, short, aad)

    def four_calls() -> None:
        for _ in range(COUNT):
            bare.encrypt(nonce, READ, aad)
            bare.decrypt(nonce, short, aad)
            bare.encrypt(nonce, ANSWER, aad)
            bare.decrypt(nonce, long, aad)

    device, peer = _sides()

    def sealed() -> None:
        for _ in range(COUNT):
            peer.seal(READ, 0.0)
            peer.open_request = None  # as if answered

    yield bench.compare(
        "Secured request sealed (number, nonce, additional data, frame)",
        sealed,
        encrypted,
        work=COUNT,
        unit="messages/s",
        floor=0.5,
        peer_name=peer_name,
        peer_version=peer_version,
    )
    profile = OsgpProfile()
    one = KeySet(1, NC, PLACE, Key(Random(2).randbytes(16)), 1, 1, Key(Random(3).randbytes(16)), 1, 0, 0)
    cipher = UnicastCipher(one.ku, one.ku_generation, ND, PLACE, profile)
    frames = [cipher.seal_request(READ, seq) for seq in range(1, COUNT + 1)]
    seen = LastSeen(RamMemory(), "last", block=COUNT + 1, last=0)
    most = profile.limits.max_counter

    def opened() -> None:
        seen.last = 0
        for frame in frames:
            plaintext = cipher.open_request(frame)
            seq = int.from_bytes(frame[-12:-8], "big")
            if plaintext is None or not seen.last < seq <= most:
                raise AssertionError("a good request was refused")
            if seq < seen.stop:
                seen.last = seq
            else:
                seen.take(seq)

    yield bench.compare(
        "Secured request opened (nonce, additional data, range, replay)",
        opened,
        decrypted,
        work=COUNT,
        unit="messages/s",
        floor=0.5,
        peer_name=peer_name,
        peer_version=peer_version,
    )

    def exchanged() -> None:
        for _ in range(COUNT):
            verdict = device.receive(peer.seal(READ, 0.0), How.REQUEST, 0.0)
            assert isinstance(verdict, Accepted)
            peer.open(device.seal_response(verdict.ticket, ANSWER), 0.0)

    yield bench.compare(
        "Secured exchange, both sides as whole machines",
        exchanged,
        four_calls,
        work=COUNT,
        unit="exchanges/s",
        peer_name="four calls of bare AESCCM",
        peer_version=peer_version,
    )
    yield from planner_rows(bench)
    yield from day_rows(bench)
    yield from cold_rows(bench)
    yield from line_rows(bench)
    yield from cost_rows(bench)
    yield from frame_rows(bench)
