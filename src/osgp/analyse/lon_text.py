"""Frames of a control network as one line for people: who to whom, service, transaction, what.

::

    1/10 → 1/20 [49] REQUEST tn 1 query status
    1/20 → 1/10 [49] RESPONSE tn 1 query status: configured

``frame_text`` says one frame that ``lon`` has read; ``batch_lines`` says a whole capture from its columns, in the same words. The
words are a project choice, those of the layers are the standard's (ISO/IEC 14908-1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from osgp.analyse.lon import Dissection, read_message, target_apdu, type_name
from osgp.lon.apdu import PROXY, Apdu, NvMessage
from osgp.lon.authpdu import AuthHeader
from osgp.lon.commands import command, is_command
from osgp.lon.entries import DomainEntry
from osgp.lon.ltep import Ltep, LtepFailure
from osgp.lon.nd import StatusResponse
from osgp.lon.nm import (
    DomainResponse,
    IdentityResponse,
    LeaveDomain,
    QueryAddress,
    QueryDomain,
    QueryId,
    Refusal,
    RespondToQuery,
    ServicePin,
    SetNodeMode,
    UpdateDomain,
    UpdateKey,
)
from osgp.lon.npdu import ENHANCED, LEGACY, AddressFormat, PduType
from osgp.lon.redact import redacted_apdu, redacted_pdu
from osgp.lon.tpdu import SpduHeader, SpduType, TpduHeader, members_in
from osgp.wire import Struct
from osgp.wire.errors import DecodeError

if TYPE_CHECKING:
    from osgp.analyse.loncolumns import LonBatch

__all__ = ["apdu_text", "batch_lines", "frame_text"]

_MOST_HEX = 16
_MEMORY = 65536
"""Messages whose words ``batch_lines`` keeps."""


def frame_text(frame: Dissection, request: bytes | None = None) -> str:
    """One line about a frame; damage is told at its end. ``request``: the APDU that a response answers."""
    npdu, pdu = frame.npdu, frame.pdu
    if npdu is None and (frame.error or not frame.apdu):
        return f"{frame.carrier} {_hex(frame.raw)}: {frame.error or 'no addresses known'}"
    header = frame.header
    flags = _flags(
        header.priority if header is not None else 0,
        header.alternate_path if header is not None else 0,
        header.delta_backlog if header is not None else 0,
        pdu.header.authenticated if pdu is not None and hasattr(pdu.header, "authenticated") else 0,
    )
    if npdu is None:
        line = f"? → ? [?] {'UNACKD' if pdu is None else type_name(pdu)}"
    else:
        kind = _kind(npdu.control.pdu_type, pdu.header.type if pdu is not None else 0)
        member = f" (group {npdu.group} member {npdu.member})" if npdu.member is not None else ""
        line = f"{frame.source} → {frame.destination}{member} [{npdu.domain.hex().upper() or 'empty'}] {kind}"
    if frame.transaction is not None:
        line += f" tn {frame.transaction}"
    line += flags
    members = getattr(pdu, "member_list", None)
    if members is not None:
        line += _members(members)
    if frame.apdu:
        line += f" {apdu_text(frame.apdu, frame.is_response, request)}"
    error = frame.problem(request)
    return f"{line}: {error}" if error else line


def apdu_text(apdu: bytes, response: bool = False, request: bytes | None = None) -> str:
    """An APDU in few words; ``request``: the one that it answers. Keys must have been masked (``Dissection.apdu`` is)."""
    asked = target_apdu(request) if response and request else b""
    name = ""
    if asked and is_command(asked[0]):
        name = command(asked[0], asked[1:]).name
    elif not response and is_command(apdu[0]):
        name = command(apdu[0], apdu[1:]).name
    try:
        value = read_message(apdu, response, asked)
    except DecodeError:
        return f"{name or f'code {apdu[0]:02X}'} {_hex(apdu[1:])}".rstrip()
    said = _detail(value, response)
    if not name:
        return said
    if isinstance(value, (LtepFailure, Apdu)) and response:
        return f"{name}: {said}"
    if response:
        return f"{name}: {said or 'done'}"
    return f"{name} {said}".rstrip()


# ---- words -------------------------------------------------------------------------------------------------------------
def _hex(raw: bytes) -> str:
    return raw[:_MOST_HEX].hex().upper() + ("…" if len(raw) > _MOST_HEX else "")


def _flags(priority: int, alternate: int, backlog: int, authenticated: int) -> str:
    words = []
    if priority > 0:
        words.append("priority")
    if alternate > 0:
        words.append("alternate path")
    if backlog > 1:
        words.append(f"backlog {backlog}")
    if authenticated > 0:
        words.append("authenticated")
    return f" ({', '.join(words)})" if words else ""


def _kind(pdu_type: int, code: int) -> str:
    if pdu_type == PduType.APDU:
        return "UNACKD"
    header = {PduType.TPDU: TpduHeader, PduType.SPDU: SpduHeader, PduType.AUTHPDU: AuthHeader}[PduType(pdu_type)]
    return header.fields["type"].label(code) or f"{PduType(pdu_type).name} of type {code}"


def _members(raw: bytes) -> str:
    done = sorted(members_in(raw))
    return f" (done: {', '.join(map(str, done)) or 'nobody'})"


def _place(entry: DomainEntry) -> str:
    if not entry.in_use:
        return "not in use"
    return f"[{entry.domain.hex().upper() or 'empty'}] {entry.subnet}/{entry.node.node}"


def _label(value: Struct, name: str) -> str:
    code = getattr(value, name)
    return value.specs[name].label(code) or f"{name} {code}"


def _identity(value: Any) -> str:
    program = value.program_id
    shown = program.decode("ascii") if all(0x20 < octet < 0x7F for octet in program) else program.hex().upper()
    return f"{value.unique_node_id.hex().upper()} program {shown}"


def _status(value: StatusResponse) -> str:
    state = value.state.fields["state"].label(value.state.state) or f"state {value.state.state}"
    return state + (", soft offline" if value.state.soft_offline else "")


def _chain(value: Ltep) -> str:
    hops = [f"{hop.subnet}/{hop.node}" for hop in value.long_hops or ()]
    hops += [str(hop.node) for hop in value.short_hops or ()]
    if value.target_unique_node_id is not None:
        target = value.target_unique_node_id.hex().upper()
    elif value.target_group is not None:
        target = f"group {value.target_group}"
    elif value.target_node is not None:
        subnet = "" if value.target_subnet is None else f"{value.target_subnet}/"
        target = f"{subnet}{value.target_node & 0x7F}"
    else:
        target = f"subnet {value.target_subnet}" if value.target_subnet else "broadcast"
    way = f"via {', '.join(hops)} " if hops else ""
    inner = apdu_text(value.apdu) if value.apdu else "nothing"
    return f"proxy {way}to {target}: {inner}"


def _variable(value: NvMessage, response: bool = False) -> str:
    verb = "value" if response else "poll" if value.header.direction else "update"
    return f"NV {value.header.selector:03X} {verb} {_hex(value.value)}".rstrip()


def _message(value: Apdu) -> str:
    return f"message {value.code:02X} {_hex(value.data)}".rstrip()


_DETAILS: dict[type[Struct], Callable[[Any], str]] = {
    Apdu: _message,
    DomainResponse: lambda value: _place(value.entry),
    IdentityResponse: _identity,
    LeaveDomain: lambda value: str(value.index),
    Ltep: _chain,
    LtepFailure: lambda value: f"proxy failed, addresses left: {value.remaining}",
    NvMessage: _variable,
    QueryAddress: lambda value: str(value.index),
    QueryDomain: lambda value: str(value.index),
    QueryId: lambda value: _label(value, "selector"),
    Refusal: lambda value: "refused",
    RespondToQuery: lambda value: _label(value, "select"),
    ServicePin: _identity,
    SetNodeMode: lambda value: _label(value, "mode"),
    StatusResponse: _status,
    UpdateDomain: lambda value: f"{value.index} {_place(value.entry)}",
    UpdateKey: lambda value: str(value.index),
}


def _detail(value: Struct, response: bool) -> str:
    say = _DETAILS.get(type(value))
    if say is None:
        return ""
    if response and isinstance(value, NvMessage):
        return _variable(value, True)
    if response and isinstance(value, Apdu):
        if value.code == PROXY and not value.data:
            return "proxy done"
        return f"code {value.code:02X} {_hex(value.data)}".rstrip()
    return say(value)


# ---- a capture at once ---------------------------------------------------------------------------------------------------
def batch_lines(batch: LonBatch, *, numbered: bool = True) -> Iterator[str]:
    """A line for each row of a columnar capture, about 3 µs each. ``numbered``: number of the frame and seconds since the first
    in front. Columns keep no member lists: those of reminders without a message are not told."""
    from osgp.ports.datagram import FAULTS, Fault

    columns = [batch[name].tolist() for name in _COLUMNS]
    data = batch.data
    first = columns[1][0] if columns[1] else 0
    heads: dict[tuple[int, ...], tuple[str, str]] = {}
    words: dict[tuple[bytes, bool], str] = {}
    session, response_type = int(PduType.SPDU), int(SpduType.RESPONSE)
    for row in zip(*columns):
        number, time_ns, error, transaction, length, offset, list_length, version, *rest = row
        key = tuple(rest)
        head = heads.get(key)
        if head is None:
            if len(heads) >= _MEMORY:
                heads.clear()
            head = heads[key] = _head(*key)
        kind, code = key[0], key[1]
        line = f"{head[0]} tn {transaction}{head[1]}" if transaction >= 0 else f"{head[0]}{head[1]}"
        if length > 0:
            if list_length >= 0:
                line += _members(data[offset - list_length : offset].tobytes())
            apdu = data[offset : offset + length].tobytes()
            if version not in (LEGACY, ENHANCED) and kind <= session:  # nobody speaks it: no key in either reading
                start = offset - (1 if list_length < 0 else 2 + list_length)
                apdu = redacted_pdu(data[start : offset + length].tobytes(), kind, version)[offset - start :]
            response = kind == session and code == response_type
            text = words.get((apdu, response))
            if text is None:
                if len(words) >= _MEMORY:
                    words.clear()
                text = words[apdu, response] = apdu_text(redacted_apdu(apdu, response), response)
            line += " " + text
        if error:
            fault = FAULTS.get(Fault(error), "")
            line = f"{line}: {fault}" if kind >= 0 else fault
        yield f"{number:>6} {(time_ns - first) / 1e9:>11.6f}  {line}" if numbered else line


_COLUMNS = (
    "frame",
    "time_ns",
    "error",
    "transaction",
    "apdu_length",
    "apdu_offset",
    "member_list_length",
    "version",
    "pdu_type",
    "type",
    "source_subnet",
    "source_node",
    "address_format",
    "destination_subnet",
    "destination_node",
    "group",
    "member",
    "unique_node_id",
    "domain_length",
    "domain",
    "priority",
    "alternate_path",
    "delta_backlog",
    "authenticated",
)


def _head(
    pdu_type: int,
    code: int,
    subnet: int,
    node: int,
    how: int,
    to_subnet: int,
    to_node: int,
    group: int,
    member: int,
    unique_node_id: int,
    domain_length: int,
    domain: int,
    priority: int,
    alternate: int,
    backlog: int,
    authenticated: int,
) -> tuple[str, str]:
    """What stands before the transaction number, and behind it."""
    if how == AddressFormat.MULTICAST:
        target = f"group {group}"
    elif how == AddressFormat.UNIQUE_NODE_ID:
        target = f"{unique_node_id:012X}"
    elif how == AddressFormat.SUBNET_NODE:
        target = f"{to_subnet}/{to_node}"
    else:
        target = f"subnet {to_subnet}" if to_subnet > 0 else "broadcast"
    if member >= 0:
        target += f" (group {group} member {member})"
    shown = f"{domain:0{2 * domain_length}X}" if domain_length > 0 else "empty"
    kind = _kind(pdu_type, max(code, 0)) if pdu_type >= 0 else ""
    return f"{subnet}/{node} → {target} [{shown}] {kind}", _flags(priority, alternate, backlog, authenticated)
