"""Frames of a control network explained: every layer with its offsets, one line for people, responses by their requests."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osgp.analyse.lon import dissect_cnip, dissect_frame, dissect_lonip, explain_frame, target_apdu
from osgp.analyse.lon_capture import cnip_json
from osgp.analyse.lon_observer import LonObserver
from osgp.analyse.lon_text import apdu_text, batch_lines, frame_text
from osgp.analyse.lonbatch import read_columns
from osgp.lon.address import Broadcast, Group, SubnetNode, UniqueNodeId
from osgp.lon.apdu import Apdu
from osgp.lon.authpdu import AuthPdu
from osgp.lon.cnip import data_packet
from osgp.lon.commands import COMMANDS
from osgp.lon.configuration import domain_entry
from osgp.lon.crc import has_crc, with_crc
from osgp.lon.entries import AddressEntry
from osgp.lon.lpdu import LinkHeader
from osgp.lon.ltep import AlternateKey, Mode
from osgp.lon.nd import ProxyRequest, StatusResponse
from osgp.lon.nm import DomainResponse, UpdateDomain, UpdateKey
from osgp.lon.nm_expanded import KeyResponse, UpdateOpenMediaKey
from osgp.lon.npdu import NetworkControl, NodeByte, Npdu, PduType
from osgp.lon.proxy import Hop, chain_message
from osgp.lon.tpdu import Spdu, SpduHeader
from osgp.ports.capture import CaptureWriter
from osgp.wire.explain import ExplainNode

REQUEST = bytes.fromhex("0119018a0194490151")
RESPONSE = bytes.fromhex("00190194018a4921310000000000000000000001040400a8")
CHAIN = bytes.fromhex("0119018a019449004d02011e0228392c39023251")
KEY = bytes.fromhex("a5c30f1e2d78")


def vectors(*kinds: str) -> list[Any]:
    place = Path(__file__).parent.parent / "vectors" / "iso14908_1"
    found = [
        each
        for file in sorted(place.glob("*.json"))
        for each in (lambda data: data["vectors"] if isinstance(data, dict) else data)(json.loads(file.read_text()))
    ]
    return [pytest.param(each, id=each["name"]) for each in found if each["fields"]["kind"] in kinds]


def session(apdu: bytes, *, response: bool = False, transaction: int = 1, there: bool = True) -> bytes:
    """A frame from 1/10 to 1/20 in domain 49, or the other way."""
    here, peer = (20, 10) if response else (10, 20)
    spdu = Spdu(header=SpduHeader(type=2 if response else 0, transaction=transaction), apdu=apdu).encode()
    npdu = Npdu(
        control=NetworkControl(domain_length=1, address_format=2, pdu_type=PduType.SPDU),
        source_subnet=1,
        source_node=NodeByte(node=here, selector=1),
        destination_subnet=1,
        destination_node=NodeByte(node=peer, selector=1),
        domain=b"I",
        pdu=spdu,
    )
    return bytes((LinkHeader(delta_backlog=0 if response else 1),)) + npdu.encode()


def names(tree: ExplainNode) -> list[str]:
    return [node.name for _, node in tree.walk()]


def node(tree: ExplainNode, name: str) -> ExplainNode:
    return next(each for _, each in tree.walk() if each.name == name)


# ---- the tree ------------------------------------------------------------------------------------------------------------
def test_every_layer_hangs_below_the_field_that_carries_it() -> None:
    tree = explain_frame(CHAIN)
    assert [name for name in names(tree) if name[0].isupper()] == ["Lpdu", "Npdu", "Spdu", "Ltep", "QueryStatus"]
    assert node(tree, "Ltep").offset == 8
    assert node(tree, "target_node").offset == 18
    assert node(tree, "QueryStatus").offset == 19
    assert not tree.error


@pytest.mark.parametrize("vector", vectors("lpdu", "lpdu_with_crc"))
def test_offsets_point_to_the_bytes_that_a_field_shows(vector: dict[str, Any]) -> None:
    raw = bytes.fromhex(vector["hex"])
    found = dissect_frame(raw)
    tree = found.tree()
    assert not found.error
    assert tree.size == len(raw)
    for _, each in tree.walk():
        if each.raw:
            assert found.raw[each.offset : each.offset + len(each.raw)] == each.raw, each.name


@pytest.mark.parametrize("vector", vectors("lpdu"))
def test_what_a_frame_says_is_what_the_vector_says(vector: dict[str, Any]) -> None:
    fields = vector["fields"]
    told = dissect_frame(bytes.fromhex(vector["hex"]), crc=False).fields()
    assert told["priority"] == bool(fields["priority"])
    assert told["alternate_path"] == bool(fields["alt_path"])
    assert told["delta_backlog"] == fields["delta_backlog"]
    assert told["domain"].lower() == fields["domain"]
    assert told["source"] == f"{fields['src_subnet']}/{fields['src_node']}"
    assert told["pdu"] == fields["pdu_type"].upper()
    if "tn" in fields:
        assert told["transaction"] == fields["tn"]
    if fields.get("type"):
        assert told["type"] == fields["type"]


def test_a_crc_is_found_asked_for_or_left_alone() -> None:
    assert dissect_frame(with_crc(REQUEST)).crc is True
    assert dissect_frame(REQUEST).crc is None
    assert dissect_frame(with_crc(REQUEST), crc=False).apdu[-2:] == with_crc(REQUEST)[-2:]
    damaged = with_crc(REQUEST)[:-1] + b"\0"
    assert dissect_frame(damaged).crc is None
    assert "2 bytes too many (lon: Lpdu at byte 9); likely a CRC that does not fit" in dissect_frame(damaged).error
    found = dissect_frame(damaged, crc=True)
    assert found.crc is False
    assert "DE00 where DEB6 belongs" in found.error
    assert "damaged on the line" in found.error
    assert found.fields()["apdu"]["name"] == "query status"


AUTHENTICATION = Npdu(
    control=NetworkControl(domain_length=1, address_format=0, pdu_type=PduType.AUTHPDU),
    source_subnet=1,
    source_node=NodeByte(node=10, selector=1),
    destination_subnet=1,
    domain=b"I",
    pdu=AuthPdu(value=bytes(8)).encode(),
)
ACKNOWLEDGED = bytes.fromhex("0009018a01944921")
CARRIED = chain_message([Hop(1, 30)], SubnetNode(1, 50), b"\x51")


@pytest.mark.parametrize(
    "frame", [REQUEST, session(b"\x6c\x00"), session(CARRIED), ACKNOWLEDGED, b"\0" + AUTHENTICATION.encode()]
)
def test_two_bytes_too_many_are_taken_for_a_crc_that_does_not_fit(frame: bytes) -> None:
    assert dissect_frame(frame).ok
    assert dissect_frame(with_crc(frame)).ok
    stray = frame + bytes(2)
    found = dissect_frame(stray)
    assert not found.ok
    assert f"at byte {len(frame)}); likely a CRC" in found.error
    assert dissect_frame(frame + bytes(3)).ok
    assert dissect_frame(with_crc(stray)).ok, "its own CRC is right"
    assert dissect_frame(stray, crc=False).ok, "somebody knows that there is none"
    for crc in (None, False, True):
        told = [each.tree().to_json() for each in dissect_cnip(data_packet(stray), crc=crc)]
        assert [json.loads(text) for text in cnip_json(data_packet(stray), crc)] == told
        assert ("error" in told[0]) == (crc is not False)


@pytest.mark.parametrize(
    ("asked", "answer_"),
    [(b"\x51", RESPONSE[8:]), (b"\x62\x01", b"\x22"), (CARRIED, RESPONSE[8:])],
    ids=["status", "done", "of a chain"],
)
def test_two_bytes_behind_a_response_that_is_read_by_its_request_are_too_many(asked: bytes, answer_: bytes) -> None:
    sound = session(answer_, response=True)
    for stray in (bytes(2), b"\xde\xad"):
        observer = LonObserver()
        assert observer.frame(session(asked)).ok
        row = observer.frame(sound + stray)
        assert not row.ok
        assert f"2 bytes too many (lon: Lpdu at byte {len(sound)}); likely a CRC that does not fit" in row.error
        assert row.text.endswith(row.error)
        assert row.tree is not None
        assert row.tree.error == row.error
        found = dissect_frame(sound + stray)
        assert json.loads(found.tree_json(asked)) == found.tree(asked).to_json()
        assert stray in [each.raw for _, each in found.tree(asked).walk()], "they are shown"
        assert found.ok, "without its request nobody knows"
        assert not found.problem()
        (row,) = [each for each in observer.cnip(data_packet(sound + stray)) if each.error]
        assert row.text.endswith(row.error)
        assert observer.frame(sound + stray, crc=False).ok, "somebody knows that there is none"
        assert observer.frame(with_crc(sound + stray)).ok, "its own CRC is right"
    assert observer.frame(sound).ok
    assert observer.frame(sound + bytes(3)).ok


def test_commands_whose_bytes_may_be_followed_by_others_and_open_messages_keep_theirs() -> None:
    for apdu in (b"\x59\0\0", b"\x01\0\0", b"\x80\1\0\0", b"\x51"):
        assert dissect_frame(session(apdu)).ok
        assert dissect_frame(session(apdu + b"\0\0", response=True)).ok


@pytest.mark.parametrize("vector", vectors("lpdu", "lpdu_with_crc", "malformed"))
def test_the_tree_as_text_is_the_tree(vector: dict[str, Any]) -> None:
    for found in (
        dissect_frame(bytes.fromhex(vector["hex"])),
        *dissect_cnip(data_packet(bytes.fromhex(vector["hex"]), crc=True)),
    ):
        for request in (None, b"\x51", b"\x6a\x00", b"\x61\x01"):
            assert json.loads(found.tree_json(request)) == found.tree(request).to_json()


def test_a_cut_frame_gives_the_tree_up_to_the_damage_and_says_where_it_is() -> None:
    for size in range(len(CHAIN)):
        found = dissect_frame(CHAIN[:size], crc=False)
        tree = found.tree()
        assert found.error, size
        assert "likely" in found.error or "no frame" in found.error
        assert tree.error == found.error
        assert sum(len(each.raw) for each in tree.children) <= size
    found = dissect_frame(CHAIN[:17], crc=False)
    assert "Ltep.target_subnet at byte 17" in found.error
    assert node(node(found.tree(), "Ltep"), "control").value == 0x2C39


def test_a_response_is_read_by_its_request() -> None:
    bare = dissect_frame(RESPONSE)
    assert names(bare.tree())[-3:] == ["Apdu", "code", "data"]
    told = bare.fields(b"\x51")["apdu"]
    assert told["answers"] == "query status"
    assert told["node_state"]["STATE"] == 4
    assert node(bare.tree(b"\x51"), "StatusResponse").offset == 8


@pytest.mark.parametrize("size", [1, 2, 3, 5, 9, 14])
@pytest.mark.parametrize("code", sorted({code for code, _ in COMMANDS}))
def test_a_response_cut_short_is_told_as_its_tree_says(code: int, size: int) -> None:
    request = bytes((code, 1, *range(20)))
    response = bytes(((code & 0x0F if code < 0x60 else code & 0x1F) | (0x30 if code < 0x60 else 0x20), *range(20)))
    for apdu in (response[:size], bytes(size)):
        found = dissect_frame(session(apdu, response=True), crc=False)
        assert json.loads(found.tree_json(request)) == found.tree(request).to_json()


def test_places_in_the_error_of_a_response_count_from_the_start_of_the_frame() -> None:
    found = dissect_frame(session(b"\x31\x00", response=True), crc=False)
    assert "at byte 9)" in node(found.tree(b"\x51"), "StatusResponse").error
    assert "at byte 9)" in found.tree_json(b"\x51")


def test_the_request_of_a_chain_is_its_targets() -> None:
    message = chain_message([Hop(1, 20), Hop(1, 30)], SubnetNode(1, 40), b"\x51")
    assert target_apdu(message) == b"\x51"
    assert target_apdu(b"\x7e" + message) == b"\x51"
    assert target_apdu(b"\x4d\x02") == b"\x4d\x02"
    assert "StatusResponse" in names(dissect_frame(RESPONSE).tree(message))


# ---- keys ----------------------------------------------------------------------------------------------------------------
SECRET = {
    "update domain": (session(UpdateDomain(entry=domain_entry(b"I", 1, 20, KEY)).encode()), False),
    "update key": (session(UpdateKey(key=KEY).encode()), False),
    "update open media key": (session(UpdateOpenMediaKey(key=KEY + KEY).encode()), False),
    "report domain": (session(DomainResponse(entry=domain_entry(b"I", 1, 20, KEY)).encode(), response=True), True),
    "report open media key": (session(KeyResponse(key=KEY + KEY).encode(), response=True), True),
    "alternate key": (
        session(
            chain_message(
                [Hop(1, 20)],
                SubnetNode(1, 40),
                b"\x51",
                mode=Mode.ALTERNATE_KEY,
                alternate_key=AlternateKey(delta=KEY),
            )
        ),
        False,
    ),
    "update domain through a chain": (
        session(
            chain_message([Hop(1, 20)], SubnetNode(1, 40), UpdateDomain(entry=domain_entry(b"I", 1, 2, KEY)).encode())
        ),
        False,
    ),
}


@pytest.mark.parametrize("name", SECRET)
@pytest.mark.parametrize("crc", [True, False])
def test_keys_are_shown_nowhere(name: str, crc: bool) -> None:
    raw = with_crc(SECRET[name][0]) if crc else SECRET[name][0]
    for carrier in ("lpdu", "cnip"):
        observer = LonObserver()
        rows = [observer.frame(raw, crc=crc)] if carrier == "lpdu" else list(observer.cnip(data_packet(raw), crc=crc))
        for row in rows:
            assert row.ok, row.error
            shown = json.dumps(row.to_json(tree=True)) + row.text + repr(row.tree)
            assert KEY.hex() not in shown.lower().replace(" ", "")
            assert KEY.hex(" ") not in shown.lower()
            assert repr(KEY)[2:-1] not in shown
            assert b"\x2a" * 6 in row.raw
            if crc:  # the old CRC would tell something about the key
                assert has_crc(row.raw if carrier == "lpdu" else row.raw[20:])
                assert raw[-2:] != row.raw[-2:]


@pytest.mark.parametrize("first", [0x01, 0x51, 0x21])
@pytest.mark.parametrize("version", [0, 1, 2, 3])
def test_keys_in_frames_of_no_known_form_are_shown_nowhere(first: int, version: int) -> None:
    """Long transaction numbers in a version that nobody speaks; member lists that are too long."""
    key = (
        UpdateKey(key=KEY).encode() if first != 0x21 else DomainResponse(entry=domain_entry(b"I", 1, 20, KEY)).encode()
    )
    members = b"\x09" + bytes(9) if first == 0x51 else b""
    low = b"\x65" if version else b""
    spdu = bytes((first,)) + low + members + key
    control = NetworkControl(domain_length=1, address_format=2, pdu_type=PduType.SPDU, version=version)
    raw = with_crc(b"\x01" + bytes((control, 1, 0x8A, 1, 0x94)) + b"I" + spdu)
    lonip = bytes((1 << 4 if version == 2 else version << 4, 0x11)) + spdu
    rows = [
        LonObserver().frame(raw, crc=True),
        *LonObserver().cnip(data_packet(raw[:-2])),
        LonObserver().lonip(lonip, "10.73.1.10", "10.73.1.20"),
    ]
    if version == 1:  # in LON/IP that is enhanced mode
        rows.append(LonObserver().lonip(b"\x20" + lonip[1:], "10.73.1.10", "10.73.1.20"))
    for row in rows:
        shown = json.dumps(row.to_json(tree=True)) + row.text + repr(row.tree)
        assert KEY.hex() not in shown.lower().replace(" ", "")
        assert KEY not in row.raw
    assert KEY.hex() not in "".join(cnip_json(data_packet(raw[:-2]))).replace(" ", "").lower()


@pytest.mark.parametrize("version", [1, 3])
def test_lines_of_a_capture_show_no_key_of_a_version_that_nobody_speaks(tmp_path: Path, version: int) -> None:
    path = tmp_path / "odd.pcap"
    control = NetworkControl(domain_length=1, address_format=2, pdu_type=PduType.SPDU, version=version)
    head = b"\x01" + bytes((control, 1, 0x8A, 1, 0x94)) + b"I"
    with CaptureWriter(path, hide_keys=False) as writer:
        for begin in (b"\x01", b"\x01\x07", b"\x01\x65", b"\x51\x01\x02", b"\x51\x01\x01\x02"):
            writer.write_lpdu(head + begin + UpdateKey(key=KEY).encode())
    lines = list(batch_lines(read_columns(path)))
    assert len(lines) == 5
    assert not any(KEY.hex() in line.lower().replace(" ", "") for line in lines)


def test_keys_in_a_frame_with_a_wrong_crc_are_hidden_with_the_crc() -> None:
    raw = with_crc(SECRET["update key"][0])
    found = dissect_frame(raw[:-1] + bytes((raw[-1] ^ 1,)), crc=True)
    assert KEY not in found.raw
    assert found.raw.endswith(b"\x2a\x2a")
    assert found.crc is False


# ---- the line for people -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("frame", "line"),
    [
        ("0119018a0194490151", "1/10 → 1/20 [49] REQUEST tn 1 query status"),
        ("0039018a019449810d00ca", "1/10 → 1/20 [49] UNACKD NV 10D update 00CA"),
        ("00090117018a05034920", "1/23 → 1/10 (group 5 member 3) [49] ACK tn 0"),
        ("0005018a054940030e0016", "1/10 → group 5 [49] REMINDER tn 0 (done: 1, 2, 3, 17, 18, 20)"),
        ("4f11018a0149076100", "1/10 → subnet 1 [49] REQUEST tn 7 (alternate path, backlog 15) query ID unconfigured"),
        ("00300080007f0700000000a14f53475044455631", "0/0 → broadcast [empty] UNACKD service pin 0700000000A1 program OSGPDEV1"),
        ("011d018a000700000000b249056101", "1/10 → 0700000000B2 [49] REQUEST tn 5 query ID selected"),
        ("0119018a019449803a0102", "1/10 → 1/20 [49] REQUEST tn 0 (authenticated) message 3A 0102"),
        ("00290194018a49808fee919b79277214", "1/20 → 1/10 [49] CHALLENGE tn 0"),
        ("0199018a019449012351", "1/10 → 1/20 [49] REQUEST tn 291 query status"),
        ("0119018a019449004d02011e0228392c39023251", "1/10 → 1/20 [49] REQUEST tn 0 proxy via 1/30, 2/40 to 2/50: query status"),
        ("0019019e019449204c01", "1/30 → 1/20 [49] RESPONSE tn 0 proxy failed, addresses left: 1"),
    ],
)  # fmt: skip
def test_a_frame_is_one_line(frame: str, line: str) -> None:
    assert frame_text(dissect_frame(bytes.fromhex(frame), crc=False)) == line


def test_a_refusal_and_a_proxy_in_place_of_the_answer_are_told() -> None:
    assert apdu_text(b"\x0a", True, b"\x6a\x00") == "query domain: refused"
    assert apdu_text(b"\x4c\x01", True, b"\x6a\x00") == "query domain: proxy failed, addresses left: 1"
    assert apdu_text(b"\x22", True, b"\x62\x01") == "respond to query: done"
    assert apdu_text(b"\x2a\x01", True, b"\x6a\x00") == "query domain 01"


def test_a_frame_without_addresses_is_its_bytes_and_the_reason() -> None:
    assert frame_text(dissect_frame(b"\x01\x19", crc=False)).startswith("lpdu 0119: ")
    assert "no bytes" in frame_text(dissect_frame(b""))


# ---- the observer --------------------------------------------------------------------------------------------------------
def answer(request: bytes, response: bytes, **when: float) -> str:
    observer = LonObserver()
    observer.frame(request, when.get("asked", 0.0))
    return observer.frame(response, when.get("answered", 0.0)).text


@pytest.mark.parametrize(
    ("request_name", "response_name", "ending"),
    [
        ("nd-query-status", "nd-query-status-response", "query status: configured"),
        ("nm-query-domain", "nm-query-domain-response", "query domain: [49] 1/20"),
        ("nm-query-id-by-uid", "nm-query-id-response", "query ID: 0700000000B2 program OSGPDEV1"),
        ("uid-request-foreign-domain", "uid-response-foreign-domain", "query status: configured"),
        ("nm-query-version", "nm-query-version-response", "query version: done"),
        ("enhanced-mode-request", "enhanced-mode-response", "query status: configured"),
        ("ltep-1-source", "nd-query-status-response", "code 31 0000000000000000000001040400A8"),
    ],
)
def test_responses_meet_their_requests(request_name: str, response_name: str, ending: str) -> None:
    frames = {each.values[0]["name"]: each.values[0]["hex"] for each in vectors("lpdu")}
    line = answer(bytes.fromhex(frames[request_name]), bytes.fromhex(frames[response_name]))
    assert line.endswith(ending), line


def test_a_chains_response_is_its_targets_at_every_hop() -> None:
    frames = {each.values[0]["name"]: each.values[0]["hex"] for each in vectors("lpdu")}
    observer = LonObserver()
    rows = [
        observer.frame(bytes.fromhex(raw))
        for name, raw in frames.items()
        if name.startswith("ltep-") and name[5].isdigit()
    ]
    assert [row.direction for row in rows] == ["request"] * 4 + ["response"] * 2
    assert all(row.text.endswith("query status: configured") for row in rows[4:])


def test_answers_to_a_broadcast_and_a_group_are_read_too() -> None:
    identity = "210700000000b24f53475044455631"
    request = bytes.fromhex("0f11018a0149076100")
    assert answer(request, bytes.fromhex("00190194018a4927" + identity)).endswith("program OSGPDEV1")
    group = bytes.fromhex("0315018a05490151")
    reply = bytes.fromhex("00190117018a05034921" + RESPONSE[8:].hex())
    assert answer(group, reply).endswith("query status: configured")
    other = bytes.fromhex("00190117018a06034921" + RESPONSE[8:].hex())
    assert "code 31" in answer(group, other)


def test_a_response_to_another_or_after_long_silence_is_not_paired() -> None:
    assert "code 31" in answer(REQUEST, RESPONSE.replace(b"\x01\x94", b"\x01\x95", 1))
    assert "code 31" in answer(REQUEST, RESPONSE, asked=1.0, answered=500.0)
    assert "configured" in answer(REQUEST, RESPONSE, asked=1.0, answered=3.0)


def test_the_time_to_an_answer_counts_from_the_first_transmission() -> None:
    observer = LonObserver()
    observer.frame(REQUEST, 10.0)
    observer.frame(REQUEST, 10.5)
    assert observer.frame(RESPONSE, 10.75).fields["after_ms"] == 750.0


def test_what_an_observer_remembers_is_bounded() -> None:
    observer = LonObserver(requests=50)
    for number in range(400):
        observer.frame(
            session(bytes((0x3A, number % 256)), transaction=number % 16)[:2] + bytes((number % 127,)) + REQUEST[3:]
        )
        assert len(observer) <= 50


@pytest.mark.parametrize("vector", vectors("lon_udp"))
def test_lonip_datagrams_say_what_their_frame_says(vector: dict[str, Any]) -> None:
    fields = vector["fields"]
    row = LonObserver().lonip(bytes.fromhex(vector["hex"]), fields["source_ip"], fields["destination_ip"])
    expected = LonObserver().frame(bytes.fromhex(fields["lpdu"]), crc=False)
    assert row.ok, row.error
    assert row.text == expected.text
    assert {**row.fields, "carrier": "lpdu"} == expected.fields
    assert node(row.tree, "pdu").offset == len(row.raw) - len(node(row.tree, "pdu").raw)


def test_several_packets_of_one_cnip_datagram_are_several_rows() -> None:
    datagram = data_packet(REQUEST, crc=True) + data_packet(RESPONSE)
    rows = list(LonObserver().cnip(datagram))
    assert [row.text.split("] ")[1] for row in rows] == [
        "REQUEST tn 1 query status",
        "RESPONSE tn 1 query status: configured",
    ]
    assert [row.offset for row in rows] == [0, len(data_packet(REQUEST, crc=True))]
    assert rows[0].fields["crc_ok"] is True
    assert "crc_ok" not in rows[1].fields


def test_a_cnip_packet_of_another_type_is_told_as_such() -> None:
    (found,) = dissect_cnip(data_packet(REQUEST)[:3] + b"\x04" + data_packet(REQUEST)[4:])
    assert "packet type 04 carries no frame" in found.error
    assert names(found.tree())[0] == "CnIpPacket"


# ---- any bytes -----------------------------------------------------------------------------------------------------------
@given(st.binary(max_size=80), st.sampled_from([None, True, False]))
def test_any_bytes_give_a_tree_and_a_line(raw: bytes, crc: bool | None) -> None:
    for found in (dissect_frame(raw, crc=crc), *dissect_cnip(raw, crc=crc), dissect_lonip(raw, None)):
        json.dumps(found.fields())
        assert json.loads(found.tree_json(raw[3:])) == found.tree(raw[3:]).to_json()
        assert frame_text(found, raw[5:])
        assert len(found.raw) <= len(raw)


@given(st.integers(0, 2**32), st.integers(1, 6))
def test_damaged_frames_give_a_tree_and_a_line(seed: int, flips: int) -> None:
    chance = random.Random(seed)
    raw = bytearray(with_crc(chance.choice([CHAIN, RESPONSE, REQUEST, *(frame for frame, _ in SECRET.values())])))
    for _ in range(flips):
        raw[chance.randrange(len(raw))] = chance.randrange(256)
    observer = LonObserver()
    for row in (
        observer.frame(bytes(raw)),
        *observer.cnip(data_packet(bytes(raw))),
        observer.lonip(bytes(raw[1:]), "10.73.1.10", "10.73.1.20"),
    ):
        json.dumps(row.to_json(tree=True))
        assert row.text


def test_destinations_are_the_ones_people_type() -> None:
    found = dissect_frame(bytes.fromhex("011d018a000700000000b249056101")).destination
    assert found == UniqueNodeId(bytes.fromhex("0700000000b2"))
    assert dissect_frame(bytes.fromhex("0305018a0549003a01")).destination == Group(5)
    assert dissect_frame(bytes.fromhex("0031018a01493a01")).destination == Broadcast(1)
    proxy = ProxyRequest(subcommand=1, address=AddressEntry()).encode()
    assert Apdu.decode(proxy).code == 0x52
    assert StatusResponse.decode(RESPONSE[8:]).state.state == 4
