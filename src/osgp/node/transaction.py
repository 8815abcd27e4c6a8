"""ET52 and ET53: several requests in one write, all or nothing (MEP guide p. 40–50, 130–132).

The client writes ET52 from first to last byte; when its closing number arrives and equals the opening one, the records are
carried out and the answers stand in ET53. The same number with the same content is not carried out again.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

from osgp.tables.et.et52 import ET52
from osgp.tables.services import decode_request
from osgp.wire import OpenEnum
from osgp.wire.errors import DecodeError

__all__ = ["Transactions", "TransactionType", "answer_size"]

Carry = Callable[[bytes], bytes]
"""A C12.18 message in, its answer out, both without checksum."""


class TransactionType(OpenEnum):
    """ET52 byte 2 (MEP guide p. 131)."""

    REQUESTS = 0
    RESPONSES = 1
    RESPONSES_PARTIAL = 2
    GROUP_REQUEST = 3
    GROUP_DENIED = 4


def answer_size(messages: list[bytes]) -> int:
    """Bytes that ET53 will hold for these messages, refusals aside: header, closing number, and each record."""
    total = 7
    for message in messages:
        request = decode_request(message, checksum=False)
        total += 2 + (3 + getattr(request, "count", 0) if message[0] == 0x3F else 1)
    return total


class Transactions:
    """The transaction engine of a device. ``request_size``, ``response_size``: ET11 bytes 7–8 and 9–10."""

    def __init__(self, request_size: int, response_size: int) -> None:
        self.request = bytearray(request_size)
        self.response = bytearray(response_size)
        self.last: tuple[int, int] | None = None
        self.holder = ""
        self.locked_until = 0.0
        self.lock_s = 10.0

    def write(self, offset: int, data: bytes) -> bool:
        """Take a write of ET52; answers whether the transaction is now complete and to be carried out."""
        room = max(0, len(self.request) - offset)
        self.request[offset : offset + min(room, len(data))] = data[:room]
        size = int.from_bytes(self.request[0:2], "little")
        if not 7 <= size <= len(self.request) or not offset <= size - 1 < offset + len(data):
            return False
        return self.request[3:5] == self.request[size - 2 : size]

    def carry_out(self, carry: Carry, *, group_member: Callable[[int], bool] | None = None) -> None:
        """Execute the records and write ET53, unless the same transaction was the last one."""
        size = int.from_bytes(self.request[0:2], "little")
        content = bytes(self.request[:size])
        number = int.from_bytes(content[3:5], "little")
        mark = (number, zlib.crc32(content))
        if mark == self.last:
            return
        self.last = mark
        try:
            transaction = ET52.decode(content)
        except DecodeError:
            self._answer(TransactionType.RESPONSES_PARTIAL, number, [])
            return
        grouped = transaction.trans_type == TransactionType.GROUP_REQUEST and group_member is not None
        if grouped and not any(group_member(group) for group in transaction.group_ids or ()):  # type: ignore[misc]  # tested
            self._answer(TransactionType.GROUP_DENIED, number, [])
            return
        answers: list[bytes] = []
        room = len(self.response) - 7
        kind = TransactionType.RESPONSES
        expected = sum(2 + record.length for record in transaction.records) + 7
        if transaction.group_ids:
            expected += 1 + 2 * len(transaction.group_ids)
        if expected != size:
            kind = TransactionType.RESPONSES_PARTIAL  # a bad record length: 0, or one that does not meet the end
        for record in transaction.records:
            answer = carry(record.message)
            if 2 + len(answer) > room:
                kind = TransactionType.RESPONSES_PARTIAL
                break
            room -= 2 + len(answer)
            answers.append(answer)
        self._answer(kind, number, answers)

    def _answer(self, kind: int, number: int, answers: list[bytes]) -> None:
        body = b"".join(len(answer).to_bytes(2, "little") + answer for answer in answers)
        mark = number.to_bytes(2, "little")
        size = 7 + len(body)
        content = size.to_bytes(2, "little") + bytes([kind]) + mark + body + mark
        self.response[:] = content.ljust(len(self.response), b"\0")[: len(self.response)]

    def lock(self, who: str, now: float) -> bool:
        """EP61: take the tables for ``who`` for ``lock_s``, 10 s; False if the other client holds them (MEP guide p. 247)."""
        if self.holder and self.holder != who and now < self.locked_until:
            return False
        self.holder = who
        self.locked_until = now + self.lock_s
        return True

    def unlock(self, who: str) -> bool:
        """EP61: give them back; False if the other client holds them."""
        if self.holder and self.holder != who:
            return False
        self.holder = ""
        return True

    def locked_for(self, who: str, now: float) -> bool:
        """Whether another client holds the tables."""
        return bool(self.holder) and self.holder != who and now < self.locked_until

    def to_json(self) -> dict[str, Any]:
        """For a saved device; a lock does not outlive it."""
        return {"request": self.request.hex(), "response": self.response.hex(), "last": self.last}

    def restore(self, saved: dict[str, Any]) -> None:
        """The inverse of ``to_json``."""
        self.request[:] = bytes.fromhex(saved["request"])
        self.response[:] = bytes.fromhex(saved["response"])
        self.last = tuple(saved["last"]) if saved["last"] else None
