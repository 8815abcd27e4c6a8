"""``PowerLineAccess``: the tables of one device over the power line, a ``TableAccess`` as at every other door.

Table services of TS 104 001 clause 9 (``spec/osgp-application.md`` 1.2): full and partial reads, writes, BT07 and BT08 for procedures;
at most 84 table bytes in an answer and 75 in a write (``app.profile.Limits``), so that the longest chain of repeaters still fits. The
security is the exchange's affair. What things cost is told in airtime, over as many legs as the device is away, so that the planner
reads the same fields in another way from a far device than from a near one.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, TypeVar

from osgp.app.profile import Limits
from osgp.concentrator.accounts import LineCosts
from osgp.concentrator.exchange import Exchanges, OutcomeUnknown, Peer, Priority
from osgp.concentrator.tasks import Tasks, Wait
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
from osgp.wire.errors import ConfigError, NoAnswer, ResponseError

__all__ = ["Order", "PowerLineAccess", "power_line_costs"]

T = TypeVar("T")

LIMITS = Limits()
BT07, BT08 = 7, 8
_ORDERS = (BT07, extended(52))
"""What is an order and no content: reading it back proves nothing."""
_SECURITY = 13
"""Bytes around a request: code, sequence number, tag (``spec/osgp-application.md`` 3.3); an answer has no number."""
_ANSWER = 9
_FULL_READ, _PART_READ, _FULL_WRITE, _PART_WRITE = 3, 8, 5, 8
_READ_HEAD, _WRITTEN = 3, 1
_RESPONSE_SIZE = 16
"""Head (4) and data (BT00 byte 10: at most 12) of a procedure's response."""
_FIRST_PSN, _LAST_PSN = 5, 250
_POLL_S = 1.0
_BUSY = (ResponseCode.BSY, ResponseCode.DNR)
_UNFINISHED = {extended(17): frozenset((1,))}
"""Results that mean "ask again" (EP17: MEP guide p. 243)."""


def power_line_costs(line: LineCosts, legs: int, limits: Limits = LIMITS) -> DoorCosts:
    """What the power line charges over so many legs. One *byte* is one table byte on all legs; whatever else an exchange takes,
    silences included, is counted in such bytes, so that the fewest bytes are the least airtime."""

    def overhead(request: int, answer: int) -> int:
        return round(line.exchange_s(_SECURITY + request, _ANSWER + answer, legs) / byte_s)

    byte_s = line.byte_s * legs
    return DoorCosts(
        name="pl" if legs == 1 else f"pl over {legs} legs",
        full_read_overhead=overhead(_FULL_READ, _READ_HEAD),
        part_read_overhead=overhead(_PART_READ, _READ_HEAD),
        full_write_overhead=overhead(_FULL_WRITE, _WRITTEN),
        part_write_overhead=overhead(_PART_WRITE, _WRITTEN),
        max_read=limits.max_read,
        max_write=limits.max_write,
        byte_s=byte_s,
        exchange_s=0.0,
    )


class Order(NamedTuple):
    """A procedure about to be run, with the number that its response will carry (``psn``): who keeps that finds out after a restart
    whether it was run."""

    procedure: int
    parameters: bytes
    psn: int

    def result_in(self, response: bytes) -> ProcedureResult | None:
        """The result if this response is ours, else None."""
        if len(response) >= 4 and response[2] == self.psn and _number(response) == self.procedure:
            return ProcedureResult(self.procedure, self.psn, response[3], response[4:])
        return None


