"""A small device behind the MEP for tests: tables in memory, procedures, transactions, registration."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from tests.mep.mep_peer import World, client, server

from osgp.mep.access import MepTables
from osgp.mep.events import RequestFailed
from osgp.node.transaction import Transactions
from osgp.tables.access import run_sync
from osgp.tables.services import (
    FullRead,
    FullWrite,
    PartialRead,
    PartialWrite,
    decode_request,
    encode_response,
)
from osgp.tables.table import extended
from osgp.wire.errors import UnknownCode

T = TypeVar("T")
ET11, ET13, ET14, ET50, ET51, ET52, ET53, ET54, ET59, ET70, ET85 = (
    extended(n) for n in (11, 13, 14, 50, 51, 52, 53, 54, 59, 70, 85)
)
BIG = bytes(number % 251 for number in range(1200))
PATTERN = bytes(number % 255 + 1 for number in range(400))


class Device:
    """Answers C12.18 messages. ``responses``: result of each procedure, by number; ``log``: every request."""

    def __init__(self, port: int = 1, *, two: bool = False, response_table: int = 8) -> None:
        et11 = bytearray(44)
        et11[0:3] = bytes([6 if two else 5, 66, 36])
        et11[7:11] = (896).to_bytes(2, "little") + (1785).to_bytes(2, "little")
        et11[22] = 6
        et11[34] = 2 if two else 1
        self.tables: dict[int, bytearray] = {
            8: bytearray(16),
            23: bytearray(PATTERN[:220]),
            28: bytearray(BIG),
            ET11: et11,
            ET13: bytearray(66 * 6),
            ET14: bytearray(6 + 36 * 6),
            ET50: bytearray(71 * 2),
            ET51: bytearray(20),
            ET59: bytearray(16),
            ET85: bytearray(16),
        }
        if two:
            self.tables[ET54] = bytearray(b"\0\1" + bytes(10))
            self.tables[ET70] = bytearray(142) + bytearray([port]) + bytearray(13)
        self.port = port
        self.response_table = response_table
        self.results: dict[int, Callable[[bytes], tuple[int, bytes]]] = {}
        self.log: list[Any] = []
        self.psns: list[int] = []
        self.transactions = Transactions(896, 1785)
        self.deaf_transactions = 0
        self.handle_given = 1000

    def handle(self, message: bytes, access: str, now: float) -> bytes:
        try:
            request = decode_request(message, checksum=False)
        except UnknownCode:
            return b"\x02"
        self.log.append(request)
        if request.table == ET53:
            self.tables[ET53] = self.transactions.response
        match request:
            case FullWrite(7, data) | PartialWrite(7, 0, data):
                return encode_response(self._procedure(data), checksum=False)
            case PartialWrite(table, offset, data) if table == ET52:
                if self.transactions.write(offset, data):
                    if self.deaf_transactions:
                        self.deaf_transactions -= 1
                    else:
                        self.transactions.carry_out(lambda inner: self.handle(inner, access, now))
                return b"\0"
        if request.table not in self.tables:
            return b"\x05"
        content = self.tables[request.table]
        match request:
            case FullRead():
                return encode_response(0, bytes(content), checksum=False)
            case PartialRead(_, offset, count):
                data = bytes(content[offset : offset + count]).ljust(count, b"\0")
                return encode_response(0, data, checksum=False)
            case FullWrite(_, data):
                content[: len(data)] = data
            case PartialWrite(_, offset, data):
                content[offset : offset + len(data)] = data
        if request.table == ET50:
            self._registered()
        return b"\0"

    def _procedure(self, data: bytes) -> int:
        psn = data[2]
        if self.psns and self.psns[-1] == psn:
            return 4
        self.psns.append(psn)
        number = int.from_bytes(data[:2], "little")
        run = self.results.get(number, lambda parameters: (6, b""))
        self.post(number, psn, *run(data[3:]))
        return 0

    def post(self, number: int, psn: int, result: int, answer: bytes = b"") -> None:
        self.tables[self.response_table][:] = (number.to_bytes(2, "little") + bytes([psn, result]) + answer).ljust(
            16, b"\0"
        )

    def _registered(self) -> None:
        """The meter discovers the device: occupancy bit, handle, status 3."""
        if self.tables[ET50][(self.port - 1) * 71 + 30] & 1:
            et14 = self.tables[ET14]
            index = 3 + self.port
            et14[5] |= 1 << index
            at = 6 + 36 * index
            et14[at : at + 3] = self.handle_given.to_bytes(2, "little") + b"\3"


class Site:
    """A device, the machines, and ``MepTables`` over them, all blocking on virtual time."""

    def __init__(self, device: Device | None = None, *, tls: bool = False, **options: Any) -> None:
        self.device = device or Device()
        pipe = options.pop("pipe", None)
        machine = client(legacy=not tls, sequence=None if tls else 0)
        self.world = World(machine, server(self.device.handle, pauses=False), *([pipe] if pipe else []))
        self.waited = 0.0
        self.tables = MepTables(self.exchange, self.sleep, tls=tls, **options)

    async def exchange(self, message: bytes, read: bool) -> bytes:
        outcome = self.world.ask(message, read=read)
        if isinstance(outcome, RequestFailed):
            raise outcome.error
        return outcome.message

    async def sleep(self, seconds: float) -> None:
        self.waited += seconds
        self.world.idle(seconds)

    def do(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return run_sync(coroutine)

    def logged(self, kind: type[Any], table: int) -> list[Any]:
        return [request for request in self.device.log if isinstance(request, kind) and request.table == table]
