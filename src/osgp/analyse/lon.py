"""Frames of a control network layer by layer: what each says, and the tree of all fields. One frame at a time, no memory.

Layouts from ``osgp.lon`` (ISO/IEC 14908-1); the order of layers is ``docs/design/control-network.md``. A response does not say what it
answers: ``lon_observer`` remembers the request and hands it in; without it a response's APDU stays a code and its data. Keys in
network management are masked before anything is explained (``osgp.lon.redact``); the bytes shown are the masked ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from osgp.lon.address import Broadcast, Destination, Group, SubnetNode, UniqueNodeId
from osgp.lon.apdu import PROXY, PROXY_FAILED, ROUTER_ESCAPE, Apdu, Family, NvMessage, family
from osgp.lon.authpdu import AuthPdu
from osgp.lon.cnip import DIGEST_SIZE, HEADER_SIZE, CnIpPacket, lpdu_in
from osgp.lon.commands import command, decode_request, decode_response, is_command
from osgp.lon.crc import CRC_SIZE, has_crc, with_crc, without_crc
from osgp.lon.lonip import LonIpHeader
from osgp.lon.lpdu import LinkHeader, Lpdu, LpduWithCrc
from osgp.lon.ltep import Ltep, LtepFailure
from osgp.lon.npdu import ENHANCED, LEGACY, AddressFormat, Npdu, PduType
from osgp.lon.packet import Packet
from osgp.lon.redact import MASK, redacted_apdu, redacted_pdu
from osgp.lon.tpdu import VERSIONS, Spdu, SpduType, Tpdu, TpduType
from osgp.wire import EMPTY, Context, Struct, layout_of
from osgp.wire.errors import BadCrc, DecodeError, Truncated
from osgp.wire.explain import ExplainNode

__all__ = [
    "Dissection",
    "dissect_cnip",
    "dissect_frame",
    "dissect_lonip",
    "explain_frame",
    "read_message",
    "type_name",
    "target_apdu",
]

_MOST_NESTED = 16
_PDUS: dict[int, type[Tpdu] | type[Spdu] | type[AuthPdu]] = {
    PduType.TPDU: Tpdu,
    PduType.SPDU: Spdu,
    PduType.AUTHPDU: AuthPdu,
}
_FULL = {
    Tpdu: (TpduType.ACKD, TpduType.UNACKD_RPT, TpduType.REM_MSG),
    Spdu: (SpduType.REQUEST, SpduType.RESPONSE, SpduType.REM_MSG),
}
"""Types that carry a message."""
_SILENT: dict[type[Struct], tuple[int, ...]] = {
    Tpdu: (TpduType.ACK, TpduType.REMINDER),
    Spdu: (SpduType.REMINDER,),
}
"""Types that carry none."""
CUT = "cut short, or bytes of something else"


Layer = tuple[str, type[Struct], Context, int, int]
"""The field of the layer before that holds it, its layout, where it begins and ends."""
CARRIERS = (PROXY, ROUTER_ESCAPE)
_CHILDREN = ',"children":['
_ERROR = '"error":"'
"""Stands in a tree's text only where there is an error: quotes inside texts are escaped."""
dumps = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(slots=True)
class Dissection:
    """One frame, read as far as it goes.

    ``carrier``: ``lpdu``, ``cnip`` or ``lonip``. ``raw``: its bytes, keys masked. ``crc``: whether the frame's CRC is right, None
    without one. ``header``, ``npdu``, ``pdu``, ``apdu``: the layers that could be read, the APDU with keys masked. ``error``:
    what is wrong, where, and the likely cause.
    """

    carrier: str
    raw: bytes
    crc: bool | None = None
    header: LinkHeader | None = None
    npdu: Npdu | None = None
    pdu: Tpdu | Spdu | AuthPdu | None = None
    apdu: bytes = b""
    error: str = ""
    _layers: list[Layer] = field(default_factory=list)
    _apdu_at: int = 0
    _crc_sought: bool = False  # and none found: its last bytes may be a damaged one

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong with it."""
        return not self.error

    @property
    def is_response(self) -> bool:
        """Whether it is the response to a request."""
        return isinstance(self.pdu, Spdu) and self.pdu.header.type == SpduType.RESPONSE

    @property
    def direction(self) -> str:
        """``request`` or ``response`` for what the session layer carries, else nothing."""
        return "" if not isinstance(self.pdu, Spdu) else "response" if self.is_response else "request"

    @property
    def transaction(self) -> int | None:
        """The transaction number, of 12 bits in enhanced mode."""
        if self.pdu is None:
            return None
        low = self.pdu.transaction_low
        return self.pdu.header.transaction if low is None else self.pdu.header.transaction << 8 | low

    @property
    def source(self) -> SubnetNode | None:
        """The sender."""
        return None if self.npdu is None else SubnetNode(self.npdu.source_subnet, self.npdu.source_node.node)

    @property
    def destination(self) -> Destination | None:
        """Whom it is for; for the answer of a group's member the node that asked."""
        return None if self.npdu is None else _destination(self.npdu)

    def problem(self, request: bytes | None = None) -> str:
        """``error``; and, of a response that is read by its ``request``, whether two bytes follow it as those of a damaged CRC do."""
        if self.error or not (self._crc_sought and request and self.is_response):
            return self.error
        left = two_are_left(self.pdu, self.apdu, target_apdu(request))
        return _two_too_many(self._apdu_at + len(self.apdu)) if left else ""

    def tree(self, request: bytes | None = None) -> ExplainNode:
        """Every field of every layer with offsets from the start of the frame. ``request``: the APDU that a response answers."""
        root = at = ExplainNode("Frame", type="record", size=len(self.raw), raw=self.raw)
        for place, (name, struct, context, start, end) in enumerate(self._all_layers(request)):
            inner = _explain(struct, context, self.raw[start:end], start)
            if not place:
                root = at = inner
                continue
            inner.shift(start)
            (_child(at, name) or at).children.append(inner)
            at = inner
        root.error = self.problem(request) or root.error
        return root

    def tree_json(self, request: bytes | None = None) -> str:
        """The tree as JSON text, which for sound frames is made without it, many times as fast."""
        layers = self._all_layers(request)
        if len(layers) < 2 and self.error:
            return dumps(self.tree(request).to_json())
        text, carrier, raw = "", "", self.raw
        for name, struct, context, start, end in reversed(layers):
            grafts = {carrier: text} if carrier else None
            text = layout_of(struct, context).explain_json(raw[start:end], start, grafts)
            if not carrier and _ERROR in text:  # what is damaged is the innermost layer
                text = damaged_json(struct, context, raw[start:end], start)
            carrier = name
        error = self.problem(request)
        return with_error(text, error) if error else text

    def _all_layers(self, request: bytes | None) -> list[Layer]:
        if not self.apdu:
            return self._layers
        holder = "apdu" if self.pdu is not None else "pdu"
        return self._layers + apdu_layers(self.apdu, holder, self._apdu_at, self.is_response, request)

    def fields(self, request: bytes | None = None) -> dict[str, Any]:
        """What the frame says, as plain data; ``request`` as in ``tree``."""
        told: dict[str, Any] = {"carrier": self.carrier}
        if self.crc is not None:
            told["crc_ok"] = self.crc
        if self.header is not None:
            told["priority"] = bool(self.header.priority)
            told["alternate_path"] = bool(self.header.alternate_path)
            told["delta_backlog"] = self.header.delta_backlog
        npdu = self.npdu
        if npdu is not None:
            told["version"] = npdu.control.version
            told["domain"] = npdu.domain.hex().upper()
            told["source"] = str(self.source)
            told["destination"] = str(self.destination)
            if npdu.member is not None:
                told["group"] = npdu.group
                told["member"] = npdu.member
            told["pdu"] = PduType(npdu.control.pdu_type).name
        if self.pdu is not None:
            told["type"] = type_name(self.pdu)
            told["transaction"] = self.transaction
        if isinstance(self.pdu, (Tpdu, Spdu)):
            told["authenticated"] = bool(self.pdu.header.authenticated)
            if self.pdu.member_list is not None:
                told["member_list"] = self.pdu.member_list.hex()
        if self.apdu:
            told["apdu"] = _apdu_fields(self.apdu, self.is_response, request)
        return told


