"""A whole capture of a control network into columns: NumPy arrays, or Arrow.

``read_columns("line.pcap")["source_subnet"]``. Compiled code reads some millions of packets a second, CRCs tested; without Numba the
declared structures do the same slowly. Columns: ``osgp.analyse.loncolumns.COLUMNS``. A project choice.
"""

from __future__ import annotations

import importlib.util
import io
import mmap
import os
import stat
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from osgp.analyse.loncolumns import COLUMNS, LonBatch, columns_of, empty_columns
from osgp.analyse.lonplain import plain_columns
from osgp.analyse.lontables import crc_tables, lonip_table, npdu_table, pdu_table
from osgp.ports.pcap import LATEST_NS, CaptureFrame, Interface, PcapngReader, PcapReader, Source, reader_of
from osgp.wire.errors import ConfigError, DecodeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LonBatch", "read_columns"]

CHUNK = 8192
"""Frames that go through all steps before the next ones do: what they share stays in the second cache."""
_SPARE = 4096
"""Rows beyond one for each frame: more than a datagram can hold packets."""
_DTYPES = ("i1", "i2", "i4", "i8")


def read_columns(target: Path | str | bytes, *, crc: bool | None = None, compiled: bool | None = None) -> LonBatch:
    """The packets of a capture file (pcap or pcapng, a path or its bytes) in columns.

    ``crc``: whether CN/IP packets end with the frame's CRC (None: taken for one if it is right). ``compiled``: True or False forces
    the compiled or the plain reader; both give the same. A capture that ends within a record, or cannot be followed to its end, gives
    what is before, and ``LonBatch.problem``. Raises UnknownCode for what is no capture, Truncated for one without a whole header,
    ConfigError for a file that cannot be read, ImportError if ``compiled`` and Numba is not installed.
    """
    data, stream = _opened(target)
    reader = reader_of(Source(stream))
    if compiled is None:
        compiled = can_compile()
    columns, problem = _compiled(data, reader, crc) if compiled else _plain(reader, crc)
    return LonBatch(columns, data, problem)


Found = tuple[dict[str, "NDArray[Any]"], DecodeError | None]
Reader = PcapReader | PcapngReader


@cache
def can_compile() -> bool:
    """Whether Numba is installed."""
    return importlib.util.find_spec("numba") is not None


def _opened(target: Path | str | bytes) -> tuple[NDArray[np.uint8], Any]:
    """The bytes, and a stream over them. A file is mapped, not copied: it must not be made shorter while the batch is in use."""
    if isinstance(target, bytes):
        return np.frombuffer(target, np.uint8), io.BytesIO(target)
    try:
        with open(target, "rb") as file:
            if not (stat.S_ISREG(os.fstat(file.fileno()).st_mode) and os.fstat(file.fileno()).st_size):
                return _opened(file.read())
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise ConfigError(f"cannot read {target}: {error.strerror}") from error
    return np.frombuffer(mapped, np.uint8), mapped


def _plain(reader: Reader, crc: bool | None) -> Found:
    problem: list[DecodeError] = []

    def frames() -> Iterator[CaptureFrame]:
        try:
            yield from reader
        except DecodeError as error:
            problem.append(error)

    return plain_columns(frames(), crc), problem[0] if problem else None


class _Chunk:
    """Arrays that the steps share, for one chunk of frames after the other."""

    def __init__(self) -> None:
        def array(dtype: str) -> NDArray[Any]:
            return np.empty(CHUNK, dtype)

        self.offsets, self.captured, self.original, self.times = (array("i8") for _ in range(4))
        self.links, self.carriers, self.faults = array("i4"), array("i1"), array("i1")
        self.starts, self.ends, self.sources, self.destinations = (array("i8") for _ in range(4))
        self.stamps, self.timed, self.interfaces = array("u8"), array("?"), array("i4")


def _compiled(data: NDArray[np.uint8], reader: Reader, crc: bool | None) -> Found:
    from osgp.analyse import lonkernels
    from osgp.analyse.lonlocate import locate

    mode = lonkernels.CRC_AUTO if crc is None else lonkernels.CRC_MUST if crc else lonkernels.CRC_NONE
    tables = lookup_tables()
    chunk = _Chunk()
    out: list[_Table] = []
    frames = 0
    problem = None
    chunks = _records(reader, data, chunk) if isinstance(reader, PcapReader) else _blocks(reader, data, chunk)
    try:
        for count, place in chunks:
            located = (
                chunk.links,
                chunk.carriers,
                chunk.faults,
                chunk.starts,
                chunk.ends,
                chunk.sources,
                chunk.destinations,
            )
            locate(data, count, chunk.offsets, chunk.captured, chunk.original, *located)
            if not out:
                expected = count if place == len(data) else len(data) * count // place + count
                out.append(_Table(expected))
            done = 0
            while done < count:
                table = out[-1]
                done, table.rows = lonkernels.decode(
                    data, done, count, frames + 1, chunk.times, *located, mode, *tables, table.rows, *table.by_type
                )
                if done < count:
                    out.append(_Table(table.rows))
            frames += count
    except DecodeError as error:
        problem = error
    return _joined(out), problem


