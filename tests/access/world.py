"""A whole small device for tests: every table of the catalogue, keys, a few procedures, and the server before it all."""

from __future__ import annotations

import datetime as dt
import functools
import random
from typing import Any

from osgp.node.pending import PendingTable, PendingTables
from osgp.node.server import Port, TableServer
from osgp.node.transaction import Transactions
from osgp.tables.image import Image
from osgp.tables.registry import all_tables, table
from osgp.tables.table import extended
from osgp.wire import dependencies, layout_of

MK, PK, RK = b"master key of a test", b"programming key, too", b"a key that only read"
MAK, MBK = bytes(range(1, 17)), bytes(range(101, 117))
OPTICAL_KEYS = {"MK": MK, "PK": PK, "RK": RK}
MEP_KEYS = {"MAK": MAK, "MBK": MBK}

PENDING_NUMBERS = (54, extended(47), extended(50))
START = dt.datetime(2025, 3, 1, 12, 0, tzinfo=dt.UTC)

DIMENSIONS: dict[str, dict[str, Any]] = {
    "BT00": {
        "FORMAT_0": {"CHAR_FORMAT": 1},
        "FORMAT_1": {"TIME_FORMAT": 2, "DATA_ACCESS": 1},
        "NAMEPLATE_TYPE": 2,
        "PROC_PARAM_LEN": 255,
        "RESP_DATA_LEN": 12,
        "STD_VERSION": 1,
        "DIM_STD_TBLS_USED": 10,
        "DIM_MFG_TBLS_USED": 20,
        "DIM_STD_PROC_USED": 2,
        "DIM_MFG_PROC_USED": 12,
        "DIM_MFG_STATUS_USED": 9,
        "NBR_PENDING": 4,
        "STD_TBLS_USED": "ff" * 10,
        "MFG_TBLS_USED": "ff" * 20,
        "STD_PROC_USED": "ff" * 2,
        "MFG_PROC_USED": "ff" * 12,
        "STD_TBLS_WRITE": "00" * 10,
        "MFG_TBLS_WRITE": "00" * 20,
    },
    "BT21": {
        "FLAGS0": {"DATE_TIME": 1, "DEMAND_RESET_CTR": 1, "CUM_DEMAND": 1},
        "NBR_SELF_READS": 3,
        "NBR_SUMMATIONS": 12,
        "NBR_DEMANDS": 4,
        "NBR_COINCIDENT": 2,
        "NBR_OCCUR": 1,
        "NBR_TIERS": 4,
        "NBR_PRESENT_DEMANDS": 2,
        "NBR_PRESENT_VALUES": 40,
    },
    "BT50": {
        "SEASONS": {"NBR_SEASONS": 4, "NBR_SPECIAL_SCHED": 2},
        "NBR_NON_RECURR_DATES": 10,
        "NBR_RECURR_DATES": 10,
        "NBR_TIER_SWITCHES": 20,
        "CALENDAR_TBL_SIZE": 120,
    },
    "BT61": {
        "LP_FLAGS": {"EXTENDED_INT_STATUS": 1},
        "LP_FMATS": {"INV_INT32": 1},
        "SETS": [{"NBR_BLKS": 6, "NBR_BLK_INTS": 24, "NBR_CHNS": 4, "MAX_INT_TIME": 60}],
    },
    "BT71": {"FLAGS": {"HIST_DATE_TIME": 1, "HIST_SEQ_NBR": 1}, "HIST_DATA_LENGTH": 5, "NBR_HISTORY_ENTRIES": 30},
    "ET11": {
        "NBR_DEVICES": 6,
        "CONFIG_ENTRY_SIZE": 40,
        "STATUS_ENTRY_SIZE": 20,
        "ONDEMAND_QUEUE_SIZE": 3,
        "ONDEMAND_ENTRY_SIZE": 16,
        "DATA_ENTRY_SIZE": 12,
        "TRANS_REQUEST_LEN": 768,
        "TRANS_RESPONSE_LEN": 1785,
        "NBR_MEP_DATA_SOURCES": 2,
        "MEP_CHANNEL_COUNT": 1,
    },
}
_FIRMWARE_4_10 = (4 << 12 | 10 << 5).to_bytes(2, "big")
_ALIKE = {"BT20": "BT21", "BT60": "BT61", "BT70": "BT71"}


