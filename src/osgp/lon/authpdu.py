"""The AuthPDU: challenge and reply.

ISO/IEC 14908-1, authentication; ``spec/iso14908-1.md`` 3.1, 4.1. One open stack adds a trailing byte to format 0, which the other
neither sends nor reads; broadcasts are not authenticated here.
"""

from __future__ import annotations

from osgp.wire import Bits, OpenEnum, Struct, bit, env
from osgp.wire import fields as f

__all__ = ["AuthHeader", "AuthPdu", "AuthType"]


class AuthType(OpenEnum):
    """What an AuthPDU is."""

    CHALLENGE = 0
    OMA_CHALLENGE = 1
    REPLY = 2
    OMA_REPLY = 3


class AuthHeader(Bits, size=1):
    """First byte of an AuthPDU."""

    transaction: int = bit(0, 4, orig="TRANS_NO", doc="of the message that is being authenticated")
    type: int = bit(4, 2, orig="AUTHPDU_TYPE", values={0: "CHALLENGE", 1: "OMA CHALLENGE", 2: "REPLY", 3: "OMA REPLY"})
    address_format: int = bit(
        6,
        2,
        orig="FMT",
        doc="address format of the message that is being authenticated",
        values={0: "broadcast", 1: "multicast", 2: "subnet/node", 3: "unique node ID"},
    )


class AuthPdu(
    Struct, byte_order="big", floor="lon", source="ISO/IEC 14908-1; spec/iso14908-1.md 3.1", status="verified"
):
    """Challenge (eight random bytes) or reply (the digest)."""

    header: AuthHeader = f.bits(AuthHeader, default=0)
    transaction_low: int | None = f.u8(default=None, when=env.version == 2, doc="bits 7..0 of the transaction number")
    value: bytes = f.binary(8, doc="challenge or digest")
    group: int | None = f.u8(
        default=None, when=header.address_format == 1, doc="group of the message that is being authenticated"
    )
