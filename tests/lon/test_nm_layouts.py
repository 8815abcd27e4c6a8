"""Diagnostics and management: each command's request and response, read, written, explained and paired."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import osgp
from osgp.lon import apdu as codes
from osgp.lon import nd, nm, nm_expanded, nm_router, nm_variables
from osgp.lon.apdu import Apdu, failure_code, success_code
from osgp.lon.commands import (
    COMMANDS,
    Command,
    command,
    decode_request,
    decode_response,
    explain_request,
    explain_response,
    is_command,
)
from osgp.lon.entries import AddressEntry, DomainEntry
from osgp.lon.ltep import LtepFailure
from osgp.wire import Struct
from osgp.wire.errors import DecodeError, Truncated, UnknownCode

FRAMES = {
    frame["name"]: frame["fields"]
    for frame in json.loads(
        (Path(__file__).parent.parent / "vectors" / "iso14908_1" / "frames.json").read_text("utf-8")
    )
}
"""Frames produced or answered by an open stack in runs, and some of a public capture."""

KEY = bytes.fromhex("0123456789ab")

REQUESTS: list[tuple[str, type[Struct], dict[str, Any]]] = [
    ("51", nd.QueryStatus, {}),
    ("5201", nd.ProxyRequest, {"subcommand": 1, "address": None}),
    ("52010132030901", nd.ProxyRequest, {"subcommand": 1}),
    ("520002003309010a0b0c0d0e0f", nd.ProxyRequest, {}),
    ("53", nd.ClearStatus, {}),
    ("54", nd.QueryTransceiver, {}),
    ("56", nd.QueryStatusFlex, {}),
    ("57", nd.BothWaysRequest, {"flags": None}),
    ("5701", nd.BothWaysRequest, {"flags": 1}),
    ("58", nd.ComputePhase, {"phase": None}),
    ("5803", nd.ComputePhase, {"phase": 3}),
    ("59", nd.FullVersion, {}),
    ("6101", nm.QueryId, {"selector": 1, "match": None}),
    ("6100010006020102", nm.QueryId, {"match": nm.MemoryMatch(mode=1, offset=6, count=2, data=b"\1\2")}),
    ("6201", nm.RespondToQuery, {"select": 1}),
    ("63014a000000000001a101000000000000", nm.UpdateDomain, {"index": 1}),
    ("6401", nm.LeaveDomain, {"index": 1}),
    ("6500010203040506", nm.UpdateKey, {"key": bytes.fromhex("010203040506")}),
    ("66038301340907", nm.UpdateAddress, {"index": 3}),
    ("6703", nm.QueryAddress, {"index": 3}),
    ("6805", nm_variables.QueryVariableConfig, {"index": 5, "wide_index": None}),
    ("68ff0105", nm_variables.QueryVariableConfig, {"index": 255, "wide_index": 0x105}),
    ("698304340905", nm.UpdateGroupAddress, {}),
    ("6a00", nm.QueryDomain, {"index": 0}),
    ("6b05810d07", nm_variables.UpdateVariableConfig, {"index": 5, "primary": None}),
    ("6b05810d0702", nm_variables.UpdateVariableConfig, {"primary": 2, "primary_wide": None}),
    ("6bff0105810d07ff0105", nm_variables.UpdateVariableConfig, {"wide_index": 0x105, "primary_wide": 0x105}),
    ("6c02", nm.SetNodeMode, {"mode": 2, "state": None}),
    ("6c0304", nm.SetNodeMode, {"mode": 3, "state": 4}),
    ("6d01000d08", nm.ReadMemory, {"mode": 1, "offset": 13, "count": 8}),
    ("6e0200020204aabb", nm.WriteMemory, {"mode": 2, "offset": 2, "count": 2, "form": 4, "data": b"\xaa\xbb"}),
    ("6f04", nm.ChecksumRecalculate, {"which": 4}),
    ("70", nm_variables.Install, {"subcommand": None, "query": None}),
    ("7000", nm_variables.Install, {"subcommand": 0, "query": None}),
    ("700101", nm_variables.Install, {"query": nm_variables.SendId(interface=1)}),
    ("7004020001", nm_variables.Install, {"query": nm_variables.VariableInfoQuery(information=2, index=1)}),
    ("70040300010000 1f", nm_variables.Install, {"subcommand": 4}),
    ("70050300021f", nm_variables.Install, {"query": nm_variables.NodeInfoQuery(offset=2, length=31)}),
    ("7007000310", nm_variables.Install, {"query": nm_variables.CapabilityQuery(offset=3, count=16)}),
    ("7100100400", nm.MemoryRefresh, {"offset": 16, "count": 4, "off_chip": 0}),
    ("72000610", nm_variables.QuerySelfIdentification, {"offset": 6, "count": 16}),
    ("7307", nm_variables.FetchVariable, {"index": 7}),
    ("7402", nm_router.SetRouterMode, {"mode": nm_router.RouterMode.TEMPORARY_BRIDGE}),
    ("75c1", nm_router.ClearRouterTable, {"select": nm_router.TableSelect(group=1, domain_index=1, block=1)}),
    ("76020102030405060708", nm_router.DownloadRouterTable, {"block": bytes(range(1, 9))}),
    ("774105", nm_router.SetGroupForward, {"number": 5}),
    ("780003", nm_router.SetSubnetForward, {"number": 3}),
    ("790105", nm_router.ClearGroupForward, {"select": nm_router.ForwardSelect(permanent=1)}),
    ("7a4003", nm_router.ClearSubnetForward, {"select": nm_router.ForwardSelect(domain_index=1)}),
    ("7ba3", nm_router.QueryRouterTable, {"select": nm_router.TableSelect(group=1, permanent=1, block=3)}),
    ("7c", nm_router.QueryRouterStatus, {}),
    ("7d0101", nm.DeviceEscape, {"device": 1, "command": 1}),
    ("7e7c", nm_router.RouterEscape, {"apdu": b"\x7c"}),
    ("7f0700000000a14f53475044455631", nm.ServicePin, {"program_id": b"OSGPDEV1"}),
    ("6001", nm_expanded.QueryVersion, {}),
    ("6002000500ca", nm_expanded.UpdateVariableByIndex, {"index": 5, "value": b"\x00\xca"}),
    ("6007014a000000000001a101", nm_expanded.UpdateDomainPlace, {"index": 1}),
    ("600801", nm_expanded.ReportDomainPlace, {"index": 1}),
    ("6009", nm_expanded.ReportKey, {}),
    (
        "600a000123456789aba0a1a2a3a4a5",
        nm_expanded.UpdateOpenMediaKey,
        {"how": 0, "key": KEY + bytes(range(0xA0, 0xA6))},
    ),
    ("600b0102", nm_expanded.Expanded, {"subcommand": 0x0B, "data": b"\1\2"}),
    ("600f0105", nm_expanded.InitialiseConfiguration, {"length": 1, "authentication": b"\5"}),
    ("60110005810d0700", nm_expanded.UpdateExpandedVariable, {"index": 5}),
    ("60120005", nm_expanded.QueryExpandedVariable, {"index": 5}),
    ("60130001810d070002", nm_expanded.UpdateAlias, {"index": 1}),
    ("60140001", nm_expanded.QueryAlias, {"index": 1}),
    ("6015", nm_expanded.AnnounceDevice, {}),
    ("601601" + "06" + "00" * 31, nm_expanded.AnnounceSubnets, {"set": 1}),
    ("60170000003c000500000e10", nm_expanded.SetAnnounceTimes, {"period_s": 60, "throttle": 5, "age_s": 3600}),
    ("6018", nm_expanded.QueryAnnounceTimes, {}),
    ("6019", nm_expanded.QueryIpAddress, {}),
]
"""Requests by the tables of spec/iso14908-1.md 5.5 to 5.7."""

RESPONSES: list[tuple[str, str, type[Struct], dict[str, Any]]] = [
    ("51", "310000000000000000000001040400a8", nd.StatusResponse, {"reset_cause": 1, "state": 4, "model": 0xA8}),
    ("5201", "320000000000000000000001040400a8", nd.StatusResponse, {"firmware": 4}),
    ("5200", "320700000000b24f53475044455631", nm.IdentityResponse, {"program_id": b"OSGPDEV1"}),
    ("5202", "32040004ffff0000", nd.TransceiverResponse, {}),
    ("53", "33", nm.Done, {"code": 0x33}),
    ("54", "34040004ffff0000", nd.TransceiverResponse, {}),
    ("57", "3700000000000000", nd.BothWaysResponse, {"here": None}),
    ("57", "3700000000000000040004ffff0000", nd.BothWaysResponse, {}),
    ("58", "3804322afd", nd.PhaseResponse, {"phase": 4, "frequency_hz": 50, "certainty": -3}),
    ("59", "39040000010100", nd.FullVersionResponse, {"version": 4, "minor_version": 1, "build": 1}),
    ("6101", "210700000000b24f53475044455631", nm.IdentityResponse, {"unique_node_id": bytes.fromhex("0700000000b2")}),
    ("6703", "278301340907", nm.AddressResponse, {}),
    ("6805", "28810d07", nm_variables.VariableConfigResponse, {"primary": None}),
    ("6805", "28810d0702ffff", nm_variables.VariableConfigResponse, {"primary": 2, "primary_wide": 0xFFFF}),
    ("6a00", "2a4900000000000194010123456789ab", nm.DomainResponse, {}),
    ("6c0304", "2c", nm.Done, {}),
    ("6d01000d08", "2d4f53475044455631", nm.MemoryResponse, {"data": b"OSGPDEV1"}),
    ("70", "30", nm.Done, {}),
    ("7001", "30000700000001144f53475044455631", nm_variables.SendIdResponse, {"down": 0}),
    ("7004000001", "3011002000200001 0000", nm_variables.VariableDescriptor, {"array_size": 1, "name": None}),
    ("7004010001", "308182", nm_variables.RateResponse, {"rate": 0x81, "most_rate": 0x82}),
    ("7004020001", "30" + "6e766f".ljust(32, "0"), nm_variables.NameResponse, {"name": "nvo"}),
    ("70040300010000ff", "30026162", nm_variables.TextResponse, {"text": b"ab"}),
    ("7004040001", "305f", nm_variables.TypeResponse, {"type_index": 95}),
    ("700503000010", "30026162", nm_variables.TextResponse, {"length": 2}),
    ("7007000002", "30ff00", nm.MemoryResponse, {"data": b"\xff\x00"}),
    ("72000002", "320025", nm.MemoryResponse, {"data": b"\x00\x25"}),
    ("7307", "3307000000000000000000000000", nm_variables.VariableValueResponse, {"index": 7, "value": bytes(12)}),
    ("73ff0107", "33ff0107aa", nm_variables.VariableValueResponse, {"wide_index": 0x107, "value": b"\xaa"}),
    ("7b00", "3b0102030405060708", nm_router.RouterTableResponse, {"block": bytes(range(1, 9))}),
    ("7c", "3c0302", nm_router.RouterStatusResponse, {"kind": nm_router.RouterKind.REPEATER, "mode": 2}),
    ("7d0101", "3d0102030405", nm.ProductResponse, {"product": 1, "transceiver": 5}),
    ("7e7c", "3c0001", nm_router.RouterStatusResponse, {"mode": 1}),
    ("6001", "2001020653", nm_expanded.VersionResponse, {"version": 2}),
    ("6002000500ca", "2002", nm_expanded.ExpandedDone, {"subcommand": 2}),
    ("600801", "20084a000000000001a101", nm_expanded.PlaceResponse, {}),
    ("6009", "20090123456789aba0a1a2a3a4a5", nm_expanded.KeyResponse, {"key": KEY + bytes(range(0xA0, 0xA6))}),
    ("60120005", "2012810d0700", nm_expanded.ExpandedVariableResponse, {}),
    ("60140001", "2014810d070002", nm_expanded.ExpandedAliasResponse, {}),
    ("6018", "20180000003c00000e10", nm_expanded.AnnounceTimesResponse, {"period_s": 60, "age_s": 3600}),
    ("6019", "20190a490114", nm_expanded.IpAddressResponse, {"address": bytes((10, 73, 1, 20))}),
]


@pytest.mark.parametrize(("raw", "layout", "fields"), REQUESTS, ids=[row[0] for row in REQUESTS])
def test_a_request_is_read_and_written(raw: str, layout: type[Struct], fields: dict[str, Any]) -> None:
    apdu = bytes.fromhex(raw)
    value = decode_request(apdu)
    assert type(value) is layout
    assert {name: getattr(value, name) for name in fields} == fields
    assert value._rest == b""
    assert value.encode() == apdu


@pytest.mark.parametrize(("request_", "raw", "layout", "fields"), RESPONSES, ids=[row[0] for row in RESPONSES])
def test_a_response_is_read_with_its_request(
    request_: str, raw: str, layout: type[Struct], fields: dict[str, Any]
) -> None:
    apdu = bytes.fromhex(raw)
    value = decode_response(bytes.fromhex(request_), apdu)
    assert type(value) is layout
    assert {name: getattr(value, name) for name in fields} == fields
    assert value.encode() == apdu


def test_every_command_has_a_request_in_these_tests() -> None:
    covered = {(raw[0], raw[1] if raw[0] == 0x60 else None) for raw in (bytes.fromhex(row[0]) for row in REQUESTS)}
    missing = set(COMMANDS) - covered
    assert missing == {(0x60, 0x0C), (0x60, 0x0D), (0x60, 0x0E)}, "all but those known by name only"


@pytest.mark.parametrize("row", COMMANDS.values(), ids=lambda row: row.name)
def test_a_layout_says_its_own_code(row: Command) -> None:
    fresh = row.request.specs["code"].default
    assert fresh == row.code
    if row.subcommand is not None and row.request is not nm_expanded.Expanded:
        assert row.request.specs["subcommand"].default == row.subcommand
    if row.response not in (None, nm.Done, Apdu, nm_expanded.Expanded, nm.MemoryResponse, nd.StatusResponse):
        assert row.response is not None
        defaults = row.response.specs["code"]
        assert success_code(row.code) in (defaults.default, *defaults.values)


@pytest.mark.parametrize("code", [*range(0x51, 0x5A), *range(0x61, 0x80)])
def test_a_refusal_is_told_from_success(code: int) -> None:
    refusal = decode_response(code, bytes((failure_code(code),)))
    assert isinstance(refusal, nm.Refusal)
    assert refusal.data == b""


def test_a_refused_expanded_command_repeats_its_subcommand() -> None:
    assert decode_response(bytes.fromhex("6009"), bytes.fromhex("0009")) == nm.Refusal(code=0, data=b"\x09")


def test_what_a_proxy_or_an_offline_node_answers_is_neither() -> None:
    assert decode_response(0x51, b"\x4c\x02") == LtepFailure(remaining=2)
    assert decode_response(0x51, b"\x3f") == Apdu(code=0x3F)


@pytest.mark.parametrize("code", [0x00, 0x3D, 0x4D, 0x80, 0xFF])
def test_other_messages_are_no_commands(code: int) -> None:
    assert not is_command(code)
    with pytest.raises(UnknownCode, match=f"{code:02X}"):
        decode_request(bytes((code, 0)))


def test_commands_that_nobody_knows_are_read_in_general() -> None:
    assert decode_request(b"\x5f\x01") == Apdu(code=0x5F, data=b"\x01")
    assert command(0x5F).writes, "what is not known is not harmless"
    assert decode_request(b"\x60\x77\x01") == nm_expanded.Expanded(subcommand=0x77, data=b"\x01")
    assert command(0x60, b"\x77").name == "expanded 77"


@pytest.mark.parametrize("read", [decode_request, explain_request])
def test_no_bytes_are_truncated(read: Any) -> None:
    with pytest.raises(Truncated):
        read(b"")
    with pytest.raises(Truncated):
        decode_response(0x51, b"")


@given(st.binary(max_size=40))
def test_any_bytes_give_a_value_or_our_error(raw: bytes) -> None:
    for read in (decode_request, lambda data: decode_response(data[:3], data[3:])):
        try:
            value = read(raw)
        except DecodeError:
            continue
        assert value.encode() == (raw if read is decode_request else raw[3:])


@given(st.sampled_from(sorted(COMMANDS, key=str)), st.binary(max_size=40))
def test_requests_and_responses_lose_nothing(place: tuple[int, int | None], tail: bytes) -> None:
    code, subcommand = place
    head = bytes((code,)) if subcommand is None else bytes((code, subcommand))
    answer = bytes((success_code(code),)) + head[1:]
    for raw, read in ((head + tail, decode_request), (answer + tail, lambda data: decode_response(head + tail, data))):
        try:
            value = read(raw)
        except DecodeError:
            continue
        assert value.encode() == raw
        assert type(value).from_json(value.to_json()) == value


def test_margin_and_strength_are_told_in_decibels() -> None:
    quality = nd.SignalQuality(0x7E)
    assert (quality.margin_db, quality.strength_db, quality.known) == (15, 0, True)
    assert [nd.SignalQuality(margin=code).margin_db for code in (0, 14, 15)] == [-6, 36, 39]
    assert [nd.SignalQuality(strength=code).strength_db for code in (0, 4, 9, 15)] == [-84, -60, -30, 6]
    assert not nd.SignalQuality(0xF0).known
    tree = explain_response(0x54, b"\x34\x04\x00\x04\x7e\xff\x00\x00")
    texts = {node.orig: node.text for _, node in tree.walk() if node.type and node.offset == 4}
    assert texts["MARGIN"] == "7: 15 dB"
    assert texts["STRENGTH"] == "14: 0 dB"


def test_the_perfect_answer_is_one_packet_at_full_strength() -> None:
    registers = nd.TransceiverRegisters.decode(nd.PERFECT)
    assert registers.trusted
    assert (registers.version.version, registers.primary.margin_db, registers.primary.strength_db) == (4, 39, 6)
    assert not registers.packet.secondary
    alternate = nd.TransceiverRegisters.decode(nd.PERFECT_ALTERNATE)
    assert alternate.packet.secondary
    assert registers.encode() == nd.PERFECT


def test_phases_are_told_in_degrees() -> None:
    tree = explain_response(0x58, bytes.fromhex("3804322afd"))
    assert {node.orig: node.text for _, node in tree.walk()}["PHASE"] == "4: 180 degrees"


def test_keys_show_nowhere() -> None:
    requests = ["6300490000000000 01 94 01" + KEY.hex(), "6500" + KEY.hex(), "600a01" + 2 * KEY.hex()]
    for raw in requests:
        apdu = bytes.fromhex(raw)
        assert KEY.hex() not in repr(decode_request(apdu)).lower()
        shown = json.dumps(explain_request(apdu).to_json()).lower().replace(" ", "")
        assert KEY.hex() not in shown
        assert "2a2a2a2a2a2a" in shown
    for request, raw in (("6a00", "2a490000000000019401" + KEY.hex()), ("6009", "2009" + 2 * KEY.hex())):
        apdu = bytes.fromhex(raw)
        assert KEY.hex() not in repr(decode_response(bytes.fromhex(request), apdu)).lower()
        shown = json.dumps(explain_response(bytes.fromhex(request), apdu).to_json()).lower().replace(" ", "")
        assert KEY.hex() not in shown


def test_explanations_name_the_command() -> None:
    assert explain_request(b"\x51").text == "query status"
    assert explain_response(0x51, b"\x11").text == "query status: refused"
    tree = explain_response(0x51, bytes.fromhex("310000000000000000000001040400a8"))
    texts = {node.orig: node.text for _, node in tree.walk()}
    assert texts["RESET_CAUSE"] == "1: power-up"
    assert texts["STATE"] == "4: configured"


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("nd-query-status", nd.QueryStatus),
        ("nm-query-domain", nm.QueryDomain),
        ("nm-query-id-by-uid", nm.QueryId),
        ("nm-query-version", nm_expanded.QueryVersion),
        ("nm-update-domain", nm.UpdateDomain),
        ("nd-proxy", nd.ProxyRequest),
        ("nd-proxy-relayed", nd.ProxyRequest),
        ("service-pin", nm.ServicePin),
        ("field-nv-fetch", nm_variables.FetchVariable),
    ],
)
def test_requests_of_real_frames(name: str, layout: type[Struct]) -> None:
    apdu = bytes.fromhex(FRAMES[name]["apdu"])
    value = decode_request(apdu)
    assert type(value) is layout
    assert value.encode() == apdu


@pytest.mark.parametrize(
    ("name", "request_", "layout"),
    [
        ("nd-query-status-response", "51", nd.StatusResponse),
        ("nm-query-domain-response", "6a00", nm.DomainResponse),
        ("nm-query-id-response", "6101", nm.IdentityResponse),
        ("nm-query-version-response", "6001", nm_expanded.VersionResponse),
        ("nd-full-version-response", "59", nd.FullVersionResponse),
        ("nd-bidir-xcvr-response", "57", nd.BothWaysResponse),
        ("nd-status-flex-response", "56", nd.StatusResponse),
        ("wink-send-id-response", "7001", nm_variables.SendIdResponse),
        ("field-nv-fetch-response", "7307", nm_variables.VariableValueResponse),
    ],
)
def test_responses_of_real_frames(name: str, request_: str, layout: type[Struct]) -> None:
    apdu = bytes.fromhex(FRAMES[name]["apdu"])
    value = decode_response(bytes.fromhex(request_), apdu)
    assert type(value) is layout
    assert value.encode() == apdu


def test_a_real_proxy_request_names_its_target() -> None:
    value = decode_request(bytes.fromhex(FRAMES["nd-proxy"]["apdu"]))
    assert isinstance(value, nd.ProxyRequest)
    assert value.address is not None
    assert isinstance(value.address, AddressEntry)
    assert (value.address.number, value.address.place.number, value.address.retry.retry) == (1, 50, 3)
    assert value.address.timers.transmit_timer == 9


def test_a_real_domain_response_holds_a_domain_entry() -> None:
    value = decode_response(0x6A, bytes.fromhex(FRAMES["nm-query-domain-response"]["apdu"]))
    assert isinstance(value, nm.DomainResponse)
    assert isinstance(value.entry, DomainEntry)
    assert (value.entry.domain, value.entry.subnet, value.entry.node.node, value.entry.key) == (b"I", 1, 20, KEY)


@pytest.mark.parametrize("name", ["CLASSIC_PROXY", "ROUTER_ESCAPE"])
def test_the_codes_of_carrying_commands_are_named_once(name: str) -> None:
    code = getattr(codes, name)
    named = [
        f"{path.name}: {target.id}"
        for folder in ("lon", "analyse", "node", "cli/lon")
        for path in sorted((Path(osgp.__file__).parent / folder).glob("*.py"))
        for statement in ast.parse(path.read_text("utf-8")).body
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)
        for target in statement.targets
        if isinstance(target, ast.Name) and statement.value.value == code and type(statement.value.value) is int
    ]
    assert named == [f"apdu.py: {name}"]