class PowerLineAccess:
    """The tables of ``peer``. ``priority``: class of all its exchanges; change it at will. ``size_of``: bytes of a table if known, so
    that a longer one is read in parts. ``ordered``: is told of a procedure before it is sent, and may raise to stop it.
    ``patience_s``: how long to look for a procedure's response; ``busy_retries``: after "busy" answers, ``busy_s`` later each.
    """

    def __init__(
        self,
        exchanges: Exchanges,
        tasks: Tasks,
        peer: Peer,
        priority: Priority,
        *,
        limits: Limits = LIMITS,
        size_of: Callable[[int], int | None] | None = None,
        ordered: Callable[[Order], None] | None = None,
        patience_s: float = 5.0,
        busy_retries: int = 2,
        busy_s: float = 2.0,
    ) -> None:
        self.exchanges = exchanges
        self.tasks = tasks
        self.peer = peer
        self.priority = priority
        self.limits = limits
        self.size_of = size_of
        self.ordered = ordered
        self.patience_s = patience_s
        self.busy_retries = busy_retries
        self.busy_s = busy_s
        self._costs: DoorCosts | None = None
        self._legs = 0

    @property
    def costs(self) -> DoorCosts:
        """For the planner: of the way that is known now."""
        route = self.exchanges.routes.route(self.peer.device, 0, self.tasks.now)
        legs = route.legs if route is not None else 1
        if self._costs is None or legs != self._legs:
            self._costs = power_line_costs(self.exchanges.costs, legs, self.limits)
            self._legs = legs
        return self._costs

    # ---- services ---------------------------------------------------------------------------------------------------
    async def ask(self, request: Request, doing: str, *, answer_bytes: int | None = None, behind: bytes = b"") -> bytes:
        """One table service, with what follows ``behind`` it; the data of a read. Raises ResponseError for a refusal, and what
        exchanges end with."""
        reads = isinstance(request, FullRead | PartialRead)
        if not reads:
            self._may_write()
        message = encode_request(request, checksum=False) + behind
        if answer_bytes is None:
            answer_bytes = self.limits.max_read
        trial = 0
        while True:
            exchange = self.exchanges.ask(
                self.peer, message, self.priority, self.tasks.now, reads=reads, answer_bytes=answer_bytes
            )
            code, data = decode_response(await exchange, checksum=False, read=reads)
            if code not in _BUSY or trial >= self.busy_retries:
                break
            trial += 1
            await self.tasks.sleep(self.busy_s)
        if code:
            raise response_error(code, doing)
        return data

    def _may_write(self) -> None:
        """Raises ConfigError where the security of the device takes no orders (``app.legacy``)."""
        if not getattr(self.peer.sealer, "writes", True):
            raise ConfigError(
                f"device {self.peer.device} speaks the legacy suite and is only read",
                hint="give it a UMK and commission it; a second flag allows writes that anybody on the line can forge",
            )

    async def read(self, table: int) -> bytes:
        """All bytes of a table: one full read, or partial reads if it is longer than an answer and its size is known."""
        size = self.size_of(table) if self.size_of is not None else None
        if size is not None and size > self.limits.max_read:
            return await self.read_part(table, 0, size)
        return await self.ask(FullRead(table), f"read {table_name(table)}", answer_bytes=size)

    async def read_part(self, table: int, offset: int, count: int) -> bytes:
        """``count`` bytes from ``offset``; zeros for what a device leaves out at the end."""
        doing = f"read {table_name(table)}"
        longest = self.limits.max_read
        if 0 < count <= longest:
            data = await self.ask(PartialRead(table, offset, count), doing, answer_bytes=count)
            return data[:count].ljust(count, b"\0")
        out = bytearray()
        for place, size, surplus in read_pieces(table, offset, count, longest) if count > 0 else ():
            data = await self.ask(PartialRead(table, place, size), doing, answer_bytes=size)
            out += data[:size].ljust(size, b"\0")[surplus:]
        return bytes(out)

    async def write(self, table: int, data: bytes) -> None:
        """All bytes of a table: one full write if it fits, else partial writes from its start."""
        if len(data) <= self.limits.max_write + _PART_WRITE - _FULL_WRITE:
            await self._write(FullWrite(table, data), 0)
        else:
            await self.write_part(table, 0, data)

    async def write_part(self, table: int, offset: int, data: bytes) -> None:
        """``data`` from ``offset``, in several exchanges if need be."""
        for place, piece in write_pieces(table, offset, data, self.limits.max_write):
            await self._write(PartialWrite(table, place, piece), place)

    async def write_with_token(self, table: int, offset: int, data: bytes, token: bytes) -> None:
        """A critical write (``spec/osgp-application.md`` 3.8) with the head-end's token, which covers it as one message.

        Raises ConfigError for more than fits one message.
        """
        most = self.limits.max_write - len(token)
        if len(data) > most:
            raise ConfigError(
                f"a write with a token has at most {most} bytes, not {len(data)}", hint="write it in parts"
            )
        await self._write(PartialWrite(table, offset, data) if offset else FullWrite(table, data), offset, token)

    async def _write(self, request: FullWrite | PartialWrite, offset: int, token: bytes = b"") -> None:
        table, data = request.table, request.data
        doing = f"write {table_name(table)}"
        try:
            await self.ask(request, doing, behind=token)
        except OutcomeUnknown:
            if table in _ORDERS:
                raise
            if await self.read_part(table, offset, len(data)) != data:
                await self.ask(request, doing, behind=token)

    # ---- procedures -------------------------------------------------------------------------------------------------
    async def run(self, procedure: int, parameters: bytes = b"") -> ProcedureResult:
        """Run a procedure: write BT07, then read BT08 until it answers our sequence number, up to ``patience_s``.

        Nothing is ordered twice: if the answer to the order is lost, BT08 is asked. Raises OutcomeUnknown if no response of ours
        appears there.
        """
        return await self._alone(lambda: self._run(procedure, parameters))

    async def order(self, procedure: int, parameters: bytes = b"") -> None:
        """As ``run``, but content with the device's word that it has the order: BT08 is asked only if that word was lost. For orders
        whose result nobody needs, because they are given again if they came to nothing."""
        await self._alone(lambda: self._order(procedure, parameters))

    async def _alone(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """One procedure at a time: the device has one response table."""
        peer = self.peer
        while peer.ordering is not None:
            await peer.ordering
        turn: Wait[None] = Wait()
        peer.ordering = turn
        try:
            return await work()
        finally:
            peer.ordering = None
            turn.succeed(None)

    async def _order(self, procedure: int, parameters: bytes) -> None:
        order, doubt = await self._ordered(procedure, parameters)
        if doubt is not None and await self.response_to(order) is None:
            raise doubt

    async def _run(self, procedure: int, parameters: bytes) -> ProcedureResult:
        order, doubt = await self._ordered(procedure, parameters)
        found = await self.response_to(order)
        if found is None:
            raise doubt or OutcomeUnknown(
                f"{procedure_name(procedure)} was ordered, but no response to it appeared in BT08",
                hint="the device may answer later, or somebody else's procedure came between",
            )
        return found

    async def _ordered(self, procedure: int, parameters: bytes) -> tuple[Order, NoAnswer | None]:
        """The order as it was sent, and why it is not certain that it arrived."""
        self._may_write()
        order = await self.next_order(procedure, parameters)
        try:
            await self._initiate(order)
        except OutcomeUnknown as error:
            return order, error
        except ResponseError as error:
            if error.code != ResponseCode.ONP:
                raise
            # 04 may mean that somebody else has just used this sequence number; it was not carried out.
            self.peer.psn = None
            order = await self.next_order(procedure, parameters)
            await self._initiate(order)
        return order, None

    async def next_order(self, procedure: int, parameters: bytes) -> Order:
        """An order under the next sequence number. The first one differs from what stands in BT08: so it proves something."""
        psn = self.peer.psn
        if psn is None:
            try:
                response = await self.ask(FullRead(BT08), "read BT08", answer_bytes=_RESPONSE_SIZE)
                psn = response[2] if len(response) > 2 else _LAST_PSN
            except ResponseError:
                psn = _LAST_PSN
        self.peer.psn = psn = psn + 1 if _FIRST_PSN <= psn < _LAST_PSN else _FIRST_PSN
        return Order(procedure, parameters, psn)

    async def _initiate(self, order: Order) -> None:
        if self.ordered is not None:
            self.ordered(order)
        content = order.procedure.to_bytes(2, "little") + bytes((order.psn,)) + order.parameters
        await self.ask(FullWrite(BT07, content), f"run {procedure_name(order.procedure)}")

    async def response_to(self, order: Order) -> ProcedureResult | None:
        """What BT08 says to an order, None if nothing; asks as long as patience lasts."""
        again = _UNFINISHED.get(order.procedure, frozenset())
        polls = max(1, round(self.patience_s / _POLL_S))
        found: ProcedureResult | None = None
        for poll in range(polls):
            if poll:
                await self.tasks.sleep(_POLL_S)
            response = await self.ask(FullRead(BT08), "read BT08", answer_bytes=_RESPONSE_SIZE)
            found = order.result_in(response)
            if found is not None and found.result not in again:
                return found
        return found


def _number(response: bytes) -> int:
    return int.from_bytes(response[:2], "little") & 0x0FFF
