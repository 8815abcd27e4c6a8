"""A whole capture of a control network explained in full, as JSON text: one tree for each packet, every field with its bit offset.

What ``Dissection.tree_json`` says, many packets at a time: payloads are located in compiled code where Numba is installed, and sound
packets of CN/IP take a path without the objects in between. Responses stay codes and data: who wants them read by their requests
takes ``lon_observer``. A project choice.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from osgp.analyse.lon import (
    CARRIERS,
    CUT,
    apdu_error,
    apdu_layers,
    damaged_json,
    dissect_cnip,
    dissect_frame,
    dissect_lonip,
    dumps,
    layout_for,
    told_at,
    two_are_left,
    with_error,
)
from osgp.lon.apdu import NvHeader, NvMessage
from osgp.lon.authpdu import AuthPdu
from osgp.lon.cnip import HEADER_SIZE, CnIpHeader, CnIpPacket, lpdu_in
from osgp.lon.crc import CRC_SIZE, has_crc, with_crc
from osgp.lon.lpdu import Lpdu, LpduWithCrc
from osgp.lon.npdu import ENHANCED, LEGACY, Npdu, PduType
from osgp.lon.redact import redacted_apdu
from osgp.lon.tpdu import VERSIONS, Spdu, SpduType, Tpdu, TpduType
from osgp.ports.capture import packets_of, read_capture
from osgp.ports.datagram import Fault
from osgp.ports.pcap import CaptureFrame, PcapReader, Source, reader_of
from osgp.wire import Layout, layout_of
from osgp.wire.errors import ConfigError, DecodeError

__all__ = ["cnip_json", "explain_capture"]

_CNIP, _NPDU, _LPDU, _CHECKED = layout_of(CnIpPacket), layout_of(Npdu), layout_of(Lpdu), layout_of(LpduWithCrc)
_FORMS: dict[int, list[Layout[Any]]] = {
    kind: [layout_of(struct, context) for context in VERSIONS]
    for kind, struct in ((PduType.TPDU, Tpdu), (PduType.SPDU, Spdu), (PduType.AUTHPDU, AuthPdu))
}
_SILENT: dict[int, tuple[int, ...]] = {
    PduType.TPDU: (int(TpduType.ACK), int(TpduType.REMINDER)),
    PduType.SPDU: (int(SpduType.REMINDER),),
}
"""Types without a message."""
_APDU, _AUTHPDU, _SPDU, _RESPONSE = int(PduType.APDU), int(PduType.AUTHPDU), int(PduType.SPDU), int(SpduType.RESPONSE)
_NV = layout_of(NvMessage)
_VARIABLE = NvHeader.fields["variable"].mask >> 8
_SELECTOR = NvHeader.fields["selector"].mask
_NPDU_AT = HEADER_SIZE + 1
_MARK = "@below@"
_MOST_SHAPES = 4096
_CHUNK = 1024
"""Records that go through all steps before the next ones do."""


def explain_capture(path: Path | str, *, crc: bool | None = None) -> Iterator[str]:
    """The JSON text of each packet of a control network in a capture file, in order.

    pcap and pcapng give the same texts, with Numba or without: those of each datagram by itself. ``crc``: whether CN/IP packets end
    with the frame's CRC (None: taken for one if it is right). Raises as ``osgp.ports.capture.lon_frames``. One process: handing texts
    from one to another costs as much as making them.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    reader = reader_of(Source(io.BytesIO(data)))
    if not isinstance(reader, PcapReader) or find_spec("numba") is None:
        for frame in read_capture(data):
            yield from _explained(frame, crc)
    else:
        yield from _explained_blocks(data, reader, _blocks(data, reader), crc)


