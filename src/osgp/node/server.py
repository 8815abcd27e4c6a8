"""``TableServer``: the server side of the tables, one for all doors of a device, without I/O.

A door hands in a request with the key that came with it; the server checks rights, lets the device bring its living tables
up to date (``refresh``), answers from the image, and tells the device what was written (``written``). Pending tables,
procedures (BT07 with BT08, ET59 or ET85) and MEP transactions live here; what a procedure does is given in ``procedures``.
Time: ``now`` is monotonic seconds; the device's own UTC clock is asked of ``utc``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field

from osgp.node.pending import PendingTable, PendingTables
from osgp.node.rights import may_read, may_run, may_write
from osgp.node.transaction import Transactions
from osgp.tables.bt.bt07 import BT07
from osgp.tables.image import Image
from osgp.tables.services import (
    FullRead,
    FullWrite,
    PartialRead,
    PartialWrite,
    Request,
    ResponseCode,
    decode_request,
    encode_response,
)
from osgp.tables.table import PENDING, extended
from osgp.wire.errors import DecodeError, ResponseError

__all__ = ["Handler", "Port", "TableServer"]

BT07_NUMBER, BT08_NUMBER = 7, 8
ET50, ET52, ET53, ET59, ET85 = (extended(n) for n in (50, 52, 53, 59, 85))
PUT_OFF = 1
UNKNOWN_PROCEDURE = 6
NOT_AUTHORIZED = 5
BAD_PARAMETER = 2
_MAX_ANSWER = 0xFFFF


@dataclass(slots=True)
class Port:
    """A door of the device: "optical", "mep1", "mep2" or "pl" (power line), and what it must remember between requests."""

    name: str
    user_id: int = 0
    last_psn: int | None = None
    fresh: bool = False
    """Just logged on: the first procedure sequence number must not be 255."""
    broadcast: bool = False
    """The request being carried out came by broadcast: nobody waits for its answer, and others carry it out as well."""

    @property
    def mep(self) -> bool:
        return self.name.startswith("mep")

    @property
    def event_user(self) -> int:
        """The user ID that event log entries get: C12.18 user, 0xFFFD for MEP, 0xFFFE power line (MEP guide p. 242, 243)."""
        if self.name == "pl":
            return 0xFFFE
        return 0xFFFD if self.mep else self.user_id


Handler = Callable[[bytes, Port, str, float], tuple[int, bytes]]
"""A procedure: (parameters, port, key, now) → (result code, response data)."""


@dataclass(slots=True)
class TableServer:
    """Serves an image. ``refresh(table, now)`` before a read, ``written(table, offset, data, port, now)`` after a write;
    ``responding`` tells the response table of a port (BT08 unless the device says otherwise)."""

    image: Image
    pending: PendingTables
    transactions: Transactions
    utc: Callable[[float], dt.datetime]
    procedures: dict[int, Handler] = field(default_factory=dict)
    refresh: Callable[[int, float], None] = lambda number, now: None
    written: Callable[[int, int, bytes, Port, float], None] = lambda number, offset, data, port, now: None
    responding: Callable[[Port], int] = lambda port: BT08_NUMBER
    activating: Callable[[PendingTable, float], None] = lambda one, now: None
    """Before a pending table becomes active: self read and demand reset, if its event description wants them."""
    activated: Callable[[int, float], None] = lambda number, now: None
    waiting: Callable[[], None] = lambda: None
    """A pending table was written: something may become due."""
    locked: Callable[[int], bool] = lambda number: False
    """A hardware lock: stands above all keys (answer 03)."""
    allowed: Callable[[int], bool] = lambda number: True
    """Before a write: False answers 04, and nothing is written."""
    vet: Callable[[bytes, Port, float], tuple[bytes, bytes | None]] = lambda message, port, now: (message, None)
    """Each record of a transaction before it is carried out: the record, and what to answer instead if it must not be."""
    rk_sets_clock: bool = True
    current: Port | None = None
    """The port whose request is being carried out (ET70 tells a client which one it is)."""

    # --- the door's entrance

    def handle(self, request: Request, key: str, now: float, port: Port) -> tuple[int, bytes | None]:
        """Carry out one table service: (response code, data of a read or None). Never raises for anything a peer can send."""
        self.current = port
        try:
            match request:
                case FullRead(table, length):
                    return self._read(table, None, None, key, now, length)
                case PartialRead(table, offset, count):
                    return self._read(table, offset, count, key, now, None)
                case FullWrite(table, data, count):
                    return self._write(table, None, data, count, key, now, port)
                case PartialWrite(table, offset, data, count):
                    return self._write(table, offset, data, count, key, now, port)
        except ResponseError as error:
            return error.code, None
        except DecodeError:
            return ResponseCode.ERR, None
        finally:
            self.current = None

    def handle_message(self, message: bytes, key: str, now: float, port: Port) -> bytes:
        """The same for a message without table checksum, as MEP and transactions carry it."""
        try:
            request = decode_request(message, checksum=False)
        except DecodeError:
            known = message[:1] in (b"\x30", b"\x3f", b"\x40", b"\x4f")
            return encode_response(ResponseCode.ERR if known or not message else ResponseCode.SNS, checksum=False)
        code, data = self.handle(request, key, now, port)
        return encode_response(code, data, checksum=False)

    # --- reading

    def _read(
        self, number: int, offset: int | None, count: int | None, key: str, now: float, length: int | None
    ) -> tuple[int, bytes | None]:
        if not self._exists(number):
            return ResponseCode.IAR, None
        if not may_read(number, key) or self.locked(number):
            return ResponseCode.ISC, None
        if number & PENDING:
            if offset is None or count is None:
                return ResponseCode.OK, self.pending.read(number)
            return ResponseCode.OK, self.pending.read_part(number, offset, count)
        self.refresh(number, now)
        if number == ET52:
            content = bytes(self.transactions.request)
        elif number == ET53:
            content = bytes(self.transactions.response)
        elif offset is not None and count is not None:
            return ResponseCode.OK, self.image.read_part(number, offset, count)
        else:
            content = self.image.read(number)
        if offset is not None and count is not None:
            return ResponseCode.OK, content[offset : offset + count].ljust(count, b"\0")
        return ResponseCode.OK, content[:_MAX_ANSWER]

    def _exists(self, number: int) -> bool:
        if number & PENDING:
            return number in self.pending
        return number in self.image or number == BT07_NUMBER

    # --- writing

    def _write(
        self, number: int, offset: int | None, data: bytes, count: int | None, key: str, now: float, port: Port
    ) -> tuple[int, bytes | None]:
        del count  # a count above the data that came writes what came (MEP guide p. 12)
        if not self._exists(number):
            return ResponseCode.IAR, None
        if not may_write(number, key) or self.locked(number):
            return ResponseCode.ISC, None
        start = offset or 0
        if number & PENDING:
            self.pending.write(number, start, data, self.utc(now))
            self.waiting()
            return ResponseCode.OK, None
        if number == BT07_NUMBER:
            if start:  # an order begins with its number; from anywhere else it would name another one (project choice)
                return ResponseCode.ONP, None
            return self._procedure(data, key, now, port), None
        if number == ET52:
            return self._transaction(start, data, key, now, port), None
        self.refresh(number, now)
        if number not in self.image:
            return ResponseCode.IAR, None
        room = max(0, self.image.size(number) - start)
        data = data[:room]
        if not self.allowed(number):
            return ResponseCode.ONP, None
        self.image.write_part(number, start, data)
        self.written(number, start, data, port, now)
        return ResponseCode.OK, None

    # --- procedures

    def _procedure(self, content: bytes, key: str, now: float, port: Port) -> int:
        if len(content) < 3:
            return ResponseCode.ERR
        number = int.from_bytes(content[:2], "little") & 0x0FFF
        psn = content[2]
        if psn == port.last_psn or (port.fresh and psn == 0xFF):
            return ResponseCode.ONP
        port.last_psn = psn
        port.fresh = False
        result, data = self._run(number, content[3:], key, now, port)
        self.post(number, psn, result, data, port)
        return ResponseCode.OK

    def post(self, number: int, psn: int, result: int, data: bytes, port: Port) -> None:
        """Put the answer of a procedure where its port looks for it. Nobody looks for that of a broadcast."""
        if port.broadcast:
            return
        answer = BT07.Proc(number).to_bytes(2, "little") + bytes([psn, result]) + data[: self._response_limit()]
        self.image.put(self.responding(port), answer.ljust(4 + self._response_limit(), b"\0"))

    def _run(self, number: int, parameters: bytes, key: str, now: float, port: Port) -> tuple[int, bytes]:
        handler = self.procedures.get(number)
        if handler is None:
            return UNKNOWN_PROCEDURE, b""
        if not may_run(number, key, rk_sets_clock=self.rk_sets_clock):
            return NOT_AUTHORIZED, b""
        try:
            return handler(parameters, port, key, now)
        except DecodeError:
            return BAD_PARAMETER, b""

    def _response_limit(self) -> int:
        return self.image.read_part(0, 10, 1)[0] if 0 in self.image else 12

    # --- transactions

    def _transaction(self, offset: int, data: bytes, key: str, now: float, port: Port) -> int:
        if self.transactions.locked_for(port.name, now):
            return ResponseCode.DLK if not port.mep else ResponseCode.ONP
        if self.transactions.write(offset, data):

            def carry(message: bytes) -> bytes:
                inner = message[1:3]
                if inner in (ET52.to_bytes(2, "big"), ET53.to_bytes(2, "big")):
                    return encode_response(ResponseCode.ONP, checksum=False)
                message, refusal = self.vet(message, port, now)
                return self.handle_message(message, key, now, port) if refusal is None else refusal

            self.transactions.carry_out(carry)
        return ResponseCode.OK

    # --- time

    def tick(self, now: float) -> None:
        """Activate pending tables whose moment has come."""
        moment = self.utc(now)
        for one in self.pending.due(moment):
            self.activate(one, now)

    def activate(self, one: PendingTable, now: float) -> None:
        """Make a pending table the active one, now."""
        number = one.number
        self.activating(one, now)
        self.pending.activate(one, self.utc(now))
        self.activated(number, now)
