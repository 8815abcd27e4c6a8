"""The commands of diagnostics and management: which request, which response, what it may change, who may ask.

ISO/IEC 14908-1; ``spec/iso14908-1.md`` 5.3 to 5.7. A response says neither its family nor, often, its command: it is read with
the request that it answers, which the session knows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from osgp.lon import nd, nm, nm_expanded, nm_router, nm_variables
from osgp.lon.apdu import CLASSIC_PROXY, PROXY_FAILED, ROUTER_ESCAPE, Apdu, failure_code, success_code
from osgp.lon.ltep import LtepFailure
from osgp.lon.redact import redacted_apdu
from osgp.wire import Struct, layout_of
from osgp.wire.errors import Truncated, UnknownCode
from osgp.wire.explain import ExplainNode

__all__ = [
    "COMMANDS",
    "Command",
    "command",
    "decode_request",
    "decode_response",
    "explain_request",
    "explain_response",
    "is_command",
]

EXPANDED = 0x60


class Command(NamedTuple):
    """One command. ``request``, ``response``: layouts, code included; ``response`` is that of success, None without any answer.

    ``subcommand``: of code 60, else None. ``writes``: it changes the configuration, and is refused after commissioning unless
    allowed (see ``management``). ``open``: it needs no authentication where management is authenticated. ``padded``: bytes behind
    its layout are tolerated.
    """

    code: int
    subcommand: int | None
    name: str
    request: type[Struct]
    response: type[Struct] | None
    writes: bool = False
    open: bool = False
    padded: bool = False


def _rows() -> list[Command]:
    done, expanded_done = nm.Done, nm_expanded.ExpandedDone
    basic: list[tuple[int, str, type[Struct], type[Struct] | None, str]] = [
        (0x51, "query status", nd.QueryStatus, nd.StatusResponse, "open"),
        (CLASSIC_PROXY, "proxy", nd.ProxyRequest, nd.StatusResponse, "open"),
        (0x53, "clear status", nd.ClearStatus, done, ""),
        (0x54, "query transceiver", nd.QueryTransceiver, nd.TransceiverResponse, ""),
        (0x56, "query status, flex domain", nd.QueryStatusFlex, nd.StatusResponse, "open"),
        (0x57, "query transceiver, both ways", nd.BothWaysRequest, nd.BothWaysResponse, "open padded"),
        (0x58, "compute phase", nd.ComputePhase, nd.PhaseResponse, "padded"),
        (0x59, "get full version", nd.FullVersion, nd.FullVersionResponse, "open padded"),
        (0x61, "query ID", nm.QueryId, nm.IdentityResponse, "open"),
        (0x62, "respond to query", nm.RespondToQuery, done, "open"),
        (0x63, "update domain", nm.UpdateDomain, done, "writes padded"),
        (0x64, "leave domain", nm.LeaveDomain, done, "writes"),
        (0x65, "update key", nm.UpdateKey, done, "writes"),
        (0x66, "update address", nm.UpdateAddress, done, "writes padded"),
        (0x67, "query address", nm.QueryAddress, nm.AddressResponse, "padded"),
        (0x68, "query NV configuration", nm_variables.QueryVariableConfig, nm_variables.VariableConfigResponse, ""),
        (0x69, "update group address", nm.UpdateGroupAddress, done, "writes"),
        (0x6A, "query domain", nm.QueryDomain, nm.DomainResponse, ""),
        (0x6B, "update NV configuration", nm_variables.UpdateVariableConfig, done, "writes padded"),
        (0x6C, "set node mode", nm.SetNodeMode, done, "writes"),
        (0x6D, "read memory", nm.ReadMemory, nm.MemoryResponse, "padded"),
        (0x6E, "write memory", nm.WriteMemory, done, "writes padded"),
        (0x6F, "checksum recalculate", nm.ChecksumRecalculate, done, "writes padded"),
        (0x70, "wink / install", nm_variables.Install, nm_variables.SendIdResponse, "padded"),
        (0x71, "memory refresh", nm.MemoryRefresh, done, "padded"),
        (0x72, "query self-identification", nm_variables.QuerySelfIdentification, nm.MemoryResponse, ""),
        (0x73, "NV fetch", nm_variables.FetchVariable, nm_variables.VariableValueResponse, ""),
        (0x74, "set router mode", nm_router.SetRouterMode, done, "writes"),
        (0x75, "clear router table", nm_router.ClearRouterTable, done, "writes"),
        (0x76, "download router table", nm_router.DownloadRouterTable, done, "writes"),
        (0x77, "forward group", nm_router.SetGroupForward, done, "writes"),
        (0x78, "forward subnet", nm_router.SetSubnetForward, done, "writes"),
        (0x79, "do not forward group", nm_router.ClearGroupForward, done, "writes"),
        (0x7A, "do not forward subnet", nm_router.ClearSubnetForward, done, "writes"),
        (0x7B, "query router table", nm_router.QueryRouterTable, nm_router.RouterTableResponse, ""),
        (0x7C, "router status", nm_router.QueryRouterStatus, nm_router.RouterStatusResponse, ""),
        (0x7D, "device escape", nm.DeviceEscape, Apdu, "writes"),
        (ROUTER_ESCAPE, "router escape", nm_router.RouterEscape, Apdu, "writes"),
        (0x7F, "service pin", nm.ServicePin, None, "open padded"),
    ]
    expanded: list[tuple[int, str, type[Struct], type[Struct] | None, str]] = [
        (0x01, "query version", nm_expanded.QueryVersion, nm_expanded.VersionResponse, "open padded"),
        (0x02, "update NV by index", nm_expanded.UpdateVariableByIndex, expanded_done, "writes"),
        (0x07, "update domain without key", nm_expanded.UpdateDomainPlace, expanded_done, "writes padded"),
        (0x08, "report domain without key", nm_expanded.ReportDomainPlace, nm_expanded.PlaceResponse, "padded"),
        (0x09, "report key", nm_expanded.ReportKey, nm_expanded.KeyResponse, "padded"),
        (0x0A, "update key of open media", nm_expanded.UpdateOpenMediaKey, expanded_done, "writes padded"),
        (0x0B, "update proxy route table", nm_expanded.Expanded, nm_expanded.Expanded, "writes"),
        (0x0C, "query proxy route table", nm_expanded.Expanded, nm_expanded.Expanded, ""),
        (0x0D, "update proxy route index table", nm_expanded.Expanded, nm_expanded.Expanded, "writes"),
        (0x0E, "query proxy route index table", nm_expanded.Expanded, nm_expanded.Expanded, ""),
        (0x0F, "initialise configuration", nm_expanded.InitialiseConfiguration, expanded_done, "writes padded"),
        (
            0x11,
            "update NV configuration (expanded)",
            nm_expanded.UpdateExpandedVariable,
            expanded_done,
            "writes padded",
        ),
        (
            0x12,
            "query NV configuration (expanded)",
            nm_expanded.QueryExpandedVariable,
            nm_expanded.ExpandedVariableResponse,
            "",
        ),
        (0x13, "update alias", nm_expanded.UpdateAlias, expanded_done, "writes padded"),
        (0x14, "query alias", nm_expanded.QueryAlias, nm_expanded.ExpandedAliasResponse, ""),
        (0x15, "announce device address", nm_expanded.AnnounceDevice, expanded_done, "padded"),
        (0x16, "announce subnets", nm_expanded.AnnounceSubnets, expanded_done, "writes padded"),
        (0x17, "set announcement times", nm_expanded.SetAnnounceTimes, expanded_done, "writes padded"),
        (0x18, "query announcement times", nm_expanded.QueryAnnounceTimes, nm_expanded.AnnounceTimesResponse, ""),
        (0x19, "query IP address", nm_expanded.QueryIpAddress, nm_expanded.IpAddressResponse, "open"),
    ]
    rows = []
    for subcommand_of, table in ((None, basic), (EXPANDED, expanded)):
        for number, name, request, response, marks in table:
            words = marks.split()
            code, sub = (number, None) if subcommand_of is None else (subcommand_of, number)
            rows.append(
                Command(code, sub, name, request, response, "writes" in words, "open" in words, "padded" in words)
            )
    return rows


COMMANDS: dict[tuple[int, int | None], Command] = {(row.code, row.subcommand): row for row in _rows()}
"""All commands by code and, for code 60, subcommand."""


def is_command(code: int) -> bool:
    """Whether a message's first byte makes it diagnostics or management."""
    return 0x50 <= code <= 0x7F