def _explained_blocks(data: bytes, reader: PcapReader, blocks: Iterable[Block], crc: bool | None) -> Iterator[str]:
    import numpy as np

    from osgp.analyse.lonkernels import CRC_AUTO, CRC_MUST, CRC_NONE
    from osgp.analyse.lonscripts import scripts

    view = np.frombuffer(data, np.uint8)
    mode = CRC_AUTO if crc is None else CRC_MUST if crc else CRC_NONE
    for carriers, faults, starts, ends, *records in blocks:
        row, plain = 0, (carriers == _BY_CNIP) & (faults == Fault.OK)
        while row < len(starts):
            for text in scripts().texts(view, row, plain, starts, ends, mode):
                if text is not None:
                    yield text
                elif plain[row]:
                    yield from cnip_json(data[starts[row] : ends[row]], crc)
                elif carriers[row] or faults[row] != Fault.NOT_LON:
                    number, offset, size, length, time_ns = (int(column[row]) for column in records)
                    raw = data[offset : offset + size]
                    frame = CaptureFrame(number, time_ns, raw, reader.link_type, length, 0, offset)
                    yield from _explained(frame, crc)
                row += 1


_BY_CNIP = 1
"""``loncolumns.Carrier.CNIP``, whose module wants NumPy."""
Block = tuple[Any, ...]
"""Columns of records: carrier, fault, bounds of the payload; number, place, captured and original length, nanoseconds of the frame."""


def _blocks(data: bytes, reader: PcapReader) -> Iterator[Block]:
    """The records of a pcap file, located in compiled code, up to _CHUNK at a time. Raises DecodeError at the end of a damaged one."""
    import numpy as np

    from osgp.analyse.lonindex import FULL, STOPPED, walk_records
    from osgp.analyse.lonlocate import locate

    view = np.frombuffer(data, np.uint8)
    offsets, captured, original, times, starts, ends, sources, destinations = np.empty((8, _CHUNK), np.int64)
    links, (carriers, faults) = np.full(_CHUNK, reader.link_type, np.int32), np.empty((2, _CHUNK), np.int8)
    place, why, number = reader.source.offset, FULL, 0
    while why == FULL:
        count, place, why = walk_records(
            view, place, reader.order == "little", reader.unit_ns, offsets, captured, original, times
        )
        locate(view, count, offsets, captured, original, links, carriers, faults, starts, ends, sources, destinations)
        numbers = np.arange(number + 1, number + 1 + count)
        number += count
        columns = (carriers, faults, starts, ends, numbers, offsets, captured, original, times)
        yield tuple(column[:count] for column in columns)
    if why == STOPPED:
        _say_what_is_wrong(reader, place)


def _say_what_is_wrong(reader: PcapReader, place: int) -> None:
    reader.seek(place)
    reader.record()


def _explained(frame: CaptureFrame, crc: bool | None) -> Iterator[str]:
    """The texts of a captured frame; its first packet tells what it is, and holds the whole datagram."""
    packet = next(packets_of(frame, crc=crc))
    if not packet.carrier:
        return
    if packet.carrier == "lonip":
        yield dissect_lonip(packet.payload, None).tree_json()
    elif packet.carrier == "lpdu":
        yield dissect_frame(packet.payload, crc=packet.crc is not None).tree_json()
    else:
        yield from cnip_json(packet.payload, crc)


def cnip_json(datagram: bytes, crc: bool | None = None) -> list[str]:
    """The JSON texts of the packets of a CN/IP datagram: what ``dissect_cnip`` and ``tree_json`` give. Never raises."""
    text = _sound(datagram, crc)
    return [found.tree_json() for found in dissect_cnip(datagram, crc=crc)] if text is None else [text]


def _sound(datagram: bytes, crc: bool | None) -> str | None:
    """The text of one data packet without extension and digest, which hides no key; None for everything else.

    Damage is told if it is in the message alone, where most of it is.
    """
    data = datagram[HEADER_SIZE:]
    checked = has_crc(data)
    if crc is not None and checked != crc:
        if crc or not data:
            return None
        checked = False
    shape = _shape_of(datagram, checked)
    if shape is None:
        return None
    npdu_raw = data[1:-CRC_SIZE] if checked else data[1:]
    end = _NPDU_AT + len(npdu_raw)
    text = error = ""
    try:
        npdu = _NPDU.decode(npdu_raw)
        pdu, control = npdu.pdu, int(npdu.control)
        kind = control >> 4 & 3
        if control >> 6 not in (LEGACY, ENHANCED):
            return None
        if kind == _APDU:
            text, error = _message(pdu, end, False)
            value, apdu = None, pdu
        else:
            form = _FORMS[kind][control >> 6]
            value, apdu = form.decode(pdu), b""
            if kind != _AUTHPDU:
                apdu, type_ = value.apdu, value.header.type
                if bool(apdu) == (type_ in _SILENT[kind]):
                    return None
                if apdu:
                    text, error = _message(apdu, end, kind == _SPDU and type_ == _RESPONSE)
            text = form.explain_json(pdu, end - len(pdu), {"apdu": text} if text else None)
    except (DecodeError, _Unsound):
        return None
    except _Secret as secret:  # told of the frame that nobody can take a key from
        lpdu = data[: -CRC_SIZE if checked else len(data)]
        (hidden,) = secret.args
        lpdu = lpdu[: len(lpdu) - len(hidden)] + hidden
        return _sound(datagram[:HEADER_SIZE] + (with_crc(lpdu) if checked else lpdu), crc)
    if crc is None and not checked and not error and two_are_left(value, apdu):
        return None
    text = shape(datagram, _NPDU.explain_json(npdu_raw, _NPDU_AT, {"pdu": text}))
    return with_error(text, error) if error else text


