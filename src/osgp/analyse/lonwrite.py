"""The JSON text of explained frames written in compiled code: locates the layers of CN/IP packets and runs their scripts.

Import this module only at need, as ``lonkernels``, whose rules hold. What it must give is said by ``lon_capture.cnip_json``; the
scripts come from ``osgp.wire.script``, the tables that say which script a layer takes from ``lonscripts``. Whatever is damaged,
hides a key or has no script is left to the caller. A project choice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np

from osgp.analyse.lonkernels import CRC_AUTO, CRC_MUST, CRC_NONE, crc_fits
from osgp.analyse.lontables import field, offset_of
from osgp.lon import cnip
from osgp.lon.crc import CRC_SIZE, RESIDUE
from osgp.lon.npdu import NetworkControl, NodeByte, Npdu, PduType
from osgp.lon.tpdu import SpduHeader, SpduType, TpduHeader
from osgp.wire.script import Act

__all__ = ["ALL", "FULL", "LEARN", "LAYERS", "REGISTERS", "write_frames"]

ALL, FULL, LEARN = 0, 1, 2
"""Why the writing stopped: all rows are done, the text is full, or a table does not know something."""
LAYERS, REGISTERS = 5, 8
"""Layers of a frame; places that a script knows: start, end, variables."""
_HEADROOM = 32
"""Bytes that the text of a number never exceeds."""

_Function = TypeVar("_Function", bound=Callable[..., Any])
# Numba's types are only partly declared: taken through Any, so that strict checks do not depend on its version.
_numba: Any = numba
njit: Callable[..., Callable[[_Function], _Function]] = _numba.njit
int64: Any = np.int64
uint8: Any = np.uint8
uint64: Any = np.uint64


@njit(cache=True)
def _integer(data: Any, start: Any, end: Any, little: Any) -> Any:
    value = int64(0)
    if little:
        for place in range(end - 1, start - 1, -1):
            value = value << 8 | int64(data[place])
    else:
        for place in range(start, end):
            value = value << 8 | int64(data[place])
    return value


@njit(cache=True)
def _decimal(number: Any, out: Any, at: Any) -> Any:
    """Writes a number that is not negative; where its text ends."""
    value, ten = uint64(number), uint64(10)
    digits, rest = uint64(1), value
    while rest >= ten:
        rest //= ten
        digits += uint64(1)
    place = at + digits
    for _ in range(digits):
        place -= uint64(1)
        above = value // ten
        out[place] = uint8(uint64(48) + value - ten * above)
        value = above
    return at + digits


@njit(cache=True)
def _copy(words: Any, start: Any, size: Any, out: Any, at: Any) -> Any:
    """Writes some of the words; where they end. Unsigned places, so that the compiler need not ask for negative ones."""
    begin, count = uint64(start), uint64(size)
    for n in range(count):
        out[at + n] = words[begin + n]
    return at + count


def _runs() -> tuple[Callable[..., Any], Callable[..., Any]]:
    (a_words, a_offset, a_size, a_digits, a_shown, a_number, a_meaning, a_capitals, a_any, a_if_carried, a_carried, a_done,
     a_reach, a_more, a_exact, a_counted, _, a_from) = (int(act) for act in Act)  # fmt: skip
    layers, headroom = LAYERS, _HEADROOM
    small, capital = (np.frombuffer(letters, np.uint8).copy() for letters in (b"0123456789abcdef", b"0123456789ABCDEF"))
    space, dash = np.uint8(ord(" ")), np.uint8(ord("-"))

    @njit(cache=True, nogil=True)
    def located(data: Any, steps: Any, at: Any, places: Any) -> Any:
        """Whether the bytes between the first two of the places are as a script wants them; the other places are found."""
        origin = places[0]
        while True:
            step = steps[at]
            act = step[0]
            a, b = places[step[1]] + step[2], places[step[3]] + step[4]
            if act == a_done:
                return True
            if act == a_reach:
                if places[1] < a:
                    return False
            elif act == a_more:
                if places[1] <= a:
                    return False
            elif act == a_exact:
                if places[1] != a:
                    return False
            elif act == a_from:
                origin = a
            elif b > places[1]:
                return False
            elif act == a_counted:
                count = _integer(data, a, b, step[8])
                if count < step[6] or count > step[7] or b + count > places[1]:
                    return False
                places[step[5]] = b + count
            else:
                stop = origin + (_integer(data, a, b, step[8]) >> step[6] & step[7])
                if stop > places[1]:
                    if not step[9]:
                        return False
                    stop = places[1]
                places[step[5]] = stop
            at += 1

    @njit(cache=True, nogil=True)
    def run(
        data: Any, steps: Any, words: Any, meanings: Any, begins: Any, places: Any, count: Any, out: Any, at: Any
    ) -> Any:
        """Writes the text of ``count`` layers, of which each script begins at ``begins``: where it ends, -1 if it has no room."""
        returns = np.empty(layers, np.int64)
        layer, pc = 0, begins[0]
        frame = places[0, 0]
        limit = int64(out.shape[0] - headroom)
        to = uint64(at)
        one, four, low = uint64(1), uint8(4), uint8(15)
        while True:
            act = steps[pc, 0]
            if act == a_words:
                if int64(to) + steps[pc, 6] > limit:
                    return int64(-1)
                to = _copy(words, steps[pc, 5], steps[pc, 6], out, to)
            elif act == a_offset:
                if int64(to) > limit:
                    return int64(-1)
                place = places[layer, steps[pc, 1]] + steps[pc, 2] - frame
                to = _decimal(place * steps[pc, 5] + steps[pc, 6], out, to)
            elif act == a_if_carried:
                if layer + 1 == count:
                    pc += steps[pc, 5]
            elif act == a_carried:
                returns[layer] = pc
                layer += 1
                pc = begins[layer] - 1
            elif act == a_done:
                if layer == 0:
                    return int64(to)
                layer -= 1
                pc = returns[layer]
            else:
                a = places[layer, steps[pc, 1]] + steps[pc, 2]
                b = places[layer, steps[pc, 3]] + steps[pc, 4]
                if int64(to) + 3 * (b - a) > limit:
                    return int64(-1)
                if act == a_number:
                    to = _decimal(_integer(data, a, b, steps[pc, 7]) >> steps[pc, 5] & steps[pc, 6], out, to)
                elif act == a_meaning:
                    entry = steps[pc, 8] + (_integer(data, a, b, steps[pc, 7]) >> steps[pc, 5] & steps[pc, 6])
                    start, size = meanings[entry], meanings[entry + 1] - meanings[entry]
                    if int64(to) + size > limit:
                        return int64(-1)
                    to = _copy(words, start, size, out, to)
                elif act == a_size:
                    to = _decimal((b - a) * steps[pc, 5], out, to)
                elif act in (a_digits, a_capitals):
                    letters = small if act == a_digits else capital
                    for n in range(uint64(a), uint64(b)):
                        octet = data[n]
                        out[to] = letters[octet >> four]
                        out[to + one] = letters[octet & low]
                        to += uint64(2)
                elif act == a_shown:
                    for n in range(uint64(a), uint64(b)):
                        octet = data[n]
                        out[to] = capital[octet >> four]
                        out[to + one] = capital[octet & low]
                        out[to + uint64(2)] = space
                        to += uint64(3)
                    if b > a:
                        to -= one
                    else:
                        out[to] = dash
                        to += one
                elif act == a_any and a == b:
                    pc += steps[pc, 5]
            pc += 1

    return located, run


_located, _run = _runs()


def _write_frames() -> Callable[..., Any]:
    all_done, full, learn = ALL, FULL, LEARN
    crc_none, crc_must, crc_auto, crc_size, residue = CRC_NONE, CRC_MUST, CRC_AUTO, CRC_SIZE, RESIDUE
    registers, layers = REGISTERS, LAYERS
    header_size, at_length = cnip.HEADER_SIZE, offset_of(cnip.CnIpHeader, "length")
    at_first, at_last = offset_of(cnip.CnIpHeader, "version"), offset_of(cnip.CnIpHeader, "vendor")
    at_node, selector = offset_of(Npdu, "source_node"), field(NodeByte, "selector").lsb
    kind_shift, kind_mask = field(NetworkControl, "pdu_type").lsb, field(NetworkControl, "pdu_type").top
    version_shift, version_mask = field(NetworkControl, "version").lsb, field(NetworkControl, "version").top
    assert field(TpduHeader, "type").mask == field(SpduHeader, "type").mask
    type_shift, type_mask = field(TpduHeader, "type").lsb, field(TpduHeader, "type").top
    apdu, authpdu, spdu, response = int(PduType.APDU), int(PduType.AUTHPDU), int(PduType.SPDU), int(SpduType.RESPONSE)

    @njit(cache=True, nogil=True)
    def write_frames(
        data: Any,
        row: Any,
        count: Any,
        wanted: Any,
        starts: Any,
        ends: Any,
        mode: Any,
        crcs: Any,
        heads: Any,
        links: Any,
        npdus: Any,
        pdus: Any,
        silent: Any,
        apdus: Any,
        seconds: Any,
        scripts: Any,
        steps: Any,
        words: Any,
        meanings: Any,
        out: Any,
        at: Any,
        stops: Any,
    ) -> Any:
        """Write the wanted rows from ``row`` on, from ``at`` in ``out`` on: (row, why, at, table, index, start, end) where it
        stopped, what is not known there.

        ``stops``: for each row the end of its text in ``out``, -1 for a row that is left to the caller. ``seconds``: for messages
        that a further byte decides. Tables hold numbers of scripts, -1 for not known yet, -2 for what has none.
        """
        places = np.zeros((layers, registers), np.int64)
        begins = np.empty(layers, np.int64)
        while row < count:
            stops[row] = -1
            start, end = starts[row], ends[row]
            if not wanted[row] or end - start <= header_size + 1:
                row += 1
                continue
            if _integer(data, start + at_length, start + at_first, 0) != end - start:
                row += 1
                continue
            first = _integer(data, start + at_first, start + at_last, 0)
            script = int64(-1)
            for n in range(heads.shape[0]):
                if heads[n, 0] == first:
                    script = heads[n, 1]
                    break
                if heads[n, 0] < 0:
                    return row, learn, at, 0, first, start, end
            if script < 0:
                row += 1
                continue
            inner = end
            lpdu = start + header_size
            checked = 0
            if mode != crc_none:
                if end - lpdu > crc_size and crc_fits(data, lpdu, end, crcs, residue):
                    checked = 1
                    inner = end - crc_size
                elif mode == crc_must:
                    row += 1
                    continue
            npdu = lpdu + 1
            if inner - npdu <= at_node:
                row += 1
                continue
            known = 0
            # CN/IP, the link layer, the network layer
            for layer in range(3):
                if layer == 0:
                    begin, stop = start, end
                elif layer == 1:
                    script, begin, stop = links[checked], lpdu, end
                else:
                    index = int64(data[npdu]) << 1 | int64(data[npdu + at_node]) >> selector & 1
                    script, begin, stop = npdus[index], npdu, inner
                    if script == -1:
                        return row, learn, at, 2, index, npdu, inner
                if script < 0:
                    break
                places[layer, 0], places[layer, 1] = begin, stop
                if not _located(data, steps, scripts[script, 0], places[layer]):
                    break
                begins[layer] = scripts[script, 1]
                known += 1
            if known < 3:
                row += 1
                continue
            begin = places[2, scripts[script, 2]] + scripts[script, 3]
            if begin >= inner:
                row += 1
                continue
            control = int64(data[npdu])
            kind = control >> kind_shift & kind_mask
            answer = 0
            if kind != apdu:
                index = (control >> version_shift & version_mask) << 10 | kind << 8 | int64(data[begin])
                script = pdus[index]
                if script == -1:
                    return row, learn, at, 3, index, begin, inner
                if script < 0:
                    row += 1
                    continue
                places[3, 0], places[3, 1] = begin, inner
                if not _located(data, steps, scripts[script, 0], places[3]):
                    row += 1
                    continue
                type_ = int64(data[begin]) >> type_shift & type_mask
                begins[3] = scripts[script, 1]
                known = 4
                if kind == authpdu:
                    begin = inner
                else:
                    begin = places[3, scripts[script, 2]] + scripts[script, 3]
                    if silent[kind, type_] != (begin == inner):
                        row += 1
                        continue
                    answer = 1 if kind == spdu and type_ == response else 0
            if begin < inner:
                two = 1 if inner - begin == 2 else 0  # a size that decides, too
                index = two << 9 | answer << 8 | int64(data[begin])
                script = apdus[index]
                if script == -1:
                    return row, learn, at, 4, index, begin, inner
                if script < -2:  # a further byte decides
                    more = -3 - script
                    place = begin + seconds[more, 0]
                    if place >= inner:
                        row += 1
                        continue
                    script = seconds[more, 1 + int64(data[place])]
                    if script == -1:
                        return row, learn, at, 5, more, begin, inner
                if script < 0:
                    row += 1
                    continue
                places[known, 0], places[known, 1] = begin, inner
                if not _located(data, steps, scripts[script, 0], places[known]):
                    row += 1
                    continue
                begins[known] = scripts[script, 1]
                known += 1
            if (
                mode == crc_auto
                and not checked
                and scripts[script, 4] >= 0
                and inner - places[known - 1, scripts[script, 4]] - scripts[script, 5] == crc_size
            ):  # two bytes too many: a CRC that does not fit?
                row += 1
                continue
            written = _run(data, steps, words, meanings, begins, places, known, out, at)
            if written < 0:
                return row, full, at, 0, 0, 0, 0
            at = written
            stops[row] = at
            row += 1
        return row, all_done, at, 0, 0, 0, 0

    return write_frames


write_frames = _write_frames()
