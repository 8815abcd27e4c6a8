"""``TableAccess``: the one interface to the tables of a device, by whatever door.

Two kinds of makers: the local image in a device (``osgp.tables.image``) and the remote clients (``osgp.ports``). Everything
above it (planner, CLI, collector, web) is written once and does not know the door. The same tests run on all makers.

The methods are ``async def`` but nothing here needs an event loop: a maker over a blocking line never suspends, and
``run_sync`` then drives it to its end. So there is one implementation for both faces (project choice).
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

from osgp.tables.table import PED_SIZE, PENDING
from osgp.wire.errors import LocalProtocolError

__all__ = ["DoorCosts", "ProcedureResult", "TableAccess", "read_pieces", "run_sync", "write_pieces"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DoorCosts:
    """What a door charges, for the planner. All sizes in bytes on the wire, both directions.

    ``full_read_overhead`` and ``part_read_overhead``: everything but the table bytes for one exchange (request, answer,
    headers, digests, acknowledgements). ``packet_data``/``packet_overhead``: an answer longer than ``packet_data`` needs
    further packets that cost ``packet_overhead`` each (0: never); ``packet_head``: bytes of an answer that are not the
    table's but fill its packets too. ``max_read``/``max_write``: table bytes in one exchange.
    ``byte_s``: seconds per byte; ``exchange_s``: turn-round and think time of one exchange.
    """

    name: str
    full_read_overhead: int
    part_read_overhead: int
    full_write_overhead: int
    part_write_overhead: int
    max_read: int
    max_write: int
    packet_data: int = 0
    packet_overhead: int = 0
    packet_head: int = 0
    byte_s: float = 10 / 9600
    exchange_s: float = 0.1

    def read_bytes(self, size: int, *, full: bool) -> int:
        """Bytes on the wire for one read of ``size`` table bytes (``size`` ≤ ``max_read``). O(1)."""
        overhead = self.full_read_overhead if full else self.part_read_overhead
        extra = 0
        filled = size + self.packet_head
        if self.packet_data and filled > self.packet_data:
            extra = (-(-filled // self.packet_data) - 1) * self.packet_overhead
        return overhead + size + extra

    def airtime_s(self, wire_bytes: int, exchanges: int) -> float:
        """Estimated seconds for that many bytes and exchanges."""
        return wire_bytes * self.byte_s + exchanges * self.exchange_s


def read_pieces(table: int, offset: int, count: int, longest: int) -> Iterator[tuple[int, int, int]]:
    """How to read ``count`` bytes from ``offset`` with reads of at most ``longest``: (offset, count, bytes to leave out).

    A read of a pending table begins with its 6-byte event description, which its count includes and its offset does not
    (optical guide p. 9): all pieces but the first leave it out. LocalProtocolError if nothing else would fit.
    """
    head = PED_SIZE if table & PENDING else 0
    if longest <= head:
        raise LocalProtocolError(
            f"reads of {longest} bytes cannot carry a pending table", hint="negotiate more packets"
        )
    size = min(count, longest)
    yield offset, size, 0
    done = size
    while done < count:
        size = min(count - done, longest - head)
        yield offset + done - head, head + size, head
        done += size


def write_pieces(table: int, offset: int, data: bytes, longest: int) -> Iterator[tuple[int, bytes]]:
    """How to write ``data`` from ``offset`` with writes of at most ``longest`` bytes: (offset, data).

    Each write of a pending table carries the event description in front, and offsets do not count it (as for reads).
    LocalProtocolError if nothing else would fit.
    """
    head = data[:PED_SIZE] if table & PENDING else b""
    step = longest - len(head)
    if step < 1:
        raise LocalProtocolError(
            f"writes of {longest} bytes cannot carry a pending table", hint="negotiate more packets"
        )
    content = data[len(head) :]
    for start in range(0, len(content), step) or (0,):
        yield offset + start, head + content[start : start + step]


@dataclass(frozen=True, slots=True)
class ProcedureResult:
    """Answer of a procedure: ``result`` (0 completed, 1 accepted, 2 invalid parameter …, MEP guide p. 52) and its data."""

    procedure: int
    sequence: int
    result: int
    data: bytes = b""


@runtime_checkable
class TableAccess(Protocol):
    """Read, write and run. Table numbers: BTnn = nn, ETnn = 2048 + nn, pending copy + 4096; procedures likewise.

    Errors: ``ResponseError`` (the device said no), ``LinkError`` (nobody answered), ``SecurityError``, ``ProtocolError``.
    """

    @property
    def costs(self) -> DoorCosts: ...

    async def read(self, table: int) -> bytes:
        """All bytes of a table. Tables larger than one exchange are fetched in several."""
        ...

    async def read_part(self, table: int, offset: int, count: int) -> bytes:
        """``count`` bytes from ``offset``; always exactly ``count`` (beyond the end: zeros, optical guide p. 9).

        Of a pending table: its event description, then ``count`` - 6 bytes from ``offset`` (see ``read_pieces``).
        """
        ...

    async def write(self, table: int, data: bytes) -> None:
        """All bytes of a table."""
        ...

    async def write_part(self, table: int, offset: int, data: bytes) -> None:
        """``data`` from ``offset``."""
        ...

    async def run(self, procedure: int, parameters: bytes = b"") -> ProcedureResult:
        """Run a procedure: write BT07, then read the response table until it answers this sequence number."""
        ...


def run_sync(coroutine: Coroutine[Any, Any, T]) -> T:
    """Drive a coroutine that never suspends (blocking line, local image) to its result. LocalProtocolError if it suspends."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]  # StopIteration.value is untyped
    coroutine.close()
    raise LocalProtocolError(
        "this operation waits for an event loop",
        hint="use `await` with the async face, or open the line with open_sync()",
    )
