"""What a security machine says about a message: accepted, answered, refused, out of step. Values, never exceptions.

Reprs tell sizes, never contents: plaintexts may hold keys.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple

__all__ = ["REASONS", "Accepted", "Answered", "Denied", "How", "OutOfStep", "Refused", "Verdict"]

REASONS = {
    # The names of the vectors (spec/osgp-application.md 3.7).
    "length": "too short, too long, or not the length that its kind has",
    "unknown-slot": "no key in the slot that the code names",
    "bad-tag": "the tag is not the one our key gives",
    "counter": "the tag is good, but the counter was used before or is beyond the end",
    "broadcast-window": "the counter of a broadcast is outside B to B + D",
    "group": "a broadcast for groups that the device does not belong to",
    "not-allowed": "a command that may not come in this way",
    "epoch": "a challenge with an epoch below the stored one",
    "suite": "no suite in common",
    "bad-mac": "the MAC of a handshake message is not the one our key gives",
    "generation": "a generation that does not follow the one in use",
    "token": "a critical action without a good token of the head-end",
    "token-counter": "a token whose counter was used before",
    # Ours.
    "code": "a code that this machine does not know",
    "how": "a good message by a service or an address form that it may not use",
    "in-progress": "the very request that is being carried out",
    "limit": "more than the limits allow",
    "locked-out": "too many failures in a row, and the device locks out (ET55.20)",
    "unexpected": "nothing was asked that this could answer",
    "handshake": "a handshake message that nothing waits for",
    "identity": "a handshake answer of another device",
    "contents": "contents that are not what they must be",
    "storage": "the memory failed: nothing was done",
    "off": "this suite is switched off here",
    "quarantine": "too many bad digests: an operator must release the device",
    "bad-digest": "the digest of a legacy message is not the one our key gives",
    "error": "the device could not verify the request (0B)",
}
"""Every reason a machine may give, and what it means."""


class How(Enum):
    """How a message came: by which service and address form (the network layer's knowledge)."""

    REQUEST = "request to a subnet/node address"
    REQUEST_BY_ID = "request to the unique_node_id"
    UNANSWERED = "any service without a response: broadcast, repeated, acknowledged"


class Denied(NamedTuple):
    """A request that may be answered but not carried out, and what to answer.

    ``procedure`` (the number with its handling bits) and ``psn``: give it ``result`` (5, not authorised) in the response
    table and answer the write with 00. Both None: answer the write itself with ``code``. Nothing else is done.
    """

    reason: str
    procedure: int | None = None
    psn: int | None = None
    result: int = 5
    code: int = 3


class Accepted(NamedTuple):
    """``plaintext``: the table service message (30, 3F, 40, 4F …), of critical ones without their token.

    ``ticket`` (device): hand it to ``seal_response`` once (it is the request itself); None when nothing may be answered
    (broadcast). ``denied``: not to be carried out. ``committed``: this request put a pending key set into force: the node's
    address has changed.
    """

    plaintext: bytes
    ticket: Any = None
    denied: Denied | None = None
    committed: bool = False

    def __repr__(self) -> str:
        return f"Accepted({len(self.plaintext)} bytes, denied={self.denied}, committed={self.committed})"


class Answered(NamedTuple):
    """``apdu`` goes back at once and nothing is executed; ``because``: ``repeat``, ``handshake``, or a reason of ``REASONS``."""

    apdu: bytes
    because: str

    def __repr__(self) -> str:
        return f"Answered({len(self.apdu)} bytes, because={self.because!r})"


class Refused(NamedTuple):
    """Silence. ``reason`` is one of ``REASONS``."""

    reason: str


class OutOfStep(NamedTuple):
    """Concentrator: the device wants ``next``; it did not execute this message. To a retry it means "outcome unknown"."""

    next: int


Verdict = Accepted | Answered | Refused | OutOfStep
"""What ``receive`` and ``open`` give."""