def with_error(text: str, error: str) -> str:
    """A tree's text with an error at its root."""
    head, children, rest = text.partition(_CHILDREN)
    return f'{head},"error":{dumps(error)}{children}{rest}'


def type_name(pdu: Tpdu | Spdu | AuthPdu) -> str:
    """The type of a PDU as the standard spells it; a number for one that nobody knows."""
    code = pdu.header.type
    return pdu.header.fields["type"].label(code) or f"type {code}"


# ---- from bytes to layers ----------------------------------------------------------------------------------------------
def dissect_frame(frame: bytes, *, crc: bool | None = None) -> Dissection:
    """Read a link frame. ``crc``: whether it ends with its CRC; None: it does if its last two bytes are that. Never raises."""
    found = Dissection("lpdu", frame)
    _lpdu(found, 0, len(frame), crc)
    return found


def dissect_cnip(datagram: bytes, *, crc: bool | None = None) -> Iterator[Dissection]:
    """Read the packets of a CN/IP datagram, one after the other; ``crc`` as in ``dissect_frame``. Never raises."""
    at = 0
    while True:
        rest = datagram[at:]
        found = Dissection("cnip", rest)
        try:
            packet = CnIpPacket.decode(rest)
        except DecodeError as error:
            found._layers.append(("", CnIpPacket, EMPTY, 0, len(rest)))
            found.error = told_at(error, 0, CUT)
            yield found
            return
        start = HEADER_SIZE + len(packet.extension)
        end = start + len(packet.data)
        size = end + (DIGEST_SIZE if packet.digest is not None else 0)
        least = HEADER_SIZE + 4 * packet.header.extension_words
        found.raw = rest[:size]
        found._layers.append(("", CnIpPacket, EMPTY, 0, size))
        if packet.header.length < least:
            words = f"a length of {packet.header.length} bytes, the header alone has {least}"
            found.error = f"{words} (lon: CnIpHeader.length at byte 0); likely {CUT}"
            yield found
            return
        try:
            lpdu_in(packet, crc=False)
        except DecodeError as error:
            found.error = told_at(error, 0, "")
        else:
            _lpdu(found, start, end, crc)
        yield found
        at += size
        if at >= len(datagram):
            return


