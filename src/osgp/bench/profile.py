"""Group ``profile``: a month of load profile (30 days, 15 minutes, 8 channels) from bytes to columns, and back.

Ours reads BT64: time stamps, per-channel and common statuses, unprocessed intervals, order of the ring. Peers: a hand-written
NumPy decode of the same bytes (time stamps and eight columns, nothing else), and dlms-cosem parsing, or building and
encoding, an equally large profile buffer. Goals (project choice): at least 0.3× by hand, 300× dlms-cosem decoding,
100× dlms-cosem encoding.
"""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import random
import struct
from collections.abc import Callable, Iterator
from typing import Any

from osgp.bench.frame import Bench, PeerMissing, Row, group
from osgp.tables.bt.bt61 import BT61
from osgp.tables.profile import Geometry, decode_blocks, encode_blocks, encode_table, geometry
from osgp.wire import Context

__all__ = ["profile", "table_of_a_month"]

DAYS, PER_DAY, CHANNELS = 30, 96, 8
ROWS = DAYS * PER_DAY
START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


def _shape() -> Geometry:
    raw = struct.pack("<IHB", 0, 0, 32) + struct.pack("<HHBB", DAYS, PER_DAY, CHANNELS, 15)
    return geometry(Context(tables={BT61: raw}, env={"lp_sets": 1}))


def _month() -> tuple[list[list[int]], list[list[int]], list[int]]:
    """Growing registers, with a status here and there and DST in the last days."""
    rng = random.Random(64)
    values: list[list[int]] = []
    registers = [rng.randrange(1_000_000) for _ in range(CHANNELS)]
    for _ in range(ROWS):
        registers = [value + rng.randrange(900) for value in registers]
        values.append(registers)
    status = [[rng.choice((2, 4, 10)) if rng.random() < 0.002 else 0 for _ in range(CHANNELS)] for _ in range(ROWS)]
    common = [1 if row > 28 * PER_DAY else 0 for row in range(ROWS)]
    return values, status, common


def _table(shape: Geometry) -> bytes:
    """BT64 with the oldest block in the middle, as it stands in a meter."""
    values, status, common = _month()
    raw, _ = encode_table(shape, START, values, status=status, common=common, earlier=11)
    return raw


def table_of_a_month() -> tuple[bytes, Geometry]:
    """The bytes of this group, for others that begin with them."""
    shape = _shape()
    return _table(shape), shape


def _by_hand(raw: bytes, shape: Geometry) -> Callable[[], object]:
    try:
        import numpy as np
    except ImportError as error:
        raise PeerMissing("NumPy is not installed") from error
    interval = np.dtype([("status", "u1", (shape.status_size,)), ("values", "<i4", (CHANNELS,))])
    block = np.dtype([("end", "u1", (5,)), ("simple", "u1", (shape.simple_size,)), ("intervals", interval, (PER_DAY,))])
    steps = (np.arange(PER_DAY) - (PER_DAY - 1)) * shape.interval_s

    def peer() -> object:
        blocks = np.frombuffer(raw, block)
        end = blocks["end"].astype("i8")
        months = ((end[:, 0] + 30) * 12 + end[:, 1] - 1).astype("M8[M]")
        ends = (months.astype("M8[D]") + (end[:, 2] - 1)).astype("M8[s]") + (end[:, 3] * 3600 + end[:, 4] * 60)
        time = (ends[:, None] + steps).reshape(-1)
        values = blocks["intervals"]["values"].reshape(-1, CHANNELS)
        return time, [np.ascontiguousarray(values[:, channel]) for channel in range(CHANNELS)]

    peer()
    return peer


def _dlms_rows() -> tuple[Any, list[tuple[bytes, int, list[int]]]]:
    try:
        from dlms_cosem import dlms_data
    except ImportError as error:
        raise PeerMissing(f"dlms-cosem is not installed ({error.name})") from error
    values, _, common = _month()
    rows = []
    for number, (row, flags) in enumerate(zip(values, common)):
        end = START + dt.timedelta(minutes=15 * (number + 1))
        weekday = end.isoweekday()
        clock = struct.pack(">HBBBBBBBhB", end.year, end.month, end.day, weekday, end.hour, end.minute, 0, 0, 0, 0)
        rows.append((clock, flags, row))
    return dlms_data, rows


