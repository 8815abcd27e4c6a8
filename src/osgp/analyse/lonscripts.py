"""Which script tells a layer of a frame: tables for ``lonwrite``, filled as frames bring what is not in them yet.

A script is taken for all bytes of which the same few decide the form of their structure (``deciding_bytes``): of an NPDU its control
byte and the selector of its source node, of what it encloses the first byte, of a message its code and at most one byte more. What
more decides, may hide a key, carries another message or is no plain data packet has no script, and is told by ``lon_capture``.
A project choice.
"""

from __future__ import annotations

from functools import cache
from itertools import accumulate
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osgp.analyse.lon import layout_for
from osgp.analyse.lontables import crc_tables, field
from osgp.analyse.lonwrite import ALL, FULL, REGISTERS, write_frames
from osgp.lon.authpdu import AuthPdu
from osgp.lon.cnip import CnIpHeader, CnIpPacket, lpdu_in
from osgp.lon.commands import is_command
from osgp.lon.lpdu import Lpdu, LpduWithCrc
from osgp.lon.npdu import ENHANCED, LEGACY, NetworkControl, NodeByte, Npdu, PduType
from osgp.lon.redact import may_hide
from osgp.lon.tpdu import VERSIONS, Spdu, SpduType, Tpdu, TpduType
from osgp.wire import Layout, layout_of
from osgp.wire.errors import DecodeError
from osgp.wire.plan import Place
from osgp.wire.script import Act, Script, Step, Unfit, deciding_bytes, script_of, variable_number
from osgp.wire.special import MISFITS, Form

__all__ = ["Scripts", "scripts"]

_UNKNOWN, _NONE = -1, -2
_STEP = 10
"""Numbers of a step in the table: what it does, two places of two numbers each, the rest its own."""
_MOST_HEADS = 16
"""Beginnings of CN/IP packets that are kept; others are left to the slow way."""
_TEXT = 1 << 18
"""Bytes of text that are written at a time; they stay in the processor's cache."""
_VARIABLES = 2
"""The first variable among the places of a script."""
_PADDING = bytes(64)
"""Behind bytes that may be cut short, for the question what decides about them."""
_PDUS: dict[int, Any] = {PduType.TPDU: Tpdu, PduType.SPDU: Spdu, PduType.AUTHPDU: AuthPdu}
_SILENT = {PduType.TPDU: (TpduType.ACK, TpduType.REMINDER), PduType.SPDU: (SpduType.REMINDER,)}
"""Types without a message."""
_FIRST = layout_of(CnIpHeader).span("version").offset
_LAST = layout_of(CnIpHeader).span("vendor").offset
_NODE = layout_of(Npdu).span("source_node").offset


class _Growing:
    """An array that is added to at its end."""

    def __init__(self, kind: Any, *width: int) -> None:
        self.array: NDArray[Any] = np.zeros((1024, *width), kind)
        self.count = 0

    def add(self, rows: Any) -> int:
        """Where they begin."""
        start, end = self.count, self.count + len(rows)
        while end > len(self.array):
            self.array = np.concatenate((self.array, np.zeros_like(self.array)))
        if end > start:
            self.array[start:end] = rows
        self.count = end
        return start


@cache
def scripts() -> Scripts:
    """Those of this process."""
    return Scripts()


