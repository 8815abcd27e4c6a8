"""Captured bytes of an optical port in words: packets, ACKs, joined messages, services, tables. Passwords are left out.

Both directions may be mixed in time order, or only one be there. Directions are told by the first byte of a message: below
20 it is a response code, so the meter speaks. An answer is read by the request before it, because it does not say what it
answers; without one it is guessed from its form. Nothing here transmits.
"""

from __future__ import annotations

from typing import Any

from osgp.c1218.packet import HEADER_SIZE, OVERHEAD, START, Header, Packet, parse
from osgp.c1218.services import (
    BAUD_RATES,
    IdentAnswer,
    IndexRead,
    IndexWrite,
    Logon,
    Negotiate,
    NegotiateAnswer,
    Security,
    Timing,
    TimingAnswer,
    Wait,
    decode_service,
    service_name,
)
from osgp.tables.services import (
    FullRead,
    FullWrite,
    PartialRead,
    PartialWrite,
    ResponseCode,
    decode_request,
    decode_response,
    table_checksum,
)
from osgp.tables.table import procedure_name, table_name
from osgp.wire import Struct, layout_of
from osgp.wire.capture import CapturedPiece
from osgp.wire.errors import DecodeError
from osgp.wire.explain import ExplainNode

__all__ = ["TO_CLIENT", "TO_SERVER", "Explained", "explain", "explain_message"]

TO_SERVER = "client to server"
TO_CLIENT = "server to client"
HIDDEN = "(hidden)"

_SINGLE = {0x06: "ACK: packet received", 0x15: "NAK: send the packet again"}
_READS = (0x30, 0x3E, 0x3F, *range(0x31, 0x3A))


class Explained(CapturedPiece):
    """One packet, single-byte answer or piece of noise of a capture. ``offset``: where it began; ``ok``: nothing is wrong.

    ``raw`` has passwords replaced by zeros. ``tree``: every field of the packet with bit offsets from its start.
    """

    __slots__ = ()
    door = "optical"


def explain(data: bytes, *, direction: str = "") -> list[Explained]:
    """All that a capture holds, in order; ``direction`` if all of it went one way. Never raises; O(n) for sound captures."""
    capture = _Capture(direction)
    rows: list[Explained] = []
    at = 0
    while at < len(data):
        row, size = capture.next(data, at)
        last = rows[-1] if rows else None
        if last is not None and "noise" in row.fields and "noise" in last.fields:
            last.raw += row.raw
            last.fields["noise"] = len(last.raw)
        else:
            rows.append(row)
        at += size
    return rows


