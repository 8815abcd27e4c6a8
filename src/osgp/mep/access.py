"""Tables and procedures over the MEP: a ``TableAccess`` on top of any way to exchange messages.

``exchange(message, read)`` sends a C12.18 message and gives the answer's; a driver in ``osgp.ports`` makes it from
``MepClient`` by raising the error of ``RequestFailed`` and returning the message of ``ResponseReceived``. ``sleep``
waits, because there is no clock here.

Two doubts that RC4 mode leaves, and what is done about them:

- The acknowledgement of a write proves nothing: everybody on the line can make it from the request (``spec/mep.md``
  14). ``confirm_writes`` (default in RC4 mode) reads back what was written. A procedure is proven by its response,
  which holds a
  sequence number that was not there before; a transaction by its number in ET53.
- A write whose answer was lost may have been carried out (``PossiblyExecuted``). Table content is read back and written
  again if it is not there; for a procedure the response table is asked, and nothing is sent twice.

Sources: MEP guide p. 12–13, 40–54; sizes computed (``spec/mep.md`` 4).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence

from osgp.mep.client import PossiblyExecuted
from osgp.mep.frame import MAX_MESSAGE_RC4, MAX_MESSAGE_TLS, MAX_RESPONSE_RC4, MAX_RESPONSE_TLS
from osgp.tables.access import DoorCosts, ProcedureResult, read_pieces, write_pieces
from osgp.tables.et.et52 import ET52
from osgp.tables.services import (
    FullRead,
    FullWrite,
    PartialRead,
    PartialWrite,
    Request,
    decode_request,
    decode_response,
    encode_request,
    response_error,
)
from osgp.tables.table import extended, procedure_name, table_name
from osgp.wire.errors import ConfigError, DecodeError, NoAnswer, RemoteProtocolError, ResponseError

__all__ = ["Exchange", "IncompleteTransaction", "MepTables", "Sleep"]

Exchange = Callable[[bytes, bool], Awaitable[bytes]]
Sleep = Callable[[float], Awaitable[None]]

BT07, BT08 = 7, 8
ET52_NUMBER, ET53_NUMBER = extended(52), extended(53)
EP17, EP61 = extended(17), extended(61)
_FIRST_PSN, _LAST_PSN = 5, 9
_RESPONSE_SIZE = 16
"""Head (4) and data (BT00 byte 10: at most 12) of a procedure response."""
_POLL_S = 0.2
_FULL_READ_LENGTH = 0x0200
"""What field software asks for; meters answer with the true size."""
_READ_HEAD, _PART_READ_HEAD, _WRITE_HEAD, _PART_WRITE_HEAD = 5, 8, 5, 8
_RC4_REQUEST, _RC4_RESPONSE, _TLS = 2 + 12, 2 + 8, 2 + 30
UNFINISHED: dict[int, frozenset[int]] = {EP17: frozenset((1,))}
"""Results that mean "ask again" instead of a final answer (EP17: guide p. 243)."""


class IncompleteTransaction(RemoteProtocolError):
    """The meter carried out only a part of a transaction, or its answers did not fit; ``answers`` holds what came."""

    def __init__(self, message: str, answers: list[tuple[int, bytes]], *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.answers = answers


class MepTables:
    """The tables of one device at its MEP.

    ``tls``: which security ``exchange`` uses, for sizes, costs and doubts. ``confirm_writes``: see the module
    (None: in RC4
    mode only). ``chunked_reads``: never a full read; some meters of generation 4 answer 0B and 0C to full reads now
    and then,
    and partial reads cure that (field note). ``size_of`` tells the size of a table if known; tables that are larger
    than
    one answer, or read in chunks, need it. ``response_table``: where procedures answer (BT08, ET59 or ET85;
    ``registration.find_port`` finds out). ``two_ports``: transactions are locked by EP61. ``request_size``,
    ``response_size``: of ET52 and ET53 (ET11 bytes 7–10).
    """

    def __init__(
        self,
        exchange: Exchange,
        sleep: Sleep,
        *,
        tls: bool,
        confirm_writes: bool | None = None,
        chunked_reads: bool = False,
        size_of: Callable[[int], int | None] | None = None,
        response_table: int = BT08,
        two_ports: bool = False,
        request_size: int = 768,
        response_size: int = 1785,
        patience_s: float = 2.0,
        baud: int = 9600,
    ) -> None:
        self._exchange = exchange
        self.sleep = sleep
        self.tls = tls
        self.confirm_writes = not tls if confirm_writes is None else confirm_writes
        self.chunked_reads = chunked_reads
        self.size_of = size_of
        self.response_table = response_table
        self.two_ports = two_ports
        self.request_size = request_size
        self.response_size = response_size
        self.patience_s = patience_s
        self._psn: int | None = None
        self._transaction: int | None = None
        self._max_message = MAX_MESSAGE_TLS if tls else MAX_MESSAGE_RC4
        longest = MAX_RESPONSE_TLS if tls else MAX_RESPONSE_RC4
        both = 2 * _TLS if tls else _RC4_REQUEST + _RC4_RESPONSE
        self._costs = DoorCosts(
            name="mep+tls" if tls else "mep",
            full_read_overhead=both + (_PART_READ_HEAD if chunked_reads else _READ_HEAD) + 3,
            part_read_overhead=both + _PART_READ_HEAD + 3,
            full_write_overhead=both + _WRITE_HEAD + 1,
            part_write_overhead=both + _PART_WRITE_HEAD + 1,
            max_read=longest - 3,
            max_write=self._max_message - _PART_WRITE_HEAD,
            byte_s=10 / baud if baud else 0.0,
        )

    @property
    def costs(self) -> DoorCosts:
        """For the planner; RC4: 465 table bytes per read and 456 per write, TLS: 443 and 438 (computed)."""
        return self._costs

    # ---- services ----
    async def ask(self, request: Request, doing: str) -> bytes:
        """One table service; the data of a read. Raises ResponseError for a refusal, and what ``exchange`` raises."""
        read = isinstance(request, FullRead | PartialRead)
        message = await self._exchange(encode_request(request, checksum=False), read)
        code, data = decode_response(message, checksum=False, read=read)
        if code:
            raise response_error(code, doing)
        return data

    async def read(self, table: int) -> bytes:
        """All bytes of a table: one full read, or partial reads if it is larger than one answer (and its size known)."""
        size = self.size_of(table) if self.size_of is not None else None
        if size is not None and (self.chunked_reads or size > self._costs.max_read):
            return await self.read_part(table, 0, size)
        data = await self.ask(FullRead(table, _FULL_READ_LENGTH), f"read {table_name(table)}")
        if not data and not self.tls and size != 0:
            raise _empty(table)
        return data

    async def read_part(self, table: int, offset: int, count: int) -> bytes:
        """``count`` bytes from ``offset``; zeros for what a meter leaves out at the end."""
        out = bytearray()
        for place, size, surplus in read_pieces(table, offset, count, self._costs.max_read) if count > 0 else ():
            data = await self.ask(PartialRead(table, place, size), f"read {table_name(table)}")
            if not data:
                raise _empty(table)
            out += data[:size].ljust(size, b"\0")[surplus:]
        return bytes(out)

    async def write(self, table: int, data: bytes) -> None:
        """All bytes of a table: one full write if it fits, else partial writes from its start."""
        if _WRITE_HEAD + len(data) > self._max_message or self._edge(_WRITE_HEAD + len(data)):
            await self.write_part(table, 0, data)
        else:
            await self._write(FullWrite(table, data), 0)

    async def write_part(self, table: int, offset: int, data: bytes) -> None:
        """``data`` from ``offset``, in several exchanges if need be."""
        for place, piece in write_pieces(table, offset, data, self._costs.max_write):
            if self._edge(_PART_WRITE_HEAD + len(piece)):
                # Two writes, because two readings of the guide differ in how a message of this length is signed.
                for at, shorter in write_pieces(table, place, piece, len(piece) - 1):
                    await self._write(PartialWrite(table, at, shorter), at)
            else:
                await self._write(PartialWrite(table, place, piece), place)

    async def _write(self, request: FullWrite | PartialWrite, offset: int) -> None:
        table, data = request.table, request.data
        doing = f"write {table_name(table)}"
        # BT07 and ET52 are orders, not content: their proof is elsewhere, and reading them back proves nothing.
        order = table in (BT07, ET52_NUMBER)
        try:
            await self.ask(request, doing)
        except PossiblyExecuted:
            if table == BT07:
                raise
            if not order and await self.read_part(table, offset, len(data)) == data:
                return
            await self.ask(request, doing)
        if self.confirm_writes and not order and data:
            found = await self.read_part(table, offset, len(data))
            if found != data:
                raise RemoteProtocolError(
                    f"{doing}: acknowledged, but it reads back differently",
                    hint="somebody forged the answer, or the device changes these bytes itself (confirm_writes=False)",
                )

    def _edge(self, message: int) -> bool:
        """Whether a request of so many bytes ends on a digest block, where two readings of the guide differ (p. 250)."""
        return not self.tls and (message + 4) % 192 == 0

    # ---- procedures ----
    async def run(
        self, procedure: int, parameters: bytes = b"", *, unfinished: frozenset[int] | None = None
    ) -> ProcedureResult:
        """Run a procedure: write BT07, then ask the response table for our sequence number, up to ``patience_s``.

        ``unfinished``: results that mean "ask again" (default by procedure). Parameters beyond 255 bytes go in a
        transaction, where BT07's limit does not hold (guide p. 52). Raises NoAnswer if no response of ours appears,
        PossiblyExecuted if moreover the order's own answer was lost.
        """
        again = UNFINISHED.get(procedure, frozenset()) if unfinished is None else unfinished
        doubt: NoAnswer | None = None
        for trial in range(3):
            psn = await self._next_psn()
            order = procedure.to_bytes(2, "little") + bytes([psn]) + parameters
            try:
                await self._initiate(order, procedure)
            except PossiblyExecuted as error:
                doubt = error
            except ResponseError as error:
                # 04 may mean that this sequence number was the last one of somebody else on this port.
                if error.code != 4 or trial == 2:
                    raise
                continue
            break
        found = await self._await_response(procedure, psn, again)
        if found is None:
            where = table_name(self.response_table)
            raise doubt or NoAnswer(
                f"{procedure_name(procedure)} was ordered, but no response to it appeared in {where}",
                hint="the port may answer in another table (BT08, ET59, ET85): look for it with find_port",
            )
        return found

    async def _initiate(self, order: bytes, procedure: int) -> None:
        doing = f"run {procedure_name(procedure)}"
        if len(order) > 3 + 255:
            message = encode_request(FullWrite(BT07, order), checksum=False)
            [(code, _)] = await self.transaction([message])
            if code:
                raise response_error(code, doing)
            return
        at_edge = self._edge(_WRITE_HEAD + len(order))
        await self.ask(PartialWrite(BT07, 0, order) if at_edge else FullWrite(BT07, order), doing)

    async def _next_psn(self) -> int:
        """5 to 9 in turn (guide p. 51). The first one differs from what stands in the response table: so it proves."""
        if self._psn is None:
            try:
                head = await self.read_part(self.response_table, 0, 4)
                self._psn = head[2]
            except ResponseError:
                self._psn = _LAST_PSN
        self._psn = self._psn + 1 if _FIRST_PSN <= self._psn < _LAST_PSN else _FIRST_PSN
        return self._psn

    async def _await_response(self, procedure: int, psn: int, again: frozenset[int]) -> ProcedureResult | None:
        for last in self._polls():
            raw = await self.read_part(self.response_table, 0, _RESPONSE_SIZE)
            ours = int.from_bytes(raw[:2], "little") & 0x0FFF == procedure and raw[2] == psn
            if ours and raw[3] not in again:
                return ProcedureResult(procedure, psn, raw[3], raw[4:])
            if last:
                return ProcedureResult(procedure, psn, raw[3], raw[4:]) if ours else None
            await self.sleep(_POLL_S)
        return None

    def _polls(self) -> Iterator[bool]:
        """Once and then as often as patience lasts; True for the last time."""
        times = round(self.patience_s / _POLL_S)
        return (number == times for number in range(times + 1))

    # ---- transactions ----
    async def transaction(self, messages: Sequence[bytes]) -> list[tuple[int, bytes]]:
        """Several requests in one go, all or nothing as others see it; (response code, data) for each, in order.

        ``messages``: C12.18 messages without checksum. They must bear being run twice, which happens after a power
        failure
        (guide p. 40). Raises ConfigError if they do not fit ET52 or their answers ET53, IncompleteTransaction,
        NoAnswer.
        """
        if not messages or not all(messages):
            raise ConfigError("a transaction needs messages, none of them empty")
        size = 7 + sum(2 + len(message) for message in messages)
        answers = 7 + sum(2 + _answer_size(message) for message in messages)
        if size > self.request_size or answers > self.response_size:
            raise ConfigError(
                f"a transaction of {size} bytes with answers of {answers} does not fit",
                hint=f"this device takes {self.request_size} (ET52) and answers {self.response_size} (ET53): split it",
            )
        if self.two_ports:
            await self._lock(True)
        try:
            number = await self._next_transaction()
            mark = number.to_bytes(2, "little")
            records = b"".join(len(message).to_bytes(2, "little") + message for message in messages)
            content = size.to_bytes(2, "little") + b"\0" + mark + records + mark
            for _ in range(2):
                # In a rare race the meter drops it without a response; the same number and content never run twice.
                await self.write_part(ET52_NUMBER, 0, content)
                response = await self._await_transaction(mark)
                if response is not None:
                    return _transaction_answers(response, messages)
        finally:
            if self.two_ports:
                await self._lock(False)
        raise NoAnswer(f"transaction {number} got no response in ET53")

    async def _next_transaction(self) -> int:
        if self._transaction is None:
            try:
                self._transaction = int.from_bytes((await self.read_part(ET53_NUMBER, 0, 5))[3:5], "little")
            except ResponseError:
                self._transaction = 0
        self._transaction = self._transaction % 0xFFFF + 1
        return self._transaction

    async def _await_transaction(self, mark: bytes) -> bytes | None:
        for last in self._polls():
            head = await self.read_part(ET53_NUMBER, 0, 5)
            size = int.from_bytes(head[:2], "little")
            if head[3:5] == mark and head[2] in (1, 2, 4) and 7 <= size <= max(self.response_size, 7):
                return await self.read_part(ET53_NUMBER, 0, size)
            if not last:
                await self.sleep(_POLL_S)
        return None

    async def _lock(self, lock: bool) -> None:
        """EP61; the lock ends by itself after 10 s (guide p. 247)."""
        result = await self.run(EP61, bytes([lock]))
        if result.result == 3:
            raise response_error(8, "lock the transaction tables")
        if result.result and lock:
            raise RemoteProtocolError(f"the transaction tables cannot be locked (result {result.result})")


def _empty(table: int) -> RemoteProtocolError:
    return RemoteProtocolError(
        f"an empty answer to a read of {table_name(table)}",
        hint="in RC4 mode everybody on the line can make it: it proves nothing",
    )


def _answer_size(message: bytes) -> int:
    """Bytes of an answer as far as the request tells: a full read's is not known before."""
    try:
        request = decode_request(message, checksum=False)
    except DecodeError as error:
        raise ConfigError(f"not a table service: {error.message}") from error
    return 3 + request.count if isinstance(request, PartialRead) else 1


def _transaction_answers(response: bytes, messages: Sequence[bytes]) -> list[tuple[int, bytes]]:
    content = ET52.decode(response)
    answers = [
        decode_response(record.message, checksum=False, read=message[0] in (0x30, 0x3F))
        for record, message in zip(content.records, messages)
    ]
    if content.trans_type == 4:
        raise IncompleteTransaction("the meter belongs to none of the groups", answers)
    if content.trans_type != 1 or len(answers) != len(messages):
        hint = "answers that do not fit ET53, or a record with a wrong length"
        raise IncompleteTransaction("the transaction was carried out in part", answers, hint=hint)
    return answers
