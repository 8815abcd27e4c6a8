"""Every vector on decoder, encoder, client and server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from osgp.c1218.events import MessageReceived
from osgp.c1218.explain import explain
from osgp.c1218.link import Link, LinkTimers
from osgp.c1218.packet import Packet, PacketReader, TokenKind, build, join, parse, split
from osgp.c1218.server import OpticalServer
from osgp.c1218.services import IdentAnswer, NegotiateAnswer, decode_service
from osgp.tables.services import decode_request, decode_response, encode_request, encode_response, table_checksum
from osgp.wire.crc import crc16_x25
from osgp.wire.errors import BadCrc
from tests.c1218.pair import Meter

PATH = Path(__file__).parent.parent / "vectors" / "optical" / "packets.json"
VECTORS: list[dict[str, Any]] = json.loads(PATH.read_text())
PACKETS = [v for v in VECTORS if v.get("hex", "").startswith("ee") and v["name"] != "bad-crc-must-be-naked"]
BAD = next(v for v in VECTORS if v["name"] == "bad-crc-must-be-naked")
NOW = LinkTimers(turn_round_s=0, gap_s=0)
TABLE_SERVICES = (0x30, 0x3F, 0x40, 0x4F)


def raw_of(vector: dict[str, Any]) -> bytes:
    return bytes.fromhex(vector["hex"])


def by_name(name: str) -> bytes:
    return raw_of(next(v for v in VECTORS if v["name"] == name))


def ids(vector: dict[str, Any]) -> str:
    return str(vector["name"])


def test_the_crc_has_its_catalogue_value() -> None:
    assert crc16_x25(b"123456789") == 0x906E


@pytest.mark.parametrize("vector", PACKETS, ids=ids)
def test_decoder_and_encoder_agree_with_the_bytes(vector: dict[str, Any]) -> None:
    raw, said = raw_of(vector), vector["decoded"]
    packet = parse(raw)
    assert f"{int(packet.control):02x}" == said["ctrl"]
    assert (packet.sequence, packet.length, packet.identity) == (said["seq_nbr"], said["length"], said["identity"])
    assert raw[-2:].hex() == said["crc_as_sent"]
    assert packet.encode() == raw
    assert Packet.from_json(packet.to_json()).encode() == raw
    control = packet.control
    again = build(
        packet.data,
        toggle=control.toggle,
        sequence=packet.sequence,
        first=bool(control.first),
        multi=bool(control.multi),
    )
    assert again == raw


@pytest.mark.parametrize("vector", [v for v in PACKETS if "service" in v["decoded"]], ids=ids)
def test_services_decode_and_encode(vector: dict[str, Any]) -> None:
    message, said = parse(raw_of(vector)).data, vector["decoded"]
    if message[0] in TABLE_SERVICES:
        request = decode_request(message, checksum=True)
        assert encode_request(request, checksum=True) == message
        assert request.table == said["table"]
        return
    service = decode_service(message)
    assert service.encode() == message
    for key, name in (("packet_size", "packet_size"), ("nbr_packets", "packets"), ("seconds", "seconds")):
        if key in said:
            assert getattr(service, name) == said[key]
    if "bauds" in said:
        assert [int(code) for code in service.bauds] == [int(text[:2], 16) for text in said["bauds"]]
    if "indices" in said:
        assert (service.indices, service.elements) == (said["indices"], said["element_count"])


@pytest.mark.parametrize("vector", [v for v in PACKETS if "response_code" in v["decoded"]], ids=ids)
def test_answers_decode_and_encode(vector: dict[str, Any]) -> None:
    message, said = parse(raw_of(vector)).data, vector["decoded"]
    assert message[0] == int(said["response_code"][:2], 16)
    if "cksum" in said:
        code, data = decode_response(message, checksum=True, read=True)
        assert table_checksum(data) == int(said["cksum"], 16)
        assert encode_response(code, data, checksum=True) == message
    elif "standard" in said:
        ident = IdentAnswer.decode(message)
        assert (ident.standard, ident.version, ident.revision) == (said["standard"], said["version"], said["revision"])
        assert ident.encode() == message
    elif "packet_size" in said:
        granted = NegotiateAnswer.decode(message)
        assert (granted.packet_size, granted.packets) == (said["packet_size"], said["nbr_packets"])
        assert granted.encode() == message


@pytest.mark.parametrize("name", [v["name"] for v in VECTORS if v["name"].startswith("cksum")])
def test_table_checksums(name: str) -> None:
    vector = next(v for v in VECTORS if v["name"] == name)
    assert table_checksum(bytes.fromhex(vector["inputs"]["data"])) == int(vector["outputs"]["cksum"], 16)


def test_multi_packet_transmissions_split_and_join() -> None:
    for first, second in (
        ("field-bt00-response-packet-1-of-2", "field-bt00-response-packet-2-of-2"),
        ("multi-packet-write-1-of-2", "multi-packet-write-2-of-2"),
    ):
        raws = [by_name(first), by_name(second)]
        message = join(parse(raw) for raw in raws)
        assert split(message, packet_size=64, packets=2) == raws
    assert join(parse(by_name(f"field-bt00-response-packet-{n}-of-2")) for n in (1, 2)) == by_name(
        "field-bt00-response-reassembled"
    )


@pytest.mark.parametrize("vector", PACKETS, ids=ids)
@pytest.mark.parametrize("step", [1, 3, 1000])
def test_the_reader_finds_each_packet_however_it_is_cut(vector: dict[str, Any], step: int) -> None:
    raw = raw_of(vector)
    stream = b"\x55\xff\xee\xee\xff" + raw + b"\x06\xff"
    reader = PacketReader()
    tokens = [token for at in range(0, len(stream), step) for token in reader.feed(stream[at : at + step])]
    assert [token.data for token in tokens if token.kind is TokenKind.PACKET] == [raw]
    assert [token.kind for token in tokens if token.kind is TokenKind.ACK] == [TokenKind.ACK]
    assert b"".join(token.data for token in tokens) == stream


@pytest.mark.parametrize("vector", [v for v in PACKETS if v["direction"] == "meter to reader"], ids=ids)
def test_a_client_takes_each_answer(vector: dict[str, Any]) -> None:
    raw = raw_of(vector)
    link = Link(client=True, timers=NOW)
    link.packets = 2
    link.send(b"\x20", 0.0)
    link.outgoing(0.0)
    link.receive(b"\x06", 0.0)
    if vector["name"] == "field-bt00-response-packet-2-of-2":
        link.receive(by_name("field-bt00-response-packet-1-of-2"), 0.0)
    link.receive(raw, 0.0)
    messages = [event.data for event in link.events() if isinstance(event, MessageReceived)]
    assert link.outgoing(0.0).endswith(b"\x06")
    if "chunk" not in vector["decoded"]:
        assert messages == [parse(raw).data]
    elif vector["name"].endswith("2-of-2"):
        assert messages == [by_name("field-bt00-response-reassembled")]
    else:
        assert messages == []


@pytest.mark.parametrize("vector", [v for v in PACKETS if v["direction"] == "reader to meter"], ids=ids)
def test_a_server_acknowledges_each_request_and_answers_whole_ones(vector: dict[str, Any]) -> None:
    meter = Meter()
    server = OpticalServer(meter.handle, meter.check_key, timers=NOW)
    server.receive(raw_of(vector), 0.0)
    answer = server.outgoing(0.0)
    assert answer[:1] == b"\x06"
    packet = parse(raw_of(vector))
    # Multi-packet messages were not negotiated here: the server says so at their end.
    assert (answer[1:] == b"") == bool(packet.sequence)


def test_a_bad_crc_is_naked_when_the_line_is_quiet() -> None:
    with pytest.raises(BadCrc):
        parse(raw_of(BAD))
    link = Link(client=True)
    link.send(b"\x20", 0.0)
    link.outgoing(0.0)
    link.receive(b"\x06", 0.1)
    link.receive(raw_of(BAD), 0.2)
    assert link.outgoing(0.2) == b""
    link.wake(0.3)
    assert link.outgoing(0.3) == b"\x15"
    link.receive(by_name("field-ident-response-nes"), 0.4)
    assert [e.data.hex() for e in link.events() if isinstance(e, MessageReceived)] == ["0000020000"]


def test_the_server_gives_the_captured_ident_and_negotiate_answers() -> None:
    meter = Meter()
    server = OpticalServer(meter.handle, meter.check_key, timers=NOW)
    server.receive(by_name("field-ident-request"), 0.0)
    assert server.outgoing(0.0) == b"\x06" + by_name("field-ident-response-nes")
    server.receive(b"\x06", 0.0)
    server.receive(by_name("field-negotiate-request-1024x128"), 0.0)
    assert server.outgoing(0.0) == b"\x06" + by_name("field-negotiate-response-1024x128")


def test_all_vectors_explain_without_error_but_the_bad_one() -> None:
    for vector in VECTORS:
        if "hex" not in vector or vector["name"] == "field-bt00-response-reassembled":
            continue
        rows = explain(raw_of(vector))
        alone = vector["name"].endswith("2-of-2")
        assert [row.ok for row in rows] == [vector is not BAD and not alone], vector["name"]