class _Unsound(Exception):
    """Not for the short way."""


class _Secret(Exception):
    """The message holds a key; the argument is the message without it."""


def _message(apdu: bytes, end: int, response: bool) -> tuple[str, str]:
    """The text of an APDU that ends there, and what is wrong with it. Raises _Unsound for none, _Secret for one with a key."""
    if not apdu:
        raise _Unsound
    shown = redacted_apdu(apdu, response)
    if shown != apdu:
        raise _Secret(shown)
    start = end - len(apdu)
    if apdu[0] >= _VARIABLE:
        told = _variable(apdu, start)
        if told is not None:
            return told, ""
    elif apdu[0] in CARRIERS and not response:
        return _carried(apdu, start)
    layout = _layout(apdu[:2], len(apdu) == len(apdu[:2]), response)
    text = layout.explain_json(apdu, start)
    if '"error":"' not in text:  # no value can hold this: quotes inside texts are escaped
        return text, ""
    try:
        layout.decode(apdu)
    except DecodeError as error:
        here = dumps(str(error))
        inner = dumps(told_at(error, start, ""))
        return text.replace(here, inner, 1), told_at(error, 0, CUT)
    raise _Unsound


def _carried(apdu: bytes, start: int) -> tuple[str, str]:
    """The text of a message that carries another, and what is wrong with either."""
    error = apdu_error(apdu, start, False)
    text, grafts = "", None
    for name, struct, context, begin, stop in reversed(apdu_layers(apdu, "", start, False, None)):
        raw = apdu[begin - start : stop - start]
        if error and not text:  # what is damaged is the innermost layer
            text = damaged_json(struct, context, raw, begin)
        else:
            text = layout_of(struct, context).explain_json(raw, begin, grafts)
        grafts = {name: text}
    return text, error


@lru_cache(maxsize=4096)
def _layout(head: bytes, all_of_it: bool, response: bool) -> Layout[Any]:
    """The layout of a message that carries no other; its first two bytes decide it, and whether there are more."""
    return layout_of(layout_for(head if all_of_it else head + b"\0", response, b""))