def dissect_lonip(datagram: bytes, packet: Packet | None) -> Dissection:
    """Read a LON/IP datagram. ``packet``: what ``osgp.lon.lonip.LonIp`` makes of it, which knows what the IP addresses say; None when
    it makes nothing of it. Never raises."""
    found = Dissection("lonip", datagram)
    found._layers.append(("", LonIpHeader, EMPTY, 0, len(datagram)))
    try:
        header = LonIpHeader.decode(datagram)
    except DecodeError as error:
        found.error = told_at(error, 0, CUT)
        return found
    if packet is not None:
        found.header, found.npdu = packet.header, packet.npdu
    version = {0: LEGACY, 1: ENHANCED}.get(header.version.version, 3)  # 3: one that nobody speaks
    _pdu(found, PduType(header.control.pdu_type), version, len(datagram) - len(header.pdu))
    return found


def explain_frame(frame: bytes, *, crc: bool | None = None, request: bytes | None = None) -> ExplainNode:
    """The tree of a link frame's fields, all layers; ``crc`` as in ``dissect_frame``, ``request`` as in ``Dissection.tree``."""
    return dissect_frame(frame, crc=crc).tree(request)


def target_apdu(apdu: bytes) -> bytes:
    """The innermost message of a proxied or router-escaped one; any other comes back as it is."""
    for _ in range(_MOST_NESTED):
        try:
            inner = _carried(apdu)
        except DecodeError:
            break
        if not inner:
            break
        apdu = inner
    return apdu


def told_at(error: DecodeError, start: int, cause: str) -> str:
    """An error with its place counted from the start of the frame, and the likely cause."""
    if error.bit_offset is not None:
        error.bit_offset += 8 * start
    cause = error.hint or cause
    return f"{error}; likely {cause}" if cause else str(error)


def _lpdu(found: Dissection, start: int, end: int, crc: bool | None) -> None:
    frame = found.raw[start:end]
    checked = has_crc(frame) if crc is None else crc
    name = "data" if start else ""
    found._layers.append((name, LpduWithCrc if checked else Lpdu, EMPTY, start, end))
    inner = end
    if checked:
        try:
            without_crc(frame)
            found.crc = True
        except BadCrc as error:
            found.crc = False
            found.error = told_at(error, start, "")
        except Truncated as error:
            found.error = told_at(error, start, CUT)
            return
        inner -= CRC_SIZE
    if inner == start:
        found.error = f"no bytes, no frame (lon: Lpdu.header at byte {start})"
        return
    found.header = LinkHeader(frame[0])
    start += 1
    found._layers.append(("npdu", Npdu, EMPTY, start, inner))
    try:
        npdu = Npdu.decode(found.raw[start:inner])
    except DecodeError as error:
        found.error = found.error or told_at(error, start, CUT)
        return
    found.npdu = npdu
    masked = _pdu(found, PduType(npdu.control.pdu_type), npdu.control.version, inner - len(npdu.pdu), inner)
    found._crc_sought = crc is None and not checked
    if found._crc_sought and not found.error and two_are_left(found.pdu, found.apdu):
        found.error = _two_too_many(inner)
    if masked and checked:  # the old CRC would tell something about what was masked
        good = with_crc(found.raw[end - len(frame) : inner])[-CRC_SIZE:]
        found.raw = found.raw[:inner] + (good if found.crc else bytes((MASK,)) * CRC_SIZE) + found.raw[end:]