def _dlms_encode() -> Callable[[], bytes]:
    data, rows = _dlms_rows()

    def peer() -> bytes:
        out = bytearray(b"\x01\x82" + ROWS.to_bytes(2, "big"))
        for clock, flags, row in rows:
            items = [data.OctetStringData(value=clock), data.UnsignedIntegerData(value=flags)]
            items += [data.DoubleLongUnsignedData(value=value) for value in row]
            out += data.DataStructure(value=items).to_bytes()
        return bytes(out)

    peer()
    return peer


def _dlms_decode() -> Callable[[], object]:
    buffer = _dlms_encode()()
    from dlms_cosem import cosem, enumerations
    from dlms_cosem.parsers import ProfileGenericBufferParser

    def attribute(interface: Any, last: int) -> Any:
        return cosem.CosemAttribute(interface, cosem.Obis(1, 0, last, 8, 0), 2)

    kinds = enumerations.CosemInterface
    columns = [attribute(kinds.CLOCK, 1), attribute(kinds.DATA, 2)]
    columns += [attribute(kinds.REGISTER, 10 + channel) for channel in range(CHANNELS)]
    parser = ProfileGenericBufferParser(columns, 15)

    def peer() -> object:
        return parser.parse_bytes(buffer)

    if len(parser.parse_bytes(buffer)) != ROWS:
        raise PeerMissing("dlms-cosem did not read the buffer as rows")
    return peer


def _encode(shape: Geometry) -> Callable[[], object]:
    try:
        import numpy as np
    except ImportError as error:
        raise PeerMissing("NumPy is not installed") from error
    values, status, common = _month()
    table = np.array(values, "i4").reshape(DAYS, PER_DAY, CHANNELS)
    nibbles = np.array(status, "u1").reshape(DAYS, PER_DAY, CHANNELS)
    flags = np.array(common, "u1").reshape(DAYS, PER_DAY)
    ends = int(START.timestamp()) + 86400 * np.arange(1, DAYS + 1)

    def ours() -> object:
        return encode_blocks(shape, ends, table, status=nibbles, common=flags)

    return ours


def _built(make: Callable[[], Callable[[], object]]) -> Callable[[], object] | PeerMissing:
    try:
        return make()
    except PeerMissing as error:
        return error


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


@group("profile")
def profile(bench: Bench) -> Iterator[Row]:
    """A month of intervals decoded and encoded."""
    shape = _shape()
    raw = _table(shape)

    def decode() -> object:
        return decode_blocks(raw, shape)

    yield bench.compare(
        "30 days × 96 × 8 channels decoded, against NumPy by hand",
        decode,
        _built(lambda: _by_hand(raw, shape)),
        work=ROWS,
        unit="rows/s",
        floor=0.3,
        peer_name="hand-written NumPy, same bytes, time and values only",
        peer_version=_version("numpy"),
    )
    yield bench.compare(
        "30 days × 96 × 8 channels decoded, against dlms-cosem",
        decode,
        _built(_dlms_decode),
        work=ROWS,
        unit="rows/s",
        floor=300.0,
        peer_name="dlms-cosem ProfileGenericBufferParser",
        peer_version=_version("dlms-cosem"),
    )
    ours = _built(lambda: _encode(shape))
    if not isinstance(ours, PeerMissing):
        yield bench.compare(
            "30 days × 96 × 8 channels encoded, against dlms-cosem",
            ours,
            _built(_dlms_encode),
            work=ROWS,
            unit="rows/s",
            floor=100.0,
            peer_name="dlms-cosem DataStructure build and encode",
            peer_version=_version("dlms-cosem"),
        )
