"""Takes keys out of frames, so that captures, traces and explanations can be shown.

Network management carries authentication keys in clear (``spec/iso14908-1.md`` 5.5, 5.7), and so does the alternate key of
the enhanced proxy (6.4). They are replaced by as many bytes 2A: lengths and offsets stay. Masked are the key of *update domain*
(63) and of the answer to *query domain* (2A), the increments of *update key* (65), the key of open media authentication in
*report key* and *update key* (20 09, 60 0A), the alternate key, and all of these inside a proxied or router-escaped message.

What cannot be recognised by a frame alone is not masked: reading and writing memory at an address where another maker's node
node keeps its domain table (our own never lets it be read, see ``memory``), and the commands of the second security generation. A
response is recognised by code and length, since its request is not at hand: a foreign one of the same shape is masked, too. Frames
of an NPDU version that no source describes are read in both ways, with short and with long transaction numbers, and what either
takes for a key is masked; so is a key behind a member list that is longer than ours may be.
"""

from __future__ import annotations

from osgp.lon.apdu import PROXY, ROUTER_ESCAPE
from osgp.lon.ltep import Ltep
from osgp.lon.nm import DomainResponse, UpdateDomain, UpdateKey
from osgp.lon.nm_expanded import KeyResponse, UpdateOpenMediaKey
from osgp.lon.npdu import ENHANCED, LEGACY, Npdu, PduType
from osgp.lon.tpdu import VERSIONS, Spdu, SpduHeader, SpduType, Tpdu
from osgp.wire import Struct, layout_of
from osgp.wire.errors import DecodeError

__all__ = ["MASK", "may_hide", "redacted", "redacted_apdu", "redacted_pdu"]

MASK = 0x2A
"""What stands in place of a key's bytes (project choice)."""
_CRC_SIZE = 2
_MOST_NESTED = 16
"""Proxied messages inside proxied messages that are looked into; what is deeper is masked as a whole (project choice)."""


def _place(struct: type[Struct], path: str) -> slice:
    span = layout_of(struct).span(path)
    return slice(span.offset, span.offset + span.size)


_REQUESTS: dict[bytes, slice] = {
    b"\x63": _place(UpdateDomain, "entry.key"),
    b"\x65": _place(UpdateKey, "key"),
    b"\x60\x0a": _place(UpdateOpenMediaKey, "key"),
}
_RESPONSES: dict[bytes, slice] = {
    b"\x2a": _place(DomainResponse, "entry.key"),
    b"\x20\x09": _place(KeyResponse, "key"),
}


_CARRIERS = (PROXY, ROUTER_ESCAPE)
_HIDING = tuple(
    frozenset((*(head[0] for head in heads), *more)) for heads, more in ((_REQUESTS, _CARRIERS), (_RESPONSES, ()))
)
"""First bytes of the messages that may hold a key: requests, responses."""


def _mask(out: bytearray, start: int, stop: int) -> None:
    stop = min(stop, len(out))
    if start < stop:
        out[start:stop] = bytes((MASK,)) * (stop - start)


def _mask_proxied(out: bytearray, pos: int) -> int:
    """Mask an alternate key; where the target's message begins."""
    raw = bytes(out[pos:])
    try:
        message = Ltep.decode(raw)
    except DecodeError:
        pass  # cut off: how far it goes the explanation tells
    else:
        if message.alternate_key is None:  # nearly always, and much cheaper than an explanation
            return len(out) - len(message.apdu)
    tree = layout_of(Ltep).explain(raw)
    inner = end = len(out)
    reached = pos
    for _, node in tree.walk():
        if node.doc.startswith("secret"):
            _mask(out, pos + node.offset, pos + node.offset + node.size)
        if node is not tree:
            reached = max(reached, pos + node.offset + node.size)
        if node.name == "apdu":
            inner = pos + node.offset
    if tree.error:
        _mask(out, reached, end)  # cut off: what follows may be the beginning of a key
    return inner


def _mask_apdu(out: bytearray, pos: int, response: bool) -> None:
    for _ in range(_MOST_NESTED):
        if pos >= len(out):
            return
        code = out[pos]
        if response or code not in (PROXY, ROUTER_ESCAPE):
            break
        pos = pos + 1 if code == ROUTER_ESCAPE else _mask_proxied(out, pos)
    else:
        _mask(out, pos, len(out))
        return
    for head, place in (_RESPONSES if response else _REQUESTS).items():
        longest = place.stop + _CRC_SIZE
        if out.startswith(head, pos) and not (response and len(out) - pos > longest):
            _mask(out, pos + place.start, pos + place.stop)


def may_hide(head: bytes, response: bool) -> bool:
    """Whether an APDU that begins with these bytes, one at least, may hold a key. ``response`` as in ``redacted_apdu``."""
    known = _RESPONSES if response else _REQUESTS
    return (not response and head[0] in _CARRIERS) or any(head.startswith(key) or key.startswith(head) for key in known)


def redacted_apdu(apdu: bytes, response: bool) -> bytes:
    """The APDU without keys, of the same length. ``response``: it is the response to a request, which its code does not say."""
    if not apdu or apdu[0] not in _HIDING[response]:
        return bytes(apdu)
    out = bytearray(apdu)
    _mask_apdu(out, 0, response)
    return bytes(out)


def redacted_pdu(pdu: bytes, kind: int, version: int) -> bytes:
    """What an NPDU of that version encloses, a PDU of that kind, without keys and of the same length."""
    if kind == PduType.AUTHPDU or not pdu:
        return bytes(pdu)
    if kind == PduType.APDU:
        return redacted_apdu(pdu, False)
    response = kind == PduType.SPDU and SpduHeader(pdu[0]).type == SpduType.RESPONSE
    if version in (LEGACY, ENHANCED):
        return _read_as(pdu, kind, version, response)
    readings = zip(_read_as(pdu, kind, LEGACY, response), _read_as(pdu, kind, ENHANCED, response), pdu, strict=True)
    return bytes(one if one != raw else other for one, other, raw in readings)


def _read_as(pdu: bytes, kind: int, version: int, response: bool) -> bytes:
    start = _apdu_at(pdu, kind, version)
    return pdu[:start] + redacted_apdu(pdu[start:], response)


def _apdu_at(pdu: bytes, kind: int, version: int) -> int:
    """Where the APDU begins in a TPDU or SPDU read with that version; its end, where it has none."""
    struct = Spdu if kind == PduType.SPDU else Tpdu
    try:
        return len(pdu) - len(struct.decode(pdu, VERSIONS[version]).apdu)
    except DecodeError as error:
        at = len(pdu) if error.field != "member_list" or error.bit_offset is None else error.bit_offset // 8
        return at + 1 + pdu[at] if at < len(pdu) else at  # behind a list longer than ours may be


def redacted(lpdu: bytes) -> bytes:
    """The frame without keys, of the same length; a CRC behind it is the caller's to calculate anew.

    Any bytes are taken: what is no frame holds no key in a place that could be known, and comes back as it is.
    """
    try:
        npdu = Npdu.decode(lpdu[1:])
    except DecodeError:
        return bytes(lpdu)
    start = len(lpdu) - len(npdu.pdu)
    return bytes(lpdu[:start]) + redacted_pdu(npdu.pdu, npdu.control.pdu_type, npdu.control.version)
