"""Which orders are critical, so that a broken concentrator alone must not be able to give them, and how a token lies in them.

A **project choice** (``spec/osgp-application.md`` 3.8): everything that can open the contactor, change keys or the security mode,
switch the firmware or touch image keys. Layouts of table services: 1.2.
"""

from __future__ import annotations

from typing import NamedTuple

from osgp.app.messages import KeyUpdateKind, Token
from osgp.tables.table import PENDING, extended
from osgp.wire import layout_of

__all__ = ["BT07", "PROCEDURES", "TABLES", "Critical", "Order", "critical", "procedure_of"]

BT07 = 7
TOKEN_SIZE = layout_of(Token).size or 0
FULL_WRITE, PART_WRITE = 0x40, 0x4F
EP02, EP10, EP20, EP21, EP22, EP36 = (extended(n) for n in (2, 10, 20, 21, 22, 36))
PROCEDURES = (EP02, EP10, EP20, EP21, EP22, EP36)
"""EP02 only where it can open the load disconnect, EP20 only for a UMK."""

_NO_DISCONNECT = (b"\x01", b"\x02", b"\x03")
"""First bytes of EP02.Parameters for what is no load disconnect."""

TABLES: dict[int, tuple[int, int]] = {
    extended(4): (127, 128),
    extended(5): (0, 0xFFFFFF),
    extended(29): (0, 0xFFFFFF),
    extended(30): (0, 0xFFFFFF),
    extended(46): (0, 0xFFFFFF),
    extended(80): (0, 0xFFFFFF),
    extended(89): (0, 0xFFFFFF),
    extended(55): (128, 145),
}
"""Tables and the bytes of them that need a token: the security mode in ET04; of ET55 the prepay rates, which begin at 128 or
129 by firmware; the others as a whole."""


class Order(NamedTuple):
    """A procedure call as BT07 carries it, parameters as sent."""

    field: int
    """Number and handling bits."""
    psn: int
    parameters: bytes

    @property
    def number(self) -> int:
        return self.field & 0x0FFF


class Critical(NamedTuple):
    """A critical order: what its token covers, the token as it came (12 bytes, or none), and the message without it."""

    covered: bytes
    token: bytes
    bare: bytes
    procedure: Order | None


def procedure_of(plaintext: bytes) -> Order | None:
    """The procedure that a full write of BT07 calls; None for anything else and for one too short to call any."""
    if len(plaintext) < 8 or plaintext[0] != FULL_WRITE or plaintext[1:3] != b"\0\x07":
        return None
    data = plaintext[5 : 5 + (plaintext[3] << 8 | plaintext[4])]
    if len(data) < 3:
        return None
    return Order(int.from_bytes(data[:2], "little"), data[2], data[3:])


def _opens(order: Order) -> bool:
    """Whether a procedure is critical by what it asks."""
    parameters = order.parameters
    if order.number == EP02:
        # Harmless are the control relays, the generation, and closing the load disconnect; what is left out is zero.
        return parameters[:1] not in _NO_DISCONNECT and parameters[:2] != b"\0\x01"
    if order.number == EP20:
        return parameters[:1] == bytes([KeyUpdateKind.UMK])
    return order.number in PROCEDURES


def critical(plaintext: bytes) -> Critical | None:
    """What a message needs a token for, or None. Bytes that are no write are nobody's order; nothing raises."""
    if len(plaintext) < 5 or plaintext[0] not in (FULL_WRITE, PART_WRITE):
        return None
    table = plaintext[1] << 8 | plaintext[2]
    if plaintext[0] == FULL_WRITE:
        if table == BT07:
            return _critical_procedure(plaintext)
        offset, start = b"\0\0\0", 5
    else:
        if len(plaintext) < 8:
            return None
        offset, start = plaintext[3:6], 8
    span = TABLES.get(table & ~PENDING if table < 0x4000 else table)
    count = int.from_bytes(plaintext[start - 2 : start], "big")
    first = int.from_bytes(offset, "big")
    if span is None or not (first < span[1] and first + count > span[0]):
        return None
    data, behind = plaintext[start : start + count], plaintext[start + count :]
    covered = b"\xff\xff" + plaintext[1:3] + offset + data
    token = behind if len(data) == count and len(behind) == TOKEN_SIZE else b""
    return Critical(covered, token, plaintext[: start + count], None)


def _critical_procedure(plaintext: bytes) -> Critical | None:
    order = procedure_of(plaintext)
    if order is None or not _opens(order):
        return None
    count = plaintext[3] << 8 | plaintext[4]
    if len(plaintext) != 5 + count or len(order.parameters) < TOKEN_SIZE:
        return Critical(b"", b"", plaintext, order)
    covered = plaintext[5:7] + order.parameters[:-TOKEN_SIZE]
    bare = plaintext[:3] + (count - TOKEN_SIZE).to_bytes(2, "big") + plaintext[5:-TOKEN_SIZE]
    return Critical(covered, order.parameters[-TOKEN_SIZE:], bare, order)