def command(code: int, data: bytes = b"") -> Command:
    """The command of a request: its code, and the bytes behind it, of which code 60 needs one.

    An expanded command or a code that nobody knows gives a ``Command`` with the general layout. Raises UnknownCode for a code
    that is no diagnostics or management.
    """
    if not is_command(code):
        raise UnknownCode(
            f"code {code:02X} is neither diagnostics nor management", floor="lon", struct="Apdu", field="code"
        )
    subcommand = (data[0] if data else 0) if code == EXPANDED else None
    found = COMMANDS.get((code, subcommand))
    if found is not None:
        return found
    if subcommand is not None:
        return Command(code, subcommand, f"expanded {subcommand:02X}", nm_expanded.Expanded, nm_expanded.Expanded, True)
    return Command(code, None, f"code {code:02X}", Apdu, Apdu, True)


def _of(apdu: bytes) -> Command:
    if not apdu:
        raise Truncated("no bytes hold no command", floor="lon", struct="Apdu", field="code", bit_offset=0)
    return command(apdu[0], apdu[1:])


_INSTALL_RESPONSES: dict[int, type[Struct]] = {
    0: nm_variables.VariableDescriptor,
    1: nm_variables.RateResponse,
    2: nm_variables.NameResponse,
    3: nm_variables.TextResponse,
    4: nm_variables.TypeResponse,
}


