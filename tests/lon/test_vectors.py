"""Every frame of the digest: read, written, and its CRC and digests computed."""

from __future__ import annotations

from typing import Any

import pytest

from osgp.crypto.legacy import en14908_digest, open_media_digest
from osgp.lon.auth import open_media_address
from osgp.lon.authpdu import AuthPdu, AuthType
from osgp.lon.crc import crc16, has_crc, with_crc, without_crc
from osgp.lon.headers import read_pdu, write_pdu
from osgp.lon.lpdu import LinkHeader, Lpdu, LpduWithCrc
from osgp.lon.ltep import Ltep
from osgp.lon.npdu import Npdu, PduType
from osgp.lon.packet import packet_of
from osgp.lon.tpdu import VERSIONS, Spdu, SpduType, Tpdu, TpduType
from osgp.wire.errors import BadCrc, DecodeError, Truncated
from tests.lon.talk import BY_NAME, of_kind

FRAMES = of_kind("lpdu")
FORMATS = {"0 broadcast": 0, "1 multicast": 1, "2a subnet/node": 2, "2b group response": 2, "3 unique id": 3}
TPDU_TYPES = {"ACKD": 0, "UNACKD_RPT": 1, "ACK": 2, "REMINDER": 4, "REM/MSG": 5}
SPDU_TYPES = {"REQUEST": 0, "RESPONSE": 2, "REMINDER": 4, "REM/MSG": 5}
AUTH_TYPES = {"CHALLENGE": 0, "CHALLENGE_OMA": 1, "REPLY": 2, "REPLY_OMA": 3}


def _raw(vector: dict[str, Any]) -> bytes:
    return bytes.fromhex(vector["hex"])


@pytest.mark.parametrize("vector", FRAMES, ids=lambda v: v["name"])
def test_link_and_network_layer(vector: dict[str, Any]) -> None:
    raw, fields = _raw(vector), vector["fields"]
    assert f"{crc16(raw):04x}" == fields["crc16"]
    lpdu = Lpdu.decode(raw)
    assert lpdu.encode() == raw
    header = lpdu.header
    assert (header.priority, header.alternate_path, header.delta_backlog) == (
        fields["priority"],
        fields["alt_path"],
        fields["delta_backlog"],
    )
    npdu = Npdu.decode(lpdu.npdu)
    assert npdu.encode() == lpdu.npdu
    assert packet_of(raw).lpdu() == raw
    assert npdu.control.version == fields["version"]
    assert PduType(npdu.control.pdu_type).name == fields["pdu_type"].upper()
    assert npdu.control.address_format == FORMATS[fields["address_format"]]
    assert (npdu.source_subnet, npdu.source_node.node) == (fields["src_subnet"], fields["src_node"])
    assert npdu.source_node.selector == (fields["address_format"] != "2b group response")
    assert npdu.domain.hex() == fields["domain"]
    assert npdu.destination_subnet == fields.get("dst_subnet")
    assert (npdu.destination_node.node if npdu.destination_node is not None else None) == fields.get("dst_node")
    assert npdu.group == fields.get("group", fields.get("dst_group"))
    assert npdu.member == fields.get("member")
    uid = fields.get("uid")
    assert (npdu.unique_node_id.hex() if npdu.unique_node_id is not None else None) == uid


@pytest.mark.parametrize("vector", FRAMES, ids=lambda v: v["name"])
def test_what_is_enclosed(vector: dict[str, Any]) -> None:
    fields = vector["fields"]
    npdu = packet_of(_raw(vector)).npdu
    version = npdu.control.version
    kind = npdu.control.pdu_type
    if kind == PduType.APDU:
        assert npdu.pdu.hex() == fields["apdu"]
        return
    if kind == PduType.AUTHPDU:
        auth = AuthPdu.decode(npdu.pdu, VERSIONS[version])
        assert auth.encode(VERSIONS[version]) == npdu.pdu
        assert auth.header.type == AUTH_TYPES[fields["auth_type"]]
        assert auth.header.address_format == fields["auth_fmt"]
        assert auth.header.transaction == fields["tn"]
        assert auth.value.hex() == fields["value"]
        return
    session = kind == PduType.SPDU
    struct = Spdu if session else Tpdu
    layers: Any = struct.decode(npdu.pdu, VERSIONS[version])
    assert layers.encode(VERSIONS[version]) == npdu.pdu
    quick = read_pdu(npdu.pdu, session, version)
    assert quick.type == (SPDU_TYPES if session else TPDU_TYPES)[fields["type"]]
    assert quick.type == (SpduType if session else TpduType)(layers.header.type)
    assert quick.transaction == fields["tn"]
    assert quick.authenticated == bool(fields["auth"])
    assert quick.apdu.hex() == layers.apdu.hex() == fields["apdu"]
    assert (quick.members or b"").hex() == fields.get("m_list", "")
    again = write_pdu(
        session,
        quick.type,
        quick.transaction,
        quick.apdu,
        authenticated=quick.authenticated,
        version=version,
        members=quick.members,
    )
    assert again == npdu.pdu


