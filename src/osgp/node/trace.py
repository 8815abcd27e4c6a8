"""The trace: one record for what passed a joint, shared by tests, analyser, live pages and bug reports.

JSON, one record per line: ``{"time", "node", "floor", "direction", "bytes" (hex), "explained"}``. Keys and passwords
never get in: everything that keeps records (`TraceWriter`, `TraceRing`) redacts first, and there is no way around it.

What is hidden: the password of C12.18's security service 51 with the packet's CRC (from which the password could be
tried out), what is written to tables that hold keys (BT42, BT45, ET13), and fields of ``explained`` with such names.
The form is a project choice; the packet and frame layouts are those of ``osgp.c1218`` and ``osgp.mep``.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, TextIO, cast

from osgp.wire.errors import BadValue

__all__ = ["Direction", "Recorder", "Redactor", "TraceRecord", "TraceRing", "TraceWriter", "read_trace", "tap"]

Direction = Literal["in", "out"]

_HIDDEN = 0x2A
_HIDDEN_TEXT = "(hidden)"
_KEY_TABLES = {42, 45, 2048 + 13}
_SECRET_NAME = re.compile(r"(?:^|[_.\]\s])(?:password|passwd|passphrase|secret|psk|key|mbk|mak|omak)s?$", re.IGNORECASE)
_START, _SECURITY, _WRITES = 0xEE, 0x51, (0x40, 0x4F)
_LONGEST_FRAME = 476


@dataclass(frozen=True, slots=True)
class TraceRecord:
    """``time``: seconds, of the clock that the maker was given (UTC since 1970 live, the simulation's own otherwise).
    ``node``: who saw it. ``floor``: the joint (``line``, ``c1218``, ``mep``, ``tables`` …). ``direction``: as that node
    sees it. ``data``: the bytes. ``explained``: what they mean, as JSON values, or None.
    """

    time: float
    node: str
    floor: str
    direction: Direction
    data: bytes
    explained: Any = None

    def to_json(self) -> dict[str, Any]:
        """As JSON values, in the order of the form. Redacts nothing: that is the keeper's duty."""
        return {
            "time": self.time,
            "node": self.node,
            "floor": self.floor,
            "direction": self.direction,
            "bytes": self.data.hex(),
            "explained": self.explained,
        }

    @classmethod
    def from_json(cls, values: Any) -> TraceRecord:
        """The inverse of `to_json`. BadValue for anything else."""
        try:
            direction = values["direction"]
            if direction not in ("in", "out"):
                raise ValueError(f"direction {direction!r}")
            return cls(
                float(values["time"]),
                str(values["node"]),
                str(values["floor"]),
                cast(Direction, direction),
                bytes.fromhex(values["bytes"]),
                values.get("explained"),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadValue(f"not a trace record: {error!r}", floor="node", struct="TraceRecord") from error


class Recorder(Protocol):
    """Whatever takes records."""

    def record(self, record: TraceRecord) -> None: ...


class _Mask:
    """Hides secrets in one direction of one byte stream, however it is cut into records.

    It looks for headers at every byte rather than follow the packets, so that garbage on the line cannot lead it
    astray: better to hide too much than to miss a password.
    """

    __slots__ = ("_hide", "_in_secret", "_window")

    def __init__(self) -> None:
        self._window = b""
        self._hide = 0
        self._in_secret = False

    def apply(self, data: bytes) -> bytes:
        if len(data) == 21 and data[0] == _SECURITY and not self._hide:  # the bare service message
            return data[:1] + bytes([_HIDDEN]) * 20
        out = bytearray()
        for byte in data:
            out.append(_HIDDEN if self._hide else byte)
            self._window = (self._window + bytes([byte]))[-9:]
            # Headers count in hidden bytes, too: what was taken for a secret may have been noise before a real one.
            self._hide = max(self._hide - 1, self._secret_after(self._window), 0)
        return bytes(out)

    def _secret_after(self, seen: bytes) -> int:
        """How many bytes after ``seen`` (its end is here) are secret, with the CRC."""
        for back in (6, 7, 9):  # the header, and the service code, and the table number have passed
            if len(seen) < back or seen[-back] != _START or seen[2 - back] & 0x1F:
                continue
            packet = seen[len(seen) - back :]
            first = packet[2] & 0xC0 != 0x80
            length = int.from_bytes(packet[4:6], "big")
            if back == 6:
                if first:
                    self._in_secret = self._in_secret and self._hide > 0
                elif self._in_secret:
                    return length + 2
            elif first and self._is_secret(packet, length):
                self._in_secret = packet[3] > 0
                return length - (back - 6) + 2
        if len(seen) >= 5 and seen[-3] in _WRITES and int.from_bytes(seen[-2:], "big") in _KEY_TABLES:
            length = int.from_bytes(seen[-5:-3], "big")
            if 3 < length <= _LONGEST_FRAME:  # an MEP frame: length, code, table
                return length - 3
        return 0

    @staticmethod
    def _is_secret(packet: bytes, length: int) -> bool:
        code = packet[6]
        if len(packet) == 7:  # a write that is cut before its table number may be to any table
            return (code == _SECURITY and length >= 1) or (code in _WRITES and 1 <= length < 3)
        return code in _WRITES and length >= 3 and int.from_bytes(packet[7:9], "big") in _KEY_TABLES


class Redactor:
    """Takes secrets out of records. Keeps state for each (node, floor, direction), since a record may end
    mid-packet.
    """

    def __init__(self) -> None:
        self._masks: dict[tuple[str, str, str], _Mask] = {}

    def redact(self, record: TraceRecord) -> TraceRecord:
        """The record without keys and passwords; the same object when there are none."""
        mask = self._masks.setdefault((record.node, record.floor, record.direction), _Mask())
        data = mask.apply(record.data)
        explained = _without_secrets(record.explained)
        if data == record.data and explained == record.explained:
            return record
        return replace(record, data=data, explained=explained)


def _is_secret_name(name: object) -> bool:
    return isinstance(name, str) and _SECRET_NAME.search(name) is not None


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        if any(_is_secret_name(value.get(label)) for label in ("name", "field", "path")):
            kept = ("name", "field", "path", "type", "offset", "bit_offset", "size", "unit", "doc")
            return {key: inner if key in kept else _HIDDEN_TEXT for key, inner in value.items()}
        return {
            key: _HIDDEN_TEXT if _is_secret_name(key) and inner is not None else _without_secrets(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_without_secrets(inner) for inner in value]
    return value


class TraceWriter:
    """Writes records to a text stream as JSON lines, redacted; whoever opened the stream closes it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._redactor = Redactor()

    def record(self, record: TraceRecord) -> None:
        """Write one record. Raises what the stream raises, TypeError when ``explained`` is not made of JSON values."""
        text = json.dumps(self._redactor.redact(record).to_json(), ensure_ascii=False, separators=(",", ":"))
        self._stream.write(text + "\n")


class TraceRing:
    """Keeps the newest ``capacity`` records in memory, redacted."""

    def __init__(self, capacity: int = 1000) -> None:
        self._records: deque[TraceRecord] = deque(maxlen=capacity)
        self._redactor = Redactor()

    def record(self, record: TraceRecord) -> None:
        """Keep one record; the oldest falls out when there is no room."""
        self._records.append(self._redactor.redact(record))

    def __iter__(self) -> Iterator[TraceRecord]:
        return iter(list(self._records))

    def __len__(self) -> int:
        return len(self._records)


def read_trace(lines: Iterable[str]) -> Iterator[TraceRecord]:
    """The records of a JSON-lines stream (an open file, say); empty lines are passed over.

    Raises `BadValue` with the line's number for a line that is not a record.
    """
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except ValueError as error:
            raise BadValue(f"line {number} is not JSON", floor="node", struct="TraceRecord") from error
        try:
            yield TraceRecord.from_json(values)
        except BadValue as error:
            raise BadValue(f"line {number}: {error.message}", floor="node", struct="TraceRecord") from error


def tap(recorder: Recorder, node: str, floor: str = "line") -> Callable[[float, Direction, bytes], None]:
    """A callback for a driver: makes each piece of bytes a record."""

    def taken(time: float, direction: Direction, data: bytes) -> None:
        recorder.record(TraceRecord(time, node, floor, direction, data))

    return taken