@cache
def lookup_tables() -> tuple[NDArray[Any], ...]:
    """The tables that the kernels look into (``lontables``)."""
    return npdu_table(), pdu_table(), lonip_table(), crc_tables()


class _Table:
    """Room for rows of all columns, those of one type in one array of two dimensions."""

    def __init__(self, rows: int) -> None:
        # Columns that lie a multiple of the page size apart would compete for the same places of the first cache.
        self.capacity = (rows + _SPARE) // 4096 * 4096 + 4096 + 64
        self.by_type = [np.empty((len(columns_of(dtype)), self.capacity), dtype) for dtype in _DTYPES]
        self.rows = 0

    def column(self, name: str, dtype: str) -> NDArray[Any]:
        """The rows of one column that are filled."""
        found: NDArray[Any] = self.by_type[_DTYPES.index(dtype)][columns_of(dtype).index(name), : self.rows]
        return found


def _joined(tables: list[_Table]) -> dict[str, NDArray[Any]]:
    if not tables:
        return empty_columns(0)
    parts = {column.name: [table.column(column.name, column.dtype) for table in tables] for column in COLUMNS}
    return {name: part[0] if len(part) == 1 else np.concatenate(part) for name, part in parts.items()}


def _records(reader: PcapReader, data: NDArray[np.uint8], chunk: _Chunk) -> Iterator[tuple[int, int]]:
    """Fills the chunk from a pcap file: (frames, where the next begins) again and again. Raises DecodeError at the end."""
    from osgp.analyse.lonindex import FULL, STOPPED, walk_records

    chunk.links[:] = reader.link_type
    place, why = reader.source.offset, FULL
    while why == FULL:
        count, place, why = walk_records(
            data,
            place,
            reader.order == "little",
            reader.unit_ns,
            chunk.offsets,
            chunk.captured,
            chunk.original,
            chunk.times,
        )
        if count:
            yield count, place
    if why == STOPPED:
        reader.seek(place)
        reader.record()  # says what is wrong


def _blocks(reader: PcapngReader, data: NDArray[np.uint8], chunk: _Chunk) -> Iterator[tuple[int, int]]:
    """As ``_records``, from a pcapng file. Sections and interfaces are read by the reader, frames by the kernel."""
    from osgp.analyse.lonindex import END, STOPPED, walk_blocks

    interfaces: list[Interface] = []
    links, snap_lengths = np.zeros(16, np.int32), np.zeros(16, np.int64)
    place = count = 0
    why = STOPPED
    problem = None
    while why != END and problem is None:
        if why == STOPPED:
            reader.seek(place)
            try:
                reader.block()
            except DecodeError as error:
                problem = error
            place = reader.source.offset
            if len(interfaces) < reader.earlier + len(reader.interfaces):
                interfaces.append(reader.interfaces[-1])
                if len(interfaces) > len(links):
                    links, snap_lengths = np.resize(links, 2 * len(links)), np.resize(snap_lengths, 2 * len(links))
                links[len(interfaces) - 1] = interfaces[-1].link_type
                snap_lengths[len(interfaces) - 1] = interfaces[-1].snap_length
        if problem is None:
            known = len(reader.interfaces)
            count, place, why = walk_blocks(
                data,
                place,
                reader.order == "little",
                reader.earlier,
                known,
                snap_lengths,
                count,
                chunk.offsets,
                chunk.captured,
                chunk.original,
                chunk.stamps,
                chunk.timed,
                chunk.interfaces,
            )
        if count and (why != STOPPED or problem is not None):
            chunk.links[:count] = links[chunk.interfaces[:count]]
            _times(chunk, count, interfaces)
            yield count, place
            count = 0
    if problem is not None:
        raise problem


def _times(chunk: _Chunk, count: int, interfaces: list[Interface]) -> None:
    """Times in nanoseconds: in one step where a unit is a whole number of them, one by one elsewhere."""
    stamps, numbers = chunk.stamps[:count], chunk.interfaces[:count]
    times = chunk.times[:count]
    for number in np.unique(numbers):
        interface = interfaces[number]
        rows = np.flatnonzero(numbers == number)
        unit_ns, rest = divmod(10**9, interface.ticks)
        if not rest and not interface.offset_s:
            latest = np.uint64(LATEST_NS // unit_ns)
            fits = stamps[rows] <= latest
            times[rows] = np.where(fits, stamps[rows] * np.uint64(unit_ns), np.uint64(LATEST_NS)).astype(np.int64)
        else:
            times[rows] = [interface.time_ns(int(stamp)) for stamp in stamps[rows]]
    times[~chunk.timed[:count]] = 0