class _Capture:
    """What the meaning of the next bytes depends on."""

    def __init__(self, direction: str) -> None:
        self.direction = direction
        self.last = ""
        self.request = b""
        self.parts: dict[str, bytes] = {}
        self.left: dict[str, int] = {}

    def next(self, data: bytes, at: int) -> tuple[Explained, int]:
        """What begins at ``at``, and its size."""
        if data[at] in _SINGLE:
            back = {TO_SERVER: TO_CLIENT, TO_CLIENT: TO_SERVER}.get(self.last, "")
            fields = {"meaning": _SINGLE[data[at]]}
            return Explained(at, data[at : at + 1], self.direction or back, fields), 1
        if data[at] != START:
            stop = at + 1
            while stop < len(data) and data[stop] != START and data[stop] not in _SINGLE:
                stop += 1
            return self._noise(data, at, stop), stop - at
        if len(data) - at < HEADER_SIZE:
            raw = data[at:]
            return Explained(at, raw, self.direction, {}, "the packet ends in its header"), len(raw)
        header = Header.decode(data[at : at + HEADER_SIZE])
        if header.identity or header.control.reserved or header.control.data_format:
            return self._noise(data, at, at + 1), 1
        raw = data[at : at + OVERHEAD + header.length]
        try:
            packet = parse(raw)
        except DecodeError as error:
            if _redacted(raw):
                told: dict[str, Any] = {**_head(header), "message": {"service": "security", "password": HIDDEN}}
                row = Explained(at, raw, self.direction or TO_SERVER, told, "", layout_of(Packet).explain(raw))
                row.raw, row.tree = _hide(raw, row.tree, HEADER_SIZE + 1, len(raw))
                self.request, self.last = raw[HEADER_SIZE:-2], TO_SERVER
                return row, len(raw)
            following = _sound_packet(data, at + 1, at + len(raw))
            raw = data[at:following]
            row = Explained(at, raw, self.direction, _head(header), str(error), layout_of(Packet).explain(raw))
            if raw[HEADER_SIZE : HEADER_SIZE + 1] == b"\x51" or any(
                part[:1] == b"\x51" for part in self.parts.values()
            ):
                row.raw, row.tree = _hide(raw, row.tree, HEADER_SIZE, len(raw))
            return row, len(raw)
        return self._packet(packet, raw, at), len(raw)

    def _noise(self, data: bytes, at: int, stop: int) -> Explained:
        return Explained(at, data[at:stop], self.direction, {"noise": stop - at})

    def _packet(self, packet: Packet, raw: bytes, at: int) -> Explained:
        control = packet.control
        direction = self.direction or self._direction(packet)
        self.last = direction
        row = Explained(
            at, raw, direction, {**_head(packet), "crc": f"{packet.crc:04x}"}, "", layout_of(Packet).explain(raw)
        )
        if control.first or not control.multi:
            self.parts[direction] = b""
        elif self.left.get(direction) != packet.sequence + 1:
            row.error = "a part before this one is missing"
            self.parts.pop(direction, None)
        message = self.parts[direction] + packet.data if direction in self.parts else b""
        self.left[direction] = packet.sequence
        if message[:1] == b"\x51" and direction != TO_CLIENT:
            row.raw, row.tree = _hide(raw, row.tree, HEADER_SIZE + (control.first or not control.multi), len(raw) - 2)
        if packet.sequence:
            if direction in self.parts:
                self.parts[direction] = message
            row.fields["part"] = row.raw[HEADER_SIZE:-2].hex()
            return row
        self.parts.pop(direction, None)
        if message:
            fields, error = explain_message(message, answers=self.request if direction == TO_CLIENT else b"")
            row.fields["message"] = fields
            row.error = row.error or error
            if direction != TO_CLIENT:
                self.request = message
        return row

    def _direction(self, packet: Packet) -> str:
        control = packet.control
        if control.multi and not control.first:
            for direction, left in self.left.items():
                if left == packet.sequence + 1 and direction in self.parts:
                    return direction
            return self.last
        return TO_SERVER if packet.data[:1] >= b"\x20" else TO_CLIENT


def explain_message(message: bytes, *, answers: bytes = b"") -> tuple[dict[str, Any], str]:
    """(fields, error) of a joined message; ``answers``: the request it answers, if known. Passwords are hidden."""
    if not message:
        return {}, "an empty message"
    try:
        if not answers and message[:1] >= b"\x20":
            return _request(message), ""
        return _answer(message, answers), ""
    except DecodeError as error:
        return {"code": message[0] if message else None}, str(error)


def _request(message: bytes) -> dict[str, Any]:
    code = message[0]
    fields: dict[str, Any] = {"service": service_name(code), "code": code}
    if code not in (0x30, 0x3F, 0x40, 0x4F):
        return {**fields, **_service_fields(decode_service(message))}
    request = decode_request(message, checksum=True)
    fields |= {"table": request.table, "name": table_name(request.table)}
    match request:
        case PartialRead(_, offset, count):
            fields |= {"offset": offset, "count": count}
        case FullWrite(table, data):
            fields |= {"count": len(data), "data": data.hex(), "cksum": table_checksum(data)}
            if table == 7 and len(data) >= 3:
                number = int.from_bytes(data[:2], "little") & 0x0FFF
                fields |= {"procedure": procedure_name(number), "sequence": data[2]}
        case PartialWrite(_, offset, data):
            fields |= {"offset": offset, "count": len(data), "data": data.hex(), "cksum": table_checksum(data)}
        case FullRead():
            pass
    return fields


