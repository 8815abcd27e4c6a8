"""The columns into which a capture of a control network is read: what they are called, hold and mean. A project choice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from osgp.ports.datagram import Fault
from osgp.wire import OpenEnum
from osgp.wire.errors import DecodeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ABSENT", "COLUMNS", "Carrier", "Column", "CrcState", "LonBatch", "columns_of", "empty_columns"]

ABSENT = -1
"""What a column holds where the packet has no such field, or was not read that far."""


class Carrier(OpenEnum):
    """How a packet travelled."""

    NONE = 0
    CNIP = 1
    LONIP = 2
    LPDU = 3


class CrcState(OpenEnum):
    """What is known of a frame's CRC."""

    NONE = 0
    OK = 1
    BAD = 2


@dataclass(frozen=True, slots=True)
class Column:
    """One column: ``dtype`` as NumPy writes it, all signed; ``always``: never ABSENT."""

    name: str
    dtype: str
    doc: str
    always: bool = False


COLUMNS = (
    Column(
        "frame", "i4", "number of the captured frame, from 1; a CN/IP datagram may hold several packets", always=True
    ),
    Column("time_ns", "i8", "nanoseconds since 1970, UTC", always=True),
    Column("carrier", "i1", "how the packet travelled (Carrier)", always=True),
    Column(
        "error",
        "i1",
        "what is wrong (osgp.ports.datagram.Fault), 0 nothing; columns are filled as far as was read",
        always=True,
    ),
    Column("crc_state", "i1", "the frame's own CRC (CrcState)", always=True),
    Column("cnip_session", "i8", "session of the CN/IP sender"),
    Column("cnip_sequence", "i8", "number of the CN/IP packet in its session"),
    Column("cnip_timestamp_ms", "i8", "when the CN/IP packet was sent, by its sender's clock, ms"),
    Column("priority", "i1", "1: priority packet"),
    Column("alternate_path", "i1", "1: sent on the secondary carrier; LON/IP does not say"),
    Column("delta_backlog", "i1", "packets that this one is expected to cause; LON/IP seldom says"),
    Column("version", "i1", "version of the NPDU: 0 legacy, 2 enhanced mode"),
    Column("pdu_type", "i1", "what is enclosed (osgp.lon.npdu.PduType)"),
    Column("address_format", "i1", "how the destination is said (osgp.lon.npdu.AddressFormat)"),
    Column("domain_length", "i1", "bytes of the domain's identifier: 0, 1, 3, 6"),
    Column("domain", "i8", "the domain's identifier as a number, its first byte most significant"),
    Column("source_subnet", "i2", "1..255; 0 the sender has none"),
    Column("source_node", "i2", "1..127; 0 the sender has none"),
    Column("destination_subnet", "i2", "0: whole domain, or everywhere"),
    Column("destination_node", "i2", "1..127"),
    Column("group", "i2", "destination group, or the group whose message is answered"),
    Column("member", "i2", "the answering member of the group"),
    Column("unique_node_id", "i8", "destination by its six bytes, as a number, the first most significant"),
    Column("authenticated", "i1", "1: the sender will answer a challenge (TPDU, SPDU)"),
    Column("type", "i1", "type of the TPDU, SPDU or AuthPDU"),
    Column("transaction", "i2", "transaction number, 12 bits in enhanced mode"),
    Column("member_list_length", "i1", "bytes of the member list of a reminder"),
    Column("authentication_format", "i1", "AuthPDU: address format of the message that is being authenticated"),
    Column("apdu_offset", "i8", "where the APDU begins in the file"),
    Column("apdu_length", "i4", "bytes of the APDU; 0 where there is none", always=True),
    Column("apdu_code", "i2", "first byte of the APDU"),
    Column("nv_direction", "i1", "network variable: 0 update or answer, 1 poll"),
    Column("nv_selector", "i2", "network variable: selector"),
)
"""All columns, in the order of a batch."""


def columns_of(dtype: str) -> tuple[str, ...]:
    """The names of the columns of one type: their order is that of the kernel's tables."""
    return tuple(column.name for column in COLUMNS if column.dtype == dtype)


def empty_columns(rows: int) -> dict[str, NDArray[Any]]:
    """Columns of that many rows, contents undefined."""
    return {column.name: np.empty(rows, column.dtype) for column in COLUMNS}


class LonBatch:
    """Packets of a capture in columns: NumPy arrays of one length, by name (``batch["priority"]``); see ``COLUMNS``.

    Every captured frame has at least one row, so that other traffic, fragments and damaged frames can be counted: ``lon`` selects
    those that are sound packets of a control network. ``data``: the bytes of the capture, to which ``apdu_offset`` points.
    ``problem``: why the capture could not be read to its end (Truncated if it is still being written), or None.
    """

    def __init__(
        self, columns: dict[str, NDArray[Any]], data: NDArray[np.uint8], problem: DecodeError | None = None
    ) -> None:
        self.columns = columns
        self.data = data
        self.problem = problem

    def __len__(self) -> int:
        return len(self.columns["frame"])

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    @property
    def lon(self) -> NDArray[np.bool_]:
        """Which rows are sound packets of a control network (a mask)."""
        mask: NDArray[np.bool_] = (self.columns["carrier"] != Carrier.NONE) & (self.columns["error"] == Fault.OK)
        return mask

    def select(self, rows: Any) -> LonBatch:
        """The batch of these rows: a mask or indexes, as NumPy takes them."""
        return LonBatch({name: column[rows] for name, column in self.columns.items()}, self.data, self.problem)

    def faults(self) -> dict[Fault, int]:
        """How many rows have which fault (Fault.OK: none)."""
        counts = np.bincount(self.columns["error"]) if len(self) else np.zeros(0, np.int64)
        return {Fault(code): int(count) for code, count in enumerate(counts) if count}

    def apdu(self, row: int) -> bytes:
        """The APDU of one row; no bytes where there is none."""
        start, length = int(self.columns["apdu_offset"][row]), int(self.columns["apdu_length"][row])
        return self.data[start : start + length].tobytes() if length > 0 else b""

    def apdus(self, rows: Sequence[int] | NDArray[Any] | None = None) -> list[bytes]:
        """The APDUs of these rows, or of all."""
        return [self.apdu(int(row)) for row in (range(len(self)) if rows is None else rows)]

    def to_arrow(self) -> Any:
        """As a ``pyarrow.Table``: what is absent is null, times are timestamps. Raises ImportError without pyarrow."""
        import pyarrow as pa

        arrays, fields = [], []
        for column in COLUMNS:
            values = self.columns[column.name]
            if column.name == "time_ns":
                array = pa.array(values.view("M8[ns]"))
            else:
                array = pa.array(values, mask=None if column.always else values == ABSENT)
            arrays.append(array)
            fields.append(pa.field(column.name, array.type, metadata={"doc": column.doc}))
        return pa.Table.from_arrays(arrays, schema=pa.schema(fields))
