"""TPDU and SPDU: a message with its transaction number, or an answer to one.

ISO/IEC 14908-1, transport and session layers; ``spec/iso14908-1.md`` 3.1. Both have one shape; the type's names differ. In enhanced
mode (NPDU version 2, the context's value ``version``) the number has 12 bits, the low eight in a byte of their own.
"""

from __future__ import annotations

from osgp.wire import EMPTY, Bits, Context, OpenEnum, Struct, any_of, bit, env
from osgp.wire import fields as f

__all__ = [
    "MAX_MEMBER_LIST",
    "SpduHeader",
    "SpduType",
    "Spdu",
    "Tpdu",
    "TpduHeader",
    "TpduType",
    "VERSIONS",
    "member_list",
    "members_in",
]

MAX_MEMBER_LIST = 8
"""Most bytes of a member list: 64 members."""

VERSIONS = (EMPTY, EMPTY.with_values(version=1), EMPTY.with_values(version=2), EMPTY.with_values(version=3))
"""The context for a TPDU, SPDU or AuthPDU, by the version of the NPDU around it."""


class TpduType(OpenEnum):
    """What a TPDU is."""

    ACKD = 0
    UNACKD_RPT = 1
    ACK = 2
    REMINDER = 4
    REM_MSG = 5


class SpduType(OpenEnum):
    """What an SPDU is."""

    REQUEST = 0
    RESPONSE = 2
    REMINDER = 4
    REM_MSG = 5


class TpduHeader(Bits, size=1):
    """First byte of a TPDU."""

    transaction: int = bit(0, 4, orig="TRANS_NO", doc="transaction number; its bits 11..8 in enhanced mode")
    type: int = bit(4, 3, orig="TPDU_TYPE", values={0: "ACKD", 1: "UNACKD_RPT", 2: "ACK", 4: "REMINDER", 5: "REM/MSG"})
    authenticated: int = bit(7, orig="AUTH", doc="the sender will answer a challenge")


class SpduHeader(Bits, size=1):
    """First byte of an SPDU."""

    transaction: int = bit(0, 4, orig="TRANS_NO", doc="transaction number; its bits 11..8 in enhanced mode")
    type: int = bit(4, 3, orig="SPDU_TYPE", values={0: "REQUEST", 2: "RESPONSE", 4: "REMINDER", 5: "REM/MSG"})
    authenticated: int = bit(7, orig="AUTH", doc="the sender will answer a challenge")


class Tpdu(Struct, byte_order="big", floor="lon", source="ISO/IEC 14908-1; spec/iso14908-1.md 3.1", status="verified"):
    """Transport layer."""

    header: TpduHeader = f.bits(TpduHeader, default=0)
    transaction_low: int | None = f.u8(default=None, when=env.version == 2, doc="bits 7..0 of the transaction number")
    member_list: bytes | None = f.binary(
        default=None,
        prefix=1,
        most=8,
        when=any_of(header.type == 4, header.type == 5),
        doc="member m: bit m % 8, least significant first, of byte m // 8; 1 = its answer is in",
    )
    apdu: bytes = f.binary(default=b"", doc="application layer; nothing in ACK and REMINDER")


class Spdu(Struct, byte_order="big", floor="lon", source="ISO/IEC 14908-1; spec/iso14908-1.md 3.1", status="verified"):
    """Session layer."""

    header: SpduHeader = f.bits(SpduHeader, default=0)
    transaction_low: int | None = f.u8(default=None, when=env.version == 2, doc="bits 7..0 of the transaction number")
    member_list: bytes | None = f.binary(
        default=None,
        prefix=1,
        most=8,
        when=any_of(header.type == 4, header.type == 5),
        doc="member m: bit m % 8, least significant first, of byte m // 8; 1 = its answer is in",
    )
    apdu: bytes = f.binary(default=b"", doc="application layer; nothing in REMINDER")


def members_in(raw: bytes) -> frozenset[int]:
    """The members that a member list marks; those beyond it count as not marked."""
    return frozenset(
        8 * place + number for place, octet in enumerate(raw) for number in range(8) if octet >> number & 1
    )


def member_list(members: frozenset[int] | set[int]) -> bytes:
    """The shortest member list that marks these members (0..63); no bytes when there are none."""
    word = 0
    for member in members:
        word |= 1 << member
    return word.to_bytes((word.bit_length() + 7) // 8, "little")


def context_of(version: int) -> Context:
    """The context for the layouts of this module under an NPDU of that version (0..3)."""
    return VERSIONS[version]
