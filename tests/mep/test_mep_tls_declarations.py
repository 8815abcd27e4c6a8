"""TLS inside the MEP, field by field: one declaration serves the machine, the explanation and the list of what is covered."""

from __future__ import annotations

import pytest
from tests.mep.mep_peer import MAK, VECTORS, raw

from osgp.analyse.conformance import declarations
from osgp.mep.explain import explain
from osgp.mep.tls.alerts import Alert, AlertMessage, alert_name
from osgp.mep.tls.messages import BODIES, ClientHello, ExtensionType, HandshakeType, ServerHello
from osgp.mep.tls.records import AdditionalData, ContentType, Record, RecordHeader, encode_record
from osgp.wire import layout_of
from osgp.wire.errors import BadValue, Truncated

SESSION = [raw(vector["name"]) for vector in VECTORS if vector["name"].startswith("tls-") and "hex" in vector]
HELLO = SESSION[0][12:]
ANSWER = SESSION[1][12:89]


def test_the_recorded_session_is_explained_down_to_its_fields() -> None:
    rows = explain(b"".join(SESSION), keys={"MAK": MAK})
    found = []
    for row in rows:
        assert row.tree is not None
        assert not [node.error for _, node in row.tree.walk() if node.error]
        found.append([node.name for _, node in row.tree.walk()])
    assert {"ClientHello", "cipher_suites[0]", "compressions"} <= set(found[0])
    assert {"ServerHello", "session_id", "extension_list[0]", "ServerHelloDone"} <= set(found[1])
    assert {"ClientKeyExchange", "identity", "ChangeCipherSpec", "Finished", "verify_data"} <= set(found[2])
    assert {"SealedFragment", "nonce_explicit"} <= set(found[4])
    hello = rows[0]
    assert hello.tree is not None
    for _, node in hello.tree.walk():
        assert node.raw in (b"", hello.raw[node.offset : node.offset + node.size]), node.name


def test_an_opened_record_lies_where_it_was_sealed() -> None:
    tree = explain(b"".join(SESSION), keys={"MAK": MAK})[2].tree
    assert tree is not None
    nodes = {node.name: node for _, node in tree.walk()}
    assert nodes["verify_data"].raw.hex() == "37701629490c1207b1e55976"
    assert nodes["Handshake"].offset == nodes["sealed"].offset == nodes["nonce_explicit"].offset + 8
    hidden = explain(b"".join(SESSION))[2].tree
    assert hidden is not None
    assert "verify_data" not in {node.name for _, node in hidden.walk()}


def test_damage_inside_a_hello_is_shown_where_it_is() -> None:
    body = HELLO[:-2] + b"\x05\x00"
    damaged = encode_record(ContentType.HANDSHAKE, SESSION[0][8:12] + body)
    frame = b"\x58" + damaged
    [row] = explain(len(frame).to_bytes(2, "big") + frame)
    assert row.tree is not None
    [hello] = [node for _, node in row.tree.walk() if node.name == "ClientHello"]
    assert "compressions" in hello.error
    assert not row.ok


def test_a_server_name_is_an_extension_although_its_type_is_zero() -> None:
    hello = ClientHello.decode(HELLO + bytes.fromhex("000d 0000 0000 7a7a 0001 00 0023 0000"))
    assert hello.extensions == {0: b"", 0x7A7A: b"\0", 35: b""}
    assert [entry.kind.known for entry in hello.extension_list or ()] == [True, False, True]
    assert ExtensionType(0x7A7A).name == "UNKNOWN_7A7A"


@pytest.mark.parametrize("block", ["", "0000", "0005ff01000100"])
def test_hellos_are_written_as_they_came(block: str) -> None:
    for struct, body in ((ClientHello, HELLO), (ServerHello, ANSWER[:-7])):
        whole = body + bytes.fromhex(block)
        assert struct.decode(whole).encode() == whole
        assert struct.from_json(struct.decode(whole).to_json()).encode() == whole


def test_every_declared_body_ends_where_its_fields_do() -> None:
    bodies = {HandshakeType.CLIENT_HELLO: HELLO, HandshakeType.SERVER_HELLO: ANSWER, HandshakeType.FINISHED: bytes(12)}
    for kind, struct in BODIES.items():
        body = bodies.get(HandshakeType(kind), b"\0\0" if struct.specs else b"")
        value = struct.decode(body)
        assert value.encode() == body
        with pytest.raises((BadValue, Truncated)):
            struct.decode(body + b"\0")
        if body:
            with pytest.raises((BadValue, Truncated)):
                struct.decode(body[:-1])


def test_records_alerts_and_what_a_tag_covers() -> None:
    record = Record.decode(bytes.fromhex("1503030002022e"))
    assert record.content_type is ContentType.ALERT
    alert = AlertMessage.decode(record.fragment)
    assert (alert.level, alert.description.known, alert_name(alert.description)) == (2, False, "alert 46")
    assert alert_name(Alert.BAD_RECORD_MAC) == "bad record mac"
    covered = AdditionalData(sequence=1, header=RecordHeader(content_type=ContentType.HANDSHAKE, length=16))
    assert covered.encode().hex() == "00000000000000011603030010"
    assert layout_of(AdditionalData).size == 13


def test_they_are_in_the_list_of_what_is_covered() -> None:
    rows = {row.name: row for row in declarations() if row.name.startswith("mep.tls.")}
    assert {struct.__name__ for struct in BODIES.values()} <= {name.rsplit(".", 1)[1] for name in rows}
    assert (rows["mep.tls.messages.ClientHello"].document, rows["mep.tls.messages.ClientHello"].clause) == (
        "RFC 5246",
        "section 7.4.1.2",
    )
    assert {row.kind for row in rows.values()} == {"struct"}