def _pdu(found: Dissection, kind: PduType, version: int, start: int, end: int | None = None) -> bool:
    """Read what the network layer encloses, mask keys; whether any were."""
    end = len(found.raw) if end is None else end
    raw = found.raw[start:end]
    if not raw:
        found.error = found.error or f"nothing is enclosed (lon: Npdu.pdu at byte {start}); likely {CUT}"
        return False
    context = VERSIONS[version]
    masked = version not in (LEGACY, ENHANCED) and _hide(found, start, redacted_pdu(raw, kind, version), end)
    if kind == PduType.APDU:
        found._apdu_at = start
    else:
        struct = _PDUS[kind]
        found._layers.append(("pdu", struct, context, start, end))
        try:
            found.pdu = struct.decode(found.raw[start:end], context)
        except DecodeError as error:
            found.error = found.error or told_at(error, start, CUT)
            return _hide(found, start, redacted_pdu(raw, kind, version), end) or masked
        if kind == PduType.AUTHPDU:
            return False
        found._apdu_at = end - len(found.pdu.apdu) if isinstance(found.pdu, (Tpdu, Spdu)) else end
    apdu = found.raw[found._apdu_at : end]
    if not apdu and isinstance(found.pdu, (Tpdu, Spdu)) and found.pdu.header.type in _FULL[type(found.pdu)]:
        found.error = (
            found.error or f"no message in it (lon: {type(found.pdu).__name__}.apdu at byte {end}); likely {CUT}"
        )
    found.apdu = redacted_apdu(apdu, found.is_response)
    masked = _hide(found, found._apdu_at, found.apdu, end) or masked
    found.error = found.error or apdu_error(found.apdu, found._apdu_at, found.is_response)
    return masked


def _hide(found: Dissection, start: int, shown: bytes, end: int) -> bool:
    """Show these bytes in place of what was there; whether they differ."""
    if shown == found.raw[start:end]:
        return False
    found.raw = found.raw[:start] + shown + found.raw[end:]
    return True


def _two_too_many(end: int) -> str:
    return f"2 bytes too many (lon: Lpdu at byte {end - CRC_SIZE}); likely a CRC that does not fit"


def two_are_left(pdu: Tpdu | Spdu | AuthPdu | None, apdu: bytes, asked: bytes = b"") -> bool:
    """Whether two bytes follow all that a frame declares, as those of a damaged CRC do. ``asked``: the APDU that a response answers;
    the layout of a response is not known without it.

    ``pdu``: None for an APDU without one. A project choice: such a frame is taken for damaged where nobody says that it has no CRC.
    """
    if isinstance(pdu, AuthPdu):
        return len(pdu._rest) == CRC_SIZE
    if pdu is not None and pdu.header.type in _SILENT[type(pdu)]:
        return len(apdu) == CRC_SIZE
    try:
        if isinstance(pdu, Spdu) and pdu.header.type == SpduType.RESPONSE:
            known = bool(apdu and asked) and is_command(asked[0])
            return known and len(decode_response(asked, apdu)._rest) == CRC_SIZE
        target = target_apdu(apdu)
        if not target or not is_command(target[0]):
            return False
        about = command(target[0], target[1:])
        return not about.padded and len(about.request.decode(target)._rest) == CRC_SIZE
    except DecodeError:
        return False


def apdu_error(apdu: bytes, start: int, response: bool) -> str:
    """What is wrong with a message of a known layout, or with the one that it carries to its target."""
    for _ in range(_MOST_NESTED):
        struct = _struct_of(apdu, response)
        try:
            if struct is not None:
                struct.decode(apdu)
            elif apdu and not response and is_command(apdu[0]):
                decode_request(apdu)
        except DecodeError as error:
            return told_at(error, start, CUT)
        inner = b"" if response else _carried(apdu)
        if inner is None:
            return f"no message for the target (lon: Ltep.apdu at byte {start + len(apdu)}); likely {CUT}"
        if not inner:
            break
        start += len(apdu) - len(inner)
        apdu = inner
    return ""


