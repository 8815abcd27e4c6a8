"""Captured MEP bytes in words: frames, direction, fields; with a key also digests, decryption and TLS content.

Stateless decoding is in ``frame``; here is the state that meaning needs: a response is proven and read by its request, an
encrypted one continues its key stream, and a TLS record needs the whole handshake before it. Nothing here transmits.

Directions are guessed from the first byte of a body (``spec/mep.md`` 3) or from the order of frames, unless they are given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from osgp.mep.frame import (
    DIGEST_SIZE,
    MAX_BODY,
    SEQUENCE_SIZE,
    Code,
    Frame,
    FullRead,
    FullWrite,
    InvalidSequenceResponse,
    PartialRead,
    PartialWrite,
    Rc4Request,
    Rc4Response,
    ReadResponse,
    Response,
    TlsFrame,
)
from osgp.mep.observer import TlsObserver
from osgp.mep.rc4 import Exchange, key16, open_request
from osgp.tables.et.et52 import ET52
from osgp.tables.table import extended, procedure_name, table_name
from osgp.wire import Struct, layout_of
from osgp.wire.capture import CapturedPiece
from osgp.wire.errors import DecodeError
from osgp.wire.explain import ExplainNode

__all__ = ["TO_CLIENT", "TO_SERVER", "Explained", "Explainer", "explain"]

TO_SERVER = "client to server"
TO_CLIENT = "server to client"

_REQUESTS: dict[int, type[Struct]] = {0x30: FullRead, 0x3F: PartialRead, 0x40: FullWrite, 0x4F: PartialWrite}
_TLS_CODES = (0x57, 0x58, 0x59, 0x80)
_NAMES = {
    0x30: "full read",
    0x3F: "partial read",
    0x40: "full write",
    0x4F: "partial write",
    0x57: "TLS: end of session",
    0x58: "TLS: first handshake message",
    0x59: "TLS: later handshake message",
    0x80: "TLS: table service",
}
_BT07, _ET52 = 7, extended(52)
_LEFT_OUT = {DIGEST_SIZE: "the digest is", SEQUENCE_SIZE + DIGEST_SIZE: "sequence number and digest are"}


class Explained(CapturedPiece):
    """One frame of a capture. ``offset``: where it began; ``ok``: readable, and whatever could be verified verified.

    ``tree``: every field with bit offsets from the start of the frame, in plain or as decrypted.
    """

    __slots__ = ()
    door = "mep"


def explain(data: bytes, *, keys: Mapping[str, object] | None = None, direction: str = "") -> list[Explained]:
    """All frames of a capture (both directions mixed in time order, or one only). ``keys``: name → MAK or MBK, if known."""
    explainer = Explainer(keys)
    rows = []
    at = 0
    while at < len(data):
        end = _frame_end(data, at)
        if end is None:
            start = at
            at = _next_frame(data, at + 1)
            rows.append(Explained(start, data[start:at], error="no frame begins here"))
        else:
            rows.append(explainer.frame(data[at:end], direction=direction, offset=at))
            at = end
    return rows


def _frame_end(data: bytes, at: int) -> int | None:
    """Where the frame that begins at ``at`` ends: its length says so, or the capture does."""
    if len(data) - at < 2:
        return None
    length = data[at] << 8 | data[at + 1]
    return min(at + 2 + length, len(data)) if length <= MAX_BODY else None


def _next_frame(data: bytes, at: int) -> int:
    """The next place where a frame with a known code fits, or the end."""
    for place in range(at, len(data) - 2):
        length = data[place] << 8 | data[place + 1]
        code = data[place + 2]
        if 0 < length <= MAX_BODY and place + 2 + length <= len(data) and (code in _NAMES or code <= 0x0C):
            return place
    return len(data)


class Explainer:
    """Explains frames in the order in which they passed a line, and remembers what the next one needs."""

    def __init__(self, keys: Mapping[str, object] | None = None) -> None:
        self._keys = {name: key16(key) for name, key in (keys or {}).items()}
        self._exchange: Exchange | None = None
        self._request: bytes | None = None
        self._asked = False
        self._tls = TlsObserver(self._keys)

    def frame(self, raw: bytes, *, direction: str = "", offset: int = 0) -> Explained:
        """One frame with its length. ``direction``: TO_SERVER, TO_CLIENT, or empty to guess."""
        row = Explained(offset, raw, direction)
        length = int.from_bytes(raw[:2], "big")
        body = raw[2:]
        row.fields["length"] = length
        if len(raw) < 2 or (not body and length):
            row.error = "the frame ends too early"
            return row
        if not length:
            row.direction = direction or TO_CLIENT
            row.fields["meaning"] = "alert: read the alert flags in ET13"
            row.tree = layout_of(Frame).explain(raw)
            return row
        row.direction = direction or self._guess(body)
        missing = length - len(body)
        try:
            if row.direction == TO_SERVER:
                self._to_server(row, body, length)
            else:
                self._to_client(row, body, length)
        except DecodeError as error:
            row.error = row.error or str(error)
        left_out = _LEFT_OUT.get(missing, "") if row.fields.get("security") != "TLS" else ""
        if left_out and not row.error:
            # People publish their frames without what depends on the key: that is no damage.
            row.fields["note"] = f"{left_out} left out: nothing is verified"
        elif missing > 0:
            row.error = f"{missing} bytes are missing at the end"
        return row

    def _guess(self, body: bytes) -> str:
        code = body[0]
        if code in _REQUESTS or code in _TLS_CODES:
            # An encrypted answer may begin with any byte: if the last request was encrypted, try to open it as that.
            encrypted = self._exchange is not None and self._exchange.encrypted
            if self._asked and encrypted and self._exchange and self._exchange.open_response(body) is not None:
                return TO_CLIENT
            return TO_SERVER
        if code <= Code.INVALID_SEQUENCE and open_request(body, self._keys) is None:
            return TO_CLIENT
        return TO_CLIENT if self._asked and open_request(body, self._keys) is None else TO_SERVER

    # ---- requests ----
    def _to_server(self, row: Explained, body: bytes, length: int) -> None:
        self._asked = True
        self._exchange = None
        self._request = None
        opened = open_request(body, self._keys) if len(body) == length else None
        if opened is None and body[0] in _TLS_CODES:
            self._tls_frame(row, body)
            return
        plain = body
        if opened is not None:
            self._exchange = opened.exchange
            plain = opened.exchange.span + opened.exchange.digest
            row.fields["access"] = opened.access
            row.fields["digest_ok"] = True
        elif self._keys and len(body) == length:
            row.error = "no key gives this digest"
            row.fields["digest_ok"] = False
        encrypted = opened.exchange.encrypted if opened else plain[0] not in _REQUESTS
        how = "encrypted" if encrypted else "authenticated, not encrypted"
        row.fields["security"] = f"RC4 mode, {how}"
        message = plain[: max(0, length - SEQUENCE_SIZE - DIGEST_SIZE)]
        sequence = plain[len(message) : len(message) + SEQUENCE_SIZE]
        if not encrypted or opened:
            self._request = message
            row.fields["message"] = message.hex()
            row.fields["sequence_number"] = sequence.hex()
        row.fields["digest"] = plain[len(message) + SEQUENCE_SIZE :].hex()
        row.tree = _tree(Rc4Request, row.raw[:2] + plain)
        if self._request:
            _request_fields(row, self._request, "message")

    # ---- responses ----
    def _to_client(self, row: Explained, body: bytes, length: int) -> None:
        self._asked = False
        if self._tls.waiting:
            self._tls_frame(row, body)
            return
        message = body[: max(1, length - DIGEST_SIZE)] if length > 1 else body
        digest = body[len(message) :]
        encrypted = False
        if self._exchange is not None and len(body) == length and length > DIGEST_SIZE:
            opened = self._exchange.open_response(body)
            row.fields["digest_ok"] = opened is not None
            if opened is not None:
                encrypted = self._exchange.encrypted
                message = opened
            elif body[0] == Code.AUTHENTICATION_FAILED:
                row.fields["note"] = "0B need not be signed"
            else:
                row.error = "the digest does not fit the request before it"
        if digest and self._exchange is not None and digest == self._exchange.digest:
            row.fields["note"] = "the request's digest: everybody on the line can make this answer"
        row.fields["security"] = "RC4 mode, encrypted" if encrypted else "RC4 mode, authenticated, not encrypted"
        row.fields["message"] = message.hex()
        row.fields["digest"] = digest.hex()
        row.tree = _tree(Rc4Response, row.raw[:2] + message + digest)
        _response_fields(row, message, self._request, "message")
        self._exchange = None

    # ---- TLS ----
    def _tls_frame(self, row: Explained, body: bytes) -> None:
        code = body[0]
        row.fields["security"] = "TLS"
        to_server = row.direction == TO_SERVER
        row.fields["code" if to_server else "outer_code"] = f"{code:02x} {_NAMES.get(code, '')}".strip()
        row.tree = tree = _tree(TlsFrame, row.raw)
        if to_server and code == Code.TLS_END:
            self._tls = TlsObserver(self._keys)
            self._tls.waiting = True
            return
        if code == Code.TLS_HANDSHAKE:
            self._tls = TlsObserver(self._keys)
        seen = self._tls.records(body[1:], to_server=to_server)
        row.fields["records"] = seen.records
        for record in seen.trees:
            tree.graft("records", record)
        row.error = row.error or seen.error
        if self._tls.access:
            row.fields["access"] = self._tls.access
        if seen.plain:
            row.fields["message"] = seen.plain.hex()
            if to_server:
                self._request = seen.plain
                _request_fields(row, seen.plain, "records")
            else:
                _response_fields(row, seen.plain, self._request, "records")


def _tree(struct: type[Struct], raw: bytes) -> ExplainNode:
    return layout_of(struct).explain(raw)


def _graft(row: Explained, struct: type[Struct], message: bytes, under: str) -> Struct:
    """Reads a message and hangs its tree below the field that carries it."""
    value = struct.decode(message)
    if row.tree is not None and under == "message":
        row.tree.graft(under, layout_of(struct).explain(message))
    return value


def _request_fields(row: Explained, message: bytes, under: str) -> None:
    fields = row.fields
    struct = _REQUESTS.get(message[0])
    if struct is None:
        fields["request_code"] = f"{message[0]:02x}"
        row.error = row.error or f"{message[0]:02X} is no table service"
        return
    fields["request_code"] = f"{message[0]:02x} {_NAMES[message[0]]}"
    value = _graft(row, struct, message, under)
    fields["table"] = table = value.table  # type: ignore[attr-defined]  # all four have one
    fields["table_name"] = table_name(table)
    for name in ("offset", "count"):
        number = getattr(value, name, None)
        if number is not None:
            fields[name] = number
    data = getattr(value, "data", None)
    if data is None:
        return
    fields["data"] = data.hex()
    if table == _BT07 and not getattr(value, "offset", 0) and len(data) >= 3:
        number = int.from_bytes(data[:2], "little") & 0x0FFF
        fields["procedure"] = {"name": procedure_name(number), "sequence": data[2], "parameters": data[3:].hex()}
    elif table == _ET52 and not getattr(value, "offset", 0):
        fields["transaction"] = _transaction(data, requests=True)


def _response_fields(row: Explained, message: bytes, request: bytes | None, under: str) -> None:
    fields = row.fields
    code = message[0]
    fields["response_code"] = f"{code:02x}"
    fields["meaning"] = Code(code).name
    read = request[0] in (0x30, 0x3F) if request else len(message) >= 3
    if code == Code.INVALID_SEQUENCE and len(message) >= 5:
        _graft(row, InvalidSequenceResponse, message, under)
        fields["sequence_number"] = message[1:5].hex()
    elif code == Code.OK and read and message != b"\0":
        value = _graft(row, ReadResponse, message, under)
        assert isinstance(value, ReadResponse)
        fields["count"] = value.count
        fields["table_data"] = value.data.hex()
        if request:
            fields["table"] = table = int.from_bytes(request[1:3], "big")
            fields["table_name"] = table_name(table)
            if table == extended(53) and len(value.data) > 7:
                fields["transaction"] = _transaction(value.data, requests=False)
    else:
        _graft(row, Response, message, under)


def _transaction(content: bytes, *, requests: bool) -> dict[str, Any]:
    """ET52 or ET53 in short; an empty dictionary if it is only a part."""
    try:
        value = ET52.decode(content)
    except DecodeError:
        return {}
    records = []
    for record in value.records:
        inner = Explained(0, b"")
        try:
            if requests:
                _request_fields(inner, record.message, "")
            else:
                _response_fields(inner, record.message, None, "")
        except (DecodeError, IndexError):
            inner.fields["data"] = record.message.hex()
        records.append(inner.fields)
    return {"size": value.trans_size, "type": value.trans_type, "number": value.trans_nbr, "records": records}
