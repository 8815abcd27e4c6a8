"""First bytes of TPDU and SPDU without objects: the quick way through what ``tpdu`` declares.

ISO/IEC 14908-1, transport and session layers; ``spec/iso14908-1.md`` 3.1. Masks and places come from the
declarations; whatever has more than one byte of header (a member list, enhanced mode) is read and written by the declared structures
themselves.
"""

from __future__ import annotations

from typing import NamedTuple

from osgp.lon.npdu import ENHANCED, LEGACY
from osgp.lon.tpdu import VERSIONS, Spdu, SpduHeader, SpduType, Tpdu, TpduHeader, TpduType
from osgp.wire.errors import Truncated

__all__ = [
    "ANSWER",
    "MESSAGE",
    "REMINDER",
    "REMINDER_MESSAGE",
    "REPEATED",
    "TransactionPdu",
    "read_pdu",
    "split_pdu",
    "write_pdu",
]

MESSAGE = int(TpduType.ACKD)
"""ACKD in a TPDU, REQUEST in an SPDU."""
REPEATED = int(TpduType.UNACKD_RPT)
ANSWER = int(TpduType.ACK)
"""ACK in a TPDU, RESPONSE in an SPDU."""
REMINDER = int(TpduType.REMINDER)
REMINDER_MESSAGE = int(TpduType.REM_MSG)
assert tuple(map(int, SpduType)) == (MESSAGE, ANSWER, REMINDER, REMINDER_MESSAGE), "both kinds have one shape"

_AUTHENTICATED = TpduHeader.fields["authenticated"].mask
_TYPE = TpduHeader.fields["type"].lsb
_TYPE_MASK = TpduHeader.fields["type"].mask
_NUMBER = TpduHeader.fields["transaction"].mask
_FIRST = tuple(bytes((value,)) for value in range(256))


class TransactionPdu(NamedTuple):
    """A TPDU or SPDU: type, transaction number (12 bits in enhanced mode), member list (None without one), APDU."""

    authenticated: bool
    type: int
    transaction: int
    members: bytes | None
    apdu: bytes


def split_pdu(pdu: bytes, session: bool, version: int) -> tuple[bool, int, int, bytes | None, bytes]:
    """The parts of a ``TransactionPdu`` as a plain tuple: what the stack takes apart for every packet. Raises as ``read_pdu``."""
    if not pdu:
        raise Truncated("no header", floor="lon", struct="Spdu" if session else "Tpdu", field="header", bit_offset=0)
    first = pdu[0]
    kind = (first & _TYPE_MASK) >> _TYPE
    if version != ENHANCED and kind < REMINDER:
        return first >= _AUTHENTICATED, kind, first & _NUMBER, None, pdu[1:]
    decoded: Tpdu | Spdu = (Spdu if session else Tpdu).decode(pdu, VERSIONS[version])
    number = first & _NUMBER
    if decoded.transaction_low is not None:
        number = number << 8 | decoded.transaction_low
    return first >= _AUTHENTICATED, kind, number, decoded.member_list, decoded.apdu


def read_pdu(pdu: bytes, session: bool, version: int) -> TransactionPdu:
    """Read a TPDU (or an SPDU, if ``session``) out of an NPDU of that version. Raises Truncated, BadValue."""
    return TransactionPdu(*split_pdu(pdu, session, version))


def write_pdu(
    session: bool,
    kind: int,
    transaction: int,
    apdu: bytes = b"",
    *,
    authenticated: bool = False,
    version: int = LEGACY,
    members: bytes | None = None,
) -> bytes:
    """The bytes of a TPDU (or SPDU). Raises BadValue for what does not fit."""
    if version != ENHANCED and members is None:
        return _FIRST[(_AUTHENTICATED if authenticated else 0) | kind << _TYPE | transaction] + apdu
    low = transaction & 0xFF if version == ENHANCED else None
    high = transaction >> 8 if version == ENHANCED else transaction
    if session:
        header = SpduHeader(transaction=high, type=kind, authenticated=int(authenticated))
        return Spdu(header=header, transaction_low=low, member_list=members, apdu=apdu).encode(VERSIONS[version])
    other = TpduHeader(transaction=high, type=kind, authenticated=int(authenticated))
    return Tpdu(header=other, transaction_low=low, member_list=members, apdu=apdu).encode(VERSIONS[version])