def _service_fields(service: Struct) -> dict[str, Any]:
    match service:
        case Logon():
            return {"user_id": service.user_id, "user": str(service.user)}
        case Security():
            return {"password": HIDDEN}
        case Negotiate():
            rates = [BAUD_RATES.get(int(code), int(code)) for code in service.bauds]
            return {"packet_size": service.packet_size, "packets": service.packets, "bauds": rates}
        case Wait():
            return {"seconds": service.seconds}
        case Timing():
            return _values(service)
        case IndexRead():
            return {"table": service.table, "indices": service.indices, "elements": service.elements}
        case IndexWrite():
            return {
                "table": service.table,
                "indices": service.indices,
                "data": service.data.hex(),
                "cksum": service.cksum,
            }
    return {}


def _values(service: Struct) -> dict[str, Any]:
    return {name: getattr(service, name) for name in service.specs if name not in ("service", "code")}


def _answer(message: bytes, request: bytes) -> dict[str, Any]:
    code = message[0]
    known = code in set(ResponseCode)
    fields: dict[str, Any] = {"response": ResponseCode(code).name.lower() if known else "unknown", "code": code}
    asked = request[0] if request else -1
    if request:
        fields["answers"] = service_name(asked)
    if code != ResponseCode.OK:
        return fields
    if asked in _READS or (asked < 0 and _looks_like_table(message)):
        data = decode_response(message, checksum=True, read=True)[1]
        if len(request) >= 3:
            fields["table"] = int.from_bytes(request[1:3], "big")
            fields["name"] = table_name(fields["table"])
        fields |= {"count": len(data), "data": data.hex(), "cksum": message[3 + len(data)]}
    elif asked == 0x20 or (asked < 0 and len(message) == 5 and message.endswith(b"\0")):
        ident = IdentAnswer.decode(message)
        fields |= {"standard": ident.standard, "version": ident.version, "revision": ident.revision}
        fields["features"] = ident.features[:-1].hex()
    elif 0x60 <= asked <= 0x6B or (asked < 0 and len(message) == 5):
        granted = NegotiateAnswer.decode(message)
        fields |= {"packet_size": granted.packet_size, "packets": granted.packets}
        if granted.baud is not None:
            fields["baud"] = BAUD_RATES.get(int(granted.baud), int(granted.baud))
    elif asked == 0x71:
        fields |= _values(TimingAnswer.decode(message))
    elif len(message) > 1:
        fields["data"] = message[1:].hex()
    return fields


def _looks_like_table(message: bytes) -> bool:
    count = int.from_bytes(message[1:3], "big")
    return len(message) == count + 4 and count > 0 and table_checksum(message[3:-1]) == message[-1]


def _head(header: Header) -> dict[str, Any]:
    control = header.control
    return {
        "identity": header.identity,
        "ctrl": f"{int(control):02x}",
        "toggle": control.toggle,
        "multi": bool(control.multi),
        "first": bool(control.first),
        "seq_nbr": header.sequence,
        "length": header.length,
    }


def _sound_packet(data: bytes, at: int, end: int) -> int:
    """Where a whole packet begins inside damaged bytes, or their end."""
    while (at := data.find(START, at, end)) >= 0:
        if len(data) - at >= OVERHEAD and data[at + 1] == 0:
            size = OVERHEAD + int.from_bytes(data[at + 4 : at + 6], "big")
            try:
                parse(data[at : at + size])
            except DecodeError:
                pass
            else:
                return at
        at += 1
    return end


def _redacted(raw: bytes) -> bool:
    """A password packet as our own traces keep it: the password and the CRC are stars (``osgp.node.trace``)."""
    body = raw[HEADER_SIZE:]
    return body[:1] == b"\x51" and len(body) > 3 and set(body[1:]) == {0x2A}


def _hide(raw: bytes, tree: ExplainNode | None, start: int, end: int) -> tuple[bytes, ExplainNode | None]:
    """The packet with zeros in place of its password, which stands from ``start`` to ``end``."""
    hidden = raw[:start] + bytes(max(0, end - start)) + raw[max(start, end) :]
    if tree is not None:
        tree.raw = b""
        for _, node in tree.walk():
            if node.offset + node.size > start and node.offset < end and node is not tree:
                node.raw = hidden[node.offset : node.offset + node.size]
                node.value = node.text = HIDDEN
    return hidden, tree
