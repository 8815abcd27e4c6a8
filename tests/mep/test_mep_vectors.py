"""Every vector of the MEP: on the layouts, on the digest, and on both machines."""

from __future__ import annotations

from typing import Any

import pytest
from tests.mep.mep_peer import BY_NAME, VECTORS, World, byte_by_byte, client, raw, request_frame, server

from osgp.crypto.legacy import mep_digest
from osgp.mep.client import MepClient
from osgp.mep.events import AlertReceived, RequestRefused, ResponseReceived, SequenceAccepted, SequenceCorrected
from osgp.mep.frame import Alert, Body, Frame, FrameReader, Rc4Request, Rc4Response, TlsFrame, framed
from osgp.mep.rc4 import open_request, seal_request
from osgp.mep.tls.keyschedule import master_secret, premaster_secret, write_keys
from osgp.wire.errors import Truncated

FRAMES = [vector for vector in VECTORS if "hex" in vector]
WHOLE = [v for v in FRAMES if int(v["hex"][:4], 16) == len(v["hex"]) // 2 - 2]
PAIRS = [
    ("rc4-example-1-first-read", "rc4-example-1-invalid-sequence"),
    ("rc4-example-1-second-read", "rc4-example-1-read-response"),
    ("rc4-example-2-register-device", "rc4-example-2-write-response"),
    ("transaction-multiple-request", "transaction-multiple-write-response"),
    ("transaction-read-et53-head", "transaction-et53-head-response"),
    ("transaction-read-et53-whole", "transaction-et53-whole-response"),
    ("procedure-ep17-remove-device", "procedure-ep17-write-response"),
    ("example-1-read-encrypted-request", "example-1-read-encrypted-response"),
    ("example-1-invalid-sequence-encrypted-request", "example-1-invalid-sequence-encrypted-response"),
    ("example-2-write-encrypted-request", "example-2-write-encrypted-response"),
    ("other-key-read-encrypted-request", "other-key-read-encrypted-response"),
    ("full-read-with-length", "full-read-response"),
    ("read-et59-head", "read-et59-head-response"),
]
TLS_SESSION = [
    "tls-client-hello",
    "tls-server-hello",
    "tls-client-finished",
    "tls-server-finished",
    "tls-read-request",
    "tls-read-response",
]


def key_of(*names: str) -> bytes:
    for name in names:
        if "key" in BY_NAME[name]["decoded"]:
            return bytes.fromhex(BY_NAME[name]["decoded"]["key"])
    raise AssertionError(names)


def test_the_table_of_pairs_names_existing_vectors() -> None:
    assert {name for pair in PAIRS for name in pair} <= BY_NAME.keys()


@pytest.mark.parametrize("vector", WHOLE, ids=lambda v: v["name"])
def test_layouts_read_and_write_every_frame(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["hex"])
    assert Frame.decode(data).encode() == data
    if data == b"\0\0":
        return
    rc4 = Rc4Request if vector["direction"] == "client to server" else Rc4Response
    structs: list[Any] = [TlsFrame] if vector["name"].startswith("tls-") else [rc4]
    for struct in structs:
        value = struct.decode(data)
        assert value._rest == b""
        assert value.encode() == data
        assert struct.from_json(value.to_json()) == value
    decoded = vector["decoded"]
    if vector["direction"] == "client to server" and "digest" in decoded:
        request = Rc4Request.decode(data)
        assert request.digest.hex() == decoded["digest"]
        assert f"{request.sequence:08x}" == decoded["sequence_number"]


@pytest.mark.parametrize("vector", [v for v in FRAMES if v not in WHOLE], ids=lambda v: v["name"])
def test_frames_published_without_digest_are_said_to_be_truncated(vector: dict[str, Any]) -> None:
    with pytest.raises(Truncated):
        Frame.decode(bytes.fromhex(vector["hex"]))


@pytest.mark.parametrize("vector", WHOLE, ids=lambda v: v["name"])
def test_frames_are_found_byte_by_byte(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["hex"])
    reader = FrameReader()
    items = [item for number, octet in enumerate(data) for item in reader.receive(bytes([octet]), number * 0.001)]
    assert items == ([Alert()] if data == b"\0\0" else [Body(data[2:])])


@pytest.mark.parametrize(("request_name", "response_name"), PAIRS)
def test_digests_and_encryption_reproduce(request_name: str, response_name: str) -> None:
    key = key_of(request_name, response_name)
    body, answer = raw(request_name)[2:], raw(response_name)[2:]
    opened = open_request(body, {"MAK": key})
    assert opened is not None
    exchange = opened.exchange
    assert exchange.request_body() == body
    message = exchange.open_response(answer)
    assert message is not None
    assert exchange.response_body(message) == answer
    assert exchange.encrypted == ("encrypted" in request_name)
    assert seal_request(key, exchange.message, exchange.sequence, encrypt=exchange.encrypted) == exchange


@pytest.mark.parametrize(("request_name", "response_name"), PAIRS)
@pytest.mark.parametrize("pieces", [1, 7, 500])
def test_the_server_answers_as_printed(request_name: str, response_name: str, pieces: int) -> None:
    key = key_of(request_name, response_name)
    opened = open_request(raw(request_name)[2:], {"MAK": key})
    assert opened is not None
    answer = opened.exchange.open_response(raw(response_name)[2:])
    assert answer is not None
    refused = answer[0] == 0x0C
    wanted = int.from_bytes(answer[1:5], "big") if refused else opened.exchange.sequence
    port = server(lambda message, access, now: answer, sequence=(wanted - 1) & 0xFFFFFFFF, pauses=False)
    port._keys = {"MAK": key}.get
    data = raw(request_name)
    for at in range(0, len(data), pieces):
        port.receive(data[at : at + pieces], 0.001 * at)
    assert port.outgoing(1.0) == raw(response_name)
    kinds = [type(event) for event in port.events()]
    assert (RequestRefused in kinds) == refused
    assert (SequenceAccepted in kinds) != refused


@pytest.mark.parametrize(("request_name", "response_name"), PAIRS)
@pytest.mark.parametrize("pieces", [1, 500])
def test_the_client_asks_and_understands_as_printed(request_name: str, response_name: str, pieces: int) -> None:
    key = key_of(request_name, response_name)
    opened = open_request(raw(request_name)[2:], {"MAK": key})
    assert opened is not None
    exchange = opened.exchange
    port = MepClient(
        {"MAK": key}, legacy=True, encrypt=exchange.encrypted, sequence=(exchange.sequence - 1) & 0xFFFFFFFF
    )
    port.request(exchange.message, 0.0, read=exchange.message[0] in (0x30, 0x3F))
    assert port.outgoing(0.0) == b"", "the number has not been saved yet"
    assert [event.number for event in port.events()] == [exchange.sequence]
    assert port.outgoing(0.0) == raw(request_name)
    data = raw(response_name)
    for at in range(0, len(data), pieces):
        port.receive(data[at : at + pieces], 0.1 + 0.001 * at)
    found = [event for event in port.events() if isinstance(event, ResponseReceived | SequenceCorrected)]
    answer = exchange.open_response(data[2:])
    assert answer is not None
    if answer[0] == 0x0C:
        assert found[0] == SequenceCorrected(int.from_bytes(answer[1:5], "big"), exchange.sequence)
    else:
        assert found == [ResponseReceived(exchange.message, answer, answer.strip(b"\0") != b"")]


def test_example_1_as_a_whole() -> None:
    """Unknown number, 0C, again, answer. The guide's client goes on with the number given plus one."""
    data = raw("rc4-example-1-read-response")[4 + 1 :][:44]
    port = server(lambda message, access, now: b"\0\0\x2c" + data, sequence=0x77635B8F)
    world = World(client(legacy=True, sequence=0x01020303), port, byte_by_byte)
    outcome = world.ask(bytes.fromhex("3f0017000000002c"), read=True)
    assert isinstance(outcome, ResponseReceived)
    assert outcome.message == b"\0\0\x2c" + data
    assert bytes(world.to_server).startswith(raw("rc4-example-1-first-read"))
    assert bytes(world.to_client).startswith(raw("rc4-example-1-invalid-sequence"))
    assert port.sequence == 0x77635B90


def test_the_guides_second_read_is_inside_the_window() -> None:
    port = server(sequence=0x77635B8F)
    port.receive(raw("rc4-example-1-first-read"), 0.0)
    assert port.outgoing(0.0) == raw("rc4-example-1-invalid-sequence")
    port.receive(raw("rc4-example-1-second-read"), 1.0)
    assert port.sequence == 0x77635B91


@pytest.mark.parametrize("name", [f"block-boundary-{size}" for size in (191, 192, 193)])
def test_block_boundaries_use_the_single_call_form(name: str) -> None:
    vector = BY_NAME[name]
    span = bytes.fromhex(vector["inputs"]["message_and_sequence"])
    exchange = seal_request(
        bytes.fromhex(vector["inputs"]["key"]), span[:-4], int.from_bytes(span[-4:], "big"), encrypt=False
    )
    assert exchange.digest.hex() == vector["outputs"]["digest_single_call"]


def test_error_vectors() -> None:
    key = key_of("error-no-permission")
    message = BY_NAME["error-no-permission"]["decoded"]["message"]
    exchanges = [
        opened.exchange
        for v in WHOLE
        if v["direction"] == "client to server" and (opened := open_request(bytes.fromhex(v["hex"])[2:], {"MAK": key}))
    ]
    body = raw("error-no-permission")[2:]
    assert any(exchange.open_response(body) == bytes.fromhex(message) for exchange in exchanges)
    body = raw("error-authentication-failure-plain")[2:]
    assert any(mep_digest(key, exchange.span + b"\x0b") == body[1:] for exchange in exchanges)


class Replayed:
    """Randoms of the guide's session, in the order in which a side asks for them."""

    def __init__(self, *parts: str) -> None:
        self.parts = [bytes.fromhex(part) for part in parts]

    def randbytes(self, size: int) -> bytes:
        part = self.parts.pop(0)
        assert len(part) == size
        return part


@pytest.mark.parametrize("pipe", [None, byte_by_byte])
def test_the_guides_tls_session_regenerates_frame_by_frame(pipe: Any) -> None:
    hello = BY_NAME["tls-server-hello"]["decoded"]["records"][0]["server_hello"]
    server_randoms: Any = Replayed(hello["random"], hello["session_id"])
    client_randoms = Replayed(BY_NAME["tls-client-hello"]["decoded"]["client_hello"]["random"])
    port = server(lambda message, access, now: bytes.fromhex("00000102"), rng=server_randoms)
    ours = MepClient({"MAK": bytes([1] * 16)}, random_bytes=lambda size: b"\0" * size)
    ours._random_bytes = client_randoms.randbytes
    world = World(ours, port, *([pipe] if pipe else []))
    outcome = world.ask(bytes.fromhex("3f084600008e0001"), read=True)
    assert isinstance(outcome, ResponseReceived)
    assert outcome.message == bytes.fromhex("00000102")
    assert outcome.proven
    assert bytes(world.to_server) == b"".join(raw(name) for name in TLS_SESSION[0::2])
    assert bytes(world.to_client) == b"".join(raw(name) for name in TLS_SESSION[1::2])


def test_the_guides_tls_keys() -> None:
    vector = BY_NAME["tls-keys"]
    inputs, outputs = vector["inputs"], vector["outputs"]
    psk = bytes.fromhex(inputs["psk"])
    randoms = bytes.fromhex(inputs["client_random"]), bytes.fromhex(inputs["server_random"])
    assert premaster_secret(psk).hex() == outputs["premaster"]
    master = master_secret(psk, *randoms)
    assert master.hex() == outputs["master_secret"]
    ours, theirs = write_keys(master, *randoms)
    assert (ours.key.hex(), ours.iv.hex()) == (outputs["client_write_key"], outputs["client_write_iv"])
    assert (theirs.key.hex(), theirs.iv.hex()) == (outputs["server_write_key"], outputs["server_write_iv"])


def test_the_alert_vector_reaches_the_client_as_an_event() -> None:
    port = client(legacy=True)
    port.receive(raw("alert-sequence"), 0.0)
    assert port.events() == [AlertReceived()]


def test_frames_of_the_field_are_accepted_once_signed() -> None:
    """The published frames of real meters, whose digests were left out: signed with another key they go through."""
    request = raw("field-bt23-full-read-request")[2:]
    message, sequence = request[:5], int.from_bytes(request[5:9], "big")
    answer = raw("field-bt23-full-read-response")[2:]
    frame, exchange = request_frame(message, sequence)
    port = server(lambda message, access, now: answer, sequence=sequence - 1, pauses=False)
    port.receive(frame, 0.0)
    assert port.outgoing(0.0) == framed(exchange.response_body(answer))
    port.receive(frame, 1.0)  # a repeat, as in issue 10 there
    refusal = exchange.open_response(port.outgoing(1.0)[2:])
    assert refusal == b"\x0c" + (sequence + 1).to_bytes(4, "big")