def _variable(apdu: bytes, start: int) -> str | None:
    """The text of a network variable's message, whose selectors are many: learnt once for its size and direction."""
    if len(apdu) < 2:
        return None
    pieces = _variable_pieces(apdu[0] >> 6, len(apdu), start)
    if pieces is None:
        return None
    header, value = int.from_bytes(apdu[:2], "big"), apdu[2:]
    selector, digits = str(header & _SELECTOR), value.hex()
    text = pieces.copy()
    text[1::2] = [
        apdu[:2].hex(),
        str(header),
        f"0x{header:04X}",
        selector,
        selector,
        digits,
        digits,
        value.hex(" ").upper(),
    ][: len(pieces) // 2]
    return "".join(text)


@lru_cache(maxsize=16384)
def _variable_pieces(top: int, size: int, start: int) -> list[str] | None:
    header = top << 14 | 0x1B2D
    value = bytes((0x5C,)) * (size - 2)
    selector = str(header & _SELECTOR)
    words = [f"{header:04x}", str(header), f"0x{header:04X}", selector, selector]
    if value:
        words += [value.hex(), value.hex(), value.hex(" ").upper()]
    return _pieces(_NV.explain_json(header.to_bytes(2, "big") + value, start), words)


def _pieces(text: str, words: list[str]) -> list[str] | None:
    """The text cut at these words, which must be found in this order and nowhere else: every second piece is one of them."""
    pieces = re.split("(" + "|".join(sorted(set(words), key=len, reverse=True)) + ")", text)
    return pieces if pieces[1::2] == words else None


# ---- what is the same for all packets of one form: CN/IP's header but for its numbers, the link header, the CRC ------------
_Shape = Callable[[bytes, str], str]
_NUMBERS = ("vendor", "session", "sequence", "timestamp_ms")
_PLACES = {name: layout_of(CnIpHeader).span(name) for name in _NUMBERS}
_FIRST = _PLACES["vendor"].offset
"""Bytes that, with length, link header and whether there is a CRC, decide the form of the explanation."""
_SHAPES: dict[tuple[bytes, bytes, int, bool], _Shape | None] = {}


def _shape_of(datagram: bytes, checked: bool) -> _Shape | None:
    key = (datagram[:_FIRST], datagram[HEADER_SIZE : HEADER_SIZE + 1], len(datagram), checked)
    try:
        return _SHAPES[key]
    except KeyError:
        if len(_SHAPES) >= _MOST_SHAPES:
            _SHAPES.clear()
        found = _SHAPES[key] = _new_shape(*key)
        return found


def _new_shape(first: bytes, link: bytes, size: int, checked: bool) -> _Shape | None:
    """What puts numbers, bytes and the tree of the NPDU into the text that a datagram of this form has.

    The text is learnt from the explanation of a datagram with numbers that stand out. None for what is no plain data packet, and
    where the numbers are not found again just where they belong.
    """
    sample = bytearray(first + bytes(max(0, size - len(first))))
    for place, span in enumerate(_PLACES.values()):
        sample[span.offset : span.offset + span.size] = bytes(0xC1 + 4 * place + more for more in range(span.size))
    crc = b"\xb1\xb2" if checked else b""
    npdu = bytes((0x5C,)) * (size - HEADER_SIZE - len(link) - len(crc))
    sample[HEADER_SIZE:] = link + npdu + crc
    try:
        packet = _CNIP.decode(bytes(sample))
        lpdu_in(packet, crc=False)
    except DecodeError:
        return None
    if not npdu or packet._rest or packet.extension or packet.digest is not None:
        return None
    below = (_CHECKED if checked else _LPDU).explain_json(packet.data, HEADER_SIZE, {"npdu": _MARK})
    text = _CNIP.explain_json(bytes(sample), 0, {"data": below})
    words = []
    for name, span in _PLACES.items():
        number = getattr(packet.header, name)
        words += [number.to_bytes(span.size, "big").hex(), str(number), str(number)]
    for raw in (packet.data, npdu):
        words += [raw.hex(), raw.hex(), raw.hex(" ").upper()]
    words.append(_MARK)
    if checked:
        words += [crc.hex(), *[str(int.from_bytes(crc, "big"))] * 2]
    pieces = _pieces(text, words)
    if pieces is None:
        return None
    vendor, session, sequence, timestamp = (slice(span.offset, span.offset + span.size) for span in _PLACES.values())

    def fill(datagram: bytes, below: str) -> str:
        raw = [datagram[place] for place in (vendor, session, sequence, timestamp)]
        a, b, c, d = [str(int.from_bytes(each, "big")) for each in raw]
        data = datagram[HEADER_SIZE:]
        whole, shown = data.hex(), data.hex(" ").upper()
        last = CRC_SIZE if checked else 0
        digits = whole[2 : len(whole) - 2 * last]
        values = [raw[0].hex(), a, a, raw[1].hex(), b, b, raw[2].hex(), c, c, raw[3].hex(), d, d, whole, whole]
        values += [shown, digits, digits, shown[3 : len(shown) - 3 * last], below]
        if checked:
            number = str(int.from_bytes(data[-CRC_SIZE:], "big"))
            values += [data[-CRC_SIZE:].hex(), number, number]
        text = pieces.copy()
        text[1::2] = values
        return "".join(text)

    return fill
