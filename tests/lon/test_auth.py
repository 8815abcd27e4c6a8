"""What answers a challenge, and what must not (digest 4; the digests themselves are in test_vectors)."""

from __future__ import annotations

from osgp.crypto.legacy import en14908_digest
from osgp.lon.auth import answer, with_delta
from osgp.lon.entries import AuthenticationType
from osgp.lon.packet import packet_of
from tests.lon.talk import BY_NAME, KEY, configuration

CHALLENGE = bytes.fromhex("1122334455667788")
MESSAGE = packet_of(bytes.fromhex(BY_NAME["auth-request"]["hex"])).npdu
CLASSIC, OPEN_MEDIA = int(AuthenticationType.CLASSIC), int(AuthenticationType.OPEN_MEDIA)


def test_an_empty_message_is_not_answered() -> None:
    """Its digest would be the challenge itself, which anybody could send back."""
    found = configuration(1, 10)
    (membership,) = found.memberships()
    assert en14908_digest(KEY, CHALLENGE, b"") == CHALLENGE
    assert answer(found, membership, CLASSIC, CHALLENGE, MESSAGE, b"") is None
    assert answer(found, membership, OPEN_MEDIA, CHALLENGE, MESSAGE, b"") is None


def test_in_a_domain_that_is_none_of_ours_there_is_no_classic_key() -> None:
    found = configuration(1, 10)
    assert answer(found, None, CLASSIC, CHALLENGE, MESSAGE, b"\x3a") is None
    assert answer(found, None, OPEN_MEDIA, CHALLENGE, MESSAGE, b"\x3a") is not None


def test_increments_are_added_byte_by_byte() -> None:
    assert with_delta(bytes.fromhex("0123456789ff"), bytes.fromhex("010203040502")).hex() == "0225486b8e01"
    found = configuration(1, 10)
    (membership,) = found.memberships()
    delta = bytes.fromhex("010203040506")
    value = answer(found, membership, CLASSIC, CHALLENGE, MESSAGE, b"\x3a\x99", delta)
    assert value == en14908_digest(with_delta(KEY, delta), CHALLENGE, b"\x3a\x99")
    assert answer(found, membership, OPEN_MEDIA, CHALLENGE, MESSAGE, b"\x3a", delta) is None, "open media wants twelve"