def _install_response(request: bytes) -> type[Struct]:
    subcommand = request[1] if len(request) > 1 else 0
    if subcommand == 4:
        return _INSTALL_RESPONSES.get(request[2] if len(request) > 2 else 0, Apdu)
    responses: dict[int, type[Struct]] = {
        0: nm.Done,
        1: nm_variables.SendIdResponse,
        5: nm_variables.TextResponse,
        7: nm.MemoryResponse,
    }
    return responses.get(subcommand, Apdu)


def _proxy_response(request: bytes) -> type[Struct]:
    responses: dict[int, type[Struct]] = {0: nm.IdentityResponse, 1: nd.StatusResponse, 2: nd.TransceiverResponse}
    return responses.get(request[1] if len(request) > 1 else 1, Apdu)


def _escape_response(request: bytes) -> type[Struct]:
    return nm.ProductResponse if request[1:3] in (b"", b"\x01\x01") else Apdu


_BY_REQUEST: dict[int, Callable[[bytes], type[Struct]]] = {
    CLASSIC_PROXY: _proxy_response,
    0x70: _install_response,
    0x7D: _escape_response,
}


def _response_layout(request: bytes, response: bytes) -> type[Struct]:
    if not response:
        raise Truncated("no bytes hold no response", floor="lon", struct="Apdu", field="code", bit_offset=0)
    known = _of(request)
    if known.code == ROUTER_ESCAPE and len(request) > 1 and is_command(request[1]):
        inner = command(request[1], request[2:])
        if response[0] in (success_code(inner.code), failure_code(inner.code)):
            return _response_layout(request[1:], response)
    if response[0] == success_code(known.code):
        chosen = _BY_REQUEST.get(known.code)
        if chosen is not None:
            return chosen(request)
        if known.response is not None:
            return known.response
        return Apdu
    if response[0] == failure_code(known.code):
        return nm.Refusal
    if response[0] == PROXY_FAILED:
        return LtepFailure
    return Apdu


def _bytes_of(request: bytes | int) -> bytes:
    return bytes((request,)) if isinstance(request, int) else bytes(request)


def decode_request(apdu: bytes) -> Struct:
    """Read a request, code first. Raises UnknownCode for one that is no command, and DecodeError for damage."""
    return _of(apdu).request.decode(apdu)


def decode_response(request: bytes | int, apdu: bytes) -> Struct:
    """Read the response to ``request`` (its APDU, or its code where that says enough).

    Success gives the command's own layout, failure a ``Refusal``; what the proxy or an offline application answered in its
    place a ``LtepFailure`` or an ``Apdu``. A null response is no response: nothing arrives. Raises DecodeError.
    """
    return _response_layout(_bytes_of(request), apdu).decode(apdu)


def explain_request(apdu: bytes) -> ExplainNode:
    """The tree of a request's fields; keys are masked (see ``redact``). Raises UnknownCode for one that is no command."""
    known = _of(apdu)
    tree = layout_of(known.request).explain(redacted_apdu(apdu, False))
    tree.text = known.name
    return tree


def explain_response(request: bytes | int, apdu: bytes) -> ExplainNode:
    """The tree of a response's fields; keys are masked (see ``redact``). Raises UnknownCode, Truncated for no bytes."""
    raw = _bytes_of(request)
    layout = _response_layout(raw, apdu)
    tree = layout_of(layout).explain(redacted_apdu(apdu, True))
    refused = layout is nm.Refusal
    tree.text = f"{_of(raw).name}: {'refused' if refused else 'response'}"
    return tree