class Scripts:
    """All scripts that were needed so far, and which layer takes which."""

    def __init__(self) -> None:
        self.steps, self.words, self.meanings = _Growing(np.int64, _STEP), _Growing(np.uint8), _Growing(np.int64)
        self.scripts = _Growing(np.int64, 6)
        self.known: dict[tuple[Form, str], int] = {}
        self.kept: dict[str, int] = {}
        self.tables: dict[tuple[str, ...], int] = {}
        self.heads = np.full((_MOST_HEADS + 1, 2), -1, np.int64)
        self.heads[_MOST_HEADS, 0] = 0
        self.npdus = np.full(1 << 9, _UNKNOWN, np.int32)
        self.pdus = np.full(1 << 12, _UNKNOWN, np.int32)
        self.apdus = np.full(1 << 10, _UNKNOWN, np.int32)
        self.seconds = np.full((1 << 9, 257), _UNKNOWN, np.int32)
        self.second_rows = 0
        self.silent = np.zeros((4, 8), np.bool_)
        for kind, types in _SILENT.items():
            self.silent[kind, list(types)] = True
        self.links = np.array([self._link(Lpdu, b"\0\0"), self._link(LpduWithCrc, bytes(4))], np.int32)
        self.crcs = crc_tables()
        self.out = np.empty(_TEXT, np.uint8)
        self.lock = Lock()

    def texts(self, data: Any, row: int, wanted: Any, starts: Any, ends: Any, mode: int) -> list[str | None]:
        """The texts of some rows from ``row`` on, one at least; None for one that is not wanted or has no script.

        ``mode``: one of ``CRC_NONE``, ``CRC_MUST``, ``CRC_AUTO``.
        """
        with self.lock:
            stops = np.empty(len(starts), np.int64)
            end = self._write(data, row, wanted, starts, ends, mode, stops)
            text, at = self.out.data, 0
            found: list[str | None] = []
            for stop in stops[row:end].tolist():
                found.append(None if stop < 0 else str(text[at:stop], "ascii"))
                at = max(at, stop)
            return found

    def _write(self, data: Any, first: int, wanted: Any, starts: Any, ends: Any, mode: int, stops: Any) -> int:
        """Write rows from the first on, as many as there is room for, learning what they ask for; the row behind them."""
        row, at = first, 0
        while True:
            row, why, at, table, index, start, end = write_frames(
                data, row, len(starts), wanted, starts, ends, mode, self.crcs, self.heads, self.links, self.npdus,
                self.pdus, self.silent, self.apdus, self.seconds, self.scripts.array, self.steps.array, self.words.array,
                self.meanings.array, self.out, at, stops,
            )  # fmt: skip
            if why == ALL or (why == FULL and row > first):
                return int(row)
            if why == FULL:
                self.out = np.empty(2 * len(self.out), np.uint8)
            else:
                self.learn(table, index, data[start:end].tobytes())

    # -- learning

    def learn(self, table: int, index: int, raw: bytes) -> None:
        """Fill the entry of a table that these bytes asked for."""
        match table:
            case 0:
                self._learn_head(index, raw)
            case 2:
                masks = {0: 0xFF, _NODE: field(NodeByte, "selector").mask}
                known = NetworkControl(raw[0]).version in (LEGACY, ENHANCED)
                self.npdus[index] = self.number(layout_of(Npdu), raw, masks, "pdu") if known else _NONE
            case 3:
                kind = index >> 8 & 3
                layout: Layout[Any] = layout_of(_PDUS[PduType(kind)], VERSIONS[index >> 10])
                carrier = "" if kind == PduType.AUTHPDU else "apdu"
                self.pdus[index] = self.number(layout, raw, {0: 0xFF}, carrier)
            case 4:
                self.apdus[index] = self._message(raw, bool(index >> 8 & 1), not index >> 9)
            case _:
                self._learn_second(index, raw)

    def _link(self, struct: Any, raw: bytes) -> int:
        return self.number(layout_of(struct), raw, {}, "npdu")

    def _learn_head(self, first: int, raw: bytes) -> None:
        free = int(np.argmax(self.heads[:, 0] < 0)) if (self.heads[:, 0] < 0).any() else _MOST_HEADS
        if free >= _MOST_HEADS:
            return
        number = _NONE
        layout = layout_of(CnIpPacket)
        try:
            packet = layout.decode(raw)
            lpdu_in(packet, crc=False)
        except DecodeError:
            pass
        else:
            if not packet.extension and packet.digest is None and not packet._rest:
                number = self.number(layout, raw, dict.fromkeys(range(_FIRST, _LAST), 0xFF), "data", filling="data")
        self.heads[free] = first, number

    def _message(self, raw: bytes, response: bool, more: bool) -> int:
        """The script of a message by its code, or -3 and less for the rows of ``seconds``. ``more``: its size is not two bytes."""
        head = raw[:1]
        seconds = range(256) if not response and is_command(raw[0]) else range(1)
        longer = [head + bytes((second,)) + bytes(more) for second in seconds]
        structs = {layout_for(message, response, b"") for message in (*longer, *([head] if more else []))}
        hides = may_hide(head, response)
        if len(structs) > 1 or (hides and not may_hide(head + b"\0", response)):
            return self._second(1)
        layout = layout_of(structs.pop())
        if hides:
            return _NONE
        try:
            _, looked = deciding_bytes(layout.special, raw + _PADDING)
        except (Unfit, *MISFITS):
            return _NONE
        deciding = [at for at in looked if at]
        if len(deciding) > 1:
            return _NONE
        return self._second(deciding[0]) if deciding else self.number(layout, raw, {0: 0xFF})

    def _second(self, place: int) -> int:
        """A new row of ``seconds``."""
        row = self.second_rows
        if row >= len(self.seconds):
            return _NONE
        self.second_rows += 1
        self.seconds[row, 0] = place
        return -3 - row

    def _learn_second(self, row: int, raw: bytes) -> None:
        place = int(self.seconds[row, 0])
        (index,) = np.nonzero(self.apdus == -3 - row)[0]
        response, more = bool(index >> 8 & 1), not index >> 9
        if place == 1 and may_hide(raw[:2], response):
            number = _NONE
        else:
            layout = layout_of(layout_for(raw[:2] + bytes(more), response, b""))
            number = self.number(layout, raw, {0: 0xFF, place: 0xFF})
        self.seconds[row, 1 + raw[place]] = number

    def number(
        self, layout: Layout[Any], raw: bytes, masks: dict[int, int], carrier: str = "", *, filling: str = ""
    ) -> int:
        """The script for bytes that agree with these in ``masks``, bits by offset; _NONE where more decides, or none can say it."""
        try:
            form, looked = deciding_bytes(layout.special, raw + _PADDING)
        except (Unfit, *MISFITS):
            return _NONE
        if any(bits & ~masks.get(place, 0) for place, bits in looked.items()):
            return _NONE
        key = (form, carrier)
        if key not in self.known:
            try:
                self.known[key] = self._add(script_of(form, carrier, filling=filling))
            except Unfit:
                self.known[key] = _NONE
        return self.known[key]

    def _add(self, script: Script) -> int:
        places = [place for step in (*script.locate, *script.write) for place in (step.a, step.b)]
        if any(_register(place) >= REGISTERS for place in places):
            return _NONE
        done = Step(Act.DONE)
        located = self.steps.add([self._row(step) for step in (*script.locate, done)])
        written = self.steps.add([self._row(step) for step in script.write])
        carrier = script.carrier[0] if script.carrier else Place()
        end = (-1, 0) if script.end == Place("n") else (_register(script.end), script.end.shift)
        return self.scripts.add([(located, written, _register(carrier), carrier.shift, *end)])

    def _row(self, step: Step) -> list[int]:
        numbers = list(step.numbers)
        if step.act == Act.WORDS:
            numbers = [self._kept(step.words), len(step.words)]
        elif step.act in (Act.COUNTED, Act.MEASURED):
            numbers[0] += _VARIABLES
        elif step.act == Act.MEANING:
            numbers.append(self._meanings(step.table))
        row = [int(step.act), _register(step.a), step.a.shift, _register(step.b), step.b.shift, *numbers]
        return row + [0] * (_STEP - len(row))

    def _kept(self, words: str) -> int:
        """Where words stand."""
        if words not in self.kept:
            self.kept[words] = self.words.add(np.frombuffer(words.encode("ascii"), np.uint8))
        return self.kept[words]

    def _meanings(self, table: tuple[str, ...]) -> int:
        """Where the bounds of the entries of a table stand, which lie one behind the other."""
        if table not in self.tables:
            start = self._kept("".join(table))
            self.tables[table] = self.meanings.add(list(accumulate(map(len, table), initial=start)))
        return self.tables[table]


def _register(place: Place) -> int:
    return {"": 0, "n": 1}[place.base] if place.base in ("", "n") else _VARIABLES + variable_number(place)
