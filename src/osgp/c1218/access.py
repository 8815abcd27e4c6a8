"""Tables and procedures over the optical port: a ``TableAccess`` on top of any way to exchange messages.

``exchange(message, read)`` sends a request (table checksum included) and gives the answer's message; a driver in
``osgp.ports`` makes it from ``OpticalClient`` by returning the data of ``AnswerReceived`` and raising the error of
``RequestFailed``. ``sleep(seconds)`` waits, because there is no clock here.

Sizes are computed from the negotiated packets (``spec/optical.md`` 2, 6): a message fills (size − 8) × packets bytes, so a
read carries 4 bytes less; every packet costs 8 bytes and its acknowledgement.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from osgp.c1218.packet import OVERHEAD, capacity
from osgp.c1218.session import PossiblyExecuted
from osgp.tables.access import DoorCosts, ProcedureResult, read_pieces, write_pieces
from osgp.tables.services import (
    FullRead,
    FullWrite,
    PartialRead,
    PartialWrite,
    Request,
    ResponseCode,
    decode_response,
    encode_request,
    response_error,
)
from osgp.tables.table import extended, procedure_name, table_name
from osgp.wire.errors import ConfigError, NoAnswer, RemoteProtocolError, ResponseError

__all__ = ["Exchange", "OpticalTables", "Sleep", "optical_costs"]

Exchange = Callable[[bytes, bool], Awaitable[bytes]]
Sleep = Callable[[float], Awaitable[None]]

_BT07, _BT08 = 7, 8
_FIRST_PSN, _LAST_PSN = 10, 254
"""5–9 are for MEP clients, 255 must not be the first one after a logon: it is left out altogether (project choice)."""

_READ_HEAD = 4  # code, count, checksum around the table bytes of an answer
_FULL_WRITE_HEAD = 6
_PART_WRITE_HEAD = 9
_PER_PACKET = OVERHEAD + 1
_BUSY = (ResponseCode.BSY, ResponseCode.DNR, ResponseCode.DLK)
_TOO_LONG = (ResponseCode.ERR, ResponseCode.ONP, ResponseCode.RNO)
_UNFINISHED: dict[int, frozenset[int]] = {extended(17): frozenset((1,))}
"""Results that mean "ask again" instead of a final answer (EP17: MEP guide p. 243)."""


def optical_costs(packet_size: int, packets: int, baud: int = 9600) -> DoorCosts:
    """What the optical door charges with these negotiated values; bytes of both directions, ACKs included."""
    room = packet_size - OVERHEAD
    answer = _PER_PACKET + 1
    longest = capacity(packet_size, packets)
    return DoorCosts(
        name="optical",
        full_read_overhead=_PER_PACKET + 3 + _PER_PACKET + _READ_HEAD,
        part_read_overhead=_PER_PACKET + 8 + _PER_PACKET + _READ_HEAD,
        full_write_overhead=_PER_PACKET + _FULL_WRITE_HEAD + answer,
        part_write_overhead=_PER_PACKET + _PART_WRITE_HEAD + answer,
        max_read=longest - _READ_HEAD,
        max_write=longest - _PART_WRITE_HEAD,
        packet_data=room,
        packet_overhead=_PER_PACKET,
        packet_head=_READ_HEAD,
        byte_s=10 / baud,
        exchange_s=0.1,
    )


class OpticalTables:
    """The tables of one device at its optical port.

    ``size_of`` tells the size of a table in bytes if known: a table longer than one answer is then read in parts. Without
    it only a full read can tell where a table ends, so negotiate enough packets. ``patience_s``: how long to look for a
    procedure's response (it appears within 1 s). ``busy_retries`` after 06, 07 and 08, each ``busy_s`` later.
    """

    def __init__(
        self,
        exchange: Exchange,
        sleep: Sleep,
        *,
        packet_size: int = 64,
        packets: int = 1,
        baud: int = 9600,
        size_of: Callable[[int], int | None] | None = None,
        patience_s: float = 2.0,
        poll_s: float = 0.2,
        busy_retries: int = 3,
        busy_s: float = 1.0,
    ) -> None:
        self._exchange = exchange
        self.sleep = sleep
        self.size_of = size_of
        self.patience_s = patience_s
        self.poll_s = poll_s
        self.busy_retries = busy_retries
        self.busy_s = busy_s
        self._psn: int | None = None
        self.negotiated(packet_size, packets, baud)

    def negotiated(self, packet_size: int, packets: int, baud: int = 9600) -> None:
        """Take over what ``SessionOpened`` says. ConfigError if a message could hold no table byte."""
        if capacity(packet_size, packets) <= _PART_WRITE_HEAD:
            raise ConfigError(f"{packets} packets of {packet_size} bytes hold no table byte")
        self._costs = optical_costs(packet_size, packets, baud)

    @property
    def costs(self) -> DoorCosts:
        """For the planner."""
        return self._costs

    # ---- services -------------------------------------------------------------------------------------------------
    async def ask(self, request: Request, doing: str) -> bytes:
        """One table service; the data of a read. Raises ResponseError for a refusal, and what ``exchange`` raises."""
        read = isinstance(request, FullRead | PartialRead)
        message = encode_request(request, checksum=True)
        for trial in range(self.busy_retries + 1):
            code, data = decode_response(await self._exchange(message, read), checksum=True, read=read)
            if code not in _BUSY or trial == self.busy_retries:
                break
            await self.sleep(self.busy_s)
        if code:
            raise response_error(code, doing)
        return data

    async def read(self, table: int) -> bytes:
        """All bytes of a table: one full read, or partial reads if it is longer than an answer and its size is known."""
        size = self.size_of(table) if self.size_of is not None else None
        if size is not None and size > self._costs.max_read:
            return await self.read_part(table, 0, size)
        try:
            return await self.ask(FullRead(table), f"read {table_name(table)}")
        except ResponseError as error:
            if size is None and error.code in _TOO_LONG:
                error.hint += (
                    f"; an answer carries at most {self._costs.max_read} table bytes as negotiated: ask for more packets if "
                    f"{table_name(table)} is longer"
                )
            raise

    async def read_part(self, table: int, offset: int, count: int) -> bytes:
        """``count`` bytes from ``offset``; zeros for what a meter leaves out at the end."""
        out = bytearray()
        for place, size, surplus in read_pieces(table, offset, count, self._costs.max_read) if count > 0 else ():
            data = await self.ask(PartialRead(table, place, size), f"read {table_name(table)}")
            out += data[:size].ljust(size, b"\0")[surplus:]
        return bytes(out)

    async def write(self, table: int, data: bytes) -> None:
        """All bytes of a table: one full write if it fits, else partial writes from its start."""
        if len(data) <= self._costs.max_write + _PART_WRITE_HEAD - _FULL_WRITE_HEAD:
            await self._write(FullWrite(table, data), 0)
        else:
            await self.write_part(table, 0, data)

    async def write_part(self, table: int, offset: int, data: bytes) -> None:
        """``data`` from ``offset``, in several exchanges if need be."""
        for place, piece in write_pieces(table, offset, data, self._costs.max_write):
            await self._write(PartialWrite(table, place, piece), place)

    async def _write(self, request: FullWrite | PartialWrite, offset: int) -> None:
        table, data = request.table, request.data
        doing = f"write {table_name(table)}"
        try:
            await self.ask(request, doing)
        except PossiblyExecuted:
            if table == _BT07:
                raise  # an order, not content: run() looks for its response instead
            if await self.read_part(table, offset, len(data)) != data:
                await self.ask(request, doing)

    # ---- procedures -----------------------------------------------------------------------------------------------
    async def run(
        self, procedure: int, parameters: bytes = b"", *, unfinished: frozenset[int] | None = None
    ) -> ProcedureResult:
        """Run a procedure: write BT07, then read BT08 until it answers our sequence number, up to ``patience_s``.

        ``unfinished``: results that mean "ask again" (default by procedure). Raises NoAnswer if no response of ours
        appears, PossiblyExecuted if moreover the answer to the order was lost; nothing is ordered twice.
        """
        again = _UNFINISHED.get(procedure, frozenset()) if unfinished is None else unfinished
        doing = f"run {procedure_name(procedure)}"
        doubt: NoAnswer | None = None
        psn = await self._next_psn()
        order = procedure.to_bytes(2, "little") + bytes([psn]) + parameters
        try:
            await self._order(order, doing)
        except PossiblyExecuted as error:
            doubt = error
        except ResponseError as error:
            if error.code != ResponseCode.ONP:
                raise
            # 04 may mean that somebody else has just used this sequence number; it was not carried out
            psn = await self._next_psn()
            await self._order(order[:2] + bytes([psn]) + parameters, doing)
        found = await self._await_response(procedure, psn, again)
        if found is None:
            raise doubt or NoAnswer(
                f"{procedure_name(procedure)} was ordered, but no response to it appeared in BT08",
                hint="the procedure may need more time (patience_s), or another client's response stands there",
            )
        return found

    async def _order(self, order: bytes, doing: str) -> None:
        if len(order) > self._costs.max_write + _PART_WRITE_HEAD - _FULL_WRITE_HEAD:
            raise ConfigError(
                f"{doing}: {len(order)} bytes do not fit one message, and an order cannot be split",
                hint="negotiate more packets",
            )
        await self.ask(FullWrite(_BT07, order), doing)

    async def _next_psn(self) -> int:
        """10 to 254 in turn. The first one differs from what stands in BT08, so that the response proves something."""
        if self._psn is None:
            try:
                self._psn = (await self.read_part(_BT08, 0, 4))[2]
            except ResponseError:
                self._psn = _LAST_PSN
        self._psn = self._psn + 1 if _FIRST_PSN <= self._psn < _LAST_PSN else _FIRST_PSN
        return self._psn

    async def _await_response(self, procedure: int, psn: int, again: frozenset[int]) -> ProcedureResult | None:
        waited = 0.0
        while True:
            raw = await self.ask(FullRead(_BT08), "read BT08")
            if raw and len(raw) < 4:
                raise RemoteProtocolError(f"BT08 has {len(raw)} bytes, at least 4 are needed")
            ours = len(raw) >= 4 and int.from_bytes(raw[:2], "little") & 0x0FFF == procedure and raw[2] == psn
            if ours and raw[3] not in again:
                return ProcedureResult(procedure, psn, raw[3], raw[4:])
            if waited >= self.patience_s:
                return ProcedureResult(procedure, psn, raw[3], raw[4:]) if ours else None
            await self.sleep(self.poll_s)
            waited += self.poll_s