@pytest.mark.parametrize("vector", of_kind("crc16"), ids=lambda v: v["name"])
def test_crc(vector: dict[str, Any]) -> None:
    assert f"{crc16(_raw(vector)):04x}" == vector["fields"]["crc16"]


def test_a_frame_as_it_travels() -> None:
    (vector,) = of_kind("lpdu_with_crc")
    raw = _raw(vector)
    assert has_crc(raw)
    assert with_crc(without_crc(raw)) == raw
    decoded = LpduWithCrc.decode(raw)
    assert f"{decoded.crc:04x}" == vector["fields"]["crc16"]
    assert decoded.encode() == raw
    for place in range(8 * len(raw)):
        damaged = bytearray(raw)
        damaged[place // 8] ^= 1 << place % 8
        with pytest.raises(BadCrc, match="belongs"):
            without_crc(bytes(damaged))
    with pytest.raises(Truncated):
        without_crc(raw[:2])


@pytest.mark.parametrize("vector", of_kind("auth_digest"), ids=lambda v: v["name"])
def test_classic_digest(vector: dict[str, Any]) -> None:
    fields = vector["fields"]
    reply = en14908_digest(bytes.fromhex(fields["key"]), bytes.fromhex(fields["challenge"]), _raw(vector))
    assert reply.hex() == fields["reply"]


@pytest.mark.parametrize("vector", of_kind("auth_digest_oma"), ids=lambda v: v["name"])
def test_open_media_digest(vector: dict[str, Any]) -> None:
    fields = vector["fields"]
    key, challenge, address = (bytes.fromhex(fields[name]) for name in ("key", "challenge", "oma_address"))
    assert open_media_digest(key, challenge, address, _raw(vector)).hex() == fields["reply"]


@pytest.mark.parametrize("name", ["auth-reply", "auth-group-reply", "auth-uid-reply", "auth-oma-reply"])
def test_replies_on_the_line_are_what_the_key_gives(name: str) -> None:
    fields = BY_NAME[name]["fields"]
    auth = AuthPdu.decode(packet_of(_raw(BY_NAME[name])).npdu.pdu)
    key, challenge, message = (bytes.fromhex(fields[part]) for part in ("key", "challenge", "digest_message"))
    if auth.header.type == AuthType.OMA_REPLY:
        request = packet_of(_raw(BY_NAME["auth-request"])).npdu
        address = open_media_address(request)
        assert address.hex() == fields["oma_address"]
        assert open_media_digest(key, challenge, address, message) == auth.value
    else:
        assert en14908_digest(key, challenge, message) == auth.value


@pytest.mark.parametrize("vector", [v for v in FRAMES if v["name"].startswith("ltep-")], ids=lambda v: v["name"])
def test_enhanced_proxy_messages(vector: dict[str, Any]) -> None:
    apdu = bytes.fromhex(vector["fields"]["apdu"])
    if len(apdu) < 6 or apdu[0] != 0x4D:
        return
    message = Ltep.decode(apdu)
    assert message.encode() == apdu
    assert message.apdu
    assert len(message.long_hops or message.short_hops or ()) == message.header.count


@pytest.mark.parametrize("name", ["bad-ltep-too-short", "bad-ltep-truncated-target"])
def test_malformed_proxy_messages(name: str) -> None:
    apdu = read_pdu(packet_of(_raw(BY_NAME[name])).npdu.pdu, True, 0).apdu
    try:
        assert not Ltep.decode(apdu).apdu
    except DecodeError as error:
        assert error.floor == "lon"  # noqa: PT017  # both refusals are right


def test_nothing_enclosed() -> None:
    assert not packet_of(_raw(BY_NAME["bad-empty-pdu"])).npdu.pdu


def test_the_first_byte_in_words() -> None:
    header = LinkHeader(0xC5)
    assert (header.priority, header.alternate_path, header.delta_backlog) == (1, 1, 5)