def _carried(apdu: bytes) -> bytes | None:
    """The message inside a sound proxied or router-escaped one; no bytes in others; None where it is missing."""
    if apdu[:1] == bytes((ROUTER_ESCAPE,)):
        return apdu[1:]
    return Ltep.decode(apdu).apdu or None if apdu[:1] == bytes((PROXY,)) else b""


def _struct_of(apdu: bytes, response: bool) -> type[Struct] | None:
    """The layout of a message that is none of diagnostics and management, and no response to one."""
    if not apdu:
        return None
    code = apdu[0]
    if family(code) == Family.VARIABLE:
        return NvMessage
    if response:
        return LtepFailure if code == PROXY_FAILED and len(apdu) == 2 else None
    if code == PROXY:
        return Ltep
    return None if is_command(code) else Apdu


def _destination(npdu: Npdu) -> Destination:
    how = npdu.control.address_format
    if how == AddressFormat.MULTICAST:
        return Group(npdu.group or 0)
    if how == AddressFormat.UNIQUE_NODE_ID:
        return UniqueNodeId(npdu.unique_node_id or bytes(6), npdu.destination_subnet or 0)
    if npdu.destination_node is not None:
        return SubnetNode(npdu.destination_subnet or 0, npdu.destination_node.node)
    return Broadcast(npdu.destination_subnet or 0)


# ---- from layers to trees ------------------------------------------------------------------------------------------------
def _child(node: ExplainNode, name: str) -> ExplainNode | None:
    return next((child for child in node.children if child.name == name), None)


def _explain(struct: type[Struct], context: Context, raw: bytes, start: int) -> ExplainNode:
    """The tree of a layer; places in its error count from the start of the frame, its offsets do not yet."""
    inner = layout_of(struct, context).explain(raw)
    if inner.error:
        try:
            layout_of(struct, context).decode(raw)
        except DecodeError as error:
            inner.error = told_at(error, start, "")
    return inner


def damaged_json(struct: type[Struct], context: Context, raw: bytes, start: int) -> str:
    """The text of a layer that is damaged, of all that can be read; places count from the start of the frame."""
    inner = _explain(struct, context, raw, start)
    inner.shift(start)
    return dumps(inner.to_json())


def apdu_layers(apdu: bytes, holder: str, start: int, response: bool, request: bytes | None) -> list[Layer]:
    """The layouts of a message and of those that it carries, as far as they can be read."""
    end = start + len(apdu)
    asked = target_apdu(request) if response and request else b""
    layers: list[Layer] = []
    for _ in range(_MOST_NESTED):
        struct = layout_for(apdu, response, asked)
        layers.append((holder, struct, EMPTY, start, end))
        if response or apdu[0] not in CARRIERS:
            break
        try:
            inner = _carried(apdu)
        except DecodeError:
            break
        if not inner:
            break
        holder, start, apdu = "apdu", end - len(inner), inner
    return layers


def layout_for(apdu: bytes, response: bool, asked: bytes) -> type[Struct]:
    """The layout of a message. ``asked``: the APDU that a response answers, b"" if it is not known."""
    if not response and is_command(apdu[0]):
        return command(apdu[0], apdu[1:]).request
    if response and asked and is_command(asked[0]):
        try:
            return type(decode_response(asked, apdu))
        except DecodeError:
            return command(asked[0], asked[1:]).response or Apdu
    return _struct_of(apdu, response) or Apdu


def read_message(apdu: bytes, response: bool = False, request: bytes = b"") -> Struct:
    """An APDU by its layout. ``request``: the APDU that a response answers, b"" if it is not known. Raises DecodeError."""
    if response and request and is_command(request[0]):
        return decode_response(request, apdu)
    if not response and apdu and is_command(apdu[0]):
        return decode_request(apdu)
    return (_struct_of(apdu, response) or Apdu).decode(apdu)


def _apdu_fields(apdu: bytes, response: bool, request: bytes | None) -> dict[str, Any]:
    told: dict[str, Any] = {"code": f"{apdu[0]:02X}"}
    asked = target_apdu(request) if response and request else b""
    if asked and is_command(asked[0]):
        told["answers"] = command(asked[0], asked[1:]).name
    elif not response and is_command(apdu[0]):
        told["name"] = command(apdu[0], apdu[1:]).name
    try:
        value = read_message(apdu, response, asked)
    except DecodeError:
        told["data"] = apdu[1:].hex()
        return told
    told["layout"] = type(value).__name__
    told.update({name.lower(): part for name, part in value.to_json().items() if name != "CODE"})
    if isinstance(value, Ltep) and value.apdu:
        told["apdu"] = _apdu_fields(value.apdu, False, None)
    return told