def _merged(base: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    out = dict(base)
    for name, value in given.items():
        out[name] = _merged(base[name], value) if isinstance(value, dict) else value
    return out


def complete_image() -> Image:
    """Every table, sized by the dimensions above; dimension tables hold them, the others random bytes."""
    return Image(_tables())


@functools.cache
def _tables() -> dict[int, bytes]:
    image = Image()
    image.put(1, bytes(14) + _FIRMWARE_4_10 + bytes(8))
    for name in (*DIMENSIONS, *_ALIKE):
        declared = table(name)
        layout = layout_of(declared, image.context.with_values(lp_sets=1))
        content = _merged(layout.zero().to_json(), DIMENSIONS[_ALIKE.get(name, name)])
        image.put(declared.number, layout.encode(declared.from_json(content)))
    rng = random.Random(1)
    sizing: dict[Any, None] = {}

    def add(declared: Any) -> None:
        for needed in sorted(dependencies(declared), key=lambda each: each.__name__):
            add(needed)
            sizing[needed] = None

    for declared in all_tables():
        add(declared)
    for declared in (*sizing, *all_tables()):
        if declared.number not in image:
            layout = layout_of(declared, image.context)
            if declared in sizing or layout.size is None:
                image.put(declared.number, layout.encode(layout.zero()))
            else:
                image.put(declared.number, rng.randbytes(layout.size))
    for number in (4, extended(50), extended(54), extended(70)):  # one MEP port, nothing registered
        image.put(number, bytes(image.size(number)))
    for number in (8, extended(59), extended(85)):
        image.put(number, bytes(16))
    image.remove(7)
    return {number: image.read(number) for number in image}


class World:
    """The device: image, server and clock. ``writes`` lists what clients wrote, as the device was told."""

    def __init__(self) -> None:
        self.image = complete_image()
        self.pending = PendingTables(self.image, PENDING_NUMBERS)
        self.transactions = Transactions(768, 1785)
        self.now = 0.0
        self.writes: list[tuple[int, int, bytes, str]] = []
        self.ran: list[tuple[int, bytes, str, str]] = []
        self.activated: list[int] = []
        self._slow_until: float | None = None
        self._utc_offset = dt.timedelta()
        self.locked_tables: set[int] = set()
        self.server = TableServer(
            self.image,
            self.pending,
            self.transactions,
            self.utc,
            procedures={
                10: self._echo(10),
                12: self._all_pending(self._activate),
                13: self._some_pending(self._activate),
                14: self._all_pending(self._clear),
                15: self._some_pending(self._clear),
                extended(16): self._echo(extended(16)),
                extended(17): self._slow,
                extended(39): self._echo(extended(39)),
                extended(61): self._lock,
                extended(20): self._echo(extended(20)),
            },
            refresh=self._refresh,
            written=self._written,
            activated=lambda number, now: self.activated.append(number),
            locked=lambda number: number in self.locked_tables,
        )

    def utc(self, now: float) -> dt.datetime:
        self.now = now
        return START + dt.timedelta(seconds=now) + self._utc_offset

    def later(self, **span: float) -> None:
        """Let the device's clock run on."""
        self._utc_offset += dt.timedelta(**span)
        self.server.tick(self.now)

    def _written(self, number: int, offset: int, data: bytes, port: Port, now: float) -> None:
        self.writes.append((number, offset, data, port.name))

    def _echo(self, number: int) -> Any:
        """A procedure that answers its parameters backwards."""

        def run(parameters: bytes, port: Port, key: str, now: float) -> tuple[int, bytes]:
            self.ran.append((number, parameters, port.name, key))
            return 0, parameters[::-1]

        return run

    def _slow(self, parameters: bytes, port: Port, key: str, now: float) -> tuple[int, bytes]:
        """EP17 takes half a second: 1 until then."""
        self.ran.append((extended(17), parameters, port.name, key))
        self._slow_until = now + 0.5
        return 1, b""

    def _refresh(self, number: int, now: float) -> None:
        if number == 8 and self._slow_until is not None and now >= self._slow_until:
            self._slow_until = None
            self.image.write_part(8, 3, b"\x00done")

    def _lock(self, parameters: bytes, port: Port, key: str, now: float) -> tuple[int, bytes]:
        done = (
            self.transactions.lock(port.name, now) if parameters[:1] == b"\x01" else self.transactions.unlock(port.name)
        )
        return (0 if done else 3), b""

    def _activate(self, one: PendingTable) -> None:
        self.pending.activate(one, self.utc(self.now))
        self.activated.append(one.number)

    def _clear(self, one: PendingTable) -> None:
        self.pending.clear(one)

    def _all_pending(self, do: Any) -> Any:
        def run(parameters: bytes, port: Port, key: str, now: float) -> tuple[int, bytes]:
            for one in self.pending.matching():
                do(one)
            return 0, b""

        return run

    def _some_pending(self, do: Any) -> Any:
        def run(parameters: bytes, port: Port, key: str, now: float) -> tuple[int, bytes]:
            found = self.pending.matching(parameters[:6])
            for one in found:
                do(one)
            return (0 if found else 1), b""

        return run

    # ---- what the doors want
    def mep_handle(self, port: Port) -> Any:
        return lambda message, access, now: self.server.handle_message(message, access, now, port)

    def optical_handle(self, port: Port) -> Any:
        return lambda request, access, now: self.server.handle(request, access, now, port)

    @staticmethod
    def check_key(password: bytes) -> str | None:
        return next((name for name, key in OPTICAL_KEYS.items() if key == password), None)
