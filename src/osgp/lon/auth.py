"""Authentication: the value that answers a challenge, classic (48-bit key) and open media (96 bits).

ISO/IEC 14908-1, authentication; ``spec/iso14908-1.md`` 4. Both digests are broken by today's measure (see ``osgp.crypto.legacy``):
they tell friends from noise, not from attackers.
"""

from __future__ import annotations

from osgp.crypto.legacy import en14908_digest, open_media_digest
from osgp.lon.configuration import Configuration, Membership
from osgp.lon.entries import AuthenticationType
from osgp.lon.npdu import AddressFormat, Npdu

__all__ = ["answer", "open_media_address", "with_delta"]


def open_media_address(npdu: Npdu) -> bytes:
    """The nine bytes that stand for the destination of the message being authenticated (``spec/iso14908-1.md`` 4.3)."""
    address_format = npdu.control.address_format
    if address_format == AddressFormat.UNIQUE_NODE_ID:
        return (npdu.unique_node_id or bytes(6)) + b"\xff\xff\xff"
    domain = npdu.domain.ljust(6, b"\0") + bytes((len(npdu.domain),))
    if address_format == AddressFormat.SUBNET_NODE:
        return domain + bytes((npdu.destination_subnet or 0, int(npdu.destination_node or 0) & 0x7F))
    number = npdu.group if address_format == AddressFormat.MULTICAST else npdu.destination_subnet
    return domain + bytes((number or 0, 0xFF))


def answer(
    configuration: Configuration,
    membership: Membership | None,
    kind: int,
    challenge: bytes,
    message: Npdu,
    apdu: bytes,
    delta: bytes | None = None,
) -> bytes | None:
    """What answers ``challenge`` for the message ``apdu`` that travels in ``message``; None where there is no key for it.

    ``kind``: the challenge's ``AuthenticationType``. ``delta``: the increments of an alternate key. Classic keys belong to a domain
    we are a member of; the open media key is the node's. An empty message has no answer: its digest would be the challenge itself.
    """
    if not apdu:
        return None
    if kind == AuthenticationType.OPEN_MEDIA:
        key = configuration.open_media_key
        if delta is not None:
            if len(delta) != 12:
                return None
            key = with_delta(key, delta)
        return open_media_digest(key, challenge, open_media_address(message), apdu)
    if membership is None:
        return None
    key = membership.key
    return en14908_digest(key if delta is None else with_delta(key, delta[:6]), challenge, apdu)


def with_delta(key: bytes, delta: bytes) -> bytes:
    """A key with increments added, byte by byte modulo 256."""
    return bytes((octet + more) & 0xFF for octet, more in zip(key, delta, strict=True))
